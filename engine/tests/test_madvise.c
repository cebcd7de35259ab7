/* SPDX-License-Identifier: GPL-2.0-only */
/* madvise: the merge table's rows, flags, and what becomes of pages. */
#include "mm_fixture.h"

#include <faultline/check.h>

static s64 fx_madvise(struct fixture *fx, u64 from, u64 to, u32 advice)
{
	return sys_madvise(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE, advice);
}

static void test_m15(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	assert_int_equal(fx_madvise(&fx, 0, 2, MADV_DONTFORK), 0);
	fx_mmap(&fx, 2, 4, RW);
	fx_expect(&fx, "0-2 2-4");
	assert_int_equal(fx_madvise(&fx, 0, 2, MADV_DOFORK), 0);
	fx_expect(&fx, "0-4");
	fx_destroy(&fx);
}

static void test_m16(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 6, RW);
	assert_int_equal(fx_madvise(&fx, 2, 4, MADV_SEQUENTIAL), 0);
	fx_expect(&fx, "0-2 2-4 4-6");
	assert_int_equal(fx_vma(&fx, 2)->vm_flags & (VM_SEQ_READ | VM_RAND_READ), VM_SEQ_READ);
	assert_int_equal(fx_madvise(&fx, 2, 4, MADV_RANDOM), 0);
	assert_int_equal(fx_vma(&fx, 2)->vm_flags & (VM_SEQ_READ | VM_RAND_READ), VM_RAND_READ);
	assert_int_equal(fx_madvise(&fx, 2, 4, MADV_NORMAL), 0);
	fx_expect(&fx, "0-6");
	fx_destroy(&fx);
}

static void test_flags(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	assert_int_equal(fx_madvise(&fx, 0, 2, MADV_DONTDUMP), 0);
	assert_true(fx_vma(&fx, 0)->vm_flags & VM_DONTDUMP);
	fx_vma(&fx, 0)->vm_flags |= VM_DONTEXPAND;
	assert_int_equal(fx_madvise(&fx, 0, 2, MADV_DODUMP), -EINVAL);
	fx_vma(&fx, 0)->vm_flags &= ~VM_DONTEXPAND;
	assert_int_equal(fx_madvise(&fx, 0, 2, MADV_DODUMP), 0);
	assert_false(fx_vma(&fx, 0)->vm_flags & VM_DONTDUMP);
	fx_vma(&fx, 0)->vm_flags |= VM_IO;
	assert_int_equal(fx_madvise(&fx, 0, 2, MADV_DOFORK), -EINVAL);
	fx_vma(&fx, 0)->vm_flags &= ~VM_IO;
	fx_destroy(&fx);
}

/* the VMA and the tables stay, the pages go. */
static void test_dontneed(void **state)
{
	struct mm_struct *mm;
	struct fixture fx;
	s64 rss;
	u64 ptes;

	(void)state;
	fx_create(&fx, NULL);
	mm = fx.cx.curr->mm;
	fx_mmap(&fx, 0, 600, RW);
	rss = mm->rss_stat[MM_ANONPAGES];
	for (u64 page = 0; page < 600; page += 50)
		fx_write(&fx, page, page + 1);
	ptes = mm->nr_ptes;
	assert_int_equal(fx_madvise(&fx, 100, 600, MADV_DONTNEED), 0);
	assert_int_equal(mm->nr_ptes, ptes);
	assert_int_equal(mm->rss_stat[MM_ANONPAGES], rss + 2);
	fx_expect(&fx, "0-600");
	assert_int_equal(fx_read(&fx, 50), 51);
	assert_int_equal(fx_read(&fx, 100), 0);
	fx_destroy(&fx);
}

/* Without reserve, a page that is punched out gives its charge back. */
static void test_remove(void **state)
{
	struct fixture fx;
	s64 committed;
	u64 tag = 5;

	(void)state;
	fx_create(&fx, NULL);
	assert_int_equal(sys_mmap(&fx.cx, fx_addr(0), 4 * PAGE_SIZE, RW,
				  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, NULL, 0),
			 fx_addr(0));
	committed = fx.m->vm_committed_as;
	for (u64 page = 0; page < 4; page++)
		assert_int_equal(access_user(&fx.cx, fx_addr(page), true, &tag), ACCESS_OK);
	assert_int_equal(fx.m->vm_committed_as, committed + 4);
	assert_int_equal(fx_madvise(&fx, 1, 3, MADV_REMOVE), 0);
	assert_int_equal(fx.m->vm_committed_as, committed + 2);
	assert_int_equal(fx_read(&fx, 0), 5);
	assert_int_equal(fx_read(&fx, 1), 0);
	assert_int_equal(fx_munmap(&fx, 0, 4), 0);
	fx_destroy(&fx);
}

