/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * faultline bench fuzz: what an input of fuzz_lifecycle costs, and on what. The programs are always
 * the same, and lie in one file; each share is what is more than without it, taken in turn in the
 * same run, the least of several rounds. What one binary cannot tell, ci/bench-fuzz does.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "../harness/harness.h"
#include "cli.h"
#include "target.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INPUTS 1024u
#define MAX_TEXT   ((size_t)4 << 20)

enum part {
	PART_EMPTY,  /* a target that returns at once */
	PART_DECODE, /* bytes to a program, and its end */
	PART_RESET,  /* with a fresh machine, no operation, its end, the census */
	PART_ENGINE, /* with the operations */
	PART_DIGEST, /* with the digest of the last state, for the trace hash */
	PART_CHECKS, /* with the checks of the fuzz targets */
	PART_MODEL,  /* and with the reference model: a fuzz target */
	PART_FULL,   /* with everything checked after each operation */
	NR_PARTS
};
#define PART_WHOLE PART_MODEL

static const char *const part_names[NR_PARTS] = {
	[PART_EMPTY] = "empty",	  [PART_DECODE] = "decode",    [PART_RESET] = "reset",
	[PART_ENGINE] = "engine", [PART_DIGEST] = "digest",    [PART_CHECKS] = "checks",
	[PART_MODEL] = "model",	  [PART_FULL] = "full_checks",
};

struct input {
	u8 *bytes;
	size_t len;
};

struct fuzz_bench {
	const struct fl_allocator_ops *alloc;
	const char *path;
	struct input inputs[MAX_INPUTS];
	u32 nr;
	u64 executed;
	struct fi fi;
	struct target target;
	double best[NR_PARTS];	  /* ns per input */
	double longest[NR_PARTS]; /* of one input, in the round that was best */
};

/* ---- the programs ---------------------------------------------------------------------------- */

static int add_input(struct fuzz_bench *b, const char *text, size_t len)
{
	struct prog_error error;
	struct program p;
	int err;

	if (b->nr == MAX_INPUTS) {
		say("%s: more than %u programs", b->path, MAX_INPUTS);
		return EXIT_USAGE;
	}
	err = program_parse(&p, text, len, &error);
	if (err == -EINVAL)
		say("%s: program %u: line %u: %s", b->path, b->nr + 1, error.line, error.what);
	if (err)
		return load_status(err);
	err = program_encode(&p, &b->inputs[b->nr].bytes, &b->inputs[b->nr].len);
	program_free(&p);
	b->nr += !err;
	return err ? EXIT_ENV : 0;
}

/* The whole file as a string, or NULL after a line on stderr. */
static char *read_text(const char *path)
{
	FILE *in = fopen(path, "re");
	char *text = malloc(MAX_TEXT + 1);
	size_t len = 0;

	if (in && text)
		len = fread(text, 1, MAX_TEXT + 1, in);
	if (!in || !text || ferror(in) || len > MAX_TEXT) {
		say("%s: %s", path, len > MAX_TEXT ? "larger than 4 MiB" : strerror(errno));
		free(text);
		text = NULL;
	} else {
		text[len] = '\0';
	}
	if (in)
		fclose(in);
	return text;
}

/* One file holds them one after the other, each with its first line. */
static int read_inputs(struct fuzz_bench *b)
{
	static const char first[] = "# faultline 1\n";
	char *text = read_text(b->path), *next;
	int status = 0;

	if (!text)
		return EXIT_USAGE;
	for (char *at = text; *at && !status; at = next) {
		next = strstr(at + 1, first);
		if (!next)
			next = at + strlen(at);
		status = add_input(b, at, (size_t)(next - at));
	}
	free(text);
	if (!status && !b->nr)
		return usage_error("bench", "%s: no programs", b->path);
	return status;
}

/* ---- running them ---------------------------------------------------------------------------- */

static void on_finding(void *priv, const struct finding *f)
{
	char line[640];

	(void)priv;
	finding_line(f, line, sizeof(line));
	say("bench: %s", line);
}

static bool run_program(struct fuzz_bench *b, struct program *p, enum part part)
{
	struct target_options opt = {
		.alloc = b->alloc,
		.check = part == PART_FULL     ? CHECK_FULL
			 : part >= PART_CHECKS ? CHECK_TOUCHED
					       : CHECK_OFF,
		.max_ops = HARNESS_MAX_OPS,
		.max_work = HARNESS_MAX_WORK,
		.no_digest = part < PART_DIGEST,
		.no_model = part < PART_MODEL,
		.fi = &b->fi,
	};
	struct target_result res;
	struct prog_error err;
	u32 nr_ops = p->nr_ops;
	bool ok;

	machine_config_init(&opt.machine);
	if (program_machine(p, &opt.machine, &err))
		return false;
	if (part == PART_RESET)
		p->nr_ops = 0;
	fi_init(&b->fi);
	ok = !target_init(&b->target, p, &opt, on_finding, NULL) &&
	     !target_run(&b->target, NULL, &res);
	target_fini(&b->target);
	p->nr_ops = nr_ops;
	if (ok)
		b->executed += res.ops;
	return ok && !res.findings;
}

