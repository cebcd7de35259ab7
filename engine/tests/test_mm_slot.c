/* SPDX-License-Identifier: GPL-2.0-only */
/* Slots of ksmd and khugepaged: who gets one, what it holds, when it goes. */
#include "mm_fixture.h"

#include <faultline/check.h>

static s64 fx_madvise(struct fixture *fx, u64 from, u64 to, u32 advice)
{
	return sys_madvise(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE, advice);
}

static s32 count_of(const struct mm_struct *mm)
{
	return atomic_read(&mm->mm_count);
}

static u64 slots_of(const struct fixture *fx, enum mm_daemon_id id)
{
	return fx->m->caches[id == KSMD ? CACHE_ksm_mm_slot : CACHE_khugepaged_mm_slot].live;
}

static void check(struct fixture *fx)
{
	fx_check(fx);
	assert_int_equal(fl_check_machine(fx->m, NULL, NULL, NULL), 0);
}

static void test_mergeable(void **state)
{
	struct mm_struct *mm;
	struct fixture fx;
	u64 before;

	(void)state;
	fx_create(&fx, NULL);
	mm = fx.init->mm;
	fx_mmap(&fx, 0, 4, RW);
	before = fl_digest(fx.m, false);
	fx.fail[SITE_ksm_madvise_slot] = true;
	assert_int_equal(fx_madvise(&fx, 1, 2, MADV_MERGEABLE), -EAGAIN);
	assert_int_equal(fl_digest(fx.m, false), before);
	assert_int_equal(count_of(mm), 1);
	fx_expect(&fx, "0-4");
	fx.fail[SITE_ksm_madvise_slot] = false;

	/* the slot stays when the VMA then cannot be split */
	fx.fail[SITE_split_vma_vma] = true;
	assert_int_equal(fx_madvise(&fx, 1, 2, MADV_MERGEABLE), -EAGAIN);
	assert_int_equal(fl_digest(fx.m, false), before);
	assert_int_equal(slots_of(&fx, KSMD), 1);
	fx.fail[SITE_split_vma_vma] = false;

	assert_int_equal(fx_madvise(&fx, 1, 2, MADV_MERGEABLE), 0);
	fx_expect(&fx, "0-1 1-2 2-4");
	assert_true(fx_vma(&fx, 1)->vm_flags & VM_MERGEABLE);
	assert_int_equal(count_of(mm), 2);
	assert_true(mm->flags & MMF_VM_MERGEABLE);
	/* one slot is enough for all of it */
	assert_int_equal(fx_madvise(&fx, 0, 2, MADV_MERGEABLE), 0);
	assert_int_equal(fx.asked[SITE_ksm_madvise_slot], 2);
	fx_expect(&fx, "0-2 2-4");
	/* taking the advice back leaves the mm to the daemon */
	assert_int_equal(fx_madvise(&fx, 0, 2, MADV_UNMERGEABLE), 0);
	fx_expect(&fx, "0-4");
	assert_int_equal(slots_of(&fx, KSMD), 1);
	check(&fx);
	ksmd_scan(&fx.cx);
	assert_int_equal(slots_of(&fx, KSMD), 1);
	ksmd_scan(&fx.cx);
	assert_int_equal(slots_of(&fx, KSMD), 0);
	assert_int_equal(count_of(mm), 1);
	assert_false(mm->flags & MMF_VM_MERGEABLE);
	check(&fx);
	fx_destroy(&fx);
}

static void test_mergeable_refused(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, "ksm=0");
	fx_mmap(&fx, 0, 2, RW);
	assert_int_equal(fx_madvise(&fx, 0, 2, MADV_MERGEABLE), -EINVAL);
	assert_int_equal(fx_madvise(&fx, 0, 2, MADV_UNMERGEABLE), -EINVAL);
	fx_destroy(&fx);

	fx_create(&fx, NULL);
	assert_int_equal(sys_mmap(&fx.cx, fx_addr(0), PAGE_SIZE, RW,
				  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 fx_addr(0));
	assert_int_equal(fx_madvise(&fx, 0, 1, MADV_MERGEABLE), 0);
	assert_false(fx_vma(&fx, 0)->vm_flags & VM_MERGEABLE);
	assert_int_equal(slots_of(&fx, KSMD), 0);
	assert_int_equal(fx_madvise(&fx, 0, 1, MADV_UNMERGEABLE), 0);
	sys_munmap(&fx.cx, fx_addr(0), PAGE_SIZE);
	fx_destroy(&fx);
}

