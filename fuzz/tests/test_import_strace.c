/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * import-strace: lines, joining, what an address space is inferred to be, and that what comes out
 * runs: each fixture's program must do in the engine what its log says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "strace.h"
#include "target.h"

#define FIXTURES FAULTLINE_SOURCE_DIR "/fuzz/tests/strace/"

struct imported {
	struct program p;
	struct strace_report report;
	char *text;
};

static char *read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	char *s;

	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	*len = (size_t)ftell(f);
	rewind(f);
	s = malloc(*len + 1);
	assert_non_null(s);
	assert_int_equal(fread(s, 1, *len, f), *len);
	s[*len] = '\0';
	fclose(f);
	return s;
}

/* Imports, and checks that the program's text says the same as the program. */
static void import_text(struct imported *im, const char *log, size_t len)
{
	struct prog_error err;
	struct program again;
	size_t n;

	if (strace_import(log, len, &im->p, &im->report, &err))
		fail_msg("line %u: %s", err.line, err.what);
	assert_int_equal(program_print(&im->p, &im->text, &n), 0);
	if (program_parse(&again, im->text, n, &err))
		fail_msg("the program does not parse: line %u: %s", err.line, err.what);
	assert_true(program_equal(&im->p, &again));
	program_free(&again);
	assert_int_equal(im->report.calls, im->report.programmed + im->report.unsupported +
						   im->report.dependent + im->report.skipped +
						   im->report.other);
}

static void import(struct imported *im, const char *name)
{
	char path[512];
	size_t len;
	char *log;

	snprintf(path, sizeof(path), FIXTURES "%s", name);
	log = read_file(path, &len);
	import_text(im, log, len);
	free(log);
}

static void drop(struct imported *im)
{
	free(im->text);
	program_free(&im->p);
}

/* The lines must be in the text, whole and in this order; between them may be others. */
static void assert_lines(const struct imported *im, const char *const *lines)
{
	const char *at = im->text;

	for (; *lines; lines++) {
		size_t n = strlen(*lines);

		for (;;) {
			const char *nl = strchr(at, '\n');
			size_t len = nl ? (size_t)(nl - at) : strlen(at);
			bool hit = len == n && !memcmp(at, *lines, n);

			if (!*at)
				fail_msg("no line \"%s\" at its place in:\n%s", *lines, im->text);
			at += len + (nl != NULL);
			if (hit)
				break;
		}
	}
}
#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void assert_absent(const struct imported *im, const char *text)
{
	if (strstr(im->text, text))
		fail_msg("\"%s\" is in:\n%s", text, im->text);
}

static void on_finding(void *priv, const struct finding *f)
{
	char *line = priv;

	finding_line(f, line, 512);
}

static void on_event(void *priv, const struct target_event *ev)
{
	u32 *skipped = priv;

	*skipped += ev->out->kind == OUT_SKIPPED;
}

/* Runs the program: every call does what it did in the recording. Returns the findings. */
static u32 run(const struct program *p, char *line, u32 *skipped)
{
	struct target_options opt = {0};
	struct target *t = calloc(1, sizeof(*t));
	struct fi *fi = calloc(1, sizeof(*fi));
	struct fi_point *points = calloc(4096, sizeof(*points));
	struct target_result res;
	struct prog_error err;
	u32 findings;

	assert_non_null(t);
	assert_non_null(fi);
	assert_non_null(points);
	line[0] = '\0';
	*skipped = 0;
	machine_config_init(&opt.machine);
	assert_int_equal(program_machine(p, &opt.machine, &err), 0);
	opt.alloc = fl_allocator_find("malloc");
	opt.check = CHECK_FULL;
	opt.expectations = true;
	fi_init(fi);
	opt.fi = fi;
	opt.event = on_event;
	opt.event_priv = skipped;
	opt.points = points;
	opt.max_points = 4096;
	assert_int_equal(target_init(t, p, &opt, on_finding, line), 0);
	assert_int_equal(target_run(t, NULL, &res), 0);
	findings = res.findings;
	target_fini(t);
	free(points);
	free(fi);
	free(t);
	return findings;
}

