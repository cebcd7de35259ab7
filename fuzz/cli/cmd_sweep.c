/* SPDX-License-Identifier: GPL-2.0-only */
/* faultline sweep: every fault point of every program, failed once. */
#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char help[] =
	"usage: faultline sweep [OPTION...] FILE...\n"
	"Fails every request that the programs make, one at a time, at a cost linear in requests "
	"plus\n"
	"operations. Each failed operation must give its declared error, leave the state alone, "
	"and\n"
	"succeed when it is tried again. Then, once per context: a request together with those "
	"that\n"
	"are only made when it is refused, with all that come after it, and whole classes; and "
	"the\n"
	"end of all tasks with nothing left to allocate. Marks of the programs are left out. FILE "
	"is a "
	"program, a\n"
	"directory (every *.prog below) or - for stdin.\n"
	"\n"
	"  --class LIST        page, slab, ctor, hook, acct, intr, refill or all (default)\n"
	"  --mode LIST         inplace, snapshot (with an allocator that has them), replay, fork\n"
	"                      (default: all, each for what the one before leaves; fork, a "
	"process\n"
	"                      per point, when the sweep has crashed)\n"
	"  --pairs             also two faults in one operation where the second is a request "
	"that\n"
	"                      is met without a fault, too; 4 of each chain of contexts; and, "
	"where\n"
	"                      a fault left another state, with all points of the rest of the "
	"program\n"
	"  --single            one fault at a time, no trials of several\n"
	"  --like N            of the requests of one operation with the same site and the same "
	"two\n"
	"                      before it fail N (default 512), 0: all; the rest is counted as "
	"pruned\n"
	"  --coverage FILE     add what was reached and failed to FILE, see `faultline sites`\n"
	"  --machine K=V,...   options of the machine, over those of the program\n"
	"  --allocator NAME    malloc (default), arena, buddy, guard, or a file: ./mine.so\n"
	"  --model on|off      compare each operation with the reference model (default on)\n"
	"  --no-isolate        in this process, without a child that may crash: for a debugger\n"
	"  --json              JSON lines\n"
	"\n"
	"Counts: met = delivered + masked; benign (has a declared fallback) is part of delivered,\n"
	"pruned of masked; executed = deliveries in place + ops.\n"
	"Exit: 0 clean, 1 finding, 2 usage or bad input, 3 environment, 4 not deterministic,\n"
	"5 the injector's self-test failed.\n";

struct caught {
	struct worker *w;
	const struct program *p;
	u64 nr;
};

static void on_finding(void *priv, const struct finding *f)
{
	struct caught *c = priv;

	if (c->w->ses->quiet)
		return;
	c->nr++;
	worker_finding(c->w, c->p, f);
}

static struct cover_entry *cover_of(const struct caught *c, const struct fi_point *p)
{
	const struct cover_key key = {p->site, p->op_kind, p->prev, p->prev2};

	return cover_find(&c->w->ses->shared->cover, &key);
}

static void on_verified(void *priv, const struct fi_point *p)
{
	struct cover_entry *e = cover_of(priv, p);

	if (e)
		e->verified++;
}

static void on_over(void *priv, const struct fi_point *p)
{
	struct cover_entry *e = cover_of(priv, p);

	if (e)
		e->over++;
}

static void on_masked(void *priv, const struct fi_point *point, const char *why)
{
	struct caught *c = priv;
	char text[256];
	int n;

	if (c->w->ses->json || c->w->ses->quiet)
		return;
	n = snprintf(text, sizeof(text), "masked   op %" PRIu32 " %s@%s #%" PRIu32 ": %s\n",
		     point->op, fl_class_names[fl_sites[point->site].class],
		     fl_sites[point->site].name, point->ordinal, why);
	if (n > 0 && (size_t)n < sizeof(text))
		worker_text(c->w, text, (size_t)n);
}

static void on_pruned(void *priv, const struct fi_point *like, u64 nr, u64 of)
{
	struct caught *c = priv;
	char text[256];
	int n;

	if (c->w->ses->json || c->w->ses->quiet)
		return;
	n = snprintf(text, sizeof(text),
		     "pruned   op %" PRIu32 " %s@%s: %" PRIu64 " of %" PRIu64
		     " after the same two requests\n",
		     like->op, fl_class_names[fl_sites[like->site].class],
		     fl_sites[like->site].name, nr, of);
	if (n > 0 && (size_t)n < sizeof(text))
		worker_text(c->w, text, (size_t)n);
}

static int on_isolate(void *priv, void (*fn)(void *arg), void *arg, struct finding *how)
{
	struct caught *c = priv;

	return worker_isolate(c->w, fn, arg, how);
}

