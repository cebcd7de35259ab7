/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Backend `buddy`: pages as a kernel has them. Blocks of 2^order frames are split and joined;
 * single pages go through a list per CPU; objects lie in slabs, so that a request for an object may
 * need a page, which is asked for (fl_allocator_config.refill) and may be refused.
 *
 * Objects touch each other, and a freed one holds the link to the next: damage does here what it
 * does in a kernel. Under ASan what is not given out is poisoned all the same.
 */
#include "buddy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "san.h"

#define NIL	    BUDDY_NIL
#define BUDDY_MAGIC 0x464c425544445931ull
#define SNAP_MAGIC  0x464c425544534e31ull

struct snap_head {
	uint64_t magic;
	uint32_t slot, nr_frames, high, pad;
};

_Static_assert(sizeof(struct buddy) <= BUDDY_HOST_OFFSET, "the header fits before what follows");
_Static_assert(BUDDY_NR_FRAMES % 64 == 0 && BUDDY_NR_FRAMES % (1u << FL_MAX_ORDER) == 0,
	       "maps are whole words, and the slot is whole blocks");
_Static_assert(BUDDY_FREE_OFFSET + BUDDY_NR_ORDERS * (BUDDY_NR_FRAMES / 8) <= BUDDY_DESC_OFFSET,
	       "the maps of free blocks fit before the descriptors");
_Static_assert(BUDDY_DESC_OFFSET + sizeof(struct buddy_frame) * BUDDY_NR_FRAMES <=
		       BUDDY_LIVE_OFFSET,
	       "the descriptors fit before the map of live objects");
_Static_assert(BUDDY_LIVE_OFFSET + BUDDY_LIVE_WORDS * 8 * BUDDY_NR_FRAMES <= BUDDY_FRAMES_OFFSET,
	       "the map of live objects fits before the frames");

static struct buddy_host *host_of(struct buddy *b)
{
	return (struct buddy_host *)(void *)((char *)b + BUDDY_HOST_OFFSET);
}

static size_t block_bytes(unsigned int order)
{
	return BUDDY_PAGE << order;
}

static void misuse(struct buddy *b, const char *what, const char *cache)
{
	if (!b->misuse[0])
		snprintf(b->misuse, sizeof(b->misuse), "%s%s", what, cache);
}

/* ---- lists of blocks and slabs -------------------------------------------------------------- */

static void list_clear(struct buddy_list *l)
{
	l->first = l->last = NIL;
	l->nr = 0;
}

static void list_push(struct buddy *b, struct buddy_list *l, uint32_t idx)
{
	struct buddy_frame *f = buddy_frames(b);

	f[idx].prev = NIL;
	f[idx].next = l->first;
	if (l->first == NIL)
		l->last = idx;
	else
		f[l->first].prev = idx;
	l->first = idx;
	l->nr++;
}

static void list_push_last(struct buddy *b, struct buddy_list *l, uint32_t idx)
{
	struct buddy_frame *f = buddy_frames(b);

	f[idx].next = NIL;
	f[idx].prev = l->last;
	if (l->last == NIL)
		l->first = idx;
	else
		f[l->last].next = idx;
	l->last = idx;
	l->nr++;
}

static void list_del(struct buddy *b, struct buddy_list *l, uint32_t idx)
{
	struct buddy_frame *f = buddy_frames(b);

	if (f[idx].prev == NIL)
		l->first = f[idx].next;
	else
		f[f[idx].prev].next = f[idx].next;
	if (f[idx].next == NIL)
		l->last = f[idx].prev;
	else
		f[f[idx].next].prev = f[idx].prev;
	l->nr--;
}

/* ---- blocks --------------------------------------------------------------------------------- */

static void map_flip(struct buddy *b, uint32_t idx, unsigned int order)
{
	uint32_t bit = idx >> order;

	buddy_free_map(b, order)[bit / 64] ^= (uint64_t)1 << (bit % 64);
}

static bool is_free(const struct buddy *b, uint32_t idx, unsigned int order)
{
	uint32_t bit = idx >> order;

	return buddy_free_map(b, order)[bit / 64] >> (bit % 64) & 1;
}

static void mark_block(struct buddy *b, uint32_t idx, enum buddy_state state, unsigned int order)
{
	buddy_frames(b)[idx] = (struct buddy_frame){
		.next = NIL, .prev = NIL, .state = (uint8_t)state, .order = (uint8_t)order};
}

