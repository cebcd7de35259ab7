/* SPDX-License-Identifier: GPL-2.0-only */
/* faultline run: programs, each operation once, with the faults that it or the command line asks
 * for. */
#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KEPT     32u
#define TRACE_POINTS 4096u
#define MAX_REPEAT   1000000u

static const char help[] =
	"usage: faultline run [OPTION...] FILE...\n"
	"Runs programs: every operation once, each in a fresh machine, and checks all that is "
	"known\n"
	"about the state. FILE is a program, a directory (every *.prog below) or - for stdin.\n"
	"\n"
	"  --fault PLAN        requests that fail besides the marks of the program, e.g. page:17,\n"
	"                      op=3.slab@dup_mmap_vma:2, slab:b=40, any:p=0.01/7\n"
	"  --no-marks          leave the marks of the program out, as a sweep does\n"
	"  --machine K=V,...   options of the machine, over those of the program\n"
	"  --allocator NAME    malloc (default), arena, buddy, guard, or a file: ./mine.so\n"
	"  --against NAME      also on this built-in allocator: all that happens must be the same\n"
	"  --check LEVEL       off, touched or full (default): how much is verified after each op\n"
	"  --model on|off      compare each operation with the reference model (default on)\n"
	"  --max-ops N         leave the operations after the first N out, as fuzz_lifecycle does\n"
	"  --trace             a line per operation: its result and the requests it made\n"
	"  --trace-hash        a hash per program of all that happened\n"
	"  --repeat N          run N times and compare (up to 1000000); exit 4 when they\n"
	"                      differ\n"
	"  --no-isolate        in this process, without a child that may crash: for a debugger\n"
	"  --json              JSON lines\n"
	"\n"
	"Exit: 0 clean, 1 finding, 2 usage or bad input, 3 environment, 4 not deterministic.\n";

struct run_args {
	bool trace, trace_hash;
	struct fi_plan plan;
};

struct caught {
	struct finding f[MAX_KEPT];
	u32 nr;
	bool confirming; /* mark those of f that come again */
};

static void on_finding(void *priv, const struct finding *f)
{
	struct caught *c = priv;
	char a[13], b[13];

	finding_bucket(f, a);
	for (u32 i = 0; i < c->nr; i++) {
		finding_bucket(&c->f[i], b);
		if (strcmp(a, b) || c->f[i].op != f->op)
			continue;
		if (c->confirming)
			c->f[i].confirmed = true;
		return;
	}
	if (!c->confirming && c->nr < MAX_KEPT)
		c->f[c->nr++] = *f;
}

/* ---- trace ---------------------------------------------------------------------------------- */

struct trace {
	struct worker *w;
	const struct program *p;
};

/* The result as the program's names have it. */
static void print_result(const struct program *p, const struct target_event *ev, char *buf,
			 size_t len)
{
	const struct op *op = &p->ops[ev->op];

	if (ev->out->kind == OUT_OK && op_table[op->code].def == DEF_TASK)
		snprintf(buf, len, "t%" PRIu32, op->def);
	else if (ev->out->kind == OUT_OK && op_table[op->code].def == DEF_FILE)
		snprintf(buf, len, "f%" PRIu32, op->def);
	else
		outcome_print(ev->out, buf, len);
}

static void trace_json(FILE *out, struct trace *tr, const struct target_event *ev, const char *text,
		       const char *result)
{
	struct json j;

	json_begin(&j, out, "trace");
	json_str(&j, "file", tr->w->path);
	json_u64(&j, "op", ev->op);
	json_str(&j, "name", op_table[tr->p->ops[ev->op].code].name);
	json_str(&j, "text", text);
	json_str(&j, "result", result);
	json_key(&j, "points");
	fputc('[', out);
	for (u32 i = 0; i < ev->nr_points; i++) {
		struct json o = {.out = out};

		fputs(i ? ",{" : "{", out);
		json_str(&o, "site", fl_sites[ev->points[i].site].name);
		json_u64(&o, "ordinal", ev->points[i].ordinal);
		json_bool(&o, "failed", ev->points[i].failed);
		fputc('}', out);
	}
	fputc(']', out);
	json_end(&j);
}

