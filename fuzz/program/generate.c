/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random programs that mostly make sense. What is alive and mapped is followed loosely, by what
 * should happen if nothing fails; nothing depends on it but how often an operation does real work.
 */
#include <string.h>

#include <faultline/mm_types.h>
#include <faultline/syscalls.h>

#include "draw.h"
#include "generate.h"

#define WINDOW_PAGES 64u

/* 0 .. n-1. The bias of the remainder does not matter here. */
static u32 below(struct gen *g, u32 n)
{
	return (u32)(fi_draw(&g->rng) % n);
}

static bool chance(struct gen *g, u32 percent)
{
	return below(g, 100) < percent;
}

static u64 pages(u64 n)
{
	return n << PAGE_SHIFT;
}

static struct arg addr(enum addr_base base, u32 ref, u64 val)
{
	return (struct arg){.base = (u8)base, .ref = ref, .val = val};
}

/* ---- operands ------------------------------------------------------------------------------- */

/* Waiting tasks and kernel threads act too, but seldom. */
static struct live_task *pick_task(struct gen *g)
{
	u32 start = below(g, g->nr_tasks);

	for (u32 i = 0; i < g->nr_tasks; i++) {
		struct live_task *t = &g->tasks[(start + i) % g->nr_tasks];

		if ((t->waits_on == NO_REF && !t->kernel) || chance(g, 3))
			return t;
	}
	return &g->tasks[start];
}

/* Starts anywhere and takes the first that the task should have and may use so. */
static const struct live_map *pick_map(struct gen *g, const struct live_task *t, u32 prot)
{
	u32 start = g->nr_maps ? below(g, g->nr_maps) : 0;

	for (u32 i = 0; i < g->nr_maps; i++) {
		const struct live_map *m = &g->maps[(start + i) % g->nr_maps];

		if ((m->image == t->image && (m->prot & prot) == prot) || chance(g, 2))
			return m;
	}
	return NULL;
}

static bool has_map(const struct gen *g, const struct live_task *t)
{
	for (u32 i = 0; i < g->nr_maps; i++)
		if (g->maps[i].image == t->image)
			return true;
	return false;
}

static u32 pick_file(struct gen *g)
{
	return g->nr_files ? g->files[below(g, g->nr_files)] : NO_REF;
}

static u32 some_pages(struct gen *g)
{
	if (chance(g, 3))
		return 512 + below(g, 1024); /* more than one PTE table */
	return 1 + below(g, chance(g, 70) ? 4 : 16);
}

static u64 some_len(struct gen *g)
{
	if (chance(g, 2))
		return below(g, 3) ? below(g, 10000) : 0;
	return pages(some_pages(g));
}

static u32 some_prot(struct gen *g)
{
	static const u8 prots[] = {
		PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE,
		PROT_READ,
		PROT_READ,
		PROT_READ | PROT_EXEC,
		PROT_NONE,
		PROT_WRITE,
		PROT_READ | PROT_WRITE | PROT_EXEC,
	};

	return prots[below(g, ARRAY_SIZE(prots))];
}

static struct arg window_addr(struct gen *g)
{
	/* Now and then near the end of what a PTE table spans, or far away. */
	if (chance(g, 5))
		return addr(BASE_WINDOW, 0, pages(508 + below(g, 8)));
	if (chance(g, 2))
		return addr(BASE_WINDOW, 0, (u64)1 << (21 + below(g, 12)));
	return addr(BASE_WINDOW, 0, pages(below(g, WINDOW_PAGES)));
}

/* A page of something that should be mapped; *left: how many pages of it follow. */
static struct arg mapped_addr(struct gen *g, const struct live_task *t, u32 prot, u32 *left)
{
	const struct live_map *m = chance(g, 90) ? pick_map(g, t, prot) : NULL;
	u32 page;

