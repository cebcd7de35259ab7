/* SPDX-License-Identifier: GPL-2.0-only */
/* Huge pages: what each operation does to counters, references and deposits, and its fallbacks. */
#include "mm_bench.h"

#define BASE 0x40000000u
#define RW   (PROT_READ | PROT_WRITE)

static const char *const machines[] = {
	"thp=always",
	"thp=always levels=2",
	"thp=always levels=3 kernel_pmd=private ptl_objects=1",
	"thp=always levels=3 kernel_pmd=shared",
	"thp=always levels=5 ptl_objects=1",
	"thp=always split_ptlocks=1",
	"thp=always split_ptlocks=1 levels=2",
	"thp=always split_ptlocks=1 levels=3 kernel_pmd=private ptl_objects=1",
};

struct huge {
	struct bench b;
	struct task_struct *tsk;
	u64 nr, size; /* of a huge page */
	u64 ptes;     /* nr_ptes before */
	s64 rss;
};

static void up(struct huge *h, const char *options)
{
	bench_up(&h->b, options);
	h->tsk = bench_exec(&h->b, 0x400000);
	h->nr = hpage_nr(h->b.m);
	h->size = hpage_size(h->b.m);
	bench_mmap(&h->b, BASE, 4 * h->nr, RW, MAP_PRIVATE, NULL);
	h->ptes = h->tsk->mm->nr_ptes;
	h->rss = h->tsk->mm->rss_stat[MM_ANONPAGES];
}

static void down(struct huge *h)
{
	bench_check(&h->b);
	bench_exit(&h->b, h->tsk);
	bench_down(&h->b);
}

static pte_t entry_of(struct huge *h, const struct mm_struct *mm, u64 addr)
{
	const struct pt_geometry *geo = &h->b.m->geo;
	struct page *pmd = pmd_lookup(h->b.m, mm, addr);

	return pmd ? pt_get(pmd, pt_index(geo, pmd_level(geo), addr)) : 0;
}

static u64 deposits_of(const struct page *first)
{
	const struct page *pt = first;
	u64 nr = 0;

	for (; pt; nr++) {
		pt = list_first_entry(&pt->lru, struct page, lru);
		if (pt == first)
			return nr + 1;
	}
	return nr;
}

/* Of the PMD table of addr, where those have their own. */
static u64 deposits_at(struct huge *h, const struct mm_struct *mm, u64 addr)
{
	const struct page *pmd = pmd_lookup(h->b.m, mm, addr);

	return pmd ? deposits_of(pmd->pmd_huge_pte) : 0;
}

static u64 deposits(struct huge *h, const struct mm_struct *mm)
{
	u64 nr = deposits_of(mm->pmd_huge_pte);

	if (!split_pmd_ptlocks(h->b.m))
		return nr;
	assert_int_equal(nr, 0);
	for (u64 addr = 0; addr < 0xc0000000u; addr += 0x40000000u)
		nr += deposits_at(h, mm, addr);
	return nr;
}

static void assert_mm(struct huge *h, const struct mm_struct *mm, s64 rss, u64 ptes, u64 deposited)
{
	assert_int_equal(mm->rss_stat[MM_ANONPAGES] - h->rss, rss);
	assert_int_equal(mm->nr_ptes - h->ptes, ptes);
	assert_int_equal(deposits(h, mm), deposited);
	bench_check(&h->b);
}

static struct task_struct *fork_it(struct huge *h)
{
	struct task_struct *child;

	assert_int_equal(do_fork(&h->b.cx, 0, &child), 0);
	return child;
}

