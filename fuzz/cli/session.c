/* SPDX-License-Identifier: GPL-2.0-only */
#define _GNU_SOURCE
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crash.h"

/* Beside the step budget of the engine, which is what finds loops: for a bench that hangs itself.
 */
#define WATCHDOG_SECONDS 120
#define POLL_MS		 200
#define STDIN_MAX	 ((size_t)PROG_MAX_TEXT + 1)

enum record_type {
	REC_FINDING,
	REC_TEXT,
	REC_RESULT
};

struct record_head {
	u32 type, len;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	interrupted = sig;
}

bool session_interrupted(void)
{
	return interrupted != 0;
}

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000u + (u64)ts.tv_nsec;
}

double session_seconds(const struct session *ses)
{
	return (double)(now_ns() - ses->started) / 1e9;
}

int session_init(struct session *ses, const char *command)
{
	*ses = (struct session){
		.command = command,
		.isolate = true,
		.alloc = fl_allocator_find("malloc"),
		.check = CHECK_FULL,
		.repeat = 1,
		.started = now_ns(),
	};
	ses->shared = mmap(NULL, sizeof(*ses->shared), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ses->shared == MAP_FAILED) {
		ses->shared = NULL;
		say("no memory: %s", strerror(errno));
		return EXIT_ENV;
	}
	fi_init(&ses->shared->fi);
	return 0;
}

void session_end(struct session *ses)
{
	if (ses->shared)
		munmap(ses->shared, sizeof(*ses->shared));
	free(ses->buckets);
	ses->shared = NULL;
	ses->buckets = NULL;
}

/* ---- records, and the side that makes them -------------------------------------------------- */

static void take_record(struct session *ses, const char *path, enum record_type type,
			const void *data, size_t len, struct file_result *res);

static void put(struct worker *w, enum record_type type, const void *data, size_t len)
{
	const struct record_head head = {type, (u32)len};
	const char *parts[2] = {(const char *)&head, data};
	size_t left[2] = {sizeof(head), len};

	if (w->fd < 0) {
		take_record(w->ses, w->path, type, data, len, NULL);
		return;
	}
	for (unsigned int i = 0; i < 2; i++) {
		while (left[i]) {
			ssize_t n = write(w->fd, parts[i], left[i]);

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				_exit(EXIT_ENV); /* the parent has gone */
			parts[i] += n;
			left[i] -= (size_t)n;
		}
	}
}

void worker_text(struct worker *w, const char *text, size_t len)
{
	put(w, REC_TEXT, text, len);
}

/* The operation and its neighbours, with the one in question marked. */
static void describe(struct finding_record *rec, const struct program *p)
{
	u32 op = rec->f.op, from, to;
	char text[160];
	size_t at = 0;

	rec->marks = p->nr_faults != 0;
	if (!p->nr_ops)
		return;
	if (op == UINT32_MAX) {
		from = p->nr_ops > 4 ? p->nr_ops - 4 : 0;
		to = p->nr_ops;
	} else {
		program_print_op(p, op, rec->text, sizeof(rec->text));
		from = op > 3 ? op - 3 : 0;
		to = op + 3 < p->nr_ops ? op + 3 : p->nr_ops;
	}
	for (u32 i = from; i < to && at < sizeof(rec->context); i++) {
		program_print_op(p, i, text, sizeof(text));
		at += (size_t)snprintf(rec->context + at, sizeof(rec->context) - at,
				       "  %s %5" PRIu32 "  %s\n", i == op ? ">>>" : "   ", i, text);
	}
}

void worker_finding(struct worker *w, const struct program *p, const struct finding *f)
{
	struct finding_record rec = {.f = *f};

	describe(&rec, p);
	put(w, REC_FINDING, &rec, sizeof(rec));
}

bool worker_load(struct worker *w, struct program *p, struct machine_config *cfg,
		 struct file_result *res)
{
	struct prog_error error = {0};
	char why[160];
	int err = program_load(p, w->path, &error);

	if (err) {
		if (!error.what[0])
			snprintf(error.what, sizeof(error.what), "%s", strerror(-err));
		res->code = load_status(err);
		load_message(w->path, &error, res->message, sizeof(res->message));
		return false;
	}
	machine_config_init(cfg);
	err = program_machine(p, cfg, &error);
	if (err) {
		load_message(w->path, &error, res->message, sizeof(res->message));
		goto bad;
	}
	if (w->ses->machine)
		apply_machine(cfg, p, w->ses->machine, why, sizeof(why));
	if (machine_config_check(cfg, why, sizeof(why))) {
		snprintf(res->message, sizeof(res->message), "%s: %s", w->path, why);
		goto bad;
	}
	w->ses->shared->nr_ops = p->nr_ops;
	return true;

bad:
	program_free(p);
	res->code = EXIT_USAGE;
	return false;
}

