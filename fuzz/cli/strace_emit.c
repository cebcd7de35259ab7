/* SPDX-License-Identifier: GPL-2.0-only */
/* What a recording becomes: operations and comments; the tasks, files and images behind them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strace_priv.h"

#define STACK_PAGES 1u /* arguments and environment: not in the log, a page is usual */
#define OWN_STACK   (TASK_SIZE_47 - ((u64)16 << 20)) /* the machine's own stack is above */

/* ---- comments ------------------------------------------------------------------------------- */

void st_text(struct strbuf *b, struct strace_text t, size_t most)
{
	size_t i, n = min_u64(t.len, most);

	for (i = 0; i < n; i++) {
		char c = t.p[i];

		sb_add(b, c >= ' ' && c <= '~' ? &c : "?", 1);
	}
	if (n < t.len)
		sb_add(b, "...", 3);
}

int st_count(struct counts *c, struct strace_text name, const char *what)
{
	struct count k;
	u32 i;

	memset(&k, 0, sizeof(k));
	snprintf(k.name, sizeof(k.name), "%.*s%s%s", (int)min_u64(name.len, 24), name.p,
		 name.len && what[0] ? " " : "", what);
	for (i = 0; i < c->nr && strcmp(c->v[i].name, k.name) < 0; i++)
		;
	if (i == c->nr || strcmp(c->v[i].name, k.name) != 0) {
		if (!st_grow((void **)&c->v, &c->max, c->nr, sizeof(*c->v)))
			return -ENOMEM;
		memmove(c->v + i + 1, c->v + i, (c->nr - i) * sizeof(*c->v));
		c->v[i] = k;
		c->nr++;
	}
	c->v[i].n++;
	return 0;
}

/* ---- operations ----------------------------------------------------------------------------- */

void st_remark(struct importer *im, const struct itask *t, const struct strace_event *e,
	       const char *why)
{
	struct strbuf *b = &im->comment;
	struct strace_text args = e->l.args, path;

	if (im->nr_remarks++ >= MAX_REMARKS)
		return;
	/* The environment's address and the argument list say nothing about the address space. */
	if (strace_is(e->l.name, "execve") && strace_arg(e->l.args, 0, &path))
		args = path;
	sb_printf(b, "# t%u: %s: ", t->nr, why);
	st_text(b, e->l.name, 32);
	sb_add(b, "(", 1);
	st_text(b, args, TEXT_OF_CALL);
	if (e->l.result == STRACE_VALUE)
		sb_printf(b, ") = 0x%llx\n", (unsigned long long)e->l.value);
	else
		sb_printf(b, ") = %s%.*s\n", e->l.result == STRACE_ERROR ? "-" : "?",
			  (int)min_u64(e->l.errname.len, 24), e->l.errname.p);
}

int st_unsupported(struct importer *im, const struct itask *t, const struct strace_event *e,
		   const char *what)
{
	im->report->unsupported++;
	st_remark(im, t, e, "unsupported");
	return st_count(&im->unsupported, e->l.name, what);
}

int st_dependent(struct importer *im, const struct itask *t, const struct strace_event *e)
{
	im->report->dependent++;
	st_remark(im, t, e, "depends on an unsupported call");
	return st_count(&im->dependent, e->l.name, "");
}

int st_skipped(struct importer *im, const struct itask *t, const struct strace_event *e)
{
	char what[26];

	im->report->skipped++;
	st_remark(im, t, e, "skipped");
	snprintf(what, sizeof(what), "%.*s", (int)min_u64(e->l.errname.len, 24),
		 e->l.result == STRACE_ERROR ? e->l.errname.p : "");
	if (e->l.result != STRACE_ERROR)
		snprintf(what, sizeof(what), "%s",
			 e->l.result == STRACE_VALUE ? "(refused)" : "(no result)");
	return st_count(&im->skipped, e->l.name, what);
}

static int too_many(struct importer *im)
{
	if (im->p->nr_ops < PROG_MAX_OPS)
		return -ENOMEM;
	im->err->line = im->log.steps[im->step].line;
	snprintf(im->err->what, sizeof(im->err->what),
		 "more operations than a program can hold (%u)", PROG_MAX_OPS);
	return -EINVAL;
}

