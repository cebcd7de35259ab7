/* SPDX-License-Identifier: GPL-2.0-only */
/* The executor: what it runs, skips and judges, and that each of its oracles fires. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compare.h"
#include "internal.h"

#define MAX_FOUND 16u

struct bench {
	struct program p;
	struct fi fi;
	struct target t;
	struct finding found[MAX_FOUND];
	u32 nr_found;
	struct outcome out[64]; /* of each operation of the last run */
};

static void on_finding(void *priv, const struct finding *f)
{
	struct bench *b = priv;

	if (b->nr_found < MAX_FOUND)
		b->found[b->nr_found] = *f;
	b->nr_found++;
}

static void on_event(void *priv, const struct target_event *ev)
{
	struct bench *b = priv;

	if (ev->op < ARRAY_SIZE(b->out))
		b->out[ev->op] = *ev->out;
}

static struct bench *setup(const char *text, enum check_level check, const char *alloc)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct target_options opt = {
		.alloc = fl_allocator_find(alloc),
		.check = check,
		.expectations = true,
		.event = on_event,
	};
	struct prog_error err;

	assert_non_null(b);
	if (program_parse(&b->p, text, strlen(text), &err))
		fail_msg("line %u: %s", err.line, err.what);
	machine_config_init(&opt.machine);
	assert_int_equal(program_machine(&b->p, &opt.machine, &err), 0);
	opt.fi = &b->fi;
	opt.event_priv = b;
	fi_init(&b->fi);
	assert_int_equal(target_init(&b->t, &b->p, &opt, on_finding, b), 0);
	return b;
}

static void done(struct bench *b)
{
	target_fini(&b->t);
	program_free(&b->p);
	free(b);
}

static struct fi_plan plan_of(const char *text)
{
	struct fi_plan plan;
	char why[128];

	if (fi_plan_parse(text, strlen(text), &plan, why, sizeof(why)))
		fail_msg("%s", why);
	return plan;
}

static struct target_result run(struct bench *b, const char *plan_text)
{
	struct target_result res;
	struct fi_plan plan;

	if (plan_text)
		plan = plan_of(plan_text);
	assert_int_equal(target_run(&b->t, plan_text ? &plan : NULL, &res), 0);
	return res;
}

#define HEAD "# faultline 1\n"

/* ---- running -------------------------------------------------------------------------------- */

static void test_contract_example(void **state)
{
	struct bench *b = setup(HEAD "machine levels=3 kernel_pmd=private cpus=2\n"
				     "t0: r0 = mmap(0x0, 8p, rw, private|anon)\n"
				     "t0: write(r0+1p, 0x11)\n"
				     "t0: t1 = fork() !page:3 = -ENOMEM\n"
				     "t0: t2 = fork()\n"
				     "t2: write(r0+1p, 0x22)\n"
				     "t0: read(r0+1p) = 0x11\n"
				     "t2: exit()\n",
				CHECK_FULL, "malloc");
	struct target_result res = run(b, NULL);

	(void)state;
	assert_int_equal(b->nr_found, 0);
	assert_int_equal(res.ops, 7);
	assert_int_equal(res.delivered, 1);
	assert_int_equal(b->out[2].kind, OUT_ERRNO);
	assert_int_equal(b->out[2].value, -ENOMEM);
	assert_int_equal(b->out[3].value, 2);
	assert_int_equal(b->out[5].value, 0x11);
	done(b);
}

static void test_window_on_every_geometry(void **state)
{
	static const char *const machines[] = {"levels=4", "levels=4 paravirt=xen ptl_objects=1",
					       "levels=3 kernel_pmd=private",
					       "levels=3 kernel_pmd=shared"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		char text[512];
		struct bench *b;

		snprintf(text, sizeof(text),
			 HEAD "machine %s\n"
			      "t0: mmap(w, 4p, rw, private|anon|fixed) = w\n"
			      "t0: write(w+3p, 7)\n"
			      "t0: read(w+3p) = 7\n"
			      "t0: write(stack-1p, 1) = 0\n"
			      "t0: read(w+4p) = SIGSEGV\n",
			 machines[i]);
		b = setup(text, CHECK_FULL, "malloc");
		run(b, NULL);
		assert_int_equal(b->nr_found, 0);
		done(b);
	}
}

