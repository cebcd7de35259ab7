/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A machine under test: its options as text, an injector that fails chosen requests and keeps a
 * list of those it met, and bugs that end in a longjmp so that a test can ask for one.
 */
#ifndef FAULTLINE_TESTS_MM_BENCH_H
#define FAULTLINE_TESTS_MM_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <faultline/check.h>

#include "internal.h"

#define BENCH_MAX_MET 4096u
#define BENCH_STEPS   ((u64)1 << 24)

struct bench {
	const struct fl_allocator_ops *ops;
	void *inst;
	struct machine *m;
	struct ctx cx;
	u32 nr_met; /* requests since bench_watch() */
	enum fl_site met[BENCH_MAX_MET];
	u32 fail_nth;		/* 1-based; 0: none */
	enum fl_site fail_site; /* every request at this site; SITE_none: none */
	const char *probed;	/* what was last said through the seam */
	bool expect_bug;
	jmp_buf bug_jmp;
	enum fl_bug bug_kind;
	char bug_what[128];
};

static inline bool bench_should_fail(void *priv, enum fl_site site, gfp_t gfp)
{
	struct bench *b = priv;

	(void)gfp;
	assert_true(b->nr_met < BENCH_MAX_MET);
	b->met[b->nr_met++] = site;
	return b->nr_met == b->fail_nth || site == b->fail_site;
}

static inline void bench_probe(void *priv, const char *name)
{
	((struct bench *)priv)->probed = name;
}

__attribute__((noreturn)) static inline void bench_bug(void *priv, enum fl_bug kind,
						       const char *func, const char *what)
{
	struct bench *b = priv;

	b->bug_kind = kind;
	snprintf(b->bug_what, sizeof(b->bug_what), "%s: %s", func, what);
	if (!b->expect_bug) {
		fprintf(stderr, "bug %d in %s\n", (int)kind, b->bug_what);
		abort();
	}
	longjmp(b->bug_jmp, 1);
}

/* Starts a new list of requests; the nth of it and all at `site` are to fail. */
static inline void bench_watch(struct bench *b, u32 nth, enum fl_site site)
{
	b->nr_met = 0;
	b->fail_nth = nth;
	b->fail_site = site;
}

static inline u32 bench_met(const struct bench *b, enum fl_site site)
{
	u32 i, n = 0;

	for (i = 0; i < b->nr_met; i++)
		n += b->met[i] == site;
	return n;
}

static inline void bench_violation(void *priv, const struct fl_violation *v)
{
	(void)priv;
	fprintf(stderr, "%s %s: %s: expected %s, got %s\n", v->id, v->name, v->object, v->expected,
		v->actual);
}

static inline void bench_check(struct bench *b)
{
	assert_int_equal(fl_check_machine(b->m, bench_violation, NULL, NULL), 0);
}

/* options: "levels=3 kernel_pmd=shared". */
static inline void bench_up(struct bench *b, const char *options)
{
	struct fl_allocator_config acfg = {.size = sizeof(acfg)};
	struct fl_seams seams = {
		.priv = b,
		.should_fail = bench_should_fail,
		.bug = bench_bug,
		.probe = bench_probe,
	};
	struct machine_config cfg;
	char why[128];

	memset(b, 0, sizeof(*b));
	machine_config_init(&cfg);
	while (*options) {
		size_t name = strcspn(options, "="), value = strcspn(options + name + 1, " ");

		assert_int_equal(machine_config_set(&cfg, options, name, options + name + 1, value,
						    why, sizeof(why)),
				 0);
		options += name + 1 + value;
		options += strspn(options, " ");
	}
	assert_int_equal(machine_config_check(&cfg, why, sizeof(why)), 0);
	b->ops = fl_allocator_find("malloc");
	assert_non_null(b->ops);
	b->inst = b->ops->create(&acfg);
	assert_non_null(b->inst);
	b->m = machine_create(&cfg, b->ops, b->inst, &seams);
	assert_non_null(b->m);
	b->cx = (struct ctx){.m = b->m, .steps = BENCH_STEPS};
	bench_watch(b, 0, SITE_none);
}

