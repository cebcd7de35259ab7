/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The TLBs: what is remembered, what makes a CPU forget, and that each way to be wrong about it is
 * reported where it happens.
 */
#include <faultline/check.h>

#include "mm_fixture.h"

static struct tlb_entry *cached(struct fixture *fx, unsigned int cpu, u64 page)
{
	struct tlb *tlb = &fx->m->rqs[cpu].tlb;

	for (unsigned int i = 0; i < TLB_SIZE; i++) {
		if ((tlb->used & 1u << i) && tlb->entries[i].addr == fx_addr(page))
			return &tlb->entries[i];
	}
	return NULL;
}

static pte_t *pte_of(struct fixture *fx, u64 page)
{
	struct page *pt = pte_lookup(fx->m, fx->cx.curr->mm, fx_addr(page));

	assert_non_null(pt);
	return &((pte_t *)pt->mem)[pt_index(&fx->m->geo, PT_PTE, fx_addr(page))];
}

/* What stops dead leaves a machine that nobody may use again. */
static void fx_drop(struct fixture *fx)
{
	fx->ops->destroy(fx->inst);
}

#define assert_tlb_bug(fx, call)                              \
	do {                                                  \
		(fx)->expect_bug = true;                      \
		if (!setjmp((fx)->bug_jmp)) {                 \
			(void)(call);                         \
			fail_msg("no report of: %s", #call);  \
		}                                             \
		assert_int_equal((fx)->bug_kind, FL_BUG_TLB); \
		fx_drop(fx);                                  \
	} while (0)

/* A machine whose CPU 0 has cached pages 0-3, written, and page 4, read. */
static void create(struct fixture *fx, const char *options)
{
	fx_create(fx, options);
	fx_mmap(fx, 0, 8, RW);
	for (u64 i = 0; i < 4; i++)
		fx_write(fx, i, i);
	fx_read(fx, 4);
}

static enum access_result load(struct fixture *fx, u64 page)
{
	u64 tag;

	return access_user(&fx->cx, fx_addr(page), false, &tag);
}

static enum access_result store(struct fixture *fx, u64 page)
{
	u64 tag = 7;

	return access_user(&fx->cx, fx_addr(page), true, &tag);
}

/* ---- what is remembered --------------------------------------------------------------------- */

static void hit_does_not_walk(void **state)
{
	struct fixture fx;

	(void)state;
	create(&fx, NULL);
	*pte_of(&fx, 1) &= ~_PAGE_ACCESSED;
	fx_read(&fx, 1);
	assert_false(*pte_of(&fx, 1) & _PAGE_ACCESSED);
	cached(&fx, 0, 1)->addr = 0;
	fx_read(&fx, 1);
	assert_true(*pte_of(&fx, 1) & _PAGE_ACCESSED);
	fx_destroy(&fx);
}

/* A load leaves no right to store: the first store walks, and marks the entry. */
static void store_after_load_walks(void **state)
{
	struct fixture fx;

	(void)state;
	create(&fx, NULL);
	fx_write(&fx, 5, 1);
	*pte_of(&fx, 5) &= ~_PAGE_DIRTY;
	flush_tlb_page(&fx.cx, fx.init->mm, fx_addr(5));
	fx_read(&fx, 5);
	assert_false(cached(&fx, 0, 5)->pte & _PAGE_DIRTY);
	fx_write(&fx, 5, 2);
	assert_true(*pte_of(&fx, 5) & _PAGE_DIRTY);
	fx_destroy(&fx);
}

/* What allows less than the tables costs a walk and is no mistake. */
static void less_is_allowed(void **state)
{
	struct fixture fx;

	(void)state;
	create(&fx, NULL);
	cached(&fx, 0, 2)->pte &= ~_PAGE_RW;
	assert_int_equal(fl_check_machine(fx.m, NULL, NULL, NULL), 0);
	fx_write(&fx, 2, 9);
	assert_true(cached(&fx, 0, 2)->pte & _PAGE_RW);
	assert_int_equal(fx_read(&fx, 2), 9);
	fx_destroy(&fx);
}

/* Translations whose pages lie TLB_SIZE apart share a slot: the newer one stays. */
static void slots_are_bounded(void **state)
{
	struct fixture fx;

	(void)state;
	create(&fx, NULL);
	fx_mmap(&fx, TLB_SIZE, TLB_SIZE + 1, RW);
	fx_write(&fx, TLB_SIZE, 1);
	assert_null(cached(&fx, 0, 0));
	assert_non_null(cached(&fx, 0, TLB_SIZE));
	fx_destroy(&fx);
}

/* ---- what makes a CPU forget ---------------------------------------------------------------- */

static void flush_takes_what_it_names(void **state)
{
	struct fixture fx;
	struct mm_struct *mm;

	(void)state;
	create(&fx, NULL);
	mm = fx.init->mm;
	assert_int_not_equal(cached(&fx, 0, 0)->tables[PT_PTE], 0);
	flush_tlb_range(&fx.cx, mm, fx_addr(1), fx_addr(3));
	assert_non_null(cached(&fx, 0, 0));
	assert_null(cached(&fx, 0, 1));
	assert_null(cached(&fx, 0, 2));
	assert_non_null(cached(&fx, 0, 3));
	/* of the tables any flush forgets all */
	assert_int_equal(cached(&fx, 0, 0)->tables[PT_PTE], 0);
	flush_tlb_page(&fx.cx, mm, fx_addr(3) + 5);
	assert_null(cached(&fx, 0, 3));
	assert_non_null(cached(&fx, 0, 0));
	/* a long range is flushed whole, even where it has nothing */
	flush_tlb_range(&fx.cx, mm, fx_addr(1000), fx_addr(1034));
	assert_int_equal(fx.m->rqs[0].tlb.used, 0);
	fx_read(&fx, 0);
	flush_tlb_mm(&fx.cx, mm);
	assert_int_equal(fx.m->rqs[0].tlb.used, 0);
	fx_destroy(&fx);
}

/* Other tables, other translations; threads and borrowers keep them. */
static void switch_forgets(void **state)
{
	struct task_struct *child, *kthread, *thread = NULL;
	struct fixture fx;

	(void)state;
	create(&fx, NULL);
	child = fx_fork(&fx);
	assert_int_equal(kernel_thread(&fx.cx, &kthread), 0);
	assert_int_equal(do_fork(&fx.cx, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, &thread), 0);
	fx_read(&fx, 0);
	fx_run(&fx, kthread);
	assert_non_null(cached(&fx, 0, 0));
	fx_run(&fx, thread);
	assert_non_null(cached(&fx, 0, 0));
	fx_run(&fx, child);
	assert_int_equal(fx.m->rqs[0].tlb.used, 0);
	fx_destroy(&fx);
}

/* A CPU in the mask is reached wherever the flush is asked for; a lazy one leaves. */
static void flush_reaches_all_cpus(void **state)
{
	struct task_struct *thread = NULL;
	struct fixture fx;

	create(&fx, *state ? "cpus=3 cpumask_offstack=1" : "cpus=3");
	assert_int_equal(do_fork(&fx.cx, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, &thread), 0);
	run_on(&fx.cx, 2, thread);
	fx_read(&fx, 2);
	run_on(&fx.cx, 2, NULL);
	run_on(&fx.cx, 1, thread);
	fx_read(&fx, 2);
	assert_non_null(cached(&fx, 0, 2));
	assert_non_null(cached(&fx, 1, 2));
	assert_non_null(cached(&fx, 2, 2));
	flush_tlb_page(&fx.cx, thread->mm, fx_addr(2));
	assert_null(cached(&fx, 0, 2));
	assert_non_null(cached(&fx, 0, 1));
	assert_null(cached(&fx, 1, 2));
	assert_int_equal(fx.m->rqs[2].tlb.used, 0);
	assert_ptr_equal(fx.m->rqs[2].loaded, &fx.m->init_mm);
	assert_int_equal(thread->mm->cpu_vm_mask, 3);
	assert_int_equal(fl_check_machine(fx.m, NULL, NULL, NULL), 0);
	fx_drop(&fx);
}

/* The same where the mask is found through a pointer; a child's is not its parent's. */
static void flush_reaches_offstack_mask(void **state)
{
	struct task_struct *child;
	struct fixture fx;

	(void)state;
	flush_reaches_all_cpus((void *[]){"offstack"});
	create(&fx, "cpumask_offstack=1");
	child = fx_fork(&fx);
	assert_ptr_equal(fx.init->mm->cpu_vm_mask_var, &fx.init->mm->cpu_vm_mask);
	assert_ptr_equal(child->mm->cpu_vm_mask_var, &child->mm->cpu_vm_mask);
	assert_int_equal(fx.init->mm->cpu_vm_mask, 1);
	assert_int_equal(child->mm->cpu_vm_mask, 0);
	fx_run(&fx, child);
	assert_int_equal(fx.init->mm->cpu_vm_mask, 0);
	assert_int_equal(child->mm->cpu_vm_mask, 1);
	fx_drop(&fx);
}

/* What khungtaskd has seen of a task is nothing that its child has (notes 2). */
static void khungtaskd_counts_switches(void **state)
{
	struct task_struct *child;
	struct fixture fx;

	(void)state;
	for (unsigned int on = 0; on < 2; on++) {
		create(&fx, on ? NULL : "hung_task=0");
		for (unsigned int i = 0; i < 3; i++) {
			run_on(&fx.cx, 0, NULL);
			fx_run(&fx, fx.init);
		}
		assert_int_equal(khungtaskd_scan(&fx.cx), on ? 0 : -ENOSYS);
		assert_int_equal(fx.init->last_switch_count, on ? fx.init->nvcsw : 0);
		child = fx_fork(&fx);
		assert_int_equal(child->last_switch_count, 0);
		assert_true(!on || fx.init->last_switch_count >= 3);
		fx_drop(&fx);
	}
}

/* Each call that takes something away flushes it: the checks at rest see no stale translation. */
static void calls_flush(void **state)
{
	static const char *const geometries[] = {NULL, "levels=3", "levels=3 kernel_pmd=shared"};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(geometries); i++) {
		struct fixture fx;

		create(&fx, geometries[i]);
		assert_int_equal(fx_mprotect(&fx, 1, 2, PROT_READ), 0);
		assert_null(cached(&fx, 0, 1));
		assert_non_null(cached(&fx, 0, 2));
		assert_int_equal(fx_munmap(&fx, 2, 3), 0);
		assert_null(cached(&fx, 0, 2));
		fx_write(&fx, 4, 1); /* was the page of zeroes */
		fx_fork(&fx);
		assert_int_equal(fx.m->rqs[0].tlb.used, 0);
		fx_read(&fx, 3);
		fx_write(&fx, 3, 1);
		assert_int_equal(fl_check_machine(fx.m, NULL, NULL, NULL), 0);
		assert_int_equal(fx_munmap(&fx, 0, 8), 0);
		assert_int_equal(load(&fx, 3), ACCESS_SIGSEGV);
		assert_int_equal(fl_check_machine(fx.m, NULL, NULL, NULL), 0);
		fx_destroy(&fx);
	}
}

