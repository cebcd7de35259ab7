/* SPDX-License-Identifier: GPL-2.0-only */
/* Merging, splitting, adjusting, placement, brk, mprotect and mmap, on real machines. */
#include "mm_fixture.h"

/* ---- the merge table (facts §15.4, 4.4) ----------------------------------------------------- */

static void m_begin(struct fixture *fx)
{
	fx_create(fx, NULL);
}

static void m_end(struct fixture *fx, const char *maps)
{
	fx_expect(fx, maps);
	fx_destroy(fx);
}

static void test_m1_m2(void **state)
{
	struct fixture fx;

	(void)state;
	m_begin(&fx);
	fx_mmap(&fx, 0, 2, RW);
	fx_mmap(&fx, 2, 4, RW);
	m_end(&fx, "0-4");

	m_begin(&fx);
	fx_mmap(&fx, 2, 4, RW);
	fx_write(&fx, 2, 1);
	fx_mmap(&fx, 4, 6, RW);
	fx_mmap(&fx, 0, 2, RW);
	m_end(&fx, "0-6");
}

static void test_m3_m4(void **state)
{
	struct fixture fx;

	(void)state;
	m_begin(&fx);
	fx_mmap(&fx, 0, 2, RW);
	fx_mmap(&fx, 4, 6, RW);
	fx_write(&fx, 0, 1);
	fx_write(&fx, 4, 2);
	fx_mmap(&fx, 2, 4, RW);
	m_end(&fx, "0-4 4-6");

	/* case 1 with an anon_vma only on the right: prev imports it */
	m_begin(&fx);
	fx_mmap(&fx, 0, 2, RW);
	fx_mmap(&fx, 4, 6, RW);
	fx_write(&fx, 5, 7);
	fx_mmap(&fx, 2, 4, RW);
	fx_expect(&fx, "0-6");
	assert_int_equal(fx_read(&fx, 5), 7);
	fx_write(&fx, 0, 8);
	assert_int_equal(fx_read(&fx, 0), 8);
	m_end(&fx, "0-6");
}

static void test_m5_to_m9(void **state)
{
	struct fixture fx;
	const u32 rwx = RW | PROT_EXEC;

	(void)state;
	m_begin(&fx); /* M5 */
	fx_mmap(&fx, 0, 2, RW);
	fx_write(&fx, 0, 1);
	fx_mmap(&fx, 2, 4, PROT_READ);
	fx_expect(&fx, "0-2 2-4");
	assert_int_equal(fx_mprotect(&fx, 2, 4, RW), 0);
	m_end(&fx, "0-4");

	m_begin(&fx); /* M6 */
	fx_mmap(&fx, 0, 2, RW);
	fx_mmap(&fx, 2, 4, rwx);
	fx_write(&fx, 2, 1);
	assert_int_equal(fx_mprotect(&fx, 2, 4, RW), 0);
	m_end(&fx, "0-2 2-4");

	m_begin(&fx); /* M7 */
	fx_mmap(&fx, 0, 2, RW);
	fx_mmap(&fx, 2, 4, rwx);
	fx_write(&fx, 2, 1);
	fx_mmap(&fx, 4, 6, RW);
	assert_int_equal(fx_mprotect(&fx, 2, 4, RW), 0);
	m_end(&fx, "0-2 2-4 4-6");

	m_begin(&fx); /* M8 */
	fx_mmap(&fx, 0, 2, RW);
	fx_mmap(&fx, 2, 4, rwx);
	fx_write(&fx, 2, 1);
	assert_int_equal(fx_mprotect(&fx, 2, 3, RW), 0);
	m_end(&fx, "0-2 2-3 3-4");

	m_begin(&fx); /* M9 */
	fx_mmap(&fx, 0, 2, rwx);
	fx_write(&fx, 0, 1);
	fx_mmap(&fx, 2, 4, RW);
	assert_int_equal(fx_mprotect(&fx, 1, 2, RW), 0);
	m_end(&fx, "0-1 1-2 2-4");
}

static void test_m10_to_m14(void **state)
{
	struct fixture fx;

	(void)state;
	m_begin(&fx); /* M10 */
	fx_mmap(&fx, 0, 6, RW);
	fx_write(&fx, 0, 1);
	assert_int_equal(fx_mprotect(&fx, 2, 4, PROT_READ), 0);
	fx_expect(&fx, "0-2 2-4 4-6");
	assert_int_equal(fx_mprotect(&fx, 2, 4, RW), 0);
	m_end(&fx, "0-6");

	m_begin(&fx); /* M11 */
	fx_mmap(&fx, 0, 2, PROT_READ);
	fx_mmap(&fx, 2, 4, RW);
	assert_int_equal(fx_mprotect(&fx, 2, 4, PROT_READ), 0);
	m_end(&fx, "0-2 2-4");

	m_begin(&fx); /* M12 */
	fx_mmap(&fx, 0, 2, PROT_READ);
	fx_mmap(&fx, 2, 4, RW);
	fx_write(&fx, 2, 1);
	assert_int_equal(fx_mprotect(&fx, 2, 4, PROT_READ), 0);
	m_end(&fx, "0-2 2-4");

	m_begin(&fx); /* M13 */
	fx_mmap(&fx, 0, 2, PROT_READ);
	assert_int_equal(fx_mprotect(&fx, 0, 2, RW), 0);
	assert_int_equal(fx_mprotect(&fx, 0, 2, PROT_READ), 0);
	fx_mmap(&fx, 2, 4, PROT_READ);
	m_end(&fx, "0-2 2-4");

	m_begin(&fx); /* M14 */
	fx_mmap(&fx, 0, 2, PROT_NONE);
	assert_int_equal(fx_mmap_flags(&fx, 2, 4, PROT_NONE, MAP_NORESERVE), 0);
	m_end(&fx, "0-2 2-4");
}

static void test_m17(void **state)
{
	struct fixture fx;

	(void)state;
	m_begin(&fx);
	fx_mmap(&fx, 0, 6, RW);
	fx_write(&fx, 0, 1);
	fx_write(&fx, 5, 2);
	assert_int_equal(fx_munmap(&fx, 2, 4), 0);
	fx_expect(&fx, "0-2 4-6");
	fx_mmap(&fx, 2, 4, RW);
	assert_int_equal(fx_read(&fx, 5), 2);
	m_end(&fx, "0-6");
}