	if (m) {
		page = below(g, m->pages);
		*left = m->pages - page;
		return addr(BASE_REF, m->ref, pages(page));
	}
	*left = 1 + below(g, 4);
	switch (below(g, 5)) {
	case 0:
		return addr(BASE_BRK, 0, pages(below(g, 4)));
	case 1:
		return addr(BASE_STACK, 0, -pages(1 + below(g, 2)));
	default:
		return window_addr(g);
	}
}

/* An address range to unmap or protect. */
static void range_args(struct gen *g, const struct live_task *t, struct op *op)
{
	u32 left;

	op->args[0] = mapped_addr(g, t, 0, &left);
	op->args[1].val = chance(g, 80) ? pages(1 + below(g, left)) : some_len(g);
	if (chance(g, 2))
		op->args[0].val += 1 + below(g, 4095);
}

/* Few different ones, so that neighbours often have the same. */
static void gen_policy(struct gen *g, struct arg *policy, struct arg *nodes)
{
	policy->val = chance(g, 30) ? MPOL_DEFAULT : chance(g, 60) ? MPOL_BIND : below(g, 6);
	if ((policy->val != MPOL_DEFAULT && policy->val != MPOL_LOCAL) || chance(g, 5))
		nodes->val = chance(g, 90) ? 1 + below(g, 3) : below(g, 20);
}

/* Mostly what a thread or a vfork asks for. */
static u32 some_clone_flags(struct gen *g)
{
	static const u32 flags[] = {
		CLONE_VM,
		CLONE_VM,
		CLONE_VM | CLONE_THREAD | CLONE_SIGHAND,
		CLONE_VM | CLONE_VFORK,
		CLONE_VFORK,
		CLONE_THREAD | CLONE_SIGHAND,
		CLONE_VM | CLONE_SIGHAND,
		0,
	};
	static const u32 more[] = {CLONE_FILES, CLONE_FS, CLONE_IO, CLONE_NEWNS};
	u32 ret = flags[below(g, ARRAY_SIZE(flags))];

	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		ret |= chance(g, 25) ? more[i] : 0;
	return ret;
}

/* ---- following what an operation does ---------------------------------------------------------
 */

static void remember_map(struct gen *g, const struct live_map *m)
{
	if (!m->pages)
		return;
	if (g->nr_maps < GEN_MAX_MAPS)
		g->maps[g->nr_maps++] = *m;
	else
		g->maps[m->ref % GEN_MAX_MAPS] = *m;
}

static void forget_map(struct gen *g, u32 ref, u32 image)
{
	for (u32 i = 0; i < g->nr_maps; i++)
		if (g->maps[i].ref == ref && g->maps[i].image == image)
			g->maps[i--] = g->maps[--g->nr_maps];
}

/* The image has gone: its tasks have another one, or have exited. */
static void forget_image(struct gen *g, u32 image)
{
	for (u32 i = 0; i < g->nr_tasks; i++)
		if (g->tasks[i].image == image)
			return;
	for (u32 i = 0; i < g->nr_maps; i++)
		if (g->maps[i].image == image)
			g->maps[i--] = g->maps[--g->nr_maps];
}

/* A new mm with the mappings of another, or with none. */
static u32 new_image(struct gen *g, const u32 *from)
{
	u32 image = ++g->nr_images, nr = g->nr_maps;

	for (u32 i = 0; from && i < nr; i++) {
		struct live_map m = g->maps[i];

		if (m.image != *from)
			continue;
		m.image = image;
		remember_map(g, &m);
	}
	return image;
}

static void follow_child(struct gen *g, struct live_task *t, const struct op *op)
{
	struct live_task *child;
	bool vm = op->code == OP_vfork, vfork = op->code == OP_vfork;

	if (op->code == OP_clone) {
		vm = op->args[0].val & CLONE_VM;
		vfork = op->args[0].val & CLONE_VFORK;
	}
	if (g->nr_tasks == GEN_MAX_LIVE)
		return;
	child = &g->tasks[g->nr_tasks];
	*child = (struct live_task){op->def, vm ? t->image : new_image(g, &t->image), NO_REF,
				    op->code == OP_kthread || t->kernel, false};
	g->nr_tasks++;
	if (vfork)
		t->waits_on = child->ref;
}

