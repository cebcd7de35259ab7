/* SPDX-License-Identifier: GPL-2.0-only */
/* Two observations of an mm: what may differ does so in its one way, and all else is equal. */
#include "declared_priv.h"

#include <stdlib.h>
#include <string.h>

static bool in_range(const struct change *c, u32 mm, u64 addr)
{
	return c->kind != CHANGE_KILLED && mm == c->mm && addr >= c->start && addr < c->end;
}

/* Pairs two numbers, once for all. */
static bool paired(u64 *map, u64 max, u64 before, u64 after)
{
	if (before > max || after > max)
		return before == after;
	if (!before || !after)
		return before == after;
	if (!map[before])
		map[before] = after;
	return map[before] == after;
}

static u64 users_gone(const struct change *c, u32 mm)
{
	u64 n = 0;

	for (u64 task = 1; c->kind == CHANGE_KILLED && task <= c->max_task; task++)
		n += (change_is_gone(c, task) || (c->new_mm && task == c->task)) &&
		     obs_value(&c->before, OBS_task_mm, (u32)task) == mm;
	return n;
}

/* Has a task of the mm such a word; mm 0: of any? */
static bool wants_tid(const struct change *c, u32 mm)
{
	for (u32 i = 0; i < c->nr_tids; i++)
		if (!mm || c->tids[i].mm == mm)
			return true;
	return false;
}

bool change_rings_go(const struct change *c)
{
	return c->destroyed ||
	       (c->kind == CHANGE_KILLED && obs_value(&c->before, OBS_mm_ioctx_file, c->mm) &&
		obs_value(&c->before, OBS_mm_users, c->mm) == users_gone(c, c->mm));
}

/* Slot of the context that the operation was about; ~0: none. */
static u64 context_slot(const struct change *c)
{
	for (u32 i = 0; i < c->before.nr; i++)
		if (c->before.v[i].obj == c->mm && c->before.v[i].field == OBS_mm_ioctx &&
		    c->before.v[i].val == c->start)
			return c->before.v[i].key;
	return ~(u64)0;
}

/* The next record of an mm of before that is to be there still. */
static const struct fl_obs *next_mm_field(const struct change *c, u32 mm, u32 *i)
{
	const struct fl_obs *b;

	do {
		b = obs_next(&c->before, "mm", mm, i);
	} while (b && c->destroyed && mm == c->mm && b->key == context_slot(c) &&
		 !strncmp(fl_obs_fields[b->field].name, "ioctx", 5));
	return b;
}

static bool same_fields(const struct change *c, u32 mm, u32 now)
{
	u32 ib = 0, ia = 0;
	const struct fl_obs *b, *a;

	for (;;) {
		u64 want;

		b = next_mm_field(c, mm, &ib);
		a = obs_next(&c->after, "mm", now, &ia);
		if (!b || !a)
			return !b && !a;
		want = b->val;
		switch (b->field) {
		case OBS_mm_core_state:
			want = change_task_after(c, b->val);
			break;
		case OBS_mm_owner:
			want = change_task_after(c, b->val);
			if (change_is_gone(c, b->val) || (c->new_mm && b->val == c->task))
				want = a->val;
			break;
		case OBS_mm_exe_file:
		case OBS_mm_ioctx_file:
			if (paired(c->files, c->max_file, b->val, a->val))
				want = a->val;
			break;
		case OBS_mm_users:
			want -= users_gone(c, mm);
			if (c->kind == CHANGE_BORN && c->shares_mm && mm == c->mm)
				want++;
			break;
		case OBS_mm_brk:
			if (mm == c->mm && c->moves_brk)
				want = a->val;
			break;
		case OBS_mm_def_flags:
			if (mm == c->mm && c->whole_mm)
				want = a->val;
			break;
		case OBS_mm_flags:
		case OBS_mm_xol_vaddr:
			if (mm == c->mm && c->probed)
				want = a->val;
			break;
		case OBS_mm_ioctx: /* a ring that has moved */
		case OBS_mm_ioctx_base:
			if (mm == c->mm && c->kind == CHANGE_MOVED && a->val == c->start)
				want = a->val;
			break;
		case OBS_mm_ioctx_reqs:
			if (mm == c->mm && c->submitted && b->key == context_slot(c))
				want += c->submitted;
			break;
		case OBS_mm_total_vm:
		case OBS_mm_shared_vm:
		case OBS_mm_exec_vm:
		case OBS_mm_stack_vm:
		case OBS_mm_locked_vm:
		case OBS_mm_rss:
			if (mm == c->mm && c->kind != CHANGE_KILLED && !c->advised)
				want = a->val;
			/* the page of a word, and the stack that has grown for it; that of a ring
			 */
			if (wants_tid(c, mm) || (b->field == OBS_mm_rss && c->rings_go))
				want = a->val;
			break;
		default:
			break;
		}
		if (a->field != b->field || a->key != b->key || a->val != want)
			return false;
	}
}

