/* SPDX-License-Identifier: GPL-2.0-only */
/* Files, their page cache, and what mappings of them see. */
#include "mm_bench.h"

#define RW    (PROT_READ | PROT_WRITE)
#define IMAGE 0x80000000u
#define BASE  0x40000000u

static void test_cache(void **state)
{
	struct task_struct *t;
	struct file *file;
	struct file_inode *inode;
	struct page *page;
	struct bench b;
	u64 i, nodes;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	file = file_create(&b.cx, 40, FMODE_READ);
	inode = file->f_inode;
	bench_mmap(&b, BASE, 40, PROT_READ, MAP_PRIVATE, file);
	for (i = 0; i < 40; i++) { /* in an order that is none */
		u64 index = i * 27 % 40;

		assert_null(find_page(&inode->i_data, index));
		assert_int_equal(bench_read(&b, BASE + index * PAGE_SIZE),
				 file_page_tag(inode, index));
		page = find_page(&inode->i_data, index);
		assert_non_null(page);
		assert_int_equal(page->type, PAGE_FILE);
		assert_int_equal(page->index, index);
		assert_ptr_equal(page->mapping, &inode->i_data);
		assert_int_equal(page->_mapcount, 1);
		assert_int_equal(atomic_read(&page->_refcount), 2);
	}
	assert_int_equal(inode->i_data.nr_pages, 40);
	assert_int_equal(rb_check(&inode->i_data.page_tree, 100, &nodes), 0);
	assert_int_equal(nodes, 40);
	assert_int_equal(t->maj_flt, 40);
	assert_int_equal(t->mm->rss_stat[MM_FILEPAGES], 40);
	bench_check(&b);

	/* the pages outlive the mapping, but not the file */
	assert_int_equal(sys_munmap(&b.cx, BASE, 40 * PAGE_SIZE), 0);
	assert_int_equal(b.m->nr_alloc[PAGE_FILE], 40);
	bench_watch(&b, 1, SITE_filemap_page);
	file_close(&b.cx, file);
	assert_int_equal(b.m->nr_alloc[PAGE_FILE], 0);
	assert_int_equal(b.nr_met, 0);
	assert_true(list_empty(&b.m->inodes));
	assert_true(list_empty(&b.m->files));
	bench_exit(&b, t);
	bench_down(&b);
}

/* A mapping holds the file, and the file its pages. */
static void test_lifetime(void **state)
{
	struct task_struct *t;
	struct file *file;
	struct bench b;
	u64 tag;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	file = file_create(&b.cx, 2, FMODE_READ);
	tag = file_page_tag(file->f_inode, 1);
	bench_mmap(&b, BASE, 2, PROT_READ, MAP_PRIVATE, file);
	assert_int_equal(atomic_read(&file->f_count), 2);
	file_close(&b.cx, file);
	assert_int_equal(bench_read(&b, BASE + PAGE_SIZE), tag);
	bench_check(&b);
	assert_int_equal(sys_munmap(&b.cx, BASE, 2 * PAGE_SIZE), 0);
	assert_int_equal(b.m->caches[CACHE_file].live, 0);
	assert_int_equal(b.m->caches[CACHE_inode].live, 0);
	assert_int_equal(b.m->nr_alloc[PAGE_FILE], 0);
	bench_exit(&b, t);
	bench_down(&b);
}

