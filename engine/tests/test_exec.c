/* SPDX-License-Identifier: GPL-2.0-only */
/* exec: the new image, what it costs, and what is left of the old one when it fails (facts §4.9).
 */
#include "machine_fixture.h"

#define TEXT 0x400000u
#define DATA 0x600000u
#define OLD  0x800000u

static const char *const machines[] = {
	"cpus=2",
	"paravirt=xen,ptl_objects=1",
	"levels=3,kernel_pmd=private,ptl_objects=1",
	"levels=3,kernel_pmd=shared",
	"levels=2",
	"levels=5",
};

struct prog {
	struct file *file;
	struct exec_segment segments[3];
	struct exec_image image;
};

static void prog_init(struct fixture *fx, struct prog *p)
{
	memset(p, 0, sizeof(*p));
	p->file = file_create(&fx->cx, 8, FMODE_READ | FMODE_EXEC);
	assert_non_null(p->file);
	p->segments[0] =
		(struct exec_segment){TEXT, 4 * PAGE_SIZE, PROT_READ | PROT_EXEC, p->file, 0};
	p->segments[1] = (struct exec_segment){DATA, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, p->file,
					       4 * PAGE_SIZE};
	p->segments[2] = (struct exec_segment){DATA + 2 * PAGE_SIZE, 3 * PAGE_SIZE,
					       PROT_READ | PROT_WRITE, NULL, 0};
	p->image = (struct exec_image){.segments = p->segments,
				       .nr_segments = 3,
				       .stack_pages = 4,
				       .exe = p->file,
				       .binfmt = 1};
}

static void test_image(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(machines); i++) {
		const u64 stack_size = (4 + 32) * PAGE_SIZE;
		const struct vm_area_struct *vma;
		struct fixture fx;
		struct mm_struct *mm;
		struct prog p;
		bool killed = true;
		u64 tag = 1;

		fixture_create(&fx, "malloc", machines[i]);
		fixture_boot(&fx);
		prog_init(&fx, &p);
		/* known to the task's vmacache, in a generation that the new mm has, too */
		assert_int_equal(sys_mmap(&fx.cx, OLD, PAGE_SIZE, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
				 OLD);
		assert_int_equal(access_user(&fx.cx, OLD, true, &tag), ACCESS_OK);
		assert_int_equal(fx.init->mm->vmacache_seqnum, 0);
		assert_int_equal(fx.m->modules[0].refcnt, 1);
		assert_int_equal(sys_execve(&fx.cx, &p.image, &killed), 0);
		fixture_check(&fx);
		assert_false(killed);
		assert_false(fx.init->in_execve);
		mm = fx.init->mm;
		assert_int_equal(fx.m->nr_mms, 1);
		assert_ptr_equal(fx.m->rqs[0].loaded, mm);
		assert_ptr_equal(mm->owner, fx.init);
		assert_ptr_equal(mm->exe_file, p.file);
		assert_int_equal(fx.m->modules[0].refcnt, 0);
		assert_int_equal(fx.m->modules[1].refcnt, 1);
		assert_ptr_equal(mm->binfmt, &fx.m->binfmts[1]);
		assert_int_equal(mm->mmap_base, fx.m->geo.mmap_base);
		assert_int_equal(mm->task_size, fx.m->geo.task_size);

		/* text, data, bss, stack */
		assert_int_equal(mm->map_count, 4);
		vma = mm->mmap;
		assert_int_equal(vma->vm_start, TEXT);
		assert_int_equal(vma->vm_flags & (VM_READ | VM_WRITE | VM_EXEC), VM_READ | VM_EXEC);
		vma = vma->vm_next;
		assert_int_equal(vma->vm_start, DATA);
		assert_int_equal(vma->vm_pgoff, 4);
		vma = vma->vm_next;
		assert_int_equal(vma->vm_end, DATA + 5 * PAGE_SIZE);
		assert_null(vma->vm_file);
		vma = vma->vm_next;
		assert_int_equal(vma->vm_end, fx.m->geo.stack_top);
		assert_int_equal(vma->vm_end - vma->vm_start, stack_size);
		assert_int_equal(vma->vm_flags & ~VM_SOFTDIRTY, VM_STACK_FLAGS);
		assert_true(vma->vm_end <= mm->task_size);
		assert_int_equal(mm->start_stack, vma->vm_end - 4 * PAGE_SIZE);
		assert_int_equal(mm->start_brk, DATA + 5 * PAGE_SIZE);
		assert_int_equal(mm->brk, mm->start_brk);

		assert_int_equal(mm->total_vm, 4 + 2 + 3 + 36);
		assert_int_equal(mm->stack_vm, 36);
		assert_int_equal(mm->shared_vm, 6);
		assert_int_equal(mm->exec_vm, 4);
		assert_int_equal(mm->rss_stat[MM_ANONPAGES], 4);
		assert_int_equal(fx.m->vm_committed_as, 2 + 3 + 36);

		assert_int_equal(access_user(&fx.cx, OLD, true, &tag), ACCESS_SIGSEGV);
		assert_int_equal(access_user(&fx.cx, mm->start_stack, false, &tag), ACCESS_OK);
		assert_int_equal(access_user(&fx.cx, DATA, true, &tag), ACCESS_OK);
		assert_int_equal(access_user(&fx.cx, TEXT, true, &tag), ACCESS_SIGSEGV);
		fixture_check(&fx);
		file_close(&fx.cx, p.file);
		fixture_destroy(&fx);
	}
}

