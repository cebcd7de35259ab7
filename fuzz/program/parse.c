/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text to program, by recursive descent over one line at a time. Every byte is looked at a bounded
 * number of times; what a parse keeps is bounded by the text and by PROG_MAX_OPS.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program_priv.h"

#define MAX_NAME   ((u32)1 << 20) /* rN, tN and fN in a text: N is below this */
#define NAME_CHUNK 1024u
#define QUOTE	   48

/* Numbers that a text uses, to the canonical ones: two levels, so that r999999 alone is cheap. */
struct names {
	u32 *chunks[MAX_NAME / NAME_CHUNK]; /* canonical number + 1; 0: not defined */
};

struct parser {
	struct program *p;
	struct prog_error *err;
	const char *cur, *end; /* the rest of this line */
	u32 line;
	bool machine_seen;
	bool machine_kept; /* it says something, so it will be printed */
	struct machine_config cfg;
	u64 options_seen; /* bit per machine option */
	struct strbuf options;
	struct strbuf lead;  /* comments that wait for the line that they belong to */
	bool blank;	     /* an empty line waits too */
	struct names *names; /* by enum def_kind */
	char quote[QUOTE];
};

static int __attribute__((format(printf, 2, 3))) fail(struct parser *ps, const char *fmt, ...)
{
	va_list ap;

	ps->err->line = ps->line;
	va_start(ap, fmt);
	vsnprintf(ps->err->what, sizeof(ps->err->what), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* A piece of the text, fit to be printed. */
static const char *quote(struct parser *ps, const char *text, size_t len)
{
	size_t n = 0;

	for (; n < len && n < QUOTE - 4; n++)
		ps->quote[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	if (n < len) {
		memcpy(ps->quote + n, "...", 3);
		n += 3;
	}
	ps->quote[n] = '\0';
	return ps->quote;
}

/* ---- tokens --------------------------------------------------------------------------------- */

static bool is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void skip_blanks(struct parser *ps)
{
	while (ps->cur < ps->end && (*ps->cur == ' ' || *ps->cur == '\t'))
		ps->cur++;
}

/* Next character after blanks, '\0' at the end of the line or before a comment. */
static char peek(struct parser *ps)
{
	skip_blanks(ps);
	return ps->cur < ps->end && *ps->cur != '#' ? *ps->cur : '\0';
}

static bool accept(struct parser *ps, char c)
{
	if (peek(ps) != c)
		return false;
	ps->cur++;
	return true;
}

struct word {
	const char *s;
	size_t len;
};

static struct word peek_word(struct parser *ps)
{
	struct word w;

	skip_blanks(ps);
	w.s = ps->cur;
	w.len = 0;
	while (w.s + w.len < ps->end && is_word_char(w.s[w.len]))
		w.len++;
	return w;
}

static bool word_is(struct word w, const char *text)
{
	return strlen(text) == w.len && !memcmp(text, w.s, w.len);
}

/* What stands at the cursor, for a message. */
static const char *found(struct parser *ps)
{
	struct word w;

	if (!peek(ps))
		return "the end of the line";
	w = peek_word(ps);
	return quote(ps, w.s, w.len ? w.len : 1);
}

static int expected(struct parser *ps, const char *what)
{
	return fail(ps, "expected %s, found %s", what, found(ps));
}

static int expect_char(struct parser *ps, char c)
{
	char text[4] = {'\'', c, '\'', '\0'};

	return accept(ps, c) ? 0 : expected(ps, text);
}

/* ---- hints ---------------------------------------------------------------------------------- */

#define HINT_LEN 16u

/* Insertions, deletions, replacements and swaps of neighbours between two short words. */
static u32 distance(struct word a, const char *b)
{
	u32 d[HINT_LEN + 1][HINT_LEN + 1], nb = (u32)strlen(b);

	for (u32 i = 0; i <= a.len; i++)
		d[i][0] = i;
	for (u32 j = 0; j <= nb; j++)
		d[0][j] = j;
	for (u32 i = 1; i <= a.len; i++) {
		for (u32 j = 1; j <= nb; j++) {
			u32 best = d[i - 1][j - 1] + (a.s[i - 1] != b[j - 1]);

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a.s[i - 1] == b[j - 2] && a.s[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[a.len][nb];
}

/* Of names that are equally near, the one with the same first letter. */
static int unknown_op(struct parser *ps, struct word w)
{
	const char *nearest = NULL;
	u32 best = 6;

	for (u32 i = 0; i < NR_OPS && w.len && w.len <= HINT_LEN; i++) {
		const char *name = op_table[i].name;
		u32 d = best;

		if (strlen(name) <= HINT_LEN)
			d = 2 * distance(w, name) + (name[0] != w.s[0]);
		if (d < best && d < 2 * w.len) {
			best = d;
			nearest = name;
		}
	}
	if (nearest)
		return fail(ps, "unknown operation %s, did you mean %s?", quote(ps, w.s, w.len),
			    nearest);
	return fail(ps, "unknown operation %s", quote(ps, w.s, w.len));
}

static int not_yet(struct parser *ps, const char *what)
{
	return fail(ps, "%s: not supported yet", what);
}

/* ---- numbers and names ---------------------------------------------------------------------- */

/* Decimal or 0x, with an optional p for pages. */
static int parse_number(struct parser *ps, u64 *val)
{
	struct word w = peek_word(ps);
	u64 base = 10;
	size_t i = 0, digits = 0;

	if (!w.len || !is_digit(w.s[0]))
		return expected(ps, "a number");
	if (w.len > 1 && w.s[0] == '0' && w.s[1] == 'x') {
		base = 16;
		i = 2;
	}
	*val = 0;
	for (; i < w.len; i++, digits++) {
		char c = w.s[i];
		u64 digit = 16;

		if (is_digit(c))
			digit = (u64)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (u64)(c - 'a') + 10;
		else if (c >= 'A' && c <= 'F')
			digit = (u64)(c - 'A') + 10;
		if (digit >= base)
			break;
		if (__builtin_mul_overflow(*val, base, val) ||
		    __builtin_add_overflow(*val, digit, val))
			return fail(ps, "number %s is too large", quote(ps, w.s, w.len));
	}
	if (digits && i + 1 == w.len && w.s[i] == 'p') {
		if (__builtin_mul_overflow(*val, PAGE_SIZE, val))
			return fail(ps, "number %s is too large", quote(ps, w.s, w.len));
		i++;
	}
	if (!digits || i < w.len)
		return fail(ps, "%s is not a number", quote(ps, w.s, w.len));
	ps->cur += w.len;
	return 0;
}

/* Is w a letter and a number, as names are? */
static bool is_name(struct word w, char letter)
{
	if (w.len < 2 || w.s[0] != letter)
		return false;
	for (size_t i = 1; i < w.len; i++)
		if (!is_digit(w.s[i]))
			return false;
	return true;
}

static int name_number(struct parser *ps, struct word w, u32 *nr)
{
	*nr = 0;
	for (size_t i = 1; i < w.len; i++) {
		*nr = *nr * 10 + (u32)(w.s[i] - '0');
		if (*nr >= MAX_NAME)
			return fail(ps, "%s: names count up to %u", quote(ps, w.s, w.len),
				    MAX_NAME - 1);
	}
	return 0;
}

static int name_use(struct parser *ps, struct word w, enum def_kind kind, u32 *ref)
{
	const u32 *chunk;
	u32 nr;
	int ret = name_number(ps, w, &nr);

	if (ret)
		return ret;
	chunk = ps->names[kind].chunks[nr / NAME_CHUNK];
	if (!chunk || !chunk[nr % NAME_CHUNK])
		return fail(ps, "no earlier line defines %s", quote(ps, w.s, w.len));
	*ref = chunk[nr % NAME_CHUNK] - 1;
	ps->cur += w.len;
	return 0;
}

static int name_define(struct parser *ps, struct word w, enum def_kind kind, u32 ref)
{
	u32 **chunk, nr;
	int ret = name_number(ps, w, &nr);

	if (ret)
		return ret;
	chunk = &ps->names[kind].chunks[nr / NAME_CHUNK];
	if (!*chunk) {
		*chunk = calloc(NAME_CHUNK, sizeof(**chunk));
		if (!*chunk)
			return -ENOMEM;
	}
	if ((*chunk)[nr % NAME_CHUNK])
		return fail(ps, "%s is defined already: a name is given once",
			    quote(ps, w.s, w.len));
	(*chunk)[nr % NAME_CHUNK] = ref + 1;
	return 0;
}

static void names_free(struct names *names)
{
	for (u32 kind = 0; names && kind <= DEF_FILE; kind++)
		for (u32 i = 0; i < ARRAY_SIZE(names[kind].chunks); i++)
			free(names[kind].chunks[i]);
	free(names);
}

/* ---- arguments ------------------------------------------------------------------------------ */

/* { ('+' | '-') number }, in two's complement. */
static int parse_offsets(struct parser *ps, u64 *val)
{
	s64 sum = 0;
	u64 mag;

	while (peek(ps) == '+' || peek(ps) == '-') {
		bool minus = *ps->cur++ == '-';
		bool overflow;
		int ret = parse_number(ps, &mag);

		if (ret)
			return ret;
		overflow = minus ? __builtin_sub_overflow(sum, mag, &sum)
				 : __builtin_add_overflow(sum, mag, &sum);
		if (overflow)
			return fail(ps, "offset is too large");
	}
	*val = (u64)sum;
	return 0;
}

static int parse_addr(struct parser *ps, struct arg *arg)
{
	struct word w = peek_word(ps);
	int ret;

	if (w.len && is_digit(w.s[0])) {
		arg->base = BASE_ABS;
		return parse_number(ps, &arg->val);
	}
	if (is_name(w, 'r')) {
		arg->base = BASE_REF;
		ret = name_use(ps, w, DEF_RESULT, &arg->ref);
		return ret ? ret : parse_offsets(ps, &arg->val);
	}
	for (u32 i = 0; i < NR_BASES; i++) {
		if (base_names[i] && word_is(w, base_names[i])) {
			arg->base = (u8)i;
			ps->cur += w.len;
			return parse_offsets(ps, &arg->val);
		}
	}
	return expected(ps, "an address (a number, rN, w, brk or stack)");
}

static int parse_letters(struct parser *ps, enum arg_kind kind, u64 *val)
{
	struct word w = peek_word(ps);
	unsigned int nr;
	const struct flag_word *letters = kind_words(kind, &nr);

	*val = 0;
	if (!w.len)
		return expected(ps, "letters of rwx, or none");
	if (word_is(w, "none"))
		goto out;
	for (size_t i = 0; i < w.len; i++) {
		unsigned int k = 0;

		while (k < nr && letters[k].word[0] != w.s[i])
			k++;
		if (k == nr || *val & letters[k].bits)
			return fail(ps, "%s is neither letters of rwx nor none",
				    quote(ps, w.s, w.len));
		*val |= letters[k].bits;
	}
out:
	ps->cur += w.len;
	return 0;
}

static int parse_words(struct parser *ps, enum arg_kind kind, u64 *val)
{
	struct word w = peek_word(ps);
	unsigned int nr, k;
	const struct flag_word *words = kind_words(kind, &nr);

	*val = 0;
	if (word_is(w, "0") || word_is(w, "none")) {
		ps->cur += w.len;
		return 0;
	}
	do {
		w = peek_word(ps);
		if (!w.len)
			return expected(ps, "a flag");
		for (k = 0; k < nr && !word_is(w, words[k].word); k++)
			;
		if (k == nr)
			return fail(ps, "unknown flag %s", quote(ps, w.s, w.len));
		if (*val & words[k].bits)
			return fail(ps, "flag %s is there twice", quote(ps, w.s, w.len));
		*val |= words[k].bits;
		ps->cur += w.len;
	} while (accept(ps, '|'));
	return 0;
}

static int parse_choice(struct parser *ps, enum arg_kind kind, u64 *val)
{
	struct word w = peek_word(ps);
	unsigned int nr;
	const struct flag_word *values = kind_values(kind, &nr);

	for (unsigned int i = 0; i < nr; i++) {
		if (word_is(w, values[i].word)) {
			*val = values[i].bits;
			ps->cur += w.len;
			return 0;
		}
	}
	return parse_number(ps, val);
}

static int parse_file(struct parser *ps, u32 *ref)
{
	struct word w = peek_word(ps);

	if (is_name(w, 'f'))
		return name_use(ps, w, DEF_FILE, ref);
	if (!word_is(w, "none"))
		return expected(ps, "a file (fN or none)");
	*ref = NO_REF;
	ps->cur += w.len;
	return 0;
}

static int parse_arg(struct parser *ps, enum arg_kind kind, struct arg *arg)
{
	switch (kind) {
	case ARG_ADDR:
		return parse_addr(ps, arg);
	case ARG_PROT:
	case ARG_MODE:
		return parse_letters(ps, kind, &arg->val);
	case ARG_MAP:
	case ARG_CLONE:
	case ARG_MREMAP:
	case ARG_MLOCK:
	case ARG_MCL:
		return parse_words(ps, kind, &arg->val);
	case ARG_ADVICE:
	case ARG_POLICY:
		return parse_choice(ps, kind, &arg->val);
	case ARG_FILE:
		return parse_file(ps, &arg->ref);
	default:
		return parse_number(ps, &arg->val);
	}
}

/* addr, len, prot [, file [, offset]] ']' */
static int parse_seg(struct parser *ps, struct op *op)
{
	struct prog_seg *seg;
	u64 prot;
	int ret;

	if (op->code != OP_exec)
		return fail(ps, "only exec has segments");
	if (op->nr_segs == PROG_MAX_SEGS)
		return fail(ps, "more than %u segments", PROG_MAX_SEGS);
	seg = program_add_seg(ps->p, op);
	if (!seg)
		return -ENOMEM;
	ret = parse_addr(ps, &seg->start);
	if (ret)
		return ret;
	if (seg->start.base != BASE_ABS && seg->start.base != BASE_WINDOW)
		return fail(ps, "a segment starts at a number or in the window");
	ret = expect_char(ps, ',');
	if (!ret)
		ret = parse_number(ps, &seg->len);
	if (!ret)
		ret = expect_char(ps, ',');
	if (!ret)
		ret = parse_letters(ps, ARG_PROT, &prot);
	if (ret)
		return ret;
	seg->prot = (u32)prot;
	if (accept(ps, ','))
		ret = parse_file(ps, &seg->file);
	if (!ret && accept(ps, ','))
		ret = parse_number(ps, &seg->offset);
	if (ret)
		return ret;
	return expect_char(ps, ']');
}

/* One argument: a segment, NAME=value, or the next by position. */
static int parse_one_arg(struct parser *ps, struct op *op, u32 *next, u32 *given)
{
	const struct op_info *info = &op_table[op->code];
	const char *start = ps->cur;
	struct word w;
	u32 i = *next;

	if (!peek(ps) || peek(ps) == ')')
		return expected(ps, "an argument");
	if (accept(ps, '['))
		return parse_seg(ps, op);
	w = peek_word(ps);
	ps->cur = w.s + w.len;
	if (w.len && accept(ps, '=')) {
		for (i = 0; i < info->nr_args && !word_is(w, info->args[i].name); i++)
			;
		if (i == info->nr_args)
			return fail(ps, "%s has no argument %s", info->name, quote(ps, w.s, w.len));
		*next = info->nr_args;
	} else {
		ps->cur = start;
		if (i == info->nr_args)
			return fail(ps, "%s takes %u argument%s, by position before those by name",
				    info->name, info->nr_args, info->nr_args == 1 ? "" : "s");
		(*next)++;
	}
	if (*given & (1u << i))
		return fail(ps, "argument %s is there twice", info->args[i].name);
	*given |= 1u << i;
	return parse_arg(ps, info->args[i].kind, &op->args[i]);
}

static int parse_args(struct parser *ps, struct op *op)
{
	const struct op_info *info = &op_table[op->code];
	u32 next = 0, given = 0;
	int ret = expect_char(ps, '(');

	if (ret)
		return ret;
	if (!accept(ps, ')')) {
		do {
			ret = parse_one_arg(ps, op, &next, &given);
			if (ret)
				return ret;
		} while (accept(ps, ','));
		if (!accept(ps, ')'))
			return expected(ps, "',' or ')'");
	}
	for (u32 i = 0; i < info->nr_args; i++)
		if (!(given & (1u << i)) && !info->args[i].optional)
			return fail(ps, "%s needs its argument %s", info->name, info->args[i].name);
	return 0;
}

/* ---- marks and expectation ------------------------------------------------------------------ */

static int parse_mark(struct parser *ps, struct op *op)
{
	const char *start = ps->cur;
	struct fi_item *item;
	char why[sizeof(ps->err->what)];

	for (; ps->cur < ps->end && !strchr(" \t#!", *ps->cur); ps->cur++)
		if (*ps->cur < ' ' || *ps->cur > '~')
			return fail(ps, "a mark holds printable characters");
	if (op->nr_faults == FI_MAX_ITEMS)
		return fail(ps, "more than %u marks on one operation", FI_MAX_ITEMS);
	item = program_add_fault(ps->p, op);
	if (!item)
		return -ENOMEM;
	if (fi_item_parse(start, (size_t)(ps->cur - start), item, why, sizeof(why)))
		return fail(ps, "%s", why);
	item->op = FI_OP_ANY;
	return 0;
}

static int parse_errno(struct parser *ps, struct expect *expect)
{
	struct word w = peek_word(ps);
	int err;

	expect->kind = EXPECT_ERRNO;
	if (w.len && is_digit(w.s[0])) {
		int ret = parse_number(ps, &expect->val.val);

		if (ret)
			return ret;
		if (expect->val.val < 1 || expect->val.val > 4095)
			return fail(ps, "an errno is a number from 1 to 4095");
		return 0;
	}
	err = errno_find(w.s, w.len);
	if (err <= 0)
		return fail(ps, "unknown errno %s", quote(ps, w.s, w.len));
	expect->val.val = (u64)err;
	ps->cur += w.len;
	return 0;
}

static int parse_expect(struct parser *ps, struct expect *expect)
{
	static const struct {
		const char *word;
		enum expect_kind kind;
	} words[] = {
		{"SIGSEGV", EXPECT_SIGSEGV},
		{"SIGBUS", EXPECT_SIGBUS},
		{"OOM", EXPECT_OOM},
		{"skip", EXPECT_SKIP},
	};
	struct word w;

	if (expect->kind != EXPECT_NONE)
		return fail(ps, "more than one expectation");
	if (accept(ps, '-'))
		return parse_errno(ps, expect);
	w = peek_word(ps);
	for (u32 i = 0; i < ARRAY_SIZE(words); i++) {
		if (word_is(w, words[i].word)) {
			expect->kind = (u8)words[i].kind;
			ps->cur += w.len;
			return 0;
		}
	}
	if (!w.len || !(is_digit(w.s[0]) || (w.s[0] >= 'a' && w.s[0] <= 'z')))
		return expected(ps, "a value, -ERRNO, SIGSEGV, SIGBUS, OOM or skip");
	expect->kind = EXPECT_VALUE;
	return parse_addr(ps, &expect->val);
}

/* `| PROFILE: EXPECTATION`: what holds instead under that profile. */
static int parse_variant(struct parser *ps, struct op *op)
{
	struct machine_config cfg;
	const char *start;
	size_t len;

	if (op->expect.kind == EXPECT_NONE)
		return fail(ps, "what a profile does otherwise comes after what is expected");
	if (op->variant.expect.kind != EXPECT_NONE)
		return fail(ps, "more than one expectation of a profile");
	skip_blanks(ps);
	start = ps->cur;
	while (ps->cur < ps->end && (is_word_char(*ps->cur) || *ps->cur == '-' || *ps->cur == '.'))
		ps->cur++;
	len = (size_t)(ps->cur - start);
	if (!len)
		return expected(ps, "a profile");
	machine_config_init(&cfg);
	if (machine_config_set(&cfg, "profile", strlen("profile"), start, len, ps->err->what,
			       sizeof(ps->err->what))) {
		ps->err->line = ps->line;
		return -EINVAL;
	}
	op->variant.profile = (u8)cfg.profile;
	if (!accept(ps, ':'))
		return expected(ps, "':'");
	return parse_expect(ps, &op->variant.expect);
}

/* ---- lines ---------------------------------------------------------------------------------- */

/* Gives the comments that wait to *field; an empty line keeps its place among them. */
static int take_lead(struct parser *ps, char **field)
{
	int ret;

	if (ps->blank)
		sb_puts(&ps->lead, "\n");
	ps->blank = false;
	if (ps->lead.failed)
		return -ENOMEM;
	ret = program_set_text(field, ps->lead.s, ps->lead.len);
	ps->lead.len = 0;
	return ret;
}

static void add_lead(struct parser *ps, const char *text, size_t len)
{
	if (ps->blank)
		sb_puts(&ps->lead, "\n");
	ps->blank = false;
	sb_add(&ps->lead, text, len);
	sb_puts(&ps->lead, "\n");
}

/* `NAME =` before an operation that defines something. */
static int parse_def(struct parser *ps, struct word *def)
{
	struct word w = peek_word(ps);
	const char *start = w.s;

	def->len = 0;
	ps->cur = w.s + w.len;
	if (!w.len || !accept(ps, '=')) {
		ps->cur = start;
		return 0;
	}
	if (!is_name(w, 'r') && !is_name(w, 't') && !is_name(w, 'f'))
		return fail(ps, "%s is not a name: rN is a result, tN a task, fN a file",
			    quote(ps, w.s, w.len));
	*def = w;
	return 0;
}

static int parse_op_code(struct parser *ps, u32 *code)
{
	struct word w = peek_word(ps);

	if (!w.len)
		return expected(ps, "an operation");
	if (word_is(w, "sched"))
		return not_yet(ps, "sched(tN, cpu)");
	if (word_is(w, "op"))
		return not_yet(ps, "op @point:n { ops }");
	for (*code = 0; *code < NR_OPS && !word_is(w, op_table[*code].name); ++*code)
		;
	if (*code == NR_OPS)
		return unknown_op(ps, w);
	ps->cur += w.len;
	return 0;
}

static int check_def(struct parser *ps, const struct op_info *info, struct word def)
{
	static const char letters[] = {
		[DEF_NONE] = 0, [DEF_RESULT] = 'r', [DEF_TASK] = 't', [DEF_FILE] = 'f'};

	if (!def.len || def.s[0] == letters[info->def])
		return 0;
	if (info->def == DEF_NONE)
		return fail(ps, "%s defines no name", info->name);
	return fail(ps, "%s defines a %cN, not %s", info->name, letters[info->def],
		    quote(ps, def.s, def.len));
}

/* Everything after the arguments: marks, expectation, comment. */
static int parse_rest(struct parser *ps, struct op *op)
{
	int ret = 0;

	while (!ret && peek(ps)) {
		if (*ps->cur == '@' || *ps->cur == '{' || *ps->cur == '}')
			return not_yet(ps, "op @point:n { ops }");
		if (accept(ps, '!'))
			ret = parse_mark(ps, op);
		else if (accept(ps, '='))
			ret = parse_expect(ps, &op->expect);
		else if (accept(ps, '|'))
			ret = parse_variant(ps, op);
		else
			return expected(ps, "'!', '=' or the end of the line");
	}
	if (!ret && ps->cur < ps->end)
		ret = program_set_text(&op->tail, ps->cur, (size_t)(ps->end - ps->cur));
	return ret;
}

static int parse_op(struct parser *ps)
{
	struct program *p = ps->p;
	struct word def, task = peek_word(ps);
	const struct op_info *info;
	struct op *op;
	u32 code = NR_OPS, task_ref = 0;
	int ret;

	if (word_is(task, "sched"))
		return not_yet(ps, "sched(tN, cpu)");
	if (word_is(task, "op") || peek(ps) == '{' || peek(ps) == '}' || peek(ps) == '@')
		return not_yet(ps, "op @point:n { ops }");
	if (!is_name(task, 't'))
		return expected(ps, "the task that acts (tN:)");
	ret = name_use(ps, task, DEF_TASK, &task_ref);
	if (!ret)
		ret = expect_char(ps, ':');
	if (!ret)
		ret = parse_def(ps, &def);
	if (!ret)
		ret = parse_op_code(ps, &code);
	if (ret)
		return ret;
	info = &op_table[code];
	ret = check_def(ps, info, def);
	if (ret)
		return ret;
	if (peek(ps) == '@')
		return not_yet(ps, "op @point:n { ops }");

	if (p->nr_ops == PROG_MAX_OPS)
		return fail(ps, "more than %u operations", PROG_MAX_OPS);
	op = program_add(p, (enum op_code)code, task_ref);
	if (!op)
		return -ENOMEM;
	op->line = ps->line;
	ret = parse_args(ps, op);
	if (!ret)
		ret = parse_rest(ps, op);
	if (ret)
		return ret;
	/* Without a machine line the first comments speak of the whole program. */
	ret = take_lead(ps, p->nr_ops == 1 && !ps->machine_kept ? &p->head : &op->comment);
	if (ret)
		return ret;
	return def.len ? name_define(ps, def, info->def, op->def) : 0;
}

/* An option of the machine line, kept in its canonical form. */
static int parse_option(void *priv, const char *name, size_t name_len, const char *value,
			size_t value_len)
{
	struct parser *ps = priv;
	char text[64];
	u32 i;

	if (!value)
		return fail(ps, "%s is not of the form OPTION=VALUE", quote(ps, name, name_len));
	if (name_len == strlen("teardown") && !memcmp(name, "teardown", name_len)) {
		if (ps->options_seen >> 63)
			return fail(ps, "teardown is there twice");
		ps->options_seen |= (u64)1 << 63;
		if (program_set_teardown(ps->p, value, value_len))
			return fail(ps, "teardown is newest, oldest or shuffle:SEED, not %s",
				    quote(ps, value, value_len));
		return 0;
	}
	/* Its message quotes the text; what it quotes must be printable. */
	for (size_t k = 0; k < name_len + 1 + value_len; k++)
		if (name[k] < ' ' || name[k] > '~')
			return fail(ps, "%s is no machine option",
				    quote(ps, name, name_len + 1 + value_len));
	if (machine_config_set(&ps->cfg, name, name_len, value, value_len, ps->err->what,
			       sizeof(ps->err->what))) {
		ps->err->line = ps->line;
		return -EINVAL;
	}
	i = machine_option_find(name, name_len);
	if (ps->options_seen & (u64)1 << i)
		return fail(ps, "%s is there twice", machine_options[i].name);
	ps->options_seen |= (u64)1 << i;
	machine_config_print(&ps->cfg, i, text, sizeof(text));
	sb_printf(&ps->options, "%s%s=%s", ps->options.len ? " " : "", machine_options[i].name,
		  text);
	return 0;
}

static int parse_machine(struct parser *ps)
{
	const char *comment;
	int ret;

	if (ps->machine_seen)
		return fail(ps, "there is a machine line already");
	if (ps->p->nr_ops)
		return fail(ps, "the machine line comes before the first operation");
	ps->machine_seen = true;
	ps->cur += strlen("machine");

	comment = memchr(ps->cur, '#', (size_t)(ps->end - ps->cur));
	if (comment)
		add_lead(ps, comment, (size_t)(ps->end - comment));
	else
		comment = ps->end;
	ret = for_each_option(ps->cur, (size_t)(comment - ps->cur), parse_option, ps);
	if (ret)
		return ret;
	if (machine_config_check(&ps->cfg, ps->err->what, sizeof(ps->err->what))) {
		ps->err->line = ps->line;
		return -EINVAL;
	}
	if (ps->options.failed || program_set_text(&ps->p->machine, ps->options.s, ps->options.len))
		return -ENOMEM;
	ps->machine_kept = ps->p->machine || ps->p->teardown != TEARDOWN_NEWEST;
	return ps->machine_kept ? take_lead(ps, &ps->p->head) : 0;
}

/* "# faultline 1" */
static int parse_magic(struct parser *ps)
{
	static const char magic[] = "# faultline ";
	size_t n = sizeof(magic) - 1, len = (size_t)(ps->end - ps->cur);

	if (len < n || memcmp(ps->cur, magic, n))
		return fail(ps, "the first line must be: # faultline 1");
	ps->cur += n;
	skip_blanks(ps);
	if (ps->end - ps->cur != 1 || *ps->cur != '1')
		return fail(ps, "version %s is not supported: this is version 1",
			    quote(ps, ps->cur, (size_t)(ps->end - ps->cur)));
	return 0;
}

static int parse_line(struct parser *ps)
{
	struct word w;

	if (memchr(ps->cur, '\0', (size_t)(ps->end - ps->cur)))
		return fail(ps, "a NUL byte in a text");
	while (ps->end > ps->cur && strchr(" \t\r", ps->end[-1]))
		ps->end--;
	if (ps->line == 1)
		return parse_magic(ps);
	skip_blanks(ps);
	if (ps->cur == ps->end) {
		/* Nothing to stand apart from at the very top. */
		ps->blank = ps->lead.len || ps->p->nr_ops || ps->machine_kept;
		return 0;
	}
	if (*ps->cur == '#') {
		add_lead(ps, ps->cur, (size_t)(ps->end - ps->cur));
		return ps->lead.failed ? -ENOMEM : 0;
	}
	w = peek_word(ps);
	return word_is(w, "machine") ? parse_machine(ps) : parse_op(ps);
}

static int parse_lines(struct parser *ps, const char *text, size_t len)
{
	const char *end = text + len;
	int ret = 0;

	do {
		const char *nl = memchr(text, '\n', (size_t)(end - text));

		ps->line++;
		ps->cur = text;
		ps->end = nl ? nl : end;
		text = nl ? nl + 1 : end;
		ret = parse_line(ps);
	} while (!ret && text < end);
	if (ret)
		return ret;
	ps->blank = false;
	return take_lead(ps, ps->p->nr_ops || ps->machine_kept ? &ps->p->foot : &ps->p->head);
}

int program_parse(struct program *p, const char *text, size_t len, struct prog_error *err)
{
	struct parser ps = {.p = p, .err = err};
	const struct word t0 = {"t0", 2};
	int ret;

	program_init(p);
	*err = (struct prog_error){0};
	if (len > PROG_MAX_TEXT) {
		snprintf(err->what, sizeof(err->what), "larger than %u MiB", PROG_MAX_TEXT >> 20);
		return -EINVAL;
	}
	machine_config_init(&ps.cfg);
	ps.names = calloc(DEF_FILE + 1, sizeof(*ps.names));
	ret = ps.names ? name_define(&ps, t0, DEF_TASK, 0) : -ENOMEM;
	if (!ret)
		ret = parse_lines(&ps, text, len);
	names_free(ps.names);
	sb_free(&ps.options);
	sb_free(&ps.lead);
	if (ret)
		program_free(p);
	return ret;
}
