/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who acts on an mm from outside or makes others leave it: kernel threads that use it, core dumps,
 * the OOM killer (facts §4.11, §23); and the places where others can be let in.
 */
#include "machine_fixture.h"

#define AT 0x20000000u

static u64 load(struct ctx *cx, u64 addr)
{
	u64 tag = 0;

	assert_int_equal(access_user(cx, addr, false, &tag), ACCESS_OK);
	return tag;
}

static void store(struct ctx *cx, u64 addr, u64 tag)
{
	assert_int_equal(access_user(cx, addr, true, &tag), ACCESS_OK);
}

static void boot(struct fixture *fx, const char *options)
{
	fixture_create(fx, "malloc", options);
	fixture_boot(fx);
	assert_int_equal(sys_mmap(&fx->cx, AT, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 AT);
	store(&fx->cx, AT, 7);
}

static struct task_struct *born(struct fixture *fx, u32 flags)
{
	struct task_struct *child;

	assert_int_equal(do_fork(&fx->cx, flags, &child), 0);
	return child;
}

/* ---- use_mm ---------------------------------------------------------------------------------- */

/* Counts of mm_count on the way in and out, with and without having borrowed the mm before. */
static void test_use_mm(void **state)
{
	struct task_struct *kthread, *child;
	struct mm_struct *mm;
	struct fixture fx;

	(void)state;
	boot(&fx, "cpus=2");
	child = born(&fx, 0);
	mm = child->mm;
	assert_int_equal(kernel_thread(&fx.cx, &kthread), 0);
	run_on(&fx.cx, 1, child);
	assert_int_equal(mm_pin(&fx.cx, 0, true), 0);
	assert_int_equal(atomic_read(&mm->mm_users), 2);

	/* on the CPU that has another mm: that one is let go */
	run_on(&fx.cx, 0, kthread);
	assert_ptr_equal(kthread->active_mm, fx.init->mm);
	assert_int_equal(atomic_read(&fx.init->mm->mm_count), 2);
	assert_int_equal(kthread_use_mm(&fx.cx, 0), 0);
	assert_int_equal(atomic_read(&fx.init->mm->mm_count), 1);
	assert_int_equal(atomic_read(&mm->mm_count), 2);
	assert_int_equal(atomic_read(&mm->mm_users), 2);
	assert_ptr_equal(fx.m->rqs[0].loaded, mm);
	assert_int_equal(mm->cpu_vm_mask, 3);
	assert_null(get_task_mm(&fx.cx, kthread));
	assert_int_equal(load(&fx.cx, AT), 7);
	fixture_check(&fx);

	/* the last task goes: the mappings stay, for the slot holds them */
	run_on(&fx.cx, 1, child);
	do_exit(&fx.cx);
	run_on(&fx.cx, 1, NULL);
	fixture_check(&fx);
	run_on(&fx.cx, 0, kthread);
	store(&fx.cx, AT, 8);
	assert_int_equal(mm_unpin(&fx.cx, 0), -EBUSY);
	assert_int_equal(kthread_unuse_mm(&fx.cx), 0);
	assert_null(kthread->mm);
	assert_ptr_equal(kthread->active_mm, mm);
	fixture_check(&fx);
	/* the last user: the thread's CPU is made to leave the mm, and only the struct is left */
	assert_int_equal(mm_unpin(&fx.cx, 0), 0);
	assert_int_equal(atomic_read(&mm->mm_users), 0);
	assert_true(atomic_read(&mm->mm_count) >= 1);
	assert_ptr_equal(fx.m->rqs[0].loaded, &fx.m->init_mm);
	fixture_check(&fx);
	run_on(&fx.cx, 0, fx.init);
	run_on(&fx.cx, 1, NULL);
	assert_int_equal(fx.m->nr_mms, 1);
	fixture_destroy(&fx);
}

/* A thread that borrows the mm already gets no second reference, and loads tables that it left. */
static void test_use_borrowed_mm(void **state)
{
	struct task_struct *kthread;
	struct mm_struct *mm;
	struct fixture fx;

	(void)state;
	boot(&fx, "");
	mm = fx.init->mm;
	assert_int_equal(mm_pin(&fx.cx, 3, true), 0);
	assert_int_equal(kernel_thread(&fx.cx, &kthread), 0);
	fixture_run(&fx, kthread);
	assert_int_equal(atomic_read(&mm->mm_count), 2);
	flush_tlb_mm(&fx.cx, mm);
	assert_ptr_equal(fx.m->rqs[0].loaded, &fx.m->init_mm);
	assert_int_equal(kthread_use_mm(&fx.cx, 3), 0);
	assert_int_equal(atomic_read(&mm->mm_count), 2);
	assert_ptr_equal(fx.m->rqs[0].loaded, mm);
	assert_int_equal(load(&fx.cx, AT), 7);
	fixture_check(&fx);
	/* switched away from in the middle, it keeps what it uses */
	fixture_run(&fx, fx.init);
	assert_ptr_equal(kthread->active_mm, mm);
	assert_int_equal(atomic_read(&mm->mm_count), 2);
	fixture_check(&fx);
	fixture_run(&fx, kthread);
	assert_int_equal(kthread_unuse_mm(&fx.cx), 0);
	do_exit(&fx.cx);
	fixture_run(&fx, fx.init);
	assert_int_equal(atomic_read(&mm->mm_count), 1);
	assert_int_equal(mm_unpin(&fx.cx, 3), 0);
	fixture_destroy(&fx);
}

/* ---- core dumps ------------------------------------------------------------------------------ */

/* everybody else waits with mm_users in hand, and nobody is left waiting. */
static void test_coredump(void **state)
{
	struct task_struct *dumper, *thread, *process, *copy;
	struct totals before;
	struct mm_struct *mm;
	struct fixture fx;

	(void)state;
	boot(&fx, "cpus=2");
	before = fixture_totals(&fx);
	dumper = born(&fx, 0);
	fixture_run(&fx, dumper);
	mm = dumper->mm;
	assert_int_equal(sys_set_tid_address(&fx.cx, AT), 0);
	thread = born(&fx, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD);
	process = born(&fx, CLONE_VM);
	copy = born(&fx, 0);
	run_on(&fx.cx, 1, process);
	assert_int_equal(sys_set_tid_address(&fx.cx, AT), 0);

	run_on(&fx.cx, 0, dumper);
	assert_int_equal(coredump_begin(&fx.cx), 0);
	assert_ptr_equal(fx.cx.curr, dumper);
	assert_ptr_equal(mm->core_state->dumper, dumper);
	assert_int_equal(mm->core_state->nr_threads, 0);
	assert_int_equal(thread->state, TASK_PARKED);
	assert_int_equal(process->state, TASK_PARKED);
	assert_int_equal(copy->state, TASK_RUNNING);
	assert_int_equal(atomic_read(&mm->mm_users), 3);
	assert_int_equal(atomic_read(&mm->mm_count), 1);
	assert_ptr_equal(process->mm, mm);
	/* what dies of a dump clears nothing: it is to be found in the core */
	assert_int_equal(load(&fx.cx, AT), 7);
	assert_int_equal(coredump_begin(&fx.cx), -EBUSY);
	fixture_check(&fx);

	assert_int_equal(coredump_end(&fx.cx), 0);
	assert_int_equal(dumper->state, TASK_DEAD);
	run_on(&fx.cx, 1, NULL);
	run_on(&fx.cx, 0, copy);
	assert_int_equal(coredump_end(&fx.cx), -EINVAL);
	fixture_check(&fx);
	do_exit(&fx.cx);
	fixture_run(&fx, fx.init);
	assert_totals(&fx, &before);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

/* A vfork parent that dies of its child's dump is not there to be woken by it. */
static void test_coredump_of_vfork_child(void **state)
{
	struct task_struct *parent, *child;
	struct totals before;
	struct fixture fx;

	(void)state;
	boot(&fx, "");
	before = fixture_totals(&fx);
	parent = born(&fx, 0);
	fixture_run(&fx, parent);
	child = born(&fx, CLONE_VM | CLONE_VFORK);
	assert_int_equal(parent->state, TASK_VFORK_WAIT);
	fixture_run(&fx, child);
	assert_int_equal(coredump_begin(&fx.cx), 0);
	assert_int_equal(parent->state, TASK_PARKED);
	assert_null(child->vfork_parent);
	fixture_check(&fx);
	assert_int_equal(coredump_end(&fx.cx), 0);
	fixture_run(&fx, fx.init);
	assert_totals(&fx, &before);
	fixture_destroy(&fx);
}

/* ---- the OOM killer -------------------------------------------------------------------------- */

static void test_oom_kill(void **state)
{
	struct task_struct *victim, *process, *thread, *kthread, *copy;
	struct totals before;
	struct mm_struct *mm;
	struct fixture fx;

	(void)state;
	boot(&fx, "cpus=2");
	before = fixture_totals(&fx);
	victim = born(&fx, 0);
	fixture_run(&fx, victim);
	mm = victim->mm;
	process = born(&fx, CLONE_VM);
	thread = born(&fx, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD);
	copy = born(&fx, 0);
	assert_int_equal(kernel_thread(&fx.cx, &kthread), 0);
	assert_int_equal(mm_pin(&fx.cx, 0, true), 0);
	fixture_run(&fx, kthread);
	assert_int_equal(oom_kill(&fx.cx), -EINVAL);
	assert_int_equal(kthread_use_mm(&fx.cx, 0), 0);
	assert_int_equal(oom_kill(&fx.cx), -EINVAL);
	run_on(&fx.cx, 1, thread);
	run_on(&fx.cx, 0, victim);
	assert_int_equal(oom_kill(&fx.cx), 0);
	assert_int_equal(victim->state, TASK_DEAD);
	assert_false(victim->memdie);
	(void)process;
	assert_int_equal(atomic_read(&mm->mm_users), 1);
	assert_null(mm->owner);
	fixture_check(&fx);
	run_on(&fx.cx, 1, NULL);
	run_on(&fx.cx, 0, kthread);
	assert_int_equal(fx.m->nr_tasks, 3);
	assert_int_equal(load(&fx.cx, AT), 7);
	assert_int_equal(kthread_unuse_mm(&fx.cx), 0);
	assert_int_equal(mm_unpin(&fx.cx, 0), 0);
	do_exit(&fx.cx);
	fixture_exit(&fx, copy);
	run_on(&fx.cx, 1, NULL);
	run_on(&fx.cx, 0, fx.init);
	assert_totals(&fx, &before);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

/* ---- letting others in ----------------------------------------------------------------------- */

struct visit {
	struct fixture *fx;
	struct task_struct *guest; /* who acts there, or NULL */
	struct mm_struct *mm;
	unsigned int reached[NR_SYNC_POINTS];
	enum fl_sync_point at; /* where the guest is let in */
	bool done;
	s64 ret;
	void (*act)(struct visit *v, struct ctx *host, struct ctx *cx);
};

static void reached(void *priv, struct ctx *cx, enum fl_sync_point point)
{
	struct visit *v = priv;
	struct ctx guest = {.m = cx->m, .curr = cx->curr, .cpu = cx->cpu, .steps = FIXTURE_STEPS};
	struct task_struct *host = cx->curr;
	unsigned int cpu = cx->cpu;

	v->reached[point]++;
	if (point != v->at || v->done)
		return;
	v->done = true;
	if (v->guest)
		run_on(&guest, v->guest->cpu, v->guest);
	v->act(v, cx, &guest);
	run_on(&guest, cpu, host);
}

static const struct fl_sync *visit(struct visit *v, struct fl_sync *sync)
{
	*sync = (struct fl_sync){.priv = v, .reached = reached};
	return sync;
}

static void dumps(struct visit *v, struct ctx *host, struct ctx *cx)
{
	(void)host;
	v->ret = coredump_begin(cx);
}

/*
 * F-76 as it happens: another process dumps the mm when an exec is about to leave it. The exec
 * gives up with the mm, and its caller is killed for the dump.
 */
static void test_exec_meets_dump(void **state)
{
	const struct exec_image image = {.stack_pages = 1};
	struct task_struct *execs, *other;
	struct mm_struct *mm;
	struct fixture fx;
	struct visit v = {.fx = &fx, .at = SYNC_exec_mmap_leaving};
	struct fl_sync sync;
	bool killed;

	(void)state;
	boot(&fx, "cpus=2");
	execs = born(&fx, 0);
	fixture_run(&fx, execs);
	mm = execs->mm;
	other = born(&fx, CLONE_VM);
	other->cpu = 1;
	v.guest = other;
	v.act = dumps;
	fx.cx.sync = visit(&v, &sync);
	assert_int_equal(sys_execve(&fx.cx, &image, &killed), -EINTR);
	fx.cx.sync = NULL;
	assert_true(v.done);
	assert_int_equal(v.ret, 0);
	assert_false(killed);
	assert_ptr_equal(fx.cx.curr, execs);
	assert_ptr_equal(execs->mm, mm);
	assert_int_equal(atomic_read(&mm->mm_users), 2);
	assert_true(execs->fatal_signal);
	assert_int_equal(other->state, TASK_DUMP_WAIT);

	do_exit(&fx.cx);
	assert_int_equal(execs->state, TASK_PARKED);
	assert_int_equal(other->state, TASK_RUNNING);
	fixture_run(&fx, fx.init);
	fixture_check(&fx);
	run_on(&fx.cx, 1, other);
	assert_int_equal(coredump_end(&fx.cx), 0);
	run_on(&fx.cx, 1, NULL);
	run_on(&fx.cx, 0, fx.init);
	assert_int_equal(fx.m->nr_tasks, 1);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

static void sees_word(struct visit *v, struct ctx *host, struct ctx *cx)
{
	assert_ptr_equal(host->curr->vfork_parent, v->fx->init);
	assert_int_equal(v->fx->init->state, TASK_VFORK_WAIT);
	assert_int_equal(load(cx, AT), 0);
	v->ret = 1;
}

/* the word is clear before the parent is woken, and the mm is still the child's. */
static void test_word_before_parent(void **state)
{
	struct task_struct *child, *thread;
	struct fixture fx;
	struct visit v = {.fx = &fx, .at = SYNC_mm_release_cleared, .act = sees_word};
	struct fl_sync sync;

	(void)state;
	boot(&fx, "cpus=2");
	thread = born(&fx, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD);
	run_on(&fx.cx, 1, thread);
	run_on(&fx.cx, 0, fx.init);
	child = born(&fx, CLONE_VM | CLONE_VFORK);
	fixture_run(&fx, child);
	assert_int_equal(sys_set_tid_address(&fx.cx, AT), 0);
	v.guest = thread;
	fx.cx.sync = visit(&v, &sync);
	do_exit(&fx.cx);
	fx.cx.sync = NULL;
	assert_int_equal(v.ret, 1);
	assert_int_equal(v.reached[SYNC_mm_release_cleared], 1);
	assert_int_equal(v.reached[SYNC_exit_mm_lazy], 1);
	assert_int_equal(v.reached[SYNC_mmput_last], 0);
	assert_int_equal(fx.init->state, TASK_RUNNING);
	fixture_run(&fx, fx.init);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

static void looks_at_dying(struct visit *v, struct ctx *host, struct ctx *cx)
{
	(void)cx;
	(void)host;
	/* nobody can get in any more, and everything is there still */
	assert_int_equal(atomic_read(&v->mm->mm_users), 0);
	assert_true(v->mm->map_count > 0);
	assert_int_equal(v->mm->rss_stat[MM_ANONPAGES] > 0, 1);
	v->ret = 1;
}

/* A half-built copy is taken down with both mms unlocked, also for the parent's other threads. */
static void maps(struct visit *v, struct ctx *host, struct ctx *cx)
{
	(void)host;
	v->ret = sys_munmap(cx, AT, 4 * PAGE_SIZE);
}

static void test_failed_fork_lets_in(void **state)
{
	struct task_struct *thread, *child;
	struct fixture fx;
	struct visit v = {.fx = &fx, .at = SYNC_dup_mmap_failed, .act = maps, .ret = 1};
	struct fl_sync sync;
	unsigned int n;

	(void)state;
	boot(&fx, "cpus=2");
	thread = born(&fx, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD);
	run_on(&fx.cx, 1, thread);
	run_on(&fx.cx, 0, fx.init);
	v.guest = thread;
	fx.cx.sync = visit(&v, &sync);
	for (n = 1; !v.done; n++) {
		fixture_arm(&fx, n);
		if (do_fork(&fx.cx, 0, &child))
			continue;
		/* what was refused had a fallback */
		fixture_arm(&fx, 0);
		fixture_exit(&fx, child);
		fixture_run(&fx, fx.init);
	}
	assert_int_equal(fx.refused, SITE_dup_mmap_acct);
	assert_true(v.done);
	assert_int_equal(v.ret, 0);
	fx.cx.sync = NULL;
	fixture_arm(&fx, 0);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

/* The last user goes: the place is reached once, with the mm whole, the notifiers' after that. */
static void test_last_user(void **state)
{
	struct task_struct *child;
	struct fixture fx;
	struct visit v = {.fx = &fx, .at = SYNC_mmput_last, .act = looks_at_dying};
	struct fl_sync sync;

	(void)state;
	boot(&fx, "");
	child = born(&fx, 0);
	fixture_run(&fx, child);
	store(&fx.cx, AT, 9);
	assert_int_equal(notifier_register(&fx.cx, 0), 0);
	v.mm = child->mm;
	fx.cx.sync = visit(&v, &sync);
	do_exit(&fx.cx);
	fx.cx.sync = NULL;
	assert_int_equal(v.ret, 1);
	assert_int_equal(v.reached[SYNC_mmput_last], 1);
	assert_int_equal(v.reached[SYNC_notifiers_released], 1);
	assert_int_equal(notifier_unregister(&fx.cx, 0), 0);
	fixture_run(&fx, fx.init);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

static void looks_at_move(struct visit *v, struct ctx *host, struct ctx *cx)
{
	const struct tlb *tlb = &cx->m->rqs[1].tlb;

	(void)host;
	/* the other CPU remembers the old address; its page cannot go, for the lock is held */
	assert_true(tlb->used != 0);
	assert_true(v->mm->page_table_lock.writer);
	assert_true(pte_none(pte_at(cx->m, v->mm, AT)));
	assert_true(pte_present(pte_at(cx->m, v->mm, AT + 64 * PAGE_SIZE)));
	v->ret = 1;
}

/* Between move and flush nobody can free the page that another CPU may still reach (B-09). */
static void test_moved_not_flushed(void **state)
{
	struct task_struct *thread;
	struct fixture fx;
	struct visit v = {.fx = &fx, .at = SYNC_page_tables_moved, .act = looks_at_move};
	struct fl_sync sync;

	(void)state;
	boot(&fx, "cpus=2");
	thread = born(&fx, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD);
	run_on(&fx.cx, 1, thread);
	store(&fx.cx, AT, 8);
	run_on(&fx.cx, 0, fx.init);
	v.mm = fx.init->mm;
	fx.cx.sync = visit(&v, &sync);
	assert_int_equal(sys_mremap(&fx.cx, AT, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
				    AT + 64 * PAGE_SIZE),
			 AT + 64 * PAGE_SIZE);
	fx.cx.sync = NULL;
	assert_int_equal(v.ret, 1);
	assert_int_equal(load(&fx.cx, AT + 64 * PAGE_SIZE), 8);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

/* ---- mmput() --------------------------------------------------------------------------------- */

/* What the backend is given back while an mm ends, and what was so at that moment. */
static struct {
	const struct machine *m;
	const struct mm_struct *mm;
	enum fl_cache freed[64];
	unsigned int nr;
	bool listed_at_file;
	s32 refcnt_at_file, refcnt_at_mm;
} end;

static void recording_cache_free(void *inst, void *cache, void *obj)
{
	for (unsigned int i = 0; i < NR_CACHES && end.nr < ARRAY_SIZE(end.freed); i++) {
		if (end.m->caches[i].handle != cache)
			continue;
		end.freed[end.nr++] = (enum fl_cache)i;
		if (i == CACHE_file) {
			end.listed_at_file = !list_empty(&end.mm->mmlist);
			end.refcnt_at_file = end.m->modules[0].refcnt;
		}
		if (i == CACHE_mm_struct)
			end.refcnt_at_mm = end.m->modules[0].refcnt;
	}
	fl_allocator_find("malloc")->cache_free(inst, cache, obj);
}

static unsigned int first_freed(enum fl_cache cache)
{
	for (unsigned int i = 0; i < end.nr; i++)
		if (end.freed[i] == cache)
			return i;
	fail_msg("cache %d: nothing was freed", (int)cache);
	return 0;
}

static unsigned int last_freed(enum fl_cache cache)
{
	for (unsigned int i = end.nr; i-- > 0;)
		if (end.freed[i] == cache)
			return i;
	fail_msg("cache %d: nothing was freed", (int)cache);
	return 0;
}

/*
 * Facts §4.3: the daemons' slots, the mappings, exe_file, the ring of swap users, the module, the
 * struct.
 */
static void test_mmput_order(void **state)
{
	struct fl_allocator_ops recording = *fl_allocator_find("malloc");
	struct exec_image image = {.stack_pages = 1};
	struct task_struct *child;
	struct fixture fx;
	bool killed;
	s32 refcnt;

	(void)state;
	boot(&fx, "swap=16");
	child = born(&fx, 0);
	fixture_run(&fx, child);
	image.exe = file_create(&fx.cx, 4, FMODE_READ | FMODE_EXEC);
	assert_non_null(image.exe);
	assert_int_equal(sys_execve(&fx.cx, &image, &killed), 0);
	/* from now on exe_file alone holds the file */
	file_close(&fx.cx, image.exe);
	assert_int_equal(sys_mmap(&fx.cx, AT, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
			 AT);
	store(&fx.cx, AT, 1);
	assert_int_equal(sys_swap_out(&fx.cx, AT), 0);
	assert_int_equal(sys_madvise(&fx.cx, AT, PAGE_SIZE, MADV_MERGEABLE), 0);
	fixture_check(&fx);
	refcnt = fx.m->modules[0].refcnt;

	recording.cache_free = recording_cache_free;
	memset(&end, 0, sizeof(end));
	end.m = fx.m;
	end.mm = child->mm;
	fx.m->ops = &recording;
	fixture_exit(&fx, child);
	fixture_run(&fx, fx.init);
	fx.m->ops = fx.ops;
	assert_true(last_freed(CACHE_ksm_mm_slot) < first_freed(CACHE_vm_area_struct));
	assert_true(last_freed(CACHE_vm_area_struct) < first_freed(CACHE_file));
	assert_true(last_freed(CACHE_file) < first_freed(CACHE_mm_struct));
	assert_true(end.listed_at_file);
	assert_int_equal(end.refcnt_at_file, refcnt);
	assert_int_equal(end.refcnt_at_mm, refcnt - 1);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_use_mm),
		cmocka_unit_test(test_use_borrowed_mm),
		cmocka_unit_test(test_coredump),
		cmocka_unit_test(test_coredump_of_vfork_child),
		cmocka_unit_test(test_oom_kill),
		cmocka_unit_test(test_exec_meets_dump),
		cmocka_unit_test(test_word_before_parent),
		cmocka_unit_test(test_failed_fork_lets_in),
		cmocka_unit_test(test_last_user),
		cmocka_unit_test(test_moved_not_flushed),
		cmocka_unit_test(test_mmput_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
