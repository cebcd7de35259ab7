/* SPDX-License-Identifier: GPL-2.0-only */
/* What is declared of faults; above all that an exception excuses the one thing and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "target.h"

struct obs_list {
	struct fl_obs *v;
	u32 nr, max;
};

struct bench {
	struct program p;
	struct fi fi;
	struct target t;
	struct outcome out;
	struct obs_list before, after;
};

static void add(void *priv, const struct fl_obs *o)
{
	struct obs_list *l = priv;

	if (l->nr == l->max) {
		l->max = l->max ? 2 * l->max : 256;
		l->v = realloc(l->v, l->max * sizeof(*l->v));
		assert_non_null(l->v);
	}
	l->v[l->nr++] = *o;
}

static void no_finding(void *priv, const struct finding *f)
{
	(void)priv;
	fail_msg("%s", f->what);
}

/* Runs all but the last operation, and that one with a fault. */
static struct bench *attempt(const char *text, enum fl_site site, u32 ordinal)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct target_options opt = {.alloc = fl_allocator_find("malloc"), .check = CHECK_FULL};
	struct prog_error err;
	u32 last;

	assert_non_null(b);
	if (program_parse(&b->p, text, strlen(text), &err))
		fail_msg("line %u: %s", err.line, err.what);
	last = b->p.nr_ops - 1;
	machine_config_init(&opt.machine);
	assert_int_equal(program_machine(&b->p, &opt.machine, &err), 0);
	opt.fi = &b->fi;
	fi_init(&b->fi);
	assert_int_equal(target_init(&b->t, &b->p, &opt, no_finding, b), 0);
	assert_int_equal(target_subject.reset(&b->t), 0);
	for (u32 i = 0; i < last; i++) {
		target_subject.apply(&b->t, i, &b->out);
		assert_int_equal(b->out.kind, OUT_OK);
	}
	target_subject.observe(&b->t, add, &b->before);
	fi_arm_point(&b->fi, last, site, ordinal);
	target_subject.apply(&b->t, last, &b->out);
	assert_int_equal(b->fi.op_delivered, 1);
	fi_disarm(&b->fi);
	target_subject.observe(&b->t, add, &b->after);
	return b;
}

static void done(struct bench *b)
{
	target_fini(&b->t);
	program_free(&b->p);
	free(b->before.v);
	free(b->after.v);
	free(b);
}

static const char *exception(struct bench *b)
{
	return target_subject.allowed(&b->t, b->p.nr_ops - 1, &b->out, b->before.v, b->before.nr,
				      b->after.v, b->after.nr);
}

static bool declared(struct bench *b)
{
	return target_subject.declared_error(&b->t, b->p.nr_ops - 1, &b->fi.first, &b->out);
}

static struct fl_obs *find(struct obs_list *l, const char *object, const char *name, u64 key)
{
	for (u32 i = 0; i < l->nr; i++) {
		const struct fl_obs_field *f = &fl_obs_fields[l->v[i].field];

		if (!strcmp(f->object, object) && !strcmp(f->name, name) && l->v[i].key == key)
			return &l->v[i];
	}
	fail_msg("no %s.%s at %llx", object, name, (unsigned long long)key);
	return NULL;
}

/* One more change of what is seen afterwards must end the excuse. */
static void assert_noticed(struct bench *b, const char *object, const char *name, u64 key, u64 flip)
{
	struct fl_obs *o = find(&b->after, object, name, key);

	o->val ^= flip;
	assert_null(exception(b));
	o->val ^= flip;
	assert_non_null(exception(b));
}

static void assert_missing_noticed(struct bench *b, const char *object, const char *name, u64 key)
{
	struct fl_obs *o = find(&b->after, object, name, key), saved = *o;
	size_t tail = (size_t)(b->after.v + --b->after.nr - o);

	memmove(o, o + 1, tail * sizeof(*o));
	assert_null(exception(b));
	memmove(o + 1, o, tail * sizeof(*o));
	*o = saved;
	b->after.nr++;
	assert_non_null(exception(b));
}

