/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the generator knows while it writes: what should be alive and mapped if nothing fails. The
 * mutator has it follow the operations before a place to insert some that fit there.
 */
#ifndef FAULTLINE_GENERATE_H
#define FAULTLINE_GENERATE_H

#include "program_priv.h"

#define GEN_MAX_LIVE	 24u  /* tasks that the generator keeps alive */
#define GEN_MAX_MAPS	 256u /* mappings that it remembers */
#define GEN_MAX_FILES	 16u
#define GEN_MAX_CONTEXTS 8u

struct live_task {
	u32 ref;
	u32 image;    /* tasks with the same number share an mm */
	u32 waits_on; /* its vfork child, or NO_REF */
	bool kernel;
	bool dumps; /* core: nothing is left for it but to end that */
};

struct live_map {
	u32 ref, image;
	u32 pages, prot;
};

struct gen {
	struct program *p; /* operations are appended to it */
	u64 rng;
	struct live_task tasks[GEN_MAX_LIVE];
	struct live_map maps[GEN_MAX_MAPS];
	u32 files[GEN_MAX_FILES];
	u32 contexts[GEN_MAX_CONTEXTS]; /* names of I/O contexts, the last ones */
	u32 nr_tasks, nr_maps, nr_files, nr_images, nr_contexts;
	u32 weights[NR_OPS]; /* 0: never */
	u32 weight_sum;
	u32 tag; /* last one written: all differ, so that contents can be told apart */
};

/* Nothing but t0, and every operation by its weight in the table. */
void gen_begin(struct gen *g, struct program *p, u64 seed);
/* Takes in an operation of g->p, whoever wrote it. */
void gen_follow(struct gen *g, const struct op *op);
/* Appends an operation by a task that should be alive. 0 or -ENOMEM (or PROG_MAX_OPS reached). */
int gen_op(struct gen *g);
/* One more mark on an operation of p, as the generator makes them. 0, -ENOMEM; too many: nothing.
 */
int gen_mark(struct program *p, struct op *op, u64 *rng);
/* Arguments as the generator likes them, whatever is mapped. */
u32 gen_pages(u64 *rng);
struct arg gen_window(u64 *rng);

#endif