/* Of this thread alone: a fuzzer has a core, and this may have to share one. */
static u64 cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (u64)ts.tv_sec * 1000000000u + (u64)ts.tv_nsec;
}

/* An input once; nanoseconds, or negative. */
static double run_input(struct fuzz_bench *b, const struct input *in, enum part part)
{
	u64 start = cpu_now();
	struct program p;
	bool ok = true;

	/* the target may not know that nothing is done with it */
	__asm__ volatile("" : : "r"(in->bytes) : "memory");
	if (part > PART_EMPTY) {
		if (program_decode(&p, in->bytes, in->len))
			return -1;
		if (part > PART_DECODE)
			ok = run_program(b, &p, part);
		program_free(&p);
	}
	return ok ? (double)(cpu_now() - start) : -1;
}

static bool round_of(struct fuzz_bench *b, enum part part)
{
	double sum = 0, longest = 0;

	b->executed = 0;
	for (u32 i = 0; i < b->nr; i++) {
		double ns = run_input(b, &b->inputs[i], part);

		if (ns < 0)
			return false;
		sum += ns;
		longest = ns > longest ? ns : longest;
	}
	if (!b->best[part] || sum / b->nr < b->best[part]) {
		b->best[part] = sum / b->nr;
		b->longest[part] = longest;
	}
	return true;
}

/* Fuzzers are pinned, too; where that is not allowed, the figures are what they are. */
static void pin(void)
{
	cpu_set_t all, one;

	if (sched_getaffinity(0, sizeof(all), &all))
		return;
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, &all)) {
			CPU_SET(i, &one);
			sched_setaffinity(0, sizeof(one), &one);
			return;
		}
	}
}

static void print_row(bool json, const char *name, double value, const char *unit, double baseline,
		      const char *against)
{
	struct json j;

	if (!json) {
		printf("%-22s %10.3f %-8s %-24s %10.3f   ratio %.3f\n", name, value, unit, against,
		       baseline, baseline ? value / baseline : 0);
		return;
	}
	json_begin(&j, stdout, "bench");
	json_str(&j, "name", name);
	json_key(&j, "value");
	printf("%.4f", value);
	json_str(&j, "unit", unit);
	json_key(&j, "baseline");
	printf("%.4f", baseline);
	json_key(&j, "ratio");
	printf("%.4f", baseline ? value / baseline : 0);
	json_str(&j, "against", against);
	json_end(&j);
}

/* What each part adds; what every measurement of an input costs is not the input's. */
static void print_all(const struct fuzz_bench *b, bool json)
{
	const double us = 1e-3, whole = (b->best[PART_WHOLE] - b->best[PART_EMPTY]) * us;
	char name[64];

	print_row(json, "fuzz.input", whole, "us", b->longest[PART_WHOLE] * us, "the longest one");
	print_row(json, "fuzz.op", whole * b->nr / (double)b->executed, "us", whole, "the input");
	for (u32 i = PART_DECODE; i <= PART_WHOLE; i++) {
		snprintf(name, sizeof(name), "fuzz.share.%s", part_names[i]);
		print_row(json, name, (b->best[i] - b->best[i - 1]) * us, "us", whole, "the input");
	}
	print_row(json, "fuzz.full_checks", (b->best[PART_FULL] - b->best[PART_EMPTY]) * us, "us",
		  whole, "the input, checks as in fuzzing");
}

int bench_fuzz(const struct fl_allocator_ops *alloc, const char *path, u64 rounds, bool json)
{
	struct fuzz_bench *b = calloc(1, sizeof(*b));
	int status;

	if (!b)
		return EXIT_ENV;
	b->alloc = alloc;
	b->path = path;
	pin();
	status = read_inputs(b);
	for (u64 r = 0; r < rounds && !status; r++) {
		for (u32 i = 0; i < NR_PARTS && !status; i++) {
			if (!round_of(b, (enum part)i)) {
				say("bench: an input could not be run");
				status = EXIT_FINDING;
			}
		}
	}
	if (!status) {
		print_all(b, json);
		status = output_flush();
	}
	for (u32 i = 0; i < b->nr; i++)
		free(b->inputs[i].bytes);
	free(b);
	return status;
}
