/* SPDX-License-Identifier: GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plan.h"

static int parse(const char *text, struct fi_plan *plan, char *why, size_t len)
{
	return fi_plan_parse(text, strlen(text), plan, why, len);
}

/* What is canonical is printed as it was; the rest has one canonical form. */
static void test_round_trip(void **state)
{
	static const struct {
		const char *text, *canonical;
	} rows[] = {
		{"page:17", NULL},
		{"any:*", NULL},
		{"slab:1+", "slab:*"},
		{"slab:2+", NULL},
		{"slab:3-9", NULL},
		{"slab:4-4", "slab:4"},
		{"slab:1-18446744073709551615", "slab:*"},
		{"slab:007", "slab:7"},
		{"op=0.slab@dup_mmap_vma:3", NULL},
		{"op=4294967294.any@pgd_alloc_pgd/nowait:2+", NULL},
		{"slab/nowait:b=0", NULL},
		{"hook:b=18446744073709551615", NULL},
		{"ctor:p=0.01/7", NULL},
		{"ctor:p=0.010000/7", "ctor:p=0.01/7"},
		{"ctor:p=0.000001/0", NULL},
		{"ctor:p=1/9", NULL},
		{"ctor:p=1.0/9", "ctor:p=1/9"},
		{"ctor:p=0/9", NULL},
		{"page:1,op=3.slab:2,any/nowait:*", NULL},
		{"limit:1,limit@mmap_region_as:2+", NULL},
		{"bulk:*", NULL}, /* of which there is none */
	};
	char text[FI_PLAN_TEXT], why[160];
	struct fi_plan plan, again;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *want = rows[i].canonical ? rows[i].canonical : rows[i].text;

		if (parse(rows[i].text, &plan, why, sizeof(why)))
			fail_msg("%s: %s", rows[i].text, why);
		assert_int_equal(fi_plan_print(&plan, text, sizeof(text)), strlen(want));
		assert_string_equal(text, want);
		assert_int_equal(parse(text, &again, why, sizeof(why)), 0);
		assert_int_equal(again.nr, plan.nr);
		assert_memory_equal(again.items, plan.items, plan.nr * sizeof(plan.items[0]));
	}
}

static void test_fields(void **state)
{
	struct fi_plan plan;

	(void)state;
	assert_int_equal(parse("op=5.slab@dup_mmap_vma/nowait:3-9,any:b=4,page:p=0.25/8", &plan,
			       NULL, 0),
			 0);
	assert_int_equal(plan.nr, 3);
	assert_int_equal(plan.items[0].op, 5);
	assert_int_equal(plan.items[0].class, FL_CLASS_slab);
	assert_int_equal(plan.items[0].site, SITE_dup_mmap_vma);
	assert_true(plan.items[0].nowait);
	assert_int_equal(plan.items[0].which, FI_RANGE);
	assert_int_equal(plan.items[0].from, 3);
	assert_int_equal(plan.items[0].to, 9);
	assert_int_equal(plan.items[1].op, FI_OP_ANY);
	assert_int_equal(plan.items[1].class, FI_CLASS_ANY);
	assert_int_equal(plan.items[1].site, SITE_none);
	assert_false(plan.items[1].nowait);
	assert_int_equal(plan.items[1].which, FI_BUDGET);
	assert_int_equal(plan.items[1].budget, 4);
	assert_int_equal(plan.items[2].which, FI_PROB);
	assert_int_equal(plan.items[2].ppm, 250000);
	assert_int_equal(plan.items[2].seed, 8);
}

/* Each is refused, and the complaint quotes what is wrong. */
static void test_refused(void **state)
{
	static const struct {
		const char *text, *quote;
	} rows[] = {
		{"", "class"},
		{":1", "class"},
		{"page", "':'"},
		{"page:", "expected N"},
		{"page:0", "from 1"},
		{"page:0+", "from 1"},
		{"page:5-4", "empty range"},
		{"page:5-", "end of the range"},
		{"page:1x", "'x'"},
		{"page:1,", "class"},
		{"page:1 ,slab:1", "' ,slab:1'"},
		{"pages:1", "'pages'"},
		{"refills:1", "'refills'"},
		{"PAGE:1", "'PAGE'"},
		{"page@nowhere:1", "'nowhere'"},
		{"page@none:1", "'none'"},
		{"page@:1", "unknown site"},
		{"page@dup_mmap_vma:1", "another class"},
		{"page/wait:1", "nowait"},
		{"page:18446744073709551616", "too large"},
		{"op=4294967295.page:1", "no such operation"},
		{"op=.page:1", "number of an operation"},
		{"op=1page:1", "'.'"},
		{"page:b=", "count"},
		{"page:p=2/1", "above 1"},
		{"page:p=1.5/1", "above 1"},
		{"page:p=0.1234567/1", "six"},
		{"page:p=0./1", "digits"},
		{"page:p=0.5", "/SEED"},
		{"page:p=.5/1", "probability"},
		{"page:-1", "expected N"},
		{"page:\x1b[2J", "'?[2J'"},
	};
	char why[160], many[FI_MAX_ITEMS * 8 + 8] = "";
	struct fi_plan plan;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		why[0] = '\0';
		assert_int_equal(parse(rows[i].text, &plan, why, sizeof(why)), -EINVAL);
		if (!strstr(why, rows[i].quote))
			fail_msg("%s: '%s' says nothing of '%s'", rows[i].text, why, rows[i].quote);
	}
	for (u32 i = 0; i <= FI_MAX_ITEMS; i++)
		strcat(many, i ? ",page:1" : "page:1");
	assert_int_equal(parse(many, &plan, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "too many"));
	many[strlen(many) - strlen(",page:1")] = '\0';
	assert_int_equal(parse(many, &plan, why, sizeof(why)), 0);
	assert_int_equal(plan.nr, FI_MAX_ITEMS);
}

