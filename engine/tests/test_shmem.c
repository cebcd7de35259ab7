/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared memory: objects of their own, writable shared files, seals, truncation. */
#include "mm_bench.h"

#define RW    (PROT_READ | PROT_WRITE)
#define IMAGE 0x80000000u
#define BASE  0x40000000u
#define ANON  (MAP_SHARED | MAP_ANONYMOUS)

static s64 map_shared(struct bench *b, u64 addr, u64 pages, u32 flags)
{
	return sys_mmap(&b->cx, addr, pages * PAGE_SIZE, RW, ANON | MAP_FIXED | flags, NULL, 0);
}

static struct vm_area_struct *vma_at(struct bench *b, u64 addr)
{
	return find_vma(&b->cx, b->cx.curr->mm, addr);
}

/* Two mms see what either writes; the object goes with its last mapping. */
static void test_object(void **state)
{
	struct task_struct *t, *child;
	struct file *file;
	struct bench b;
	s64 committed;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	committed = b.m->vm_committed_as;
	assert_int_equal(map_shared(&b, BASE, 4, 0), BASE);
	file = vma_at(&b, BASE)->vm_file;
	assert_non_null(file);
	assert_true(file->f_inode->shmem);
	assert_int_equal(atomic_read(&file->f_count), 1);
	assert_int_equal(file->f_inode->i_data.i_mmap_writable, 1);
	assert_int_equal(b.m->vm_committed_as, committed + 4);
	assert_false(vma_at(&b, BASE)->vm_flags & VM_ACCOUNT);
	assert_int_equal(t->mm->shared_vm, 4);

	/* a load maps the page writable: there is nothing to learn from a first store */
	assert_int_equal(bench_read(&b, BASE), 0);
	assert_true(bench_pte(&b, t->mm, BASE) & _PAGE_RW);
	bench_write(&b, BASE, 0x11);
	assert_int_equal(do_fork(&b.cx, 0, &child), 0);
	assert_int_equal(b.m->vm_committed_as, committed + 4 + (committed - 0));
	run_on(&b.cx, 0, child);
	assert_int_equal(bench_read(&b, BASE), 0x11);
	bench_write(&b, BASE + PAGE_SIZE, 0x22);
	assert_int_equal(child->mm->rss_stat[MM_FILEPAGES], 2);
	run_on(&b.cx, 0, t);
	assert_int_equal(bench_read(&b, BASE + PAGE_SIZE), 0x22);
	assert_int_equal(b.m->nr_shmem, 2);
	bench_check(&b);

	/* the pages stay while anybody maps the object */
	assert_int_equal(sys_munmap(&b.cx, BASE, 4 * PAGE_SIZE), 0);
	assert_int_equal(b.m->nr_shmem, 2);
	bench_check(&b);
	run_on(&b.cx, 0, child);
	assert_int_equal(bench_read(&b, BASE), 0x11);
	bench_exit(&b, child);
	assert_int_equal(b.m->nr_shmem, 0);
	assert_int_equal(b.m->caches[CACHE_dentry].live, 0);
	assert_int_equal(b.m->vm_committed_as, committed);
	bench_exit(&b, t);
	bench_down(&b);
}

