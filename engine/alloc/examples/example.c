/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A backend of one's own, in one file: build it into a shared object and name it on the command
 *line.
 *
 *	cc -std=c17 -O2 -shared -fPIC -I engine/include -o mine.so engine/alloc/examples/example.c
 *	faultline alloc-check ./mine.so
 *	faultline run --allocator ./mine.so corpus/seeds
 *
 * What it does is little: memory comes from the host in chunks, is cut into pieces of a power of
 * two, and a piece that is freed goes onto the list of its size. It is complete all the same: every
 * call takes the instance, nothing depends on an address, a call that fails changes nothing, and
 * check() looks.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <faultline/allocator.h>

#define PAGE_BYTES   ((size_t)4096)
#define CHUNK_BYTES  (PAGE_BYTES << FL_MAX_ORDER)
#define MIN_SHIFT    5u
#define MAX_SHIFT    (12u + FL_MAX_ORDER)
#define CHUNK_PIECES (CHUNK_BYTES >> MIN_SHIFT)

/* What is known of a piece lies beside the memory, so that pieces can be aligned to their size. */
struct piece {
	struct piece *next; /* free ones of this size */
	unsigned char *mem;
	void *cache; /* NULL: pages */
	uint32_t shift;
	uint32_t live;
	uint32_t order; /* of the request, pages */
};

struct chunk {
	struct chunk *next;
	unsigned char *mem;
	size_t used;
	struct piece *by_place[CHUNK_PIECES]; /* the piece that begins there, or NULL */
};

struct cache {
	struct cache *next;
	size_t size, align;
	uint64_t live;
};

struct instance {
	struct chunk *chunks;
	struct piece *free[MAX_SHIFT + 1];
	struct cache *caches;
	struct fl_allocator_counts counts;
	uint64_t limit;
	uint64_t pieces_live, wrong_frees;
};

/* ---- pieces --------------------------------------------------------------------------------- */

static struct chunk *chunk_new(struct instance *in)
{
	struct chunk *c = calloc(1, sizeof(*c));
	void *mem;

	if (!c)
		return NULL;
	if (posix_memalign(&mem, CHUNK_BYTES, CHUNK_BYTES)) {
		free(c);
		return NULL;
	}
	c->mem = mem;
	c->next = in->chunks;
	in->chunks = c;
	return c;
}

static struct piece *piece_new(struct instance *in, uint32_t shift)
{
	size_t size = (size_t)1 << shift, at;
	struct chunk *c = in->chunks;
	struct piece *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	at = c ? (c->used + size - 1) & ~(size - 1) : 0;
	if (!c || at + size > CHUNK_BYTES) {
		c = chunk_new(in);
		at = 0;
	}
	if (!c) {
		free(p);
		return NULL;
	}
	c->used = at + size;
	c->by_place[at >> MIN_SHIFT] = p;
	p->mem = c->mem + at;
	p->shift = shift;
	return p;
}

static struct piece *piece_get(struct instance *in, size_t size, size_t align, uint32_t gfp)
{
	struct piece *p;
	uint32_t shift = MIN_SHIFT;

	while ((size_t)1 << shift < size || (size_t)1 << shift < align)
		if (++shift > MAX_SHIFT)
			return NULL;
	p = in->free[shift];
	if (p)
		in->free[shift] = p->next;
	else
		p = piece_new(in, shift);
	if (!p)
		return NULL;
	p->live = 1;
	in->pieces_live++;
	if (gfp & __GFP_ZERO)
		memset(p->mem, 0, size);
	return p;
}

static void piece_put(struct instance *in, struct piece *p)
{
	p->live = 0;
	p->next = in->free[p->shift];
	in->free[p->shift] = p;
	in->pieces_live--;
}

static struct piece *piece_find(struct instance *in, const void *mem)
{
	for (struct chunk *c = in->chunks; c; c = c->next) {
		size_t at = (size_t)((const unsigned char *)mem - c->mem);

		if (at < CHUNK_BYTES && at % ((size_t)1 << MIN_SHIFT) == 0)
			return c->by_place[at >> MIN_SHIFT];
	}
	return NULL;
}

/* ---- the contract --------------------------------------------------------------------------- */

static void *example_create(const struct fl_allocator_config *cfg)
{
	struct instance *in = calloc(1, sizeof(*in));

	if (in)
		in->limit = cfg->limit;
	return in;
}

static void example_destroy(void *inst)
{
	struct instance *in = inst;

	while (in->chunks) {
		struct chunk *c = in->chunks;

		in->chunks = c->next;
		for (size_t i = 0; i < CHUNK_PIECES; i++)
			free(c->by_place[i]);
		free(c->mem);
		free(c);
	}
	while (in->caches) {
		struct cache *cache = in->caches;

		in->caches = cache->next;
		free(cache);
	}
	free(in);
}

