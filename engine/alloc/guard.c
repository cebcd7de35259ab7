/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Backend `guard`: every page block and every object lies alone between pages that nobody may
 * touch, its end on the end of a page as far as its alignment lets it; freed memory is inaccessible
 * and its addresses rest for a while. A stray access kills at once, without a sanitizer; what is
 * over on the object's own pages is filled, and looked at when it is freed and by check().
 *
 * An area is 2^order pages, aligned to their size, and a fence behind them; before them is the
 * fence of another area. The host bounds the number of mappings, and a fenced area costs two:
 * beyond MAX_FENCED alive at a time areas are open, fence included, so that neighbours share a
 * mapping.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "allocators.h"
#include "san.h"

#define PAGE_BYTES   ((size_t)4096)
#define REGION_PAGES ((uint32_t)1 << 22)
#define NR_AREAS     (REGION_PAGES / 2)
#define NR_ORDERS    (FL_MAX_ORDER + 1)
#define NR_CACHES    64u
#define NIL	     UINT32_MAX
#define MAX_FENCED   28000u
/* As many areas of an order are freed before the first of them is used again. */
#define REST	    64u
#define FILL_SLACK  0xb7
#define FILL_NEW    0xa5 /* what is not asked for as zeroes is not zero */
#define OWNER_PAGES UINT16_MAX

enum area_state {
	AREA_REST,
	AREA_LIVE
};

struct area {
	uint32_t start;	 /* first page */
	uint32_t next;	 /* resting: the one freed after it */
	uint32_t offset; /* of what was given out, in the area */
	uint32_t size;
	uint16_t owner; /* cache, or OWNER_PAGES */
	uint8_t order;	/* of the area */
	uint8_t state, open;
	uint8_t asked; /* page block: order and tag flag of the request */
	uint8_t tag;
};

struct rest {
	uint32_t first, last, nr;
};

struct guard_cache {
	bool used;
	size_t size, align;
	uint64_t live;
	char name[32];
};

struct guard {
	char *region;
	uint64_t limit;
	struct fl_allocator_counts counts;
	uint32_t nr_areas, nr_pages;	/* of the region, used so far */
	uint32_t fenced;		/* live and with fences */
	struct rest rest[2][NR_ORDERS]; /* fenced, open */
	struct guard_cache caches[NR_CACHES];
	char misuse[96];
};

#define AREAS_OFFSET ((size_t)64 << 10)
#define MAP_OFFSET   ((size_t)64 << 20)
#define META_BYTES   ((size_t)96 << 20)
/* With room to begin the region where the largest block may. */
#define TOTAL_BYTES (META_BYTES + (REGION_PAGES + (1u << FL_MAX_ORDER)) * PAGE_BYTES)

_Static_assert(sizeof(struct guard) <= AREAS_OFFSET, "the header fits before the areas");
_Static_assert(AREAS_OFFSET + NR_AREAS * sizeof(struct area) <= MAP_OFFSET,
	       "the areas fit before the map");
_Static_assert(MAP_OFFSET + REGION_PAGES * sizeof(uint32_t) <= META_BYTES,
	       "the map fits before the region");

static struct area *areas_of(struct guard *g)
{
	return (struct area *)(void *)((char *)g + AREAS_OFFSET);
}

/* By page of the region: its area and one more, 0 for none. Fences belong to none. */
static uint32_t *map_of(struct guard *g)
{
	return (uint32_t *)(void *)((char *)g + MAP_OFFSET);
}

static char *page_mem(struct guard *g, uint32_t page)
{
	return g->region + (size_t)page * PAGE_BYTES;
}

static void misuse(struct guard *g, const char *what, const char *cache)
{
	if (!g->misuse[0])
		snprintf(g->misuse, sizeof(g->misuse), "%s%s", what, cache);
}

/* ---- areas ---------------------------------------------------------------------------------- */

static uint32_t new_area(struct guard *g, unsigned int order, bool open)
{
	uint32_t n = 1u << order, start = (g->nr_pages + n - 1) & ~(n - 1), a = g->nr_areas;

	if (start + n + 1 > REGION_PAGES || a == NR_AREAS)
		return NIL;
	areas_of(g)[a] = (struct area){.start = start, .order = (uint8_t)order, .open = open};
	for (uint32_t i = 0; i < n; i++)
		map_of(g)[start + i] = a + 1;
	g->nr_pages = start + n + 1;
	g->nr_areas++;
	return a;
}

