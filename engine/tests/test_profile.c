/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What user space sees of two kernels: the merge table of facts §15.4 and the calls of §15.3 and
 * §15.5. What of them is missing stands in a table of its own (missing).
 */
#include <faultline/check.h>

#include "mm_fixture.h"

enum {
	OLD,
	NEW,
	NR_PROFILES
};

static const char *const profiles[] = {
	[OLD] = "profile=linux-4.4",
	[NEW] = "profile=linux-6.18",
};

#define RWX (PROT_READ | PROT_WRITE | PROT_EXEC)

/* Pages of the window: A = [0, 2), B = [2, 4), C = [4, 6). */
static void map(struct fixture *fx, u64 from, u64 to, u32 prot)
{
	fx_mmap(fx, from, to, prot);
}

static void touch(struct fixture *fx, u64 from, u64 to)
{
	for (; from < to; from++)
		fx_write(fx, from, from);
}

static void protect(struct fixture *fx, u64 from, u64 to, u32 prot)
{
	assert_int_equal(fx_mprotect(fx, from, to, prot), 0);
}

static s64 mremap(struct fixture *fx, u64 from, u64 old_pages, u64 new_pages, u64 to)
{
	return sys_mremap(&fx->cx, fx_addr(from), old_pages * PAGE_SIZE, new_pages * PAGE_SIZE,
			  to ? MREMAP_MAYMOVE | MREMAP_FIXED : 0, to ? fx_addr(to) : 0);
}

static void move(struct fixture *fx, u64 from, u64 pages, u64 to)
{
	assert_int_equal(mremap(fx, from, pages, pages, to), fx_addr(to));
}

static unsigned int lines(const struct fixture *fx, u64 start, u64 end)
{
	unsigned int n = 0;

	for (const struct vm_area_struct *v = fx->cx.curr->mm->mmap; v; v = v->vm_next)
		n += v->vm_start < end && v->vm_end > start;
	return n;
}

static unsigned int window(const struct fixture *fx)
{
	return lines(fx, FX_BASE, fx_addr(1024));
}

/* ---- merging -------------------------------------------------------------------------------- */

static void m1(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	map(fx, 2, 4, RW);
}

static void m2(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	touch(fx, 0, 1);
	map(fx, 2, 4, RW);
}

static void m2_other_side(struct fixture *fx)
{
	map(fx, 2, 4, RW);
	touch(fx, 2, 3);
	map(fx, 0, 2, RW);
}

static void m3(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	touch(fx, 0, 1);
	map(fx, 4, 6, RWX); /* not a neighbour whose anon_vma could be shared */
	touch(fx, 4, 5);
	protect(fx, 4, 6, RW);
	map(fx, 2, 4, RW);
}

static void m4(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	map(fx, 4, 6, RW);
	touch(fx, 4, 5);
	map(fx, 2, 4, RW);
}

static void m5(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	touch(fx, 0, 1);
	map(fx, 2, 4, PROT_READ);
	protect(fx, 2, 4, RW);
}

static void m6(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	map(fx, 2, 4, RWX);
	touch(fx, 2, 3);
	protect(fx, 2, 4, RW);
}

static void m7(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	map(fx, 2, 4, RWX);
	map(fx, 4, 6, RW);
	touch(fx, 2, 3);
	protect(fx, 2, 4, RW);
}

static void m8(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	map(fx, 2, 4, RWX);
	touch(fx, 2, 4);
	protect(fx, 2, 3, RW);
}

static void m9(struct fixture *fx)
{
	map(fx, 0, 2, RWX);
	map(fx, 2, 4, RW);
	touch(fx, 0, 2);
	protect(fx, 1, 2, RW);
}

static void m10(struct fixture *fx)
{
	map(fx, 0, 6, RW);
	touch(fx, 0, 6);
	protect(fx, 2, 4, PROT_READ);
	assert_int_equal(window(fx), 3);
	protect(fx, 2, 4, RW);
}

static void m11(struct fixture *fx)
{
	map(fx, 0, 2, PROT_READ);
	map(fx, 2, 4, RW);
	protect(fx, 2, 4, PROT_READ);
}

static void m12(struct fixture *fx)
{
	map(fx, 0, 2, PROT_READ);
	map(fx, 2, 4, RW);
	touch(fx, 2, 3);
	protect(fx, 2, 4, PROT_READ);
}

static void m13(struct fixture *fx)
{
	map(fx, 0, 2, PROT_READ);
	protect(fx, 0, 2, RW);
	protect(fx, 0, 2, PROT_READ);
	map(fx, 2, 4, PROT_READ);
}

static void m14(struct fixture *fx)
{
	map(fx, 0, 2, PROT_NONE);
	assert_int_equal(fx_mmap_flags(fx, 2, 4, PROT_NONE, MAP_NORESERVE), 0);
}

static s64 advise(struct fixture *fx, u64 from, u64 to, u32 advice)
{
	return sys_madvise(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE, advice);
}

static void m15(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	assert_int_equal(advise(fx, 0, 2, MADV_DONTFORK), 0);
	map(fx, 2, 4, RW);
}

static void m15_undone(struct fixture *fx)
{
	m15(fx);
	assert_int_equal(window(fx), 2);
	assert_int_equal(advise(fx, 0, 2, MADV_DOFORK), 0);
}

static void m16_advice(struct fixture *fx)
{
	map(fx, 0, 6, RW);
	touch(fx, 0, 6);
	assert_int_equal(advise(fx, 2, 4, MADV_SEQUENTIAL), 0);
	assert_int_equal(window(fx), 3);
	assert_int_equal(advise(fx, 2, 4, MADV_NORMAL), 0);
}

/* What the lock brings in gives the middle pages of its own, and the sides none. */
static void m16_by_the_lock(struct fixture *fx)
{
	map(fx, 0, 6, RW);
	assert_int_equal(sys_mlock(&fx->cx, fx_addr(2), 2 * PAGE_SIZE), 0);
	assert_int_equal(window(fx), 3);
	assert_int_equal(sys_munlock(&fx->cx, fx_addr(2), 2 * PAGE_SIZE), 0);
}

static void m16(struct fixture *fx)
{
	map(fx, 0, 6, RW);
	touch(fx, 0, 6);
	assert_int_equal(sys_mlock(&fx->cx, fx_addr(2), 2 * PAGE_SIZE), 0);
	assert_int_equal(window(fx), 3);
	assert_int_equal(sys_munlock(&fx->cx, fx_addr(2), 2 * PAGE_SIZE), 0);
}