static void test_skipped(void **state)
{
	struct bench *b = setup(HEAD "t0: r0 = mmap(0x1, 0, rw, private|anon) = -EINVAL\n"
				     "t0: read(r0) = skip\n"
				     "t0: t1 = fork() !slab:1 = -ENOMEM\n"
				     "t1: yield() = skip\n"
				     "t0: t2 = vfork()\n"
				     "t0: yield() = skip\n"
				     "t2: exit()\n"
				     "t2: yield() = skip\n"
				     "t0: yield() = 0\n"
				     "t0: f0 = open(1p, r)\n"
				     "t0: close(f0)\n"
				     "t0: close(f0) = skip\n"
				     "t0: mmap(w, 1p, r, private, f0) = skip\n"
				     "t0: t3 = kthread()\n"
				     "t3: write(w, 1) = skip\n"
				     "t3: yield() = 0\n",
				CHECK_FULL, "malloc");
	struct target_result res = run(b, NULL);

	(void)state;
	assert_int_equal(b->nr_found, 0);
	assert_int_equal(res.ops, 9);
	done(b);
}

static void test_teardown_orders(void **state)
{
	static const char *const orders[] = {"newest", "oldest", "shuffle:1", "shuffle:77"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		char text[512];
		struct bench *b;

		/* t0 waits for t1, which waits for t2: the oldest cannot be first */
		snprintf(text, sizeof(text),
			 HEAD "machine cpus=2 teardown=%s\n"
			      "t0: write(stack-1p, 1)\n"
			      "t0: t1 = vfork()\n"
			      "t1: t2 = vfork()\n"
			      "t2: t3 = fork()\n"
			      "t3: t4 = kthread()\n"
			      "t3: f0 = open(4p, rw)\n",
			 orders[i]);
		b = setup(text, CHECK_FULL, "malloc");
		run(b, NULL);
		assert_int_equal(b->nr_found, 0);
		done(b);
	}
}

static void test_max_ops(void **state)
{
	struct bench *b =
		setup(HEAD "t0: yield()\nt0: yield()\nt0: exit()\n", CHECK_FULL, "malloc");
	struct target_result res;

	(void)state;
	b->t.opt.max_ops = 2;
	res = run(b, NULL);
	assert_int_equal(res.ops, 2);
	assert_true(res.truncated);
	b->t.opt.max_ops = 3;
	res = run(b, NULL);
	assert_int_equal(res.ops, 3);
	assert_false(res.truncated);
	done(b);
}

/* What is left out follows from what there is to look at, not from the time. */
static void test_work_is_bounded(void **state)
{
	struct bench *b = setup(HEAD "t0: t1 = fork()\nt0: t2 = fork()\nt0: t3 = fork()\n"
				     "t0: t4 = fork()\n",
				CHECK_TOUCHED, "malloc");
	struct target_result res, again;

	(void)state;
	b->t.opt.max_work = 250;
	res = run(b, NULL);
	again = run(b, NULL);
	assert_true(res.truncated);
	assert_in_range(res.ops, 1, 3);
	assert_int_equal(res.findings, 0);
	assert_int_equal(again.ops, res.ops);
	assert_int_equal(again.trace_hash, res.trace_hash);
	b->t.opt.max_work = 0;
	res = run(b, NULL);
	assert_false(res.truncated);
	done(b);
}

/* ---- trace_hash ----------------------------------------------------------------------------- */

#define FORKS                                        \
	"t0: r0 = mmap(0x0, 3p, rw, private|anon)\n" \
	"t0: write(r0, 5)\n"                         \
	"t0: t1 = fork()\n"                          \
	"t1: write(r0, 6)\n"

