/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In which cases a failed operation may leave another state than it found (facts §13.2, §19, §25).
 *
 * An exception is a predicate over what was observed before and after, not a waiver: one thing may
 * differ in one way, all else must be equal. Sums over VMAs and entries (total_vm, rss, commit,
 * mapcounts, references) follow from those and are left to the invariants, which run on the same
 * state.
 */
#include "declared_priv.h"

#include <stdlib.h>

/* Number that an mm of before has in after: those that no task has come last. */
static u32 mm_after(const struct change *c, u32 mm, u32 nr_before, u32 nr_after)
{
	u64 held = 0;

	for (u32 i = 0; i < c->before.nr; i++)
		if (c->before.v[i].field == OBS_task_mm)
			held = max_u64(held, c->before.v[i].val);
	return mm > held ? mm + (nr_after - nr_before) : mm;
}

static u32 nr_mms_of(const struct list *l)
{
	u32 nr = 0;

	for (u32 i = 0; i < l->nr; i++)
		if (l->v[i].field == OBS_mm_users)
			nr = l->v[i].obj;
	return nr;
}

static bool same_mms(struct change *c)
{
	u32 nr_before = nr_mms_of(&c->before), nr_after = nr_mms_of(&c->after);
	u64 nr = obs_largest(&c->before, "task");

	if (c->kind != CHANGE_KILLED) {
		for (u32 mm = 1; mm <= nr_before; mm++)
			if (!change_same_mm(c, mm, mm_after(c, mm, nr_before, nr_after)))
				return false;
	}
	for (u32 task = 1; task <= nr; task++) {
		u64 mm = obs_value(&c->before, OBS_task_mm, task), now;

		if (change_is_gone(c, task))
			continue;
		if (!change_same_task(c, task))
			return false;
		if (c->new_mm && task == c->task)
			continue;
		now = obs_value(&c->after, OBS_task_mm, (u32)change_task_after(c, task));
		if (!mm || !now || c->kind != CHANGE_KILLED) {
			if (mm != now)
				return false;
			continue;
		}
		if (!change_same_mm(c, (u32)mm, (u32)now))
			return false;
	}
	return true;
}

static bool same_contents(const struct change *c)
{
	for (u64 i = 1; i <= c->max_page; i++)
		if (c->pages[i] && !change_same_object(c, c->page_index, i, c->pages[i]))
			return false;
	for (u64 i = 1; i <= c->max_file; i++)
		if (c->files[i] && !change_same_object(c, c->file_index, i, c->files[i]))
			return false;
	return true;
}

static u32 count_field(const struct list *l, enum fl_obs_id field)
{
	u32 n = 0;

	for (u32 i = 0; i < l->nr; i++)
		n += l->v[i].field == field;
	return n;
}

static bool only_changed(struct change *c)
{
	bool same = false, room = true;

	c->max_page = max_u64(obs_largest(&c->before, "page"), obs_largest(&c->after, "page"));
	c->max_file = max_u64(obs_largest(&c->before, "file"), obs_largest(&c->after, "file"));
	c->max_task = obs_largest(&c->before, "task");
	c->gone = calloc(c->max_task + 1, sizeof(*c->gone));
	c->pages = calloc(c->max_page + 1, sizeof(*c->pages));
	c->files = calloc(c->max_file + 1, sizeof(*c->files));
	for (unsigned int side = 0; side < 2; side++) {
		const struct list *l = side ? &c->after : &c->before;

		c->areas[side] = calloc(count_field(l, OBS_vma_end) + 1, sizeof(*c->areas[side]));
		c->entries[side] =
			calloc(count_field(l, OBS_pte_page) + 1, sizeof(*c->entries[side]));
		room = room && c->areas[side] && c->entries[side] &&
		       obs_index_make(&c->page_index[side], l, "page", c->max_page) &&
		       obs_index_make(&c->file_index[side], l, "file", c->max_file);
	}
	if (c->gone && c->kind == CHANGE_KILLED)
		change_find_gone(c);
	c->rings_go = c->gone && change_rings_go(c);
	if (c->gone && c->pages && c->files && room)
		same = change_same_rest(c) && same_mms(c) && same_contents(c);
	for (unsigned int side = 0; side < 2; side++) {
		free(c->areas[side]);
		free(c->entries[side]);
		obs_index_free(&c->page_index[side]);
		obs_index_free(&c->file_index[side]);
	}
	free(c->gone);
	free(c->pages);
	free(c->files);
	return same;
}

