/* SPDX-License-Identifier: GPL-2.0-only */
/* The reference model: what it says by itself, and that each way to differ from it is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compare.h"
#include "internal.h"
#include "model.h"

/* ---- the table ------------------------------------------------------------------------------ */

static void test_every_operation_has_a_row(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < NR_OPS; i++)
		if (!modelled_is_listed((enum op_code)i))
			fail_msg("%s has no row in fuzz/target/compare/modelled.def",
				 op_table[i].name);
	for (unsigned int i = 0; i < nr_machine_options; i++)
		if (modelled_option(machine_options[i].name).how == NOT_LISTED)
			fail_msg("option %s has no row in fuzz/target/compare/modelled.def",
				 machine_options[i].name);
}

/* ---- the model by itself -------------------------------------------------------------------- */

#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define P(n) ((u64)(n)*PAGE_SIZE)

struct alone {
	struct model m;
	u32 space;
};

static const struct m_config usual = {
	.levels = 4,
	.mem = 65536,
	.overcommit_ratio = 50,
	.limit_as = (u64)1 << 36,
	.limit_data = (u64)1 << 36,
	.limit_stack = 2048,
	.limit_memlock = 64,
	.max_tasks = 8,
	.limit_nproc = 8,
	.pid_max = 32768,
	.cpus = 1,
	.ldt = true,
};

static struct alone *make(const struct m_config *cfg)
{
	struct alone *a = calloc(1, sizeof(*a));
	const struct m_image image = {.exe = M_NONE};

	assert_non_null(a);
	assert_int_equal(m_reset(&a->m, cfg, 8), 0);
	a->m.in.free_lo = a->m.in.free_hi = cfg->mem;
	m_spawn(&a->m);
	assert_int_equal(m_exec(&a->m, 0, &image).kind, M_OK);
	m_accept(&a->m, NULL, NULL, NULL);
	a->space = a->m.task[0].space;
	return a;
}

static void drop(struct alone *a)
{
	m_exit(&a->m, 0);
	assert_int_equal(a->m.account, 0);
	assert_false(a->m.lost);
	m_free(&a->m);
	free(a);
}

static struct m_result did(struct alone *a, struct m_result r)
{
	m_accept(&a->m, NULL, NULL, NULL);
	return r;
}

static s64 map(struct alone *a, u64 addr, u64 pages, u32 prot, u32 flags, u32 obj)
{
	return did(a, m_mmap(&a->m, a->space, addr, P(pages), prot, flags, obj, 0, 0)).value;
}

static struct m_result store(struct alone *a, u32 space, u64 addr, u64 tag)
{
	return did(a, m_access(&a->m, space, addr, 0, true, tag));
}

static struct m_result load(struct alone *a, u32 space, u64 addr)
{
	return did(a, m_access(&a->m, space, addr, 0, false, 0));
}

static void test_contents_of_a_fork(void **state)
{
	struct alone *a = make(&usual);
	u64 w = 0x50000000;
	u32 file = m_open(&a->m, 4, 3), child;

	(void)state;
	map(a, w, 4, RW, ANON | MAP_FIXED, M_NONE);
	map(a, w + P(8), 4, RW, MAP_SHARED | MAP_FIXED, file);
	map(a, w + P(16), 4, RW, MAP_PRIVATE | MAP_FIXED, file);
	store(a, a->space, w, 0x11);
	assert_int_equal(did(a, m_madvise(&a->m, a->space, w + P(3), P(1), MADV_DONTFORK)).value,
			 0);
	assert_int_equal(m_fork(&a->m, 0, 1, 0, false).value, 1);
	child = a->m.task[1].space;
	assert_int_not_equal(child, a->space);
	store(a, child, w, 0x22);
	assert_int_equal(load(a, a->space, w).value, 0x11);
	assert_int_equal(load(a, child, w).value, 0x22);
	assert_int_equal(load(a, child, w + P(3)).kind, M_SIGSEGV);
	assert_int_equal(load(a, a->space, w + P(3)).value, 0);
	/* a store to the file is seen by all but those with a page of their own */
	store(a, a->space, w + P(17), 0x33);
	store(a, child, w + P(9), 0x44);
	assert_int_equal(load(a, a->space, w + P(9)).value, 0x44);
	assert_int_equal(load(a, child, w + P(17)).value, 0x44);
	assert_int_equal(load(a, a->space, w + P(17)).value, 0x33);
	/* what is past the end of the file is nobody's */
	assert_int_equal(did(a, m_truncate(&a->m, file, 1)).value, 0);
	assert_int_equal(load(a, a->space, w + P(17)).kind, M_SIGBUS);
	assert_int_equal(did(a, m_truncate(&a->m, file, 4)).value, 0);
	assert_int_equal(load(a, a->space, w + P(17)).value, 0);
	m_exit(&a->m, 1);
	drop(a);
}

