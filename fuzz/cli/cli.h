/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The `faultline` command: what its subcommands share. Each subcommand is an entry of the table in
 * main.c; it gets its own name as argv[0] and returns an exit code.
 */
#ifndef FAULTLINE_CLI_H
#define FAULTLINE_CLI_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "program.h"

/* Exit codes (contract). When several apply: 5, 3, 4, 1, 2. */
enum {
	EXIT_CLEAN,
	EXIT_FINDING,
	EXIT_USAGE,
	EXIT_ENV,
	EXIT_NONDET,
	EXIT_INJECTOR,
};
int exit_worst(int a, int b);

int cmd_run(int argc, char **argv);
int cmd_sweep(int argc, char **argv);
int cmd_sites(int argc, char **argv);
int cmd_min(int argc, char **argv);
int cmd_fmt(int argc, char **argv);
int cmd_gen(int argc, char **argv);
int cmd_alloc_check(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_import_strace(int argc, char **argv);

/* One line on stderr that starts with "faultline: ". */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same, followed by where to find help. Returns EXIT_USAGE. */
int usage_error(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What getopt_long() stumbled over; main() has silenced its own words. Returns EXIT_USAGE. */
int option_error(const char *command, char **argv);
/* A decimal number without sign; false: text is none, or above max. */
bool parse_u64(const char *text, u64 max, u64 *out);

/* ---- output.c ------------------------------------------------------------------------------- */

/*
 * Writes a whole result: to standard output when path is NULL or "-". A file is replaced only once
 * all of it is on the disk. 0, or EXIT_ENV after a line on stderr.
 */
int output_write(const char *path, const void *data, size_t len);
/* Pushes standard output out. 0, or EXIT_ENV; says why the first time. */
int output_flush(void);

/* ---- json.c: one object per line, to a stream ----------------------------------------------- */

struct json {
	FILE *out;
	bool comma; /* a member came before */
};

/* Begins {"v":1,"type":TYPE. */
void json_begin(struct json *j, FILE *out, const char *type);
void json_end(struct json *j);
void json_key(struct json *j, const char *key);
/* Any bytes: what is not UTF-8 becomes \udcXX, as Python's surrogateescape has it. */
void json_text(FILE *out, const char *text, size_t len);
void json_str(struct json *j, const char *key, const char *text);
void json_u64(struct json *j, const char *key, u64 val);
void json_bool(struct json *j, const char *key, bool val);
void json_null(struct json *j, const char *key);

/* ---- files.c -------------------------------------------------------------------------------- */

/* An argument that cannot be used. */
struct bad_file {
	char *path;
	char why[96];
};

struct file_list {
	char **paths;
	size_t nr, max;
	struct bad_file *bad;
	size_t nr_bad;
};

/*
 * Expands files, directories (every *.prog below, sorted, links not followed) and "-". What cannot
 * be used is put into bad; the others stay. 0 or -ENOMEM.
 */
int files_expand(struct file_list *l, char **args, int nr);
/* One directory, of which nothing needs to be there. */
int files_expand_quietly(struct file_list *l, const char *dir);
void files_free(struct file_list *l);
/* For commands that take one file: false when path is a directory, a FIFO, a device: says so. */
bool file_usable(const char *path);
/*
 * program_load() for commands: a fault is said as "file:line: what". 0, EXIT_USAGE or EXIT_ENV.
 */
int load_one(struct program *p, const char *path);
/* Its parts: the exit code of program_load()'s result, and the line. */
int load_status(int err);
void load_message(const char *path, const struct prog_error *error, char *buf, size_t len);

#endif
