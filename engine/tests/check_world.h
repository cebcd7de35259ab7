/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests of the checks: a machine with some of everything, handles to its parts, and pokes that
 * can be taken back.
 */
#ifndef FAULTLINE_TESTS_CHECK_WORLD_H
#define FAULTLINE_TESTS_CHECK_WORLD_H

#include <faultline/check.h>

#include "mm_fixture.h"

#define MAX_POKES 16u

struct poke {
	void *at;
	size_t size;
	u64 old;
};

struct world {
	struct fixture fx;
	struct machine *m;
	struct task_struct *parent, *child, *kthread;
	struct mm_struct *mm, *child_mm;
	/* of the parent: pages 0-4 written, 4-6 the same but read-only, never touched; 8-12 a file
	 */
	struct vm_area_struct *anon, *idle, *text;
	struct vm_area_struct *child_anon;
	struct file *file;
	struct poke pokes[MAX_POKES];
	unsigned int nr_pokes;
};

static inline void poke_at(struct world *w, void *at, size_t size)
{
	struct poke *p = &w->pokes[w->nr_pokes++];

	assert_true(w->nr_pokes <= MAX_POKES && size <= sizeof(p->old));
	p->at = at;
	p->size = size;
	memcpy(&p->old, at, size);
}

#define POKE(w, lvalue, val)                                     \
	do {                                                     \
		poke_at((w), (void *)&(lvalue), sizeof(lvalue)); \
		(lvalue) = (val);                                \
	} while (0)

static inline void unpoke(struct world *w)
{
	struct mm_struct *mm;

	while (w->nr_pokes) {
		struct poke *p = &w->pokes[--w->nr_pokes];

		memcpy(p->at, &p->old, p->size);
	}
	/* what a check remembers of the broken state, of those that are alive */
	list_for_each_entry(mm, &w->m->mms, mms)
		memset(mm->seen_peak, 0, sizeof(mm->seen_peak));
}

static inline struct page *table_of(struct world *w, struct mm_struct *mm, u64 page)
{
	struct page *pt = pte_lookup(w->m, mm, fx_addr(page));

	assert_non_null(pt);
	return pt;
}

static inline pte_t *entry_of(struct world *w, struct mm_struct *mm, u64 page)
{
	struct page *pt = table_of(w, mm, page);

	return &((pte_t *)pt->mem)[pt_index(&w->m->geo, PT_PTE, fx_addr(page))];
}

static inline struct page *page_of(struct world *w, struct mm_struct *mm, u64 page)
{
	return pfn_to_page(w->m, pte_pfn(*entry_of(w, mm, page)));
}

static inline struct page *pmd_of(struct world *w, struct mm_struct *mm)
{
	struct page *pt = mm->pgd;

	for (enum pt_level l = PT_PGD; l != PT_PMD; l = pt_below(&w->m->geo, l))
		pt = pt_table(w->m, pt, pt_index(&w->m->geo, l, FX_BASE));
	return pt;
}

static inline s64 world_map_file(struct world *w, u64 from, u64 to, u32 prot, u64 offset)
{
	return sys_mmap(&w->fx.cx, fx_addr(from), (to - from) * PAGE_SIZE, prot,
			MAP_PRIVATE | MAP_FIXED, w->file, offset * PAGE_SIZE);
}

