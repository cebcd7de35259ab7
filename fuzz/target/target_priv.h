/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of this folder share. */
#ifndef FAULTLINE_TARGET_PRIV_H
#define FAULTLINE_TARGET_PRIV_H

#include "target.h"

/* ---- findings.c ----------------------------------------------------------------------------- */

/* Completes a finding with operation, name and faults, and passes it on. */
void target_report(struct target *t, struct finding *f);

/* The engine's bug seam: leaves the engine wherever it was. The machine is not used any more. */
__attribute__((noreturn)) void target_bug(void *priv, enum fl_bug kind, const char *func,
					  const char *what);

typedef void (*step_fn)(struct target *t, void *arg);
/* Runs fn; false when the engine gave up inside, which has been reported. */
bool target_guarded(struct target *t, step_fn fn, void *arg);

/* The first violation of a check; those after it are mostly its consequences, and only counted. */
struct violations {
	u32 nr;
	bool census;
	struct finding first;
};
/* fl_violation_fn; priv is a struct violations. */
void target_on_violation(void *priv, const struct fl_violation *v);
void target_report_violations(struct target *t, struct violations *vs);

/* ---- target.c ------------------------------------------------------------------------------- */

/*
 * Far above what any operation needs: some turns per object and a walk over every table entry. The
 * bound is part of the oracle, so it depends on the state alone.
 */
u64 target_step_budget(const struct machine *m);
void target_switch_to(struct target *t, unsigned int cpu, struct task_struct *tsk);
/* An instance of the backend, in the target's slot; NULL when the host has no memory for it. */
void *target_create_inst(struct target *t);
/* How many names of a kind there is room for: one at least. */
u32 target_names(const struct program *p, enum def_kind kind);
/*
 * Does the task, or a thread of its group, or with sharers anybody who shares its mm, want a word
 * to be cleared?
 */
bool target_clears_tid(const struct target *t, const struct task_struct *tsk, bool sharers);
/* What was running is thrown away, whatever state it is in: the backend frees what it gave out. */
void target_drop_machine(struct target *t);

/* ---- ops.c ---------------------------------------------------------------------------------- */

struct call {
	const struct op *op;
	struct target_task *task;
	struct outcome *out;
	u64 addr, addr2; /* the first address operand, and the second */
	struct file *file;
};
/* The task that can act, or NULL. */
struct target_task *target_acting(struct target *t, u32 op);
/* Resolves what decides whether the operation can be; false: it is skipped. */
bool target_operands(const struct target *t, struct call *c);
/* step_fn; arg is a struct call. */
void target_do_op(struct target *t, void *arg);
/* The task on the CPU ends. */
void target_leave(struct target *t, struct target_task *task);

/* ---- snapshot.c ----------------------------------------------------------------------------- */

/* subject_ops.snapshot and .restore; -EOPNOTSUPP with a backend that has none. */
int target_snapshot(void *s);
int target_restore(void *s);

/* ---- teardown.c ----------------------------------------------------------------------------- */

u32 target_teardown(void *s);
/* While everything is refused. */
u32 target_teardown_exhausted(void *s);
/* A request made then: refused, and reported if nothing is declared that does without. */
bool target_refuse_end(struct target *t, enum fl_site site, gfp_t gfp);

#endif