static void sweep_status(int err, const char *path, struct file_result *res)
{
	switch (err) {
	case 0:
		return;
	case -EPROTO:
		res->code = EXIT_INJECTOR;
		snprintf(res->message, sizeof(res->message),
			 "%s: the injector's self-test failed, or its counts do not add up", path);
		return;
	case -EBADMSG:
		res->code = EXIT_NONDET;
		snprintf(res->message, sizeof(res->message),
			 "%s: not deterministic: two runs without a fault differ", path);
		return;
	case -EOPNOTSUPP:
		res->code = EXIT_USAGE;
		snprintf(res->message, sizeof(res->message),
			 "%s: this allocator keeps no snapshots; arena does", path);
		return;
	default:
		res->code = EXIT_ENV;
		snprintf(res->message, sizeof(res->message), "%s: %s", path, strerror(-err));
	}
}

static void take_stats(const struct sweep_stats *stats, struct file_result *res)
{
	res->ops = res->executed = stats->ops;
	res->met = stats->met;
	res->delivered = stats->delivered;
	res->sweep = *stats;
}

/* What a sweep that did not end had listed and not failed yet: the sums hold for it as well. */
static void sweep_salvage(const struct session *ses, struct file_result *res)
{
	struct sweep_stats *n = &res->sweep;

	take_stats(&ses->shared->sweep, res);
	res->ops = n->ops = ses->shared->nr_ops;
	n->masked = n->met - n->delivered;
	n->pairs_masked +=
		n->children - n->pairs - n->pairs_pruned - n->pairs_masked - n->pairs_left;
}

/* Of those asked for, the ones whose turn it is. */
static u32 sweep_modes(const struct session *ses)
{
	const u32 one_process = SWEEP_INPLACE | SWEEP_SNAPSHOT | SWEEP_REPLAY;

	if (ses->forked)
		return SWEEP_FORK;
	return ses->modes & one_process ? ses->modes & one_process : ses->modes;
}

/* What to do about a child that died: a sweep that survives it, or one that ends before it. */
bool sweep_again(struct session *ses, const struct file_result *res)
{
	if (!ses->shared->sweep.listed) {
		if (ses->prefix || res->cut_op == UINT32_MAX || !res->cut_op)
			return false;
		ses->max_ops = res->cut_op;
		ses->prefix = true;
		return true;
	}
	if (ses->forked || (ses->modes && !(ses->modes & SWEEP_FORK)))
		return false;
	ses->forked = true;
	return true;
}

void sweep_job(struct worker *w, struct file_result *res)
{
	struct target *t = &w->ses->shared->t;
	struct target_options topt;
	struct machine_config cfg;
	struct program p;
	struct caught caught = {w, &p, 0};
	struct subject subject = {&target_subject, t, &w->ses->shared->fi};
	const struct sweep_options opt = {
		.classes = w->ses->classes,
		.modes = sweep_modes(w->ses),
		.like = w->ses->like,
		.pairs = w->ses->pairs,
		.single = w->ses->single,
		.masked = on_masked,
		.pruned = on_pruned,
		.verified = on_verified,
		.over = on_over,
		.isolate = on_isolate,
		.priv = &caught,
	};
	struct sweep_stats *stats = &w->ses->shared->sweep;
	int err;

	if (!worker_load(w, &p, &cfg, res))
		return;
	worker_target(w, &p, &cfg, &topt);
	topt.check = CHECK_TOUCHED;
	if (target_init(t, &p, &topt, on_finding, &caught)) {
		sweep_status(-ENOMEM, w->path, res);
		goto out;
	}
	err = sweep_run(&subject, &opt, on_finding, &caught, stats);
	res->model = t->model;
	target_fini(t);
	take_stats(stats, res);
	res->findings = caught.nr;
	sweep_status(err, w->path, res);
out:
	program_free(&p);
}

static void counts_json(struct json *j, const struct file_result *res)
{
#define X(name) json_u64(j, #name, res->sweep.name);
	SWEEP_COUNTS(X)
#undef X
	json_u64(j, "findings", res->findings);
	report_model_json(j, &res->model);
}

static void print_cut(const struct file_result *res)
{
	char where[32] = "outside of its operations";

	if (res->cut_op != UINT32_MAX)
		snprintf(where, sizeof(where), "at operation %" PRIu32, res->cut_op);
	if (res->met)
		printf("         the sweep of this file ended %s; of its requests %" PRIu64
		       " were not tried (above: masked)\n",
		       where, res->sweep.masked);
	else
		printf("         the sweep of this file ended %s; none of its requests was tried\n",
		       where);
}

