/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sweep against a subject that fits on a page, whose bugs are switched on one by one: each must
 * be found by its oracle, and the subject without bugs must give exact counts and silence.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <faultline/allocator.h>

#include "sweep.h"

enum kind {
	MAP,
	TOUCH,
	FORK,
	POPULATE,
	PROTECT,
	EXEC,
	LOOP,
	FLUSH,
	MANY,
};

enum bug {
	NO_BUG,
	LEAK,		  /* a failed fork loses an object that only the census counts */
	LEAK_LATE,	  /* the same, only for the third VMA of a fork */
	SWALLOW,	  /* a refused map says that it succeeded */
	UNDECLARED,	  /* a refused map fails with an errno that it does not have */
	STATE,		  /* a refused fork changes the parent */
	COUNTER,	  /* a counter is raised before a refusal and not lowered again */
	APPEARS,	  /* a refused fork leaves something that was not there */
	RETRY_FAILS,	  /* nothing to be seen, but the next attempt fails */
	RETRY_DIVERGES,	  /* nothing to be seen, but the next attempt does too much */
	TAIL_DIVERGES,	  /* nothing to be seen, but a later operation goes wrong */
	HANG,		  /* a refused fork never ends */
	BROKEN_SILENT,	  /* a refused fork breaks off and does not say why */
	INVARIANT,	  /* a refused fork breaks a rule that the check knows */
	FALLBACK_OUTCOME, /* a benign refusal is not benign */
	FALLBACK_STATE,	  /* a benign refusal gives the right result in the wrong state */
	FALLBACK_LEAK,	  /* a benign refusal loses an object that only the census counts */
	COLD_ONLY,	  /* a bug at a point that the pass in place cannot reach */
	WEAK,		  /* a refused protect goes beyond what is allowed to it */
	EXEC_STATE,	  /* a refused exec leaves more undone than the task */
	DIES,		  /* a refused fork kills the process, once it has copied a VMA */
	DIES_LATE,	  /* nothing to be seen, but the retry kills the process */
	PAIR,		  /* a fallback that is refused as well breaks a rule */
	ALL_AFTER,	  /* a rule is broken when all of a loop is refused */
	ALL_OF_CLASS,	  /* a rule is broken when all pages are refused, and no object */
	FALLBACK_SKIPS,	  /* a fallback does not ask for what it is declared to */
	RESTORE_WRONG,	  /* a snapshot does not come back as it was */
	EXIT_ASKS,	  /* the end needs something */
	CROSS,		  /* a fault in a state that another has left breaks a rule */
	PAIR_GOLDEN,	  /* two requests of the golden run, refused together, break a rule */
	BLIND_SUMS,	  /* a refused fork changes the parent, and the sums do not show it */
	REFUSED_AGAIN,	  /* a refusal of what only a retry asks first breaks a rule */
	TWO_FAULTS,	  /* only two faults in one machine do harm */
	RANDOM_OUTCOME,	  /* every run is another */
	RANDOM_SITE,
	RANDOM_POINTS,
	RANDOM_STATE,
	MISCOUNTED,    /* the injector refuses more than it was armed for */
	GOLDEN_WRONG,  /* wrong without any fault */
	GOLDEN_BROKEN, /* breaks without any fault */
	GOLDEN_LEAK,   /* leaks without any fault */
};

#define MAX_OPS	      512u
#define MAX_CELLS     16u
#define CELL_TASKS    0
#define CELL_VMAS     1
#define CELL_CHILDREN 2
#define CELL_PAGES    3
#define CELL_PROT     4 /* and 5 */
#define CELL_EXTRA    7

struct dummy {
	struct fi fi;
	finding_fn fn;
	void *fn_priv;
	const u8 *program;
	u32 nr_ops;
	enum bug bug;
	u32 runs; /* resets so far */
	u64 seal;

	/* The machine. */
	u64 cell[MAX_CELLS]; /* semantic */
	bool pmd, pte[MAX_OPS][4];
	u64 leaked;
	u32 faults;
	bool poisoned, broken_rule;
	struct dummy *kept; /* only what is above, from cell on */
};

static bool refused(struct dummy *d, enum fl_site site, gfp_t gfp)
{
	bool fails = fi_should_fail(&d->fi, site, gfp);

	if (d->bug == MISCOUNTED)
		d->fi.stats.delivered += fails;
	d->faults += fails;
	return fails;
}

static void say(struct dummy *d, enum oracle oracle, u32 op, const char *class_key)
{
	struct finding f = {.oracle = oracle, .op = op};

	snprintf(f.what, sizeof(f.what), "%s is broken", class_key);
	snprintf(f.class_key, sizeof(f.class_key), "%s", class_key);
	snprintf(f.func, sizeof(f.func), "dummy");
	snprintf(f.name, sizeof(f.name), "%s", op == UINT32_MAX ? "teardown" : "op");
	d->fn(d->fn_priv, &f);
}

static void dummy_report_to(void *s, finding_fn fn, void *priv)
{
	struct dummy *d = s;

	d->fn = fn;
	d->fn_priv = priv;
}

static int dummy_reset(void *s)
{
	struct dummy *d = s;

	memset(d->cell, 0, sizeof(d->cell));
	memset(d->pte, 0, sizeof(d->pte));
	d->cell[CELL_TASKS] = 1;
	d->pmd = d->poisoned = d->broken_rule = false;
	d->leaked = d->faults = 0;
	d->runs++;
	return 0;
}

static u32 dummy_nr_ops(void *s)
{
	return ((struct dummy *)s)->nr_ops;
}

static u16 dummy_op_kind(void *s, u32 op)
{
	return ((struct dummy *)s)->program[op];
}

static const char *dummy_op_name(void *s, u32 op)
{
	static const char *const names[] = {"map",  "touch", "fork",  "populate", "protect",
					    "exec", "loop",  "flush", "many"};

	return names[((struct dummy *)s)->program[op]];
}

static struct outcome failed(s64 err)
{
	return (struct outcome){.kind = OUT_ERRNO, .value = err};
}

static struct outcome map(struct dummy *d)
{
	if (d->poisoned && d->bug == DIES_LATE)
		raise(SIGKILL);
	if (d->poisoned && d->bug == RETRY_FAILS)
		return failed(-EAGAIN);
	if (refused(d, SITE_mmap_region_acct, GFP_KERNEL))
		return failed(-ENOMEM);
	if (d->bug == COUNTER)
		d->cell[CELL_VMAS]++;
	if (refused(d, SITE_mmap_region_vma, GFP_KERNEL)) {
		d->poisoned = true;
		if (d->bug == SWALLOW)
			return (struct outcome){.kind = OUT_OK};
		return failed(d->bug == UNDECLARED ? -EINVAL : -ENOMEM);
	}
	if (d->bug != COUNTER)
		d->cell[CELL_VMAS]++;
	if (d->poisoned && d->bug == RETRY_DIVERGES)
		d->cell[CELL_VMAS]++;
	return (struct outcome){.kind = OUT_OK, .value = 0x1000};
}

static struct outcome touch(struct dummy *d, u32 op)
{
	bool had = d->pmd;

	if (!had && refused(d, SITE_pmd_alloc_pmd, GFP_KERNEL))
		return (struct outcome){.kind = OUT_OOM};
	d->pmd = true;
	if (!d->pte[op][0] && refused(d, SITE_pte_alloc_pte, GFP_KERNEL)) {
		d->broken_rule |= had && d->bug == REFUSED_AGAIN;
		return (struct outcome){.kind = OUT_OOM};
	}
	d->pte[op][0] = true;
	if (refused(d, SITE_anon_page, GFP_KERNEL))
		return (struct outcome){.kind = OUT_OOM};
	d->cell[CELL_PAGES]++;
	if (d->poisoned && d->bug == TAIL_DIVERGES)
		d->cell[CELL_PAGES]++;
	return (struct outcome){.kind = OUT_OK};
}

