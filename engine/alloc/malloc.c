/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Backend `malloc`: every page block and every object is a heap block of its own, so that a
 * sanitizer sees each of them. The user's memory is the tail of its block, to the byte; before it
 * lies a header that links the block to its instance and says what it is. Under ASan the header is
 * poisoned while the block is out.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocators.h"
#include "san.h"

#define PAGE_BYTES ((size_t)4096)
#define LIVE_MAGIC 0x4c495645u
#define DEAD_MAGIC 0x44454144u

struct link {
	struct link *next, *prev;
};

/* 48 bytes: with memory aligned to 16 it leaves the user's aligned to 16 too. */
struct block {
	struct link link;
	struct malloc_cache *cache; /* NULL: pages */
	void *raw;		    /* what free() gets */
	uint32_t order, gfp;	    /* of the request, pages only */
	uint32_t magic;
	uint32_t pad;
};

struct malloc_cache {
	struct link link;   /* in the instance */
	struct link blocks; /* its live objects */
	size_t size, align;
	uint64_t live;
	char name[32];
};

struct malloc_inst {
	struct link blocks; /* live page blocks */
	struct link caches;
	struct fl_allocator_counts counts;
	uint64_t limit;
	const char *misuse; /* first wrong free, for check() */
};

static void link_init(struct link *head)
{
	head->next = head->prev = head;
}

/* Neighbours on a list of blocks are poisoned headers: what follows may touch them all the same. */

FL_NO_ASAN static void link_add(struct link *l, struct link *head)
{
	l->next = head;
	l->prev = head->prev;
	head->prev->next = l;
	head->prev = l;
}

FL_NO_ASAN static void link_del(struct link *l)
{
	l->next->prev = l->prev;
	l->prev->next = l->next;
}

FL_NO_ASAN static void block_link(struct block *b, struct link *head)
{
	link_add(&b->link, head);
}

FL_NO_ASAN static void block_unlink(struct block *b)
{
	link_del(&b->link);
	b->magic = DEAD_MAGIC;
}

FL_NO_ASAN static struct block block_read(const struct block *b)
{
	struct block copy;

	copy.link.next = b->link.next;
	copy.link.prev = b->link.prev;
	copy.cache = b->cache;
	copy.raw = b->raw;
	copy.order = b->order;
	copy.gfp = b->gfp;
	copy.magic = b->magic;
	copy.pad = 0;
	return copy;
}

static struct block *block_of(void *mem)
{
	return (struct block *)(void *)((char *)mem - sizeof(struct block));
}

static void *block_mem(struct block *b)
{
	return b + 1;
}

/* size bytes at the end of a heap block, aligned, with a header before them. */
static struct block *block_alloc(size_t size, size_t align, bool zero)
{
	size_t head = (sizeof(struct block) + align - 1) & ~(align - 1);
	struct block *b;
	void *raw;

	if (align <= _Alignof(max_align_t)) {
		head = sizeof(struct block);
		raw = malloc(head + size);
		if (!raw)
			return NULL;
	} else if (posix_memalign(&raw, align, head + size)) {
		return NULL;
	}
	b = (struct block *)(void *)((char *)raw + head) - 1;
	b->raw = raw;
	b->magic = LIVE_MAGIC;
	b->pad = 0;
	if (zero)
		memset(block_mem(b), 0, size);
	return b;
}

static void block_publish(struct block *b, struct link *head)
{
	block_link(b, head);
	san_poison(b, sizeof(*b));
}

static void block_free(struct block *b)
{
	void *raw;

	block_unlink(b);
	san_unpoison(b, sizeof(*b));
	raw = b->raw;
	free(raw);
}

static void *malloc_create(const struct fl_allocator_config *cfg)
{
	struct malloc_inst *inst = calloc(1, sizeof(*inst));

	if (!inst)
		return NULL;
	link_init(&inst->blocks);
	link_init(&inst->caches);
	inst->limit = cfg->limit;
	return inst;
}

static void free_blocks(struct link *head)
{
	while (head->next != head)
		block_free((struct block *)head->next);
}

static void malloc_destroy(void *arg)
{
	struct malloc_inst *inst = arg;

	free_blocks(&inst->blocks);
	while (inst->caches.next != &inst->caches) {
		struct malloc_cache *cache = (struct malloc_cache *)inst->caches.next;

		free_blocks(&cache->blocks);
		link_del(&cache->link);
		free(cache);
	}
	free(inst);
}

static void misuse(struct malloc_inst *inst, const char *what)
{
	if (!inst->misuse)
		inst->misuse = what;
}

static void *malloc_page_alloc(void *arg, unsigned int order, uint32_t gfp)
{
	struct malloc_inst *inst = arg;
	uint64_t pages = (uint64_t)1 << order;
	size_t size, align;
	struct block *b;

	if (order > FL_MAX_ORDER || (inst->limit && inst->counts.pages + pages > inst->limit))
		return NULL;
	size = (gfp & __GFP_TAG ? FL_TAG_BYTES : PAGE_BYTES) << order;
	align = gfp & __GFP_TAG ? 16 : size;
	b = block_alloc(size, align, gfp & __GFP_ZERO);
	if (!b)
		return NULL;
	b->cache = NULL;
	b->order = order;
	b->gfp = gfp;
	block_publish(b, &inst->blocks);
	inst->counts.pages += pages;
	return block_mem(b);
}

