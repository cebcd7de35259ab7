/* SPDX-License-Identifier: GPL-2.0-only */
/* The census is empty after the last task has gone, and each of its rows can say otherwise. */
#include "check_world.h"

struct rows {
	bool fired[128];
	const char *wanted;
	struct fl_violation v;
	unsigned int all;
};

static void on_row(void *priv, const struct fl_violation *v)
{
	struct rows *r = priv;

	r->all++;
	for (unsigned int i = 0; i < fl_nr_census_rows; i++)
		r->fired[i] |= fl_census_rows[i].name == v->name;
	if (r->wanted && !strcmp(v->name, r->wanted))
		r->v = *v;
	assert_string_equal(v->id, "census");
	assert_string_equal(v->expected, "0");
}

static void end_all(struct world *w)
{
	unpoke(w);
	file_close(&w->fx.cx, w->file);
	while (!list_empty(&w->m->tasks))
		fx_exit(&w->fx, list_last_entry(&w->m->tasks, struct task_struct, tasks));
	for (unsigned int cpu = 0; cpu < w->m->cfg.cpus; cpu++)
		run_on(&w->fx.cx, cpu, NULL);
}

static void empty_at_the_end(void **state)
{
	static const char *const options[] = {NULL, "levels=3", "vdso=1",
					      "levels=3 kernel_pmd=shared ptl_objects=1",
					      "paravirt=xen ptl_objects=1 cpus=2"};
	struct world w;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(options); i++) {
		struct rows r = {0};

		world_create(&w, options[i]);
		end_all(&w);
		fl_census(w.m, on_row, &r);
		for (unsigned int j = 0; j < fl_nr_census_rows; j++) {
			if (r.fired[j])
				print_error("%s\n", fl_census_rows[j].name);
		}
		assert_int_equal(r.all, 0);
		fx_destroy(&w.fx);
	}
}

static void the_living_are_counted(void **state)
{
	static const char *const expected[] = {"tasks",
					       "mms",
					       "lazy_cpus",
					       "slab_mm_struct",
					       "slab_vm_area_struct",
					       "slab_anon_vma",
					       "slab_anon_vma_chain",
					       "slab_task_struct",
					       "slab_pid",
					       "slab_ptl",
					       "slab_ldt_struct",
					       "slab_cred",
					       "slab_files_struct",
					       "slab_fs_struct",
					       "slab_sighand_struct",
					       "slab_signal_struct",
					       "slab_nsproxy",
					       "slab_file",
					       "slab_inode",
					       "pages_anon",
					       "pages_file",
					       "pages_pgd",
					       "pages_pgd_user",
					       "pages_pud",
					       "pages_pmd",
					       "pages_pte",
					       "pages_stack",
					       "pages_ldt",
					       "pages_in_use",
					       "committed",
					       "nr_pagetable",
					       "pgd_list",
					       "files",
					       "inodes",
					       "i_mmap",
					       "module_refs"};
	struct rows r = {0};
	unsigned int bad;
	struct world w;

	(void)state;
	world_create(&w, "paravirt=xen ptl_objects=1");
	bad = fl_census(w.m, on_row, &r);
	assert_int_equal(bad, r.all);
	for (unsigned int i = 0; i < ARRAY_SIZE(expected); i++) {
		bool fired = false;

		for (unsigned int j = 0; j < fl_nr_census_rows; j++)
			fired |= r.fired[j] && !strcmp(fl_census_rows[j].name, expected[i]);
		if (!fired)
			fail_msg("%s is not counted", expected[i]);
	}
	world_destroy(&w);
}