static void push_free(struct buddy *b, uint32_t idx, unsigned int order)
{
	mark_block(b, idx, BUDDY_FREE, order);
	list_push(b, &b->free[order], idx);
	map_flip(b, idx, order);
}

static void take_free(struct buddy *b, uint32_t idx, unsigned int order)
{
	list_del(b, &b->free[order], idx);
	map_flip(b, idx, order);
	mark_block(b, idx, BUDDY_TAIL, 0);
}

/* A block back to its list, joined with its buddy as often as that one is free. */
static void free_block(struct buddy *b, uint32_t idx, unsigned int order)
{
	while (order < FL_MAX_ORDER && is_free(b, idx ^ 1u << order, order)) {
		take_free(b, idx ^ 1u << order, order);
		mark_block(b, idx, BUDDY_TAIL, 0);
		idx &= ~(1u << order);
		order++;
	}
	push_free(b, idx, order);
}

/* One more block of the largest order, from what was never used. */
static bool grow(struct buddy *b)
{
	uint32_t idx = b->nr_frames;

	if (idx + (1u << FL_MAX_ORDER) > BUDDY_NR_FRAMES)
		return false;
	b->nr_frames += 1u << FL_MAX_ORDER;
	if (host_of(b)->most_frames < b->nr_frames)
		host_of(b)->most_frames = b->nr_frames;
	push_free(b, idx, FL_MAX_ORDER);
	return true;
}

/* A block, its state for the caller to set; the upper halves of a larger one stay free. */
static uint32_t take_block(struct buddy *b, unsigned int order)
{
	unsigned int o = order;
	uint32_t idx, end;

	while (o < BUDDY_NR_ORDERS && !b->free[o].nr)
		o++;
	if (o == BUDDY_NR_ORDERS) {
		if (!grow(b))
			return NIL;
		o = FL_MAX_ORDER;
	}
	idx = b->free[o].first;
	take_free(b, idx, o);
	while (o > order) {
		o--;
		push_free(b, idx + (1u << o), o);
	}
	end = idx + (1u << order);
	if (end > b->high) {
		/* never given out before: nobody may touch it but whom it is given to */
		if (end > host_of(b)->most) {
			san_poison(buddy_mem(b, host_of(b)->most),
				   (end - host_of(b)->most) * BUDDY_PAGE);
			host_of(b)->most = end;
		}
		b->high = end;
	}
	return idx;
}

/* ---- a CPU's list of single pages ----------------------------------------------------------- */

static unsigned int cpu_of(uint32_t gfp)
{
	return (gfp >> __GFP_CPU_SHIFT) % BUDDY_NR_CPUS;
}

static void mark_pcp(struct buddy *b, uint32_t idx, unsigned int cpu)
{
	mark_block(b, idx, BUDDY_PCP, 0);
	buddy_frames(b)[idx].cache = (uint16_t)cpu;
}

static void pcp_fill(struct buddy *b, unsigned int cpu)
{
	for (unsigned int i = 0; i < BUDDY_PCP_BATCH; i++) {
		uint32_t idx = take_block(b, 0);

		if (idx == NIL)
			return;
		mark_pcp(b, idx, cpu);
		list_push_last(b, &b->pcp[cpu], idx);
	}
}

static uint32_t pcp_take(struct buddy *b, unsigned int cpu)
{
	struct buddy_list *l = &b->pcp[cpu];
	uint32_t idx;

	if (!l->nr)
		pcp_fill(b, cpu);
	idx = l->first;
	if (idx != NIL)
		list_del(b, l, idx);
	return idx;
}

static void pcp_drain(struct buddy *b, unsigned int cpu, uint32_t nr)
{
	struct buddy_list *l = &b->pcp[cpu];

	while (nr-- && l->nr) {
		uint32_t idx = l->last;

		list_del(b, l, idx);
		free_block(b, idx, 0);
	}
}

static void pcp_give(struct buddy *b, unsigned int cpu, uint32_t idx)
{
	mark_pcp(b, idx, cpu);
	list_push(b, &b->pcp[cpu], idx);
	if (b->pcp[cpu].nr > BUDDY_PCP_HIGH)
		pcp_drain(b, cpu, BUDDY_PCP_BATCH);
}

/* Whether a single page comes from another CPU's list is no question: those keep theirs. */
static uint32_t take_pages(struct buddy *b, unsigned int order, uint32_t gfp)
{
	return order ? take_block(b, order) : pcp_take(b, cpu_of(gfp));
}

/* ---- objects -------------------------------------------------------------------------------- */

