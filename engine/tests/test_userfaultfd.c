/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * userfaultfd: who holds what, what is registered and what is given; fork, exec, exit, moves; what
 * each refusal leaves.
 */
#include "mm_fixture.h"

#include <faultline/check.h>

static s64 fx_register(struct fixture *fx, u64 slot, u64 from, u64 to)
{
	return userfaultfd_register(&fx->cx, slot, fx_addr(from), (to - from) * PAGE_SIZE);
}

static s64 fx_unregister(struct fixture *fx, u64 slot, u64 from, u64 to)
{
	return userfaultfd_unregister(&fx->cx, slot, fx_addr(from), (to - from) * PAGE_SIZE);
}

static s64 fx_copy(struct fixture *fx, u64 dst, u64 src)
{
	return userfaultfd_copy(&fx->cx, 0, fx_addr(dst), fx_addr(src));
}

static enum access_result fx_touch(struct fixture *fx, u64 page, bool write)
{
	u64 tag = 0x99;

	return access_user(&fx->cx, fx_addr(page), write, &tag);
}

static void check(struct fixture *fx)
{
	fx_check(fx);
	assert_int_equal(fl_check_machine(fx->m, NULL, NULL, NULL), 0);
}

static u64 live(const struct fixture *fx)
{
	return fx->m->caches[CACHE_userfaultfd_ctx].live + fx->m->caches[CACHE_file].live +
	       fx->m->caches[CACHE_dentry].live + fx->m->caches[CACHE_inode].live;
}

/* Ten pages, the first written; 4 to 8 are registered with slot 0. */
static void begin(struct fixture *fx, const char *options)
{
	fx_create(fx, options);
	fx_mmap(fx, 0, 10, RW);
	fx_write(fx, 0, 0x10);
	assert_int_equal(sys_userfaultfd(&fx->cx, 0), 0);
	assert_int_equal(fx_register(fx, 0, 4, 8), 0);
	fx_expect(fx, "0-4 4-8 8-10");
	check(fx);
}

static void end(struct fixture *fx)
{
	check(fx);
	for (u64 i = 0; i < NR_UFFDS; i++)
		userfaultfd_close(&fx->cx, i);
	assert_int_equal(live(fx), 0);
	fx_destroy(fx);
}

static void test_descriptor(void **state)
{
	static const enum fl_site sites[] = {SITE_uffd_ctx, SITE_uffd_dentry, SITE_uffd_file};
	struct mm_struct *mm;
	struct fixture fx;
	u64 before;

	(void)state;
	fx_create(&fx, NULL);
	mm = fx.init->mm;
	before = live(&fx);
	for (unsigned int i = 0; i < ARRAY_SIZE(sites); i++) {
		fx.fail[sites[i]] = true;
		assert_int_equal(sys_userfaultfd(&fx.cx, 0), -ENOMEM);
		fx.fail[sites[i]] = false;
		assert_int_equal(live(&fx), before);
		assert_int_equal(atomic_read(&mm->mm_count), 1);
		check(&fx);
	}
	assert_int_equal(sys_userfaultfd(&fx.cx, NR_UFFDS), -EINVAL);
	assert_int_equal(sys_userfaultfd(&fx.cx, 0), 0);
	assert_int_equal(sys_userfaultfd(&fx.cx, 0), -EBUSY);
	assert_int_equal(sys_userfaultfd(&fx.cx, 3), 0);
	/* the struct is held, not the mappings (B-17) */
	assert_int_equal(atomic_read(&mm->mm_count), 3);
	assert_int_equal(atomic_read(&mm->mm_users), 1);
	assert_int_equal(live(&fx), before + 8);
	check(&fx);
	assert_int_equal(userfaultfd_close(&fx.cx, 3), 0);
	assert_int_equal(userfaultfd_close(&fx.cx, 3), -EINVAL);
	assert_int_equal(atomic_read(&mm->mm_count), 2);
	end(&fx);

	fx_create(&fx, "uffd=0");
	assert_int_equal(sys_userfaultfd(&fx.cx, 0), -ENOSYS);
	end(&fx);
}