static void m17(struct fixture *fx)
{
	map(fx, 0, 6, RW);
	touch(fx, 0, 6);
	assert_int_equal(fx_munmap(fx, 2, 4), 0);
	map(fx, 2, 4, RW);
}

static void map_shared(struct fixture *fx, u64 from, u64 to, struct file *file, u64 pgoff)
{
	u32 anon = file ? 0 : MAP_ANONYMOUS;

	assert_int_equal(sys_mmap(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE, PROT_READ,
				  MAP_SHARED | MAP_FIXED | anon, file, pgoff * PAGE_SIZE),
			 fx_addr(from));
}

static void m18(struct fixture *fx)
{
	map_shared(fx, 0, 2, NULL, 0);
	map_shared(fx, 2, 4, NULL, 0);
}

static void m19(struct fixture *fx)
{
	struct file *file = file_create(&fx->cx, 16, FMODE_READ);

	map_shared(fx, 0, 2, file, 3);
	map_shared(fx, 2, 4, file, 5);
	assert_int_equal(window(fx), 1);
	map_shared(fx, 4, 6, file, 9);
	file_close(&fx->cx, file);
	file = file_create(&fx->cx, 16, FMODE_READ);
	map_shared(fx, 6, 8, file, 11);
	file_close(&fx->cx, file);
}

static void m20(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	touch(fx, 0, 1);
	fx_run(fx, fx_fork(fx));
	map(fx, 2, 4, RW);
	map(fx, 4, 6, RW);
}

static void m21(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	touch(fx, 0, 1);
	fx_fork(fx);
	map(fx, 2, 4, RW);
}

static void m22(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	fx_run(fx, fx_fork(fx));
	map(fx, 2, 4, RW);
}

static void m23(struct fixture *fx)
{
	map(fx, 0, 4, RW);
	touch(fx, 0, 4);
	fx_run(fx, fx_fork(fx));
	protect(fx, 1, 3, PROT_READ);
	assert_int_equal(window(fx), 3);
	protect(fx, 1, 3, RW);
}

static void grow_heap(struct fixture *fx, u64 pages)
{
	u64 brk = fx->cx.curr->mm->brk + pages * PAGE_SIZE;

	assert_int_equal(sys_brk(&fx->cx, brk), brk);
}

/* Of a heap that was written to before the fork: one line in the parent, two in the child. */
static void m24(struct fixture *fx)
{
	struct task_struct *child;
	u64 tag = 1;

	grow_heap(fx, 2);
	assert_int_equal(access_user(&fx->cx, FX_BRK, true, &tag), ACCESS_OK);
	child = fx_fork(fx);
	grow_heap(fx, 2);
	assert_int_equal(lines(fx, FX_BRK, FX_BASE), 1);
	fx_run(fx, child);
	grow_heap(fx, 2);
	assert_int_equal(lines(fx, FX_BRK, FX_BASE), 2);
}

static void m25(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	map(fx, 4, 6, RW);
	assert_int_equal(mremap(fx, 0, 2, 4, 0), fx_addr(0));
}

static void m25_faulted(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	touch(fx, 0, 1);
	map(fx, 4, 6, RW);
	touch(fx, 4, 5);
	assert_int_equal(mremap(fx, 0, 2, 4, 0), fx_addr(0));
}

static void m26(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	map(fx, 10, 12, RW);
	move(fx, 10, 2, 2);
}

static void m26_faulted(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	map(fx, 10, 12, RW);
	touch(fx, 10, 11);
	move(fx, 10, 2, 2);
}

static void m27(struct fixture *fx)
{
	map(fx, 0, 6, RW);
	touch(fx, 0, 6);
	move(fx, 2, 2, 20);
	assert_int_equal(window(fx), 3);
	move(fx, 20, 2, 2);
}

static void m28(struct fixture *fx)
{
	map(fx, 0, 4, RW);
	move(fx, 0, 2, 4);
	assert_null(fx_vma(fx, 1));
	assert_non_null(fx_vma(fx, 2));
}

static void m31(struct fixture *fx)
{
	assert_int_equal(fx_mmap_flags(fx, 2, 4, RW, MAP_GROWSDOWN), 0);
	assert_int_equal(fx_mmap_flags(fx, 0, 2, RW, MAP_GROWSDOWN), 0);
}

static void m31_faulted(struct fixture *fx)
{
	assert_int_equal(fx_mmap_flags(fx, 4, 6, RW, MAP_GROWSDOWN), 0);
	touch(fx, 4, 5);
	assert_int_equal(fx_mmap_flags(fx, 10, 12, RW, MAP_GROWSDOWN), 0);
	touch(fx, 10, 11);
	move(fx, 10, 2, 2);
}

static const struct {
	const char *name;
	void (*run)(struct fixture *fx);
	unsigned int lines[NR_PROFILES];
} merges[] = {
	{"M1", m1, {1, 1}},
	{"M2", m2, {1, 1}},
	{"M2 other side", m2_other_side, {1, 1}},
	{"M3", m3, {2, 2}},
	{"M4", m4, {1, 1}},
	{"M5", m5, {1, 1}},
	{"M6", m6, {2, 1}},
	{"M7", m7, {3, 1}},
	{"M8", m8, {3, 2}},
	{"M9", m9, {3, 2}},
	{"M10", m10, {1, 1}},
	{"M11", m11, {2, 1}},
	{"M12", m12, {2, 2}},
	{"M13", m13, {2, 1}},
	{"M14", m14, {2, 2}},
	{"M15", m15, {2, 2}},
	{"M15 undone", m15_undone, {1, 1}},
	{"M16", m16, {1, 1}},
	{"M16 SEQUENTIAL", m16_advice, {1, 1}},
	{"M16 untouched", m16_by_the_lock, {3, 1}},
	{"M17", m17, {1, 1}},
	{"M18", m18, {2, 2}},
	{"M19", m19, {3, 3}},
	{"M20", m20, {2, 2}},
	{"M21", m21, {1, 1}},
	{"M22", m22, {1, 1}},
	{"M23", m23, {1, 1}},
	{"M24", m24, {0, 0}},
	{"M25", m25, {2, 1}},
	{"M25 both faulted", m25_faulted, {2, 2}},
	{"M26", m26, {1, 1}},
	{"M26 faulted", m26_faulted, {2, 2}},
	{"M27", m27, {1, 1}},
	{"M28", m28, {1, 1}},
	{"M31", m31, {1, 1}},
	{"M31 faulted apart", m31_faulted, {2, 2}},
};