static uint32_t take_area(struct guard *g, unsigned int order, bool open)
{
	struct rest *r = &g->rest[open][order];
	uint32_t a;

	if (r->nr <= REST) {
		a = new_area(g, order, open);
		if (a != NIL)
			return a;
	}
	if (!r->nr)
		return NIL;
	a = r->first;
	r->first = areas_of(g)[a].next;
	r->nr--;
	return a;
}

static void rest_area(struct guard *g, uint32_t a)
{
	struct area *ar = areas_of(g) + a;
	struct rest *r = &g->rest[ar->open][ar->order];

	ar->state = AREA_REST;
	ar->next = NIL;
	if (r->nr++)
		areas_of(g)[r->last].next = a;
	else
		r->first = a;
	r->last = a;
}

/* The pages on which something of the area lies: the last ones. */
static size_t body_offset(const struct area *ar)
{
	return ar->offset & ~(PAGE_BYTES - 1);
}

static size_t body_bytes(const struct area *ar)
{
	return (PAGE_BYTES << ar->order) - body_offset(ar);
}

static char *body(struct guard *g, const struct area *ar)
{
	return page_mem(g, ar->start) + body_offset(ar);
}

static bool let_in(struct guard *g, const struct area *ar)
{
	/* of an open area all, so that it can share a mapping with the next */
	if (ar->open)
		return !mprotect(page_mem(g, ar->start), (PAGE_BYTES << ar->order) + PAGE_BYTES,
				 PROT_READ | PROT_WRITE);
	return !mprotect(body(g, ar), body_bytes(ar), PROT_READ | PROT_WRITE);
}

/*
 * A fresh mapping in its place: inaccessible, without memory, and free to be joined with its
 * neighbours, as one that was only protected is not.
 */
