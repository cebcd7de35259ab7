/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * faultline min: the smallest program that still makes a finding. Each proposal runs in a child,
 * as `run` or `sweep` would run it, and stays when it ends in the same bucket.
 */
#define _GNU_SOURCE
#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "edit.h"
#include "shrink.h"
#include "sweep.h"

#define MAX_FOUND    64u
#define MAX_POINTS   8192u
#define FOLLOW_TRIES 4u
#define SAVE_SECONDS 2

static const char help[] =
	"usage: faultline min [OPTION...] FILE\n"
	"Makes the program of a finding small: leaves out operations until none can be left out, "
	"then\n"
	"options, marks and segments, and makes arguments round, as long as the finding stays in "
	"the same\n"
	"bucket. Its fault becomes a mark that names site and ordinal, and is left out when the "
	"finding\n"
	"comes without. FILE is a program, text or bytes, or - for stdin. Ctrl-C ends it with the "
	"best so\n"
	"far.\n"
	"\n"
	"  --bucket HEX        the finding that is kept (default: the first)\n"
	"  --fault PLAN        requests that fail, as of run\n"
	"  --sweep             the finding is one that a sweep makes, not a run\n"
	"  --machine K=V,...   options of the machine, over those of the program\n"
	"  --allocator NAME    malloc (default) or arena\n"
	"  --check LEVEL       off, touched or full (default): how much is verified after each op\n"
	"  --max-ops N         leave the operations after the first N out, as fuzz_lifecycle does\n"
	"  --seconds N         end after N seconds with the best so far\n"
	"  --no-isolate        in this process, without children that may crash: for a debugger\n"
	"  -o, --output OUT    a file instead of standard output, kept up to date meanwhile\n"
	"\n"
	"Exit: 0, 2 usage, bad input, or nothing is found in FILE, 3 environment.\n";

struct found {
	struct finding f[MAX_FOUND];
	u32 nr;
};

/* What a child is asked to do, and the points that it met, in memory that both see. */
struct probe {
	const struct program *p;
	const struct fi_plan *plan;
	bool sweep;
	u32 points_op; /* record the requests of this operation, UINT32_MAX: of none */
	u32 nr_points;
	struct fi_point points[MAX_POINTS];
};

struct min {
	struct session *ses;
	const char *path, *out;
	const char *bucket_text;
	struct fi_plan plan; /* of the command line */
	bool have_plan, sweep;
	u64 seconds;
	struct probe *probe;
	struct found *found;
	struct finding want;
	char bucket[13];
	struct fi_point fault; /* the one that is followed, site SITE_none: none is */
	u64 tried, saved_at;
};

/* ---- running one ---------------------------------------------------------------------------- */

static void on_found(void *priv, const struct finding *f)
{
	struct found *found = priv;

	if (found->nr < MAX_FOUND)
		found->f[found->nr++] = *f;
}

struct reporter {
	struct worker *w;
	const struct program *p;
};

static void on_finding(void *priv, const struct finding *f)
{
	const struct reporter *r = priv;

	worker_finding(r->w, r->p, f);
}

static void on_event(void *priv, const struct target_event *ev)
{
	struct probe *probe = priv;

	if (ev->op == probe->points_op)
		probe->nr_points = ev->nr_points;
}

static void run_probe(struct worker *w, struct probe *probe, struct target_options *opt)
{
	struct target *t = &w->ses->shared->t;
	struct reporter r = {w, probe->p};
	struct target_result res;

	if (probe->points_op != UINT32_MAX) {
		opt->event = on_event;
		opt->event_priv = probe;
		opt->points = probe->points;
		opt->max_points = MAX_POINTS;
		opt->max_ops = probe->points_op + 1;
	}
	if (target_init(t, probe->p, opt, on_finding, &r))
		return;
	target_run(t, probe->plan, &res);
	target_fini(t);
}

static void sweep_probe(struct worker *w, struct probe *probe, struct target_options *opt)
{
	struct shared *sh = w->ses->shared;
	struct subject s = {&target_subject, &sh->t, &sh->fi};
	const struct sweep_options sopt = {.modes = SWEEP_INPLACE | SWEEP_REPLAY};
	struct reporter r = {w, probe->p};

	opt->no_marks = true;
	if (target_init(&sh->t, probe->p, opt, on_finding, &r))
		return;
	sweep_run(&s, &sopt, on_finding, &r, &sh->sweep);
	target_fini(&sh->t);
}

