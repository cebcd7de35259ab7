/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a sweep works on, and what it says: an abstract subject, outcomes of operations, findings.
 */
#ifndef FAULTLINE_SUBJECT_H
#define FAULTLINE_SUBJECT_H

#include <faultline/check.h>

#include "inject.h"

enum outcome_kind {
	OUT_OK,	   /* value holds the result */
	OUT_ERRNO, /* value holds the negative errno */
	OUT_SIGSEGV,
	OUT_SIGBUS,
	OUT_OOM,
	OUT_SKIPPED, /* the task is unborn, gone or blocked, or an operand was never produced */
	OUT_KILLED,  /* past a point of no return: the task has exited; value holds the errno */
	OUT_BROKEN,  /* a finding stopped the operation; the subject must be reset */
};

struct outcome {
	u8 kind;
	s64 value; /* semantic: addresses of the modelled space, never of the host */
};

static inline bool outcome_equal(const struct outcome *a, const struct outcome *b)
{
	return a->kind == b->kind && a->value == b->value;
}
/* "0x7f00", "-ENOMEM", "SIGSEGV", "skip", ... */
int outcome_print(const struct outcome *o, char *buf, size_t len);
/* "ENOMEM" for 12; NULL when unknown. errno_find: 0 when unknown. */
const char *errno_name(int err);
int errno_find(const char *name, size_t len);

#define ORACLES(X)   \
	X(expect)    \
	X(invariant) \
	X(census)    \
	X(refcount)  \
	X(digest)    \
	X(converge)  \
	X(model)     \
	X(tlb)       \
	X(swallowed) \
	X(asan) X(ubsan) X(lsan) X(msan) X(tsan) X(crash) X(hang) X(host) X(backend) X(lock)
enum oracle {
#define X(name) ORACLE_##name,
	ORACLES(X)
#undef X
	NR_ORACLES
};
extern const char *const oracle_names[NR_ORACLES];

#define FI_MAX_FAULTS 4u

struct finding {
	enum oracle oracle;
	char what[192];		 /* one line, without addresses of the host */
	char class_key[64];	 /* invariant id or error class: part of the bucket */
	char func[64];		 /* detecting engine function, or "-" */
	u32 op;			 /* UINT32_MAX: after the last one */
	char name[24];		 /* of the operation, or "teardown" */
	char plan[FI_PLAN_TEXT]; /* canonical, "" without a fault */
	u32 nr_faults; /* deliveries so far, the latest FI_MAX_FAULTS of them kept, in order */
	struct fi_point faults[FI_MAX_FAULTS];
	char expected[FL_TEXT], actual[FL_TEXT];
	bool confirmed; /* seen again by replay in a fresh machine */
	/*
	 * Only what a sweep does beyond the fault shows it: the retry, the end right after it, the
	 * comparison with the golden run. The plan alone does not bring it back.
	 */
	bool by_sweep;
};

/*
 * The fault to which a finding is put down, or NULL: the latest one. That is the last of the
 * operation that broke, or if none was delivered there the last before it; what other operations
 * had survived earlier says nothing about the bug.
 */
const struct fi_point *finding_fault(const struct finding *f);
/* 12 hex digits and NUL: hash of oracle, class_key, site of finding_fault() or "-", func. */
void finding_bucket(const struct finding *f, char bucket[13]);
/* The contract's first line, without newline. */
int finding_line(const struct finding *f, char *buf, size_t len);

typedef void (*finding_fn)(void *priv, const struct finding *f);

/*
 * The two verdicts on a delivered fault, without operation and faults: the state is another one
 * (the first record in which two observations differ), and the outcome is not a declared error.
 */
void finding_of_change(struct finding *f, const struct fl_obs *before, u32 nr_before,
		       const struct fl_obs *after, u32 nr_after);
void finding_of_outcome(struct finding *f, const struct outcome *out);

/*
 * A program together with a machine to run it on. Subjects report what they see themselves (a
 * broken invariant, a bug of the engine, a failed expectation, the census) through the finding_fn
 * that they were made with, with op and faults filled in; the sweep adds its own. While a sweep
 * runs it takes the subject's findings to itself, has them confirmed and passes them on.
 */
