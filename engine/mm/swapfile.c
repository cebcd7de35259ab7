/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The swap area: who uses a slot, and what is in it (facts §6.4, §20).
 *
 * The count of a slot is the number of page-table entries that name it. It is written in digits:
 * the lowest in the slot's byte of the map, the others in continuation pages, which one list per
 * stretch of the map holds. A digit has COUNT_CONTINUED set exactly when a higher one is not zero.
 *
 * While a page is on its way out or has just come back, the swap cache ties it to its slot, so that
 * all who share it find the same page. A slot is free when it has neither count nor cached page.
 */
#include <string.h>

#include "internal.h"

/* ---- the area ------------------------------------------------------------------------------- */

static unsigned int order_for(u64 bytes)
{
	unsigned int order = 0;

	while (PAGE_SIZE << order < bytes)
		order++;
	return order;
}

static u32 nr_stretches(const struct swap_info *si)
{
	return (si->max + SWAP_MAP_PAGE - 1) / SWAP_MAP_PAGE;
}

/* Like mem_map, the area's own tables are the bench's memory. */
static void *area_alloc(struct machine *m, u64 bytes)
{
	unsigned int order = order_for(bytes);

	return m->ops->page_alloc(m->inst, order, GFP_KERNEL | __GFP_ZERO);
}

static void area_free(struct machine *m, void *mem, u64 bytes)
{
	m->ops->page_free(m->inst, mem, order_for(bytes), GFP_KERNEL | __GFP_ZERO);
}

int swap_init(struct machine *m)
{
	struct swap_info *si = &m->swap;

	fl_lock_init(&si->lock, LOCK_swap_lock);
	fl_lock_init(&m->mmlist_lock, LOCK_mmlist_lock);
	if (!m->cfg.swap)
		return 0;
	si->max = (u32)m->cfg.swap + 1;
	si->map_max = (u8)((1u << m->cfg.swap_count_bits) - 2);
	si->cont_max = (u8)((2u << m->cfg.swap_count_bits) - 1);
	si->lowest_bit = 1;
	si->swap_map = area_alloc(m, si->max);
	if (!si->swap_map)
		goto fail_map;
	si->slots = area_alloc(m, si->max * sizeof(*si->slots));
	if (!si->slots)
		goto fail_slots;
	si->continuations = area_alloc(m, nr_stretches(si) * sizeof(*si->continuations));
	if (!si->continuations)
		goto fail_continuations;
	for (u32 i = 0; i < nr_stretches(si); i++)
		INIT_LIST_HEAD(&si->continuations[i]);
	si->on = true;
	return 0;

fail_continuations:
	area_free(m, si->slots, si->max * sizeof(*si->slots));
fail_slots:
	area_free(m, si->swap_map, si->max);
fail_map:
	return -ENOMEM;
}

void swap_exit(struct machine *m)
{
	struct swap_info *si = &m->swap;

	if (!si->max)
		return;
	area_free(m, si->continuations, nr_stretches(si) * sizeof(*si->continuations));
	area_free(m, si->slots, si->max * sizeof(*si->slots));
	area_free(m, si->swap_map, si->max);
	si->max = 0;
}

u64 nr_swap_pages(const struct machine *m)
{
	return m->swap.on ? m->swap.max - 1 - m->swap.inuse_pages : 0;
}

/* Half of it is in use: what can do without a slot shall. */
bool vm_swap_full(const struct machine *m)
{
	return nr_swap_pages(m) * 2 < m->cfg.swap;
}

/* ---- counts --------------------------------------------------------------------------------- */

static struct list_head *slot_continuations(const struct swap_info *si, u32 slot)
{
	return &si->continuations[slot / SWAP_MAP_PAGE];
}

static u8 *cont_digit(const struct page *page, u32 slot)
{
	return (u8 *)page->mem + slot % SWAP_MAP_PAGE;
}

/* The page of the next higher digit, after NULL that of the first; NULL: there is none. */
static struct page *cont_above(struct list_head *head, struct page *page)
{
	struct list_head *next = page ? page->lru.next : head->next;

	return next == head ? NULL : list_entry(next, struct page, lru);
}

static struct page *cont_below(struct list_head *head, struct page *page)
{
	struct list_head *prev = page->lru.prev;

	return prev == head ? NULL : list_entry(prev, struct page, lru);
}

/*
 * Adds one to the digits above the map's, which is full: `continued` says whether they are in use.
 * False: there is no digit with room; nothing has changed.
 */