void worker_target(struct worker *w, const struct program *p, const struct machine_config *cfg,
		   struct target_options *opt)
{
	struct shared *sh = w->ses->shared;

	/* command line > machine; the option's values are the built-in ones in their order */
	sh->alloc = w->ses->alloc_name ? w->ses->alloc : fl_allocator_at((unsigned int)cfg->alloc);
	*opt = (struct target_options){
		.machine = *cfg,
		.alloc = sh->alloc,
		.check = w->ses->check,
		/* only text has lines, and only there somebody meant what is expected */
		.expectations = p->nr_ops && p->ops[0].line,
		.no_marks = w->ses->no_marks,
		.no_model = w->ses->no_model,
		.max_ops = w->ses->max_ops,
		.fi = &sh->fi,
		.cover = &sh->cover,
		.position = &sh->op,
	};
}

/* ---- the side that takes them --------------------------------------------------------------- */

static void clear_progress(struct session *ses)
{
	if (ses->progress)
		fputs("\r\033[K", stderr);
	ses->progress = false;
}

static void show_progress(struct session *ses, const char *path)
{
	const struct shared *sh = ses->shared;

	if (!isatty(STDERR_FILENO) || !isatty(STDOUT_FILENO))
		return;
	fprintf(stderr, "\r\033[K[%zu/%zu] %.60s", ses->file + 1, ses->nr_files, path);
	if (sh->nr_ops && sh->op != UINT32_MAX)
		fprintf(stderr, " op %" PRIu32 "/%" PRIu32, sh->op, sh->nr_ops);
	fprintf(stderr, " met %" PRIu64, sh->fi.stats.met);
	fflush(stderr);
	ses->progress = true;
}

static void note_bucket(struct session *ses, const struct finding_record *rec)
{
	char bucket[13];

	finding_bucket(&rec->f, bucket);
	ses->came |= !strcmp(bucket, ses->awaited);
}

static void take_record(struct session *ses, const char *path, enum record_type type,
			const void *data, size_t len, struct file_result *res)
{
	clear_progress(ses);
	switch (type) {
	case REC_FINDING:
		if (ses->probe_fn) {
			ses->probe_fn(ses->probe_priv, &((const struct finding_record *)data)->f);
			return;
		}
		note_bucket(ses, data);
		report_finding(ses, path, data);
		break;
	case REC_TEXT:
		fwrite(data, 1, len, stdout);
		break;
	case REC_RESULT:
		memcpy(res, data, sizeof(*res));
		return;
	}
	ses->status = exit_worst(ses->status, output_flush());
}

/* What came through the pipe so far; whole records are taken off its front. */
struct inbox {
	char *buf;
	size_t len, max;
	bool quiet; /* findings and text are dropped */
	bool done;  /* the result has come */
};

static void take_all(struct session *ses, const char *path, struct inbox *in,
		     struct file_result *res)
{
	size_t at = 0;

	while (in->len - at >= sizeof(struct record_head)) {
		struct record_head head;

		memcpy(&head, in->buf + at, sizeof(head));
		if (in->len - at - sizeof(head) < head.len)
			break;
		at += sizeof(head);
		in->done |= head.type == REC_RESULT;
		if (head.type == REC_RESULT || !in->quiet)
			take_record(ses, path, (enum record_type)head.type, in->buf + at, head.len,
				    res);
		at += head.len;
	}
	memmove(in->buf, in->buf + at, in->len - at);
	in->len -= at;
}

/* Reads what is there. False at the end, or when there is no memory for it. */
static bool receive(int fd, struct inbox *in)
{
	ssize_t n;

	if (in->max - in->len < 65536) {
		size_t max = in->max ? 2 * in->max : (size_t)1 << 18;
		char *buf = realloc(in->buf, max);

		if (!buf)
			return false;
		in->buf = buf;
		in->max = max;
	}
	n = read(fd, in->buf + in->len, in->max - in->len);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	in->len += (size_t)n;
	return n > 0;
}

/* ---- a child -------------------------------------------------------------------------------- */

