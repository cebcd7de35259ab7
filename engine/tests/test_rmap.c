/* SPDX-License-Identifier: GPL-2.0-only */
/* anon_vmas: prepare, clone, fork, unlink, and each of their ways to fail. */
#include "mm_fixture.h"

static unsigned int chain_length(const struct vm_area_struct *vma)
{
	const struct anon_vma_chain *avc;
	unsigned int n = 0;

	list_for_each_entry(avc, &vma->anon_vma_chain, same_vma)
		n++;
	return n;
}

static void test_prepare(void **state)
{
	struct vm_area_struct *a, *b;
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	a = fx_vma(&fx, 0);
	assert_int_equal(fx_read(&fx, 0), 0); /* the zero page needs no anon_vma */
	assert_null(a->anon_vma);
	fx_write(&fx, 0, 1);
	assert_non_null(a->anon_vma);
	assert_int_equal(a->anon_vma->num_children, 1);
	assert_int_equal(a->anon_vma->num_active_vmas, 1);
	assert_int_equal(chain_length(a), 1);

	/* A neighbour that could become one with it some day shares its anon_vma... */
	fx_mmap(&fx, 2, 4, RW | PROT_EXEC);
	b = fx_vma(&fx, 2);
	fx_write(&fx, 2, 2);
	assert_ptr_equal(b->anon_vma, a->anon_vma);
	assert_int_equal(a->anon_vma->num_active_vmas, 2);
	fx_check(&fx);
	/* ...one that lies apart does not. */
	fx_mmap(&fx, 5, 6, RW);
	fx_write(&fx, 5, 3);
	assert_ptr_not_equal(fx_vma(&fx, 5)->anon_vma, a->anon_vma);
	fx_check(&fx);
	assert_int_equal(fx_mprotect(&fx, 2, 4, RW), 0);
	fx_expect(&fx, "0-4 5-6");
	fx_destroy(&fx);
}

/* A file's private VMA is no future part of an anonymous one, even if all the rest agrees. */
static void test_prepare_beside_file(void **state)
{
	const u64 offset = fx_addr(2);
	struct fixture fx;
	struct file *file;
	s64 ret;

	(void)state;
	fx_create(&fx, NULL);
	file = file_create(&fx.cx, 2 * offset / PAGE_SIZE, FMODE_READ | FMODE_EXEC);
	fx_mmap(&fx, 0, 2, RW);
	fx_write(&fx, 0, 1);
	ret = sys_mmap(&fx.cx, fx_addr(2), 2 * PAGE_SIZE, RW, MAP_PRIVATE | MAP_FIXED, file,
		       offset);
	assert_int_equal(ret, fx_addr(2));
	assert_int_equal(fx_vma(&fx, 2)->vm_pgoff, fx_vma(&fx, 0)->vm_pgoff + 2);
	fx_write(&fx, 2, 2);
	assert_ptr_not_equal(fx_vma(&fx, 2)->anon_vma, fx_vma(&fx, 0)->anon_vma);
	fx_expect(&fx, "0-2 2-4");
	file_close(&fx.cx, file);
	fx_destroy(&fx);
}

static void test_prepare_fails(void **state)
{
	static const enum fl_site sites[] = {SITE_anon_vma_prepare_avc, SITE_anon_vma_prepare_av};
	struct fixture fx;
	u64 live[2], tag = 5;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	live[0] = fx.m->caches[CACHE_anon_vma].live;
	live[1] = fx.m->caches[CACHE_anon_vma_chain].live;
	for (unsigned int i = 0; i < ARRAY_SIZE(sites); i++) {
		fx.fail[sites[i]] = true;
		assert_int_equal(access_user(&fx.cx, fx_addr(0), true, &tag), ACCESS_OOM);
		fx.fail[sites[i]] = false;
		assert_null(fx_vma(&fx, 0)->anon_vma);
		assert_int_equal(fx.m->caches[CACHE_anon_vma].live, live[0]);
		assert_int_equal(fx.m->caches[CACHE_anon_vma_chain].live, live[1]);
		fx_check(&fx);
	}
	fx_write(&fx, 0, 1);
	fx_destroy(&fx);
}