/* Where the area ends that has addr; 0: none has. */
static u64 area_end(const struct list *l, u32 mm, u64 addr)
{
	for (u32 i = 0; i < l->nr; i++)
		if (l->v[i].obj == mm && l->v[i].field == OBS_vma_end && l->v[i].key <= addr &&
		    l->v[i].val > addr)
			return l->v[i].val;
	return 0;
}

/*
 * A move that was taken back: its new range has joined a neighbour, and could not be split off it
 * again. What is one VMA with it has lost its charge.
 */
static const char *kept_destination(struct change *c, u64 len)
{
	c->kind = CHANGE_MAPPED;
	c->end = c->start + len;
	c->kept = true;
	return "mremap-destination-kept";
}

/* The first address that is mapped now and was not; 0: none. */
static u64 first_new(const struct change *c)
{
	for (u32 i = 0; i < c->after.nr; i++) {
		const struct fl_obs *a = &c->after.v[i];

		if (a->obj != c->mm || a->field != OBS_vma_end)
			continue;
		for (u64 addr = a->key; addr < a->val; addr = area_end(&c->before, c->mm, addr))
			if (!area_end(&c->before, c->mm, addr))
				return addr;
	}
	return 0;
}

/*
 * What a remapping may leave: two holes when it failed; when it did not, the old range, or the new
 * part of a locked one without its pages.
 */
static const char *mremap_exception(const struct target *t, const struct op *o,
				    const struct outcome *out, struct change *c)
{
	u64 old_len = PAGE_ALIGN(o->args[1].val), new_len = PAGE_ALIGN(o->args[2].val);
	const struct target_task *task = &t->tasks[o->task];
	bool fixed = o->args[3].val & MREMAP_FIXED;

	if (!target_addr(t, task, &o->args[0], &c->from) ||
	    !target_addr(t, task, &o->args[4], &c->start))
		return NULL;
	if (fixed && old_len > new_len) {
		c->cut_start = c->from + new_len;
		c->cut_end = c->from + old_len;
	}
	if (out->kind == OUT_ERRNO && fixed) {
		if (c->multiple && area_end(&c->after, c->mm, c->start))
			return kept_destination(c, new_len);
		c->end = c->start + new_len;
		c->kind = CHANGE_HOLE;
		return "mremap-destination-hole";
	}
	if (out->kind == OUT_ERRNO && c->multiple) {
		c->start = first_new(c);
		return c->start ? kept_destination(c, new_len) : NULL;
	}
	if (out->kind != OUT_OK)
		return NULL;
	c->kind = CHANGE_MOVED;
	c->start = (u64)out->value;
	c->end = c->start + new_len;
	if (task->tsk->mm->locked_vm && old_len < new_len) {
		if (c->start == c->from) {
			c->start += old_len;
		} else {
			c->cut_start = c->from;
			c->cut_end = c->from + old_len;
			c->moved = old_len;
		}
		c->filled = true;
		return "mremap-not-populated";
	}
	c->moved = min_u64(old_len, new_len);
	return "mremap-source-kept";
}

/* The range of the first two arguments, rounded outwards. */
static bool range_of(const struct target *t, const struct op *o, struct change *c)
{
	u64 addr;

	if (!target_addr(t, &t->tasks[o->task], &o->args[0], &addr))
		return false;
	c->start = addr & PAGE_MASK;
	c->end = PAGE_ALIGN(addr + o->args[1].val);
	return true;
}

