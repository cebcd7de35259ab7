/* SPDX-License-Identifier: GPL-2.0-only */
/* Backend guard: who touches what is not his dies, or is found out when it is freed. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "alloc/allocators.h"

static const struct fl_allocator_ops *const ops = &fl_guard_ops;

static void *make(void)
{
	const struct fl_allocator_config cfg = {.size = sizeof(cfg)};
	void *inst = ops->create(&cfg);

	assert_non_null(inst);
	return inst;
}

static void assert_sound(void *inst)
{
	char why[128] = "";

	if (ops->check(inst, why, sizeof(why)))
		fail_msg("%s", why);
}

static void assert_unsound(void *inst, const char *want)
{
	char why[128] = "";

	assert_int_equal(ops->check(inst, why, sizeof(why)), -EUCLEAN);
	assert_string_equal(why, want);
}

/* How a process fares that writes there: the signal that it dies of, 0: none. */
static int touch(volatile char *at)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		*at = 1;
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_fences(void **state)
{
	static const size_t sizes[] = {8, 200, 4096, 5000, 70000};
	void *inst = make();

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		void *cache = ops->cache_create(inst, "things", sizes[i], 8);
		char *a = ops->cache_alloc(inst, cache, GFP_KERNEL);
		char *b = ops->cache_alloc(inst, cache, GFP_KERNEL);

		assert_int_equal(touch(a), 0);
		assert_int_equal(touch(a + sizes[i] - 1), 0);
		assert_int_equal(touch(a + sizes[i]), SIGSEGV);
		assert_int_equal(touch(b + sizes[i]), SIGSEGV);
		assert_int_equal(touch((char *)((uintptr_t)b & ~(uintptr_t)4095) - 1), SIGSEGV);
		ops->cache_free(inst, cache, a);
		assert_int_equal(touch(a), SIGSEGV);
		assert_int_equal(touch(a + sizes[i] - 1), SIGSEGV);
		assert_int_equal(touch(b), 0);
		ops->cache_free(inst, cache, b);
	}
	for (unsigned int order = 0; order <= FL_MAX_ORDER; order++) {
		char *page = ops->page_alloc(inst, order, GFP_KERNEL);
		char *tag = ops->page_alloc(inst, order, __GFP_TAG);

		assert_int_equal(touch(page - 1), SIGSEGV);
		assert_int_equal(touch(page + ((size_t)4096 << order)), SIGSEGV);
		assert_int_equal(touch(page + ((size_t)4096 << order) - 1), 0);
		assert_int_equal(touch(tag + ((size_t)FL_TAG_BYTES << order)), SIGSEGV);
		ops->page_free(inst, page, order, GFP_KERNEL);
		ops->page_free(inst, tag, order, __GFP_TAG);
		assert_int_equal(touch(page), SIGSEGV);
		assert_int_equal(touch(tag), SIGSEGV);
	}
	assert_sound(inst);
	ops->destroy(inst);
}

/* What a fence cannot catch: the rest of the object's own page. */
static void test_slack(void **state)
{
	void *inst = make(), *cache = ops->cache_create(inst, "odd", 45, 8);
	char *obj = ops->cache_alloc(inst, cache, __GFP_ZERO);

	(void)state;
	obj[-1] ^= 1;
	assert_unsound(inst, "memory before odd was written");
	obj[-1] ^= 1;
	assert_sound(inst);
	obj[45] ^= 1;
	assert_unsound(inst, "memory behind odd was written");
	/* it is not forgotten when the object has gone */
	ops->cache_free(inst, cache, obj);
	assert_unsound(inst, "memory behind odd was written");
	ops->destroy(inst);
}

/* Not zero unless zeroes were asked for; a used area comes back clean. */
static void test_contents(void **state)
{
	void *inst = make(), *cache = ops->cache_create(inst, "things", 100, 8);

	(void)state;
	for (unsigned int i = 0; i < 200; i++) {
		unsigned char *obj = ops->cache_alloc(inst, cache, i % 2 ? __GFP_ZERO : GFP_KERNEL);

		if (i % 2)
			for (unsigned int k = 0; k < 100; k++)
				assert_int_equal(obj[k], 0);
		memset(obj, 0xff, 100);
		ops->cache_free(inst, cache, obj);
	}
	assert_sound(inst);
	ops->destroy(inst);
}

static void test_addresses_rest(void **state)
{
	void *inst = make(), *cache = ops->cache_create(inst, "things", 64, 8);
	void *first = ops->cache_alloc(inst, cache, GFP_KERNEL);
	unsigned int n = 0;

	(void)state;
	ops->cache_free(inst, cache, first);
	for (;;) {
		void *obj = ops->cache_alloc(inst, cache, GFP_KERNEL);

		if (obj == first)
			break;
		ops->cache_free(inst, cache, obj);
		assert_true(n++ < 1000);
	}
	assert_int_equal(n, 64);
	ops->destroy(inst);
}

static unsigned int mappings(void)
{
	FILE *in = fopen("/proc/self/maps", "r");
	unsigned int n = 0;
	int c;

	assert_non_null(in);
	while ((c = getc(in)) != EOF)
		n += c == '\n';
	fclose(in);
	return n;
}

/* More at a time than the host has mappings for; and afterwards they are all gone. */
static void test_very_many(void **state)
{
	enum {
		MANY = 40000
	};
	void *inst = make(), **held = calloc(MANY, sizeof(*held));
	unsigned int before = mappings();

	(void)state;
	assert_non_null(held);
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < MANY; i++) {
			held[i] = ops->page_alloc(inst, 0, __GFP_TAG);
			assert_non_null(held[i]);
			*(unsigned int *)held[i] = i;
		}
		assert_true(mappings() < 65000);
		assert_sound(inst);
		for (unsigned int i = 0; i < MANY; i++) {
			assert_int_equal(*(unsigned int *)held[i], i);
			ops->page_free(inst, held[i], 0, __GFP_TAG);
		}
		assert_sound(inst);
		assert_true(mappings() < before + 100);
	}
	ops->destroy(inst);
	free(held);
}

static void test_misuse(void **state)
{
	void *inst, *cache;
	char *obj;

	(void)state;
	inst = make();
	cache = ops->cache_create(inst, "things", 64, 8);
	obj = ops->cache_alloc(inst, cache, GFP_KERNEL);
	ops->cache_free(inst, cache, obj);
	ops->cache_free(inst, cache, obj);
	assert_unsound(inst, "cache_free of what is no live object of things");
	ops->destroy(inst);

	inst = make();
	ops->page_free(inst, (char *)ops->page_alloc(inst, 1, GFP_KERNEL) + 4096, 0, GFP_KERNEL);
	assert_unsound(inst, "page_free of what is no live page of that order");
	ops->destroy(inst);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fences),	  cmocka_unit_test(test_slack),
		cmocka_unit_test(test_contents),  cmocka_unit_test(test_addresses_rest),
		cmocka_unit_test(test_very_many), cmocka_unit_test(test_misuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
