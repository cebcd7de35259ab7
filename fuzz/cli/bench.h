/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's side of `faultline bench`: a process of its own that does what the engine does, a
 * round whenever it is asked. In a file apart because the host's names for flags are the engine's,
 * too.
 */
#ifndef FAULTLINE_BENCH_H
#define FAULTLINE_BENCH_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <faultline/types.h>

#define BENCH_MAX_SIZES 8u
#define BENCH_BATCH	2000u /* operations per round */
#define BENCH_STRIDE	(2 * PAGE_SIZE)

struct host_job {
	u64 vmas, pages; /* mapped; written, in one more VMA */
	bool fork;	 /* a round is a fork and exit; else a batch of mmap and munmap, */
	bool touch;	 /* with a write between the two */
};

struct host {
	pid_t pid; /* 0: none */
	int ask, answer;
};

/* False: no such process; what there is of it must be stopped all the same. */
bool host_start(struct host *h, const struct host_job *job);
/* Nanoseconds per operation, negative when the host refuses. */
double host_round(struct host *h);
void host_stop(struct host *h);

/* One figure, in nanoseconds, beside another of the same run. */
void bench_row(bool json, const char *name, double value, double baseline, const char *against);

/*
 * bench alloc: the built-in backends and, unless NULL, the one that `more` names. Returns an exit
 * code.
 */
int bench_alloc(const char *more, u64 rounds, bool json);
struct fl_allocator_ops;
/* faultline bench fuzz: the programs in the file at path, one after the other. An exit code. */
int bench_fuzz(const struct fl_allocator_ops *alloc, const char *path, u64 rounds, bool json);

static inline u64 bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000u + (u64)ts.tv_nsec;
}

static inline u64 bench_random(u64 *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

/* A line of results of any unit. */
void bench_figure(bool json, const char *name, double value, const char *unit, double baseline,
		  const char *against);

/* ---- bench_sweep.c -------------------------------------------------------------------------- */

struct fl_allocator_ops;
struct bench_sweep {
	const struct fl_allocator_ops *alloc;
	u64 rounds;
	bool json;
	u64 lengths[BENCH_MAX_SIZES]; /* operations of the programs */
	unsigned int nr_lengths;
};
/* Figures of sweeps; paths: programs to sweep and run besides. An exit code. */
int bench_sweep(const struct bench_sweep *b, char **paths, int nr);

#endif
