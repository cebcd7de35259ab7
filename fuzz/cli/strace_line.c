/* SPDX-License-Identifier: GPL-2.0-only */
/* One line of strace: prefix, call, result, and the arguments' small grammar. */
#include <stdio.h>
#include <string.h>

#include "strace.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
	       c == '?';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool starts(struct strace_text t, const char *s)
{
	size_t n = strlen(s);

	return t.len >= n && !memcmp(t.p, s, n);
}

static void advance(struct strace_text *t, size_t n)
{
	t->p += n;
	t->len -= n;
}

static void trim(struct strace_text *t)
{
	while (t->len && is_blank(t->p[0]))
		advance(t, 1);
	while (t->len && (is_blank(t->p[t->len - 1]) || t->p[t->len - 1] == '\r'))
		t->len--;
}

bool strace_is(struct strace_text text, const char *s)
{
	return text.len == strlen(s) && !memcmp(text.p, s, text.len);
}

/* Digits at the start of *t, taken off. */
static bool take_number(struct strace_text *t, s64 *out)
{
	u64 v = 0;
	size_t i;

	for (i = 0; i < t->len && i < 10 && is_digit(t->p[i]); i++)
		v = v * 10 + (u64)(t->p[i] - '0');
	if (!i || (i < t->len && is_digit(t->p[i])))
		return false;
	advance(t, i);
	*out = (s64)v;
	return true;
}

/*
 * Index after what starts at i: a string, a comment, a descriptor's path, or one character. Paths
 * hold no '>' of their own, strace escapes it. "1<<20" is not a path.
 */
static size_t skip_one(struct strace_text t, size_t i)
{
	const char *p = t.p;

	if (p[i] == '"') {
		for (i++; i < t.len && p[i] != '"'; i++)
			if (p[i] == '\\')
				i++;
		return min_u64(i + 1, t.len);
	}
	if (p[i] == '/' && i + 1 < t.len && p[i + 1] == '*') {
		for (i += 2; i + 1 < t.len && !(p[i] == '*' && p[i + 1] == '/'); i++)
			;
		return min_u64(i + 2, t.len);
	}
	if (p[i] == '<' && i && (is_digit(p[i - 1]) || p[i - 1] == 'D') && i + 1 < t.len &&
	    p[i + 1] != '<') {
		const char *end = memchr(p + i, '>', t.len - i);

		return end ? (size_t)(end - p) + 1 : t.len;
	}
	return i + 1;
}

static int depth_of(char c)
{
	if (c == '(' || c == '[' || c == '{')
		return 1;
	return c == ')' || c == ']' || c == '}' ? -1 : 0;
}

bool strace_arg(struct strace_text args, unsigned int n, struct strace_text *out)
{
	size_t i, from = 0;
	int depth = 0;

	for (i = 0; i < args.len; i = skip_one(args, i)) {
		depth += depth_of(args.p[i]);
		if (args.p[i] != ',' || depth)
			continue;
		if (!n--)
			break;
		from = i + 1;
	}
	if (i >= args.len && n)
		return false;
	out->p = args.p + from;
	out->len = min_u64(i, args.len) - from;
	trim(out);
	return out->len > 0;
}

bool strace_number(struct strace_text text, u64 *out)
{
	bool hex = starts(text, "0x");
	u64 v = 0;
	size_t i;

	if (starts(text, "NULL")) {
		*out = 0;
		return true;
	}
	for (i = hex ? 2 : 0; i < text.len; i++) {
		char c = text.p[i];
		unsigned int d;

		if (is_digit(c))
			d = (unsigned int)(c - '0');
		else if (hex && c >= 'a' && c <= 'f')
			d = (unsigned int)(c - 'a') + 10;
		else
			break;
		if (v > (UINT64_MAX - d) / (hex ? 16 : 10))
			return false;
		v = v * (hex ? 16 : 10) + d;
	}
	if (i == (hex ? 2u : 0u))
		return false;
	*out = v;
	return true;
}

bool strace_fd_path(struct strace_text text, struct strace_text *out)
{
	const char *lt = memchr(text.p, '<', text.len), *gt;

	if (!lt)
		return false;
	gt = memchr(lt, '>', text.len - (size_t)(lt - text.p));
	if (!gt || gt == lt + 1)
		return false;
	out->p = lt + 1;
	out->len = (size_t)(gt - lt) - 1;
	return true;
}

