/* SPDX-License-Identifier: GPL-2.0-only */
#include "plan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What is left of the text, and where a complaint goes. */
struct scan {
	const char *p, *end;
	char *why;
	size_t why_len;
};

#define QUOTE_MAX 40

/* "message 'offending text'", the text cut and freed of what a terminal would act on. */
static int complain(struct scan *s, const char *message, const char *text, const char *end)
{
	char quote[QUOTE_MAX + 1];
	size_t n = 0;

	for (; text < end && n < QUOTE_MAX; text++)
		quote[n++] = *text >= ' ' && *text <= '~' ? *text : '?';
	quote[n] = '\0';
	if (s->why_len)
		snprintf(s->why, s->why_len, "%s '%s'", message, quote);
	return -EINVAL;
}

static bool take(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n))
		return false;
	s->p += n;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int take_number(struct scan *s, const char *message, u64 *val)
{
	const char *start = s->p;
	u64 v = 0;

	for (; s->p < s->end && is_digit(*s->p); s->p++) {
		u64 digit = (u64)(*s->p - '0');

		if (v > (UINT64_MAX - digit) / 10)
			return complain(s, "number too large in", start, s->end);
		v = v * 10 + digit;
	}
	if (s->p == start)
		return complain(s, message, start, s->end);
	*val = v;
	return 0;
}

static const char *take_word(struct scan *s, size_t *len)
{
	const char *start = s->p;

	while (s->p < s->end && is_word(*s->p))
		s->p++;
	*len = (size_t)(s->p - start);
	return start;
}

/* A decimal fraction of at most six places, in millionths. */
static int take_fraction(struct scan *s, u32 *ppm)
{
	const char *start = s->p;
	u32 unit = FI_PPM_ONE;
	u64 whole = 0, v;
	int err;

	err = take_number(s, "expected a probability at", &whole);
	if (err)
		return err;
	if (whole > 1)
		return complain(s, "probability above 1 in", start, s->end);
	v = whole * FI_PPM_ONE;
	if (take(s, ".")) {
		const char *places = s->p;

		for (; s->p < s->end && is_digit(*s->p); s->p++) {
			unit /= 10;
			if (!unit)
				return complain(s, "more than six decimal places in", start,
						s->end);
			v += (u64)(*s->p - '0') * unit;
		}
		if (s->p == places)
			return complain(s, "expected digits after the point in", start, s->end);
	}
	if (v > FI_PPM_ONE)
		return complain(s, "probability above 1 in", start, s->end);
	*ppm = (u32)v;
	return 0;
}

static int take_which(struct scan *s, struct fi_item *item)
{
	const char *start = s->p;
	int err;

	if (take(s, "*")) {
		item->which = FI_RANGE;
		item->from = 1;
		item->to = UINT64_MAX;
		return 0;
	}
	if (take(s, "b=")) {
		item->which = FI_BUDGET;
		return take_number(s, "expected a count at", &item->budget);
	}
	if (take(s, "p=")) {
		item->which = FI_PROB;
		err = take_fraction(s, &item->ppm);
		if (err)
			return err;
		if (!take(s, "/"))
			return complain(s, "expected /SEED after the probability in", start,
					s->end);
		return take_number(s, "expected a seed at", &item->seed);
	}
	item->which = FI_RANGE;
	err = take_number(s, "expected N, N-M, N+, *, b=COUNT or p=X/SEED at", &item->from);
	if (err)
		return err;
	item->to = item->from;
	if (take(s, "+")) {
		item->to = UINT64_MAX;
	} else if (take(s, "-")) {
		err = take_number(s, "expected the end of the range at", &item->to);
		if (err)
			return err;
	}
	if (!item->from)
		return complain(s, "requests count from 1:", start, s->end);
	if (item->to < item->from)
		return complain(s, "empty range", start, s->end);
	return 0;
}