static void test_fault_and_unmap(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(machines); i++) {
		struct mm_struct *mm;
		struct page *page;
		struct huge h;

		up(&h, machines[i]);
		mm = h.tsk->mm;
		bench_write(&h.b, BASE + 3 * PAGE_SIZE, 7);
		assert_mm(&h, mm, (s64)h.nr, 1, 1);
		page = pfn_to_page(h.b.m, pte_pfn(entry_of(&h, mm, BASE)));
		assert_true(pmd_trans_huge(entry_of(&h, mm, BASE)) && PageTransHuge(page));
		assert_int_equal(page->_mapcount, 1);
		assert_int_equal(atomic_read(&page->_refcount), 1);
		assert_int_equal(bench_read(&h.b, BASE + h.size - 1), 0);
		assert_null(pte_lookup(h.b.m, mm, BASE));

		/* what is not inside the mapping as a whole is small */
		assert_int_equal(sys_munmap(&h.b.cx, BASE + 4 * h.size - PAGE_SIZE, PAGE_SIZE), 0);
		bench_write(&h.b, BASE + 3 * h.size, 8);
		assert_mm(&h, mm, (s64)h.nr + 1, 2, 1);

		assert_int_equal(sys_munmap(&h.b.cx, BASE, h.size), 0);
		assert_mm(&h, mm, 1, 1, 0);
		assert_int_equal(h.b.m->nr_alloc[PAGE_TAIL], 0);
		down(&h);
	}
}

static void test_zero_page(void **state)
{
	struct task_struct *child;
	struct page *zero;
	struct huge h;

	(void)state;
	up(&h, "thp=always");
	assert_int_equal(bench_read(&h.b, BASE), 0);
	zero = h.b.m->huge_zero_page;
	assert_int_equal(atomic_read(&zero->_refcount), 2);
	assert_mm(&h, h.tsk->mm, 0, 1, 1);
	child = fork_it(&h);
	assert_mm(&h, child->mm, 0, 1, 1);
	assert_int_equal(atomic_read(&zero->_refcount), 3);
	bench_write(&h.b, BASE, 1);
	assert_mm(&h, h.tsk->mm, (s64)h.nr, 1, 1);
	assert_int_equal(atomic_read(&zero->_refcount), 2);
	/* split: small zero pages, and the huge one has a user less */
	run_on(&h.b.cx, 0, child);
	assert_int_equal(sys_munmap(&h.b.cx, BASE + PAGE_SIZE, PAGE_SIZE), 0);
	assert_mm(&h, child->mm, 0, 1, 0);
	assert_int_equal(atomic_read(&zero->_refcount), 1);
	assert_int_equal(bench_read(&h.b, BASE + 2 * PAGE_SIZE), 0);
	bench_exit(&h.b, child);
	run_on(&h.b.cx, 0, h.tsk);
	shrink_huge_zero_page(&h.b.cx);
	assert_null(h.b.m->huge_zero_page);
	down(&h);
}

/* fork, copy-on-write, reuse; both sides write-protected in between. */
static void test_fork(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(machines); i++) {
		struct task_struct *child;
		struct page *page;
		struct huge h;

		up(&h, machines[i]);
		bench_write(&h.b, BASE, 1);
		page = pfn_to_page(h.b.m, pte_pfn(entry_of(&h, h.tsk->mm, BASE)));
		child = fork_it(&h);
		assert_mm(&h, child->mm, (s64)h.nr, 1, 1);
		assert_int_equal(page->_mapcount, 2);
		assert_int_equal(atomic_read(&page->_refcount), 2);
		assert_false(entry_of(&h, h.tsk->mm, BASE) & _PAGE_RW);
		assert_false(entry_of(&h, child->mm, BASE) & _PAGE_RW);
		run_on(&h.b.cx, 0, child);
		bench_write(&h.b, BASE + PAGE_SIZE, 2);
		assert_mm(&h, child->mm, (s64)h.nr, 1, 1);
		assert_int_not_equal(pte_pfn(entry_of(&h, child->mm, BASE)), page->pfn);
		assert_int_equal(bench_read(&h.b, BASE), 1);
		assert_int_equal(page->_mapcount, 1);
		run_on(&h.b.cx, 0, h.tsk);
		bench_watch(&h.b, 0, SITE_none);
		bench_write(&h.b, BASE, 3);
		assert_int_equal(h.b.nr_met, 0); /* alone again: nothing is copied */
		assert_int_equal(pte_pfn(entry_of(&h, h.tsk->mm, BASE)), page->pfn);
		bench_exit(&h.b, child);
		run_on(&h.b.cx, 0, h.tsk);
		down(&h);
	}
}

