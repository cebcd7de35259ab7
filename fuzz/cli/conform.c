/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The conformance suite. Every check begins with an instance of its own and ends at the first thing
 * that is wrong; the next one may not rely on what it left.
 */
#include "conform.h"

#include "alloc/san.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES ((size_t)4096)

__attribute__((format(printf, 2, 3))) static void wrong(struct conform *c, const char *fmt, ...)
{
	va_list ap;

	if (c->wrong)
		return;
	c->wrong = true;
	va_start(ap, fmt);
	vsnprintf(c->what, sizeof(c->what), fmt, ap);
	va_end(ap);
}

/* Says what is wrong, and ends the check. */
#define REQUIRE(c, cond, ...)                    \
	do {                                     \
		if (!(cond)) {                   \
			wrong((c), __VA_ARGS__); \
			return;                  \
		}                                \
	} while (0)

/* After a helper that may have found something. */
#define STOP_IF_WRONG(c)        \
	do {                    \
		if ((c)->wrong) \
			return; \
	} while (0)

static void *make(struct conform *c, uint32_t slot, uint64_t limit)
{
	const struct fl_allocator_config cfg = {.size = sizeof(cfg), .slot = slot, .limit = limit};
	void *inst = c->ops->create(&cfg);

	if (!inst)
		wrong(c, "create() gives no instance (slot %" PRIu32 ", limit %" PRIu64 ")", slot,
		      limit);
	return inst;
}

static void expect_sound(struct conform *c, void *inst, const char *when)
{
	char why[128] = "";
	int err = c->ops->check(inst, why, sizeof(why));

	if (err)
		wrong(c, "check() says %d%s%.128s %s", err, why[0] ? ": " : "", why, when);
}

static void expect_counts(struct conform *c, void *inst, uint64_t pages, uint64_t objects,
			  uint64_t caches, const char *when)
{
	struct fl_allocator_counts n = {0};

	c->ops->counts(inst, &n);
	if (n.pages != pages)
		wrong(c, "counts() says %" PRIu64 " pages %s, and there are %" PRIu64, n.pages,
		      when, pages);
	if (n.objects != objects)
		wrong(c, "counts() says %" PRIu64 " objects %s, and there are %" PRIu64, n.objects,
		      when, objects);
	if (n.caches != caches)
		wrong(c, "counts() says %" PRIu64 " caches %s, and there are %" PRIu64, n.caches,
		      when, caches);
	if (!c->wrong)
		expect_sound(c, inst, when);
}

static size_t page_bytes(unsigned int order, uint32_t gfp)
{
	return (gfp & __GFP_TAG ? (size_t)FL_TAG_BYTES : PAGE_BYTES) << order;
}

static void *get_page(struct conform *c, void *inst, unsigned int order, uint32_t gfp)
{
	void *mem = c->ops->page_alloc(inst, order, gfp);

	if (!mem)
		wrong(c, "page_alloc() of order %u%s gives nothing", order,
		      gfp & __GFP_TAG ? " with __GFP_TAG" : "");
	return mem;
}

static void *get_cache(struct conform *c, void *inst, size_t size, size_t align)
{
	void *cache = c->ops->cache_create(inst, "alloc-check", size, align);

	if (!cache)
		wrong(c, "cache_create() for %zu bytes, aligned to %zu, gives nothing", size,
		      align);
	return cache;
}

static void *get_object(struct conform *c, void *inst, void *cache, uint32_t gfp)
{
	void *obj = c->ops->cache_alloc(inst, cache, gfp);

	if (!obj)
		wrong(c, "cache_alloc() gives nothing");
	return obj;
}

/* Bytes that a place can be told from others by. */
static void sign(void *mem, size_t len, uint32_t key)
{
	unsigned char *p = mem;

	for (size_t i = 0; i < len; i++)
		p[i] = (unsigned char)(key * 167 + i * 13 + 1);
}

static size_t signed_until(const void *mem, size_t len, uint32_t key)
{
	const unsigned char *p = mem;
	size_t i = 0;

	while (i < len && p[i] == (unsigned char)(key * 167 + i * 13 + 1))
		i++;
	return i;
}

static size_t zero_until(const void *mem, size_t len)
{
	const unsigned char *p = mem;
	size_t i = 0;

	while (i < len && !p[i])
		i++;
	return i;
}

/* ---- pages ---------------------------------------------------------------------------------- */

