/* SPDX-License-Identifier: GPL-2.0-only */
#include "shrink.h"

#include <string.h>

#include <faultline/mm_types.h>

#include "edit.h"
#include "program_priv.h"

enum phase {
	PHASE_OPS,
	PHASE_MACHINE,
	PHASE_MARKS,
	PHASE_SEGMENTS,
	PHASE_EXPECT,
	PHASE_TASKS,
	PHASE_ARGS,
	PHASE_SEGMENT_ARGS,
	NR_PHASES
};

/* What became of a step that was asked for. */
enum step {
	STEP_TRY,  /* the proposal is in cand */
	STEP_SKIP, /* nothing to try at this (pos, alt) */
	STEP_NEXT, /* no further alternative at pos */
	STEP_DONE, /* pos is past the end of the phase */
	STEP_FAIL
};

int shrink_begin(struct shrink *s, const struct program *p, bool ops_only)
{
	*s = (struct shrink){.ops_only = ops_only};
	s->chunk = p->nr_ops / 2 ? p->nr_ops / 2 : 1;
	return edit_clone(&s->cur, p);
}

void shrink_end(struct shrink *s)
{
	if (s->trying)
		program_free(&s->cand);
	program_free(&s->cur);
	*s = (struct shrink){0};
}

static enum step try_clone(struct shrink *s)
{
	return edit_clone(&s->cand, &s->cur) ? STEP_FAIL : STEP_TRY;
}

/* Marks or segments of cand were taken away: the pools get rid of what nobody has. */
static enum step repack(struct shrink *s)
{
	struct program copy;
	enum step ret = edit_clone(&copy, &s->cand) ? STEP_FAIL : STEP_TRY;

	program_free(&s->cand);
	s->cand = copy;
	return ret;
}

/* ---- operations ----------------------------------------------------------------------------- */

static bool lost_addr(const struct arg *a, const struct edit_names *n)
{
	return a->base == BASE_REF && n->results[a->ref].base == BASE_REF &&
	       n->results[a->ref].ref == NAME_LOST;
}

static bool lost_file(u32 ref, const struct edit_names *n)
{
	return ref != NO_REF && n->files[ref] == NAME_LOST;
}

/* Does the operation use a name that the copy does not have? */
static bool depends(const struct program *p, const struct op *op, const struct edit_names *n)
{
	const struct op_info *info = &op_table[op->code];

	if (n->tasks[op->task] == NAME_LOST)
		return true;
	for (u32 i = 0; i < info->nr_args; i++) {
		if (info->args[i].kind == ARG_ADDR && lost_addr(&op->args[i], n))
			return true;
		if (info->args[i].kind == ARG_FILE && lost_file(op->args[i].ref, n))
			return true;
	}
	for (u32 i = 0; i < op->nr_segs; i++)
		if (lost_file(p->segs[op->seg + i].file, n))
			return true;
	return false;
}

/*
 * Without the run [from, to). hand_on: the names of what is left out become what they were made
 * from; else everything that uses them goes, too.
 */
static enum step try_without(struct shrink *s, u32 from, u32 to, bool hand_on)
{
	const struct program *p = &s->cur;
	struct edit_names n;
	bool ok;

	program_init(&s->cand);
	if (edit_names_init(&n, p))
		return STEP_FAIL;
	ok = !edit_copy_head(&s->cand, p);
	for (u32 i = 0; ok && i < p->nr_ops; i++) {
		if (i >= from && i < to) {
			if (hand_on)
				edit_omit(p, i, &n);
		} else if (hand_on || !depends(p, &p->ops[i], &n)) {
			ok = edit_copy(&s->cand, p, i, &n) != NULL;
		}
	}
	edit_names_free(&n);
	if (ok)
		return STEP_TRY;
	program_free(&s->cand);
	return STEP_FAIL;
}

/* pos counts runs from the end: what comes after the interesting operation goes first. */
static enum step step_ops(struct shrink *s)
{
	u32 nr = s->cur.nr_ops, end, from;

