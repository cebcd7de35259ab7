/* SPDX-License-Identifier: GPL-2.0-only */
/* One armed attempt, and the judge who has one fault and one machine. */
#include "sweep_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Does it refuse as many requests as it has items? */
static bool names_points(const struct trial *t)
{
	return t->kind != TRIAL_PERSISTENT && t->kind != TRIAL_WHOLE;
}

/* ---- running -------------------------------------------------------------------------------- */

void sweep_run_op(struct sweep *sw, u32 op, struct outcome *out)
{
	/* Also here, so that an operation that is skipped leaves nothing of its forerunner. */
	fi_op_begin(sw->s->fi, op, ops_of(sw)->op_kind(sw->s->priv, op));
	ops_of(sw)->apply(sw->s->priv, op, out);
}

static bool met_prelude(const struct sweep *sw)
{
	u32 nr = sw->s->fi->op_delivered;

	return names_points(sw->prelude) ? nr == sw->prelude->nr : nr != 0;
}

/* What the outer sweep has found in order up to its fault; of that it has said what it is. */
static int run_prelude(struct sweep *sw)
{
	struct fi *fi = sw->s->fi;
	struct fi_plan plan = {.nr = sw->prelude->nr};
	bool mute = sw->mute, same = true;
	struct outcome out;

	memcpy(plan.items, sw->prelude->items, plan.nr * sizeof(plan.items[0]));
	sw->mute = true;
	for (u32 op = 0; op < sw->base && same; op++) {
		if (op + 1 == sw->base)
			fi_arm(fi, &plan);
		sweep_run_op(sw, op, &out);
		sw->stats->replay_ops++;
		same = op + 1 == sw->base ? met_prelude(sw) && out.kind != OUT_BROKEN
					  : outcome_equal(&out, &sw->outer->ops[op].out);
	}
	fi_disarm(fi);
	sw->mute = mute;
	return same ? 0
		    : sweep_not_deterministic(sw, sw->base - 1, "prelude", "the same failure",
					      "another");
}

int sweep_fresh(struct sweep *sw)
{
	int err;

	fi_disarm(sw->s->fi);
	fi_record(sw->s->fi, NULL, 0);
	sweep_caught_reset(sw);
	sw->retried = NULL;
	err = ops_of(sw)->reset(sw->s->priv);
	return err || !sw->prelude ? err : run_prelude(sw);
}

/* Runs operations [from, to) of the golden run again, where nothing can be new. */
static int replay_range(struct sweep *sw, u32 from, u32 to)
{
	char expected[64], actual[64];
	struct outcome out;
	bool mute = sw->mute;
	int err = 0;

	sw->mute = true;
	for (u32 op = from; op < to; op++) {
		if (sweep_stopped(sw)) {
			err = -EINTR;
			break;
		}
		sweep_run_op(sw, op, &out);
		sw->stats->replay_ops++;
		if (outcome_equal(&out, &sw->ops[op].out))
			continue;
		outcome_print(&sw->ops[op].out, expected, sizeof(expected));
		outcome_print(&out, actual, sizeof(actual));
		return sweep_not_deterministic(sw, op, "replay-outcome", expected, actual);
	}
	sw->mute = mute;
	return err;
}

int sweep_rebuild(struct sweep *sw, u32 op)
{
	char expected[24], actual[24];
	u64 digest;
	int err;

	err = sweep_fresh(sw);
	if (err)
		return err;
	err = replay_range(sw, sw->base, op);
	if (err)
		return err;
	digest = digest_of(sw);
	if (digest == digest_before(sw, op))
		return 0;
	sweep_print_digest(digest_before(sw, op), expected, sizeof(expected));
	sweep_print_digest(digest, actual, sizeof(actual));
	return sweep_not_deterministic(sw, op > sw->base ? op - 1 : sw->base, "replay-digest",
				       expected, actual);
}

/* ---- one attempt ---------------------------------------------------------------------------- */

/*
 * Will the armed request be the one that the golden run met there? A failed attempt may leave empty
 * tables behind; the next one then asks for less, and ordinals shift. With nothing left behind they
 * do not. And the first request of a site cannot shift as long as what is left behind comes from
 * this operation: no attempt before this one has got past it.
 */
