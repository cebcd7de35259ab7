/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The events of a log, in the order in which they took effect.
 *
 * A call takes effect at its last line, with these exceptions. An exit takes effect at its first
 * line. A child exists from its own first line. What a thread frees is free for the others before
 * its own call has returned (settle_overlap). A vfork returns once the child has exec'd or ended,
 * whatever line says so (st_settle_vfork).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strace_priv.h"

#define DEFAULT_MEM    65536u
#define DEFAULT_TASKS  256u
#define MAX_MEM	       1048576u
#define IMAGE_DISTANCE ((u64)2 << 30) /* heap start behind the executable, at most */

/* ---- tasks from nowhere --------------------------------------------------------------------- */

static int begin_root(struct importer *im, struct itask *t, const struct strace_event *e)
{
	if (e->l.what == STRACE_CALL && strace_is(e->l.name, "execve") &&
	    e->l.result == STRACE_VALUE) {
		t->space = space_new();
		return t->space ? 0 : -ENOMEM;
	}
	sb_printf(&im->comment, "# t%u: was running when the recording began\n", t->nr);
	return st_begin_image(im, t, NONE);
}

/* The task that a step is about; tasks that come from nowhere are made here. */
static int task_at(struct importer *im, const struct strace_step *s, struct itask **out)
{
	const struct strace_event *e = &im->log.events[s->event];
	struct itask *t = st_task(im, s->pid);
	struct op *op;
	u32 i;
	int ret;

	if (!t || !t->alive) {
		for (i = 0; i < im->nr_pending; i++) {
			struct strace_event *f = &im->log.events[im->pending[i]];
			struct itask *parent = st_task(im, f->l.pid);

			if (f->applied || !strace_makes_task(&f->l) || !parent ||
			    f->l.result != STRACE_VALUE || (s64)f->l.value != s->pid)
				continue;
			ret = st_apply(im, f, parent);
			if (ret)
				return ret;
			t = st_task(im, s->pid);
			break;
		}
	}
	if (t && t->alive && (t->image != NONE || t->space)) {
		*out = t;
		return 0;
	}
	/* Ends of what is gone: an exit's own last lines. */
	if (t && !t->alive &&
	    (e->l.what != STRACE_CALL || !(s->phase & STRACE_START) || e->applied)) {
		*out = NULL;
		return 0;
	}
	if (!t || !t->alive) {
		for (i = 0; i < im->nr_tasks; i++)
			if (im->tasks[i].alive && im->tasks[i].waits == NONE)
				break;
		if (i == im->nr_tasks) {
			im->err->line = s->line;
			snprintf(im->err->what, sizeof(im->err->what),
				 "pid %lld acts after the last process has ended",
				 (long long)s->pid);
			return -EINVAL;
		}
		ret = st_emit(im, &im->tasks[i], OP_fork, &op);
		if (!ret)
			ret = st_add_task(im, s->pid, &t);
		if (ret)
			return ret;
	}
	*out = t;
	return begin_root(im, t, e);
}

/*
 * Processes that no recorded call made. One is t0. Several are children of t0, which does nothing
 * else, so that any of them can end first.
 */
