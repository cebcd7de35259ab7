/* SPDX-License-Identifier: GPL-2.0-only */
/* I/O contexts: what each takes and gives back, every refusal, fork, moves, and the end of an mm.
 */
#include "mm_bench.h"

#define IMAGE 0x80000000u
#define BASE  0x40000000u
#define SLOTS (BASE + 64 * PAGE_SIZE) /* where names are written to, a page each */
#define RW    (PROT_READ | PROT_WRITE)

static struct task_struct *up(struct bench *b, const char *options)
{
	struct task_struct *t;

	bench_up(b, options);
	t = bench_exec(b, IMAGE);
	bench_mmap(b, SLOTS, 64, RW, MAP_PRIVATE, NULL);
	return t;
}

static void down(struct bench *b, struct task_struct *t)
{
	bench_exit(b, t);
	bench_down(b);
}

static u64 slot(unsigned int i)
{
	return SLOTS + i * PAGE_SIZE;
}

static u64 setup(struct bench *b, u32 nr, unsigned int i)
{
	s64 ret = sys_io_setup(&b->cx, nr, slot(i));

	assert_true(ret > 0);
	return (u64)ret;
}

static struct kioctx *context(struct bench *b, u32 i)
{
	return b->cx.curr->mm->ioctx_table->table[i];
}

static void test_life(void **state)
{
	struct bench_counts before, after;
	struct task_struct *t;
	struct vm_area_struct *vma;
	struct kioctx *ctx;
	struct bench b;
	u64 id;

	(void)state;
	t = up(&b, "cpus=2");
	bench_write(&b, slot(0), 0);
	bench_count(&b, &before);
	id = setup(&b, 5, 0);
	assert_int_equal(bench_read(&b, slot(0)), id);
	ctx = context(&b, 0);
	/* no fewer than four per CPU, and twice that */
	assert_int_equal(ctx->max_reqs, 16);
	assert_int_equal(b.m->aio_nr, 16);
	assert_int_equal(ctx->nr_events, 127);
	assert_int_equal(ctx->nr_pages, 1);
	vma = find_vma(&b.cx, t->mm, id);
	assert_int_equal(vma->vm_start, id);
	assert_ptr_equal(vma->vm_file, ctx->aio_ring_file);
	assert_true(vma->vm_flags & VM_DONTEXPAND && vma->vm_flags & VM_SHARED);
	assert_int_equal(atomic_read(&vma->vm_file->f_count), 2);
	assert_int_equal(atomic_read(&ctx->ring_pages[0]->_refcount), 2);
	bench_check(&b);

	assert_int_equal(sys_io_submit(&b.cx, id, 3), 3);
	assert_int_equal(atomic_read(&ctx->reqs.count), 4);
	assert_int_equal(atomic_read(&ctx->ring_pages[0]->_refcount), 3);
	assert_int_equal(sys_io_getevents(&b.cx, id, 2), 2);
	assert_int_equal(b.m->caches[CACHE_kiocb].live, 1);
	bench_check(&b);
	/* one is still in flight, and is waited for */
	assert_int_equal(sys_io_destroy(&b.cx, id), 0);
	assert_int_equal(b.m->aio_nr, 0);
	assert_int_equal(sys_io_destroy(&b.cx, id), -EINVAL);
	bench_count(&b, &after);
	before.nr_alloc[PAGE_AIO]++; /* the table stays */
	before.nr_alloc[PAGE_PTE] = after.nr_alloc[PAGE_PTE];
	before.nr_alloc[PAGE_PMD] = after.nr_alloc[PAGE_PMD];
	before.nr_alloc[PAGE_PUD] = after.nr_alloc[PAGE_PUD];
	assert_memory_equal(before.nr_alloc, after.nr_alloc, sizeof(before.nr_alloc));
	assert_memory_equal(before.live, after.live, sizeof(before.live));
	bench_check(&b);
	down(&b, t);
}

