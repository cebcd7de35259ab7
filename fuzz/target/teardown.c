/* SPDX-License-Identifier: GPL-2.0-only */
/* The end of a run: all tasks, all files, and what must be left, which is nothing. */
#include "target_priv.h"

#include <inttypes.h>
#include <stdio.h>

#include "draw.h"

/* The tasks alive, in the order in which they shall end. */
static u32 end_order(struct target *t)
{
	u32 nr = 0, nr_tasks = t->p->nr_defs[DEF_TASK];
	u64 seed = t->p->teardown_seed;

	for (u32 i = 0; i < nr_tasks; i++) {
		u32 task = t->p->teardown == TEARDOWN_NEWEST ? nr_tasks - 1 - i : i;

		if (t->tasks[task].tsk)
			t->order[nr++] = task;
	}
	if (t->p->teardown == TEARDOWN_SHUFFLE) {
		for (u32 i = nr; i > 1; i--) {
			u32 k = (u32)(fi_draw(&seed) % i), tmp = t->order[k];

			t->order[k] = t->order[i - 1];
			t->order[i - 1] = tmp;
		}
	}
	return nr;
}

static void stuck(struct target *t, u32 task)
{
	struct finding f = {.oracle = ORACLE_hang, .func = "mm_release", .class_key = "vfork-wait"};

	snprintf(f.what, sizeof(f.what), "t%" PRIu32 " waits for a child that is not there", task);
	snprintf(f.expected, sizeof(f.expected), "every task can end");
	snprintf(f.actual, sizeof(f.actual), "t%" PRIu32 " waits", task);
	target_report(t, &f);
	t->broken = true;
}

/* A task that waits for its vfork child comes again once that one has gone. */
static void end_tasks(struct target *t)
{
	u32 nr = end_order(t);

	while (nr) {
		u32 left = 0;

		for (u32 i = 0; i < nr; i++) {
			struct target_task *task = &t->tasks[t->order[i]];

			if (!task->tsk)
				continue;
			if (task->tsk->state != TASK_RUNNING) {
				t->order[left++] = t->order[i];
				continue;
			}
			target_switch_to(t, task->cpu, task->tsk);
			t->clears_tid = target_clears_tid(t, task->tsk, false);
			target_leave(t, task);
		}
		if (left == nr) {
			stuck(t, t->order[0]);
			return;
		}
		nr = left;
	}
}

static void end_all(struct target *t, void *arg)
{
	(void)arg;
	end_tasks(t);
	if (t->broken)
		return;
	/* those who hold an mm without being of it let go after its last task */
	for (u64 i = 0; i < NR_NOTIFIERS; i++)
		notifier_unregister(&t->cx, i);
	for (u64 i = 0; i < NR_UFFDS; i++) {
		t->cx.steps = target_step_budget(t->m);
		userfaultfd_close(&t->cx, i);
	}
	for (u64 i = 0; i < NR_MM_PINS; i++) {
		t->cx.steps = target_step_budget(t->m);
		mm_unpin(&t->cx, i);
	}
	/* and daemons with the mm that they are at once they move on */
	for (unsigned int i = 0; i < NR_MM_DAEMONS; i++)
		while (t->m->daemons[i].cursor) {
			t->cx.steps = target_step_budget(t->m);
			if (i == KSMD)
				ksmd_scan(&t->cx);
			else
				khugepaged_scan(&t->cx);
		}
	for (unsigned int cpu = 0; cpu < t->m->cfg.cpus; cpu++)
		target_switch_to(t, cpu, NULL);
	t->cx.steps = target_step_budget(t->m);
	free_swap_count_continuations(&t->cx);
	for (u32 i = 0; i < t->p->nr_defs[DEF_FILE]; i++) {
		t->cx.steps = target_step_budget(t->m);
		if (t->files[i])
			file_close(&t->cx, t->files[i]);
		t->files[i] = NULL;
	}
}