static bool exact_here(struct sweep *sw, const struct fi_point *point)
{
	if (residue_of(sw) == residue_before(sw, point->op))
		return true;
	return sw->op_cold && point->ordinal == 1;
}

static bool is_benign(struct sweep *sw, const struct fi_point *p)
{
	return ops_of(sw)->benign(sw->s->priv, p->op, p);
}

static bool is_optional(struct sweep *sw, const struct fi_point *p)
{
	return ops_of(sw)->optional && ops_of(sw)->optional(sw->s->priv, p);
}

static bool is_untold(struct sweep *sw, const struct fi_point *p)
{
	return ops_of(sw)->untold && ops_of(sw)->untold(sw->s->priv, p->op, p);
}

/* What was refused with no way out, and what may or may not have had one. */
struct refusal {
	const struct fi_point *hard, *soft;
};

static void check_fallback(struct sweep *sw, const struct fi_point *p, const struct fi_point *next)
{
	const struct subject_ops *ops = ops_of(sw);
	enum fl_site want = SITE_none;

	if (ops->fallback)
		want = ops->fallback(sw->s->priv, p->op, p);
	if (want == SITE_none || (next && next->site == want))
		return;
	sweep_own_finding(sw, ORACLE_swallowed, p->op, "fallback-request", fl_sites[want].name,
			  next ? fl_sites[next->site].name : "nothing",
			  "the fallback of a benign fault asks for %s next, not for %s",
			  next ? fl_sites[next->site].name : "nothing", fl_sites[want].name);
}

static void note_fault(struct sweep *sw, const struct fi_point *p)
{
	struct context *c = sweep_key_lookup(sw, sweep_context_key(p));

	if (c)
		c->failed = true;
	if (sw->nr_faults >= FI_MAX_FAULTS)
		memmove(sw->faults, sw->faults + 1, sizeof(sw->faults) - sizeof(sw->faults[0]));
	sw->faults[sw->nr_faults < FI_MAX_FAULTS ? sw->nr_faults : FI_MAX_FAULTS - 1] = *p;
	sw->nr_faults++;
}

static const struct fi_point *latest_fault(const struct sweep *sw)
{
	return &sw->faults[(sw->nr_faults < FI_MAX_FAULTS ? sw->nr_faults : FI_MAX_FAULTS) - 1];
}

static void note_after(struct sweep *sw, const struct fi_point *p, struct attempt *a)
{
	u64 bit = (u64)1 << (p->site * 0x9e3779b97f4a7c15u >> 58);

	if (!sweep_selected(sw, p))
		return;
	a->after++;
	a->after_sites |= bit;
	if (!sweep_is_fresh(sw, p))
		return;
	a->fresh++;
	a->fresh_sites |= bit;
}

static void classify(struct sweep *sw, const struct fi_point *p, struct refusal *r,
		     struct attempt *a)
{
	const struct subject_ops *ops = ops_of(sw);

	if (is_optional(sw, p))
		r->soft = r->soft ? r->soft : p;
	else if (!is_benign(sw, p))
		r->hard = r->hard && !is_untold(sw, r->hard) ? r->hard : p;
	a->relays |= ops->relays && ops->relays(sw->s->priv, p->op, p);
}

/* Goes through the record of the attempt: what it was refused, and what it asked for then. */
static void read_record(struct sweep *sw, struct attempt *a, struct refusal *r)
{
	const struct fi *fi = sw->s->fi;

	sw->nr_scratch = fi->nr_points;
	sw->after_scratch = fi->nr_points;
	sw->nr_faults = 0;
	for (u32 k = 0; k < fi->nr_points; k++) {
		const struct fi_point *p = &sw->scratch[k];

		if (p->failed) {
			note_fault(sw, p);
			classify(sw, p, r, a);
			a->after = a->fresh = 0;
			a->after_sites = a->fresh_sites = 0;
			sw->after_scratch = k + 1;
		} else if (a->delivered && sw->nr_faults) {
			note_after(sw, p, a);
		}
	}
	a->nr_failed = sw->nr_faults;
	/* the record was too small for the first of them: by that one it is judged */
	if (a->delivered && !sw->nr_faults) {
		note_fault(sw, &fi->first);
		classify(sw, &fi->first, r, a);
	}
	sw->faulted = a->delivered;
	for (u32 k = 0; a->delivered && !a->broken && k + 1 < fi->nr_points; k++)
		if (sw->scratch[k].failed && is_benign(sw, &sw->scratch[k]))
			check_fallback(sw, &sw->scratch[k], &sw->scratch[k + 1]);
}

