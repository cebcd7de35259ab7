/* SPDX-License-Identifier: GPL-2.0-only */
/* G-26: what the CPUs remember of page tables, against the tables. */
#include "checks.h"

static const u8 table_types[] = {
	[PT_PTE] = PAGE_PTE, [PT_PMD] = PAGE_PMD, [PT_PUD] = PAGE_PUD, [PT_P4D] = PAGE_P4D};

static const struct page *table(const struct machine *m, u64 pfn, enum pt_level level)
{
	const struct page *pt = chk_page(m, pfn);

	return pt && pt->type == table_types[level] && pt->mem ? pt : NULL;
}

static pte_t pte_now(const struct machine *m, const struct mm_struct *mm, u64 addr)
{
	const struct page *pt = mm->pgd;
	enum pt_level level = PT_PGD;

	while (pt && level != PT_PTE) {
		pte_t e = pt_get(pt, pt_index(&m->geo, level, addr));

		if (level == pmd_level(&m->geo) && pmd_trans_huge(e))
			return huge_pte(e, pt_index(&m->geo, PT_PTE, addr));

		level = pt_below(&m->geo, level);
		pt = pte_none(e) ? NULL : table(m, pte_pfn(e), level);
	}
	return pt ? pt_get(pt, pt_index(&m->geo, PT_PTE, addr)) : 0;
}

static bool tables_now(const struct machine *m, const struct tlb_entry *e)
{
	for (enum pt_level level = PT_PTE; level < PT_PGD; level++) {
		if (e->tables[level] && !table(m, e->tables[level], level))
			return false;
	}
	return true;
}

static void check_registers(struct chk *c, unsigned int cpu, const struct mm_struct *mm)
{
	const struct machine *m = c->m;
	const struct rq *rq = &m->rqs[cpu];

	for (unsigned int i = 0; m->geo.levels == 3 && i < m->geo.kernel_boundary; i++)
		chk_eq_hex(c, CHK_tlb_pdpte, __func__, chk_obj(OBJ_CPU, rq, cpu),
			   pt_get(mm->pgd, i), rq->tlb.pdpte[i]);
}

void chk_tlb(struct chk *c, const struct mm_struct *mm)
{
	const struct machine *m = c->m;

	for (unsigned int cpu = 0; cpu < m->cfg.cpus; cpu++) {
		const struct rq *rq = &m->rqs[cpu];

		if (rq->loaded != mm)
			continue;
		check_registers(c, cpu, mm);
		for (unsigned int i = 0; i < TLB_SIZE; i++) {
			const struct tlb_entry *e = &rq->tlb.entries[i];
			struct chk_obj obj = chk_obj(OBJ_CPU, rq, cpu);
			bool ok;

			if (!(rq->tlb.used & 1u << i))
				continue;
			ok = chk_true(c, CHK_tlb_mm, __func__, obj, e->mm == mm,
				      "translations of the mm that is loaded", "one of another mm");
			if (!ok)
				continue;
			chk_true(c, CHK_tlb_tables, __func__, obj, tables_now(m, e),
				 "translations read through tables that exist",
				 "one through a table that has gone");
			obj = chk_obj(OBJ_PTE, mm, e->addr);
			chk_true(c, CHK_tlb_entry, __func__, obj,
				 !tlb_entry_is_stale(e, pte_now(m, mm, e->addr)),
				 "cached with no more rights than the entry has",
				 "a stale translation that allows more");
		}
	}
}
