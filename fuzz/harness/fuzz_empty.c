/* SPDX-License-Identifier: GPL-2.0-only */
/* A target that does nothing: what is left is what the fuzzing engine itself costs (ci/bench-fuzz).
 */
#include "harness.h"

const struct harness harness = {
	.name = "fuzz_empty",
	.what = "Bytes are not looked at.",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)data;
	(void)size;
	return 0;
}
