/* SPDX-License-Identifier: GPL-2.0-only */
#define _GNU_SOURCE
#include "backend.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

#define LOAD_SECONDS 5

/* In the order of the table. */
#define CALLS(X)         \
	X(create)        \
	X(destroy)       \
	X(page_alloc)    \
	X(page_free)     \
	X(cache_create)  \
	X(cache_destroy) \
	X(cache_alloc)   \
	X(cache_free)    \
	X(drop_caches)   \
	X(counts)        \
	X(check)         \
	X(snapshot_size) \
	X(snapshot)      \
	X(restore)

enum call {
	CALL_none,
#define X(name) CALL_##name,
	CALLS(X)
#undef X
	NR_CALLS
};

const char *backend_call(u32 where)
{
	static const char *const names[NR_CALLS] = {
#define X(name) [CALL_##name] = #name,
		CALLS(X)
#undef X
	};

	return where < NR_CALLS ? names[where] : NULL;
}

/* ---- calling it ----------------------------------------------------------------------------- */

/* The one that is loaded: the table's functions have no room for it in their arguments. */
static struct {
	struct fl_allocator_ops real, noted;
	volatile u32 *where;
	char path[256];
} loaded;

static void *noted_create(const struct fl_allocator_config *cfg)
{
	void *inst;

	*loaded.where = CALL_create;
	inst = loaded.real.create(cfg);
	*loaded.where = CALL_none;
	return inst;
}

static void noted_destroy(void *inst)
{
	*loaded.where = CALL_destroy;
	loaded.real.destroy(inst);
	*loaded.where = CALL_none;
}

static void *noted_page_alloc(void *inst, unsigned int order, uint32_t gfp)
{
	void *mem;

	*loaded.where = CALL_page_alloc;
	mem = loaded.real.page_alloc(inst, order, gfp);
	*loaded.where = CALL_none;
	return mem;
}

static void noted_page_free(void *inst, void *mem, unsigned int order, uint32_t gfp)
{
	*loaded.where = CALL_page_free;
	loaded.real.page_free(inst, mem, order, gfp);
	*loaded.where = CALL_none;
}

static void *noted_cache_create(void *inst, const char *name, size_t size, size_t align)
{
	void *cache;

	*loaded.where = CALL_cache_create;
	cache = loaded.real.cache_create(inst, name, size, align);
	*loaded.where = CALL_none;
	return cache;
}

static int noted_cache_destroy(void *inst, void *cache)
{
	int err;

	*loaded.where = CALL_cache_destroy;
	err = loaded.real.cache_destroy(inst, cache);
	*loaded.where = CALL_none;
	return err;
}

static void *noted_cache_alloc(void *inst, void *cache, uint32_t gfp)
{
	void *obj;

	*loaded.where = CALL_cache_alloc;
	obj = loaded.real.cache_alloc(inst, cache, gfp);
	*loaded.where = CALL_none;
	return obj;
}

static void noted_cache_free(void *inst, void *cache, void *obj)
{
	*loaded.where = CALL_cache_free;
	loaded.real.cache_free(inst, cache, obj);
	*loaded.where = CALL_none;
}

static void noted_drop_caches(void *inst)
{
	*loaded.where = CALL_drop_caches;
	loaded.real.drop_caches(inst);
	*loaded.where = CALL_none;
}

static void noted_counts(void *inst, struct fl_allocator_counts *out)
{
	*loaded.where = CALL_counts;
	loaded.real.counts(inst, out);
	*loaded.where = CALL_none;
}

static int noted_check(void *inst, char *why, size_t len)
{
	int err;

	*loaded.where = CALL_check;
	err = loaded.real.check(inst, why, len);
	*loaded.where = CALL_none;
	return err;
}

static size_t noted_snapshot_size(void *inst)
{
	size_t size;

	*loaded.where = CALL_snapshot_size;
	size = loaded.real.snapshot_size(inst);
	*loaded.where = CALL_none;
	return size;
}

static size_t noted_snapshot(void *inst, void *buf, size_t len)
{
	size_t size;

	*loaded.where = CALL_snapshot;
	size = loaded.real.snapshot(inst, buf, len);
	*loaded.where = CALL_none;
	return size;
}

