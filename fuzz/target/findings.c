/* SPDX-License-Identifier: GPL-2.0-only */
/* What is reported, and how the bench gets out of an engine that gave up. */
#include "target_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void target_faults(const struct target *t, struct finding *f)
{
	struct fi_plan plan = {0};

	f->nr_faults = t->nr_faults;
	memcpy(f->faults, t->faults, sizeof(f->faults));
	if (t->plan)
		plan = *t->plan;
	for (u32 i = 0; i < t->nr_mark_faults && plan.nr < FI_MAX_ITEMS; i++)
		plan.items[plan.nr++] = t->mark_items[i];
	if (fi_plan_print(&plan, f->plan, sizeof(f->plan)) >= (int)sizeof(f->plan))
		f->plan[0] = '\0';
}

void target_report(struct target *t, struct finding *f)
{
	f->op = t->op;
	snprintf(f->name, sizeof(f->name), "%s",
		 t->op == UINT32_MAX ? "teardown" : op_table[t->p->ops[t->op].code].name);
	target_faults(t, f);
	t->nr_findings++;
	if (t->fn)
		t->fn(t->priv, f);
}

static enum oracle bug_oracle(enum fl_bug kind)
{
	switch (kind) {
	case FL_BUG_REFCOUNT:
		return ORACLE_refcount;
	case FL_BUG_LOCK:
		return ORACLE_lock;
	case FL_BUG_HANG:
		return ORACLE_hang;
	case FL_BUG_TLB:
		return ORACLE_tlb;
	case FL_BUG_INVARIANT:
		break;
	}
	return ORACLE_invariant;
}

__attribute__((noreturn)) void target_bug(void *priv, enum fl_bug kind, const char *func,
					  const char *what)
{
	struct target *t = priv;
	struct finding f = {.oracle = bug_oracle(kind)};

	snprintf(f.what, sizeof(f.what), "%s: %s", func, what);
	snprintf(f.class_key, sizeof(f.class_key), "%s", what);
	snprintf(f.func, sizeof(f.func), "%s", func);
	snprintf(f.expected, sizeof(f.expected), "not: %s", what);
	snprintf(f.actual, sizeof(f.actual), "%s", what);
	t->broken = true;
	target_report(t, &f);
	if (!t->guarded)
		abort();
	longjmp(t->env, 1);
}

bool target_guarded(struct target *t, step_fn fn, void *arg)
{
	bool outer = t->guarded;

	if (t->broken)
		return false;
	t->guarded = true;
	if (!setjmp(t->env))
		fn(t, arg);
	t->guarded = outer;
	return !t->broken;
}

static enum oracle row_oracle(const struct fl_violation *v)
{
	const char *oracle = "invariant";

	for (unsigned int i = 0; i < fl_nr_invariants; i++)
		if (!strcmp(fl_invariants[i].name, v->name))
			oracle = fl_invariants[i].oracle;
	for (unsigned int i = 0; i < NR_ORACLES; i++)
		if (!strcmp(oracle_names[i], oracle))
			return (enum oracle)i;
	return ORACLE_invariant;
}

void target_on_violation(void *priv, const struct fl_violation *v)
{
	struct violations *vs = priv;
	struct finding *f = &vs->first;

	if (vs->nr++)
		return;
	f->oracle = vs->census ? ORACLE_census : row_oracle(v);
	snprintf(f->what, sizeof(f->what), "%s %s: %s", v->id, v->name, v->object);
	snprintf(f->class_key, sizeof(f->class_key), "%s %s", v->id, v->name);
	snprintf(f->func, sizeof(f->func), "%s", v->func);
	snprintf(f->expected, sizeof(f->expected), "%s", v->expected);
	snprintf(f->actual, sizeof(f->actual), "%s", v->actual);
}

void target_report_violations(struct target *t, struct violations *vs)
{
	size_t len = strlen(vs->first.what);

	if (vs->nr > 1)
		snprintf(vs->first.what + len, sizeof(vs->first.what) - len,
			 " (and %" PRIu32 " more)", vs->nr - 1);
	if (vs->nr)
		target_report(t, &vs->first);
}