/* The whole page, for everybody, without memory; then its parts go one by one, and the block. */
static void test_split(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(machines); i++) {
		struct task_struct *child;
		struct page *page;
		struct huge h;

		up(&h, machines[i]);
		for (u64 k = 0; k < h.nr; k += 37)
			bench_write(&h.b, BASE + k * PAGE_SIZE, k + 1);
		page = pfn_to_page(h.b.m, pte_pfn(entry_of(&h, h.tsk->mm, BASE)));
		child = fork_it(&h);
		bench_watch(&h.b, 0, SITE_none);
		split_huge_page_pmd(&h.b.cx, child->mm, BASE + 5 * PAGE_SIZE);
		assert_int_equal(h.b.nr_met, 0);
		assert_mm(&h, h.tsk->mm, (s64)h.nr, 1, 0);
		assert_mm(&h, child->mm, (s64)h.nr, 1, 0);
		assert_false(PageTransHuge(page));
		assert_int_equal(page[1].type, PAGE_ANON);
		assert_int_equal(page[1]._mapcount, 2);
		for (u64 k = 0; k < h.nr; k += 37)
			assert_int_equal(bench_read(&h.b, BASE + k * PAGE_SIZE), k + 1);
		bench_exit(&h.b, child);
		run_on(&h.b.cx, 0, h.tsk);
		assert_int_equal(sys_munmap(&h.b.cx, BASE, h.size - PAGE_SIZE), 0);
		assert_int_equal(page->block_live, 1);
		assert_true(list_empty(&h.b.m->free_blocks));
		assert_int_equal(sys_munmap(&h.b.cx, BASE, h.size), 0);
		assert_false(list_empty(&h.b.m->free_blocks));
		/* and the frames are there again for the next one */
		bench_write(&h.b, BASE + h.size, 1);
		assert_int_equal(pte_pfn(entry_of(&h, h.tsk->mm, BASE + h.size)), page->pfn);
		down(&h);
	}
}

/* A boundary splits what it cuts, and nothing else. */
static void test_adjust(void **state)
{
	struct mm_struct *mm;
	struct huge h;

	(void)state;
	up(&h, "thp=always");
	mm = h.tsk->mm;
	for (u64 k = 0; k < 4; k++)
		bench_write(&h.b, BASE + k * h.size, k);
	assert_int_equal(sys_mprotect(&h.b.cx, BASE + h.size, h.size, PROT_READ), 0);
	assert_mm(&h, mm, 4 * (s64)h.nr, 4, 4);
	assert_int_equal(sys_mprotect(&h.b.cx, BASE + h.size, h.size, RW), 0);
	assert_int_equal(sys_mprotect(&h.b.cx, BASE + PAGE_SIZE, h.size, PROT_READ), 0);
	assert_mm(&h, mm, 4 * (s64)h.nr, 4, 2);
	/* moving the boundary further by a merge */
	assert_int_equal(sys_mprotect(&h.b.cx, BASE + h.size, h.size + PAGE_SIZE, PROT_READ), 0);
	assert_mm(&h, mm, 4 * (s64)h.nr, 4, 1);
	assert_true(pmd_trans_huge(entry_of(&h, mm, BASE + 3 * h.size)));
	down(&h);
}

