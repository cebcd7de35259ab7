/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Recorded programs: what `strace -f -y -e trace=%memory,%process` wrote, as a program.
 *
 * Four layers, each in its own file: a line (strace_line.c); a log, where interrupted lines are
 * joined and every line has a process (strace_log.c); what is known of an address space
 * (strace_space.c); and the program that comes of it (strace_import.c).
 */
#ifndef FAULTLINE_STRACE_H
#define FAULTLINE_STRACE_H

#include "program.h"

/* Text inside the log; not terminated, not owned. */
struct strace_text {
	const char *p;
	size_t len;
};

/* ---- strace_line.c -------------------------------------------------------------------------- */

enum strace_what {
	STRACE_CALL,	   /* name(args) = result */
	STRACE_UNFINISHED, /* name(args <unfinished ...>; other: pid that resumes it, or 0 */
	STRACE_RESUMED,	   /* <... name resumed>rest; args holds the rest */
	STRACE_SIGNAL,
	STRACE_EXITED,
	STRACE_KILLED,
	STRACE_SUPERSEDED, /* the pid now names the task that was `other` before its execve */
	STRACE_ATTACHED,   /* other: the new pid */
	STRACE_COMMENT,	   /* a line that starts with '#' */
	STRACE_NOTE,	   /* blank, or a message of strace's own */
};

enum strace_result {
	STRACE_NO_RESULT,
	STRACE_VALUE,
	STRACE_ERROR
};

#define STRACE_NO_PID (-1)

struct strace_line {
	enum strace_what what;
	s64 pid; /* STRACE_NO_PID: the line does not say */
	s64 other;
	struct strace_text name, args;
	enum strace_result result;
	u64 value;		    /* STRACE_VALUE */
	struct strace_text errname; /* STRACE_ERROR: "ENOENT" */
};

/* One line without its newline. 0, or -EINVAL with the reason in why. */
int strace_parse_line(const char *p, size_t len, struct strace_line *out, char *why,
		      size_t why_len);
/* Argument n (0-based) of a call, without blanks around it. False: it has no such argument. */
bool strace_arg(struct strace_text args, unsigned int n, struct strace_text *out);
/* NULL, hexadecimal or decimal at the start of text; a descriptor's path may follow. */
bool strace_number(struct strace_text text, u64 *out);
/* Path that -y shows with a descriptor. False: none shown. */
bool strace_fd_path(struct strace_text text, struct strace_text *out);
/* Takes the next word of "A|B|C" off *flags; blanks and comments are skipped. False: none left. */
bool strace_next_flag(struct strace_text *flags, struct strace_text *word);
/* Value of "key=value" within a printed structure or argument list, up to ',' or '}'. */
bool strace_field(struct strace_text args, const char *key, struct strace_text *out);
bool strace_is(struct strace_text text, const char *s);

/* ---- strace_log.c --------------------------------------------------------------------------- */

/* A call from its first line to its last, or the end of a process. */
struct strace_event {
	struct strace_line l; /* STRACE_CALL, _EXITED, _KILLED or _SUPERSEDED */
	u32 line;	      /* 1-based, where it starts */
	bool ended;	      /* its last line is in the log */
	bool applied;	      /* the importer's */
};

enum {
	STRACE_START = 1,
	STRACE_END = 2
};

/* What one line says about an event. */
struct strace_step {
	s64 pid;
	u32 event;
	u32 line;
	u32 next; /* next step of the same pid, or STRACE_NO_STEP */
	u8 phase; /* STRACE_START, STRACE_END or both */
};
#define STRACE_NO_STEP UINT32_MAX

struct strace_log {
	struct strace_event *events;
	u32 nr_events, max_events;
	struct strace_step *steps;
	u32 nr_steps, max_steps;
	s64 *roots; /* pids that no recorded call made, in order of appearance */
	u32 nr_roots, max_roots;
	char **joined; /* texts of joined calls, which events point into */
	u32 nr_joined, max_joined;
	struct strace_text head; /* comment lines that the log starts with */
};

/*
 * Keeps pointers into text. 0; -EINVAL with err filled in; -ENOMEM. Free it in any case.
 */
int strace_log_read(struct strace_log *log, const char *text, size_t len, struct prog_error *err);
void strace_log_free(struct strace_log *log);
/* fork, vfork, clone and clone3. */
bool strace_makes_task(const struct strace_line *l);

/* pid to number; grows, never shrinks. */
struct strace_pids {
	s64 *keys;
	u32 *vals;
	u32 nr, max;
};
/* The slot's value, or NULL when pid was never put. */
u32 *strace_pids_get(const struct strace_pids *map, s64 pid);
int strace_pids_put(struct strace_pids *map, s64 pid, u32 val);
void strace_pids_free(struct strace_pids *map);

/* ---- strace_space.c ------------------------------------------------------------------------- */

/* What is known of a page; what was never set is SPACE_UNKNOWN. */
enum space_kind {
	SPACE_UNKNOWN, /* as the image left it */
	SPACE_MAPPED,  /* the program maps it */
	SPACE_GHOST,   /* mapped in the recording, by a call that the program does not have */
	SPACE_FREE,    /* nothing is there */
};

struct space_range {
	u64 start, end;
	u8 kind; /* enum space_kind */
	u8 attr; /* the user's; ranges that differ in it stay apart */
};

struct space {
	u32 refs;
	struct space_range *ranges; /* sorted, disjoint; neighbours that are alike are joined */
	u32 nr, max;
	u64 brk; /* 0: not known */
};

/* More ranges than an address space has under the kernel's limit on mappings, by far. */
#define SPACE_MAX 131072u

struct space *space_new(void);
struct space *space_get(struct space *s);
void space_put(struct space *s);
struct space *space_copy(const struct space *s);
/* 0, -ENOMEM or -E2BIG; nothing changed then. Bounds are page aligned, start <= end. */
int space_set(struct space *s, u64 start, u64 end, enum space_kind kind, u8 attr);
/*
 * The piece that covers start, clipped to end; a piece that nothing was said about comes as
 * SPACE_UNKNOWN. start < end.
 */
struct space_range space_at(const struct space *s, u64 start, u64 end);
bool space_has(const struct space *s, u64 start, u64 end, enum space_kind kind);

/* ---- strace_import.c ------------------------------------------------------------------------ */

/* Each call of the log is counted in exactly one of these. */
struct strace_report {
	u32 calls;
	u32 programmed;	 /* operations of the program */
	u32 unsupported; /* the engine does not have them yet: a comment in place */
	u32 dependent;	 /* on memory that an unsupported call made: a comment in place */
	u32 skipped;	 /* failed for a reason outside the engine, or no result recorded */
	u32 other;	 /* kinds of call that the address space does not see: counted only */
	u32 tasks, threads, images;
};

/*
 * Log to program. 0; -EINVAL with err filled in (line 0: the log as a whole); -ENOMEM. *out is
 * initialised by the callee and empty unless 0 is returned.
 */
int strace_import(const char *text, size_t len, struct program *out, struct strace_report *report,
		  struct prog_error *err);

#endif