static void check_orders(struct conform *c)
{
	const struct fl_allocator_ops *ops = c->ops;
	void *mem[FL_MAX_ORDER + 1];

	for (unsigned int tag = 0; tag < 2; tag++) {
		uint32_t gfp = tag ? __GFP_TAG : GFP_KERNEL;

		for (unsigned int o = 0; o <= FL_MAX_ORDER; o++) {
			mem[o] = get_page(c, c->inst, o, gfp);
			STOP_IF_WRONG(c);
			memset(mem[o], 0x5a, page_bytes(o, gfp));
		}
		for (unsigned int o = 0; o <= FL_MAX_ORDER; o++)
			ops->page_free(c->inst, mem[o], o, gfp);
	}
	REQUIRE(c, !ops->page_alloc(c->inst, FL_MAX_ORDER + 1, GFP_KERNEL),
		"page_alloc() of order %u gives something; the largest is %u", FL_MAX_ORDER + 1,
		FL_MAX_ORDER);
	expect_counts(c, c->inst, 0, 0, 0, "after a request that cannot be");
}

static void check_page_align(struct conform *c)
{
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int o = 0; o <= FL_MAX_ORDER; o++) {
			uintptr_t at = (uintptr_t)get_page(c, c->inst, o, GFP_KERNEL);
			size_t off;

			STOP_IF_WRONG(c);
			off = at & (page_bytes(o, 0) - 1);
			REQUIRE(c, !off, "a block of order %u begins %zu bytes past its alignment",
				o, off);
			at = (uintptr_t)get_page(c, c->inst, o, __GFP_TAG);
			STOP_IF_WRONG(c);
			REQUIRE(c, !(at % FL_TAG_BYTES),
				"a block of order %u with __GFP_TAG is not aligned to %u", o,
				FL_TAG_BYTES);
		}
	}
}

static void check_page_zero(struct conform *c)
{
	const struct fl_allocator_ops *ops = c->ops;

	for (unsigned int tag = 0; tag < 2; tag++) {
		uint32_t gfp = tag ? __GFP_TAG : GFP_KERNEL;

		for (unsigned int o = 0; o <= FL_MAX_ORDER; o++) {
			size_t len = page_bytes(o, gfp), at;
			void *mem;

			for (unsigned int round = 0; round < 3; round++) {
				mem = get_page(c, c->inst, o, gfp | (round ? __GFP_ZERO : 0));
				STOP_IF_WRONG(c);
				at = round ? zero_until(mem, len) : len;
				REQUIRE(c, at == len,
					"byte %zu of a block of order %u%s with __GFP_ZERO is "
					"not zero",
					at, o, tag ? " with __GFP_TAG" : "");
				memset(mem, 0xa5, len);
				ops->page_free(c->inst, mem, o, gfp | (round ? __GFP_ZERO : 0));
			}
		}
	}
}

static void check_page_overlap(struct conform *c)
{
	enum {
		NR = 120
	};
	struct {
		void *mem;
		unsigned int order;
		uint32_t gfp;
	} b[NR];

	for (uint32_t i = 0; i < NR; i++) {
		b[i].order = i % 7;
		b[i].gfp = i % 3 == 2 ? __GFP_TAG : GFP_KERNEL;
		b[i].mem = get_page(c, c->inst, b[i].order, b[i].gfp);
		STOP_IF_WRONG(c);
		sign(b[i].mem, page_bytes(b[i].order, b[i].gfp), i);
	}
	for (uint32_t i = 0; i < NR; i++) {
		size_t len = page_bytes(b[i].order, b[i].gfp);
		size_t at = signed_until(b[i].mem, len, i);

		REQUIRE(c, at == len,
			"byte %zu of a live block of order %u was overwritten by another one", at,
			b[i].order);
	}
}

static void check_page_counts(struct conform *c)
{
	const struct fl_allocator_ops *ops = c->ops;
	void *mem[FL_MAX_ORDER + 1];
	uint64_t pages = 0;

	expect_counts(c, c->inst, 0, 0, 0, "of a new instance");
	for (unsigned int o = 0; o <= FL_MAX_ORDER; o++) {
		mem[o] = get_page(c, c->inst, o, o % 2 ? __GFP_TAG : GFP_KERNEL);
		pages += (uint64_t)1 << o;
		STOP_IF_WRONG(c);
		expect_counts(c, c->inst, pages, 0, 0, "after page_alloc()");
		STOP_IF_WRONG(c);
	}
	for (unsigned int o = 0; o <= FL_MAX_ORDER; o++) {
		ops->page_free(c->inst, mem[o], o, o % 2 ? __GFP_TAG : GFP_KERNEL);
		pages -= (uint64_t)1 << o;
		expect_counts(c, c->inst, pages, 0, 0, "after page_free()");
		STOP_IF_WRONG(c);
	}
}

