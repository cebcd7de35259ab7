/* SPDX-License-Identifier: GPL-2.0-only */
/* Backend buddy: where blocks come from and go to, when a slab needs a page, and its own checks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "alloc/buddy.h"
#include "alloc/san.h"

static const struct fl_allocator_ops *const ops = &fl_buddy_ops;

struct asked {
	uint32_t nr, refuse_from, refuse_to; /* by number, from 1 */
	uint32_t gfp;
};

static bool on_refill(void *priv, uint32_t gfp)
{
	struct asked *a = priv;

	a->nr++;
	a->gfp = gfp;
	return a->nr >= a->refuse_from && a->nr <= a->refuse_to;
}

static struct buddy *make(struct asked *asked)
{
	const struct fl_allocator_config cfg = {
		.size = sizeof(cfg),
		.refill = asked ? on_refill : NULL,
		.refill_priv = asked,
	};
	struct buddy *b = ops->create(&cfg);

	assert_non_null(b);
	return b;
}

static void assert_sound(struct buddy *b)
{
	char why[192] = "";

	if (ops->check(b, why, sizeof(why)))
		fail_msg("%s", why);
}

/* Of the first block of the largest order, by order. */
static void assert_free(struct buddy *b, const uint32_t *nr)
{
	for (unsigned int o = 0; o < BUDDY_NR_ORDERS; o++)
		if (b->free[o].nr != nr[o])
			fail_msg("order %u: %u free blocks, not %u", o, b->free[o].nr, nr[o]);
	assert_sound(b);
}

static uint32_t frame_of(const struct buddy *b, const void *mem)
{
	return (uint32_t)((size_t)((const char *)mem - buddy_mem(b, 0)) / BUDDY_PAGE);
}

static void test_split_and_join(void **state)
{
	static const uint32_t whole[BUDDY_NR_ORDERS] = {[10] = 1};
	static const uint32_t split[BUDDY_NR_ORDERS] = {0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0};
	static const uint32_t second[BUDDY_NR_ORDERS] = {0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0};
	struct buddy *b = make(NULL);
	void *a, *c;

	(void)state;
	a = ops->page_alloc(b, 2, GFP_KERNEL);
	assert_int_equal(frame_of(b, a), 0);
	assert_free(b, split);
	c = ops->page_alloc(b, 2, GFP_KERNEL);
	assert_int_equal(frame_of(b, c), 4); /* the other half, not another split */
	assert_free(b, second);
	ops->page_free(b, a, 2, GFP_KERNEL);
	assert_sound(b);
	ops->page_free(b, c, 2, GFP_KERNEL); /* joins all the way up */
	assert_free(b, whole);
	assert_int_equal(b->nr_frames, 1024);
	ops->drop_caches(b);
	assert_int_equal(b->nr_frames, 0);
	assert_sound(b);

	/* a block as large as can be has no buddy to join with */
	a = ops->page_alloc(b, FL_MAX_ORDER, GFP_KERNEL);
	c = ops->page_alloc(b, FL_MAX_ORDER, GFP_KERNEL);
	ops->page_free(b, a, FL_MAX_ORDER, GFP_KERNEL);
	ops->page_free(b, c, FL_MAX_ORDER, GFP_KERNEL);
	assert_int_equal(b->free[FL_MAX_ORDER].nr, 2);
	assert_sound(b);
	ops->destroy(b);
}