static void test_placement(void **state)
{
	struct m_config modern = usual;
	struct alone *a = make(&usual);
	u64 top = a->m.cfg.base, two_mib = 512;

	(void)state;
	assert_int_equal(map(a, 0, 2, RW, ANON, M_NONE), top - P(2));
	assert_int_equal(map(a, 0, 1, RW, ANON, M_NONE), top - P(3));
	did(a, m_munmap(&a->m, a->space, top - P(2), P(2)));
	/* the highest hole that is large enough */
	assert_int_equal(map(a, 0, 3, RW, ANON, M_NONE), top - P(6));
	assert_int_equal(map(a, 0, 2, RW, ANON, M_NONE), top - P(2));
	assert_int_equal(map(a, 0x40000000, 1, RW, ANON, M_NONE), 0x40000000);
	assert_int_equal(map(a, 0x40000000, 1, RW, ANON, M_NONE), top - P(7));
	assert_int_equal(map(a, 0, 1, RW, ANON | MAP_32BIT, M_NONE), 0x40001000);
	drop(a);
	modern.modern = true;
	a = make(&modern);
	assert_int_equal((u64)map(a, 0, two_mib, RW, ANON, M_NONE) % P(two_mib), 0);
	drop(a);
}

static void test_errors_in_order(void **state)
{
	struct m_config tight = usual;
	struct alone *a = make(&usual);
	u32 file = m_open(&a->m, 1, 1);
	u64 w = 0x50000000;

	(void)state;
	assert_int_equal(map(a, 0, 0, RW, ANON, M_NONE), -EINVAL);
	assert_int_equal(map(a, 0, 1, RW, MAP_PRIVATE, M_NONE), -EBADF);
	assert_int_equal(map(a, 0, 1, RW, MAP_SHARED, file), -EACCES);
	assert_int_equal(map(a, 0, 1, PROT_EXEC, MAP_SHARED, file), -EPERM);
	assert_int_equal(map(a, 0, 65, RW, ANON | MAP_LOCKED, M_NONE), -EAGAIN);
	assert_int_equal(m_munmap(&a->m, a->space, 1, P(1)).value, -EINVAL);
	assert_int_equal(m_mprotect(&a->m, a->space, w, P(1), RW).value, -ENOMEM);
	assert_int_equal(m_mlock(&a->m, a->space, w, P(65), M_LOCKED).value, -ENOMEM);
	assert_int_equal(m_madvise(&a->m, a->space, w, P(1), 99).value, -EINVAL);
	assert_int_equal(m_madvise(&a->m, a->space, w, P(1), MADV_DONTNEED).value, -ENOMEM);
	assert_int_equal(m_fork(&a->m, 0, 1, 0x00010000, false).value, -EINVAL);
	m_close(&a->m, file);
	drop(a);
	tight.overcommit = 2;
	tight.mem = 640;
	a = make(&tight);
	/* half of memory, less what is reserved, has to be more than what is promised */
	map(a, w, 200, RW, ANON | MAP_FIXED, M_NONE);
	assert_int_equal(map(a, w + P(300), 80, RW, ANON | MAP_FIXED, M_NONE), -ENOMEM);
	assert_int_equal(map(a, w + P(300), 80, PROT_READ, ANON | MAP_FIXED, M_NONE), w + P(300));
	assert_int_equal(m_mprotect(&a->m, a->space, w + P(300), P(80), RW).value, -ENOMEM);
	drop(a);
}

