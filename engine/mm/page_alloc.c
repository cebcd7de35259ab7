/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages: descriptors, reference counts, and the way to the backend (facts §17, notes 1).
 *
 * A descriptor stands for one block, whatever its order; its pfn is the descriptor's place in
 * mem_map and has nothing to do with the block's host address.
 */
#include <string.h>

#include "internal.h"

_Static_assert(sizeof(struct page) * 64 <= PAGE_SIZE << MEM_MAP_ORDER,
	       "chunks hold 64 pages or more");

bool fl_should_fail(struct ctx *cx, enum fl_site site, gfp_t gfp)
{
	const struct fl_seams *seams = &cx->m->seams;

	if (site == SITE_none || !seams->should_fail)
		return false;
	return seams->should_fail(seams->priv, site, gfp);
}

static unsigned int mem_map_order(const struct machine *m)
{
	u64 bytes = (u64)m->max_chunks * sizeof(struct page *);
	unsigned int order = 0;

	while (PAGE_SIZE << order < bytes)
		order++;
	return order;
}

int mem_map_init(struct machine *m)
{
	/* Every pgd of a PAE machine with a shared kernel PMD takes a descriptor, but no page. */
	u64 most = m->cfg.mem + m->cfg.max_tasks * 2;

	INIT_LIST_HEAD(&m->free_pages);
	m->nr_chunks = 0;
	m->max_chunks = (u32)(most / MEM_MAP_CHUNK + 1);
	m->mem_map = m->ops->page_alloc(m->inst, mem_map_order(m), GFP_KERNEL);
	return m->mem_map ? 0 : -ENOMEM;
}

void mem_map_exit(struct machine *m)
{
	while (m->nr_chunks)
		m->ops->page_free(m->inst, m->mem_map[--m->nr_chunks], MEM_MAP_ORDER, GFP_KERNEL);
	m->ops->page_free(m->inst, m->mem_map, mem_map_order(m), GFP_KERNEL);
	m->mem_map = NULL;
	INIT_LIST_HEAD(&m->free_pages);
}

/* The memory of descriptors is the bench's, not the machine's: no site, not in pages_in_use. */
static bool mem_map_grow(struct machine *m)
{
	struct page *chunk;
	u32 i;

	if (m->nr_chunks == m->max_chunks)
		return false;
	chunk = m->ops->page_alloc(m->inst, MEM_MAP_ORDER, GFP_KERNEL);
	if (!chunk)
		return false;
	memset(chunk, 0, MEM_MAP_CHUNK * sizeof(*chunk));
	for (i = 0; i < MEM_MAP_CHUNK; i++) {
		chunk[i].pfn = (u64)m->nr_chunks * MEM_MAP_CHUNK + i;
		/* Frame 0 is never given out: an entry with it would be hard to tell from none. */
		if (chunk[i].pfn)
			list_add_tail(&chunk[i].lru, &m->free_pages);
	}
	m->mem_map[m->nr_chunks++] = chunk;
	return true;
}

struct page *pfn_to_page(struct machine *m, u64 pfn)
{
	if (pfn >= (u64)m->nr_chunks * MEM_MAP_CHUNK)
		return NULL;
	return &m->mem_map[pfn / MEM_MAP_CHUNK][pfn % MEM_MAP_CHUNK];
}

struct page *alloc_page_desc(struct machine *m, void *mem, enum page_type type)
{
	struct page *page;
	u64 pfn;

	if (list_empty(&m->free_pages) && !mem_map_grow(m))
		return NULL;
	page = list_first_entry(&m->free_pages, struct page, lru);
	list_del_init(&page->lru);
	pfn = page->pfn;
	memset(page, 0, sizeof(*page));
	page->pfn = pfn;
	page->mem = mem;
	page->type = (u8)type;
	page->entry_shift = m->geo.entry_shift;
	atomic_set(&page->_refcount, 1);
	INIT_LIST_HEAD(&page->lru);
	return page;
}

/*
 * Free descriptors queue up at the end: the longer a frame stays free, the likelier a stale
 * reference to it is seen for what it is.
 */
void free_page_desc(struct machine *m, struct page *page)
{
	page->mem = NULL;
	page->type = PAGE_FREE;
	atomic_set(&page->_refcount, 0);
	list_add_tail(&page->lru, &m->free_pages);
}

struct page *alloc_pages(struct ctx *cx, enum fl_site site, gfp_t gfp, unsigned int order,
			 enum page_type type)
{
	struct machine *m = cx->m;
	struct page *page;

	fl_might_alloc(cx, gfp, __func__);
	if (fl_should_fail(cx, site, gfp))
		return NULL;
	if (m->pages_in_use + ((u64)1 << order) > m->cfg.mem)
		return NULL;
	page = alloc_page_desc(m, NULL, type);
	if (!page)
		return NULL;
	page->mem = m->ops->page_alloc(m->inst, order, gfp);
	if (!page->mem) {
		free_page_desc(m, page);
		return NULL;
	}
	page->order = (u8)order;
	page->gfp = gfp;
	m->nr_alloc[type]++;
	m->pages_in_use += (u64)1 << order;
	return page;
}

static void free_pages_check(struct ctx *cx, const struct page *page)
{
	if (page->_mapcount != 0)
		fl_bug(cx, FL_BUG_REFCOUNT, __func__, "page freed while mapped");
	BUG_ON(cx, page->type == PAGE_FREE);
	BUG_ON(cx, page->nr_entries != 0);
	BUG_ON(cx, page->mlocked);
	BUG_ON(cx, page->ptl);
	BUG_ON(cx, page->pgd_user);
	BUG_ON(cx, page->pt_mm);
	BUG_ON(cx, page->cache_node.linked);
	BUG_ON(cx, !list_empty(&page->lru));
	tlb_check_free(cx, page);
}

void get_page(struct ctx *cx, struct page *page)
{
	atomic_inc(cx, &page->_refcount);
}

void put_page(struct ctx *cx, struct page *page)
{
	struct machine *m = cx->m;

	if (!atomic_dec_and_test(cx, &page->_refcount))
		return;
	free_pages_check(cx, page);
	BUG_ON(cx, m->nr_alloc[page->type] == 0);
	m->nr_alloc[page->type]--;
	m->pages_in_use -= (u64)1 << page->order;
	m->ops->page_free(m->inst, page->mem, page->order, page->gfp);
	free_page_desc(m, page);
}

void __free_page(struct ctx *cx, struct page *page)
{
	if (atomic_read(&page->_refcount) != 1)
		fl_bug(cx, FL_BUG_REFCOUNT, __func__, "page freed while in use");
	put_page(cx, page);
}

u64 page_tag(const struct page *page)
{
	return *(const u64 *)page->mem;
}

void page_set_tag(struct page *page, u64 tag)
{
	*(u64 *)page->mem = tag;
}
