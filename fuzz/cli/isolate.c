/* SPDX-License-Identifier: GPL-2.0-only */
/* A child of a child: one fault in a process of its own, for subjects that die of it. */
#define _GNU_SOURCE
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crash.h"

/* Well below the watchdog of the process that makes these children. */
#define CHILD_SECONDS 30u
#define POLL_MS	      200
#define MAX_ECHOED    4u

__attribute__((noreturn)) static void inner_child(int err, void (*fn)(void *arg), void *arg)
{
	/* the sweep may be stopped from outside at any time, and then this one is nobody's */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(err, STDERR_FILENO);
	close(err);
	fn(arg);
	/* what is still allocated is the parent's as well, and no leak */
	_exit(0);
}

/* True: it had to be killed. */
static bool wait_for(const struct shared *sh, int pidfd, pid_t pid, int *status)
{
	struct pollfd pfd = {.fd = pidfd, .events = POLLIN};
	u64 met = sh->fi.stats.met, quiet = 0;
	bool hung = false;

	while (poll(&pfd, 1, POLL_MS) <= 0) {
		quiet = sh->fi.stats.met == met ? quiet + POLL_MS : 0;
		met = sh->fi.stats.met;
		if (quiet > CHILD_SECONDS * 1000u) {
			hung = true;
			kill(pid, SIGKILL);
			break;
		}
	}
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	return hung;
}

static void child_died(struct worker *w, int err, int status, bool hung, struct finding *how)
{
	struct crash_report report;

	crash_read(&report, err);
	crash_describe(&report, status, hung, how);
	crash_in_backend(backend_call(w->ses->shared->backend), how);
	w->ses->shared->backend = 0;
	how->op = w->ses->shared->op;
	if (w->nr_echoed++ < MAX_ECHOED)
		crash_echo(&report);
	crash_free(&report);
}

int worker_isolate(struct worker *w, void (*fn)(void *arg), void *arg, struct finding *how)
{
	struct shared *sh = w->ses->shared;
	/* shared memory, which the child's engine writes as well */
	const struct target target = sh->t;
	struct fi fi = sh->fi;
	int status, err, pidfd, ret = -EAGAIN;
	bool hung;
	pid_t pid;

	err = memfd_create("stderr", MFD_CLOEXEC);
	if (err < 0)
		return -errno;
	fflush(stdout);
	fflush(stderr);
	pid = fork();
	if (pid < 0) {
		ret = -errno;
		goto out;
	}
	if (!pid)
		inner_child(err, fn, arg);
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0) {
		ret = -errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		goto out;
	}
	hung = wait_for(sh, pidfd, pid, &status);
	close(pidfd);
	ret = hung || !WIFEXITED(status) || WEXITSTATUS(status);
	if (ret)
		child_died(w, err, status, hung, how);
	/* what was reached and failed stays counted */
	fi.stats = sh->fi.stats;
	sh->fi = fi;
	sh->t = target;
out:
	close(err);
	return ret;
}
