/* SPDX-License-Identifier: GPL-2.0-only */
/* What the page tables of an mm say about addresses, without touching anything. */
#include "checks.h"

static void look(struct machine *m, u64 addr, pte_t pte, struct fl_look *l)
{
	const struct page *page;

	*l = (struct fl_look){.addr = addr};
	if (pte_none(pte))
		return;
	if (is_swap_pte(pte)) {
		u32 slot = pte_to_swp_entry(pte);

		l->kind = FL_LOOK_ANON;
		if (slot < m->swap.max)
			l->tag = m->swap.slots[slot].page ? page_tag(m->swap.slots[slot].page)
							  : m->swap.slots[slot].tag;
		return;
	}
	if (pte & _PAGE_SPECIAL) {
		l->kind = FL_LOOK_ZERO;
		return;
	}
	page = pfn_to_page(m, pte_pfn(pte));
	if (!page || !page->mem) {
		l->kind = FL_LOOK_ODD;
		return;
	}
	l->tag = page_tag(page);
	switch (page->type) {
	case PAGE_ANON:
	case PAGE_TAIL:
		l->kind = FL_LOOK_ANON;
		break;
	case PAGE_FILE:
		l->kind = FL_LOOK_FILE;
		l->index = page->index;
		l->inode = page->mapping ? page->mapping->host : NULL;
		break;
	default:
		l->kind = FL_LOOK_ODD;
		break;
	}
}

void fl_look_at(struct machine *m, const struct mm_struct *mm, u64 addr, struct fl_look *l)
{
	look(m, addr & PAGE_MASK, pte_at(m, mm, addr), l);
}

/* [start, end) lies in one table; the walk is over with its last entry. */
static void look_in_table(struct machine *m, const struct page *pt, u64 start, u64 end,
			  fl_look_fn fn, void *priv)
{
	unsigned int idx = pt_index(&m->geo, PT_PTE, start), left = pt->nr_entries;
	struct fl_look l;

	for (unsigned int i = 0; i < idx && left; i++)
		left -= !pte_none(pt_get(pt, i));
	for (; start < end && left; start += PAGE_SIZE, idx++) {
		pte_t pte = pt_get(pt, idx);

		if (pte_none(pte))
			continue;
		left--;
		look(m, start, pte, &l);
		fn(priv, &l);
	}
}

void fl_look_over(struct machine *m, const struct mm_struct *mm, u64 start, u64 end, fl_look_fn fn,
		  void *priv)
{
	u64 extent;

	for (u64 addr = start & PAGE_MASK; addr < end; addr += extent) {
		struct page *pt;
		struct fl_look l;

		extent = pte_table_span(m, mm, addr, &pt);
		if (pt) {
			look_in_table(m, pt, addr, min_u64(addr + extent, end), fn, priv);
		} else if (!pte_none(pte_at(m, mm, addr))) {
			/* part of a huge page: there is no table */
			extent = PAGE_SIZE;
			look(m, addr, pte_at(m, mm, addr), &l);
			fn(priv, &l);
		}
		if (addr + extent < addr)
			return;
	}
}
