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
	"       faultline sites --merge [--coverage FILE] [--json] COVERAGE...\n"
	"Sweeps the programs and shows each fault site: requests met and failed, and in how many\n"
	"contexts (operation and the two sites before) they were met, failed, and failed with a\n"
	"retry that reached the result of the run without a fault. Without FILE and --coverage it "
	"is\n"
	"the corpus of the current directory (corpus/seeds, real, fuzz, regress).\n"
	"\n"
	"  --coverage FILE     add to the counts of FILE, or show them when there is no program;\n"
	"                      saved at least every second, so that little is lost with the "
	"process,\n"
	"                      and shared by several that run at the same time\n"
	"  --merge             the files are such files, of other machines: show their sum, and "
	"add\n"
	"                      it to --coverage\n"
	"  --contexts          also the contexts that were met and not failed, or not retried\n"
	"  --machine K=V,...   options of the machine, over those of the programs\n"
	"  --allocator NAME    malloc (default), arena, buddy, guard, or a file: ./mine.so\n"
	"  --json              JSON lines\n"
	"\n"
	"Exit: 0, 1 a program crashed, 2 usage or bad input, 3 environment.\n";

static void sites_result(struct session *ses, const char *path, const struct file_result *res)
{
	(void)ses;
	(void)path;
	(void)res;
}

/* ---- the table ------------------------------------------------------------------------------ */

struct site_row {
	u64 met, failed, verified;
	u32 contexts, contexts_failed, contexts_verified;
};

struct sites {
	const char *coverage;
	bool merge, contexts;
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
	json_u64(&j, "contexts_verified", row->contexts_verified);
	json_u64(&j, "verified", row->verified);
	if (why)
		json_str(&j, "explained", why);
	else
		json_null(&j, "explained");
	json_end(&j);
}

/* What there is to say of a context that is not failed, or not retried; *why: as an explanation. */
static const char *context_state(const struct cover_entry *e, const char **why)
{
	*why = NULL;
	if (!e->failed && e->clean)
		return "not failed";
	if (!e->failed) {
		*why = "met only after a fault had left a state that no run without one is in";
		return "not failed";
	}
	if (e->over)
		*why = "the operation is over when it fails, and cannot be tried again";
	else if (!e->clean)
		*why = "met only after a fault had left a state that no run without one is in";
	return "failed, no retry reached the golden result";
}

static void print_table(const struct session *ses, const struct cover *cover)
{
	struct site_row rows[FL_NR_SITES] = {0};
	u32 reached = 0, failed = 0, explained = 0;
	u32 contexts = 0, contexts_failed = 0, contexts_verified = 0, contexts_explained = 0;
	struct json j;

	for (u32 i = 0; i < COVER_MAX; i++) {
		const struct cover_entry *e = &cover->entries[i];
		struct site_row *row = &rows[e->key.site];
		const char *why;

		if (!e->used)
			continue;
		row->met += e->met;
		row->failed += e->failed;
		row->contexts++;
		row->contexts_failed += e->failed != 0;
		row->verified += e->verified;
		row->contexts_verified += e->verified != 0;
		if (!e->failed || !e->verified) {
			context_state(e, &why);
			contexts_explained += why != NULL;
		}
	}
	if (!ses->json)
		printf("%-26s %-5s %10s %10s %9s %9s %9s\n", "site", "class", "reached", "failed",
		       "contexts", "failed", "retried");
	for (u32 i = SITE_none + 1; i < FL_NR_SITES; i++) {
		const char *why = rows[i].failed ? NULL : declared_unreached((enum fl_site)i);

		reached += rows[i].met != 0;
		failed += rows[i].failed != 0;
		explained += why != NULL;
		contexts += rows[i].contexts;
		contexts_failed += rows[i].contexts_failed;
		contexts_verified += rows[i].contexts_verified;
		if (ses->json) {
			site_json(i, &rows[i], why);
			continue;
		}
		printf("%-26s %-5s %10" PRIu64 " %10" PRIu64 " %9" PRIu32 " %9" PRIu32 " %9" PRIu32
		       "%s%s\n",
		       fl_sites[i].name, fl_class_names[fl_sites[i].class], rows[i].met,
		       rows[i].failed, rows[i].contexts, rows[i].contexts_failed,
		       rows[i].contexts_verified, rows[i].failed ? "" : "  ",
		       rows[i].failed ? ""
		       : why	      ? why
				      : "NOT FAILED");
	}
	if (!ses->json) {
		printf("%d sites: %" PRIu32 " reached, %" PRIu32 " failed, %" PRIu32
		       " explained; %" PRIu32 " contexts: %" PRIu32 " failed, %" PRIu32
		       " retried, %" PRIu32 " of the others explained\n",
		       FL_NR_SITES - 1, reached, failed, explained, contexts, contexts_failed,
		       contexts_verified, contexts_explained);
		for (u32 i = 0; i < FL_NR_CLASSES; i++)
			if (fl_class_without_sites((enum fl_class)i))
				printf("class %s has no site: %s\n", fl_class_names[i],
				       fl_class_without_sites((enum fl_class)i));
		if (cover->lost)
			printf("%" PRIu32 " contexts did not fit\n", cover->lost);
		return;
	}
	json_begin(&j, stdout, "total");
	json_u64(&j, "sites", FL_NR_SITES - 1);
	json_u64(&j, "reached", reached);
	json_u64(&j, "failed", failed);
	json_u64(&j, "explained", explained);
	json_u64(&j, "contexts", contexts);
	json_u64(&j, "contexts_failed", contexts_failed);
	json_u64(&j, "contexts_verified", contexts_verified);
	json_u64(&j, "contexts_explained", contexts_explained);
	json_u64(&j, "errors", ses->errors);
	json_end(&j);
}

