/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is tried beyond single points: which trials follow from what an attempt has met, which are
 * like others and are only counted, and which points of an operation with very many are left out.
 *
 * Two trials are alike when the contexts of their faults are, in the same order. Of those like each
 * other the first is made, so that their number depends on how many contexts there are, not on how
 * many points.
 */
#include "sweep_internal.h"

#include <stdlib.h>
#include <string.h>

#define PAIRS_ALIKE 4u /* with sweep_options.pairs */

enum key_kind {
	KEY_EXPLORE = 1,
	KEY_PAIR,
	KEY_PERSISTENT,
	KEY_WHOLE,
	KEY_VERIFY,
	KEY_STATE,
	KEY_STRAY,
};

static u64 mix(u64 a, u64 b)
{
	u64 z = (a ^ (b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2))) * 0xbf58476d1ce4e5b9u;

	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

bool sweep_selected(const struct sweep *sw, const struct fi_point *p)
{
	return !sw->opt->classes || sw->opt->classes >> fl_sites[p->site].class & 1;
}

static struct fi_item item_of(u32 op, const struct fi_point *p)
{
	return (struct fi_item){
		.op = op,
		.class = (u8)fl_sites[p->site].class,
		.which = FI_RANGE,
		.site = p->site,
		.from = p->ordinal,
		.to = p->ordinal,
	};
}

struct trial sweep_single(const struct sweep *sw, u32 i)
{
	const struct fi_point *p = &sw->points[i];

	return (struct trial){
		.op = p->op,
		.point = i,
		.kind = TRIAL_POINT,
		.nr = 1,
		.chain = sweep_context_key(p),
		.items = {item_of(p->op, p)},
	};
}

static u32 golden_met(struct sweep *sw, u32 op, u16 site)
{
	const struct golden_op *g = &sw->ops[op];

	if (sw->counted_op != op) {
		memset(sw->golden_met, 0, sizeof(sw->golden_met));
		for (u32 i = g->first; i < g->first + g->nr; i++)
			sw->golden_met[sw->points[i].site]++;
		sw->counted_op = op;
	}
	return sw->golden_met[site];
}

bool sweep_is_fresh(struct sweep *sw, const struct fi_point *p)
{
	const struct context *c;

	if (p->ordinal > golden_met(sw, p->op, p->site))
		return true;
	c = sweep_key_lookup(sw, sweep_context_key(p));
	return !c || !c->golden;
}

/* ---- the queue ------------------------------------------------------------------------------ */

/*
 * Behind all others; but what names its points goes before what fails all that comes, and fewer of
 * them before more, since the plan of a finding should say as much as it can.
 */
static int queue(struct sweep *sw, const struct trial *t)
{
	struct golden_op *g = &sw->ops[t->op];
	u32 before = 0;
	int err = sweep_grow((void **)&sw->trials, &sw->max_trials, sizeof(*sw->trials),
			     sw->nr_trials + 1);

	if (err)
		return err;
	sw->trials[sw->nr_trials++] = *t;
	if (t->kind != TRIAL_PAIR) {
		before = g->last_trial;
	} else {
		for (u32 nr = g->trials; nr; before = nr, nr = sw->trials[nr - 1].next)
			if (sw->trials[nr - 1].kind != TRIAL_PAIR || sw->trials[nr - 1].nr > t->nr)
				break;
	}
	sw->trials[sw->nr_trials - 1].next = before ? sw->trials[before - 1].next : g->trials;
	if (before)
		sw->trials[before - 1].next = sw->nr_trials;
	else
		g->trials = sw->nr_trials;
	if (before == g->last_trial)
		g->last_trial = sw->nr_trials;
	return 0;
}

bool sweep_next_trial(struct sweep *sw, u32 op, struct trial *t)
{
	struct golden_op *g = &sw->ops[op];
	u32 nr = g->trials;

	if (!nr)
		return false;
	*t = sw->trials[nr - 1];
	g->trials = t->next;
	if (!g->trials)
		g->last_trial = 0;
	sw->recent[sw->nr_recent++ % MAX_RECENT] = nr - 1;
	return true;
}

void sweep_trial_failed(struct sweep *sw, const struct trial *t)
{
	switch ((enum trial_kind)t->kind) {
	case TRIAL_EXPLORE:
		sw->stats->pairs_masked += t->expected;
		break;
	case TRIAL_PAIR:
		sw->stats->pairs_masked++;
		break;
	case TRIAL_PERSISTENT:
		sw->stats->persistent_pruned++;
		break;
	case TRIAL_RETRY:
		sw->stats->retries_masked++;
		break;
	case TRIAL_POINT:
	case TRIAL_VERIFY:
	case TRIAL_WHOLE:
		break;
	}
}