static void test_move_and_break(void **state)
{
	struct alone *a = make(&usual);
	u64 w = 0x50000000, brk = a->m.space[a->space].brk;

	(void)state;
	map(a, w, 4, RW, ANON | MAP_FIXED, M_NONE);
	store(a, a->space, w + P(1), 0x77);
	a->m.in.vma_start = w;
	a->m.in.vma_end = w + P(4);
	assert_int_equal(did(a, m_mremap(&a->m, a->space, w, P(4), P(8),
					 MREMAP_MAYMOVE | MREMAP_FIXED, w + P(64)))
				 .value,
			 w + P(64));
	assert_int_equal(load(a, a->space, w + P(65)).value, 0x77);
	assert_int_equal(load(a, a->space, w + P(1)).kind, M_SIGSEGV);
	assert_int_equal(load(a, a->space, w + P(71)).value, 0);
	assert_int_equal(did(a, m_brk(&a->m, a->space, brk + P(2))).value, brk + P(2));
	store(a, a->space, brk + P(1), 1);
	assert_int_equal(did(a, m_brk(&a->m, a->space, brk)).value, brk);
	assert_int_equal(load(a, a->space, brk + P(1)).kind, M_SIGSEGV);
	drop(a);
}

static void test_taken_back(void **state)
{
	struct alone *a = make(&usual);
	u64 w = 0x50000000, before;

	(void)state;
	map(a, w, 4, RW, ANON | MAP_FIXED, M_NONE);
	store(a, a->space, w, 0x55);
	before = a->m.account;
	m_save(&a->m, a->space);
	m_munmap(&a->m, a->space, w, P(4));
	m_mmap(&a->m, a->space, w, P(2), RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, M_NONE, 0, 0);
	m_rollback(&a->m);
	assert_int_equal(a->m.account, before);
	assert_int_equal(load(a, a->space, w).value, 0x55);
	assert_non_null(m_at(&a->m.space[a->space], w + P(3)));
	drop(a);
}

static void test_copy(void **state)
{
	struct alone *a = make(&usual);
	struct model copy = {0};
	u64 w = 0x50000000;

	(void)state;
	map(a, w, 4, RW, ANON | MAP_FIXED, M_NONE);
	store(a, a->space, w, 0x55);
	m_copy(&copy, &a->m);
	store(a, a->space, w, 0x66);
	did(a, m_munmap(&a->m, a->space, w + P(1), P(1)));
	m_copy(&a->m, &copy);
	assert_int_equal(load(a, a->space, w).value, 0x55);
	assert_int_equal(load(a, a->space, w + P(1)).kind, M_OK);
	m_free(&copy);
	drop(a);
}

