/* SPDX-License-Identifier: GPL-2.0-only */
#include "edit.h"

#include <stdlib.h>
#include <string.h>

int edit_names_init(struct edit_names *n, const struct program *src)
{
	u32 nr[DEF_FILE + 1];
	char *mem;

	for (u32 kind = DEF_RESULT; kind <= DEF_FILE; kind++)
		nr[kind] = src->nr_defs[kind];
	mem = malloc(nr[DEF_RESULT] * sizeof(*n->results) +
		     (nr[DEF_TASK] + nr[DEF_FILE]) * sizeof(u32) + 1);
	*n = (struct edit_names){0};
	if (!mem)
		return -ENOMEM;
	n->results = (struct arg *)(void *)mem;
	n->tasks = (u32 *)(void *)(mem + nr[DEF_RESULT] * sizeof(*n->results));
	n->files = n->tasks + nr[DEF_TASK];
	for (u32 i = 0; i < nr[DEF_RESULT]; i++)
		n->results[i] = (struct arg){.base = BASE_REF, .ref = NAME_LOST};
	for (u32 i = 0; i < nr[DEF_TASK]; i++)
		n->tasks[i] = i ? NAME_LOST : 0;
	for (u32 i = 0; i < nr[DEF_FILE]; i++)
		n->files[i] = NAME_LOST;
	return 0;
}

void edit_names_free(struct edit_names *n)
{
	free(n->results);
	*n = (struct edit_names){0};
}

/* One of nr names; the same for the same number. */
static u32 some_name(u32 old, u32 nr)
{
	return nr - 1 - old % nr;
}

/* nr: names of dst that the operation may use, its own not among them. */
static void copy_addr(struct arg *a, const struct edit_names *n, const u32 *nr)
{
	const struct arg *now;
	u64 offset = a->val;

	if (a->base != BASE_REF)
		return;
	now = &n->results[a->ref];
	if (now->base != BASE_REF || now->ref != NAME_LOST) {
		*a = *now;
		a->val += offset;
	} else if (nr[DEF_RESULT]) {
		a->ref = some_name(a->ref, nr[DEF_RESULT]);
	} else {
		*a = (struct arg){.base = BASE_WINDOW, .val = offset};
	}
}

static void copy_file(u32 *ref, const struct edit_names *n, const u32 *nr)
{
	u32 now;

	if (*ref == NO_REF)
		return;
	now = n->files[*ref];
	if (now == NAME_LOST)
		now = nr[DEF_FILE] ? some_name(*ref, nr[DEF_FILE]) : NO_REF;
	*ref = now;
}

static int copy_parts(struct program *dst, struct op *to, const struct program *src,
		      const struct op *from, const struct edit_names *n, const u32 *nr)
{
	for (u32 i = 0; i < from->nr_segs; i++) {
		struct prog_seg *seg = program_add_seg(dst, to);

		if (!seg)
			return -ENOMEM;
		*seg = src->segs[from->seg + i];
		copy_file(&seg->file, n, nr);
	}
	for (u32 i = 0; i < from->nr_faults; i++) {
		struct fi_item *item = program_add_fault(dst, to);

		if (!item)
			return -ENOMEM;
		*item = src->faults[from->fault + i];
	}
	if (from->comment && program_set_text(&to->comment, from->comment, strlen(from->comment)))
		return -ENOMEM;
	if (from->tail && program_set_text(&to->tail, from->tail, strlen(from->tail)))
		return -ENOMEM;
	return 0;
}

static void define(struct edit_names *n, const struct op *from, const struct op *to)
{
	switch (op_table[from->code].def) {
	case DEF_RESULT:
		n->results[from->def] = (struct arg){.base = BASE_REF, .ref = to->def};
		break;
	case DEF_TASK:
		n->tasks[from->def] = to->def;
		break;
	case DEF_FILE:
		n->files[from->def] = to->def;
		break;
	case DEF_NONE:
		break;
	}
}

struct op *edit_copy(struct program *dst, const struct program *src, u32 i, struct edit_names *n)
{
	const struct op *from = &src->ops[i];
	const struct op_info *info = &op_table[from->code];
	u32 nr[DEF_FILE + 1], task = n->tasks[from->task];
	struct op *to;

	memcpy(nr, dst->nr_defs, sizeof(nr));
	if (task == NAME_LOST)
		task = some_name(from->task, nr[DEF_TASK]);
	to = program_add(dst, (enum op_code)from->code, task);
	if (!to)
		return NULL;
	to->expect = from->expect;
	to->variant = from->variant;
	to->line = from->line;
	for (u32 k = 0; k < info->nr_args; k++) {
		to->args[k] = from->args[k];
		if (info->args[k].kind == ARG_ADDR)
			copy_addr(&to->args[k], n, nr);
		else if (info->args[k].kind == ARG_FILE)
			copy_file(&to->args[k].ref, n, nr);
	}
	if (to->expect.kind == EXPECT_VALUE)
		copy_addr(&to->expect.val, n, nr);
	if (to->variant.expect.kind == EXPECT_VALUE)
		copy_addr(&to->variant.expect.val, n, nr);
	if (copy_parts(dst, to, src, from, n, nr))
		return NULL;
	define(n, from, to);
	return to;
}

void edit_omit(const struct program *src, u32 i, struct edit_names *n)
{
	static const u32 none[DEF_FILE + 1];
	const struct op *op = &src->ops[i];
	const struct op_info *info = &op_table[op->code];
	struct arg a;

	switch (info->def) {
	case DEF_TASK:
		n->tasks[op->def] = n->tasks[op->task];
		break;
	case DEF_FILE:
		n->files[op->def] = NO_REF;
		break;
	case DEF_RESULT:
		for (u32 k = 0; k < info->nr_args; k++) {
			if (info->args[k].kind != ARG_ADDR)
				continue;
			a = op->args[k];
			copy_addr(&a, n, none);
			n->results[op->def] = a;
			break;
		}
		break;
	case DEF_NONE:
		break;
	}
}

static int copy_text(char **to, const char *from)
{
	return from ? program_set_text(to, from, strlen(from)) : 0;
}

int edit_copy_head(struct program *dst, const struct program *src)
{
	dst->teardown = src->teardown;
	dst->teardown_seed = src->teardown_seed;
	if (copy_text(&dst->head, src->head) || copy_text(&dst->machine, src->machine) ||
	    copy_text(&dst->foot, src->foot))
		return -ENOMEM;
	return 0;
}

int edit_clone(struct program *dst, const struct program *src)
{
	struct edit_names n;
	int ret;

	program_init(dst);
	ret = edit_names_init(&n, src);
	if (ret)
		return ret;
	ret = edit_copy_head(dst, src);
	for (u32 i = 0; !ret && i < src->nr_ops; i++)
		if (!edit_copy(dst, src, i, &n))
			ret = -ENOMEM;
	edit_names_free(&n);
	if (ret)
		program_free(dst);
	return ret;
}