static void test_errors(void **state)
{
	struct task_struct *t;
	struct bench b;
	u64 id;

	(void)state;
	t = up(&b, "aio_max_nr=20");
	assert_int_equal(sys_io_setup(&b.cx, 1, BASE), -EFAULT);
	assert_int_equal(sys_io_setup(&b.cx, 0, slot(0)), -EINVAL);
	assert_int_equal(sys_io_setup(&b.cx, 0x10000000u / 64 + 1, slot(0)), -EINVAL);
	assert_int_equal(sys_io_setup(&b.cx, 0x80000001u, slot(0)), -EINVAL);
	assert_int_equal(sys_io_setup(&b.cx, 21, slot(0)), -EAGAIN);
	bench_write(&b, slot(1), 7);
	assert_int_equal(sys_io_setup(&b.cx, 1, slot(1)), -EINVAL);
	/* read-only: known only when all is done, and all of it is undone */
	assert_int_equal(sys_mprotect(&b.cx, slot(2), PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(sys_io_setup(&b.cx, 1, slot(2)), -EFAULT);
	assert_int_equal(b.m->aio_nr, 0);
	assert_int_equal(b.m->caches[CACHE_kioctx].live, 0);
	bench_check(&b);

	id = setup(&b, 16, 0);
	assert_int_equal(sys_io_setup(&b.cx, 5, slot(3)), -EAGAIN);
	assert_int_equal(b.m->caches[CACHE_kioctx].live, 1);
	assert_int_equal(b.m->aio_nr, 32);
	/* the ring has room for all but one of its events */
	assert_int_equal(sys_io_submit(&b.cx, id, 1000), 126);
	assert_int_equal(sys_io_submit(&b.cx, id, 1), -EAGAIN);
	assert_int_equal(sys_io_getevents(&b.cx, id, 1000), 126);
	assert_int_equal(sys_io_submit(&b.cx, id + PAGE_SIZE, 1), -EINVAL);
	/* whatever the ring says, a context answers to its own name only */
	bench_write(&b, slot(4), 0);
	assert_int_equal(sys_io_submit(&b.cx, slot(4), 1), -EINVAL);
	bench_write(&b, id, 5);
	assert_int_equal(sys_io_submit(&b.cx, id, 1), -EINVAL);
	bench_check(&b);
	down(&b, t);

	t = up(&b, "aio=0");
	assert_int_equal(sys_io_setup(&b.cx, 1, slot(0)), -ENOSYS);
	assert_int_equal(sys_io_destroy(&b.cx, slot(0)), -ENOSYS);
	assert_int_equal(sys_io_submit(&b.cx, slot(0), 1), -ENOSYS);
	assert_int_equal(sys_io_getevents(&b.cx, slot(0), 1), -ENOSYS);
	down(&b, t);
}

/* Each of its requests, refused one by one: nothing is left, not even of a table that was to grow.
 */
static void test_refused(void **state)
{
	static const u32 sizes[] = {4, 511};
	struct task_struct *t;
	struct bench b;

	(void)state;
	t = up(&b, "");
	for (unsigned int i = 0; i < 4; i++)
		setup(&b, 1, i);
	for (unsigned int i = 0; i < 10; i++)
		bench_write(&b, slot(i + 4), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 digest = fl_digest(b.m, false), id;
		u32 nr;

		bench_watch(&b, 0, SITE_none);
		id = setup(&b, sizes[i], 4);
		nr = b.nr_met;
		assert_int_equal(bench_met(&b, SITE_aio_ring_page), i ? 9 : 1);
		assert_int_equal(bench_met(&b, SITE_aio_ring_array), i);
		assert_int_equal(bench_met(&b, SITE_ioctx_table), 1);
		assert_int_equal(sys_io_destroy(&b.cx, id), 0);
		bench_write(&b, slot(4), 0);
		assert_int_equal(fl_digest(b.m, false), digest);
		if (!i) { /* from the start, with the small table */
			down(&b, t);
			t = up(&b, "");
			for (unsigned int k = 0; k < 4; k++)
				setup(&b, 1, k);
			bench_write(&b, slot(4), 0);
			digest = fl_digest(b.m, false);
		}
		for (u32 nth = 1; nth <= nr; nth++) {
			u32 asked;
			s64 ret;

			bench_watch(&b, nth, SITE_none);
			ret = sys_io_setup(&b.cx, sizes[i], slot(4));
			bench_watch(&b, 0, SITE_none);
			if (ret >= 0) /* a table that is there since the last try */
				break;
			asked = b.met[nth - 1];
			assert_int_equal(ret, asked == SITE_ioctx_alloc_max ||
							      asked == SITE_ioctx_alloc_nr
						      ? -EAGAIN
						      : -ENOMEM);
			assert_int_equal(b.m->aio_nr, 4 * 8);
			assert_int_equal(fl_digest(b.m, false), digest);
			bench_check(&b);
		}
		if (bench_read(&b, slot(4)))
			assert_int_equal(sys_io_destroy(&b.cx, bench_read(&b, slot(4))), 0);
		bench_write(&b, slot(4), 0);
	}
	down(&b, t);
}

static void test_table(void **state)
{
	struct task_struct *t;
	struct bench b;

	(void)state;
	t = up(&b, "");
	assert_null(t->mm->ioctx_table);
	for (unsigned int i = 0; i < 17; i++) {
		setup(&b, 1, i);
		assert_int_equal(t->mm->ioctx_table->nr, i < 4 ? 4 : i < 16 ? 16 : 64);
		assert_int_equal(b.m->nr_alloc[PAGE_AIO], 1);
		for (unsigned int k = 0; k <= i; k++)
			assert_int_equal(context(&b, k)->user_id, bench_read(&b, slot(k)));
	}
	bench_check(&b);
	/* a free slot comes first */
	assert_int_equal(sys_io_destroy(&b.cx, bench_read(&b, slot(2))), 0);
	setup(&b, 1, 20);
	assert_int_equal(context(&b, 2)->user_id, bench_read(&b, slot(20)));
	bench_check(&b);
	down(&b, t);
}

/* B-08: a child has the mapping and no context, and is told so instead of falling over it. */
static void test_fork(void **state)
{
	struct task_struct *t, *child;
	struct bench b;
	u64 id;

	(void)state;
	t = up(&b, "");
	id = setup(&b, 1, 0);
	assert_int_equal(do_fork(&b.cx, 0, &child), 0);
	run_on(&b.cx, 0, child);
	assert_null(child->mm->ioctx_table);
	assert_true(find_vma(&b.cx, child->mm, id)->vm_flags & VM_DONTEXPAND);
	assert_int_equal(sys_io_destroy(&b.cx, id), -EINVAL);
	assert_int_equal(sys_mremap(&b.cx, id, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
				    BASE),
			 -EINVAL);
	assert_int_equal(bench_read(&b, id), (u64)0xa10a10a1 << 32);
	bench_check(&b);
	/* also with contexts of its own, of which none is that one */
	setup(&b, 1, 1);
	assert_int_equal(sys_mremap(&b.cx, id, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
				    BASE),
			 -EINVAL);
	bench_check(&b);

	/* the pages go with the context, wherever they are mapped */
	run_on(&b.cx, 0, t);
	assert_int_equal(sys_io_destroy(&b.cx, id), 0);
	run_on(&b.cx, 0, child);
	{
		u64 tag;

		assert_int_equal(access_user(&b.cx, id, false, &tag), ACCESS_SIGBUS);
	}
	bench_check(&b);
	bench_exit(&b, child);
	down(&b, t);
}

static void test_move(void **state)
{
	const u32 fixed = MREMAP_MAYMOVE | MREMAP_FIXED;
	struct task_struct *t;
	struct bench b;
	u64 id;

	(void)state;
	t = up(&b, "");
	id = setup(&b, 1, 0);
	bench_read(&b, id);
	assert_int_equal(sys_mremap(&b.cx, id, PAGE_SIZE, 2 * PAGE_SIZE, MREMAP_MAYMOVE, 0),
			 -EFAULT);
	bench_watch(&b, 0, SITE_mremap_hook);
	assert_int_equal(sys_mremap(&b.cx, id, PAGE_SIZE, PAGE_SIZE, fixed, BASE), -EINVAL);
	assert_int_equal(bench_met(&b, SITE_mremap_hook), 1);
	bench_watch(&b, 0, SITE_none);
	assert_int_equal(context(&b, 0)->user_id, id);
	bench_check(&b);
	assert_int_equal(sys_mremap(&b.cx, id, PAGE_SIZE, PAGE_SIZE, fixed, BASE), BASE);
	assert_int_equal(context(&b, 0)->user_id, BASE);
	assert_int_equal(sys_io_submit(&b.cx, id, 1), -EINVAL);
	assert_int_equal(sys_io_submit(&b.cx, BASE, 1), 1);
	bench_check(&b);
	assert_int_equal(sys_io_destroy(&b.cx, BASE), 0);
	assert_null(find_vma_intersection(&b.cx, t->mm, BASE, BASE + PAGE_SIZE));
	bench_check(&b);
	down(&b, t);
}

/*
 * an mm whose last user goes kills its contexts before anything is unmapped, also when a
 * stranger gives that last reference back, whose own mappings at those addresses stay.
 */
static void test_exit(void **state)
{
	struct task_struct *t, *other;
	struct bench b;
	u64 id;

	(void)state;
	t = up(&b, "");
	id = setup(&b, 1, 0);
	assert_int_equal(sys_io_submit(&b.cx, id, 4), 4);
	setup(&b, 511, 1);
	assert_int_equal(mm_pin(&b.cx, 0, true), 0);
	assert_int_equal(do_fork(&b.cx, 0, &other), 0);
	bench_exit(&b, t);
	assert_int_equal(b.m->aio_nr, 8 + 2 * 511);
	assert_int_equal(b.m->caches[CACHE_kiocb].live, 4);
	run_on(&b.cx, 0, other);
	assert_int_equal(sys_munmap(&b.cx, id, PAGE_SIZE), 0);
	bench_mmap(&b, id, 1, RW, MAP_PRIVATE, NULL);
	bench_write(&b, id, 0x77);
	bench_check(&b);
	assert_int_equal(mm_unpin(&b.cx, 0), 0);
	assert_int_equal(b.m->aio_nr, 0);
	assert_int_equal(b.m->caches[CACHE_kioctx].live, 0);
	assert_int_equal(b.m->caches[CACHE_kiocb].live, 0);
	assert_int_equal(b.m->nr_alloc[PAGE_AIO], 0);
	assert_int_equal(bench_read(&b, id), 0x77);
	bench_check(&b);
	down(&b, other);
}

/* A fork that fails, and a mapping that is gone already, leave contexts alone. */
static void test_beside(void **state)
{
	struct task_struct *t, *child;
	struct bench b;
	u64 id;

	(void)state;
	t = up(&b, "");
	id = setup(&b, 1, 0);
	bench_watch(&b, 0, SITE_copy_process_pid);
	assert_int_equal(do_fork(&b.cx, 0, &child), -ENOMEM);
	bench_watch(&b, 0, SITE_none);
	assert_int_equal(sys_io_submit(&b.cx, id, 1), 1);
	bench_watch(&b, 0, SITE_aio_get_req);
	assert_int_equal(sys_io_submit(&b.cx, id, 2), -EAGAIN);
	bench_watch(&b, 0, SITE_none);
	bench_watch(&b, 2, SITE_none);
	assert_int_equal(sys_io_submit(&b.cx, id, 2), 1);
	bench_watch(&b, 0, SITE_none);
	assert_int_equal(atomic_read(&context(&b, 0)->reqs.count), 3);
	assert_int_equal(sys_munmap(&b.cx, id, PAGE_SIZE), 0);
	assert_int_equal(atomic_read(&context(&b, 0)->aio_ring_file->f_count), 1);
	assert_int_equal(sys_io_destroy(&b.cx, id), -EINVAL);
	bench_check(&b);
	down(&b, t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),	cmocka_unit_test(test_errors),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_table),
		cmocka_unit_test(test_fork),	cmocka_unit_test(test_move),
		cmocka_unit_test(test_exit),	cmocka_unit_test(test_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
