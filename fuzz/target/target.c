/* SPDX-License-Identifier: GPL-2.0-only */
#include "compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

const char *const check_level_names[NR_CHECK_LEVELS] = {"off", "touched", "full"};

#define GLOBAL_EVERY 16u
/* An mm with more PTE tables than that is looked at where an operation touched it. */
#define WHOLE_TABLES 8u
/* Two operands and the result. */
#define MAX_TOUCHED 3
/* More than any request but one for a huge page, which may fail without being missed. */
#define TIGHT_PAGES 64u

/* ---- the injector --------------------------------------------------------------------------- */

static void note_fault(struct target *t, const struct fi_point *point)
{
	if (t->nr_faults >= TARGET_MAX_FAULTS)
		memmove(t->faults, t->faults + 1, sizeof(t->faults) - sizeof(t->faults[0]));
	t->faults[t->nr_faults < TARGET_MAX_FAULTS ? t->nr_faults : TARGET_MAX_FAULTS - 1] = *point;
	t->nr_faults++;
	if (declared_optional(point)) {
		t->hit_soft = true;
	} else if ((!t->hit_hard || t->hit_untold) && !declared_benign(t, t->op, point)) {
		t->hit_hard = true;
		t->passed_untold |= t->hit_untold;
		t->hit_untold = declared_untold(t, t->op, point);
		t->hard = *point;
	}
	if (!t->running || t->opt.no_marks || !t->p->ops[t->op].nr_faults ||
	    t->nr_mark_faults == FI_MAX_ITEMS)
		return;
	t->mark_items[t->nr_mark_faults++] = (struct fi_item){
		.op = point->op,
		.class = (u8)fl_sites[point->site].class,
		.which = FI_RANGE,
		.site = point->site,
		.from = point->ordinal,
		.to = point->ordinal,
	};
}

static void hash_add(struct target *t, const void *data, size_t len)
{
	t->hash = XXH3_64bits_withSeed(data, len, t->hash);
}

static bool ask_injector(struct target *t, enum fl_site site, gfp_t gfp)
{
	struct fi *fi = t->opt.fi;
	struct cover_key key;
	struct cover_entry *e;
	bool failed, clean = !t->nr_faults;

	t->tight |= t->m->pages_in_use + TIGHT_PAGES > t->m->cfg.mem;
	/* a group's limit is no different */
	t->tight |= t->m->cfg.memcg && t->m->cfg.limit_memcg < t->m->cfg.mem;
	key = (struct cover_key){(u16)site, fi->op_kind, fi->prev, fi->prev2};
	failed = fi_should_fail(fi, site, gfp);
	if (failed)
		note_fault(t, &fi->last);
	if (t->opt.cover) {
		e = cover_find(t->opt.cover, &key);
		if (e) {
			e->met++;
			e->failed += failed;
			e->clean += clean;
		}
	}
	return failed;
}

static bool target_should_fail(void *priv, enum fl_site site, gfp_t gfp)
{
	struct target *t = priv;
	bool failed;
	u32 record;

	/* the first image and the end of the run are the bench's own doing */
	if (!t->in_op)
		return t->exhausted && target_refuse_end(t, site, gfp);
	failed = ask_injector(t, site, gfp);
	record = (u32)site << 1 | failed;
	hash_add(t, &record, sizeof(record));
	return failed;
}

/* What a backend needs for itself is no part of the trace: it has to be the same on all of them. */
static bool target_refill(void *priv, u32 gfp)
{
	struct target *t = priv;

	return t->in_op && ask_injector(t, SITE_slab_refill, gfp);
}

static bool target_bare(void *priv, enum fl_site site, gfp_t gfp)
{
	struct target *t = priv;

	return fi_should_fail(t->opt.fi, site, gfp);
}

/* The marks of an operation take the places behind the items of the plan. */
static void arm_marks(struct target *t, u32 op)
{
	const struct op *o = &t->p->ops[op];
	struct fi *fi = t->opt.fi;

	fi->plan.nr = t->plan ? t->plan->nr : 0;
	for (u32 i = 0; i < o->nr_faults; i++) {
		struct fi_item *item = &fi->plan.items[fi->plan.nr++];

		*item = t->p->faults[o->fault + i];
		item->op = op;
	}
}