/* The child no longer uses its parent's mm: a vfork parent goes on. */
static void release_parent(struct gen *g, u32 child)
{
	for (u32 i = 0; i < g->nr_tasks; i++)
		if (g->tasks[i].waits_on == child)
			g->tasks[i].waits_on = NO_REF;
}

static void follow_exec(struct gen *g, struct live_task *t)
{
	u32 old = t->image;

	t->image = new_image(g, NULL);
	forget_image(g, old);
	release_parent(g, t->ref);
	t->kernel = false;
}

static void follow_exit(struct gen *g, struct live_task *t)
{
	u32 image = t->image;

	release_parent(g, t->ref);
	*t = g->tasks[--g->nr_tasks];
	forget_image(g, image);
}

/* Who shares the task's image goes, and so does the task, unless it is to stay for a while. */
static void follow_kill(struct gen *g, struct live_task *t, bool goes)
{
	u32 image = t->image, ref = t->ref;

	t->dumps = true;
	for (u32 i = 0; i < g->nr_tasks && g->nr_tasks > 1; i++)
		if (g->tasks[i].image == image && !g->tasks[i].kernel &&
		    (goes || g->tasks[i].ref != ref))
			follow_exit(g, &g->tasks[i--]);
}

static void follow_close(struct gen *g, u32 ref)
{
	for (u32 i = 0; i < g->nr_files; i++)
		if (g->files[i] == ref)
			g->files[i--] = g->files[--g->nr_files];
}

static u32 length_pages(u64 len)
{
	return (u32)min_u64(PAGE_ALIGN(len) >> PAGE_SHIFT, 1u << 20);
}

static struct live_task *find_task(struct gen *g, u32 ref)
{
	for (u32 i = 0; i < g->nr_tasks; i++)
		if (g->tasks[i].ref == ref)
			return &g->tasks[i];
	return NULL;
}

void gen_follow(struct gen *g, const struct op *op)
{
	struct live_task *t = find_task(g, op->task);
	const struct arg *a = op->args;

	if (!t)
		return;
	switch (op->code) {
	case OP_mmap:
		remember_map(g, &(struct live_map){op->def, t->image, length_pages(a[1].val),
						   (u32)a[2].val});
		break;
	case OP_mremap:
		remember_map(g, &(struct live_map){op->def, t->image, length_pages(a[2].val), 0});
		break;
	case OP_munmap:
		if (a[0].base == BASE_REF && !a[0].val)
			forget_map(g, a[0].ref, t->image);
		break;
	case OP_fork:
	case OP_vfork:
	case OP_clone:
	case OP_kthread:
		follow_child(g, t, op);
		break;
	case OP_exec:
		follow_exec(g, t);
		break;
	case OP_exit:
	case OP_core_end:
		if (g->nr_tasks > 1)
			follow_exit(g, t);
		break;
	case OP_coredump:
	case OP_oom_kill:
		follow_kill(g, t, op->code == OP_oom_kill);
		break;
	case OP_open:
		g->files[g->nr_files < GEN_MAX_FILES ? g->nr_files++ : op->def % GEN_MAX_FILES] =
			op->def;
		break;
	case OP_close:
		follow_close(g, a[0].ref);
		break;
	case OP_uprobe_step:
		remember_map(g, &(struct live_map){op->def, t->image, 1, PROT_EXEC});
		break;
	case OP_io_setup:
		remember_map(g, &(struct live_map){op->def, t->image, 1, PROT_READ | PROT_WRITE});
		g->contexts[g->nr_contexts++ % ARRAY_SIZE(g->contexts)] = op->def;
		break;
	case OP_write:
		g->tag = (u32)max_u64(g->tag, min_u64(a[1].val, UINT16_MAX));
		break;
	default:
		break;
	}
}

