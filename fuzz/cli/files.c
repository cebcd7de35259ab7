/* SPDX-License-Identifier: GPL-2.0-only */
/* FILE... of the command line. */
#define _GNU_SOURCE
#include "cli.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SUFFIX ".prog"

/* Takes path over. */
static int add(struct file_list *l, char *path)
{
	if (!path)
		return -ENOMEM;
	if (l->nr == l->max) {
		size_t max = l->max ? 2 * l->max : 32;
		char **paths = realloc(l->paths, max * sizeof(*paths));

		if (!paths) {
			free(path);
			return -ENOMEM;
		}
		l->paths = paths;
		l->max = max;
	}
	l->paths[l->nr++] = path;
	return 0;
}

static bool is_program(const char *name)
{
	size_t len = strlen(name);

	return len > strlen(SUFFIX) && !strcmp(name + len - strlen(SUFFIX), SUFFIX);
}

static int walk(struct file_list *l, const char *dir)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	int err = 0;

	if (!d) {
		say("%s: %s", dir, strerror(errno));
		l->status = exit_worst(l->status, EXIT_USAGE);
		return 0;
	}
	while (!err && (entry = readdir(d))) {
		size_t len = strlen(dir);
		struct stat st;
		char *path;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (asprintf(&path, "%s%s%s", dir, len && dir[len - 1] == '/' ? "" : "/",
			     entry->d_name) < 0) {
			err = -ENOMEM;
			break;
		}
		if (lstat(path, &st)) {
			free(path);
			continue;
		}
		if (S_ISREG(st.st_mode) && is_program(entry->d_name)) {
			err = add(l, path);
			continue;
		}
		if (S_ISDIR(st.st_mode))
			err = walk(l, path);
		free(path);
	}
	closedir(d);
	return err;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int expand(struct file_list *l, const char *arg)
{
	size_t first = l->nr;
	struct stat st;
	int err;

	if (!strcmp(arg, "-"))
		return add(l, strdup(arg));
	if (stat(arg, &st)) {
		say("%s: %s", arg, strerror(errno));
		l->status = exit_worst(l->status, EXIT_USAGE);
		return 0;
	}
	if (!S_ISDIR(st.st_mode))
		return add(l, strdup(arg));
	err = walk(l, arg);
	if (err)
		return err;
	if (l->nr == first) {
		say("%s: no programs (*%s) in this directory", arg, SUFFIX);
		l->status = exit_worst(l->status, EXIT_USAGE);
	}
	if (l->nr > first)
		qsort(l->paths + first, l->nr - first, sizeof(*l->paths), by_name);
	return 0;
}

int files_expand_quietly(struct file_list *l, const char *dir)
{
	int err;

	*l = (struct file_list){0};
	err = walk(l, dir);
	if (err)
		files_free(l);
	else if (l->nr)
		qsort(l->paths, l->nr, sizeof(*l->paths), by_name);
	return err;
}

int files_expand(struct file_list *l, char **args, int nr)
{
	int err = 0;

	*l = (struct file_list){0};
	for (int i = 0; i < nr && !err; i++)
		err = expand(l, args[i]);
	if (err)
		files_free(l);
	return err;
}

void files_free(struct file_list *l)
{
	for (size_t i = 0; i < l->nr; i++)
		free(l->paths[i]);
	free(l->paths);
	l->paths = NULL;
	l->nr = l->max = 0;
}

bool files_is_dir(const char *path)
{
	struct stat st;

	if (!strcmp(path, "-") || stat(path, &st) || !S_ISDIR(st.st_mode))
		return false;
	say("%s: is a directory; one file is needed", path);
	return true;
}

int load_status(int err)
{
	switch (err) {
	case 0:
		return EXIT_CLEAN;
	case -ENOMEM:
	case -EIO:
	case -EMFILE:
	case -ENFILE:
		return EXIT_ENV;
	default:
		return EXIT_USAGE;
	}
}

void load_message(const char *path, const struct prog_error *error, char *buf, size_t len)
{
	if (error->line)
		snprintf(buf, len, "%s:%u: %s", path, error->line, error->what);
	else
		snprintf(buf, len, "%s: %s", path, error->what);
}

int load_one(struct program *p, const char *path)
{
	struct prog_error error = {0};
	char line[512];
	int err = program_load(p, path, &error);

	if (!err)
		return 0;
	if (!error.what[0])
		snprintf(error.what, sizeof(error.what), "%s", strerror(-err));
	load_message(path, &error, line, sizeof(line));
	say("%s", line);
	return load_status(err);
}
