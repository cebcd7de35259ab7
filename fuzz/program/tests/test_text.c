/* SPDX-License-Identifier: GPL-2.0-only */
/* The text form: what it means, that it comes back, and what each fault in it is called. */
#define _POSIX_C_SOURCE 200809L

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

/* text must print as want, and want as itself. */
static void prints_as(const char *text, const char *want)
{
	struct program p, q;
	char *out;
	size_t len;

	parse_ok(&p, text);
	assert_int_equal(program_print(&p, &out, &len), 0);
	assert_int_equal(strlen(out), len);
	assert_string_equal(out, want);
	free(out);
	parse_ok(&q, want);
	assert_true(program_equal(&p, &q));
	assert_int_equal(program_print(&q, &out, &len), 0);
	assert_string_equal(out, want);
	free(out);
	program_free(&p);
	program_free(&q);
}

static void stays(const char *text)
{
	prints_as(text, text);
}

static void refused_bytes(const char *text, size_t len, u32 line, const char *part)
{
	struct prog_error err;
	struct program p;

	assert_int_equal(program_parse(&p, text, len, &err), -EINVAL);
	if (err.line != line || !strstr(err.what, part))
		fail_msg("wanted line %u '%s', got line %u '%s'", line, part, err.line, err.what);
	assert_int_equal(p.nr_ops, 0);
	assert_null(p.ops);
}

static void refused(const char *text, u32 line, const char *part)
{
	refused_bytes(text, strlen(text), line, part);
}

static void test_contract_example(void **state)
{
	struct program p;

	(void)state;
	stays(MAGIC "machine levels=3 kernel_pmd=private cpus=2\n"
		    "t0: r0 = mmap(0x0, 8p, rw, private|anon)\n"
		    "t0: write(r0+1p, 0x11)\n"
		    "t0: t1 = fork() !page:3 = -ENOMEM\n"
		    "t0: t2 = fork()\n"
		    "t2: write(r0+1p, 0x22)\n"
		    "t0: read(r0+1p) = 0x11\n"
		    "t2: exit()\n");
	parse_ok(&p, MAGIC "t0: r0 = mmap(0x0, 8p, rw, private|anon)\n\n"
			   "t0: t1 = fork() !page:3 = -ENOMEM\n"
			   "t1: read(r0+1p) = 0x11\n");
	assert_int_equal(p.nr_ops, 3);
	assert_int_equal(p.ops[0].code, OP_mmap);
	assert_int_equal(p.ops[0].def, 0);
	assert_int_equal(p.ops[0].args[1].val, 8 * PAGE_SIZE);
	assert_int_equal(p.ops[0].args[2].val, PROT_READ | PROT_WRITE);
	assert_int_equal(p.ops[0].args[3].val, MAP_PRIVATE | MAP_ANONYMOUS);
	assert_int_equal(p.ops[0].args[4].ref, NO_REF);
	assert_int_equal(p.ops[1].def, 1);
	assert_int_equal(p.ops[1].line, 4);
	assert_int_equal(p.ops[1].nr_faults, 1);
	assert_int_equal(p.faults[p.ops[1].fault].class, FL_CLASS_page);
	assert_int_equal(p.faults[p.ops[1].fault].from, 3);
	assert_int_equal(p.faults[p.ops[1].fault].op, FI_OP_ANY);
	assert_int_equal(p.ops[1].expect.kind, EXPECT_ERRNO);
	assert_int_equal(p.ops[1].expect.val.val, ENOMEM);
	assert_int_equal(p.ops[2].task, 1);
	assert_int_equal(p.ops[2].args[0].base, BASE_REF);
	assert_int_equal(p.ops[2].args[0].val, PAGE_SIZE);
	assert_int_equal(p.ops[2].expect.kind, EXPECT_VALUE);
	program_free(&p);
}