#define W TARGET_WINDOW

static void test_map_fixed_hole(void **state)
{
	struct bench *b = attempt("# faultline 1\n"
				  "t0: mmap(w, 8p, rw, private|anon|fixed)\n"
				  "t0: write(w+1p, 1)\n"
				  "t0: write(w+3p, 2)\n"
				  "t0: write(w+6p, 3)\n"
				  "t0: t1 = fork()\n"
				  "t0: mmap(w+2p, 3p, r, private|anon|fixed)\n",
				  SITE_mmap_region_vma, 1);

	(void)state;
	assert_int_equal(b->out.value, -ENOMEM);
	assert_true(declared(b));
	assert_int_not_equal(b->before.nr, b->after.nr);
	assert_string_equal(exception(b), "map-fixed-hole");
	/* beside the hole */
	assert_noticed(b, "vma", "flags", W, VM_WRITE);
	assert_noticed(b, "vma", "end", W, 0x3000);
	assert_noticed(b, "vma", "end", W + 0x5000, 0x1000);
	assert_noticed(b, "pte", "bits", W + 0x1000, _PAGE_DIRTY);
	assert_noticed(b, "pte", "page", W + 0x6000, 1);
	assert_noticed(b, "page", "tag", 0, 4);
	assert_noticed(b, "mm", "brk", 0, 0x1000);
	assert_noticed(b, "mm", "users", 0, 1);
	assert_noticed(b, "task", "flags", 0, 1);
	assert_noticed(b, "slab", "extra", 0, 1);
	assert_noticed(b, "machine", "locks_held", 0, 1);
	assert_missing_noticed(b, "pte", "page", W + 0x6000);
	/* it is this operation's exception, and only when it failed */
	b->out = (struct outcome){.kind = OUT_OK, .value = W};
	assert_null(exception(b));
	done(b);
}

static void test_split_is_no_hole(void **state)
{
	/* the unmapping itself fails: nothing may have changed but splits, which are not seen */
	struct bench *b = attempt("# faultline 1\n"
				  "t0: mmap(w, 8p, rw, private|anon|fixed)\n"
				  "t0: mmap(w+2p, 3p, r, private|anon|fixed)\n",
				  SITE_split_vma_vma, 2);
	u64 before, after;

	(void)state;
	assert_true(declared(b));
	before = find(&b->before, "vma", "end", W)->val;
	after = find(&b->after, "vma", "end", W)->val;
	assert_int_equal(before, after);
	assert_null(exception(b));
	done(b);
}

static void test_mprotect_prefix(void **state)
{
	struct bench *b = attempt("# faultline 1\n"
				  "t0: mmap(w, 2p, r, private|anon|fixed)\n"
				  "t0: mmap(w+2p, 2p, none, private|anon|fixed)\n"
				  "t0: mmap(w+4p, 2p, rx, private|anon|fixed)\n"
				  "t0: read(w+1p)\n"
				  "t0: mprotect(w, 6p, rw)\n",
				  SITE_mprotect_acct, 2);

	(void)state;
	assert_int_equal(b->out.value, -ENOMEM);
	assert_true(declared(b));
	assert_string_equal(exception(b), "mprotect-prefix");
	assert_noticed(b, "vma", "flags", W, VM_EXEC);
	assert_noticed(b, "vma", "flags", W + 0x2000, VM_READ);
	/* new after old */
	assert_noticed(b, "vma", "flags", W + 0x4000, VM_WRITE | VM_EXEC | VM_ACCOUNT);
	assert_noticed(b, "pte", "page", W + 0x1000, 1);
	assert_noticed(b, "mm", "start_brk", 0, 0x1000);
	done(b);
}

