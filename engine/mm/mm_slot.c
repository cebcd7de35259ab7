/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lists of mms that ksmd and khugepaged go round (facts §4.13, §10.4): how an mm gets on one
 * and off it, at its end or when the daemon has no more use for it.
 */
#include "internal.h"

static const struct {
	enum fl_cache cache;
	enum fl_lock_class lock;
	u32 flag;
} kinds[NR_MM_DAEMONS] = {
	[KSMD] = {CACHE_ksm_mm_slot, LOCK_ksm_mmlist_lock, MMF_VM_MERGEABLE},
	[KHUGEPAGED] = {CACHE_khugepaged_mm_slot, LOCK_khugepaged_mm_lock, MMF_VM_HUGEPAGE},
};

void mm_daemons_init(struct machine *m)
{
	for (unsigned int i = 0; i < NR_MM_DAEMONS; i++) {
		INIT_LIST_HEAD(&m->daemons[i].mm_head);
		fl_lock_init(&m->daemons[i].lock, kinds[i].lock);
	}
}

u32 mm_slot_flag(enum mm_daemon_id id)
{
	return kinds[id].flag;
}

int mm_slot_enter(struct ctx *cx, enum mm_daemon_id id, struct mm_struct *mm, enum fl_site site)
{
	struct mm_daemon *d = &cx->m->daemons[id];
	struct list_head *before = &d->mm_head;
	struct mm_slot *slot;

	BUG_ON(cx, mm->flags & kinds[id].flag);
	BUG_ON(cx, atomic_read(&mm->mm_users) <= 0);
	slot = kmem_cache_alloc(cx, kinds[id].cache, site, GFP_KERNEL | __GFP_ZERO);
	if (!slot)
		return -ENOMEM;

	spin_lock(cx, &d->lock);
	slot->mm = mm;
	/* ksmd comes to a new mm last: its pages need time to settle */
	if (id == KSMD && d->cursor)
		before = &d->cursor->mm_node;
	list_add_tail(&slot->mm_node, before);
	spin_unlock(cx, &d->lock);

	mm->flags |= kinds[id].flag;
	atomic_inc(cx, &mm->mm_count);
	return 0;
}

/* The slot is off the list. The mm may go with it. */
static void free_mm_slot(struct ctx *cx, enum mm_daemon_id id, struct mm_slot *slot)
{
	struct mm_struct *mm = slot->mm;

	kmem_cache_free(cx, kinds[id].cache, slot);
	mm->flags &= ~kinds[id].flag;
	mmdrop(cx, mm);
}

void mm_slot_exit(struct ctx *cx, enum mm_daemon_id id, struct mm_struct *mm)
{
	struct mm_daemon *d = &cx->m->daemons[id];
	struct mm_slot *slot, *found = NULL;
	bool easy_to_free;

	spin_lock(cx, &d->lock);
	list_for_each_entry(slot, &d->mm_head, mm_node) {
		STEP(cx);
		if (slot->mm == mm)
			found = slot;
	}
	BUG_ON(cx, !found);
	easy_to_free = d->cursor != found;
	if (easy_to_free)
		list_del_init(&found->mm_node);
	spin_unlock(cx, &d->lock);

	if (easy_to_free) {
		free_mm_slot(cx, id, found);
		return;
	}
	/* The daemon may be on its way through the VMAs: they stay until it has let go of the lock.
	 */
	down_write(cx, &mm->mmap_sem);
	up_write(cx, &mm->mmap_sem);
}

static struct mm_slot *slot_after(const struct mm_daemon *d, const struct list_head *node)
{
	return node->next == &d->mm_head ? NULL : list_entry(node->next, struct mm_slot, mm_node);
}

void mm_daemon_scan(struct ctx *cx, enum mm_daemon_id id,
		    bool (*wanted)(struct ctx *cx, const struct mm_struct *mm))
{
	struct mm_daemon *d = &cx->m->daemons[id];
	struct mm_slot *slot = d->cursor;
	struct mm_struct *mm;
	bool done;

	if (!slot) {
		spin_lock(cx, &d->lock);
		d->cursor = slot_after(d, &d->mm_head);
		spin_unlock(cx, &d->lock);
		return;
	}

	mm = slot->mm;
	down_read(cx, &mm->mmap_sem);
	done = atomic_read(&mm->mm_users) == 0 || (wanted && !wanted(cx, mm));
	spin_lock(cx, &d->lock);
	d->cursor = slot_after(d, &slot->mm_node);
	if (done)
		list_del_init(&slot->mm_node);
	spin_unlock(cx, &d->lock);
	up_read(cx, &mm->mmap_sem);
	if (done)
		free_mm_slot(cx, id, slot);
}
