/* SPDX-License-Identifier: GPL-2.0-only */
/* madvise: the merge table's rows, flags, and what becomes of pages. */
#include "mm_fixture.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_m15),	  cmocka_unit_test(test_m16),
		cmocka_unit_test(test_flags),	  cmocka_unit_test(test_dontneed),
		cmocka_unit_test(test_remove),	  cmocka_unit_test(test_willneed),
		cmocka_unit_test(test_map_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
