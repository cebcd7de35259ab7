/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files that compare model and engine share. */
#ifndef FAULTLINE_COMPARE_PRIV_H
#define FAULTLINE_COMPARE_PRIV_H

#include "compare.h"
#include "model.h"
#include "program_priv.h"

struct compare {
	struct model m;
	bool off, lasting; /* lasting: something that is not modelled may still have effects */
	u32 *file;	   /* object of each fN, or M_NONE */
	u32 nr_files;
	/* of the operation in progress */
	struct mm_struct *mm; /* of its task, before */
	u64 free_before, brk_before;
	bool near_limits, saved, leaves_more;
	struct m_segment seg[PROG_MAX_SEGS];
	bool segs_known;
	struct model kept; /* by compare_snapshot() */
	u32 *kept_file;
	bool kept_lasting;
};

static inline u32 cmp_task_of(const struct target *t, const struct call *c)
{
	return (u32)(c->task - t->tasks);
}

/* ---- modelled.c ------------------------------------------------------------------------------ */

/* The first option whose effect nobody told the model of, or NULL. */
const char *cmp_unknown_option(const struct machine_config *cfg);

/* ---- differences.c --------------------------------------------------------------------------- */

struct both {
	char expected[FL_TEXT], actual[FL_TEXT];
};

struct difference {
	const char *word; /* what differs */
	char what[160];
	struct both b;
};

/* enum m_attr of VM_ flags. */
u32 cmp_attr_of(u32 flags);
/* The first VMA that ends above addr, or NULL. */
const struct vm_area_struct *cmp_vma_above(const struct mm_struct *mm, u64 addr);
/* Pages that __vm_enough_memory() would find free just now (facts §9.1). */
u64 cmp_free_pages(const struct machine *m);
/* What the pages of a VMA come from, a file or a special mapping; NULL: memory of its own. */
static inline const void *cmp_source(const struct vm_area_struct *v)
{
	return v->vm_file ? (const void *)v->vm_file : v->vm_private_data;
}
/* The object that stands for such a source, or M_NONE. */
u32 cmp_object_of(const struct compare *cmp, const void *source);

/* False: *d says what differs; d may be NULL where nobody wants to know. */
bool cmp_same_areas(struct target *t, u32 space, const struct mm_struct *mm, u64 start, u64 end,
		    struct difference *d);
/* Areas, pages and sums. */
bool cmp_same_space(struct target *t, u32 space, const struct mm_struct *mm, u64 start, u64 end,
		    struct difference *d);
bool cmp_same_task(struct target *t, u32 i, struct difference *d);
bool cmp_same_number(struct difference *d, const char *word, u64 want, u64 got);
bool cmp_same_everything(struct target *t, struct difference *d);

/* ---- import.c -------------------------------------------------------------------------------- */

void cmp_import(struct target *t);
/* The probed calls that a task is in. */
void cmp_import_calls(struct m_task *to, const struct uprobe_task *utask);

/* ---- operations.c ---------------------------------------------------------------------------- */

/* The operation, on the model. */
struct m_result cmp_run_op(struct target *t, const struct call *c);
bool cmp_makes_space(enum op_code code);
/* Changes ranges of its task's space, and so can be taken back. */
bool cmp_changes_ranges(enum op_code code);
/* M_LOCKBITS of mlock2's flags. */
u32 cmp_lock_bits(u64 flags);

/* ---- refused.c ------------------------------------------------------------------------------- */

/* The one range that an operation was about, or everything; *end 0: none. */
void cmp_range_of(const struct target *t, const struct call *c, u64 *start, u64 *end);
/* Is the space what the engine has, as far as ranges go? */
bool cmp_fits(struct target *t, u32 space);
/* The effects are taken; partly: of pages that were to be fetched, those that are there. */
void cmp_accept(struct target *t, bool partly);
/*
 * Something was refused, and the outcome is not the one without: the state must be what it was, or
 * one that is allowed. False: it is none of them; the model has its old state.
 */
bool cmp_settle(struct target *t, const struct call *c, u32 space);

/* ---- verdict.c ------------------------------------------------------------------------------- */

/* A finding, unless what is not modelled explains it; c: NULL between operations. */
void cmp_report(struct target *t, const struct call *c, const struct difference *d);

#endif
