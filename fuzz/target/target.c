/* SPDX-License-Identifier: GPL-2.0-only */
#include "target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

const char *const check_level_names[NR_CHECK_LEVELS] = {"off", "touched", "full"};

#define MAX_VIOLATIONS 8u /* reported of one check; the rest repeats what they say */
#define GLOBAL_EVERY   16u

/* ---- findings -----------------------------------------------------------------------------------
 */

void target_faults(const struct target *t, struct finding *f)
{
	struct fi_plan plan = {0};

	f->nr_faults = t->nr_faults;
	memcpy(f->faults, t->faults, sizeof(f->faults));
	if (t->plan)
		plan = *t->plan;
	for (u32 i = 0; i < t->nr_mark_faults && plan.nr < FI_MAX_ITEMS; i++)
		plan.items[plan.nr++] = t->mark_items[i];
	if (fi_plan_print(&plan, f->plan, sizeof(f->plan)) >= (int)sizeof(f->plan))
		f->plan[0] = '\0';
}

static void report(struct target *t, struct finding *f)
{
	f->op = t->op;
	snprintf(f->name, sizeof(f->name), "%s",
		 t->op == UINT32_MAX ? "teardown" : op_table[t->p->ops[t->op].code].name);
	target_faults(t, f);
	t->nr_findings++;
	if (t->fn)
		t->fn(t->priv, f);
}

static enum oracle bug_oracle(enum fl_bug kind)
{
	switch (kind) {
	case FL_BUG_REFCOUNT:
		return ORACLE_refcount;
	case FL_BUG_LOCK:
		return ORACLE_lock;
	case FL_BUG_HANG:
		return ORACLE_hang;
	case FL_BUG_INVARIANT:
		break;
	}
	return ORACLE_invariant;
}

/* The engine's bug seam: leaves the engine wherever it was. The machine is not used any more. */
__attribute__((noreturn)) static void target_bug(void *priv, enum fl_bug kind, const char *func,
						 const char *what)
{
	struct target *t = priv;
	struct finding f = {.oracle = bug_oracle(kind)};

	snprintf(f.what, sizeof(f.what), "%s: %s", func, what);
	snprintf(f.class_key, sizeof(f.class_key), "%s", what);
	snprintf(f.func, sizeof(f.func), "%s", func);
	snprintf(f.expected, sizeof(f.expected), "not: %s", what);
	snprintf(f.actual, sizeof(f.actual), "%s", what);
	t->broken = true;
	report(t, &f);
	if (!t->guarded)
		abort();
	longjmp(t->env, 1);
}

typedef void (*step_fn)(struct target *t, void *arg);

/* Runs fn; false when the engine gave up inside, which has been reported. */
static bool guarded(struct target *t, step_fn fn, void *arg)
{
	bool outer = t->guarded;

	if (t->broken)
		return false;
	t->guarded = true;
	if (!setjmp(t->env))
		fn(t, arg);
	t->guarded = outer;
	return !t->broken;
}

static enum oracle row_oracle(const struct fl_violation *v)
{
	const char *oracle = "invariant";

	for (unsigned int i = 0; i < fl_nr_invariants; i++)
		if (!strcmp(fl_invariants[i].name, v->name))
			oracle = fl_invariants[i].oracle;
	for (unsigned int i = 0; i < NR_ORACLES; i++)
		if (!strcmp(oracle_names[i], oracle))
			return (enum oracle)i;
	return ORACLE_invariant;
}

struct violations {
	struct target *t;
	u32 nr;
	bool census;
};

static void on_violation(void *priv, const struct fl_violation *v)
{
	struct violations *vs = priv;
	struct finding f = {.oracle = vs->census ? ORACLE_census : row_oracle(v)};

	if (vs->nr++ >= MAX_VIOLATIONS)
		return;
	snprintf(f.what, sizeof(f.what), "%s %s: %s", v->id, v->name, v->object);
	snprintf(f.class_key, sizeof(f.class_key), "%s %s", v->id, v->name);
	snprintf(f.func, sizeof(f.func), "%s", v->func);
	snprintf(f.expected, sizeof(f.expected), "%s", v->expected);
	snprintf(f.actual, sizeof(f.actual), "%s", v->actual);
	report(vs->t, &f);
}

