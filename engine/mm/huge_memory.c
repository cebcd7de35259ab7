/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Huge pages of anonymous memory (facts §6.2, §11, §22): one entry of the level above the PTE
 * tables leads to a row of pages, 512 or, with 2 levels, 1024.
 *
 * Each huge entry has a PTE table deposited with its mm, so that it can be split at any time and
 * without memory. A huge page is split for all who map it at once: there is none that one mm maps
 * as a whole and another in parts.
 */
#include "internal.h"

static u64 hpage_start(const struct machine *m, u64 addr)
{
	return addr & ~(hpage_size(m) - 1);
}

static bool is_huge_zero_pmd(pte_t pmd)
{
	return pmd & _PAGE_SPECIAL;
}

static struct page *pmd_page(struct ctx *cx, pte_t pmd)
{
	struct page *page = pfn_to_page(cx->m, pte_pfn(pmd));

	BUG_ON(cx, !page || !PageTransHuge(page));
	return page;
}

static pte_t mk_huge_pmd(const struct page *page, pte_t prot)
{
	return page->pfn << PAGE_SHIFT | prot | _PAGE_PSE;
}

static pte_t maybe_pmd_mkwrite(pte_t pmd, const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_WRITE ? pmd | _PAGE_RW : pmd;
}

/* With 2 levels it is an entry of the pgd. */
static void set_pmd(struct page *pmd, unsigned int idx, pte_t val)
{
	pgd_set(pmd, idx, val);
}

static void pmd_populate(struct page *pmd, unsigned int idx, const struct page *pgtable)
{
	set_pmd(pmd, idx, pgtable->pfn << PAGE_SHIFT | _PAGE_TABLE);
}

/* ---- deposited tables (facts §6.2) ---------------------------------------------------------- */

static void pgtable_trans_huge_deposit(struct ctx *cx, struct mm_struct *mm, struct page *pmd,
				       struct page *pgtable)
{
	struct page **deposits = huge_deposits(cx->m, mm, pmd);

	assert_held_write(cx, pmd_lockptr(cx, mm, pmd));
	if (*deposits)
		list_add(&pgtable->lru, &(*deposits)->lru);
	*deposits = pgtable;
}

static struct page *pgtable_trans_huge_withdraw(struct ctx *cx, struct mm_struct *mm,
						struct page *pmd)
{
	struct page **deposits = huge_deposits(cx->m, mm, pmd), *pgtable = *deposits;

	assert_held_write(cx, pmd_lockptr(cx, mm, pmd));
	BUG_ON(cx, !pgtable || pgtable->nr_entries);
	*deposits = list_empty(&pgtable->lru) ? NULL
					      : list_first_entry(&pgtable->lru, struct page, lru);
	list_del_init(&pgtable->lru);
	return pgtable;
}

/* ---- the huge page of zeroes ---------------------------------------------------------------- */

/* The machine keeps one reference, each entry has one. NULL: there is no memory for it. */
static struct page *get_huge_zero_page(struct ctx *cx)
{
	struct machine *m = cx->m;

	if (!m->huge_zero_page)
		m->huge_zero_page = alloc_pages(cx, SITE_huge_zero_page, GFP_TRANSHUGE,
						hpage_order(m), PAGE_HUGE_ZERO);
	if (m->huge_zero_page)
		get_page(cx, m->huge_zero_page);
	return m->huge_zero_page;
}

void shrink_huge_zero_page(struct ctx *cx)
{
	struct page *page = cx->m->huge_zero_page;

	if (!page || atomic_read(&page->_refcount) != 1)
		return;
	cx->m->huge_zero_page = NULL;
	put_page(cx, page);
}

/* ---- faults (facts §11) --------------------------------------------------------------------- */

