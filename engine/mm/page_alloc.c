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

/*
 * Frames of huge pages come in rows and stay such: a row is free for the next huge page when all
 * its pages are. As many again as memory has room for, because a few small pages can hold up a row.
 */
static u64 max_blocks(const struct machine *m)
{
	return m->cfg.thp ? 2 * (m->cfg.mem >> hpage_order(m)) : 0;
}

static u32 block_chunks(const struct machine *m)
{
	return (hpage_nr(m) + MEM_MAP_CHUNK - 1) / MEM_MAP_CHUNK;
}

int mem_map_init(struct machine *m)
{
	/* Every pgd of a PAE machine with a shared kernel PMD takes a descriptor, but no page. */
	u64 most = m->cfg.mem + m->cfg.max_tasks * 2;
	u64 blocks = max_blocks(m) * block_chunks(m);

	INIT_LIST_HEAD(&m->free_pages);
	m->nr_chunks = 0;
	INIT_LIST_HEAD(&m->free_blocks);
	m->nr_blocks = 0;
	m->max_chunks = (u32)(most / MEM_MAP_CHUNK + 1 + blocks);
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
static bool mem_map_grow(struct machine *m, struct list_head *free)
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
			list_add_tail(&chunk[i].lru, free);
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

static void page_desc_init(const struct machine *m, struct page *page, void *mem,
			   enum page_type type)
{
	u64 pfn = page->pfn;

	memset(page, 0, sizeof(*page));
	page->pfn = pfn;
	page->mem = mem;
	page->type = (u8)type;
	page->entry_shift = m->geo.entry_shift;
	atomic_set(&page->_refcount, 1);
	INIT_LIST_HEAD(&page->lru);
}

struct page *alloc_page_desc(struct machine *m, void *mem, enum page_type type)
{
	struct page *page;

	if (list_empty(&m->free_pages) && !mem_map_grow(m, &m->free_pages))
		return NULL;
	page = list_first_entry(&m->free_pages, struct page, lru);
	list_del_init(&page->lru);
	page_desc_init(m, page, mem, type);
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

/* The huge page of zeroes goes first when memory is short and nobody maps it. */
static bool room_for(struct ctx *cx, u64 pages)
{
	const struct machine *m = cx->m;

	if (m->pages_in_use + pages > m->cfg.mem)
		shrink_huge_zero_page(cx);
	return m->pages_in_use + pages <= m->cfg.mem;
}

struct page *alloc_pages(struct ctx *cx, enum fl_site site, gfp_t gfp, unsigned int order,
			 enum page_type type)
{
	struct machine *m = cx->m;
	struct page *page;

	fl_might_alloc(cx, gfp, __func__);
	if (fl_should_fail(cx, site, gfp))
		return NULL;
	if (!room_for(cx, (u64)1 << order))
		return NULL;
	page = alloc_page_desc(m, NULL, type);
	if (!page)
		return NULL;
	page->mem = m->ops->page_alloc(m->inst, order, gfp | __GFP_CPU(cx->cpu));
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
	BUG_ON(cx, page->pmd_huge_pte);
	BUG_ON(cx, page->pgd_user);
	BUG_ON(cx, page->pt_mm);
	BUG_ON(cx, page->cache_node.linked);
	BUG_ON(cx, !list_empty(&page->lru));
	tlb_check_free(cx, page);
}

/* ---- huge pages ----------------------------------------------------------------------------- */

/*
 * A row of free frames, of which only the first leaves a list. They begin with a chunk; what the
 * last one has over is for small pages.
 */
static struct page *alloc_block_desc(struct machine *m)
{
	u32 nr = block_chunks(m), first, i;
	struct list_head frames;
	struct page *head, *page, *next;

	if (!list_empty(&m->free_blocks)) {
		head = list_first_entry(&m->free_blocks, struct page, lru);
		list_del_init(&head->lru);
		return head;
	}
	/* frame 0 is nobody's, and so its chunk has no row */
	if (!m->nr_chunks || m->nr_blocks == max_blocks(m) || m->max_chunks - m->nr_chunks < nr)
		return NULL;
	first = m->nr_chunks;
	INIT_LIST_HEAD(&frames);
	for (i = 0; i < nr && mem_map_grow(m, &frames); i++)
		;
	head = i == nr ? &m->mem_map[first][0] : NULL;
	list_for_each_entry_safe(page, next, &frames, lru) {
		list_del_init(&page->lru);
		if (!head || page->pfn >= head->pfn + hpage_nr(m))
			list_add_tail(&page->lru, &m->free_pages);
	}
	m->nr_blocks += head != NULL;
	return head;
}

struct page *alloc_huge_page(struct ctx *cx, enum fl_site site)
{
	struct machine *m = cx->m;
	unsigned int nr = hpage_nr(m), i;
	struct page *head;
	void *mem;

	fl_might_alloc(cx, GFP_TRANSHUGE, __func__);
	if (fl_should_fail(cx, site, GFP_TRANSHUGE))
		return NULL;
	if (!room_for(cx, nr))
		return NULL;
	head = alloc_block_desc(m);
	if (!head)
		return NULL;
	mem = m->ops->page_alloc(m->inst, hpage_order(m), GFP_TRANSHUGE | __GFP_CPU(cx->cpu));
	if (!mem) {
		list_add_tail(&head->lru, &m->free_blocks);
		return NULL;
	}
	for (i = 0; i < nr; i++) {
		struct page *page = pfn_to_page(m, head->pfn + i);

		page_desc_init(m, page, (char *)mem + i * FL_TAG_BYTES, i ? PAGE_TAIL : PAGE_ANON);
		page->block = head;
		page->gfp = GFP_TRANSHUGE;
		if (i)
			atomic_set(&page->_refcount, 0);
	}
	head->order = (u8)hpage_order(m);
	head->block_mem = mem;
	head->block_live = nr;
	m->nr_alloc[PAGE_ANON]++;
	m->nr_alloc[PAGE_TAIL] += nr - 1;
	m->pages_in_use += nr;
	return head;
}

void split_huge_page_refcount(struct ctx *cx, struct page *head)
{
	struct machine *m = cx->m;
	unsigned int nr = hpage_nr(m), i;

	BUG_ON(cx, !PageTransHuge(head));
	head->order = 0;
	for (i = 1; i < nr; i++) {
		struct page *page = pfn_to_page(m, head->pfn + i);

		STEP(cx);
		BUG_ON(cx, page->type != PAGE_TAIL || page->block != head);
		page->type = PAGE_ANON;
		page->anon_vma = head->anon_vma;
		page->index = head->index + i;
		page->mlocked = head->mlocked;
		page->memcg = head->memcg;
		page->_mapcount = head->_mapcount;
		atomic_set(&page->_refcount, head->_mapcount);
	}
	m->nr_alloc[PAGE_TAIL] -= nr - 1;
	m->nr_alloc[PAGE_ANON] += nr - 1;
}

/* A huge page, or a page of one that was split. */
static void free_block_part(struct ctx *cx, struct page *page)
{
	struct machine *m = cx->m;
	struct page *block = page->block;
	unsigned int nr = 1u << page->order, i;

	m->nr_alloc[PAGE_ANON]--;
	m->nr_alloc[PAGE_TAIL] -= nr - 1;
	m->pages_in_use -= nr;
	for (i = 0; i < nr; i++) {
		struct page *part = pfn_to_page(m, page->pfn + i);

		part->mem = NULL;
		part->type = PAGE_FREE;
		atomic_set(&part->_refcount, 0);
	}
	BUG_ON(cx, block->block_live < nr);
	block->block_live -= nr;
	if (block->block_live)
		return;
	m->ops->page_free(m->inst, block->block_mem, hpage_order(m),
			  GFP_TRANSHUGE | __GFP_CPU(cx->cpu));
	block->block_mem = NULL;
	list_add_tail(&block->lru, &m->free_blocks);
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
	mem_cgroup_uncharge(cx, page);
	if (page->block) {
		free_block_part(cx, page);
		return;
	}
	BUG_ON(cx, m->nr_alloc[page->type] == 0);
	m->nr_alloc[page->type]--;
	m->pages_in_use -= (u64)1 << page->order;
	m->ops->page_free(m->inst, page->mem, page->order, page->gfp | __GFP_CPU(cx->cpu));
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