static char *obj_mem(const struct buddy *b, const struct buddy_cache *c, uint32_t slab,
		     uint32_t obj)
{
	return buddy_mem(b, slab) + (size_t)obj * c->stride;
}

static void live_flip(struct buddy *b, const struct buddy_cache *c, uint32_t slab, uint32_t obj)
{
	size_t bit = (size_t)obj * c->stride / BUDDY_GRAIN;

	buddy_live_map(b, slab)[bit / 64] ^= (uint64_t)1 << (bit % 64);
}

static bool is_live(const struct buddy *b, const struct buddy_cache *c, uint32_t slab, uint32_t obj)
{
	size_t bit = (size_t)obj * c->stride / BUDDY_GRAIN;

	return buddy_live_map(b, slab)[bit / 64] >> (bit % 64) & 1;
}

/* Links lie in poisoned memory: only these two touch them. */

FL_NO_ASAN uint16_t buddy_link(const struct buddy *b, const struct buddy_cache *c, uint32_t slab,
			       uint32_t obj)
{
	return *(const volatile uint16_t *)(const void *)obj_mem(b, c, slab, obj);
}

FL_NO_ASAN static void set_link(struct buddy *b, const struct buddy_cache *c, uint32_t slab,
				uint32_t obj, uint32_t next)
{
	*(volatile uint16_t *)(void *)obj_mem(b, c, slab, obj) = (uint16_t)next;
}

/* The smallest slabs, up to order 3, that hold some objects and waste little. */
static bool cache_setup(struct buddy_cache *c, const char *name, size_t size, size_t align)
{
	size_t stride = (size + align - 1) & ~(align - 1);
	unsigned int order = 0;

	if (!size || stride < size || stride > block_bytes(FL_MAX_ORDER) ||
	    align > block_bytes(FL_MAX_ORDER))
		return false;
	while (order < 3 && (block_bytes(order) / stride < 8 ||
			     block_bytes(order) % stride > block_bytes(order) / 16))
		order++;
	while (block_bytes(order) < stride || block_bytes(order) < align)
		order++;
	*c = (struct buddy_cache){
		.used = true,
		.order = (uint8_t)order,
		.stride = (uint32_t)stride,
		.per_slab = (uint32_t)(block_bytes(order) / stride),
		.size = size,
	};
	for (unsigned int i = 0; i < BUDDY_NR_SLABS; i++)
		list_clear(&c->slabs[i]);
	snprintf(c->name, sizeof(c->name), "%s", name);
	return true;
}

static uint32_t new_slab(struct buddy *b, struct buddy_cache *c, uint32_t gfp)
{
	const struct buddy_host *host = host_of(b);
	struct buddy_frame *f = buddy_frames(b);
	uint32_t slab;

	if (host->refill && !(gfp & __GFP_NOFAIL) && host->refill(host->refill_priv, gfp))
		return NIL;
	slab = take_pages(b, c->order, gfp);
	if (slab == NIL)
		return NIL;
	mark_block(b, slab, BUDDY_SLAB, c->order);
	f[slab].cache = (uint16_t)(c - b->caches);
	for (uint32_t i = 1; i < 1u << c->order; i++) {
		mark_block(b, slab + i, BUDDY_TAIL, 0);
		f[slab + i].next = slab;
	}
	for (uint32_t i = 0; i < c->per_slab; i++)
		set_link(b, c, slab, i, i + 1);
	list_push(b, &c->slabs[SLABS_EMPTY], slab);
	b->held += (uint64_t)1 << c->order;
	return slab;
}

static void free_slab(struct buddy *b, struct buddy_cache *c, uint32_t slab)
{
	list_del(b, &c->slabs[SLABS_EMPTY], slab);
	b->held -= (uint64_t)1 << c->order;
	san_freed(buddy_mem(b, slab), block_bytes(c->order));
	for (uint32_t i = 1; i < 1u << c->order; i++)
		mark_block(b, slab + i, BUDDY_TAIL, 0);
	free_block(b, slab, c->order);
}

/* Which list a slab belongs to. */
static enum buddy_slabs kind_of(const struct buddy_cache *c, uint32_t inuse)
{
	if (!inuse)
		return SLABS_EMPTY;
	return inuse == c->per_slab ? SLABS_FULL : SLABS_PARTIAL;
}

static void set_inuse(struct buddy *b, struct buddy_cache *c, uint32_t slab, uint32_t inuse)
{
	struct buddy_frame *f = buddy_frames(b) + slab;
	enum buddy_slabs from = kind_of(c, f->inuse), to = kind_of(c, inuse);

	f->inuse = (uint16_t)inuse;
	if (from == to)
		return;
	list_del(b, &c->slabs[from], slab);
	list_push(b, &c->slabs[to], slab);
}