/* ---- machine -------------------------------------------------------------------------------- */

u64 target_step_budget(const struct machine *m)
{
	u64 objects = 0;

	for (unsigned int i = 0; i < NR_CACHES; i++)
		objects += m->caches[i].live;
	/* a populate may fill all of memory at once, each page a table of zero pages */
	return ((u64)1 << 18) + 256 * objects + 2048 * (m->pages_in_use + m->cfg.mem);
}

void target_switch_to(struct target *t, unsigned int cpu, struct task_struct *tsk)
{
	t->cx.steps = target_step_budget(t->m);
	run_on(&t->cx, cpu, tsk);
}

void target_drop_machine(struct target *t)
{
	t->m = NULL;
	if (t->inst)
		t->opt.alloc->destroy(t->inst);
	t->inst = NULL;
}

struct boot {
	int err;
};

/* So that programs begin with an address space; a recording replaces it by its own first exec. */
static void boot(struct target *t, void *arg)
{
	static const struct exec_segment segments[] = {
		{.start = 0x8048000, .len = 4 * PAGE_SIZE, .prot = PROT_READ | PROT_EXEC},
		{.start = 0x804c000, .len = 4 * PAGE_SIZE, .prot = PROT_READ | PROT_WRITE},
	};
	const struct exec_image image = {
		.segments = segments,
		.nr_segments = ARRAY_SIZE(segments),
		.stack_pages = 1,
	};
	struct fl_seams seams = {
		.priv = t,
		.should_fail = target_should_fail,
		.bug = target_bug,
	};
	struct boot *b = arg;
	bool killed;

	if (t->opt.injector == TARGET_INJECT_BARE)
		seams.should_fail = target_bare;
	else if (t->opt.injector == TARGET_INJECT_NONE)
		seams.should_fail = NULL;
	t->m = machine_create(&t->opt.machine, t->opt.alloc, t->inst, &seams);
	if (!t->m) {
		b->err = -ENOMEM;
		return;
	}
	t->cx = (struct ctx){.m = t->m, .steps = target_step_budget(t->m)};
	t->cx.curr = t->m->rqs[0].curr;

	/* a machine too small for it stays empty, and everything is skipped */
	t->tasks[0].tsk = spawn_init(&t->cx);
	if (!t->tasks[0].tsk) {
		compare_begin(t, NULL);
		return;
	}
	target_switch_to(t, 0, t->tasks[0].tsk);
	t->cx.steps = target_step_budget(t->m);
	sys_execve(&t->cx, &image, &killed);
	t->tasks[0].pid = t->tasks[0].tsk->pid;
	if (killed) {
		do_exit(&t->cx);
		target_switch_to(t, 0, NULL);
		t->tasks[0].tsk = NULL;
	}
	compare_begin(t, t->tasks[0].tsk ? &image : NULL);
}

u32 target_names(const struct program *p, enum def_kind kind)
{
	return p->nr_defs[kind] ? p->nr_defs[kind] : 1;
}

int target_init(struct target *t, const struct program *p, const struct target_options *opt,
		finding_fn fn, void *priv)
{
	memset(t, 0, sizeof(*t));
	t->p = p;
	t->opt = *opt;
	t->fn = fn;
	t->priv = priv;
	t->op = UINT32_MAX;
	t->tasks = calloc(target_names(p, DEF_TASK), sizeof(*t->tasks));
	t->files = calloc(target_names(p, DEF_FILE), sizeof(*t->files));
	t->results = calloc(target_names(p, DEF_RESULT), sizeof(*t->results));
	t->result_known = calloc(target_names(p, DEF_RESULT), sizeof(*t->result_known));
	t->order = calloc(target_names(p, DEF_TASK), sizeof(*t->order));
	if (!opt->no_model)
		t->cmp = compare_new(t);
	if (!t->tasks || !t->files || !t->results || !t->result_known || !t->order ||
	    (!opt->no_model && !t->cmp)) {
		target_fini(t);
		return -ENOMEM;
	}
	return 0;
}

void target_fini(struct target *t)
{
	target_drop_machine(t);
	free(t->tasks);
	free(t->files);
	free(t->results);
	free(t->result_known);
	free(t->order);
	free(t->before.v);
	free(t->after.v);
	free(t->snap);
	t->snap = NULL;
	compare_free(t->cmp);
	t->cmp = NULL;
	t->before = t->after = (struct target_obs){0};
	t->tasks = NULL;
	t->files = NULL;
	t->results = NULL;
	t->result_known = NULL;
	t->order = NULL;
}