static void trace_text(FILE *out, const struct target_event *ev, const char *text,
		       const char *result)
{
	fprintf(out, "%5" PRIu32 "  %-48s -> %s\n", ev->op, text, result);
	for (u32 i = 0; i < ev->nr_points; i++)
		fprintf(out, "       %s %s@%s #%" PRIu32 "\n", ev->points[i].failed ? "!" : " ",
			fl_class_names[fl_sites[ev->points[i].site].class],
			fl_sites[ev->points[i].site].name, ev->points[i].ordinal);
}

static void on_event(void *priv, const struct target_event *ev)
{
	struct trace *tr = priv;
	char text[256], result[64], *line = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&line, &len);

	if (!out)
		return;
	program_print_op(tr->p, ev->op, text, sizeof(text));
	print_result(tr->p, ev, result, sizeof(result));
	if (tr->w->ses->json)
		trace_json(out, tr, ev, text, result);
	else
		trace_text(out, ev, text, result);
	if (!fclose(out))
		worker_text(tr->w, line, len);
	free(line);
}

/* ---- the work of a child -------------------------------------------------------------------- */

static bool failed_run(int err, const char *path, struct file_result *res)
{
	if (!err)
		return false;
	res->code = err == -E2BIG ? EXIT_USAGE : EXIT_ENV;
	snprintf(res->message, sizeof(res->message), "%s: %s", path,
		 err == -E2BIG ? "the plan and the program's marks are more than 16 items"
			       : strerror(-err));
	return true;
}

static void repeat_runs(struct worker *w, struct target *t, u32 times,
			const struct target_result *first, struct file_result *res)
{
	struct target_result again;

	res->runs = 1;
	for (u32 i = 1; i < times; i++) {
		if (failed_run(target_run(t, w->ses->plan, &again), w->path, res))
			return;
		if (again.trace_hash == first->trace_hash && again.met == first->met &&
		    again.delivered == first->delivered && again.strict == first->strict) {
			res->runs++;
			continue;
		}
		res->code = EXIT_NONDET;
		snprintf(res->message, sizeof(res->message),
			 "%s: not deterministic: run 1 has trace %016" PRIx64 ", state %016" PRIx64
			 " and met %" PRIu64 ", run %" PRIu32 " has %016" PRIx64 ", %016" PRIx64
			 " and %" PRIu64,
			 w->path, first->trace_hash, first->strict, first->met, i + 1,
			 again.trace_hash, again.strict, again.met);
		return;
	}
}

static void run_program(struct worker *w, const struct program *p, const struct machine_config *cfg,
			struct file_result *res)
{
	const struct run_args *args = w->ses->job_arg;
	struct target *t = &w->ses->shared->t;
	struct trace tr = {w, p};
	struct caught *caught = calloc(1, sizeof(*caught));
	struct fi_point *points = calloc(TRACE_POINTS, sizeof(*points));
	struct target_options opt;
	struct target_result first, again;

