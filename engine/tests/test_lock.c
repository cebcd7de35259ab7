/* SPDX-License-Identifier: GPL-2.0-only */
/* Locks: each rule is kept by the engine, and each way to break one is reported with its names. */
#include <faultline/check.h>

#include "mm_fixture.h"

static char reported[128];

__attribute__((noreturn)) static void on_bug(void *priv, enum fl_bug kind, const char *func,
					     const char *what)
{
	struct fixture *fx = priv;

	(void)func;
	fx->bug_kind = kind;
	snprintf(reported, sizeof(reported), "%s", what);
	longjmp(fx->bug_jmp, 1);
}

static void create(struct fixture *fx)
{
	fx_create(fx, NULL);
	fx->m->seams.bug = on_bug;
}

/* What stopped dead left locks behind: nobody uses the machine again. */
static void drop(struct fixture *fx)
{
	fx->ops->destroy(fx->inst);
}

#define assert_lock_bug(fx, text, call)                        \
	do {                                                   \
		reported[0] = '\0';                            \
		if (!setjmp((fx)->bug_jmp)) {                  \
			(void)(call);                          \
			fail_msg("no report of: %s", #call);   \
		}                                              \
		assert_int_equal((fx)->bug_kind, FL_BUG_LOCK); \
		assert_string_equal(reported, text);           \
	} while (0)

static fl_lock_t lock_of(enum fl_lock_class class)
{
	fl_lock_t l;

	fl_lock_init(&l, class);
	return l;
}

/* Every pair of classes, in the order of the table and against it. */
static void order_is_that_of_the_table(void **state)
{
	struct fixture fx;

	(void)state;
	create(&fx);
	for (unsigned int outer = LOCK_none + 1; outer < NR_LOCK_CLASSES; outer++) {
		for (unsigned int inner = LOCK_none + 1; inner < NR_LOCK_CLASSES; inner++) {
			fl_lock_t a = lock_of((enum fl_lock_class)outer);
			fl_lock_t b = lock_of((enum fl_lock_class)inner);

			down_write(&fx.cx, &a);
			if (outer < inner) {
				down_read(&fx.cx, &b);
				assert_int_equal(fx.m->locks_held, 2);
				up_read(&fx.cx, &b);
				down_write(&fx.cx, &b);
				up_write(&fx.cx, &b);
			} else if (!setjmp(fx.bug_jmp)) {
				down_write(&fx.cx, &b);
				fail_msg("class %u inside class %u went unseen", inner, outer);
			} else if (!setjmp(fx.bug_jmp)) {
				down_read(&fx.cx, &b);
				fail_msg("class %u inside class %u went unseen", inner, outer);
			}
			up_write(&fx.cx, &a);
			assert_int_equal(fx.m->locks_held, 0);
			assert_int_equal(fx.m->lock_classes, 0);
		}
	}
	assert_int_equal(fl_check_machine(fx.m, NULL, NULL, NULL), 0);
	fx_destroy(&fx);
}

static void reports_name_both(void **state)
{
	struct mm_struct *mm;
	struct fixture fx;

	(void)state;
	create(&fx);
	mm = fx.init->mm;
	spin_lock(&fx.cx, &mm->page_table_lock);
	assert_lock_bug(&fx, "mmap_sem taken inside page_table_lock",
			(down_write(&fx.cx, &mm->mmap_sem), 0));
	drop(&fx);
}

/* A second lock of a class: the child's mmap_sem inside the parent's, and not the other way. */
static void nesting(void **state)
{
	struct mm_struct *parent, *child;
	struct fixture fx;

	(void)state;
	create(&fx);
	parent = fx.init->mm;
	child = fx_fork(&fx)->mm;
	down_write(&fx.cx, &parent->mmap_sem);
	assert_lock_bug(&fx, "mmap_sem taken inside mmap_sem",
			(down_write(&fx.cx, &child->mmap_sem), 0));
	down_write_nested(&fx.cx, &child->mmap_sem);

	spin_lock(&fx.cx, &child->page_table_lock);
	spin_lock_nested(&fx.cx, &parent->page_table_lock);
	spin_unlock(&fx.cx, &parent->page_table_lock);
	spin_unlock(&fx.cx, &child->page_table_lock);

	spin_lock(&fx.cx, &parent->page_table_lock);
	assert_lock_bug(&fx, "page_table_lock taken inside page_table_lock",
			(spin_lock_nested(&fx.cx, &child->page_table_lock), 0));
	spin_unlock(&fx.cx, &parent->page_table_lock);
	up_write(&fx.cx, &child->mmap_sem);
	up_write(&fx.cx, &parent->mmap_sem);

	down_write(&fx.cx, &child->mmap_sem);
	assert_lock_bug(&fx, "mmap_sem taken inside mmap_sem",
			(down_write_nested(&fx.cx, &parent->mmap_sem), 0));
	up_write(&fx.cx, &child->mmap_sem);
	fx_destroy(&fx);
}

/* Many locks of one class may be held by whoever keeps every other user out. */
static void all_locks(void **state)
{
	fl_lock_t l[3];
	struct fixture fx;

	(void)state;
	create(&fx);
	for (unsigned int i = 0; i < ARRAY_SIZE(l); i++)
		l[i] = lock_of(LOCK_anon_vma_rwsem);
	down_write(&fx.cx, &l[0]);
	assert_lock_bug(&fx, "anon_vma_rwsem taken inside anon_vma_rwsem",
			(down_write_nested(&fx.cx, &l[1]), 0));
	up_write(&fx.cx, &l[0]);
	down_write(&fx.cx, &fx.init->mm->mmap_sem);
	for (unsigned int i = 0; i < ARRAY_SIZE(l); i++)
		down_write_nested(&fx.cx, &l[i]);
	assert_int_equal(fx.m->lock_depth[LOCK_anon_vma_rwsem], 3);
	for (unsigned int i = 0; i < ARRAY_SIZE(l); i++)
		up_write(&fx.cx, &l[i]);
	up_write(&fx.cx, &fx.init->mm->mmap_sem);
	fx_destroy(&fx);
}

static void holders(void **state)
{
	struct task_struct *child;
	struct mm_struct *mm;
	struct fixture fx;

	(void)state;
	create(&fx);
	child = fx_fork(&fx);
	mm = fx.init->mm;
	down_write(&fx.cx, &mm->mmap_sem);
	assert_lock_bug(&fx, "mmap_sem: write lock taken twice",
			(down_write(&fx.cx, &mm->mmap_sem), 0));
	assert_lock_bug(&fx, "mmap_sem: read lock taken over a writer",
			(down_read(&fx.cx, &mm->mmap_sem), 0));
	fx.cx.curr = child;
	assert_lock_bug(&fx, "mmap_sem: dropped by a task that does not hold it",
			(up_write(&fx.cx, &mm->mmap_sem), 0));
	fx.cx.curr = fx.init;
	up_write(&fx.cx, &mm->mmap_sem);
	assert_lock_bug(&fx, "mmap_sem: write lock dropped but not held",
			(up_write(&fx.cx, &mm->mmap_sem), 0));
	assert_lock_bug(&fx, "mmap_sem: read lock dropped but not held",
			(up_read(&fx.cx, &mm->mmap_sem), 0));
	down_read(&fx.cx, &mm->mmap_sem);
	assert_lock_bug(&fx, "mmap_sem: write lock taken over a reader",
			(down_write(&fx.cx, &mm->mmap_sem), 0));
	/* twice for reading: a writer that came between would wait for the first, the second for it
	 */
	assert_lock_bug(&fx, "mmap_sem taken inside mmap_sem",
			(down_read(&fx.cx, &mm->mmap_sem), 0));
	up_read(&fx.cx, &mm->mmap_sem);
	fx_destroy(&fx);
}

static void what_callers_hold(void **state)
{
	struct mm_struct *mm;
	struct fixture fx;

	(void)state;
	create(&fx);
	mm = fx.init->mm;
	fx_mmap(&fx, 0, 2, RW);
	assert_lock_bug(&fx, "mmap_sem is not held", do_munmap(&fx.cx, mm, fx_addr(0), PAGE_SIZE));
	assert_lock_bug(&fx, "mmap_sem is not held",
			handle_mm_fault(&fx.cx, mm, fx_vma(&fx, 0), fx_addr(0), true));
	assert_lock_bug(&fx, "mmap_sem is not held",
			copy_page_range(&fx.cx, &fx.m->init_mm, mm, fx_vma(&fx, 0)));
	down_read(&fx.cx, &mm->mmap_sem);
	assert_lock_bug(&fx, "mmap_sem is not held", do_brk(&fx.cx, mm, FX_BRK, PAGE_SIZE));
	up_read(&fx.cx, &mm->mmap_sem);
	fx_destroy(&fx);
}

/* Reclaim takes such locks itself: a request that may wait for it must not hold one. */
static void no_waiting_for_memory(void **state)
{
	struct fixture fx;
	struct page *page;
	fl_lock_t l;

	(void)state;
	create(&fx);
	l = lock_of(LOCK_anon_vma_rwsem);
	down_write(&fx.cx, &l);
	page = alloc_pages(&fx.cx, SITE_gather_batch, GFP_NOWAIT, 0, PAGE_GATHER);
	assert_non_null(page);
	__free_page(&fx.cx, page);
	assert_lock_bug(&fx, "anon_vma_rwsem held where memory is waited for",
			alloc_pages(&fx.cx, SITE_pte_alloc_pte, GFP_KERNEL, 0, PAGE_PTE));
	assert_lock_bug(&fx, "anon_vma_rwsem held where memory is waited for",
			kmem_cache_alloc(&fx.cx, CACHE_anon_vma, SITE_anon_vma_prepare_av,
					 GFP_KERNEL));
	fl_might_sleep(&fx.cx, "");
	up_write(&fx.cx, &l);
	spin_lock(&fx.cx, &fx.m->pgd_lock);
	assert_lock_bug(&fx, "pgd_lock held where a task may sleep", (run_on(&fx.cx, 0, NULL), 0));
	spin_unlock(&fx.cx, &fx.m->pgd_lock);
	fx_destroy(&fx);
}

static void no_class_is_no_lock(void **state)
{
	struct fixture fx;
	fl_lock_t l;

	(void)state;
	create(&fx);
	memset(&l, 0, sizeof(l));
	assert_lock_bug(&fx, "a lock without a class is taken", (down_write(&fx.cx, &l), 0));
	l.class = NR_LOCK_CLASSES;
	assert_lock_bug(&fx, "a lock without a class is taken", (down_read(&fx.cx, &l), 0));
	fx_destroy(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_that_of_the_table),
		cmocka_unit_test(reports_name_both),
		cmocka_unit_test(nesting),
		cmocka_unit_test(all_locks),
		cmocka_unit_test(holders),
		cmocka_unit_test(what_callers_hold),
		cmocka_unit_test(no_waiting_for_memory),
		cmocka_unit_test(no_class_is_no_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