static void probe_job(struct worker *w, struct file_result *res)
{
	struct probe *probe = (struct probe *)(uintptr_t)w->ses->job_arg;
	struct machine_config cfg;
	struct target_options opt;
	struct prog_error error;
	struct program options = {0}; /* takes the teardown order of the command line */
	char why[160];

	(void)res;
	machine_config_init(&cfg);
	if (program_machine(probe->p, &cfg, &error))
		return;
	if (w->ses->machine)
		apply_machine(&cfg, &options, w->ses->machine, why, sizeof(why));
	if (machine_config_check(&cfg, why, sizeof(why)))
		return;
	w->ses->shared->nr_ops = probe->p->nr_ops;
	worker_target(w, probe->p, &cfg, &opt);
	if (probe->sweep)
		sweep_probe(w, probe, &opt);
	else
		run_probe(w, probe, &opt);
}

static int try_program(struct min *m, const struct program *p, const struct fi_plan *plan,
		       u32 points_op)
{
	m->probe->p = p;
	m->probe->plan = plan;
	m->probe->sweep = m->sweep;
	m->probe->points_op = points_op;
	m->probe->nr_points = 0;
	m->found->nr = 0;
	m->tried++;
	return session_probe(m->ses, m->path, probe_job, m->probe, on_found, m->found);
}

static const struct finding *in_bucket(const struct found *found, const char *bucket)
{
	char b[13];

	for (u32 i = 0; i < found->nr; i++) {
		finding_bucket(&found->f[i], b);
		if (!strcmp(b, bucket))
			return &found->f[i];
	}
	return NULL;
}

/*
 * The finding that is wanted. All wrong expectations of an operation are one bucket; a smaller
 * program must be wrong in the same way.
 */
static const struct finding *wanted(const struct min *m)
{
	const struct finding *f = in_bucket(m->found, m->bucket);

	if (f && f->oracle == ORACLE_expect &&
	    (strcmp(f->expected, m->want.expected) || strcmp(f->actual, m->want.actual)))
		return NULL;
	return f;
}

/* ---- the fault ------------------------------------------------------------------------------ */

static struct fi_item *only_mark(struct program *p, u32 *op)
{
	struct fi_item *ret = NULL;

	for (u32 i = 0; i < p->nr_ops; i++) {
		for (u32 k = 0; k < p->ops[i].nr_faults; k++) {
			if (ret)
				return NULL;
			ret = &p->faults[p->ops[i].fault + k];
			*op = i;
		}
	}
	return ret;
}

/*
 * A smaller program makes other requests before the one that mattered. The mark goes to the point
 * that has its site and context, the nearest ordinals first.
 */
static bool follow_fault(struct min *m, struct program *p)
{
	struct fi_item *item;
	u32 op = 0, tried = 0;
	u64 was;

	item = only_mark(p, &op);
	if (!item || m->fault.site == SITE_none || item->site != m->fault.site ||
	    item->which != FI_RANGE || item->from != item->to)
		return false;
	was = item->from;
	item->from = item->to = UINT64_MAX - 1;
	if (try_program(m, p, NULL, op))
		return false;
	for (u64 away = 1; away < was + m->probe->nr_points && tried < FOLLOW_TRIES; away++) {
		for (u32 i = 0; i < m->probe->nr_points; i++) {
			const struct fi_point *pt = &m->probe->points[i];

			if (pt->site != m->fault.site || pt->prev != m->fault.prev ||
			    pt->prev2 != m->fault.prev2 ||
			    (pt->ordinal + away != was && pt->ordinal != was + away))
				continue;
			tried++;
			item->from = item->to = pt->ordinal;
			if (try_program(m, p, NULL, UINT32_MAX))
				return false;
			if (wanted(m))
				return true;
			/* the list has been overwritten */
			item->from = item->to = UINT64_MAX - 1;
			if (tried == FOLLOW_TRIES || try_program(m, p, NULL, op))
				return false;
		}
	}
	return false;
}

