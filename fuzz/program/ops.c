/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of operations, the words of their arguments, and the reference page made from both. */
#include <string.h>

#include <faultline/mm_types.h>
#include <faultline/syscalls.h>

#include "program_priv.h"

#define ARG(name, kind)            \
	{                          \
#name, kind, false \
	}
#define OPT(name, kind)           \
	{                         \
#name, kind, true \
	}
#define ARG_END
#define NR_ARGS(...) (sizeof((struct op_arg_info[]){__VA_ARGS__}) / sizeof(struct op_arg_info))

const struct op_info op_table[NR_OPS] = {
#define OP(name, def, weight, what, ...) \
	[OP_##name] = {#name, def, weight, what, NR_ARGS(__VA_ARGS__), {__VA_ARGS__}},
#include "ops.def"
#undef OP
};

const struct flag_word map_words[] = {
	{"private", MAP_PRIVATE},
	{"shared", MAP_SHARED},
	{"anon", MAP_ANONYMOUS},
	{"fixed", MAP_FIXED},
	{"noreserve", MAP_NORESERVE},
	{"stack", MAP_STACK},
	{"locked", MAP_LOCKED},
	{"populate", MAP_POPULATE},
	{"noreplace", MAP_FIXED_NOREPLACE},
	{"growsdown", MAP_GROWSDOWN},
	{"32bit", MAP_32BIT},
	{"nonblock", MAP_NONBLOCK},
};
const unsigned int nr_map_words = ARRAY_SIZE(map_words);

const struct flag_word clone_words[] = {
	{"vm", CLONE_VM},	{"vfork", CLONE_VFORK}, {"thread", CLONE_THREAD | CLONE_SIGHAND},
	{"files", CLONE_FILES}, {"fs", CLONE_FS},	{"sighand", CLONE_SIGHAND},
	{"newns", CLONE_NEWNS}, {"io", CLONE_IO},
};
const unsigned int nr_clone_words = ARRAY_SIZE(clone_words);

const struct flag_word advice_words[] = {
	{"normal", MADV_NORMAL},
	{"random", MADV_RANDOM},
	{"sequential", MADV_SEQUENTIAL},
	{"willneed", MADV_WILLNEED},
	{"dontneed", MADV_DONTNEED},
	{"remove", MADV_REMOVE},
	{"dontfork", MADV_DONTFORK},
	{"dofork", MADV_DOFORK},
	{"dontdump", MADV_DONTDUMP},
	{"dodump", MADV_DODUMP},
	{"hugepage", MADV_HUGEPAGE},
	{"nohugepage", MADV_NOHUGEPAGE},
	{"mergeable", MADV_MERGEABLE},
	{"unmergeable", MADV_UNMERGEABLE},
	{"free", MADV_FREE},
};
const unsigned int nr_advice_words = ARRAY_SIZE(advice_words);

static const struct flag_word policy_words[] = {
	{"default", MPOL_DEFAULT},	 {"preferred", MPOL_PREFERRED}, {"bind", MPOL_BIND},
	{"interleave", MPOL_INTERLEAVE}, {"local", MPOL_LOCAL},
};

static const struct flag_word mlock_words[] = {{"onfault", MLOCK_ONFAULT}};

static const struct flag_word mcl_words[] = {
	{"current", MCL_CURRENT},
	{"future", MCL_FUTURE},
	{"onfault", MCL_ONFAULT},
};

static const struct flag_word mremap_words[] = {
	{"maymove", MREMAP_MAYMOVE},
	{"fixed", MREMAP_FIXED},
};

const struct flag_word prot_letters[] = {{"r", PROT_READ}, {"w", PROT_WRITE}, {"x", PROT_EXEC}};
const struct flag_word mode_letters[] = {{"r", FMODE_READ}, {"w", FMODE_WRITE}, {"x", FMODE_EXEC}};

const char *const base_names[NR_BASES] = {
	[BASE_WINDOW] = "w",
	[BASE_BRK] = "brk",
	[BASE_STACK] = "stack",
};

const char *const teardown_names[NR_TEARDOWNS] = {
	[TEARDOWN_NEWEST] = "newest",
	[TEARDOWN_OLDEST] = "oldest",
	[TEARDOWN_SHUFFLE] = "shuffle",
};

const struct flag_word *kind_words(enum arg_kind kind, unsigned int *nr)
{
	switch (kind) {
	case ARG_MAP:
		*nr = nr_map_words;
		return map_words;
	case ARG_CLONE:
		*nr = nr_clone_words;
		return clone_words;
	case ARG_MLOCK:
		*nr = ARRAY_SIZE(mlock_words);
		return mlock_words;
	case ARG_MCL:
		*nr = ARRAY_SIZE(mcl_words);
		return mcl_words;
	case ARG_MREMAP:
		*nr = ARRAY_SIZE(mremap_words);
		return mremap_words;
	case ARG_PROT:
		*nr = NR_LETTERS;
		return prot_letters;
	case ARG_MODE:
		*nr = NR_LETTERS;
		return mode_letters;
	default:
		*nr = 0;
		return NULL;
	}
}

const struct flag_word *kind_values(enum arg_kind kind, unsigned int *nr)
{
	switch (kind) {
	case ARG_ADVICE:
		*nr = nr_advice_words;
		return advice_words;
	case ARG_POLICY:
		*nr = ARRAY_SIZE(policy_words);
		return policy_words;
	default:
		*nr = 0;
		return NULL;
	}
}

u32 kind_mask(enum arg_kind kind)
{
	unsigned int nr;
	const struct flag_word *words = kind_words(kind, &nr);
	u32 mask = 0;

	for (unsigned int i = 0; i < nr; i++)
		mask |= words[i].bits;
	return mask;
}

static const struct {
	enum arg_kind kind;
	const char *name, *form;
} kinds[] = {
	{ARG_ADDR, "address",
	 "a number (`0x7f000`, `3p`), or a base and offsets: `rN+2p` (a result), `w+3p` (the "
	 "window), `brk+1p` (the task's heap), `stack-1p` (the end of its stack)"},
	{ARG_LEN, "length", "a number of bytes, or of pages: `8p`"},
	{ARG_PROT, "prot", "letters of `rwx`, or `none`"},
	{ARG_MAP, "flags",
	 "words of "
	 "`private\\|shared\\|anon\\|fixed\\|noreserve\\|stack\\|locked\\|populate\\|noreplace\\|"
	 "growsdown\\|32bit`, or "
	 "`0`"},
	{ARG_CLONE, "clone flags",
	 "words of `vm\\|vfork\\|thread\\|files\\|fs\\|sighand\\|newns\\|io`, or `0`; a thread "
	 "shares the signal handlers"},
	{ARG_FILE, "file", "`fN`, or `none`"},
	{ARG_MODE, "mode", "letters of `rwx`, as of open; `none`"},
	{ARG_VALUE, "value", "a number"},
	{ARG_MLOCK, "mlock flags", "`onfault`, or `0`"},
	{ARG_MCL, "mlockall flags", "words of `current\\|future\\|onfault`, or `0`"},
	{ARG_ADVICE, "advice",
	 "one of `normal`, `random`, `sequential`, `willneed`, `dontneed`, `remove`, `dontfork`, "
	 "`dofork`, `dontdump`, `dodump`, `hugepage`, `nohugepage`, `mergeable`, `unmergeable`, "
	 "`free`, or "
	 "a "
	 "number"},
	{ARG_POLICY, "policy",
	 "one of `default`, `preferred`, `bind`, `interleave`, `local`, or a number"},
	{ARG_MREMAP, "mremap flags", "words of `maymove\\|fixed`, or `0`"},
};

static const char *kind_name(enum arg_kind kind)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].kind == kind)
			return kinds[i].name;
	return "none";
}

