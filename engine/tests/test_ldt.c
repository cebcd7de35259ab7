/* SPDX-License-Identifier: GPL-2.0-only */
/* The LDT: written, inherited by a fork and by nothing else, and every refusal on the way. */
#include "mm_bench.h"

#define IMAGE 0x80000000u

static u64 ldt_entry(const struct mm_struct *mm, u32 idx)
{
	assert_non_null(mm->context.ldt);
	assert_true(idx < mm->context.ldt->size);
	return ((const u64 *)mm->context.ldt->entries->mem)[idx];
}

static void test_write(void **state)
{
	struct task_struct *t;
	struct bench b;
	u64 used;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	used = b.m->pages_in_use;
	assert_null(t->mm->context.ldt);
	assert_int_equal(sys_modify_ldt(&b.cx, LDT_ENTRIES, 1), -EINVAL);
	assert_int_equal(sys_modify_ldt(&b.cx, 3, 0x33), 0);
	assert_int_equal(t->mm->context.ldt->size, 4);
	assert_int_equal(ldt_entry(t->mm, 0), 0);
	assert_int_equal(ldt_entry(t->mm, 3), 0x33);
	assert_int_equal(b.m->pages_in_use, used + 1);

	/* it grows, never shrinks, and there is one at a time */
	assert_int_equal(sys_modify_ldt(&b.cx, 8191, 0x99), 0);
	assert_int_equal(t->mm->context.ldt->size, 8192);
	assert_int_equal(ldt_entry(t->mm, 3), 0x33);
	assert_int_equal(ldt_entry(t->mm, 8191), 0x99);
	assert_int_equal(b.m->pages_in_use, used + 16);
	assert_int_equal(sys_modify_ldt(&b.cx, 3, 0), 0);
	assert_int_equal(t->mm->context.ldt->size, 8192);
	assert_int_equal(ldt_entry(t->mm, 3), 0);
	assert_int_equal(b.m->nr_alloc[PAGE_LDT], 1);
	assert_int_equal(b.m->caches[CACHE_ldt_struct].live, 1);
	bench_check(&b);
	bench_exit(&b, t);
	bench_down(&b);
}

static void test_write_refused(void **state)
{
	struct task_struct *t;
	struct bench b;
	u32 n, pass;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	for (pass = 0; pass < 2; pass++) { /* without one before, and with */
		const struct ldt_struct *old = t->mm->context.ldt;
		struct bench_counts before, after;

		bench_count(&b, &before);
		for (n = 1; n <= 2; n++) {
			bench_watch(&b, n, SITE_none);
			assert_int_equal(sys_modify_ldt(&b.cx, 600, 1), -ENOMEM);
			assert_int_equal(b.nr_met, n);
			assert_ptr_equal(t->mm->context.ldt, old);
			bench_count(&b, &after);
			assert_memory_equal(&before, &after, sizeof(before));
		}
		assert_int_equal(b.met[0], SITE_ldt_write_struct);
		assert_int_equal(b.met[1], SITE_ldt_write_entries);
		bench_watch(&b, 0, SITE_none);
		assert_int_equal(sys_modify_ldt(&b.cx, 5, 0x55), 0);
	}
	assert_int_equal(ldt_entry(t->mm, 5), 0x55);
	bench_exit(&b, t);
	bench_down(&b);
}

static void test_fork(void **state)
{
	struct bench_counts before, after;
	struct task_struct *t, *child, *thread;
	struct bench b;
	u32 n, refused = 0;

	(void)state;
	bench_up(&b, "levels=3 kernel_pmd=private");
	t = bench_exec(&b, IMAGE);
	assert_int_equal(sys_modify_ldt(&b.cx, 700, 0x77), 0);

	/* either request refused: no child, and the parent's LDT is the parent's still (B-01) */
	bench_count(&b, &before);
	for (n = 1; n < 32; n++) {
		enum fl_site site;

		bench_watch(&b, n, SITE_none);
		if (do_fork(&b.cx, 0, &child) == 0)
			break;
		site = b.met[n - 1];
		refused += site == SITE_ldt_copy_struct || site == SITE_ldt_copy_entries;
		bench_watch(&b, 0, SITE_none);
		bench_count(&b, &after);
		assert_memory_equal(&before, &after, sizeof(before));
		assert_int_equal(ldt_entry(t->mm, 700), 0x77);
		bench_check(&b);
	}
	assert_int_equal(refused, 2);
	bench_watch(&b, 0, SITE_none);

	/* a copy of its own */
	assert_ptr_not_equal(child->mm->context.ldt, t->mm->context.ldt);
	assert_int_equal(child->mm->context.ldt->size, 701);
	assert_int_equal(ldt_entry(child->mm, 700), 0x77);
	run_on(&b.cx, 0, child);
	assert_int_equal(sys_modify_ldt(&b.cx, 700, 0x88), 0);
	assert_int_equal(ldt_entry(t->mm, 700), 0x77);
	bench_check(&b);
	bench_exit(&b, child);

	/* CLONE_VM shares it with the rest of the mm */
	run_on(&b.cx, 0, t);
	assert_int_equal(do_fork(&b.cx, CLONE_VM, &thread), 0);
	assert_ptr_equal(thread->mm->context.ldt, t->mm->context.ldt);
	bench_exit(&b, thread);
	run_on(&b.cx, 0, t);
	assert_int_equal(ldt_entry(t->mm, 700), 0x77);
	bench_exit(&b, t);
	bench_down(&b);
}

/* A new image starts without (B-14), and so does an mm that belongs to no task. */
static void test_exec(void **state)
{
	struct exec_segment seg = {.start = IMAGE, .len = PAGE_SIZE, .prot = PROT_READ};
	struct exec_image image = {.segments = &seg, .nr_segments = 1, .stack_pages = 1};
	struct task_struct *t;
	struct mm_struct *mm;
	struct bench b;
	bool killed = false;

	(void)state;
	bench_up(&b, "levels=4");
	t = bench_exec(&b, IMAGE);
	assert_int_equal(sys_modify_ldt(&b.cx, 1, 0x11), 0);
	bench_watch(&b, 0, SITE_none);
	mm = mm_alloc(&b.cx);
	assert_non_null(mm);
	assert_null(mm->context.ldt);
	mmput(&b.cx, mm);
	assert_int_equal(ldt_entry(t->mm, 1), 0x11);
	assert_int_equal(sys_execve(&b.cx, &image, &killed), 0);
	assert_null(t->mm->context.ldt);
	assert_int_equal(bench_met(&b, SITE_ldt_copy_struct), 0);
	assert_int_equal(b.m->caches[CACHE_ldt_struct].live, 0);
	assert_int_equal(b.m->nr_alloc[PAGE_LDT], 0);
	bench_exit(&b, t);
	bench_down(&b);
}

static void test_option(void **state)
{
	struct task_struct *t;
	struct bench b;

	(void)state;
	bench_up(&b, "levels=4 ldt=0");
	t = bench_exec(&b, IMAGE);
	assert_int_equal(sys_modify_ldt(&b.cx, 1, 1), -ENOSYS);
	assert_null(t->mm->context.ldt);
	bench_exit(&b, t);
	bench_down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write),  cmocka_unit_test(test_write_refused),
		cmocka_unit_test(test_fork),   cmocka_unit_test(test_exec),
		cmocka_unit_test(test_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