static void test_pages_by_cpu(void **state)
{
	struct buddy *b = make(NULL);
	void *page[2 * BUDDY_PCP_HIGH], *mine, *other;

	(void)state;
	mine = ops->page_alloc(b, 0, __GFP_CPU(0));
	other = ops->page_alloc(b, 0, __GFP_CPU(3));
	assert_int_equal(frame_of(b, mine), 0);
	assert_int_equal(frame_of(b, other), BUDDY_PCP_BATCH);
	assert_int_equal(b->pcp[0].nr, BUDDY_PCP_BATCH - 1);
	assert_int_equal(b->pcp[3].nr, BUDDY_PCP_BATCH - 1);
	assert_sound(b);
	/* freed on another CPU it is that one's, and the next it gives */
	ops->page_free(b, mine, 0, __GFP_CPU(3));
	assert_ptr_equal(ops->page_alloc(b, 0, __GFP_CPU(3)), mine);
	ops->page_free(b, mine, 0, __GFP_CPU(0));
	ops->page_free(b, other, 0, __GFP_CPU(0));

	for (size_t i = 0; i < 2 * BUDDY_PCP_HIGH; i++)
		page[i] = ops->page_alloc(b, 0, __GFP_CPU(1));
	for (size_t i = 0; i < 2 * BUDDY_PCP_HIGH; i++)
		ops->page_free(b, page[i], 0, __GFP_CPU(1));
	assert_true(b->pcp[1].nr <= BUDDY_PCP_HIGH);
	assert_true(b->pcp[1].nr > BUDDY_PCP_HIGH - BUDDY_PCP_BATCH);
	assert_sound(b);
	ops->drop_caches(b);
	assert_int_equal(b->nr_frames, 0);
	ops->destroy(b);
}

/* 64-byte objects: 64 in a slab of one page. */
#define PER_SLAB 64u

static void test_slab_needs_page(void **state)
{
	struct asked asked = {0};
	struct buddy *b = make(&asked);
	struct buddy_cache *c = ops->cache_create(b, "things", 64, 8);
	void *obj[2 * PER_SLAB + 1];
	uint32_t i;

	(void)state;
	assert_int_equal(c->per_slab, PER_SLAB);
	for (i = 0; i < 2 * PER_SLAB + 1; i++) {
		obj[i] = ops->cache_alloc(b, c, __GFP_CPU(2) | __GFP_NOWAIT);
		assert_int_equal(asked.nr, i / PER_SLAB + 1); /* only when all slabs are full */
	}
	assert_true(asked.gfp & __GFP_NOWAIT);
	assert_int_equal(c->slabs[SLABS_FULL].nr, 2);
	assert_int_equal(c->slabs[SLABS_PARTIAL].nr, 1);
	assert_int_equal(b->held, 3);
	assert_sound(b);

	ops->cache_free(b, c, obj[5]);
	assert_int_equal(c->slabs[SLABS_PARTIAL].nr, 2);
	assert_ptr_equal(ops->cache_alloc(b, c, GFP_KERNEL), obj[5]);
	assert_int_equal(asked.nr, 3);

	for (i = 0; i < 2 * PER_SLAB + 1; i++)
		ops->cache_free(b, c, obj[i]);
	assert_int_equal(c->slabs[SLABS_EMPTY].nr, BUDDY_MIN_EMPTY);
	assert_int_equal(b->held, BUDDY_MIN_EMPTY);
	assert_sound(b);
	/* warm: the kept slab serves, and nobody is asked; cold: one is */
	ops->cache_free(b, c, ops->cache_alloc(b, c, GFP_KERNEL));
	assert_int_equal(asked.nr, 3);
	ops->drop_caches(b);
	assert_int_equal(b->held, 0);
	ops->cache_free(b, c, ops->cache_alloc(b, c, GFP_KERNEL));
	assert_int_equal(asked.nr, 4);
	assert_sound(b);
	ops->destroy(b);
}

static void test_refill_refused(void **state)
{
	struct asked asked = {.refuse_from = 2, .refuse_to = 3};
	struct buddy *b = make(&asked);
	void *c = ops->cache_create(b, "things", 64, 8);
	struct fl_allocator_counts n;

	(void)state;
	for (uint32_t i = 0; i < PER_SLAB; i++)
		assert_non_null(ops->cache_alloc(b, c, GFP_KERNEL));
	assert_null(ops->cache_alloc(b, c, GFP_KERNEL));
	assert_null(ops->cache_alloc(b, c, GFP_KERNEL));
	ops->counts(b, &n);
	assert_int_equal(n.objects, PER_SLAB);
	assert_int_equal(b->held, 1);
	assert_sound(b);
	/* whom nothing may be refused is not asked about */
	asked = (struct asked){.refuse_from = 1, .refuse_to = 1};
	assert_non_null(ops->cache_alloc(b, c, __GFP_NOFAIL));
	assert_int_equal(asked.nr, 0);
	assert_sound(b);
	ops->destroy(b);
}

