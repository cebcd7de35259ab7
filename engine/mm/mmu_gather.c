/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The gather: pages whose entries are gone wait here until no TLB can lead to them any more (notes
 * 3.2, 3.5; facts §6.7). It has room for a few pages of its own and asks for more, but never needs
 * it: without, it flushes more often.
 */
#include "internal.h"

/* Slots of a batch page; and how many such pages a gather may hold before it has to flush. */
#define MAX_GATHER_BATCH       ((u32)((PAGE_SIZE - sizeof(struct mmu_gather_batch)) / sizeof(void *)))
#define MAX_GATHER_BATCH_COUNT (10000u / MAX_GATHER_BATCH)

static void tlb_reset_range(struct ctx *cx, struct mmu_gather *tlb)
{
	if (tlb->fullmm) {
		tlb->start = tlb->end = ~(u64)0;
	} else {
		tlb->start = cx->m->geo.task_size;
		tlb->end = 0;
	}
}

void tlb_gather_mmu(struct ctx *cx, struct mmu_gather *tlb, struct mm_struct *mm, u64 start,
		    u64 end)
{
	tlb->mm = mm;
	tlb->fullmm = start == 0 && end == ~(u64)0;
	tlb->need_flush_all = false;
	tlb->local.self = NULL;
	tlb->local.next = NULL;
	tlb->local.nr = 0;
	tlb->local.max = MMU_GATHER_BUNDLE;
	tlb->local.pages = tlb->bundle;
	tlb->active = &tlb->local;
	tlb->batch_count = 0;
	tlb_reset_range(cx, tlb);
}

void tlb_record(struct mmu_gather *tlb, u64 addr)
{
	tlb->start = min_u64(tlb->start, addr);
	tlb->end = max_u64(tlb->end, addr + PAGE_SIZE);
}

static bool tlb_next_batch(struct ctx *cx, struct mmu_gather *tlb)
{
	struct mmu_gather_batch *batch;
	struct page *page;

	if (tlb->active->next) {
		tlb->active = tlb->active->next;
		return true;
	}
	if (tlb->batch_count == MAX_GATHER_BATCH_COUNT)
		return false;

	page = alloc_pages(cx, SITE_gather_batch, GFP_NOWAIT, 0, PAGE_GATHER);
	if (!page)
		return false;
	tlb->batch_count++;
	batch = page->mem;
	batch->self = page;
	batch->next = NULL;
	batch->nr = 0;
	batch->max = MAX_GATHER_BATCH;
	batch->pages = (struct page **)(void *)(batch + 1);

	tlb->active->next = batch;
	tlb->active = batch;
	return true;
}

bool __tlb_remove_page(struct ctx *cx, struct mmu_gather *tlb, struct page *page)
{
	struct mmu_gather_batch *batch = tlb->active;

	BUG_ON(cx, tlb->end == 0); /* a page without a range would never be flushed for */
	BUG_ON(cx, batch->nr >= batch->max);
	batch->pages[batch->nr++] = page;
	return batch->nr < batch->max || tlb_next_batch(cx, tlb);
}

void tlb_remove_table(struct ctx *cx, struct mmu_gather *tlb, struct page *pt, u64 addr)
{
	tlb_record(tlb, addr);
	if (!__tlb_remove_page(cx, tlb, pt))
		tlb_flush_mmu(cx, tlb);
}

void tlb_flush_mmu_tlbonly(struct ctx *cx, struct mmu_gather *tlb)
{
	if (tlb->end == 0)
		return;
	if (tlb->fullmm || tlb->need_flush_all)
		flush_tlb_mm(cx, tlb->mm);
	else
		flush_tlb_range(cx, tlb->mm, tlb->start, tlb->end);
	tlb_reset_range(cx, tlb);
}

void tlb_flush_mmu_free(struct ctx *cx, struct mmu_gather *tlb)
{
	struct mmu_gather_batch *batch;

	for (batch = &tlb->local; batch && batch->nr; batch = batch->next) {
		u32 i;

		for (i = 0; i < batch->nr; i++) {
			struct page *page = batch->pages[i];

			STEP(cx);
			/* Nobody but the swap cache may want it any more. */
			if (!page->_mapcount)
				try_to_free_swap(cx, page);
			put_page(cx, page);
		}
		batch->nr = 0;
	}
	tlb->active = &tlb->local;
}

void tlb_flush_mmu(struct ctx *cx, struct mmu_gather *tlb)
{
	tlb_flush_mmu_tlbonly(cx, tlb);
	tlb_flush_mmu_free(cx, tlb);
}

void tlb_finish_mmu(struct ctx *cx, struct mmu_gather *tlb, u64 start, u64 end)
{
	struct mmu_gather_batch *batch, *next;

	BUG_ON(cx, tlb->fullmm != (start == 0 && end == ~(u64)0));
	tlb_flush_mmu(cx, tlb);
	for (batch = tlb->local.next; batch; batch = next) {
		next = batch->next;
		__free_page(cx, batch->self);
	}
	tlb->local.next = NULL;
}
