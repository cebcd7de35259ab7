/* SPDX-License-Identifier: GPL-2.0-only */
/* mremap: the merge table's rows, charges, every request refused once, and moves at random. */
#include "mm_fixture.h"

#define MAYMOVE MREMAP_MAYMOVE
#define TO	(MREMAP_MAYMOVE | MREMAP_FIXED)

static s64 fx_mremap(struct fixture *fx, u64 from, u64 to, u64 new_pages, u32 flags, u64 where)
{
	return sys_mremap(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE, new_pages * PAGE_SIZE,
			  flags, fx_addr(where));
}

static void fx_move(struct fixture *fx, u64 from, u64 to, u64 where)
{
	assert_int_equal(fx_mremap(fx, from, to, to - from, TO, where), fx_addr(where));
}

/* ---- the merge table (facts §15.4) ---------------------------------------------------------- */

static void test_m25(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	fx_mmap(&fx, 4, 6, RW);
	assert_int_equal(fx_mremap(&fx, 0, 2, 4, 0, 0), fx_addr(0));
	fx_expect(&fx, "0-4 4-6");
	fx_destroy(&fx);

	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	fx_mmap(&fx, 4, 6, RW);
	fx_write(&fx, 0, 1);
	fx_write(&fx, 4, 1);
	assert_int_equal(fx_mremap(&fx, 0, 2, 4, 0, 0), fx_addr(0));
	fx_expect(&fx, "0-4 4-6");
	fx_destroy(&fx);
}

static void test_m26(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	fx_mmap(&fx, 8, 10, RW);
	fx_move(&fx, 8, 10, 2);
	fx_expect(&fx, "0-4");
	fx_destroy(&fx);

	/* a source with pages keeps its offset */
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	fx_mmap(&fx, 8, 10, RW);
	fx_write(&fx, 9, 5);
	fx_move(&fx, 8, 10, 2);
	fx_expect(&fx, "0-2 2-4");
	assert_int_equal(fx_read(&fx, 3), 5);
	fx_destroy(&fx);
}

static void test_m27(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 6, RW);
	fx_write(&fx, 2, 5);
	fx_move(&fx, 2, 4, 10);
	fx_expect(&fx, "0-2 4-6 10-12");
	fx_move(&fx, 10, 12, 2);
	fx_expect(&fx, "0-6");
	assert_int_equal(fx_read(&fx, 2), 5);
	fx_destroy(&fx);
}

static void test_m28(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 4, RW);
	fx_move(&fx, 0, 2, 4);
	fx_expect(&fx, "2-6");
	fx_destroy(&fx);
}

/* ---- accounting ----------------------------------------------------------------------------- */

static void test_counts(void **state)
{
	struct mm_struct *mm;
	struct fixture fx;
	u64 total, hiwater;
	s64 committed, rss;

	(void)state;
	fx_create(&fx, NULL);
	mm = fx.cx.curr->mm;
	fx_mmap(&fx, 0, 6, RW);
	fx_write(&fx, 2, 1);
	fx_write(&fx, 3, 2);
	total = mm->total_vm;
	hiwater = mm->hiwater_vm;
	committed = fx.m->vm_committed_as;
	rss = mm->rss_stat[MM_ANONPAGES];

	fx_move(&fx, 2, 4, 10); /* */
	assert_int_equal(mm->total_vm, total);
	assert_int_equal(fx.m->vm_committed_as, committed);
	assert_int_equal(mm->rss_stat[MM_ANONPAGES], rss);
	assert_int_equal(mm->hiwater_vm, hiwater); /* both copies at once are no peak */

	assert_int_equal(fx_mremap(&fx, 10, 12, 5, TO, 20), fx_addr(20));
	assert_int_equal(mm->total_vm, total + 3);
	assert_int_equal(fx.m->vm_committed_as, committed + 3);
	assert_int_equal(fx_mremap(&fx, 20, 25, 1, MAYMOVE, 0), fx_addr(20));
	assert_int_equal(mm->total_vm, total - 1);
	assert_int_equal(fx.m->vm_committed_as, committed - 1);
	assert_int_equal(fx_read(&fx, 20), 1);
	fx_expect(&fx, "0-2 4-6 20-21");
	fx_destroy(&fx);
}

