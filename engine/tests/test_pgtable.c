/* SPDX-License-Identifier: GPL-2.0-only */
/* Page tables and the life of a pgd in every geometry, with each of its requests refused in turn.
 */
#include "mm_bench.h"

static void new_mm(struct mm_struct *mm)
{
	memset(mm, 0, sizeof(*mm));
	fl_lock_init(&mm->page_table_lock, LOCK_page_table_lock);
}

static const char *const geometries[] = {
	"levels=4",
	"levels=4 ptl_objects=1",
	"levels=4 paravirt=xen",
	"levels=3 kernel_pmd=private",
	"levels=3 kernel_pmd=private ptl_objects=1",
	"levels=3 kernel_pmd=private paravirt=xen",
	"levels=3 kernel_pmd=shared",
	"levels=3 kernel_pmd=shared ptl_objects=1",
	"levels=2",
	"levels=2 ptl_objects=1",
	"levels=2 paravirt=xen",
	"levels=5",
	"levels=5 ptl_objects=1",
	"levels=5 paravirt=xen",
};

static void drop_tables(struct bench *b, struct mm_struct *mm, u64 addr)
{
	struct vm_area_struct vma;
	struct mmu_gather tlb;

	memset(&vma, 0, sizeof(vma));
	vma.vm_start = addr;
	vma.vm_end = addr + PAGE_SIZE;
	vma.vm_mm = mm;
	INIT_LIST_HEAD(&vma.anon_vma_chain);
	tlb_gather_mmu(&b->cx, &tlb, mm, 0, ~(u64)0);
	free_pgtables(&b->cx, &tlb, &vma, 0, 0);
	/* a PAE CPU has read the entry of the PMD table that went, and keeps it */
	assert_int_equal(tlb.need_flush_all, b->m->geo.levels == 3);
	tlb_finish_mmu(&b->cx, &tlb, 0, ~(u64)0);
}

static void test_geometry(void **state)
{
	struct machine_config cfg;
	struct pt_geometry geo;

	(void)state;
	machine_config_init(&cfg);
	cfg.levels = 4;
	pt_geometry_init(&geo, &cfg);
	assert_int_equal(geo.kernel_boundary, 272);
	assert_int_equal(geo.preallocated_pmds, 0);
	assert_false(geo.shared_kernel_pmd);
	assert_int_equal(geo.task_size, 0x7ffffffff000u);
	assert_int_equal(geo.mmap_base, 0x7ffff7fff000u);
	assert_int_equal(geo.mmap_legacy_base, 0x2aaaaaaab000u);
	assert_int_equal(pt_index(&geo, PT_PGD, 0x7fffffffe000u), 255);
	assert_int_equal(pt_index(&geo, PT_PTE, 0x7fffffffe000u), 510);
	assert_int_equal(pt_below(&geo, PT_PGD), PT_PUD);
	assert_int_equal(pt_below(&geo, PT_PUD), PT_PMD);

	cfg.levels = 3;
	cfg.kernel_pmd = 0;
	pt_geometry_init(&geo, &cfg);
	assert_int_equal(geo.preallocated_pmds, 4);
	assert_false(geo.shared_kernel_pmd);
	cfg.kernel_pmd = 1;
	pt_geometry_init(&geo, &cfg);
	assert_int_equal(geo.preallocated_pmds, 3);
	assert_true(geo.shared_kernel_pmd);
	assert_int_equal(geo.task_size, 0xc0000000u);
	assert_int_equal(geo.mmap_base, 0xb8000000u);
	assert_int_equal(pt_below(&geo, PT_PGD), PT_PMD);
	assert_int_equal(pt_below(&geo, PT_PMD), PT_PTE);
	assert_int_equal(pt_index(&geo, PT_PGD, 0xbfffffffu), 2);

	cfg.levels = 2;
	pt_geometry_init(&geo, &cfg);
	assert_int_equal(geo.entry_shift, 2);
	assert_int_equal(geo.kernel_boundary, 768);
	assert_int_equal(geo.preallocated_pmds, 0);
	assert_false(geo.shared_kernel_pmd);
	assert_int_equal(geo.task_size, 0xc0000000u);
	assert_int_equal(geo.mmap_base, 0xb8000000u);
	assert_int_equal(pt_below(&geo, PT_PGD), PT_PTE);
	assert_int_equal(pt_index(&geo, PT_PGD, 0xbfffffffu), 767);
	assert_int_equal(pt_index(&geo, PT_PTE, 0xbfffffffu), 1023);

	cfg.levels = 5;
	pt_geometry_init(&geo, &cfg);
	assert_int_equal(geo.kernel_boundary, 273);
	assert_false(geo.shared_kernel_pmd);
	assert_int_equal(geo.task_size, 0xfffffffffff000u);
	assert_int_equal(geo.map_window, 0x7ffffffff000u);
	assert_int_equal(geo.mmap_base, 0x7ffff7fff000u);
	assert_int_equal(geo.mmap_legacy_base, 0x2aaaaaaab000u);
	assert_int_equal(pt_index(&geo, PT_PGD, 0xffffffffffefffu), 255);
	assert_int_equal(pt_index(&geo, PT_P4D, 0x7fffffffe000u), 255);
	assert_int_equal(pt_below(&geo, PT_PGD), PT_P4D);
	assert_int_equal(pt_below(&geo, PT_P4D), PT_PUD);
}