static void test_fork(void **state)
{
	static const enum fl_site sites[] = {SITE_ksm_fork_slot, SITE_khugepaged_fork_slot,
					     SITE_dup_mmap_vma};
	struct task_struct *child = NULL;
	struct fixture fx;

	(void)state;
	fx_create(&fx, "thp=always");
	fx_mmap(&fx, 0, 2048, RW);
	assert_int_equal(fx_madvise(&fx, 0, 2, MADV_MERGEABLE), 0);
	fx_write(&fx, 600, 1);
	assert_int_equal(slots_of(&fx, KSMD), 1);
	assert_int_equal(slots_of(&fx, KHUGEPAGED), 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(sites); i++) {
		u64 before = fl_digest(fx.m, false);

		fx.fail[sites[i]] = true;
		assert_int_equal(do_fork(&fx.cx, 0, &child), -ENOMEM);
		fx.fail[sites[i]] = false;
		assert_int_equal(fl_digest(fx.m, false), before);
		assert_int_equal(slots_of(&fx, KSMD), 1);
		assert_int_equal(slots_of(&fx, KHUGEPAGED), 1);
		check(&fx);
	}
	assert_int_equal(fx.asked[SITE_ksm_fork_slot], 3);
	assert_int_equal(fx.asked[SITE_khugepaged_fork_slot], 2);
	child = fx_fork(&fx);
	assert_int_equal(slots_of(&fx, KSMD), 2);
	assert_int_equal(slots_of(&fx, KHUGEPAGED), 2);
	assert_int_equal(count_of(child->mm), 3);
	check(&fx);
	/* an image that has not asked for anything has none */
	fx_run(&fx, child);
	fx_exec(&fx);
	assert_false(child->mm->flags & (MMF_VM_MERGEABLE | MMF_VM_HUGEPAGE));
	assert_int_equal(slots_of(&fx, KSMD), 1);
	assert_int_equal(slots_of(&fx, KHUGEPAGED), 1);
	check(&fx);
	fx_destroy(&fx);
}

/* The struct of an mm that ends under the cursor stays until the daemon moves on. */
static void exit_under_cursor(enum mm_daemon_id id)
{
	struct mm_daemon *d;
	struct task_struct *child;
	struct mm_struct *mm;
	struct fixture fx;

	fx_create(&fx, "thp=always");
	d = &fx.m->daemons[id];
	child = fx_fork(&fx);
	fx_run(&fx, child);
	mm = child->mm;
	fx_mmap(&fx, 0, 2048, RW);
	fx_write(&fx, 600, 1);
	assert_int_equal(fx_madvise(&fx, 0, 2, MADV_MERGEABLE), 0);
	(id == KSMD ? ksmd_scan : khugepaged_scan)(&fx.cx);
	assert_ptr_equal(d->cursor->mm, mm);
	fx_exit(&fx, child);
	assert_int_equal(slots_of(&fx, id), 1);
	assert_int_equal(slots_of(&fx, id == KSMD ? KHUGEPAGED : KSMD), 0);
	assert_int_equal(atomic_read(&mm->mm_users), 0);
	assert_int_equal(count_of(mm), 1);
	assert_int_equal(fx.m->nr_mms, 2);
	assert_int_equal(fl_check_machine(fx.m, NULL, NULL, NULL), 0);
	(id == KSMD ? ksmd_scan : khugepaged_scan)(&fx.cx);
	assert_null(d->cursor);
	assert_int_equal(slots_of(&fx, id), 0);
	assert_int_equal(fx.m->nr_mms, 1);
	fx_run(&fx, fx.init);
	check(&fx);
	fx_destroy(&fx);
}

static void test_exit_under_cursor(void **state)
{
	(void)state;
	exit_under_cursor(KSMD);
	exit_under_cursor(KHUGEPAGED);
}

/* ksmd finds a new mm at the end of its round, which is before where it is now. */
static void test_order(void **state)
{
	struct task_struct *a, *b;
	struct mm_daemon *d;
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	d = &fx.m->daemons[KSMD];
	ksmd_scan(&fx.cx);
	assert_null(d->cursor);
	fx_mmap(&fx, 0, 2, RW);
	assert_int_equal(fx_madvise(&fx, 0, 2, MADV_MERGEABLE), 0);
	a = fx_fork(&fx);
	ksmd_scan(&fx.cx);
	ksmd_scan(&fx.cx);
	assert_ptr_equal(d->cursor->mm, a->mm);
	b = fx_fork(&fx);
	assert_ptr_equal(list_entry(d->cursor->mm_node.prev, struct mm_slot, mm_node)->mm, b->mm);
	ksmd_scan(&fx.cx);
	assert_null(d->cursor);
	ksmd_scan(&fx.cx);
	ksmd_scan(&fx.cx);
	assert_ptr_equal(d->cursor->mm, b->mm);
	/* one that is not under the cursor goes with its mm, and the round goes on */
	fx_exit(&fx, a);
	assert_int_equal(slots_of(&fx, KSMD), 2);
	fx_run(&fx, fx.init);
	ksmd_scan(&fx.cx);
	assert_null(d->cursor);
	check(&fx);
	fx_destroy(&fx);
}