static void test_every_form(void **state)
{
	(void)state;
	stays(MAGIC
	      "machine paravirt=xen mem=2048 teardown=shuffle:7\n"
	      "t0: f0 = open(4p, rw)\n"
	      "t0: f1 = open(0x123, none)\n"
	      "t0: r0 = mmap(w+3p, 2p, none, private|fixed|noreserve|stack, f0, 1p)\n"
	      "t0: r1 = mmap(0x7f0000, 0, r, shared, f1) = r0-0x10\n"
	      "t0: r2 = mmap(brk, 0x7fffffffffffffff, rwx, 0, none, 2p) = -EINVAL\n"
	      "t0: munmap(stack-1p, 1p) = 0\n"
	      "t0: mprotect(r2+0xffffffff000, 1p, x)\n"
	      "t0: brk(brk+2p) = brk+2p | linux-6.18: skip\n"
	      "t0: munmap(w, 0) = -EINVAL | linux-4.4: r0-1p\n"
	      "t0: read(w) = SIGBUS\n"
	      "t0: write(0x0, 9) = SIGSEGV\n"
	      "t0: t1 = clone(vm|vfork|thread)\n"
	      "t1: t2 = clone(0) = skip\n"
	      "t1: t3 = vfork() !any:* !slab@dup_mmap_vma/nowait:2-3 !page:b=4 !ctor:p=0.25/9\n"
	      "t1: t4 = kthread() = -4000\n"
	      "t1: exec() = OOM\n"
	      "t1: exec(brk=w+8p)\n"
	      "t1: exec([w, 2p, rx, f0], [w+2p, 1p, rw, f0, 1p], [0x400000, 1p, rw], "
	      "[w+9p, 1p, r, none, 1p], brk=w+10p, stack=2p, exe=f0, binfmt=1)\n"
	      "t1: modify_ldt(0x10, 0xffffffffffffffff)\n"
	      "t1: close(f1)\n"
	      "t1: yield()\n"
	      "t1: binfmt_going(0, 1)\n"
	      "t0: mm_alloc() !slab:2+\n"
	      "t1: exit()\n");
}

static void test_normal_form(void **state)
{
	(void)state;
	prints_as("# faultline 1  \r\n\r\n\tmachine  teardown=oldest\tmem=0x800 # why\r\n"
		  "t0:fork()\r\n"
		  "t0 : t7=fork ( )\r\n"
		  "t7: r900000 = mmap(offset=4096, addr=8192, len=1p, flags=anon|private, "
		  "prot=wr)\r\n"
		  "t7: write(r900000+1p+8-0x8, 0x1)#tail  \r\n"
		  "t7: mprotect(r900000, len=0x1000, prot=none) = -12 !page:1\r\n"
		  "t7: exec(w, 1p, none, 1, [0x1000,1p,r])",
		  MAGIC "# why\nmachine mem=2048 teardown=oldest\n"
			"t0: t1 = fork()\n"
			"t0: t2 = fork()\n"
			"t2: r0 = mmap(0x2000, 1p, rw, private|anon, none, 1p)\n"
			"t2: write(r0+1p, 1) #tail\n"
			"t2: mprotect(r0, 1p, none) !page:1 = -ENOMEM\n"
			"t2: exec([0x1000, 1p, r], brk=w, stack=1p, binfmt=1)\n");
	/* A machine line that says nothing goes. */
	prints_as(MAGIC "machine\nt0: exit()\n", MAGIC "t0: exit()\n");
	prints_as(MAGIC "# a\nmachine teardown=newest # b\n\n# c\n", MAGIC "# a\n# b\n\n# c\n");
	prints_as(MAGIC "machine\n\n# c\n", MAGIC "# c\n");
	prints_as(MAGIC "t0: read(w+0p) = 0x9", MAGIC "t0: read(w) = 9\n");
	stays(MAGIC);
}

