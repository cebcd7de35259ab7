/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the sweep share: its state, the findings of the run in progress
 * (sweep_findings.c) and the judge (sweep_judge.c). Every function that returns int gives 0 or a
 * negative errno that ends the sweep.
 */
#ifndef FAULTLINE_SWEEP_INTERNAL_H
#define FAULTLINE_SWEEP_INTERNAL_H

#include "sweep.h"

#define MAX_CAUGHT	 32u /* distinct findings kept of one run */
#define MAX_BASELINE	 64u /* distinct findings kept of the golden run */
#define MAX_PER_CONTEXT	 4u  /* escalations with a result, before a context is given up */
#define MAX_BLAME	 64u /* points tried alone to explain a divergence */
#define MAX_BLAME_CENSUS 256u
#define MAX_RECENT	 64u /* trials of a pass that are remembered, to be blamed */
#define MAX_STATES	 32u /* after weak failures, from which the rest of the program is swept */
#define SEAL_FROM	 4u  /* attempts in one state: sums save digests */
#define SEALED_WALK	 64u /* one in so many of those that sums clear is walked */
#define NO_POINT	 UINT32_MAX

enum point_state {
	PT_OUT,	  /* of a class that was not asked for */
	PT_TODO,  /* for the pass in place */
	PT_COLD,  /* for a cold pass */
	PT_ALONE, /* for the judge */
	PT_DELIVERED,
	PT_MASKED,
	PT_PRUNED, /* others like it are enough */
};

enum trial_kind {
	TRIAL_POINT,	  /* one point of the golden run */
	TRIAL_VERIFY,	  /* one that was failed already, for its retry */
	TRIAL_EXPLORE,	  /* the same once more, to list what is asked for after it */
	TRIAL_PAIR,	  /* with more that is asked for only then, each after the one before */
	TRIAL_PERSISTENT, /* a point and all after it */
	TRIAL_WHOLE,	  /* all of a class, or all */
	TRIAL_RETRY,	  /* what a failed attempt is, and then a point of its retry */
};

/* Faults to be made in one attempt of an operation. */
struct trial {
	u32 op;
	u32 point;    /* of the golden run: the first, whose context it is booked to */
	u32 next;     /* in the queue of the operation; number + 1, 0: none */
	u32 expected; /* TRIAL_EXPLORE: children that wait for it */
	u8 kind;      /* enum trial_kind */
	u8 nr;
	u64 chain; /* key of its contexts */
	struct fi_item items[FI_MAX_FAULTS];
	struct fi_item again; /* TRIAL_RETRY: of the retry */
};

struct point_info {
	u8 state; /* enum point_state */
	bool benign, verified;
	bool last;	 /* refused, it was followed by no other request */
	const char *why; /* PT_MASKED */
};

struct golden_op {
	u32 first, nr; /* in sweep.points */
	struct outcome out;
	u64 digest, residue, contents; /* after it */
	u32 trials, last_trial;	       /* queue; number + 1, 0: none */
};

struct obs_list {
	struct fl_obs *v;
	u32 nr, max;
	bool oom;
};

/* What is remembered of a context (operation kind, site, two sites before): see
 * sweep_context_find(). */
struct context {
	u64 key;
	u32 findings;
	u32 seen;    /* of a trial's key: how often it was to be queued */
	bool golden; /* some operation of the golden run has it */
	bool failed; /* a request was refused in it */
	bool stray;  /* a trial is to fail it in a retry */
	bool used, ended;
};

struct known {
	char bucket[13];
	bool confirmed;
};

/* One armed attempt of an operation. */
struct attempt {
	struct outcome out;
	bool delivered, exact, broken;
	bool golden;  /* every refusal had a fallback: the operation is over */
	bool changed; /* in a way that is allowed, if nothing was caught */
	bool relaid;  /* a fallback reached another layout of the golden state */
	bool relays;  /* one of the refused has such a fallback */
	bool loose;   /* an optional one was refused and survived: what state that gives is open */
	bool retryable;
	bool again; /* TRIAL_RETRY: this is its second attempt */
	u32 nr_failed;
	/*
	 * Requests met after the last refusal, of the classes asked for; of those, the ones that
	 * the golden run of the operation never makes; and the sets of their sites.
	 */
	u32 after, fresh;
	u64 after_sites, fresh_sites;
};

