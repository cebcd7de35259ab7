/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Locked memory (facts §7.14): VMAs that are marked, pages that are kept, and the faults that fetch
 * them. A VMA's mark is what counts for limits; a page is mlocked while a marked VMA is known to
 * map it, which reclaim would ask.
 */
#include "internal.h"

/* ---- pages ---------------------------------------------------------------------------------- */

void mlock_vma_page(struct ctx *cx, struct page *page)
{
	/* A huge page is kept as a whole. */
	if (page->type == PAGE_TAIL)
		page = page->block;
	if (page->mlocked)
		return;
	page->mlocked = true;
	cx->m->nr_mlock += PageTransHuge(page) ? hpage_nr(cx->m) : 1;
}

void clear_page_mlock(struct ctx *cx, struct page *page)
{
	if (!page->mlocked)
		return;
	page->mlocked = false;
	cx->m->nr_mlock -= PageTransHuge(page) ? hpage_nr(cx->m) : 1;
}

/* Is vma locked, and does it map page at the place that index gives it? */
static bool maps_locked(struct ctx *cx, const struct vm_area_struct *vma, const struct page *page)
{
	u64 addr = vma->vm_start + ((page->index - vma->vm_pgoff) << PAGE_SHIFT);
	pte_t pte;

	if (!(vma->vm_flags & VM_LOCKED))
		return false;
	pte = pte_at(cx->m, vma->vm_mm, addr);
	return pte_present(pte) && pte_pfn(pte) == page->pfn;
}

static void try_to_munlock_anon(struct ctx *cx, struct page *page)
{
	struct anon_vma *av = page->anon_vma;
	struct anon_vma_chain *avc;

	down_read(cx, &av->root->rwsem);
	for (avc = anon_vma_interval_tree_first(&av->rb_root, page->index, page->index); avc;
	     avc = anon_vma_interval_tree_next(avc, page->index, page->index)) {
		STEP(cx);
		if (!maps_locked(cx, avc->vma, page))
			continue;
		mlock_vma_page(cx, page);
		break;
	}
	up_read(cx, &av->root->rwsem);
}

static void try_to_munlock_file(struct ctx *cx, struct page *page)
{
	struct address_space *mapping = page->mapping;
	struct vm_area_struct *vma;

	down_read(cx, &mapping->i_mmap_rwsem);
	for (vma = vma_interval_tree_first(&mapping->i_mmap, page->index, page->index); vma;
	     vma = vma_interval_tree_next(vma, page->index, page->index)) {
		STEP(cx);
		if (!maps_locked(cx, vma, page))
			continue;
		mlock_vma_page(cx, page);
		break;
	}
	up_read(cx, &mapping->i_mmap_rwsem);
}

void munlock_vma_page(struct ctx *cx, struct page *page)
{
	if (!page->mlocked)
		return;
	clear_page_mlock(cx, page);
	if (page->type == PAGE_ANON)
		try_to_munlock_anon(cx, page);
	else
		try_to_munlock_file(cx, page);
}

void munlock_vma_pages_range(struct ctx *cx, struct vm_area_struct *vma, u64 start, u64 end)
{
	const struct pt_geometry *geo = &cx->m->geo;
	u64 next;

	vma->vm_flags &= VM_LOCKED_CLEAR_MASK;
	for (; start < end; start = next) {
		struct page *pt, *page;
		pte_t pte;

		STEP(cx);
		pt = pmd_lookup(cx->m, vma->vm_mm, start);
		pte = pt ? pt_get(pt, pt_index(geo, pmd_level(geo), start)) : 0;
		if (pmd_trans_huge(pte)) {
			next = (start & ~(hpage_size(cx->m) - 1)) + hpage_size(cx->m);
			if (!(pte & _PAGE_SPECIAL))
				munlock_vma_page(cx, pfn_to_page(cx->m, pte_pfn(pte)));
			continue;
		}
		next = start + pte_table_span(cx->m, vma->vm_mm, start, &pt);
		if (!pt || !pt->nr_entries)
			continue;
		next = start + PAGE_SIZE;
		pte = pt_get(pt, pt_index(geo, PT_PTE, start));
		if (!pte_present(pte) || (pte & _PAGE_SPECIAL))
			continue;
		page = pfn_to_page(cx->m, pte_pfn(pte));
		munlock_vma_page(cx, page);
	}
}

/* ---- population ----------------------------------------------------------------------------- */

