/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of fields is true: each one is flipped in a live machine, and what the table promises
 * must notice. ci/check-fields shows that the table has every field.
 */
#include "check_world.h"

enum class {
	SEMANTIC,
	DERIVED,
	HISTORY
};
enum kind {
	NUM,
	NUMS,
	PAGE,
	PTR,
	OPAQUE,
	LIST,
	ROOT,
	NODE,
	PART
};

struct field {
	const char *type, *name;
	size_t offset, size;
	enum class class;
	enum kind kind;
};

/* In the table fl_lock_t and the like have no tag. */
typedef struct page page;
typedef struct address_space address_space;
typedef struct file_inode file_inode;
typedef struct file file;
typedef struct dentry dentry;
typedef struct userfaultfd_ctx userfaultfd_ctx;
typedef struct swap_slot swap_slot;
typedef struct swap_info swap_info;
typedef struct module module;
typedef struct linux_binfmt linux_binfmt;
typedef struct anon_vma anon_vma;
typedef struct anon_vma_chain anon_vma_chain;
typedef struct vm_area_struct vm_area_struct;
typedef struct vm_special_mapping vm_special_mapping;
typedef struct xol_area xol_area;
typedef struct return_instance return_instance;
typedef struct uprobe_task uprobe_task;
typedef struct percpu_ref percpu_ref;
typedef struct aio_kiocb aio_kiocb;
typedef struct kioctx kioctx;
typedef struct kioctx_table kioctx_table;
typedef struct ldt_struct ldt_struct;
typedef struct mm_context mm_context;
typedef struct mm_struct mm_struct;
typedef struct cred cred;
typedef struct files_struct files_struct;
typedef struct fs_struct fs_struct;
typedef struct sighand_struct sighand_struct;
typedef struct signal_struct signal_struct;
typedef struct nsproxy nsproxy;
typedef struct io_context io_context;
typedef struct core_state core_state;
typedef struct task_struct task_struct;
typedef struct mmu_notifier mmu_notifier;
typedef struct mmu_notifier_mm mmu_notifier_mm;
typedef struct mm_holder mm_holder;
typedef struct mm_slot mm_slot;
typedef struct mem_cgroup mem_cgroup;
typedef struct mempolicy mempolicy;
typedef struct mm_daemon mm_daemon;
typedef struct kmem_cache kmem_cache;
typedef struct tlb_entry tlb_entry;
typedef struct tlb tlb;
typedef struct rq rq;
typedef struct machine machine;

static const struct field fields[] = {
#define EXEMPT(t, f, why)
#define EXEMPT_STRUCT(t, why)
#define FIELD(t, f, class, kind) {#t, #f, offsetof(t, f), sizeof(((t *)NULL)->f), class, kind},
#include "check/fields.def"
#undef FIELD
#undef EXEMPT
#undef EXEMPT_STRUCT
};

/* ---- live objects --------------------------------------------------------------------------- */

#define MAX_OBJECTS 512u

struct objects {
	void *at[MAX_OBJECTS];
	unsigned int nr;
};

static void add(struct objects *o, const void *p)
{
	if (p && o->nr < MAX_OBJECTS)
		o->at[o->nr++] = (void *)p;
}

static void add_pages(struct objects *o, struct machine *m)
{
	for (u32 i = 0; i < m->nr_chunks; i++) {
		for (u32 j = 0; j < MEM_MAP_CHUNK; j++) {
			if (m->mem_map[i][j].type != PAGE_FREE)
				add(o, &m->mem_map[i][j]);
		}
	}
}

static void add_of_utasks(struct objects *o, struct machine *m, const char *type)
{
	struct task_struct *tsk;

	list_for_each_entry(tsk, &m->tasks, tasks) {
		struct return_instance *ri = tsk->utask ? tsk->utask->return_instances : NULL;

		if (!strcmp(type, "uprobe_task"))
			add(o, tsk->utask);
		for (; ri && !strcmp(type, "return_instance"); ri = ri->next)
			add(o, ri);
	}
}

static void add_tasks(struct objects *o, struct machine *m)
{
	struct task_struct *tsk;

	list_for_each_entry(tsk, &m->tasks, tasks)
		add(o, tsk);
}

/* More than once when it is shared: each is flipped as often. */
static void add_shares(struct objects *o, struct machine *m, const char *type)
{
	struct task_struct *tsk;

	list_for_each_entry(tsk, &m->tasks, tasks) {
		add(o, !strcmp(type, "cred")		 ? (void *)tsk->cred
		       : !strcmp(type, "files_struct")	 ? (void *)tsk->files
		       : !strcmp(type, "fs_struct")	 ? (void *)tsk->fs
		       : !strcmp(type, "sighand_struct") ? (void *)tsk->sighand
		       : !strcmp(type, "signal_struct")	 ? (void *)tsk->signal
		       : !strcmp(type, "nsproxy")	 ? (void *)tsk->nsproxy
		       : !strcmp(type, "io_context")	 ? (void *)tsk->io_context
							 : NULL);
	}
}

