/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page tables: geometry, the tables and their constructors, and the life of a pgd (notes 4, facts
 * §3 4.*, §6.1, §14).
 *
 * A table is reached by its struct page, never by address. Code that walks goes by level: what a
 * geometry folds is not there, so that another geometry is another row of the table below.
 */
#include "internal.h"

#define MAX_PREALLOCATED_PMDS 4u

#define _KERNPG_TABLE (_PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED | _PAGE_DIRTY)

/* Frames of what the kernel half maps: beyond any mem_map. A frame number of 2 levels has 20 bits.
 */
#define KERNEL_FRAMES	     ((u64)1 << 24)
#define KERNEL_FRAMES_2LEVEL (((u64)1 << 20) - 1024)

/* ---- geometry (facts §14) ------------------------------------------------------------------- */

struct geometry {
	unsigned int levels;
	enum pt_level below_pgd;
	u8 shift[NR_PT_LEVELS];
	u8 entry_shift;
	u16 ptrs[NR_PT_LEVELS];
	u16 kernel_boundary;
	u64 task_size, map_window;
	u16 kernel_entries[4]; /* of swapper_pg_dir, from the first; 0 ends the list */
};

/* What 47 bits of address reach: programs rely on getting no more unless they ask. */
#define WINDOW_47BIT (((u64)1 << 47) - PAGE_SIZE)

static const struct geometry geometries[] = {
	{
		.levels = 2,
		.below_pgd = PT_PTE,
		.shift =
			{[PT_PTE] = 12, [PT_PMD] = 22, [PT_PUD] = 22, [PT_P4D] = 22, [PT_PGD] = 22},
		.entry_shift = 2,
		.ptrs = {[PT_PTE] = 1024,
			 [PT_PMD] = 1,
			 [PT_PUD] = 1,
			 [PT_P4D] = 1,
			 [PT_PGD] = 1024},
		.kernel_boundary = 768,
		.task_size = 0xc0000000u,
		.map_window = 0xc0000000u,
		/* direct map, vmalloc, high memory, fixed addresses */
		.kernel_entries = {768, 992, 1022, 1023},
	},
	{
		.levels = 3,
		.below_pgd = PT_PMD,
		.shift =
			{[PT_PTE] = 12, [PT_PMD] = 21, [PT_PUD] = 30, [PT_P4D] = 30, [PT_PGD] = 30},
		.entry_shift = 3,
		.ptrs = {[PT_PTE] = 512, [PT_PMD] = 512, [PT_PUD] = 1, [PT_P4D] = 1, [PT_PGD] = 4},
		.kernel_boundary = 3,
		.task_size = 0xc0000000u,
		.map_window = 0xc0000000u,
		.kernel_entries = {3},
	},
	{
		.levels = 4,
		.below_pgd = PT_PUD,
		.shift =
			{[PT_PTE] = 12, [PT_PMD] = 21, [PT_PUD] = 30, [PT_P4D] = 39, [PT_PGD] = 39},
		.entry_shift = 3,
		.ptrs = {[PT_PTE] = 512,
			 [PT_PMD] = 512,
			 [PT_PUD] = 512,
			 [PT_P4D] = 1,
			 [PT_PGD] = 512},
		.kernel_boundary = 272,
		.task_size = WINDOW_47BIT,
		.map_window = WINDOW_47BIT,
		/* direct map, vmalloc, vmemmap, text */
		.kernel_entries = {272, 402, 468, 511},
	},
	{
		.levels = 5,
		.below_pgd = PT_P4D,
		.shift =
			{[PT_PTE] = 12, [PT_PMD] = 21, [PT_PUD] = 30, [PT_P4D] = 39, [PT_PGD] = 48},
		.entry_shift = 3,
		.ptrs = {[PT_PTE] = 512,
			 [PT_PMD] = 512,
			 [PT_PUD] = 512,
			 [PT_P4D] = 512,
			 [PT_PGD] = 512},
		.kernel_boundary = 273,
		.task_size = ((u64)1 << 56) - PAGE_SIZE,
		.map_window = WINDOW_47BIT,
		/* direct map, vmalloc, vmemmap, text */
		.kernel_entries = {273, 416, 468, 511},
	},
};

