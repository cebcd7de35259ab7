/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The TLBs (facts §6.8, G-26, A-37): what each CPU remembers of the tables that it walked, and the
 * flushes that make it forget.
 *
 * There are no address-space numbers: loading other tables forgets all. A translation also names
 * the tables that it was read through, because a CPU may cache those, too; any flush forgets that
 * part, as INVLPG does. On PAE a CPU holds the pgd's entries in registers, filled only with the
 * base.
 *
 * An access that meets a translation does not walk. What it would have done wrong is a report here:
 * a translation may allow less than the tables, never more, and no page that one leads to is free.
 */
#include "internal.h"

/* Above so many pages a range is flushed whole. */
#define TLB_SINGLE_PAGE_FLUSH_CEILING 33u

/* What a translation may allow; without DIRTY a store walks again to set it. */
#define TLB_RIGHTS (_PAGE_PRESENT | _PAGE_USER | _PAGE_RW | _PAGE_DIRTY)

static unsigned int tlb_slot(u64 addr)
{
	return (unsigned int)(addr >> PAGE_SHIFT) % TLB_SIZE;
}

static struct tlb_entry *tlb_find(struct tlb *tlb, const struct mm_struct *mm, u64 addr)
{
	unsigned int slot = tlb_slot(addr);
	struct tlb_entry *e = &tlb->entries[slot];

	return (tlb->used & 1u << slot) && e->mm == mm && e->addr == addr ? e : NULL;
}

/* ---- forgetting ----------------------------------------------------------------------------- */

static void tlb_load_pdptes(const struct machine *m, struct tlb *tlb, const struct mm_struct *mm)
{
	unsigned int i;

	if (m->geo.levels != 3)
		return;
	for (i = 0; i < m->geo.kernel_boundary; i++)
		tlb->pdpte[i] = pt_get(mm->pgd, i);
}

void load_cr3(struct ctx *cx, unsigned int cpu, struct mm_struct *mm)
{
	struct rq *rq = &cx->m->rqs[cpu];

	rq->loaded = mm;
	rq->tlb.used = 0;
	rq->tlb_flushes++;
	tlb_load_pdptes(cx->m, &rq->tlb, mm);
}

/* A lazy CPU rather leaves the mm than be told of its every change (facts §6.8). */
static void leave_mm(struct ctx *cx, struct mm_struct *mm, unsigned int cpu)
{
	*mm_cpumask(mm) &= ~(1u << cpu);
	load_cr3(cx, cpu, &cx->m->init_mm);
}

static void __flush_tlb(struct ctx *cx, struct mm_struct *mm, unsigned int cpu)
{
	load_cr3(cx, cpu, mm);
}

/* INVLPG of each page of the range. */
static void __flush_tlb_range(struct ctx *cx, unsigned int cpu, u64 start, u64 end)
{
	struct rq *rq = &cx->m->rqs[cpu];
	u32 left = rq->tlb.used;

	rq->tlb_flushes++;
	while (left) {
		unsigned int i = (unsigned int)__builtin_ctz(left), level;
		struct tlb_entry *e = &rq->tlb.entries[i];

		left &= left - 1;
		if (e->addr >= start && e->addr < end)
			rq->tlb.used &= ~(1u << i);
		for (level = PT_PTE; level < PT_PGD; level++)
			e->tables[level] = 0;
	}
}

void flush_tlb_range(struct ctx *cx, struct mm_struct *mm, u64 start, u64 end)
{
	bool whole = (end - start) >> PAGE_SHIFT > TLB_SINGLE_PAGE_FLUSH_CEILING;
	unsigned int cpu;

	BUG_ON(cx, start >= end);
	for (cpu = 0; cpu < cx->m->cfg.cpus; cpu++) {
		const struct rq *rq = &cx->m->rqs[cpu];

		if (!(*mm_cpumask(mm) & 1u << cpu))
			continue;
		if (rq->curr && rq->curr->mm != mm)
			leave_mm(cx, mm, cpu);
		else if (whole)
			__flush_tlb(cx, mm, cpu);
		else
			__flush_tlb_range(cx, cpu, start, end);
	}
}

void flush_tlb_mm(struct ctx *cx, struct mm_struct *mm)
{
	flush_tlb_range(cx, mm, 0, ~(u64)0);
}

void flush_tlb_page(struct ctx *cx, struct mm_struct *mm, u64 addr)
{
	flush_tlb_range(cx, mm, addr & PAGE_MASK, (addr & PAGE_MASK) + PAGE_SIZE);
}

/* ---- remembering ---------------------------------------------------------------------------- */

/* Walks without touching anything; *ptp and *idxp are where the last entry is. tables gets the
 * frames below the pgd, by level. 0: none. */
