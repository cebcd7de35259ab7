/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzers' form of a program: records of 16 bytes, one per operation, each followed by the
 * continuation records that it owns. README.md has the layout. A small field holds the values that
 * programs are made of; whatever does not fit follows in a continuation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <faultline/mm_types.h>
#include <faultline/syscalls.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "program_priv.h"

/* First byte of a record. Below REC_WIDE: an operation, by its number modulo NR_OPS. */
enum {
	REC_WIDE = 0xc0,  /* to 0xcf: one value in full */
	REC_SEG = 0xd0,	  /* to 0xdf */
	REC_FAULT = 0xe0, /* to 0xef */
	REC_EXPECT = 0xf0,
	REC_MACHINE = 0xf1,
	REC_TEARDOWN = 0xf2,
	/* 0xf3 to 0xf7: reserved (interleavings), ignored. */
	REC_VARIANT = 0xf8, /* and the profile: to 0xff */
};

/* Second byte of REC_WIDE, modulo 16: which value. Below PROG_MAX_ARGS: that argument. */
enum {
	WIDE_TASK = PROG_MAX_ARGS,
	WIDE_SEG_START,
	WIDE_SEG_LEN,
	WIDE_SEG_FILE,
	WIDE_SEG_OFFSET,
	WIDE_FAULT_A, /* from, budget or seed */
	WIDE_FAULT_TO,
	NR_WIDE
};

enum {
	FAULT_COUNT,
	FAULT_OPEN,
	FAULT_BUDGET,
	FAULT_PROB,
	NR_FAULT_FORMS
};
#define FAULT_NOWAIT 0x80u

#define NO_CHOICE 255u
#define LEN_BYTES 0x8000u /* a small length counts bytes, not pages */

/*
 * A small offset is 16 bits, signed, times one of these: pages first, then bytes, then what a PTE,
 * PMD and PUD table spans. The first that is exact is the canonical one.
 */
static const u8 shifts[] = {12, 0, 21, 30, 39};
#define NR_SHIFTS ARRAY_SIZE(shifts)

/* Bits 0-2 of a byte of mmap flags: what kind of mapping. Mostly ones that can work. */
static const u32 map_types[8] = {
	MAP_PRIVATE, MAP_PRIVATE, MAP_PRIVATE, MAP_PRIVATE,
	MAP_SHARED,  MAP_SHARED,  0,	       MAP_PRIVATE | MAP_SHARED,
};
#define MAP_BYTE_FIXED	   0x08u
#define MAP_BYTE_NORESERVE 0x10u
#define MAP_BYTE_STACK	   0x20u
#define MAP_BYTE_FILE	   0x40u
/* The second byte. */
#define MAP_BYTE_LOCKED	   0x01u
#define MAP_BYTE_POPULATE  0x02u
#define MAP_BYTE_NOREPLACE 0x04u
#define MAP_BYTE_GROWSDOWN 0x08u
#define MAP_BYTE_32BIT	   0x10u
#define MAP_BYTE_NONBLOCK  0x20u

static u16 get16(const u8 *b)
{
	return (u16)(b[0] | b[1] << 8);
}

static u32 get32(const u8 *b)
{
	return get16(b) | (u32)get16(b + 2) << 16;
}

static u64 get64(const u8 *b)
{
	return get32(b) | (u64)get32(b + 4) << 32;
}

static void put16(u8 *b, u16 v)
{
	b[0] = (u8)v;
	b[1] = (u8)(v >> 8);
}

static void put32(u8 *b, u32 v)
{
	put16(b, (u16)v);
	put16(b + 2, (u16)(v >> 16));
}

static void put64(u8 *b, u64 v)
{
	put32(b, (u32)v);
	put32(b + 4, (u32)(v >> 32));
}

/* Bytes that the small form of an argument takes. All five of mremap take 13; there is room for 14.
 */
static unsigned int small_size(enum arg_kind kind)
{
	switch (kind) {
	case ARG_ADDR:
		return 4;
	case ARG_LEN:
	case ARG_VALUE:
	case ARG_MAP:
		return 2;
	case ARG_NONE:
		return 0;
	default:
		return 1;
	}
}

static u64 hash_record(u64 hash, const u8 *b)
{
	return XXH3_64bits_withSeed(b, PROG_RECORD, hash);
}