static const struct geometry *geometry_of(u64 levels)
{
	const struct geometry *g = geometries;

	while (g->levels != levels)
		g++;
	return g;
}

/* The smallest gap that 4.4 leaves for the stack when its limit is 8 MiB. */
#define MIN_GAP ((u64)128 << 20)

void pt_geometry_init(struct pt_geometry *geo, const struct machine_config *cfg)
{
	const struct geometry *g = geometry_of(cfg->levels);
	bool pae = cfg->levels == 3;
	unsigned int i;

	geo->levels = g->levels;
	geo->below_pgd = g->below_pgd;
	for (i = 0; i < NR_PT_LEVELS; i++) {
		geo->shift[i] = g->shift[i];
		geo->ptrs[i] = g->ptrs[i];
	}
	geo->entry_shift = g->entry_shift;
	geo->kernel_boundary = g->kernel_boundary;
	geo->shared_kernel_pmd = pae && cfg->kernel_pmd == 1;
	geo->preallocated_pmds = 0;
	if (pae)
		geo->preallocated_pmds = geo->shared_kernel_pmd ? geo->kernel_boundary
								: geo->ptrs[PT_PGD];
	geo->task_size = g->task_size;
	geo->map_window = g->map_window;
	geo->stack_top = g->map_window;
	geo->mmap_base = (g->map_window - MIN_GAP) & PAGE_MASK;
	geo->mmap_legacy_base = PAGE_ALIGN(g->map_window / 3);
}

enum pt_level pt_below(const struct pt_geometry *geo, enum pt_level level)
{
	return level == PT_PGD ? geo->below_pgd : (enum pt_level)(level - 1);
}

static bool is_pae(const struct machine *m)
{
	return m->geo.below_pgd == PT_PMD;
}

static bool is_64bit(const struct machine *m)
{
	return m->geo.levels > 3;
}

/* ---- entries -------------------------------------------------------------------------------- */

struct page *pt_table(struct machine *m, const struct page *pt, unsigned int idx)
{
	pte_t e = pt_get(pt, idx);

	return pte_none(e) || pmd_trans_huge(e) ? NULL : pfn_to_page(m, pte_pfn(e));
}

void pgd_set(struct page *pgd, unsigned int idx, pte_t val)
{
	pt_set(pgd, idx, val);
	if (pgd->pgd_user)
		pt_set(pgd->pgd_user, idx, val);
}

/*
 * What each combination of READ, WRITE, EXEC and SHARED becomes in an entry. Private writable
 * memory gets no hardware write permission: the first store has to fault (facts §27).
 */
pte_t vm_get_page_prot(u32 vm_flags)
{
	pte_t prot = _PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED;

	if (!(vm_flags & VM_ACCESS_FLAGS))
		return _PAGE_PROTNONE | _PAGE_ACCESSED | _PAGE_NX;
	if ((vm_flags & (VM_WRITE | VM_SHARED)) == (VM_WRITE | VM_SHARED))
		prot |= _PAGE_RW;
	if (!(vm_flags & VM_EXEC))
		prot |= _PAGE_NX;
	return prot;
}

/* ---- constructors --------------------------------------------------------------------------- */

void double_pt_lock(struct ctx *cx, fl_lock_t *first, fl_lock_t *second)
{
	spin_lock(cx, first);
	if (second != first)
		spin_lock_nested(cx, second);
}

void double_pt_unlock(struct ctx *cx, fl_lock_t *first, fl_lock_t *second)
{
	if (second != first)
		spin_unlock(cx, second);
	spin_unlock(cx, first);
}

static bool ptlock_init(struct ctx *cx, struct page *page, enum fl_site site)
{
	fl_lock_init(&page->ptlock, LOCK_ptl);
	if (!cx->m->cfg.ptl_objects)
		return true;
	page->ptl = kmem_cache_alloc(cx, CACHE_ptl, site, GFP_KERNEL);
	if (!page->ptl)
		return false;
	fl_lock_init(page->ptl, LOCK_ptl);
	return true;
}