/* A context is found by the number in its ring, by its own space and at its own address. */
static void test_contexts(void **state)
{
	struct m_config cfg = usual;
	struct alone *a;
	u64 w = 0x50000000, first, second;

	(void)state;
	cfg.aio = true;
	cfg.aio_max_nr = 200;
	a = make(&cfg);
	map(a, w, 4, RW, ANON | MAP_FIXED, M_NONE);
	first = (u64)did(a, m_io_setup(&a->m, a->space, 100, w)).value;
	assert_int_equal(load(a, a->space, w).value, first);
	assert_int_equal((u32)load(a, a->space, first).value, 0);
	assert_true(m_at(&a->m.space[a->space], first)->attr & M_DONTEXPAND);
	/* the place is taken; then the quota is; then there is one */
	assert_int_equal(did(a, m_io_setup(&a->m, a->space, 1, w)).value, -EINVAL);
	assert_int_equal(did(a, m_io_setup(&a->m, a->space, 101, w + P(1))).value, -EAGAIN);
	assert_int_equal(load(a, a->space, w + P(1)).value, 0);
	second = (u64)did(a, m_io_setup(&a->m, a->space, 100, w + P(1))).value;
	assert_int_equal((u32)load(a, a->space, second).value, 1);

	/* 100 times 2 and 2 more are two pages: 255 events, one of which stays empty */
	assert_int_equal(did(a, m_io_submit(&a->m, a->space, first, 250)).value, 250);
	assert_int_equal(did(a, m_io_submit(&a->m, a->space, first, 250)).value, 4);
	assert_int_equal(did(a, m_io_submit(&a->m, a->space, first, 1)).value, -EAGAIN);
	assert_int_equal(did(a, m_io_getevents(&a->m, a->space, first, 255)).value, 254);

	/* who inherits the ring has no context, and may not move it */
	assert_int_equal(m_fork(&a->m, 0, 1, 0, false).value, 1);
	assert_int_equal(did(a, m_io_destroy(&a->m, a->m.task[1].space, first, true)).value,
			 -EINVAL);
	assert_int_equal(did(a, m_mremap(&a->m, a->m.task[1].space, first, P(2), P(2),
					 MREMAP_MAYMOVE | MREMAP_FIXED, w + P(8)))
				 .value,
			 -EINVAL);
	/* whose it is finds it where it is now */
	a->m.in.vma_start = first;
	a->m.in.vma_end = first + P(2);
	did(a,
	    m_mremap(&a->m, a->space, first, P(2), P(2), MREMAP_MAYMOVE | MREMAP_FIXED, w + P(8)));
	assert_int_equal(did(a, m_io_submit(&a->m, a->space, first, 1)).value, -EINVAL);
	assert_int_equal(did(a, m_io_submit(&a->m, a->space, w + P(8), 1)).value, 1);
	assert_int_equal(did(a, m_io_destroy(&a->m, a->space, w + P(8), true)).value, 0);
	assert_null(m_at(&a->m.space[a->space], w + P(8)));
	assert_int_equal(load(a, a->m.task[1].space, first).kind, M_SIGBUS);
	m_exit(&a->m, 1);
	drop(a);
}

/* Pages of the kernel's are there to be looked at; who may write gets copies. */
static void test_special_mappings(void **state)
{
	struct m_config cfg = usual;
	struct alone *a;
	const struct m_area *vdso, *vvar;
	u64 code, data, step;

	(void)state;
	cfg.vdso = cfg.uprobes = true;
	a = make(&cfg);
	vdso = &a->m.space[a->space].area[1];
	vvar = &a->m.space[a->space].area[0];
	code = vdso->start;
	data = vvar->start;
	assert_int_equal(code, data + P(2));
	assert_int_equal(load(a, a->space, code + P(1)).value, 0x464c4580);
	assert_int_equal(load(a, a->space, data).kind, M_OK);
	assert_int_equal(load(a, a->space, data + P(1)).kind, M_SIGBUS);
	assert_int_equal(did(a, m_mprotect(&a->m, a->space, data, P(1), RW)).value, -EACCES);
	assert_int_equal(did(a, m_mprotect(&a->m, a->space, code, P(2), RW)).value, 0);
	store(a, a->space, code, 7);
	assert_int_equal(load(a, a->space, code).value, 7);
	/* never longer, never locked, not merged away */
	assert_int_equal(
		did(a, m_mremap(&a->m, a->space, code, P(2), P(3), MREMAP_MAYMOVE, 0)).value,
		-EFAULT);
	assert_int_equal(did(a, m_mlock(&a->m, a->space, code, P(2), M_LOCKED)).value, 0);
	assert_int_equal(a->m.space[a->space].locked, 0);

	step = (u64)did(a, m_probe_step(&a->m, a->space)).value & PAGE_MASK;
	assert_int_equal(load(a, a->space, step).value, 0xcc);
	assert_int_equal(did(a, m_madvise(&a->m, a->space, step, P(1), MADV_DOFORK)).value,
			 -EINVAL);
	assert_int_equal(did(a, m_probe_return(&a->m, 0)).value, -EINVAL);
	assert_int_equal(m_fork(&a->m, 0, 1, 0, false).value, 1);
	assert_null(m_at(&a->m.space[a->m.task[1].space], step));
	/* a child that returns from probed calls, too, has such a page of its own */
	assert_int_equal(did(a, m_probe_call(&a->m, 0, 0x1234)).value, 0);
	assert_int_equal(m_fork(&a->m, 0, 2, 0, false).value, 2);
	assert_non_null(m_at(&a->m.space[a->m.task[2].space], step));
	assert_int_equal(did(a, m_probe_return(&a->m, 2)).value, 0x1234);
	assert_int_equal(did(a, m_probe_return(&a->m, 0)).value, 0x1234);
	/* a copy of its own, and the kernel's page for all others */
	assert_int_equal(load(a, a->m.task[2].space, code).value, 7);
	assert_int_equal(load(a, a->m.task[2].space, code + P(1)).value, 0x464c4580);
	m_exit(&a->m, 1);
	m_exit(&a->m, 2);
	drop(a);
}

