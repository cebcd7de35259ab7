/* SPDX-License-Identifier: GPL-2.0-only */
#include "session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* False when it was there before. */
static bool new_bucket(struct session *ses, const char *bucket)
{
	for (size_t i = 0; i < ses->nr_buckets; i++)
		if (!strcmp(ses->buckets[i].s, bucket))
			return false;
	if (ses->nr_buckets == ses->max_buckets) {
		size_t max = ses->max_buckets ? 2 * ses->max_buckets : 64;
		struct bucket_name *b = realloc(ses->buckets, max * sizeof(*b));

		if (!b)
			return true;
		ses->buckets = b;
		ses->max_buckets = max;
	}
	snprintf(ses->buckets[ses->nr_buckets++].s, sizeof(ses->buckets->s), "%s", bucket);
	return true;
}

static void json_faults(struct json *j, const struct finding *f)
{
	u32 nr = f->nr_faults < FI_MAX_FAULTS ? f->nr_faults : FI_MAX_FAULTS;

	json_key(j, "faults");
	fputc('[', j->out);
	for (u32 i = 0; i < nr; i++) {
		const struct fi_point *p = &f->faults[i];
		struct json o = {.out = j->out};

		fputs(i ? ",{" : "{", j->out);
		json_str(&o, "class", fl_class_names[fl_sites[p->site].class]);
		json_str(&o, "site", fl_sites[p->site].name);
		json_u64(&o, "op", p->op);
		json_u64(&o, "ordinal", p->ordinal);
		fputc('}', j->out);
	}
	fputc(']', j->out);
}

static void finding_json(struct session *ses, const char *path, const struct finding_record *rec,
			 const char *bucket)
{
	const struct finding *f = &rec->f;
	struct json j;

	json_begin(&j, stdout, "finding");
	json_str(&j, "oracle", oracle_names[f->oracle]);
	json_str(&j, "what", f->what);
	if (f->op == UINT32_MAX)
		json_null(&j, "op");
	else
		json_u64(&j, "op", f->op);
	json_str(&j, "name", f->name);
	json_str(&j, "text", rec->text);
	json_str(&j, "plan", f->plan);
	json_faults(&j, f);
	json_str(&j, "bucket", bucket);
	json_str(&j, "class", f->class_key);
	json_str(&j, "func", f->func[0] ? f->func : "-");
	json_str(&j, "expected", f->expected);
	json_str(&j, "actual", f->actual);
	json_str(&j, "file", path);
	json_str(&j, "build", FAULTLINE_BUILD);
	json_str(&j, "allocator", ses->alloc->name);
	if (ses->machine)
		json_str(&j, "machine", ses->machine);
	json_bool(&j, "confirmed", f->confirmed);
	json_end(&j);
}

/* As a word of a shell command. */
static void print_word(const char *word)
{
	if (word[0] && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_./+-,:=@") == strlen(word)) {
		fputs(word, stdout);
		return;
	}
	putchar('\'');
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*word);
	}
	putchar('\'');
}

static void print_command(const struct session *ses, const char *path, const struct finding *f)
{
	fputs("  reproduce faultline run ", stdout);
	print_word(path);
	if (f->plan[0]) {
		fputs(" --fault ", stdout);
		print_word(f->plan);
	}
	if (ses->machine) {
		fputs(" --machine ", stdout);
		print_word(ses->machine);
	}
	if (strcmp(ses->alloc->name, "malloc"))
		printf(" --allocator %s", ses->alloc->name);
	putchar('\n');
}

static void print_field(const char *name, const char *text)
{
	if (text[0])
		printf("  %-9s %s\n", name, text);
}

void report_finding(struct session *ses, const char *path, const struct finding_record *rec)
{
	char line[640], bucket[13];
	bool new;

	finding_bucket(&rec->f, bucket);
	new = new_bucket(ses, bucket);
	ses->nr_reported++;
	if (ses->json) {
		finding_json(ses, path, rec, bucket);
		return;
	}
	finding_line(&rec->f, line, sizeof(line));
	puts(line);
	if (!new) {
		printf("  file      %s (this bucket was shown above)\n", path);
		return;
	}
	print_field("expected", rec->f.expected);
	print_field("actual", rec->f.actual);
	print_field("file", path);
	fputs(rec->context, stdout);
	if (!rec->f.confirmed)
		puts("  note      not seen again when tried alone in a fresh machine");
	print_command(ses, path, &rec->f);
}