static void ptlock_free(struct ctx *cx, struct page *page)
{
	if (!page->ptl)
		return;
	kmem_cache_free(cx, CACHE_ptl, page->ptl);
	page->ptl = NULL;
}

static bool pgtable_pmd_page_ctor(struct ctx *cx, struct page *page, enum fl_site site)
{
	return ptlock_init(cx, page, site);
}

static void pgtable_pmd_page_dtor(struct ctx *cx, struct page *page)
{
	BUG_ON(cx, page->pmd_huge_pte);
	ptlock_free(cx, page);
}

static bool pgtable_page_ctor(struct ctx *cx, struct page *page, enum fl_site site)
{
	if (!ptlock_init(cx, page, site))
		return false;
	cx->m->nr_pagetable++;
	return true;
}

static void pgtable_page_dtor(struct ctx *cx, struct page *page)
{
	ptlock_free(cx, page);
	cx->m->nr_pagetable--;
}

void pt_dtor(struct ctx *cx, struct page *pt, enum pt_level level)
{
	if (level == PT_PTE)
		pgtable_page_dtor(cx, pt);
	else if (level == PT_PMD)
		pgtable_pmd_page_dtor(cx, pt);
}

#define PGALLOC_GFP (GFP_KERNEL | __GFP_REPEAT | __GFP_ZERO)

static struct page *pmd_alloc_one(struct ctx *cx, enum fl_site page_site, enum fl_site ctor_site)
{
	struct page *pmd = alloc_pages(cx, page_site, PGALLOC_GFP, 0, PAGE_PMD);

	if (pmd && !pgtable_pmd_page_ctor(cx, pmd, ctor_site)) {
		__free_page(cx, pmd);
		pmd = NULL;
	}
	return pmd;
}

static void pmd_free(struct ctx *cx, struct page *pmd)
{
	pgtable_pmd_page_dtor(cx, pmd);
	__free_page(cx, pmd);
}

/* ---- publishing a table (facts §6.1) -------------------------------------------------------- */

/* PAE: a pgd entry has nothing but its present bit, and the CPU reads it only with its base. */
static void pud_populate(struct ctx *cx, struct mm_struct *mm, struct page *pgd, unsigned int idx,
			 const struct page *pmd)
{
	pgd_set(pgd, idx, pmd->pfn << PAGE_SHIFT | _PAGE_PRESENT);
	flush_tlb_mm(cx, mm);
}

/* Which entries are the pgd's depends on the geometry; a second pgd follows the first one alone. */
static void populate(struct page *pt, unsigned int idx, const struct page *below)
{
	pgd_set(pt, idx, below->pfn << PAGE_SHIFT | _PAGE_TABLE);
}

static struct page *__p4d_alloc(struct ctx *cx, struct mm_struct *mm, struct page *pgd,
				unsigned int idx)
{
	struct page *new = alloc_pages(cx, SITE_p4d_alloc_p4d, PGALLOC_GFP, 0, PAGE_P4D);

	if (!new)
		return NULL;
	spin_lock(cx, &mm->page_table_lock);
	populate(pgd, idx, new);
	spin_unlock(cx, &mm->page_table_lock);
	return new;
}

static struct page *__pud_alloc(struct ctx *cx, struct mm_struct *mm, struct page *p4d,
				unsigned int idx)
{
	struct page *new = alloc_pages(cx, SITE_pud_alloc_pud, PGALLOC_GFP, 0, PAGE_PUD);

	if (!new)
		return NULL;
	spin_lock(cx, &mm->page_table_lock);
	populate(p4d, idx, new);
	spin_unlock(cx, &mm->page_table_lock);
	return new;
}

static struct page *__pmd_alloc(struct ctx *cx, struct mm_struct *mm, struct page *pud,
				unsigned int idx)
{
	struct page *new = pmd_alloc_one(cx, SITE_pmd_alloc_pmd, SITE_pmd_alloc_ctor);

	if (!new)
		return NULL;
	spin_lock(cx, &mm->page_table_lock);
	mm->nr_pmds++;
	if (is_pae(cx->m))
		pud_populate(cx, mm, pud, idx, new);
	else
		populate(pud, idx, new);
	spin_unlock(cx, &mm->page_table_lock);
	return new;
}

