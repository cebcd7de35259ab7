/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Backend `arena`: everything of an instance, its bookkeeping included, lies in one slot at a fixed
 * host address, so that a copy of the used part is a snapshot whose pointers stay right when it is
 * put back. Free lists are last in, first out, by index: what a run gets depends on the run alone.
 *
 * A slot: struct arena | struct arena_host | a descriptor per frame | frames of 4096 bytes
 *
 * Memory that is not given out is poisoned by hand under ASan.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "allocators.h"
#include "san.h"
#include "slot.h"

#define HOST_OFFSET   ((size_t)256 << 10)
#define DESC_OFFSET   ((size_t)1 << 20)
#define FRAMES_OFFSET ((size_t)32 << 20)
#define PAGE_BYTES    ((size_t)4096)
#define NR_FRAMES     ((uint32_t)((SLOT_SIZE - FRAMES_OFFSET) / PAGE_BYTES))
#define NR_ORDERS     (FL_MAX_ORDER + 1)
#define NR_CACHES     64u
#define NIL	      UINT32_MAX

#define ARENA_MAGIC 0x464c4152454e4131ull
#define SNAP_MAGIC  0x464c534e41503031ull
#define OBJ_LIVE    0x4c495645u
#define OBJ_FREE    0x46524545u
#define OBJ_HEAD    16u
/* A slab is as small as holds this many objects, up to order 3; larger only for one object. */
#define SLAB_OBJECTS 8u

enum frame_state {
	FRAME_TAIL,
	FRAME_FREE,
	FRAME_PAGES,
	FRAME_SLAB
};

/* State, order and the rest are those of the block that the frame begins. */
struct frame {
	uint32_t next; /* on a free list or a cache's list of slabs */
	uint8_t state, order;
	uint16_t cache;
	uint32_t live; /* slab: objects given out */
	uint32_t gfp;
};

/* Before each object. Objects are named by their distance from the first frame, in 16 bytes. */
struct obj_head {
	uint32_t state;
	uint32_t next; /* free objects of the cache */
	uint32_t cache;
	uint32_t slab; /* its first frame */
};

struct arena_cache {
	bool used;
	uint8_t order;	/* of its slabs */
	uint32_t first; /* offset of the first object in a slab */
	uint32_t stride, per_slab;
	uint32_t free;	/* list of free objects */
	uint32_t slabs; /* list of slabs */
	uint64_t nr_free, live;
	size_t size;
	char name[32];
};

struct arena {
	uint64_t magic;
	uint64_t limit;
	struct fl_allocator_counts counts;
	uint32_t nr_frames; /* in use or on a free list; those behind were never touched */
	uint32_t free[NR_ORDERS];
	/* The first NR_ORDERS hold tag pages and are not counted as caches. */
	struct arena_cache caches[NR_CACHES];
	char misuse[96]; /* first wrong free, for check() */
};

/* Of the mapping, not of the instance's state: no snapshot has it. */
struct arena_host {
	uint32_t most_frames; /* ever touched: their shadow must be clean before the slot is left */
};

struct snap_head {
	uint64_t magic;
	uint32_t slot, nr_frames;
};

_Static_assert(sizeof(struct arena) <= HOST_OFFSET, "the header fits before what follows it");
_Static_assert(sizeof(struct obj_head) == OBJ_HEAD, "headers keep objects aligned to 16");
_Static_assert(DESC_OFFSET + sizeof(struct frame) * NR_FRAMES <= FRAMES_OFFSET,
	       "the descriptors fit before the frames");

static struct arena_host *host_of(struct arena *a)
{
	return (struct arena_host *)(void *)((char *)a + HOST_OFFSET);
}

static struct frame *frames_of(struct arena *a)
{
	return (struct frame *)(void *)((char *)a + DESC_OFFSET);
}

static char *frame_mem(struct arena *a, uint32_t idx)
{
	return (char *)a + FRAMES_OFFSET + (size_t)idx * PAGE_BYTES;
}

static size_t block_bytes(unsigned int order)
{
	return PAGE_BYTES << order;
}

static void misuse(struct arena *a, const char *what, const char *cache)
{
	if (!a->misuse[0])
		snprintf(a->misuse, sizeof(a->misuse), "%s %s", what, cache);
}

/* ---- frames --------------------------------------------------------------------------------- */

