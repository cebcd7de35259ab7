/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sweep: every fault point of a program, each failed once, at a cost that is linear in points
 * plus operations (DESIGN.md §6, facts §9).
 *
 * Identities, printed and checked: met = delivered + masked; in-place executed_ops = in-place
 * deliveries + ops. masked counts points of the golden pass that no mode delivered; each is
 * reported.
 */
#ifndef FAULTLINE_SWEEP_H
#define FAULTLINE_SWEEP_H

#include "subject.h"

enum sweep_mode {
	SWEEP_INPLACE = 1,
	SWEEP_REPLAY = 2,
	/*
	 * A child process per point, made where the golden run stands before the operation: for
	 * subjects that kill their process. Taken only when asked for alone: a process cannot
	 * know that it is going to die, so it is for whoever outlives it to sweep again like this.
	 */
	SWEEP_FORK = 4,
	/*
	 * In the golden state before the operation, kept once and put back for each point: exact,
	 * as a replay is, and cheaper where the subject can do it. Others skip this mode.
	 */
	SWEEP_SNAPSHOT = 8
};
#define SWEEP_NR_MODES 4u
extern const char *const sweep_mode_names[SWEEP_NR_MODES]; /* by bit */

/* Points of one operation in one context above which they are thinned out: see like. */
#define SWEEP_LIKE 512u

struct sweep_options {
	u32 classes; /* bit per enum fl_class; 0: all */
	/*
	 * Of the points of one operation that have the same site and context, how many are failed:
	 * the first, the last, and evenly spread ones between. The k-th of them costs k of the
	 * operation's steps, so all of n cost n * n. 0: SWEEP_LIKE; UINT32_MAX: all.
	 */
	u32 like;
	/*
	 * Pairs inside an operation also of requests that the golden run makes; and where a fault
	 * left another state, pairs with all points of the operations after it.
	 */
	bool pairs;
	bool single; /* no trials of more than one fault */
	u32 modes;   /* enum sweep_mode bits; 0: all, escalating */
	/* Progress: called now and then with the operation reached. May be NULL. */
	void (*progress)(void *priv, u32 op, u32 nr_ops);
	/* Asked before each operation; true ends the sweep with -EINTR. May be NULL. */
	bool (*stop)(void *priv);
	/* A point of the golden pass that no mode delivered, and why. May be NULL. */
	void (*masked)(void *priv, const struct fi_point *point, const char *why);
	/*
	 * A point, or the last one of a pair, was failed, and after that the operation reached its
	 * golden result. May be NULL.
	 */
	void (*verified)(void *priv, const struct fi_point *point);
	/* The same, but for these the operation is over: it cannot be tried again. May be NULL. */
	void (*over)(void *priv, const struct fi_point *point);
	/* nr points of one operation are not failed, being like this one. May be NULL. */
	void (*pruned)(void *priv, const struct fi_point *like, u64 nr, u64 of);
	/*
	 * Runs fn(arg) in a child process and waits for its end. 0: fn returned. 1: the child died,
	 * and how says how: oracle, what, class_key, func, expected, actual, and op if the subject
	 * was at another than the one given. Or a negative errno. Of what the child did only that
	 * remains which it wrote to shared memory of its parent's making; the subject and its
	 * injector, but for statistics, must be to the parent as they were. Needed by SWEEP_FORK.
	 */
	int (*isolate)(void *priv, void (*fn)(void *arg), void *arg, struct finding *how);
	void *priv;
};