static void test_context_taken_back(void **state)
{
	struct m_config cfg = usual;
	u64 w = 0x50000000, ring;
	struct alone *a;

	(void)state;
	cfg.aio = true;
	cfg.aio_max_nr = 100;
	a = make(&cfg);
	map(a, w, 4, RW, ANON | MAP_FIXED, M_NONE);
	m_save(&a->m, a->space);
	ring = (u64)m_io_setup(&a->m, a->space, 100, w).value;
	assert_non_null(m_at(&a->m.space[a->space], ring));
	m_rollback(&a->m);
	assert_null(m_at(&a->m.space[a->space], ring));
	assert_int_equal(load(a, a->space, w).value, 0);
	assert_int_equal(did(a, m_io_setup(&a->m, a->space, 100, w)).value, ring);
	for (u32 i = 1; i < a->m.nr_objects; i++)
		assert_false(a->m.object[i].used);
	drop(a);
}

/* ---- beside an engine that somebody has changed by hand ---------------------------------------
 */

#define MAX_FOUND 16u

struct bench {
	struct program p;
	struct fi fi;
	struct target t;
	struct finding found[MAX_FOUND];
	u32 nr_found, at; /* changed after operation at, and back after the next */
	void (*change)(struct bench *b, bool back);
};

static void on_finding(void *priv, const struct finding *f)
{
	struct bench *b = priv;

	if (b->nr_found < MAX_FOUND)
		b->found[b->nr_found] = *f;
	b->nr_found++;
}

static void on_event(void *priv, const struct target_event *ev)
{
	struct bench *b = priv;

	if (b->change && (ev->op == b->at || ev->op == b->at + 1))
		b->change(b, ev->op != b->at);
}

static struct bench *setup(const char *text, enum check_level check)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct target_options opt = {
		.alloc = fl_allocator_find("malloc"),
		.check = check,
		.expectations = true,
		.event = on_event,
	};
	struct prog_error err;

	assert_non_null(b);
	if (program_parse(&b->p, text, strlen(text), &err))
		fail_msg("line %u: %s", err.line, err.what);
	machine_config_init(&opt.machine);
	assert_int_equal(program_machine(&b->p, &opt.machine, &err), 0);
	opt.fi = &b->fi;
	opt.event_priv = b;
	fi_init(&b->fi);
	assert_int_equal(target_init(&b->t, &b->p, &opt, on_finding, b), 0);
	return b;
}

static struct target_result run(struct bench *b)
{
	struct target_result res;

	assert_int_equal(target_run(&b->t, NULL, &res), 0);
	return res;
}

static void done(struct bench *b)
{
	target_fini(&b->t);
	program_free(&b->p);
	free(b);
}

static const char text[] = "# faultline 1\n"
			   "machine levels=4 cpus=2\n"
			   "t0: r0 = mmap(w, 8p, rw, private|anon|fixed)\n"
			   "t0: write(w, 0x11)\n"
			   "t0: write(w+1p, 0x12)\n"
			   "t0: f0 = open(4p, rw)\n"
			   "t0: r1 = mmap(w+16p, 4p, rw, shared|fixed, f0)\n"
			   "t0: write(w+16p, 0x21)\n"
			   "t0: t1 = fork()\n" /* 6: what is changed is changed here */
			   "t0: swapoff() = -EINVAL\n"
			   "t0: munmap(w+40p, 1p) = 0\n"
			   "t1: yield()\n"
			   "t0: munmap(w+1p, 1p) !slab@split_vma_vma:1 = -ENOMEM\n";

