/* SPDX-License-Identifier: GPL-2.0-only */
/* The model becomes what the engine is: after what is not modelled, and after a finding. */
#include "compare_priv.h"

struct own_pages {
	struct model *m;
	u32 space;
};

static void import_page(void *priv, const struct fl_look *l)
{
	const struct own_pages *to = priv;

	if (l->kind == FL_LOOK_ANON)
		m_page_put(to->m, &to->m->space[to->space].own, l->addr >> PAGE_SHIFT, l->tag);
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

static u64 tag_of(const struct page *page)
{
	return *(const u64 *)page->mem;
}

static u32 import_file(struct target *t, const struct file *file, bool open)
{
	struct model *m = &t->cmp->m;
	const struct file_inode *inode = file->f_inode;
	const struct rb_node *n = inode->i_data.page_tree.node;
	u32 obj = cmp_object_of(t->cmp, file);
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
	o->ring = inode->aio_ring;
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

		m_page_put(m, &o->pages, page->index, tag_of(page));
	}
	return obj;
}

/* Pages of the kernel's. Those of [vdso] and [vvar] are the same for everybody. */
static u32 import_special(struct target *t, const struct vm_special_mapping *spec)
{
	const struct machine *machine = t->m;
	struct model *m = &t->cmp->m;
	u32 obj = cmp_object_of(t->cmp, spec);
	struct m_object *o;

	if (obj != M_NONE)
		return obj;
	obj = m_new_object(m);
	if (obj == M_NONE)
		return M_NONE;
	o = &m->object[obj];
	o->special = true;
	o->engine = spec;
	for (; o->size < SPECIAL_PAGES && spec->pages[o->size]; o->size++)
		m_page_put(m, &o->pages, o->size, tag_of(spec->pages[o->size]));
	if (spec == &machine->vdso_mapping)
		m->vdso = obj;
	if (spec == &machine->vvar_mapping) {
		m_page_put(m, &o->pages, o->size++, tag_of(machine->vvar_page));
		m->vvar = obj;
	}
	o->open = obj == m->vdso || obj == m->vvar;
	return obj;
}

static void import_contexts(struct target *t, u32 space, const struct mm_struct *mm)
{
	struct model *m = &t->cmp->m;
	const struct kioctx_table *table = mm->ioctx_table;

	for (u32 i = 0; table && i < table->nr; i++) {
		const struct kioctx *ctx = table->table[i];
		u32 obj = ctx ? import_file(t, ctx->aio_ring_file, true) : M_NONE;
		struct m_context *c = obj == M_NONE ? NULL : m_context_room(m);

		if (!c)
			continue;
		*c = (struct m_context){.used = true,
					.space = space,
					.slot = i,
					.obj = obj,
					.id = ctx->user_id,
					.len = ctx->mmap_size,
					.max_reqs = ctx->max_reqs,
					.places = ctx->nr_events,
					.reqs = (u64)atomic_read(&ctx->reqs.count) - 1};
		m->object[obj].open = true;
	}
}

static u32 import_space(struct target *t, struct mm_struct *mm)
{
	struct model *m = &t->cmp->m;
	struct own_pages own = {.m = m};
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
	m->space[space].def = cmp_attr_of(mm->def_flags);
	for (u32 i = 0; i < NR_BINFMTS; i++)
		if (mm->binfmt == &t->m->binfmts[i])
			m->space[space].binfmt = i;
	for (const struct vm_area_struct *v = mm->mmap; v; v = v->vm_next) {
		struct m_area a = {.start = v->vm_start,
				   .end = v->vm_end,
				   .attr = cmp_attr_of(v->vm_flags),
				   .obj = M_NONE};

		if (v->vm_file)
			a.obj = import_file(t, v->vm_file, false);
		else if (v->vm_private_data)
			a.obj = import_special(t, v->vm_private_data);
		if (a.obj != M_NONE)
			a.off = v->vm_pgoff;
		m_insert(m, space, &a);
	}
	import_contexts(t, space, mm);
	m->space[space].stepping = mm->xol_area ? mm->xol_area->vaddr : 0;
	own.space = space;
	fl_look_over(t->m, mm, 0, m->cfg.task_size, import_page, &own);
	return space;
}

void cmp_import_calls(struct m_task *to, const struct uprobe_task *utask)
{
	const struct return_instance *ri = utask ? utask->return_instances : NULL;

	to->depth = utask ? utask->depth : 0;
	/* the latest first */
	for (u32 i = to->depth; ri && i-- > 0; ri = ri->next)
		to->call[i] = ri->func;
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
		m->task[i].dumping = tsk->flags & PF_DUMPCORE;
		m->task[i].waiting = tsk->state == TASK_VFORK_WAIT;
		m->task[i].space = import_space(t, tsk->mm);
		cmp_import_calls(&m->task[i], tsk->utask);
		m->alive++;
		for (u32 k = 0; tsk->vfork_parent && k < m->nr_tasks; k++)
			if (t->tasks[k].tsk == tsk->vfork_parent)
				m->task[i].waiter = k;
	}
}

/* The model becomes what the engine is. */
void cmp_import(struct target *t)
{
	struct compare *cmp = t->cmp;
	struct model *m = &cmp->m;
	struct m_config cfg = m->cfg;

	if (m_reset(m, &cfg, m->nr_tasks)) {
		cmp->off = true;
		return;
	}
	m->next_ino = t->m->next_ino;
	if (t->m->cfg.vdso) {
		import_special(t, &t->m->vdso_mapping);
		import_special(t, &t->m->vvar_mapping);
	}
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