static void assert_runs(const struct imported *im)
{
	char line[512];
	u32 skipped;

	if (run(&im->p, line, &skipped))
		fail_msg("%s in:\n%s", line, im->text);
	assert_int_equal(skipped, 0);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static struct strace_line line_of(const char *s)
{
	struct strace_line l;
	char why[160] = "";

	if (strace_parse_line(s, strlen(s), &l, why, sizeof(why)))
		fail_msg("\"%s\": %s", s, why);
	return l;
}

static void assert_text(struct strace_text t, const char *s)
{
	if (!strace_is(t, s))
		fail_msg("\"%.*s\" is not \"%s\"", (int)t.len, t.p, s);
}

static void test_prefixes(void **state)
{
	static const struct {
		const char *line;
		s64 pid;
	} cases[] = {
		{"brk(NULL) = 0x1000", STRACE_NO_PID},
		{"12 brk(NULL) = 0x1000", 12},
		{"12    brk(NULL) = 0x1000", 12},
		{"[pid 12] brk(NULL) = 0x1000", 12},
		{"[pid    12] brk(NULL) = 0x1000", 12},
		{"12<sh> brk(NULL) = 0x1000", 12},
		{"[pid 12<a b>] brk(NULL) = 0x1000", 12},
		{"12 10:20:30.123456 brk(NULL) = 0x1000 <0.000012>", 12},
		{"10:20:30 brk(NULL) = 0x1000", STRACE_NO_PID},
		{"1700000000.123456 brk(NULL) = 0x1000\r", STRACE_NO_PID},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strace_line l = line_of(cases[i].line);

		assert_int_equal(l.what, STRACE_CALL);
		assert_int_equal(l.pid, cases[i].pid);
		assert_text(l.name, "brk");
		assert_text(l.args, "NULL");
		assert_int_equal(l.value, 0x1000);
	}
}

static void test_kinds_of_lines(void **state)
{
	struct strace_line l;

	(void)state;
	l = line_of("7 munmap(0x1000, 4096 <unfinished ...>");
	assert_int_equal(l.what, STRACE_UNFINISHED);
	assert_int_equal(l.other, 0);
	l = line_of("7 execve(\"/bin/true\", [\"true\"], 0x7ffe <pid changed to 5 ...>");
	assert_int_equal(l.what, STRACE_UNFINISHED);
	assert_int_equal(l.other, 5);
	l = line_of("7 <... munmap resumed>)              = 0");
	assert_int_equal(l.what, STRACE_RESUMED);
	assert_text(l.name, "munmap");
	assert_int_equal(line_of("7 +++ exited with 3 +++").what, STRACE_EXITED);
	assert_int_equal(line_of("7 +++ killed by SIGSEGV (core dumped) +++").what, STRACE_KILLED);
	l = line_of("5 +++ superseded by execve in pid 7 +++");
	assert_int_equal(l.what, STRACE_SUPERSEDED);
	assert_int_equal(l.other, 7);
	l = line_of("strace: Process 7 attached");
	assert_int_equal(l.what, STRACE_ATTACHED);
	assert_int_equal(l.other, 7);
	assert_int_equal(line_of("strace: Process 7 detached").what, STRACE_NOTE);
	assert_int_equal(line_of("--- SIGCHLD {si_signo=SIGCHLD} ---").what, STRACE_SIGNAL);
	assert_int_equal(line_of("# anything").what, STRACE_COMMENT);
	assert_int_equal(line_of("").what, STRACE_NOTE);
	l = line_of("7 exit_group(0) = ?");
	assert_int_equal(l.result, STRACE_NO_RESULT);
	l = line_of("7 <... futex resumed> <unfinished ...>) = ?");
	assert_int_equal(l.what, STRACE_RESUMED);
	l = line_of("7 execve(\"/x\", [\"x\"], NULL) = -1 ENOENT (No such file or directory)");
	assert_int_equal(l.result, STRACE_ERROR);
	assert_text(l.errname, "ENOENT");
}

static void test_arguments(void **state)
{
	struct strace_text t, w;
	struct strace_line l;
	u64 v;

	(void)state;
	l = line_of("execve(\"/b,(\\\"x\", [\"a)\", \"b\"], 0x7ffe /* 3 vars, ) */) = 0");
	assert_true(strace_arg(l.args, 0, &t));
	assert_text(t, "\"/b,(\\\"x\"");
	assert_true(strace_arg(l.args, 1, &t));
	assert_text(t, "[\"a)\", \"b\"]");
	assert_true(strace_arg(l.args, 2, &t));
	assert_false(strace_arg(l.args, 3, &t));

	l = line_of("mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_HUGETLB|21<<MAP_HUGE_SHIFT, "
		    "3</a,b(c>, 0x2000) = 0x7000");
	assert_true(strace_arg(l.args, 4, &t));
	assert_true(strace_fd_path(t, &w));
	assert_text(w, "/a,b(c");
	assert_true(strace_arg(l.args, 5, &t));
	assert_true(strace_number(t, &v));
	assert_int_equal(v, 0x2000);
	assert_true(strace_arg(l.args, 3, &t));
	assert_true(strace_next_flag(&t, &w));
	assert_text(w, "MAP_PRIVATE");
	assert_true(strace_next_flag(&t, &w));
	assert_text(w, "MAP_HUGETLB");
	assert_true(strace_next_flag(&t, &w));
	assert_text(w, "21<<MAP_HUGE_SHIFT");
	assert_false(strace_next_flag(&t, &w));

	l = line_of("clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD} => {x=[1]}, 88) = 5");
	assert_true(strace_field(l.args, "flags", &t));
	assert_text(t, "CLONE_VM|CLONE_VFORK");
	assert_true(strace_field(l.args, "exit_signal", &t));
	assert_text(t, "SIGCHLD");
	assert_false(strace_field(l.args, "signal", &t));

	t = (struct strace_text){"18446744073709551615", 20};
	assert_true(strace_number(t, &v));
	assert_true(v == UINT64_MAX);
	t = (struct strace_text){"18446744073709551616", 20};
	assert_false(strace_number(t, &v));
	t = (struct strace_text){"0x", 2};
	assert_false(strace_number(t, &v));
}

static void test_bad_lines(void **state)
{
	static const char *const bad[] = {
		"hello",
		"12",
		"12 ",
		"[pid 12 brk(NULL) = 0",
		"brk(NULL) 0x1000",
		"brk(NULL) =",
		"brk(NULL) = x",
		"brk(NULL) = -x",
		"brk(NULL",
		"execve(\"/bin/true",
		"brk(NULL) = 0x11111111111111111",
		"<... brk resumed",
		"<... resumed>) = 0",
		"+++ went away +++",
		"\x7f\x45\x4c\x46",
		"99999999999 brk(NULL) = 0x1000",
		"= 0",
	};
	struct strace_line l;
	char why[160];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		why[0] = '\0';
		if (strace_parse_line(bad[i], strlen(bad[i]), &l, why, sizeof(why)) != -EINVAL)
			fail_msg("\"%s\" is accepted", bad[i]);
		assert_true(why[0]);
	}
}

