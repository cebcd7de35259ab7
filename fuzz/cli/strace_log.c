/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A log as events: interrupted calls joined with their ends, each line given its process, each
 * process that the log does not see being made found.
 *
 * Without -o, strace leaves the pid out while it follows one process only. Such a line belongs to
 * the one that is alive; before any pid was seen, to the nameless NAMELESS, which takes its pid
 * from the first prefix that no call of the log accounts for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "strace_priv.h"

#define NAMELESS 0

bool st_grow(void **array, u32 *max, u32 nr, size_t size)
{
	u32 n = *max ? *max * 2 : 64;
	void *p;

	if (nr < *max)
		return true;
	p = realloc(*array, n * size);
	if (!p)
		return false;
	*array = p;
	*max = n;
	return true;
}

/* ---- pids ----------------------------------------------------------------------------------- */

static u32 pid_slot(const struct strace_pids *map, s64 pid)
{
	u32 i = (u32)(((u64)pid * 0x9e3779b97f4a7c15u) >> 32) & (map->max - 1);

	while (map->keys[i] != STRACE_NO_PID && map->keys[i] != pid)
		i = (i + 1) & (map->max - 1);
	return i;
}

u32 *strace_pids_get(const struct strace_pids *map, s64 pid)
{
	u32 i;

	if (!map->max)
		return NULL;
	i = pid_slot(map, pid);
	return map->keys[i] == pid ? &map->vals[i] : NULL;
}

int strace_pids_put(struct strace_pids *map, s64 pid, u32 val)
{
	u32 i;

	if (2 * (map->nr + 1) > map->max) {
		struct strace_pids n = {.max = map->max ? map->max * 2 : 64};

		n.keys = malloc(n.max * sizeof(*n.keys));
		n.vals = malloc(n.max * sizeof(*n.vals));
		if (!n.keys || !n.vals) {
			strace_pids_free(&n);
			return -ENOMEM;
		}
		for (i = 0; i < n.max; i++)
			n.keys[i] = STRACE_NO_PID;
		for (i = 0; i < map->max; i++)
			if (map->keys[i] != STRACE_NO_PID)
				strace_pids_put(&n, map->keys[i], map->vals[i]);
		strace_pids_free(map);
		*map = n;
	}
	i = pid_slot(map, pid);
	if (map->keys[i] != pid)
		map->nr++;
	map->keys[i] = pid;
	map->vals[i] = val;
	return 0;
}

