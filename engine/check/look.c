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
	page = pfn_to_page(m, pte_pfn(pte));
	if (pte & _PAGE_SPECIAL && page != m->vvar_page) {
		l->kind = FL_LOOK_ZERO;
		return;
	}
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
	case PAGE_KERNEL:
		l->kind = FL_LOOK_KERNEL;
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

struct look_walk {
	struct machine *m;
	fl_look_fn fn;
	void *priv;
};

static void look_here(const struct look_walk *w, u64 addr, pte_t pte)
{
	struct fl_look l;

	look(w->m, addr, pte, &l);
	w->fn(w->priv, &l);
}

/* [start, end) lies in what one table reaches. */
static void look_in_table(const struct look_walk *w, const struct page *pt, enum pt_level level,
			  u64 start, u64 end)
{
	const struct pt_geometry *geo = &w->m->geo;
	unsigned int i = pt_index(geo, level, start), last = pt_index(geo, level, end - 1) + 1;
	u64 span = (u64)1 << geo->shift[level], base = (start & ~(span - 1)) - i * span;

	for (i = pt_next(pt, i, last); i < last; i = pt_next(pt, i + 1, last)) {
		u64 addr = max_u64(base + i * span, start), next = base + i * span + span;
		pte_t entry = pt_get(pt, i);

		next = next - 1 < end - 1 ? next : end;
		if (level == PT_PTE) {
			look_here(w, addr, entry);
		} else if (pmd_trans_huge(entry)) {
			for (; addr < next; addr += PAGE_SIZE)
				look_here(w, addr, huge_pte(entry, pt_index(geo, PT_PTE, addr)));
		} else {
			const struct page *below = pt_table(w->m, pt, i);

			if (below)
				look_in_table(w, below, pt_below(geo, level), addr, next);
		}
	}
}

void fl_look_over(struct machine *m, const struct mm_struct *mm, u64 start, u64 end, fl_look_fn fn,
		  void *priv)
{
	const struct look_walk w = {m, fn, priv};

	start &= PAGE_MASK;
	if (start < end)
		look_in_table(&w, mm->pgd, PT_PGD, start, end);
}
