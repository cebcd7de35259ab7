/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sweep of a subject that kills its process. The golden run goes through the program once more;
 * before each operation a child is made for each point that waits, which fails it there, retries,
 * ends all tasks and takes the census. The parent never sees a fault, so a child that dies takes
 * nothing with it but its own point, which is thereby explained. What such an attempt has met it
 * leaves on the board, so that the parent knows which trials follow; those are made in a second
 * run.
 */
#include "sweep_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct errand {
	struct sweep *sw;
	struct trial trial;
	enum judge_mode mode;
	bool alone; /* in a fresh machine */
};

/* In the child. Statistics go to the board: nobody else would see them. */
static void run_errand(void *arg)
{
	struct errand *e = arg;
	struct sweep *sw = e->sw;
	struct board *b = sw->board;

	sw->stats = &b->stats;
	b->err = e->alone ? sweep_judge_alone(sw, &e->trial, e->mode, &b->a)
			  : sweep_judge_here(sw, &e->trial, e->mode, &b->a);
	b->nr_caught = sw->nr_caught;
	memcpy(b->caught, sw->caught, sw->nr_caught * sizeof(sw->caught[0]));
	b->miscounted = sw->miscounted;
	b->ended = true;
}

/* The finding of a child's death: it is put down to the point that the child was for. */
static void died(struct sweep *sw, const struct errand *e, struct finding *how)
{
	bool attempting = sw->board->attempting;

	sw->stats->crashes++;
	sw->faults[0] = sw->points[e->trial.point];
	sw->nr_faults = 1;
	sw->armed.nr = e->trial.nr;
	memcpy(sw->armed.items, e->trial.items, e->trial.nr * sizeof(e->trial.items[0]));
	sw->faulted = true;
	sweep_own(sw, how->op, how);
	sw->faulted = false;
	/* of the injector as the child left it this process knows nothing */
	if (sw->nr_caught)
		sw->caught[0].by_sweep = !attempting;
}

/* What the errand's child caught is in sw->caught afterwards, its attempt in *a. */
static int send(struct sweep *sw, struct errand *e, struct attempt *a)
{
	struct finding how = {.oracle = ORACLE_crash, .func = "-", .op = e->trial.op};
	struct board *b = sw->board;
	int ret;

	memset(b, 0, sizeof(*b));
	sweep_caught_reset(sw);
	ret = sw->opt->isolate(sw->opt->priv, run_errand, e, &how);
	fi_disarm(sw->s->fi);
	sw->stats->replay_ops += b->stats.replay_ops;
	sw->stats->exhausted += b->stats.exhausted;
	if (ret < 0)
		return ret;
	if (ret || !b->ended) {
		/* without the fault the golden run came through: it has been delivered */
		*a = (struct attempt){.delivered = true, .exact = true, .broken = true};
		died(sw, e, &how);
		return 0;
	}
	sw->miscounted |= b->miscounted;
	sw->nr_caught = b->nr_caught;
	memcpy(sw->caught, b->caught, b->nr_caught * sizeof(b->caught[0]));
	*a = b->a;
	sw->nr_scratch = b->nr_points;
	sw->after_scratch = b->after_points;
	memcpy(sw->scratch, b->points, b->nr_points * sizeof(b->points[0]));
	return b->err;
}

/* What one child has caught another must see in a fresh machine, or it is an artefact. */
static int confirm(struct sweep *sw, const struct trial *t, enum judge_mode mode)
{
	struct errand again = {.sw = sw, .trial = *t, .mode = mode, .alone = true};
	struct context *c = sweep_context_find(sw, &sw->points[t->point]);
	struct attempt a;
	int err;

	if (!c)
		return -ENOMEM;
	c->findings++;
	sweep_suspects_take(sw);
	err = send(sw, &again, &a);
	for (u32 k = 0; !err && k < sw->nr_suspects; k++)
		err = sweep_report(sw, &sw->suspects[k],
				   sweep_bucket_in(sw->caught, sw->nr_caught, &sw->suspects[k]));
	return err;
}