static void clear_marks(struct program *p)
{
	for (u32 i = 0; i < p->nr_ops; i++)
		p->ops[i].nr_faults = p->ops[i].fault = 0;
	p->nr_faults = 0;
}

static bool add_mark(struct program *p, u32 op, const struct fi_item *from)
{
	struct fi_item *item;

	if (op >= p->nr_ops)
		return false;
	item = program_add_fault(p, &p->ops[op]);
	if (!item)
		return false;
	*item = *from;
	item->op = FI_OP_ANY;
	return true;
}

/* Each fault of the finding by site and ordinal, as marks. */
static bool exact_marks(struct program *p, const struct finding *f)
{
	u32 nr = f->nr_faults < FI_MAX_FAULTS ? f->nr_faults : FI_MAX_FAULTS;

	clear_marks(p);
	for (u32 i = 0; i < nr; i++) {
		const struct fi_item item = {.which = FI_RANGE,
					     .class = (u8)fl_sites[f->faults[i].site].class,
					     .site = f->faults[i].site,
					     .from = f->faults[i].ordinal,
					     .to = f->faults[i].ordinal};

		if (!add_mark(p, f->faults[i].op, &item))
			return false;
	}
	return nr == f->nr_faults;
}

/* The plan as marks, as far as it names operations. */
static bool plan_marks(struct program *p, const char *text)
{
	struct fi_plan plan;
	char why[160];

	clear_marks(p);
	if (fi_plan_parse(text, strlen(text), &plan, why, sizeof(why)))
		return false;
	for (u32 i = 0; i < plan.nr; i++)
		if (plan.items[i].op == FI_OP_ANY || !add_mark(p, plan.items[i].op, &plan.items[i]))
			return false;
	return true;
}

/* Oracle, what and where are the same: with another fault, or none, it is the same bug. */
static const struct finding *same_without_fault(const struct min *m)
{
	for (u32 i = 0; i < m->found->nr; i++) {
		const struct finding *f = &m->found->f[i];

		if (f->oracle == m->want.oracle && !strcmp(f->class_key, m->want.class_key) &&
		    !strcmp(f->func, m->want.func) && !finding_fault(f) &&
		    (f->oracle != ORACLE_expect || !strcmp(f->actual, m->want.actual)))
			return f;
	}
	return NULL;
}

static void want(struct min *m, const struct finding *f)
{
	const struct fi_point *fault = finding_fault(f);

	m->want = *f;
	finding_bucket(f, m->bucket);
	m->fault = fault ? *fault : (struct fi_point){.site = SITE_none};
}

/* Takes p in place of *best if it makes the finding. */
static bool adopt(struct min *m, struct program *best, struct program *p)
{
	const struct finding *f = NULL;

	if (!try_program(m, p, NULL, UINT32_MAX))
		f = wanted(m);
	if (!f)
		return false;
	want(m, f);
	program_free(best);
	*best = *p;
	return true;
}

/*
 * Puts the fault into the program, by site and ordinal if that does it. 0, EXIT_USAGE: the finding
 * needs a plan that marks cannot say.
 */
static int settle_fault(struct min *m, struct program *best)
{
	const struct finding *f;
	struct program p;

	if (m->sweep || !m->want.nr_faults)
		return 0;
	if (edit_clone(&p, best))
		return EXIT_ENV;
	clear_marks(&p);
	f = try_program(m, &p, NULL, UINT32_MAX) ? NULL : same_without_fault(m);
	if (f) {
		want(m, f);
		say("min: %s: it fails without any fault, too: the finding is %s from now on",
		    m->path, m->bucket);
		program_free(best);
		*best = p;
		return 0;
	}
	if (exact_marks(&p, &m->want) && adopt(m, best, &p))
		return 0;
	if (m->have_plan && plan_marks(&p, m->want.plan) && adopt(m, best, &p))
		return 0;
	program_free(&p);
	if (!m->have_plan)
		return 0;
	say("min: %s: marks of the program cannot say this plan: %s", m->path, m->want.plan);
	return EXIT_USAGE;
}