#define BOARD_POINTS 4096u

/* What a child of SWEEP_FORK leaves behind: in memory that it shares with its parent. */
struct board {
	volatile bool attempting; /* the armed operation is running */
	bool ended;
	int err;
	struct attempt a;
	struct sweep_stats stats; /* what it added */
	bool miscounted;
	u32 nr_caught;
	struct finding caught[MAX_CAUGHT];
	/* The record of the attempt, as far as there is room, and its latest fault. */
	u32 nr_points, after_points;
	struct fi_point points[BOARD_POINTS], fault;
};

struct sweep {
	struct subject *s;
	const struct sweep_options *opt;
	finding_fn fn;
	void *priv;
	struct sweep_stats *stats;

	/*
	 * Of a sweep inside a sweep: the faults with which every machine begins, in the operation
	 * before base, after those before it went as they do in outer. Else NULL, 0.
	 */
	const struct trial *prelude;
	const struct sweep *outer;
	u32 base;
	struct trial states[MAX_STATES];
	u32 nr_states;

	u32 nr_ops;    /* that run to their end without a fault */
	u32 broken_op; /* the operation after them, if it exists and breaks; else UINT32_MAX */
	u64 digest0, residue0;
	struct golden_op *ops;
	struct fi_point *points;
	u32 nr_points, max_points;
	struct point_info *info;  /* of each point */
	struct fi_point *scratch; /* room for the longest operation, and what a fault may add */
	u32 max_scratch;
	u32 nr_scratch, after_scratch; /* points of the last attempt; the first after its faults */
	struct trial *trials;
	u32 nr_trials, max_trials;
	u32 recent[MAX_RECENT], nr_recent; /* trials of the pass in progress */
	u32 counted_op;			   /* operation of golden_met */
	u32 golden_met[FL_NR_SITES];

	/* The run in progress. */
	const struct trial *retried; /* its second attempt has begun */
	bool op_cold;		     /* nothing had been left behind before this operation */
	u64 digest_from;	     /* of the state in before */
	bool has_seal;		     /* the subject has been told to remember that state */
	bool judging;		     /* one fault, one machine: nothing is believed */
	bool mute;		     /* findings of a stretch already judged are not looked at */
	bool faulted;
	u32 nr_faults; /* delivered in this run, if faulted; the last FI_MAX_FAULTS are kept */
	struct fi_point faults[FI_MAX_FAULTS];
	struct fi_plan armed; /* by the last attempt */
	struct finding caught[MAX_CAUGHT], suspects[MAX_CAUGHT];
	u32 nr_caught, nr_suspects;

	char baseline[MAX_BASELINE][13]; /* buckets of the golden run */
	u32 nr_baseline;
	struct known *known;
	u32 nr_known, max_known;
	struct context *contexts; /* open addressing, a power of two */
	u32 nr_contexts, max_contexts;
	struct obs_list before, after;
	struct board *board; /* SWEEP_FORK, else NULL */
	bool miscounted; /* the injector refused more, or fewer, than the attempt was armed for */
	bool census_suspect; /* a pass with many faults ended in a census that is not clean */
	bool census_confirmed;
	struct finding census;
};

static inline const struct subject_ops *ops_of(const struct sweep *sw)
{
	return sw->s->ops;
}

static inline u64 digest_of(struct sweep *sw)
{
	return ops_of(sw)->digest(sw->s->priv);
}

static inline u64 digest_before(const struct sweep *sw, u32 op)
{
	return op > sw->base ? sw->ops[op - 1].digest : sw->digest0;
}

static inline u64 residue_of(struct sweep *sw)
{
	return ops_of(sw)->residue ? ops_of(sw)->residue(sw->s->priv) : 0;
}

