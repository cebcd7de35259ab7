/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A machine kept and put back, on each backend that can: all of the corpus, whatever happens in
 * between; and machines side by side, where no result depends on the slot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "alloc/san.h"
#include "cli.h"
#include "target.h"

struct bench {
	struct program p;
	struct fi fi;
	struct target t;
	u32 nr_found;
};

static void on_finding(void *priv, const struct finding *f)
{
	struct bench *b = priv;

	print_message("%s\n", f->what);
	b->nr_found++;
}

/* NULL: the file is no program. */
static struct bench *setup(const char *path, const char *alloc, u32 slot)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct target_options opt = {
		.alloc = fl_allocator_find(alloc),
		.slot = slot,
		.check = CHECK_OFF,
		.no_marks = true,
		.fi = &b->fi,
	};
	struct prog_error err;

	assert_non_null(b);
	if (program_load(&b->p, path, &err))
		fail_msg("%s: %s", path, err.what);
	machine_config_init(&opt.machine);
	assert_int_equal(program_machine(&b->p, &opt.machine, &err), 0);
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

static const struct subject_ops *const sub = &target_subject;

/* The whole instance as it is now, and under ASan which bytes of it may be touched. */
struct image {
	unsigned char *bytes, *shadow;
	size_t len, shadow_len;
};

#ifdef FL_ASAN
/* Of the frames that a snapshot holds, whose number its head says: arena's fourth word, buddy's
 * fifth. */
FL_NO_ASAN static void read_shadow(struct image *im, const char *inst, bool buddy)
{
	const char *frames = inst + ((size_t)(buddy ? 128 : 32) << 20);
	size_t scale, offset;
	u32 nr_frames;

	memcpy(&nr_frames, im->bytes + (buddy ? 16 : 12), sizeof(nr_frames));
	__asan_get_shadow_mapping(&scale, &offset);
	im->shadow_len = nr_frames * (size_t)4096 >> scale;
	for (size_t i = 0; i < im->shadow_len; i++)
		im->shadow[i] = ((const unsigned char *)((uintptr_t)frames >> scale) + offset)[i];
}
#endif

static struct image image_of(const struct bench *b)
{
	const struct fl_allocator_ops *ops = b->t.opt.alloc;
	size_t len = ops->snapshot_size(b->t.inst);
	struct image im = {.bytes = malloc(len), .shadow = calloc(1, len), .len = len};

	assert_non_null(im.bytes);
	assert_non_null(im.shadow);
	assert_int_equal(ops->snapshot(b->t.inst, im.bytes, len), len);
#ifdef FL_ASAN
	read_shadow(&im, b->t.inst, !strcmp(ops->name, "buddy"));
#endif
	return im;
}

static void image_free(struct image *im)
{
	free(im->bytes);
	free(im->shadow);
}

static void assert_same_image(const struct bench *b, const struct image *was, const char *path,
			      u32 op)
{
	struct image is = image_of(b);
	char why[128];

	if (b->t.opt.alloc->check(b->t.inst, why, sizeof(why)))
		fail_msg("%s op %u: %s", path, op, why);
	if (is.len != was->len)
		fail_msg("%s op %u: %zu bytes, were %zu", path, op, is.len, was->len);
#ifndef FL_MSAN /* compares padding and garbage too */
	if (memcmp(is.bytes, was->bytes, is.len))
		fail_msg("%s op %u: other bytes", path, op);
#endif
	if (memcmp(is.shadow, was->shadow, is.shadow_len))
		fail_msg("%s op %u: other poisoning", path, op);
	image_free(&is);
}

static struct file_list corpus;

static int load_corpus(void **state)
{
	char seeds[] = FAULTLINE_SOURCE_DIR "/corpus/seeds";
	char *dirs[] = {seeds};

	(void)state;
	return files_expand(&corpus, dirs, 1) || !corpus.nr;
}

static int free_corpus(void **state)
{
	(void)state;
	files_free(&corpus);
	return 0;
}

static u64 run_plain(struct bench *b, const char *path)
{
	struct outcome out;

	assert_int_equal(sub->reset(&b->t), 0);
	for (u32 i = 0; i < b->p.nr_ops; i++)
		sub->apply(&b->t, i, &out);
	if (b->t.broken)
		fail_msg("%s: breaks", path);
	return sub->digest(&b->t);
}

/* From op on, every request refused: what an attempt of a sweep leaves, and more. */
static void rampage(struct bench *b, u32 op)
{
	struct fi_plan plan;
	struct outcome out;
	char why[128];

	assert_int_equal(fi_plan_parse("any:2+", 6, &plan, why, sizeof(why)), 0);
	fi_arm(&b->fi, &plan);
	for (u32 i = op; i < b->p.nr_ops && i < op + 3; i++)
		sub->apply(&b->t, i, &out);
	fi_disarm(&b->fi);
	/* not from op on again: a file opened twice under one name would never be closed */
	for (u32 i = op + 3; i < b->p.nr_ops; i++)
		sub->apply(&b->t, i, &out);
}

