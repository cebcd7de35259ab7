/* SPDX-License-Identifier: GPL-2.0-only */
/* Text that grows. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program_priv.h"

/* Room for extra more bytes and a NUL. */
static bool sb_room(struct strbuf *sb, size_t extra)
{
	size_t want = sb->len + extra + 1, cap = sb->cap ? sb->cap : 256;
	char *s;

	if (want <= sb->cap)
		return true;
	while (cap < want)
		cap *= 2;
	s = realloc(sb->s, cap);
	if (!s) {
		sb->failed = true;
		return false;
	}
	sb->s = s;
	sb->cap = cap;
	return true;
}

void sb_add(struct strbuf *sb, const char *text, size_t len)
{
	size_t fits = len;

	if (sb->failed)
		return;
	if (sb->fixed) {
		size_t room = sb->len + 1 < sb->cap ? sb->cap - sb->len - 1 : 0;

		fits = len < room ? len : room;
	} else if (!sb_room(sb, len)) {
		return;
	}
	if (fits)
		memcpy(sb->s + sb->len, text, fits);
	sb->len += len;
	if (sb->cap)
		sb->s[sb->len < sb->cap ? sb->len : sb->cap - 1] = '\0';
}

void sb_puts(struct strbuf *sb, const char *text)
{
	sb_add(sb, text, strlen(text));
}

void sb_printf(struct strbuf *sb, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0)
		sb_add(sb, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void sb_free(struct strbuf *sb)
{
	free(sb->s);
	*sb = (struct strbuf){0};
}

char *sb_take(struct strbuf *sb, size_t *len)
{
	char *s;

	sb_add(sb, "", 0);
	if (sb->failed) {
		sb_free(sb);
		return NULL;
	}
	s = sb->s;
	if (len)
		*len = sb->len;
	*sb = (struct strbuf){0};
	return s;
}
