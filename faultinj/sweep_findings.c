/* SPDX-License-Identifier: GPL-2.0-only */
/* The findings of the run in progress, and how two states differ. */
#include "sweep_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sweep_grow(void **array, u32 *max, size_t size, u32 need)
{
	u32 want = *max ? *max : 64;
	void *bigger;

	if (need <= *max)
		return 0;
	while (want < need) {
		if (want > UINT32_MAX / 2)
			return -ENOMEM;
		want *= 2;
	}
	bigger = realloc(*array, want * size);
	if (!bigger)
		return -ENOMEM;
	*array = bigger;
	*max = want;
	return 0;
}

/* ---- findings of the run in progress -------------------------------------------------------- */

void sweep_caught_reset(struct sweep *sw)
{
	sw->nr_caught = 0;
	sw->faulted = false;
}

bool sweep_bucket_in(const struct finding *list, u32 nr, const struct finding *f)
{
	char a[13], b[13];

	finding_bucket(f, a);
	for (u32 i = 0; i < nr; i++) {
		finding_bucket(&list[i], b);
		if (!strcmp(a, b))
			return true;
	}
	return false;
}

/* Did the program do the same without any fault? */
static bool in_baseline(const struct sweep *sw, const struct finding *f)
{
	struct finding bare = *f;
	char bucket[13];

	bare.nr_faults = 0;
	finding_bucket(&bare, bucket);
	for (u32 i = 0; i < sw->nr_baseline; i++) {
		if (!strcmp(sw->baseline[i], bucket))
			return true;
	}
	return false;
}

/* The faults of an earlier attempt, which its first point stands for, go before those of the run.
 */
static void put_before(const struct trial *t, const struct fi_point *point, struct finding *own,
		       struct fi_plan *plan)
{
	u32 nr = own->nr_faults < FI_MAX_FAULTS - 1 ? own->nr_faults : FI_MAX_FAULTS - 1;

	memmove(own->faults + 1, own->faults + own->nr_faults - nr, nr * sizeof(own->faults[0]));
	own->faults[0] = *point;
	own->nr_faults = nr + 1;
	if (plan->nr + t->nr > FI_MAX_ITEMS)
		return;
	memmove(plan->items + t->nr, plan->items, plan->nr * sizeof(plan->items[0]));
	memcpy(plan->items, t->items, t->nr * sizeof(t->items[0]));
	plan->nr += t->nr;
}

/*
 * Takes a finding of the run in progress. In place a machine has seen many faults, of which this
 * attempt's is the one to name: all the others left no trace.
 */
void sweep_catch_finding(void *priv, const struct finding *f)
{
	struct sweep *sw = priv;
	const struct fi *fi = sw->s->fi;
	struct finding own = *f;
	struct fi_plan plan = {0};

	if (sw->mute || in_baseline(sw, f))
		return;
	/* a later operation, the retry, the end: a run of the plan does not come there like this */
	own.by_sweep |= sw->faulted && (!fi->op_delivered || f->op == UINT32_MAX);
	own.nr_faults = 0;
	own.plan[0] = '\0';
	if (sw->faulted) {
		own.nr_faults = sw->nr_faults;
		memcpy(own.faults, sw->faults, sizeof(own.faults));
	} else if (fi->armed && fi->op_delivered) {
		/* the attempt is still running */
		own.nr_faults = fi->op_delivered > 1 ? 2 : 1;
		own.faults[0] = fi->first;
		own.faults[1] = fi->last;
	}
	if (own.nr_faults)
		plan = sw->armed;
	if (sw->retried) {
		own.by_sweep = true;
		put_before(sw->retried, &sw->points[sw->retried->point], &own, &plan);
	}
	if (sw->prelude)
		put_before(sw->prelude, &sw->outer->points[sw->prelude->point], &own, &plan);
	if (own.nr_faults)
		fi_plan_print(&plan, own.plan, sizeof(own.plan));
	own.confirmed = false;
	if (sw->nr_caught < MAX_CAUGHT && !sweep_bucket_in(sw->caught, sw->nr_caught, &own))
		sw->caught[sw->nr_caught++] = own;
}

void sweep_own(struct sweep *sw, u32 op, struct finding *f)
{
	f->op = op;
	snprintf(f->name, sizeof(f->name), "%s",
		 op == UINT32_MAX ? "teardown" : ops_of(sw)->op_name(sw->s->priv, op));
	sweep_catch_finding(sw, f);
}

void sweep_own_finding(struct sweep *sw, enum oracle oracle, u32 op, const char *class_key,
		       const char *expected, const char *actual, const char *fmt, ...)
{
	/* what the golden run tells: a single run knows none */
	struct finding f = {.oracle = oracle, .func = "-", .by_sweep = true};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f.what, sizeof(f.what), fmt, ap);
	va_end(ap);
	snprintf(f.class_key, sizeof(f.class_key), "%s", class_key);
	snprintf(f.expected, sizeof(f.expected), "%s", expected);
	snprintf(f.actual, sizeof(f.actual), "%s", actual);
	sweep_own(sw, op, &f);
}

