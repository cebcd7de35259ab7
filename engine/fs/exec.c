/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * exec of an image that is a list of segments (facts §4.9, §19.2).
 *
 * No address is randomised, so STACK_TOP is STACK_TOP_MAX: the stack is built where it stays and
 * shift_arg_pages() has nothing to do. It begins with one page, grows a page at a time as the
 * argument pages are faulted in from the top, and by 128 KiB once it has its final flags.
 */
#include "internal.h"

#define STACK_EXPAND ((u64)128 << 10)
/* Where an image without segments begins its heap. */
#define EMPTY_IMAGE_BRK 0x400000u

static u64 nr_arg_pages(const struct exec_image *image)
{
	return max_u64(image->stack_pages, 1);
}

/* What can be refused by looking is refused before the point of no return. */
static int check_image(struct ctx *cx, const struct exec_image *image)
{
	u64 limit;

	if (over_limit(cx, SITE_exec_args, nr_arg_pages(image) > cx->m->cfg.limit_stack / 4))
		return -E2BIG;
	limit = cx->m->geo.stack_top - nr_arg_pages(image) * PAGE_SIZE - STACK_EXPAND;

	for (unsigned int i = 0; i < image->nr_segments; i++) {
		const struct exec_segment *seg = &image->segments[i];
		u64 len = PAGE_ALIGN(seg->len);

		STEP(cx);
		if (offset_in_page(seg->start) || offset_in_page(seg->offset) || !len)
			return -ENOEXEC;
		if (seg->start > limit || len > limit - seg->start)
			return -EINVAL;
		if (!seg->file)
			continue;
		if (!(seg->file->f_mode & FMODE_READ))
			return -EACCES;
		if ((seg->prot & PROT_EXEC) && !(seg->file->f_mode & FMODE_EXEC))
			return -EACCES;
	}
	if (image->start_brk > limit)
		return -EINVAL;
	return 0;
}

/* ---- the new mm and its stack, while it belongs to nobody ----------------------------------- */

static int __bprm_mm_init(struct ctx *cx, struct linux_binprm *bprm)
{
	struct mm_struct *mm = bprm->mm;
	struct vm_area_struct *vma;
	int err;

	vma = kmem_cache_alloc(cx, CACHE_vm_area_struct, SITE_bprm_mm_init_vma,
			       GFP_KERNEL | __GFP_ZERO);
	if (!vma)
		return -ENOMEM;

	down_write(cx, &mm->mmap_sem);
	vma->vm_mm = mm;
	vma->vm_end = cx->m->geo.stack_top;
	vma->vm_start = vma->vm_end - PAGE_SIZE;
	vma->vm_flags = VM_SOFTDIRTY | VM_STACK_FLAGS | VM_STACK_INCOMPLETE_SETUP;
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	INIT_LIST_HEAD(&vma->anon_vma_chain);

	err = insert_vm_struct(cx, mm, vma, SITE_bprm_mm_init_acct);
	if (err)
		goto err;

	mm->stack_vm = mm->total_vm = 1;
	up_write(cx, &mm->mmap_sem);
	bprm->vma = vma;
	bprm->p = vma->vm_end;
	return 0;
err:
	up_write(cx, &mm->mmap_sem);
	kmem_cache_free(cx, CACHE_vm_area_struct, vma);
	return err;
}

static int bprm_mm_init(struct ctx *cx, struct linux_binprm *bprm)
{
	int err;

	bprm->mm = mm_alloc(cx);
	if (!bprm->mm)
		return -ENOMEM;

	err = __bprm_mm_init(cx, bprm);
	if (err)
		goto err;
	return 0;
err:
	/* nothing is in it yet that mmput() would take down */
	mmdrop(cx, bprm->mm);
	bprm->mm = NULL;
	return err;
}

/*
 * The argument pages weigh on the caller, so that the killer of memory hogs looks at the right
 * task: they count as its anonymous pages until the new mm is in place or given up.
 */
static void acct_arg_size(struct ctx *cx, struct linux_binprm *bprm, u64 pages)
{
	struct mm_struct *mm = cx->curr->mm;

	if (mm)
		mm->rss_stat[MM_ANONPAGES] += (s64)(pages - bprm->vma_pages);
	bprm->vma_pages = pages;
}

/* Makes the page of pos writable in the new mm. */
static int get_arg_page(struct ctx *cx, struct linux_binprm *bprm, u64 pos)
{
	struct vm_area_struct *vma = bprm->vma;
	struct mm_struct *mm = bprm->mm;
	unsigned int fault;

	if (pos < vma->vm_start) {
		int err;

		down_write(cx, &mm->mmap_sem);
		err = expand_stack(cx, vma, pos);
		up_write(cx, &mm->mmap_sem);
		if (err)
			return err;
	}
	acct_arg_size(cx, bprm, vma_pages(vma));

	down_read(cx, &mm->mmap_sem);
	fault = handle_mm_fault(cx, mm, vma, pos, true);
	up_read(cx, &mm->mmap_sem);
	return fault ? -EFAULT : 0;
}

