/* SPDX-License-Identifier: GPL-2.0-only */
/* The swap area: slots and their counts, out and in, who has a page alone, swapoff. */
#include "mm_bench.h"

#define RW    (PROT_READ | PROT_WRITE)
#define IMAGE 0x80000000u
#define BASE  0x40000000u

static struct task_struct *up(struct bench *b, const char *options)
{
	struct task_struct *t;

	bench_up(b, options);
	t = bench_exec(b, IMAGE);
	bench_mmap(b, BASE, 8, RW, MAP_PRIVATE, NULL);
	return t;
}

static void down(struct bench *b)
{
	free_swap_count_continuations(&b->cx);
	bench_down(b);
}

static u32 slot_at(struct bench *b, const struct mm_struct *mm, u64 addr)
{
	pte_t pte = bench_pte(b, mm, addr);

	assert_true(is_swap_pte(pte));
	return pte_to_swp_entry(pte);
}

static void test_out_and_in(void **state)
{
	struct task_struct *t;
	struct bench b;
	s64 anon;
	u64 maj;
	u32 slot;

	(void)state;
	t = up(&b, "levels=4 swap=8");
	bench_write(&b, BASE, 0x11);
	bench_write(&b, BASE + PAGE_SIZE, 0x12);
	anon = t->mm->rss_stat[MM_ANONPAGES];
	assert_true(list_empty(&t->mm->mmlist));
	assert_int_equal(sys_swap_out(&b.cx, BASE), 0);
	slot = slot_at(&b, t->mm, BASE);
	assert_int_equal(b.m->swap.swap_map[slot], 1);
	assert_int_equal(b.m->swap.slots[slot].tag, 0x11);
	assert_int_equal(t->mm->rss_stat[MM_ANONPAGES], anon - 1);
	assert_int_equal(t->mm->rss_stat[MM_SWAPENTS], 1);
	assert_false(list_empty(&t->mm->mmlist));
	bench_check(&b);

	/* a load leaves the page in the swap cache and the entry without its write bit */
	maj = t->maj_flt;
	assert_int_equal(bench_read(&b, BASE), 0x11);
	assert_int_equal(t->maj_flt, maj + 1);
	assert_int_equal(b.m->swap.swap_map[slot], SWAP_HAS_CACHE);
	assert_false(bench_pte(&b, t->mm, BASE) & _PAGE_RW);
	bench_check(&b);
	/* from where it goes out again, to the same slot, or is taken by a store */
	assert_int_equal(sys_swap_out(&b.cx, BASE), 0);
	assert_int_equal(slot_at(&b, t->mm, BASE), slot);
	bench_read(&b, BASE);
	bench_write(&b, BASE, 0x13);
	assert_int_equal(b.m->swap.inuse_pages, 0);
	assert_int_equal(b.m->swap.lowest_bit, slot);
	bench_check(&b);
	/* a store does all at once */
	assert_int_equal(sys_swap_out(&b.cx, BASE), 0);
	bench_write(&b, BASE, 0x14);
	assert_int_equal(b.m->swap.inuse_pages, 0);
	assert_true(bench_pte(&b, t->mm, BASE) & _PAGE_RW);
	bench_check(&b);
	/* munmap drops the slot without reading it */
	assert_int_equal(sys_swap_out(&b.cx, BASE), 0);
	bench_watch(&b, 1, SITE_none);
	assert_int_equal(sys_munmap(&b.cx, BASE, 8 * PAGE_SIZE), 0);
	bench_watch(&b, 0, SITE_none);
	assert_int_equal(b.m->swap.inuse_pages, 0);
	bench_check(&b);
	bench_exit(&b, t);
	assert_true(list_empty(&b.m->init_mm.mmlist));
	down(&b);
}

static void test_refusals(void **state)
{
	struct task_struct *t;
	struct file *file;
	struct bench b;

	(void)state;
	t = up(&b, "levels=4 swap=1");
	file = file_create(&b.cx, 1, FMODE_READ);
	bench_mmap(&b, BASE + 0x100000, 1, PROT_READ, MAP_PRIVATE, file);
	bench_read(&b, BASE + 0x100000);
	bench_read(&b, BASE);
	bench_write(&b, BASE + PAGE_SIZE, 1);
	bench_write(&b, BASE + 2 * PAGE_SIZE, 2);
	assert_int_equal(sys_swap_out(&b.cx, BASE), 0);
	assert_int_equal(sys_swap_out(&b.cx, BASE + 0x100000), 0);
	assert_int_equal(sys_swap_out(&b.cx, BASE + 7 * PAGE_SIZE), 0);
	assert_int_equal(b.m->swap.inuse_pages, 0);
	assert_int_equal(sys_swap_out(&b.cx, BASE + 0x20000000), -EFAULT);
	assert_int_equal(sys_swap_out(&b.cx, ~(u64)0), -EFAULT);
	find_vma(&b.cx, t->mm, BASE)->vm_flags |= VM_LOCKED;
	assert_int_equal(sys_swap_out(&b.cx, BASE + PAGE_SIZE), -EBUSY);
	find_vma(&b.cx, t->mm, BASE)->vm_flags &= ~VM_LOCKED;
	assert_int_equal(b.m->swap.inuse_pages, 0);
	assert_int_equal(sys_swap_out(&b.cx, BASE + PAGE_SIZE), 0);
	assert_int_equal(sys_swap_out(&b.cx, BASE + PAGE_SIZE), 0);
	assert_int_equal(sys_swap_out(&b.cx, BASE + 2 * PAGE_SIZE), -ENOSPC);
	bench_check(&b);
	bench_exit(&b, t);
	file_close(&b.cx, file);
	down(&b);
}