static bool swap_count_carry(struct ctx *cx, const struct swap_info *si, u32 slot, bool continued)
{
	struct list_head *head = slot_continuations(si, slot);
	struct page *page = NULL;
	u8 digit;

	do {
		STEP(cx);
		page = cont_above(head, page);
		if (!page)
			return false;
		if (!continued) /* what a digit not in use says is of no account */
			*cont_digit(page, slot) = 0;
		digit = *cont_digit(page, slot);
		continued = digit & COUNT_CONTINUED;
	} while ((digit & ~COUNT_CONTINUED) == si->cont_max);

	++*cont_digit(page, slot);
	while ((page = cont_below(head, page)) != NULL)
		*cont_digit(page, slot) = COUNT_CONTINUED;
	return true;
}

/* Takes one from the digits above the map's. Returns whether anything is left of them. */
static bool swap_count_borrow(struct ctx *cx, const struct swap_info *si, u32 slot)
{
	struct list_head *head = slot_continuations(si, slot);
	struct page *page = NULL;
	u8 digit, above;

	do {
		STEP(cx);
		page = cont_above(head, page);
		BUG_ON(cx, !page);
		digit = *cont_digit(page, slot);
	} while (digit == COUNT_CONTINUED);
	BUG_ON(cx, digit == 0);

	*cont_digit(page, slot) = --digit;
	above = digit ? COUNT_CONTINUED : 0;
	while ((page = cont_below(head, page)) != NULL) {
		*cont_digit(page, slot) = si->cont_max | above;
		above = COUNT_CONTINUED;
	}
	return above;
}

u64 swap_count(const struct machine *m, u32 slot)
{
	const struct swap_info *si = &m->swap;
	struct list_head *head = slot_continuations(si, slot);
	u8 digit = si->swap_map[slot] & (u8)~SWAP_HAS_CACHE;
	u64 count = digit & (u8)~COUNT_CONTINUED, unit = si->map_max + 1u;
	struct page *page = NULL;

	while ((digit & COUNT_CONTINUED) && (page = cont_above(head, page))) {
		digit = *cont_digit(page, slot);
		count += unit * (digit & (u8)~COUNT_CONTINUED);
		unit *= si->cont_max + 1u;
	}
	return count;
}

/* Locks: swap_lock. */
static bool __swap_duplicate(struct ctx *cx, struct swap_info *si, u32 slot)
{
	u8 has_cache = si->swap_map[slot] & SWAP_HAS_CACHE;
	u8 count = si->swap_map[slot] & (u8)~SWAP_HAS_CACHE;

	BUG_ON(cx, !count && !has_cache);
	if ((count & (u8)~COUNT_CONTINUED) < si->map_max)
		count++;
	else if (swap_count_carry(cx, si, slot, count & COUNT_CONTINUED))
		count = COUNT_CONTINUED;
	else
		return false;
	si->swap_map[slot] = count | has_cache;
	return true;
}

int swap_duplicate(struct ctx *cx, u32 slot, enum fl_site site)
{
	struct swap_info *si = &cx->m->swap;

	BUG_ON(cx, !slot || slot >= si->max);
	for (;;) {
		bool done;

		STEP(cx);
		spin_lock(cx, &si->lock);
		done = __swap_duplicate(cx, si, slot);
		spin_unlock(cx, &si->lock);
		if (done)
			return 0;
		if (add_swap_count_continuation(cx, slot, site, GFP_NOWAIT))
			return -ENOMEM;
	}
}

/* Would one more not fit into the digits that the slot has room for? Locks: swap_lock. */
static bool needs_continuation(struct ctx *cx, const struct swap_info *si, u32 slot)
{
	struct list_head *head = slot_continuations(si, slot);
	u8 digit = si->swap_map[slot] & (u8)~SWAP_HAS_CACHE, full = si->map_max;
	struct page *page = NULL;

	while ((digit & (u8)~COUNT_CONTINUED) == full) {
		bool continued = digit & COUNT_CONTINUED;

		STEP(cx);
		page = cont_above(head, page);
		if (!page)
			return true;
		if (!continued)
			return false;
		digit = *cont_digit(page, slot);
		full = si->cont_max;
	}
	return false;
}