static void collect(struct change *c, unsigned int side, u32 mm)
{
	const struct list *l = side ? &c->after : &c->before;
	struct area *area = NULL;
	struct entry *entry = NULL;

	c->nr_areas[side] = c->nr_entries[side] = 0;
	for (u32 i = 0; i < l->nr; i++) {
		const struct fl_obs *o = &l->v[i];

		if (o->obj != mm || (!obs_is(o, "vma") && !obs_is(o, "pte")))
			continue;
		switch (o->field) {
		case OBS_vma_end:
			area = &c->areas[side][c->nr_areas[side]++];
			*area = (struct area){.start = o->key, .end = o->val};
			break;
		case OBS_vma_flags:
			area->flags = o->val;
			break;
		case OBS_vma_page_prot:
			area->page_prot = o->val;
			break;
		case OBS_vma_pgoff:
			area->pgoff = o->val;
			break;
		case OBS_vma_file:
			area->file = o->val;
			break;
		case OBS_vma_special:
			area->special = o->val;
			break;
		case OBS_vma_uffd:
			area->uffd = o->val;
			break;
		case OBS_vma_policy:
			area->policy = o->val;
			break;
		case OBS_pte_page:
			entry = &c->entries[side][c->nr_entries[side]++];
			*entry = (struct entry){.addr = o->key, .page = o->val};
			break;
		case OBS_pte_bits:
			entry->bits = o->val;
			break;
		default:
			break;
		}
	}
}

static u64 tag_of(const struct list *l, const struct index *x, u64 page)
{
	for (u32 i = x->first[page]; i; i = x->next[i - 1])
		if (l->v[i - 1].field == OBS_page_tag)
			return l->v[i - 1].val;
	return 0;
}

bool change_same_object(const struct change *c, const struct index *x, u64 before, u64 after)
{
	u32 ib = x[0].first[before], ia = x[1].first[after];

	for (; ib && ia; ib = x[0].next[ib - 1], ia = x[1].next[ia - 1]) {
		const struct fl_obs *b = &c->before.v[ib - 1], *a = &c->after.v[ia - 1];

		if (a->field != b->field)
			return false;
		if (a->val == b->val)
			continue;
		/* the number of an inode may have moved, and mapcounts follow from the entries */
		if (obs_same_word(fl_obs_fields[b->field].name, "inode") ||
		    obs_same_word(fl_obs_fields[b->field].name, "mapcount"))
			continue;
		if (b->field != OBS_page_tag || a->val || !wants_tid(c, 0))
			return false;
	}
	return !ib && !ia;
}

static const struct area *area_at(const struct area *areas, u32 nr, u64 addr)
{
	for (u32 i = 0; i < nr; i++)
		if (areas[i].start <= addr && addr < areas[i].end)
			return &areas[i];
	return NULL;
}

static u64 pgoff_at(const struct area *a, u64 addr)
{
	return a->pgoff + ((addr - a->start) >> PAGE_SHIFT);
}

