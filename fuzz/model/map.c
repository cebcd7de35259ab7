/* SPDX-License-Identifier: GPL-2.0-only */
/* mmap, munmap, mprotect, brk, mremap, madvise as user space knows them (facts §7.8-§7.18, §9). */
#include "model.h"

#include <faultline/syscalls.h>

#define TYPE 0x0fu
/* What MAP_SHARED_VALIDATE lets pass. */
#define VALIDATED                                                                             \
	(TYPE | MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK | \
	 MAP_LOCKED | MAP_POPULATE | MAP_NONBLOCK)
#define MAY (M_MAYREAD | M_MAYWRITE | M_MAYEXEC)

static struct m_space *space_of(struct model *m, u32 space)
{
	return &m->space[space];
}

static bool is_mapped(const struct m_space *s, u64 start, u64 end)
{
	u32 i = m_find(s, start);

	return i < s->nr && s->area[i].start < end;
}

/* Pages of [start, end) that are mapped. */
static u64 mapped_pages(const struct m_space *s, u64 start, u64 end)
{
	u64 n = 0;

	for (u32 i = m_find(s, start); i < s->nr && s->area[i].start < end; i++)
		n += min_u64(end, s->area[i].end) - max_u64(start, s->area[i].start);
	return n >> PAGE_SHIFT;
}

static bool is_data(u32 attr)
{
	return (attr & (M_WRITE | M_SHARED | M_GROWSDOWN)) == M_WRITE;
}

/* RLIMIT_DATA, which later kernels hold against all private writable memory. */
static bool may_expand_data(const struct model *m, const struct m_space *s, u32 attr, u64 pages)
{
	if (!m->cfg.modern || !is_data(attr) || m->cfg.limit_data == M_NO_LIMIT)
		return true;
	for (u32 i = 0; i < s->nr; i++)
		if (is_data(s->area[i].attr))
			pages += (s->area[i].end - s->area[i].start) >> PAGE_SHIFT;
	return pages <= m->cfg.limit_data;
}

static bool may_expand(const struct model *m, const struct m_space *s, u32 attr, u64 pages)
{
	return s->total + pages <= m->cfg.limit_as && may_expand_data(m, s, attr, pages);
}

static bool may_lock(const struct model *m, const struct m_space *s, u64 pages)
{
	return s->locked + pages <= m->cfg.limit_memlock;
}

static void unmap(struct model *m, u32 space, u64 start, u64 end)
{
	if (!is_mapped(space_of(m, space), start, end))
		return;
	m_clear(m, space, start, end);
	m_effect(m, (struct m_effect){M_DROP, space, M_NONE, start, end, 0});
}

/* ---- mmap -------------------------------------------------------------------------------------
 */

/* May the file be mapped so? Takes from *attr what it will never allow. */
static int file_allows(const struct m_object *o, u32 prot, u32 type, u32 *attr)
{
	if (type == MAP_SHARED) {
		if (prot & PROT_WRITE && !(o->mode & 2))
			return EACCES;
		*attr |= o->mode & 2 ? M_SHARED | M_MAYSHARE : M_MAYSHARE;
		if (!(o->mode & 2))
			*attr &= ~(u32)M_MAYWRITE;
	} else if (type != MAP_PRIVATE) {
		return EINVAL;
	}
	if (!(o->mode & 1))
		return EACCES;
	if (!(o->mode & 4)) {
		if (prot & PROT_EXEC)
			return EPERM;
		*attr &= ~(u32)M_MAYEXEC;
	}
	return *attr & M_GROWSDOWN ? EINVAL : 0;
}

/* Promised pages of [start, end). */
static u64 promised_pages(const struct m_space *s, u64 start, u64 end)
{
	u64 n = 0;

	for (u32 i = m_find(s, start); i < s->nr && s->area[i].start < end; i++)
		if (s->area[i].attr & M_ACCOUNT)
			n += min_u64(end, s->area[i].end) - max_u64(start, s->area[i].start);
	return n >> PAGE_SHIFT;
}