static void merge_table(void **state)
{
	unsigned int wrong = 0;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(merges); i++) {
		for (unsigned int p = 0; p < NR_PROFILES; p++) {
			struct fixture fx;
			unsigned int n;

			fx_create(&fx, profiles[p]);
			merges[i].run(&fx);
			n = window(&fx);
			if (n != merges[i].lines[p]) {
				print_error("%s, %s: %u VMAs, not %u\n", merges[i].name,
					    profiles[p], n, merges[i].lines[p]);
				wrong++;
			}
			assert_int_equal(fl_check_machine(fx.m, NULL, NULL, NULL), 0);
			fx_destroy(&fx);
		}
	}
	assert_int_equal(wrong, 0);
}

/* Where a chain cannot be had the ranges stay apart, and nothing else is different. */
static void merge_that_fails(void **state)
{
	static void (*const rows[])(struct fixture *) = {m6, m7, m8, m9};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fixture fx;

		fx_create(&fx, profiles[NEW]);
		fx.fail[SITE_anon_vma_clone_nowait] = true;
		fx.fail[SITE_anon_vma_clone_avc] = true;
		map(&fx, 0, 2, i == 3 ? RWX : RW);
		map(&fx, 2, 4, i == 3 ? RW : RWX);
		touch(&fx, i == 3 ? 0 : 2, i == 3 ? 2 : 4);
		if (i < 2)
			protect(&fx, 2, 4, RW);
		assert_int_equal(window(&fx), 2);
		assert_int_equal(fl_check_machine(fx.m, NULL, NULL, NULL), 0);
		fx_destroy(&fx);
	}
}

/* ---- calls ---------------------------------------------------------------------------------- */

static s64 mmap_at(struct fixture *fx, u64 page, u64 pages, u32 prot, u32 flags, struct file *file)
{
	s64 ret = sys_mmap(&fx->cx, fx_addr(page), pages * PAGE_SIZE, prot, flags, file, 0);

	return ret == (s64)fx_addr(page) ? 0 : ret;
}

static s64 type_3_anon(struct fixture *fx)
{
	return mmap_at(fx, 0, 1, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS | MAP_FIXED, NULL);
}

static s64 with_file(struct fixture *fx, u32 flags)
{
	struct file *file = file_create(&fx->cx, 4, FMODE_READ);
	s64 ret = mmap_at(fx, 0, 1, PROT_READ, flags | MAP_FIXED, file);

	file_close(&fx->cx, file);
	return ret;
}

static s64 type_3_file(struct fixture *fx)
{
	return with_file(fx, MAP_SHARED_VALIDATE);
}

static s64 type_3_unknown_flag(struct fixture *fx)
{
	return with_file(fx, MAP_SHARED_VALIDATE | 0x40000000u);
}

static s64 shared_unknown_flag(struct fixture *fx)
{
	return with_file(fx, MAP_SHARED | 0x40000000u);
}

/* 1: mapped, but elsewhere. */
static s64 noreplace_taken(struct fixture *fx)
{
	s64 ret;

	map(fx, 1, 2, RW);
	ret = mmap_at(fx, 0, 2, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, NULL);
	return ret > 0 ? 1 : ret;
}

static s64 noreplace_free(struct fixture *fx)
{
	return mmap_at(fx, 0, 2, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, NULL);
}

static s64 offset_of(s64 ret, u64 page)
{
	return ret == (s64)fx_addr(page) ? 0 : ret > 0 ? 1 : ret;
}

static s64 mremap_same_unmapped(struct fixture *fx)
{
	return offset_of(mremap(fx, 0, 2, 2, 0), 0);
}

static s64 mremap_shrink_unmapped(struct fixture *fx)
{
	return offset_of(mremap(fx, 0, 2, 1, 0), 0);
}

static s64 mremap_shrink_mapped(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	return offset_of(mremap(fx, 0, 2, 1, 0), 0);
}

static s64 mremap_zero(struct fixture *fx)
{
	return offset_of(sys_mremap(&fx->cx, fx_addr(0), 0, PAGE_SIZE, MREMAP_MAYMOVE, 0), 0);
}

static s64 mremap_zero_private(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	return mremap_zero(fx);
}

static s64 mremap_zero_shared(struct fixture *fx)
{
	map_shared(fx, 0, 2, NULL, 0);
	return mremap_zero(fx);
}

static s64 mremap_too_long(struct fixture *fx)
{
	map(fx, 0, 2, PROT_READ);
	return sys_mremap(&fx->cx, fx_addr(0), 2 * PAGE_SIZE, fx->m->geo.task_size + PAGE_SIZE,
			  MREMAP_MAYMOVE, 0);
}

/* Whether the destination survives the refusal: 1 if so. */
static s64 mremap_fixed_at_limit(struct fixture *fx)
{
	map(fx, 0, 2, RW);
	map(fx, 10, 12, PROT_READ);
	fx->m->cfg.max_map_count = (u64)fx->cx.curr->mm->map_count;
	assert_int_equal(mremap(fx, 0, 2, 2, 10), -ENOMEM);
	return fx_vma(fx, 10) != NULL;
}

static s64 charge_of_untouched(struct fixture *fx)
{
	s64 before;

	map(fx, 0, 4, RW);
	before = fx->m->vm_committed_as;
	protect(fx, 0, 4, PROT_READ);
	return fx->m->vm_committed_as - before;
}

static s64 charge_of_touched(struct fixture *fx)
{
	s64 before;

	map(fx, 0, 4, RW);
	touch(fx, 0, 1);
	before = fx->m->vm_committed_as;
	protect(fx, 0, 4, PROT_READ);
	return fx->m->vm_committed_as - before;
}

static s64 mlock_twice(struct fixture *fx)
{
	fx->m->cfg.limit_memlock = 3;
	map(fx, 0, 2, RW);
	assert_int_equal(sys_mlock(&fx->cx, fx_addr(0), 2 * PAGE_SIZE), 0);
	return sys_mlock(&fx->cx, fx_addr(0), 2 * PAGE_SIZE);
}

static s64 mlock_over_limit(struct fixture *fx)
{
	fx->m->cfg.limit_memlock = 3;
	map(fx, 0, 4, RW);
	return sys_mlock(&fx->cx, fx_addr(0), 4 * PAGE_SIZE);
}