int populate_vma_page_range(struct ctx *cx, struct vm_area_struct *vma, u64 start, u64 end)
{
	struct mm_struct *mm = vma->vm_mm;
	/* A private page is wanted as the copy that a store would make. */
	bool write = (vma->vm_flags & (VM_WRITE | VM_SHARED)) == VM_WRITE;

	if (!(vma->vm_flags & VM_ACCESS_FLAGS))
		return -EFAULT;
	for (; start < end; start += PAGE_SIZE) {
		pte_t pte = pte_at(cx->m, mm, start);

		STEP(cx);
		if (stack_guard_page_start(cx, vma, start))
			continue;
		if (!pte_present(pte) || (write && !(pte & _PAGE_RW))) {
			unsigned int fault;

			if (vma->vm_flags & VM_LOCKONFAULT)
				continue;
			fault = handle_mm_fault(cx, mm, vma, start, write);
			if (fault & VM_FAULT_OOM)
				return -ENOMEM;
			if (fault)
				return -EFAULT;
			pte = pte_at(cx->m, mm, start);
		}
		if ((vma->vm_flags & VM_LOCKED) && !(pte & _PAGE_SPECIAL))
			mlock_vma_page(cx, pfn_to_page(cx->m, pte_pfn(pte)));
	}
	return 0;
}

int __mm_populate(struct ctx *cx, struct mm_struct *mm, u64 start, u64 len, bool ignore_errors)
{
	u64 end = start + len;
	struct vm_area_struct *vma;
	int ret = 0;

	down_read(cx, &mm->mmap_sem);
	for (vma = find_vma(cx, mm, start); vma && vma->vm_start < end; vma = vma->vm_next) {
		STEP(cx);
		if (vma->vm_flags & (VM_IO | VM_PFNMAP))
			continue;
		ret = populate_vma_page_range(cx, vma, max_u64(start, vma->vm_start),
					      min_u64(end, vma->vm_end));
		if (ret && !ignore_errors)
			break;
		ret = 0;
	}
	up_read(cx, &mm->mmap_sem);
	return ret;
}

/* ---- VMAs ----------------------------------------------------------------------------------- */

bool can_do_mlock(struct ctx *cx)
{
	return !over_limit(cx, SITE_can_do_mlock, !cx->m->cfg.limit_memlock);
}

int mlock_future_check(struct ctx *cx, const struct mm_struct *mm, u32 flags, u64 len,
		       enum fl_site site)
{
	u64 locked = (len >> PAGE_SHIFT) + mm->locked_vm;

	if (!(flags & VM_LOCKED))
		return 0;
	return over_limit(cx, site, locked > cx->m->cfg.limit_memlock) ? -EAGAIN : 0;
}

static int mlock_fixup(struct ctx *cx, struct vm_area_struct *vma, struct vm_area_struct **prev,
		       u64 start, u64 end, u32 newflags)
{
	struct mm_struct *mm = vma->vm_mm;
	u32 oldflags = vma->vm_flags;
	u64 nr_pages = (end - start) >> PAGE_SHIFT;
	int ret = 0;

	/* Special mappings are not marked, and not counted. */
	if (newflags == oldflags || (oldflags & VM_SPECIAL))
		goto out;

	*prev = vma_merge(cx, mm, *prev, start, end, newflags, vma->anon_vma, vma->vm_file,
			  linear_page_index(vma, start), vma->vm_policy, vma->vm_userfaultfd_ctx);
	if (*prev) {
		vma = *prev;
		goto success;
	}
	if (start != vma->vm_start) {
		ret = split_vma(cx, mm, vma, start, true);
		if (ret)
			goto out;
	}
	if (end != vma->vm_end) {
		ret = split_vma(cx, mm, vma, end, false);
		if (ret)
			goto out;
	}

success:
	/* Another way of being locked is not being locked twice (B-04). */
	if (!(newflags & VM_LOCKED))
		mm->locked_vm -= nr_pages;
	else if (!(oldflags & VM_LOCKED))
		mm->locked_vm += nr_pages;
	vma->vm_flags = newflags;
	if (!(newflags & VM_LOCKED))
		munlock_vma_pages_range(cx, vma, start, end);
out:
	*prev = vma;
	return ret;
}

/* Gives [start, start + len) the lock bits in flags; VMAs before the one that fails keep them. */
static int apply_vma_lock_flags(struct ctx *cx, struct mm_struct *mm, u64 start, u64 len, u32 flags)
{
	u64 end = start + len, nstart = start;
	struct vm_area_struct *vma, *prev;

	if (end < start)
		return -EINVAL;
	if (end == start)
		return 0;
	vma = find_vma(cx, mm, start);
	if (!vma || vma->vm_start > start)
		return -ENOMEM;
	prev = start > vma->vm_start ? vma : vma->vm_prev;

	for (;;) {
		u32 newflags = (vma->vm_flags & VM_LOCKED_CLEAR_MASK) | flags;
		int err;

		STEP(cx);
		err = mlock_fixup(cx, vma, &prev, nstart, min_u64(vma->vm_end, end), newflags);
		if (err)
			return err;
		nstart = prev->vm_end;
		if (nstart >= end)
			return 0;
		vma = prev->vm_next;
		if (!vma || vma->vm_start != nstart)
			return -ENOMEM;
	}
}