struct page *pte_alloc_one(struct ctx *cx, enum fl_site page_site, enum fl_site ctor_site)
{
	struct page *pte = alloc_pages(cx, page_site, PGALLOC_GFP, 0, PAGE_PTE);

	if (pte && !pgtable_page_ctor(cx, pte, ctor_site)) {
		__free_page(cx, pte);
		pte = NULL;
	}
	return pte;
}

void pte_free(struct ctx *cx, struct page *pte)
{
	pgtable_page_dtor(cx, pte);
	__free_page(cx, pte);
}

static struct page *__pte_alloc(struct ctx *cx, struct mm_struct *mm, struct page *pmd,
				unsigned int idx)
{
	struct page *new = pte_alloc_one(cx, SITE_pte_alloc_pte, SITE_pte_alloc_ctor);

	if (!new)
		return NULL;
	spin_lock(cx, pmd_lockptr(cx, mm, pmd));
	mm->nr_ptes++;
	populate(pmd, idx, new);
	spin_unlock(cx, pmd_lockptr(cx, mm, pmd));
	return new;
}

struct page *pt_alloc_below(struct ctx *cx, struct mm_struct *mm, struct page *pt,
			    enum pt_level level, unsigned int idx)
{
	struct page *below = pt_table(cx->m, pt, idx);

	if (below)
		return below;
	BUG_ON(cx, !pte_none(pt_get(pt, idx)));
	switch (pt_below(&cx->m->geo, level)) {
	case PT_P4D:
		return __p4d_alloc(cx, mm, pt, idx);
	case PT_PUD:
		return __pud_alloc(cx, mm, pt, idx);
	case PT_PMD:
		return __pmd_alloc(cx, mm, pt, idx);
	default:
		return __pte_alloc(cx, mm, pt, idx);
	}
}

static struct page *pt_alloc_down(struct ctx *cx, struct mm_struct *mm, u64 addr,
				  enum pt_level down_to)
{
	const struct pt_geometry *geo = &cx->m->geo;
	enum pt_level level = PT_PGD;
	struct page *pt = mm->pgd;

	while (pt && level != down_to) {
		pt = pt_alloc_below(cx, mm, pt, level, pt_index(geo, level, addr));
		level = pt_below(geo, level);
	}
	return pt;
}

struct page *pte_alloc_map(struct ctx *cx, struct mm_struct *mm, u64 addr)
{
	return pt_alloc_down(cx, mm, addr, PT_PTE);
}

struct page *pmd_alloc_map(struct ctx *cx, struct mm_struct *mm, u64 addr)
{
	return pt_alloc_down(cx, mm, addr, pmd_level(&cx->m->geo));
}

struct page *pmd_lookup(struct machine *m, const struct mm_struct *mm, u64 addr)
{
	const struct pt_geometry *geo = &m->geo;
	enum pt_level level = PT_PGD;
	struct page *pt = mm->pgd;

	while (pt && level != pmd_level(geo)) {
		pt = pt_table(m, pt, pt_index(geo, level, addr));
		level = pt_below(geo, level);
	}
	return pt;
}

struct page *pte_lookup(struct machine *m, const struct mm_struct *mm, u64 addr)
{
	const struct pt_geometry *geo = &m->geo;
	enum pt_level level = PT_PGD;
	struct page *pt = mm->pgd;

	while (pt && level != PT_PTE) {
		pt = pt_table(m, pt, pt_index(geo, level, addr));
		level = pt_below(geo, level);
	}
	return pt;
}

pte_t pte_at(struct machine *m, const struct mm_struct *mm, u64 addr)
{
	const struct pt_geometry *geo = &m->geo;
	const struct page *pmd = pmd_lookup(m, mm, addr), *pt;
	unsigned int idx = pt_index(geo, PT_PTE, addr);
	pte_t entry = pmd ? pt_get(pmd, pt_index(geo, pmd_level(geo), addr)) : 0;

	if (pmd_trans_huge(entry))
		return huge_pte(entry, idx);
	pt = pte_none(entry) ? NULL : pfn_to_page(m, pte_pfn(entry));
	return pt ? pt_get(pt, idx) : 0;
}

