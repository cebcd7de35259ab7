/* SPDX-License-Identifier: GPL-2.0-only */
/* Programs as data: making, comparing, loading. */
#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program_priv.h"

static const char magic[] = "# faultline ";

void program_init(struct program *p)
{
	*p = (struct program){0};
	p->nr_defs[DEF_TASK] = 1;
}

void program_free(struct program *p)
{
	for (u32 i = 0; i < p->nr_ops; i++) {
		free(p->ops[i].comment);
		free(p->ops[i].tail);
	}
	free(p->ops);
	free(p->segs);
	free(p->faults);
	free(p->head);
	free(p->machine);
	free(p->foot);
	program_init(p);
}

/* Makes room for nr + extra elements of *array. */
static bool grow(void *array, size_t size, u32 nr, u32 extra, u32 *max)
{
	u32 new_max = *max ? *max : 16;
	void *old, *new;

	if (extra > UINT32_MAX / 4 - nr)
		return false;
	while (new_max < nr + extra)
		new_max *= 2;
	if (new_max == *max)
		return true;
	memcpy(&old, array, sizeof(old));
	new = realloc(old, new_max * size);
	if (!new)
		return false;
	memcpy(array, &new, sizeof(new));
	*max = new_max;
	return true;
}

struct op *program_add(struct program *p, enum op_code code, u32 task)
{
	const struct op_info *info = &op_table[code];
	struct op *op;

	if (p->nr_ops >= PROG_MAX_OPS || !grow(&p->ops, sizeof(*p->ops), p->nr_ops, 1, &p->max_ops))
		return NULL;
	op = &p->ops[p->nr_ops++];
	*op = (struct op){.code = (u16)code, .task = task, .def = NO_REF};
	for (u32 i = 0; i < info->nr_args; i++)
		if (info->args[i].kind == ARG_FILE)
			op->args[i].ref = NO_REF;
	if (info->def != DEF_NONE)
		op->def = p->nr_defs[info->def]++;
	return op;
}

/*
 * One more element for the run [*first, *first + *nr) of a pool, which moves to the pool's end
 * unless it lies there.
 */
static void *pool_add(void *pool, size_t size, u32 *pool_nr, u32 *pool_max, u32 *first, u32 *nr)
{
	bool at_end = *first + *nr == *pool_nr;
	char *base;

	if (!grow(pool, size, *pool_nr, at_end ? 1 : *nr + 1, pool_max))
		return NULL;
	memcpy(&base, pool, sizeof(base));
	if (!at_end) {
		memcpy(base + *pool_nr * size, base + *first * size, *nr * size);
		*first = *pool_nr;
		*pool_nr += *nr;
	}
	++*nr;
	return memset(base + (*pool_nr)++ * size, 0, size);
}

struct prog_seg *program_add_seg(struct program *p, struct op *op)
{
	struct prog_seg *seg;

	if (op->nr_segs >= PROG_MAX_SEGS)
		return NULL;
	seg = pool_add(&p->segs, sizeof(*seg), &p->nr_segs, &p->max_segs, &op->seg, &op->nr_segs);
	if (seg)
		seg->file = NO_REF;
	return seg;
}

struct fi_item *program_add_fault(struct program *p, struct op *op)
{
	struct fi_item *item;

	if (op->nr_faults >= FI_MAX_ITEMS)
		return NULL;
	item = pool_add(&p->faults, sizeof(*item), &p->nr_faults, &p->max_faults, &op->fault,
			&op->nr_faults);
	if (item)
		item->op = FI_OP_ANY;
	return item;
}

int program_set_text(char **field, const char *text, size_t len)
{
	char *copy = NULL;

	if (len) {
		copy = malloc(len + 1);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	free(*field);
	*field = copy;
	return 0;
}

int program_set_teardown(struct program *p, const char *text, size_t len)
{
	static const char shuffle[] = "shuffle:";
	u64 seed = 0;

	for (u32 i = 0; i < TEARDOWN_SHUFFLE; i++) {
		if (len == strlen(teardown_names[i]) && !memcmp(text, teardown_names[i], len)) {
			p->teardown = (u8)i;
			p->teardown_seed = 0;
			return 0;
		}
	}
	if (len < sizeof(shuffle) || memcmp(text, shuffle, sizeof(shuffle) - 1))
		return -EINVAL;
	for (size_t i = sizeof(shuffle) - 1; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(seed, 10, &seed) ||
		    __builtin_add_overflow(seed, (u64)(text[i] - '0'), &seed))
			return -EINVAL;
	}
	p->teardown = TEARDOWN_SHUFFLE;
	p->teardown_seed = seed;
	return 0;
}

/* ---- equality ------------------------------------------------------------------------------- */

static bool arg_equal(const struct arg *a, const struct arg *b)
{
	return a->base == b->base && a->ref == b->ref && a->val == b->val;
}

static bool seg_equal(const struct prog_seg *a, const struct prog_seg *b)
{
	return arg_equal(&a->start, &b->start) && a->len == b->len && a->prot == b->prot &&
	       a->file == b->file && a->offset == b->offset;
}

static bool fault_equal(const struct fi_item *a, const struct fi_item *b)
{
	if (a->class != b->class || a->which != b->which || a->nowait != b->nowait ||
	    a->site != b->site)
		return false;
	switch (a->which) {
	case FI_RANGE:
		return a->from == b->from && a->to == b->to;
	case FI_BUDGET:
		return a->budget == b->budget;
	default:
		return a->ppm == b->ppm && a->seed == b->seed;
	}
}

