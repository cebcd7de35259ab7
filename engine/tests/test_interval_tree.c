/* SPDX-License-Identifier: GPL-2.0-only */
/* Both interval trees against a look at every interval. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "internal.h"

#define N 96u

static u64 next_random(u64 *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

static void set_range(struct vm_area_struct *vma, pgoff_t start, u64 pages)
{
	vma->vm_pgoff = start;
	vma->vm_start = 0x10000;
	vma->vm_end = 0x10000 + (pages << PAGE_SHIFT);
}

static bool meets(const struct vm_area_struct *vma, pgoff_t start, pgoff_t last)
{
	return vma->vm_pgoff <= last && vma->vm_pgoff + vma_pages(vma) - 1 >= start;
}

static void check_query(const struct rb_root *vmas_root, const struct rb_root *avcs_root,
			const struct vm_area_struct *vmas, const struct anon_vma_chain *avcs,
			const bool *in, pgoff_t start, pgoff_t last)
{
	bool hit[N] = {false};
	pgoff_t before = 0;

	for (struct vm_area_struct *v = vma_interval_tree_first(vmas_root, start, last); v;
	     v = vma_interval_tree_next(v, start, last)) {
		assert_false(hit[v - vmas]);
		assert_true(v->vm_pgoff >= before);
		before = v->vm_pgoff;
		hit[v - vmas] = true;
	}
	for (unsigned int i = 0; i < N; i++) {
		assert_int_equal(hit[i], in[i] && meets(&vmas[i], start, last));
		hit[i] = false;
	}
	for (struct anon_vma_chain *a = anon_vma_interval_tree_first(avcs_root, start, last); a;
	     a = anon_vma_interval_tree_next(a, start, last))
		hit[a - avcs] = true;
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(hit[i], in[i] && meets(&vmas[i], start, last));
}

static void test_against_all(void **state)
{
	static struct vm_area_struct vmas[N];
	static struct anon_vma_chain avcs[N];
	bool in[N] = {false};
	struct rb_root vmas_root = {NULL}, avcs_root = {NULL};
	u64 seed = 7, count;

	(void)state;
	for (unsigned int turn = 0; turn < 4000; turn++) {
		unsigned int i = next_random(&seed) % N;
		pgoff_t start = next_random(&seed) % 256;

		if (in[i]) {
			vma_interval_tree_remove(&vmas[i], &vmas_root);
			anon_vma_interval_tree_remove(&avcs[i], &avcs_root);
		} else {
			set_range(&vmas[i], start, 1 + next_random(&seed) % 32);
			avcs[i].vma = &vmas[i];
			vma_interval_tree_insert(&vmas[i], &vmas_root);
			anon_vma_interval_tree_insert(&avcs[i], &avcs_root);
		}
		in[i] = !in[i];
		start = next_random(&seed) % 300;
		check_query(&vmas_root, &avcs_root, vmas, avcs, in, start,
			    start + next_random(&seed) % 16);
		if (turn % 64 == 0) {
			assert_int_equal(rb_check(&vmas_root, N, &count), 0);
			assert_int_equal(rb_check(&avcs_root, N, &count), 0);
			check_query(&vmas_root, &avcs_root, vmas, avcs, in, 0, ~(pgoff_t)0);
		}
	}
}

/* A fork's copy comes right after its origin, whatever else begins there. */
static void test_insert_after(void **state)
{
	static struct vm_area_struct vmas[N];
	struct rb_root root = {NULL};
	unsigned int n = 4;
	u64 seed = 3, count;

	(void)state;
	for (unsigned int i = 0; i < n; i++) {
		set_range(&vmas[i], 10, 1 + i);
		vma_interval_tree_insert(&vmas[i], &root);
	}
	while (n < N) {
		struct vm_area_struct *prev = &vmas[next_random(&seed) % n];

		set_range(&vmas[n], prev->vm_pgoff, vma_pages(prev));
		vma_interval_tree_insert_after(&vmas[n], prev, &root);
		assert_ptr_equal(rb_next(&prev->shared.rb), &vmas[n].shared.rb);
		n++;
		assert_int_equal(rb_check(&root, n, &count), 0);
		assert_int_equal(count, n);
	}
	for (pgoff_t at = 8; at < 16; at++) {
		unsigned int found = 0, expected = 0;

		for (struct vm_area_struct *v = vma_interval_tree_first(&root, at, at); v;
		     v = vma_interval_tree_next(v, at, at))
			found++;
		for (unsigned int i = 0; i < N; i++)
			expected += meets(&vmas[i], at, at);
		assert_int_equal(found, expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_all),
		cmocka_unit_test(test_insert_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