/* Entries of 32 bits: twice as many on a page, none in the way of its neighbour, and no NX. */
static void test_short_entries(void **state)
{
	const pte_t a = 0xffffeu * PAGE_SIZE | 0x3ff, c = 0x12345u * PAGE_SIZE | _PAGE_PROTNONE;
	struct bench b;
	struct page *pt;

	(void)state;
	bench_up(&b, "levels=2");
	pt = alloc_pages(&b.cx, SITE_none, GFP_KERNEL | __GFP_ZERO, 0, PAGE_PTE);
	pt_set(pt, 1023, a);
	pt_set(pt, 1022, c | _PAGE_NX);
	assert_int_equal(pt->nr_entries, 2);
	assert_int_equal(pt_get(pt, 1023), a);
	assert_int_equal(pt_get(pt, 1022), c);
	assert_int_equal(pt_get(pt, 1021), 0);
	assert_int_equal(((const u32 *)pt->mem)[1023], (u32)a);
	pt_set(pt, 1022, 0);
	assert_int_equal(pt_get(pt, 1023), a);
	assert_int_equal(pt->nr_entries, 1);
	pt_set(pt, 1023, 0);
	__free_page(&b.cx, pt);
	bench_down(&b);
}

/* What lies above the window is for who asks for it. */
static void test_window(void **state)
{
	const u32 flags = MAP_PRIVATE | MAP_ANONYMOUS;
	const u64 window = ((u64)1 << 47) - PAGE_SIZE, high = (u64)1 << 48;
	struct task_struct *tsk;
	struct bench b;
	s64 low;

	(void)state;
	bench_up(&b, "levels=5");
	tsk = bench_exec(&b, 0x400000);
	low = sys_mmap(&b.cx, 0, PAGE_SIZE, PROT_READ, flags, NULL, 0);
	assert_true(low > 0 && (u64)low < window);
	assert_int_equal(sys_mmap(&b.cx, high, PAGE_SIZE, PROT_READ, flags, NULL, 0), (s64)high);
	/* taken: the highest place of all, by as much below the top as mmap_base is below the
	 * window */
	assert_int_equal(sys_mmap(&b.cx, high, PAGE_SIZE, PROT_READ, flags, NULL, 0),
			 (s64)(b.m->geo.mmap_base + b.m->geo.task_size - window - PAGE_SIZE));
	/* on the border: neither */
	low = sys_mmap(&b.cx, window - PAGE_SIZE, 3 * PAGE_SIZE, PROT_READ, flags, NULL, 0);
	assert_true(low > 0 && (u64)low < b.m->geo.mmap_base);
	/* more than the window holds fits only above */
	assert_int_equal(sys_mmap(&b.cx, 0, window, PROT_NONE, flags | MAP_NORESERVE, NULL, 0),
			 -ENOMEM);
	assert_true(sys_mmap(&b.cx, window + PAGE_SIZE, window, PROT_NONE, flags | MAP_NORESERVE,
			     NULL, 0) > (s64)window);
	assert_int_equal(sys_munmap(&b.cx, high, b.m->geo.task_size - high), 0);
	bench_check(&b);
	bench_exit(&b, tsk);
	bench_down(&b);
}

