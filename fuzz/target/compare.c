/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The engine acts first, then the model, which is told only what it cannot know: that something was
 * refused, how much memory there was, how the engine had cut a range into VMAs. Both outcomes must
 * be the same; then areas, contents and sums, of what the operation touched or of everything.
 *
 * After a refusal the model's state is what it was, or the one other state that the exception of
 * that operation allows (declared.c has the names): it is made in the model, and must be exactly
 * what the engine has. What is not modelled is taken over from the engine, and counted by name.
 */
#include "compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "program_priv.h"

struct compare {
	struct model m;
	bool off, lasting; /* lasting: something that is not modelled may still have effects */
	u32 *file;	   /* object of each fN, or M_NONE */
	u32 nr_files;
	/* of the operation in progress */
	struct mm_struct *mm; /* of its task, before */
	u64 free_before, brk_before;
	bool near_limits, saved, leaves_more;
	struct m_segment seg[PROG_MAX_SEGS];
	bool segs_known;
	struct model kept; /* by compare_snapshot() */
	u32 *kept_file;
	bool kept_lasting;
};

/* ---- what is modelled -------------------------------------------------------------------------
 */

#define OPTION(name)
#define UNMODELLED_OPTION(name, why)
#define MODELLED(op)	    [OP_##op] = {IS_MODELLED, NULL},
#define UNCHANGED(op, why)  [OP_##op] = {IS_UNCHANGED, why},
#define UNMODELLED(op, why) [OP_##op] = {IS_UNMODELLED, why},
#define LASTING(op, why)    [OP_##op] = {IS_LASTING, why},
#define TO_COME(op, why)
const struct modelled_row modelled_ops[NR_OPS] = {
#include "modelled.def"
};
#undef MODELLED
#undef UNCHANGED
#undef UNMODELLED
#undef LASTING
#undef TO_COME
#undef OPTION
#undef UNMODELLED_OPTION

#define MODELLED(op)
#define UNCHANGED(op, why)
#define UNMODELLED(op, why)
#define LASTING(op, why)
#define TO_COME(op, why)
#define OPTION(name)		     {#name, {IS_MODELLED, NULL}},
#define UNMODELLED_OPTION(name, why) {#name, {IS_UNMODELLED, why}},
static const struct {
	const char *name;
	struct modelled_row row;
} options[] = {
#include "modelled.def"
};
#undef MODELLED
#undef UNCHANGED
#undef UNMODELLED
#undef LASTING
#undef TO_COME
#undef OPTION
#undef UNMODELLED_OPTION

#define MODELLED(op)
#define UNCHANGED(op, why)
#define UNMODELLED(op, why)
#define LASTING(op, why)
#define TO_COME(op, why) #op,
#define OPTION(name)
#define UNMODELLED_OPTION(name, why)
static const char *const to_come[] = {
#include "modelled.def"
};
#undef MODELLED
#undef UNCHANGED
#undef UNMODELLED
#undef LASTING
#undef TO_COME
#undef OPTION
#undef UNMODELLED_OPTION

bool modelled_is_listed(enum op_code code)
{
	bool listed = modelled_ops[code].how != NOT_LISTED;

	for (size_t i = 0; i < ARRAY_SIZE(to_come) && !listed; i++)
		listed = !strcmp(to_come[i], op_table[code].name);
	return listed;
}

struct modelled_row modelled_option(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (!strcmp(options[i].name, name))
			return options[i].row;
	return (struct modelled_row){NOT_LISTED, NULL};
}

/* The first option whose effect nobody told the model of, or NULL. */
static const char *unknown_option(const struct machine_config *cfg)
{
	for (unsigned int i = 0; i < nr_machine_options; i++) {
		const struct machine_option *opt = &machine_options[i];
		u64 val;

		memcpy(&val, (const char *)cfg + opt->offset, sizeof(val));
		if (val != opt->def && modelled_option(opt->name).how != IS_MODELLED)
			return opt->name;
	}
	return NULL;
}

/* ---- the engine, seen from outside --------------------------------------------------------------
 */

static const struct {
	u32 vm;
	u32 attr;
} vm_attrs[] = {
	{VM_READ, M_READ},	     {VM_WRITE, M_WRITE},	{VM_EXEC, M_EXEC},
	{VM_SHARED, M_SHARED},	     {VM_MAYREAD, M_MAYREAD},	{VM_MAYWRITE, M_MAYWRITE},
	{VM_MAYEXEC, M_MAYEXEC},     {VM_MAYSHARE, M_MAYSHARE}, {VM_GROWSDOWN, M_GROWSDOWN},
	{VM_DENYWRITE, M_IMAGE},     {VM_LOCKED, M_LOCKED},	{VM_LOCKONFAULT, M_ONFAULT},
	{VM_SEQ_READ, M_SEQUENTIAL}, {VM_RAND_READ, M_RANDOM},	{VM_DONTCOPY, M_DONTFORK},
	{VM_DONTDUMP, M_DONTDUMP},   {VM_ACCOUNT, M_ACCOUNT},	{VM_NORESERVE, M_NORESERVE},
	{VM_HUGEPAGE, M_HUGE},	     {VM_NOHUGEPAGE, M_NOHUGE}, {VM_MERGEABLE, M_MERGEABLE},
	{VM_SOFTDIRTY, 0},
};

static u32 attr_of(u32 flags)
{
	u32 attr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(vm_attrs); i++) {
		if (flags & vm_attrs[i].vm)
			attr |= vm_attrs[i].attr;
		flags &= ~vm_attrs[i].vm;
	}
	return flags ? attr | M_FOREIGN : attr;
}

/* The first VMA that ends above addr. */
static const struct vm_area_struct *vma_above(const struct mm_struct *mm, u64 addr)
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

/* Pages that __vm_enough_memory() would find free just now (facts §9.1). */
static u64 free_pages(const struct machine *m)
{
	s64 n = (s64)m->cfg.mem - (s64)m->pages_in_use + (s64)m->nr_alloc[PAGE_FILE] -
		(s64)m->nr_shmem - (s64)min_u64(m->cfg.mem / 32, 2048);

	if (m->swap.on)
		n += (s64)(m->swap.max - 1 - m->swap.inuse_pages);
	return n < 0 ? 0 : (u64)n;
}

