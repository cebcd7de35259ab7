/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Plans: which requests fail. Grammar (DESIGN.md §6):
 *   plan  = item[,item]
 *   item  = [op=I.]CLASS[@SITE][/nowait]:WHICH      CLASS may be "any":
 *          all but refill, which is the backend's own
 *   WHICH = N | N-M | N+ | * | b=COUNT | p=X/SEED
 * N counts from 1 the requests that match class, site and nowait: within operation I (0-based) when
 * op=I. is given or the item is a mark on an operation, else over the whole run. b=COUNT lets COUNT
 * requests pass and fails all after. p=X/SEED fails each with probability X, a decimal fraction.
 */
#ifndef FAULTLINE_PLAN_H
#define FAULTLINE_PLAN_H

#include <faultline/site.h>

enum fi_which {
	FI_RANGE,
	FI_BUDGET,
	FI_PROB
};

#define FI_CLASS_ANY FL_NR_CLASSES
#define FI_OP_ANY    UINT32_MAX /* counts over the whole run */
#define FI_MAX_ITEMS 16u
#define FI_PPM_ONE   1000000u /* of struct fi_item.ppm */
#define FI_PLAN_TEXT 2048u    /* holds the canonical text of any plan */

struct fi_item {
	u32 op;
	u8 class; /* enum fl_class or FI_CLASS_ANY */
	u8 which;
	bool nowait;  /* only requests that may not wait */
	u16 site;     /* SITE_none: any */
	u64 from, to; /* FI_RANGE, inclusive; to UINT64_MAX: open */
	u64 budget;   /* FI_BUDGET */
	u32 ppm;      /* FI_PROB, in millionths */
	u64 seed;
};

struct fi_plan {
	u32 nr;
	struct fi_item items[FI_MAX_ITEMS];
};

/* 0, or -EINVAL with a line in why that names the offending text. */
int fi_plan_parse(const char *text, size_t len, struct fi_plan *plan, char *why, size_t why_len);
/* One item, as after '!' in a program: op= is refused. */
int fi_item_parse(const char *text, size_t len, struct fi_item *item, char *why, size_t why_len);
/* Canonical text, NUL-terminated; returns its length, which may exceed len (as snprintf). */
int fi_plan_print(const struct fi_plan *plan, char *buf, size_t len);
int fi_item_print(const struct fi_item *item, bool with_op, char *buf, size_t len);

#endif