/* ---- the injector
 * ---------------------------------------------------------------------------------- */

static void note_fault(struct target *t, const struct fi_point *point)
{
	if (t->nr_faults < TARGET_MAX_FAULTS)
		t->faults[t->nr_faults] = *point;
	t->nr_faults++;
	if (!t->marks || !t->p->ops[t->op].nr_faults || t->nr_mark_faults == FI_MAX_ITEMS)
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

static bool target_should_fail(void *priv, enum fl_site site, gfp_t gfp)
{
	struct target *t = priv;
	struct fi *fi = t->opt.fi;
	struct cover_key key;
	struct cover_entry *e;
	bool failed;
	u32 record;

	/* the first image and the end of the run are the bench's own doing */
	if (!t->in_op)
		return false;

	key = (struct cover_key){(u16)site, fi->op_kind, fi->prev, fi->prev2};
	failed = fi_should_fail(fi, site, gfp);
	if (failed)
		note_fault(t, &fi->last);
	if (t->opt.cover) {
		e = cover_find(t->opt.cover, &key);
		if (e) {
			e->met++;
			e->failed += failed;
		}
	}
	record = (u32)site << 1 | failed;
	hash_add(t, &record, sizeof(record));
	return failed;
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

/* ---- machine
 * ------------------------------------------------------------------------------------------ */

/*
 * Far above what any operation needs: some turns per object and a walk over every table entry. The
 * bound is part of the oracle, so it depends on the state alone.
 */
static u64 step_budget(const struct machine *m)
{
	u64 objects = 0;

	for (unsigned int i = 0; i < NR_CACHES; i++)
		objects += m->caches[i].live;
	return ((u64)1 << 18) + 256 * objects + 2048 * m->pages_in_use;
}

static void switch_to(struct target *t, unsigned int cpu, struct task_struct *tsk)
{
	t->cx.steps = step_budget(t->m);
	run_on(&t->cx, cpu, tsk);
}

/* What was running is thrown away, whatever state it is in: the backend frees what it gave out. */
static void drop_machine(struct target *t)
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
	const struct fl_seams seams = {
		.priv = t,
		.should_fail = target_should_fail,
		.bug = target_bug,
	};
	struct boot *b = arg;
	bool killed;

	t->m = machine_create(&t->opt.machine, t->opt.alloc, t->inst, &seams);
	if (!t->m) {
		b->err = -ENOMEM;
		return;
	}
	t->cx = (struct ctx){.m = t->m, .steps = step_budget(t->m)};
	t->cx.curr = t->m->rqs[0].curr;

	/* a machine too small for it stays empty, and everything is skipped */
	t->tasks[0].tsk = spawn_init(&t->cx);
	if (!t->tasks[0].tsk)
		return;
	switch_to(t, 0, t->tasks[0].tsk);
	t->cx.steps = step_budget(t->m);
	sys_execve(&t->cx, &image, &killed);
	if (killed) {
		do_exit(&t->cx);
		switch_to(t, 0, NULL);
		t->tasks[0].tsk = NULL;
	}
}

static u32 names(const struct program *p, enum def_kind kind)
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
	t->tasks = calloc(names(p, DEF_TASK), sizeof(*t->tasks));
	t->files = calloc(names(p, DEF_FILE), sizeof(*t->files));
	t->results = calloc(names(p, DEF_RESULT), sizeof(*t->results));
	t->result_known = calloc(names(p, DEF_RESULT), sizeof(*t->result_known));
	t->order = calloc(names(p, DEF_TASK), sizeof(*t->order));
	if (!t->tasks || !t->files || !t->results || !t->result_known || !t->order) {
		target_fini(t);
		return -ENOMEM;
	}
	return 0;
}

void target_fini(struct target *t)
{
	drop_machine(t);
	free(t->tasks);
	free(t->files);
	free(t->results);
	free(t->result_known);
	free(t->order);
	t->tasks = NULL;
	t->files = NULL;
	t->results = NULL;
	t->result_known = NULL;
	t->order = NULL;
}

