/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Backends that are wrong on purpose, one way each, for the test of alloc-check: the example with
 * one function in another's place. FAULTY in the environment says which.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <unistd.h>

#define faultline_allocator sound_allocator
#include "example.c"
#undef faultline_allocator
const struct fl_allocator_ops *faultline_allocator(uint32_t abi);

/* ---- pages ---------------------------------------------------------------------------------- */

static void *order_9_is_none(void *inst, unsigned int order, uint32_t gfp)
{
	return order == 9 ? NULL : example_page_alloc(inst, order, gfp);
}

static void *order_11(void *inst, unsigned int order, uint32_t gfp)
{
	return example_page_alloc(inst, order > FL_MAX_ORDER ? FL_MAX_ORDER : order, gfp);
}

static void *page_misaligned(void *inst, unsigned int order, uint32_t gfp)
{
	unsigned char *mem;

	if (order != 2)
		return example_page_alloc(inst, order, gfp);
	mem = example_page_alloc(inst, order + 1, gfp);
	return mem ? mem + PAGE_BYTES : NULL;
}

static void *page_dirty(void *inst, unsigned int order, uint32_t gfp)
{
	return example_page_alloc(inst, order, gfp & ~__GFP_ZERO);
}

/* Zeroed up to the tag, whether or not only the tag was asked for. */
static void *page_half_zero(void *inst, unsigned int order, uint32_t gfp)
{
	void *mem = example_page_alloc(inst, order, gfp & ~__GFP_ZERO);

	if (mem && gfp & __GFP_ZERO)
		memset(mem, 0, (size_t)FL_TAG_BYTES << order);
	return mem;
}

/* A block of order 3 has only half of its memory. */
static void *page_short(void *inst, unsigned int order, uint32_t gfp)
{
	if (order == 3 && !(gfp & __GFP_TAG)) {
		struct instance *in = inst;
		struct piece *p = piece_get(in, PAGE_BYTES << 2, PAGE_BYTES << 3 >> 1, gfp);

		if (!p)
			return NULL;
		p->cache = NULL;
		p->order = 3;
		in->counts.pages += 8;
		return p->mem;
	}
	return example_page_alloc(inst, order, gfp);
}

static void *pages_by_one(void *inst, unsigned int order, uint32_t gfp)
{
	void *mem = example_page_alloc(inst, order, gfp);

	if (mem)
		((struct instance *)inst)->counts.pages -= ((uint64_t)1 << order) - 1;
	return mem;
}

static void never_freed(void *inst, void *mem, unsigned int order, uint32_t gfp)
{
	struct piece *p = piece_find(inst, mem);

	(void)gfp;
	p->live = 0;
	((struct instance *)inst)->pieces_live--;
	((struct instance *)inst)->counts.pages -= (uint64_t)1 << order;
}

static void *limit_by_two(void *inst, unsigned int order, uint32_t gfp)
{
	struct instance *in = inst;
	void *mem;

	in->limit *= 2;
	mem = example_page_alloc(inst, order, gfp);
	in->limit /= 2;
	return mem;
}

/* At the limit the request is counted before it is refused. */
static void *count_then_refuse(void *inst, unsigned int order, uint32_t gfp)
{
	void *mem = example_page_alloc(inst, order, gfp);

	if (!mem)
		((struct instance *)inst)->counts.pages += (uint64_t)1 << (order & 15);
	return mem;
}

/* In a buffer or not, it is no result of the bench. */
static void *talks(void *inst, unsigned int order, uint32_t gfp)
{
	puts("a word from the backend");
	fflush(stdout);
	return example_page_alloc(inst, order, gfp);
}

/* It has no more than so many pages, whatever it was told. */
static void *poor(void *inst, unsigned int order, uint32_t gfp)
{
	if (((struct instance *)inst)->counts.pages >= 200)
		return NULL;
	return example_page_alloc(inst, order, gfp);
}

/* A bit that means something here alone. */
static void *flag_of_its_own(void *inst, unsigned int order, uint32_t gfp)
{
	return gfp & 0x00100000u ? NULL : example_page_alloc(inst, order, gfp);
}

