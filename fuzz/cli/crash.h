/* SPDX-License-Identifier: GPL-2.0-only */
/* How a child died: what it wrote to stderr, its status, and what both mean as a finding. */
#ifndef FAULTLINE_CRASH_H
#define FAULTLINE_CRASH_H

#include "subject.h"

#define CRASH_TEXT_MAX ((size_t)256 << 10)

struct crash_report {
	char *text; /* NUL-terminated, or NULL */
	size_t len;
};

/* Takes the contents of a file that the child wrote, the first CRASH_TEXT_MAX bytes of it. */
void crash_read(struct crash_report *r, int fd);
void crash_free(struct crash_report *r);
/* Passes it on to stderr. */
void crash_echo(const struct crash_report *r);
/*
 * Oracle, what, class_key, func, expected and actual of a child that ended with this status of
 * waitpid(). hung: it was killed because it showed no life.
 */
void crash_describe(const struct crash_report *r, int status, bool hung, struct finding *f);
/*
 * The same, when a function of a loaded backend was running: the backend's doing, whatever it was
 * that ended it. call is its name; NULL: none was, and nothing is changed.
 */
void crash_in_backend(const char *call, struct finding *f);

#endif
