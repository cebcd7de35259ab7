/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who else has translations of an mm and must hear of changes: notifiers (notes 3.1, facts §10.1).
 * Also the other named holders of an mm that are no tasks (facts §4.1, §4.2): the bench plays the
 * driver, so both live in the machine, in numbered slots.
 */
#include "internal.h"

/* Undoes mm_take_all_locks(), also of a part. A lock that is held is the mark that it was taken. */
static void mm_drop_all_locks(struct ctx *cx, struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	struct anon_vma_chain *avc;

	for (vma = mm->mmap; vma; vma = vma->vm_next) {
		STEP(cx);
		list_for_each_entry(avc, &vma->anon_vma_chain, same_vma) {
			STEP(cx);
			if (avc->anon_vma->root->rwsem.writer)
				up_write(cx, &avc->anon_vma->root->rwsem);
		}
	}
	for (vma = mm->mmap; vma; vma = vma->vm_next) {
		STEP(cx);
		if (vma->vm_file && vma->vm_file->f_inode->i_data.i_mmap_rwsem.writer)
			up_write(cx, &vma->vm_file->f_inode->i_data.i_mmap_rwsem);
	}
}

/*
 * Locks each file mapping and each root of an anon_vma that mm has to do with, once: nobody changes
 * an entry meanwhile. -EINTR. Locks: mmap_sem write.
 */
static int mm_take_all_locks(struct ctx *cx, struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	struct anon_vma_chain *avc;

	for (vma = mm->mmap; vma; vma = vma->vm_next) {
		struct address_space *mapping;

		STEP(cx);
		if (fl_should_fail(cx, SITE_mm_take_all_locks, GFP_KERNEL) ||
		    cx->curr->signal_pending)
			goto out_unlock;
		if (!vma->vm_file)
			continue;
		mapping = &vma->vm_file->f_inode->i_data;
		if (!mapping->i_mmap_rwsem.writer)
			down_write_nested(cx, &mapping->i_mmap_rwsem);
	}
	for (vma = mm->mmap; vma; vma = vma->vm_next) {
		STEP(cx);
		list_for_each_entry(avc, &vma->anon_vma_chain, same_vma) {
			STEP(cx);
			if (!avc->anon_vma->root->rwsem.writer)
				down_write_nested(cx, &avc->anon_vma->root->rwsem);
		}
	}
	return 0;

out_unlock:
	mm_drop_all_locks(cx, mm);
	return -EINTR;
}

static int mmu_notifier_register(struct ctx *cx, struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct mmu_notifier_mm *mmu_notifier_mm;
	int ret;

	BUG_ON(cx, atomic_read(&mm->mm_users) <= 0);
	/* even if there is one: what needs memory comes before the locks */
	mmu_notifier_mm = kmem_cache_alloc(cx, CACHE_mmu_notifier_mm, SITE_mmu_notifier_register_mm,
					   GFP_KERNEL);
	if (!mmu_notifier_mm)
		return -ENOMEM;

	down_write(cx, &mm->mmap_sem);
	ret = mm_take_all_locks(cx, mm);
	if (ret)
		goto out_clean;

	if (!mm->mmu_notifier_mm) {
		INIT_LIST_HEAD(&mmu_notifier_mm->list);
		fl_lock_init(&mmu_notifier_mm->lock, LOCK_mmu_notifier_lock);
		mm->mmu_notifier_mm = mmu_notifier_mm;
		mmu_notifier_mm = NULL;
	}
	atomic_inc(cx, &mm->mm_count);
	mn->mm = mm;
	mn->released = 0;
	spin_lock(cx, &mm->mmu_notifier_mm->lock);
	list_add(&mn->hlist, &mm->mmu_notifier_mm->list);
	spin_unlock(cx, &mm->mmu_notifier_mm->lock);
	mm_drop_all_locks(cx, mm);

out_clean:
	up_write(cx, &mm->mmap_sem);
	if (mmu_notifier_mm)
		kmem_cache_free(cx, CACHE_mmu_notifier_mm, mmu_notifier_mm);
	return ret;
}

static void call_release(struct ctx *cx, struct mmu_notifier *mn)
{
	BUG_ON(cx, mn->released); /* once over exit and unregister */
	mn->released++;
}

static void delete_notifier(struct ctx *cx, struct mmu_notifier *mn)
{
	struct mmu_notifier_mm *mmu_notifier_mm = mn->mm->mmu_notifier_mm;

	spin_lock(cx, &mmu_notifier_mm->lock);
	list_del_init(&mn->hlist);
	spin_unlock(cx, &mmu_notifier_mm->lock);
}

