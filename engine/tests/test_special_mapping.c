/* SPDX-License-Identifier: GPL-2.0-only */
/* Special mappings: [vdso] and [vvar] through exec, faults, fork, moves, and each refusal. */
#include "mm_bench.h"

#define IMAGE	 0x8048000u
#define FAR	 0x40000000u
#define VDSO_TAG 0x464c457fu
#define VVAR_TAG 0x72617676u

static struct vm_area_struct *vma_at(struct bench *b, u64 addr)
{
	struct vm_area_struct *vma = find_vma(&b->cx, b->cx.curr->mm, addr);

	return vma && vma->vm_start <= addr ? vma : NULL;
}

static enum access_result load(struct bench *b, u64 addr)
{
	u64 tag;

	return access_user(&b->cx, addr, false, &tag);
}

static const char *const geometries[] = {
	"vdso=1",
	"vdso=1 levels=2",
	"vdso=1 levels=3 ptl_objects=1",
	"vdso=1 levels=3 kernel_pmd=shared",
	"vdso=1 levels=5 paravirt=xen",
};

static void test_image(void **state)
{
	const u32 text = VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_DONTEXPAND;
	const u32 data = VM_READ | VM_MAYREAD | VM_DONTEXPAND | VM_IO | VM_PFNMAP | VM_DONTDUMP;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(geometries); i++) {
		const struct vm_area_struct *vdso, *vvar;
		struct task_struct *t;
		struct bench b;
		u64 at, total;

		bench_up(&b, geometries[i]);
		t = bench_exec(&b, IMAGE);
		at = t->mm->context.vdso;
		vdso = vma_at(&b, at);
		vvar = vma_at(&b, at - PAGE_SIZE);
		assert_int_equal(vdso->vm_flags & ~VM_SOFTDIRTY, text);
		assert_int_equal(vvar->vm_flags & ~VM_SOFTDIRTY, data);
		assert_int_equal(vdso->vm_pgoff, 0);
		assert_int_equal(vvar->vm_end, vdso->vm_start);

		/* a page of the kernel's counts as one of a file; a frame by its number as none */
		assert_int_equal(t->mm->rss_stat[MM_FILEPAGES], 0);
		assert_int_equal(bench_read(&b, vvar->vm_start), VVAR_TAG);
		assert_int_equal(t->mm->rss_stat[MM_FILEPAGES], 0);
		assert_int_equal(load(&b, vvar->vm_start + PAGE_SIZE), ACCESS_SIGBUS);
		assert_int_equal(bench_read(&b, at), VDSO_TAG);
		assert_int_equal(t->mm->rss_stat[MM_FILEPAGES], 1);
		assert_int_equal(atomic_read(&b.m->vdso_mapping.pages[0]->_refcount), 2);
		assert_int_equal(b.m->vdso_mapping.pages[0]->_mapcount, 1);
		bench_check(&b);

		total = t->mm->total_vm;
		assert_int_equal(sys_munmap(&b.cx, at + PAGE_SIZE, PAGE_SIZE), 0);
		assert_int_equal(sys_munmap(&b.cx, at - PAGE_SIZE, 2 * PAGE_SIZE), 0);
		assert_int_equal(t->mm->total_vm, total - 3);
		assert_int_equal(atomic_read(&b.m->vdso_mapping.pages[0]->_refcount), 1);
		assert_int_equal(t->mm->rss_stat[MM_FILEPAGES], 0);
		bench_check(&b);
		bench_exit(&b, t);
		bench_down(&b);
	}
}