/* Books what came of a trial's child, and what follows from it. */
static int book(struct sweep *sw, const struct trial *t, const struct attempt *a)
{
	bool met = a->delivered, retried = !sw->nr_caught && (a->golden || a->retryable);
	int err;

	if (t->kind == TRIAL_EXPLORE || t->kind == TRIAL_PAIR)
		met = met && a->nr_failed == t->nr;
	if (!met) {
		if (t->kind == TRIAL_POINT)
			sweep_mask(sw, t->point, "not met again, not even in a fresh machine");
		else
			sweep_trial_failed(sw, t);
		return 0;
	}
	if (t->kind == TRIAL_POINT)
		sweep_deliver(sw, t->point);
	err = sweep_follow(sw, t, a);
	if (t->kind == TRIAL_POINT && retried)
		sweep_verified(sw, t->point);
	else if (t->kind == TRIAL_PAIR && retried && sw->opt->verified)
		sw->opt->verified(sw->opt->priv, &sw->board->fault);
	return err;
}

static int fork_trial(struct sweep *sw, const struct trial *t, enum judge_mode mode)
{
	struct errand e = {.sw = sw, .trial = *t, .mode = mode};
	struct attempt a;
	int err = send(sw, &e, &a);

	if (!err && mode == JUDGE_RETRY)
		err = book(sw, t, &a);
	if (err)
		return err;
	return sw->nr_caught ? confirm(sw, t, mode) : 0;
}

/* Once with its retry, and once per context without. */
static int fork_point(struct sweep *sw, u32 i)
{
	const struct trial t = sweep_single(sw, i);
	struct context *c;
	int err = fork_trial(sw, &t, JUDGE_RETRY);

	if (err)
		return err;
	c = sweep_context_find(sw, &sw->points[i]);
	if (!c)
		return -ENOMEM;
	if (c->ended || sw->info[i].state != PT_DELIVERED || sw->info[i].benign)
		return 0;
	c->ended = true;
	return fork_trial(sw, &t, JUDGE_END);
}

static int fork_points(struct sweep *sw, u32 op)
{
	const struct golden_op *g = &sw->ops[op];
	int ret;

	for (u32 i = g->first; i < g->first + g->nr; i++) {
		if (sw->info[i].state != PT_TODO && sw->info[i].state != PT_COLD)
			continue;
		ret = sweep_given_up(sw, i);
		if (ret < 0)
			return ret;
		if (!ret)
			ret = fork_point(sw, i);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* What has followed from them: behind the points of all, whose contexts are given up in time. */
static int fork_trials(struct sweep *sw, u32 op)
{
	int ret = sweep_queue_whole_op(sw, op);
	struct trial t;

	while (!ret && sweep_next_trial(sw, op, &t)) {
		const struct context *c = sweep_context_find(sw, &sw->points[t.point]);

		if (!c)
			return -ENOMEM;
		if (c->findings < MAX_PER_CONTEXT)
			ret = fork_trial(sw, &t, JUDGE_RETRY);
		else
			sweep_trial_failed(sw, &t);
	}
	return ret;
}

static int fork_ops(struct sweep *sw, int (*each)(struct sweep *sw, u32 op))
{
	struct outcome out;
	int err = sweep_rebuild(sw, sw->base);

	for (u32 op = sw->base; !err && op < sw->nr_ops; op++) {
		if (sweep_stopped(sw))
			return -EINTR;
		sweep_progress(sw, op);
		err = each(sw, op);
		if (err)
			return err;
		sweep_caught_reset(sw);
		sweep_run_op(sw, op, &out);
		sw->stats->replay_ops++;
		if (!sweep_is_golden(sw, op, &out, "a run that saw no fault"))
			return sweep_not_deterministic(sw, op, "fork-golden", "the golden result",
						       "another");
	}
	return err;
}

int sweep_fork_pass(struct sweep *sw)
{
	int err;

	if (!sw->opt->isolate)
		return -EOPNOTSUPP;
	sw->board = mmap(NULL, sizeof(*sw->board), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sw->board == MAP_FAILED) {
		sw->board = NULL;
		return -ENOMEM;
	}
	err = fork_ops(sw, fork_points);
	if (!err && !sw->opt->single)
		err = fork_ops(sw, fork_trials);
	munmap(sw->board, sizeof(*sw->board));
	sw->board = NULL;
	return err;
}
