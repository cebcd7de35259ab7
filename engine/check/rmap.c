/* SPDX-License-Identifier: GPL-2.0-only */
/* G-08 to G-10: interval trees of files, anon_vmas with their chains and trees. */
#include "checks.h"

/* No red-black tree of less than 2^64 nodes is higher. */
#define RB_MAX_HEIGHT 128u

/* Does the way up from the node end in this root, and does each step have its way down? */
static bool rb_member(const struct rb_root *root, const struct rb_node *n)
{
	if (!n->linked)
		return false;
	for (unsigned int i = 0; i < RB_MAX_HEIGHT; i++, n = n->parent) {
		if (!n->parent)
			return root->node == n;
		if (n->parent->left != n && n->parent->right != n)
			return false;
	}
	return false;
}

bool chk_ring(const struct list_head *h, u64 max, u64 *nr)
{
	const struct list_head *pos = h;

	*nr = 0;
	do {
		if (!pos->next || pos->next->prev != pos || *nr > max)
			return false;
		pos = pos->next;
		(*nr)++;
	} while (pos != h);
	(*nr)--;
	return true;
}

static void clear_anon_vma(struct anon_vma *av)
{
	av->seen[SEEN_VISITED] = 0;
	av->seen[SEEN_CHILDREN] = 0;
	av->seen[SEEN_REFS] = 0;
}

static bool check_chain(struct chk *c, struct vm_area_struct *vma, u64 *nr)
{
	struct chk_obj obj = chk_obj(OBJ_VMA, vma, 0);
	bool listed = false, sound = true;
	struct anon_vma *root = NULL;
	struct anon_vma_chain *avc;

	if (!chk_true(c, CHK_avc_list, __func__, obj,
		      chk_ring(&vma->anon_vma_chain, chk_bound(c->m, CACHE_anon_vma_chain), nr),
		      "anon_vma_chain: a ring", "links that do not match"))
		return false;

	list_for_each_entry(avc, &vma->anon_vma_chain, same_vma) {
		struct anon_vma *av = avc->anon_vma;

		if (!chk_true(c, CHK_avc_list, __func__, obj,
			      avc->vma == vma && av && av->root && av->parent,
			      "an entry that names this VMA and an anon_vma", "another one")) {
			sound = false;
			continue;
		}
		clear_anon_vma(av);
		clear_anon_vma(av->root);
		clear_anon_vma(av->parent);
		listed |= av == vma->anon_vma;
		if (!root)
			root = av->root;
		chk_true(c, CHK_av_root, __func__, obj, av->root == root, "one root for the chain",
			 "two");
		if (!chk_true(c, CHK_avc_in_tree, __func__, obj, rb_member(&av->rb_root, &avc->rb),
			      "each chain entry in the tree of its anon_vma", "one that is not"))
			sound = false;
	}
	if (vma->anon_vma)
		chk_true(c, CHK_av_listed, __func__, obj, listed, "anon_vma on the chain",
			 "not there");
	else
		chk_eq(c, CHK_av_listed, __func__, obj, 0, *nr);
	return sound;
}

bool chk_chains(struct chk *c, struct mm_struct *mm, u64 *nr_avcs)
{
	bool sound = true;

	for (struct vm_area_struct *vma = mm->mmap; vma; vma = vma->vm_next) {
		u64 nr;

		if (vma->vm_file)
			chk_true(c, CHK_i_mmap_member, __func__, chk_obj(OBJ_VMA, vma, 0),
				 vma->vm_file->f_inode &&
					 rb_member(&vma->vm_file->f_inode->i_data.i_mmap,
						   &vma->shared.rb),
				 "in the interval tree of its file", "not there");
		sound = check_chain(c, vma, &nr) && sound;
		*nr_avcs += nr;
	}
	return sound;
}

/* The VMA may be of an mm that nobody has looked at: its chain need not be a ring. */
static bool on_chain(const struct anon_vma_chain *avc, u64 max)
{
	const struct list_head *pos = avc->vma->anon_vma_chain.next;

	for (; max && pos && pos != &avc->vma->anon_vma_chain; pos = pos->next, max--) {
		if (pos == &avc->same_vma)
			return true;
	}
	return false;
}

