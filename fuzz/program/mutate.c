/* SPDX-License-Identifier: GPL-2.0-only */
#include "mutate.h"

#include <stdlib.h>
#include <string.h>

#include <faultline/mm_types.h>

#include "draw.h"
#include "edit.h"
#include "generate.h"

#define MAX_RUN	    16u /* operations that are taken, moved or made at once */
#define MAX_STACK   6u	/* mutations of one input */
#define TABLE_PAGES 512u
#define MAX_MEM	    65536u /* pages of a machine: no larger one is fuzzed */

const char *const mutation_names[NR_MUTATIONS] = {
	[MUTATE_INSERT] = "insert", [MUTATE_DELETE] = "delete", [MUTATE_DUPLICATE] = "duplicate",
	[MUTATE_MOVE] = "move",	    [MUTATE_SPLICE] = "splice", [MUTATE_CROSS] = "cross",
	[MUTATE_ARG] = "arg",	    [MUTATE_FAULT] = "fault",	[MUTATE_TASK] = "task",
	[MUTATE_TREE] = "tree",	    [MUTATE_EXIT] = "exit",	[MUTATE_MACHINE] = "machine",
};

static const u8 weights[NR_MUTATIONS] = {
	[MUTATE_INSERT] = 24, [MUTATE_DELETE] = 10, [MUTATE_DUPLICATE] = 5, [MUTATE_MOVE] = 5,
	[MUTATE_SPLICE] = 10, [MUTATE_CROSS] = 4,   [MUTATE_ARG] = 24,	    [MUTATE_FAULT] = 8,
	[MUTATE_TASK] = 4,    [MUTATE_TREE] = 1,    [MUTATE_EXIT] = 3,	    [MUTATE_MACHINE] = 2,
};

/* 0 .. n-1 */
static u32 below(u64 *rng, u32 n)
{
	return (u32)(fi_draw(rng) % n);
}

static bool chance(u64 *rng, u32 percent)
{
	return below(rng, 100) < percent;
}

/* Mostly few. */
static u32 run_length(u64 *rng, u32 max)
{
	u32 n = 1;

	while (n < max && n < MAX_RUN && chance(rng, 55))
		n++;
	return n;
}

/* Names of a kind that operation i may use. */
static u32 names_before(const struct program *p, u32 i, enum def_kind kind)
{
	u32 nr = kind == DEF_TASK;

	for (u32 k = 0; k < i; k++)
		nr += op_table[p->ops[k].code].def == kind;
	return nr;
}

/* ---- programs put together anew ------------------------------------------------------------- */

struct build {
	struct program *p; /* the source, replaced at the end */
	struct program q;
	struct edit_names names;
	bool failed;
};

static int build_begin(struct build *b, struct program *p)
{
	b->p = p;
	b->failed = false;
	program_init(&b->q);
	if (edit_names_init(&b->names, p))
		return -ENOMEM;
	b->failed = edit_copy_head(&b->q, p) != 0;
	return 0;
}

static void build_copy(struct build *b, u32 from, u32 to)
{
	for (u32 i = from; !b->failed && i < to; i++)
		b->failed = !edit_copy(&b->q, b->p, i, &b->names);
}

static struct op *build_add(struct build *b, enum op_code code, u32 task)
{
	struct op *op = b->failed ? NULL : program_add(&b->q, code, task);

	b->failed |= !op;
	return op;
}

static int build_end(struct build *b)
{
	edit_names_free(&b->names);
	if (b->failed) {
		program_free(&b->q);
		return -ENOMEM;
	}
	program_free(b->p);
	*b->p = b->q;
	return 0;
}

/* ---- runs of operations --------------------------------------------------------------------- */

