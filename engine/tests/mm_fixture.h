/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests of the mm: a machine with one task that has an empty image, faults by site, and a check
 * of every VMA, tree, chain and counter that shares no code with the engine's own checks.
 */
#ifndef FAULTLINE_TESTS_MM_FIXTURE_H
#define FAULTLINE_TESTS_MM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "internal.h"

#define FX_BASE 0x20000000u /* a window that nothing else uses, on every geometry */
#define FX_BRK	0x08000000u
#define RW	(PROT_READ | PROT_WRITE)

struct fixture {
	const struct fl_allocator_ops *ops;
	void *inst;
	struct machine *m;
	struct ctx cx;
	struct task_struct *init;
	bool fail[FL_NR_SITES]; /* refuse every request at this site */
	u64 asked[FL_NR_SITES], refused;
	u64 random_fail; /* refuse one request in so many, 0: none */
	u64 seed;
	bool expect_bug;
	enum fl_bug bug_kind;
	jmp_buf bug_jmp;
};

static inline u64 fx_random(struct fixture *fx, u64 below)
{
	fx->seed = fx->seed * 6364136223846793005u + 1442695040888963407u;
	return (fx->seed >> 33) % below;
}

static inline bool fx_should_fail(void *priv, enum fl_site site, gfp_t gfp)
{
	struct fixture *fx = priv;
	bool refuse = fx->fail[site];

	(void)gfp;
	fx->asked[site]++;
	if (fx->random_fail && fx_random(fx, fx->random_fail) == 0)
		refuse = true;
	fx->refused += refuse;
	return refuse;
}

__attribute__((noreturn)) static inline void fx_bug(void *priv, enum fl_bug kind, const char *func,
						    const char *what)
{
	struct fixture *fx = priv;

	if (fx->expect_bug) {
		fx->bug_kind = kind;
		longjmp(fx->bug_jmp, 1);
	}
	print_error("bug in %s: %s\n", func, what);
	abort();
}

static inline void fx_exec(struct fixture *fx)
{
	struct exec_image image = {.start_brk = FX_BRK, .stack_pages = 1};
	bool killed;

	assert_int_equal(sys_execve(&fx->cx, &image, &killed), 0);
}

/* options: "name=value name=value", or NULL. */
static inline void fx_create(struct fixture *fx, const char *options)
{
	struct fl_allocator_config acfg = {.size = sizeof(acfg)};
	struct machine_config cfg;
	struct fl_seams seams = {.priv = fx, .should_fail = fx_should_fail, .bug = fx_bug};
	char why[128];

	memset(fx, 0, sizeof(*fx));
	machine_config_init(&cfg);
	for (const char *o = options; o && *o;) {
		size_t name = strcspn(o, "="), value = strcspn(o + name + 1, " ");

		if (machine_config_set(&cfg, o, name, o + name + 1, value, why, sizeof(why)))
			fail_msg("%s", why);
		o += name + 1 + value;
		o += *o == ' ';
	}
	fx->ops = fl_allocator_find("malloc");
	fx->inst = fx->ops->create(&acfg);
	assert_non_null(fx->inst);
	fx->m = machine_create(&cfg, fx->ops, fx->inst, &seams);
	assert_non_null(fx->m);
	fx->cx = (struct ctx){.m = fx->m, .steps = ~(u64)0};
	fx->init = spawn_init(&fx->cx);
	assert_non_null(fx->init);
	fx->cx.curr = fx->init;
	run_on(&fx->cx, 0, fx->init);
	fx_exec(fx);
}

static inline void fx_run(struct fixture *fx, struct task_struct *tsk)
{
	run_on(&fx->cx, 0, tsk);
	fx->cx.curr = tsk;
}

static inline struct task_struct *fx_fork(struct fixture *fx)
{
	struct task_struct *child = NULL;

	assert_int_equal(do_fork(&fx->cx, 0, &child), 0);
	return child;
}

static inline void fx_exit(struct fixture *fx, struct task_struct *tsk)
{
	fx_run(fx, tsk);
	do_exit(&fx->cx);
	run_on(&fx->cx, 0, NULL);
	fx->cx.curr = NULL;
}

