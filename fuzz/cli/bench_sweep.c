/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * faultline bench sweep: what a fault point costs, and that it does not depend on how long the
 * program is. Everything runs in this process, without supervision.
 */
#include "bench.h"
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sweep.h"
#include "target.h"

#define RERUN_OPS    800u /* or the longest */
#define BASE_OPS     100u /* or the shortest */
#define RERUN_POINTS 48u  /* of all, evenly spread: a run of the whole program each */
#define MAX_FILES    4096u

/* All is done by this process alone, so what others do to the machine need not count. */
static u64 cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (u64)ts.tv_sec * 1000000000u + (u64)ts.tv_nsec;
}

/* A target whose digests are timed. */
struct timed {
	struct target t; /* first: target_subject's functions take it */
	u64 digest_ns, digests;
	u64 findings;
};

static void timed_seal(void *s)
{
	struct timed *t = s;
	u64 start = cpu_now();

	target_subject.seal(s);
	t->digest_ns += cpu_now() - start;
}

static bool timed_sealed(void *s)
{
	struct timed *t = s;
	u64 start = cpu_now();
	bool same = target_subject.sealed(s);

	t->digest_ns += cpu_now() - start;
	return same;
}

static u64 timed_digest(void *s)
{
	struct timed *t = s;
	u64 start = cpu_now(), digest = target_subject.digest(s);

	t->digest_ns += cpu_now() - start;
	t->digests++;
	return digest;
}

static void on_finding(void *priv, const struct finding *f)
{
	u64 *nr = priv;

	(void)f;
	++*nr;
}

/* ---- programs ------------------------------------------------------------------------------- */

/*
 * Bounded: at most 5 tasks and some 40 VMAs at any time. Sixteen places of the window are mapped,
 * written, cut and unmapped in turn; a child is born every eighth operation, writes, and ends.
 */
static void bounded_op(FILE *out, u32 i, u32 *results, u32 *tasks)
{
	u32 place = i / 8 % 16, child = *tasks;

	switch (i % 8) {
	case 0:
		fprintf(out, "t0: r%" PRIu32 " = mmap(w+%up, 8p, rw, private|anon|fixed)\n",
			(*results)++, place * 16);
		break;
	case 1:
		fprintf(out, "t0: write(w+%up, %" PRIu32 ")\n", place * 16, i);
		break;
	case 2:
		fprintf(out, "t0: write(w+%up, %" PRIu32 ")\n", place * 16 + 5, i);
		break;
	case 3:
		fprintf(out, "t0: t%" PRIu32 " = fork()\n", ++*tasks);
		break;
	case 4:
		fprintf(out, "t%" PRIu32 ": write(w+%up, %" PRIu32 ")\n", child, place * 16, i);
		break;
	case 5:
		fprintf(out, "t0: mprotect(w+%up, 2p, r)\n", place * 16 + 2);
		break;
	case 6:
		fprintf(out, "t%" PRIu32 ": exit()\n", child);
		break;
	case 7:
		fprintf(out, "t0: munmap(w+%up, 12p)\n", (place + 8) % 16 * 16);
		break;
	}
}

/* Growing: what is mapped and written stays. */
static void growing_op(FILE *out, u32 i, u32 *results)
{
	u32 place = i / 4;

	switch (i % 4) {
	case 0:
		fprintf(out, "t0: r%" PRIu32 " = mmap(w+%up, 3p, rw, private|anon|fixed)\n",
			(*results)++, place * 4);
		break;
	case 1:
	case 2:
		fprintf(out, "t0: write(w+%up, %" PRIu32 ")\n", place * 4 + i % 4, i);
		break;
	case 3:
		fprintf(out, "t0: mprotect(w+%up, 1p, r)\n", place * 4);
		break;
	}
}

static int make_program(struct program *p, u32 nr_ops, bool growing)
{
	struct prog_error error = {0};
	u32 results = 0, tasks = 0;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int err;

	if (!out)
		return -1;
	fputs("# faultline 1\n", out);
	for (u32 i = 0; i < nr_ops; i++) {
		if (growing)
			growing_op(out, i, &results);
		else
			bounded_op(out, i, &results, &tasks);
	}
	if (fclose(out)) {
		free(text);
		return -1;
	}
	err = program_parse(p, text, len, &error);
	if (err)
		say("bench: line %" PRIu32 ": %s", error.line, error.what);
	free(text);
	return err;
}