static void test_register(void **state)
{
	struct fixture fx;
	u64 top;

	(void)state;
	begin(&fx, NULL);
	assert_ptr_equal(fx_vma(&fx, 4)->vm_userfaultfd_ctx, fx.m->uffds[0]->private_data);
	assert_int_equal(fx_vma(&fx, 4)->vm_flags & VM_UFFD_MISSING, VM_UFFD_MISSING);
	assert_int_equal(fx_register(&fx, 0, 2, 8), 0);
	fx_expect(&fx, "0-2 2-8 8-10");
	assert_int_equal(fx_register(&fx, 0, 0, 10), 0);
	fx_expect(&fx, "0-10");
	assert_int_equal(fx_unregister(&fx, 0, 4, 6), 0);
	fx_expect(&fx, "0-4 4-6 6-10");
	assert_int_equal(fx_register(&fx, 0, 5, 6), 0);
	fx_expect(&fx, "0-4 4-5 5-10");
	/* neither kind of range that is not there */
	assert_int_equal(fx_register(&fx, 0, 20, 21), -EINVAL);
	top = fx.init->mm->highest_vm_end - PAGE_SIZE;
	assert_int_equal(sys_munmap(&fx.cx, top, PAGE_SIZE), 0);
	assert_int_equal(userfaultfd_register(&fx.cx, 0, top, PAGE_SIZE), -ENOMEM);
	/* another one's */
	assert_int_equal(sys_userfaultfd(&fx.cx, 1), 0);
	assert_int_equal(fx_register(&fx, 1, 4, 6), -EBUSY);
	assert_int_equal(fx_unregister(&fx, 1, 4, 6), -EINVAL);
	assert_int_equal(fx_register(&fx, 1, 4, 5), 0);
	fx_expect(&fx, "0-4 4-5 5-10");
	check(&fx);
	assert_int_equal(userfaultfd_close(&fx.cx, 0), 0);
	fx_expect(&fx, "0-4 4-5 5-10");
	assert_int_equal(userfaultfd_close(&fx.cx, 1), 0);
	fx_expect(&fx, "0-10");
	end(&fx);
}

/* Of three VMAs the last cannot be cut: the first two have changed. */
static void test_register_refused(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	fx_mmap(&fx, 2, 4, PROT_READ);
	fx_mmap(&fx, 4, 8, RW);
	assert_int_equal(sys_userfaultfd(&fx.cx, 0), 0);
	fx.fail[SITE_split_vma_vma] = true;
	assert_int_equal(fx_register(&fx, 0, 1, 3), -ENOMEM);
	assert_null(fx_vma(&fx, 0)->vm_userfaultfd_ctx);
	assert_int_equal(fx_register(&fx, 0, 0, 6), -ENOMEM);
	fx_expect(&fx, "0-2 2-4 4-8");
	assert_non_null(fx_vma(&fx, 0)->vm_userfaultfd_ctx);
	assert_non_null(fx_vma(&fx, 2)->vm_userfaultfd_ctx);
	assert_null(fx_vma(&fx, 4)->vm_userfaultfd_ctx);
	check(&fx);
	fx.fail[SITE_split_vma_vma] = false;
	assert_int_equal(fx_register(&fx, 0, 0, 6), 0);
	fx_expect(&fx, "0-2 2-4 4-6 6-8");
	fx.fail[SITE_split_vma_vma] = true;
	assert_int_equal(fx_unregister(&fx, 0, 0, 5), -ENOMEM);
	assert_null(fx_vma(&fx, 2)->vm_userfaultfd_ctx);
	assert_non_null(fx_vma(&fx, 4)->vm_userfaultfd_ctx);
	fx.fail[SITE_split_vma_vma] = false;
	end(&fx);
}

static void test_fault(void **state)
{
	struct fixture fx;
	u64 pages;

	(void)state;
	begin(&fx, NULL);
	pages = fx.m->pages_in_use;
	assert_int_equal(fx_touch(&fx, 4, false), ACCESS_SIGBUS);
	assert_int_equal(fx_touch(&fx, 4, true), ACCESS_SIGBUS);
	assert_int_equal(fx.m->pages_in_use, pages);
	/* memory comes first */
	fx.fail[SITE_anon_page] = true;
	assert_int_equal(fx_touch(&fx, 4, true), ACCESS_OOM);
	fx.fail[SITE_anon_page] = false;
	assert_int_equal(fx_touch(&fx, 3, true), ACCESS_OK);
	assert_int_equal(fx_copy(&fx, 4, 0), 0);
	assert_int_equal(fx_read(&fx, 4), 0x10);
	fx_write(&fx, 4, 0x11);
	assert_int_equal(fx_copy(&fx, 4, 0), -EEXIST);
	assert_int_equal(fx_read(&fx, 4), 0x11);
	assert_int_equal(userfaultfd_zeropage(&fx.cx, 0, fx_addr(5)), 0);
	assert_int_equal(userfaultfd_zeropage(&fx.cx, 0, fx_addr(5)), -EEXIST);
	fx_write(&fx, 5, 0x12);
	/* discarded, it misses again */
	assert_int_equal(sys_madvise(&fx.cx, fx_addr(4), PAGE_SIZE, MADV_DONTNEED), 0);
	assert_int_equal(fx_touch(&fx, 4, false), ACCESS_SIGBUS);
	check(&fx);
	assert_int_equal(fx_unregister(&fx, 0, 4, 5), 0);
	assert_int_equal(fx_read(&fx, 4), 0);
	end(&fx);
}