/* Length 0 of a private mapping: a fresh one, and the old one loses its charge for good. */
static void test_old_len_zero(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	fx_write(&fx, 0, 7);
	assert_int_equal(fx_mremap(&fx, 0, 0, 2, TO, 8), fx_addr(8));
	fx_expect(&fx, "0-2 8-10");
	assert_false(fx_vma(&fx, 0)->vm_flags & VM_ACCOUNT);
	assert_int_equal(fx_read(&fx, 0), 7);
	assert_int_equal(fx_read(&fx, 8), 0);
	fx_destroy(&fx);
}

static void test_refused(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 2, RW);
	assert_int_equal(fx_mremap(&fx, 0, 2, 2, 4 | MAYMOVE, 0), -EINVAL);
	assert_int_equal(fx_mremap(&fx, 0, 2, 2, MREMAP_FIXED, 8), -EINVAL);
	fx_vma(&fx, 0)->vm_flags |= VM_DONTEXPAND;
	assert_int_equal(fx_mremap(&fx, 0, 2, 4, MAYMOVE, 0), -EFAULT);
	assert_int_equal(fx_mremap(&fx, 0, 2, 2, TO, 8), fx_addr(8));
	fx_vma(&fx, 8)->vm_flags &= ~VM_DONTEXPAND;
	/* the last page below task_size, and no further */
	assert_int_equal(sys_mmap(&fx.cx, fx.m->geo.task_size - PAGE_SIZE, PAGE_SIZE, RW,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 fx.m->geo.task_size - PAGE_SIZE);
	assert_int_equal(sys_mremap(&fx.cx, fx.m->geo.task_size - PAGE_SIZE, PAGE_SIZE,
				    2 * PAGE_SIZE, 0, 0),
			 -ENOMEM);
	assert_int_equal(sys_mremap(&fx.cx, fx_addr(8), 2 * PAGE_SIZE, ~(u64)0 - 2 * PAGE_SIZE, 0,
				    0),
			 -ENOMEM);
	fx_destroy(&fx);
}

/* ---- failures ------------------------------------------------------------------------------- */

/* A source over two tables with pages, holes and a table without entries. */
static void fx_source(struct fixture *fx)
{
	fx_mmap(fx, 510, 1540, RW);
	fx_write(fx, 511, 1);
	fx_write(fx, 513, 2);
	fx_write(fx, 1539, 3);
	assert_int_equal(fx_read(fx, 600), 0);
}

static void fx_source_is(struct fixture *fx, u64 at)
{
	assert_int_equal(fx_read(fx, at + 1), 1);
	assert_int_equal(fx_read(fx, at + 3), 2);
	assert_int_equal(fx_read(fx, at + 1029), 3);
}

static void test_tables_fail(void **state)
{
	static const char *const machines[] = {NULL, "levels=3", "ptl_objects=1"};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(machines); i++) {
		struct fixture fx;

		fx_create(&fx, machines[i]);
		fx_source(&fx);
		fx.fail[SITE_pte_alloc_pte] = true;
		assert_int_equal(fx_mremap(&fx, 510, 1540, 1030, TO, 4095), -ENOMEM);
		fx.fail[SITE_pte_alloc_pte] = false;
		fx_check(&fx);
		fx_source_is(&fx, 510);

		/*
		 * The first table is there, the second is not: what has gone over comes back. In
		 * the middle of the source there is no table, and none is made on the way back.
		 */
		fx_mmap(&fx, 4608, 4609, PROT_READ);
		assert_int_equal(fx_read(&fx, 4608), 0);
		fx.fail[SITE_pte_alloc_pte] = true;
		assert_int_equal(fx_mremap(&fx, 510, 1540, 1030, TO, 4700), -ENOMEM);
		fx.fail[SITE_pte_alloc_pte] = false;
		fx_check(&fx);
		fx_source_is(&fx, 510);
		assert_null(fx_vma(&fx, 4700));

		fx_move(&fx, 510, 1540, 4700);
		fx_check(&fx);
		fx_source_is(&fx, 4700);
		fx_destroy(&fx);
	}
}

