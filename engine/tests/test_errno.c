/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The errno table of facts §25, a row for each value that a call can return, under both profiles;
 * and the masking rules below it. What cannot be had here is a row too, and says why.
 */
#include <faultline/check.h>

#include "mm_fixture.h"

static const char *const profiles[] = {"profile=linux-4.4", "profile=linux-6.18"};

/* Options of the machine, beside the profile, come from the row. */
struct row {
	const char *call, *what;
	s64 (*run)(struct fixture *fx);
	s64 result;
	const char *machine;
};

static s64 fails_at(struct fixture *fx, enum fl_site site, s64 (*call)(struct fixture *fx))
{
	s64 ret;

	fx->fail[site] = true;
	ret = call(fx);
	fx->fail[site] = false;
	return ret;
}

/* ---- fork, clone ---------------------------------------------------------------------------- */

static s64 do_clone(struct fixture *fx, u32 flags)
{
	struct task_struct *child = NULL;
	s64 ret = do_fork(&fx->cx, flags, &child);

	assert_int_equal(ret == 0, child != NULL);
	return ret;
}

static s64 fork_plain(struct fixture *fx)
{
	return do_clone(fx, 0);
}

static s64 fork_again(struct fixture *fx)
{
	assert_int_equal(fork_plain(fx), 0);
	return fork_plain(fx);
}

static s64 thread_without_sighand(struct fixture *fx)
{
	return do_clone(fx, CLONE_VM | CLONE_THREAD);
}

static s64 sighand_without_vm(struct fixture *fx)
{
	return do_clone(fx, CLONE_SIGHAND);
}

static s64 newns_with_fs(struct fixture *fx)
{
	return do_clone(fx, CLONE_NEWNS | CLONE_FS);
}

static s64 fork_no_vma(struct fixture *fx)
{
	return fails_at(fx, SITE_dup_mmap_vma, fork_plain);
}

/* Whatever dup_mmap() meets, and the module too, it is ENOMEM. */
static s64 fork_no_module(struct fixture *fx)
{
	return fails_at(fx, SITE_dup_mm_binfmt, fork_plain);
}

static s64 fork_signal(struct fixture *fx)
{
	return fails_at(fx, SITE_copy_process_signal, fork_plain);
}

/* ---- exec ----------------------------------------------------------------------------------- */

static s64 exec_pages(struct fixture *fx, u64 pages, u64 start)
{
	const struct exec_segment seg = {.start = start, .len = PAGE_SIZE, .prot = RW};
	const struct exec_image image = {
		.segments = &seg, .nr_segments = 1, .start_brk = FX_BRK, .stack_pages = pages};
	bool killed;
	s64 ret = sys_execve(&fx->cx, &image, &killed);

	return killed ? 1 : ret;
}

static s64 exec_plain(struct fixture *fx)
{
	return exec_pages(fx, 1, FX_BASE);
}

static s64 exec_no_mm(struct fixture *fx)
{
	return fails_at(fx, SITE_mm_alloc_mm, exec_plain);
}

static s64 exec_many_arguments(struct fixture *fx)
{
	return exec_pages(fx, fx->m->cfg.limit_stack / 4 + 1, FX_BASE);
}

static s64 exec_no_argument_page(struct fixture *fx)
{
	return fails_at(fx, SITE_anon_page, exec_plain);
}

static s64 exec_while_dumped(struct fixture *fx)
{
	return fails_at(fx, SITE_exec_mmap_dump, exec_plain);
}

static s64 exec_malformed(struct fixture *fx)
{
	return exec_pages(fx, 1, FX_BASE + 1);
}

static s64 exec_too_high(struct fixture *fx)
{
	return exec_pages(fx, 1, fx->m->geo.stack_top);
}

/* 1: past the point of no return, it must die. */
static s64 exec_no_segment(struct fixture *fx)
{
	return fails_at(fx, SITE_mmap_region_vma, exec_plain);
}

/* ---- mmap ----------------------------------------------------------------------------------- */

static s64 mmap_len(struct fixture *fx, u64 len, u32 prot, u32 flags, struct file *file, u64 offset)
{
	s64 ret = sys_mmap(&fx->cx, fx_addr(0), len, prot, flags, file, offset);

	return ret == (s64)fx_addr(0) ? 0 : ret;
}

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)

static s64 mmap_plain(struct fixture *fx)
{
	return mmap_len(fx, PAGE_SIZE, RW, ANON, NULL, 0);
}

