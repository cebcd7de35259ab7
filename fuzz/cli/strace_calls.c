/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each call does to the address space, and which operation it becomes.
 *
 * A mapping is asked for at the address where the recording had it, as a hint: if the program's
 * address space were not what the recorded one was, the mapping would land elsewhere, and its
 * expectation would say so.
 */
#include <stdio.h>
#include <string.h>

#include "strace_priv.h"

struct call {
	const char *name;
	int (*fn)(struct importer *im, struct itask *t, struct strace_event *e);
};

bool st_arg_number(const struct strace_event *e, unsigned int n, u64 *out)
{
	struct strace_text text;

	return strace_arg(e->l.args, n, &text) && strace_number(text, out);
}

int st_bad_args(struct importer *im, const struct strace_event *e)
{
	im->err->line = e->line;
	snprintf(im->err->what, sizeof(im->err->what), "arguments of %.*s cannot be read",
		 (int)min_u64(e->l.name.len, 32), e->l.name.p);
	return -EINVAL;
}

/* False: it has bits that the engine does not know. */
static bool parse_prot(struct strace_text text, u32 *out)
{
	struct strace_text w;

	for (*out = 0; strace_next_flag(&text, &w);) {
		if (strace_is(w, "PROT_READ"))
			*out |= PROT_READ;
		else if (strace_is(w, "PROT_WRITE"))
			*out |= PROT_WRITE;
		else if (strace_is(w, "PROT_EXEC"))
			*out |= PROT_EXEC;
		else if (!strace_is(w, "PROT_NONE") && !strace_is(w, "0"))
			return false;
	}
	return true;
}

enum map_flag {
	MF_KEEP,
	MF_DROP,
	MF_NOTE,
	MF_NO
};

/* Flags of mmap: kept, without effect here, without effect but worth a note, not had yet. */
static const struct {
	const char *word;
	enum map_flag what;
	u32 bits;
} map_flags[] = {
	{"MAP_PRIVATE", MF_KEEP, MAP_PRIVATE},
	{"MAP_SHARED", MF_KEEP, MAP_SHARED},
	{"MAP_ANONYMOUS", MF_KEEP, MAP_ANONYMOUS},
	{"MAP_FIXED", MF_KEEP, MAP_FIXED},
	{"MAP_NORESERVE", MF_KEEP, MAP_NORESERVE},
	{"MAP_STACK", MF_KEEP, MAP_STACK},
	{"MAP_GROWSDOWN", MF_KEEP, MAP_GROWSDOWN},
	{"MAP_FIXED_NOREPLACE", MF_DROP, 0}, /* it succeeded: the place was free */
	{"MAP_32BIT", MF_DROP, 0},	     /* chooses the address, which is recorded */
	{"MAP_DENYWRITE", MF_DROP, 0},	     /* the kernel ignores these three */
	{"MAP_EXECUTABLE", MF_DROP, 0},
	{"MAP_FILE", MF_DROP, 0},
	{"MAP_POPULATE", MF_NOTE, 0},
	{"MAP_NONBLOCK", MF_NOTE, 0},
	{"MAP_LOCKED", MF_NOTE, 0},
};

static bool parse_map(struct strace_text text, u32 *out, struct counts *ignored, int *ret)
{
	struct strace_text w;

	for (*out = 0; strace_next_flag(&text, &w);) {
		u32 i;

		for (i = 0; i < ARRAY_SIZE(map_flags); i++)
			if (strace_is(w, map_flags[i].word))
				break;
		if (i == ARRAY_SIZE(map_flags))
			return false;
		*out |= map_flags[i].bits;
		if (map_flags[i].what == MF_NOTE && ignored && !*ret)
			*ret = st_count(ignored, w, "");
	}
	return true;
}

/*
 * What another thread's munmap frees is free before that munmap has returned. Lets the calls under
 * way take effect that free part of [start, end).
 */
