/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fuzz_lifecycle: bytes are a program with faults, which runs in a machine of its own. An input
 * means the same to `faultline run --max-ops 512`.
 */
#include "harness.h"

const struct harness harness = {
	.name = "fuzz_lifecycle",
	.what = "Bytes are a program, which runs with its faults: faultline run --max-ops 512.",
};

static struct fi fi;
static struct target target;
static volatile u32 position;

static void on_finding(void *priv, const struct finding *f)
{
	(void)priv;
	harness_finding(f);
}

static void run(struct program *p)
{
	struct target_options opt = {
		.alloc = fl_allocator_find("malloc"),
		.check = CHECK_TOUCHED,
		.max_ops = HARNESS_MAX_OPS,
		.max_work = HARNESS_MAX_WORK,
		.fi = &fi,
		.position = &position,
	};
	struct target_result result;

	if (!harness_machine(p, &opt.machine))
		return;
	position = UINT32_MAX;
	fi_init(&fi);
	harness_running(p, &target, &position);
	if (!target_init(&target, p, &opt, on_finding, NULL)) {
		target_run(&target, NULL, &result);
		harness_model(&result.model);
		target_fini(&target);
	}
	harness_running(NULL, NULL, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct program p;

	if (size > PROG_MAX_BYTES || program_decode(&p, data, size))
		return 0;
	run(&p);
	program_free(&p);
	return 0;
}
