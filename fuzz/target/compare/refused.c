/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * After a refusal the model's state is what it was, or the one other state that the exception of
 * that operation allows (declared/exceptions.c has the names): it is made in the model, and must be
 * exactly what the engine has.
 */
#include "compare_priv.h"

void cmp_range_of(const struct target *t, const struct call *c, u64 *start, u64 *end)
{
	const struct arg *a = c->op->args;
	u64 len = 0;

	*start = 0;
	*end = t->cmp->m.cfg.task_size;
	switch ((enum op_code)c->op->code) {
	case OP_mmap:
		*start = c->out->kind == OUT_OK ? (u64)c->out->value : c->addr & PAGE_MASK;
		len = a[1].val;
		break;
	case OP_munmap:
	case OP_mprotect:
	case OP_madvise:
	case OP_mlock:
	case OP_mlock2:
	case OP_munlock:
	case OP_remap_file_pages:
		*start = c->addr & PAGE_MASK;
		len = a[1].val + offset_in_page(c->addr);
		break;
	case OP_open:
	case OP_close:
	case OP_yield:
	case OP_modify_ldt:
	case OP_ioprio:
	case OP_binfmt_going:
	case OP_mm_alloc:
	case OP_kernel_map:
	case OP_notifier_register:
	case OP_notifier_unregister:
	case OP_mm_pin:
	case OP_mm_unpin:
		*end = 0;
		return;
	case OP_brk:
		*start = PAGE_ALIGN(min_u64(t->cmp->brk_before, (u64)c->out->value));
		len = PAGE_ALIGN(max_u64(t->cmp->brk_before, (u64)c->out->value)) - *start;
		break;
	case OP_read:
	case OP_write:
	case OP_swap_out:
		*start = c->addr & PAGE_MASK;
		len = PAGE_SIZE;
		break;
	default:
		return;
	}
	if (*start < *end && len < *end - *start)
		*end = PAGE_ALIGN(*start + len);
}

static bool is_there(void *priv, u32 space, u64 addr)
{
	struct target *t = priv;
	const struct mm_struct *mm = t->cmp->m.space[space].engine;
	const struct m_area *a = m_at(&t->cmp->m.space[space], addr);
	struct fl_look l;

	if (!mm)
		return true;
	fl_look_at(t->m, mm, addr, &l);
	return a && a->attr & M_SHARED ? l.kind == FL_LOOK_FILE : l.kind == FL_LOOK_ANON;
}

static bool is_accounted(void *priv, u32 space, u64 addr)
{
	struct target *t = priv;
	const struct vm_area_struct *v = cmp_vma_above(t->cmp->m.space[space].engine, addr);

	return v && v->vm_start <= addr && v->vm_flags & VM_ACCOUNT;
}

/* What the operation makes of an area that it has reached. */
static u32 changed(const struct call *c, u32 attr)
{
	const struct arg *a = c->op->args;

	if (attr & M_SPECIAL && c->op->code != OP_mprotect && c->op->code != OP_madvise)
		return attr; /* never locked */
	switch ((enum op_code)c->op->code) {
	case OP_mprotect:
		return (attr & ~(u32)M_RWX) | (a[2].val & M_RWX);
	case OP_mlock:
		return (attr & ~(u32)M_LOCKBITS) | M_LOCKED;
	case OP_mlock2:
		return (attr & ~(u32)M_LOCKBITS) | cmp_lock_bits(a[2].val);
	case OP_munlock:
		return attr & ~(u32)M_LOCKBITS;
	case OP_madvise:
		return m_advised(a[2].val, attr);
	default:
		return attr;
	}
}

/* Where the first part ends that the engine has changed: up to there the model follows. */
static u64 prefix_end(const struct target *t, const struct call *c, u32 space, u64 start, u64 end)
{
	const struct m_space *s = &t->cmp->m.space[space];
	const struct mm_struct *mm = s->engine;

	while (start < end) {
		const struct m_area *a = m_at(s, start);
		const struct vm_area_struct *v = cmp_vma_above(mm, start);

		if (!a || !v || v->vm_start > start)
			return start;
		if (cmp_attr_of(v->vm_flags) == a->attr && changed(c, a->attr) != a->attr)
			return start;
		start = min_u64(a->end, v->vm_end);
	}
	return end;
}