static int mutate_insert(struct program *p, u64 *rng)
{
	u32 at = below(rng, p->nr_ops + 1), n = run_length(rng, 8);
	struct build b;
	struct gen g;

	if (p->nr_ops + n > MUTATE_MAX_OPS)
		return -EAGAIN;
	if (chance(rng, 30))
		at = p->nr_ops;
	if (build_begin(&b, p))
		return -ENOMEM;
	build_copy(&b, 0, at);
	gen_begin(&g, &b.q, fi_draw(rng));
	for (u32 i = 0; i < b.q.nr_ops; i++)
		gen_follow(&g, &b.q.ops[i]);
	while (n-- && !b.failed)
		b.failed = gen_op(&g) != 0;
	build_copy(&b, at, p->nr_ops);
	return build_end(&b);
}

/* The run [from, from + n) of src once more, at a place of p. */
static int put_run(struct program *p, const struct program *src, u32 from, u32 n, u32 at)
{
	struct edit_names names;
	struct build b;

	if (p->nr_ops + n > MUTATE_MAX_OPS)
		return -EAGAIN;
	if (build_begin(&b, p))
		return -ENOMEM;
	build_copy(&b, 0, at);
	if (src == p) {
		build_copy(&b, from, from + n);
	} else if (edit_names_init(&names, src)) {
		b.failed = true;
	} else {
		for (u32 i = from; !b.failed && i < from + n; i++)
			b.failed = !edit_copy(&b.q, src, i, &names);
		edit_names_free(&names);
	}
	build_copy(&b, at, p->nr_ops);
	return build_end(&b);
}

static int mutate_delete(struct program *p, u64 *rng)
{
	u32 from, n;
	struct build b;

	if (p->nr_ops < 2)
		return -EAGAIN;
	n = run_length(rng, p->nr_ops - 1);
	/* a long program gets shorter now and then */
	if (p->nr_ops > 24 && chance(rng, 15))
		n = p->nr_ops / (2 + below(rng, 4));
	from = below(rng, p->nr_ops - n + 1);
	if (build_begin(&b, p))
		return -ENOMEM;
	build_copy(&b, 0, from);
	for (u32 i = from; i < from + n && chance(rng, 50); i++)
		edit_omit(p, i, &b.names);
	build_copy(&b, from + n, p->nr_ops);
	return build_end(&b);
}

static int mutate_duplicate(struct program *p, u64 *rng)
{
	u32 from, n;

	if (!p->nr_ops)
		return -EAGAIN;
	n = run_length(rng, p->nr_ops);
	from = below(rng, p->nr_ops - n + 1);
	return put_run(p, p, from, n,
		       chance(rng, 60) ? from + n
				       : from + n + below(rng, p->nr_ops - from - n + 1));
}

static int mutate_move(struct program *p, u64 *rng)
{
	u32 from, n, to;
	struct build b;

	if (p->nr_ops < 2)
		return -EAGAIN;
	n = run_length(rng, p->nr_ops - 1);
	from = below(rng, p->nr_ops - n + 1);
	/* the place is one between the operations that stay */
	to = below(rng, p->nr_ops - n + 1);
	if (to == from)
		to = to ? to - 1 : 1;
	if (build_begin(&b, p))
		return -ENOMEM;
	build_copy(&b, 0, (u32)min_u64(to, from));
	if (to < from)
		build_copy(&b, from, from + n);
	build_copy(&b, (u32)min_u64(to, from), from);
	if (to > from)
		build_copy(&b, from + n, to + n);
	if (to > from)
		build_copy(&b, from, from + n);
	build_copy(&b, (u32)max_u64(from, to) + n, p->nr_ops);
	return build_end(&b);
}

static int mutate_splice(struct program *p, const struct program *other, u64 *rng)
{
	u32 n;

	if (!other || !other->nr_ops)
		return -EAGAIN;
	n = chance(rng, 30) ? 1 + below(rng, other->nr_ops) : run_length(rng, other->nr_ops);
	n = (u32)min_u64(n, MUTATE_MAX_OPS / 4);
	return put_run(p, other, below(rng, other->nr_ops - n + 1), n, below(rng, p->nr_ops + 1));
}

