/* SPDX-License-Identifier: GPL-2.0-only */
/* Which error an operation gives for which refusal, and whether it can be tried again. */
#include "declared_priv.h"

/* Rows of one site go before the row of all others (SITE_none); several rows of a site are choices.
 */
static const struct row {
	enum op_code op;
	enum fl_site site;
	enum outcome_kind kind;
	int err;
} errors[] = {
	{OP_mmap, SITE_mmap_region_hook, OUT_ERRNO, ENODEV},
	{OP_mmap, SITE_shmem_inode, OUT_ERRNO, ENOSPC},
	{OP_mmap, SITE_shmem_file, OUT_ERRNO, ENFILE},
	{OP_mmap, SITE_can_do_mlock, OUT_ERRNO, EPERM},
	{OP_mmap, SITE_mmap_memlock, OUT_ERRNO, EAGAIN},
	{OP_mmap, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_remap_file_pages, SITE_mmap_region_hook, OUT_ERRNO, ENODEV},
	{OP_remap_file_pages, SITE_can_do_mlock, OUT_ERRNO, EPERM},
	{OP_remap_file_pages, SITE_mmap_memlock, OUT_ERRNO, EAGAIN},
	{OP_remap_file_pages, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_munmap, SITE_mmap_lock, OUT_ERRNO, EINTR},
	{OP_munmap, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_mprotect, SITE_mmap_lock, OUT_ERRNO, EINTR},
	{OP_mprotect, SITE_none, OUT_ERRNO, ENOMEM},
	/* to who touches it, an object that may not have another page is a full disk */
	{OP_read, SITE_shmem_block_acct, OUT_SIGBUS, 0},
	{OP_write, SITE_shmem_block_acct, OUT_SIGBUS, 0},
	/* a stack that cannot grow is no place to access, whatever the cause */
	{OP_read, SITE_expand_stack_acct, OUT_SIGSEGV, 0},
	{OP_read, SITE_expand_stack_as, OUT_SIGSEGV, 0},
	{OP_read, SITE_expand_stack_size, OUT_SIGSEGV, 0},
	{OP_read, SITE_expand_stack_memlock, OUT_SIGSEGV, 0},
	{OP_read, SITE_anon_vma_prepare_avc, OUT_SIGSEGV, 0},
	{OP_read, SITE_anon_vma_prepare_avc, OUT_OOM, 0},
	{OP_read, SITE_anon_vma_prepare_av, OUT_SIGSEGV, 0},
	{OP_read, SITE_anon_vma_prepare_av, OUT_OOM, 0},
	{OP_read, SITE_none, OUT_OOM, 0},
	{OP_write, SITE_expand_stack_acct, OUT_SIGSEGV, 0},
	{OP_write, SITE_expand_stack_as, OUT_SIGSEGV, 0},
	{OP_write, SITE_expand_stack_size, OUT_SIGSEGV, 0},
	{OP_write, SITE_expand_stack_memlock, OUT_SIGSEGV, 0},
	{OP_write, SITE_anon_vma_prepare_avc, OUT_SIGSEGV, 0},
	{OP_write, SITE_anon_vma_prepare_avc, OUT_OOM, 0},
	{OP_write, SITE_anon_vma_prepare_av, OUT_SIGSEGV, 0},
	{OP_write, SITE_anon_vma_prepare_av, OUT_OOM, 0},
	{OP_write, SITE_none, OUT_OOM, 0},
	{OP_fork, SITE_copy_process_signal, OUT_ERRNO, ERESTARTNOINTR},
	{OP_fork, SITE_copy_process_nproc, OUT_ERRNO, EAGAIN},
	{OP_fork, SITE_copy_process_threads, OUT_ERRNO, EAGAIN},
	{OP_fork, SITE_alloc_pid_max, OUT_ERRNO, EAGAIN},
	{OP_fork, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_vfork, SITE_copy_process_signal, OUT_ERRNO, ERESTARTNOINTR},
	{OP_vfork, SITE_copy_process_nproc, OUT_ERRNO, EAGAIN},
	{OP_vfork, SITE_copy_process_threads, OUT_ERRNO, EAGAIN},
	{OP_vfork, SITE_alloc_pid_max, OUT_ERRNO, EAGAIN},
	{OP_vfork, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_clone, SITE_copy_process_signal, OUT_ERRNO, ERESTARTNOINTR},
	{OP_clone, SITE_copy_process_nproc, OUT_ERRNO, EAGAIN},
	{OP_clone, SITE_copy_process_threads, OUT_ERRNO, EAGAIN},
	{OP_clone, SITE_alloc_pid_max, OUT_ERRNO, EAGAIN},
	{OP_clone, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_kthread, SITE_copy_process_signal, OUT_ERRNO, ERESTARTNOINTR},
	{OP_kthread, SITE_copy_process_nproc, OUT_ERRNO, EAGAIN},
	{OP_kthread, SITE_copy_process_threads, OUT_ERRNO, EAGAIN},
	{OP_kthread, SITE_alloc_pid_max, OUT_ERRNO, EAGAIN},
	{OP_kthread, SITE_none, OUT_ERRNO, ENOMEM},
	/* argument pages that cannot be had are too many arguments, whatever the cause */
	{OP_exec, SITE_anon_vma_prepare_avc, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_anon_vma_prepare_av, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_p4d_alloc_p4d, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_pud_alloc_pud, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_pmd_alloc_pmd, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_pmd_alloc_ctor, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_pte_alloc_pte, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_pte_alloc_ctor, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_anon_page, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_anon_charge, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_huge_pte, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_huge_pte_ctor, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_exec_args, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_expand_stack_acct, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_expand_stack_as, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_expand_stack_size, OUT_ERRNO, E2BIG},
	{OP_exec, SITE_exec_binfmt, OUT_ERRNO, ENOEXEC},
	{OP_exec, SITE_exec_mmap_dump, OUT_ERRNO, EINTR},
	/* past the point of no return */
	{OP_exec, SITE_expand_stack_acct, OUT_KILLED, EFAULT},
	{OP_exec, SITE_expand_stack_as, OUT_KILLED, EFAULT},
	{OP_exec, SITE_expand_stack_size, OUT_KILLED, EFAULT},
	{OP_exec, SITE_mmap_map_count, OUT_KILLED, ENOMEM},
	{OP_exec, SITE_mmap_region_as, OUT_KILLED, ENOMEM},
	{OP_exec, SITE_mmap_region_acct, OUT_KILLED, ENOMEM},
	{OP_exec, SITE_mmap_region_vma, OUT_KILLED, ENOMEM},
	{OP_exec, SITE_munmap_map_count, OUT_KILLED, ENOMEM},
	{OP_exec, SITE_split_vma_vma, OUT_KILLED, ENOMEM},
	{OP_exec, SITE_mmap_region_hook, OUT_KILLED, ENODEV},
	{OP_exec, SITE_special_mapping_vma, OUT_KILLED, ENOMEM},
	{OP_exec, SITE_p4d_alloc_p4d, OUT_KILLED, ENOMEM},
	{OP_exec, SITE_pud_alloc_pud, OUT_KILLED, ENOMEM},
	{OP_exec, SITE_pmd_alloc_pmd, OUT_KILLED, ENOMEM},
	{OP_exec, SITE_pmd_alloc_ctor, OUT_KILLED, ENOMEM},
	{OP_exec, SITE_pte_alloc_pte, OUT_KILLED, ENOMEM},
	{OP_exec, SITE_pte_alloc_ctor, OUT_KILLED, ENOMEM},
	{OP_exec, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_swap_out, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_swapoff, SITE_swapoff_signal, OUT_ERRNO, EINTR},
	{OP_swapoff, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_modify_ldt, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_notifier_register, SITE_mm_take_all_locks, OUT_ERRNO, EINTR},
	{OP_notifier_register, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_mm_alloc, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_khugepaged, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_mremap, SITE_mmap_lock, OUT_ERRNO, EINTR},
	{OP_mremap, SITE_mremap_hook, OUT_ERRNO, EINVAL},
	{OP_mremap, SITE_mremap_memlock, OUT_ERRNO, EAGAIN},
	{OP_mremap, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_uprobe_step, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_uprobe_call, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_io_setup, SITE_ioctx_alloc_max, OUT_ERRNO, EAGAIN},
	{OP_io_setup, SITE_ioctx_alloc_nr, OUT_ERRNO, EAGAIN},
	{OP_io_setup, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_io_submit, SITE_aio_get_req, OUT_ERRNO, EAGAIN},
	/* the range of a ring that cannot be cut out of its VMA stays mapped */
	{OP_io_destroy, SITE_munmap_map_count, OUT_OK, 0},
	{OP_io_destroy, SITE_split_vma_vma, OUT_OK, 0},
	{OP_io_destroy, SITE_anon_vma_clone_avc, OUT_OK, 0},
	{OP_madvise, SITE_mmap_lock, OUT_ERRNO, EINTR},
	{OP_madvise, SITE_none, OUT_ERRNO, EAGAIN},
	{OP_mlock, SITE_mmap_lock, OUT_ERRNO, EINTR},
	{OP_mlock, SITE_shmem_block_acct, OUT_ERRNO, ENOMEM},
	{OP_mlock, SITE_can_do_mlock, OUT_ERRNO, EPERM},
	{OP_mlock, SITE_mlock_memlock, OUT_ERRNO, ENOMEM},
	{OP_mlock, SITE_split_vma_map_count, OUT_ERRNO, ENOMEM},
	{OP_mlock, SITE_split_vma_vma, OUT_ERRNO, ENOMEM},
	{OP_mlock, SITE_split_vma_policy, OUT_ERRNO, ENOMEM},
	{OP_mlock, SITE_anon_vma_clone_avc, OUT_ERRNO, ENOMEM},
	{OP_mlock, SITE_none, OUT_ERRNO, EAGAIN},
	{OP_mlock2, SITE_mmap_lock, OUT_ERRNO, EINTR},
	{OP_mlock2, SITE_shmem_block_acct, OUT_ERRNO, ENOMEM},
	{OP_mlock2, SITE_can_do_mlock, OUT_ERRNO, EPERM},
	{OP_mlock2, SITE_mlock_memlock, OUT_ERRNO, ENOMEM},
	{OP_mlock2, SITE_split_vma_map_count, OUT_ERRNO, ENOMEM},
	{OP_mlock2, SITE_split_vma_vma, OUT_ERRNO, ENOMEM},
	{OP_mlock2, SITE_split_vma_policy, OUT_ERRNO, ENOMEM},
	{OP_mlock2, SITE_anon_vma_clone_avc, OUT_ERRNO, ENOMEM},
	{OP_mlock2, SITE_none, OUT_ERRNO, EAGAIN},
	{OP_mlockall, SITE_mmap_lock, OUT_ERRNO, EINTR},
	{OP_mlockall, SITE_can_do_mlock, OUT_ERRNO, EPERM},
	{OP_mlockall, SITE_mlockall_memlock, OUT_ERRNO, ENOMEM},
	{OP_munlockall, SITE_mmap_lock, OUT_ERRNO, EINTR},
	{OP_munlock, SITE_mmap_lock, OUT_ERRNO, EINTR},
	{OP_munlock, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_ioprio, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_mbind, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_set_mempolicy, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_userfaultfd, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_uffd_register, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_uffd_unregister, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_uffd_copy, SITE_none, OUT_ERRNO, ENOMEM},
	{OP_uffd_zeropage, SITE_none, OUT_ERRNO, ENOMEM},
};

