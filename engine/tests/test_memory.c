/* SPDX-License-Identifier: GPL-2.0-only */
/* Faults, copy-on-write, fork's copy of tables, unmapping and the freeing of tables, the gather. */
#include "mm_bench.h"

#define RW    (PROT_READ | PROT_WRITE)
#define IMAGE 0x80000000u /* where the first task's own image lies */
#define BASE  0x40000000u /* where the tests map */

static const char *const geometries[] = {
	"levels=4",
	"levels=4 ptl_objects=1 paravirt=xen",
	"levels=3 kernel_pmd=private",
	"levels=3 kernel_pmd=shared ptl_objects=1",
	"levels=2 ptl_objects=1",
	"levels=5",
};

static s64 anon(const struct mm_struct *mm)
{
	return mm->rss_stat[MM_ANONPAGES];
}

static s64 filepages(const struct mm_struct *mm)
{
	return mm->rss_stat[MM_FILEPAGES];
}

static void test_anon_fault(void **state)
{
	struct bench b;
	struct task_struct *t;
	struct mm_struct *mm;
	struct page *page;
	s64 rss;
	u64 zero_refs;
	pte_t e;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	mm = t->mm;
	bench_mmap(&b, BASE, 4, RW, MAP_PRIVATE, NULL);
	rss = anon(mm);
	zero_refs = (u64)atomic_read(&b.m->zero_page->_refcount);

	/* a load gets the page of zeroes, which counts nowhere */
	assert_int_equal(bench_read(&b, BASE), 0);
	e = bench_pte(&b, mm, BASE);
	assert_int_equal(pte_pfn(e), b.m->zero_page->pfn);
	assert_true(e & _PAGE_SPECIAL);
	assert_false(e & _PAGE_RW);
	assert_int_equal(anon(mm), rss);
	assert_int_equal(atomic_read(&b.m->zero_page->_refcount), zero_refs);
	assert_null(find_vma(&b.cx, mm, BASE)->anon_vma);

	/* a store to it a page of its own */
	bench_watch(&b, 0, SITE_none);
	bench_write(&b, BASE, 0x11);
	assert_int_equal(bench_met(&b, SITE_cow_page), 1);
	assert_int_equal(anon(mm), rss + 1);
	assert_int_equal(bench_read(&b, BASE), 0x11);

	/* a store where nothing was takes another way there; the entry says what happened */
	bench_watch(&b, 0, SITE_none);
	bench_write(&b, BASE + PAGE_SIZE, 0x22);
	assert_int_equal(bench_met(&b, SITE_anon_page), 1);
	e = bench_pte(&b, mm, BASE + PAGE_SIZE);
	assert_true((e & _PAGE_RW) && (e & _PAGE_DIRTY) && (e & _PAGE_ACCESSED));
	page = pfn_to_page(b.m, pte_pfn(e));
	assert_int_equal(page->type, PAGE_ANON);
	assert_int_equal(page->_mapcount, 1);
	assert_int_equal(atomic_read(&page->_refcount), 1);
	assert_int_equal(page->index, (BASE + PAGE_SIZE) >> PAGE_SHIFT);
	assert_ptr_equal(page->anon_vma, find_vma(&b.cx, mm, BASE)->anon_vma);
	assert_int_equal(bench_read(&b, BASE), 0x11);
	bench_check(&b);

	assert_int_equal(sys_munmap(&b.cx, BASE, 4 * PAGE_SIZE), 0);
	assert_int_equal(anon(mm), rss);
	bench_check(&b);
	bench_exit(&b, t);
	bench_down(&b);
}