int st_emit(struct importer *im, struct itask *t, enum op_code code, struct op **out)
{
	struct op *op;
	int ret;

	if (t->waits != NONE) {
		ret = st_settle_vfork(im, t);
		if (ret)
			return ret;
	}
	op = program_add(im->p, code, t->nr);
	if (!op)
		return too_many(im);
	if (im->comment.failed || program_set_text(&op->comment, im->comment.s, im->comment.len))
		return -ENOMEM;
	im->comment.len = 0;
	*out = op;
	return 0;
}

void st_expect_value(struct op *op, u64 val)
{
	op->expect.kind = EXPECT_VALUE;
	op->expect.val = st_number(val);
}

int st_emit_range(struct importer *im, struct itask *t, enum op_code code, u64 start, u64 len,
		  u32 prot)
{
	struct op *op;
	int ret = st_emit(im, t, code, &op);

	if (ret)
		return ret;
	op->args[0] = st_number(start);
	op->args[1] = st_number(len);
	if (code == OP_mprotect)
		op->args[2] = st_number(prot);
	st_expect_value(op, 0);
	return 0;
}

/* ---- tasks ---------------------------------------------------------------------------------- */

struct itask *st_task(struct importer *im, s64 pid)
{
	u32 *v = strace_pids_get(&im->pids, pid);

	return v ? &im->tasks[*v] : NULL;
}

int st_add_task(struct importer *im, s64 pid, struct itask **out)
{
	struct itask *t;

	if (!st_grow((void **)&im->tasks, &im->max_tasks, im->nr_tasks, sizeof(*im->tasks)) ||
	    strace_pids_put(&im->pids, pid, im->nr_tasks))
		return -ENOMEM;
	t = &im->tasks[im->nr_tasks];
	*t = (struct itask){.pid = pid,
			    .nr = im->nr_tasks,
			    .group = im->nr_tasks,
			    .image = NONE,
			    .waits = NONE,
			    .waiter = NONE,
			    .last_step = STRACE_NO_STEP,
			    .alive = true,
			    .members = 1};
	im->nr_tasks++;
	im->report->tasks++;
	if (++im->alive > im->peak)
		im->peak = im->alive;
	*out = t;
	return 0;
}

void st_release_waiter(struct importer *im, struct itask *t)
{
	if (t->waiter != NONE)
		im->tasks[t->waiter].waits = NONE;
	t->waiter = NONE;
}

int st_end_task(struct importer *im, struct itask *t)
{
	struct op *op;
	int ret;

	if (!t->alive)
		return 0;
	ret = st_emit(im, t, OP_exit, &op);
	if (ret)
		return ret;
	t->alive = false;
	im->alive--;
	space_put(t->space);
	t->space = NULL;
	if (t->waits != NONE)
		im->tasks[t->waits].waiter = NONE;
	t->waits = NONE;
	st_release_waiter(im, t);
	return 0;
}

/* The step that comes next for t, or NULL. */
static struct strace_step *step_after(const struct importer *im, const struct itask *t)
{
	u32 i;

	if (t->last_step != STRACE_NO_STEP) {
		i = im->log.steps[t->last_step].next;
		return i == STRACE_NO_STEP ? NULL : &im->log.steps[i];
	}
	for (i = im->step; i < im->log.nr_steps; i++)
		if (im->log.steps[i].pid == t->pid)
			return &im->log.steps[i];
	return NULL;
}

int st_settle_vfork(struct importer *im, struct itask *t)
{
	u32 child = t->waits, i;
	struct strace_step *next;

	if (child == NONE)
		return 0;
	for (i = 0; i < im->nr_pending; i++) {
		struct strace_event *e = &im->log.events[im->pending[i]];

		if (e->l.pid == im->tasks[child].pid && !e->applied &&
		    e->l.result == STRACE_VALUE &&
		    (strace_is(e->l.name, "execve") || strace_is(e->l.name, "execveat")))
			return st_apply(im, e, &im->tasks[child]);
	}
	next = step_after(im, &im->tasks[child]);
	if (!next || im->log.events[next->event].l.what != STRACE_CALL)
		return st_end_task(im, &im->tasks[child]);
	return 0;
}

