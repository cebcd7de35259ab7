/* SPDX-License-Identifier: GPL-2.0-only */
/* mprotect (facts §7.13). */
#include "internal.h"

int mprotect_fixup(struct ctx *cx, struct vm_area_struct *vma, struct vm_area_struct **pprev,
		   u64 start, u64 end, u32 newflags)
{
	struct mm_struct *mm = vma->vm_mm;
	u32 oldflags = vma->vm_flags;
	u64 nrpages = (end - start) >> PAGE_SHIFT;
	u64 charged = 0, uncharge = 0;
	pgoff_t pgoff;
	int err;

	if (newflags == oldflags) {
		*pprev = vma;
		return 0;
	}

	err = data_future_check(cx, mm, oldflags, newflags, nrpages);
	if (err)
		return err;
	/* A private range that was never writable has not been promised memory for its copies yet.
	 */
	if ((newflags & VM_WRITE) &&
	    !(oldflags & (VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_NORESERVE))) {
		if (security_vm_enough_memory_mm(cx, mm, nrpages, SITE_mprotect_acct))
			return -ENOMEM;
		charged = nrpages;
		newflags |= VM_ACCOUNT;
	}
	if (!(newflags & VM_WRITE) && (oldflags & VM_ACCOUNT) && vma_is_anonymous(vma) &&
	    !vma->anon_vma && differs(cx, DIFF_uncharge_read_only)) {
		uncharge = nrpages;
		newflags &= ~VM_ACCOUNT;
	}

	pgoff = linear_page_index(vma, start);
	*pprev = vma_merge(cx, mm, *pprev, start, end, newflags, vma->anon_vma, vma->vm_file, pgoff,
			   vma->vm_policy, vma->vm_userfaultfd_ctx);
	if (*pprev) {
		vma = *pprev;
		goto success;
	}

	*pprev = vma;
	if (start != vma->vm_start) {
		err = split_vma(cx, mm, vma, start, true);
		if (err)
			goto fail;
	}
	if (end != vma->vm_end) {
		err = split_vma(cx, mm, vma, end, false);
		if (err)
			goto fail;
	}

success:
	vma->vm_flags = newflags;
	vma_set_page_prot(vma);
	change_protection(cx, vma, start, end, vma->vm_page_prot);
	/* Locked pages that are writable now are wanted as copies of their own. */
	if ((oldflags & (VM_WRITE | VM_SHARED | VM_LOCKED)) == VM_LOCKED && (newflags & VM_WRITE))
		(void)populate_vma_page_range(cx, vma, start, end);
	vm_stat_account(mm, oldflags, vma->vm_file, -(s64)nrpages);
	vm_stat_account(mm, newflags, vma->vm_file, (s64)nrpages);
	vm_unacct_memory(cx, uncharge);
	return 0;

fail:
	vm_unacct_memory(cx, charged);
	return err;
}

/* Gives [start, end) of mm the permissions in prot; VMAs before the one that fails keep them. */
static int do_mprotect(struct ctx *cx, struct mm_struct *mm, u64 start, u64 end, u32 prot,
		       u32 grows)
{
	struct vm_area_struct *vma = find_vma(cx, mm, start), *prev;

	if (!vma)
		return -ENOMEM;
	prev = vma->vm_prev;
	if (grows & PROT_GROWSDOWN) {
		if (vma->vm_start >= end)
			return -ENOMEM;
		start = vma->vm_start;
		if (!(vma->vm_flags & VM_GROWSDOWN))
			return -EINVAL;
	} else {
		if (vma->vm_start > start)
			return -ENOMEM;
		if (grows & PROT_GROWSUP)
			return -EINVAL; /* nothing grows up on x86 */
	}
	if (start > vma->vm_start)
		prev = vma;

	for (;;) {
		u32 newflags = prot | (vma->vm_flags & ~VM_ACCESS_FLAGS);
		int err;

		STEP(cx);
		/* The MAY bits are the permissions shifted by four. */
		if ((newflags & ~(newflags >> 4)) & VM_ACCESS_FLAGS)
			return -EACCES;

		err = mprotect_fixup(cx, vma, &prev, start, min_u64(vma->vm_end, end), newflags);
		if (err)
			return err;
		/* prev covers what was done, and after a merge perhaps more. */
		start = prev->vm_end;
		if (start >= end)
			return 0;
		vma = prev->vm_next;
		if (!vma || vma->vm_start != start)
			return -ENOMEM;
	}
}

s64 sys_mprotect(struct ctx *cx, u64 start, u64 len, u32 prot)
{
	struct mm_struct *mm = cx->curr->mm;
	u32 grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	u64 end;
	int err;

	prot &= ~(PROT_GROWSDOWN | PROT_GROWSUP);
	if (!mm || grows == (PROT_GROWSDOWN | PROT_GROWSUP))
		return -EINVAL;
	if (offset_in_page(start))
		return -EINVAL;
	if (!len)
		return 0;
	end = start + PAGE_ALIGN(len);
	if (end <= start)
		return -ENOMEM;
	if (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM))
		return -EINVAL;

	if (mmap_lock_killable(cx, mm, SITE_mmap_lock))
		return -EINTR;
	err = do_mprotect(cx, mm, start, end, prot & VM_ACCESS_FLAGS, grows);
	up_write(cx, &mm->mmap_sem);
	return err;
}
