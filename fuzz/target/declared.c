/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is declared of faults: which have a fallback, which error an operation gives, and in which
 * cases a failed operation may leave another state than it found (facts §12, §13.2, §19, §25).
 *
 * An exception is a predicate over what was observed before and after, not a waiver: one thing may
 * differ in one way, all else must be equal. Sums over VMAs and entries (total_vm, rss, commit,
 * mapcounts, references) follow from those and are left to the invariants, which run on the same
 * state.
 */
#include "target.h"

#include <stdlib.h>
#include <string.h>

/* ---- fallbacks ------------------------------------------------------------------------------ */

/*
 * Which refusals must not be seen, and what the operation does instead. `next` is the request that
 * the fallback must make at once; SITE_none: it needs none, or which one depends on the state. What
 * it comes to is checked in any case: the result and the state of the run without a fault, in
 * another layout where `relays` says so.
 */
static const struct fallback {
	enum fl_site site;
	enum op_code op; /* NR_OPS: any */
	enum fl_site next;
	bool relays;
	const char *why;
} fallbacks[] = {
	{SITE_anon_vma_clone_nowait, NR_OPS, SITE_anon_vma_clone_avc, false,
	 "the object is asked for again at once, with leave to wait"},
	{SITE_copy_one_pte_cont, NR_OPS, SITE_copy_pte_range_cont, false,
	 "the page is asked for again at once, with leave to wait"},
	{SITE_gather_batch, NR_OPS, SITE_none, false,
	 "the gather flushes early, with the room that it has"},
	{SITE_filemap_page, OP_madvise, SITE_none, false, "what is read in ahead is not missed"},
	{SITE_huge_page, NR_OPS, SITE_none, true, "the fault takes a small page"},
	{SITE_huge_zero_page, NR_OPS, SITE_none, true, "the fault maps the small page of zeroes"},
	{SITE_huge_cow_page, NR_OPS, SITE_none, true,
	 "small pages take the place of the second huge one"},
	{SITE_huge_cow_array, NR_OPS, SITE_cow_page, true,
	 "the huge page is split and the page that is written copied"},
	{SITE_huge_cow_small, NR_OPS, SITE_cow_page, true,
	 "the huge page is split and the page that is written copied"},
	{SITE_huge_charge, NR_OPS, SITE_none, true, "the fault takes a small page"},
	{SITE_huge_cow_charge, NR_OPS, SITE_none, true,
	 "small pages take the place of the second huge one"},
	{SITE_huge_cow_small_charge, NR_OPS, SITE_cow_page, true,
	 "the huge page is split and the page that is written copied"},
	{SITE_khugepaged_merge_slot, NR_OPS, SITE_none, true,
	 "khugepaged learns of the mm from a fault or another merge"},
};

/*
 * The engine's request that was refused: of a backend that had no page for a slab, the request that
 * needed the slab.
 */
static enum fl_site asked(const struct fi_point *point)
{
	return (enum fl_site)(fl_sites[point->site].class == FL_CLASS_refill ? point->prev
									     : point->site);
}

/* op: UINT32_MAX for the end of all tasks. */
static const struct fallback *fallback_of(const struct target *t, u32 op,
					  const struct fi_point *point)
{
	for (size_t i = 0; i < ARRAY_SIZE(fallbacks); i++) {
		const struct fallback *f = &fallbacks[i];

		if (f->site == asked(point) &&
		    (f->op == NR_OPS || (op != UINT32_MAX && f->op == t->p->ops[op].code)))
			return f;
	}
	return NULL;
}

bool declared_benign(const struct target *t, u32 op, const struct fi_point *point)
{
	return fallback_of(t, op, point) != NULL;
}

bool declared_relays(const struct target *t, u32 op, const struct fi_point *point)
{
	const struct fallback *f = fallback_of(t, op, point);

	return f && f->relays;
}

/*
 * Is what swap_out() found in the way, or did not: who has a page of another layout is another, be
 * it locked there, and its slots are taken otherwise.
 */
static bool is_swapped_or_kept(const struct outcome *out)
{
	return out->kind == OUT_OK ||
	       (out->kind == OUT_ERRNO && (out->value == -EBUSY || out->value == -ENOSPC));
}

bool declared_by_layout(const struct target *t, u32 op, const struct outcome *golden,
			const struct outcome *out)
{
	return t->p->ops[op].code == OP_swap_out && is_swapped_or_kept(golden) &&
	       is_swapped_or_kept(out);
}

enum fl_site declared_fallback(const struct target *t, u32 op, const struct fi_point *point)
{
	const struct fallback *f = fallback_of(t, op, point);

	return f ? f->next : SITE_none;
}

bool declared_optional(const struct fi_point *point)
{
	/* a merge that cannot clone is given up, a split or a fork fails */
	return asked(point) == SITE_anon_vma_clone_avc;
}

/* Sites that no program reaches, each with the reason; ends with SITE_none. */
static const struct {
	enum fl_site site;
	const char *why;
} unreached[] = {
	{SITE_slab_refill, "asked by backends that have slabs of their own: --allocator buddy"},
	{SITE_none, NULL},
};

const char *declared_unreached(enum fl_site site)
{
	u32 i = 0;

	while (unreached[i].site != SITE_none && unreached[i].site != site)
		i++;
	return unreached[i].why;
}

/* ---- errors --------------------------------------------------------------------------------- */

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
	if (out->kind != OUT_OK)
		return false;
	switch ((enum op_code)t->p->ops[op].code) {
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
	return is_fault_site(asked(point));
}

bool declared_untold(const struct target *t, u32 op, const struct fi_point *point)
{
	bool leaves = op == UINT32_MAX || t->p->ops[op].code == OP_exit ||
		      t->p->ops[op].code == OP_exec || t->p->ops[op].code == OP_oom_kill;

	return t->clears_tid && leaves && is_access_site(asked(point));
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
	       (asked(point) == SITE_split_vma_vma || asked(point) == SITE_split_vma_policy ||
		asked(point) == SITE_anon_vma_clone_avc || asked(point) == SITE_munmap_map_count) &&
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

	if (code == OP_uffd_copy && is_access_site(asked(point)))
		return out->kind == OUT_ERRNO && out->value == -EFAULT;
	if ((!named && code != OP_io_setup) || !is_access_site(asked(point)))
		return false;
	return out->kind == OUT_ERRNO && out->value == (named ? -EINVAL : -EFAULT);
}

