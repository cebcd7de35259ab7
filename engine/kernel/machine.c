/* SPDX-License-Identifier: GPL-2.0-only */
/* Making and unmaking a machine: the order is that of need, the unwind its reverse. */
#include "internal.h"

/* No operation is being measured while a machine is made or unmade. */
#define UNLIMITED_STEPS (~(u64)0)

static int zero_page_init(struct ctx *cx)
{
	cx->m->zero_page =
		alloc_pages(cx, SITE_none, GFP_KERNEL | __GFP_ZERO | __GFP_TAG, 0, PAGE_ZERO);
	return cx->m->zero_page ? 0 : -ENOMEM;
}

/* An idle CPU runs on the tables of init_mm, and is counted there. */
static int sched_init(struct ctx *cx)
{
	struct machine *m = cx->m;

	for (unsigned int cpu = 0; cpu < m->cfg.cpus; cpu++) {
		struct rq *rq = &m->rqs[cpu];

		rq->idle = fork_idle(cx, cpu);
		if (!rq->idle)
			return -ENOMEM;
		rq->curr = rq->idle;
		atomic_inc(cx, &rq->idle->usage);
		rq->idle->active_mm = &m->init_mm;
		atomic_inc(cx, &m->init_mm.mm_count);
		*mm_cpumask(&m->init_mm) |= 1u << cpu;
		load_cr3(cx, cpu, &m->init_mm);
	}
	return 0;
}

/* Also of what a failed sched_init() got done. */
static void sched_exit(struct ctx *cx)
{
	struct machine *m = cx->m;

	for (unsigned int cpu = 0; cpu < m->cfg.cpus; cpu++) {
		struct rq *rq = &m->rqs[cpu];

		if (!rq->idle)
			continue;
		idle_task_exit(cx, cpu);
		free_idle(cx, rq->idle);
		rq->idle = rq->curr = NULL;
		rq->loaded = NULL;
	}
}

struct machine *machine_create(const struct machine_config *cfg, const struct fl_allocator_ops *ops,
			       void *inst, const struct fl_seams *seams)
{
	struct ctx cx = {.steps = UNLIMITED_STEPS};
	struct machine *m;
	void *cache;

	cache = ops->cache_create(inst, "machine", sizeof(struct machine), 64);
	if (!cache)
		return NULL;
	m = ops->cache_alloc(inst, cache, GFP_KERNEL | __GFP_ZERO);
	if (!m)
		goto fail_cache;

	m->cfg = *cfg;
	m->ops = ops;
	m->inst = inst;
	m->self_cache = cache;
	/* should_fail comes last: what a machine needs to exist is not subject to injection */
	m->seams.priv = seams->priv;
	m->seams.bug = seams->bug;
	m->seams.probe = seams->probe;

	pt_geometry_init(&m->geo, cfg);
	INIT_LIST_HEAD(&m->pgd_list);
	INIT_LIST_HEAD(&m->mms);
	INIT_LIST_HEAD(&m->tasks);
	INIT_LIST_HEAD(&m->inodes);
	INIT_LIST_HEAD(&m->files);
	INIT_LIST_HEAD(&m->aio_free_work);
	mm_holders_init(m);
	mm_daemons_init(m);
	fl_lock_init(&m->pgd_lock, LOCK_pgd_lock);
	mm_init_struct(m, &m->init_mm);
	m->next_pid = 1;
	m->next_ino = 1;
	m->next_shmem_ino = 1;
	for (unsigned int i = 0; i < NR_BINFMTS; i++) {
		m->modules[i].id = i;
		m->binfmts[i].module = &m->modules[i];
	}
	cx.m = m;

	if (mem_map_init(m))
		goto fail_mem_map;
	if (kmem_caches_init(m))
		goto fail_caches;
	if (swap_init(m))
		goto fail_swap;
	if (swapper_init(&cx))
		goto fail_swapper;
	if (zero_page_init(&cx))
		goto fail_zero_page;
	if (vdso_init(&cx))
		goto fail_vdso;
	if (sched_init(&cx))
		goto fail_sched;

	m->seams.should_fail = seams->should_fail;
	return m;

fail_sched:
	sched_exit(&cx);
	vdso_exit(&cx);
fail_vdso:
	put_page(&cx, m->zero_page);
fail_zero_page:
	swapper_exit(&cx);
fail_swapper:
	swap_exit(m);
fail_swap:
	kmem_caches_exit(m);
fail_caches:
	mem_map_exit(m);
fail_mem_map:
	ops->cache_free(inst, cache, m);
fail_cache:
	ops->cache_destroy(inst, cache);
	return NULL;
}

void machine_destroy(struct machine *m)
{
	const struct fl_allocator_ops *ops = m->ops;
	struct ctx cx = {.m = m, .steps = UNLIMITED_STEPS};
	void *inst = m->inst, *cache = m->self_cache;

	sched_exit(&cx);
	shrink_huge_zero_page(&cx);
	vdso_exit(&cx);
	put_page(&cx, m->zero_page);
	swapper_exit(&cx);
	swap_exit(m);
	kmem_caches_exit(m);
	mem_map_exit(m);
	ops->cache_free(inst, cache, m);
	ops->cache_destroy(inst, cache);
}