/* By how far the exec got: the argument pages begin once the stack has been charged. */
static s64 declared(const struct fixture *fx)
{
	if (fx->refused == SITE_exec_binfmt)
		return -ENOEXEC;
	if (fx->refused == SITE_exec_mmap_dump)
		return -EINTR;
	if (fx->refused == SITE_exec_args)
		return -E2BIG;
	if (fx->per_site[SITE_bprm_mm_init_acct] && fx->refused != SITE_bprm_mm_init_acct)
		return -E2BIG;
	return -ENOMEM;
}

/*
 * Every request refused in turn. Before the point of no return the old image stays, to the digest;
 * after it the task has the new mm and is told to exit.
 */
static void test_each_unwind(void **state)
{
	static const enum fl_site expected[] = {
		SITE_exec_bprm,
		SITE_exec_creds_cred,
		SITE_mm_alloc_mm,
		SITE_pgd_alloc_pgd,
		SITE_pgd_alloc_pgd_cache,
		SITE_preallocate_pmds_pmd,
		SITE_paravirt_pgd_alloc_user,
		SITE_bprm_mm_init_vma,
		SITE_bprm_mm_init_acct,
		SITE_expand_stack_acct,
		SITE_anon_vma_prepare_avc,
		SITE_anon_vma_prepare_av,
		SITE_pte_alloc_pte,
		SITE_anon_page,
		SITE_exec_binfmt,
		SITE_exec_mmap_dump,
		SITE_mmap_region_vma,
		SITE_mmap_region_acct,
		SITE_mmap_region_hook,
	};
	bool seen[FL_NR_SITES] = {false};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(machines); i++) {
		struct task_struct *child;
		struct totals before;
		struct fixture fx;
		struct prog p;
		unsigned int n, late = 0;
		u64 digest;

		fixture_create(&fx, "malloc", machines[i]);
		fixture_boot(&fx);
		prog_init(&fx, &p);
		for (n = 1;; n++) {
			struct mm_struct *mm;
			bool killed;
			s64 ret;

			fixture_arm(&fx, 0);
			assert_int_equal(do_fork(&fx.cx, 0, &child), 0);
			fixture_run(&fx, child);
			before = fixture_totals(&fx);
			digest = fl_digest(fx.m, false);
			mm = child->mm;

			fixture_arm(&fx, n);
			ret = sys_execve(&fx.cx, &p.image, &killed);
			if (!fx.refused)
				break;
			seen[fx.refused] = true;
			assert_true(ret < 0);
			assert_false(child->in_execve);
			assert_int_equal(fx.m->caches[CACHE_linux_binprm].live, 0);
			if (killed) {
				late++;
				assert_int_equal(fx.m->nr_mms, before.nr_mms);
				assert_ptr_equal(child->mm, child->active_mm);
				assert_null(child->mm->binfmt);
			} else {
				assert_int_equal(late, 0);
				assert_ptr_equal(child->mm, mm);
				assert_int_equal(ret, declared(&fx));
				assert_totals(&fx, &before);
				assert_true(fl_digest(fx.m, false) == digest);
			}
			fixture_check(&fx);
			fixture_arm(&fx, 0);
			do_exit(&fx.cx);
			fixture_run(&fx, fx.init);
			fixture_check(&fx);
		}
		assert_true(late > 3);
		fixture_check(&fx);
		file_close(&fx.cx, p.file);
		fixture_destroy(&fx);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(expected); i++)
		if (!seen[expected[i]])
			fail_msg("no exec met %s", fl_sites[expected[i]].name);
}

static void refuse(struct fixture *fx, const struct exec_image *image, s64 err)
{
	struct totals before = fixture_totals(fx);
	u64 digest = fl_digest(fx->m, false);
	bool killed = true;

	assert_int_equal(sys_execve(&fx->cx, image, &killed), err);
	assert_false(killed);
	assert_totals(fx, &before);
	assert_true(fl_digest(fx->m, false) == digest);
	fixture_check(fx);
}