static int target_reset(void *s)
{
	struct target *t = s;
	const struct program *p = t->p;
	struct fl_allocator_config cfg = {.size = sizeof(cfg)};
	struct boot b = {0};

	drop_machine(t);
	memset(t->tasks, 0, names(p, DEF_TASK) * sizeof(*t->tasks));
	memset(t->files, 0, names(p, DEF_FILE) * sizeof(*t->files));
	memset(t->result_known, 0, names(p, DEF_RESULT) * sizeof(*t->result_known));
	t->broken = t->in_op = false;
	t->nr_run = t->nr_faults = t->nr_mark_faults = 0;
	t->op = UINT32_MAX;
	t->hash = 0;

	t->inst = t->opt.alloc->create(&cfg);
	if (!t->inst)
		return -ENOMEM;
	if (!guarded(t, boot, &b))
		return 0;
	return b.err;
}

/* ---- checks
 * --------------------------------------------------------------------------------------------- */

static bool mm_lives(const struct machine *m, const struct mm_struct *mm)
{
	const struct mm_struct *pos;

	list_for_each_entry(pos, &m->mms, mms)
		if (pos == mm)
			return true;
	return false;
}

static u32 check_all(struct target *t)
{
	struct violations vs = {.t = t};

	fl_check_machine(t->m, on_violation, &vs, NULL);
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
		return true;
	default:
		return false;
	}
}

/* After an operation of a task that had the mm `before` when it began. */
static void check_op(struct target *t, const struct target_task *task, struct mm_struct *before)
{
	bool run_mode = t->marks, faulted = t->opt.fi->op_delivered != 0;
	struct mm_struct *after = task->tsk ? task->tsk->mm : NULL;
	struct violations vs = {.t = t};

	if (t->opt.check == CHECK_OFF)
		return;
	/* a sweep looks at the whole machine itself after each fault */
	if (t->opt.check == CHECK_FULL || touches_all(t->p->ops[t->op].code) ||
	    t->nr_run % GLOBAL_EVERY == 0 || (run_mode && faulted)) {
		check_all(t);
		return;
	}
	if (before && before != after && mm_lives(t->m, before))
		fl_check_mm(t->m, before, on_violation, &vs, NULL);
	if (after)
		fl_check_mm(t->m, after, on_violation, &vs, NULL);
	if (vs.nr)
		t->broken = true;
}

static u32 target_check(void *s)
{
	struct target *t = s;

	return t->broken || !t->m ? 0 : check_all(t);
}

/* ---- operations
 * ------------------------------------------------------------------------------------------- */

bool target_addr(const struct target *t, const struct target_task *task, const struct arg *a,
		 u64 *out)
{
	const struct mm_struct *mm = task->tsk ? task->tsk->mm : NULL;

	switch ((enum addr_base)a->base) {
	case BASE_ABS:
		*out = a->val;
		return true;
	case BASE_REF:
		if (a->ref >= t->p->nr_defs[DEF_RESULT] || !t->result_known[a->ref])
			return false;
		*out = (u64)t->results[a->ref] + a->val;
		return true;
	case BASE_WINDOW:
		*out = TARGET_WINDOW + a->val;
		return true;
	case BASE_BRK:
		if (!mm)
			return false;
		*out = mm->start_brk + a->val;
		return true;
	case BASE_STACK:
		*out = t->m->geo.stack_top + a->val;
		return true;
	}
	return false;
}

/* A file argument; false: it names a file that is not open. */
static bool target_file(const struct target *t, u32 ref, struct file **out)
{
	*out = NULL;
	if (ref == NO_REF)
		return true;
	if (ref >= t->p->nr_defs[DEF_FILE] || !t->files[ref])
		return false;
	*out = t->files[ref];
	return true;
}

struct call {
	const struct op *op;
	struct target_task *task;
	struct outcome *out;
	u64 addr;
	struct file *file;
};

static void set_errno_or_value(struct outcome *out, s64 ret)
{
	out->kind = ret < 0 && ret >= -4095 ? OUT_ERRNO : OUT_OK;
	out->value = ret;
}