static struct outcome fork_fails(struct dummy *d, u32 op, bool copied, bool late)
{
	switch (d->bug) {
	case LEAK:
		d->leaked++;
		break;
	case LEAK_LATE:
		d->leaked += late;
		break;
	case BLIND_SUMS:
	case STATE:
		d->cell[CELL_PROT] ^= 1;
		break;
	case APPEARS:
		d->cell[CELL_EXTRA] = 5;
		break;
	case HANG:
		say(d, ORACLE_hang, op, "steps");
		return (struct outcome){.kind = OUT_BROKEN};
	case BROKEN_SILENT:
		return (struct outcome){.kind = OUT_BROKEN};
	case INVARIANT:
		d->broken_rule = true;
		break;
	case DIES:
		if (copied)
			raise(SIGKILL);
		break;
	case TWO_FAULTS:
		if (d->faults > 1)
			say(d, ORACLE_refcount, op, "two");
		break;
	default:
		break;
	}
	return failed(-ENOMEM);
}

static struct outcome do_fork(struct dummy *d, u32 op)
{
	bool odd = false;

	if (refused(d, SITE_dup_mm_mm, GFP_KERNEL))
		return failed(-ENOMEM);
	if (refused(d, SITE_pgd_alloc_pgd, GFP_KERNEL))
		return fork_fails(d, op, false, false);
	for (u64 vma = 0; vma < d->cell[CELL_VMAS]; vma++) {
		if (refused(d, SITE_dup_mmap_vma, GFP_KERNEL))
			return fork_fails(d, op, vma > 0, vma == 2);
		if (!refused(d, SITE_anon_vma_clone_nowait, GFP_NOWAIT))
			continue;
		if (d->bug == FALLBACK_SKIPS)
			continue;
		if (refused(d, SITE_anon_vma_clone_avc, GFP_KERNEL)) {
			d->broken_rule |= d->bug == PAIR;
			return fork_fails(d, op, vma > 0, vma == 2);
		}
		if (d->bug == FALLBACK_OUTCOME)
			return failed(-ENOMEM);
		odd = d->bug == FALLBACK_STATE;
		d->leaked += d->bug == FALLBACK_LEAK;
	}
	if (refused(d, SITE_dup_mm_binfmt, GFP_KERNEL))
		return fork_fails(d, op, true, false);
	d->cell[CELL_CHILDREN] += 1 + odd;
	return (struct outcome){.kind = OUT_OK, .value = 2};
}

/*
 * Its tables stay when it fails, and are not asked for again: the third attempt in place meets the
 * fourth table as its third request, which must not pass for the third table.
 */
static struct outcome populate(struct dummy *d, u32 op)
{
	for (u32 i = 0; i < 4; i++) {
		if (!d->pte[op][i] && refused(d, SITE_pte_alloc_pte, GFP_KERNEL)) {
			if (d->bug == COLD_ONLY && i == 2)
				d->broken_rule = true;
			return failed(-ENOMEM);
		}
		d->pte[op][i] = true;
	}
	if (refused(d, SITE_anon_page, GFP_KERNEL))
		return failed(-ENOMEM);
	d->cell[CELL_PAGES]++;
	return (struct outcome){.kind = OUT_OK};
}

/* Weak: what was changed before the refusal stays changed. */
static struct outcome protect(struct dummy *d)
{
	for (u32 i = 0; i < 2; i++) {
		if (refused(d, SITE_split_vma_vma, GFP_KERNEL)) {
			if (d->bug == WEAK)
				d->cell[CELL_EXTRA] = 1;
			return failed(-ENOMEM);
		}
		d->cell[CELL_PROT + i] = 3;
	}
	return (struct outcome){.kind = OUT_OK};
}

static struct outcome exec(struct dummy *d)
{
	if (refused(d, SITE_exec_bprm, GFP_KERNEL) || refused(d, SITE_bprm_mm_init_vma, GFP_KERNEL))
		return failed(-ENOMEM);
	d->cell[CELL_VMAS] = 1;
	/* The point of no return. */
	if (refused(d, SITE_pte_alloc_pte, GFP_KERNEL) || refused(d, SITE_anon_page, GFP_KERNEL)) {
		d->cell[CELL_TASKS] = 0;
		d->cell[CELL_VMAS] = d->bug == EXEC_STATE;
		return (struct outcome){.kind = OUT_KILLED, .value = -ENOMEM};
	}
	return (struct outcome){.kind = OUT_OK};
}

/* Goes on with its loop after a refusal and fails at the end, as preallocate_pmds() does. */
static struct outcome loop(struct dummy *d)
{
	u32 fails = 0;

	for (u32 i = 0; i < 3; i++)
		fails |= (u32)refused(d, SITE_preallocate_pmds_pmd, GFP_KERNEL) << i;
	d->broken_rule |= d->bug == ALL_AFTER && fails == 7;
	d->broken_rule |= d->bug == PAIR_GOLDEN && fails == 5;
	d->broken_rule |= d->bug == CROSS && fails && d->cell[CELL_PROT] != d->cell[CELL_PROT + 1];
	if (fails)
		return failed(-ENOMEM);
	d->cell[CELL_PAGES]++;
	return (struct outcome){.kind = OUT_OK};
}

/* Two pages that it can do without, and between them an object that it cannot. */
static struct outcome flush(struct dummy *d)
{
	bool first = refused(d, SITE_gather_batch, GFP_NOWAIT), second;

	if (refused(d, SITE_copy_fs_fs, GFP_KERNEL))
		return failed(-ENOMEM);
	second = refused(d, SITE_gather_batch, GFP_NOWAIT);
	d->broken_rule |= d->bug == ALL_OF_CLASS && first && second;
	return (struct outcome){.kind = OUT_OK};
}

#define NR_MANY 1000u

static struct outcome many(struct dummy *d)
{
	for (u32 i = 0; i < NR_MANY; i++)
		if (refused(d, SITE_filemap_page, GFP_KERNEL)) {
			d->broken_rule |= d->bug == INVARIANT && i + 1 == NR_MANY;
			return failed(-ENOMEM);
		}
	d->cell[CELL_PAGES] += NR_MANY;
	return (struct outcome){.kind = OUT_OK};
}

static void dummy_apply(void *s, u32 op, struct outcome *out)
{
	struct dummy *d = s;

	fi_op_begin(&d->fi, op, d->program[op]);
	if (!d->cell[CELL_TASKS]) {
		*out = (struct outcome){.kind = OUT_SKIPPED};
		return;
	}
	if (d->bug == RANDOM_SITE && op == 1)
		refused(d, d->runs % 2 ? SITE_cow_page : SITE_filemap_page, GFP_KERNEL);
	if (d->bug == GOLDEN_WRONG && op == 3)
		say(d, ORACLE_expect, op, "value");
	if (d->bug == GOLDEN_BROKEN && op == 6) {
		say(d, ORACLE_crash, op, "bug");
		*out = (struct outcome){.kind = OUT_BROKEN};
		return;
	}
	switch ((enum kind)d->program[op]) {
	case MAP:
		*out = map(d);
		break;
	case TOUCH:
		*out = touch(d, op);
		break;
	case FORK:
		*out = do_fork(d, op);
		break;
	case POPULATE:
		*out = populate(d, op);
		break;
	case PROTECT:
		*out = protect(d);
		break;
	case EXEC:
		*out = exec(d);
		break;
	case LOOP:
		*out = loop(d);
		break;
	case FLUSH:
		*out = flush(d);
		break;
	case MANY:
		*out = many(d);
		break;
	}
	if (d->bug == RANDOM_POINTS && op == 1 && d->runs % 2 == 0)
		refused(d, SITE_cow_page, GFP_KERNEL);
	if (d->bug == RANDOM_OUTCOME && op == 2)
		out->value += d->runs;
	if (d->bug == RANDOM_STATE && op == 2)
		d->cell[CELL_PROT] = d->runs;
}