static u64 hash_of(const char *text, const char *alloc, const char *plan)
{
	struct bench *b = setup(text, CHECK_TOUCHED, alloc);
	u64 hash = run(b, plan).trace_hash;

	assert_int_equal(run(b, plan).trace_hash, hash);
	done(b);
	return hash;
}

static void test_trace_hash(void **state)
{
	u64 hash = hash_of(HEAD FORKS, "malloc", NULL);

	(void)state;
	assert_int_equal(hash_of(HEAD FORKS, "arena", NULL), hash);
	assert_int_equal(hash_of(HEAD "# a comment\n" FORKS, "malloc", NULL), hash);
	/* never met */
	assert_int_equal(hash_of(HEAD FORKS, "malloc", "page:1000"), hash);
	assert_int_not_equal(hash_of(HEAD FORKS, "malloc", "page:3"), hash);
	assert_int_not_equal(hash_of(HEAD FORKS "t0: read(r0)\n", "malloc", NULL), hash);
	assert_int_not_equal(hash_of(HEAD FORKS "t1: write(r0, 7)\n", "malloc", NULL),
			     hash_of(HEAD FORKS "t1: write(r0, 8)\n", "malloc", NULL));
}

/* ---- plans, marks, expectations ------------------------------------------------------------- */

static void test_plan_and_marks(void **state)
{
	struct bench *b =
		setup(HEAD FORKS "t0: t2 = fork() !slab@dup_mmap_vma:2\n", CHECK_FULL, "malloc");
	char marks[1024] = HEAD "t0: t1 = fork()";
	struct target_result res;
	struct fi_plan plan = plan_of("op=2.slab@dup_mmap_vma:1");

	(void)state;
	res = run(b, NULL);
	assert_int_equal(res.delivered, 1);
	assert_int_equal(b->out[2].kind, OUT_OK);
	assert_int_equal(b->out[4].kind, OUT_ERRNO);
	res = run(b, "op=2.slab@dup_mmap_vma:1");
	assert_int_equal(res.delivered, 2);
	assert_int_equal(b->out[2].kind, OUT_ERRNO);
	assert_int_equal(b->out[3].kind, OUT_SKIPPED);
	assert_int_equal(b->nr_found, 0);
	done(b);

	for (u32 i = 0; i < FI_MAX_ITEMS; i++)
		strcat(marks, " !page:3");
	b = setup(strcat(marks, "\n"), CHECK_FULL, "malloc");
	run(b, NULL);
	assert_int_equal(target_run(&b->t, &plan, &res), -E2BIG);
	done(b);
}

/* What a profile does otherwise is judged under that profile alone, whatever chose it. */
static void test_expect_of_a_profile(void **state)
{
	static const char *const machines[] = {"", "machine profile=linux-4.4\n",
					       "machine profile=linux-6.18\n"};
	static const char ops[] = "t0: mlockall(onfault) = 0 | linux-6.18: -EINVAL\n"
				  "t0: mlockall(onfault) = -EINVAL | linux-6.18: 0\n"
				  "t0: munlockall() = 0 | linux-4.4: 0\n";

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(machines); i++) {
		char text[512];
		struct bench *b;

		snprintf(text, sizeof(text), HEAD "%s%s", machines[i], ops);
		b = setup(text, CHECK_FULL, "malloc");
		run(b, NULL);
		assert_int_equal(b->nr_found, 1);
		assert_int_equal(b->found[0].oracle, ORACLE_expect);
		assert_int_equal(b->found[0].op, 1);
		assert_string_equal(b->found[0].expected, i == 2 ? "0x0" : "-EINVAL");
		assert_string_equal(b->found[0].actual, i == 2 ? "-EINVAL" : "0x0");
		done(b);
	}
}

