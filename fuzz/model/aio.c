/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contexts of asynchronous I/O, as far as an address space shows them (facts §10.2): a ring that is
 * mapped, a number in its first page by which its address leads back to it, and requests that are
 * in flight or not. Who inherits the mapping inherits no context.
 */
#include "model.h"

#include <faultline/syscalls.h>

#define RING_MAGIC 0xa10a10a1u
#define RING_HEAD  32u
#define EVENT_SIZE 32u
#define MAX_BYTES  0x10000000u

static struct m_context *context_of(struct model *m, u32 obj)
{
	for (u32 i = 0; i < m->nr_contexts; i++)
		if (m->context[i].used && m->context[i].obj == obj)
			return &m->context[i];
	return NULL;
}

static struct m_context *context_in(struct model *m, u32 space, u32 slot)
{
	for (u32 i = 0; i < m->nr_contexts; i++) {
		struct m_context *c = &m->context[i];

		if (c->used && c->space == space && c->slot == slot)
			return c;
	}
	return NULL;
}

static u32 free_slot(struct model *m, u32 space)
{
	u32 slot = 0;

	while (context_in(m, space, slot))
		slot++;
	return slot;
}

/* ---- effects --------------------------------------------------------------------------------- */

struct m_context *m_new_context(struct model *m, u32 space, u32 obj, u64 id, u64 len, u64 max)
{
	u32 slot = free_slot(m, space);
	struct m_context *c = m_context_room(m);

	if (!c)
		return NULL;
	*c = (struct m_context){.used = true,
				.space = space,
				.slot = slot,
				.obj = obj,
				.id = id,
				.len = len,
				.max_reqs = max,
				.places = (len - RING_HEAD) / EVENT_SIZE};
	m->object[obj].open = true;
	return c;
}

void m_end_context(struct model *m, u32 obj)
{
	struct m_context *c = context_of(m, obj);

	if (!c)
		return;
	c->used = false;
	m->object[obj].open = false;
	m->object[obj].size = 0;
	m->dead = true;
	m_zap_object(m, obj, 0, UINT64_MAX);
}

void m_end_contexts(struct model *m, u32 space)
{
	for (u32 i = 0; i < m->nr_contexts; i++)
		if (m->context[i].used && m->context[i].space == space)
			m_end_context(m, m->context[i].obj);
}

void m_set_requests(struct model *m, u32 obj, u64 reqs)
{
	struct m_context *c = context_of(m, obj);

	if (c)
		c->reqs = reqs;
}

void m_move_context(struct model *m, u32 obj, u64 id)
{
	struct m_context *c = context_of(m, obj);

	if (c)
		c->id = id;
}

bool m_has_ring(struct model *m, u32 space, u32 obj)
{
	const struct m_context *c = context_of(m, obj);

	return c && c->space == space;
}

/* ---- the calls ------------------------------------------------------------------------------- */

/* What the user's address names. The number in the page is the user's to change. */
static struct m_context *look_up(struct model *m, u32 space, u64 id)
{
	struct m_context *c;
	struct m_result r;

	if (space == M_NONE)
		return NULL;
	r = m_access(m, space, id, 0, false, 0);
	if (r.kind != M_OK)
		return NULL;
	c = context_in(m, space, (u32)r.value);
	return c && c->id == id ? c : NULL;
}

static u64 events_in_use(const struct model *m)
{
	u64 n = 0;

	for (u32 i = 0; i < m->nr_contexts; i++)
		if (m->context[i].used)
			n += m->context[i].max_reqs;
	return n;
}

/* The ring, mapped. M_NONE: there is no room for it. */
static u32 map_ring(struct model *m, u32 space, u64 pages, u64 *addr)
{
	u32 obj = m_new_object(m);
	struct m_result r;

	if (obj == M_NONE)
		return M_NONE;
	m->object[obj].ring = true;
	m->object[obj].mode = 3;
	m->object[obj].size = pages;
	r = m_mmap(m, space, 0, pages << PAGE_SHIFT, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0, 0);
	if (r.kind != M_OK) {
		m_free_object(m, obj);
		return M_NONE;
	}
	*addr = (u64)r.value;
	return obj;
}

struct m_result m_io_setup(struct model *m, u32 space, u64 nr, u64 where)
{
	u64 events = max_u64(nr, m->cfg.cpus * 4) * 2, len, addr = 0;
	struct m_result r;
	u32 obj;

	if (!m->cfg.aio)
		return m_error(ENOSYS);
	if (space == M_NONE)
		return m_error(EFAULT);
	r = m_access(m, space, where, 0, false, 0);
	if (r.kind != M_OK)
		return m_error(EFAULT);
	if (r.value || !nr || events > MAX_BYTES / EVENT_SIZE)
		return m_error(EINVAL);
	if (events > m->cfg.aio_max_nr * 2)
		return m_error(EAGAIN);
	len = PAGE_ALIGN(RING_HEAD + EVENT_SIZE * (events + 2));
	obj = map_ring(m, space, len >> PAGE_SHIFT, &addr);
	if (obj == M_NONE)
		return m_error(m->lost ? 0 : ENOMEM);
	/* what the load has brought is there for the store */
	m->in.present = true;
	r = m_error(EAGAIN);
	if (events_in_use(m) + events <= m->cfg.aio_max_nr * 2) {
		r = m_access(m, space, where, 0, true, addr);
		if (r.kind == M_OK) {
			m_effect(m, (struct m_effect){M_CONTEXT, space, obj, addr, addr + len,
						      events});
			m_effect(m,
				 (struct m_effect){M_STORE, space, M_NONE, addr, addr + PAGE_SIZE,
						   (u64)RING_MAGIC << 32 | free_slot(m, space)});
			return m_value(addr);
		}
		r = m_error(EFAULT);
	}
	m_munmap(m, space, addr, len);
	return r;
}

struct m_result m_io_destroy(struct model *m, u32 space, u64 id, bool unmaps)
{
	struct m_context *c = m->cfg.aio ? look_up(m, space, id) : NULL;

	if (!c)
		return m_error(m->cfg.aio ? EINVAL : ENOSYS);
	if (unmaps)
		m_munmap(m, space, c->id, c->len);
	m_effect(m, (struct m_effect){M_CONTEXT_END, space, c->obj, 0, 0, 0});
	return m_error(0);
}

struct m_result m_io_submit(struct model *m, u32 space, u64 id, u64 nr)
{
	struct m_context *c = m->cfg.aio ? look_up(m, space, id) : NULL;
	u64 done;

	if (!c)
		return m_error(m->cfg.aio ? EINVAL : ENOSYS);
	/* one place of the ring stays empty */
	done = min_u64(nr, c->places - 1 - min_u64(c->places - 1, c->reqs));
	if (nr && !done)
		return m_error(EAGAIN);
	m_effect(m, (struct m_effect){M_REQUESTS, space, c->obj, 0, 0, c->reqs + done});
	return m_value(done);
}

struct m_result m_io_getevents(struct model *m, u32 space, u64 id, u64 nr)
{
	struct m_context *c = m->cfg.aio ? look_up(m, space, id) : NULL;
	u64 done;

	if (!c)
		return m_error(m->cfg.aio ? EINVAL : ENOSYS);
	done = min_u64(nr, c->reqs);
	m_effect(m, (struct m_effect){M_REQUESTS, space, c->obj, 0, 0, c->reqs - done});
	return m_value(done);
}
