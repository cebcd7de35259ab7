/* SPDX-License-Identifier: GPL-2.0-only */
/* What the engine has against what the model says: ranges, pages, sums, tasks. */
#include "compare_priv.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
	u32 vm;
	u32 attr;
} vm_attrs[] = {
	{VM_READ, M_READ},
	{VM_WRITE, M_WRITE},
	{VM_EXEC, M_EXEC},
	{VM_SHARED, M_SHARED},
	{VM_MAYREAD, M_MAYREAD},
	{VM_MAYWRITE, M_MAYWRITE},
	{VM_MAYEXEC, M_MAYEXEC},
	{VM_MAYSHARE, M_MAYSHARE},
	{VM_GROWSDOWN, M_GROWSDOWN},
	{VM_DENYWRITE, M_IMAGE},
	{VM_LOCKED, M_LOCKED},
	{VM_LOCKONFAULT, M_ONFAULT},
	{VM_SEQ_READ, M_SEQUENTIAL},
	{VM_RAND_READ, M_RANDOM},
	{VM_DONTCOPY, M_DONTFORK},
	{VM_DONTDUMP, M_DONTDUMP},
	{VM_ACCOUNT, M_ACCOUNT},
	{VM_NORESERVE, M_NORESERVE},
	{VM_HUGEPAGE, M_HUGE},
	{VM_NOHUGEPAGE, M_NOHUGE},
	{VM_MERGEABLE, M_MERGEABLE},
	{VM_DONTEXPAND, M_DONTEXPAND},
	{VM_IO, M_IO},
	{VM_PFNMAP, M_PFNMAP},
	{VM_UFFD_MISSING, M_UFFD},
	{VM_SOFTDIRTY, 0},
};

u32 cmp_attr_of(u32 flags)
{
	u32 attr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(vm_attrs); i++) {
		if (flags & vm_attrs[i].vm)
			attr |= vm_attrs[i].attr;
		flags &= ~vm_attrs[i].vm;
	}
	return flags ? attr | M_FOREIGN : attr;
}