	if (s->pos >= nr)
		return STEP_DONE;
	if (s->alt > 1)
		return STEP_NEXT;
	end = nr - s->pos;
	from = end > s->chunk ? end - s->chunk : 0;
	if (s->alt) {
		bool defines = false;

		for (u32 i = from; i < end; i++)
			defines |= op_table[s->cur.ops[i].code].def != DEF_NONE;
		if (!defines)
			return STEP_NEXT;
	}
	return try_without(s, from, end, !s->alt);
}

/* ---- what belongs to the program or to an operation ----------------------------------------- */

struct option_words {
	struct strbuf sb;
	u32 skip, i;
};

static int copy_option(void *priv, const char *name, size_t name_len, const char *value,
		       size_t value_len)
{
	struct option_words *w = priv;

	if (w->i++ == w->skip)
		return 0;
	sb_puts(&w->sb, w->sb.len ? " " : "");
	sb_add(&w->sb, name, name_len);
	if (value) {
		sb_puts(&w->sb, "=");
		sb_add(&w->sb, value, value_len);
	}
	return 0;
}

/* pos 0 is the order of the end, each one after it an option. */
static enum step step_machine(struct shrink *s)
{
	struct option_words w = {.skip = s->pos - 1};
	enum step step;

	if (s->alt)
		return STEP_NEXT;
	if (!s->pos) {
		if (s->cur.teardown == TEARDOWN_NEWEST)
			return STEP_NEXT;
		step = try_clone(s);
		s->cand.teardown = TEARDOWN_NEWEST;
		s->cand.teardown_seed = 0;
		return step;
	}
	if (s->cur.machine)
		for_each_option(s->cur.machine, strlen(s->cur.machine), copy_option, &w);
	if (s->pos > w.i) {
		sb_free(&w.sb);
		return STEP_DONE;
	}
	step = try_clone(s);
	if (step == STEP_TRY &&
	    (w.sb.failed || program_set_text(&s->cand.machine, w.sb.s, w.sb.len))) {
		program_free(&s->cand);
		step = STEP_FAIL;
	}
	sb_free(&w.sb);
	return step;
}

/* The pos-th mark of the program, and its operation; NULL: there are not so many. */
static struct fi_item *nth_mark(struct program *p, u32 pos, struct op **op)
{
	for (u32 i = 0; i < p->nr_ops; i++) {
		*op = &p->ops[i];
		if (pos < (*op)->nr_faults)
			return &p->faults[(*op)->fault + pos];
		pos -= (*op)->nr_faults;
	}
	return NULL;
}

/* Weaker than *item, or the same when there is no such. Alternatives beyond the last give false. */
static bool weaker_mark(struct fi_item *item, u32 alt)
{
	switch (alt) {
	case 0: /* only one request fails */
		if (item->which == FI_RANGE)
			item->to = item->from;
		return true;
	case 1:
		if (item->which == FI_RANGE && item->from == item->to)
			item->from = item->to = 1;
		return true;
	case 2:
		if (item->which == FI_RANGE && item->from == item->to && item->from > 1)
			item->from = item->to = item->from / 2;
		return true;
	default:
		return false;
	}
}

static bool same_mark(const struct fi_item *a, const struct fi_item *b)
{
	return a->from == b->from && a->to == b->to && a->which == b->which;
}

static enum step step_marks(struct shrink *s)
{
	struct fi_item *item, weak;
	enum step step;
	struct op *op;

	item = nth_mark(&s->cur, s->pos, &op);
	if (!item)
		return STEP_DONE;
	weak = *item;
	if (s->alt && !weaker_mark(&weak, s->alt - 1))
		return STEP_NEXT;
	if (s->alt && same_mark(&weak, item))
		return STEP_SKIP;
	step = try_clone(s);
	if (step != STEP_TRY)
		return step;
	item = nth_mark(&s->cand, s->pos, &op);
	if (s->alt) {
		*item = weak;
		return STEP_TRY;
	}
	memmove(item, item + 1,
		(size_t)(&s->cand.faults[op->fault + op->nr_faults] - (item + 1)) * sizeof(*item));
	op->nr_faults--;
	return repack(s);
}

