/* SPDX-License-Identifier: GPL-2.0-only */
/* What is left when everybody has gone (facts §13.3). */
#include <inttypes.h>
#include <stdio.h>

#include "checks.h"

/* What the machine was made with and keeps. */
struct own {
	u64 pages[NR_PAGE_TYPES];
	u64 in_use;
	u64 ptls;
};

static void own_page(struct own *own, const struct page *page)
{
	own->pages[page->type]++;
	own->in_use += (u64)1 << page->order;
	own->ptls += page->ptl != NULL;
}

static void count_own(const struct machine *m, struct own *own)
{
	const struct page *pgd = m->init_mm.pgd;
	unsigned int end = m->geo.ptrs[PT_PGD];

	own_page(own, m->zero_page);
	if (m->huge_zero_page)
		own_page(own, m->huge_zero_page);
	own_page(own, pgd);
	for (unsigned int i = 0; m->vdso_mapping.pages[i]; i++)
		own_page(own, m->vdso_mapping.pages[i]);
	if (m->vvar_page)
		own_page(own, m->vvar_page);
	for (unsigned int i = pt_next(pgd, 0, end); i < end; i = pt_next(pgd, i + 1, end)) {
		const struct page *pt = chk_page(m, pte_pfn(pt_get(pgd, i)));

		if (pt && pt->type != PAGE_FREE && pt->type < NR_PAGE_TYPES)
			own_page(own, pt);
	}
}

static u64 lazy_cpus(const struct machine *m)
{
	u64 n = 0;

	for (unsigned int cpu = 0; cpu < m->cfg.cpus; cpu++)
		n += m->rqs[cpu].loaded != &m->init_mm ||
		     m->rqs[cpu].idle->active_mm != &m->init_mm;
	return n;
}

static u64 translations(const struct machine *m)
{
	u64 n = 0;

	for (unsigned int cpu = 0; cpu < m->cfg.cpus; cpu++)
		n += (u64)__builtin_popcount(m->rqs[cpu].tlb.used);
	return n;
}

/* A list that is no ring has not ended: it counts as one that is not empty. */
static u64 ring_length(const struct machine *m, const struct list_head *h)
{
	u64 n;

	return chk_ring(h, (u64)m->nr_chunks * MEM_MAP_CHUNK + chk_bound(m, CACHE_file), &n) ? n
											     : 1;
}

static u64 mapped_inodes(const struct machine *m)
{
	const struct file_inode *inode;
	u64 n;

	if (!chk_ring(&m->inodes, chk_bound(m, CACHE_inode), &n))
		return 1;
	n = 0;
	list_for_each_entry(inode, &m->inodes, inodes)
		n += inode->i_data.i_mmap.node != NULL;
	return n;
}

static u64 mm_holders(const struct machine *m)
{
	u64 n = 0;

	for (unsigned int i = 0; i < NR_NOTIFIERS; i++)
		n += m->notifiers[i].mm != NULL;
	for (unsigned int i = 0; i < NR_MM_PINS; i++)
		n += m->pins[i].mm != NULL;
	return n;
}

static u64 memcg_usage(const struct machine *m)
{
	u64 n = 0;

	for (unsigned int i = 0; i < NR_MEMCGS; i++)
		n += m->memcgs[i].usage;
	return n;
}

static s64 module_refs(const struct machine *m)
{
	s64 n = 0;

	for (unsigned int i = 0; i < NR_BINFMTS; i++)
		n += m->modules[i].refcnt;
	return n;
}

const struct fl_check_row fl_census_rows[] = {
#define CENSUS(name, what, expr) {"census", #name, what, "census"},
#include "census.def"
#undef CENSUS
};
const unsigned int fl_nr_census_rows = ARRAY_SIZE(fl_census_rows);

unsigned int fl_census(struct machine *m, fl_violation_fn fn, void *priv)
{
	struct own counted = {0}, *own = &counted;
	unsigned int bad = 0;

	count_own(m, own);
	const s64 left[] = {
#define CENSUS(name, what, expr) (s64)(expr),
#include "census.def"
#undef CENSUS
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(left); i++) {
		struct fl_violation v;

		if (!left[i])
			continue;
		bad++;
		if (!fn)
			continue;
		v.id = fl_census_rows[i].id;
		v.name = fl_census_rows[i].name;
		v.func = __func__;
		snprintf(v.object, sizeof(v.object), "%s", fl_census_rows[i].what);
		snprintf(v.expected, sizeof(v.expected), "0");
		snprintf(v.actual, sizeof(v.actual), "%" PRId64, left[i]);
		fn(priv, &v);
	}
	return bad;
}