static void test_access_refused(void **state)
{
	struct bench b;
	struct task_struct *t, *kthread;
	u64 tag = 0x77;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	bench_mmap(&b, BASE, 1, PROT_READ, MAP_PRIVATE, NULL);
	bench_mmap(&b, BASE + PAGE_SIZE, 1, PROT_NONE, MAP_PRIVATE, NULL);
	bench_mmap(&b, BASE + 2 * PAGE_SIZE, 1, PROT_WRITE, MAP_PRIVATE, NULL);
	assert_int_equal(access_user(&b.cx, BASE, true, &tag), ACCESS_SIGSEGV);
	assert_int_equal(access_user(&b.cx, BASE + PAGE_SIZE, false, &tag), ACCESS_SIGSEGV);
	assert_int_equal(access_user(&b.cx, BASE - PAGE_SIZE, false, &tag), ACCESS_SIGSEGV);
	assert_int_equal(access_user(&b.cx, b.m->geo.task_size, false, &tag), ACCESS_SIGSEGV);
	assert_int_equal(access_user(&b.cx, ~(u64)0, true, &tag), ACCESS_SIGSEGV);
	assert_int_equal(tag, 0x77);
	/* x86 cannot take the reading away from a writer */
	bench_write(&b, BASE + 2 * PAGE_SIZE, 5);
	assert_int_equal(bench_read(&b, BASE + 2 * PAGE_SIZE), 5);

	/* entries follow mprotect, contents stay */
	assert_int_equal(sys_mprotect(&b.cx, BASE + 2 * PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
	assert_true(bench_pte(&b, t->mm, BASE + 2 * PAGE_SIZE) & _PAGE_PROTNONE);
	assert_int_equal(access_user(&b.cx, BASE + 2 * PAGE_SIZE, false, &tag), ACCESS_SIGSEGV);
	bench_check(&b);
	assert_int_equal(sys_mprotect(&b.cx, BASE + 2 * PAGE_SIZE, PAGE_SIZE, RW), 0);
	assert_int_equal(bench_read(&b, BASE + 2 * PAGE_SIZE), 5);
	bench_write(&b, BASE + 2 * PAGE_SIZE, 6);
	assert_int_equal(bench_read(&b, BASE + 2 * PAGE_SIZE), 6);
	bench_check(&b);

	assert_int_equal(kernel_thread(&b.cx, &kthread), 0);
	run_on(&b.cx, 0, kthread);
	assert_int_equal(access_user(&b.cx, BASE, false, &tag), ACCESS_SIGSEGV);
	do_exit(&b.cx);
	bench_exit(&b, t);
	bench_down(&b);
}

/* Every request of a fault refused in turn: OOM, and no entry, counter or page has changed.
 */
static void fault_unwind(const char *geometry, struct file *(*make)(struct bench *b), u32 flags,
			 bool write)
{
	u32 n = 1;

	for (;;) {
		struct bench_counts before, after;
		struct task_struct *t;
		struct file *file = NULL;
		enum access_result res;
		struct bench b;
		u64 tag = 0x99;
		s64 rss[2];
		unsigned int i;

		bench_up(&b, geometry);
		t = bench_exec(&b, IMAGE);
		if (make)
			file = make(&b);
		bench_mmap(&b, BASE, 1, write ? RW : PROT_READ, flags, file);
		bench_count(&b, &before);
		rss[0] = anon(t->mm);
		rss[1] = filepages(t->mm);
		bench_watch(&b, n, SITE_none);
		res = access_user(&b.cx, BASE, write, &tag);
		if (res == ACCESS_OK) {
			assert_true(n > b.nr_met && n > 1);
		} else {
			assert_int_equal(res, ACCESS_OOM);
			assert_int_equal(b.nr_met, n);
			assert_int_equal(tag, 0x99);
			assert_int_equal(bench_pte(&b, t->mm, BASE), 0);
			assert_int_equal(anon(t->mm), rss[0]);
			assert_int_equal(filepages(t->mm), rss[1]);
			bench_count(&b, &after);
			/* tables and a prepared anon_vma may stay; pages may not */
			for (i = PAGE_FREE; i <= PAGE_FILE; i++)
				assert_int_equal(before.nr_alloc[i], after.nr_alloc[i]);
			bench_check(&b);
			bench_watch(&b, 0, SITE_none);
			assert_int_equal(access_user(&b.cx, BASE, write, &tag), ACCESS_OK);
		}
		bench_check(&b);
		bench_exit(&b, t);
		if (file)
			file_close(&b.cx, file);
		bench_down(&b);
		if (res == ACCESS_OK)
			return;
		n++;
	}
}

static struct file *make_rw_file(struct bench *b)
{
	struct file *file = file_create(&b->cx, 4, FMODE_READ | FMODE_WRITE);

	assert_non_null(file);
	return file;
}

static void test_fault_unwind(void **state)
{
	unsigned int g;

	(void)state;
	for (g = 0; g < ARRAY_SIZE(geometries); g++) {
		fault_unwind(geometries[g], NULL, MAP_PRIVATE, true);
		fault_unwind(geometries[g], make_rw_file, MAP_PRIVATE, true);
		fault_unwind(geometries[g], make_rw_file, MAP_PRIVATE, false);
		fault_unwind(geometries[g], make_rw_file, MAP_SHARED, false);
	}
}

/* A write fault asks for tables, chain, anon_vma and page, in this order (facts §19.7). */
static void test_fault_order(void **state)
{
	static const enum fl_site order[] = {
		SITE_pud_alloc_pud,	  SITE_pmd_alloc_pmd,  SITE_pmd_alloc_ctor,
		SITE_pte_alloc_pte,	  SITE_pte_alloc_ctor, SITE_anon_vma_prepare_avc,
		SITE_anon_vma_prepare_av, SITE_anon_page,
	};
	struct task_struct *t;
	struct bench b;

	(void)state;
	bench_up(&b, "levels=4 ptl_objects=1");
	t = bench_exec(&b, IMAGE);
	bench_mmap(&b, (u64)1 << 40, 1, RW, MAP_PRIVATE, NULL);
	bench_watch(&b, 0, SITE_none);
	bench_write(&b, (u64)1 << 40, 1);
	assert_int_equal(b.nr_met, ARRAY_SIZE(order));
	assert_memory_equal(b.met, order, sizeof(order));
	bench_exit(&b, t);
	bench_down(&b);
}

static void test_cow(void **state)
{
	struct task_struct *t, *child, *grandchild;
	struct mm_struct *mm;
	struct page *page;
	struct bench b;
	pte_t e;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	mm = t->mm;
	bench_mmap(&b, BASE, 4, RW, MAP_PRIVATE, NULL);
	bench_write(&b, BASE, 0x11);
	bench_write(&b, BASE + PAGE_SIZE, 0x12);
	assert_int_equal(bench_read(&b, BASE + 2 * PAGE_SIZE), 0);
	assert_int_equal(do_fork(&b.cx, 0, &child), 0);

	/* one page, two readers, no writer; the child has not looked at it yet */
	e = bench_pte(&b, mm, BASE);
	page = pfn_to_page(b.m, pte_pfn(e));
	assert_int_equal(pte_pfn(bench_pte(&b, child->mm, BASE)), page->pfn);
	assert_false(e & _PAGE_RW);
	assert_false(bench_pte(&b, child->mm, BASE) & _PAGE_RW);
	assert_false(bench_pte(&b, child->mm, BASE) & _PAGE_ACCESSED);
	assert_int_equal(page->_mapcount, 2);
	assert_int_equal(atomic_read(&page->_refcount), 2);
	assert_int_equal(anon(child->mm), anon(mm));
	assert_true(bench_pte(&b, child->mm, BASE + 2 * PAGE_SIZE) & _PAGE_SPECIAL);
	bench_check(&b);

	/* the child's store makes a copy, for the child alone */
	run_on(&b.cx, 0, child);
	assert_int_equal(bench_read(&b, BASE), 0x11);
	bench_watch(&b, 0, SITE_none);
	bench_write(&b, BASE, 0x21);
	assert_int_equal(bench_met(&b, SITE_cow_page), 1);
	assert_int_equal(page->_mapcount, 1);
	assert_int_equal(anon(child->mm), anon(mm));
	bench_check(&b);

	/* three generations */
	assert_int_equal(do_fork(&b.cx, 0, &grandchild), 0);
	run_on(&b.cx, 0, grandchild);
	assert_int_equal(bench_read(&b, BASE), 0x21);
	bench_write(&b, BASE + PAGE_SIZE, 0x32);
	bench_check(&b);
	bench_exit(&b, grandchild);

	/* the last one left writes in place, without asking for memory */
	run_on(&b.cx, 0, t);
	assert_int_equal(bench_read(&b, BASE), 0x11);
	bench_watch(&b, 0, SITE_none);
	bench_write(&b, BASE, 0x31);
	assert_int_equal(b.nr_met, 0);
	assert_int_equal(pte_pfn(bench_pte(&b, mm, BASE)), page->pfn);
	assert_ptr_equal(page->anon_vma, find_vma(&b.cx, mm, BASE)->anon_vma);
	run_on(&b.cx, 0, child);
	assert_int_equal(bench_read(&b, BASE), 0x21);
	assert_int_equal(bench_read(&b, BASE + PAGE_SIZE), 0x12);
	bench_check(&b);
	bench_exit(&b, t);

	/* the parent gone, its page is the child's: found by the child's anon_vma from now on */
	run_on(&b.cx, 0, child);
	page = pfn_to_page(b.m, pte_pfn(bench_pte(&b, child->mm, BASE + PAGE_SIZE)));
	bench_watch(&b, 1, SITE_none);
	bench_write(&b, BASE + PAGE_SIZE, 0x42);
	assert_int_equal(b.nr_met, 0);
	assert_ptr_equal(page->anon_vma, find_vma(&b.cx, child->mm, BASE)->anon_vma);
	bench_check(&b);
	bench_exit(&b, child);
	bench_down(&b);
}

/* Facts §17.2, with the sizes that the image brings along taken as they are. */
static void test_fork_accounting(void **state)
{
	const u64 a = BASE, bb = BASE + 0x1000000, c = BASE + 0x2000000;
	struct task_struct *t, *child;
	struct file *file;
	struct mm_struct *mm;
	struct bench b;
	s64 committed, rss, child_anon;
	u64 total, i, account = 0;
	struct vm_area_struct *vma;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	mm = t->mm;
	rss = anon(mm);
	file = make_rw_file(&b);
	bench_mmap(&b, a, 10, RW, MAP_PRIVATE, NULL);
	for (i = 0; i < 4; i++)
		bench_write(&b, a + i * PAGE_SIZE, i + 1);
	bench_mmap(&b, bb, 4, PROT_READ, MAP_PRIVATE, file);
	assert_int_equal(bench_read(&b, bb), file_page_tag(file->f_inode, 0));
	bench_mmap(&b, c, 3, RW, MAP_PRIVATE, NULL);
	bench_write(&b, c, 9);
	find_vma(&b.cx, mm, c)->vm_flags |= VM_DONTCOPY;
	for (vma = mm->mmap; vma; vma = vma->vm_next)
		if ((vma->vm_flags & VM_ACCOUNT) && !(vma->vm_flags & VM_DONTCOPY))
			account += vma_pages(vma);
	total = mm->total_vm;
	committed = b.m->vm_committed_as;
	assert_int_equal(anon(mm), rss + 5);
	assert_int_equal(filepages(mm), 1);

	assert_int_equal(do_fork(&b.cx, 0, &child), 0);
	assert_int_equal(child->mm->total_vm, total - 3);
	assert_int_equal(b.m->vm_committed_as, committed + (s64)account);
	child_anon = rss + 4;
	assert_int_equal(anon(child->mm), child_anon);
	assert_int_equal(filepages(child->mm), 0); /* faults will refill it */
	assert_null(pte_lookup(b.m, child->mm, bb));
	assert_null(pte_lookup(b.m, child->mm, c));
	assert_int_equal(child->mm->nr_ptes, 2); /* for A and the stack */
	assert_int_equal(anon(mm), rss + 5);
	for (i = 0; i < 4; i++) {
		pte_t e = bench_pte(&b, mm, a + i * PAGE_SIZE);

		assert_false(e & _PAGE_RW);
		assert_int_equal(pfn_to_page(b.m, pte_pfn(e))->_mapcount, 2);
	}
	bench_check(&b);
	bench_exit(&b, child);
	run_on(&b.cx, 0, t);
	assert_int_equal(b.m->vm_committed_as, committed);
	bench_check(&b);
	bench_exit(&b, t);
	file_close(&b.cx, file);
	bench_down(&b);
}

/* A fork whose copying of tables fails: the half that was copied goes, the parent can write on. */
static void test_copy_unwind(void **state)
{
	static const enum fl_site sites[] = {SITE_pud_alloc_pud, SITE_pmd_alloc_pmd,
					     SITE_pmd_alloc_ctor, SITE_pte_alloc_pte,
					     SITE_pte_alloc_ctor};
	unsigned int g, delivered = 0;

	(void)state;
	for (g = 0; g < ARRAY_SIZE(geometries); g++) {
		struct bench_counts before, after;
		struct task_struct *t, *child;
		struct bench b;
		u32 n, requests;
		u64 i;

		bench_up(&b, geometries[g]);
		t = bench_exec(&b, IMAGE);
		for (i = 0; i < 3; i++) {
			bench_mmap(&b, BASE + i * 0x400000, 1, RW, MAP_PRIVATE, NULL);
			bench_write(&b, BASE + i * 0x400000, i + 1);
		}
		bench_watch(&b, 0, SITE_none);
		assert_int_equal(do_fork(&b.cx, 0, &child), 0);
		requests = b.nr_met;
		bench_exit(&b, child);
		run_on(&b.cx, 0, t);
		bench_count(&b, &before);
		for (n = 1; n <= requests; n++) {
			enum fl_site failed;
			unsigned int s;

			child = NULL;
			bench_watch(&b, n, SITE_none);
			if (do_fork(&b.cx, 0, &child) == 0) {
				bench_exit(&b, child);
				run_on(&b.cx, 0, t);
				continue; /* a request with a fallback */
			}
			failed = b.met[n - 1];
			for (s = 0; s < ARRAY_SIZE(sites); s++)
				delivered += failed == sites[s];
			bench_watch(&b, 0, SITE_none);
			bench_count(&b, &after);
			assert_memory_equal(&before, &after, sizeof(before));
			bench_check(&b);
			for (i = 0; i < 3; i++) {
				assert_int_equal(bench_read(&b, BASE + i * 0x400000), i + 1);
				bench_write(&b, BASE + i * 0x400000, i + 1);
			}
			assert_int_equal(b.nr_met, 0); /* written in place */
		}
		bench_exit(&b, t);
		bench_down(&b);
	}
	assert_true(delivered >= 4 * 4);
}

/* Facts §17.1: which tables go with which mapping. */
static void test_floor_ceiling(void **state)
{
	const u64 image = (u64)1 << 41; /* in another PGD entry */
	struct task_struct *t;
	struct mm_struct *mm;
	struct bench b;
	u64 puds, pmds;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, image);
	mm = t->mm;
	puds = b.m->nr_alloc[PAGE_PUD];
	pmds = mm->nr_pmds;

	/* two mappings that share a table: it goes with the second */
	bench_mmap(&b, 0x200000, 1, RW, MAP_PRIVATE, NULL);
	bench_mmap(&b, 0x3ff000, 1, RW, MAP_PRIVATE, NULL);
	bench_write(&b, 0x200000, 1);
	bench_write(&b, 0x3ff000, 2);
	assert_ptr_equal(pte_lookup(b.m, mm, 0x200000), pte_lookup(b.m, mm, 0x3ff000));
	assert_int_equal(b.m->nr_alloc[PAGE_PUD], puds + 1);
	assert_int_equal(sys_munmap(&b.cx, 0x200000, PAGE_SIZE), 0);
	assert_non_null(pte_lookup(b.m, mm, 0x200000));
	assert_int_equal(bench_read(&b, 0x3ff000), 2);
	assert_int_equal(sys_munmap(&b.cx, 0x3ff000, PAGE_SIZE), 0);
	assert_null(pte_lookup(b.m, mm, 0x200000));
	assert_int_equal(mm->nr_pmds, pmds);
	assert_int_equal(b.m->nr_alloc[PAGE_PUD], puds);
	bench_check(&b);

	/* the other order */
	bench_mmap(&b, 0x200000, 1, RW, MAP_PRIVATE, NULL);
	bench_mmap(&b, 0x3ff000, 1, RW, MAP_PRIVATE, NULL);
	bench_write(&b, 0x200000, 1);
	bench_write(&b, 0x3ff000, 2);
	assert_int_equal(sys_munmap(&b.cx, 0x3ff000, PAGE_SIZE), 0);
	assert_int_equal(bench_read(&b, 0x200000), 1);
	assert_int_equal(sys_munmap(&b.cx, 0x200000, PAGE_SIZE), 0);
	assert_int_equal(b.m->nr_alloc[PAGE_PUD], puds);

	/* the middle of one: its own table goes, the neighbours' and the one above stay */
	bench_mmap(&b, 0x1ff000, 0x202, RW, MAP_PRIVATE, NULL);
	bench_write(&b, 0x1ff000, 1);
	bench_write(&b, 0x200000, 2);
	bench_write(&b, 0x3ff000, 3);
	bench_write(&b, 0x400000, 4);
	assert_int_equal(sys_munmap(&b.cx, 0x200000, 0x200000), 0);
	assert_null(pte_lookup(b.m, mm, 0x200000));
	assert_int_equal(bench_read(&b, 0x1ff000), 1);
	assert_int_equal(bench_read(&b, 0x400000), 4);
	assert_int_equal(mm->nr_pmds, pmds + 1);
	bench_check(&b);
	assert_int_equal(sys_munmap(&b.cx, 0, 0x402000), 0);
	assert_int_equal(b.m->nr_alloc[PAGE_PUD], puds);
	assert_int_equal(mm->nr_pmds, pmds);

	/* a page before and after the middle keeps its table */
	bench_mmap(&b, 0x200000, 0x200, RW, MAP_PRIVATE, NULL);
	bench_write(&b, 0x201000, 1);
	assert_int_equal(sys_munmap(&b.cx, 0x201000, 0x1fe000), 0);
	assert_non_null(pte_lookup(b.m, mm, 0x201000));
	assert_int_equal(sys_munmap(&b.cx, 0x200000, 0x200000), 0);
	assert_null(pte_lookup(b.m, mm, 0x201000));

	/* one gigabyte's PMD table stays while the next one's goes */
	bench_mmap(&b, 0x3fe00000, 1, RW, MAP_PRIVATE, NULL);
	bench_mmap(&b, 0x40000000, 1, RW, MAP_PRIVATE, NULL);
	bench_write(&b, 0x3fe00000, 1);
	bench_write(&b, 0x40000000, 2);
	assert_int_equal(mm->nr_pmds, pmds + 2);
	assert_int_equal(sys_munmap(&b.cx, 0x40000000, PAGE_SIZE), 0);
	assert_int_equal(mm->nr_pmds, pmds + 1);
	assert_int_equal(bench_read(&b, 0x3fe00000), 1);
	bench_check(&b);
	bench_exit(&b, t);
	bench_down(&b);
}

/* PAE: a munmap may free a preallocated PMD table, and a fault makes it anew (facts §14). */
static void test_pae_pmd(void **state)
{
	static const char *const kinds[] = {"levels=3 kernel_pmd=private",
					    "levels=3 kernel_pmd=shared"};
	struct task_struct *t;
	struct bench b;
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		u64 pmds;

		bench_up(&b, kinds[i]);
		t = bench_exec(&b, 0x1000000);
		pmds = b.m->geo.preallocated_pmds;
		assert_int_equal(t->mm->nr_pmds, pmds);
		bench_mmap(&b, 0x50000000, 1, RW, MAP_PRIVATE, NULL);
		bench_write(&b, 0x50000000, 7);
		assert_int_equal(t->mm->nr_pmds, pmds);
		assert_int_equal(sys_munmap(&b.cx, 0x50000000, PAGE_SIZE), 0);
		assert_int_equal(t->mm->nr_pmds, pmds - 1);
		assert_null(pt_table(b.m, t->mm->pgd, 1));
		bench_check(&b);

		bench_mmap(&b, 0x50000000, 1, RW, MAP_PRIVATE, NULL);
		bench_watch(&b, 0, SITE_none);
		bench_write(&b, 0x50000000, 8);
		assert_int_equal(bench_met(&b, SITE_pmd_alloc_pmd), 1);
		assert_int_equal(t->mm->nr_pmds, pmds);
		bench_check(&b);
		bench_exit(&b, t);
		bench_down(&b);
	}
}

