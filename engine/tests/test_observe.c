/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The digest: blind to what a failed operation may leave behind, and to nothing else.
 */
#include "check_world.h"

/* ---- blind -------------------------------------------------------------------------------------
 */

static void same_twice(void **state)
{
	struct world a, b;
	u64 d, strict;

	(void)state;
	world_create(&a, NULL);
	world_create(&b, NULL);
	d = fl_digest(a.m, false);
	strict = fl_digest(a.m, true);
	assert_int_not_equal(d, strict);
	assert_int_equal(fl_digest(a.m, false), d);
	assert_int_equal(fl_digest(a.m, true), strict);
	assert_int_equal(fl_digest(b.m, false), d);
	assert_int_equal(fl_digest(b.m, true), strict);
	world_destroy(&a);
	world_destroy(&b);
}

struct outcome_digests {
	u64 semantic, strict;
};

static struct outcome_digests run_on_backend(const struct fl_allocator_ops *ops)
{
	struct fl_allocator_config acfg = {.size = sizeof(acfg)};
	struct fixture fx = {.ops = ops};
	struct fl_seams seams = {.priv = &fx, .should_fail = fx_should_fail, .bug = fx_bug};
	struct machine_config cfg;
	struct outcome_digests d;
	struct task_struct *child;

	machine_config_init(&cfg);
	fx.inst = ops->create(&acfg);
	assert_non_null(fx.inst);
	fx.m = machine_create(&cfg, ops, fx.inst, &seams);
	assert_non_null(fx.m);
	fx.cx = (struct ctx){.m = fx.m, .steps = ~(u64)0};
	fx.init = spawn_init(&fx.cx);
	assert_non_null(fx.init);
	fx_run(&fx, fx.init);
	fx_exec(&fx);
	fx_mmap(&fx, 0, 6, RW);
	fx_write(&fx, 1, 5);
	child = fx_fork(&fx);
	fx_run(&fx, child);
	fx_write(&fx, 1, 6);
	assert_int_equal(fx_mprotect(&fx, 2, 3, PROT_READ), 0);
	d.semantic = fl_digest(fx.m, false);
	d.strict = fl_digest(fx.m, true);
	fx_destroy(&fx);
	return d;
}

static void same_on_every_backend(void **state)
{
	struct outcome_digests first = {0, 0}, d;
	const struct fl_allocator_ops *ops;
	unsigned int i;

	(void)state;
	for (i = 0; (ops = fl_allocator_at(i)) != NULL; i++) {
		d = run_on_backend(ops);
		if (!i)
			first = d;
		assert_int_equal(d.semantic, first.semantic);
		assert_int_equal(d.strict, first.strict);
	}
	assert_true(i >= 1);
}

/* Runs change, which must be seen in the strict digest alone, and leave a sound machine. */
static void assert_history(void (*change)(struct world *w), const char *options)
{
	struct world w;
	u64 d, strict;

	world_create(&w, options);
	d = fl_digest(w.m, false);
	strict = fl_digest(w.m, true);
	change(&w);
	assert_int_equal(fl_check_machine(w.m, NULL, NULL, NULL), 0);
	assert_int_equal(fl_digest(w.m, false), d);
	assert_int_not_equal(fl_digest(w.m, true), strict);
	world_destroy(&w);
}

static void do_split(struct world *w)
{
	assert_int_equal(__split_vma(&w->fx.cx, w->mm, w->anon, fx_addr(2), true), 0);
	assert_int_equal(__split_vma(&w->fx.cx, w->mm, w->text, fx_addr(9), false), 0);
	assert_int_equal(__split_vma(&w->fx.cx, w->mm, w->idle, fx_addr(5), false), 0);
}