/* The parent runs on CPU 0 and a kernel thread borrows nothing yet; all checks hold. */
static inline void world_create(struct world *w, const char *options)
{
	struct fixture *fx = &w->fx;

	memset(w, 0, sizeof(*w));
	fx_create(fx, options);
	w->m = fx->m;
	w->parent = fx->init;
	w->mm = w->parent->mm;
	w->file = file_create(&fx->cx, 16, FMODE_READ | FMODE_EXEC);
	assert_non_null(w->file);

	fx_mmap(fx, 0, 4, RW);
	for (u64 i = 0; i < 4; i++)
		fx_write(fx, i, 0x100 + i);
	fx_mmap(fx, 4, 6, PROT_READ);
	assert_int_equal(world_map_file(w, 8, 12, PROT_READ | PROT_EXEC, 2), fx_addr(8));
	fx_read(fx, 8);
	fx_read(fx, 9);
	assert_int_equal(world_map_file(w, 14, 16, RW, 0), fx_addr(14));
	fx_write(fx, 14, 0x200);
	if (w->m->cfg.ldt)
		assert_int_equal(sys_modify_ldt(&fx->cx, 3, 0x77), 0);

	assert_int_equal(sys_mbind(&fx->cx, fx_addr(0), 4 * PAGE_SIZE, MPOL_INTERLEAVE, 3), 0);

	/* two huge pages where there can be some: one of content, one of zeroes */
	if (w->m->cfg.thp) {
		fx_mmap(fx, 1024, 3072, RW);
		fx_write(fx, 1024 + 7, 0x600);
		fx_read(fx, 2048);
	}

	if (w->m->cfg.vdso) {
		u64 tag;

		assert_int_equal(access_user(&fx->cx, w->mm->context.vdso, false, &tag), ACCESS_OK);
	}

	w->child = fx_fork(fx);
	w->child_mm = w->child->mm;
	assert_int_equal(kernel_thread(&fx->cx, &w->kthread), 0);
	fx_run(fx, w->child);
	fx_write(fx, 1, 0x300);
	fx_read(fx, 8);
	fx_run(fx, w->kthread);
	fx_run(fx, w->parent);
	fx_write(fx, 2, 0x400);

	/* page 0 is in swap for both; page 3 is back for the child, and in the swap cache */
	if (w->m->cfg.swap) {
		assert_int_equal(sys_swap_out(&fx->cx, fx_addr(0)), 0);
		assert_int_equal(sys_swap_out(&fx->cx, fx_addr(3)), 0);
		fx_run(fx, w->child);
		fx_read(fx, 3);
		fx_run(fx, w->parent);
	}

	w->anon = fx_vma(fx, 0);
	w->idle = fx_vma(fx, 4);
	w->text = fx_vma(fx, 8);
	w->child_anon = find_vma(&fx->cx, w->child_mm, fx_addr(0));
}

/* Two I/O contexts of the task that runs, the second with a ring that needs a list of its pages. */
static inline void world_add_aio(struct world *w)
{
	s64 ring;

	fx_mmap(&w->fx, 25, 27, RW);
	ring = sys_io_setup(&w->fx.cx, 1, fx_addr(25));
	assert_true(ring > 0);
	assert_int_equal(sys_io_submit(&w->fx.cx, (u64)ring, 2), 2);
	ring = sys_io_setup(&w->fx.cx, 511, fx_addr(26));
	assert_true(ring > 0);
	assert_int_equal(sys_io_submit(&w->fx.cx, (u64)ring, 1), 1);
}

/* Two userfaultfds of the task that runs, each with a page of memory. */
static inline void world_add_uffds(struct world *w)
{
	fx_mmap(&w->fx, 28, 30, RW);
	for (u64 i = 0; i < 2; i++) {
		assert_int_equal(sys_userfaultfd(&w->fx.cx, i), 0);
		assert_int_equal(userfaultfd_register(&w->fx.cx, i, fx_addr(28 + i), PAGE_SIZE), 0);
	}
}

/* The task that runs is in two probed calls, and has the page for stepping mapped. */
static inline void world_add_uprobes(struct world *w)
{
	s64 addr = uprobe_step(&w->fx.cx);
	u64 tag;

	assert_true(addr > 0);
	assert_int_equal(access_user(&w->fx.cx, (u64)addr, false, &tag), ACCESS_OK);
	assert_int_equal(uprobe_call(&w->fx.cx, 10), 0);
	assert_int_equal(uprobe_call(&w->fx.cx, 11), 0);
}

static inline void world_destroy(struct world *w)
{
	unpoke(w);
	file_close(&w->fx.cx, w->file);
	for (u64 i = 0; i < NR_UFFDS; i++)
		userfaultfd_close(&w->fx.cx, i);
	fx_destroy(&w->fx);
}

#endif
