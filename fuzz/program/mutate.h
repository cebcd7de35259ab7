/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mutation of programs: what libFuzzer and AFL++ call instead of changing bytes. All of it works on
 * operations and by the table of operations; the result is a program whatever went in.
 */
#ifndef FAULTLINE_MUTATE_H
#define FAULTLINE_MUTATE_H

#include "program.h"

/* More operations than a fuzz target runs are never made, and dropped from what comes in. */
#define MUTATE_MAX_OPS 512u

enum mutation {
	MUTATE_INSERT, /* new operations that fit what should be alive and mapped there */
	MUTATE_DELETE, /* a run of operations */
	MUTATE_DUPLICATE,
	MUTATE_MOVE,	/* a run goes elsewhere */
	MUTATE_SPLICE,	/* a run of the other program is put in */
	MUTATE_CROSS,	/* the beginning of one, the end of the other */
	MUTATE_ARG,	/* by the kind of the argument */
	MUTATE_FAULT,	/* a mark is added, taken away, moved or changed */
	MUTATE_TASK,	/* what follows is done by another task, or by a new one */
	MUTATE_TREE,	/* forks of forks, each writing to what they share */
	MUTATE_EXIT,	/* the order in which tasks end */
	MUTATE_MACHINE, /* one option */
	NR_MUTATIONS
};
extern const char *const mutation_names[NR_MUTATIONS];

/*
 * One mutation of p, the same for the same *rng; other may be NULL. *p is replaced. 0; -ENOMEM with
 * *p as it was; -EAGAIN: it does not apply to this program, which is as it was.
 */
int program_mutate(struct program *p, const struct program *other, enum mutation how, u64 *rng);

/*
 * Bytes to bytes: one to some mutations, chosen at random, that make at most max bytes. other may
 * be NULL. Returns the length of what was put into out (room for max), which always decodes and is
 * canonical; 0 only when max is too small for one operation or there is no memory. done, if not
 * NULL, counts the mutations made by kind.
 */
size_t mutate_bytes(const u8 *data, size_t len, const u8 *other, size_t other_len, u8 *out,
		    size_t max, u64 seed, u32 *done);
/* The same with MUTATE_CROSS or MUTATE_SPLICE and nothing else. */
size_t cross_bytes(const u8 *data, size_t len, const u8 *other, size_t other_len, u8 *out,
		   size_t max, u64 seed);

/*
 * For those who mutate bytes all the same: records worth putting in, as a dictionary of AFL++ and
 * libFuzzer; *out is malloc'd. 0 or -ENOMEM.
 */
int program_print_dictionary(char **out);

#endif
