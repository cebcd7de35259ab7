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
	default:
		return false;
	}
}

/* Those that only touch pages let others read the VMAs meanwhile. */
static bool madvise_need_mmap_write(u32 behavior)
{
	return behavior != MADV_WILLNEED && behavior != MADV_DONTNEED && behavior != MADV_REMOVE;
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
			  linear_page_index(vma, start), vma->vm_policy);
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
