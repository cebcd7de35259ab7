/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Descriptors by which somebody gives a process the pages that it misses (facts §10.6): their
 * contexts, and the VMAs that are registered with one. A VMA does not count its context: when the
 * descriptor is closed all VMAs of the mm are gone through, if the mm still has any.
 */
#include "internal.h"

/* ---- the context and its file --------------------------------------------------------------- */

/* Who would wait for a page has a reference, too; nobody does. */
static void userfaultfd_ctx_put(struct ctx *cx, struct userfaultfd_ctx *ctx)
{
	bool last = atomic_dec_and_test(cx, &ctx->refcount);

	BUG_ON(cx, !last);
	mmdrop(cx, ctx->mm);
	kmem_cache_free(cx, CACHE_userfaultfd_ctx, ctx);
}

/* All such files have an inode that nothing can be stored in, and that is always to be had. */
static struct file *anon_inode_getfile(struct ctx *cx, struct userfaultfd_ctx *ctx)
{
	struct file_inode *inode = new_inode(cx, SITE_none, 0);
	struct file *file;

	if (!inode)
		return NULL;
	inode->ino = anon_ino(cx->m);
	file = alloc_pseudo_file(cx, inode, SITE_uffd_dentry, SITE_uffd_file, FMODE_READ);
	if (file)
		file->private_data = ctx;
	return file;
}

/* NULL: no memory. */
static struct file *userfaultfd_file_create(struct ctx *cx, struct mm_struct *mm)
{
	struct userfaultfd_ctx *ctx =
		kmem_cache_alloc(cx, CACHE_userfaultfd_ctx, SITE_uffd_ctx, GFP_KERNEL);
	struct file *file;

	if (!ctx)
		return NULL;
	atomic_set(&ctx->refcount, 1);
	ctx->mm = mm;
	atomic_inc(cx, &mm->mm_count);

	file = anon_inode_getfile(cx, ctx);
	if (!file)
		goto drop_ctx;
	return file;

drop_ctx:
	userfaultfd_ctx_put(cx, ctx);
	return NULL;
}

s64 sys_userfaultfd(struct ctx *cx, u64 slot)
{
	struct mm_struct *mm = cx->curr->mm;
	struct file *file;

	if (!cx->m->cfg.uffd)
		return -ENOSYS;
	if (!mm || slot >= NR_UFFDS)
		return -EINVAL;
	if (cx->m->uffds[slot])
		return -EBUSY;
	file = userfaultfd_file_create(cx, mm);
	if (!file)
		return -ENOMEM;
	file->opened = true;
	cx->m->uffds[slot] = file;
	return 0;
}

/* The context in a slot, or NULL. */
static struct userfaultfd_ctx *uffd_in(const struct ctx *cx, u64 slot)
{
	struct file *file = slot < NR_UFFDS ? cx->m->uffds[slot] : NULL;

	return file ? file->private_data : NULL;
}

s64 userfaultfd_close(struct ctx *cx, u64 slot)
{
	struct file *file = uffd_in(cx, slot) ? cx->m->uffds[slot] : NULL;

	if (!file)
		return -EINVAL;
	cx->m->uffds[slot] = NULL;
	file_close(cx, file);
	return 0;
}

/* ---- what is registered --------------------------------------------------------------------- */

static u32 uffd_flags(const struct vm_area_struct *vma, const struct userfaultfd_ctx *ctx)
{
	return (vma->vm_flags & ~VM_UFFD_MISSING) | (ctx ? VM_UFFD_MISSING : 0);
}

static bool uffd_range_ok(const struct mm_struct *mm, u64 start, u64 len)
{
	return !offset_in_page(start | len) && len && start < mm->task_size &&
	       len <= mm->task_size - start;
}

/* From vma on: may all that lies below end be registered with ctx, or be taken from it? */
static int check_vmas(struct ctx *cx, const struct vm_area_struct *vma, u64 end,
		      const struct userfaultfd_ctx *ctx, bool registers)
{
	if (vma->vm_start >= end)
		return -EINVAL;
	for (; vma && vma->vm_start < end; vma = vma->vm_next) {
		STEP(cx);
		if (!vma_is_anonymous(vma))
			return -EINVAL;
		if (vma->vm_userfaultfd_ctx && vma->vm_userfaultfd_ctx != ctx)
			return registers ? -EBUSY : -EINVAL;
	}
	return 0;
}

/*
 * [start, end) of the VMAs from vma on becomes one of ctx, or of none. -ENOMEM: what lies before
 * the VMA that could not be split has.
 */
