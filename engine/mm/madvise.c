/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * madvise (facts §7.18): flags of VMAs, and pages that are given up or wanted soon. A hole in the
 * range is an error at the end, after everything else was done.
 */
#include "internal.h"

static bool madvise_behavior_valid(const struct ctx *cx, u32 behavior)
{
	switch (behavior) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_REMOVE:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
		return true;
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
		return cx->m->cfg.ksm;
	case MADV_FREE:
		return differs(cx, DIFF_madv_free);
	default:
		return false;
	}
}

/* Those that only touch pages let others read the VMAs meanwhile. */
static bool madvise_need_mmap_write(u32 behavior)
{
	return behavior != MADV_WILLNEED && behavior != MADV_DONTNEED && behavior != MADV_REMOVE &&
	       behavior != MADV_FREE;
}

/* The flags that vma is advised to have, or -EINVAL, or -ENOMEM for want of a daemon's slot. */
static int advised_flags(struct ctx *cx, const struct vm_area_struct *vma, u32 behavior,
			 u32 *new_flags)
{
	*new_flags = vma->vm_flags;
	switch (behavior) {
	case MADV_NORMAL:
		*new_flags &= ~(VM_RAND_READ | VM_SEQ_READ);
		break;
	case MADV_SEQUENTIAL:
		*new_flags = (*new_flags & ~VM_RAND_READ) | VM_SEQ_READ;
		break;
	case MADV_RANDOM:
		*new_flags = (*new_flags & ~VM_SEQ_READ) | VM_RAND_READ;
		break;
	case MADV_DONTFORK:
		*new_flags |= VM_DONTCOPY;
		break;
	case MADV_DOFORK:
		if (vma->vm_flags & VM_IO)
			return -EINVAL;
		*new_flags &= ~VM_DONTCOPY;
		break;
	case MADV_DONTDUMP:
		*new_flags |= VM_DONTDUMP;
		break;
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
		return ksm_madvise(cx, vma, new_flags, behavior);
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
		return hugepage_madvise(cx, vma, new_flags, behavior);
	default: /* MADV_DODUMP */
		if (vma->vm_flags & VM_SPECIAL)
			return -EINVAL;
		*new_flags &= ~VM_DONTDUMP;
		break;
	}
	return 0;
}

static int madvise_behavior(struct ctx *cx, struct vm_area_struct *vma,
			    struct vm_area_struct **prev, u64 start, u64 end, u32 behavior)
{
	struct mm_struct *mm = vma->vm_mm;
	u32 new_flags;
	int error;

	/* Want of memory is nothing that advice should fail with: "again", says the interface. */
	error = advised_flags(cx, vma, behavior, &new_flags);
	if (error)
		return error == -ENOMEM ? -EAGAIN : error;
	if (new_flags == vma->vm_flags) {
		*prev = vma;
		return 0;
	}

	*prev = vma_merge(cx, mm, *prev, start, end, new_flags, vma->anon_vma, vma->vm_file,
			  linear_page_index(vma, start), vma->vm_policy, vma->vm_userfaultfd_ctx);
	if (*prev) {
		vma = *prev;
		goto success;
	}
	*prev = vma;
	if (start != vma->vm_start && split_vma(cx, mm, vma, start, true))
		return -EAGAIN;
	if (end != vma->vm_end && split_vma(cx, mm, vma, end, false))
		return -EAGAIN;
success:
	vma->vm_flags = new_flags;
	return 0;
}

/* Reads the pages of the file in. Shared memory and anonymous memory have nowhere to read from. */
static int madvise_willneed(struct ctx *cx, struct vm_area_struct *vma,
			    struct vm_area_struct **prev, u64 start, u64 end)
{
	*prev = vma;
	if (!vma->vm_file)
		return -EBADF;
	if (!vma->vm_file->f_inode->shmem)
		force_page_cache_readahead(cx, vma->vm_file->f_inode, linear_page_index(vma, start),
					   (end - start) >> PAGE_SHIFT);
	return 0;
}

static int madvise_dontneed(struct ctx *cx, struct vm_area_struct *vma,
			    struct vm_area_struct **prev, u64 start, u64 end)
{
	*prev = vma;
	if (vma->vm_flags & (VM_LOCKED | VM_PFNMAP))
		return -EINVAL;
	zap_page_range(cx, vma, start, end);
	return 0;
}

/* Locks: pte_lockptr(). */
static void madvise_free_pte(struct ctx *cx, struct mm_struct *mm, struct page *pt,
			     unsigned int idx)
{
	pte_t pte = pt_get(pt, idx);
	struct page *page;

	STEP(cx);
	if (is_swap_pte(pte)) {
		pt_set(pt, idx, 0);
		mm->rss_stat[MM_SWAPENTS]--;
		free_swap_and_cache(cx, pte_to_swp_entry(pte));
		return;
	}
	if (!pte_present(pte) || pte & _PAGE_SPECIAL)
		return;
	page = pfn_to_page(cx->m, pte_pfn(pte));
	BUG_ON(cx, !page || page->type != PAGE_ANON);
	/* of what others have, too, it is not known what they have written */
	if (page->_mapcount != 1 || (page->swap && !try_to_free_swap(cx, page)))
		return;
	page->lazyfree = true;
	pt_set(pt, idx, pte & ~(_PAGE_DIRTY | _PAGE_ACCESSED));
}