static void mark_block(struct arena *a, uint32_t idx, enum frame_state state, unsigned int order)
{
	struct frame *f = frames_of(a) + idx;

	memset(f, 0, sizeof(*f) << order);
	f->next = NIL;
	f->state = (uint8_t)state;
	f->order = (uint8_t)order;
}

static void push_block(struct arena *a, uint32_t idx, unsigned int order)
{
	mark_block(a, idx, FRAME_FREE, order);
	frames_of(a)[idx].next = a->free[order];
	a->free[order] = idx;
}

/* Order of the largest block that can begin at idx and end by end. */
static unsigned int largest_order(uint32_t idx, uint32_t end)
{
	unsigned int order = 0;

	while (order < FL_MAX_ORDER && !(idx & ((2u << order) - 1)) && idx + (2u << order) <= end)
		order++;
	return order;
}

static uint32_t bump_frames(struct arena *a, unsigned int order)
{
	uint32_t n = 1u << order;
	uint32_t start = (a->nr_frames + n - 1) & ~(n - 1);

	if (start + n > NR_FRAMES)
		return NIL;
	san_poison(frame_mem(a, a->nr_frames), (start + n - a->nr_frames) * PAGE_BYTES);
	for (uint32_t i = a->nr_frames; i < start;) {
		unsigned int gap = largest_order(i, start);

		push_block(a, i, gap);
		i += 1u << gap;
	}
	a->nr_frames = start + n;
	if (host_of(a)->most_frames < a->nr_frames)
		host_of(a)->most_frames = a->nr_frames;
	return start;
}

/* A poisoned block, its state for the caller to set; NIL when the slot is full. */
static uint32_t alloc_frames(struct arena *a, unsigned int order)
{
	unsigned int o = order;
	uint32_t idx;

	while (o < NR_ORDERS && a->free[o] == NIL)
		o++;
	if (o == NR_ORDERS)
		return bump_frames(a, order);
	idx = a->free[o];
	a->free[o] = frames_of(a)[idx].next;
	while (o > order) {
		o--;
		push_block(a, idx + (1u << o), o);
	}
	return idx;
}

static void free_frames(struct arena *a, uint32_t idx, unsigned int order)
{
	san_freed(frame_mem(a, idx), block_bytes(order));
	push_block(a, idx, order);
}

/* Free blocks joined, lowest first, and the end of the used part pulled in. */
static void compact_frames(struct arena *a)
{
	struct frame *frames = frames_of(a);
	uint32_t last[NR_ORDERS];
	uint32_t idx = 0, used = 0;

	while (idx < a->nr_frames) {
		bool in_use = frames[idx].state != FRAME_FREE;

		idx += 1u << frames[idx].order;
		if (in_use)
			used = idx;
	}
	a->nr_frames = used;
	for (unsigned int o = 0; o < NR_ORDERS; o++)
		a->free[o] = last[o] = NIL;
	for (idx = 0; idx < used;) {
		uint32_t end = idx;

		if (frames[idx].state != FRAME_FREE) {
			idx += 1u << frames[idx].order;
			continue;
		}
		while (frames[end].state == FRAME_FREE)
			end += 1u << frames[end].order;
		while (idx < end) {
			unsigned int order = largest_order(idx, end);

			mark_block(a, idx, FRAME_FREE, order);
			if (last[order] == NIL)
				a->free[order] = idx;
			else
				frames[last[order]].next = idx;
			last[order] = idx;
			idx += 1u << order;
		}
	}
}

/* ---- objects -------------------------------------------------------------------------------- */

static char *obj_mem(struct arena *a, uint32_t obj)
{
	return (char *)a + FRAMES_OFFSET + (size_t)obj * 16;
}

/* Headers lie in poisoned memory: only these two touch them. */

FL_NO_ASAN static struct obj_head head_read(struct arena *a, uint32_t obj)
{
	const struct obj_head *h = (const struct obj_head *)(void *)(obj_mem(a, obj) - OBJ_HEAD);
	struct obj_head copy;

	copy.state = h->state;
	copy.next = h->next;
	copy.cache = h->cache;
	copy.slab = h->slab;
	return copy;
}

FL_NO_ASAN static void head_write(struct arena *a, uint32_t obj, struct obj_head val)
{
	struct obj_head *h = (struct obj_head *)(void *)(obj_mem(a, obj) - OBJ_HEAD);

	h->state = val.state;
	h->next = val.next;
	h->cache = val.cache;
	h->slab = val.slab;
}

