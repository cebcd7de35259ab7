/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Red-black tree. A missing child counts as black; every way from the root to a missing child meets
 * as many black nodes; a red node has no red child.
 */
#include <faultline/rbtree.h>

static bool is_red(const struct rb_node *n)
{
	return n && n->red;
}

/* Puts n (may be NULL) where old hangs; old keeps its own pointers. */
static void replace_child(struct rb_root *root, struct rb_node *old, struct rb_node *n)
{
	struct rb_node *parent = old->parent;

	if (!parent)
		root->node = n;
	else if (parent->left == old)
		parent->left = n;
	else
		parent->right = n;
	if (n)
		n->parent = parent;
}

/*
 * The child of `top` on the given side becomes its parent. The two change places, so the new top's
 * value is the old top's, and nothing above them needs recomputing.
 */
static void rotate(struct rb_root *root, struct rb_node *top, bool right_up, rb_augment_fn augment)
{
	struct rb_node *up = right_up ? top->right : top->left;
	struct rb_node *inner = right_up ? up->left : up->right;

	replace_child(root, top, up);
	if (right_up) {
		up->left = top;
		top->right = inner;
	} else {
		up->right = top;
		top->left = inner;
	}
	top->parent = up;
	if (inner)
		inner->parent = top;
	if (augment) {
		augment(top);
		augment(up);
	}
}

void rb_propagate(struct rb_node *n, rb_augment_fn augment)
{
	while (n && augment(n))
		n = n->parent;
}

void rb_insert(struct rb_root *root, struct rb_node *n, rb_augment_fn augment)
{
	if (augment) {
		/* The new node's old value means nothing, so its parent is looked at in any case.
		 */
		augment(n);
		rb_propagate(n->parent, augment);
	}

	while (is_red(n->parent)) {
		struct rb_node *parent = n->parent;
		struct rb_node *grand = parent->parent;
		bool parent_right = grand->right == parent;
		struct rb_node *uncle = parent_right ? grand->left : grand->right;

		if (is_red(uncle)) {
			parent->red = uncle->red = false;
			grand->red = true;
			n = grand;
			continue;
		}
		if ((parent->right == n) != parent_right) {
			rotate(root, parent, !parent_right, augment);
			parent = n;
		}
		parent->red = false;
		grand->red = true;
		rotate(root, grand, parent_right, augment);
		break;
	}
	root->node->red = false;
}

/* The subtree n (may be NULL) below parent is one black node short. */
static void erase_rebalance(struct rb_root *root, struct rb_node *n, struct rb_node *parent,
			    rb_augment_fn augment)
{
	while (parent && !is_red(n)) {
		bool sib_right = parent->left == n;
		struct rb_node *sib = sib_right ? parent->right : parent->left;
		struct rb_node *near, *far;

		if (sib->red) {
			sib->red = false;
			parent->red = true;
			rotate(root, parent, sib_right, augment);
			sib = sib_right ? parent->right : parent->left;
		}
		near = sib_right ? sib->left : sib->right;
		far = sib_right ? sib->right : sib->left;
		if (!is_red(near) && !is_red(far)) {
			sib->red = true;
			n = parent;
			parent = n->parent;
			continue;
		}
		if (!is_red(far)) {
			near->red = false;
			sib->red = true;
			rotate(root, sib, !sib_right, augment);
			far = sib;
			sib = near;
		}
		sib->red = parent->red;
		parent->red = far->red = false;
		rotate(root, parent, sib_right, augment);
		return;
	}
	if (n)
		n->red = false;
}

void rb_erase(struct rb_root *root, struct rb_node *n, rb_augment_fn augment)
{
	struct rb_node *child, *parent; /* where a node went missing */
	struct rb_node *moved = NULL;
	bool lost_black;

	if (n->left && n->right) {
		/* The successor, which has no left child, takes n's place and colour. */
		moved = n->right;
		while (moved->left)
			moved = moved->left;
		child = moved->right;
		parent = moved->parent == n ? moved : moved->parent;
		lost_black = !moved->red;

		if (parent != moved) {
			replace_child(root, moved, child);
			moved->right = n->right;
			moved->right->parent = moved;
		}
		replace_child(root, n, moved);
		moved->left = n->left;
		moved->left->parent = moved;
		moved->red = n->red;
	} else {
		child = n->left ? n->left : n->right;
		parent = n->parent;
		lost_black = !n->red;
		replace_child(root, n, child);
	}

	if (augment) {
		struct rb_node *from = parent;

		if (moved) {
			/*
			 * Up to the moved node all is recomputed: its value is still that of its
			 * former place, so comparing with it would say nothing.
			 */
			for (; from != moved; from = from->parent)
				augment(from);
			augment(moved);
			from = moved->parent;
		}
		rb_propagate(from, augment);
	}
	if (lost_black)
		erase_rebalance(root, child, parent, augment);

	n->parent = n->left = n->right = NULL;
	n->linked = false;
}

struct rb_node *rb_first(const struct rb_root *root)
{
	struct rb_node *n = root->node;

	while (n && n->left)
		n = n->left;
	return n;
}

struct rb_node *rb_last(const struct rb_root *root)
{
	struct rb_node *n = root->node;

	while (n && n->right)
		n = n->right;
	return n;
}

struct rb_node *rb_next(const struct rb_node *n)
{
	if (n->right) {
		n = n->right;
		while (n->left)
			n = n->left;
		return (struct rb_node *)n;
	}
	while (n->parent && n->parent->right == n)
		n = n->parent;
	return n->parent;
}

struct rb_node *rb_prev(const struct rb_node *n)
{
	if (n->left) {
		n = n->left;
		while (n->right)
			n = n->right;
		return (struct rb_node *)n;
	}
	while (n->parent && n->parent->left == n)
		n = n->parent;
	return n->parent;
}

static bool node_ok(const struct rb_node *n)
{
	if (!n->linked)
		return false;
	if (n->left && (n->left->parent != n || n->left == n->right))
		return false;
	if (n->right && n->right->parent != n)
		return false;
	return !n->red || (!is_red(n->left) && !is_red(n->right));
}

int rb_check(const struct rb_root *root, u64 max_nodes, u64 *count)
{
	const struct rb_node *n = root->node, *from = NULL;
	u64 black = 0, black_at_leaf = 0, nodes = 0;

	*count = 0;
	if (!n)
		return 0;
	if (n->parent || n->red)
		return -EUCLEAN;

	/*
	 * A child is entered only if it names its parent, so the way back is the way down, and a
	 * node has one way down to it.
	 */
	while (n) {
		if (from == n->parent) {
			if (++nodes > max_nodes || !node_ok(n))
				return -EUCLEAN;
			black += !n->red;
			if (!n->left || !n->right) {
				if (!black_at_leaf)
					black_at_leaf = black;
				if (black != black_at_leaf)
					return -EUCLEAN;
			}
			if (n->left || n->right) {
				from = n;
				n = n->left ? n->left : n->right;
				continue;
			}
		} else if (from == n->left && n->right) {
			from = n;
			n = n->right;
			continue;
		}
		black -= !n->red;
		from = n;
		n = n->parent;
	}
	*count = nodes;
	return 0;
}
