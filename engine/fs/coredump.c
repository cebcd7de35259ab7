/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * While a core is dumped nobody else uses the mm: the others are killed and wait on their way out
 * until it is done (facts §23).
 */
#include "internal.h"

/* Kills the other threads of tsk's group that have the mm; their number. */
static u32 zap_process(struct ctx *cx, struct task_struct *start, const struct task_struct *dumper)
{
	struct task_struct *p;
	u32 nr = 0;

	start->signal->group_dump = true;
	list_for_each_entry(p, &cx->m->tasks, tasks) {
		STEP(cx);
		if (p == dumper || p->signal != start->signal || !p->mm)
			continue;
		send_sigkill(cx, p);
		nr++;
	}
	return nr;
}

/* All processes with the mm, once it is known that there are any beside the dumper's own. */
static u32 zap_threads(struct ctx *cx, struct task_struct *tsk, struct mm_struct *mm)
{
	u32 nr = zap_process(cx, tsk, tsk);
	struct task_struct *p;

	if ((u32)atomic_read(&mm->mm_users) == nr + 1)
		return nr;
	list_for_each_entry(p, &cx->m->tasks, tasks) {
		STEP(cx);
		if (p->mm == mm && !(p->flags & PF_KTHREAD) && !p->signal->group_dump)
			nr += zap_process(cx, p, tsk);
	}
	return nr;
}

/* Who has been killed and not yet come to where it waits. One in an exec comes by itself. */
static struct task_struct *on_its_way(struct ctx *cx, const struct mm_struct *mm)
{
	struct task_struct *p;

	list_for_each_entry(p, &cx->m->tasks, tasks) {
		STEP(cx);
		if (p->mm == mm && p->fatal_signal && p->state == TASK_RUNNING && !p->in_execve)
			return p;
	}
	return NULL;
}

s64 coredump_begin(struct ctx *cx)
{
	struct task_struct *tsk = cx->curr, *p;
	struct mm_struct *mm = tsk->mm;
	struct core_state *core = &tsk->core;
	unsigned int cpu = cx->cpu;

	if (!mm || (tsk->flags & PF_KTHREAD))
		return -EINVAL;
	down_write(cx, &mm->mmap_sem);
	if (mm->core_state || tsk->fatal_signal) {
		up_write(cx, &mm->mmap_sem);
		return -EBUSY;
	}
	core->dumper = tsk;
	mm->core_state = core;
	tsk->flags |= PF_DUMPCORE;
	core->nr_threads = zap_threads(cx, tsk, mm);
	up_write(cx, &mm->mmap_sem);

	/* tsk sleeps until the last of them has told it */
	while ((p = on_its_way(cx, mm))) {
		run_on(cx, p->cpu, p);
		do_exit(cx);
	}
	run_on(cx, cpu, tsk);
	if (core->nr_threads)
		tsk->state = TASK_DUMP_WAIT;
	return 0;
}

s64 coredump_end(struct ctx *cx)
{
	struct task_struct *tsk = cx->curr, *p;
	struct mm_struct *mm = tsk->mm;
	unsigned int cpu = cx->cpu;

	if (!(tsk->flags & PF_DUMPCORE))
		return -EINVAL;
	BUG_ON(cx, mm->core_state != &tsk->core || tsk->core.nr_threads);
	mm->core_state = NULL;
	tsk->core.dumper = NULL;
	list_for_each_entry(p, &cx->m->tasks, tasks) {
		STEP(cx);
		if (p->mm == mm && p->state == TASK_PARKED)
			p->state = TASK_RUNNING;
	}
	while ((p = on_its_way(cx, mm))) {
		run_on(cx, p->cpu, p);
		do_exit(cx);
	}
	run_on(cx, cpu, tsk);
	do_exit(cx);
	return 0;
}