static void map_file(struct fixture *fx, struct file *file, u64 from, u64 to, u64 offset, u32 prot,
		     u32 type)
{
	s64 ret = sys_mmap(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE, prot, MAP_FIXED | type,
			   file, offset * PAGE_SIZE);

	assert_int_equal(ret, fx_addr(from));
}

static void test_m19(void **state)
{
	struct file *file, *other;
	struct fixture fx;

	(void)state;
	m_begin(&fx);
	file = file_create(&fx.cx, 8, FMODE_READ | FMODE_EXEC);
	other = file_create(&fx.cx, 8, FMODE_READ | FMODE_EXEC);
	map_file(&fx, file, 0, 2, 0, PROT_READ, MAP_SHARED);
	map_file(&fx, file, 2, 4, 2, PROT_READ, MAP_SHARED);
	fx_expect(&fx, "0-4");
	map_file(&fx, other, 4, 6, 4, PROT_READ, MAP_SHARED);  /* another file */
	map_file(&fx, other, 6, 7, 7, PROT_READ, MAP_SHARED);  /* a gap in the offset */
	map_file(&fx, other, 7, 8, 8, PROT_READ, MAP_PRIVATE); /* not shared */
	fx_expect(&fx, "0-4 4-6 6-7 7-8");
	/* One reference per VMA, and the merged one gave none. */
	assert_int_equal(atomic_read(&file->f_count), 2);
	assert_int_equal(atomic_read(&other->f_count), 4);
	assert_int_equal(fx_munmap(&fx, 1, 2), 0);
	assert_int_equal(atomic_read(&file->f_count), 3);
	map_file(&fx, file, 1, 2, 1, PROT_READ, MAP_SHARED);
	fx_expect(&fx, "0-4 4-6 6-7 7-8");
	assert_int_equal(atomic_read(&file->f_count), 2);
	assert_int_equal(fx_munmap(&fx, 0, 8), 0);
	file_close(&fx.cx, file);
	file_close(&fx.cx, other);
	m_end(&fx, "");
}

static void test_m20_to_m23(void **state)
{
	struct task_struct *child;
	struct fixture fx;

	(void)state;
	m_begin(&fx); /* M20 and M21 */
	fx_mmap(&fx, 0, 2, RW);
	fx_write(&fx, 0, 1);
	child = fx_fork(&fx);
	fx_mmap(&fx, 2, 4, RW);
	fx_expect(&fx, "0-4");
	fx_run(&fx, child);
	fx_mmap(&fx, 2, 4, RW);
	fx_expect(&fx, "0-2 2-4");
	fx_mmap(&fx, 4, 6, RW);
	m_end(&fx, "0-2 2-6");

	m_begin(&fx); /* M22 */
	fx_mmap(&fx, 0, 2, RW);
	child = fx_fork(&fx);
	fx_run(&fx, child);
	fx_mmap(&fx, 2, 4, RW);
	m_end(&fx, "0-4");

	m_begin(&fx); /* M23 */
	fx_mmap(&fx, 0, 6, RW);
	fx_write(&fx, 0, 1);
	child = fx_fork(&fx);
	fx_run(&fx, child);
	assert_int_equal(fx_mprotect(&fx, 2, 4, PROT_READ), 0);
	fx_expect(&fx, "0-2 2-4 4-6");
	assert_int_equal(fx_mprotect(&fx, 2, 4, RW), 0);
	m_end(&fx, "0-6");
}

static unsigned int heap_vmas(struct fixture *fx)
{
	unsigned int n = 0;

	for (struct vm_area_struct *v = fx->cx.curr->mm->mmap; v && v->vm_start < FX_BASE;
	     v = v->vm_next)
		n++;
	return n;
}

static void test_m24(void **state)
{
	struct task_struct *child;
	struct fixture fx;
	u64 tag = 3;

	(void)state;
	m_begin(&fx);
	assert_int_equal(sys_brk(&fx.cx, FX_BRK + 2 * PAGE_SIZE), FX_BRK + 2 * PAGE_SIZE);
	assert_int_equal(access_user(&fx.cx, FX_BRK, true, &tag), ACCESS_OK);
	child = fx_fork(&fx);
	assert_int_equal(sys_brk(&fx.cx, FX_BRK + 4 * PAGE_SIZE), FX_BRK + 4 * PAGE_SIZE);
	assert_int_equal(heap_vmas(&fx), 1);
	fx_run(&fx, child);
	assert_int_equal(sys_brk(&fx.cx, FX_BRK + 4 * PAGE_SIZE), FX_BRK + 4 * PAGE_SIZE);
	assert_int_equal(heap_vmas(&fx), 2);
	m_end(&fx, "");
}

/* ---- the eight cases of a merge, with and without memory for the import --------------------- */

/* Case 6 where only the VMA after next has an anon_vma: all or nothing (B-02). */
static void test_case6_import_fails(void **state)
{
	struct fixture fx;

	(void)state;
	for (int refuse = 0; refuse < 3; refuse++) {
		m_begin(&fx);
		fx_mmap(&fx, 0, 2, RW);
		fx_mmap(&fx, 2, 4, PROT_READ);
		fx_mmap(&fx, 4, 6, RW);
		fx_write(&fx, 4, 9);
		fx.fail[SITE_anon_vma_clone_nowait] = refuse >= 1;
		fx.fail[SITE_anon_vma_clone_avc] = refuse >= 2;
		assert_int_equal(fx_mprotect(&fx, 2, 4, RW), 0);
		memset(fx.fail, 0, sizeof(fx.fail));
		assert_int_equal(fx.asked[SITE_anon_vma_clone_nowait], 1);
		assert_int_equal(fx.asked[SITE_anon_vma_clone_avc], refuse >= 1);
		/* The attempt that may not wait is not missed; without either nothing merges. */
		fx_expect(&fx, refuse == 2 ? "0-2 2-4 4-6" : "0-6");
		assert_int_equal(fx_read(&fx, 4), 9);
		fx_write(&fx, 2, 4);
		m_end(&fx, refuse == 2 ? "0-2 2-4 4-6" : "0-6");
	}
}

