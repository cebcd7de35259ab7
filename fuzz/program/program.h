/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs: a machine line and a list of operations, as data (DESIGN.md §7). The one table of
 * operations is ops.def; text, bytes, generator and documentation come from it.
 */
#ifndef FAULTLINE_PROGRAM_H
#define FAULTLINE_PROGRAM_H

#include <faultline/machine.h>

#include "plan.h"
#include "subject.h"

enum arg_kind {
	ARG_NONE,
	ARG_ADDR,   /* base + offset: 0x7f0000, r0+1p, w+3p, brk+2p, stack-1p */
	ARG_LEN,    /* bytes, or 8p */
	ARG_PROT,   /* none, or letters of rwx */
	ARG_MAP,    /* private|anon|fixed|noreserve|shared|stack */
	ARG_CLONE,  /* 0, or vm|vfork|thread|files|fs|sighand|newns|io */
	ARG_FILE,   /* fN, or none */
	ARG_MODE,   /* letters of rwx, as of open */
	ARG_VALUE,  /* a number */
	ARG_MREMAP, /* 0, or maymove|fixed */
	ARG_ADVICE, /* a word of advice, or a number */
	ARG_MLOCK,  /* 0, or onfault */
	ARG_MCL,    /* 0, or current|future|onfault */
	ARG_POLICY, /* a memory policy's mode, or a number */
};

/* Where an address counts from. */
enum addr_base {
	BASE_ABS,
	BASE_REF,    /* result rN of an earlier operation */
	BASE_WINDOW, /* w: the machine's window, the same place in every geometry of a program */
	BASE_BRK,    /* brk: start of the acting task's heap */
	BASE_STACK,  /* stack: end of the acting task's stack */
};

struct arg {
	u8 base; /* enum addr_base, ARG_ADDR only */
	u32 ref; /* rN or fN; NO_REF for a file argument of "none" */
	u64 val; /* number, flags, or offset (two's complement) */
};
#define NO_REF UINT32_MAX

#define PROG_MAX_ARGS 6u
#define PROG_MAX_OPS  262144u
#define PROG_MAX_SEGS 64u /* of one exec */

/* A segment of an exec's image. */
struct prog_seg {
	struct arg start; /* absolute or window-relative */
	u64 len;
	u32 prot;
	u32 file; /* fN or NO_REF */
	u64 offset;
};

enum expect_kind {
	EXPECT_NONE,
	EXPECT_VALUE,
	EXPECT_ERRNO,
	EXPECT_SIGSEGV,
	EXPECT_SIGBUS,
	EXPECT_OOM,
	EXPECT_SKIP
};

struct expect {
	u8 kind;
	struct arg
		val; /* EXPECT_VALUE: a number or address; EXPECT_ERRNO: val.val is the errno > 0 */
};

/* What holds instead where the machine's profile is this one (its number in options.def). */
struct expect_variant {
	u8 profile;
	struct expect expect; /* EXPECT_NONE: there is no such profile */
};

/* Kind of name that an operation defines. */
enum def_kind {
	DEF_NONE,
	DEF_RESULT,
	DEF_TASK,
	DEF_FILE
};

enum op_code {
#define OP(name, def, weight, what, ...) OP_##name,
#include "ops.def"
#undef OP
	NR_OPS
};

struct op_arg_info {
	const char *name;
	enum arg_kind kind;
	bool optional; /* left out: 0, or none */
};

struct op_info {
	const char *name;
	enum def_kind def;
	u16 weight; /* of the generator, 0: never generated */
	const char *what;
	u8 nr_args;
	struct op_arg_info args[PROG_MAX_ARGS];
};
extern const struct op_info op_table[NR_OPS];

struct op {
	u16 code;
	u32 task; /* tN that acts; t0 exists from the start */
	u32 def;  /* number of the name it defines; NO_REF: the table says none */
	struct arg args[PROG_MAX_ARGS];
	u32 seg, nr_segs;     /* exec: in program.segs */
	u32 fault, nr_faults; /* marks, in program.faults */
	struct expect expect;
	struct expect_variant variant; /* only where expect is one too */
	u32 line;		       /* 1-based in the text it came from, 0: none */
	char *comment;		       /* lines before it, each with '#' and newline; NULL: none */
	char *tail;		       /* comment at the end of its line, with '#'; NULL: none */
};