static int mutate_cross(struct program *p, const struct program *other, u64 *rng)
{
	struct edit_names names;
	u32 head, from;
	struct build b;

	if (!other || !other->nr_ops || !p->nr_ops)
		return -EAGAIN;
	head = 1 + below(rng, p->nr_ops);
	from = below(rng, other->nr_ops);
	if (build_begin(&b, p))
		return -ENOMEM;
	build_copy(&b, 0, head);
	if (edit_names_init(&names, other)) {
		b.failed = true;
		return build_end(&b);
	}
	for (u32 i = from; !b.failed && i < other->nr_ops && b.q.nr_ops < MUTATE_MAX_OPS; i++)
		b.failed = !edit_copy(&b.q, other, i, &names);
	edit_names_free(&names);
	return build_end(&b);
}

/* ---- arguments ------------------------------------------------------------------------------ */

/* Where another operation begins or ends, as far as operation i can say it. */
static bool some_edge(const struct program *p, u32 i, u64 *rng, struct arg *out)
{
	u32 nr = names_before(p, i, DEF_RESULT);

	for (u32 tries = 0; tries < 8; tries++) {
		const struct op *op = &p->ops[below(rng, p->nr_ops)];
		const struct op_info *info = &op_table[op->code];
		u32 k = below(rng, PROG_MAX_ARGS);

		if (k >= info->nr_args || info->args[k].kind != ARG_ADDR ||
		    (op->args[k].base == BASE_REF && op->args[k].ref >= nr))
			continue;
		*out = op->args[k];
		if (k + 1 < info->nr_args && info->args[k + 1].kind == ARG_LEN && chance(rng, 60))
			out->val += op->args[k + 1].val;
		return true;
	}
	return false;
}

static void change_addr(const struct program *p, u32 i, struct arg *a, u64 len, u64 *rng)
{
	static const u64 far[] = {0, PAGE_SIZE, (u64)1 << 31, (u64)1 << 32, (u64)1 << 47, ~(u64)0};
	static const u8 bases[] = {BASE_WINDOW, BASE_WINDOW, BASE_BRK, BASE_STACK};
	u32 nr = names_before(p, i, DEF_RESULT);
	struct arg edge;

	switch (below(rng, 12)) {
	case 0:
	case 1:
		a->val += chance(rng, 50) ? PAGE_SIZE : -(u64)PAGE_SIZE;
		return;
	case 2:
		a->val = chance(rng, 50) ? a->val + 1 + below(rng, 4095)
					 : a->val & ~(u64)(PAGE_SIZE - 1);
		return;
	case 3:
	case 4:
		if (nr)
			*a = (struct arg){.base = BASE_REF,
					  .ref = chance(rng, 60) ? nr - 1 : below(rng, nr)};
		return;
	case 5:
	case 6:
	case 7:
		if (!some_edge(p, i, rng, &edge))
			return;
		*a = edge;
		if (chance(rng, 50))
			a->val += chance(rng, 50) ? PAGE_SIZE : -(u64)PAGE_SIZE;
		return;
	case 8:
		a->val += chance(rng, 50) ? len : -len;
		return;
	case 9:
		/* about where a table of pages ends */
		a->val &= ~(u64)(TABLE_PAGES * PAGE_SIZE - 1);
		a->val += TABLE_PAGES * PAGE_SIZE - PAGE_SIZE * below(rng, 3);
		return;
	case 10:
		if (chance(rng, 50)) {
			*a = gen_window(rng);
			return;
		}
		*a = (struct arg){.base = bases[below(rng, ARRAY_SIZE(bases))]};
		a->val = (u64)(s64)((s32)below(rng, 12) - 4) * PAGE_SIZE;
		return;
	default:
		if (chance(rng, 20))
			*a = (struct arg){.base = BASE_ABS,
					  .val = far[below(rng, ARRAY_SIZE(far))]};
		return;
	}
}