/* What bytes 4 to 7 of an expectation must be, behind records with that hash. */
static u32 expect_check(u64 hash, const u8 *b)
{
	u8 copy[PROG_RECORD];

	memcpy(copy, b, PROG_RECORD);
	put32(copy + 4, 0);
	return (u32)hash_record(hash, copy);
}

static bool is_profile(u32 i)
{
	return i <= machine_options[machine_option_find("profile", strlen("profile"))].max;
}

/* ---- decoding ------------------------------------------------------------------------------- */

struct decoder {
	struct program *p;
	u32 names[DEF_FILE + 1]; /* that the current operation may refer to */
	struct fi_item *item;	 /* the last mark of the current operation */
	u64 hash;		 /* of the records before this one */
	struct machine_config cfg;
	u64 options_seen;
	struct strbuf options;
};

/* The name that lies `back` definitions before the newest. There must be one. */
static u32 back_ref(const struct decoder *d, enum def_kind kind, u32 back)
{
	return d->names[kind] - 1 - back % d->names[kind];
}

static void set_base(const struct decoder *d, struct arg *arg, u8 base, u32 back)
{
	arg->base = base;
	arg->ref = 0;
	if (base == BASE_REF && !d->names[DEF_RESULT])
		arg->base = BASE_WINDOW;
	else if (base == BASE_REF)
		arg->ref = back_ref(d, DEF_RESULT, back);
}

static void get_addr(const struct decoder *d, struct arg *arg, const u8 *b)
{
	unsigned int shift = b[0] >> 3 & 7;

	set_base(d, arg, (b[0] & 7) % NR_BASES, b[1]);
	arg->val = (u64)(s64)(int16_t)get16(b + 2) << shifts[shift < NR_SHIFTS ? shift : 0];
}

static u64 get_len(const u8 *b)
{
	u16 v = get16(b);

	return v & LEN_BYTES ? v & ~LEN_BYTES : (u64)v << PAGE_SHIFT;
}

/* 0 is none, k the name k - 1 definitions back. */
static u32 get_file(const struct decoder *d, u32 k)
{
	return k && d->names[DEF_FILE] ? back_ref(d, DEF_FILE, k - 1) : NO_REF;
}

static u32 get_map_flags(u8 b, u8 more)
{
	return (more & MAP_BYTE_LOCKED ? MAP_LOCKED : 0) |
	       (more & MAP_BYTE_NOREPLACE ? MAP_FIXED_NOREPLACE : 0) |
	       (more & MAP_BYTE_POPULATE ? MAP_POPULATE : 0) |
	       (more & MAP_BYTE_GROWSDOWN ? MAP_GROWSDOWN : 0) |
	       (more & MAP_BYTE_32BIT ? MAP_32BIT : 0) |
	       (more & MAP_BYTE_NONBLOCK ? MAP_NONBLOCK : 0) | map_types[b & 7] |
	       (b & MAP_BYTE_FIXED ? MAP_FIXED : 0) | (b & MAP_BYTE_NORESERVE ? MAP_NORESERVE : 0) |
	       (b & MAP_BYTE_STACK ? MAP_STACK : 0) | (b & MAP_BYTE_FILE ? 0 : MAP_ANONYMOUS);
}

static u32 get_words(enum arg_kind kind, u8 b)
{
	unsigned int nr;
	const struct flag_word *words = kind_words(kind, &nr);
	u32 flags = 0;

	for (unsigned int i = 0; i < nr; i++)
		if (b >> i & 1)
			flags |= words[i].bits;
	return flags;
}

/* One of the words, or what none of them stands for. */
static u64 get_choice(enum arg_kind kind, u8 b)
{
	unsigned int nr;
	const struct flag_word *values = kind_values(kind, &nr);
	unsigned int i = b % (nr + 1);

	return i < nr ? values[i].bits : NO_CHOICE;
}