/* A part of a range is locked or not any more, and some of its pages are there. */
static const char *lock_exception(const struct target *t, const struct op *o, struct change *c)
{
	c->kind = CHANGE_PREFIX;
	c->clear = VM_LOCKED | VM_LOCKONFAULT;
	c->filled = o->code != OP_munlock;
	c->locks = true;
	if (o->code == OP_mlockall) {
		c->set = o->args[0].val & MCL_CURRENT ? VM_LOCKED : 0;
		if (c->set && o->args[0].val & MCL_ONFAULT)
			c->set |= VM_LOCKONFAULT;
		c->end = ~(u64)0;
		c->whole_mm = true;
		return "mlockall-not-populated";
	}
	if (!range_of(t, o, c))
		return NULL;
	if (o->code != OP_munlock)
		c->set = VM_LOCKED;
	if (o->code == OP_mlock2 && o->args[2].val & MLOCK_ONFAULT)
		c->set |= VM_LOCKONFAULT;
	return o->code == OP_munlock ? "munlock-prefix" : "mlock-prefix";
}

/* Flags of the first VMAs of a range are as advised. */
static const char *madvise_exception(const struct target *t, const struct op *o, struct change *c)
{
	static const struct {
		u32 advice, clear, set;
	} flags[] = {
		{MADV_NORMAL, VM_RAND_READ | VM_SEQ_READ, 0},
		{MADV_RANDOM, VM_SEQ_READ, VM_RAND_READ},
		{MADV_SEQUENTIAL, VM_RAND_READ, VM_SEQ_READ},
		{MADV_DONTFORK, 0, VM_DONTCOPY},
		{MADV_DOFORK, VM_DONTCOPY, 0},
		{MADV_DONTDUMP, 0, VM_DONTDUMP},
		{MADV_DODUMP, VM_DONTDUMP, 0},
		{MADV_HUGEPAGE, VM_NOHUGEPAGE, VM_HUGEPAGE},
		{MADV_NOHUGEPAGE, VM_HUGEPAGE, VM_NOHUGEPAGE},
		{MADV_MERGEABLE, 0, VM_MERGEABLE},
		{MADV_UNMERGEABLE, VM_MERGEABLE, 0},
	};

	if (!range_of(t, o, c))
		return NULL;
	c->kind = CHANGE_PREFIX;
	c->advised = true;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (flags[i].advice != o->args[2].val)
			continue;
		c->clear = flags[i].clear;
		c->set = flags[i].set;
		return "madvise-prefix";
	}
	return NULL;
}

/* The first VMAs of a range have the policy. */
static const char *mbind_exception(const struct target *t, const struct op *o, struct change *c)
{
	u64 mode = o->args[2].val, nodes = o->args[3].val & ((1u << t->m->cfg.numa) - 1);

	if (!range_of(t, o, c))
		return NULL;
	c->kind = CHANGE_PREFIX;
	c->advised = true;
	c->rebinds = true;
	if (mode == MPOL_LOCAL)
		mode = MPOL_PREFERRED;
	if (mode == MPOL_PREFERRED)
		nodes &= -nodes;
	c->policy = mode << 32 | nodes;
	return "mbind-prefix";
}

/* The first VMAs of a range are for a userfaultfd, or not any more. */
static const char *uffd_exception(const struct target *t, const struct op *o, struct change *c)
{
	bool registers = o->code == OP_uffd_register;

	if (!range_of(t, o, c))
		return NULL;
	c->kind = CHANGE_PREFIX;
	c->advised = true;
	c->mm = obs_mm_of_uffd(&c->before, o->args[2].val);
	c->clear = registers ? 0 : VM_UFFD_MISSING;
	c->set = registers ? VM_UFFD_MISSING : 0;
	c->uffd = registers ? o->args[2].val + 1 : 0;
	return registers ? "uffd-register-prefix" : "uffd-unregister-prefix";
}

/*
 * A stack has grown down to the access, or by its guard page to one page more, and then the page
 * could not be had.
 */
static const char *stack_exception(const struct target *t, const struct op *o, u32 which,
				   struct change *c)
{
	u64 addr;