static s64 mmap_shared(struct fixture *fx)
{
	return mmap_len(fx, PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
}

static s64 mmap_nothing(struct fixture *fx)
{
	return mmap_len(fx, 0, RW, ANON, NULL, 0);
}

static s64 mmap_unaligned(struct fixture *fx)
{
	return sys_mmap(&fx->cx, fx_addr(0) + 1, PAGE_SIZE, RW, ANON, NULL, 0);
}

static s64 mmap_no_type(struct fixture *fx)
{
	return mmap_len(fx, PAGE_SIZE, RW, MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
}

static s64 mmap_growsdown_shared(struct fixture *fx)
{
	return mmap_len(fx, PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN,
			NULL, 0);
}

static s64 mmap_wraps(struct fixture *fx)
{
	return mmap_len(fx, ~(u64)0, RW, ANON, NULL, 0);
}

static s64 mmap_no_room(struct fixture *fx)
{
	return sys_mmap(&fx->cx, 0, fx->m->geo.task_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			NULL, 0);
}

static s64 mmap_no_vma(struct fixture *fx)
{
	return fails_at(fx, SITE_mmap_region_vma, mmap_plain);
}

static s64 mmap_no_commit(struct fixture *fx)
{
	return fails_at(fx, SITE_mmap_region_acct, mmap_plain);
}

/* What do_munmap() says in the way of a mapping is ENOMEM for whoever maps. */
static s64 mmap_over_no_split(struct fixture *fx)
{
	fx_mmap(fx, 0, 3, RW);
	fx->fail[SITE_split_vma_vma] = true;
	return fx_mmap_flags(fx, 1, 2, RW, 0);
}

static s64 with_file(struct fixture *fx, u64 pages, u32 mode, u32 prot, u32 flags, u64 offset)
{
	struct file *file = file_create(&fx->cx, 4, mode);
	s64 ret = mmap_len(fx, pages * PAGE_SIZE, prot, flags | MAP_FIXED, file, offset);

	file_close(&fx->cx, file);
	return ret;
}

static s64 mmap_offset_unaligned(struct fixture *fx)
{
	return with_file(fx, 1, FMODE_READ, PROT_READ, MAP_PRIVATE, 1);
}

static s64 mmap_offset_wraps(struct fixture *fx)
{
	struct mm_struct *mm = fx->cx.curr->mm;
	u64 ret;

	/* as bytes, as a system call has it, an offset cannot */
	down_write(&fx->cx, &mm->mmap_sem);
	ret = do_mmap(&fx->cx, mm, NULL, fx_addr(0), 2 * PAGE_SIZE, RW, ANON, 0, ~(u64)0);
	up_write(&fx->cx, &mm->mmap_sem);
	return (s64)ret;
}

static s64 mmap_write_only(struct fixture *fx)
{
	return with_file(fx, 1, FMODE_WRITE, PROT_READ, MAP_PRIVATE, 0);
}

static s64 mmap_shared_write(struct fixture *fx)
{
	return with_file(fx, 1, FMODE_READ, RW, MAP_SHARED, 0);
}

static s64 mmap_exec_refused(struct fixture *fx)
{
	return with_file(fx, 1, FMODE_READ, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0);
}

static s64 mmap_locked(struct fixture *fx)
{
	return mmap_len(fx, 4 * PAGE_SIZE, RW, ANON | MAP_LOCKED, NULL, 0);
}

static s64 mmap_no_file(struct fixture *fx)
{
	return mmap_len(fx, PAGE_SIZE, RW, MAP_PRIVATE | MAP_FIXED, NULL, 0);
}

static s64 mmap_file_plain(struct fixture *fx)
{
	return with_file(fx, 1, FMODE_READ, PROT_READ, MAP_PRIVATE, 0);
}

static s64 mmap_hook(struct fixture *fx)
{
	return fails_at(fx, SITE_mmap_region_hook, mmap_file_plain);
}

/* Denying writes is for images alone. */
static s64 exec_text_busy(struct fixture *fx)
{
	struct file *file = file_create(&fx->cx, 1, FMODE_READ | FMODE_WRITE | FMODE_EXEC);
	struct exec_image image = {.start_brk = FX_BRK, .stack_pages = 1, .exe = file};
	bool killed;
	s64 ret = sys_execve(&fx->cx, &image, &killed);

	file_close(&fx->cx, file);
	return ret;
}

static s64 mmap_sealed(struct fixture *fx)
{
	struct file *file = file_create(&fx->cx, 4, FMODE_READ | FMODE_WRITE);
	s64 ret;

	assert_int_equal(sys_seal_write(&fx->cx, file), 0);
	ret = mmap_len(fx, PAGE_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0);
	file_close(&fx->cx, file);
	return ret;
}

static s64 shmem_no_charge(struct fixture *fx)
{
	return fails_at(fx, SITE_shmem_acct, mmap_shared);
}

static s64 shmem_no_dentry(struct fixture *fx)
{
	return fails_at(fx, SITE_shmem_dentry, mmap_shared);
}

static s64 shmem_no_inode(struct fixture *fx)
{
	return fails_at(fx, SITE_shmem_inode, mmap_shared);
}

static s64 shmem_no_file(struct fixture *fx)
{
	return fails_at(fx, SITE_shmem_file, mmap_shared);
}

/* ---- munmap, mprotect ----------------------------------------------------------------------- */

static s64 munmap_nothing(struct fixture *fx)
{
	return sys_munmap(&fx->cx, fx_addr(0), 0);
}

static s64 munmap_unaligned(struct fixture *fx)
{
	return sys_munmap(&fx->cx, fx_addr(0) + 1, PAGE_SIZE);
}

static s64 munmap_wraps(struct fixture *fx)
{
	return sys_munmap(&fx->cx, fx_addr(0), ~(u64)0 - PAGE_SIZE);
}

static s64 munmap_split(struct fixture *fx)
{
	fx_mmap(fx, 0, 3, RW);
	fx->fail[SITE_split_vma_vma] = true;
	return fx_munmap(fx, 1, 2);
}

static s64 mprotect_bits(struct fixture *fx)
{
	return fx_mprotect(fx, 0, 1, 0x10);
}

static s64 mprotect_unaligned(struct fixture *fx)
{
	return sys_mprotect(&fx->cx, fx_addr(0) + 1, PAGE_SIZE, RW);
}

static s64 mprotect_nothing(struct fixture *fx)
{
	return fx_mprotect(fx, 0, 0, RW);
}

static s64 mprotect_wraps(struct fixture *fx)
{
	return sys_mprotect(&fx->cx, fx_addr(0), ~(u64)0 - PAGE_SIZE, RW);
}

static s64 mprotect_hole(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, RW);
	return fx_mprotect(fx, 0, 2, PROT_READ);
}

static s64 mprotect_split(struct fixture *fx)
{
	fx_mmap(fx, 0, 3, RW);
	fx->fail[SITE_split_vma_vma] = true;
	return fx_mprotect(fx, 1, 2, PROT_READ);
}

static s64 mprotect_commit(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, PROT_READ);
	fx->fail[SITE_mprotect_acct] = true;
	return fx_mprotect(fx, 0, 1, RW);
}