/* Its own anon_vma first, then its parent's, the root's last. */
static void check_order(const struct vm_area_struct *vma)
{
	const struct anon_vma_chain *avc;
	const struct anon_vma *expected = vma->anon_vma;

	list_for_each_entry(avc, &vma->anon_vma_chain, same_vma) {
		assert_ptr_equal(avc->anon_vma, expected);
		expected = expected->parent;
	}
	assert_ptr_equal(expected, vma->anon_vma->root);
}

static void test_fork(void **state)
{
	struct vm_area_struct *pvma, *cvma;
	struct task_struct *child, *grandchild;
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	fx_mmap(&fx, 4, 6, RW);
	fx_write(&fx, 0, 1);
	pvma = fx_vma(&fx, 0);
	child = fx_fork(&fx);
	fx_run(&fx, child);
	cvma = fx_vma(&fx, 0);
	assert_ptr_not_equal(cvma->anon_vma, pvma->anon_vma);
	assert_ptr_equal(cvma->anon_vma->parent, pvma->anon_vma);
	assert_ptr_equal(cvma->anon_vma->root, pvma->anon_vma->root);
	assert_int_equal(chain_length(cvma), 2);
	assert_ptr_equal(
		list_first_entry(&cvma->anon_vma_chain, struct anon_vma_chain, same_vma)->anon_vma,
		cvma->anon_vma);
	assert_null(fx_vma(&fx, 4)->anon_vma);
	fx_check(&fx);
	grandchild = fx_fork(&fx);
	fx_check(&fx);

	/* In any order of death the family stays in order, and the root last. */
	fx_exit(&fx, fx.init);
	fx_run(&fx, grandchild);
	assert_int_equal(chain_length(fx_vma(&fx, 0)), 3);
	check_order(fx_vma(&fx, 0));
	assert_int_equal(fx_read(&fx, 0), 1);
	fx_exit(&fx, child);
	fx_run(&fx, grandchild);
	assert_int_equal(fx_read(&fx, 0), 1);
	fx_write(&fx, 0, 2);
	fx_destroy(&fx);
}

/* A family that forks for ever, the parent dying each time, keeps its lists short. */
static void test_reuse(void **state)
{
	struct task_struct *child;
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	fx_write(&fx, 0, 1);
	for (unsigned int i = 0; i < 20; i++) {
		struct task_struct *parent = fx.cx.curr;

		child = fx_fork(&fx);
		fx_check(&fx);
		fx_exit(&fx, parent);
		fx_run(&fx, child);
		fx_write(&fx, 0, i);
		fx_check(&fx);
		assert_true(chain_length(fx_vma(&fx, 0)) <= 3);
	}
	fx_destroy(&fx);
}

/*
 * An anon_vma that was taken over once has no child of its own, yet somebody makes pages under it:
 * it must not be given away a second time (B-06).
 */
static void test_reuse_only_once(void **state)
{
	struct task_struct *a, *b, *c;
	struct anon_vma *taken;
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	fx_write(&fx, 0, 1);
	a = fx_fork(&fx);
	fx_run(&fx, a);
	taken = fx_vma(&fx, 0)->anon_vma;
	b = fx_fork(&fx);
	fx_exit(&fx, a); /* a's own anon_vma stays for b's sake, without a VMA */
	fx_run(&fx, b);
	c = fx_fork(&fx);
	fx_run(&fx, c);
	assert_ptr_equal(fx_vma(&fx, 0)->anon_vma, taken);
	fx_check(&fx);
	fx_run(&fx, b);
	c = fx_fork(&fx);
	fx_run(&fx, c);
	assert_ptr_not_equal(fx_vma(&fx, 0)->anon_vma, taken);
	fx_check(&fx);
	fx_destroy(&fx);
}