/* ---- logs ----------------------------------------------------------------------------------- */

static void assert_bad_log(const char *log, u32 line, const char *what)
{
	struct strace_report report;
	struct prog_error err;
	struct program p;

	assert_int_equal(strace_import(log, strlen(log), &p, &report, &err), -EINVAL);
	if (err.line != line || !strstr(err.what, what))
		fail_msg("line %u: %s; not line %u: %s", err.line, err.what, line, what);
	assert_int_equal(p.nr_ops, 0);
	program_free(&p);
}

static void test_bad_logs(void **state)
{
	(void)state;
	assert_bad_log("", 0, "no call");
	assert_bad_log("# only a comment\n", 0, "no call");
	assert_bad_log("1 brk(NULL) = 0x1000\n1 mmap(NULL, 40", 2, "cut off");
	assert_bad_log("1 brk(NULL) = 0x1000\n1 brk(NULL) = 0x10", 2, "cut off");
	assert_bad_log("1 brk(NULL) = 0x1000\n1 mmap(NULL, 40\n", 2, "cut off");
	assert_bad_log("1 brk(NULL) = 0x1000\n\nhello\n", 3, "not a line");
	assert_bad_log("1 mmap(NULL, 4096 <unfinished ...>\n1 <... mmap resumed>, PROT", 2,
		       "cut off");
	assert_bad_log("clone(flags=SIGCHLDstrace: Process 2 attached\n", 1, "middle of a call");
}