	if (!target_addr(t, &t->tasks[o->task], &o->args[which], &addr))
		return NULL;
	addr &= PAGE_MASK;
	c->kind = CHANGE_MAPPED;
	/* from the start of the area that has it now to that of the one which was to grow */
	for (u32 i = 0; i < c->after.nr; i++)
		if (c->after.v[i].obj == c->mm && c->after.v[i].field == OBS_vma_end &&
		    c->after.v[i].key <= addr && c->after.v[i].val > addr)
			c->start = max_u64(c->after.v[i].key, addr - PAGE_SIZE);
	for (u32 i = 0; i < c->before.nr && !c->end; i++)
		if (c->before.v[i].obj == c->mm && c->before.v[i].field == OBS_vma_end &&
		    c->before.v[i].val > addr)
			c->end = c->before.v[i].key;
	return c->start < c->end ? "stack-grown" : NULL;
}

/* What a look at the user's memory has fetched stays, and whatever has been started. */
static const char *io_exception(const struct target *t, const struct op *o,
				const struct outcome *out, struct change *c)
{
	u32 which = o->code == OP_io_setup || o->code == OP_uffd_copy ? 1 : 0;
	struct change grown = *c;
	u64 addr;

	if (!target_addr(t, &t->tasks[o->task], &o->args[which], &addr))
		return NULL;
	/* a stack may have grown to where that is */
	if (out->kind == OUT_ERRNO && stack_exception(t, o, which, &grown)) {
		*c = grown;
		return "io-stack-grown";
	}
	c->kind = CHANGE_PREFIX;
	c->start = addr;
	c->end = (addr & PAGE_MASK) + PAGE_SIZE;
	c->filled = true;
	if (out->kind == OUT_ERRNO)
		return "io-fetched";
	c->submitted = o->code == OP_io_submit ? (u64)out->value : 0;
	c->destroyed = o->code == OP_io_destroy;
	return c->destroyed ? "io-destroy-not-unmapped" : "io-submit-prefix";
}

