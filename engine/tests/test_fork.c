/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fork: what the child gets, what is charged, and that each refused request is unwound to exactly
 * what was there before (facts §3 2.*, §5, §17.2, §19.1).
 */
#include "machine_fixture.h"

#define BASE 0x10000000u

static const char *const machines[] = {
	"cpus=2",
	"cpus=2,ptl_objects=1",
	"paravirt=xen",
	"levels=3,kernel_pmd=private,ptl_objects=1,cpus=2,cpumask_offstack=1",
	"levels=3,kernel_pmd=shared,ptl_objects=1",
	"levels=2",
	"levels=5,ptl_objects=1",
};

static u64 map(struct fixture *fx, u64 addr, u64 pages, u32 prot, u32 flags, struct file *file)
{
	s64 ret = sys_mmap(&fx->cx, addr, pages * PAGE_SIZE, prot, flags | MAP_FIXED, file, 0);

	assert_true(ret == (s64)addr);
	return (u64)ret;
}

static void store(struct fixture *fx, u64 addr, u64 tag)
{
	assert_int_equal(access_user(&fx->cx, addr, true, &tag), ACCESS_OK);
}

static u64 load(struct fixture *fx, u64 addr)
{
	u64 tag = 0;

	assert_int_equal(access_user(&fx->cx, addr, false, &tag), ACCESS_OK);
	return tag;
}

/* An address space with one of everything that a fork has to copy. */
static struct file *populate(struct fixture *fx)
{
	struct file *file = file_create(&fx->cx, 16, FMODE_READ | FMODE_EXEC);
	const struct exec_segment text = {BASE, 4 * PAGE_SIZE, PROT_READ | PROT_EXEC, file, 0};
	const struct exec_image image = {
		.segments = &text, .nr_segments = 1, .stack_pages = 3, .exe = file};
	struct mm_struct *mm;
	bool killed;

	assert_non_null(file);
	fixture_arm(fx, 0);
	assert_int_equal(sys_execve(&fx->cx, &image, &killed), 0);
	mm = fx->cx.curr->mm;

