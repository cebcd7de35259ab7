/* SPDX-License-Identifier: GPL-2.0-only */
/* faultline sites: the table of fault sites, with what programs reached and failed of it. */
#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"usage: faultline sites [OPTION...] [FILE...]\n"
	"Sweeps the programs and shows each fault site: requests met and failed, and in how many\n"
	"contexts (operation and the two sites before). Without FILE and --coverage it is the "
	"corpus\n"
	"of the current directory (corpus/seeds, real, fuzz, regress).\n"
	"\n"
	"  --coverage FILE     add to the counts of FILE, or show them when there is no program\n"
	"  --machine K=V,...   options of the machine, over those of the programs\n"
	"  --allocator NAME    malloc (default) or arena\n"
	"  --json              JSON lines\n"
	"\n"
	"Exit: 0, 1 a program crashed, 2 usage or bad input, 3 environment.\n";

static const char header[] = "# faultline coverage 1\n";

/* ---- the coverage file: SITE OPERATION SITE-BEFORE SITE-BEFORE-THAT MET FAILED -------------- */

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
static int take_line(struct cover *cover, const char *line)
{
	char site[64], op[32], prev[64], prev2[64], end;
	struct cover_entry *e;
	struct cover_key key;
	u64 met, failed;

	if (sscanf(line, "%63s %31s %63s %63s %" SCNu64 " %" SCNu64 " %c", site, op, prev, prev2,
		   &met, &failed, &end) != 6)
		return -1;
	if (!find_site(site, &key.site) || key.site == SITE_none || !find_op(op, &key.op_kind) ||
	    !find_site(prev, &key.prev) || !find_site(prev2, &key.prev2))
		return 0;
	e = cover_find(cover, &key);
	if (!e)
		return 0;
	e->met += met;
	e->failed += failed;
	return 1;
}

static int read_coverage(struct cover *cover, const char *path)
{
	FILE *in = fopen(path, "re");
	size_t size = 0, nr = 0, unknown = 0;
	char *line = NULL;
	int status = EXIT_CLEAN, ret;

	if (!in) {
		say("%s: %s", path, strerror(errno));
		return EXIT_USAGE;
	}
	while (!status && getline(&line, &size, in) >= 0) {
		if (nr++ == 0) {
			if (strcmp(line, header)) {
				say("%s:1: not a coverage file of version 1", path);
				status = EXIT_USAGE;
			}
			continue;
		}
		ret = take_line(cover, line);
		if (ret < 0) {
			say("%s:%zu: not SITE OP SITE SITE MET FAILED", path, nr);
			status = EXIT_USAGE;
		}
		unknown += ret == 0;
	}
	if (!status && ferror(in)) {
		say("%s: %s", path, strerror(errno));
		status = EXIT_ENV;
	} else if (!status && !nr) {
		say("%s:1: not a coverage file of version 1", path);
		status = EXIT_USAGE;
	}
	if (unknown)
		say("%s: %zu lines name sites or operations that are not there any more", path,
		    unknown);
	free(line);
	fclose(in);
	return status;
}

static const char *site_or_dash(u16 site)
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

