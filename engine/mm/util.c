/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Commit accounting (facts §9.1). One exact counter of promised pages. The machine keeps no pages
 * in reserve for itself, and nobody on it is an administrator.
 */
#include "internal.h"

enum {
	OVERCOMMIT_GUESS,
	OVERCOMMIT_ALWAYS,
	OVERCOMMIT_NEVER
};

/* 1/32 of memory, at most 8 MiB and 128 MiB. */
static s64 admin_reserve(const struct machine *m)
{
	return (s64)min_u64(m->cfg.mem / 32, 2048);
}

static s64 user_reserve(const struct machine *m)
{
	return (s64)min_u64(m->cfg.mem / 32, 32768);
}

static bool __vm_enough_memory(const struct ctx *cx, const struct mm_struct *mm, u64 pages)
{
	const struct machine *m = cx->m;
	s64 allowed;

	switch (m->cfg.overcommit) {
	case OVERCOMMIT_ALWAYS:
		return true;
	case OVERCOMMIT_GUESS:
		if (differs(cx, DIFF_guess_is_total))
			return pages <= m->cfg.mem;
		/* What is free, and the page cache of files, which can be had back. */
		allowed = (s64)m->cfg.mem - (s64)m->pages_in_use + (s64)m->nr_alloc[PAGE_FILE] -
			  (s64)m->nr_shmem + (s64)nr_swap_pages(m);
		return allowed - admin_reserve(m) > (s64)pages;
	default:
		allowed = (s64)(m->cfg.mem * m->cfg.overcommit_ratio / 100) - admin_reserve(m);
		if (m->swap.on)
			allowed += (s64)m->cfg.swap;
		if (mm)
			allowed -= (s64)min_u64(mm->total_vm / 32, (u64)user_reserve(m));
		return m->vm_committed_as < allowed;
	}
}

int security_vm_enough_memory_mm(struct ctx *cx, struct mm_struct *mm, u64 pages, enum fl_site site)
{
	if (fl_should_fail(cx, site, 0))
		return -ENOMEM;
	vm_acct_memory(cx, pages);
	if (!__vm_enough_memory(cx, mm, pages)) {
		vm_unacct_memory(cx, pages);
		return -ENOMEM;
	}
	return 0;
}

void vm_acct_memory(struct ctx *cx, u64 pages)
{
	cx->m->vm_committed_as += (s64)pages;
}

void vm_unacct_memory(struct ctx *cx, u64 pages)
{
	cx->m->vm_committed_as -= (s64)pages;
}

int mmap_lock_killable(struct ctx *cx, struct mm_struct *mm, enum fl_site site)
{
	if (differs(cx, DIFF_killable_locks) && fl_should_fail(cx, site, GFP_KERNEL))
		return -EINTR;
	down_write(cx, &mm->mmap_sem);
	return 0;
}
