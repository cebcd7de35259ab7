/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sweep. Passes over one program, each on a fresh machine:
 *
 *   golden, twice   nothing fails; lists each operation's points, outcome and digest
 *   in place        every point that may be retried, failed where it stands; the operation must
 *                   give its declared error and leave the state alone, so that its failed attempt
 *                   is its own undo and no prefix is ever run again
 *   snapshot        what the first could not deliver, the benign points, and trials: each in the
 *                   golden state, which is kept once per operation and put back
 *   cold            without snapshots: what the first pass could not deliver, and the benign
 * points: one point of each operation per pass, so that a pass costs one run of the program and not
 * one per point. Then trials: whole classes, a point with all after it, and what is only asked for
 * after a refusal (sweep_trials.c) end             once per context: all tasks are ended right
 * after the failed attempt, with every request refused fork            instead of these, for
 * subjects that crash: see sweep_fork.c alone           the judge: one fault, one machine. Nothing
 * is a confirmed finding before two such runs agree on it
 *
 * Every point is attempted at most once by each kind of pass, and every damaged machine is thrown
 * away, so the sweep of a broken engine ends as well.
 */
#include "sweep_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const sweep_mode_names[SWEEP_NR_MODES] = {"inplace", "replay", "fork", "snapshot"};

void sweep_progress(const struct sweep *sw, u32 op)
{
	if (sw->opt->progress)
		sw->opt->progress(sw->opt->priv, op, sw->nr_ops);
}

/* The end of a pass with many faults, none of which is to be named if something is left over. */
static void pass_census(struct sweep *sw)
{
	sweep_caught_reset(sw);
	ops_of(sw)->teardown(sw->s->priv);
	if (sw->nr_caught && !sw->census_suspect) {
		sw->census_suspect = true;
		sw->census = sw->caught[0];
		sw->census.by_sweep = true;
	}
}

void sweep_deliver(struct sweep *sw, u32 i)
{
	sw->info[i].state = PT_DELIVERED;
	sw->stats->delivered++;
	sw->stats->benign += sw->info[i].benign;
}

void sweep_verified(struct sweep *sw, u32 i)
{
	struct point_info *info = &sw->info[i];

	if (info->verified || info->state != PT_DELIVERED)
		return;
	info->verified = true;
	sw->stats->verified++;
	if (sw->opt->verified)
		sw->opt->verified(sw->opt->priv, &sw->points[i]);
}

void sweep_mask(struct sweep *sw, u32 i, const char *why)
{
	sw->info[i].state = PT_MASKED;
	sw->info[i].why = why;
}

int sweep_given_up(struct sweep *sw, u32 i)
{
	struct context *c = sweep_context_find(sw, &sw->points[i]);

	if (!c)
		return -ENOMEM;
	if (c->findings < MAX_PER_CONTEXT)
		return 0;
	sweep_mask(sw, i, "its context has findings enough");
	return 1;
}

/* ---- in place ------------------------------------------------------------------------------- */

static void leave_to_cold(struct sweep *sw, u32 op)
{
	const struct golden_op *g = &sw->ops[op];

	for (u32 i = g->first; i < g->first + g->nr; i++) {
		if (sw->info[i].state == PT_TODO)
			sw->info[i].state = PT_COLD;
	}
}

static int deliver_and_follow(struct sweep *sw, const struct trial *t, const struct attempt *a)
{
	sweep_deliver(sw, t->point);
	return sweep_follow(sw, t, a);
}

/* The run to which all attempts of an operation have led. */
static int run_clean(struct sweep *sw, u32 op, u32 before, struct outcome *out)
{
	struct fi *fi = sw->s->fi;
	bool left = before != NO_POINT && residue_of(sw) != residue_before(sw, op);

	if (left)
		fi_record(fi, sw->scratch, sw->max_scratch);
	sweep_run_op(sw, op, out);
	sw->stats->executed_ops++;
	if (!left)
		return 0;
	sw->nr_scratch = fi->nr_points;
	fi_record(fi, NULL, 0);
	return sweep_note_strays(sw, before, NULL);
}

