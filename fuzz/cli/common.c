/* SPDX-License-Identifier: GPL-2.0-only */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

int exit_worst(int a, int b)
{
	static const int order[] = {EXIT_INJECTOR, EXIT_ENV, EXIT_NONDET, EXIT_FINDING, EXIT_USAGE};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return EXIT_CLEAN;
}

void say(const char *fmt, ...)
{
	va_list ap;

	fputs("faultline: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int usage_error(const char *command, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "faultline %s: ", command);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see faultline %s --help\n", command);
	return EXIT_USAGE;
}

int option_error(const char *command, char **argv)
{
	return usage_error(command, "%s: unknown option, or its argument is missing",
			   argv[optind - 1]);
}

bool parse_u64(const char *text, u64 max, u64 *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return !errno && !*end && *out <= max;
}