int add_swap_count_continuation(struct ctx *cx, u32 slot, enum fl_site site, gfp_t gfp)
{
	struct swap_info *si = &cx->m->swap;
	struct page *page;
	int ret = 0;

	/* Asked for before the lock is taken, and before it is known that it is needed. */
	page = alloc_pages(cx, site, gfp, 0, PAGE_SWAP_CONT);
	spin_lock(cx, &si->lock);
	if (needs_continuation(cx, si, slot)) {
		if (page)
			list_add_tail(&page->lru, slot_continuations(si, slot));
		else
			ret = -ENOMEM;
		page = NULL;
	}
	spin_unlock(cx, &si->lock);
	if (page)
		__free_page(cx, page);
	return ret;
}

/* With the last slot in use the higher digits are of no more use (facts §13.3). */
void free_swap_count_continuations(struct ctx *cx)
{
	struct swap_info *si = &cx->m->swap;

	if (si->inuse_pages)
		return;
	for (u32 i = 0; i < nr_stretches(si) && si->max; i++) {
		struct list_head *head = &si->continuations[i];

		while (!list_empty(head)) {
			struct page *page = list_first_entry(head, struct page, lru);

			STEP(cx);
			list_del_init(&page->lru);
			__free_page(cx, page);
		}
	}
}

/* ---- slots ---------------------------------------------------------------------------------- */

u32 get_swap_page(struct ctx *cx)
{
	struct swap_info *si = &cx->m->swap;
	u32 slot = 0;

	spin_lock(cx, &si->lock);
	if (nr_swap_pages(cx->m)) {
		for (slot = si->lowest_bit; si->swap_map[slot]; slot++) {
			STEP(cx);
			BUG_ON(cx, slot + 1 == si->max);
		}
		si->lowest_bit = slot + 1;
		si->swap_map[slot] = SWAP_HAS_CACHE;
		si->inuse_pages++;
	}
	spin_unlock(cx, &si->lock);
	return slot;
}

/* Writes the byte of a slot, which may be free by that. Locks: swap_lock. */
static void set_swap_map(struct swap_info *si, u32 slot, u8 val)
{
	si->swap_map[slot] = val;
	if (val)
		return;
	si->lowest_bit = (u32)min_u64(si->lowest_bit, slot);
	si->inuse_pages--;
}

/* Returns whether only the swap cache has the slot now. */
static bool swap_entry_free(struct ctx *cx, u32 slot)
{
	struct swap_info *si = &cx->m->swap;
	u8 has_cache, count;

	BUG_ON(cx, !slot || slot >= si->max);
	spin_lock(cx, &si->lock);
	has_cache = si->swap_map[slot] & SWAP_HAS_CACHE;
	count = si->swap_map[slot] & (u8)~SWAP_HAS_CACHE;
	BUG_ON(cx, !count);
	if (count == COUNT_CONTINUED)
		count = si->map_max | (swap_count_borrow(cx, si, slot) ? COUNT_CONTINUED : 0);
	else
		count--;
	set_swap_map(si, slot, count | has_cache);
	spin_unlock(cx, &si->lock);
	return !count && has_cache;
}

void swap_free(struct ctx *cx, u32 slot)
{
	swap_entry_free(cx, slot);
}

void free_swap_and_cache(struct ctx *cx, u32 slot)
{
	struct page *page;

	if (!swap_entry_free(cx, slot))
		return;
	page = cx->m->swap.slots[slot].page;
	if (!page->_mapcount || vm_swap_full(cx->m))
		delete_from_swap_cache(cx, page);
}

/* ---- the swap cache ------------------------------------------------------------------------- */

void add_to_swap_cache(struct ctx *cx, struct page *page, u32 slot)
{
	struct swap_slot *s = &cx->m->swap.slots[slot];

	BUG_ON(cx, page->swap || s->page);
	get_page(cx, page);
	/* by its slot it can be had again: so it is no longer the entries that say it is wanted */
	page->lazyfree = false;
	page->swap = slot;
	s->page = page;
}

void delete_from_swap_cache(struct ctx *cx, struct page *page)
{
	struct swap_info *si = &cx->m->swap;
	u32 slot = page->swap;

	BUG_ON(cx, si->slots[slot].page != page);
	si->slots[slot].page = NULL;
	page->swap = 0;
	spin_lock(cx, &si->lock);
	set_swap_map(si, slot, si->swap_map[slot] & (u8)~SWAP_HAS_CACHE);
	spin_unlock(cx, &si->lock);
	put_page(cx, page);
}