struct subject_ops {
	/* Where the subject's own findings go from now on; kept by reset. */
	void (*report_to)(void *s, finding_fn fn, void *priv);
	/* A fresh machine, nothing run. 0, or a negative errno: the host is out of memory. */
	int (*reset)(void *s);
	u32 (*nr_ops)(void *s);
	u16 (*op_kind)(void *s, u32 op);
	const char *(*op_name)(void *s, u32 op);
	/*
	 * Runs operation op once, with fi_op_begin() before it. Reports what its checks find; a
	 * finding makes OUT_BROKEN only if the machine cannot go on.
	 */
	void (*apply)(void *s, u32 op, struct outcome *out);
	u64 (*digest)(void *s);
	/*
	 * Optional, both or none: what costs less than a digest. seal remembers the state; sealed
	 * says, by sums that are kept anyway, that it is still the same. False: ask the digest.
	 */
	void (*seal)(void *s);
	bool (*sealed)(void *s);
	/* Records of the semantic state, for explaining a difference. */
	void (*observe)(void *s, fl_obs_fn fn, void *priv);
	/* Everything that must hold at rest, by full walk. Returns the number of violations. */
	u32 (*check)(void *s);
	/* Ends all tasks, closes all files, takes the census. Returns the number of violations. */
	u32 (*teardown)(void *s);
	/*
	 * Optional: the same with every request refused. One that is not declared benign is a
	 * finding: what ends a task has nobody to tell.
	 */
	u32 (*teardown_exhausted)(void *s);

	/* ---- what is declared about (operation, site)
	 * ----------------------------------------------- */

	/* Refusing this point alone must not be seen: the operation goes on (a declared fallback).
	 */
	bool (*benign)(void *s, u32 op, const struct fi_point *point);
	/*
	 * Optional, both or none: may the fallback of this benign point lay memory out in another
	 * way? Then its state is judged by contents, which is the same for all layouts.
	 */
	bool (*relays)(void *s, u32 op, const struct fi_point *point);
	u64 (*contents)(void *s);
	/* Optional: may operations give other results in another layout, from here on? */
	bool (*shows_layout)(void *s);
	/*
	 * Optional: can the operation come to the one in one layout, to the other in another, with
	 * the same contents? Asked of what comes after such a fallback.
	 */
	bool (*by_layout)(void *s, u32 op, const struct outcome *golden, const struct outcome *out);
	/*
	 * Optional: which site a benign point's fallback must ask next, at once. SITE_none: that
	 * is not declared.
	 */
	enum fl_site (*fallback)(void *s, u32 op, const struct fi_point *point);
	/*
	 * Optional: a point that is only asked for after another was refused, and whose refusal the
	 * operation may survive or not.
	 */
	bool (*optional)(void *s, const struct fi_point *point);
	/*
	 * Optional: a point whose refusal the operation may have gone on after without a word: when
	 * another one was refused later, the result is that one's.
	 */
	bool (*untold)(void *s, u32 op, const struct fi_point *point);
	/* Is this the outcome that the operation must have when the point fails? */
	bool (*declared_error)(void *s, u32 op, const struct fi_point *point,
			       const struct outcome *out);
	/*
	 * The state changed although the operation failed: is it one of the states that the
	 * exception table allows? before and after are full observations. The name of the
	 * exception, or NULL: it is a finding.
	 */
	const char *(*allowed)(void *s, u32 op, const struct outcome *out,
			       const struct fl_obs *before, u32 nr_before,
			       const struct fl_obs *after, u32 nr_after);
	/* Can the operation be tried again after it failed with this outcome? */
	bool (*retryable)(void *s, u32 op, const struct outcome *out);

	/*
	 * Optional: changes when something stays allocated that the digest does not show, such as
	 * empty tables: the live pages and objects of the allocator. By it the sweep knows whether
	 * the requests of a second attempt are those of the first. NULL: nothing ever stays.
	 */
	u64 (*residue)(void *s);
	/*
	 * Optional, both or none. snapshot keeps the state between two operations in place of what
	 * it kept before: 0; -EOPNOTSUPP: this subject has no way to; -EINVAL: the machine cannot
	 * go on; -ENOMEM. restore puts that state back as often as asked, also after the machine
	 * broke, a teardown or a reset: 0; -EINVAL: nothing is kept; -ENOMEM. After an error of
	 * restore there is no machine, and a reset is needed. What the subject tells others is not
	 * rewound: the injector, findings, coverage.
	 */
	int (*snapshot)(void *s);
	int (*restore)(void *s);
};

struct subject {
	const struct subject_ops *ops;
	void *priv;
	struct fi *fi; /* the injector that the subject's machine asks */
};

#endif
