/* SPDX-License-Identifier: GPL-2.0-only */
/* The contract of allocator.h, held against each built-in backend. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <faultline/machine.h>

#include "alloc/san.h"

static void *make(const struct fl_allocator_ops *ops, uint32_t slot, uint64_t limit)
{
	struct fl_allocator_config cfg = {.size = sizeof(cfg), .limit = limit, .slot = slot};
	void *inst = ops->create(&cfg);

	assert_non_null(inst);
	return inst;
}

static void assert_sound(const struct fl_allocator_ops *ops, void *inst)
{
	char why[128] = "";

	if (ops->check(inst, why, sizeof(why)))
		fail_msg("%s: %s", ops->name, why);
}

static void assert_counts(const struct fl_allocator_ops *ops, void *inst, uint64_t pages,
			  uint64_t objects, uint64_t caches)
{
	struct fl_allocator_counts c;

	ops->counts(inst, &c);
	assert_int_equal(c.pages, pages);
	assert_int_equal(c.objects, objects);
	assert_int_equal(c.caches, caches);
	assert_sound(ops, inst);
}

static void assert_zero(const unsigned char *mem, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(mem[i], 0);
}

static void test_find(void **state)
{
	(void)state;
	assert_string_equal(fl_allocator_find("malloc")->name, "malloc");
	assert_string_equal(fl_allocator_find("arena")->name, "arena");
	assert_null(fl_allocator_find("mallo"));
	assert_null(fl_allocator_find(""));
	assert_non_null(fl_allocator_at(0));
	assert_string_equal(fl_allocator_find("buddy")->name, "buddy");
	assert_string_equal(fl_allocator_find("guard")->name, "guard");
	assert_null(fl_allocator_at(4));
	for (unsigned int i = 0; fl_allocator_at(i); i++) {
		const struct fl_allocator_ops *ops = fl_allocator_at(i);
		struct machine_config cfg;
		char why[64];

		/* the values of the machine's option are the backends in this order */
		machine_config_init(&cfg);
		assert_int_equal(machine_config_set(&cfg, "alloc", 5, ops->name, strlen(ops->name),
						    why, sizeof(why)),
				 0);
		assert_int_equal(cfg.alloc, i);
		assert_int_equal(ops->abi, FL_ALLOCATOR_ABI);
		assert_int_equal(ops->size, sizeof(*ops));
		assert_ptr_equal(fl_allocator_find(ops->name), ops);
		assert_int_equal(!ops->snapshot, !ops->restore);
		assert_int_equal(!ops->snapshot, !ops->snapshot_size);
	}
}

static void test_pages(void **state)
{
	const struct fl_allocator_ops *ops = *state;
	void *inst = make(ops, 0, 0);
	void *mem[FL_MAX_ORDER + 1];
	uint64_t pages = 0;

	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int order = 0; order <= FL_MAX_ORDER; order++) {
			size_t size = (size_t)4096 << order;

			mem[order] = ops->page_alloc(inst, order, __GFP_ZERO);
			assert_non_null(mem[order]);
			assert_int_equal((uintptr_t)mem[order] % size, 0);
			assert_zero(mem[order], size);
			memset(mem[order], 0xa5, size);
			pages += (uint64_t)1 << order;
			assert_counts(ops, inst, pages, 0, 0);
		}
		for (unsigned int order = 0; order <= FL_MAX_ORDER; order++) {
			assert_int_equal(*((unsigned char *)mem[order] + 4095), 0xa5);
			ops->page_free(inst, mem[order], order, __GFP_ZERO);
			pages -= (uint64_t)1 << order;
			assert_counts(ops, inst, pages, 0, 0);
		}
	}
	assert_null(ops->page_alloc(inst, FL_MAX_ORDER + 1, GFP_KERNEL));
	assert_counts(ops, inst, 0, 0, 0);
	ops->destroy(inst);
}

static void test_tag_pages(void **state)
{
	const struct fl_allocator_ops *ops = *state;
	void *inst = make(ops, 0, 0);

	for (unsigned int order = 0; order <= FL_MAX_ORDER; order++) {
		size_t size = (size_t)FL_TAG_BYTES << order;

		for (unsigned int round = 0; round < 2; round++) {
			void *mem = ops->page_alloc(inst, order, __GFP_ZERO | __GFP_TAG);

			assert_non_null(mem);
			assert_int_equal((uintptr_t)mem % 16, 0);
			assert_zero(mem, size);
			memset(mem, 0xff, size);
			assert_counts(ops, inst, (uint64_t)1 << order, 0, 0);
			ops->page_free(inst, mem, order, __GFP_ZERO | __GFP_TAG);
		}
	}
	assert_counts(ops, inst, 0, 0, 0);
	ops->destroy(inst);
}