/* ---- what is reported ----------------------------------------------------------------------- */

static void stale_right_is_reported(void **state)
{
	struct fixture fx;

	(void)state;
	create(&fx, NULL);
	*pte_of(&fx, 1) &= ~_PAGE_RW;
	assert_tlb_bug(&fx, store(&fx, 1));
	create(&fx, NULL);
	*pte_of(&fx, 1) |= _PAGE_NX;
	cached(&fx, 0, 1)->pte &= ~_PAGE_NX;
	assert_tlb_bug(&fx, load(&fx, 1));
	create(&fx, NULL);
	*pte_of(&fx, 1) &= ~_PAGE_DIRTY; /* the next store would not be seen */
	assert_tlb_bug(&fx, store(&fx, 1));
}

static void stale_frame_is_reported(void **state)
{
	struct fixture fx;

	(void)state;
	create(&fx, NULL);
	*pte_of(&fx, 1) = *pte_of(&fx, 2);
	assert_tlb_bug(&fx, load(&fx, 1));
	create(&fx, NULL);
	*pte_of(&fx, 1) = 0;
	assert_tlb_bug(&fx, load(&fx, 1));
}

static void free_page_is_reported(void **state)
{
	struct fixture fx;
	struct page *page;

	(void)state;
	create(&fx, NULL);
	page = pfn_to_page(fx.m, pte_pfn(*pte_of(&fx, 1)));
	page->_mapcount = 0;
	assert_tlb_bug(&fx, (put_page(&fx.cx, page), 0));
}