/*
 * A move that fails after its VMA was merged at the destination has to be cut out there, and that
 * fails, too: the range stays mapped, without pages (facts §19.6).
 */
static void test_cut_fails(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 500, 510, RW);
	fx_mmap(&fx, 514, 520, RW);
	fx_mmap(&fx, 100, 104, RW);
	assert_int_equal(fx_read(&fx, 100), 0);
	fx.fail[SITE_pte_alloc_pte] = true;
	fx.fail[SITE_split_vma_vma] = true;
	assert_int_equal(fx_mremap(&fx, 100, 104, 4, TO, 510), -ENOMEM);
	fx.fail[SITE_pte_alloc_pte] = false;
	fx.fail[SITE_split_vma_vma] = false;
	fx_expect(&fx, "100-104 500-520");
	assert_int_equal(fx_munmap(&fx, 500, 520), 0);
	fx_destroy(&fx);
}

/* The old range cannot be cut out: success, and it is still there. */
static void test_source_kept(void **state)
{
	struct fixture fx;

	(void)state;
	fx_create(&fx, NULL);
	fx_mmap(&fx, 0, 6, RW);
	fx_write(&fx, 2, 5);
	fx.fail[SITE_split_vma_vma] = true;
	fx_move(&fx, 2, 4, 10);
	fx.fail[SITE_split_vma_vma] = false;
	fx_expect(&fx, "0-6 10-12");
	assert_int_equal(fx_read(&fx, 10), 5);
	assert_int_equal(fx_read(&fx, 2), 0);
	fx_destroy(&fx);
}

/* ---- at random ------------------------------------------------------------------------------ */

static void random_step(struct fixture *fx, u64 tags[64])
{
	u64 from = fx_random(fx, 60), len = 1 + fx_random(fx, 4), to = fx_random(fx, 60);
	s64 ret;

	switch (fx_random(fx, 5)) {
	case 0:
		ret = fx_mmap_flags(fx, from, from + len, RW, 0);
		break;
	case 1:
		if (fx_vma(fx, from)) {
			u64 tag = fx_random(fx, 1000) + 1;

			if (access_user(&fx->cx, fx_addr(from), true, &tag) == ACCESS_OK)
				tags[from] = tag;
		}
		return;
	default:
		ret = fx_mremap(fx, from, from + len, len, TO, to);
		if (ret == (s64)fx_addr(to)) {
			u64 moved[4];

			memcpy(moved, tags + from, len * sizeof(*tags));
			memset(tags + from, 0, len * sizeof(*tags));
			memcpy(tags + to, moved, len * sizeof(*tags));
		}
		return;
	}
	if (!ret)
		memset(tags + from, 0, len * sizeof(*tags));
}

static void random_moves(u64 seed, u64 random_fail)
{
	u64 tags[64] = {0};
	struct fixture fx;

	fx_create(&fx, NULL);
	fx.seed = seed;
	for (u32 i = 0; i < 600; i++) {
		fx.random_fail = random_fail;
		random_step(&fx, tags);
		fx.random_fail = 0;
		fx_check(&fx);
		for (u64 page = 0; page < 64 && i % 16 == 0; page++) {
			if (!fx_vma(&fx, page))
				tags[page] = 0;
			else if (!random_fail || fx_read(&fx, page))
				assert_int_equal(fx_read(&fx, page), tags[page]);
		}
	}
	fx_destroy(&fx);
}

static void test_random(void **state)
{
	(void)state;
	for (u64 seed = 1; seed <= 12; seed++) {
		random_moves(seed, 0);
		random_moves(seed, 12);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_m25),	  cmocka_unit_test(test_m26),
		cmocka_unit_test(test_m27),	  cmocka_unit_test(test_m28),
		cmocka_unit_test(test_counts),	  cmocka_unit_test(test_old_len_zero),
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_tables_fail),
		cmocka_unit_test(test_cut_fails), cmocka_unit_test(test_source_kept),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
