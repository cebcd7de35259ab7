/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reference model beside the engine: runs each operation on both, compares what came of it, and
 * says where they differ (oracle `model`).
 */
#ifndef FAULTLINE_COMPARE_H
#define FAULTLINE_COMPARE_H

#include "target_priv.h"

enum modelled {
	NOT_LISTED,
	IS_MODELLED,
	IS_UNCHANGED,
	IS_UNMODELLED,
	IS_LASTING
};

/* Rows of modelled.def. why is NULL for what is modelled, or not listed. */
struct modelled_row {
	enum modelled how;
	const char *why;
};
extern const struct modelled_row modelled_ops[NR_OPS];
/* Has it a row, be it one of those to come? */
bool modelled_is_listed(enum op_code code);
/* By name, for options; how is NOT_LISTED when there is none. */
struct modelled_row modelled_option(const char *name);

/* NULL: no memory. */
struct compare *compare_new(const struct target *t);
void compare_free(struct compare *cmp);

/* A fresh machine has been booted with this image, or (NULL) has no task. */
void compare_begin(struct target *t, const struct exec_image *image);
/* Around an operation that is not skipped. */
void compare_before(struct target *t, const struct call *c);
void compare_after(struct target *t, const struct call *c);
/* An operation whose task cannot act, or (acts) lacks an operand. */
void compare_skipped(struct target *t, bool acts);
/* Keeps the model, and puts back what was kept, as the machine is: addresses in it are the same. */
void compare_snapshot(struct target *t);
void compare_restore(struct target *t);
/* Everything, before the tasks end. */
void compare_all(struct target *t);

#endif