static int take_item(struct scan *s, bool op_allowed, struct fi_item *item)
{
	const char *start = s->p;
	const char *word;
	size_t len;
	int err;

	memset(item, 0, sizeof(*item));
	item->op = FI_OP_ANY;
	if (take(s, "op=")) {
		u64 op;

		if (!op_allowed)
			return complain(s, "op= has no place in a mark:", start, s->end);
		err = take_number(s, "expected the number of an operation at", &op);
		if (err)
			return err;
		if (op >= FI_OP_ANY)
			return complain(s, "no such operation:", start, s->end);
		item->op = (u32)op;
		if (!take(s, "."))
			return complain(s, "expected '.' after the operation in", start, s->end);
	}

	word = take_word(s, &len);
	if (!len)
		return complain(s, "expected a class at", word, s->end);
	if (len == strlen("any") && !memcmp(word, "any", len)) {
		item->class = FI_CLASS_ANY;
	} else {
		item->class = (u8)fl_class_find(word, len);
		if (item->class == FL_NR_CLASSES)
			return complain(s, "unknown class", word, word + len);
	}
	if (take(s, "@")) {
		word = take_word(s, &len);
		item->site = (u16)fl_site_find(word, len);
		if (item->site == SITE_none)
			return complain(s, "unknown site", word, len ? word + len : s->end);
		if (item->class != FI_CLASS_ANY && fl_sites[item->site].class != item->class)
			return complain(s, "the site is of another class in", start, s->p);
	}
	if (take(s, "/")) {
		if (!take(s, "nowait"))
			return complain(s, "expected 'nowait' at", s->p, s->end);
		item->nowait = true;
	}
	if (!take(s, ":"))
		return complain(s, "expected ':' at", s->p, s->end);
	return take_which(s, item);
}

int fi_plan_parse(const char *text, size_t len, struct fi_plan *plan, char *why, size_t why_len)
{
	struct scan s = {.p = text, .end = text + len, .why = why, .why_len = why_len};
	int err;

	plan->nr = 0;
	do {
		if (plan->nr == FI_MAX_ITEMS)
			return complain(&s, "too many items, from", s.p, s.end);
		err = take_item(&s, true, &plan->items[plan->nr]);
		if (err)
			return err;
		plan->nr++;
	} while (take(&s, ","));
	if (s.p != s.end)
		return complain(&s, "unexpected text", s.p, s.end);
	return 0;
}

int fi_item_parse(const char *text, size_t len, struct fi_item *item, char *why, size_t why_len)
{
	struct scan s = {.p = text, .end = text + len, .why = why, .why_len = why_len};
	int err = take_item(&s, false, item);

	if (err)
		return err;
	if (s.p != s.end)
		return complain(&s, "unexpected text", s.p, s.end);
	return 0;
}

/* snprintf at an offset that may already lie past the end; returns the new offset. */
static int put(char *buf, size_t len, int at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int put(char *buf, size_t len, int at, const char *fmt, ...)
{
	bool room = (size_t)at < len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(room ? buf + at : NULL, room ? len - (size_t)at : 0, fmt, ap);
	va_end(ap);
	return at + n;
}

static int put_which(const struct fi_item *item, char *buf, size_t len, int at)
{
	switch ((enum fi_which)item->which) {
	case FI_BUDGET:
		return put(buf, len, at, "b=%" PRIu64, item->budget);
	case FI_PROB: {
		u32 rest = item->ppm % FI_PPM_ONE;
		int places = 6;

		at = put(buf, len, at, "p=%u", item->ppm / FI_PPM_ONE);
		while (rest && rest % 10 == 0) {
			rest /= 10;
			places--;
		}
		if (rest)
			at = put(buf, len, at, ".%0*u", places, rest);
		return put(buf, len, at, "/%" PRIu64, item->seed);
	}
	case FI_RANGE:
		break;
	}
	if (item->from == 1 && item->to == UINT64_MAX)
		return put(buf, len, at, "*");
	at = put(buf, len, at, "%" PRIu64, item->from);
	if (item->to == UINT64_MAX)
		return put(buf, len, at, "+");
	if (item->to != item->from)
		at = put(buf, len, at, "-%" PRIu64, item->to);
	return at;
}

static int put_item(const struct fi_item *item, bool with_op, char *buf, size_t len, int at)
{
	if (with_op && item->op != FI_OP_ANY)
		at = put(buf, len, at, "op=%" PRIu32 ".", item->op);
	at = put(buf, len, at, "%s",
		 item->class == FI_CLASS_ANY ? "any" : fl_class_names[item->class]);
	if (item->site != SITE_none)
		at = put(buf, len, at, "@%s", fl_sites[item->site].name);
	if (item->nowait)
		at = put(buf, len, at, "/nowait");
	at = put(buf, len, at, ":");
	return put_which(item, buf, len, at);
}

int fi_item_print(const struct fi_item *item, bool with_op, char *buf, size_t len)
{
	return put_item(item, with_op, buf, len, 0);
}

int fi_plan_print(const struct fi_plan *plan, char *buf, size_t len)
{
	int at = 0;

	if (len)
		buf[0] = '\0';
	for (u32 i = 0; i < plan->nr; i++) {
		if (i)
			at = put(buf, len, at, ",");
		at = put_item(&plan->items[i], true, buf, len, at);
	}
	return at;
}
