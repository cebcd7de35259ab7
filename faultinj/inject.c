/* SPDX-License-Identifier: GPL-2.0-only */
#include "draw.h"
#include "inject.h"

#include <faultline/allocator.h>

#include <string.h>

void fi_init(struct fi *fi)
{
	memset(fi, 0, sizeof(*fi));
	fi->op = FI_OP_ANY;
}

static void reset_item(struct fi *fi, u32 i)
{
	fi->item_count[i] = 0;
	fi->item_rng[i] = fi->plan.items[i].seed;
}

void fi_arm(struct fi *fi, const struct fi_plan *plan)
{
	fi->plan = *plan;
	for (u32 i = 0; i < plan->nr; i++)
		reset_item(fi, i);
	fi->armed = true;
}

void fi_arm_point(struct fi *fi, u32 op, enum fl_site site, u32 ordinal)
{
	fi->plan.nr = 1;
	fi->plan.items[0] = (struct fi_item){
		.op = op,
		.class = (u8)fl_sites[site].class,
		.which = FI_RANGE,
		.site = (u16)site,
		.from = ordinal,
		.to = ordinal,
	};
	reset_item(fi, 0);
	fi->armed = true;
}

void fi_disarm(struct fi *fi)
{
	fi->armed = false;
}

void fi_record(struct fi *fi, struct fi_point *points, u32 max_points)
{
	fi->points = points;
	fi->max_points = max_points;
	fi->nr_points = 0;
	fi->overflow = false;
}

void fi_op_begin(struct fi *fi, u32 op, u16 op_kind)
{
	fi->op = op;
	fi->op_kind = op_kind;
	fi->prev = fi->prev2 = SITE_none;
	fi->op_index = 0;
	fi->op_delivered = 0;
	fi->nr_points = 0;
	fi->overflow = false;
	memset(fi->op_site_count, 0, sizeof(fi->op_site_count));
	for (u32 i = 0; fi->armed && i < fi->plan.nr; i++) {
		if (fi->plan.items[i].op == op)
			reset_item(fi, i);
	}
}

/* The backend's own request, within one of the engine: no part of what the engine asks for. */
static bool is_refill(enum fl_site site)
{
	return fl_sites[site].class == FL_CLASS_refill;
}

static bool item_matches(const struct fi_item *item, const struct fi_point *point)
{
	if (item->op != FI_OP_ANY && item->op != point->op)
		return false;
	if (item->class == FI_CLASS_ANY && item->site == SITE_none && is_refill(point->site))
		return false;
	if (item->class != FI_CLASS_ANY && item->class != fl_sites[point->site].class)
		return false;
	if (item->site != SITE_none && item->site != point->site)
		return false;
	return !item->nowait || point->nowait;
}

static bool item_fails(struct fi *fi, u32 i)
{
	const struct fi_item *item = &fi->plan.items[i];
	u64 nth = ++fi->item_count[i];

	switch ((enum fi_which)item->which) {
	case FI_RANGE:
		return nth >= item->from && nth <= item->to;
	case FI_BUDGET:
		return nth > item->budget;
	case FI_PROB:
		return ((fi_draw(&fi->item_rng[i]) >> 32) * FI_PPM_ONE) >> 32 < item->ppm;
	}
	return false;
}

/* Every matching item counts the request, also when an earlier one has refused it. */
static bool plan_fails(struct fi *fi, const struct fi_point *point)
{
	bool fails = false;

	for (u32 i = 0; i < fi->plan.nr; i++) {
		if (item_matches(&fi->plan.items[i], point) && item_fails(fi, i))
			fails = true;
	}
	return fails;
}

__attribute__((noinline)) void fi_on_fault(const struct fi_point *point)
{
	/* Keeps the call, and point in its register, for whoever breaks here. */
	__asm__ volatile("" : : "r"(point) : "memory");
}

bool fi_should_fail(void *priv, enum fl_site site, gfp_t gfp)
{
	struct fi *fi = priv;
	u16 prev = fi->prev, prev2 = fi->prev2;
	bool refill = is_refill(site);
	struct fi_point point;

	fi->op_site_count[site]++;
	fi->stats.site_met[site]++;
	if (!refill) {
		fi->op_index++;
		fi->stats.met++;
		fi->prev2 = prev;
		fi->prev = (u16)site;
	}
	/* nobody wants to know: this is what a run without faults pays */
	if ((!fi->armed || !fi->plan.nr) && !fi->max_points)
		return false;
	point = (struct fi_point){
		.site = (u16)site,
		.prev = prev,
		.prev2 = prev2,
		.op_kind = fi->op_kind,
		.op = fi->op,
		.ordinal = fi->op_site_count[site],
		.index = fi->op_index,
		.nowait = gfp & __GFP_NOWAIT,
	};
	point.failed = fi->armed && plan_fails(fi, &point);

	if (fi->nr_points < fi->max_points)
		fi->points[fi->nr_points++] = point;
	else if (fi->max_points)
		fi->overflow = true;

	if (point.failed) {
		fi->stats.delivered++;
		fi->stats.site_failed[site]++;
		if (!fi->op_delivered++)
			fi->first = point;
		fi->last = point;
		fi_on_fault(&point);
	}
	return point.failed;
}