static void test_pgd_4level(void **state)
{
	struct bench b;
	struct mm_struct mm;
	struct page *pgd;
	unsigned int i, nr = 0;

	(void)state;
	bench_up(&b, "levels=4");
	new_mm(&mm);
	pgd = pgd_alloc(&b.cx, &mm);
	assert_non_null(pgd);
	assert_ptr_equal(mm.pgd, pgd);
	assert_int_equal(mm.nr_pmds, 0);
	assert_int_equal(pgd->type, PAGE_PGD);
	assert_ptr_equal(pgd->pt_mm, &mm);
	assert_ptr_equal(b.m->pgd_list.next, &pgd->lru);
	for (i = 0; i < 512; i++) {
		pte_t e = pt_get(pgd, i);

		assert_int_equal(e, i < 272 ? 0 : pt_get(b.m->init_mm.pgd, i));
		nr += !pte_none(e);
	}
	assert_int_equal(nr, 4);
	assert_int_equal(pgd->nr_entries, nr);
	pgd_free(&b.cx, &mm, pgd);
	assert_true(list_empty(&b.m->pgd_list));
	bench_down(&b);
}

static void test_pgd_pae_private(void **state)
{
	struct bench b;
	struct mm_struct mm;
	struct page *pgd, *kernel, *own;
	unsigned int i;

	(void)state;
	bench_up(&b, "levels=3 kernel_pmd=private");
	new_mm(&mm);
	pgd = pgd_alloc(&b.cx, &mm);
	assert_non_null(pgd);
	assert_int_equal(mm.nr_pmds, 4);
	assert_ptr_equal(b.m->pgd_list.next, &pgd->lru);
	for (i = 0; i < 4; i++) {
		struct page *pmd = pt_table(b.m, pgd, i);

		assert_non_null(pmd);
		assert_int_equal(pmd->type, PAGE_PMD);
		assert_int_equal(pt_get(pgd, i) & ~_PAGE_PFN_MASK, _PAGE_PRESENT);
		assert_int_equal(pmd->nr_entries != 0, i == 3);
	}
	kernel = pt_table(b.m, b.m->init_mm.pgd, 3);
	own = pt_table(b.m, pgd, 3);
	assert_ptr_not_equal(kernel, own);
	assert_memory_equal(kernel->mem, own->mem, PAGE_SIZE);
	assert_int_equal(kernel->nr_entries, own->nr_entries);
	pgd_free(&b.cx, &mm, pgd);
	assert_int_equal(mm.nr_pmds, 0);
	bench_down(&b);
}

static void test_pgd_pae_shared(void **state)
{
	struct bench b;
	struct mm_struct mm;
	struct page *pgd;

	(void)state;
	bench_up(&b, "levels=3 kernel_pmd=shared");
	new_mm(&mm);
	pgd = pgd_alloc(&b.cx, &mm);
	assert_non_null(pgd);
	assert_int_equal(mm.nr_pmds, 3);
	assert_int_equal(b.m->caches[CACHE_pgd].live, 1);
	assert_int_equal(b.m->nr_alloc[PAGE_PGD], 1); /* swapper's */
	assert_int_equal((uintptr_t)pgd->mem % 32, 0);
	assert_true(list_empty(&b.m->pgd_list));
	assert_int_equal(pt_get(pgd, 3), pt_get(b.m->init_mm.pgd, 3));
	pgd_free(&b.cx, &mm, pgd);
	assert_int_equal(mm.nr_pmds, 0);
	assert_int_equal(b.m->caches[CACHE_pgd].live, 0);
	bench_down(&b);
}

