/* SPDX-License-Identifier: GPL-2.0-only */
/* The area for stepping out of line and the calls to be seen returning, from a hit to mmput(). */
#include "mm_bench.h"

#define IMAGE 0x8048000u
#define XOL   0xccu

static void test_area(void **state)
{
	static const char *const options[] = {"", "levels=2", "levels=3 kernel_pmd=shared",
					      "levels=5 cpus=2"};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(options); i++) {
		const struct vm_area_struct *vma;
		struct task_struct *t;
		struct page *page;
		struct bench b;
		u64 total, addr;

		bench_up(&b, options[i]);
		t = bench_exec(&b, IMAGE);
		total = t->mm->total_vm;
		addr = (u64)uprobe_step(&b.cx);
		vma = find_vma(&b.cx, t->mm, addr);
		/* the first slot is the trampoline's */
		assert_int_equal(vma->vm_start + 128, addr);
		assert_int_equal(vma->vm_end, vma->vm_start + PAGE_SIZE);
		assert_int_equal(vma->vm_flags & ~VM_SOFTDIRTY,
				 VM_EXEC | VM_MAYEXEC | VM_DONTCOPY | VM_IO | VM_DONTEXPAND);
		assert_int_equal(t->mm->total_vm, total + 1);
		assert_true(t->mm->flags & MMF_HAS_UPROBES);
		page = t->mm->xol_area->xol_mapping.pages[0];
		assert_int_equal(atomic_read(&page->_refcount), 1);
		assert_int_equal(bench_read(&b, addr), XOL);
		assert_int_equal(atomic_read(&page->_refcount), 2);
		bench_check(&b);

		/* once for all hits, also when it is not mapped any more */
		bench_watch(&b, 0, SITE_none);
		assert_int_equal(uprobe_step(&b.cx), addr);
		assert_int_equal(b.nr_met, 0);
		assert_int_equal(sys_munmap(&b.cx, vma->vm_start, PAGE_SIZE), 0);
		assert_int_equal(atomic_read(&page->_refcount), 1);
		assert_int_equal(uprobe_step(&b.cx), addr);
		assert_null(find_vma_intersection(&b.cx, t->mm, addr, addr + 1));
		bench_check(&b);
		bench_exit(&b, t);
		bench_down(&b);
	}
}

/* the area goes before exit_mmap(), and the page with the entry that still maps it. */
static void test_exit(void **state)
{
	struct task_struct *t;
	struct page *page;
	struct bench b;

	(void)state;
	bench_up(&b, "");
	t = bench_exec(&b, IMAGE);
	bench_read(&b, (u64)uprobe_step(&b.cx));
	assert_int_equal(uprobe_call(&b.cx, 1), 0);
	page = t->mm->xol_area->xol_mapping.pages[0];
	uprobe_clear_state(&b.cx, t->mm);
	assert_int_equal(b.m->caches[CACHE_xol_area].live, 0);
	assert_int_equal(b.m->caches[CACHE_xol_bitmap].live, 0);
	assert_int_equal(page->type, PAGE_KERNEL);
	assert_int_equal(atomic_read(&page->_refcount), 1);
	bench_exit(&b, t);
	assert_int_equal(b.m->nr_alloc[PAGE_KERNEL], 0);
	bench_down(&b);
}

/* Every request of a first hit refused, and the area's address taken. */
static void test_refused(void **state)
{
	struct task_struct *t;
	struct bench b;
	u64 digest;

	(void)state;
	bench_up(&b, "");
	t = bench_exec(&b, IMAGE);
	digest = fl_digest(b.m, false);
	/* the task's own part stays from the second try on */
	bench_watch(&b, 1, SITE_none);
	assert_int_equal(uprobe_step(&b.cx), -ENOMEM);
	assert_int_equal(b.met[0], SITE_uprobe_task);
	for (u32 nth = 2; nth <= 5; nth++) {
		static const enum fl_site sites[] = {SITE_xol_area, SITE_xol_bitmap, SITE_xol_page,
						     SITE_special_mapping_vma};

		bench_watch(&b, 0, sites[nth - 2]);
		assert_int_equal(uprobe_step(&b.cx), -ENOMEM);
		bench_watch(&b, 0, SITE_none);
		assert_int_equal(b.m->caches[CACHE_xol_area].live, 0);
		assert_int_equal(b.m->caches[CACHE_xol_bitmap].live, 0);
		assert_int_equal(b.m->nr_alloc[PAGE_KERNEL], 0);
		assert_int_equal(fl_digest(b.m, false), digest);
		bench_check(&b);
	}
	assert_int_equal(uprobe_return(&b.cx, &digest), -EINVAL);
	bench_watch(&b, 0, SITE_uprobe_return_instance);
	assert_int_equal(uprobe_call(&b.cx, 1), -ENOMEM);
	bench_watch(&b, 0, SITE_none);
	/* by then the area was made, and it stays */
	assert_non_null(t->mm->xol_area);
	bench_check(&b);
	bench_exit(&b, t);
	bench_down(&b);

	bench_up(&b, "uprobes=0");
	t = bench_exec(&b, IMAGE);
	assert_int_equal(uprobe_step(&b.cx), -ENOSYS);
	assert_int_equal(uprobe_call(&b.cx, 1), -ENOSYS);
	assert_int_equal(uprobe_return(&b.cx, &digest), -ENOSYS);
	bench_exit(&b, t);
	bench_down(&b);
}

