/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A dictionary for fuzzers that change bytes: whole records, since a fragment of one means
 * something else at each place.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mutate.h"
#include "program_priv.h"

#define PER_OP	     3u
#define SAMPLE_SEEDS 64u
#define SAMPLE_OPS   96u

struct dictionary {
	struct strbuf sb;
	u8 seen[NR_OPS][PER_OP][PROG_RECORD];
	u8 nr_seen[NR_OPS];
};

static void add_entry(struct dictionary *d, const char *name, u32 nr, const u8 *record)
{
	sb_printf(&d->sb, "%s_%" PRIu32 "=\"", name, nr);
	for (u32 i = 0; i < PROG_RECORD; i++)
		sb_printf(&d->sb, "\\x%02x", record[i]);
	sb_puts(&d->sb, "\"\n");
}

static void add_op(struct dictionary *d, const u8 *record)
{
	u32 code = record[0], nr = d->nr_seen[code];

	for (u32 i = 0; i < nr; i++)
		if (!memcmp(d->seen[code][i], record, PROG_RECORD))
			return;
	if (nr == PER_OP)
		return;
	memcpy(d->seen[code][nr], record, PROG_RECORD);
	d->nr_seen[code]++;
	add_entry(d, op_table[code].name, nr, record);
}

static int add_samples(struct dictionary *d, u64 seed)
{
	struct program p;
	u8 *bytes;
	size_t len;
	int ret = program_generate(&p, seed, SAMPLE_OPS);

	if (ret)
		return ret;
	ret = program_encode(&p, &bytes, &len);
	program_free(&p);
	if (ret)
		return ret;
	for (size_t at = 0; at + PROG_RECORD <= len; at += PROG_RECORD)
		if (bytes[at] < NR_OPS)
			add_op(d, bytes + at);
	free(bytes);
	return 0;
}

/* The first record is the machine option's, or the second the mark's. */
static int add_encoded(struct dictionary *d, struct program *p, const char *name, u32 nr, size_t at)
{
	u8 *bytes;
	size_t len;
	int ret = program_encode(p, &bytes, &len);

	if (ret)
		return ret;
	if (at + PROG_RECORD <= len)
		add_entry(d, name, nr, bytes + at);
	free(bytes);
	return 0;
}

static int add_option(struct dictionary *d, u32 i, u64 val, u32 nr)
{
	struct machine_config cfg;
	struct program p;
	char text[128];
	int n, ret;

	machine_config_init(&cfg);
	memcpy((char *)&cfg + machine_options[i].offset, &val, sizeof(val));
	n = snprintf(text, sizeof(text), "%s=", machine_options[i].name);
	machine_config_print(&cfg, i, text + n, sizeof(text) - (size_t)n);
	program_init(&p);
	ret = program_set_text(&p.machine, text, strlen(text));
	if (!ret)
		ret = add_encoded(d, &p, machine_options[i].name, nr, 0);
	program_free(&p);
	return ret;
}

static int add_mark(struct dictionary *d, u32 class, bool all)
{
	struct program p;
	struct fi_item *item;
	struct op *op;
	int ret = -ENOMEM;

	program_init(&p);
	op = program_add(&p, OP_fork, 0);
	item = op ? program_add_fault(&p, op) : NULL;
	if (item) {
		item->class = (u8) class;
		item->which = FI_RANGE;
		item->from = 1;
		item->to = all ? UINT64_MAX : 1;
		ret = add_encoded(d, &p, class == FI_CLASS_ANY ? "any" : fl_class_names[class], all,
				  PROG_RECORD);
	}
	program_free(&p);
	return ret;
}

int program_print_dictionary(char **out)
{
	struct dictionary *d = calloc(1, sizeof(*d));
	int ret = 0;

	if (!d)
		return -ENOMEM;
	sb_puts(&d->sb, "# Records of programs, for AFL++ and libFuzzer.\n");
	for (u64 seed = 0; !ret && seed < SAMPLE_SEEDS; seed++)
		ret = add_samples(d, seed);
	for (u32 class = 0; !ret && class <= FI_CLASS_ANY; class ++) {
		ret = add_mark(d, class, false);
		if (!ret)
			ret = add_mark(d, class, true);
	}
	for (u32 i = 0; !ret && i < nr_machine_options; i++) {
		ret = add_option(d, i, machine_options[i].min, 0);
		if (!ret)
			ret = add_option(d, i, min_u64(machine_options[i].max, 65536), 1);
	}
	*out = sb_take(&d->sb, NULL);
	sb_free(&d->sb);
	free(d);
	if (!ret && *out)
		return 0;
	free(*out);
	*out = NULL;
	return -ENOMEM;
}