void *target_create_inst(struct target *t)
{
	const struct fl_allocator_config cfg = {
		.size = sizeof(cfg),
		.slot = t->opt.slot,
		.refill = target_refill,
		.refill_priv = t,
	};

	return t->opt.alloc->create(&cfg);
}

static int target_reset(void *s)
{
	struct target *t = s;
	const struct program *p = t->p;
	struct boot b = {0};

	target_drop_machine(t);
	memset(t->tasks, 0, target_names(p, DEF_TASK) * sizeof(*t->tasks));
	memset(t->files, 0, target_names(p, DEF_FILE) * sizeof(*t->files));
	memset(t->result_known, 0, target_names(p, DEF_RESULT) * sizeof(*t->result_known));
	t->broken = t->in_op = false;
	t->nr_run = t->nr_faults = t->nr_mark_faults = 0;
	t->op = UINT32_MAX;
	t->hash = 0;

	t->inst = target_create_inst(t);
	if (!t->inst)
		return -ENOMEM;
	if (!target_guarded(t, boot, &b))
		return 0;
	return b.err;
}

/* ---- checks --------------------------------------------------------------------------------- */

static bool mm_lives(const struct machine *m, const struct mm_struct *mm)
{
	const struct mm_struct *pos;

	list_for_each_entry(pos, &m->mms, mms)
		if (pos == mm)
			return true;
	return false;
}

static u32 check_all(struct target *t, bool raw)
{
	struct violations vs = {0};

	(raw ? fl_check_machine : fl_check_marked)(t->m, target_on_violation, &vs, NULL);
	target_report_violations(t, &vs);
	if (vs.nr)
		t->broken = true;
	return vs.nr;
}

static bool touches_all(enum op_code code)
{
	switch (code) {
	case OP_fork:
	case OP_vfork:
	case OP_clone:
	case OP_kthread:
	case OP_exec:
	case OP_exit:
	case OP_use_mm:
	case OP_unuse_mm:
	case OP_coredump:
	case OP_core_end:
	case OP_oom_kill:
	case OP_truncate:
	case OP_swap_out:
	case OP_swapoff:
	case OP_ksmd:
	case OP_khugepaged_scan:
		return true;
	default:
		return false;
	}
}

/*
 * The addresses an operation could change, in whole tables so that its neighbours are seen too; 0
 * of them when its operands do not say.
 */
static unsigned int touched(const struct call *c, u64 table_span, struct fl_range *r)
{
	const struct op_info *info = &op_table[c->op->code];
	u64 start[MAX_TOUCHED] = {c->addr, c->addr2};
	unsigned int nr = 0;
	u64 len = 1;

	/* where the heap ended before is not an operand */
	if (c->op->code == OP_brk)
		return 0;
	for (u32 i = 0; i < info->nr_args; i++) {
		nr += info->args[i].kind == ARG_ADDR;
		if (info->args[i].kind == ARG_LEN)
			len = max_u64(len, c->op->args[i].val);
	}
	if (nr && info->def == DEF_RESULT && c->out->kind == OUT_OK)
		start[nr++] = (u64)c->out->value;
	for (unsigned int i = 0; i < nr; i++) {
		u64 first = start[i] & ~(table_span - 1);
		u64 end = start[i] + len + table_span - 1;

		r[i] = (struct fl_range){first, end < start[i] ? ~(u64)0 : end & ~(table_span - 1)};
	}
	return nr;
}

static void check_mm(struct target *t, const struct call *c, struct mm_struct *mm,
		     struct violations *vs)
{
	u64 span = (u64)t->m->geo.ptrs[PT_PTE] << PAGE_SHIFT;
	struct fl_range r[MAX_TOUCHED];
	unsigned int nr = 0;

	/* what is soon told is told whole, with its sums */
	if (mm->nr_ptes > WHOLE_TABLES)
		nr = touched(c, span, r);
	fl_check_ranges(t->m, mm, nr ? r : NULL, nr, target_on_violation, vs, NULL);
}