/*
 * The range is free, or made so; what is promised is charged. In 4.4 a failure leaves a hole from
 * there on; later kernels look first.
 */
static int map_region(struct model *m, u32 space, struct m_area *a, bool shared_anon)
{
	struct m_space *s = space_of(m, space);
	u64 pages = (a->end - a->start) >> PAGE_SHIFT;

	if (!may_expand(m, s, a->attr, pages - mapped_pages(s, a->start, a->end)))
		return ENOMEM;
	if (!m->cfg.modern)
		unmap(m, space, a->start, a->end);
	if ((a->attr & (M_NORESERVE | M_SHARED | M_WRITE)) == M_WRITE) {
		if (!m_may_commit(m, space, pages - promised_pages(s, a->start, a->end)))
			return ENOMEM;
		a->attr |= M_ACCOUNT;
	}
	if (shared_anon) {
		bool noreserve = a->attr & M_NORESERVE;
		struct m_object *o;

		if (!noreserve && !m_may_commit(m, space, pages))
			return ENOMEM;
		a->obj = m_new_object(m);
		if (a->obj == M_NONE)
			return 0;
		o = &m->object[a->obj];
		o->anon = true;
		o->noreserve = noreserve;
		o->mode = 3;
		o->size = pages;
		m_charge_object(m, a->obj, noreserve ? 0 : pages);
	} else if (a->obj != M_NONE && a->attr & M_SHARED && m->object[a->obj].sealed) {
		return EPERM;
	}
	if (a->obj != M_NONE && m->object[a->obj].ring)
		a->attr = (a->attr | M_DONTEXPAND) & ~(u32)M_LOCKBITS;
	unmap(m, space, a->start, a->end);
	m_insert(m, space, a);
	return 0;
}