static inline u64 residue_before(const struct sweep *sw, u32 op)
{
	return op > sw->base ? sw->ops[op - 1].residue : sw->residue0;
}

static inline u64 contents_of(struct sweep *sw)
{
	return ops_of(sw)->contents ? ops_of(sw)->contents(sw->s->priv) : 0;
}

static inline bool sweep_stopped(const struct sweep *sw)
{
	return sw->opt->stop && sw->opt->stop(sw->opt->priv);
}

/* ---- sweep_findings.c ----------------------------------------------------------------------- */

/* Room for need elements; the array stays as it was when there is none. */
int sweep_grow(void **array, u32 *max, size_t size, u32 need);

/* At the start of each run: nothing caught, no fault delivered. */
void sweep_caught_reset(struct sweep *sw);
/* A finding_fn: takes a finding of the run in progress, names its fault, keeps it in caught. */
void sweep_catch_finding(void *priv, const struct finding *f);
/* The sweep's own finding, to which only operation and fault are to be added. */
void sweep_own(struct sweep *sw, u32 op, struct finding *f);
void sweep_own_finding(struct sweep *sw, enum oracle oracle, u32 op, const char *class_key,
		       const char *expected, const char *actual, const char *fmt, ...)
	__attribute__((format(printf, 7, 8)));
bool sweep_bucket_in(const struct finding *list, u32 nr, const struct finding *f);
/* caught becomes suspects, so that another run can be made. */
void sweep_suspects_take(struct sweep *sw);
/* Passes a finding on, once per bucket; a confirmed one also after an unconfirmed one. */
int sweep_report(struct sweep *sw, struct finding *f, bool confirmed);
/* All suspects, unconfirmed. */
int sweep_report_suspects(struct sweep *sw);
/* Two runs without a fault differ: reports it and returns -EBADMSG. */
int sweep_not_deterministic(struct sweep *sw, u32 op, const char *class_key, const char *expected,
			    const char *actual);
/* The entry of a point's context, made if new; NULL: out of memory. Valid until the next call. */
struct context *sweep_context_find(struct sweep *sw, const struct fi_point *p);
struct context *sweep_key_find(struct sweep *sw, u64 key);
/* NULL also when it is not there yet. */
struct context *sweep_key_lookup(const struct sweep *sw, u64 key);
u64 sweep_context_key(const struct fi_point *p);

int sweep_observe(struct sweep *sw, struct obs_list *list);
/* Catches a finding that names the first record in which before and after differ. */
void sweep_changed_finding(struct sweep *sw, u32 op);
void sweep_print_digest(u64 digest, char *buf, size_t len);

/* ---- sweep_judge.c -------------------------------------------------------------------------- */

enum judge_mode {
	JUDGE_TAIL,  /* retry, run the rest of the program, end all, census */
	JUDGE_RETRY, /* retry, end all, census */
	JUDGE_END,   /* end all right after the attempt, census */
};

void sweep_run_op(struct sweep *sw, u32 op, struct outcome *out);
int sweep_fresh(struct sweep *sw);
/* Records the state before an attempt: sw->before, and the subject's sums if they are asked for. */
int sweep_before(struct sweep *sw, bool seal);
/* A fresh machine in the state that the golden run had before operation op. */
int sweep_rebuild(struct sweep *sw, u32 op);
/*
 * Applies the operation of a trial with its faults armed and judges what comes of it; findings are
 * caught. The caller has recorded the state before the operation in sw->before; it is good for all
 * attempts that begin in that state. On return nothing is armed.
 */
int sweep_attempt(struct sweep *sw, const struct trial *t, struct attempt *a);
/* Operation op has run to its end; false: not with its golden result, which was caught. */
bool sweep_is_golden(struct sweep *sw, u32 op, const struct outcome *out, const char *who);
/*
 * The operation once more after a failed attempt: to its golden result, or in another layout if
 * something refused allows that (a->relaid). False: neither, which was caught.
 */
bool sweep_retry(struct sweep *sw, u32 op, struct attempt *a);
/* The same of a run that is over: what it came to is out. */
bool sweep_reached(struct sweep *sw, u32 op, const struct outcome *out, struct attempt *a,
		   const char *who);