static void test_exec_killed(void **state)
{
	struct bench *b = attempt("# faultline 1\n"
				  "t0: mmap(w, 2p, rw, private|anon|fixed)\n"
				  "t0: write(w, 1)\n"
				  "t0: t1 = vfork()\n"
				  "t1: t2 = fork()\n"
				  "t2: write(w+1p, 2)\n"
				  "t1: exec([0x400000, 1p, rx], [0x500000, 1p, rw])\n",
				  SITE_mmap_region_vma, 2);

	(void)state;
	assert_int_equal(b->out.kind, OUT_KILLED);
	assert_int_equal(b->out.value, -ENOMEM);
	assert_true(declared(b));
	assert_false(target_subject.retryable(&b->t, 0, &b->out));
	assert_string_equal(exception(b), "exec-past-no-return");
	assert_noticed(b, "vma", "flags", W, VM_WRITE);
	assert_noticed(b, "page", "tag", 0, 4);
	assert_noticed(b, "mm", "brk", 0, 0x1000);
	assert_noticed(b, "task", "state", 0, TASK_VFORK_WAIT);
	assert_noticed(b, "task", "mm", 0, 3);
	done(b);
}

/* An exec that fails as late as it can has ended the threads, and woken whom the task kept waiting.
 */
static void test_exec_alone(void **state)
{
	struct bench *b = attempt("# faultline 1\n"
				  "t0: mmap(w, 2p, rw, private|anon|fixed)\n"
				  "t0: write(w, 1)\n"
				  "t0: write(w+1p, 2)\n"
				  "t0: t1 = clone(vm|vfork, w)\n"
				  "t1: t2 = clone(vm|thread, w+1p)\n"
				  "t1: t3 = fork()\n"
				  "t1: exec([0x400000, 1p, rx])\n",
				  SITE_exec_mmap_dump, 1);

	(void)state;
	assert_int_equal(b->out.kind, OUT_ERRNO);
	assert_int_equal(b->out.value, -EINTR);
	assert_true(declared(b));
	assert_true(target_subject.retryable(&b->t, 6, &b->out));
	assert_null(b->t.tasks[2].tsk);
	assert_string_equal(exception(b), "exec-alone");
	assert_noticed(b, "vma", "flags", W, VM_WRITE);
	assert_noticed(b, "page", "tag", 0, 4);
	assert_noticed(b, "mm", "users", 0, 1);
	assert_noticed(b, "mm", "brk", 0, 0x1000);
	assert_noticed(b, "task", "mm", 0, 3);
	assert_noticed(b, "task", "flags", 0, 4);
	assert_noticed(b, "task", "share", 0, 7);
	done(b);
}

/* Of a word that is not cleared nobody is told, but everything else has to be as if it were. */
static void test_tid_not_cleared(void **state)
{
	static const struct {
		const char *last, *exception;
	} cases[] = {
		{"t1: exit()\n", "exit-tid-not-cleared"},
		{"t1: exec([0x400000, 1p, rx])\n", "exec-tid-not-cleared"},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[512];
		struct bench *b;

		snprintf(text, sizeof(text),
			 "# faultline 1\n"
			 "t0: mmap(w, 2p, rw, private|anon|fixed)\n"
			 "t0: write(w, 1)\n"
			 "t0: t1 = clone(vm|vfork, w)\n"
			 "t1: t2 = fork()\n"
			 "%s",
			 cases[i].last);
		b = attempt(text, SITE_cow_page, 1);
		assert_int_equal(b->out.kind, OUT_OK);
		assert_true(declared(b));
		assert_false(target_subject.retryable(&b->t, 4, &b->out));
		assert_true(target_subject.untold(&b->t, 4, &b->fi.first));
		assert_string_equal(exception(b), cases[i].exception);
		assert_noticed(b, "vma", "flags", W, VM_WRITE);
		assert_noticed(b, "page", "tag", 0, 4);
		assert_noticed(b, "mm", "users", 0, 1);
		assert_noticed(b, "task", "state", 0, TASK_VFORK_WAIT);
		done(b);
	}
}

/* The same of all who share the victim's mm; a kernel thread, and who has a copy, are not of them.
 */