static void test_resumed_calls_must_match(void **state)
{
	(void)state;
	assert_bad_log("1 brk(NULL <unfinished ...>\n1 <... mmap resumed>) = 0x1000\n", 2,
		       "another call");
	assert_bad_log("1 brk(NULL <unfinished ...>\n1 <... brk resumed>) = 0x1000\n"
		       "1 <... brk resumed>) = 0x1000\n",
		       3, "not under way");
	assert_bad_log("1 brk(NULL <unfinished ...>\n1 <... brk resumed>\n", 2, "cut off");
}

static void test_lines_need_a_process(void **state)
{
	(void)state;
	assert_bad_log("[pid 1] brk(NULL) = 0x1000\n[pid 2] brk(NULL) = 0x1000\n"
		       "brk(NULL) = 0x1000\n",
		       3, "no pid");
	assert_bad_log("1 exit_group(0) = ?\n1 +++ exited with 0 +++\n1 brk(NULL) = 0x1000\n", 3,
		       "last process");
	assert_bad_log("1 munmap(x, 4096) = 0\n", 1, "arguments of munmap");
}

/* ---- fixtures ------------------------------------------------------------------------------- */

static void test_basic(void **state)
{
	struct imported im;

	(void)state;
	import(&im, "basic.log");
	assert_lines(
		&im,
		LINES("# faultline 1", "# recorded: a small program", "# by hand",
		      "# image: inferred", "# other: arch_prctl x1, wait4 x1", "machine levels=4",
		      "t0: f0 = open(3p, rx) # /usr/bin/demo",
		      "t0: exec([0x555555558000, 1p, rw, f0], [0x55555555a000, 1p, r, f0, 2p], "
		      "[0x7ffff7ffd000, 2p, rw], brk=0x555555580000, stack=1p, exe=f0) = 0",
		      "t0: brk(0x0) = 0x555555580000",
		      "t0: r0 = mmap(0x7ffff7fb0000, 2p, rw, private|anon) = 0x7ffff7fb0000",
		      "t0: f2 = open(482p, rx) # /usr/lib/libc(1).so.6",
		      "t0: r3 = mmap(0x7ffff7dd6000, 342p, rx, private|fixed, f2, 38p) = "
		      "0x7ffff7dd6000",
		      "t0: mprotect(0x555555558000, 1p, r) = 0",
		      "t0: munmap(0x7ffff7fa0000, 0xa467) = 0",
		      "t0: brk(0x5555555a1000) = 0x5555555a1000",
		      "t0: brk(0x555555590000) = 0x555555590000",
		      "t0: r6 = mmap(0x7ffff7fae000, 1p, r, shared, f3, 2p) = 0x7ffff7fae000",
		      "t0: exit()"));
	assert_int_equal(im.report.tasks, 1);
	assert_int_equal(im.report.images, 1);
	assert_int_equal(im.report.other, 2);
	assert_runs(&im);
	drop(&im);
}

static void test_log_from_stderr(void **state)
{
	struct imported im;

	(void)state;
	import(&im, "stderr.log");
	assert_lines(&im, LINES("t0: t1 = fork() = 1", "t1: exit()",
				"t0: r0 = mmap(0x7ffff7fb0000, 1p, r, private|anon) = "
				"0x7ffff7fb0000",
				"t0: t2 = vfork() = 2", "t2: exec(stack=1p, exe=f1) = 0",
				"t0: munmap(0x7ffff7fb0000, 1p) = 0", "t2: exit()", "t0: exit()"));
	assert_int_equal(im.report.tasks, 3);
	assert_runs(&im);
	drop(&im);
}

static void test_vfork(void **state)
{
	struct imported im;

	(void)state;
	import(&im, "vfork.log");
	assert_lines(&im,
		     LINES("# skipped: execve ENOENT x1", "t0: t1 = vfork() = 1",
			   "# t1: skipped: execve(\"/usr/local/bin/child\") = -ENOENT",
			   "t1: exec([0x555555558000, 1p, rw, f1], brk=0x555555780000, stack=1p, "
			   "exe=f1) = 0",
			   "t0: munmap(0x7ffff7fb0000, 9p) = 0", "t1: brk(0x0) = 0x555555780000",
			   "t0: t2 = vfork() = 2", "t2: exit()",
			   "t0: munmap(0x7ffff7fb0000, 1p) = 0", "t0: t3 = vfork() = 3",
			   "t3: exit()",
			   "t0: r2 = mmap(0x7ffff7faf000, 1p, r, private|anon) = 0x7ffff7faf000",
			   "t1: exit()", "t0: exit()"));
	assert_runs(&im);
	drop(&im);
}