static u64 changed_len(u64 len, u64 *rng)
{
	static const u64 odd[] = {0,
				  1,
				  PAGE_SIZE - 1,
				  PAGE_SIZE + 1,
				  TABLE_PAGES * PAGE_SIZE,
				  (u64)1 << 32,
				  (u64)1 << 47,
				  ~(u64)0,
				  ~(u64)(PAGE_SIZE - 1)};

	switch (below(rng, 8)) {
	case 0:
	case 1:
		return len + PAGE_SIZE;
	case 2:
		return len > PAGE_SIZE ? len - PAGE_SIZE : PAGE_SIZE;
	case 3:
		return len * 2;
	case 4:
		return PAGE_ALIGN(len / 2);
	case 5:
		return odd[below(rng, chance(rng, 80) ? 5 : ARRAY_SIZE(odd))];
	default:
		return (u64)gen_pages(rng) * PAGE_SIZE;
	}
}

static u64 changed_value(u64 val, u64 *rng)
{
	switch (below(rng, 6)) {
	case 0:
		return val + 1;
	case 1:
		return val ? val - 1 : 1;
	case 2:
		return below(rng, 4);
	case 3:
		return below(rng, 65536);
	case 4:
		return (u64)1 << below(rng, chance(rng, 90) ? 16 : 64);
	default:
		return val ^ 1;
	}
}

/* One word or letter more or less. */
static u64 changed_flags(enum arg_kind kind, u64 val, u64 *rng)
{
	unsigned int nr;
	const struct flag_word *words = kind_words(kind, &nr);
	u32 bits = words[below(rng, nr)].bits;

	return (val & bits) == bits ? val & ~(u64)bits : val | bits;
}

/* One of the words, seldom what none of them stands for. */
static u64 changed_choice(enum arg_kind kind, u64 *rng)
{
	unsigned int nr;
	const struct flag_word *values = kind_values(kind, &nr);

	return chance(rng, 95) ? values[below(rng, nr)].bits : 99;
}

static u32 changed_file(const struct program *p, u32 i, u64 *rng)
{
	u32 nr = names_before(p, i, DEF_FILE);

	if (!nr || chance(rng, 20))
		return NO_REF;
	return chance(rng, 50) ? nr - 1 : below(rng, nr);
}

static void change_arg(const struct program *p, u32 i, struct op *op, u32 k, u64 *rng)
{
	const struct op_info *info = &op_table[op->code];
	enum arg_kind kind = info->args[k].kind;
	struct arg *a = &op->args[k];
	bool ranged = k + 1 < info->nr_args && info->args[k + 1].kind == ARG_LEN;

	switch (kind) {
	case ARG_ADDR:
		change_addr(p, i, a, ranged ? op->args[k + 1].val : PAGE_SIZE, rng);
		break;
	case ARG_LEN:
		a->val = changed_len(a->val, rng);
		break;
	case ARG_VALUE:
		a->val = changed_value(a->val, rng);
		break;
	case ARG_FILE:
		a->ref = changed_file(p, i, rng);
		break;
	case ARG_ADVICE:
	case ARG_POLICY:
		a->val = changed_choice(kind, rng);
		break;
	case ARG_NONE:
		break;
	default:
		a->val = changed_flags(kind, a->val, rng);
		break;
	}
}

static void change_seg(const struct program *p, u32 i, struct prog_seg *seg, u64 *rng)
{
	switch (below(rng, 5)) {
	case 0:
		seg->start.val += chance(rng, 50) ? PAGE_SIZE : -(u64)PAGE_SIZE;
		break;
	case 1:
		seg->len = changed_len(seg->len, rng);
		break;
	case 2:
		seg->prot = (u32)changed_flags(ARG_PROT, seg->prot, rng);
		break;
	case 3:
		seg->file = changed_file(p, i, rng);
		break;
	default:
		seg->offset = changed_len(seg->offset, rng);
		break;
	}
}

