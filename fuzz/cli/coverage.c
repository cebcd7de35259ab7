/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fault coverage in a file: one line per context, sorted. The file is replaced as a whole, under a
 * lock of its directory and after its present contents were read again, so that it is complete at
 * any moment, whoever is killed, and several processes add to one file.
 */
#define _GNU_SOURCE
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define HEADER	   "# faultline coverage "
#define SAVE_EVERY 1.0 /* seconds */

/* ---- the text: SITE OPERATION SITE-BEFORE SITE-BEFORE-THAT MET FAILED RETRIED CLEAN OVER ----- */

#define VERSION 3
/* Words of a line, by version: the counts have become more. */
static const int words[VERSION + 1] = {0, 6, 7, 9};

static bool find_op(const char *name, u16 *code)
{
	for (unsigned int i = 0; i < NR_OPS; i++) {
		if (!strcmp(op_table[i].name, name)) {
			*code = (u16)i;
			return true;
		}
	}
	return false;
}

static bool find_site(const char *name, u16 *site)
{
	*site = (u16)fl_site_find(name, strlen(name));
	return *site != SITE_none || !strcmp(name, "-");
}

/* 1: counted; 0: of names that this build does not know; -1: not a line of such a file. */
static int take_line(struct cover *cover, const char *line, int version)
{
	char site[64], op[32], prev[64], prev2[64], end;
	struct cover_entry *e;
	struct cover_key key;
	struct cover_entry n = {0};
	int nr = sscanf(line,
			"%63s %31s %63s %63s %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
			" %" SCNu64 " %c",
			site, op, prev, prev2, &n.met, &n.failed, &n.verified, &n.clean, &n.over,
			&end);

	if (nr != words[version])
		return -1;
	if (!find_site(site, &key.site) || key.site == SITE_none || !find_op(op, &key.op_kind) ||
	    !find_site(prev, &key.prev) || !find_site(prev2, &key.prev2))
		return 0;
	e = cover_find(cover, &key);
	if (!e)
		return 0;
	/* what nobody had counted was met in a run without faults, for all that is known */
	if (version < 3)
		n.clean = n.met;
#define X(name) e->name += n.name;
	COVER_COUNTS(X)
#undef X
	return 1;
}

int coverage_read(struct cover *cover, const char *path)
{
	FILE *in = fopen(path, "re");
	size_t size = 0, nr = 0, unknown = 0;
	char *line = NULL;
	int status = EXIT_CLEAN, version = 0, ret;

	if (!in) {
		say("%s: %s", path, strerror(errno));
		return EXIT_USAGE;
	}
	while (!status && getline(&line, &size, in) >= 0) {
		if (nr++ == 0) {
			if (sscanf(line, HEADER "%d", &version) != 1 || version < 1 ||
			    version > VERSION) {
				say("%s:1: not a coverage file of version 1 to %d", path, VERSION);
				status = EXIT_USAGE;
			}
			continue;
		}
		ret = take_line(cover, line, version);
		if (ret < 0) {
			say("%s:%zu: not SITE OP SITE SITE MET FAILED%s%s", path, nr,
			    version > 1 ? " RETRIED" : "", version > 2 ? " CLEAN OVER" : "");
			status = EXIT_USAGE;
		}
		unknown += ret == 0;
	}
	if (!status && ferror(in)) {
		say("%s: %s", path, strerror(errno));
		status = EXIT_ENV;
	} else if (!status && !nr) {
		say("%s:1: not a coverage file of version 1 to %d", path, VERSION);
		status = EXIT_USAGE;
	}
	if (unknown)
		say("%s: %zu lines name sites or operations that are not there any more", path,
		    unknown);
	free(line);
	fclose(in);
	return status;
}

const char *coverage_site(u16 site)
{
	return site == SITE_none ? "-" : fl_sites[site].name;
}

static int by_key(const void *x, const void *y)
{
	const struct cover_key *a = &((const struct cover_entry *)x)->key;
	const struct cover_key *b = &((const struct cover_entry *)y)->key;

	if (a->site != b->site)
		return a->site < b->site ? -1 : 1;
	if (a->op_kind != b->op_kind)
		return a->op_kind < b->op_kind ? -1 : 1;
	if (a->prev != b->prev)
		return a->prev < b->prev ? -1 : 1;
	return a->prev2 < b->prev2 ? -1 : a->prev2 > b->prev2;
}