static void test_pgd_xen(void **state)
{
	struct bench b;
	struct mm_struct mm;
	struct page *pgd, *pt;
	unsigned int i;

	(void)state;
	bench_up(&b, "levels=4 paravirt=xen");
	new_mm(&mm);
	pgd = pgd_alloc(&b.cx, &mm);
	assert_non_null(pgd);
	assert_non_null(pgd->pgd_user);
	assert_int_equal(pgd->pgd_user->type, PAGE_PGD_USER);
	pt = pte_alloc_map(&b.cx, &mm, 0x7f0000000000u);
	assert_non_null(pt);
	/* user mode sees the user's half, and nothing of the kernel's */
	for (i = 0; i < 512; i++)
		assert_int_equal(pt_get(pgd->pgd_user, i), i < 272 ? pt_get(pgd, i) : 0);
	assert_int_equal(pgd->pgd_user->nr_entries, 1);

	/* freeing the tables empties both */
	drop_tables(&b, &mm, 0x7f0000000000u);
	assert_int_equal(pgd->pgd_user->nr_entries, 0);
	assert_int_equal(mm.nr_ptes, 0);
	assert_int_equal(mm.nr_pmds, 0);
	pgd_free(&b.cx, &mm, pgd);
	bench_down(&b);

	/* a 32-bit guest needs no second one */
	bench_up(&b, "levels=3 kernel_pmd=private paravirt=xen");
	new_mm(&mm);
	pgd = pgd_alloc(&b.cx, &mm);
	assert_non_null(pgd);
	assert_null(pgd->pgd_user);
	pgd_free(&b.cx, &mm, pgd);
	bench_down(&b);
}

/* Each request of pgd_alloc() refused, one at a time: nothing is left, and the count is exact. */
static void test_pgd_alloc_unwind(void **state)
{
	static const struct {
		u32 requests;
		enum fl_site first, last;
	} expected[ARRAY_SIZE(geometries)] = {
		{1, SITE_pgd_alloc_pgd, SITE_pgd_alloc_pgd},
		{1, SITE_pgd_alloc_pgd, SITE_pgd_alloc_pgd},
		{2, SITE_pgd_alloc_pgd, SITE_paravirt_pgd_alloc_user},
		{1 + 4, SITE_pgd_alloc_pgd, SITE_preallocate_pmds_pmd},
		{1 + 8, SITE_pgd_alloc_pgd, SITE_preallocate_pmds_ctor},
		{1 + 4 + 1, SITE_pgd_alloc_pgd, SITE_paravirt_pgd_alloc_hook},
		{1 + 3, SITE_pgd_alloc_pgd_cache, SITE_preallocate_pmds_pmd},
		{1 + 6, SITE_pgd_alloc_pgd_cache, SITE_preallocate_pmds_ctor},
		{1, SITE_pgd_alloc_pgd, SITE_pgd_alloc_pgd},
		{1, SITE_pgd_alloc_pgd, SITE_pgd_alloc_pgd},
		{2, SITE_pgd_alloc_pgd, SITE_paravirt_pgd_alloc_hook},
		{1, SITE_pgd_alloc_pgd, SITE_pgd_alloc_pgd},
		{1, SITE_pgd_alloc_pgd, SITE_pgd_alloc_pgd},
		{2, SITE_pgd_alloc_pgd, SITE_paravirt_pgd_alloc_user},
	};
	unsigned int g;

	(void)state;
	for (g = 0; g < ARRAY_SIZE(geometries); g++) {
		struct bench_counts before, after;
		struct bench b;
		struct mm_struct mm;
		u32 n;

		bench_up(&b, geometries[g]);
		bench_count(&b, &before);
		for (n = 1; n <= expected[g].requests; n++) {
			u32 tried;

			new_mm(&mm);
			bench_watch(&b, n, SITE_none);
			assert_null(pgd_alloc(&b.cx, &mm));
			assert_int_equal(mm.nr_pmds, 0);
			bench_count(&b, &after);
			assert_memory_equal(&before, &after, sizeof(before));

			/* no early exit: every slot is tried, whichever fails */
			tried = bench_met(&b, SITE_preallocate_pmds_pmd);
			assert_int_equal(tried, n == 1 ? 0 : b.m->geo.preallocated_pmds);
		}
		bench_watch(&b, n, SITE_none);
		new_mm(&mm);
		assert_non_null(pgd_alloc(&b.cx, &mm));
		assert_int_equal(b.nr_met, expected[g].requests);
		assert_int_equal(b.met[0], expected[g].first);
		assert_int_equal(b.met[b.nr_met - 1], expected[g].last);
		pgd_free(&b.cx, &mm, mm.pgd);
		bench_count(&b, &after);
		assert_memory_equal(&before, &after, sizeof(before));
		bench_down(&b);
	}
}