static void *buddy_cache_alloc(void *arg, void *handle, uint32_t gfp)
{
	struct buddy *b = arg;
	struct buddy_cache *c = handle;
	uint32_t slab = c->slabs[SLABS_PARTIAL].first, obj;
	struct buddy_frame *f;
	char *mem;

	if (slab == NIL)
		slab = c->slabs[SLABS_EMPTY].first;
	if (slab == NIL)
		slab = new_slab(b, c, gfp);
	if (slab == NIL)
		return NULL;
	f = buddy_frames(b) + slab;
	obj = f->free;
	f->free = buddy_link(b, c, slab, obj);
	live_flip(b, c, slab, obj);
	set_inuse(b, c, slab, f->inuse + 1u);
	c->live++;
	b->counts.objects++;

	mem = obj_mem(b, c, slab, obj);
	san_allocated(mem, c->size);
	if (gfp & __GFP_ZERO)
		memset(mem, 0, c->size);
	return mem;
}

/* The slab and number of a live object of the cache, or NIL. */
static uint32_t find_obj(const struct buddy *b, const struct buddy_cache *c, const void *mem,
			 uint32_t *obj)
{
	size_t offset = (size_t)((const char *)mem - buddy_mem(b, 0));
	const struct buddy_frame *f = buddy_frames(b);
	uint32_t slab;

	if (offset >= (size_t)b->nr_frames * BUDDY_PAGE)
		return NIL;
	slab = (uint32_t)(offset / BUDDY_PAGE);
	if (f[slab].state == BUDDY_TAIL)
		slab = f[slab].next;
	if (slab >= b->nr_frames || f[slab].state != BUDDY_SLAB || f[slab].cache != c - b->caches)
		return NIL;
	offset -= slab * BUDDY_PAGE;
	*obj = (uint32_t)(offset / c->stride);
	if (offset % c->stride || *obj >= c->per_slab || !is_live(b, c, slab, *obj))
		return NIL;
	return slab;
}

static void buddy_cache_free(void *arg, void *handle, void *mem)
{
	struct buddy *b = arg;
	struct buddy_cache *c = handle;
	uint32_t obj = 0, slab = find_obj(b, c, mem, &obj);
	struct buddy_frame *f = buddy_frames(b) + slab;

	if (slab == NIL) {
		misuse(b, "cache_free of what is no live object of ", c->name);
		return;
	}
	san_freed(mem, c->size);
	set_link(b, c, slab, obj, f->free);
	f->free = (uint16_t)obj;
	live_flip(b, c, slab, obj);
	set_inuse(b, c, slab, f->inuse - 1u);
	c->live--;
	b->counts.objects--;
	if (c->slabs[SLABS_EMPTY].nr > BUDDY_MIN_EMPTY)
		free_slab(b, c, c->slabs[SLABS_EMPTY].last);
}

static void *buddy_cache_create(void *arg, const char *name, size_t size, size_t align)
{
	struct buddy *b = arg;

	for (unsigned int i = 0; i < BUDDY_NR_CACHES; i++) {
		struct buddy_cache *c = &b->caches[i];

		if (c->used)
			continue;
		if (!cache_setup(c, name, size, align))
			return NULL;
		b->counts.caches++;
		return c;
	}
	return NULL;
}

static void cache_shrink(struct buddy *b, struct buddy_cache *c)
{
	while (c->slabs[SLABS_EMPTY].nr)
		free_slab(b, c, c->slabs[SLABS_EMPTY].first);
}

static int buddy_cache_destroy(void *arg, void *handle)
{
	struct buddy *b = arg;
	struct buddy_cache *c = handle;

	if (c->live)
		return -EBUSY;
	cache_shrink(b, c);
	c->used = false;
	b->counts.caches--;
	return 0;
}

/* ---- pages ---------------------------------------------------------------------------------- */

/* What the caller may touch of a block. */
static size_t page_bytes(unsigned int order, uint32_t gfp)
{
	return gfp & __GFP_TAG ? (size_t)FL_TAG_BYTES << order : block_bytes(order);
}

