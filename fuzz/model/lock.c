/* SPDX-License-Identifier: GPL-2.0-only */
/* Locked memory, and pages that are fetched in advance (facts §7.14). */
#include "model.h"

#include <faultline/syscalls.h>

/* Nobody may touch the lowest page of a stack where 4.4 keeps a guard there. */
bool m_is_guard_page(const struct model *m, const struct m_space *s, u32 i, u64 addr)
{
	const struct m_area *a = &s->area[i];

	if (!m->cfg.stack_guard || !(a->attr & M_GROWSDOWN) || a->start != addr)
		return false;
	/* of a stack that was split, only the lower part's */
	return !(i && s->area[i - 1].end == addr && s->area[i - 1].attr & M_GROWSDOWN);
}

/* Where the pages of an area end that can be had. */
static u64 reachable(const struct model *m, const struct m_area *a)
{
	u64 pages;

	if (!(a->attr & M_RWX))
		return a->start;
	if (a->obj == M_NONE || a->attr & M_ONFAULT)
		return a->end;
	if (a->off >= m->object[a->obj].size)
		return a->start;
	pages = m->object[a->obj].size - a->off;
	return pages < (a->end - a->start) >> PAGE_SHIFT ? a->start + (pages << PAGE_SHIFT)
							 : a->end;
}

int m_populate(struct model *m, u32 space, u64 start, u64 end, bool ignore_errors)
{
	struct m_space *s = &m->space[space];
	u64 stop = end;
	int err = 0;

	for (u32 i = m_find(s, start); i < s->nr && s->area[i].start < end; i++) {
		const struct m_area *a = &s->area[i];
		u64 last = min_u64(a->end, end);

		if (a->attr & (M_IO | M_PFNMAP))
			continue;
		/* a page at a time is promised as it is touched, and that may be refused */
		if (a->obj != M_NONE && m->object[a->obj].noreserve &&
		    !m_may_commit(m, space, (last - max_u64(a->start, start)) >> PAGE_SHIFT))
			m->unsure = true;
		if (ignore_errors || reachable(m, a) >= last)
			continue;
		stop = max_u64(max_u64(start, a->start), reachable(m, a));
		err = -EFAULT;
		break;
	}
	m_effect(m, (struct m_effect){M_POPULATE, space, M_NONE, start, stop, 0});
	return err;
}

/* ---- marks ------------------------------------------------------------------------------------
 */

void m_set_lock(struct model *m, u32 space, u64 start, u64 end, u32 bits)
{
	struct m_space *s = &m->space[space];

	while (start < end) {
		u32 i = m_find(s, start);
		u64 next;

		if (i == s->nr || s->area[i].start >= end)
			return;
		start = max_u64(start, s->area[i].start);
		next = min_u64(end, s->area[i].end);
		if (!(s->area[i].attr & M_SPECIAL))
			m_change(m, space, start, next, M_LOCKBITS, bits);
		start = next;
	}
}

static int mark(struct model *m, u32 space, u64 start, u64 end, u32 bits)
{
	struct m_space *s = &m->space[space];

	if (end < start)
		return EINVAL;
	while (start < end) {
		const struct m_area *a = m_at(s, start);
		u64 next;

		if (!a)
			return ENOMEM;
		next = min_u64(end, a->end);
		m_set_lock(m, space, start, next, bits);
		start = next;
	}
	return 0;
}

static u64 locked_pages(const struct m_space *s, u64 start, u64 end)
{
	u64 n = 0;

	for (u32 i = m_find(s, start); i < s->nr && s->area[i].start < end; i++)
		if (s->area[i].attr & M_LOCKED)
			n += min_u64(end, s->area[i].end) - max_u64(start, s->area[i].start);
	return n >> PAGE_SHIFT;
}

struct m_result m_mlock(struct model *m, u32 space, u64 addr, u64 len, u32 bits)
{
	struct m_space *s = &m->space[space];
	u64 start = addr & PAGE_MASK, again = 0;
	int err;

	if (!m->cfg.limit_memlock)
		return m_error(EPERM);
	len = PAGE_ALIGN(len + offset_in_page(addr));
	/* in 4.4 what is locked already counts twice */
	if (m->cfg.modern)
		again = locked_pages(s, start, start + len);
	if ((len >> PAGE_SHIFT) + s->locked - again > m->cfg.limit_memlock)
		return m_error(ENOMEM);
	err = mark(m, space, start, start + len, bits);
	if (err)
		return m_error(err);
	return m_error(m_populate(m, space, start, start + len, false) ? ENOMEM : 0);
}

struct m_result m_munlock(struct model *m, u32 space, u64 addr, u64 len)
{
	u64 start = addr & PAGE_MASK;

	return m_error(mark(m, space, start, start + PAGE_ALIGN(len + offset_in_page(addr)), 0));
}

static u32 bits_of(u32 flags)
{
	return flags & MCL_ONFAULT ? M_LOCKBITS : M_LOCKED;
}

struct m_result m_mlockall(struct model *m, u32 space, u32 flags)
{
	struct m_space *s = &m->space[space];

	if (!flags || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) ||
	    (flags == MCL_ONFAULT && m->cfg.modern))
		return m_error(EINVAL);
	if (!m->cfg.limit_memlock)
		return m_error(EPERM);
	if (flags & MCL_CURRENT && s->total > m->cfg.limit_memlock)
		return m_error(ENOMEM);
	s->def = flags & MCL_FUTURE ? bits_of(flags) : 0;
	if (flags & MCL_CURRENT || !(flags & MCL_FUTURE))
		m_set_lock(m, space, 0, UINT64_MAX, flags & MCL_CURRENT ? bits_of(flags) : 0);
	if (flags & MCL_CURRENT)
		m_populate(m, space, 0, m->cfg.task_size, true);
	return m_error(0);
}

struct m_result m_munlockall(struct model *m, u32 space)
{
	m->space[space].def = 0;
	m_set_lock(m, space, 0, UINT64_MAX, 0);
	return m_error(0);
}
