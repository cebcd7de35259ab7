/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arch part of a new mm: its local descriptor table (notes 1.2.6, facts §3 1.2.6).
 */
#include <string.h>

#include "internal.h"

static unsigned int ldt_order(u32 size)
{
	unsigned int order = 0;

	while (PAGE_SIZE << order < (u64)size * LDT_ENTRY_SIZE)
		order++;
	return order;
}

static struct ldt_struct *alloc_ldt_struct(struct ctx *cx, u32 size, enum fl_site struct_site,
					   enum fl_site entries_site)
{
	struct ldt_struct *new_ldt;

	if (size > LDT_ENTRIES)
		return NULL;
	new_ldt = kmem_cache_alloc(cx, CACHE_ldt_struct, struct_site, GFP_KERNEL);
	if (!new_ldt)
		return NULL;
	new_ldt->entries =
		alloc_pages(cx, entries_site, GFP_KERNEL | __GFP_ZERO, ldt_order(size), PAGE_LDT);
	if (!new_ldt->entries)
		goto fail_entries;
	new_ldt->size = size;
	return new_ldt;

fail_entries:
	kmem_cache_free(cx, CACHE_ldt_struct, new_ldt);
	return NULL;
}

static void free_ldt_struct(struct ctx *cx, struct ldt_struct *ldt)
{
	if (!ldt)
		return;
	__free_page(cx, ldt->entries);
	kmem_cache_free(cx, CACHE_ldt_struct, ldt);
}

/*
 * A fork gives the child a copy of the caller's LDT; a new image starts without one (4.4 copied it
 * there too, B-14). The two are told apart by whom the mm is for: mm_alloc() names the caller
 * itself, dup_mm() the child. The pointer is cleared before anything can fail, because a fork's mm
 * is a raw copy and still holds the parent's (B-01).
 */
int init_new_context(struct ctx *cx, struct task_struct *tsk, struct mm_struct *mm)
{
	struct mm_struct *old_mm = cx->curr ? cx->curr->mm : NULL;
	const struct ldt_struct *old_ldt;
	struct ldt_struct *new_ldt;
	int retval = 0;

	fl_lock_init(&mm->context.lock, LOCK_context_lock);
	mm->context.ldt = NULL;
	if (!cx->m->cfg.ldt || tsk == cx->curr || !old_mm)
		return 0;

	mutex_lock(cx, &old_mm->context.lock);
	old_ldt = old_mm->context.ldt;
	if (!old_ldt)
		goto out_unlock;

	new_ldt = alloc_ldt_struct(cx, old_ldt->size, SITE_ldt_copy_struct, SITE_ldt_copy_entries);
	if (!new_ldt) {
		retval = -ENOMEM;
		goto out_unlock;
	}
	memcpy(new_ldt->entries->mem, old_ldt->entries->mem,
	       (size_t)old_ldt->size * LDT_ENTRY_SIZE);
	mm->context.ldt = new_ldt;

out_unlock:
	mutex_unlock(cx, &old_mm->context.lock);
	return retval;
}

void destroy_context(struct ctx *cx, struct mm_struct *mm)
{
	free_ldt_struct(cx, mm->context.ldt);
	mm->context.ldt = NULL;
}

s64 sys_modify_ldt(struct ctx *cx, u32 idx, u64 entry)
{
	struct mm_struct *mm = cx->curr->mm;
	struct ldt_struct *old_ldt, *new_ldt;
	u32 old_size, new_size;
	s64 error = -ENOMEM;

	if (!cx->m->cfg.ldt)
		return -ENOSYS;
	if (!mm || idx >= LDT_ENTRIES)
		return -EINVAL;

	mutex_lock(cx, &mm->context.lock);
	old_ldt = mm->context.ldt;
	old_size = old_ldt ? old_ldt->size : 0;
	new_size = idx + 1 > old_size ? idx + 1 : old_size;

	/* Always a new one: other CPUs may hold the old one loaded until they have switched. */
	new_ldt = alloc_ldt_struct(cx, new_size, SITE_ldt_write_struct, SITE_ldt_write_entries);
	if (!new_ldt)
		goto out_unlock;
	if (old_ldt)
		memcpy(new_ldt->entries->mem, old_ldt->entries->mem,
		       (size_t)old_size * LDT_ENTRY_SIZE);
	((u64 *)new_ldt->entries->mem)[idx] = entry;
	mm->context.ldt = new_ldt;
	free_ldt_struct(cx, old_ldt);
	error = 0;

out_unlock:
	mutex_unlock(cx, &mm->context.lock);
	return error;
}