static void test_oom_kill(void **state)
{
	struct bench *b = attempt("# faultline 1\n"
				  "t0: mmap(w, 2p, rw, private|anon|fixed)\n"
				  "t0: write(w, 1)\n"
				  "t0: t1 = fork()\n"
				  "t1: t2 = clone(vm, w)\n"
				  "t1: t3 = fork()\n"
				  "t1: oom_kill()\n",
				  SITE_cow_page, 1);

	(void)state;
	assert_int_equal(b->out.kind, OUT_OK);
	assert_true(declared(b));
	assert_null(b->t.tasks[1].tsk);
	assert_null(b->t.tasks[2].tsk);
	assert_string_equal(exception(b), "oom-kill-tid-not-cleared");
	assert_noticed(b, "vma", "flags", W, VM_WRITE);
	assert_noticed(b, "page", "tag", 0, 4);
	assert_noticed(b, "task", "mm", 0, 3);
	done(b);
}

static void test_mremap(void **state)
{
	struct bench *b = attempt("# faultline 1\n"
				  "t0: mmap(w, 8p, rw, private|anon|fixed)\n"
				  "t0: mmap(w+16p, 2p, r, private|anon|fixed)\n"
				  "t0: write(w+1p, 1)\n"
				  "t0: write(w+6p, 2)\n"
				  "t0: mremap(w, 4p, 2p, maymove|fixed, w+16p)\n",
				  SITE_copy_vma_vma, 1);

	(void)state;
	assert_int_equal(b->out.value, -ENOMEM);
	assert_true(declared(b));
	assert_string_equal(exception(b), "mremap-destination-hole");
	assert_noticed(b, "vma", "flags", W, VM_WRITE);
	assert_noticed(b, "pte", "page", W + 0x1000, 1);
	assert_noticed(b, "pte", "bits", W + 0x6000, _PAGE_DIRTY);
	assert_noticed(b, "page", "tag", 0, 4);
	assert_noticed(b, "mm", "brk", 0, 0x1000);
	assert_missing_noticed(b, "pte", "page", W + 0x6000);
	done(b);

	b = attempt("# faultline 1\n"
		    "t0: mmap(w, 8p, rw, private|anon|fixed)\n"
		    "t0: write(w+2p, 1)\n"
		    "t0: write(w+6p, 2)\n"
		    "t0: mremap(w+2p, 2p, 2p, maymove|fixed, w+16p)\n",
		    SITE_split_vma_vma, 1);
	assert_int_equal(b->out.value, W + 0x10000);
	assert_true(declared(b));
	assert_false(target_subject.retryable(&b->t, 3, &b->out));
	assert_string_equal(exception(b), "mremap-source-kept");
	assert_noticed(b, "vma", "flags", W, VM_EXEC);
	assert_noticed(b, "vma", "flags", W + 0x10000, VM_ACCOUNT);
	assert_noticed(b, "pte", "page", W + 0x10000, 1);
	assert_noticed(b, "pte", "bits", W + 0x6000, _PAGE_DIRTY);
	assert_missing_noticed(b, "pte", "page", W + 0x10000);
	done(b);
}

static void test_mlock(void **state)
{
	struct bench *b = attempt("# faultline 1\n"
				  "t0: mmap(w, 4p, rw, private|anon|fixed)\n"
				  "t0: mmap(w+4p, 4p, r, private|anon|fixed)\n"
				  "t0: write(w+1p, 1)\n"
				  "t0: write(w+3p, 2)\n"
				  "t0: mlock(w, 3p)\n",
				  SITE_anon_page, 2);

	(void)state;
	assert_int_equal(b->out.value, -EAGAIN);
	assert_true(declared(b));
	assert_string_equal(exception(b), "mlock-prefix");
	assert_noticed(b, "vma", "flags", W, VM_EXEC);
	assert_noticed(b, "vma", "flags", W + 0x4000, VM_LOCKED);
	assert_noticed(b, "pte", "page", W + 0x3000, 1);
	assert_noticed(b, "mm", "def_flags", 0, VM_LOCKED);
	assert_noticed(b, "mm", "brk", 0, 0x1000);
	assert_missing_noticed(b, "pte", "page", W + 0x1000);
	done(b);

	b = attempt("# faultline 1\nt0: mlockall(current|future)\n", SITE_anon_page, 2);
	assert_int_equal(b->out.value, 0);
	assert_true(declared(b));
	assert_string_equal(exception(b), "mlockall-not-populated");
	assert_noticed(b, "vma", "flags", 0x804c000, VM_LOCKED);
	assert_noticed(b, "mm", "brk", 0, 0x1000);
	done(b);
}