/*
 * At every STRIDE-th operation: keep, go wild, put back, compare all bytes; once also after a
 * teardown, and after a reset. Then the run goes on, and ends as if nothing had been.
 */
#define STRIDE 3u

static void test_restored_is_what_it_was(void **state)
{
	for (size_t f = 0; f < corpus.nr; f++) {
		struct bench *b = setup(corpus.paths[f], *state, 0);
		u64 digest = run_plain(b, corpus.paths[f]), hash = b->t.hash;
		struct outcome out;

		assert_int_equal(sub->reset(&b->t), 0);
		for (u32 i = 0; i < b->p.nr_ops; i++) {
			struct image im;

			if (i % STRIDE == f % STRIDE) {
				assert_int_equal(sub->snapshot(&b->t), 0);
				im = image_of(b);
				rampage(b, i);
				if (i / STRIDE % 4 == 1)
					sub->teardown(&b->t);
				else if (i / STRIDE % 4 == 2)
					assert_int_equal(sub->reset(&b->t), 0);
				else if (i / STRIDE % 4 == 3)
					memset(b->t.m, 0x5a, sizeof(*b->t.m));
				assert_int_equal(sub->restore(&b->t), 0);
				assert_same_image(b, &im, corpus.paths[f], i);
				image_free(&im);
			}
			sub->apply(&b->t, i, &out);
		}
		assert_true(sub->digest(&b->t) == digest);
		assert_true(b->t.hash == hash);
		if (sub->teardown(&b->t) || b->nr_found)
			fail_msg("%s: does not end as it should", corpus.paths[f]);
		done(b);
	}
}

/* Two machines and a third in another slot, op by op in turn. */
static void test_slots_side_by_side(void **state)
{
	static const u32 slots[] = {0, 7, 15};

	for (size_t f = 0; f < corpus.nr; f++) {
		struct bench *b[ARRAY_SIZE(slots)];

		for (size_t s = 0; s < ARRAY_SIZE(slots); s++) {
			b[s] = setup(corpus.paths[f], *state, slots[s]);
			assert_int_equal(sub->reset(&b[s]->t), 0);
		}
		for (u32 i = 0; i < b[0]->p.nr_ops; i++) {
			struct outcome out[ARRAY_SIZE(slots)];

			for (size_t s = 0; s < ARRAY_SIZE(slots); s++) {
				sub->apply(&b[s]->t, i, &out[s]);
				assert_true(outcome_equal(&out[0], &out[s]));
			}
		}
		for (size_t s = 1; s < ARRAY_SIZE(slots); s++) {
			assert_true(sub->digest(&b[0]->t) == sub->digest(&b[s]->t));
			assert_true(b[0]->t.hash == b[s]->t.hash);
		}
		for (size_t s = 0; s < ARRAY_SIZE(slots); s++) {
			assert_int_equal(sub->teardown(&b[s]->t), 0);
			assert_int_equal(b[s]->nr_found, 0);
			done(b[s]);
		}
	}
}

static void test_refused(void **state)
{
	struct bench *b = setup(corpus.paths[0], "malloc", 0);

	assert_int_equal(sub->reset(&b->t), 0);
	assert_int_equal(sub->snapshot(&b->t), -EOPNOTSUPP);
	assert_int_equal(sub->restore(&b->t), -EINVAL);
	done(b);

	b = setup(corpus.paths[0], *state, 0);
	assert_int_equal(sub->snapshot(&b->t), -EINVAL); /* no machine yet */
	assert_int_equal(sub->reset(&b->t), 0);
	assert_int_equal(sub->restore(&b->t), -EINVAL); /* nothing kept yet */
	assert_int_equal(sub->snapshot(&b->t), 0);
	b->t.broken = true;
	assert_int_equal(sub->snapshot(&b->t), -EINVAL);
	assert_int_equal(sub->restore(&b->t), 0);
	assert_false(b->t.broken);
	done(b);
}

/* The slot is taken: there is no second machine, and the first one is none the wiser. */
static void test_slot_taken(void **state)
{
	struct bench *a = setup(corpus.paths[0], *state, 5);
	struct bench *b = setup(corpus.paths[0], *state, 5);
	struct image im;

	assert_int_equal(sub->reset(&a->t), 0);
	im = image_of(a);
	assert_int_equal(sub->reset(&b->t), -ENOMEM);
	assert_same_image(a, &im, corpus.paths[0], 0);
	image_free(&im);
	done(b);
	done(a);
}

static char arena[] = "arena", buddy[] = "buddy";

#define EACH(f) cmocka_unit_test_prestate(f, arena), cmocka_unit_test_prestate(f, buddy)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_restored_is_what_it_was),
		EACH(test_slots_side_by_side),
		EACH(test_refused),
		EACH(test_slot_taken),
	};

	return cmocka_run_group_tests(tests, load_corpus, free_corpus);
}
