/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * faultline bench alloc: the backends beside each other. A round takes them in turn, so that what
 * disturbs the host disturbs them all.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "bench.h"
#include "cli.h"
#include "target.h"

#define MAX_BACKENDS 8u
#define BATCH	     256u /* held at a time */
#define NR_FORKS     8u
#define NR_MAPPINGS  64u
#define OBJECT_BYTES 200u

struct bench_backend {
	const struct fl_allocator_ops *ops;
	const char *name;
	struct program p;
	struct fi fi;
	struct target t;
	double snapshot, restore; /* of the last round */
};

/* Nanoseconds, or a negative number: the backend has no memory. */
typedef double (*figure_fn)(struct bench_backend *b);

static void *new_inst(struct bench_backend *b)
{
	const struct fl_allocator_config cfg = {.size = sizeof(cfg), .slot = 1};

	return b->ops->create(&cfg);
}

/* BATCH blocks taken, each touched, and given back, again and again: per block. */
static double pages(struct bench_backend *b, unsigned int order, uint32_t gfp)
{
	enum {
		TIMES = 16
	};
	void *inst = new_inst(b), *mem[BATCH];
	u64 start = 0;
	u32 nr = 0;

	for (u32 round = 0; inst && round <= TIMES; round++) {
		if (round == 1) /* the first one warms */
			start = bench_now();
		for (nr = 0; nr < BATCH; nr++) {
			mem[nr] = b->ops->page_alloc(inst, order, gfp);
			if (!mem[nr])
				goto out;
			*(volatile char *)mem[nr] = 1;
		}
		for (u32 i = 0; i < BATCH; i++)
			b->ops->page_free(inst, mem[i], order, gfp);
	}
out:
	start = bench_now() - start;
	if (inst)
		b->ops->destroy(inst);
	return nr == BATCH ? (double)start / (TIMES * BATCH) : -1;
}

static double one_page(struct bench_backend *b)
{
	return pages(b, 0, GFP_KERNEL);
}

static double one_tag(struct bench_backend *b)
{
	return pages(b, 0, __GFP_TAG | __GFP_ZERO);
}

static double block_of_4(struct bench_backend *b)
{
	return pages(b, 2, GFP_KERNEL);
}

static double object(struct bench_backend *b)
{
	enum {
		TIMES = 32
	};
	void *inst = new_inst(b), *cache = NULL, *obj[BATCH];
	u64 start = 0;
	u32 nr = 0;

	if (inst)
		cache = b->ops->cache_create(inst, "bench", OBJECT_BYTES, 8);
	for (u32 round = 0; cache && round <= TIMES; round++) {
		if (round == 1)
			start = bench_now();
		for (nr = 0; nr < BATCH; nr++) {
			obj[nr] = b->ops->cache_alloc(inst, cache, __GFP_ZERO);
			if (!obj[nr])
				goto out;
		}
		for (u32 i = 0; i < BATCH; i++)
			b->ops->cache_free(inst, cache, obj[i]);
	}
out:
	start = bench_now() - start;
	if (inst)
		b->ops->destroy(inst);
	return nr == BATCH ? (double)start / (TIMES * BATCH) : -1;
}

/* A machine made and thrown away. */
static double machine(struct bench_backend *b)
{
	u64 start = bench_now();

	return target_subject.reset(&b->t) ? -1 : (double)(bench_now() - start);
}

/* A fresh machine, mappings, writes and forks in it. */
static double program(struct bench_backend *b)
{
	u64 start = bench_now();
	struct outcome out;

	if (target_subject.reset(&b->t))
		return -1;
	for (u32 i = 0; i < b->p.nr_ops; i++) {
		target_subject.apply(&b->t, i, &out);
		if (out.kind != OUT_OK)
			return -1;
	}
	return (double)(bench_now() - start);
}

/* The state that program() left, kept and put back: beside making it anew. */
static double program_snapshot(struct bench_backend *b)
{
	u64 start = bench_now();

	if (target_subject.snapshot(&b->t))
		return -1;
	b->snapshot = (double)(bench_now() - start);
	start = bench_now();
	if (target_subject.restore(&b->t))
		return -1;
	b->restore = (double)(bench_now() - start);
	return b->snapshot;
}

/* ---- the program ---------------------------------------------------------------------------- */

