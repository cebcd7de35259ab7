/* SPDX-License-Identifier: GPL-2.0-only */
/* The mlock family: marks, counts, mlocked pages, population, and what each refusal leaves. */
#include "mm_fixture.h"

static s64 fx_mlock(struct fixture *fx, u64 from, u64 to)
{
	return sys_mlock(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE);
}

static s64 fx_mlock2(struct fixture *fx, u64 from, u64 to)
{
	return sys_mlock2(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE, MLOCK_ONFAULT);
}

static s64 fx_munlock(struct fixture *fx, u64 from, u64 to)
{
	return sys_munlock(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE);
}

static struct mm_struct *mm_of(const struct fixture *fx)
{
	return fx->cx.curr->mm;
}

/* A-55, and NR_MLOCK by recount. */
static void fx_locked(struct fixture *fx, u64 pages, s64 mlocked)
{
	struct vm_area_struct *vma;
	u64 sum = 0;
	s64 nr = 0;

	for (vma = mm_of(fx)->mmap; vma; vma = vma->vm_next)
		if (vma->vm_flags & VM_LOCKED)
			sum += vma_pages(vma);
	assert_int_equal(sum, pages);
	assert_int_equal(mm_of(fx)->locked_vm, pages);
	for (u32 i = 1; i < fx->m->nr_chunks * MEM_MAP_CHUNK; i++)
		nr += pfn_to_page(fx->m, i)->mlocked;
	assert_int_equal(nr, mlocked);
	assert_int_equal(fx->m->nr_mlock, mlocked);
}

static void test_m16(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 6, RW);
	assert_int_equal(fx_mlock(&fx, 2, 4), 0);
	fx_expect(&fx, "0-2 2-4 4-6");
	fx_locked(&fx, 2, 2);
	assert_int_equal(fx_munlock(&fx, 2, 4), 0);
	/* the middle has pages now, and what is beside it has none: 4.4 does not merge into that */
	fx_expect(&fx, "0-2 2-4 4-6");
	fx_locked(&fx, 0, 0);
	fx_destroy(&fx);

	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 6, RW);
	fx_write(&fx, 0, 1);
	assert_int_equal(fx_mlock(&fx, 2, 4), 0);
	fx_expect(&fx, "0-2 2-4 4-6");
	assert_int_equal(fx_munlock(&fx, 2, 4), 0);
	fx_expect(&fx, "0-6");
	fx_destroy(&fx);
}

/* B-04: another kind of lock is not a second one. */
static void test_relock(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 4, RW);
	assert_int_equal(fx_mlock2(&fx, 0, 4), 0);
	fx_locked(&fx, 4, 0);
	fx_write(&fx, 1, 1);
	fx_locked(&fx, 4, 1);
	assert_int_equal(fx_mlock(&fx, 0, 2), 0);
	fx_expect(&fx, "0-2 2-4");
	fx_locked(&fx, 4, 2);
	assert_int_equal(fx_mlock2(&fx, 0, 4), 0);
	fx_expect(&fx, "0-4");
	fx_locked(&fx, 4, 2);
	assert_int_equal(fx_munlock(&fx, 0, 4), 0);
	fx_locked(&fx, 0, 0);
	fx_destroy(&fx);
}

static void test_special(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 4, RW);
	fx_vma(&fx, 0)->vm_flags |= VM_DONTEXPAND;
	assert_int_equal(fx_mlock(&fx, 0, 2), 0);
	fx_expect(&fx, "0-4");
	fx_locked(&fx, 0, 0);
	assert_int_equal(sys_mlock2(&fx.cx, fx_addr(0), PAGE_SIZE, 2), -EINVAL);
	assert_int_equal(sys_mlockall(&fx.cx, 8), -EINVAL);
	fx_destroy(&fx);
}

/* A page goes with the last locked VMA that maps it, whichever mm has it. */
static void test_shared_page(void **state)
{
	struct task_struct *child;
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	fx_write(&fx, 0, 1);
	assert_int_equal(fx_mlock(&fx, 0, 1), 0);
	fx_locked(&fx, 1, 1);
	child = fx_fork(&fx);
	fx_run(&fx, child);
	fx_locked(&fx, 0, 1); /* the parent's page */
	assert_int_equal(fx_mlock2(&fx, 0, 2), 0);
	fx_locked(&fx, 2, 1);
	fx_run(&fx, fx.init);
	assert_int_equal(fx_munlock(&fx, 0, 1), 0);
	fx_locked(&fx, 0, 1);			  /* the child's */
	assert_int_equal(fx_mlock(&fx, 0, 1), 0); /* a copy: mlock wants what a store would make */
	fx_locked(&fx, 1, 2);
	fx_exit(&fx, child);
	fx_run(&fx, fx.init);
	fx_locked(&fx, 1, 1);
	fx_check(&fx);
	fx_destroy(&fx);
}