static struct mm_struct *mm_of(struct bench *b)
{
	return b->t.tasks[0].tsk->mm;
}

static struct vm_area_struct *vma_at(struct bench *b, u64 addr)
{
	struct vm_area_struct *v = mm_of(b)->mmap;

	while (v->vm_end <= addr)
		v = v->vm_next;
	return v;
}

static struct page *page_at(struct bench *b, u64 addr)
{
	return pfn_to_page(b->t.m, pte_pfn(pte_at(b->t.m, mm_of(b), addr)));
}

static void set_entry(struct bench *b, u64 addr, pte_t val)
{
	struct page *pt;

	pte_table_span(b->t.m, mm_of(b), addr, &pt);
	pt_set(pt, pt_index(&b->t.m->geo, PT_PTE, addr), val);
}

#define W TARGET_WINDOW

static void change_coverage(struct bench *b, bool back)
{
	vma_at(b, W)->vm_end += back ? -PAGE_SIZE : PAGE_SIZE;
}

static void change_flags(struct bench *b, bool back)
{
	(void)back;
	vma_at(b, W)->vm_flags ^= VM_DONTCOPY;
}

static void change_object(struct bench *b, bool back)
{
	vma_at(b, W + P(16))->vm_file = back ? b->t.files[0] : NULL;
}

static void change_offset(struct bench *b, bool back)
{
	vma_at(b, W + P(16))->vm_pgoff = !back;
}

static void change_content(struct bench *b, bool back)
{
	page_set_tag(page_at(b, W), back ? 0x11 : 0x99);
}

static void change_file_content(struct bench *b, bool back)
{
	page_set_tag(page_at(b, W + P(16)), back ? 0x21 : 0x99);
}

static void lose_page(struct bench *b, bool back)
{
	static pte_t entry;

	if (!back)
		entry = pte_at(b->t.m, mm_of(b), W + P(1));
	set_entry(b, W + P(1), back ? entry : 0);
}

static void add_page(struct bench *b, bool back)
{
	set_entry(b, W + P(3), back ? 0 : pte_at(b->t.m, mm_of(b), W));
}

static void add_stray_page(struct bench *b, bool back)
{
	set_entry(b, W + P(12), back ? 0 : pte_at(b->t.m, mm_of(b), W));
}

static void change_index(struct bench *b, bool back)
{
	page_at(b, W + P(16))->index = !back;
}

static void change_total(struct bench *b, bool back)
{
	mm_of(b)->total_vm += back ? ~(u64)0 : 1;
}

static void change_locked(struct bench *b, bool back)
{
	mm_of(b)->locked_vm = !back;
}

static void change_start_brk(struct bench *b, bool back)
{
	mm_of(b)->start_brk += back ? -PAGE_SIZE : PAGE_SIZE;
}

static void change_brk(struct bench *b, bool back)
{
	mm_of(b)->brk += back ? -PAGE_SIZE : PAGE_SIZE;
}

static void change_def_flags(struct bench *b, bool back)
{
	mm_of(b)->def_flags = back ? 0 : VM_LOCKED;
}

static void change_rss(struct bench *b, bool back)
{
	mm_of(b)->rss_stat[MM_ANONPAGES] += back ? -1 : 1;
}

static void change_committed(struct bench *b, bool back)
{
	b->t.m->vm_committed_as += back ? -1 : 1;
}

static void change_state(struct bench *b, bool back)
{
	b->t.tasks[1].tsk->state = back ? TASK_RUNNING : TASK_VFORK_WAIT;
}

static void change_mm(struct bench *b, bool back)
{
	static struct mm_struct *mm;

	if (!back)
		mm = b->t.tasks[1].tsk->mm;
	b->t.tasks[1].tsk->mm = back ? mm : mm_of(b);
}

static void change_task_size(struct bench *b, bool back)
{
	static u64 size;

	if (!back)
		size = b->t.m->geo.task_size;
	b->t.m->geo.task_size = back ? size : 0;
}

