/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happens to page tables as a whole: copied by a fork, emptied, freed, given other permissions
 * (facts §6). Faults are in fault.c.
 *
 * The walks go down by level and stop early: a table knows how many entries it has.
 */
#include "internal.h"

u64 get_mm_rss(const struct mm_struct *mm)
{
	return (u64)(mm->rss_stat[MM_FILEPAGES] + mm->rss_stat[MM_ANONPAGES]);
}

void update_hiwater_rss(struct mm_struct *mm)
{
	mm->hiwater_rss = max_u64(mm->hiwater_rss, get_mm_rss(mm));
}

void update_hiwater_vm(struct mm_struct *mm)
{
	mm->hiwater_vm = max_u64(mm->hiwater_vm, mm->total_vm);
}

static void add_mm_rss_vec(struct mm_struct *mm, const s64 rss[NR_MM_COUNTERS])
{
	unsigned int i;

	for (i = 0; i < NR_MM_COUNTERS; i++)
		mm->rss_stat[i] += rss[i];
}

/* Bytes that one entry of a table of `level` covers. */
static u64 pt_span(const struct pt_geometry *geo, enum pt_level level)
{
	return (u64)1 << geo->shift[level];
}

/* End of what the entry that covers addr covers, but no more than end. */
static u64 pt_addr_end(const struct pt_geometry *geo, enum pt_level level, u64 addr, u64 end)
{
	u64 span = pt_span(geo, level);
	u64 boundary = (addr + span) & ~(span - 1);

	return boundary - 1 < end - 1 ? boundary : end;
}

/* The page that an entry accounts for, NULL for one that only lends its frame. */
static struct page *vm_normal_page(struct ctx *cx, pte_t pte)
{
	struct page *page;

	if (pte & _PAGE_SPECIAL)
		return NULL;
	page = pfn_to_page(cx->m, pte_pfn(pte));
	BUG_ON(cx, !page);
	BUG_ON(cx, page->type != PAGE_ANON && page->type != PAGE_FILE && page->type != PAGE_KERNEL);
	return page;
}

static int mm_counter(const struct page *page)
{
	return page->type == PAGE_ANON ? MM_ANONPAGES : MM_FILEPAGES;
}

/* ---- fork (facts §6.3, §6.4) ---------------------------------------------------------------- */

/* 0; or the slot of a swap entry whose count needs another continuation page. */
static u32 copy_one_pte(struct ctx *cx, struct mm_struct *dst_mm, struct page *dst_pt,
			struct page *src_pt, unsigned int idx, const struct vm_area_struct *vma,
			s64 rss[NR_MM_COUNTERS])
{
	pte_t pte = pt_get(src_pt, idx);
	struct page *page;

	BUG_ON(cx, !pte_none(pt_get(dst_pt, idx)));
	if (is_swap_pte(pte)) {
		u32 slot = pte_to_swp_entry(pte);

		if (swap_duplicate(cx, slot, SITE_copy_one_pte_cont))
			return slot;
		/* Behind its parent: so swapoff meets the parent's entries first. */
		mmlist_add(cx, dst_mm, vma->vm_mm);
		rss[MM_SWAPENTS]++;
		pt_set(dst_pt, idx, pte);
		return 0;
	}

	/* From now on whoever writes first gets a copy: take the permission away on both sides. */
	if (is_cow_mapping(vma->vm_flags) && (pte & _PAGE_RW)) {
		pte &= ~_PAGE_RW;
		pt_set(src_pt, idx, pte);
	}
	if (vma->vm_flags & VM_SHARED)
		pte &= ~_PAGE_DIRTY;
	pte &= ~_PAGE_ACCESSED;

	page = vm_normal_page(cx, pte);
	if (page) {
		get_page(cx, page);
		page_add_rmap(page);
		rss[mm_counter(page)]++;
	}
	pt_set(dst_pt, idx, pte);
	return 0;
}

