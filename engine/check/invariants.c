/* SPDX-License-Identifier: GPL-2.0-only */
/* The two ways in: a machine, and one mm of it. */
#include "checks.h"

unsigned int fl_check_machine(struct machine *m, fl_violation_fn fn, void *priv, u64 *counts)
{
	struct chk c = {.m = m, .fn = fn, .priv = priv, .counts = counts, .raw = true};

	chk_machine(&c);
	return c.nr;
}

unsigned int fl_check_marked(struct machine *m, fl_violation_fn fn, void *priv, u64 *counts)
{
	struct chk c = {.m = m, .fn = fn, .priv = priv, .counts = counts};

	chk_machine(&c);
	return c.nr;
}

static void check_tasks_of(struct chk *c, const struct mm_struct *mm, bool sound)
{
	const struct task_struct *tsk;
	u64 users = 0, n;

	if (!chk_true(c, CHK_task_list, __func__, chk_obj(OBJ_MACHINE, c->m, 0),
		      chk_ring(&c->m->tasks, chk_bound(c->m, CACHE_task_struct), &n),
		      "a ring of tasks", "links that do not match"))
		return;
	list_for_each_entry(tsk, &c->m->tasks, tasks) {
		if (tsk->mm != mm || tsk->flags & PF_KTHREAD)
			continue;
		users++;
		if (sound)
			chk_vmacache(c, tsk);
	}
	for (unsigned int i = 0; i < NR_MM_PINS; i++)
		users += c->m->pins[i].mm == mm && c->m->pins[i].users;
	chk_eq(c, CHK_mm_users, __func__, chk_obj(OBJ_MM, mm, 0), users,
	       (u64)(s64)atomic_read(&mm->mm_users));
}

/* False: the mm's VMAs or chains are not to be walked. */
static bool check_vmas(struct chk *c, struct mm_struct *mm, struct mm_scan *s)
{
	bool alive = atomic_read(&mm->mm_users) > 0;
	u64 nr_avcs = 0;
	bool sound;

	sound = !alive || (chk_structure(c, mm, s) && chk_chains(c, mm, &nr_avcs));
	check_tasks_of(c, mm, alive && sound);
	chk_mm_rest(c, mm);
	if (sound && alive) {
		chk_anon_vmas(c, mm);
		chk_counters(c, mm, s);
	}
	return sound;
}

static unsigned int check_whole(struct chk *c, struct mm_struct *mm)
{
	struct mm_scan s = {0};

	if (!check_vmas(c, mm, &s))
		return c->nr;
	chk_tables(c, mm, &s, false);
	chk_tlb(c, mm);
	chk_rss(c, mm, &s);
	return c->nr;
}

unsigned int fl_check_mm(struct machine *m, struct mm_struct *mm, fl_violation_fn fn, void *priv,
			 u64 *counts)
{
	struct chk c = {.m = m, .fn = fn, .priv = priv, .counts = counts, .raw = true};

	return check_whole(&c, mm);
}

unsigned int fl_check_ranges(struct machine *m, struct mm_struct *mm, const struct fl_range *ranges,
			     unsigned int nr, fl_violation_fn fn, void *priv, u64 *counts)
{
	struct chk c = {.m = m, .fn = fn, .priv = priv, .counts = counts};
	struct mm_scan s = {0};

	if (!ranges)
		return check_whole(&c, mm);
	if (!check_vmas(&c, mm, &s))
		return c.nr;
	for (unsigned int i = 0; i < nr; i++)
		chk_tables_of(&c, mm, &s, ranges[i]);
	chk_tlb(&c, mm);
	return c.nr;
}