/* Bits that the contract does not have yet, and CPUs, change nothing. */
static void check_unknown_flags(struct conform *c)
{
	const uint32_t odd = 0x00ff0000u | __GFP_REPEAT | __GFP_HIGH | __GFP_NOFAIL;
	void *cache = get_cache(c, c->inst, 40, 8), *obj, *mem;

	STOP_IF_WRONG(c);
	for (uint32_t cpu = 0; cpu < 8; cpu++) {
		uint32_t gfp = odd | __GFP_CPU(cpu);

		mem = get_page(c, c->inst, 0, gfp | __GFP_ZERO);
		STOP_IF_WRONG(c);
		REQUIRE(c, zero_until(mem, PAGE_BYTES) == PAGE_BYTES,
			"with flags 0x%" PRIx32 " a page is not zeroed", gfp | __GFP_ZERO);
		obj = get_object(c, c->inst, cache, gfp);
		STOP_IF_WRONG(c);
		/* it may well be another CPU that frees */
		c->ops->page_free(c->inst, mem, 0, odd | __GFP_ZERO | __GFP_CPU(7 - cpu));
		c->ops->cache_free(c->inst, cache, obj);
	}
	expect_counts(c, c->inst, 0, 0, 1, "after requests with unknown flags");
}

/* ---- objects -------------------------------------------------------------------------------- */

static const struct kind {
	size_t size, align;
} kinds[] = {{1, 8},	{8, 8},	   {24, 8},    {32, 32}, {45, 8},      {200, 64},
	     {713, 16}, {4096, 8}, {5000, 64}, {24, 64}, {4096, 4096}, {70000, 8}};

#define NR_OBJECTS 100u

static void check_object_align(struct conform *c)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		void *cache = get_cache(c, c->inst, kinds[k].size, kinds[k].align);

		STOP_IF_WRONG(c);
		for (unsigned int i = 0; i < NR_OBJECTS; i++) {
			uintptr_t at = (uintptr_t)get_object(c, c->inst, cache, GFP_KERNEL);

			STOP_IF_WRONG(c);
			REQUIRE(c, !(at % kinds[k].align),
				"object %u of %zu bytes is not aligned to %zu", i, kinds[k].size,
				kinds[k].align);
		}
	}
}

static void check_object_zero(struct conform *c)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		size_t size = kinds[k].size, at;
		void *cache = get_cache(c, c->inst, size, kinds[k].align), *obj[8];

		STOP_IF_WRONG(c);
		for (unsigned int round = 0; round < 3; round++) {
			for (unsigned int i = 0; i < 8; i++) {
				obj[i] = get_object(c, c->inst, cache, round ? __GFP_ZERO : 0);
				STOP_IF_WRONG(c);
				at = round ? zero_until(obj[i], size) : size;
				REQUIRE(c, at == size,
					"byte %zu of an object of %zu with __GFP_ZERO is not zero",
					at, size);
				memset(obj[i], 0xa5, size);
			}
			for (unsigned int i = 0; i < 8; i++)
				c->ops->cache_free(c->inst, cache, obj[i]);
		}
	}
}

static void check_object_overlap(struct conform *c)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		size_t size = kinds[k].size;
		void *cache = get_cache(c, c->inst, size, kinds[k].align), *obj[NR_OBJECTS];

		STOP_IF_WRONG(c);
		for (uint32_t i = 0; i < NR_OBJECTS; i++) {
			obj[i] = get_object(c, c->inst, cache, GFP_KERNEL);
			STOP_IF_WRONG(c);
			sign(obj[i], size, i);
		}
		/* and what is freed takes nothing of its neighbours with it */
		for (uint32_t i = 0; i < NR_OBJECTS; i += 2)
			c->ops->cache_free(c->inst, cache, obj[i]);
		for (uint32_t i = 1; i < NR_OBJECTS; i += 2) {
			size_t at = signed_until(obj[i], size, i);

			REQUIRE(c, at == size,
				"byte %zu of a live object of %zu was overwritten by another one",
				at, size);
		}
	}
}

