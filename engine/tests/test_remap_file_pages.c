/* SPDX-License-Identifier: GPL-2.0-only */
/* remap_file_pages as a mapping of its own: pages, locks, references, and what a refusal leaves. */
#include "mm_fixture.h"

static struct file *fx_shared(struct fixture *fx, u64 from, u64 to)
{
	struct file *file = file_create(&fx->cx, 16, FMODE_READ | FMODE_WRITE);

	assert_non_null(file);
	assert_int_equal(sys_mmap(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE, RW,
				  MAP_SHARED | MAP_FIXED, file, 0),
			 fx_addr(from));
	return file;
}

static s64 fx_remap(struct fixture *fx, u64 from, u64 to, u64 pgoff, u32 flags)
{
	return sys_remap_file_pages(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE, 0, pgoff,
				    flags);
}

static void test_pages(void **state)
{
	struct fixture fx;
	struct file *file;

	(void)state;
	fx_create(&fx, NULL);
	file = fx_shared(&fx, 0, 4);
	for (u64 i = 0; i < 4; i++)
		fx_write(&fx, i, 0x10 + i);
	assert_int_equal(fx_remap(&fx, 1, 2, 3, 0), 0);
	fx_expect(&fx, "0-1 1-2 2-4");
	/* fetched at once, unless it is asked not to be */
	assert_false(pte_none(pte_at(fx.m, fx.cx.curr->mm, fx_addr(1))));
	assert_int_equal(fx_read(&fx, 1), 0x13);
	assert_int_equal(fx_remap(&fx, 2, 3, 0, MAP_NONBLOCK), 0);
	assert_true(pte_none(pte_at(fx.m, fx.cx.curr->mm, fx_addr(2))));
	assert_int_equal(fx_read(&fx, 2), 0x10);
	/* back where it was it is one with its neighbours again */
	assert_int_equal(fx_remap(&fx, 1, 2, 1, 0), 0);
	assert_int_equal(fx_remap(&fx, 2, 3, 2, 0), 0);
	fx_expect(&fx, "0-4");
	assert_int_equal(fx.cx.curr->mm->shared_vm, 4);
	assert_int_equal(atomic_read(&file->f_count), 2);

	/* pieces of one kind, side by side, are one range */
	assert_int_equal(fx_remap(&fx, 1, 2, 7, 0), 0);
	assert_int_equal(fx_remap(&fx, 0, 4, 4, 0), 0);
	fx_expect(&fx, "0-4");
	assert_int_equal(fx_vma(&fx, 0)->vm_pgoff, 4);
	file_close(&fx.cx, file);
	fx_destroy(&fx);
}

/* B-15: the pages that go are unlocked, and those that come are locked, each counted once. */
static void test_locked(void **state)
{
	struct fixture fx;
	struct file *file;

	(void)state;
	fx_create(&fx, "limit_memlock=8");
	file = fx_shared(&fx, 0, 4);
	assert_int_equal(sys_mlock(&fx.cx, fx_addr(0), 4 * PAGE_SIZE), 0);
	assert_int_equal(fx.m->nr_mlock, 4);
	assert_int_equal(fx_remap(&fx, 0, 2, 8, 0), 0);
	assert_int_equal(fx.cx.curr->mm->locked_vm, 4);
	assert_int_equal(fx.m->nr_mlock, 4);
	assert_false(find_page(&file->f_inode->i_data, 0)->mlocked);
	assert_true(find_page(&file->f_inode->i_data, 8)->mlocked);
	/* as for any mapping, what makes way still counts */
	assert_int_equal(sys_mlock(&fx.cx, fx_addr(0), 4 * PAGE_SIZE), 0);
	assert_int_equal(sys_mlockall(&fx.cx, MCL_FUTURE), 0);
	fx.cx.curr->mm->locked_vm += 4;
	assert_int_equal(fx_remap(&fx, 0, 2, 0, 0), -EAGAIN);
	fx.cx.curr->mm->locked_vm -= 4;
	fx_check_mm(&fx, fx.cx.curr->mm);
	file_close(&fx.cx, file);
	fx_destroy(&fx);
}