/* For the parent of this process, which makes of it what follows. */
static void post_record(struct sweep *sw)
{
	struct board *b = sw->board;

	b->nr_points = sw->nr_scratch < BOARD_POINTS ? sw->nr_scratch : BOARD_POINTS;
	b->after_points = sw->after_scratch < BOARD_POINTS ? sw->after_scratch : BOARD_POINTS;
	memcpy(b->points, sw->scratch, b->nr_points * sizeof(b->points[0]));
	if (sw->nr_faults)
		b->fault = *latest_fault(sw);
}

static void judge_benign(struct sweep *sw, u32 op, struct attempt *a)
{
	const struct golden_op *g = &sw->ops[op];
	char expected[64], actual[64];
	u64 digest;

	outcome_print(&g->out, expected, sizeof(expected));
	outcome_print(&a->out, actual, sizeof(actual));
	if (!outcome_equal(&a->out, &g->out)) {
		sweep_own_finding(sw, ORACLE_swallowed, op, "fallback-outcome", expected, actual,
				  "the fallback of a benign fault gave %s, not %s", actual,
				  expected);
		return;
	}
	/* what it lays out otherwise may show only in what comes after */
	if (a->relays && contents_of(sw) == g->contents) {
		a->relaid = true;
		return;
	}
	digest = digest_of(sw);
	if (digest == g->digest)
		return;
	sweep_print_digest(g->digest, expected, sizeof(expected));
	sweep_print_digest(digest, actual, sizeof(actual));
	sweep_own_finding(sw, ORACLE_digest, op, "fallback-state", expected, actual,
			  "the fallback of a benign fault reached another state");
}

/*
 * Is the state what it was before the attempt? The subject's sums are taken at their word, but
 * every 64th time, and whenever the judge asks, a digest is held against them.
 */
static bool is_unchanged(struct sweep *sw, u32 op)
{
	const struct subject_ops *ops = ops_of(sw);
	char expected[24], actual[24];
	u64 digest;

	if (!sw->has_seal || !ops->sealed(sw->s->priv))
		return digest_of(sw) == sw->digest_from;
	sw->stats->sealed++;
	if (!sw->judging && sw->stats->sealed % SEALED_WALK)
		return true;
	sw->stats->sealed_walked++;
	digest = digest_of(sw);
	if (digest == sw->digest_from)
		return true;
	sweep_print_digest(sw->digest_from, expected, sizeof(expected));
	sweep_print_digest(digest, actual, sizeof(actual));
	sweep_own_finding(sw, ORACLE_digest, op, "sums", expected, actual,
			  "the state has changed, and the sums that are kept of it have not");
	return false;
}

/* The operation has failed at point p, and must have left no trace, or a declared one. */
static int judge_refused(struct sweep *sw, u32 op, const struct fi_point *p, struct attempt *a)
{
	const struct subject_ops *ops = ops_of(sw);
	void *priv = sw->s->priv;
	struct finding f;
	int err;

	if (!ops->declared_error(priv, op, p, &a->out)) {
		finding_of_outcome(&f, &a->out);
		sweep_own(sw, op, &f);
	}
	a->retryable = ops->retryable(priv, op, &a->out);
	a->changed = !is_unchanged(sw, op);
	if (!a->changed)
		return 0;
	err = sweep_observe(sw, &sw->after);
	if (err)
		return err;
	if (!ops->allowed(priv, op, &a->out, sw->before.v, sw->before.nr, sw->after.v,
			  sw->after.nr))
		sweep_changed_finding(sw, op);
	return 0;
}