static int uffd_set(struct ctx *cx, struct vm_area_struct *vma, struct vm_area_struct *prev,
		    u64 start, u64 end, struct userfaultfd_ctx *ctx)
{
	struct mm_struct *mm = vma->vm_mm;
	int err;

	for (; vma && vma->vm_start < end; prev = vma, vma = vma->vm_next) {
		u64 from = max_u64(start, vma->vm_start), to = min_u64(end, vma->vm_end);

		STEP(cx);
		if (vma->vm_userfaultfd_ctx == ctx)
			continue;
		prev = vma_merge(cx, mm, prev, from, to, uffd_flags(vma, ctx), vma->anon_vma, NULL,
				 linear_page_index(vma, from), vma->vm_policy, ctx);
		if (prev) {
			vma = prev;
			goto set;
		}
		if (vma->vm_start < from) {
			err = split_vma(cx, mm, vma, from, true);
			if (err)
				return err;
		}
		if (vma->vm_end > to) {
			err = split_vma(cx, mm, vma, to, false);
			if (err)
				return err;
		}
set:
		vma->vm_flags = uffd_flags(vma, ctx);
		vma->vm_userfaultfd_ctx = ctx;
	}
	return 0;
}

static s64 uffd_change(struct ctx *cx, struct userfaultfd_ctx *ctx, u64 start, u64 len,
		       bool registers)
{
	struct vm_area_struct *vma, *prev;
	struct mm_struct *mm;
	int err = -ENOMEM;

	if (!ctx || !uffd_range_ok(ctx->mm, start, len))
		return -EINVAL;
	mm = ctx->mm;
	if (!mmget_not_zero(cx, mm))
		return -ENOMEM;
	down_write(cx, &mm->mmap_sem);
	vma = find_vma_prev(cx, mm, start, &prev);
	if (!vma)
		goto out_unlock;
	err = check_vmas(cx, vma, start + len, ctx, registers);
	if (err)
		goto out_unlock;
	if (vma->vm_start < start)
		prev = vma;
	err = uffd_set(cx, vma, prev, start, start + len, registers ? ctx : NULL);
out_unlock:
	up_write(cx, &mm->mmap_sem);
	mmput(cx, mm);
	return err;
}

s64 userfaultfd_register(struct ctx *cx, u64 slot, u64 start, u64 len)
{
	return uffd_change(cx, uffd_in(cx, slot), start, len, true);
}

s64 userfaultfd_unregister(struct ctx *cx, u64 slot, u64 start, u64 len)
{
	return uffd_change(cx, uffd_in(cx, slot), start, len, false);
}

void userfaultfd_release(struct ctx *cx, struct userfaultfd_ctx *ctx)
{
	struct vm_area_struct *vma, *prev = NULL;
	struct mm_struct *mm = ctx->mm;

	if (!mmget_not_zero(cx, mm))
		goto put_ctx;
	down_write(cx, &mm->mmap_sem);
	for (vma = mm->mmap; vma; prev = vma, vma = vma->vm_next) {
		STEP(cx);
		if (vma->vm_userfaultfd_ctx != ctx)
			continue;
		prev = vma_merge(cx, mm, prev, vma->vm_start, vma->vm_end, uffd_flags(vma, NULL),
				 vma->anon_vma, NULL, vma->vm_pgoff, vma->vm_policy, NULL);
		/* a merge that could not be made is no reason to stay registered */
		if (prev)
			vma = prev;
		vma->vm_flags = uffd_flags(vma, NULL);
		vma->vm_userfaultfd_ctx = NULL;
	}
	up_write(cx, &mm->mmap_sem);
	mmput(cx, mm);
put_ctx:
	userfaultfd_ctx_put(cx, ctx);
}

/* ---- pages ---------------------------------------------------------------------------------- */

unsigned int handle_userfault(struct ctx *cx, const struct vm_area_struct *vma)
{
	BUG_ON(cx, !vma->vm_userfaultfd_ctx || vma->vm_userfaultfd_ctx->mm != vma->vm_mm);
	return VM_FAULT_SIGBUS;
}

static s64 uffd_give(struct ctx *cx, const struct userfaultfd_ctx *ctx, u64 dst, u64 src,
		     bool zeropage)
{
	s64 ret;

	if (!ctx || !uffd_range_ok(ctx->mm, dst, PAGE_SIZE))
		return -EINVAL;
	if (!mmget_not_zero(cx, ctx->mm))
		return -EINVAL;
	ret = mcopy_atomic(cx, ctx->mm, dst, src, zeropage);
	mmput(cx, ctx->mm);
	return ret;
}

s64 userfaultfd_copy(struct ctx *cx, u64 slot, u64 dst, u64 src)
{
	return uffd_give(cx, uffd_in(cx, slot), dst, src, false);
}

s64 userfaultfd_zeropage(struct ctx *cx, u64 slot, u64 dst)
{
	return uffd_give(cx, uffd_in(cx, slot), dst, 0, true);
}
