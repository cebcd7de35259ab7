/* SPDX-License-Identifier: GPL-2.0-only */
/* the I/O contexts of an mm, their rings, and what they count. */
#include "checks.h"

/* A block of PAGE_AIO that begins at mem, and how many pointers there is room for in it. */
static struct page *array_page(const struct page *page, const void *mem)
{
	return page && page->type == PAGE_AIO && page->mem == mem ? (struct page *)page : NULL;
}

static u64 room_in(const struct page *page)
{
	return (PAGE_SIZE << page->order) / sizeof(void *);
}

static bool table_is_sound(const struct kioctx_table *table)
{
	const struct page *page = array_page(table->page, table);

	return page && table->nr && sizeof(*table) / sizeof(void *) + table->nr <= room_in(page);
}

u32 chk_ioctx_slots(const struct mm_struct *mm)
{
	if (!mm->ioctx_table || atomic_read(&mm->mm_users) <= 0 || !table_is_sound(mm->ioctx_table))
		return 0;
	return mm->ioctx_table->nr;
}

u32 chk_ring_pages(const struct machine *m, const struct kioctx *ctx)
{
	bool internal = ctx->ring_pages == ctx->internal_pages;
	u64 room = AIO_RING_PAGES;
	u32 nr;

	if (!internal) {
		if (!array_page(ctx->page_array, ctx->ring_pages))
			return 0;
		room = room_in(ctx->page_array);
	}
	for (nr = 0; nr < ctx->nr_pages && nr < room; nr++) {
		const struct page *page = ctx->ring_pages[nr];

		if (!page || chk_page(m, page->pfn) != page)
			break;
	}
	return nr;
}

static void check_ring(struct chk *c, const struct mm_struct *mm, const struct kioctx *ctx)
{
	const struct file *file = ctx->aio_ring_file;
	struct chk_obj obj = chk_obj(OBJ_MM, mm, 0);
	u32 nr = chk_ring_pages(c->m, ctx);
	const struct file *pos;
	bool found = false;

	list_for_each_entry(pos, &c->m->files, files)
		found |= pos == file;
	if (!chk_true(c, CHK_ioctx_ring, __func__, obj, found && file->f_inode->aio_ring,
		      "a file of its own kind", "none, or another"))
		return;
	ctx->aio_ring_file->seen[SEEN_REFERENCES]++;
	chk_true(c, CHK_ioctx_ring, __func__, obj,
		 nr && nr == ctx->nr_pages && nr == file->f_inode->size &&
			 (nr > AIO_RING_PAGES) == (ctx->page_array != NULL),
		 "as many pages as its file has", "more, fewer, or kept elsewhere");
	for (u32 i = 0; i < nr; i++) {
		struct page *page = ctx->ring_pages[i];

		page->seen[SEEN_CACHED]++;
		chk_true(c, CHK_ioctx_ring, __func__, chk_obj(OBJ_PAGE, page, 0),
			 page->type == PAGE_FILE && page->index == i &&
				 page->mapping == &file->f_inode->i_data,
			 "the page of the ring's file for this place", "another one");
	}
}

static void check_context(struct chk *c, const struct mm_struct *mm, const struct kioctx *ctx,
			  u64 objects[NR_CACHES])
{
	struct chk_obj obj = chk_obj(OBJ_MM, mm, 0);
	const struct aio_kiocb *req;
	u64 nr;

	objects[CACHE_kioctx]++;
	objects[CACHE_percpu] += 3;
	if (ctx->page_array && chk_page(c->m, ctx->page_array->pfn) == ctx->page_array)
		ctx->page_array->seen[SEEN_MAPPED]++;
	chk_eq(c, CHK_ioctx_refs, __func__, obj, 1, (u64)(s64)atomic_read(&ctx->users.count));
	if (chk_true(c, CHK_ioctx_refs, __func__, obj,
		     chk_ring(&ctx->active_reqs, chk_bound(c->m, CACHE_kiocb), &nr),
		     "a ring of requests", "links that do not match")) {
		objects[CACHE_kiocb] += nr;
		chk_eq(c, CHK_ioctx_refs, __func__, obj, 1 + nr,
		       (u64)(s64)atomic_read(&ctx->reqs.count));
		list_for_each_entry(req, &ctx->active_reqs, ki_list)
			chk_true(c, CHK_ioctx_refs, __func__, obj, req->ki_ctx == ctx,
				 "requests of this context", "one of another");
	}
	check_ring(c, mm, ctx);
}

u64 chk_aio(struct chk *c, const struct mm_struct *mm, u64 objects[NR_CACHES])
{
	const struct kioctx_table *table = mm->ioctx_table;
	struct chk_obj obj = chk_obj(OBJ_MM, mm, 0);
	u64 aio_nr = 0;

	if (!chk_true(c, CHK_ioctx_table, __func__, obj,
		      !table || (atomic_read(&mm->mm_users) > 0 && table_is_sound(table)),
		      "none, or that of an mm in use, in memory of its own", "another"))
		return 0;
	if (!table)
		return 0;
	table->page->seen[SEEN_MAPPED]++;
	for (u32 i = 0; i < table->nr; i++) {
		const struct kioctx *ctx = table->table[i];

		if (!ctx)
			continue;
		chk_true(c, CHK_ioctx_slot, __func__, obj, !ctx->dead && ctx->id == i,
			 "a live context that knows its slot", "not so");
		aio_nr += ctx->max_reqs;
		check_context(c, mm, ctx, objects);
	}
	return aio_nr;
}