/* After an operation of a task that had the mm `before` when it began. */
static void check_op(struct target *t, const struct call *c, struct mm_struct *before)
{
	bool run_mode = t->running, faulted = t->opt.fi->op_delivered != 0;
	struct mm_struct *after = c->task->tsk ? c->task->tsk->mm : NULL;
	struct violations vs = {0};

	if (t->opt.check == CHECK_OFF)
		return;
	/* a sweep looks at the whole machine itself after each fault */
	if (t->opt.check == CHECK_FULL || touches_all(c->op->code) ||
	    t->nr_run % GLOBAL_EVERY == 0 || (run_mode && faulted)) {
		check_all(t, t->opt.check == CHECK_FULL);
		return;
	}
	if (before && before != after && mm_lives(t->m, before))
		check_mm(t, c, before, &vs);
	if (after)
		check_mm(t, c, after, &vs);
	target_report_violations(t, &vs);
	if (vs.nr)
		t->broken = true;
}

static u32 target_check(void *s)
{
	struct target *t = s;

	return t->broken || !t->m ? 0 : check_all(t, true);
}

/* ---- expectations --------------------------------------------------------------------------- */

static bool expected_outcome(const struct target *t, const struct target_task *task,
			     const struct expect *e, struct outcome *want)
{
	u64 val;

	*want = (struct outcome){.kind = OUT_OK};
	switch ((enum expect_kind)e->kind) {
	case EXPECT_NONE:
		return false;
	case EXPECT_VALUE:
		if (!target_addr(t, task, &e->val, &val))
			return false;
		want->value = (s64)val;
		return true;
	case EXPECT_ERRNO:
		want->kind = OUT_ERRNO;
		want->value = -(s64)e->val.val;
		return true;
	case EXPECT_SIGSEGV:
		want->kind = OUT_SIGSEGV;
		return true;
	case EXPECT_SIGBUS:
		want->kind = OUT_SIGBUS;
		return true;
	case EXPECT_OOM:
		want->kind = OUT_OOM;
		return true;
	case EXPECT_SKIP:
		want->kind = OUT_SKIPPED;
		return true;
	}
	return false;
}

/*
 * What a program expects holds for its own marks, not for faults that somebody else adds, and not
 * for a sweep of a program whose marks are left out.
 */
static bool expectations_hold(const struct target *t)
{
	if (!t->opt.expectations)
		return false;
	if (t->running && !t->opt.no_marks)
		return !t->plan || !t->plan->nr || !t->nr_faults;
	return !t->p->nr_faults && !t->nr_faults;
}

static void judge(struct target *t, const struct target_task *task, const struct op *op,
		  const struct outcome *out)
{
	const struct expect *e = &op->expect;
	struct outcome want, got = *out;
	char expected[48], actual[48];
	struct finding f;

	if (op->variant.expect.kind != EXPECT_NONE && t->m->cfg.profile == op->variant.profile)
		e = &op->variant.expect;
	if (!expectations_hold(t) || !expected_outcome(t, task, e, &want))
		return;
	if (got.kind == OUT_SKIPPED && want.kind != OUT_SKIPPED)
		return;
	if (got.kind == OUT_KILLED)
		got.kind = OUT_ERRNO;
	if (outcome_equal(&want, &got))
		return;
	f = (struct finding){.oracle = ORACLE_expect, .func = "-"};
	outcome_print(&want, expected, sizeof(expected));
	outcome_print(out, actual, sizeof(actual));
	snprintf(f.expected, sizeof(f.expected), "%s", expected);
	snprintf(f.actual, sizeof(f.actual), "%s", actual);
	snprintf(f.what, sizeof(f.what), "the program expects %s, the result is %s", expected,
		 actual);
	snprintf(f.class_key, sizeof(f.class_key), "%s", op_table[op->code].name);
	target_report(t, &f);
}

/* ---- the strong guarantee, in a run (a sweep judges its faults itself) ---------------------- */

static void obs_add(void *priv, const struct fl_obs *o)
{
	struct target_obs *obs = priv;

	if (obs->nr == obs->max) {
		u32 max = obs->max ? 2 * obs->max : 256;
		struct fl_obs *v = realloc(obs->v, max * sizeof(*v));

		if (!v) {
			obs->lost = true;
			return;
		}
		obs->v = v;
		obs->max = max;
	}
	obs->v[obs->nr++] = *o;
}

