/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Asynchronous I/O as far as it is part of an address space (facts §10.2): contexts, the ring that
 * each of them shares with user space through a file of its own, and the table by which an mm finds
 * them. What the requests do is of no interest here: they are objects that finish when waited for.
 *
 * A context has two counts. `users` is one until it is killed, and one more for who looks at it;
 * `reqs` is one until the last user has gone, and one per request in flight. When the second is
 * zero the context waits on a list to be freed, which happens when nobody holds a lock any more: at
 * the end of an exit only after exit_mmap(), so the ring's mapping goes first.
 */
#include <string.h>

#include "internal.h"

#define AIO_RING_MAGIC 0xa10a10a1u
#define AIO_RING_HEAD  32u /* bytes before the events */
#define IO_EVENT_SIZE  32u
#define AIO_MAX_BYTES  0x10000000u

/* ---- counts and work ------------------------------------------------------------------------ */

static bool percpu_ref_init(struct ctx *cx, struct percpu_ref *ref, enum fl_site site)
{
	ref->pcpu = kmem_cache_alloc(cx, CACHE_percpu, site, GFP_KERNEL | __GFP_ZERO);
	atomic_set(&ref->count, 1);
	return ref->pcpu;
}

static void free_percpu(struct ctx *cx, void *pcpu)
{
	if (pcpu)
		kmem_cache_free(cx, CACHE_percpu, pcpu);
}

static void percpu_ref_exit(struct ctx *cx, struct percpu_ref *ref)
{
	free_percpu(cx, ref->pcpu);
	ref->pcpu = NULL;
}

static void aio_nr_sub(struct ctx *cx, u32 nr)
{
	BUG_ON(cx, cx->m->aio_nr < nr);
	cx->m->aio_nr -= nr;
}

/* ---- the ring ------------------------------------------------------------------------------- */

static struct page *alloc_array(struct ctx *cx, enum fl_site site, u64 bytes)
{
	unsigned int order = 0;

	while (PAGE_SIZE << order < bytes)
		order++;
	return alloc_pages(cx, site, GFP_KERNEL | __GFP_ZERO, order, PAGE_AIO);
}

/* The file behind a ring: as large as that, in no directory. NULL: no memory. */
static struct file *aio_private_file(struct ctx *cx, u32 nr_pages)
{
	struct file_inode *inode = new_inode(cx, SITE_aio_ring_inode, nr_pages);

	if (!inode)
		return NULL;
	inode->ino = anon_ino(cx->m);
	inode->aio_ring = true;
	return alloc_pseudo_file(cx, inode, SITE_aio_ring_dentry, SITE_aio_ring_file,
				 FMODE_READ | FMODE_WRITE);
}

/* Whoever has the ring mapped, by inheritance perhaps, finds nothing there from now on. */
static void put_aio_ring_file(struct ctx *cx, struct kioctx *ctx)
{
	struct file *file = ctx->aio_ring_file;
	struct file_inode *inode;

	if (!file)
		return;
	inode = file->f_inode;
	inode->size = 0;
	unmap_mapping_range(cx, &inode->i_data, 0, ~(pgoff_t)0);
	truncate_inode_pages(cx, &inode->i_data, 0);
	ctx->aio_ring_file = NULL;
	fput(cx, file);
}

/* Of a ring that is not mapped any more, or was never; also of one that is half made. */
static void aio_free_ring(struct ctx *cx, struct kioctx *ctx)
{
	put_aio_ring_file(cx, ctx);
	while (ctx->nr_pages) {
		STEP(cx);
		put_page(cx, ctx->ring_pages[--ctx->nr_pages]);
	}
	if (ctx->page_array)
		__free_page(cx, ctx->page_array);
	ctx->page_array = NULL;
	ctx->ring_pages = NULL;
}

static struct page *aio_ring_page(struct ctx *cx, struct file_inode *inode, pgoff_t index)
{
	struct page *page = alloc_pages(cx, SITE_aio_ring_page, GFP_KERNEL | __GFP_ZERO | __GFP_TAG,
					0, PAGE_FILE);

	if (!page)
		return NULL;
	page->index = index;
	page->dirty = true; /* nothing else has its content */
	add_to_page_cache(cx, &inode->i_data, page);
	get_page(cx, page);
	return page;
}