static void test_boundary_moves(void **state)
{
	struct fixture fx;

	(void)state;
	m_begin(&fx); /* case 5 up, then case 4 down */
	fx_mmap(&fx, 0, 8, RW);
	fx_write(&fx, 1, 1);
	fx_write(&fx, 6, 6);
	assert_int_equal(fx_mprotect(&fx, 4, 8, PROT_READ), 0);
	fx_expect(&fx, "0-4 4-8");
	assert_int_equal(fx_mprotect(&fx, 4, 6, RW), 0); /* 5 */
	fx_expect(&fx, "0-6 6-8");
	assert_int_equal(fx_mprotect(&fx, 2, 6, PROT_READ), 0); /* 4 */
	fx_expect(&fx, "0-2 2-8");
	assert_int_equal(fx_mprotect(&fx, 0, 2, PROT_READ), 0); /* 8 */
	fx_expect(&fx, "0-8");
	assert_int_equal(fx_mprotect(&fx, 6, 8, RW), 0);
	assert_int_equal(fx_mprotect(&fx, 6, 8, PROT_READ), 0); /* 7 */
	fx_expect(&fx, "0-8");
	assert_int_equal(fx_read(&fx, 1), 1);
	assert_int_equal(fx_read(&fx, 6), 6);
	m_end(&fx, "0-8");

	m_begin(&fx); /* case 3: the follower grows down, its offset with it */
	fx_mmap(&fx, 4, 6, RW);
	fx_write(&fx, 5, 5);
	fx_mmap(&fx, 2, 4, RW);
	fx_expect(&fx, "2-6");
	assert_int_equal(fx_vma(&fx, 2)->vm_pgoff, fx_addr(2) >> PAGE_SHIFT);
	assert_int_equal(fx_read(&fx, 5), 5);
	m_end(&fx, "2-6");
}

/* Splits of a file VMA keep offsets, counts and the file's tree. */
static void test_split_file(void **state)
{
	struct address_space *mapping;
	struct fixture fx;
	struct file *file;
	unsigned int n = 0;

	(void)state;
	m_begin(&fx);
	file = file_create(&fx.cx, 16, FMODE_READ | FMODE_WRITE);
	mapping = &file->f_inode->i_data;
	map_file(&fx, file, 0, 8, 4, PROT_READ, MAP_SHARED);
	assert_int_equal(mapping->i_mmap_writable, 1);
	assert_int_equal(fx_mprotect(&fx, 2, 4, PROT_NONE), 0);
	fx_expect(&fx, "0-2 2-4 4-8");
	assert_int_equal(mapping->i_mmap_writable, 3);
	assert_int_equal(fx_vma(&fx, 2)->vm_pgoff, 6);
	assert_int_equal(fx_vma(&fx, 4)->vm_pgoff, 8);
	for (struct vm_area_struct *v = vma_interval_tree_first(&mapping->i_mmap, 7, 8); v;
	     v = vma_interval_tree_next(v, 7, 8))
		n++;
	assert_int_equal(n, 2);
	assert_int_equal(fx_mprotect(&fx, 2, 4, PROT_READ), 0);
	fx_expect(&fx, "0-8");
	assert_int_equal(mapping->i_mmap_writable, 1);
	assert_int_equal(fx_munmap(&fx, 0, 8), 0);
	assert_int_equal(mapping->i_mmap_writable, 0);
	assert_null(mapping->i_mmap.node);
	file_close(&fx.cx, file);
	m_end(&fx, "");
}

/* ---- refusals ------------------------------------------------------------------------------- */

static s64 try_mmap(struct fixture *fx, u64 addr, u64 len, u32 prot, u32 flags, struct file *file,
		    u64 offset)
{
	return sys_mmap(&fx->cx, addr, len, prot, flags, file, offset);
}

static void test_mmap_errno(void **state)
{
	const u32 priv = MAP_PRIVATE, fixed = MAP_PRIVATE | MAP_FIXED;
	const u32 anon = MAP_PRIVATE | MAP_ANONYMOUS;
	struct file *ro, *rw, *wo;
	struct fixture fx;
	u64 top;

	(void)state;
	m_begin(&fx);
	top = fx.m->geo.task_size;
	ro = file_create(&fx.cx, 4, FMODE_READ);
	rw = file_create(&fx.cx, 4, FMODE_READ | FMODE_WRITE | FMODE_EXEC);
	wo = file_create(&fx.cx, 4, FMODE_WRITE);
	assert_int_equal(try_mmap(&fx, 0, 4096, RW, anon, NULL, 5), -EINVAL);
	assert_int_equal(try_mmap(&fx, 0, 0, RW, priv, NULL, 0), -EBADF);
	assert_int_equal(try_mmap(&fx, 0, 0, RW, anon, NULL, 0), -EINVAL);
	assert_int_equal(try_mmap(&fx, 0, ~(u64)0, RW, anon, NULL, 0), -ENOMEM);
	assert_int_equal(try_mmap(&fx, 0, top + 1, RW, anon, NULL, 0), -ENOMEM);
	assert_int_equal(try_mmap(&fx, 1, 4096, RW, anon | MAP_FIXED, NULL, 0), -EINVAL);
	assert_int_equal(try_mmap(&fx, top, 4096, RW, anon | MAP_FIXED, NULL, 0), -ENOMEM);
	assert_int_equal(try_mmap(&fx, ~(u64)0xfff, 4096, RW, anon | MAP_FIXED, NULL, 0), -ENOMEM);
	assert_int_equal(try_mmap(&fx, 0, 4096, RW, MAP_ANONYMOUS, NULL, 0), -EINVAL);
	assert_int_equal(try_mmap(&fx, 0, 4096, RW, MAP_ANONYMOUS | 3, NULL, 0), -EINVAL);
	assert_int_equal(try_mmap(&fx, 0, 4096, PROT_READ, 0, ro, 0), -EINVAL);
	assert_int_equal(try_mmap(&fx, 0, 4096, RW, MAP_SHARED, ro, 0), -EACCES);
	assert_int_equal(try_mmap(&fx, 0, 4096, PROT_READ, priv, wo, 0), -EACCES);
	assert_int_equal(try_mmap(&fx, 0, 4096, PROT_EXEC, priv, ro, 0), -EPERM);
	fx_expect(&fx, "");

	/* What the file forbids stays forbidden. */
	assert_int_equal(try_mmap(&fx, fx_addr(0), 4096, PROT_READ, MAP_SHARED | MAP_FIXED, ro, 0),
			 fx_addr(0));
	assert_int_equal(fx_mprotect(&fx, 0, 1, RW), -EACCES);
	assert_int_equal(fx_mprotect(&fx, 0, 1, PROT_EXEC), -EACCES);
	assert_int_equal(try_mmap(&fx, fx_addr(1), 4096, PROT_READ, MAP_SHARED | MAP_FIXED, rw, 0),
			 fx_addr(1));
	assert_int_equal(fx_mprotect(&fx, 1, 2, RW), 0);
	/* A private copy may be written, whatever the file. */
	assert_int_equal(try_mmap(&fx, fx_addr(2), 4096, RW, fixed, ro, 0), fx_addr(2));
	fx_expect(&fx, "0-1 1-2 2-3");
	assert_int_equal(fx_munmap(&fx, 0, 3), 0);
	file_close(&fx.cx, ro);
	file_close(&fx.cx, rw);
	file_close(&fx.cx, wo);
	m_end(&fx, "");
}