static s64 mlockall_onfault(struct fixture *fx)
{
	return sys_mlockall(&fx->cx, MCL_ONFAULT);
}

/* By how many pages the break moved. */
static s64 brk_shrink_unmapped(struct fixture *fx)
{
	u64 brk;

	grow_heap(fx, 4);
	brk = fx->cx.curr->mm->brk;
	assert_int_equal(sys_munmap(&fx->cx, brk - 2 * PAGE_SIZE, 2 * PAGE_SIZE), 0);
	return (s64)(brk - (u64)sys_brk(&fx->cx, brk - PAGE_SIZE)) >> PAGE_SHIFT;
}

static s64 brk_shrink_partly_mapped(struct fixture *fx)
{
	u64 brk;

	grow_heap(fx, 4);
	brk = fx->cx.curr->mm->brk;
	assert_int_equal(sys_munmap(&fx->cx, brk - 2 * PAGE_SIZE, 2 * PAGE_SIZE), 0);
	return (s64)(brk - (u64)sys_brk(&fx->cx, brk - 3 * PAGE_SIZE)) >> PAGE_SHIFT;
}

static s64 mmap_pages(struct fixture *fx, u64 pages)
{
	s64 ret = sys_mmap(&fx->cx, 0, pages * PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);

	return ret > 0 ? 0 : ret;
}

static s64 commit_all(struct fixture *fx)
{
	return mmap_pages(fx, fx->m->cfg.mem);
}

static s64 commit_more(struct fixture *fx)
{
	return mmap_pages(fx, fx->m->cfg.mem + 1);
}

/* 1: at a multiple of 2 MiB; a page above keeps that from happening by itself. */
static s64 aligned(struct fixture *fx, u64 len, u32 flags)
{
	s64 ret;

	assert_int_equal(mmap_pages(fx, 1), 0);
	ret = sys_mmap(&fx->cx, 0, len, PROT_READ, flags | MAP_ANONYMOUS, NULL, 0);
	assert_true(ret > 0);
	return !(ret & ((2 << 20) - 1));
}

static s64 aligned_private(struct fixture *fx)
{
	return aligned(fx, 4u << 20, MAP_PRIVATE);
}

static s64 aligned_odd(struct fixture *fx)
{
	return aligned(fx, 3u << 20, MAP_PRIVATE);
}

static s64 aligned_shared(struct fixture *fx)
{
	return aligned(fx, 4u << 20, MAP_SHARED);
}

static s64 munmap_nothing(struct fixture *fx)
{
	return fx_munmap(fx, 0, 0);
}

static s64 munmap_hole(struct fixture *fx)
{
	return fx_munmap(fx, 0, 4);
}

/* ---- MAP_FIXED over a mapping, and then something fails ---------------------------------------
 */

/* 1: what was there is there still; 0: a hole, or half of one. */
static s64 fixed_over(struct fixture *fx, enum fl_site site, u32 flags, struct file *file)
{
	s64 charge, ret;

	map(fx, 0, 4, RW);
	touch(fx, 1, 3);
	charge = fx->m->vm_committed_as;
	fx->fail[site] = true;
	ret = sys_mmap(&fx->cx, fx_addr(1), 2 * PAGE_SIZE, flags & MAP_SHARED ? RW : RWX,
		       flags | MAP_FIXED, file, 0);
	fx->fail[site] = false;
	assert_true(ret < 0);
	if (!fx_vma(fx, 1) && !fx_vma(fx, 2)) {
		assert_int_equal(fx->m->vm_committed_as, charge - 2);
		return 0;
	}
	assert_int_equal(fx_read(fx, 1), 1);
	assert_int_equal(fx_read(fx, 2), 2);
	assert_int_equal(fx->m->vm_committed_as, charge);
	return 1;
}

static s64 fixed_no_vma(struct fixture *fx)
{
	return fixed_over(fx, SITE_mmap_region_vma, MAP_PRIVATE | MAP_ANONYMOUS, NULL);
}

static s64 fixed_no_commit(struct fixture *fx)
{
	return fixed_over(fx, SITE_mmap_region_acct, MAP_PRIVATE | MAP_ANONYMOUS, NULL);
}

static s64 fixed_no_object(struct fixture *fx)
{
	return fixed_over(fx, SITE_shmem_file, MAP_SHARED | MAP_ANONYMOUS, NULL);
}

static s64 fixed_file(struct fixture *fx, enum fl_site site, bool sealed)
{
	struct file *file = file_create(&fx->cx, 4, FMODE_READ | FMODE_WRITE);
	s64 ret;

	if (sealed)
		assert_int_equal(sys_seal_write(&fx->cx, file), 0);
	ret = fixed_over(fx, site, MAP_SHARED, file);
	file_close(&fx->cx, file);
	return ret;
}

static s64 fixed_sealed(struct fixture *fx)
{
	return fixed_file(fx, SITE_none, true);
}

static s64 fixed_hook(struct fixture *fx)
{
	return fixed_file(fx, SITE_mmap_region_hook, false);
}

/* What is replaced pays for what replaces it: 0 at the limit of strict accounting. */
static s64 fixed_at_the_limit(struct fixture *fx)
{
	u64 n = 0;

	fx->m->cfg.overcommit = 2;
	while (!fx_mmap_flags(fx, n, n + 1, RW, 0))
		n++;
	assert_true(n > 4);
	return fx_mmap_flags(fx, 1, 3, RWX, 0);
}

/* ---- stacks --------------------------------------------------------------------------------- */

static s64 stack_access(struct fixture *fx, u64 page, u64 sp)
{
	u64 tag = 1;

	return access_user_sp(&fx->cx, fx_addr(page), sp, true, &tag);
}

static void map_stack(struct fixture *fx, u64 from, u64 to)
{
	assert_int_equal(fx_mmap_flags(fx, from, to, RW, MAP_GROWSDOWN), 0);
}

/* How long a stack of two pages can become, a guard page included. */
static s64 stack_limit(struct fixture *fx, u64 guard)
{
	u64 page = 998;

	fx->m->cfg.limit_stack = 64;
	fx->m->cfg.stack_guard = guard;
	map_stack(fx, 998, 1000);
	while (stack_access(fx, page - 1, 0) == ACCESS_OK)
		page--;
	return (s64)vma_pages(fx_vma(fx, page));
}