/* A ring for nr_events and a bit, mapped into the caller's mm. -ENOMEM, whatever was refused. */
static int aio_setup_ring(struct ctx *cx, struct kioctx *ctx, u32 nr_events)
{
	struct mm_struct *mm = cx->curr->mm;
	u64 size = AIO_RING_HEAD + (u64)IO_EVENT_SIZE * (nr_events + 2);
	u32 nr_pages = (u32)(PAGE_ALIGN(size) >> PAGE_SHIFT);
	u64 addr;

	ctx->aio_ring_file = aio_private_file(cx, nr_pages);
	if (!ctx->aio_ring_file)
		return -ENOMEM;

	ctx->ring_pages = ctx->internal_pages;
	if (nr_pages > AIO_RING_PAGES) {
		ctx->page_array =
			alloc_array(cx, SITE_aio_ring_array, nr_pages * sizeof(struct page *));
		if (!ctx->page_array)
			goto free_ring;
		ctx->ring_pages = ctx->page_array->mem;
	}
	while (ctx->nr_pages < nr_pages) {
		struct page *page = aio_ring_page(cx, ctx->aio_ring_file->f_inode, ctx->nr_pages);

		STEP(cx);
		if (!page)
			goto free_ring;
		ctx->ring_pages[ctx->nr_pages++] = page;
	}

	down_write(cx, &mm->mmap_sem);
	addr = do_mmap(cx, mm, ctx->aio_ring_file, 0, nr_pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED, 0, 0);
	up_write(cx, &mm->mmap_sem);
	if (IS_ERR_VALUE(addr))
		goto free_ring;

	ctx->user_id = ctx->mmap_base = addr;
	ctx->mmap_size = nr_pages * PAGE_SIZE;
	ctx->nr_events = (u32)((nr_pages * PAGE_SIZE - AIO_RING_HEAD) / IO_EVENT_SIZE);
	return 0;

free_ring:
	aio_free_ring(cx, ctx);
	return -ENOMEM;
}

int aio_ring_mremap(struct ctx *cx, struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->vm_mm;
	const struct kioctx_table *table;
	int res = -EINVAL;

	spin_lock(cx, &mm->ioctx_lock);
	table = mm->ioctx_table;
	/* A child has inherited the mapping, but not the table (B-08). */
	for (u32 i = 0; table && i < table->nr; i++) {
		struct kioctx *ctx = table->table[i];

		if (!ctx || ctx->aio_ring_file != vma->vm_file)
			continue;
		ctx->user_id = ctx->mmap_base = vma->vm_start;
		res = 0;
		break;
	}
	spin_unlock(cx, &mm->ioctx_lock);
	return res;
}

/* ---- the table ------------------------------------------------------------------------------ */

static bool ioctx_put_in_table(struct kioctx_table *table, struct kioctx *ctx)
{
	for (u32 i = 0; table && i < table->nr; i++) {
		if (table->table[i])
			continue;
		ctx->id = i;
		table->table[i] = ctx;
		/* by which a user's address leads back to the slot */
		page_set_tag(ctx->ring_pages[0], (u64)AIO_RING_MAGIC << 32 | i);
		return true;
	}
	return false;
}

/* Finds a slot, in a table four times as large if need be. -ENOMEM. */
static int ioctx_add_table(struct ctx *cx, struct mm_struct *mm, struct kioctx *ctx)
{
	struct kioctx_table *table, *old = mm->ioctx_table;
	struct page *page;
	u32 nr;

	spin_lock(cx, &mm->ioctx_lock);
	if (ioctx_put_in_table(old, ctx)) {
		spin_unlock(cx, &mm->ioctx_lock);
		return 0;
	}
	nr = (old ? old->nr : 1) * 4;
	spin_unlock(cx, &mm->ioctx_lock);

	page = alloc_array(cx, SITE_ioctx_table, sizeof(*table) + nr * sizeof(table->table[0]));
	if (!page)
		return -ENOMEM;
	table = page->mem;
	table->page = page;
	table->nr = nr;

	spin_lock(cx, &mm->ioctx_lock);
	if (old)
		memcpy(table->table, old->table, old->nr * sizeof(table->table[0]));
	mm->ioctx_table = table;
	ioctx_put_in_table(table, ctx);
	spin_unlock(cx, &mm->ioctx_lock);
	if (old)
		__free_page(cx, old->page);
	return 0;
}

/* The context of the mm that a user's address names, with a reference, or NULL. */
static struct kioctx *lookup_ioctx(struct ctx *cx, u64 ctx_id)
{
	struct mm_struct *mm = cx->curr->mm;
	const struct kioctx_table *table;
	struct kioctx *ctx;
	u64 tag;

	/* the slot is what the ring says, and users can write to that */
	if (access_user(cx, ctx_id, false, &tag) != ACCESS_OK)
		return NULL;
	table = mm->ioctx_table;
	if (!table || (u32)tag >= table->nr)
		return NULL;
	ctx = table->table[(u32)tag];
	if (!ctx || ctx->user_id != ctx_id)
		return NULL;
	atomic_inc(cx, &ctx->users.count);
	return ctx;
}