/* Also of another CPU, and of one that only borrows the mm. */
static void free_page_of_lazy_cpu_is_reported(void **state)
{
	struct fixture fx;
	struct page *page;

	(void)state;
	create(&fx, "cpus=2");
	page = pfn_to_page(fx.m, pte_pfn(*pte_of(&fx, 1)));
	page->_mapcount = 0;
	run_on(&fx.cx, 0, NULL);
	run_on(&fx.cx, 1, NULL);
	assert_tlb_bug(&fx, (put_page(&fx.cx, page), 0));
}

static void free_table_is_reported(void **state)
{
	for (unsigned int level = PT_PTE; level <= PT_PUD; level++) {
		struct fixture fx;
		struct page *pt;

		(void)state;
		create(&fx, NULL);
		pt = pfn_to_page(fx.m, cached(&fx, 0, 1)->tables[level]);
		assert_int_equal(pt->type, PAGE_PTE - level);
		memset(pt->mem, 0, PAGE_SIZE);
		pt->nr_entries = 0;
		assert_tlb_bug(&fx, (__free_page(&fx.cx, pt), 0));
	}
}

static void free_pgd_is_reported(void **state)
{
	static const char *const geometries[] = {NULL, "levels=3 kernel_pmd=shared"};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(geometries); i++) {
		struct fixture fx;
		struct page *pgd;

		fx_create(&fx, geometries[i]);
		pgd = fx.init->mm->pgd;
		flush_tlb_mm(&fx.cx, fx.init->mm);
		for (unsigned int e = 0; e < fx.m->geo.kernel_boundary; e++)
			pgd_set(pgd, e, 0);
		assert_tlb_bug(&fx, (pgd_free(&fx.cx, fx.init->mm, pgd), 0));
	}
}