static int copy_strings(struct ctx *cx, struct linux_binprm *bprm)
{
	u64 pages = nr_arg_pages(bprm->image);

	for (u64 i = 0; i < pages; i++) {
		u64 pos = bprm->p - PAGE_SIZE;

		STEP(cx);
		/* whatever kept the page away, user space is told that it asked for too much */
		if (get_arg_page(cx, bprm, pos))
			return -E2BIG;
		bprm->p = pos;
	}
	return 0;
}

/* ---- from the old image to the new ---------------------------------------------------------- */

/* 0, or -EINTR with the old mm, which the task is to have dumped with it. */
static int exec_mmap(struct ctx *cx, struct mm_struct *mm)
{
	struct task_struct *tsk = cx->curr;
	struct mm_struct *old_mm = tsk->mm, *active_mm;

	mm_release(cx, tsk, old_mm);
	sync_point(cx, exec_mmap_leaving);
	if (old_mm) {
		down_read(cx, &old_mm->mmap_sem);
		if (fl_should_fail(cx, SITE_exec_mmap_dump, GFP_KERNEL) || old_mm->core_state) {
			up_read(cx, &old_mm->mmap_sem);
			return -EINTR;
		}
	}
	active_mm = tsk->active_mm;
	tsk->mm = mm;
	tsk->active_mm = mm;
	switch_mm(cx, active_mm, mm);
	tsk->vmacache_seqnum = 0;
	vmacache_flush(tsk);
	if (old_mm) {
		up_read(cx, &old_mm->mmap_sem);
		BUG_ON(cx, active_mm != old_mm);
		mm_update_next_owner(cx, old_mm);
		mmput(cx, old_mm);
		return 0;
	}
	/* a task that had none borrowed this one */
	mmdrop(cx, active_mm);
	return 0;
}

static void setup_new_exec(struct ctx *cx)
{
	const struct pt_geometry *geo = &cx->m->geo;
	struct mm_struct *mm = cx->curr->mm;

	mm->mmap_base = geo->mmap_base;
	mm->mmap_legacy_base = geo->mmap_legacy_base;
	mm->task_size = geo->task_size;
}

/* Gives the stack its final flags and room to grow into. Past the point of no return. */
static int setup_arg_pages(struct ctx *cx, struct linux_binprm *bprm)
{
	struct mm_struct *mm = cx->curr->mm;
	struct vm_area_struct *vma = bprm->vma, *prev = NULL;
	u64 stack_base;
	int ret;

	down_write(cx, &mm->mmap_sem);
	ret = mprotect_fixup(cx, vma, &prev, vma->vm_start, vma->vm_end,
			     VM_STACK_FLAGS | mm->def_flags | VM_STACK_INCOMPLETE_SETUP);
	if (ret)
		goto out_unlock;
	BUG_ON(cx, prev != vma);

	vma->vm_flags &= ~VM_STACK_INCOMPLETE_SETUP;

	mm->start_stack = bprm->p;
	stack_base = vma->vm_start - STACK_EXPAND;
	if (vma->vm_end - stack_base > cx->m->cfg.limit_stack << PAGE_SHIFT)
		stack_base = vma->vm_end - (cx->m->cfg.limit_stack << PAGE_SHIFT);
	if (expand_stack(cx, vma, stack_base))
		ret = -EFAULT;

out_unlock:
	up_write(cx, &mm->mmap_sem);
	return ret;
}

static int map_segment(struct ctx *cx, struct mm_struct *mm, const struct exec_segment *seg)
{
	u32 flags = MAP_FIXED | MAP_PRIVATE | (seg->file ? 0 : MAP_ANONYMOUS);
	u32 vm_flags = seg->file ? VM_DENYWRITE : 0;
	u64 addr;

	down_write(cx, &mm->mmap_sem);
	addr = do_mmap(cx, mm, seg->file, seg->start, seg->len, seg->prot, flags, vm_flags,
		       seg->file ? seg->offset >> PAGE_SHIFT : 0);
	up_write(cx, &mm->mmap_sem);
	return IS_ERR_VALUE(addr) ? (int)(s64)addr : 0;
}

/* The format that the mm came with, if any, is given back; the new one is counted once more. */
static void set_binfmt(struct ctx *cx, struct linux_binfmt *new)
{
	struct mm_struct *mm = cx->curr->mm;

	if (mm->binfmt)
		module_put(cx, mm->binfmt->module);
	mm->binfmt = new;
	__module_get(cx, new->module);
}

