/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzz targets share. A target is one source with LLVMFuzzerTestOneInput() and these three
 * words about itself; harness.c makes of it a libFuzzer target or one for $LIB_FUZZING_ENGINE
 * (FAULTLINE_ENGINE_MAIN: main() is somebody else's), one for AFL++'s persistent mode with test
 * cases in shared memory (FAULTLINE_AFL), or a replay of files.
 */
#ifndef FAULTLINE_HARNESS_H
#define FAULTLINE_HARNESS_H

#include "target.h"

struct harness {
	const char *name, *what; /* for --help */
	bool text;		 /* takes programs as text, not as bytes */
};
extern const struct harness harness;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bounds of one input: operations that run, and pages that its machine may have. */
#define HARNESS_MAX_OPS	  512u
#define HARNESS_MAX_PAGES 65536u
/* Objects that its operations may meet, after which the rest of them is left out: less than 1 s. */
#define HARNESS_MAX_WORK ((u64)1 << 20)

/* False: the machine that the input asks for is none, or too large. */
bool harness_machine(const struct program *p, struct machine_config *cfg);

/*
 * What is running, so that whatever ends the process can say it; NULL: nothing. position is the
 * operation.
 */
void harness_running(const struct program *p, const struct target *t, const volatile u32 *position);
/* What the model did in a run: a replay of files says it at its end. */
void harness_model(const struct model_stats *s);
/* Prints the line that others group by, what was expected, and the program; then aborts. */
__attribute__((noreturn)) void harness_finding(const struct finding *f);

#endif