bool try_to_free_swap(struct ctx *cx, struct page *page)
{
	if (!page->swap || swap_count(cx->m, page->swap))
		return false;
	delete_from_swap_cache(cx, page);
	return true;
}

bool reuse_swap_page(struct ctx *cx, struct page *page)
{
	u64 count = (u64)page->_mapcount;

	if (count <= 1 && page->swap) {
		count += swap_count(cx->m, page->swap);
		/* What is written next would not be what the slot has. */
		if (count == 1)
			delete_from_swap_cache(cx, page);
	}
	return count <= 1;
}

struct page *swapin(struct ctx *cx, u32 slot, enum fl_site site, bool *major)
{
	struct swap_info *si = &cx->m->swap;
	struct page *page;

	BUG_ON(cx, !slot || slot >= si->max || !si->swap_map[slot]);
	*major = !si->slots[slot].page;
	if (!*major) {
		get_page(cx, si->slots[slot].page);
		return si->slots[slot].page;
	}
	page = alloc_pages(cx, site, GFP_KERNEL | __GFP_TAG, 0, PAGE_ANON);
	if (!page)
		return NULL;
	page_set_tag(page, si->slots[slot].tag);
	spin_lock(cx, &si->lock);
	si->swap_map[slot] |= SWAP_HAS_CACHE;
	spin_unlock(cx, &si->lock);
	add_to_swap_cache(cx, page, slot);
	return page;
}

/* ---- which mms have swap entries ------------------------------------------------------------ */

void mmlist_add(struct ctx *cx, struct mm_struct *mm, struct mm_struct *after)
{
	spin_lock(cx, &cx->m->mmlist_lock);
	if (list_empty(&mm->mmlist))
		list_add(&mm->mmlist, &after->mmlist);
	spin_unlock(cx, &cx->m->mmlist_lock);
}

/* ---- swapoff -------------------------------------------------------------------------------- */

static int unuse_pte(struct ctx *cx, struct vm_area_struct *vma, struct page *pt, u64 addr,
		     u32 slot, struct page *page)
{
	struct mm_struct *mm = vma->vm_mm;
	unsigned int idx = pt_index(&cx->m->geo, PT_PTE, addr);

	STEP(cx);
	if (pt_get(pt, idx) != swp_entry_to_pte(slot))
		return 0;
	if (mem_cgroup_try_charge(cx, page, mm, SITE_swapoff_charge))
		return -ENOMEM;
	spin_lock(cx, pte_lockptr(cx, mm, pt));
	mm->rss_stat[MM_SWAPENTS]--;
	mm->rss_stat[MM_ANONPAGES]++;
	get_page(cx, page);
	pt_set(pt, idx, mk_pte(page, vma->vm_page_prot) & ~_PAGE_ACCESSED);
	page_add_anon_rmap(page, vma, addr, false);
	swap_free(cx, slot);
	spin_unlock(cx, pte_lockptr(cx, mm, pt));
	return 0;
}

static int unuse_vma(struct ctx *cx, struct vm_area_struct *vma, u32 slot, struct page *page)
{
	u64 addr = vma->vm_start, extent;

	for (; addr < vma->vm_end; addr += extent) {
		struct page *pt;

		STEP(cx);
		extent = pte_table_span(cx->m, vma->vm_mm, addr, &pt);
		extent = min_u64(extent, vma->vm_end - addr);
		for (u64 off = 0; pt && pt->nr_entries && off < extent; off += PAGE_SIZE) {
			int err = unuse_pte(cx, vma, pt, addr + off, slot, page);

			if (err)
				return err;
		}
	}
	return 0;
}

static int unuse_mm(struct ctx *cx, struct mm_struct *mm, u32 slot, struct page *page)
{
	struct vm_area_struct *vma;
	int err = 0;

	down_read(cx, &mm->mmap_sem);
	for (vma = mm->mmap; vma && !err && swap_count(cx->m, slot); vma = vma->vm_next) {
		STEP(cx);
		if (vma->anon_vma)
			err = unuse_vma(cx, vma, slot, page);
	}
	up_read(cx, &mm->mmap_sem);
	return err;
}

/* The next mm on the ring after mm, which is pinned and is let go; NULL at the end. */
static struct mm_struct *next_swap_mm(struct ctx *cx, struct mm_struct *mm)
{
	struct mm_struct *init_mm = &cx->m->init_mm, *next;