static void reference_op(struct strbuf *sb, enum op_code code)
{
	static const char *const defs[] = {
		[DEF_NONE] = "", [DEF_RESULT] = "`rN`", [DEF_TASK] = "`tN`", [DEF_FILE] = "`fN`"};
	const struct op_info *op = &op_table[code];

	sb_printf(sb, "| `%s` | ", op->name);
	for (u32 i = 0; i < op->nr_args; i++)
		sb_printf(sb, "%s%s: %s%s", i ? ", " : "", op->args[i].name,
			  kind_name(op->args[i].kind), op->args[i].optional ? " (optional)" : "");
	if (code == OP_exec)
		sb_puts(sb, ", segments");
	sb_printf(sb, " | %s | %s |\n", defs[op->def], op->what);
}

int program_print_reference(char **out)
{
	struct strbuf sb = {0};

	sb_puts(&sb, "| Operation | Arguments | Defines | What it does |\n"
		     "| --- | --- | --- | --- |\n");
	for (u32 i = 0; i < NR_OPS; i++)
		reference_op(&sb, (enum op_code)i);
	sb_puts(&sb, "\n| Argument | Is written as |\n| --- | --- |\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++)
		sb_printf(&sb, "| %s | %s |\n", kinds[i].name, kinds[i].form);
	*out = sb_take(&sb, NULL);
	return *out ? 0 : -ENOMEM;
}
