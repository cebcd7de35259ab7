/* SPDX-License-Identifier: GPL-2.0-only */
/* How a task leaves its address space and the machine (facts §4.8, §4.10, §24). */
#include "internal.h"

static struct task_struct *next_owner(struct ctx *cx, const struct mm_struct *mm,
				      const struct task_struct *p)
{
	struct task_struct *c;

	list_for_each_entry(c, &cx->m->tasks, tasks) {
		STEP(cx);
		if (c->real_parent == p && c->mm == mm)
			return c;
	}
	list_for_each_entry(c, &cx->m->tasks, tasks) {
		STEP(cx);
		if (p->real_parent && c->real_parent == p->real_parent && c->mm == mm)
			return c;
	}
	list_for_each_entry(c, &cx->m->tasks, tasks) {
		STEP(cx);
		if (!(c->flags & PF_KTHREAD) && c->mm == mm)
			return c;
	}
	return NULL;
}

/* cx->curr no longer uses mm but its reference is still counted: who is the owner now? */
void mm_update_next_owner(struct ctx *cx, struct mm_struct *mm)
{
	struct task_struct *p = cx->curr;

	if (mm->owner != p)
		return;
	/* only the reference about to be dropped: none is left to look for */
	if (atomic_read(&mm->mm_users) <= 1) {
		mm->owner = NULL;
		return;
	}
	mm->owner = next_owner(cx, mm, p);
}

void set_signal_pending(struct ctx *cx, bool pending)
{
	cx->curr->signal_pending = pending;
}

void send_sigkill(struct ctx *cx, struct task_struct *tsk)
{
	struct task_struct *p;

	tsk->fatal_signal = true;
	tsk->signal_pending = true;
	if (tsk->state != TASK_VFORK_WAIT)
		return;
	list_for_each_entry(p, &cx->m->tasks, tasks) {
		STEP(cx);
		if (p->vfork_parent == tsk)
			p->vfork_parent = NULL;
	}
	tsk->state = TASK_RUNNING;
}

static struct task_struct *other_thread(struct ctx *cx, const struct task_struct *tsk)
{
	struct task_struct *p;

	list_for_each_entry(p, &cx->m->tasks, tasks) {
		STEP(cx);
		if (p != tsk && p->signal == tsk->signal && p->state != TASK_DEAD)
			return p;
	}
	return NULL;
}

void zap_other_threads(struct ctx *cx, struct task_struct *tsk)
{
	unsigned int cpu = cx->cpu;
	struct task_struct *p;

	BUG_ON(cx, tsk != cx->curr);
	list_for_each_entry(p, &cx->m->tasks, tasks) {
		STEP(cx);
		if (p != tsk && p->signal == tsk->signal && p->state != TASK_DEAD)
			send_sigkill(cx, p);
	}
	/* tsk sleeps until the last of them has exited, each where it was last */
	while ((p = other_thread(cx, tsk))) {
		run_on(cx, p->cpu, p);
		do_exit(cx);
	}
	run_on(cx, cpu, tsk);
}

/* False: the task waits until the mm has been dumped, and comes again. */
static bool exit_mm(struct ctx *cx, struct task_struct *tsk)
{
	struct mm_struct *mm = tsk->mm;

	if (!mm)
		return true;

	down_read(cx, &mm->mmap_sem);
	if (mm->core_state) {
		struct core_state *core = mm->core_state;

		up_read(cx, &mm->mmap_sem);
		BUG_ON(cx, !core->nr_threads);
		if (--core->nr_threads == 0 && core->dumper->state == TASK_DUMP_WAIT)
			core->dumper->state = TASK_RUNNING;
		tsk->state = TASK_PARKED;
		return false;
	}
	/* becomes the reference of the lazy active_mm, dropped after the last switch */
	atomic_inc(cx, &mm->mm_count);
	BUG_ON(cx, mm != tsk->active_mm);
	tsk->mm = NULL;
	up_read(cx, &mm->mmap_sem);
	enter_lazy_tlb(cx, mm);
	sync_point(cx, exit_mm_lazy);
	mm_update_next_owner(cx, mm);
	mmput(cx, mm);
	tsk->memdie = false;
	return true;
}

/* Nobody may find the task through its children any more. */
static void forget_original_parent(struct ctx *cx, const struct task_struct *father)
{
	struct task_struct *p;

	list_for_each_entry(p, &cx->m->tasks, tasks) {
		STEP(cx);
		if (p->real_parent == father)
			p->real_parent = NULL;
		if (p->vfork_parent == father)
			p->vfork_parent = NULL;
	}
}

void do_exit(struct ctx *cx)
{
	struct task_struct *tsk = cx->curr;

	BUG_ON(cx, tsk->flags & PF_IDLE);
	BUG_ON(cx, tsk->state == TASK_DEAD);
	BUG_ON(cx, cx->m->rqs[cx->cpu].curr != tsk);

	BUG_ON(cx, (tsk->flags & PF_KTHREAD) && tsk->mm);
	/* one that was parked has done the first part */
	if (!(tsk->flags & PF_EXITING)) {
		tsk->flags |= PF_EXITING;
		mm_release(cx, tsk, tsk->mm);
	}
	if (!exit_mm(cx, tsk))
		return;
	exit_files(cx, tsk);
	exit_fs(cx, tsk);
	exit_task_namespaces(cx, tsk);
	forget_original_parent(cx, tsk);
	cleanup_sighand(cx, tsk);
	mpol_put(cx, tsk->mempolicy);
	tsk->mempolicy = NULL;
	exit_io_context(cx, tsk);
	tsk->state = TASK_DEAD;
	put_task_struct(cx, tsk); /* for being alive; the CPU's reference goes with the switch */
}