/* Counts through all their digits and back, against plain arithmetic. */
static void test_digits(void **state)
{
	const u32 most = 400;
	struct task_struct *t;
	struct bench b;
	u32 slot;

	(void)state;
	t = up(&b, "levels=4 swap=8 swap_count_bits=2");
	slot = get_swap_page(&b.cx);
	assert_int_equal(slot, 1);
	for (u32 n = 0; n < most; n++) {
		assert_int_equal(swap_count(b.m, slot), n);
		assert_int_equal(swap_duplicate(&b.cx, slot, SITE_none), 0);
	}
	/* 3 * 8 * 8 is less than 400: four digits, three pages */
	assert_int_equal(b.m->nr_alloc[PAGE_SWAP_CONT], 3);
	for (u32 n = most; n; n--) {
		assert_int_equal(swap_count(b.m, slot), n);
		swap_free(&b.cx, slot);
	}
	assert_int_equal(b.m->swap.swap_map[slot], SWAP_HAS_CACHE);
	/* up again in the pages that are there, whatever they say */
	bench_watch(&b, 1, SITE_none);
	for (u32 n = 0; n < most; n++)
		assert_int_equal(swap_duplicate(&b.cx, slot, SITE_try_to_unmap_cont), 0);
	assert_int_equal(b.nr_met, 0);
	/* one that is not needed is given back, and one that cannot be had is not missed then */
	assert_int_equal(add_swap_count_continuation(&b.cx, slot, SITE_copy_pte_range_cont, 0), 0);
	bench_watch(&b, 0, SITE_none);
	assert_int_equal(add_swap_count_continuation(&b.cx, slot, SITE_copy_pte_range_cont, 0), 0);
	assert_int_equal(b.m->nr_alloc[PAGE_SWAP_CONT], 3);
	for (u32 n = most; n; n--)
		swap_free(&b.cx, slot);
	b.m->swap.swap_map[slot] = 0;
	b.m->swap.inuse_pages = 0;
	b.m->swap.lowest_bit = 1;
	bench_check(&b);
	bench_exit(&b, t);
	down(&b);
}

/* The count's own bounds: nothing goes below zero. */
static void test_count_bug(void **state)
{
	struct bench b;
	u32 slot;

	(void)state;
	up(&b, "levels=4 swap=8");
	slot = get_swap_page(&b.cx);
	assert_bug(&b, FL_BUG_INVARIANT, swap_free(&b.cx, slot));
	bench_abandon(&b);
}

/* Three mms share a page in swap; the last that is left has it alone. */
static void test_fork(void **state)
{
	struct task_struct *t, *c1, *c2;
	struct bench b;
	u32 slot;

	(void)state;
	t = up(&b, "levels=4 swap=8");
	bench_write(&b, BASE, 0x11);
	assert_int_equal(do_fork(&b.cx, 0, &c1), 0);
	assert_int_equal(sys_swap_out(&b.cx, BASE), 0);
	slot = slot_at(&b, t->mm, BASE);
	assert_int_equal(slot_at(&b, c1->mm, BASE), slot);
	assert_int_equal(b.m->swap.swap_map[slot], 2);
	assert_int_equal(do_fork(&b.cx, 0, &c2), 0);
	assert_int_equal(b.m->swap.swap_map[slot], 3);
	assert_int_equal(c2->mm->rss_stat[MM_SWAPENTS], 1);
	/* directly behind its parent */
	assert_ptr_equal(t->mm->mmlist.next, &c2->mm->mmlist);
	bench_check(&b);

	/* back for one: shared with two entries, found by the root of the family */
	bench_read(&b, BASE);
	assert_int_equal(b.m->swap.swap_map[slot], 2 | SWAP_HAS_CACHE);
	assert_ptr_equal(b.m->swap.slots[slot].page->anon_vma,
			 find_vma(&b.cx, t->mm, BASE)->anon_vma->root);
	bench_write(&b, BASE, 0x12);
	assert_int_equal(b.m->swap.slots[slot].page->_mapcount, 0);
	bench_check(&b);
	run_on(&b.cx, 0, c1);
	assert_int_equal(bench_read(&b, BASE), 0x11);
	bench_exit(&b, c1);
	bench_check(&b);
	/* the page that nobody maps goes with the last entry */
	bench_exit(&b, c2);
	assert_int_equal(b.m->swap.inuse_pages, 0);
	bench_check(&b);
	run_on(&b.cx, 0, t);
	assert_int_equal(bench_read(&b, BASE), 0x12);
	bench_exit(&b, t);
	down(&b);
}

