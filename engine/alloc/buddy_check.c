/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What must hold of a buddy instance, a row each. Every rule is read from two places that are kept
 * apart: lists and maps, descriptors and counts. Nothing here trusts a number before its range.
 */
#include "buddy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define NIL BUDDY_NIL

/* What a walk over all blocks finds. */
struct tally {
	uint64_t pages, held, objects, caches;
	uint32_t free[BUDDY_NR_ORDERS], pcp[BUDDY_NR_CPUS];
	uint32_t slabs[BUDDY_NR_CACHES];
};

struct probe {
	const struct buddy *b;
	struct tally t;
	char *why;
	size_t len;
};

static bool bad(struct probe *p, const char *what, uint32_t idx)
{
	snprintf(p->why, p->len, "%s, frame %" PRIu32, what, idx);
	return false;
}

static bool bit_of(const uint64_t *map, size_t bit)
{
	return map[bit / 64] >> (bit % 64) & 1;
}

/* A list of frames that are heads of blocks of this state; bounded whatever the links say. */
static bool walk_list(struct probe *p, const struct buddy_list *l, enum buddy_state state,
		      unsigned int order, uint32_t tag)
{
	const struct buddy_frame *f = buddy_frames(p->b);
	uint32_t prev = NIL, n = 0;

	for (uint32_t idx = l->first; idx != NIL; prev = idx, idx = f[idx].next) {
		if (idx >= p->b->nr_frames || n++ == l->nr)
			return bad(p, "a list that does not end", idx);
		if (f[idx].state != state || f[idx].order != order)
			return bad(p, "a block of another kind on a list", idx);
		if ((state == BUDDY_PCP || state == BUDDY_SLAB) && f[idx].cache != tag)
			return bad(p, "a block on the list of another owner", idx);
		if (f[idx].prev != prev)
			return bad(p, "a link that does not lead back", idx);
	}
	if (n != l->nr || l->last != prev)
		return bad(p, "a list of another length than counted", l->first);
	return true;
}

static bool row_header(struct probe *p)
{
	if (p->b->nr_frames > BUDDY_NR_FRAMES || p->b->nr_frames % (1u << FL_MAX_ORDER) ||
	    p->b->high > p->b->nr_frames)
		return bad(p, "a number of frames that cannot be", p->b->nr_frames);
	return true;
}

static bool row_misuse(struct probe *p)
{
	if (p->b->misuse[0])
		snprintf(p->why, p->len, "%s", p->b->misuse);
	return !p->b->misuse[0];
}

/* Blocks follow each other without a gap, each in its place, and are counted by what they are. */
static bool row_tiling(struct probe *p)
{
	const struct buddy_frame *f = buddy_frames(p->b);
	uint32_t idx = 0;

	while (idx < p->b->nr_frames) {
		unsigned int order = f[idx].order;

		if (f[idx].state == BUDDY_TAIL || f[idx].state >= BUDDY_NR_STATES ||
		    order > FL_MAX_ORDER || idx & ((1u << order) - 1))
			return bad(p, "no block begins where the one before ends", idx);
		switch ((enum buddy_state)f[idx].state) {
		case BUDDY_FREE:
			p->t.free[order]++;
			break;
		case BUDDY_PCP:
			if (f[idx].cache >= BUDDY_NR_CPUS || order)
				return bad(p, "a page on the list of no CPU", idx);
			p->t.pcp[f[idx].cache]++;
			break;
		case BUDDY_SLAB:
			if (f[idx].cache >= BUDDY_NR_CACHES || !p->b->caches[f[idx].cache].used)
				return bad(p, "a slab of no cache", idx);
			p->t.slabs[f[idx].cache]++;
			p->t.held += (uint64_t)1 << order;
			break;
		case BUDDY_PAGES:
			p->t.pages += (uint64_t)1 << order;
			break;
		case BUDDY_TAIL:
		case BUDDY_NR_STATES:
			break;
		}
		idx += 1u << order;
	}
	return true;
}

static bool row_free_list(struct probe *p)
{
	for (unsigned int o = 0; o < BUDDY_NR_ORDERS; o++) {
		if (!walk_list(p, &p->b->free[o], BUDDY_FREE, o, 0))
			return false;
		if (p->b->free[o].nr != p->t.free[o])
			return bad(p, "a free block that is on no list", o);
	}
	return true;
}

/* A bit is set where a free block of its order begins, and nowhere else. */
static bool row_free_map(struct probe *p)
{
	const struct buddy_frame *f = buddy_frames(p->b);

	for (unsigned int o = 0; o < BUDDY_NR_ORDERS; o++) {
		const uint64_t *map = buddy_free_map(p->b, o);

		for (uint32_t idx = 0; idx < p->b->nr_frames; idx += 1u << o) {
			bool free = f[idx].state == BUDDY_FREE && f[idx].order == o;

			if (bit_of(map, idx >> o) != free)
				return bad(p, "the map of free blocks disagrees with the list",
					   idx);
		}
	}
	return true;
}

static bool row_joined(struct probe *p)
{
	for (unsigned int o = 0; o < FL_MAX_ORDER; o++) {
		const uint64_t *map = buddy_free_map(p->b, o);

		for (uint32_t i = 0; i < p->b->nr_frames >> o; i += 2)
			if (bit_of(map, i) && bit_of(map, i + 1))
				return bad(p, "two free buddies that were not joined", i << o);
	}
	return true;
}

