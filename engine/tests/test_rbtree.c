/* SPDX-License-Identifier: GPL-2.0-only */
/* The red-black tree against a sorted array, its augmentation against a recount. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <faultline/rbtree.h>

#define MAX_ITEMS 512u

struct item {
	struct rb_node rb;
	u64 key;
	u64 weight;
	u64 subtree_max;
};

static struct item *item_of(const struct rb_node *n)
{
	return rb_entry(n, struct item, rb);
}

static u64 recount(const struct rb_node *n)
{
	u64 max = item_of(n)->weight;

	if (n->left)
		max = max_u64(max, item_of(n->left)->subtree_max);
	if (n->right)
		max = max_u64(max, item_of(n->right)->subtree_max);
	return max;
}

static bool augment(struct rb_node *n)
{
	u64 old = item_of(n)->subtree_max;

	item_of(n)->subtree_max = recount(n);
	return item_of(n)->subtree_max != old;
}

static u64 next_random(u64 *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

static void insert(struct rb_root *root, struct item *it, rb_augment_fn fn)
{
	struct rb_node **link = &root->node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = it->key < item_of(parent)->key ? &parent->left : &parent->right;
	}
	rb_link_node(&it->rb, parent, link);
	rb_insert(root, &it->rb, fn);
}

/* All of the tree's rules, and that it holds exactly the items marked in. */
static void verify(const struct rb_root *root, const struct item *items, const bool *in,
		   unsigned int n, bool augmented)
{
	u64 count, expected = 0, seen = 0, last = 0;

	for (unsigned int i = 0; i < n; i++) {
		expected += in[i];
		assert_int_equal(items[i].rb.linked, in[i]);
	}
	assert_int_equal(rb_check(root, expected, &count), 0);
	assert_int_equal(count, expected);
	for (struct rb_node *r = rb_first(root); r; r = rb_next(r)) {
		assert_true(item_of(r)->key >= last);
		last = item_of(r)->key;
		seen++;
		if (augmented)
			assert_int_equal(item_of(r)->subtree_max, recount(r));
		assert_ptr_equal(rb_next(r) ? rb_prev(rb_next(r)) : rb_last(root), r);
	}
	assert_int_equal(seen, expected);
}

static void random_walk(u64 seed, unsigned int n, bool augmented)
{
	static struct item items[MAX_ITEMS];
	static bool in[MAX_ITEMS];
	rb_augment_fn fn = augmented ? augment : NULL;
	struct rb_root root = {NULL};

	memset(items, 0, sizeof(items));
	memset(in, 0, sizeof(in));
	for (unsigned int turn = 0; turn < 3000; turn++) {
		struct item *it = &items[next_random(&seed) % n];
		unsigned int i = (unsigned int)(it - items);

		if (!in[i]) {
			it->key = next_random(&seed) % (n / 2 + 1);
			it->weight = next_random(&seed) % 1000;
			it->subtree_max = next_random(&seed); /* garbage, as in a reused object */
			insert(&root, it, fn);
			in[i] = true;
		} else if (augmented && next_random(&seed) % 3 == 0) {
			it->weight = next_random(&seed) % 1000;
			rb_propagate(&it->rb, augment);
		} else {
			rb_erase(&root, &it->rb, fn);
			in[i] = false;
		}
		if (n <= 64 || turn % 16 == 0)
			verify(&root, items, in, n, augmented);
	}
	for (unsigned int i = 0; i < n; i++) {
		if (in[i])
			rb_erase(&root, &items[i].rb, fn);
		in[i] = false;
	}
	verify(&root, items, in, n, augmented);
	assert_null(root.node);
}

static void test_random(void **state)
{
	static const unsigned int sizes[] = {1, 2, 3, 5, 9, 17, 40, MAX_ITEMS};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		random_walk(i + 1, sizes[i], false);
		random_walk(i + 100, sizes[i], true);
	}
}

static void test_height(void **state)
{
	static struct item items[MAX_ITEMS];
	struct rb_root root = {NULL};

	(void)state;
	memset(items, 0, sizeof(items));
	for (unsigned int i = 0; i < MAX_ITEMS; i++) {
		items[i].key = i;
		insert(&root, &items[i], NULL);
	}
	for (unsigned int i = 0; i < MAX_ITEMS; i++) {
		unsigned int depth = 0;

		for (struct rb_node *n = &items[i].rb; n; n = n->parent)
			depth++;
		assert_true(depth <= 18); /* 2 log2(n + 1) */
	}
}

/* Each way to damage a tree is seen. */
static void test_check_fires(void **state)
{
	struct item it[7];
	struct rb_root root;
	u64 count;

	(void)state;
	for (unsigned int damage = 0; damage < 9; damage++) {
		int expected = damage ? -EUCLEAN : 0;
		struct rb_node *deep;

		memset(it, 0, sizeof(it));
		root.node = NULL;
		for (unsigned int i = 0; i < 7; i++) {
			it[i].key = i;
			insert(&root, &it[i], NULL);
		}
		deep = &it[6].rb;
		assert_null(deep->left);
		assert_null(deep->right);
		switch (damage) {
		case 1: /* red root */
			root.node->red = true;
			break;
		case 2: /* one more black on one way */
			deep->red = !deep->red;
			break;
		case 3: /* not linked */
			deep->linked = false;
			break;
		case 4: /* a child that names another parent */
			deep->parent = root.node;
			break;
		case 5: /* a cycle to the root */
			deep->right = root.node;
			break;
		case 6: /* one child on both sides */
			deep->parent->left = deep;
			break;
		case 7: /* a root with a parent */
			root.node->parent = deep;
			break;
		case 8: /* a red node below a red one */
			deep->parent->red = true;
			deep->red = true;
			break;
		default:
			break;
		}
		assert_int_equal(rb_check(&root, 7, &count), expected);
	}
	memset(it, 0, sizeof(it));
	root.node = NULL;
	for (unsigned int i = 0; i < 7; i++)
		insert(&root, &it[i], NULL);
	assert_int_equal(rb_check(&root, 6, &count), -EUCLEAN);
	assert_int_equal(rb_check(&root, 7, &count), 0);
	assert_int_equal(count, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_height),
		cmocka_unit_test(test_check_fires),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