static void test_comments_stay(void **state)
{
	struct program p;

	(void)state;
	stays(MAGIC "# idea\n#\n# more\n\nmachine cpus=2\n# first\n\n# second\n"
		    "t0: yield() # here\n\n# last\nt0: exit()\n\n# foot\n");
	stays(MAGIC "# idea\n\nt0: yield()\n\nt0: exit()\n# foot\n");
	stays(MAGIC "# only words\n");
	stays(MAGIC "machine cpus=2\n\n# only words\n");
	prints_as(MAGIC "\n\n\n# a\n\n\n  # b\t\nt0: exit()\n\n\n",
		  MAGIC "# a\n\n# b\nt0: exit()\n");
	parse_ok(&p, MAGIC "# head\nt0: yield()\n# of exit\nt0: exit() # tail\n# foot\n");
	assert_string_equal(p.head, "# head\n");
	assert_null(p.ops[0].comment);
	assert_string_equal(p.ops[1].comment, "# of exit\n");
	assert_string_equal(p.ops[1].tail, "# tail");
	assert_string_equal(p.foot, "# foot\n");
	program_free(&p);
}

static void test_errors(void **state)
{
	static const struct {
		const char *text;
		u32 line;
		const char *part;
	} cases[] = {
		{"", 1, "first line"},
		{"t0: exit()\n", 1, "first line"},
		{"\n" MAGIC, 1, "first line"},
		{"# faultline\n", 1, "first line"},
		{"# faultline 2\n", 1, "version 2 is not supported"},
		{"# faultline 10\n", 1, "version 10 is not supported"},
		{"# faultline 1 x\n", 1, "version 1 x"},
		{MAGIC "machine levels=4\nmachine cpus=2\n", 3, "already"},
		{MAGIC "t0: exit()\nmachine levels=4\n", 3, "before the first operation"},
		{MAGIC "machine levels\n", 2, "OPTION=VALUE"},
		{MAGIC "machine levels=9\n", 2, "levels"},
		{MAGIC "machine colour=9\n", 2, "colour"},
		{MAGIC "machine cpus=2 cpus=2\n", 2, "twice"},
		{MAGIC "machine teardown=later\n", 2, "teardown"},
		{MAGIC "machine teardown=shuffle:\n", 2, "teardown"},
		{MAGIC "machine teardown=shuffle:18446744073709551616\n", 2, "teardown"},
		{MAGIC "machine teardown=oldest teardown=oldest\n", 2, "twice"},
		{MAGIC "machine levels=3 kernel_pmd=shared paravirt=xen\n", 2, "needs"},
		{MAGIC "exit()\n", 2, "task that acts"},
		{MAGIC "t0 exit()\n", 2, "':'"},
		{MAGIC "t0:\n", 2, "an operation"},
		{MAGIC "t0: frok()\n", 2, "did you mean fork?"},
		{MAGIC "t0: mnumap(w, 1p)\n", 2, "did you mean munmap?"},
		{MAGIC "t0: zzzzzzzz()\n", 2, "unknown operation zzzzzzzz"},
		{MAGIC "t0: exit\n", 2, "'('"},
		{MAGIC "t0: exit(\n", 2, "end of the line"},
		{MAGIC "t0: exit() t0: exit()\n", 2, "found t0"},
		{MAGIC "t0: exit(1)\n", 2, "takes 0 arguments"},
		{MAGIC "t0: munmap(w)\n", 2, "needs its argument len"},
		{MAGIC "t0: munmap(w, 1p, 2p)\n", 2, "takes 2 arguments"},
		{MAGIC "t0: munmap(w, 1p,)\n", 2, "an argument"},
		{MAGIC "t0: munmap(w 1p)\n", 2, "',' or ')'"},
		{MAGIC "t0: munmap(addr=w, addr=w)\n", 2, "twice"},
		{MAGIC "t0: munmap(addr=w, 1p)\n", 2, "by position before"},
		{MAGIC "t0: munmap(size=1p)\n", 2, "no argument size"},
		{MAGIC "t0: munmap(q, 1p)\n", 2, "an address"},
		{MAGIC "t0: munmap(r0, 1p)\n", 2, "no earlier line defines r0"},
		{MAGIC "t0: r0 = mmap(r0, 1p, r, 0)\n", 2, "no earlier line defines r0"},
		{MAGIC "t1: exit()\nt0: t1 = fork()\n", 2, "no earlier line defines t1"},
		{MAGIC "t0: close(f3)\n", 2, "no earlier line defines f3"},
		{MAGIC "t0: t0 = fork()\n", 2, "t0 is defined already"},
		{MAGIC "t0: t1 = fork()\nt0: t1 = fork()\n", 3, "t1 is defined already"},
		{MAGIC "t0: t9999999 = fork()\n", 2, "names count up to"},
		{MAGIC "t0: t99999999999999999999 = fork()\n", 2, "names count up to"},
		{MAGIC "t0: r0 = fork()\n", 2, "fork defines a tN, not r0"},
		{MAGIC "t0: r0 = exit()\n", 2, "defines no name"},
		{MAGIC "t0: child = fork()\n", 2, "is not a name"},
		{MAGIC "t0: munmap(w, 18446744073709551616)\n", 2, "too large"},
		{MAGIC "t0: munmap(w, 0x10000000000000000)\n", 2, "too large"},
		{MAGIC "t0: munmap(w, 4503599627370496p)\n", 2, "too large"},
		{MAGIC "t0: munmap(w+0x8000000000000000, 1p)\n", 2, "too large"},
		{MAGIC "t0: munmap(w+0x7fffffffffffffff+1, 1p)\n", 2, "too large"},
		{MAGIC "t0: munmap(w, 12q)\n", 2, "12q is not a number"},
		{MAGIC "t0: munmap(w, 0x)\n", 2, "0x is not a number"},
		{MAGIC "t0: munmap(w, p)\n", 2, "expected a number"},
		{MAGIC "t0: mprotect(w, 1p, rr)\n", 2, "letters"},
		{MAGIC "t0: mprotect(w, 1p, rq)\n", 2, "letters"},
		{MAGIC "t0: mprotect(w, 1p, )\n", 2, "an argument"},
		{MAGIC "t0: mprotect(w, 1p, prot=)\n", 2, "letters"},
		{MAGIC "t0: mmap(w, 1p, r, private|warm)\n", 2, "unknown flag warm"},
		{MAGIC "t0: mmap(w, 1p, r, anon|anon)\n", 2, "twice"},
		{MAGIC "t0: mmap(w, 1p, r, anon|)\n", 2, "expected a flag"},
		{MAGIC "t0: mmap(w, 1p, r, anon, 3)\n", 2, "a file"},
		{MAGIC "t0: munmap([w, 1p, r], w)\n", 2, "only exec has segments"},
		{MAGIC "t0: exec([brk, 1p, r])\n", 2, "a segment starts at"},
		{MAGIC "t0: exec([w, 1p, r)\n", 2, "']'"},
		{MAGIC "t0: exec([w, 1p])\n", 2, "','"},
		{MAGIC "t0: fork() !\n", 2, "class"},
		{MAGIC "t0: fork() !pages:1\n", 2, "pages"},
		{MAGIC "t0: fork() !page:0\n", 2, "count from 1"},
		{MAGIC "t0: fork() !op=1.page:1\n", 2, "op="},
		{MAGIC "t0: fork() !page:\001\n", 2, "printable"},
		{MAGIC "t0: fork() =\n", 2, "a value"},
		{MAGIC "t0: fork() = 1 = 1\n", 2, "more than one"},
		{MAGIC "t0: fork() = -ENOTHING\n", 2, "unknown errno ENOTHING"},
		{MAGIC "t0: fork() = -0\n", 2, "from 1 to 4095"},
		{MAGIC "t0: fork() = -4096\n", 2, "from 1 to 4095"},
		{MAGIC "t0: fork() = SIGFOO\n", 2, "a value"},
		{MAGIC "t0: fork() | linux-6.18: 1\n", 2, "comes after what is expected"},
		{MAGIC "t0: fork() = 1 |\n", 2, "expected a profile"},
		{MAGIC "t0: fork() = 1 | linux-5.0: 2\n", 2,
		 "linux-4.4|linux-6.18, not 'linux-5.0'"},
		{MAGIC "t0: fork() = 1 | linux-6.18\n", 2, "expected ':'"},
		{MAGIC "t0: fork() = 1 | linux-6.18:\n", 2, "a value"},
		{MAGIC "t0: fork() = 1 | linux-6.18: 2 | linux-4.4: 3\n", 2, "more than one"},
		{MAGIC "t0: fork @dup_mmap:1 { }\n", 2, "not supported yet"},
		{MAGIC "t0: fork() @dup_mmap:1 { t0: exit() }\n", 2, "not supported yet"},
		{MAGIC "}\n", 2, "not supported yet"},
		{MAGIC "sched(t0, 1)\n", 2, "not supported yet"},
		{MAGIC "t0: sched(t0, 1)\n", 2, "not supported yet"},
		{MAGIC "\033[2J\n", 2, "found ?"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		refused(cases[i].text, cases[i].line, cases[i].part);
	refused_bytes(MAGIC "t0: exit()\0\n", sizeof(MAGIC "t0: exit()\0\n") - 1, 2, "NUL");
	refused_bytes(MAGIC "# a\0\n", sizeof(MAGIC "# a\0\n") - 1, 2, "NUL");
}

static void test_limits(void **state)
{
	const size_t big = PROG_MAX_TEXT;
	char *text = malloc(big + 1);
	struct prog_error err;
	struct program p;
	size_t n, len;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', big + 1);
	memcpy(text, MAGIC, sizeof(MAGIC) - 1);
	refused_bytes(text, big, 2, "task that acts");
	refused_bytes(text, big + 1, 0, "larger than 64 MiB");
	text[sizeof(MAGIC) - 1] = '#';
	assert_int_equal(program_parse(&p, text, big, &err), 0);
	program_free(&p);
	memset(text, '\n', big);
	refused_bytes(text, big, 1, "first line");

	len = (size_t)sprintf(text, MAGIC);
	for (n = 0; n <= PROG_MAX_OPS; n++)
		len += (size_t)sprintf(text + len, "t0: exit()\n");
	refused_bytes(text, len, PROG_MAX_OPS + 2, "more than 262144 operations");
	assert_int_equal(program_parse(&p, text, len - strlen("t0: exit()\n"), &err), 0);
	assert_int_equal(p.nr_ops, PROG_MAX_OPS);
	program_free(&p);

	len = (size_t)sprintf(text, MAGIC "t0: exec(");
	for (n = 0; n <= PROG_MAX_SEGS; n++)
		len += (size_t)sprintf(text + len, "%s[w, 1p, r]", n ? ", " : "");
	len += (size_t)sprintf(text + len, ")\n");
	refused_bytes(text, len, 2, "more than 64 segments");
	len = (size_t)sprintf(text, MAGIC "t0: fork()");
	for (n = 0; n <= FI_MAX_ITEMS; n++)
		len += (size_t)sprintf(text + len, " !page:1");
	refused_bytes(text, len, 2, "more than 16 marks");
	free(text);
}

/* Cut anywhere and with any byte replaced, a text is parsed or refused, and printing is stable. */
static void test_damaged(void **state)
{
	static const char whole[] = MAGIC
		"machine levels=3 teardown=oldest # m\nt0: f0 = open(4p, r)\n"
		"t0: r0 = mmap(w+1p, 8p, rw, private|anon, f0, 1p) !page@anon_page:1-2 = -ENOMEM\n"
		"t0: exec([w, 1p, rx, f0, 1p], brk=w+2p, stack=1p, exe=f0) # tail\n# foot\n";
	char text[sizeof(whole)];

	(void)state;
	for (size_t i = 0; i < sizeof(whole); i++) {
		static const char bytes[] = "\0\n\r #0p=,()[]!@{:-\x80";

		for (size_t k = 0; k < sizeof(bytes); k++) {
			size_t len = k + 1 < sizeof(bytes) ? sizeof(whole) - 1 : i;
			struct prog_error err;
			struct program p, q;
			char *out, *again;
			int ret;

			memcpy(text, whole, sizeof(whole));
			if (len > i)
				text[i] = bytes[k];
			ret = program_parse(&p, text, len, &err);
			if (ret) {
				assert_int_equal(ret, -EINVAL);
				assert_true(err.what[0]);
				assert_in_range(err.line, 1, 8);
				continue;
			}
			assert_int_equal(program_print(&p, &out, NULL), 0);
			assert_int_equal(program_parse(&q, out, strlen(out), &err), 0);
			assert_true(program_equal(&p, &q));
			assert_int_equal(program_print(&q, &again, NULL), 0);
			assert_string_equal(out, again);
			free(out);
			free(again);
			program_free(&p);
			program_free(&q);
		}
	}
}

static void test_print_op(void **state)
{
	static const char want[] = "t0: t1 = fork() !page:3 = -ENOMEM";
	char buf[64], small[8];
	struct program p;

	(void)state;
	parse_ok(&p, MAGIC "# c\nt0: t1 = fork() !page:3 = -ENOMEM # tail\n");
	assert_int_equal(program_print_op(&p, 0, buf, sizeof(buf)), strlen(want));
	assert_string_equal(buf, want);
	assert_int_equal(program_print_op(&p, 0, small, sizeof(small)), strlen(want));
	assert_string_equal(small, "t0: t1 ");
	assert_int_equal(program_print_op(&p, 0, NULL, 0), strlen(want));
	program_free(&p);
}

static void test_equal_sees_differences(void **state)
{
	static const char *const texts[] = {
		"t0: write(w, 1)\n",
		"t0: write(w, 2)\n",
		"t0: write(w+1p, 1)\n",
		"t0: write(brk, 1)\n",
		"t0: read(w)\n",
		"t0: write(w, 1) !page:1\n",
		"t0: write(w, 1) !page:2\n",
		"t0: write(w, 1) !page/nowait:1\n",
		"t0: write(w, 1) !page:b=1\n",
		"t0: write(w, 1) = 0\n",
		"t0: write(w, 1) = SIGBUS\n",
		"machine cpus=2\nt0: write(w, 1)\n",
		"machine teardown=oldest\nt0: write(w, 1)\n",
		"machine teardown=shuffle:1\nt0: write(w, 1)\n",
		"machine teardown=shuffle:2\nt0: write(w, 1)\n",
		"t0: exec([w, 1p, r])\n",
		"t0: exec([w, 2p, r])\n",
		"t0: exec([w, 1p, rx])\n",
		"t0: exec([w, 1p, r, none, 1p])\n",
		"t0: exec()\n",
	};
	char text[128];
	struct program p, q;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		snprintf(text, sizeof(text), MAGIC "%s", texts[i]);
		parse_ok(&p, text);
		for (size_t k = 0; k < ARRAY_SIZE(texts); k++) {
			snprintf(text, sizeof(text), MAGIC "# other words\n%s", texts[k]);
			parse_ok(&q, text);
			if (program_equal(&p, &q) != (i == k))
				fail_msg("%s against %s", texts[i], texts[k]);
			program_free(&q);
		}
		program_free(&p);
	}
}

/* Marks and segments may be added to any operation in any order. */
static void test_pools(void **state)
{
	char buf[128];
	struct program p;

	(void)state;
	program_init(&p);
	assert_non_null(program_add(&p, OP_exec, 0));
	assert_non_null(program_add(&p, OP_exec, 0));
	for (u32 i = 0; i < 6; i++) {
		struct prog_seg *seg = program_add_seg(&p, &p.ops[i % 2]);
		struct fi_item *item = program_add_fault(&p, &p.ops[i % 2]);

		assert_non_null(seg);
		seg->len = i + 1;
		assert_non_null(item);
		item->from = item->to = i + 1;
	}
	program_print_op(&p, 1, buf, sizeof(buf));
	assert_string_equal(buf, "t0: exec([0x0, 2, none], [0x0, 4, none], [0x0, 6, none])"
				 " !page:2 !page:4 !page:6");
	while (p.ops[0].nr_segs < PROG_MAX_SEGS)
		assert_non_null(program_add_seg(&p, &p.ops[0]));
	assert_null(program_add_seg(&p, &p.ops[0]));
	program_free(&p);
}

static void test_machine(void **state)
{
	struct machine_config cfg;
	struct prog_error err;
	struct program p;

	(void)state;
	parse_ok(&p, MAGIC "machine levels=3 kernel_pmd=shared teardown=oldest\n");
	machine_config_init(&cfg);
	cfg.cpus = 5;
	assert_int_equal(program_machine(&p, &cfg, &err), 0);
	assert_int_equal(cfg.levels, 3);
	assert_int_equal(cfg.kernel_pmd, 1);
	assert_int_equal(cfg.cpus, 5);
	assert_int_equal(p.teardown, TEARDOWN_OLDEST);
	assert_int_equal(program_set_text(&p.machine, "cpus=99", 7), 0);
	assert_int_equal(program_machine(&p, &cfg, &err), -EINVAL);
	assert_non_null(strstr(err.what, "cpus"));
	program_free(&p);
}

static void write_file(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void test_load(void **state)
{
	static const char text[] = MAGIC "t0: exit()\n";
	char dir[] = "/tmp/faultline-XXXXXX", prog[64], other[64];
	char *big = calloc(1, PROG_MAX_BYTES + 1);
	struct prog_error err;
	struct program p;

	(void)state;
	assert_non_null(big);
	assert_non_null(mkdtemp(dir));
	snprintf(prog, sizeof(prog), "%s/a.prog", dir);
	snprintf(other, sizeof(other), "%s/a", dir);

	/* The name or the first line makes it text. */
	write_file(prog, text, sizeof(text) - 1);
	assert_int_equal(program_load(&p, prog, &err), 0);
	assert_int_equal(p.nr_ops, 1);
	assert_int_equal(p.ops[0].code, OP_exit);
	program_free(&p);
	write_file(other, text, sizeof(text) - 1);
	assert_int_equal(program_load(&p, other, &err), 0);
	assert_int_equal(p.ops[0].line, 2);
	program_free(&p);
	write_file(prog, text + 2, sizeof(text) - 3);
	assert_int_equal(program_load(&p, prog, &err), -EINVAL);
	assert_int_equal(err.line, 1);
	write_file(prog, "", 0);
	assert_int_equal(program_load(&p, prog, &err), -EINVAL);
	assert_int_equal(err.line, 1);

	/* Anything else is bytes. */
	write_file(other, text + 2, sizeof(text) - 3);
	assert_int_equal(program_load(&p, other, &err), 0);
	program_free(&p);
	write_file(other, "", 0);
	assert_int_equal(program_load(&p, other, &err), 0);
	assert_int_equal(p.nr_ops, 0);
	program_free(&p);
	write_file(other, big, PROG_MAX_BYTES);
	assert_int_equal(program_load(&p, other, &err), 0);
	assert_int_equal(p.nr_ops, PROG_MAX_BYTES / 16);
	program_free(&p);
	write_file(other, big, PROG_MAX_BYTES + 1);
	assert_int_equal(program_load(&p, other, &err), -EINVAL);
	assert_string_equal(err.what, "larger than 1 MiB");
	assert_int_equal(err.line, 0);

	assert_int_equal(program_load(&p, dir, &err), -EISDIR);
	assert_true(err.what[0]);
	remove(prog);
	remove(other);
	assert_int_equal(program_load(&p, other, &err), -ENOENT);
	assert_true(err.what[0]);
	remove(dir);
	free(big);
}

/* The page in README.md is the one that the table makes. */
static void test_reference(void **state)
{
	char *reference, *page = calloc(1, 65536);
	FILE *f = fopen(FAULTLINE_SOURCE_DIR "/fuzz/program/README.md", "rb");

	(void)state;
	assert_non_null(page);
	assert_non_null(f);
	assert_true(fread(page, 1, 65535, f) > 0);
	fclose(f);
	assert_int_equal(program_print_reference(&reference), 0);
	for (u32 i = 0; i < NR_OPS; i++)
		assert_non_null(strstr(reference, op_table[i].name));
	if (!strstr(page, reference))
		fail_msg("README.md must hold what `faultline fmt --ops` prints:\n%s", reference);
	free(reference);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contract_example),
		cmocka_unit_test(test_every_form),
		cmocka_unit_test(test_normal_form),
		cmocka_unit_test(test_comments_stay),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_print_op),
		cmocka_unit_test(test_equal_sees_differences),
		cmocka_unit_test(test_pools),
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