static uint32_t slab_obj(struct arena *a, const struct arena_cache *c, uint32_t slab, uint32_t i)
{
	(void)a;
	return (uint32_t)(((size_t)slab * PAGE_BYTES + c->first + (size_t)i * c->stride) / 16);
}

static bool cache_setup(struct arena_cache *c, const char *name, size_t size, size_t align)
{
	size_t stride, first;
	unsigned int order = 0;

	if (align < 16)
		align = 16;
	stride = (size + OBJ_HEAD + align - 1) & ~(align - 1);
	first = align;
	if (first + stride > block_bytes(FL_MAX_ORDER))
		return false;
	while (order < 3 && first + stride * SLAB_OBJECTS > block_bytes(order))
		order++;
	while (first + stride > block_bytes(order))
		order++;

	memset(c, 0, sizeof(*c));
	c->used = true;
	c->order = (uint8_t)order;
	c->first = (uint32_t)first;
	c->stride = (uint32_t)stride;
	c->per_slab = (uint32_t)((block_bytes(order) - first + OBJ_HEAD) / stride);
	c->free = c->slabs = NIL;
	c->size = size;
	snprintf(c->name, sizeof(c->name), "%s", name);
	return true;
}

static bool cache_grow(struct arena *a, struct arena_cache *c)
{
	uint32_t slab = alloc_frames(a, c->order);
	struct frame *f;

	if (slab == NIL)
		return false;
	mark_block(a, slab, FRAME_SLAB, c->order);
	f = frames_of(a) + slab;
	f->cache = (uint16_t)(c - a->caches);
	f->next = c->slabs;
	c->slabs = slab;
	for (uint32_t i = c->per_slab; i-- > 0;) {
		uint32_t obj = slab_obj(a, c, slab, i);

		head_write(a, obj, (struct obj_head){OBJ_FREE, c->free, f->cache, slab});
		c->free = obj;
	}
	c->nr_free += c->per_slab;
	return true;
}

static void *obj_alloc(struct arena *a, struct arena_cache *c, uint32_t gfp)
{
	struct obj_head h;
	uint32_t obj;
	void *mem;

	if (c->free == NIL && !cache_grow(a, c))
		return NULL;
	obj = c->free;
	h = head_read(a, obj);
	c->free = h.next;
	c->nr_free--;
	c->live++;
	frames_of(a)[h.slab].live++;
	h.state = OBJ_LIVE;
	h.next = NIL;
	head_write(a, obj, h);

	mem = obj_mem(a, obj);
	san_allocated(mem, c->size);
	if (gfp & __GFP_ZERO)
		memset(mem, 0, c->size);
	return mem;
}

static bool obj_free(struct arena *a, struct arena_cache *c, void *mem)
{
	size_t offset = (size_t)((char *)mem - (char *)a) - FRAMES_OFFSET;
	uint32_t obj = (uint32_t)(offset / 16);
	struct obj_head h;

	if (offset >= (size_t)a->nr_frames * PAGE_BYTES || offset % 16 || offset < OBJ_HEAD)
		return false;
	h = head_read(a, obj);
	if (h.state != OBJ_LIVE || h.cache != (uint32_t)(c - a->caches))
		return false;
	h.state = OBJ_FREE;
	h.next = c->free;
	head_write(a, obj, h);
	c->free = obj;
	c->nr_free++;
	c->live--;
	frames_of(a)[h.slab].live--;
	san_freed(mem, c->size);
	return true;
}

/* Slabs without a live object go back; the order of the other free objects stays. */
static void cache_shrink(struct arena *a, struct arena_cache *c)
{
	struct frame *frames = frames_of(a);
	uint32_t kept = NIL, last = NIL, obj = c->free, slab = c->slabs;

	c->nr_free = 0;
	while (obj != NIL) {
		struct obj_head h = head_read(a, obj);
		uint32_t next = h.next;

		if (frames[h.slab].live) {
			h.next = NIL;
			head_write(a, obj, h);
			if (last == NIL) {
				kept = obj;
			} else {
				h = head_read(a, last);
				h.next = obj;
				head_write(a, last, h);
			}
			last = obj;
			c->nr_free++;
		}
		obj = next;
	}
	c->free = kept;

	c->slabs = last = NIL;
	while (slab != NIL) {
		uint32_t next = frames[slab].next;

		if (!frames[slab].live) {
			free_frames(a, slab, c->order);
		} else {
			frames[slab].next = NIL;
			if (last == NIL)
				c->slabs = slab;
			else
				frames[last].next = slab;
			last = slab;
		}
		slab = next;
	}
}