static bool transparent_hugepage_enabled(const struct machine *m, const struct vm_area_struct *vma)
{
	const u32 temporary_stack = VM_STACK_INCOMPLETE_SETUP | VM_GROWSDOWN;

	if (vma->vm_flags & (VM_NOHUGEPAGE | VM_SHARED) || !vma_is_anonymous(vma))
		return false;
	if ((vma->vm_flags & temporary_stack) == temporary_stack)
		return false;
	return m->cfg.thp == 1 || (m->cfg.thp == 2 && vma->vm_flags & VM_HUGEPAGE);
}

static bool hpage_fits(const struct machine *m, const struct vm_area_struct *vma, u64 haddr)
{
	return haddr >= vma->vm_start && haddr + hpage_size(m) <= vma->vm_end &&
	       haddr + hpage_size(m) > haddr;
}

/* khugepaged shall go to vma's mm: 0, also if it does already or is not to, or -ENOMEM. */
static int khugepaged_enter(struct ctx *cx, const struct vm_area_struct *vma, u32 vm_flags,
			    enum fl_site site)
{
	const struct machine *m = cx->m;

	if (vma->vm_mm->flags & MMF_VM_HUGEPAGE || vm_flags & VM_NOHUGEPAGE)
		return 0;
	if (m->cfg.thp == 1 || (m->cfg.thp == 2 && vm_flags & VM_HUGEPAGE))
		return mm_slot_enter(cx, KHUGEPAGED, vma->vm_mm, site);
	return 0;
}

static void map_new_huge_page(struct ctx *cx, struct vm_area_struct *vma, u64 haddr,
			      struct page *pmd, unsigned int idx, struct page *page)
{
	assert_held_write(cx, pmd_lockptr(cx, vma->vm_mm, pmd));
	page_add_new_anon_rmap(page, vma, haddr);
	set_pmd(pmd, idx,
		maybe_pmd_mkwrite(mk_huge_pmd(page, vma->vm_page_prot) | _PAGE_DIRTY, vma));
}

static unsigned int do_huge_pmd_anonymous_page(struct ctx *cx, struct vm_area_struct *vma,
					       u64 haddr, struct page *pmd, unsigned int idx,
					       bool write)
{
	struct mm_struct *mm = vma->vm_mm;
	unsigned int ret = VM_FAULT_OOM;
	struct page *page = NULL, *pgtable;

	if (!hpage_fits(cx->m, vma, haddr))
		return VM_FAULT_FALLBACK;
	if (anon_vma_prepare(cx, vma))
		goto out;
	if (khugepaged_enter(cx, vma, vma->vm_flags, SITE_khugepaged_fault_slot))
		goto out;

	if (write) {
		ret = VM_FAULT_FALLBACK;
		page = alloc_huge_page(cx, SITE_huge_page);
		if (!page)
			goto out;
		if (mem_cgroup_try_charge(cx, page, mm, SITE_huge_charge))
			goto out_free_page;
		ret = VM_FAULT_OOM;
	}
	pgtable = pte_alloc_one(cx, SITE_huge_pte, SITE_huge_pte_ctor);
	if (!pgtable)
		goto out_free_page;
	if (!write) {
		ret = VM_FAULT_FALLBACK;
		page = get_huge_zero_page(cx);
		if (!page)
			goto out_free_pgtable;
	}
	/* As with small pages only now. */
	if (userfaultfd_missing(vma)) {
		ret = handle_userfault(cx, vma);
		goto out_free_pgtable;
	}

	spin_lock(cx, pmd_lockptr(cx, mm, pmd));
	if (write) {
		mm->rss_stat[MM_ANONPAGES] += hpage_nr(cx->m);
		map_new_huge_page(cx, vma, haddr, pmd, idx, page);
	} else {
		set_pmd(pmd, idx, mk_huge_pmd(page, vma->vm_page_prot | _PAGE_SPECIAL));
	}
	pgtable_trans_huge_deposit(cx, mm, pmd, pgtable);
	mm->nr_ptes++;
	spin_unlock(cx, pmd_lockptr(cx, mm, pmd));
	return 0;

out_free_pgtable:
	pte_free(cx, pgtable);
out_free_page:
	if (page)
		put_page(cx, page);
out:
	return ret;
}