/* The child finds frames by their number copied, and pages by its own faults. */
static void test_fork(void **state)
{
	struct task_struct *t, *child;
	struct bench b;
	u64 at;

	(void)state;
	bench_up(&b, "vdso=1");
	t = bench_exec(&b, IMAGE);
	at = t->mm->context.vdso;
	bench_read(&b, at);
	bench_watch(&b, 0, SITE_none);
	assert_int_equal(do_fork(&b.cx, 0, &child), 0);
	assert_int_equal(bench_met(&b, SITE_track_pfn_copy), 1);
	assert_int_equal(child->mm->context.vdso, at);
	assert_true(bench_pte(&b, child->mm, at - 2 * PAGE_SIZE) & _PAGE_SPECIAL);
	assert_true(pte_none(bench_pte(&b, child->mm, at)));
	run_on(&b.cx, 0, child);
	assert_int_equal(bench_read(&b, at), VDSO_TAG);
	assert_int_equal(b.m->vdso_mapping.pages[0]->_mapcount, 2);
	bench_check(&b);

	/* what a debugger does: a copy of its own, which a fork does share */
	assert_int_equal(sys_mprotect(&b.cx, at, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
	bench_write(&b, at, 0xcc);
	assert_int_equal(b.m->vdso_mapping.pages[0]->_mapcount, 1);
	assert_int_equal(child->mm->rss_stat[MM_ANONPAGES], t->mm->rss_stat[MM_ANONPAGES] + 1);
	bench_check(&b);
	bench_exit(&b, child);
	run_on(&b.cx, 0, t);
	assert_int_equal(bench_read(&b, at), VDSO_TAG);
	bench_exit(&b, t);
	bench_down(&b);
}

/* Each request that only an image with a vdso makes; past the point of no return all of them. */
static void test_refused(void **state)
{
	static const enum fl_site sites[] = {SITE_special_mapping_vma, SITE_track_pfn_copy};
	struct exec_image image = {.stack_pages = 1};
	struct task_struct *t, *child;
	struct bench b;

	(void)state;
	bench_up(&b, "vdso=1");
	t = bench_exec(&b, IMAGE);
	for (u32 nth = 1; nth <= 2; nth++) {
		u32 first = 0;
		bool killed;

		assert_int_equal(do_fork(&b.cx, 0, &child), 0);
		run_on(&b.cx, 0, child);
		bench_watch(&b, 0, SITE_none);
		assert_int_equal(sys_execve(&b.cx, &image, &killed), 0);
		assert_int_equal(bench_met(&b, sites[0]), 2);
		for (u32 i = 0, n = 0; i < b.nr_met && n < nth; i++) {
			n += b.met[i] == sites[0];
			first = i + 1;
		}
		bench_watch(&b, first, SITE_none);
		assert_int_equal(sys_execve(&b.cx, &image, &killed), -ENOMEM);
		assert_true(killed);
		assert_int_equal(child->mm->context.vdso, 0);
		bench_watch(&b, 0, SITE_none);
		bench_check(&b);
		bench_exit(&b, child);
		run_on(&b.cx, 0, t);
	}
	bench_watch(&b, 0, sites[1]);
	assert_int_equal(do_fork(&b.cx, 0, &child), -ENOMEM);
	bench_watch(&b, 0, SITE_none);
	bench_check(&b);
	bench_exit(&b, t);
	bench_down(&b);
}

/* What is there already, and no memory for a table. */
static void test_install(void **state)
{
	struct vm_area_struct *vma = NULL;
	struct mm_struct *mm;
	struct task_struct *t;
	struct bench b;
	u64 vmas, total;
	int ret;

	(void)state;
	bench_up(&b, "vdso=1");
	t = bench_exec(&b, IMAGE);
	mm = t->mm;
	vmas = b.m->caches[CACHE_vm_area_struct].live;
	total = mm->total_vm;
	down_write(&b.cx, &mm->mmap_sem);
	assert_int_equal(_install_special_mapping(&b.cx, mm, IMAGE, PAGE_SIZE, VM_READ | VM_MAYREAD,
						  &b.m->vvar_mapping, &vma),
			 -ENOMEM);
	assert_null(vma);
	assert_int_equal(b.m->caches[CACHE_vm_area_struct].live, vmas);

	/* MCL_FUTURE is not for it */
	mm->def_flags = VM_LOCKED;
	assert_int_equal(_install_special_mapping(&b.cx, mm, FAR, PAGE_SIZE, VM_READ | VM_MAYREAD,
						  &b.m->vvar_mapping, &vma),
			 0);
	mm->def_flags = 0;
	assert_false(vma->vm_flags & VM_LOCKED);
	assert_int_equal(mm->total_vm, total + 1);
	bench_watch(&b, 0, SITE_pte_alloc_pte);
	ret = remap_pfn_range(&b.cx, vma, FAR, b.m->vvar_page, 1);
	bench_watch(&b, 0, SITE_none);
	up_write(&b.cx, &mm->mmap_sem);
	assert_int_equal(ret, -ENOMEM);
	assert_true(vma->vm_flags & VM_PFNMAP);
	assert_int_equal(load(&b, FAR), ACCESS_SIGBUS);
	bench_check(&b);
	bench_exit(&b, t);
	bench_down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_install),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
