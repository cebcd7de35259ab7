/* SPDX-License-Identifier: GPL-2.0-only */
/* How the death of a child is read. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crash.h"

static struct finding read_as(const char *text, int status, bool hung)
{
	FILE *file = tmpfile();
	struct crash_report r;
	struct finding f = {0};

	assert_non_null(file);
	fputs(text, file);
	fflush(file);
	crash_read(&r, fileno(file));
	crash_describe(&r, status, hung, &f);
	crash_free(&r);
	fclose(file);
	return f;
}

#define EXITED(code) ((code) << 8)
#define KILLED(sig)  (sig)

static void test_asan(void **state)
{
	struct finding f =
		read_as("=================================================================\n"
			"==12==ERROR: AddressSanitizer: heap-use-after-free on address 0x6020 at "
			"pc 0x55 bp 0x7f\n"
			"READ of size 8 at 0x602000000010 thread T0\n"
			"    #0 0x4a in __asan_memcpy (/bench/faultline+0x4a)\n"
			"    #1 0x55d in malloc_free /bench/engine/alloc/malloc.c:120:3\n"
			"    #2 0x55e in remove_vma /bench/engine/mm/mmap.c:77:2\n"
			"    #3 0x55f in exit_mmap /bench/engine/mm/mmap.c:99:2\n",
			EXITED(1), false);

	(void)state;
	assert_int_equal(f.oracle, ORACLE_asan);
	assert_string_equal(f.class_key, "heap-use-after-free");
	assert_string_equal(f.func, "remove_vma");
	assert_null(strstr(f.what, "0x"));
	assert_null(strstr(f.actual, "6020"));
	assert_null(strstr(f.actual, "pc 0x55"));

	f = read_as("==1==ERROR: AddressSanitizer: attempting double-free on 0x60 in thread T0:\n"
		    "    #0 0x1 in free (/bench/faultline+0x1)\n"
		    "    #1 0x2 in kmem_cache_free /bench/engine/mm/slab.c:5:2\n",
		    EXITED(1), false);
	assert_string_equal(f.class_key, "double-free");
	assert_string_equal(f.func, "kmem_cache_free");
}

static void test_others(void **state)
{
	struct finding f;

	(void)state;
	f = read_as(
		"/bench/engine/mm/vma.c:12:9: runtime error: shift exponent 64 is too large for "
		"64-bit type 'unsigned long'\n"
		"    #0 0x2 in vma_adjust /bench/engine/mm/vma.c:12:9\n",
		EXITED(1), false);
	assert_int_equal(f.oracle, ORACLE_ubsan);
	assert_string_equal(f.func, "vma_adjust");
	assert_null(strpbrk(f.class_key, "0123456789'"));

	f = read_as("==7==ERROR: LeakSanitizer: detected memory leaks\n"
		    "Direct leak of 8 byte(s) in 1 object(s) allocated from:\n"
		    "    #0 0x3 in malloc (/bench/faultline+0x3)\n",
		    EXITED(23), false);
	assert_int_equal(f.oracle, ORACLE_lsan);
	assert_string_equal(f.class_key, "detected-memory-leaks");

	f = read_as("==7==WARNING: MemorySanitizer: use-of-uninitialized-value\n", EXITED(1),
		    false);
	assert_int_equal(f.oracle, ORACLE_msan);
}

static void test_plain_deaths(void **state)
{
	struct finding f;

	(void)state;
	f = read_as("", KILLED(SIGSEGV), false);
	assert_int_equal(f.oracle, ORACLE_crash);
	assert_string_equal(f.class_key, "SIGSEGV");
	assert_string_equal(f.func, "-");
	f = read_as("some words\n", EXITED(9), false);
	assert_int_equal(f.oracle, ORACLE_crash);
	assert_string_equal(f.class_key, "exit-9");
	f = read_as("", KILLED(SIGKILL), true);
	assert_int_equal(f.oracle, ORACLE_hang);
	assert_string_equal(f.class_key, "watchdog");
}

/* The address of the crash and the process's number must not tell two sightings apart. */
static void test_bucket_is_stable(void **state)
{
	struct finding a =
		read_as("==12==ERROR: AddressSanitizer: SEGV on unknown address 0x10 (pc 0x5)\n"
			"    #0 0x5 in find_vma /bench/engine/mm/vma.c:9:1\n",
			EXITED(1), false);
	struct finding b =
		read_as("==99==ERROR: AddressSanitizer: SEGV on unknown address 0x28 (pc 0x9)\n"
			"    #0 0x9 in find_vma /other/engine/mm/vma.c:10:1\n",
			EXITED(1), false);
	char bucket_a[13], bucket_b[13];

	(void)state;
	finding_bucket(&a, bucket_a);
	finding_bucket(&b, bucket_b);
	assert_string_equal(bucket_a, bucket_b);
	assert_string_equal(a.what, b.what);
}

/* Text without an end, without newlines, of only newlines. */
static void test_odd_text(void **state)
{
	static char text[300000];
	struct finding f;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "ERROR: AddressSanitizer: ", 25);
	f = read_as(text, EXITED(1), false);
	assert_int_equal(f.oracle, ORACLE_asan);
	memset(text, '\n', sizeof(text) - 1);
	f = read_as(text, EXITED(1), false);
	assert_int_equal(f.oracle, ORACLE_crash);
	f = read_as("runtime error: ", EXITED(1), false);
	assert_int_equal(f.oracle, ORACLE_ubsan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asan),	     cmocka_unit_test(test_others),
		cmocka_unit_test(test_plain_deaths), cmocka_unit_test(test_bucket_is_stable),
		cmocka_unit_test(test_odd_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