static void follow_prefix(struct target *t, const struct call *c, u32 space)
{
	struct model *m = &t->cmp->m;
	u64 start, end, stop;

	cmp_range_of(t, c, &start, &end);
	stop = prefix_end(t, c, space, start, end);
	if (stop <= start)
		return;
	switch ((enum op_code)c->op->code) {
	case OP_mprotect:
		m_mprotect(m, space, start, stop - start, (u32)c->op->args[2].val & M_RWX);
		break;
	case OP_madvise:
		m_madvise(m, space, start, stop - start, c->op->args[2].val);
		break;
	case OP_munlock:
		m_munlock(m, space, start, stop - start);
		break;
	default:
		m_set_lock(m, space, start, stop,
			   c->op->code == OP_mlock ? M_LOCKED : cmp_lock_bits(c->op->args[2].val));
		m_populate(m, space, start, stop, true);
		break;
	}
}

static void cut_out(struct model *m, u32 space, u64 start, u64 len)
{
	m_clear(m, space, start, start + len);
	m_effect(m, (struct m_effect){M_DROP, space, M_NONE, start, start + len, 0});
}

/* The stack came down to the access, or one page further, and then there was no page. */
static void follow_stack(struct target *t, const struct call *c, u32 space)
{
	struct model *m = &t->cmp->m;
	const struct m_space *s = &m->space[space];
	u64 page = c->addr & PAGE_MASK;
	u32 i = m_find(s, c->addr);
	const struct vm_area_struct *v;
	struct m_area a;

	if (i == s->nr)
		return;
	a = s->area[i];
	v = cmp_vma_above(s->engine, a.start);
	if (!(a.attr & M_GROWSDOWN) || !v || v->vm_start >= a.start ||
	    v->vm_start + PAGE_SIZE < page)
		return;
	a.end = a.start;
	a.start = v->vm_start;
	m_insert(m, space, &a);
}

/* Without a copy of the VMA that the old range lies in, the range stays: empty, and promised
 * nothing. */
static void follow_kept_source(struct target *t, const struct call *c, u32 space)
{
	struct model *m = &t->cmp->m;
	const struct m_area *old = m_at(&m->space[space], c->addr);
	u64 to = (u64)c->out->value, old_len = PAGE_ALIGN(c->op->args[1].val);
	u64 new_len = PAGE_ALIGN(c->op->args[2].val);
	u64 vma_start = m->in.vma_start, vma_end = m->in.vma_end;
	struct m_area a;

	if (!old || to == c->addr)
		return;
	a = *old;
	a.attr &= ~(u32)M_UFFD;
	if (a.obj != M_NONE)
		a.off = m_object_page(&a, c->addr);
	if (a.obj != M_NONE && m->object[a.obj].ring)
		m_effect(m, (struct m_effect){M_CONTEXT_MOVE, space, a.obj, to, 0, 0});
	a.start = to;
	a.end = to + new_len;
	if (c->op->args[3].val & MREMAP_FIXED) {
		cut_out(m, space, to, new_len);
		/* what the holes leave of the VMA around the old range */
		if (to > c->addr)
			vma_end = min_u64(vma_end, to);
		else
			vma_start = max_u64(vma_start, to + new_len);
		if (old_len > new_len) {
			vma_end = c->addr + new_len;
			cut_out(m, space, vma_end, old_len - new_len);
		}
		old_len = min_u64(old_len, new_len);
	}
	m_change(m, space, vma_start, vma_end, M_ACCOUNT, 0);
	m_insert(m, space, &a);
	/*
	 * One VMA with the old range, the new one, and what it has joined, have lost their promise
	 * with it; cut out of the old one, it has left a part that keeps it.
	 */
	old = m_at(&m->space[space], to);
	if (a.attr & M_ACCOUNT && old && old->end >= vma_start && old->start <= vma_end)
		m_effect(m,
			 (struct m_effect){M_ADOPT, space, M_NONE, min_u64(old->start, vma_start),
					   max_u64(old->end, vma_end), 0});
	m_effect(m, (struct m_effect){M_MOVE, space, M_NONE, c->addr, c->addr + old_len, to});
	if (a.attr & M_LOCKED && new_len > old_len)
		m_populate(m, space, to + old_len, to + new_len, true);
}

/*
 * After a second refusal: the move was taken back, but its destination has joined a neighbour and
 * could not be cut off again.
 */
static bool follow_kept_destination(struct target *t, const struct call *c, u32 space)
{
	struct model *m = &t->cmp->m;
	const struct m_area *old = m_at(&m->space[space], c->addr);
	u64 len = PAGE_ALIGN(c->op->args[2].val), to = c->addr2;
	struct m_area a;

	if (!old || t->opt.fi->op_delivered < 2)
		return false;
	if (!(c->op->args[3].val & MREMAP_FIXED))
		to = m_place(m, &m->space[space], 0, len,
			     old->obj == M_NONE ? MAP_PRIVATE | MAP_ANONYMOUS : 0);
	else
		cut_out(m, space, to, len);
	if (to >= (u64)-4095)
		return false;
	a = *old;
	a.attr &= ~(u32)M_UFFD;
	if (a.obj != M_NONE)
		a.off = m_object_page(&a, c->addr);
	a.start = to;
	a.end = to + len;
	m_insert(m, space, &a);
	/* who is one VMA with it has lost its promise */
	if (a.attr & M_ACCOUNT) {
		old = m_at(&m->space[space], to);
		m_effect(m, (struct m_effect){M_ADOPT, space, M_NONE, old->start, old->end, 0});
	}
	return true;
}