static void test_willneed(void **state)
{
	struct fixture fx;
	struct file *file;
	u64 faults;

	(void)state;
	fx_create(&fx, NULL);
	file = file_create(&fx.cx, 4, FMODE_READ);
	assert_int_equal(sys_mmap(&fx.cx, fx_addr(0), 6 * PAGE_SIZE, PROT_READ,
				  MAP_PRIVATE | MAP_FIXED, file, 0),
			 fx_addr(0));
	assert_int_equal(fx_madvise(&fx, 1, 6, MADV_WILLNEED), 0);
	assert_int_equal(file->f_inode->i_data.nr_pages, 3);
	faults = fx.cx.curr->maj_flt;
	assert_int_not_equal(fx_read(&fx, 2), 0);
	assert_int_equal(fx.cx.curr->maj_flt, faults);
	assert_int_not_equal(fx_read(&fx, 0), 0);
	assert_int_equal(fx.cx.curr->maj_flt, faults + 1);
	assert_int_equal(fx_munmap(&fx, 0, 6), 0);
	file_close(&fx.cx, file);
	fx_destroy(&fx);
}

/* One VMA more than there may be. */
static void test_map_count(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, "max_map_count=8");
	for (u64 page = 0; fx.cx.curr->mm->map_count < 8; page += 4)
		fx_mmap(&fx, page, page + 3, RW);
	assert_int_equal(fx_madvise(&fx, 0, 1, MADV_DONTFORK), -EAGAIN);
	assert_int_equal(fx_madvise(&fx, 0, 3, MADV_DONTFORK), 0);
	fx_destroy(&fx);
}

#define NEW "profile=linux-6.18 "

static void fx_sound(struct fixture *fx)
{
	fx_check(fx);
	assert_int_equal(fl_check_machine(fx->m, NULL, NULL, NULL), 0);
}

static void test_free_refused(void **state)
{
	struct fixture fx;
	struct file *file;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	assert_int_equal(fx_madvise(&fx, 0, 2, MADV_FREE), -EINVAL);
	fx_destroy(&fx);

	fx_create(&fx, NEW);
	file = file_create(&fx.cx, 2, FMODE_READ);
	assert_int_equal(sys_mmap(&fx.cx, fx_addr(0), PAGE_SIZE, RW, MAP_PRIVATE | MAP_FIXED, file,
				  0),
			 fx_addr(0));
	assert_int_equal(fx_madvise(&fx, 0, 1, MADV_FREE), -EINVAL);
	assert_int_equal(sys_mmap(&fx.cx, fx_addr(0), PAGE_SIZE, RW,
				  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 fx_addr(0));
	assert_int_equal(fx_madvise(&fx, 0, 1, MADV_FREE), -EINVAL);
	fx_mmap(&fx, 0, 2, RW);
	assert_int_equal(sys_mlock(&fx.cx, fx_addr(0), PAGE_SIZE), 0);
	assert_int_equal(fx_madvise(&fx, 0, 1, MADV_FREE), -EINVAL);
	file_close(&fx.cx, file);
	fx_destroy(&fx);
}

/* Until reclaim comes the content stays; then it is gone, unless it was written again. */
static void test_lazy_free(void **state)
{
	struct fixture fx;
	s64 anon;

	(void)state;
	fx_create(&fx, NEW);
	fx_mmap(&fx, 0, 6, RW);
	for (u64 i = 0; i < 4; i++)
		fx_write(&fx, i, 0x10 + i);
	fx_read(&fx, 4);
	anon = fx.init->mm->rss_stat[MM_ANONPAGES];
	assert_int_equal(fx_madvise(&fx, 0, 6, MADV_FREE), 0);
	fx_expect(&fx, "0-6");
	assert_int_equal(fx.init->mm->rss_stat[MM_ANONPAGES], anon);
	assert_int_equal(fx_read(&fx, 0), 0x10);
	fx_write(&fx, 1, 0x21);
	fx_sound(&fx);
	/* there is no swap: what is not lazily freed cannot go */
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(0)), 0);
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(1)), -ENOSPC);
	assert_int_equal(fx.init->mm->rss_stat[MM_ANONPAGES], anon - 1);
	assert_int_equal(fx_read(&fx, 0), 0);
	assert_int_equal(fx_read(&fx, 1), 0x21);
	fx_sound(&fx);
	/* a load does not keep it */
	assert_int_equal(fx_read(&fx, 2), 0x12);
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(2)), 0);
	assert_int_equal(fx_read(&fx, 2), 0);
	/* nor does a lock make it go */
	assert_int_equal(sys_mlock(&fx.cx, fx_addr(3), PAGE_SIZE), 0);
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(3)), -EBUSY);
	assert_int_equal(fx_read(&fx, 3), 0x13);
	fx_sound(&fx);
	fx_destroy(&fx);
}