static void test_limit(void **state)
{
	const struct fl_allocator_ops *ops = *state;
	void *inst = make(ops, 0, 4);
	void *a = ops->page_alloc(inst, 1, GFP_KERNEL);
	void *b = ops->page_alloc(inst, 1, GFP_KERNEL | __GFP_TAG);

	assert_non_null(a);
	assert_non_null(b);
	assert_null(ops->page_alloc(inst, 0, GFP_KERNEL));
	assert_counts(ops, inst, 4, 0, 0);
	ops->page_free(inst, a, 1, GFP_KERNEL);
	a = ops->page_alloc(inst, 0, GFP_KERNEL);
	assert_non_null(a);
	assert_null(ops->page_alloc(inst, 1, GFP_KERNEL));
	ops->destroy(inst);
}

static void test_caches(void **state)
{
	static const struct {
		size_t size, align;
	} kinds[] = {{1, 8},	{8, 8},	   {24, 8},    {32, 32},   {40, 8},	    {200, 64},
		     {713, 16}, {4096, 8}, {5000, 64}, {70000, 8}, {1u << 20, 4096}};
	const struct fl_allocator_ops *ops = *state;
	void *inst = make(ops, 0, 0);
	unsigned char *objs[100];

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		size_t n = kinds[k].size > 60000 ? 3 : 100;
		void *cache = ops->cache_create(inst, "things", kinds[k].size, kinds[k].align);

		assert_non_null(cache);
		for (size_t i = 0; i < n; i++) {
			objs[i] = ops->cache_alloc(inst, cache, i % 2 ? __GFP_ZERO : GFP_KERNEL);
			assert_non_null(objs[i]);
			assert_int_equal((uintptr_t)objs[i] % kinds[k].align, 0);
			if (i % 2)
				assert_zero(objs[i], kinds[k].size);
			memset(objs[i], (int)i, kinds[k].size);
		}
		assert_counts(ops, inst, 0, n, 1);
		/* no object overlaps another */
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(objs[i][0], (unsigned char)i);
			assert_int_equal(objs[i][kinds[k].size - 1], (unsigned char)i);
		}
		for (size_t i = 0; i < n; i += 2)
			ops->cache_free(inst, cache, objs[i]);
		assert_int_equal(ops->cache_destroy(inst, cache), -EBUSY);
		ops->drop_caches(inst);
		assert_counts(ops, inst, 0, n / 2, 1);
		for (size_t i = 1; i < n; i += 2)
			assert_int_equal(objs[i][kinds[k].size - 1], (unsigned char)i);
		for (size_t i = 0; i < n; i += 2) {
			objs[i] = ops->cache_alloc(inst, cache, __GFP_ZERO);
			assert_zero(objs[i], kinds[k].size);
		}
		for (size_t i = 0; i < n; i++)
			ops->cache_free(inst, cache, objs[i]);
		assert_int_equal(ops->cache_destroy(inst, cache), 0);
		assert_counts(ops, inst, 0, 0, 0);
	}
	ops->destroy(inst);
}

/* Under LeakSanitizer this also proves that nothing stays behind. */
static void test_destroy_with_live(void **state)
{
	const struct fl_allocator_ops *ops = *state;
	void *inst = make(ops, 0, 0);
	void *cache = ops->cache_create(inst, "left", 100, 8);

	for (unsigned int i = 0; i < 10; i++) {
		assert_non_null(ops->cache_alloc(inst, cache, GFP_KERNEL));
		assert_non_null(ops->page_alloc(inst, 0, GFP_KERNEL));
		assert_non_null(ops->page_alloc(inst, 0, GFP_KERNEL | __GFP_TAG));
	}
	assert_counts(ops, inst, 20, 10, 1);
	ops->destroy(inst);
}