static s64 stack_limit_plain(struct fixture *fx)
{
	return stack_limit(fx, 0);
}

static s64 stack_limit_guard(struct fixture *fx)
{
	return stack_limit(fx, 1);
}

static s64 stack_far_below_sp(struct fixture *fx)
{
	map_stack(fx, 998, 1000);
	return stack_access(fx, 980, fx_addr(999));
}

static s64 stack_near_sp(struct fixture *fx)
{
	map_stack(fx, 998, 1000);
	return stack_access(fx, 984, fx_addr(999));
}

/* How near it comes to what is below it, in pages. */
static s64 stack_neighbour(struct fixture *fx, u32 prot, u32 flags)
{
	u64 page = 998;

	assert_int_equal(fx_mmap_flags(fx, 500, 501, prot, flags), 0);
	map_stack(fx, 998, 1000);
	while (stack_access(fx, page - 1, 0) == ACCESS_OK)
		page--;
	return (s64)(page - 501);
}

static s64 stack_above_mapping(struct fixture *fx)
{
	return stack_neighbour(fx, PROT_READ, 0);
}

static s64 stack_above_no_access(struct fixture *fx)
{
	return stack_neighbour(fx, PROT_NONE, 0);
}

static s64 stack_above_stack(struct fixture *fx)
{
	return stack_neighbour(fx, PROT_READ, MAP_GROWSDOWN);
}

static s64 hint_below_stack(struct fixture *fx, u64 page)
{
	map_stack(fx, 998, 1000);
	return offset_of(sys_mmap(&fx->cx, fx_addr(page), PAGE_SIZE, RW,
				  MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0),
			 page);
}

/* 0: there, 1: elsewhere. */
static s64 hint_in_the_gap(struct fixture *fx)
{
	return hint_below_stack(fx, 742);
}

static s64 hint_below_the_gap(struct fixture *fx)
{
	return hint_below_stack(fx, 741);
}

static s64 fixed_in_the_gap(struct fixture *fx)
{
	map_stack(fx, 998, 1000);
	return fx_mmap_flags(fx, 997, 998, RW, 0);
}