/* Where a fault may be refused. What only fetches pages in advance goes on without them. */
static const enum fl_site fault_sites[] = {
	SITE_p4d_alloc_p4d,
	SITE_pud_alloc_pud,
	SITE_pmd_alloc_pmd,
	SITE_pmd_alloc_ctor,
	SITE_pte_alloc_pte,
	SITE_pte_alloc_ctor,
	SITE_anon_vma_prepare_avc,
	SITE_anon_vma_prepare_av,
	SITE_anon_page,
	SITE_anon_charge,
	SITE_huge_pte,
	SITE_huge_pte_ctor,
	SITE_khugepaged_fault_slot,
	SITE_cow_page,
	SITE_cow_charge,
	SITE_swap_page,
	SITE_swap_charge,
	SITE_filemap_page,
	SITE_shmem_page,
	SITE_shmem_block_acct,
};

static bool is_fault_site(enum fl_site site)
{
	for (size_t i = 0; i < ARRAY_SIZE(fault_sites); i++)
		if (fault_sites[i] == site)
			return true;
	return false;
}

/* Where a load or store of the kernel's on behalf of a user may be refused: a stack may grow, too.
 */
static bool is_access_site(enum fl_site site)
{
	return is_fault_site(site) || site == SITE_expand_stack_acct ||
	       site == SITE_expand_stack_as || site == SITE_expand_stack_size ||
	       site == SITE_expand_stack_memlock;
}