static void do_access(struct target *t, struct call *c, bool write)
{
	u64 tag = write ? c->op->args[1].val : 0;

	switch (access_user(&t->cx, c->addr, write, &tag)) {
	case ACCESS_OK:
		c->out->kind = OUT_OK;
		c->out->value = write ? 0 : (s64)tag;
		break;
	case ACCESS_SIGSEGV:
		c->out->kind = OUT_SIGSEGV;
		break;
	case ACCESS_SIGBUS:
		c->out->kind = OUT_SIGBUS;
		break;
	case ACCESS_OOM:
		c->out->kind = OUT_OOM;
		break;
	}
}

static void leave(struct target *t, struct target_task *task)
{
	t->cx.steps = step_budget(t->m);
	do_exit(&t->cx);
	task->tsk = NULL;
}

static void do_birth(struct target *t, struct call *c, u32 flags, bool kthread)
{
	struct task_struct *child;
	s64 ret = kthread ? kernel_thread(&t->cx, &child) : do_fork(&t->cx, flags, &child);
	u32 def = c->op->def;

	if (ret) {
		set_errno_or_value(c->out, ret);
		return;
	}
	t->tasks[def].tsk = child;
	t->tasks[def].cpu = def % (unsigned int)t->m->cfg.cpus;
	c->out->kind = OUT_OK;
	c->out->value = def;
}

static void do_exec(struct target *t, struct call *c)
{
	struct exec_segment segments[PROG_MAX_SEGS];
	const struct op *op = c->op;
	struct exec_image image = {
		.segments = segments,
		.nr_segments = op->nr_segs,
		.start_brk = c->addr,
		.stack_pages = (op->args[1].val >> PAGE_SHIFT) + !!offset_in_page(op->args[1].val),
		.exe = c->file,
		.binfmt = op->args[3].val < UINT32_MAX ? (unsigned int)op->args[3].val : UINT32_MAX,
	};
	bool killed;
	s64 ret;

	for (u32 i = 0; i < op->nr_segs; i++) {
		const struct prog_seg *seg = &t->p->segs[op->seg + i];

		segments[i] = (struct exec_segment){
			.len = seg->len, .prot = seg->prot, .offset = seg->offset};
		if (!target_addr(t, c->task, &seg->start, &segments[i].start) ||
		    !target_file(t, seg->file, &segments[i].file)) {
			c->out->kind = OUT_SKIPPED;
			return;
		}
	}
	ret = sys_execve(&t->cx, &image, &killed);
	set_errno_or_value(c->out, ret);
	if (killed) {
		c->out->kind = OUT_KILLED;
		leave(t, c->task);
		switch_to(t, c->task->cpu, NULL);
	}
}

static void do_open(struct target *t, struct call *c)
{
	u64 len = c->op->args[0].val;
	struct file *file = file_create(&t->cx, (len >> PAGE_SHIFT) + !!offset_in_page(len),
					(u32)c->op->args[1].val);

	if (!file) {
		set_errno_or_value(c->out, -ENFILE);
		return;
	}
	t->files[c->op->def] = file;
	set_errno_or_value(c->out, c->op->def);
}

static void do_mm_alloc(struct target *t, struct call *c)
{
	struct mm_struct *mm = mm_alloc(&t->cx);

	if (mm)
		mmput(&t->cx, mm);
	set_errno_or_value(c->out, mm ? 0 : -ENOMEM);
}

/* The operand that decides whether the operation can be; false: it cannot. */
static bool operands(const struct target *t, struct call *c)
{
	const struct op_info *info = &op_table[c->op->code];

	for (u32 i = 0; i < info->nr_args; i++) {
		const struct arg *a = &c->op->args[i];

		if (info->args[i].kind == ARG_ADDR && !target_addr(t, c->task, a, &c->addr))
			return false;
		if (info->args[i].kind == ARG_FILE && !target_file(t, a->ref, &c->file))
			return false;
	}
	return c->op->code != OP_close || c->file;
}

static bool needs_mm(enum op_code code)
{
	switch (code) {
	case OP_mmap:
	case OP_munmap:
	case OP_mprotect:
	case OP_brk:
	case OP_read:
	case OP_write:
	case OP_modify_ldt:
		return true;
	default:
		return false;
	}
}