	worker_target(w, p, cfg, &opt);
	opt.strict = w->ses->repeat > 1;
	if (args->trace) {
		opt.event = on_event;
		opt.event_priv = &tr;
		opt.points = points;
		opt.max_points = TRACE_POINTS;
	}
	if (!caught || !points || target_init(t, p, &opt, on_finding, caught)) {
		failed_run(-ENOMEM, w->path, res);
		goto out;
	}
	if (failed_run(target_run(t, w->ses->plan, &first), w->path, res))
		goto fini;
	t->opt.event = NULL;
	if (caught->nr) {
		caught->confirming = true;
		target_run(t, w->ses->plan, &again);
	}
	for (u32 i = 0; i < caught->nr; i++)
		worker_finding(w, p, &caught->f[i]);
	res->ops = p->nr_ops;
	res->executed = first.ops;
	res->met = first.met;
	res->delivered = first.delivered;
	res->refills = first.refills;
	res->findings = caught->nr;
	res->trace_hash = first.trace_hash;
	res->has_hash = true;
	res->model = first.model;
	repeat_runs(w, t, w->ses->repeat, &first, res);
fini:
	target_fini(t);
	if (!res->code && w->ses->against && differs_between_backends(w, p, cfg, &caught->f[0])) {
		worker_finding(w, p, &caught->f[0]);
		res->findings++;
	}
out:
	free(points);
	free(caught);
}

static void run_job(struct worker *w, struct file_result *res)
{
	struct machine_config cfg;
	struct program p;

	if (!worker_load(w, &p, &cfg, res))
		return;
	run_program(w, &p, &cfg, res);
	program_free(&p);
}

/* ---- results -------------------------------------------------------------------------------- */

static void result_json(const char *path, const struct file_result *res)
{
	char hash[24];
	struct json j;

	json_begin(&j, stdout, "run");
	json_str(&j, "file", path);
	json_u64(&j, "ops", res->ops);
	json_u64(&j, "executed", res->executed);
	json_str(&j, "verdict", verdict_name(res));
	snprintf(hash, sizeof(hash), "%016" PRIx64, res->trace_hash);
	if (res->has_hash)
		json_str(&j, "trace_hash", hash);
	else
		json_null(&j, "trace_hash");
	json_u64(&j, "met", res->met);
	json_u64(&j, "delivered", res->delivered);
	json_u64(&j, "refills", res->refills);
	json_u64(&j, "findings", res->findings);
	json_u64(&j, "runs", res->runs);
	report_model_json(&j, &res->model);
	if (res->code)
		json_str(&j, "message", res->message);
	json_end(&j);
}

static void run_result(struct session *ses, const char *path, const struct file_result *res)
{
	const struct run_args *args = ses->job_arg;

	if (ses->json) {
		result_json(path, res);
		return;
	}
	if (res->code && !res->has_hash) {
		printf("error    %s\n", res->message);
		return;
	}
	if (ses->plan && !res->delivered && !res->code)
		say("%s: the plan failed nothing", path);
	printf("%-8s %6" PRIu64 " ops %8" PRIu64 " met %5" PRIu64 " delivered  ", verdict_name(res),
	       res->ops, res->met, res->delivered);
	if (args->trace_hash)
		printf("%016" PRIx64 "  ", res->trace_hash);
	if (ses->repeat > 1)
		printf("%" PRIu32 " of %" PRIu32 " runs agree  ", res->runs, ses->repeat);
	puts(path);
}

static void run_total(const struct session *ses)
{
	const struct file_result *t = &ses->total;
	struct json j;

	if (!ses->json) {
		printf("%zu files, %" PRIu64 " ops (%" PRIu64 " executed, %" PRIu64
		       " skipped or not reached): %" PRIu64 " requests met, %" PRIu64
		       " failed; %" PRIu64 " findings, %" PRIu64 " errors, %.1f s%s\n",
		       ses->file, t->ops, t->executed, t->ops - t->executed, t->met, t->delivered,
		       t->findings, ses->errors, session_seconds(ses),
		       session_interrupted() ? " (interrupted)" : "");
		if (t->refills)
			printf("for pages of its own (class refill, not in met) the backend asked "
			       "%" PRIu64 " times\n",
			       t->refills);
		return;
	}
	json_begin(&j, stdout, "total");
	json_u64(&j, "files", ses->file);
	json_u64(&j, "ops", t->ops);
	json_u64(&j, "executed", t->executed);
	json_u64(&j, "met", t->met);
	json_u64(&j, "delivered", t->delivered);
	json_u64(&j, "refills", t->refills);
	json_u64(&j, "findings", t->findings);
	json_u64(&j, "errors", ses->errors);
	report_model_json(&j, &t->model);
	json_bool(&j, "interrupted", session_interrupted());
	json_key(&j, "seconds");
	fprintf(stdout, "%.3f", session_seconds(ses));
	json_end(&j);
}