static void test_hook_failure(void **state)
{
	struct fixture fx;
	struct file *file;

	(void)state;
	m_begin(&fx);
	file = file_create(&fx.cx, 4, FMODE_READ);
	fx.fail[SITE_mmap_region_hook] = true;
	/* Charged before the hook is asked: the charge comes back (B-03, in fx_expect). */
	assert_int_equal(try_mmap(&fx, 0, 4096, RW, MAP_PRIVATE, file, 0), -ENODEV);
	fx_expect(&fx, "");
	assert_int_equal(atomic_read(&file->f_count), 1);
	assert_null(file->f_inode->i_data.i_mmap.node);
	file_close(&fx.cx, file);
	m_end(&fx, "");
}

static void test_denywrite(void **state)
{
	struct mm_struct *mm;
	struct fixture fx;
	struct file *ro, *rw;
	u64 ret;

	(void)state;
	m_begin(&fx);
	mm = fx.cx.curr->mm;
	ro = file_create(&fx.cx, 4, FMODE_READ);
	rw = file_create(&fx.cx, 4, FMODE_READ | FMODE_WRITE);
	down_write(&fx.cx, &mm->mmap_sem);
	ret = do_mmap(&fx.cx, mm, rw, 0, PAGE_SIZE, RW, MAP_PRIVATE, VM_DENYWRITE, 0);
	assert_int_equal((s64)ret, -ETXTBSY);
	assert_int_equal(rw->f_inode->i_writecount, 1);
	ret = do_mmap(&fx.cx, mm, ro, fx_addr(0), 2 * PAGE_SIZE, PROT_READ, MAP_PRIVATE,
		      VM_DENYWRITE, 0);
	assert_int_equal(ret, fx_addr(0));
	up_write(&fx.cx, &mm->mmap_sem);
	assert_int_equal(ro->f_inode->i_writecount, -1);
	assert_int_equal(fx_mprotect(&fx, 0, 1, PROT_NONE), 0);
	assert_int_equal(ro->f_inode->i_writecount, -2);
	assert_int_equal(fx_munmap(&fx, 0, 2), 0);
	assert_int_equal(ro->f_inode->i_writecount, 0);
	fx.fail[SITE_mmap_region_hook] = true;
	down_write(&fx.cx, &mm->mmap_sem);
	ret = do_mmap(&fx.cx, mm, ro, 0, PAGE_SIZE, PROT_READ, MAP_PRIVATE, VM_DENYWRITE, 0);
	up_write(&fx.cx, &mm->mmap_sem);
	assert_int_equal((s64)ret, -ENODEV);
	assert_int_equal(ro->f_inode->i_writecount, 0);
	file_close(&fx.cx, ro);
	file_close(&fx.cx, rw);
	m_end(&fx, "");
}

static void test_munmap_errno(void **state)
{
	struct fixture fx;
	u64 top;

	(void)state;
	m_begin(&fx);
	top = fx.m->geo.task_size;
	assert_int_equal(sys_munmap(&fx.cx, FX_BASE + 1, 4096), -EINVAL);
	assert_int_equal(sys_munmap(&fx.cx, FX_BASE, 0), -EINVAL);
	assert_int_equal(sys_munmap(&fx.cx, top + PAGE_SIZE, 4096), -EINVAL);
	assert_int_equal(sys_munmap(&fx.cx, FX_BASE, top), -EINVAL);
	assert_int_equal(fx_munmap(&fx, 0, 4), 0); /* nothing there */

	/* The first cut stays when the second fails, and says so only in the number of VMAs. */
	fx_mmap(&fx, 0, 6, RW);
	fx_write(&fx, 2, 2);
	fx.fail[SITE_split_vma_vma] = true;
	assert_int_equal(fx_munmap(&fx, 1, 5), -ENOMEM);
	memset(fx.fail, 0, sizeof(fx.fail));
	fx_expect(&fx, "0-6");
	fx.fail[SITE_anon_vma_clone_nowait] = fx.fail[SITE_anon_vma_clone_avc] = true;
	assert_int_equal(fx_munmap(&fx, 1, 5), -ENOMEM);
	memset(fx.fail, 0, sizeof(fx.fail));
	fx_expect(&fx, "0-6");
	assert_int_equal(fx_read(&fx, 2), 2);
	assert_int_equal(fx_munmap(&fx, 1, 5), 0);
	m_end(&fx, "0-1 5-6");
}

static void test_map_count(void **state)
{
	struct fixture fx;
	u64 page = 0;

	(void)state;
	fx_create(&fx, "max_map_count=8");
	fx_mmap(&fx, 900, 903, RW);
	/* One more than the limit can be had by mmap. */
	while (fx.cx.curr->mm->map_count <= 8) {
		fx_mmap(&fx, page, page + 1, RW);
		page += 2;
	}
	assert_int_equal(fx.cx.curr->mm->map_count, 9);
	assert_int_equal(fx_mmap_flags(&fx, page, page + 1, RW, 0), -ENOMEM);
	assert_int_equal(sys_brk(&fx.cx, FX_BRK + PAGE_SIZE), FX_BRK);
	/* Splits are refused from the limit on, cutting off an end is not. */
	assert_int_equal(fx_munmap(&fx, 901, 902), -ENOMEM);
	assert_int_equal(fx_mprotect(&fx, 901, 902, PROT_READ), -ENOMEM);
	assert_int_equal(fx_munmap(&fx, 902, 903), 0);
	assert_int_equal(fx_munmap(&fx, 0, 1), 0);
	assert_int_equal(fx.cx.curr->mm->map_count, 8);
	assert_int_equal(fx_mprotect(&fx, 901, 902, PROT_READ), -ENOMEM);
	assert_int_equal(fx_munmap(&fx, 2, 3), 0);
	assert_int_equal(fx_mprotect(&fx, 901, 902, PROT_READ), 0);
	assert_int_equal(fx.cx.curr->mm->map_count, 8);
	fx_check(&fx);
	fx_destroy(&fx);
}