static void test_instances(void **state)
{
	const struct fl_allocator_ops *ops = *state;
	void *inst[3], *cache[3];
	unsigned char *obj[3], *page[3];

	for (unsigned int i = 0; i < 3; i++) {
		inst[i] = make(ops, i, 0);
		cache[i] = ops->cache_create(inst[i], "own", 64, 8);
		obj[i] = ops->cache_alloc(inst[i], cache[i], GFP_KERNEL);
		page[i] = ops->page_alloc(inst[i], 0, GFP_KERNEL);
		memset(obj[i], (int)i, 64);
		memset(page[i], (int)i, 4096);
	}
	ops->destroy(inst[1]);
	inst[1] = make(ops, 1, 0);
	assert_counts(ops, inst[0], 1, 1, 1);
	assert_counts(ops, inst[1], 0, 0, 0);
	assert_counts(ops, inst[2], 1, 1, 1);
	assert_int_equal(obj[0][63], 0);
	assert_int_equal(obj[2][63], 2);
	assert_int_equal(page[2][4095], 2);
	for (unsigned int i = 0; i < 3; i++)
		ops->destroy(inst[i]);
}

static void assert_unsound(const struct fl_allocator_ops *ops, void *inst)
{
	char why[128] = "";

	assert_int_equal(ops->check(inst, why, sizeof(why)), -EUCLEAN);
	assert_true(strlen(why) > 0);
}

/* A wrong free is refused, and check() tells of it. */
static void test_misuse(void **state)
{
	const struct fl_allocator_ops *ops = *state;
	void *inst = make(ops, 0, 0);
	void *a = ops->cache_create(inst, "a", 64, 8), *b = ops->cache_create(inst, "b", 64, 8);
	void *obj = ops->cache_alloc(inst, a, GFP_KERNEL);
	struct fl_allocator_counts c;

	ops->cache_free(inst, b, obj);
	ops->counts(inst, &c);
	assert_int_equal(c.objects, 1);
	assert_unsound(ops, inst);
	ops->destroy(inst);

	inst = make(ops, 0, 0);
	ops->page_free(inst, ops->page_alloc(inst, 1, GFP_KERNEL), 0, GFP_KERNEL);
	assert_unsound(ops, inst);
	ops->destroy(inst);
}

#ifdef FL_ASAN
/* The memory is addressable to its last byte, and not one further; freed memory is not at all. */
static void test_red_zones(void **state)
{
	const struct fl_allocator_ops *ops = *state;
	void *inst = make(ops, 0, 0);
	void *cache = ops->cache_create(inst, "odd", 45, 8);
	char *obj = ops->cache_alloc(inst, cache, GFP_KERNEL);
	char *page = ops->page_alloc(inst, 0, GFP_KERNEL);
	char *tag = ops->page_alloc(inst, 0, GFP_KERNEL | __GFP_TAG);

	assert_null(__asan_region_is_poisoned(obj, 45));
	assert_true(__asan_address_is_poisoned(obj + 45));
	assert_true(__asan_address_is_poisoned(obj - 1));
	assert_null(__asan_region_is_poisoned(page, 4096));
	assert_true(__asan_address_is_poisoned(page - 1));
	assert_null(__asan_region_is_poisoned(tag, FL_TAG_BYTES));
	assert_true(__asan_address_is_poisoned(tag + FL_TAG_BYTES));
	assert_true(__asan_address_is_poisoned(tag - 1));
	ops->cache_free(inst, cache, obj);
	ops->page_free(inst, page, 0, GFP_KERNEL);
	assert_true(__asan_address_is_poisoned(obj));
	assert_true(__asan_address_is_poisoned(page + 4095));
	ops->destroy(inst);
}
#endif

/* A deterministic mix of everything; returns a hash of offsets within the slot. */
static uint64_t churn(const struct fl_allocator_ops *ops, void *inst, void *cache, uint64_t seed,
		      void **held, unsigned int *nr_held, unsigned int max)
{
	uint64_t hash = 0;

	for (unsigned int i = 0; i < 400; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		if ((seed >> 33) % 3 && *nr_held < max) {
			void *obj = ops->cache_alloc(inst, cache, __GFP_ZERO);

			held[(*nr_held)++] = obj;
			hash = hash * 31 + (uint64_t)((char *)obj - (char *)inst);
		} else if (*nr_held) {
			ops->cache_free(inst, cache, held[--*nr_held]);
		}
		if ((seed >> 40) % 5 == 0) {
			unsigned int order = (unsigned int)(seed >> 50) % 4;
			uint32_t gfp = seed >> 60 & 1 ? __GFP_TAG | __GFP_ZERO : __GFP_ZERO;
			char *page = ops->page_alloc(inst, order, gfp);

			hash = hash * 31 + (uint64_t)(page - (char *)inst);
			page[0] = (char)i;
			if (seed >> 61 & 1)
				ops->page_free(inst, page, order, gfp);
		}
	}
	return hash;
}

