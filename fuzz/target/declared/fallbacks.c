/* SPDX-License-Identifier: GPL-2.0-only */
/* Which refusals must not be seen, and what the operation does instead (facts §12, §19). */
#include "declared_priv.h"

/*
 * Which refusals must not be seen, and what the operation does instead. `next` is the request that
 * the fallback must make at once; SITE_none: it needs none, or which one depends on the state. What
 * it comes to is checked in any case: the result and the state of the run without a fault, in
 * another layout where `relays` says so.
 */
static const struct fallback {
	enum fl_site site;
	enum op_code op; /* NR_OPS: any */
	enum fl_site next;
	bool relays;
	const char *why;
} fallbacks[] = {
	{SITE_anon_vma_clone_nowait, NR_OPS, SITE_anon_vma_clone_avc, false,
	 "the object is asked for again at once, with leave to wait"},
	{SITE_copy_one_pte_cont, NR_OPS, SITE_copy_pte_range_cont, false,
	 "the page is asked for again at once, with leave to wait"},
	{SITE_gather_batch, NR_OPS, SITE_none, false,
	 "the gather flushes early, with the room that it has"},
	{SITE_filemap_page, OP_madvise, SITE_none, false, "what is read in ahead is not missed"},
	{SITE_huge_page, NR_OPS, SITE_none, true, "the fault takes a small page"},
	{SITE_huge_zero_page, NR_OPS, SITE_none, true, "the fault maps the small page of zeroes"},
	{SITE_huge_cow_page, NR_OPS, SITE_none, true,
	 "small pages take the place of the second huge one"},
	{SITE_huge_cow_array, NR_OPS, SITE_cow_page, true,
	 "the huge page is split and the page that is written copied"},
	{SITE_huge_cow_small, NR_OPS, SITE_cow_page, true,
	 "the huge page is split and the page that is written copied"},
	{SITE_huge_charge, NR_OPS, SITE_none, true, "the fault takes a small page"},
	{SITE_huge_cow_charge, NR_OPS, SITE_none, true,
	 "small pages take the place of the second huge one"},
	{SITE_huge_cow_small_charge, NR_OPS, SITE_cow_page, true,
	 "the huge page is split and the page that is written copied"},
	{SITE_khugepaged_merge_slot, NR_OPS, SITE_none, true,
	 "khugepaged learns of the mm from a fault or another merge"},
};

enum fl_site declared_asked(const struct fi_point *point)
{
	return (enum fl_site)(fl_sites[point->site].class == FL_CLASS_refill ? point->prev
									     : point->site);
}

/* op: UINT32_MAX for the end of all tasks. */
static const struct fallback *fallback_of(const struct target *t, u32 op,
					  const struct fi_point *point)
{
	for (size_t i = 0; i < ARRAY_SIZE(fallbacks); i++) {
		const struct fallback *f = &fallbacks[i];

		if (f->site == declared_asked(point) &&
		    (f->op == NR_OPS || (op != UINT32_MAX && f->op == t->p->ops[op].code)))
			return f;
	}
	return NULL;
}

bool declared_benign(const struct target *t, u32 op, const struct fi_point *point)
{
	return fallback_of(t, op, point) != NULL;
}

bool declared_relays(const struct target *t, u32 op, const struct fi_point *point)
{
	const struct fallback *f = fallback_of(t, op, point);

	return f && f->relays;
}

/*
 * Is what swap_out() found in the way, or did not: who has a page of another layout is another, be
 * it locked there, and its slots are taken otherwise.
 */
static bool is_swapped_or_kept(const struct outcome *out)
{
	return out->kind == OUT_OK ||
	       (out->kind == OUT_ERRNO && (out->value == -EBUSY || out->value == -ENOSPC));
}

bool declared_by_layout(const struct target *t, u32 op, const struct outcome *golden,
			const struct outcome *out)
{
	return t->p->ops[op].code == OP_swap_out && is_swapped_or_kept(golden) &&
	       is_swapped_or_kept(out);
}

enum fl_site declared_fallback(const struct target *t, u32 op, const struct fi_point *point)
{
	const struct fallback *f = fallback_of(t, op, point);

	return f ? f->next : SITE_none;
}

bool declared_optional(const struct fi_point *point)
{
	/* a merge that cannot clone is given up, a split or a fork fails */
	return declared_asked(point) == SITE_anon_vma_clone_avc;
}

/* Sites that no program reaches, each with the reason; ends with SITE_none. */
static const struct {
	enum fl_site site;
	const char *why;
} unreached[] = {
	{SITE_slab_refill, "asked by backends that have slabs of their own: --allocator buddy"},
	{SITE_none, NULL},
};

const char *declared_unreached(enum fl_site site)
{
	u32 i = 0;

	while (unreached[i].site != SITE_none && unreached[i].site != site)
		i++;
	return unreached[i].why;
}