static int copy_pte_range(struct ctx *cx, struct mm_struct *dst_mm, struct mm_struct *src_mm,
			  struct page *dst_pt, struct page *src_pt,
			  const struct vm_area_struct *vma, u64 addr, u64 end)
{
	unsigned int left = src_pt->nr_entries;
	u32 slot;

	do {
		s64 rss[NR_MM_COUNTERS] = {0};

		slot = 0;
		spin_lock(cx, pte_lockptr(cx, dst_mm, dst_pt));
		spin_lock_nested(cx, pte_lockptr(cx, src_mm, src_pt));
		for (; addr < end && left; addr += PAGE_SIZE) {
			unsigned int idx = pt_index(&cx->m->geo, PT_PTE, addr);

			STEP(cx);
			if (pte_none(pt_get(src_pt, idx)))
				continue;
			slot = copy_one_pte(cx, dst_mm, dst_pt, src_pt, idx, vma, rss);
			if (slot)
				break;
			left--;
		}
		spin_unlock(cx, pte_lockptr(cx, src_mm, src_pt));
		add_mm_rss_vec(dst_mm, rss);
		spin_unlock(cx, pte_lockptr(cx, dst_mm, dst_pt));
		/* Without the locks it can wait for the page; then the same entry once more. */
		if (slot &&
		    add_swap_count_continuation(cx, slot, SITE_copy_pte_range_cont, GFP_KERNEL))
			return -ENOMEM;
	} while (slot);
	return 0;
}

/*
 * Copies what tables dst and src of `level` hold for [addr, end). The destination gets a table only
 * where the source has entries; a source table that is empty, left by something that failed, is
 * none.
 */
static int copy_table_range(struct ctx *cx, struct mm_struct *dst_mm, struct mm_struct *src_mm,
			    struct page *dst, struct page *src, enum pt_level level,
			    const struct vm_area_struct *vma, u64 addr, u64 end)
{
	const struct pt_geometry *geo = &cx->m->geo;
	enum pt_level below = pt_below(geo, level);
	u64 next;
	int err;

	for (; addr < end; addr = next) {
		unsigned int idx = pt_index(geo, level, addr);
		struct page *src_below = pt_table(cx->m, src, idx), *dst_below;

		STEP(cx);
		next = pt_addr_end(geo, level, addr, end);
		if (below == PT_PTE && pmd_trans_huge(pt_get(src, idx))) {
			err = copy_huge_pmd(cx, dst_mm, src_mm, dst, src, idx);
			if (err)
				return err;
			continue;
		}
		if (!src_below || !src_below->nr_entries)
			continue;
		dst_below = pt_alloc_below(cx, dst_mm, dst, level, idx);
		if (!dst_below)
			return -ENOMEM;
		if (below == PT_PTE) {
			err = copy_pte_range(cx, dst_mm, src_mm, dst_below, src_below, vma, addr,
					     next);
		} else {
			err = copy_table_range(cx, dst_mm, src_mm, dst_below, src_below, below, vma,
					       addr, next);
		}
		if (err)
			return err;
	}
	return 0;
}

int copy_page_range(struct ctx *cx, struct mm_struct *dst, struct mm_struct *src,
		    struct vm_area_struct *vma)
{
	bool is_cow = is_cow_mapping(vma->vm_flags);
	int ret;

	assert_held_write(cx, &dst->mmap_sem);
	assert_held_write(cx, &src->mmap_sem);
	/* Without pages of its own a mapping is refilled by faults, cheaper than copied. */
	if (!(vma->vm_flags & (VM_PFNMAP | VM_MIXEDMAP)) && !vma->anon_vma)
		return 0;
	/* frames that are mapped by their number: is their memory type known for one more? */
	if ((vma->vm_flags & VM_PFNMAP) && fl_should_fail(cx, SITE_track_pfn_copy, GFP_KERNEL))
		return -EINVAL;
	/* the parent's entries lose their permission to write */
	if (is_cow)
		mmu_notifier_invalidate_range_start(cx, src, vma->vm_start, vma->vm_end);
	ret = copy_table_range(cx, dst, src, dst->pgd, src->pgd, PT_PGD, vma, vma->vm_start,
			       vma->vm_end);
	if (is_cow)
		mmu_notifier_invalidate_range_end(cx, src);
	return ret;
}