/* The same for the way down to a PTE table: what was made before stays, and is accounted. */
static void test_pte_alloc_unwind(void **state)
{
	const u64 addr = 0x40003000;
	unsigned int g;

	(void)state;
	for (g = 0; g < ARRAY_SIZE(geometries); g++) {
		struct bench_counts before, after;
		struct mm_struct mm;
		struct bench b;
		u32 n, requests;

		bench_up(&b, geometries[g]);
		bench_count(&b, &before);
		/* PAE has its PMD tables from the start, the upper two have no constructor */
		requests = b.m->geo.levels > 3 ? b.m->geo.levels - 1 : 1;
		if (b.m->cfg.ptl_objects)
			requests += b.m->geo.levels > 3 ? 2 : 1;

		for (n = 1; n <= requests; n++) {
			u32 pmds;

			bench_watch(&b, 0, SITE_none);
			new_mm(&mm);
			assert_non_null(pgd_alloc(&b.cx, &mm));
			assert_null(pte_lookup(b.m, &mm, addr));
			bench_watch(&b, n, SITE_none);
			assert_null(pte_alloc_map(&b.cx, &mm, addr));
			assert_int_equal(b.nr_met, n);
			assert_null(pte_lookup(b.m, &mm, addr));
			assert_int_equal(mm.nr_ptes, 0);
			assert_int_equal(b.m->nr_pagetable, 0);
			/* only a PMD table that was finished counts */
			pmds = bench_met(&b, SITE_pte_alloc_pte) ? bench_met(&b, SITE_pmd_alloc_pmd)
								 : 0;
			assert_int_equal(mm.nr_pmds, b.m->geo.preallocated_pmds + pmds);

			/* the retry makes only what is missing, and the next page nothing */
			bench_watch(&b, 0, SITE_none);
			assert_non_null(pte_alloc_map(&b.cx, &mm, addr));
			assert_true(b.nr_met <= requests);
			assert_int_equal(mm.nr_ptes, 1);
			assert_int_equal(b.m->nr_pagetable, 1);
			bench_watch(&b, 1, SITE_none);
			assert_ptr_equal(pte_alloc_map(&b.cx, &mm, addr + PAGE_SIZE),
					 pte_lookup(b.m, &mm, addr));
			assert_int_equal(b.nr_met, 0);

			drop_tables(&b, &mm, addr);
			assert_int_equal(mm.nr_ptes, 0);
			pgd_free(&b.cx, &mm, mm.pgd);
			assert_int_equal(mm.nr_pmds, 0);
			bench_count(&b, &after);
			assert_memory_equal(&before, &after, sizeof(before));
		}
		bench_down(&b);
	}
}