static void test_threads(void **state)
{
	struct imported im;

	(void)state;
	import(&im, "threads.log");
	assert_lines(
		&im,
		LINES("t0: t1 = clone(vm|thread) = 1",
		      "t1: r1 = mmap(0x7fffe8000000, 32768p, none, private|anon|noreserve) = "
		      "0x7fffe8000000",
		      /* freed before its own line says so: the other thread was given the place */
		      "t1: munmap(0x7fffe8000000, 16384p) = 0",
		      "t0: r2 = mmap(0x7fffebffe000, 2p, r, private|anon) = 0x7fffebffe000",
		      "t2: exit()", "t0: t3 = clone(vm|thread) = 3", "t1: exit()", "t0: exit()",
		      "t3: exec(brk=0x555555680000, stack=1p, exe=f1) = 0",
		      "t3: brk(0x0) = 0x555555680000", "t3: t4 = clone(vm|thread) = 4",
		      "t3: exit()", "t4: munmap(0x7ffff7fb0000, 1p) = 0", "t4: exit()"));
	assert_int_equal(im.report.threads, 4);
	assert_runs(&im);
	drop(&im);
}

/* exit_group ends the threads that the log says nothing more of. */
static void test_exit_group_ends_all(void **state)
{
	static const char log[] =
		"1 execve(\"/bin/a\", [\"a\"], 0x1 /* 1 var */) = 0\n"
		"1 clone(child_stack=0x1000, flags=CLONE_VM|CLONE_SIGHAND|CLONE_THREAD) = 2\n"
		"2 brk(NULL) = 0x555555580000\n"
		"1 clone(child_stack=0x1000, flags=CLONE_VM|CLONE_SIGHAND|CLONE_THREAD) = 3\n"
		"1 exit_group(0) = ?\n";
	struct imported im;

	(void)state;
	import_text(&im, log, strlen(log));
	assert_lines(&im, LINES("t0: exit()", "t1: exit()", "t2: exit()"));
	assert_runs(&im);
	drop(&im);
}

static void test_fork(void **state)
{
	struct imported im;

	(void)state;
	import(&im, "fork.log");
	assert_lines(&im,
		     LINES("t0: exec([0x555555558000, 2p, rw, f0], brk=0x555555580000, stack=1p, "
			   "exe=f0) = 0",
			   "t0: t1 = fork() = 1", "t1: mprotect(0x555555558000, 2p, r) = 0",
			   "t1: brk(0x5555555c2000) = 0x5555555c2000",
			   "t0: brk(0x555555590000) = 0x555555590000",
			   "t0: mprotect(0x555555559000, 1p, r) = 0", "t0: t2 = fork() = 2",
			   "t0: t3 = fork() = 3",
			   "t3: exec(brk=0x555555580000, stack=1p, exe=f1) = 0", "t3: exit()"));
	assert_int_equal(im.report.images, 2);
	assert_runs(&im);
	drop(&im);
}