#define HELD 256u

static void test_snapshot(void **state)
{
	const struct fl_allocator_ops *ops = fl_allocator_find("arena");
	void *inst = make(ops, 3, 0), *held[HELD], *held_then[HELD];
	void *cache = ops->cache_create(inst, "objs", 72, 8);
	unsigned int n = 0, n_then;
	unsigned char *snap, *again;
	size_t len;
	uint64_t hash;

	(void)state;
	churn(ops, inst, cache, 1, held, &n, HELD);
	for (unsigned int i = 0; i < n; i++)
		memset(held[i], (int)i, 72);
	memcpy(held_then, held, sizeof(held));
	n_then = n;

	len = ops->snapshot_size(inst);
	snap = calloc(1, len);
	again = calloc(1, len);
	assert_int_equal(ops->snapshot(inst, snap, len - 1), 0);
	assert_int_equal(ops->snapshot(inst, snap, len), len);
	assert_sound(ops, inst);

	hash = churn(ops, inst, cache, 2, held, &n, HELD);
	for (unsigned int i = 0; i < n; i++)
		memset(held[i], 0xee, 72);
	assert_sound(ops, inst);

	assert_int_equal(ops->restore(inst, snap, len), 0);
	assert_sound(ops, inst);
	assert_int_equal(ops->snapshot_size(inst), len);
	assert_int_equal(ops->snapshot(inst, again, len), len);
#ifndef FL_MSAN /* compares padding and garbage too */
	assert_memory_equal(snap, again, len);
#endif
	for (unsigned int i = 0; i < n_then; i++)
		assert_int_equal(*((unsigned char *)held_then[i] + 71), (unsigned char)i);

	/* the future is the same, too */
	memcpy(held, held_then, sizeof(held));
	n = n_then;
	assert_true(churn(ops, inst, cache, 2, held, &n, HELD) == hash);
	assert_sound(ops, inst);

	snap[0] ^= 1;
	assert_int_equal(ops->restore(inst, snap, len), -EINVAL);
	assert_sound(ops, inst);
	free(snap);
	free(again);
	ops->destroy(inst);
}

/* What a snapshot holds outlives the instance, but belongs to its slot. */
static void test_snapshot_of_the_slot(void **state)
{
	const struct fl_allocator_ops *ops = fl_allocator_find("arena");
	void *inst = make(ops, 3, 0), *other = make(ops, 4, 0), *cache, *snap;
	unsigned char *obj, *page;
	size_t len;

	(void)state;
	cache = ops->cache_create(inst, "objs", 72, 8);
	obj = ops->cache_alloc(inst, cache, GFP_KERNEL);
	page = ops->page_alloc(inst, 4, GFP_KERNEL);
	memset(obj, 0x11, 72);
	memset(page, 0x22, (size_t)4096 << 4);
	len = ops->snapshot_size(inst);
	snap = malloc(len);
	assert_int_equal(ops->snapshot(inst, snap, len), len);
	ops->destroy(inst);

	inst = make(ops, 3, 0);
	assert_int_equal(ops->restore(other, snap, len), -EINVAL);
	assert_int_equal(ops->restore(inst, snap, len - 1), -EINVAL);
	assert_counts(ops, inst, 0, 0, 0);
	assert_int_equal(ops->restore(inst, snap, len), 0);
	assert_counts(ops, inst, 16, 1, 1);
	assert_int_equal(obj[71], 0x11);
	assert_int_equal(page[((size_t)4096 << 4) - 1], 0x22);
#ifdef FL_ASAN
	assert_true(__asan_address_is_poisoned(obj + 72));
	assert_null(__asan_region_is_poisoned(page, (size_t)4096 << 4));
#endif
	/* damage does not stand in the way */
	memset(inst, 0xff, 256);
	assert_int_equal(ops->restore(inst, snap, len), 0);
	ops->cache_free(inst, cache, obj);
	ops->page_free(inst, page, 4, GFP_KERNEL);
	assert_counts(ops, inst, 0, 0, 1);
	free(snap);
	ops->destroy(inst);
	ops->destroy(other);
}