/* Pages between the stack of the task and the highest mapping that is placed below it. */
static s64 placement_below_stack(struct fixture *fx)
{
	u64 low = fx->cx.curr->mm->mmap_base - PAGE_SIZE;
	s64 ret;

	assert_int_equal(sys_mmap(&fx->cx, low, PAGE_SIZE, RW,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, NULL, 0),
			 low);
	ret = sys_mmap(&fx->cx, 0, PAGE_SIZE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	assert_true(ret > 0);
	return (s64)((low - (u64)ret) >> PAGE_SHIFT) - 1;
}

/* Pages that stay free between the heap and a stack above it. */
static s64 heap_below_stack(struct fixture *fx)
{
	const u64 stack = FX_BRK + 400 * PAGE_SIZE;
	u64 brk = FX_BRK;

	assert_int_equal(sys_mmap(&fx->cx, stack, PAGE_SIZE, RW,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, NULL, 0),
			 stack);
	while ((u64)sys_brk(&fx->cx, brk + PAGE_SIZE) == brk + PAGE_SIZE)
		brk += PAGE_SIZE;
	return (s64)((stack - brk) >> PAGE_SHIFT);
}

static s64 heap_below_mapping(struct fixture *fx)
{
	const u64 above = FX_BRK + 40 * PAGE_SIZE;
	u64 brk = FX_BRK;

	assert_int_equal(sys_mmap(&fx->cx, above, PAGE_SIZE, RW,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 above);
	while ((u64)sys_brk(&fx->cx, brk + PAGE_SIZE) == brk + PAGE_SIZE)
		brk += PAGE_SIZE;
	return (s64)((above - brk) >> PAGE_SHIFT);
}

/* Growing after the tail was unmapped: lines of the heap. */
static s64 heap_after_hole(struct fixture *fx)
{
	grow_heap(fx, 4);
	assert_int_equal(sys_munmap(&fx->cx, FX_BRK + 2 * PAGE_SIZE, 2 * PAGE_SIZE), 0);
	grow_heap(fx, 2);
	return lines(fx, FX_BRK, FX_BASE);
}

/* ---- limits --------------------------------------------------------------------------------- */

/* How many private writable pages can be had under a limit of data of 8 pages, by mmap. */
static s64 data_by_mmap(struct fixture *fx)
{
	u64 n = 0;

	fx->m->cfg.limit_data = 8;
	while (n < 16 && !fx_mmap_flags(fx, n, n + 1, RW, 0))
		n++;
	return (s64)n;
}

static s64 data_by_mprotect(struct fixture *fx)
{
	fx->m->cfg.limit_data = 8;
	map(fx, 0, 9, PROT_READ);
	return fx_mprotect(fx, 0, 9, RW);
}

static s64 data_stays_data(struct fixture *fx)
{
	map(fx, 0, 9, RW);
	fx->m->cfg.limit_data = 8;
	return fx_mprotect(fx, 0, 9, RWX);
}

static s64 data_by_mremap(struct fixture *fx)
{
	fx->m->cfg.limit_data = 8;
	map(fx, 0, 8, RW);
	return offset_of(mremap(fx, 0, 8, 9, 0), 0);
}

static s64 data_shared(struct fixture *fx)
{
	fx->m->cfg.limit_data = 8;
	map_shared(fx, 0, 9, NULL, 0);
	map(fx, 16, 32, PROT_READ);
	return fx_mmap_flags(fx, 32, 48, RW, MAP_GROWSDOWN);
}

static s64 file_end(struct fixture *fx, u64 pages_before)
{
	struct file *file = file_create(&fx->cx, 4, FMODE_READ);
	s64 ret = sys_mmap(&fx->cx, fx_addr(0), 2 * PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_FIXED,
			   file, ((u64)1 << 63) - pages_before * PAGE_SIZE);

	file_close(&fx->cx, file);
	return ret > 0 ? 0 : ret;
}

static s64 file_up_to_limit(struct fixture *fx)
{
	return file_end(fx, 2);
}

static s64 file_past_limit(struct fixture *fx)
{
	return file_end(fx, 1);
}

/* One VMA below the limit: one mapping more, and one above it, then no more. */
static void fill_to_limit(struct fixture *fx)
{
	map(fx, 0, 9, RW);
	fx->m->cfg.max_map_count = (u64)fx->cx.curr->mm->map_count;
}

static s64 count_mmap(struct fixture *fx)
{
	fill_to_limit(fx);
	return fx_mmap_flags(fx, 20, 21, RW, 0);
}

static s64 count_mmap_again(struct fixture *fx)
{
	assert_int_equal(count_mmap(fx), 0);
	return fx_mmap_flags(fx, 30, 31, RW, 0);
}

static s64 count_munmap(struct fixture *fx)
{
	fill_to_limit(fx);
	return fx_munmap(fx, 2, 4);
}

static s64 count_mprotect(struct fixture *fx)
{
	fill_to_limit(fx);
	return fx_mprotect(fx, 2, 4, PROT_READ);
}

static s64 count_madvise(struct fixture *fx)
{
	fill_to_limit(fx);
	return advise(fx, 2, 4, MADV_DONTFORK);
}

static s64 count_mlock(struct fixture *fx)
{
	fill_to_limit(fx);
	return sys_mlock(&fx->cx, fx_addr(2), 2 * PAGE_SIZE);
}

static s64 mlock_hole(struct fixture *fx)
{
	s64 ret;

	map(fx, 0, 2, RW);
	ret = sys_mlock(&fx->cx, fx_addr(0), 4 * PAGE_SIZE);
	assert_int_equal(fx->cx.curr->mm->locked_vm, 2);
	return ret;
}

static s64 mlock_wrap(struct fixture *fx)
{
	return sys_mlock(&fx->cx, fx_addr(0), ~(u64)0 - PAGE_SIZE);
}

static s64 lock_over_limit(struct fixture *fx)
{
	fx->m->cfg.limit_memlock = 3;
	return fx_mmap_flags(fx, 0, 4, RW, MAP_LOCKED);
}

static s64 lock_without_right(struct fixture *fx)
{
	fx->m->cfg.limit_memlock = 0;
	return fx_mmap_flags(fx, 0, 1, RW, MAP_LOCKED);
}

static s64 future_over_limit(struct fixture *fx)
{
	fx->m->cfg.limit_memlock = 3;
	assert_int_equal(sys_mlockall(&fx->cx, MCL_FUTURE), 0);
	return fx_mmap_flags(fx, 0, 4, RW, 0);
}

static s64 future_heap(struct fixture *fx)
{
	fx->m->cfg.limit_memlock = 3;
	assert_int_equal(sys_mlockall(&fx->cx, MCL_FUTURE), 0);
	return sys_brk(&fx->cx, FX_BRK + 4 * PAGE_SIZE) - FX_BRK;
}

/* Pages locked in the child of one who locks all that comes. */
static s64 future_forked(struct fixture *fx)
{
	assert_int_equal(sys_mlockall(&fx->cx, MCL_FUTURE), 0);
	fx_run(fx, fx_fork(fx));
	map(fx, 0, 2, RW);
	return (s64)fx->cx.curr->mm->locked_vm;
}

static s64 shared_of_read_only(struct fixture *fx)
{
	struct file *file = file_create(&fx->cx, 16, FMODE_READ);

	map_shared(fx, 0, 2, file, 0);
	file_close(&fx->cx, file);
	return fx_mprotect(fx, 0, 2, RW);
}

static s64 growing_shared(struct fixture *fx)
{
	return mmap_at(fx, 0, 1, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, NULL);
}

static s64 munmap_unaligned(struct fixture *fx)
{
	return sys_munmap(&fx->cx, fx_addr(0) + 1, PAGE_SIZE);
}

static s64 munmap_wrap(struct fixture *fx)
{
	return sys_munmap(&fx->cx, fx_addr(0), ~(u64)0 - PAGE_SIZE);
}

static s64 fork_no_memory(struct fixture *fx)
{
	struct task_struct *child = NULL;

	fx->fail[SITE_dup_mmap_vma] = true;
	return do_fork(&fx->cx, 0, &child);
}

static s64 file_refused(struct fixture *fx)
{
	fx->fail[SITE_mmap_region_hook] = true;
	return with_file(fx, MAP_PRIVATE);
}

static s64 dontunmap(struct fixture *fx)
{
	map(fx, 0, 1, RW);
	return sys_mremap(&fx->cx, fx_addr(0), PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | 4, 0);
}

static s64 droppable(struct fixture *fx)
{
	return mmap_at(fx, 0, 1, RW, 8 | MAP_ANONYMOUS | MAP_FIXED, NULL);
}

static s64 move_two_vmas(struct fixture *fx)
{
	map(fx, 0, 1, RW);
	map(fx, 1, 2, PROT_READ);
	return offset_of(mremap(fx, 0, 2, 2, 8), 8);
}

static s64 grow_two_vmas(struct fixture *fx)
{
	map(fx, 0, 1, RW);
	map(fx, 1, 2, PROT_READ);
	return offset_of(mremap(fx, 0, 2, 3, 8), 8);
}

static s64 hugepage_shared(struct fixture *fx)
{
	map_shared(fx, 0, 1, NULL, 0);
	return advise(fx, 0, 1, MADV_HUGEPAGE);
}

static s64 nohugepage_shared(struct fixture *fx)
{
	map_shared(fx, 0, 1, NULL, 0);
	return advise(fx, 0, 1, MADV_NOHUGEPAGE);
}

/* The page for stepping out of line; no huge page ever comes of it. */
static s64 hugepage_special(struct fixture *fx)
{
	s64 addr = uprobe_step(&fx->cx);

	assert_true(addr > 0);
	return sys_madvise(&fx->cx, (u64)addr & PAGE_MASK, PAGE_SIZE, MADV_HUGEPAGE);
}

static s64 advice_of_later(struct fixture *fx)
{
	static const u32 later[] = {18, 19, 20, 21, 22, 23, 24, 25, 102, 103};

	map(fx, 0, 1, RW);
	for (unsigned int i = 0; i < ARRAY_SIZE(later); i++)
		if (advise(fx, 0, 1, later[i]) != -EINVAL)
			return later[i];
	return -EINVAL;
}

static s64 free_plain(struct fixture *fx)
{
	map(fx, 0, 1, RW);
	return advise(fx, 0, 1, MADV_FREE);
}

static s64 free_shared(struct fixture *fx)
{
	if (mmap_at(fx, 0, 1, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL) != 0)
		return 1;
	return advise(fx, 0, 1, MADV_FREE);
}

static s64 free_locked(struct fixture *fx)
{
	map(fx, 0, 1, RW);
	if (sys_mlock(&fx->cx, fx_addr(0), PAGE_SIZE))
		return 1;
	return advise(fx, 0, 1, MADV_FREE);
}

static const struct {
	const char *name;
	s64 (*run)(struct fixture *fx);
	s64 result[NR_PROFILES];
} calls[] = {
	{"mmap type 3, anonymous", type_3_anon, {-EINVAL, -EINVAL}},
	{"mmap type 3, file", type_3_file, {-EINVAL, 0}},
	{"mmap type 3, unknown flag", type_3_unknown_flag, {-EINVAL, -EOPNOTSUPP}},
	{"mmap shared, unknown flag", shared_unknown_flag, {0, 0}},
	{"MAP_FIXED_NOREPLACE, taken", noreplace_taken, {1, -EEXIST}},
	{"MAP_FIXED_NOREPLACE, free", noreplace_free, {0, 0}},
	{"mremap, same length, unmapped", mremap_same_unmapped, {0, -EFAULT}},
	{"mremap, shrink, unmapped", mremap_shrink_unmapped, {0, -EFAULT}},
	{"mremap, shrink, mapped", mremap_shrink_mapped, {0, 0}},
	{"mremap, length 0, private", mremap_zero_private, {1, -EINVAL}},
	{"mremap, length 0, shared", mremap_zero_shared, {1, 1}},
	{"mremap, length 0, unmapped", mremap_zero, {-EFAULT, -EFAULT}},
	{"mremap, above task_size", mremap_too_long, {-ENOMEM, -EINVAL}},
	{"mremap fixed at max_map_count", mremap_fixed_at_limit, {0, 1}},
	{"mprotect read-only, untouched", charge_of_untouched, {0, -4}},
	{"mprotect read-only, touched", charge_of_touched, {0, 0}},
	{"mlock twice", mlock_twice, {-ENOMEM, 0}},
	{"mlock over the limit", mlock_over_limit, {-ENOMEM, -ENOMEM}},
	{"mlockall(MCL_ONFAULT)", mlockall_onfault, {0, -EINVAL}},
	{"brk shrink, unmapped", brk_shrink_unmapped, {1, 0}},
	{"brk shrink, partly mapped", brk_shrink_partly_mapped, {3, 3}},
	{"commit of all memory", commit_all, {-ENOMEM, 0}},
	{"commit of more than that", commit_more, {-ENOMEM, -ENOMEM}},
	{"4 MiB private without hint", aligned_private, {0, 1}},
	{"3 MiB private without hint", aligned_odd, {0, 0}},
	{"4 MiB shared without hint", aligned_shared, {0, 0}},
	{"munmap of nothing", munmap_nothing, {-EINVAL, -EINVAL}},
	{"munmap of a hole", munmap_hole, {0, 0}},
	{"munmap unaligned", munmap_unaligned, {-EINVAL, -EINVAL}},
	{"munmap that wraps", munmap_wrap, {-EINVAL, -EINVAL}},
	{"MAP_FIXED over, no VMA", fixed_no_vma, {0, 1}},
	{"MAP_FIXED over, no commit", fixed_no_commit, {0, 1}},
	{"MAP_FIXED over, no object", fixed_no_object, {0, 1}},
	{"MAP_FIXED over, file sealed", fixed_sealed, {0, 1}},
	{"MAP_FIXED over, ->mmap()", fixed_hook, {0, 0}},
	{"MAP_FIXED over, at the limit", fixed_at_the_limit, {0, 0}},
	{"->mmap() refuses", file_refused, {-ENODEV, -ENODEV}},
	{"file up to its limit", file_up_to_limit, {0, 0}},
	{"file past its limit", file_past_limit, {0, -EOVERFLOW}},
	{"stack up to its limit", stack_limit_plain, {64, 64}},
	{"stack with a guard page", stack_limit_guard, {65, 64}},
	{"stack far below sp", stack_far_below_sp, {ACCESS_SIGSEGV, ACCESS_OK}},
	{"stack near sp", stack_near_sp, {ACCESS_OK, ACCESS_OK}},
	{"stack above a mapping", stack_above_mapping, {1, 256}},
	{"stack above PROT_NONE", stack_above_no_access, {1, 0}},
	{"stack above a stack", stack_above_stack, {0, 0}},
	{"hint in the gap of a stack", hint_in_the_gap, {0, 1}},
	{"hint below the gap", hint_below_the_gap, {0, 0}},
	{"MAP_FIXED in the gap", fixed_in_the_gap, {0, 0}},
	{"placement below a stack", placement_below_stack, {0, 256}},
	{"heap below a stack", heap_below_stack, {1, 257}},
	{"heap below a mapping", heap_below_mapping, {1, 1}},
	{"heap after a hole", heap_after_hole, {2, 2}},
	{"RLIMIT_DATA and mmap", data_by_mmap, {16, 8}},
	{"RLIMIT_DATA and mprotect", data_by_mprotect, {0, -ENOMEM}},
	{"RLIMIT_DATA and data", data_stays_data, {0, 0}},
	{"RLIMIT_DATA and mremap", data_by_mremap, {0, -ENOMEM}},
	{"RLIMIT_DATA and other mappings", data_shared, {0, 0}},
	{"max_map_count, mmap", count_mmap, {0, 0}},
	{"max_map_count, mmap above it", count_mmap_again, {-ENOMEM, -ENOMEM}},
	{"max_map_count, munmap", count_munmap, {-ENOMEM, -ENOMEM}},
	{"max_map_count, mprotect", count_mprotect, {-ENOMEM, -ENOMEM}},
	{"max_map_count, madvise", count_madvise, {-EAGAIN, -EAGAIN}},
	{"madvise(FREE)", free_plain, {-EINVAL, 0}},
	{"madvise(FREE) of shared memory", free_shared, {-EINVAL, -EINVAL}},
	{"madvise(FREE) of locked memory", free_locked, {-EINVAL, -EINVAL}},
	{"madvise(HUGEPAGE) of shared memory", hugepage_shared, {-EINVAL, 0}},
	{"madvise(NOHUGEPAGE) of shared memory", nohugepage_shared, {-EINVAL, 0}},
	{"madvise(HUGEPAGE) of a special mapping", hugepage_special, {-EINVAL, 0}},
	{"max_map_count, mlock", count_mlock, {-ENOMEM, -ENOMEM}},
	{"mlock over a hole", mlock_hole, {-ENOMEM, -ENOMEM}},
	{"mlock that wraps", mlock_wrap, {-ENOMEM, -ENOMEM}},
	{"MAP_LOCKED over the limit", lock_over_limit, {-EAGAIN, -EAGAIN}},
	{"MAP_LOCKED without the right", lock_without_right, {-EPERM, -EPERM}},
	{"MCL_FUTURE, mmap over the limit", future_over_limit, {-EAGAIN, -EAGAIN}},
	{"MCL_FUTURE, brk over the limit", future_heap, {0, 0}},
	{"MCL_FUTURE in a child", future_forked, {0, 0}},
	{"shared of a read-only file", shared_of_read_only, {-EACCES, -EACCES}},
	{"shared and growing", growing_shared, {-EINVAL, -EINVAL}},
	{"fork without memory", fork_no_memory, {-ENOMEM, -ENOMEM}},
	{"mremap that grows over two VMAs", grow_two_vmas, {-EFAULT, -EFAULT}},
};

static void call_table(void **state)
{
	unsigned int wrong = 0;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		for (unsigned int p = 0; p < NR_PROFILES; p++) {
			struct fixture fx;
			s64 ret;

			fx_create(&fx, profiles[p]);
			ret = calls[i].run(&fx);
			if (ret != calls[i].result[p]) {
				print_error("%s, %s: %d, not %d\n", calls[i].name, profiles[p],
					    (int)ret, (int)calls[i].result[p]);
				wrong++;
			}
			assert_int_equal(fl_check_machine(fx.m, NULL, NULL, NULL), 0);
			fx_destroy(&fx);
		}
	}
	assert_int_equal(wrong, 0);
}

/*
 * Rows whose 6.18 side this engine does not have: what only later kernels can do answers as 4.4
 * does. A row that answers otherwise has been built and belongs into the table above. M29 (mseal is
 * no call of 4.4) and M30 (no VMA here has a ->close hook) cannot be asked for.
 */
static const struct {
	const char *name, *later;
	s64 (*run)(struct fixture *fx);
	s64 result;
} missing[] = {
	{"MAP_DROPPABLE", "accepted since 6.11", droppable, -EINVAL},
	{"MREMAP_DONTUNMAP", "accepted since 5.7", dontunmap, -EINVAL},
	{"advice of later kernels", "accepted since 4.14 to 6.13", advice_of_later, -EINVAL},
	{"mremap that moves two VMAs", "done since 6.17", move_two_vmas, -EFAULT},
};

static void rows_that_are_missing(void **state)
{
	unsigned int wrong = 0;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(missing); i++) {
		for (unsigned int p = 0; p < NR_PROFILES; p++) {
			struct fixture fx;
			s64 ret;

			fx_create(&fx, profiles[p]);
			ret = missing[i].run(&fx);
			if (ret != missing[i].result) {
				print_error("%s, %s: %d, not %d (%s): give it a row\n",
					    missing[i].name, profiles[p], (int)ret,
					    (int)missing[i].result, missing[i].later);
				wrong++;
			}
			fx_destroy(&fx);
		}
	}
	assert_int_equal(wrong, 0);
}

