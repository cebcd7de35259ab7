/* SPDX-License-Identifier: GPL-2.0-only */
/* The runs without a fault: what all others are compared with, listed once and repeated once. */
#include "sweep_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int golden_record(struct sweep *sw, u32 total)
{
	struct fi *fi = sw->s->fi;
	struct golden_op *g;
	int err;

again:
	err = sweep_fresh(sw);
	if (err)
		return err;
	sw->digest0 = digest_of(sw);
	sw->residue0 = residue_of(sw);
	sw->nr_points = 0;
	sw->nr_ops = sw->base;
	for (u32 op = sw->base; op < total; op++) {
		if (sweep_stopped(sw))
			return -EINTR;
		err = sweep_grow((void **)&sw->points, &sw->max_points, sizeof(*sw->points),
				 sw->nr_points + 1);
		if (err)
			return err;
		g = &sw->ops[op];
		fi_record(fi, sw->points + sw->nr_points, sw->max_points - sw->nr_points);
		sweep_run_op(sw, op, &g->out);
		if (fi->overflow) {
			err = sweep_grow((void **)&sw->points, &sw->max_points, sizeof(*sw->points),
					 sw->max_points + 1);
			if (err)
				return err;
			goto again;
		}
		if (g->out.kind == OUT_BROKEN) {
			if (!sw->nr_caught)
				sweep_own_finding(sw, ORACLE_crash, op, "broken", "an outcome",
						  "none", "the operation broke off");
			sw->broken_op = op;
			return 0;
		}
		g->first = sw->nr_points;
		g->nr = fi->nr_points;
		g->digest = digest_of(sw);
		g->residue = residue_of(sw);
		g->contents = contents_of(sw);
		sw->nr_points += g->nr;
		sw->nr_ops++;
	}
	fi_record(fi, NULL, 0);
	fi_op_begin(fi, FI_OP_ANY, 0);
	ops_of(sw)->teardown(sw->s->priv);
	return 0;
}

static bool same_point(const struct fi_point *a, const struct fi_point *b)
{
	return a->site == b->site && a->prev == b->prev && a->prev2 == b->prev2 &&
	       a->op_kind == b->op_kind && a->op == b->op && a->ordinal == b->ordinal &&
	       a->index == b->index && a->nowait == b->nowait;
}

/* Runs the program once more and compares all that was listed. */
static int golden_repeat(struct sweep *sw)
{
	struct fi *fi = sw->s->fi;
	const struct golden_op *g;
	char expected[64], actual[64];
	struct outcome out;
	u64 digest;
	int err;

	err = sweep_fresh(sw);
	if (err)
		return err;
	digest = digest_of(sw);
	if (digest != sw->digest0) {
		sweep_print_digest(sw->digest0, expected, sizeof(expected));
		sweep_print_digest(digest, actual, sizeof(actual));
		return sweep_not_deterministic(sw, UINT32_MAX, "golden-start", expected, actual);
	}
	for (u32 op = sw->base; op < sw->nr_ops; op++) {
		if (sweep_stopped(sw))
			return -EINTR;
		g = &sw->ops[op];
		fi_record(fi, sw->scratch, sw->max_scratch);
		sweep_run_op(sw, op, &out);
		if (!outcome_equal(&out, &g->out)) {
			outcome_print(&g->out, expected, sizeof(expected));
			outcome_print(&out, actual, sizeof(actual));
			return sweep_not_deterministic(sw, op, "golden-outcome", expected, actual);
		}
		if (fi->nr_points != g->nr) {
			snprintf(expected, sizeof(expected), "%" PRIu32 " requests", g->nr);
			snprintf(actual, sizeof(actual), "%" PRIu32 " requests", fi->nr_points);
			return sweep_not_deterministic(sw, op, "golden-points", expected, actual);
		}
		for (u32 k = 0; k < g->nr; k++) {
			const struct fi_point *a = &sw->points[g->first + k];
			const struct fi_point *b = &fi->points[k];

			if (same_point(a, b))
				continue;
			snprintf(expected, sizeof(expected), "%s #%" PRIu32, fl_sites[a->site].name,
				 a->ordinal);
			snprintf(actual, sizeof(actual), "%s #%" PRIu32, fl_sites[b->site].name,
				 b->ordinal);
			return sweep_not_deterministic(sw, op, "golden-points", expected, actual);
		}
		digest = digest_of(sw);
		if (digest != g->digest) {
			sweep_print_digest(g->digest, expected, sizeof(expected));
			sweep_print_digest(digest, actual, sizeof(actual));
			return sweep_not_deterministic(sw, op, "golden-digest", expected, actual);
		}
	}
	fi_record(fi, NULL, 0);
	if (sw->broken_op != UINT32_MAX) {
		sweep_run_op(sw, sw->broken_op, &out);
		if (out.kind == OUT_BROKEN && !sw->nr_caught)
			sweep_own_finding(sw, ORACLE_crash, sw->broken_op, "broken", "an outcome",
					  "none", "the operation broke off");
		return 0;
	}
	fi_op_begin(fi, FI_OP_ANY, 0);
	ops_of(sw)->teardown(sw->s->priv);
	return 0;
}

