/* SPDX-License-Identifier: GPL-2.0-only */
/* The command line that run, sweep and sites have in common. */
#include "session.h"

#include <errno.h>
#include <string.h>

static bool is_teardown(const char *name, size_t len)
{
	return len == strlen("teardown") && !memcmp(name, "teardown", len);
}

/* One NAME=VALUE. What a machine line may say may be said here. */
static int apply_option(struct machine_config *cfg, struct program *p, const char *text, size_t len,
			char *why, size_t why_len)
{
	const char *eq = memchr(text, '=', len);
	size_t name = eq ? (size_t)(eq - text) : len;

	if (!eq) {
		snprintf(why, why_len, "'%.*s' is not NAME=VALUE", (int)len, text);
		return -EINVAL;
	}
	if (!is_teardown(text, name))
		return machine_config_set(cfg, text, name, eq + 1, len - name - 1, why, why_len);
	if (!program_set_teardown(p, eq + 1, len - name - 1))
		return 0;
	snprintf(why, why_len, "teardown is newest, oldest or shuffle:SEED, not '%.*s'",
		 (int)(len - name - 1), eq + 1);
	return -EINVAL;
}

int apply_machine(struct machine_config *cfg, struct program *p, const char *text, char *why,
		  size_t why_len)
{
	while (*text) {
		size_t len = strcspn(text, ",");
		int err = apply_option(cfg, p, text, len, why, why_len);

		if (err)
			return err;
		text += len + (text[len] == ',');
	}
	return 0;
}

static int option_machine(struct session *ses, const char *text)
{
	struct machine_config cfg;
	struct program p = {0}; /* takes the teardown order, which is not looked at */
	char why[160];

	machine_config_init(&cfg);
	if (apply_machine(&cfg, &p, text, why, sizeof(why)))
		return usage_error(ses->command, "--machine: %s", why);
	ses->machine = text;
	return 0;
}

/*
 * The backend dies before anything runs: a finding of its own, and the end of the command. Its
 * reproducer is any command that names it.
 */
static int backend_died(struct session *ses, const char *path, const char *how)
{
	const struct fl_allocator_ops named = {.name = path}, *before = ses->alloc;
	struct finding_record rec = {.f = {
					     .oracle = ORACLE_backend,
					     .op = UINT32_MAX,
					     .func = "faultline_allocator",
					     .expected = "a backend",
				     }};
	struct finding *f = &rec.f;

	snprintf(f->what, sizeof(f->what), "%s", how);
	snprintf(f->class_key, sizeof(f->class_key), "%s", how);
	snprintf(f->name, sizeof(f->name), "load");
	snprintf(f->actual, sizeof(f->actual), "%s", how);
	f->confirmed = true;
	ses->alloc = &named;
	report_finding(ses, path, &rec);
	ses->alloc = before;
	return exit_worst(EXIT_FINDING, output_flush());
}

static int open_backend(struct session *ses)
{
	struct backend b;
	char why[400];
	int status;

	if (!ses->alloc_name)
		return 0;
	status = backend_open(&b, ses->alloc_name, &ses->shared->backend, why, sizeof(why));
	switch (status) {
	case 0:
		ses->alloc = b.ops;
		return 0;
	case EXIT_FINDING:
		return backend_died(ses, ses->alloc_name, b.crash);
	case EXIT_USAGE:
		return usage_error(ses->command, "--allocator %s", why);
	default:
		say("--allocator %s", why);
		return status;
	}
}

static int take_option(struct session *ses, const struct command *cmd, int c, char **argv)
{
	switch (c) {
	case 'm':
		return option_machine(ses, optarg);
	case 'a':
		ses->alloc_name = optarg;
		return 0;
	case 'M':
		if (strcmp(optarg, "on") && strcmp(optarg, "off"))
			return usage_error(ses->command, "--model %s: there are on, off", optarg);
		ses->no_model = !strcmp(optarg, "off");
		return 0;
	case 'n':
		ses->isolate = false;
		return 0;
	case 'j':
		ses->json = true;
		return 0;
	case '?':
	case ':':
		return option_error(cmd->name, argv);
	default:
		return cmd->option(ses, c, argv, cmd->arg);
	}
}

bool session_begin(struct session *ses, const struct command *cmd, int argc, char **argv,
		   int *status)
{
	const char *shorts = "h";
	int c;

	/* -o is --output where there is that */
	for (const struct option *o = cmd->options; o->name; o++)
		if (!strcmp(o->name, "output"))
			shorts = "ho:";

	*status = session_init(ses, cmd->name);
	if (*status)
		return false;
	while ((c = getopt_long(argc, argv, shorts, cmd->options, NULL)) != -1) {
		if (c == 'h') {
			fputs(cmd->help, stdout);
			*status = session_exit(ses, EXIT_CLEAN);
			return false;
		}
		*status = take_option(ses, cmd, c, argv);
		if (*status) {
			*status = session_exit(ses, *status);
			return false;
		}
	}
	*status = open_backend(ses);
	if (*status) {
		*status = session_exit(ses, *status);
		return false;
	}
	return true;
}

int session_files(struct session *ses, int argc, char **argv)
{
	struct file_list files;
	int status;

	if (files_expand(&files, argv + optind, argc - optind)) {
		say("out of memory");
		return EXIT_ENV;
	}
	status = session_run(ses, &files);
	files_free(&files);
	return status;
}