static void check_object_counts(struct conform *c)
{
	void *cache[2], *obj[20];

	for (unsigned int i = 0; i < 2; i++) {
		cache[i] = get_cache(c, c->inst, 64, 8);
		STOP_IF_WRONG(c);
		expect_counts(c, c->inst, 0, 0, i + 1, "after cache_create()");
	}
	STOP_IF_WRONG(c);
	REQUIRE(c, cache[0] != cache[1], "two caches are one");
	for (unsigned int i = 0; i < 20; i++) {
		obj[i] = get_object(c, c->inst, cache[i % 2], GFP_KERNEL);
		STOP_IF_WRONG(c);
		expect_counts(c, c->inst, 0, i + 1, 2, "after cache_alloc()");
		STOP_IF_WRONG(c);
	}
	for (unsigned int i = 0; i < 20; i++) {
		c->ops->cache_free(c->inst, cache[i % 2], obj[i]);
		expect_counts(c, c->inst, 0, 19 - i, 2, "after cache_free()");
		STOP_IF_WRONG(c);
	}
	for (unsigned int i = 0; i < 2; i++) {
		int err = c->ops->cache_destroy(c->inst, cache[i]);

		REQUIRE(c, !err, "cache_destroy() of an empty cache says %d", err);
		expect_counts(c, c->inst, 0, 0, 1 - i, "after cache_destroy()");
	}
}

static void check_destroy_live_cache(struct conform *c)
{
	void *cache = get_cache(c, c->inst, 100, 8), *obj[5];
	int err;

	STOP_IF_WRONG(c);
	for (uint32_t i = 0; i < 5; i++) {
		obj[i] = get_object(c, c->inst, cache, GFP_KERNEL);
		STOP_IF_WRONG(c);
		sign(obj[i], 100, i);
	}
	for (uint32_t i = 0; i < 5; i++) {
		err = c->ops->cache_destroy(c->inst, cache);
		REQUIRE(c, err == -EBUSY,
			"cache_destroy() of a cache with %" PRIu32 " live objects says %d, not %d",
			5 - i, err, -EBUSY);
		expect_counts(c, c->inst, 0, 5 - i, 1, "after cache_destroy() was refused");
		STOP_IF_WRONG(c);
		REQUIRE(c, signed_until(obj[i], 100, i) == 100,
			"cache_destroy() was refused, and has changed a live object");
		c->ops->cache_free(c->inst, cache, obj[i]);
	}
	err = c->ops->cache_destroy(c->inst, cache);
	REQUIRE(c, !err, "cache_destroy() after the last object has gone says %d", err);
	expect_counts(c, c->inst, 0, 0, 0, "after cache_destroy()");
}

/* A size that nobody has: nothing, and no cache that can never give an object. */
static void check_absurd_cache(struct conform *c)
{
	void *cache = c->ops->cache_create(c->inst, "absurd", (size_t)1 << 40, 8);

	if (cache) {
		void *obj = c->ops->cache_alloc(c->inst, cache, GFP_KERNEL);

		REQUIRE(c, !obj, "an object of 2^40 bytes was given out");
		expect_counts(c, c->inst, 0, 0, 1, "after an object that cannot be");
		return;
	}
	expect_counts(c, c->inst, 0, 0, 0, "after a cache that cannot be");
}

/* ---- the instance --------------------------------------------------------------------------- */

static void check_limit(struct conform *c)
{
	enum {
		LIMIT = 64,
		MOST = 256
	};
	void *inst = make(c, 1, LIMIT), *mem[MOST], *more;
	uint32_t nr = 0;

	STOP_IF_WRONG(c);
	while (nr < MOST) {
		mem[nr] = c->ops->page_alloc(inst, 0, nr % 2 ? __GFP_TAG : GFP_KERNEL);
		if (!mem[nr])
			break;
		sign(mem[nr], page_bytes(0, nr % 2 ? __GFP_TAG : 0), nr);
		nr++;
	}
	if (nr == MOST) {
		c->skipped = true;
		snprintf(c->what, sizeof(c->what), "it does not keep to the limit, as it may");
		c->ops->destroy(inst);
		return;
	}
	REQUIRE(c, nr <= LIMIT, "%" PRIu32 " pages under a limit of %u", nr, LIMIT);
	REQUIRE(c, nr == LIMIT, "only %" PRIu32 " pages under a limit of %u", nr, LIMIT);
	expect_counts(c, inst, nr, 0, 0, "when there is no more");
	STOP_IF_WRONG(c);
	for (uint32_t i = 0; i < nr; i++)
		REQUIRE(c, signed_until(mem[i], FL_TAG_BYTES, i) == FL_TAG_BYTES,
			"when there is no more, page %" PRIu32 " is overwritten", i);
	c->ops->page_free(inst, mem[0], 0, GFP_KERNEL);
	more = c->ops->page_alloc(inst, 0, GFP_KERNEL);
	REQUIRE(c, more, "a page was freed, and cannot be had again");
	REQUIRE(c, !c->ops->page_alloc(inst, 1, GFP_KERNEL), "two pages beyond the limit");
	expect_counts(c, inst, nr, 0, 0, "at the limit");
	c->ops->destroy(inst);
}