static bool has_new_flags(const struct change *c, u64 old, u64 new)
{
	u64 want = (old & ~c->clear) | c->set;

	if (new == want || (c->set & VM_WRITE && new == (want | VM_ACCOUNT)))
		return true;
	return c->uncharges && new == (want & ~(u64)VM_ACCOUNT);
}

static bool in_cut(const struct change *c, u32 mm, u64 addr)
{
	return mm == c->mm && addr >= c->cut_start && addr < c->cut_end;
}

/*
 * Was [cut_start, cut_end) cut off? As a whole, or not at all, which the first thing that was there
 * tells: the rest is compared.
 */
static bool is_cut(const struct change *c, u32 mm, u64 addr)
{
	if (!in_cut(c, mm, addr))
		return false;
	for (u32 i = 0; i < c->nr_areas[0]; i++) {
		const struct area *b = &c->areas[0][i];

		if (b->end > c->cut_start)
			return !area_at(c->areas[1], c->nr_areas[1],
					max_u64(b->start, c->cut_start));
	}
	return false;
}

static bool lies_in(const struct area *a, u64 addr)
{
	return a->start <= addr && addr < a->end;
}

/*
 * What the old range, or a new one that stays, has lost: the charge of the VMA around it, as it was
 * or as it is now.
 */
static bool lost_account(const struct change *c, u32 mm, const struct area *b, const struct area *a)
{
	bool around = c->kept ? lies_in(a, c->start)
			      : c->kind == CHANGE_MOVED &&
					(lies_in(b, c->from) || lies_in(a, c->from));

	return around && mm == c->mm && a->flags == (b->flags & ~(u64)VM_ACCOUNT);
}

/* The piece of the new range that begins at addr, against the old range as it was. */
static bool moved_piece(struct change *c, const struct area *a)
{
	const struct area *b = area_at(c->areas[0], c->nr_areas[0], c->from);
	u64 flags = b ? b->flags & ~(u64)VM_UFFD_MISSING : 0;

	if (!a || !b || a->uffd)
		return false;
	/* merged with the old range, it has lost its charge with it */
	if (a->flags != flags && !(a->start <= c->from && c->from < a->end))
		return false;
	return (a->flags | VM_ACCOUNT) == (flags | VM_ACCOUNT) && a->page_prot == b->page_prot &&
	       a->special == b->special && a->policy == b->policy &&
	       paired(c->files, c->max_file, b->file, a->file);
}

/* As before, or in the first part of a range the new one. */
static bool same_policy(struct change *c, bool in_range, const struct area *b, const struct area *a)
{
	if (!c->rebinds || !in_range)
		return a->policy == b->policy;
	if (a->policy == c->policy)
		return !c->prefix_over || b->policy == c->policy;
	c->prefix_over = true;
	return a->policy == b->policy;
}

/*
 * Has the stack, from addr on, grown to such a word, or by a guard page to one page more? It may be
 * one with what lies below now.
 */
static bool grown_for_tid(const struct change *c, u32 mm, const struct area *a, u64 addr)
{
	for (u32 i = 0; i < c->nr_tids && a->flags & VM_GROWSDOWN; i++) {
		u64 page = c->tids[i].addr & PAGE_MASK;

		if (c->tids[i].mm == mm && page < a->end && addr <= page &&
		    addr + PAGE_SIZE >= page)
			return true;
	}
	return false;
}

