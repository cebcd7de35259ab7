/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The allocator seam. Everything the engine allocates comes through one table of functions; a
 * backend is such a table. A user's own backend exports faultline_allocator() from a shared object.
 *
 * Contract of every backend:
 *  - every call takes the instance; a backend keeps no writable data outside its instances, and any
 *    number of instances live side by side;
 *  - nothing is ordered or chosen by host address, so that two runs behave alike;
 *  - a call that fails returns NULL (or the negative errno stated) and changes nothing.
 * Sizes are in bytes, orders are powers of two in pages of 4096 bytes.
 */
#ifndef FAULTLINE_ALLOCATOR_H
#define FAULTLINE_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FL_ALLOCATOR_ABI 1u
#define FL_MAX_ORDER	 10u

/* Request flags (facts §12 names the kernel's). Unknown bits are ignored by a backend. */
#define __GFP_ZERO   0x0001u /* the memory returned reads as zero */
#define __GFP_NOWAIT 0x0002u /* the caller has a fallback; a backend may refuse sooner */
#define __GFP_REPEAT 0x0004u
#define __GFP_HIGH   0x0008u
#define __GFP_NOFAIL 0x0020u /* the caller has no way out: no subject of injection */
/*
 * The caller will only touch the first FL_TAG_BYTES of each page of the block: a user page's
 * content is modelled by a tag. A backend may return that much less memory, aligned to 16.
 */
#define __GFP_TAG    0x0010u
#define FL_TAG_BYTES 16u
/* The CPU that asks or gives back, for a backend that keeps lists by CPU; others ignore it. */
#define __GFP_CPU_SHIFT 24
#define __GFP_CPU(cpu)	((uint32_t)(cpu) << __GFP_CPU_SHIFT)

#define GFP_KERNEL 0u
#define GFP_NOWAIT __GFP_NOWAIT

struct fl_allocator_config {
	uint32_t size;	/* of this structure, for later growth */
	uint64_t limit; /* upper bound in pages, 0: none. A backend may ignore it */
	uint32_t slot;	/* which fixed slot (arena, buddy); any value for others */
	/*
	 * Asked before a backend that has slabs takes pages for one, within cache_alloc; true: it
	 * acts as though there were none. Not asked with __GFP_NOFAIL. May be NULL. It calls
	 * nothing of the backend. gfp is the request's. Other backends leave it alone.
	 */
	bool (*refill)(void *priv, uint32_t gfp);
	void *refill_priv;
};

struct fl_allocator_counts {
	uint64_t pages;	  /* allocated by page_alloc and not freed, in pages of order 0 */
	uint64_t objects; /* allocated by cache_alloc and not freed */
	uint64_t caches;  /* created and not destroyed */
};

struct fl_allocator_ops {
	uint32_t abi;  /* FL_ALLOCATOR_ABI */
	uint32_t size; /* sizeof(struct fl_allocator_ops) as the backend knows it */
	const char *name;

	/* Returns an instance, or NULL when the host has no memory for it. */
	void *(*create)(const struct fl_allocator_config *cfg);
	/* Releases the instance and everything still allocated from it. */
	void (*destroy)(void *inst);

	/*
	 * 2^order pages, aligned to their own size (16 bytes with __GFP_TAG), zeroed if __GFP_ZERO.
	 * NULL when there are none. page_free gets the order and flags of the request; the CPU is
	 * the one that frees.
	 */
	void *(*page_alloc)(void *inst, unsigned int order, uint32_t gfp);
	void (*page_free)(void *inst, void *mem, unsigned int order, uint32_t gfp);

	/* A cache of objects of one size; align is a power of two, at least 8. The name is kept. */
	void *(*cache_create)(void *inst, const char *name, size_t size, size_t align);
	/* -EBUSY, and nothing done, while objects of the cache live. */
	int (*cache_destroy)(void *inst, void *cache);
	void *(*cache_alloc)(void *inst, void *cache, uint32_t gfp);
	void (*cache_free)(void *inst, void *cache, void *obj);

	/* Gives back what is cached and unused: afterwards the instance is as cold as it can be. */
	void (*drop_caches)(void *inst);
	void (*counts)(void *inst, struct fl_allocator_counts *out);
	/* Verifies the backend's own structures: 0, or -EUCLEAN with a line of text in why. */
	int (*check)(void *inst, char *why, size_t len);

	/*
	 * Optional, all or none: a copy of the whole instance, to be put back into it, or, when it
	 * has been destroyed, into another one that was made with the same slot. snapshot_size
	 * bounds the buffer; snapshot returns the bytes written, 0 on failure, and changes nothing.
	 * restore makes the instance byte for byte what it was, at the same addresses, with the
	 * sanitizers' knowledge of what may be touched; it asks nothing of what it overwrites, so
	 * that a damaged instance can be restored too. 0, or -EINVAL and nothing done: not a
	 * snapshot of that slot.
	 */
	size_t (*snapshot_size)(void *inst);
	size_t (*snapshot)(void *inst, void *buf, size_t len);
	int (*restore)(void *inst, const void *buf, size_t len);
};

/* Entry point of a backend; NULL when it does not speak this ABI. */
const struct fl_allocator_ops *faultline_allocator(uint32_t abi);

/* The built-in ones, by name (malloc, arena, buddy, guard); NULL when there is none of that name.
 */
const struct fl_allocator_ops *fl_allocator_find(const char *name);
/* The i-th built-in, NULL past the last. */
const struct fl_allocator_ops *fl_allocator_at(unsigned int i);

#endif
