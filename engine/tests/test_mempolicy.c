/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory policies: errors, merges, splits, moves; fork and exit; what a refusal leaves. */
#include "mm_fixture.h"

#include <faultline/check.h>

static s64 fx_mbind(struct fixture *fx, u64 from, u64 to, u32 mode, u64 nodes)
{
	return sys_mbind(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE, mode, nodes);
}

static u64 policies(const struct fixture *fx)
{
	return fx->m->caches[CACHE_numa_policy].live;
}

static void check(struct fixture *fx)
{
	fx_check(fx);
	assert_int_equal(fl_check_machine(fx->m, NULL, NULL, NULL), 0);
}

static void assert_policy(struct fixture *fx, u64 page, u32 mode, u32 nodes)
{
	const struct mempolicy *pol = fx_vma(fx, page)->vm_policy;

	if (mode == MPOL_DEFAULT) {
		assert_null(pol);
		return;
	}
	assert_non_null(pol);
	assert_int_equal(pol->mode, mode);
	assert_int_equal(pol->nodes, nodes);
	assert_int_equal(atomic_read(&pol->refcnt), 1);
}

static void test_errors(void **state)
{
	static const struct {
		u32 mode;
		u64 nodes;
		s64 ret;
	} cases[] = {
		{MPOL_DEFAULT, 0, 0},
		{MPOL_DEFAULT, 1, -EINVAL},
		{MPOL_PREFERRED, 0, 0},
		{MPOL_PREFERRED, 6, 0},
		{MPOL_PREFERRED, 4, -EINVAL},
		{MPOL_BIND, 0, -EINVAL},
		{MPOL_BIND, 3, 0},
		{MPOL_BIND, 4, -EINVAL},
		{MPOL_INTERLEAVE, 0, -EINVAL},
		{MPOL_INTERLEAVE, 5, 0},
		{MPOL_LOCAL, 0, 0},
		{MPOL_LOCAL, 1, -EINVAL},
		{MPOL_LOCAL + 1, 1, -EINVAL},
	};
	struct fixture fx;

	(void)state;
	fx_create(&fx, "numa=2");
	fx_mmap(&fx, 0, 4, RW);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(fx_mbind(&fx, 0, 4, cases[i].mode, cases[i].nodes), cases[i].ret);
		assert_int_equal(sys_set_mempolicy(&fx.cx, cases[i].mode, cases[i].nodes),
				 cases[i].ret);
		check(&fx);
	}
	assert_int_equal(fx_mbind(&fx, 0, 4, MPOL_PREFERRED, 7), 0);
	assert_policy(&fx, 0, MPOL_PREFERRED, 1);
	assert_int_equal(fx_mbind(&fx, 0, 4, MPOL_BIND, 6), 0);
	assert_policy(&fx, 0, MPOL_BIND, 2);
	assert_int_equal(sys_mbind(&fx.cx, fx_addr(0) + 1, PAGE_SIZE, MPOL_BIND, 1), -EINVAL);
	assert_int_equal(sys_mbind(&fx.cx, fx_addr(0), ~(u64)PAGE_SIZE, MPOL_BIND, 1), -EINVAL);
	assert_int_equal(sys_mbind(&fx.cx, fx_addr(0), 0, MPOL_BIND, 0), 0);
	fx_destroy(&fx);

	fx_create(&fx, "numa=0");
	fx_mmap(&fx, 0, 4, RW);
	assert_int_equal(fx_mbind(&fx, 0, 4, MPOL_DEFAULT, 0), -ENOSYS);
	assert_int_equal(sys_set_mempolicy(&fx.cx, MPOL_DEFAULT, 0), -ENOSYS);
	fx_destroy(&fx);
}

static void test_holes(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 2, 4, RW);
	fx_mmap(&fx, 6, 8, RW);
	assert_int_equal(fx_mbind(&fx, 0, 4, MPOL_BIND, 1), -EFAULT);
	assert_int_equal(fx_mbind(&fx, 0, 4, MPOL_DEFAULT, 0), -EFAULT);
	assert_int_equal(fx_mbind(&fx, 2, 8, MPOL_BIND, 1), -EFAULT);
	assert_policy(&fx, 2, MPOL_DEFAULT, 0);
	assert_int_equal(policies(&fx), 0);
	/* one at the end is not seen, unless nothing comes after it */
	assert_int_equal(fx_mbind(&fx, 2, 6, MPOL_BIND, 1), 0);
	assert_policy(&fx, 2, MPOL_BIND, 1);
	assert_int_equal(sys_mbind(&fx.cx, fx.init->mm->highest_vm_end - PAGE_SIZE, 2 * PAGE_SIZE,
				   MPOL_BIND, 1),
			 -EFAULT);
	assert_int_equal(fx_mbind(&fx, 2, 8, MPOL_DEFAULT, 0), 0);
	assert_policy(&fx, 2, MPOL_DEFAULT, 0);
	check(&fx);
	fx_destroy(&fx);
}

