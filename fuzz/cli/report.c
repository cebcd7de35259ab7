/* SPDX-License-Identifier: GPL-2.0-only */
#define _GNU_SOURCE
#include "session.h"

#include <errno.h>
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

/* What the row of the broken rule says, or NULL. */
static const char *meaning(const struct finding *f)
{
	char row[sizeof(f->class_key)];

	for (unsigned int i = 0; i < fl_nr_invariants; i++) {
		snprintf(row, sizeof(row), "%s %s", fl_invariants[i].id, fl_invariants[i].name);
		if (!strcmp(row, f->class_key))
			return fl_invariants[i].what;
	}
	for (unsigned int i = 0; i < fl_nr_census_rows; i++) {
		snprintf(row, sizeof(row), "%s %s", fl_census_rows[i].id, fl_census_rows[i].name);
		if (!strcmp(row, f->class_key))
			return fl_census_rows[i].what;
	}
	return NULL;
}

/* ---- the command that shows a finding again ------------------------------------------------- */

/* As a word of a shell command. */
static void put_word(FILE *out, const char *word)
{
	if (word[0] && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_./+-,:=@") == strlen(word)) {
		fputs(word, out);
		return;
	}
	fputc('\'', out);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	}
	fputc('\'', out);
}

static void put_option(FILE *out, const char *name, const char *value)
{
	fprintf(out, " %s ", name);
	put_word(out, value);
}

/* The options that make it the same run: what the user said, not what it came to. */
static void put_run(FILE *out, const struct session *ses)
{
	if (ses->no_marks)
		fputs(" --no-marks", out);
	if (ses->plan_text)
		put_option(out, "--fault", ses->plan_text);
	if (ses->against)
		put_option(out, "--against", ses->against->name);
	if (ses->check != CHECK_FULL)
		put_option(out, "--check", check_level_names[ses->check]);
	if (ses->max_ops)
		fprintf(out, " --max-ops %" PRIu32, ses->max_ops);
}

static void put_sweep(FILE *out, const struct session *ses)
{
	const char *before = " --class ";

	for (u32 i = 0; i < FL_NR_CLASSES && ses->classes; i++) {
		if (!(ses->classes >> i & 1))
			continue;
		fprintf(out, "%s%s", before, fl_class_names[i]);
		before = ",";
	}
	if (ses->pairs)
		fputs(" --pairs", out);
	if (ses->single)
		fputs(" --single", out);
	if (ses->like)
		fprintf(out, " --like %" PRIu32, ses->like == UINT32_MAX ? 0 : ses->like);
	before = " --mode ";
	for (u32 i = 0; i < SWEEP_NR_MODES && ses->modes; i++) {
		if (!(ses->modes >> i & 1))
			continue;
		fprintf(out, "%s%s", before, sweep_mode_names[i]);
		before = ",";
	}
}

static void put_command(FILE *out, const struct session *ses, const char *path,
			const struct finding_record *rec)
{
	bool sweep = !strcmp(ses->command, "sweep"), again = sweep && rec->f.by_sweep;

	put_word(out, program_invocation_name);
	fprintf(out, " %s ", again ? "sweep" : "run");
	if (path[0] == '-' && path[1])
		fputs("./", out);
	put_word(out, path);
	if (again) {
		put_sweep(out, ses);
	} else if (sweep) {
		if (rec->marks)
			fputs(" --no-marks", out);
		if (rec->f.plan[0])
			put_option(out, "--fault", rec->f.plan);
	} else {
		put_run(out, ses);
	}
	if (ses->machine)
		put_option(out, "--machine", ses->machine);
	if (ses->alloc_name)
		put_option(out, "--allocator", ses->alloc_name);
}

static void json_command(struct json *j, const struct session *ses, const char *path,
			 const struct finding_record *rec)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	put_command(out, ses, path, rec);
	if (!fclose(out))
		json_str(j, "reproduce", text);
	free(text);
}

static void finding_json(struct session *ses, const char *path, const struct finding_record *rec,
			 const char *bucket)
{
	const struct finding *f = &rec->f;
	struct json j;

	json_begin(&j, stdout, "finding");
	json_str(&j, "oracle", oracle_names[f->oracle]);
	json_str(&j, "what", f->what);
	if (meaning(f))
		json_str(&j, "means", meaning(f));
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
	json_str(&j, "allocator", ses->shared->alloc ? ses->shared->alloc->name : ses->alloc->name);
	if (ses->machine)
		json_str(&j, "machine", ses->machine);
	json_command(&j, ses, path, rec);
	json_bool(&j, "confirmed", f->confirmed);
	json_end(&j);
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
	if (meaning(&rec->f))
		print_field("means", meaning(&rec->f));
	print_field("expected", rec->f.expected);
	print_field("actual", rec->f.actual);
	print_field("file", path);
	fputs(rec->context, stdout);
	if (!rec->f.confirmed)
		puts("  note      not seen again when tried alone in a fresh machine");
	fputs("  reproduce ", stdout);
	put_command(stdout, ses, path, rec);
	putchar('\n');
}

/* ---- the reference model -------------------------------------------------------------------- */

void report_model(const struct session *ses, const struct model_stats *s)
{
	if (ses->no_model)
		puts("Model: off");
	else
		model_stats_print(s, stdout);
}

void report_model_json(struct json *j, const struct model_stats *s)
{
	json_key(j, "model");
	fprintf(j->out,
		"{\"agreed\":%" PRIu64 ",\"followed\":%" PRIu64 ",\"disagreed\":%" PRIu64
		",\"unchanged\":%" PRIu64 ",\"resynced\":%" PRIu64 ",\"off\":%" PRIu64 "}",
		s->agreed, s->followed, s->disagreed, s->unchanged, s->resynced, s->off);
}