/* ---- one program ---------------------------------------------------------------------------- */

struct setup {
	const struct fl_allocator_ops *alloc;
	struct fi fi;
	struct timed timed;
};

static int setup_init(struct setup *s, const struct program *p,
		      const struct fl_allocator_ops *alloc, enum check_level check,
		      enum target_injector injector)
{
	struct target_options opt = {.alloc = alloc,
				     .check = check,
				     .fi = &s->fi,
				     .no_marks = true,
				     .injector = injector};
	struct prog_error error = {0};
	char why[160];

	memset(&s->timed, 0, sizeof(s->timed));
	fi_init(&s->fi);
	machine_config_init(&opt.machine);
	if (program_machine(p, &opt.machine, &error) ||
	    machine_config_check(&opt.machine, why, sizeof(why)))
		return -1;
	return target_init(&s->timed.t, p, &opt, on_finding, &s->timed.findings);
}

struct figure {
	double ns; /* per point */
	double digest_share;
	struct sweep_stats stats;
	bool wrong;
};

/* walked: the sums that are kept are not asked, each attempt costs a digest. */
static int measure(struct figure *best, const struct program *p, u64 rounds,
		   const struct fl_allocator_ops *alloc, bool walked)
{
	const struct sweep_options opt = {0};
	struct subject_ops ops = target_subject;
	struct setup *s = malloc(sizeof(*s));
	int err = s ? 0 : -1;

	ops.digest = timed_digest;
	ops.seal = walked ? NULL : timed_seal;
	ops.sealed = walked ? NULL : timed_sealed;
	*best = (struct figure){.ns = -1};
	for (u64 i = 0; !err && i < rounds; i++) {
		struct subject subject = {&ops, &s->timed, &s->fi};
		struct sweep_stats stats;
		u64 start;
		double ns;

		err = setup_init(s, p, alloc, CHECK_TOUCHED, TARGET_INJECT);
		if (err)
			break;
		start = cpu_now();
		err = sweep_run(&subject, &opt, on_finding, &s->timed.findings, &stats);
		ns = (double)(cpu_now() - start);
		best->wrong |= s->timed.findings != 0;
		if (!err && stats.met && (best->ns < 0 || ns / (double)stats.met < best->ns)) {
			best->ns = ns / (double)stats.met;
			best->digest_share = (double)s->timed.digest_ns / ns;
			best->stats = stats;
		}
		target_fini(&s->timed.t);
	}
	free(s);
	return err;
}

/* ---- re-running the program for each point -------------------------------------------------- */

struct listing {
	struct fi_point *points;
	u32 nr, max;
};

static void list_points(void *priv, const struct target_event *ev)
{
	struct listing *l = priv;

	for (u32 i = 0; i < ev->nr_points && l->nr < l->max; i++)
		l->points[l->nr++] = ev->points[i];
}

static struct fi_plan plan_of(const struct fi_point *p)
{
	return (struct fi_plan){
		.nr = 1,
		.items = {{.op = p->op,
			   .class = (u8)fl_sites[p->site].class,
			   .which = FI_RANGE,
			   .site = p->site,
			   .from = p->ordinal,
			   .to = p->ordinal}},
	};
}

/* Nanoseconds per point of the plain way: run all, fail one, judge it, end all. Negative: failed.
 */