static void add_of_vmas(struct objects *o, struct machine *m, const char *type)
{
	struct mm_struct *mm;

	list_for_each_entry(mm, &m->mms, mms) {
		for (struct vm_area_struct *vma = mm->mmap; vma; vma = vma->vm_next) {
			struct anon_vma_chain *avc;

			if (!strcmp(type, "vm_area_struct"))
				add(o, vma);
			if (!strcmp(type, "mempolicy"))
				add(o, vma->vm_policy);
			list_for_each_entry(avc, &vma->anon_vma_chain, same_vma)
				add(o, !strcmp(type, "anon_vma_chain") ? (void *)avc
				       : !strcmp(type, "anon_vma")     ? (void *)avc->anon_vma
								       : NULL);
		}
	}
}

static void add_of_aio(struct objects *o, const struct kioctx_table *table, const char *type)
{
	struct aio_kiocb *req;

	if (!strcmp(type, "kioctx_table"))
		add(o, table);
	for (u32 i = 0; table && i < table->nr; i++) {
		struct kioctx *ctx = table->table[i];

		if (!ctx)
			continue;
		if (!strcmp(type, "kioctx"))
			add(o, ctx);
		else if (!strcmp(type, "percpu_ref"))
			add(o, &ctx->users);
		list_for_each_entry(req, &ctx->active_reqs, ki_list)
			add(o, !strcmp(type, "aio_kiocb") ? req : NULL);
	}
}

static void add_of_mms(struct objects *o, struct machine *m, const char *type)
{
	struct mm_struct *mm;

	list_for_each_entry(mm, &m->mms, mms) {
		add_of_aio(o, mm->ioctx_table, type);
		if (!strcmp(type, "mm_struct"))
			add(o, mm);
		else if (!strcmp(type, "xol_area"))
			add(o, mm->xol_area);
		else if (!strcmp(type, "mm_context"))
			add(o, &mm->context);
		else if (!strcmp(type, "mmu_notifier_mm"))
			add(o, mm->mmu_notifier_mm);
		else if (!strcmp(type, "ldt_struct"))
			add(o, mm->context.ldt);
	}
}

static void add_core_states(struct objects *o, struct machine *m)
{
	struct task_struct *tsk;

	list_for_each_entry(tsk, &m->tasks, tasks)
		add(o, &tsk->core);
}

static void add_of_files(struct objects *o, struct machine *m, const char *type)
{
	struct file_inode *inode;
	struct file *f;

	list_for_each_entry(f, &m->files, files) {
		if (!strcmp(type, "file"))
			add(o, f);
		else if (!strcmp(type, "dentry"))
			add(o, f->f_dentry);
		else if (!strcmp(type, "userfaultfd_ctx"))
			add(o, f->private_data);
	}
	list_for_each_entry(inode, &m->inodes, inodes) {
		if (!strcmp(type, "file_inode"))
			add(o, inode);
		else if (!strcmp(type, "address_space"))
			add(o, &inode->i_data);
	}
}

static void add_of_cpus(struct objects *o, struct machine *m, const char *type)
{
	for (unsigned int cpu = 0; cpu < m->cfg.cpus; cpu++) {
		struct rq *cpu_rq = &m->rqs[cpu];

		if (!strcmp(type, "rq"))
			add(o, cpu_rq);
		else if (!strcmp(type, "tlb"))
			add(o, &cpu_rq->tlb);
		for (unsigned int i = 0; !strcmp(type, "tlb_entry") && i < TLB_SIZE; i++) {
			if (cpu_rq->tlb.used & 1u << i)
				add(o, &cpu_rq->tlb.entries[i]);
		}
	}
}

/* Locks of every kind of owner: each is a field of type fl_lock_t. */
static void add_locks(struct objects *o, struct machine *m)
{
	struct file_inode *inode;
	struct mm_struct *mm;

	add(o, &m->pgd_lock);
	list_for_each_entry(mm, &m->mms, mms) {
		add(o, &mm->mmap_sem);
		add(o, &mm->page_table_lock);
		add(o, &mm->context.lock);
	}
	list_for_each_entry(inode, &m->inodes, inodes)
		add(o, &inode->i_data.i_mmap_rwsem);
}

