/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Each task's few last VMAs. A slot is good while the task's sequence number is its mm's; removing
 * a VMA from an mm gives the mm a new number. A VMA whose range changes need not be forgotten: a
 * hit looks at the range.
 */
#include "internal.h"

void vmacache_flush(struct task_struct *tsk)
{
	for (unsigned int i = 0; i < VMACACHE_SIZE; i++)
		tsk->vmacache[i] = NULL;
}

static bool vmacache_valid_mm(const struct ctx *cx, const struct mm_struct *mm)
{
	return cx->curr && cx->curr->mm == mm && !(cx->curr->flags & PF_KTHREAD);
}

static bool vmacache_valid(struct ctx *cx, const struct mm_struct *mm)
{
	struct task_struct *curr = cx->curr;

	if (!vmacache_valid_mm(cx, mm))
		return false;
	if (curr->vmacache_seqnum != mm->vmacache_seqnum) {
		curr->vmacache_seqnum = mm->vmacache_seqnum;
		vmacache_flush(curr);
		return false;
	}
	return true;
}

void vmacache_update(struct ctx *cx, u64 addr, struct vm_area_struct *vma)
{
	if (vmacache_valid_mm(cx, vma->vm_mm))
		cx->curr->vmacache[(addr >> PAGE_SHIFT) % VMACACHE_SIZE] = vma;
}

struct vm_area_struct *vmacache_find(struct ctx *cx, struct mm_struct *mm, u64 addr)
{
	if (!vmacache_valid(cx, mm))
		return NULL;
	for (unsigned int i = 0; i < VMACACHE_SIZE; i++) {
		struct vm_area_struct *vma = cx->curr->vmacache[i];

		if (!vma)
			continue;
		BUG_ON(cx, vma->vm_mm != mm);
		if (vma->vm_start <= addr && addr < vma->vm_end)
			return vma;
	}
	return NULL;
}

/*
 * The number has come round: slots that were stale would count as good again. All users of the mm
 * are flushed, however few they are: one that did not look anything up for a whole round keeps
 * slots of the round before (B-05).
 */
static void vmacache_flush_all(struct ctx *cx, struct mm_struct *mm)
{
	struct task_struct *tsk;

	list_for_each_entry(tsk, &cx->m->tasks, tasks) {
		STEP(cx);
		if (tsk->mm == mm)
			vmacache_flush(tsk);
	}
}

void vmacache_invalidate(struct ctx *cx, struct mm_struct *mm)
{
	u64 mask = ((u64)1 << cx->m->cfg.seqnum_bits) - 1;

	mm->vmacache_seqnum = (u32)((mm->vmacache_seqnum + (u64)1) & mask);
	if (mm->vmacache_seqnum == 0)
		vmacache_flush_all(cx, mm);
}