static u32 object_of(const struct compare *cmp, const struct file *file)
{
	if (!file)
		return M_NONE;
	for (u32 i = 0; i < cmp->m.nr_objects; i++) {
		const struct m_object *o = &cmp->m.object[i];

		/* of one that has lost its last name the engine may have used the place again */
		if (o->used && o->engine == file && (o->open || o->mapped))
			return i;
	}
	return M_NONE;
}

/* ---- findings ---------------------------------------------------------------------------------
 */

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

struct both {
	char expected[FL_TEXT], actual[FL_TEXT];
};

static bool is_foreign(const struct compare *cmp, u32 space, const struct mm_struct *mm)
{
	const struct m_space *s = space == M_NONE ? NULL : &cmp->m.space[space];

	for (u32 i = 0; s && i < s->nr; i++)
		if (s->area[i].attr & M_FOREIGN)
			return true;
	for (const struct vm_area_struct *v = mm ? mm->mmap : NULL; v; v = v->vm_next)
		if (attr_of(v->vm_flags) & M_FOREIGN)
			return true;
	return false;
}

static void import_all(struct target *t);

/* What differs, in one word, and both sides. The model goes on from what the engine has. */
static void disagree(struct target *t, const char *word, const char *what, const struct both *b)
{
	struct finding f = {.oracle = ORACLE_model, .func = "-"};

	t->model.disagreed++;
	snprintf(f.what, sizeof(f.what), "%s", what);
	snprintf(f.class_key, sizeof(f.class_key), "%s %s",
		 t->op == UINT32_MAX ? "end" : op_table[t->p->ops[t->op].code].name, word);
	memcpy(f.expected, b->expected, sizeof(f.expected));
	memcpy(f.actual, b->actual, sizeof(f.actual));
	target_report(t, &f);
	import_all(t);
}

static void not_modelled(struct target *t, enum op_code code)
{
	t->model.resynced++;
	t->model.by_op[code]++;
	import_all(t);
}

/* ---- comparing --------------------------------------------------------------------------------
 */

/* The task that a space is shown by, for messages. */
static u32 shown_by(const struct compare *cmp, u32 space)
{
	for (u32 i = 0; i < cmp->m.nr_tasks; i++)
		if (cmp->m.task[i].alive && cmp->m.task[i].space == space)
			return i;
	return 0;
}

struct difference {
	const char *word;
	char what[160];
	struct both b;
};

/* A piece of one side, coalesced: what is at or above addr and below end. */
static bool engine_piece(struct compare *cmp, const struct vm_area_struct **vma, u64 addr, u64 end,
			 struct m_area *out)
{
	const struct vm_area_struct *v = *vma;
	struct file *file;

	if (!v || v->vm_start >= end)
		return false;
	file = v->vm_file;
	*out = (struct m_area){.start = max_u64(v->vm_start, addr),
			       .end = min_u64(v->vm_end, end),
			       .attr = attr_of(v->vm_flags),
			       .obj = M_NONE};
	if (file) {
		out->obj = object_of(cmp, file);
		out->off = v->vm_pgoff + ((out->start - v->vm_start) >> PAGE_SHIFT);
	}
	for (v = v->vm_next; v && v->vm_start < end; v = v->vm_next) {
		struct m_area next = {.start = v->vm_start,
				      .end = min_u64(v->vm_end, end),
				      .attr = attr_of(v->vm_flags),
				      .obj = v->vm_file ? out->obj : M_NONE,
				      .off = v->vm_file ? v->vm_pgoff : 0};

		if (v->vm_file != file || !m_joins(out, &next))
			break;
		out->end = next.end;
	}
	*vma = v;
	return true;
}

