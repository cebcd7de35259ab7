/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Context switch as far as address spaces see it: which tables a CPU walks, who borrows an mm, and
 * what is dropped only after the switch (facts §4.12).
 */
#include "internal.h"

void switch_mm(struct ctx *cx, struct mm_struct *prev, struct mm_struct *next)
{
	const struct rq *rq = &cx->m->rqs[cx->cpu];
	u32 cpu = 1u << cx->cpu;

	if (prev != next) {
		/* the mask first: a flush from now on has to reach this CPU */
		*mm_cpumask(next) |= cpu;
		load_cr3(cx, cx->cpu, next);
		*mm_cpumask(prev) &= ~cpu;
	} else if (rq->loaded != next || !(*mm_cpumask(next) & cpu)) {
		/* a flush found this CPU lazy and made it leave next */
		*mm_cpumask(next) |= cpu;
		load_cr3(cx, cx->cpu, next);
	}
}

/* The CPU goes on with mm's tables without a task of mm: it may hold nothing else. */
void enter_lazy_tlb(struct ctx *cx, struct mm_struct *mm)
{
	const struct rq *rq = &cx->m->rqs[cx->cpu];

	BUG_ON(cx, rq->loaded != mm && rq->loaded != &cx->m->init_mm);
}

static void finish_task_switch(struct ctx *cx, struct rq *rq, struct task_struct *prev)
{
	struct mm_struct *mm = rq->prev_mm;

	rq->prev_mm = NULL;
	if (mm)
		mmdrop(cx, mm);
	put_task_struct(cx, prev);
}

static void context_switch(struct ctx *cx, struct task_struct *next)
{
	struct rq *rq = &cx->m->rqs[cx->cpu];
	struct task_struct *prev = rq->curr;
	struct mm_struct *mm = next->mm, *oldmm = prev->active_mm;

	fl_might_sleep(cx, __func__);
	if (!mm) {
		next->active_mm = oldmm;
		atomic_inc(cx, &oldmm->mm_count);
		enter_lazy_tlb(cx, oldmm);
	} else {
		switch_mm(cx, oldmm, mm);
	}

	if (!prev->mm) {
		prev->active_mm = NULL;
		rq->prev_mm = oldmm;
	}

	prev->nvcsw++;
	atomic_inc(cx, &next->usage);
	next->cpu = cx->cpu;
	rq->curr = next;
	finish_task_switch(cx, rq, prev);
}

void idle_task_exit(struct ctx *cx, unsigned int cpu)
{
	struct mm_struct *init_mm = &cx->m->init_mm;
	struct task_struct *idle = cx->m->rqs[cpu].idle;
	struct mm_struct *mm = idle->active_mm;
	struct ctx on = *cx;

	if (cx->m->rqs[cpu].curr != idle || mm == init_mm)
		return;
	on.cpu = cpu;
	switch_mm(&on, mm, init_mm);
	atomic_inc(&on, &init_mm->mm_count);
	idle->active_mm = init_mm;
	mmdrop(&on, mm);
	cx->steps = on.steps;
}

void run_on(struct ctx *cx, unsigned int cpu, struct task_struct *tsk)
{
	struct machine *m = cx->m;
	struct rq *rq;

	BUG_ON(cx, cpu >= m->cfg.cpus);
	rq = &m->rqs[cpu];

	if (tsk && m->rqs[tsk->cpu].curr == tsk && tsk->cpu != cpu) {
		cx->cpu = tsk->cpu;
		context_switch(cx, m->rqs[tsk->cpu].idle);
	}

	cx->cpu = cpu;
	if (rq->curr != (tsk ? tsk : rq->idle)) {
		BUG_ON(cx, tsk && tsk->state != TASK_RUNNING);
		context_switch(cx, tsk ? tsk : rq->idle);
	}
	cx->curr = rq->curr;

	if (!tsk && atomic_read(&rq->idle->active_mm->mm_users) == 0)
		idle_task_exit(cx, cpu);
}

s64 khungtaskd_scan(struct ctx *cx)
{
	struct task_struct *tsk;

	if (!cx->m->cfg.hung_task)
		return -ENOSYS;
	list_for_each_entry(tsk, &cx->m->tasks, tasks) {
		STEP(cx);
		tsk->last_switch_count = tsk->nvcsw + tsk->nivcsw;
	}
	return 0;
}
