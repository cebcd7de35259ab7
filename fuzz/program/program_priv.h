/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of this folder share. */
#ifndef FAULTLINE_PROGRAM_PRIV_H
#define FAULTLINE_PROGRAM_PRIV_H

#include "program.h"

/*
 * Text that grows. After a failed allocation, failed is set and everything that follows is dropped.
 * A fixed buffer never grows: what does not fit is counted in len, as by snprintf.
 */
struct strbuf {
	char *s;
	size_t len, cap;
	bool fixed, failed;
};

void sb_add(struct strbuf *sb, const char *text, size_t len);
void sb_puts(struct strbuf *sb, const char *text);
void sb_printf(struct strbuf *sb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sb_free(struct strbuf *sb);
/* Hands the text over, NUL-terminated. NULL: out of memory, and sb is free. */
char *sb_take(struct strbuf *sb, size_t *len);

/* Words that stand for bits, in the order in which they are printed. */
struct flag_word {
	const char *word;
	u32 bits;
};

extern const struct flag_word map_words[];
extern const struct flag_word clone_words[];
extern const struct flag_word prot_letters[];
extern const struct flag_word mode_letters[];
extern const unsigned int nr_map_words, nr_clone_words;
/* Of ARG_ADVICE, for who wants to choose one. */
extern const struct flag_word advice_words[];
extern const unsigned int nr_advice_words;
#define NR_LETTERS 3u

/* Words of ARG_MAP and ARG_CLONE, letters of ARG_PROT and ARG_MODE. NULL for other kinds. */
const struct flag_word *kind_words(enum arg_kind kind, unsigned int *nr);
u32 kind_mask(enum arg_kind kind);
/* Values of ARG_ADVICE and ARG_POLICY, of which an argument is one. NULL for other kinds. */
const struct flag_word *kind_values(enum arg_kind kind, unsigned int *nr);

extern const char *const base_names[]; /* by enum addr_base; NULL for those without a word */
#define NR_BASES (BASE_STACK + 1)

extern const char *const teardown_names[]; /* by enum teardown_order */
#define NR_TEARDOWNS (TEARDOWN_SHUFFLE + 1)

/* Calls fn for each NAME=VALUE of a machine line; stops at the first result that is not 0. */
typedef int (*option_fn)(void *priv, const char *name, size_t name_len, const char *value,
			 size_t value_len);
int for_each_option(const char *text, size_t len, option_fn fn, void *priv);

#endif