static void test_kernel_entry(void **state)
{
	const pte_t val = (u64)0x123456 << PAGE_SHIFT | _PAGE_PRESENT | _PAGE_RW;
	struct bench b;
	struct mm_struct a, c;

	(void)state;
	bench_up(&b, "levels=4");
	new_mm(&a);
	new_mm(&c);
	assert_non_null(pgd_alloc(&b.cx, &a));
	assert_non_null(pgd_alloc(&b.cx, &c));
	assert_int_equal(pgd_add_kernel_entry(&b.cx, 271, val), -EINVAL);
	assert_int_equal(pgd_add_kernel_entry(&b.cx, 512, val), -EINVAL);
	assert_int_equal(pgd_add_kernel_entry(&b.cx, 300, 0), -EINVAL);
	assert_int_equal(pgd_add_kernel_entry(&b.cx, 511, val), -EEXIST);
	assert_int_equal(pgd_add_kernel_entry(&b.cx, 300, val), 0);
	assert_int_equal(pt_get(a.pgd, 300), val);
	assert_int_equal(pt_get(c.pgd, 300), val);
	pgd_free(&b.cx, &c, c.pgd);
	assert_non_null(pgd_alloc(&b.cx, &c));
	assert_int_equal(pt_get(c.pgd, 300), val); /* and those made later */
	pgd_free(&b.cx, &c, c.pgd);
	pgd_free(&b.cx, &a, a.pgd);
	bench_down(&b);

	/* 2 levels: further up, and in entries of 32 bits */
	bench_up(&b, "levels=2");
	new_mm(&a);
	assert_non_null(pgd_alloc(&b.cx, &a));
	assert_int_equal(pgd_add_kernel_entry(&b.cx, 767, 0x12345063), -EINVAL);
	assert_int_equal(pgd_add_kernel_entry(&b.cx, 1024, 0x12345063), -EINVAL);
	assert_int_equal(pgd_add_kernel_entry(&b.cx, 1000, 0x12345063), 0);
	assert_int_equal(pt_get(a.pgd, 1000), 0x12345063);
	pgd_free(&b.cx, &a, a.pgd);
	bench_down(&b);

	/* PAE: the pgd's one kernel entry is there, what leads on is the kernel's PMD table */
	bench_up(&b, "levels=3 kernel_pmd=private");
	new_mm(&a);
	assert_non_null(pgd_alloc(&b.cx, &a));
	assert_int_equal(pgd_add_kernel_entry(&b.cx, 0, val), -EEXIST);
	assert_int_equal(pgd_add_kernel_entry(&b.cx, 512, val), -EINVAL);
	assert_int_equal(pgd_add_kernel_entry(&b.cx, 300, val), 0);
	assert_int_equal(pt_get(pt_table(b.m, b.m->init_mm.pgd, 3), 300), val);
	assert_int_equal(pt_get(pt_table(b.m, a.pgd, 3), 300), val);
	new_mm(&c);
	assert_non_null(pgd_alloc(&b.cx, &c));
	assert_int_equal(pt_get(pt_table(b.m, c.pgd, 3), 300), val);
	pgd_free(&b.cx, &c, c.pgd);
	pgd_free(&b.cx, &a, a.pgd);
	bench_down(&b);

	bench_up(&b, "levels=3 kernel_pmd=shared");
	new_mm(&a);
	assert_non_null(pgd_alloc(&b.cx, &a));
	assert_int_equal(kernel_map(&b.cx, 300), 0);
	assert_int_equal(kernel_map(&b.cx, 300 + 512), -EEXIST);
	assert_false(pte_none(pt_get(pt_table(b.m, a.pgd, 3), 300)));
	pgd_free(&b.cx, &a, a.pgd);
	bench_down(&b);
}

static void test_page_prot(void **state)
{
	const pte_t open = _PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED;

	(void)state;
	assert_int_equal(vm_get_page_prot(0), _PAGE_PROTNONE | _PAGE_ACCESSED | _PAGE_NX);
	assert_int_equal(vm_get_page_prot(VM_SHARED), _PAGE_PROTNONE | _PAGE_ACCESSED | _PAGE_NX);
	assert_int_equal(vm_get_page_prot(VM_READ), open | _PAGE_NX);
	assert_int_equal(vm_get_page_prot(VM_WRITE), open | _PAGE_NX);
	assert_int_equal(vm_get_page_prot(VM_READ | VM_WRITE), open | _PAGE_NX);
	assert_int_equal(vm_get_page_prot(VM_EXEC), open);
	assert_int_equal(vm_get_page_prot(VM_READ | VM_WRITE | VM_EXEC), open);
	assert_int_equal(vm_get_page_prot(VM_READ | VM_SHARED), open | _PAGE_NX);
	assert_int_equal(vm_get_page_prot(VM_WRITE | VM_SHARED), open | _PAGE_NX | _PAGE_RW);
	assert_int_equal(vm_get_page_prot(VM_WRITE | VM_EXEC | VM_SHARED), open | _PAGE_RW);
}

static void test_page_bound(void **state)
{
	struct page *pages[64];
	struct bench b;
	u64 used;
	u32 n, round;

	(void)state;
	bench_up(&b, "mem=64");
	used = b.m->pages_in_use;
	for (round = 0; round < 2; round++) {
		for (n = 0; n < 64; n++) {
			pages[n] = alloc_pages(&b.cx, SITE_anon_page, __GFP_TAG | __GFP_ZERO, 0,
					       PAGE_ANON);
			if (!pages[n])
				break;
			assert_ptr_equal(pfn_to_page(b.m, pages[n]->pfn), pages[n]);
			assert_int_not_equal(pages[n]->pfn, 0);
			assert_int_equal(page_tag(pages[n]), 0);
			page_set_tag(pages[n], n);
		}
		assert_int_equal(n, 64 - used);
		while (n--) {
			assert_int_equal(page_tag(pages[n]), n);
			__free_page(&b.cx, pages[n]);
		}
		assert_int_equal(b.m->pages_in_use, used);
	}
	assert_null(alloc_pages(&b.cx, SITE_anon_page, 0, 6, PAGE_LDT)); /* too large as a block */
	pages[0] = alloc_pages(&b.cx, SITE_anon_page, 0, 3, PAGE_LDT);
	assert_int_equal(b.m->pages_in_use, used + 8);
	__free_page(&b.cx, pages[0]);
	assert_null(pfn_to_page(b.m, (u64)1 << 24));
	bench_down(&b);
}

