/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of an address space, page by page, as a sorted array of ranges. */
#include <stdlib.h>
#include <string.h>

#include "strace.h"

struct space *space_new(void)
{
	struct space *s = calloc(1, sizeof(*s));

	if (s)
		s->refs = 1;
	return s;
}

struct space *space_get(struct space *s)
{
	s->refs++;
	return s;
}

void space_put(struct space *s)
{
	if (!s || --s->refs)
		return;
	free(s->ranges);
	free(s);
}

struct space *space_copy(const struct space *s)
{
	struct space *n = space_new();

	if (!n)
		return NULL;
	n->brk = s->brk;
	if (!s->nr)
		return n;
	n->ranges = malloc(s->nr * sizeof(*n->ranges));
	if (!n->ranges) {
		space_put(n);
		return NULL;
	}
	memcpy(n->ranges, s->ranges, s->nr * sizeof(*n->ranges));
	n->nr = n->max = s->nr;
	return n;
}

/* First range that ends above addr. */
static u32 space_find(const struct space *s, u64 addr)
{
	u32 lo = 0, hi = s->nr;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (s->ranges[mid].end > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static bool alike(const struct space_range *a, const struct space_range *b)
{
	return a->end == b->start && a->kind == b->kind && a->attr == b->attr;
}

int space_set(struct space *s, u64 start, u64 end, enum space_kind kind, u8 attr)
{
	struct space_range put[3];
	u32 first, last, n = 0;

	if (start >= end)
		return 0;
	if (s->nr >= SPACE_MAX)
		return -E2BIG;
	/* A set replaces the ranges that it touches by at most three and adds at most two. */
	if (s->nr + 2 > s->max) {
		u32 max = s->max ? s->max * 2 : 16;
		struct space_range *r = realloc(s->ranges, max * sizeof(*r));

		if (!r)
			return -ENOMEM;
		s->ranges = r;
		s->max = max;
	}
	first = space_find(s, start);
	for (last = first; last < s->nr && s->ranges[last].start < end; last++)
		;
	if (first < last && s->ranges[first].start < start) {
		put[n] = s->ranges[first];
		put[n++].end = start;
	}
	put[n++] = (struct space_range){start, end, (u8)kind, attr};
	if (first < last && s->ranges[last - 1].end > end) {
		put[n] = s->ranges[last - 1];
		put[n++].start = end;
	}
	memmove(s->ranges + first + n, s->ranges + last, (s->nr - last) * sizeof(*put));
	memcpy(s->ranges + first, put, n * sizeof(*put));
	s->nr = s->nr - (last - first) + n;
	last = first + n;
	for (u32 i = first ? first - 1 : 0; i + 1 < s->nr && i <= last;) {
		if (!alike(&s->ranges[i], &s->ranges[i + 1])) {
			i++;
			continue;
		}
		s->ranges[i].end = s->ranges[i + 1].end;
		memmove(s->ranges + i + 1, s->ranges + i + 2, (s->nr - i - 2) * sizeof(*put));
		s->nr--;
	}
	return 0;
}

struct space_range space_at(const struct space *s, u64 start, u64 end)
{
	struct space_range r = {start, end, SPACE_UNKNOWN, 0};
	u32 i = space_find(s, start);

	if (i == s->nr || s->ranges[i].start >= end)
		return r;
	if (s->ranges[i].start > start) {
		r.end = s->ranges[i].start;
		return r;
	}
	r = s->ranges[i];
	r.start = start;
	r.end = min_u64(r.end, end);
	return r;
}

bool space_has(const struct space *s, u64 start, u64 end, enum space_kind kind)
{
	while (start < end) {
		struct space_range r = space_at(s, start, end);

		if (r.kind == kind)
			return true;
		start = r.end;
	}
	return false;
}
