/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The engine acts first, then the model, which is told only what it cannot know: that something was
 * refused, how much memory there was, how the engine had cut a range into VMAs. Both outcomes must
 * be the same; then areas, contents and sums, of what the operation touched or of everything.
 */
#include "compare_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_foreign(const struct compare *cmp, u32 space, const struct mm_struct *mm)
{
	const struct m_space *s = space == M_NONE ? NULL : &cmp->m.space[space];

	for (u32 i = 0; s && i < s->nr; i++)
		if (s->area[i].attr & M_FOREIGN)
			return true;
	for (const struct vm_area_struct *v = mm ? mm->mmap : NULL; v; v = v->vm_next)
		if (cmp_attr_of(v->vm_flags) & M_FOREIGN)
			return true;
	return false;
}

/* What differs, in one word, and both sides. The model goes on from what the engine has. */
static void disagree(struct target *t, const char *word, const char *what, const struct both *b)
{
	struct finding f = {.oracle = ORACLE_model, .func = "-"};

	t->model.disagreed++;
	snprintf(f.what, sizeof(f.what), "%s", what);
	snprintf(f.class_key, sizeof(f.class_key), "%s %s",
		 t->op == UINT32_MAX ? "end" : op_table[t->p->ops[t->op].code].name, word);
	memcpy(f.expected, b->expected, sizeof(f.expected));
	memcpy(f.actual, b->actual, sizeof(f.actual));
	target_report(t, &f);
	cmp_import(t);
}

static void not_modelled(struct target *t, enum op_code code)
{
	t->model.resynced++;
	t->model.by_op[code]++;
	cmp_import(t);
}

static const u8 out_kinds[] = {
	[M_OK] = OUT_OK,	 [M_ERRNO] = OUT_ERRNO,	  [M_SIGSEGV] = OUT_SIGSEGV,
	[M_SIGBUS] = OUT_SIGBUS, [M_KILLED] = OUT_KILLED,
};

static bool agrees(const struct m_result *want, const struct outcome *got)
{
	if (got->kind != out_kinds[want->kind])
		return false;
	return want->kind == M_SIGSEGV || want->kind == M_SIGBUS || want->value == got->value;
}

static void resolve_segments(struct target *t, const struct call *c)
{
	struct compare *cmp = t->cmp;

	cmp->segs_known = true;
	for (u32 i = 0; i < c->op->nr_segs; i++) {
		const struct prog_seg *seg = &t->p->segs[c->op->seg + i];
		struct m_segment *to = &cmp->seg[i];

		*to = (struct m_segment){.len = seg->len, .prot = seg->prot, .off = seg->offset};
		to->obj = seg->file == NO_REF || seg->file >= cmp->nr_files ? M_NONE
									    : cmp->file[seg->file];
		if (!target_addr(t, c->task, &seg->start, &to->start))
			cmp->segs_known = false;
	}
}

/* May the engine refuse for a reason that the model has no part in? */
static bool is_near_limits(const struct target *t, const struct call *c)
{
	const struct mm_struct *mm = t->cmp->mm;
	const struct m_config *cfg = &t->cmp->m.cfg;
	u64 pages = 0;

	/* a backend that is not ours may have less memory than the machine */
	if (fl_allocator_find(t->opt.alloc->name) != t->opt.alloc)
		return true;
	if (mm && (u64)mm->map_count + 8 + c->op->nr_segs >= t->m->cfg.max_map_count)
		return true;
	if (cfg->overcommit || cfg->modern)
		return false;
	for (u32 i = 0; i < op_table[c->op->code].nr_args; i++)
		if (op_table[c->op->code].args[i].kind == ARG_LEN)
			pages = max_u64(pages, c->op->args[i].val >> PAGE_SHIFT);
	for (u32 i = 0; i < c->op->nr_segs; i++)
		pages = max_u64(pages, t->p->segs[c->op->seg + i].len >> PAGE_SHIFT);
	if (mm && cmp_makes_space((enum op_code)c->op->code))
		pages = max_u64(pages, mm->total_vm);
	if (mm && c->op->code == OP_brk)
		pages = (c->addr - mm->brk) >> PAGE_SHIFT;
	if (c->op->code == OP_swapoff)
		pages = t->m->cfg.swap;
	return t->cmp->free_before < 1024 || pages > t->cmp->free_before / 4;
}