static s64 mprotect_read_only_file(struct fixture *fx)
{
	assert_int_equal(with_file(fx, 1, FMODE_READ, PROT_READ, MAP_SHARED, 0), 0);
	return fx_mprotect(fx, 0, 1, RW);
}

/* ---- mremap, brk ---------------------------------------------------------------------------- */

static s64 mremap_to(struct fixture *fx, u64 from, u64 old_pages, u64 new_pages, u32 flags, u64 to)
{
	return sys_mremap(&fx->cx, fx_addr(from), old_pages * PAGE_SIZE, new_pages * PAGE_SIZE,
			  flags, fx_addr(to));
}

static s64 mremap_flags(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, RW);
	return mremap_to(fx, 0, 1, 1, 8, 0);
}

static s64 mremap_fixed_alone(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, RW);
	return mremap_to(fx, 0, 1, 1, MREMAP_FIXED, 8);
}

static s64 mremap_unaligned(struct fixture *fx)
{
	return sys_mremap(&fx->cx, fx_addr(0) + 1, PAGE_SIZE, PAGE_SIZE, 0, 0);
}

static s64 mremap_to_nothing(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, RW);
	return mremap_to(fx, 0, 1, 0, MREMAP_MAYMOVE, 0);
}

static s64 mremap_onto_itself(struct fixture *fx)
{
	fx_mmap(fx, 0, 2, RW);
	return mremap_to(fx, 0, 2, 2, MREMAP_MAYMOVE | MREMAP_FIXED, 1);
}

static s64 mremap_unmapped(struct fixture *fx)
{
	return mremap_to(fx, 0, 1, 2, MREMAP_MAYMOVE, 0);
}

static s64 mremap_two_vmas(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, RW);
	fx_mmap(fx, 1, 2, PROT_READ);
	return mremap_to(fx, 0, 2, 3, MREMAP_MAYMOVE, 0);
}

static s64 mremap_locked(struct fixture *fx)
{
	assert_int_equal(fx_mmap_flags(fx, 0, 1, RW, MAP_LOCKED), 0);
	return mremap_to(fx, 0, 1, 4, MREMAP_MAYMOVE, 0);
}

static s64 mremap_no_room(struct fixture *fx)
{
	fx_mmap(fx, 0, 2, RW);
	fx_mmap(fx, 2, 3, PROT_READ);
	return mremap_to(fx, 0, 2, 3, 0, 0);
}

static s64 move_away(struct fixture *fx)
{
	return mremap_to(fx, 0, 1, 1, MREMAP_MAYMOVE | MREMAP_FIXED, 600);
}

static s64 mremap_no_vma(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, RW);
	fx_write(fx, 0, 1);
	return fails_at(fx, SITE_copy_vma_vma, move_away);
}

static s64 mremap_no_table(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, RW);
	fx_write(fx, 0, 1);
	return fails_at(fx, SITE_pte_alloc_pte, move_away);
}