static void test_large_objects(void **state)
{
	struct buddy *b = make(NULL);
	void *c = ops->cache_create(b, "large", 100000, 64), *obj[3];

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		obj[i] = ops->cache_alloc(b, c, __GFP_ZERO);
		memset(obj[i], 0xff, 100000);
	}
	assert_int_equal(b->held, 3 * 32);
	assert_sound(b);
	for (unsigned int i = 0; i < 3; i++)
		ops->cache_free(b, c, obj[i]);
	assert_int_equal(ops->cache_destroy(b, c), 0);
	assert_int_equal(b->held, 0);
	assert_null(ops->cache_create(b, "too large", ((size_t)4096 << FL_MAX_ORDER) + 1, 8));
	assert_null(ops->cache_create(b, "nothing", 0, 8));
	assert_sound(b);
	ops->destroy(b);
}

/* All of a slot given out: then nothing is, and what comes back can be had again. */
static void test_exhaustion(void **state)
{
	struct buddy *b = make(NULL);
	uint32_t nr = 0, most = BUDDY_NR_FRAMES >> FL_MAX_ORDER;
	void *block, *last = NULL, *c = ops->cache_create(b, "things", 64, 8);

	(void)state;
	while ((block = ops->page_alloc(b, FL_MAX_ORDER, GFP_KERNEL)) != NULL) {
		last = block;
		nr++;
	}
	assert_int_equal(nr, most);
	assert_null(ops->page_alloc(b, 0, GFP_KERNEL));
	assert_null(ops->cache_alloc(b, c, GFP_KERNEL));
	ops->page_free(b, last, FL_MAX_ORDER, GFP_KERNEL);
	assert_non_null(ops->cache_alloc(b, c, GFP_KERNEL));
	assert_null(ops->page_alloc(b, FL_MAX_ORDER, GFP_KERNEL));
	assert_non_null(ops->page_alloc(b, 0, GFP_KERNEL));
	ops->destroy(b);
}

#ifdef FL_ASAN
static void test_poisoning(void **state)
{
	struct buddy *b = make(NULL);
	void *c = ops->cache_create(b, "odd", 45, 8);
	char *obj = ops->cache_alloc(b, c, GFP_KERNEL);
	char *tag = ops->page_alloc(b, 1, __GFP_TAG);

	(void)state;
	assert_null(__asan_region_is_poisoned(obj, 45));
	assert_true(__asan_address_is_poisoned(obj + 45));
	assert_true(__asan_address_is_poisoned(obj + 48)); /* the next one is free */
	assert_null(__asan_region_is_poisoned(tag, 2 * FL_TAG_BYTES));
	assert_true(__asan_address_is_poisoned(tag + 2 * FL_TAG_BYTES));
	ops->cache_free(b, c, obj);
	assert_true(__asan_address_is_poisoned(obj));
	ops->page_free(b, tag, 1, __GFP_TAG);
	assert_true(__asan_address_is_poisoned(tag));
	assert_sound(b);
	ops->destroy(b);
}
#endif

/* ---- every row of the check fires ----------------------------------------------------------- */

struct world {
	struct buddy *b;
	struct buddy_cache *c;
	void *page, *block, *obj;
};

static uint32_t slab_of(const struct world *w)
{
	return w->c->slabs[SLABS_PARTIAL].first;
}

static void harm_header(struct world *w)
{
	w->b->high = w->b->nr_frames + 1;
}

static void harm_tiling(struct world *w)
{
	buddy_frames(w->b)[frame_of(w->b, w->block)].order = 2;
}

static void harm_pcp_owner(struct world *w)
{
	buddy_frames(w->b)[w->b->pcp[0].first].cache = BUDDY_NR_CPUS;
}

static void harm_slab_owner(struct world *w)
{
	buddy_frames(w->b)[slab_of(w)].cache = BUDDY_NR_CACHES - 1;
}

static void harm_free_loop(struct world *w)
{
	uint32_t idx = w->b->free[9].first;

	buddy_frames(w->b)[idx].next = idx;
}

static void harm_free_lost(struct world *w)
{
	w->b->free[9] = (struct buddy_list){BUDDY_NIL, BUDDY_NIL, 0};
}

static void harm_free_kind(struct world *w)
{
	w->b->free[8].first = frame_of(w->b, w->block);
}

