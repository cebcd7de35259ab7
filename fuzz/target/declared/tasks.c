/* SPDX-License-Identifier: GPL-2.0-only */
/* Two observations of a machine: its tasks, and what is nobody's. */
#include "declared_priv.h"

/* The number that stands for a task's thread group. */
static u64 group_of(const struct list *l, u64 task)
{
	const struct fl_obs *o;
	u32 i = 0;

	while ((o = obs_next(l, "task", (u32)task, &i)))
		if (o->field == OBS_task_share && fl_obs_names_group(o->key))
			return o->val;
	return 0;
}

bool change_is_gone(const struct change *c, u64 task)
{
	return c->kind == CHANGE_KILLED && task && task <= c->max_task && c->gone[task];
}

static bool shares_mm(const struct change *c, u32 task)
{
	return obs_value(&c->before, OBS_task_mm, task) == c->mm &&
	       !(obs_value(&c->before, OBS_task_flags, task) & PF_KTHREAD);
}

void change_find_gone(struct change *c)
{
	u64 group = group_of(&c->before, c->task);

	for (u64 task = 1; task <= c->max_task; task++)
		c->gone[task] = task == c->task
					? !c->stays
					: (c->alone && group_of(&c->before, task) == group) ||
						  (c->sharers && shares_mm(c, (u32)task));
	for (u32 i = 0; i < c->before.nr; i++) {
		const struct fl_obs *o = &c->before.v[i];

		if (o->field != OBS_task_clear_child_tid || !o->val || c->nr_tids == MAX_TIDS ||
		    (!c->gone[o->obj] && o->obj != c->task))
			continue;
		c->tids[c->nr_tids].mm = obs_value(&c->before, OBS_task_mm, o->obj);
		c->tids[c->nr_tids++].addr = o->val;
	}
}

u64 change_task_after(const struct change *c, u64 task)
{
	u64 now = task;

	if (c->kind != CHANGE_KILLED || !fl_obs_counts_births(task))
		return task;
	if (change_is_gone(c, task))
		return 0;
	for (u64 i = 1; i < task; i++)
		now -= change_is_gone(c, i);
	return now;
}

/* What tasks share is named after the first that has it: who is that once some are gone? */
static u64 surviving_holder(const struct change *c, const struct fl_obs *share)
{
	if (!change_is_gone(c, share->val))
		return share->val;
	for (u32 i = 0; i < c->before.nr; i++) {
		const struct fl_obs *o = &c->before.v[i];

		if (o->field == share->field && o->key == share->key && o->val == share->val &&
		    !change_is_gone(c, o->obj))
			return o->obj;
	}
	return share->val;
}

/*
 * Did the task wait for one that has gone, or has left its mm? Maybe it did: for the one whose exec
 * failed, somewhere.
 */
static bool waited(const struct change *c, u32 task, bool maybe)
{
	if (c->kind != CHANGE_KILLED)
		return false;
	for (u32 i = 0; i < c->before.nr; i++) {
		const struct fl_obs *o = &c->before.v[i];

		if (o->field == OBS_task_vfork_parent && o->val == task &&
		    (change_is_gone(c, o->obj) || (o->obj == c->task && (c->new_mm || maybe))))
			return true;
	}
	return false;
}

/*
 * The task whose exec this is has lost its part of what it shared; others may follow it. Of one
 * that fails after it ended its threads, that is its handlers: all else must be given back.
 */
static bool unshared(const struct change *c, u32 task, const struct fl_obs *share)
{
	return c->kind == CHANGE_KILLED && c->stays &&
	       (c->new_mm || fl_obs_names_handlers(share->key)) &&
	       (task == c->task || share->val == c->task);
}

bool change_is_tid(const struct change *c, u64 mm, u64 addr)
{
	u64 mask = c->hpage ? ~(c->hpage - 1) : PAGE_MASK;

	for (u32 i = 0; i < c->nr_tids; i++)
		if (c->tids[i].mm == mm && (c->tids[i].addr & mask) == (addr & mask))
			return true;
	return false;
}

/*
 * The next record of a task of before that is to be there still: who has left its image for another
 * returns from no call of the old one, even if it has to stay.
 */
static const struct fl_obs *next_task_field(const struct change *c, u32 task, bool left, u32 *i)
{
	const struct fl_obs *b;

	do {
		b = obs_next(&c->before, "task", task, i);
	} while (b && left &&
		 (b->field == OBS_task_return_instance || b->field == OBS_task_return_depth));
	return b;
}

bool change_same_task(const struct change *c, u32 task)
{
	bool acts = c->stays && task == c->task;
	u32 ib = 0, ia = 0, now = (u32)change_task_after(c, task);
	bool left = acts && !obs_value(&c->after, OBS_task_return_depth, now);
	const struct fl_obs *b, *a;

	for (;;) {
		u64 want;

		b = next_task_field(c, task, left, &ib);
		a = obs_next(&c->after, "task", now, &ia);
		if (!b || !a)
			return !b && !a;
		want = b->val;
		switch (b->field) {
		case OBS_task_mm: /* paired by the caller */
			want = a->val;
			break;
		case OBS_task_parent:
		case OBS_task_core_dumper:
			want = change_task_after(c, b->val);
			break;
		case OBS_task_vfork_parent:
			want = acts && !a->val ? 0 : change_task_after(c, b->val);
			break;
		case OBS_task_share:
			want = unshared(c, task, b) ? a->val
						    : change_task_after(c, surviving_holder(c, b));
			break;
		case OBS_task_clear_child_tid:
			if (acts && !a->val)
				want = 0;
			break;
		case OBS_task_state:
			if (waited(c, task, a->val == TASK_RUNNING))
				want = TASK_RUNNING;
			if (task == c->task && c->kind == CHANGE_BORN)
				want = a->val; /* it may wait for its child */
			break;
		default:
			break;
		}
		if (a->field != b->field || a->key != b->key || a->val != want)
			return false;
	}
}

static bool is_rest(const struct change *c, const struct fl_obs *o)
{
	if (obs_is(o, "module"))
		return (c->kind != CHANGE_KILLED && c->kind != CHANGE_BORN) ||
		       o->field != OBS_module_refcnt;
	if (o->field == OBS_machine_aio_nr)
		return !c->destroyed && c->kind != CHANGE_KILLED;
	return (obs_is(o, "machine") && o->field != OBS_machine_committed) || obs_is(o, "slab") ||
	       obs_is(o, "pages");
}

static const struct fl_obs *next_rest(const struct change *c, const struct list *l, u32 *i)
{
	for (; *i < l->nr; ++*i)
		if (is_rest(c, &l->v[*i]))
			return &l->v[(*i)++];
	return NULL;
}

bool change_same_rest(const struct change *c)
{
	u32 ib = 0, ia = 0;
	const struct fl_obs *b, *a;

	for (;;) {
		b = next_rest(c, &c->before, &ib);
		a = next_rest(c, &c->after, &ia);
		if (!b || !a)
			return !b && !a;
		if (a->field != b->field || a->obj != b->obj || a->key != b->key ||
		    a->val != b->val)
			return false;
	}
}