/* old is NULL for the huge page of zeroes. Without a new page the entry is as it was. */
static bool huge_cow(struct ctx *cx, struct vm_area_struct *vma, u64 haddr, struct page *pmd,
		     unsigned int idx, struct page *old)
{
	struct mm_struct *mm = vma->vm_mm;
	struct machine *m = cx->m;
	struct page *new_page;

	if (!transparent_hugepage_enabled(m, vma))
		return false;
	new_page = alloc_huge_page(cx, SITE_huge_cow_page);
	if (!new_page)
		return false;
	if (mem_cgroup_try_charge(cx, new_page, mm, SITE_huge_cow_charge)) {
		put_page(cx, new_page);
		return false;
	}
	for (unsigned int i = 0; old && i < hpage_nr(m); i++) {
		STEP(cx);
		page_set_tag(pfn_to_page(m, new_page->pfn + i),
			     page_tag(pfn_to_page(m, old->pfn + i)));
	}

	mmu_notifier_invalidate_range_start(cx, mm, haddr, haddr + hpage_size(m));
	spin_lock(cx, pmd_lockptr(cx, mm, pmd));
	/* Nobody may read the old page through this entry once somebody writes the new one. */
	set_pmd(pmd, idx, 0);
	flush_tlb_range(cx, mm, haddr, haddr + hpage_size(m));
	map_new_huge_page(cx, vma, haddr, pmd, idx, new_page);
	if (old)
		page_remove_rmap(cx, old);
	else
		mm->rss_stat[MM_ANONPAGES] += hpage_nr(m);
	spin_unlock(cx, pmd_lockptr(cx, mm, pmd));
	mmu_notifier_invalidate_range_end(cx, mm);
	put_page(cx, old ? old : m->huge_zero_page);
	return true;
}

/* Array of small pages with the content of old, and the block that it lies in; NULL: no memory. */
static struct page *copy_to_small_pages(struct ctx *cx, const struct mm_struct *mm,
					struct page *old)
{
	unsigned int nr = hpage_nr(cx->m), order = 0, i;
	struct page *array, **pages;

	while (PAGE_SIZE << order < nr * sizeof(*pages))
		order++;
	array = alloc_pages(cx, SITE_huge_cow_array, GFP_KERNEL, order, PAGE_KMALLOC);
	if (!array)
		return NULL;
	pages = array->mem;
	for (i = 0; i < nr; i++) {
		STEP(cx);
		pages[i] = alloc_pages(cx, SITE_huge_cow_small, GFP_KERNEL | __GFP_ZERO | __GFP_TAG,
				       0, PAGE_ANON);
		if (!pages[i])
			goto fail_pages;
		if (mem_cgroup_try_charge(cx, pages[i], mm, SITE_huge_cow_small_charge)) {
			put_page(cx, pages[i]);
			goto fail_pages;
		}
		page_set_tag(pages[i], page_tag(pfn_to_page(cx->m, old->pfn + i)));
	}
	return array;

fail_pages:
	while (i--)
		put_page(cx, pages[i]);
	__free_page(cx, array);
	return NULL;
}

/* There is no second huge page: the deposited table gets small ones. */
static bool do_huge_pmd_wp_page_fallback(struct ctx *cx, struct vm_area_struct *vma, u64 haddr,
					 struct page *pmd, unsigned int idx, struct page *old)
{
	struct mm_struct *mm = vma->vm_mm;
	struct page *array = copy_to_small_pages(cx, mm, old), *pgtable, **pages;