static void test_fork_fails(void **state)
{
	static const enum fl_site sites[] = {SITE_anon_vma_clone_avc, SITE_anon_vma_fork_av,
					     SITE_anon_vma_fork_avc};
	struct task_struct *child = NULL;
	struct fixture fx;
	u64 live[2];

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	fx_write(&fx, 0, 1);
	child = fx_fork(&fx);
	fx_run(&fx, child);
	fx_write(&fx, 1, 1);
	live[0] = fx.m->caches[CACHE_anon_vma].live;
	live[1] = fx.m->caches[CACHE_anon_vma_chain].live;
	for (unsigned int i = 0; i < ARRAY_SIZE(sites); i++) {
		struct task_struct *none = NULL;

		fx.fail[SITE_anon_vma_clone_nowait] = true;
		fx.fail[sites[i]] = true;
		assert_int_equal(do_fork(&fx.cx, 0, &none), -ENOMEM);
		assert_null(none);
		memset(fx.fail, 0, sizeof(fx.fail));
		assert_int_equal(fx.m->caches[CACHE_anon_vma].live, live[0]);
		assert_int_equal(fx.m->caches[CACHE_anon_vma_chain].live, live[1]);
		fx_check(&fx);
	}
	/* The first attempt alone is not missed. */
	fx.fail[SITE_anon_vma_clone_nowait] = true;
	fx_fork(&fx);
	fx_check(&fx);
	fx_destroy(&fx);
}

/* A clone that fails half way takes away what it did. */
static void test_clone_unwinds(void **state)
{
	struct task_struct *child;
	struct fixture fx;
	u64 live;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 6, RW);
	fx_write(&fx, 0, 1);
	child = fx_fork(&fx);
	fx_run(&fx, child);
	assert_int_equal(chain_length(fx_vma(&fx, 0)), 2);
	live = fx.m->caches[CACHE_anon_vma_chain].live;
	for (u64 seed = 0; seed < 16; seed++) {
		s64 ret;

		fx.seed = seed * 977;
		fx.fail[SITE_anon_vma_clone_nowait] = true;
		fx.random_fail = 2;
		ret = fx_mprotect(&fx, 2, 4, PROT_READ);
		fx.random_fail = 0;
		memset(fx.fail, 0, sizeof(fx.fail));
		fx_check(&fx);
		if (!ret)
			assert_int_equal(fx.m->caches[CACHE_anon_vma_chain].live, live + 4);
		/* A first cut may have stayed; a change and its reverse join the pieces. */
		assert_int_equal(fx_mprotect(&fx, 0, 6, PROT_READ), 0);
		assert_int_equal(fx_mprotect(&fx, 0, 6, RW), 0);
		fx_expect(&fx, "0-6");
		assert_int_equal(fx.m->caches[CACHE_anon_vma_chain].live, live);
	}
	fx_destroy(&fx);
}

static void test_mapcount_fires(void **state)
{
	struct page page = {._mapcount = 1};
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	page_add_rmap(&page);
	assert_int_equal(page._mapcount, 2);
	page_remove_rmap(&fx.cx, &page);
	page_remove_rmap(&fx.cx, &page);
	fx.expect_bug = true;
	if (!setjmp(fx.bug_jmp)) {
		page_remove_rmap(&fx.cx, &page);
		fail_msg("a mapcount below zero went unseen");
	}
	assert_int_equal(fx.bug_kind, FL_BUG_REFCOUNT);
	fx.expect_bug = false;
	fx_destroy(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prepare),	       cmocka_unit_test(test_prepare_beside_file),
		cmocka_unit_test(test_prepare_fails),  cmocka_unit_test(test_fork),
		cmocka_unit_test(test_reuse),	       cmocka_unit_test(test_reuse_only_once),
		cmocka_unit_test(test_fork_fails),     cmocka_unit_test(test_clone_unwinds),
		cmocka_unit_test(test_mapcount_fires),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
