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

static int option_allocator(struct session *ses, const char *name)
{
	const struct fl_allocator_ops *ops;
	char names[128] = "";

	if (strchr(name, '/'))
		return usage_error(ses->command, "--allocator %s: loading one is not supported yet",
				   name);
	ses->alloc = fl_allocator_find(name);
	if (ses->alloc)
		return 0;
	for (unsigned int i = 0; (ops = fl_allocator_at(i)); i++)
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
			 i ? ", " : "", ops->name);
	return usage_error(ses->command, "--allocator %s: there are %s", name, names);
}

static int take_option(struct session *ses, const struct command *cmd, int c, char **argv)
{
	switch (c) {
	case 'm':
		return option_machine(ses, optarg);
	case 'a':
		return option_allocator(ses, optarg);
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
	int c;

	*status = session_init(ses, cmd->name);
	if (*status)
		return false;
	while ((c = getopt_long(argc, argv, "h", cmd->options, NULL)) != -1) {
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
