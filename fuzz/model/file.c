/* SPDX-License-Identifier: GPL-2.0-only */
/* Files, as far as mappings show them (facts §23). */
#include "model.h"

u32 m_open(struct model *m, u64 pages, u32 mode)
{
	u32 obj = m_new_object(m);

	if (obj == M_NONE)
		return M_NONE;
	m->object[obj].open = true;
	m->object[obj].mode = mode;
	m->object[obj].size = m->object[obj].backed = pages;
	m->object[obj].ino = m->next_ino++;
	return obj;
}

void m_close(struct model *m, u32 obj)
{
	m->object[obj].open = false;
	m->dead = true;
}

/* Private copies of [first, last] in one area. */
static void zap_area(struct model *m, struct m_space *s, const struct m_area *a, u64 first,
		     u64 last)
{
	u64 pages = (a->end - a->start) >> PAGE_SHIFT, page = a->start >> PAGE_SHIFT;
	u64 from = max_u64(first, a->off), to = min_u64(last, a->off + pages - 1);

	if (from <= to)
		m_page_drop(m, &s->own, page + (from - a->off), page + (to - a->off));
}

void m_zap_object(struct model *m, u32 obj, u64 first, u64 last)
{
	struct m_object *o = &m->object[obj];

	m_page_drop(m, &o->pages, first, last);
	if (o->anon && o->noreserve)
		m_charge_object(m, obj, o->pages.count);
	for (u32 i = 0; i < m->nr_spaces; i++)
		for (u32 k = 0; k < m->space[i].nr; k++)
			if (m->space[i].area[k].obj == obj)
				zap_area(m, &m->space[i], &m->space[i].area[k], first, last);
}

struct m_result m_truncate(struct model *m, u32 obj, u64 pages)
{
	struct m_object *o = &m->object[obj];

	if (!(o->mode & 2))
		return m_error(EINVAL);
	o->size = pages;
	o->backed = min_u64(o->backed, pages);
	m_zap_object(m, obj, pages, UINT64_MAX);
	return m_error(0);
}

struct m_result m_seal(struct model *m, u32 obj)
{
	struct m_object *o = &m->object[obj];

	if (!(o->mode & 2))
		return m_error(EPERM);
	if (!o->sealed && o->writable)
		return m_error(EBUSY);
	o->sealed = true;
	return m_error(0);
}