static double rerun(const struct program *p, const struct fl_allocator_ops *alloc, u64 nr_points)
{
	struct listing l = {.max = (u32)nr_points};
	struct fi_point room[1024];
	struct setup *s = malloc(sizeof(*s));
	struct target_result res;
	double ns = -1;
	u64 start;
	u32 runs = 0;

	l.points = calloc(nr_points + 1, sizeof(*l.points));
	if (!s || !l.points || setup_init(s, p, alloc, CHECK_TOUCHED, TARGET_INJECT))
		goto out;
	s->timed.t.opt.event = list_points;
	s->timed.t.opt.event_priv = &l;
	s->timed.t.opt.points = room;
	s->timed.t.opt.max_points = ARRAY_SIZE(room);
	if (target_run(&s->timed.t, NULL, &res))
		goto fini;
	s->timed.t.opt.event = NULL;
	start = cpu_now();
	for (u32 i = 0; i < RERUN_POINTS && l.nr; i++) {
		const struct fi_plan plan = plan_of(&l.points[(u64)i * l.nr / RERUN_POINTS]);

		if (target_run(&s->timed.t, &plan, &res))
			goto fini;
		runs++;
	}
	if (runs)
		ns = (double)(cpu_now() - start) / runs;
fini:
	target_fini(&s->timed.t);
out:
	free(s);
	free(l.points);
	return ns;
}

/* ---- the corpus ----------------------------------------------------------------------------- */

struct corpus {
	struct file_list files;
	struct program *programs;
	size_t nr;
};

static int corpus_load(struct corpus *c, char **paths, int nr)
{
	struct prog_error error;

	*c = (struct corpus){0};
	if (files_expand(&c->files, paths, nr) || c->files.nr > MAX_FILES)
		return -1;
	c->programs = calloc(c->files.nr + 1, sizeof(*c->programs));
	if (!c->programs)
		return -1;
	for (size_t i = 0; i < c->files.nr; i++)
		if (!program_load(&c->programs[c->nr], c->files.paths[i], &error))
			c->nr++;
	return 0;
}

static void corpus_free(struct corpus *c)
{
	for (size_t i = 0; i < c->nr; i++)
		program_free(&c->programs[i]);
	free(c->programs);
	files_free(&c->files);
}

/* Nanoseconds for a run of each program, checks off. */
static double corpus_run(const struct corpus *c, const struct fl_allocator_ops *alloc,
			 enum target_injector injector)
{
	struct setup *s = malloc(sizeof(*s));
	struct target_result res;
	u64 ns = 0;

	for (size_t i = 0; s && i < c->nr; i++) {
		u64 start;

		if (setup_init(s, &c->programs[i], alloc, CHECK_OFF, injector))
			continue;
		start = cpu_now();
		target_run(&s->timed.t, NULL, &res);
		ns += cpu_now() - start;
		target_fini(&s->timed.t);
	}
	free(s);
	return (double)ns;
}

static double least(double best, double value)
{
	return best < 0 || value < best ? value : best;
}

static int bench_corpus(const struct bench_sweep *b, char **paths, int nr)
{
	double run[3] = {-1, -1, -1}, swept = 0, points = 0;
	struct corpus c;

	if (corpus_load(&c, paths, nr)) {
		corpus_free(&c);
		say("bench: cannot load the corpus");
		return EXIT_ENV;
	}
	for (u64 round = 0; round < 5 * b->rounds; round++)
		for (unsigned int how = 0; how < 3; how++)
			run[how] = least(run[how],
					 corpus_run(&c, b->alloc, (enum target_injector)how));
	for (size_t i = 0; i < c.nr; i++) {
		struct figure f;

		if (measure(&f, &c.programs[i], 1, b->alloc, false) || f.ns < 0)
			continue;
		swept += f.ns * (double)f.stats.met;
		points += (double)f.stats.met;
	}
	bench_figure(b->json, "corpus.sweep", swept / 1e6, "ms", run[TARGET_INJECT] / 1e6,
		     "a run of each");
	if (points > 0)
		bench_figure(b->json, "corpus.point", swept / points / 1000, "us",
			     run[TARGET_INJECT] / (double)c.nr / 1000, "a run of a program");
	bench_figure(b->json, "injector.bare", run[TARGET_INJECT_BARE] / 1e6, "ms",
		     run[TARGET_INJECT_NONE] / 1e6, "no injector");
	bench_figure(b->json, "injector.traced", run[TARGET_INJECT] / 1e6, "ms",
		     run[TARGET_INJECT_NONE] / 1e6, "no injector");
	corpus_free(&c);
	return 0;
}

/* ---- figures -------------------------------------------------------------------------------- */