static void sweep_result(struct session *ses, const char *path, const struct file_result *res)
{
	struct json j;

	if (ses->json) {
		json_begin(&j, stdout, "sweep");
		json_str(&j, "file", path);
		counts_json(&j, res);
		json_str(&j, "verdict", verdict_name(res));
		json_bool(&j, "forked", res->forked);
		json_bool(&j, "prefix", res->prefix);
		if (res->cut && res->cut_op != UINT32_MAX)
			json_u64(&j, "ended_at", res->cut_op);
		if (res->cut)
			json_u64(&j, "not_tried", res->sweep.masked);
		if (res->code)
			json_str(&j, "message", res->message);
		json_end(&j);
		return;
	}
	if (res->code && !res->met) {
		printf("error    %s\n", res->message);
		return;
	}
	printf("%-8s %6" PRIu64 " ops %7" PRIu64 " met %7" PRIu64 " delivered %6" PRIu64
	       " benign %3" PRIu64 " masked %8" PRIu64 " executed  %s\n",
	       verdict_name(res), res->ops, res->met, res->delivered, res->sweep.benign,
	       res->sweep.masked, res->sweep.executed_ops, path);
	if (res->prefix)
		printf("         without any fault the program dies at operation %" PRIu64
		       "; those before it were swept\n",
		       res->ops);
	if (res->forked)
		printf("         the sweep died, and was made again with a process per point: "
		       "%" PRIu64 " of them died\n",
		       res->sweep.crashes);
	if (res->cut)
		print_cut(res);
}

static void print_sites(const struct cover *cover)
{
	u64 met[FL_NR_SITES] = {0}, failed[FL_NR_SITES] = {0};
	u32 reached = 0, nr_failed = 0;

	for (u32 i = 0; i < COVER_MAX; i++) {
		const struct cover_entry *e = &cover->entries[i];

		if (!e->used)
			continue;
		met[e->key.site] += e->met;
		failed[e->key.site] += e->failed;
	}
	for (u32 i = SITE_none + 1; i < FL_NR_SITES; i++) {
		reached += met[i] != 0;
		nr_failed += failed[i] != 0;
	}
	printf("sites: %" PRIu32 " of %d reached, %" PRIu32 " failed\n", reached, FL_NR_SITES - 1,
	       nr_failed);
	for (u32 i = SITE_none + 1; i < FL_NR_SITES; i++)
		if (failed[i])
			printf("  %-26s %-5s %9" PRIu64 " failed\n", fl_sites[i].name,
			       fl_class_names[fl_sites[i].class], failed[i]);
	for (u32 i = SITE_none + 1; i < FL_NR_SITES; i++)
		if (met[i] && !failed[i])
			printf("  %-26s %-5s never failed\n", fl_sites[i].name,
			       fl_class_names[fl_sites[i].class]);
}

static void print_books(size_t files, const struct sweep_stats *n)
{
	printf("%zu files, %" PRIu64 " ops: met %" PRIu64 " = delivered %" PRIu64 " (%" PRIu64
	       " benign) + masked %" PRIu64 " (%" PRIu64 " pruned)\n",
	       files, n->ops, n->met, n->delivered, n->benign, n->masked, n->pruned);
	printf("executed %" PRIu64 " in place = %" PRIu64 " deliveries + ops; %" PRIu64
	       " in replays\n",
	       n->executed_ops, n->inplace_delivered, n->replay_ops);
	printf("pairs: met %" PRIu64 " = delivered %" PRIu64 " + alike %" PRIu64
	       " + masked %" PRIu64 " + also met without a fault %" PRIu64 "\n",
	       n->children, n->pairs, n->pairs_pruned, n->pairs_masked, n->pairs_left);
	if (n->cross_equal + n->cross_states)
		printf("pairs with later operations: %" PRIu64 " left the state as it was, %" PRIu64
		       " reached the same as another, %" PRIu64 " left out; from %" PRIu64
		       " other states met %" PRIu64 " = delivered %" PRIu64 " + masked %" PRIu64
		       "\n",
		       n->cross_equal, n->cross_same, n->cross_left, n->cross_states, n->cross_met,
		       n->cross_delivered, n->cross_masked);
	printf("persistent: %" PRIu64 " delivered, %" PRIu64 " same as the single fault, %" PRIu64
	       " alike; whole classes: %" PRIu64 " delivered, %" PRIu64
	       " same as their first; ends without memory %" PRIu64 "\n",
	       n->persistent, n->persistent_same, n->persistent_pruned, n->whole, n->whole_same,
	       n->exhausted);
	if (n->sealed)
		printf("unchanged by sums: %" PRIu64 " attempts, of which %" PRIu64
		       " were held against a digest\n",
		       n->sealed, n->sealed_walked);
	printf("contexts that only a retry has: %" PRIu64 " failed there, %" PRIu64
	       " not met again\n",
	       n->retries, n->retries_masked);
}