static void *buddy_page_alloc(void *arg, unsigned int order, uint32_t gfp)
{
	struct buddy *b = arg;
	uint64_t pages = (uint64_t)1 << order;
	uint32_t idx;
	char *mem;

	if (order > FL_MAX_ORDER || (b->limit && b->counts.pages + pages > b->limit))
		return NULL;
	idx = take_pages(b, order, gfp);
	if (idx == NIL)
		return NULL;
	mark_block(b, idx, BUDDY_PAGES, order);
	buddy_frames(b)[idx].free = gfp & __GFP_TAG ? 1 : 0;
	b->counts.pages += pages;
	mem = buddy_mem(b, idx);
	san_allocated(mem, page_bytes(order, gfp));
	if (gfp & __GFP_ZERO)
		memset(mem, 0, page_bytes(order, gfp));
	return mem;
}

static void buddy_page_free(void *arg, void *mem, unsigned int order, uint32_t gfp)
{
	struct buddy *b = arg;
	size_t offset = (size_t)((char *)mem - buddy_mem(b, 0));
	uint32_t idx = (uint32_t)(offset / BUDDY_PAGE);
	const struct buddy_frame *f = buddy_frames(b) + idx;

	if (offset >= (size_t)b->nr_frames * BUDDY_PAGE || offset % BUDDY_PAGE ||
	    f->state != BUDDY_PAGES || f->order != order) {
		misuse(b, "page_free of what is no live page of that order", "");
		return;
	}
	b->counts.pages -= (uint64_t)1 << order;
	san_freed(mem, block_bytes(order));
	if (order)
		free_block(b, idx, order);
	else
		pcp_give(b, cpu_of(gfp), idx);
}

/* ---- the instance --------------------------------------------------------------------------- */

static void *buddy_create(const struct fl_allocator_config *cfg)
{
	struct buddy *b;

	if (cfg->slot >= BUDDY_NR_SLOTS)
		return NULL;
	b = fl_slot_map(BUDDY_SLOT_BASE, cfg->slot);
	if (!b)
		return NULL;
	b->magic = BUDDY_MAGIC;
	b->limit = cfg->limit;
	for (unsigned int o = 0; o < BUDDY_NR_ORDERS; o++)
		list_clear(&b->free[o]);
	for (unsigned int cpu = 0; cpu < BUDDY_NR_CPUS; cpu++)
		list_clear(&b->pcp[cpu]);
	host_of(b)->refill = cfg->refill;
	host_of(b)->refill_priv = cfg->refill_priv;
	return b;
}

static void buddy_destroy(void *arg)
{
	struct buddy *b = arg;

	san_unpoison(buddy_mem(b, 0), host_of(b)->most * BUDDY_PAGE);
	fl_slot_unmap(b);
}

/* What was given back as a whole is as if it had never been used. */
static void buddy_drop_caches(void *arg)
{
	struct buddy *b = arg;
	uint32_t top = 1u << FL_MAX_ORDER;

	for (unsigned int i = 0; i < BUDDY_NR_CACHES; i++)
		if (b->caches[i].used)
			cache_shrink(b, &b->caches[i]);
	for (unsigned int cpu = 0; cpu < BUDDY_NR_CPUS; cpu++)
		pcp_drain(b, cpu, b->pcp[cpu].nr);
	while (b->nr_frames && is_free(b, b->nr_frames - top, FL_MAX_ORDER)) {
		b->nr_frames -= top;
		take_free(b, b->nr_frames, FL_MAX_ORDER);
	}
	if (b->high > b->nr_frames)
		b->high = b->nr_frames;
}

static void buddy_counts(void *arg, struct fl_allocator_counts *out)
{
	const struct buddy *b = arg;

	*out = b->counts;
}

/* ---- snapshots ------------------------------------------------------------------------------ */

/* Shadow of [0, high) as the descriptors say it must be. */
static void repoison(struct buddy *b)
{
#ifdef FL_ASAN
	const struct buddy_frame *f = buddy_frames(b);

	san_poison(buddy_mem(b, 0), b->high * BUDDY_PAGE);
	for (uint32_t idx = 0; idx < b->high; idx += 1u << f[idx].order) {
		const struct buddy_cache *c = &b->caches[f[idx].cache];

		if (f[idx].state == BUDDY_PAGES)
			san_unpoison(buddy_mem(b, idx),
				     page_bytes(f[idx].order, f[idx].free ? __GFP_TAG : 0));
		for (uint32_t i = 0; f[idx].state == BUDDY_SLAB && i < c->per_slab; i++)
			if (is_live(b, c, idx, i))
				san_unpoison(obj_mem(b, c, idx, i), c->size);
	}
#else
	(void)b;
#endif
}

enum copy_dir {
	COPY_OUT,
	COPY_IN
};

