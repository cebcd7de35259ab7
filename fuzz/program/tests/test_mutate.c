/* SPDX-License-Identifier: GPL-2.0-only */
/* Mutations: always a program, the same for the same seed, every kind of them does its work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edit.h"
#include "mutate.h"

#define MAGIC "# faultline 1\n"

static void parse_ok(struct program *p, const char *text)
{
	struct prog_error err;

	if (program_parse(p, text, strlen(text), &err))
		fail_msg("line %u: %s\n%s", err.line, err.what, text);
}

static char *text_of(const struct program *p)
{
	char *text;

	assert_int_equal(program_print(p, &text, NULL), 0);
	return text;
}

/* A program that text and bytes can hold: names are used after they are given, and so on. */
static void is_program(const struct program *p)
{
	struct program from_text, from_bytes, again;
	struct prog_error err;
	char *text = text_of(p);
	u8 *bytes;
	size_t len;

	if (program_parse(&from_text, text, strlen(text), &err))
		fail_msg("line %u: %s\n%s", err.line, err.what, text);
	free(text);
	assert_int_equal(program_encode(&from_text, &bytes, &len), 0);
	assert_int_equal(program_decode(&from_bytes, bytes, len), 0);
	assert_int_equal(program_decode(&again, bytes, len), 0);
	assert_true(program_equal(&from_bytes, &again));
	assert_int_equal(from_bytes.nr_ops, p->nr_ops);
	for (u32 kind = DEF_RESULT; kind <= DEF_FILE; kind++)
		assert_int_equal(from_bytes.nr_defs[kind], p->nr_defs[kind]);
	free(bytes);
	program_free(&from_text);
	program_free(&from_bytes);
	program_free(&again);
}

/* Each mutation on many programs: valid, repeatable, and mostly a change. */
static void test_each(void **state)
{
	(void)state;
	for (u32 how = 0; how < NR_MUTATIONS; how++) {
		u32 done = 0, changed = 0;

		for (u64 seed = 0; seed < 400; seed++) {
			struct program p, other, same;
			u64 rng = seed, rng2 = seed;
			int ret;

			assert_int_equal(program_generate(&p, seed, (u32)(seed % 40)), 0);
			assert_int_equal(program_generate(&other, seed + 1000, (u32)(seed % 23)),
					 0);
			assert_int_equal(edit_clone(&same, &p), 0);
			assert_true(program_equal(&p, &same));
			ret = program_mutate(&p, &other, (enum mutation)how, &rng);
			assert_true(ret == 0 || ret == -EAGAIN);
			is_program(&p);
			if (ret)
				assert_true(program_equal(&p, &same));
			done += !ret;
			changed += !program_equal(&p, &same);
			assert_int_equal(program_mutate(&same, &other, (enum mutation)how, &rng2),
					 ret);
			assert_true(program_equal(&p, &same));
			assert_true(rng == rng2);
			program_free(&p);
			program_free(&other);
			program_free(&same);
		}
		if (done < 150 || changed < done * 2 / 3)
			fail_msg("%s: %u of 400 applied, %u changed something", mutation_names[how],
				 done, changed);
	}
}

/* What a long chain of mutations makes of nothing. */
static void test_bytes(void **state)
{
	u8 *cur = malloc(65536), *next = malloc(65536), *again = malloc(65536), *tmp;
	u32 done[NR_MUTATIONS] = {0}, ops = 0;
	size_t len = 0, n;

	(void)state;
	for (u64 seed = 0; seed < 3000; seed++) {
		struct program p;
		u8 *bytes;
		size_t m, max = seed % 50 ? 16384 : 16 + 16 * (seed % 7);

		n = mutate_bytes(cur, len, next, len, again, max, seed, NULL);
		assert_int_equal(mutate_bytes(cur, len, next, len, next, max, seed, done), n);
		assert_memory_equal(next, again, n);
		assert_in_range(n, 16, max);
		assert_int_equal(program_decode(&p, next, n), 0);
		assert_true(p.nr_ops <= MUTATE_MAX_OPS);
		assert_int_equal(program_encode(&p, &bytes, &m), 0);
		assert_int_equal(m, n);
		assert_memory_equal(bytes, next, n);
		ops += p.nr_ops;
		free(bytes);
		program_free(&p);
		tmp = cur;
		cur = next;
		next = tmp;
		len = n;
	}
	for (u32 how = 0; how < NR_MUTATIONS; how++)
		assert_in_range(done[how], 20, 3000);
	assert_true(ops > 3000 * 4);
	free(cur);
	free(next);
	free(again);
}