void sweep_drop_trials(struct sweep *sw)
{
	struct trial t;

	for (u32 op = 0; sw->ops && op < sw->nr_ops; op++)
		while (sweep_next_trial(sw, op, &t))
			sweep_trial_failed(sw, &t);
}

/* 1: so many like it are queued; 0: it is counted as one of them now; or -ENOMEM. */
static int alike(struct sweep *sw, u64 key, u32 enough)
{
	struct context *c = sweep_key_find(sw, key);

	if (!c)
		return -ENOMEM;
	if (c->seen >= enough)
		return 1;
	c->seen++;
	return 0;
}

/* ---- pairs ---------------------------------------------------------------------------------- */

static u32 wanted(const struct sweep *sw, const struct attempt *a)
{
	if (sw->opt->single)
		return 0;
	return sw->opt->pairs ? a->after : a->fresh;
}

static u32 pairs_enough(const struct sweep *sw)
{
	return sw->opt->pairs ? PAIRS_ALIKE : 1;
}

/* A point alone: what comes after it is listed by a run in the golden state, if it is new. */
static int follow_point(struct sweep *sw, const struct trial *t, const struct attempt *a)
{
	u32 nr = wanted(sw, a);
	u64 key = mix(mix(KEY_EXPLORE, t->chain), sw->opt->pairs ? a->after_sites : a->fresh_sites);
	struct trial explore = *t;
	int ret;

	sw->stats->children += a->after;
	sw->stats->pairs_left += a->after - nr;
	if (!nr)
		return 0;
	ret = alike(sw, key, pairs_enough(sw));
	if (ret < 0)
		return ret;
	if (ret) {
		sw->stats->pairs_pruned += nr;
		return 0;
	}
	explore.kind = TRIAL_EXPLORE;
	explore.expected = nr;
	ret = queue(sw, &explore);
	if (ret)
		sw->stats->pairs_masked += nr;
	return ret;
}

static int follow_child(struct sweep *sw, const struct trial *t, const struct fi_point *p)
{
	u64 chain = mix(t->chain, sweep_context_key(p));
	struct trial child = *t;
	int ret = 1;

	if (t->nr < FI_MAX_FAULTS)
		ret = alike(sw, mix(KEY_PAIR, chain), pairs_enough(sw));
	if (ret) {
		sw->stats->pairs_pruned++;
		return ret < 0 ? ret : 0;
	}
	child.kind = TRIAL_PAIR;
	child.chain = chain;
	child.expected = 0;
	child.items[child.nr++] = item_of(t->op, p);
	ret = queue(sw, &child);
	if (ret)
		sw->stats->pairs_masked++;
	return ret;
}

static int follow_children(struct sweep *sw, const struct trial *t, const struct attempt *a)
{
	u32 nr = wanted(sw, a);
	int err;

	/* in place there may have been others, by what earlier attempts had left */
	sw->stats->children += nr - (u64)t->expected;
	if (t->kind == TRIAL_PAIR) {
		sw->stats->pairs++;
		sw->stats->children += a->after - nr;
		sw->stats->pairs_left += a->after - nr;
	}
	for (u32 k = sw->after_scratch; nr && k < sw->nr_scratch; k++) {
		const struct fi_point *p = &sw->scratch[k];

		if (!sweep_selected(sw, p))
			continue;
		if (!sw->opt->pairs && !sweep_is_fresh(sw, p))
			continue;
		nr--;
		err = follow_child(sw, t, p);
		if (err) {
			sw->stats->pairs_masked += nr;
			return err;
		}
	}
	return 0;
}

/* ---- persistent ----------------------------------------------------------------------------- */

static int follow_persistent(struct sweep *sw, const struct trial *t, const struct attempt *a)
{
	struct trial all = *t;
	int ret;

	/* all after it: that is no matter of some classes */
	if (sw->opt->classes || sw->opt->single)
		return 0;
	if (!a->after) {
		sw->stats->persistent_same++;
		return 0;
	}
	ret = alike(sw, mix(mix(KEY_PERSISTENT, t->chain), a->after_sites), 1);
	if (ret) {
		sw->stats->persistent_pruned++;
		return ret < 0 ? ret : 0;
	}
	all.kind = TRIAL_PERSISTENT;
	all.items[0] = (struct fi_item){
		.op = t->op,
		.class = FI_CLASS_ANY,
		.which = FI_RANGE,
		.from = sw->points[t->point].index,
		.to = UINT64_MAX,
	};
	ret = queue(sw, &all);
	if (ret)
		sw->stats->persistent_pruned++;
	return ret;
}

/* ---- pairs with later operations ------------------------------------------------------------ */

