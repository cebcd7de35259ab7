/* SPDX-License-Identifier: GPL-2.0-only */
/* The minimiser's proposals: programs all, ever smaller, until no operation can be left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edit.h"
#include "shrink.h"

#define MAGIC	  "# faultline 1\n"
#define MAX_STEPS 20000u

typedef bool (*keeps_fn)(const struct program *p);

static char *text_of(const struct program *p)
{
	char *text;

	assert_int_equal(program_print(p, &text, NULL), 0);
	return text;
}

static void is_program(const struct program *p)
{
	struct prog_error err;
	struct program q;
	char *text = text_of(p);

	if (program_parse(&q, text, strlen(text), &err))
		fail_msg("line %u: %s\n%s", err.line, err.what, text);
	assert_true(program_equal(p, &q));
	program_free(&q);
	free(text);
}

/* The text of what is left of p. */
static char *shrunk(const struct program *p, keeps_fn keeps)
{
	struct program *cand;
	struct shrink s;
	u32 steps = 0;
	char *text;

	assert_int_equal(shrink_begin(&s, p, false), 0);
	while ((cand = shrink_next(&s)) != NULL) {
		assert_true(++steps < MAX_STEPS);
		is_program(cand);
		assert_false(program_equal(cand, &s.cur));
		shrink_judge(&s, keeps(cand));
	}
	assert_false(s.failed);
	assert_true(keeps(&s.cur));
	text = text_of(&s.cur);
	shrink_end(&s);
	return text;
}

static bool anything(const struct program *p)
{
	(void)p;
	return true;
}

/* A write by a grandchild to a mapping that was moved, and a mark on the fork that made it. */
static bool grandchild_writes(const struct program *p)
{
	u32 parent[64] = {0};

	for (u32 i = 0; i < p->nr_ops; i++) {
		const struct op *op = &p->ops[i];

		if (op->code == OP_fork && op->def < 64 && op->nr_faults)
			parent[op->def] = op->task + 1;
		if (op->code != OP_write || op->task >= 64 || parent[op->task] < 2)
			continue;
		for (u32 k = 0; op->args[0].base == BASE_REF && k < i; k++)
			if (p->ops[k].code == OP_mremap && p->ops[k].def == op->args[0].ref &&
			    p->ops[k].args[3].val & 1)
				return true;
	}
	return false;
}

static void test_small(void **state)
{
	static const char text[] = MAGIC
		"# about\n"
		"machine levels=3 cpus=2 teardown=shuffle:7\n"
		"t0: f0 = open(3p, rw)\n"
		"# moved later\n"
		"t0: r0 = mmap(w+9p, 7p, rwx, private|anon|fixed)\n"
		"t0: t1 = fork()\n"
		"t0: r1 = mmap(0x0, 7p, rw, shared, f0, 2p)\n"
		"t1: exec([w, 2p, rx, f0, 1p], [w+2p, 3p, rw], brk=w+7p, stack=5p)\n"
		"t1: t2 = fork() !slab@dup_mmap_vma:4-9 !page:3\n"
		"t1: r2 = mremap(r0+5p, 0x1801, 5p, maymove|fixed, w+77p) = w+77p\n"
		"t2: write(r2+0x2011, 0x77)\n"
		"t0: munmap(r1+1p, 2p)\n"
		"t2: exit()\n";
	struct prog_error err;
	struct program p;
	char *out;

	(void)state;
	assert_int_equal(program_parse(&p, text, strlen(text), &err), 0);
	assert_true(grandchild_writes(&p));
	out = shrunk(&p, grandchild_writes);
	assert_string_equal(out, MAGIC "# about\n"
				       "t0: t1 = fork()\n"
				       "t1: t2 = fork() !page:1\n"
				       "t0: r0 = mremap(w, 1p, 1p, maymove)\n"
				       "t2: write(r0, 0)\n");
	free(out);
	out = shrunk(&p, anything);
	assert_string_equal(out, MAGIC "# about\n");
	free(out);
	program_free(&p);
}

/* A length, a value and an address of which no other proposal than a little less is kept. */
static bool still_large(const struct program *p)
{
	bool len = false, val = false, addr = false;

	for (u32 i = 0; i < p->nr_ops; i++) {
		const struct op *op = &p->ops[i];

		len |= op->code == OP_open && op->args[0].val > 0x7123456789abcdefu;
		val |= op->code == OP_ioprio && op->args[0].val > 0xfedcba9876543210u;
		addr |= op->code == OP_read && op->args[0].base == BASE_WINDOW &&
			op->args[0].val > 0x123456789abcdu;
	}
	return len && val && addr;
}

/* As near as they get, and not in as many steps as they are large (MAX_STEPS). */
static void test_large(void **state)
{
	static const char text[] = MAGIC "t0: f0 = open(0xffffffffd32d8000, r)\n"
					 "t0: ioprio(0xffffffffffffffff)\n"
					 "t0: read(w+0x7fffffffffffp)\n";
	struct prog_error err;
	struct program p;
	char *out;

	(void)state;
	assert_int_equal(program_parse(&p, text, strlen(text), &err), 0);
	out = shrunk(&p, still_large);
	assert_string_equal(out, MAGIC "t0: f0 = open(0x7123456789abd000, none)\n"
				       "t0: ioprio(0xfedcba9876543211)\n"
				       "t0: read(w+0x123456789b000)\n");
	free(out);
	program_free(&p);
}

static u32 count(const struct program *p, enum op_code code)
{
	u32 nr = 0;

	for (u32 i = 0; i < p->nr_ops; i++)
		nr += p->ops[i].code == code;
	return nr;
}

static bool three_kinds(const struct program *p)
{
	return count(p, OP_fork) >= 2 && count(p, OP_munmap) && count(p, OP_write) >= 3;
}

/* Generated programs: what is left is 1-minimal, and the same each time. */
static void test_generated(void **state)
{
	u32 nr = 0;

	(void)state;
	for (u64 seed = 0; seed < 300 && nr < 40; seed++) {
		struct prog_error err;
		struct program p, q;
		char *out, *again;

		assert_int_equal(program_generate(&p, seed, 120), 0);
		if (!three_kinds(&p)) {
			program_free(&p);
			continue;
		}
		nr++;
		out = shrunk(&p, three_kinds);
		again = shrunk(&p, three_kinds);
		assert_string_equal(out, again);
		assert_int_equal(program_parse(&q, out, strlen(out), &err), 0);
		assert_int_equal(q.nr_ops, 6);
		assert_null(q.machine);
		assert_int_equal(q.nr_faults, 0);
		assert_int_equal(q.teardown, TEARDOWN_NEWEST);
		program_free(&q);
		program_free(&p);
		free(out);
		free(again);
	}
	assert_int_equal(nr, 40);
}

/* afl-fuzz asks for operations alone, and not for ever. */
static void test_ops_only(void **state)
{
	struct program p, *cand;
	struct shrink s;
	u32 steps = 0;

	(void)state;
	assert_int_equal(program_generate(&p, 11, 100), 0);
	assert_int_equal(shrink_begin(&s, &p, true), 0);
	while ((cand = shrink_next(&s)) != NULL) {
		assert_true(cand->nr_ops < s.cur.nr_ops);
		shrink_judge(&s, false);
		steps++;
	}
	assert_in_range(steps, 100, 500);
	assert_true(program_equal(&s.cur, &p));
	shrink_end(&s);
	program_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_generated),
		cmocka_unit_test(test_ops_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