static void observe_into(struct target *t, struct target_obs *obs)
{
	obs->nr = 0;
	obs->lost = false;
	fl_observe(t->m, false, obs_add, obs);
}

static bool may_be_refused(const struct target *t, u32 op)
{
	if (!t->running || t->opt.check == CHECK_OFF)
		return false;
	if (!t->opt.no_marks && t->p->ops[op].nr_faults)
		return true;
	for (u32 i = 0; t->plan && i < t->plan->nr; i++)
		if (t->plan->items[i].op == FI_OP_ANY || t->plan->items[i].op == op)
			return true;
	return false;
}

static bool obs_equal(const struct target_obs *a, const struct target_obs *b)
{
	if (a->nr != b->nr)
		return false;
	for (u32 i = 0; i < a->nr; i++)
		if (a->v[i].field != b->v[i].field || a->v[i].obj != b->v[i].obj ||
		    a->v[i].key != b->v[i].key || a->v[i].val != b->v[i].val)
			return false;
	return true;
}

/* A refused operation gives a declared error and leaves the state alone, or as declared. */
static void judge_refused(struct target *t, u32 op, const struct outcome *out)
{
	struct finding f;

	if (!t->hit_hard || t->hit_soft)
		return;
	if (!declared_error(t, op, &t->hard, out)) {
		finding_of_outcome(&f, out);
		target_report(t, &f);
		return;
	}
	observe_into(t, &t->after);
	if (t->before.lost || t->after.lost || obs_equal(&t->before, &t->after) ||
	    declared_exception(t, op, out, t->before.v, t->before.nr, t->after.v, t->after.nr))
		return;
	finding_of_change(&f, t->before.v, t->before.nr, t->after.v, t->after.nr);
	target_report(t, &f);
}

/* ---- the subject ---------------------------------------------------------------------------- */

static void hash_outcome(struct target *t, u32 op, const struct outcome *out)
{
	u64 record[3] = {op, out->kind, (u64)out->value};

	hash_add(t, record, sizeof(record));
}

static void step_switch(struct target *t, void *arg)
{
	struct target_task *task = arg;

	target_switch_to(t, task->cpu, task->tsk);
}

/* Tasks are numbered by birth among the living, and born in the order of their names. */
static u32 task_number(const struct target *t, u32 task)
{
	u32 n = 1;

	for (u32 i = 0; i < task; i++)
		n += t->tasks[i].tsk != NULL;
	return n;
}

bool target_clears_tid(const struct target *t, const struct task_struct *tsk, bool sharers)
{
	const struct task_struct *p;
	bool clears = false;

	list_for_each_entry(p, &t->m->tasks, tasks)
		clears |= p->state != TASK_DEAD && p->clear_child_tid &&
			  (p->signal == tsk->signal || (sharers && p->mm == tsk->mm));
	return clears;
}

static void target_apply(void *s, u32 op, struct outcome *out)
{
	struct target *t = s;
	const struct op *o = &t->p->ops[op];
	struct target_task *task;
	struct mm_struct *before;
	bool guarantee;
	struct call c;

	*out = (struct outcome){.kind = OUT_BROKEN};
	t->op = op;
	t->hit_hard = t->hit_soft = t->hit_untold = t->passed_untold = t->tight = false;
	if (t->broken || !t->m)
		return;
	if (t->opt.position)
		*t->opt.position = op;
	if (t->running && !t->opt.no_marks)
		arm_marks(t, op);
	fi_op_begin(t->opt.fi, op, o->code);

	task = target_acting(t, op);
	c = (struct call){.op = o, .task = task, .out = out};
	out->kind = OUT_SKIPPED;
	compare_skipped(t, task != NULL);
	if (!task || !target_operands(t, &c)) {
		judge(t, task ? task : &(struct target_task){0}, o, out);
		hash_outcome(t, op, out);
		return;
	}

	before = task->tsk->mm;
	t->number = task_number(t, o->task);
	t->clears_tid = target_clears_tid(t, task->tsk, o->code == OP_oom_kill);
	t->vm_before = before ? before->total_vm : 0;
	if (!target_guarded(t, step_switch, task))
		goto broken;
	guarantee = may_be_refused(t, op);
	if (guarantee)
		observe_into(t, &t->before);
	compare_before(t, &c);
	t->cx.steps = target_step_budget(t->m);
	out->kind = OUT_OK;
	t->in_op = true;
	target_guarded(t, target_do_op, &c);
	t->in_op = false;
	if (t->broken)
		goto broken;
	t->nr_run++;
	check_op(t, &c, before);
	if (t->broken)
		goto broken;
	compare_after(t, &c);
	if (guarantee)
		judge_refused(t, op, out);
	judge(t, task, o, out);
	hash_outcome(t, op, out);
	return;
broken:
	*out = (struct outcome){.kind = OUT_BROKEN};
	hash_outcome(t, op, out);
}

