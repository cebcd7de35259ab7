/* SPDX-License-Identifier: GPL-2.0-only */
#define _GNU_SOURCE
#include "crash.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void crash_read(struct crash_report *r, int fd)
{
	struct stat st;
	ssize_t n;

	*r = (struct crash_report){0};
	if (fstat(fd, &st) || st.st_size <= 0)
		return;
	r->len = (size_t)st.st_size < CRASH_TEXT_MAX ? (size_t)st.st_size : CRASH_TEXT_MAX;
	r->text = malloc(r->len + 1);
	if (!r->text) {
		r->len = 0;
		return;
	}
	n = pread(fd, r->text, r->len, 0);
	r->len = n > 0 ? (size_t)n : 0;
	r->text[r->len] = '\0';
}

void crash_free(struct crash_report *r)
{
	free(r->text);
	*r = (struct crash_report){0};
}

void crash_echo(const struct crash_report *r)
{
	if (r->text)
		fwrite(r->text, 1, r->len, stderr);
}

/* ---- sanitizers ----------------------------------------------------------------------------- */

static const struct tool {
	const char *mark;
	enum oracle oracle;
} tools[] = {
	{"ERROR: AddressSanitizer: ", ORACLE_asan},
	{"ERROR: LeakSanitizer: ", ORACLE_lsan},
	{"WARNING: MemorySanitizer: ", ORACLE_msan},
	{"ERROR: MemorySanitizer: ", ORACLE_msan},
	{"WARNING: ThreadSanitizer: ", ORACLE_tsan},
	{"runtime error: ", ORACLE_ubsan},
	{"ERROR: UndefinedBehaviorSanitizer: ", ORACLE_ubsan},
};

/*
 * The kind of error, without what changes from run to run. AddressSanitizer's is its first word;
 * others are sentences, of which digits are left out.
 */
static void error_class(const char *p, bool word, char *buf, size_t len)
{
	size_t n = 0;

	if (!strncmp(p, "attempting ", 11))
		p += 11;
	for (; *p && *p != '\n' && n + 1 < len; p++) {
		if (word && *p == ' ')
			break;
		if (!word && *p == '(')
			break;
		if (isdigit((unsigned char)*p) || *p == '\'' ||
		    (*p == ' ' && n && buf[n - 1] == '-'))
			continue;
		buf[n++] = *p == ' ' ? '-' : *p;
	}
	while (n && buf[n - 1] == '-')
		n--;
	buf[n] = '\0';
}

/* The line of a report without addresses, which are different each time. */
static void error_line(const char *p, char *buf, size_t len)
{
	size_t n = 0;

	while (*p && *p != '\n' && n + 4 < len) {
		if (!strncmp(p, "0x", 2) && isxdigit((unsigned char)p[2])) {
			memcpy(buf + n, "0x*", 3);
			n += 3;
			p += 2 + strspn(p + 2, "0123456789abcdefABCDEF");
			continue;
		}
		buf[n++] = *p++;
	}
	buf[n] = '\0';
}

/* Function of a frame "    #3 0x5581 in exit_mmap /src/engine/mm/mmap.c:12:3", or false. */
static bool frame_func(const char *line, size_t len, char *buf, size_t buf_len)
{
	const char *in = memmem(line, len, " in ", 4);
	size_t n;

	if (!in)
		return false;
	in += 4;
	n = strcspn(in, " (\n");
	snprintf(buf, buf_len, "%.*s", (int)n, in);
	return n > 0;
}

/* The first frame in the engine; else the first that is not the sanitizer's own. */
static void detecting_func(const char *text, char *buf, size_t len)
{
	bool have = false;
	char func[64];

	snprintf(buf, len, "-");
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t n = strcspn(line, "\n"), blank = strspn(line, " ");

		if (line[blank] != '#' || !isdigit((unsigned char)line[blank + 1]))
			continue;
		if (!frame_func(line, n, func, sizeof(func)))
			continue;
		if (memmem(line, n, "/engine/", 8) && !memmem(line, n, "/engine/alloc/", 14)) {
			snprintf(buf, len, "%s", func);
			return;
		}
		if (!have && strncmp(func, "__", 2)) {
			snprintf(buf, len, "%s", func);
			have = true;
		}
	}
}

static bool sanitizer(const struct crash_report *r, struct finding *f)
{
	const struct tool *tool = NULL;
	const char *first = NULL;

	if (!r->text)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		const char *at = strstr(r->text, tools[i].mark);

		if (at && (!first || at < first)) {
			first = at;
			tool = &tools[i];
		}
	}
	if (!tool)
		return false;
	f->oracle = tool->oracle;
	error_class(first + strlen(tool->mark), tool->oracle == ORACLE_asan, f->class_key,
		    sizeof(f->class_key));
	detecting_func(first, f->func, sizeof(f->func));
	snprintf(f->what, sizeof(f->what), "%s in %s", f->class_key, f->func);
	snprintf(f->expected, sizeof(f->expected), "no report of a sanitizer");
	error_line(first, f->actual, sizeof(f->actual));
	return true;
}

void crash_describe(const struct crash_report *r, int status, bool hung, struct finding *f)
{
	if (sanitizer(r, f))
		return;
	f->oracle = hung ? ORACLE_hang : ORACLE_crash;
	snprintf(f->func, sizeof(f->func), "-");
	snprintf(f->expected, sizeof(f->expected), "the run ends");
	if (hung)
		snprintf(f->class_key, sizeof(f->class_key), "watchdog");
	else if (WIFSIGNALED(status))
		snprintf(f->class_key, sizeof(f->class_key), "SIG%s",
			 sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?");
	else
		snprintf(f->class_key, sizeof(f->class_key), "exit-%d", WEXITSTATUS(status));
	snprintf(f->what, sizeof(f->what), "%s",
		 hung ? "no progress, stopped by the watchdog" : f->class_key);
	snprintf(f->actual, sizeof(f->actual), "%s", f->class_key);
}

void crash_in_backend(const char *call, struct finding *f)
{
	char how[sizeof(f->class_key)];

	if (!call)
		return;
	snprintf(how, sizeof(how), "%s", f->class_key);
	f->oracle = ORACLE_backend;
	snprintf(f->class_key, sizeof(f->class_key), "%.40s in %s", how, call);
	snprintf(f->func, sizeof(f->func), "%s", call);
	snprintf(f->what, sizeof(f->what), "the backend died in %s(): %s", call, how);
	snprintf(f->expected, sizeof(f->expected), "%s() returns", call);
}