static void test_depth(void **state)
{
	struct task_struct *t;
	struct bench b;
	u64 func;

	(void)state;
	bench_up(&b, "");
	t = bench_exec(&b, IMAGE);
	for (u64 i = 0; i < 64; i++)
		assert_int_equal(uprobe_call(&b.cx, i), 0);
	assert_int_equal(uprobe_call(&b.cx, 64), -EOVERFLOW);
	bench_check(&b);
	for (u64 i = 64; i-- > 0;) {
		assert_int_equal(uprobe_return(&b.cx, &func), 0);
		assert_int_equal(func, i);
	}
	assert_int_equal(uprobe_return(&b.cx, &func), -EINVAL);
	bench_exit(&b, t);
	bench_down(&b);
}

/* Without a call to return from the child has nothing of it; with one, all. */
static void test_fork(void **state)
{
	struct task_struct *t, *child;
	struct bench b;
	u64 addr, func;

	(void)state;
	bench_up(&b, "");
	t = bench_exec(&b, IMAGE);
	addr = (u64)uprobe_step(&b.cx);
	assert_int_equal(do_fork(&b.cx, 0, &child), 0);
	assert_null(child->utask);
	assert_null(child->mm->xol_area);
	assert_int_equal(child->mm->total_vm, t->mm->total_vm - 1);
	assert_true(child->mm->flags & MMF_RECALC_UPROBES);
	bench_check(&b);
	bench_exit(&b, child);

	run_on(&b.cx, 0, t);
	assert_int_equal(uprobe_call(&b.cx, 7), 0);
	assert_int_equal(uprobe_call(&b.cx, 8), 0);
	assert_int_equal(do_fork(&b.cx, 0, &child), 0);
	assert_int_equal(child->utask->depth, 2);
	assert_ptr_not_equal(child->utask->return_instances, t->utask->return_instances);
	assert_int_equal(child->mm->xol_area->vaddr, t->mm->xol_area->vaddr);
	assert_ptr_not_equal(child->mm->xol_area->xol_mapping.pages[0],
			     t->mm->xol_area->xol_mapping.pages[0]);
	bench_check(&b);
	run_on(&b.cx, 0, child);
	assert_int_equal(bench_read(&b, addr), XOL);
	assert_int_equal(uprobe_return(&b.cx, &func), 0);
	assert_int_equal(func, 8);
	bench_exit(&b, child);

	/* who shares the mm returns through the same page; a thread has nothing to return from */
	run_on(&b.cx, 0, t);
	bench_watch(&b, 0, SITE_none);
	assert_int_equal(do_fork(&b.cx, CLONE_VM, &child), 0);
	assert_int_equal(bench_met(&b, SITE_dup_utask_utask), 0);
	bench_exit(&b, child);
	run_on(&b.cx, 0, t);
	assert_int_equal(do_fork(&b.cx, CLONE_VM | CLONE_VFORK, &child), 0);
	assert_int_equal(child->utask->depth, 2);
	assert_int_equal(bench_met(&b, SITE_xol_area), 0);
	bench_exit(&b, child);
	bench_exit(&b, t);
	bench_down(&b);
}

/* What cannot be had for the child is no reason for it not to be born, but it is told. */
static void test_fork_refused(void **state)
{
	static const enum fl_site sites[] = {SITE_dup_utask_utask, SITE_dup_utask_instance,
					     SITE_xol_area,	   SITE_xol_bitmap,
					     SITE_xol_page,	   SITE_special_mapping_vma};
	struct task_struct *t, *child;
	struct bench b;

	(void)state;
	bench_up(&b, "");
	t = bench_exec(&b, IMAGE);
	assert_int_equal(uprobe_call(&b.cx, 7), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(sites); i++) {
		b.probed = NULL;
		bench_watch(&b, 0, sites[i]);
		assert_int_equal(do_fork(&b.cx, 0, &child), 0);
		assert_string_equal(b.probed,
				    i < 2 ? "uprobe: dup ret instances" : "uprobe: dup xol area");
		assert_int_equal(bench_met(&b, sites[i]), 1);
		bench_watch(&b, 0, SITE_none);
		assert_int_equal(child->utask != NULL, i > 0);
		assert_int_equal(child->utask ? child->utask->depth : 0, i > 1);
		assert_null(child->mm->xol_area);
		bench_check(&b);
		bench_exit(&b, child);
		run_on(&b.cx, 0, t);
	}
	/* B-13: a fork that fails before anything was copied must not free the parent's */
	for (u32 nth = 1; nth < 30; nth++) {
		bench_watch(&b, nth, SITE_none);
		if (!do_fork(&b.cx, 0, &child)) {
			bench_watch(&b, 0, SITE_none);
			bench_exit(&b, child);
			run_on(&b.cx, 0, t);
		}
		bench_watch(&b, 0, SITE_none);
		assert_non_null(t->mm->xol_area);
		bench_check(&b);
	}
	bench_exit(&b, t);
	bench_down(&b);
}

/* An image that is replaced takes its calls and its area along. */
static void test_exec(void **state)
{
	struct exec_image image = {.stack_pages = 1};
	struct task_struct *t;
	struct bench b;
	bool killed;

	(void)state;
	bench_up(&b, "");
	t = bench_exec(&b, IMAGE);
	assert_int_equal(uprobe_call(&b.cx, 7), 0);
	bench_read(&b, t->mm->xol_area->vaddr);
	assert_int_equal(sys_execve(&b.cx, &image, &killed), 0);
	assert_null(t->utask);
	assert_null(t->mm->xol_area);
	assert_int_equal(b.m->nr_alloc[PAGE_KERNEL], 0);
	bench_check(&b);
	bench_exit(&b, t);
	bench_down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_area),	cmocka_unit_test(test_exit),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_depth),
		cmocka_unit_test(test_fork),	cmocka_unit_test(test_fork_refused),
		cmocka_unit_test(test_exec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
