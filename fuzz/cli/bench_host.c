/* SPDX-License-Identifier: GPL-2.0-only */
#define _GNU_SOURCE
#include "bench.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char *host_window(u64 bytes)
{
	char *w = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (w == MAP_FAILED)
		return NULL;
	munmap(w, bytes);
	return w;
}

static bool host_map(char *addr, u64 pages, int prot)
{
	return mmap(addr, pages * PAGE_SIZE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		    0) == addr;
}

static double host_mmap_munmap(char *w, const struct host_job *job, u64 *seed)
{
	u64 start = bench_now();

	for (u32 i = 0; i < BENCH_BATCH; i++) {
		char *addr = w + bench_random(seed) % job->vmas * BENCH_STRIDE + PAGE_SIZE;

		if (!host_map(addr, 1, PROT_READ | PROT_WRITE))
			return -1;
		if (job->touch)
			*(volatile char *)addr = 1;
		if (munmap(addr, PAGE_SIZE))
			return -1;
	}
	return (double)(bench_now() - start) / BENCH_BATCH;
}

static double host_fork_exit(void)
{
	u64 start = bench_now();
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -1;
	if (!pid)
		_exit(0);
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return (double)(bench_now() - start);
}

static bool host_prepare(const struct host_job *job, char **w)
{
	*w = host_window((job->vmas + job->pages + 2) * BENCH_STRIDE);
	if (!*w)
		return false;
	for (u64 i = 0; i < job->vmas; i++) {
		if (!host_map(*w + i * BENCH_STRIDE, 1, PROT_READ))
			return false;
	}
	if (job->pages) {
		char *pages = *w + (job->vmas + 1) * BENCH_STRIDE;

		if (!host_map(pages, job->pages, PROT_READ | PROT_WRITE))
			return false;
		/* small pages on both sides */
		madvise(pages, job->pages * PAGE_SIZE, MADV_NOHUGEPAGE);
		for (u64 i = 0; i < job->pages; i++)
			pages[i * PAGE_SIZE] = 1;
	}
	return true;
}

__attribute__((noreturn)) static void host_serve(const struct host_job *job, int ask, int answer)
{
	u64 seed = 1;
	char *w, byte;
	bool ready = host_prepare(job, &w);

	while (read(ask, &byte, 1) == 1) {
		double ns = !ready	? -1
			    : job->fork ? host_fork_exit()
					: host_mmap_munmap(w, job, &seed);

		if (write(answer, &ns, sizeof(ns)) != sizeof(ns))
			break;
	}
	_exit(0);
}

bool host_start(struct host *h, const struct host_job *job)
{
	int ask[2], answer[2];

	if (pipe2(ask, O_CLOEXEC))
		return false;
	if (pipe2(answer, O_CLOEXEC)) {
		close(ask[0]);
		close(ask[1]);
		return false;
	}
	h->pid = fork();
	if (!h->pid) {
		close(ask[1]);
		close(answer[0]);
		host_serve(job, ask[0], answer[1]);
	}
	close(ask[0]);
	close(answer[1]);
	h->ask = ask[1];
	h->answer = answer[0];
	return h->pid > 0;
}

double host_round(struct host *h)
{
	double ns;

	if (write(h->ask, "", 1) != 1 || read(h->answer, &ns, sizeof(ns)) != sizeof(ns))
		return -1;
	return ns;
}

void host_stop(struct host *h)
{
	close(h->ask);
	close(h->answer);
	if (h->pid > 0)
		waitpid(h->pid, NULL, 0);
	h->pid = 0;
}
