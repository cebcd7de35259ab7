/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * faultline bench: what things cost. Each figure stands beside one taken in turn in the same run,
 * so that the ratio means something on whatever machine it runs; each is the least of several
 * rounds.
 *
 * The engine does what the host kernel does for the same system calls: the host's side is a process
 * of its own that is asked for a round at a time over pipes. It makes mappings and forks and
 * changes nothing else of the host.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "cli.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <faultline/mm_types.h>
#include <faultline/syscalls.h>

#define BENCH_PROGRAMS "corpus/bench/frozen.txt"

static const char help[] =
	"usage: faultline bench engine|alloc [OPTION...]\n"
	"       faultline bench fuzz [OPTION...] [FILE]\n"
	"       faultline bench sweep [OPTION...] [FILE...]\n"
	"The engine, checks off, beside the host kernel doing the same:\n"
	"  mmap_munmap.N   a page mapped into a random hole among N VMAs, and unmapped again\n"
	"  mmap_touch_munmap.N   the same, with a write between the two\n"
	"  fork_exit.N     fork and exit of a process with N VMAs more than its image\n"
	"  fork_exit.vma   the same, per VMA that it has\n"
	"  fork_exit.page  the same, per page that it has written\n"
	"\n"
	"The allocator backends beside malloc, alloc:\n"
	"  page, tag, block_of_4, object   taken and given back\n"
	"  machine         a machine made and thrown away\n"
	"  program         64 mappings and 8 forks in a fresh machine\n"
	"  snapshot, restore   of the machine after it, beside making it anew\n"
	"\n"
	"An input of fuzz_lifecycle, fuzz: 200 programs of the corpus with 16 to 32 operations, "
	"always\n"
	"the same (FILE, default " BENCH_PROGRAMS "):\n"
	"  fuzz.input      the mean one beside the longest; fuzz.op: an operation of it\n"
	"  fuzz.share.*    what goes to decoding, a fresh machine and its end, the operations, "
	"the\n"
	"                  digest of the last state, the checks, the reference model\n"
	"\n"
	"What a fault point costs in programs of 50 to 3200 operations, whose state is bounded "
	"(some\n"
	"40 VMAs) or grows:\n"
	"  KIND.point.L      processor time per point, against that of 100 operations\n"
	"  KIND.digest.L     what of it goes to digests\n"
	"  KIND.met.L, KIND.executed.L   the identities of a sweep: their ratio is 1\n"
	"  KIND.replayed.L   operations run besides those in place, against points + operations\n"
	"  rerun.point.L     running the program for each point instead\n"
	"  corpus.*          the sweep of FILE..., against a run of it\n"
	"  injector.*        runs of FILE... with an injector that refuses nothing: alone, and "
	"with\n"
	"                    the trace hash that the executor makes of its answers\n"
	"\n"
	"  --vmas N,...      numbers of VMAs (default 100,10000,1000000); above 50000 the "
	"baseline\n"
	"                    is the engine's own figure before it\n"
	"  --ops N,...       sweep: lengths of the programs (default "
	"50,100,200,400,800,1600,3200)\n"
	"  --rounds N        rounds per figure, of which the least counts (default 15; sweep: 3)\n"
	"  --allocator NAME  engine, fuzz, sweep: the backend, malloc, arena, buddy or guard "
	"(default\n"
	"                    malloc; engine: arena, whose objects lie close as in a kernel's "
	"slabs); "
	"alloc:\n"
	"                    one more, ./mine.so\n"
	"  --json            JSON lines\n"
	"\n"
	"Exit: 0, 2 usage, 3 environment.\n";

#define HOST_MAX    50000u /* VMAs; the usual limit of the kernel is 65530 */
#define TOUCH_VMAS  100u
#define FORK_VMAS   2000u
#define FORK_PAGES  4096u
#define ENGINE_BASE ((u64)1 << 32)

/* A round returns nanoseconds, or a negative number when it cannot go on. */

/* ---- the engine ----------------------------------------------------------------------------- */

struct engine {
	const struct fl_allocator_ops *alloc;
	void *inst;
	struct ctx cx;
};

__attribute__((noreturn)) static void engine_bug(void *priv, enum fl_bug kind, const char *func,
						 const char *what)
{
	(void)priv;
	(void)kind;
	say("bench: %s: %s", func, what);
	exit(EXIT_ENV);
}