static int add_roots(struct importer *im)
{
	struct itask *t;
	struct op *op;
	u32 i;
	int ret;

	if (im->log.nr_roots > 1) {
		ret = st_add_task(im, STRACE_NO_PID - 1, &t);
		if (ret)
			return ret;
		sb_printf(&im->comment,
			  "# t0 makes the %u processes that the recording starts with\n",
			  im->log.nr_roots);
	}
	for (i = 0; i < im->log.nr_roots; i++) {
		if (im->log.nr_roots > 1) {
			ret = st_emit(im, &im->tasks[0], OP_fork, &op);
			if (ret)
				return ret;
		}
		ret = st_add_task(im, im->log.roots[i], &t);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- steps ---------------------------------------------------------------------------------- */

/* exit and exit_group. The other threads of a group go on until their last line. */
static int apply_exit(struct importer *im, struct strace_event *e, struct itask *t)
{
	bool group = strace_is(e->l.name, "exit_group");
	u32 i, leader = t->group;
	int ret;

	e->applied = true;
	im->report->calls++;
	im->report->programmed++;
	ret = st_end_task(im, t);
	if (!group || im->tasks[leader].members == 1)
		return ret;
	im->tasks[leader].group_exits = true;
	for (i = leader; i < im->nr_tasks && !ret; i++)
		if (im->tasks[i].group == leader && im->tasks[i].alive &&
		    st_is_silent(im, &im->tasks[i]))
			ret = st_end_task(im, &im->tasks[i]);
	return ret;
}

static void drop_pending(struct importer *im, u32 event)
{
	u32 i;

	for (i = 0; i < im->nr_pending; i++) {
		if (im->pending[i] == event) {
			memmove(im->pending + i, im->pending + i + 1,
				(im->nr_pending - i - 1) * sizeof(*im->pending));
			im->nr_pending--;
			return;
		}
	}
}

/* Pid s->pid now names the task that was `other`. */
static int apply_superseded(struct importer *im, const struct strace_step *s, s64 other)
{
	struct itask *old = st_task(im, s->pid), *now = st_task(im, other);
	u32 i;
	int ret = 0;

	if (!now)
		return 0;
	if (old && old != now)
		ret = st_end_task(im, old);
	if (ret)
		return ret;
	for (i = 0; i < im->nr_pending; i++)
		if (im->log.events[im->pending[i]].l.pid == other)
			im->log.events[im->pending[i]].l.pid = s->pid;
	now->pid = s->pid;
	now->last_step = im->step;
	return strace_pids_put(&im->pids, s->pid, (u32)(now - im->tasks));
}

static int do_step(struct importer *im, const struct strace_step *s)
{
	struct strace_event *e = &im->log.events[s->event];
	struct itask *t;
	u32 i;
	int ret;

	if (e->l.what == STRACE_SUPERSEDED)
		return apply_superseded(im, s, e->l.other);
	ret = task_at(im, s, &t);
	if (ret)
		return ret;
	if (!t) {
		if ((s->phase & STRACE_END) && e->l.what == STRACE_CALL && !e->applied)
			ret = st_apply(im, e, st_task(im, s->pid));
		drop_pending(im, s->event);
		return ret;
	}
	t->last_step = im->step;
	i = (u32)(t - im->tasks);
	if (e->l.what != STRACE_CALL)
		return st_end_task(im, t);
	if (s->phase & STRACE_START) {
		if (strace_is(e->l.name, "exit") || strace_is(e->l.name, "exit_group"))
			return apply_exit(im, e, t);
		if (!(s->phase & STRACE_END)) {
			if (!st_grow((void **)&im->pending, &im->max_pending, im->nr_pending,
				     sizeof(*im->pending)))
				return -ENOMEM;
			im->pending[im->nr_pending++] = s->event;
		}
	}
	if (s->phase & STRACE_END) {
		ret = st_apply(im, e, t);
		drop_pending(im, s->event);
		t = &im->tasks[i];
		/* Its vfork has returned. */
		if (!ret && t->waits != NONE && strace_makes_task(&e->l))
			ret = st_settle_vfork(im, t);
		t = &im->tasks[i];
	}
	if (!ret && im->tasks[t->group].group_exits && st_is_silent(im, t))
		ret = st_end_task(im, t);
	return ret;
}

/* ---- the program as a whole ----------------------------------------------------------------- */

static int finish_image(struct importer *im, const struct image *img)
{
	struct op *op = &im->p->ops[img->op];
	u64 base = 0;
	u32 i;

	op->args[0] = st_number(img->brk);
	for (i = 0; i < img->seen->nr; i++) {
		const struct space_range *r = &img->seen->ranges[i];
		struct prog_seg *seg;

		if (r->kind != SPACE_MAPPED)
			continue;
		seg = program_add_seg(im->p, op);
		if (!seg)
			return -ENOMEM;
		seg->start = st_number(r->start);
		seg->len = r->end - r->start;
		seg->prot = r->attr & ATTR_PROT;
		/* What lies shortly below the heap is the executable's; offsets are not in the log.
		 */
		if (img->file == NONE || r->end > img->brk || img->brk - r->start > IMAGE_DISTANCE)
			continue;
		if (!base)
			base = r->start;
		seg->file = img->file;
		seg->offset = r->start - base;
		im->files[img->file].pages =
			max_u64(im->files[img->file].pages, (r->end - base) >> PAGE_SHIFT);
	}
	return 0;
}

static int finish_machine(struct importer *im)
{
	char text[128];
	u64 mem = DEFAULT_MEM;
	int n = snprintf(text, sizeof(text), "levels=4");

	while (mem < im->largest * 4 && mem < MAX_MEM)
		mem *= 2;
	if (mem != DEFAULT_MEM)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " mem=%llu",
			      (unsigned long long)mem);
	/* The recorded machine let pass what this one is too small for. */
	if (mem < im->largest * 4)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " overcommit=1");
	if (im->peak + 16 > DEFAULT_TASKS)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " max_tasks=%llu",
			      (unsigned long long)min_u64(im->peak + 16, 65536));
	return program_set_text(&im->p->machine, text, (size_t)n);
}

