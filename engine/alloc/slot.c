/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "slot.h"

#include <sys/mman.h>

void *fl_slot_map(uint64_t base, uint32_t slot)
{
	void *want = (void *)(uintptr_t)(base + slot * (uint64_t)SLOT_SIZE);
	void *got = mmap(want, SLOT_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (got == MAP_FAILED)
		return NULL;
	/* a kernel that does not know the flag takes the address for a hint */
	if (got != want) {
		munmap(got, SLOT_SIZE);
		return NULL;
	}
	return got;
}

void fl_slot_unmap(void *mem)
{
	munmap(mem, SLOT_SIZE);
}

uint32_t fl_slot_of(uint64_t base, const void *mem)
{
	return (uint32_t)(((uintptr_t)mem - base) / SLOT_SIZE);
}