static int write_coverage(const struct cover *cover, const char *path)
{
	struct cover_entry *sorted = malloc(sizeof(cover->entries));
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	u32 nr = 0;
	int status;

	if (!sorted || !out) {
		say("out of memory");
		if (out)
			fclose(out);
		free(text);
		free(sorted);
		return EXIT_ENV;
	}
	for (u32 i = 0; i < COVER_MAX; i++)
		if (cover->entries[i].used)
			sorted[nr++] = cover->entries[i];
	qsort(sorted, nr, sizeof(*sorted), by_key);
	fputs(header, out);
	for (u32 i = 0; i < nr; i++)
		fprintf(out, "%s %s %s %s %" PRIu64 " %" PRIu64 "\n",
			site_or_dash(sorted[i].key.site), op_table[sorted[i].key.op_kind].name,
			site_or_dash(sorted[i].key.prev), site_or_dash(sorted[i].key.prev2),
			sorted[i].met, sorted[i].failed);
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

/* ---- the work of a child: a sweep of which only the coverage is kept ------------------------ */

static void no_finding(void *priv, const struct finding *f)
{
	(void)priv;
	(void)f;
}

static void sites_job(struct worker *w, struct file_result *res)
{
	struct target *t = &w->ses->shared->t;
	struct subject subject = {&target_subject, t, &w->ses->shared->fi};
	const struct sweep_options opt = {0};
	struct target_options topt;
	struct machine_config cfg;
	struct sweep_stats stats;
	struct program p;
	int err;

	if (!worker_load(w, &p, &cfg, res))
		return;
	worker_target(w, &p, &cfg, &topt);
	topt.check = CHECK_OFF;
	err = target_init(t, &p, &topt, no_finding, NULL);
	if (!err) {
		err = sweep_run(&subject, &opt, no_finding, NULL, &stats);
		target_fini(t);
	}
	program_free(&p);
	if (err) {
		res->code = err == -EPROTO    ? EXIT_INJECTOR
			    : err == -EBADMSG ? EXIT_NONDET
					      : EXIT_ENV;
		snprintf(res->message, sizeof(res->message), "%s: the sweep failed: %s", w->path,
			 strerror(-err));
	}
}

static void sites_result(struct session *ses, const char *path, const struct file_result *res)
{
	(void)ses;
	(void)path;
	(void)res;
}

/* ---- the table ------------------------------------------------------------------------------ */

struct site_row {
	u64 met, failed;
	u32 contexts, contexts_failed;
};

static void site_json(u32 site, const struct site_row *row, const char *why)
{
	struct json j;

	json_begin(&j, stdout, "site");
	json_str(&j, "name", fl_sites[site].name);
	json_str(&j, "class", fl_class_names[fl_sites[site].class]);
	json_str(&j, "fact", fl_sites[site].fact);
	json_str(&j, "what", fl_sites[site].what);
	json_u64(&j, "reached", row->met);
	json_u64(&j, "failed", row->failed);
	json_u64(&j, "contexts", row->contexts);
	json_u64(&j, "contexts_failed", row->contexts_failed);
	if (why)
		json_str(&j, "explained", why);
	else
		json_null(&j, "explained");
	json_end(&j);
}

static void print_table(const struct session *ses, const struct cover *cover)
{
	struct site_row rows[FL_NR_SITES] = {0};
	u32 reached = 0, failed = 0, explained = 0;
	struct json j;

	for (u32 i = 0; i < COVER_MAX; i++) {
		const struct cover_entry *e = &cover->entries[i];
		struct site_row *row = &rows[e->key.site];

		if (!e->used)
			continue;
		row->met += e->met;
		row->failed += e->failed;
		row->contexts++;
		row->contexts_failed += e->failed != 0;
	}
	if (!ses->json)
		printf("%-26s %-5s %10s %10s %9s %9s\n", "site", "class", "reached", "failed",
		       "contexts", "failed");
	for (u32 i = SITE_none + 1; i < FL_NR_SITES; i++) {
		const char *why = rows[i].failed ? NULL : declared_unreached((enum fl_site)i);

		reached += rows[i].met != 0;
		failed += rows[i].failed != 0;
		explained += why != NULL;
		if (ses->json) {
			site_json(i, &rows[i], why);
			continue;
		}
		printf("%-26s %-5s %10" PRIu64 " %10" PRIu64 " %9" PRIu32 " %9" PRIu32 "%s%s\n",
		       fl_sites[i].name, fl_class_names[fl_sites[i].class], rows[i].met,
		       rows[i].failed, rows[i].contexts, rows[i].contexts_failed,
		       rows[i].failed ? "" : "  ",
		       rows[i].failed ? ""
		       : why	      ? why
				      : "NOT FAILED");
	}
	if (!ses->json) {
		printf("%d sites: %" PRIu32 " reached, %" PRIu32 " failed, %" PRIu32 " explained\n",
		       FL_NR_SITES - 1, reached, failed, explained);
		return;
	}
	json_begin(&j, stdout, "total");
	json_u64(&j, "sites", FL_NR_SITES - 1);
	json_u64(&j, "reached", reached);
	json_u64(&j, "failed", failed);
	json_u64(&j, "explained", explained);
	json_u64(&j, "errors", ses->errors);
	json_end(&j);
}

/* ---- the command ---------------------------------------------------------------------------- */

/* Those of the corpus's directories that have something. */
static int corpus(struct file_list *files)
{
	static char *const dirs[] = {"corpus/seeds", "corpus/real", "corpus/fuzz",
				     "corpus/regress"};
	struct file_list part;

	*files = (struct file_list){0};
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		char *dir = dirs[i], **paths;

		if (access(dir, F_OK))
			continue;
		if (files_expand_quietly(&part, dir))
			return -ENOMEM;
		paths = realloc(files->paths, (files->nr + part.nr + 1) * sizeof(*paths));
		if (!paths) {
			files_free(&part);
			return -ENOMEM;
		}
		files->paths = paths;
		if (part.nr)
			memcpy(paths + files->nr, part.paths, part.nr * sizeof(*paths));
		files->nr += part.nr;
		free(part.paths);
	}
	return 0;
}

static int list_files(struct file_list *files, int argc, char **argv, const char *coverage)
{
	int err = 0;

	*files = (struct file_list){0};
	if (optind < argc)
		err = files_expand(files, argv + optind, argc - optind);
	else if (!coverage)
		err = corpus(files);
	if (err) {
		say("out of memory");
		return EXIT_ENV;
	}
	if (!files->nr && optind == argc && !coverage)
		return usage_error("sites", "no FILE, and no corpus in this directory");
	return 0;
}

static int sites_option(struct session *ses, int c, char **argv, void *arg)
{
	const char **coverage = arg;

	(void)ses;
	if (c != 'c')
		return option_error("sites", argv);
	*coverage = optarg;
	return 0;
}

int cmd_sites(int argc, char **argv)
{
	static const struct option options[] = {
		{"coverage", required_argument, NULL, 'c'},
		{"machine", required_argument, NULL, 'm'},
		{"allocator", required_argument, NULL, 'a'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *coverage = NULL;
	const struct command cmd = {"sites", help, options, sites_option, &coverage};
	struct file_list files;
	struct session ses;
	int status;

	if (!session_begin(&ses, &cmd, argc, argv, &status))
		return status;
	status = list_files(&files, argc, argv, coverage);
	if (status)
		return session_exit(&ses, status);
	if (coverage && (!files.nr || !access(coverage, F_OK)))
		status = read_coverage(&ses.shared->cover, coverage);
	if (!status) {
		ses.job = sites_job;
		ses.result = sites_result;
		status = session_run(&ses, &files);
		print_table(&ses, &ses.shared->cover);
		if (coverage && files.nr && !session_interrupted())
			status = exit_worst(status, write_coverage(&ses.shared->cover, coverage));
	}
	files_free(&files);
	return session_exit(&ses, status);
}