/* What the look at the user's memory has brought stays, and whatever has been started or ended. */
static bool follow_io(struct target *t, const struct call *c, u32 space, unsigned int k)
{
	struct model *m = &t->cmp->m;
	u64 page = c->addr & PAGE_MASK;

	if (k > 1)
		return false;
	if (k)
		follow_stack(t, c, space);
	if (c->out->kind != OUT_OK)
		m_effect(m,
			 (struct m_effect){M_POPULATE, space, M_NONE, page, page + PAGE_SIZE, 0});
	else if (c->op->code == OP_io_destroy)
		m_io_destroy(m, space, c->addr, false);
	else if (c->op->code == OP_io_submit)
		m_io_submit(m, space, c->addr, (u64)c->out->value);
	return true;
}

/* Makes of the model's state the k-th other state that is allowed; false: there is none. */
static bool follow(struct target *t, const struct call *c, u32 space, unsigned int k)
{
	struct model *m = &t->cmp->m;
	const struct arg *a = c->op->args;
	u64 old_len = PAGE_ALIGN(a[1].val), new_len;

	switch ((enum op_code)c->op->code) {
	case OP_mmap:
		if (k || !(a[3].val & MAP_FIXED) || c->out->kind != OUT_ERRNO)
			return false;
		cut_out(m, space, c->addr, PAGE_ALIGN(a[1].val));
		return true;
	case OP_remap_file_pages:
		if (k || c->out->kind != OUT_ERRNO)
			return false;
		cut_out(m, space, c->addr & PAGE_MASK, a[1].val & PAGE_MASK);
		return true;
	case OP_mprotect:
	case OP_madvise:
	case OP_munlock:
	case OP_mlock:
	case OP_mlock2:
		if (k || c->out->kind != OUT_ERRNO)
			return false;
		follow_prefix(t, c, space);
		return true;
	case OP_read:
	case OP_write:
		if (k || c->out->kind == OUT_OK)
			return false;
		follow_stack(t, c, space);
		return true;
	case OP_uprobe_call:
		return !k && !m_step_area(m, space, 0);
	case OP_io_setup:
	case OP_io_destroy:
	case OP_io_submit:
	case OP_io_getevents:
		return follow_io(t, c, space, k);
	case OP_mremap:
		new_len = PAGE_ALIGN(a[2].val);
		if (c->out->kind == OUT_OK) {
			if (!k)
				follow_kept_source(t, c, space);
			return !k;
		}
		if (!(a[3].val & MREMAP_FIXED))
			return !k && follow_kept_destination(t, c, space);
		if (k == 2)
			return follow_kept_destination(t, c, space);
		if (k > 2)
			return false;
		cut_out(m, space, c->addr2, new_len);
		if (k && old_len > new_len)
			cut_out(m, space, c->addr + new_len, old_len - new_len);
		return true;
	default:
		return false;
	}
}

void cmp_accept(struct target *t, bool partly)
{
	m_accept(&t->cmp->m, partly ? is_there : NULL, is_accounted, t);
}

bool cmp_fits(struct target *t, u32 space)
{
	const struct m_space *s = &t->cmp->m.space[space];

	/* what is the engine's choice has been made */
	m_adopt(&t->cmp->m, is_accounted, t);
	return cmp_same_areas(t, space, s->engine, 0, t->cmp->m.cfg.task_size, NULL);
}

/* May it have done more than its ranges show? Pages were fetched, a context was ended. */
static bool does_more(enum op_code code)
{
	return code == OP_mlock || code == OP_mlock2 || code == OP_io_setup ||
	       code == OP_io_destroy || code == OP_io_submit || code == OP_io_getevents;
}

bool cmp_settle(struct target *t, const struct call *c, u32 space)
{
	struct model *m = &t->cmp->m;

	m_rollback(m);
	if (!does_more((enum op_code)c->op->code) && cmp_fits(t, space)) {
		cmp_accept(t, true);
		return true;
	}
	for (unsigned int k = 0;; k++) {
		m_save(m, space);
		if (!follow(t, c, space, k))
			break;
		if (cmp_fits(t, space)) {
			cmp_accept(t, true);
			return true;
		}
		m_rollback(m);
	}
	m->nr_effects = 0;
	return false;
}