static void test_file_page(void **state)
{
	struct fixture fx;
	struct file *file;

	(void)state;
	fx_create(&fx, NULL);
	file = file_create(&fx.cx, 4, FMODE_READ);
	assert_non_null(file);
	for (u64 at = 0; at < 16; at += 8)
		assert_int_equal(sys_mmap(&fx.cx, fx_addr(at), 2 * PAGE_SIZE, PROT_READ,
					  MAP_SHARED | MAP_FIXED, file, 0),
				 fx_addr(at));
	assert_int_equal(fx_mlock(&fx, 0, 2), 0);
	assert_int_equal(fx_mlock(&fx, 8, 10), 0);
	fx_locked(&fx, 4, 2);
	assert_int_equal(fx_munlock(&fx, 0, 2), 0);
	fx_locked(&fx, 2, 2);
	assert_int_equal(fx_munmap(&fx, 8, 10), 0);
	fx_locked(&fx, 0, 0);
	assert_int_equal(fx_munmap(&fx, 0, 2), 0);
	file_close(&fx.cx, file);
	fx_destroy(&fx);
}

/* All of mlockall, and def_flags in mmap and brk. */
static void test_all(void **state)
{
	struct fixture fx;
	u64 total;

	(void)state;
	fx_create(&fx, NULL);
	total = mm_of(&fx)->total_vm;
	assert_int_equal(sys_mlockall(&fx.cx, MCL_CURRENT), 0);
	fx_locked(&fx, total, (s64)total);
	assert_int_equal(mm_of(&fx)->def_flags, 0);
	assert_int_equal(sys_mlockall(&fx.cx, MCL_FUTURE), 0);
	fx_mmap(&fx, 0, 2, RW);
	fx_locked(&fx, total + 2, (s64)total + 2);
	assert_int_equal(sys_brk(&fx.cx, FX_BRK + PAGE_SIZE), FX_BRK + PAGE_SIZE);
	fx_locked(&fx, total + 3, (s64)total + 3);
	assert_int_equal(sys_mlockall(&fx.cx, MCL_ONFAULT), 0);
	assert_int_equal(mm_of(&fx)->def_flags, 0);
	fx_locked(&fx, 0, 0);
	assert_int_equal(sys_mlockall(&fx.cx, MCL_FUTURE | MCL_ONFAULT), 0);
	fx_mmap(&fx, 4, 6, RW);
	fx_locked(&fx, 2, 0);
	assert_int_equal(sys_munlockall(&fx.cx), 0);
	fx_locked(&fx, 0, 0);
	fx_check(&fx);
	fx_destroy(&fx);
}

/* A mapping that cannot be fetched is locked all the same, and EAGAIN says so. */
static void test_no_page(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 4, RW);
	fx.fail[SITE_anon_page] = true;
	assert_int_equal(fx_mlock(&fx, 0, 4), -EAGAIN);
	fx_locked(&fx, 4, 0);
	assert_int_equal(fx_mmap_flags(&fx, 8, 10, RW, MAP_LOCKED), 0);
	fx_locked(&fx, 6, 0);
	fx.fail[SITE_anon_page] = false;
	assert_int_equal(fx_mlock(&fx, 0, 4), 0);
	fx_locked(&fx, 6, 4);
	fx.fail[SITE_split_vma_vma] = true;
	assert_int_equal(fx_munlock(&fx, 1, 3), -ENOMEM);
	fx_locked(&fx, 6, 4);
	fx.fail[SITE_split_vma_vma] = false;
	assert_int_equal(fx_munlock(&fx, 1, 3), 0);
	fx_locked(&fx, 4, 2);
	assert_int_equal(fx_munmap(&fx, 2, 9), 0);
	fx_locked(&fx, 2, 1);
	fx_check(&fx);
	fx_destroy(&fx);
}

/* Private pages of a file that may be written now are copied at once. */
static void test_mprotect(void **state)
{
	struct fixture fx;
	struct file *file;

	(void)state;
	fx_create(&fx, NULL);
	file = file_create(&fx.cx, 4, FMODE_READ);
	assert_int_equal(sys_mmap(&fx.cx, fx_addr(0), 2 * PAGE_SIZE, PROT_READ,
				  MAP_PRIVATE | MAP_FIXED | MAP_LOCKED, file, 0),
			 fx_addr(0));
	fx_locked(&fx, 2, 2);
	assert_int_equal(mm_of(&fx)->rss_stat[MM_FILEPAGES], 2);
	assert_int_equal(fx_mprotect(&fx, 0, 2, RW), 0);
	assert_int_equal(mm_of(&fx)->rss_stat[MM_FILEPAGES], 0);
	fx_locked(&fx, 2, 2);
	file_close(&fx.cx, file);
	fx_destroy(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_m16),	  cmocka_unit_test(test_relock),
		cmocka_unit_test(test_special),	  cmocka_unit_test(test_shared_page),
		cmocka_unit_test(test_file_page), cmocka_unit_test(test_all),
		cmocka_unit_test(test_no_page),	  cmocka_unit_test(test_mprotect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