static void get_arg(const struct decoder *d, enum arg_kind kind, struct arg *arg, const u8 *b)
{
	switch (kind) {
	case ARG_ADDR:
		get_addr(d, arg, b);
		break;
	case ARG_LEN:
		arg->val = get_len(b);
		break;
	case ARG_VALUE:
		arg->val = get16(b);
		break;
	case ARG_FILE:
		arg->ref = get_file(d, b[0]);
		break;
	case ARG_ADVICE:
	case ARG_POLICY:
		arg->val = get_choice(kind, b[0]);
		break;
	case ARG_MAP:
		arg->val = get_map_flags(b[0], b[1]);
		break;
	default:
		arg->val = get_words(kind, b[0]);
		break;
	}
}

static int decode_op(struct decoder *d, const u8 *b)
{
	const struct op_info *info = &op_table[b[0] % NR_OPS];
	struct op *op;

	memcpy(d->names, d->p->nr_defs, sizeof(d->names));
	d->item = NULL;
	op = program_add(d->p, (enum op_code)(b[0] % NR_OPS), back_ref(d, DEF_TASK, b[1]));
	if (!op)
		return -ENOMEM;
	b += 2;
	for (u32 i = 0; i < info->nr_args; i++) {
		get_arg(d, info->args[i].kind, &op->args[i], b);
		b += small_size(info->args[i].kind);
	}
	return 0;
}

static void decode_wide_arg(struct decoder *d, enum arg_kind kind, struct arg *arg, const u8 *b)
{
	switch (kind) {
	case ARG_ADDR:
		set_base(d, arg, b[2] % NR_BASES, get32(b + 4));
		arg->val = get64(b + 8);
		break;
	case ARG_ADVICE:
	case ARG_POLICY:
	case ARG_LEN:
	case ARG_VALUE:
		arg->val = get64(b + 8);
		break;
	case ARG_FILE:
		arg->ref = get_file(d, get32(b + 4));
		break;
	default: /* always fits its small field */
		break;
	}
}

static void decode_wide_seg(struct decoder *d, struct prog_seg *seg, u32 which, const u8 *b)
{
	struct arg arg = {.ref = seg->file};

	switch (which) {
	case WIDE_SEG_START:
		seg->start.base = b[2] % NR_BASES == BASE_ABS ? BASE_ABS : BASE_WINDOW;
		seg->start.val = get64(b + 8);
		break;
	case WIDE_SEG_LEN:
		seg->len = get64(b + 8);
		break;
	case WIDE_SEG_FILE:
		decode_wide_arg(d, ARG_FILE, &arg, b);
		seg->file = arg.ref;
		break;
	default:
		seg->offset = get64(b + 8);
		break;
	}
}

static void decode_wide_fault(struct fi_item *item, u32 which, u64 val)
{
	if (item->which == FI_BUDGET) {
		item->budget = which == WIDE_FAULT_A ? val : item->budget;
	} else if (item->which == FI_PROB) {
		item->seed = which == WIDE_FAULT_A ? val : item->seed;
	} else if (which == WIDE_FAULT_A) {
		item->from = max_u64(val, 1);
		item->to = max_u64(item->to, item->from);
	} else {
		item->to = max_u64(val, item->from);
	}
}

static void decode_wide(struct decoder *d, const u8 *b)
{
	struct program *p = d->p;
	struct op *op = p->nr_ops ? &p->ops[p->nr_ops - 1] : NULL;
	u32 which = b[1] % 16;

	if (!op)
		return;
	if (which < op_table[op->code].nr_args)
		decode_wide_arg(d, op_table[op->code].args[which].kind, &op->args[which], b);
	else if (which == WIDE_TASK)
		op->task = back_ref(d, DEF_TASK, get32(b + 4));
	else if (which >= WIDE_SEG_START && which <= WIDE_SEG_OFFSET && op->nr_segs)
		decode_wide_seg(d, &p->segs[op->seg + op->nr_segs - 1], which, b);
	else if ((which == WIDE_FAULT_A || which == WIDE_FAULT_TO) && d->item)
		decode_wide_fault(d->item, which, get64(b + 8));
}

static int decode_seg(struct decoder *d, const u8 *b)
{
	struct program *p = d->p;
	struct op *op = p->nr_ops ? &p->ops[p->nr_ops - 1] : NULL;
	struct prog_seg *seg;

	if (!op || op->code != OP_exec || op->nr_segs == PROG_MAX_SEGS)
		return 0;
	seg = program_add_seg(p, op);
	if (!seg)
		return -ENOMEM;
	seg->prot = get_words(ARG_PROT, b[1]);
	get_addr(d, &seg->start, b + 2);
	if (seg->start.base != BASE_ABS) {
		seg->start.base = BASE_WINDOW;
		seg->start.ref = 0;
	}
	seg->len = get_len(b + 6);
	seg->file = get_file(d, b[8]);
	seg->offset = get_len(b + 9);
	return 0;
}