static bool row_pcp(struct probe *p)
{
	for (unsigned int cpu = 0; cpu < BUDDY_NR_CPUS; cpu++) {
		if (!walk_list(p, &p->b->pcp[cpu], BUDDY_PCP, 0, cpu))
			return false;
		if (p->b->pcp[cpu].nr != p->t.pcp[cpu])
			return bad(p, "a CPU's page that is on no list", cpu);
		if (p->b->pcp[cpu].nr > BUDDY_PCP_HIGH)
			return bad(p, "a CPU's list that is too long", cpu);
	}
	return true;
}

static bool in_kind(const struct buddy_cache *c, enum buddy_slabs kind, uint32_t inuse)
{
	switch (kind) {
	case SLABS_PARTIAL:
		return inuse && inuse < c->per_slab;
	case SLABS_FULL:
		return inuse == c->per_slab;
	case SLABS_EMPTY:
	case BUDDY_NR_SLABS:
		break;
	}
	return !inuse;
}

static bool row_slab_list(struct probe *p)
{
	const struct buddy_frame *f = buddy_frames(p->b);

	for (uint32_t i = 0; i < BUDDY_NR_CACHES; i++) {
		const struct buddy_cache *c = &p->b->caches[i];
		uint32_t nr = 0;

		for (unsigned int k = 0; c->used && k < BUDDY_NR_SLABS; k++) {
			if (!walk_list(p, &c->slabs[k], BUDDY_SLAB, c->order, i))
				return false;
			for (uint32_t s = c->slabs[k].first; s != NIL; s = f[s].next)
				if (!in_kind(c, (enum buddy_slabs)k, f[s].inuse))
					return bad(p, "a slab on the wrong list of its cache", s);
			nr += c->slabs[k].nr;
		}
		if (c->used && nr != p->t.slabs[i])
			return bad(p, "a slab that is on no list", i);
		if (c->used && c->slabs[SLABS_EMPTY].nr > BUDDY_MIN_EMPTY)
			return bad(p, "a cache that keeps too many empty slabs", i);
	}
	return true;
}

/* The chain of free objects names each object that the map does not show as live, once. */
static bool check_slab(struct probe *p, const struct buddy_cache *c, uint32_t slab)
{
	const struct buddy_frame *f = buddy_frames(p->b) + slab;
	const uint64_t *live = buddy_live_map(p->b, slab);
	uint32_t nr_live = 0, nr_free = 0, nr_bits = 0;

	for (uint32_t i = 0; i < c->per_slab; i++)
		nr_live += bit_of(live, (size_t)i * c->stride / BUDDY_GRAIN);
	for (size_t i = 0; i < BUDDY_LIVE_WORDS << c->order; i++)
		nr_bits += (uint32_t)__builtin_popcountll(live[i]);
	if (nr_live != f->inuse || nr_bits != nr_live)
		return bad(p, "the map of live objects disagrees with the slab's count", slab);
	for (uint32_t i = f->free; i != c->per_slab; i = buddy_link(p->b, c, slab, i)) {
		if (i > c->per_slab || nr_free++ == c->per_slab)
			return bad(p, "a chain of free objects that leads astray", slab);
		if (bit_of(live, (size_t)i * c->stride / BUDDY_GRAIN))
			return bad(p, "a live object in the chain of free ones", slab);
	}
	if (nr_free + nr_live != c->per_slab)
		return bad(p, "a free object that is in no chain", slab);
	p->t.objects += nr_live;
	return true;
}

static bool row_objects(struct probe *p)
{
	const struct buddy_frame *f = buddy_frames(p->b);

	for (uint32_t i = 0; i < BUDDY_NR_CACHES; i++) {
		const struct buddy_cache *c = &p->b->caches[i];
		uint64_t before = p->t.objects;

		if (!c->used)
			continue;
		p->t.caches++;
		for (unsigned int k = 0; k < BUDDY_NR_SLABS; k++)
			for (uint32_t s = c->slabs[k].first; s != NIL; s = f[s].next)
				if (!check_slab(p, c, s))
					return false;
		if (p->t.objects - before != c->live)
			return bad(p, "a cache with another number of live objects", i);
	}
	return true;
}

static bool row_counts(struct probe *p)
{
	const struct fl_allocator_counts *n = &p->b->counts;

	if (n->pages == p->t.pages && n->objects == p->t.objects && n->caches == p->t.caches &&
	    p->b->held == p->t.held)
		return true;
	snprintf(p->why, p->len,
		 "%" PRIu64 " pages, %" PRIu64 " objects, %" PRIu64 " caches, %" PRIu64
		 " held; there are %" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64,
		 n->pages, n->objects, n->caches, p->b->held, p->t.pages, p->t.objects, p->t.caches,
		 p->t.held);
	return false;
}

/* In this order: a row relies on those before it. */
static const struct {
	const char *name;
	bool (*holds)(struct probe *p);
} rows[] = {
	{"misuse", row_misuse},	    {"header", row_header},
	{"tiling", row_tiling},	    {"free-list", row_free_list},
	{"free-map", row_free_map}, {"joined", row_joined},
	{"pcp", row_pcp},	    {"slab-list", row_slab_list},
	{"objects", row_objects},   {"counts", row_counts},
};

int buddy_check(void *inst, char *why, size_t len)
{
	char detail[160];
	struct probe p = {.b = inst, .why = detail, .len = sizeof(detail)};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].holds(&p))
			continue;
		snprintf(why, len, "%s: %s", rows[i].name, detail);
		return -EUCLEAN;
	}
	return 0;
}
