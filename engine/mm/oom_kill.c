/* SPDX-License-Identifier: GPL-2.0-only */
/* The end of all who share an mm, so that its memory comes free (facts §23). */
#include "internal.h"

static struct task_struct *other_victim(struct ctx *cx, const struct task_struct *tsk)
{
	struct task_struct *p;

	list_for_each_entry(p, &cx->m->tasks, tasks) {
		STEP(cx);
		if (p != tsk && p->fatal_signal && p->state == TASK_RUNNING && !p->in_execve)
			return p;
	}
	return NULL;
}

s64 oom_kill(struct ctx *cx)
{
	struct task_struct *tsk = cx->curr, *p;
	struct mm_struct *mm = tsk->mm;
	unsigned int cpu = cx->cpu;

	if (!mm || (tsk->flags & PF_KTHREAD))
		return -EINVAL;
	/* the mm is compared with long after the victim may have let it go */
	atomic_inc(cx, &mm->mm_count);
	tsk->memdie = true;
	list_for_each_entry(p, &cx->m->tasks, tasks) {
		STEP(cx);
		if (p->flags & PF_KTHREAD || p->state == TASK_DEAD)
			continue;
		if (p->mm == mm || p->signal == tsk->signal)
			send_sigkill(cx, p);
	}
	while ((p = other_victim(cx, tsk))) {
		run_on(cx, p->cpu, p);
		do_exit(cx);
	}
	run_on(cx, cpu, tsk);
	mmdrop(cx, mm);
	do_exit(cx);
	return 0;
}