/* M18: two objects do not merge, and neither does a hole filled between pieces of one. */
static void test_no_merge(void **state)
{
	struct task_struct *t;
	struct bench b;
	s32 count;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	count = t->mm->map_count;
	map_shared(&b, BASE, 2, 0);
	map_shared(&b, BASE + 2 * PAGE_SIZE, 2, 0);
	assert_int_equal(t->mm->map_count, count + 2);
	assert_ptr_not_equal(vma_at(&b, BASE)->vm_file, vma_at(&b, BASE + 2 * PAGE_SIZE)->vm_file);
	/* pieces of one object do */
	assert_int_equal(sys_mprotect(&b.cx, BASE, PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(t->mm->map_count, count + 3);
	assert_int_equal(atomic_read(&vma_at(&b, BASE)->vm_file->f_count), 2);
	assert_int_equal(sys_mprotect(&b.cx, BASE, PAGE_SIZE, RW), 0);
	assert_int_equal(t->mm->map_count, count + 2);
	bench_check(&b);
	bench_exit(&b, t);
	bench_down(&b);
}

/* Each step's error is its own, and what came before it is undone. */
static void test_unwind(void **state)
{
	static const struct {
		enum fl_site site;
		int err;
	} steps[] = {
		{SITE_mmap_map_count, ENOMEM},	{SITE_mmap_region_as, ENOMEM},
		{SITE_mmap_region_vma, ENOMEM}, {SITE_shmem_acct, ENOMEM},
		{SITE_shmem_dentry, ENOMEM},	{SITE_shmem_inode, ENOSPC},
		{SITE_shmem_file, ENFILE},
	};
	struct bench_counts before, after;
	struct task_struct *t;
	struct bench b;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	for (unsigned int i = 0; i < ARRAY_SIZE(steps); i++) {
		bench_count(&b, &before);
		bench_watch(&b, 0, steps[i].site);
		assert_int_equal(map_shared(&b, BASE, 4, 0), -steps[i].err);
		assert_int_equal(bench_met(&b, steps[i].site), 1);
		bench_count(&b, &after);
		assert_memory_equal(&before, &after, sizeof(before));
		bench_check(&b);
	}
	/* in this order, and no charge without reserve */
	bench_watch(&b, 0, SITE_none);
	assert_int_equal(map_shared(&b, BASE, 4, 0), BASE);
	assert_int_equal(b.nr_met, ARRAY_SIZE(steps));
	for (unsigned int i = 0; i < ARRAY_SIZE(steps); i++)
		assert_int_equal(b.met[i], steps[i].site);
	bench_watch(&b, 0, SITE_none);
	assert_int_equal(map_shared(&b, BASE + 0x10000, 4, MAP_NORESERVE), BASE + 0x10000);
	assert_int_equal(bench_met(&b, SITE_shmem_acct), 0);
	bench_exit(&b, t);
	bench_down(&b);
}

static void test_noreserve(void **state)
{
	struct task_struct *t;
	struct bench b;
	s64 committed;
	u64 tag = 7;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	committed = b.m->vm_committed_as;
	map_shared(&b, BASE, 4, MAP_NORESERVE);
	assert_int_equal(b.m->vm_committed_as, committed);
	bench_write(&b, BASE, 1);
	assert_int_equal(b.m->vm_committed_as, committed + 1);
	bench_check(&b);

	/* a page that is not granted is a full disk, one that is not there is no memory */
	bench_watch(&b, 0, SITE_shmem_block_acct);
	assert_int_equal(access_user(&b.cx, BASE + PAGE_SIZE, true, &tag), ACCESS_SIGBUS);
	bench_watch(&b, 0, SITE_shmem_page);
	assert_int_equal(access_user(&b.cx, BASE + PAGE_SIZE, true, &tag), ACCESS_OOM);
	bench_watch(&b, 0, SITE_none);
	assert_int_equal(b.m->vm_committed_as, committed + 1);
	bench_check(&b);
	bench_read(&b, BASE + PAGE_SIZE);
	assert_int_equal(b.m->vm_committed_as, committed + 2);
	assert_int_equal(sys_munmap(&b.cx, BASE, 4 * PAGE_SIZE), 0);
	assert_int_equal(b.m->vm_committed_as, committed);
	bench_exit(&b, t);
	bench_down(&b);
}

/* The first store to a page of a file is noticed, also after a load and after mprotect. */
static void test_writenotify(void **state)
{
	struct task_struct *t;
	struct file *file;
	struct page *page;
	struct bench b;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	file = file_create(&b.cx, 4, FMODE_READ | FMODE_WRITE);
	bench_mmap(&b, BASE, 4, RW, MAP_SHARED, file);
	bench_read(&b, BASE);
	page = find_page(&file->f_inode->i_data, 0);
	assert_false(bench_pte(&b, t->mm, BASE) & _PAGE_RW);
	assert_false(page->dirty);
	bench_write(&b, BASE, 0x11);
	assert_true(bench_pte(&b, t->mm, BASE) & _PAGE_RW);
	assert_true(page->dirty);
	bench_write(&b, BASE + PAGE_SIZE, 0x12);
	assert_true(find_page(&file->f_inode->i_data, 1)->dirty);
	bench_read(&b, BASE + 2 * PAGE_SIZE);
	bench_check(&b);

	/* what is dirty gets its write bit back, what is clean has to fault */
	assert_int_equal(sys_mprotect(&b.cx, BASE, 4 * PAGE_SIZE, PROT_READ), 0);
	assert_false(bench_pte(&b, t->mm, BASE) & _PAGE_RW);
	assert_int_equal(sys_mprotect(&b.cx, BASE, 4 * PAGE_SIZE, RW), 0);
	assert_true(bench_pte(&b, t->mm, BASE) & _PAGE_RW);
	assert_false(bench_pte(&b, t->mm, BASE + 2 * PAGE_SIZE) & _PAGE_RW);
	bench_check(&b);
	bench_exit(&b, t);
	file_close(&b.cx, file);
	bench_down(&b);
}

static void test_seal(void **state)
{
	struct task_struct *t;
	struct file *rw, *ro;
	struct bench b;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	rw = file_create(&b.cx, 4, FMODE_READ | FMODE_WRITE);
	ro = file_create(&b.cx, 4, FMODE_READ);
	assert_int_equal(sys_seal_write(&b.cx, ro), -EPERM);
	bench_mmap(&b, BASE, 4, PROT_READ, MAP_SHARED, rw);
	assert_int_equal(sys_seal_write(&b.cx, rw), -EBUSY);
	assert_int_equal(sys_munmap(&b.cx, BASE, 4 * PAGE_SIZE), 0);
	assert_int_equal(sys_seal_write(&b.cx, rw), 0);
	assert_int_equal(sys_seal_write(&b.cx, rw), 0);
	bench_check(&b);
	assert_int_equal(sys_mmap(&b.cx, BASE, PAGE_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, rw, 0),
			 -EPERM);
	bench_mmap(&b, BASE, 4, RW, MAP_PRIVATE, rw);
	bench_write(&b, BASE, 1);
	bench_check(&b);
	bench_exit(&b, t);
	file_close(&b.cx, rw);
	file_close(&b.cx, ro);
	bench_down(&b);
}

/* What runs is not written to: exec refuses a file that is open for writing, and says so early. */
static void test_text_busy(void **state)
{
	struct exec_segment seg = {.start = IMAGE, .len = 2 * PAGE_SIZE, .prot = PROT_READ};
	struct exec_image image = {.segments = &seg, .nr_segments = 1, .stack_pages = 1};
	struct mm_struct *mm;
	struct task_struct *t;
	struct file *rw, *ro;
	struct bench b;
	bool killed;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	rw = file_create(&b.cx, 4, FMODE_READ | FMODE_WRITE);
	ro = file_create(&b.cx, 4, FMODE_READ);
	mm = t->mm;
	seg.file = ro;
	image.exe = rw;
	assert_int_equal(sys_execve(&b.cx, &image, &killed), -ETXTBSY);
	assert_false(killed);
	assert_ptr_equal(t->mm, mm);
	assert_int_equal(ro->f_inode->i_writecount, 0);
	seg.file = rw;
	image.exe = ro;
	assert_int_equal(sys_execve(&b.cx, &image, &killed), -ETXTBSY);
	assert_int_equal(ro->f_inode->i_writecount, 0);
	seg.file = ro;
	assert_int_equal(sys_execve(&b.cx, &image, &killed), 0);
	assert_int_equal(ro->f_inode->i_writecount, -1);
	bench_check(&b);
	bench_exit(&b, t);
	file_close(&b.cx, rw);
	file_close(&b.cx, ro);
	bench_down(&b);
}

/* Truncation reaches every mm, shared and private, and private copies too. */
static void test_truncate(void **state)
{
	struct task_struct *t, *child;
	struct file *file, *ro;
	struct bench b;
	u64 tag = 9, low;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	file = file_create(&b.cx, 600, FMODE_READ | FMODE_WRITE);
	ro = file_create(&b.cx, 4, FMODE_READ);
	assert_int_equal(sys_ftruncate(&b.cx, ro, 2), -EINVAL);
	bench_mmap(&b, BASE, 600, RW, MAP_SHARED, file);
	bench_mmap(&b, BASE + 0x400000, 600, RW, MAP_PRIVATE, file);
	for (u64 i = 0; i < 600; i += 100) {
		bench_write(&b, BASE + i * PAGE_SIZE, i + 1);
		bench_write(&b, BASE + 0x400000 + i * PAGE_SIZE, i + 2);
	}
	low = bench_read(&b, BASE + 3 * PAGE_SIZE);
	assert_int_equal(do_fork(&b.cx, 0, &child), 0);
	run_on(&b.cx, 0, child);
	bench_write(&b, BASE + 0x400000 + 500 * PAGE_SIZE, 77);
	assert_int_equal(bench_read(&b, BASE + 400 * PAGE_SIZE), 401);
	assert_int_equal(sys_ftruncate(&b.cx, file, 250), 0);
	bench_check(&b);
	assert_int_equal(file->f_inode->i_data.nr_pages, 4);
	assert_int_equal(access_user(&b.cx, BASE + 400 * PAGE_SIZE, false, &tag), ACCESS_SIGBUS);
	assert_int_equal(access_user(&b.cx, BASE + 0x400000 + 500 * PAGE_SIZE, false, &tag),
			 ACCESS_SIGBUS);
	run_on(&b.cx, 0, t);
	assert_int_equal(access_user(&b.cx, BASE + 0x400000 + 500 * PAGE_SIZE, false, &tag),
			 ACCESS_SIGBUS);
	assert_int_equal(bench_read(&b, BASE + 200 * PAGE_SIZE), 201);
	assert_int_equal(bench_read(&b, BASE + 0x400000 + 200 * PAGE_SIZE), 202);

	/* what comes back is not what went */
	assert_int_equal(sys_ftruncate(&b.cx, file, 0), 0);
	assert_int_equal(sys_ftruncate(&b.cx, file, 10), 0);
	assert_int_not_equal(low, 0);
	assert_int_equal(bench_read(&b, BASE + 3 * PAGE_SIZE), 0);
	bench_check(&b);
	bench_exit(&b, child);
	bench_exit(&b, t);
	file_close(&b.cx, file);
	file_close(&b.cx, ro);
	bench_down(&b);
}

/* One page less than what a shared mapping promises is left in strict accounting. */
static void test_commit_limit(void **state)
{
	struct task_struct *t;
	struct bench b;

	(void)state;
	bench_up(&b, "levels=4 mem=2048 overcommit=2");
	t = bench_exec(&b, IMAGE);
	assert_int_equal(map_shared(&b, BASE, 2000, 0), -ENOMEM);
	bench_check(&b);
	/* strict accounting does not go without reserve */
	assert_int_equal(map_shared(&b, BASE, 2000, MAP_NORESERVE), -ENOMEM);
	assert_int_equal(map_shared(&b, BASE, 100, MAP_NORESERVE), BASE);
	assert_int_equal(vma_at(&b, BASE)->vm_file->f_inode->charged, 100);
	bench_check(&b);
	bench_exit(&b, t);
	bench_down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object),	     cmocka_unit_test(test_no_merge),
		cmocka_unit_test(test_unwind),	     cmocka_unit_test(test_noreserve),
		cmocka_unit_test(test_writenotify),  cmocka_unit_test(test_seal),
		cmocka_unit_test(test_text_busy),    cmocka_unit_test(test_truncate),
		cmocka_unit_test(test_commit_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