struct cover_entry *coverage_sorted(const struct cover *cover, u32 *nr)
{
	struct cover_entry *sorted = malloc(sizeof(cover->entries));

	*nr = 0;
	for (u32 i = 0; sorted && i < COVER_MAX; i++)
		if (cover->entries[i].used)
			sorted[(*nr)++] = cover->entries[i];
	if (sorted)
		qsort(sorted, *nr, sizeof(*sorted), by_key);
	return sorted;
}

static int write_coverage(const struct cover *cover, const char *path)
{
	u32 nr;
	struct cover_entry *sorted = coverage_sorted(cover, &nr);
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int status;

	if (!sorted || !out) {
		say("out of memory");
		if (out)
			fclose(out);
		free(text);
		free(sorted);
		return EXIT_ENV;
	}
	fprintf(out, HEADER "%d\n", VERSION);
	for (u32 i = 0; i < nr; i++)
		fprintf(out,
			"%s %s %s %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
			coverage_site(sorted[i].key.site), op_table[sorted[i].key.op_kind].name,
			coverage_site(sorted[i].key.prev), coverage_site(sorted[i].key.prev2),
			sorted[i].met, sorted[i].failed, sorted[i].verified, sorted[i].clean,
			sorted[i].over);
	free(sorted);
	if (fclose(out)) {
		say("out of memory");
		free(text);
		return EXIT_ENV;
	}
	status = output_write(path, text, len);
	free(text);
	return status;
}

/* ---- a file that grows ---------------------------------------------------------------------- */

struct coverage {
	char *path;
	bool adds;
	double saved_at;
	struct cover sum;   /* the file as it was read or written last */
	struct cover saved; /* how much of this process's counts is in it */
};

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A lock that lies beside no file: that of the directory. Negative: there is none. */
static int lock_directory(const char *path)
{
	char *copy = strdup(path);
	int fd = -1;

	if (copy)
		fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (fd >= 0)
		while (flock(fd, LOCK_EX) && errno == EINTR)
			;
	return fd;
}

int coverage_open(struct coverage **c, const char *path, bool adds)
{
	struct coverage *new = calloc(1, sizeof(*new));
	int status = 0;

	if (!new || !(new->path = strdup(path))) {
		free(new);
		say("out of memory");
		return EXIT_ENV;
	}
	new->adds = adds;
	new->saved_at = seconds();
	if (!adds || !access(path, F_OK))
		status = coverage_read(&new->sum, path);
	if (status) {
		coverage_close(new);
		return status;
	}
	*c = new;
	return 0;
}

void coverage_close(struct coverage *c)
{
	if (c)
		free(c->path);
	free(c);
}

struct cover *coverage_sum(struct coverage *c)
{
	return &c->sum;
}

/* What now has more than saved goes to sum. */
static void add_new(struct cover *sum, const struct cover *now, struct cover *saved)
{
	for (u32 i = 0; i < COVER_MAX; i++) {
		const struct cover_entry *e = &now->entries[i];
		struct cover_entry *to, *old;

		if (!e->used)
			continue;
		to = cover_find(sum, &e->key);
		old = cover_find(saved, &e->key);
		if (!to || !old)
			continue;
#define X(name) to->name += e->name - old->name;
		COVER_COUNTS(X)
#undef X
		*old = *e;
	}
	sum->lost += now->lost - saved->lost;
	saved->lost = now->lost;
}

int coverage_save(struct coverage *c, const struct cover *now, bool force)
{
	int lock, status = 0;

	if (!c->adds || (!force && seconds() - c->saved_at < SAVE_EVERY))
		return 0;
	lock = lock_directory(c->path);
	memset(&c->sum, 0, sizeof(c->sum));
	if (!access(c->path, F_OK))
		status = coverage_read(&c->sum, c->path);
	if (!status) {
		add_new(&c->sum, now, &c->saved);
		status = write_coverage(&c->sum, c->path);
	}
	if (lock >= 0)
		close(lock);
	c->saved_at = seconds();
	return status;
}
