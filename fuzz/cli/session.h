/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Work on many programs, each in a supervised child: what kills the child becomes a finding, and
 * the next program has its turn. The child sends findings and its result as records through a pipe;
 * where it is and what it has met lies in memory that both see, so that it outlives the child.
 */
#ifndef FAULTLINE_SESSION_H
#define FAULTLINE_SESSION_H

#include <getopt.h>

#include "backend.h"
#include "cli.h"
#include "sweep.h"
#include "target.h"

struct shared {
	volatile u32 op;		      /* running, UINT32_MAX: after the last */
	volatile u32 nr_ops;		      /* of the program, 0: not loaded yet */
	const struct fl_allocator_ops *alloc; /* of the program's machine */
	volatile u32 backend; /* function of a loaded backend that runs; see backend_call() */
	struct fi fi;
	struct target t;
	struct sweep_stats sweep; /* of the program so far */
	struct cover cover;	  /* of all programs so far */
};

/* A finding and the lines of the program around its operation. */
struct finding_record {
	struct finding f;
	char text[160];	    /* the operation */
	char context[1024]; /* lines ready to be shown */
	bool marks;	    /* the program has some */
};

struct file_result {
	int code; /* EXIT_CLEAN, or why there is no result: message is set */
	char message[640];
	u64 ops, executed;
	struct sweep_stats sweep;
	u64 met, delivered, findings;
	u64 refills; /* what the backend asked for itself, not in met */
	u64 trace_hash;
	u32 runs; /* that agreed */
	bool has_hash;
	struct model_stats model;
	bool forked; /* swept with a child per point, after one that was for all had died */
	bool prefix; /* the program dies without any fault: what is before that was swept */
	bool cut;    /* the child died or was stopped: counts are those up to then */
	u32 cut_op;  /* where, UINT32_MAX: not in an operation */
};

struct session;

/* Runs in the child. */
struct worker {
	struct session *ses;
	const char *path;
	int fd; /* of the pipe, -1: no child, records are handled at once */
	u32 nr_echoed;
};
void worker_finding(struct worker *w, const struct program *p, const struct finding *f);
/* A line for standard output, with its newline. */
void worker_text(struct worker *w, const char *text, size_t len);
/* Loads the program and makes its machine. False: res says why not. */
bool worker_load(struct worker *w, struct program *p, struct machine_config *cfg,
		 struct file_result *res);
/* Options of a target as the session has them. */
void worker_target(struct worker *w, const struct program *p, const struct machine_config *cfg,
		   struct target_options *opt);

typedef void (*job_fn)(struct worker *w, struct file_result *res);
typedef void (*result_fn)(struct session *ses, const char *path, const struct file_result *res);
/*
 * The job's child died, which left this result: true when the job is to be tried again in another
 * way, which it has noted in the session.
 */
typedef bool (*escalate_fn)(struct session *ses, const struct file_result *res);
/* Fills the counts of a child that did not get to say them from what it left in ses->shared. */
typedef void (*salvage_fn)(const struct session *ses, struct file_result *res);

struct bucket_name {
	char s[13];
};

struct session {
	const char *command;
	bool json, isolate;
	const char *machine; /* k=v,... of the command line, or NULL */
	const struct fl_allocator_ops *alloc;
	const char *alloc_name;			/* of the command line, or NULL */
	const struct fl_allocator_ops *against; /* a second backend to compare with, or NULL */
	enum check_level check;
	const struct fi_plan *plan; /* of the command line, or NULL */
	const char *plan_text;
	bool no_marks, no_model;
	u32 max_ops, repeat;
	u32 classes, modes; /* of a sweep, 0: all */
	u32 like;	    /* see sweep_options */
	bool pairs, single;
	bool quiet;		   /* findings of the sweep are not shown */
	struct coverage *coverage; /* or NULL: grows as programs are done */
	job_fn job;
	const void *job_arg;
	result_fn result;
	salvage_fn salvage;   /* or NULL */
	escalate_fn escalate; /* or NULL */
	bool forked;	      /* this file's sweep makes a child per point */
	bool prefix;	      /* this file's program is cut off before it dies: at max_ops */

	finding_fn probe_fn; /* findings go there and nowhere else, or NULL */
	void *probe_priv;

