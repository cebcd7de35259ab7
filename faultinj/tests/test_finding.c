/* SPDX-License-Identifier: GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "subject.h"

static void test_outcomes(void **state)
{
	static const struct {
		struct outcome out;
		const char *text;
	} rows[] = {
		{{OUT_OK, 0}, "0x0"},
		{{OUT_OK, 0x7f00}, "0x7f00"},
		{{OUT_ERRNO, -12}, "-ENOMEM"},
		{{OUT_ERRNO, -ERESTARTNOINTR}, "-ERESTARTNOINTR"},
		{{OUT_ERRNO, -4000}, "-4000"},
		{{OUT_ERRNO, INT64_MIN}, "-9223372036854775808"},
		{{OUT_KILLED, -12}, "killed(-ENOMEM)"},
		{{OUT_SIGSEGV, 0}, "SIGSEGV"},
		{{OUT_SIGBUS, 0}, "SIGBUS"},
		{{OUT_OOM, 0}, "OOM"},
		{{OUT_SKIPPED, 0}, "skip"},
		{{OUT_BROKEN, 0}, "broken"},
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(outcome_print(&rows[i].out, buf, sizeof(buf)),
				 strlen(rows[i].text));
		assert_string_equal(buf, rows[i].text);
	}
}

static void test_errnos(void **state)
{
	u32 named = 0;

	(void)state;
	assert_string_equal(errno_name(12), "ENOMEM");
	assert_null(errno_name(0));
	assert_null(errno_name(-12));
	assert_null(errno_name(4096));
	assert_int_equal(errno_find("ENOMEM, 3", 6), ENOMEM);
	assert_int_equal(errno_find("ENOME", 5), 0);
	assert_int_equal(errno_find("", 0), 0);
	for (int err = 1; err < 600; err++) {
		const char *name = errno_name(err);

		if (!name)
			continue;
		named++;
		assert_int_equal(errno_find(name, strlen(name)), err);
	}
	assert_true(named > 40);
	/* The host's numbers are Linux's. */
	assert_int_equal(errno_find("EUCLEAN", 7), EUCLEAN);
	assert_int_equal(errno_find("ETXTBSY", 7), ETXTBSY);
	assert_int_equal(errno_find("EOVERFLOW", 9), EOVERFLOW);
}

static const struct finding sample = {
	.oracle = ORACLE_digest,
	.what = "the failed operation changed mm#0.map_count 3 -> 4",
	.class_key = "mm.map_count",
	.func = "-",
	.op = 17,
	.name = "fork",
	.plan = "op=17.slab@dup_mmap_vma:3",
	.nr_faults = 1,
	.faults = {{.site = SITE_dup_mmap_vma, .op = 17, .ordinal = 3}},
	.expected = "3",
	.actual = "4",
};

/* Only what the contract names is in the bucket. */
static void test_bucket(void **state)
{
	char base[13], other[13];
	struct finding f;

	(void)state;
	finding_bucket(&sample, base);
	assert_int_equal(strlen(base), 12);
	assert_int_equal(strspn(base, "0123456789abcdef"), 12);

	f = sample;
	f.op = 99;
	strcpy(f.what, "other words");
	strcpy(f.name, "vfork");
	strcpy(f.plan, "op=99.slab@dup_mmap_vma:1");
	strcpy(f.expected, "5");
	f.faults[0].ordinal = 1;
	f.faults[0].prev = SITE_pgd_alloc_pgd;
	f.confirmed = true;
	finding_bucket(&f, other);
	assert_string_equal(base, other);
	f.func[0] = '\0';
	finding_bucket(&f, other);
	assert_string_equal(base, other);

	f = sample;
	f.oracle = ORACLE_invariant;
	finding_bucket(&f, other);
	assert_string_not_equal(base, other);
	f = sample;
	strcpy(f.class_key, "mm.total_vm");
	finding_bucket(&f, other);
	assert_string_not_equal(base, other);
	f = sample;
	f.faults[0].site = SITE_pgd_alloc_pgd;
	finding_bucket(&f, other);
	assert_string_not_equal(base, other);
	f = sample;
	f.nr_faults = 0;
	finding_bucket(&f, other);
	assert_string_not_equal(base, other);
	/* the latest fault counts, not what was survived before it */
	f = sample;
	f.nr_faults = 2;
	f.faults[0].site = SITE_pgd_alloc_pgd;
	f.faults[1] = sample.faults[0];
	finding_bucket(&f, other);
	assert_string_equal(base, other);
	f.nr_faults = 9;
	memset(f.faults, 0, sizeof(f.faults));
	f.faults[FI_MAX_FAULTS - 1] = sample.faults[0];
	finding_bucket(&f, other);
	assert_string_equal(base, other);
	assert_ptr_equal(finding_fault(&f), &f.faults[FI_MAX_FAULTS - 1]);
	f = sample;
	strcpy(f.func, "exit_mmap");
	finding_bucket(&f, other);
	assert_string_not_equal(base, other);
}

static void test_line(void **state)
{
	char line[640], want[640], bucket[13];
	struct finding f = sample;

	(void)state;
	finding_bucket(&f, bucket);
	snprintf(want, sizeof(want),
		 "FAULTLINE: digest: the failed operation changed mm#0.map_count 3 -> 4 at op 17 "
		 "fork [injected: slab@dup_mmap_vma #3] bucket=%s",
		 bucket);
	assert_int_equal(finding_line(&f, line, sizeof(line)), strlen(want));
	assert_string_equal(line, want);

	f.nr_faults = 0;
	f.oracle = ORACLE_census;
	f.op = UINT32_MAX;
	strcpy(f.name, "teardown");
	strcpy(f.what, "pages 1, not 0");
	finding_bucket(&f, bucket);
	snprintf(want, sizeof(want),
		 "FAULTLINE: census: pages 1, not 0 at op end teardown bucket=%s", bucket);
	finding_line(&f, line, sizeof(line));
	assert_string_equal(line, want);

	f.nr_faults = 6;
	for (u32 i = 0; i < FI_MAX_FAULTS; i++)
		f.faults[i] = (struct fi_point){.site = SITE_pgd_alloc_pgd, .ordinal = i + 1};
	finding_line(&f, line, sizeof(line));
	assert_non_null(strstr(line, " [injected: 2 before, page@pgd_alloc_pgd #1, page@"));
	assert_non_null(strstr(line, "page@pgd_alloc_pgd #4] bucket="));
}

static void test_oracles(void **state)
{
	(void)state;
	assert_string_equal(oracle_names[ORACLE_expect], "expect");
	assert_string_equal(oracle_names[ORACLE_swallowed], "swallowed");
	assert_string_equal(oracle_names[NR_ORACLES - 1], "lock");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outcomes), cmocka_unit_test(test_errnos),
		cmocka_unit_test(test_bucket),	 cmocka_unit_test(test_line),
		cmocka_unit_test(test_oracles),
	};

	return cmocka_run_group_tests_name("finding", tests, NULL, NULL);
}