/* What is still to be shown of the contexts. */
static void print_contexts(const struct session *ses, const struct cover *cover)
{
	u32 nr;
	struct cover_entry *sorted = coverage_sorted(cover, &nr);

	for (u32 i = 0; i < nr; i++) {
		const struct cover_entry *e = &sorted[i];
		const char *state, *why;
		struct json j;

		if (e->failed && e->verified)
			continue;
		state = context_state(e, &why);
		if (!ses->json) {
			printf("%-26s in %s after %s, %s: %s%s%s\n", fl_sites[e->key.site].name,
			       op_table[e->key.op_kind].name, coverage_site(e->key.prev),
			       coverage_site(e->key.prev2), state, why ? ": " : " (UNEXPLAINED)",
			       why ? why : "");
			continue;
		}
		json_begin(&j, stdout, "context");
		json_str(&j, "site", fl_sites[e->key.site].name);
		json_str(&j, "op", op_table[e->key.op_kind].name);
		json_str(&j, "prev", coverage_site(e->key.prev));
		json_str(&j, "prev2", coverage_site(e->key.prev2));
		json_u64(&j, "reached", e->met);
		json_u64(&j, "failed", e->failed);
		json_u64(&j, "verified", e->verified);
		if (why)
			json_str(&j, "explained", why);
		else
			json_null(&j, "explained");
		json_end(&j);
	}
	free(sorted);
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

static int list_files(struct file_list *files, int argc, char **argv, const struct sites *opt)
{
	int err = 0;

	*files = (struct file_list){0};
	if (opt->merge)
		return optind < argc ? 0 : usage_error("sites", "--merge: COVERAGE is missing");
	if (optind < argc)
		err = files_expand(files, argv + optind, argc - optind);
	else if (!opt->coverage)
		err = corpus(files);
	if (err) {
		say("out of memory");
		return EXIT_ENV;
	}
	if (!files->nr && optind == argc && !opt->coverage)
		return usage_error("sites", "no FILE, and no corpus in this directory");
	return 0;
}

static int merge_files(struct cover *cover, int argc, char **argv)
{
	int status = 0;

	for (int i = optind; i < argc; i++)
		status = exit_worst(status, coverage_read(cover, argv[i]));
	return status;
}

/* What is to be shown: the sum of a file and of what this run has added to it. */
static int run_sites(struct session *ses, const struct sites *opt, const struct file_list *files,
		     int argc, char **argv)
{
	struct cover *cover = &ses->shared->cover;
	bool adds = opt->merge || files->nr;
	int status = 0;

	if (opt->coverage) {
		status = coverage_open(&ses->coverage, opt->coverage, adds);
		if (status)
			return status;
	}
	if (opt->merge)
		status = merge_files(cover, argc, argv);
	else
		status = session_run(ses, files);
	if (opt->coverage)
		status = exit_worst(status, coverage_save(ses->coverage, cover, true));
	if (opt->coverage)
		cover = coverage_sum(ses->coverage);
	/* JSON ends with the total */
	if (opt->contexts && ses->json)
		print_contexts(ses, cover);
	print_table(ses, cover);
	if (opt->contexts && !ses->json)
		print_contexts(ses, cover);
	return status;
}

static int sites_option(struct session *ses, int c, char **argv, void *arg)
{
	struct sites *opt = arg;

	(void)ses;
	switch (c) {
	case 'c':
		opt->coverage = optarg;
		return 0;
	case 'g':
		opt->merge = true;
		return 0;
	case 'x':
		opt->contexts = true;
		return 0;
	default:
		return option_error("sites", argv);
	}
}

int cmd_sites(int argc, char **argv)
{
	static const struct option options[] = {
		{"coverage", required_argument, NULL, 'c'},
		{"merge", no_argument, NULL, 'g'},
		{"contexts", no_argument, NULL, 'x'},
		{"machine", required_argument, NULL, 'm'},
		{"allocator", required_argument, NULL, 'a'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct sites opt = {0};
	const struct command cmd = {"sites", help, options, sites_option, &opt};
	struct file_list files;
	struct session ses;
	int status;

	if (!session_begin(&ses, &cmd, argc, argv, &status))
		return status;
	status = list_files(&files, argc, argv, &opt);
	if (status)
		return session_exit(&ses, status);
	ses.quiet = true;
	ses.job = sweep_job;
	ses.escalate = sweep_again;
	ses.result = sites_result;
	status = run_sites(&ses, &opt, &files, argc, argv);
	coverage_close(ses.coverage);
	files_free(&files);
	return session_exit(&ses, status);
}