static int mutate_image(struct program *p, u32 i, u64 *rng)
{
	struct op *op = &p->ops[i];
	struct prog_seg *seg, before = {.start = gen_window(rng), .file = NO_REF};

	if (op->nr_segs && chance(rng, 15)) {
		op->nr_segs--;
		return 0;
	}
	if (op->nr_segs && chance(rng, 80)) {
		change_seg(p, i, &p->segs[op->seg + below(rng, op->nr_segs)], rng);
		return 0;
	}
	if (op->nr_segs == PROG_MAX_SEGS)
		return -EAGAIN;
	if (op->nr_segs)
		before = p->segs[op->seg + op->nr_segs - 1];
	seg = program_add_seg(p, op);
	if (!seg)
		return -ENOMEM;
	seg->start = before.start;
	seg->start.val += before.len;
	seg->len = (u64)gen_pages(rng) * PAGE_SIZE;
	seg->prot = below(rng, 8);
	seg->file = changed_file(p, i, rng);
	return 0;
}

static int mutate_arg(struct program *p, u64 *rng)
{
	for (u32 tries = 0; tries < 8 && p->nr_ops; tries++) {
		u32 i = below(rng, p->nr_ops), nr = op_table[p->ops[i].code].nr_args;

		if (p->ops[i].code == OP_exec && chance(rng, 60))
			return mutate_image(p, i, rng);
		if (!nr)
			continue;
		change_arg(p, i, &p->ops[i], below(rng, nr), rng);
		return 0;
	}
	return -EAGAIN;
}

/* ---- faults --------------------------------------------------------------------------------- */

static void drop_fault(struct program *p, struct op *op, u32 k)
{
	struct fi_item *v = &p->faults[op->fault];

	memmove(v + k, v + k + 1, (op->nr_faults - k - 1) * sizeof(*v));
	op->nr_faults--;
}

static int move_fault(struct program *p, struct op *op, u32 k, u64 *rng)
{
	struct fi_item item = p->faults[op->fault + k];
	struct op *to = &p->ops[below(rng, p->nr_ops)];
	struct fi_item *new;

	if (to->nr_faults == FI_MAX_ITEMS)
		return -EAGAIN;
	drop_fault(p, op, k);
	new = program_add_fault(p, to);
	if (!new)
		return -ENOMEM;
	*new = item;
	return 0;
}

static void shift_fault(struct fi_item *item, u64 *rng)
{
	u64 step = chance(rng, 70) ? 1 : 1 + below(rng, 16);
	u64 width = item->to - item->from;

	if (item->which != FI_RANGE) {
		item->budget = changed_value(item->budget, rng) & 0xffff;
		return;
	}
	if (chance(rng, 60))
		item->from += step;
	else
		item->from = item->from > step ? item->from - step : 1;
	if (item->to != UINT64_MAX)
		item->to = item->from + width;
}

static int mutate_fault(struct program *p, u64 *rng)
{
	struct fi_item *item;
	struct op *op = NULL;
	u32 k;

	if (!p->nr_ops)
		return -EAGAIN;
	for (u32 tries = 0; tries < 16; tries++) {
		op = &p->ops[below(rng, p->nr_ops)];
		if (op->nr_faults)
			break;
	}
	if (!op->nr_faults || chance(rng, 25))
		return gen_mark(p, op, rng);
	k = below(rng, op->nr_faults);
	item = &p->faults[op->fault + k];
	switch (below(rng, 7)) {
	case 0:
		drop_fault(p, op, k);
		return 0;
	case 1:
		return move_fault(p, op, k, rng);
	case 2:
		item->nowait = !item->nowait;
		return 0;
	case 3:
		*item = (struct fi_item){.op = item->op,
					 .class = item->class,
					 .site = item->site,
					 .which = FI_RANGE,
					 .from = 1 + below(rng, 4)};
		item->to = chance(rng, 50) ? item->from : UINT64_MAX;
		return 0;
	case 4:
		item->site = (u16)(chance(rng, 30) ? SITE_none : 1 + below(rng, FL_NR_SITES - 1));
		if (item->site != SITE_none)
			item->class = (u8)fl_sites[item->site].class;
		return 0;
	default:
		shift_fault(item, rng);
		return 0;
	}
}