static s64 mremap_charge(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, RW);
	fx->fail[SITE_mremap_acct] = true;
	return mremap_to(fx, 0, 1, 2, 0, 0);
}

/* brk has no errno: how many pages it moved. */
static s64 brk_moved(struct fixture *fx, u64 to)
{
	u64 old = fx->cx.curr->mm->brk;

	return (s64)(((u64)sys_brk(&fx->cx, to) - old) >> PAGE_SHIFT);
}

static s64 brk_grows(struct fixture *fx)
{
	return brk_moved(fx, FX_BRK + 3 * PAGE_SIZE);
}

static s64 brk_below(struct fixture *fx)
{
	return brk_moved(fx, FX_BRK - PAGE_SIZE);
}

static s64 brk_no_vma(struct fixture *fx)
{
	return fails_at(fx, SITE_do_brk_vma, brk_grows);
}

static s64 brk_no_commit(struct fixture *fx)
{
	return fails_at(fx, SITE_do_brk_acct, brk_grows);
}

static s64 brk_over_limit(struct fixture *fx)
{
	return brk_moved(fx, FX_BRK + 5 * PAGE_SIZE);
}

/* ---- madvise, mlock ------------------------------------------------------------------------- */

static s64 advise(struct fixture *fx, u64 from, u64 to, u32 advice)
{
	return sys_madvise(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE, advice);
}

static s64 madvise_unknown(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, RW);
	return advise(fx, 0, 1, 99);
}

static s64 madvise_unaligned(struct fixture *fx)
{
	return sys_madvise(&fx->cx, fx_addr(0) + 1, PAGE_SIZE, MADV_NORMAL);
}

static s64 madvise_locked(struct fixture *fx)
{
	assert_int_equal(fx_mmap_flags(fx, 0, 1, RW, MAP_LOCKED), 0);
	return advise(fx, 0, 1, MADV_DONTNEED);
}

static s64 madvise_hole(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, RW);
	return advise(fx, 0, 2, MADV_RANDOM);
}

static s64 madvise_split(struct fixture *fx)
{
	fx_mmap(fx, 0, 3, RW);
	fx->fail[SITE_split_vma_vma] = true;
	return advise(fx, 1, 2, MADV_DONTFORK);
}

static s64 mergeable_no_slot(struct fixture *fx)
{
	fx_mmap(fx, 0, 3, RW);
	fx->fail[SITE_ksm_madvise_slot] = true;
	return advise(fx, 1, 2, MADV_MERGEABLE);
}

static s64 mergeable(struct fixture *fx)
{
	fx_mmap(fx, 0, 3, RW);
	return advise(fx, 1, 2, MADV_MERGEABLE);
}

static s64 hugepage_no_slot(struct fixture *fx)
{
	u64 page = (hpage_size(fx->m) - FX_BASE % hpage_size(fx->m)) >> PAGE_SHIFT;

	fx_mmap(fx, page, page + 2 * hpage_nr(fx->m), RW);
	fx_write(fx, page, 1);
	fx->fail[SITE_khugepaged_madvise_slot] = true;
	return advise(fx, page, page + 2 * hpage_nr(fx->m), MADV_HUGEPAGE);
}

static s64 willneed_anonymous(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, RW);
	return advise(fx, 0, 1, MADV_WILLNEED);
}

static s64 remove_private_file(struct fixture *fx)
{
	assert_int_equal(mmap_file_plain(fx), 0);
	return advise(fx, 0, 1, MADV_REMOVE);
}

static s64 remove_plain_file(struct fixture *fx)
{
	assert_int_equal(with_file(fx, 1, FMODE_READ | FMODE_WRITE, RW, MAP_SHARED, 0), 0);
	return advise(fx, 0, 1, MADV_REMOVE);
}

static s64 lock(struct fixture *fx, u64 from, u64 to)
{
	return sys_mlock(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE);
}

static s64 mlock_plain(struct fixture *fx)
{
	fx_mmap(fx, 0, 3, RW);
	return lock(fx, 1, 2);
}

static s64 mlock_much(struct fixture *fx)
{
	fx_mmap(fx, 0, 4, RW);
	return lock(fx, 0, 4);
}

/* Wherever a hole is found, what lies before it is locked. */
static s64 mlock_hole(struct fixture *fx)
{
	s64 ret;

	fx_mmap(fx, 0, 1, RW);
	ret = lock(fx, 0, 2);
	assert_int_equal(fx->cx.curr->mm->locked_vm, 1);
	return ret;
}

static s64 mlock_wraps(struct fixture *fx)
{
	return sys_mlock(&fx->cx, fx_addr(0), ~(u64)0 - PAGE_SIZE);
}

static s64 mlock_split(struct fixture *fx)
{
	return fails_at(fx, SITE_split_vma_vma, mlock_plain);
}