static int inplace_op(struct sweep *sw, u32 op)
{
	const struct golden_op *g = &sw->ops[op];
	struct attempt a = {0};
	u32 from = g->first, till = g->first, before = NO_POINT;
	bool ran = false, bad, left = false;
	struct trial t;
	int err;

	sweep_caught_reset(sw);
	sw->op_cold = residue_of(sw) == residue_before(sw, op);
	err = g->nr ? sweep_before(sw, g->nr >= SEAL_FROM) : 0;
	if (err)
		return err;
	for (u32 i = g->first; i < g->first + g->nr; i++) {
		if (sw->info[i].state != PT_TODO)
			continue;
		err = sweep_given_up(sw, i);
		if (err < 0)
			return err;
		if (err)
			continue;
		t = sweep_single(sw, i);
		left = before != NO_POINT && residue_of(sw) != residue_before(sw, op);
		err = sweep_attempt(sw, &t, &a);
		if (!err && left)
			err = sweep_note_strays(sw, before, NULL);
		if (err)
			return err;
		sw->stats->executed_ops++;
		if (!a.delivered) {
			/* It went through: this was the clean run. */
			ran = true;
			break;
		}
		sw->stats->inplace_delivered++;
		err = 0;
		if (a.exact)
			err = deliver_and_follow(sw, &t, &a);
		else
			sw->info[i].state = PT_COLD;
		if (err)
			return err;
		till = i + 1;
		before = i;
		bad = sw->nr_caught != 0;
		if (bad) {
			err = sweep_escalate(sw, &t);
			if (err)
				return err;
		}
		if (bad || !a.retryable) {
			/* the run to come is a retry of none of them */
			for (; !err && from < till; from++)
				err = sweep_queue_verify(sw, from);
			if (err)
				return err;
			err = sweep_rebuild(sw, op);
			if (err)
				return err;
			before = NO_POINT;
		}
		/* From a partial state that is allowed one can only go on to the end. */
		if (!a.retryable || (a.changed && !bad))
			break;
	}
	leave_to_cold(sw, op);
	if (!ran) {
		err = run_clean(sw, op, before, &a.out);
		if (err)
			return err;
	}
	sw->stats->ops++;
	if (sweep_is_golden(sw, op, &a.out, "the run after the faults") && !sw->nr_caught) {
		/* each attempt was the retry of the one before, and this the last one's */
		for (u32 i = from; i < till; i++)
			sweep_verified(sw, i);
		return 0;
	}
	err = sweep_blame(sw, op);
	if (err)
		return err;
	return sweep_rebuild(sw, op + 1);
}

static int inplace_pass(struct sweep *sw)
{
	int err = sweep_rebuild(sw, sw->base);

	sw->nr_recent = 0;

	for (u32 op = sw->base; !err && op < sw->nr_ops; op++) {
		if (sweep_stopped(sw))
			return -EINTR;
		sweep_progress(sw, op);
		err = inplace_op(sw, op);
	}
	if (!err)
		pass_census(sw);
	return err;
}

/* ---- cold ----------------------------------------------------------------------------------- */

/* The next point of op for this pass, or NO_POINT; what is given up is masked on the way. */
static int next_cold(struct sweep *sw, u32 op, u32 *found)
{
	const struct golden_op *g = &sw->ops[op];
	int ret;

	*found = NO_POINT;
	for (u32 i = g->first; i < g->first + g->nr; i++) {
		if (sw->info[i].state != PT_COLD)
			continue;
		ret = sweep_given_up(sw, i);
		if (ret < 0)
			return ret;
		if (ret)
			continue;
		*found = i;
		return 0;
	}
	return 0;
}

/* Points first, then what has followed from them. False: the operation has nothing to be done. */
static int next_trial(struct sweep *sw, u32 op, struct trial *t, bool *found)
{
	u32 i;
	int err = next_cold(sw, op, &i);

	*found = false;
	if (err)
		return err;
	if (i != NO_POINT) {
		*t = sweep_single(sw, i);
		*found = true;
		return 0;
	}
	while (sweep_next_trial(sw, op, t)) {
		const struct context *c = sweep_context_find(sw, &sw->points[t->point]);

		if (!c)
			return -ENOMEM;
		if (c->findings < MAX_PER_CONTEXT) {
			*found = true;
			return 0;
		}
		sweep_trial_failed(sw, t);
	}
	return 0;
}