static bool engine_boot(struct engine *e, u64 vmas)
{
	const struct fl_seams seams = {.bug = engine_bug};
	const struct exec_image image = {.stack_pages = 1};
	struct fl_allocator_config acfg = {.size = sizeof(acfg)};
	struct machine_config cfg;
	struct task_struct *init;
	struct machine *m;
	bool killed;

	machine_config_init(&cfg);
	cfg.max_map_count = vmas + 64;
	cfg.mem = 1u << 20;
	cfg.overcommit = 1;
	e->inst = e->alloc->create(&acfg);
	if (!e->inst)
		return false;
	m = machine_create(&cfg, e->alloc, e->inst, &seams);
	if (!m)
		return false;
	e->cx = (struct ctx){.m = m, .steps = ~(u64)0};
	init = spawn_init(&e->cx);
	if (!init)
		return false;
	run_on(&e->cx, 0, init);
	return !sys_execve(&e->cx, &image, &killed);
}

static void engine_end(struct engine *e)
{
	if (e->inst)
		e->alloc->destroy(e->inst);
	e->inst = NULL;
}

static bool engine_map(struct engine *e, u64 addr, u64 pages, u32 prot)
{
	return sys_mmap(&e->cx, addr, pages * PAGE_SIZE, prot,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0) == (s64)addr;
}

static bool engine_populate(struct engine *e, u64 vmas)
{
	for (u64 i = 0; i < vmas; i++) {
		if (!engine_map(e, ENGINE_BASE + i * BENCH_STRIDE, 1, PROT_READ))
			return false;
	}
	return true;
}

static double engine_mmap_munmap(struct engine *e, const struct host_job *job, u64 *seed)
{
	u64 start = bench_now();

	for (u32 i = 0; i < BENCH_BATCH; i++) {
		u64 addr = ENGINE_BASE + bench_random(seed) % job->vmas * BENCH_STRIDE + PAGE_SIZE;
		u64 tag = 1;

		if (!engine_map(e, addr, 1, PROT_READ | PROT_WRITE))
			return -1;
		if (job->touch && access_user(&e->cx, addr, true, &tag) != ACCESS_OK)
			return -1;
		if (sys_munmap(&e->cx, addr, PAGE_SIZE))
			return -1;
	}
	return (double)(bench_now() - start) / BENCH_BATCH;
}

static double engine_fork_exit(struct engine *e)
{
	struct task_struct *parent = e->cx.curr, *child;
	u64 start = bench_now();

	if (do_fork(&e->cx, 0, &child))
		return -1;
	run_on(&e->cx, 0, child);
	do_exit(&e->cx);
	run_on(&e->cx, 0, parent);
	return (double)(bench_now() - start);
}

/* ---- figures -------------------------------------------------------------------------------- */

struct bench {
	struct engine engine;
	u64 sizes[BENCH_MAX_SIZES];
	unsigned int nr_sizes;
	u64 rounds;
	bool json;
};

void bench_figure(bool json, const char *name, double value, const char *unit, double baseline,
		  const char *against)
{
	struct json j;

	if (!json) {
		printf("%-22s %12.3f %-10s %-24s %12.3f   ratio %.3f\n", name, value, unit, against,
		       baseline, value / baseline);
		return;
	}
	json_begin(&j, stdout, "bench");
	json_str(&j, "name", name);
	json_key(&j, "value");
	printf("%.4f", value);
	json_str(&j, "unit", unit);
	json_key(&j, "baseline");
	printf("%.4f", baseline);
	json_key(&j, "ratio");
	printf("%.4f", value / baseline);
	json_str(&j, "against", against);
	json_end(&j);
}

void bench_row(bool json, const char *name, double value, double baseline, const char *against)
{
	bench_figure(json, name, value / 1000, "us", baseline / 1000, against);
}

static void print_row(const struct bench *b, const char *name, double value, double baseline,
		      const char *against)
{
	bench_row(b->json, name, value, baseline, against);
}

static bool least(double *best, double round)
{
	if (round < 0)
		return false;
	if (*best < 0 || round < *best)
		*best = round;
	return true;
}