static void check_drop_caches(struct conform *c)
{
	void *cache = get_cache(c, c->inst, 200, 8), *obj[60], *page[20];
	uint64_t pages = 0;

	STOP_IF_WRONG(c);
	c->ops->drop_caches(c->inst);
	expect_counts(c, c->inst, 0, 0, 1, "after drop_caches() of a new instance");
	for (uint32_t i = 0; i < 60; i++) {
		obj[i] = get_object(c, c->inst, cache, GFP_KERNEL);
		STOP_IF_WRONG(c);
		sign(obj[i], 200, i);
	}
	for (uint32_t i = 0; i < 20; i++) {
		page[i] = get_page(c, c->inst, i % 3, GFP_KERNEL);
		STOP_IF_WRONG(c);
		sign(page[i], page_bytes(i % 3, 0), i);
		pages += i % 2 << i % 3; /* the others go */
	}
	for (uint32_t i = 0; i < 60; i += 2)
		c->ops->cache_free(c->inst, cache, obj[i]);
	for (uint32_t i = 0; i < 20; i += 2)
		c->ops->page_free(c->inst, page[i], i % 3, GFP_KERNEL);
	for (unsigned int round = 0; round < 2; round++) {
		c->ops->drop_caches(c->inst);
		expect_counts(c, c->inst, pages, 30, 1, "after drop_caches()");
		STOP_IF_WRONG(c);
	}
	for (uint32_t i = 1; i < 60; i += 2)
		REQUIRE(c, signed_until(obj[i], 200, i) == 200,
			"drop_caches() has changed a live object");
	for (uint32_t i = 1; i < 20; i += 2)
		REQUIRE(c, signed_until(page[i], page_bytes(i % 3, 0), i) == page_bytes(i % 3, 0),
			"drop_caches() has changed a live page");
	for (uint32_t i = 0; i < 60; i += 2) {
		obj[i] = get_object(c, c->inst, cache, GFP_KERNEL);
		STOP_IF_WRONG(c);
	}
	expect_counts(c, c->inst, pages, 60, 1, "after drop_caches() and cache_alloc()");
}

static void check_instances(struct conform *c)
{
	enum {
		NR = 3
	};
	void *inst[NR], *cache[NR], *obj[NR], *page[NR];

	for (uint32_t i = 0; i < NR; i++) {
		inst[i] = make(c, i + 1, 0);
		STOP_IF_WRONG(c);
		cache[i] = get_cache(c, inst[i], 64, 8);
		STOP_IF_WRONG(c);
		obj[i] = get_object(c, inst[i], cache[i], GFP_KERNEL);
		page[i] = get_page(c, inst[i], 1, GFP_KERNEL);
		STOP_IF_WRONG(c);
		sign(obj[i], 64, i);
		sign(page[i], page_bytes(1, 0), i);
	}
	for (uint32_t i = 0; i < NR; i++)
		expect_counts(c, inst[i], 2, 1, 1, "of one of three instances");
	STOP_IF_WRONG(c);
	c->ops->destroy(inst[1]);
	inst[1] = make(c, 2, 0);
	STOP_IF_WRONG(c);
	expect_counts(c, inst[1], 0, 0, 0, "of an instance in another's place");
	for (uint32_t i = 0; i < NR; i += 2) {
		expect_counts(c, inst[i], 2, 1, 1, "after another instance was destroyed");
		STOP_IF_WRONG(c);
		REQUIRE(c,
			signed_until(obj[i], 64, i) == 64 &&
				signed_until(page[i], page_bytes(1, 0), i) == page_bytes(1, 0),
			"what one instance does changes the memory of another");
		c->ops->cache_free(inst[i], cache[i], obj[i]);
		c->ops->page_free(inst[i], page[i], 1, GFP_KERNEL);
		expect_counts(c, inst[i], 0, 0, 1, "after another instance was destroyed");
	}
	for (uint32_t i = 0; i < NR; i++)
		c->ops->destroy(inst[i]);
}

static void check_destroy_live(struct conform *c)
{
	for (unsigned int round = 0; round < 3; round++) {
		void *inst = make(c, 1, 0), *cache;

		STOP_IF_WRONG(c);
		cache = get_cache(c, inst, 300, 8);
		for (unsigned int i = 0; i < 50 && !c->wrong; i++) {
			get_object(c, inst, cache, GFP_KERNEL);
			get_page(c, inst, i % 4, i % 2 ? __GFP_TAG : GFP_KERNEL);
		}
		STOP_IF_WRONG(c);
		c->ops->destroy(inst);
	}
}