static void test_each_difference_is_found(void **state)
{
	static const struct {
		const char *class_key;
		void (*change)(struct bench *b, bool back);
		u32 at;
	} cases[] = {
		{"swapoff coverage", change_coverage, 6},
		{"swapoff flags", change_flags, 6},
		{"swapoff object", change_object, 6},
		{"swapoff offset", change_offset, 6},
		{"swapoff content", change_content, 6},
		{"swapoff content", change_file_content, 6},
		{"swapoff lost page", lose_page, 6},
		{"swapoff extra page", add_page, 6},
		{"swapoff stray page", add_stray_page, 6},
		{"swapoff wrong page", change_index, 6},
		{"swapoff total_vm", change_total, 6},
		{"swapoff locked_vm", change_locked, 6},
		{"swapoff start_brk", change_start_brk, 6},
		{"swapoff brk", change_brk, 6},
		{"swapoff def_flags", change_def_flags, 6},
		{"swapoff anonymous pages", change_rss, 6},
		{"swapoff committed", change_committed, 6},
		{"swapoff task", change_state, 6},
		{"swapoff address space", change_mm, 6},
		{"munmap result", change_task_size, 7},
		{"yield skipped", change_state, 8},
		/* refused, and yet not as it was */
		{"munmap result", change_flags, 9},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bench *b = setup(text, CHECK_OFF);

		b->change = cases[i].change;
		b->at = cases[i].at;
		run(b);
		if (!b->nr_found)
			fail_msg("case %zu (%s): nothing found", i, cases[i].class_key);
		assert_int_equal(b->found[0].oracle, ORACLE_model);
		assert_string_equal(b->found[0].class_key, cases[i].class_key);
		assert_string_not_equal(b->found[0].expected, b->found[0].actual);
		assert_int_equal(b->found[0].op, cases[i].at + 1);
		assert_int_not_equal(b->t.model.disagreed, 0);
		done(b);
	}
}

static void test_unchanged_engine_agrees(void **state)
{
	struct bench *b = setup(text, CHECK_FULL);
	struct target_result res = run(b);

	(void)state;
	assert_int_equal(b->nr_found, 0);
	assert_int_equal(res.model.agreed, 10);
	assert_int_equal(res.model.followed, 1);
	assert_int_equal(res.model.disagreed, 0);
	done(b);
}

static void test_no_model(void **state)
{
	struct bench *b = setup(text, CHECK_OFF);

	(void)state;
	target_fini(&b->t);
	b->t.opt.no_model = true;
	{
		const struct target_options opt = b->t.opt;

		assert_int_equal(target_init(&b->t, &b->p, &opt, on_finding, b), 0);
	}
	b->change = change_brk;
	b->at = 6;
	assert_int_equal(run(b).model.agreed, 0);
	assert_int_equal(b->nr_found, 0);
	done(b);
}

/* An option that the model does not know turns it off, and says so. */
static void test_unknown_option(void **state)
{
	struct bench *b = setup("# faultline 1\nmachine vdso=1\nt0: yield()\n", CHECK_FULL);
	struct target_result res;

	(void)state;
	if (modelled_option("vdso").how == IS_MODELLED) {
		done(b);
		skip();
	}
	res = run(b);
	assert_int_equal(res.model.off, 1);
	assert_string_equal(res.model.option, "vdso");
	assert_int_equal(res.model.agreed, 0);
	done(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_operation_has_a_row),
		cmocka_unit_test(test_contents_of_a_fork),
		cmocka_unit_test(test_placement),
		cmocka_unit_test(test_errors_in_order),
		cmocka_unit_test(test_move_and_break),
		cmocka_unit_test(test_taken_back),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_contexts),
		cmocka_unit_test(test_special_mappings),
		cmocka_unit_test(test_context_taken_back),
		cmocka_unit_test(test_each_difference_is_found),
		cmocka_unit_test(test_unchanged_engine_agrees),
		cmocka_unit_test(test_no_model),
		cmocka_unit_test(test_unknown_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