	if (!array)
		return false;
	pages = array->mem;
	mmu_notifier_invalidate_range_start(cx, mm, haddr, haddr + hpage_size(cx->m));
	spin_lock(cx, pmd_lockptr(cx, mm, pmd));
	set_pmd(pmd, idx, 0);
	flush_tlb_range(cx, mm, haddr, haddr + hpage_size(cx->m));
	pgtable = pgtable_trans_huge_withdraw(cx, mm, pmd);
	for (unsigned int i = 0; i < hpage_nr(cx->m); i++) {
		pte_t pte = pages[i]->pfn << PAGE_SHIFT | vma->vm_page_prot | _PAGE_DIRTY;

		STEP(cx);
		page_add_new_anon_rmap(pages[i], vma, haddr + ((u64)i << PAGE_SHIFT));
		pt_set(pgtable, i, maybe_pmd_mkwrite(pte, vma));
	}
	pmd_populate(pmd, idx, pgtable);
	page_remove_rmap(cx, old);
	spin_unlock(cx, pmd_lockptr(cx, mm, pmd));
	mmu_notifier_invalidate_range_end(cx, mm);
	__free_page(cx, array);
	put_page(cx, old);
	return true;
}

/* VM_FAULT_FALLBACK: the entry is a table now, and its page still to be copied. */
static unsigned int do_huge_pmd_wp_page(struct ctx *cx, struct vm_area_struct *vma, u64 haddr,
					struct page *pmd, unsigned int idx)
{
	struct mm_struct *mm = vma->vm_mm;
	pte_t entry = pt_get(pmd, idx);
	struct page *old = is_huge_zero_pmd(entry) ? NULL : pmd_page(cx, entry);

	BUG_ON(cx, !vma->anon_vma);
	if (old && old->_mapcount == 1) {
		spin_lock(cx, pmd_lockptr(cx, mm, pmd));
		set_pmd(pmd, idx, maybe_pmd_mkwrite(entry | _PAGE_ACCESSED | _PAGE_DIRTY, vma));
		spin_unlock(cx, pmd_lockptr(cx, mm, pmd));
		return 0;
	}
	if (huge_cow(cx, vma, haddr, pmd, idx, old))
		return 0;
	if (old && do_huge_pmd_wp_page_fallback(cx, vma, haddr, pmd, idx, old))
		return 0;
	split_huge_page_pmd(cx, mm, haddr);
	return VM_FAULT_FALLBACK;
}

unsigned int huge_fault(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma, u64 addr,
			bool write)
{
	struct page *pmd = pmd_alloc_map(cx, mm, addr);
	unsigned int idx = pt_index(&cx->m->geo, pmd_level(&cx->m->geo), addr);
	u64 haddr = hpage_start(cx->m, addr);
	pte_t entry;

	if (!pmd)
		return VM_FAULT_OOM;
	entry = pt_get(pmd, idx);
	if (pte_none(entry)) {
		if (!transparent_hugepage_enabled(cx->m, vma))
			return VM_FAULT_FALLBACK;
		return do_huge_pmd_anonymous_page(cx, vma, haddr, pmd, idx, write);
	}
	if (!pmd_trans_huge(entry))
		return VM_FAULT_FALLBACK;
	BUG_ON(cx, !(entry & _PAGE_PRESENT));
	if (write && !(entry & _PAGE_RW))
		return do_huge_pmd_wp_page(cx, vma, haddr, pmd, idx);

	spin_lock(cx, pmd_lockptr(cx, mm, pmd));
	set_pmd(pmd, idx, entry | _PAGE_ACCESSED | (write ? _PAGE_DIRTY : 0));
	spin_unlock(cx, pmd_lockptr(cx, mm, pmd));
	return 0;
}

/* ---- fork, unmap, protect, move (facts §6.3, §6.5, §7.12) ----------------------------------- */

int copy_huge_pmd(struct ctx *cx, struct mm_struct *dst_mm, struct mm_struct *src_mm,
		  struct page *dst, struct page *src, unsigned int idx)
{
	struct page *pgtable = pte_alloc_one(cx, SITE_copy_huge_pte, SITE_copy_huge_pte_ctor);
	pte_t entry;

