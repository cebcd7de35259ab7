/* SPDX-License-Identifier: GPL-2.0-only */
/* The fuzzers' form: every input decodes, and what a program means survives the way there and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <faultline/mm_types.h>
#include <faultline/syscalls.h>

#include "program.h"

#define MAGIC "# faultline 1\n"

static void parse_ok(struct program *p, const char *text)
{
	struct prog_error err;

	if (program_parse(p, text, strlen(text), &err))
		fail_msg("line %u: %s\n%s", err.line, err.what, text);
}

static void same_text(const struct program *a, const struct program *b)
{
	char *ta, *tb;

	assert_int_equal(program_print(a, &ta, NULL), 0);
	assert_int_equal(program_print(b, &tb, NULL), 0);
	assert_string_equal(ta, tb);
	free(ta);
	free(tb);
}

/* Bytes to program to bytes to program; the text of what came out parses to the same. */
static void bytes_come_back(const u8 *data, size_t len)
{
	struct program p, q, r;
	size_t n, n2, text_len;
	struct prog_error err;
	u8 *bytes, *again;
	char *text;

	assert_int_equal(program_decode(&p, data, len), 0);
	assert_int_equal(program_encode(&p, &bytes, &n), 0);
	assert_int_equal(program_decode(&q, bytes, n), 0);
	if (!program_equal(&p, &q)) {
		same_text(&p, &q);
		fail();
	}
	assert_int_equal(program_encode(&q, &again, &n2), 0);
	assert_int_equal(n, n2);
	assert_memory_equal(bytes, again, n);

	assert_int_equal(program_print(&p, &text, &text_len), 0);
	if (program_parse(&r, text, text_len, &err))
		fail_msg("line %u: %s\n%s", err.line, err.what, text);
	assert_true(program_equal(&p, &r));
	same_text(&p, &r);
	free(text);
	free(bytes);
	free(again);
	program_free(&p);
	program_free(&q);
	program_free(&r);
}

static void text_comes_back(const char *text)
{
	struct program p, q;
	u8 *bytes;
	size_t n;

	parse_ok(&p, text);
	assert_int_equal(program_encode(&p, &bytes, &n), 0);
	assert_int_equal(n % 16, 0);
	assert_int_equal(program_decode(&q, bytes, n), 0);
	same_text(&p, &q);
	assert_true(program_equal(&p, &q));
	bytes_come_back(bytes, n);
	free(bytes);
	program_free(&p);
	program_free(&q);
}

static void test_every_form(void **state)
{
	(void)state;
	text_comes_back(MAGIC);
	text_comes_back(
		MAGIC
		"machine kernel_pmd=shared levels=3 mem=2048 "
		"teardown=shuffle:12345678901234567890\n"
		"t0: f0 = open(4p, rw)\n"
		"t0: f1 = open(0x123, none)\n"
		"t0: r0 = mmap(w+3p, 2p, none, private|fixed|noreserve|stack, f0, 1p)\n"
		"t0: r1 = mmap(0x7f0123456789, 0, r, shared, f1) = r0-0x10\n"
		"t0: r2 = mmap(brk, 0x7fffffffffffffff, rwx, 0, none, 0xfffffffffffff) = -EINVAL\n"
		"t0: r3 = mmap(0xffffffffffffffff, 0x8001, rwx, private|shared) = "
		"0x123456789abcdef\n"
		"t0: munmap(stack-1p, 1p) = 0\n"
		"t0: mprotect(r2+0xffffffff001, 1p, x) = r1+0x123456789\n"
		"t0: mprotect(r2-0x8000000000000000, 32768p, x)\n"
		"t0: brk(brk+2p) = brk+2p | linux-6.18: skip\n"
		"t0: munmap(w, 0) = -EINVAL | linux-4.4: r0-1p\n"
		"t0: read(w) = SIGBUS\n"
		"t0: write(0x40000000, 0x10000) = SIGSEGV\n"
		"t0: t1 = clone(vm|vfork|thread)\n"
		"t1: t2 = clone(0) = skip\n"
		"t1: t3 = vfork() !any:* !slab@dup_mmap_vma/nowait:2-3 !page:b=4 !ctor:p=0.25/9\n"
		"t1: t4 = kthread() !page:70000 !page:70000-80000 !page:1-80000 !any:100000+ = "
		"-4095\n"
		"t1: exec() !page:b=100000 !page:p=1/18446744073709551615 !hook:p=0/1 = OOM\n"
		"t1: exec([w, 2p, rx, f0], [w+2p, 1p, rw, f1, 1p], [0x7f0123456789, 0x123456, rw], "
		"[w+9p, 1p, r, none, 0x87654321], brk=w+10p, stack=2p, exe=f0, binfmt=0x10000)\n"
		"t1: modify_ldt(0x10, 0xffffffffffffffff) = -EINVAL\n"
		"t1: close(f1)\n"
		"t1: close(none)\n"
		"t1: binfmt_going(0, 1)\n"
		"t0: mm_alloc() !slab:1+\n"
		"t1: exit()\n");
}

