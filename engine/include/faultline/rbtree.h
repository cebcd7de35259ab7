/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Red-black tree with optional augmentation. The user descends, links the node and calls
 * rb_insert(); an augmented tree passes the function that recomputes one node from its children
 * (returning whether the value changed).
 */
#ifndef FAULTLINE_RBTREE_H
#define FAULTLINE_RBTREE_H

#include <faultline/types.h>

struct rb_node {
	struct rb_node *parent, *left, *right;
	bool red;
	bool linked;
};

struct rb_root {
	struct rb_node *node;
};

typedef bool (*rb_augment_fn)(struct rb_node *node);

#define rb_entry(ptr, type, field) container_of(ptr, type, field)

static inline void rb_link_node(struct rb_node *n, struct rb_node *parent, struct rb_node **link)
{
	n->parent = parent;
	n->left = n->right = NULL;
	n->red = true;
	n->linked = true;
	*link = n;
}

/* Rebalances after rb_link_node(); augment may be NULL. */
void rb_insert(struct rb_root *root, struct rb_node *n, rb_augment_fn augment);
void rb_erase(struct rb_root *root, struct rb_node *n, rb_augment_fn augment);
/* The node's own input changed: recompute it and, as far as values change, its ancestors. */
void rb_propagate(struct rb_node *n, rb_augment_fn augment);

struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *n);
struct rb_node *rb_prev(const struct rb_node *n);

/* Colours, black heights, parent links and the linked marks. 0 or -EUCLEAN; *count gets the nodes.
 */
int rb_check(const struct rb_root *root, u64 max_nodes, u64 *count);

#endif
