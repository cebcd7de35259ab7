/* SPDX-License-Identifier: GPL-2.0-only */
/* Notifiers of an mm: registration and its unwind, the ranges that they hear of, their release. */
#include <faultline/check.h>

#include "mm_fixture.h"

static void test_register(void **state)
{
	struct mm_struct *mm;
	struct fixture fx;
	s64 count;

	(void)state;
	fx_create(&fx, NULL);
	mm = fx.cx.curr->mm;
	fx_mmap(&fx, 0, 2, RW);
	fx_write(&fx, 0, 1);
	count = atomic_read(&mm->mm_count);
	assert_int_equal(notifier_register(&fx.cx, NR_NOTIFIERS), -EINVAL);
	assert_int_equal(notifier_register(&fx.cx, 0), 0);
	assert_int_equal(notifier_register(&fx.cx, 0), -EBUSY);
	/* the second finds a holder, and its own goes back */
	assert_int_equal(notifier_register(&fx.cx, 1), 0);
	assert_int_equal(fx.m->caches[CACHE_mmu_notifier_mm].live, 1);
	assert_int_equal(atomic_read(&mm->mm_count), count + 2);
	assert_int_equal(fx.m->locks_held, 0);
	assert_int_equal(fl_check_machine(fx.m, NULL, NULL, NULL), 0);
	assert_int_equal(notifier_unregister(&fx.cx, 0), 0);
	assert_int_equal(notifier_unregister(&fx.cx, 0), -EINVAL);
	assert_int_equal(notifier_unregister(&fx.cx, 1), 0);
	assert_int_equal(atomic_read(&mm->mm_count), count);
	/* the holder stays with the struct */
	assert_int_equal(fx.m->caches[CACHE_mmu_notifier_mm].live, 1);
	fx_destroy(&fx);
}

static void test_without_option(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, "mmu_notifier=0");
	assert_int_equal(notifier_register(&fx.cx, 0), -ENOSYS);
	assert_int_equal(notifier_unregister(&fx.cx, 0), -EINVAL);
	assert_null(fx.cx.curr->mm->mmu_notifier_mm);
	fx_destroy(&fx);
}

static void test_register_fails(void **state)
{
	static const struct {
		enum fl_site site;
		s64 err;
	} rows[] = {
		{SITE_mmu_notifier_register_mm, -ENOMEM},
		{SITE_mm_take_all_locks, -EINTR},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mm_struct *mm;
		struct fixture fx;
		s64 count;

		fx_create(&fx, NULL);
		mm = fx.cx.curr->mm;
		count = atomic_read(&mm->mm_count);
		fx.fail[rows[i].site] = true;
		assert_int_equal(notifier_register(&fx.cx, 0), rows[i].err);
		fx.fail[rows[i].site] = false;
		assert_int_equal(fx.m->caches[CACHE_mmu_notifier_mm].live, 0);
		assert_int_equal(fx.m->locks_held, 0);
		assert_int_equal(atomic_read(&mm->mm_count), count);
		assert_null(mm->mmu_notifier_mm);
		assert_int_equal(fl_check_machine(fx.m, NULL, NULL, NULL), 0);
		assert_int_equal(notifier_register(&fx.cx, 0), 0);
		assert_int_equal(notifier_unregister(&fx.cx, 0), 0);
		fx_destroy(&fx);
	}
}

/* Ranges that the notifier hears of while what runs, and none of them stays open. */
static u64 ranges(struct fixture *fx, void (*what)(struct fixture *fx))
{
	struct mmu_notifier *mn = &fx->m->notifiers[0];
	u64 before = mn->ranges;

	what(fx);
	assert_int_equal(mn->open, 0);
	return mn->ranges - before;
}

static void fork_and_leave(struct fixture *fx)
{
	fx_exit(fx, fx_fork(fx));
	fx_run(fx, fx->init);
}

static void unmap(struct fixture *fx)
{
	assert_int_equal(fx_munmap(fx, 0, 1), 0);
}