static void test_mprotect_errno(void **state)
{
	struct vm_area_struct *stack;
	struct fixture fx;
	u64 top;

	(void)state;
	m_begin(&fx);
	fx_mmap(&fx, 0, 2, PROT_READ);
	fx_mmap(&fx, 3, 4, PROT_READ);
	assert_int_equal(sys_mprotect(&fx.cx, FX_BASE + 1, 4096, RW), -EINVAL);
	assert_int_equal(sys_mprotect(&fx.cx, FX_BASE, 0, RW), 0);
	assert_int_equal(sys_mprotect(&fx.cx, FX_BASE, ~(u64)0xfff, RW), -ENOMEM);
	assert_int_equal(fx_mprotect(&fx, 0, 2, 0x10), -EINVAL);
	assert_int_equal(fx_mprotect(&fx, 0, 2, RW | PROT_GROWSDOWN | PROT_GROWSUP), -EINVAL);
	assert_int_equal(fx_mprotect(&fx, 0, 2, RW | PROT_GROWSDOWN), -EINVAL);
	assert_int_equal(fx_mprotect(&fx, 0, 2, RW | PROT_GROWSUP), -EINVAL);
	assert_int_equal(fx_mprotect(&fx, 2, 4, RW), -ENOMEM);
	fx_expect(&fx, "0-2 3-4");
	assert_int_equal(fx.m->vm_committed_as, fx.cx.curr->mm->stack_vm);

	/* The part before a hole is changed. */
	assert_int_equal(fx_mprotect(&fx, 0, 4, RW), -ENOMEM);
	assert_true(fx_vma(&fx, 0)->vm_flags & VM_WRITE);
	assert_false(fx_vma(&fx, 3)->vm_flags & VM_WRITE);

	/* From the middle of a stack down to its start. */
	stack = find_vma(&fx.cx, fx.cx.curr->mm, fx.m->geo.stack_top - 1);
	top = stack->vm_end;
	assert_true(stack->vm_flags & VM_GROWSDOWN);
	assert_int_equal(sys_mprotect(&fx.cx, top - PAGE_SIZE, PAGE_SIZE,
				      RW | PROT_EXEC | PROT_GROWSDOWN),
			 0);
	assert_true(find_vma(&fx.cx, fx.cx.curr->mm, top - 1) == stack);
	assert_true(stack->vm_flags & VM_EXEC);
	m_end(&fx, "0-2 3-4");
}

/* Pages that are mapped already obey at once. */
static void test_mprotect_pages(void **state)
{
	struct fixture fx;
	u64 tag = 9;

	(void)state;
	m_begin(&fx);
	fx_mmap(&fx, 0, 4, RW);
	for (u64 i = 0; i < 4; i++)
		fx_write(&fx, i, i + 1);
	assert_int_equal(fx_mprotect(&fx, 1, 3, PROT_READ), 0);
	assert_int_equal(access_user(&fx.cx, fx_addr(1), true, &tag), ACCESS_SIGSEGV);
	assert_int_equal(fx_read(&fx, 1), 2);
	fx_write(&fx, 0, 1);
	assert_int_equal(fx_mprotect(&fx, 1, 3, PROT_NONE), 0);
	assert_int_equal(access_user(&fx.cx, fx_addr(2), false, &tag), ACCESS_SIGSEGV);
	assert_int_equal(tag, 9);
	assert_int_equal(fx_mprotect(&fx, 1, 3, RW), 0);
	fx_write(&fx, 1, 7);
	assert_int_equal(fx_read(&fx, 1), 7);
	assert_int_equal(fx_read(&fx, 2), 3);
	m_end(&fx, "0-4");
}

/* A refused split gives the charge back; what was cut first stays cut. */
static void test_mprotect_unwind(void **state)
{
	static const enum fl_site sites[] = {SITE_mprotect_acct, SITE_split_vma_vma};
	struct fixture fx;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(sites); i++) {
		m_begin(&fx);
		fx_mmap(&fx, 0, 6, PROT_READ);
		fx.fail[sites[i]] = true;
		assert_int_equal(fx_mprotect(&fx, 2, 4, RW), -ENOMEM);
		assert_int_equal(fx.refused, 1);
		memset(fx.fail, 0, sizeof(fx.fail));
		fx_expect(&fx, "0-6");
		assert_int_equal(fx_mprotect(&fx, 2, 4, RW), 0);
		m_end(&fx, "0-2 2-4 4-6");
	}
}

static void test_mmap_unwind(void **state)
{
	static const enum fl_site sites[] = {SITE_mmap_region_acct, SITE_mmap_region_vma};
	struct fixture fx;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(sites); i++) {
		m_begin(&fx);
		fx_mmap(&fx, 0, 6, PROT_READ);
		fx.fail[sites[i]] = true;
		/* A fixed mapping has unmapped what was there: a hole, and nothing else. */
		assert_int_equal(fx_mmap_flags(&fx, 2, 4, RW, 0), -ENOMEM);
		memset(fx.fail, 0, sizeof(fx.fail));
		m_end(&fx, "0-2 4-6");
	}
}

/* ---- brk ------------------------------------------------------------------------------------ */