static void do_empty_tables(struct world *w)
{
	u64 stack = w->mm->highest_vm_end - 30 * PAGE_SIZE;

	assert_non_null(pte_alloc_map(&w->fx.cx, w->child_mm, stack));
	fx_mmap(&w->fx, 100000, 100004, RW);
	assert_non_null(pte_alloc_map(&w->fx.cx, w->mm, fx_addr(100000)));
	assert_int_equal(fx_munmap(&w->fx, 100000, 100004), 0);
}

static void do_prepare(struct world *w)
{
	assert_int_equal(anon_vma_prepare(&w->fx.cx, w->idle), 0);
}

static void set_entry(struct world *w, u64 page, pte_t e)
{
	pt_set(table_of(w, w->mm, page), pt_index(&w->m->geo, PT_PTE, fx_addr(page)), e);
}

static void do_write_protect(struct world *w)
{
	set_entry(w, 2, *entry_of(w, w->mm, 2) & ~_PAGE_RW);
	flush_tlb_page(&w->fx.cx, w->mm, fx_addr(2));
}

static void do_age(struct world *w)
{
	set_entry(w, 2, *entry_of(w, w->mm, 2) ^ _PAGE_ACCESSED);
}

static void do_switch(struct world *w)
{
	fx_run(&w->fx, w->child);
	fx_run(&w->fx, w->kthread);
}

static void do_fail_fork(struct world *w)
{
	struct task_struct *child;

	w->fx.fail[SITE_copy_process_signal] = true;
	assert_int_equal(do_fork(&w->fx.cx, 0, &child), -ERESTARTNOINTR);
	w->fx.fail[SITE_copy_process_signal] = false;
}

static void do_rejoin(struct world *w)
{
	assert_int_equal(fx_mprotect(&w->fx, 1, 3, PROT_READ), 0);
	assert_int_equal(fx_mprotect(&w->fx, 1, 3, RW), 0);
}

static void do_read_ahead(struct world *w)
{
	unsigned int fault;
	struct page *page = filemap_fault(&w->fx.cx, w->text, 5, &fault);

	assert_non_null(page);
	put_page(&w->fx.cx, page);
}

static void leftovers_are_history(void **state)
{
	(void)state;
	assert_history(do_split, NULL);
	assert_history(do_prepare, NULL);
	assert_history(do_write_protect, NULL);
	assert_history(do_age, NULL);
	assert_history(do_switch, NULL);
	assert_history(do_fail_fork, NULL);
	assert_history(do_rejoin, NULL);
	assert_history(do_read_ahead, NULL);
	assert_history(do_empty_tables, NULL);
	assert_history(do_empty_tables, "levels=3");
	assert_history(do_split, "levels=3 kernel_pmd=shared ptl_objects=1");
}

/* A task that has died but not been switched away from is as gone as one that has. */
static void dying_is_history(void **state)
{
	struct world w;
	u64 dying;

	(void)state;
	world_create(&w, NULL);
	fx_run(&w.fx, w.child);
	do_exit(&w.fx.cx);
	dying = fl_digest(w.m, false);
	run_on(&w.fx.cx, 0, w.parent);
	assert_int_equal(fl_digest(w.m, false), dying);
	world_destroy(&w);
}

/* ---- not blind ------------------------------------------------------------------------------ */

static s64 op_fork(struct world *w)
{
	struct task_struct *child;

	return do_fork(&w->fx.cx, 0, &child);
}

static s64 op_mmap(struct world *w)
{
	return fx_mmap_flags(&w->fx, 6, 8, RW, 0);
}

static s64 op_munmap(struct world *w)
{
	return fx_munmap(&w->fx, 1, 3);
}

static s64 op_mprotect(struct world *w)
{
	return fx_mprotect(&w->fx, 4, 5, RW);
}

static s64 op_write(struct world *w)
{
	u64 tag = 0x900;

	return -(s64)access_user(&w->fx.cx, fx_addr(0), true, &tag);
}

static s64 op_write_file(struct world *w)
{
	u64 tag = 0x901;

	return -(s64)access_user(&w->fx.cx, fx_addr(15), true, &tag);
}