static void *example_page_alloc(void *inst, unsigned int order, uint32_t gfp)
{
	struct instance *in = inst;
	uint64_t pages = (uint64_t)1 << order;
	size_t size, align;
	struct piece *p;

	if (order > FL_MAX_ORDER || (in->limit && in->counts.pages + pages > in->limit))
		return NULL;
	/* of a page that only bears a tag there need not be more than the tag */
	size = gfp & __GFP_TAG ? (size_t)FL_TAG_BYTES << order : PAGE_BYTES << order;
	align = gfp & __GFP_TAG ? FL_TAG_BYTES : size;
	p = piece_get(in, size, align, gfp);
	if (!p)
		return NULL;
	p->cache = NULL;
	p->order = order;
	in->counts.pages += pages;
	return p->mem;
}

static void example_page_free(void *inst, void *mem, unsigned int order, uint32_t gfp)
{
	struct instance *in = inst;
	struct piece *p = piece_find(in, mem);

	(void)gfp;
	if (!p || !p->live || p->cache || p->order != order) {
		in->wrong_frees++;
		return;
	}
	in->counts.pages -= (uint64_t)1 << order;
	piece_put(in, p);
}

static void *example_cache_create(void *inst, const char *name, size_t size, size_t align)
{
	struct instance *in = inst;
	struct cache *cache;

	(void)name;
	if (size > CHUNK_BYTES || align > CHUNK_BYTES)
		return NULL;
	cache = calloc(1, sizeof(*cache));
	if (!cache)
		return NULL;
	cache->size = size;
	cache->align = align;
	cache->next = in->caches;
	in->caches = cache;
	in->counts.caches++;
	return cache;
}

static int example_cache_destroy(void *inst, void *handle)
{
	struct instance *in = inst;
	struct cache *cache = handle, **at = &in->caches;

	if (cache->live)
		return -EBUSY;
	while (*at != cache)
		at = &(*at)->next;
	*at = cache->next;
	free(cache);
	in->counts.caches--;
	return 0;
}

static void *example_cache_alloc(void *inst, void *handle, uint32_t gfp)
{
	struct instance *in = inst;
	struct cache *cache = handle;
	struct piece *p = piece_get(in, cache->size, cache->align, gfp);

	if (!p)
		return NULL;
	p->cache = cache;
	cache->live++;
	in->counts.objects++;
	return p->mem;
}

static void example_cache_free(void *inst, void *handle, void *obj)
{
	struct instance *in = inst;
	struct cache *cache = handle;
	struct piece *p = piece_find(in, obj);

	if (!p || !p->live || p->cache != cache) {
		in->wrong_frees++;
		return;
	}
	cache->live--;
	in->counts.objects--;
	piece_put(in, p);
}

/* Chunks stay until the end; what could be given back are those of which nothing is used. */
static void example_drop_caches(void *inst)
{
	struct instance *in = inst;

	if (in->pieces_live)
		return;
	while (in->chunks) {
		struct chunk *c = in->chunks;

		in->chunks = c->next;
		for (size_t i = 0; i < CHUNK_PIECES; i++)
			free(c->by_place[i]);
		free(c->mem);
		free(c);
	}
	memset(in->free, 0, sizeof(in->free));
}

static void example_counts(void *inst, struct fl_allocator_counts *out)
{
	const struct instance *in = inst;

	*out = in->counts;
}

static int example_check(void *inst, char *why, size_t len)
{
	const struct instance *in = inst;
	uint64_t live = 0, objects = 0;

	for (const struct chunk *c = in->chunks; c; c = c->next)
		for (size_t i = 0; i < CHUNK_PIECES; i++)
			live += c->by_place[i] && c->by_place[i]->live;
	for (const struct cache *cache = in->caches; cache; cache = cache->next)
		objects += cache->live;
	if (in->wrong_frees)
		snprintf(why, len, "something was freed that was not allocated so");
	else if (live != in->pieces_live)
		snprintf(why, len, "pieces are miscounted");
	else if (objects != in->counts.objects)
		snprintf(why, len, "objects are miscounted");
	else
		return 0;
	return -EUCLEAN;
}

static const struct fl_allocator_ops example_ops = {
	.abi = FL_ALLOCATOR_ABI,
	.size = sizeof(struct fl_allocator_ops),
	.name = "example",
	.create = example_create,
	.destroy = example_destroy,
	.page_alloc = example_page_alloc,
	.page_free = example_page_free,
	.cache_create = example_cache_create,
	.cache_destroy = example_cache_destroy,
	.cache_alloc = example_cache_alloc,
	.cache_free = example_cache_free,
	.drop_caches = example_drop_caches,
	.counts = example_counts,
	.check = example_check,
};

const struct fl_allocator_ops *faultline_allocator(uint32_t abi)
{
	return abi == FL_ALLOCATOR_ABI ? &example_ops : NULL;
}