static void test_khugepaged_by_fault(void **state)
{
	struct fixture fx;
	u64 tag = 1;

	(void)state;
	fx_create(&fx, "thp=always");
	fx_mmap(&fx, 0, 100, RW);
	fx_write(&fx, 1, 1);
	assert_int_equal(slots_of(&fx, KHUGEPAGED), 0); /* no room for a huge page */
	fx_mmap(&fx, 1024, 2048, RW);
	fx.fail[SITE_khugepaged_fault_slot] = true;
	assert_int_equal(access_user(&fx.cx, fx_addr(1030), true, &tag), ACCESS_OOM);
	assert_int_equal(access_user(&fx.cx, fx_addr(1030), false, &tag), ACCESS_OOM);
	fx.fail[SITE_khugepaged_fault_slot] = false;
	fx_write(&fx, 1030, 1);
	fx_write(&fx, 1600, 1);
	assert_int_equal(fx.asked[SITE_khugepaged_fault_slot], 3);
	assert_int_equal(slots_of(&fx, KHUGEPAGED), 1);
	assert_int_equal(count_of(fx.init->mm), 2);
	check(&fx);
	fx_destroy(&fx);
}

static void test_khugepaged_by_advice(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, "thp=madvise");
	fx_mmap(&fx, 0, 2048, RW);
	/* without pages it is left to the first fault */
	assert_int_equal(fx_madvise(&fx, 0, 2048, MADV_HUGEPAGE), 0);
	assert_int_equal(fx.asked[SITE_khugepaged_madvise_slot], 0);
	assert_int_equal(fx_madvise(&fx, 0, 2048, MADV_NOHUGEPAGE), 0);
	fx_write(&fx, 3, 1);
	fx.fail[SITE_khugepaged_madvise_slot] = true;
	assert_int_equal(fx_madvise(&fx, 0, 2048, MADV_HUGEPAGE), -EAGAIN);
	assert_true(fx_vma(&fx, 0)->vm_flags & VM_NOHUGEPAGE);
	fx.fail[SITE_khugepaged_madvise_slot] = false;
	assert_int_equal(fx_madvise(&fx, 0, 2048, MADV_HUGEPAGE), 0);
	assert_int_equal(slots_of(&fx, KHUGEPAGED), 1);
	assert_int_equal(khugepaged_step(&fx.cx, fx_addr(3)), 0);
	assert_true(
		pmd_trans_huge(pt_get(pmd_lookup(fx.m, fx.init->mm, fx_addr(0)),
				      pt_index(&fx.m->geo, pmd_level(&fx.m->geo), fx_addr(0)))));
	check(&fx);
	fx_destroy(&fx);
}

/* A merge that makes room for a huge page tells khugepaged, and goes on when it cannot. */
static void by_merge(bool refused)
{
	struct fixture fx;

	fx_create(&fx, "thp=always");
	fx_mmap(&fx, 0, 300, RW);
	fx_write(&fx, 1, 7);
	fx.fail[SITE_khugepaged_merge_slot] = refused;
	fx_mmap(&fx, 300, 1024, RW);
	fx_expect(&fx, "0-1024");
	assert_int_equal(fx.asked[SITE_khugepaged_merge_slot], 1);
	assert_int_equal(slots_of(&fx, KHUGEPAGED), !refused);
	/* the daemon only comes to those that it knows */
	assert_int_equal(khugepaged_step(&fx.cx, fx_addr(1)), 0);
	assert_int_equal(pte_lookup(fx.m, fx.init->mm, fx_addr(1)) != NULL, refused);
	assert_int_equal(fx_read(&fx, 1), 7);
	check(&fx);
	fx_destroy(&fx);
}

static void test_khugepaged_by_merge(void **state)
{
	(void)state;
	by_merge(false);
	by_merge(true);
}

/* A stack that has grown over a whole huge page's range. */
static void test_khugepaged_by_growth(void **state)
{
	struct fixture fx;
	u64 tag = 3;

	(void)state;
	fx_create(&fx, "thp=always");
	assert_int_equal(fx_mmap_flags(&fx, 1500, 1536, RW, MAP_GROWSDOWN), 0);
	fx_write(&fx, 1530, 1);
	assert_int_equal(slots_of(&fx, KHUGEPAGED), 0);
	fx.fail[SITE_khugepaged_merge_slot] = true;
	assert_int_equal(access_user(&fx.cx, fx_addr(1024), true, &tag), ACCESS_OK);
	assert_int_equal(fx.asked[SITE_khugepaged_merge_slot], 1);
	check(&fx);
	fx_destroy(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mergeable),
		cmocka_unit_test(test_mergeable_refused),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_exit_under_cursor),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_khugepaged_by_fault),
		cmocka_unit_test(test_khugepaged_by_advice),
		cmocka_unit_test(test_khugepaged_by_merge),
		cmocka_unit_test(test_khugepaged_by_growth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