static int judge_attempt(struct sweep *sw, u32 op, const struct refusal *r, struct attempt *a)
{
	bool done = outcome_equal(&a->out, &sw->ops[op].out);

	a->golden = !r->hard && (!r->soft || done);
	if (a->golden && r->soft) {
		a->loose = a->relaid = true;
		return 0;
	}
	if (!a->golden)
		return judge_refused(sw, op, r->hard ? r->hard : r->soft, a);
	judge_benign(sw, op, a);
	return 0;
}

static void arm(struct sweep *sw, const struct trial *t)
{
	sw->armed.nr = t->nr;
	memcpy(sw->armed.items, t->items, t->nr * sizeof(t->items[0]));
	fi_arm(sw->s->fi, &sw->armed);
}

static int attempt_once(struct sweep *sw, const struct trial *t, struct attempt *a)
{
	struct refusal r = {0};
	struct fi *fi = sw->s->fi;
	u64 refused = fi->stats.delivered;
	u32 op = t->op;
	int err = 0;

	memset(a, 0, sizeof(*a));
	a->retryable = true;
	sweep_caught_reset(sw);
	a->exact = exact_here(sw, &sw->points[t->point]);
	arm(sw, t);
	fi_record(fi, sw->scratch, sw->max_scratch);
	if (sw->board)
		sw->board->attempting = true;
	sweep_run_op(sw, op, &a->out);
	if (sw->board)
		sw->board->attempting = false;
	a->delivered = fi->op_delivered != 0;
	a->broken = a->out.kind == OUT_BROKEN;
	fi_disarm(fi);
	read_record(sw, a, &r);
	fi_record(fi, NULL, 0);
	if (sw->board)
		post_record(sw);
	/* The injector's own count, over all of its life, has to say the same. */
	if (fi->stats.delivered - refused != fi->op_delivered ||
	    (t->kind == TRIAL_POINT && fi->op_delivered > 1))
		sw->miscounted = true;

	if (a->broken && !sw->nr_caught)
		sweep_own_finding(sw, ORACLE_crash, op, "broken", "an outcome", "none",
				  "the operation broke off");
	if (a->broken || !a->delivered)
		return 0;
	err = judge_attempt(sw, op, &r, a);
	if (!a->retryable && sw->opt->over)
		sw->opt->over(sw->opt->priv, latest_fault(sw));
	if (!err)
		ops_of(sw)->check(sw->s->priv);
	return err;
}

int sweep_before(struct sweep *sw, bool seal)
{
	sw->has_seal = seal && ops_of(sw)->seal;
	if (sw->has_seal)
		ops_of(sw)->seal(sw->s->priv);
	return sweep_observe(sw, &sw->before);
}

int sweep_attempt(struct sweep *sw, const struct trial *t, struct attempt *a)
{
	struct trial again = *t;
	bool relays;
	int err;

	sw->retried = NULL;
	sw->digest_from = digest_before(sw, t->op);
	err = attempt_once(sw, t, a);
	if (err || t->kind != TRIAL_RETRY)
		return err;
	if (sw->nr_caught || a->broken || a->golden || !a->delivered || !a->retryable)
		return 0;
	/* what the second one has to leave alone is what the first has left */
	if (a->changed) {
		sw->digest_from = digest_of(sw);
		err = sweep_before(sw, sw->has_seal);
		if (err)
			return err;
	}
	relays = a->relays;
	again.nr = 1;
	again.items[0] = t->again;
	sw->retried = t;
	err = attempt_once(sw, &again, a);
	a->relays |= relays;
	a->again = true;
	return err;
}

bool sweep_is_golden(struct sweep *sw, u32 op, const struct outcome *out, const char *who)
{
	const struct golden_op *g = &sw->ops[op];
	char expected[64], actual[64];
	u64 digest;

	if (!outcome_equal(out, &g->out)) {
		outcome_print(&g->out, expected, sizeof(expected));
		outcome_print(out, actual, sizeof(actual));
		sweep_own_finding(sw, ORACLE_converge, op, "outcome", expected, actual,
				  "%s gave %s, golden is %s", who, actual, expected);
		return false;
	}
	digest = digest_of(sw);
	if (digest != g->digest) {
		sweep_print_digest(g->digest, expected, sizeof(expected));
		sweep_print_digest(digest, actual, sizeof(actual));
		sweep_own_finding(sw, ORACLE_converge, op, "state", expected, actual,
				  "%s reached another state than the golden run", who);
		return false;
	}
	return true;
}