/* Cases of a merge by policy: what is equal joins, what is not stays apart. */
static void test_merge(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 6, RW);
	assert_int_equal(fx_mbind(&fx, 2, 4, MPOL_BIND, 1), 0); /* two splits */
	fx_expect(&fx, "0-2 2-4 4-6");
	assert_int_equal(fx_mbind(&fx, 0, 2, MPOL_BIND, 1), 0); /* case 8 */
	fx_expect(&fx, "0-4 4-6");
	assert_policy(&fx, 0, MPOL_BIND, 1);
	assert_int_equal(fx_mbind(&fx, 4, 5, MPOL_BIND, 1), 0); /* case 5 */
	fx_expect(&fx, "0-5 5-6");
	assert_int_equal(fx_mbind(&fx, 4, 5, MPOL_DEFAULT, 0), 0); /* case 4 */
	fx_expect(&fx, "0-4 4-6");
	assert_policy(&fx, 4, MPOL_DEFAULT, 0);
	assert_int_equal(fx_mbind(&fx, 4, 6, MPOL_BIND, 1), 0); /* case 7 */
	fx_expect(&fx, "0-6");
	assert_int_equal(policies(&fx), 1);
	assert_int_equal(fx_mbind(&fx, 2, 4, MPOL_INTERLEAVE, 1), 0);
	fx_expect(&fx, "0-2 2-4 4-6");
	assert_int_equal(policies(&fx), 3);
	assert_int_equal(fx_mbind(&fx, 2, 4, MPOL_BIND, 1), 0); /* case 6 */
	fx_expect(&fx, "0-6");
	assert_int_equal(policies(&fx), 1);
	/* a new mapping has none */
	fx_mmap(&fx, 6, 8, RW);
	fx_expect(&fx, "0-6 6-8");
	/* what other calls split keeps it, and joins again */
	assert_int_equal(fx_mprotect(&fx, 2, 4, PROT_READ), 0);
	assert_int_equal(policies(&fx), 3);
	assert_int_equal(fx_mprotect(&fx, 2, 4, RW), 0);
	fx_expect(&fx, "0-6 6-8");
	assert_int_equal(policies(&fx), 1);
	/* over VMAs that have it and such that have not */
	assert_int_equal(fx_mbind(&fx, 0, 8, MPOL_BIND, 1), 0);
	fx_expect(&fx, "0-8");
	check(&fx);
	fx_destroy(&fx);
}

/* Who can reuse a neighbour's anon_vma has to be able to become one with it. */
static void test_anon_vma(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	fx_mmap(&fx, 2, 4, PROT_READ);
	assert_int_equal(fx_mbind(&fx, 2, 4, MPOL_BIND, 1), 0);
	assert_int_equal(fx_mprotect(&fx, 2, 4, RW), 0);
	fx_write(&fx, 0, 1);
	fx_write(&fx, 2, 1);
	assert_ptr_not_equal(fx_vma(&fx, 0)->anon_vma, fx_vma(&fx, 2)->anon_vma);
	check(&fx);
	fx_destroy(&fx);
}

static void test_refused(void **state)
{
	struct fixture fx;
	u64 before;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 6, RW);
	before = fl_digest(fx.m, false);
	fx.fail[SITE_mbind_policy] = true;
	assert_int_equal(fx_mbind(&fx, 2, 4, MPOL_BIND, 1), -ENOMEM);
	fx.fail[SITE_mbind_policy] = false;
	fx.fail[SITE_vma_replace_policy] = true;
	assert_int_equal(fx_mbind(&fx, 2, 4, MPOL_BIND, 1), -ENOMEM);
	fx.fail[SITE_vma_replace_policy] = false;
	assert_int_equal(fl_digest(fx.m, false), before);
	assert_int_equal(policies(&fx), 0);
	check(&fx);

	assert_int_equal(fx_mbind(&fx, 0, 6, MPOL_BIND, 1), 0);
	before = fl_digest(fx.m, false);
	fx.fail[SITE_split_vma_policy] = true;
	assert_int_equal(fx_mprotect(&fx, 2, 4, PROT_READ), -ENOMEM);
	assert_int_equal(fx_munmap(&fx, 2, 4), -ENOMEM);
	assert_int_equal(sys_madvise(&fx.cx, fx_addr(2), PAGE_SIZE, MADV_DONTFORK), -EAGAIN);
	fx.fail[SITE_split_vma_policy] = false;
	fx.fail[SITE_copy_vma_policy] = true;
	assert_int_equal(sys_mremap(&fx.cx, fx_addr(0), 6 * PAGE_SIZE, 6 * PAGE_SIZE,
				    MREMAP_MAYMOVE | MREMAP_FIXED, fx_addr(20)),
			 -ENOMEM);
	fx.fail[SITE_copy_vma_policy] = false;
	assert_int_equal(fl_digest(fx.m, false), before);
	assert_int_equal(policies(&fx), 1);
	assert_int_equal(sys_mremap(&fx.cx, fx_addr(0), 6 * PAGE_SIZE, 6 * PAGE_SIZE,
				    MREMAP_MAYMOVE | MREMAP_FIXED, fx_addr(20)),
			 (s64)fx_addr(20));
	assert_policy(&fx, 20, MPOL_BIND, 1);
	assert_int_equal(policies(&fx), 1);
	/* the chain comes after the policy */
	fx_write(&fx, 21, 1);
	before = fl_digest(fx.m, false);
	fx.fail[SITE_anon_vma_clone_nowait] = fx.fail[SITE_anon_vma_clone_avc] = true;
	assert_int_equal(fx_mprotect(&fx, 22, 24, PROT_READ), -ENOMEM);
	assert_int_equal(sys_mremap(&fx.cx, fx_addr(20), 6 * PAGE_SIZE, 6 * PAGE_SIZE,
				    MREMAP_MAYMOVE | MREMAP_FIXED, fx_addr(0)),
			 -ENOMEM);
	fx.fail[SITE_anon_vma_clone_nowait] = fx.fail[SITE_anon_vma_clone_avc] = false;
	assert_int_equal(fl_digest(fx.m, false), before);
	assert_int_equal(policies(&fx), 1);
	check(&fx);
	fx_destroy(&fx);
}