/* Is each area of the range one VMA? */
static bool is_one_vma(const struct target *t, const struct call *c, u32 space)
{
	const struct m_space *s = &t->cmp->m.space[space];
	u64 end = c->addr + c->op->args[1].val;

	for (const struct vm_area_struct *v = cmp_vma_above(t->cmp->mm, c->addr);
	     v && v->vm_start < end; v = v->vm_next) {
		const struct m_area *a = m_at(s, v->vm_start);

		if (!a || (v->vm_start > c->addr && a->start != v->vm_start))
			return false;
	}
	return true;
}

/* Does who leaves an address space end others, or write into it? */
static bool leaves_more(const struct target *t, const struct call *c)
{
	if (c->op->code != OP_exec && c->op->code != OP_exit)
		return false;
	for (u32 i = 0; i < t->cmp->m.nr_tasks && c->op->code == OP_exec; i++)
		if (&t->tasks[i] != c->task && t->tasks[i].tsk &&
		    t->tasks[i].tsk->signal == c->task->tsk->signal)
			return true;
	return t->clears_tid;
}

void compare_before(struct target *t, const struct call *c)
{
	struct compare *cmp = t->cmp;
	struct model *m;
	const struct vm_area_struct *v = NULL;
	u32 space;

	if (!cmp || cmp->off)
		return;
	m = &cmp->m;
	space = m->task[cmp_task_of(t, c)].space;
	cmp->mm = c->task->tsk->mm;
	cmp->brk_before = cmp->mm ? cmp->mm->brk : 0;
	cmp->free_before = cmp_free_pages(t->m);
	/* a pending signal interrupts what can be interrupted */
	cmp->near_limits = is_near_limits(t, c) || c->task->tsk->signal_pending;
	cmp->leaves_more = leaves_more(t, c);
	memset(&m->in, 0, sizeof(m->in));
	switch ((enum op_code)c->op->code) {
	case OP_mprotect:
		m->in.one_vma = space != M_NONE && is_one_vma(t, c, space);
		__attribute__((fallthrough));
	case OP_mremap:
	case OP_read:
	case OP_write:
	case OP_io_setup:
	case OP_io_destroy:
	case OP_io_submit:
	case OP_io_getevents:
		v = cmp->mm ? cmp_vma_above(cmp->mm, c->addr) : NULL;
		break;
	case OP_exec:
		resolve_segments(t, c);
		break;
	default:
		break;
	}
	if (v) {
		m->in.vma_start = v->vm_start;
		m->in.vma_end = v->vm_end;
		m->in.vma_room = v->vm_file ? 0 : v->vm_pgoff + 1;
	}
	if (v && (m->cfg.stack_guard || v->vm_flags & VM_UFFD_MISSING)) {
		struct fl_look l;

		fl_look_at(t->m, cmp->mm, c->addr, &l);
		m->in.present = l.kind != FL_LOOK_NOTHING;
	}
}

/* Does the operation change who has which space, or what others have? */
static bool is_global(const struct target *t, const struct call *c)
{
	switch ((enum op_code)c->op->code) {
	case OP_fork:
	case OP_vfork:
	case OP_clone:
	case OP_kthread:
	case OP_exec:
	case OP_exit:
	case OP_truncate:
	case OP_swap_out:
	case OP_swapoff:
		return true;
	default:
		return t->opt.check == CHECK_FULL || t->nr_run % 16 == 0 ||
		       t->opt.fi->op_delivered != 0;
	}
}

void cmp_report(struct target *t, const struct call *c, const struct difference *d)
{
	u32 space = c ? t->cmp->m.task[cmp_task_of(t, c)].space : M_NONE;
	bool foreign = is_foreign(t->cmp, space, c && c->task->tsk ? c->task->tsk->mm : NULL);

	if ((foreign || t->cmp->lasting) && c)
		not_modelled(t, (enum op_code)c->op->code);
	else
		disagree(t, d->word, d->what, &d->b);
}

/* With one page more on each side. */
static void widen(const struct target *t, u64 *start, u64 *end)
{
	*start -= *start ? PAGE_SIZE : 0;
	*end = min_u64(*end + PAGE_SIZE, t->cmp->m.cfg.task_size);
}