static s64 mlock_no_page(struct fixture *fx)
{
	return fails_at(fx, SITE_anon_page, mlock_plain);
}

/* What the population meets as a bad address is a hole for the caller. */
static s64 mlock_no_access(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, PROT_NONE);
	return lock(fx, 0, 1);
}

static s64 mlock2_flags(struct fixture *fx)
{
	return sys_mlock2(&fx->cx, fx_addr(0), PAGE_SIZE, 2);
}

static s64 munlock_hole(struct fixture *fx)
{
	return sys_munlock(&fx->cx, fx_addr(0), PAGE_SIZE);
}

static s64 munlock_wraps(struct fixture *fx)
{
	return sys_munlock(&fx->cx, fx_addr(0), ~(u64)0 - PAGE_SIZE);
}

static s64 mlockall_nothing(struct fixture *fx)
{
	return sys_mlockall(&fx->cx, 0);
}

static s64 mlockall_unknown(struct fixture *fx)
{
	return sys_mlockall(&fx->cx, 8);
}

static s64 mlockall_current(struct fixture *fx)
{
	return sys_mlockall(&fx->cx, MCL_CURRENT);
}

/* ---- modify_ldt, access --------------------------------------------------------------------- */

static s64 ldt_write(struct fixture *fx)
{
	return sys_modify_ldt(&fx->cx, 0, 1);
}

static s64 ldt_index(struct fixture *fx)
{
	return sys_modify_ldt(&fx->cx, LDT_ENTRIES, 1);
}

static s64 ldt_no_struct(struct fixture *fx)
{
	return fails_at(fx, SITE_ldt_write_struct, ldt_write);
}

static s64 ldt_no_entries(struct fixture *fx)
{
	return fails_at(fx, SITE_ldt_write_entries, ldt_write);
}

/* ---- I/O contexts, remap_file_pages ---------------------------------------------------------- */

static s64 io_setup(struct fixture *fx, u32 nr)
{
	fx_mmap(fx, 40, 41, RW);
	return sys_io_setup(&fx->cx, nr, fx_addr(40));
}

static s64 io_setup_plain(struct fixture *fx)
{
	s64 ret = io_setup(fx, 4);

	return ret < 0 ? ret : ret != (s64)fx_read(fx, 40);
}

static s64 io_setup_none(struct fixture *fx)
{
	return io_setup(fx, 0);
}

static s64 io_setup_too_many(struct fixture *fx)
{
	return io_setup(fx, 1u << 24);
}

static s64 io_setup_taken(struct fixture *fx)
{
	fx_mmap(fx, 40, 41, RW);
	fx_write(fx, 40, 1);
	return sys_io_setup(&fx->cx, 4, fx_addr(40));
}

static s64 io_setup_nowhere(struct fixture *fx)
{
	return sys_io_setup(&fx->cx, 4, fx_addr(40));
}

static s64 io_setup_read_only(struct fixture *fx)
{
	fx_mmap(fx, 40, 41, PROT_READ);
	return sys_io_setup(&fx->cx, 4, fx_addr(40));
}

static s64 io_setup_no_ctx(struct fixture *fx)
{
	return fails_at(fx, SITE_ioctx_alloc_ctx, io_setup_plain);
}

static s64 io_setup_no_file(struct fixture *fx)
{
	return fails_at(fx, SITE_aio_ring_file, io_setup_plain);
}

static s64 io_setup_not_mapped(struct fixture *fx)
{
	return fails_at(fx, SITE_mmap_region_hook, io_setup_plain);
}

static s64 io_destroy_plain(struct fixture *fx)
{
	return sys_io_destroy(&fx->cx, (u64)io_setup(fx, 4));
}

static s64 io_destroy_unknown(struct fixture *fx)
{
	fx_mmap(fx, 40, 41, RW);
	return sys_io_destroy(&fx->cx, fx_addr(40));
}

static s64 io_submit_plain(struct fixture *fx)
{
	return sys_io_submit(&fx->cx, (u64)io_setup(fx, 4), 1);
}

static s64 io_submit_no_request(struct fixture *fx)
{
	return fails_at(fx, SITE_aio_get_req, io_submit_plain);
}

static s64 io_submit_unknown(struct fixture *fx)
{
	return sys_io_submit(&fx->cx, fx_addr(40), 1);
}

static s64 move_ring(struct fixture *fx)
{
	s64 ring = io_setup(fx, 4);
	s64 ret = sys_mremap(&fx->cx, (u64)ring, PAGE_SIZE, PAGE_SIZE,
			     MREMAP_MAYMOVE | MREMAP_FIXED, fx_addr(0));

	return ret == (s64)fx_addr(0) ? 0 : ret;
}

static s64 move_ring_refused(struct fixture *fx)
{
	return fails_at(fx, SITE_mremap_hook, move_ring);
}