u64 pte_table_span(struct machine *m, const struct mm_struct *mm, u64 addr, struct page **pt)
{
	const struct pt_geometry *geo = &m->geo;
	enum pt_level level = PT_PGD;
	u64 span = 0;

	*pt = mm->pgd;
	while (*pt && level != PT_PTE) {
		span = (u64)1 << geo->shift[level];
		*pt = pt_table(m, *pt, pt_index(geo, level, addr));
		level = pt_below(geo, level);
	}
	return span - (addr & (span - 1));
}

/* ---- the kernel half ------------------------------------------------------------------------ */

static pte_t kernel_entry(const struct machine *m, unsigned int idx)
{
	u64 frames = m->geo.levels == 2 ? KERNEL_FRAMES_2LEVEL : KERNEL_FRAMES;

	return (frames + idx) << PAGE_SHIFT | _KERNPG_TABLE;
}

/* Drops entries that are only borrowed: what they lead to is the kernel's. */
static void pt_clear_range(struct page *pt, unsigned int first, unsigned int end)
{
	unsigned int i;

	for (i = pt_next(pt, first, end); i < end; i = pt_next(pt, i + 1, end))
		pt_set(pt, i, 0);
}

int swapper_init(struct ctx *cx)
{
	struct machine *m = cx->m;
	const struct geometry *g = geometry_of(m->geo.levels);
	struct page *pgd, *pmd;
	unsigned int i;

	INIT_LIST_HEAD(&m->pgd_list);
	fl_lock_init(&m->pgd_lock, LOCK_pgd_lock);
	pgd = alloc_pages(cx, SITE_none, PGALLOC_GFP, 0, PAGE_PGD);
	if (!pgd)
		goto fail_pgd;

	if (is_pae(m)) {
		pmd = alloc_pages(cx, SITE_none, PGALLOC_GFP, 0, PAGE_PMD);
		if (!pmd)
			goto fail_pmd;
		pt_set(pmd, 0, kernel_entry(m, 0));
		pt_set(pmd, 1, kernel_entry(m, 1));
		pt_set(pmd, m->geo.ptrs[PT_PMD] - 1u, kernel_entry(m, m->geo.ptrs[PT_PMD] - 1u));
		pt_set(pgd, g->kernel_entries[0], pmd->pfn << PAGE_SHIFT | _PAGE_PRESENT);
	} else {
		for (i = 0; i < ARRAY_SIZE(g->kernel_entries) && g->kernel_entries[i]; i++)
			pt_set(pgd, g->kernel_entries[i], kernel_entry(m, g->kernel_entries[i]));
	}
	m->init_mm.pgd = pgd;
	return 0;

fail_pmd:
	__free_page(cx, pgd);
fail_pgd:
	return -ENOMEM;
}

void swapper_exit(struct ctx *cx)
{
	struct machine *m = cx->m;
	struct page *pgd = m->init_mm.pgd;

	if (is_pae(m)) {
		struct page *pmd = pt_table(m, pgd, m->geo.kernel_boundary);

		pt_clear_range(pmd, 0, m->geo.ptrs[PT_PMD]);
		__free_page(cx, pmd);
	}
	pt_clear_range(pgd, m->geo.kernel_boundary, m->geo.ptrs[PT_PGD]);
	__free_page(cx, pgd);
	m->init_mm.pgd = NULL;
}

/* The table of this pgd whose entries lead to the kernel half. */
static struct page *kernel_table(struct machine *m, struct page *pgd)
{
	return is_pae(m) ? pt_table(m, pgd, m->geo.kernel_boundary) : pgd;
}

int pgd_add_kernel_entry(struct ctx *cx, unsigned int idx, pte_t val)
{
	struct machine *m = cx->m;
	struct page *swapper = kernel_table(m, m->init_mm.pgd), *pgd;

	if (is_pae(m) ? idx >= m->geo.ptrs[PT_PMD]
		      : idx < m->geo.kernel_boundary || idx >= m->geo.ptrs[PT_PGD])
		return -EINVAL;
	if (pte_none(val))
		return -EINVAL;
	if (!pte_none(pt_get(swapper, idx)))
		return -EEXIST;

	/* The list is empty where all share the table that the entry is in. */
	spin_lock(cx, &m->pgd_lock);
	pt_set(swapper, idx, val);
	list_for_each_entry(pgd, &m->pgd_list, lru) {
		STEP(cx);
		pt_set(kernel_table(m, pgd), idx, val);
	}
	spin_unlock(cx, &m->pgd_lock);
	return 0;
}