/* ---- birth and end of a context ------------------------------------------------------------- */

static struct kioctx *ioctx_alloc(struct ctx *cx, u32 nr, int *err)
{
	struct machine *m = cx->m;
	struct mm_struct *mm = cx->curr->mm;
	/* half of the places may be out of reach, kept by other CPUs */
	u64 nr_events = max_u64(nr, m->cfg.cpus * 4) * 2;
	struct kioctx *ctx;

	*err = -EINVAL;
	if (nr_events > AIO_MAX_BYTES / IO_EVENT_SIZE)
		return NULL;
	*err = -EAGAIN;
	if (over_limit(cx, SITE_ioctx_alloc_max, nr_events > m->cfg.aio_max_nr * 2))
		return NULL;

	*err = -ENOMEM;
	ctx = kmem_cache_alloc(cx, CACHE_kioctx, SITE_ioctx_alloc_ctx, GFP_KERNEL | __GFP_ZERO);
	if (!ctx)
		return NULL;
	ctx->max_reqs = (u32)nr_events;
	INIT_LIST_HEAD(&ctx->active_reqs);
	INIT_LIST_HEAD(&ctx->free_work);

	if (!percpu_ref_init(cx, &ctx->users, SITE_ioctx_alloc_users))
		goto err;
	if (!percpu_ref_init(cx, &ctx->reqs, SITE_ioctx_alloc_reqs))
		goto err;
	ctx->cpu =
		kmem_cache_alloc(cx, CACHE_percpu, SITE_ioctx_alloc_cpu, GFP_KERNEL | __GFP_ZERO);
	if (!ctx->cpu)
		goto err;
	*err = aio_setup_ring(cx, ctx, (u32)nr_events);
	if (*err)
		goto err;

	*err = -EAGAIN;
	if (over_limit(cx, SITE_ioctx_alloc_nr, m->aio_nr + nr_events > m->cfg.aio_max_nr * 2))
		goto err_ctx;
	m->aio_nr += nr_events;

	*err = ioctx_add_table(cx, mm, ctx);
	if (*err)
		goto err_cleanup;
	return ctx;

err_cleanup:
	aio_nr_sub(cx, ctx->max_reqs);
err_ctx:
	ctx->dead = true;
	vm_munmap(cx, mm, ctx->mmap_base, ctx->mmap_size);
	aio_free_ring(cx, ctx);
err:
	free_percpu(cx, ctx->cpu);
	percpu_ref_exit(cx, &ctx->reqs);
	percpu_ref_exit(cx, &ctx->users);
	kmem_cache_free(cx, CACHE_kioctx, ctx);
	return NULL;
}

static void free_ioctx(struct ctx *cx, struct kioctx *ctx)
{
	aio_free_ring(cx, ctx);
	free_percpu(cx, ctx->cpu);
	percpu_ref_exit(cx, &ctx->reqs);
	percpu_ref_exit(cx, &ctx->users);
	kmem_cache_free(cx, CACHE_kioctx, ctx);
}

void aio_flush_work(struct ctx *cx)
{
	struct list_head *work = &cx->m->aio_free_work;

	while (!list_empty(work)) {
		struct kioctx *ctx = list_first_entry(work, struct kioctx, free_work);

		STEP(cx);
		list_del_init(&ctx->free_work);
		free_ioctx(cx, ctx);
	}
}

static void put_reqs(struct ctx *cx, struct kioctx *ctx)
{
	if (atomic_dec_and_test(cx, &ctx->reqs.count))
		list_add_tail(&ctx->free_work, &cx->m->aio_free_work);
}

static void put_users(struct ctx *cx, struct kioctx *ctx)
{
	if (atomic_dec_and_test(cx, &ctx->users.count))
		put_reqs(cx, ctx);
}

/* The oldest request has finished. */
static void aio_complete(struct ctx *cx, struct kioctx *ctx)
{
	struct aio_kiocb *req = list_first_entry(&ctx->active_reqs, struct aio_kiocb, ki_list);

	list_del_init(&req->ki_list);
	kmem_cache_free(cx, CACHE_kiocb, req);
	put_reqs(cx, ctx);
}

/*
 * Nobody finds the context any more, and its quota is free at once. With the requests that are
 * still in flight it ends when the last of them does.
 */
static void kill_ioctx(struct ctx *cx, struct mm_struct *mm, struct kioctx *ctx)
{
	spin_lock(cx, &mm->ioctx_lock);
	BUG_ON(cx, ctx->dead);
	ctx->dead = true;
	BUG_ON(cx, mm->ioctx_table->table[ctx->id] != ctx);
	mm->ioctx_table->table[ctx->id] = NULL;
	spin_unlock(cx, &mm->ioctx_lock);

	aio_nr_sub(cx, ctx->max_reqs);
	if (ctx->mmap_size)
		vm_munmap(cx, mm, ctx->mmap_base, ctx->mmap_size);
	put_users(cx, ctx);
}