/* References further back than a byte counts. */
static void test_far_references(void **state)
{
	char *text = malloc(65536);
	size_t n;

	(void)state;
	assert_non_null(text);
	n = (size_t)sprintf(text, MAGIC);
	for (u32 i = 0; i < 300; i++)
		n += (size_t)sprintf(text + n,
				     "t%u: t%u = fork()\nt0: f%u = open(1p, r)\n"
				     "t0: r%u = mmap(0x0, 1p, r, private|anon)\n",
				     i, i + 1, i, i);
	for (u32 i = 40; i < 50; i++)
		n += (size_t)sprintf(text + n,
				     "t%u: r%u = mmap(r%u+1p, 1p, r, private, f%u) = r%u\n"
				     "t%u: exec([w, 1p, r, f%u], exe=f%u)\n",
				     i, i + 260, i, i, i, i + 3, i, i);
	text_comes_back(text);
	free(text);
}

static void decodes_as(const u8 *data, size_t len, const char *want)
{
	struct program p;
	char *text;

	assert_int_equal(program_decode(&p, data, len), 0);
	assert_int_equal(program_print(&p, &text, NULL), 0);
	assert_string_equal(text, want);
	free(text);
	program_free(&p);
}

/* clang-format off */
static const u8 layout[] = {
	/* continuations with nothing before them */
	0xc0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	0xd0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	0xe0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	0xf0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	/* levels=3; teardown=oldest */
	0xf1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0,
	0xf2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/* mmap(w+3p, 2p, rw, private|anon|fixed) */
	OP_mmap, 0, BASE_WINDOW, 0, 3, 0, 2, 0, 3, 0x08, 0, 0, 0, 0, 9, 9,
	/* write(r0+1p, 0x11), its value replaced by a wide record */
	OP_write, 7, BASE_REF, 3, 1, 0, 0x22, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0xc0, 1, 0, 0, 0, 0, 0, 0, 0x11, 0, 0, 0, 0, 0, 0, 0,
	/* reserved, too late, and not of this operation: all ignored */
	0xff, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	0xf1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0,
	0xd0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	/* read(w+2M) !page:3; an expectation that nobody wrote, cut short */
	OP_read, 0, BASE_WINDOW | 2 << 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0xe0, FL_CLASS_page, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0xf0, EXPECT_SIGSEGV, 0, 0, 1, 2, 3,
};
/* clang-format on */

/* The layout that README.md describes. */
static void test_layout(void **state)
{
	(void)state;
	decodes_as(layout, sizeof(layout),
		   MAGIC "machine levels=3 teardown=oldest\n"
			 "t0: r0 = mmap(w+3p, 2p, rw, private|anon|fixed)\n"
			 "t0: write(r0+1p, 0x11)\n"
			 "t0: read(w+512p) !page:3\n");
	bytes_come_back(layout, sizeof(layout));
	decodes_as((const u8 *)"", 0, MAGIC);
	decodes_as(NULL, 0, MAGIC);
}