/* ---- operations ----------------------------------------------------------------------------- */

static void gen_mmap(struct gen *g, struct op *op)
{
	u32 flags = MAP_PRIVATE | MAP_ANONYMOUS, prot = some_prot(g);
	u32 file = chance(g, 30) ? pick_file(g) : NO_REF;

	if (file != NO_REF) {
		flags = MAP_PRIVATE;
		if (chance(g, 50))
			flags = MAP_SHARED;
		op->args[4].ref = file;
		op->args[5].val = chance(g, 60) ? 0 : pages(below(g, 6));
	} else if (chance(g, 2)) {
		flags = below(g, 2) ? MAP_PRIVATE | MAP_SHARED | MAP_ANONYMOUS : MAP_ANONYMOUS;
	} else if (chance(g, 20)) {
		flags = MAP_SHARED | MAP_ANONYMOUS;
		flags |= chance(g, 20) ? MAP_NORESERVE : 0;
	}
	if (chance(g, 60)) {
		u32 how;

		op->args[0] = window_addr(g);
		how = below(g, 100);
		flags |= how < 80 ? MAP_FIXED : how < 84 ? MAP_FIXED_NOREPLACE : 0;
	} else if (chance(g, 5)) {
		op->args[0].val = below(g, 2) ? pages(below(g, 1 << 20)) : fi_draw(&g->rng);
	}
	flags |= chance(g, 4) ? MAP_NORESERVE : 0;
	flags |= chance(g, 3) ? MAP_STACK : 0;
	flags |= chance(g, 4) ? MAP_GROWSDOWN : 0;
	flags |= chance(g, 2) ? MAP_32BIT : 0;
	flags |= chance(g, 3) ? MAP_LOCKED : 0;
	flags |= chance(g, 3) ? MAP_POPULATE : 0;
	op->args[1].val = some_len(g);
	op->args[2].val = prot;
	op->args[3].val = flags;
}

static void gen_mremap(struct gen *g, const struct live_task *t, struct op *op)
{
	u32 left;

	op->args[0] = mapped_addr(g, t, 0, &left);
	op->args[1].val = chance(g, 90) ? pages(1 + below(g, left)) : some_len(g);
	op->args[2].val = chance(g, 30) ? op->args[1].val : some_len(g);
	op->args[3].val = chance(g, 80) ? MREMAP_MAYMOVE : 0;
	if (chance(g, 40)) {
		op->args[3].val |= MREMAP_FIXED;
		op->args[4] = window_addr(g);
	}
	op->args[chance(g, 2) ? 4 : 0].val += chance(g, 3) ? 1 + below(g, 4095) : 0;
}

static int gen_exec(struct gen *g, struct op *op)
{
	u32 nr = below(g, 5), at = below(g, 8);
	bool absolute = chance(g, 20);

	for (u32 i = 0; i < nr; i++) {
		struct prog_seg *seg = program_add_seg(g->p, op);
		u32 n = 1 + below(g, 6);

		if (!seg)
			return -ENOMEM;
		seg->start = absolute ? addr(BASE_ABS, 0, pages(0x400 + at))
				      : addr(BASE_WINDOW, 0, pages(at));
		seg->len = pages(n);
		seg->prot = some_prot(g);
		if (chance(g, 50)) {
			seg->file = pick_file(g);
			seg->offset = seg->file != NO_REF ? pages(below(g, 4)) : 0;
		}
		/* Seldom over the one before. */
		at += chance(g, 4) ? 0 : n + below(g, 3);
	}
	if (chance(g, 50))
		op->args[0] = absolute ? addr(BASE_ABS, 0, pages(0x400 + at + 1))
				       : addr(BASE_WINDOW, 0, pages(at + 1));
	op->args[1].val = chance(g, 50) ? pages(1 + below(g, 4)) : 0;
	op->args[2].ref = chance(g, 50) ? pick_file(g) : NO_REF;
	op->args[3].val = chance(g, 80) ? 0 : 1;
	return 0;
}

