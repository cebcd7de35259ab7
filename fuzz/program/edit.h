/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs made of pieces of others: operations are copied one by one, and what they name is looked
 * up in a table of what the names of the source have become. Mutator and minimiser live on it.
 */
#ifndef FAULTLINE_EDIT_H
#define FAULTLINE_EDIT_H

#include "program.h"

/* A name of the source that the copy does not have. */
#define NAME_LOST (UINT32_MAX - 1)

/* Per name of the source, what it is in the copy. */
struct edit_names {
	struct arg *results; /* BASE_REF with a new number, or an address that stands for it;
				ref NAME_LOST: nothing does */
	u32 *tasks, *files;  /* new numbers, or NAME_LOST; a file may be NO_REF */
};

/* All lost but t0. 0 or -ENOMEM, nothing to free. */
int edit_names_init(struct edit_names *n, const struct program *src);
void edit_names_free(struct edit_names *n);

/*
 * Appends operation i of src to dst, with segments, marks, expectation and comments, and puts the
 * name that it defines into n. What it refers to and is lost becomes a name that dst has, chosen by
 * the old number; without any, the window, t0, or no file. NULL: out of memory or PROG_MAX_OPS.
 */
struct op *edit_copy(struct program *dst, const struct program *src, u32 i, struct edit_names *n);
/*
 * Operation i is left out: its name becomes what it was made from. A task is its parent, a result
 * the first address operand, a file none.
 */
void edit_omit(const struct program *src, u32 i, struct edit_names *n);
/* Machine line, end of the run, comments at head and foot. 0 or -ENOMEM with dst left as it is. */
int edit_copy_head(struct program *dst, const struct program *src);
/* The whole of src; dst is uninitialised. 0 or -ENOMEM, dst left empty. */
int edit_clone(struct program *dst, const struct program *src);

#endif