static int check_level(const char *name, enum check_level *level)
{
	for (unsigned int i = 0; i < NR_CHECK_LEVELS; i++) {
		if (!strcmp(name, check_level_names[i])) {
			*level = (enum check_level)i;
			return 0;
		}
	}
	return usage_error("run", "--check %s: there are off, touched, full", name);
}

static int run_count(const char *name, u64 max, u32 *out)
{
	u64 n;

	if (!parse_u64(optarg, max, &n) || !n)
		return usage_error("run", "%s needs a number from 1 to %" PRIu64, name, max);
	*out = (u32)n;
	return 0;
}

static int run_option(struct session *ses, int c, char **argv, void *arg)
{
	struct run_args *args = arg;
	char why[160];

	switch (c) {
	case 'f':
		if (fi_plan_parse(optarg, strlen(optarg), &args->plan, why, sizeof(why)))
			return usage_error("run", "--fault: %s", why);
		ses->plan = &args->plan;
		ses->plan_text = optarg;
		return 0;
	case 'k':
		ses->no_marks = true;
		return 0;
	case 'g':
		ses->against = fl_allocator_find(optarg);
		if (!ses->against)
			return usage_error("run", "--against %s: no built-in allocator", optarg);
		return 0;
	case 'c':
		return check_level(optarg, &ses->check);
	case 'x':
		return run_count("--max-ops", PROG_MAX_OPS, &ses->max_ops);
	case 't':
		args->trace = true;
		return 0;
	case 'H':
		args->trace_hash = true;
		return 0;
	case 'r':
		return run_count("--repeat", MAX_REPEAT, &ses->repeat);
	default:
		return option_error("run", argv);
	}
}

/* Of a run that did not end the injector has counted on; with --repeat that is more than one. */
static void run_salvage(const struct session *ses, struct file_result *res)
{
	const struct shared *sh = ses->shared;

	res->executed = sh->t.nr_run;
	res->model = sh->t.model;
	if (ses->repeat > 1)
		return;
	res->met = sh->fi.stats.met;
	res->delivered = sh->fi.stats.delivered;
	res->refills = sh->fi.stats.site_met[SITE_slab_refill];
}

int cmd_run(int argc, char **argv)
{
	static const struct option options[] = {
		{"fault", required_argument, NULL, 'f'},
		{"no-marks", no_argument, NULL, 'k'},
		{"machine", required_argument, NULL, 'm'},
		{"allocator", required_argument, NULL, 'a'},
		{"against", required_argument, NULL, 'g'},
		{"check", required_argument, NULL, 'c'},
		{"model", required_argument, NULL, 'M'},
		{"max-ops", required_argument, NULL, 'x'},
		{"trace", no_argument, NULL, 't'},
		{"trace-hash", no_argument, NULL, 'H'},
		{"repeat", required_argument, NULL, 'r'},
		{"no-isolate", no_argument, NULL, 'n'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct run_args args = {0};
	const struct command cmd = {"run", help, options, run_option, &args};
	struct session ses;
	int status;

	if (!session_begin(&ses, &cmd, argc, argv, &status))
		return status;
	if (optind == argc)
		return session_exit(&ses, usage_error("run", "FILE is missing"));
	ses.job = run_job;
	ses.job_arg = &args;
	ses.result = run_result;
	ses.salvage = run_salvage;
	status = session_files(&ses, argc, argv);
	run_total(&ses);
	if (!ses.json)
		report_model(&ses, &ses.total.model);
	return session_exit(&ses, status);
}