s64 kernel_map(struct ctx *cx, u64 n)
{
	struct machine *m = cx->m;
	unsigned int first = is_pae(m) ? 0 : m->geo.kernel_boundary;
	unsigned int idx =
		first + (unsigned int)(n % (m->geo.ptrs[is_pae(m) ? PT_PMD : PT_PGD] - first));

	return pgd_add_kernel_entry(cx, idx, kernel_entry(m, idx));
}

/* ---- pgd_alloc (notes 4.1) ------------------------------------------------------------------ */

/* A page; or, where four entries are all there is and nobody lists it, 32 bytes. */
static struct page *_pgd_alloc(struct ctx *cx)
{
	struct page *pgd;
	void *mem;

	if (!cx->m->geo.shared_kernel_pmd)
		return alloc_pages(cx, SITE_pgd_alloc_pgd, PGALLOC_GFP, 0, PAGE_PGD);

	mem = kmem_cache_alloc(cx, CACHE_pgd, SITE_pgd_alloc_pgd_cache, PGALLOC_GFP);
	if (!mem)
		return NULL;
	pgd = alloc_page_desc(cx->m, mem, PAGE_PGD);
	if (!pgd)
		kmem_cache_free(cx, CACHE_pgd, mem);
	return pgd;
}

static void _pgd_free(struct ctx *cx, struct page *pgd)
{
	struct machine *m = cx->m;

	pt_clear_range(pgd, m->geo.kernel_boundary, m->geo.ptrs[PT_PGD]);
	if (!m->geo.shared_kernel_pmd) {
		__free_page(cx, pgd);
		return;
	}
	BUG_ON(cx, pgd->nr_entries != 0);
	tlb_check_free(cx, pgd);
	kmem_cache_free(cx, CACHE_pgd, pgd->mem);
	free_page_desc(m, pgd);
}

static void free_pmds(struct ctx *cx, struct mm_struct *mm, struct page *pmds[])
{
	unsigned int i;

	for (i = 0; i < cx->m->geo.preallocated_pmds; i++) {
		if (!pmds[i])
			continue;
		pmd_free(cx, pmds[i]);
		mm->nr_pmds--;
	}
}

/* No early exit: a slot that fails does not keep the later ones from being tried. */
static int preallocate_pmds(struct ctx *cx, struct mm_struct *mm, struct page *pmds[])
{
	bool failed = false;
	unsigned int i;

	for (i = 0; i < cx->m->geo.preallocated_pmds; i++) {
		struct page *pmd =
			pmd_alloc_one(cx, SITE_preallocate_pmds_pmd, SITE_preallocate_pmds_ctor);

		if (pmd)
			mm->nr_pmds++;
		else
			failed = true;
		pmds[i] = pmd;
	}

	if (failed) {
		free_pmds(cx, mm, pmds);
		return -ENOMEM;
	}
	return 0;
}

/*
 * A Xen guest's 64-bit user mode runs on a pgd of its own, which has the user half alone. A 32-bit
 * guest needs nothing, but its hypervisor may still refuse.
 */
static int paravirt_pgd_alloc(struct ctx *cx, struct mm_struct *mm)
{
	struct page *user;

	if (cx->m->cfg.paravirt != 1)
		return 0;
	if (!is_64bit(cx->m))
		return fl_should_fail(cx, SITE_paravirt_pgd_alloc_hook, GFP_KERNEL) ? -ENOMEM : 0;
	user = alloc_pages(cx, SITE_paravirt_pgd_alloc_user, GFP_KERNEL | __GFP_ZERO, 0,
			   PAGE_PGD_USER);
	if (!user)
		return -ENOMEM;
	mm->pgd->pgd_user = user;
	return 0;
}