static bool not_populated(const struct target *t, u32 op, const struct fi_point *point,
			  const struct outcome *out)
{
	enum op_code code = (enum op_code)t->p->ops[op].code;
	/* VMA by VMA: a later one may be one that cannot be changed so */
	bool goes_on = code == OP_mprotect && out->kind == OUT_ERRNO && out->value == -EACCES;

	if (out->kind != OUT_OK && !goes_on)
		return false;
	switch (code) {
	case OP_mmap:
	case OP_brk:
	case OP_mremap:
	case OP_mprotect:
	case OP_mlockall:
	case OP_remap_file_pages:
		break;
	default:
		return false;
	}
	return is_fault_site(declared_asked(point));
}

bool declared_untold(const struct target *t, u32 op, const struct fi_point *point)
{
	bool leaves = op == UINT32_MAX || t->p->ops[op].code == OP_exit ||
		      t->p->ops[op].code == OP_exec || t->p->ops[op].code == OP_oom_kill;

	return t->clears_tid && leaves && is_access_site(declared_asked(point));
}

/*
 * A move that is over but for the old range: the VMA that it has to be cut out of cannot be split,
 * and it stays (facts §19.6).
 */
static bool source_kept(const struct target *t, u32 op, const struct fi_point *point,
			const struct outcome *out)
{
	const struct op *o = &t->p->ops[op];
	u64 addr;

	return out->kind == OUT_OK &&
	       (declared_asked(point) == SITE_split_vma_vma ||
		declared_asked(point) == SITE_split_vma_policy ||
		declared_asked(point) == SITE_anon_vma_clone_avc ||
		declared_asked(point) == SITE_munmap_map_count) &&
	       target_addr(t, &t->tasks[o->task], &o->args[0], &addr) && (u64)out->value != addr;
}