static u64 dummy_digest(void *s)
{
	struct dummy *d = s;
	u64 h = 0;

	for (u32 i = 0; i < MAX_CELLS; i++)
		h = h * 0x100000001b3u + d->cell[i];
	return h;
}

/* Cells 0 to 5 are always there, the rest only when they are not zero. */
/* All cells, but what BLIND_SUMS changes. */
static u64 dummy_sum(const struct dummy *d)
{
	u64 sum = 1;

	for (u32 i = 0; i < MAX_CELLS; i++)
		if (i != CELL_PROT || d->bug != BLIND_SUMS)
			sum = (sum + d->cell[i]) * 0x9e3779b97f4a7c15u;
	return sum;
}

static void dummy_seal(void *s)
{
	struct dummy *d = s;

	d->seal = dummy_sum(d);
}

static bool dummy_sealed(void *s)
{
	const struct dummy *d = s;

	return dummy_sum(d) == d->seal;
}

static void dummy_observe(void *s, fl_obs_fn fn, void *priv)
{
	struct dummy *d = s;

	for (u32 i = 0; i < MAX_CELLS; i++) {
		struct fl_obs o = {.field = 0, .key = i, .val = d->cell[i]};

		if (i <= 5 || o.val)
			fn(priv, &o);
	}
}

/* The tables, which no cell shows. */
static u64 dummy_residue(void *s)
{
	struct dummy *d = s;
	u64 tables = d->pmd;

	for (u32 op = 0; op < d->nr_ops; op++) {
		for (u32 i = 0; i < 4; i++)
			tables += d->pte[op][i];
	}
	return tables;
}

static u32 dummy_check(void *s)
{
	struct dummy *d = s;

	if (!d->broken_rule)
		return 0;
	say(d, ORACLE_invariant, d->fi.op, "G-99");
	return 1;
}

static u32 dummy_teardown(void *s)
{
	struct dummy *d = s;

	if (d->bug == GOLDEN_LEAK)
		d->leaked = 1;
	if (!d->leaked)
		return 0;
	say(d, ORACLE_census, UINT32_MAX, "objects");
	return 1;
}

static u32 dummy_teardown_exhausted(void *s)
{
	struct dummy *d = s;

	if (d->bug == EXIT_ASKS)
		say(d, ORACLE_expect, UINT32_MAX, "exit-asks");
	return dummy_teardown(s) + (d->bug == EXIT_ASKS);
}

static bool dummy_benign(void *s, u32 op, const struct fi_point *point)
{
	(void)s;
	(void)op;
	return point->site == SITE_anon_vma_clone_nowait || point->site == SITE_gather_batch;
}

static enum fl_site dummy_fallback(void *s, u32 op, const struct fi_point *point)
{
	(void)s;
	(void)op;
	return point->site == SITE_anon_vma_clone_nowait ? SITE_anon_vma_clone_avc : SITE_none;
}

static bool dummy_declared_error(void *s, u32 op, const struct fi_point *point,
				 const struct outcome *out)
{
	struct dummy *d = s;

	(void)point;
	switch ((enum kind)d->program[op]) {
	case TOUCH:
		return out->kind == OUT_OOM;
	case EXEC:
		return (out->kind == OUT_ERRNO || out->kind == OUT_KILLED) && out->value == -ENOMEM;
	default:
		return out->kind == OUT_ERRNO && out->value == -ENOMEM;
	}
}

static const char *dummy_allowed(void *s, u32 op, const struct outcome *out,
				 const struct fl_obs *before, u32 nr_before,
				 const struct fl_obs *after, u32 nr_after)
{
	struct dummy *d = s;

	if (d->program[op] == EXEC && out->kind == OUT_KILLED)
		return after[CELL_VMAS].val == 0 && nr_after == 6 ? "exec-killed" : NULL;
	if (d->program[op] != PROTECT || nr_before != nr_after)
		return NULL;
	for (u32 i = 0; i < nr_before; i++) {
		if (i != CELL_PROT && before[i].val != after[i].val)
			return NULL;
	}
	return "protect-prefix";
}

static bool dummy_retryable(void *s, u32 op, const struct outcome *out)
{
	(void)s;
	(void)op;
	return out->kind != OUT_KILLED;
}

#define MACHINE_BYTES (offsetof(struct dummy, kept) - offsetof(struct dummy, cell))

static int dummy_snapshot(void *s)
{
	struct dummy *d = s;

	if (!d->kept)
		d->kept = malloc(sizeof(*d->kept));
	memcpy(d->kept->cell, d->cell, MACHINE_BYTES);
	return 0;
}

static int dummy_restore(void *s)
{
	struct dummy *d = s;

	memcpy(d->cell, d->kept->cell, MACHINE_BYTES);
	d->cell[CELL_EXTRA] += d->bug == RESTORE_WRONG;
	return 0;
}

static const struct subject_ops dummy_ops = {
	.report_to = dummy_report_to,
	.reset = dummy_reset,
	.nr_ops = dummy_nr_ops,
	.op_kind = dummy_op_kind,
	.op_name = dummy_op_name,
	.apply = dummy_apply,
	.digest = dummy_digest,
	.seal = dummy_seal,
	.sealed = dummy_sealed,
	.observe = dummy_observe,
	.check = dummy_check,
	.teardown = dummy_teardown,
	.teardown_exhausted = dummy_teardown_exhausted,
	.benign = dummy_benign,
	.fallback = dummy_fallback,
	.declared_error = dummy_declared_error,
	.allowed = dummy_allowed,
	.retryable = dummy_retryable,
	.residue = dummy_residue,
};

static const u8 program[] = {MAP, TOUCH, MAP, TOUCH, FORK, POPULATE, PROTECT, EXEC, MAP, LOOP};
/* Worked out by hand, per operation: points; delivered in place; benign; what follows a fault. */
static const u32 points_of[] = {2, 3, 2, 2, 7, 5, 2, 4, 2, 3};
static const u32 inplace_of[] = {2, 3, 2, 2, 5, 3, 2, 3, 2, 3};
#define NR_OPS	  ((u32)ARRAY_SIZE(program))
#define NR_BENIGN 2u

#define MAX_FOUND 64u

struct result {
	const u8 *program;
	u32 nr_ops;
	int ret;
	struct sweep_stats stats;
	struct finding found[MAX_FOUND];
	u32 nr_found;
	u32 children, nr_pruned;
	u32 nr_masked, progress, stop_after, asked;
	char why[64];
};

static void on_finding(void *priv, const struct finding *f)
{
	struct result *r = priv;

	assert_true(r->nr_found < MAX_FOUND);
	r->found[r->nr_found++] = *f;
}

static void on_masked(void *priv, const struct fi_point *point, const char *why)
{
	struct result *r = priv;

	assert_in_range(point->site, 1, FL_NR_SITES - 1);
	r->nr_masked++;
	snprintf(r->why, sizeof(r->why), "%s", why);
}

static void on_pruned(void *priv, const struct fi_point *like, u64 nr, u64 of)
{
	struct result *r = priv;

	assert_in_range(like->site, 1, FL_NR_SITES - 1);
	assert_true(nr < of);
	r->nr_pruned += nr;
}

static void on_progress(void *priv, u32 op, u32 nr_ops)
{
	struct result *r = priv;

	assert_true(op < nr_ops);
	r->progress++;
}

static bool on_stop(void *priv)
{
	struct result *r = priv;

	return r->stop_after && ++r->asked > r->stop_after;
}