static void test_expect_fires(void **state)
{
	struct bench *b = setup(HEAD "t0: mmap(w, 1p, rw, private|anon|fixed) = w+1p\n"
				     "t0: write(w, 3)\n"
				     "t0: read(w) = 4\n"
				     "t0: yield() = skip\n",
				CHECK_FULL, "malloc");

	(void)state;
	run(b, NULL);
	assert_int_equal(b->nr_found, 3);
	assert_int_equal(b->found[0].oracle, ORACLE_expect);
	assert_int_equal(b->found[1].op, 2);
	assert_string_equal(b->found[1].name, "read");
	assert_string_equal(b->found[1].expected, "0x4");
	assert_string_equal(b->found[1].actual, "0x3");

	/* a fault from outside excuses what comes after it */
	b->nr_found = 0;
	run(b, "op=0.slab:1");
	assert_int_equal(b->nr_found, 0);

	b->t.opt.expectations = false;
	run(b, NULL);
	assert_int_equal(b->nr_found, 0);
	done(b);
}

static void test_findings_carry_their_plan(void **state)
{
	struct bench *b = setup(HEAD "t0: t1 = fork() !slab@dup_mmap_vma:2\n"
				     "t0: yield() = skip\n",
				CHECK_FULL, "malloc");
	char line[512];

	(void)state;
	run(b, NULL);
	assert_int_equal(b->nr_found, 1);
	assert_string_equal(b->found[0].plan, "op=0.slab@dup_mmap_vma:2");
	assert_int_equal(b->found[0].nr_faults, 1);
	finding_line(&b->found[0], line, sizeof(line));
	assert_non_null(strstr(line, "FAULTLINE: expect: "));
	assert_non_null(strstr(line, " at op 1 yield [injected: slab@dup_mmap_vma #2] bucket="));
	done(b);
}

/* ---- oracles, each made to fire by damage done between two operations ----------------------- */

/* Runs the operations before `op`, so that the machine can be damaged. */
static void run_to(struct bench *b, u32 op)
{
	struct outcome out;

	assert_int_equal(target_subject.reset(&b->t), 0);
	for (u32 i = 0; i < op; i++)
		target_subject.apply(&b->t, i, &out);
	assert_int_equal(b->nr_found, 0);
}

static u8 apply(struct bench *b, u32 op)
{
	struct outcome out;

	target_subject.apply(&b->t, op, &out);
	return out.kind;
}

#define MAPPED                                           \
	HEAD "t0: mmap(w, 2p, rw, private|anon|fixed)\n" \
	     "t0: write(w, 1)\n"                         \
	     "t0: t1 = fork()\n"                         \
	     "t0: munmap(w, 2p)\n"

static void test_invariant_fires(void **state)
{
	static const enum check_level levels[] = {CHECK_TOUCHED, CHECK_FULL};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		struct bench *b = setup(MAPPED, levels[i], "malloc");

		run_to(b, 1);
		b->t.tasks[0].tsk->mm->total_vm++;
		assert_int_equal(apply(b, 1), OUT_BROKEN);
		assert_int_equal(b->nr_found, 1);
		assert_int_equal(b->found[0].oracle, ORACLE_invariant);
		assert_non_null(strstr(b->found[0].what, "G-13 total_vm"));
		assert_int_equal(b->found[0].op, 1);
		/* nothing touches that machine any more */
		assert_int_equal(apply(b, 2), OUT_BROKEN);
		assert_int_equal(target_subject.teardown(&b->t), 0);
		done(b);
	}
}

/* It would see by itself what a check level leaves out. */
static void without_model(struct bench *b)
{
	compare_free(b->t.cmp);
	b->t.cmp = NULL;
}

static void test_check_levels(void **state)
{
	struct bench *b = setup(MAPPED, CHECK_OFF, "malloc");

	(void)state;
	without_model(b);
	run_to(b, 1);
	b->t.tasks[0].tsk->mm->total_vm++;
	assert_int_equal(apply(b, 1), OUT_OK);
	assert_int_equal(b->nr_found, 0);
	assert_true(target_subject.check(&b->t) > 0);
	assert_int_equal(b->nr_found, 1);
	done(b);

	/* what needs every mm is not looked at after a plain operation, but after a fork */
	b = setup(MAPPED, CHECK_TOUCHED, "malloc");
	without_model(b);
	run_to(b, 1);
	b->t.m->vm_committed_as++;
	assert_int_equal(apply(b, 1), OUT_OK);
	assert_int_equal(b->nr_found, 0);
	assert_int_equal(apply(b, 2), OUT_BROKEN);
	assert_int_equal(b->nr_found, 1);
	assert_non_null(strstr(b->found[0].what, "G-20"));
	done(b);
}