/* Books what came of an attempt, and what follows from it. */
static int book(struct sweep *sw, const struct trial *t, const struct attempt *a)
{
	bool met = a->delivered && a->exact;

	if (t->kind == TRIAL_POINT) {
		if (met)
			return deliver_and_follow(sw, t, a);
		sw->info[t->point].state = PT_ALONE;
		return 0;
	}
	if (t->kind == TRIAL_EXPLORE || t->kind == TRIAL_PAIR)
		met = met && a->nr_failed == t->nr;
	/* what the first attempt has left is what this is about */
	if (t->kind == TRIAL_RETRY)
		met = a->again && a->delivered;
	if (met)
		return sweep_follow(sw, t, a);
	sweep_trial_failed(sw, t);
	return 0;
}

/* Also what takes several faults to be reached has been failed and retried then. */
static void trial_verified(struct sweep *sw, const struct trial *t)
{
	if (t->kind <= TRIAL_VERIFY)
		sweep_verified(sw, t->point);
	else if ((t->kind == TRIAL_PAIR || t->kind == TRIAL_RETRY) && sw->opt->verified)
		sw->opt->verified(sw->opt->priv, &sw->faults[sw->nr_faults - 1]);
}

enum trial_end {
	END_GOLDEN,  /* the machine is where the golden run is after the operation */
	END_OPEN,    /* it cannot be brought there, which is as declared */
	END_SUSPECT, /* something was caught, or only the rest of the program can tell */
};

/* Makes the faults of a trial and brings its operation to the golden end. */
static int make_trial(struct sweep *sw, const struct trial *t, enum trial_end *end)
{
	struct attempt a;
	bool ended;
	int err;

	sw->op_cold = false;
	err = sweep_before(sw, false);
	if (err)
		return err;
	err = sweep_attempt(sw, t, &a);
	if (err)
		return err;
	sw->stats->replay_ops++;
	err = book(sw, t, &a);
	if (err)
		return err;
	ended = !a.delivered || a.golden;
	if (!a.delivered && !a.broken)
		sweep_reached(sw, t->op, &a.out, &a, "the run after the faults");
	if (!sw->nr_caught && a.delivered && !ended && a.retryable) {
		sweep_retry(sw, t->op, &a);
		ended = true;
		if (!sw->nr_caught)
			err = sweep_note_strays(sw, NO_POINT, t);
		if (err)
			return err;
	}
	if (!sw->nr_caught && a.delivered && (a.exact || a.again) && ended)
		trial_verified(sw, t);
	*end = ended ? END_GOLDEN : END_OPEN;
	/* another layout cannot go on as the golden run does: its tail is run by itself */
	if (!sw->nr_caught && !a.relaid)
		return 0;
	*end = END_SUSPECT;
	return a.delivered ? sweep_escalate(sw, t) : sweep_blame(sw, t->op);
}

static int cold_trial(struct sweep *sw, const struct trial *t)
{
	enum trial_end end;
	int err = make_trial(sw, t, &end);

	if (err || end == END_GOLDEN)
		return err;
	return sweep_rebuild(sw, t->op + 1);
}

/* An operation without a point for this pass. */
static int cold_clean(struct sweep *sw, u32 op)
{
	struct outcome out;
	int err;

	sweep_caught_reset(sw);
	sweep_run_op(sw, op, &out);
	sw->stats->replay_ops++;
	if (sweep_is_golden(sw, op, &out, "the run after the faults") && !sw->nr_caught)
		return 0;
	err = sweep_blame(sw, op);
	return err ? err : sweep_rebuild(sw, op + 1);
}

static int cold_pass(struct sweep *sw, u32 last)
{
	struct trial t;
	bool found;
	int err = sweep_rebuild(sw, sw->base);

	sw->nr_recent = 0;
	for (u32 op = sw->base; !err && op <= last; op++) {
		if (sweep_stopped(sw))
			return -EINTR;
		sweep_progress(sw, op);
		err = next_trial(sw, op, &t, &found);
		if (err)
			return err;
		err = found ? cold_trial(sw, &t) : cold_clean(sw, op);
	}
	if (!err)
		pass_census(sw);
	return err;
}