static pgoff_t vma_last_pgoff(const struct vm_area_struct *vma)
{
	return vma->vm_pgoff + vma_pages(vma) - 1;
}

static pgoff_t avc_child_last(const struct rb_node *n)
{
	return n ? rb_entry(n, struct anon_vma_chain, rb)->rb_subtree_last : 0;
}

/* Splits of one VMA, which is what shares an anon_vma, are attached to the same anon_vmas. */
static bool same_chain(const struct vm_area_struct *a, const struct vm_area_struct *b, u64 bound)
{
	const struct list_head *ia = a->anon_vma_chain.next, *ib = b->anon_vma_chain.next;

	while (ia != &a->anon_vma_chain && ib != &b->anon_vma_chain && bound--) {
		if (list_entry(ia, struct anon_vma_chain, same_vma)->anon_vma !=
		    list_entry(ib, struct anon_vma_chain, same_vma)->anon_vma)
			return false;
		ia = ia->next;
		ib = ib->next;
	}
	return ia == &a->anon_vma_chain && ib == &b->anon_vma_chain;
}

static void check_anon_vma(struct chk *c, struct anon_vma *av)
{
	const struct vm_area_struct *first = NULL;
	struct chk_obj obj = chk_obj(OBJ_AV, av, 0);
	u64 nodes = 0, active = 0;
	pgoff_t before = 0;

	if (!chk_true(c, CHK_av_shape, __func__, obj,
		      !rb_check(&av->rb_root, chk_bound(c->m, CACHE_anon_vma_chain), &nodes),
		      "a red-black tree", "colours, heights, parents or marks that are not of one"))
		return;
	for (struct rb_node *n = rb_first(&av->rb_root); n; n = rb_next(n)) {
		const struct anon_vma_chain *avc = rb_entry(n, struct anon_vma_chain, rb);
		pgoff_t last;

		if (!chk_true(c, CHK_av_nodes, __func__, obj,
			      avc->anon_vma == av && avc->vma &&
				      on_chain(avc, chk_bound(c->m, CACHE_anon_vma_chain)),
			      "chain entries of VMAs that name this anon_vma", "another node"))
			return;
		chk_true(c, CHK_av_shape, __func__, obj, before <= avc->vma->vm_pgoff,
			 "ascending page offsets", "a descent");
		before = avc->vma->vm_pgoff;
		last = max_u64(vma_last_pgoff(avc->vma),
			       max_u64(avc_child_last(n->left), avc_child_last(n->right)));
		chk_eq_hex(c, CHK_av_last, __func__, obj, last, avc->rb_subtree_last);
		if (avc->vma->anon_vma != av)
			continue;
		active++;
		if (!first)
			first = avc->vma;
		chk_true(c, CHK_av_one_mm, __func__, obj,
			 first->vm_mm == avc->vma->vm_mm &&
				 same_chain(first, avc->vma, chk_bound(c->m, CACHE_anon_vma_chain)),
			 "VMAs of one mm with the same chain", "VMAs that differ in it");
	}
	chk_eq(c, CHK_av_active, __func__, obj, active, av->num_active_vmas);
}

u64 chk_anon_vmas(struct chk *c, struct mm_struct *mm)
{
	struct anon_vma_chain *avc;
	u64 nr = 0;

	for (struct vm_area_struct *vma = mm->mmap; vma; vma = vma->vm_next) {
		list_for_each_entry(avc, &vma->anon_vma_chain, same_vma) {
			struct anon_vma *av = avc->anon_vma;

			if (av->seen[SEEN_VISITED])
				continue;
			av->seen[SEEN_VISITED] = 1;
			av->parent->seen[SEEN_CHILDREN]++;
			av->root->seen[SEEN_REFS] += av->root != av;
			nr++;
			check_anon_vma(c, av);
		}
	}
	return nr;
}