static void do_op(struct target *t, void *arg)
{
	struct call *c = arg;
	const struct op *op = c->op;
	const struct arg *a = op->args;
	struct outcome *out = c->out;

	switch ((enum op_code)op->code) {
	case OP_mmap:
		set_errno_or_value(out, sys_mmap(&t->cx, c->addr, a[1].val, (u32)a[2].val,
						 (u32)a[3].val, c->file, a[5].val));
		break;
	case OP_munmap:
		set_errno_or_value(out, sys_munmap(&t->cx, c->addr, a[1].val));
		break;
	case OP_mprotect:
		set_errno_or_value(out, sys_mprotect(&t->cx, c->addr, a[1].val, (u32)a[2].val));
		break;
	case OP_brk:
		t->brk_wanted = c->addr;
		set_errno_or_value(out, sys_brk(&t->cx, c->addr));
		break;
	case OP_read:
		do_access(t, c, false);
		break;
	case OP_write:
		do_access(t, c, true);
		break;
	case OP_fork:
		do_birth(t, c, 0, false);
		break;
	case OP_vfork:
		do_birth(t, c, CLONE_VM | CLONE_VFORK, false);
		break;
	case OP_clone:
		do_birth(t, c, (u32)a[0].val, false);
		break;
	case OP_kthread:
		do_birth(t, c, 0, true);
		break;
	case OP_exec:
		do_exec(t, c);
		break;
	case OP_exit:
		leave(t, c->task);
		break;
	case OP_modify_ldt:
		set_errno_or_value(out, sys_modify_ldt(&t->cx, (u32)min_u64(a[0].val, UINT32_MAX),
						       a[1].val));
		break;
	case OP_open:
		do_open(t, c);
		break;
	case OP_close:
		file_close(&t->cx, c->file);
		t->files[a[0].ref] = NULL;
		break;
	case OP_yield:
		break;
	case OP_binfmt_going:
		module_set_going(t->m, (unsigned int)(a[0].val % NR_BINFMTS), a[1].val & 1);
		break;
	case OP_mm_alloc:
		do_mm_alloc(t, c);
		break;
	case NR_OPS:
		break;
	}
	if (op_table[op->code].def == DEF_RESULT && out->kind == OUT_OK) {
		t->results[op->def] = out->value;
		t->result_known[op->def] = true;
	}
}

/* The task that can act, or NULL. */
static struct target_task *acting(struct target *t, u32 op)
{
	const struct op *o = &t->p->ops[op];
	struct target_task *task;

	if (o->task >= t->p->nr_defs[DEF_TASK])
		return NULL;
	task = &t->tasks[o->task];
	return task->tsk && task->tsk->state == TASK_RUNNING ? task : NULL;
}

static void step_switch(struct target *t, void *arg)
{
	struct target_task *task = arg;

	switch_to(t, task->cpu, task->tsk);
}

/* ---- expectations
 * ------------------------------------------------------------------------------------------- */

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
	if (t->marks)
		return !t->plan || !t->plan->nr || !t->nr_faults;
	return !t->p->nr_faults && !t->nr_faults;
}

static void judge(struct target *t, const struct target_task *task, const struct op *op,
		  const struct outcome *out)
{
	struct finding f = {.oracle = ORACLE_expect, .func = "-"};
	struct outcome want, got = *out;

	if (!expectations_hold(t) || !expected_outcome(t, task, &op->expect, &want))
		return;
	if (got.kind == OUT_SKIPPED && want.kind != OUT_SKIPPED)
		return;
	if (got.kind == OUT_KILLED)
		got.kind = OUT_ERRNO;
	if (outcome_equal(&want, &got))
		return;
	outcome_print(&want, f.expected, sizeof(f.expected));
	outcome_print(out, f.actual, sizeof(f.actual));
	snprintf(f.what, sizeof(f.what), "the program expects %s, the result is %s", f.expected,
		 f.actual);
	snprintf(f.class_key, sizeof(f.class_key), "%s", op_table[op->code].name);
	report(t, &f);
}

/* ---- the subject
 * ---------------------------------------------------------------------------------------------- */

static void hash_outcome(struct target *t, u32 op, const struct outcome *out)
{
	u64 record[3] = {op, out->kind, (u64)out->value};

	hash_add(t, record, sizeof(record));
}

