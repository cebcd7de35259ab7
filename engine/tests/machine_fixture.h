/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A machine on a backend for tests of whole operations: counts the requests that the engine makes,
 * refuses the one that is asked for, and says at the end whether everything is back.
 */
#ifndef FAULTLINE_TESTS_MACHINE_FIXTURE_H
#define FAULTLINE_TESTS_MACHINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <faultline/check.h>

#include "internal.h"

#define FIXTURE_STEPS 1000000u

struct fixture {
	const struct fl_allocator_ops *ops;
	void *inst;
	struct machine *m;
	struct ctx cx;
	struct task_struct *init;
	/* Since fixture_arm(): requests met, which one to refuse (0: none), and where it was. */
	unsigned int met, refuse;
	enum fl_site refused;
	unsigned int per_site[FL_NR_SITES];
};

static inline bool fixture_should_fail(void *priv, enum fl_site site, gfp_t gfp)
{
	struct fixture *fx = priv;

	(void)gfp;
	fx->per_site[site]++;
	if (++fx->met != fx->refuse)
		return false;
	fx->refused = site;
	return true;
}

__attribute__((noreturn)) static inline void fixture_bug(void *priv, enum fl_bug kind,
							 const char *func, const char *what)
{
	(void)priv;
	fail_msg("bug %d in %s: %s", (int)kind, func, what);
	abort();
}

/* From now on the n-th request is refused; 0: none. */
static inline void fixture_arm(struct fixture *fx, unsigned int n)
{
	fx->met = 0;
	fx->refuse = n;
	fx->refused = SITE_none;
	memset(fx->per_site, 0, sizeof(fx->per_site));
	fx->cx.steps = FIXTURE_STEPS;
}

/* options: "levels=3,cpus=2" */
static inline void fixture_create(struct fixture *fx, const char *backend, const char *options)
{
	struct fl_allocator_config acfg = {.size = sizeof(acfg)};
	struct machine_config cfg;
	struct fl_seams seams = {
		.priv = fx, .should_fail = fixture_should_fail, .bug = fixture_bug};
	char why[128];

	memset(fx, 0, sizeof(*fx));
	machine_config_init(&cfg);
	while (*options) {
		size_t name = strcspn(options, "="), value = strcspn(options + name + 1, ",");

		if (machine_config_set(&cfg, options, name, options + name + 1, value, why,
				       sizeof(why)))
			fail_msg("%s", why);
		options += name + 1 + value;
		options += *options == ',';
	}
	if (machine_config_check(&cfg, why, sizeof(why)))
		fail_msg("%s", why);
	fx->ops = fl_allocator_find(backend);
	fx->inst = fx->ops->create(&acfg);
	assert_non_null(fx->inst);
	fx->m = machine_create(&cfg, fx->ops, fx->inst, &seams);
	assert_non_null(fx->m);
	fx->cx.m = fx->m;
	fixture_arm(fx, 0);
}

static inline void fixture_violation(void *priv, const struct fl_violation *v)
{
	(void)priv;
	print_error("%s %s in %s: %s: expected %s, got %s\n", v->id, v->name, v->func, v->object,
		    v->expected, v->actual);
}

/* Every invariant holds. */
static inline void fixture_check(struct fixture *fx)
{
	assert_int_equal(fl_check_machine(fx->m, fixture_violation, NULL, NULL), 0);
}

static inline void fixture_run(struct fixture *fx, struct task_struct *tsk)
{
	run_on(&fx->cx, tsk ? tsk->cpu : 0, tsk);
}

/* An init that has executed an image without segments, on CPU 0. */
static inline void fixture_boot(struct fixture *fx)
{
	const struct exec_image image = {.stack_pages = 1};
	bool killed;

	fx->init = spawn_init(&fx->cx);
	assert_non_null(fx->init);
	fixture_run(fx, fx->init);
	assert_int_equal(sys_execve(&fx->cx, &image, &killed), 0);
	fixture_check(fx);
	fixture_arm(fx, 0);
}

static inline void fixture_exit(struct fixture *fx, struct task_struct *tsk)
{
	fixture_run(fx, tsk);
	do_exit(&fx->cx);
}

/* Ends every task, newest first, takes the census and leaves nothing with the backend. */
static inline void fixture_destroy(struct fixture *fx)
{
	struct fl_allocator_counts counts;
	char why[128];

	fixture_arm(fx, 0);
	for (;;) {
		struct task_struct *tsk, *last = NULL;

		list_for_each_entry(tsk, &fx->m->tasks, tasks) {
			if (tsk->state == TASK_RUNNING)
				last = tsk;
		}
		if (!last)
			break;
		fixture_exit(fx, last);
	}
	for (unsigned int cpu = 0; cpu < fx->m->cfg.cpus; cpu++)
		run_on(&fx->cx, cpu, NULL);
	fixture_check(fx);
	assert_int_equal(fl_census(fx->m, fixture_violation, NULL), 0);
	assert_int_equal(fx->m->check_alerts, 0);
	machine_destroy(fx->m);
	fx->ops->counts(fx->inst, &counts);
	assert_int_equal(counts.pages, 0);
	assert_int_equal(counts.objects, 0);
	assert_int_equal(counts.caches, 0);
	assert_int_equal(fx->ops->check(fx->inst, why, sizeof(why)), 0);
	fx->ops->destroy(fx->inst);
}

/* What an operation that failed, or was undone, must leave as it was. */
struct totals {
	u64 live[NR_CACHES], pages[NR_PAGE_TYPES], pages_in_use;
	s64 committed, pagetable;
	u32 nr_mms, nr_tasks;
	s32 module_refs[NR_BINFMTS];
};

static inline struct totals fixture_totals(const struct fixture *fx)
{
	const struct machine *m = fx->m;
	struct totals t;

	memset(&t, 0, sizeof(t));
	for (unsigned int i = 0; i < NR_CACHES; i++)
		t.live[i] = m->caches[i].live;
	for (unsigned int i = 0; i < NR_PAGE_TYPES; i++)
		t.pages[i] = m->nr_alloc[i];
	t.pages_in_use = m->pages_in_use;
	t.committed = m->vm_committed_as;
	t.pagetable = m->nr_pagetable;
	t.nr_mms = m->nr_mms;
	t.nr_tasks = m->nr_tasks;
	for (unsigned int i = 0; i < NR_BINFMTS; i++)
		t.module_refs[i] = m->modules[i].refcnt;
	return t;
}

static inline void assert_totals(const struct fixture *fx, const struct totals *then)
{
	struct totals now = fixture_totals(fx);

	for (unsigned int i = 0; i < NR_CACHES; i++)
		if (now.live[i] != then->live[i])
			fail_msg("cache %s: %llu objects, were %llu", fx->m->caches[i].name,
				 (unsigned long long)now.live[i],
				 (unsigned long long)then->live[i]);
	for (unsigned int i = 0; i < NR_PAGE_TYPES; i++)
		if (now.pages[i] != then->pages[i])
			fail_msg("pages of type %u: %llu, were %llu", i,
				 (unsigned long long)now.pages[i],
				 (unsigned long long)then->pages[i]);
	assert_memory_equal(&now, then, sizeof(now));
}

#endif
