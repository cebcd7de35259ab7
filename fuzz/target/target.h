/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The executor: a program on a machine. It resolves names to addresses, tasks and files, decides
 * what is skipped, judges expectations, runs the checks, and turns whatever the engine reports into
 * findings. It is the subject of a sweep, and target_run() is what `run` and the fuzzers call.
 *
 * A target keeps no state between two resets but the injector's counters and its coverage. Running
 * allocates only through the machine's backend, but for the observations around a fault.
 */
#ifndef FAULTLINE_TARGET_H
#define FAULTLINE_TARGET_H

#include <setjmp.h>
#include <stdio.h>

#include <faultline/mm_types.h>
#include <faultline/syscalls.h>

#include "program.h"

/*
 * Where `w` lies: above the images of programs, below what mmap() places by itself, in the user
 * half of every geometry; a span of a PTE table begins there.
 */
#define TARGET_WINDOW 0x50000000u

enum check_level {
	CHECK_OFF,
	/*
	 * The acting task's mm before and after each operation (of one with many tables, those that
	 * the operands reach), the whole machine after every 16th operation, fork, exec, exit and a
	 * delivered fault, and at the end.
	 */
	CHECK_TOUCHED,
	CHECK_FULL, /* the whole machine after each operation */
	NR_CHECK_LEVELS
};
extern const char *const check_level_names[NR_CHECK_LEVELS];

/* A request as operations see it: what fault coverage counts. */
struct cover_key {
	u16 site, op_kind, prev, prev2;
};

struct cover_entry {
	struct cover_key key;
	bool used;
	u64 met, failed; /* requests */
	u64 verified;	 /* points of a sweep that were failed, and then retried with success */
	u64 clean;	 /* of met, while nothing had failed in this machine */
	u64 over;	 /* points of a sweep whose operation is not tried again when they fail */
};
#define COVER_COUNTS(X) X(met) X(failed) X(verified) X(clean) X(over)

#define COVER_MAX 16384u /* a power of two */

/* Contexts met and failed, filled by a target that was given one. lost: did not fit. */
struct cover {
	u32 nr, lost;
	struct cover_entry entries[COVER_MAX];
};
/* The entry of a key, made if new; NULL when the table is full. */
struct cover_entry *cover_find(struct cover *c, const struct cover_key *key);

/* What happened to an operation, for traces. */
struct target_event {
	u32 op;
	const struct outcome *out;
	const struct fi_point *points; /* requests met */
	u32 nr_points;
};
typedef void (*target_event_fn)(void *priv, const struct target_event *ev);

/* What the engine asks whether a request is refused; for measurements of what asking costs. */
enum target_injector {
	TARGET_INJECT,	    /* the injector, with coverage and trace hash */
	TARGET_INJECT_BARE, /* the injector alone */
	TARGET_INJECT_NONE, /* nobody */
};

struct target_options {
	enum target_injector injector;
	struct machine_config machine; /* checked */
	const struct fl_allocator_ops *alloc;
	u32 slot; /* of the backend: targets that live at the same time need one each */
	enum check_level check;
	/* Judge what the program expects. Of a fuzzer's bytes that means nothing. */
	bool expectations;
	bool strict;	     /* target_run() takes the strict digest, too */
	bool no_model;	     /* run without the reference model */
	bool no_digest;	     /* the trace hash ends without the last state; for measurements */
	bool no_marks;	     /* target_run() leaves the program's marks out, as a sweep does */
	u32 max_ops;	     /* operations that run before the rest is left out, 0: all */
	u64 max_work;	     /* objects met by the operations, see target_work(); 0: any number */
	struct fi *fi;	     /* the injector; the caller's, so that it may lie in shared memory */
	struct cover *cover; /* or NULL */
	volatile u32 *position; /* operation about to run is stored there, or NULL */
	/* Called after each operation of target_run(), or NULL; room for its points. */
	target_event_fn event;
	void *event_priv;
	struct fi_point *points;
	u32 max_points;
};

#define TARGET_MAX_FAULTS FI_MAX_FAULTS

/* What the reference model did in the last run. */
struct model_stats {
	u64 agreed;    /* operations with the same outcome on both sides */
	u64 followed;  /* ended by a refusal, in a state that is allowed */
	u64 unchanged; /* not modelled, but nothing that shows may change */
	u64 resynced;  /* not modelled: taken over from the engine */
	u64 disagreed;
	u64 off; /* machines for which there is none: of the last one, the option is why */
	u32 by_op[NR_OPS]; /* of resynced */
	char option[24];
};
void model_stats_add(struct model_stats *to, const struct model_stats *from);
/* A line, or two; the words are the command's and the harness's. */
void model_stats_print(const struct model_stats *s, FILE *out);

struct target_task {
	struct task_struct *tsk; /* NULL: unborn or gone */
	unsigned int cpu;
	u32 pid; /* tells, when others may have ended it, whether it is still there */
};

struct target {
	const struct program *p;
	struct target_options opt;
	finding_fn fn;
	void *priv;