/* ---- frames by their number ------------------------------------------------------------------ */

int remap_pfn_range(struct ctx *cx, struct vm_area_struct *vma, u64 addr, const struct page *page,
		    u64 nr)
{
	struct mm_struct *mm = vma->vm_mm;

	assert_held_write(cx, &mm->mmap_sem);
	/* a copy on write would have to know a page by its place in the VMA */
	BUG_ON(cx, is_cow_mapping(vma->vm_flags));
	vma->vm_flags |= VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP;
	for (u64 i = 0; i < nr; i++, addr += PAGE_SIZE) {
		struct page *pt = pte_alloc_map(cx, mm, addr);
		unsigned int idx = pt_index(&cx->m->geo, PT_PTE, addr);

		STEP(cx);
		if (!pt)
			return -ENOMEM;
		spin_lock(cx, pte_lockptr(cx, mm, pt));
		BUG_ON(cx, !pte_none(pt_get(pt, idx)));
		pt_set(pt, idx,
		       ((page->pfn + i) << PAGE_SHIFT) | vma->vm_page_prot | _PAGE_SPECIAL);
		spin_unlock(cx, pte_lockptr(cx, mm, pt));
	}
	return 0;
}

/* ---- unmap (facts §6.5) --------------------------------------------------------------------- */

/* Returns where it stopped: before end when the gather was full and had to be emptied. */
static u64 zap_pte_batch(struct ctx *cx, struct mmu_gather *tlb, struct page *pt, u64 addr, u64 end)
{
	struct mm_struct *mm = tlb->mm;
	s64 rss[NR_MM_COUNTERS] = {0};
	bool force_flush = false;

	spin_lock(cx, pte_lockptr(cx, mm, pt));
	while (addr < end && pt->nr_entries) {
		unsigned int idx = pt_index(&cx->m->geo, PT_PTE, addr);
		pte_t pte = pt_get(pt, idx);
		u64 at = addr;
		struct page *page;

		STEP(cx);
		addr += PAGE_SIZE;
		if (pte_none(pte))
			continue;
		pt_set(pt, idx, 0);
		if (is_swap_pte(pte)) {
			rss[MM_SWAPENTS]--;
			free_swap_and_cache(cx, pte_to_swp_entry(pte));
			continue;
		}
		tlb_record(tlb, at);
		page = vm_normal_page(cx, pte);
		if (!page)
			continue;
		if (page->type == PAGE_FILE && (pte & _PAGE_DIRTY)) {
			page->dirty = true;
			force_flush = true;
		}
		rss[mm_counter(page)]--;
		page_remove_rmap(cx, page);
		if (!__tlb_remove_page(cx, tlb, page)) {
			force_flush = true;
			break;
		}
	}
	if (!pt->nr_entries)
		addr = end;
	add_mm_rss_vec(mm, rss);

	/*
	 * A dirty file page must not be written through a stale translation after somebody found it
	 * clean: flush while the lock still keeps them out.
	 */
	if (force_flush)
		tlb_flush_mmu_tlbonly(cx, tlb);
	spin_unlock(cx, pte_lockptr(cx, mm, pt));
	if (force_flush)
		tlb_flush_mmu_free(cx, tlb);
	return addr;
}

static void zap_pte_range(struct ctx *cx, struct mmu_gather *tlb, struct page *pt, u64 addr,
			  u64 end)
{
	while (addr < end)
		addr = zap_pte_batch(cx, tlb, pt, addr, end);
}

static void zap_table_range(struct ctx *cx, struct mmu_gather *tlb, struct page *pt,
			    enum pt_level level, u64 addr, u64 end)
{
	const struct pt_geometry *geo = &cx->m->geo;
	enum pt_level below = pt_below(geo, level);
	u64 next;