bool strace_next_flag(struct strace_text *flags, struct strace_text *word)
{
	size_t i;

	while (flags->len) {
		if (is_blank(flags->p[0]) || flags->p[0] == '|')
			advance(flags, 1);
		else if (starts(*flags, "/*"))
			advance(flags, skip_one(*flags, 0));
		else
			break;
	}
	for (i = 0; i < flags->len && flags->p[i] != '|' && !is_blank(flags->p[i]); i++)
		;
	word->p = flags->p;
	word->len = i;
	advance(flags, i);
	return i > 0;
}

bool strace_field(struct strace_text args, const char *key, struct strace_text *out)
{
	size_t i, n = strlen(key);

	for (i = 0; i < args.len; i = skip_one(args, i)) {
		struct strace_text rest = {args.p + i, args.len - i};

		if ((i && is_name(args.p[i - 1])) || !starts(rest, key) || n >= rest.len ||
		    rest.p[n] != '=')
			continue;
		advance(&rest, n + 1);
		for (i = 0; i < rest.len && rest.p[i] != ',' && !(depth_of(rest.p[i]) < 0);
		     i = skip_one(rest, i))
			;
		rest.len = min_u64(i, rest.len);
		trim(&rest);
		*out = rest;
		return true;
	}
	return false;
}

static int bad(char *why, size_t why_len, const char *what)
{
	snprintf(why, why_len, "%s", what);
	return -EINVAL;
}

/* " = 0x7f00", " = -1 ENOENT (No such file or directory)", " = ?" */
static int parse_result(struct strace_text t, struct strace_line *out, char *why, size_t why_len)
{
	size_t i;

	trim(&t);
	if (!t.len || t.p[0] != '=')
		return bad(why, why_len, "the call has no result: the line is cut off");
	advance(&t, 1);
	trim(&t);
	if (t.len && t.p[0] == '?') {
		out->result = STRACE_NO_RESULT;
		return 0;
	}
	if (t.len && t.p[0] == '-') {
		out->result = STRACE_ERROR;
		for (i = 1; i < t.len && is_digit(t.p[i]); i++)
			;
		if (i == 1)
			return bad(why, why_len, "the result of the call is not a number");
		advance(&t, i);
		trim(&t);
		for (i = 0; i < t.len && is_name(t.p[i]); i++)
			;
		out->errname.p = t.p;
		out->errname.len = i;
		return 0;
	}
	if (!strace_number(t, &out->value))
		return bad(why, why_len, "the result of the call is not a number");
	out->result = STRACE_VALUE;
	return 0;
}

/* A line that ends like this has its end elsewhere. */
static bool cut_unfinished(struct strace_text *args, s64 *other)
{
	static const char *const tails[] = {"<unfinished ...>", "<detached ...>"};
	static const char changed[] = "<pid changed to ";
	struct strace_text t = *args;
	unsigned int i;
	size_t at;

	trim(&t);
	for (i = 0; i < ARRAY_SIZE(tails); i++) {
		size_t n = strlen(tails[i]);

		if (t.len >= n && !memcmp(t.p + t.len - n, tails[i], n)) {
			args->len = (size_t)(t.p - args->p) + t.len - n;
			return true;
		}
	}
	if (t.len < 6 || memcmp(t.p + t.len - 5, " ...>", 5))
		return false;
	for (at = t.len - 5; at && t.p[at] != '<'; at--)
		;
	t.p += at;
	t.len -= at;
	if (!starts(t, changed))
		return false;
	args->len = (size_t)(t.p - args->p);
	advance(&t, strlen(changed));
	return take_number(&t, other);
}

static int parse_call(struct strace_text t, struct strace_line *out, char *why, size_t why_len)
{
	int depth = 1;
	size_t i;

	for (i = 0; i < t.len && is_name(t.p[i]); i++)
		;
	if (!i || i == t.len || t.p[i] != '(')
		return bad(why, why_len, "not a line that strace -f -y writes");
	out->name.p = t.p;
	out->name.len = i;
	advance(&t, i + 1);
	out->args = t;
	if (cut_unfinished(&out->args, &out->other)) {
		out->what = STRACE_UNFINISHED;
		return 0;
	}
	out->what = STRACE_CALL;
	for (i = 0; i < t.len; i = skip_one(t, i)) {
		depth += depth_of(t.p[i]);
		if (!depth)
			break;
	}
	if (i >= t.len)
		return bad(why, why_len, "the call does not end: the line is cut off");
	out->args.len = i;
	cut_unfinished(&out->args, &out->other);
	trim(&out->args);
	advance(&t, i + 1);
	return parse_result(t, out, why, why_len);
}

