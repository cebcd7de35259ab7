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

/* ---- clear_child_tid ------------------------------------------------------------------------ */

#define TID 0x20000000u

static u64 load(struct fixture *fx, u64 addr)
{
	u64 tag = 0;

	assert_int_equal(access_user(&fx->cx, addr, false, &tag), ACCESS_OK);
	return tag;
}

static void store(struct fixture *fx, u64 addr, u64 tag)
{
	assert_int_equal(access_user(&fx->cx, addr, true, &tag), ACCESS_OK);
}

static void map_tids(struct fixture *fx)
{
	assert_int_equal(sys_mmap(&fx->cx, TID, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 TID);
	for (u64 i = 0; i < 4; i++)
		store(fx, TID + i * PAGE_SIZE, 7 + i);
}

/* Only while others use the mm, by exit and by exec, and the address is forgotten in any case. */
static void test_clear_child_tid(void **state)
{
	struct task_struct *a, *b, *c;
	struct fixture fx;
	bool killed;

	(void)state;
	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	map_tids(&fx);
	/* an address without the flag is none */
	assert_int_equal(do_fork_tid(&fx.cx, CLONE_VM, TID, &a), 0);
	assert_int_equal(a->clear_child_tid, 0);
	assert_int_equal(do_fork_tid(&fx.cx, CLONE_VM | CLONE_CHILD_CLEARTID, TID + PAGE_SIZE, &b),
			 0);
	assert_int_equal(b->clear_child_tid, TID + PAGE_SIZE);
	fixture_exit(&fx, a);
	fixture_run(&fx, b);
	assert_int_equal(sys_execve(&fx.cx, &small_image, &killed), 0);
	assert_int_equal(b->clear_child_tid, 0);
	/* now the only user of an mm */
	map_tids(&fx);
	assert_int_equal(sys_set_tid_address(&fx.cx, TID), 0);
	assert_int_equal(do_fork(&fx.cx, 0, &c), 0);
	assert_int_equal(c->clear_child_tid, 0);
	fixture_exit(&fx, b);
	assert_int_equal(b->clear_child_tid, 0);
	fixture_run(&fx, fx.init);
	assert_int_equal(load(&fx, TID), 7);
	assert_int_equal(load(&fx, TID + PAGE_SIZE), 0);
	fixture_check(&fx);

	fixture_exit(&fx, c);
	fixture_run(&fx, fx.init);
	assert_int_equal(kernel_thread(&fx.cx, &a), 0);
	fixture_run(&fx, a);
	assert_int_equal(sys_set_tid_address(&fx.cx, TID), -EINVAL);
	fixture_destroy(&fx);
}

/* A store that fails is as good as one that does not, but for the word. */
static void test_clear_child_tid_fails(void **state)
{
	static const u64 where[] = {TID, TID + 2 * PAGE_SIZE, 0x30000000, ~(u64)0};
	/* what is below the stack might become part of it */
	static const enum fl_site asked[] = {SITE_cow_page, SITE_none, SITE_expand_stack_as,
					     SITE_none};
	struct task_struct *child, *other;
	struct fixture fx;
	struct totals before;

	(void)state;
	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	map_tids(&fx);
	assert_int_equal(sys_mprotect(&fx.cx, TID + 2 * PAGE_SIZE, PAGE_SIZE, PROT_READ), 0);
	/* copy-on-write: the store needs a page */
	assert_int_equal(do_fork(&fx.cx, 0, &other), 0);
	before = fixture_totals(&fx);
	for (unsigned int i = 0; i < ARRAY_SIZE(where); i++) {
		assert_int_equal(do_fork_tid(&fx.cx, CLONE_VM | CLONE_VFORK | CLONE_CHILD_CLEARTID,
					     where[i], &child),
				 0);
		fixture_run(&fx, child);
		fixture_arm(&fx, 1);
		do_exit(&fx.cx);
		assert_int_equal(fx.refused, asked[i]);
		fixture_arm(&fx, 0);
		assert_int_equal(fx.init->state, TASK_RUNNING);
		fixture_run(&fx, fx.init);
		assert_totals(&fx, &before);
		fixture_check(&fx);
	}
	assert_int_equal(load(&fx, TID), 7);
	assert_int_equal(load(&fx, TID + 2 * PAGE_SIZE), 9);
	fixture_destroy(&fx);
}

/* ---- the last thread of a group (facts §4.9) ------------------------------------------------- */

/*
 * Threads die before the exec leaves the mm, on whatever CPU, waiting or not, and hand over what
 * they own; a word of theirs is cleared, since the caller is still there to see it.
 */
static void test_exec_ends_threads(void **state)
{
	struct task_struct *leader, *thread, *waits, *child, *foreign;
	struct mm_struct *mm;
	struct fixture fx;
	bool killed;

	(void)state;
	fixture_create(&fx, "malloc", "cpus=2");
	fixture_boot(&fx);
	assert_int_equal(do_fork(&fx.cx, 0, &leader), 0);
	fixture_run(&fx, leader);
	mm = leader->mm;
	map_tids(&fx);
	assert_int_equal(sys_set_tid_address(&fx.cx, TID), 0);
	assert_int_equal(do_fork(&fx.cx, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, &thread), 0);
	assert_int_equal(do_fork(&fx.cx, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, &waits), 0);
	assert_int_equal(do_fork(&fx.cx, CLONE_VM | CLONE_SIGHAND, &foreign), 0);
	run_on(&fx.cx, 1, waits);
	assert_int_equal(do_fork(&fx.cx, CLONE_VM | CLONE_VFORK, &child), 0);
	assert_int_equal(waits->state, TASK_VFORK_WAIT);
	assert_ptr_equal(mm->owner, leader);
	assert_int_equal(atomic_read(&mm->mm_users), 5);

	run_on(&fx.cx, 0, thread);
	/* no handlers of its own: the threads are gone all the same, and nothing else */
	for (unsigned int n = 1; fx.refused != SITE_de_thread_sighand; n++) {
		fixture_arm(&fx, n);
		assert_true(sys_execve(&fx.cx, &small_image, &killed) < 0);
		assert_false(killed);
	}
	fixture_arm(&fx, 0);
	assert_ptr_equal(fx.cx.curr, thread);
	assert_int_equal(fx.cx.cpu, 0);
	assert_ptr_equal(thread->mm, mm);
	assert_int_equal(atomic_read(&mm->mm_users), 3);
	assert_int_equal(atomic_read(&thread->signal->sigcnt), 2); /* one is still on its CPU */
	assert_null(child->vfork_parent);
	assert_int_equal(load(&fx, TID), 0);
	assert_true(mm->owner == thread || mm->owner == foreign || mm->owner == child);
	fixture_check(&fx);

	assert_int_equal(sys_execve(&fx.cx, &small_image, &killed), 0);
	assert_ptr_not_equal(thread->mm, mm);
	assert_int_equal(atomic_read(&mm->mm_users), 2);
	assert_int_equal(atomic_read(&thread->sighand->count), 1);
	assert_true(mm->owner == foreign || mm->owner == child);
	run_on(&fx.cx, 1, NULL);
	assert_int_equal(atomic_read(&thread->signal->sigcnt), 1);
	run_on(&fx.cx, 0, thread);
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
		cmocka_unit_test(test_clear_child_tid),
		cmocka_unit_test(test_clear_child_tid_fails),
		cmocka_unit_test(test_exec_ends_threads),
		cmocka_unit_test(test_create_starved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