	/* The machine and what the program's names stand for; new with each reset. */
	void *inst;
	struct machine *m;
	struct ctx cx;
	struct target_task *tasks; /* by tN */
	struct file **files;	   /* by fN; NULL: not open */
	s64 *results;		   /* by rN */
	bool *result_known;
	u32 *order;   /* room for one number per task */
	u32 nr_run;   /* operations applied and not skipped */
	bool broken;  /* the machine must not be touched any more */
	bool running; /* in target_run(), not in a sweep */
	const struct fi_plan *plan;
	u32 nr_mark_faults; /* delivered marks kept in mark_items */
	struct fi_item mark_items[FI_MAX_ITEMS];
	u32 nr_faults;
	struct fi_point faults[TARGET_MAX_FAULTS]; /* the latest of them, in order */
	/*
	 * Of the operation in progress: the first refusal that it must not survive, and whether one
	 * was refused that it may or may not survive. Then the state before, if that may happen.
	 */
	struct fi_point hard;
	bool hit_hard, hit_soft;
	/* The last of those may have been survived all the same; one was, and left its mark. */
	bool hit_untold, passed_untold;
	struct target_obs {
		struct fl_obs *v;
		u32 nr, max;
		bool lost; /* no memory for all of it */
	} before, after;
	u32 op;		 /* running or last one, UINT32_MAX: after the last */
	bool in_op;	 /* requests are counted and may be failed */
	bool exhausted;	 /* the end of the run has nothing to allocate from */
	u32 nr_asked;	 /* requests made then that no fallback is declared for */
	u32 number;	 /* of the acting task, as observations number tasks when it begins */
	bool clears_tid; /* the operation may find that it cannot clear a word of its task's */
	u64 vm_before;	 /* pages that the acting task had mapped */
	u64 brk_wanted;	 /* argument of the last brk, for what is declared of it */
	u32 nr_findings;
	u64 hash;
	u64 stamp;		  /* of the state that a sweep asked to remember; 0: of none */
	struct target_snap *snap; /* what snapshot kept, or NULL */

	struct compare *cmp; /* the model beside it, or NULL */
	struct model_stats model;
	bool tight; /* memory was so short that requests may have failed by themselves */

	bool guarded;
	jmp_buf env;
};

/*
 * p, and what opt points to, must outlive the target. 0 or -ENOMEM. target_fini() takes back what
 * target_init() and any run made, also after a failure.
 */
int target_init(struct target *t, const struct program *p, const struct target_options *opt,
		finding_fn fn, void *priv);
void target_fini(struct target *t);

extern const struct subject_ops target_subject;

struct target_result {
	u32 ops; /* executed, skipped ones not counted */
	u64 met, delivered;
	u64 refills; /* what the backend asked for itself, not in met */
	u32 findings;
	bool truncated; /* max_ops or max_work was reached */
	u64 trace_hash;
	u64 strict; /* digest of the last state, caches and counts of the past included; if asked
		       for */
	struct model_stats model;
};

/*
 * What an operation and the checks after it may have to look at: objects, pairs of tasks, and
 * entries of page tables. The sum over the operations of a run says what it costs, the same on each
 * machine.
 */
u64 target_work(const struct machine *m);

/*
 * Runs the whole program once in a fresh machine, its marks and the plan (or NULL) armed, judges
 * it, ends all tasks and takes the census. 0; -E2BIG when plan and marks do not fit together;
 * -ENOMEM when the host has no memory for the machine.
 */
int target_run(struct target *t, const struct fi_plan *plan, struct target_result *res);

/*
 * Which faults a finding names, and the plan that brings them back: what target_run() has delivered
 * so far. Looks at nothing but the struct, so it may be used on one whose process has died.
 */
void target_faults(const struct target *t, struct finding *f);

/* ---- declared/: what is allowed to happen --------------------------------------------------- */

/* May the fallback lay memory out in another way? */
bool declared_relays(const struct target *t, u32 op, const struct fi_point *point);
/* May golden and out be due to another layout of the same contents? */
bool declared_by_layout(const struct target *t, u32 op, const struct outcome *golden,
			const struct outcome *out);
/* The site that the fallback must ask next, at once, or SITE_none. */
enum fl_site declared_fallback(const struct target *t, u32 op, const struct fi_point *point);
bool declared_benign(const struct target *t, u32 op, const struct fi_point *point);
/* Perhaps of a word that could not be cleared when a task left its mm: of that nobody is told. */
bool declared_untold(const struct target *t, u32 op, const struct fi_point *point);
/* Together with an earlier refusal: whether the operation goes on depends on who asked. */
bool declared_optional(const struct fi_point *point);
bool declared_error(const struct target *t, u32 op, const struct fi_point *point,
		    const struct outcome *out);
const char *declared_exception(const struct target *t, u32 op, const struct outcome *out,
			       const struct fl_obs *before, u32 nr_before,
			       const struct fl_obs *after, u32 nr_after);
bool declared_retryable(const struct target *t, u32 op, const struct outcome *out);
/* Why no program reaches this site, or NULL. */
const char *declared_unreached(enum fl_site site);

/* An address argument in the acting task; false: an operand was never produced. */
bool target_addr(const struct target *t, const struct target_task *task, const struct arg *a,
		 u64 *out);

#endif