	if (!pgtable)
		return -ENOMEM;
	spin_lock(cx, pmd_lockptr(cx, dst_mm, dst));
	spin_lock_nested(cx, pmd_lockptr(cx, src_mm, src));
	entry = pt_get(src, idx);
	BUG_ON(cx, !pmd_trans_huge(entry));
	BUG_ON(cx, !pte_none(pt_get(dst, idx)));
	if (is_huge_zero_pmd(entry)) {
		get_page(cx, cx->m->huge_zero_page);
	} else {
		struct page *page = pmd_page(cx, entry);

		get_page(cx, page);
		page_add_rmap(page);
		dst_mm->rss_stat[MM_ANONPAGES] += hpage_nr(cx->m);
		entry &= ~_PAGE_RW;
		set_pmd(src, idx, entry);
	}
	set_pmd(dst, idx, entry & ~_PAGE_ACCESSED);
	pgtable_trans_huge_deposit(cx, dst_mm, dst, pgtable);
	dst_mm->nr_ptes++;
	spin_unlock(cx, pmd_lockptr(cx, src_mm, src));
	spin_unlock(cx, pmd_lockptr(cx, dst_mm, dst));
	return 0;
}

bool zap_huge_pmd(struct ctx *cx, struct mmu_gather *tlb, struct page *pmd, unsigned int idx,
		  u64 addr)
{
	struct mm_struct *mm = tlb->mm;
	struct page *page, *pgtable;
	pte_t entry;

	spin_lock(cx, pmd_lockptr(cx, mm, pmd));
	entry = pt_get(pmd, idx);
	set_pmd(pmd, idx, 0);
	tlb_record(tlb, addr);
	tlb_record(tlb, addr + hpage_size(cx->m) - PAGE_SIZE);
	pgtable = pgtable_trans_huge_withdraw(cx, mm, pmd);
	mm->nr_ptes--;
	if (is_huge_zero_pmd(entry)) {
		page = cx->m->huge_zero_page;
	} else {
		page = pmd_page(cx, entry);
		page_remove_rmap(cx, page);
		mm->rss_stat[MM_ANONPAGES] -= hpage_nr(cx->m);
	}
	spin_unlock(cx, pmd_lockptr(cx, mm, pmd));
	/* No hardware ever saw the table: it need not wait for a flush. */
	pte_free(cx, pgtable);
	return __tlb_remove_page(cx, tlb, page);
}

void change_huge_pmd(struct ctx *cx, struct mm_struct *mm, struct page *pmd, unsigned int idx,
		     pte_t newprot)
{
	const pte_t keep = _PAGE_PFN_MASK | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_SPECIAL |
			   _PAGE_PSE;

	spin_lock(cx, pmd_lockptr(cx, mm, pmd));
	set_pmd(pmd, idx, (pt_get(pmd, idx) & keep) | (newprot & ~keep));
	spin_unlock(cx, pmd_lockptr(cx, mm, pmd));
}

bool move_huge_pmd(struct ctx *cx, struct mm_struct *mm, u64 old_addr, u64 new_addr,
		   struct page *new_pmd)
{
	const struct pt_geometry *geo = &cx->m->geo;
	unsigned int from = pt_index(geo, pmd_level(geo), old_addr);
	unsigned int to = pt_index(geo, pmd_level(geo), new_addr);
	struct page *old_pmd = pmd_lookup(cx->m, mm, old_addr);
	fl_lock_t *old_ptl = pmd_lockptr(cx, mm, old_pmd), *new_ptl = pmd_lockptr(cx, mm, new_pmd);
	bool moved = pte_none(pt_get(new_pmd, to));

	/* A table that something else left there stays: its entries can be moved into. */
	double_pt_lock(cx, old_ptl, new_ptl);
	if (moved) {
		pte_t entry = pt_get(old_pmd, from);

		set_pmd(old_pmd, from, 0);
		set_pmd(new_pmd, to, entry);
		/* what is deposited for it goes along */
		if (new_ptl != old_ptl)
			pgtable_trans_huge_deposit(cx, mm, new_pmd,
						   pgtable_trans_huge_withdraw(cx, mm, old_pmd));
		flush_tlb_range(cx, mm, old_addr, old_addr + hpage_size(cx->m));
	}
	double_pt_unlock(cx, old_ptl, new_ptl);
	return moved;
}

