/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * userfaultfd in a recording: a descriptor becomes a slot of the program. What is registered has to
 * be private anonymous memory that the program maps, and what misses of it does in the program,
 * too: no access is recorded.
 */
#include "strace_priv.h"

#define MAX_GIVEN 64u /* pages that one call gives: an operation each */

void st_uffd_init(struct importer *im)
{
	for (u32 i = 0; i < NR_UFFDS; i++)
		im->uffds[i].group = NONE;
}

/* The slot of argument 0, or NONE. A child has its parent's descriptors by the same numbers. */
static u32 uffd_slot(const struct importer *im, const struct strace_event *e)
{
	u64 fd;

	if (!st_arg_number(e, 0, &fd))
		return NONE;
	for (u32 i = 0; i < NR_UFFDS; i++)
		if (im->uffds[i].group != NONE && im->uffds[i].fd == fd)
			return i;
	return NONE;
}

bool st_is_about_file(const struct importer *im, const struct strace_event *e)
{
	return (strace_is(e->l.name, "close") || strace_is(e->l.name, "ioctl")) &&
	       uffd_slot(im, e) == NONE;
}

static int emit_done(struct importer *im, struct op *op)
{
	st_expect_value(op, 0);
	im->report->programmed++;
	return 0;
}

int st_call_userfaultfd(struct importer *im, struct itask *t, struct strace_event *e)
{
	struct op *op;
	u32 slot = 0;
	int ret;

	if (e->l.result != STRACE_VALUE)
		return st_skipped(im, t, e);
	while (slot < NR_UFFDS && im->uffds[slot].group != NONE)
		slot++;
	if (slot == NR_UFFDS)
		return st_unsupported(im, t, e, "more than there are slots");
	ret = st_emit(im, t, OP_userfaultfd, &op);
	if (ret)
		return ret;
	op->args[0] = st_number(slot);
	im->uffds[slot] = (struct iuffd){t->group, e->l.value};
	return emit_done(im, op);
}

/* Only of who made it: what a child closes is its own copy. */
int st_call_close(struct importer *im, struct itask *t, struct strace_event *e)
{
	u32 slot = uffd_slot(im, e);
	struct op *op;
	int ret;

	if (im->uffds[slot].group != t->group || e->l.result != STRACE_VALUE)
		return st_other(im, e);
	ret = st_emit(im, t, OP_uffd_close, &op);
	if (ret)
		return ret;
	op->args[0] = st_number(slot);
	im->uffds[slot].group = NONE;
	return emit_done(im, op);
}

/* Does the program have private anonymous memory in all of the range? */
static bool is_anonymous(const struct itask *t, u64 start, u64 len)
{
	u64 end = start + len;

	if (!st_in_range(start, len) || offset_in_page(len))
		return false;
	while (start < end) {
		struct space_range r = space_at(t->space, start, end);

		if (r.kind != SPACE_MAPPED || !(r.attr & ATTR_ANON))
			return false;
		start = r.end;
	}
	return true;
}

static bool field(const struct strace_event *e, const char *key, u64 *out)
{
	struct strace_text text;

	return strace_field(e->l.args, key, &text) && strace_number(text, out);
}

static int emit_change(struct importer *im, struct itask *t, enum op_code code, u64 start, u64 len,
		       u32 slot)
{
	struct op *op;
	int ret = st_emit(im, t, code, &op);

	if (ret)
		return ret;
	op->args[0] = st_number(start);
	op->args[1] = st_number(len);
	op->args[2] = st_number(slot);
	return emit_done(im, op);
}

/* src: 0 for pages of zeroes. */
static int emit_pages(struct importer *im, struct itask *t, u64 dst, u64 src, u64 len, u32 slot)
{
	struct op *op;
	int ret;

	for (u64 at = 0; at < len; at += PAGE_SIZE) {
		ret = st_emit(im, t, src ? OP_uffd_copy : OP_uffd_zeropage, &op);
		if (ret)
			return ret;
		op->args[0] = st_number(dst + at);
		if (src)
			op->args[1] = st_number(src + at);
		op->args[src ? 2 : 1] = st_number(slot);
		st_expect_value(op, 0);
	}
	im->report->programmed++;
	return 0;
}

static int give_pages(struct importer *im, struct itask *t, struct strace_event *e, u32 slot,
		      bool copies)
{
	u64 dst, src = 0, len;

	if (!field(e, copies ? "dst" : "start", &dst) || !field(e, "len", &len) ||
	    (copies && !field(e, "src", &src)))
		return st_bad_args(im, e);
	if (len > (u64)MAX_GIVEN << PAGE_SHIFT || !is_anonymous(t, dst, len) ||
	    (copies && !is_anonymous(t, src & PAGE_MASK, len + PAGE_SIZE * !!offset_in_page(src))))
		return st_unsupported(im, t, e, "memory");
	return emit_pages(im, t, dst, src, len, slot);
}

static int register_range(struct importer *im, struct itask *t, struct strace_event *e, u32 slot,
			  bool registers)
{
	struct strace_text mode;
	u64 start, len;

	if (!field(e, "start", &start) || !field(e, "len", &len))
		return st_bad_args(im, e);
	if (registers && (!strace_field(e->l.args, "mode", &mode) ||
			  !strace_is(mode, "UFFDIO_REGISTER_MODE_MISSING")))
		return st_unsupported(im, t, e, "mode");
	if (!is_anonymous(t, start, len))
		return st_unsupported(im, t, e, "memory");
	return emit_change(im, t, registers ? OP_uffd_register : OP_uffd_unregister, start, len,
			   slot);
}

int st_call_ioctl(struct importer *im, struct itask *t, struct strace_event *e)
{
	u32 slot = uffd_slot(im, e);
	struct strace_text word;

	if (!strace_arg(e->l.args, 1, &word) || strace_is(word, "UFFDIO_API") ||
	    strace_is(word, "UFFDIO_WAKE"))
		return st_other(im, e);
	if (e->l.result != STRACE_VALUE)
		return st_skipped(im, t, e);
	if (strace_is(word, "UFFDIO_REGISTER") || strace_is(word, "UFFDIO_UNREGISTER"))
		return register_range(im, t, e, slot, strace_is(word, "UFFDIO_REGISTER"));
	if (strace_is(word, "UFFDIO_COPY") || strace_is(word, "UFFDIO_ZEROPAGE"))
		return give_pages(im, t, e, slot, strace_is(word, "UFFDIO_COPY"));
	return st_unsupported(im, t, e, "request");
}
