/* SPDX-License-Identifier: GPL-2.0-only */
/* Loads and stores, and the stack that grows for them (facts §7.15, §11). */
#include "model.h"

/* A stack that reached down to addr: what is below it? */
static bool is_too_near(const struct model *m, const struct m_area *below, u64 addr)
{
	if (below->attr & M_GROWSDOWN)
		return false;
	if (!m->cfg.modern)
		return below->end == addr;
	return below->attr & M_RWX && addr - below->end < 256 * PAGE_SIZE;
}

int m_grow_stack(struct model *m, u32 space, u64 addr, u64 vma_end)
{
	struct m_space *s = &m->space[space];
	u32 i = m_find(s, addr);
	u64 size, pages;
	struct m_area a;

	if (i == s->nr)
		return -ENOMEM;
	a = s->area[i];
	if (i && is_too_near(m, &s->area[i - 1], addr))
		return -ENOMEM;
	if (addr >= a.start)
		return 0;
	pages = (a.start - addr) >> PAGE_SHIFT;
	/* one that was moved with its pages counts from where it was */
	if (m->in.vma_room && pages >= m->in.vma_room)
		return -ENOMEM;
	if (s->total + pages > m->cfg.limit_as)
		return -ENOMEM;
	/* the limit is not about the guard page */
	size = ((vma_end - addr) >> PAGE_SHIFT) - (m->cfg.stack_guard ? 1 : 0);
	if (size > m->cfg.limit_stack)
		return -ENOMEM;
	if (a.attr & M_LOCKED && s->locked + pages > m->cfg.limit_memlock)
		return -ENOMEM;
	if (a.attr & M_ACCOUNT && !m_may_commit(m, space, pages))
		return -ENOMEM;
	a.end = a.start;
	a.start = addr;
	m_insert(m, space, &a);
	/* the guard page of the same access has to find room below it */
	if (m->in.vma_room)
		m->in.vma_room -= pages;
	return 0;
}

/* Far below the stack pointer an access is a mistake. */
static bool is_mistake(const struct model *m, u64 addr, u64 sp)
{
	return !m->cfg.modern && addr + 65536 + 32 * (m->cfg.levels > 3 ? 8 : 4) < sp;
}

struct m_result m_access(struct model *m, u32 space, u64 addr, u64 sp, bool write, u64 value)
{
	const struct m_result segv = {M_SIGSEGV, 0}, bus = {M_SIGBUS, 0};
	struct m_space *s = &m->space[space];
	u64 page = addr & PAGE_MASK;
	const struct m_area *a;
	struct m_object *o;
	u64 tag;
	u32 i;

	if (addr >= m->cfg.task_size)
		return segv;
	i = m_find(s, addr);
	if (i == s->nr)
		return segv;
	if (s->area[i].start > addr) {
		if (!(s->area[i].attr & M_GROWSDOWN) || is_mistake(m, addr, sp))
			return segv;
		if (m_grow_stack(m, space, page, m->in.vma_end))
			return segv;
		i = m_find(s, addr);
	}
	a = &s->area[i];
	if (!(a->attr & (write ? M_WRITE : M_RWX)))
		return segv;
	if (m_is_guard_page(m, s, i, page) && !m->in.present) {
		if (i && s->area[i - 1].end == page)
			return segv;
		if (m_grow_stack(m, space, page - PAGE_SIZE, m->in.vma_end))
			return segv;
		a = m_at(s, addr);
	}
	if (a->attr & M_UFFD && !m->in.present)
		return bus;
	if (a->obj != M_NONE &&
	    (a->attr & M_SHARED || !m_page_get(&s->own, page >> PAGE_SHIFT, &tag))) {
		o = &m->object[a->obj];
		if (m_object_page(a, page) >= o->size)
			return bus;
		if (o->noreserve && !m_page_get(&o->pages, m_object_page(a, page), &tag) &&
		    !m_may_commit(m, space, 1))
			return bus;
	}
	m_effect(m, (struct m_effect){write ? M_STORE : M_TOUCH, space, M_NONE, page,
				      page + PAGE_SIZE, value});
	return m_value(write ? 0 : m_content(m, space, page));
}