/* Both sides in turn. false: one of them could not. */
static bool mmap_munmap_rounds(struct bench *b, const struct host_job *job, struct host *h,
			       double *engine, double *host)
{
	u64 seed = 1;

	for (u64 i = 0; i < b->rounds; i++) {
		if (!least(engine, engine_mmap_munmap(&b->engine, job, &seed)))
			return false;
		if (h && !least(host, host_round(h)))
			return false;
	}
	return true;
}

/* Of both in turn, the least; *host stays negative where the host is not asked. An exit code. */
static int measure_mmap_munmap(struct bench *b, const struct host_job *job, double *engine,
			       double *host)
{
	bool on_host = job->vmas <= HOST_MAX, ok;
	struct host h = {0};

	*engine = *host = -1;
	if (!engine_boot(&b->engine, job->vmas) || !engine_populate(&b->engine, job->vmas)) {
		say("bench: no memory for %" PRIu64 " VMAs", job->vmas);
		engine_end(&b->engine);
		return EXIT_ENV;
	}
	ok = !on_host || host_start(&h, job);
	ok = ok && mmap_munmap_rounds(b, job, on_host ? &h : NULL, engine, host);
	if (on_host)
		host_stop(&h);
	engine_end(&b->engine);
	if (!ok)
		say("bench: the host did not make %" PRIu64 " mappings", job->vmas);
	return ok ? 0 : EXIT_ENV;
}

static int bench_mmap_munmap(struct bench *b)
{
	char name[64], before[64] = "";
	double last = -1, engine, host;
	int status;

	for (unsigned int i = 0; i < b->nr_sizes; i++) {
		const struct host_job job = {.vmas = b->sizes[i]};

		status = measure_mmap_munmap(b, &job, &engine, &host);
		if (status)
			return status;
		snprintf(name, sizeof(name), "mmap_munmap.%" PRIu64, job.vmas);
		if (host >= 0)
			print_row(b, name, engine, host, "host");
		else
			print_row(b, name, engine, last < 0 ? engine : last,
				  last < 0 ? name : before);
		last = engine;
		snprintf(before, sizeof(before), "%s", name);
	}
	return 0;
}

static int bench_touch(struct bench *b)
{
	const struct host_job job = {.vmas = TOUCH_VMAS, .touch = true};
	double engine, host;
	char name[64];
	int status = measure_mmap_munmap(b, &job, &engine, &host);

	snprintf(name, sizeof(name), "mmap_touch_munmap.%" PRIu64, job.vmas);
	if (!status)
		print_row(b, name, engine, host, "host");
	return status;
}

static bool fork_rounds(struct bench *b, const struct host_job *job, double *engine, double *host)
{
	struct host h = {0};
	bool ok = engine_boot(&b->engine, job->vmas + 1) && engine_populate(&b->engine, job->vmas);
	u64 pages = ENGINE_BASE + (job->vmas + 1) * BENCH_STRIDE;

	if (ok && job->pages)
		ok = engine_map(&b->engine, pages, job->pages, PROT_READ | PROT_WRITE);
	for (u64 i = 0; ok && i < job->pages; i++)
		ok = access_user(&b->engine.cx, pages + i * PAGE_SIZE, true, &i) == ACCESS_OK;
	ok = ok && host_start(&h, job);
	for (u64 i = 0; ok && i < b->rounds; i++)
		ok = least(engine, engine_fork_exit(&b->engine)) && least(host, host_round(&h));
	if (h.pid)
		host_stop(&h);
	engine_end(&b->engine);
	return ok;
}

/* What is more with n of something than without, for each of them. */
static int bench_fork_exit(struct bench *b, const char *name, const struct host_job *with, u64 n)
{
	const struct host_job without = {.fork = true};
	double engine[2] = {-1, -1}, host[2] = {-1, -1};

	if (!fork_rounds(b, &without, &engine[0], &host[0]) ||
	    !fork_rounds(b, with, &engine[1], &host[1])) {
		say("bench: %s: fork failed", name);
		return EXIT_ENV;
	}
	print_row(b, name, (engine[1] - engine[0]) / (double)n, (host[1] - host[0]) / (double)n,
		  "host");
	return 0;
}

/* The whole of a fork and exit. */
static int bench_forks(struct bench *b)
{
	static const u64 sizes[] = {10, 100, 1000};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const struct host_job job = {.vmas = sizes[i], .fork = true};
		double engine = -1, host = -1;
		char name[64];

		snprintf(name, sizeof(name), "fork_exit.%" PRIu64, job.vmas);
		if (!fork_rounds(b, &job, &engine, &host)) {
			say("bench: %s: fork failed", name);
			return EXIT_ENV;
		}
		print_row(b, name, engine, host, "host");
	}
	return 0;
}