	struct shared *shared;
	int status;
	u64 started; /* ns */
	size_t nr_files, file;
	struct file_result total;
	u64 errors, nr_reported;
	struct bucket_name *buckets; /* of findings shown */
	char awaited[13];	     /* bucket that has its turn again, "" if none has */
	bool came;		     /* it has come */
	size_t nr_buckets, max_buckets;
	bool progress; /* a status line is on the terminal */
};

/* Fills in the defaults. 0 or EXIT_ENV. */
int session_init(struct session *ses, const char *command);
/* Works through the list; returns the status. The total is the caller's to print. */
int session_run(struct session *ses, const struct file_list *files);
void session_end(struct session *ses);
/*
 * Runs a job once, in a child of its own unless the session does without, and gives its findings,
 * a crash among them, to fn; nothing is reported or counted. 0 or EXIT_ENV.
 */
int session_probe(struct session *ses, const char *path, job_fn job, const void *arg, finding_fn fn,
		  void *priv);
double session_seconds(const struct session *ses);
/* From now on Ctrl-C is noted and ends the child at work, not this process. */
void session_catch_interrupts(const struct session *ses);
/* True once Ctrl-C was pressed. */
bool session_interrupted(void);

/*
 * sweep_options.isolate; priv is the worker. What the child writes to stderr when it dies goes to
 * this process's, the first times.
 */
int worker_isolate(struct worker *w, void (*fn)(void *arg), void *arg, struct finding *how);
/* The status, with standard output pushed out. After Ctrl-C it does not return. */
int session_exit(struct session *ses, int status);

/* "clean", "finding", "interrupted" or "error". */
const char *verdict_name(const struct file_result *res);

/* ---- against.c ------------------------------------------------------------------------------ */

/*
 * Runs the program on the session's backend and on ses->against, and compares after each operation.
 * True: f is the first difference.
 */
bool differs_between_backends(struct worker *w, const struct program *p,
			      const struct machine_config *cfg, struct finding *f);

/* ---- options.c: the command line of run, sweep and sites ------------------------------------ */

/* k=v,... of --machine on a machine and, for teardown, on a program. 0, or -EINVAL with a line. */
int apply_machine(struct machine_config *cfg, struct program *p, const char *text, char *why,
		  size_t why_len);

struct command {
	const char *name, *help;
	/* Its own options: 'm', 'a', 'M', 'n', 'j' and 'h' are machine, allocator, model,
	 * no-isolate, json and help, which session_begin() handles. */
	const struct option *options;
	/* One of the others: 0, or an exit code after a line. */
	int (*option)(struct session *ses, int c, char **argv, void *arg);
	void *arg;
};

/*
 * Makes the session of a command and reads its options; FILE... begins at argv[optind]. False: the
 * command is over and *status its exit code.
 */
bool session_begin(struct session *ses, const struct command *cmd, int argc, char **argv,
		   int *status);
/* Runs all FILE... The total is the caller's to print. */
int session_files(struct session *ses, int argc, char **argv);

/* ---- coverage.c: fault coverage in a file --------------------------------------------------- */

struct coverage;

/* Its entries by site, operation and context; the caller frees them. NULL: out of memory. */
struct cover_entry *coverage_sorted(const struct cover *cover, u32 *nr);
/*
 * Adds the counts of a file. 0, EXIT_USAGE with a line that names file and line, or EXIT_ENV.
 * Names that this build does not have are left out, and said.
 */
int coverage_read(struct cover *cover, const char *path);
/* The name of a site, "-" for none. */
const char *coverage_site(u16 site);
/* adds: the file need not be there, and grows. The caller closes it; *c is set if 0 is returned. */
int coverage_open(struct coverage **c, const char *path, bool adds);
void coverage_close(struct coverage *c);
/*
 * Adds to the file what `now` has more than at the last time, if that was a second ago, or at once.
 * `now` only grows.
 */
int coverage_save(struct coverage *c, const struct cover *now, bool force);
/* The file's counts as they were read or saved last. */
struct cover *coverage_sum(struct coverage *c);

/* ---- cmd_sweep.c: the work of sweep and sites ----------------------------------------------- */

void sweep_job(struct worker *w, struct file_result *res);
bool sweep_again(struct session *ses, const struct file_result *res);

/* ---- report.c: findings as text and JSON ---------------------------------------------------- */

void report_finding(struct session *ses, const char *path, const struct finding_record *rec);
/* What the reference model did: a line, or a field of an object. */
void report_model(const struct session *ses, const struct model_stats *s);
void report_model_json(struct json *j, const struct model_stats *s);

#endif
