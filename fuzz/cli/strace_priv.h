/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the importer share. Functions that return int return 0, -ENOMEM, -E2BIG (of
 * space_set()), or -EINVAL with im->err filled in; after a failure the import is given up as a
 * whole.
 */
#ifndef FAULTLINE_STRACE_PRIV_H
#define FAULTLINE_STRACE_PRIV_H

#include <faultline/mm_types.h>
#include <faultline/syscalls.h>

#include "program_priv.h"
#include "strace.h"

#define TASK_SIZE_47 ((u64)1 << 47)
#define NONE	     UINT32_MAX
#define MAX_REMARKS  20000u /* comments in place; what comes after is counted only */
#define TEXT_OF_CALL 200    /* most bytes of a call that a comment quotes */

/* Attributes of ranges. */
#define ATTR_ANON   0x40u /* of SPACE_MAPPED in a task's space: private, and of no file */
#define ATTR_SHARED 0x80u /* of SPACE_MAPPED in a task's space: a shared mapping of a file */
#define ATTR_PROT   0x07u /* of an image's segments: enough for the call that needs them */

struct image {
	u32 op;		    /* the exec */
	u32 file;	    /* fN or NONE */
	struct space *seen; /* SPACE_MAPPED: a segment; SPACE_FREE: was free when the image began */
	u64 brk;	    /* 0: not known */
};

struct itask {
	s64 pid;
	u32 nr;	   /* tN, and its index */
	u32 group; /* index of the first task of its thread group */
	u32 image; /* NONE: not running yet */
	struct space *space;
	u32 waits;     /* index of its vfork child, or NONE */
	u32 waiter;    /* index of the task that waits for it, or NONE */
	u32 last_step; /* or STRACE_NO_STEP */
	bool alive;
	u32 members;	  /* of the first of a group: tasks that it ever had */
	bool group_exits; /* of the first of a group */
};

struct ifile {
	struct strace_text path;
	u32 op; /* the open */
	u64 pages;
};

/* A userfaultfd: the slot that it has in the program is its index. */
struct iuffd {
	u32 group; /* who made it, NONE: no such slot in use */
	u64 fd;
};

struct count {
	char name[48];
	u32 n;
};

/* Sorted by name. */
struct counts {
	struct count *v;
	u32 nr, max;
};

/* Pointers to tasks hold until the next task is added. */
struct importer {
	struct program *p;
	struct strace_log log;
	struct strace_report *report;
	struct prog_error *err;
	u32 step; /* being processed */

	struct itask *tasks;
	u32 nr_tasks, max_tasks;
	struct strace_pids pids; /* to the index of the newest task of that pid */
	struct image *images;
	u32 nr_images, max_images;
	struct ifile *files;
	u32 nr_files, max_files;
	struct iuffd uffds[NR_UFFDS];
	u32 *pending; /* events between their first and last line */
	u32 nr_pending, max_pending;

	struct strbuf comment; /* for the next operation */
	struct counts unsupported, dependent, skipped, other, ignored;
	u32 nr_remarks;
	u64 largest;	 /* pages that one call charges */
	u32 alive, peak; /* tasks */
};

/* Room for one more element of *array; false: no memory, nothing changed. */
bool st_grow(void **array, u32 *max, u32 nr, size_t size);

/* ---- strace_emit.c: operations, comments, tasks, files, images ------------------------------ */

/* What came from the log goes into the program as one line of printable ASCII. */
void st_text(struct strbuf *b, struct strace_text t, size_t most);
/* One more "name what". */
int st_count(struct counts *c, struct strace_text name, const char *what);
/* A comment in place, quoting the call. */
void st_remark(struct importer *im, const struct itask *t, const struct strace_event *e,
	       const char *why);
/* The three ways for a call not to become an operation: remark and count. */
int st_unsupported(struct importer *im, const struct itask *t, const struct strace_event *e,
		   const char *what);
int st_dependent(struct importer *im, const struct itask *t, const struct strace_event *e);
int st_skipped(struct importer *im, const struct itask *t, const struct strace_event *e);

static inline struct arg st_number(u64 val)
{
	return (struct arg){.base = BASE_ABS, .val = val};
}

static inline struct arg st_file_arg(u32 nr)
{
	return (struct arg){.ref = nr == NONE ? NO_REF : nr};
}

/* The next operation, with the comments that were waiting for it. */
int st_emit(struct importer *im, struct itask *t, enum op_code code, struct op **out);
void st_expect_value(struct op *op, u64 val);
/* munmap or mprotect, expected to succeed. */
int st_emit_range(struct importer *im, struct itask *t, enum op_code code, u64 start, u64 len,
		  u32 prot);

/* The newest task of that pid, or NULL. */
struct itask *st_task(struct importer *im, s64 pid);
int st_add_task(struct importer *im, s64 pid, struct itask **out);
/* An exit, unless it has ended. */
int st_end_task(struct importer *im, struct itask *t);
/* Lets the task go on that waits for t, if one does. */
void st_release_waiter(struct importer *im, struct itask *t);
/* A vfork has returned to t: its child has left the address space, if its lines say so or not yet.
 */
int st_settle_vfork(struct importer *im, struct itask *t);
/* Will no line speak of t any more? */
bool st_is_silent(const struct importer *im, const struct itask *t);

/* The program's file for a path, opened by t when it is new, and large enough for `pages`. */
int st_file(struct importer *im, struct itask *t, struct strace_text path, u64 pages, u32 *out);
/* A new image for t, which has no address space: an exec whose segments are found out later. */
int st_begin_image(struct importer *im, struct itask *t, u32 file);

enum need {
	NEED_MET,
	NEED_GHOST
};
/*
 * A call that succeeded needed all of [start, end). What nothing mapped is taken to be the image's,
 * unless it is known to have been free. prot is what the call makes of it: a segment starts out
 * with what it would lose or gain, so that the call has something to do.
 */
int st_need(struct importer *im, struct itask *t, u64 start, u64 end, u32 prot, enum need *out);

/* ---- strace_uffd.c: userfaultfd and what is asked of one; a close of one ----------------------
 */

void st_uffd_init(struct importer *im);
/* A close or an ioctl that no userfaultfd is meant by. */
bool st_is_about_file(const struct importer *im, const struct strace_event *e);
int st_call_userfaultfd(struct importer *im, struct itask *t, struct strace_event *e);
int st_call_ioctl(struct importer *im, struct itask *t, struct strace_event *e);
int st_call_close(struct importer *im, struct itask *t, struct strace_event *e);

/* ---- strace_calls.c ------------------------------------------------------------------------- */

bool st_arg_number(const struct strace_event *e, unsigned int n, u64 *out);
int st_bad_args(struct importer *im, const struct strace_event *e);
bool st_in_range(u64 start, u64 len);
/* A call of a kind that no address space sees. */
int st_other(struct importer *im, const struct strace_event *e);
/* Lets a call take effect, once. Not for exit and exit_group. */
int st_apply(struct importer *im, struct strace_event *e, struct itask *t);

#endif