static size_t copy(char *outside, void *mine, size_t n, enum copy_dir dir)
{
	if (dir == COPY_OUT)
		memcpy(outside, mine, n);
	else
		memcpy(mine, outside, n);
	return n;
}

/* All that a snapshot holds behind its head, in the order of the slot. */
static void copy_all(struct buddy *b, char *at, const struct snap_head *head, enum copy_dir dir)
{
	at += copy(at, b, sizeof(*b), dir);
	for (unsigned int o = 0; o < BUDDY_NR_ORDERS; o++)
		at += copy(at, buddy_free_map(b, o), (head->nr_frames >> o) / 8 + 8, dir);
	at += copy(at, buddy_frames(b), head->nr_frames * sizeof(struct buddy_frame), dir);
	at += copy(at, buddy_live_map(b, 0), head->high * BUDDY_LIVE_WORDS * 8, dir);
	san_unpoison(buddy_mem(b, 0), head->high * BUDDY_PAGE);
	copy(at, buddy_mem(b, 0), head->high * BUDDY_PAGE, dir);
	repoison(b);
}

static size_t snapshot_bytes(uint32_t nr_frames, uint32_t high)
{
	size_t bytes = sizeof(struct snap_head) + sizeof(struct buddy);

	for (unsigned int o = 0; o < BUDDY_NR_ORDERS; o++)
		bytes += (nr_frames >> o) / 8 + 8;
	return bytes + nr_frames * sizeof(struct buddy_frame) +
	       high * (BUDDY_LIVE_WORDS * 8 + BUDDY_PAGE);
}

static size_t buddy_snapshot_size(void *arg)
{
	const struct buddy *b = arg;

	return snapshot_bytes(b->nr_frames, b->high);
}

static size_t buddy_snapshot(void *arg, void *buf, size_t len)
{
	struct buddy *b = arg;
	const struct snap_head head = {SNAP_MAGIC, fl_slot_of(BUDDY_SLOT_BASE, b), b->nr_frames,
				       b->high, 0};

	if (len < snapshot_bytes(head.nr_frames, head.high))
		return 0;
	memcpy(buf, &head, sizeof(head));
	copy_all(b, (char *)buf + sizeof(head), &head, COPY_OUT);
	return snapshot_bytes(head.nr_frames, head.high);
}

static int buddy_restore(void *arg, const void *buf, size_t len)
{
	struct buddy *b = arg;
	struct buddy_host *host = host_of(b);
	struct snap_head head;

	if (len < sizeof(head))
		return -EINVAL;
	memcpy(&head, buf, sizeof(head));
	if (head.magic != SNAP_MAGIC || head.slot != fl_slot_of(BUDDY_SLOT_BASE, b) ||
	    head.nr_frames > BUDDY_NR_FRAMES || head.high > head.nr_frames ||
	    len < snapshot_bytes(head.nr_frames, head.high))
		return -EINVAL;
	/* blocks that exist now and did not then are on no list then */
	for (unsigned int o = 0; o < BUDDY_NR_ORDERS; o++)
		memset(buddy_free_map(b, o), 0, (host->most_frames >> o) / 8 + 8);
	memset(buddy_frames(b), 0, host->most_frames * sizeof(struct buddy_frame));
	memset(buddy_live_map(b, 0), 0, host->most * BUDDY_LIVE_WORDS * 8);
	if (host->most < head.high)
		host->most = head.high;
	if (host->most_frames < head.nr_frames)
		host->most_frames = head.nr_frames;
	copy_all(b, (char *)(uintptr_t)buf + sizeof(head), &head, COPY_IN);
	san_poison(buddy_mem(b, head.high), (host->most - head.high) * BUDDY_PAGE);
	return 0;
}

const struct fl_allocator_ops fl_buddy_ops = {
	.abi = FL_ALLOCATOR_ABI,
	.size = sizeof(struct fl_allocator_ops),
	.name = "buddy",
	.create = buddy_create,
	.destroy = buddy_destroy,
	.page_alloc = buddy_page_alloc,
	.page_free = buddy_page_free,
	.cache_create = buddy_cache_create,
	.cache_destroy = buddy_cache_destroy,
	.cache_alloc = buddy_cache_alloc,
	.cache_free = buddy_cache_free,
	.drop_caches = buddy_drop_caches,
	.counts = buddy_counts,
	.check = buddy_check,
	.snapshot_size = buddy_snapshot_size,
	.snapshot = buddy_snapshot,
	.restore = buddy_restore,
};