static void baseline_add(struct sweep *sw, const struct finding *list, u32 nr)
{
	for (u32 i = 0; i < nr && sw->nr_baseline < MAX_BASELINE; i++) {
		struct finding bare = list[i];

		bare.nr_faults = 0;
		finding_bucket(&bare, sw->baseline[sw->nr_baseline++]);
	}
}

int sweep_golden(struct sweep *sw)
{
	u32 total = ops_of(sw)->nr_ops(sw->s->priv);
	struct context *c;
	u32 longest = 0;
	int err;

	sw->broken_op = UINT32_MAX;
	sw->ops = calloc((size_t)total + 1, sizeof(*sw->ops));
	if (!sw->ops)
		return -ENOMEM;
	err = golden_record(sw, total);
	if (err)
		return err;
	sweep_suspects_take(sw);

	for (u32 op = sw->base; op < sw->nr_ops; op++) {
		if (sw->ops[op].nr > longest)
			longest = sw->ops[op].nr;
	}
	/* after a refusal there may be more than ever without one */
	sw->max_scratch = 2 * longest + 1024;
	sw->scratch = calloc(sw->max_scratch, sizeof(*sw->scratch));
	sw->info = calloc((size_t)sw->nr_points + 1, sizeof(*sw->info));
	if (!sw->scratch || !sw->info)
		return -ENOMEM;
	for (u32 i = 0; i < sw->nr_points; i++) {
		const struct fi_point *p = &sw->points[i];

		c = sweep_context_find(sw, p);
		if (!c)
			return -ENOMEM;
		c->golden = true;
		if (!sweep_selected(sw, p)) {
			sw->info[i].state = PT_OUT;
			continue;
		}
		sw->stats->met++;
		sw->info[i].benign = ops_of(sw)->benign(sw->s->priv, p->op, p);
		/* what an attempt leaves in the backend's caches is asked for no second time */
		sw->info[i].state = sw->info[i].benign || fl_sites[p->site].class == FL_CLASS_refill
					    ? PT_COLD
					    : PT_TODO;
	}
	err = sweep_prune(sw);
	if (err)
		return err;

	err = golden_repeat(sw);
	if (err)
		return err;
	for (u32 i = 0; !err && i < sw->nr_suspects; i++)
		err = sweep_report(sw, &sw->suspects[i],
				   sweep_bucket_in(sw->caught, sw->nr_caught, &sw->suspects[i]));
	baseline_add(sw, sw->suspects, sw->nr_suspects);
	baseline_add(sw, sw->caught, sw->nr_caught);
	return err;
}