/* ---- splitting (facts §22) ------------------------------------------------------------------ */

/* The entry becomes the deposited table, with what it said in each of its entries. */
static void split_huge_pmd(struct ctx *cx, struct mm_struct *mm, u64 haddr, struct page *pmd,
			   unsigned int idx)
{
	struct page *zero_page = cx->m->zero_page, *pgtable;
	pte_t entry;

	spin_lock(cx, pmd_lockptr(cx, mm, pmd));
	entry = pt_get(pmd, idx);
	pgtable = pgtable_trans_huge_withdraw(cx, mm, pmd);
	for (unsigned int i = 0; i < hpage_nr(cx->m); i++) {
		pte_t pte = huge_pte(entry, i);

		STEP(cx);
		if (is_huge_zero_pmd(entry))
			pte = (pte & ~_PAGE_PFN_MASK) | zero_page->pfn << PAGE_SHIFT;
		pt_set(pgtable, i, pte);
	}
	/* No CPU may know the same place by a huge and by a small translation. */
	set_pmd(pmd, idx, 0);
	flush_tlb_range(cx, mm, haddr, haddr + hpage_size(cx->m));
	pmd_populate(pmd, idx, pgtable);
	spin_unlock(cx, pmd_lockptr(cx, mm, pmd));
}

/* Where vma maps the page as a whole; false: nowhere. */
static bool huge_page_address(struct ctx *cx, const struct page *page,
			      const struct vm_area_struct *vma, u64 *haddr, struct page **pmd,
			      unsigned int *idx)
{
	const struct pt_geometry *geo = &cx->m->geo;
	pte_t entry;

	if (page->index < vma->vm_pgoff)
		return false;
	*haddr = vma->vm_start + ((page->index - vma->vm_pgoff) << PAGE_SHIFT);
	if (!hpage_fits(cx->m, vma, *haddr) || *haddr != hpage_start(cx->m, *haddr))
		return false;
	*pmd = pmd_lookup(cx->m, vma->vm_mm, *haddr);
	if (!*pmd)
		return false;
	*idx = pt_index(geo, pmd_level(geo), *haddr);
	entry = pt_get(*pmd, *idx);
	return pmd_trans_huge(entry) && pte_pfn(entry) == page->pfn;
}

static void split_huge_page(struct ctx *cx, struct page *page)
{
	struct anon_vma *anon_vma = page->anon_vma;
	pgoff_t last = page->index + hpage_nr(cx->m) - 1;
	struct anon_vma_chain *avc;
	s32 mapcount = 0;

	down_write(cx, &anon_vma->root->rwsem);
	for (avc = anon_vma_interval_tree_first(&anon_vma->rb_root, page->index, last); avc;
	     avc = anon_vma_interval_tree_next(avc, page->index, last)) {
		struct page *pmd;
		unsigned int idx;
		u64 haddr;

		STEP(cx);
		if (!huge_page_address(cx, page, avc->vma, &haddr, &pmd, &idx))
			continue;
		split_huge_pmd(cx, avc->vma->vm_mm, haddr, pmd, idx);
		mapcount++;
	}
	/* A mapping that the walk did not meet would keep a huge entry to what is none any more. */
	BUG_ON(cx, mapcount != page->_mapcount);
	split_huge_page_refcount(cx, page);
	up_write(cx, &anon_vma->root->rwsem);
}

void split_huge_page_pmd(struct ctx *cx, struct mm_struct *mm, u64 addr)
{
	const struct pt_geometry *geo = &cx->m->geo;
	struct page *pmd = pmd_lookup(cx->m, mm, addr);
	unsigned int idx = pt_index(geo, pmd_level(geo), addr);
	pte_t entry = pmd ? pt_get(pmd, idx) : 0;

	if (!pmd_trans_huge(entry))
		return;
	if (is_huge_zero_pmd(entry)) {
		split_huge_pmd(cx, mm, hpage_start(cx->m, addr), pmd, idx);
		put_page(cx, cx->m->huge_zero_page);
		return;
	}
	split_huge_page(cx, pmd_page(cx, entry));
}