static void test_madvise(void **state)
{
	struct bench *b = attempt("# faultline 1\n"
				  "t0: mmap(w, 2p, r, private|anon|fixed)\n"
				  "t0: mmap(w+2p, 4p, rw, private|anon|fixed)\n"
				  "t0: write(w+3p, 1)\n"
				  "t0: madvise(w, 4p, dontfork)\n",
				  SITE_split_vma_vma, 1);

	(void)state;
	assert_int_equal(b->out.value, -EAGAIN);
	assert_true(declared(b));
	assert_string_equal(exception(b), "madvise-prefix");
	assert_noticed(b, "vma", "flags", W, VM_RAND_READ);
	assert_noticed(b, "vma", "flags", W + 0x2000, VM_SEQ_READ);
	assert_noticed(b, "pte", "page", W + 0x3000, 1);
	assert_noticed(b, "mm", "locked_vm", 0, 0x1000);
	done(b);
}

static void test_stack(void **state)
{
	struct bench *b = attempt("# faultline 1\n"
				  "t0: mmap(w, 1p, rw, private|anon|fixed)\n"
				  "t0: write(w, 3)\n"
				  "t0: mmap(w+16p, 2p, rw, private|anon|fixed|growsdown)\n"
				  "t0: write(w+17p, 1)\n"
				  "t0: write(w+12p, 2)\n",
				  SITE_anon_page, 1);

	(void)state;
	assert_int_equal(b->out.kind, OUT_OOM);
	assert_true(declared(b));
	assert_string_equal(exception(b), "stack-grown");
	assert_noticed(b, "vma", "end", W + 0xc000, 0x20000);
	assert_noticed(b, "pte", "page", W + 0x11000, 1);
	assert_noticed(b, "mm", "brk", 0, 0x1000);
	assert_missing_noticed(b, "pte", "page", W + 0x11000);
	done(b);
}

static void test_not_populated(void **state)
{
	struct bench *b = attempt("# faultline 1\n"
				  "t0: mmap(w, 4p, rw, private|anon|fixed)\n"
				  "t0: write(w+1p, 1)\n"
				  "t0: mmap(w+4p, 4p, rw, private|anon|fixed|populate)\n",
				  SITE_anon_page, 2);
	(void)state;
	assert_int_equal(b->out.value, W + 0x4000);
	assert_true(declared(b));
	assert_string_equal(exception(b), "mmap-not-populated");
	assert_noticed(b, "vma", "end", W, 0x1000);
	assert_noticed(b, "pte", "page", W + 0x1000, 1);
	assert_noticed(b, "mm", "brk", 0, 0x1000);
	done(b);
}

/* ---- errors, fallbacks ---------------------------------------------------------------------- */