/* Two instances that see the same requests give the same places, also after a drop. */
static void test_arena_deterministic(void **state)
{
	const struct fl_allocator_ops *ops = fl_allocator_find("arena");
	uint64_t hash[2];

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		void *inst = make(ops, 5 + i, 0), *held[HELD];
		void *cache = ops->cache_create(inst, "objs", 72, 8);
		unsigned int n = 0;

		hash[i] = churn(ops, inst, cache, 7, held, &n, HELD);
		ops->drop_caches(inst);
		assert_sound(ops, inst);
		hash[i] ^= churn(ops, inst, cache, 8, held, &n, HELD);
		while (n)
			ops->cache_free(inst, cache, held[--n]);
		assert_sound(ops, inst);
		ops->destroy(inst);
	}
	assert_true(hash[0] == hash[1]);
}

/* Cold is cold: what an instance did before it was emptied leaves no trace. */
static void test_arena_drop_is_cold(void **state)
{
	const struct fl_allocator_ops *ops = fl_allocator_find("arena");
	void *inst = make(ops, 0, 0), *held[HELD], *cache;
	size_t cold = ops->snapshot_size(inst);
	unsigned int n = 0;

	(void)state;
	cache = ops->cache_create(inst, "objs", 72, 8);
	for (n = 0; n < HELD; n++)
		held[n] = ops->cache_alloc(inst, cache, GFP_KERNEL);
	ops->page_free(inst, ops->page_alloc(inst, 5, GFP_KERNEL), 5, GFP_KERNEL);
	assert_true(ops->snapshot_size(inst) > cold);
	while (n)
		ops->cache_free(inst, cache, held[--n]);
	ops->drop_caches(inst);
	assert_int_equal(ops->snapshot_size(inst), cold);
	ops->destroy(inst);
}

static void test_arena_slots(void **state)
{
	const struct fl_allocator_ops *ops = fl_allocator_find("arena");
	struct fl_allocator_config cfg = {.size = sizeof(cfg), .slot = 9};
	void *inst = ops->create(&cfg), *page;

	(void)state;
	assert_true((uintptr_t)inst == 0x551000000000u + 9 * ((uintptr_t)4 << 30));
	page = ops->page_alloc(inst, 0, __GFP_ZERO);
	memset(page, 0xff, 4096);
	assert_null(ops->create(&cfg)); /* taken */
	ops->destroy(inst);
	inst = ops->create(&cfg);
	assert_non_null(inst);
	assert_ptr_equal(ops->page_alloc(inst, 0, __GFP_ZERO), page);
	assert_zero(page, 4096);
	ops->destroy(inst);
	cfg.slot = 64;
	assert_null(ops->create(&cfg));
}

static int pick_malloc(void **state)
{
	*state = (void *)(uintptr_t)fl_allocator_find("malloc");
	return 0;
}

static int pick_arena(void **state)
{
	*state = (void *)(uintptr_t)fl_allocator_find("arena");
	return 0;
}

static int pick_buddy(void **state)
{
	*state = (void *)(uintptr_t)fl_allocator_find("buddy");
	return 0;
}

static int pick_guard(void **state)
{
	*state = (void *)(uintptr_t)fl_allocator_find("guard");
	return 0;
}

#define BOTH(f) EACH_(f, malloc), EACH_(f, arena)
#define ALL(f)	BOTH(f), EACH_(f, buddy), EACH_(f, guard)
#define EACH_(f, name)                                   \
	{                                                \
#f "/" #name, f, pick_##name, NULL, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		ALL(test_pages),
		ALL(test_tag_pages),
		ALL(test_limit),
		ALL(test_caches),
		ALL(test_destroy_with_live),
		ALL(test_instances),
		ALL(test_misuse),
#ifdef FL_ASAN
		BOTH(test_red_zones),
#endif
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_snapshot_of_the_slot),
		cmocka_unit_test(test_arena_deterministic),
		cmocka_unit_test(test_arena_drop_is_cold),
		cmocka_unit_test(test_arena_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