/* The piece of before that begins at addr, against what is there after. */
static bool same_piece(struct change *c, u32 mm, const struct area *b, u64 addr)
{
	const struct area *a = area_at(c->areas[1], c->nr_areas[1], addr);

	if (in_range(c, mm, addr) && c->kind == CHANGE_HOLE)
		return !a;
	if (in_range(c, mm, addr) && c->kind == CHANGE_MAPPED)
		return a;
	if (in_range(c, mm, addr) && c->kind == CHANGE_MOVED)
		return moved_piece(c, a);
	if (is_cut(c, mm, addr))
		return !a;
	if (!b && a && c->kind == CHANGE_KILLED)
		return grown_for_tid(c, mm, a, addr);
	if (!a || !b)
		return !a && !b;
	if (!paired(c->files, c->max_file, b->file, a->file) || b->special != a->special ||
	    pgoff_at(b, addr) != pgoff_at(a, addr))
		return false;
	if (!same_policy(c, in_range(c, mm, addr), b, a))
		return false;
	if (a->uffd != ((a->flags ^ b->flags) & VM_UFFD_MISSING ? c->uffd : b->uffd))
		return false;
	if (a->flags == b->flags && a->page_prot == b->page_prot) {
		if (in_range(c, mm, addr) && !has_new_flags(c, b->flags, a->flags) &&
		    !(c->locks && b->flags & VM_SPECIAL))
			c->prefix_over = true;
		return true;
	}
	if (lost_account(c, mm, b, a))
		return a->page_prot == b->page_prot;
	return in_range(c, mm, addr) && c->kind == CHANGE_PREFIX && !c->prefix_over &&
	       has_new_flags(c, b->flags, a->flags);
}

static int by_address(const void *x, const void *y)
{
	const u64 *a = x, *b = y;

	return *a < *b ? -1 : *a > *b;
}

/* Both sides are constant between two neighbouring bounds of either, or of the range. */
static bool same_areas(struct change *c, u32 mm)
{
	u32 nr = 0, max = 2 * (c->nr_areas[0] + c->nr_areas[1]) + 4;
	u64 *bounds = calloc(max, sizeof(*bounds));
	bool same = bounds != NULL;

	for (unsigned int side = 0; side < 2 && bounds; side++) {
		for (u32 i = 0; i < c->nr_areas[side]; i++) {
			bounds[nr++] = c->areas[side][i].start;
			bounds[nr++] = c->areas[side][i].end;
		}
	}
	if (bounds) {
		bounds[nr++] = c->start;
		bounds[nr++] = c->end;
		bounds[nr++] = c->cut_start;
		bounds[nr++] = c->cut_end;
		qsort(bounds, nr, sizeof(*bounds), by_address);
	}
	for (u32 i = 0; i + 1 < nr && same; i++) {
		if (bounds[i] != bounds[i + 1])
			same = same_piece(c, mm, area_at(c->areas[0], c->nr_areas[0], bounds[i]),
					  bounds[i]);
	}
	free(bounds);
	return same;
}

static int entry_by_address(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;

	return a->addr < b->addr ? -1 : a->addr > b->addr;
}

/* Makes of the entries before what a move makes of them: what was at its destination is gone. */
static void move_entries(struct change *c)
{
	struct entry *e = c->entries[0];
	u32 nr = 0;

	for (u32 i = 0; i < c->nr_entries[0]; i++) {
		if (in_range(c, c->mm, e[i].addr))
			continue;
		e[nr] = e[i];
		if (e[nr].addr - c->from < c->moved)
			e[nr].addr += c->start - c->from;
		nr++;
	}
	c->nr_entries[0] = nr;
	qsort(e, nr, sizeof(*e), entry_by_address);
}

/* Fetched pages may take the place of others, but hold what those held. */
static bool same_filled(const struct change *c, const struct entry *b, const struct entry *a)
{
	u64 had = b->page ? tag_of(&c->before, &c->page_index[0], b->page) : 0;
	u64 has = a->page ? tag_of(&c->after, &c->page_index[1], a->page) : 0;

	return had == has;
}

/* May pages have been fetched at addr? A huge one also lies beside the range that it is for. */
static bool may_be_fetched(const struct change *c, u32 mm, u64 addr)
{
	u64 mask = c->hpage ? c->hpage - 1 : 0;

	if (!c->filled && c->kind != CHANGE_MAPPED)
		return false;
	return mm == c->mm && (addr & ~mask) < c->end && (addr | mask) >= c->start;
}