/* An error once bprm->mm is NULL is past the point of no return. */
static int load_binary(struct ctx *cx, struct linux_binprm *bprm, struct linux_binfmt *fmt)
{
	const struct exec_image *image = bprm->image;
	u64 end_image = EMPTY_IMAGE_BRK;
	struct mm_struct *mm = bprm->mm;
	int err;

	err = de_thread(cx, cx->curr);
	if (err)
		return err;

	set_mm_exe_file(cx, mm, image->exe);
	acct_arg_size(cx, bprm, 0);
	err = exec_mmap(cx, mm);
	if (err)
		return err;
	bprm->mm = NULL;
	cx->curr->flags &= ~PF_KTHREAD;

	setup_new_exec(cx);
	commit_creds(cx, bprm->cred);
	bprm->cred = NULL;
	err = setup_arg_pages(cx, bprm);
	if (err)
		return err;

	for (unsigned int i = 0; i < image->nr_segments; i++) {
		const struct exec_segment *seg = &image->segments[i];

		STEP(cx);
		err = map_segment(cx, mm, seg);
		if (err)
			return err;
		if (i == 0)
			end_image = 0;
		end_image = max_u64(end_image, PAGE_ALIGN(seg->start + seg->len));
	}

	set_binfmt(cx, fmt);
	mm->start_brk = mm->brk = image->start_brk ? PAGE_ALIGN(image->start_brk) : end_image;
	return arch_setup_additional_pages(cx, mm);
}

static int search_binary_handler(struct ctx *cx, struct linux_binprm *bprm)
{
	struct linux_binfmt *fmt;
	int err;

	if (bprm->image->binfmt >= NR_BINFMTS)
		return -ENOEXEC;
	fmt = &cx->m->binfmts[bprm->image->binfmt];
	if (!try_module_get(cx, fmt->module, SITE_exec_binfmt))
		return -ENOEXEC;

	err = load_binary(cx, bprm, fmt);
	module_put(cx, fmt->module);
	return err;
}

/* Keeps writers away from the first nr segments' files and the executable, or gives up on it. */
static void allow_image_writes(const struct exec_image *image, unsigned int nr, bool exe)
{
	if (exe && image->exe)
		allow_write_access(image->exe->f_inode);
	while (nr--) {
		if (image->segments[nr].file)
			allow_write_access(image->segments[nr].file->f_inode);
	}
}

static int deny_image_writes(struct ctx *cx, const struct exec_image *image)
{
	unsigned int i;
	int err;

	for (i = 0; i < image->nr_segments; i++) {
		STEP(cx);
		if (!image->segments[i].file)
			continue;
		err = deny_write_access(image->segments[i].file->f_inode);
		if (err)
			goto allow;
	}
	err = image->exe ? deny_write_access(image->exe->f_inode) : 0;
	if (err)
		goto allow;
	return 0;

allow:
	allow_image_writes(image, i, false);
	return err;
}

s64 sys_execve(struct ctx *cx, const struct exec_image *image, bool *killed)
{
	struct files_struct *displaced;
	struct linux_binprm *bprm;
	int retval;

	*killed = false;
	/* it works in the mm of another */
	if ((cx->curr->flags & PF_KTHREAD) && cx->curr->mm)
		return -EBUSY;

	retval = unshare_files(cx, &displaced);
	if (retval)
		goto out_ret;

	retval = -ENOMEM;
	bprm = kmem_cache_alloc(cx, CACHE_linux_binprm, SITE_exec_bprm, GFP_KERNEL | __GFP_ZERO);
	if (!bprm)
		goto out_files;
	bprm->image = image;

	bprm->cred = prepare_creds(cx, SITE_exec_creds_cred);
	if (!bprm->cred)
		goto out_free;
	cx->curr->in_execve = true;

	retval = check_image(cx, image);
	if (retval)
		goto out_free;

	retval = deny_image_writes(cx, image);
	if (retval)
		goto out_free;

	retval = bprm_mm_init(cx, bprm);
	if (retval)
		goto out_allow;

	retval = copy_strings(cx, bprm);
	if (retval)
		goto out;

	retval = search_binary_handler(cx, bprm);
	if (retval)
		goto out;

	goto out_allow;

out:
	if (bprm->mm) {
		acct_arg_size(cx, bprm, 0);
		mmput(cx, bprm->mm);
	} else {
		*killed = true;
	}
out_allow:
	allow_image_writes(image, image->nr_segments, true);
out_free:
	cx->curr->in_execve = false;
	if (bprm->cred)
		put_cred(cx, bprm->cred);
	kmem_cache_free(cx, CACHE_linux_binprm, bprm);
out_files:
	if (!displaced)
		goto out_ret;
	if (retval)
		reset_files_struct(cx, displaced);
	else
		put_files_struct(cx, displaced);
out_ret:
	return retval;
}