static int noted_restore(void *inst, const void *buf, size_t len)
{
	int err;

	*loaded.where = CALL_restore;
	err = loaded.real.restore(inst, buf, len);
	*loaded.where = CALL_none;
	return err;
}

/* ---- loading it ----------------------------------------------------------------------------- */

/* What the table must have; the rest is optional. */
static const char *missing(const struct fl_allocator_ops *ops)
{
	const struct {
		const char *name;
		bool there;
	} required[] = {
		{"create", ops->create},
		{"destroy", ops->destroy},
		{"page_alloc", ops->page_alloc},
		{"page_free", ops->page_free},
		{"cache_create", ops->cache_create},
		{"cache_destroy", ops->cache_destroy},
		{"cache_alloc", ops->cache_alloc},
		{"cache_free", ops->cache_free},
		{"drop_caches", ops->drop_caches},
		{"counts", ops->counts},
		{"check", ops->check},
	};

	for (size_t i = 0; i < ARRAY_SIZE(required); i++)
		if (!required[i].there)
			return required[i].name;
	return NULL;
}

/* The file's table, as far as it goes, into ops. 0, or EXIT_USAGE with a line. */
static int load(const char *path, struct fl_allocator_ops *ops, char *why, size_t why_len)
{
	const struct fl_allocator_ops *(*entry)(uint32_t abi);
	const size_t least = offsetof(struct fl_allocator_ops, snapshot_size);
	const struct fl_allocator_ops *table;
	const char *name;
	void *so, *sym;

	so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!so) {
		snprintf(why, why_len, "%s", dlerror());
		return EXIT_USAGE;
	}
	sym = dlsym(so, "faultline_allocator");
	if (!sym) {
		snprintf(why, why_len, "%s has no function faultline_allocator()", path);
		return EXIT_USAGE;
	}
	memcpy(&entry, &sym, sizeof(entry));
	table = entry(FL_ALLOCATOR_ABI);
	if (!table) {
		snprintf(why, why_len, "%s does not speak version %u of the contract", path,
			 FL_ALLOCATOR_ABI);
		return EXIT_USAGE;
	}
	if (table->abi != FL_ALLOCATOR_ABI) {
		snprintf(why, why_len, "%s is of version %" PRIu32 " of the contract, not %u", path,
			 table->abi, FL_ALLOCATOR_ABI);
		return EXIT_USAGE;
	}
	if (table->size < least) {
		snprintf(why, why_len, "%s: its table has %" PRIu32 " bytes, and needs %zu", path,
			 table->size, least);
		return EXIT_USAGE;
	}
	memset(ops, 0, sizeof(*ops));
	memcpy(ops, table, table->size < sizeof(*ops) ? table->size : sizeof(*ops));
	if (!ops->name || !ops->name[0]) {
		snprintf(why, why_len, "%s: its table has no name", path);
		return EXIT_USAGE;
	}
	name = missing(ops);
	if (name) {
		snprintf(why, why_len, "%s lacks the function %s()", path, name);
		return EXIT_USAGE;
	}
	if (!ops->snapshot_size != !ops->snapshot || !ops->snapshot != !ops->restore) {
		snprintf(why, why_len,
			 "%s has some of snapshot_size(), snapshot(), restore(), and not all",
			 path);
		return EXIT_USAGE;
	}
	return 0;
}

/* What it prints meanwhile goes to stderr: standard output is for results. */
static int load_quietly(const char *path, struct fl_allocator_ops *ops, char *why, size_t why_len)
{
	int out, status;

	fflush(stdout);
	out = dup(STDOUT_FILENO);
	if (out < 0)
		return load(path, ops, why, why_len);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	status = load(path, ops, why, why_len);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	close(out);
	return status;
}