bool st_is_silent(const struct importer *im, const struct itask *t)
{
	return !step_after(im, t);
}

/* ---- files ---------------------------------------------------------------------------------- */

static bool same_text(struct strace_text a, struct strace_text b)
{
	return a.len == b.len && !memcmp(a.p, b.p, a.len);
}

int st_file(struct importer *im, struct itask *t, struct strace_text path, u64 pages, u32 *out)
{
	struct strbuf tail = {0};
	struct op *op;
	u32 i;
	int ret;

	for (i = 0; i < im->nr_files; i++) {
		if (same_text(im->files[i].path, path)) {
			im->files[i].pages = max_u64(im->files[i].pages, pages);
			*out = i;
			return 0;
		}
	}
	ret = st_emit(im, t, OP_open, &op);
	if (ret)
		return ret;
	if (!st_grow((void **)&im->files, &im->max_files, im->nr_files, sizeof(*im->files)))
		return -ENOMEM;
	op->args[1] = st_number(FMODE_READ | FMODE_EXEC);
	sb_add(&tail, "# ", 2);
	st_text(&tail, path, TEXT_OF_CALL);
	ret = tail.failed ? -ENOMEM : program_set_text(&op->tail, tail.s, tail.len);
	free(tail.s);
	if (ret)
		return ret;
	im->files[im->nr_files] =
		(struct ifile){.path = path, .op = im->p->nr_ops - 1, .pages = pages};
	*out = im->nr_files++;
	return 0;
}

/* ---- images --------------------------------------------------------------------------------- */

int st_begin_image(struct importer *im, struct itask *t, u32 file)
{
	struct image *img;
	struct op *op;
	int ret;

	ret = st_emit(im, t, OP_exec, &op);
	if (ret)
		return ret;
	if (!st_grow((void **)&im->images, &im->max_images, im->nr_images, sizeof(*im->images)))
		return -ENOMEM;
	op->args[1] = st_number(STACK_PAGES * PAGE_SIZE);
	op->args[2] = st_file_arg(file);
	st_expect_value(op, 0);
	img = &im->images[im->nr_images];
	*img = (struct image){.op = im->p->nr_ops - 1, .file = file, .seen = space_new()};
	t->space = space_new();
	if (!img->seen || !t->space) {
		space_put(img->seen);
		return -ENOMEM;
	}
	t->image = im->nr_images++;
	im->report->images++;
	return 0;
}

static u32 nr_segments(const struct image *img)
{
	u32 i, n = 0;

	for (i = 0; i < img->seen->nr; i++)
		n += img->seen->ranges[i].kind == SPACE_MAPPED;
	return n;
}

int st_need(struct importer *im, struct itask *t, u64 start, u64 end, u32 prot, enum need *out)
{
	struct image *img = &im->images[t->image];
	u8 attr = (u8)((prot & PROT_EXEC) | PROT_READ | (prot & PROT_WRITE ? 0 : PROT_WRITE));
	int ret;

	*out = NEED_MET;
	while (start < end) {
		struct space_range r = space_at(t->space, start, end), was;

		switch (r.kind) {
		case SPACE_MAPPED:
			break;
		case SPACE_UNKNOWN:
			was = space_at(img->seen, r.start, r.end);
			r.end = was.end;
			if (was.kind == SPACE_MAPPED) {
				ret = space_set(t->space, r.start, r.end, SPACE_MAPPED, 0);
				if (ret)
					return ret;
				break;
			}
			if (was.kind == SPACE_UNKNOWN && r.end <= OWN_STACK &&
			    nr_segments(img) < PROG_MAX_SEGS - 1) {
				ret = space_set(img->seen, r.start, r.end, SPACE_MAPPED, attr);
				if (!ret)
					ret = space_set(t->space, r.start, r.end, SPACE_MAPPED, 0);
				if (ret)
					return ret;
				break;
			}
			/* fallthrough */
		default:
			*out = NEED_GHOST;
			break;
		}
		start = r.end;
	}
	return 0;
}