static void gen_open(struct gen *g, struct op *op)
{
	static const u8 modes[] = {FMODE_READ,
				   FMODE_READ,
				   FMODE_READ | FMODE_WRITE,
				   FMODE_READ | FMODE_EXEC,
				   FMODE_READ | FMODE_WRITE | FMODE_EXEC,
				   FMODE_WRITE};

	op->args[0].val = chance(g, 97) ? pages(1 + below(g, 8)) : below(g, 5000);
	op->args[1].val = modes[below(g, ARRAY_SIZE(modes))];
}

/* The name of an I/O context, or where its ring may have gone. */
static struct arg context_addr(struct gen *g, const struct live_task *t)
{
	u32 nr = g->nr_contexts, left;

	if (!nr || chance(g, 25))
		return mapped_addr(g, t, PROT_READ | PROT_WRITE, &left);
	nr = nr < ARRAY_SIZE(g->contexts) ? nr : (u32)ARRAY_SIZE(g->contexts);
	return addr(BASE_REF, g->contexts[below(g, nr)], 0);
}

static int gen_args(struct gen *g, struct live_task *t, struct op *op)
{
	u32 left;

	switch (op->code) {
	case OP_mmap:
		gen_mmap(g, op);
		return 0;
	case OP_munmap:
		range_args(g, t, op);
		return 0;
	case OP_mprotect:
		range_args(g, t, op);
		op->args[2].val = some_prot(g);
		return 0;
	case OP_mremap:
		gen_mremap(g, t, op);
		return 0;
	case OP_madvise:
		range_args(g, t, op);
		op->args[2].val = chance(g, 30) ? MADV_DONTNEED
						: advice_words[below(g, nr_advice_words)].bits;
		op->args[2].val = chance(g, 2) ? 99 : op->args[2].val;
		return 0;
	case OP_io_setup:
		op->args[0].val = chance(g, 80)	  ? 1 + below(g, 8)
				  : chance(g, 80) ? 511
						  : below(g, 2048);
		op->args[1] = mapped_addr(g, t, PROT_WRITE, &left);
		return 0;
	case OP_uprobe_call:
		op->args[0].val = below(g, 1000);
		return 0;
	case OP_io_submit:
	case OP_io_getevents:
		op->args[1].val = below(g, 6);
		/* fall through */
	case OP_io_destroy:
		op->args[0] = context_addr(g, t);
		return 0;
	case OP_remap_file_pages:
		range_args(g, t, op);
		op->args[2].val = chance(g, 3) ? PROT_READ : 0;
		op->args[3].val = chance(g, 2) ? fi_draw(&g->rng) : below(g, 8);
		op->args[4].val = chance(g, 20) ? MAP_NONBLOCK : 0;
		return 0;
	case OP_mbind:
		range_args(g, t, op);
		gen_policy(g, &op->args[2], &op->args[3]);
		return 0;
	case OP_set_mempolicy:
		gen_policy(g, &op->args[0], &op->args[1]);
		return 0;
	case OP_cgroup:
		op->args[0].val = below(g, NR_MEMCGS + (u32)chance(g, 3));
		return 0;
	case OP_mm_pin:
		op->args[1].val = below(g, 2);
		/* fall through */
	case OP_mm_unpin:
	case OP_use_mm:
	case OP_notifier_register:
	case OP_notifier_unregister:
		op->args[0].val = below(g, NR_NOTIFIERS);
		return 0;
	case OP_userfaultfd:
	case OP_uffd_close:
		op->args[0].val = below(g, 2);
		return 0;
	case OP_uffd_register:
	case OP_uffd_unregister:
		range_args(g, t, op);
		op->args[2].val = below(g, 2);
		return 0;
	case OP_uffd_copy:
		op->args[1] = mapped_addr(g, t, PROT_READ, &left);
		op->args[2].val = below(g, 2);
		op->args[0] = mapped_addr(g, t, 0, &left);
		return 0;
	case OP_uffd_zeropage:
		op->args[0] = mapped_addr(g, t, 0, &left);
		op->args[1].val = below(g, 2);
		return 0;
	case OP_mlock2:
		op->args[2].val = chance(g, 50) ? MLOCK_ONFAULT : 0;
		/* fall through */
	case OP_mlock:
	case OP_munlock:
		range_args(g, t, op);
		return 0;
	case OP_mlockall:
		op->args[0].val = below(g, 8);
		return 0;
	case OP_brk:
		op->args[0] = addr(BASE_BRK, 0, pages(below(g, 12)));
		op->args[0].val += chance(g, 20) ? 8 : 0;
		return 0;
	case OP_write:
		op->args[1].val = ++g->tag;
		/* fall through */
	case OP_read:
		op->args[0] = mapped_addr(g, t, op->code == OP_write ? PROT_WRITE : 0, &left);
		op->args[0].val += chance(g, 10) ? below(g, 4096) : 0;
		/* Below what is mapped: a stack grows. */
		if (chance(g, 4))
			op->args[0].val -= pages(1 + below(g, 40));
		if (chance(g, 3))
			op->args[op->code == OP_write ? 2 : 1] = addr(BASE_STACK, 0, -pages(1));
		return 0;
	case OP_swap_out:
		op->args[0] = mapped_addr(g, t, chance(g, 80) ? PROT_WRITE : 0, &left);
		return 0;
	case OP_clone:
		op->args[0].val = some_clone_flags(g);
		if (chance(g, 30))
			op->args[1] = mapped_addr(g, t, PROT_WRITE, &left);
		return 0;
	case OP_set_tid_address:
		op->args[0] = mapped_addr(g, t, PROT_WRITE, &left);
		return 0;
	case OP_signal:
		op->args[0].val = chance(g, 30);
		return 0;
	case OP_ioprio:
		/* a class that there is not, a level too many: seldom */
		op->args[0].val = (below(g, 4) << IOPRIO_CLASS_SHIFT) + below(g, 8);
		op->args[0].val += chance(g, 5) ? 8 : 0;
		return 0;
	case OP_exec:
		return gen_exec(g, op);
	case OP_modify_ldt:
		op->args[0].val = below(g, chance(g, 80) ? 16 : 9000);
		op->args[1].val = 1 + below(g, 1000);
		return 0;
	case OP_open:
		gen_open(g, op);
		return 0;
	case OP_truncate:
		op->args[1].val = chance(g, 80) ? pages(below(g, 6)) : some_len(g);
		/* fall through */
	case OP_close:
	case OP_seal:
		op->args[0].ref = pick_file(g);
		return 0;
	case OP_binfmt_going:
		op->args[0].val = chance(g, 70) ? 0 : 1;
		op->args[1].val = below(g, 2);
		return 0;
	case OP_khugepaged:
		op->args[0] = mapped_addr(g, t, PROT_WRITE, &left);
		return 0;
	case OP_kernel_map:
		op->args[0].val = below(g, 256);
		return 0;
	default:
		return 0;
	}
}