static void test_copy_refused(void **state)
{
	static const struct {
		enum fl_site site;
		s64 ret;
	} cases[] = {
		{SITE_anon_vma_prepare_av, -ENOMEM}, {SITE_pte_alloc_pte, -ENOMEM},
		{SITE_uffd_page, -ENOMEM},	     {SITE_filemap_page, -EFAULT},
		{SITE_uffd_charge, -ENOMEM},
	};
	struct fixture fx;
	struct file *file;
	u64 pages;

	(void)state;
	fx_create(&fx, NULL);
	assert_int_equal(sys_cgroup_attach(&fx.cx, 1), 0);
	file = file_create(&fx.cx, 4, FMODE_READ);
	assert_int_equal(sys_mmap(&fx.cx, fx_addr(0), PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_FIXED,
				  file, 0),
			 fx_addr(0));
	fx_mmap(&fx, 2048, 2050, RW);
	assert_int_equal(sys_userfaultfd(&fx.cx, 0), 0);
	assert_int_equal(fx_register(&fx, 0, 2048, 2050), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		pages = fx.m->nr_alloc[PAGE_ANON];
		fx.fail[cases[i].site] = true;
		assert_int_equal(fx_copy(&fx, 2048, 0), cases[i].ret);
		fx.fail[cases[i].site] = false;
		assert_int_equal(fx.m->nr_alloc[PAGE_ANON], pages);
		assert_int_equal(fx.m->memcgs[1].usage, 0);
		check(&fx);
		assert_int_equal(sys_madvise(&fx.cx, fx_addr(0), PAGE_SIZE, MADV_DONTNEED), 0);
	}
	assert_int_equal(fx_copy(&fx, 2048, 0), 0);
	assert_int_equal(fx.m->memcgs[1].usage, 1);
	assert_int_equal(fx_copy(&fx, 2049, 7), -EFAULT);
	assert_int_equal(sys_munmap(&fx.cx, fx_addr(0), PAGE_SIZE), 0);
	file_close(&fx.cx, file);
	end(&fx);
}

static void test_fork(void **state)
{
	struct task_struct *child;
	struct fixture fx;

	(void)state;
	begin(&fx, NULL);
	assert_int_equal(fx_copy(&fx, 4, 0), 0);
	/* a fork that fails half-way changes nothing of the parent's */
	fx.fail[SITE_copy_process_pid] = true;
	assert_int_equal(do_fork(&fx.cx, 0, &child), -ENOMEM);
	fx.fail[SITE_copy_process_pid] = false;
	check(&fx);

	child = fx_fork(&fx);
	assert_int_equal(atomic_read(&fx.init->mm->mm_count), 2);
	assert_int_equal(atomic_read(&child->mm->mm_count), 1);
	fx_run(&fx, child);
	assert_null(fx_vma(&fx, 4)->vm_userfaultfd_ctx);
	assert_int_equal(fx_vma(&fx, 4)->vm_flags & VM_UFFD_MISSING, 0);
	assert_int_equal(fx_touch(&fx, 5, true), ACCESS_OK);
	/* it has the descriptor, which is about the parent's memory */
	assert_int_equal(fx_copy(&fx, 6, 5), 0);
	fx_run(&fx, fx.init);
	assert_int_equal(fx_read(&fx, 6), 0x99);
	assert_int_equal(fx_touch(&fx, 5, true), ACCESS_SIGBUS);
	end(&fx);
}

/* The mm has gone, but for its struct. */
static void test_outlives(void **state)
{
	struct task_struct *child;
	struct mm_struct *mm;
	struct fixture fx;

	(void)state;
	begin(&fx, NULL);
	mm = fx.init->mm;
	child = fx_fork(&fx);
	fx_exec(&fx);
	assert_int_equal(atomic_read(&mm->mm_users), 0);
	assert_int_equal(atomic_read(&mm->mm_count), 1);
	assert_null(mm->mmap);
	check(&fx);
	fx_run(&fx, child);
	assert_int_equal(fx_copy(&fx, 4, 0), -EINVAL);
	assert_int_equal(userfaultfd_zeropage(&fx.cx, 0, fx_addr(4)), -EINVAL);
	assert_int_equal(fx_register(&fx, 0, 4, 5), -ENOMEM);
	assert_int_equal(fx_unregister(&fx, 0, 4, 5), -ENOMEM);
	assert_int_equal(fx.m->nr_mms, 3);
	assert_int_equal(userfaultfd_close(&fx.cx, 0), 0);
	assert_int_equal(fx.m->nr_mms, 2);
	end(&fx);
}