static void malloc_page_free(void *arg, void *mem, unsigned int order, uint32_t gfp)
{
	struct malloc_inst *inst = arg;
	struct block *b = block_of(mem), copy = block_read(b);

	if (copy.magic != LIVE_MAGIC || copy.cache) {
		misuse(inst, "page_free of what is no live page block");
		return;
	}
	if (copy.order != order || (copy.gfp ^ gfp) & __GFP_TAG)
		misuse(inst, "page_free with another order or tag flag than page_alloc");
	inst->counts.pages -= (uint64_t)1 << copy.order;
	block_free(b);
}

static void *malloc_cache_create(void *arg, const char *name, size_t size, size_t align)
{
	struct malloc_inst *inst = arg;
	struct malloc_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	strncpy(cache->name, name, sizeof(cache->name) - 1);
	cache->size = size;
	cache->align = align;
	link_init(&cache->blocks);
	link_add(&cache->link, &inst->caches);
	inst->counts.caches++;
	return cache;
}

static int malloc_cache_destroy(void *arg, void *handle)
{
	struct malloc_inst *inst = arg;
	struct malloc_cache *cache = handle;

	if (cache->live)
		return -EBUSY;
	link_del(&cache->link);
	free(cache);
	inst->counts.caches--;
	return 0;
}

static void *malloc_cache_alloc(void *arg, void *handle, uint32_t gfp)
{
	struct malloc_inst *inst = arg;
	struct malloc_cache *cache = handle;
	struct block *b = block_alloc(cache->size, cache->align, gfp & __GFP_ZERO);

	if (!b)
		return NULL;
	b->cache = cache;
	b->order = 0;
	b->gfp = gfp;
	block_publish(b, &cache->blocks);
	cache->live++;
	inst->counts.objects++;
	return block_mem(b);
}

static void malloc_cache_free(void *arg, void *handle, void *obj)
{
	struct malloc_inst *inst = arg;
	struct malloc_cache *cache = handle;
	struct block *b = block_of(obj), copy = block_read(b);

	if (copy.magic != LIVE_MAGIC || copy.cache != cache) {
		misuse(inst, "cache_free of what is no live object of the cache");
		return;
	}
	cache->live--;
	inst->counts.objects--;
	block_free(b);
}

/* Nothing is kept here; libc's own cache is not the engine's memory. */
static void malloc_drop_caches(void *arg)
{
	(void)arg;
}

static void malloc_counts(void *arg, struct fl_allocator_counts *out)
{
	const struct malloc_inst *inst = arg;

	*out = inst->counts;
}

/* Blocks on a list, and their pages; UINT64_MAX when a header or link is broken. */
static uint64_t count_blocks(const struct link *head, const struct malloc_cache *cache,
			     uint64_t max, uint64_t *pages)
{
	const struct link *prev = head, *l = head->next;
	uint64_t n = 0;

	while (l != head) {
		struct block b = block_read((const struct block *)l);

		if (n == max || b.magic != LIVE_MAGIC || b.cache != cache || b.link.prev != prev)
			return UINT64_MAX;
		*pages += (uint64_t)1 << b.order;
		prev = l;
		l = b.link.next;
		n++;
	}
	return n;
}

static int malloc_check(void *arg, char *why, size_t len)
{
	struct malloc_inst *inst = arg;
	uint64_t pages = 0, objects = 0, caches = 0, none = 0;

	if (inst->misuse) {
		snprintf(why, len, "%s", inst->misuse);
		return -EUCLEAN;
	}
	if (count_blocks(&inst->blocks, NULL, inst->counts.pages, &pages) == UINT64_MAX ||
	    pages != inst->counts.pages) {
		snprintf(why, len, "list of page blocks is damaged or miscounted");
		return -EUCLEAN;
	}
	for (struct link *l = inst->caches.next; l != &inst->caches; l = l->next) {
		struct malloc_cache *cache = (struct malloc_cache *)l;

		if (count_blocks(&cache->blocks, cache, cache->live, &none) != cache->live) {
			snprintf(why, len, "objects of cache %s are damaged or miscounted",
				 cache->name);
			return -EUCLEAN;
		}
		objects += cache->live;
		caches++;
	}
	if (objects != inst->counts.objects || caches != inst->counts.caches) {
		snprintf(why, len, "counts of objects or caches are wrong");
		return -EUCLEAN;
	}
	return 0;
}

const struct fl_allocator_ops fl_malloc_ops = {
	.abi = FL_ALLOCATOR_ABI,
	.size = sizeof(struct fl_allocator_ops),
	.name = "malloc",
	.create = malloc_create,
	.destroy = malloc_destroy,
	.page_alloc = malloc_page_alloc,
	.page_free = malloc_page_free,
	.cache_create = malloc_cache_create,
	.cache_destroy = malloc_cache_destroy,
	.cache_alloc = malloc_cache_alloc,
	.cache_free = malloc_cache_free,
	.drop_caches = malloc_drop_caches,
	.counts = malloc_counts,
	.check = malloc_check,
};