/* The dummy is not in shared memory, so it and its injector stay as they were. */
static int on_isolate(void *priv, void (*fn)(void *arg), void *arg, struct finding *how)
{
	struct result *r = priv;
	int status;
	pid_t pid;

	r->children++;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -EAGAIN;
	if (!pid) {
		fn(arg);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	snprintf(how->class_key, sizeof(how->class_key), "%d", WTERMSIG(status));
	return 1;
}

static struct dummy *dummy_new(const u8 *ops, u32 nr_ops, enum bug bug)
{
	struct dummy *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	fi_init(&d->fi);
	d->program = ops;
	d->nr_ops = nr_ops;
	d->bug = bug;
	return d;
}

/* On top of what sweep_with() is told. */
static struct sweep_options options;

static struct result *sweep_with(const u8 *program_ops, u32 nr_ops, enum bug bug, u32 classes,
				 u32 modes, u32 stop_after)
{
	struct dummy *d = dummy_new(program_ops, nr_ops, bug);
	struct subject_ops ops = dummy_ops;
	struct subject s = {.ops = &ops, .priv = d, .fi = &d->fi};
	struct result *r = calloc(1, sizeof(*r));
	struct sweep_options opt = {
		.classes = classes,
		.modes = modes,
		.progress = on_progress,
		.stop = on_stop,
		.masked = on_masked,
		.isolate = modes == SWEEP_FORK ? on_isolate : NULL,
		.pruned = on_pruned,
		.like = options.like,
		.pairs = options.pairs,
		.single = options.single,
		.priv = r,
	};

	assert_non_null(r);
	if (modes & SWEEP_SNAPSHOT) {
		ops.snapshot = dummy_snapshot;
		ops.restore = dummy_restore;
	}
	r->program = program_ops;
	r->nr_ops = nr_ops;
	r->stop_after = stop_after;
	r->ret = sweep_run(&s, &opt, on_finding, r, &r->stats);

	/* Whatever happened. */
	assert_int_equal(r->stats.met, r->stats.delivered + r->stats.masked);
	assert_int_equal(r->nr_masked + r->nr_pruned, r->stats.masked);
	assert_int_equal(r->nr_pruned, r->stats.pruned);
	assert_int_equal(r->stats.children, r->stats.pairs + r->stats.pairs_pruned +
						    r->stats.pairs_masked + r->stats.pairs_left);
	if (!classes && !options.single)
		assert_int_equal(r->stats.delivered, r->stats.persistent +
							     r->stats.persistent_same +
							     r->stats.persistent_pruned);
	assert_int_equal(r->nr_found, r->stats.findings + r->stats.artefacts);
	if (!modes || modes & SWEEP_INPLACE)
		assert_int_equal(r->stats.executed_ops, r->stats.inplace_delivered + r->stats.ops);
	assert_true(r->stats.benign <= r->stats.delivered);
	/* The injector is given back as it was. */
	assert_false(d->fi.armed);
	assert_null(d->fi.points);
	assert_ptr_equal(d->fn, on_finding);
	free(d->kept);
	free(d);
	return r;
}

static struct result *sweep(enum bug bug)
{
	return sweep_with(program, NR_OPS, bug, 0, 0, 0);
}

static void dump(const struct result *r)
{
	for (u32 i = 0; i < r->nr_found; i++) {
		char line[512];

		finding_line(&r->found[i], line, sizeof(line));
		print_message("%s (plan %s, %sconfirmed)\n", line, r->found[i].plan,
			      r->found[i].confirmed ? "" : "un");
	}
}

/* Run with the plan of a finding, the fresh program meets that fault and no other. */
static void assert_reproduces(const struct result *from, enum bug bug, const struct finding *f)
{
	struct dummy *d = dummy_new(from->program, from->nr_ops, bug);
	struct fi_plan plan;
	struct outcome out;
	char why[128];
	struct result *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	dummy_report_to(d, on_finding, r);
	dummy_reset(d);
	if (fi_plan_parse(f->plan, strlen(f->plan), &plan, why, sizeof(why)))
		fail_msg("%s: %s", f->plan, why);
	fi_arm(&d->fi, &plan);
	for (u32 op = 0; op <= f->faults[0].op; op++)
		dummy_apply(d, op, &out);
	assert_int_equal(d->fi.stats.delivered, 1);
	assert_int_equal(f->nr_faults, 1);
	assert_int_equal(d->fi.first.op, f->faults[0].op);
	assert_int_equal(d->fi.first.site, f->faults[0].site);
	assert_int_equal(d->fi.first.ordinal, f->faults[0].ordinal);
	free(r);
	free(d);
}

/* The bug is found, confirmed, by this oracle, with this class and plan (NULL: any). */
static const struct finding *assert_found(const struct result *r, enum bug bug, enum oracle oracle,
					  const char *class_key, const char *plan)
{
	for (u32 i = 0; i < r->nr_found; i++) {
		const struct finding *f = &r->found[i];

		if (f->oracle != oracle || !f->confirmed || strcmp(f->class_key, class_key) ||
		    (plan && strcmp(f->plan, plan)))
			continue;
		if (f->plan[0] && f->nr_faults == 1)
			assert_reproduces(r, bug, f);
		return f;
	}
	dump(r);
	fail_msg("bug %d: no %s %s with plan %s", bug, oracle_names[oracle], class_key,
		 plan ? plan : "(any)");
	return NULL;
}

/* All that was found is of this oracle. */
static void assert_only(const struct result *r, enum oracle oracle)
{
	for (u32 i = 0; i < r->nr_found; i++) {
		if (r->found[i].oracle != oracle || !r->found[i].confirmed) {
			dump(r);
			fail_msg("another finding than %s", oracle_names[oracle]);
		}
	}
	assert_int_equal(r->ret, 0);
}

/* The class_key that the sweep makes of the first observation field. */
static const char *field_key(void)
{
	static char key[64];

	snprintf(key, sizeof(key), "%s.%s", fl_obs_fields[0].object, fl_obs_fields[0].name);
	return key;
}

static void test_correct(void **state)
{
	struct result *r = sweep(NO_BUG);
	u32 points = 0, inplace = 0;

	(void)state;
	for (u32 op = 0; op < NR_OPS; op++) {
		points += points_of[op];
		inplace += inplace_of[op];
	}
	dump(r);
	assert_int_equal(r->ret, 0);
	assert_int_equal(r->nr_found, 0);
	assert_int_equal(r->stats.ops, NR_OPS);
	assert_int_equal(r->stats.met, points);
	assert_int_equal(r->stats.delivered, points);
	assert_int_equal(r->stats.masked, 0);
	assert_int_equal(r->stats.benign, NR_BENIGN);
	assert_int_equal(r->stats.inplace_delivered, inplace);
	assert_int_equal(r->stats.executed_ops, inplace + NR_OPS);
	/*
	 * Asked only after a refusal: the second attempts of the fork's two clones, and what comes
	 * after these in a context of its own. The loop's requests come without a fault as well.
	 */
	assert_int_equal(r->stats.pairs, 7);
	assert_int_equal(r->stats.pairs_pruned, 0);
	assert_int_equal(r->stats.pairs_masked, 0);
	assert_true(r->stats.pairs_left > 0);
	/* the two clones are followed by more, the loop's by two and by one */
	assert_int_equal(r->stats.persistent, 4);
	assert_int_equal(r->stats.persistent_pruned, 0);
	/* of all first points only the loop's page is followed by others of its class */
	assert_int_equal(r->stats.whole, 1);
	assert_true(r->stats.whole_same >= NR_OPS);
	assert_true(r->stats.exhausted > 0);
	/* all but the two that come after the point of no return */
	assert_int_equal(r->stats.verified, points - 2);
	assert_int_equal(r->stats.pruned, 0);
	assert_true(r->progress >= NR_OPS);

	/* By site: each was refused, none more often than met. */
	assert_int_equal(r->stats.sites.site_failed[SITE_cow_page], 0);
	assert_true(r->stats.sites.site_failed[SITE_pte_alloc_pte] >= 6);
	assert_true(r->stats.sites.site_failed[SITE_anon_vma_clone_nowait] >= NR_BENIGN);
	for (u32 i = 0; i < FL_NR_SITES; i++)
		assert_true(r->stats.sites.site_failed[i] <= r->stats.sites.site_met[i]);
	free(r);
}

static void test_classes(void **state)
{
	struct result *r = sweep_with(program, NR_OPS, NO_BUG, 1u << FL_CLASS_slab, 0, 0);

	(void)state;
	/* map 1, fork 1 + 2 x 2, protect 2, exec 2 */
	assert_int_equal(r->stats.met, 3 + 5 + 2 + 2);
	assert_int_equal(r->stats.delivered, r->stats.met);
	assert_int_equal(r->stats.benign, NR_BENIGN);
	assert_int_equal(r->ret, 0);
	assert_int_equal(r->nr_found, 0);
	free(r);
}

static void test_modes(void **state)
{
	struct result *both = sweep(NO_BUG);
	struct result *inplace = sweep_with(program, NR_OPS, NO_BUG, 0, SWEEP_INPLACE, 0);
	struct result *replay = sweep_with(program, NR_OPS, NO_BUG, 0, SWEEP_REPLAY, 0);
	struct result *found = sweep_with(program, NR_OPS, STATE, 0, SWEEP_REPLAY, 0);

	(void)state;
	/* Without replay the benign points stay, and what was hidden in place. */
	assert_int_equal(inplace->stats.masked, NR_BENIGN + 3 + 1);
	assert_string_equal(inplace->why, "needs a replay");
	assert_int_equal(replay->stats.met, both->stats.met);
	assert_int_equal(replay->stats.delivered, both->stats.met);
	assert_int_equal(replay->stats.executed_ops, 0);
	assert_int_equal(inplace->nr_found + replay->nr_found, 0);
	assert_found(found, STATE, ORACLE_digest, field_key(), "op=4.page@pgd_alloc_pgd:1");
	free(found);
	found = sweep_with(program, NR_OPS, RETRY_FAILS, 0, SWEEP_REPLAY, 0);
	assert_found(found, RETRY_FAILS, ORACLE_converge, "outcome", "op=0.slab@mmap_region_vma:1");
	free(both);
	free(inplace);
	free(replay);
	free(found);
}

static void test_empty(void **state)
{
	struct result *r = sweep_with(program, 0, NO_BUG, 0, 0, 0);

	(void)state;
	assert_int_equal(r->ret, 0);
	assert_int_equal(r->stats.ops, 0);
	assert_int_equal(r->stats.met, 0);
	assert_int_equal(r->stats.delivered, 0);
	assert_int_equal(r->stats.executed_ops, 0);
	free(r);
}

/* A long program costs deliveries plus operations, and benign points do not each cost a run. */
static void test_linear(void **state)
{
	u8 ops[MAX_OPS];
	struct result *r;

	(void)state;
	for (u32 i = 0; i < MAX_OPS; i++)
		ops[i] = i < 4 ? MAP : i % 4 ? TOUCH : FORK;
	r = sweep_with(ops, MAX_OPS, NO_BUG, 0, 0, 0);
	assert_int_equal(r->ret, 0);
	assert_int_equal(r->nr_found, 0);
	assert_int_equal(r->stats.masked, 0);
	assert_int_equal(r->stats.benign, 4 * (MAX_OPS - 4) / 4);
	assert_int_equal(r->stats.delivered, r->stats.met);
	assert_int_equal(r->stats.executed_ops, r->stats.inplace_delivered + MAX_OPS);
	assert_true(r->stats.replay_ops < 12 * MAX_OPS);
	free(r);
}

static void test_leak(void **state)
{
	static const u8 three_maps[] = {MAP, MAP, MAP, FORK};
	struct result *r = sweep(LEAK);

	(void)state;
	assert_found(r, LEAK, ORACLE_census, "objects", "op=4.page@pgd_alloc_pgd:1");
	assert_found(r, LEAK, ORACLE_census, "objects", "op=4.slab@dup_mmap_vma:1");
	assert_found(r, LEAK, ORACLE_census, "objects", "op=4.hook@dup_mm_binfmt:1");
	assert_only(r, ORACLE_census);
	assert_int_equal(r->nr_found, 3);
	free(r);

	/* Contexts repeat from the second VMA on, so no context is to blame: the census is settled.
	 */
	r = sweep_with(three_maps, ARRAY_SIZE(three_maps), LEAK_LATE, 0, 0, 0);
	assert_found(r, LEAK_LATE, ORACLE_census, "objects", "op=3.slab@dup_mmap_vma:3");
	assert_only(r, ORACLE_census);
	free(r);
}

static void test_outcome_bugs(void **state)
{
	struct result *r = sweep(SWALLOW);

	(void)state;
	assert_found(r, SWALLOW, ORACLE_swallowed, "success", "op=0.slab@mmap_region_vma:1");
	assert_only(r, ORACLE_swallowed);
	assert_int_equal(r->nr_found, 1);
	assert_true(r->stats.repeats > 0);
	free(r);

	r = sweep(UNDECLARED);
	assert_found(r, UNDECLARED, ORACLE_expect, "-EINVAL", "op=0.slab@mmap_region_vma:1");
	assert_only(r, ORACLE_expect);
	free(r);
}

static void test_state_bugs(void **state)
{
	struct result *r = sweep(STATE);
	const struct finding *f;
	char want[64];

	(void)state;
	f = assert_found(r, STATE, ORACLE_digest, field_key(), "op=4.page@pgd_alloc_pgd:1");
	assert_string_equal(f->expected, "0");
	assert_string_equal(f->actual, "1");
	snprintf(want, sizeof(want), "%s#0[0x4].%s 0 -> 1", fl_obs_fields[0].object,
		 fl_obs_fields[0].name);
	assert_non_null(strstr(f->what, want));
	assert_only(r, ORACLE_digest);
	free(r);

	r = sweep(COUNTER);
	f = assert_found(r, COUNTER, ORACLE_digest, field_key(), "op=0.slab@mmap_region_vma:1");
	assert_string_equal(f->expected, "0");
	assert_string_equal(f->actual, "1");
	assert_only(r, ORACLE_digest);
	free(r);

	r = sweep(APPEARS);
	f = assert_found(r, APPEARS, ORACLE_digest, field_key(), "op=4.page@pgd_alloc_pgd:1");
	assert_string_equal(f->expected, "absent");
	assert_string_equal(f->actual, "5");
	assert_only(r, ORACLE_digest);
	free(r);

	r = sweep(WEAK);
	assert_found(r, WEAK, ORACLE_digest, field_key(), "op=6.slab@split_vma_vma:1");
	assert_only(r, ORACLE_digest);
	free(r);

	r = sweep(EXEC_STATE);
	assert_found(r, EXEC_STATE, ORACLE_digest, field_key(), "op=7.page@pte_alloc_pte:1");
	assert_found(r, EXEC_STATE, ORACLE_digest, field_key(), "op=7.page@anon_page:1");
	assert_only(r, ORACLE_digest);
	free(r);
}

static void test_retry_bugs(void **state)
{
	struct result *r = sweep(RETRY_FAILS);

	(void)state;
	assert_found(r, RETRY_FAILS, ORACLE_converge, "outcome", "op=0.slab@mmap_region_vma:1");
	assert_true(r->stats.verified < r->stats.delivered - 2);
	assert_only(r, ORACLE_converge);
	free(r);

	r = sweep(RETRY_DIVERGES);
	assert_found(r, RETRY_DIVERGES, ORACLE_converge, "state", "op=0.slab@mmap_region_vma:1");
	assert_only(r, ORACLE_converge);
	free(r);

	r = sweep(TAIL_DIVERGES);
	assert_found(r, TAIL_DIVERGES, ORACLE_converge, "tail-state", NULL);
	assert_only(r, ORACLE_converge);
	free(r);
}

static void test_broken(void **state)
{
	struct result *r = sweep(HANG);

	(void)state;
	assert_found(r, HANG, ORACLE_hang, "steps", "op=4.page@pgd_alloc_pgd:1");
	assert_only(r, ORACLE_hang);
	assert_int_equal(r->stats.ops, NR_OPS);
	assert_int_equal(r->stats.masked, 0);
	free(r);

	r = sweep(BROKEN_SILENT);
	assert_found(r, BROKEN_SILENT, ORACLE_crash, "broken", "op=4.page@pgd_alloc_pgd:1");
	assert_only(r, ORACLE_crash);
	free(r);

	r = sweep(INVARIANT);
	assert_found(r, INVARIANT, ORACLE_invariant, "G-99", "op=4.page@pgd_alloc_pgd:1");
	assert_only(r, ORACLE_invariant);
	free(r);
}

static void test_benign(void **state)
{
	struct result *r = sweep(FALLBACK_OUTCOME);

	(void)state;
	assert_found(r, FALLBACK_OUTCOME, ORACLE_swallowed, "fallback-outcome",
		     "op=4.slab@anon_vma_clone_nowait:1");
	assert_only(r, ORACLE_swallowed);
	assert_int_equal(r->stats.benign, NR_BENIGN);
	free(r);

	r = sweep(FALLBACK_STATE);
	assert_found(r, FALLBACK_STATE, ORACLE_digest, "fallback-state", NULL);
	assert_only(r, ORACLE_digest);
	free(r);

	for (u32 modes = 0; modes <= SWEEP_REPLAY; modes += SWEEP_REPLAY) {
		r = sweep_with(program, NR_OPS, FALLBACK_LEAK, 0, modes, 0);
		assert_found(r, FALLBACK_LEAK, ORACLE_census, "objects",
			     "op=4.slab@anon_vma_clone_nowait:1");
		assert_only(r, ORACLE_census);
		free(r);
	}
}

/* Hidden in place by the tables of an earlier attempt, found on a cold machine. */
static void test_masked_in_place(void **state)
{
	struct result *r = sweep_with(program, NR_OPS, COLD_ONLY, 0, SWEEP_INPLACE, 0);

	(void)state;
	assert_int_equal(r->nr_found, 0);
	free(r);

	r = sweep(COLD_ONLY);
	assert_found(r, COLD_ONLY, ORACLE_invariant, "G-99", "op=5.page@pte_alloc_pte:3");
	assert_only(r, ORACLE_invariant);
	assert_int_equal(r->stats.masked, 0);
	free(r);
}

/* What a single fault does not do is reported, but not as confirmed; a pair of them is. */
static void test_artefact(void **state)
{
	struct result *r = sweep(TWO_FAULTS);
	const struct finding *f;

	(void)state;
	assert_int_equal(r->ret, 0);
	f = assert_found(r, NO_BUG, ORACLE_refcount, "two", NULL);
	assert_true(f->nr_faults > 1);
	free(r);

	options.single = true;
	r = sweep(TWO_FAULTS);
	options.single = false;
	assert_int_equal(r->ret, 0);
	assert_int_equal(r->stats.findings, 0);
	assert_true(r->stats.artefacts > 0);
	for (u32 i = 0; i < r->nr_found; i++) {
		assert_int_equal(r->found[i].oracle, ORACLE_refcount);
		assert_false(r->found[i].confirmed);
	}
	free(r);
}

/* A process per point gives the same counts, and finds what the other modes find. */
static void test_fork(void **state)
{
	struct result *both = sweep(NO_BUG);
	struct result *r = sweep_with(program, NR_OPS, NO_BUG, 0, SWEEP_FORK, 0);

	(void)state;
	assert_int_equal(r->ret, 0);
	assert_int_equal(r->nr_found, 0);
	assert_int_equal(r->stats.met, both->stats.met);
	assert_int_equal(r->stats.delivered, both->stats.met);
	assert_int_equal(r->stats.benign, NR_BENIGN);
	assert_int_equal(r->stats.verified, both->stats.verified);
	assert_int_equal(r->stats.crashes, 0);
	assert_true(r->children >= r->stats.met);
	assert_int_equal(r->stats.pairs, both->stats.pairs);
	assert_int_equal(r->stats.persistent, both->stats.persistent);
	assert_int_equal(r->stats.persistent_same, both->stats.persistent_same);
	assert_true(r->stats.pairs && r->stats.persistent);
	free(both);
	free(r);

	r = sweep_with(program, NR_OPS, STATE, 0, SWEEP_FORK, 0);
	assert_found(r, STATE, ORACLE_digest, field_key(), "op=4.page@pgd_alloc_pgd:1");
	assert_only(r, ORACLE_digest);
	free(r);
	r = sweep_with(program, NR_OPS, LEAK, 0, SWEEP_FORK, 0);
	assert_found(r, LEAK, ORACLE_census, "objects", "op=4.page@pgd_alloc_pgd:1");
	assert_only(r, ORACLE_census);
	free(r);
	r = sweep_with(program, NR_OPS, FALLBACK_STATE, 0, SWEEP_FORK, 0);
	assert_found(r, FALLBACK_STATE, ORACLE_digest, "fallback-state", NULL);
	free(r);
}

/* What kills the process takes nothing with it but its own point. */
static void test_dies(void **state)
{
	static const u8 forks[] = {MAP, TOUCH, MAP, MAP, FORK, MAP, FORK, TOUCH, LOOP};
	struct result *r = sweep_with(forks, ARRAY_SIZE(forks), DIES, 0, SWEEP_FORK, 0);
	struct result *good = sweep_with(forks, ARRAY_SIZE(forks), NO_BUG, 0, SWEEP_FORK, 0);
	const struct finding *f;
	char key[8];

	(void)state;
	snprintf(key, sizeof(key), "%d", SIGKILL);
	assert_int_equal(r->ret, 0);
	assert_int_equal(r->stats.met, good->stats.met);
	assert_int_equal(r->stats.delivered + r->stats.masked, good->stats.met);
	/* four VMAs, twice: the last three of each, and the end; a context dies four times */
	assert_in_range(r->stats.masked, 0, 2);
	assert_true(r->stats.crashes >= 8);
	f = assert_found(r, NO_BUG, ORACLE_crash, key, NULL);
	assert_int_equal(f->op, 4);
	assert_false(f->by_sweep);
	assert_only(r, ORACLE_crash);
	for (u32 i = 0; i < FL_NR_SITES; i++)
		assert_int_equal(r->stats.sites.site_met[i] != 0,
				 good->stats.sites.site_met[i] != 0);
	free(r);

	r = sweep_with(forks, ARRAY_SIZE(forks), DIES_LATE, 0, SWEEP_FORK, 0);
	f = assert_found(r, NO_BUG, ORACLE_crash, key, "op=0.slab@mmap_region_vma:1");
	assert_true(f->by_sweep);
	assert_int_equal(r->stats.delivered, good->stats.met);
	free(r);
	free(good);

	/* without help there are no children */
	struct dummy *d = dummy_new(program, NR_OPS, NO_BUG);
	struct subject s = {.ops = &dummy_ops, .priv = d, .fi = &d->fi};
	const struct sweep_options opt = {.modes = SWEEP_FORK};
	struct sweep_stats stats;

	r = calloc(1, sizeof(*r));
	assert_int_equal(sweep_run(&s, &opt, on_finding, r, &stats), -EOPNOTSUPP);
	free(r);
	free(d);
}

/* More than one fault in an attempt. */
static void test_trials(void **state)
{
	static const u8 flush_ops[] = {MAP, FLUSH, TOUCH, FLUSH};
	struct result *r = sweep(PAIR);
	const struct finding *f;

	(void)state;
	f = assert_found(r, PAIR, ORACLE_invariant, "G-99",
			 "op=4.slab@anon_vma_clone_nowait:1,op=4.slab@anon_vma_clone_avc:1");
	assert_int_equal(f->nr_faults, 2);
	assert_only(r, ORACLE_invariant);
	free(r);
	r = sweep_with(program, NR_OPS, PAIR, 0, SWEEP_FORK, 0);
	f = assert_found(r, PAIR, ORACLE_invariant, "G-99",
			 "op=4.slab@anon_vma_clone_nowait:1,op=4.slab@anon_vma_clone_avc:1");
	assert_true(f->confirmed);
	free(r);
	r = sweep_with(program, NR_OPS, ALL_AFTER, 0, SWEEP_FORK, 0);
	assert_found(r, ALL_AFTER, ORACLE_invariant, "G-99", NULL);
	free(r);

	r = sweep(ALL_AFTER);
	f = assert_found(r, ALL_AFTER, ORACLE_invariant, "G-99", NULL);
	assert_int_equal(f->nr_faults, 3);
	assert_true(!strcmp(f->plan, "op=9.any:*") || !strcmp(f->plan, "op=9.page:*"));
	free(r);

	r = sweep_with(flush_ops, ARRAY_SIZE(flush_ops), ALL_OF_CLASS, 0, 0, 0);
	f = assert_found(r, ALL_OF_CLASS, ORACLE_invariant, "G-99", "op=1.page:*");
	assert_int_equal(f->nr_faults, 2);
	free(r);

	r = sweep(FALLBACK_SKIPS);
	assert_found(r, FALLBACK_SKIPS, ORACLE_swallowed, "fallback-request",
		     "op=4.slab@anon_vma_clone_nowait:1");
	assert_only(r, ORACLE_swallowed);
	free(r);

	r = sweep(EXIT_ASKS);
	f = assert_found(r, NO_BUG, ORACLE_expect, "exit-asks", NULL);
	assert_true(f->by_sweep);
	assert_only(r, ORACLE_expect);
	free(r);

	/* a single fault each finds none of them */
	options.single = true;
	for (enum bug bug = PAIR; bug <= ALL_OF_CLASS; bug++) {
		r = sweep(bug);
		assert_int_equal(r->nr_found, 0);
		assert_int_equal(r->stats.pairs + r->stats.persistent + r->stats.whole, 0);
		free(r);
	}
	options.single = false;
}

/* Pairs of requests that come without a fault as well are for those who ask. */
/* The subject's sums clear an attempt; each 64th is walked all the same, and so is the judge's. */
static void test_sums(void **state)
{
	static u8 ops[MAX_OPS];
	const struct finding *f;
	struct result *r;

	(void)state;
	for (u32 i = 0; i < 100; i++)
		ops[i] = i ? FORK : MAP;
	r = sweep_with(ops, 100, NO_BUG, 0, 0, 0);
	assert_int_equal(r->nr_found, 0);
	assert_true(r->stats.sealed > 3 * 99);
	assert_true(r->stats.sealed_walked >= r->stats.sealed / 64);
	assert_true(r->stats.sealed_walked < r->stats.sealed / 4);
	free(r);
	r = sweep_with(ops, 100, BLIND_SUMS, 0, 0, 0);
	f = assert_found(r, NO_BUG, ORACLE_digest, "sums", NULL);
	assert_true(f->confirmed);
	assert_true(f->by_sweep);
	free(r);
}

/*
 * A table that stays when the page behind it is refused makes the next attempt ask for less: what
 * it asks first then has a context that nothing else has, and is refused there, too.
 */
static void test_retries(void **state)
{
	static const u8 ops[] = {MAP, TOUCH};
	struct result *r = sweep_with(ops, ARRAY_SIZE(ops), NO_BUG, 0, 0, 0);
	const struct finding *f;

	(void)state;
	assert_int_equal(r->nr_found, 0);
	/* the lower table first, the page after it, and the page first */
	assert_int_equal(r->stats.retries, 3);
	assert_int_equal(r->stats.retries_masked, 0);
	free(r);

	options.single = true;
	r = sweep_with(ops, ARRAY_SIZE(ops), REFUSED_AGAIN, 0, 0, 0);
	assert_int_equal(r->nr_found, 0);
	assert_int_equal(r->stats.retries, 0);
	free(r);
	options.single = false;

	r = sweep_with(ops, ARRAY_SIZE(ops), REFUSED_AGAIN, 0, 0, 0);
	f = assert_found(r, NO_BUG, ORACLE_invariant, "G-99",
			 "op=1.page@pte_alloc_pte:1,op=1.page@pte_alloc_pte:1");
	assert_int_equal(f->nr_faults, 2);
	assert_true(f->confirmed);
	assert_true(f->by_sweep);
	free(r);
}

static void test_pairs(void **state)
{
	struct result *r = sweep(PAIR_GOLDEN);

	(void)state;
	assert_int_equal(r->nr_found, 0);
	free(r);

	options.pairs = true;
	r = sweep(PAIR_GOLDEN);
	assert_found(r, PAIR_GOLDEN, ORACLE_invariant, "G-99",
		     "op=9.page@preallocate_pmds_pmd:1,op=9.page@preallocate_pmds_pmd:3");
	assert_int_equal(r->stats.pairs_left, 0);
	assert_true(r->stats.pairs > 3);
	/*
	 * Two states: a prefix is protected, the task is gone. From the first the loop's three
	 * points and the exec's and the map's are met again; most others leave no trace.
	 */
	assert_int_equal(r->stats.cross_states, 2);
	assert_int_equal(r->stats.cross_met, 4 + 2 + 3);
	assert_int_equal(r->stats.cross_delivered, r->stats.cross_met);
	assert_int_equal(r->stats.cross_same, 2 + 3);
	assert_int_equal(r->stats.cross_left, 0);
	assert_true(r->stats.cross_equal > 100);
	free(r);
	options.pairs = false;
}

/* What one fault has left is where another strikes, operations later. */
static void test_cross(void **state)
{
	struct result *r = sweep(CROSS);
	const struct finding *f;

	(void)state;
	assert_int_equal(r->nr_found, 0);
	assert_int_equal(r->stats.cross_states + r->stats.cross_equal, 0);
	free(r);

	options.pairs = true;
	r = sweep(CROSS);
	f = assert_found(r, CROSS, ORACLE_invariant, "G-99",
			 "op=6.slab@split_vma_vma:2,op=9.page@preallocate_pmds_pmd:1");
	assert_int_equal(f->nr_faults, 2);
	assert_int_equal(f->faults[0].op, 6);
	assert_int_equal(f->faults[1].op, 9);
	assert_only(r, ORACLE_invariant);
	free(r);
	options.pairs = false;
}

/* Of very many alike some are failed, the last among them, and the rest is counted. */
static void test_pruned(void **state)
{
	static const u8 ops[] = {MAP, MANY, TOUCH};
	struct result *r = sweep_with(ops, ARRAY_SIZE(ops), NO_BUG, 0, 0, 0);
	u64 all = r->stats.met;

	(void)state;
	/* the first two have contexts of their own */
	assert_int_equal(r->stats.delivered, all - (NR_MANY - 2 - SWEEP_LIKE));
	assert_int_equal(r->stats.pruned, NR_MANY - 2 - SWEEP_LIKE);
	free(r);

	options.like = 16;
	r = sweep_with(ops, ARRAY_SIZE(ops), INVARIANT, 0, 0, 0);
	assert_int_equal(r->stats.met, all);
	assert_int_equal(r->stats.pruned, NR_MANY - 2 - 16);
	assert_found(r, NO_BUG, ORACLE_invariant, "G-99", "op=1.page@filemap_page:1000");
	free(r);

	options.like = UINT32_MAX;
	r = sweep_with(ops, ARRAY_SIZE(ops), NO_BUG, 0, 0, 0);
	assert_int_equal(r->stats.delivered, all);
	free(r);
	options.like = 0;
}

static void test_not_deterministic(void **state)
{
	static const struct {
		enum bug bug;
		const char *class_key;
		u32 op;
	} rows[] = {
		{RANDOM_OUTCOME, "golden-outcome", 2},
		{RANDOM_POINTS, "golden-points", 1},
		{RANDOM_SITE, "golden-points", 1},
		{RANDOM_STATE, "golden-digest", 2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct result *r = sweep(rows[i].bug);

		assert_int_equal(r->ret, -EBADMSG);
		assert_int_equal(r->nr_found, 1);
		assert_int_equal(r->found[0].oracle, ORACLE_converge);
		assert_string_equal(r->found[0].class_key, rows[i].class_key);
		assert_int_equal(r->found[0].op, rows[i].op);
		assert_int_equal(r->stats.delivered, 0);
		assert_int_equal(r->stats.sites.delivered, 0);
		assert_string_equal(r->why, "the sweep ended early");
		free(r);
	}
}

/* What is wrong without a fault is said once, without a plan, and the sweep goes on. */
static void test_golden_bugs(void **state)
{
	struct result *r = sweep(GOLDEN_WRONG);
	const struct finding *f;

	(void)state;
	f = assert_found(r, GOLDEN_WRONG, ORACLE_expect, "value", "");
	assert_int_equal(f->nr_faults, 0);
	assert_int_equal(r->nr_found, 1);
	assert_int_equal(r->stats.delivered, r->stats.met);
	assert_int_equal(r->ret, 0);
	free(r);

	r = sweep(GOLDEN_LEAK);
	assert_found(r, GOLDEN_LEAK, ORACLE_census, "objects", "");
	assert_int_equal(r->nr_found, 1);
	free(r);

	/* Swept up to the operation that breaks. */
	r = sweep(GOLDEN_BROKEN);
	assert_found(r, GOLDEN_BROKEN, ORACLE_crash, "bug", "");
	assert_int_equal(r->nr_found, 1);
	assert_int_equal(r->stats.ops, 6);
	assert_int_equal(r->stats.met, 2 + 3 + 2 + 2 + 7 + 5);
	assert_int_equal(r->stats.delivered, r->stats.met);
	free(r);
}

/* A bug in every operation does not make the sweep quadratic: a context is given up in the end. */
static void test_many_findings(void **state)
{
	u8 ops[MAX_OPS];
	struct result *r;

	(void)state;
	memset(ops, MAP, sizeof(ops));
	r = sweep_with(ops, MAX_OPS, COUNTER, 0, 0, 0);
	assert_found(r, NO_BUG, ORACLE_digest, field_key(), "op=0.slab@mmap_region_vma:1");
	assert_int_equal(r->ret, 0);
	assert_int_equal(r->nr_found, 1);
	assert_true(r->stats.masked > 0);
	assert_string_equal(r->why, "its context has findings enough");
	assert_true(r->stats.replay_ops < 40 * MAX_OPS);
	free(r);
}

/* Stopped anywhere, the books are in order. */
static void test_stop(void **state)
{
	u32 stopped = 0;

	(void)state;
	for (u32 after = 1; after < 1000; after++) {
		struct result *r = sweep_with(program, NR_OPS, NO_BUG, 0, 0, after);

		if (!r->ret) {
			free(r);
			break;
		}
		assert_int_equal(r->ret, -EINTR);
		assert_int_equal(r->nr_found, 0);
		stopped++;
		free(r);
	}
	assert_in_range(stopped, 30, 998);
}

static void test_books(void **state)
{
	struct result *r = sweep(MISCOUNTED);

	(void)state;
	assert_int_equal(r->ret, -EPROTO);
	free(r);
}

/* The golden state before each operation, put back for each point. */
static void test_snapshot(void **state)
{
	static const struct {
		enum bug bug;
		enum oracle oracle;
		const char *class_key;
	} rows[] = {
		{LEAK, ORACLE_census, "objects"},
		{SWALLOW, ORACLE_swallowed, "success"},
		{HANG, ORACLE_hang, "steps"},
		{RETRY_FAILS, ORACLE_converge, "outcome"},
		{FALLBACK_STATE, ORACLE_digest, "fallback-state"},
		{COLD_ONLY, ORACLE_invariant, "G-99"},
		{PAIR, ORACLE_invariant, "G-99"},
		{ALL_AFTER, ORACLE_invariant, "G-99"},
	};
	struct result *both = sweep(NO_BUG), *r;
	u32 modes = SWEEP_INPLACE | SWEEP_SNAPSHOT;

	(void)state;
	for (u32 with = 0; with < 2; with++) {
		r = sweep_with(program, NR_OPS, NO_BUG, 0, with ? modes : SWEEP_SNAPSHOT, 0);
		dump(r);
		assert_int_equal(r->ret, 0);
		assert_int_equal(r->nr_found, 0);
		assert_int_equal(r->stats.met, both->stats.met);
		assert_int_equal(r->stats.delivered, both->stats.met);
		assert_int_equal(r->stats.verified, both->stats.verified);
		assert_int_equal(r->stats.pairs, both->stats.pairs);
		assert_true(r->stats.whole >= both->stats.whole);
		assert_true(r->stats.restored > 0);
		free(r);
	}
	free(both);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (u32 with = 0; with < 2; with++) {
			r = sweep_with(program, NR_OPS, rows[i].bug, 0,
				       with ? modes : SWEEP_SNAPSHOT, 0);
			assert_found(r, rows[i].bug, rows[i].oracle, rows[i].class_key, NULL);
			assert_only(r, rows[i].oracle);
			free(r);
		}
	}
	/* what is put down to a snapshot is no finding of a replay, and is not silent */
	r = sweep_with(program, NR_OPS, RESTORE_WRONG, 0, modes, 0);
	assert_int_equal(r->stats.findings, 0);
	assert_true(r->stats.artefacts > 0);
	free(r);

	/* asked for alone where there are none */
	struct dummy *d = dummy_new(program, NR_OPS, NO_BUG);
	struct subject s = {.ops = &dummy_ops, .priv = d, .fi = &d->fi};
	const struct sweep_options opt = {.modes = SWEEP_SNAPSHOT};
	struct sweep_stats stats;

	r = calloc(1, sizeof(*r));
	assert_int_equal(sweep_run(&s, &opt, on_finding, r, &stats), -EOPNOTSUPP);
	free(r);
	free(d);
}

/* Two sweeps of the same say the same. */
static void test_repeats(void **state)
{
	(void)state;
	for (enum bug bug = NO_BUG; bug <= TWO_FAULTS; bug++) {
		if (bug == DIES || bug == DIES_LATE)
			continue;
		struct result *a = sweep(bug), *b = sweep(bug);

		assert_memory_equal(&a->stats, &b->stats, sizeof(a->stats));
		assert_int_equal(a->nr_found, b->nr_found);
		for (u32 i = 0; i < a->nr_found; i++) {
			assert_string_equal(a->found[i].plan, b->found[i].plan);
			assert_string_equal(a->found[i].what, b->found[i].what);
		}
		free(a);
		free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_books),
		cmocka_unit_test(test_correct),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_leak),
		cmocka_unit_test(test_outcome_bugs),
		cmocka_unit_test(test_state_bugs),
		cmocka_unit_test(test_retry_bugs),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_benign),
		cmocka_unit_test(test_masked_in_place),
		cmocka_unit_test(test_artefact),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_dies),
		cmocka_unit_test(test_trials),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_retries),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_cross),
		cmocka_unit_test(test_pruned),
		cmocka_unit_test(test_not_deterministic),
		cmocka_unit_test(test_golden_bugs),
		cmocka_unit_test(test_many_findings),
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_repeats),
	};

	return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