/* Many pages, with and without memory to queue them: the same result, more flushes. */
static void test_gather(void **state)
{
	const u64 pages = 1200;
	u64 flushes[2] = {0, 0};
	unsigned int pass;

	(void)state;
	for (pass = 0; pass < 2; pass++) {
		struct task_struct *t;
		struct bench b;
		u64 i, before;
		s64 rss;

		bench_up(&b, "levels=4");
		t = bench_exec(&b, IMAGE);
		rss = anon(t->mm);
		bench_mmap(&b, BASE, pages, RW, MAP_PRIVATE, NULL);
		for (i = 0; i < pages; i++)
			bench_write(&b, BASE + i * PAGE_SIZE, i);
		before = b.m->rqs[0].tlb_flushes;
		bench_watch(&b, 0, pass ? SITE_gather_batch : SITE_none);
		assert_int_equal(sys_munmap(&b.cx, BASE, pages * PAGE_SIZE), 0);
		flushes[pass] = b.m->rqs[0].tlb_flushes - before;
		assert_int_equal(anon(t->mm), rss);
		assert_int_equal(b.m->nr_alloc[PAGE_GATHER], 0);
		if (!pass)
			assert_int_equal(bench_met(&b, SITE_gather_batch), 3);
		bench_check(&b);

		/* an exit never fails, whatever is refused */
		bench_mmap(&b, BASE, pages, RW, MAP_PRIVATE, NULL);
		for (i = 0; i < pages; i++)
			bench_write(&b, BASE + i * PAGE_SIZE, i);
		bench_exit(&b, t);
		bench_down(&b);
	}
	assert_int_equal(flushes[0], 1);
	/* three PTE tables end in their own rounds, and the rest are full bundles */
	assert_true(flushes[1] >= pages / MMU_GATHER_BUNDLE);
	assert_true(flushes[1] <= pages / MMU_GATHER_BUNDLE + 4);
}

