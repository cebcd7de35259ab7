/* SPDX-License-Identifier: GPL-2.0-only */
/* Program to text. */
#include <stdio.h>
#include <string.h>

#include "program_priv.h"

/* Above this many pages a length or offset reads better in hexadecimal. */
#define MANY_PAGES ((u64)1 << 20)

static void print_value(struct strbuf *sb, u64 val)
{
	sb_printf(sb, val < 10 ? "%llu" : "0x%llx", (unsigned long long)val);
}

static void print_len(struct strbuf *sb, u64 val)
{
	if (val && !offset_in_page(val) && val >> PAGE_SHIFT < MANY_PAGES)
		sb_printf(sb, "%llup", (unsigned long long)(val >> PAGE_SHIFT));
	else
		print_value(sb, val);
}

static void print_addr(struct strbuf *sb, const struct arg *arg)
{
	bool minus = arg->val >> 63;

	if (arg->base == BASE_ABS) {
		sb_printf(sb, "0x%llx", (unsigned long long)arg->val);
		return;
	}
	if (arg->base == BASE_REF)
		sb_printf(sb, "r%u", arg->ref);
	else
		sb_puts(sb, base_names[arg->base]);
	if (arg->val) {
		sb_puts(sb, minus ? "-" : "+");
		print_len(sb, minus ? -arg->val : arg->val);
	}
}

static void print_flags(struct strbuf *sb, enum arg_kind kind, u64 val)
{
	bool letters = kind == ARG_PROT || kind == ARG_MODE, any = false;
	unsigned int nr;
	u32 said = 0;
	const struct flag_word *words = kind_words(kind, &nr);

	for (unsigned int i = 0; i < nr; i++) {
		/* a word may say what another has said: that a thread shares its handlers */
		if ((val & words[i].bits) != words[i].bits || !(words[i].bits & ~said))
			continue;
		said |= words[i].bits;
		if (any && !letters)
			sb_puts(sb, "|");
		sb_puts(sb, words[i].word);
		any = true;
	}
	if (!any)
		sb_puts(sb, letters ? "none" : "0");
}

static void print_file(struct strbuf *sb, u32 ref)
{
	if (ref == NO_REF)
		sb_puts(sb, "none");
	else
		sb_printf(sb, "f%u", ref);
}

static void print_choice(struct strbuf *sb, enum arg_kind kind, u64 val)
{
	unsigned int nr;
	const struct flag_word *values = kind_values(kind, &nr);

	for (unsigned int i = 0; i < nr; i++) {
		if (values[i].bits == val) {
			sb_puts(sb, values[i].word);
			return;
		}
	}
	print_value(sb, val);
}

static void print_arg(struct strbuf *sb, enum arg_kind kind, const struct arg *arg)
{
	switch (kind) {
	case ARG_ADDR:
		print_addr(sb, arg);
		break;
	case ARG_LEN:
		print_len(sb, arg->val);
		break;
	case ARG_FILE:
		print_file(sb, arg->ref);
		break;
	case ARG_ADVICE:
	case ARG_POLICY:
		print_choice(sb, kind, arg->val);
		break;
	case ARG_VALUE:
		print_value(sb, arg->val);
		break;
	default:
		print_flags(sb, kind, arg->val);
		break;
	}
}

static bool arg_is_default(enum arg_kind kind, const struct arg *arg)
{
	return kind == ARG_FILE ? arg->ref == NO_REF : arg->base == BASE_ABS && arg->val == 0;
}

static void print_seg(struct strbuf *sb, const struct prog_seg *seg)
{
	sb_puts(sb, "[");
	print_addr(sb, &seg->start);
	sb_puts(sb, ", ");
	print_len(sb, seg->len);
	sb_puts(sb, ", ");
	print_flags(sb, ARG_PROT, seg->prot);
	if (seg->file != NO_REF || seg->offset) {
		sb_puts(sb, ", ");
		print_file(sb, seg->file);
	}
	if (seg->offset) {
		sb_puts(sb, ", ");
		print_len(sb, seg->offset);
	}
	sb_puts(sb, "]");
}

/* Segments, then by name whatever is not at its default. */
static void print_exec_args(struct strbuf *sb, const struct program *p, const struct op *op)
{
	const struct op_info *info = &op_table[op->code];
	const char *sep = "";

	for (u32 i = 0; i < op->nr_segs; i++) {
		sb_puts(sb, sep);
		print_seg(sb, &p->segs[op->seg + i]);
		sep = ", ";
	}
	for (u32 i = 0; i < info->nr_args; i++) {
		if (arg_is_default(info->args[i].kind, &op->args[i]))
			continue;
		sb_printf(sb, "%s%s=", sep, info->args[i].name);
		print_arg(sb, info->args[i].kind, &op->args[i]);
		sep = ", ";
	}
}