/* Any bytes may come in. */
static void test_garbage(void **state)
{
	u8 in[700], other[300], out[4096];
	u64 rng = 7;

	(void)state;
	for (u32 i = 0; i < 2000; i++) {
		struct program p;
		size_t n;

		for (size_t k = 0; k < sizeof(in); k++)
			in[k] = (u8)((rng = rng * 6364136223846793005u + 1442695040888963407u) >>
				     56);
		memcpy(other, in + 100, sizeof(other));
		n = mutate_bytes(in, i % sizeof(in), other, i % sizeof(other), out, sizeof(out), i,
				 NULL);
		assert_in_range(n, 16, sizeof(out));
		assert_int_equal(program_decode(&p, out, n), 0);
		is_program(&p);
		program_free(&p);
		n = cross_bytes(in, 64 + i % 600, other, 64 + i % 200, out, sizeof(out), i);
		if (!n)
			continue;
		assert_int_equal(program_decode(&p, out, n), 0);
		is_program(&p);
		program_free(&p);
	}
	/* too small for any operation */
	assert_int_equal(mutate_bytes(in, 64, NULL, 0, out, 15, 1, NULL), 0);
}

/* A recording longer than what is run is cut, not copied around. */
static void test_long(void **state)
{
	struct program p;
	u8 *bytes, *out = malloc(1 << 20);
	size_t len, n;

	(void)state;
	assert_int_equal(program_generate(&p, 5, 4000), 0);
	assert_int_equal(program_encode(&p, &bytes, &len), 0);
	program_free(&p);
	n = mutate_bytes(bytes, len, bytes, len, out, 1 << 20, 3, NULL);
	assert_int_equal(program_decode(&p, out, n), 0);
	assert_in_range(p.nr_ops, 1, MUTATE_MAX_OPS);
	program_free(&p);
	free(bytes);
	free(out);
}

static void becomes(struct program *p, const char *want)
{
	char *text = text_of(p);

	assert_string_equal(text, want);
	free(text);
	program_free(p);
}

/* Names follow what they name, and stand for something when that has gone. */
static void test_names(void **state)
{
	static const char text[] = MAGIC "t0: r0 = mmap(w+4p, 2p, rw, private|anon|fixed)\n"
					 "t0: f0 = open(1p, r)\n"
					 "t0: t1 = fork()\n"
					 "t0: r1 = mremap(r0+1p, 1p, 2p, maymove)\n"
					 "t1: write(r1+1p, 1)\n"
					 "t1: r2 = mmap(0x0, 1p, r, private, f0)\n";
	struct program p, q;
	struct edit_names n;

	(void)state;
	parse_ok(&p, text);
	program_init(&q);
	assert_int_equal(edit_names_init(&n, &p), 0);
	for (u32 i = 0; i < p.nr_ops; i++) {
		if (i >= 1 && i <= 3)
			edit_omit(&p, i, &n);
		else
			assert_non_null(edit_copy(&q, &p, i, &n));
	}
	edit_names_free(&n);
	becomes(&q, MAGIC "t0: r0 = mmap(w+4p, 2p, rw, private|anon|fixed)\n"
			  "t0: write(r0+2p, 1)\n"
			  "t0: r1 = mmap(0x0, 1p, r, private)\n");

	/* lost, and not omitted: some name of the kind */
	program_init(&q);
	assert_int_equal(edit_names_init(&n, &p), 0);
	for (u32 i = 4; i < 6; i++)
		assert_non_null(edit_copy(&q, &p, i, &n));
	edit_names_free(&n);
	becomes(&q, MAGIC "t0: write(w+1p, 1)\n"
			  "t0: r0 = mmap(0x0, 1p, r, private)\n");
	program_free(&p);
}

/* What has to be there for a fuzzer without the mutator: a record of each operation. */
static void test_dictionary(void **state)
{
	char *text, name[64];

	(void)state;
	assert_int_equal(program_print_dictionary(&text), 0);
	for (u32 i = 0; i < NR_OPS; i++) {
		strcpy(name, "\n");
		strcat(name, op_table[i].name);
		strcat(name, "_0=\"");
		if (!strstr(text, name))
			fail_msg("no record of %s", op_table[i].name);
	}
	for (u32 i = 0; i < nr_machine_options; i++)
		assert_non_null(strstr(text, machine_options[i].name));
	assert_non_null(strstr(text, "\nany_1=\"\\xe0"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each),	cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_garbage), cmocka_unit_test(test_long),
		cmocka_unit_test(test_names),	cmocka_unit_test(test_dictionary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