/* Every task still alive exits; then nothing may be left. */
static inline void fx_destroy(struct fixture *fx)
{
	struct machine *m = fx->m;
	struct fl_allocator_counts counts;

	memset(fx->fail, 0, sizeof(fx->fail));
	fx->random_fail = 0;
	while (!list_empty(&m->tasks))
		fx_exit(fx, list_last_entry(&m->tasks, struct task_struct, tasks));
	free_swap_count_continuations(&fx->cx);
	assert_int_equal(m->vm_committed_as, 0);
	assert_int_equal(m->locks_held, 0);
	assert_int_equal(m->nr_mms, 0);
	assert_int_equal(m->check_alerts, 0);
	assert_int_equal(m->caches[CACHE_vm_area_struct].live, 0);
	assert_int_equal(m->caches[CACHE_anon_vma].live, 0);
	assert_int_equal(m->caches[CACHE_anon_vma_chain].live, 0);
	assert_int_equal(m->nr_alloc[PAGE_ANON], 0);
	assert_int_equal(m->nr_alloc[PAGE_PTE], 0);
	machine_destroy(m);
	fx->ops->counts(fx->inst, &counts);
	assert_int_equal(counts.pages, 0);
	assert_int_equal(counts.objects, 0);
	fx->ops->destroy(fx->inst);
}

/* ---- calls, in pages of the window ---------------------------------------------------------- */

static inline u64 fx_addr(u64 page)
{
	return FX_BASE + page * PAGE_SIZE;
}

static inline s64 fx_mmap_flags(struct fixture *fx, u64 from, u64 to, u32 prot, u32 flags)
{
	s64 ret = sys_mmap(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE, prot,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags, NULL, 0);

	return ret == (s64)fx_addr(from) ? 0 : ret;
}

static inline void fx_mmap(struct fixture *fx, u64 from, u64 to, u32 prot)
{
	assert_int_equal(fx_mmap_flags(fx, from, to, prot, 0), 0);
}

static inline s64 fx_munmap(struct fixture *fx, u64 from, u64 to)
{
	return sys_munmap(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE);
}

static inline s64 fx_mprotect(struct fixture *fx, u64 from, u64 to, u32 prot)
{
	return sys_mprotect(&fx->cx, fx_addr(from), (to - from) * PAGE_SIZE, prot);
}

static inline void fx_write(struct fixture *fx, u64 page, u64 tag)
{
	assert_int_equal(access_user(&fx->cx, fx_addr(page), true, &tag), ACCESS_OK);
}

static inline u64 fx_read(struct fixture *fx, u64 page)
{
	u64 tag = 0;

	assert_int_equal(access_user(&fx->cx, fx_addr(page), false, &tag), ACCESS_OK);
	return tag;
}

static inline struct vm_area_struct *fx_vma(struct fixture *fx, u64 page)
{
	struct vm_area_struct *vma = find_vma(&fx->cx, fx->cx.curr->mm, fx_addr(page));

	return vma && vma->vm_start <= fx_addr(page) ? vma : NULL;
}

/* ---- checks --------------------------------------------------------------------------------- */

static inline u64 fx_check_gaps(const struct rb_node *node)
{
	const struct vm_area_struct *vma;
	u64 gap;

	if (!node)
		return 0;
	vma = rb_entry(node, struct vm_area_struct, vm_rb);
	gap = vma->vm_start - (vma->vm_prev ? vma->vm_prev->vm_end : 0);
	gap = max_u64(gap, fx_check_gaps(node->left));
	gap = max_u64(gap, fx_check_gaps(node->right));
	assert_int_equal(vma->rb_subtree_gap, gap);
	return gap;
}

static inline bool fx_avc_in_tree(const struct anon_vma_chain *avc)
{
	const struct vm_area_struct *v = avc->vma;
	struct anon_vma_chain *a =
		anon_vma_interval_tree_first(&avc->anon_vma->rb_root, v->vm_pgoff, v->vm_pgoff);

	for (; a; a = anon_vma_interval_tree_next(a, v->vm_pgoff, v->vm_pgoff))
		if (a == avc)
			return true;
	return false;
}

static inline void fx_check_anon_vma(const struct vm_area_struct *vma)
{
	const struct anon_vma_chain *avc;
	bool own = false;
	u64 count;

	list_for_each_entry(avc, &vma->anon_vma_chain, same_vma) {
		assert_ptr_equal(avc->vma, vma);
		assert_true(fx_avc_in_tree(avc));
		assert_int_equal(rb_check(&avc->anon_vma->rb_root, 1u << 20, &count), 0);
		assert_ptr_equal(avc->anon_vma->root, vma->anon_vma->root);
		own |= avc->anon_vma == vma->anon_vma;
	}
	assert_int_equal(own, vma->anon_vma != NULL);
}