/*
 * A context's name that cannot be read is none; its place that cannot be written is none; nor is
 * the page that another one is to be a copy of.
 */
static bool io_access_refused(enum op_code code, const struct fi_point *point,
			      const struct outcome *out)
{
	bool named = code == OP_io_destroy || code == OP_io_submit || code == OP_io_getevents;

	if (code == OP_uffd_copy && is_access_site(declared_asked(point)))
		return out->kind == OUT_ERRNO && out->value == -EFAULT;
	if ((!named && code != OP_io_setup) || !is_access_site(declared_asked(point)))
		return false;
	return out->kind == OUT_ERRNO && out->value == (named ? -EINVAL : -EFAULT);
}

/* A task that is born within probed calls, and finds that it cannot return from them. */
static bool born_without_probes(enum op_code code, const struct fi_point *point,
				const struct outcome *out)
{
	if (code != OP_fork && code != OP_vfork && code != OP_clone)
		return false;
	switch (declared_asked(point)) {
	case SITE_dup_utask_utask:
	case SITE_dup_utask_instance:
	case SITE_xol_area:
	case SITE_xol_bitmap:
	case SITE_xol_page:
	case SITE_special_mapping_vma:
		return out->kind == OUT_OK;
	default:
		return false;
	}
}

/* Of several requests the first ones were started. */
static bool submitted_some(const struct op *o, const struct fi_point *point,
			   const struct outcome *out)
{
	return o->code == OP_io_submit && declared_asked(point) == SITE_aio_get_req &&
	       out->kind == OUT_OK && out->value > 0 && (u64)out->value < o->args[1].val;
}