/* Every task has to have exited: the census is taken. */
static inline void bench_down(struct bench *b)
{
	struct fl_allocator_counts counts;

	bench_watch(b, 0, SITE_none);
	assert_int_equal(fl_census(b->m, bench_violation, NULL), 0);
	machine_destroy(b->m);
	b->ops->counts(b->inst, &counts);
	assert_int_equal(counts.pages, 0);
	assert_int_equal(counts.objects, 0);
	assert_int_equal(counts.caches, 0);
	b->ops->destroy(b->inst);
}

/* The first task, current on CPU 0, with a small image at start. */
static inline struct task_struct *bench_exec(struct bench *b, u64 start)
{
	struct exec_segment seg = {
		.start = start, .len = 2 * PAGE_SIZE, .prot = PROT_READ | PROT_EXEC};
	struct exec_image image = {.segments = &seg, .nr_segments = 1, .stack_pages = 1};
	struct task_struct *tsk = spawn_init(&b->cx);
	bool killed = false;

	assert_non_null(tsk);
	run_on(&b->cx, 0, tsk);
	assert_int_equal(sys_execve(&b->cx, &image, &killed), 0);
	assert_false(killed);
	return tsk;
}

/* The task exits, injection or not, and its CPU idles. */
static inline void bench_exit(struct bench *b, struct task_struct *tsk)
{
	b->cx.steps = BENCH_STEPS;
	run_on(&b->cx, 0, tsk);
	do_exit(&b->cx);
	run_on(&b->cx, 0, NULL);
}

static inline u64 bench_mmap(struct bench *b, u64 addr, u64 pages, u32 prot, u32 flags,
			     struct file *file)
{
	s64 ret = sys_mmap(&b->cx, addr, pages * PAGE_SIZE, prot,
			   flags | (addr ? MAP_FIXED : 0) | (file ? 0 : MAP_ANONYMOUS), file, 0);

	assert_true(ret > 0);
	return (u64)ret;
}

static inline void bench_write(struct bench *b, u64 addr, u64 tag)
{
	assert_int_equal(access_user(&b->cx, addr, true, &tag), ACCESS_OK);
}

static inline u64 bench_read(struct bench *b, u64 addr)
{
	u64 tag = ~(u64)0;

	assert_int_equal(access_user(&b->cx, addr, false, &tag), ACCESS_OK);
	return tag;
}

/* The entry of addr, 0 when there is no table. */
static inline pte_t bench_pte(struct bench *b, const struct mm_struct *mm, u64 addr)
{
	const struct page *pt = pte_lookup(b->m, mm, addr);

	return pt ? pt_get(pt, pt_index(&b->m->geo, PT_PTE, addr)) : 0;
}

/* Does stmt end in a bug of this kind? The machine is not usable afterwards, but can be leaked. */
#define assert_bug(b, kind, stmt)                              \
	do {                                                   \
		(b)->expect_bug = true;                        \
		if (setjmp((b)->bug_jmp) == 0) {               \
			stmt;                                  \
			fail_msg("no bug reported by " #stmt); \
		}                                              \
		(b)->expect_bug = false;                       \
		assert_int_equal((b)->bug_kind, kind);         \
	} while (0)

/* After a bug: everything goes with the backend's instance. */
static inline void bench_abandon(struct bench *b)
{
	b->ops->destroy(b->inst);
}

/* What a request that failed must not have changed. */
struct bench_counts {
	u64 nr_alloc[NR_PAGE_TYPES], live[NR_CACHES], pages_in_use;
	s64 nr_pagetable, committed;
	u32 nr_mms, locks_held, pgds;
};

static inline void bench_count(struct bench *b, struct bench_counts *c)
{
	const struct list_head *p;
	unsigned int i;

	memset(c, 0, sizeof(*c));
	memcpy(c->nr_alloc, b->m->nr_alloc, sizeof(c->nr_alloc));
	for (i = 0; i < NR_CACHES; i++)
		c->live[i] = b->m->caches[i].live;
	c->pages_in_use = b->m->pages_in_use;
	c->nr_pagetable = b->m->nr_pagetable;
	c->committed = b->m->vm_committed_as;
	c->nr_mms = b->m->nr_mms;
	c->locks_held = b->m->locks_held;
	for (p = b->m->pgd_list.next; p != &b->m->pgd_list; p = p->next)
		c->pgds++;
}

#endif