	spin_lock(cx, &cx->m->mmlist_lock);
	next = list_entry(mm->mmlist.next, struct mm_struct, mmlist);
	atomic_inc(cx, &next->mm_users);
	spin_unlock(cx, &cx->m->mmlist_lock);
	mmput(cx, mm);
	if (next != init_mm)
		return next;
	mmput(cx, next);
	return NULL;
}

static int try_to_unuse(struct ctx *cx)
{
	struct swap_info *si = &cx->m->swap;
	struct mm_struct *mm, *init_mm = &cx->m->init_mm;
	struct page *page;
	bool major;
	u32 slot;

	for (slot = 1; slot < si->max; slot++) {
		STEP(cx);
		if (!si->swap_map[slot])
			continue;
		if (fl_should_fail(cx, SITE_swapoff_signal, GFP_KERNEL) || cx->curr->signal_pending)
			return -EINTR;
		page = swapin(cx, slot, SITE_swapoff_page, &major);
		if (!page)
			return -ENOMEM;
		atomic_inc(cx, &init_mm->mm_users);
		mm = init_mm;
		while ((mm = next_swap_mm(cx, mm)) != NULL) {
			if (!unuse_mm(cx, mm, slot, page))
				continue;
			mmput(cx, mm);
			put_page(cx, page);
			return -ENOMEM;
		}
		BUG_ON(cx, swap_count(cx->m, slot));
		delete_from_swap_cache(cx, page);
		put_page(cx, page);
	}
	return 0;
}

s64 sys_swapoff(struct ctx *cx)
{
	struct swap_info *si = &cx->m->swap;
	int err;

	if (!si->on)
		return -EINVAL;
	if (security_vm_enough_memory_mm(cx, cx->curr->mm, si->max - 1, SITE_swapoff_acct))
		return -ENOMEM;
	vm_unacct_memory(cx, si->max - 1);
	err = try_to_unuse(cx);
	if (err)
		return err;
	free_swap_count_continuations(cx);
	si->on = false;
	return 0;
}

/* ---- swapping out --------------------------------------------------------------------------- */

/* addr: where cx->curr has the page, perhaps as part of a huge one. */
static int swap_out_page(struct ctx *cx, struct page *page, u64 addr)
{
	struct swap_info *si = &cx->m->swap;
	bool discarded;
	int err;

	if (page->lazyfree) {
		get_page(cx, page);
		discarded = try_to_discard(cx, page);
		put_page(cx, page);
		if (discarded)
			return 0;
	}
	if (!page->swap) {
		u32 slot = get_swap_page(cx);

		if (!slot)
			return -ENOSPC;
		/* Of a huge page only this part goes. */
		split_huge_page_pmd(cx, cx->curr->mm, addr);
		add_to_swap_cache(cx, page, slot);
	}
	get_page(cx, page);
	err = try_to_unmap(cx, page);
	if (err) {
		try_to_free_swap(cx, page);
		goto out;
	}
	si->slots[page->swap].tag = page_tag(page);
	/* The swap cache's reference and the one above are all that is left. */
	BUG_ON(cx, atomic_read(&page->_refcount) != 2);
	delete_from_swap_cache(cx, page);
out:
	put_page(cx, page);
	return err;
}

static bool is_mapped(struct ctx *cx, struct mm_struct *mm, u64 addr)
{
	const struct vm_area_struct *vma;

	down_read(cx, &mm->mmap_sem);
	vma = find_vma(cx, mm, addr);
	up_read(cx, &mm->mmap_sem);
	return vma && vma->vm_start <= addr;
}

s64 sys_swap_out(struct ctx *cx, u64 addr)
{
	struct mm_struct *mm = cx->curr->mm;
	struct page *page, *head;
	pte_t pte;

	if (!mm || addr >= mm->task_size || !is_mapped(cx, mm, addr))
		return -EFAULT;
	pte = pte_at(cx->m, mm, addr);
	if (is_swap_pte(pte))
		page = cx->m->swap.slots[pte_to_swp_entry(pte)].page;
	else if (pte_none(pte) || (pte & _PAGE_SPECIAL))
		page = NULL;
	else
		page = pfn_to_page(cx->m, pte_pfn(pte));
	if (!page)
		return 0;
	head = page->type == PAGE_TAIL ? page->block : page;
	if (head->type != PAGE_ANON)
		return 0;
	if (page_is_locked_in(cx, head))
		return -EBUSY;
	return swap_out_page(cx, page, addr);
}
