/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KSM as far as the life of an mm goes (facts §7.18, §10.4): which VMAs are mergeable, and which
 * mms ksmd goes round. It merges nothing here, so there is never a merged page to break up again.
 */
#include "internal.h"

int ksm_madvise(struct ctx *cx, const struct vm_area_struct *vma, u32 *vm_flags, u32 advice)
{
	int err;

	if (advice == MADV_UNMERGEABLE) {
		*vm_flags &= ~VM_MERGEABLE;
		return 0;
	}
	/* advice that does not fit is ignored */
	if (*vm_flags & (VM_MERGEABLE | VM_SHARED | VM_MAYSHARE | VM_SPECIAL))
		return 0;
	if (!(vma->vm_mm->flags & MMF_VM_MERGEABLE)) {
		err = mm_slot_enter(cx, KSMD, vma->vm_mm, SITE_ksm_madvise_slot);
		if (err)
			return err;
	}
	*vm_flags |= VM_MERGEABLE;
	return 0;
}

int ksm_fork(struct ctx *cx, struct mm_struct *mm, const struct mm_struct *oldmm)
{
	if (!(oldmm->flags & MMF_VM_MERGEABLE))
		return 0;
	return mm_slot_enter(cx, KSMD, mm, SITE_ksm_fork_slot);
}

void ksm_exit(struct ctx *cx, struct mm_struct *mm)
{
	if (mm->flags & MMF_VM_MERGEABLE)
		mm_slot_exit(cx, KSMD, mm);
}

static bool has_mergeable(struct ctx *cx, const struct mm_struct *mm)
{
	const struct vm_area_struct *vma;

	for (vma = mm->mmap; vma; vma = vma->vm_next) {
		STEP(cx);
		if (vma->vm_flags & VM_MERGEABLE)
			return true;
	}
	return false;
}

void ksmd_scan(struct ctx *cx)
{
	mm_daemon_scan(cx, KSMD, has_mergeable);
}