static void harm_free_map(struct world *w)
{
	buddy_free_map(w->b, 9)[0] ^= 2;
}

/* Two halves of what was one block, each rightly on the list. */
static void harm_joined(struct world *w)
{
	struct buddy_frame *f = buddy_frames(w->b);
	uint32_t idx = w->b->free[9].first, half = idx + 256;

	w->b->free[9] = (struct buddy_list){BUDDY_NIL, BUDDY_NIL, 0};
	buddy_free_map(w->b, 9)[0] ^= (uint64_t)1 << (idx >> 9);
	f[idx].order = 8;
	f[half] = f[idx];
	f[idx].next = half;
	f[half].prev = idx;
	f[half].next = w->b->free[8].first;
	f[w->b->free[8].first].prev = half;
	w->b->free[8].first = idx;
	w->b->free[8].nr += 2;
	buddy_free_map(w->b, 8)[0] ^= (uint64_t)1 << (idx >> 8) | (uint64_t)1 << (half >> 8);
}

static void harm_pcp_count(struct world *w)
{
	w->b->pcp[0].nr++;
}

static void harm_pcp_link(struct world *w)
{
	buddy_frames(w->b)[w->b->pcp[0].last].prev = BUDDY_NIL;
}

static void harm_slab_list(struct world *w)
{
	struct buddy_list l = w->c->slabs[SLABS_FULL];

	w->c->slabs[SLABS_FULL] = w->c->slabs[SLABS_PARTIAL];
	w->c->slabs[SLABS_PARTIAL] = l;
}

static void harm_slab_lost(struct world *w)
{
	w->c->slabs[SLABS_PARTIAL] = (struct buddy_list){BUDDY_NIL, BUDDY_NIL, 0};
}

static void harm_live_map(struct world *w)
{
	buddy_live_map(w->b, slab_of(w))[0] ^= 1;
}

static void harm_inuse(struct world *w)
{
	buddy_frames(w->b)[slab_of(w)].inuse++;
}

/* A write to a freed object. */
FL_NO_ASAN static void scribble(uint16_t *link, uint16_t val)
{
	*(volatile uint16_t *)link = val;
}

static void harm_link_away(struct world *w)
{
	uint32_t slab = slab_of(w), obj = buddy_frames(w->b)[slab].free;

	scribble((uint16_t *)(void *)(buddy_mem(w->b, slab) + obj * 64), 0x5a5a);
}

static void harm_link_loop(struct world *w)
{
	uint32_t slab = slab_of(w), obj = buddy_frames(w->b)[slab].free;

	scribble((uint16_t *)(void *)(buddy_mem(w->b, slab) + obj * 64), (uint16_t)obj);
}

static void harm_link_short(struct world *w)
{
	uint32_t slab = slab_of(w), obj = buddy_frames(w->b)[slab].free;

	scribble((uint16_t *)(void *)(buddy_mem(w->b, slab) + obj * 64), PER_SLAB);
}

static void harm_link_live(struct world *w)
{
	buddy_frames(w->b)[slab_of(w)].free = 0;
}

static void harm_cache_live(struct world *w)
{
	w->c->live++;
}

static void harm_pages(struct world *w)
{
	w->b->counts.pages--;
}

static void harm_objects(struct world *w)
{
	w->b->counts.objects++;
}

static void harm_held(struct world *w)
{
	w->b->held++;
}

static void harm_double_free(struct world *w)
{
	ops->page_free(w->b, w->page, 0, GFP_KERNEL);
	ops->page_free(w->b, w->page, 0, GFP_KERNEL);
}

static void harm_wrong_order(struct world *w)
{
	ops->page_free(w->b, w->block, 2, GFP_KERNEL);
}

static void harm_free_inside(struct world *w)
{
	ops->cache_free(w->b, w->c, (char *)w->obj + 8);
}

static void harm_object_twice(struct world *w)
{
	ops->cache_free(w->b, w->c, w->obj);
	ops->cache_free(w->b, w->c, w->obj);
}