static void print_args(struct strbuf *sb, const struct op *op)
{
	const struct op_info *info = &op_table[op->code];
	u32 nr = info->nr_args;

	while (nr && info->args[nr - 1].optional &&
	       arg_is_default(info->args[nr - 1].kind, &op->args[nr - 1]))
		nr--;
	for (u32 i = 0; i < nr; i++) {
		if (i)
			sb_puts(sb, ", ");
		print_arg(sb, info->args[i].kind, &op->args[i]);
	}
}

static void print_expect(struct strbuf *sb, const struct expect *expect)
{
	const char *name;

	switch (expect->kind) {
	case EXPECT_VALUE:
		if (expect->val.base == BASE_ABS)
			print_value(sb, expect->val.val);
		else
			print_addr(sb, &expect->val);
		break;
	case EXPECT_ERRNO:
		name = errno_name((int)expect->val.val);
		if (name)
			sb_printf(sb, "-%s", name);
		else
			sb_printf(sb, "-%llu", (unsigned long long)expect->val.val);
		break;
	case EXPECT_SIGSEGV:
		sb_puts(sb, "SIGSEGV");
		break;
	case EXPECT_SIGBUS:
		sb_puts(sb, "SIGBUS");
		break;
	case EXPECT_OOM:
		sb_puts(sb, "OOM");
		break;
	case EXPECT_SKIP:
		sb_puts(sb, "skip");
		break;
	default:
		break;
	}
}

static void print_expects(struct strbuf *sb, const struct op *op)
{
	struct machine_config cfg;
	char name[32];

	if (op->expect.kind == EXPECT_NONE)
		return;
	sb_puts(sb, " = ");
	print_expect(sb, &op->expect);
	if (op->variant.expect.kind == EXPECT_NONE)
		return;
	machine_config_init(&cfg);
	cfg.profile = op->variant.profile;
	machine_config_print(&cfg, machine_option_find("profile", strlen("profile")), name,
			     sizeof(name));
	sb_printf(sb, " | %s: ", name);
	print_expect(sb, &op->variant.expect);
}

static void print_op(struct strbuf *sb, const struct program *p, const struct op *op)
{
	static const char prefix[] = {
		[DEF_NONE] = ' ', [DEF_RESULT] = 'r', [DEF_TASK] = 't', [DEF_FILE] = 'f'};
	const struct op_info *info = &op_table[op->code];
	char item[FI_PLAN_TEXT];

	sb_printf(sb, "t%u: ", op->task);
	if (info->def != DEF_NONE)
		sb_printf(sb, "%c%u = ", prefix[info->def], op->def);
	sb_printf(sb, "%s(", info->name);
	if (op->code == OP_exec)
		print_exec_args(sb, p, op);
	else
		print_args(sb, op);
	sb_puts(sb, ")");
	for (u32 i = 0; i < op->nr_faults; i++) {
		fi_item_print(&p->faults[op->fault + i], false, item, sizeof(item));
		sb_puts(sb, " !");
		sb_puts(sb, item);
	}
	print_expects(sb, op);
}

static void print_machine(struct strbuf *sb, const struct program *p)
{
	if (!p->machine && p->teardown == TEARDOWN_NEWEST)
		return;
	sb_puts(sb, "machine");
	if (p->machine) {
		sb_puts(sb, " ");
		sb_puts(sb, p->machine);
	}
	if (p->teardown != TEARDOWN_NEWEST)
		sb_printf(sb, " teardown=%s", teardown_names[p->teardown]);
	if (p->teardown == TEARDOWN_SHUFFLE)
		sb_printf(sb, ":%llu", (unsigned long long)p->teardown_seed);
	sb_puts(sb, "\n");
}

int program_print(const struct program *p, char **out, size_t *len)
{
	struct strbuf sb = {0};

	sb_puts(&sb, "# faultline 1\n");
	if (p->head)
		sb_puts(&sb, p->head);
	print_machine(&sb, p);
	for (u32 i = 0; i < p->nr_ops; i++) {
		const struct op *op = &p->ops[i];

		if (op->comment)
			sb_puts(&sb, op->comment);
		print_op(&sb, p, op);
		if (op->tail) {
			sb_puts(&sb, " ");
			sb_puts(&sb, op->tail);
		}
		sb_puts(&sb, "\n");
	}
	if (p->foot)
		sb_puts(&sb, p->foot);
	*out = sb_take(&sb, len);
	return *out ? 0 : -ENOMEM;
}

int program_print_op(const struct program *p, u32 i, char *buf, size_t len)
{
	struct strbuf sb = {.s = buf, .cap = len, .fixed = true};

	if (len)
		buf[0] = '\0';
	print_op(&sb, p, &p->ops[i]);
	return sb.len > INT32_MAX ? INT32_MAX : (int)sb.len;
}