/* ---- the result ----------------------------------------------------------------------------- */

static const char finding_prefix[] = "# FAULTLINE: ";

/* The finding's line stands above the program, in place of an older one. */
static int set_head(struct program *p, const struct finding *f)
{
	char line[640], *head = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&head, &len);
	const char *s = p->head ? p->head : "";
	int ret;

	if (!out)
		return -ENOMEM;
	while (*s) {
		size_t n = strcspn(s, "\n");

		if (strncmp(s, finding_prefix, sizeof(finding_prefix) - 1))
			fprintf(out, "%.*s\n", (int)n, s);
		s += n + (s[n] == '\n');
	}
	finding_line(f, line, sizeof(line));
	fprintf(out, "# %s\n", line);
	if (fclose(out)) {
		free(head);
		return -ENOMEM;
	}
	ret = program_set_text(&p->head, head, len);
	free(head);
	return ret;
}

static int save(const struct min *m, const struct program *best)
{
	struct program p;
	char *text;
	size_t len;
	int status = EXIT_ENV;

	if (edit_clone(&p, best))
		return EXIT_ENV;
	if (!set_head(&p, &m->want) && !program_print(&p, &text, &len)) {
		status = output_write(m->out, text, len);
		free(text);
	} else {
		say("out of memory");
	}
	program_free(&p);
	return status;
}

static u64 seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec;
}

static bool time_is_over(const struct min *m)
{
	return session_interrupted() ||
	       (m->seconds && session_seconds(m->ses) >= (double)m->seconds);
}

/* The proposal did not touch the mark, so that the fault may be looked for elsewhere. */
static bool same_fault(struct program *cur, struct program *p)
{
	u32 op;
	const struct fi_item *a = only_mark(cur, &op), *b = only_mark(p, &op);

	return a && b && a->from == b->from && a->to == b->to;
}

static bool makes_finding(struct min *m, struct program *cur, struct program *p)
{
	const struct finding *f;

	if (try_program(m, p, NULL, UINT32_MAX))
		return false;
	f = wanted(m);
	if (f) {
		want(m, f);
		return true;
	}
	if (!same_fault(cur, p) || !follow_fault(m, p))
		return false;
	want(m, wanted(m));
	return true;
}

/* 0 or an exit code; best is what was reached in any case. */
static int shrink_all(struct min *m, struct program *best)
{
	struct program *cand;
	struct shrink s;
	int status = 0;

	if (shrink_begin(&s, best, false))
		return EXIT_ENV;
	while (!time_is_over(m) && (cand = shrink_next(&s)) != NULL) {
		/* a proposal that was interrupted has said nothing */
		bool taken = makes_finding(m, &s.cur, cand) && !session_interrupted();

		shrink_judge(&s, taken);
		if (taken && m->out && seconds_now() > m->saved_at + SAVE_SECONDS) {
			status = exit_worst(status, save(m, &s.cur));
			m->saved_at = seconds_now();
		}
	}
	if (s.failed)
		status = EXIT_ENV;
	program_free(best);
	if (edit_clone(best, &s.cur))
		status = EXIT_ENV;
	shrink_end(&s);
	return status;
}

/* ---- the command ---------------------------------------------------------------------------- */

/* The finding that is to be kept: the first, or that of the bucket. */
static int choose(struct min *m, const struct program *p)
{
	const struct finding *f;
	char line[640];

	if (try_program(m, p, m->have_plan ? &m->plan : NULL, UINT32_MAX))
		return EXIT_ENV;
	if (!m->found->nr) {
		say("%s: nothing is found in it%s", m->path,
		    m->sweep ? "" : "; for a finding of a sweep there is --sweep");
		return EXIT_USAGE;
	}
	f = m->bucket_text ? in_bucket(m->found, m->bucket_text) : &m->found->f[0];
	if (!f) {
		finding_line(&m->found->f[0], line, sizeof(line));
		say("%s: no finding of bucket %s; the first of %" PRIu32 " is %s", m->path,
		    m->bucket_text, m->found->nr, line);
		return EXIT_USAGE;
	}
	want(m, f);
	return 0;
}