static bool expect_equal(const struct expect *a, const struct expect *b)
{
	if (a->kind != b->kind)
		return false;
	return (a->kind != EXPECT_VALUE && a->kind != EXPECT_ERRNO) || arg_equal(&a->val, &b->val);
}

static bool op_equal(const struct program *pa, const struct op *a, const struct program *pb,
		     const struct op *b)
{
	if (a->code != b->code || a->task != b->task || a->def != b->def ||
	    a->nr_segs != b->nr_segs || a->nr_faults != b->nr_faults ||
	    !expect_equal(&a->expect, &b->expect) ||
	    !expect_equal(&a->variant.expect, &b->variant.expect))
		return false;
	if (a->variant.expect.kind != EXPECT_NONE && a->variant.profile != b->variant.profile)
		return false;
	for (u32 i = 0; i < op_table[a->code].nr_args; i++)
		if (!arg_equal(&a->args[i], &b->args[i]))
			return false;
	for (u32 i = 0; i < a->nr_segs; i++)
		if (!seg_equal(&pa->segs[a->seg + i], &pb->segs[b->seg + i]))
			return false;
	for (u32 i = 0; i < a->nr_faults; i++)
		if (!fault_equal(&pa->faults[a->fault + i], &pb->faults[b->fault + i]))
			return false;
	return true;
}

bool program_equal(const struct program *a, const struct program *b)
{
	if (a->nr_ops != b->nr_ops || a->teardown != b->teardown ||
	    a->teardown_seed != b->teardown_seed ||
	    strcmp(a->machine ? a->machine : "", b->machine ? b->machine : "") != 0)
		return false;
	for (u32 i = 0; i < a->nr_ops; i++)
		if (!op_equal(a, &a->ops[i], b, &b->ops[i]))
			return false;
	return true;
}

/* ---- the machine line ----------------------------------------------------------------------- */

int for_each_option(const char *text, size_t len, option_fn fn, void *priv)
{
	const char *end = text + len;
	int ret = 0;

	while (text < end && !ret) {
		const char *word = text, *eq;

		while (text < end && *text != ' ' && *text != '\t')
			text++;
		if (text == word) {
			text++;
			continue;
		}
		eq = memchr(word, '=', (size_t)(text - word));
		if (!eq)
			eq = text;
		ret = fn(priv, word, (size_t)(eq - word), eq < text ? eq + 1 : NULL,
			 eq < text ? (size_t)(text - eq - 1) : 0);
	}
	return ret;
}

struct machine_arg {
	struct machine_config *cfg;
	struct prog_error *err;
};

static int machine_option(void *priv, const char *name, size_t name_len, const char *value,
			  size_t value_len)
{
	struct machine_arg *a = priv;

	return machine_config_set(a->cfg, name, name_len, value ? value : "", value_len,
				  a->err->what, sizeof(a->err->what));
}

int program_machine(const struct program *p, struct machine_config *cfg, struct prog_error *err)
{
	struct machine_arg a = {cfg, err};

	err->line = 0;
	err->what[0] = '\0';
	return p->machine ? for_each_option(p->machine, strlen(p->machine), machine_option, &a) : 0;
}

/* ---- files ---------------------------------------------------------------------------------- */

static int load_fail(struct prog_error *err, int ret)
{
	err->line = 0;
	snprintf(err->what, sizeof(err->what), "%s", strerror(-ret));
	return ret;
}

static int too_large(struct prog_error *err, const char *limit)
{
	err->line = 0;
	snprintf(err->what, sizeof(err->what), "larger than %s", limit);
	return -EINVAL;
}

/* Reads until *len is want or the file ends. */
static int read_up_to(int fd, char **buf, size_t *cap, size_t *len, size_t want)
{
	while (*len < want) {
		size_t room = *cap - *len;
		ssize_t n;

		if (!room) {
			size_t new_cap = *cap ? *cap * 2 : 65536;
			char *new = realloc(*buf, new_cap);

			if (!new)
				return -ENOMEM;
			*buf = new;
			*cap = new_cap;
			continue;
		}
		n = read(fd, *buf + *len, room < want - *len ? room : want - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return 0;
}

static bool has_suffix(const char *path, const char *suffix)
{
	size_t n = strlen(path), m = strlen(suffix);

	return n >= m && !strcmp(path + n - m, suffix);
}

int program_load(struct program *p, const char *path, struct prog_error *err)
{
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	size_t cap = 0, len = 0, limit;
	char *buf = NULL;
	bool text;
	int ret;

	program_init(p);
	err->what[0] = '\0';
	if (fd < 0)
		return load_fail(err, -errno);

	ret = read_up_to(fd, &buf, &cap, &len, sizeof(magic) - 1);
	if (ret)
		goto out;
	text = has_suffix(path, ".prog") ||
	       (len == sizeof(magic) - 1 && !memcmp(buf, magic, sizeof(magic) - 1));
	limit = text ? PROG_MAX_TEXT : PROG_MAX_BYTES;
	ret = read_up_to(fd, &buf, &cap, &len, limit + 1);
	if (ret)
		goto out;

	if (len > limit)
		ret = too_large(err, text ? "64 MiB" : "1 MiB");
	else if (text)
		ret = program_parse(p, buf ? buf : "", len, err);
	else
		ret = program_decode(p, (const u8 *)buf, len);
out:
	free(buf);
	if (fd != STDIN_FILENO)
		close(fd);
	if (ret && ret != -EINVAL)
		return load_fail(err, ret);
	if (ret == -EINVAL && !err->what[0])
		return load_fail(err, ret);
	return ret;
}