static void print_counts(struct strbuf *b, const char *title, const struct counts *c)
{
	u32 i;

	if (!c->nr)
		return;
	sb_printf(b, "# %s:", title);
	for (i = 0; i < c->nr; i++)
		sb_printf(b, "%s %s x%u", i ? "," : "", c->v[i].name, c->v[i].n);
	sb_add(b, "\n", 1);
}

static int finish_head(struct importer *im)
{
	const struct strace_report *r = im->report;
	struct strace_text head = im->log.head;
	struct strbuf b = {0};
	int ret;

	/* The log's own comment lines, one by one. */
	while (head.len) {
		const char *nl = memchr(head.p, '\n', head.len);
		struct strace_text line = {head.p, nl ? (size_t)(nl - head.p) : head.len};

		head.p += line.len + (nl != NULL);
		head.len -= line.len + (nl != NULL);
		while (line.len && line.p[0] != '#') {
			line.p++;
			line.len--;
		}
		st_text(&b, line, 400);
		sb_add(&b, "\n", 1);
	}
	sb_printf(&b, "# image: inferred\n");
	sb_printf(&b,
		  "# calls: %u (in the program %u, unsupported %u, dependent on those %u, skipped "
		  "%u, other %u)\n",
		  r->calls, r->programmed, r->unsupported, r->dependent, r->skipped, r->other);
	sb_printf(&b, "# tasks: %u (threads %u), images %u\n", r->tasks, r->threads, r->images);
	if (im->nr_remarks > MAX_REMARKS)
		sb_printf(&b, "# comments in place: the first %u of %u\n", MAX_REMARKS,
			  im->nr_remarks);
	print_counts(&b, "unsupported", &im->unsupported);
	print_counts(&b, "dependent", &im->dependent);
	print_counts(&b, "ignored flags", &im->ignored);
	print_counts(&b, "skipped", &im->skipped);
	print_counts(&b, "other", &im->other);
	ret = b.failed ? -ENOMEM : program_set_text(&im->p->head, b.s, b.len);
	free(b.s);
	return ret;
}

static int finish(struct importer *im)
{
	u32 i;
	int ret = 0;

	/* Calls whose end the log does not have. */
	while (im->nr_pending && !ret) {
		struct strace_event *e = &im->log.events[im->pending[0]];
		struct itask *t = st_task(im, e->l.pid);

		if (t)
			ret = st_apply(im, e, t);
		drop_pending(im, im->pending[0]);
	}
	for (i = 0; i < im->nr_images && !ret; i++)
		ret = finish_image(im, &im->images[i]);
	for (i = 0; i < im->nr_files; i++)
		im->p->ops[im->files[i].op].args[0] = st_number(im->files[i].pages << PAGE_SHIFT);
	if (!ret)
		ret = im->comment.failed
			      ? -ENOMEM
			      : program_set_text(&im->p->foot, im->comment.s, im->comment.len);
	if (!ret)
		ret = finish_machine(im);
	return ret ? ret : finish_head(im);
}

int strace_import(const char *text, size_t len, struct program *out, struct strace_report *report,
		  struct prog_error *err)
{
	struct importer im = {.p = out, .report = report, .err = err};
	u32 i;
	int ret;

	program_init(out);
	memset(report, 0, sizeof(*report));
	st_uffd_init(&im);
	memset(err, 0, sizeof(*err));
	ret = strace_log_read(&im.log, text, len, err);
	if (!ret)
		ret = add_roots(&im);
	while (!ret) {
		ret = do_step(&im, &im.log.steps[im.step]);
		if (ret || im.step + 1 == im.log.nr_steps)
			break;
		im.step++;
	}
	if (!ret)
		ret = finish(&im);
	if (ret == -E2BIG) {
		err->line = im.log.steps[im.step].line;
		snprintf(err->what, sizeof(err->what),
			 "more mappings than an address space can have");
		ret = -EINVAL;
	}
	for (i = 0; i < im.nr_tasks; i++)
		space_put(im.tasks[i].space);
	for (i = 0; i < im.nr_images; i++)
		space_put(im.images[i].seen);
	free(im.tasks);
	free(im.images);
	free(im.files);
	free(im.pending);
	free(im.comment.s);
	free(im.unsupported.v);
	free(im.dependent.v);
	free(im.skipped.v);
	free(im.other.v);
	free(im.ignored.v);
	strace_pids_free(&im.pids);
	strace_log_free(&im.log);
	if (ret)
		program_free(out);
	return ret;
}
