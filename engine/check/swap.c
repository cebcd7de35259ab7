/* SPDX-License-Identifier: GPL-2.0-only */
/* G-19 and G-22: which mms may hold swap entries, and the counts of the slots. */
#include "checks.h"

bool chk_swap_entry(const struct machine *m, pte_t e)
{
	u32 slot = pte_to_swp_entry(e);

	return !(e & ~_PAGE_PFN_MASK) && slot && slot < m->swap.max && m->swap.swap_map[slot];
}

bool chk_mmlist(struct chk *c)
{
	const struct machine *m = c->m;
	struct chk_obj obj = chk_obj(OBJ_MACHINE, m, 0);
	const struct mm_struct *mm;
	bool ok;
	u64 n;

	ok = chk_true(c, CHK_mmlist, __func__, obj,
		      chk_ring(&m->init_mm.mmlist, chk_bound(m, CACHE_mm_struct), &n),
		      "a ring of mms", "links that do not match");
	if (!ok)
		return false;
	list_for_each_entry(mm, &m->init_mm.mmlist, mmlist) {
		ok = chk_true(c, CHK_mmlist, __func__, obj,
			      mm != &m->init_mm && chk_is_live_mm(m, mm) &&
				      atomic_read(&mm->mm_users) > 0,
			      "mms that have users", "another one");
		if (!ok)
			return false;
	}
	list_for_each_entry(mm, &m->mms, mms)
		chk_true(c, CHK_mmlist_member, __func__, chk_obj(OBJ_MM, mm, 0),
			 !mm->rss_stat[MM_SWAPENTS] || !list_empty(&mm->mmlist), "on the ring",
			 "not there, with swap entries");
	return true;
}

/* The slot's number, digit by digit; false: it is none. */
static bool read_count(const struct machine *m, u32 slot, u64 *count)
{
	const struct swap_info *si = &m->swap;
	const struct list_head *head = &si->continuations[slot / SWAP_MAP_PAGE];
	const struct list_head *pos = head;
	u8 digit = si->swap_map[slot] & (u8)~SWAP_HAS_CACHE, max = si->map_max;
	u64 unit = 1;

	*count = 0;
	for (;;) {
		const struct page *page;
		u8 val = digit & (u8)~COUNT_CONTINUED;

		if (val > max)
			return false;
		*count += unit * val;
		if (!(digit & COUNT_CONTINUED))
			return pos == head || val;
		unit *= max + 1u;
		pos = pos->next;
		if (pos == head)
			return false;
		page = list_entry(pos, struct page, lru);
		digit = ((const u8 *)page->mem)[slot % SWAP_MAP_PAGE];
		max = si->cont_max;
	}
}

static void check_slot(struct chk *c, u32 slot)
{
	const struct swap_info *si = &c->m->swap;
	const struct swap_slot *s = &si->slots[slot];
	struct chk_obj obj = chk_obj(OBJ_SLOT, NULL, slot);
	u64 count;

	chk_true(c, CHK_swap_cache, __func__, obj,
		 !(si->swap_map[slot] & SWAP_HAS_CACHE) == !s->page &&
			 (!s->page || (s->page->type == PAGE_ANON && s->page->swap == slot)),
		 "a cached page that names it, or none", "not what the map says");
	if (chk_true(c, CHK_swap_digits, __func__, obj, read_count(c->m, slot, &count),
		     "digits of a count", "others"))
		chk_eq(c, CHK_swap_count, __func__, obj, s->seen[SEEN_MAPPED], count);
}

static bool check_continuations(struct chk *c)
{
	const struct machine *m = c->m;
	struct page *page;
	u64 n;

	for (u32 i = 0; i * SWAP_MAP_PAGE < m->swap.max; i++) {
		if (!chk_true(c, CHK_swap_digits, __func__, chk_obj(OBJ_MACHINE, m, 0),
			      chk_ring(&m->swap.continuations[i], m->nr_alloc[PAGE_SWAP_CONT] + 1,
				       &n),
			      "a ring of continuation pages", "links that do not match"))
			return false;
		list_for_each_entry(page, &m->swap.continuations[i], lru) {
			if (!chk_true(c, CHK_swap_digits, __func__, chk_obj(OBJ_PAGE, page, 0),
				      page->type == PAGE_SWAP_CONT && page->mem,
				      "a continuation page", "another one"))
				return false;
			page->seen[SEEN_MAPPED]++;
		}
	}
	return true;
}

void chk_swap(struct chk *c)
{
	const struct machine *m = c->m;
	const struct swap_info *si = &m->swap;
	u64 used = 0;
	u32 free = si->max;

	chk_true(c, CHK_shared_locks, __func__, chk_obj(OBJ_MACHINE, m, 0),
		 !si->lock.writer && !si->lock.readers && !m->mmlist_lock.writer &&
			 !m->mmlist_lock.readers,
		 "swap_lock and mmlist_lock: free", "held");
	if (!si->max || !check_continuations(c))
		return;
	for (u32 slot = si->max - 1; slot; slot--) {
		check_slot(c, slot);
		used += si->swap_map[slot] != 0;
		if (!si->swap_map[slot])
			free = slot;
	}
	chk_eq(c, CHK_swap_inuse, __func__, chk_obj(OBJ_MACHINE, m, 0), used, si->inuse_pages);
	chk_true(c, CHK_swap_inuse, __func__, chk_obj(OBJ_MACHINE, m, 0), si->lowest_bit <= free,
		 "no free slot below lowest_bit", "one");
}