/* A child loads it first: what its constructors and its entry do may be anything. */
static int try_load(struct backend *b, const char *path, char *why, size_t why_len)
{
	struct fl_allocator_ops ops;
	int fds[2], status = 0, code;
	struct pollfd pfd;
	bool hung = false;
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC)) {
		snprintf(why, why_len, "pipe: %s", strerror(errno));
		return EXIT_ENV;
	}
	fflush(stdout);
	fflush(stderr);
	pid = fork();
	if (pid < 0) {
		snprintf(why, why_len, "fork: %s", strerror(errno));
		close(fds[0]);
		close(fds[1]);
		return EXIT_ENV;
	}
	if (!pid) {
		close(fds[0]);
		dup2(STDERR_FILENO, STDOUT_FILENO);
		code = load(path, &ops, why, why_len);
		if (!code)
			snprintf(why, why_len, "%s", ops.name);
		n = write(fds[1], why, strlen(why));
		_exit(n < 0 ? EXIT_ENV : code);
	}
	close(fds[1]);
	pfd = (struct pollfd){.fd = fds[0], .events = POLLIN};
	while (poll(&pfd, 1, LOAD_SECONDS * 1000) < 0 && errno == EINTR)
		;
	hung = !pfd.revents;
	if (hung)
		kill(pid, SIGKILL);
	n = read(fds[0], why, why_len - 1);
	why[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (hung) {
		snprintf(b->crash, sizeof(b->crash), "no end of loading it");
		return EXIT_FINDING;
	}
	if (WIFSIGNALED(status)) {
		snprintf(b->crash, sizeof(b->crash), "SIG%s while it was loaded",
			 sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?");
		return EXIT_FINDING;
	}
	/* a sanitizer's death, or the backend's own idea of an end */
	if (n <= 0) {
		snprintf(b->crash, sizeof(b->crash), "exit with %d while it was loaded",
			 WEXITSTATUS(status));
		return EXIT_FINDING;
	}
	snprintf(b->name, sizeof(b->name), "%s", why);
	return WEXITSTATUS(status);
}

static int open_file(struct backend *b, const char *path, volatile u32 *where, char *why,
		     size_t why_len)
{
	struct stat st;
	int status;

	if (stat(path, &st) || !S_ISREG(st.st_mode)) {
		snprintf(why, why_len, "%s: %s", path,
			 errno && stat(path, &st) ? strerror(errno) : "not a file");
		return EXIT_USAGE;
	}
	status = try_load(b, path, why, why_len);
	if (status)
		return status;
	status = load_quietly(path, &loaded.real, why, why_len);
	if (status)
		return status;
	loaded.where = where;
	snprintf(loaded.path, sizeof(loaded.path), "%s", path);
	loaded.noted = (struct fl_allocator_ops){
		.abi = FL_ALLOCATOR_ABI,
		.size = sizeof(loaded.noted),
		/* what brings it back on a command line */
		.name = loaded.path,
		.create = noted_create,
		.destroy = noted_destroy,
		.page_alloc = noted_page_alloc,
		.page_free = noted_page_free,
		.cache_create = noted_cache_create,
		.cache_destroy = noted_cache_destroy,
		.cache_alloc = noted_cache_alloc,
		.cache_free = noted_cache_free,
		.drop_caches = noted_drop_caches,
		.counts = noted_counts,
		.check = noted_check,
	};
	if (loaded.real.snapshot) {
		loaded.noted.snapshot_size = noted_snapshot_size;
		loaded.noted.snapshot = noted_snapshot;
		loaded.noted.restore = noted_restore;
	}
	b->ops = &loaded.noted;
	b->loaded = true;
	return 0;
}

int backend_open(struct backend *b, const char *name, volatile u32 *where, char *why,
		 size_t why_len)
{
	const struct fl_allocator_ops *ops;
	size_t len;

	*b = (struct backend){0};
	if (strchr(name, '/'))
		return open_file(b, name, where, why, why_len);
	b->ops = fl_allocator_find(name);
	if (b->ops) {
		snprintf(b->name, sizeof(b->name), "%s", name);
		return 0;
	}
	len = (size_t)snprintf(why, why_len, "%s: there are ", name);
	for (unsigned int i = 0; (ops = fl_allocator_at(i)) && len < why_len; i++)
		len += (size_t)snprintf(why + len, why_len - len, "%s%s", i ? ", " : "", ops->name);
	if (len < why_len)
		snprintf(why + len, why_len - len, ", or a file: ./%s",
			 strstr(name, ".so") ? name : "mine.so");
	return EXIT_USAGE;
}