const struct vm_area_struct *cmp_vma_above(const struct mm_struct *mm, u64 addr)
{
	const struct vm_area_struct *found = NULL;

	for (const struct rb_node *n = mm->mm_rb.node; n;) {
		const struct vm_area_struct *vma =
			container_of(n, const struct vm_area_struct, vm_rb);

		if (vma->vm_end > addr) {
			found = vma;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return found;
}

u64 cmp_free_pages(const struct machine *m)
{
	s64 n = (s64)m->cfg.mem - (s64)m->pages_in_use + (s64)m->nr_alloc[PAGE_FILE] -
		(s64)m->nr_shmem - (s64)min_u64(m->cfg.mem / 32, 2048);

	if (m->swap.on)
		n += (s64)(m->swap.max - 1 - m->swap.inuse_pages);
	return n < 0 ? 0 : (u64)n;
}

u32 cmp_object_of(const struct compare *cmp, const void *source)
{
	if (!source)
		return M_NONE;
	for (u32 i = 0; i < cmp->m.nr_objects; i++) {
		const struct m_object *o = &cmp->m.object[i];

		/* of one that has lost its last name the engine may have used the place again */
		if (o->used && o->engine == source && (o->open || o->mapped))
			return i;
	}
	return M_NONE;
}

static void print_area(const struct compare *cmp, const struct m_area *a, char *buf, size_t len)
{
	size_t at;

	if (!a) {
		snprintf(buf, len, "nothing");
		return;
	}
	at = (size_t)snprintf(buf, len, "0x%" PRIx64 "-0x%" PRIx64 " %c%c%c%c", a->start, a->end,
			      a->attr & M_READ ? 'r' : '-', a->attr & M_WRITE ? 'w' : '-',
			      a->attr & M_EXEC ? 'x' : '-', a->attr & M_SHARED ? 's' : 'p');
	if (a->obj != M_NONE && at < len)
		at += (size_t)snprintf(buf + at, len - at, " %s%" PRIu32 "+%" PRIu64 "p",
				       cmp->m.object[a->obj].anon ? "shm" : "file", a->obj, a->off);
	for (unsigned int i = 7; i < ARRAY_SIZE(m_attr_names) && at < len; i++)
		if (a->attr >> i & 1)
			at += (size_t)snprintf(buf + at, len - at, " %s", m_attr_names[i]);
}

/* The task that a space is shown by, for messages. */
static u32 shown_by(const struct compare *cmp, u32 space)
{
	for (u32 i = 0; i < cmp->m.nr_tasks; i++)
		if (cmp->m.task[i].alive && cmp->m.task[i].space == space)
			return i;
	return 0;
}

/* A piece of one side, coalesced: what is at or above addr and below end. */
static bool engine_piece(struct compare *cmp, const struct vm_area_struct **vma, u64 addr, u64 end,
			 struct m_area *out)
{
	const struct vm_area_struct *v = *vma;
	const void *source;

	if (!v || v->vm_start >= end)
		return false;
	source = cmp_source(v);
	*out = (struct m_area){.start = max_u64(v->vm_start, addr),
			       .end = min_u64(v->vm_end, end),
			       .attr = cmp_attr_of(v->vm_flags),
			       .obj = M_NONE};
	if (source) {
		out->obj = cmp_object_of(cmp, source);
		out->off = v->vm_pgoff + ((out->start - v->vm_start) >> PAGE_SHIFT);
	}
	for (v = v->vm_next; v && v->vm_start < end; v = v->vm_next) {
		struct m_area next = {.start = v->vm_start,
				      .end = min_u64(v->vm_end, end),
				      .attr = cmp_attr_of(v->vm_flags),
				      .obj = cmp_source(v) ? out->obj : M_NONE,
				      .off = cmp_source(v) ? v->vm_pgoff : 0};

		if (cmp_source(v) != source || !m_joins(out, &next))
			break;
		out->end = next.end;
	}
	*vma = v;
	return true;
}

static bool may_stand_for(const struct m_object *o, const struct vm_area_struct *v)
{
	const struct file_inode *inode = v->vm_file ? v->vm_file->f_inode : NULL;

	if (o->special)
		return !inode && v->vm_private_data;
	return inode && (o->anon || o->ring) && o->anon == inode->shmem &&
	       o->ring == inode->aio_ring;
}

/* A new object has its name in the engine from the first mapping that both sides have. */
static void bind_object(struct compare *cmp, const struct m_area *want, struct m_area *got,
			const struct vm_area_struct *v)
{
	struct m_object *o;

	if (want->obj == M_NONE || got->obj != M_NONE)
		return;
	o = &cmp->m.object[want->obj];
	if (!o->engine && may_stand_for(o, v)) {
		o->engine = cmp_source(v);
		got->obj = want->obj;
	}
}

static bool same_area(const struct m_area *a, const struct m_area *b)
{
	return a->start == b->start && a->end == b->end && a->attr == b->attr && a->obj == b->obj &&
	       (a->obj == M_NONE || a->off == b->off);
}

static const char *area_word(const struct m_area *want, const struct m_area *got)
{
	if (!want || !got || want->start != got->start)
		return "coverage";
	if (want->attr != got->attr)
		return "flags";
	if (want->obj != got->obj)
		return "object";
	if (want->obj != M_NONE && want->off != got->off)
		return "offset";
	return "coverage";
}

bool cmp_same_areas(struct target *t, u32 space, const struct mm_struct *mm, u64 start, u64 end,
		    struct difference *d)
{
	struct compare *cmp = t->cmp;
	const struct m_space *s = &cmp->m.space[space];
	const struct vm_area_struct *vma = cmp_vma_above(mm, start);
	u32 i = m_find(s, start);

	for (;;) {
		const struct vm_area_struct *first = vma;
		struct m_area want = {0}, got = {0};
		bool more = i < s->nr && s->area[i].start < end;
		bool engine_more = engine_piece(cmp, &vma, start, end, &got);

		if (!more && !engine_more)
			return true;
		if (more) {
			want = s->area[i++];
			if (want.start < start) {
				want.off = m_object_page(&want, start);
				want.start = start;
			}
			want.end = min_u64(want.end, end);
			if (engine_more)
				bind_object(cmp, &want, &got, first);
		}
		if (more && engine_more && same_area(&want, &got))
			continue;
		if (!d)
			return false;
		d->word = area_word(more ? &want : NULL, engine_more ? &got : NULL);
		if (engine_more && (!more || got.start < want.start))
			snprintf(d->what, sizeof(d->what),
				 "memory of t%" PRIu32 ": %s at 0x%" PRIx64, shown_by(cmp, space),
				 d->word, got.start);
		else
			snprintf(d->what, sizeof(d->what),
				 "memory of t%" PRIu32 ": %s at 0x%" PRIx64, shown_by(cmp, space),
				 d->word, want.start);
		print_area(cmp, more ? &want : NULL, d->b.expected, sizeof(d->b.expected));
		print_area(cmp, engine_more ? &got : NULL, d->b.actual, sizeof(d->b.actual));
		return false;
	}
}

struct page_walk {
	struct target *t;
	const struct m_space *s;
	u32 space, i; /* area that the walk is at */
	u64 anon;
	struct difference *d;
	bool differs;
};

static void page_differs(struct page_walk *w, const char *word, const struct fl_look *l, u64 want)
{
	static const char *const kinds[] = {
		"nothing",	    "the page of zeroes",     "a page of its own",
		"a page of a file", "a page of the kernel's", "no page"};
	struct difference *d = w->d;

	w->differs = true;
	d->word = word;
	snprintf(d->what, sizeof(d->what), "memory of t%" PRIu32 ": %s at 0x%" PRIx64,
		 shown_by(w->t->cmp, w->space), word, l->addr);
	snprintf(d->b.expected, sizeof(d->b.expected), "0x%" PRIx64, want);
	snprintf(d->b.actual, sizeof(d->b.actual), "0x%" PRIx64 " in %s", l->tag, kinds[l->kind]);
}

static void same_page(void *priv, const struct fl_look *l)
{
	struct page_walk *w = priv;
	const struct model *m = &w->t->cmp->m;
	const struct m_area *a;
	const struct m_object *o;
	u64 tag = 0;
	bool own;

	if (w->differs)
		return;
	while (w->i < w->s->nr && w->s->area[w->i].end <= l->addr)
		w->i++;
	a = &w->s->area[w->i];
	if (w->i == w->s->nr || a->start > l->addr) {
		page_differs(w, "stray page", l, 0);
		return;
	}
	own = !(a->attr & M_SHARED) && m_page_get(&w->s->own, l->addr >> PAGE_SHIFT, &tag);
	o = a->obj == M_NONE ? NULL : &m->object[a->obj];
	w->anon += l->kind == FL_LOOK_ANON;
	if (own ? l->kind != FL_LOOK_ANON : l->kind == FL_LOOK_ANON && !m->cfg.thp) {
		page_differs(w, own ? "lost page" : "extra page", l, tag);
		return;
	}
	if (!own) {
		tag = o ? m_object_content(o, m_object_page(a, l->addr)) : 0;
		if (l->kind == FL_LOOK_FILE &&
		    (!o || o->special || !o->engine || l->index != m_object_page(a, l->addr) ||
		     l->inode != ((const struct file *)o->engine)->f_inode)) {
			page_differs(w, "wrong page", l, tag);
			return;
		}
	}
	if (l->tag != tag || l->kind == FL_LOOK_ODD ||
	    (l->kind == FL_LOOK_KERNEL && !(o && o->special)))
		page_differs(w, "content", l, tag);
}

static bool same_pages(struct target *t, u32 space, const struct mm_struct *mm, u64 start, u64 end,
		       struct difference *d)
{
	const struct m_space *s = &t->cmp->m.space[space];
	struct page_walk w = {.t = t, .s = s, .space = space, .i = m_find(s, start), .d = d};
	u64 first = start >> PAGE_SHIFT, last = ((end + PAGE_SIZE - 1) >> PAGE_SHIFT) - 1;
	struct fl_look l;

	/* that nothing is mapped outside of what is mapped the checks of this level see */
	if (t->opt.check == CHECK_TOUCHED) {
		for (u32 i = w.i; i < s->nr && s->area[i].start < end; i++)
			fl_look_over(t->m, mm, max_u64(s->area[i].start, start),
				     min_u64(s->area[i].end, end), same_page, &w);
	} else {
		fl_look_over(t->m, mm, start, end, same_page, &w);
	}
	if (w.differs)
		return false;
	/* huge pages bring more than was asked for */
	if (w.anon >= m_page_count(&s->own, first, last))
		return true;
	for (u64 nr = first; (nr = m_page_next(&s->own, nr)) <= last; nr++) {
		u64 tag = 0;

		fl_look_at(t->m, mm, nr << PAGE_SHIFT, &l);
		if (l.kind != FL_LOOK_NOTHING)
			continue;
		m_page_get(&s->own, nr, &tag);
		page_differs(&w, "lost page", &l, tag);
		return false;
	}
	return true;
}

bool cmp_same_number(struct difference *d, const char *word, u64 want, u64 got)
{
	if (want == got)
		return true;
	d->word = word;
	snprintf(d->what, sizeof(d->what), "%s is 0x%" PRIx64 " and should be 0x%" PRIx64, word,
		 got, want);
	snprintf(d->b.expected, sizeof(d->b.expected), "%" PRIu64, want);
	snprintf(d->b.actual, sizeof(d->b.actual), "%" PRIu64, got);
	return false;
}

static bool same_sums(struct target *t, u32 space, const struct mm_struct *mm, struct difference *d)
{
	const struct m_space *s = &t->cmp->m.space[space];

	return cmp_same_number(d, "total_vm", s->total, mm->total_vm) &&
	       cmp_same_number(d, "locked_vm", s->locked, mm->locked_vm) &&
	       cmp_same_number(d, "start_brk", s->start_brk, mm->start_brk) &&
	       cmp_same_number(d, "brk", s->brk, mm->brk) &&
	       cmp_same_number(d, "def_flags", s->def, cmp_attr_of(mm->def_flags)) &&
	       (t->cmp->m.cfg.thp ||
		cmp_same_number(d, "anonymous pages", s->own.count,
				(u64)(mm->rss_stat[MM_ANONPAGES] + mm->rss_stat[MM_SWAPENTS])));
}

bool cmp_same_space(struct target *t, u32 space, const struct mm_struct *mm, u64 start, u64 end,
		    struct difference *d)
{
	return cmp_same_areas(t, space, mm, start, end, d) &&
	       same_pages(t, space, mm, start, end, d) && same_sums(t, space, mm, d);
}

/* Who lives, who waits, and who has which space. */
bool cmp_same_task(struct target *t, u32 i, struct difference *d)
{
	struct compare *cmp = t->cmp;
	const struct task_struct *tsk = t->tasks[i].tsk;
	const struct m_task *want = &cmp->m.task[i];
	bool waits = tsk && tsk->state == TASK_VFORK_WAIT;

	if (want->alive != (tsk != NULL) || want->waiting != waits) {
		static const char *const states[] = {"gone", "running", "waiting"};

		d->word = "task";
		snprintf(d->what, sizeof(d->what), "t%" PRIu32 " is another", i);
		snprintf(d->b.expected, sizeof(d->b.expected), "%s",
			 states[want->alive + want->waiting]);
		snprintf(d->b.actual, sizeof(d->b.actual), "%s", states[!!tsk + waits]);
		return false;
	}
	if (!tsk)
		return true;
	if (want->space != M_NONE && !cmp->m.space[want->space].engine)
		cmp->m.space[want->space].engine = tsk->mm;
	if ((want->space == M_NONE ? NULL : cmp->m.space[want->space].engine) == tsk->mm)
		return true;
	d->word = "address space";
	snprintf(d->what, sizeof(d->what), "t%" PRIu32 " has another address space than it should",
		 i);
	snprintf(d->b.expected, sizeof(d->b.expected), "%s",
		 want->space == M_NONE ? "none" : "the one that the model gives it");
	snprintf(d->b.actual, sizeof(d->b.actual), "%s", tsk->mm ? "another" : "none");
	return false;
}

bool cmp_same_everything(struct target *t, struct difference *d)
{
	struct compare *cmp = t->cmp;

	for (u32 i = 0; i < cmp->m.nr_tasks; i++)
		if (!cmp_same_task(t, i, d))
			return false;
	for (u32 i = 0; i < cmp->m.nr_spaces; i++) {
		const struct m_space *s = &cmp->m.space[i];

		if (s->used && s->engine &&
		    !cmp_same_space(t, i, s->engine, 0, cmp->m.cfg.task_size, d))
			return false;
	}
	return cmp_same_number(d, "committed", cmp->m.account, (u64)t->m->vm_committed_as);
}