static bool wants_pages(const struct model *m, const struct m_space *s, u64 len, u32 flags)
{
	if (s->def & M_LOCKED || flags & MAP_LOCKED)
		return true;
	return (flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE &&
	       len >> PAGE_SHIFT <= min_u64(m->cfg.mem, 65536);
}

/* first: page of the object. Fetches nothing. */
static struct m_result map_anew(struct model *m, u32 space, u64 addr, u64 len, u32 prot, u32 flags,
				u32 obj, u64 first, u32 extra)
{
	struct m_space *s = space_of(m, space);
	struct m_area a = {.obj = obj, .off = first};
	bool noreplace;
	int err;

	if (!len)
		return m_error(EINVAL);
	if (a.obj != M_NONE && (flags & TYPE) == MAP_SHARED_VALIDATE && m->cfg.modern) {
		if (flags & ~VALIDATED)
			return m_error(EOPNOTSUPP);
		flags = (flags & ~TYPE) | MAP_SHARED;
	}
	noreplace = flags & MAP_FIXED_NOREPLACE && m->cfg.modern;
	if (noreplace)
		flags |= MAP_FIXED;
	if (!(flags & MAP_FIXED))
		addr &= PAGE_MASK;
	len = PAGE_ALIGN(len);
	if (!len)
		return m_error(ENOMEM);
	if (a.off + (len >> PAGE_SHIFT) < a.off)
		return m_error(EOVERFLOW);
	if (m->cfg.modern && a.obj != M_NONE && a.off + (len >> PAGE_SHIFT) > (u64)1 << 51)
		return m_error(EOVERFLOW);

	addr = m_place(m, s, addr, len, flags);
	if (addr >= (u64)-4095)
		return (struct m_result){M_ERRNO, (s64)addr};
	if (noreplace && is_mapped(s, addr, addr + len))
		return m_error(EEXIST);
	a.start = addr;
	a.end = addr + len;

	a.attr = (prot & M_RWX) | MAY | s->def | extra;
	if (flags & MAP_GROWSDOWN)
		a.attr |= M_GROWSDOWN;
	if (flags & MAP_LOCKED) {
		if (!m->cfg.limit_memlock)
			return m_error(EPERM);
		a.attr |= M_LOCKED;
	}
	if (a.attr & M_LOCKED && !may_lock(m, s, len >> PAGE_SHIFT))
		return m_error(EAGAIN);
	if (a.obj != M_NONE) {
		err = file_allows(&m->object[a.obj], prot, flags & TYPE, &a.attr);
		if (err)
			return m_error(err);
	} else if ((flags & TYPE) == MAP_SHARED) {
		if (a.attr & M_GROWSDOWN)
			return m_error(EINVAL);
		a.attr |= M_SHARED | M_MAYSHARE;
		a.off = 0;
	} else if ((flags & TYPE) == MAP_PRIVATE) {
		a.off = 0;
	} else {
		return m_error(EINVAL);
	}
	if (flags & MAP_NORESERVE && m->cfg.overcommit != 2)
		a.attr |= M_NORESERVE;

	err = map_region(m, space, &a, a.obj == M_NONE && a.attr & M_SHARED);
	return err ? m_error(err) : m_value(addr);
}

struct m_result m_mmap(struct model *m, u32 space, u64 addr, u64 len, u32 prot, u32 flags, u32 obj,
		       u64 off, u32 extra)
{
	struct m_result r;

	if (offset_in_page(off))
		return m_error(EINVAL);
	if (flags & MAP_ANONYMOUS)
		obj = M_NONE;
	else if (obj == M_NONE)
		return m_error(EBADF);
	r = map_anew(m, space, addr, len, prot, flags, obj, off >> PAGE_SHIFT, extra);
	if (r.kind == M_OK && wants_pages(m, space_of(m, space), len, flags))
		m_populate(m, space, (u64)r.value, (u64)r.value + PAGE_ALIGN(len), true);
	return r;
}

struct m_result m_remap_pages(struct model *m, u32 space, u64 addr, u64 len, u32 prot, u64 first,
			      u32 flags)
{
	struct m_space *s = space_of(m, space);
	const struct m_area *a;
	struct m_result r;
	u32 attr, obj;

	addr &= PAGE_MASK;
	len &= PAGE_MASK;
	if (prot || addr + len <= addr || first + (len >> PAGE_SHIFT) < first)
		return m_error(EINVAL);
	a = m_at(s, addr);
	if (!a || !(a->attr & M_SHARED))
		return m_error(EINVAL);
	attr = a->attr;
	obj = a->obj;
	for (u64 at = addr; at < addr + len; at = m_at(s, at)->end)
		if (!m_at(s, at) || m_at(s, at)->attr != attr || m_at(s, at)->obj != obj)
			return m_error(EINVAL);
	if (m_object_page(a, addr) == first)
		return m_error(0);
	r = map_anew(m, space, addr, len, attr & M_RWX,
		     MAP_SHARED | MAP_FIXED | (attr & M_LOCKED ? MAP_LOCKED : 0), obj, first, 0);
	if (r.kind != M_OK)
		return r;
	if (!(flags & MAP_NONBLOCK) && len >> PAGE_SHIFT <= min_u64(m->cfg.mem, 65536))
		m_populate(m, space, addr, addr + len, true);
	return m_error(0);
}

/* ---- munmap -----------------------------------------------------------------------------------
 */

static int check_range(const struct model *m, u64 addr, u64 len)
{
	u64 size = m->cfg.task_size;

	if (offset_in_page(addr) || addr > size || len > size - addr || !PAGE_ALIGN(len))
		return EINVAL;
	return 0;
}

struct m_result m_munmap(struct model *m, u32 space, u64 addr, u64 len)
{
	int err = check_range(m, addr, len);

	if (!err)
		unmap(m, space, addr, addr + PAGE_ALIGN(len));
	return m_error(err);
}

/* ---- mprotect ---------------------------------------------------------------------------------
 */

/* Of one area, [start, end) of it. */
static int protect(struct model *m, u32 space, u64 start, u64 end, u32 prot)
{
	u32 old = m_at(space_of(m, space), start)->attr, set = prot;
	u64 pages = (end - start) >> PAGE_SHIFT;

	if (prot & ~(old >> 4) & M_RWX)
		return EACCES;
	if ((old & M_RWX) == prot)
		return 0;
	if (!is_data(old) &&
	    !may_expand_data(m, space_of(m, space), (old & ~(u32)M_RWX) | prot, pages)) {
		m->unsure |= !m->in.one_vma;
		return ENOMEM;
	}
	if (prot & M_WRITE && !(old & (M_ACCOUNT | M_WRITE | M_SHARED | M_NORESERVE))) {
		if (!m_may_commit(m, space, pages)) {
			/* VMA by VMA there may have been room for a part */
			m->unsure |= !m->in.one_vma;
			return ENOMEM;
		}
		set |= M_ACCOUNT;
	}
	if (!(prot & M_WRITE) && old & M_ACCOUNT &&
	    m_at(space_of(m, space), start)->obj == M_NONE && m->cfg.modern)
		m_effect(m, (struct m_effect){M_ADOPT, space, M_NONE, start, end, 0});
	m_change(m, space, start, end, M_RWX, set);
	if ((old & (M_WRITE | M_SHARED | M_LOCKED)) == M_LOCKED && prot & M_WRITE)
		m_populate(m, space, start, end, false);
	return 0;
}

struct m_result m_mprotect(struct model *m, u32 space, u64 addr, u64 len, u32 prot)
{
	struct m_space *s = space_of(m, space);
	u32 grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	u64 end;
	u32 i;

	prot &= ~grows;
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || offset_in_page(addr))
		return m_error(EINVAL);
	if (!len)
		return m_error(0);
	end = addr + PAGE_ALIGN(len);
	if (end <= addr)
		return m_error(ENOMEM);
	if (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM))
		return m_error(EINVAL);
	prot &= M_RWX;

	i = m_find(s, addr);
	if (i == s->nr)
		return m_error(ENOMEM);
	if (grows & PROT_GROWSDOWN) {
		u64 start = max_u64(s->area[i].start, m->in.vma_start);

		if (start >= end)
			return m_error(ENOMEM);
		if (!(s->area[i].attr & M_GROWSDOWN))
			return m_error(EINVAL);
		addr = start;
	} else if (s->area[i].start > addr) {
		return m_error(ENOMEM);
	} else if (grows) {
		return m_error(EINVAL);
	}
	while (addr < end) {
		const struct m_area *a = m_at(s, addr);
		u64 next;
		int err;

		if (!a)
			return m_error(ENOMEM);
		next = min_u64(end, a->end);
		err = protect(m, space, addr, next, prot);
		if (err)
			return m_error(err);
		addr = next;
	}
	return m_error(0);
}

