/* SPDX-License-Identifier: GPL-2.0-only */
/* faultline alloc-check: holds the contract of allocator.h against a backend. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend.h"
#include "cli.h"
#include "conform.h"

static const char help[] =
	"usage: faultline alloc-check [OPTION...] BACKEND\n"
	"Holds the contract of faultline/allocator.h against a backend: ./mine.so, or one that is\n"
	"built in. Each check runs in a process of its own and says the first thing that is "
	"wrong.\n"
	"\n"
	"  --only NAME       this check alone\n"
	"  --list            the checks\n"
	"  --seconds N       a check that takes longer hangs (default 60)\n"
	"  --json            JSON lines\n"
	"\n"
	"Exit: 0 nothing is wrong, 1 something is, 2 usage, or a file that is no backend,\n"
	"3 environment.\n";

/* What a child leaves. */
struct left {
	volatile u32 where;
	struct conform c;
};

struct alloc_check {
	struct left *left;
	const struct fl_allocator_ops *ops;
	const char *backend, *only;
	u64 seconds;
	bool json;
	u32 nr, nr_wrong, nr_skipped;
};

static void run_child(struct alloc_check *ac, const struct conform_check *check)
{
	/* a backend may do anything to this process, and the parent may be stopped */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* whatever it has to say is not of the results */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	ac->left->c.ops = ac->ops;
	conform_run(check, &ac->left->c);
	_exit(0);
}

/* True: it had to be killed. */
static bool wait_child(pid_t pid, u64 seconds, int *status)
{
	int fd = pidfd_open(pid, 0), n = 1;
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	if (fd >= 0) {
		do
			n = poll(&pfd, 1, (int)(seconds * 1000));
		while (n < 0 && errno == EINTR);
		close(fd);
	}
	if (!n)
		kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	return !n;
}

/* A check that did not come to its end. */
static void died(struct alloc_check *ac, bool hung, int status)
{
	const char *call = backend_call(ac->left->where);
	struct conform *c = &ac->left->c;
	char how[48];

	if (hung)
		snprintf(how, sizeof(how), "no end after %" PRIu64 " s", ac->seconds);
	else if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "SIG%s",
			 sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?");
	else
		snprintf(how, sizeof(how), "exit with %d", WEXITSTATUS(status));
	c->wrong = true;
	c->skipped = false;
	/* built-in ones are called without a note of it */
	if (call)
		snprintf(c->what, sizeof(c->what), "%s in %s()", how, call);
	else
		snprintf(c->what, sizeof(c->what), "%s%s", how,
			 ac->ops == fl_allocator_find(ac->ops->name)
				 ? ""
				 : ", in memory that it gave out");
}

static void report(struct alloc_check *ac, const struct conform_check *check)
{
	const struct conform *c = &ac->left->c;
	const char *verdict = c->wrong ? "wrong" : c->skipped ? "skipped" : "ok";
	struct json j;

	ac->nr++;
	ac->nr_wrong += c->wrong;
	ac->nr_skipped += !c->wrong && c->skipped;
	if (!ac->json) {
		printf("%-8s %-19s %s\n", c->wrong ? "WRONG" : verdict, check->name,
		       c->what[0] ? c->what : check->asks);
		return;
	}
	json_begin(&j, stdout, "check");
	json_str(&j, "name", check->name);
	json_str(&j, "asks", check->asks);
	json_str(&j, "verdict", verdict);
	json_str(&j, "what", c->what);
	json_end(&j);
}

static int run_check(struct alloc_check *ac, const struct conform_check *check)
{
	int status = 0;
	bool hung;
	pid_t pid;

	memset(ac->left, 0, sizeof(*ac->left));
	fflush(stdout);
	fflush(stderr);
	pid = fork();
	if (pid < 0) {
		say("fork: %s", strerror(errno));
		return EXIT_ENV;
	}
	if (!pid)
		run_child(ac, check);
	hung = wait_child(pid, ac->seconds, &status);
	if (hung || !WIFEXITED(status) || WEXITSTATUS(status))
		died(ac, hung, status);
	report(ac, check);
	return output_flush();
}

static void total(const struct alloc_check *ac, const char *name)
{
	struct json j;

	if (!ac->json) {
		printf("%s", ac->backend);
		if (strcmp(ac->backend, name))
			printf(" (%s)", name);
		printf(": %" PRIu32 " checks, %" PRIu32 " wrong, %" PRIu32 " skipped\n", ac->nr,
		       ac->nr_wrong, ac->nr_skipped);
		return;
	}
	json_begin(&j, stdout, "total");
	json_str(&j, "backend", ac->backend);
	json_str(&j, "name", name);
	json_u64(&j, "checks", ac->nr);
	json_u64(&j, "wrong", ac->nr_wrong);
	json_u64(&j, "skipped", ac->nr_skipped);
	json_end(&j);
}

static int all_checks(struct alloc_check *ac)
{
	struct backend b;
	char why[400];
	int status;

	status = backend_open(&b, ac->backend, &ac->left->where, why, sizeof(why));
	if (status == EXIT_USAGE)
		return usage_error("alloc-check", "%s", why);
	if (status == EXIT_ENV) {
		say("%s", why);
		return status;
	}
	if (status == EXIT_FINDING) {
		static const struct conform_check load = {"load", "it can be loaded", NULL};

		ac->left->c.wrong = true;
		snprintf(ac->left->c.what, sizeof(ac->left->c.what), "%s", b.crash);
		report(ac, &load);
		total(ac, "-");
		return EXIT_FINDING;
	}
	ac->ops = b.ops;
	for (unsigned int i = 0; i < nr_conform_checks && !status; i++)
		if (!ac->only || !strcmp(ac->only, conform_checks[i].name))
			status = run_check(ac, &conform_checks[i]);
	total(ac, b.name);
	return ac->nr_wrong ? exit_worst(status, EXIT_FINDING) : status;
}

static void list(void)
{
	for (unsigned int i = 0; i < nr_conform_checks; i++)
		printf("%-19s %s\n", conform_checks[i].name, conform_checks[i].asks);
}

static bool is_check(const char *name)
{
	for (unsigned int i = 0; i < nr_conform_checks; i++)
		if (!strcmp(name, conform_checks[i].name))
			return true;
	return false;
}

int cmd_alloc_check(int argc, char **argv)
{
	static const struct option options[] = {
		{"only", required_argument, NULL, 'o'},	   {"list", no_argument, NULL, 'l'},
		{"seconds", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},	   {0},
	};
	struct alloc_check ac = {.seconds = 60};
	int c, status;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'h':
			fputs(help, stdout);
			return output_flush();
		case 'l':
			list();
			return output_flush();
		case 'j':
			ac.json = true;
			break;
		case 'o':
			if (!is_check(optarg))
				return usage_error("alloc-check",
						   "--only %s: no such check; see --list", optarg);
			ac.only = optarg;
			break;
		case 's':
			if (!parse_u64(optarg, 3600, &ac.seconds) || !ac.seconds)
				return usage_error("alloc-check",
						   "--seconds needs a number from 1 to 3600");
			break;
		default:
			return option_error("alloc-check", argv);
		}
	}
	if (optind + 1 != argc)
		return usage_error("alloc-check",
				   optind == argc ? "BACKEND is missing" : "one BACKEND at a time");
	ac.backend = argv[optind];
	ac.left = mmap(NULL, sizeof(*ac.left), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (ac.left == MAP_FAILED) {
		say("no memory: %s", strerror(errno));
		return EXIT_ENV;
	}
	status = all_checks(&ac);
	munmap(ac.left, sizeof(*ac.left));
	return exit_worst(status, output_flush());
}
