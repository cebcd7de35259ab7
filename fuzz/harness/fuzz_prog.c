/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fuzz_prog: any text. The parser says what is wrong with it and where; what it takes survives
 * printing, parsing again, and the way through bytes.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct harness harness = {
	.name = "fuzz_prog",
	.what = "Text goes through the parser; what it takes comes back from text and from bytes.",
	.text = true,
};

#define MAX_TEXT 65536u

__attribute__((noreturn)) static void differs(const char *what)
{
	struct finding f = {.oracle = ORACLE_expect, .op = UINT32_MAX, .func = "program_parse"};

	snprintf(f.what, sizeof(f.what), "%s", what);
	snprintf(f.class_key, sizeof(f.class_key), "%s", what);
	snprintf(f.name, sizeof(f.name), "parse");
	harness_finding(&f);
}

/* Comments are no part of the bytes, and expectations need what came before them. */
static void through_bytes(const struct program *p)
{
	struct machine_config cfg;
	struct prog_error err;
	struct program q;
	u8 *bytes;
	size_t len;

	/* options that do not fit together say nothing in bytes */
	machine_config_init(&cfg);
	if (program_machine(p, &cfg, &err) ||
	    machine_config_check(&cfg, err.what, sizeof(err.what)))
		return;
	if (program_encode(p, &bytes, &len))
		return;
	if (!program_decode(&q, bytes, len)) {
		if (!program_equal(p, &q))
			differs("a program is another one after bytes");
		program_free(&q);
	}
	free(bytes);
}

static void through_text(const struct program *p)
{
	char *text, *again;
	struct prog_error err;
	struct program q;
	size_t len;

	if (program_print(p, &text, &len))
		return;
	switch (program_parse(&q, text, len, &err)) {
	case 0:
		if (!program_equal(p, &q))
			differs("a program is another one after text");
		if (!program_print(&q, &again, NULL)) {
			if (strcmp(text, again))
				differs("canonical text is not canonical");
			free(again);
		}
		program_free(&q);
		break;
	case -EINVAL:
		differs("the parser refuses what was printed");
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct prog_error err = {0};
	struct program p;
	char *text;
	int ret;

	if (size > MAX_TEXT)
		return 0;
	/* a copy without room behind it, so that reading too far is seen */
	text = malloc(size + !size);
	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	ret = program_parse(&p, text, size, &err);
	free(text);
	if (ret == -EINVAL && (!err.what[0] || memchr(err.what, '\n', strlen(err.what))))
		differs("a refusal does not say why in one line");
	if (ret)
		return 0;
	through_text(&p);
	through_bytes(&p);
	program_free(&p);
	return 0;
}