/* A merge that joins the next VMA to the range keeps what the next one had, whatever fails. */
static void test_case_8_keeps_next(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 4, RW);
	assert_int_equal(fx_mbind(&fx, 2, 4, MPOL_BIND, 1), 0);
	fx.fail[SITE_vma_replace_policy] = true;
	assert_int_equal(fx_mbind(&fx, 0, 2, MPOL_BIND, 1), 0);
	fx_expect(&fx, "0-4");
	assert_policy(&fx, 0, MPOL_BIND, 1);
	check(&fx);

	/* a merge that is given up has changed nothing */
	fx_mmap(&fx, 10, 12, PROT_READ);
	fx_mmap(&fx, 12, 14, RW);
	fx_write(&fx, 13, 1);
	fx.fail[SITE_vma_replace_policy] = false;
	assert_int_equal(fx_mbind(&fx, 12, 14, MPOL_BIND, 2), 0);
	assert_int_equal(fx_mprotect(&fx, 10, 12, RW), 0);
	fx.fail[SITE_anon_vma_clone_nowait] = fx.fail[SITE_anon_vma_clone_avc] = true;
	assert_int_equal(fx_mbind(&fx, 10, 12, MPOL_BIND, 2), 0);
	fx_expect(&fx, "0-4 10-12 12-14");
	assert_policy(&fx, 10, MPOL_BIND, 2);
	assert_policy(&fx, 12, MPOL_BIND, 2);
	check(&fx);
	fx_destroy(&fx);
}

static void test_fork(void **state)
{
	static const enum fl_site sites[] = {SITE_copy_process_policy, SITE_dup_mmap_policy,
					     SITE_anon_vma_fork_av, SITE_copy_process_pid};
	struct task_struct *child = NULL;
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 4, RW);
	assert_int_equal(fx_mbind(&fx, 0, 2, MPOL_BIND, 1), 0);
	assert_int_equal(fx_mbind(&fx, 2, 4, MPOL_LOCAL, 0), 0);
	fx_write(&fx, 1, 1);
	assert_int_equal(sys_set_mempolicy(&fx.cx, MPOL_INTERLEAVE, 3), 0);
	assert_int_equal(policies(&fx), 3);
	for (unsigned int i = 0; i < ARRAY_SIZE(sites); i++) {
		u64 before = fl_digest(fx.m, false);

		fx.fail[sites[i]] = true;
		assert_int_equal(do_fork(&fx.cx, 0, &child), -ENOMEM);
		fx.fail[sites[i]] = false;
		assert_int_equal(fl_digest(fx.m, false), before);
		assert_int_equal(policies(&fx), 3);
		check(&fx);
	}
	child = fx_fork(&fx);
	assert_int_equal(policies(&fx), 6);
	assert_ptr_not_equal(child->mempolicy, fx.init->mempolicy);
	assert_true(mpol_equal(child->mempolicy, fx.init->mempolicy));
	check(&fx);
	fx_run(&fx, child);
	assert_policy(&fx, 0, MPOL_BIND, 1);
	/* an exec ends those of the memory, not that of the task */
	fx_exec(&fx);
	assert_int_equal(policies(&fx), 4);
	assert_int_equal(sys_set_mempolicy(&fx.cx, MPOL_DEFAULT, 0), 0);
	assert_int_equal(policies(&fx), 3);
	fx.fail[SITE_set_mempolicy_policy] = true;
	assert_int_equal(sys_set_mempolicy(&fx.cx, MPOL_BIND, 1), -ENOMEM);
	assert_null(child->mempolicy);
	fx.fail[SITE_set_mempolicy_policy] = false;
	fx_exit(&fx, child);
	fx_run(&fx, fx.init);
	check(&fx);
	fx_destroy(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),	cmocka_unit_test(test_holes),
		cmocka_unit_test(test_merge),	cmocka_unit_test(test_anon_vma),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_case_8_keeps_next),
		cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