/* ---- tasks ---------------------------------------------------------------------------------- */

static const u8 births[] = {OP_fork, OP_fork, OP_vfork, OP_clone, OP_kthread};

/* Operations from some place on are another task's: of a new one, or of one that was there. */
static int mutate_task(struct program *p, u64 *rng)
{
	u32 at, n, task, who;
	struct build b;
	struct op *op;

	if (!p->nr_ops || p->nr_ops >= MUTATE_MAX_OPS)
		return -EAGAIN;
	at = below(rng, p->nr_ops);
	who = p->ops[at].task;
	n = run_length(rng, p->nr_ops - at);
	if (build_begin(&b, p))
		return -ENOMEM;
	build_copy(&b, 0, at);
	task = below(rng, b.q.nr_defs[DEF_TASK]);
	if (chance(rng, 60)) {
		op = build_add(&b, (enum op_code)births[below(rng, ARRAY_SIZE(births))],
			       b.names.tasks[who]);
		if (op && op->code == OP_clone)
			op->args[0].val = changed_flags(ARG_CLONE, CLONE_VM, rng);
		task = op ? op->def : 0;
	}
	for (u32 i = at; i < at + n && !b.failed; i++) {
		build_copy(&b, i, i + 1);
		if (!b.failed && p->ops[i].task == who)
			b.q.ops[b.q.nr_ops - 1].task = task;
	}
	build_copy(&b, at + n, p->nr_ops);
	return build_end(&b);
}

static int mutate_tree(struct program *p, u64 *rng)
{
	u32 at = below(rng, p->nr_ops + 1), n = 2 + below(rng, 7), first;
	struct arg where;
	struct build b;
	struct op *op;

	if (p->nr_ops + 2 * n > MUTATE_MAX_OPS)
		return -EAGAIN;
	if (build_begin(&b, p))
		return -ENOMEM;
	build_copy(&b, 0, at);
	where = b.q.nr_defs[DEF_RESULT]
			? (struct arg){.base = BASE_REF, .ref = b.q.nr_defs[DEF_RESULT] - 1}
			: gen_window(rng);
	first = below(rng, b.q.nr_defs[DEF_TASK]);
	for (u32 i = 0; i < n && !b.failed; i++) {
		/* a chain, or a bush around the first */
		u32 task = i && chance(rng, 70) ? b.q.nr_defs[DEF_TASK] - 1 : first;

		op = build_add(&b, OP_fork, task);
		if (op && chance(rng, 70)) {
			op = build_add(&b, OP_write, chance(rng, 50) ? op->def : task);
			if (op) {
				op->args[0] = where;
				op->args[1].val = 0x100 + b.q.nr_ops;
			}
		}
	}
	build_copy(&b, at, p->nr_ops);
	return build_end(&b);
}