/* Each request refused once: either nothing has changed, or small pages do it. */
static void test_refused(void **state)
{
	static const struct {
		enum fl_site site;
		bool write, small;
	} cases[] = {
		{SITE_huge_pte, true, false},	   {SITE_huge_pte, false, false},
		{SITE_huge_page, true, true},	   {SITE_huge_zero_page, false, true},
		{SITE_pmd_alloc_pmd, true, false},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench_counts before, after;
		struct mm_struct *mm;
		struct huge h;
		u64 tag = 5;

		up(&h, "thp=always");
		mm = h.tsk->mm;
		if (cases[i].site != SITE_pmd_alloc_pmd) {
			/* so that what stays of the way there is there before */
			bench_write(&h.b, BASE + h.size, 1);
			h.ptes++;
			h.rss += (s64)h.nr;
		}
		bench_count(&h.b, &before);
		bench_watch(&h.b, 0, cases[i].site);
		assert_int_equal(access_user(&h.b.cx, BASE, cases[i].write, &tag),
				 cases[i].small ? ACCESS_OK : ACCESS_OOM);
		assert_int_equal(bench_met(&h.b, cases[i].site), 1);
		bench_count(&h.b, &after);
		if (cases[i].small) {
			assert_mm(&h, mm, cases[i].write, 1, 1);
			assert_false(pmd_trans_huge(entry_of(&h, mm, BASE)));
		} else if (cases[i].site != SITE_pmd_alloc_pmd) {
			assert_memory_equal(&before, &after, sizeof(before));
			assert_mm(&h, mm, 0, 0, 1);
		}
		bench_watch(&h.b, 0, SITE_none);
		bench_write(&h.b, BASE, 6);
		assert_int_equal(bench_read(&h.b, BASE), 6);
		down(&h);
	}
}

/* No second huge page: 512 small ones; not those either: split, and one small one. */
static void test_cow_fallback(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		struct task_struct *child;
		struct huge h;
		u64 met;

		up(&h, i == 3 ? "thp=always levels=2" : "thp=always");
		bench_write(&h.b, BASE + 9 * PAGE_SIZE, 1);
		child = fork_it(&h);
		run_on(&h.b.cx, 0, child);
		if (i == 0 || i == 3) {
			bench_watch(&h.b, 0, SITE_huge_cow_page);
			bench_write(&h.b, BASE, 2);
			assert_int_equal(bench_met(&h.b, SITE_huge_cow_small), h.nr);
			assert_mm(&h, child->mm, (s64)h.nr, 1, 0);
			assert_true(pmd_trans_huge(entry_of(&h, h.tsk->mm, BASE)));
		} else {
			/* the array; then the last of the small pages, so that all others go back
			 */
			met = i == 1 ? 2 : 2 + h.nr;
			bench_watch(&h.b, (u32)met, SITE_huge_cow_page);
			bench_write(&h.b, BASE, 2);
			assert_int_equal(h.b.met[met - 1],
					 i == 1 ? SITE_huge_cow_array : SITE_huge_cow_small);
			assert_int_equal(bench_met(&h.b, SITE_cow_page), 1);
			assert_mm(&h, child->mm, (s64)h.nr, 1, 0);
			assert_mm(&h, h.tsk->mm, (s64)h.nr, 1, 0);
		}
		assert_int_equal(h.b.m->nr_alloc[PAGE_KMALLOC], 0);
		assert_int_equal(bench_read(&h.b, BASE + 9 * PAGE_SIZE), 1);
		bench_watch(&h.b, 0, SITE_none);
		bench_exit(&h.b, child);
		run_on(&h.b.cx, 0, h.tsk);
		assert_int_equal(bench_read(&h.b, BASE), 0);
		down(&h);
	}
}

/* A fork's table refused: nothing of the huge page is the child's. Memory of its own: small pages.
 */
static void test_no_room(void **state)
{
	struct task_struct *child = NULL;
	struct page *page;
	struct huge h;

	(void)state;
	up(&h, "thp=always mem=1024 overcommit=1");
	bench_write(&h.b, BASE, 1);
	page = pfn_to_page(h.b.m, pte_pfn(entry_of(&h, h.tsk->mm, BASE)));
	bench_watch(&h.b, 0, SITE_copy_huge_pte);
	assert_int_equal(do_fork(&h.b.cx, 0, &child), -ENOMEM);
	assert_int_equal(page->_mapcount, 1);
	assert_int_equal(atomic_read(&page->_refcount), 1);
	bench_watch(&h.b, 0, SITE_none);
	bench_write(&h.b, BASE + h.size, 2); /* no room for another huge page */
	assert_mm(&h, h.tsk->mm, (s64)h.nr + 1, 2, 1);
	down(&h);
}