static int bench_engine(struct bench *b)
{
	const struct host_job vmas = {.vmas = FORK_VMAS, .fork = true};
	const struct host_job pages = {.pages = FORK_PAGES, .fork = true};
	int status = bench_mmap_munmap(b);

	if (!status)
		status = bench_touch(b);
	if (!status)
		status = bench_forks(b);
	if (!status)
		status = bench_fork_exit(b, "fork_exit.vma", &vmas, FORK_VMAS);
	if (!status)
		status = bench_fork_exit(b, "fork_exit.page", &pages, FORK_PAGES);
	return exit_worst(status, output_flush());
}

/* ---- the command ---------------------------------------------------------------------------- */

static bool parse_sizes(u64 *sizes, unsigned int *nr, u64 max, char *list)
{
	char *save, *item = strtok_r(list, ",", &save);

	for (*nr = 0; item; item = strtok_r(NULL, ",", &save)) {
		if (*nr == BENCH_MAX_SIZES || !parse_u64(item, max, &sizes[*nr]) || !sizes[*nr])
			return false;
		++*nr;
	}
	return *nr > 0;
}

int cmd_bench(int argc, char **argv)
{
	static const struct option options[] = {
		{"vmas", required_argument, NULL, 'n'},
		{"ops", required_argument, NULL, 'o'},
		{"rounds", required_argument, NULL, 'r'},
		{"allocator", required_argument, NULL, 'a'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct bench b = {
		.sizes = {100, 10000, 1000000},
		.nr_sizes = 3,
		.engine.alloc = fl_allocator_find("malloc"),
	};
	const char *allocator = NULL;
	struct bench_sweep sweep = {.lengths = {50, 100, 200, 400, 800, 1600, 3200},
				    .nr_lengths = 7};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'n':
			if (!parse_sizes(b.sizes, &b.nr_sizes, 1000000, optarg))
				return usage_error("bench",
						   "--vmas takes up to %u numbers of 1 to 1000000",
						   BENCH_MAX_SIZES);
			break;
		case 'o':
			if (!parse_sizes(sweep.lengths, &sweep.nr_lengths, 100000, optarg))
				return usage_error("bench",
						   "--ops takes up to %u numbers of 1 to 100000",
						   BENCH_MAX_SIZES);
			break;
		case 'r':
			if (!parse_u64(optarg, 1000000, &b.rounds) || !b.rounds)
				return usage_error("bench", "--rounds takes a number above 0");
			break;
		case 'a':
			allocator = optarg;
			break;
		case 'j':
			b.json = true;
			break;
		case 'h':
			fputs(help, stdout);
			return output_flush();
		default:
			return option_error("bench", argv);
		}
	}
	const char *what = optind < argc ? argv[optind] : "";

	int nr = argc - optind - 1; /* operands behind it */

	if (strcmp(what, "sweep") && (strcmp(what, "fuzz") || nr > 1) &&
	    (nr || (strcmp(what, "engine") && strcmp(what, "alloc"))))
		return usage_error(
			"bench",
			"what to measure: engine, alloc, fuzz and a file, or sweep and programs");
	if (strstr(FAULTLINE_BUILD, "address"))
		say("bench: built with sanitizers, whose costs are not the engine's or the host's");
	sweep.rounds = b.rounds ? b.rounds : 3;
	b.rounds = b.rounds ? b.rounds : 15;
	if (!strcmp(what, "alloc"))
		return bench_alloc(allocator, b.rounds, b.json);
	if (allocator || !strcmp(what, "engine"))
		b.engine.alloc = fl_allocator_find(allocator ? allocator : "arena");
	if (!b.engine.alloc)
		return usage_error("bench", "no allocator '%s'", allocator);
	if (!strcmp(what, "fuzz"))
		return bench_fuzz(b.engine.alloc, nr ? argv[optind + 1] : BENCH_PROGRAMS, b.rounds,
				  b.json);
	if (!strcmp(what, "engine"))
		return bench_engine(&b);
	sweep.alloc = b.engine.alloc;
	sweep.json = b.json;
	return bench_sweep(&sweep, argv + optind + 1, nr);
}