/* The pos-th segment of the program. */
static struct prog_seg *nth_seg(struct program *p, u32 pos, struct op **op)
{
	for (u32 i = 0; i < p->nr_ops; i++) {
		*op = &p->ops[i];
		if (pos < (*op)->nr_segs)
			return &p->segs[(*op)->seg + pos];
		pos -= (*op)->nr_segs;
	}
	return NULL;
}

static enum step step_segments(struct shrink *s)
{
	struct prog_seg *seg;
	enum step step;
	struct op *op;

	if (!nth_seg(&s->cur, s->pos, &op))
		return STEP_DONE;
	if (s->alt)
		return STEP_NEXT;
	step = try_clone(s);
	if (step != STEP_TRY)
		return step;
	seg = nth_seg(&s->cand, s->pos, &op);
	memmove(seg, seg + 1,
		(size_t)(&s->cand.segs[op->seg + op->nr_segs] - (seg + 1)) * sizeof(*seg));
	op->nr_segs--;
	return repack(s);
}

/* All at once, then one by one. */
static enum step step_expect(struct shrink *s)
{
	u32 from = s->pos ? s->pos - 1 : 0, to = s->pos ? s->pos : s->cur.nr_ops;
	bool any = false;
	enum step step;

	if (s->pos > s->cur.nr_ops)
		return STEP_DONE;
	for (u32 i = from; i < to; i++)
		any |= s->cur.ops[i].expect.kind != EXPECT_NONE;
	if (s->alt || !any)
		return STEP_NEXT;
	step = try_clone(s);
	for (u32 i = from; step == STEP_TRY && i < to; i++) {
		s->cand.ops[i].expect = (struct expect){.kind = EXPECT_NONE};
		s->cand.ops[i].variant = (struct expect_variant){0};
	}
	return step;
}

/* ---- rounder values ------------------------------------------------------------------------- */

/* By an earlier task: the first, or one of the next few. */
static enum step step_tasks(struct shrink *s)
{
	enum step step;

	if (s->pos >= s->cur.nr_ops)
		return STEP_DONE;
	if (s->alt >= s->cur.ops[s->pos].task || s->alt > 3)
		return STEP_NEXT;
	step = try_clone(s);
	if (step == STEP_TRY)
		s->cand.ops[s->pos].task = s->alt;
	return step;
}

static u64 magnitude(u64 val)
{
	return (s64)val < 0 ? -val : val;
}

/* A proposal is made only when it is simpler, so that there is an end: by kind of base, odd bytes,
 * size. */
static bool simpler_addr(const struct arg *a, const struct arg *than)
{
	static const u8 rank[NR_BASES] = {[BASE_WINDOW] = 1,
					  [BASE_REF] = 2,
					  [BASE_BRK] = 2,
					  [BASE_STACK] = 2,
					  [BASE_ABS] = 3};
	bool nil = a->base == BASE_ABS && !a->val, than_nil = than->base == BASE_ABS && !than->val;
	bool odd = offset_in_page(a->val), than_odd = offset_in_page(than->val);

	if (nil || than_nil)
		return nil && !than_nil;
	if (rank[a->base] != rank[than->base])
		return rank[a->base] < rank[than->base];
	if (odd != than_odd)
		return than_odd;
	return magnitude(a->val) < magnitude(than->val);
}

static u64 len_weight(u64 len)
{
	/* nothing at all is a special case, and not a simple one */
	return (u64)(offset_in_page(len) != 0) << 63 | (len ? len >> 1 : (u64)1 << 61);
}

/*
 * What to take away once half is too much: a quarter, an eighth, and so on, at last one unit; 0:
 * that was it. One unit at a time would take as long as the number is large.
 */