static s64 op_read(struct world *w)
{
	u64 tag;

	return -(s64)access_user(&w->fx.cx, fx_addr(11), false, &tag);
}

static s64 op_ldt(struct world *w)
{
	return sys_modify_ldt(&w->fx.cx, 600, 1);
}

static s64 op_kthread(struct world *w)
{
	struct task_struct *child;

	return kernel_thread(&w->fx.cx, &child);
}

/* Each site in turn refuses all: an error changes nothing that counts, and the retry ends as
 * without. */
static void strong_guarantee(s64 (*op)(struct world *w), const char *options)
{
	struct world w;
	u64 golden, before;
	unsigned int errors = 0;

	world_create(&w, options);
	before = fl_digest(w.m, false);
	assert_int_equal(op(&w), 0);
	golden = fl_digest(w.m, false);
	assert_int_not_equal(golden, before);
	world_destroy(&w);

	for (unsigned int site = 1; site < FL_NR_SITES; site++) {
		s64 ret;

		world_create(&w, options);
		assert_int_equal(fl_digest(w.m, false), before);
		w.fx.fail[site] = true;
		ret = op(&w);
		w.fx.fail[site] = false;
		assert_int_equal(fl_check_machine(w.m, NULL, NULL, NULL), 0);
		if (ret) {
			errors++;
			if (fl_digest(w.m, false) != before)
				fail_msg("%s: the failed operation left a trace",
					 fl_sites[site].name);
			assert_int_equal(op(&w), 0);
		}
		if (fl_digest(w.m, false) != golden)
			fail_msg("%s: the retry ends elsewhere", fl_sites[site].name);
		world_destroy(&w);
	}
	assert_true(errors > 0);
}

static void failures_leave_no_trace(void **state)
{
	(void)state;
	strong_guarantee(op_fork, NULL);
	strong_guarantee(op_fork, "levels=3 ptl_objects=1");
	strong_guarantee(op_fork, "paravirt=xen ptl_objects=1");
	strong_guarantee(op_mmap, NULL);
	strong_guarantee(op_munmap, NULL);
	strong_guarantee(op_mprotect, NULL);
	strong_guarantee(op_write, NULL);
	strong_guarantee(op_write_file, NULL);
	strong_guarantee(op_read, NULL);
	strong_guarantee(op_ldt, NULL);
	strong_guarantee(op_kthread, NULL);
}

struct flip {
	const char *name;
	void *at;
	size_t size;
};

/*
 * Flips the lowest bit of a live field: the digest must differ, or a check must fire. Where only
 * the digest does, the stamp must, too.
 */
static unsigned int unseen_flips(struct world *w, const struct flip *flips, unsigned int n)
{
	u64 d = fl_digest(w->m, false), stamp = fl_stamp(w->m);
	unsigned int unseen = 0;

	assert_true(stamp != 0);
	for (unsigned int i = 0; i < n; i++) {
		bool seen, sealed;

		poke_at(w, flips[i].at, flips[i].size);
		*(u8 *)flips[i].at ^= 1;
		seen = fl_check_machine(w->m, NULL, NULL, NULL) != 0;
		sealed = seen || fl_stamp(w->m) != stamp;
		seen |= fl_digest(w->m, false) != d;
		unpoke(w);
		if (seen && !sealed) {
			print_error("%s changes the digest, and not the stamp\n", flips[i].name);
			unseen++;
		}
		if (!seen) {
			print_error("%s can change unseen\n", flips[i].name);
			unseen++;
		}
	}
	assert_int_equal(fl_digest(w->m, false), d);
	assert_int_equal(fl_stamp(w->m), stamp);
	assert_int_equal(fl_check_machine(w->m, NULL, NULL, NULL), 0);
	return unseen;
}

#define FLIP(lvalue)                               \
	{                                          \
#lvalue, &(lvalue), sizeof(lvalue) \
	}