/* A gather that has all the batch pages it may have flushes, too, and uses them again. */
static void test_gather_limit(void **state)
{
	struct task_struct *t;
	struct mmu_gather tlb;
	struct bench b;
	u32 n, batches;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	bench_watch(&b, 0, SITE_none);
	tlb_gather_mmu(&b.cx, &tlb, t->mm, 0, PAGE_SIZE);
	assert_true(tlb.start > tlb.end);
	for (n = 0; n < 20000; n++) {
		struct page *page = alloc_pages(&b.cx, SITE_none, __GFP_TAG, 0, PAGE_ANON);

		assert_non_null(page);
		tlb_record(&tlb, 0);
		if (!__tlb_remove_page(&b.cx, &tlb, page)) {
			tlb_flush_mmu(&b.cx, &tlb);
			assert_int_equal(b.m->nr_alloc[PAGE_ANON], 1); /* the stack's */
			assert_true(tlb.start > tlb.end);
		}
	}
	batches = bench_met(&b, SITE_gather_batch);
	assert_int_equal(batches, 19);
	tlb_finish_mmu(&b.cx, &tlb, 0, PAGE_SIZE);
	assert_int_equal(b.m->nr_alloc[PAGE_GATHER], 0);
	assert_int_equal(b.m->nr_alloc[PAGE_ANON], 1);
	bench_exit(&b, t);
	bench_down(&b);
}