static int mutate_exit(struct program *p, u64 *rng)
{
	u32 found[2], nr = 0, at, tmp;
	struct build b;

	if (chance(rng, 25)) {
		p->teardown = (u8)below(rng, NR_TEARDOWNS);
		p->teardown_seed = p->teardown == TEARDOWN_SHUFFLE ? below(rng, 1000) : 0;
		return 0;
	}
	for (u32 i = 0; i < p->nr_ops; i++) {
		if (p->ops[i].code != OP_exit)
			continue;
		if (nr < 2)
			found[nr++] = i;
		else if (chance(rng, 30))
			found[below(rng, 2)] = i;
	}
	/* each task must have been born before the other's place */
	if (nr == 2 && found[0] != found[1] && chance(rng, 50)) {
		struct op *x = &p->ops[min_u64(found[0], found[1])];
		struct op *y = &p->ops[max_u64(found[0], found[1])];

		if (y->task >= names_before(p, (u32)(x - p->ops), DEF_TASK))
			return -EAGAIN;
		tmp = x->task;
		x->task = y->task;
		y->task = tmp;
		return 0;
	}
	if (p->nr_ops >= MUTATE_MAX_OPS)
		return -EAGAIN;
	at = below(rng, p->nr_ops + 1);
	if (build_begin(&b, p))
		return -ENOMEM;
	build_copy(&b, 0, at);
	build_add(&b, OP_exit, below(rng, b.q.nr_defs[DEF_TASK]));
	build_copy(&b, at, p->nr_ops);
	return build_end(&b);
}

/* ---- the machine ---------------------------------------------------------------------------- */

static u64 changed_option(const struct machine_option *opt, u64 val, u64 *rng)
{
	u64 span = opt->max - opt->min;

	if (span < 16)
		return opt->min + below(rng, (u32)span + 1);
	switch (below(rng, 5)) {
	case 0:
		return opt->min + below(rng, 16);
	case 1:
		return min_u64(opt->max, opt->min + ((u64)1 << below(rng, 13)));
	case 2:
		return val > opt->min ? val - 1 : opt->min;
	case 3:
		return val < opt->max ? val + 1 : opt->max;
	default:
		return opt->min + (val - opt->min) / 2;
	}
}

static int mutate_machine(struct program *p, u64 *rng)
{
	struct machine_config cfg, plain;
	struct strbuf sb = {0};
	struct prog_error err;
	u32 i = below(rng, nr_machine_options);
	char value[64], was[64], why[160];
	u64 val;
	int ret;

	machine_config_init(&plain);
	cfg = plain;
	if (program_machine(p, &cfg, &err))
		return -EAGAIN;
	memcpy(&val, (char *)&cfg + machine_options[i].offset, sizeof(val));
	val = changed_option(&machine_options[i], val, rng);
	memcpy((char *)&cfg + machine_options[i].offset, &val, sizeof(val));
	if (machine_config_check(&cfg, why, sizeof(why)) || cfg.mem > MAX_MEM)
		return -EAGAIN;
	for (u32 k = 0; k < nr_machine_options; k++) {
		machine_config_print(&cfg, k, value, sizeof(value));
		machine_config_print(&plain, k, was, sizeof(was));
		if (strcmp(value, was))
			sb_printf(&sb, "%s%s=%s", sb.len ? " " : "", machine_options[k].name,
				  value);
	}
	ret = sb.failed ? -ENOMEM : program_set_text(&p->machine, sb.s, sb.len);
	sb_free(&sb);
	return ret;
}

/* ---- all of them ---------------------------------------------------------------------------- */

int program_mutate(struct program *p, const struct program *other, enum mutation how, u64 *rng)
{
	switch (how) {
	case MUTATE_INSERT:
		return mutate_insert(p, rng);
	case MUTATE_DELETE:
		return mutate_delete(p, rng);
	case MUTATE_DUPLICATE:
		return mutate_duplicate(p, rng);
	case MUTATE_MOVE:
		return mutate_move(p, rng);
	case MUTATE_SPLICE:
		return mutate_splice(p, other, rng);
	case MUTATE_CROSS:
		return mutate_cross(p, other, rng);
	case MUTATE_ARG:
		return mutate_arg(p, rng);
	case MUTATE_FAULT:
		return mutate_fault(p, rng);
	case MUTATE_TASK:
		return mutate_task(p, rng);
	case MUTATE_TREE:
		return mutate_tree(p, rng);
	case MUTATE_EXIT:
		return mutate_exit(p, rng);
	case MUTATE_MACHINE:
		return mutate_machine(p, rng);
	case NR_MUTATIONS:
		break;
	}
	return -EAGAIN;
}