static void compare_state(struct target *t, const struct call *c)
{
	struct compare *cmp = t->cmp;
	u32 task = cmp_task_of(t, c), space;
	struct difference d = {0};
	u64 start, end;
	bool same;

	if (is_global(t, c)) {
		same = cmp_same_everything(t, &d);
	} else {
		space = cmp->m.task[task].space;
		cmp_range_of(t, c, &start, &end);
		widen(t, &start, &end);
		same = cmp_same_task(t, task, &d) &&
		       (space == M_NONE ||
			cmp_same_space(t, space, c->task->tsk->mm, start, end, &d)) &&
		       cmp_same_number(&d, "committed", cmp->m.account, (u64)t->m->vm_committed_as);
	}
	if (!same)
		cmp_report(t, c, &d);
}

static void print_result(const struct m_result *r, char *buf, size_t len)
{
	const struct outcome o = {out_kinds[r->kind], r->value};

	outcome_print(&o, buf, len);
}

static void wrong_outcome(struct target *t, const struct call *c, const struct m_result *want)
{
	struct difference d = {.word = "result"};

	print_result(want, d.b.expected, sizeof(d.b.expected));
	outcome_print(c->out, d.b.actual, sizeof(d.b.actual));
	snprintf(d.what, sizeof(d.what), "the result is %.40s and should be %.40s", d.b.actual,
		 d.b.expected);
	cmp_report(t, c, &d);
}

/* An argument with a word that the model has not learnt. */
static bool is_new_word(const struct call *c)
{
	u64 advice = c->op->args[2].val;

	if (c->op->code != OP_madvise || m_knows_advice(advice))
		return false;
	for (unsigned int i = 0; i < nr_advice_words; i++)
		if (advice_words[i].bits == advice)
			return true;
	return false;
}

/*
 * Does the operation fetch pages where those that miss are for a userfaultfd? Which do is the
 * engine's to know.
 */
static bool fetches_missing(const struct target *t, const struct call *c)
{
	const struct model *m = &t->cmp->m;
	u32 space = m->task[cmp_task_of(t, c)].space;
	const struct m_space *s = space == M_NONE ? NULL : &m->space[space];

	switch ((enum op_code)c->op->code) {
	case OP_mlock:
	case OP_mlock2:
	case OP_mlockall:
		break;
	case OP_mremap:
	case OP_mprotect:
		if (s && s->locked)
			break;
		return false;
	default:
		return false;
	}
	for (u32 i = 0; s && i < s->nr; i++)
		if (s->area[i].attr & M_UFFD)
			return true;
	return false;
}

/*
 * An exec that is interrupted last has let its vfork parent go (facts §13.2), and returns from no
 * call of the image that it stays in.
 */
static void follow_release(struct target *t, u32 task)
{
	struct m_task *tasks = t->cmp->m.task;
	u32 waiter = tasks[task].waiter;

	if (!t->tasks[task].tsk->utask)
		tasks[task].depth = 0;
	if (waiter == M_NONE || !t->tasks[waiter].tsk ||
	    t->tasks[waiter].tsk->state != TASK_RUNNING)
		return;
	tasks[waiter].waiting = false;
	tasks[task].waiter = M_NONE;
}

/* A child is born even if what it needs to return from probed calls cannot be had (facts §13.2). */
static void follow_birth(struct target *t, const struct call *c)
{
	struct model *m = &t->cmp->m;
	const struct task_struct *tsk = t->tasks[c->op->def].tsk;
	struct m_task *child = &m->task[c->op->def];
	u64 at;

	if (!tsk || !child->depth)
		return;
	cmp_import_calls(child, tsk->utask);
	at = child->space == M_NONE ? 0 : m->space[child->space].stepping;
	if (!at || !tsk->mm || tsk->mm->xol_area)
		return;
	m_clear(m, child->space, at, at + PAGE_SIZE);
	m->space[child->space].stepping = 0;
}