bool sweep_reached(struct sweep *sw, u32 op, const struct outcome *out, struct attempt *a,
		   const char *who)
{
	const struct golden_op *g = &sw->ops[op];

	/* where a small page was refused after a huge one, there is a table now, and only room for
	 * small ones */
	if (a->relays && outcome_equal(out, &g->out) && contents_of(sw) == g->contents) {
		a->relaid = true;
		return true;
	}
	return sweep_is_golden(sw, op, out, who);
}

bool sweep_retry(struct sweep *sw, u32 op, struct attempt *a)
{
	struct fi *fi = sw->s->fi;
	struct outcome out;

	fi_record(fi, sw->scratch, sw->max_scratch);
	sweep_run_op(sw, op, &out);
	sw->nr_scratch = fi->nr_points;
	fi_record(fi, NULL, 0);
	sw->stats->replay_ops++;
	return sweep_reached(sw, op, &out, a, "the retry");
}

/* ---- the judge ------------------------------------------------------------------------------ */

/* Is the state at the end what the golden run ended in, or another layout of that? */
static bool ends_golden(struct sweep *sw, bool relaid)
{
	if (relaid && sw->nr_ops > sw->base)
		return contents_of(sw) == sw->ops[sw->nr_ops - 1].contents;
	return digest_of(sw) == digest_before(sw, sw->nr_ops);
}

/* Has the operation come to what it may come to, after what was laid out otherwise or not? */
static bool ends_alike(struct sweep *sw, u32 op, const struct outcome *out, bool relaid)
{
	const struct subject_ops *ops = ops_of(sw);
	const struct outcome *golden = &sw->ops[op].out;

	if (outcome_equal(out, golden))
		return true;
	return relaid && ops->by_layout && ops->by_layout(sw->s->priv, op, golden, out);
}

/*
 * The rest of the program after a fault; golden: its results are known. strays: in a state that no
 * run without a fault is in, which is kept if it meets a context that is met nowhere else.
 */
static int judge_tail(struct sweep *sw, u32 from, bool golden, bool relaid,
		      const struct trial *strays)
{
	char expected[64], actual[64];
	struct outcome out;
	int err;

	for (u32 op = from; op < sw->nr_ops; op++) {
		if (sweep_stopped(sw))
			return -EINTR;
		if (relaid && ops_of(sw)->shows_layout && ops_of(sw)->shows_layout(sw->s->priv))
			golden = false;
		if (strays)
			fi_record(sw->s->fi, sw->scratch, sw->max_scratch);
		sweep_run_op(sw, op, &out);
		sw->stats->replay_ops++;
		if (strays) {
			sw->nr_scratch = sw->s->fi->nr_points;
			fi_record(sw->s->fi, NULL, 0);
			err = sweep_note_state(sw, strays);
			if (err)
				return err;
		}
		if (golden && !ends_alike(sw, op, &out, relaid)) {
			outcome_print(&sw->ops[op].out, expected, sizeof(expected));
			outcome_print(&out, actual, sizeof(actual));
			sweep_own_finding(sw, ORACLE_converge, op, "tail-outcome", expected, actual,
					  "after a fault and its retry gave %s, golden is %s",
					  actual, expected);
			return 0;
		}
		if (out.kind == OUT_BROKEN)
			return 0;
	}
	if (golden && !ends_golden(sw, relaid)) {
		sweep_print_digest(digest_before(sw, sw->nr_ops), expected, sizeof(expected));
		sweep_print_digest(digest_of(sw), actual, sizeof(actual));
		sweep_own_finding(sw, ORACLE_converge, sw->nr_ops - 1, "tail-state", expected,
				  actual,
				  "the program after a fault and its retry ended in another state");
	}
	ops_of(sw)->teardown(sw->s->priv);
	return 0;
}

/* The end of all tasks; without memory, if the subject can do that: it must not matter. */
static void end_exhausted(struct sweep *sw)
{
	if (!ops_of(sw)->teardown_exhausted) {
		ops_of(sw)->teardown(sw->s->priv);
		return;
	}
	ops_of(sw)->teardown_exhausted(sw->s->priv);
	sw->stats->exhausted++;
}