static int minimise(struct min *m, struct program *best)
{
	u32 before = best->nr_ops, marks = best->nr_faults;
	char line[640];
	int status;

	if (m->ses->max_ops && best->nr_ops > m->ses->max_ops)
		say("min: %s: %" PRIu32 " of %" PRIu32 " operations are looked at", m->path,
		    m->ses->max_ops, best->nr_ops);
	status = choose(m, best);
	if (!status)
		status = settle_fault(m, best);
	if (status)
		return status;
	session_catch_interrupts(m->ses);
	m->saved_at = seconds_now();
	status = shrink_all(m, best);
	finding_line(&m->want, line, sizeof(line));
	say("min: %s: %" PRIu32 " operations and %" PRIu32 " marks are %" PRIu32 " and %" PRIu32
	    ", after %" PRIu64 " tries in %.1f s%s",
	    m->path, before, marks, best->nr_ops, best->nr_faults, m->tried,
	    session_seconds(m->ses), time_is_over(m) ? " (ended early)" : "");
	say("%s", line);
	return exit_worst(status, save(m, best));
}

static int min_option(struct session *ses, int c, char **argv, void *arg)
{
	struct min *m = arg;
	char why[160];
	u64 n;

	switch (c) {
	case 'f':
		if (fi_plan_parse(optarg, strlen(optarg), &m->plan, why, sizeof(why)))
			return usage_error("min", "--fault: %s", why);
		m->have_plan = true;
		return 0;
	case 'b':
		if (strlen(optarg) != 12 || strspn(optarg, "0123456789abcdef") != 12)
			return usage_error("min", "--bucket needs 12 hex digits");
		m->bucket_text = optarg;
		return 0;
	case 's':
		m->sweep = true;
		return 0;
	case 'c':
		for (unsigned int i = 0; i < NR_CHECK_LEVELS; i++) {
			if (!strcmp(optarg, check_level_names[i])) {
				ses->check = (enum check_level)i;
				return 0;
			}
		}
		return usage_error("min", "--check %s: there are off, touched, full", optarg);
	case 'x':
		if (!parse_u64(optarg, PROG_MAX_OPS, &n) || !n)
			return usage_error("min", "--max-ops needs a number from 1 to %u",
					   PROG_MAX_OPS);
		ses->max_ops = (u32)n;
		return 0;
	case 'S':
		if (!parse_u64(optarg, 1000000, &m->seconds) || !m->seconds)
			return usage_error("min", "--seconds needs a number above 0");
		return 0;
	case 'o':
		m->out = optarg;
		return 0;
	default:
		return option_error("min", argv);
	}
}

int cmd_min(int argc, char **argv)
{
	static const struct option options[] = {
		{"bucket", required_argument, NULL, 'b'},
		{"fault", required_argument, NULL, 'f'},
		{"sweep", no_argument, NULL, 's'},
		{"machine", required_argument, NULL, 'm'},
		{"allocator", required_argument, NULL, 'a'},
		{"check", required_argument, NULL, 'c'},
		{"max-ops", required_argument, NULL, 'x'},
		{"seconds", required_argument, NULL, 'S'},
		{"no-isolate", no_argument, NULL, 'n'},
		{"output", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct session ses;
	struct min m = {.ses = &ses};
	const struct command cmd = {"min", help, options, min_option, &m};
	struct program p;
	int status;

	if (!session_begin(&ses, &cmd, argc, argv, &status))
		return status;
	if (argc - optind != 1)
		return session_exit(&ses, usage_error("min", "one FILE is needed"));
	m.path = argv[optind];
	if (!file_usable(m.path))
		return session_exit(&ses, EXIT_USAGE);
	status = load_one(&p, m.path);
	if (status)
		return session_exit(&ses, status);
	m.found = calloc(1, sizeof(*m.found));
	m.probe = mmap(NULL, sizeof(*m.probe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (!m.found || m.probe == MAP_FAILED) {
		say("out of memory");
		status = EXIT_ENV;
	} else {
		status = minimise(&m, &p);
	}
	if (m.probe != MAP_FAILED)
		munmap(m.probe, sizeof(*m.probe));
	free(m.found);
	program_free(&p);
	return session_exit(&ses, status);
}