/* ---- calls that can be killed while they wait (§15.5) ---------------------------------------- */

static s64 call_munmap(struct fixture *fx)
{
	return fx_munmap(fx, 1, 2);
}

static s64 call_mprotect(struct fixture *fx)
{
	return fx_mprotect(fx, 1, 2, PROT_READ);
}

static s64 call_mremap(struct fixture *fx)
{
	return mremap(fx, 1, 1, 1, 9) > 0 ? 0 : -EINTR;
}

static s64 call_madvise(struct fixture *fx)
{
	return sys_madvise(&fx->cx, fx_addr(1), PAGE_SIZE, MADV_DONTFORK);
}

static s64 call_madvise_read(struct fixture *fx)
{
	return sys_madvise(&fx->cx, fx_addr(1), PAGE_SIZE, MADV_DONTNEED);
}

static s64 call_mlock(struct fixture *fx)
{
	return sys_mlock(&fx->cx, fx_addr(1), PAGE_SIZE);
}

static s64 call_munlock(struct fixture *fx)
{
	return sys_munlock(&fx->cx, fx_addr(1), PAGE_SIZE);
}

static s64 call_mlockall(struct fixture *fx)
{
	return sys_mlockall(&fx->cx, MCL_FUTURE);
}

static s64 call_munlockall(struct fixture *fx)
{
	return sys_munlockall(&fx->cx);
}

