/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory cgroups as far as an mm has to do with them (F-71, facts §4.10): its owner's group is
 * charged for the anonymous pages that are made for it. Page caches are not charged, charges do not
 * move, and nothing is reclaimed: a limit that is reached is out of memory.
 */
#include "internal.h"

#define NOT_CHARGED 0u

static u64 nr_pages(const struct page *page)
{
	return (u64)1 << page->order;
}

/* Without an owner, whose task is on its way out, it is the root. */
static unsigned int group_of(const struct mm_struct *mm)
{
	return mm->owner ? mm->owner->memcg : 0;
}

int mem_cgroup_try_charge(struct ctx *cx, struct page *page, const struct mm_struct *mm,
			  enum fl_site site)
{
	unsigned int group = group_of(mm);
	struct mem_cgroup *memcg = &cx->m->memcgs[group];

	BUG_ON(cx, page->type != PAGE_ANON);
	/* in the swap cache a page keeps the charge of whoever had it before */
	if (!cx->m->cfg.memcg || page->memcg != NOT_CHARGED)
		return 0;
	if (group) {
		fl_might_alloc(cx, GFP_KERNEL, __func__);
		if (fl_should_fail(cx, site, GFP_KERNEL))
			return -ENOMEM;
		if (memcg->usage + nr_pages(page) > cx->m->cfg.limit_memcg)
			return -ENOMEM;
		memcg->usage += nr_pages(page);
	}
	page->memcg = (u8)(group + 1);
	return 0;
}

void mem_cgroup_uncharge(struct ctx *cx, struct page *page)
{
	struct mem_cgroup *memcg;

	if (page->memcg > 1) {
		memcg = &cx->m->memcgs[page->memcg - 1];
		BUG_ON(cx, memcg->usage < nr_pages(page));
		memcg->usage -= nr_pages(page);
	}
	page->memcg = NOT_CHARGED;
}

s64 sys_cgroup_attach(struct ctx *cx, u64 group)
{
	if (!cx->m->cfg.memcg)
		return -ENOSYS;
	if (group >= NR_MEMCGS)
		return -EINVAL;
	cx->curr->memcg = (u32)group;
	return 0;
}