static void every_semantic_field_counts(void **state)
{
	struct world w;

	(void)state;
	world_create(&w, "cpus=2");
	{
		struct machine *m = w.m;
		struct mm_struct *mm = w.mm;
		struct vm_area_struct *vma = w.anon, *idle = w.idle, *text = w.text;
		struct page *page = page_of(&w, mm, 0), *cached = page_of(&w, mm, 8);
		struct anon_vma *av = vma->anon_vma;
		struct file_inode *inode = w.file->f_inode;
		struct anon_vma_chain *avc =
			list_first_entry(&vma->anon_vma_chain, struct anon_vma_chain, same_vma);
		struct page *pt = table_of(&w, mm, 0);
		const struct flip flips[] = {
			FLIP(m->vm_committed_as),
			FLIP(m->nr_pagetable),
			FLIP(m->nr_mlock),
			FLIP(m->pages_in_use),
			FLIP(m->nr_tasks),
			FLIP(m->nr_mms),
			FLIP(m->locks_held),
			FLIP(m->check_alerts),
			FLIP(m->modules[0].refcnt),
			FLIP(m->modules[1].going),
			FLIP(m->caches[CACHE_pid].live),
			FLIP(m->caches[CACHE_file].live),
			FLIP(m->caches[CACHE_vm_area_struct].live),
			FLIP(m->nr_alloc[PAGE_ANON]),
			FLIP(m->nr_alloc[PAGE_PTE]),
			FLIP(m->nr_alloc[PAGE_GATHER]),
			FLIP(m->pgd_lock.writer),
			FLIP(m->init_mm.mm_count.counter),
			FLIP(w.child->state),
			FLIP(w.child->flags),
			FLIP(w.child->usage.counter),
			FLIP(w.child->signal_pending),
			FLIP(w.child->fatal_signal),
			FLIP(w.child->clear_child_tid),
			FLIP(w.child->memdie),
			FLIP(w.child->signal->group_dump),
			FLIP(w.child->core.nr_threads),
			FLIP(w.child->in_execve),
			FLIP(mm->mmap_base),
			FLIP(mm->mmap_legacy_base),
			FLIP(mm->task_size),
			FLIP(mm->highest_vm_end),
			FLIP(mm->mm_users.counter),
			FLIP(mm->mm_count.counter),
			FLIP(mm->nr_ptes),
			FLIP(mm->nr_pmds),
			FLIP(mm->map_count),
			FLIP(mm->page_table_lock.writer),
			FLIP(mm->mmap_sem.readers),
			FLIP(mm->total_vm),
			FLIP(mm->locked_vm),
			FLIP(mm->pinned_vm),
			FLIP(mm->shared_vm),
			FLIP(mm->exec_vm),
			FLIP(mm->stack_vm),
			FLIP(mm->def_flags),
			FLIP(mm->start_brk),
			FLIP(mm->brk),
			FLIP(mm->start_stack),
			FLIP(mm->rss_stat[MM_FILEPAGES]),
			FLIP(mm->rss_stat[MM_ANONPAGES]),
			FLIP(mm->rss_stat[MM_SWAPENTS]),
			FLIP(mm->cpu_vm_mask),
			FLIP(mm->flags),
			FLIP(mm->tlb_flush_pending),
			FLIP(mm->context.lock.writer),
			FLIP(mm->context.ldt->size),
			FLIP(((u64 *)mm->context.ldt->entries->mem)[3]),
			FLIP(((u64 *)mm->context.ldt->entries->mem)[0]),
			FLIP(vma->vm_start),
			FLIP(vma->vm_end),
			FLIP(vma->rb_subtree_gap),
			FLIP(vma->vm_flags),
			FLIP(vma->vm_page_prot),
			FLIP(vma->vm_pgoff),
			FLIP(idle->vm_flags),
			FLIP(idle->vm_page_prot),
			FLIP(idle->vm_pgoff),
			FLIP(text->vm_pgoff),
			FLIP(text->shared.rb_subtree_last),
			FLIP(text->shared.rb.red),
			FLIP(vma->vm_rb.red),
			FLIP(vma->vm_rb.linked),
			FLIP(av->refcount.counter),
			FLIP(av->num_children),
			FLIP(av->num_active_vmas),
			FLIP(av->root->rwsem.writer),
			FLIP(avc->rb_subtree_last),
			FLIP(page->type),
			FLIP(page->order),
			FLIP(page->_refcount.counter),
			FLIP(page->_mapcount),
			FLIP(page->index),
			FLIP(*(u64 *)page->mem),
			FLIP(cached->_refcount.counter),
			FLIP(cached->_mapcount),
			FLIP(cached->index),
			FLIP(*(u64 *)cached->mem),
			FLIP(pt->nr_entries),
			FLIP(*entry_of(&w, mm, 0)),
			FLIP(((pte_t *)pt->mem)[77]),
			FLIP(inode->size),
			FLIP(inode->disk_size),
			FLIP(inode->sealed),
			FLIP(inode->shmem),
			FLIP(inode->noreserve),
			FLIP(inode->charged),
			FLIP(m->nr_shmem),
			FLIP(cached->dirty),
			FLIP(inode->i_writecount),
			FLIP(inode->i_count.counter),
			FLIP(inode->i_data.nr_pages),
			FLIP(inode->i_data.i_mmap_writable),
			FLIP(inode->i_data.i_mmap_rwsem.writer),
			FLIP(w.file->f_count.counter),
			FLIP(w.file->f_mode),
			FLIP(w.file->opened),
		};

		assert_int_equal(unseen_flips(&w, flips, ARRAY_SIZE(flips)), 0);
	}
	world_destroy(&w);
}