/* The exception that an operation has for this outcome, with what it lets differ. */
static const char *exception_of(const struct target *t, const struct op *o,
				const struct outcome *out, struct change *c)
{
	bool failed = out->kind == OUT_ERRNO, done = out->kind == OUT_OK;
	const char *name;

	switch ((enum op_code)o->code) {
	case OP_exec:
		c->kind = CHANGE_KILLED;
		c->alone = true;
		c->stays = out->kind != OUT_KILLED;
		c->new_mm = done;
		if (done)
			return t->clears_tid ? "exec-tid-not-cleared" : NULL;
		return failed ? "exec-alone" : "exec-past-no-return";
	case OP_oom_kill:
		c->kind = CHANGE_KILLED;
		c->alone = c->sharers = true;
		return done && t->clears_tid ? "oom-kill-tid-not-cleared" : NULL;
	case OP_exit:
		c->kind = CHANGE_KILLED;
		return done && t->clears_tid ? "exit-tid-not-cleared" : NULL;
	case OP_fork:
	case OP_vfork:
	case OP_clone:
		c->kind = CHANGE_BORN;
		c->shares_mm = o->code == OP_vfork ||
			       (o->code == OP_clone && o->args[0].val & CLONE_VM);
		return done ? "born-without-probes" : NULL;
	case OP_uprobe_call:
		c->kind = CHANGE_MAPPED;
		c->probed = true;
		c->start = obs_value(&c->after, OBS_mm_xol_vaddr, c->mm);
		c->end = c->start + PAGE_SIZE;
		return failed && !obs_value(&c->before, OBS_mm_xol_vaddr, c->mm)
			       ? "uprobe-area-made"
			       : NULL;
	case OP_read:
	case OP_write:
		if (done)
			return NULL;
		name = stack_exception(t, o, 0, c);
		if (name || !c->hpage || !c->multiple)
			return name;
		/* huge pages that could not be copied were split, and then no small one was left */
		c->kind = CHANGE_SPLIT;
		return "huge-split";
	case OP_mmap:
		if (!range_of(t, o, c))
			return NULL;
		if (failed && o->args[3].val & MAP_FIXED) {
			c->kind = CHANGE_HOLE;
			return "map-fixed-hole";
		}
		c->kind = CHANGE_MAPPED;
		c->start = (u64)out->value;
		c->end = c->start + PAGE_ALIGN(o->args[1].val);
		return done ? "mmap-not-populated" : NULL;
	case OP_remap_file_pages:
		if (!range_of(t, o, c))
			return NULL;
		c->end = c->start + (o->args[1].val & PAGE_MASK);
		c->kind = failed ? CHANGE_HOLE : CHANGE_MAPPED;
		return failed ? "remap-file-pages-hole" : "remap-file-pages-not-populated";
	case OP_brk:
		c->kind = CHANGE_MAPPED;
		c->moves_brk = true;
		c->start = PAGE_ALIGN(obs_value(&c->before, OBS_mm_brk, c->mm));
		c->end = PAGE_ALIGN((u64)out->value);
		return done ? "brk-not-populated" : NULL;
	case OP_mprotect:
		if (!range_of(t, o, c))
			return NULL;
		c->kind = CHANGE_PREFIX;
		c->clear = VM_ACCESS_FLAGS;
		c->set = o->args[2].val & VM_ACCESS_FLAGS;
		c->uncharges = !(c->set & VM_WRITE) && t->m->cfg.profile == 1;
		/* of what is locked, also before the place of the failure */
		c->filled = done || obs_value(&c->before, OBS_mm_locked_vm, c->mm);
		return done ? "mprotect-not-populated" : failed ? "mprotect-prefix" : NULL;
	case OP_munmap:
	case OP_swap_out:
		c->kind = CHANGE_SPLIT;
		return failed && c->hpage ? "huge-split" : NULL;
	case OP_mremap:
		return mremap_exception(t, o, out, c);
	case OP_mlock:
	case OP_mlock2:
	case OP_munlock:
		return failed ? lock_exception(t, o, c) : NULL;
	case OP_madvise:
		return failed ? madvise_exception(t, o, c) : NULL;
	case OP_mbind:
		return failed ? mbind_exception(t, o, c) : NULL;
	case OP_uffd_register:
	case OP_uffd_unregister:
		return failed ? uffd_exception(t, o, c) : NULL;
	case OP_uffd_copy:
		return failed ? io_exception(t, o, out, c) : NULL;
	case OP_io_setup:
	case OP_io_destroy:
	case OP_io_submit:
	case OP_io_getevents:
		return io_exception(t, o, out, c);
	case OP_mlockall:
		return done ? lock_exception(t, o, c) : NULL;
	default:
		return NULL;
	}
}

static const char *find_exception(const struct target *t, const struct op *o,
				  const struct outcome *out, struct change *c)
{
	const char *name = exception_of(t, o, out, c);
	struct change split = *c;

	if (!name || only_changed(c))
		return name;
	/* what was to make the hole failed itself, having cut a VMA and the huge pages there */
	split.kind = CHANGE_SPLIT;
	if (c->kind == CHANGE_HOLE && out->kind == OUT_ERRNO && c->hpage && only_changed(&split))
		return "huge-split";
	return NULL;
}

const char *declared_exception(const struct target *t, u32 op, const struct outcome *out,
			       const struct fl_obs *before, u32 nr_before,
			       const struct fl_obs *after, u32 nr_after)
{
	struct change c = {
		.before = {.v = before, .nr = nr_before},
		.after = {.v = after, .nr = nr_after},
		.task = t->number,
		.multiple = t->opt.fi->op_delivered > 1,
	};
	const char *name;

	obs_index(&c.before);
	obs_index(&c.after);
	c.hpage = t->m->cfg.thp ? (u64)t->m->geo.ptrs[PT_PTE] << PAGE_SHIFT : 0;
	c.mm = (u32)obs_value(&c.before, OBS_task_mm, c.task);
	name = find_exception(t, &t->p->ops[op], out, &c);
	free(c.before.next);
	free(c.after.next);
	return name;
}