struct sweep_stats {
	u64 ops;       /* up to the first that breaks without any fault */
	u64 met;       /* points of the selected classes, listed by the golden pass */
	u64 delivered; /* of those, failed by some mode; benign ones included */
	u64 benign;
	u64 verified; /* of those delivered, after which the operation reached its golden result */
	u64 masked;   /* of those, failed by none; pruned ones included */
	u64 pruned;   /* enough points like them were failed */
	/*
	 * Requests met after the last fault of an attempt, of which each makes a set of faults with
	 * one more: children = pairs + pairs_pruned + pairs_masked + pairs_left.
	 */
	u64 children;
	u64 pairs;	  /* delivered together with what they are children of */
	u64 pairs_pruned; /* the same chain of contexts was delivered elsewhere, or is too long */
	u64 pairs_masked; /* not met again, or given up */
	u64 pairs_left;	  /* also met without a fault, and sweep_options.pairs is not set */
	/*
	 * Points failed with all that comes after them: delivered = persistent + persistent_same +
	 * persistent_pruned, if all classes are swept.
	 */
	/*
	 * With sweep_options.pairs, a point and one of a later operation: those where the state was
	 * the same after the first, so that they are the second alone; those where the same state
	 * was reached by another; those of states that were too many; and the sweeps from the other
	 * states, with what these met.
	 */
	u64 cross_equal, cross_same, cross_left;
	u64 cross_states, cross_met, cross_delivered, cross_masked;
	u64 persistent;
	u64 persistent_same;   /* nothing comes after them: the single fault was that */
	u64 persistent_pruned; /* the same context, and the same sites after it, elsewhere */
	u64 whole;	       /* operations with all of a class failed, or all of everything */
	u64 whole_same;	       /* their first point, failed alone, was the whole class */
	/*
	 * Contexts that only the retry of a failed attempt has: the request refused there as well,
	 * and a third attempt made.
	 */
	u64 retries;
	u64 retries_masked; /* not met again, or given up */
	/*
	 * Attempts that left the state as it was by the subject's sums alone; of those, and of
	 * others like them, how many a digest was held against.
	 */
	u64 sealed, sealed_walked;
	u64 restored;	       /* snapshots put back */
	u64 exhausted;	       /* ends of all tasks with everything refused */
	u64 executed_ops;      /* in place: attempts and clean runs */
	u64 inplace_delivered; /* attempts in place that met their fault */
	u64 replay_ops;	       /* operations run by replays and confirmations */
	u64 findings;	       /* confirmed, one per bucket */
	u64 artefacts;	       /* not confirmed by replay, one per bucket */
	u64 repeats;	       /* further sightings of buckets already reported */
	u64 crashes;	       /* children that died, see SWEEP_FORK */
	bool listed;	       /* the golden runs are over */
	struct fi_stats sites; /* reached and failed, by site */
};

/* Its counts: what adds up over several programs. */
#define SWEEP_COUNTS(X)      \
	X(ops)               \
	X(met)               \
	X(delivered)         \
	X(benign)            \
	X(verified)          \
	X(masked)            \
	X(pruned)            \
	X(executed_ops)      \
	X(inplace_delivered) \
	X(replay_ops)        \
	X(children)          \
	X(pairs)             \
	X(pairs_pruned)      \
	X(pairs_masked)      \
	X(pairs_left)        \
	X(cross_equal)       \
	X(cross_same)        \
	X(cross_left)        \
	X(cross_states)      \
	X(cross_met)         \
	X(cross_delivered)   \
	X(cross_masked)      \
	X(persistent)        \
	X(persistent_same)   \
	X(persistent_pruned) \
	X(whole)             \
	X(whole_same)        \
	X(retries)           \
	X(retries_masked)    \
	X(sealed)            \
	X(sealed_walked)     \
	X(restored)          \
	X(exhausted)         \
	X(artefacts)         \
	X(repeats)           \
	X(crashes)

/*
 * Sweeps the subject. Findings go to fn, each confirmed by replay in a fresh machine or marked as
 * not; afterwards the subject's own findings go there too. 0; -EPROTO when the injector's self-test
 * fails or the identities do not hold; -EBADMSG when runs without a fault differ (not
 * deterministic; the difference goes to fn); -EINTR when stopped; -EOPNOTSUPP when a mode was asked
 * for alone that the subject or its options do not have; -ENOMEM; or a negative errno of
 * the subject's reset. stats is filled in whatever is returned, and its identities hold: what was
 * not reached is masked. All but masked grows as the sweep goes on, so that in shared memory stats
 * says how far a sweep came whose process has died. The subject needs a reset before it is used
 * again.
 */
int sweep_run(struct subject *s, const struct sweep_options *opt, finding_fn fn, void *priv,
	      struct sweep_stats *stats);

#endif