static int decode_fault(struct decoder *d, const u8 *b)
{
	struct program *p = d->p;
	struct op *op = p->nr_ops ? &p->ops[p->nr_ops - 1] : NULL;
	struct fi_item *item;

	if (!op || op->nr_faults == FI_MAX_ITEMS)
		return 0;
	item = program_add_fault(p, op);
	if (!item)
		return -ENOMEM;
	d->item = item;
	item->site = get16(b + 4) % FL_NR_SITES;
	item->class = b[1] % (FI_CLASS_ANY + 1);
	if (item->site != SITE_none && item->class != FI_CLASS_ANY)
		item->class = (u8)fl_sites[item->site].class;
	item->nowait = b[2] & FAULT_NOWAIT;
	switch ((b[2] & ~FAULT_NOWAIT) % NR_FAULT_FORMS) {
	case FAULT_BUDGET:
		item->which = FI_BUDGET;
		item->budget = get16(b + 6);
		break;
	case FAULT_PROB:
		item->which = FI_PROB;
		item->seed = get16(b + 6);
		item->ppm = get32(b + 8) % (FI_PPM_ONE + 1);
		break;
	case FAULT_OPEN:
		item->which = FI_RANGE;
		item->from = max_u64(get16(b + 6), 1);
		item->to = UINT64_MAX;
		break;
	default:
		item->which = FI_RANGE;
		item->from = max_u64(get16(b + 6), 1);
		item->to = item->from + get16(b + 8);
		break;
	}
	return 0;
}

/*
 * An expectation holds for what was written before it and for nothing else, so it carries a hash of
 * that: when a fuzzer changes anything there, or makes one up, it is ignored.
 */
static void decode_expect(struct decoder *d, const u8 *b)
{
	struct program *p = d->p;
	struct expect *e;
	struct op *op;

	if (!p->nr_ops || get32(b + 4) != expect_check(d->hash, b))
		return;
	op = &p->ops[p->nr_ops - 1];
	e = &op->expect;
	if (b[0] >= REC_VARIANT) {
		if (e->kind == EXPECT_NONE)
			return;
		op->variant.profile = b[0] - REC_VARIANT;
		e = &op->variant.expect;
	}
	*e = (struct expect){.kind = (b[1] & 0xf) % (EXPECT_SKIP + 1)};
	if (e->kind == EXPECT_VALUE) {
		set_base(d, &e->val, (b[1] >> 4) % NR_BASES, get16(b + 2));
		e->val.val = get64(b + 8);
	} else if (e->kind == EXPECT_ERRNO) {
		e->val.val = 1 + (get64(b + 8) + 4094) % 4095;
	}
}

static void decode_machine(struct decoder *d, const u8 *b)
{
	u32 i = b[1] % nr_machine_options;
	const struct machine_option *opt = &machine_options[i];
	u64 val = get64(b + 8);
	char text[64];

	if (d->p->nr_ops || d->options_seen >> i & 1)
		return;
	if (val < opt->min || val > opt->max)
		val = opt->min + val % (opt->max - opt->min + 1);
	d->options_seen |= (u64)1 << i;
	memcpy((char *)&d->cfg + opt->offset, &val, sizeof(val));
	machine_config_print(&d->cfg, i, text, sizeof(text));
	sb_printf(&d->options, "%s%s=%s", d->options.len ? " " : "", opt->name, text);
}

static void decode_teardown(struct decoder *d, const u8 *b)
{
	if (d->p->nr_ops)
		return;
	d->p->teardown = b[1] % NR_TEARDOWNS;
	d->p->teardown_seed = d->p->teardown == TEARDOWN_SHUFFLE ? get64(b + 8) : 0;
}

