/* SPDX-License-Identifier: GPL-2.0-only */
/* faultline import-strace LOG [-o FILE]: a recorded program as a program of ours. */
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "strace.h"

static const char help[] =
	"usage: faultline import-strace [-o OUT] LOG\n"
	"Turns what `strace -f -y -e trace=%memory,%process -o LOG COMMAND` wrote into a program; "
	"-\n"
	"is standard input. Calls that the engine does not have are listed as comments in place.\n"
	"Comment lines (#) that the log starts with are kept.\n"
	"\n"
	"Exit: 0, 2 usage or bad input, 3 environment.\n";

#define MAX_LOG ((size_t)512 << 20)

/* All of path, "-" being standard input. 0 or a negative errno; *text is the caller's. */
static int read_log(const char *path, char **text, size_t *len)
{
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	size_t max = 0;
	int ret = 0;

	*text = NULL;
	*len = 0;
	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n;

		if (*len == max) {
			char *p;

			max = max ? max * 2 : 65536;
			p = max <= MAX_LOG ? realloc(*text, max) : NULL;
			if (!p) {
				ret = max <= MAX_LOG ? -ENOMEM : -EFBIG;
				break;
			}
			*text = p;
		}
		n = read(fd, *text + *len, max - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			ret = -errno;
		if (n <= 0)
			break;
		*len += (size_t)n;
	}
	if (fd != STDIN_FILENO)
		close(fd);
	return ret;
}

static int write_program(const struct program *p, const char *log, const char *path)
{
	char *text;
	size_t len;
	int ret;

	if (program_print(p, &text, &len)) {
		say("out of memory");
		return EXIT_ENV;
	}
	if (len > PROG_MAX_TEXT) {
		say("%s: makes a program that is larger than %u MiB", log, PROG_MAX_TEXT >> 20);
		ret = EXIT_USAGE;
	} else {
		ret = output_write(path, text, len);
	}
	free(text);
	return ret;
}

static int import(const char *log, const char *out)
{
	struct strace_report report;
	struct prog_error err;
	struct program p;
	char *text;
	size_t len;
	int ret = read_log(log, &text, &len);

	if (ret) {
		say("%s: %s", log, strerror(-ret));
		free(text);
		return ret == -ENOMEM ? EXIT_ENV : EXIT_USAGE;
	}
	ret = strace_import(text, len, &p, &report, &err);
	if (ret == -EINVAL && err.line)
		say("%s:%u: %s", log, err.line, err.what);
	else if (ret == -EINVAL)
		say("%s: %s", log, err.what);
	else if (ret)
		say("%s: %s", log, strerror(-ret));
	if (ret) {
		ret = ret == -EINVAL ? EXIT_USAGE : EXIT_ENV;
	} else {
		ret = write_program(&p, log, out);
		program_free(&p);
	}
	free(text);
	return ret;
}

int cmd_import_strace(int argc, char **argv)
{
	static const struct option options[] = {
		{"output", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *out = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			out = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return output_flush();
		default:
			return option_error("import-strace", argv);
		}
	}
	if (argc - optind != 1)
		return usage_error("import-strace", "one LOG is needed");
	return import(argv[optind], out);
}
