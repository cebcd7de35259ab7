/* SPDX-License-Identifier: GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <faultline/allocator.h>

#include "inject.h"

#define A SITE_dup_mmap_vma  /* slab */
#define B SITE_pgd_alloc_pgd /* page */

static void arm(struct fi *fi, const char *text)
{
	struct fi_plan plan;
	char why[128];

	if (fi_plan_parse(text, strlen(text), &plan, why, sizeof(why)))
		fail_msg("%s", why);
	fi_arm(fi, &plan);
}

static void test_self_test(void **state)
{
	char why[128] = "";

	(void)state;
	if (fi_self_test(why, sizeof(why)))
		fail_msg("%s", why);
}

/* Without op=, counting goes on over operations; with it, it starts with each. */
static void test_scopes(void **state)
{
	struct fi fi;
	u32 refused = 0;

	(void)state;
	fi_init(&fi);
	arm(&fi, "slab:5,op=2.page:2");
	for (u32 op = 0; op < 4; op++) {
		fi_op_begin(&fi, op, 0);
		for (u32 i = 0; i < 3; i++) {
			bool a = fi_should_fail(&fi, A, GFP_KERNEL);
			bool b = fi_should_fail(&fi, B, GFP_KERNEL);

			assert_int_equal(a, op == 1 && i == 1);
			assert_int_equal(b, op == 2 && i == 1);
			refused += a + b;
		}
		assert_int_equal(fi.op_delivered, op == 1 || op == 2);
	}
	assert_int_equal(refused, 2);
	assert_int_equal(fi.stats.delivered, 2);
	assert_int_equal(fi.stats.met, 24);
	assert_int_equal(fi.stats.site_met[A], 12);
	assert_int_equal(fi.stats.site_failed[A], 1);
	assert_int_equal(fi.stats.site_failed[B], 1);

	/* Tried again, the operation meets its fault again; the run's own count goes on. */
	fi_op_begin(&fi, 2, 0);
	assert_false(fi_should_fail(&fi, B, GFP_KERNEL));
	assert_true(fi_should_fail(&fi, B, GFP_KERNEL));
}

/*
 * A backend's own request has the engine's for its context and is no context of others; "any" and
 * the number of requests met are the engine's alone.
 */
static void test_refills_are_apart(void **state)
{
	struct fi_point points[4];
	struct fi fi;

	(void)state;
	fi_init(&fi);
	fi_record(&fi, points, 4);
	fi_op_begin(&fi, 0, 0);
	arm(&fi, "any:2,refill:2");
	assert_false(fi_should_fail(&fi, A, GFP_KERNEL));
	assert_false(fi_should_fail(&fi, SITE_slab_refill, GFP_KERNEL));
	assert_true(fi_should_fail(&fi, B, GFP_KERNEL));
	assert_true(fi_should_fail(&fi, SITE_slab_refill, GFP_KERNEL));
	assert_int_equal(fi.stats.met, 2);
	assert_int_equal(fi.op_index, 2);
	assert_int_equal(fi.stats.delivered, 2);
	assert_int_equal(fi.stats.site_met[SITE_slab_refill], 2);
	assert_int_equal(points[1].prev, A);
	assert_int_equal(points[1].index, 1);
	assert_int_equal(points[1].ordinal, 1);
	assert_int_equal(points[2].prev, A);
	assert_int_equal(points[2].prev2, SITE_none);
	assert_int_equal(points[3].prev, B);
	assert_int_equal(points[3].prev2, A);
	assert_int_equal(points[3].ordinal, 2);

	fi_arm_point(&fi, 1, SITE_slab_refill, 1);
	fi_op_begin(&fi, 1, 0);
	assert_false(fi_should_fail(&fi, A, GFP_KERNEL));
	assert_true(fi_should_fail(&fi, SITE_slab_refill, GFP_KERNEL));
	arm(&fi, "any@slab_refill:1");
	assert_true(fi_should_fail(&fi, SITE_slab_refill, GFP_KERNEL));
}