static void protect(struct fixture *fx)
{
	assert_int_equal(fx_mprotect(fx, 1, 2, PROT_READ), 0);
}

static void move(struct fixture *fx)
{
	assert_int_equal(sys_mremap(&fx->cx, fx_addr(1), PAGE_SIZE, PAGE_SIZE,
				    MREMAP_MAYMOVE | MREMAP_FIXED, fx_addr(600)),
			 fx_addr(600));
}

static void store(struct fixture *fx)
{
	fx_write(fx, 0, 7);
}

static void test_ranges(void **state)
{
	struct task_struct *child;
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 3, RW);
	fx_write(&fx, 0, 1);
	fx_write(&fx, 1, 1);
	assert_int_equal(notifier_register(&fx.cx, 0), 0);
	assert_int_equal(ranges(&fx, store), 0);
	assert_true(ranges(&fx, fork_and_leave) > 0);
	child = fx_fork(&fx);
	assert_int_equal(ranges(&fx, store), 1); /* a copy is made */
	fx_exit(&fx, child);
	fx_run(&fx, fx.init);
	assert_int_equal(ranges(&fx, protect), 1);
	assert_true(ranges(&fx, move) > 0);
	assert_int_equal(ranges(&fx, unmap), 1);
	assert_int_equal(notifier_unregister(&fx.cx, 0), 0);
	fx_destroy(&fx);
}

/* A huge page that is copied is a range too, as a whole and where small pages take its place. */
static void test_ranges_huge(void **state)
{
	struct task_struct *child;
	struct fixture fx;

	(void)state;
	for (unsigned int fallback = 0; fallback < 2; fallback++) {
		fx_create(&fx, "thp=always");
		fx_mmap(&fx, 0, 512, RW);
		fx_write(&fx, 0, 1);
		assert_int_equal(notifier_register(&fx.cx, 0), 0);
		child = fx_fork(&fx);
		fx.fail[SITE_huge_cow_page] = fallback;
		assert_int_equal(ranges(&fx, store), 1);
		fx.fail[SITE_huge_cow_page] = false;
		assert_int_equal(fx_read(&fx, 0), 7);
		fx_exit(&fx, child);
		fx_run(&fx, fx.init);
		assert_int_equal(notifier_unregister(&fx.cx, 0), 0);
		fx_destroy(&fx);
	}
}

/* Whichever comes first, the end of the mm or of the notifier: it is told once. */
static void test_release_once(void **state)
{
	(void)state;
	for (unsigned int early = 0; early < 2; early++) {
		struct mmu_notifier *mn;
		struct task_struct *child;
		struct mm_struct *mm;
		struct fixture fx;

		fx_create(&fx, NULL);
		child = fx_fork(&fx);
		fx_run(&fx, child);
		mm = child->mm;
		assert_int_equal(notifier_register(&fx.cx, 2), 0);
		mn = &fx.m->notifiers[2];
		if (early) {
			assert_int_equal(notifier_unregister(&fx.cx, 2), 0);
			assert_null(mn->mm);
			fx_exit(&fx, child);
		} else {
			fx_exit(&fx, child);
			assert_int_equal(mn->released, 1);
			assert_true(list_empty(&mm->mmu_notifier_mm->list));
			fx_run(&fx, fx.init);
			assert_int_equal(fl_check_machine(fx.m, NULL, NULL, NULL), 0);
			assert_int_equal(notifier_unregister(&fx.cx, 2), 0);
		}
		assert_int_equal(fx.m->caches[CACHE_mmu_notifier_mm].live, 0);
		fx_run(&fx, fx.init);
		fx_destroy(&fx);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_register),     cmocka_unit_test(test_register_fails),
		cmocka_unit_test(test_ranges),	     cmocka_unit_test(test_ranges_huge),
		cmocka_unit_test(test_release_once), cmocka_unit_test(test_without_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