/* A task that is born within probed calls, and finds that it cannot return from them. */
static bool born_without_probes(enum op_code code, const struct fi_point *point,
				const struct outcome *out)
{
	if (code != OP_fork && code != OP_vfork && code != OP_clone)
		return false;
	switch (asked(point)) {
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
	return o->code == OP_io_submit && asked(point) == SITE_aio_get_req && out->kind == OUT_OK &&
	       out->value > 0 && (u64)out->value < o->args[1].val;
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
		if (row->site == SITE_none ? listed : row->site != asked(point))
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

/* ---- observations --------------------------------------------------------------------------- */

/* strcmp() without the call: words mostly differ at once, and fuzzers listen in to each call. */
static inline bool same_word(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static bool is_object(const struct fl_obs *o, const char *object)
{
	return same_word(fl_obs_fields[o->field].object, object);
}

struct area {
	u64 start, end, flags, page_prot, pgoff, file, special, uffd, policy;
};

struct entry {
	u64 addr, page, bits;
};

struct list {
	const struct fl_obs *v;
	u32 nr;
	/*
	 * Records whose numbers end alike, in chains: 1 more than the index of the next, 0 at the
	 * end. NULL: there was no memory for them, and the list is looked through.
	 */
	u32 *next, *first;
};
#define NR_CHAINS 256u

/* The records of all objects of a kind: the first of each, and the next of the same; + 1, 0: none.
 */
struct index {
	u32 *first, *next;
};

enum change_kind {
	CHANGE_HOLE,   /* [start, end) of the mm is unmapped */
	CHANGE_PREFIX, /* the first part of [start, end) has other flags */
	CHANGE_MAPPED, /* [start, end) is mapped */
	CHANGE_MOVED,  /* [from, from + moved) is at start as well, its entries only there */
	CHANGE_SPLIT,  /* nothing; but huge pages may be split, as all of the above may do */
	CHANGE_KILLED, /* the task is gone, or what it had before; perhaps its group, too */
	CHANGE_BORN,   /* the task has a child */
};

#define MAX_TIDS 16u

/* What may differ, and the tables of a comparison. */
struct change {
	enum change_kind kind;
	struct list before, after;
	u32 task, mm; /* numbers in before */
	u64 start, end;
	u64 cut_start, cut_end; /* CHANGE_HOLE, CHANGE_MOVED: may be a hole, too */
	u64 from, moved;
	u64 clear, set; /* CHANGE_PREFIX: bits of the flags */
	u64 policy;	/* CHANGE_PREFIX: of the VMAs, if rebinds */
	u64 uffd;	/* CHANGE_PREFIX: of those whose flags say that they have another now */
	bool rebinds;
	u64 hpage;    /* bytes of a huge page, 0 without */
	bool filled;  /* pages may have been fetched in [start, end) */
	bool advised; /* no counter may differ */
	bool moves_brk;
	bool stays;	/* CHANGE_KILLED: the task lives on, */
	bool new_mm;	/* with another image, which is not looked at */
	bool alone;	/* the other threads of its group are gone, */
	bool sharers;	/* and all others of its mm, but no kernel threads */
	bool whole_mm;	/* def_flags may differ, too */
	bool locks;	/* special mappings are passed by */
	u64 submitted;	/* requests that the context has more, by its name in start */
	bool shares_mm; /* CHANGE_BORN: the child uses the same mm */
	bool probed;	/* there may be an area for stepping now */
	bool destroyed; /* the context of that name, and the pages of its ring, may have gone */
	bool rings_go;
	bool prefix_over;
	bool multiple;	/* more than one fault was made */
	bool uncharges; /* CHANGE_PREFIX: what may be written no more may have lost its charge */
	bool kept;	/* CHANGE_MAPPED: the VMA that has [start, end) has lost its charge */
	/* CHANGE_KILLED: by number, who is gone; words that the gone and the task wanted cleared */
	bool *gone;
	u64 max_task;
	struct {
		u64 mm, addr;
	} tids[MAX_TIDS];
	u32 nr_tids;
	/* number of a page or file in before -> in after; they are numbered by first visit */
	u64 *pages, *files;
	u64 max_page, max_file;
	struct index page_index[2], file_index[2];
	struct area *areas[2];
	u32 nr_areas[2];
	struct entry *entries[2];
	u32 nr_entries[2];
};

static void index_list(struct list *l)
{
	l->next = calloc((size_t)l->nr + 1 + NR_CHAINS, sizeof(*l->next));
	if (!l->next)
		return;
	l->first = l->next + l->nr + 1;
	for (u32 i = l->nr; i-- > 0;) {
		u32 *chain = &l->first[l->v[i].obj % NR_CHAINS];

		l->next[i] = *chain;
		*chain = i + 1;
	}
}

/* The next record of an object: *i is 0 at first, and then belongs to this function. */
static const struct fl_obs *next_of(const struct list *l, const char *object, u32 obj, u32 *i)
{
	u32 k = *i;

	if (l->next)
		k = k ? l->next[k - 1] : l->first[obj % NR_CHAINS];
	else
		k = k < l->nr ? k + 1 : 0;
	while (k && (l->v[k - 1].obj != obj || !is_object(&l->v[k - 1], object)))
		k = l->next ? l->next[k - 1] : k < l->nr ? k + 1 : 0;
	*i = k ? k : *i;
	return k ? &l->v[k - 1] : NULL;
}

static u64 value_of(const struct list *l, enum fl_obs_id field, u32 obj)
{
	const struct fl_obs *o;
	u32 i = 0;

	while ((o = next_of(l, fl_obs_fields[field].object, obj, &i)))
		if (o->field == field)
			return o->val;
	return 0;
}

/* The mm of the userfaultfd in a slot. */
static u32 mm_of_uffd(const struct list *l, u64 slot)
{
	return (u32)value_of(l, OBS_uffd_mm, (u32)slot);
}

static u64 largest(const struct list *l, const char *object)
{
	u64 max = 0;

	for (u32 i = 0; i < l->nr; i++)
		if (is_object(&l->v[i], object))
			max = max_u64(max, l->v[i].obj);
	return max;
}

/* ---- tasks, machine ------------------------------------------------------------------------- */

/* The number that stands for a task's thread group. */
static u64 group_of(const struct list *l, u64 task)
{
	const struct fl_obs *o;
	u32 i = 0;

	while ((o = next_of(l, "task", (u32)task, &i)))
		if (o->field == OBS_task_share && fl_obs_names_group(o->key))
			return o->val;
	return 0;
}

static bool is_gone(const struct change *c, u64 task)
{
	return c->kind == CHANGE_KILLED && task && task <= c->max_task && c->gone[task];
}

static bool shares_mm(const struct change *c, u32 task)
{
	return value_of(&c->before, OBS_task_mm, task) == c->mm &&
	       !(value_of(&c->before, OBS_task_flags, task) & PF_KTHREAD);
}

static void find_gone(struct change *c)
{
	u64 group = group_of(&c->before, c->task);

	for (u64 task = 1; task <= c->max_task; task++)
		c->gone[task] = task == c->task
					? !c->stays
					: (c->alone && group_of(&c->before, task) == group) ||
						  (c->sharers && shares_mm(c, (u32)task));
	for (u32 i = 0; i < c->before.nr; i++) {
		const struct fl_obs *o = &c->before.v[i];

		if (o->field != OBS_task_clear_child_tid || !o->val || c->nr_tids == MAX_TIDS ||
		    (!c->gone[o->obj] && o->obj != c->task))
			continue;
		c->tids[c->nr_tids].mm = value_of(&c->before, OBS_task_mm, o->obj);
		c->tids[c->nr_tids++].addr = o->val;
	}
}

/* Number that a task of before has in after. 0: none, or gone. */
static u64 task_after(const struct change *c, u64 task)
{
	u64 now = task;

	if (c->kind != CHANGE_KILLED || !fl_obs_counts_births(task))
		return task;
	if (is_gone(c, task))
		return 0;
	for (u64 i = 1; i < task; i++)
		now -= is_gone(c, i);
	return now;
}

/* What tasks share is named after the first that has it: who is that once some are gone? */
static u64 surviving_holder(const struct change *c, const struct fl_obs *share)
{
	if (!is_gone(c, share->val))
		return share->val;
	for (u32 i = 0; i < c->before.nr; i++) {
		const struct fl_obs *o = &c->before.v[i];

		if (o->field == share->field && o->key == share->key && o->val == share->val &&
		    !is_gone(c, o->obj))
			return o->obj;
	}
	return share->val;
}

/*
 * Did the task wait for one that has gone, or has left its mm? Maybe it did: for the one whose exec
 * failed, somewhere.
 */
static bool waited(const struct change *c, u32 task, bool maybe)
{
	if (c->kind != CHANGE_KILLED)
		return false;
	for (u32 i = 0; i < c->before.nr; i++) {
		const struct fl_obs *o = &c->before.v[i];

		if (o->field == OBS_task_vfork_parent && o->val == task &&
		    (is_gone(c, o->obj) || (o->obj == c->task && (c->new_mm || maybe))))
			return true;
	}
	return false;
}

/*
 * The task whose exec this is has lost its part of what it shared; others may follow it. Of one
 * that fails after it ended its threads, that is its handlers: all else must be given back.
 */
static bool unshared(const struct change *c, u32 task, const struct fl_obs *share)
{
	return c->kind == CHANGE_KILLED && c->stays &&
	       (c->new_mm || fl_obs_names_handlers(share->key)) &&
	       (task == c->task || share->val == c->task);
}

/*
 * The word that a task which left its mm wanted to be cleared: its page may be another one, with
 * nothing in it.
 */
static bool is_tid(const struct change *c, u64 mm, u64 addr)
{
	u64 mask = c->hpage ? ~(c->hpage - 1) : PAGE_MASK;

	for (u32 i = 0; i < c->nr_tids; i++)
		if (c->tids[i].mm == mm && (c->tids[i].addr & mask) == (addr & mask))
			return true;
	return false;
}

/*
 * The next record of a task of before that is to be there still: who has left its image for another
 * returns from no call of the old one, even if it has to stay.
 */
static const struct fl_obs *next_task_field(const struct change *c, u32 task, bool left, u32 *i)
{
	const struct fl_obs *b;

	do {
		b = next_of(&c->before, "task", task, i);
	} while (b && left &&
		 (b->field == OBS_task_return_instance || b->field == OBS_task_return_depth));
	return b;
}

static bool same_task(const struct change *c, u32 task)
{
	bool acts = c->stays && task == c->task;
	u32 ib = 0, ia = 0, now = (u32)task_after(c, task);
	bool left = acts && !value_of(&c->after, OBS_task_return_depth, now);
	const struct fl_obs *b, *a;

	for (;;) {
		u64 want;

		b = next_task_field(c, task, left, &ib);
		a = next_of(&c->after, "task", now, &ia);
		if (!b || !a)
			return !b && !a;
		want = b->val;
		switch (b->field) {
		case OBS_task_mm: /* paired by the caller */
			want = a->val;
			break;
		case OBS_task_parent:
		case OBS_task_core_dumper:
			want = task_after(c, b->val);
			break;
		case OBS_task_vfork_parent:
			want = acts && !a->val ? 0 : task_after(c, b->val);
			break;
		case OBS_task_share:
			want = unshared(c, task, b) ? a->val
						    : task_after(c, surviving_holder(c, b));
			break;
		case OBS_task_clear_child_tid:
			if (acts && !a->val)
				want = 0;
			break;
		case OBS_task_state:
			if (waited(c, task, a->val == TASK_RUNNING))
				want = TASK_RUNNING;
			if (task == c->task && c->kind == CHANGE_BORN)
				want = a->val; /* it may wait for its child */
			break;
		default:
			break;
		}
		if (a->field != b->field || a->key != b->key || a->val != want)
			return false;
	}
}

static bool is_rest(const struct change *c, const struct fl_obs *o)
{
	if (is_object(o, "module"))
		return (c->kind != CHANGE_KILLED && c->kind != CHANGE_BORN) ||
		       o->field != OBS_module_refcnt;
	if (o->field == OBS_machine_aio_nr)
		return !c->destroyed && c->kind != CHANGE_KILLED;
	return (is_object(o, "machine") && o->field != OBS_machine_committed) ||
	       is_object(o, "slab") || is_object(o, "pages");
}

static const struct fl_obs *next_rest(const struct change *c, const struct list *l, u32 *i)
{
	for (; *i < l->nr; ++*i)
		if (is_rest(c, &l->v[*i]))
			return &l->v[(*i)++];
	return NULL;
}

static bool same_rest(const struct change *c)
{
	u32 ib = 0, ia = 0;
	const struct fl_obs *b, *a;

	for (;;) {
		b = next_rest(c, &c->before, &ib);
		a = next_rest(c, &c->after, &ia);
		if (!b || !a)
			return !b && !a;
		if (a->field != b->field || a->obj != b->obj || a->key != b->key ||
		    a->val != b->val)
			return false;
	}
}

/* ---- an mm ---------------------------------------------------------------------------------- */

static bool in_range(const struct change *c, u32 mm, u64 addr)
{
	return c->kind != CHANGE_KILLED && mm == c->mm && addr >= c->start && addr < c->end;
}

/* Pairs two numbers, once for all. */
static bool paired(u64 *map, u64 max, u64 before, u64 after)
{
	if (before > max || after > max)
		return before == after;
	if (!before || !after)
		return before == after;
	if (!map[before])
		map[before] = after;
	return map[before] == after;
}

static u64 users_gone(const struct change *c, u32 mm)
{
	u64 n = 0;

	for (u64 task = 1; c->kind == CHANGE_KILLED && task <= c->max_task; task++)
		n += (is_gone(c, task) || (c->new_mm && task == c->task)) &&
		     value_of(&c->before, OBS_task_mm, (u32)task) == mm;
	return n;
}

/* Has a task of the mm such a word; mm 0: of any? */
static bool wants_tid(const struct change *c, u32 mm)
{
	for (u32 i = 0; i < c->nr_tids; i++)
		if (!mm || c->tids[i].mm == mm)
			return true;
	return false;
}

/*
 * Do rings lose their pages, wherever they are mapped? That of the context that is destroyed, and
 * those of an mm that nobody uses any more.
 */
static bool rings_go(const struct change *c)
{
	return c->destroyed ||
	       (c->kind == CHANGE_KILLED && value_of(&c->before, OBS_mm_ioctx_file, c->mm) &&
		value_of(&c->before, OBS_mm_users, c->mm) == users_gone(c, c->mm));
}

/* Slot of the context that the operation was about; ~0: none. */
static u64 context_slot(const struct change *c)
{
	for (u32 i = 0; i < c->before.nr; i++)
		if (c->before.v[i].obj == c->mm && c->before.v[i].field == OBS_mm_ioctx &&
		    c->before.v[i].val == c->start)
			return c->before.v[i].key;
	return ~(u64)0;
}

/* The next record of an mm of before that is to be there still. */
static const struct fl_obs *next_mm_field(const struct change *c, u32 mm, u32 *i)
{
	const struct fl_obs *b;

	do {
		b = next_of(&c->before, "mm", mm, i);
	} while (b && c->destroyed && mm == c->mm && b->key == context_slot(c) &&
		 !strncmp(fl_obs_fields[b->field].name, "ioctx", 5));
	return b;
}

static bool same_fields(const struct change *c, u32 mm, u32 now)
{
	u32 ib = 0, ia = 0;
	const struct fl_obs *b, *a;

	for (;;) {
		u64 want;

		b = next_mm_field(c, mm, &ib);
		a = next_of(&c->after, "mm", now, &ia);
		if (!b || !a)
			return !b && !a;
		want = b->val;
		switch (b->field) {
		case OBS_mm_core_state:
			want = task_after(c, b->val);
			break;
		case OBS_mm_owner:
			want = task_after(c, b->val);
			if (is_gone(c, b->val) || (c->new_mm && b->val == c->task))
				want = a->val;
			break;
		case OBS_mm_exe_file:
		case OBS_mm_ioctx_file:
			if (paired(c->files, c->max_file, b->val, a->val))
				want = a->val;
			break;
		case OBS_mm_users:
			want -= users_gone(c, mm);
			if (c->kind == CHANGE_BORN && c->shares_mm && mm == c->mm)
				want++;
			break;
		case OBS_mm_brk:
			if (mm == c->mm && c->moves_brk)
				want = a->val;
			break;
		case OBS_mm_def_flags:
			if (mm == c->mm && c->whole_mm)
				want = a->val;
			break;
		case OBS_mm_locked_vm:
			if (mm == c->mm && c->kind != CHANGE_KILLED && !c->advised)
				want = a->val;
			break;
		case OBS_mm_flags:
		case OBS_mm_xol_vaddr:
			if (mm == c->mm && c->probed)
				want = a->val;
			break;
		case OBS_mm_ioctx: /* a ring that has moved */
		case OBS_mm_ioctx_base:
			if (mm == c->mm && c->kind == CHANGE_MOVED && a->val == c->start)
				want = a->val;
			break;
		case OBS_mm_ioctx_reqs:
			if (mm == c->mm && c->submitted && b->key == context_slot(c))
				want += c->submitted;
			break;
		case OBS_mm_total_vm:
		case OBS_mm_shared_vm:
		case OBS_mm_exec_vm:
		case OBS_mm_stack_vm:
		case OBS_mm_rss:
			if (mm == c->mm && c->kind != CHANGE_KILLED && !c->advised)
				want = a->val;
			/* the page of a word, or of a ring */
			if (b->field == OBS_mm_rss && (c->rings_go || wants_tid(c, mm)))
				want = a->val;
			break;
		default:
			break;
		}
		if (a->field != b->field || a->key != b->key || a->val != want)
			return false;
	}
}

static void collect(struct change *c, unsigned int side, u32 mm)
{
	const struct list *l = side ? &c->after : &c->before;
	struct area *area = NULL;
	struct entry *entry = NULL;

	c->nr_areas[side] = c->nr_entries[side] = 0;
	for (u32 i = 0; i < l->nr; i++) {
		const struct fl_obs *o = &l->v[i];

		if (o->obj != mm || (!is_object(o, "vma") && !is_object(o, "pte")))
			continue;
		switch (o->field) {
		case OBS_vma_end:
			area = &c->areas[side][c->nr_areas[side]++];
			*area = (struct area){.start = o->key, .end = o->val};
			break;
		case OBS_vma_flags:
			area->flags = o->val;
			break;
		case OBS_vma_page_prot:
			area->page_prot = o->val;
			break;
		case OBS_vma_pgoff:
			area->pgoff = o->val;
			break;
		case OBS_vma_file:
			area->file = o->val;
			break;
		case OBS_vma_special:
			area->special = o->val;
			break;
		case OBS_vma_uffd:
			area->uffd = o->val;
			break;
		case OBS_vma_policy:
			area->policy = o->val;
			break;
		case OBS_pte_page:
			entry = &c->entries[side][c->nr_entries[side]++];
			*entry = (struct entry){.addr = o->key, .page = o->val};
			break;
		case OBS_pte_bits:
			entry->bits = o->val;
			break;
		default:
			break;
		}
	}
}

static bool index_make(struct index *x, const struct list *l, const char *object, u64 max)
{
	x->first = calloc(max + 1, sizeof(*x->first));
	x->next = calloc((size_t)l->nr + 1, sizeof(*x->next));
	if (!x->first || !x->next)
		return false;
	for (u32 i = l->nr; i-- > 0;) {
		if (!is_object(&l->v[i], object))
			continue;
		x->next[i] = x->first[l->v[i].obj];
		x->first[l->v[i].obj] = i + 1;
	}
	return true;
}

static void index_free(struct index *x)
{
	free(x->first);
	free(x->next);
}

static u64 tag_of(const struct list *l, const struct index *x, u64 page)
{
	for (u32 i = x->first[page]; i; i = x->next[i - 1])
		if (l->v[i - 1].field == OBS_page_tag)
			return l->v[i - 1].val;
	return 0;
}

static bool same_object(const struct change *c, const struct index *x, u64 before, u64 after)
{
	u32 ib = x[0].first[before], ia = x[1].first[after];

	for (; ib && ia; ib = x[0].next[ib - 1], ia = x[1].next[ia - 1]) {
		const struct fl_obs *b = &c->before.v[ib - 1], *a = &c->after.v[ia - 1];

		if (a->field != b->field)
			return false;
		if (a->val == b->val)
			continue;
		/* the number of an inode may have moved, and mapcounts follow from the entries */
		if (same_word(fl_obs_fields[b->field].name, "inode") ||
		    same_word(fl_obs_fields[b->field].name, "mapcount"))
			continue;
		if (b->field != OBS_page_tag || a->val || !wants_tid(c, 0))
			return false;
	}
	return !ib && !ia;
}

static const struct area *area_at(const struct area *areas, u32 nr, u64 addr)
{
	for (u32 i = 0; i < nr; i++)
		if (areas[i].start <= addr && addr < areas[i].end)
			return &areas[i];
	return NULL;
}

static u64 pgoff_at(const struct area *a, u64 addr)
{
	return a->pgoff + ((addr - a->start) >> PAGE_SHIFT);
}

static bool has_new_flags(const struct change *c, u64 old, u64 new)
{
	u64 want = (old & ~c->clear) | c->set;

	if (new == want || (c->set & VM_WRITE && new == (want | VM_ACCOUNT)))
		return true;
	return c->uncharges && new == (want & ~(u64)VM_ACCOUNT);
}

static bool in_cut(const struct change *c, u32 mm, u64 addr)
{
	return mm == c->mm && addr >= c->cut_start && addr < c->cut_end;
}

/*
 * Was [cut_start, cut_end) cut off? As a whole, or not at all, which the first thing that was there
 * tells: the rest is compared.
 */
static bool is_cut(const struct change *c, u32 mm, u64 addr)
{
	if (!in_cut(c, mm, addr))
		return false;
	for (u32 i = 0; i < c->nr_areas[0]; i++) {
		const struct area *b = &c->areas[0][i];

		if (b->end > c->cut_start)
			return !area_at(c->areas[1], c->nr_areas[1],
					max_u64(b->start, c->cut_start));
	}
	return false;
}

static bool lies_in(const struct area *a, u64 addr)
{
	return a->start <= addr && addr < a->end;
}

/*
 * What the old range, or a new one that stays, has lost: the charge of the VMA around it, as it was
 * or as it is now.
 */
static bool lost_account(const struct change *c, u32 mm, const struct area *b, const struct area *a)
{
	bool around = c->kept ? lies_in(a, c->start)
			      : c->kind == CHANGE_MOVED &&
					(lies_in(b, c->from) || lies_in(a, c->from));

	return around && mm == c->mm && a->flags == (b->flags & ~(u64)VM_ACCOUNT);
}

/* The piece of the new range that begins at addr, against the old range as it was. */
static bool moved_piece(struct change *c, const struct area *a)
{
	const struct area *b = area_at(c->areas[0], c->nr_areas[0], c->from);
	u64 flags = b ? b->flags & ~(u64)VM_UFFD_MISSING : 0;

	if (!a || !b || a->uffd)
		return false;
	/* merged with the old range, it has lost its charge with it */
	if (a->flags != flags && !(a->start <= c->from && c->from < a->end))
		return false;
	return (a->flags | VM_ACCOUNT) == (flags | VM_ACCOUNT) && a->page_prot == b->page_prot &&
	       a->special == b->special && a->policy == b->policy &&
	       paired(c->files, c->max_file, b->file, a->file);
}

/* As before, or in the first part of a range the new one. */
static bool same_policy(struct change *c, bool in_range, const struct area *b, const struct area *a)
{
	if (!c->rebinds || !in_range)
		return a->policy == b->policy;
	if (a->policy == c->policy)
		return !c->prefix_over || b->policy == c->policy;
	c->prefix_over = true;
	return a->policy == b->policy;
}

/* The piece of before that begins at addr, against what is there after. */
static bool same_piece(struct change *c, u32 mm, const struct area *b, u64 addr)
{
	const struct area *a = area_at(c->areas[1], c->nr_areas[1], addr);

	if (in_range(c, mm, addr) && c->kind == CHANGE_HOLE)
		return !a;
	if (in_range(c, mm, addr) && c->kind == CHANGE_MAPPED)
		return a;
	if (in_range(c, mm, addr) && c->kind == CHANGE_MOVED)
		return moved_piece(c, a);
	if (is_cut(c, mm, addr))
		return !a;
	if (!a || !b)
		return !a && !b;
	if (!paired(c->files, c->max_file, b->file, a->file) || b->special != a->special ||
	    pgoff_at(b, addr) != pgoff_at(a, addr))
		return false;
	if (!same_policy(c, in_range(c, mm, addr), b, a))
		return false;
	if (a->uffd != ((a->flags ^ b->flags) & VM_UFFD_MISSING ? c->uffd : b->uffd))
		return false;
	if (a->flags == b->flags && a->page_prot == b->page_prot) {
		if (in_range(c, mm, addr) && !has_new_flags(c, b->flags, a->flags) &&
		    !(c->locks && b->flags & VM_SPECIAL))
			c->prefix_over = true;
		return true;
	}
	if (lost_account(c, mm, b, a))
		return a->page_prot == b->page_prot;
	return in_range(c, mm, addr) && c->kind == CHANGE_PREFIX && !c->prefix_over &&
	       has_new_flags(c, b->flags, a->flags);
}

static int by_address(const void *x, const void *y)
{
	const u64 *a = x, *b = y;

	return *a < *b ? -1 : *a > *b;
}

/* Both sides are constant between two neighbouring bounds of either, or of the range. */
static bool same_areas(struct change *c, u32 mm)
{
	u32 nr = 0, max = 2 * (c->nr_areas[0] + c->nr_areas[1]) + 4;
	u64 *bounds = calloc(max, sizeof(*bounds));
	bool same = bounds != NULL;

	for (unsigned int side = 0; side < 2 && bounds; side++) {
		for (u32 i = 0; i < c->nr_areas[side]; i++) {
			bounds[nr++] = c->areas[side][i].start;
			bounds[nr++] = c->areas[side][i].end;
		}
	}
	if (bounds) {
		bounds[nr++] = c->start;
		bounds[nr++] = c->end;
		bounds[nr++] = c->cut_start;
		bounds[nr++] = c->cut_end;
		qsort(bounds, nr, sizeof(*bounds), by_address);
	}
	for (u32 i = 0; i + 1 < nr && same; i++) {
		if (bounds[i] != bounds[i + 1])
			same = same_piece(c, mm, area_at(c->areas[0], c->nr_areas[0], bounds[i]),
					  bounds[i]);
	}
	free(bounds);
	return same;
}

static int entry_by_address(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;

	return a->addr < b->addr ? -1 : a->addr > b->addr;
}

/* Makes of the entries before what a move makes of them: what was at its destination is gone. */
static void move_entries(struct change *c)
{
	struct entry *e = c->entries[0];
	u32 nr = 0;

	for (u32 i = 0; i < c->nr_entries[0]; i++) {
		if (in_range(c, c->mm, e[i].addr))
			continue;
		e[nr] = e[i];
		if (e[nr].addr - c->from < c->moved)
			e[nr].addr += c->start - c->from;
		nr++;
	}
	c->nr_entries[0] = nr;
	qsort(e, nr, sizeof(*e), entry_by_address);
}

/* Fetched pages may take the place of others, but hold what those held. */
static bool same_filled(const struct change *c, const struct entry *b, const struct entry *a)
{
	u64 had = b->page ? tag_of(&c->before, &c->page_index[0], b->page) : 0;
	u64 has = a->page ? tag_of(&c->after, &c->page_index[1], a->page) : 0;

	return had == has;
}

/* May pages have been fetched at addr? A huge one also lies beside the range that it is for. */
static bool may_be_fetched(const struct change *c, u32 mm, u64 addr)
{
	u64 mask = c->hpage ? c->hpage - 1 : 0;

	if (!c->filled && c->kind != CHANGE_MAPPED)
		return false;
	return mm == c->mm && (addr & ~mask) < c->end && (addr | mask) >= c->start;
}

/* Has the entry gone with its page, from what is mapped of a ring? */
static bool gone_with_ring(const struct change *c, u64 addr)
{
	const struct area *b = c->rings_go ? area_at(c->areas[0], c->nr_areas[0], addr) : NULL;

	if (!b || !b->file || !(b->flags & VM_DONTEXPAND))
		return false;
	for (u32 i = 0; i < c->nr_entries[1]; i++)
		if (c->entries[1][i].addr == addr)
			return false;
	return true;
}

/* Entries of after that are not there before: *k goes past those that may be. */
static const struct entry *next_after(const struct change *c, u32 mm, u64 before, u32 *k)
{
	const struct entry *a;

	while (*k < c->nr_entries[1]) {
		a = &c->entries[1][(*k)++];
		if ((a->addr < before && may_be_fetched(c, mm, a->addr)) || is_tid(c, mm, a->addr))
			continue;
		return a;
	}
	return NULL;
}

/* The page of such a word holds what it held, or nothing. */
static bool same_or_cleared(const struct change *c, const struct entry *b)
{
	for (u32 i = 0; i < c->nr_entries[1]; i++) {
		const struct entry *a = &c->entries[1][i];

		if (a->addr == b->addr)
			return same_filled(c, b, a) || !a->page ||
			       !value_of(&c->after, OBS_page_tag, (u32)a->page);
	}
	return false;
}

static bool same_entries(struct change *c, u32 mm)
{
	const pte_t prot = _PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_PROTNONE | _PAGE_NX;
	const struct entry *a;
	u32 k = 0;

	for (u32 i = 0; i < c->nr_entries[0]; i++) {
		const struct entry *b = &c->entries[0][i];
		bool changed = in_range(c, mm, b->addr);
		u64 hidden = 0;

		if (is_cut(c, mm, b->addr) || gone_with_ring(c, b->addr))
			continue;
		if (is_tid(c, mm, b->addr)) {
			if (!same_or_cleared(c, b))
				return false;
			continue;
		}
		if (changed && (c->kind == CHANGE_HOLE || c->kind == CHANGE_MAPPED))
			continue;
		if (changed && c->kind == CHANGE_PREFIX)
			hidden = prot;
		a = next_after(c, mm, b->addr, &k);
		if (!a || a->addr != b->addr)
			return false;
		if (changed && c->filled) {
			if (!same_filled(c, b, a))
				return false;
			continue;
		}
		if ((a->bits & ~hidden) != (b->bits & ~hidden) ||
		    !paired(c->pages, c->max_page, b->page, a->page))
			return false;
	}
	return !next_after(c, mm, ~(u64)0, &k);
}

/* Where VMAs are cut huge pages are split, and stay so when more cannot be done (facts §22). */
static bool same_huge(const struct change *c, u32 mm, u32 now)
{
	u32 ib = 0, ia = 0;
	const struct fl_obs *b = next_of(&c->before, "pmd", mm, &ib), *a;

	while ((a = next_of(&c->after, "pmd", now, &ia))) {
		u64 key = a->key;

		if ((c->kind == CHANGE_MOVED && in_range(c, mm, key)) || may_be_fetched(c, mm, key))
			continue;
		for (; b && b->key < key; b = next_of(&c->before, "pmd", mm, &ib))
			if (c->kind == CHANGE_KILLED)
				return false;
		if (!b || b->key != key)
			return false;
		b = next_of(&c->before, "pmd", mm, &ib);
	}
	return true;
}

static bool same_mm(struct change *c, u32 mm, u32 now)
{
	collect(c, 0, mm);
	collect(c, 1, now);
	if (c->kind == CHANGE_MOVED && mm == c->mm)
		move_entries(c);
	return same_fields(c, mm, now) && same_areas(c, mm) && same_huge(c, mm, now) &&
	       same_entries(c, mm);
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* Number that an mm of before has in after: those that no task has come last. */
static u32 mm_after(const struct change *c, u32 mm, u32 nr_before, u32 nr_after)
{
	u64 held = 0;

	for (u32 i = 0; i < c->before.nr; i++)
		if (c->before.v[i].field == OBS_task_mm)
			held = max_u64(held, c->before.v[i].val);
	return mm > held ? mm + (nr_after - nr_before) : mm;
}

static u32 nr_mms_of(const struct list *l)
{
	u32 nr = 0;

	for (u32 i = 0; i < l->nr; i++)
		if (l->v[i].field == OBS_mm_users)
			nr = l->v[i].obj;
	return nr;
}

static bool same_mms(struct change *c)
{
	u32 nr_before = nr_mms_of(&c->before), nr_after = nr_mms_of(&c->after);
	u64 nr = largest(&c->before, "task");

	if (c->kind != CHANGE_KILLED) {
		for (u32 mm = 1; mm <= nr_before; mm++)
			if (!same_mm(c, mm, mm_after(c, mm, nr_before, nr_after)))
				return false;
	}
	for (u32 task = 1; task <= nr; task++) {
		u64 mm = value_of(&c->before, OBS_task_mm, task), now;

		if (is_gone(c, task))
			continue;
		if (!same_task(c, task))
			return false;
		if (c->new_mm && task == c->task)
			continue;
		now = value_of(&c->after, OBS_task_mm, (u32)task_after(c, task));
		if (!mm || !now || c->kind != CHANGE_KILLED) {
			if (mm != now)
				return false;
			continue;
		}
		if (!same_mm(c, (u32)mm, (u32)now))
			return false;
	}
	return true;
}

static bool same_contents(const struct change *c)
{
	for (u64 i = 1; i <= c->max_page; i++)
		if (c->pages[i] && !same_object(c, c->page_index, i, c->pages[i]))
			return false;
	for (u64 i = 1; i <= c->max_file; i++)
		if (c->files[i] && !same_object(c, c->file_index, i, c->files[i]))
			return false;
	return true;
}

static u32 count_field(const struct list *l, enum fl_obs_id field)
{
	u32 n = 0;

	for (u32 i = 0; i < l->nr; i++)
		n += l->v[i].field == field;
	return n;
}

static bool only_changed(struct change *c)
{
	bool same = false, room = true;

	c->max_page = max_u64(largest(&c->before, "page"), largest(&c->after, "page"));
	c->max_file = max_u64(largest(&c->before, "file"), largest(&c->after, "file"));
	c->max_task = largest(&c->before, "task");
	c->gone = calloc(c->max_task + 1, sizeof(*c->gone));
	c->pages = calloc(c->max_page + 1, sizeof(*c->pages));
	c->files = calloc(c->max_file + 1, sizeof(*c->files));
	for (unsigned int side = 0; side < 2; side++) {
		const struct list *l = side ? &c->after : &c->before;

		c->areas[side] = calloc(count_field(l, OBS_vma_end) + 1, sizeof(*c->areas[side]));
		c->entries[side] =
			calloc(count_field(l, OBS_pte_page) + 1, sizeof(*c->entries[side]));
		room = room && c->areas[side] && c->entries[side] &&
		       index_make(&c->page_index[side], l, "page", c->max_page) &&
		       index_make(&c->file_index[side], l, "file", c->max_file);
	}
	if (c->gone && c->kind == CHANGE_KILLED)
		find_gone(c);
	c->rings_go = c->gone && rings_go(c);
	if (c->gone && c->pages && c->files && room)
		same = same_rest(c) && same_mms(c) && same_contents(c);
	for (unsigned int side = 0; side < 2; side++) {
		free(c->areas[side]);
		free(c->entries[side]);
		index_free(&c->page_index[side]);
		index_free(&c->file_index[side]);
	}
	free(c->gone);
	free(c->pages);
	free(c->files);
	return same;
}

/* Where the area ends that has addr; 0: none has. */
static u64 area_end(const struct list *l, u32 mm, u64 addr)
{
	for (u32 i = 0; i < l->nr; i++)
		if (l->v[i].obj == mm && l->v[i].field == OBS_vma_end && l->v[i].key <= addr &&
		    l->v[i].val > addr)
			return l->v[i].val;
	return 0;
}

/*
 * A move that was taken back: its new range has joined a neighbour, and could not be split off it
 * again. What is one VMA with it has lost its charge.
 */
static const char *kept_destination(struct change *c, u64 len)
{
	c->kind = CHANGE_MAPPED;
	c->end = c->start + len;
	c->kept = true;
	return "mremap-destination-kept";
}

/* The first address that is mapped now and was not; 0: none. */
static u64 first_new(const struct change *c)
{
	for (u32 i = 0; i < c->after.nr; i++) {
		const struct fl_obs *a = &c->after.v[i];

		if (a->obj != c->mm || a->field != OBS_vma_end)
			continue;
		for (u64 addr = a->key; addr < a->val; addr = area_end(&c->before, c->mm, addr))
			if (!area_end(&c->before, c->mm, addr))
				return addr;
	}
	return 0;
}

/*
 * What a remapping may leave: two holes when it failed; when it did not, the old range, or the new
 * part of a locked one without its pages.
 */
static const char *mremap_exception(const struct target *t, const struct op *o,
				    const struct outcome *out, struct change *c)
{
	u64 old_len = PAGE_ALIGN(o->args[1].val), new_len = PAGE_ALIGN(o->args[2].val);
	const struct target_task *task = &t->tasks[o->task];
	bool fixed = o->args[3].val & MREMAP_FIXED;

	if (!target_addr(t, task, &o->args[0], &c->from) ||
	    !target_addr(t, task, &o->args[4], &c->start))
		return NULL;
	if (fixed && old_len > new_len) {
		c->cut_start = c->from + new_len;
		c->cut_end = c->from + old_len;
	}
	if (out->kind == OUT_ERRNO && fixed) {
		if (c->multiple && area_end(&c->after, c->mm, c->start))
			return kept_destination(c, new_len);
		c->end = c->start + new_len;
		c->kind = CHANGE_HOLE;
		return "mremap-destination-hole";
	}
	if (out->kind == OUT_ERRNO && c->multiple) {
		c->start = first_new(c);
		return c->start ? kept_destination(c, new_len) : NULL;
	}
	if (out->kind != OUT_OK)
		return NULL;
	c->kind = CHANGE_MOVED;
	c->start = (u64)out->value;
	c->end = c->start + new_len;
	if (task->tsk->mm->locked_vm && old_len < new_len) {
		if (c->start == c->from) {
			c->start += old_len;
		} else {
			c->cut_start = c->from;
			c->cut_end = c->from + old_len;
			c->moved = old_len;
		}
		c->filled = true;
		return "mremap-not-populated";
	}
	c->moved = min_u64(old_len, new_len);
	return "mremap-source-kept";
}

/* The range of the first two arguments, rounded outwards. */
static bool range_of(const struct target *t, const struct op *o, struct change *c)
{
	u64 addr;

	if (!target_addr(t, &t->tasks[o->task], &o->args[0], &addr))
		return false;
	c->start = addr & PAGE_MASK;
	c->end = PAGE_ALIGN(addr + o->args[1].val);
	return true;
}

/* A part of a range is locked or not any more, and some of its pages are there. */
static const char *lock_exception(const struct target *t, const struct op *o, struct change *c)
{
	c->kind = CHANGE_PREFIX;
	c->clear = VM_LOCKED | VM_LOCKONFAULT;
	c->filled = o->code != OP_munlock;
	c->locks = true;
	if (o->code == OP_mlockall) {
		c->set = o->args[0].val & MCL_CURRENT ? VM_LOCKED : 0;
		if (c->set && o->args[0].val & MCL_ONFAULT)
			c->set |= VM_LOCKONFAULT;
		c->end = ~(u64)0;
		c->whole_mm = true;
		return "mlockall-not-populated";
	}
	if (!range_of(t, o, c))
		return NULL;
	if (o->code != OP_munlock)
		c->set = VM_LOCKED;
	if (o->code == OP_mlock2 && o->args[2].val & MLOCK_ONFAULT)
		c->set |= VM_LOCKONFAULT;
	return o->code == OP_munlock ? "munlock-prefix" : "mlock-prefix";
}

/* Flags of the first VMAs of a range are as advised. */
static const char *madvise_exception(const struct target *t, const struct op *o, struct change *c)
{
	static const struct {
		u32 advice, clear, set;
	} flags[] = {
		{MADV_NORMAL, VM_RAND_READ | VM_SEQ_READ, 0},
		{MADV_RANDOM, VM_SEQ_READ, VM_RAND_READ},
		{MADV_SEQUENTIAL, VM_RAND_READ, VM_SEQ_READ},
		{MADV_DONTFORK, 0, VM_DONTCOPY},
		{MADV_DOFORK, VM_DONTCOPY, 0},
		{MADV_DONTDUMP, 0, VM_DONTDUMP},
		{MADV_DODUMP, VM_DONTDUMP, 0},
		{MADV_HUGEPAGE, VM_NOHUGEPAGE, VM_HUGEPAGE},
		{MADV_NOHUGEPAGE, VM_HUGEPAGE, VM_NOHUGEPAGE},
		{MADV_MERGEABLE, 0, VM_MERGEABLE},
		{MADV_UNMERGEABLE, VM_MERGEABLE, 0},
	};

	if (!range_of(t, o, c))
		return NULL;
	c->kind = CHANGE_PREFIX;
	c->advised = true;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (flags[i].advice != o->args[2].val)
			continue;
		c->clear = flags[i].clear;
		c->set = flags[i].set;
		return "madvise-prefix";
	}
	return NULL;
}

/* The first VMAs of a range have the policy. */
static const char *mbind_exception(const struct target *t, const struct op *o, struct change *c)
{
	u64 mode = o->args[2].val, nodes = o->args[3].val & ((1u << t->m->cfg.numa) - 1);

	if (!range_of(t, o, c))
		return NULL;
	c->kind = CHANGE_PREFIX;
	c->advised = true;
	c->rebinds = true;
	if (mode == MPOL_LOCAL)
		mode = MPOL_PREFERRED;
	if (mode == MPOL_PREFERRED)
		nodes &= -nodes;
	c->policy = mode << 32 | nodes;
	return "mbind-prefix";
}

/* The first VMAs of a range are for a userfaultfd, or not any more. */
static const char *uffd_exception(const struct target *t, const struct op *o, struct change *c)
{
	bool registers = o->code == OP_uffd_register;

	if (!range_of(t, o, c))
		return NULL;
	c->kind = CHANGE_PREFIX;
	c->advised = true;
	c->mm = mm_of_uffd(&c->before, o->args[2].val);
	c->clear = registers ? 0 : VM_UFFD_MISSING;
	c->set = registers ? VM_UFFD_MISSING : 0;
	c->uffd = registers ? o->args[2].val + 1 : 0;
	return registers ? "uffd-register-prefix" : "uffd-unregister-prefix";
}

/*
 * A stack has grown down to the access, or by its guard page to one page more, and then the page
 * could not be had.
 */
static const char *stack_exception(const struct target *t, const struct op *o, u32 which,
				   struct change *c)
{
	u64 addr;

	if (!target_addr(t, &t->tasks[o->task], &o->args[which], &addr))
		return NULL;
	addr &= PAGE_MASK;
	c->kind = CHANGE_MAPPED;
	/* from the start of the area that has it now to that of the one which was to grow */
	for (u32 i = 0; i < c->after.nr; i++)
		if (c->after.v[i].obj == c->mm && c->after.v[i].field == OBS_vma_end &&
		    c->after.v[i].key <= addr && c->after.v[i].val > addr)
			c->start = max_u64(c->after.v[i].key, addr - PAGE_SIZE);
	for (u32 i = 0; i < c->before.nr && !c->end; i++)
		if (c->before.v[i].obj == c->mm && c->before.v[i].field == OBS_vma_end &&
		    c->before.v[i].val > addr)
			c->end = c->before.v[i].key;
	return c->start < c->end ? "stack-grown" : NULL;
}

/* What a look at the user's memory has fetched stays, and whatever has been started. */
static const char *io_exception(const struct target *t, const struct op *o,
				const struct outcome *out, struct change *c)
{
	u32 which = o->code == OP_io_setup || o->code == OP_uffd_copy ? 1 : 0;
	struct change grown = *c;
	u64 addr;

	if (!target_addr(t, &t->tasks[o->task], &o->args[which], &addr))
		return NULL;
	/* a stack may have grown to where that is */
	if (out->kind == OUT_ERRNO && stack_exception(t, o, which, &grown)) {
		*c = grown;
		return "io-stack-grown";
	}
	c->kind = CHANGE_PREFIX;
	c->start = addr;
	c->end = (addr & PAGE_MASK) + PAGE_SIZE;
	c->filled = true;
	if (out->kind == OUT_ERRNO)
		return "io-fetched";
	c->submitted = o->code == OP_io_submit ? (u64)out->value : 0;
	c->destroyed = o->code == OP_io_destroy;
	return c->destroyed ? "io-destroy-not-unmapped" : "io-submit-prefix";
}

/* The exception that an operation has for this outcome, with what it lets differ. */
static const char *exception_of(const struct target *t, const struct op *o,
				const struct outcome *out, struct change *c)
{
	bool failed = out->kind == OUT_ERRNO, done = out->kind == OUT_OK;
	const char *name;

	switch ((enum op_code)o->code) {
	case OP_exec:
		c->kind = CHANGE_KILLED;
		c->alone = true;
		c->stays = out->kind != OUT_KILLED;
		c->new_mm = done;
		if (done)
			return t->clears_tid ? "exec-tid-not-cleared" : NULL;
		return failed ? "exec-alone" : "exec-past-no-return";
	case OP_oom_kill:
		c->kind = CHANGE_KILLED;
		c->alone = c->sharers = true;
		return done && t->clears_tid ? "oom-kill-tid-not-cleared" : NULL;
	case OP_exit:
		c->kind = CHANGE_KILLED;
		return done && t->clears_tid ? "exit-tid-not-cleared" : NULL;
	case OP_fork:
	case OP_vfork:
	case OP_clone:
		c->kind = CHANGE_BORN;
		c->shares_mm = o->code == OP_vfork ||
			       (o->code == OP_clone && o->args[0].val & CLONE_VM);
		return done ? "born-without-probes" : NULL;
	case OP_uprobe_call:
		c->kind = CHANGE_MAPPED;
		c->probed = true;
		c->start = value_of(&c->after, OBS_mm_xol_vaddr, c->mm);
		c->end = c->start + PAGE_SIZE;
		return failed && !value_of(&c->before, OBS_mm_xol_vaddr, c->mm) ? "uprobe-area-made"
										: NULL;
	case OP_read:
	case OP_write:
		if (done)
			return NULL;
		name = stack_exception(t, o, 0, c);
		if (name || !c->hpage || !c->multiple)
			return name;
		/* huge pages that could not be copied were split, and then no small one was left */
		c->kind = CHANGE_SPLIT;
		return "huge-split";
	case OP_mmap:
		if (!range_of(t, o, c))
			return NULL;
		if (failed && o->args[3].val & MAP_FIXED) {
			c->kind = CHANGE_HOLE;
			return "map-fixed-hole";
		}
		c->kind = CHANGE_MAPPED;
		c->start = (u64)out->value;
		c->end = c->start + PAGE_ALIGN(o->args[1].val);
		return done ? "mmap-not-populated" : NULL;
	case OP_remap_file_pages:
		if (!range_of(t, o, c))
			return NULL;
		c->end = c->start + (o->args[1].val & PAGE_MASK);
		c->kind = failed ? CHANGE_HOLE : CHANGE_MAPPED;
		return failed ? "remap-file-pages-hole" : "remap-file-pages-not-populated";
	case OP_brk:
		c->kind = CHANGE_MAPPED;
		c->moves_brk = true;
		c->start = PAGE_ALIGN(value_of(&c->before, OBS_mm_brk, c->mm));
		c->end = PAGE_ALIGN((u64)out->value);
		return done ? "brk-not-populated" : NULL;
	case OP_mprotect:
		if (!range_of(t, o, c))
			return NULL;
		c->kind = CHANGE_PREFIX;
		c->clear = VM_ACCESS_FLAGS;
		c->set = o->args[2].val & VM_ACCESS_FLAGS;
		c->uncharges = !(c->set & VM_WRITE) && t->m->cfg.profile == 1;
		/* of what is locked, also before the place of the failure */
		c->filled = done || value_of(&c->before, OBS_mm_locked_vm, c->mm);
		return done ? "mprotect-not-populated" : failed ? "mprotect-prefix" : NULL;
	case OP_munmap:
	case OP_swap_out:
		c->kind = CHANGE_SPLIT;
		return failed && c->hpage ? "huge-split" : NULL;
	case OP_mremap:
		return mremap_exception(t, o, out, c);
	case OP_mlock:
	case OP_mlock2:
	case OP_munlock:
		return failed ? lock_exception(t, o, c) : NULL;
	case OP_madvise:
		return failed ? madvise_exception(t, o, c) : NULL;
	case OP_mbind:
		return failed ? mbind_exception(t, o, c) : NULL;
	case OP_uffd_register:
	case OP_uffd_unregister:
		return failed ? uffd_exception(t, o, c) : NULL;
	case OP_uffd_copy:
		return failed ? io_exception(t, o, out, c) : NULL;
	case OP_io_setup:
	case OP_io_destroy:
	case OP_io_submit:
	case OP_io_getevents:
		return io_exception(t, o, out, c);
	case OP_mlockall:
		return done ? lock_exception(t, o, c) : NULL;
	default:
		return NULL;
	}
}

static const char *find_exception(const struct target *t, const struct op *o,
				  const struct outcome *out, struct change *c)
{
	const char *name = exception_of(t, o, out, c);
	struct change split = *c;

	if (!name || only_changed(c))
		return name;
	/* what was to make the hole failed itself, having cut a VMA and the huge pages there */
	split.kind = CHANGE_SPLIT;
	if (c->kind == CHANGE_HOLE && out->kind == OUT_ERRNO && c->hpage && only_changed(&split))
		return "huge-split";
	return NULL;
}

const char *declared_exception(const struct target *t, u32 op, const struct outcome *out,
			       const struct fl_obs *before, u32 nr_before,
			       const struct fl_obs *after, u32 nr_after)
{
	struct change c = {
		.before = {.v = before, .nr = nr_before},
		.after = {.v = after, .nr = nr_after},
		.task = t->number,
		.multiple = t->opt.fi->op_delivered > 1,
	};
	const char *name;

	index_list(&c.before);
	index_list(&c.after);
	c.hpage = t->m->cfg.thp ? (u64)t->m->geo.ptrs[PT_PTE] << PAGE_SHIFT : 0;
	c.mm = (u32)value_of(&c.before, OBS_task_mm, c.task);
	name = find_exception(t, &t->p->ops[op], out, &c);
	free(c.before.next);
	free(c.after.next);
	return name;
}