/* ---- the table ------------------------------------------------------------------------------ */

static void *arena_create(const struct fl_allocator_config *cfg)
{
	struct arena *a;

	if (cfg->slot >= ARENA_NR_SLOTS)
		return NULL;
	a = fl_slot_map(ARENA_SLOT_BASE, cfg->slot);
	if (!a)
		return NULL;
	a->magic = ARENA_MAGIC;
	a->limit = cfg->limit;
	for (unsigned int o = 0; o < NR_ORDERS; o++) {
		a->free[o] = NIL;
		cache_setup(&a->caches[o], "tag", (size_t)FL_TAG_BYTES << o, 16);
	}
	return a;
}

static void arena_destroy(void *arg)
{
	struct arena *a = arg;

	san_unpoison(frame_mem(a, 0), host_of(a)->most_frames * PAGE_BYTES);
	fl_slot_unmap(a);
}

static void *arena_page_alloc(void *arg, unsigned int order, uint32_t gfp)
{
	struct arena *a = arg;
	uint64_t pages = (uint64_t)1 << order;
	uint32_t idx;
	void *mem;

	if (order > FL_MAX_ORDER || (a->limit && a->counts.pages + pages > a->limit))
		return NULL;
	if (gfp & __GFP_TAG) {
		mem = obj_alloc(a, &a->caches[order], gfp);
		if (mem)
			a->counts.pages += pages;
		return mem;
	}
	idx = alloc_frames(a, order);
	if (idx == NIL)
		return NULL;
	mark_block(a, idx, FRAME_PAGES, order);
	frames_of(a)[idx].gfp = gfp;
	mem = frame_mem(a, idx);
	san_allocated(mem, block_bytes(order));
	if (gfp & __GFP_ZERO)
		memset(mem, 0, block_bytes(order));
	a->counts.pages += pages;
	return mem;
}

static void arena_page_free(void *arg, void *mem, unsigned int order, uint32_t gfp)
{
	struct arena *a = arg;
	size_t offset = (size_t)((char *)mem - (char *)a) - FRAMES_OFFSET;
	const struct frame *f;

	if (order <= FL_MAX_ORDER && (gfp & __GFP_TAG)) {
		if (obj_free(a, &a->caches[order], mem))
			a->counts.pages -= (uint64_t)1 << order;
		else
			misuse(a, "page_free of what is no live page of that order,", "tag");
		return;
	}
	f = frames_of(a) + offset / PAGE_BYTES;
	if (offset >= (size_t)a->nr_frames * PAGE_BYTES || offset % PAGE_BYTES ||
	    f->state != FRAME_PAGES || f->order != order) {
		misuse(a, "page_free of what is no live page of that order", "");
		return;
	}
	a->counts.pages -= (uint64_t)1 << order;
	free_frames(a, (uint32_t)(offset / PAGE_BYTES), order);
}

static void *arena_cache_create(void *arg, const char *name, size_t size, size_t align)
{
	struct arena *a = arg;

	for (unsigned int i = NR_ORDERS; i < NR_CACHES; i++) {
		struct arena_cache *c = &a->caches[i];

		if (c->used)
			continue;
		if (!cache_setup(c, name, size, align))
			return NULL;
		a->counts.caches++;
		return c;
	}
	return NULL;
}

static int arena_cache_destroy(void *arg, void *handle)
{
	struct arena *a = arg;
	struct arena_cache *c = handle;

	if (c->live)
		return -EBUSY;
	cache_shrink(a, c);
	c->used = false;
	a->counts.caches--;
	return 0;
}

static void *arena_cache_alloc(void *arg, void *handle, uint32_t gfp)
{
	struct arena *a = arg;
	void *mem = obj_alloc(a, handle, gfp);

	if (mem)
		a->counts.objects++;
	return mem;
}