static void print_figure(const struct bench_sweep *b, const char *kind, u64 length,
			 const struct figure *f, double base)
{
	const struct sweep_stats *n = &f->stats;
	char name[64];

	snprintf(name, sizeof(name), "%s.point.%" PRIu64, kind, length);
	bench_figure(b->json, name, f->ns / 1000, "us", base / 1000, "of 100 operations");
	snprintf(name, sizeof(name), "%s.digest.%" PRIu64, kind, length);
	bench_figure(b->json, name, f->ns * f->digest_share / 1000, "us", f->ns / 1000,
		     "the point");
	/* the identities, as numbers whose ratio is 1 */
	snprintf(name, sizeof(name), "%s.met.%" PRIu64, kind, length);
	bench_figure(b->json, name, (double)n->met, "points", (double)(n->delivered + n->masked),
		     "delivered + masked");
	snprintf(name, sizeof(name), "%s.executed.%" PRIu64, kind, length);
	bench_figure(b->json, name, (double)n->executed_ops, "operations",
		     (double)(n->inplace_delivered + n->ops), "deliveries + operations");
	snprintf(name, sizeof(name), "%s.replayed.%" PRIu64, kind, length);
	bench_figure(b->json, name, (double)n->replay_ops, "operations", (double)(n->met + n->ops),
		     "points + operations");
}

/* The length that figures are compared with: wanted, if it is one of them. */
static unsigned int length_at(const struct bench_sweep *b, u64 wanted, unsigned int other)
{
	for (unsigned int i = 0; i < b->nr_lengths; i++)
		if (b->lengths[i] == wanted)
			return i;
	return other;
}

static int bench_kind(const struct bench_sweep *b, bool growing)
{
	unsigned int base = length_at(b, BASE_OPS, 0);
	unsigned int long_one = length_at(b, RERUN_OPS, b->nr_lengths - 1);
	const char *kind = growing ? "growing" : "bounded";
	struct figure f[BENCH_MAX_SIZES];
	struct figure walked = {.ns = -1};
	double again = -1;
	char name[64];

	for (unsigned int i = 0; i < b->nr_lengths; i++) {
		struct program p;
		int err;

		if (make_program(&p, (u32)b->lengths[i], growing))
			return EXIT_ENV;
		err = measure(&f[i], &p, b->rounds, b->alloc, false);
		if (!err && i == long_one)
			err = measure(&walked, &p, b->rounds, b->alloc, true);
		if (!err && !growing && i == long_one)
			again = rerun(&p, b->alloc, f[i].stats.met);
		program_free(&p);
		if (err) {
			say("bench: the sweep of %" PRIu64 " operations: %s", b->lengths[i],
			    strerror(-err));
			return err == -EPROTO ? EXIT_INJECTOR : EXIT_ENV;
		}
		if (f[i].wrong)
			say("bench: the sweep of %" PRIu64 " operations found something",
			    b->lengths[i]);
	}
	for (unsigned int i = 0; i < b->nr_lengths; i++)
		print_figure(b, kind, b->lengths[i], &f[i], f[base].ns);
	if (walked.ns > 0) {
		snprintf(name, sizeof(name), "%s.walked.point.%" PRIu64, kind,
			 b->lengths[long_one]);
		bench_figure(b->json, name, walked.ns / 1000, "us", f[long_one].ns / 1000,
			     "by sums");
		snprintf(name, sizeof(name), "%s.walked.digest.%" PRIu64, kind,
			 b->lengths[long_one]);
		bench_figure(b->json, name, walked.ns * walked.digest_share / 1000, "us",
			     f[long_one].ns * f[long_one].digest_share / 1000, "by sums");
	}
	if (again > 0) {
		snprintf(name, sizeof(name), "rerun.point.%" PRIu64, b->lengths[long_one]);
		bench_figure(b->json, name, again / 1000, "us", f[long_one].ns / 1000, "the sweep");
	}
	return 0;
}

int bench_sweep(const struct bench_sweep *b, char **paths, int nr)
{
	int status = bench_kind(b, false);

	if (!status)
		status = bench_kind(b, true);
	if (!status && nr)
		status = bench_corpus(b, paths, nr);
	return exit_worst(status, output_flush());
}
