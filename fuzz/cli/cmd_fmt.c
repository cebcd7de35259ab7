/* SPDX-License-Identifier: GPL-2.0-only */
/* faultline fmt, faultline gen: one program, in its canonical text or as bytes. */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char fmt_help[] = "usage: faultline fmt [OPTION...] FILE\n"
			       "       faultline fmt --ops [-o OUT]\n"
			       "Writes a program in its canonical text (default), comments kept, "
			       "or as the bytes that fuzzers\n"
			       "take. FILE may be either, or - for stdin.\n"
			       "\n"
			       "  --to text|bytes     what is written\n"
			       "  --no-expectations   leave out what the program expects\n"
			       "  --ops               the reference of all operations, as in "
			       "fuzz/program/README.md\n"
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

static int write_reference(const char *out)
{
	char *text;
	int status;

	if (program_print_reference(&text))
		return no_memory();
	status = output_write(out, text, strlen(text));
	free(text);
	return status;
}

int cmd_fmt(int argc, char **argv)
{
	static const struct option options[] = {
		{"to", required_argument, NULL, 't'}, {"no-expectations", no_argument, NULL, 'x'},
		{"ops", no_argument, NULL, 'p'},      {"output", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},     {0},
	};
	const char *out = NULL;
	bool bytes = false, strip = false, reference = false;
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
			reference = true;
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
	if (reference && optind == argc)
		return write_reference(out);
	if (argc - optind != 1 || reference)
		return usage_error("fmt", reference ? "--ops takes no FILE" : "one FILE is needed");
	if (!file_usable(argv[optind]))
		return EXIT_USAGE;
	status = load_one(&p, argv[optind]);
	if (status)
		return status;
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