/*
 * Pages that reclaim may drop instead of writing them out, until they are written again; what is in
 * swap goes now. A huge page is split first, which 6.18 does only where a part is meant.
 */
static int madvise_free(struct ctx *cx, struct vm_area_struct *vma, struct vm_area_struct **prev,
			u64 start, u64 end)
{
	struct mm_struct *mm = vma->vm_mm;
	u64 addr, extent;

	*prev = vma;
	if (vma->vm_flags & (VM_LOCKED | VM_PFNMAP) || !vma_is_anonymous(vma))
		return -EINVAL;
	update_hiwater_rss(mm);
	mmu_notifier_invalidate_range_start(cx, mm, start, end);
	for (addr = start; addr < end; addr += extent) {
		struct page *pt;

		STEP(cx);
		if (cx->m->cfg.thp)
			split_huge_page_pmd(cx, mm, addr);
		extent = min_u64(pte_table_span(cx->m, mm, addr, &pt), end - addr);
		if (cx->m->cfg.thp)
			extent = min_u64(extent,
					 hpage_size(cx->m) - (addr & (hpage_size(cx->m) - 1)));
		if (!pt || !pt->nr_entries)
			continue;
		spin_lock(cx, pte_lockptr(cx, mm, pt));
		for (u64 off = 0; off < extent; off += PAGE_SIZE)
			madvise_free_pte(cx, mm, pt, pt_index(&cx->m->geo, PT_PTE, addr + off));
		spin_unlock(cx, pte_lockptr(cx, mm, pt));
	}
	/* The next store has to mark its entry again. */
	flush_tlb_range(cx, mm, start, end);
	mmu_notifier_invalidate_range_end(cx, mm);
	return 0;
}

/* Punches a hole into the object: whoever maps it finds zeroes there. Files here have no holes. */
static int madvise_remove(struct ctx *cx, struct vm_area_struct *vma, struct vm_area_struct **prev,
			  u64 start, u64 end)
{
	struct file_inode *inode;
	pgoff_t first;

	*prev = vma;
	if (vma->vm_flags & VM_LOCKED)
		return -EINVAL;
	if (!vma->vm_file)
		return -EINVAL;
	if ((vma->vm_flags & (VM_SHARED | VM_WRITE)) != (VM_SHARED | VM_WRITE))
		return -EACCES;
	inode = vma->vm_file->f_inode;
	if (!inode->shmem)
		return -EOPNOTSUPP;
	first = linear_page_index(vma, start);
	shmem_truncate_range(cx, inode, first, first + ((end - start) >> PAGE_SHIFT) - 1);
	return 0;
}

static int madvise_vma(struct ctx *cx, struct vm_area_struct *vma, struct vm_area_struct **prev,
		       u64 start, u64 end, u32 behavior)
{
	switch (behavior) {
	case MADV_REMOVE:
		return madvise_remove(cx, vma, prev, start, end);
	case MADV_WILLNEED:
		return madvise_willneed(cx, vma, prev, start, end);
	case MADV_DONTNEED:
		return madvise_dontneed(cx, vma, prev, start, end);
	case MADV_FREE:
		return madvise_free(cx, vma, prev, start, end);
	default:
		return madvise_behavior(cx, vma, prev, start, end, behavior);
	}
}

static int do_madvise(struct ctx *cx, struct mm_struct *mm, u64 start, u64 end, u32 behavior)
{
	struct vm_area_struct *vma, *prev;
	int unmapped_error = 0;

	vma = find_vma_prev(cx, mm, start, &prev);
	if (vma && start > vma->vm_start)
		prev = vma;
	for (;;) {
		int error;

		STEP(cx);
		if (!vma)
			return -ENOMEM;
		if (start < vma->vm_start) {
			unmapped_error = -ENOMEM;
			start = vma->vm_start;
			if (start >= end)
				return -ENOMEM;
		}
		error = madvise_vma(cx, vma, &prev, start, min_u64(vma->vm_end, end), behavior);
		if (error)
			return error;
		start = prev->vm_end;
		if (start >= end)
			return unmapped_error;
		vma = prev->vm_next;
	}
}

s64 sys_madvise(struct ctx *cx, u64 start, u64 len_in, u32 behavior)
{
	struct mm_struct *mm = cx->curr->mm;
	u64 len = PAGE_ALIGN(len_in), end = start + len;
	bool write;
	int error;

	if (!mm || !madvise_behavior_valid(cx, behavior))
		return -EINVAL;
	if (offset_in_page(start))
		return -EINVAL;
	if (len_in && !len)
		return -EINVAL;
	if (end < start)
		return -EINVAL;
	if (end == start)
		return 0;

	write = madvise_need_mmap_write(behavior);
	if (!write)
		down_read(cx, &mm->mmap_sem);
	else if (mmap_lock_killable(cx, mm, SITE_mmap_lock))
		return -EINTR;
	error = do_madvise(cx, mm, start, end, behavior);
	if (write)
		up_write(cx, &mm->mmap_sem);
	else
		up_read(cx, &mm->mmap_sem);
	return error;
}