/* Of an mm with many tables an operation's own are looked into, and now and then all. */
static void test_touched_tables(void **state)
{
	struct bench *b = setup(HEAD "t0: mmap(w, 8192p, r, private|anon|fixed|populate)\n"
				     "t0: mprotect(w, 1p, none)\n"
				     "t0: read(w+8000p)\n"
				     "t0: mprotect(w+8001p, 1p, none)\n"
				     "t0: munmap(w+3p, 1p)\n",
				CHECK_TOUCHED, "malloc");
	struct page *pt;

	(void)state;
	run_to(b, 2);
	pt = pte_lookup(b->t.m, b->t.tasks[0].tsk->mm, TARGET_WINDOW);
	assert_non_null(pt);
	pt_set(pt, 1, pt_get(pt, 1) & ~_PAGE_USER);
	assert_int_equal(apply(b, 2), OUT_OK);
	assert_int_equal(apply(b, 3), OUT_OK);
	assert_int_equal(b->nr_found, 0);
	assert_int_equal(apply(b, 4), OUT_BROKEN);
	assert_int_equal(b->nr_found, 1);
	assert_non_null(strstr(b->found[0].what, "G-12"));
	done(b);
}

static void test_refcount_fires(void **state)
{
	struct bench *b = setup(HEAD "t0: exit()\n", CHECK_OFF, "malloc");

	(void)state;
	run_to(b, 0);
	atomic_set(&b->t.tasks[0].tsk->mm->mm_count, 0);
	assert_int_equal(apply(b, 0), OUT_BROKEN);
	assert_int_equal(b->nr_found, 1);
	assert_int_equal(b->found[0].oracle, ORACLE_refcount);
	assert_string_not_equal(b->found[0].func, "-");
	done(b);

	/* by recount */
	b = setup(HEAD "t0: yield()\n", CHECK_FULL, "malloc");
	run_to(b, 0);
	atomic_set(&b->t.tasks[0].tsk->mm->mm_users, 2);
	assert_int_equal(apply(b, 0), OUT_BROKEN);
	assert_int_equal(b->found[0].oracle, ORACLE_refcount);
	done(b);
}

static void test_lock_fires(void **state)
{
	struct bench *b = setup(MAPPED, CHECK_OFF, "malloc");

	(void)state;
	run_to(b, 1);
	b->t.tasks[0].tsk->mm->mmap_sem.writer = true;
	assert_int_equal(apply(b, 1), OUT_BROKEN);
	assert_int_equal(b->nr_found, 1);
	assert_int_equal(b->found[0].oracle, ORACLE_lock);
	done(b);
}

static void test_hang_fires(void **state)
{
	struct bench *b = setup(MAPPED, CHECK_OFF, "malloc");
	struct vm_area_struct *vma;

	(void)state;
	run_to(b, 2);
	/* a fork walks the list */
	vma = b->t.tasks[0].tsk->mm->mmap;
	vma->vm_next->vm_next = vma;
	for (; vma; vma = vma->vm_next == b->t.tasks[0].tsk->mm->mmap ? NULL : vma->vm_next)
		vma->vm_flags |= VM_DONTCOPY;
	assert_int_equal(apply(b, 2), OUT_BROKEN);
	assert_int_equal(b->nr_found, 1);
	assert_int_equal(b->found[0].oracle, ORACLE_hang);
	done(b);
}

/* Requests by the ten thousand: as a program of corpus/ a sweep of it would take hours. */
static void test_long_is_no_hang(void **state)
{
	struct bench *b = setup(HEAD "t0: f0 = open(60000p, rw)\n"
				     "t0: r0 = mmap(w, 60000p, r, private|populate, f0)\n",
				CHECK_OFF, "malloc");

	(void)state;
	run(b, NULL);
	assert_int_equal(b->nr_found, 0);
	assert_true(b->fi.stats.met > 60000);
	done(b);
}