static void test_errors(void **state)
{
	struct bench *b = attempt("# faultline 1\nt0: t1 = fork()\n", SITE_dup_mmap_vma, 1);

	(void)state;
	assert_true(declared(b));
	b->out.value = -EAGAIN;
	assert_false(declared(b));
	b->out = (struct outcome){.kind = OUT_OK};
	assert_false(declared(b));
	b->out = (struct outcome){.kind = OUT_OOM};
	assert_false(declared(b));
	done(b);

	b = attempt("# faultline 1\nt0: t1 = fork()\n", SITE_copy_process_signal, 1);
	assert_int_equal(b->out.value, -ERESTARTNOINTR);
	assert_true(declared(b));
	b->out.value = -ENOMEM;
	assert_false(declared(b));
	done(b);

	b = attempt("# faultline 1\nt0: exec([0x400000, 1p, rx])\n", SITE_exec_binfmt, 1);
	assert_int_equal(b->out.value, -ENOEXEC);
	assert_true(declared(b));
	done(b);

	b = attempt("# faultline 1\nt0: write(stack-2p, 1)\n", SITE_anon_page, 1);
	assert_int_equal(b->out.kind, OUT_OOM);
	assert_true(declared(b));
	b->out = (struct outcome){.kind = OUT_SIGSEGV};
	assert_false(declared(b));
	done(b);
}

static void test_brk(void **state)
{
	struct bench *b = attempt("# faultline 1\nt0: brk(brk+3p)\n", SITE_do_brk_acct, 1);
	struct mm_struct *mm = b->t.tasks[0].tsk->mm;

	(void)state;
	assert_int_equal(b->out.kind, OUT_OK);
	assert_true(declared(b));
	/* the break moved after all */
	b->out.value = (s64)mm->start_brk + 0x3000;
	assert_false(declared(b));
	mm->brk = mm->start_brk + 0x3000;
	assert_false(declared(b));
	mm->brk = mm->start_brk;
	done(b);
}

static void test_benign(void **state)
{
	const struct fi_point nowait = {.site = SITE_anon_vma_clone_nowait};
	const struct fi_point batch = {.site = SITE_gather_batch};
	const struct fi_point vma = {.site = SITE_dup_mmap_vma};

	(void)state;
	assert_true(declared_benign(NULL, 0, &nowait));
	assert_true(declared_benign(NULL, 0, &batch));
	assert_false(declared_benign(NULL, 0, &vma));
	assert_int_equal(declared_fallback(NULL, 0, &nowait), SITE_anon_vma_clone_avc);
	assert_int_equal(declared_fallback(NULL, 0, &batch), SITE_none);
	assert_int_equal(declared_fallback(NULL, 0, &vma), SITE_none);
	assert_false(declared_relays(NULL, 0, &nowait));
	assert_null(declared_unreached(SITE_dup_mmap_vma));
}

/* In another layout a page may be swapped out or not; nothing else may come to something else. */
static void test_by_layout(void **state)
{
	struct op ops[] = {{.code = OP_swap_out}, {.code = OP_munlock}};
	struct program p = {.ops = ops, .nr_ops = ARRAY_SIZE(ops)};
	struct target t = {.p = &p};
	const struct outcome ok = {.kind = OUT_OK}, busy = {OUT_ERRNO, -EBUSY},
			     full = {OUT_ERRNO, -ENOSPC}, unmapped = {OUT_ERRNO, -EFAULT};

	(void)state;
	assert_true(declared_by_layout(&t, 0, &ok, &busy));
	assert_true(declared_by_layout(&t, 0, &full, &ok));
	assert_false(declared_by_layout(&t, 0, &ok, &unmapped));
	assert_false(declared_by_layout(&t, 0, &unmapped, &busy));
	assert_false(declared_by_layout(&t, 1, &ok, &busy));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map_fixed_hole),	cmocka_unit_test(test_split_is_no_hole),
		cmocka_unit_test(test_mprotect_prefix), cmocka_unit_test(test_exec_killed),
		cmocka_unit_test(test_exec_alone),	cmocka_unit_test(test_tid_not_cleared),
		cmocka_unit_test(test_oom_kill),	cmocka_unit_test(test_mremap),
		cmocka_unit_test(test_mlock),		cmocka_unit_test(test_not_populated),
		cmocka_unit_test(test_stack),		cmocka_unit_test(test_madvise),
		cmocka_unit_test(test_errors),		cmocka_unit_test(test_brk),
		cmocka_unit_test(test_benign),		cmocka_unit_test(test_by_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