static void paravirt_pgd_free(struct ctx *cx, struct page *pgd)
{
	struct page *user = pgd->pgd_user;

	if (!user)
		return;
	pgd->pgd_user = NULL;
	__free_page(cx, user);
}

/* This is what makes the kernel's half the same for everybody. */
static void clone_pgd_range(struct page *dst, const struct page *src, unsigned int first,
			    unsigned int count)
{
	unsigned int i, end = first + count;

	for (i = pt_next(src, first, end); i < end; i = pt_next(src, i + 1, end))
		pt_set(dst, i, pt_get(src, i));
}

static void pgd_ctor(struct ctx *cx, struct mm_struct *mm, struct page *pgd)
{
	struct machine *m = cx->m;
	unsigned int boundary = m->geo.kernel_boundary;

	/* Where pgd entries lead to tables that all share, the references are all there is to copy.
	 */
	if (!is_pae(m) || m->geo.shared_kernel_pmd)
		clone_pgd_range(pgd, m->init_mm.pgd, boundary, m->geo.ptrs[PT_PGD] - boundary);

	/* Later kernel entries are to reach this pgd, too. */
	if (!m->geo.shared_kernel_pmd) {
		pgd->pt_mm = mm;
		list_add(&pgd->lru, &m->pgd_list);
	}
}

static void pgd_dtor(struct ctx *cx, struct page *pgd)
{
	struct machine *m = cx->m;

	if (m->geo.shared_kernel_pmd)
		return;
	spin_lock(cx, &m->pgd_lock);
	list_del_init(&pgd->lru);
	pgd->pt_mm = NULL;
	spin_unlock(cx, &m->pgd_lock);
}

static void pgd_prepopulate_pmd(struct ctx *cx, struct mm_struct *mm, struct page *pgd,
				struct page *pmds[])
{
	struct machine *m = cx->m;
	unsigned int i;

	for (i = 0; i < m->geo.preallocated_pmds; i++) {
		if (i >= m->geo.kernel_boundary)
			clone_pgd_range(pmds[i], pt_table(m, m->init_mm.pgd, i), 0,
					m->geo.ptrs[PT_PMD]);
		pud_populate(cx, mm, pgd, i, pmds[i]);
	}
}

static void pgd_mop_up_pmds(struct ctx *cx, struct mm_struct *mm, struct page *pgd)
{
	struct machine *m = cx->m;
	unsigned int i;

	for (i = 0; i < m->geo.preallocated_pmds; i++) {
		struct page *pmd = pt_table(m, pgd, i);

		if (!pmd) /* a munmap has freed it: its gigabyte was empty */
			continue;
		pgd_set(pgd, i, 0);
		if (i >= m->geo.kernel_boundary)
			pt_clear_range(pmd, 0, m->geo.ptrs[PT_PMD]);
		pmd_free(cx, pmd);
		mm->nr_pmds--;
	}
}

struct page *pgd_alloc(struct ctx *cx, struct mm_struct *mm)
{
	struct page *pmds[MAX_PREALLOCATED_PMDS];
	struct page *pgd;

	pgd = _pgd_alloc(cx);
	if (!pgd)
		goto out;

	mm->pgd = pgd;

	if (preallocate_pmds(cx, mm, pmds) != 0)
		goto out_free_pgd;

	if (paravirt_pgd_alloc(cx, mm) != 0)
		goto out_free_pmds;

	/* Whoever walks the pgd_list shall see no pgd that is only half filled. */
	spin_lock(cx, &cx->m->pgd_lock);
	pgd_ctor(cx, mm, pgd);
	pgd_prepopulate_pmd(cx, mm, pgd, pmds);
	spin_unlock(cx, &cx->m->pgd_lock);

	return pgd;

out_free_pmds:
	free_pmds(cx, mm, pmds);
out_free_pgd:
	_pgd_free(cx, pgd);
out:
	return NULL;
}

void pgd_free(struct ctx *cx, struct mm_struct *mm, struct page *pgd)
{
	pgd_mop_up_pmds(cx, mm, pgd);
	pgd_dtor(cx, pgd);
	paravirt_pgd_free(cx, pgd);
	_pgd_free(cx, pgd);
}