static s64 call_fork(struct fixture *fx)
{
	struct task_struct *child;

	return do_fork(&fx->cx, 0, &child);
}

/* The newer kernel gives up with nothing done; 4.4 does not ask. */
static void killable_locks(void **state)
{
	static const struct {
		s64 (*call)(struct fixture *fx);
		enum fl_site site;
		s64 killed;
	} locking[] = {
		{call_munmap, SITE_mmap_lock, -EINTR},	   {call_mprotect, SITE_mmap_lock, -EINTR},
		{call_mremap, SITE_mmap_lock, -EINTR},	   {call_madvise, SITE_mmap_lock, -EINTR},
		{call_madvise_read, SITE_mmap_lock, 0},	   {call_mlock, SITE_mmap_lock, -EINTR},
		{call_munlock, SITE_mmap_lock, -EINTR},	   {call_mlockall, SITE_mmap_lock, -EINTR},
		{call_munlockall, SITE_mmap_lock, -EINTR}, {call_fork, SITE_dup_mmap_lock, -ENOMEM},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(locking); i++) {
		for (unsigned int p = 0; p < NR_PROFILES; p++) {
			struct fixture fx;
			u64 digest;
			s64 ret;

			fx_create(&fx, profiles[p]);
			map(&fx, 0, 4, RW);
			touch(&fx, 0, 4);
			digest = fl_digest(fx.m, false);
			fx.fail[locking[i].site] = true;
			ret = locking[i].call(&fx);
			memset(fx.fail, 0, sizeof(fx.fail));
			assert_int_equal(ret, p == NEW ? locking[i].killed : 0);
			if (ret)
				assert_true(fl_digest(fx.m, false) == digest);
			assert_int_equal(fl_check_machine(fx.m, NULL, NULL, NULL), 0);
			fx_destroy(&fx);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merge_table),
		cmocka_unit_test(merge_that_fails),
		cmocka_unit_test(call_table),
		cmocka_unit_test(killable_locks),
		cmocka_unit_test(rows_that_are_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