static size_t resident(void)
{
	unsigned long all = 0, here = 0;
	FILE *in = fopen("/proc/self/statm", "r");

	if (!in)
		return 0;
	if (fscanf(in, "%lu %lu", &all, &here) != 2)
		here = 0;
	fclose(in);
	return here * PAGE_BYTES;
}

#define BOUND ((size_t)96 << 20)

/* Instances and blocks come and go: four times what the bound allows. */
static void check_gives_back(struct conform *c)
{
	size_t before = resident();

#if defined(FL_ASAN) || defined(FL_MSAN)
	c->skipped = true;
	snprintf(c->what, sizeof(c->what), "a sanitizer holds back what is freed");
	return;
#endif
	for (unsigned int i = 0; i < 100; i++) {
		void *inst = make(c, 1, 0), *mem;

		STOP_IF_WRONG(c);
		mem = get_page(c, inst, FL_MAX_ORDER, GFP_KERNEL);
		STOP_IF_WRONG(c);
		memset(mem, 1, page_bytes(FL_MAX_ORDER, 0));
		c->ops->destroy(inst);
		REQUIRE(c, resident() < before + BOUND,
			"destroy() does not give back what was still allocated: %zu MiB after %u "
			"instances",
			(resident() - before) >> 20, i + 1);
	}
	before = resident();
	for (unsigned int i = 0; i < 100; i++) {
		void *mem = get_page(c, c->inst, FL_MAX_ORDER, GFP_KERNEL);

		STOP_IF_WRONG(c);
		memset(mem, 1, page_bytes(FL_MAX_ORDER, 0));
		c->ops->page_free(c->inst, mem, FL_MAX_ORDER, GFP_KERNEL);
		REQUIRE(c, resident() < before + BOUND,
			"page_free() does not give back: %zu MiB after %u blocks",
			(resident() - before) >> 20, i + 1);
	}
}

/* ---- everything at once --------------------------------------------------------------------- */

struct held {
	void *mem;
	size_t len;
	uint32_t kind, gfp, key; /* kind: 0-4 an order, then a cache */
};

#define MIX_CACHES 4u
#define MIX_HELD   200u

