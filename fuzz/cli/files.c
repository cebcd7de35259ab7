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

static int add_bad(struct file_list *l, const char *path, const char *why)
{
	struct bad_file *bad = realloc(l->bad, (l->nr_bad + 1) * sizeof(*bad));
	char *copy = strdup(path);

	if (bad)
		l->bad = bad;
	if (!bad || !copy) {
		free(copy);
		return -ENOMEM;
	}
	bad[l->nr_bad].path = copy;
	snprintf(bad[l->nr_bad++].why, sizeof(bad->why), "%s", why);
	return 0;
}

/* Why not, or NULL. Reading a FIFO or a terminal would wait for somebody who may never write. */
static const char *unfit(const struct stat *st)
{
	return S_ISREG(st->st_mode) ? NULL : "not a regular file; - is standard input";
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

	if (!d)
		return add_bad(l, dir, strerror(errno));
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
	size_t first = l->nr, bad = l->nr_bad;
	struct stat st;
	int err;

	if (!strcmp(arg, "-"))
		return add(l, strdup(arg));
	if (stat(arg, &st))
		return add_bad(l, arg, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return unfit(&st) ? add_bad(l, arg, unfit(&st)) : add(l, strdup(arg));
	err = walk(l, arg);
	if (err)
		return err;
	if (l->nr == first && l->nr_bad == bad)
		return add_bad(l, arg, "no programs (*" SUFFIX ") in this directory");
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
	for (size_t i = 0; i < l->nr_bad; i++)
		free(l->bad[i].path);
	free(l->paths);
	free(l->bad);
	*l = (struct file_list){0};
}

bool file_usable(const char *path)
{
	struct stat st;
	const char *why;

	/* what is not there is said by whoever opens it */
	if (!strcmp(path, "-") || stat(path, &st))
		return true;
	why = S_ISDIR(st.st_mode) ? "is a directory; one file is needed" : unfit(&st);
	if (why)
		say("%s: %s", path, why);
	return !why;
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