/* A page without a range to flush would be freed under a stale translation. */
static void test_gather_bug(void **state)
{
	struct task_struct *t;
	struct mmu_gather tlb;
	struct page *page;
	struct bench b;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	tlb_gather_mmu(&b.cx, &tlb, t->mm, 0, PAGE_SIZE);
	page = alloc_pages(&b.cx, SITE_none, __GFP_TAG, 0, PAGE_ANON);
	assert_bug(&b, FL_BUG_INVARIANT, __tlb_remove_page(&b.cx, &tlb, page));
	bench_abandon(&b);
}

/* Dirty shared file pages: flushed under the lock, once more than clean ones. */
static void test_dirty_flush(void **state)
{
	u64 flushes[2];
	unsigned int dirty;

	(void)state;
	for (dirty = 0; dirty < 2; dirty++) {
		struct task_struct *t;
		struct file *file;
		struct bench b;

		bench_up(&b, "levels=4");
		t = bench_exec(&b, IMAGE);
		file = make_rw_file(&b);
		bench_mmap(&b, BASE, 2, RW, MAP_SHARED, file);
		bench_read(&b, BASE);
		if (dirty)
			bench_write(&b, BASE, 0x55);
		flushes[dirty] = b.m->rqs[0].tlb_flushes;
		assert_int_equal(sys_munmap(&b.cx, BASE, 2 * PAGE_SIZE), 0);
		flushes[dirty] = b.m->rqs[0].tlb_flushes - flushes[dirty];
		bench_check(&b);
		bench_exit(&b, t);
		file_close(&b.cx, file);
		bench_down(&b);
	}
	assert_int_equal(flushes[0], 1);
	assert_int_equal(flushes[1], 2);
}