/* The length given is the end, and no byte past it is looked at. */
static void test_length(void **state)
{
	static const char text[] = "op=1.slab@dup_mmap_vma/nowait:3-9,page:p=0.5/3";
	struct fi_plan plan;

	(void)state;
	for (size_t len = 0; len <= strlen(text); len++) {
		char *copy = malloc(len + 1);
		int err;

		assert_non_null(copy);
		memcpy(copy, text, len);
		copy[len] = '9'; /* would be read as one more digit */
		err = fi_plan_parse(copy, len, &plan, NULL, 0);
		if (!err && plan.nr == 2)
			assert_true(plan.items[1].seed == 3);
		free(copy);
	}
	assert_int_equal(fi_plan_parse("page:1\0x", 8, &plan, NULL, 0), -EINVAL);
}

static void test_item(void **state)
{
	struct fi_item item;
	char why[160], text[64];

	(void)state;
	assert_int_equal(fi_item_parse("slab@dup_mmap_vma:2", 19, &item, why, sizeof(why)), 0);
	assert_int_equal(item.op, FI_OP_ANY);
	item.op = 7;
	assert_int_equal(fi_item_print(&item, false, text, sizeof(text)), 19);
	assert_string_equal(text, "slab@dup_mmap_vma:2");
	assert_int_equal(fi_item_print(&item, true, text, sizeof(text)), 24);
	assert_string_equal(text, "op=7.slab@dup_mmap_vma:2");
	assert_int_equal(fi_item_parse("op=1.page:2", 11, &item, why, sizeof(why)), -EINVAL);
	assert_int_equal(fi_item_parse("page:2,page:3", 13, &item, why, sizeof(why)), -EINVAL);
}

/* As snprintf: the length it would have, and never a byte too many. */
static void test_short_buffer(void **state)
{
	static const char text[] = "page:1,op=3.slab@dup_mmap_vma:2,any/nowait:p=0.5/3";
	char buf[sizeof(text) + 1];
	struct fi_plan plan;

	(void)state;
	assert_int_equal(parse(text, &plan, NULL, 0), 0);
	assert_int_equal(fi_plan_print(&plan, NULL, 0), strlen(text));
	for (size_t len = 1; len <= sizeof(text); len++) {
		memset(buf, '#', sizeof(buf));
		assert_int_equal(fi_plan_print(&plan, buf, len), strlen(text));
		assert_int_equal(buf[len], '#');
		assert_int_equal(strlen(buf), len - 1);
		assert_memory_equal(buf, text, len - 1);
	}
}

/* The longest plan fits FI_PLAN_TEXT. */
static void test_longest(void **state)
{
	struct fi_plan plan = {.nr = FI_MAX_ITEMS};
	char text[FI_PLAN_TEXT];
	u16 longest = 1;

	(void)state;
	for (u16 i = 2; i < FL_NR_SITES; i++) {
		if (strlen(fl_sites[i].name) > strlen(fl_sites[longest].name))
			longest = i;
	}
	for (u32 i = 0; i < FI_MAX_ITEMS; i++)
		plan.items[i] = (struct fi_item){.op = FI_OP_ANY - 1,
						 .class = (u8)fl_sites[longest].class,
						 .site = longest,
						 .nowait = true,
						 .from = UINT64_MAX - 2,
						 .to = UINT64_MAX - 1};
	assert_true(fi_plan_print(&plan, text, sizeof(text)) < (int)sizeof(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_fields),
		cmocka_unit_test(test_refused),	   cmocka_unit_test(test_length),
		cmocka_unit_test(test_item),	   cmocka_unit_test(test_short_buffer),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