static int settle_overlap(struct importer *im, struct itask *t, u64 start, u64 end)
{
	u32 i;

	for (i = 0; i < im->nr_pending; i++) {
		struct strace_event *e = &im->log.events[im->pending[i]];
		struct itask *by = st_task(im, e->l.pid);
		u64 addr, len;
		int ret;

		if (e->applied || e->l.result != STRACE_VALUE || !by || by->space != t->space ||
		    !(strace_is(e->l.name, "munmap") || strace_is(e->l.name, "mremap")) ||
		    !st_arg_number(e, 0, &addr) || !st_arg_number(e, 1, &len) || addr >= end ||
		    start >= addr + PAGE_ALIGN(len))
			continue;
		ret = st_apply(im, e, by);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * The recorded kernel found [start, end) free. True in *stale when the program would not: something
 * that the log does not show has unmapped it.
 */
static int claim_free(struct importer *im, struct itask *t, u64 start, u64 end, bool *stale)
{
	struct image *img = &im->images[t->image];
	int ret = settle_overlap(im, t, start, end);

	*stale = false;
	while (!ret && start < end) {
		struct space_range r = space_at(t->space, start, end);

		if (r.kind == SPACE_MAPPED) {
			*stale = true;
		} else if (r.kind == SPACE_UNKNOWN) {
			struct space_range was = space_at(img->seen, r.start, r.end);

			r.end = was.end;
			if (was.kind == SPACE_MAPPED)
				*stale = true;
			else
				ret = space_set(img->seen, r.start, r.end, SPACE_FREE, 0);
		}
		start = r.end;
	}
	return ret;
}

/* Something the program does not have takes [start, end) away from what it has there. */
static int unmap_for(struct importer *im, struct itask *t, u64 start, u64 end, enum space_kind kind)
{
	int ret = 0;

	if (start >= end)
		return 0;
	if (space_has(t->space, start, end, SPACE_MAPPED))
		ret = st_emit_range(im, t, OP_munmap, start, end - start, 0);
	return ret ? ret : space_set(t->space, start, end, kind, 0);
}

/* A call that failed: kept when the engine must refuse it for the same reason. */
static int failed_call(struct importer *im, struct itask *t, const struct strace_event *e,
		       enum op_code code, u64 addr, u64 len, u32 prot, u32 flags, bool known)
{
	u64 end = addr + PAGE_ALIGN(len);
	struct op *op;
	int err = 0, ret;

	switch (code) {
	case OP_mmap:
		if (!len || !(flags & (MAP_PRIVATE | MAP_SHARED)))
			err = EINVAL;
		break;
	case OP_munmap:
		if (offset_in_page(addr) || !len || addr > TASK_SIZE_47)
			err = EINVAL;
		break;
	default:
		if (offset_in_page(addr))
			err = EINVAL;
		else if (end > addr && space_at(t->space, addr, end).kind == SPACE_FREE)
			err = ENOMEM;
		break;
	}
	if (!known || e->l.result != STRACE_ERROR || !err ||
	    !strace_is(e->l.errname, errno_name(err)))
		return st_skipped(im, t, e);
	ret = st_emit(im, t, code, &op);
	if (ret)
		return ret;
	op->args[0] = st_number(addr);
	op->args[1] = st_number(len);
	if (code != OP_munmap)
		op->args[2] = st_number(prot);
	if (code == OP_mmap)
		op->args[3] = st_number(flags | MAP_ANONYMOUS);
	op->expect.kind = EXPECT_ERRNO;
	op->expect.val = st_number((u64)err);
	im->report->programmed++;
	return 0;
}

bool st_in_range(u64 start, u64 len)
{
	return !offset_in_page(start) && start < TASK_SIZE_47 && len <= TASK_SIZE_47 - start;
}

static int call_mmap(struct importer *im, struct itask *t, struct strace_event *e)
{
	struct strace_text text_prot, text_flags, fd, path;
	u64 hint, len, offset, addr = e->l.value, end;
	const char *why = NULL;
	u32 prot, flags, file = NONE;
	bool known, stale, shared_write, anon;
	struct op *op;
	int ret = 0;

	if (!st_arg_number(e, 0, &hint) || !st_arg_number(e, 1, &len) ||
	    !strace_arg(e->l.args, 2, &text_prot) || !strace_arg(e->l.args, 3, &text_flags) ||
	    !strace_arg(e->l.args, 4, &fd) || !st_arg_number(e, 5, &offset))
		return st_bad_args(im, e);
	known = parse_prot(text_prot, &prot);
	if (e->l.result != STRACE_VALUE) {
		known &= parse_map(text_flags, &flags, NULL, &ret);
		return failed_call(im, t, e, OP_mmap, hint, len, prot, flags, known);
	}
	if (!known)
		why = "protection";
	if (!parse_map(text_flags, &flags, &im->ignored, &ret))
		why = "flag";
	if (ret)
		return ret;
	shared_write = (flags & MAP_SHARED) && (prot & PROT_WRITE);
	anon = (flags & (MAP_SHARED | MAP_ANONYMOUS)) == MAP_ANONYMOUS;
	len = PAGE_ALIGN(len);
	if (!st_in_range(addr, len) || !len || offset_in_page(offset))
		return st_unsupported(im, t, e, "address");
	end = addr + len;

	ret = claim_free(im, t, addr, flags & MAP_FIXED ? addr : end, &stale);
	if (ret)
		return ret;
	if (why) {
		ret = st_unsupported(im, t, e, why);
		return ret ? ret : unmap_for(im, t, addr, end, SPACE_GHOST);
	}
	if (stale) {
		st_remark(im, t, e, "takes the place of what no recorded call unmapped");
		flags |= MAP_FIXED;
	}
	if (!(flags & MAP_ANONYMOUS)) {
		if (!strace_fd_path(fd, &path))
			path = fd;
		ret = st_file(im, t, path, (offset + len) >> PAGE_SHIFT, &file);
		if (ret)
			return ret;
		if (shared_write)
			im->p->ops[im->files[file].op].args[1].val |= FMODE_WRITE;
	}
	if ((flags & MAP_PRIVATE) && (prot & PROT_WRITE) && !(flags & MAP_NORESERVE))
		im->largest = max_u64(im->largest, len >> PAGE_SHIFT);
	ret = st_emit(im, t, OP_mmap, &op);
	if (ret)
		return ret;
	op->args[0] = st_number(addr);
	op->args[1] = st_number(len);
	op->args[2] = st_number(prot);
	op->args[3] = st_number(flags);
	op->args[4] = st_file_arg(file);
	op->args[5] = st_number(flags & MAP_ANONYMOUS ? 0 : offset);
	st_expect_value(op, addr);
	im->report->programmed++;
	/* Only of a file that the program cannot write is it known that it never will. */
	if ((flags & MAP_ANONYMOUS) || shared_write)
		flags &= ~MAP_SHARED;
	return space_set(t->space, addr, end, SPACE_MAPPED,
			 flags & MAP_SHARED ? ATTR_SHARED
			 : anon		    ? ATTR_ANON
					    : 0);
}

static int call_munmap(struct importer *im, struct itask *t, struct strace_event *e)
{
	u64 addr, len, end;
	enum need met;
	int ret;

	if (!st_arg_number(e, 0, &addr) || !st_arg_number(e, 1, &len))
		return st_bad_args(im, e);
	if (e->l.result != STRACE_VALUE)
		return failed_call(im, t, e, OP_munmap, addr, len, 0, 0, true);
	end = addr + PAGE_ALIGN(len);
	if (!st_in_range(addr, end - addr))
		return st_unsupported(im, t, e, "address");
	ret = st_need(im, t, addr, end, 0, &met);
	if (ret)
		return ret;
	if (met != NEED_MET && !space_has(t->space, addr, end, SPACE_MAPPED)) {
		bool ghost = space_has(t->space, addr, end, SPACE_GHOST);

		ret = space_set(t->space, addr, end, SPACE_FREE, 0);
		if (ret)
			return ret;
		if (ghost)
			return st_dependent(im, t, e);
	}
	ret = st_emit_range(im, t, OP_munmap, addr, len, 0);
	im->report->programmed += !ret;
	return ret ? ret : space_set(t->space, addr, end, SPACE_FREE, 0);
}

static int call_mprotect(struct importer *im, struct itask *t, struct strace_event *e)
{
	struct strace_text text;
	u64 addr, len, end, at;
	enum need met;
	bool known;
	u32 prot;
	int ret;

	if (!st_arg_number(e, 0, &addr) || !st_arg_number(e, 1, &len) ||
	    !strace_arg(e->l.args, 2, &text))
		return st_bad_args(im, e);
	known = parse_prot(text, &prot);
	if (e->l.result != STRACE_VALUE)
		return failed_call(im, t, e, OP_mprotect, addr, len, prot, 0, known);
	end = addr + PAGE_ALIGN(len);
	if (!known || !st_in_range(addr, end - addr))
		return st_unsupported(im, t, e, known ? "address" : "protection");
	ret = st_need(im, t, addr, end, prot, &met);
	if (ret)
		return ret;
	if (met != NEED_MET)
		return st_dependent(im, t, e);
	for (at = addr; (prot & PROT_WRITE) && at < end;) {
		struct space_range r = space_at(t->space, at, end);

		if (r.attr & ATTR_SHARED)
			return st_unsupported(im, t, e, "shared writable file");
		at = r.end;
	}
	if (prot & PROT_WRITE)
		im->largest = max_u64(im->largest, (end - addr) >> PAGE_SHIFT);
	ret = st_emit_range(im, t, OP_mprotect, addr, len, prot);
	im->report->programmed += !ret;
	return ret;
}

static int call_brk(struct importer *im, struct itask *t, struct strace_event *e)
{
	struct image *img = &im->images[t->image];
	u64 want, old = t->space->brk, now = e->l.value;
	struct op *op;
	int ret;

	if (!st_arg_number(e, 0, &want))
		return st_bad_args(im, e);
	if (e->l.result != STRACE_VALUE)
		return st_skipped(im, t, e);
	if (now >= TASK_SIZE_47)
		return st_unsupported(im, t, e, "address");
	if (!old) {
		/* Before the first brk of an image, the heap is empty. */
		if (!img->brk)
			img->brk = now;
		old = img->brk;
	}
	t->space->brk = now;
	/* refused: for a limit, which this machine may not have */
	if (want && want != now)
		return st_skipped(im, t, e);
	if (PAGE_ALIGN(now) > PAGE_ALIGN(old)) {
		im->largest = max_u64(im->largest, (now - old) >> PAGE_SHIFT);
		ret = space_set(t->space, PAGE_ALIGN(old), PAGE_ALIGN(now), SPACE_MAPPED, 0);
	} else {
		ret = space_set(t->space, PAGE_ALIGN(now), PAGE_ALIGN(old), SPACE_FREE, 0);
	}
	if (!ret)
		ret = st_emit(im, t, OP_brk, &op);
	if (ret)
		return ret;
	op->args[0] = st_number(want);
	st_expect_value(op, now);
	im->report->programmed++;
	return 0;
}

/* Advice that means the same here and there. */
static const struct {
	const char *word;
	u32 advice;
} advices[] = {
	{"MADV_NORMAL", MADV_NORMAL},	    {"MADV_RANDOM", MADV_RANDOM},
	{"MADV_DONTNEED", MADV_DONTNEED},   {"MADV_SEQUENTIAL", MADV_SEQUENTIAL},
	{"MADV_DONTFORK", MADV_DONTFORK},   {"MADV_DOFORK", MADV_DOFORK},
	{"MADV_DONTDUMP", MADV_DONTDUMP},   {"MADV_DODUMP", MADV_DODUMP},
	{"MADV_MERGEABLE", MADV_MERGEABLE}, {"MADV_UNMERGEABLE", MADV_UNMERGEABLE},
};

/* madvise and the mlock family, which need their range. */
static int call_range(struct importer *im, struct itask *t, struct strace_event *e)
{
	bool madvise = strace_is(e->l.name, "madvise"), onfault = false;
	struct strace_text flags = {"", 0}, word = {"", 0};
	u64 addr, len, first, arg = 0;
	enum op_code code = OP_mlock;
	char what[32];
	enum need met;
	struct op *op;
	u32 i = 0;
	int ret;

	if (e->l.result != STRACE_VALUE)
		return st_skipped(im, t, e);
	if (!st_arg_number(e, 0, &addr) || !st_arg_number(e, 1, &len))
		return st_bad_args(im, e);
	strace_arg(e->l.args, 2, &flags);
	first = addr & PAGE_MASK;
	if (!st_in_range(first, PAGE_ALIGN(len + offset_in_page(addr))))
		return st_unsupported(im, t, e, "address");
	ret = st_need(im, t, first, PAGE_ALIGN(addr + len), 0, &met);
	if (ret)
		return ret;
	if (madvise) {
		strace_next_flag(&flags, &word);
		while (i < ARRAY_SIZE(advices) && !strace_is(word, advices[i].word))
			i++;
		if (i == ARRAY_SIZE(advices)) {
			snprintf(what, sizeof(what), "%.*s", (int)min_u64(word.len, 20), word.p);
			return st_unsupported(im, t, e, what);
		}
		arg = advices[i].advice;
		code = OP_madvise;
	} else if (strace_is(e->l.name, "munlock")) {
		code = OP_munlock;
	} else if (strace_is(e->l.name, "mlock2")) {
		while (strace_next_flag(&flags, &word))
			onfault |= strace_is(word, "MLOCK_ONFAULT");
		code = OP_mlock2;
		arg = onfault ? MLOCK_ONFAULT : 0;
	}
	if (met != NEED_MET)
		return st_dependent(im, t, e);
	ret = st_emit(im, t, code, &op);
	if (ret)
		return ret;
	op->args[0] = st_number(addr);
	op->args[1] = st_number(len);
	op->args[2] = st_number(arg);
	st_expect_value(op, 0);
	im->report->programmed++;
	return 0;
}

static const struct {
	const char *word;
	u32 mode;
} policies[] = {
	{"MPOL_DEFAULT", MPOL_DEFAULT}, {"MPOL_PREFERRED", MPOL_PREFERRED},
	{"MPOL_BIND", MPOL_BIND},	{"MPOL_INTERLEAVE", MPOL_INTERLEAVE},
	{"MPOL_LOCAL", MPOL_LOCAL},
};

/* Mode and nodes from argument n on: "MPOL_BIND, [0x1]". False: not what the engine knows. */
static bool parse_policy(const struct strace_event *e, unsigned int n, u32 *mode, u64 *nodes)
{
	struct strace_text text;
	u32 i = 0;

	if (!strace_arg(e->l.args, n, &text))
		return false;
	while (i < ARRAY_SIZE(policies) && !strace_is(text, policies[i].word))
		i++;
	if (i == ARRAY_SIZE(policies))
		return false;
	*mode = policies[i].mode;
	*nodes = 0;
	if (!strace_arg(e->l.args, n + 1, &text) || strace_is(text, "NULL"))
		return true;
	if (text.len < 3 || text.p[0] != '[')
		return false;
	text.p++;
	text.len -= 2;
	return strace_number(text, nodes);
}

/* Nodes that the program's machine has, or none where none are asked for. */
static bool has_nodes(u32 mode, u64 nodes)
{
	bool none = mode == MPOL_DEFAULT || mode == MPOL_LOCAL;

	return none ? !nodes : (nodes & 3) || (!nodes && mode == MPOL_PREFERRED);
}

static int call_mempolicy(struct importer *im, struct itask *t, struct strace_event *e)
{
	bool range = strace_is(e->l.name, "mbind");
	u64 addr = 0, len = 0, nodes;
	enum need met = NEED_MET;
	struct op *op;
	u32 mode;
	int ret;

	if (e->l.result != STRACE_VALUE)
		return st_skipped(im, t, e);
	if (range && (!st_arg_number(e, 0, &addr) || !st_arg_number(e, 1, &len)))
		return st_bad_args(im, e);
	if (!parse_policy(e, range ? 2 : 0, &mode, &nodes) || !has_nodes(mode, nodes))
		return st_unsupported(im, t, e, "policy");
	if (range && !st_in_range(addr, PAGE_ALIGN(len)))
		return st_unsupported(im, t, e, "address");
	ret = range ? st_need(im, t, addr, addr + PAGE_ALIGN(len), 0, &met) : 0;
	if (ret)
		return ret;
	if (met != NEED_MET)
		return st_dependent(im, t, e);
	ret = st_emit(im, t, range ? OP_mbind : OP_set_mempolicy, &op);
	if (ret)
		return ret;
	if (range) {
		op->args[0] = st_number(addr);
		op->args[1] = st_number(len);
	}
	op->args[range ? 2 : 0] = st_number(mode);
	op->args[range ? 3 : 1] = st_number(nodes);
	st_expect_value(op, 0);
	im->report->programmed++;
	return 0;
}

/* Which pages a shared mapping shows is seen by nobody who imports it, but what it takes is. */
static int call_remap_file_pages(struct importer *im, struct itask *t, struct strace_event *e)
{
	struct strace_text flags = {"", 0}, w;
	u64 addr, len, pgoff, first, size;
	bool nonblock = false;
	enum need met;
	struct op *op;
	int ret;

	if (e->l.result != STRACE_VALUE)
		return st_skipped(im, t, e);
	if (!st_arg_number(e, 0, &addr) || !st_arg_number(e, 1, &len) ||
	    !st_arg_number(e, 3, &pgoff))
		return st_bad_args(im, e);
	strace_arg(e->l.args, 4, &flags);
	while (strace_next_flag(&flags, &w))
		nonblock |= strace_is(w, "MAP_NONBLOCK");
	first = addr & PAGE_MASK;
	size = len & PAGE_MASK;
	if (!st_in_range(first, size))
		return st_unsupported(im, t, e, "address");
	ret = st_need(im, t, first, first + size, 0, &met);
	if (ret)
		return ret;
	if (met != NEED_MET)
		return st_dependent(im, t, e);
	ret = st_emit(im, t, OP_remap_file_pages, &op);
	if (ret)
		return ret;
	op->args[0] = st_number(addr);
	op->args[1] = st_number(len);
	op->args[3] = st_number(pgoff);
	op->args[4] = st_number(nonblock ? MAP_NONBLOCK : 0);
	st_expect_value(op, 0);
	im->report->programmed++;
	return 0;
}

/* All of the program's memory is not all that was recorded: what the limit says of it differs. */
static int call_lock_all(struct importer *im, struct itask *t, struct strace_event *e)
{
	return e->l.result == STRACE_VALUE ? st_unsupported(im, t, e, "") : st_skipped(im, t, e);
}

/* What the program cannot remap is unmapped where it was given up, and a ghost where it has come.
 */
static int ghost_mremap(struct importer *im, struct itask *t, u64 addr, u64 old_len, u64 now,
			u64 new_len, bool keep)
{
	int ret;

	if (now == addr) {
		if (new_len < old_len)
			return unmap_for(im, t, addr + new_len, addr + old_len, SPACE_FREE);
		return unmap_for(im, t, addr + old_len, now + new_len, SPACE_GHOST);
	}
	ret = unmap_for(im, t, now, now + new_len, SPACE_GHOST);
	if (!ret && !keep)
		ret = unmap_for(im, t, addr, addr + old_len, SPACE_FREE);
	return ret;
}

/* A mapping that moved is moved to where the recording had it. */
static int emit_mremap(struct importer *im, struct itask *t, u64 addr, u64 old_len, u64 now,
		       u64 new_len)
{
	u8 attr = space_at(t->space, addr, addr + 1).attr;
	struct op *op;
	int ret = st_emit(im, t, OP_mremap, &op);

	if (ret)
		return ret;
	im->largest = max_u64(im->largest, new_len >> PAGE_SHIFT);
	op->args[0] = st_number(addr);
	op->args[1] = st_number(old_len);
	op->args[2] = st_number(new_len);
	if (now != addr) {
		op->args[3] = st_number(MREMAP_MAYMOVE | MREMAP_FIXED);
		op->args[4] = st_number(now);
	}
	st_expect_value(op, now);
	im->report->programmed++;
	if (now != addr)
		ret = space_set(t->space, addr, addr + old_len, SPACE_FREE, 0);
	else if (new_len < old_len)
		ret = space_set(t->space, addr + new_len, addr + old_len, SPACE_FREE, 0);
	return ret ? ret : space_set(t->space, now, now + new_len, SPACE_MAPPED, attr);
}

static int call_mremap(struct importer *im, struct itask *t, struct strace_event *e)
{
	struct strace_text flags = {"", 0}, w;
	u64 addr, old_len, new_len, now = e->l.value;
	bool fixed = false, keep = false, stale = false;
	enum need met;
	int ret;

	if (!st_arg_number(e, 0, &addr) || !st_arg_number(e, 1, &old_len) ||
	    !st_arg_number(e, 2, &new_len))
		return st_bad_args(im, e);
	if (e->l.result != STRACE_VALUE)
		return st_skipped(im, t, e);
	strace_arg(e->l.args, 3, &flags);
	while (strace_next_flag(&flags, &w)) {
		fixed |= strace_is(w, "MREMAP_FIXED");
		keep |= strace_is(w, "MREMAP_DONTUNMAP");
	}
	old_len = PAGE_ALIGN(old_len);
	new_len = PAGE_ALIGN(new_len);
	if (!st_in_range(addr, old_len) || !st_in_range(now, new_len))
		return st_unsupported(im, t, e, "address");
	ret = st_need(im, t, addr, addr + old_len, 0, &met);
	if (!ret && now == addr && new_len > old_len)
		ret = claim_free(im, t, addr + old_len, addr + new_len, &stale);
	else if (!ret && now != addr && !fixed)
		ret = claim_free(im, t, now, now + new_len, &stale);
	if (ret)
		return ret;
	if (met == NEED_MET && !keep && old_len && !(stale && now == addr))
		return emit_mremap(im, t, addr, old_len, now, new_len);
	ret = met == NEED_MET ? st_unsupported(im, t, e, keep ? "MREMAP_DONTUNMAP" : "")
			      : st_dependent(im, t, e);
	return ret ? ret : ghost_mremap(im, t, addr, old_len, now, new_len, keep);
}

static int call_fork(struct importer *im, struct itask *t, struct strace_event *e)
{
	struct strace_text text, w;
	bool vm, vfork, thread = false;
	u32 parent = (u32)(t - im->tasks);
	struct itask *child, *old;
	struct op *op;
	int ret;

	vm = vfork = strace_is(e->l.name, "vfork");
	if (e->l.result != STRACE_VALUE)
		return st_skipped(im, t, e);
	if (strace_field(e->l.args, "flags", &text)) {
		while (strace_next_flag(&text, &w)) {
			vm |= strace_is(w, "CLONE_VM");
			vfork |= strace_is(w, "CLONE_VFORK");
			thread |= strace_is(w, "CLONE_THREAD");
		}
	} else if (strace_is(e->l.name, "clone") || strace_is(e->l.name, "clone3")) {
		return st_bad_args(im, e);
	}
	/* A pid is given again only once its owner has gone, whether the log shows its end or not.
	 */
	old = st_task(im, (s64)e->l.value);
	if (old && old->alive) {
		ret = st_end_task(im, old);
		if (ret)
			return ret;
	}
	ret = st_emit(im, t,
		      vm && vfork && !thread  ? OP_vfork
		      : vm || vfork || thread ? OP_clone
					      : OP_fork,
		      &op);
	if (ret)
		return ret;
	op->args[0] = st_number(op->code != OP_clone
					? 0
					: (vm ? CLONE_VM : 0) | (vfork ? CLONE_VFORK : 0) |
						  (thread ? CLONE_THREAD | CLONE_SIGHAND : 0));
	st_expect_value(op, op->def); /* a fork returns the number of its child */
	im->report->programmed++;
	im->report->threads += thread;

	ret = st_add_task(im, (s64)e->l.value, &child);
	if (ret)
		return ret;
	t = &im->tasks[parent];
	child->image = t->image;
	if (thread) {
		child->group = t->group;
		im->tasks[t->group].members++;
	}
	child->space = vm ? space_get(t->space) : space_copy(t->space);
	if (!child->space)
		return -ENOMEM;
	if (vfork) {
		t->waits = (u32)(child - im->tasks);
		child->waiter = parent;
	}
	return 0;
}

static int call_execve(struct importer *im, struct itask *t, struct strace_event *e)
{
	unsigned int at = strace_is(e->l.name, "execveat");
	struct strace_text path;
	u32 i, file = NONE;
	int ret;

	if (e->l.result != STRACE_VALUE)
		return st_skipped(im, t, e);
	for (i = t->group; im->tasks[t->group].members > 1 && i < im->nr_tasks; i++) {
		if (im->tasks[i].group != t->group || &im->tasks[i] == t)
			continue;
		ret = st_end_task(im, &im->tasks[i]);
		if (ret)
			return ret;
	}
	if (strace_arg(e->l.args, at, &path) && path.len > 2 && path.p[0] == '"') {
		path.p++;
		path.len -= 2;
		ret = st_file(im, t, path, 1, &file);
		if (ret)
			return ret;
	}
	space_put(t->space);
	t->space = NULL;
	ret = st_begin_image(im, t, file);
	if (ret)
		return ret;
	st_release_waiter(im, t);
	im->report->programmed++;
	return 0;
}

static const struct call calls[] = {
	{"mmap", call_mmap},	     {"mmap2", call_mmap},
	{"munmap", call_munmap},     {"mprotect", call_mprotect},
	{"brk", call_brk},	     {"mremap", call_mremap},
	{"madvise", call_range},     {"mlock", call_range},
	{"mlock2", call_range},	     {"munlock", call_range},
	{"mlockall", call_lock_all}, {"munlockall", call_lock_all},
	{"fork", call_fork},	     {"vfork", call_fork},
	{"clone", call_fork},	     {"remap_file_pages", call_remap_file_pages},
	{"clone3", call_fork},	     {"execve", call_execve},
	{"execveat", call_execve},   {"mbind", call_mempolicy},
	{"close", st_call_close},    {"set_mempolicy", call_mempolicy},
	{"ioctl", st_call_ioctl},    {"userfaultfd", st_call_userfaultfd},
};

int st_other(struct importer *im, const struct strace_event *e)
{
	im->report->other++;
	return st_count(&im->other, e->l.name, "");
}

int st_apply(struct importer *im, struct strace_event *e, struct itask *t)
{
	u32 i;

	if (e->applied)
		return 0;
	e->applied = true;
	im->report->calls++;
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		if (strace_is(e->l.name, calls[i].name))
			break;
	if (i == ARRAY_SIZE(calls) || st_is_about_file(im, e))
		return st_other(im, e);
	if (!t->alive || e->l.result == STRACE_NO_RESULT)
		return st_skipped(im, t, e);
	if (t->image == NONE && calls[i].fn != call_execve)
		return st_skipped(im, t, e);
	return calls[i].fn(im, t, e);
}
