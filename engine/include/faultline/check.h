/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What must hold, and what the state is.
 *
 * Checks are rows of one table (check/invariants.def); the census is another (check/census.def).
 * The observation is a list of records in a normal form; its hash is the digest, and two lists can
 * be compared field by field. Nothing here changes the machine, allocates from it or trusts its
 * lists: every walk is bounded.
 */
#ifndef FAULTLINE_CHECK_H
#define FAULTLINE_CHECK_H

#include <faultline/machine.h>
#include <faultline/types.h>

#define FL_TEXT 96

struct fl_violation {
	const char *id;	      /* "G-01" */
	const char *name;     /* "list_order" */
	const char *func;     /* the checking function */
	char object[FL_TEXT]; /* "mm#0 vma 0x7000-0x9000" */
	char expected[FL_TEXT];
	char actual[FL_TEXT];
};

struct mm_struct;

typedef void (*fl_violation_fn)(void *priv, const struct fl_violation *v);

struct fl_check_row {
	const char *id, *name, *what;
	const char *oracle; /* "invariant", "refcount", "tlb", "census" */
};

extern const struct fl_check_row fl_invariants[];
extern const unsigned int fl_nr_invariants;
extern const struct fl_check_row fl_census_rows[];
extern const unsigned int fl_nr_census_rows;

/*
 * Runs every invariant over the machine at rest (no operation in progress) and calls fn for each
 * violation. counts, if not NULL, has fl_nr_invariants entries: evaluations per row are added.
 * Returns the number of violations.
 */
unsigned int fl_check_machine(struct machine *m, fl_violation_fn fn, void *priv, u64 *counts);
/*
 * The same, only for what one mm owns and the counters in it. Rows that need every mm (commit
 * equation, page references, slab objects) are fl_check_machine()'s.
 */
unsigned int fl_check_mm(struct machine *m, struct mm_struct *mm, fl_violation_fn fn, void *priv,
			 u64 *counts);
/*
 * fl_check_machine() for in between: of page tables it reads only the lines that the engine has
 * marked as having entries. That there is nothing outside of them is a row of the other.
 */
unsigned int fl_check_marked(struct machine *m, fl_violation_fn fn, void *priv, u64 *counts);
struct fl_range {
	u64 start, end; /* bytes; empty when end <= start */
};
/*
 * fl_check_mm() of marked lines with only those tables that have entries in one of the ranges: the
 * work does not grow with what else is mapped. Numbers that need all tables (rss, nr_ptes,
 * deposits, the kernel's half) are not compared. ranges NULL: all tables.
 */
unsigned int fl_check_ranges(struct machine *m, struct mm_struct *mm, const struct fl_range *ranges,
			     unsigned int nr, fl_violation_fn fn, void *priv, u64 *counts);
/* After the last task has gone and all files are closed: everything of facts §13.3 is zero. */
unsigned int fl_census(struct machine *m, fl_violation_fn fn, void *priv);

/* Rows of observe.def. */
enum fl_obs_id {
#define OBS(object, name, class) OBS_##object##_##name,
#include <faultline/observe.def>
#undef OBS
	NR_OBS_FIELDS
};

/* One fact about the state. Records come in a fixed order; obj numbers objects by first visit. */
struct fl_obs {
	u16 field; /* enum fl_obs_id, index into fl_obs_fields */
	u32 obj;
	u64 key; /* address, index: what tells records of one object apart */
	u64 val;
};

struct fl_obs_field {
	const char *object; /* "mm" */
	const char *name;   /* "total_vm" */
	bool history;	    /* only in the strict digest */
};

extern const struct fl_obs_field fl_obs_fields[];
extern const unsigned int fl_nr_obs_fields;

/*
 * Tasks are numbered from 1 by birth among the living. Idle tasks, and pointers to none, have
 * numbers of another kind: false for those.
 */
bool fl_obs_counts_births(u64 task);

/* Is this the key of a task's share that names its thread group? */
bool fl_obs_names_group(u64 key);
/* Is that the signal handlers, which an exec takes for its own before it can still fail? */
bool fl_obs_names_handlers(u64 key);

typedef void (*fl_obs_fn)(void *priv, const struct fl_obs *o);

/*
 * The semantic state in normal form: VMAs that could be one are one, empty tables are not there,
 * write protection of a copy-on-write page is not seen (facts §13.2). strict adds the history.
 */
void fl_observe(struct machine *m, bool strict, fl_obs_fn fn, void *priv);
/* Hash of the records. */
u64 fl_digest(struct machine *m, bool strict);
/*
 * Hash from which the semantic digest follows: two states of a machine with the same stamp have the
 * same digest, but not the other way. Page tables are taken by the sums that pt_set() keeps, frames
 * by their descriptors, so it costs less the more is mapped. 0: there is none, with swap.
 */
u64 fl_stamp(struct machine *m);
/*
 * Hash of what tasks can see of their memory and of everything else, but not of how memory is laid
 * out: which pages are there, how large, shared by whom. Where nothing is mapped is zero.
 */
u64 fl_contents(struct machine *m);

/* What an entry leads to. In swap or in memory, shared or not, small or part of a huge page is one.
 */
enum fl_look_kind {
	FL_LOOK_NOTHING,
	FL_LOOK_ZERO, /* the page of zeroes */
	FL_LOOK_ANON,
	FL_LOOK_FILE,	/* of a page cache: inode and index say where */
	FL_LOOK_KERNEL, /* the kernel's own, of a special mapping */
	FL_LOOK_ODD,	/* no page that a task may have: the checks will say more */
};

struct file_inode;

struct fl_look {
	u64 addr;
	enum fl_look_kind kind;
	u64 tag;
	u64 index;
	const struct file_inode *inode;
};

typedef void (*fl_look_fn)(void *priv, const struct fl_look *l);
/* The page of addr. Nothing is faulted in, and no TLB asked. */
void fl_look_at(struct machine *m, const struct mm_struct *mm, u64 addr, struct fl_look *l);
/* Calls fn for every page of [start, end) that is not FL_LOOK_NOTHING, in order. */
void fl_look_over(struct machine *m, const struct mm_struct *mm, u64 start, u64 end, fl_look_fn fn,
		  void *priv);

#endif