/*
 * A trial's faults as the only ones in a fresh machine. What it does wrong is in caught afterwards.
 * The run ends at its first finding: what a damaged state does later says nothing more.
 */
int sweep_judge_alone(struct sweep *sw, const struct trial *t, enum judge_mode mode,
		      struct attempt *a);
/* The same in a machine that is in the golden state before the operation. */
int sweep_judge_here(struct sweep *sw, const struct trial *t, enum judge_mode mode,
		     struct attempt *a);
/* The judge has caught something: once more, and what is seen again is confirmed. */
int sweep_confirm(struct sweep *sw, const struct trial *t, enum judge_mode mode);
/*
 * A pass with many faults caught something at this trial: asks the judge, reports. Leaves no usable
 * machine behind.
 */
int sweep_escalate(struct sweep *sw, const struct trial *t);
/*
 * Operation op did not reach its golden result although all that failed before it left no trace
 * that anybody saw: asks the judge about the latest deliveries, backwards from op.
 */
int sweep_blame(struct sweep *sw, u32 op);

/* ---- sweep_trials.c ------------------------------------------------------------------------- */

bool sweep_selected(const struct sweep *sw, const struct fi_point *p);
/* The trial of one point alone. */
struct trial sweep_single(const struct sweep *sw, u32 i);
/* Does the golden run of its operation not have this request, or no operation its context? */
bool sweep_is_fresh(struct sweep *sw, const struct fi_point *p);
/*
 * Point i, or what the trial is about, has been delivered: queues what follows from it, or counts
 * why not. To be called before anything else is run, as it reads what the attempt has met.
 */
int sweep_follow(struct sweep *sw, const struct trial *t, const struct attempt *a);
/* Has point i, which was delivered, retried by itself; once per context. */
int sweep_queue_verify(struct sweep *sw, u32 i);
/*
 * A recorded run in a state that a failed attempt had left is over: it may have met contexts that
 * no other has. in place: point `before` was failed last, and is to be retried by itself, to see
 * whether it is so then; else the attempt was that of the trial t.
 */
int sweep_note_strays(struct sweep *sw, u32 before, const struct trial *t);
/* The same after trial t, in a later operation: the rest of the program is to be swept from there.
 */
int sweep_note_state(struct sweep *sw, const struct trial *t);
/* A trial that came to nothing. */
void sweep_trial_failed(struct sweep *sw, const struct trial *t);
/* The next trial of op, taken off its queue; false: there is none. */
bool sweep_next_trial(struct sweep *sw, u32 op, struct trial *t);
/* Queues each class of each operation as a whole, or of one. */
int sweep_queue_whole(struct sweep *sw);
int sweep_queue_whole_op(struct sweep *sw, u32 op);
/* All that still waits has failed. */
void sweep_drop_trials(struct sweep *sw);
/* Thins out the points of operations that have very many of a kind. */
int sweep_prune(struct sweep *sw);

/* ---- sweep_golden.c ------------------------------------------------------------------------- */

/*
 * Lists points, outcomes and digests of all operations, and repeats that. -EBADMSG: the second run
 * was another, which is reported. What is wrong without a fault is reported, too.
 */
int sweep_golden(struct sweep *sw);

/* ---- sweep_fork.c --------------------------------------------------------------------------- */

/* Every point that waits, in a child of its own. */
int sweep_fork_pass(struct sweep *sw);

/* ---- sweep.c -------------------------------------------------------------------------------- */

/* Point i has been failed. Counted at once, for whoever holds the statistics of a dead process. */
void sweep_deliver(struct sweep *sw, u32 i);
void sweep_mask(struct sweep *sw, u32 i, const char *why);
/* After point i was failed, its operation reached the golden result: at once or when retried. */
void sweep_verified(struct sweep *sw, u32 i);
/* Enough was found in this point's context; masks the point then. Negative: out of memory. */
int sweep_given_up(struct sweep *sw, u32 i);
void sweep_progress(const struct sweep *sw, u32 op);

#endif