/* A boundary inside a huge page that lies in vma as a whole. */
static void split_at(struct ctx *cx, const struct vm_area_struct *vma, u64 addr)
{
	u64 haddr = hpage_start(cx->m, addr);

	if (addr != haddr && hpage_fits(cx->m, vma, haddr))
		split_huge_page_pmd(cx, vma->vm_mm, addr);
}

void vma_adjust_trans_huge(struct ctx *cx, struct vm_area_struct *vma, u64 start, u64 end,
			   s64 adjust_next)
{
	if (!cx->m->cfg.thp)
		return;
	split_at(cx, vma, start);
	split_at(cx, vma, end);
	if (adjust_next)
		split_at(cx, vma->vm_next, vma->vm_next->vm_start + (u64)adjust_next);
}

/* ---- advice, and gathering small pages (facts §7.18, §22) ------------------------------------ */

int khugepaged_enter_vma_merge(struct ctx *cx, const struct vm_area_struct *vma, u32 vm_flags,
			       enum fl_site site)
{
	u64 size = hpage_size(cx->m);

	/* what has no pages yet is for the first fault to register */
	if (!vma->anon_vma || !vma_is_anonymous(vma) || vm_flags & VM_SPECIAL)
		return 0;
	if (((vma->vm_start + size - 1) & ~(size - 1)) >= (vma->vm_end & ~(size - 1)))
		return 0;
	return khugepaged_enter(cx, vma, vm_flags, site);
}

int khugepaged_fork(struct ctx *cx, struct mm_struct *mm, const struct mm_struct *oldmm)
{
	if (!(oldmm->flags & MMF_VM_HUGEPAGE))
		return 0;
	return mm_slot_enter(cx, KHUGEPAGED, mm, SITE_khugepaged_fork_slot);
}

void khugepaged_exit(struct ctx *cx, struct mm_struct *mm)
{
	if (mm->flags & MMF_VM_HUGEPAGE)
		mm_slot_exit(cx, KHUGEPAGED, mm);
}

/* Who has been registered stays so: what the mm maps later may have use for huge pages again. */
void khugepaged_scan(struct ctx *cx)
{
	mm_daemon_scan(cx, KHUGEPAGED, NULL);
}

int hugepage_madvise(struct ctx *cx, const struct vm_area_struct *vma, u32 *vm_flags, u32 advice)
{
	if (*vm_flags & (VM_SPECIAL | VM_SHARED | VM_MAYSHARE) && !differs(cx, DIFF_huge_any))
		return -EINVAL;
	*vm_flags &= ~(VM_HUGEPAGE | VM_NOHUGEPAGE);
	if (advice == MADV_NOHUGEPAGE) {
		*vm_flags |= VM_NOHUGEPAGE;
		return 0;
	}
	*vm_flags |= VM_HUGEPAGE;
	return khugepaged_enter_vma_merge(cx, vma, *vm_flags, SITE_khugepaged_madvise_slot);
}

/*
 * Nobody else may have any of the pages; one must be there, and one writable and in use. What
 * misses for a userfaultfd does not become zeroes.
 */
static bool can_collapse(struct ctx *cx, const struct vm_area_struct *vma, const struct page *pt)
{
	bool writable = false, referenced = false;

	for (unsigned int i = 0; i < hpage_nr(cx->m); i++) {
		pte_t pte = pt_get(pt, i);
		const struct page *page;

		STEP(cx);
		if (pte_none(pte) || (pte & _PAGE_SPECIAL)) {
			if (userfaultfd_missing(vma))
				return false;
			continue;
		}
		if (!(pte & _PAGE_PRESENT))
			return false;
		page = pfn_to_page(cx->m, pte_pfn(pte));
		if (page->type != PAGE_ANON || page->_mapcount != 1 ||
		    atomic_read(&page->_refcount) != 1)
			return false;
		writable |= !!(pte & _PAGE_RW);
		referenced |= !!(pte & _PAGE_ACCESSED);
	}
	return writable && referenced;
}