/* A CPU that only borrows an mm leaves it at the first flush. */
static void test_lazy_flush(void **state)
{
	struct task_struct *t, *thread;
	struct bench b;

	(void)state;
	bench_up(&b, "levels=4 cpus=2");
	t = bench_exec(&b, IMAGE);
	bench_mmap(&b, BASE, 1, RW, MAP_PRIVATE, NULL);
	bench_write(&b, BASE, 1);
	assert_int_equal(do_fork(&b.cx, CLONE_VM, &thread), 0);
	run_on(&b.cx, 1, thread);
	bench_write(&b, BASE, 2);
	run_on(&b.cx, 1, NULL);
	assert_int_equal(t->mm->cpu_vm_mask, 3);
	assert_ptr_equal(b.m->rqs[1].loaded, t->mm);
	run_on(&b.cx, 0, t);
	assert_int_equal(sys_mprotect(&b.cx, BASE, PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(t->mm->cpu_vm_mask, 1);
	assert_ptr_equal(b.m->rqs[1].loaded, &b.m->init_mm);
	bench_check(&b);
	run_on(&b.cx, 1, thread);
	assert_int_equal(t->mm->cpu_vm_mask, 3);
	assert_int_equal(bench_read(&b, BASE), 2);
	bench_check(&b);
	do_exit(&b.cx);
	run_on(&b.cx, 1, NULL);
	bench_exit(&b, t);
	run_on(&b.cx, 1, NULL);
	bench_down(&b);
}

static void test_step_budget(void **state)
{
	struct bench b;
	u64 tag;

	(void)state;
	bench_up(&b, "levels=4");
	bench_exec(&b, IMAGE);
	bench_mmap(&b, BASE, 1, RW, MAP_PRIVATE, NULL);
	b.cx.steps = 0;
	assert_bug(&b, FL_BUG_HANG, access_user(&b.cx, BASE, true, &tag));
	bench_abandon(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_anon_fault),   cmocka_unit_test(test_access_refused),
		cmocka_unit_test(test_fault_unwind), cmocka_unit_test(test_fault_order),
		cmocka_unit_test(test_cow),	     cmocka_unit_test(test_fork_accounting),
		cmocka_unit_test(test_copy_unwind),  cmocka_unit_test(test_floor_ceiling),
		cmocka_unit_test(test_pae_pmd),	     cmocka_unit_test(test_gather),
		cmocka_unit_test(test_gather_limit), cmocka_unit_test(test_gather_bug),
		cmocka_unit_test(test_dirty_flush),  cmocka_unit_test(test_lazy_flush),
		cmocka_unit_test(test_step_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
