/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interval trees over page offsets: the VMAs of a file, and the anon_vma_chains of an anon_vma.
 * Nodes are ordered by first offset, equal ones by age; each knows the greatest last offset below
 * it.
 *
 * One algorithm, two kinds of node: everything takes the kind as a constant, so that the compiler
 * makes two straight copies of it.
 */
#include "internal.h"

struct interval_kind {
	pgoff_t (*start)(const struct rb_node *node);
	pgoff_t (*last)(const struct rb_node *node);
	pgoff_t *(*subtree_last)(struct rb_node *node);
	rb_augment_fn augment;
};

static inline bool interval_recompute(const struct interval_kind *kind, struct rb_node *node)
{
	pgoff_t *slot = kind->subtree_last(node);
	pgoff_t last = kind->last(node);
	pgoff_t old = *slot;

	if (node->left)
		last = max_u64(last, *kind->subtree_last(node->left));
	if (node->right)
		last = max_u64(last, *kind->subtree_last(node->right));
	*slot = last;
	return last != old;
}

static inline void interval_insert(const struct interval_kind *kind, struct rb_node *node,
				   struct rb_root *root)
{
	struct rb_node **link = &root->node, *parent = NULL;
	pgoff_t start = kind->start(node);

	while (*link) {
		parent = *link;
		link = start < kind->start(parent) ? &parent->left : &parent->right;
	}
	rb_link_node(node, parent, link);
	rb_insert(root, node, kind->augment);
}

/* May an interval that ends at or after start lie below node? */
static inline bool interval_reaches(const struct interval_kind *kind, struct rb_node *node,
				    pgoff_t start)
{
	return node && *kind->subtree_last(node) >= start;
}

/* The leftmost node below `node`, which reaches start, that meets [start, last]. */
static inline struct rb_node *interval_leftmost(const struct interval_kind *kind,
						struct rb_node *node, pgoff_t start, pgoff_t last)
{
	for (;;) {
		/* If the leftmost one that reaches begins past last, so do all after it. */
		if (interval_reaches(kind, node->left, start))
			node = node->left;
		else if (kind->start(node) > last)
			return NULL;
		else if (kind->last(node) >= start)
			return node;
		else if (interval_reaches(kind, node->right, start))
			node = node->right;
		else
			return NULL;
	}
}

static inline struct rb_node *interval_first(const struct interval_kind *kind,
					     const struct rb_root *root, pgoff_t start,
					     pgoff_t last)
{
	if (!interval_reaches(kind, root->node, start))
		return NULL;
	return interval_leftmost(kind, root->node, start, last);
}

static inline struct rb_node *interval_next(const struct interval_kind *kind, struct rb_node *node,
					    pgoff_t start, pgoff_t last)
{
	for (;;) {
		struct rb_node *child;

		if (interval_reaches(kind, node->right, start))
			return interval_leftmost(kind, node->right, start, last);
		do {
			child = node;
			node = node->parent;
		} while (node && node->right == child);
		if (!node || kind->start(node) > last)
			return NULL;
		if (kind->last(node) >= start)
			return node;
	}
}

/* ---- the VMAs of a file --------------------------------------------------------------------- */

static inline struct vm_area_struct *vma_of(const struct rb_node *node)
{
	return rb_entry(node, struct vm_area_struct, shared.rb);
}

static pgoff_t vma_start_pgoff(const struct rb_node *node)
{
	return vma_of(node)->vm_pgoff;
}

static pgoff_t vma_last(const struct vm_area_struct *vma)
{
	return vma->vm_pgoff + vma_pages(vma) - 1;
}

static pgoff_t vma_last_pgoff(const struct rb_node *node)
{
	return vma_last(vma_of(node));
}

static pgoff_t *vma_subtree_last(struct rb_node *node)
{
	return &vma_of(node)->shared.rb_subtree_last;
}

static bool vma_interval_augment(struct rb_node *node);

static const struct interval_kind vma_kind = {
	.start = vma_start_pgoff,
	.last = vma_last_pgoff,
	.subtree_last = vma_subtree_last,
	.augment = vma_interval_augment,
};

static bool vma_interval_augment(struct rb_node *node)
{
	return interval_recompute(&vma_kind, node);
}

void vma_interval_tree_insert(struct vm_area_struct *vma, struct rb_root *root)
{
	interval_insert(&vma_kind, &vma->shared.rb, root);
}

void vma_interval_tree_insert_after(struct vm_area_struct *vma, struct vm_area_struct *prev,
				    struct rb_root *root)
{
	struct rb_node *parent = &prev->shared.rb;
	struct rb_node **link = &parent->right;

	while (*link) {
		parent = *link;
		link = &parent->left;
	}
	rb_link_node(&vma->shared.rb, parent, link);
	rb_insert(root, &vma->shared.rb, vma_interval_augment);
}

void vma_interval_tree_remove(struct vm_area_struct *vma, struct rb_root *root)
{
	rb_erase(root, &vma->shared.rb, vma_interval_augment);
}

struct vm_area_struct *vma_interval_tree_first(const struct rb_root *root, pgoff_t start,
					       pgoff_t last)
{
	struct rb_node *node = interval_first(&vma_kind, root, start, last);

	return node ? vma_of(node) : NULL;
}

struct vm_area_struct *vma_interval_tree_next(struct vm_area_struct *vma, pgoff_t start,
					      pgoff_t last)
{
	struct rb_node *node = interval_next(&vma_kind, &vma->shared.rb, start, last);

	return node ? vma_of(node) : NULL;
}

/* ---- the chains of an anon_vma: a chain's range is its VMA's -------------------------------- */

static inline struct anon_vma_chain *avc_of(const struct rb_node *node)
{
	return rb_entry(node, struct anon_vma_chain, rb);
}

static pgoff_t avc_start_pgoff(const struct rb_node *node)
{
	return avc_of(node)->vma->vm_pgoff;
}

static pgoff_t avc_last_pgoff(const struct rb_node *node)
{
	return vma_last(avc_of(node)->vma);
}

static pgoff_t *avc_subtree_last(struct rb_node *node)
{
	return &avc_of(node)->rb_subtree_last;
}

static bool avc_interval_augment(struct rb_node *node);

static const struct interval_kind avc_kind = {
	.start = avc_start_pgoff,
	.last = avc_last_pgoff,
	.subtree_last = avc_subtree_last,
	.augment = avc_interval_augment,
};

static bool avc_interval_augment(struct rb_node *node)
{
	return interval_recompute(&avc_kind, node);
}

void anon_vma_interval_tree_insert(struct anon_vma_chain *avc, struct rb_root *root)
{
	interval_insert(&avc_kind, &avc->rb, root);
}

void anon_vma_interval_tree_remove(struct anon_vma_chain *avc, struct rb_root *root)
{
	rb_erase(root, &avc->rb, avc_interval_augment);
}

struct anon_vma_chain *anon_vma_interval_tree_first(const struct rb_root *root, pgoff_t start,
						    pgoff_t last)
{
	struct rb_node *node = interval_first(&avc_kind, root, start, last);

	return node ? avc_of(node) : NULL;
}

struct anon_vma_chain *anon_vma_interval_tree_next(struct anon_vma_chain *avc, pgoff_t start,
						   pgoff_t last)
{
	struct rb_node *node = interval_next(&avc_kind, &avc->rb, start, last);

	return node ? avc_of(node) : NULL;
}
