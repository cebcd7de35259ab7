/* SPDX-License-Identifier: GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli.h"

static void assert_text(const char *text, size_t len, const char *want)
{
	char *got = NULL;
	size_t got_len;
	FILE *out = open_memstream(&got, &got_len);

	assert_non_null(out);
	json_text(out, text, len);
	fclose(out);
	assert_string_equal(got, want);
	free(got);
}

static void test_text(void **state)
{
	(void)state;
	assert_text("plain", 5, "\"plain\"");
	assert_text("", 0, "\"\"");
	assert_text("a\"b\\c", 5, "\"a\\\"b\\\\c\"");
	assert_text("a\nb\tc\r\x7f", 7, "\"a\\nb\\tc\\u000d\\u007f\"");
	assert_text("a\0b", 3, "\"a\\u0000b\"");
	assert_text("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9,
		    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

static void test_not_utf8(void **state)
{
	(void)state;
	/* alone, cut off, overlong, a surrogate, above the last code point */
	assert_text("\x80", 1, "\"\\udc80\"");
	assert_text("\xff", 1, "\"\\udcff\"");
	assert_text("\xe2\x82", 2, "\"\\udce2\\udc82\"");
	assert_text("\xc0\xaf", 2, "\"\\udcc0\\udcaf\"");
	assert_text("\xe0\x80\xaf", 3, "\"\\udce0\\udc80\\udcaf\"");
	assert_text("\xed\xa0\x80", 3, "\"\\udced\\udca0\\udc80\"");
	assert_text("\xf4\x90\x80\x80", 4, "\"\\udcf4\\udc90\\udc80\\udc80\"");
	assert_text("\xf5\x80\x80\x80", 4, "\"\\udcf5\\udc80\\udc80\\udc80\"");
	assert_text("a\xe2\x82z", 4, "\"a\\udce2\\udc82z\"");
}

static void test_object(void **state)
{
	char *got = NULL;
	size_t len;
	FILE *out = open_memstream(&got, &len);
	struct json j;

	(void)state;
	assert_non_null(out);
	json_begin(&j, out, "run");
	json_str(&j, "file", "x");
	json_u64(&j, "n", UINT64_MAX);
	json_bool(&j, "yes", true);
	json_null(&j, "op");
	json_end(&j);
	fclose(out);
	assert_string_equal(got,
			    "{\"v\":1,\"type\":\"run\",\"file\":\"x\",\"n\":18446744073709551615,"
			    "\"yes\":true,\"op\":null}\n");
	free(got);
}

static void test_exit_codes(void **state)
{
	static const int order[] = {EXIT_INJECTOR, EXIT_ENV,   EXIT_NONDET,
				    EXIT_FINDING,  EXIT_USAGE, EXIT_CLEAN};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		for (size_t k = i; k < ARRAY_SIZE(order); k++) {
			assert_int_equal(exit_worst(order[i], order[k]), order[i]);
			assert_int_equal(exit_worst(order[k], order[i]), order[i]);
		}
	}
}

static void test_numbers(void **state)
{
	u64 n;

	(void)state;
	assert_true(parse_u64("0", 10, &n));
	assert_true(parse_u64("18446744073709551615", UINT64_MAX, &n));
	assert_true(n == UINT64_MAX);
	assert_false(parse_u64("18446744073709551616", UINT64_MAX, &n));
	assert_false(parse_u64("11", 10, &n));
	assert_false(parse_u64("-1", 10, &n));
	assert_false(parse_u64("", 10, &n));
	assert_false(parse_u64(" 1", 10, &n));
	assert_false(parse_u64("1x", 10, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	cmocka_unit_test(test_not_utf8),
		cmocka_unit_test(test_object),	cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
