/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state between two operations, kept and put back: the backend's copy of the machine, and what
 * the executor knows of it. Findings, the injector and coverage lie outside and are not rewound.
 */
#include "compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In one block: this, tasks, files, results, which of them are known, the backend's copy. */
struct target_snap {
	size_t room, len; /* for the backend's copy, and of it; len 0: nothing kept */
	struct machine *m;
	struct ctx cx;
	u32 nr_run, op;
	u32 nr_mark_faults, nr_faults;
	struct fi_item mark_items[FI_MAX_ITEMS];
	struct fi_point faults[TARGET_MAX_FAULTS];
	u64 brk_wanted, hash;
	bool broken;
};

enum copy_dir {
	COPY_OUT,
	COPY_IN
};

static size_t copy(void *outside, void *mine, size_t n, enum copy_dir dir)
{
	if (dir == COPY_OUT)
		memcpy(outside, mine, n);
	else
		memcpy(mine, outside, n);
	return n;
}

/* Where the backend's copy begins in the block. */
static size_t copy_offset(const struct target *t)
{
	size_t end =
		sizeof(struct target_snap) + target_names(t->p, DEF_TASK) * sizeof(*t->tasks) +
		target_names(t->p, DEF_FILE) * sizeof(*t->files) +
		target_names(t->p, DEF_RESULT) * (sizeof(*t->results) + sizeof(*t->result_known));

	return (end + 15) & ~(size_t)15;
}

/* What the program's names stand for. Wide fields come first: the block keeps them aligned. */
static void copy_names(struct target *t, enum copy_dir dir)
{
	const struct program *p = t->p;
	char *at = (char *)(t->snap + 1);

	at += copy(at, t->tasks, target_names(p, DEF_TASK) * sizeof(*t->tasks), dir);
	at += copy(at, t->files, target_names(p, DEF_FILE) * sizeof(*t->files), dir);
	at += copy(at, t->results, target_names(p, DEF_RESULT) * sizeof(*t->results), dir);
	copy(at, t->result_known, target_names(p, DEF_RESULT) * sizeof(*t->result_known), dir);
}

int target_snapshot(void *s)
{
	struct target *t = s;
	const struct fl_allocator_ops *ops = t->opt.alloc;
	struct target_snap *snap = t->snap;
	size_t offset = copy_offset(t), room;

	if (!ops->snapshot)
		return -EOPNOTSUPP;
	if (t->broken || !t->m)
		return -EINVAL;
	room = ops->snapshot_size(t->inst);
	if (!snap || snap->room < room) {
		/* a quarter more: the next ones are mostly a little larger */
		room += room / 4;
		free(snap);
		t->snap = snap = malloc(offset + room);
		if (!snap)
			return -ENOMEM;
		snap->room = room;
	}
	copy_names(t, COPY_OUT);
	compare_snapshot(t);
	snap->len = ops->snapshot(t->inst, (char *)snap + offset, snap->room);
	snap->m = t->m;
	snap->cx = t->cx;
	snap->nr_run = t->nr_run;
	snap->op = t->op;
	snap->nr_mark_faults = t->nr_mark_faults;
	memcpy(snap->mark_items, t->mark_items, sizeof(snap->mark_items));
	snap->nr_faults = t->nr_faults;
	memcpy(snap->faults, t->faults, sizeof(snap->faults));
	snap->brk_wanted = t->brk_wanted;
	snap->hash = t->hash;
	snap->broken = t->broken;
	return snap->len ? 0 : -ENOMEM;
}

int target_restore(void *s)
{
	struct target *t = s;
	const struct fl_allocator_ops *ops = t->opt.alloc;
	const struct target_snap *snap = t->snap;
	int err;

	if (!snap || !snap->len)
		return -EINVAL;
	if (!t->inst)
		t->inst = target_create_inst(t);
	if (!t->inst)
		return -ENOMEM;
	err = ops->restore(t->inst, (const char *)snap + copy_offset(t), snap->len);
	if (err) {
		target_drop_machine(t);
		return err;
	}
	copy_names(t, COPY_IN);
	compare_restore(t);
	t->m = snap->m;
	t->cx = snap->cx;
	t->nr_run = snap->nr_run;
	t->op = snap->op;
	t->nr_mark_faults = snap->nr_mark_faults;
	memcpy(t->mark_items, snap->mark_items, sizeof(t->mark_items));
	t->nr_faults = snap->nr_faults;
	memcpy(t->faults, snap->faults, sizeof(t->faults));
	t->brk_wanted = snap->brk_wanted;
	t->hash = snap->hash;
	t->broken = snap->broken;
	t->in_op = false;
	return 0;
}