/* ---- brk --------------------------------------------------------------------------------------
 */

static bool grow_heap(struct model *m, u32 space, u64 start, u64 end)
{
	struct m_space *s = space_of(m, space);
	u64 pages = (end - start) >> PAGE_SHIFT;
	struct m_area a = {.start = start, .end = end, .obj = M_NONE};

	u32 i = m_find(s, start);

	/* a free page stays above it */
	if (i < s->nr && end + PAGE_SIZE > m_gap_end(m, &s->area[i]))
		return false;
	if (m_place(m, s, start, end - start, MAP_FIXED) != start)
		return false;
	if (s->def & M_LOCKED && !may_lock(m, s, pages))
		return false;
	a.attr = M_READ | M_WRITE | MAY | M_ACCOUNT | s->def;
	if (!may_expand(m, s, a.attr, pages) || !m_may_commit(m, space, pages))
		return false;
	m_insert(m, space, &a);
	if (s->def & M_LOCKED)
		m_populate(m, space, start, end, true);
	return true;
}

struct m_result m_brk(struct model *m, u32 space, u64 brk)
{
	struct m_space *s = space_of(m, space);
	u64 now = PAGE_ALIGN(s->brk), want = PAGE_ALIGN(brk);

	if (brk < s->start_brk || (u64)(brk - s->start_brk) > m->cfg.limit_data << PAGE_SHIFT)
		return m_value(s->brk);
	if (want != now && brk <= s->brk) {
		if (m->cfg.modern && !is_mapped(s, want, now))
			return m_value(s->brk);
		if (check_range(m, want, now - want))
			return m_value(s->brk);
		unmap(m, space, want, now);
	} else if (want != now && !grow_heap(m, space, now, want)) {
		return m_value(s->brk);
	}
	s->brk = brk;
	return m_value(brk);
}