/* Whoever waits keeps the context by a reference of his own until this is over. */
static void wait_for_requests(struct ctx *cx, struct kioctx *ctx)
{
	while (!list_empty(&ctx->active_reqs)) {
		STEP(cx);
		aio_complete(cx, ctx);
	}
}

void exit_aio(struct ctx *cx, struct mm_struct *mm)
{
	struct kioctx_table *table = mm->ioctx_table;

	if (!table)
		return;
	for (u32 i = 0; i < table->nr; i++) {
		struct kioctx *ctx = table->table[i];

		STEP(cx);
		if (!ctx)
			continue;
		/* exit_mmap() is to come; and it is not for sure the caller's mm that this is */
		ctx->mmap_size = 0;
		atomic_inc(cx, &ctx->users.count);
		kill_ioctx(cx, mm, ctx);
		wait_for_requests(cx, ctx);
		put_users(cx, ctx);
	}
	mm->ioctx_table = NULL;
	__free_page(cx, table->page);
}

/* ---- the calls ------------------------------------------------------------------------------ */

static bool no_aio(const struct ctx *cx)
{
	return !cx->m->cfg.aio;
}

s64 sys_io_setup(struct ctx *cx, u32 nr, u64 ctxp)
{
	struct kioctx *ioctx;
	u64 tag, id;
	int err;

	if (no_aio(cx))
		return -ENOSYS;
	if (!cx->curr->mm || access_user(cx, ctxp, false, &tag) != ACCESS_OK)
		return -EFAULT;
	if (tag || !nr)
		return -EINVAL;

	ioctx = ioctx_alloc(cx, nr, &err);
	if (!ioctx)
		return err;
	id = ioctx->user_id;
	if (access_user(cx, ctxp, true, &id) != ACCESS_OK) {
		kill_ioctx(cx, cx->curr->mm, ioctx);
		aio_flush_work(cx);
		return -EFAULT;
	}
	return (s64)id;
}

s64 sys_io_destroy(struct ctx *cx, u64 ctx_id)
{
	struct kioctx *ctx;

	if (no_aio(cx))
		return -ENOSYS;
	ctx = cx->curr->mm ? lookup_ioctx(cx, ctx_id) : NULL;
	if (!ctx)
		return -EINVAL;
	kill_ioctx(cx, cx->curr->mm, ctx);
	wait_for_requests(cx, ctx);
	put_users(cx, ctx);
	aio_flush_work(cx);
	return 0;
}

/* Places of the ring that no request has taken; one stays empty, to tell full from empty. */
static bool get_reqs_available(const struct kioctx *ctx)
{
	return (u32)atomic_read(&ctx->reqs.count) - 1 < ctx->nr_events - 1;
}

static int io_submit_one(struct ctx *cx, struct kioctx *ctx)
{
	struct aio_kiocb *req;

	if (!get_reqs_available(ctx))
		return -EAGAIN;
	req = kmem_cache_alloc(cx, CACHE_kiocb, SITE_aio_get_req, GFP_KERNEL | __GFP_ZERO);
	if (!req)
		return -EAGAIN;
	atomic_inc(cx, &ctx->reqs.count);
	req->ki_ctx = ctx;
	list_add_tail(&req->ki_list, &ctx->active_reqs);
	return 0;
}

s64 sys_io_submit(struct ctx *cx, u64 ctx_id, u64 nr)
{
	struct kioctx *ctx;
	s64 done = 0;
	int err = 0;

	if (no_aio(cx))
		return -ENOSYS;
	ctx = cx->curr->mm ? lookup_ioctx(cx, ctx_id) : NULL;
	if (!ctx)
		return -EINVAL;
	while (nr-- && !err) {
		STEP(cx);
		err = io_submit_one(cx, ctx);
		done += !err;
	}
	put_users(cx, ctx);
	return done ? done : err;
}

s64 sys_io_getevents(struct ctx *cx, u64 ctx_id, u64 nr)
{
	struct kioctx *ctx;
	s64 done;

	if (no_aio(cx))
		return -ENOSYS;
	ctx = cx->curr->mm ? lookup_ioctx(cx, ctx_id) : NULL;
	if (!ctx)
		return -EINVAL;
	for (done = 0; nr && !list_empty(&ctx->active_reqs); done++, nr--) {
		STEP(cx);
		aio_complete(cx, ctx);
	}
	put_users(cx, ctx);
	return done;
}