/* Standard input can be read once, and a finding is tried more than once. */
static int copy_stdin(void)
{
	int fd = memfd_create("stdin", MFD_CLOEXEC);
	static char buf[65536];
	size_t total = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	while (total < STDIN_MAX && (n = read(STDIN_FILENO, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || write(fd, buf, (size_t)n) != n) {
			close(fd);
			return -1;
		}
		total += (size_t)n;
	}
	if (dup2(fd, STDIN_FILENO) < 0) {
		close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

static void reset_shared(struct shared *sh)
{
	fi_init(&sh->fi);
	sh->op = UINT32_MAX;
	sh->nr_ops = 0;
	sh->backend = 0;
	sh->alloc = NULL;
	memset(&sh->t, 0, sizeof(sh->t));
	memset(&sh->sweep, 0, sizeof(sh->sweep));
}

__attribute__((noreturn)) static void child(struct session *ses, const char *path, int fd, int err)
{
	struct worker w = {.ses = ses, .path = path, .fd = fd};
	struct file_result res = {0};

	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	dup2(err, STDERR_FILENO);
	close(err);
	/* what a loaded backend may have to say is not of the results */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	if (!strcmp(path, "-"))
		lseek(STDIN_FILENO, 0, SEEK_SET);
	ses->job(&w, &res);
	put(&w, REC_RESULT, &res, sizeof(res));
	/* not _exit(): a leak checker works at exit. stdout is empty, the parent flushed it */
	exit(0);
}

struct supervised {
	struct inbox in;
	struct crash_report report;
	int status; /* of waitpid() */
	bool hung;
};

/* True when the child has shown life since the last call. */
static bool alive(const struct shared *sh, u64 *last)
{
	u64 swept = sh->sweep.executed_ops + sh->sweep.replay_ops;
	u64 now = ((u64)sh->op << 32) ^ sh->fi.stats.met ^ sh->nr_ops ^ swept << 16;
	bool moved = now != *last;

	*last = now;
	return moved;
}

static void watch(struct session *ses, const char *path, pid_t pid, int fd, struct supervised *s,
		  struct file_result *res)
{
	u64 since = now_ns(), mark = 0;

	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		int n = poll(&pfd, 1, POLL_MS);

		if (interrupted)
			kill(pid, SIGKILL);
		if (n > 0) {
			if (!receive(fd, &s->in))
				return;
			take_all(ses, path, &s->in, res);
			continue;
		}
		if (n == 0)
			show_progress(ses, path);
		if (alive(ses->shared, &mark))
			since = now_ns();
		if (now_ns() - since > (u64)WATCHDOG_SECONDS * 1000000000u) {
			s->hung = true;
			kill(pid, SIGKILL);
			since = now_ns();
		}
	}
}

/* 0, or EXIT_ENV: no child could be made. */
static int supervise(struct session *ses, const char *path, struct supervised *s,
		     struct file_result *res)
{
	int fds[2], err;
	pid_t pid;

	reset_shared(ses->shared);
	if (pipe2(fds, O_CLOEXEC)) {
		say("pipe: %s", strerror(errno));
		return EXIT_ENV;
	}
	err = memfd_create("stderr", MFD_CLOEXEC);
	if (err < 0) {
		say("memfd_create: %s", strerror(errno));
		goto fail_pipe;
	}
	fflush(stdout);
	fflush(stderr);
	pid = fork();
	if (pid < 0) {
		say("fork: %s", strerror(errno));
		goto fail_memfd;
	}
	if (!pid) {
		close(fds[0]);
		child(ses, path, fds[1], err);
	}
	close(fds[1]);
	watch(ses, path, pid, fds[0], s, res);
	while (waitpid(pid, &s->status, 0) < 0 && errno == EINTR)
		;
	close(fds[0]);
	clear_progress(ses);
	crash_read(&s->report, err);
	close(err);
	free(s->in.buf);
	s->in.buf = NULL;
	return 0;

fail_memfd:
	close(err);
fail_pipe:
	close(fds[0]);
	close(fds[1]);
	return EXIT_ENV;
}

/* ---- children that died --------------------------------------------------------------------- */

static bool died(const struct supervised *s)
{
	return !s->in.done || !WIFEXITED(s->status) || WEXITSTATUS(s->status);
}

/* What the child was about when it died, from the memory that it left. */
static void crash_finding(struct session *ses, const struct supervised *s, struct finding *f)
{
	struct shared *sh = ses->shared;
	const struct fi *fi = &sh->fi;

	*f = (struct finding){0};
	crash_describe(&s->report, s->status, s->hung, f);
	crash_in_backend(backend_call(sh->backend), f);
	f->op = s->in.done ? UINT32_MAX : sh->op;
	snprintf(f->name, sizeof(f->name), "%s",
		 f->op == UINT32_MAX || fi->op_kind >= NR_OPS ? "teardown"
							      : op_table[fi->op_kind].name);
	f->by_sweep = !sh->t.running && (s->in.done || !fi->armed || !fi->op_delivered);
	if (s->in.done)
		return;
	if (sh->t.running) {
		target_faults(&sh->t, f);
	} else if (fi->armed && fi->op_delivered) {
		f->nr_faults = 1;
		f->faults[0] = fi->first;
		fi_plan_print(&fi->plan, f->plan, sizeof(f->plan));
	}
}

struct describe_arg {
	struct finding_record *rec;
};

/* Another child loads the program for its text: loading might be what kills. */
static void describe_job(struct worker *w, struct file_result *res)
{
	const struct describe_arg *arg = w->ses->job_arg;
	struct machine_config cfg;
	struct program p;

	if (!worker_load(w, &p, &cfg, res))
		return;
	if (arg->rec->f.op == UINT32_MAX || arg->rec->f.op < p.nr_ops)
		worker_finding(w, &p, &arg->rec->f);
	program_free(&p);
}

static void take_described(struct session *ses, const char *path, struct finding_record *rec)
{
	struct describe_arg arg = {rec};
	struct supervised s = {0};
	struct file_result res = {0};
	job_fn job = ses->job;
	const void *job_arg = ses->job_arg;
	u64 before = ses->nr_reported;

	ses->job = describe_job;
	ses->job_arg = &arg;
	supervise(ses, path, &s, &res);
	ses->job = job;
	ses->job_arg = job_arg;
	crash_free(&s.report);
	if (ses->nr_reported == before)
		take_record(ses, path, REC_FINDING, rec, sizeof(*rec), NULL);
}

/* What is known of a child that did not send its result. */
static void salvage(const struct session *ses, struct file_result *res)
{
	const struct shared *sh = ses->shared;

	*res = (struct file_result){.ops = sh->nr_ops, .cut = true, .cut_op = sh->op};
	if (ses->salvage)
		ses->salvage(ses, res);
}

/* The same once more, to see whether it dies of the same. */
static void report_crash(struct session *ses, const char *path, const struct finding *first,
			 bool hung)
{
	struct finding_record rec = {.f = *first};
	struct supervised again = {.in.quiet = true};
	struct file_result ignored = {0};
	char bucket[13], bucket_again[13];
	struct finding f;

	finding_bucket(first, bucket);
	if (!hung && !supervise(ses, path, &again, &ignored) && died(&again)) {
		crash_finding(ses, &again, &f);
		finding_bucket(&f, bucket_again);
		rec.f.confirmed = !strcmp(bucket, bucket_again);
	}
	crash_free(&again.report);
	take_described(ses, path, &rec);
}

/*
 * Tries the job in the ways that it has for a subject that dies. In another way it must come to the
 * same finding by itself; if it does not, the finding needed all that went before it.
 */
static void crashed(struct session *ses, const char *path, struct supervised *s,
		    struct file_result *res)
{
	struct finding f, first = {0};
	bool waiting = false;

	for (;;) {
		crash_finding(ses, s, &f);
		if (!s->in.done)
			salvage(ses, res);
		res->code = EXIT_CLEAN;
		if (s->in.done || !ses->escalate || !ses->escalate(ses, res)) {
			report_crash(ses, path, &f, s->hung);
			break;
		}
		if (ses->prefix && !waiting && !f.nr_faults) {
			/* without a fault: no other way of sweeping has anything to say about it */
			report_crash(ses, path, &f, s->hung);
		} else if (!waiting) {
			first = f;
			waiting = true;
			ses->came = false;
			finding_bucket(&first, ses->awaited);
		}
		crash_free(&s->report);
		*s = (struct supervised){0};
		*res = (struct file_result){0};
		if (supervise(ses, path, s, res)) {
			ses->status = exit_worst(ses->status, EXIT_ENV);
			break;
		}
		crash_echo(&s->report);
		if (!died(s) || interrupted)
			break;
	}
	ses->awaited[0] = '\0';
	if (waiting && !ses->came)
		take_described(ses, path, &(struct finding_record){.f = first});
}

int session_probe(struct session *ses, const char *path, job_fn job, const void *arg, finding_fn fn,
		  void *priv)
{
	job_fn old_job = ses->job;
	const void *old_arg = ses->job_arg;
	struct supervised s = {0};
	struct file_result res = {0};
	struct finding f;
	int status = 0;

	ses->job = job;
	ses->job_arg = arg;
	ses->probe_fn = fn;
	ses->probe_priv = priv;
	if (ses->isolate) {
		status = supervise(ses, path, &s, &res);
		if (!status && !interrupted && died(&s)) {
			crash_finding(ses, &s, &f);
			fn(priv, &f);
		}
		crash_free(&s.report);
	} else {
		struct worker w = {.ses = ses, .path = path, .fd = -1};

		reset_shared(ses->shared);
		job(&w, &res);
	}
	ses->probe_fn = NULL;
	ses->job = old_job;
	ses->job_arg = old_arg;
	return status;
}

/* ---- all files ------------------------------------------------------------------------------ */

static void add_total(struct session *ses, const struct file_result *res)
{
	struct file_result *t = &ses->total;

	t->ops += res->ops;
	t->executed += res->executed;
	t->met += res->met;
	t->delivered += res->delivered;
	t->findings += res->findings;
	t->refills += res->refills;
#define X(name) t->sweep.name += res->sweep.name;
	SWEEP_COUNTS(X)
#undef X
	model_stats_add(&t->model, &res->model);
}

static void one_file(struct session *ses, const char *path)
{
	struct file_result res = {0};
	struct supervised s = {0};
	u64 before = ses->nr_reported;

	ses->forked = ses->prefix = false;
	if (!ses->isolate) {
		struct worker w = {.ses = ses, .path = path, .fd = -1};

		reset_shared(ses->shared);
		if (!strcmp(path, "-"))
			lseek(STDIN_FILENO, 0, SEEK_SET);
		ses->job(&w, &res);
	} else {
		if (supervise(ses, path, &s, &res)) {
			ses->status = exit_worst(ses->status, EXIT_ENV);
			return;
		}
		crash_echo(&s.report);
		if (interrupted && !s.in.done)
			salvage(ses, &res);
		else if (died(&s) && !interrupted)
			crashed(ses, path, &s, &res);
		/* also those that came before the child died */
		res.findings = ses->nr_reported - before;
		res.forked = ses->forked;
		res.prefix = ses->prefix;
	}
	if (ses->prefix)
		ses->max_ops = 0;
	if (res.code) {
		say("%s", res.message);
		ses->status = exit_worst(ses->status, res.code);
		ses->errors++;
	}
	if (res.findings || (res.sweep.artefacts && !ses->quiet))
		ses->status = exit_worst(ses->status, EXIT_FINDING);
	if (ses->coverage)
		ses->status = exit_worst(ses->status,
					 coverage_save(ses->coverage, &ses->shared->cover, false));
	add_total(ses, &res);
	ses->result(ses, path, &res);
	ses->status = exit_worst(ses->status, output_flush());
	crash_free(&s.report);
}

static void bad_file(struct session *ses, const struct bad_file *bad)
{
	struct file_result res = {.code = EXIT_USAGE};

	snprintf(res.message, sizeof(res.message), "%s: %s", bad->path, bad->why);
	say("%s", res.message);
	ses->errors++;
	ses->status = exit_worst(ses->status, EXIT_USAGE);
	ses->result(ses, bad->path, &res);
}

const char *verdict_name(const struct file_result *res)
{
	if (res->code)
		return "error";
	if (res->findings)
		return "finding";
	return res->cut ? "interrupted" : "clean";
}

void session_catch_interrupts(const struct session *ses)
{
	const struct sigaction act = {.sa_handler = on_interrupt};

	if (!ses->isolate)
		return;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
}

int session_run(struct session *ses, const struct file_list *files)
{
	bool need_stdin = false;

	ses->nr_files = files->nr;
	session_catch_interrupts(ses);
	for (size_t i = 0; i < files->nr; i++)
		need_stdin |= !strcmp(files->paths[i], "-");
	if (need_stdin && copy_stdin()) {
		say("cannot read standard input: %s", strerror(errno));
		return EXIT_ENV;
	}
	for (size_t i = 0; i < files->nr_bad; i++)
		bad_file(ses, &files->bad[i]);
	for (ses->file = 0; ses->file < files->nr && !interrupted; ses->file++) {
		/* nobody reads any more, or the disk is full: what comes would be lost */
		if (ferror(stdout))
			break;
		one_file(ses, files->paths[ses->file]);
	}
	return ses->status;
}

int session_exit(struct session *ses, int status)
{
	status = exit_worst(status, output_flush());
	session_end(ses);
	if (interrupted) {
		signal(interrupted, SIG_DFL);
		raise(interrupted);
	}
	return status;
}