static void test_private(void **state)
{
	struct task_struct *t;
	struct file *file;
	struct mm_struct *mm;
	struct bench b;
	u64 tag = 0x66;
	s64 anon;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	mm = t->mm;
	anon = mm->rss_stat[MM_ANONPAGES];
	file = file_create(&b.cx, 2, FMODE_READ);
	bench_mmap(&b, BASE, 3, RW, MAP_PRIVATE, file);

	/* a first store copies from the cache without mapping it */
	bench_write(&b, BASE, 0x11);
	assert_int_equal(mm->rss_stat[MM_FILEPAGES], 0);
	assert_int_equal(mm->rss_stat[MM_ANONPAGES], anon + 1);
	assert_int_equal(page_tag(find_page(&file->f_inode->i_data, 0)),
			 file_page_tag(file->f_inode, 0));
	assert_int_equal(atomic_read(&find_page(&file->f_inode->i_data, 0)->_refcount), 1);

	/* after a load it takes the file page's place */
	bench_read(&b, BASE + PAGE_SIZE);
	assert_int_equal(mm->rss_stat[MM_FILEPAGES], 1);
	bench_write(&b, BASE + PAGE_SIZE, 0x22);
	assert_int_equal(mm->rss_stat[MM_FILEPAGES], 0);
	assert_int_equal(mm->rss_stat[MM_ANONPAGES], anon + 2);
	assert_int_equal(find_page(&file->f_inode->i_data, 1)->_mapcount, 0);
	bench_check(&b);

	/* past the end of the file */
	assert_int_equal(access_user(&b.cx, BASE + 2 * PAGE_SIZE, false, &tag), ACCESS_SIGBUS);
	assert_int_equal(access_user(&b.cx, BASE + 2 * PAGE_SIZE, true, &tag), ACCESS_SIGBUS);
	assert_int_equal(mm->rss_stat[MM_ANONPAGES], anon + 2);
	bench_check(&b);
	bench_exit(&b, t);
	file_close(&b.cx, file);
	bench_down(&b);
}

static void test_shared(void **state)
{
	struct task_struct *t, *child;
	struct file *file;
	struct bench b;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	file = file_create(&b.cx, 2, FMODE_READ | FMODE_WRITE);
	assert_int_equal(file->f_inode->i_writecount, 1);
	bench_mmap(&b, BASE, 2, RW, MAP_SHARED, file);
	bench_mmap(&b, BASE + 0x200000, 2, PROT_READ, MAP_PRIVATE, file);
	bench_write(&b, BASE, 0x11);
	assert_true(bench_pte(&b, t->mm, BASE) & _PAGE_DIRTY);
	assert_int_equal(bench_read(&b, BASE + 0x200000), 0x11);
	assert_int_equal(find_page(&file->f_inode->i_data, 0)->_mapcount, 2);
	assert_int_equal(do_fork(&b.cx, 0, &child), 0);
	bench_check(&b);
	run_on(&b.cx, 0, child);
	bench_write(&b, BASE, 0x12);
	run_on(&b.cx, 0, t);
	assert_int_equal(bench_read(&b, BASE), 0x12);
	assert_int_equal(bench_read(&b, BASE + 0x200000), 0x12);
	bench_check(&b);
	bench_exit(&b, child);
	bench_exit(&b, t);
	file_close(&b.cx, file);
	bench_down(&b);
}

static void test_tags(void **state)
{
	struct file *a, *c;
	struct bench b;

	(void)state;
	bench_up(&b, "levels=4");
	a = file_create(&b.cx, 8, FMODE_READ);
	c = file_create(&b.cx, 8, FMODE_READ);
	assert_int_not_equal(file_page_tag(a->f_inode, 0), 0);
	assert_int_not_equal(file_page_tag(a->f_inode, 0), file_page_tag(a->f_inode, 1));
	assert_int_not_equal(file_page_tag(a->f_inode, 0), file_page_tag(c->f_inode, 0));
	assert_int_equal(file_page_tag(a->f_inode, 3), file_page_tag(a->f_inode, 3));
	file_close(&b.cx, get_file(&b.cx, a));
	file_close(&b.cx, a);
	file_close(&b.cx, c);
	bench_down(&b);
}

/* A file put once too often, and an inode that goes while it is mapped. */
static void test_bugs(void **state)
{
	struct file *file;
	struct bench b;

	(void)state;
	bench_up(&b, "levels=4");
	bench_exec(&b, IMAGE);
	file = file_create(&b.cx, 2, FMODE_READ);
	bench_mmap(&b, BASE, 2, PROT_READ, MAP_PRIVATE, file);
	fput(&b.cx, file);
	assert_bug(&b, FL_BUG_INVARIANT, fput(&b.cx, file));
	bench_abandon(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cache),	cmocka_unit_test(test_lifetime),
		cmocka_unit_test(test_private), cmocka_unit_test(test_shared),
		cmocka_unit_test(test_tags),	cmocka_unit_test(test_bugs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