static void find_objects(struct objects *o, struct machine *m, const char *type)
{
	o->nr = 0;
	if (!strcmp(type, "page"))
		add_pages(o, m);
	else if (!strcmp(type, "task_struct"))
		add_tasks(o, m);
	else if (!strcmp(type, "core_state"))
		add_core_states(o, m);
	else if (!strcmp(type, "fl_lock_t"))
		add_locks(o, m);
	else if (!strcmp(type, "machine"))
		add(o, m);
	else if (!strcmp(type, "vm_special_mapping"))
		add(o, &m->vdso_mapping);
	for (unsigned int i = 0; i < NR_NOTIFIERS; i++)
		add(o, !strcmp(type, "mmu_notifier") ? &m->notifiers[i] : NULL);
	for (unsigned int i = 0; i < NR_MM_PINS; i++)
		add(o, !strcmp(type, "mm_holder") ? &m->pins[i] : NULL);
	for (unsigned int i = 0; i < NR_MM_DAEMONS; i++) {
		struct mm_slot *slot;

		add(o, !strcmp(type, "mm_daemon") ? &m->daemons[i] : NULL);
		list_for_each_entry(slot, &m->daemons[i].mm_head, mm_node)
			add(o, !strcmp(type, "mm_slot") ? slot : NULL);
	}
	for (unsigned int i = 0; i < NR_MEMCGS; i++)
		add(o, !strcmp(type, "mem_cgroup") ? &m->memcgs[i] : NULL);
	if (!strcmp(type, "swap_info"))
		add(o, &m->swap);
	for (u32 i = 1; !strcmp(type, "swap_slot") && i < m->swap.max; i++)
		add(o, &m->swap.slots[i]);
	for (unsigned int i = 0; i < NR_BINFMTS; i++)
		add(o, !strcmp(type, "module")	       ? (void *)&m->modules[i]
		       : !strcmp(type, "linux_binfmt") ? (void *)&m->binfmts[i]
						       : NULL);
	for (unsigned int i = 0; i < NR_CACHES; i++)
		add(o, !strcmp(type, "kmem_cache") ? &m->caches[i] : NULL);
	add_shares(o, m, type);
	add_of_utasks(o, m, type);
	add_of_vmas(o, m, type);
	add_of_mms(o, m, type);
	add_of_files(o, m, type);
	add_of_cpus(o, m, type);
}

/* ---- flips ---------------------------------------------------------------------------------- */

struct before {
	u64 digest, strict, stamp;
};

static bool noticed(struct world *w, const struct field *f, const struct before *b)
{
	if (fl_check_machine(w->m, NULL, NULL, NULL))
		return true;
	if (f->class == HISTORY)
		return fl_digest(w->m, true) != b->strict;
	if (fl_digest(w->m, false) == b->digest)
		return false;
	if (b->stamp && fl_stamp(w->m) == b->stamp)
		fail_msg("%s.%s changes the digest, and not the stamp", f->type, f->name);
	return true;
}

static bool try_bytes(struct world *w, const struct field *f, const struct before *b, void *at,
		      const void *val, size_t size)
{
	bool seen;

	if (!memcmp(at, val, size))
		return false;
	poke_at(w, at, size);
	memcpy(at, val, size);
	seen = noticed(w, f, b);
	unpoke(w);
	return seen;
}

static bool try_bit(struct world *w, const struct field *f, const struct before *b, void *at,
		    u8 bit)
{
	u8 val = *(u8 *)at ^ bit;

	return try_bytes(w, f, b, at, &val, 1);
}

/* Every other value that objects of the kind have in this field, and none. */
static bool try_pointers(struct world *w, const struct field *f, const struct before *b,
			 const struct objects *o, void *at)
{
	void *none = NULL;

	for (unsigned int i = 0; i < o->nr; i++) {
		if (try_bytes(w, f, b, at, (char *)o->at[i] + f->offset, sizeof(none)))
			return true;
	}
	return try_bytes(w, f, b, at, &none, sizeof(none));
}

static bool try_list(struct world *w, const struct field *f, const struct before *b, void *at)
{
	struct list_head *h = at;
	bool seen;

	if (list_empty(h))
		return false;
	POKE(w, h->next, h);
	POKE(w, h->prev, h);
	seen = noticed(w, f, b);
	unpoke(w);
	return seen;
}

static bool flip(struct world *w, const struct field *f, const struct before *b,
		 const struct objects *o, void *obj)
{
	void *at = (char *)obj + f->offset, *none = NULL;
	void *some = w->m;
	size_t last = f->size - sizeof(u64);

	switch (f->kind) {
	case NUM:
		return try_bit(w, f, b, at, 1);
	case NUMS: /* elements of 8 bytes, or of 2 */
		if (f->size % sizeof(u64) || f->size < 2 * sizeof(u64))
			last = f->size - sizeof(u16);
		return try_bit(w, f, b, at, 1) && try_bit(w, f, b, (char *)at + last, 1);
	case PAGE:
		return try_bit(w, f, b, (char *)at + 1, 0x10);
	case PTR:
		return try_pointers(w, f, b, o, at);
	case OPAQUE:
		return try_bytes(w, f, b, at, &some, sizeof(some));
	case LIST:
		return try_list(w, f, b, at);
	case ROOT:
		return try_bytes(w, f, b, at, &none, sizeof(none));
	case NODE:
		return try_bit(w, f, b, &((struct rb_node *)at)->red, 1);
	case PART:
		break;
	}
	return true;
}