/* Has the entry gone with its page, from what is mapped of a ring? */
static bool gone_with_ring(const struct change *c, u64 addr)
{
	const struct area *b = c->rings_go ? area_at(c->areas[0], c->nr_areas[0], addr) : NULL;

	if (!b || !b->file || !(b->flags & VM_DONTEXPAND))
		return false;
	for (u32 i = 0; i < c->nr_entries[1]; i++)
		if (c->entries[1][i].addr == addr)
			return false;
	return true;
}

/* Entries of after that are not there before: *k goes past those that may be. */
static const struct entry *next_after(const struct change *c, u32 mm, u64 before, u32 *k)
{
	const struct entry *a;

	while (*k < c->nr_entries[1]) {
		a = &c->entries[1][(*k)++];
		if ((a->addr < before && may_be_fetched(c, mm, a->addr)) ||
		    change_is_tid(c, mm, a->addr))
			continue;
		return a;
	}
	return NULL;
}

/* The page of such a word holds what it held, or nothing. */
static bool same_or_cleared(const struct change *c, const struct entry *b)
{
	for (u32 i = 0; i < c->nr_entries[1]; i++) {
		const struct entry *a = &c->entries[1][i];

		if (a->addr == b->addr)
			return same_filled(c, b, a) || !a->page ||
			       !obs_value(&c->after, OBS_page_tag, (u32)a->page);
	}
	return false;
}

static bool same_entries(struct change *c, u32 mm)
{
	const pte_t prot = _PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_PROTNONE | _PAGE_NX;
	const struct entry *a;
	u32 k = 0;

	for (u32 i = 0; i < c->nr_entries[0]; i++) {
		const struct entry *b = &c->entries[0][i];
		bool changed = in_range(c, mm, b->addr);
		u64 hidden = 0;

		if (is_cut(c, mm, b->addr) || gone_with_ring(c, b->addr))
			continue;
		if (change_is_tid(c, mm, b->addr)) {
			if (!same_or_cleared(c, b))
				return false;
			continue;
		}
		if (changed && (c->kind == CHANGE_HOLE || c->kind == CHANGE_MAPPED))
			continue;
		if (changed && c->kind == CHANGE_PREFIX)
			hidden = prot;
		a = next_after(c, mm, b->addr, &k);
		if (!a || a->addr != b->addr)
			return false;
		if (changed && c->filled) {
			if (!same_filled(c, b, a))
				return false;
			continue;
		}
		if ((a->bits & ~hidden) != (b->bits & ~hidden) ||
		    !paired(c->pages, c->max_page, b->page, a->page))
			return false;
	}
	return !next_after(c, mm, ~(u64)0, &k);
}

/* Where VMAs are cut huge pages are split, and stay so when more cannot be done (facts §22). */
static bool same_huge(const struct change *c, u32 mm, u32 now)
{
	u32 ib = 0, ia = 0;
	const struct fl_obs *b = obs_next(&c->before, "pmd", mm, &ib), *a;

	while ((a = obs_next(&c->after, "pmd", now, &ia))) {
		u64 key = a->key;

		if ((c->kind == CHANGE_MOVED && in_range(c, mm, key)) || may_be_fetched(c, mm, key))
			continue;
		for (; b && b->key < key; b = obs_next(&c->before, "pmd", mm, &ib))
			if (c->kind == CHANGE_KILLED)
				return false;
		if (!b || b->key != key)
			return false;
		b = obs_next(&c->before, "pmd", mm, &ib);
	}
	return true;
}

bool change_same_mm(struct change *c, u32 mm, u32 now)
{
	collect(c, 0, mm);
	collect(c, 1, now);
	if (c->kind == CHANGE_MOVED && mm == c->mm)
		move_entries(c);
	return same_fields(c, mm, now) && same_areas(c, mm) && same_huge(c, mm, now) &&
	       same_entries(c, mm);
}
