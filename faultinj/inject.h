/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The injector: decides, request by request, which fails. It lives outside the machine, never
 * allocates and never locks; its owner gives it the memory for what it records.
 */
#ifndef FAULTLINE_INJECT_H
#define FAULTLINE_INJECT_H

#include "plan.h"

/*
 * One request that was met. That of a backend for itself (class refill) has the engine's request
 * that it serves for its context and the same index, and is no context of others. Its identity is
 * (site, context, ordinal): context is the operation's kind and the two sites met before in the
 * same operation, ordinal counts from 1 the requests of this site within the operation.
 */
struct fi_point {
	u16 site;
	u16 prev, prev2; /* sites met before, SITE_none at the start */
	u16 op_kind;
	u32 op;
	u32 ordinal;
	u32 index; /* 1-based number of the request within its operation, all classes */
	bool nowait;
	bool failed;
};

struct fi_stats {
	u64 met;       /* but for class refill: the same on every backend */
	u64 delivered; /* of all classes */
	u64 site_met[FL_NR_SITES], site_failed[FL_NR_SITES];
};

struct fi {
	bool armed;
	struct fi_plan plan;
	u64 item_count[FI_MAX_ITEMS];
	u64 item_rng[FI_MAX_ITEMS];
	u32 op;
	u16 op_kind;
	u16 prev, prev2;
	u32 op_index; /* requests met in this operation */
	u32 op_site_count[FL_NR_SITES];
	u32 op_delivered;
	struct fi_point first, last; /* delivered in this operation, valid if op_delivered */
	struct fi_stats stats;
	/* Record of this operation's points, if the owner gave room; overflow when it did not fit.
	 */
	struct fi_point *points;
	u32 nr_points, max_points;
	bool overflow;
};

void fi_init(struct fi *fi);
/* Counting goes on while disarmed. Arming resets the counters of the plan's items. */
void fi_arm(struct fi *fi, const struct fi_plan *plan);
/* Arms exactly one request: the ordinal-th of site within operation op, each time op begins. */
void fi_arm_point(struct fi *fi, u32 op, enum fl_site site, u32 ordinal);
void fi_disarm(struct fi *fi);
void fi_record(struct fi *fi, struct fi_point *points, u32 max_points);
void fi_op_begin(struct fi *fi, u32 op, u16 op_kind);
/* struct fl_seams.should_fail; priv is the struct fi. */
bool fi_should_fail(void *priv, enum fl_site site, gfp_t gfp);
/* Called at each delivery; empty, never inlined: the place for a breakpoint. */
void fi_on_fault(const struct fi_point *point);

/* Facts §10.1: proves that the injector does what it says. 0, or -EPROTO with a line in why. */
int fi_self_test(char *why, size_t why_len);

#endif