static void sweep_total(const struct session *ses)
{
	const struct file_result *t = &ses->total;
	struct json j;

	if (ses->json) {
		json_begin(&j, stdout, "total");
		json_u64(&j, "files", ses->file);
		counts_json(&j, t);
		json_u64(&j, "errors", ses->errors);
		json_bool(&j, "interrupted", session_interrupted());
		json_key(&j, "seconds");
		fprintf(stdout, "%.3f", session_seconds(ses));
		json_end(&j);
		return;
	}
	print_sites(&ses->shared->cover);
	print_books(ses->file, &t->sweep);
	report_model(ses, &t->model);
	for (u32 i = 0; i < FL_NR_CLASSES && !session_interrupted(); i++)
		if (ses->classes >> i & 1 && fl_class_without_sites((enum fl_class)i))
			printf("class %s has no site: %s\n", fl_class_names[i],
			       fl_class_without_sites((enum fl_class)i));
	if (!t->delivered && !t->findings && !session_interrupted())
		puts("nothing was delivered: this sweep has shown nothing");
	printf("%" PRIu64 " findings (%" PRIu64 " not confirmed), %" PRIu64 " errors, %.1f s%s\n",
	       t->findings, t->sweep.artefacts, ses->errors, session_seconds(ses),
	       session_interrupted() ? " (interrupted: the rest was not tried)" : "");
}

/* ---- options -------------------------------------------------------------------------------- */

static int class_list(const char *list, u32 *classes)
{
	for (const char *p = list; *p || p == list;) {
		size_t len = strcspn(p, ",");
		enum fl_class class = fl_class_find(p, len);

		if (len == 3 && !memcmp(p, "all", 3))
			*classes |= (1u << FL_NR_CLASSES) - 1;
		else if (class < FL_NR_CLASSES)
			*classes |= 1u << class;
		else
			return usage_error("sweep", "--class: no class '%.*s'", (int)len, p);
		p += len + (p[len] == ',');
		if (!*p)
			break;
	}
	return 0;
}

static int mode_list(const char *list, u32 *modes)
{
	for (const char *p = list; *p || p == list;) {
		size_t len = strcspn(p, ",");
		u32 i = 0;

		while (i < SWEEP_NR_MODES &&
		       (strlen(sweep_mode_names[i]) != len || memcmp(sweep_mode_names[i], p, len)))
			i++;
		if (i == SWEEP_NR_MODES)
			return usage_error("sweep",
					   "--mode: no mode '%.*s'; there are inplace, snapshot, "
					   "replay, fork",
					   (int)len, p);
		*modes |= 1u << i;
		p += len + (p[len] == ',');
		if (!*p)
			break;
	}
	return 0;
}

static int sweep_option(struct session *ses, int c, char **argv, void *arg)
{
	u64 like;

	(void)arg;
	switch (c) {
	case 'c':
		return class_list(optarg, &ses->classes);
	case 'o':
		return mode_list(optarg, &ses->modes);
	case 'v':
		return coverage_open(&ses->coverage, optarg, true);
	case 'p':
		ses->pairs = true;
		return 0;
	case 's':
		ses->single = true;
		return 0;
	case 'l':
		if (!parse_u64(optarg, UINT32_MAX - 1, &like))
			return usage_error("sweep", "--like takes a number, or 0 for all");
		ses->like = like ? (u32)like : UINT32_MAX;
		return 0;
	default:
		return option_error("sweep", argv);
	}
}

int cmd_sweep(int argc, char **argv)
{
	static const struct option options[] = {
		{"class", required_argument, NULL, 'c'},
		{"mode", required_argument, NULL, 'o'},
		{"pairs", no_argument, NULL, 'p'},
		{"coverage", required_argument, NULL, 'v'},
		{"single", no_argument, NULL, 's'},
		{"like", required_argument, NULL, 'l'},
		{"machine", required_argument, NULL, 'm'},
		{"model", required_argument, NULL, 'M'},
		{"allocator", required_argument, NULL, 'a'},
		{"no-isolate", no_argument, NULL, 'n'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const struct command cmd = {"sweep", help, options, sweep_option, NULL};
	struct session ses;
	int status;

	if (!session_begin(&ses, &cmd, argc, argv, &status))
		return status;
	if (optind == argc)
		return session_exit(&ses, usage_error("sweep", "FILE is missing"));
	ses.job = sweep_job;
	ses.result = sweep_result;
	ses.salvage = sweep_salvage;
	ses.escalate = sweep_again;
	status = session_files(&ses, argc, argv);
	if (ses.coverage)
		status = exit_worst(status, coverage_save(ses.coverage, &ses.shared->cover, true));
	coverage_close(ses.coverage);
	sweep_total(&ses);
	return session_exit(&ses, status);
}