/* What is changed before or in an expectation takes it away; what is changed after it does not. */
static void test_expectations(void **state)
{
	struct program p, q;
	u8 *bytes;
	size_t n;

	(void)state;
	parse_ok(&p, MAGIC "machine cpus=2\nt0: r0 = mmap(w, 1p, rw, private|anon) !page:1 = w\n"
			   "t0: read(r0+1p) = SIGSEGV | linux-6.18: 0\nt0: brk(0x0)\n");
	assert_int_equal(program_encode(&p, &bytes, &n), 0);
	assert_int_equal(n, 8 * 16);
	for (size_t i = 0; i < n; i++) {
		bytes[i] ^= 1;
		assert_int_equal(program_decode(&q, bytes, n), 0);
		if (i < 4 * 16 && q.nr_ops > 0)
			assert_int_equal(q.ops[0].expect.kind, EXPECT_NONE);
		if (i < 6 * 16 && q.nr_ops > 1)
			assert_int_equal(q.ops[1].expect.kind, EXPECT_NONE);
		if (i >= 6 * 16)
			assert_int_equal(q.ops[1].expect.kind, EXPECT_SIGSEGV);
		if (q.nr_ops > 1)
			assert_int_equal(q.ops[1].variant.expect.kind,
					 i >= 7 * 16 ? EXPECT_VALUE : EXPECT_NONE);
		program_free(&q);
		bytes[i] ^= 1;
	}
	free(bytes);
	program_free(&p);
}

/* A reference to a name that nothing defines becomes one to something that is always there. */
static void test_dangling_references(void **state)
{
	static const u8 data[] = {
		OP_read,  200, BASE_REF, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		OP_close, 0,   5,	 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	};

	(void)state;
	decodes_as(data, sizeof(data), MAGIC "t0: read(w+1p)\nt0: close(none)\n");
}

/* Taking an operation away leaves the references of the others alone: they count back. */
static void test_references_count_back(void **state)
{
	struct program p;
	u8 *bytes;
	size_t n;

	(void)state;
	parse_ok(&p, MAGIC "t0: r0 = mmap(0x0, 1p, r, private|anon)\n"
			   "t0: r1 = mmap(0x0, 2p, r, private|anon)\n"
			   "t0: read(r1)\n");
	assert_int_equal(program_encode(&p, &bytes, &n), 0);
	assert_int_equal(n, 3 * 16);
	decodes_as(bytes + 16, n - 16,
		   MAGIC "t0: r0 = mmap(0x0, 2p, r, private|anon)\nt0: read(r0)\n");
	free(bytes);
	program_free(&p);
}

static u64 rng_next(u64 *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void test_random_bytes(void **state)
{
	u64 rng = 88172645463325252;
	u8 data[2048];

	(void)state;
	for (u32 i = 0; i < 4000; i++) {
		size_t len = rng_next(&rng) % (i % 8 ? 256 : sizeof(data));

		for (size_t k = 0; k < len; k++)
			data[k] = (u8)(rng_next(&rng) >> 32);
		/* Half of them with more continuations than chance gives. */
		for (size_t k = 0; i % 2 && k < len; k += 16)
			if (rng_next(&rng) % 2)
				data[k] = (u8)(0xc0 + rng_next(&rng) % 0x40);
		bytes_come_back(data, len);
	}
}

static void test_too_large(void **state)
{
	struct program p;
	u8 *bytes, *data = calloc(1, PROG_MAX_BYTES + 16);
	size_t n;

	(void)state;
	assert_non_null(data);
	memset(data, OP_yield, PROG_MAX_BYTES + 16);
	assert_int_equal(program_decode(&p, data, PROG_MAX_BYTES + 16), 0);
	assert_int_equal(p.nr_ops, PROG_MAX_BYTES / 16);
	assert_int_equal(program_encode(&p, &bytes, &n), 0);
	assert_int_equal(n, PROG_MAX_BYTES);
	free(bytes);
	assert_non_null(program_add(&p, OP_yield, 0));
	assert_int_equal(program_encode(&p, &bytes, &n), -E2BIG);
	program_free(&p);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_form),
		cmocka_unit_test(test_far_references),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_expectations),
		cmocka_unit_test(test_dangling_references),
		cmocka_unit_test(test_references_count_back),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