static int follow_state(struct sweep *sw, const struct trial *t, const struct attempt *a)
{
	const struct golden_op *g = &sw->ops[t->op];
	u64 later = sw->nr_points - (g->first + g->nr);
	int ret;

	for (u32 i = g->first + g->nr; sw->opt->classes && i < sw->nr_points; i++)
		later -= sw->info[i].state == PT_OUT;
	if (!a->changed && !a->relaid) {
		sw->stats->cross_equal += later;
		return 0;
	}
	/* the sweep goes on with findings from a machine that is not to be trusted: no state */
	if (sw->nr_caught || !later)
		return 0;
	ret = alike(sw, mix(mix(KEY_STATE, t->op), digest_of(sw)), 1);
	if (ret < 0)
		return ret;
	if (ret)
		sw->stats->cross_same += later;
	else if (sw->nr_states == MAX_STATES)
		sw->stats->cross_left += later;
	else
		sw->states[sw->nr_states++] = *t;
	return 0;
}

int sweep_follow(struct sweep *sw, const struct trial *t, const struct attempt *a)
{
	int err, ret;

	switch ((enum trial_kind)t->kind) {
	case TRIAL_POINT:
		sw->info[t->point].last = !a->after;
		err = follow_point(sw, t, a);
		ret = follow_persistent(sw, t, a);
		err = err ? err : ret;
		/* the state that a child has left is not here to be looked at */
		return err || !sw->opt->pairs || sw->board ? err : follow_state(sw, t, a);
	case TRIAL_EXPLORE:
	case TRIAL_PAIR:
		return follow_children(sw, t, a);
	case TRIAL_PERSISTENT:
		sw->stats->persistent++;
		break;
	case TRIAL_WHOLE:
		sw->stats->whole++;
		break;
	case TRIAL_RETRY:
		sw->stats->retries++;
		break;
	case TRIAL_VERIFY:
		break;
	}
	return 0;
}

/* ---- retries -------------------------------------------------------------------------------- */

/* In the state that trial t leaves: it once more, and p refused in its retry. */
static int queue_retry(struct sweep *sw, const struct trial *t, const struct fi_point *p)
{
	struct trial retry = *t;
	int err;

	retry.kind = TRIAL_RETRY;
	retry.again = item_of(t->op, p);
	err = queue(sw, &retry);
	if (err)
		sw->stats->retries_masked++;
	return err;
}

static int queue_look(struct sweep *sw, u32 point, const struct fi_point *p)
{
	struct trial look = sweep_single(sw, point);
	int ret = alike(sw, mix(KEY_STRAY, sweep_context_key(p)), 1);

	look.kind = TRIAL_VERIFY;
	return ret ? (ret < 0 ? ret : 0) : queue(sw, &look);
}

/* A context met that no golden run has, in which nothing was failed; taken: somebody is to. */
static int find_stray(struct sweep *sw, const struct fi_point *p, bool take, bool *stray)
{
	struct context *c;

	*stray = false;
	if (!sweep_selected(sw, p))
		return 0;
	c = sweep_context_find(sw, p);
	if (!c)
		return -ENOMEM;
	*stray = !c->golden && !c->failed && !c->stray;
	c->stray |= *stray && take;
	return 0;
}

int sweep_note_state(struct sweep *sw, const struct trial *t)
{
	bool stray, any = false;
	int err = 0;

	if (sw->opt->single || sw->board || sw->nr_states == MAX_STATES)
		return 0;
	for (u32 k = 0; !err && k < sw->nr_scratch; k++) {
		err = find_stray(sw, &sw->scratch[k], true, &stray);
		any |= stray;
	}
	if (!err && any && (!sw->nr_states || sw->states[sw->nr_states - 1].point != t->point))
		sw->states[sw->nr_states++] = *t;
	return err;
}

int sweep_note_strays(struct sweep *sw, u32 before, const struct trial *t)
{
	int err = 0;

	if ((sw->opt->single && !sw->prelude) || sw->board || (t && t->kind == TRIAL_RETRY))
		return 0;
	for (u32 k = 0; !err && k < sw->nr_scratch; k++) {
		const struct fi_point *p = &sw->scratch[k];
		bool stray;

		/* what comes after a refusal is a matter of pairs */
		if (p->failed)
			break;
		err = find_stray(sw, p, t != NULL, &stray);
		if (!err && stray)
			err = t ? queue_retry(sw, t, p) : queue_look(sw, before, p);
	}
	return err;
}

int sweep_queue_verify(struct sweep *sw, u32 i)
{
	struct trial t = sweep_single(sw, i);
	int ret;

	if (sw->info[i].state != PT_DELIVERED || sw->info[i].verified)
		return 0;
	ret = alike(sw, mix(KEY_VERIFY, t.chain), 1);
	if (ret)
		return ret < 0 ? ret : 0;
	t.kind = TRIAL_VERIFY;
	return queue(sw, &t);
}