static void test_stuck_task_fires(void **state)
{
	struct bench *b = setup(HEAD "t0: t1 = vfork()\nt1: exit()\n", CHECK_OFF, "malloc");

	(void)state;
	run_to(b, 2);
	b->t.tasks[0].tsk->state = TASK_VFORK_WAIT;
	assert_true(target_subject.teardown(&b->t) > 0);
	assert_int_equal(b->nr_found, 1);
	assert_int_equal(b->found[0].oracle, ORACLE_hang);
	assert_string_equal(b->found[0].class_key, "vfork-wait");
	done(b);
}

static void test_census_fires(void **state)
{
	struct bench *b = setup(HEAD "t0: yield()\n", CHECK_OFF, "malloc");

	(void)state;
	run_to(b, 1);
	b->t.cx.steps = 1000000;
	assert_non_null(mm_alloc(&b->t.cx));
	assert_true(target_subject.teardown(&b->t) > 0);
	assert_int_equal(b->nr_found, 1);
	assert_int_equal(b->found[0].oracle, ORACLE_census);
	assert_int_equal(b->found[0].op, UINT32_MAX);
	assert_string_equal(b->found[0].name, "teardown");
	done(b);
}

static void test_backend_census_fires(void **state)
{
	struct bench *b = setup(HEAD "t0: yield()\n", CHECK_OFF, "malloc");

	(void)state;
	run_to(b, 1);
	assert_non_null(b->t.opt.alloc->page_alloc(b->t.inst, 0, 0));
	assert_int_equal(target_subject.teardown(&b->t), 1);
	assert_int_equal(b->nr_found, 1);
	assert_int_equal(b->found[0].oracle, ORACLE_census);
	assert_string_equal(b->found[0].class_key, "backend-counts");
	done(b);
}

/* ---- reuse ---------------------------------------------------------------------------------- */

static void test_reuse_after_damage(void **state)
{
	struct bench *b = setup(MAPPED, CHECK_FULL, "malloc");
	struct target_result first = run(b, NULL), again;

	(void)state;
	run_to(b, 1);
	b->t.tasks[0].tsk->mm->total_vm++;
	assert_int_equal(apply(b, 1), OUT_BROKEN);
	b->nr_found = 0;
	again = run(b, NULL);
	assert_int_equal(b->nr_found, 0);
	assert_int_equal(again.trace_hash, first.trace_hash);
	done(b);
}

static void test_two_side_by_side(void **state)
{
	struct bench *a = setup(MAPPED, CHECK_FULL, "malloc");
	struct bench *b = setup(MAPPED, CHECK_FULL, "arena");

	(void)state;
	run_to(a, 2);
	run_to(b, 2);
	assert_int_equal(target_subject.digest(&a->t), target_subject.digest(&b->t));
	assert_int_equal(apply(a, 2), OUT_OK);
	assert_int_not_equal(target_subject.digest(&a->t), target_subject.digest(&b->t));
	assert_int_equal(apply(b, 2), OUT_OK);
	assert_int_equal(target_subject.digest(&a->t), target_subject.digest(&b->t));
	assert_int_equal(target_subject.teardown(&a->t), 0);
	assert_int_equal(target_subject.teardown(&b->t), 0);
	done(a);
	done(b);
}

static void test_little_memory(void **state)
{
	struct bench *b = setup(HEAD "machine mem=64\n" FORKS, CHECK_FULL, "malloc");

	(void)state;
	run(b, NULL);
	assert_int_equal(b->nr_found, 0);
	done(b);
}