/* ---- mremap -----------------------------------------------------------------------------------
 */

struct move {
	u64 addr, old_len, new_len;
	u64 vma_start, vma_end; /* around addr */
};

/* May what is at addr become new_len long? *grow: pages that have to be promised for it. */
static int check_resize(struct model *m, u32 space, const struct move *mv, const struct m_area *a)
{
	const struct m_space *s = space_of(m, space);
	u64 pages = (mv->new_len - mv->old_len) >> PAGE_SHIFT;

	if (!a || mv->old_len > mv->vma_end - mv->addr)
		return EFAULT;
	if (!mv->old_len && !(a->attr & M_MAYSHARE) && m->cfg.modern)
		return EINVAL;
	if (mv->new_len == mv->old_len)
		return 0;
	if (a->attr & M_DONTEXPAND)
		return EFAULT;
	if (a->attr & M_LOCKED && !may_lock(m, s, pages))
		return EAGAIN;
	if (!may_expand(m, s, a->attr, pages))
		return ENOMEM;
	return a->attr & M_ACCOUNT && !m_may_commit(m, space, pages) ? ENOMEM : 0;
}

/* 0, or EINVAL from the ring of a context that the space has not. */
static int carry(struct model *m, u32 space, const struct move *mv, u64 to)
{
	struct m_space *s = space_of(m, space);
	struct m_area a = *m_at(s, mv->addr);

	if (a.obj != M_NONE && m->object[a.obj].ring) {
		if (!m_has_ring(m, space, a.obj))
			return EINVAL;
		m_effect(m, (struct m_effect){M_CONTEXT_MOVE, space, a.obj, to, 0, 0});
	}
	if (a.obj != M_NONE)
		a.off = m_object_page(&a, mv->addr);
	a.attr &= ~(u32)M_UFFD; /* who was asked for its pages is not told of the new place */
	a.start = to;
	a.end = to + mv->new_len;
	if (mv->old_len) {
		m_clear(m, space, mv->addr, mv->addr + mv->old_len);
		m_insert(m, space, &a);
		m_effect(m, (struct m_effect){M_MOVE, space, M_NONE, mv->addr,
					      mv->addr + mv->old_len, to});
	} else {
		u32 i;

		m_insert(m, space, &a);
		/*
		 * Nothing is unmapped, which 4.4 takes for a failure: the VMA, together with the
		 * new range if they have become one, loses its promise.
		 */
		if (a.attr & M_ACCOUNT) {
			m_change(m, space, mv->vma_start, mv->vma_end, M_ACCOUNT, 0);
			i = m_find(s, to);
			m_effect(m, (struct m_effect){M_ADOPT, space, M_NONE, s->area[i].start,
						      s->area[i].end, 0});
		}
	}
	if (a.attr & M_LOCKED && mv->new_len > mv->old_len)
		m_populate(m, space, to + mv->old_len, to + mv->new_len, true);
	return 0;
}

static struct m_result remap_fixed(struct model *m, u32 space, struct move *mv, u64 to)
{
	struct m_space *s = space_of(m, space);
	u64 size = m->cfg.task_size;
	int err;