static inline void fx_check_mm(struct fixture *fx, const struct mm_struct *mm)
{
	const struct vm_area_struct *vma, *prev = NULL;
	const struct rb_node *node = rb_first(&mm->mm_rb);
	u64 count, seen = 0, total = 0, shared = 0, end = 0;

	(void)fx;
	assert_int_equal(rb_check(&mm->mm_rb, (u64)mm->map_count, &count), 0);
	assert_int_equal(count, mm->map_count);
	for (vma = mm->mmap; vma; vma = vma->vm_next) {
		assert_ptr_equal(node, &vma->vm_rb);
		node = rb_next(node);
		assert_ptr_equal(vma->vm_prev, prev);
		assert_ptr_equal(vma->vm_mm, mm);
		assert_true(vma->vm_start >= end && vma->vm_start < vma->vm_end);
		assert_false(offset_in_page(vma->vm_start) || offset_in_page(vma->vm_end));
		if (!vma->vm_file && !vma->anon_vma)
			assert_int_equal(vma->vm_pgoff, vma->vm_start >> PAGE_SHIFT);
		fx_check_anon_vma(vma);
		total += vma_pages(vma);
		if (vma->vm_file)
			shared += vma_pages(vma);
		end = vma->vm_end;
		prev = vma;
		seen++;
	}
	assert_int_equal(seen, mm->map_count);
	if (seen)
		assert_int_equal(mm->highest_vm_end, end);
	fx_check_gaps(mm->mm_rb.node);
	assert_int_equal(mm->total_vm, total);
	assert_int_equal(mm->shared_vm, shared);
}

/* Of every anon_vma that a VMA names: children, active VMAs and references by recount. */
static inline void fx_check_family(struct fixture *fx)
{
	const struct anon_vma *avs[1024];
	u32 active[1024] = {0}, n = 0;
	struct mm_struct *mm;

	list_for_each_entry(mm, &fx->m->mms, mms) {
		for (struct vm_area_struct *vma = mm->mmap; vma; vma = vma->vm_next) {
			struct anon_vma_chain *avc;

			list_for_each_entry(avc, &vma->anon_vma_chain, same_vma) {
				u32 i = 0;

				while (i < n && avs[i] != avc->anon_vma)
					i++;
				assert_true(i < ARRAY_SIZE(avs));
				avs[i] = avc->anon_vma;
				n = i == n ? n + 1 : n;
				active[i] += vma->anon_vma == avc->anon_vma;
			}
		}
	}
	for (u32 i = 0; i < n; i++) {
		u32 children = 0, refs = 1;

		for (u32 j = 0; j < n; j++) {
			children += avs[j]->parent == avs[i];
			refs += i != j && avs[j]->root == avs[i];
		}
		assert_int_equal(avs[i]->num_children, children);
		assert_int_equal(avs[i]->num_active_vmas, active[i]);
		assert_int_equal(atomic_read(&avs[i]->refcount), refs);
	}
}

static inline void fx_check(struct fixture *fx)
{
	struct mm_struct *mm;
	s64 committed = 0;

	assert_int_equal(fx->m->locks_held, 0);
	list_for_each_entry(mm, &fx->m->mms, mms) {
		if (atomic_read(&mm->mm_users) <= 0)
			continue;
		fx_check_mm(fx, mm);
		for (struct vm_area_struct *vma = mm->mmap; vma; vma = vma->vm_next)
			if (vma->vm_flags & VM_ACCOUNT)
				committed += (s64)vma_pages(vma);
	}
	assert_int_equal(fx->m->vm_committed_as, committed);
	fx_check_family(fx);
}

/* The VMAs of the window as "0-2 2-4", in pages; and everything else must be in order. */
#define fx_expect(fx, maps) fx_expect_at((fx), (maps), __LINE__)
static inline void fx_expect_at(struct fixture *fx, const char *maps, int line)
{
	char text[512] = "";
	size_t len = 0;

	fx_check(fx);
	for (struct vm_area_struct *vma = fx->cx.curr->mm->mmap; vma; vma = vma->vm_next) {
		if (vma->vm_start < FX_BASE || vma->vm_start >= fx_addr(1024))
			continue;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u-%u", len ? " " : "",
					(unsigned int)((vma->vm_start - FX_BASE) >> PAGE_SHIFT),
					(unsigned int)((vma->vm_end - FX_BASE) >> PAGE_SHIFT));
	}
	if (strcmp(text, maps))
		fail_msg("line %d: expected \"%s\", got \"%s\"", line, maps, text);
}

#endif