/* Roughly how many requests an operation makes; 0: it is not worth a mark. */
static u32 requests(enum op_code code)
{
	switch (code) {
	case OP_fork:
		return 24;
	case OP_exec:
		return 16;
	case OP_vfork:
	case OP_clone:
	case OP_kthread:
	case OP_mm_alloc:
		return 4;
	case OP_io_setup:
		return 16;
	case OP_mremap:
	case OP_remap_file_pages:
	case OP_mlock:
	case OP_mlock2:
		return 6;
	case OP_mmap:
	case OP_write:
	case OP_munmap:
	case OP_mprotect:
	case OP_brk:
	case OP_madvise:
	case OP_mbind:
	case OP_modify_ldt:
	case OP_khugepaged:
	case OP_notifier_register:
	case OP_userfaultfd:
	case OP_uffd_register:
	case OP_uffd_copy:
	case OP_swap_out:
	case OP_swapoff:
	case OP_io_submit:
	case OP_io_destroy:
	case OP_uprobe_call:
		return 2;
	case OP_uprobe_step:
		return 5;
	default:
		return 0;
	}
}

static int add_mark(struct gen *g, struct op *op, u32 nr)
{
	static const u8 classes[] = {FL_CLASS_page, FL_CLASS_page, FL_CLASS_slab,
				     FL_CLASS_slab, FL_CLASS_ctor, FL_CLASS_acct,
				     FL_CLASS_hook, FL_CLASS_intr, FL_CLASS_limit};
	struct fi_item *item = program_add_fault(g->p, op);

	if (!item)
		return -ENOMEM;
	item->which = FI_RANGE;
	item->class = FI_CLASS_ANY;
	item->from = 1 + below(g, nr);
	if (chance(g, 50)) {
		item->class = classes[below(g, ARRAY_SIZE(classes))];
		item->from = 1 + below(g, (nr + 1) / 2);
	}
	if (chance(g, 10)) {
		item->site = (u16)(1 + below(g, FL_NR_SITES - 1));
		item->class = (u8)fl_sites[item->site].class;
		item->from = 1 + below(g, 3);
	}
	item->to = chance(g, 10) ? UINT64_MAX : item->from;
	return 0;
}