static void apply_mlockall_flags(struct ctx *cx, struct mm_struct *mm, u32 flags)
{
	struct vm_area_struct *vma, *prev = NULL;
	u32 to_add = 0;

	mm->def_flags &= VM_LOCKED_CLEAR_MASK;
	if (flags & MCL_FUTURE) {
		mm->def_flags |= VM_LOCKED;
		if (flags & MCL_ONFAULT)
			mm->def_flags |= VM_LOCKONFAULT;
		if (!(flags & MCL_CURRENT))
			return;
	}
	if (flags & MCL_CURRENT) {
		to_add = VM_LOCKED;
		if (flags & MCL_ONFAULT)
			to_add |= VM_LOCKONFAULT;
	}
	for (vma = mm->mmap; vma; vma = prev->vm_next) {
		u32 newflags = (vma->vm_flags & VM_LOCKED_CLEAR_MASK) | to_add;
		int err;

		STEP(cx);
		err = mlock_fixup(cx, vma, &prev, vma->vm_start, vma->vm_end, newflags);
		BUG_ON(cx, err); /* whole VMAs need no split */
	}
}

/* ---- the calls ------------------------------------------------------------------------------ */

/* Pages of [start, end) that are locked already, if this kernel takes them off what is asked for.
 */
static u64 locked_twice(struct ctx *cx, struct mm_struct *mm, u64 start, u64 end)
{
	const struct vm_area_struct *vma;
	u64 pages = 0;

	if (!differs(cx, DIFF_mlock_discounts))
		return 0;
	for (vma = find_vma(cx, mm, start); vma && vma->vm_start < end; vma = vma->vm_next) {
		STEP(cx);
		if (vma->vm_flags & VM_LOCKED)
			pages += (min_u64(vma->vm_end, end) - max_u64(vma->vm_start, start)) >>
				 PAGE_SHIFT;
	}
	return pages;
}

static s64 do_mlock(struct ctx *cx, u64 start, u64 len, u32 flags)
{
	struct mm_struct *mm = cx->curr->mm;
	int err = -ENOMEM;
	u64 locked;

	if (!mm)
		return -EINVAL;
	if (!can_do_mlock(cx))
		return -EPERM;
	len = PAGE_ALIGN(len + offset_in_page(start));
	start &= PAGE_MASK;

	if (mmap_lock_killable(cx, mm, SITE_mmap_lock))
		return -EINTR;
	/* In 4.4, what is locked already counts once more. */
	locked = (len >> PAGE_SHIFT) + mm->locked_vm - locked_twice(cx, mm, start, start + len);
	if (!over_limit(cx, SITE_mlock_memlock, locked > cx->m->cfg.limit_memlock))
		err = apply_vma_lock_flags(cx, mm, start, len, flags);
	up_write(cx, &mm->mmap_sem);
	if (err)
		return err;

	err = __mm_populate(cx, mm, start, len, false);
	if (err == -EFAULT)
		return -ENOMEM;
	return err ? -EAGAIN : 0;
}

s64 sys_mlock(struct ctx *cx, u64 start, u64 len)
{
	return do_mlock(cx, start, len, VM_LOCKED);
}

s64 sys_mlock2(struct ctx *cx, u64 start, u64 len, u32 flags)
{
	if (flags & ~MLOCK_ONFAULT)
		return -EINVAL;
	return do_mlock(cx, start, len, VM_LOCKED | (flags & MLOCK_ONFAULT ? VM_LOCKONFAULT : 0));
}

s64 sys_munlock(struct ctx *cx, u64 start, u64 len)
{
	struct mm_struct *mm = cx->curr->mm;
	int err;

	if (!mm)
		return -EINVAL;
	len = PAGE_ALIGN(len + offset_in_page(start));
	start &= PAGE_MASK;
	if (mmap_lock_killable(cx, mm, SITE_mmap_lock))
		return -EINTR;
	err = apply_vma_lock_flags(cx, mm, start, len, 0);
	up_write(cx, &mm->mmap_sem);
	return err;
}

s64 sys_mlockall(struct ctx *cx, u32 flags)
{
	struct mm_struct *mm = cx->curr->mm;
	bool room;

	if (!mm || !flags || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		return -EINVAL;
	if (flags == MCL_ONFAULT && differs(cx, DIFF_mlockall_onfault))
		return -EINVAL;
	if (!can_do_mlock(cx))
		return -EPERM;
	if (mmap_lock_killable(cx, mm, SITE_mmap_lock))
		return -EINTR;
	room = !(flags & MCL_CURRENT) ||
	       !over_limit(cx, SITE_mlockall_memlock, mm->total_vm > cx->m->cfg.limit_memlock);
	if (room)
		apply_mlockall_flags(cx, mm, flags);
	up_write(cx, &mm->mmap_sem);
	if (!room)
		return -ENOMEM;
	if (flags & MCL_CURRENT)
		mm_populate(cx, mm, 0, cx->m->geo.task_size);
	return 0;
}

s64 sys_munlockall(struct ctx *cx)
{
	struct mm_struct *mm = cx->curr->mm;

	if (!mm)
		return -EINVAL;
	if (mmap_lock_killable(cx, mm, SITE_mmap_lock))
		return -EINTR;
	apply_mlockall_flags(cx, mm, 0);
	up_write(cx, &mm->mmap_sem);
	return 0;
}