static u64 nth_cut(u64 size, u32 n, u64 unit)
{
	u64 last = n < 62 ? (size >> (n + 1)) / unit : 0, cut = last / 2;

	return cut ? cut * unit : !n || last > 1 ? unit : 0;
}

static bool rounder_addr(const struct arg *old, u32 alt, struct arg *a)
{
	u64 cut;

	*a = *old;
	switch (alt) {
	case 0:
		*a = (struct arg){.base = BASE_WINDOW};
		return true;
	case 1:
		*a = (struct arg){.base = BASE_WINDOW, .val = PAGE_SIZE};
		return true;
	case 2:
		a->val = 0;
		return true;
	case 3:
		a->val = old->val & ~(u64)(PAGE_SIZE - 1);
		return true;
	case 4:
		a->val = (u64)((s64)old->val / 2) & ~(u64)(PAGE_SIZE - 1);
		return true;
	default:
		cut = nth_cut(magnitude(old->val), alt - 5, PAGE_SIZE);
		a->val = (s64)old->val < 0 ? old->val + cut : old->val - cut;
		return cut;
	}
}

static bool rounder_len(u64 old, u32 alt, u64 *len)
{
	u64 cut;

	switch (alt) {
	case 0:
	case 1:
	case 2:
		*len = PAGE_SIZE << alt;
		return true;
	case 3:
		*len = PAGE_ALIGN(old / 2);
		return true;
	case 4:
		*len = old & ~(u64)(PAGE_SIZE - 1);
		return true;
	default:
		cut = nth_cut(old, alt - 5, PAGE_SIZE);
		*len = old - cut;
		return cut;
	}
}

static bool rounder_value(u64 old, u32 alt, u64 *val)
{
	u64 cut;

	switch (alt) {
	case 0:
	case 1:
		*val = alt;
		return true;
	case 2:
		*val = old / 2;
		return true;
	default:
		cut = nth_cut(old, alt - 3, 1);
		*val = old - cut;
		return cut;
	}
}

/* Without one of the words. */
static bool fewer_flags(enum arg_kind kind, u64 old, u32 alt, u64 *val)
{
	unsigned int nr;
	const struct flag_word *words = kind_words(kind, &nr);

	if (alt >= nr)
		return false;
	*val = (old & words[alt].bits) == words[alt].bits ? old & ~(u64)words[alt].bits : old;
	return true;
}

/* False: no further alternative. *out is the old one when this alternative is no simpler. */
static bool rounder_arg(const struct op_arg_info *info, const struct arg *old, u32 alt,
			struct arg *out)
{
	struct arg a = *old;
	bool more;

	*out = *old;
	switch (info->kind) {
	case ARG_ADDR:
		/* left out: 0 */
		more = alt ? rounder_addr(old, alt - 1, &a) : true;
		if (!alt && info->optional)
			a = (struct arg){0};
		if (more && simpler_addr(&a, old))
			*out = a;
		return more;
	case ARG_LEN:
		if (!alt && info->optional) {
			out->val = 0;
			return true;
		}
		more = rounder_len(old->val, alt - info->optional, &a.val);
		if (more && old->val && len_weight(a.val) < len_weight(old->val))
			*out = a;
		return more;
	case ARG_VALUE:
		more = rounder_value(old->val, alt, &a.val);
		if (more && a.val < old->val)
			*out = a;
		return more;
	case ARG_FILE:
		out->ref = NO_REF;
		return !alt;
	case ARG_ADVICE:
	case ARG_NONE:
		return false;
	default:
		return fewer_flags(info->kind, old->val, alt, &out->val);
	}
}

static bool same_arg(const struct arg *a, const struct arg *b)
{
	return a->base == b->base && a->ref == b->ref && a->val == b->val;
}

/* pos counts all places for an argument, used or not. */
static enum step step_args(struct shrink *s)
{
	u32 i = s->pos / PROG_MAX_ARGS, k = s->pos % PROG_MAX_ARGS;
	const struct op_info *info;
	const struct arg *old;
	enum step step;
	struct arg a;