/* brk has no errors: a refusal returns the break, which is where it was and not where it was
 * wanted. */
static bool brk_refused(const struct target *t, u32 op, const struct outcome *out)
{
	const struct task_struct *tsk = t->tasks[t->p->ops[op].task].tsk;

	return out->kind == OUT_OK && tsk && tsk->mm && (u64)out->value == tsk->mm->brk &&
	       (u64)out->value != t->brk_wanted;
}

bool declared_error(const struct target *t, u32 op, const struct fi_point *point,
		    const struct outcome *out)
{
	enum op_code code = (enum op_code)t->p->ops[op].code;
	bool listed = false;

	if (not_populated(t, op, point, out) ||
	    (out->kind == OUT_OK && declared_untold(t, op, point)))
		return true;
	if (code == OP_brk)
		return brk_refused(t, op, out);
	if (born_without_probes(code, point, out))
		return true;
	if (io_access_refused(code, point, out) || submitted_some(&t->p->ops[op], point, out))
		return true;
	if (code == OP_mremap && source_kept(t, op, point, out))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		const struct row *row = &errors[i];

		if (row->op != code)
			continue;
		if (row->site == SITE_none ? listed : row->site != declared_asked(point))
			continue;
		listed = true;
		if (out->kind == row->kind && out->value == -row->err)
			return true;
	}
	return false;
}

/* What is locked already counts once more when it is locked again: is there room for that? */
static bool room_to_lock_again(const struct target *t, const struct op *o)
{
	const struct task_struct *tsk = t->tasks[o->task].tsk;

	return (PAGE_ALIGN(o->args[1].val) >> PAGE_SHIFT) + 1 + tsk->mm->locked_vm <=
	       t->m->cfg.limit_memlock;
}

/* A move that could not be taken back altogether: its place is taken, the next finds another. */
static bool is_place_taken(const struct target *t, const struct op *o)
{
	return !(o->args[3].val & MREMAP_FIXED) &&
	       t->tasks[o->task].tsk->mm->total_vm > t->vm_before;
}

/* What went on in spite of the fault is over, except a brk that stayed where it was. */
bool declared_retryable(const struct target *t, u32 op, const struct outcome *out)
{
	const struct op *o = &t->p->ops[op];

	if (o->code == OP_mlock || o->code == OP_mlock2)
		return room_to_lock_again(t, o);
	/* where the old pages have gone there is nothing left to remap */
	if (o->code == OP_remap_file_pages)
		return false;
	if (o->code == OP_mremap && out->kind == OUT_ERRNO && is_place_taken(t, o))
		return false;
	/* what is locked has its permissions now, and nobody fetches its pages any more */
	if (o->code == OP_mprotect && t->tasks[o->task].tsk->mm->locked_vm)
		return false;
	if (out->kind == OUT_OK)
		return t->p->ops[op].code == OP_brk && brk_refused(t, op, out);
	/* a word that is not cleared stays so */
	return out->kind != OUT_KILLED && !t->passed_untold;
}