static void *crash_in_order_5(void *inst, unsigned int order, uint32_t gfp)
{
	if (order == 5)
		raise(SIGSEGV);
	return example_page_alloc(inst, order, gfp);
}

static void *crash_with_zero(void *inst, unsigned int order, uint32_t gfp)
{
	if (gfp & __GFP_ZERO && gfp & __GFP_TAG)
		raise(SIGSEGV);
	return example_page_alloc(inst, order, gfp);
}

static void *hang_in_order_5(void *inst, unsigned int order, uint32_t gfp)
{
	if (order == 5)
		for (;;)
			pause();
	return example_page_alloc(inst, order, gfp);
}

/* ---- objects -------------------------------------------------------------------------------- */

static void *object_misaligned(void *inst, void *handle, uint32_t gfp)
{
	struct cache *cache = handle;
	size_t align = cache->align;
	void *obj;

	cache->align = 8;
	obj = example_cache_alloc(inst, handle, gfp);
	cache->align = align;
	return obj;
}

static void *object_dirty(void *inst, void *handle, uint32_t gfp)
{
	return example_cache_alloc(inst, handle, gfp & ~__GFP_ZERO);
}

/* Objects are as large as the largest power of two that fits into what was asked for. */
static void *cache_too_small(void *inst, const char *name, size_t size, size_t align)
{
	size_t less = 1;

	while (less * 2 <= size)
		less *= 2;
	return example_cache_create(inst, name, less, align);
}

static void free_scribbles(void *inst, void *handle, void *obj)
{
	struct cache *cache = handle;

	memset(obj, 0xdd, cache->size + 64);
	example_cache_free(inst, handle, obj);
}

static void object_still_counted(void *inst, void *handle, void *obj)
{
	example_cache_free(inst, handle, obj);
	((struct instance *)inst)->counts.objects++;
}

static int destroy_anyway(void *inst, void *handle)
{
	struct cache *cache = handle;
	uint64_t live = cache->live;
	int err;

	cache->live = 0;
	err = example_cache_destroy(inst, handle);
	((struct instance *)inst)->counts.objects -= live;
	return err;
}

static int destroy_with_another_errno(void *inst, void *handle)
{
	return example_cache_destroy(inst, handle) ? -EINVAL : 0;
}

/* Any size, by giving less. */
static void *cache_of_any_size(void *inst, const char *name, size_t size, size_t align)
{
	return example_cache_create(inst, name, size > CHUNK_BYTES ? 64 : size, align);
}

/* ---- the instance --------------------------------------------------------------------------- */

static struct instance *the_one;
static unsigned int nr_users;

static void *one_for_all(const struct fl_allocator_config *cfg)
{
	if (!nr_users++)
		the_one = example_create(cfg);
	return the_one;
}

static void destroy_last(void *inst)
{
	if (!--nr_users)
		example_destroy(inst);
}

static void destroy_nothing(void *inst)
{
	(void)inst;
}

static void drop_everything(void *inst)
{
	struct instance *in = inst;
	uint64_t live = in->pieces_live;

	in->pieces_live = 0;
	example_drop_caches(inst);
	in->pieces_live = live;
}

static int never_sound(void *inst, char *why, size_t len)
{
	(void)inst;
	snprintf(why, len, "it is a bad day");
	return -EUCLEAN;
}

/* A page for a slab that is refused is taken all the same. */
static bool (*ask)(void *priv, uint32_t gfp);
static void *ask_priv;

static void *create_asking(const struct fl_allocator_config *cfg)
{
	ask = cfg->refill;
	ask_priv = cfg->refill_priv;
	return example_create(cfg);
}

static void *alloc_asking(void *inst, void *handle, uint32_t gfp)
{
	if (ask)
		ask(ask_priv, gfp);
	return example_cache_alloc(inst, handle, gfp);
}

/* The third request of every second instance fails. */
static void *unlike(void *inst, unsigned int order, uint32_t gfp)
{
	static const void *last;
	static unsigned int nr_inst, nr;

	if (inst != last) {
		last = inst;
		nr_inst++;
		nr = 0;
	}
	if (((struct instance *)inst)->limit && nr_inst % 2 && ++nr == 3)
		return NULL;
	return example_page_alloc(inst, order, gfp);
}