enum teardown_order {
	TEARDOWN_NEWEST,
	TEARDOWN_OLDEST,
	TEARDOWN_SHUFFLE
};

/*
 * Names are canonical: the k-th operation that defines a result, task or file defines rk, tk+1 or
 * fk. A text may use other numbers; the parser renumbers.
 */
struct program {
	char *head;    /* comment lines before the machine line; NULL: none */
	char *machine; /* options of the machine line, as written: "levels=3 cpus=2"; NULL: none */
	u8 teardown;
	u64 teardown_seed;
	struct op *ops;
	u32 nr_ops, max_ops;
	struct prog_seg *segs;
	u32 nr_segs, max_segs;
	struct fi_item *faults;
	u32 nr_faults, max_faults;
	u32 nr_defs[DEF_FILE + 1]; /* names so far, by enum def_kind; t0 counts */
	char *foot;		   /* comment lines after the last operation; NULL: none */
};

void program_init(struct program *p);
/* Frees what p owns and leaves it as program_init() does. */
void program_free(struct program *p);
/*
 * Appends an operation (NULL: out of memory or PROG_MAX_OPS reached) with every argument 0 or none
 * and its new name, if it defines one, in def. The pointer is good until the next program_add().
 */
struct op *program_add(struct program *p, enum op_code code, u32 task);
/*
 * Append a segment (at most PROG_MAX_SEGS) or a mark (at most FI_MAX_ITEMS) to an operation. NULL:
 * out of memory or too many. The pointer is good until the next call.
 */
struct prog_seg *program_add_seg(struct program *p, struct op *op);
struct fi_item *program_add_fault(struct program *p, struct op *op);
/* Replaces *field by a copy of text; len 0 makes it NULL. 0 or -ENOMEM with *field as it was. */
int program_set_text(char **field, const char *text, size_t len);
/* "newest", "oldest", "shuffle:SEED". 0 or -EINVAL with p as it was. */
int program_set_teardown(struct program *p, const char *text, size_t len);
/* Do both mean the same? Comments and line numbers are not looked at. */
bool program_equal(const struct program *a, const struct program *b);

/*
 * The functions below that fill *p take it uninitialised or empty; when they fail, it is left
 * empty.
 */

struct prog_error {
	u32 line; /* 1-based; 0: the whole file */
	char what[160];
};

/*
 * Text to program. 0; -EINVAL with err filled in; -ENOMEM. Nothing of a program that failed to
 * parse is kept. Accepts any bytes of any length up to PROG_MAX_TEXT.
 */
#define PROG_MAX_TEXT (64u << 20)
int program_parse(struct program *p, const char *text, size_t len, struct prog_error *err);
/* Canonical text; *out is malloc'd, NUL-terminated. */
int program_print(const struct program *p, char **out, size_t *len);
/*
 * One operation with marks and expectation, without comments and newline. Returns its length, which
 * may exceed len (as snprintf).
 */
int program_print_op(const struct program *p, u32 i, char *buf, size_t len);
/* The table of operations and the forms of their arguments, in Markdown; *out is malloc'd. */
int program_print_reference(char **out);

/*
 * Bytes (fuzzers' form, described in README.md). Decoding is total: it fails with -ENOMEM only, and
 * at most PROG_MAX_BYTES are looked at. Encoding: 0, -ENOMEM, or -E2BIG for a program whose bytes
 * would be more than that; *out is malloc'd.
 */
#define PROG_MAX_BYTES (1u << 20)
#define PROG_RECORD    16u /* bytes of an operation, and of each thing that belongs to it */
int program_decode(struct program *p, const u8 *data, size_t len);
int program_encode(const struct program *p, u8 **out, size_t *len);

/* A random program of at most PROG_MAX_OPS operations, the same for the same seed everywhere. */
int program_generate(struct program *p, u64 seed, u32 nr_ops);

/*
 * A whole file: text when it starts with "# faultline " or is named *.prog, else bytes. path "-" is
 * standard input. 0; -EINVAL with err; or the negative errno of reading, with its text in err.
 */
int program_load(struct program *p, const char *path, struct prog_error *err);

/*
 * The machine that the program asks for, on top of *cfg. Whether the options fit together is for
 * machine_config_check() to say once the command line has been heard too.
 */
int program_machine(const struct program *p, struct machine_config *cfg, struct prog_error *err);

#endif