static int decode_record(struct decoder *d, const u8 *b)
{
	if (b[0] < REC_WIDE)
		return decode_op(d, b);
	switch (b[0]) {
	case REC_EXPECT:
		decode_expect(d, b);
		return 0;
	case REC_MACHINE:
		decode_machine(d, b);
		return 0;
	case REC_TEARDOWN:
		decode_teardown(d, b);
		return 0;
	}
	if (b[0] >= REC_VARIANT && is_profile(b[0] - REC_VARIANT))
		decode_expect(d, b);
	switch (b[0] & 0xf0) {
	case REC_WIDE:
		decode_wide(d, b);
		return 0;
	case REC_SEG:
		return decode_seg(d, b);
	case REC_FAULT:
		return decode_fault(d, b);
	}
	return 0;
}

int program_decode(struct program *p, const u8 *data, size_t len)
{
	struct decoder d = {.p = p};
	char why[128];
	int ret = 0;

	program_init(p);
	machine_config_init(&d.cfg);
	if (len > PROG_MAX_BYTES)
		len = PROG_MAX_BYTES;
	for (size_t at = 0; at < len && !ret; at += PROG_RECORD) {
		u8 record[PROG_RECORD] = {0};

		memcpy(record, data + at, len - at < PROG_RECORD ? len - at : PROG_RECORD);
		ret = decode_record(&d, record);
		d.hash = hash_record(d.hash, record);
	}
	if (!ret && d.options.failed)
		ret = -ENOMEM;
	/* Options that do not fit together say nothing. */
	if (!ret && !machine_config_check(&d.cfg, why, sizeof(why)))
		ret = program_set_text(&p->machine, d.options.s, d.options.len);
	sb_free(&d.options);
	if (ret)
		program_free(p);
	return ret;
}

/* ---- encoding ------------------------------------------------------------------------------- */

struct encoder {
	const struct program *p;
	struct strbuf out;
	u64 hash;		 /* of the records so far */
	u32 names[DEF_FILE + 1]; /* defined before the current operation */
};

static void put_record(struct encoder *e, const u8 *b)
{
	sb_add(&e->out, (const char *)b, PROG_RECORD);
	e->hash = hash_record(e->hash, b);
}

static void put_wide(struct encoder *e, u32 which, u8 base, u32 back, u64 val)
{
	u8 b[PROG_RECORD] = {REC_WIDE, (u8)which, base};

	put32(b + 4, back);
	put64(b + 8, val);
	put_record(e, b);
}

static u32 addr_back(const struct encoder *e, const struct arg *arg)
{
	return arg->base == BASE_REF ? e->names[DEF_RESULT] - 1 - arg->ref : 0;
}

static u32 file_back(const struct encoder *e, u32 ref)
{
	return ref == NO_REF ? 0 : e->names[DEF_FILE] - ref;
}

/* False: it does not fit, and a wide record must follow. */
static bool put_addr(const struct encoder *e, const struct arg *arg, u8 *b)
{
	u32 back = addr_back(e, arg);

	for (unsigned int i = 0; i < NR_SHIFTS; i++) {
		int16_t small = (int16_t)(u16)(arg->val >> shifts[i]);

		if ((u64)(s64)small << shifts[i] != arg->val || back > UINT8_MAX)
			continue;
		b[0] = (u8)(arg->base | i << 3);
		b[1] = (u8)back;
		put16(b + 2, (u16)small);
		return true;
	}
	return false;
}

static bool put_len(u64 len, u8 *b)
{
	if (!offset_in_page(len) && len >> PAGE_SHIFT < LEN_BYTES)
		put16(b, (u16)(len >> PAGE_SHIFT));
	else if (len < LEN_BYTES)
		put16(b, (u16)(len | LEN_BYTES));
	else
		return false;
	return true;
}

static bool put_file(const struct encoder *e, u32 ref, u8 *b)
{
	u32 back = file_back(e, ref);

	if (back > UINT8_MAX)
		return false;
	b[0] = (u8)back;
	return true;
}

static u8 map_byte(u32 flags)
{
	u8 b = 0;

	while (map_types[b] != (flags & (MAP_PRIVATE | MAP_SHARED)))
		b++;
	return (u8)(b | (flags & MAP_FIXED ? MAP_BYTE_FIXED : 0) |
		    (flags & MAP_NORESERVE ? MAP_BYTE_NORESERVE : 0) |
		    (flags & MAP_STACK ? MAP_BYTE_STACK : 0) |
		    (flags & MAP_ANONYMOUS ? 0 : MAP_BYTE_FILE));
}