	/* anonymous, in two page tables; the second VMA has an anon_vma of its own */
	map(fx, BASE + 0x100000, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL);
	map(fx, BASE + 0x800000, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL);
	store(fx, BASE + 0x100000, 1);
	store(fx, BASE + 0x101000, 2);
	store(fx, BASE + 0x800000, 3);
	/* private and shared mappings of the file; the private one has been written */
	map(fx, BASE + 0x900000, 8, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
	store(fx, BASE + 0x902000, 4);
	load(fx, BASE + 0x900000);
	map(fx, BASE + 0xa00000, 2, PROT_READ, MAP_SHARED, file);
	load(fx, BASE + 0xa00000);
	/* never touched, and read only: no charge */
	map(fx, BASE + 0xb00000, 5, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, NULL);
	/* not for children */
	map(fx, BASE + 0xc00000, 3, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL);
	store(fx, BASE + 0xc00000, 5);
	find_vma(&fx->cx, mm, BASE + 0xc00000)->vm_flags |= VM_DONTCOPY;
	assert_true(sys_brk(&fx->cx, mm->start_brk + 2 * PAGE_SIZE) > 0);
	store(fx, mm->start_brk, 6);
	if (fx->m->cfg.ldt)
		assert_int_equal(sys_modify_ldt(&fx->cx, 3, 0x42), 0);
	assert_int_equal(sys_ioprio_set(&fx->cx, IOPRIO_CLASS_BE << IOPRIO_CLASS_SHIFT), 0);
	fixture_check(fx);
	return file;
}

static void lock(struct vm_area_struct *vma)
{
	vma->vm_flags |= VM_LOCKED;
	vma->vm_mm->locked_vm += vma_pages(vma);
}

static u64 account_pages(const struct mm_struct *mm, u32 without)
{
	u64 sum = 0;

	for (const struct vm_area_struct *vma = mm->mmap; vma; vma = vma->vm_next)
		if ((vma->vm_flags & VM_ACCOUNT) && !(vma->vm_flags & without))
			sum += vma_pages(vma);
	return sum;
}

static void test_success(void **state)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(machines); i++) {
		struct task_struct *child;
		struct mm_struct *mm, *old;
		struct fixture fx;
		struct file *file;
		s64 committed;
		u64 charged, flushes;

		(void)state;
		fixture_create(&fx, "malloc", machines[i]);
		fixture_boot(&fx);
		file = populate(&fx);
		old = fx.init->mm;
		committed = fx.m->vm_committed_as;
		charged = account_pages(old, VM_DONTCOPY);
		flushes = fx.m->rqs[0].tlb_flushes;
		lock(find_vma(&fx.cx, old, BASE + 0x800000));
		fixture_check(&fx);

		assert_int_equal(do_fork(&fx.cx, 0, &child), 0);
		fixture_check(&fx);
		mm = child->mm;
		/* the parent's entries are write-protected by now */
		assert_true(fx.m->rqs[0].tlb_flushes > flushes);
		assert_int_equal(mm->locked_vm, 0);
		assert_int_equal(find_vma(&fx.cx, mm, BASE + 0x800000)->vm_flags & VM_LOCKED, 0);
		assert_ptr_not_equal(mm, old);
		assert_ptr_equal(child->active_mm, mm);
		assert_int_equal(atomic_read(&mm->mm_users), 1);
		assert_int_equal(atomic_read(&mm->mm_count), 1);
		assert_int_equal(mm->map_count, old->map_count - 1);
		assert_int_equal(mm->total_vm, old->total_vm - 3);
		assert_int_equal(mm->hiwater_vm, mm->total_vm);
		assert_int_equal(mm->hiwater_rss, get_mm_rss(mm));
		assert_int_equal(fx.m->vm_committed_as, committed + (s64)charged);
		assert_ptr_equal(mm->exe_file, file);
		assert_ptr_equal(mm->owner, child);
		assert_int_equal(fx.m->modules[0].refcnt, 2);
		assert_int_equal(mm->cpu_vm_mask, 0);
		assert_ptr_equal(mm->cpu_vm_mask_var,
				 fx.m->cfg.cpumask_offstack ? &mm->cpu_vm_mask : NULL);
		assert_true(mm->context.ldt != old->context.ldt);
		assert_ptr_equal(child->real_parent, fx.init);
		assert_true(child->pid > fx.init->pid);

		/* copy on write both ways, and the hole where VM_DONTCOPY was */
		run_on(&fx.cx, fx.m->cfg.cpus - 1, child);
		assert_int_equal(load(&fx, BASE + 0x100000), 1);
		assert_int_equal(load(&fx, BASE + 0x902000), 4);
		assert_int_equal(load(&fx, mm->start_brk), 6);
		store(&fx, BASE + 0x100000, 11);
		assert_int_equal(access_user(&fx.cx, BASE + 0xc00000, false, &charged),
				 ACCESS_SIGSEGV);
		fixture_run(&fx, fx.init);
		assert_int_equal(load(&fx, BASE + 0x100000), 1);
		store(&fx, BASE + 0x101000, 22);
		fixture_run(&fx, child);
		assert_int_equal(load(&fx, BASE + 0x100000), 11);
		assert_int_equal(load(&fx, BASE + 0x101000), 2);
		fixture_check(&fx);

		file_close(&fx.cx, file);
		fixture_destroy(&fx);
	}
}

/* What a refused request must come back as; 0: not at all. */
static int declared(enum fl_site site)
{
	switch (site) {
	case SITE_anon_vma_clone_nowait:
	case SITE_gather_batch:
		return 0;
	case SITE_copy_process_signal:
		return -ERESTARTNOINTR;
	case SITE_copy_process_nproc:
	case SITE_copy_process_threads:
	case SITE_alloc_pid_max:
		return -EAGAIN;
	default:
		return -ENOMEM;
	}
}

/*
 * Every request of a fork in turn, until none is left to refuse: digest, objects, pages, charge and
 * references are those from before, and all invariants hold. Then the fork that was meant works.
 */
static void sweep(const char *options, bool *seen)
{
	struct task_struct *child;
	struct fixture fx;
	struct totals before;
	struct file *file;
	unsigned int n;
	u64 digest;
	s32 users;

	fixture_create(&fx, "malloc", options);
	fixture_boot(&fx);
	file = populate(&fx);
	before = fixture_totals(&fx);
	digest = fl_digest(fx.m, false);
	users = atomic_read(&file->f_count);

	for (n = 1;; n++) {
		s64 ret;

		child = NULL;
		fixture_arm(&fx, n);
		ret = do_fork(&fx.cx, 0, &child);
		if (!fx.refused) {
			assert_int_equal(ret, 0);
			break;
		}
		seen[fx.refused] = true;
		assert_int_equal(ret, declared(fx.refused));
		if (!ret) {
			fixture_check(&fx);
			fixture_arm(&fx, 0);
			fixture_exit(&fx, child);
			fixture_run(&fx, fx.init);
		} else {
			assert_null(child);
		}
		fixture_check(&fx);
		assert_totals(&fx, &before);
		assert_int_equal(atomic_read(&file->f_count), users);
		assert_int_equal(atomic_read(&fx.init->mm->mm_users), 1);
		assert_int_equal(atomic_read(&fx.init->mm->mm_count), 1);
		assert_true(fl_digest(fx.m, false) == digest);
		assert_int_equal(fx.m->check_alerts, 0);
	}
	assert_true(n > 20);
	fixture_check(&fx);
	file_close(&fx.cx, file);
	fixture_destroy(&fx);
}