/* Into a page that nobody maps yet; what was not there is zero, and counted from now on. */
static void collapse_copy(struct ctx *cx, struct mm_struct *mm, struct page *pt, struct page *huge)
{
	for (unsigned int i = 0; i < hpage_nr(cx->m); i++) {
		pte_t pte = pt_get(pt, i);
		struct page *page;

		STEP(cx);
		pt_set(pt, i, 0);
		if (pte_none(pte) || (pte & _PAGE_SPECIAL)) {
			mm->rss_stat[MM_ANONPAGES]++;
			continue;
		}
		page = pfn_to_page(cx->m, pte_pfn(pte));
		page_set_tag(pfn_to_page(cx->m, huge->pfn + i), page_tag(page));
		page_remove_rmap(cx, page);
		put_page(cx, page);
	}
}

static void collapse_huge_page(struct ctx *cx, struct vm_area_struct *vma, u64 haddr,
			       struct page *pmd, unsigned int idx, struct page *huge)
{
	struct page *pt = pt_table(cx->m, pmd, idx);
	struct mm_struct *mm = vma->vm_mm;
	fl_lock_t *pmd_ptl = pmd_lockptr(cx, mm, pmd), *pte_ptl = pte_lockptr(cx, mm, pt);

	/* Who walks the reverse map must find either all of the small pages or the huge one. */
	down_write(cx, &vma->anon_vma->root->rwsem);
	double_pt_lock(cx, pmd_ptl, pte_ptl);
	set_pmd(pmd, idx, 0);
	flush_tlb_range(cx, mm, haddr, haddr + hpage_size(cx->m));
	collapse_copy(cx, mm, pt, huge);
	map_new_huge_page(cx, vma, haddr, pmd, idx, huge);
	pgtable_trans_huge_deposit(cx, mm, pmd, pt);
	double_pt_unlock(cx, pmd_ptl, pte_ptl);
	up_write(cx, &vma->anon_vma->root->rwsem);
}

s64 khugepaged_step(struct ctx *cx, u64 addr)
{
	const struct pt_geometry *geo = &cx->m->geo;
	struct mm_struct *mm = cx->curr->mm;
	u64 haddr = hpage_start(cx->m, addr);
	struct page *pmd, *pt, *huge;
	struct vm_area_struct *vma;
	s64 ret = -EINVAL;
	unsigned int idx;

	if (!mm || addr >= mm->task_size)
		return -EINVAL;
	down_write(cx, &mm->mmap_sem);
	vma = find_vma(cx, mm, haddr);
	if (!vma || !hpage_fits(cx->m, vma, haddr) || !vma->anon_vma)
		goto out;
	if (!transparent_hugepage_enabled(cx->m, vma))
		goto out;
	pmd = pmd_lookup(cx->m, mm, haddr);
	idx = pt_index(geo, pmd_level(geo), haddr);
	pt = pmd ? pt_table(cx->m, pmd, idx) : NULL;
	/* The daemon does not come by, or finds nothing to do. */
	ret = 0;
	if (!(mm->flags & MMF_VM_HUGEPAGE) || !pt || !can_collapse(cx, vma, pt))
		goto out;
	ret = -ENOMEM;
	huge = alloc_huge_page(cx, SITE_collapse_page);
	if (!huge)
		goto out;
	if (mem_cgroup_try_charge(cx, huge, mm, SITE_collapse_charge)) {
		put_page(cx, huge);
		goto out;
	}
	collapse_huge_page(cx, vma, haddr, pmd, idx, huge);
	ret = 0;
out:
	up_write(cx, &mm->mmap_sem);
	return ret;
}