/* Each bit of an entry, the accessed bit aside, and of a write-protected one the write bit. */
static void every_bit_of_an_entry_counts(void **state)
{
	struct world w;
	pte_t *e;
	u64 d;

	(void)state;
	world_create(&w, NULL);
	e = entry_of(&w, w.mm, 0);
	d = fl_digest(w.m, false);
	assert_false(*e & _PAGE_RW);
	for (unsigned int bit = 0; bit < 64; bit++) {
		bool seen;

		if ((pte_t)1 << bit == _PAGE_ACCESSED)
			continue;
		POKE(&w, *e, *e ^ (pte_t)1 << bit);
		seen = fl_digest(w.m, false) != d || fl_check_machine(w.m, NULL, NULL, NULL);
		unpoke(&w);
		if (!seen)
			fail_msg("bit %u can change unseen", bit);
	}
	world_destroy(&w);
}

static void pointers_count(void **state)
{
	struct world w;
	u64 d;

	(void)state;
	world_create(&w, "cpus=2");
	d = fl_digest(w.m, false);

#define EXPECT_SEEN(lvalue, val)                         \
	do {                                             \
		POKE(&w, lvalue, val);                   \
		assert_true(fl_digest(w.m, false) != d); \
		unpoke(&w);                              \
	} while (0)
	EXPECT_SEEN(w.mm->binfmt, &w.m->binfmts[1]);
	EXPECT_SEEN(w.mm->exe_file, w.file);
	EXPECT_SEEN(w.mm->owner, NULL);
	EXPECT_SEEN(w.child->mm, w.mm);
	EXPECT_SEEN(w.child->real_parent, NULL);
	EXPECT_SEEN(w.child->vfork_parent, w.parent);
	EXPECT_SEEN(w.text->vm_file, NULL);
	EXPECT_SEEN(page_of(&w, w.mm, 8)->mapping, NULL);
	EXPECT_SEEN(w.mm->context.ldt, NULL);
	EXPECT_SEEN(w.mm->mmap, w.idle);
	EXPECT_SEEN(w.kthread->pid_obj, NULL);
#undef EXPECT_SEEN
	world_destroy(&w);
}