	for (; addr < end; addr = next) {
		unsigned int idx = pt_index(geo, level, addr);
		struct page *pt_child;

		STEP(cx);
		next = pt_addr_end(geo, level, addr, end);
		if (below == PT_PTE && pmd_trans_huge(pt_get(pt, idx))) {
			if (next - addr == hpage_size(cx->m)) {
				if (!zap_huge_pmd(cx, tlb, pt, idx, addr))
					tlb_flush_mmu(cx, tlb);
				continue;
			}
			split_huge_page_pmd(cx, tlb->mm, addr);
		}
		pt_child = pt_table(cx->m, pt, idx);
		if (!pt_child || !pt_child->nr_entries)
			continue;
		if (below == PT_PTE)
			zap_pte_range(cx, tlb, pt_child, addr, next);
		else
			zap_table_range(cx, tlb, pt_child, below, addr, next);
	}
}

static void unmap_page_range(struct ctx *cx, struct mmu_gather *tlb,
			     const struct vm_area_struct *vma, u64 addr, u64 end)
{
	BUG_ON(cx, vma->vm_mm != tlb->mm);
	BUG_ON(cx, addr >= end);
	zap_table_range(cx, tlb, tlb->mm->pgd, PT_PGD, addr, end);
}

void unmap_vmas(struct ctx *cx, struct mmu_gather *tlb, struct vm_area_struct *vma, u64 start,
		u64 end)
{
	struct mm_struct *mm = tlb->mm;

	mmu_notifier_invalidate_range_start(cx, mm, start, end);
	for (; vma && vma->vm_start < end; vma = vma->vm_next) {
		STEP(cx);
		if (vma->vm_end > start)
			unmap_page_range(cx, tlb, vma, max_u64(vma->vm_start, start),
					 min_u64(vma->vm_end, end));
	}
	mmu_notifier_invalidate_range_end(cx, mm);
}

void zap_page_range(struct ctx *cx, struct vm_area_struct *vma, u64 start, u64 end)
{
	struct mm_struct *mm = vma->vm_mm;
	struct mmu_gather tlb;

	tlb_gather_mmu(cx, &tlb, mm, start, end);
	update_hiwater_rss(mm);
	mmu_notifier_invalidate_range_start(cx, mm, start, end);
	unmap_page_range(cx, &tlb, vma, start, end);
	mmu_notifier_invalidate_range_end(cx, mm);
	tlb_finish_mmu(cx, &tlb, start, end);
}

void unmap_mapping_range(struct ctx *cx, struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	struct vm_area_struct *vma;

	/* Keeps every VMA met, whatever mm it is of, with its tables: see hide_vma_from_rmap(). */
	down_write(cx, &mapping->i_mmap_rwsem);
	for (vma = vma_interval_tree_first(&mapping->i_mmap, first, last); vma;
	     vma = vma_interval_tree_next(vma, first, last)) {
		pgoff_t from = max_u64(first, vma->vm_pgoff);
		pgoff_t to = min_u64(last, vma->vm_pgoff + vma_pages(vma) - 1);

		STEP(cx);
		zap_page_range(cx, vma, vma->vm_start + ((from - vma->vm_pgoff) << PAGE_SHIFT),
			       vma->vm_start + ((to - vma->vm_pgoff + 1) << PAGE_SHIFT));
	}
	up_write(cx, &mapping->i_mmap_rwsem);
}

/* ---- freeing tables (facts §6.6) ------------------------------------------------------------ */

/* Takes the table that entry idx of pt points to out of the tree; the gather frees it. */
static void pt_unlink_below(struct ctx *cx, struct mmu_gather *tlb, struct page *pt,
			    enum pt_level level, unsigned int idx, u64 addr)
{
	enum pt_level below = pt_below(&cx->m->geo, level);
	struct page *table = pt_table(cx->m, pt, idx);