static void test_move(void **state)
{
	struct mm_struct *mm;
	u64 to = BASE + 0x10000000u;
	struct huge h;
	pte_t entry;

	(void)state;
	up(&h, "thp=always");
	mm = h.tsk->mm;
	bench_write(&h.b, BASE + PAGE_SIZE, 4);
	entry = entry_of(&h, mm, BASE);
	assert_int_equal(sys_mremap(&h.b.cx, BASE, h.size, h.size, MREMAP_MAYMOVE | MREMAP_FIXED,
				    to),
			 (s64)to);
	assert_int_equal(entry_of(&h, mm, to), entry);
	assert_mm(&h, mm, (s64)h.nr, 1, 1);
	assert_int_equal(bench_read(&h.b, to + PAGE_SIZE), 4);
	/* to where it cannot be one */
	assert_int_equal(sys_mremap(&h.b.cx, to, h.size, h.size, MREMAP_MAYMOVE | MREMAP_FIXED,
				    to + 4 * h.size + PAGE_SIZE),
			 (s64)(to + 4 * h.size + PAGE_SIZE));
	assert_mm(&h, mm, (s64)h.nr, 2, 0);
	assert_int_equal(bench_read(&h.b, to + 4 * h.size + 2 * PAGE_SIZE), 4);
	down(&h);
}

/* Small pages, zero pages and holes become one; the table of theirs its deposit. */
static void test_collapse(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(machines); i++) {
		struct bench_counts before, after;
		struct mm_struct *mm;
		struct huge h;

		up(&h, machines[i]);
		mm = h.tsk->mm;
		bench_watch(&h.b, 0, SITE_huge_page);
		bench_write(&h.b, BASE, 1);
		bench_write(&h.b, BASE + 9 * PAGE_SIZE, 2);
		bench_watch(&h.b, 0, SITE_none);
		assert_int_equal(bench_read(&h.b, BASE + 5 * PAGE_SIZE), 0);
		assert_mm(&h, mm, 2, 1, 0);

		bench_count(&h.b, &before);
		bench_watch(&h.b, 0, SITE_collapse_page);
		assert_int_equal(khugepaged_step(&h.b.cx, BASE), -ENOMEM);
		bench_count(&h.b, &after);
		assert_memory_equal(&before, &after, sizeof(before));
		assert_mm(&h, mm, 2, 1, 0);

		bench_watch(&h.b, 0, SITE_none);
		assert_int_equal(khugepaged_step(&h.b.cx, BASE + h.size - 1), 0);
		assert_int_equal(h.b.nr_met, 1); /* the page: nothing else is asked for */
		assert_mm(&h, mm, (s64)h.nr, 1, 1);
		assert_true(pmd_trans_huge(entry_of(&h, mm, BASE)));
		assert_int_equal(bench_read(&h.b, BASE), 1);
		assert_int_equal(bench_read(&h.b, BASE + 9 * PAGE_SIZE), 2);
		assert_int_equal(bench_read(&h.b, BASE + 5 * PAGE_SIZE), 0);
		/* nothing to gather: what is huge already, what has no pages */
		assert_int_equal(khugepaged_step(&h.b.cx, BASE), 0);
		assert_int_equal(khugepaged_step(&h.b.cx, BASE + h.size), 0);
		assert_mm(&h, mm, (s64)h.nr, 1, 1);
		/* nowhere, or not all one VMA's */
		assert_int_equal(khugepaged_step(&h.b.cx, BASE - PAGE_SIZE), -EINVAL);
		assert_int_equal(khugepaged_step(&h.b.cx, mm->task_size), -EINVAL);
		down(&h);
	}
}