static void test_cover(void **state)
{
	struct bench *b = setup(HEAD FORKS, CHECK_OFF, "malloc");
	struct cover *c = calloc(1, sizeof(*c));
	struct cover_key key = {SITE_dup_mm_mm, OP_fork, SITE_copy_signal_signal,
				SITE_copy_sighand_sighand};
	struct cover_entry *e;
	u32 nr;

	(void)state;
	assert_non_null(c);
	b->t.opt.cover = c;
	run(b, "op=2.slab@dup_mm_mm:1");
	run(b, NULL);
	nr = c->nr;
	e = cover_find(c, &key);
	assert_non_null(e);
	assert_int_equal(c->nr, nr);
	assert_int_equal(e->met, 2);
	assert_int_equal(e->failed, 1);
	done(b);

	/* a full table says so instead of growing */
	for (u32 i = 0; i < COVER_MAX; i++) {
		key.prev2 = (u16)i;
		cover_find(c, &key);
	}
	assert_int_equal(c->nr + c->lost, COVER_MAX + nr - 1);
	assert_true(c->lost > 0);
	free(c);
}

/*
 * A backend with slabs asks for pages of its own. Refused, the request that needed them fails, as
 * declared for that one; trace and number of requests are those of other backends.
 */
static void test_refill(void **state)
{
	char text[4096] = HEAD;
	struct target_result flat, res;
	struct bench *b;
	u32 i, refused = 0;

	(void)state;
	for (i = 0; i < 60; i++) /* VMAs that cannot join: more than a slab of them */
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "t0: mmap(w+%up, 1p, rw, private|anon|fixed)\n", 2 * i);
	b = setup(text, CHECK_FULL, "malloc");
	flat = run(b, NULL);
	assert_int_equal(flat.refills, 0);
	res = run(b, "refill:1+");
	assert_int_equal(res.delivered, 0);
	assert_true(res.trace_hash == flat.trace_hash);
	done(b);

	b = setup(text, CHECK_FULL, "buddy");
	res = run(b, NULL);
	assert_int_equal(b->nr_found, 0);
	assert_true(res.refills > 1);
	assert_true(res.trace_hash == flat.trace_hash);
	assert_true(res.met == flat.met);

	res = run(b, "refill:2");
	assert_int_equal(b->nr_found, 0);
	assert_int_equal(res.delivered, 1);
	for (i = 0; i < 60; i++) {
		if (b->out[i].kind != OUT_ERRNO)
			continue;
		assert_int_equal(b->out[i].value, -ENOMEM);
		refused++;
	}
	assert_int_equal(refused, 1);
	assert_int_equal(b->t.faults[0].site, SITE_slab_refill);
	assert_int_equal(b->t.faults[0].prev, SITE_mmap_region_vma);

	/* with no page for any slab all that needs one fails, and nothing else breaks */
	res = run(b, "refill:1+");
	assert_int_equal(b->nr_found, 0);
	assert_true(res.delivered > 10);
	done(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contract_example),
		cmocka_unit_test(test_window_on_every_geometry),
		cmocka_unit_test(test_skipped),
		cmocka_unit_test(test_teardown_orders),
		cmocka_unit_test(test_max_ops),
		cmocka_unit_test(test_trace_hash),
		cmocka_unit_test(test_plan_and_marks),
		cmocka_unit_test(test_expect_of_a_profile),
		cmocka_unit_test(test_expect_fires),
		cmocka_unit_test(test_findings_carry_their_plan),
		cmocka_unit_test(test_invariant_fires),
		cmocka_unit_test(test_check_levels),
		cmocka_unit_test(test_touched_tables),
		cmocka_unit_test(test_refcount_fires),
		cmocka_unit_test(test_lock_fires),
		cmocka_unit_test(test_hang_fires),
		cmocka_unit_test(test_long_is_no_hang),
		cmocka_unit_test(test_stuck_task_fires),
		cmocka_unit_test(test_census_fires),
		cmocka_unit_test(test_backend_census_fires),
		cmocka_unit_test(test_reuse_after_damage),
		cmocka_unit_test(test_two_side_by_side),
		cmocka_unit_test(test_little_memory),
		cmocka_unit_test(test_cover),
		cmocka_unit_test(test_work_is_bounded),
		cmocka_unit_test(test_refill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