	if (level == PT_PGD)
		pgd_set(pt, idx, 0);
	else
		pt_set(pt, idx, 0);
	pt_dtor(cx, table, below);
	if (below == PT_PTE)
		tlb->mm->nr_ptes--;
	if (below == PT_PMD) {
		tlb->mm->nr_pmds--;
		/* PAE: the CPU has the pgd's entries in registers and reloads them all or none. */
		if (level == PT_PGD)
			tlb->need_flush_all = true;
	}
	tlb_remove_table(cx, tlb, table, addr);
}

/* May what one entry of `span` bytes leads to go, given that [addr, end) of it is to be freed? */
static bool pt_span_is_free(u64 addr, u64 end, u64 span, u64 floor, u64 ceiling)
{
	if ((addr & ~(span - 1)) < floor)
		return false;
	if (ceiling) {
		ceiling &= ~(span - 1);
		if (!ceiling)
			return false;
	}
	return end - 1 <= ceiling - 1;
}

static void free_table_range(struct ctx *cx, struct mmu_gather *tlb, struct page *pt,
			     enum pt_level level, u64 addr, u64 end, u64 floor, u64 ceiling)
{
	const struct pt_geometry *geo = &cx->m->geo;
	enum pt_level below = pt_below(geo, level);
	u64 next;

	for (; addr < end && pt->nr_entries; addr = next) {
		unsigned int idx = pt_index(geo, level, addr);
		struct page *table = pt_table(cx->m, pt, idx);

		STEP(cx);
		next = pt_addr_end(geo, level, addr, end);
		if (!table)
			continue;
		if (below != PT_PTE) {
			free_table_range(cx, tlb, table, below, addr, next, floor, ceiling);
			if (!pt_span_is_free(addr, next, pt_span(geo, level), floor, ceiling))
				continue;
		}
		pt_unlink_below(cx, tlb, pt, level, idx, addr);
	}
}

/*
 * Frees the tables that only [addr, end) needs, where floor is the end of the mapping below that
 * stays (0: none) and ceiling the start of the one above (0: none). 0 is the bottom for addr and
 * floor and the top for end and ceiling, so the comparisons are made on what is one less.
 */
static void free_pgd_range(struct ctx *cx, struct mmu_gather *tlb, u64 addr, u64 end, u64 floor,
			   u64 ceiling)
{
	u64 size = pt_span(&cx->m->geo, PT_PMD), mask = ~(size - 1);

	/* First the rule for the lowest level, once for all: which PTE tables are to go. */
	addr &= mask;
	if (addr < floor) {
		addr += size;
		if (!addr)
			return;
	}
	if (ceiling) {
		ceiling &= mask;
		if (!ceiling)
			return;
	}
	if (end - 1 > ceiling - 1)
		end -= size;
	if (addr > end - 1)
		return;
	free_table_range(cx, tlb, tlb->mm->pgd, PT_PGD, addr, end, floor, ceiling);
}

/* Before a table goes, nothing may lead to its VMA any more: neither its pages nor its file. */
static void hide_vma_from_rmap(struct ctx *cx, struct vm_area_struct *vma)
{
	unlink_anon_vmas(cx, vma);
	unlink_file_vma(cx, vma);
}

void free_pgtables(struct ctx *cx, struct mmu_gather *tlb, struct vm_area_struct *vma, u64 floor,
		   u64 ceiling)
{
	u64 pmd_size = pt_span(&cx->m->geo, PT_PMD);

	while (vma) {
		struct vm_area_struct *next = vma->vm_next;
		u64 addr = vma->vm_start;

		STEP(cx);
		hide_vma_from_rmap(cx, vma);
		/* Neighbours that may share a table are freed as one. */
		while (next && next->vm_start <= vma->vm_end + pmd_size) {
			STEP(cx);
			vma = next;
			next = vma->vm_next;
			hide_vma_from_rmap(cx, vma);
		}
		free_pgd_range(cx, tlb, addr, vma->vm_end, floor, next ? next->vm_start : ceiling);
		vma = next;
	}
}