	if (i >= s->cur.nr_ops)
		return STEP_DONE;
	info = &op_table[s->cur.ops[i].code];
	old = &s->cur.ops[i].args[k];
	if (k >= info->nr_args || !rounder_arg(&info->args[k], old, s->alt, &a))
		return STEP_NEXT;
	if (same_arg(&a, old))
		return STEP_SKIP;
	step = try_clone(s);
	if (step == STEP_TRY)
		s->cand.ops[i].args[k] = a;
	return step;
}

static bool rounder_seg(const struct prog_seg *old, u32 alt, struct prog_seg *seg)
{
	u64 val;

	*seg = *old;
	if (alt < 3) {
		rounder_len(old->len, alt, &val);
		if (old->len && len_weight(val) < len_weight(old->len))
			seg->len = val;
		return true;
	}
	alt -= 3;
	if (alt == 0)
		seg->offset = 0;
	else if (alt == 1)
		seg->file = NO_REF;
	else if (alt < 2 + NR_LETTERS)
		seg->prot &= ~prot_letters[alt - 2].bits;
	else
		return false;
	return true;
}

static enum step step_segment_args(struct shrink *s)
{
	struct prog_seg *old, seg;
	enum step step;
	struct op *op;

	old = nth_seg(&s->cur, s->pos, &op);
	if (!old)
		return STEP_DONE;
	if (!rounder_seg(old, s->alt, &seg))
		return STEP_NEXT;
	if (seg.len == old->len && seg.offset == old->offset && seg.file == old->file &&
	    seg.prot == old->prot)
		return STEP_SKIP;
	step = try_clone(s);
	if (step == STEP_TRY)
		*nth_seg(&s->cand, s->pos, &op) = seg;
	return step;
}

/* ---- the order of it all -------------------------------------------------------------------- */

static enum step do_step(struct shrink *s)
{
	switch ((enum phase)s->phase) {
	case PHASE_OPS:
		return step_ops(s);
	case PHASE_MACHINE:
		return step_machine(s);
	case PHASE_MARKS:
		return step_marks(s);
	case PHASE_SEGMENTS:
		return step_segments(s);
	case PHASE_EXPECT:
		return step_expect(s);
	case PHASE_TASKS:
		return step_tasks(s);
	case PHASE_ARGS:
		return step_args(s);
	case PHASE_SEGMENT_ARGS:
		return step_segment_args(s);
	case NR_PHASES:
		break;
	}
	return STEP_DONE;
}

/* False: it is over. */
static bool next_phase(struct shrink *s)
{
	s->pos = s->alt = 0;
	if (s->phase == PHASE_OPS && s->chunk > 1) {
		s->chunk /= 2;
		return true;
	}
	if (s->ops_only)
		return false;
	if (++s->phase < NR_PHASES)
		return true;
	if (!s->changed)
		return false;
	s->changed = false;
	s->phase = PHASE_OPS;
	return true;
}

struct program *shrink_next(struct shrink *s)
{
	for (;;) {
		switch (do_step(s)) {
		case STEP_TRY:
			s->trying = true;
			return &s->cand;
		case STEP_SKIP:
			s->alt++;
			break;
		case STEP_NEXT:
			s->pos += s->phase == PHASE_OPS ? s->chunk : 1;
			s->alt = 0;
			break;
		case STEP_DONE:
			if (!next_phase(s))
				return NULL;
			break;
		case STEP_FAIL:
			s->failed = true;
			return NULL;
		}
	}
}

void shrink_judge(struct shrink *s, bool taken)
{
	s->trying = false;
	if (!taken) {
		program_free(&s->cand);
		s->alt++;
		return;
	}
	program_free(&s->cur);
	s->cur = s->cand;
	s->changed = true;
	/*
	 * The same place once more: what stands there now may get smaller, too. What was too much
	 * to take away from an argument is tried again in the next round.
	 */
	if (s->phase != PHASE_ARGS)
		s->alt = 0;
}
