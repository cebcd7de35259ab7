/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slots: memory at fixed host addresses that all sanitizers take for the program's own, below where
 * Linux loads position-independent programs. An instance in its slot can be copied and put back
 * with its pointers right.
 *
 *	0x550000000000  buddy, 16 of 4 GiB
 *	0x551000000000  arena, 64 of 4 GiB
 */
#ifndef FAULTLINE_ALLOC_SLOT_H
#define FAULTLINE_ALLOC_SLOT_H

#include <stddef.h>
#include <stdint.h>

#define SLOT_SIZE	((size_t)4 << 30)
#define BUDDY_SLOT_BASE 0x550000000000ull
#define BUDDY_NR_SLOTS	16u
#define ARENA_SLOT_BASE 0x551000000000ull
#define ARENA_NR_SLOTS	64u

/* SLOT_SIZE bytes of zeroes, not backed before they are touched; NULL when the slot is taken. */
void *fl_slot_map(uint64_t base, uint32_t slot);
void fl_slot_unmap(void *mem);
uint32_t fl_slot_of(uint64_t base, const void *mem);

#endif