void strace_pids_free(struct strace_pids *map)
{
	free(map->keys);
	free(map->vals);
	memset(map, 0, sizeof(*map));
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Per pid, while reading. */
#define NO_EVENT UINT32_MAX

struct reader {
	struct strace_log *log;
	const char *p, *end;
	u32 line;
	struct strace_pids pending; /* pid to its unfinished event, or NO_EVENT */
	struct strace_pids alive;   /* pid to 1, or 0 once it ended */
	u32 nr_alive;
	bool renamed;
	bool announced; /* strace says when it follows a new process */
	bool in_head;
	s64 deferred[8]; /* new processes, said in the middle of the line that is being read */
	u32 nr_deferred;
	bool cut; /* the line that is being read does not end */
	struct prog_error *err;
};

static int fail(struct reader *rd, u32 line, const char *what)
{
	rd->err->line = line;
	snprintf(rd->err->what, sizeof(rd->err->what), "%s", what);
	return -EINVAL;
}

/* Keeps a text that had to be made; NULL: no memory. */
static char *keep(struct strace_log *log, size_t len)
{
	char *s;

	if (!st_grow((void **)&log->joined, &log->max_joined, log->nr_joined, sizeof(*log->joined)))
		return NULL;
	s = malloc(len ? len : 1);
	if (s)
		log->joined[log->nr_joined++] = s;
	return s;
}

static int set_alive(struct reader *rd, s64 pid, u32 alive)
{
	u32 *v = strace_pids_get(&rd->alive, pid);

	if ((v && *v) == (alive != 0) && v)
		return 0;
	rd->nr_alive = alive ? rd->nr_alive + 1 : rd->nr_alive - (v && *v);
	return strace_pids_put(&rd->alive, pid, alive);
}

/* The one process alive beside `but`; STRACE_NO_PID when there is none or there are several. */
static s64 sole_alive(const struct reader *rd, s64 but)
{
	const u32 *b = but == STRACE_NO_PID ? NULL : strace_pids_get(&rd->alive, but);
	u32 i;

	if (rd->nr_alive - (b && *b) != 1)
		return STRACE_NO_PID;
	for (i = 0; i < rd->alive.max; i++)
		if (rd->alive.keys[i] != STRACE_NO_PID && rd->alive.vals[i] &&
		    rd->alive.keys[i] != but)
			return rd->alive.keys[i];
	return STRACE_NO_PID;
}

/* Lines that had no pid turn out to be of `pid`. */
static int rename_nameless(struct reader *rd, s64 pid)
{
	struct strace_log *log = rd->log;
	u32 *v = strace_pids_get(&rd->pending, NAMELESS), i;
	int ret;

	for (i = 0; i < log->nr_steps; i++)
		if (log->steps[i].pid == NAMELESS)
			log->steps[i].pid = pid;
	for (i = 0; i < log->nr_events; i++)
		if (log->events[i].l.pid == NAMELESS)
			log->events[i].l.pid = pid;
	rd->renamed = true;
	ret = set_alive(rd, NAMELESS, 0);
	if (!ret && v)
		ret = strace_pids_put(&rd->pending, pid, *v);
	return ret;
}

static bool made_in_log(const struct reader *rd, s64 pid)
{
	const struct strace_log *log = rd->log;
	u32 i;

	for (i = 0; i < log->nr_events; i++) {
		const struct strace_event *e = &log->events[i];

		if (strace_makes_task(&e->l) &&
		    (!e->ended || (e->l.result == STRACE_VALUE && (s64)e->l.value == pid)))
			return true;
	}
	return false;
}

/* Which process is the line of? Notes first sightings. */
static int place_line(struct reader *rd, struct strace_line *l, u32 line)
{
	u32 *nameless = strace_pids_get(&rd->alive, NAMELESS);

	if (l->pid == STRACE_NO_PID) {
		l->pid = rd->alive.nr ? sole_alive(rd, l->what == STRACE_SUPERSEDED ? l->other
										    : STRACE_NO_PID)
				      : NAMELESS;
		if (l->pid == STRACE_NO_PID)
			return fail(rd, line,
				    "the line has no pid, and not exactly one process is alive");
		return set_alive(rd, l->pid, 1);
	}
	if (!strace_pids_get(&rd->alive, l->pid) && nameless && *nameless && !rd->renamed &&
	    (rd->announced || !made_in_log(rd, l->pid))) {
		int ret = rename_nameless(rd, l->pid);

		if (ret)
			return ret;
	}
	return set_alive(rd, l->pid, 1);
}

static struct strace_event *add_event(struct reader *rd, const struct strace_line *l, u32 line)
{
	struct strace_log *log = rd->log;
	struct strace_event *e;

	if (!st_grow((void **)&log->events, &log->max_events, log->nr_events, sizeof(*log->events)))
		return NULL;
	e = &log->events[log->nr_events++];
	memset(e, 0, sizeof(*e));
	e->l = *l;
	e->line = line;
	return e;
}

static int add_step(struct reader *rd, s64 pid, u32 event, u32 line, u8 phase)
{
	struct strace_log *log = rd->log;

	if (!st_grow((void **)&log->steps, &log->max_steps, log->nr_steps, sizeof(*log->steps)))
		return -ENOMEM;
	log->steps[log->nr_steps++] = (struct strace_step){
		.pid = pid, .event = event, .line = line, .next = STRACE_NO_STEP, .phase = phase};
	return 0;
}

static int whole_event(struct reader *rd, const struct strace_line *l, u32 line)
{
	struct strace_event *e = add_event(rd, l, line);

	if (!e)
		return -ENOMEM;
	e->ended = true;
	return add_step(rd, l->pid, rd->log->nr_events - 1, line, STRACE_START | STRACE_END);
}

static int unfinished(struct reader *rd, struct strace_line *l, u32 line)
{
	struct strace_event *e;
	int ret;

	l->what = STRACE_CALL;
	e = add_event(rd, l, line);
	if (!e)
		return -ENOMEM;
	ret = add_step(rd, l->pid, rd->log->nr_events - 1, line, STRACE_START);
	if (ret)
		return ret;
	return strace_pids_put(&rd->pending, l->other ? l->other : l->pid, rd->log->nr_events - 1);
}

static int resumed(struct reader *rd, const struct strace_line *l, u32 line)
{
	u32 *v = strace_pids_get(&rd->pending, l->pid);
	struct strace_event *e;
	struct strace_line whole;
	size_t len;
	char *text;
	int ret;

	/* strace attached in the middle of this call */
	if (!v)
		return 0;
	if (*v == NO_EVENT)
		return fail(rd, line, "resumes a call that is not under way");
	e = &rd->log->events[*v];
	if (e->l.name.len != l->name.len || memcmp(e->l.name.p, l->name.p, l->name.len))
		return fail(rd, line, "resumes another call than the one under way");
	len = e->l.name.len + 1 + e->l.args.len + l->args.len;
	text = keep(rd->log, len);
	if (!text)
		return -ENOMEM;
	memcpy(text, e->l.name.p, e->l.name.len);
	text[e->l.name.len] = '(';
	memcpy(text + e->l.name.len + 1, e->l.args.p, e->l.args.len);
	memcpy(text + e->l.name.len + 1 + e->l.args.len, l->args.p, l->args.len);
	rd->err->line = line;
	ret = strace_parse_line(text, len, &whole, rd->err->what, sizeof(rd->err->what));
	if (ret)
		return ret;
	/* resumed and interrupted again: still under way */
	if (whole.what == STRACE_UNFINISHED) {
		e->l.args = whole.args;
		return add_step(rd, l->pid, *v, line, 0);
	}
	whole.pid = e->l.pid;
	e->l = whole;
	e->ended = true;
	ret = add_step(rd, l->pid, *v, line, STRACE_END);
	*v = NO_EVENT;
	return ret;
}

/* Thread `other` did an execve and goes on under the pid of its leader. */
static int superseded(struct reader *rd, const struct strace_line *l, u32 line)
{
	u32 *v = strace_pids_get(&rd->pending, l->other);
	int ret = whole_event(rd, l, line);

	if (!ret && v && *v != NO_EVENT) {
		u32 event = *v;

		*v = NO_EVENT;
		ret = strace_pids_put(&rd->pending, l->pid, event);
	}
	return ret ? ret : set_alive(rd, l->other, 0);
}

static int one_line(struct reader *rd, const char *p, size_t len, u32 line)
{
	struct strace_line l;
	int ret;

	rd->err->line = line;
	ret = strace_parse_line(p, len, &l, rd->err->what, sizeof(rd->err->what));
	if (ret)
		return ret;
	if (l.what == STRACE_COMMENT) {
		if (rd->in_head)
			rd->log->head.len = (size_t)(p + len - rd->log->head.p);
		return 0;
	}
	rd->in_head = false;
	if (l.what == STRACE_NOTE)
		return 0;
	if (l.what == STRACE_ATTACHED) {
		rd->announced = true;
		return set_alive(rd, l.other, 1);
	}
	ret = place_line(rd, &l, line);
	if (ret)
		return ret;
	switch (l.what) {
	case STRACE_CALL:
		return whole_event(rd, &l, line);
	case STRACE_UNFINISHED:
		return unfinished(rd, &l, line);
	case STRACE_RESUMED:
		return resumed(rd, &l, line);
	case STRACE_SUPERSEDED:
		return superseded(rd, &l, line);
	case STRACE_EXITED:
	case STRACE_KILLED:
		ret = whole_event(rd, &l, line);
		return ret ? ret : set_alive(rd, l.pid, 0);
	default:
		return 0;
	}
}

/*
 * Without -o, the message that a new process is followed breaks into the line of the call that
 * made it. Start of such a message at the end of a line, or len.
 */
static size_t broken_at(const char *p, size_t len)
{
	static const char head[] = "strace: Process ", tail[] = " attached";
	size_t i;

	if (len < sizeof(head) + sizeof(tail) || memcmp(p + len - 9, tail, 9))
		return len;
	for (i = len - 9; i && p[i - 1] >= '0' && p[i - 1] <= '9'; i--)
		;
	if (i <= sizeof(head) - 1 || memcmp(p + i - (sizeof(head) - 1), head, sizeof(head) - 1))
		return len;
	return i - (sizeof(head) - 1);
}

static bool take_line(struct reader *rd, const char **p, size_t *len)
{
	const char *nl;

	if (rd->p == rd->end)
		return false;
	nl = memchr(rd->p, '\n', (size_t)(rd->end - rd->p));
	rd->cut = !nl;
	*p = rd->p;
	*len = (size_t)((nl ? nl : rd->end) - rd->p);
	rd->p = nl ? nl + 1 : rd->end;
	rd->line++;
	return true;
}

/* Puts a line together again that messages broke. */
static int mend(struct reader *rd, const char **p, size_t *len)
{
	size_t at;

	while ((at = broken_at(*p, *len)) < *len && at) {
		const char *more;
		size_t more_len;
		char *text;
		struct strace_line l;

		/* What the line itself says came before the message. */
		if (rd->nr_deferred == ARRAY_SIZE(rd->deferred) ||
		    strace_parse_line(*p + at, *len - at, &l, rd->err->what, sizeof(rd->err->what)))
			return fail(rd, rd->line, "too many messages in the middle of a line");
		rd->deferred[rd->nr_deferred++] = l.other;
		if (!take_line(rd, &more, &more_len))
			return fail(rd, rd->line, "the log ends in the middle of a call");
		text = keep(rd->log, at + more_len);
		if (!text)
			return -ENOMEM;
		memcpy(text, *p, at);
		memcpy(text + at, more, more_len);
		*p = text;
		*len = at + more_len;
	}
	return 0;
}

bool strace_makes_task(const struct strace_line *l)
{
	return l->what == STRACE_CALL &&
	       (strace_is(l->name, "fork") || strace_is(l->name, "vfork") ||
		strace_is(l->name, "clone") || strace_is(l->name, "clone3"));
}

/*
 * Links the steps of each pid and finds the roots. A fork whose end the log does not have is taken
 * to have made the first process that is otherwise unaccounted for.
 */
static int link_steps(struct strace_log *log)
{
	struct strace_pids last = {0}, known = {0};
	u32 i, j, open = 0;
	int ret = 0;

	for (i = 0; i < log->nr_steps && !ret; i++) {
		struct strace_step *s = &log->steps[i];
		struct strace_event *e = &log->events[s->event];
		u32 *prev = strace_pids_get(&last, s->pid);

		if (prev)
			log->steps[*prev].next = i;
		ret = strace_pids_put(&last, s->pid, i);
		if (!ret && !strace_pids_get(&known, s->pid)) {
			for (j = open; j < s->event; j++) {
				struct strace_event *f = &log->events[j];

				if (f->ended || f->l.result == STRACE_VALUE ||
				    !strace_makes_task(&f->l))
					continue;
				f->l.result = STRACE_VALUE;
				f->l.value = (u64)s->pid;
				open = j + 1;
				break;
			}
			if (j >= s->event) {
				if (!st_grow((void **)&log->roots, &log->max_roots, log->nr_roots,
					     sizeof(*log->roots)))
					ret = -ENOMEM;
				else
					log->roots[log->nr_roots++] = s->pid;
			}
			if (!ret)
				ret = strace_pids_put(&known, s->pid, 1);
		}
		if (!ret && (s->phase & STRACE_START) && strace_makes_task(&e->l) &&
		    e->l.result == STRACE_VALUE)
			ret = strace_pids_put(&known, (s64)e->l.value, 1);
	}
	strace_pids_free(&last);
	strace_pids_free(&known);
	return ret;
}

int strace_log_read(struct strace_log *log, const char *text, size_t len, struct prog_error *err)
{
	struct reader rd = {.log = log, .p = text, .end = text + len, .in_head = true, .err = err};
	const char *p;
	size_t n;
	int ret = 0;

	memset(log, 0, sizeof(*log));
	log->head.p = text;
	while (!ret && take_line(&rd, &p, &n)) {
		ret = mend(&rd, &p, &n);
		/* Its last number may be cut, which nothing else would show. */
		if (!ret && rd.cut)
			ret = fail(&rd, rd.line, "the log is cut off in this line");
		if (!ret)
			ret = one_line(&rd, p, n, rd.line);
		for (; !ret && rd.nr_deferred; rd.announced = true)
			ret = set_alive(&rd, rd.deferred[--rd.nr_deferred], 1);
	}
	strace_pids_free(&rd.pending);
	strace_pids_free(&rd.alive);
	if (!ret && !log->nr_steps) {
		err->line = 0;
		snprintf(err->what, sizeof(err->what), "no call is recorded in it");
		ret = -EINVAL;
	}
	return ret ? ret : link_steps(log);
}

void strace_log_free(struct strace_log *log)
{
	u32 i;

	for (i = 0; i < log->nr_joined; i++)
		free(log->joined[i]);
	free(log->joined);
	free(log->events);
	free(log->steps);
	free(log->roots);
	memset(log, 0, sizeof(*log));
}