static enum op_code pick_op(struct gen *g)
{
	u32 left = below(g, g->weight_sum), i = 0;

	while (left >= g->weights[i])
		left -= g->weights[i++];
	return (enum op_code)i;
}

/* Does the first task, which most of a program is about, live in the task's image? */
static bool shares_first(struct gen *g, const struct live_task *t)
{
	const struct live_task *first = find_task(g, 0);

	return first && first->image == t->image;
}

/* Is this operation worth a line now? */
static bool fits(struct gen *g, const struct live_task *t, enum op_code code)
{
	switch (code) {
	case OP_core_end:
		return t->dumps;
	case OP_coredump:
	case OP_oom_kill:
		/* with all that share the image goes most of what there is to do */
		return g->nr_tasks > 1 && !shares_first(g, t);
	case OP_exit:
		return g->nr_tasks > 1 && (t->ref != 0 || chance(g, 10));
	case OP_close:
	case OP_truncate:
	case OP_seal:
		return g->nr_files > 0;
	case OP_io_destroy:
	case OP_io_submit:
	case OP_io_getevents:
		return g->nr_contexts > 0 || chance(g, 10);
	case OP_fork:
	case OP_clone:
	case OP_kthread:
	case OP_vfork:
		return g->nr_tasks < GEN_MAX_LIVE / 2 ||
		       (g->nr_tasks < GEN_MAX_LIVE && chance(g, 20));
	case OP_munmap:
	case OP_mprotect:
	case OP_mremap:
	case OP_remap_file_pages:
	case OP_madvise:
	case OP_mbind:
	case OP_mlock:
	case OP_mlock2:
	case OP_munlock:
	case OP_read:
	case OP_write:
	case OP_swap_out:
		return has_map(g, t) || chance(g, 15);
	default:
		return true;
	}
}

int gen_op(struct gen *g)
{
	struct live_task *t;
	enum op_code code;
	struct op *op;
	u32 nr;
	int ret;

	do {
		t = pick_task(g);
		code = pick_op(g);
		/* The child of a vfork soon does what its parent waits for. */
		if (t->ref && chance(g, 40))
			for (u32 i = 0; i < g->nr_tasks; i++)
				if (g->tasks[i].waits_on == t->ref)
					code = chance(g, 50) ? OP_exec : OP_exit;
		if (t->dumps)
			code = OP_core_end;
	} while (!fits(g, t, code));

	op = program_add(g->p, code, t->ref);
	if (!op)
		return -ENOMEM;
	ret = gen_args(g, t, op);
	nr = requests(code);
	if (!ret && nr && chance(g, 10))
		ret = add_mark(g, op, nr);
	if (!ret)
		gen_follow(g, op);
	return ret;
}