static void arena_cache_free(void *arg, void *handle, void *obj)
{
	struct arena *a = arg;
	struct arena_cache *c = handle;

	if (obj_free(a, c, obj))
		a->counts.objects--;
	else
		misuse(a, "cache_free of what is no live object of", c->name);
}

static void arena_drop_caches(void *arg)
{
	struct arena *a = arg;

	for (unsigned int i = 0; i < NR_CACHES; i++)
		if (a->caches[i].used)
			cache_shrink(a, &a->caches[i]);
	compact_frames(a);
}

static void arena_counts(void *arg, struct fl_allocator_counts *out)
{
	const struct arena *a = arg;

	*out = a->counts;
}

static bool check_cache(struct arena *a, struct arena_cache *c)
{
	const struct frame *frames = frames_of(a);
	uint64_t nr_free = 0, slabs = 0, live = 0;

	for (uint32_t s = c->slabs; s != NIL; s = frames[s].next) {
		uint32_t slab_live = 0;

		if (slabs++ > a->nr_frames || s >= a->nr_frames || frames[s].state != FRAME_SLAB ||
		    frames[s].order != c->order || frames[s].cache != c - a->caches)
			return false;
		for (uint32_t i = 0; i < c->per_slab; i++) {
			struct obj_head h = head_read(a, slab_obj(a, c, s, i));

			if (h.slab != s || h.cache != frames[s].cache ||
			    (h.state != OBJ_LIVE && h.state != OBJ_FREE))
				return false;
			slab_live += h.state == OBJ_LIVE;
		}
		if (slab_live != frames[s].live)
			return false;
		live += slab_live;
	}
	for (uint32_t obj = c->free; obj != NIL; nr_free++) {
		struct obj_head h;

		if (nr_free > c->nr_free || obj / (PAGE_BYTES / 16) >= a->nr_frames)
			return false;
		h = head_read(a, obj);
		if (h.state != OBJ_FREE || h.cache != (uint32_t)(c - a->caches))
			return false;
		obj = h.next;
	}
	return live == c->live && nr_free == c->nr_free && live + nr_free == slabs * c->per_slab;
}

/* Blocks lie without a gap, and exactly the free ones are on the lists. */
static bool check_frames(struct arena *a, uint64_t *pages)
{
	const struct frame *frames = frames_of(a);
	uint64_t nr_free[NR_ORDERS] = {0};
	uint32_t idx = 0;

	while (idx < a->nr_frames) {
		const struct frame *f = &frames[idx];

		if (f->state == FRAME_TAIL || f->state > FRAME_SLAB || f->order > FL_MAX_ORDER ||
		    idx & ((1u << f->order) - 1))
			return false;
		if (f->state == FRAME_FREE)
			nr_free[f->order]++;
		else if (f->state == FRAME_PAGES)
			*pages += (uint64_t)1 << f->order;
		idx += 1u << f->order;
	}
	if (idx != a->nr_frames)
		return false;
	for (unsigned int o = 0; o < NR_ORDERS; o++) {
		uint64_t n = 0;

		for (idx = a->free[o]; idx != NIL; idx = frames[idx].next)
			if (idx >= a->nr_frames || frames[idx].state != FRAME_FREE ||
			    frames[idx].order != o || n++ == nr_free[o])
				return false;
		if (n != nr_free[o])
			return false;
	}
	return true;
}

static int arena_check(void *arg, char *why, size_t len)
{
	struct arena *a = arg;
	uint64_t pages = 0, objects = 0;

	if (a->misuse[0]) {
		snprintf(why, len, "%s", a->misuse);
		return -EUCLEAN;
	}
	if (a->magic != ARENA_MAGIC || a->nr_frames > NR_FRAMES || !check_frames(a, &pages)) {
		snprintf(why, len, "frames or their free lists are damaged");
		return -EUCLEAN;
	}
	for (unsigned int i = 0; i < NR_CACHES; i++) {
		struct arena_cache *c = &a->caches[i];

		if (!c->used)
			continue;
		if (!check_cache(a, c)) {
			snprintf(why, len, "slabs of cache %s are damaged or miscounted", c->name);
			return -EUCLEAN;
		}
		if (i < NR_ORDERS)
			pages += c->live << i;
		else
			objects += c->live;
	}
	if (pages != a->counts.pages || objects != a->counts.objects) {
		snprintf(why, len, "counts of pages or objects are wrong");
		return -EUCLEAN;
	}
	return 0;
}