static int parse_end(struct strace_text t, struct strace_line *out, char *why, size_t why_len)
{
	static const char superseded[] = "+++ superseded by execve in pid ";

	if (starts(t, "+++ exited with ")) {
		out->what = STRACE_EXITED;
		return 0;
	}
	if (starts(t, "+++ killed by ")) {
		out->what = STRACE_KILLED;
		return 0;
	}
	if (starts(t, superseded)) {
		out->what = STRACE_SUPERSEDED;
		advance(&t, strlen(superseded));
		if (take_number(&t, &out->other))
			return 0;
	}
	return bad(why, why_len, "unknown way for a process to end");
}

static int parse_message(struct strace_text t, struct strace_line *out)
{
	static const char process[] = "Process ";

	out->what = STRACE_NOTE;
	if (starts(t, "strace: "))
		advance(&t, strlen("strace: "));
	if (!starts(t, process))
		return 0;
	advance(&t, strlen(process));
	if (take_number(&t, &out->other) && starts(t, " attached"))
		out->what = STRACE_ATTACHED;
	return 0;
}

static int parse_resumed(struct strace_text t, struct strace_line *out, char *why, size_t why_len)
{
	static const char resumed[] = " resumed>";
	size_t i;

	advance(&t, strlen("<... "));
	for (i = 0; i < t.len && is_name(t.p[i]); i++)
		;
	out->name.p = t.p;
	out->name.len = i;
	advance(&t, i);
	if (!i || !starts(t, resumed))
		return bad(why, why_len, "not a line that strace -f -y writes");
	advance(&t, strlen(resumed));
	out->args = t;
	out->what = STRACE_RESUMED;
	return 0;
}

/* "[pid 12] " or "12 ", either with the program's name in angle brackets. */
static bool take_prefix(struct strace_text *t, s64 *pid)
{
	struct strace_text in = *t;
	bool bracket = starts(in, "[pid");
	const char *end;

	if (bracket) {
		advance(&in, strlen("[pid"));
		trim(&in);
	}
	if (!take_number(&in, pid))
		return false;
	if (in.len && in.p[0] == '<') {
		end = memchr(in.p, '>', in.len);
		if (!end)
			return false;
		advance(&in, (size_t)(end - in.p) + 1);
	}
	if (bracket) {
		if (!in.len || in.p[0] != ']')
			return false;
		advance(&in, 1);
	}
	if (in.len && !is_blank(in.p[0]))
		return false;
	*t = in;
	return true;
}

/* Of -t and -r: a word of digits with ':' or '.' in it. */
static void skip_time(struct strace_text *t)
{
	bool mark = false;
	size_t i;

	trim(t);
	for (i = 0; i < t->len && (is_digit(t->p[i]) || t->p[i] == ':' || t->p[i] == '.'); i++)
		mark |= !is_digit(t->p[i]);
	if (mark && i < t->len && is_blank(t->p[i]))
		advance(t, i);
	trim(t);
}

int strace_parse_line(const char *p, size_t len, struct strace_line *out, char *why, size_t why_len)
{
	struct strace_text t = {p, len};

	memset(out, 0, sizeof(*out));
	out->pid = STRACE_NO_PID;
	trim(&t);
	if (t.len && t.p[0] == '#') {
		out->what = STRACE_COMMENT;
		return 0;
	}
	if (!take_prefix(&t, &out->pid))
		out->pid = STRACE_NO_PID;
	skip_time(&t);
	if (!t.len) {
		out->what = STRACE_NOTE;
		return out->pid == STRACE_NO_PID ? 0 : bad(why, why_len, "a pid and nothing else");
	}
	if (starts(t, "--- ")) {
		out->what = STRACE_SIGNAL;
		return 0;
	}
	if (starts(t, "+++ "))
		return parse_end(t, out, why, why_len);
	if (starts(t, "<... "))
		return parse_resumed(t, out, why, why_len);
	if (starts(t, "strace: ") || starts(t, "Process ") || starts(t, "[ Process PID="))
		return parse_message(t, out);
	return parse_call(t, out, why, why_len);
}
