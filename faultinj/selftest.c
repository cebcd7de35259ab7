/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The injector is tried on requests whose fate is known, before it is trusted with those of an
 * engine (facts §10.1, items 1 to 3).
 */
#include "inject.h"

#include <faultline/allocator.h>

#include <stdio.h>
#include <string.h>

#define REQUESTS 10u

/* Two sites of different classes, and one request in three that may not wait. */
#define SITE_A SITE_dup_mmap_vma
#define SITE_B SITE_pgd_alloc_pgd

struct script {
	u32 refused; /* bit i: request i (from 0) was refused */
	u32 nr_refused;
};

static enum fl_site site_of(u32 i)
{
	return i % 2 ? SITE_B : SITE_A;
}

static gfp_t gfp_of(u32 i)
{
	return i % 3 == 2 ? GFP_NOWAIT : GFP_KERNEL;
}

/* Asks for REQUESTS things, alternating between the sites, within operation op. */
static struct script ask(struct fi *fi, u32 op)
{
	struct script s = {0};

	fi_op_begin(fi, op, 0);
	for (u32 i = 0; i < REQUESTS; i++) {
		if (fi_should_fail(fi, site_of(i), gfp_of(i))) {
			s.refused |= 1u << i;
			s.nr_refused++;
		}
	}
	return s;
}

/* The requests that a plan of one item should refuse, worked out without the injector. */
static u32 expected(const struct fi_item *item)
{
	u32 bits = 0;
	u64 nth = 0;

	for (u32 i = 0; i < REQUESTS; i++) {
		if (item->class != FI_CLASS_ANY && fl_sites[site_of(i)].class != item->class)
			continue;
		if (item->site != SITE_none && item->site != site_of(i))
			continue;
		if (item->nowait && !(gfp_of(i) & __GFP_NOWAIT))
			continue;
		nth++;
		if (item->which == FI_BUDGET ? nth > item->budget
					     : nth >= item->from && nth <= item->to)
			bits |= 1u << i;
	}
	return bits;
}

static int try_item(struct fi *fi, const struct fi_item *item, char *why, size_t why_len)
{
	struct fi_plan plan = {.nr = 1, .items = {*item}};
	u32 want = expected(item);
	char text[128];
	struct script s;

	fi_init(fi);
	fi_item_print(item, true, text, sizeof(text));
	fi_arm(fi, &plan);
	s = ask(fi, 0);
	if (s.refused != want) {
		snprintf(why, why_len, "plan %s refused requests 0x%x, not 0x%x", text, s.refused,
			 want);
		return -EPROTO;
	}
	if (fi->stats.delivered != s.nr_refused || fi->op_delivered != s.nr_refused ||
	    fi->stats.met != REQUESTS) {
		snprintf(why, why_len,
			 "plan %s miscounted: met %llu delivered %llu, seen %u and %u", text,
			 (unsigned long long)fi->stats.met, (unsigned long long)fi->stats.delivered,
			 REQUESTS, s.nr_refused);
		return -EPROTO;
	}
	fi_disarm(fi);
	s = ask(fi, 1);
	if (s.refused || fi->stats.met != 2 * REQUESTS) {
		snprintf(why, why_len, "plan %s went on after it was disarmed", text);
		return -EPROTO;
	}
	return 0;
}

/* One request of one operation, and the same again when the operation is tried again. */
static int try_point(struct fi *fi, char *why, size_t why_len)
{
	for (u32 ordinal = 1; ordinal <= REQUESTS / 2; ordinal++) {
		u32 want = 1u << (2 * (ordinal - 1) + 1);

		fi_init(fi);
		fi_arm_point(fi, 3, SITE_B, ordinal);
		if (ask(fi, 2).refused || ask(fi, 3).refused != want ||
		    ask(fi, 3).refused != want || ask(fi, 4).refused) {
			snprintf(why, why_len, "the exact point %u of an operation was missed",
				 ordinal);
			return -EPROTO;
		}
	}
	return 0;
}

int fi_self_test(char *why, size_t why_len)
{
	static const u8 classes[] = {FI_CLASS_ANY, FL_CLASS_page, FL_CLASS_slab, FL_CLASS_ctor};
	static const u16 sites[] = {SITE_none, SITE_A, SITE_B};
	struct fi_item item;
	struct fi fi;
	int err;

	for (u32 c = 0; c < ARRAY_SIZE(classes); c++) {
		for (u32 s = 0; s < ARRAY_SIZE(sites); s++) {
			for (u32 k = 1; k <= REQUESTS; k++) {
				item = (struct fi_item){.op = k % 2 ? 0 : FI_OP_ANY,
							.class = classes[c],
							.site = sites[s],
							.nowait = k % 5 == 4,
							.which = FI_RANGE,
							.from = k,
							.to = k};
				err = try_item(&fi, &item, why, why_len);
				if (err)
					return err;
				item.to = k + 2;
				err = try_item(&fi, &item, why, why_len);
				if (err)
					return err;
				item.to = UINT64_MAX;
				err = try_item(&fi, &item, why, why_len);
				if (err)
					return err;
				item.which = FI_BUDGET;
				item.budget = k - 1;
				err = try_item(&fi, &item, why, why_len);
				if (err)
					return err;
			}
		}
	}
	return try_point(&fi, why, why_len);
}