static void test_move(void **state)
{
	struct fixture fx;

	(void)state;
	begin(&fx, NULL);
	assert_int_equal(fx_copy(&fx, 4, 0), 0);
	/* a move that fails leaves it registered */
	fx.fail[SITE_copy_vma_vma] = true;
	assert_int_equal(sys_mremap(&fx.cx, fx_addr(4), 4 * PAGE_SIZE, 4 * PAGE_SIZE,
				    MREMAP_MAYMOVE | MREMAP_FIXED, fx_addr(20)),
			 -ENOMEM);
	fx.fail[SITE_copy_vma_vma] = false;
	assert_int_equal(fx_touch(&fx, 5, true), ACCESS_SIGBUS);
	assert_int_equal(sys_mremap(&fx.cx, fx_addr(4), 4 * PAGE_SIZE, 4 * PAGE_SIZE,
				    MREMAP_MAYMOVE | MREMAP_FIXED, fx_addr(20)),
			 fx_addr(20));
	assert_null(fx_vma(&fx, 20)->vm_userfaultfd_ctx);
	assert_int_equal(fx_read(&fx, 20), 0x10);
	assert_int_equal(fx_touch(&fx, 21, true), ACCESS_OK);
	check(&fx);
	/* grown in place it is as it was */
	assert_int_equal(fx_register(&fx, 0, 8, 10), 0);
	assert_int_equal(sys_mremap(&fx.cx, fx_addr(8), 2 * PAGE_SIZE, 3 * PAGE_SIZE, 0, 0),
			 fx_addr(8));
	assert_int_equal(fx_touch(&fx, 10, true), ACCESS_SIGBUS);
	/* partly unmapped, too */
	assert_int_equal(sys_munmap(&fx.cx, fx_addr(9), PAGE_SIZE), 0);
	assert_int_equal(fx_touch(&fx, 10, true), ACCESS_SIGBUS);
	end(&fx);
}

/* A merge that cannot be made is no reason to stay registered. */
static void test_close_without_memory(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 4, RW);
	assert_int_equal(sys_userfaultfd(&fx.cx, 0), 0);
	assert_int_equal(fx_register(&fx, 0, 0, 2), 0);
	fx_write(&fx, 2, 1);
	for (unsigned int i = 0; i < FL_NR_SITES; i++)
		fx.fail[i] = true;
	assert_int_equal(userfaultfd_close(&fx.cx, 0), 0);
	memset(fx.fail, 0, sizeof(fx.fail));
	assert_null(fx_vma(&fx, 0)->vm_userfaultfd_ctx);
	assert_int_equal(fx_touch(&fx, 0, true), ACCESS_OK);
	end(&fx);
}

static void test_huge(void **state)
{
	struct mm_struct *mm;
	struct fixture fx;

	(void)state;
	fx_create(&fx, "thp=always");
	mm = fx.init->mm;
	fx_mmap(&fx, 0, 1024, RW);
	assert_int_equal(sys_userfaultfd(&fx.cx, 0), 0);
	assert_int_equal(fx_register(&fx, 0, 0, 1024), 0);
	assert_int_equal(fx_touch(&fx, 3, false), ACCESS_SIGBUS);
	assert_int_equal(fx_touch(&fx, 3, true), ACCESS_SIGBUS);
	assert_int_equal(mm->rss_stat[MM_ANONPAGES], 1); /* the stack's */
	check(&fx);
	assert_int_equal(userfaultfd_zeropage(&fx.cx, 0, fx_addr(3)), 0);
	fx_write(&fx, 3, 1);
	/* what misses does not become zeroes */
	assert_int_equal(khugepaged_step(&fx.cx, fx_addr(0)), 0);
	assert_int_equal(fx_touch(&fx, 4, false), ACCESS_SIGBUS);
	assert_int_equal(fx_unregister(&fx, 0, 0, 1024), 0);
	assert_int_equal(khugepaged_step(&fx.cx, fx_addr(0)), 0);
	assert_int_equal(fx_read(&fx, 4), 0);
	assert_int_equal(fx_register(&fx, 0, 0, 512), 0);
	assert_int_equal(fx_copy(&fx, 5, 3), -EEXIST);
	assert_int_equal(userfaultfd_zeropage(&fx.cx, 0, fx_addr(5)), -EEXIST);
	end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptor),
		cmocka_unit_test(test_register),
		cmocka_unit_test(test_register_refused),
		cmocka_unit_test(test_fault),
		cmocka_unit_test(test_copy_refused),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_outlives),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_close_without_memory),
		cmocka_unit_test(test_huge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