	if (offset_in_page(to) || mv->new_len > size || to > size - mv->new_len)
		return m_error(EINVAL);
	if (mv->addr + mv->old_len > to && to + mv->new_len > mv->addr)
		return m_error(EINVAL);
	if (m->cfg.modern && !m_at(s, mv->addr))
		return m_error(EFAULT);
	unmap(m, space, to, to + mv->new_len);
	if (mv->old_len > mv->new_len) {
		err = check_range(m, mv->addr + mv->new_len, mv->old_len - mv->new_len);
		if (err)
			return m_error(err);
		unmap(m, space, mv->addr + mv->new_len, mv->addr + mv->old_len);
		mv->old_len = mv->new_len;
		mv->vma_end = min_u64(mv->vma_end, mv->addr + mv->old_len);
	}
	if (to >= mv->addr)
		mv->vma_end = min_u64(mv->vma_end, max_u64(to, mv->addr));
	else
		mv->vma_start = max_u64(mv->vma_start, min_u64(to + mv->new_len, mv->addr));
	err = check_resize(m, space, mv, m_at(s, mv->addr));
	if (!err)
		err = carry(m, space, mv, to);
	return err ? m_error(err) : m_value(to);
}

/* Is the room behind it free? */
static bool grow_in_place(struct model *m, u32 space, const struct move *mv)
{
	struct m_space *s = space_of(m, space);
	struct m_area a = *m_at(s, mv->addr);
	u64 end = mv->addr + mv->new_len;

	if (mv->old_len != mv->vma_end - mv->addr || end < mv->vma_end)
		return false;
	if (is_mapped(s, mv->vma_end, end) ||
	    m_place(m, s, mv->vma_start, end - mv->vma_start, MAP_FIXED) != mv->vma_start)
		return false;
	if (a.obj != M_NONE)
		a.off = m_object_page(&a, mv->vma_end);
	a.start = mv->vma_end;
	a.end = end;
	m_insert(m, space, &a);
	if (a.attr & M_LOCKED)
		m_populate(m, space, a.start, a.end, true);
	return true;
}

struct m_result m_mremap(struct model *m, u32 space, u64 addr, u64 old_len, u64 new_len, u32 flags,
			 u64 new_addr)
{
	struct m_space *s = space_of(m, space);
	struct move mv = {addr, PAGE_ALIGN(old_len), PAGE_ALIGN(new_len), m->in.vma_start,
			  m->in.vma_end};
	const struct m_area *a;
	int err;
	u64 to;

	if (flags & ~(MREMAP_FIXED | MREMAP_MAYMOVE) ||
	    (flags & (MREMAP_FIXED | MREMAP_MAYMOVE)) == MREMAP_FIXED || offset_in_page(addr) ||
	    !mv.new_len)
		return m_error(EINVAL);
	if (m->cfg.modern && mv.new_len > m->cfg.task_size)
		return m_error(EINVAL);
	if (flags & MREMAP_FIXED)
		return remap_fixed(m, space, &mv, new_addr);

	a = m_at(s, addr);
	if (mv.old_len >= mv.new_len) {
		if (m->cfg.modern && !a)
			return m_error(EFAULT);
		if (mv.old_len == mv.new_len)
			return m_value(addr);
		err = check_range(m, addr + mv.new_len, mv.old_len - mv.new_len);
		if (err)
			return m_error(err);
		unmap(m, space, addr + mv.new_len, addr + mv.old_len);
		return m_value(addr);
	}
	err = check_resize(m, space, &mv, a);
	if (err)
		return m_error(err);
	if (grow_in_place(m, space, &mv))
		return m_value(addr);
	if (!(flags & MREMAP_MAYMOVE))
		return m_error(ENOMEM);
	to = m_place(m, s, 0, mv.new_len, a->obj == M_NONE ? MAP_PRIVATE | MAP_ANONYMOUS : 0);
	if (to >= (u64)-4095)
		return (struct m_result){M_ERRNO, (s64)to};
	err = carry(m, space, &mv, to);
	return err ? m_error(err) : m_value(to);
}

/* ---- madvise ----------------------------------------------------------------------------------
 */

static const struct {
	u32 advice, clear, set;
} advised[] = {
	{MADV_NORMAL, M_RANDOM | M_SEQUENTIAL, 0},
	{MADV_RANDOM, M_SEQUENTIAL, M_RANDOM},
	{MADV_SEQUENTIAL, M_RANDOM, M_SEQUENTIAL},
	{MADV_DONTFORK, 0, M_DONTFORK},
	{MADV_DOFORK, M_DONTFORK, 0},
	{MADV_DONTDUMP, 0, M_DONTDUMP},
	{MADV_DODUMP, M_DONTDUMP, 0},
	{MADV_HUGEPAGE, M_NOHUGE, M_HUGE},
	{MADV_NOHUGEPAGE, M_HUGE, M_NOHUGE},
	{MADV_MERGEABLE, 0, M_MERGEABLE},
	{MADV_UNMERGEABLE, M_MERGEABLE, 0},
};

