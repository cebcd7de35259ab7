/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Smaller programs, one at a time: the minimiser's proposals without the question whether they
 * still do what they should, which the caller answers. `faultline min` runs them, afl-fuzz compares
 * their coverage.
 *
 * Operations go first, in runs that get shorter, then options, marks, segments and expectations;
 * then arguments become rounder. It ends when a whole round has changed nothing, so that no single
 * operation can be left out any more. Deterministic; each proposal that is taken is smaller by an
 * order that has no circles.
 */
#ifndef FAULTLINE_SHRINK_H
#define FAULTLINE_SHRINK_H

#include "program.h"

struct shrink {
	struct program cur; /* the smallest that was taken so far */
	bool ops_only;	    /* operations alone, once */
	/* The rest is the minimiser's own. */
	struct program cand;
	bool trying, changed, failed;
	u8 phase;
	u32 pos, alt, chunk;
};

/* 0 or -ENOMEM, nothing to end. p is copied. */
int shrink_begin(struct shrink *s, const struct program *p, bool ops_only);
/*
 * The next proposal, which the caller may adjust; NULL: there is none, or no memory (failed). Good
 * until shrink_judge(), which must follow.
 */
struct program *shrink_next(struct shrink *s);
/* taken: the proposal still does what it should, and is the program from now on. */
void shrink_judge(struct shrink *s, bool taken);
void shrink_end(struct shrink *s);

#endif
