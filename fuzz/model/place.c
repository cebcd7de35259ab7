/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a mapping goes when nobody says where: one walk over all gaps (facts §7.16, §15.3, §21). */
#include "model.h"

#include <faultline/syscalls.h>

#define HUGE	    ((u64)2 << 20)
#define STACK_GAP   (256 * PAGE_SIZE)
#define GIB	    ((u64)1 << 30)
#define ENOMEM_ADDR ((u64)-ENOMEM)

/* Sizes of the user half (facts §14); the stack keeps 128 MiB above everything else. */
void m_layout(struct m_config *cfg)
{
	u64 low47 = ((u64)1 << 47) - PAGE_SIZE;

	cfg->task_size = cfg->levels <= 3   ? 3 * GIB
			 : cfg->levels == 4 ? low47
					    : ((u64)1 << 56) - PAGE_SIZE;
	cfg->window = cfg->levels <= 3 ? 3 * GIB : low47;
	cfg->top = cfg->window;
	cfg->base = cfg->window - ((u64)128 << 20);
	cfg->legacy = PAGE_ALIGN(cfg->window / 3);
}

static bool failed(u64 addr)
{
	return addr >= (u64)-4095;
}

u64 m_gap_end(const struct model *m, const struct m_area *a)
{
	if (!m->cfg.modern || !(a->attr & M_GROWSDOWN))
		return a->start;
	return a->start > STACK_GAP ? a->start - STACK_GAP : 0;
}

static bool is_free(const struct model *m, const struct m_space *s, u64 start, u64 end)
{
	u32 i = m_find(s, start);

	return i == s->nr || m_gap_end(m, &s->area[i]) >= end;
}

/* The highest, or lowest, place for len bytes in [low, high). */
static u64 find_room(const struct model *m, const struct m_space *s, u64 len, u64 low, u64 high,
		     bool highest)
{
	u64 best = ENOMEM_ADDR, gap = 0;

	for (u32 i = 0; i <= s->nr; i++) {
		u64 from = max_u64(gap, low);
		u64 to = i < s->nr ? min_u64(m_gap_end(m, &s->area[i]), high) : high;

		if (i < s->nr)
			gap = s->area[i].end;
		if (from > to || to - from < len)
			continue;
		if (!highest)
			return from;
		best = to - len;
	}
	return best;
}

/* On 5 levels who wants more than 47 bits says so by the hint. */
static u64 anywhere(const struct model *m, const struct m_space *s, u64 addr, u64 len)
{
	const struct m_config *c = &m->cfg;
	bool high;
	u64 ret;

	addr = PAGE_ALIGN(addr);
	high = addr > c->window;
	if (addr && c->task_size - len >= addr && high == (addr + len > c->window) &&
	    is_free(m, s, addr, addr + len))
		return addr;
	ret = find_room(m, s, len, PAGE_SIZE, high ? c->base + (c->task_size - c->window) : c->base,
			true);
	if (!failed(ret))
		return ret;
	return find_room(m, s, len, c->legacy, high ? c->task_size : c->window, false);
}

static u64 low_2gib(const struct model *m, const struct m_space *s, u64 addr, u64 len)
{
	if (len > 2 * GIB)
		return ENOMEM_ADDR;
	addr = PAGE_ALIGN(addr);
	if (addr && 2 * GIB - len >= addr && is_free(m, s, addr, addr + len))
		return addr;
	return find_room(m, s, len, GIB, 2 * GIB, false);
}

u64 m_place(const struct model *m, const struct m_space *s, u64 addr, u64 len, u32 flags)
{
	const struct m_config *c = &m->cfg;
	const u32 private_anon = MAP_PRIVATE | MAP_ANONYMOUS;

	if (len > c->task_size)
		return ENOMEM_ADDR;
	if (!(flags & MAP_FIXED)) {
		u64 hint = addr, padded = ENOMEM_ADDR;

		if (flags & MAP_32BIT && c->levels > 3) {
			addr = low_2gib(m, s, hint, len);
		} else {
			if (c->modern && c->levels > 3 && !hint && !(len % HUGE) &&
			    (flags & (private_anon | MAP_32BIT)) == private_anon)
				padded = anywhere(m, s, 0, len + HUGE);
			/* a whole step up from where it begins at a multiple already */
			addr = failed(padded) ? anywhere(m, s, hint, len)
					      : padded + HUGE - padded % HUGE;
		}
		if (failed(addr))
			return addr;
	}
	if (addr > c->task_size - len)
		return ENOMEM_ADDR;
	return offset_in_page(addr) ? (u64)-EINVAL : addr;
}