/* ---- whole classes -------------------------------------------------------------------------- */

/* All requests of a class, or FI_CLASS_ANY, in an operation whose point i is the first of them. */
static int queue_class(struct sweep *sw, u32 i, u8 class, u64 sites)
{
	struct trial t = sweep_single(sw, i);
	int ret;

	/* its first one was all that would have been refused */
	if (sw->info[i].last) {
		sw->stats->whole_same++;
		return 0;
	}
	ret = alike(sw, mix(mix(mix(KEY_WHOLE, class), t.chain), sites), 1);
	if (ret)
		return ret < 0 ? ret : 0;
	t.kind = TRIAL_WHOLE;
	t.items[0] = (struct fi_item){
		.op = t.op,
		.class = class,
		.which = FI_RANGE,
		.from = 1,
		.to = UINT64_MAX,
	};
	return queue(sw, &t);
}

int sweep_queue_whole_op(struct sweep *sw, u32 op)
{
	const struct golden_op *g = &sw->ops[op];
	u32 first[FL_NR_CLASSES], classes = 0;
	u64 sites[FL_NR_CLASSES] = {0}, all = 0;
	bool benign = g->nr != 0;
	int err = 0;

	for (u32 i = g->first; i < g->first + g->nr; i++) {
		const struct fi_point *p = &sw->points[i];
		u32 class = fl_sites[p->site].class;
		u64 bit = (u64)1 << (p->site * 0x9e3779b97f4a7c15u >> 58);

		if (sw->info[i].state == PT_OUT)
			continue;
		if (!(classes >> class & 1))
			first[class] = i;
		classes |= 1u << class;
		sites[class] |= bit;
		all |= bit;
		benign &= sw->info[i].benign;
	}
	for (u32 class = 0; !err && class < FL_NR_CLASSES; class ++)
		if (classes >> class & 1)
			err = queue_class(sw, first[class], (u8) class, sites[class]);
	/* an exit, and whatever else has no way to fail: it must come through with nothing */
	if (!err && benign && classes && !sw->opt->classes)
		err = queue_class(sw, g->first, FI_CLASS_ANY, all);
	return err;
}

int sweep_queue_whole(struct sweep *sw)
{
	int err = 0;

	for (u32 op = 0; !err && !sw->opt->single && op < sw->nr_ops; op++)
		err = sweep_queue_whole_op(sw, op);
	return err;
}

/* ---- very many points of a kind ------------------------------------------------------------- */

struct kind {
	u64 key;
	u32 point;
};

static int by_key(const void *x, const void *y)
{
	const struct kind *a = x, *b = y;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return a->point < b->point ? -1 : a->point > b->point;
}

/* The first quarter of those that stay, the last, and the rest evenly between. */
static bool stays(u32 k, u32 nr, u32 like)
{
	u32 edge = like / 4, inner = nr - 2 * edge, keep = like - 2 * edge;

	if (k < edge || k >= nr - edge)
		return true;
	k -= edge;
	return (u64)k * keep / inner != ((u64)k + 1) * keep / inner;
}

static void prune_kind(struct sweep *sw, const struct kind *kinds, u32 nr, u32 like)
{
	u32 pruned = 0;

	for (u32 k = 0; k < nr; k++) {
		if (stays(k, nr, like))
			continue;
		sw->info[kinds[k].point].state = PT_PRUNED;
		pruned++;
	}
	if (sw->opt->pruned)
		sw->opt->pruned(sw->opt->priv, &sw->points[kinds[0].point], pruned, nr);
}

static int prune_op(struct sweep *sw, const struct golden_op *g, u32 like)
{
	struct kind *kinds = calloc(g->nr, sizeof(*kinds));
	u32 nr = 0, from = 0;

	if (!kinds)
		return -ENOMEM;
	for (u32 i = g->first; i < g->first + g->nr; i++)
		if (sw->info[i].state != PT_OUT)
			kinds[nr++] = (struct kind){sweep_context_key(&sw->points[i]), i};
	qsort(kinds, nr, sizeof(*kinds), by_key);
	for (u32 k = 1; k <= nr; k++) {
		if (k < nr && kinds[k].key == kinds[from].key)
			continue;
		if (k - from > like)
			prune_kind(sw, kinds + from, k - from, like);
		from = k;
	}
	free(kinds);
	return 0;
}

int sweep_prune(struct sweep *sw)
{
	u32 like = sw->opt->like ? sw->opt->like : SWEEP_LIKE;
	int err = 0;

	for (u32 op = 0; !err && op < sw->nr_ops; op++)
		if (sw->ops[op].nr > like)
			err = prune_op(sw, &sw->ops[op], like);
	return err;
}