void chk_anon_vma_counts(struct chk *c, struct mm_struct *mm)
{
	struct anon_vma_chain *avc;

	for (struct vm_area_struct *vma = mm->mmap; vma; vma = vma->vm_next) {
		list_for_each_entry(avc, &vma->anon_vma_chain, same_vma) {
			struct anon_vma *av = avc->anon_vma;
			struct chk_obj obj = chk_obj(OBJ_AV, av, 0);

			if (av->seen[SEEN_VISITED] != 1)
				continue;
			av->seen[SEEN_VISITED] = 2;
			chk_eq(c, CHK_av_children, __func__, obj, av->seen[SEEN_CHILDREN],
			       av->num_children);
			chk_eq(c, CHK_av_refcount, __func__, obj, 1 + (u64)av->seen[SEEN_REFS],
			       (u64)(s64)atomic_read(&av->refcount));
			chk_true(c, CHK_shared_locks, __func__, obj,
				 !av->rwsem.readers && !av->rwsem.writer, "rwsem: free", "held");
		}
	}
}

void chk_file_vmas(struct mm_struct *mm)
{
	for (struct vm_area_struct *vma = mm->mmap; vma; vma = vma->vm_next) {
		struct file_inode *inode;

		if (!vma->vm_file)
			continue;
		inode = vma->vm_file->f_inode;
		vma->vm_file->seen[SEEN_REFERENCES]++;
		inode->seen[SEEN_VMAS]++;
		inode->seen[SEEN_SHARED] += !!(vma->vm_flags & VM_SHARED);
		inode->seen[SEEN_DENY] += !!(vma->vm_flags & VM_DENYWRITE);
	}
}

static pgoff_t vma_child_last(const struct rb_node *n)
{
	return n ? rb_entry(n, struct vm_area_struct, shared.rb)->shared.rb_subtree_last : 0;
}

void chk_mapping(struct chk *c, struct file_inode *inode)
{
	const struct address_space *mapping = &inode->i_data;
	struct chk_obj obj = chk_obj(OBJ_INODE, inode, 0);
	pgoff_t before = 0;
	u64 nodes = 0;

	chk_eq(c, CHK_i_mmap_writable, __func__, obj, inode->seen[SEEN_SHARED] - (u64)inode->sealed,
	       (u64)(s64)mapping->i_mmap_writable);
	chk_eq(c, CHK_i_writecount, __func__, obj,
	       (u64)inode->seen[SEEN_WRITERS] - inode->seen[SEEN_DENY],
	       (u64)(s64)inode->i_writecount);
	chk_true(c, CHK_shared_locks, __func__, obj,
		 !mapping->i_mmap_rwsem.readers && !mapping->i_mmap_rwsem.writer,
		 "i_mmap_rwsem: free", "held");
	if (!chk_true(c, CHK_i_mmap_shape, __func__, obj,
		      !rb_check(&mapping->i_mmap, chk_bound(c->m, CACHE_vm_area_struct), &nodes),
		      "a red-black tree", "colours, heights, parents or marks that are not of one"))
		return;
	if (!chk_eq(c, CHK_i_mmap_nodes, __func__, obj, inode->seen[SEEN_VMAS], nodes))
		return;
	for (struct rb_node *n = rb_first(&mapping->i_mmap); n; n = rb_next(n)) {
		const struct vm_area_struct *vma = rb_entry(n, struct vm_area_struct, shared.rb);
		pgoff_t last;

		if (!chk_true(c, CHK_i_mmap_nodes, __func__, obj,
			      vma->vm_file && vma->vm_file->f_inode == inode, "VMAs of this file",
			      "another one"))
			return;
		chk_true(c, CHK_i_mmap_shape, __func__, obj, before <= vma->vm_pgoff,
			 "ascending page offsets", "a descent");
		before = vma->vm_pgoff;
		last = max_u64(vma_last_pgoff(vma),
			       max_u64(vma_child_last(n->left), vma_child_last(n->right)));
		chk_eq_hex(c, CHK_i_mmap_last, __func__, obj, last, vma->shared.rb_subtree_last);
	}
}
