/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory cgroups: who is charged for what, until when, and what a refused charge leaves. */
#include "mm_fixture.h"

#include <faultline/check.h>

static u64 usage(const struct fixture *fx, unsigned int group)
{
	return fx->m->memcgs[group].usage;
}

static void check(struct fixture *fx)
{
	fx_check(fx);
	assert_int_equal(fl_check_machine(fx->m, NULL, NULL, NULL), 0);
}

static enum access_result fx_store(struct fixture *fx, u64 page, u64 tag)
{
	return access_user(&fx->cx, fx_addr(page), true, &tag);
}

/* One round: refused, then not. */
static void store_refused(struct fixture *fx, enum fl_site site, u64 page)
{
	u64 before = fl_digest(fx->m, false), asked = fx->asked[site];

	fx->fail[site] = true;
	assert_int_equal(fx_store(fx, page, 99), ACCESS_OOM);
	fx->fail[site] = false;
	assert_int_equal(fl_digest(fx->m, false), before);
	assert_int_equal(fx->asked[site], asked + 1);
	check(fx);
}

static void test_attach(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	assert_int_equal(sys_cgroup_attach(&fx.cx, NR_MEMCGS), -EINVAL);
	fx_mmap(&fx, 0, 8, RW);
	/* the root is not counted, and cannot refuse */
	fx_write(&fx, 0, 1);
	assert_int_equal(usage(&fx, 0), 0);
	assert_int_equal(fx.asked[SITE_anon_charge], 0);
	assert_int_equal(sys_cgroup_attach(&fx.cx, 1), 0);
	fx_write(&fx, 1, 1);
	assert_int_equal(usage(&fx, 1), 1);
	/* what was charged stays where it was */
	assert_int_equal(sys_cgroup_attach(&fx.cx, 2), 0);
	fx_write(&fx, 2, 1);
	fx_write(&fx, 3, 1);
	assert_int_equal(usage(&fx, 1), 1);
	assert_int_equal(usage(&fx, 2), 2);
	check(&fx);
	assert_int_equal(fx_munmap(&fx, 0, 3), 0);
	assert_int_equal(usage(&fx, 1), 0);
	assert_int_equal(usage(&fx, 2), 1);
	check(&fx);
	fx_destroy(&fx);

	fx_create(&fx, "memcg=0");
	assert_int_equal(sys_cgroup_attach(&fx.cx, 1), -ENOSYS);
	fx_mmap(&fx, 0, 2, RW);
	fx_write(&fx, 0, 1);
	check(&fx);
	fx_destroy(&fx);
}

static void test_refused(void **state)
{
	struct task_struct *child;
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	assert_int_equal(sys_cgroup_attach(&fx.cx, 1), 0);
	fx_mmap(&fx, 0, 4, RW);
	store_refused(&fx, SITE_anon_charge, 0);
	assert_int_equal(usage(&fx, 1), 0);
	fx_write(&fx, 0, 1);
	fx_read(&fx, 1);
	store_refused(&fx, SITE_cow_charge, 1); /* from the page of zeroes */
	child = fx_fork(&fx);
	assert_int_equal(child->memcg, 1);
	assert_int_equal(usage(&fx, 1), 1);
	store_refused(&fx, SITE_cow_charge, 0);
	fx_write(&fx, 0, 2);
	assert_int_equal(usage(&fx, 1), 2);
	/* a page of a file that becomes private */
	{
		struct file *file = file_create(&fx.cx, 2, FMODE_READ);

		assert_int_equal(sys_mmap(&fx.cx, fx_addr(8), PAGE_SIZE, RW,
					  MAP_PRIVATE | MAP_FIXED, file, 0),
				 fx_addr(8));
		store_refused(&fx, SITE_cow_charge, 8);
		fx_write(&fx, 8, 3);
		assert_int_equal(usage(&fx, 1), 3);
		assert_int_equal(fx_munmap(&fx, 8, 9), 0);
		file_close(&fx.cx, file);
	}
	fx_exit(&fx, child);
	fx_run(&fx, fx.init);
	assert_int_equal(usage(&fx, 1), 1);
	check(&fx);
	fx_destroy(&fx);
}

static void test_limit(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, "limit_memcg=2");
	assert_int_equal(sys_cgroup_attach(&fx.cx, 1), 0);
	fx_mmap(&fx, 0, 4, RW);
	fx_write(&fx, 0, 1);
	fx_write(&fx, 1, 1);
	assert_int_equal(fx_store(&fx, 2, 1), ACCESS_OOM);
	assert_int_equal(fx_munmap(&fx, 0, 1), 0);
	fx_write(&fx, 2, 1);
	assert_int_equal(fx_store(&fx, 3, 1), ACCESS_OOM);
	assert_int_equal(sys_cgroup_attach(&fx.cx, 2), 0);
	fx_write(&fx, 3, 1);
	check(&fx);
	fx_destroy(&fx);
}

/* It is the owner's group that counts, not that of who faults, and a new owner's from then on. */
static void test_owner(void **state)
{
	struct task_struct *thread = NULL;
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 8, RW);
	assert_int_equal(sys_cgroup_attach(&fx.cx, 1), 0);
	assert_int_equal(do_fork(&fx.cx, CLONE_VM, &thread), 0);
	fx_run(&fx, thread);
	assert_int_equal(sys_cgroup_attach(&fx.cx, 2), 0);
	fx_write(&fx, 0, 1);
	assert_int_equal(usage(&fx, 1), 1);
	assert_int_equal(usage(&fx, 2), 0);
	fx_exit(&fx, fx.init);
	fx_run(&fx, thread);
	assert_ptr_equal(thread->mm->owner, thread);
	fx_write(&fx, 1, 1);
	assert_int_equal(usage(&fx, 1), 1);
	assert_int_equal(usage(&fx, 2), 1);
	check(&fx);
	fx_destroy(&fx);
}