/* The operations before the result have something for a cold pass. */
static u32 cold_ops(const struct sweep *sw)
{
	u32 i = sw->nr_points, op = sw->nr_ops;

	while (i > 0 && sw->info[i - 1].state != PT_COLD)
		i--;
	while (op > 0 && !sw->ops[op - 1].trials)
		op--;
	return i && sw->points[i - 1].op + 1 > op ? sw->points[i - 1].op + 1 : op;
}

static int cold_passes(struct sweep *sw)
{
	for (;;) {
		u32 nr = cold_ops(sw);
		int err;

		if (!nr)
			return 0;
		/*
		 * Each point met by the pass leaves PT_COLD, each trial its queue, and it meets at
		 * least one. What trials add is bounded by the contexts that there are.
		 */
		err = cold_pass(sw, nr - 1);
		if (err)
			return err;
	}
}

/* ---- snapshot ------------------------------------------------------------------------------- */

/* All that waits at op, each in the state that the golden run has before it. */
static int snapshot_op(struct sweep *sw, u32 op)
{
	const struct subject_ops *ops = ops_of(sw);
	bool kept = false, dirty = false, found;
	enum trial_end end;
	struct trial t;
	int err;

	sw->nr_recent = 0;
	for (;;) {
		err = next_trial(sw, op, &t, &found);
		if (err || !found)
			break;
		if (!kept)
			err = ops->snapshot(sw->s->priv);
		else if (dirty)
			err = ops->restore(sw->s->priv);
		if (err)
			return err;
		sw->stats->restored += kept && dirty;
		kept = dirty = true;
		err = make_trial(sw, &t, &end);
		if (!err && end == END_SUSPECT) {
			err = sweep_rebuild(sw, op);
			kept = dirty = false;
		}
		if (err)
			return err;
	}
	if (!err && dirty) {
		err = ops->restore(sw->s->priv);
		sw->stats->restored++;
	}
	return err ? err : cold_clean(sw, op);
}

/* -EOPNOTSUPP: the subject cannot be kept. */
static int snapshot_pass(struct sweep *sw)
{
	int err = sweep_rebuild(sw, sw->base);

	if (!err)
		err = ops_of(sw)->snapshot ? ops_of(sw)->snapshot(sw->s->priv) : -EOPNOTSUPP;
	for (u32 op = sw->base, nr = cold_ops(sw); !err && op < nr; op++) {
		if (sweep_stopped(sw))
			return -EINTR;
		sweep_progress(sw, op);
		err = snapshot_op(sw, op);
	}
	if (!err)
		pass_census(sw);
	return err;
}

/* ---- alone ---------------------------------------------------------------------------------- */

static int alone_points(struct sweep *sw)
{
	struct attempt a;
	struct trial t;
	int err;

	for (u32 i = 0; i < sw->nr_points; i++) {
		if (sw->info[i].state != PT_ALONE)
			continue;
		err = sweep_given_up(sw, i);
		if (err < 0)
			return err;
		if (err)
			continue;
		sweep_progress(sw, sw->points[i].op);
		t = sweep_single(sw, i);
		err = sweep_judge_alone(sw, &t, JUDGE_TAIL, &a);
		if (err)
			return err;
		if (!a.delivered)
			sweep_mask(sw, i, "not met again, not even in a fresh machine");
		else
			err = deliver_and_follow(sw, &t, &a);
		if (!sw->nr_caught && a.delivered && (a.golden || a.retryable))
			sweep_verified(sw, i);
		if (!err && sw->nr_caught) {
			err = sweep_confirm(sw, &t, JUDGE_TAIL);
			if (err)
				return err;
		}
	}
	return 0;
}

/* ---- end ------------------------------------------------------------------------------------ */

/* What a failed attempt leaks may be freed by its retry: so each context is also ended at once. */
static int end_contexts(struct sweep *sw)
{
	struct attempt a;
	struct trial t;
	int err;

	for (u32 i = 0; i < sw->nr_points; i++) {
		struct context *c;

		if (sw->info[i].state != PT_DELIVERED || sw->info[i].benign)
			continue;
		c = sweep_context_find(sw, &sw->points[i]);
		if (!c)
			return -ENOMEM;
		if (c->ended)
			continue;
		c->ended = true;
		sweep_progress(sw, sw->points[i].op);
		t = sweep_single(sw, i);
		err = sweep_judge_alone(sw, &t, JUDGE_END, &a);
		if (!err && sw->nr_caught)
			err = sweep_confirm(sw, &t, JUDGE_END);
		if (err)
			return err;
	}
	return 0;
}