/* A new object has its name in the engine from the first mapping that both sides have. */
static void bind_object(struct compare *cmp, const struct m_area *want, struct m_area *got,
			const struct file *file)
{
	struct m_object *o;

	if (want->obj == M_NONE || got->obj != M_NONE || !file || !file->f_inode->shmem)
		return;
	o = &cmp->m.object[want->obj];
	if (o->anon && !o->engine) {
		o->engine = file;
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

static bool same_areas(struct target *t, u32 space, const struct mm_struct *mm, u64 start, u64 end,
		       struct difference *d)
{
	struct compare *cmp = t->cmp;
	const struct m_space *s = &cmp->m.space[space];
	const struct vm_area_struct *vma = vma_above(mm, start);
	u32 i = m_find(s, start);

	for (;;) {
		const struct file *file = vma ? vma->vm_file : NULL;
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
				bind_object(cmp, &want, &got, file);
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
	static const char *const kinds[] = {"nothing", "the page of zeroes", "a page of its own",
					    "a page of a file", "no page"};
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
		    (!o || !o->engine || l->index != m_object_page(a, l->addr) ||
		     l->inode != ((const struct file *)o->engine)->f_inode)) {
			page_differs(w, "wrong page", l, tag);
			return;
		}
	}
	if (l->tag != tag || l->kind == FL_LOOK_ODD)
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

static bool same_number(struct difference *d, const char *word, u64 want, u64 got)
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

	return same_number(d, "total_vm", s->total, mm->total_vm) &&
	       same_number(d, "locked_vm", s->locked, mm->locked_vm) &&
	       same_number(d, "start_brk", s->start_brk, mm->start_brk) &&
	       same_number(d, "brk", s->brk, mm->brk) &&
	       same_number(d, "def_flags", s->def, attr_of(mm->def_flags)) &&
	       (t->cmp->m.cfg.thp ||
		same_number(d, "anonymous pages", s->own.count,
			    (u64)(mm->rss_stat[MM_ANONPAGES] + mm->rss_stat[MM_SWAPENTS])));
}

static bool same_space(struct target *t, u32 space, const struct mm_struct *mm, u64 start, u64 end,
		       struct difference *d)
{
	return same_areas(t, space, mm, start, end, d) && same_pages(t, space, mm, start, end, d) &&
	       same_sums(t, space, mm, d);
}

/* Who lives, who waits, and who has which space. */
static bool same_task(struct target *t, u32 i, struct difference *d)
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

static bool same_everything(struct target *t, struct difference *d)
{
	struct compare *cmp = t->cmp;

	for (u32 i = 0; i < cmp->m.nr_tasks; i++)
		if (!same_task(t, i, d))
			return false;
	for (u32 i = 0; i < cmp->m.nr_spaces; i++) {
		const struct m_space *s = &cmp->m.space[i];

		if (s->used && s->engine &&
		    !same_space(t, i, s->engine, 0, cmp->m.cfg.task_size, d))
			return false;
	}
	return same_number(d, "committed", cmp->m.account, (u64)t->m->vm_committed_as);
}

/* ---- taking over ------------------------------------------------------------------------------
 */

static void import_page(void *priv, const struct fl_look *l)
{
	struct page_walk *w = priv;

	if (l->kind == FL_LOOK_ANON)
		m_page_put(&w->t->cmp->m, &w->t->cmp->m.space[w->space].own, l->addr >> PAGE_SHIFT,
			   l->tag);
}

/* Pages of a cache in order, without recursion: its tree has parents. */
static const struct rb_node *next_node(const struct rb_node *n)
{
	if (n->right) {
		for (n = n->right; n->left;)
			n = n->left;
		return n;
	}
	while (n->parent && n->parent->right == n)
		n = n->parent;
	return n->parent;
}

static u32 import_file(struct target *t, const struct file *file, bool open)
{
	struct model *m = &t->cmp->m;
	const struct file_inode *inode = file->f_inode;
	const struct rb_node *n = inode->i_data.page_tree.node;
	u32 obj = object_of(t->cmp, file);
	struct m_object *o;

	if (obj != M_NONE)
		return obj;
	obj = m_new_object(m);
	if (obj == M_NONE)
		return M_NONE;
	o = &m->object[obj];
	o->open = open;
	o->anon = inode->shmem;
	o->noreserve = inode->noreserve;
	o->sealed = inode->sealed;
	o->mode = file->f_mode;
	o->ino = inode->ino;
	o->size = inode->size;
	o->backed = inode->disk_size;
	o->engine = file;
	m_charge_object(m, obj, inode->charged);
	while (n && n->left)
		n = n->left;
	for (; n; n = next_node(n)) {
		const struct page *page = container_of(n, const struct page, cache_node);

		m_page_put(m, &o->pages, page->index, *(const u64 *)page->mem);
	}
	return obj;
}

static u32 import_space(struct target *t, struct mm_struct *mm)
{
	struct model *m = &t->cmp->m;
	struct page_walk w = {.t = t};
	u32 space;

	if (!mm)
		return M_NONE;
	for (space = 0; space < m->nr_spaces; space++) {
		if (m->space[space].used && m->space[space].engine == mm) {
			m->space[space].users++;
			return space;
		}
	}
	space = m_new_space(m);
	if (space == M_NONE)
		return M_NONE;
	m->space[space].engine = mm;
	m->space[space].start_brk = mm->start_brk;
	m->space[space].brk = mm->brk;
	m->space[space].def = attr_of(mm->def_flags);
	for (u32 i = 0; i < NR_BINFMTS; i++)
		if (mm->binfmt == &t->m->binfmts[i])
			m->space[space].binfmt = i;
	for (const struct vm_area_struct *v = mm->mmap; v; v = v->vm_next) {
		struct m_area a = {.start = v->vm_start,
				   .end = v->vm_end,
				   .attr = attr_of(v->vm_flags),
				   .obj = M_NONE};

		if (v->vm_file) {
			a.obj = import_file(t, v->vm_file, false);
			a.off = v->vm_pgoff;
		}
		m_insert(m, space, &a);
	}
	w.space = space;
	fl_look_over(t->m, mm, 0, m->cfg.task_size, import_page, &w);
	return space;
}

static void import_tasks(struct target *t)
{
	struct model *m = &t->cmp->m;

	for (u32 i = 0; i < m->nr_tasks; i++) {
		const struct task_struct *tsk = t->tasks[i].tsk;

		if (!tsk)
			continue;
		m->task[i].alive = true;
		m->task[i].kthread = tsk->flags & PF_KTHREAD;
		m->task[i].waiting = tsk->state == TASK_VFORK_WAIT;
		m->task[i].space = import_space(t, tsk->mm);
		m->alive++;
		for (u32 k = 0; tsk->vfork_parent && k < m->nr_tasks; k++)
			if (t->tasks[k].tsk == tsk->vfork_parent)
				m->task[i].waiter = k;
	}
}

/* The model becomes what the engine is. */
static void import_all(struct target *t)
{
	struct compare *cmp = t->cmp;
	struct model *m = &cmp->m;
	struct m_config cfg = m->cfg;

	if (m_reset(m, &cfg, m->nr_tasks)) {
		cmp->off = true;
		return;
	}
	m->next_ino = t->m->next_ino;
	m->swap_on = t->m->swap.on;
	for (u32 i = 0; i < NR_BINFMTS; i++)
		m->going[i] = t->m->modules[i].going;
	for (u32 i = 0; i < cmp->nr_files; i++)
		cmp->file[i] = t->files[i] ? import_file(t, t->files[i], true) : M_NONE;
	import_tasks(t);
	for (u32 i = 0; i < NR_MM_PINS; i++) {
		const struct mm_holder *pin = &t->m->pins[i];

		if (!pin->mm)
			continue;
		/* a mere mm_count keeps no mappings */
		m->pin[i] = (struct m_pin){pin->users ? import_space(t, pin->mm) : 0, pin->users};
	}
	for (u32 i = 0; i < NR_NOTIFIERS; i++)
		if (t->m->notifiers[i].mm)
			m->notifier[i].space = 0;
	if (m->lost)
		cmp->off = true;
}

/* ---- operations -------------------------------------------------------------------------------
 */

static u32 task_of(const struct target *t, const struct call *c)
{
	return (u32)(c->task - t->tasks);
}

static u32 file_arg(const struct target *t, const struct arg *a)
{
	return a->ref == NO_REF || a->ref >= t->cmp->nr_files ? M_NONE : t->cmp->file[a->ref];
}

static struct m_result run_exec(struct target *t, const struct call *c)
{
	const struct op *op = c->op;
	const struct m_image image = {
		.seg = t->cmp->seg,
		.nr_segs = op->nr_segs,
		.start_brk = c->addr,
		.stack_pages = (op->args[1].val >> PAGE_SHIFT) + !!offset_in_page(op->args[1].val),
		.exe = file_arg(t, &op->args[2]),
		.binfmt = op->args[3].val,
	};

	return m_exec(&t->cmp->m, task_of(t, c), &image);
}

static struct m_result run_ioprio(u64 val)
{
	u64 class = val >> 13, level = val & 0x1fff;

	if (class > 3 || ((class == 1 || class == 2) && level > 7) || (!class && level))
		return m_error(EINVAL);
	return m_error(0);
}

static struct m_result run_modify_ldt(const struct model *m, u64 index)
{
	if (!m->cfg.ldt)
		return m_error(ENOSYS);
	return m_error(index >= 8192 ? EINVAL : 0);
}

/* Whether a slot is free and who has the page is reclaim's business; that a locked page stays is
 * not.
 */
static struct m_result run_swap_out(struct target *t, const struct call *c)
{
	const struct model *m = &t->cmp->m;
	const struct m_space *s = &m->space[m->task[task_of(t, c)].space];
	const struct m_area *a = c->addr < m->cfg.task_size ? m_at(s, c->addr) : NULL;
	struct m_result got = {c->out->kind == OUT_OK ? M_OK : M_ERRNO, c->out->value};
	bool own = false, full = !t->m->swap.on || t->m->swap.inuse_pages + 1 >= t->m->swap.max;
	bool locked = false;
	u64 tag;

	if (!a)
		return m_error(EFAULT);
	own = !(a->attr & M_SHARED) && m_page_get(&s->own, c->addr >> PAGE_SHIFT, &tag);
	for (u32 i = 0; i < m->nr_spaces; i++)
		locked |= m->space[i].used && m->space[i].locked;
	if (got.kind == M_ERRNO && got.value == -ENOSPC && (own || m->cfg.thp) && full)
		return got;
	if (got.kind == M_ERRNO && got.value == -EBUSY && (own || m->cfg.thp) && locked)
		return got;
	return m_error(0);
}

static struct m_result run_swapoff(struct target *t, const struct call *c)
{
	struct model *m = &t->cmp->m;
	u32 space = m->task[task_of(t, c)].space;
	u64 slots = m->cfg.swap;

	if (!m->swap_on)
		return m_error(EINVAL);
	/* a caller without an address space counts none of it */
	if (space == M_NONE ? m->cfg.overcommit != 1 : !m_may_commit(m, space, slots)) {
		m->unsure = true;
		if (c->out->kind != OUT_OK)
			return m_error(ENOMEM);
	}
	m->swap_on = false;
	return m_error(0);
}

static u32 lock_bits(u64 flags)
{
	return flags & MLOCK_ONFAULT ? M_LOCKBITS : M_LOCKED;
}

static struct m_result run_open(struct target *t, const struct call *c)
{
	u64 len = c->op->args[0].val;
	u32 obj = m_open(&t->cmp->m, (len >> PAGE_SHIFT) + !!offset_in_page(len),
			 (u32)c->op->args[1].val);

	t->cmp->file[c->op->def] = obj;
	if (obj != M_NONE)
		t->cmp->m.object[obj].engine = t->files[c->op->def];
	return m_value(c->op->def);
}

/* The same operation, on the model. */
static struct m_result run_op(struct target *t, const struct call *c)
{
	struct model *m = &t->cmp->m;
	const struct arg *a = c->op->args;
	u32 task = task_of(t, c), space = m->task[task].space;
	u64 len;

	switch ((enum op_code)c->op->code) {
	case OP_mmap:
		return m_mmap(m, space, c->addr, a[1].val, (u32)a[2].val, (u32)a[3].val,
			      file_arg(t, &a[4]), a[5].val, 0);
	case OP_remap_file_pages:
		return m_remap_pages(m, space, c->addr, a[1].val, (u32)a[2].val, a[3].val,
				     (u32)a[4].val);
	case OP_munmap:
		return m_munmap(m, space, c->addr, a[1].val);
	case OP_mprotect:
		return m_mprotect(m, space, c->addr, a[1].val, (u32)a[2].val);
	case OP_mremap:
		return m_mremap(m, space, c->addr, a[1].val, a[2].val, (u32)a[3].val, c->addr2);
	case OP_madvise:
		return m_madvise(m, space, c->addr, a[1].val, a[2].val);
	case OP_mlock:
		return m_mlock(m, space, c->addr, a[1].val, M_LOCKED);
	case OP_mlock2:
		if (a[2].val & ~(u64)MLOCK_ONFAULT & UINT32_MAX)
			return m_error(EINVAL);
		return m_mlock(m, space, c->addr, a[1].val, lock_bits(a[2].val));
	case OP_munlock:
		return m_munlock(m, space, c->addr, a[1].val);
	case OP_mlockall:
		return m_mlockall(m, space, (u32)a[0].val);
	case OP_munlockall:
		return m_munlockall(m, space);
	case OP_brk:
		return m_brk(m, space, c->addr);
	case OP_read:
		return m_access(m, space, c->addr, c->addr2, false, 0);
	case OP_write:
		return m_access(m, space, c->addr, c->addr2, true, a[1].val);
	case OP_fork:
		return m_fork(m, task, c->op->def, 0, false);
	case OP_vfork:
		return m_fork(m, task, c->op->def, CLONE_VM | CLONE_VFORK, false);
	case OP_clone:
		return m_fork(m, task, c->op->def, (u32)a[0].val, false);
	case OP_kthread:
		return m_fork(m, task, c->op->def, 0, true);
	case OP_exec:
		return run_exec(t, c);
	case OP_exit:
		m_exit(m, task);
		return m_error(0);
	case OP_ioprio:
		return run_ioprio(a[0].val & UINT32_MAX);
	case OP_modify_ldt:
		return run_modify_ldt(m, a[0].val);
	case OP_open:
		return run_open(t, c);
	case OP_close:
		m_close(m, file_arg(t, &a[0]));
		t->cmp->file[a[0].ref] = M_NONE;
		m_sweep_objects(m);
		return m_error(0);
	case OP_binfmt_going:
		m->going[a[0].val % 2] = a[1].val & 1;
		return m_error(0);
	case OP_truncate:
		len = a[1].val;
		return m_truncate(m, file_arg(t, &a[0]),
				  (len >> PAGE_SHIFT) + !!offset_in_page(len));
	case OP_seal:
		return m_seal(m, file_arg(t, &a[0]));
	case OP_notifier_register:
		return m_notify(m, task, a[0].val);
	case OP_notifier_unregister:
		return m_unnotify(m, a[0].val);
	case OP_mm_pin:
		return m_pin(m, task, a[0].val, a[1].val & 1);
	case OP_mm_unpin:
		return m_unpin(m, a[0].val);
	case OP_swap_out:
		return run_swap_out(t, c);
	case OP_swapoff:
		return run_swapoff(t, c);
	default: /* yield, mm_alloc */
		return m_error(0);
	}
}

static bool makes_space(enum op_code code)
{
	return code == OP_fork || code == OP_vfork || code == OP_clone || code == OP_kthread ||
	       code == OP_exec;
}

/* Changes ranges of its task's space, and so can be taken back. */
static bool changes_ranges(enum op_code code)
{
	switch (code) {
	case OP_mmap:
	case OP_munmap:
	case OP_mprotect:
	case OP_mremap:
	case OP_madvise:
	case OP_mlock:
	case OP_mlock2:
	case OP_munlock:
	case OP_mlockall:
	case OP_munlockall:
	case OP_brk:
	case OP_read:
	case OP_write:
	case OP_remap_file_pages:
		return true;
	default:
		return false;
	}
}

static bool agrees(const struct m_result *want, const struct outcome *got)
{
	static const u8 kinds[] = {
		[M_OK] = OUT_OK,	 [M_ERRNO] = OUT_ERRNO,	  [M_SIGSEGV] = OUT_SIGSEGV,
		[M_SIGBUS] = OUT_SIGBUS, [M_KILLED] = OUT_KILLED,
	};

	if (got->kind != kinds[want->kind])
		return false;
	return want->kind == M_SIGSEGV || want->kind == M_SIGBUS || want->value == got->value;
}

/* ---- after a refusal ---------------------------------------------------------------------------
 */

/* The one range that an operation was about, or everything. */
static void range_of(const struct target *t, const struct call *c, u64 *start, u64 *end)
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

/* With one page more on each side. */
static void widen(const struct target *t, u64 *start, u64 *end)
{
	*start -= *start ? PAGE_SIZE : 0;
	*end = min_u64(*end + PAGE_SIZE, t->cmp->m.cfg.task_size);
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
	const struct vm_area_struct *v = vma_above(t->cmp->m.space[space].engine, addr);

	return v && v->vm_start <= addr && v->vm_flags & VM_ACCOUNT;
}

/* What the operation makes of an area that it has reached. */
static u32 changed(const struct call *c, u32 attr)
{
	const struct arg *a = c->op->args;
	u32 to = attr;

	switch ((enum op_code)c->op->code) {
	case OP_mprotect:
		return (attr & ~(u32)M_RWX) | (a[2].val & M_RWX);
	case OP_mlock:
		return (attr & ~(u32)M_LOCKBITS) | M_LOCKED;
	case OP_mlock2:
		return (attr & ~(u32)M_LOCKBITS) | lock_bits(a[2].val);
	case OP_munlock:
		return attr & ~(u32)M_LOCKBITS;
	case OP_madvise:
		switch (a[2].val) {
		case MADV_NORMAL:
			return attr & ~(u32)(M_RANDOM | M_SEQUENTIAL);
		case MADV_RANDOM:
			return (attr & ~(u32)M_SEQUENTIAL) | M_RANDOM;
		case MADV_SEQUENTIAL:
			return (attr & ~(u32)M_RANDOM) | M_SEQUENTIAL;
		case MADV_DONTFORK:
			return attr | M_DONTFORK;
		case MADV_DOFORK:
			return attr & ~(u32)M_DONTFORK;
		case MADV_DONTDUMP:
			return attr | M_DONTDUMP;
		case MADV_DODUMP:
			return attr & ~(u32)M_DONTDUMP;
		case MADV_HUGEPAGE:
			return (attr & ~(u32)M_NOHUGE) | M_HUGE;
		case MADV_MERGEABLE:
			return attr & (M_SHARED | M_MAYSHARE) ? attr : attr | M_MERGEABLE;
		case MADV_UNMERGEABLE:
			return attr & ~(u32)M_MERGEABLE;
		case MADV_NOHUGEPAGE:
			return (attr & ~(u32)M_HUGE) | M_NOHUGE;
		default:
			return to;
		}
	default:
		return to;
	}
}

/* Where the first part ends that the engine has changed: up to there the model follows. */
static u64 prefix_end(const struct target *t, const struct call *c, u32 space, u64 start, u64 end)
{
	const struct m_space *s = &t->cmp->m.space[space];
	const struct mm_struct *mm = s->engine;

	while (start < end) {
		const struct m_area *a = m_at(s, start);
		const struct vm_area_struct *v = vma_above(mm, start);

		if (!a || !v || v->vm_start > start)
			return start;
		if (attr_of(v->vm_flags) == a->attr && changed(c, a->attr) != a->attr)
			return start;
		start = min_u64(a->end, v->vm_end);
	}
	return end;
}

static void follow_prefix(struct target *t, const struct call *c, u32 space)
{
	struct model *m = &t->cmp->m;
	u64 start, end, stop;

	range_of(t, c, &start, &end);
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
		m_change(m, space, start, stop, M_LOCKBITS,
			 c->op->code == OP_mlock ? M_LOCKED : lock_bits(c->op->args[2].val));
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
	v = vma_above(s->engine, a.start);
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
	if (a.obj != M_NONE)
		a.off = m_object_page(&a, c->addr);
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

static void accept(struct target *t, bool partly)
{
	m_accept(&t->cmp->m, partly ? is_there : NULL, is_accounted, t);
}

/* Is the space what the engine has, as far as ranges go? */
static bool fits(struct target *t, u32 space)
{
	const struct m_space *s = &t->cmp->m.space[space];

	/* what is the engine's choice has been made */
	m_adopt(&t->cmp->m, is_accounted, t);
	return same_areas(t, space, s->engine, 0, t->cmp->m.cfg.task_size, NULL);
}

static bool locks_range(enum op_code code)
{
	return code == OP_mlock || code == OP_mlock2;
}

/*
 * Something was refused, and the outcome is not the one without: the state must be what it was, or
 * one that is allowed. False: it is none of them; the model has its old state.
 */
static bool settle(struct target *t, const struct call *c, u32 space)
{
	struct model *m = &t->cmp->m;

	m_rollback(m);
	/* of a range that was locked already its ranges do not show that it has some pages now */
	if (!locks_range((enum op_code)c->op->code) && fits(t, space)) {
		accept(t, true);
		return true;
	}
	for (unsigned int k = 0;; k++) {
		m_save(m, space);
		if (!follow(t, c, space, k))
			break;
		if (fits(t, space)) {
			accept(t, true);
			return true;
		}
		m_rollback(m);
	}
	m->nr_effects = 0;
	return false;
}

/* ---- the operation ------------------------------------------------------------------------------
 */

static void resolve_segments(struct target *t, const struct call *c)
{
	struct compare *cmp = t->cmp;

	cmp->segs_known = true;
	for (u32 i = 0; i < c->op->nr_segs; i++) {
		const struct prog_seg *seg = &t->p->segs[c->op->seg + i];
		struct m_segment *to = &cmp->seg[i];

		*to = (struct m_segment){.len = seg->len, .prot = seg->prot, .off = seg->offset};
		to->obj = seg->file == NO_REF || seg->file >= cmp->nr_files ? M_NONE
									    : cmp->file[seg->file];
		if (!target_addr(t, c->task, &seg->start, &to->start))
			cmp->segs_known = false;
	}
}

/* May the engine refuse for a reason that the model has no part in? */
static bool is_near_limits(const struct target *t, const struct call *c)
{
	const struct mm_struct *mm = t->cmp->mm;
	const struct m_config *cfg = &t->cmp->m.cfg;
	u64 pages = 0;

	/* a backend that is not ours may have less memory than the machine */
	if (fl_allocator_find(t->opt.alloc->name) != t->opt.alloc)
		return true;
	if (mm && (u64)mm->map_count + 8 + c->op->nr_segs >= t->m->cfg.max_map_count)
		return true;
	if (cfg->overcommit || cfg->modern)
		return false;
	for (u32 i = 0; i < op_table[c->op->code].nr_args; i++)
		if (op_table[c->op->code].args[i].kind == ARG_LEN)
			pages = max_u64(pages, c->op->args[i].val >> PAGE_SHIFT);
	for (u32 i = 0; i < c->op->nr_segs; i++)
		pages = max_u64(pages, t->p->segs[c->op->seg + i].len >> PAGE_SHIFT);
	if (mm && makes_space((enum op_code)c->op->code))
		pages = max_u64(pages, mm->total_vm);
	if (mm && c->op->code == OP_brk)
		pages = (c->addr - mm->brk) >> PAGE_SHIFT;
	if (c->op->code == OP_swapoff)
		pages = t->m->cfg.swap;
	return t->cmp->free_before < 1024 || pages > t->cmp->free_before / 4;
}

/* Is each area of the range one VMA? */
static bool is_one_vma(const struct target *t, const struct call *c, u32 space)
{
	const struct m_space *s = &t->cmp->m.space[space];
	u64 end = c->addr + c->op->args[1].val;

	for (const struct vm_area_struct *v = vma_above(t->cmp->mm, c->addr);
	     v && v->vm_start < end; v = v->vm_next) {
		const struct m_area *a = m_at(s, v->vm_start);

		if (!a || (v->vm_start > c->addr && a->start != v->vm_start))
			return false;
	}
	return true;
}

/* Does who leaves an address space end others, or write into it? */
static bool leaves_more(const struct target *t, const struct call *c)
{
	if (c->op->code != OP_exec && c->op->code != OP_exit)
		return false;
	for (u32 i = 0; i < t->cmp->m.nr_tasks && c->op->code == OP_exec; i++)
		if (&t->tasks[i] != c->task && t->tasks[i].tsk &&
		    t->tasks[i].tsk->signal == c->task->tsk->signal)
			return true;
	return t->clears_tid;
}

void compare_before(struct target *t, const struct call *c)
{
	struct compare *cmp = t->cmp;
	struct model *m;
	const struct vm_area_struct *v = NULL;
	u32 space;

	if (!cmp || cmp->off)
		return;
	m = &cmp->m;
	space = m->task[task_of(t, c)].space;
	cmp->mm = c->task->tsk->mm;
	cmp->brk_before = cmp->mm ? cmp->mm->brk : 0;
	cmp->free_before = free_pages(t->m);
	/* a pending signal interrupts what can be interrupted */
	cmp->near_limits = is_near_limits(t, c) || c->task->tsk->signal_pending;
	cmp->leaves_more = leaves_more(t, c);
	memset(&m->in, 0, sizeof(m->in));
	switch ((enum op_code)c->op->code) {
	case OP_mprotect:
		m->in.one_vma = space != M_NONE && is_one_vma(t, c, space);
		__attribute__((fallthrough));
	case OP_mremap:
	case OP_read:
	case OP_write:
		v = cmp->mm ? vma_above(cmp->mm, c->addr) : NULL;
		break;
	case OP_exec:
		resolve_segments(t, c);
		break;
	default:
		break;
	}
	if (v) {
		m->in.vma_start = v->vm_start;
		m->in.vma_end = v->vm_end;
		m->in.vma_room = v->vm_file ? 0 : v->vm_pgoff + 1;
	}
	if (v && m->cfg.stack_guard) {
		struct fl_look l;

		fl_look_at(t->m, cmp->mm, c->addr, &l);
		m->in.present = l.kind != FL_LOOK_NOTHING;
	}
}

/* Does the operation change who has which space, or what others have? */
static bool is_global(const struct target *t, const struct call *c)
{
	switch ((enum op_code)c->op->code) {
	case OP_fork:
	case OP_vfork:
	case OP_clone:
	case OP_kthread:
	case OP_exec:
	case OP_exit:
	case OP_truncate:
	case OP_swap_out:
	case OP_swapoff:
		return true;
	default:
		return t->opt.check == CHECK_FULL || t->nr_run % 16 == 0 ||
		       t->opt.fi->op_delivered != 0;
	}
}

static void report_difference(struct target *t, const struct call *c, const struct difference *d)
{
	u32 space = c ? t->cmp->m.task[task_of(t, c)].space : M_NONE;
	bool foreign = is_foreign(t->cmp, space, c && c->task->tsk ? c->task->tsk->mm : NULL);

	if ((foreign || t->cmp->lasting) && c)
		not_modelled(t, (enum op_code)c->op->code);
	else
		disagree(t, d->word, d->what, &d->b);
}

static void compare_state(struct target *t, const struct call *c)
{
	struct compare *cmp = t->cmp;
	u32 task = task_of(t, c), space;
	struct difference d = {0};
	u64 start, end;
	bool same;

	if (is_global(t, c)) {
		same = same_everything(t, &d);
	} else {
		space = cmp->m.task[task].space;
		range_of(t, c, &start, &end);
		widen(t, &start, &end);
		same = same_task(t, task, &d) &&
		       (space == M_NONE ||
			same_space(t, space, c->task->tsk->mm, start, end, &d)) &&
		       same_number(&d, "committed", cmp->m.account, (u64)t->m->vm_committed_as);
	}
	if (!same)
		report_difference(t, c, &d);
}

static void print_result(const struct m_result *r, char *buf, size_t len)
{
	static const u8 kinds[] = {
		[M_OK] = OUT_OK,	 [M_ERRNO] = OUT_ERRNO,	  [M_SIGSEGV] = OUT_SIGSEGV,
		[M_SIGBUS] = OUT_SIGBUS, [M_KILLED] = OUT_KILLED,
	};
	const struct outcome o = {kinds[r->kind], r->value};

	outcome_print(&o, buf, len);
}

static void wrong_outcome(struct target *t, const struct call *c, const struct m_result *want)
{
	struct difference d = {.word = "result"};

	print_result(want, d.b.expected, sizeof(d.b.expected));
	outcome_print(c->out, d.b.actual, sizeof(d.b.actual));
	snprintf(d.what, sizeof(d.what), "the result is %.40s and should be %.40s", d.b.actual,
		 d.b.expected);
	report_difference(t, c, &d);
}

/* An argument with a word that the model has not learnt. */
static bool is_new_word(const struct call *c)
{
	u64 advice = c->op->args[2].val;

	if (c->op->code != OP_madvise)
		return false;
	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_REMOVE:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
		return false;
	default:
		break;
	}
	for (unsigned int i = 0; i < nr_advice_words; i++)
		if (advice_words[i].bits == advice)
			return true;
	return false;
}

/* An exec that is interrupted last has let its vfork parent go (facts §13.2). */
static void follow_wakeup(struct target *t, u32 task)
{
	struct m_task *tasks = t->cmp->m.task;
	u32 waiter = tasks[task].waiter;

	if (waiter == M_NONE || !t->tasks[waiter].tsk ||
	    t->tasks[waiter].tsk->state != TASK_RUNNING)
		return;
	tasks[waiter].waiting = false;
	tasks[task].waiter = M_NONE;
}

/* Runs the operation on the model, as far as its outcome lets it. */
static void run_modelled(struct target *t, const struct call *c)
{
	struct compare *cmp = t->cmp;
	struct model *m = &cmp->m;
	enum op_code code = (enum op_code)c->op->code;
	u32 task = task_of(t, c), space = m->task[task].space;
	bool refused = t->hit_hard || t->hit_soft || t->tight || cmp->near_limits;
	struct m_result want;

	/* of these a refusal leaves nothing behind, but what is past an exec's point of no return
	 */
	if (refused && !changes_ranges(code) && c->out->kind != OUT_OK) {
		if (c->out->kind == OUT_KILLED)
			m_exit(m, task);
		else if (code == OP_exec)
			follow_wakeup(t, task);
		t->model.followed++;
		return;
	}
	cmp->saved = space != M_NONE && changes_ranges(code) &&
		     (refused || m->space[space].nr <= 64 || code == OP_mprotect);
	if (cmp->saved)
		m_save(m, space);
	m->unsure = false;
	want = run_op(t, c);
	refused |= m->unsure;
	if (agrees(&want, c->out)) {
		if (refused && cmp->saved && !fits(t, space) && settle(t, c, space)) {
			t->model.followed++;
			return;
		}
		accept(t, refused);
		t->model.agreed++;
		return;
	}
	/* a refusal makes no success; brk alone says it by another address */
	if (refused && cmp->saved && (c->out->kind != OUT_OK || code == OP_brk) &&
	    settle(t, c, space)) {
		t->model.followed++;
		return;
	}
	if (m->unsure && !changes_ranges(code) && c->out->kind == OUT_ERRNO) {
		t->model.followed++;
		m->nr_effects = 0;
		return;
	}
	m->nr_effects = 0;
	wrong_outcome(t, c, &want);
}

/* Acts in an address space that the model has not given it. */
static bool borrows(const struct target *t, const struct call *c)
{
	return t->cmp->mm && t->cmp->m.task[task_of(t, c)].space == M_NONE;
}

void compare_after(struct target *t, const struct call *c)
{
	struct compare *cmp = t->cmp;
	enum op_code code = (enum op_code)c->op->code;
	u64 now;

	if (!cmp || cmp->off || t->broken || c->out->kind == OUT_SKIPPED)
		return;
	now = free_pages(t->m);
	cmp->m.in.free_lo = min_u64(now, cmp->free_before);
	cmp->m.in.free_lo -= min_u64(cmp->m.in.free_lo, 64);
	cmp->m.in.free_hi = max_u64(now, cmp->free_before) + 64;
	cmp->m.in.engine_failed = c->out->kind != OUT_OK;
	switch (modelled_ops[code].how) {
	case NOT_LISTED:
	case IS_LASTING:
		cmp->lasting = true;
		not_modelled(t, code);
		return;
	case IS_UNMODELLED:
		not_modelled(t, code);
		return;
	case IS_UNCHANGED:
		t->model.unchanged++;
		t->model.by_op[code]++;
		break;
	case IS_MODELLED:
		if (is_new_word(c) || cmp->leaves_more || borrows(t, c)) {
			/* what MADV_FREE lets go may go at any time from now on */
			cmp->lasting |= is_new_word(c) && c->out->kind != OUT_ERRNO;
			not_modelled(t, code);
			return;
		}
		run_modelled(t, c);
		break;
	}
	if (cmp->m.lost)
		cmp->off = true;
	if (!cmp->off)
		compare_state(t, c);
}

void compare_skipped(struct target *t, bool acts)
{
	const struct op *o = &t->p->ops[t->op];
	struct compare *cmp = t->cmp;
	struct difference d = {.word = "skipped"};
	bool want;

	if (!cmp || cmp->off || t->broken)
		return;
	want = o->task < cmp->m.nr_tasks && cmp->m.task[o->task].alive &&
	       !cmp->m.task[o->task].waiting;
	if (want == acts || cmp->lasting)
		return;
	snprintf(d.what, sizeof(d.what), "t%" PRIu32 " %s", o->task,
		 acts ? "acts and should not" : "should act");
	snprintf(d.b.expected, sizeof(d.b.expected), "%s", want ? "acts" : "cannot act");
	snprintf(d.b.actual, sizeof(d.b.actual), "%s", acts ? "acts" : "cannot act");
	disagree(t, d.word, d.what, &d.b);
}

void compare_all(struct target *t)
{
	struct difference d = {0};

	if (!t->cmp || t->cmp->off || t->broken || !t->m)
		return;
	if (!same_everything(t, &d) && !t->cmp->lasting)
		report_difference(t, NULL, &d);
}

/* ---- beginning and end --------------------------------------------------------------------------
 */

static void first_image(struct target *t, const struct exec_image *image)
{
	struct compare *cmp = t->cmp;
	struct m_image im = {.seg = cmp->seg,
			     .nr_segs = image->nr_segments,
			     .start_brk = image->start_brk,
			     .stack_pages = image->stack_pages,
			     .exe = M_NONE,
			     .binfmt = image->binfmt};

	for (u32 i = 0; i < image->nr_segments; i++)
		cmp->seg[i] = (struct m_segment){.start = image->segments[i].start,
						 .len = image->segments[i].len,
						 .prot = image->segments[i].prot,
						 .obj = M_NONE};
	m_spawn(&cmp->m);
	cmp->m.in.free_lo = UINT64_MAX;
	m_exec(&cmp->m, 0, &im);
	accept(t, false);
}

void compare_begin(struct target *t, const struct exec_image *image)
{
	const struct machine_config *c = &t->opt.machine;
	struct compare *cmp = t->cmp;
	struct difference d = {0};
	const struct m_config cfg = {
		.levels = c->levels,
		.mem = c->mem,
		.swap = c->swap,
		.overcommit = c->overcommit,
		.overcommit_ratio = c->overcommit_ratio,
		.limit_as = c->limit_as,
		.limit_data = c->limit_data,
		.limit_stack = c->limit_stack,
		.limit_memlock = c->limit_memlock,
		.max_tasks = c->max_tasks,
		.limit_nproc = c->limit_nproc,
		.pid_max = c->pid_max,
		.cpus = c->cpus,
		.modern = c->profile == 1,
		/* a gap took its place */
		.stack_guard = c->stack_guard && c->profile == 0,
		.ldt = c->ldt,
		.ksm = c->ksm,
		.thp = c->thp,
	};

	if (!cmp)
		return;
	cmp->off = unknown_option(c) != NULL || !image ||
		   m_reset(&cmp->m, &cfg, t->p->nr_defs[DEF_TASK] ? t->p->nr_defs[DEF_TASK] : 1);
	cmp->lasting = false;
	for (u32 i = 0; i < cmp->nr_files; i++)
		cmp->file[i] = M_NONE;
	if (cmp->off) {
		t->model.off++;
		snprintf(t->model.option, sizeof(t->model.option), "%s",
			 unknown_option(c) ? unknown_option(c) : "");
		return;
	}
	first_image(t, image);
	if (!same_everything(t, &d))
		report_difference(t, NULL, &d);
}

void model_stats_add(struct model_stats *to, const struct model_stats *from)
{
	to->agreed += from->agreed;
	to->followed += from->followed;
	to->unchanged += from->unchanged;
	to->resynced += from->resynced;
	to->disagreed += from->disagreed;
	to->off += from->off;
	for (unsigned int i = 0; i < NR_OPS; i++)
		to->by_op[i] += from->by_op[i];
	if (from->option[0])
		memcpy(to->option, from->option, sizeof(to->option));
}

void compare_snapshot(struct target *t)
{
	struct compare *cmp = t->cmp;

	if (!cmp || cmp->off)
		return;
	m_copy(&cmp->kept, &cmp->m);
	cmp->kept_lasting = cmp->lasting;
	memcpy(cmp->kept_file, cmp->file, cmp->nr_files * sizeof(*cmp->file));
}

void compare_restore(struct target *t)
{
	struct compare *cmp = t->cmp;

	if (!cmp || cmp->off)
		return;
	m_copy(&cmp->m, &cmp->kept);
	cmp->lasting = cmp->kept_lasting;
	memcpy(cmp->file, cmp->kept_file, cmp->nr_files * sizeof(*cmp->file));
	if (cmp->m.lost)
		cmp->off = true;
}

struct compare *compare_new(const struct target *t)
{
	struct compare *cmp = calloc(1, sizeof(*cmp));

	if (!cmp)
		return NULL;
	cmp->nr_files = t->p->nr_defs[DEF_FILE] ? t->p->nr_defs[DEF_FILE] : 1;
	cmp->file = malloc(cmp->nr_files * sizeof(*cmp->file));
	cmp->kept_file = malloc(cmp->nr_files * sizeof(*cmp->file));
	if (cmp->file && cmp->kept_file)
		return cmp;
	compare_free(cmp);
	return NULL;
}

void compare_free(struct compare *cmp)
{
	if (!cmp)
		return;
	m_free(&cmp->m);
	m_free(&cmp->kept);
	free(cmp->file);
	free(cmp->kept_file);
	free(cmp);
}