/* What others have is left alone; what others get afterwards goes for them, too. */
static void test_free_and_fork(void **state)
{
	struct task_struct *child;
	struct fixture fx;

	(void)state;
	fx_create(&fx, NEW);
	fx_mmap(&fx, 0, 4, RW);
	fx_write(&fx, 0, 1);
	fx_write(&fx, 1, 2);
	assert_int_equal(fx_madvise(&fx, 1, 2, MADV_FREE), 0);
	child = fx_fork(&fx);
	assert_int_equal(fx_madvise(&fx, 0, 1, MADV_FREE), 0);
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(0)), -ENOSPC);
	assert_int_equal(fx_read(&fx, 0), 1);
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(1)), 0);
	fx_sound(&fx);
	assert_int_equal(fx_read(&fx, 1), 0);
	fx_run(&fx, child);
	assert_int_equal(fx_read(&fx, 0), 1);
	assert_int_equal(fx_read(&fx, 1), 0);
	fx_run(&fx, fx.init);
	/* what was written before it was shared is kept for both */
	fx_exit(&fx, child);
	fx_run(&fx, fx.init);
	assert_int_equal(fx_madvise(&fx, 0, 1, MADV_FREE), 0);
	fx_write(&fx, 0, 3);
	child = fx_fork(&fx);
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(0)), -ENOSPC);
	assert_int_equal(fx_read(&fx, 0), 3);
	fx_run(&fx, child);
	assert_int_equal(fx_read(&fx, 0), 3);
	fx_sound(&fx);
	fx_destroy(&fx);
}

static void test_free_swap(void **state)
{
	struct task_struct *child;
	struct fixture fx;

	(void)state;
	fx_create(&fx, NEW "swap=16");
	fx_mmap(&fx, 0, 4, RW);
	for (u64 i = 0; i < 4; i++) {
		fx_write(&fx, i, 0x10 + i);
		assert_int_equal(sys_swap_out(&fx.cx, fx_addr(i)), 0);
	}
	/* in swap: gone at once */
	assert_int_equal(fx_madvise(&fx, 0, 1, MADV_FREE), 0);
	assert_int_equal(fx.m->swap.inuse_pages, 3);
	assert_int_equal(fx.init->mm->rss_stat[MM_SWAPENTS], 3);
	assert_int_equal(fx_read(&fx, 0), 0);
	/* in the swap cache: the slot goes, the page is dropped by reclaim */
	assert_int_equal(fx_read(&fx, 1), 0x11);
	assert_int_equal(fx_madvise(&fx, 1, 2, MADV_FREE), 0);
	assert_int_equal(fx.m->swap.inuse_pages, 2);
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(1)), 0);
	assert_int_equal(fx.m->swap.inuse_pages, 2);
	assert_int_equal(fx_read(&fx, 1), 0);
	fx_sound(&fx);
	/* written again it goes to swap, and comes back as it was */
	assert_int_equal(fx_read(&fx, 2), 0x12);
	assert_int_equal(fx_madvise(&fx, 2, 3, MADV_FREE), 0);
	fx_write(&fx, 2, 0x22);
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(2)), 0);
	assert_int_equal(fx_read(&fx, 2), 0x22);
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(2)), 0);
	assert_int_equal(fx_read(&fx, 2), 0x22);
	fx_sound(&fx);
	/* somebody else still has it in swap */
	child = fx_fork(&fx);
	assert_int_equal(fx_read(&fx, 3), 0x13);
	assert_int_equal(fx_madvise(&fx, 3, 4, MADV_FREE), 0);
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(3)), 0);
	assert_int_equal(fx_read(&fx, 3), 0x13);
	fx_run(&fx, child);
	assert_int_equal(fx_read(&fx, 3), 0x13);
	fx_sound(&fx);
	fx_destroy(&fx);
}

static void test_free_huge(void **state)
{
	struct fixture fx;
	u64 nr;

	(void)state;
	fx_create(&fx, NEW "thp=always");
	nr = hpage_nr(fx.m);
	fx_mmap(&fx, 0, 2 * nr, RW);
	fx_write(&fx, 3, 1);
	fx_write(&fx, 4, 2);
	fx_read(&fx, nr);
	assert_int_equal(fx_madvise(&fx, 3, nr + 1, MADV_FREE), 0);
	fx_sound(&fx);
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(3)), 0);
	fx_write(&fx, 4, 5);
	assert_int_equal(fx_read(&fx, 3), 0);
	assert_int_equal(fx_read(&fx, 4), 5);
	/* gathered again it is wanted again */
	fx_write(&fx, 3, 6);
	assert_int_equal(khugepaged_step(&fx.cx, fx_addr(0)), 0);
	assert_true(
		pmd_trans_huge(pt_get(pmd_lookup(fx.m, fx.init->mm, fx_addr(0)),
				      pt_index(&fx.m->geo, pmd_level(&fx.m->geo), fx_addr(0)))));
	assert_int_equal(sys_swap_out(&fx.cx, fx_addr(3)), -ENOSPC);
	fx_sound(&fx);
	fx_destroy(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_m15),	  cmocka_unit_test(test_m16),
		cmocka_unit_test(test_flags),	  cmocka_unit_test(test_dontneed),
		cmocka_unit_test(test_remove),	  cmocka_unit_test(test_willneed),
		cmocka_unit_test(test_map_count), cmocka_unit_test(test_free_refused),
		cmocka_unit_test(test_lazy_free), cmocka_unit_test(test_free_and_fork),
		cmocka_unit_test(test_free_swap), cmocka_unit_test(test_free_huge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