static void target_report_to(void *s, finding_fn fn, void *priv)
{
	struct target *t = s;

	t->fn = fn;
	t->priv = priv;
}

static u32 target_nr_ops(void *s)
{
	const struct target *t = s;

	if (t->opt.max_ops && t->p->nr_ops > t->opt.max_ops)
		return t->opt.max_ops;
	return t->p->nr_ops;
}

static u16 target_op_kind(void *s, u32 op)
{
	const struct target *t = s;

	return t->p->ops[op].code;
}

static const char *target_op_name(void *s, u32 op)
{
	const struct target *t = s;

	return op_table[t->p->ops[op].code].name;
}

static u64 target_digest(void *s)
{
	struct target *t = s;

	return t->broken || !t->m ? 0 : fl_digest(t->m, false);
}

static void target_seal(void *s)
{
	struct target *t = s;

	t->stamp = t->broken || !t->m ? 0 : fl_stamp(t->m);
}

static bool target_sealed(void *s)
{
	const struct target *t = s;

	return t->stamp && !t->broken && t->m && fl_stamp(t->m) == t->stamp;
}

static void target_observe(void *s, fl_obs_fn fn, void *priv)
{
	struct target *t = s;

	if (!t->broken && t->m)
		fl_observe(t->m, false, fn, priv);
}

/* Tables and rmap objects that a failed operation leaves behind are live, though no digest shows
 * them. */
static u64 target_residue(void *s)
{
	const struct target *t = s;
	u64 objects = 0;

	if (t->broken || !t->m)
		return 0;
	for (unsigned int i = 0; i < NR_CACHES; i++)
		objects += t->m->caches[i].live;
	return t->m->pages_in_use << 32 | objects;
}

static bool target_benign(void *s, u32 op, const struct fi_point *point)
{
	return declared_benign(s, op, point);
}

static bool target_relays(void *s, u32 op, const struct fi_point *point)
{
	return declared_relays(s, op, point);
}

static bool target_by_layout(void *s, u32 op, const struct outcome *golden,
			     const struct outcome *out)
{
	return declared_by_layout(s, op, golden, out);
}

/* What a huge page brings along does not miss: who is asked for what does sees the difference. */
static bool target_shows_layout(void *s)
{
	const struct target *t = s;
	bool shows = false;

	for (u32 i = 0; i < NR_UFFDS; i++)
		shows |= t->m->uffds[i] != NULL;
	return shows;
}

static enum fl_site target_fallback(void *s, u32 op, const struct fi_point *point)
{
	return declared_fallback(s, op, point);
}

static bool target_optional(void *s, const struct fi_point *point)
{
	(void)s;
	return declared_optional(point);
}

static bool target_untold(void *s, u32 op, const struct fi_point *point)
{
	return declared_untold(s, op, point);
}

static u64 target_contents(void *s)
{
	struct target *t = s;

	return t->broken || !t->m || !t->m->cfg.thp ? 0 : fl_contents(t->m);
}

static bool target_declared_error(void *s, u32 op, const struct fi_point *point,
				  const struct outcome *out)
{
	return declared_error(s, op, point, out);
}

static const char *target_allowed(void *s, u32 op, const struct outcome *out,
				  const struct fl_obs *before, u32 nr_before,
				  const struct fl_obs *after, u32 nr_after)
{
	return declared_exception(s, op, out, before, nr_before, after, nr_after);
}

static bool target_retryable(void *s, u32 op, const struct outcome *out)
{
	return declared_retryable(s, op, out);
}

