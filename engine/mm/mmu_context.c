/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A kernel thread works in the address space of somebody else for a while (facts §4.11). It holds
 * no mm_users of its own: a pin keeps the mappings there until it is done.
 */
#include "internal.h"

/* Somebody holds mm_users until it is over. */
static void use_mm(struct ctx *cx, struct mm_struct *mm)
{
	struct task_struct *tsk = cx->curr;
	struct mm_struct *active_mm = tsk->active_mm;

	BUG_ON(cx, !(tsk->flags & PF_KTHREAD) || tsk->mm);
	BUG_ON(cx, atomic_read(&mm->mm_users) <= 0);
	if (active_mm != mm) {
		atomic_inc(cx, &mm->mm_count);
		tsk->active_mm = mm;
	}
	tsk->mm = mm;
	switch_mm(cx, active_mm, mm);
	if (active_mm != mm)
		mmdrop(cx, active_mm);
}

/* The thread goes on borrowing the mm, like any other. */
static void unuse_mm(struct ctx *cx, struct mm_struct *mm)
{
	struct task_struct *tsk = cx->curr;

	BUG_ON(cx, !(tsk->flags & PF_KTHREAD) || tsk->mm != mm);
	tsk->mm = NULL;
	enter_lazy_tlb(cx, mm);
}

s64 kthread_use_mm(struct ctx *cx, u64 slot)
{
	struct task_struct *tsk = cx->curr;
	struct mm_holder *pin;

	if (!(tsk->flags & PF_KTHREAD) || slot >= NR_MM_PINS)
		return -EINVAL;
	pin = &cx->m->pins[slot];
	if (!pin->mm || !pin->users)
		return -EINVAL;
	if (tsk->mm || pin->user)
		return -EBUSY;
	pin->user = tsk;
	use_mm(cx, pin->mm);
	return 0;
}

s64 kthread_unuse_mm(struct ctx *cx)
{
	struct task_struct *tsk = cx->curr;

	if (!(tsk->flags & PF_KTHREAD) || !tsk->mm)
		return -EINVAL;
	unuse_mm(cx, tsk->mm);
	for (unsigned int i = 0; i < NR_MM_PINS; i++)
		if (cx->m->pins[i].user == tsk)
			cx->m->pins[i].user = NULL;
	return 0;
}