static void old_register_is_reported(void **state)
{
	struct fixture fx;

	(void)state;
	create(&fx, "levels=3");
	fx.m->rqs[0].tlb.pdpte[pt_index(&fx.m->geo, PT_PGD, FX_BASE)] = 0;
	assert_tlb_bug(&fx, load(&fx, 6));
}

static void other_tables_are_reported(void **state)
{
	struct fixture fx;

	(void)state;
	create(&fx, NULL);
	fx.m->rqs[0].loaded = &fx.m->init_mm;
	assert_tlb_bug(&fx, load(&fx, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hit_does_not_walk),
		cmocka_unit_test(store_after_load_walks),
		cmocka_unit_test(less_is_allowed),
		cmocka_unit_test(slots_are_bounded),
		cmocka_unit_test(flush_takes_what_it_names),
		cmocka_unit_test(switch_forgets),
		cmocka_unit_test(flush_reaches_all_cpus),
		cmocka_unit_test(flush_reaches_offstack_mask),
		cmocka_unit_test(khungtaskd_counts_switches),
		cmocka_unit_test(calls_flush),
		cmocka_unit_test(stale_right_is_reported),
		cmocka_unit_test(stale_frame_is_reported),
		cmocka_unit_test(free_page_is_reported),
		cmocka_unit_test(free_page_of_lazy_cpu_is_reported),
		cmocka_unit_test(free_table_is_reported),
		cmocka_unit_test(free_pgd_is_reported),
		cmocka_unit_test(old_register_is_reported),
		cmocka_unit_test(other_tables_are_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