static void test_errors(void **state)
{
	struct fixture fx;
	struct file *file;
	u64 base = fx_addr(0);

	(void)state;
	fx_create(&fx, NULL);
	file = fx_shared(&fx, 0, 4);
	assert_int_equal(sys_remap_file_pages(&fx.cx, base, PAGE_SIZE, PROT_READ, 1, 0), -EINVAL);
	assert_int_equal(sys_remap_file_pages(&fx.cx, base, 0, 0, 1, 0), -EINVAL);
	assert_int_equal(sys_remap_file_pages(&fx.cx, base, PAGE_SIZE - 1, 0, 1, 0), -EINVAL);
	assert_int_equal(sys_remap_file_pages(&fx.cx, base, ~(u64)0, 0, 1, 0), -EINVAL);
	assert_int_equal(sys_remap_file_pages(&fx.cx, base, PAGE_SIZE, 0, ~(u64)0, 0), -EINVAL);
	assert_int_equal(fx_remap(&fx, 3, 5, 0, 0), -EINVAL);
	assert_int_equal(fx_remap(&fx, 8, 9, 0, 0), -EINVAL);
	fx_mmap(&fx, 4, 5, RW);
	assert_int_equal(fx_remap(&fx, 3, 5, 0, 0), -EINVAL);
	assert_int_equal(fx_remap(&fx, 4, 5, 0, 0), -EINVAL);
	assert_int_equal(fx_mprotect(&fx, 2, 3, PROT_READ), 0);
	assert_int_equal(fx_remap(&fx, 0, 4, 9, 0), -EINVAL);
	/* the same pages once more are no change, at whatever the address is rounded to */
	assert_int_equal(sys_remap_file_pages(&fx.cx, base + 7, 2 * PAGE_SIZE - 7, 0, 0, 0), 0);
	fx_expect(&fx, "0-2 2-3 3-4 4-5");
	file_close(&fx.cx, file);
	fx_destroy(&fx);
}

/* Refused before the old pages go, nothing has happened; after that there is a hole. */
static void test_refused(void **state)
{
	struct fixture fx;
	struct file *file;

	(void)state;
	fx_create(&fx, NULL);
	file = fx_shared(&fx, 0, 4);
	fx.fail[SITE_split_vma_vma] = true;
	assert_int_equal(fx_remap(&fx, 1, 2, 3, 0), -ENOMEM);
	fx_expect(&fx, "0-4");
	fx.fail[SITE_split_vma_vma] = false;
	fx.fail[SITE_mmap_region_vma] = true;
	assert_int_equal(fx_remap(&fx, 1, 2, 3, 0), -ENOMEM);
	fx_expect(&fx, "0-1 2-4");
	fx.fail[SITE_mmap_region_vma] = false;
	fx.fail[SITE_mmap_region_hook] = true;
	assert_int_equal(fx_remap(&fx, 2, 4, 0, 0), -ENODEV);
	fx_expect(&fx, "0-1");
	fx.fail[SITE_mmap_region_hook] = false;

	/* the last mapping of an object goes before the new one is there: it lives on in between */
	assert_int_equal(sys_mmap(&fx.cx, fx_addr(8), PAGE_SIZE, RW,
				  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 fx_addr(8));
	assert_int_equal(fx_remap(&fx, 8, 9, 1, MAP_NONBLOCK), 0);
	assert_int_equal(fx.m->caches[CACHE_dentry].live, 1);
	fx.fail[SITE_mmap_region_vma] = true;
	assert_int_equal(fx_remap(&fx, 8, 9, 0, 0), -ENOMEM);
	assert_int_equal(fx.m->caches[CACHE_dentry].live, 0);
	fx.fail[SITE_mmap_region_vma] = false;

	/* pages that cannot be had are not missed */
	fx.fail[SITE_filemap_page] = true;
	assert_int_equal(fx_remap(&fx, 0, 1, 5, 0), 0);
	fx.fail[SITE_filemap_page] = false;
	fx_check_mm(&fx, fx.cx.curr->mm);
	file_close(&fx.cx, file);
	fx_destroy(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_locked),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