bool m_knows_advice(u64 advice)
{
	for (size_t i = 0; i < ARRAY_SIZE(advised); i++)
		if (advised[i].advice == advice)
			return true;
	return advice == MADV_WILLNEED || advice == MADV_DONTNEED || advice == MADV_REMOVE;
}

u32 m_advised(u64 advice, u32 attr)
{
	/* ignored where it does not fit */
	if (advice == MADV_MERGEABLE && attr & (M_SHARED | M_MAYSHARE | M_SPECIAL))
		return attr;
	for (size_t i = 0; i < ARRAY_SIZE(advised); i++)
		if (advised[i].advice == advice)
			return (attr & ~advised[i].clear) | advised[i].set;
	return attr;
}

static int punch(struct model *m, const struct m_area *a, u64 start, u64 end)
{
	u64 first;

	if (a->attr & M_LOCKED || a->obj == M_NONE || m->object[a->obj].special)
		return EINVAL;
	if ((a->attr & (M_SHARED | M_WRITE)) != (M_SHARED | M_WRITE))
		return EACCES;
	if (!m->object[a->obj].anon)
		return EOPNOTSUPP;
	first = m_object_page(a, start);
	m_effect(m, (struct m_effect){M_PUNCH, M_NONE, a->obj, first,
				      first + ((end - start) >> PAGE_SHIFT), 0});
	return 0;
}

static int advise(struct model *m, u32 space, u64 start, u64 end, u64 advice)
{
	const struct m_area *a = m_at(space_of(m, space), start);
	u32 attr = a->attr, to;

	switch (advice) {
	case MADV_WILLNEED:
		return a->obj == M_NONE || m->object[a->obj].special ? EBADF : 0;
	case MADV_DONTNEED:
		if (a->attr & (M_LOCKED | M_PFNMAP))
			return EINVAL;
		m_effect(m, (struct m_effect){M_DROP, space, M_NONE, start, end, 0});
		return 0;
	case MADV_REMOVE:
		return punch(m, a, start, end);
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
		if (a->attr & (M_SHARED | M_MAYSHARE | M_SPECIAL) && !m->cfg.modern)
			return EINVAL;
		break;
	case MADV_DOFORK:
		if (a->attr & M_IO)
			return EINVAL;
		break;
	case MADV_DODUMP:
		if (a->attr & M_SPECIAL)
			return EINVAL;
		break;
	default:
		break;
	}
	to = m_advised(advice, attr);
	m_change(m, space, start, end, attr & ~to, to & ~attr);
	return 0;
}

static bool is_advice(const struct model *m, u64 advice)
{
	if (advice == MADV_MERGEABLE || advice == MADV_UNMERGEABLE)
		return m->cfg.ksm;
	return m_knows_advice(advice);
}

struct m_result m_madvise(struct model *m, u32 space, u64 addr, u64 len, u64 advice)
{
	struct m_space *s = space_of(m, space);
	u64 end = addr + PAGE_ALIGN(len);
	int hole = 0;

	if (!is_advice(m, advice) || offset_in_page(addr) || (len && !PAGE_ALIGN(len)) ||
	    end < addr)
		return m_error(EINVAL);
	while (addr < end) {
		u32 i = m_find(s, addr);
		u64 next;
		int err;

		if (i == s->nr)
			return m_error(ENOMEM);
		if (s->area[i].start > addr) {
			hole = ENOMEM;
			addr = s->area[i].start;
			continue;
		}
		next = min_u64(end, s->area[i].end);
		err = advise(m, space, addr, next, advice);
		if (err)
			return m_error(err);
		addr = next;
	}
	return m_error(hole);
}