static void end_machine(struct target *t, void *arg)
{
	(void)arg;
	machine_destroy(t->m);
	t->m = NULL;
}

/* Is the backend sound, and no less so when all that it caches goes? */
static u32 backend_check(struct target *t)
{
	struct finding f = {.oracle = ORACLE_census, .func = "-"};
	char why[FL_TEXT];

	t->opt.alloc->drop_caches(t->inst);
	if (!t->opt.alloc->check(t->inst, why, sizeof(why)))
		return 0;
	snprintf(f.what, sizeof(f.what), "the backend is damaged: %s", why);
	snprintf(f.class_key, sizeof(f.class_key), "backend-check");
	snprintf(f.expected, sizeof(f.expected), "a sound backend");
	snprintf(f.actual, sizeof(f.actual), "%s", why);
	target_report(t, &f);
	return 1;
}

/* What only the backend knows: does it have back all that it gave? */
static u32 backend_census(struct target *t)
{
	struct finding f = {.oracle = ORACLE_census, .func = "-"};
	struct fl_allocator_counts n;

	t->opt.alloc->counts(t->inst, &n);
	if (n.pages || n.objects || n.caches) {
		snprintf(f.what, sizeof(f.what),
			 "the backend is short of %" PRIu64 " pages, %" PRIu64 " objects, %" PRIu64
			 " caches",
			 n.pages, n.objects, n.caches);
		snprintf(f.class_key, sizeof(f.class_key), "backend-counts");
		snprintf(f.expected, sizeof(f.expected), "all given back");
		snprintf(f.actual, sizeof(f.actual), "%" PRIu64 " %" PRIu64 " %" PRIu64, n.pages,
			 n.objects, n.caches);
		target_report(t, &f);
		return 1;
	}
	return backend_check(t);
}

bool target_refuse_end(struct target *t, enum fl_site site, gfp_t gfp)
{
	struct finding f = {.oracle = ORACLE_expect, .func = "-"};
	const struct fi_point point = {
		.site = (u16)site,
		.op = UINT32_MAX,
		.nowait = gfp & __GFP_NOWAIT,
	};

	/* how many points a fault has is what operations are asked for: these are not counted */
	if (declared_benign(t, UINT32_MAX, &point) || declared_untold(t, UINT32_MAX, &point) ||
	    t->nr_asked++)
		return true;
	snprintf(f.what, sizeof(f.what), "the end of all tasks asks for %s@%s",
		 fl_class_names[fl_sites[site].class], fl_sites[site].name);
	snprintf(f.class_key, sizeof(f.class_key), "exit-asks %s", fl_sites[site].name);
	snprintf(f.expected, sizeof(f.expected), "an end that needs nothing");
	snprintf(f.actual, sizeof(f.actual), "%s", fl_sites[site].name);
	target_report(t, &f);
	return true;
}

u32 target_teardown_exhausted(void *s)
{
	struct target *t = s;
	u32 nr;

	t->exhausted = true;
	t->nr_asked = 0;
	nr = target_teardown(t);
	t->exhausted = false;
	return nr + t->nr_asked;
}

u32 target_teardown(void *s)
{
	struct target *t = s;
	struct violations vs = {.census = true};

	t->op = UINT32_MAX;
	if (t->opt.position)
		*t->opt.position = UINT32_MAX;
	if (t->broken || !t->m) {
		target_drop_machine(t);
		return 0;
	}
	/* once with everything in it, too */
	vs.nr = t->opt.check == CHECK_OFF ? 0 : backend_check(t);
	if (target_guarded(t, end_all, NULL)) {
		fl_census(t->m, target_on_violation, &vs);
		target_report_violations(t, &vs);
		if (!vs.nr && target_guarded(t, end_machine, NULL))
			vs.nr += backend_census(t);
	} else {
		vs.nr++;
	}
	target_drop_machine(t);
	return vs.nr;
}