/* A pass ended in a census that is not clean, and no context explains it: one by one, then. */
static int settle_census(struct sweep *sw)
{
	struct attempt a;
	u32 tried = 0;
	int err;

	if (!sw->census_suspect || sw->census_confirmed)
		return 0;
	for (u32 i = 0; i < sw->nr_points + sw->nr_trials && tried < MAX_BLAME_CENSUS; i++) {
		struct trial t;

		if (i >= sw->nr_points)
			t = sw->trials[i - sw->nr_points];
		else if (sw->info[i].state == PT_DELIVERED)
			t = sweep_single(sw, i);
		else
			continue;
		tried++;
		err = sweep_judge_alone(sw, &t, JUDGE_END, &a);
		if (err)
			return err;
		if (sw->nr_caught)
			return sweep_confirm(sw, &t, JUDGE_END);
	}
	return sweep_report(sw, &sw->census, false);
}

/* ---- the passes ----------------------------------------------------------------------------- */

static int sweep_passes(struct sweep *sw, u32 modes)
{
	int err;

	if (modes == SWEEP_FORK) {
		sw->stats->ops = sw->nr_ops - sw->base;
		return sweep_fork_pass(sw);
	}
	if (modes & SWEEP_INPLACE) {
		err = inplace_pass(sw);
		if (err)
			return err;
	} else {
		sw->stats->ops = sw->nr_ops - sw->base;
		for (u32 i = 0; i < sw->nr_points; i++) {
			if (sw->info[i].state == PT_TODO || sw->info[i].state == PT_COLD)
				sw->info[i].state = modes & SWEEP_SNAPSHOT ? PT_COLD : PT_ALONE;
		}
	}
	if (modes & SWEEP_SNAPSHOT) {
		err = sweep_queue_whole(sw);
		if (!err)
			err = snapshot_pass(sw);
		if (err && (err != -EOPNOTSUPP || modes == SWEEP_SNAPSHOT))
			return err;
	}
	if (modes & SWEEP_REPLAY) {
		err = cold_passes(sw);
		if (err)
			return err;
		err = alone_points(sw);
		if (err)
			return err;
		err = sweep_queue_whole(sw);
		if (err)
			return err;
		/* also what follows from the points alone */
		err = cold_passes(sw);
		if (err)
			return err;
	}
	err = end_contexts(sw);
	if (err)
		return err;
	return settle_census(sw);
}

static void count_points(struct sweep *sw, const char *why)
{
	for (u32 i = 0; i < sw->nr_points && sw->info; i++) {
		struct point_info *info = &sw->info[i];

		if (info->state == PT_OUT)
			continue;
		if (info->state == PT_DELIVERED)
			continue;
		if (info->state == PT_PRUNED) {
			sw->stats->pruned++;
			sw->stats->masked++;
			continue;
		}
		if (info->state != PT_MASKED)
			sweep_mask(sw, i, why);
		sw->stats->masked++;
		if (sw->opt->masked)
			sw->opt->masked(sw->opt->priv, &sw->points[i], info->why);
	}
}

static void count_sites(struct sweep *sw, const struct fi_stats *start)
{
	const struct fi_stats *now = &sw->s->fi->stats;
	struct fi_stats *sites = &sw->stats->sites;

	sites->met = now->met - start->met;
	sites->delivered = now->delivered - start->delivered;
	for (u32 i = 0; i < FL_NR_SITES; i++) {
		sites->site_met[i] = now->site_met[i] - start->site_met[i];
		sites->site_failed[i] = now->site_failed[i] - start->site_failed[i];
	}
}

static bool adds_up(const struct sweep_stats *n, u32 modes, const struct sweep_options *opt)
{
	if (n->met != n->delivered + n->masked || n->pruned > n->masked)
		return false;
	if (n->children != n->pairs + n->pairs_pruned + n->pairs_masked + n->pairs_left)
		return false;
	if (!opt->classes && !opt->single &&
	    n->delivered != n->persistent + n->persistent_same + n->persistent_pruned)
		return false;
	return !(modes & SWEEP_INPLACE) || n->executed_ops == n->inplace_delivered + n->ops;
}