static int make_program(struct bench_backend *b)
{
	struct target_options opt = {.alloc = b->ops, .check = CHECK_OFF, .fi = &b->fi};
	struct prog_error err;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int ret;

	if (!out)
		return -ENOMEM;
	fputs("# faultline 1\n", out);
	for (u32 i = 0; i < NR_MAPPINGS; i++)
		fprintf(out, "t0: mmap(w+%" PRIu32 "p, 2p, rw, private|anon|fixed)\n", 4 * i);
	for (u32 i = 0; i < NR_MAPPINGS; i++)
		fprintf(out, "t0: write(w+%" PRIu32 "p, 1)\n", 4 * i);
	for (u32 i = 1; i <= NR_FORKS; i++)
		fprintf(out, "t0: t%" PRIu32 " = fork()\nt%" PRIu32 ": write(w, 2)\n", i, i);
	if (fclose(out)) {
		free(text);
		return -ENOMEM;
	}
	ret = program_parse(&b->p, text, len, &err);
	free(text);
	if (ret)
		return ret;
	machine_config_init(&opt.machine);
	fi_init(&b->fi);
	return target_init(&b->t, &b->p, &opt, NULL, NULL);
}

/* ---- rows ----------------------------------------------------------------------------------- */

static const struct figure {
	const char *name;
	figure_fn fn;
} figures[] = {
	{"page", one_page}, {"tag", one_tag},	  {"block_of_4", block_of_4},
	{"object", object}, {"machine", machine}, {"program", program},
};

static bool take(double *best, double round)
{
	if (round < 0)
		return false;
	if (*best < 0 || round < *best)
		*best = round;
	return true;
}

static int figure(struct bench_backend *b, u32 nr, const struct figure *f, u64 rounds, bool json)
{
	double best[MAX_BACKENDS];
	char name[96], against[96];

	for (u32 i = 0; i < nr; i++)
		best[i] = -1;
	for (u64 r = 0; r < rounds; r++) {
		for (u32 i = 0; i < nr; i++) {
			if (!take(&best[i], f->fn(&b[i]))) {
				say("bench: backend %s has no memory for %s", b[i].name, f->name);
				return EXIT_ENV;
			}
		}
	}
	snprintf(against, sizeof(against), "%s.%s", f->name, b[0].name);
	for (u32 i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "%s.%s", f->name, b[i].name);
		bench_row(json, name, best[i], best[0], against);
	}
	return 0;
}

/* Of those that have snapshots, against the program run anew on the same backend. */
static int snapshots(struct bench_backend *b, u32 nr, u64 rounds, bool json)
{
	char name[96], against[96];

	for (u32 i = 0; i < nr; i++) {
		double anew = -1, keep = -1, put = -1;

		if (!b[i].ops->snapshot)
			continue;
		for (u64 r = 0; r < rounds; r++) {
			if (!take(&anew, program(&b[i])) || !take(&keep, program_snapshot(&b[i])) ||
			    !take(&put, b[i].restore)) {
				say("bench: backend %s cannot keep a machine", b[i].name);
				return EXIT_ENV;
			}
		}
		snprintf(against, sizeof(against), "program.%s", b[i].name);
		snprintf(name, sizeof(name), "snapshot.%s", b[i].name);
		bench_row(json, name, keep, anew, against);
		snprintf(name, sizeof(name), "restore.%s", b[i].name);
		bench_row(json, name, put, anew, against);
	}
	return 0;
}

static int all_figures(struct bench_backend *b, u32 nr, u64 rounds, bool json)
{
	int status = 0;

	for (u32 i = 0; i < nr; i++) {
		if (make_program(&b[i])) {
			say("bench: out of memory");
			return EXIT_ENV;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(figures) && !status; i++)
		status = figure(b, nr, &figures[i], rounds, json);
	if (!status)
		status = snapshots(b, nr, rounds, json);
	return status;
}

int bench_alloc(const char *more, u64 rounds, bool json)
{
	struct bench_backend *b = calloc(MAX_BACKENDS, sizeof(*b));
	const struct fl_allocator_ops *ops;
	struct backend opened;
	volatile u32 where = 0;
	char why[400];
	u32 nr = 0;
	int status;

	if (!b) {
		say("bench: out of memory");
		return EXIT_ENV;
	}
	for (; nr < MAX_BACKENDS - 1 && (ops = fl_allocator_at(nr)); nr++)
		b[nr] = (struct bench_backend){.ops = ops, .name = ops->name};
	if (more && !fl_allocator_find(more)) {
		status = backend_open(&opened, more, &where, why, sizeof(why));
		if (status) {
			if (status == EXIT_FINDING)
				snprintf(why, sizeof(why), "%s: %s", more, opened.crash);
			status = status == EXIT_ENV ? status : EXIT_USAGE;
			say("bench: %s", why);
			free(b);
			return status;
		}
		b[nr++] = (struct bench_backend){.ops = opened.ops, .name = opened.name};
	}
	status = all_figures(b, nr, rounds, json);
	for (u32 i = 0; i < nr; i++) {
		if (b[i].t.p)
			target_fini(&b[i].t);
		program_free(&b[i].p);
	}
	free(b);
	return exit_worst(status, output_flush());
}