static const char *const worlds[] = {
	"cpus=2 vdso=1 cpumask_offstack=1",  "levels=3",   "levels=3 kernel_pmd=shared",
	"paravirt=xen ptl_objects=1 cpus=2", "thp=always", "thp=always split_ptlocks=1",
	"swap=16 swap_count_bits=2",
};

/* Some object of some world is one in which the flip means something. */
static bool flip_somewhere(struct world *ws, const struct before *b, const struct field *f)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(worlds); i++) {
		struct objects o;

		find_objects(&o, ws[i].m, f->type);
		for (unsigned int j = 0; j < o.nr; j++) {
			if (flip(&ws[i], f, &b[i], &o, o.at[j]))
				return true;
		}
	}
	return false;
}

static void each_field_is_noticed(void **state)
{
	struct before b[ARRAY_SIZE(worlds)];
	struct world ws[ARRAY_SIZE(worlds)];
	unsigned int unseen = 0;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(worlds); i++) {
		struct exec_image image = {.stack_pages = 1};
		struct task_struct *child = NULL;
		bool killed;

		world_create(&ws[i], worlds[i]);
		assert_int_equal(do_fork(&ws[i].fx.cx, CLONE_VFORK, &child), 0);
		fx_run(&ws[i].fx, child);
		fx_write(&ws[i].fx, 3, 0x500);
		fx_run(&ws[i].fx, ws[i].child);
		image.exe = ws[i].file;
		assert_int_equal(sys_execve(&ws[i].fx.cx, &image, &killed), 0);
		fx_run(&ws[i].fx, child);
		assert_int_equal(
			sys_ioprio_set(&ws[i].fx.cx, IOPRIO_CLASS_BE << IOPRIO_CLASS_SHIFT), 0);
		assert_int_equal(sys_mmap(&ws[i].fx.cx, fx_addr(24), PAGE_SIZE, RW,
					  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
				 fx_addr(24));
		fx_write(&ws[i].fx, 3, 0x501);
		world_add_aio(&ws[i]);
		world_add_uprobes(&ws[i]);
		world_add_uffds(&ws[i]);
		assert_int_equal(notifier_register(&ws[i].fx.cx, 1), 0);
		assert_int_equal(sys_madvise(&ws[i].fx.cx, fx_addr(0), PAGE_SIZE, MADV_MERGEABLE),
				 0);
		ksmd_scan(&ws[i].fx.cx);
		assert_int_equal(sys_set_mempolicy(&ws[i].fx.cx, MPOL_BIND, 1), 0);
		assert_int_equal(mm_pin(&ws[i].fx.cx, 0, true), 0);
		assert_int_equal(mm_pin(&ws[i].fx.cx, 1, false), 0);
		assert_int_equal(fl_check_machine(ws[i].m, NULL, NULL, NULL), 0);
		b[i] = (struct before){fl_digest(ws[i].m, false), fl_digest(ws[i].m, true),
				       fl_stamp(ws[i].m)};
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].kind == PART || flip_somewhere(ws, b, &fields[i]))
			continue;
		print_error("%s.%s can change unseen\n", fields[i].type, fields[i].name);
		unseen++;
	}
	assert_int_equal(unseen, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(worlds); i++) {
		assert_int_equal(fl_digest(ws[i].m, true), b[i].strict);
		assert_int_equal(notifier_unregister(&ws[i].fx.cx, 1), 0);
		assert_int_equal(mm_unpin(&ws[i].fx.cx, 0), 0);
		assert_int_equal(mm_unpin(&ws[i].fx.cx, 1), 0);
		ksmd_scan(&ws[i].fx.cx);
		world_destroy(&ws[i]);
	}
}

/* History is what the digest is blind to, and nothing else: else the row is in the wrong class. */
static void history_is_not_semantic(void **state)
{
	struct world w;

	(void)state;
	world_create(&w, "cpus=2");
	world_add_aio(&w);
	for (unsigned int i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct field *f = &fields[i];
		u64 d = fl_digest(w.m, false);
		struct objects o;

		if (f->class != HISTORY || f->kind != NUM)
			continue;
		find_objects(&o, w.m, f->type);
		assert_true(o.nr > 0);
		poke_at(&w, (char *)o.at[0] + f->offset, 1);
		*((u8 *)o.at[0] + f->offset) ^= 1;
		if (fl_digest(w.m, false) != d)
			fail_msg("%s.%s is in the digest", f->type, f->name);
		unpoke(&w);
	}
	world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_is_noticed),
		cmocka_unit_test(history_is_not_semantic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