/* ---- damage --------------------------------------------------------------------------------- */

static void find_damage(void *priv, const struct fl_obs *o)
{
	if (!strcmp(fl_obs_fields[o->field].name, "damaged"))
		*(u64 *)priv |= (u64)1 << o->key;
}

/* Loops end, and are said to be loops. */
static void loops_end(void **state)
{
	struct world w;
	u64 damage = 0;

	(void)state;
	world_create(&w, NULL);
	fl_observe(w.m, true, find_damage, &damage);
	assert_int_equal(damage, 0);
	POKE(&w, w.text->vm_next, w.mm->mmap);
	fl_observe(w.m, true, find_damage, &damage);
	assert_int_not_equal(damage, 0);
	unpoke(&w);

	damage = 0;
	POKE(&w, w.anon->anon_vma_chain.next, &w.idle->anon_vma_chain);
	fl_observe(w.m, true, find_damage, &damage);
	assert_int_not_equal(damage, 0);
	unpoke(&w);

	damage = 0;
	POKE(&w, w.m->tasks.next, &w.m->mms);
	fl_observe(w.m, true, find_damage, &damage);
	assert_int_not_equal(damage, 0);
	world_destroy(&w);
}

/* ---- records -------------------------------------------------------------------------------- */

struct counted {
	u64 by_field[256];
	bool strict;
};

static void count_record(void *priv, const struct fl_obs *o)
{
	struct counted *c = priv;

	assert_true(o->field < fl_nr_obs_fields);
	assert_true(c->strict || !fl_obs_fields[o->field].history);
	c->by_field[o->field]++;
}

/* Every field is seen in some machine, but for the two that tell of damage. */
static void no_field_is_idle(void **state)
{
	struct counted semantic = {.strict = false}, strict = {.strict = true};
	struct world w;

	(void)state;
	assert_true(fl_nr_obs_fields <= ARRAY_SIZE(semantic.by_field));
	for (unsigned int i = 0; i < 3; i++) {
		static const char *const options[] = {
			"swap=16", "levels=3 vdso=1 profile=linux-6.18", "thp=always"};

		world_create(&w, options[i]);
		do_read_ahead(&w);
		khugepaged_scan(&w.fx.cx);
		world_add_aio(&w);
		world_add_uprobes(&w);
		world_add_uffds(&w);
		if (w.m->cfg.profile)
			assert_int_equal(sys_madvise(&w.fx.cx, fx_addr(2), PAGE_SIZE, MADV_FREE),
					 0);
		fl_observe(w.m, false, count_record, &semantic);
		fl_observe(w.m, true, count_record, &strict);
		while (w.m->daemons[KHUGEPAGED].cursor)
			khugepaged_scan(&w.fx.cx);
		world_destroy(&w);
	}
	for (unsigned int i = 0; i < fl_nr_obs_fields; i++) {
		const struct fl_obs_field *f = &fl_obs_fields[i];
		bool damage = !strcmp(f->name, "damaged") || !strcmp(f->name, "bad");

		if (damage != !strict.by_field[i])
			fail_msg("%s.%s: %d records", f->object, f->name, (int)strict.by_field[i]);
		if (!f->history)
			assert_int_equal(semantic.by_field[i], strict.by_field[i]);
		else
			assert_int_equal(semantic.by_field[i], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_twice),
		cmocka_unit_test(same_on_every_backend),
		cmocka_unit_test(leftovers_are_history),
		cmocka_unit_test(dying_is_history),
		cmocka_unit_test(failures_leave_no_trace),
		cmocka_unit_test(every_semantic_field_counts),
		cmocka_unit_test(every_bit_of_an_entry_counts),
		cmocka_unit_test(pointers_count),
		cmocka_unit_test(loops_end),
		cmocka_unit_test(no_field_is_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