int gen_mark(struct program *p, struct op *op, u64 *rng)
{
	struct gen g = {.p = p, .rng = *rng};
	u32 nr = requests((enum op_code)op->code);
	int ret = 0;

	if (op->nr_faults < FI_MAX_ITEMS)
		ret = add_mark(&g, op, nr ? nr : 1);
	*rng = g.rng;
	return ret;
}

u32 gen_pages(u64 *rng)
{
	struct gen g = {.rng = *rng};
	u32 ret = some_pages(&g);

	*rng = g.rng;
	return ret;
}

struct arg gen_window(u64 *rng)
{
	struct gen g = {.rng = *rng};
	struct arg ret = window_addr(&g);

	*rng = g.rng;
	return ret;
}

static int gen_machine(struct gen *g)
{
	static const char *const machines[] = {
		"",
		"",
		"",
		"cpus=2",
		"vdso=1",
		"paravirt=xen",
		"ptl_objects=1",
		"levels=3",
		"levels=3 kernel_pmd=shared",
		"levels=3 ptl_objects=1",
		"levels=3 paravirt=xen",
		"levels=2",
		"levels=2 ptl_objects=1",
		"thp=always",
		"thp=always levels=2",
		"thp=madvise",
		"levels=5",
		"levels=5 paravirt=xen ptl_objects=1",
		"overcommit=2",
		"swap=64",
		"swap=16 swap_count_bits=2",
		"levels=3 swap=64 swap_count_bits=2 cpus=2",
		"mem=2048 overcommit=2",
		"max_map_count=24",
		"max_tasks=6",
		"limit_nproc=6",
		"seqnum_bits=2",
		"limit_memlock=6",
		"stack_guard=page",
		"stack_guard=page limit_stack=40",
		"limit_as=80 limit_data=3",
		"limit_memlock=0",
		"levels=3 kernel_pmd=shared cpus=2",
	};
	const char *text = machines[below(g, ARRAY_SIZE(machines))];

	g->p->teardown = (u8)below(g, NR_TEARDOWNS);
	if (g->p->teardown == TEARDOWN_SHUFFLE)
		g->p->teardown_seed = below(g, 1000);
	return program_set_text(&g->p->machine, text, strlen(text));
}

void gen_begin(struct gen *g, struct program *p, u64 seed)
{
	*g = (struct gen){.p = p, .rng = seed, .nr_tasks = 1};
	g->tasks[0].waits_on = NO_REF;
	for (u32 i = 0; i < NR_OPS; i++) {
		g->weights[i] = op_table[i].weight;
		g->weight_sum += g->weights[i];
	}
}

/*
 * Swarm testing: most programs use some of the operations only. What one operation would undo or
 * hide, such as an early exit, is then missing from many. mmap always fits and stays.
 */
static void gen_swarm(struct gen *g)
{
	u32 keep = 30 + below(g, 60);

	if (chance(g, 20))
		return;
	for (u32 i = 0; i < NR_OPS; i++) {
		if (i == OP_mmap || chance(g, keep))
			continue;
		g->weight_sum -= g->weights[i];
		g->weights[i] = 0;
	}
}

int program_generate(struct program *p, u64 seed, u32 nr_ops)
{
	struct gen g;
	int ret;

	program_init(p);
	gen_begin(&g, p, seed);
	ret = gen_machine(&g);
	gen_swarm(&g);
	for (u32 i = 0; i < nr_ops && i < PROG_MAX_OPS && !ret; i++)
		ret = gen_op(&g);
	if (ret)
		program_free(p);
	return ret;
}