static void test_madvise(void **state)
{
	struct vm_area_struct *vma;
	struct huge h;

	(void)state;
	up(&h, "thp=madvise");
	bench_write(&h.b, BASE, 1);
	assert_mm(&h, h.tsk->mm, 1, 1, 0);
	assert_int_equal(sys_madvise(&h.b.cx, BASE + h.size, h.size, MADV_HUGEPAGE), 0);
	vma = find_vma(&h.b.cx, h.tsk->mm, BASE + h.size);
	assert_int_equal(vma->vm_start, BASE + h.size);
	assert_true(vma->vm_flags & VM_HUGEPAGE);
	bench_write(&h.b, BASE + h.size, 1);
	assert_mm(&h, h.tsk->mm, (s64)h.nr + 1, 2, 1);
	assert_int_equal(sys_madvise(&h.b.cx, BASE + h.size, h.size, MADV_NOHUGEPAGE), 0);
	assert_false(vma->vm_flags & VM_HUGEPAGE);
	assert_true(vma->vm_flags & VM_NOHUGEPAGE);
	/* what is huge stays so; given up whole, its deposit goes with it */
	assert_mm(&h, h.tsk->mm, (s64)h.nr + 1, 2, 1);
	assert_int_equal(sys_madvise(&h.b.cx, BASE + h.size, h.size, MADV_DONTNEED), 0);
	assert_mm(&h, h.tsk->mm, 1, 1, 0);
	bench_write(&h.b, BASE + h.size, 1);
	assert_mm(&h, h.tsk->mm, 2, 2, 0);
	down(&h);
}

/* A mapping that the reverse map does not lead to must not be forgotten. */
static void test_split_bug(void **state)
{
	struct page *page;
	struct huge h;

	(void)state;
	up(&h, "thp=always");
	bench_write(&h.b, BASE, 1);
	page = pfn_to_page(h.b.m, pte_pfn(entry_of(&h, h.tsk->mm, BASE)));
	page->_mapcount++;
	assert_bug(&h.b, FL_BUG_INVARIANT, split_huge_page_pmd(&h.b.cx, h.tsk->mm, BASE));
	bench_abandon(&h.b);
}

/* From one PMD table to another, with its deposit where that is the table's. */
static void test_move_between_tables(void **state)
{
	static const char *const both[] = {"thp=always", "thp=always split_ptlocks=1",
					   "thp=always split_ptlocks=1 levels=3 ptl_objects=1"};
	const u64 to = BASE + 0x40000000u;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(both); i++) {
		struct mm_struct *mm;
		struct huge h;
		bool split;

		up(&h, both[i]);
		mm = h.tsk->mm;
		split = h.b.m->cfg.split_ptlocks;
		bench_write(&h.b, BASE, 7);
		bench_write(&h.b, BASE + h.size, 8);
		assert_int_equal(sys_mremap(&h.b.cx, BASE, h.size, h.size,
					    MREMAP_MAYMOVE | MREMAP_FIXED, to),
				 to);
		assert_true(pmd_trans_huge(entry_of(&h, mm, to)));
		assert_mm(&h, mm, 2 * (s64)h.nr, 2, 2);
		assert_int_equal(deposits_at(&h, mm, BASE), split ? 1 : 0);
		assert_int_equal(deposits_at(&h, mm, to), split ? 1 : 0);
		assert_int_equal(bench_read(&h.b, to), 7);
		/* the table that is taken to split it is that one */
		assert_int_equal(sys_munmap(&h.b.cx, to, PAGE_SIZE), 0);
		assert_int_equal(deposits_at(&h, mm, to), 0);
		assert_mm(&h, mm, 2 * (s64)h.nr - 1, 2, 1);
		down(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fault_and_unmap),
		cmocka_unit_test(test_zero_page),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_adjust),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_cow_fallback),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_move_between_tables),
		cmocka_unit_test(test_split_bug),
		cmocka_unit_test(test_collapse),
		cmocka_unit_test(test_madvise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