static void test_unsupported(void **state)
{
	struct imported im;

	(void)state;
	import(&im, "unsupported.log");
	assert_lines(
		&im,
		LINES("# ignored flags: MAP_POPULATE x1", "# skipped: mlock2 ENOMEM x1",
		      "# other: msync x1",
		      /* madvise and mlock need memory that nothing mapped */
		      "t0: exec([0x7ffff7ff0000, 1p, rw], [0x7ffff7ff4000, 1p, rw], "
		      "brk=0x555555580000, stack=1p, exe=f0) = 0",
		      "t0: r1 = mremap(0x7ffff7fb0000, 4p, 8p, maymove|fixed, 0x7ffff7fa0000) = "
		      "0x7ffff7fa0000",
		      "t0: mprotect(0x7ffff7fa2000, 2p, r) = 0",
		      "t0: r2 = mmap(0x7ffff7fb0000, 1p, r, private|anon) = 0x7ffff7fb0000",
		      "t0: munmap(0x7ffff7fa0000, 8p) = 0",
		      "t0: r4 = mremap(0x7ffff7f90000, 4p, 1p, 0) = 0x7ffff7f90000",
		      "t0: r5 = mremap(0x7ffff7f90000, 1p, 2p, 0) = 0x7ffff7f90000",
		      "t0: munmap(0x7ffff7f90000, 2p) = 0",
		      "t0: r6 = mmap(0x7ffff7f80000, 1p, rw, shared|anon) = 0x7ffff7f80000",
		      "t0: mprotect(0x7ffff7f80000, 1p, r) = 0",
		      "t0: r8 = mmap(0x7ffff7f60000, 2p, r, shared, f2) = 0x7ffff7f60000",
		      "# t0: unsupported: mprotect(0x7ffff7f60000, 4096, PROT_READ|PROT_WRITE) = "
		      "0x0",
		      "t0: r10 = mmap(0x7ffff7f50000, 1p, rw, private|anon|fixed|growsdown) = "
		      "0x7ffff7f50000",
		      "t0: madvise(0x7ffff7ff0000, 1p, dontneed) = 0",
		      "t0: mlock(0x7ffff7ff4010, 0x10) = 0", "t0: munlock(0x7ffff7ff4000, 1p) = 0",
		      "t0: exit()"));
	assert_absent(&im, "t0: mlockall");
	assert_int_equal(im.report.unsupported, 4);
	assert_int_equal(im.report.dependent, 0);
	assert_runs(&im);
	drop(&im);
}

static void test_remap_file_pages(void **state)
{
	struct imported im;

	(void)state;
	import(&im, "remap.log");
	assert_lines(
		&im,
		LINES("t0: remap_file_pages(0x7ffff7fb0000, 1p, none, 2) = 0",
		      "t0: remap_file_pages(0x7ffff7fb1000, 2p, none, 0, nonblock) = 0",
		      "# t0: skipped: remap_file_pages(0x7ffff7fb0000, 4096, PROT_READ, 2, 0) = "
		      "-EINVAL",
		      "t0: remap_file_pages(0x7ffff7f70000, 1p, none, 1) = 0"));
	assert_int_equal(im.report.unsupported, 0);
	assert_runs(&im);
	drop(&im);
}

/* Descriptors become slots; what the program cannot have is told in place. */
static void test_userfaultfd_and_policies(void **state)
{
	struct imported im;

	(void)state;
	import(&im, "uffd.log");
	assert_lines(&im,
		     LINES("t0: userfaultfd(0) = 0", "t0: uffd_register(0x7ffff7fb2000, 4p, 0) = 0",
			   "t0: uffd_copy(0x7ffff7fb2000, 0x7ffff7fb0000, 0) = 0",
			   "t0: uffd_copy(0x7ffff7fb3000, 0x7ffff7fb1000, 0) = 0",
			   "t0: uffd_zeropage(0x7ffff7fb4000, 0) = 0", "t0: t1 = fork() = 1",
			   "t0: uffd_unregister(0x7ffff7fb3000, 1p, 0) = 0",
			   "t0: mbind(0x7ffff7fb0000, 2p, bind, 1) = 0",
			   "t0: mbind(0x7ffff7fb0000, 1p, default) = 0",
			   "t0: set_mempolicy(preferred, 2) = 0", "t0: uffd_close(0) = 0"));
	assert_absent(&im, "t1: uffd_close");
	assert_int_equal(im.report.unsupported, 4); /* shared, write-protected, node 4, a flag */
	assert_int_equal(im.report.skipped, 2);
	assert_int_equal(im.report.other, 3); /* UFFDIO_API, TCGETS, the child's close */
	assert_runs(&im);
	drop(&im);
}

static void test_failures(void **state)
{
	struct imported im;

	(void)state;
	import(&im, "failures.log");
	assert_lines(&im,
		     LINES("# skipped: brk (refused) x1, clone EAGAIN x1, execve ENOENT x1, fork "
			   "(no result) x1, mmap ENODEV x1, mmap ENOMEM x1, mprotect ENOMEM x1, "
			   "mremap EFAULT x1",
			   "t0: r0 = mmap(0x0, 0, r, private|anon) = -EINVAL",
			   "t0: munmap(0x7ffff7fb0001, 1p) = -EINVAL",
			   "t0: munmap(0x7ffff7fb0000, 1p) = 0",
			   "t0: mprotect(0x7ffff7fb0000, 2p, r) = -ENOMEM",
			   "t0: mprotect(0x7ffff7fb1001, 1p, r) = -EINVAL", "t0: exit()"));
	assert_int_equal(im.report.skipped, 8);
	assert_runs(&im);
	drop(&im);
}

