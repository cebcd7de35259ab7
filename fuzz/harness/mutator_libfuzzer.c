/* SPDX-License-Identifier: GPL-2.0-only */
/* libFuzzer's way to the mutator. Now and then it changes bytes itself: every input is a program.
 */
#include "mutate.h"

#define BYTES_PERCENT 6u

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2,
				 size_t size2, uint8_t *out, size_t max_out, unsigned int seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	size_t n = 0;

	if (seed % 100 >= BYTES_PERCENT || !LLVMFuzzerMutate)
		n = mutate_bytes(data, size, NULL, 0, data, max_size, seed, NULL);
	if (!n && LLVMFuzzerMutate)
		n = LLVMFuzzerMutate(data, size, max_size);
	return n;
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2,
				 size_t size2, uint8_t *out, size_t max_out, unsigned int seed)
{
	return cross_bytes(data1, size1, data2, size2, out, max_out, seed);
}
