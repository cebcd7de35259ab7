/* SPDX-License-Identifier: GPL-2.0-only */
/* faultline fmt, faultline gen: one program, in its canonical text or as bytes. */
#include "cli.h"
#include "edit.h"
#include "mutate.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char fmt_help[] = "usage: faultline fmt [OPTION...] FILE\n"
			       "       faultline fmt --ops|--dictionary [-o OUT]\n"
			       "Writes a program in its canonical text (default), comments kept, "
			       "or as the bytes that fuzzers\n"
			       "take. FILE may be either, or - for stdin.\n"
			       "\n"
			       "  --to text|bytes     what is written\n"
			       "  --no-expectations   leave out what the program expects\n"
			       "  --slice A-B         only operations A to B-1; names that are "
			       "missing then are\n"
			       "                      replaced by others\n"
			       "  --ops               the reference of all operations, as in "
			       "fuzz/program/README.md\n"
			       "  --dictionary        records of operations, marks and options "
			       "for fuzzers that change bytes\n"
			       "  -o, --output OUT    a file instead of standard output\n"
			       "\n"
			       "Exit: 0, 2 usage or bad input, 3 environment.\n";

static const char gen_help[] = "usage: faultline gen --seed N [--ops K] [-o OUT]\n"
			       "Writes a random program of K operations (default 40): the same for "
			       "the same seed everywhere.\n"
			       "\n"
			       "Exit: 0, 2 usage, 3 environment.\n";

static int no_memory(void)
{
	say("out of memory");
	return EXIT_ENV;
}

static int write_text(const struct program *p, const char *out)
{
	char *text;
	size_t len;
	int status;

	if (program_print(p, &text, &len))
		return no_memory();
	status = output_write(out, text, len);
	free(text);
	return status;
}

static int write_bytes(const struct program *p, const char *path, const char *out)
{
	u8 *bytes;
	size_t len;
	int status, err = program_encode(p, &bytes, &len);

	if (err == -E2BIG) {
		say("%s: as bytes this program is more than 1 MiB", path);
		return EXIT_USAGE;
	}
	if (err)
		return no_memory();
	status = output_write(out, bytes, len);
	free(bytes);
	return status;
}

static int write_made(int (*print)(char **out), const char *out)
{
	char *text;
	int status;

	if (print(&text))
		return no_memory();
	status = output_write(out, text, strlen(text));
	free(text);
	return status;
}

struct slice {
	u64 from, to;
};

static bool parse_slice(const char *text, struct slice *slice)
{
	const char *dash = strchr(text, '-');
	char from[24];

	if (!dash || dash == text || (size_t)(dash - text) >= sizeof(from))
		return false;
	memcpy(from, text, (size_t)(dash - text));
	from[dash - text] = '\0';
	return parse_u64(from, PROG_MAX_OPS, &slice->from) &&
	       parse_u64(dash + 1, PROG_MAX_OPS, &slice->to) && slice->from < slice->to;
}

/* Operations outside of it go; what was expected of those inside held for the whole. */
static int cut(struct program *p, const struct slice *slice)
{
	struct edit_names n;
	struct program q;
	bool ok;

	program_init(&q);
	if (edit_names_init(&n, p))
		return -ENOMEM;
	ok = !edit_copy_head(&q, p);
	for (u64 i = slice->from; ok && i < slice->to && i < p->nr_ops; i++)
		ok = edit_copy(&q, p, (u32)i, &n) != NULL;
	edit_names_free(&n);
	if (!ok) {
		program_free(&q);
		return -ENOMEM;
	}
	program_free(p);
	*p = q;
	return 0;
}

int cmd_fmt(int argc, char **argv)
{
	static const struct option options[] = {
		{"to", required_argument, NULL, 't'},
		{"no-expectations", no_argument, NULL, 'x'},
		{"ops", no_argument, NULL, 'p'},
		{"output", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{"dictionary", no_argument, NULL, 'd'},
		{"slice", required_argument, NULL, 's'},
		{0},
	};
	int (*made)(char **out) = NULL;
	struct slice slice = {0};
	const char *out = NULL;
	bool bytes = false, strip = false;
	struct program p;
	int c, status;

	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (c) {
		case 't':
			if (strcmp(optarg, "text") && strcmp(optarg, "bytes"))
				return usage_error("fmt", "--to %s: there are text, bytes", optarg);
			bytes = !strcmp(optarg, "bytes");
			break;
		case 'x':
			strip = true;
			break;
		case 'p':
			made = program_print_reference;
			break;
		case 'd':
			made = program_print_dictionary;
			break;
		case 's':
			if (!parse_slice(optarg, &slice))
				return usage_error("fmt", "--slice needs A-B, with A below B");
			break;
		case 'o':
			out = optarg;
			break;
		case 'h':
			fputs(fmt_help, stdout);
			return output_flush();
		default:
			return option_error("fmt", argv);
		}
	}
	if (made && optind == argc)
		return write_made(made, out);
	if (argc - optind != 1 || made)
		return usage_error("fmt", made ? "that takes no FILE" : "one FILE is needed");
	if (!file_usable(argv[optind]))
		return EXIT_USAGE;
	status = load_one(&p, argv[optind]);
	if (status)
		return status;
	if (slice.to && cut(&p, &slice)) {
		program_free(&p);
		return no_memory();
	}
	for (u32 i = 0; strip && i < p.nr_ops; i++)
		p.ops[i].expect = p.ops[i].variant.expect = (struct expect){.kind = EXPECT_NONE};
	status = bytes ? write_bytes(&p, argv[optind], out) : write_text(&p, out);
	program_free(&p);
	return status;
}

int cmd_gen(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", required_argument, NULL, 's'},
		{"ops", required_argument, NULL, 'n'},
		{"output", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *out = NULL;
	u64 seed = 0, ops = 40;
	bool have_seed = false;
	struct program p;
	int c, status;

	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (c) {
		case 's':
			if (!parse_u64(optarg, UINT64_MAX, &seed))
				return usage_error("gen",
						   "--seed needs a number from 0 to %" PRIu64,
						   UINT64_MAX);
			have_seed = true;
			break;
		case 'n':
			if (!parse_u64(optarg, PROG_MAX_OPS, &ops))
				return usage_error("gen", "--ops needs a number from 0 to %u",
						   PROG_MAX_OPS);
			break;
		case 'o':
			out = optarg;
			break;
		case 'h':
			fputs(gen_help, stdout);
			return output_flush();
		default:
			return option_error("gen", argv);
		}
	}
	if (!have_seed || optind != argc)
		return usage_error("gen", have_seed ? "takes no FILE" : "--seed is needed");
	if (program_generate(&p, seed, (u32)ops))
		return no_memory();
	status = write_text(&p, out);
	program_free(&p);
	return status;
}