static uint64_t draw(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

static void put_held(struct conform *c, void *inst, void *const *caches, struct held *h)
{
	size_t at = signed_until(h->mem, h->len, h->key);

	REQUIRE(c, at == h->len, "in a long mix byte %zu of %zu was overwritten by somebody else",
		at, h->len);
	if (h->kind < 5)
		c->ops->page_free(inst, h->mem, h->kind, h->gfp);
	else
		c->ops->cache_free(inst, caches[h->kind - 5], h->mem);
	h->mem = NULL;
}

static void check_mix(struct conform *c)
{
	static const size_t sizes[MIX_CACHES] = {16, 88, 520, 4000};
	struct held held[MIX_HELD] = {0};
	void *caches[MIX_CACHES];
	uint64_t seed = 5, pages = 0, objects = 0;

	for (unsigned int i = 0; i < MIX_CACHES; i++) {
		caches[i] = get_cache(c, c->inst, sizes[i], 8);
		STOP_IF_WRONG(c);
	}
	for (uint32_t i = 0; i < 20000; i++) {
		struct held *h = &held[draw(&seed) % MIX_HELD];

		if (h->mem) {
			pages -= h->kind < 5 ? (uint64_t)1 << h->kind : 0;
			objects -= h->kind >= 5;
			put_held(c, c->inst, caches, h);
			STOP_IF_WRONG(c);
			continue;
		}
		h->kind = (uint32_t)draw(&seed) % 9;
		h->gfp = draw(&seed) & 1 ? __GFP_TAG : GFP_KERNEL;
		h->key = i;
		if (h->kind < 5) {
			h->mem = get_page(c, c->inst, h->kind, h->gfp);
			h->len = page_bytes(h->kind, h->gfp);
			pages += (uint64_t)1 << h->kind;
		} else {
			h->mem = get_object(c, c->inst, caches[h->kind - 5], GFP_KERNEL);
			h->len = sizes[h->kind - 5];
			objects++;
		}
		STOP_IF_WRONG(c);
		sign(h->mem, h->len, h->key);
		if (i % 1000 == 0) {
			c->ops->drop_caches(c->inst);
			expect_counts(c, c->inst, pages, objects, MIX_CACHES, "in a long mix");
			STOP_IF_WRONG(c);
		}
	}
	for (uint32_t i = 0; i < MIX_HELD; i++) {
		if (held[i].mem)
			put_held(c, c->inst, caches, &held[i]);
		STOP_IF_WRONG(c);
	}
	expect_counts(c, c->inst, 0, 0, MIX_CACHES, "at the end of a long mix");
}

/* What succeeds and what does not, of the same requests, as one number. */
static uint64_t outcomes(struct conform *c, void *inst)
{
	void *page[40] = {0}, *cache = get_cache(c, inst, 120, 8), *obj[40] = {0};
	uint64_t seed = 11, sum = 0;

	for (uint32_t i = 0; i < 2000 && !c->wrong; i++) {
		uint32_t at = (uint32_t)draw(&seed) % 40, order = at % 4;

		if (page[at])
			c->ops->page_free(inst, page[at], order, GFP_KERNEL);
		page[at] = draw(&seed) & 1 ? c->ops->page_alloc(inst, order, GFP_KERNEL) : NULL;
		if (obj[at])
			c->ops->cache_free(inst, cache, obj[at]);
		obj[at] = draw(&seed) & 1 ? c->ops->cache_alloc(inst, cache, __GFP_NOWAIT) : NULL;
		sum = sum * 31 + (page[at] != NULL) * 2 + (obj[at] != NULL);
	}
	return sum;
}

static bool count_refill(void *priv, uint32_t gfp)
{
	(void)gfp;
	++*(uint32_t *)priv;
	return false;
}

static void check_alike(struct conform *c)
{
	uint64_t sum[3];
	uint32_t refills[3] = {0};

	for (uint32_t i = 0; i < 3; i++) {
		const struct fl_allocator_config cfg = {
			.size = sizeof(cfg),
			.slot = 1 + i % 2,
			.limit = 70,
			.refill = count_refill,
			.refill_priv = &refills[i],
		};
		void *inst = c->ops->create(&cfg);

		REQUIRE(c, inst, "create() gives no instance");
		sum[i] = outcomes(c, inst);
		STOP_IF_WRONG(c);
		c->ops->destroy(inst);
	}
	REQUIRE(c, sum[0] == sum[1] && sum[0] == sum[2],
		"the same requests succeed in one instance and not in another");
	REQUIRE(c, refills[0] == refills[1] && refills[0] == refills[2],
		"the same requests need %" PRIu32 ", %" PRIu32 " and %" PRIu32 " pages for slabs",
		refills[0], refills[1], refills[2]);
}

static bool refuse_refill(void *priv, uint32_t gfp)
{
	++*(uint32_t *)priv;
	return !(gfp & __GFP_NOFAIL);
}

/* A backend with slabs does without, when it is told to, and stays sound. */
static void check_refill(struct conform *c)
{
	uint32_t asked = 0;
	const struct fl_allocator_config cfg = {
		.size = sizeof(cfg), .slot = 1, .refill = refuse_refill, .refill_priv = &asked};
	void *inst = c->ops->create(&cfg), *cache, *obj;

	REQUIRE(c, inst, "create() gives no instance");
	cache = get_cache(c, inst, 64, 8);
	STOP_IF_WRONG(c);
	obj = c->ops->cache_alloc(inst, cache, GFP_KERNEL);
	if (!asked) {
		c->skipped = true;
		snprintf(c->what, sizeof(c->what), "it asks for no pages of its own");
	} else {
		REQUIRE(c, !obj, "a page for a slab was refused, and an object given all the same");
		expect_counts(c, inst, 0, 0, 1, "after a page for a slab was refused");
		asked = 0;
		obj = c->ops->cache_alloc(inst, cache, __GFP_NOFAIL);
		REQUIRE(c, obj && !asked, "with __GFP_NOFAIL it asks whether it may");
	}
	c->ops->destroy(inst);
}

/* ---- snapshots ------------------------------------------------------------------------------ */

static void check_snapshot(struct conform *c)
{
	const struct fl_allocator_ops *ops = c->ops;
	void *cache = get_cache(c, c->inst, 72, 8), *obj[30], *page[10], *buf, *junk;
	size_t len, got;
	int err;

	if (!ops->snapshot) {
		c->skipped = true;
		snprintf(c->what, sizeof(c->what), "it has no snapshots, as it may");
		return;
	}
	STOP_IF_WRONG(c);
	for (uint32_t i = 0; i < 30; i++) {
		obj[i] = get_object(c, c->inst, cache, GFP_KERNEL);
		STOP_IF_WRONG(c);
		sign(obj[i], 72, i);
	}
	for (uint32_t i = 0; i < 10; i++) {
		page[i] = get_page(c, c->inst, i % 3, GFP_KERNEL);
		STOP_IF_WRONG(c);
		sign(page[i], page_bytes(i % 3, 0), i);
	}
	len = ops->snapshot_size(c->inst);
	buf = malloc(len);
	REQUIRE(c, len && buf, "snapshot_size() says %zu", len);
	REQUIRE(c, !ops->snapshot(c->inst, buf, 1), "snapshot() into one byte succeeds");
	got = ops->snapshot(c->inst, buf, len);
	REQUIRE(c, got && got <= len, "snapshot() says %zu, snapshot_size() %zu", got, len);
	expect_counts(c, c->inst, 22, 30, 1, "after snapshot()");
	for (unsigned int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 30; i++)
			ops->cache_free(c->inst, cache, obj[i]);
		for (uint32_t i = 0; i < 10; i++)
			ops->page_free(c->inst, page[i], i % 3, GFP_KERNEL);
		for (unsigned int i = 0; i < 50 && !c->wrong; i++) {
			junk = get_page(c, c->inst, i % 4, GFP_KERNEL);
			if (junk)
				memset(junk, 0xee, page_bytes(i % 4, 0));
		}
		STOP_IF_WRONG(c);
		err = ops->restore(c->inst, buf, got);
		REQUIRE(c, !err, "restore() says %d", err);
		expect_counts(c, c->inst, 22, 30, 1, "after restore()");
		STOP_IF_WRONG(c);
		for (uint32_t i = 0; i < 30; i++)
			REQUIRE(c, signed_until(obj[i], 72, i) == 72,
				"restore() has not put back object %" PRIu32, i);
		for (uint32_t i = 0; i < 10; i++)
			REQUIRE(c,
				signed_until(page[i], page_bytes(i % 3, 0), i) ==
					page_bytes(i % 3, 0),
				"restore() has not put back page block %" PRIu32, i);
	}
	memset(buf, 0x5a, got < 64 ? got : 64);
	REQUIRE(c, ops->restore(c->inst, buf, got) == -EINVAL,
		"restore() of what is no snapshot is not -EINVAL");
	expect_counts(c, c->inst, 22, 30, 1, "after restore() was refused");
	free(buf);
}