int sweep_judge_here(struct sweep *sw, const struct trial *t, enum judge_mode mode,
		     struct attempt *a)
{
	bool golden = true;
	int err;

	/* how each context ends is no verdict on its attempt */
	err = sweep_before(sw, mode != JUDGE_END);
	if (err)
		return err;
	sw->judging = true;
	err = sweep_attempt(sw, t, a);
	sw->judging = false;
	if (err)
		return err;
	sw->stats->replay_ops++;
	if (sw->nr_caught || a->broken)
		return 0;
	if (!a->delivered)
		return 0;
	if (mode == JUDGE_END) {
		end_exhausted(sw);
		return 0;
	}
	if (!a->golden) {
		golden = a->retryable;
		if (a->retryable) {
			if (!sweep_retry(sw, t->op, a) || sw->nr_caught)
				return 0;
		}
	}
	if (mode == JUDGE_RETRY) {
		ops_of(sw)->teardown(sw->s->priv);
		return 0;
	}
	return judge_tail(sw, t->op + 1, golden && !a->loose, a->relaid,
			  a->relaid && a->golden && t->kind != TRIAL_RETRY ? t : NULL);
}

int sweep_judge_alone(struct sweep *sw, const struct trial *t, enum judge_mode mode,
		      struct attempt *a)
{
	int err = sweep_rebuild(sw, t->op);

	return err ? err : sweep_judge_here(sw, t, mode, a);
}

int sweep_confirm(struct sweep *sw, const struct trial *t, enum judge_mode mode)
{
	struct context *c;
	struct attempt a;
	int err;

	sweep_suspects_take(sw);
	c = sweep_context_find(sw, &sw->points[t->point]);
	if (!c)
		return -ENOMEM;
	c->findings++;
	err = sweep_judge_alone(sw, t, mode, &a);
	for (u32 k = 0; !err && k < sw->nr_suspects; k++)
		err = sweep_report(sw, &sw->suspects[k],
				   sweep_bucket_in(sw->caught, sw->nr_caught, &sw->suspects[k]));
	return err;
}

/* 1: it was this one, which has been reported; 0: it was not; or an error. */
static int blame_trial(struct sweep *sw, const struct trial *t)
{
	struct attempt a;
	int err = sweep_judge_alone(sw, t, JUDGE_TAIL, &a);

	if (err || !sw->nr_caught)
		return err;
	err = sweep_confirm(sw, t, JUDGE_TAIL);
	return err ? err : 1;
}

/* Was it a trial of this pass before op? If not, what was suspected is all that is known. */
static int blame_recent(struct sweep *sw, u32 op)
{
	for (u32 k = sw->nr_recent; k-- > 0 && k + MAX_RECENT >= sw->nr_recent;) {
		const struct trial t = sw->trials[sw->recent[k % MAX_RECENT]];
		int ret;

		if (t.op > op)
			continue;
		ret = blame_trial(sw, &t);
		if (ret)
			return ret < 0 ? ret : 0;
	}
	return sweep_report_suspects(sw);
}

int sweep_escalate(struct sweep *sw, const struct trial *t)
{
	struct attempt a;
	int err;

	sweep_suspects_take(sw);
	err = sweep_judge_alone(sw, t, JUDGE_TAIL, &a);
	if (err)
		return err;
	return sw->nr_caught ? sweep_confirm(sw, t, JUDGE_TAIL) : blame_recent(sw, t->op);
}

int sweep_blame(struct sweep *sw, u32 op)
{
	const struct golden_op *g = &sw->ops[op];
	u32 tried = 0;
	int ret;

	sweep_suspects_take(sw);
	for (u32 i = g->first + g->nr; i-- > 0 && tried < MAX_BLAME;) {
		struct trial t = sweep_single(sw, i);

		if (sw->info[i].state != PT_DELIVERED)
			continue;
		tried++;
		ret = blame_trial(sw, &t);
		if (ret)
			return ret < 0 ? ret : 0;
	}
	return blame_recent(sw, op);
}