static void target_apply(void *s, u32 op, struct outcome *out)
{
	struct target *t = s;
	const struct op *o = &t->p->ops[op];
	struct target_task *task;
	struct mm_struct *before;
	struct call c;

	*out = (struct outcome){.kind = OUT_BROKEN};
	t->op = op;
	if (t->broken || !t->m)
		return;
	if (t->opt.position)
		*t->opt.position = op;
	if (t->marks)
		arm_marks(t, op);
	fi_op_begin(t->opt.fi, op, o->code);

	task = acting(t, op);
	c = (struct call){.op = o, .task = task, .out = out};
	out->kind = OUT_SKIPPED;
	if (!task || (needs_mm(o->code) && !task->tsk->mm) || !operands(t, &c)) {
		judge(t, task ? task : &(struct target_task){0}, o, out);
		hash_outcome(t, op, out);
		return;
	}

	before = task->tsk->mm;
	if (!guarded(t, step_switch, task))
		goto broken;
	t->cx.steps = step_budget(t->m);
	out->kind = OUT_OK;
	t->in_op = true;
	guarded(t, do_op, &c);
	t->in_op = false;
	if (t->broken)
		goto broken;
	t->nr_run++;
	check_op(t, task, before);
	if (t->broken)
		goto broken;
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

static void target_observe(void *s, fl_obs_fn fn, void *priv)
{
	struct target *t = s;

	if (!t->broken && t->m)
		fl_observe(t->m, false, fn, priv);
}

/* ---- teardown
 * ---------------------------------------------------------------------------------------------------
 */

/* SplitMix64 */
static u64 draw(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* The tasks alive, in the order in which they shall end. */
static u32 end_order(struct target *t)
{
	u32 nr = 0, nr_tasks = t->p->nr_defs[DEF_TASK];
	u64 seed = t->p->teardown_seed;

	for (u32 i = 0; i < nr_tasks; i++) {
		u32 task = t->p->teardown == TEARDOWN_NEWEST ? nr_tasks - 1 - i : i;

		if (t->tasks[task].tsk)
			t->order[nr++] = task;
	}
	if (t->p->teardown == TEARDOWN_SHUFFLE) {
		for (u32 i = nr; i > 1; i--) {
			u32 k = (u32)(draw(&seed) % i), tmp = t->order[k];

			t->order[k] = t->order[i - 1];
			t->order[i - 1] = tmp;
		}
	}
	return nr;
}

static void stuck(struct target *t, u32 task)
{
	struct finding f = {.oracle = ORACLE_hang, .func = "mm_release", .class_key = "vfork-wait"};

	snprintf(f.what, sizeof(f.what), "t%" PRIu32 " waits for a child that is not there", task);
	snprintf(f.expected, sizeof(f.expected), "every task can end");
	snprintf(f.actual, sizeof(f.actual), "t%" PRIu32 " waits", task);
	report(t, &f);
	t->broken = true;
}

/* A task that waits for its vfork child comes again once that one has gone. */
static void end_tasks(struct target *t)
{
	u32 nr = end_order(t);

	while (nr) {
		u32 left = 0;

		for (u32 i = 0; i < nr; i++) {
			struct target_task *task = &t->tasks[t->order[i]];

			if (task->tsk->state != TASK_RUNNING) {
				t->order[left++] = t->order[i];
				continue;
			}
			switch_to(t, task->cpu, task->tsk);
			leave(t, task);
		}
		if (left == nr) {
			stuck(t, t->order[0]);
			return;
		}
		nr = left;
	}
}

static void end_all(struct target *t, void *arg)
{
	(void)arg;
	end_tasks(t);
	if (t->broken)
		return;
	for (unsigned int cpu = 0; cpu < t->m->cfg.cpus; cpu++)
		switch_to(t, cpu, NULL);
	for (u32 i = 0; i < t->p->nr_defs[DEF_FILE]; i++) {
		t->cx.steps = step_budget(t->m);
		if (t->files[i])
			file_close(&t->cx, t->files[i]);
		t->files[i] = NULL;
	}
}

static void end_machine(struct target *t, void *arg)
{
	(void)arg;
	machine_destroy(t->m);
	t->m = NULL;
}

/* What only the backend knows: does it have back all that it gave, is it sound? */
static u32 backend_census(struct target *t)
{
	struct finding f = {.oracle = ORACLE_census, .func = "-"};
	struct fl_allocator_counts n;
	char why[FL_TEXT];

	t->opt.alloc->counts(t->inst, &n);
	if (n.pages || n.objects || n.caches) {
		snprintf(f.what, sizeof(f.what),
			 "the backend is short of %" PRIu64 " pages, %" PRIu64 " objects, %" PRIu64
			 " caches",
			 n.pages, n.objects, n.caches);
		snprintf(f.class_key, sizeof(f.class_key), "backend-counts");
		snprintf(f.expected, sizeof(f.expected), "all given back");
		snprintf(f.actual, sizeof(f.actual), "%" PRIu64 " %" PRIu64 " %" PRIu64, n.pages,
			 n.objects, n.caches);
		report(t, &f);
		return 1;
	}
	if (t->opt.alloc->check(t->inst, why, sizeof(why))) {
		snprintf(f.what, sizeof(f.what), "the backend is damaged: %s", why);
		snprintf(f.class_key, sizeof(f.class_key), "backend-check");
		snprintf(f.expected, sizeof(f.expected), "a sound backend");
		snprintf(f.actual, sizeof(f.actual), "%s", why);
		report(t, &f);
		return 1;
	}
	return 0;
}

static u32 target_teardown(void *s)
{
	struct target *t = s;
	struct violations vs = {.t = t, .census = true};

	t->op = UINT32_MAX;
	if (t->opt.position)
		*t->opt.position = UINT32_MAX;
	if (t->broken || !t->m) {
		drop_machine(t);
		return 0;
	}
	if (guarded(t, end_all, NULL)) {
		fl_census(t->m, on_violation, &vs);
		if (!vs.nr && guarded(t, end_machine, NULL))
			vs.nr += backend_census(t);
	} else {
		vs.nr++;
	}
	drop_machine(t);
	return vs.nr;
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
	(void)s;
	(void)op;
	return declared_retryable(out);
}

const struct subject_ops target_subject = {
	.report_to = target_report_to,
	.reset = target_reset,
	.nr_ops = target_nr_ops,
	.op_kind = target_op_kind,
	.op_name = target_op_name,
	.apply = target_apply,
	.digest = target_digest,
	.observe = target_observe,
	.check = target_check,
	.teardown = target_teardown,
	.benign = target_benign,
	.declared_error = target_declared_error,
	.allowed = target_allowed,
	.retryable = target_retryable,
	.residue = target_residue,
};

/* ---- run
 * -----------------------------------------------------------------------------------------------------------
 */

static int plan_fits(const struct target *t, const struct fi_plan *plan)
{
	u32 most = 0;

	for (u32 i = 0; i < t->p->nr_ops; i++)
		if (t->p->ops[i].nr_faults > most)
			most = t->p->ops[i].nr_faults;
	return (plan ? plan->nr : 0) + most <= FI_MAX_ITEMS ? 0 : -E2BIG;
}

int target_run(struct target *t, const struct fi_plan *plan, struct target_result *res)
{
	static const struct fi_plan none;
	struct fi *fi = t->opt.fi;
	struct fi_stats start = fi->stats;
	u32 nr_ops = target_nr_ops(t);
	struct outcome out;
	u64 digest;
	int err;

	memset(res, 0, sizeof(*res));
	err = plan_fits(t, plan);
	if (err)
		return err;
	t->marks = true;
	t->plan = plan;
	t->nr_findings = 0;
	fi_arm(fi, plan ? plan : &none);
	err = target_reset(t);
	for (u32 i = 0; !err && i < nr_ops && !t->broken; i++) {
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
	digest = target_digest(t);
	hash_add(t, &digest, sizeof(digest));
	if (!err)
		target_teardown(t);
	fi_disarm(fi);
	fi_record(fi, NULL, 0);
	t->marks = false;
	t->plan = NULL;

	res->ops = t->nr_run;
	res->met = fi->stats.met - start.met;
	res->delivered = fi->stats.delivered - start.delivered;
	res->findings = t->nr_findings;
	res->truncated = nr_ops < t->p->nr_ops;
	res->trace_hash = t->hash;
	return err;
}
