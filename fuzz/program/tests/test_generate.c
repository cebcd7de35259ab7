/* SPDX-License-Identifier: GPL-2.0-only */
/* Generated programs: the same for the same seed, valid, varied, and unchanged by every codec. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "program.h"

static char *text_of(const struct program *p)
{
	char *text;

	assert_int_equal(program_print(p, &text, NULL), 0);
	return text;
}

static void test_round_trip(void **state)
{
	(void)state;
	for (u64 seed = 0; seed < 3000; seed++) {
		struct program p, from_text, from_bytes;
		struct prog_error err;
		char *text, *again;
		u8 *bytes;
		size_t n;

		assert_int_equal(program_generate(&p, seed, (u32)(seed % 97)), 0);
		assert_int_equal(p.nr_ops, seed % 97);
		text = text_of(&p);
		if (program_parse(&from_text, text, strlen(text), &err))
			fail_msg("seed %u, line %u: %s\n%s", (u32)seed, err.line, err.what, text);
		assert_true(program_equal(&p, &from_text));
		again = text_of(&from_text);
		assert_string_equal(text, again);
		free(again);

		assert_int_equal(program_encode(&p, &bytes, &n), 0);
		assert_int_equal(program_decode(&from_bytes, bytes, n), 0);
		again = text_of(&from_bytes);
		assert_string_equal(text, again);
		assert_true(program_equal(&p, &from_bytes));
		free(again);
		free(text);
		free(bytes);
		program_free(&p);
		program_free(&from_text);
		program_free(&from_bytes);
	}
}

/* The same everywhere, as long as ops.def and sites.def say the same. */
static void test_known_seed(void **state)
{
	static const char want[] = "# faultline 1\n"
				   "machine swap=16 swap_count_bits=2 teardown=oldest\n"
				   "t0: notifier_register(1)\n"
				   "t0: f0 = open(4p, rw)\n"
				   "t0: signal(0)\n"
				   "t0: exec([w+2p, 6p, r], [w+8p, 3p, rw], [w+12p, 3p, rw], "
				   "[w+17p, 4p, w], brk=w+23p)\n"
				   "t0: r0 = mmap(0x0, 1p, r, private|anon)\n"
				   "t0: r1 = mmap(w+16384p, 2p, rw, private|fixed, f0, 3p)\n"
				   "t0: write(r1+1p, 1)\n"
				   "t0: mprotect(w+514p, 1p, rx)\n"
				   "t0: notifier_register(2)\n"
				   "t0: t1 = vfork()\n"
				   "t1: exec()\n"
				   "t0: write(r1+1p, 2)\n";
	struct program p;
	char *text;

	(void)state;
	assert_int_equal(program_generate(&p, 1, 12), 0);
	text = text_of(&p);
	assert_string_equal(text, want);
	free(text);
	program_free(&p);
}

static void test_variety(void **state)
{
	u32 ops[NR_OPS] = {0}, marks = 0, machines = 0, segs = 0;

	(void)state;
	for (u64 seed = 0; seed < 200; seed++) {
		struct program p;

		assert_int_equal(program_generate(&p, seed, 100), 0);
		for (u32 i = 0; i < p.nr_ops; i++)
			ops[p.ops[i].code]++;
		marks += p.nr_faults;
		segs += p.nr_segs;
		machines += p.machine != NULL;
		program_free(&p);
	}
	for (u32 i = 0; i < NR_OPS; i++)
		if (ops[i] < 10)
			fail_msg("%s: %u times in 20000", op_table[i].name, ops[i]);
	assert_in_range(marks, 1000, 3000);
	assert_in_range(machines, 100, 190);
	assert_true(segs > 1000);
}

static void test_options_fit(void **state)
{
	(void)state;
	for (u64 seed = 0; seed < 500; seed++) {
		struct machine_config cfg;
		struct prog_error err;
		struct program p;

		assert_int_equal(program_generate(&p, seed, 1), 0);
		machine_config_init(&cfg);
		assert_int_equal(program_machine(&p, &cfg, &err), 0);
		assert_int_equal(machine_config_check(&cfg, err.what, sizeof(err.what)), 0);
		program_free(&p);
	}
}

static void test_long(void **state)
{
	struct program p;

	(void)state;
	assert_int_equal(program_generate(&p, 3, UINT32_MAX), 0);
	assert_int_equal(p.nr_ops, PROG_MAX_OPS);
	program_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_known_seed),
		cmocka_unit_test(test_variety),	   cmocka_unit_test(test_options_fit),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