const struct subject_ops target_subject = {
	.report_to = target_report_to,
	.reset = target_reset,
	.nr_ops = target_nr_ops,
	.op_kind = target_op_kind,
	.op_name = target_op_name,
	.apply = target_apply,
	.digest = target_digest,
	.seal = target_seal,
	.sealed = target_sealed,
	.observe = target_observe,
	.check = target_check,
	.teardown = target_teardown,
	.teardown_exhausted = target_teardown_exhausted,
	.benign = target_benign,
	.relays = target_relays,
	.by_layout = target_by_layout,
	.shows_layout = target_shows_layout,
	.fallback = target_fallback,
	.optional = target_optional,
	.untold = target_untold,
	.contents = target_contents,
	.declared_error = target_declared_error,
	.allowed = target_allowed,
	.retryable = target_retryable,
	.residue = target_residue,
	.snapshot = target_snapshot,
	.restore = target_restore,
};

/* ---- run ------------------------------------------------------------------------------------ */

static int plan_fits(const struct target *t, const struct fi_plan *plan)
{
	u32 most = 0;

	for (u32 i = 0; i < t->p->nr_ops && !t->opt.no_marks; i++)
		if (t->p->ops[i].nr_faults > most)
			most = t->p->ops[i].nr_faults;
	return (plan ? plan->nr : 0) + most <= FI_MAX_ITEMS ? 0 : -E2BIG;
}

u64 target_work(const struct machine *m)
{
	const struct mm_struct *mm;
	/* what tasks share is counted by comparing each with each */
	u64 work = m->pages_in_use + m->nr_tasks * m->nr_tasks;

	for (unsigned int i = 0; i < NR_CACHES; i++)
		work += m->caches[i].live;
	list_for_each_entry(mm, &m->mms, mms)
		for (unsigned int i = 0; i < NR_MM_COUNTERS; i++)
			work += (u64)mm->rss_stat[i];
	return work;
}

/* May one more operation run? */
static bool within_budget(struct target *t, u64 *work)
{
	if (!t->opt.max_work || !t->m)
		return true;
	*work += target_work(t->m);
	return *work <= t->opt.max_work;
}

int target_run(struct target *t, const struct fi_plan *plan, struct target_result *res)
{
	static const struct fi_plan none;
	struct fi *fi = t->opt.fi;
	struct fi_stats start = fi->stats;
	u32 nr_ops = target_nr_ops(t);
	struct outcome out;
	u64 work = 0;
	u64 digest;
	int err;

	memset(res, 0, sizeof(*res));
	err = plan_fits(t, plan);
	if (err)
		return err;
	t->running = true;
	t->plan = plan;
	t->nr_findings = 0;
	t->model = (struct model_stats){0};
	fi_arm(fi, plan ? plan : &none);
	err = target_reset(t);
	for (u32 i = 0; !err && i < nr_ops && !t->broken; i++) {
		if (!within_budget(t, &work)) {
			nr_ops = i;
			break;
		}
		if (t->opt.event)
			fi_record(fi, t->opt.points, t->opt.max_points);
		target_apply(t, i, &out);
		if (t->opt.event)
			t->opt.event(t->opt.event_priv,
				     &(struct target_event){.op = i,
							    .out = &out,
							    .points = fi->points,
							    .nr_points = fi->nr_points});
	}
	t->op = UINT32_MAX;
	if (!err && t->opt.check != CHECK_OFF)
		target_check(t);
	if (!err)
		compare_all(t);
	digest = t->opt.no_digest ? 0 : target_digest(t);
	hash_add(t, &digest, sizeof(digest));
	if (t->opt.strict && !t->broken && t->m)
		res->strict = fl_digest(t->m, true);
	if (!err)
		target_teardown(t);
	fi_disarm(fi);
	fi_record(fi, NULL, 0);
	t->running = false;
	t->plan = NULL;

	res->ops = t->nr_run;
	res->met = fi->stats.met - start.met;
	res->delivered = fi->stats.delivered - start.delivered;
	res->refills = fi->stats.site_met[SITE_slab_refill] - start.site_met[SITE_slab_refill];
	res->findings = t->nr_findings;
	res->truncated = nr_ops < t->p->nr_ops;
	res->trace_hash = t->hash;
	res->model = t->model;
	return err;
}