static pte_t tlb_walk(struct ctx *cx, const struct mm_struct *mm, u64 addr,
		      u32 tables[static PT_PGD], struct page **ptp, unsigned int *idxp)
{
	const struct pt_geometry *geo = &cx->m->geo;
	enum pt_level level = PT_PGD;
	struct page *pt = mm->pgd;

	while (level != PT_PTE) {
		unsigned int idx = pt_index(geo, level, addr);

		if (level == pmd_level(geo) && pmd_trans_huge(pt_get(pt, idx))) {
			*ptp = pt;
			*idxp = idx;
			return huge_pte(pt_get(pt, idx), pt_index(geo, PT_PTE, addr));
		}
		pt = pt_table(cx->m, pt, idx);
		if (!pt)
			return 0;
		level = pt_below(geo, level);
		tables[level] = (u32)pt->pfn;
	}
	*ptp = pt;
	*idxp = pt_index(geo, PT_PTE, addr);
	return pt_get(pt, *idxp);
}

bool tlb_entry_is_stale(const struct tlb_entry *e, pte_t pte)
{
	return ((e->pte ^ pte) & _PAGE_PFN_MASK) || (e->pte & TLB_RIGHTS & ~pte) ||
	       (pte & ~e->pte & _PAGE_NX);
}

static void check_hit(struct ctx *cx, const struct mm_struct *mm, const struct tlb_entry *e)
{
	u32 tables[PT_PGD];
	unsigned int idx;
	struct page *pt;

	if (tlb_entry_is_stale(e, tlb_walk(cx, mm, e->addr, tables, &pt, &idx)))
		fl_bug(cx, FL_BUG_TLB, __func__,
		       "access through a stale translation that allows more than the tables");
}

static void check_registers(struct ctx *cx, const struct tlb *tlb, const struct mm_struct *mm,
			    u64 addr)
{
	unsigned int idx = pt_index(&cx->m->geo, PT_PGD, addr);

	if (cx->m->geo.levels == 3 && tlb->pdpte[idx] != pt_get(mm->pgd, idx))
		fl_bug(cx, FL_BUG_TLB, __func__, "walk through a pgd entry that was not reloaded");
}

static void tlb_fill(struct tlb *tlb, struct mm_struct *mm, u64 addr, pte_t pte,
		     const u32 tables[static PT_PGD])
{
	unsigned int slot = tlb_slot(addr), level;
	struct tlb_entry *e = &tlb->entries[slot];

	e->mm = mm;
	e->addr = addr;
	e->pte = pte;
	for (level = PT_PTE; level < PT_PGD; level++)
		e->tables[level] = tables[level];
	tlb->used |= 1u << slot;
}

struct page *tlb_access(struct ctx *cx, struct mm_struct *mm, u64 addr, bool write)
{
	const pte_t need = _PAGE_PRESENT | _PAGE_USER | (write ? _PAGE_RW : 0);
	const pte_t seen = _PAGE_ACCESSED | (write ? _PAGE_DIRTY : 0);
	struct rq *rq = &cx->m->rqs[cx->cpu];
	u64 vpage = addr & PAGE_MASK;
	u32 tables[PT_PGD] = {0};
	struct tlb_entry *e;
	struct page *pt, *page;
	unsigned int idx;
	pte_t pte;

	if (rq->loaded != mm)
		fl_bug(cx, FL_BUG_TLB, __func__, "access with the tables of another mm loaded");
	e = tlb_find(&rq->tlb, mm, vpage);
	if (e && (e->pte & (need | seen)) == (need | seen)) {
		check_hit(cx, mm, e);
		return pfn_to_page(cx->m, pte_pfn(e->pte));
	}
	/* what does not allow the access is dropped before the fault is reported */
	if (e)
		rq->tlb.used &= ~(1u << tlb_slot(vpage));

	check_registers(cx, &rq->tlb, mm, vpage);
	pte = tlb_walk(cx, mm, vpage, tables, &pt, &idx);
	if ((pte & need) != need)
		return NULL;
	page = pfn_to_page(cx->m, pte_pfn(pte));
	BUG_ON(cx, !page || !page->mem);
	pte |= seen;
	pgd_set(pt, idx, pt_get(pt, idx) | seen);
	tlb_fill(&rq->tlb, mm, vpage, pte, tables);
	return page;
}

/* ---- what must not be freed ----------------------------------------------------------------- */

/* To one of the frames from pfn on. */
static bool tlb_entry_leads_to(const struct tlb_entry *e, u64 pfn, u64 nr)
{
	unsigned int level;

	for (level = PT_PTE; level < PT_PGD; level++) {
		if (e->tables[level] == pfn)
			return true;
	}
	return pte_pfn(e->pte) - pfn < nr;
}

void tlb_check_free(struct ctx *cx, const struct page *page)
{
	unsigned int cpu;

	for (cpu = 0; cpu < cx->m->cfg.cpus; cpu++) {
		const struct rq *rq = &cx->m->rqs[cpu];
		u32 left;

		for (left = rq->tlb.used; left; left &= left - 1) {
			if (tlb_entry_leads_to(&rq->tlb.entries[__builtin_ctz(left)], page->pfn,
					       PageTransHuge(page) ? hpage_nr(cx->m) : 1))
				fl_bug(cx, FL_BUG_TLB, __func__,
				       "page freed while a translation leads to it");
		}
		if (rq->loaded && rq->loaded->pgd == page)
			fl_bug(cx, FL_BUG_TLB, __func__, "pgd freed while a CPU has it loaded");
	}
}