static void shut_out(struct guard *g, const struct area *ar)
{
	char *mem = body(g, ar);
	size_t len = body_bytes(ar);

	if (ar->open) {
		madvise(mem, len, MADV_DONTNEED);
		return;
	}
	if (mmap(mem, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		mprotect(mem, len, PROT_NONE);
}

static bool slack_is(const unsigned char *p, const unsigned char *end)
{
	while (p < end)
		if (*p++ != FILL_SLACK)
			return false;
	return true;
}

/* NULL, or where somebody wrote beside what he was given. */
static const char *check_slack(struct guard *g, const struct area *ar)
{
	const unsigned char *mem = (unsigned char *)page_mem(g, ar->start) + ar->offset;
	const unsigned char *first = (unsigned char *)body(g, ar);

	if (!slack_is(first, mem))
		return "memory before ";
	if (!slack_is(mem + ar->size, first + body_bytes(ar)))
		return "memory behind ";
	return NULL;
}

/* size bytes, aligned, at the end of an area; NULL: the host or the region has no more. */
static struct area *give(struct guard *g, size_t size, size_t align, uint32_t gfp)
{
	size_t room = (size + align - 1) & ~(align - 1), len;
	bool open = g->fenced >= MAX_FENCED;
	unsigned int order = 0;
	struct area *ar;
	uint32_t a;
	char *mem, *first;

	while (PAGE_BYTES << order < room || PAGE_BYTES << order < align)
		order++;
	if (order > FL_MAX_ORDER)
		return NULL;
	a = take_area(g, order, open);
	if (a == NIL)
		return NULL;
	ar = areas_of(g) + a;
	ar->offset = (uint32_t)((PAGE_BYTES << order) - room);
	ar->size = (uint32_t)size;
	if (!let_in(g, ar)) {
		rest_area(g, a);
		return NULL;
	}
	ar->state = AREA_LIVE;
	if (!open)
		g->fenced++;
	first = body(g, ar);
	len = body_bytes(ar);
	mem = page_mem(g, ar->start) + ar->offset;
	memset(first, FILL_SLACK, (size_t)(mem - first));
	memset(mem + size, FILL_SLACK, len - (size_t)(mem - first) - size);
	if (gfp & __GFP_ZERO) {
		memset(mem, 0, size);
	} else {
		memset(mem, FILL_NEW, size);
		san_allocated(mem, size);
	}
	return ar;
}

static void *mem_of(struct guard *g, const struct area *ar)
{
	return page_mem(g, ar->start) + ar->offset;
}

static void take_back(struct guard *g, struct area *ar, const char *what)
{
	const char *where = check_slack(g, ar);
	char line[64];

	if (where) {
		snprintf(line, sizeof(line), "%s%s", where, what);
		misuse(g, line, " was written");
	}
	shut_out(g, ar);
	if (!ar->open)
		g->fenced--;
	rest_area(g, (uint32_t)(ar - areas_of(g)));
}

/* The live area in which exactly this was given out, or NULL. */
static struct area *find(struct guard *g, const void *mem)
{
	size_t offset = (size_t)((const char *)mem - page_mem(g, 0));
	struct area *ar;
	uint32_t a;

	if (offset >= REGION_PAGES * PAGE_BYTES)
		return NULL;
	a = map_of(g)[offset / PAGE_BYTES];
	if (!a)
		return NULL;
	ar = areas_of(g) + a - 1;
	return ar->state == AREA_LIVE && mem_of(g, ar) == mem ? ar : NULL;
}

/* ---- the table ------------------------------------------------------------------------------ */

static void *guard_create(const struct fl_allocator_config *cfg)
{
	struct guard *g = mmap(NULL, TOTAL_BYTES, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uintptr_t misfit;

	if (g == MAP_FAILED)
		return NULL;
	if (mprotect(g, META_BYTES, PROT_READ | PROT_WRITE)) {
		munmap(g, TOTAL_BYTES);
		return NULL;
	}
	g->limit = cfg->limit;
	misfit = ((uintptr_t)g + META_BYTES) % (PAGE_BYTES << FL_MAX_ORDER);
	g->region = (char *)g + META_BYTES;
	if (misfit)
		g->region += (PAGE_BYTES << FL_MAX_ORDER) - misfit;
	g->nr_pages = 1; /* the first is a fence */
	return g;
}

static void guard_destroy(void *arg)
{
	munmap(arg, TOTAL_BYTES);
}

static void *guard_page_alloc(void *arg, unsigned int order, uint32_t gfp)
{
	struct guard *g = arg;
	uint64_t pages = (uint64_t)1 << order;
	bool tag = gfp & __GFP_TAG;
	size_t size;
	struct area *ar;

	if (order > FL_MAX_ORDER || (g->limit && g->counts.pages + pages > g->limit))
		return NULL;
	size = (tag ? FL_TAG_BYTES : PAGE_BYTES) << order;
	ar = give(g, size, tag ? FL_TAG_BYTES : size, gfp);
	if (!ar)
		return NULL;
	ar->owner = OWNER_PAGES;
	ar->asked = (uint8_t)order;
	ar->tag = tag;
	g->counts.pages += pages;
	return mem_of(g, ar);
}

static void guard_page_free(void *arg, void *mem, unsigned int order, uint32_t gfp)
{
	struct guard *g = arg;
	struct area *ar = find(g, mem);

	if (!ar || ar->owner != OWNER_PAGES || ar->asked != order ||
	    ar->tag != !!(gfp & __GFP_TAG)) {
		misuse(g, "page_free of what is no live page of that order", "");
		return;
	}
	g->counts.pages -= (uint64_t)1 << order;
	take_back(g, ar, "a page");
}

static void *guard_cache_create(void *arg, const char *name, size_t size, size_t align)
{
	struct guard *g = arg;

	if (!size || size > PAGE_BYTES << FL_MAX_ORDER || align > PAGE_BYTES << FL_MAX_ORDER)
		return NULL;
	for (unsigned int i = 0; i < NR_CACHES; i++) {
		struct guard_cache *c = &g->caches[i];

		if (c->used)
			continue;
		*c = (struct guard_cache){.used = true, .size = size, .align = align};
		snprintf(c->name, sizeof(c->name), "%s", name);
		g->counts.caches++;
		return c;
	}
	return NULL;
}

static int guard_cache_destroy(void *arg, void *handle)
{
	struct guard *g = arg;
	struct guard_cache *c = handle;

	if (c->live)
		return -EBUSY;
	c->used = false;
	g->counts.caches--;
	return 0;
}

static void *guard_cache_alloc(void *arg, void *handle, uint32_t gfp)
{
	struct guard *g = arg;
	struct guard_cache *c = handle;
	struct area *ar = give(g, c->size, c->align, gfp);

	if (!ar)
		return NULL;
	ar->owner = (uint16_t)(c - g->caches);
	c->live++;
	g->counts.objects++;
	return mem_of(g, ar);
}

static void guard_cache_free(void *arg, void *handle, void *obj)
{
	struct guard *g = arg;
	struct guard_cache *c = handle;
	struct area *ar = find(g, obj);

	if (!ar || ar->owner != c - g->caches) {
		misuse(g, "cache_free of what is no live object of ", c->name);
		return;
	}
	c->live--;
	g->counts.objects--;
	take_back(g, ar, c->name);
}

/* What rests holds no memory. */
static void guard_drop_caches(void *arg)
{
	(void)arg;
}

static void guard_counts(void *arg, struct fl_allocator_counts *out)
{
	const struct guard *g = arg;

	*out = g->counts;
}

static bool check_areas(struct guard *g, struct fl_allocator_counts *n, uint64_t *live, char *why,
			size_t len)
{
	uint32_t fenced = 0, resting = 0, in_lists = 0;

	for (uint32_t a = 0; a < g->nr_areas; a++) {
		const struct area *ar = areas_of(g) + a;
		const char *where;

		if (ar->order > FL_MAX_ORDER || map_of(g)[ar->start] != a + 1) {
			snprintf(why, len, "the table of areas is damaged");
			return false;
		}
		if (ar->state == AREA_REST) {
			resting++;
			continue;
		}
		fenced += !ar->open;
		if (ar->owner == OWNER_PAGES) {
			n->pages += (uint64_t)1 << ar->asked;
		} else {
			n->objects++;
			live[ar->owner % NR_CACHES]++;
		}
		where = check_slack(g, ar);
		if (where) {
			snprintf(why, len, "%s%s was written", where,
				 ar->owner == OWNER_PAGES ? "a page"
							  : g->caches[ar->owner % NR_CACHES].name);
			return false;
		}
	}
	for (unsigned int o = 0; o < NR_ORDERS; o++)
		in_lists += g->rest[0][o].nr + g->rest[1][o].nr;
	if (fenced != g->fenced || resting != in_lists) {
		snprintf(why, len, "counts of areas are wrong");
		return false;
	}
	return true;
}

static int guard_check(void *arg, char *why, size_t len)
{
	struct guard *g = arg;
	struct fl_allocator_counts n = {0};
	uint64_t live[NR_CACHES] = {0};

	if (g->misuse[0]) {
		snprintf(why, len, "%s", g->misuse);
		return -EUCLEAN;
	}
	if (!check_areas(g, &n, live, why, len))
		return -EUCLEAN;
	for (unsigned int i = 0; i < NR_CACHES; i++) {
		n.caches += g->caches[i].used;
		if (live[i] != g->caches[i].live) {
			snprintf(why, len, "objects of cache %s are miscounted", g->caches[i].name);
			return -EUCLEAN;
		}
	}
	if (n.pages != g->counts.pages || n.objects != g->counts.objects ||
	    n.caches != g->counts.caches) {
		snprintf(why, len, "counts of pages, objects or caches are wrong");
		return -EUCLEAN;
	}
	return 0;
}

const struct fl_allocator_ops fl_guard_ops = {
	.abi = FL_ALLOCATOR_ABI,
	.size = sizeof(struct fl_allocator_ops),
	.name = "guard",
	.create = guard_create,
	.destroy = guard_destroy,
	.page_alloc = guard_page_alloc,
	.page_free = guard_page_free,
	.cache_create = guard_cache_create,
	.cache_destroy = guard_cache_destroy,
	.cache_alloc = guard_cache_alloc,
	.cache_free = guard_cache_free,
	.drop_caches = guard_drop_caches,
	.counts = guard_counts,
	.check = guard_check,
};