static size_t size_of_nothing(void *inst)
{
	(void)inst;
	return 64;
}

static size_t keep_nothing(void *inst, void *buf, size_t len)
{
	(void)inst;
	if (len < 64)
		return 0;
	memset(buf, 1, 64);
	return 64;
}

static int restore_nothing(void *inst, const void *buf, size_t len)
{
	(void)inst;
	(void)buf;
	(void)len;
	return 0;
}

/* ---- which ---------------------------------------------------------------------------------- */

__attribute__((constructor)) static void at_load(void)
{
	const char *name = getenv("FAULTY");

	if (name && !strcmp(name, "crash-at-load"))
		raise(SIGSEGV);
	if (name && !strcmp(name, "talks"))
		puts("a word from the backend");
	if (name && !strcmp(name, "exit-at-load"))
		_exit(0);
}

const struct fl_allocator_ops *faultline_allocator(uint32_t abi)
{
	static struct fl_allocator_ops ops;
	const char *name = getenv("FAULTY");

	(void)abi;
	ops = example_ops;
	ops.name = "faulty";
	if (!name)
		return &ops;
#define FAULT(text, field, func)   \
	if (!strcmp(name, (text))) \
		ops.field = (func);
	FAULT("order-9", page_alloc, order_9_is_none)
	FAULT("order-11", page_alloc, order_11)
	FAULT("page-misaligned", page_alloc, page_misaligned)
	FAULT("page-dirty", page_alloc, page_dirty)
	FAULT("page-half-zero", page_alloc, page_half_zero)
	FAULT("page-short", page_alloc, page_short)
	FAULT("pages-by-one", page_alloc, pages_by_one)
	FAULT("never-freed", page_free, never_freed)
	FAULT("limit-by-two", page_alloc, limit_by_two)
	FAULT("count-then-refuse", page_alloc, count_then_refuse)
	FAULT("talks", page_alloc, talks)
	FAULT("poor", page_alloc, poor)
	FAULT("flag-of-its-own", page_alloc, flag_of_its_own)
	FAULT("crash", page_alloc, crash_in_order_5)
	FAULT("crash-zero", page_alloc, crash_with_zero)
	FAULT("hang", page_alloc, hang_in_order_5)
	FAULT("object-misaligned", cache_alloc, object_misaligned)
	FAULT("object-dirty", cache_alloc, object_dirty)
	FAULT("object-small", cache_create, cache_too_small)
	FAULT("free-scribbles", cache_free, free_scribbles)
	FAULT("object-counted", cache_free, object_still_counted)
	FAULT("destroy-anyway", cache_destroy, destroy_anyway)
	FAULT("other-errno", cache_destroy, destroy_with_another_errno)
	FAULT("any-size", cache_create, cache_of_any_size)
	FAULT("one-for-all", create, one_for_all)
	FAULT("one-for-all", destroy, destroy_last)
	FAULT("destroy-nothing", destroy, destroy_nothing)
	FAULT("drop-everything", drop_caches, drop_everything)
	FAULT("never-sound", check, never_sound)
	FAULT("refill-ignored", create, create_asking)
	FAULT("refill-ignored", cache_alloc, alloc_asking)
	FAULT("unlike", page_alloc, unlike)
	FAULT("empty-snapshot", snapshot_size, size_of_nothing)
	FAULT("empty-snapshot", snapshot, keep_nothing)
	FAULT("empty-snapshot", restore, restore_nothing)
	/* tables that are not taken at all */
	FAULT("half-a-snapshot", snapshot, keep_nothing)
	FAULT("no-page-free", page_free, NULL)
	FAULT("no-check", check, NULL)
	FAULT("no-name", name, NULL)
	FAULT("other-version", abi, FL_ALLOCATOR_ABI + 1)
	FAULT("short-table", size, 24)
#undef FAULT
	if (!strcmp(name, "no-version"))
		return NULL;
	if (!strcmp(name, "hang-at-load"))
		for (;;)
			pause();
	return &ops;
}