static void free_lists(struct sweep *sw)
{
	free(sw->ops);
	free(sw->points);
	free(sw->info);
	free(sw->scratch);
	free(sw->trials);
	free(sw->contexts);
	free(sw->before.v);
	free(sw->after.v);
}

/* ---- from other states ---------------------------------------------------------------------- */

static void add_inner(struct sweep_stats *to, const struct sweep_stats *n)
{
	to->cross_states++;
	to->cross_met += n->met;
	to->cross_delivered += n->delivered;
	to->cross_masked += n->masked;
	to->replay_ops += n->executed_ops + n->replay_ops;
	to->exhausted += n->exhausted;
	to->findings += n->findings;
	to->artefacts += n->artefacts;
	to->repeats += n->repeats;
}

/* The rest of the program, in the state that a fault has left: as a program of its own. */
static int sweep_state(struct sweep *sw, const struct trial *prelude, u32 modes)
{
	struct sweep_options opt = *sw->opt;
	struct sweep_stats stats = {0};
	struct sweep *in = calloc(1, sizeof(*in));
	int err;

	if (!in)
		return -ENOMEM;
	opt.single = true;
	opt.pairs = false;
	opt.masked = NULL;
	opt.pruned = NULL;
	in->s = sw->s;
	in->opt = &opt;
	in->fn = sw->fn;
	in->priv = sw->priv;
	in->stats = &stats;
	in->counted_op = UINT32_MAX;
	in->prelude = prelude;
	in->outer = sw;
	in->base = prelude->op + 1;
	/* what was reported is not reported again */
	in->known = sw->known;
	in->nr_known = sw->nr_known;
	in->max_known = sw->max_known;

	sw->s->ops->report_to(sw->s->priv, sweep_catch_finding, in);
	err = sweep_golden(in);
	if (!err)
		err = sweep_passes(in, modes);
	sw->s->ops->report_to(sw->s->priv, sweep_catch_finding, sw);
	sweep_drop_trials(in);
	count_points(in, "the sweep ended early");
	add_inner(sw->stats, &stats);
	if (in->miscounted || stats.met != stats.delivered + stats.masked)
		sw->miscounted = true;
	sw->known = in->known;
	sw->nr_known = in->nr_known;
	sw->max_known = in->max_known;
	free_lists(in);
	free(in);
	return err;
}

static int sweep_states(struct sweep *sw, u32 modes)
{
	int err = 0;

	for (u32 i = 0; !err && i < sw->nr_states; i++) {
		sweep_progress(sw, sw->states[i].op);
		err = sweep_state(sw, &sw->states[i], modes);
	}
	return err;
}

/* ---- the whole ------------------------------------------------------------------------------ */

int sweep_run(struct subject *s, const struct sweep_options *opt, finding_fn fn, void *priv,
	      struct sweep_stats *stats)
{
	u32 modes = opt->modes ? opt->modes : SWEEP_INPLACE | SWEEP_SNAPSHOT | SWEEP_REPLAY;
	struct fi_stats start = s->fi->stats;
	struct sweep *sw;
	char why[128];
	int err;

	memset(stats, 0, sizeof(*stats));
	err = fi_self_test(why, sizeof(why));
	if (err)
		return err;
	sw = calloc(1, sizeof(*sw));
	if (!sw)
		return -ENOMEM;
	sw->s = s;
	sw->counted_op = UINT32_MAX;
	sw->opt = opt;
	sw->fn = fn;
	sw->priv = priv;
	sw->stats = stats;

	s->ops->report_to(s->priv, sweep_catch_finding, sw);
	err = sweep_golden(sw);
	stats->listed = !err;
	if (!err)
		err = sweep_passes(sw, modes);
	if (!err)
		err = sweep_states(sw, modes);
	s->ops->report_to(s->priv, fn, priv);
	fi_disarm(s->fi);
	fi_record(s->fi, NULL, 0);

	sweep_drop_trials(sw);
	count_points(sw, err ? "the sweep ended early" : "needs a replay");
	count_sites(sw, &start);
	if (sw->miscounted || !adds_up(stats, modes, opt))
		err = -EPROTO;

	free_lists(sw);
	free(sw->known);
	free(sw);
	return err;
}