void unmap_region(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma,
		  struct vm_area_struct *prev, u64 start, u64 end)
{
	struct vm_area_struct *next = prev ? prev->vm_next : mm->mmap;
	struct mmu_gather tlb;

	tlb_gather_mmu(cx, &tlb, mm, start, end);
	update_hiwater_rss(mm);
	unmap_vmas(cx, &tlb, vma, start, end);
	free_pgtables(cx, &tlb, vma, prev ? prev->vm_end : 0, next ? next->vm_start : 0);
	tlb_finish_mmu(cx, &tlb, start, end);
}

/* ---- mprotect (facts §7.13) ----------------------------------------------------------------- */

#define _PAGE_CHG_MASK (_PAGE_PFN_MASK | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_SPECIAL)

/* dirty_accountable: what is known to be dirty already need not fault to become writable. */
static u64 change_pte_range(struct ctx *cx, struct mm_struct *mm, struct page *pt, u64 addr,
			    u64 end, pte_t newprot, bool dirty_accountable)
{
	unsigned int left = pt->nr_entries;
	u64 pages = 0;

	spin_lock(cx, pte_lockptr(cx, mm, pt));
	for (; addr < end && left; addr += PAGE_SIZE) {
		unsigned int idx = pt_index(&cx->m->geo, PT_PTE, addr);
		pte_t pte = pt_get(pt, idx);

		STEP(cx);
		if (pte_none(pte))
			continue;
		left--;
		if (is_swap_pte(pte)) /* gets its permissions when it comes back */
			continue;
		pte = (pte & _PAGE_CHG_MASK) | (newprot & ~_PAGE_CHG_MASK);
		if (dirty_accountable && (pte & _PAGE_DIRTY))
			pte |= _PAGE_RW;
		pt_set(pt, idx, pte);
		pages++;
	}
	spin_unlock(cx, pte_lockptr(cx, mm, pt));
	return pages;
}

static u64 change_table_range(struct ctx *cx, struct mm_struct *mm, struct page *pt,
			      enum pt_level level, u64 addr, u64 end, pte_t newprot,
			      bool dirty_accountable)
{
	const struct pt_geometry *geo = &cx->m->geo;
	enum pt_level below = pt_below(geo, level);
	u64 next, pages = 0;

	for (; addr < end; addr = next) {
		unsigned int idx = pt_index(geo, level, addr);
		struct page *table;

		STEP(cx);
		next = pt_addr_end(geo, level, addr, end);
		if (below == PT_PTE && pmd_trans_huge(pt_get(pt, idx))) {
			if (next - addr == hpage_size(cx->m)) {
				change_huge_pmd(cx, mm, pt, idx, newprot);
				pages += hpage_nr(cx->m);
				continue;
			}
			split_huge_page_pmd(cx, mm, addr);
		}
		table = pt_table(cx->m, pt, idx);
		if (!table || !table->nr_entries)
			continue;
		if (below == PT_PTE)
			pages += change_pte_range(cx, mm, table, addr, next, newprot,
						  dirty_accountable);
		else
			pages += change_table_range(cx, mm, table, below, addr, next, newprot,
						    dirty_accountable);
	}
	return pages;
}

void change_protection(struct ctx *cx, struct vm_area_struct *vma, u64 start, u64 end,
		       pte_t newprot)
{
	struct mm_struct *mm = vma->vm_mm;

	BUG_ON(cx, start >= end);
	mmu_notifier_invalidate_range_start(cx, mm, start, end);
	mm->tlb_flush_pending = true;
	if (change_table_range(cx, mm, mm->pgd, PT_PGD, start, end, newprot,
			       vma_wants_writenotify(vma)))
		flush_tlb_range(cx, mm, start, end);
	mm->tlb_flush_pending = false;
	mmu_notifier_invalidate_range_end(cx, mm);
}