static void *no_page(void *inst, unsigned int order, uint32_t gfp)
{
	(void)inst;
	(void)order;
	(void)gfp;
	return NULL;
}

/* The host's memory or the descriptors run out: nothing of a request that fails so is kept. */
static void test_no_memory(void **state)
{
	struct fl_allocator_ops broken;
	struct mm_struct mm;
	struct page *page, *used = NULL;
	struct bench b;
	u32 n;

	(void)state;
	bench_up(&b, "levels=3 kernel_pmd=shared mem=64 max_tasks=2");
	broken = *b.ops;
	broken.page_alloc = no_page;
	b.m->ops = &broken;
	for (n = 0; n < 1000; n++)
		assert_null(alloc_pages(&b.cx, SITE_none, __GFP_TAG, 0, PAGE_ANON));
	b.m->ops = b.ops;
	page = alloc_pages(&b.cx, SITE_none, __GFP_TAG, 0, PAGE_ANON);
	assert_non_null(page);
	__free_page(&b.cx, page);

	for (n = 0; (page = alloc_page_desc(b.m, NULL, PAGE_PGD)) != NULL; n++) {
		page->pgd_user = used;
		used = page;
	}
	assert_true(n > 64);
	new_mm(&mm);
	assert_null(pgd_alloc(&b.cx, &mm));
	assert_int_equal(b.m->caches[CACHE_pgd].live, 0);
	while (used) {
		page = used;
		used = page->pgd_user;
		free_page_desc(b.m, page);
	}
	assert_non_null(pgd_alloc(&b.cx, &mm));
	pgd_free(&b.cx, &mm, mm.pgd);
	bench_down(&b);
}

/* What a freed page must not be: each check made to fire. */
static void test_page_bugs(void **state)
{
	struct bench b;
	struct page *page;

	(void)state;
	bench_up(&b, "");
	page = alloc_pages(&b.cx, SITE_none, __GFP_TAG, 0, PAGE_ANON);
	page->_mapcount = 1;
	assert_bug(&b, FL_BUG_REFCOUNT, put_page(&b.cx, page));
	bench_abandon(&b);

	bench_up(&b, "");
	page = alloc_pages(&b.cx, SITE_none, __GFP_TAG, 0, PAGE_ANON);
	get_page(&b.cx, page);
	assert_bug(&b, FL_BUG_REFCOUNT, __free_page(&b.cx, page));
	put_page(&b.cx, page);
	put_page(&b.cx, page);
	assert_bug(&b, FL_BUG_REFCOUNT, put_page(&b.cx, page));
	assert_bug(&b, FL_BUG_REFCOUNT, get_page(&b.cx, page));
	bench_abandon(&b);

	bench_up(&b, "");
	page = alloc_pages(&b.cx, SITE_none, __GFP_ZERO, 0, PAGE_PTE);
	pt_set(page, 7, _PAGE_PRESENT);
	assert_int_equal(page->nr_entries, 1);
	assert_bug(&b, FL_BUG_INVARIANT, __free_page(&b.cx, page));
	bench_abandon(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_geometry),	 cmocka_unit_test(test_pgd_4level),
		cmocka_unit_test(test_pgd_pae_private),	 cmocka_unit_test(test_pgd_pae_shared),
		cmocka_unit_test(test_pgd_xen),		 cmocka_unit_test(test_pgd_alloc_unwind),
		cmocka_unit_test(test_pte_alloc_unwind), cmocka_unit_test(test_kernel_entry),
		cmocka_unit_test(test_page_prot),	 cmocka_unit_test(test_page_bound),
		cmocka_unit_test(test_short_entries),	 cmocka_unit_test(test_window),
		cmocka_unit_test(test_no_memory),	 cmocka_unit_test(test_page_bugs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