static enum mutation pick_mutation(u64 *rng)
{
	u32 sum = 0, left, i = 0;

	for (u32 k = 0; k < NR_MUTATIONS; k++)
		sum += weights[k];
	left = below(rng, sum);
	while (left >= weights[i])
		left -= weights[i++];
	return (enum mutation)i;
}

static int keep_ops(struct program *p, u32 nr)
{
	struct build b;

	if (p->nr_ops <= nr)
		return 0;
	if (build_begin(&b, p))
		return -ENOMEM;
	build_copy(&b, 0, nr);
	return build_end(&b);
}

/* What a fuzzer never asks about, and what a mutation has made a lie. */
static void forget_expectations(struct program *p)
{
	for (u32 i = 0; i < p->nr_ops; i++) {
		p->ops[i].expect = (struct expect){.kind = EXPECT_NONE};
		p->ops[i].variant = (struct expect_variant){0};
	}
}

/* Fewer bytes: operations at the end go first, then what the last one has besides. */
static int smaller(struct program *p)
{
	if (p->nr_ops > 1)
		return keep_ops(p, p->nr_ops - 1 - p->nr_ops / 8);
	if (p->machine || p->teardown != TEARDOWN_NEWEST) {
		p->teardown = TEARDOWN_NEWEST;
		return program_set_text(&p->machine, NULL, 0);
	}
	program_free(p);
	return program_add(p, OP_fork, 0) ? 0 : -ENOMEM;
}

static size_t put_bytes(struct program *p, u8 *out, size_t max)
{
	u8 *bytes;
	size_t len;
	int ret;

	forget_expectations(p);
	while (max >= PROG_RECORD) {
		ret = program_encode(p, &bytes, &len);
		if (!ret && len <= max) {
			memcpy(out, bytes, len);
			free(bytes);
			return len;
		}
		if (!ret)
			free(bytes);
		if ((ret && ret != -E2BIG) || smaller(p))
			break;
	}
	return 0;
}

static bool read_bytes(struct program *p, const u8 *data, size_t len)
{
	if (program_decode(p, data, len))
		return false;
	if (!keep_ops(p, MUTATE_MAX_OPS))
		return true;
	program_free(p);
	return false;
}

size_t mutate_bytes(const u8 *data, size_t len, const u8 *other, size_t other_len, u8 *out,
		    size_t max, u64 seed, u32 *done)
{
	struct program p, q;
	bool have_other = other && other_len;
	u32 want = 1;
	size_t ret = 0;

	if (!read_bytes(&p, data, len))
		return 0;
	if (have_other && !read_bytes(&q, other, other_len))
		have_other = false;
	while (want < MAX_STACK && chance(&seed, 40))
		want++;
	for (u32 tries = 0; want && tries < 8 * MAX_STACK; tries++) {
		enum mutation how = pick_mutation(&seed);
		int err = program_mutate(&p, have_other ? &q : NULL, how, &seed);

		if (err == -ENOMEM)
			break;
		if (err)
			continue;
		want--;
		if (done)
			done[how]++;
	}
	/* at least one operation: an empty input is no input */
	if (p.nr_ops || !mutate_insert(&p, &seed))
		ret = put_bytes(&p, out, max);
	program_free(&p);
	if (have_other)
		program_free(&q);
	return ret;
}

size_t cross_bytes(const u8 *data, size_t len, const u8 *other, size_t other_len, u8 *out,
		   size_t max, u64 seed)
{
	struct program p, q;
	size_t ret = 0;

	if (!read_bytes(&p, data, len))
		return 0;
	if (read_bytes(&q, other, other_len)) {
		if (chance(&seed, 50) || mutate_cross(&p, &q, &seed))
			mutate_splice(&p, &q, &seed);
		program_free(&q);
	}
	if (p.nr_ops)
		ret = put_bytes(&p, out, max);
	program_free(&p);
	return ret;
}