static s64 grow_ring(struct fixture *fx)
{
	return sys_mremap(&fx->cx, (u64)io_setup(fx, 4), PAGE_SIZE, 2 * PAGE_SIZE, MREMAP_MAYMOVE,
			  0);
}

static s64 remap_pages(struct fixture *fx)
{
	assert_int_equal(sys_mmap(&fx->cx, fx_addr(0), 2 * PAGE_SIZE, RW,
				  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 fx_addr(0));
	return sys_remap_file_pages(&fx->cx, fx_addr(0), PAGE_SIZE, 0, 1, 0);
}

static s64 remap_pages_prot(struct fixture *fx)
{
	remap_pages(fx);
	return sys_remap_file_pages(&fx->cx, fx_addr(0), PAGE_SIZE, PROT_READ, 0, 0);
}

static s64 remap_pages_private(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, RW);
	return sys_remap_file_pages(&fx->cx, fx_addr(0), PAGE_SIZE, 0, 1, 0);
}

static s64 remap_pages_split(struct fixture *fx)
{
	return fails_at(fx, SITE_split_vma_vma, remap_pages);
}

static s64 remap_pages_hook(struct fixture *fx)
{
	return fails_at(fx, SITE_mmap_region_hook, remap_pages);
}

static s64 store(struct fixture *fx)
{
	u64 tag = 1;

	return access_user(&fx->cx, fx_addr(0), true, &tag);
}

static s64 touch_ok(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, RW);
	return store(fx);
}

static s64 touch_oom(struct fixture *fx)
{
	return fails_at(fx, SITE_anon_page, touch_ok);
}

static s64 touch_past_end(struct fixture *fx)
{
	assert_int_equal(with_file(fx, 1, FMODE_READ | FMODE_WRITE, RW, MAP_SHARED, 4 * PAGE_SIZE),
			 0);
	return store(fx);
}

static s64 touch_read_only(struct fixture *fx)
{
	fx_mmap(fx, 0, 1, PROT_READ);
	return store(fx);
}

/* A stack that cannot grow is no memory that is missing: it is no stack there. */
static s64 touch_below_stack(struct fixture *fx)
{
	assert_int_equal(fx_mmap_flags(fx, 1, 2, RW, MAP_GROWSDOWN), 0);
	return fails_at(fx, SITE_expand_stack_acct, store);
}

#define LOCK_3 "limit_memlock=3"
#define LOCK_0 "limit_memlock=0"