static void test_check_fires(void **state)
{
	static const struct {
		const char *row;
		void (*harm)(struct world *w);
	} cases[] = {
		{"header", harm_header},       {"tiling", harm_tiling},
		{"tiling", harm_pcp_owner},    {"tiling", harm_slab_owner},
		{"free-list", harm_free_loop}, {"free-list", harm_free_lost},
		{"free-list", harm_free_kind}, {"free-map", harm_free_map},
		{"joined", harm_joined},       {"pcp", harm_pcp_count},
		{"pcp", harm_pcp_link},	       {"slab-list", harm_slab_list},
		{"slab-list", harm_slab_lost}, {"objects", harm_live_map},
		{"objects", harm_inuse},       {"objects", harm_link_away},
		{"objects", harm_link_loop},   {"objects", harm_link_short},
		{"objects", harm_link_live},   {"objects", harm_cache_live},
		{"counts", harm_pages},	       {"counts", harm_objects},
		{"counts", harm_held},	       {"misuse", harm_double_free},
		{"misuse", harm_wrong_order},  {"misuse", harm_free_inside},
		{"misuse", harm_object_twice},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world w = {.b = make(NULL)};
		char why[192] = "", want[32];

		w.c = ops->cache_create(w.b, "things", 64, 8);
		w.obj = ops->cache_alloc(w.b, w.c, GFP_KERNEL);
		ops->cache_alloc(w.b, w.c, GFP_KERNEL);
		w.page = ops->page_alloc(w.b, 0, GFP_KERNEL);
		w.block = ops->page_alloc(w.b, 3, GFP_KERNEL);
		assert_sound(w.b);
		cases[i].harm(&w);
		snprintf(want, sizeof(want), "%s: ", cases[i].row);
		if (!ops->check(w.b, why, sizeof(why)) || strncmp(why, want, strlen(want)))
			fail_msg("harm %zu, row %s: '%s'", i, cases[i].row, why);
		ops->destroy(w.b);
	}
}

/* A long deterministic mix, checked throughout, ends as cold as it began. */
static void test_churn(void **state)
{
	static const size_t sizes[] = {8, 24, 96, 200, 713, 4096, 9000};
	struct buddy *b = make(NULL);
	struct {
		void *mem;
		uint32_t kind, gfp;
	} held[300] = {0};
	void *caches[7];
	uint64_t seed = 42;

	(void)state;
	for (size_t i = 0; i < 7; i++)
		caches[i] = ops->cache_create(b, "mixed", sizes[i], 8);
	for (uint32_t i = 0; i < 6000; i++) {
		uint32_t at, kind;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		at = (uint32_t)(seed >> 33) % 300;
		kind = (uint32_t)(seed >> 45) % 18;
		if (held[at].mem && held[at].kind < 11)
			ops->page_free(b, held[at].mem, held[at].kind, held[at].gfp);
		else if (held[at].mem)
			ops->cache_free(b, caches[held[at].kind - 11], held[at].mem);
		held[at].kind = kind;
		held[at].gfp = __GFP_CPU(seed >> 60 & 7) | (seed >> 59 & 1 ? __GFP_TAG : 0);
		if (seed >> 58 & 1)
			held[at].mem = NULL;
		else if (kind < 11)
			held[at].mem = ops->page_alloc(b, kind, held[at].gfp);
		else
			held[at].mem = ops->cache_alloc(b, caches[kind - 11], held[at].gfp);
		if (held[at].mem)
			*(uint64_t *)held[at].mem = seed;
		if (i % 16 == 0)
			assert_sound(b);
		if (i % 500 == 0)
			ops->drop_caches(b);
	}
	for (uint32_t at = 0; at < 300; at++) {
		if (held[at].mem && held[at].kind < 11)
			ops->page_free(b, held[at].mem, held[at].kind, held[at].gfp);
		else if (held[at].mem)
			ops->cache_free(b, caches[held[at].kind - 11], held[at].mem);
	}
	ops->drop_caches(b);
	assert_sound(b);
	assert_int_equal(b->nr_frames, 0);
	ops->destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split_and_join),	cmocka_unit_test(test_pages_by_cpu),
		cmocka_unit_test(test_slab_needs_page), cmocka_unit_test(test_refill_refused),
		cmocka_unit_test(test_large_objects),	cmocka_unit_test(test_exhaustion),
#ifdef FL_ASAN
		cmocka_unit_test(test_poisoning),
#endif
		cmocka_unit_test(test_check_fires),	cmocka_unit_test(test_churn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