static void test_each_unwind(void **state)
{
	static const enum fl_site expected[] = {
		SITE_dup_task_task,	    SITE_dup_task_stack,	  SITE_dup_mm_mm,
		SITE_pgd_alloc_pgd,	    SITE_pgd_alloc_pgd_cache,	  SITE_preallocate_pmds_pmd,
		SITE_preallocate_pmds_ctor, SITE_paravirt_pgd_alloc_user, SITE_ldt_copy_struct,
		SITE_ldt_copy_entries,	    SITE_dup_mmap_acct,		  SITE_dup_mmap_vma,
		SITE_anon_vma_clone_nowait, SITE_anon_vma_fork_av,	  SITE_anon_vma_fork_avc,
		SITE_pud_alloc_pud,	    SITE_pmd_alloc_pmd,		  SITE_pmd_alloc_ctor,
		SITE_pte_alloc_pte,	    SITE_pte_alloc_ctor,	  SITE_dup_mm_binfmt,
		SITE_copy_creds_cred,	    SITE_copy_files_files,	  SITE_copy_fs_fs,
		SITE_copy_sighand_sighand,  SITE_copy_signal_signal,	  SITE_copy_io_context,
		SITE_copy_process_pid,	    SITE_copy_process_signal,	  SITE_copy_process_nproc,
		SITE_copy_process_threads,  SITE_alloc_pid_max,
	};
	bool seen[FL_NR_SITES] = {false};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(machines); i++)
		sweep(machines[i], seen);
	for (unsigned int i = 0; i < ARRAY_SIZE(expected); i++)
		if (!seen[expected[i]])
			fail_msg("no fork met %s", fl_sites[expected[i]].name);
}

/* The order of the requests is part of what a fork is (facts §19.1). */
static enum fl_site order_log[512];
static unsigned int order_len;

static bool log_site(void *priv, enum fl_site site, gfp_t gfp)
{
	(void)priv;
	(void)gfp;
	order_log[order_len++] = site;
	return false;
}

static void test_order(void **state)
{
	static const enum fl_site head[] = {
		SITE_dup_task_task,    SITE_dup_task_stack,	  SITE_copy_process_nproc,
		SITE_copy_creds_cred,  SITE_copy_process_threads, SITE_copy_files_files,
		SITE_copy_fs_fs,       SITE_copy_sighand_sighand, SITE_copy_signal_signal,
		SITE_dup_mm_mm,	       SITE_pgd_alloc_pgd,	  SITE_ldt_copy_struct,
		SITE_ldt_copy_entries,
	};
	static const enum fl_site tail[] = {
		SITE_dup_mm_binfmt,    SITE_copy_namespaces_nsproxy, SITE_copy_io_context,
		SITE_copy_process_pid, SITE_alloc_pid_max,	     SITE_copy_process_signal,
	};
	struct task_struct *child;
	struct fixture fx;
	struct file *file;

	(void)state;
	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	file = populate(&fx);
	order_len = 0;
	fx.m->seams.should_fail = log_site;
	assert_int_equal(do_fork(&fx.cx, CLONE_NEWNS, &child), 0);
	fx.m->seams.should_fail = fixture_should_fail;
	assert_true(order_len > ARRAY_SIZE(head) + ARRAY_SIZE(tail));
	assert_memory_equal(order_log, head, sizeof(head));
	assert_memory_equal(order_log + order_len - ARRAY_SIZE(tail), tail, sizeof(tail));
	/* a VMA is charged before it is allocated */
	for (unsigned int i = 1; i < order_len; i++)
		if (order_log[i - 1] == SITE_dup_mmap_acct)
			assert_int_equal(order_log[i], SITE_dup_mmap_vma);
	file_close(&fx.cx, file);
	fixture_destroy(&fx);
}

static u64 count_tasks(struct fixture *fx, unsigned int max, bool kthread, s64 *err)
{
	struct task_struct *child;
	unsigned int n = 0;

	for (*err = 0; n < max && !*err; n += !*err)
		*err = kthread ? kernel_thread(&fx->cx, &child) : do_fork(&fx->cx, 0, &child);
	return n;
}

