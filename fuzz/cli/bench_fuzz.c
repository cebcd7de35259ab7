/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * faultline bench fuzz: what an input of fuzz_lifecycle costs, and on what. The programs are always
 * the same; each share is what is more than without it, taken in turn in the same run, the least of
 * several rounds.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "cli.h"
#include "target.h"

#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define NR_INPUTS 200u
#define MIN_OPS	  16u
#define MORE_OPS  17u /* up to 32 */

enum part {
	PART_EMPTY,   /* a target that returns at once */
	PART_DECODE,  /* bytes to a program, and its end */
	PART_RESET,   /* with a fresh machine, no operation, its end, the census */
	PART_ENGINE,  /* with the operations, without checks */
	PART_TOUCHED, /* with the checks of the fuzz targets */
	PART_FULL,    /* with everything checked after each operation */
	NR_PARTS
};

static const char *const part_names[NR_PARTS] = {
	[PART_EMPTY] = "empty",	  [PART_DECODE] = "decode",  [PART_RESET] = "reset",
	[PART_ENGINE] = "engine", [PART_TOUCHED] = "checks", [PART_FULL] = "full_checks",
};

struct input {
	u8 *bytes;
	size_t len;
};

struct fuzz_bench {
	const struct fl_allocator_ops *alloc;
	struct input inputs[NR_INPUTS];
	u64 ops, executed;
	struct fi fi;
	struct target target;
	double best[NR_PARTS]; /* ns per input */
};

static bool make_inputs(struct fuzz_bench *b)
{
	for (u32 i = 0; i < NR_INPUTS; i++) {
		struct program p;
		bool ok;

		if (program_generate(&p, i + 1, MIN_OPS + i % MORE_OPS))
			return false;
		b->ops += p.nr_ops;
		ok = !program_encode(&p, &b->inputs[i].bytes, &b->inputs[i].len);
		program_free(&p);
		if (!ok)
			return false;
	}
	return true;
}

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
		.check = part == PART_TOUCHED ? CHECK_TOUCHED
			 : part == PART_FULL  ? CHECK_FULL
					      : CHECK_OFF,
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
	if (ok && part == PART_TOUCHED)
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

/* All inputs once; nanoseconds per input, or negative. */
static double round_of(struct fuzz_bench *b, enum part part)
{
	u64 start = cpu_now();

	b->executed = 0;
	for (u32 i = 0; i < NR_INPUTS; i++) {
		struct program p;
		bool ok = true;

		/* the target may not know that nothing is done with it */
		__asm__ volatile("" : : "r"(b->inputs[i].bytes) : "memory");
		if (part == PART_EMPTY)
			continue;
		if (program_decode(&p, b->inputs[i].bytes, b->inputs[i].len))
			return -1;
		if (part > PART_DECODE)
			ok = run_program(b, &p, part);
		program_free(&p);
		if (!ok)
			return -1;
	}
	return (double)(cpu_now() - start) / NR_INPUTS;
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

static void print_all(const struct fuzz_bench *b, bool json)
{
	const double us = 1e-3, whole = b->best[PART_TOUCHED] * us;
	char name[64];

	print_row(json, "fuzz.input", whole, "us", b->best[PART_EMPTY] * us, "an empty target");
	print_row(json, "fuzz.op", whole * NR_INPUTS / (double)b->executed, "us", whole,
		  "the input");
	for (u32 i = PART_DECODE; i <= PART_TOUCHED; i++) {
		snprintf(name, sizeof(name), "fuzz.share.%s", part_names[i]);
		print_row(json, name, (b->best[i] - b->best[i - 1]) * us, "us", whole, "the input");
	}
	print_row(json, "fuzz.full_checks", b->best[PART_FULL] * us, "us", whole,
		  "the input, checks as in fuzzing");
}

int bench_fuzz(const struct fl_allocator_ops *alloc, u64 rounds, bool json)
{
	struct fuzz_bench *b = calloc(1, sizeof(*b));
	int status = EXIT_ENV;

	if (!b)
		return EXIT_ENV;
	b->alloc = alloc;
	pin();
	if (!make_inputs(b)) {
		say("bench: out of memory");
		goto out;
	}
	for (u32 i = 0; i < NR_PARTS; i++)
		b->best[i] = -1;
	for (u64 r = 0; r < rounds; r++) {
		for (u32 i = 0; i < NR_PARTS; i++) {
			double ns = round_of(b, (enum part)i);

			if (ns < 0) {
				say("bench: an input could not be run");
				status = EXIT_FINDING;
				goto out;
			}
			if (b->best[i] < 0 || ns < b->best[i])
				b->best[i] = ns;
		}
	}
	/* counted anew by the last round of that part */
	round_of(b, PART_TOUCHED);
	print_all(b, json);
	status = output_flush();
out:
	for (u32 i = 0; i < NR_INPUTS; i++)
		free(b->inputs[i].bytes);
	free(b);
	return status;
}