/* The mm may have come to its end before: then its notifiers have been told and are off the list.
 */
static void mmu_notifier_unregister(struct ctx *cx, struct mmu_notifier *mn)
{
	struct mm_struct *mm = mn->mm;

	BUG_ON(cx, atomic_read(&mm->mm_count) <= 0);
	if (!list_empty(&mn->hlist)) {
		call_release(cx, mn);
		delete_notifier(cx, mn);
	}
	BUG_ON(cx, mn->open);
	mn->mm = NULL;
	mn->released = 0;
	mmdrop(cx, mm);
}

/* Every one is told, newest first, before any is off the list. */
void mmu_notifier_release(struct ctx *cx, struct mm_struct *mm)
{
	struct mmu_notifier *mn, *next;

	if (!mm->mmu_notifier_mm)
		return;
	list_for_each_entry(mn, &mm->mmu_notifier_mm->list, hlist) {
		STEP(cx);
		call_release(cx, mn);
	}
	sync_point(cx, notifiers_released);
	list_for_each_entry_safe(mn, next, &mm->mmu_notifier_mm->list, hlist) {
		STEP(cx);
		delete_notifier(cx, mn);
	}
}

void mmu_notifier_mm_destroy(struct ctx *cx, struct mm_struct *mm)
{
	if (!mm->mmu_notifier_mm)
		return;
	BUG_ON(cx, !list_empty(&mm->mmu_notifier_mm->list));
	kmem_cache_free(cx, CACHE_mmu_notifier_mm, mm->mmu_notifier_mm);
	mm->mmu_notifier_mm = NULL;
}

void mmu_notifier_invalidate_range_start(struct ctx *cx, struct mm_struct *mm, u64 start, u64 end)
{
	struct mmu_notifier *mn;

	if (!mm->mmu_notifier_mm)
		return;
	BUG_ON(cx, start >= end);
	list_for_each_entry(mn, &mm->mmu_notifier_mm->list, hlist) {
		STEP(cx);
		mn->open++;
		mn->ranges++;
	}
}

void mmu_notifier_invalidate_range_end(struct ctx *cx, struct mm_struct *mm)
{
	struct mmu_notifier *mn;

	if (!mm->mmu_notifier_mm)
		return;
	list_for_each_entry(mn, &mm->mmu_notifier_mm->list, hlist) {
		STEP(cx);
		BUG_ON(cx, !mn->open);
		mn->open--;
	}
}

/* ---- the bench as a driver, and as one who looks into /proc --------------------------------- */

s64 notifier_register(struct ctx *cx, u64 slot)
{
	struct mm_struct *mm = cx->curr->mm;

	if (!cx->m->cfg.mmu_notifier)
		return -ENOSYS;
	if (!mm || slot >= NR_NOTIFIERS)
		return -EINVAL;
	if (cx->m->notifiers[slot].mm)
		return -EBUSY;
	return mmu_notifier_register(cx, &cx->m->notifiers[slot], mm);
}

s64 notifier_unregister(struct ctx *cx, u64 slot)
{
	if (slot >= NR_NOTIFIERS || !cx->m->notifiers[slot].mm)
		return -EINVAL;
	mmu_notifier_unregister(cx, &cx->m->notifiers[slot]);
	return 0;
}

s64 mm_pin(struct ctx *cx, u64 slot, bool users)
{
	struct mm_struct *mm = cx->curr->mm;
	struct mm_holder *pin;

	if (!mm || slot >= NR_MM_PINS)
		return -EINVAL;
	pin = &cx->m->pins[slot];
	if (pin->mm)
		return -EBUSY;
	if (!users)
		atomic_inc(cx, &mm->mm_count);
	else if (!get_task_mm(cx, cx->curr))
		return -EINVAL;
	pin->mm = mm;
	pin->users = users;
	return 0;
}

s64 mm_unpin(struct ctx *cx, u64 slot)
{
	struct mm_struct *mm = slot < NR_MM_PINS ? cx->m->pins[slot].mm : NULL;
	bool users;

	if (!mm)
		return -EINVAL;
	if (cx->m->pins[slot].user)
		return -EBUSY;
	users = cx->m->pins[slot].users;
	cx->m->pins[slot] = (struct mm_holder){0};
	if (users)
		mmput(cx, mm);
	else
		mmdrop(cx, mm);
	return 0;
}

void mm_holders_init(struct machine *m)
{
	for (unsigned int i = 0; i < NR_NOTIFIERS; i++)
		INIT_LIST_HEAD(&m->notifiers[i].hlist);
}