/* Items count side by side: a request that one refuses still counts for the other. */
static void test_items_are_independent(void **state)
{
	struct fi fi;

	(void)state;
	fi_init(&fi);
	arm(&fi, "any:1,slab:2");
	fi_op_begin(&fi, 0, 0);
	assert_true(fi_should_fail(&fi, A, GFP_KERNEL));
	assert_true(fi_should_fail(&fi, A, GFP_KERNEL));
	assert_false(fi_should_fail(&fi, A, GFP_KERNEL));
}

static void test_record(void **state)
{
	struct fi_point points[3];
	struct fi fi;

	(void)state;
	fi_init(&fi);
	fi_record(&fi, points, 3);
	arm(&fi, "slab@dup_mmap_vma:2");
	fi_op_begin(&fi, 9, 4);
	assert_false(fi_should_fail(&fi, A, GFP_KERNEL));
	assert_false(fi_should_fail(&fi, B, GFP_NOWAIT));
	assert_true(fi_should_fail(&fi, A, GFP_KERNEL));
	assert_false(fi.overflow);
	assert_int_equal(fi.nr_points, 3);

	assert_int_equal(points[0].site, A);
	assert_int_equal(points[0].prev, SITE_none);
	assert_int_equal(points[0].ordinal, 1);
	assert_int_equal(points[0].index, 1);
	assert_int_equal(points[1].site, B);
	assert_int_equal(points[1].prev, A);
	assert_int_equal(points[1].prev2, SITE_none);
	assert_int_equal(points[1].ordinal, 1);
	assert_true(points[1].nowait);
	assert_false(points[1].failed);
	assert_int_equal(points[2].prev, B);
	assert_int_equal(points[2].prev2, A);
	assert_int_equal(points[2].ordinal, 2);
	assert_int_equal(points[2].index, 3);
	assert_int_equal(points[2].op, 9);
	assert_int_equal(points[2].op_kind, 4);
	assert_true(points[2].failed);
	assert_memory_equal(&fi.first, &points[2], sizeof(points[2]));

	fi_should_fail(&fi, A, GFP_KERNEL);
	assert_true(fi.overflow);
	fi_op_begin(&fi, 10, 4);
	assert_false(fi.overflow);
	fi_should_fail(&fi, A, GFP_KERNEL);
	assert_int_equal(fi.nr_points, 1);
	assert_int_equal(points[0].prev, SITE_none);
	assert_int_equal(points[0].ordinal, 1);
}

/* A probability is a share, the same share for the same seed, and 0 and 1 are certain. */
static void test_probability(void **state)
{
	struct fi one, two;
	u32 refused = 0, differ = 0;

	(void)state;
	fi_init(&one);
	fi_init(&two);
	arm(&one, "slab:p=0.25/1");
	arm(&two, "slab:p=0.25/1,page:p=0.5/1");
	fi_op_begin(&one, 0, 0);
	fi_op_begin(&two, 0, 0);
	for (u32 i = 0; i < 10000; i++) {
		bool fails = fi_should_fail(&one, A, GFP_KERNEL);

		refused += fails;
		fi_should_fail(&two, B, GFP_KERNEL);
		assert_int_equal(fi_should_fail(&two, A, GFP_KERNEL), fails);
	}
	assert_in_range(refused, 2300, 2700);

	arm(&one, "slab:p=0.25/1");
	arm(&two, "slab:p=0.25/2");
	for (u32 i = 0; i < 1000; i++)
		differ += fi_should_fail(&one, A, GFP_KERNEL) !=
			  fi_should_fail(&two, A, GFP_KERNEL);
	assert_true(differ > 100);

	arm(&one, "slab:p=0/1");
	arm(&two, "slab:p=1/1");
	for (u32 i = 0; i < 1000; i++) {
		assert_false(fi_should_fail(&one, A, GFP_KERNEL));
		assert_true(fi_should_fail(&two, A, GFP_KERNEL));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_self_test),
		cmocka_unit_test(test_scopes),
		cmocka_unit_test(test_refills_are_apart),
		cmocka_unit_test(test_items_are_independent),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_probability),
	};

	return cmocka_run_group_tests_name("inject", tests, NULL, NULL);
}