static u8 words_byte(enum arg_kind kind, u64 flags)
{
	unsigned int nr;
	const struct flag_word *words = kind_words(kind, &nr);
	u8 b = 0;

	for (unsigned int i = 0; i < nr; i++)
		if ((flags & words[i].bits) == words[i].bits)
			b |= (u8)(1u << i);
	return b;
}

static bool put_choice(enum arg_kind kind, u64 val, u8 *b)
{
	unsigned int nr, i = 0;
	const struct flag_word *values = kind_values(kind, &nr);

	while (i < nr && values[i].bits != val)
		i++;
	b[0] = (u8)i;
	return i < nr || val == NO_CHOICE;
}

static bool put_arg(const struct encoder *e, enum arg_kind kind, const struct arg *arg, u8 *b)
{
	switch (kind) {
	case ARG_ADDR:
		return put_addr(e, arg, b);
	case ARG_LEN:
		return put_len(arg->val, b);
	case ARG_VALUE:
		put16(b, (u16)arg->val);
		return arg->val <= UINT16_MAX;
	case ARG_FILE:
		return put_file(e, arg->ref, b);
	case ARG_ADVICE:
	case ARG_POLICY:
		return put_choice(kind, arg->val, b);
	case ARG_MAP:
		b[0] = map_byte((u32)arg->val);
		b[1] = (u8)((arg->val & MAP_LOCKED ? MAP_BYTE_LOCKED : 0) |
			    (arg->val & MAP_POPULATE ? MAP_BYTE_POPULATE : 0) |
			    (arg->val & MAP_FIXED_NOREPLACE ? MAP_BYTE_NOREPLACE : 0) |
			    (arg->val & MAP_GROWSDOWN ? MAP_BYTE_GROWSDOWN : 0) |
			    (arg->val & MAP_32BIT ? MAP_BYTE_32BIT : 0) |
			    (arg->val & MAP_NONBLOCK ? MAP_BYTE_NONBLOCK : 0));
		return true;
	default:
		b[0] = words_byte(kind, arg->val);
		return true;
	}
}

static void put_wide_arg(struct encoder *e, u32 which, enum arg_kind kind, const struct arg *arg)
{
	u32 back = 0;

	if (kind == ARG_ADDR)
		back = addr_back(e, arg);
	else if (kind == ARG_FILE)
		back = file_back(e, arg->ref);
	put_wide(e, which, arg->base, back, arg->val);
}

static void encode_seg(struct encoder *e, const struct prog_seg *seg)
{
	u8 b[PROG_RECORD] = {REC_SEG, words_byte(ARG_PROT, seg->prot)};
	bool start = put_addr(e, &seg->start, b + 2);
	bool len = put_len(seg->len, b + 6);
	bool file = put_file(e, seg->file, b + 8);
	bool offset = put_len(seg->offset, b + 9);

	put_record(e, b);
	if (!start)
		put_wide(e, WIDE_SEG_START, seg->start.base, 0, seg->start.val);
	if (!len)
		put_wide(e, WIDE_SEG_LEN, 0, 0, seg->len);
	if (!file)
		put_wide(e, WIDE_SEG_FILE, 0, file_back(e, seg->file), 0);
	if (!offset)
		put_wide(e, WIDE_SEG_OFFSET, 0, 0, seg->offset);
}

static void encode_fault(struct encoder *e, const struct fi_item *item)
{
	u8 b[PROG_RECORD] = {REC_FAULT, item->class};
	u8 form = FAULT_COUNT;
	u64 a = item->from;
	bool to = false;

	if (item->which == FI_BUDGET) {
		form = FAULT_BUDGET;
		a = item->budget;
	} else if (item->which == FI_PROB) {
		form = FAULT_PROB;
		a = item->seed;
		put32(b + 8, item->ppm);
	} else if (item->to == UINT64_MAX) {
		form = FAULT_OPEN;
	} else {
		to = a > UINT16_MAX || item->to - a > UINT16_MAX;
		put16(b + 8, to ? 0 : (u16)(item->to - a));
	}
	b[2] = (u8)(form | (item->nowait ? FAULT_NOWAIT : 0));
	put16(b + 4, item->site);
	put16(b + 6, a > UINT16_MAX ? 0 : (u16)a);
	put_record(e, b);
	if (a > UINT16_MAX)
		put_wide(e, WIDE_FAULT_A, 0, 0, a);
	if (to)
		put_wide(e, WIDE_FAULT_TO, 0, 0, item->to);
}

