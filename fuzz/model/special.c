/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages of the kernel's in an address space: [vdso] and [vvar] of an image, and the one in which
 * probed instructions are stepped (facts §4.9, §7.17, §10.3). They are private, and have no file.
 */
#include "model.h"

#define SLOT_BYTES 128u
#define STEP_TAG   0xccu
#define VDSO_TAG   0x464c457fu
#define VVAR_TAG   0x72617676u

/* An object whose pages hold first, first + 1, ... */
static u32 kernel_pages(struct model *m, u64 pages, u64 first)
{
	u32 obj = m_new_object(m);

	if (obj == M_NONE)
		return M_NONE;
	m->object[obj].special = true;
	m->object[obj].size = pages;
	for (u64 i = 0; i < pages; i++)
		m_page_put(m, &m->object[obj].pages, i, first + i);
	return obj;
}

static void install(struct model *m, u32 space, u64 addr, u64 pages, u32 attr, u32 obj)
{
	const struct m_area a = {addr, addr + (pages << PAGE_SHIFT), 0, attr | M_DONTEXPAND, obj};

	if (obj != M_NONE)
		m_insert(m, space, &a);
}

int m_map_vdso(struct model *m, u32 space)
{
	u64 addr;

	if (!m->cfg.vdso)
		return 0;
	if (m->vdso == M_NONE) {
		m->vdso = kernel_pages(m, 2, VDSO_TAG);
		m->vvar = kernel_pages(m, 1, VVAR_TAG);
		if (m->vdso == M_NONE || m->vvar == M_NONE)
			return 0;
		m->object[m->vdso].open = m->object[m->vvar].open = true;
	}
	addr = m_place(m, &m->space[space], 0, 4 * PAGE_SIZE, 0);
	if (addr >= (u64)-4095)
		return (int)-addr;
	install(m, space, addr + 2 * PAGE_SIZE, 2,
		M_READ | M_EXEC | M_MAYREAD | M_MAYWRITE | M_MAYEXEC, m->vdso);
	install(m, space, addr, 2, M_READ | M_MAYREAD | M_IO | M_PFNMAP | M_DONTDUMP, m->vvar);
	return 0;
}

/* ---- probes ---------------------------------------------------------------------------------- */

int m_step_area(struct model *m, u32 space, u64 at)
{
	struct m_space *s = &m->space[space];
	u64 top = m->cfg.task_size - PAGE_SIZE;
	u32 i;

	if (s->stepping)
		return 0;
	if (!at)
		at = m_place(m, s, top, PAGE_SIZE, 0);
	if (at >= (u64)-4095)
		return ENOMEM;
	i = m_find(s, at);
	if (i < s->nr && s->area[i].start < at + PAGE_SIZE)
		return ENOMEM;
	install(m, space, at, 1, M_EXEC | M_MAYEXEC | M_DONTFORK | M_IO,
		kernel_pages(m, 1, STEP_TAG));
	m->space[space].stepping = at;
	return 0;
}

struct m_result m_probe_step(struct model *m, u32 space)
{
	if (!m->cfg.uprobes)
		return m_error(ENOSYS);
	if (space == M_NONE)
		return m_error(EINVAL);
	if (m_step_area(m, space, 0))
		return m_error(ENOMEM);
	/* the first slot is where probed calls return to */
	return m_value(m->space[space].stepping + SLOT_BYTES);
}

struct m_result m_probe_call(struct model *m, u32 task, u64 func)
{
	u32 space = m->task[task].space;

	if (!m->cfg.uprobes)
		return m_error(ENOSYS);
	if (space == M_NONE)
		return m_error(EINVAL);
	if (m_step_area(m, space, 0))
		return m_error(ENOMEM);
	if (m->task[task].depth >= M_MAX_CALLS)
		return m_error(EOVERFLOW);
	m_effect(m, (struct m_effect){M_CALL, M_NONE, task, 0, 0, func});
	return m_error(0);
}

struct m_result m_probe_return(struct model *m, u32 task)
{
	const struct m_task *t = &m->task[task];

	if (!m->cfg.uprobes)
		return m_error(ENOSYS);
	if (!t->depth)
		return m_error(EINVAL);
	m_effect(m, (struct m_effect){M_RETURN, M_NONE, task, 0, 0, 0});
	return m_value(t->call[t->depth - 1]);
}

void m_probed_birth(struct model *m, u32 task, u32 child, bool vfork)
{
	const struct m_task *from = &m->task[task];
	struct m_task *to = &m->task[child];
	u64 at;

	if (!from->depth || (from->space == to->space && !vfork))
		return;
	to->depth = from->depth;
	for (u32 i = 0; i < from->depth; i++)
		to->call[i] = from->call[i];
	/* the page is not inherited, but is to be where it was; unless something else is */
	at = m->space[from->space].stepping;
	if (at && from->space != to->space)
		m_step_area(m, to->space, at);
}