static void test_attached(void **state)
{
	struct imported im;

	(void)state;
	import(&im, "attach.log");
	assert_lines(&im,
		     LINES("# t0 makes the 2 processes that the recording starts with",
			   "# t1: was running when the recording began",
			   "t1: exec([0x7ffff7fb0000, 1p, rwx], brk=0x555555590000, stack=1p) = 0",
			   "t1: brk(0x555555590000) = 0x555555590000",
			   "t2: exec([0x7ffff7fb0000, 2p, rw], brk=0x5555555a0000, stack=1p) = 0",
			   "t2: munmap(0x7ffff7fb0000, 2p) = 0",
			   "t1: mprotect(0x7ffff7fb0000, 1p, rx) = 0",
			   "t2: r0 = mmap(0x7ffff7fb0000, 1p, r, private|anon) = 0x7ffff7fb0000",
			   "t1: exit()", "t2: brk(0x0) = 0x5555555a0000", "t2: t3 = vfork() = 3",
			   "t3: exec(stack=1p, exe=f0) = 0"));
	assert_runs(&im);
	drop(&im);
}

static void test_timestamps_and_escapes(void **state)
{
	struct imported im;

	(void)state;
	import(&im, "nested.log");
	assert_lines(&im, LINES("t0: f0 = open(1p, rx) # /bin/a\\nb",
				"t0: f1 = open(1p, rx) # /tmp/x\\76y"));
	assert_runs(&im);
	drop(&im);
}

/* Memory that was mapped where nothing recorded had unmapped anything. */
static void test_stale_memory_gives_way(void **state)
{
	static const char log[] =
		"1 execve(\"/bin/a\", [\"a\"], 0x1 /* 1 var */) = 0\n"
		"1 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7ffff7fb0000\n"
		"1 shmdt(0x7ffff7fb0000) = 0\n"
		"1 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = "
		"0x7ffff7fb1000\n";
	struct imported im;

	(void)state;
	import_text(&im, log, strlen(log));
	assert_lines(&im,
		     LINES("# t0: takes the place of what no recorded call unmapped: mmap(NULL, "
			   "4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = "
			   "0x7ffff7fb1000",
			   "t0: r1 = mmap(0x7ffff7fb1000, 1p, r, private|anon|fixed) = "
			   "0x7ffff7fb1000"));
	assert_runs(&im);
	drop(&im);
}

/* A machine that is too small for the recorded one's mappings would refuse what it allowed. */
static void test_machine_is_large_enough(void **state)
{
	static const char log[] = "1 execve(\"/bin/a\", [\"a\"], 0x1 /* 1 var */) = 0\n"
				  "1 mmap(NULL, 1073741824, PROT_READ|PROT_WRITE, "
				  "MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7fff00000000\n";
	static const char huge[] = "1 execve(\"/bin/a\", [\"a\"], 0x1 /* 1 var */) = 0\n"
				   "1 mmap(NULL, 1099511627776, PROT_READ|PROT_WRITE, "
				   "MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7e0000000000\n";
	struct imported im;

	(void)state;
	import_text(&im, log, strlen(log));
	assert_lines(&im, LINES("machine levels=4 mem=1048576"));
	assert_runs(&im);
	drop(&im);
	import_text(&im, huge, strlen(huge));
	assert_lines(&im, LINES("machine levels=4 mem=1048576 overcommit=1"));
	assert_runs(&im);
	drop(&im);
}

/* The oracle itself: a log that no kernel wrote comes out as a program that does not run clean. */
static void test_impossible_log_is_found(void **state)
{
	static const char log[] = "1 execve(\"/bin/a\", [\"a\"], 0x1 /* 1 var */) = 0\n"
				  "1 brk(NULL) = 0x555555580000\n"
				  "1 brk(NULL) = 0x555555590000\n";
	char line[512];
	struct imported im;
	u32 skipped;

	(void)state;
	import_text(&im, log, strlen(log));
	assert_true(run(&im.p, line, &skipped) > 0);
	assert_non_null(strstr(line, "FAULTLINE: expect:"));
	drop(&im);
}