/* A fork takes its entries back wherever it fails; the second attempt alone can fail it. */
static void test_fork_continuation(void **state)
{
	struct task_struct *t, *child[3], *none;
	struct bench b;
	u32 slot;

	(void)state;
	t = up(&b, "levels=4 swap=8 swap_count_bits=2");
	bench_write(&b, BASE, 0x11);
	assert_int_equal(sys_swap_out(&b.cx, BASE), 0);
	slot = slot_at(&b, t->mm, BASE);
	assert_int_equal(do_fork(&b.cx, 0, &child[0]), 0);
	assert_int_equal(b.m->swap.swap_map[slot], 2);

	bench_watch(&b, 0, SITE_copy_one_pte_cont);
	assert_int_equal(do_fork(&b.cx, 0, &child[1]), 0);
	assert_int_equal(bench_met(&b, SITE_copy_one_pte_cont), 1);
	assert_int_equal(bench_met(&b, SITE_copy_pte_range_cont), 1);
	assert_int_equal(b.m->swap.swap_map[slot], COUNT_CONTINUED);
	assert_int_equal(swap_count(b.m, slot), 3);
	bench_check(&b);
	/* the page is there now: no request, also when a fork fails late */
	bench_watch(&b, 0, SITE_copy_process_pid);
	assert_int_equal(do_fork(&b.cx, 0, &none), -ENOMEM);
	assert_int_equal(bench_met(&b, SITE_copy_one_pte_cont), 0);
	assert_int_equal(swap_count(b.m, slot), 3);
	bench_check(&b);
	bench_watch(&b, 0, SITE_none);
	bench_exit(&b, child[0]);
	bench_exit(&b, child[1]);
	assert_int_equal(b.m->swap.swap_map[slot], 1);
	run_on(&b.cx, 0, t);
	free_swap_count_continuations(&b.cx);
	assert_int_equal(b.m->nr_alloc[PAGE_SWAP_CONT], 1); /* a slot is in use */
	bench_exit(&b, t);
	down(&b);
}

/* Swapping out stops where a count has no room; those done by then have a swap entry. */
static void test_partial(void **state)
{
	struct task_struct *t, *child[3];
	struct page *page;
	struct bench b;
	u32 slot;

	(void)state;
	t = up(&b, "levels=4 swap=8 swap_count_bits=2");
	bench_write(&b, BASE, 0x11);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(do_fork(&b.cx, 0, &child[i]), 0);
	page = pfn_to_page(b.m, pte_pfn(bench_pte(&b, t->mm, BASE)));
	assert_int_equal(page->_mapcount, 4);
	bench_watch(&b, 0, SITE_try_to_unmap_cont);
	assert_int_equal(sys_swap_out(&b.cx, BASE), -ENOMEM);
	bench_watch(&b, 0, SITE_none);
	assert_int_equal(page->_mapcount, 2);
	slot = page->swap;
	assert_int_equal(b.m->swap.swap_map[slot], 2 | SWAP_HAS_CACHE);
	bench_check(&b);
	for (unsigned int i = 0; i < 3; i++) {
		run_on(&b.cx, 0, child[i]);
		assert_int_equal(bench_read(&b, BASE), 0x11);
	}
	run_on(&b.cx, 0, t);
	assert_int_equal(sys_swap_out(&b.cx, BASE), 0);
	assert_int_equal(swap_count(b.m, slot), 4);
	bench_check(&b);
	for (unsigned int i = 0; i < 3; i++)
		bench_exit(&b, child[i]);
	bench_exit(&b, t);
	down(&b);
}