/* Kernel threads are nobody's, and a refusal leaves nothing behind. */
static void test_nproc(void **state)
{
	struct fixture fx;
	struct totals before;
	s64 err;

	(void)state;
	fixture_create(&fx, "malloc", "limit_nproc=4");
	fixture_boot(&fx);
	assert_int_equal(count_tasks(&fx, 3, true, &err), 3);
	assert_int_equal(count_tasks(&fx, 9, false, &err), 3);
	assert_int_equal(err, -EAGAIN);
	before = fixture_totals(&fx);
	assert_int_equal(count_tasks(&fx, 1, false, &err), 0);
	assert_int_equal(err, -EAGAIN);
	assert_totals(&fx, &before);
	assert_int_equal(count_tasks(&fx, 1, true, &err), 1);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

/* Numbers go round, pass by whoever lives, and are not given twice below the reserved ones. */
static void test_pid_max(void **state)
{
	struct task_struct *child, *stays = NULL;
	struct fixture fx;
	struct totals before;
	u32 last = 0;
	s64 err;

	(void)state;
	fixture_create(&fx, "malloc", "pid_max=303");
	fixture_boot(&fx);
	for (unsigned int i = 0; i < 310; i++) {
		assert_int_equal(do_fork(&fx.cx, 0, &child), 0);
		if (stays)
			assert_true(child->pid >= 300 && child->pid < 303);
		else
			assert_true(!last || child->pid == last + 1);
		assert_true(!stays || child->pid != stays->pid);
		last = child->pid;
		if (last == 301 && !stays) {
			stays = child;
			continue;
		}
		fixture_exit(&fx, child);
		fixture_run(&fx, fx.init);
	}
	assert_non_null(stays);
	assert_int_equal(count_tasks(&fx, 9, false, &err), 2); /* 300 and 302 */
	assert_int_equal(err, -EAGAIN);
	before = fixture_totals(&fx);
	assert_int_equal(do_fork(&fx.cx, CLONE_VM, &child), -EAGAIN);
	assert_totals(&fx, &before);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

static void test_clone_vm(void **state)
{
	struct task_struct *thread, *other, *none = NULL;
	struct fixture fx;
	struct totals before;

	(void)state;
	fixture_create(&fx, "malloc", "cpus=2");
	fixture_boot(&fx);
	before = fixture_totals(&fx);

	assert_int_equal(do_fork(&fx.cx, CLONE_THREAD | CLONE_VM, &none), -EINVAL);
	assert_int_equal(do_fork(&fx.cx, CLONE_SIGHAND, &none), -EINVAL);
	assert_null(none);
	assert_totals(&fx, &before);

	assert_int_equal(do_fork(&fx.cx, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, &thread), 0);
	assert_ptr_equal(thread->mm, fx.init->mm);
	assert_ptr_equal(thread->real_parent, fx.init->real_parent);
	assert_int_equal(atomic_read(&thread->mm->mm_users), 2);
	assert_int_equal(atomic_read(&thread->mm->mm_count), 1);
	assert_ptr_equal(thread->mm->owner, fx.init);
	fixture_check(&fx);

	/* a failure behind copy_mm() only takes the user back */
	for (unsigned int n = 1; n <= 12; n++) {
		int err;

		fixture_arm(&fx, n);
		err = (int)do_fork(&fx.cx, CLONE_VM, &none);
		assert_int_equal(err, declared(fx.refused));
		assert_int_equal(atomic_read(&fx.init->mm->mm_users), 2);
		fixture_check(&fx);
	}
	fixture_arm(&fx, 13);
	assert_int_equal(do_fork(&fx.cx, CLONE_VM, &other), 0);
	assert_int_equal(fx.met, 12);

	/* the owner goes: another user of the mm takes its place */
	do_exit(&fx.cx);
	fixture_check(&fx);
	assert_ptr_equal(thread->mm->owner, other);
	fixture_destroy(&fx);
}

static void test_limits(void **state)
{
	struct task_struct *child, *none = NULL;
	struct fixture fx;
	struct totals before;

	(void)state;
	fixture_create(&fx, "malloc", "max_tasks=2");
	fixture_boot(&fx);
	assert_int_equal(do_fork(&fx.cx, 0, &child), 0);
	before = fixture_totals(&fx);
	assert_int_equal(do_fork(&fx.cx, 0, &none), -EAGAIN);
	assert_totals(&fx, &before);
	fixture_exit(&fx, child);
	fixture_run(&fx, fx.init);
	assert_int_equal(do_fork(&fx.cx, 0, &child), 0);
	fixture_exit(&fx, child);
	fixture_run(&fx, fx.init);

	fx.init->signal_pending = true;
	before = fixture_totals(&fx);
	assert_int_equal(do_fork(&fx.cx, 0, &none), -ERESTARTNOINTR);
	assert_totals(&fx, &before);
	fx.init->signal_pending = false;

	/* a format that is leaving refuses its reference, like any failure of dup_mm() */
	module_set_going(fx.m, 0, true);
	assert_int_equal(do_fork(&fx.cx, 0, &none), -ENOMEM);
	assert_totals(&fx, &before);
	module_set_going(fx.m, 0, false);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

static void test_kernel_thread(void **state)
{
	struct task_struct *kthread;
	struct mm_struct *mm;
	struct fixture fx;

	(void)state;
	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	mm = fx.init->mm;
	for (unsigned int n = 1; n <= 3; n++) {
		fixture_arm(&fx, n);
		assert_int_equal(kernel_thread(&fx.cx, &kthread), -ENOMEM);
		fixture_check(&fx);
	}
	fixture_arm(&fx, 0);
	assert_int_equal(kernel_thread(&fx.cx, &kthread), 0);
	assert_null(kthread->mm);
	assert_null(kthread->active_mm);
	assert_int_equal(atomic_read(&mm->mm_users), 1);
	assert_null(get_task_mm(&fx.cx, kthread));

	/* it borrows what it finds */
	fixture_run(&fx, kthread);
	assert_ptr_equal(kthread->active_mm, mm);
	assert_int_equal(atomic_read(&mm->mm_count), 2);
	fixture_check(&fx);
	fixture_run(&fx, fx.init);
	assert_null(kthread->active_mm);
	assert_int_equal(atomic_read(&mm->mm_count), 1);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

/* mm_alloc() for an exec that never happens, each request refused in turn. */
static void test_mm_alloc(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(machines); i++) {
		struct mm_struct *mm;
		struct totals before;
		struct fixture fx;
		unsigned int n;

		fixture_create(&fx, "malloc", machines[i]);
		fixture_boot(&fx);
		before = fixture_totals(&fx);
		for (n = 1;; n++) {
			fixture_arm(&fx, n);
			mm = mm_alloc(&fx.cx);
			if (!fx.refused)
				break;
			assert_null(mm);
			assert_totals(&fx, &before);
			fixture_check(&fx);
		}
		assert_true(n > 2);
		assert_int_equal(mm->map_count, 0);
		assert_null(mm->mmap);
		assert_null(mm->mm_rb.node);
		assert_int_equal(mm->nr_pmds, fx.m->geo.preallocated_pmds);
		assert_int_equal(mm->nr_ptes, 0);
		assert_int_equal(mm->flags, fx.init->mm->flags & MMF_INIT_MASK);
		assert_int_equal(fx.m->nr_mms, before.nr_mms + 1);
		mmput(&fx.cx, mm);
		assert_totals(&fx, &before);
		fixture_destroy(&fx);
	}
}

/* Each counter that is not zero when the struct goes is an alert. */
static void test_check_mm(void **state)
{
	struct fixture fx;
	struct mm_struct *mm;

	(void)state;
	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	mm = mm_alloc(&fx.cx);
	mm->rss_stat[MM_ANONPAGES] = -1;
	mm->nr_ptes = 1;
	mm->nr_pmds = 1;
	mmput(&fx.cx, mm);
	assert_int_equal(fx.m->check_alerts, 3);
	fx.m->check_alerts = 0;
	fixture_destroy(&fx);
}

static void test_get_task_mm(void **state)
{
	struct fixture fx;
	struct mm_struct *mm;

	(void)state;
	fixture_create(&fx, "arena", "");
	fixture_boot(&fx);
	mm = get_task_mm(&fx.cx, fx.init);
	assert_ptr_equal(mm, fx.init->mm);
	assert_int_equal(atomic_read(&mm->mm_users), 2);
	mmput(&fx.cx, mm);
	assert_int_equal(atomic_read(&mm->mm_users), 1);
	fixture_destroy(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_success),	 cmocka_unit_test(test_each_unwind),
		cmocka_unit_test(test_nproc),	 cmocka_unit_test(test_pid_max),
		cmocka_unit_test(test_order),	 cmocka_unit_test(test_clone_vm),
		cmocka_unit_test(test_limits),	 cmocka_unit_test(test_kernel_thread),
		cmocka_unit_test(test_mm_alloc), cmocka_unit_test(test_get_task_mm),
		cmocka_unit_test(test_check_mm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