/* ---- address spaces ------------------------------------------------------------------------- */

static void test_space(void **state)
{
	struct space *s = space_new(), *c;
	struct space_range r;

	(void)state;
	assert_non_null(s);
	assert_int_equal(space_set(s, 0x2000, 0x6000, SPACE_MAPPED, 1), 0);
	assert_int_equal(space_set(s, 0x3000, 0x4000, SPACE_FREE, 0), 0);
	assert_int_equal(s->nr, 3);
	r = space_at(s, 0x1000, 0x9000);
	assert_true(r.kind == SPACE_UNKNOWN && r.start == 0x1000 && r.end == 0x2000);
	r = space_at(s, 0x2000, 0x9000);
	assert_true(r.kind == SPACE_MAPPED && r.end == 0x3000 && r.attr == 1);
	r = space_at(s, 0x5000, 0x5800);
	assert_true(r.kind == SPACE_MAPPED && r.start == 0x5000 && r.end == 0x5800);
	r = space_at(s, 0x6000, 0x7000);
	assert_true(r.kind == SPACE_UNKNOWN && r.end == 0x7000);
	assert_true(space_has(s, 0, 0x9000, SPACE_FREE));
	assert_false(space_has(s, 0x4000, 0x9000, SPACE_FREE));

	c = space_copy(s);
	assert_non_null(c);
	assert_int_equal(space_set(c, 0x3000, 0x4000, SPACE_MAPPED, 1), 0);
	assert_int_equal(c->nr, 1);
	assert_int_equal(s->nr, 3);
	assert_int_equal(space_set(c, 0x6000, 0x7000, SPACE_MAPPED, 2), 0);
	assert_int_equal(c->nr, 2);
	assert_int_equal(space_set(c, 0, 0x10000, SPACE_GHOST, 0), 0);
	assert_int_equal(c->nr, 1);
	space_put(space_get(c));
	space_put(c);
	space_put(s);
}

/* The same against an array of pages. */
static void test_space_against_array(void **state)
{
	enum {
		PAGES = 64
	};
	u8 pages[PAGES] = {0};
	struct space *s = space_new();
	u32 seed = 1;

	(void)state;
	assert_non_null(s);
	for (int turn = 0; turn < 5000; turn++) {
		u32 from, to, i;
		u8 kind;

		seed = seed * 1664525u + 1013904223u;
		from = (seed >> 8) % PAGES;
		to = from + (seed >> 16) % (PAGES - from + 1);
		kind = (u8)(SPACE_MAPPED + (seed >> 24) % 3);
		assert_int_equal(space_set(s, from * PAGE_SIZE, to * PAGE_SIZE, kind, 0), 0);
		memset(pages + from, kind, to - from);
		for (i = 0; i < PAGES; i++)
			assert_int_equal(space_at(s, i * PAGE_SIZE, (i + 1) * PAGE_SIZE).kind,
					 pages[i]);
		for (i = 1; i < s->nr; i++)
			assert_true(s->ranges[i - 1].end < s->ranges[i].start ||
				    (s->ranges[i - 1].end == s->ranges[i].start &&
				     s->ranges[i - 1].kind != s->ranges[i].kind));
	}
	space_put(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_kinds_of_lines),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_bad_logs),
		cmocka_unit_test(test_resumed_calls_must_match),
		cmocka_unit_test(test_lines_need_a_process),
		cmocka_unit_test(test_basic),
		cmocka_unit_test(test_log_from_stderr),
		cmocka_unit_test(test_vfork),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_exit_group_ends_all),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_unsupported),
		cmocka_unit_test(test_remap_file_pages),
		cmocka_unit_test(test_userfaultfd_and_policies),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_attached),
		cmocka_unit_test(test_timestamps_and_escapes),
		cmocka_unit_test(test_stale_memory_gives_way),
		cmocka_unit_test(test_machine_is_large_enough),
		cmocka_unit_test(test_impossible_log_is_found),
		cmocka_unit_test(test_space),
		cmocka_unit_test(test_space_against_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