static void test_swapoff(void **state)
{
	struct task_struct *t, *child;
	struct bench b;

	(void)state;
	t = up(&b, "levels=4 swap=8 swap_count_bits=2");
	for (u64 i = 0; i < 4; i++)
		bench_write(&b, BASE + i * PAGE_SIZE, 0x10 + i);
	assert_int_equal(sys_swap_out(&b.cx, BASE), 0);
	assert_int_equal(do_fork(&b.cx, 0, &child), 0);
	assert_int_equal(sys_swap_out(&b.cx, BASE + PAGE_SIZE), 0);
	bench_watch(&b, 0, SITE_swapoff_acct);
	assert_int_equal(sys_swapoff(&b.cx), -ENOMEM);
	/* a signal stops it before a slot, with swap as it was */
	bench_watch(&b, 0, SITE_swapoff_signal);
	assert_int_equal(sys_swapoff(&b.cx), -EINTR);
	assert_int_equal(b.m->swap.inuse_pages, 2);
	t->signal_pending = true;
	bench_watch(&b, 0, SITE_none);
	assert_int_equal(sys_swapoff(&b.cx), -EINTR);
	assert_int_equal(b.m->swap.inuse_pages, 2);
	assert_true(b.m->swap.on);
	t->signal_pending = false;
	bench_watch(&b, 5, SITE_none);
	assert_int_equal(sys_swapoff(&b.cx), -ENOMEM);
	assert_int_equal(b.met[4], SITE_swapoff_page);
	assert_int_equal(b.m->swap.inuse_pages, 1);
	bench_check(&b);
	bench_watch(&b, 0, SITE_none);
	assert_int_equal(sys_swapoff(&b.cx), 0);
	assert_int_equal(b.nr_met, 3); /* what an attempt got done stays */
	assert_false(b.m->swap.on);
	assert_int_equal(b.m->swap.inuse_pages, 0);
	assert_int_equal(t->mm->rss_stat[MM_SWAPENTS], 0);
	assert_int_equal(child->mm->rss_stat[MM_SWAPENTS], 0);
	assert_int_equal(atomic_read(&b.m->init_mm.mm_users), 2);
	bench_check(&b);
	for (u64 i = 0; i < 4; i++)
		assert_int_equal(bench_read(&b, BASE + i * PAGE_SIZE), 0x10 + i);
	assert_int_equal(sys_swap_out(&b.cx, BASE), -ENOSPC);
	assert_int_equal(sys_swapoff(&b.cx), -EINVAL);
	bench_exit(&b, child);
	bench_exit(&b, t);
	down(&b);
}

/* With half of the area in use a page that comes back does not keep its slot. */
static void test_full(void **state)
{
	struct task_struct *t;
	struct bench b;

	(void)state;
	t = up(&b, "levels=4 swap=4");
	for (u64 i = 0; i < 4; i++)
		bench_write(&b, BASE + i * PAGE_SIZE, 0x10 + i);
	for (u64 i = 0; i < 3; i++)
		assert_int_equal(sys_swap_out(&b.cx, BASE + i * PAGE_SIZE), 0);
	assert_true(vm_swap_full(b.m));
	bench_read(&b, BASE);
	assert_int_equal(b.m->swap.inuse_pages, 2);
	assert_false(vm_swap_full(b.m));
	bench_read(&b, BASE + PAGE_SIZE);
	assert_int_equal(b.m->swap.inuse_pages, 2);
	bench_check(&b);
	bench_exit(&b, t);
	down(&b);
}

/* Where an anonymous page is shows in the strict digest only. */
static void test_digest(void **state)
{
	struct task_struct *t;
	struct bench b;
	u64 d, strict;
	u32 slot;

	(void)state;
	t = up(&b, "levels=4 swap=8");
	bench_write(&b, BASE, 0x11);
	bench_write(&b, BASE + PAGE_SIZE, 0x12);
	d = fl_digest(b.m, false);
	strict = fl_digest(b.m, true);
	assert_int_equal(sys_swap_out(&b.cx, BASE), 0);
	assert_int_equal(fl_digest(b.m, false), d);
	assert_int_not_equal(fl_digest(b.m, true), strict);
	/* the slot's number is of no account, its content is */
	assert_int_equal(sys_swap_out(&b.cx, BASE + PAGE_SIZE), 0);
	bench_write(&b, BASE, 0x11);
	assert_int_equal(sys_swap_out(&b.cx, BASE), 0);
	assert_int_equal(fl_digest(b.m, false), d);
	slot = slot_at(&b, t->mm, BASE);
	b.m->swap.slots[slot].tag++;
	assert_int_not_equal(fl_digest(b.m, false), d);
	bench_exit(&b, t);
	down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_out_and_in), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_digits),	   cmocka_unit_test(test_count_bug),
		cmocka_unit_test(test_fork),	   cmocka_unit_test(test_fork_continuation),
		cmocka_unit_test(test_partial),	   cmocka_unit_test(test_swapoff),
		cmocka_unit_test(test_full),	   cmocka_unit_test(test_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