/* ---- snapshots ------------------------------------------------------------------------------ */

/* Shadow of [0, nr_frames) as the instance's own structures say it must be. */
static void repoison(struct arena *a)
{
#ifdef FL_ASAN
	const struct frame *frames = frames_of(a);

	for (uint32_t idx = 0; idx < a->nr_frames; idx += 1u << frames[idx].order) {
		const struct arena_cache *c = &a->caches[frames[idx].cache];

		if (frames[idx].state == FRAME_PAGES)
			continue;
		san_poison(frame_mem(a, idx), block_bytes(frames[idx].order));
		if (frames[idx].state != FRAME_SLAB)
			continue;
		for (uint32_t i = 0; i < c->per_slab; i++) {
			uint32_t obj = slab_obj(a, c, idx, i);

			if (head_read(a, obj).state == OBJ_LIVE)
				san_unpoison(obj_mem(a, obj), c->size);
		}
	}
#else
	(void)a;
#endif
}

static size_t snapshot_bytes(uint32_t nr_frames)
{
	return sizeof(struct snap_head) + sizeof(struct arena) +
	       nr_frames * (sizeof(struct frame) + PAGE_BYTES);
}

static size_t arena_snapshot_size(void *arg)
{
	const struct arena *a = arg;

	return snapshot_bytes(a->nr_frames);
}

static size_t arena_snapshot(void *arg, void *buf, size_t len)
{
	struct arena *a = arg;
	struct snap_head head = {SNAP_MAGIC, fl_slot_of(ARENA_SLOT_BASE, a), a->nr_frames};
	char *out = buf;

	if (len < snapshot_bytes(a->nr_frames))
		return 0;
	memcpy(out, &head, sizeof(head));
	out += sizeof(head);
	memcpy(out, a, sizeof(*a));
	out += sizeof(*a);
	memcpy(out, frames_of(a), a->nr_frames * sizeof(struct frame));
	out += a->nr_frames * sizeof(struct frame);
	san_unpoison(frame_mem(a, 0), a->nr_frames * PAGE_BYTES);
	memcpy(out, frame_mem(a, 0), a->nr_frames * PAGE_BYTES);
	repoison(a);
	return snapshot_bytes(a->nr_frames);
}

static int arena_restore(void *arg, const void *buf, size_t len)
{
	struct arena *a = arg;
	const char *in = buf;
	struct snap_head head;

	if (len < sizeof(head))
		return -EINVAL;
	memcpy(&head, in, sizeof(head));
	if (head.magic != SNAP_MAGIC || head.slot != fl_slot_of(ARENA_SLOT_BASE, a) ||
	    head.nr_frames > NR_FRAMES || len < snapshot_bytes(head.nr_frames))
		return -EINVAL;
	if (host_of(a)->most_frames < head.nr_frames)
		host_of(a)->most_frames = head.nr_frames;
	in += sizeof(head);
	memcpy(a, in, sizeof(*a));
	in += sizeof(*a);
	memcpy(frames_of(a), in, head.nr_frames * sizeof(struct frame));
	in += head.nr_frames * sizeof(struct frame);
	san_unpoison(frame_mem(a, 0), head.nr_frames * PAGE_BYTES);
	memcpy(frame_mem(a, 0), in, head.nr_frames * PAGE_BYTES);
	repoison(a);
	/* what was given out later is no longer */
	san_poison(frame_mem(a, head.nr_frames),
		   (host_of(a)->most_frames - head.nr_frames) * PAGE_BYTES);
	return 0;
}

const struct fl_allocator_ops fl_arena_ops = {
	.abi = FL_ALLOCATOR_ABI,
	.size = sizeof(struct fl_allocator_ops),
	.name = "arena",
	.create = arena_create,
	.destroy = arena_destroy,
	.page_alloc = arena_page_alloc,
	.page_free = arena_page_free,
	.cache_create = arena_cache_create,
	.cache_destroy = arena_cache_destroy,
	.cache_alloc = arena_cache_alloc,
	.cache_free = arena_cache_free,
	.drop_caches = arena_drop_caches,
	.counts = arena_counts,
	.check = arena_check,
	.snapshot_size = arena_snapshot_size,
	.snapshot = arena_snapshot,
	.restore = arena_restore,
};
