/* SPDX-License-Identifier: GPL-2.0-only */
/* The `faultline` command. */
#include "cli.h"

#include <getopt.h>
#include <signal.h>
#include <string.h>

static const struct {
	const char *name, *what;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"run", "run programs", cmd_run},
	{"sweep", "fail every request that programs make, one at a time", cmd_sweep},
	{"sites", "the fault sites, with what programs reached of them", cmd_sites},
	{"min", "the smallest program that still makes a finding", cmd_min},
	{"fmt", "a program as canonical text or as bytes", cmd_fmt},
	{"gen", "a random program", cmd_gen},
	{"alloc-check", "hold the contract of an allocator against one", cmd_alloc_check},
	{"bench", "what the engine costs beside the host kernel, and what a sweep costs",
	 cmd_bench},
	{"import-strace", "a program from a log of strace", cmd_import_strace},
};

static void usage(FILE *out)
{
	fputs("usage: faultline COMMAND [OPTION...] [FILE...]\n\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-14s %s\n", commands[i].name, commands[i].what);
	fputs("\nfaultline COMMAND --help says more.\n"
	      "Exit: 0 clean, 1 finding, 2 usage or bad input, 3 environment, 4 not "
	      "deterministic,\n"
	      "5 the injector's self-test failed.\n",
	      out);
}

/* What the sanitizers of a build with them shall do; without them nobody calls these. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_stack_use_after_return=0:allocator_may_return_null=1";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1";
}

int main(int argc, char **argv)
{
	/* a reader that has gone is an error of writing, which is said, and not a death */
	signal(SIGPIPE, SIG_IGN);
	opterr = 0;
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return output_flush();
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	say("no command '%s'; see faultline --help", argv[1]);
	return EXIT_USAGE;
}
