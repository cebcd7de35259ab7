/* SPDX-License-Identifier: GPL-2.0-only */
/* The one JSON writer: objects of one line. */
#include "cli.h"

#include <inttypes.h>
#include <string.h>

/* Length of the UTF-8 sequence at s, 0 when it is none (RFC 3629: no surrogates, no overlong ones).
 */
static size_t utf8_len(const unsigned char *s, size_t left)
{
	size_t n = s[0] < 0x80	 ? 1
		   : s[0] < 0xc2 ? 0
		   : s[0] < 0xe0 ? 2
		   : s[0] < 0xf0 ? 3
		   : s[0] < 0xf5 ? 4
				 : 0;

	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

void json_text(FILE *out, const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n;

	fputc('"', out);
	for (size_t i = 0; i < len; i += n) {
		n = utf8_len(s + i, len - i);
		if (n == 0) {
			fprintf(out, "\\udc%02x", s[i]);
			n = 1;
		} else if (s[i] == '"' || s[i] == '\\') {
			fprintf(out, "\\%c", s[i]);
		} else if (s[i] == '\n') {
			fputs("\\n", out);
		} else if (s[i] == '\t') {
			fputs("\\t", out);
		} else if (s[i] < 0x20 || s[i] == 0x7f) {
			fprintf(out, "\\u%04x", s[i]);
		} else {
			fwrite(s + i, 1, n, out);
		}
	}
	fputc('"', out);
}

void json_key(struct json *j, const char *key)
{
	if (j->comma)
		fputc(',', j->out);
	j->comma = true;
	json_text(j->out, key, strlen(key));
	fputc(':', j->out);
}

void json_begin(struct json *j, FILE *out, const char *type)
{
	*j = (struct json){.out = out};
	fputc('{', out);
	json_u64(j, "v", 1);
	json_str(j, "type", type);
}

void json_end(struct json *j)
{
	fputs("}\n", j->out);
}

void json_str(struct json *j, const char *key, const char *text)
{
	json_key(j, key);
	json_text(j->out, text, strlen(text));
}

void json_u64(struct json *j, const char *key, u64 val)
{
	json_key(j, key);
	fprintf(j->out, "%" PRIu64, val);
}

void json_bool(struct json *j, const char *key, bool val)
{
	json_key(j, key);
	fputs(val ? "true" : "false", j->out);
}

void json_null(struct json *j, const char *key)
{
	json_key(j, key);
	fputs("null", j->out);
}