/* Runs the operation on the model, as far as its outcome lets it. */
static void run_modelled(struct target *t, const struct call *c)
{
	struct compare *cmp = t->cmp;
	struct model *m = &cmp->m;
	enum op_code code = (enum op_code)c->op->code;
	u32 task = cmp_task_of(t, c), space = m->task[task].space;
	bool refused = t->hit_hard || t->hit_soft || t->tight || cmp->near_limits;
	struct m_result want;

	/* of these a refusal leaves nothing behind, but what is past an exec's point of no return
	 */
	if (refused && !cmp_changes_ranges(code) && c->out->kind != OUT_OK) {
		if (c->out->kind == OUT_KILLED)
			m_exit(m, task);
		else if (code == OP_exec)
			follow_release(t, task);
		t->model.followed++;
		return;
	}
	cmp->saved = space != M_NONE && cmp_changes_ranges(code) &&
		     (refused || m->space[space].nr <= 64 || code == OP_mprotect);
	if (cmp->saved)
		m_save(m, space);
	m->unsure = false;
	want = cmp_run_op(t, c);
	refused |= m->unsure;
	if (agrees(&want, c->out)) {
		if (refused && cmp->saved && !cmp_fits(t, space) && cmp_settle(t, c, space)) {
			t->model.followed++;
			return;
		}
		if (refused && code != OP_exec && cmp_makes_space(code) && c->out->kind == OUT_OK)
			follow_birth(t, c);
		cmp_accept(t, refused);
		t->model.agreed++;
		return;
	}
	/* a refusal makes no success, but where the value says how far it came */
	if (refused && cmp->saved &&
	    (c->out->kind != OUT_OK || code == OP_brk || code == OP_io_submit) &&
	    cmp_settle(t, c, space)) {
		t->model.followed++;
		return;
	}
	if (m->unsure && !cmp_changes_ranges(code) && c->out->kind == OUT_ERRNO) {
		t->model.followed++;
		m->nr_effects = 0;
		return;
	}
	m->nr_effects = 0;
	wrong_outcome(t, c, &want);
}

/* Acts in an address space that the model has not given it. */
static bool borrows(const struct target *t, const struct call *c)
{
	return t->cmp->mm && t->cmp->m.task[cmp_task_of(t, c)].space == M_NONE;
}

void compare_after(struct target *t, const struct call *c)
{
	struct compare *cmp = t->cmp;
	enum op_code code = (enum op_code)c->op->code;
	u64 now;

	if (!cmp || cmp->off || t->broken || c->out->kind == OUT_SKIPPED)
		return;
	now = cmp_free_pages(t->m);
	cmp->m.in.free_lo = min_u64(now, cmp->free_before);
	cmp->m.in.free_lo -= min_u64(cmp->m.in.free_lo, 64);
	cmp->m.in.free_hi = max_u64(now, cmp->free_before) + 64;
	cmp->m.in.engine_failed = c->out->kind != OUT_OK;
	switch (modelled_ops[code].how) {
	case NOT_LISTED:
	case IS_LASTING:
		cmp->lasting = true;
		not_modelled(t, code);
		return;
	case IS_UNMODELLED:
		not_modelled(t, code);
		return;
	case IS_UNCHANGED:
		t->model.unchanged++;
		break;
	case IS_MODELLED:
		if (is_new_word(c) || cmp->leaves_more || borrows(t, c) || fetches_missing(t, c)) {
			/* what MADV_FREE lets go may go at any time from now on */
			cmp->lasting |= is_new_word(c) && c->out->kind != OUT_ERRNO;
			not_modelled(t, code);
			return;
		}
		run_modelled(t, c);
		break;
	}
	if (cmp->m.lost)
		cmp->off = true;
	if (!cmp->off)
		compare_state(t, c);
}

static bool may_act(const struct model *m, const struct op *o)
{
	const struct m_task *task = o->task < m->nr_tasks ? &m->task[o->task] : NULL;

	return task && task->alive && !task->waiting && task->dumping == (o->code == OP_core_end);
}

void compare_skipped(struct target *t, bool acts)
{
	const struct op *o = &t->p->ops[t->op];
	struct compare *cmp = t->cmp;
	struct difference d = {.word = "skipped"};
	bool want;

	if (!cmp || cmp->off || t->broken)
		return;
	want = may_act(&cmp->m, o);
	if (want == acts || cmp->lasting)
		return;
	snprintf(d.what, sizeof(d.what), "t%" PRIu32 " %s", o->task,
		 acts ? "acts and should not" : "should act");
	snprintf(d.b.expected, sizeof(d.b.expected), "%s", want ? "acts" : "cannot act");
	snprintf(d.b.actual, sizeof(d.b.actual), "%s", acts ? "acts" : "cannot act");
	disagree(t, d.word, d.what, &d.b);
}

void compare_all(struct target *t)
{
	struct difference d = {0};

	if (!t->cmp || t->cmp->off || t->broken || !t->m)
		return;
	if (!cmp_same_everything(t, &d) && !t->cmp->lasting)
		cmp_report(t, NULL, &d);
}
