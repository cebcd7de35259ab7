/* SPDX-License-Identifier: GPL-2.0-only */
/* How tasks end: order of the last references, lazy TLB, vfork, owners (facts §4.3-§4.12, §24). */
#include "machine_fixture.h"

static const struct exec_image small_image = {.stack_pages = 1};

/* The mm goes in two steps: its mappings with the last user, its struct with the last borrower. */
static void test_lazy(void **state)
{
	struct task_struct *child;
	struct mm_struct *mm;
	struct fixture fx;
	struct totals before;

	(void)state;
	fixture_create(&fx, "malloc", "cpus=2");
	fixture_boot(&fx);
	before = fixture_totals(&fx);
	assert_int_equal(do_fork(&fx.cx, 0, &child), 0);
	mm = child->mm;
	run_on(&fx.cx, 1, child);
	assert_int_equal(child->cpu, 1);
	assert_int_equal(mm->cpu_vm_mask, 2);
	fixture_check(&fx);

	do_exit(&fx.cx);
	fixture_check(&fx);
	assert_int_equal(child->state, TASK_DEAD);
	assert_null(child->mm);
	assert_ptr_equal(child->active_mm, mm);
	assert_int_equal(atomic_read(&mm->mm_users), 0);
	assert_int_equal(atomic_read(&mm->mm_count), 1);
	assert_int_equal(atomic_read(&child->usage), 1);
	assert_int_equal(mm->nr_ptes, 0);
	assert_null(mm->exe_file);
	assert_int_equal(fx.m->nr_mms, 2);
	assert_int_equal(fx.m->nr_tasks, 2);
	/* the flush of the teardown found the CPU without a user of the mm */
	assert_ptr_equal(fx.m->rqs[1].loaded, &fx.m->init_mm);

	/* the next task takes the CPU: task and mm go, in this switch */
	run_on(&fx.cx, 1, fx.init);
	assert_int_equal(fx.m->nr_mms, 1);
	assert_int_equal(fx.m->nr_tasks, 1);
	assert_totals(&fx, &before);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

/* An idle CPU keeps a living mm, and lets a dead one go when it is told to be idle again. */
static void test_idle(void **state)
{
	struct task_struct *child;
	struct mm_struct *mm;
	struct fixture fx;

	(void)state;
	fixture_create(&fx, "malloc", "cpus=3");
	fixture_boot(&fx);
	assert_int_equal(do_fork(&fx.cx, 0, &child), 0);
	mm = child->mm;
	run_on(&fx.cx, 2, child);
	run_on(&fx.cx, 2, NULL);
	assert_ptr_equal(fx.cx.curr, fx.m->rqs[2].idle);
	assert_int_equal(fx.cx.cpu, 2);
	assert_ptr_equal(fx.m->rqs[2].idle->active_mm, mm);
	assert_ptr_equal(fx.m->rqs[2].loaded, mm);
	assert_int_equal(atomic_read(&mm->mm_count), 2);
	fixture_check(&fx);

	run_on(&fx.cx, 1, child);
	assert_int_equal(mm->cpu_vm_mask, 6);
	do_exit(&fx.cx);
	run_on(&fx.cx, 1, NULL);
	assert_int_equal(fx.m->nr_mms, 2);
	assert_int_equal(atomic_read(&mm->mm_users), 0);
	assert_int_equal(atomic_read(&mm->mm_count), 1);
	fixture_check(&fx);
	run_on(&fx.cx, 2, NULL);
	assert_int_equal(fx.m->nr_mms, 1);
	assert_ptr_equal(fx.m->rqs[2].idle->active_mm, &fx.m->init_mm);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

/* A CPU that was made to leave an mm while it was lazy loads it anew. */
static void test_leave_and_return(void **state)
{
	struct fixture fx;
	struct mm_struct *mm;
	u64 flushes;

	(void)state;
	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	mm = fx.init->mm;
	run_on(&fx.cx, 0, NULL);
	flush_tlb_mm(&fx.cx, mm);
	assert_ptr_equal(fx.m->rqs[0].loaded, &fx.m->init_mm);
	assert_int_equal(mm->cpu_vm_mask, 0);
	fixture_check(&fx);
	flushes = fx.m->rqs[0].tlb_flushes;
	run_on(&fx.cx, 0, fx.init);
	assert_ptr_equal(fx.m->rqs[0].loaded, mm);
	assert_int_equal(mm->cpu_vm_mask, 1);
	assert_int_equal(fx.m->rqs[0].tlb_flushes, flushes + 1);
	fixture_check(&fx);
	/* the same again changes nothing */
	run_on(&fx.cx, 0, fx.init);
	assert_int_equal(fx.m->rqs[0].tlb_flushes, flushes + 1);
	fixture_destroy(&fx);
}

/* A task that is current on one CPU can be put on another; it is never on two. */
static void test_migrate(void **state)
{
	struct fixture fx;

	(void)state;
	fixture_create(&fx, "malloc", "cpus=2");
	fixture_boot(&fx);
	run_on(&fx.cx, 1, fx.init);
	assert_ptr_equal(fx.m->rqs[0].curr, fx.m->rqs[0].idle);
	assert_ptr_equal(fx.m->rqs[1].curr, fx.init);
	assert_int_equal(atomic_read(&fx.init->usage), 2);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

static void vfork(struct fixture *fx, u32 flags, struct task_struct **child)
{
	assert_int_equal(do_fork(&fx->cx, CLONE_VFORK | flags, child), 0);
	assert_int_equal(fx->init->state, TASK_VFORK_WAIT);
	assert_ptr_equal((*child)->vfork_parent, fx->init);
	fixture_check(fx);
	fixture_run(fx, *child);
	assert_int_equal(fx->init->state, TASK_VFORK_WAIT);
}

/* The parent waits until the child execs or exits, whether or not they share the mm. */
static void test_vfork(void **state)
{
	static const u32 flags[] = {CLONE_VM, 0};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(flags); i++) {
		struct task_struct *child;
		struct fixture fx;
		struct totals before;
		bool killed;

		fixture_create(&fx, "malloc", "");
		fixture_boot(&fx);
		before = fixture_totals(&fx);

		vfork(&fx, flags[i], &child);
		do_exit(&fx.cx);
		assert_int_equal(fx.init->state, TASK_RUNNING);
		fixture_check(&fx);
		fixture_run(&fx, fx.init);
		assert_totals(&fx, &before);

		vfork(&fx, flags[i], &child);
		/* an exec that fails early wakes nobody */
		fixture_arm(&fx, 1);
		assert_int_equal(sys_execve(&fx.cx, &small_image, &killed), -ENOMEM);
		assert_int_equal(fx.init->state, TASK_VFORK_WAIT);
		fixture_arm(&fx, 0);
		assert_int_equal(sys_execve(&fx.cx, &small_image, &killed), 0);
		assert_int_equal(fx.init->state, TASK_RUNNING);
		assert_null(child->vfork_parent);
		assert_ptr_not_equal(child->mm, fx.init->mm);
		assert_int_equal(atomic_read(&fx.init->mm->mm_users), 1);
		fixture_check(&fx);
		do_exit(&fx.cx);
		fixture_run(&fx, fx.init);
		assert_totals(&fx, &before);
		fixture_destroy(&fx);
	}
}

/* Children of a task that is gone have no parent to point at. */
static void test_orphans(void **state)
{
	struct task_struct *child, *grandchild;
	struct fixture fx;

	(void)state;
	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	assert_int_equal(do_fork(&fx.cx, 0, &child), 0);
	fixture_run(&fx, child);
	assert_int_equal(do_fork(&fx.cx, 0, &grandchild), 0);
	assert_ptr_equal(grandchild->real_parent, child);
	do_exit(&fx.cx);
	fixture_run(&fx, grandchild);
	assert_null(grandchild->real_parent);
	assert_int_equal(fx.m->nr_tasks, 2);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

/* Whom the mm is handed to: a child before a sibling before anybody else (facts §4.10). */
static void test_next_owner(void **state)
{
	struct task_struct *leader, *child, *sibling;
	struct mm_struct *mm;
	struct fixture fx;

	(void)state;
	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	assert_int_equal(do_fork(&fx.cx, 0, &leader), 0);
	fixture_run(&fx, leader);
	mm = leader->mm;
	assert_int_equal(do_fork(&fx.cx, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, &sibling), 0);
	assert_int_equal(do_fork(&fx.cx, CLONE_VM, &child), 0);
	assert_ptr_equal(sibling->real_parent, fx.init);
	assert_ptr_equal(mm->owner, leader);

	fixture_exit(&fx, leader);
	assert_ptr_equal(mm->owner, child);
	fixture_exit(&fx, child);
	assert_ptr_equal(mm->owner, sibling);
	fixture_exit(&fx, sibling);
	assert_null(mm->owner);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

/* Exit asks for memory only where it can do without (facts §12, §19.9). */
static void test_exit_never_fails(void **state)
{
	struct task_struct *child;
	struct fixture fx;
	struct totals before;

	(void)state;
	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	assert_true(sys_mmap(&fx.cx, 0x10000000, 600 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0) > 0);
	before = fixture_totals(&fx);
	for (unsigned int n = 0; n < 4; n++) {
		assert_int_equal(do_fork(&fx.cx, 0, &child), 0);
		fixture_run(&fx, child);
		for (u64 i = 0; i < 600; i++) {
			u64 tag = i;

			assert_int_equal(access_user(&fx.cx, 0x10000000 + i * PAGE_SIZE, true,
						     &tag),
					 ACCESS_OK);
		}
		fixture_arm(&fx, n);
		do_exit(&fx.cx);
		assert_int_equal(fx.met, fx.per_site[SITE_gather_batch]);
		assert_true(fx.met > 0);
		fixture_arm(&fx, 0);
		fixture_run(&fx, fx.init);
		assert_totals(&fx, &before);
		fixture_check(&fx);
	}
	fixture_destroy(&fx);
}

/* A kernel thread ends without an mm of its own; what it borrowed is given back. */
static void test_kernel_thread_exit(void **state)
{
	struct task_struct *kthread;
	struct fixture fx;

	(void)state;
	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	assert_int_equal(kernel_thread(&fx.cx, &kthread), 0);
	fixture_run(&fx, kthread);
	do_exit(&fx.cx);
	fixture_check(&fx);
	assert_int_equal(atomic_read(&fx.init->mm->mm_count), 2);
	fixture_run(&fx, fx.init);
	assert_int_equal(atomic_read(&fx.init->mm->mm_count), 1);
	assert_int_equal(fx.m->nr_tasks, 1);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

/* A backend that has no memory after so many requests. */
static unsigned int starve_left;

static void *starving_cache_create(void *inst, const char *name, size_t size, size_t align)
{
	if (starve_left-- == 0)
		return NULL;
	return fl_allocator_find("malloc")->cache_create(inst, name, size, align);
}

static void *starving_cache_alloc(void *inst, void *cache, uint32_t gfp)
{
	if (starve_left-- == 0)
		return NULL;
	return fl_allocator_find("malloc")->cache_alloc(inst, cache, gfp);
}

static void *starving_page_alloc(void *inst, unsigned int order, uint32_t gfp)
{
	if (starve_left-- == 0)
		return NULL;
	return fl_allocator_find("malloc")->page_alloc(inst, order, gfp);
}

/* A machine that the backend has no memory for is not made, and leaves nothing. */
static void test_create_starved(void **state)
{
	static const char *const levels[] = {"4", "3"};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(levels); i++) {
		struct fl_allocator_ops ops = *fl_allocator_find("malloc");
		struct fl_allocator_config acfg = {.size = sizeof(acfg)};
		struct fl_seams seams = {.bug = fixture_bug};
		struct fl_allocator_counts counts;
		struct machine_config cfg;
		struct machine *m = NULL;
		void *inst = ops.create(&acfg);
		char why[128];
		unsigned int n;

		ops.cache_create = starving_cache_create;
		ops.cache_alloc = starving_cache_alloc;
		ops.page_alloc = starving_page_alloc;
		machine_config_init(&cfg);
		machine_config_set(&cfg, "levels", 6, levels[i], 1, why, sizeof(why));
		cfg.cpus = 3;
		for (n = 0; !m; n++) {
			assert_true(n < 100);
			starve_left = n;
			m = machine_create(&cfg, &ops, inst, &seams);
			if (m)
				break;
			ops.counts(inst, &counts);
			assert_int_equal(counts.pages, 0);
			assert_int_equal(counts.objects, 0);
			assert_int_equal(counts.caches, 0);
		}
		assert_true(n > 15);
		machine_destroy(m);
		ops.counts(inst, &counts);
		assert_int_equal(counts.pages + counts.objects + counts.caches, 0);
		ops.destroy(inst);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lazy),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_leave_and_return),
		cmocka_unit_test(test_migrate),
		cmocka_unit_test(test_vfork),
		cmocka_unit_test(test_orphans),
		cmocka_unit_test(test_next_owner),
		cmocka_unit_test(test_exit_never_fails),
		cmocka_unit_test(test_kernel_thread_exit),
		cmocka_unit_test(test_create_starved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