static void encode_expect(struct encoder *e, u8 record, const struct expect *expect)
{
	u8 b[PROG_RECORD] = {record, expect->kind};

	if (expect->kind == EXPECT_NONE)
		return;
	if (expect->kind == EXPECT_VALUE) {
		b[1] |= (u8)(expect->val.base << 4);
		/* 1 MiB of records has fewer results than this can count. */
		put16(b + 2, (u16)addr_back(e, &expect->val));
	}
	if (expect->kind == EXPECT_VALUE || expect->kind == EXPECT_ERRNO)
		put64(b + 8, expect->val.val);
	put32(b + 4, expect_check(e->hash, b));
	put_record(e, b);
}

static void encode_op(struct encoder *e, const struct op *op)
{
	const struct op_info *info = &op_table[op->code];
	u32 back = e->names[DEF_TASK] - 1 - op->task;
	u8 b[PROG_RECORD] = {(u8)op->code};
	u32 wide = 0, at = 2;

	b[1] = back > UINT8_MAX ? 0 : (u8)back;
	for (u32 i = 0; i < info->nr_args; i++) {
		if (!put_arg(e, info->args[i].kind, &op->args[i], b + at))
			wide |= 1u << i;
		at += small_size(info->args[i].kind);
	}
	put_record(e, b);
	if (back > UINT8_MAX)
		put_wide(e, WIDE_TASK, 0, back, 0);
	for (u32 i = 0; i < info->nr_args; i++)
		if (wide >> i & 1)
			put_wide_arg(e, i, info->args[i].kind, &op->args[i]);
	for (u32 i = 0; i < op->nr_segs; i++)
		encode_seg(e, &e->p->segs[op->seg + i]);
	for (u32 i = 0; i < op->nr_faults; i++)
		encode_fault(e, &e->p->faults[op->fault + i]);
	encode_expect(e, REC_EXPECT, &op->expect);
	encode_expect(e, REC_VARIANT + op->variant.profile, &op->variant.expect);
	if (op->def != NO_REF)
		e->names[info->def]++;
}

static int encode_option(void *priv, const char *name, size_t name_len, const char *value,
			 size_t value_len)
{
	struct encoder *e = priv;
	struct machine_config cfg;
	u8 b[PROG_RECORD] = {REC_MACHINE};
	char why[128];
	u64 val;
	u8 i;
	int ret;

	machine_config_init(&cfg);
	ret = machine_config_set(&cfg, name, name_len, value ? value : "", value_len, why,
				 sizeof(why));
	if (ret)
		return ret;
	i = (u8)machine_option_find(name, name_len);
	memcpy(&val, (const char *)&cfg + machine_options[i].offset, sizeof(val));
	b[1] = i;
	put64(b + 8, val);
	put_record(e, b);
	return 0;
}

int program_encode(const struct program *p, u8 **out, size_t *len)
{
	struct encoder e = {.p = p, .names = {[DEF_TASK] = 1}};
	u8 b[PROG_RECORD] = {REC_TEARDOWN, p->teardown};
	int ret = 0;

	if (p->machine)
		ret = for_each_option(p->machine, strlen(p->machine), encode_option, &e);
	if (!ret && p->teardown != TEARDOWN_NEWEST) {
		put64(b + 8, p->teardown_seed);
		put_record(&e, b);
	}
	for (u32 i = 0; i < p->nr_ops && !ret; i++) {
		encode_op(&e, &p->ops[i]);
		if (e.out.failed)
			ret = -ENOMEM;
		else if (e.out.len > PROG_MAX_BYTES)
			ret = -E2BIG;
	}
	if (!ret) {
		*out = (u8 *)sb_take(&e.out, len);
		ret = *out ? 0 : -ENOMEM;
	}
	sb_free(&e.out);
	return ret;
}
