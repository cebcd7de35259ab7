/* SPDX-License-Identifier: GPL-2.0-only */
/* One armed attempt, and the judge who has one fault and one machine. */
#include "sweep_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- running -------------------------------------------------------------------------------- */

void sweep_run_op(struct sweep *sw, u32 op, struct outcome *out)
{
	/* Also here, so that an operation that is skipped leaves nothing of its forerunner. */
	fi_op_begin(sw->s->fi, op, ops_of(sw)->op_kind(sw->s->priv, op));
	ops_of(sw)->apply(sw->s->priv, op, out);
}

int sweep_fresh(struct sweep *sw)
{
	fi_disarm(sw->s->fi);
	fi_record(sw->s->fi, NULL, 0);
	sweep_caught_reset(sw);
	return ops_of(sw)->reset(sw->s->priv);
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
	err = replay_range(sw, 0, op);
	if (err)
		return err;
	digest = digest_of(sw);
	if (digest == digest_before(sw, op))
		return 0;
	sweep_print_digest(digest_before(sw, op), expected, sizeof(expected));
	sweep_print_digest(digest, actual, sizeof(actual));
	return sweep_not_deterministic(sw, op ? op - 1 : 0, "replay-digest", expected, actual);
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

static void judge_benign(struct sweep *sw, u32 i, struct attempt *a)
{
	const struct subject_ops *ops = ops_of(sw);
	u32 op = sw->points[i].op;
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
	digest = digest_of(sw);
	if (digest == g->digest)
		return;
	if (ops->relays && ops->relays(sw->s->priv, op, &sw->points[i]) &&
	    contents_of(sw) == g->contents) {
		a->relaid = true;
		return;
	}
	sweep_print_digest(g->digest, expected, sizeof(expected));
	sweep_print_digest(digest, actual, sizeof(actual));
	sweep_own_finding(sw, ORACLE_digest, op, "fallback-state", expected, actual,
			  "the fallback of a benign fault reached another state");
}

static void judge_outcome(struct sweep *sw, u32 op, const struct attempt *a)
{
	struct finding f;

	if (ops_of(sw)->declared_error(sw->s->priv, op, &sw->fault, &a->out))
		return;
	finding_of_outcome(&f, &a->out);
	sweep_own(sw, op, &f);
}

int sweep_attempt(struct sweep *sw, u32 i, struct attempt *a)
{
	const struct fi_point *point = &sw->points[i];
	const struct subject_ops *ops = ops_of(sw);
	struct fi *fi = sw->s->fi;
	void *priv = sw->s->priv;
	u64 refused = fi->stats.delivered;
	u32 op = point->op;
	int err;

	memset(a, 0, sizeof(*a));
	a->retryable = true;
	sweep_caught_reset(sw);
	a->exact = exact_here(sw, point);
	fi_arm_point(fi, op, point->site, point->ordinal);
	if (sw->board)
		sw->board->attempting = true;
	sweep_run_op(sw, op, &a->out);
	if (sw->board)
		sw->board->attempting = false;
	a->delivered = fi->op_delivered != 0;
	a->broken = a->out.kind == OUT_BROKEN;
	if (a->delivered) {
		sw->fault = fi->first;
		sw->faulted = true;
		sw->stats->children += fi->op_index - fi->first.index;
	}
	fi_disarm(fi);
	/* One was armed: the injector's own count, over all of its life, has to say the same. */
	if (fi->stats.delivered - refused != (u64)a->delivered)
		sw->miscounted = true;

	if (a->broken && !sw->nr_caught)
		sweep_own_finding(sw, ORACLE_crash, op, "broken", "an outcome", "none",
				  "the operation broke off");
	if (a->broken || !a->delivered)
		return 0;

	if (sw->info[i].benign) {
		judge_benign(sw, i, a);
		ops->check(priv);
		return 0;
	}
	judge_outcome(sw, op, a);
	a->retryable = ops->retryable(priv, op, &a->out);
	a->changed = digest_of(sw) != digest_before(sw, op);
	if (a->changed) {
		err = sweep_observe(sw, &sw->after);
		if (err)
			return err;
		if (!ops->allowed(priv, op, &a->out, sw->before.v, sw->before.nr, sw->after.v,
				  sw->after.nr))
			sweep_changed_finding(sw, op);
	}
	ops->check(priv);
	return 0;
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

/* ---- the judge ------------------------------------------------------------------------------ */

/* Is the state at the end what the golden run ended in, or another layout of that? */
static bool ends_golden(struct sweep *sw, bool relaid)
{
	if (relaid && sw->nr_ops)
		return contents_of(sw) == sw->ops[sw->nr_ops - 1].contents;
	return digest_of(sw) == digest_before(sw, sw->nr_ops);
}

/* The rest of the program after a fault; golden: its results are known. */
static int judge_tail(struct sweep *sw, u32 from, bool golden, bool relaid)
{
	char expected[64], actual[64];
	struct outcome out;

	for (u32 op = from; op < sw->nr_ops; op++) {
		if (sweep_stopped(sw))
			return -EINTR;
		sweep_run_op(sw, op, &out);
		sw->stats->replay_ops++;
		if (golden && !outcome_equal(&out, &sw->ops[op].out)) {
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

int sweep_judge_here(struct sweep *sw, u32 i, enum judge_mode mode, struct attempt *a)
{
	u32 op = sw->points[i].op;
	struct outcome out;
	bool golden = true;
	int err;

	err = sweep_observe(sw, &sw->before);
	if (err)
		return err;
	err = sweep_attempt(sw, i, a);
	if (err)
		return err;
	sw->stats->replay_ops++;
	if (sw->nr_caught || a->broken)
		return 0;
	if (!a->delivered)
		return 0;
	if (mode == JUDGE_END) {
		ops_of(sw)->teardown(sw->s->priv);
		return 0;
	}
	if (!sw->info[i].benign) {
		golden = a->retryable;
		if (a->retryable) {
			sweep_run_op(sw, op, &out);
			sw->stats->replay_ops++;
			if (!sweep_is_golden(sw, op, &out, "the retry") || sw->nr_caught)
				return 0;
		}
	}
	if (mode == JUDGE_RETRY) {
		ops_of(sw)->teardown(sw->s->priv);
		return 0;
	}
	return judge_tail(sw, op + 1, golden, a->relaid);
}

int sweep_judge_alone(struct sweep *sw, u32 i, enum judge_mode mode, struct attempt *a)
{
	int err = sweep_rebuild(sw, sw->points[i].op);

	return err ? err : sweep_judge_here(sw, i, mode, a);
}

int sweep_confirm(struct sweep *sw, u32 i, enum judge_mode mode)
{
	struct context *c;
	struct attempt a;
	int err;

	sweep_suspects_take(sw);
	c = sweep_context_find(sw, &sw->points[i]);
	if (!c)
		return -ENOMEM;
	c->findings++;
	err = sweep_judge_alone(sw, i, mode, &a);
	for (u32 k = 0; !err && k < sw->nr_suspects; k++)
		err = sweep_report(sw, &sw->suspects[k],
				   sweep_bucket_in(sw->caught, sw->nr_caught, &sw->suspects[k]));
	return err;
}

int sweep_escalate(struct sweep *sw, u32 i)
{
	struct attempt a;
	int err;

	sweep_suspects_take(sw);
	err = sweep_judge_alone(sw, i, JUDGE_TAIL, &a);
	if (err)
		return err;
	return sw->nr_caught ? sweep_confirm(sw, i, JUDGE_TAIL) : sweep_report_suspects(sw);
}

int sweep_blame(struct sweep *sw, u32 op)
{
	const struct golden_op *g = &sw->ops[op];
	struct attempt a;
	u32 tried = 0;
	int err;

	sweep_suspects_take(sw);
	for (u32 i = g->first + g->nr; i-- > 0 && tried < MAX_BLAME;) {
		if (sw->info[i].state != PT_DELIVERED)
			continue;
		tried++;
		err = sweep_judge_alone(sw, i, JUDGE_TAIL, &a);
		if (err)
			return err;
		if (sw->nr_caught)
			return sweep_confirm(sw, i, JUDGE_TAIL);
	}
	return sweep_report_suspects(sw);
}