/* A huge page is charged as a whole, and so are its parts. */
static void test_huge(void **state)
{
	struct task_struct *child;
	struct fixture fx;
	u64 nr;

	(void)state;
	fx_create(&fx, "thp=always limit_memcg=1200");
	nr = hpage_nr(fx.m);
	assert_int_equal(sys_cgroup_attach(&fx.cx, 1), 0);
	fx_mmap(&fx, 0, 2 * nr, RW);
	/* refused, the fault takes a small page */
	fx.fail[SITE_huge_charge] = true;
	fx_write(&fx, 0, 1);
	fx.fail[SITE_huge_charge] = false;
	assert_int_equal(usage(&fx, 1), 1);
	check(&fx);
	fx_write(&fx, nr, 1);
	assert_int_equal(usage(&fx, 1), 1 + nr);
	check(&fx);
	/* the second one is over the limit after this: small ones as well */
	child = fx_fork(&fx);
	fx_run(&fx, child);
	fx_write(&fx, nr + 3, 2);
	assert_int_equal(usage(&fx, 1), 1 + 2 * nr);
	check(&fx);
	fx_run(&fx, fx.init);
	fx_write(&fx, nr + 3, 3);
	assert_int_equal(usage(&fx, 1), 1 + 2 * nr);
	assert_int_equal(fx_munmap(&fx, nr, nr + 1), 0); /* split */
	assert_int_equal(usage(&fx, 1), 2 * nr);
	check(&fx);
	/* gathered again, it is charged first and the small ones are let go */
	fx.fail[SITE_collapse_charge] = true;
	fx_exit(&fx, child);
	fx_run(&fx, fx.init);
	fx_write(&fx, 0, 1);
	assert_int_equal(khugepaged_step(&fx.cx, fx_addr(0)), -ENOMEM);
	fx.fail[SITE_collapse_charge] = false;
	assert_int_equal(usage(&fx, 1), nr);
	assert_int_equal(khugepaged_step(&fx.cx, fx_addr(0)), 0);
	assert_int_equal(usage(&fx, 1), 2 * nr - 1);
	check(&fx);
	fx_destroy(&fx);
}

/* No charge for a second huge page: small ones; none for those: only the one that is written. */
static void test_huge_cow(void **state)
{
	struct task_struct *child;
	struct fixture fx;
	u64 nr;

	(void)state;
	fx_create(&fx, "thp=always");
	nr = hpage_nr(fx.m);
	assert_int_equal(sys_cgroup_attach(&fx.cx, 1), 0);
	for (unsigned int i = 0; i < 2; i++) {
		fx_mmap(&fx, 0, nr, RW);
		fx_write(&fx, 0, 1);
		child = fx_fork(&fx);
		fx.fail[SITE_huge_cow_charge] = true;
		fx.fail[SITE_huge_cow_small_charge] = i;
		fx_write(&fx, 3, 2);
		fx.fail[SITE_huge_cow_charge] = fx.fail[SITE_huge_cow_small_charge] = false;
		assert_int_equal(usage(&fx, 1), i ? nr + 1 : 2 * nr);
		check(&fx);
		fx_exit(&fx, child);
		fx_run(&fx, fx.init);
		assert_int_equal(usage(&fx, 1), nr);
		assert_int_equal(fx_munmap(&fx, 0, nr), 0);
		assert_int_equal(usage(&fx, 1), 0);
	}
	check(&fx);
	fx_destroy(&fx);
}

static void test_swap(void **state)
{
	struct fixture fx;
	u64 tag = 0, before;

	(void)state;
	fx_create(&fx, "swap=16");
	assert_int_equal(sys_cgroup_attach(&fx.cx, 1), 0);
	fx_mmap(&fx, 0, 4, RW);
	fx_write(&fx, 0, 1);
	fx_write(&fx, 1, 2);
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(0)), 0);
	assert_int_equal(usage(&fx, 1), 1);
	before = fl_digest(fx.m, false);
	fx.fail[SITE_swap_charge] = true;
	assert_int_equal(access_user(&fx.cx, fx_addr(0), false, &tag), ACCESS_OOM);
	fx.fail[SITE_swap_charge] = false;
	assert_int_equal(fl_digest(fx.m, false), before);
	assert_int_equal(usage(&fx, 1), 1);
	check(&fx);
	/* it has been read in, but it is nobody's until it is mapped */
	assert_int_equal(fx_read(&fx, 0), 1);
	assert_int_equal(usage(&fx, 1), 2);
	check(&fx);
	/* charged once, also when it leaves the tables and comes back from the cache */
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(0)), 0);
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(1)), 0);
	assert_int_equal(usage(&fx, 1), 0);
	before = fl_digest(fx.m, false);
	fx.fail[SITE_swapoff_charge] = true;
	assert_int_equal(sys_swapoff(&fx.cx), -ENOMEM);
	fx.fail[SITE_swapoff_charge] = false;
	assert_int_equal(fl_digest(fx.m, false), before);
	check(&fx);
	assert_int_equal(sys_swapoff(&fx.cx), 0);
	assert_int_equal(usage(&fx, 1), 2);
	assert_int_equal(fx_read(&fx, 1), 2);
	check(&fx);
	fx_destroy(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attach), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limit),  cmocka_unit_test(test_owner),
		cmocka_unit_test(test_huge),   cmocka_unit_test(test_huge_cow),
		cmocka_unit_test(test_swap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