void sweep_suspects_take(struct sweep *sw)
{
	memcpy(sw->suspects, sw->caught, sw->nr_caught * sizeof(sw->caught[0]));
	sw->nr_suspects = sw->nr_caught;
}

int sweep_report(struct sweep *sw, struct finding *f, bool confirmed)
{
	struct known *known = NULL;
	char bucket[13];
	int err;

	f->confirmed = confirmed;
	finding_bucket(f, bucket);
	for (u32 i = 0; i < sw->nr_known; i++) {
		if (!strcmp(sw->known[i].bucket, bucket))
			known = &sw->known[i];
	}
	if (known && (known->confirmed || !confirmed)) {
		sw->stats->repeats++;
		return 0;
	}
	if (!known) {
		err = sweep_grow((void **)&sw->known, &sw->max_known, sizeof(*sw->known),
				 sw->nr_known + 1);
		if (err)
			return err;
		known = &sw->known[sw->nr_known++];
		memcpy(known->bucket, bucket, sizeof(bucket));
	}
	known->confirmed = confirmed;
	if (confirmed && f->oracle == ORACLE_census)
		sw->census_confirmed = true;
	if (confirmed)
		sw->stats->findings++;
	else
		sw->stats->artefacts++;
	sw->fn(sw->priv, f);
	return 0;
}

int sweep_report_suspects(struct sweep *sw)
{
	int err = 0;

	for (u32 i = 0; !err && i < sw->nr_suspects; i++)
		err = sweep_report(sw, &sw->suspects[i], false);
	return err;
}

/* ---- contexts ------------------------------------------------------------------------------- */

u64 sweep_context_key(const struct fi_point *p)
{
	return (u64)p->op_kind << 48 | (u64)p->site << 32 | (u64)p->prev << 16 | p->prev2;
}

static struct context *context_slot(struct context *table, u32 max, u64 key)
{
	u32 i = (u32)((key * 0x9e3779b97f4a7c15u) >> 32) & (max - 1);

	while (table[i].used && table[i].key != key)
		i = (i + 1) & (max - 1);
	return &table[i];
}

struct context *sweep_context_find(struct sweep *sw, const struct fi_point *p)
{
	return sweep_key_find(sw, sweep_context_key(p));
}

struct context *sweep_key_lookup(const struct sweep *sw, u64 key)
{
	struct context *c = NULL;

	if (sw->max_contexts)
		c = context_slot(sw->contexts, sw->max_contexts, key);
	return c && c->used ? c : NULL;
}

struct context *sweep_key_find(struct sweep *sw, u64 key)
{
	struct context *c;

	if (2 * (sw->nr_contexts + 1) > sw->max_contexts) {
		u32 max = sw->max_contexts ? 2 * sw->max_contexts : 128;
		struct context *table = calloc(max, sizeof(*table));

		if (!table)
			return NULL;
		for (u32 i = 0; i < sw->max_contexts; i++) {
			if (sw->contexts[i].used)
				*context_slot(table, max, sw->contexts[i].key) = sw->contexts[i];
		}
		free(sw->contexts);
		sw->contexts = table;
		sw->max_contexts = max;
	}
	c = context_slot(sw->contexts, sw->max_contexts, key);
	if (!c->used) {
		c->used = true;
		c->key = key;
		sw->nr_contexts++;
	}
	return c;
}

/* ---- observations --------------------------------------------------------------------------- */

static void obs_add(void *priv, const struct fl_obs *o)
{
	struct obs_list *list = priv;

	if (sweep_grow((void **)&list->v, &list->max, sizeof(*list->v), list->nr + 1)) {
		list->oom = true;
		return;
	}
	list->v[list->nr++] = *o;
}

int sweep_observe(struct sweep *sw, struct obs_list *list)
{
	list->nr = 0;
	list->oom = false;
	ops_of(sw)->observe(sw->s->priv, obs_add, list);
	return list->oom ? -ENOMEM : 0;
}

void sweep_changed_finding(struct sweep *sw, u32 op)
{
	struct finding f;

	finding_of_change(&f, sw->before.v, sw->before.nr, sw->after.v, sw->after.nr);
	sweep_own(sw, op, &f);
}

/* ---- two runs that should not differ -------------------------------------------------------- */

void sweep_print_digest(u64 digest, char *buf, size_t len)
{
	snprintf(buf, len, "%016" PRIx64, digest);
}

/* Two runs without a fault differ: nothing that is said about faults would mean anything. */
int sweep_not_deterministic(struct sweep *sw, u32 op, const char *class_key, const char *expected,
			    const char *actual)
{
	int err;

	sweep_caught_reset(sw);
	sw->mute = false;
	fi_disarm(sw->s->fi);
	sweep_own_finding(sw, ORACLE_converge, op, class_key, expected, actual,
			  "two runs without a fault differ: %s, then %s", expected, actual);
	sweep_suspects_take(sw);
	err = sweep_report_suspects(sw);
	return err ? err : -EBADMSG;
}