static const struct row rows[] = {
	{"fork", "a child", fork_plain, 0, NULL},
	{"fork", "too many tasks", fork_again, -EAGAIN, "max_tasks=2"},
	{"fork", "no memory", fork_no_vma, -ENOMEM, NULL},
	{"fork", "module leaving", fork_no_module, -ENOMEM, NULL},
	{"fork", "signal pending", fork_signal, -ERESTARTNOINTR, NULL},
	{"clone", "THREAD without SIGHAND", thread_without_sighand, -EINVAL, NULL},
	{"clone", "SIGHAND without VM", sighand_without_vm, -EINVAL, NULL},
	{"clone", "NEWNS with FS", newns_with_fs, -EINVAL, NULL},
	{"execve", "a new image", exec_plain, 0, NULL},
	{"execve", "no memory", exec_no_mm, -ENOMEM, NULL},
	{"execve", "arguments too long", exec_many_arguments, -E2BIG, NULL},
	{"execve", "no page for arguments", exec_no_argument_page, -E2BIG, NULL},
	{"execve", "a core is dumped", exec_while_dumped, -EINTR, NULL},
	{"execve", "malformed", exec_malformed, -ENOEXEC, NULL},
	{"execve", "does not fit", exec_too_high, -EINVAL, NULL},
	{"execve", "file is written", exec_text_busy, -ETXTBSY, NULL},
	{"execve", "past the point of no return", exec_no_segment, 1, NULL},
	{"mmap", "done", mmap_plain, 0, NULL},
	{"mmap", "length 0", mmap_nothing, -EINVAL, NULL},
	{"mmap", "unaligned", mmap_unaligned, -EINVAL, NULL},
	{"mmap", "offset unaligned", mmap_offset_unaligned, -EINVAL, NULL},
	{"mmap", "neither shared nor private", mmap_no_type, -EINVAL, NULL},
	{"mmap", "shared and growing", mmap_growsdown_shared, -EINVAL, NULL},
	{"mmap", "length wraps", mmap_wraps, -ENOMEM, NULL},
	{"mmap", "no room", mmap_no_room, -ENOMEM, NULL},
	{"mmap", "no VMA", mmap_no_vma, -ENOMEM, NULL},
	{"mmap", "commit", mmap_no_commit, -ENOMEM, NULL},
	{"mmap", "munmap in the way", mmap_over_no_split, -ENOMEM, NULL},
	{"mmap", "offset wraps", mmap_offset_wraps, -EOVERFLOW, NULL},
	{"mmap", "file not readable", mmap_write_only, -EACCES, NULL},
	{"mmap", "file not writable", mmap_shared_write, -EACCES, NULL},
	{"mmap", "file not executable", mmap_exec_refused, -EPERM, NULL},
	{"mmap", "may not lock", mmap_locked, -EPERM, LOCK_0},
	{"mmap", "sealed", mmap_sealed, -EPERM, NULL},
	{"mmap", "locks too much", mmap_locked, -EAGAIN, LOCK_3},
	{"mmap", "no file", mmap_no_file, -EBADF, NULL},
	{"mmap", "->mmap()", mmap_hook, -ENODEV, NULL},
	{"mmap", "charge of an object", shmem_no_charge, -ENOMEM, NULL},
	{"mmap", "dentry of an object", shmem_no_dentry, -ENOMEM, NULL},
	{"mmap", "inode of an object", shmem_no_inode, -ENOSPC, NULL},
	{"mmap", "file of an object", shmem_no_file, -ENFILE, NULL},
	{"munmap", "length 0", munmap_nothing, -EINVAL, NULL},
	{"munmap", "unaligned", munmap_unaligned, -EINVAL, NULL},
	{"munmap", "wraps", munmap_wraps, -EINVAL, NULL},
	{"munmap", "no VMA to split", munmap_split, -ENOMEM, NULL},
	{"mprotect", "unknown bits", mprotect_bits, -EINVAL, NULL},
	{"mprotect", "unaligned", mprotect_unaligned, -EINVAL, NULL},
	{"mprotect", "length 0", mprotect_nothing, 0, NULL},
	{"mprotect", "wraps", mprotect_wraps, -ENOMEM, NULL},
	{"mprotect", "hole", mprotect_hole, -ENOMEM, NULL},
	{"mprotect", "no VMA to split", mprotect_split, -ENOMEM, NULL},
	{"mprotect", "commit", mprotect_commit, -ENOMEM, NULL},
	{"mprotect", "file not writable", mprotect_read_only_file, -EACCES, NULL},
	{"mremap", "unknown flags", mremap_flags, -EINVAL, NULL},
	{"mremap", "FIXED without MAYMOVE", mremap_fixed_alone, -EINVAL, NULL},
	{"mremap", "unaligned", mremap_unaligned, -EINVAL, NULL},
	{"mremap", "new length 0", mremap_to_nothing, -EINVAL, NULL},
	{"mremap", "overlaps itself", mremap_onto_itself, -EINVAL, NULL},
	{"mremap", "nothing there", mremap_unmapped, -EFAULT, NULL},
	{"mremap", "two VMAs", mremap_two_vmas, -EFAULT, NULL},
	{"mremap", "locks too much", mremap_locked, -EAGAIN, LOCK_3},
	{"mremap", "no room in place", mremap_no_room, -ENOMEM, NULL},
	{"mremap", "no VMA", mremap_no_vma, -ENOMEM, NULL},
	{"mremap", "no table", mremap_no_table, -ENOMEM, NULL},
	{"mremap", "commit", mremap_charge, -ENOMEM, NULL},
	{"brk", "grows", brk_grows, 3, NULL},
	{"brk", "below its start", brk_below, 0, NULL},
	{"brk", "no VMA", brk_no_vma, 0, NULL},
	{"brk", "commit", brk_no_commit, 0, NULL},
	{"brk", "limit", brk_over_limit, 0, "limit_data=4"},
	{"madvise", "unknown", madvise_unknown, -EINVAL, NULL},
	{"madvise", "unaligned", madvise_unaligned, -EINVAL, NULL},
	{"madvise", "DONTNEED of locked", madvise_locked, -EINVAL, NULL},
	{"madvise", "hole", madvise_hole, -ENOMEM, NULL},
	{"madvise", "no VMA to split", madvise_split, -EAGAIN, NULL},
	{"madvise", "MERGEABLE without a slot", mergeable_no_slot, -EAGAIN, NULL},
	{"madvise", "MERGEABLE without ksmd", mergeable, -EINVAL, "ksm=0"},
	{"madvise", "HUGEPAGE without a slot", hugepage_no_slot, -EAGAIN, "thp=madvise"},
	{"madvise", "WILLNEED without a file", willneed_anonymous, -EBADF, NULL},
	{"madvise", "REMOVE of private", remove_private_file, -EACCES, NULL},
	{"madvise", "REMOVE of a plain file", remove_plain_file, -EOPNOTSUPP, NULL},
	{"mlock", "done", mlock_plain, 0, NULL},
	{"mlock", "may not", mlock_plain, -EPERM, LOCK_0},
	{"mlock", "limit", mlock_much, -ENOMEM, LOCK_3},
	{"mlock", "hole", mlock_hole, -ENOMEM, NULL},
	{"mlock", "no VMA to split", mlock_split, -ENOMEM, NULL},
	{"mlock", "no access", mlock_no_access, -ENOMEM, NULL},
	{"mlock", "no page", mlock_no_page, -EAGAIN, NULL},
	{"mlock", "wraps", mlock_wraps, -ENOMEM, NULL},
	{"mlock2", "unknown flags", mlock2_flags, -EINVAL, NULL},
	{"munlock", "hole", munlock_hole, -ENOMEM, NULL},
	{"munlock", "wraps", munlock_wraps, -EINVAL, NULL},
	{"mlockall", "nothing", mlockall_nothing, -EINVAL, NULL},
	{"mlockall", "unknown flags", mlockall_unknown, -EINVAL, NULL},
	{"mlockall", "may not", mlockall_current, -EPERM, LOCK_0},
	{"mlockall", "limit", mlockall_current, -ENOMEM, LOCK_3},
	{"modify_ldt", "done", ldt_write, 0, NULL},
	{"modify_ldt", "index", ldt_index, -EINVAL, NULL},
	{"modify_ldt", "no struct", ldt_no_struct, -ENOMEM, NULL},
	{"modify_ldt", "no entries", ldt_no_entries, -ENOMEM, NULL},
	{"modify_ldt", "not configured", ldt_write, -ENOSYS, "ldt=0"},
	{"io_setup", "done", io_setup_plain, 0, NULL},
	{"io_setup", "for nothing", io_setup_none, -EINVAL, NULL},
	{"io_setup", "no such ring", io_setup_too_many, -EINVAL, NULL},
	{"io_setup", "place not 0", io_setup_taken, -EINVAL, NULL},
	{"io_setup", "place not there", io_setup_nowhere, -EFAULT, NULL},
	{"io_setup", "place read-only", io_setup_read_only, -EFAULT, NULL},
	{"io_setup", "too many", io_setup_plain, -EAGAIN, "aio_max_nr=3"},
	{"io_setup", "no context", io_setup_no_ctx, -ENOMEM, NULL},
	{"io_setup", "no file", io_setup_no_file, -ENOMEM, NULL},
	{"io_setup", "ring not mapped", io_setup_not_mapped, -ENOMEM, NULL},
	{"io_setup", "not configured", io_setup_plain, -ENOSYS, "aio=0"},
	{"io_destroy", "done", io_destroy_plain, 0, NULL},
	{"io_destroy", "unknown", io_destroy_unknown, -EINVAL, NULL},
	{"io_submit", "done", io_submit_plain, 1, NULL},
	{"io_submit", "no request", io_submit_no_request, -EAGAIN, NULL},
	{"io_submit", "unknown", io_submit_unknown, -EINVAL, NULL},
	{"mremap", "of a ring", move_ring, 0, NULL},
	{"mremap", "->mremap()", move_ring_refused, -EINVAL, NULL},
	{"mremap", "may not grow", grow_ring, -EFAULT, NULL},
	{"remap_file_pages", "done", remap_pages, 0, NULL},
	{"remap_file_pages", "with a protection", remap_pages_prot, -EINVAL, NULL},
	{"remap_file_pages", "private", remap_pages_private, -EINVAL, NULL},
	{"remap_file_pages", "no VMA to split", remap_pages_split, -ENOMEM, NULL},
	{"remap_file_pages", "->mmap()", remap_pages_hook, -ENODEV, NULL},
	{"access", "done", touch_ok, ACCESS_OK, NULL},
	{"access", "no page", touch_oom, ACCESS_OOM, NULL},
	{"access", "past the end", touch_past_end, ACCESS_SIGBUS, NULL},
	{"access", "read-only", touch_read_only, ACCESS_SIGSEGV, NULL},
	{"access", "nothing there", store, ACCESS_SIGSEGV, NULL},
	{"access", "stack cannot grow", touch_below_stack, ACCESS_SIGSEGV, NULL},
};

static void errno_table(void **state)
{
	unsigned int wrong = 0;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		for (unsigned int p = 0; p < ARRAY_SIZE(profiles); p++) {
			const struct row *row = &rows[i];
			char machine[64];
			struct fixture fx;
			s64 ret;

			snprintf(machine, sizeof(machine), "%s%s%s", profiles[p],
				 row->machine ? " " : "", row->machine ? row->machine : "");
			fx_create(&fx, machine);
			ret = row->run(&fx);
			memset(fx.fail, 0, sizeof(fx.fail));
			if (ret != row->result) {
				print_error("%s, %s, %s: %d, not %d\n", row->call, row->what,
					    profiles[p], (int)ret, (int)row->result);
				wrong++;
			}
			assert_int_equal(fl_check_machine(fx.m, NULL, NULL, NULL), 0);
			fx_destroy(&fx);
		}
	}
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errno_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