/* Whatever a row counts, one more of it must be reported by that row with that number. */
static void each_row_fires(void **state)
{
	struct world w;
	struct machine *m;
	unsigned int cases = 0;

	(void)state;
	world_create(&w, "levels=3 kernel_pmd=shared");
	end_all(&w);
	m = w.m;

#define MORE(row, lvalue)                                      \
	do {                                                   \
		struct rows r = {.wanted = #row};              \
                                                               \
		POKE(&w, lvalue, (lvalue) + 1);                \
		assert_int_equal(fl_census(m, on_row, &r), 1); \
		assert_string_equal(r.v.name, #row);           \
		assert_string_equal(r.v.actual, "1");          \
		unpoke(&w);                                    \
		cases++;                                       \
	} while (0)
	MORE(tasks, m->nr_tasks);
	MORE(mms, m->nr_mms);
	MORE(slab_mm_struct, m->caches[CACHE_mm_struct].live);
	MORE(slab_vm_area_struct, m->caches[CACHE_vm_area_struct].live);
	MORE(slab_anon_vma, m->caches[CACHE_anon_vma].live);
	MORE(slab_anon_vma_chain, m->caches[CACHE_anon_vma_chain].live);
	MORE(slab_task_struct, m->caches[CACHE_task_struct].live);
	MORE(slab_pid, m->caches[CACHE_pid].live);
	MORE(slab_pgd, m->caches[CACHE_pgd].live);
	MORE(slab_ptl, m->caches[CACHE_ptl].live);
	MORE(slab_ldt_struct, m->caches[CACHE_ldt_struct].live);
	MORE(slab_mmu_notifier_mm, m->caches[CACHE_mmu_notifier_mm].live);
	MORE(slab_ksm_mm_slot, m->caches[CACHE_ksm_mm_slot].live);
	MORE(slab_khugepaged_mm_slot, m->caches[CACHE_khugepaged_mm_slot].live);
	MORE(slab_numa_policy, m->caches[CACHE_numa_policy].live);
	MORE(memcg_usage, m->memcgs[1].usage);
	MORE(slab_linux_binprm, m->caches[CACHE_linux_binprm].live);
	MORE(slab_file, m->caches[CACHE_file].live);
	MORE(slab_inode, m->caches[CACHE_inode].live);
	MORE(slab_dentry, m->caches[CACHE_dentry].live);
	MORE(slab_cred, m->caches[CACHE_cred].live);
	MORE(slab_files_struct, m->caches[CACHE_files_struct].live);
	MORE(slab_fs_struct, m->caches[CACHE_fs_struct].live);
	MORE(slab_sighand_struct, m->caches[CACHE_sighand_struct].live);
	MORE(slab_signal_struct, m->caches[CACHE_signal_struct].live);
	MORE(slab_nsproxy, m->caches[CACHE_nsproxy].live);
	MORE(slab_io_context, m->caches[CACHE_io_context].live);
	MORE(pages_swap_cont, m->nr_alloc[PAGE_SWAP_CONT]);
	MORE(swap_slots, m->swap.inuse_pages);
	MORE(pages_shmem, m->nr_shmem);
	MORE(pages_anon, m->nr_alloc[PAGE_ANON]);
	MORE(pages_file, m->nr_alloc[PAGE_FILE]);
	MORE(pages_pgd, m->nr_alloc[PAGE_PGD]);
	MORE(pages_pgd_user, m->nr_alloc[PAGE_PGD_USER]);
	MORE(pages_p4d, m->nr_alloc[PAGE_P4D]);
	MORE(pages_pud, m->nr_alloc[PAGE_PUD]);
	MORE(pages_pmd, m->nr_alloc[PAGE_PMD]);
	MORE(pages_pte, m->nr_alloc[PAGE_PTE]);
	MORE(pages_zero, m->nr_alloc[PAGE_ZERO]);
	MORE(pages_stack, m->nr_alloc[PAGE_STACK]);
	MORE(pages_ldt, m->nr_alloc[PAGE_LDT]);
	MORE(pages_gather, m->nr_alloc[PAGE_GATHER]);
	MORE(pages_tail, m->nr_alloc[PAGE_TAIL]);
	MORE(pages_huge_zero, m->nr_alloc[PAGE_HUGE_ZERO]);
	MORE(pages_kmalloc, m->nr_alloc[PAGE_KMALLOC]);
	MORE(pages_aio, m->nr_alloc[PAGE_AIO]);
	MORE(slab_kioctx, m->caches[CACHE_kioctx].live);
	MORE(slab_kiocb, m->caches[CACHE_kiocb].live);
	MORE(slab_percpu, m->caches[CACHE_percpu].live);
	MORE(slab_userfaultfd_ctx, m->caches[CACHE_userfaultfd_ctx].live);
	MORE(slab_xol_area, m->caches[CACHE_xol_area].live);
	MORE(slab_xol_bitmap, m->caches[CACHE_xol_bitmap].live);
	MORE(slab_uprobe_task, m->caches[CACHE_uprobe_task].live);
	MORE(slab_return_instance, m->caches[CACHE_return_instance].live);
	MORE(aio_nr, m->aio_nr);
	MORE(pages_kernel, m->nr_alloc[PAGE_KERNEL]);
	MORE(pages_in_use, m->pages_in_use);
	MORE(committed, m->vm_committed_as);
	MORE(nr_pagetable, m->nr_pagetable);
	MORE(nr_mlock, m->nr_mlock);
	MORE(module_refs, m->modules[1].refcnt);
	MORE(init_mm_count, m->init_mm.mm_count.counter);
	MORE(check_alerts, m->check_alerts);
	MORE(locks, m->locks_held);
#undef MORE

	{
		struct page page = {.pfn = 0};
		struct file file = {.f_mode = 0};
		struct file_inode inode = {.ino = 9};
		struct mm_struct mm = {.brk = 0};
		struct kioctx ctx = {.id = 0};
		struct rows r = {0};

		list_add(&page.lru, &m->pgd_list);
		list_add(&file.files, &m->files);
		list_add(&inode.inodes, &m->inodes);
		list_add(&mm.mmlist, &m->init_mm.mmlist);
		list_add(&ctx.free_work, &m->aio_free_work);
		inode.i_data.i_mmap.node = &page.cache_node;
		POKE(&w, m->pins[2].mm, w.mm);
		POKE(&w, m->rqs[0].loaded, NULL);
		POKE(&w, m->rqs[0].tlb.used, 1);
		assert_int_equal(fl_census(m, on_row, &r), 9);
		cases += 9;
		list_del_init(&page.lru);
		list_del_init(&file.files);
		list_del_init(&inode.inodes);
		list_del_init(&mm.mmlist);
		list_del_init(&ctx.free_work);
		unpoke(&w);
	}
	/* only the machine itself still has the huge page of zeroes */
	{
		struct page zero = {.type = PAGE_HUGE_ZERO};
		struct rows r = {.wanted = "huge_zero_mapped"};

		atomic_set(&zero._refcount, 3);
		POKE(&w, m->huge_zero_page, &zero);
		fl_census(m, on_row, &r);
		assert_string_equal(r.v.actual, "2");
		cases++;
		unpoke(&w);
	}
	/* a list that has no end is not an empty one */
	{
		struct rows r = {.wanted = "files"};

		POKE(&w, m->files.next, &m->inodes);
		fl_census(m, on_row, &r);
		assert_string_equal(r.v.actual, "1");
		unpoke(&w);
	}
	assert_int_equal(cases, fl_nr_census_rows);
	fx_destroy(&w.fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_at_the_end),
		cmocka_unit_test(the_living_are_counted),
		cmocka_unit_test(each_row_fires),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