/* An image that cannot be is refused while the old one is still there. */
static void test_bad_image(void **state)
{
	struct file *secret, *noexec;
	struct fixture fx;
	struct prog p, good;

	(void)state;
	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	prog_init(&fx, &good);
	secret = file_create(&fx.cx, 1, FMODE_WRITE | FMODE_EXEC);
	noexec = file_create(&fx.cx, 1, FMODE_READ);

	p = good;
	p.image.segments = p.segments;
	p.segments[0].start++;
	refuse(&fx, &p.image, -ENOEXEC);
	p.segments[0] = good.segments[0];
	p.segments[0].offset = 1;
	refuse(&fx, &p.image, -ENOEXEC);
	p.segments[0] = good.segments[0];
	p.segments[0].len = 0;
	refuse(&fx, &p.image, -ENOEXEC);
	p.segments[0].len = ~(u64)0;
	refuse(&fx, &p.image, -ENOEXEC);
	p.segments[0].len = (u64)1 << 63;
	refuse(&fx, &p.image, -EINVAL);
	p.segments[0] = good.segments[0];
	p.segments[0].start = fx.m->geo.stack_top - PAGE_SIZE;
	refuse(&fx, &p.image, -EINVAL);
	p.segments[0].start = fx.m->geo.stack_top - (4 + 4 + 32) * PAGE_SIZE + PAGE_SIZE;
	refuse(&fx, &p.image, -EINVAL);
	p.segments[0] = good.segments[0];
	p.segments[0].file = secret;
	refuse(&fx, &p.image, -EACCES);
	p.segments[0].file = noexec;
	refuse(&fx, &p.image, -EACCES);
	p.segments[0] = good.segments[0];
	p.image.stack_pages = 513;
	refuse(&fx, &p.image, -E2BIG);
	p.image.stack_pages = ~(u64)0;
	refuse(&fx, &p.image, -E2BIG);
	p.image.stack_pages = 1;
	p.image.start_brk = fx.m->geo.task_size;
	refuse(&fx, &p.image, -EINVAL);
	p.image.start_brk = 0;
	p.image.binfmt = NR_BINFMTS;
	refuse(&fx, &p.image, -ENOEXEC);
	p.image.binfmt = 1;
	module_set_going(fx.m, 1, true);
	refuse(&fx, &p.image, -ENOEXEC);

	file_close(&fx.cx, good.file);
	file_close(&fx.cx, secret);
	file_close(&fx.cx, noexec);
	fixture_destroy(&fx);
}

/* As much as fits, right up to the stack; and the largest argument list. */
static void test_tight_image(void **state)
{
	struct exec_segment seg = {0, PAGE_SIZE, PROT_READ, NULL, 0};
	struct exec_image image = {.segments = &seg, .nr_segments = 1, .stack_pages = 512};
	const struct vm_area_struct *stack;
	struct fixture fx;
	bool killed;

	(void)state;
	fixture_create(&fx, "malloc", "levels=3");
	fixture_boot(&fx);
	seg.start = fx.m->geo.stack_top - (512 + 32 + 1) * PAGE_SIZE;
	assert_int_equal(sys_execve(&fx.cx, &image, &killed), 0);
	fixture_check(&fx);
	stack = fx.init->mm->mmap->vm_next;
	assert_int_equal(stack->vm_start, seg.start + PAGE_SIZE);
	assert_null(stack->vm_next);
	assert_int_equal(fx.init->mm->rss_stat[MM_ANONPAGES], 512);
	fixture_destroy(&fx);
}

/* A task without an mm gives up what it borrowed, and is a kernel thread no longer. */
static void test_first_exec(void **state)
{
	const struct exec_image image = {.stack_pages = 1};
	struct task_struct *init;
	struct fixture fx;
	bool killed;

	(void)state;
	fixture_create(&fx, "malloc", "");
	init = spawn_init(&fx.cx);
	assert_null(init->mm);
	fixture_check(&fx);
	fixture_run(&fx, init);
	assert_ptr_equal(init->active_mm, &fx.m->init_mm);
	assert_int_equal(atomic_read(&fx.m->init_mm.mm_count), 2);
	assert_int_equal(sys_execve(&fx.cx, &image, &killed), 0);
	assert_int_equal(atomic_read(&fx.m->init_mm.mm_count), 1);
	assert_int_equal(init->flags & PF_KTHREAD, 0);
	assert_int_equal(init->mm->flags, MMF_DUMP_DEFAULT);
	assert_int_equal(init->mm->cpu_vm_mask, 1);
	fixture_check(&fx);
	fixture_destroy(&fx);
}

/* The caller's mm lives on with others; its owner is one of them. The LDT stays there (B-14). */
static void test_shared_mm(void **state)
{
	struct task_struct *child;
	struct mm_struct *mm;
	struct fixture fx;
	struct prog p;
	bool killed;

	(void)state;
	fixture_create(&fx, "malloc", "");
	fixture_boot(&fx);
	prog_init(&fx, &p);
	mm = fx.init->mm;
	assert_int_equal(sys_modify_ldt(&fx.cx, 0, 7), 0);
	assert_int_equal(do_fork(&fx.cx, CLONE_VM, &child), 0);
	assert_int_equal(sys_execve(&fx.cx, &p.image, &killed), 0);
	fixture_check(&fx);
	assert_ptr_not_equal(fx.init->mm, mm);
	assert_ptr_equal(child->mm, mm);
	assert_ptr_equal(mm->owner, child);
	assert_int_equal(atomic_read(&mm->mm_users), 1);
	assert_non_null(mm->context.ldt);
	assert_null(fx.init->mm->context.ldt);
	file_close(&fx.cx, p.file);
	fixture_destroy(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image),	   cmocka_unit_test(test_each_unwind),
		cmocka_unit_test(test_bad_image),  cmocka_unit_test(test_tight_image),
		cmocka_unit_test(test_first_exec), cmocka_unit_test(test_shared_mm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