const struct conform_check conform_checks[] = {
	{"orders", "blocks of orders 0 to 10, and none larger", check_orders},
	{"page-align", "a block is aligned to its size, one of tags to 16", check_page_align},
	{"page-zero", "__GFP_ZERO gives zeroes, also in memory used before", check_page_zero},
	{"page-overlap", "live blocks share no byte", check_page_overlap},
	{"page-counts", "counts() follows page_alloc() and page_free()", check_page_counts},
	{"unknown-flags", "flags and CPUs that it does not know change nothing",
	 check_unknown_flags},
	{"object-align", "objects are aligned as their cache says", check_object_align},
	{"object-zero", "__GFP_ZERO gives zeroes, also in objects used before", check_object_zero},
	{"object-overlap", "live objects share no byte", check_object_overlap},
	{"object-counts", "counts() follows caches and objects", check_object_counts},
	{"destroy-live-cache", "a cache with live objects is -EBUSY, and stays as it is",
	 check_destroy_live_cache},
	{"absurd-cache", "what cannot be had is refused, and changes nothing", check_absurd_cache},
	{"limit", "at the limit there is no more, and what there is stays", check_limit},
	{"drop-caches", "drop_caches() takes nothing that lives", check_drop_caches},
	{"instances", "instances share nothing", check_instances},
	{"destroy-live", "an instance can go with all that lives in it", check_destroy_live},
	{"gives-back", "what is freed or destroyed does not stay", check_gives_back},
	{"mix", "20000 requests of all kinds, checked throughout", check_mix},
	{"alike", "the same requests have the same outcome in every instance", check_alike},
	{"refill", "a slab's page that is refused fails the object, and nothing else",
	 check_refill},
	{"snapshot", "what is restored is what was", check_snapshot},
};
const unsigned int nr_conform_checks = ARRAY_SIZE(conform_checks);

void conform_run(const struct conform_check *check, struct conform *c)
{
	c->inst = make(c, 0, 0);
	if (c->wrong)
		return;
	check->run(c);
	if (!c->wrong && !c->skipped)
		expect_sound(c, c->inst, "at the end of the check");
	/* of a wrong one nobody knows what destroying it would do */
	if (!c->wrong)
		c->ops->destroy(c->inst);
}
