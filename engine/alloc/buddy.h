/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Backend `buddy`: its structures, which tests damage one by one. Everything is named by frame
 * number; NIL is none.
 *
 * A slot: struct buddy | struct buddy_host | a map of free blocks per order | a descriptor per
 * frame | a map of live objects | frames of 4096 bytes
 */
#ifndef FAULTLINE_ALLOC_BUDDY_H
#define FAULTLINE_ALLOC_BUDDY_H

#include <stdbool.h>

#include "allocators.h"
#include "slot.h"

#define BUDDY_HOST_OFFSET   ((size_t)256 << 10)
#define BUDDY_FREE_OFFSET   ((size_t)1 << 20)
#define BUDDY_DESC_OFFSET   ((size_t)4 << 20)
#define BUDDY_LIVE_OFFSET   ((size_t)32 << 20)
#define BUDDY_FRAMES_OFFSET ((size_t)128 << 20)
#define BUDDY_PAGE	    ((size_t)4096)
#define BUDDY_NR_FRAMES	    ((uint32_t)((SLOT_SIZE - BUDDY_FRAMES_OFFSET) / BUDDY_PAGE))
#define BUDDY_NR_ORDERS	    (FL_MAX_ORDER + 1)
#define BUDDY_NR_CACHES	    64u
#define BUDDY_NR_CPUS	    8u
#define BUDDY_NIL	    UINT32_MAX
/* Of a CPU's list of single pages: moved at a time, and the length that makes it give back. */
#define BUDDY_PCP_BATCH 8u
#define BUDDY_PCP_HIGH	(6 * BUDDY_PCP_BATCH)
/* Slabs without an object that a cache keeps. */
#define BUDDY_MIN_EMPTY 1u
/* A bit of the map of live objects stands for so many bytes. */
#define BUDDY_GRAIN	 8u
#define BUDDY_LIVE_WORDS (BUDDY_PAGE / BUDDY_GRAIN / 64)

enum buddy_state {
	BUDDY_TAIL, /* not the first of its block; of a slab, next is the first */
	BUDDY_FREE, /* on the free list of its order */
	BUDDY_PCP,  /* on a CPU's list; cache is the CPU */
	BUDDY_PAGES,
	BUDDY_SLAB,
	BUDDY_NR_STATES
};

struct buddy_frame {
	uint32_t next, prev;
	uint8_t state, order;
	uint16_t cache;
	uint16_t inuse; /* slab: objects given out */
	/* Slab: the first free object, each names the next, per_slab: none. Pages: 1 of tags. */
	uint16_t free;
};

struct buddy_list {
	uint32_t first, last, nr;
};

enum buddy_slabs {
	SLABS_PARTIAL,
	SLABS_FULL,
	SLABS_EMPTY,
	BUDDY_NR_SLABS
};

struct buddy_cache {
	bool used;
	uint8_t order; /* of its slabs */
	uint32_t stride, per_slab;
	struct buddy_list slabs[BUDDY_NR_SLABS];
	uint64_t live;
	size_t size;
	char name[32];
};

struct buddy {
	uint64_t magic;
	uint64_t limit;
	struct fl_allocator_counts counts;
	uint64_t held;	    /* pages of slabs */
	uint32_t nr_frames; /* that exist: a multiple of the largest block */
	uint32_t high;	    /* no frame from here on was ever given out */
	struct buddy_list free[BUDDY_NR_ORDERS];
	struct buddy_list pcp[BUDDY_NR_CPUS];
	struct buddy_cache caches[BUDDY_NR_CACHES];
	char misuse[96]; /* first wrong free, for check() */
};

/* Of the mapping, not of the instance's state: no snapshot has it. */
struct buddy_host {
	uint32_t most_frames; /* that ever existed */
	uint32_t most; /* the highest `high` ever: its shadow must be clean before the slot is left
			*/
	bool (*refill)(void *priv, uint32_t gfp);
	void *refill_priv;
};

static inline struct buddy_frame *buddy_frames(const struct buddy *b)
{
	return (struct buddy_frame *)(void *)((char *)(uintptr_t)b + BUDDY_DESC_OFFSET);
}

/* Bit idx >> order: the block that begins at frame idx is on the free list of that order. */
static inline uint64_t *buddy_free_map(const struct buddy *b, unsigned int order)
{
	return (uint64_t *)(void *)((char *)(uintptr_t)b + BUDDY_FREE_OFFSET) +
	       (size_t)order * (BUDDY_NR_FRAMES / 64);
}

static inline uint64_t *buddy_live_map(const struct buddy *b, uint32_t idx)
{
	return (uint64_t *)(void *)((char *)(uintptr_t)b + BUDDY_LIVE_OFFSET) +
	       (size_t)idx * BUDDY_LIVE_WORDS;
}

static inline char *buddy_mem(const struct buddy *b, uint32_t idx)
{
	return (char *)(uintptr_t)b + BUDDY_FRAMES_OFFSET + (size_t)idx * BUDDY_PAGE;
}

/* buddy_check.c: fl_allocator_ops.check. Each line it gives begins with the name of a row. */
int buddy_check(void *inst, char *why, size_t len);
/* The link inside a free object. */
uint16_t buddy_link(const struct buddy *b, const struct buddy_cache *c, uint32_t slab,
		    uint32_t obj);

#endif