static void test_brk(void **state)
{
	static const enum fl_site sites[] = {SITE_do_brk_acct, SITE_do_brk_vma};
	const u64 p = PAGE_SIZE;
	struct fixture fx;
	s64 committed;

	(void)state;
	m_begin(&fx);
	committed = fx.m->vm_committed_as;
	assert_int_equal(sys_brk(&fx.cx, 0), FX_BRK);
	for (unsigned int i = 0; i < ARRAY_SIZE(sites); i++) {
		fx.fail[sites[i]] = true;
		assert_int_equal(sys_brk(&fx.cx, FX_BRK + 3 * p), FX_BRK);
		fx.fail[sites[i]] = false;
		assert_int_equal(fx.m->vm_committed_as, committed);
	}
	assert_int_equal(sys_brk(&fx.cx, FX_BRK + 3 * p - 5), FX_BRK + 3 * p - 5);
	assert_int_equal(fx.m->vm_committed_as, committed + 3);
	assert_int_equal(sys_brk(&fx.cx, FX_BRK + 3 * p), FX_BRK + 3 * p); /* same page */
	assert_int_equal(sys_brk(&fx.cx, FX_BRK - 1), FX_BRK + 3 * p);	   /* below the start */
	assert_int_equal(sys_brk(&fx.cx, ~(u64)0), FX_BRK + 3 * p);
	assert_int_equal(sys_brk(&fx.cx, FX_BRK + p), FX_BRK + p);
	fx_check(&fx);
	assert_int_equal(fx.m->vm_committed_as, committed + 1);

	/* One page stays free below a neighbour. */
	assert_int_equal(sys_mmap(&fx.cx, FX_BRK + 4 * p, p, RW,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 FX_BRK + 4 * p);
	assert_int_equal(sys_brk(&fx.cx, FX_BRK + 4 * p), FX_BRK + p);
	assert_int_equal(sys_brk(&fx.cx, FX_BRK + 3 * p), FX_BRK + 3 * p);
	assert_int_equal(sys_brk(&fx.cx, FX_BRK), FX_BRK);
	m_end(&fx, "");

	/* Past the end of user space it is the range that is refused, not the charge. */
	fx_create(&fx, "overcommit=1");
	assert_int_equal(sys_munmap(&fx.cx, FX_BRK, fx.m->geo.task_size - FX_BRK), 0);
	assert_int_equal(sys_brk(&fx.cx, ~(u64)0), FX_BRK);
	assert_int_equal(sys_brk(&fx.cx, ~(u64)0 - PAGE_SIZE), FX_BRK);
	assert_int_equal(sys_brk(&fx.cx, fx.m->geo.task_size + p), FX_BRK);
	m_end(&fx, "");
}

/* ---- commit accounting (facts §9.1) --------------------------------------------------------- */

static void test_overcommit(void **state)
{
	struct fixture fx;
	s64 before;

	(void)state;
	fx_create(&fx, "mem=4096 overcommit=0");
	before = fx.m->vm_committed_as;
	assert_int_equal(fx_mmap_flags(&fx, 0, 4096, RW, 0), -ENOMEM);
	assert_int_equal(fx.m->vm_committed_as, before);
	assert_int_equal(fx_mmap_flags(&fx, 0, 4096, RW, MAP_NORESERVE), 0);
	assert_int_equal(fx_mmap_flags(&fx, 0, 4096, PROT_READ, 0), 0);
	assert_int_equal(fx.m->vm_committed_as, before);
	/* A guess looks at one request at a time. */
	assert_int_equal(fx_mmap_flags(&fx, 4096, 4096 + 3000, RW, 0), 0);
	assert_int_equal(fx_mmap_flags(&fx, 8192, 8192 + 3000, RW, 0), 0);
	fx_check(&fx);
	fx_destroy(&fx);

	fx_create(&fx, "mem=4096 overcommit=1");
	assert_int_equal(fx_mmap_flags(&fx, 0, 8192, RW, 0), 0);
	fx_check(&fx);
	fx_destroy(&fx);

	/* Half of memory, less two reserves of at most 1/32 each. */
	fx_create(&fx, "mem=4096 overcommit=2 overcommit_ratio=50");
	assert_int_equal(fx_mmap_flags(&fx, 0, 2048, RW, MAP_NORESERVE), -ENOMEM);
	assert_int_equal(fx_mmap_flags(&fx, 0, 1500, RW, 0), 0);
	assert_int_equal(fx_mmap_flags(&fx, 2048, 2048 + 500, RW, 0), -ENOMEM);
	fx_check(&fx);
	fx_destroy(&fx);
}

/* ---- placement (facts §7.16, §21) ----------------------------------------------------------- */

static bool range_free(const struct mm_struct *mm, u64 start, u64 end)
{
	for (const struct vm_area_struct *v = mm->mmap; v; v = v->vm_next)
		if (v->vm_start < end && start < v->vm_end)
			return false;
	return true;
}

/* Page by page from the top, or from the bottom. */
static u64 linear_search(const struct mm_struct *mm, u64 len, u64 low, u64 high, bool topdown)
{
	for (u64 off = 0; low + len + off <= high; off += PAGE_SIZE) {
		u64 at = topdown ? high - len - off : low + off;

		if (range_free(mm, at, at + len))
			return at;
	}
	return (u64)-ENOMEM;
}

static void test_placement(void **state)
{
	struct mm_struct *mm;
	struct fixture fx;
	u64 end;

	(void)state;
	m_begin(&fx);
	mm = fx.cx.curr->mm;
	end = fx.m->geo.task_size;
	fx.seed = 11;
	/* Bottom-up reaches the stack too; so the window's upper part is made the only room. */
	mm->mmap_base = fx_addr(64);
	mm->mmap_legacy_base = fx_addr(96);
	assert_int_equal(sys_mmap(&fx.cx, PAGE_SIZE, FX_BASE - PAGE_SIZE, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 PAGE_SIZE);
	assert_int_equal(sys_mmap(&fx.cx, fx_addr(128), 0x80000000u, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 fx_addr(128));
	for (unsigned int turn = 0; turn < 3000; turn++) {
		u64 at = fx_random(&fx, 124);
		u64 len, want, got, hint;

		if (fx_random(&fx, 2))
			fx_mmap(&fx, at, at + fx_random(&fx, 4) + 1,
				fx_random(&fx, 2) ? RW : PROT_READ);
		else
			assert_int_equal(
				fx_munmap(&fx, at, min_u64(at + fx_random(&fx, 8) + 1, 128)), 0);

		len = (1 + fx_random(&fx, 12)) * PAGE_SIZE;
		want = linear_search(mm, len, FX_BASE, fx_addr(64), true);
		if (IS_ERR_VALUE(want))
			want = linear_search(mm, len, fx_addr(96), fx_addr(128), false);
		got = get_unmapped_area(&fx.cx, mm, 0, len, 0);
		if (!IS_ERR_VALUE(want) || got < fx_addr(128))
			assert_int_equal(got, want);

		hint = fx_addr(fx_random(&fx, 120));
		got = get_unmapped_area(&fx.cx, mm, hint, len, 0);
		if (range_free(mm, hint, hint + len))
			assert_int_equal(got, hint);
		else if (!IS_ERR_VALUE(want))
			assert_int_equal(got, want);
	}
	fx_check(&fx);
	assert_int_equal((s64)get_unmapped_area(&fx.cx, mm, 0, end + 1, 0), -ENOMEM);
	assert_int_equal((s64)get_unmapped_area(&fx.cx, mm, 0, end - PAGE_SIZE, 0), -ENOMEM);
	fx_destroy(&fx);
}

/* The searches do not walk through holes that lie beyond their limits. */
static void test_placement_steps(void **state)
{
	const u64 n = 2000;
	struct mm_struct *mm;
	struct fixture fx;
	u64 steps, got;

	(void)state;
	m_begin(&fx);
	mm = fx.cx.curr->mm;
	for (u64 i = 0; i < n; i++)
		fx_mmap(&fx, 4 * i, 4 * i + 1, PROT_READ);
	for (u64 at = 16; at < 4 * n; at += 64) {
		mm->mmap_base = fx_addr(at + 3);
		mm->mmap_legacy_base = fx_addr(at + 2);
		steps = fx.cx.steps;
		got = get_unmapped_area(&fx.cx, mm, 0, 3 * PAGE_SIZE, 0);
		assert_int_equal(got, fx_addr(at - 3));
		assert_true(steps - fx.cx.steps < 100);
	}
	/* Nothing at all below: the search from the bottom up begins behind most of the holes. */
	mm->mmap_base = 0;
	mm->mmap_legacy_base = fx_addr(4 * n - 7);
	steps = fx.cx.steps;
	got = get_unmapped_area(&fx.cx, mm, 0, 3 * PAGE_SIZE, 0);
	assert_int_equal(got, fx_addr(4 * n - 7));
	assert_true(steps - fx.cx.steps < 100);
	fx_check(&fx);
	fx_destroy(&fx);
}

/* ---- lookup cache (facts §7.2) -------------------------------------------------------------- */

static void test_vmacache_wrap(void **state)
{
	struct vm_area_struct *stale;
	struct task_struct *other = NULL;
	struct fixture fx;

	(void)state;
	fx_create(&fx, "seqnum_bits=2");
	fx_mmap(&fx, 0, 1, RW);
	fx_mmap(&fx, 2, 3, PROT_READ);
	assert_int_equal(do_fork(&fx.cx, CLONE_VM, &other), 0);

	/* The other one looks something up and then sleeps for a whole round of numbers. */
	fx_run(&fx, other);
	stale = fx_vma(&fx, 0);
	assert_non_null(stale);
	assert_ptr_equal(vmacache_find(&fx.cx, other->mm, fx_addr(0)), stale);
	fx_run(&fx, fx.init);
	for (u64 i = 0; i < 4; i++) {
		assert_int_equal(fx_munmap(&fx, 0, 1), 0);
		if (i < 3)
			fx_mmap(&fx, 0, 1, RW);
	}
	assert_int_equal(other->vmacache_seqnum, other->mm->vmacache_seqnum);
	for (unsigned int i = 0; i < VMACACHE_SIZE; i++)
		assert_null(other->vmacache[i]);
	fx_run(&fx, other);
	assert_null(fx_vma(&fx, 0));
	fx_exit(&fx, other);

	/* The same with a single user (B-05). */
	fx_run(&fx, fx.init);
	assert_non_null(fx_vma(&fx, 2));
	for (unsigned int i = 0; i < 4; i++)
		vmacache_invalidate(&fx.cx, fx.init->mm);
	for (unsigned int i = 0; i < VMACACHE_SIZE; i++)
		assert_null(fx.init->vmacache[i]);
	fx_destroy(&fx);
}

static void test_lookup(void **state)
{
	struct vm_area_struct *prev, *vma;
	struct mm_struct *mm;
	struct fixture fx;

	(void)state;
	m_begin(&fx);
	mm = fx.cx.curr->mm;
	fx_mmap(&fx, 2, 4, RW);
	fx_mmap(&fx, 6, 8, PROT_READ);
	vma = find_vma(&fx.cx, mm, fx_addr(4));
	assert_int_equal(vma->vm_start, fx_addr(6));
	assert_ptr_equal(find_vma_prev(&fx.cx, mm, fx_addr(4), &prev), vma);
	assert_int_equal(prev->vm_start, fx_addr(2));
	assert_null(find_vma_intersection(&fx.cx, mm, fx_addr(4), fx_addr(6)));
	assert_ptr_equal(find_vma_intersection(&fx.cx, mm, fx_addr(4), fx_addr(6) + 1), vma);
	assert_null(find_vma_prev(&fx.cx, mm, fx.m->geo.stack_top, &prev));
	assert_int_equal(prev->vm_end, fx.m->geo.stack_top);
	fx_destroy(&fx);
}

/* ---- everything at once --------------------------------------------------------------------- */

#define PAGES 48u

struct page_model {
	bool mapped;
	u32 prot;
	u64 tag;
};

/* Page by page: what is mapped, how, and what it holds. */
static void check_pages(struct fixture *fx, const struct page_model *model)
{
	for (u64 i = 0; i < PAGES; i++) {
		const struct vm_area_struct *vma = fx_vma(fx, i);

		assert_int_equal(vma != NULL, model[i].mapped);
		if (!vma)
			continue;
		assert_int_equal(vma->vm_flags & VM_ACCESS_FLAGS, model[i].prot);
		if (!fx->random_fail && (model[i].prot & PROT_READ))
			assert_int_equal(fx_read(fx, i), model[i].tag);
	}
}

static void reload(struct fixture *fx, struct page_model *model, u64 from, u64 to)
{
	for (u64 i = from; i < to; i++) {
		const struct vm_area_struct *vma = fx_vma(fx, i);

		if (!vma)
			model[i] = (struct page_model){0};
		else
			model[i].prot = vma->vm_flags & VM_ACCESS_FLAGS;
	}
}

static void random_op(struct fixture *fx, struct page_model *model, u64 turn)
{
	static const u32 prots[] = {PROT_NONE, PROT_READ, RW, RW};
	u64 from = fx_random(fx, PAGES), to = from + 1 + fx_random(fx, min_u64(8, PAGES - from));
	u32 prot = prots[fx_random(fx, ARRAY_SIZE(prots))];
	u64 refused = fx->refused, tag = turn;
	s64 ret;

	switch (fx_random(fx, 5)) {
	case 0:
		ret = fx_mmap_flags(fx, from, to, prot, 0);
		if (ret)
			reload(fx, model, from, to);
		for (u64 i = from; i < to && !ret; i++)
			model[i] = (struct page_model){.mapped = true, .prot = prot};
		break;
	case 1:
		ret = fx_munmap(fx, from, to);
		for (u64 i = from; i < to && !ret; i++)
			model[i] = (struct page_model){0};
		break;
	case 2:
		ret = fx_mprotect(fx, from, to, prot);
		if (ret)
			reload(fx, model, from, to);
		for (u64 i = from; i < to && !ret; i++)
			model[i].prot = prot;
		/* A hole is a reason of its own, at the hole. */
		for (u64 i = from; i < to && ret; i++)
			if (!model[i].mapped)
				ret = 0;
		break;
	default:
		if (!model[from].mapped || !(model[from].prot & PROT_WRITE))
			return;
		ret = access_user(&fx->cx, fx_addr(from), true, &tag) == ACCESS_OK ? 0 : -ENOMEM;
		if (!ret)
			model[from].tag = tag;
		break;
	}
	if (ret)
		assert_true(fx->refused > refused || fx->cx.curr->mm->map_count >= 32);
}

static void random_run(const char *options, u64 seed, u64 fail_one_in)
{
	struct page_model models[2][PAGES] = {0};
	struct task_struct *tasks[2];
	struct fixture fx;

	fx_create(&fx, options);
	fx.seed = seed;
	tasks[0] = fx.init;
	tasks[1] = fx_fork(&fx);
	for (u64 turn = 1; turn < 3000; turn++) {
		unsigned int who = (unsigned int)fx_random(&fx, 2);

		fx_run(&fx, tasks[who]);
		if (fx_random(&fx, 100) == 0) {
			unsigned int other = !who;

			/* The other one becomes a copy of this one. */
			fx_exit(&fx, tasks[other]);
			fx_run(&fx, tasks[who]);
			tasks[other] = fx_fork(&fx);
			memcpy(models[other], models[who], sizeof(models[0]));
			continue;
		}
		fx.random_fail = fail_one_in;
		random_op(&fx, models[who], turn);
		fx.random_fail = 0;
		fx_check(&fx);
		if (turn % 32 == 0) {
			check_pages(&fx, models[who]);
			fx_run(&fx, tasks[!who]);
			check_pages(&fx, models[!who]);
		}
	}
	fx_destroy(&fx);
}

static void test_random(void **state)
{
	(void)state;
	random_run("max_map_count=32", 1, 0);
	random_run("max_map_count=32", 2, 7);
	random_run("max_map_count=32 levels=3", 3, 5);
	random_run("max_map_count=32 levels=3 kernel_pmd=shared seqnum_bits=2", 4, 9);
	random_run("max_map_count=32 seqnum_bits=3 ptl_objects=1", 5, 3);
}

/* ---- the lock rule -------------------------------------------------------------------------- */

static void test_lock_rule(void **state)
{
	struct fixture fx;

	(void)state;
	m_begin(&fx);
	fx.expect_bug = true;
	if (!setjmp(fx.bug_jmp)) {
		do_munmap(&fx.cx, fx.cx.curr->mm, FX_BASE, PAGE_SIZE);
		fail_msg("a munmap without mmap_sem went unseen");
	}
	assert_int_equal(fx.bug_kind, FL_BUG_LOCK);
	if (!setjmp(fx.bug_jmp)) {
		up_write(&fx.cx, &fx.cx.curr->mm->mmap_sem);
		fail_msg("a lock dropped unheld went unseen");
	}
	down_read(&fx.cx, &fx.cx.curr->mm->mmap_sem);
	assert_int_equal(fx.m->locks_held, 1);
	if (!setjmp(fx.bug_jmp)) {
		down_write(&fx.cx, &fx.cx.curr->mm->mmap_sem);
		fail_msg("a writer over a reader went unseen");
	}
	up_read(&fx.cx, &fx.cx.curr->mm->mmap_sem);
	fx.cx.steps = 2;
	if (!setjmp(fx.bug_jmp)) {
		for (;;)
			(void)fx_vma(&fx, 0);
	}
	assert_int_equal(fx.bug_kind, FL_BUG_HANG);
	fx.cx.steps = ~(u64)0;
	fx.expect_bug = false;
	fx_destroy(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_m1_m2),
		cmocka_unit_test(test_m3_m4),
		cmocka_unit_test(test_m5_to_m9),
		cmocka_unit_test(test_m10_to_m14),
		cmocka_unit_test(test_m17),
		cmocka_unit_test(test_m19),
		cmocka_unit_test(test_m20_to_m23),
		cmocka_unit_test(test_m24),
		cmocka_unit_test(test_case6_import_fails),
		cmocka_unit_test(test_boundary_moves),
		cmocka_unit_test(test_split_file),
		cmocka_unit_test(test_mmap_errno),
		cmocka_unit_test(test_hook_failure),
		cmocka_unit_test(test_denywrite),
		cmocka_unit_test(test_munmap_errno),
		cmocka_unit_test(test_map_count),
		cmocka_unit_test(test_mprotect_errno),
		cmocka_unit_test(test_mprotect_pages),
		cmocka_unit_test(test_mprotect_unwind),
		cmocka_unit_test(test_mmap_unwind),
		cmocka_unit_test(test_brk),
		cmocka_unit_test(test_overcommit),
		cmocka_unit_test(test_placement),
		cmocka_unit_test(test_placement_steps),
		cmocka_unit_test(test_vmacache_wrap),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_lock_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
