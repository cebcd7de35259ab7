/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fuzz_sweep: bytes are a short program, and every fault point of it is failed in place, as
 * `faultline sweep --mode inplace` does: what no mark of a program would hit by luck.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#include "sweep.h"

/* A sweep runs an operation as often as it makes requests, so both are few. */
#define SWEEP_OPS      16u
#define SWEEP_TASKS    8u
#define SWEEP_ATTEMPTS 400u

const struct harness harness = {
	.name = "fuzz_sweep",
	.what = "Bytes are a short program; each of its fault points is failed: faultline sweep.",
};

static struct fi fi;
static struct target target;
static volatile u32 position;

/* Only what comes again in a fresh machine is a bug of the engine. */
static void on_finding(void *priv, const struct finding *f)
{
	(void)priv;
	if (f->confirmed)
		harness_finding(f);
}

/* Asked before each operation. */
static bool enough(void *priv)
{
	u32 *left = priv;

	return !(*left)--;
}

static void sweep(const struct program *p, const struct target_options *topt)
{
	struct subject s = {&target_subject, &target, &fi};
	u32 left = SWEEP_ATTEMPTS;
	const struct sweep_options opt = {.modes = SWEEP_INPLACE, .stop = enough, .priv = &left};
	struct sweep_stats stats;

	if (target_init(&target, p, topt, on_finding, NULL))
		return;
	if (sweep_run(&s, &opt, on_finding, NULL, &stats) == -EPROTO) {
		fprintf(stderr, "fuzz_sweep: the injector's self-test failed\n");
		exit(5);
	}
	harness_model(&target.model);
	target_fini(&target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct target_options opt = {
		.alloc = fl_allocator_find("malloc"),
		.check = CHECK_TOUCHED,
		.no_marks = true,
		.max_ops = SWEEP_OPS,
		.fi = &fi,
		.position = &position,
	};
	struct program p;

	if (size > PROG_MAX_BYTES || program_decode(&p, data, size))
		return 0;
	if (harness_machine(&p, &opt.machine) && p.nr_defs[DEF_TASK] <= SWEEP_TASKS) {
		position = UINT32_MAX;
		fi_init(&fi);
		harness_running(&p, &target, &position);
		sweep(&p, &opt);
		harness_running(NULL, NULL, NULL);
	}
	program_free(&p);
	return 0;
}
