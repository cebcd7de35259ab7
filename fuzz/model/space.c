/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of the model: ranges, pages, and the sums over them. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

const char *const m_attr_names[26] = {
	"r",	      "w",	   "x",	      "shared",	   "mayread",  "maywrite",   "mayexec",
	"mayshare",   "growsdown", "image",   "locked",	   "onfault",  "sequential", "random",
	"dontfork",   "dontdump",  "account", "noreserve", "hugepage", "nohugepage", "mergeable",
	"dontexpand", "io",	   "pfnmap",  "uffd",	   "foreign",
};

/* Makes room for one more; false: there is none. */
static bool grow(struct model *m, void *array, u32 nr, u32 *max, size_t size)
{
	void **v = array;
	u32 want = *max ? 2 * *max : 16;
	void *p;

	if (nr < *max)
		return true;
	p = realloc(*v, want * size);
	if (!p) {
		m->lost = true;
		return false;
	}
	*v = p;
	*max = want;
	return true;
}

/* ---- pages ------------------------------------------------------------------------------------
 */

/* Index of the first chunk whose key is not below key. */
static u32 chunk_find(const struct m_pages *p, u64 key)
{
	u32 lo = 0, hi = p->nr;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (p->v[mid]->key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct m_chunk *chunk_new(struct model *m, u64 key)
{
	struct m_chunk *c = m->free_chunks;

	if (c)
		m->free_chunks = c->next_free;
	else
		c = malloc(sizeof(*c));
	if (!c) {
		m->lost = true;
		return NULL;
	}
	c->key = key;
	c->has = 0;
	return c;
}

static void chunk_free(struct model *m, struct m_chunk *c)
{
	c->next_free = m->free_chunks;
	m->free_chunks = c;
}

bool m_page_get(const struct m_pages *p, u64 nr, u64 *tag)
{
	u32 i = chunk_find(p, nr >> 6);

	if (i == p->nr || p->v[i]->key != nr >> 6 || !(p->v[i]->has >> (nr & 63) & 1))
		return false;
	*tag = p->v[i]->tag[nr & 63];
	return true;
}

void m_page_put(struct model *m, struct m_pages *p, u64 nr, u64 tag)
{
	u32 i = chunk_find(p, nr >> 6);
	struct m_chunk *c;
	u64 bit = (u64)1 << (nr & 63);

	if (i == p->nr || p->v[i]->key != nr >> 6) {
		if (!grow(m, &p->v, p->nr, &p->max, sizeof(*p->v)))
			return;
		c = chunk_new(m, nr >> 6);
		if (!c)
			return;
		memmove(&p->v[i + 1], &p->v[i], (p->nr - i) * sizeof(*p->v));
		p->v[i] = c;
		p->nr++;
	}
	c = p->v[i];
	p->count += !(c->has & bit);
	c->has |= bit;
	c->tag[nr & 63] = tag;
}

/* The bits of a chunk that lie in [first, last]. */
static u64 chunk_mask(const struct m_chunk *c, u64 first, u64 last)
{
	u64 lo = c->key << 6, mask = ~(u64)0;

	if (first > lo)
		mask <<= first - lo;
	if (last < lo + 63)
		mask &= ~(u64)0 >> (lo + 63 - last);
	return mask;
}

void m_page_drop(struct model *m, struct m_pages *p, u64 first, u64 last)
{
	u32 i, from, to;

	if (!p->nr || first > last)
		return;
	from = to = chunk_find(p, first >> 6);
	for (i = from; i < p->nr; i++) {
		struct m_chunk *c = p->v[i];

		if (c->key > last >> 6)
			break;
		p->count -= (u64)__builtin_popcountll(c->has & chunk_mask(c, first, last));
		c->has &= ~chunk_mask(c, first, last);
		if (c->has)
			p->v[to++] = c;
		else
			chunk_free(m, c);
	}
	if (to == i)
		return;
	memmove(&p->v[to], &p->v[i], (p->nr - i) * sizeof(*p->v));
	p->nr -= i - to;
}

u64 m_page_next(const struct m_pages *p, u64 nr)
{
	for (u32 i = chunk_find(p, nr >> 6); i < p->nr; i++) {
		const struct m_chunk *c = p->v[i];
		u64 has = c->has & chunk_mask(c, nr, UINT64_MAX);

		if (has)
			return (c->key << 6) + (u64)__builtin_ctzll(has);
	}
	return UINT64_MAX;
}

u64 m_page_count(const struct m_pages *p, u64 first, u64 last)
{
	u64 n = 0;

	for (u32 i = chunk_find(p, first >> 6); i < p->nr && p->v[i]->key <= last >> 6; i++)
		n += (u64)__builtin_popcountll(p->v[i]->has & chunk_mask(p->v[i], first, last));
	return n;
}

static void pages_copy(struct model *m, struct m_pages *to, const struct m_pages *from)
{
	m_page_drop(m, to, 0, UINT64_MAX);
	for (u32 i = 0; i < from->nr; i++) {
		struct m_chunk *c;

		if (!grow(m, &to->v, to->nr, &to->max, sizeof(*to->v)))
			return;
		c = chunk_new(m, from->v[i]->key);
		if (!c)
			return;
		c->has = from->v[i]->has;
		memcpy(c->tag, from->v[i]->tag, sizeof(c->tag));
		to->v[to->nr++] = c;
	}
	to->count = from->count;
}

/* ---- ranges -----------------------------------------------------------------------------------
 */

static u64 pages_of(const struct m_area *a)
{
	return (a->end - a->start) >> PAGE_SHIFT;
}

/* An area comes (sign 1) or goes (-1): the sums follow. */
static void account_area(struct model *m, struct m_space *s, const struct m_area *a, s64 sign)
{
	u64 n = pages_of(a) * (u64)sign;

	s->total += n;
	if (a->attr & M_LOCKED)
		s->locked += n;
	if (a->attr & M_ACCOUNT) {
		s->account += n;
		m->account += n;
	}
	if (a->obj != M_NONE) {
		m->object[a->obj].mapped += n;
		if (a->attr & M_SHARED)
			m->object[a->obj].writable += n;
		m->dead |= !m->object[a->obj].mapped;
	}
}

u32 m_find(const struct m_space *s, u64 addr)
{
	u32 lo = 0, hi = s->nr;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (s->area[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct m_area *m_at(const struct m_space *s, u64 addr)
{
	u32 i = m_find(s, addr);

	return i < s->nr && s->area[i].start <= addr ? &s->area[i] : NULL;
}

u64 m_object_page(const struct m_area *a, u64 addr)
{
	return a->off + ((addr - a->start) >> PAGE_SHIFT);
}

bool m_joins(const struct m_area *a, const struct m_area *b)
{
	return a->end == b->start && a->attr == b->attr && a->obj == b->obj &&
	       (a->obj == M_NONE || m_object_page(a, a->end) == b->off);
}

static bool insert_at(struct model *m, struct m_space *s, u32 i, const struct m_area *a)
{
	if (!grow(m, &s->area, s->nr, &s->max, sizeof(*s->area)))
		return false;
	memmove(&s->area[i + 1], &s->area[i], (s->nr - i) * sizeof(*s->area));
	s->area[i] = *a;
	s->nr++;
	return true;
}

static void remove_at(struct m_space *s, u32 i, u32 nr)
{
	memmove(&s->area[i], &s->area[i + nr], (s->nr - i - nr) * sizeof(*s->area));
	s->nr -= nr;
}

/* Two areas where one crosses addr. */
static void cut(struct model *m, struct m_space *s, u64 addr)
{
	u32 i = m_find(s, addr);
	struct m_area above;

	if (i == s->nr || s->area[i].start >= addr)
		return;
	above = s->area[i];
	above.start = addr;
	if (above.obj != M_NONE)
		above.off = m_object_page(&s->area[i], addr);
	if (insert_at(m, s, i + 1, &above))
		s->area[i].end = addr;
}

/* Areas that are one become one, from the one below start to the one above end. */
static void join(struct m_space *s, u64 start, u64 end)
{
	u32 i = m_find(s, start);

	i -= i > 0;
	while (i + 1 < s->nr && s->area[i].start <= end) {
		if (!m_joins(&s->area[i], &s->area[i + 1])) {
			i++;
			continue;
		}
		s->area[i].end = s->area[i + 1].end;
		remove_at(s, i + 1, 1);
	}
}

void m_clear(struct model *m, u32 space, u64 start, u64 end)
{
	struct m_space *s = &m->space[space];
	u32 from, to;

	cut(m, s, start);
	cut(m, s, end);
	from = to = m_find(s, start);
	for (; to < s->nr && s->area[to].start < end; to++)
		account_area(m, s, &s->area[to], -1);
	remove_at(s, from, to - from);
}

void m_insert(struct model *m, u32 space, const struct m_area *a)
{
	struct m_space *s = &m->space[space];

	if (!insert_at(m, s, m_find(s, a->start), a))
		return;
	account_area(m, s, a, 1);
	join(s, a->start, a->end);
}

void m_change(struct model *m, u32 space, u64 start, u64 end, u32 clear, u32 set)
{
	struct m_space *s = &m->space[space];

	cut(m, s, start);
	cut(m, s, end);
	for (u32 i = m_find(s, start); i < s->nr && s->area[i].start < end; i++) {
		account_area(m, s, &s->area[i], -1);
		s->area[i].attr = (s->area[i].attr & ~clear) | set;
		account_area(m, s, &s->area[i], 1);
	}
	join(s, start, end);
}

/* ---- spaces and objects -----------------------------------------------------------------------
 */

u32 m_new_space(struct model *m)
{
	struct m_space *s;
	u32 i;

	for (i = 0; i < m->nr_spaces && m->space[i].used; i++)
		;
	if (i == m->nr_spaces) {
		if (!grow(m, &m->space, m->nr_spaces, &m->max_spaces, sizeof(*m->space)))
			return M_NONE;
		memset(&m->space[i], 0, sizeof(m->space[i]));
		m->nr_spaces++;
	}
	s = &m->space[i];
	s->used = true;
	s->users = 1;
	s->binfmt = M_NONE;
	return i;
}

/* The arrays stay for the next who has this index. */
static void empty_space(struct model *m, struct m_space *s)
{
	struct m_space empty = {.area = s->area, .max = s->max, .own = s->own};

	m_page_drop(m, &empty.own, 0, UINT64_MAX);
	*s = empty;
}

void m_put_space(struct model *m, u32 space)
{
	struct m_space *s = &m->space[space];

	if (--s->users)
		return;
	m_end_contexts(m, space);
	m_clear(m, space, 0, UINT64_MAX);
	empty_space(m, s);
	m_sweep_objects(m);
}

u32 m_new_object(struct model *m)
{
	u32 i;

	for (i = 0; i < m->nr_objects && m->object[i].used; i++)
		;
	if (i == m->nr_objects) {
		if (!grow(m, &m->object, m->nr_objects, &m->max_objects, sizeof(*m->object)))
			return M_NONE;
		memset(&m->object[i], 0, sizeof(m->object[i]));
		m->nr_objects++;
	}
	m->object[i].used = true;
	return i;
}

struct m_context *m_context_room(struct model *m)
{
	u32 i = 0;

	while (i < m->nr_contexts && m->context[i].used)
		i++;
	if (i == m->nr_contexts) {
		if (!grow(m, &m->context, i, &m->max_contexts, sizeof(*m->context)))
			return NULL;
		m->nr_contexts++;
	}
	return &m->context[i];
}

void m_free_object(struct model *m, u32 obj)
{
	struct m_object *o = &m->object[obj];
	struct m_object empty = {.pages = o->pages};

	m_charge_object(m, obj, 0);
	m_page_drop(m, &empty.pages, 0, UINT64_MAX);
	*o = empty;
}

void m_charge_object(struct model *m, u32 obj, u64 pages)
{
	m->account += pages - m->object[obj].charged;
	m->object[obj].charged = pages;
}

void m_sweep_objects(struct model *m)
{
	if (!m->dead)
		return;
	m->dead = false;
	for (u32 i = 0; i < m->nr_objects; i++)
		if (m->object[i].used && !m->object[i].open && !m->object[i].mapped)
			m_free_object(m, i);
}

/* ---- promises (facts §9.1) ---------------------------------------------------------------------
 */

bool m_may_commit(struct model *m, u32 space, u64 pages)
{
	const struct m_config *c = &m->cfg;
	u64 reserve = min_u64(c->mem / 32, 2048), total = m->space[space].total;
	s64 allowed;

	switch (c->overcommit) {
	case 1:
		return true;
	case 0:
		if (c->modern)
			return pages <= c->mem;
		/* memory is counted while the operation runs: certain only far from the edge */
		if (pages < m->in.free_lo)
			return true;
		if (pages > m->in.free_hi)
			return false;
		m->unsure = true;
		return !m->in.engine_failed;
	default:
		allowed = (s64)(c->mem * c->overcommit_ratio / 100) - (s64)reserve;
		if (m->swap_on)
			allowed += (s64)c->swap;
		allowed -= (s64)min_u64(total / 32, min_u64(c->mem / 32, 32768));
		return (s64)(m->account + pages) < allowed;
	}
}

/* ---- contents ---------------------------------------------------------------------------------
 */

u64 m_object_content(const struct m_object *o, u64 nr)
{
	u64 tag;

	if (m_page_get(&o->pages, nr, &tag))
		return tag;
	/* a file begins as its number and the page's */
	return !o->anon && nr < o->backed ? o->ino << 40 ^ nr : 0;
}

u64 m_content(const struct model *m, u32 space, u64 addr)
{
	const struct m_space *s = &m->space[space];
	const struct m_area *a = m_at(s, addr);
	u64 tag;

	if (!a)
		return 0;
	if (!(a->attr & M_SHARED) && m_page_get(&s->own, addr >> PAGE_SHIFT, &tag))
		return tag;
	return a->obj == M_NONE ? 0 : m_object_content(&m->object[a->obj], m_object_page(a, addr));
}

/* ---- effects ----------------------------------------------------------------------------------
 */

void m_effect(struct model *m, struct m_effect e)
{
	if (grow(m, &m->effect, m->nr_effects, &m->max_effects, sizeof(*m->effect)))
		m->effect[m->nr_effects++] = e;
}

/* A page is there from now on, as a load (or, of private writable memory, a store) makes it. */
static void fetch(struct model *m, u32 space, u64 addr, bool own)
{
	struct m_space *s = &m->space[space];
	const struct m_area *a = m_at(s, addr);
	u64 tag, nr;

	if (!a)
		return;
	if (own) {
		if (!m_page_get(&s->own, addr >> PAGE_SHIFT, &tag))
			m_page_put(m, &s->own, addr >> PAGE_SHIFT, m_content(m, space, addr));
		return;
	}
	if (a->obj == M_NONE || !m->object[a->obj].anon)
		return;
	nr = m_object_page(a, addr);
	if (m_page_get(&m->object[a->obj].pages, nr, &tag))
		return;
	m_page_put(m, &m->object[a->obj].pages, nr, 0);
	if (m->object[a->obj].noreserve)
		m_charge_object(m, a->obj, m->object[a->obj].charged + 1);
}

static void populate(struct model *m, const struct m_effect *e, m_present_fn present, void *priv)
{
	struct m_space *s = &m->space[e->space];

	for (u32 i = m_find(s, e->start); i < s->nr && s->area[i].start < e->end; i++) {
		const struct m_area *a = &s->area[i];
		bool own = (a->attr & (M_WRITE | M_SHARED)) == M_WRITE;
		u64 addr = max_u64(a->start, e->start), end = min_u64(a->end, e->end);

		if (!(a->attr & M_RWX) || a->attr & M_ONFAULT)
			continue;
		if (!own && (a->obj == M_NONE || !m->object[a->obj].anon))
			continue;
		if (a->obj != M_NONE) {
			u64 size = m->object[a->obj].size, at = m_object_page(a, addr);
			u64 there = at < size ? size - at : 0;

			end = addr + (min_u64(there, (end - addr) >> PAGE_SHIFT) << PAGE_SHIFT);
		}
		for (; addr < end; addr += PAGE_SIZE) {
			if (m_is_guard_page(m, s, i, addr))
				continue;
			if (!present || present(priv, e->space, addr))
				fetch(m, e->space, addr, own);
		}
	}
}

static void move_pages(struct model *m, struct m_pages *p, u64 first, u64 last, u64 to)
{
	for (u64 nr = first; (nr = m_page_next(p, nr)) <= last; nr++) {
		u64 tag = 0;

		m_page_get(p, nr, &tag);
		m_page_drop(m, p, nr, nr);
		m_page_put(m, p, to + (nr - first), tag);
	}
}

static void adopt(struct model *m, const struct m_effect *e, m_present_fn account, void *priv)
{
	for (u64 addr = e->start; addr < e->end;) {
		const struct m_space *s = &m->space[e->space];
		u32 i = m_find(s, addr);
		u64 next;
		bool has;

		if (i == s->nr || s->area[i].start >= e->end)
			return;
		addr = max_u64(addr, s->area[i].start);
		next = min_u64(e->end, s->area[i].end);
		has = account(priv, e->space, addr);
		/* as far as the engine says the same */
		for (u64 at = addr + PAGE_SIZE; at < next; at += PAGE_SIZE)
			if (account(priv, e->space, at) != has)
				next = at;
		m_change(m, e->space, addr, next, M_ACCOUNT, has ? M_ACCOUNT : 0);
		addr = next;
	}
}

void m_adopt(struct model *m, m_present_fn account, void *priv)
{
	for (u32 i = 0; i < m->nr_effects; i++)
		if (m->effect[i].kind == M_ADOPT)
			adopt(m, &m->effect[i], account, priv);
}

void m_accept(struct model *m, m_present_fn present, m_present_fn account, void *priv)
{
	if (account)
		m_adopt(m, account, priv);
	for (u32 i = 0; i < m->nr_effects; i++) {
		const struct m_effect *e = &m->effect[i];
		struct m_space *s = e->space == M_NONE ? NULL : &m->space[e->space];
		u64 first = e->start >> PAGE_SHIFT, last = (e->end >> PAGE_SHIFT) - 1;
		const struct m_area *a;

		switch (e->kind) {
		case M_DROP:
			m_page_drop(m, &s->own, first, last);
			break;
		case M_MOVE:
			move_pages(m, &s->own, first, last, e->to >> PAGE_SHIFT);
			break;
		case M_POPULATE:
			populate(m, e, present, priv);
			break;
		case M_PUNCH:
			m_zap_object(m, e->obj, e->start, e->end - 1);
			break;
		case M_TOUCH:
			if (!present || present(priv, e->space, e->start))
				fetch(m, e->space, e->start, false);
			break;
		case M_STORE:
			a = m_at(s, e->start);
			if (!a)
				break;
			if (a->attr & M_SHARED) {
				fetch(m, e->space, e->start, false);
				m_page_put(m, &m->object[a->obj].pages, m_object_page(a, e->start),
					   e->to);
			} else {
				m_page_put(m, &s->own, first, e->to);
			}
			break;
		case M_ADOPT:
			break;
		case M_CONTEXT:
			m_new_context(m, e->space, e->obj, e->start, e->end - e->start, e->to);
			break;
		case M_CONTEXT_END:
			m_end_context(m, e->obj);
			break;
		case M_CONTEXT_MOVE:
			m_move_context(m, e->obj, e->start);
			break;
		case M_CALL:
			m->task[e->obj].call[m->task[e->obj].depth++] = e->to;
			break;
		case M_RETURN:
			m->task[e->obj].depth--;
			break;
		case M_REQUESTS:
			m_set_requests(m, e->obj, e->to);
			break;
		}
	}
	m->nr_effects = 0;
	m->nr_saved = 0;
	m->saved_space = M_NONE;
	m_sweep_objects(m);
}

void m_save(struct model *m, u32 space)
{
	const struct m_space *s = &m->space[space];

	while (m->max_saved < s->nr)
		if (!grow(m, &m->saved, m->max_saved, &m->max_saved, sizeof(*m->saved)))
			return;
	memcpy(m->saved, s->area, s->nr * sizeof(*s->area));
	m->nr_saved = s->nr;
	m->saved_space = space;
	m->saved_brk = s->brk;
	m->saved_stepping = s->stepping;
	m->saved_def = s->def;
}

void m_rollback(struct model *m)
{
	struct m_space *s = &m->space[m->saved_space];

	m->nr_effects = 0;
	m->unsure = false;
	s->brk = m->saved_brk;
	s->stepping = m->saved_stepping;
	s->def = m->saved_def;
	m_clear(m, m->saved_space, 0, UINT64_MAX);
	for (u32 i = 0; i < m->nr_saved; i++) {
		if (!insert_at(m, s, s->nr, &m->saved[i]))
			return;
		account_area(m, s, &m->saved[i], 1);
	}
	m_sweep_objects(m);
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static void empty(struct model *m)
{
	for (u32 i = 0; i < m->nr_spaces; i++)
		empty_space(m, &m->space[i]);
	for (u32 i = 0; i < m->nr_objects; i++)
		if (m->object[i].used)
			m_free_object(m, i);
	m->nr_effects = m->nr_saved = m->nr_contexts = 0;
	m->dead = false;
	m->account = 0;
	m->alive = 0;
	m->unsure = m->lost = false;
	m->saved_space = M_NONE;
	m->going[0] = m->going[1] = false;
	memset(&m->in, 0, sizeof(m->in));
	for (u32 i = 0; i < M_SLOTS; i++)
		m->pin[i] = m->notifier[i] = (struct m_pin){.space = M_NONE};
}

static bool set_tasks(struct model *m, u32 nr)
{
	if (nr > m->nr_tasks || !m->task) {
		struct m_task *v = realloc(m->task, (nr ? nr : 1) * sizeof(*v));

		if (!v)
			return false;
		m->task = v;
	}
	m->nr_tasks = nr;
	for (u32 i = 0; i < nr; i++)
		m->task[i] = (struct m_task){.space = M_NONE, .waiter = M_NONE};
	return true;
}

int m_reset(struct model *m, const struct m_config *cfg, u32 nr_tasks)
{
	empty(m);
	m->cfg = *cfg;
	m_layout(&m->cfg);
	m->swap_on = cfg->swap > 0;
	m->vdso = m->vvar = M_NONE;
	m->next_ino = 1;
	return set_tasks(m, nr_tasks) ? 0 : -ENOMEM;
}

void m_free(struct model *m)
{
	for (u32 i = 0; i < m->nr_spaces; i++) {
		m_page_drop(m, &m->space[i].own, 0, UINT64_MAX);
		free(m->space[i].own.v);
		free(m->space[i].area);
	}
	for (u32 i = 0; i < m->nr_objects; i++) {
		m_page_drop(m, &m->object[i].pages, 0, UINT64_MAX);
		free(m->object[i].pages.v);
	}
	while (m->free_chunks) {
		struct m_chunk *c = m->free_chunks;

		m->free_chunks = c->next_free;
		free(c);
	}
	free(m->space);
	free(m->object);
	free(m->context);
	free(m->task);
	free(m->saved);
	free(m->effect);
	memset(m, 0, sizeof(*m));
}

void m_copy(struct model *to, const struct model *from)
{
	empty(to);
	if (!set_tasks(to, from->nr_tasks)) {
		to->lost = true;
		return;
	}
	memcpy(to->task, from->task, from->nr_tasks * sizeof(*to->task));
	to->cfg = from->cfg;
	to->alive = from->alive;
	memcpy(to->pin, from->pin, sizeof(to->pin));
	memcpy(to->notifier, from->notifier, sizeof(to->notifier));
	memcpy(to->going, from->going, sizeof(to->going));
	to->swap_on = from->swap_on;
	to->next_ino = from->next_ino;
	to->vdso = from->vdso;
	to->vvar = from->vvar;
	to->account = from->account;
	to->lost = from->lost;
	for (u32 i = 0; i < from->nr_contexts; i++) {
		struct m_context *c = from->context[i].used ? m_context_room(to) : NULL;

		if (c)
			*c = from->context[i];
	}
	for (u32 i = 0; i < from->nr_objects; i++) {
		const struct m_object *o = &from->object[i];
		struct m_pages pages;

		while (to->nr_objects <= i) {
			if (!grow(to, &to->object, to->nr_objects, &to->max_objects,
				  sizeof(*to->object)))
				return;
			memset(&to->object[to->nr_objects++], 0, sizeof(*to->object));
		}
		pages = to->object[i].pages;
		pages_copy(to, &pages, &o->pages);
		to->object[i] = *o;
		to->object[i].pages = pages;
	}
	for (u32 i = 0; i < from->nr_spaces; i++) {
		const struct m_space *s = &from->space[i];
		struct m_space *d, mine;

		while (to->nr_spaces <= i) {
			if (!grow(to, &to->space, to->nr_spaces, &to->max_spaces,
				  sizeof(*to->space)))
				return;
			memset(&to->space[to->nr_spaces++], 0, sizeof(*to->space));
		}
		d = &to->space[i];
		mine = *d;
		*d = *s;
		d->own = mine.own;
		d->area = mine.area;
		d->max = mine.max;
		d->nr = 0;
		pages_copy(to, &d->own, &s->own);
		for (u32 k = 0; k < s->nr; k++)
			if (!insert_at(to, d, k, &s->area[k]))
				return;
	}
}
