/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every invariant holds in a machine with some of everything, and every one of them is seen to
 * break: each case pokes one thing and must find the row, its object, and what was expected and
 * met.
 */
#include "check_world.h"

struct seen {
	const char *row;
	struct fl_violation first; /* of that row */
	unsigned int matches, all;
};

static void on_violation(void *priv, const struct fl_violation *v)
{
	struct seen *s = priv;

	s->all++;
	assert_true(v->id[0] && v->name[0] && v->func[0]);
	assert_true(v->object[0] && v->expected[0] && v->actual[0]);
	if (!s->row) {
		print_error("%s %s: %s: expected %s, is %s\n", v->id, v->name, v->object,
			    v->expected, v->actual);
		return;
	}
	if (strcmp(v->name, s->row))
		return;
	if (!s->matches++)
		s->first = *v;
}

static void assert_sound(struct world *w)
{
	struct mm_struct *mm;
	struct seen s = {0};

	assert_int_equal(fl_check_machine(w->m, on_violation, &s, NULL), 0);
	list_for_each_entry(mm, &w->m->mms, mms)
		assert_int_equal(fl_check_mm(w->m, mm, on_violation, &s, NULL), 0);
}

/* ---- structure ------------------------------------------------------------------------------ */

static void break_list_order(struct world *w)
{
	POKE(w, w->idle->vm_start, w->anon->vm_start);
}

static void break_list_links(struct world *w)
{
	POKE(w, w->idle->vm_prev, NULL);
}

static void break_list_end(struct world *w)
{
	POKE(w, w->text->vm_next, w->mm->mmap);
}

static void break_list_tree(struct world *w)
{
	POKE(w, w->anon->vm_next, w->idle->vm_next);
	POKE(w, w->idle->vm_next->vm_prev, w->anon);
}

static void break_map_count(struct world *w)
{
	POKE(w, w->mm->map_count, w->mm->map_count + 1);
}

static void break_vma_range(struct world *w)
{
	POKE(w, w->idle->vm_end, w->idle->vm_end - 1);
}

static void break_vma_mm(struct world *w)
{
	POKE(w, w->idle->vm_mm, w->child_mm);
}

static void break_rb_shape(struct world *w)
{
	POKE(w, w->mm->mm_rb.node->red, true);
}

static void break_rb_gap(struct world *w)
{
	POKE(w, w->anon->rb_subtree_gap, w->anon->rb_subtree_gap + PAGE_SIZE);
}

static void break_highest_vm_end(struct world *w)
{
	POKE(w, w->mm->highest_vm_end, w->mm->highest_vm_end - PAGE_SIZE);
}

static void break_vmacache(struct world *w)
{
	POKE(w, w->parent->vmacache_seqnum, w->mm->vmacache_seqnum);
	for (unsigned int i = 0; i < VMACACHE_SIZE; i++)
		POKE(w, w->parent->vmacache[i], i == 2 ? w->child_anon : NULL);
}

static void break_overlap(struct world *w)
{
	POKE(w, w->anon->vm_end, w->anon->vm_end + PAGE_SIZE);
}

static void break_vma_flags(struct world *w)
{
	POKE(w, w->idle->vm_flags, w->idle->vm_flags | VM_SHARED);
}

static void break_anon_pgoff(struct world *w)
{
	POKE(w, w->idle->vm_pgoff, w->idle->vm_pgoff + 1);
}

/* ---- special mappings ------------------------------------------------------------------------ */

static struct vm_area_struct *vdso_of(struct world *w)
{
	return find_vma(&w->fx.cx, w->mm, w->mm->context.vdso);
}

static void break_vma_special(struct world *w)
{
	POKE(w, vdso_of(w)->vm_private_data, (const void *)w->mm);
}

static void break_vma_special_grows(struct world *w)
{
	POKE(w, vdso_of(w)->vm_flags, vdso_of(w)->vm_flags & ~VM_DONTEXPAND);
}

static pte_t *special_entry(struct world *w, u64 addr)
{
	struct page *pt = pte_lookup(w->m, w->mm, addr);

	return &((pte_t *)pt->mem)[pt_index(&w->m->geo, PT_PTE, addr)];
}

static void break_page_special(struct world *w)
{
	pte_t *pte = special_entry(w, w->mm->context.vdso);

	POKE(w, *pte, mk_pte(w->m->vdso_mapping.pages[1], *pte & ~_PAGE_PFN_MASK));
}

static void break_pte_pfnmap(struct world *w)
{
	POKE(w, vdso_of(w)->vm_prev->vm_flags, vdso_of(w)->vm_prev->vm_flags & ~VM_PFNMAP);
}

static void break_pte_pfnmap_place(struct world *w)
{
	POKE(w, vdso_of(w)->vm_prev->vm_private_data, &w->m->vdso_mapping);
}

/* ---- I/O contexts --------------------------------------------------------------------------- */

static struct kioctx *context(struct world *w, u32 i)
{
	if (!w->mm->ioctx_table)
		world_add_aio(w);
	return w->mm->ioctx_table->table[i];
}

static void break_ioctx_table(struct world *w)
{
	context(w, 0);
	POKE(w, w->mm->ioctx_table->nr, 1000);
}

static void break_ioctx_table_of_dead(struct world *w)
{
	context(w, 0);
	fx_run(&w->fx, w->child);
	do_exit(&w->fx.cx);
	POKE(w, w->child_mm->ioctx_table, w->mm->ioctx_table);
}

static void break_ioctx_slot(struct world *w)
{
	struct kioctx *first = context(w, 0), *second = context(w, 1);

	POKE(w, w->mm->ioctx_table->table[0], second);
	POKE(w, w->mm->ioctx_table->table[1], first);
}

static void break_ioctx_dead(struct world *w)
{
	POKE(w, context(w, 0)->dead, true);
}

static void break_ioctx_users(struct world *w)
{
	POKE(w, context(w, 0)->users.count.counter, 2);
}

static void break_ioctx_reqs(struct world *w)
{
	POKE(w, context(w, 0)->reqs.count.counter, 2);
}

static void break_ioctx_request(struct world *w)
{
	struct aio_kiocb *req =
		list_first_entry(&context(w, 0)->active_reqs, struct aio_kiocb, ki_list);

	POKE(w, req->ki_ctx, context(w, 1));
}

static void break_ioctx_requests(struct world *w)
{
	POKE(w, context(w, 0)->active_reqs.prev, &context(w, 0)->active_reqs);
}

static void break_ioctx_file(struct world *w)
{
	POKE(w, context(w, 0)->aio_ring_file, w->file);
}

static void break_ioctx_nr_pages(struct world *w)
{
	POKE(w, context(w, 1)->nr_pages, context(w, 1)->nr_pages - 1);
}

static void break_ioctx_page(struct world *w)
{
	POKE(w, context(w, 0)->ring_pages[0], context(w, 1)->ring_pages[0]);
}

static void break_ioctx_free_work(struct world *w)
{
	POKE(w, w->m->aio_free_work.next, &context(w, 0)->free_work);
}

static void break_aio_nr(struct world *w)
{
	POKE(w, w->m->aio_nr, w->m->aio_nr + 1);
}

static void break_ioctx_lock(struct world *w)
{
	POKE(w, w->mm->ioctx_lock.writer, true);
}

/* ---- uprobes --------------------------------------------------------------------------------- */

static struct xol_area *xol_area(struct world *w)
{
	if (!w->mm->xol_area)
		world_add_uprobes(w);
	return w->mm->xol_area;
}

static void break_xol_page(struct world *w)
{
	POKE(w, xol_area(w)->xol_mapping.pages[0], page_of(w, w->mm, 2));
}

static void break_xol_area_of_dead(struct world *w)
{
	xol_area(w);
	fx_run(&w->fx, w->child);
	do_exit(&w->fx.cx);
	POKE(w, w->child_mm->xol_area, w->mm->xol_area);
}

static void break_xol_slots(struct world *w)
{
	POKE(w, *xol_area(w)->bitmap, 5);
}

static void break_xol_slot_count(struct world *w)
{
	POKE(w, xol_area(w)->slot_count, 2);
}

static void break_utask_depth(struct world *w)
{
	xol_area(w);
	POKE(w, w->parent->utask->depth, 3);
}

static void break_utask_kthread(struct world *w)
{
	xol_area(w);
	POKE(w, w->kthread->utask, w->parent->utask);
}

/* ---- reverse maps --------------------------------------------------------------------------- */

static struct anon_vma_chain *chain_of(struct vm_area_struct *vma)
{
	return list_first_entry(&vma->anon_vma_chain, struct anon_vma_chain, same_vma);
}

static void break_i_mmap_member(struct world *w)
{
	POKE(w, w->text->shared.rb.linked, false);
}

static void break_i_mmap_shape(struct world *w)
{
	POKE(w, w->file->f_inode->i_data.i_mmap.node->red, true);
}

static void break_i_mmap_last(struct world *w)
{
	POKE(w, w->text->shared.rb_subtree_last, 99);
}

static void break_i_mmap_nodes(struct world *w)
{
	POKE(w, w->file->f_inode->i_data.i_mmap.node, NULL);
}

/* Sound but for the count: the tree has a VMA that no mm lists. */
static void break_i_mmap_stale(struct world *w)
{
	struct vm_area_struct *vma = w->text, *prev = vma->vm_prev, *next = vma->vm_next;

	POKE(w, prev->vm_next, next);
	POKE(w, next->vm_prev, prev);
}

static void break_i_mmap_writable(struct world *w)
{
	struct address_space *mapping = &w->file->f_inode->i_data;

	POKE(w, mapping->i_mmap_writable, mapping->i_mmap_writable + 1);
}

static void break_i_writecount(struct world *w)
{
	POKE(w, w->file->f_inode->i_writecount, w->file->f_inode->i_writecount - 1);
}

static void break_avc_list(struct world *w)
{
	POKE(w, chain_of(w->anon)->vma, w->idle);
}

static void break_avc_ring(struct world *w)
{
	POKE(w, w->anon->anon_vma_chain.next, &w->idle->anon_vma_chain);
}

static void break_avc_in_tree(struct world *w)
{
	POKE(w, chain_of(w->anon)->rb.linked, false);
}

static void break_av_listed(struct world *w)
{
	POKE(w, w->anon->anon_vma, w->child_anon->anon_vma);
}

static void break_av_listed_none(struct world *w)
{
	POKE(w, w->anon->anon_vma, NULL);
}

static void break_av_root(struct world *w)
{
	POKE(w, w->child_anon->anon_vma->root, w->child_anon->anon_vma);
}

static void break_av_shape(struct world *w)
{
	POKE(w, w->anon->anon_vma->rb_root.node->red, true);
}

static void break_av_last(struct world *w)
{
	POKE(w, chain_of(w->anon)->rb_subtree_last, 0);
}

static void break_av_nodes(struct world *w)
{
	struct list_head *e = chain_of(w->child_anon)->same_vma.next;

	POKE(w, e->prev->next, e->next);
	POKE(w, e->next->prev, e->prev);
}

static void break_av_active(struct world *w)
{
	POKE(w, w->anon->anon_vma->num_active_vmas, w->anon->anon_vma->num_active_vmas + 1);
}

static void break_av_one_mm(struct world *w)
{
	POKE(w, w->child_anon->anon_vma, w->anon->anon_vma);
}

static void break_hiwater_rss(struct world *w)
{
	POKE(w, w->mm->seen_peak[0], 999);
}

static void break_hiwater_vm(struct world *w)
{
	POKE(w, w->mm->seen_peak[1], 9999);
}

static void break_av_children(struct world *w)
{
	POKE(w, w->anon->anon_vma->num_children, 0);
}

static void break_av_refcount(struct world *w)
{
	POKE(w, w->anon->anon_vma->refcount.counter, 1);
}

static void break_page_anon_vma(struct world *w)
{
	POKE(w, page_of(w, w->mm, 0)->anon_vma, w->child_anon->anon_vma);
}

static void break_page_index(struct world *w)
{
	POKE(w, page_of(w, w->mm, 2)->index, 7);
}

static void break_page_mapping(struct world *w)
{
	POKE(w, w->text->vm_pgoff, w->text->vm_pgoff + 1);
}

/* ---- page tables ---------------------------------------------------------------------------- */

static void break_nr_ptes(struct world *w)
{
	POKE(w, w->mm->nr_ptes, w->mm->nr_ptes + 1);
}

static void break_nr_pmds(struct world *w)
{
	POKE(w, w->mm->nr_pmds, w->mm->nr_pmds - 1);
}

static void break_table_entry(struct world *w)
{
	pte_t *e = &((pte_t *)pmd_of(w, w->mm)->mem)[pt_index(&w->m->geo, PT_PMD, FX_BASE)];

	POKE(w, *e, (*e & ~_PAGE_PFN_MASK) | page_of(w, w->mm, 0)->pfn << PAGE_SHIFT);
}

static void break_table_frame(struct world *w)
{
	pte_t *e = &((pte_t *)pmd_of(w, w->mm)->mem)[pt_index(&w->m->geo, PT_PMD, FX_BASE)];

	POKE(w, *e, *e | (pte_t)1 << 50);
}

static void break_kernel_entries(struct world *w)
{
	pte_t *pgd = w->mm->pgd->mem;

	POKE(w, pgd[w->m->geo.kernel_boundary], 0);
}

static void break_kernel_pmd(struct world *w)
{
	struct page *pmd = pt_table(w->m, w->mm->pgd, 3);

	POKE(w, ((pte_t *)pmd->mem)[5], 0x1063);
}

static void break_pgd_user(struct world *w)
{
	pte_t *user = w->mm->pgd->pgd_user->mem;

	POKE(w, user[pt_index(&w->m->geo, PT_PGD, FX_BASE)], 0);
}

static void break_pte_in_vma(struct world *w)
{
	POKE(w, *entry_of(w, w->mm, 20), *entry_of(w, w->mm, 0));
}

static void break_pte_decodes(struct world *w)
{
	POKE(w, *entry_of(w, w->mm, 0), 0x40);
}

static void break_table_span(struct world *w)
{
	pte_t *pmd = pmd_of(w, w->mm)->mem;
	unsigned int i = pt_index(&w->m->geo, PT_PMD, FX_BASE);

	POKE(w, pmd[i + 40], pmd[i]);
	POKE(w, pmd[i], 0);
}

static void break_nr_entries(struct world *w)
{
	struct page *pt = table_of(w, w->mm, 0);

	POKE(w, pt->nr_entries, (u16)(pt->nr_entries + 1));
}

static void break_table_sum(struct world *w)
{
	struct page *pt = table_of(w, w->mm, 0);

	POKE(w, pt->sum, pt->sum + 1);
}

static void break_table_lines(struct world *w)
{
	POKE(w, table_of(w, w->mm, 0)->lines, 0);
}

static void break_pte_write(struct world *w)
{
	POKE(w, *entry_of(w, w->mm, 8), *entry_of(w, w->mm, 8) | _PAGE_RW);
}

static void break_pte_cow(struct world *w)
{
	POKE(w, *entry_of(w, w->mm, 0), *entry_of(w, w->mm, 0) | _PAGE_RW);
}

static void break_pte_user(struct world *w)
{
	POKE(w, *entry_of(w, w->mm, 0), *entry_of(w, w->mm, 0) & ~_PAGE_USER);
}

static void break_pte_prot_none(struct world *w)
{
	POKE(w, *entry_of(w, w->mm, 0), (*entry_of(w, w->mm, 0) & ~_PAGE_PRESENT) | _PAGE_PROTNONE);
}

static void break_pte_open(struct world *w)
{
	POKE(w, w->anon->vm_flags, w->anon->vm_flags & ~VM_ACCESS_FLAGS);
}

static void break_pte_exec(struct world *w)
{
	POKE(w, *entry_of(w, w->mm, 0), *entry_of(w, w->mm, 0) & ~_PAGE_NX);
}

static void break_shared_dirty(struct world *w)
{
	POKE(w, w->text->vm_flags, w->text->vm_flags | VM_SHARED | VM_MAYSHARE | VM_WRITE);
	POKE(w, *entry_of(w, w->mm, 8), *entry_of(w, w->mm, 8) | _PAGE_RW);
}

static void break_pte_swap(struct world *w)
{
	POKE(w, *entry_of(w, w->mm, 0), swp_entry_to_pte(9));
}

static void break_pte_swap_vma(struct world *w)
{
	POKE(w, *entry_of(w, w->mm, 4), *entry_of(w, w->mm, 0));
}

static u8 *map_of(struct world *w, u64 page)
{
	return &w->m->swap.swap_map[pte_to_swp_entry(*entry_of(w, w->mm, page))];
}

static void break_swap_count(struct world *w)
{
	u8 *map = map_of(w, 0);

	POKE(w, *map, (u8)(*map + 1));
}

static void break_swap_digits(struct world *w)
{
	u8 *map = map_of(w, 0);

	POKE(w, *map, (u8)(*map | COUNT_CONTINUED));
}

static void break_swap_digit_range(struct world *w)
{
	u8 *map = map_of(w, 0);

	POKE(w, *map, (u8)(*map | 0x3f));
}

static void break_swap_cache(struct world *w)
{
	u8 *map = map_of(w, 0);

	POKE(w, *map, (u8)(*map | SWAP_HAS_CACHE));
}

static void break_swap_cached_page(struct world *w)
{
	POKE(w, page_of(w, w->mm, 2)->swap, 1);
}

static void break_swap_inuse(struct world *w)
{
	POKE(w, w->m->swap.inuse_pages, w->m->swap.inuse_pages + 1);
}

static void break_swap_lowest(struct world *w)
{
	POKE(w, w->m->swap.lowest_bit, 12);
}

static void break_mmlist(struct world *w)
{
	POKE(w, w->m->init_mm.mmlist.next, &w->mm->mms);
}

static void break_mmlist_dead(struct world *w)
{
	POKE(w, w->child_mm->mm_users.counter, 0);
}

static void break_mmlist_member(struct world *w)
{
	struct list_head *e = &w->mm->mmlist;

	POKE(w, e->prev->next, e->next);
	POKE(w, e->next->prev, e->prev);
	POKE(w, e->next, e);
	POKE(w, e->prev, e);
}

static void break_swap_lock(struct world *w)
{
	POKE(w, w->m->swap.lock.writer, true);
}

/* ---- counters ------------------------------------------------------------------------------- */

#define BREAK_MM_COUNTER(name, lvalue)                     \
	static void break_##name(struct world *w)          \
	{                                                  \
		POKE(w, w->mm->lvalue, w->mm->lvalue + 1); \
	}
BREAK_MM_COUNTER(total_vm, total_vm)
BREAK_MM_COUNTER(shared_vm, shared_vm)
BREAK_MM_COUNTER(exec_vm, exec_vm)
BREAK_MM_COUNTER(stack_vm, stack_vm)
BREAK_MM_COUNTER(locked_vm, locked_vm)
BREAK_MM_COUNTER(pinned_vm, pinned_vm)
BREAK_MM_COUNTER(rss_file, rss_stat[MM_FILEPAGES])
BREAK_MM_COUNTER(rss_anon, rss_stat[MM_ANONPAGES])
BREAK_MM_COUNTER(rss_swap, rss_stat[MM_SWAPENTS])
BREAK_MM_COUNTER(mm_users, mm_users.counter)
BREAK_MM_COUNTER(mm_count, mm_count.counter)
BREAK_MM_COUNTER(mm_read_lock, mmap_sem.readers)

static void break_owner(struct world *w)
{
	POKE(w, w->mm->owner, w->child);
}

static void break_mm_locks(struct world *w)
{
	POKE(w, w->mm->page_table_lock.writer, true);
}

static void break_ptl(struct world *w)
{
	fl_lock_t *ptl = table_of(w, w->mm, 0)->ptl;

	assert_non_null(ptl);
	POKE(w, ptl->writer, true);
}

static void break_mm_quiet(struct world *w)
{
	POKE(w, w->mm->tlb_flush_pending, true);
}

/* ---- the whole machine ---------------------------------------------------------------------- */

static void break_check_alerts(struct world *w)
{
	POKE(w, w->m->check_alerts, 1);
}

static void break_file_refs(struct world *w)
{
	POKE(w, w->file->f_count.counter, w->file->f_count.counter - 1);
}

static void break_file_list(struct world *w)
{
	POKE(w, w->m->files.prev, &w->m->inodes);
}

static void break_zero_page(struct world *w)
{
	POKE(w, w->m->zero_page, NULL);
}

static void break_file_inode(struct world *w)
{
	POKE(w, w->file->f_inode, NULL);
}

static void break_inode_refs(struct world *w)
{
	POKE(w, w->file->f_inode->i_count.counter, 2);
}

static void break_module_refs(struct world *w)
{
	POKE(w, w->m->modules[0].refcnt, w->m->modules[0].refcnt + 1);
}

static void break_mm_list(struct world *w)
{
	POKE(w, w->m->nr_mms, w->m->nr_mms + 1);
}

static void break_mm_ring(struct world *w)
{
	POKE(w, w->child_mm->mms.next, &w->child_mm->mms);
	POKE(w, w->child_mm->mms.prev, &w->child_mm->mms);
}

static void break_mm_in_use(struct world *w)
{
	POKE(w, w->kthread->mm, w->mm);
	POKE(w, w->kthread->active_mm, w->mm);
}

static void break_pin_user(struct world *w)
{
	POKE(w, w->m->pins[0].mm, w->mm);
	POKE(w, w->m->pins[0].users, true);
	POKE(w, w->m->pins[0].user, w->child);
}

static void break_core_state(struct world *w)
{
	POKE(w, w->mm->core_state, &w->child->core);
}

/* Nobody else has the mm, but the dump that its dumper knows of is not there. */
static void break_core_users(struct world *w)
{
	POKE(w, w->child->state, TASK_PARKED);
}

static void break_core_parked(struct world *w)
{
	POKE(w, w->child_mm->core_state, &w->parent->core);
}

static void break_mm_holders(struct world *w)
{
	POKE(w, w->m->pins[1].mm, (struct mm_struct *)(void *)w->parent);
}

static void break_notifier_open(struct world *w)
{
	POKE(w, w->m->notifiers[2].open, 2);
}

static void break_notifier_list(struct world *w)
{
	POKE(w, w->m->notifiers[0].mm, w->mm);
}

static void break_notifier_released(struct world *w)
{
	POKE(w, w->m->notifiers[0].mm, w->mm);
	POKE(w, w->m->notifiers[0].released, 2);
}

static struct mm_slot *first_slot(struct world *w)
{
	return list_first_entry(&w->m->daemons[KHUGEPAGED].mm_head, struct mm_slot, mm_node);
}

static void break_mm_slots(struct world *w)
{
	POKE(w, w->child_mm->flags, w->child_mm->flags & ~MMF_VM_HUGEPAGE);
}

static void break_mm_slots_count(struct world *w)
{
	POKE(w, w->child_mm->flags, w->child_mm->flags | MMF_VM_MERGEABLE);
}

static void break_mm_slot_mm(struct world *w)
{
	POKE(w, first_slot(w)->mm, (struct mm_struct *)(void *)w->parent);
}

static void break_mm_slots_ring(struct world *w)
{
	POKE(w, first_slot(w)->mm_node.next, &w->mm->mms);
}

static void break_mm_slots_cursor(struct world *w)
{
	POKE(w, w->m->daemons[KSMD].cursor, first_slot(w));
}

static void break_mm_slots_lock(struct world *w)
{
	POKE(w, w->m->daemons[KSMD].lock.writer, true);
}

static struct userfaultfd_ctx *uffd_of(struct world *w, u64 slot)
{
	if (!w->m->uffds[0])
		world_add_uffds(w);
	return w->m->uffds[slot]->private_data;
}

static void break_vma_uffd(struct world *w)
{
	uffd_of(w, 0);
	POKE(w, fx_vma(&w->fx, 28)->vm_userfaultfd_ctx, NULL);
}

static void break_vma_uffd_flag(struct world *w)
{
	POKE(w, w->idle->vm_flags, w->idle->vm_flags | VM_UFFD_MISSING);
}

static void break_vma_uffd_of_file(struct world *w)
{
	POKE(w, w->text->vm_userfaultfd_ctx, uffd_of(w, 0));
	POKE(w, w->text->vm_flags, w->text->vm_flags | VM_UFFD_MISSING);
}

static void break_vma_uffd_of_other_mm(struct world *w)
{
	POKE(w, w->child_anon->vm_userfaultfd_ctx, uffd_of(w, 0));
	POKE(w, w->child_anon->vm_flags, w->child_anon->vm_flags | VM_UFFD_MISSING);
}

static void break_uffd_slot(struct world *w)
{
	uffd_of(w, 0);
	POKE(w, w->m->uffds[2], w->file);
}

static void break_uffd_twice(struct world *w)
{
	uffd_of(w, 0);
	POKE(w, w->m->uffds[2], w->m->uffds[1]);
}

static void break_uffd_lost(struct world *w)
{
	uffd_of(w, 0);
	POKE(w, w->m->uffds[1], NULL);
}

static void break_uffd_refs(struct world *w)
{
	POKE(w, uffd_of(w, 1)->refcount.counter, 2);
}

static void break_uffd_mm(struct world *w)
{
	static struct mm_struct elsewhere;

	POKE(w, uffd_of(w, 1)->mm, &elsewhere);
}

static void break_uffd_count(struct world *w)
{
	POKE(w, uffd_of(w, 1)->mm, w->child_mm);
}

static void break_policy_refs(struct world *w)
{
	POKE(w, w->anon->vm_policy->refcnt.counter, 2);
}

static void break_policy_of_task(struct world *w)
{
	POKE(w, w->child->mempolicy, w->anon->vm_policy);
	POKE(w, w->anon->vm_policy->refcnt.counter, 2);
}

static void break_page_lazyfree(struct world *w)
{
	POKE(w, page_of(w, w->mm, 8)->lazyfree, true);
}

static void break_memcg_page(struct world *w)
{
	POKE(w, page_of(w, w->mm, 2)->memcg, 0);
}

static void break_memcg_file(struct world *w)
{
	POKE(w, page_of(w, w->mm, 8)->memcg, 1);
}

static void break_memcg_usage(struct world *w)
{
	POKE(w, w->m->memcgs[2].usage, 3);
}

static void break_memcg_root(struct world *w)
{
	POKE(w, w->m->memcgs[0].usage, 1);
}

static void break_memcg_group(struct world *w)
{
	POKE(w, page_of(w, w->mm, 2)->memcg, 2);
}

static void break_task_usage(struct world *w)
{
	POKE(w, w->child->usage.counter, 2);
}

static void break_task_shares(struct world *w)
{
	POKE(w, w->child->files->count.counter, 2);
}

static void break_task_shares_ns(struct world *w)
{
	POKE(w, w->parent->nsproxy->count.counter, 2);
}

static void break_task_shares_held(struct world *w)
{
	POKE(w, w->child->fs, NULL);
}

static void break_task_list(struct world *w)
{
	POKE(w, w->m->nr_tasks, w->m->nr_tasks - 1);
}

static void break_active_mm(struct world *w)
{
	POKE(w, w->child->active_mm, w->mm);
}

static void break_active_mm_gone(struct world *w)
{
	static struct mm_struct elsewhere;

	POKE(w, w->child->active_mm, &elsewhere);
	POKE(w, w->child->mm, &elsewhere);
}

static void break_cpu_mm(struct world *w)
{
	POKE(w, w->m->rqs[0].loaded, w->child_mm);
}

static void break_prev_mm(struct world *w)
{
	POKE(w, w->m->rqs[0].prev_mm, w->child_mm);
}

static void break_cpu_mask_own(struct world *w)
{
	POKE(w, w->child_mm->cpu_vm_mask_var, &w->mm->cpu_vm_mask);
}

static void break_cpu_mask(struct world *w)
{
	POKE(w, w->child_mm->cpu_vm_mask, 1);
}

static struct tlb_entry *cached(struct world *w, u64 page)
{
	struct tlb *tlb = &w->m->rqs[0].tlb;

	for (unsigned int i = 0; i < TLB_SIZE; i++) {
		if ((tlb->used & 1u << i) && tlb->entries[i].addr == fx_addr(page))
			return &tlb->entries[i];
	}
	fail();
	return NULL;
}

static void break_tlb_mm(struct world *w)
{
	POKE(w, cached(w, 2)->mm, w->child_mm);
}

static void break_tlb_entry(struct world *w)
{
	pte_t *pte = entry_of(w, w->mm, 2);

	POKE(w, *pte, *pte & ~_PAGE_RW);
}

static void break_tlb_gone(struct world *w)
{
	POKE(w, cached(w, 2)->addr, fx_addr(200000));
}

static void break_tlb_tables(struct world *w)
{
	POKE(w, cached(w, 2)->tables[PT_PTE], (u32)w->parent->stack->pfn);
}

static void break_tlb_pdpte(struct world *w)
{
	POKE(w, w->m->rqs[0].tlb.pdpte[0], 0);
}

static void break_locks_held(struct world *w)
{
	POKE(w, w->m->locks_held, 1);
}

static void break_lock_classes(struct world *w)
{
	POKE(w, w->m->lock_classes, 1u << LOCK_mmap_sem);
}

static void break_lock_depth(struct world *w)
{
	POKE(w, w->m->lock_depth[LOCK_ptl], 3);
}

static void break_pgd_lock(struct world *w)
{
	POKE(w, w->m->pgd_lock.writer, true);
}

static void break_av_lock(struct world *w)
{
	POKE(w, w->anon->anon_vma->root->rwsem.writer, true);
}

static void break_i_mmap_lock(struct world *w)
{
	POKE(w, w->file->f_inode->i_data.i_mmap_rwsem.readers, 1);
}

static void break_committed(struct world *w)
{
	POKE(w, w->m->vm_committed_as, w->m->vm_committed_as + 3);
}

static void break_shmem_charge(struct world *w)
{
	POKE(w, w->file->f_inode->charged, 2);
}

static void break_nr_shmem(struct world *w)
{
	POKE(w, w->m->nr_shmem, 1);
}

static void break_file_dentry(struct world *w)
{
	POKE(w, w->file->f_inode->shmem, true);
}

static void break_page_refcount(struct world *w)
{
	struct page *page = page_of(w, w->mm, 0);

	POKE(w, page->_refcount.counter, page->_refcount.counter + 1);
}

static void break_cached_refcount(struct world *w)
{
	struct page *page = page_of(w, w->mm, 8);

	POKE(w, page->_refcount.counter, page->_refcount.counter - 1);
}

static void break_page_mapcount(struct world *w)
{
	POKE(w, page_of(w, w->mm, 0)->_mapcount, 1);
}

static void break_page_free_mapped(struct world *w)
{
	POKE(w, page_of(w, w->mm, 2)->type, PAGE_FREE);
}

static void break_page_table_mapped(struct world *w)
{
	pte_t *e = entry_of(w, w->mm, 2);

	POKE(w, *e, (*e & ~_PAGE_PFN_MASK) | table_of(w, w->mm, 2)->pfn << PAGE_SHIFT);
}

static void break_page_cache(struct world *w)
{
	struct address_space *mapping = &w->file->f_inode->i_data;

	POKE(w, mapping->nr_pages, mapping->nr_pages + 1);
}

static void break_slab_objects(struct world *w)
{
	struct kmem_cache *s = &w->m->caches[CACHE_anon_vma_chain];

	POKE(w, s->live, s->live + 1);
}

static void break_page_types(struct world *w)
{
	POKE(w, w->m->nr_alloc[PAGE_STACK], 0);
}

static void break_page_holder(struct world *w)
{
	POKE(w, w->child_mm->context.ldt, w->mm->context.ldt);
}

static void break_pages_in_use(struct world *w)
{
	POKE(w, w->m->pages_in_use, 1);
}

static void break_nr_pagetable(struct world *w)
{
	POKE(w, w->m->nr_pagetable, 0);
}

static void break_nr_mlock(struct world *w)
{
	POKE(w, w->m->nr_mlock, 1);
}

static void break_page_mlocked(struct world *w)
{
	POKE(w, w->m->zero_page->mlocked, true);
	POKE(w, w->m->nr_mlock, 1);
}

static void break_pgd_list(struct world *w)
{
	struct list_head *e = &w->child_mm->pgd->lru;

	POKE(w, e->prev->next, e->next);
	POKE(w, e->next->prev, e->prev);
}

static pte_t *huge_entry_of(struct world *w)
{
	struct page *pmd = pmd_lookup(w->m, w->mm, fx_addr(1024));

	return &((pte_t *)pmd->mem)[pt_index(&w->m->geo, pmd_level(&w->m->geo), fx_addr(1024))];
}

static void break_huge_entry(struct world *w)
{
	POKE(w, *huge_entry_of(w), *huge_entry_of(w) | _PAGE_SPECIAL);
}

static void break_huge_in_vma(struct world *w)
{
	struct vm_area_struct *vma = fx_vma(&w->fx, 1024);

	POKE(w, vma->vm_flags, vma->vm_flags | VM_SHARED);
}

static void break_huge_deposits(struct world *w)
{
	POKE(w, w->mm->pmd_huge_pte, NULL);
}

static void break_split_deposits(struct world *w)
{
	struct page *pmd = pmd_lookup(w->m, w->mm, fx_addr(1024));

	POKE(w, pmd->pmd_huge_pte, NULL);
}

static void break_unsplit_deposits(struct world *w)
{
	struct page *pmd = pmd_lookup(w->m, w->mm, fx_addr(1024));

	POKE(w, w->mm->pmd_huge_pte, pmd->pmd_huge_pte);
}

static void break_split_ptlock(struct world *w)
{
	POKE(w, table_of(w, w->mm, 0)->ptlock.writer, true);
}

static void break_huge_tail(struct world *w)
{
	struct page *page = pfn_to_page(w->m, pte_pfn(*huge_entry_of(w)) + 3);

	POKE(w, page->_refcount.counter, 1);
}

struct breakage {
	const char *row, *object, *expected, *actual; /* texts; NULL: any */
	void (*poke)(struct world *w);
	bool by_mm;	     /* fl_check_mm() of the parent's mm sees it, too */
	const char *options; /* NULL: the default machine */
};

#define ANON "mm#0 vma 0x20000000-0x20004000"
#define IDLE "mm#0 vma 0x20004000-0x20006000"
#define TEXT "mm#0 vma 0x20008000-0x2000c000"

static const struct breakage breakages[] = {
	{"huge_entry", NULL, "a huge page that is whole", NULL, break_huge_entry, true,
	 "thp=always"},
	{"huge_in_vma", NULL, "inside one anonymous private VMA", NULL, break_huge_in_vma, true,
	 "thp=always"},
	{"huge_deposits", "mm#0", "2", "0", break_huge_deposits, true, "thp=always"},
	{"huge_deposits", "mm#0", "2", "0", break_split_deposits, true,
	 "thp=always split_ptlocks=1"},
	{"huge_deposits", "mm#0", "0", "2", break_unsplit_deposits, true,
	 "thp=always split_ptlocks=1"},
	{"huge_tail", NULL, NULL, NULL, break_huge_tail, false, "thp=always"},
	{"list_order", "mm#0 vma 0x20000000-0x20006000", "a start above that of the VMA before",
	 "below or equal", break_list_order, true, NULL},
	{"list_links", IDLE, "vm_prev: the VMA before", "none", break_list_links, true, NULL},
	{"list_end", "mm#0", NULL, "no end", break_list_end, true, NULL},
	{"list_tree", "mm#0", NULL, NULL, break_list_tree, true, NULL},
	{"map_count", "mm#0", "5", "6", break_map_count, true, NULL},
	{"vma_range", "mm#0 vma 0x20004000-0x20005fff", NULL, NULL, break_vma_range, true, NULL},
	{"vma_mm", NULL, "vm_mm: the mm that lists it", "another mm", break_vma_mm, true, NULL},
	{"rb_shape", "mm#0", "a red-black tree", NULL, break_rb_shape, true, NULL},
	{"rb_gap", ANON, NULL, NULL, break_rb_gap, true, NULL},
	{"highest_vm_end", "mm#0", "0x7ffffffff000", "0x7fffffffe000", break_highest_vm_end, true,
	 NULL},
	{"vmacache", "task pid 1", "0", "1", break_vmacache, true, NULL},
	{"overlap", "mm#0 vma 0x20004000-0x20006000", NULL, "below", break_overlap, true, NULL},
	{"vma_flags", IDLE, NULL, "VM_SHARED without VM_MAYSHARE", break_vma_flags, true, NULL},
	{"anon_pgoff", IDLE, "0x20004", "0x20005", break_anon_pgoff, true, NULL},
	{"i_mmap_member", TEXT, "in the interval tree of its file", "not there",
	 break_i_mmap_member, true, NULL},
	{"i_mmap_shape", "inode 1", "a red-black tree", NULL, break_i_mmap_shape, false, NULL},
	{"i_mmap_last", "inode 1", NULL, "0x63", break_i_mmap_last, false, NULL},
	{"i_mmap_nodes", "inode 1", "4", "0", break_i_mmap_nodes, false, NULL},
	{"list_tree", "mm#0", "4", "5", break_i_mmap_stale, true, NULL},
	{"i_mmap_writable", "inode 1", "0", "1", break_i_mmap_writable, false, NULL},
	{"i_writecount", "inode 1", "0", "-1", break_i_writecount, false, NULL},
	{"avc_list", ANON, "an entry that names this VMA and an anon_vma", NULL, break_avc_list,
	 true, NULL},
	{"avc_list", ANON, "anon_vma_chain: a ring", NULL, break_avc_ring, true, NULL},
	{"avc_in_tree", ANON, NULL, "one that is not", break_avc_in_tree, true, NULL},
	{"av_listed", ANON, "anon_vma on the chain", "not there", break_av_listed, true, NULL},
	{"av_listed", ANON, "0", "1", break_av_listed_none, true, NULL},
	{"av_root", "mm#1 vma 0x20000000-0x20004000", NULL, "two", break_av_root, false, NULL},
	{"av_shape", NULL, "a red-black tree", NULL, break_av_shape, true, NULL},
	{"av_last", NULL, NULL, "0", break_av_last, true, NULL},
	{"av_nodes", NULL, NULL, "another node", break_av_nodes, true, NULL},
	{"av_active", NULL, "1", "2", break_av_active, true, NULL},
	{"av_one_mm", NULL, NULL, "VMAs that differ in it", break_av_one_mm, true, NULL},
	{"hiwater_rss", "mm#0", "999", NULL, break_hiwater_rss, true, NULL},
	{"hiwater_vm", "mm#0", "9999", NULL, break_hiwater_vm, true, NULL},
	{"av_children", NULL, "2", "0", break_av_children, false, NULL},
	{"av_refcount", NULL, "2", "1", break_av_refcount, false, NULL},
	{"page_anon_vma", "mm#0 address 0x20000000", NULL, "not there", break_page_anon_vma, true,
	 NULL},
	{"page_index", "mm#0 address 0x20002000", "0x20002", "0x7", break_page_index, true, NULL},
	{"page_mapping", "mm#0 address 0x20008000", NULL, NULL, break_page_mapping, true, NULL},
	{"nr_ptes", "mm#0", "2", "3", break_nr_ptes, true, NULL},
	{"nr_pmds", "mm#0", "2", "1", break_nr_pmds, true, NULL},
	{"nr_pmds", "mm#0", "4", "3", break_nr_pmds, true, "levels=3"},
	{"nr_pmds", "mm#0", "3", "2", break_nr_pmds, true, "levels=3 kernel_pmd=shared"},
	{"table_entry", "mm#0 address 0x20000000", NULL, NULL, break_table_entry, true, NULL},
	{"table_entry", "mm#0 address 0x20000000", NULL, NULL, break_table_frame, true, NULL},
	{"kernel_entries", "mm#0", "240", "239", break_kernel_entries, true, NULL},
	{"kernel_entries", "mm#0", "1", "0", break_kernel_entries, true,
	 "levels=3 kernel_pmd=shared"},
	{"kernel_pmd", "mm#0", "512", "511", break_kernel_pmd, true, "levels=3"},
	{"pgd_user", "mm#0", "272", "271", break_pgd_user, true, "paravirt=xen"},
	{"pte_in_vma", "mm#0 address 0x20014000", NULL, "outside", break_pte_in_vma, true, NULL},
	{"pte_decodes", "mm#0 address 0x20000000", NULL, NULL, break_pte_decodes, true, NULL},
	{"pte_swap", "mm#0 address 0x20000000", "a slot in use", NULL, break_pte_swap, true,
	 "swap=16"},
	{"pte_swap", "mm#0 address 0x20004000", "in a private VMA with an anon_vma", NULL,
	 break_pte_swap_vma, true, "swap=16"},
	{"rss_swap", "mm#0", "2", "3", break_rss_swap, true, "swap=16"},
	{"mmlist", "machine", "a ring of mms", NULL, break_mmlist, false, "swap=16"},
	{"mmlist", "machine", "mms that have users", NULL, break_mmlist_dead, false, "swap=16"},
	{"mmlist_member", "mm#0", "on the ring", NULL, break_mmlist_member, false, "swap=16"},
	{"swap_count", "swap slot 1", "2", "3", break_swap_count, false, "swap=16"},
	{"swap_digits", "swap slot 1", NULL, NULL, break_swap_digits, false, "swap=16"},
	{"swap_digits", "swap slot 1", NULL, NULL, break_swap_digit_range, false, "swap=16"},
	{"swap_cache", "swap slot 1", NULL, NULL, break_swap_cache, false, "swap=16"},
	{"swap_cache", NULL, "the cached page of the slot that it names", "not",
	 break_swap_cached_page, false, "swap=16"},
	{"swap_inuse", "machine", "2", "3", break_swap_inuse, false, "swap=16"},
	{"swap_inuse", "machine", "no free slot below lowest_bit", "one", break_swap_lowest, false,
	 "swap=16"},
	{"shared_locks", "machine", "swap_lock and mmlist_lock: free", "held", break_swap_lock,
	 false, "swap=16"},
	{"table_span", "mm#0 address 0x25000000", NULL, "none", break_table_span, true, NULL},
	{"nr_entries", NULL, NULL, NULL, break_nr_entries, true, NULL},
	{"table_sum", NULL, NULL, NULL, break_table_sum, true, NULL},
	{"table_lines", NULL, NULL, "0", break_table_lines, true, NULL},
	{"pte_write", "mm#0 address 0x20008000", "read-only", "writable", break_pte_write, true,
	 NULL},
	{"pte_cow", "mm#0 address 0x20000000", NULL, "writable", break_pte_cow, true, NULL},
	{"pte_user", "mm#0 address 0x20000000", NULL, "clear", break_pte_user, true, NULL},
	{"pte_prot_none", "mm#0 address 0x20000000", "open", "closed", break_pte_prot_none, true,
	 NULL},
	{"pte_prot_none", "mm#0 address 0x20000000", "closed", "open", break_pte_open, true, NULL},
	{"pte_exec", "mm#0 address 0x20000000", "not executable", "executable", break_pte_exec,
	 true, NULL},
	{"shared_dirty", "mm#0 address 0x20008000", NULL, "a clean one", break_shared_dirty, true,
	 NULL},
	{"vma_special", NULL, NULL, "something else", break_vma_special, true, "vdso=1"},
	{"vma_special", NULL, NULL, "something else", break_vma_special_grows, true, "vdso=1"},
	{"page_special", NULL, NULL, "another one", break_page_special, true, "vdso=1"},
	{"pte_pfnmap", NULL, NULL, NULL, break_pte_pfnmap, true, "vdso=1"},
	{"pte_pfnmap", NULL, NULL, NULL, break_pte_pfnmap_place, true, "vdso=1"},
	{"ioctx_table", "mm#0", NULL, "another", break_ioctx_table, false, NULL},
	{"ioctx_table", "mm#1", NULL, "another", break_ioctx_table_of_dead, false, NULL},
	{"ioctx_slot", "mm#0", NULL, "not so", break_ioctx_slot, false, NULL},
	{"ioctx_slot", "mm#0", NULL, "not so", break_ioctx_dead, false, NULL},
	{"ioctx_refs", "mm#0", "1", "2", break_ioctx_users, false, NULL},
	{"ioctx_refs", "mm#0", "3", "2", break_ioctx_reqs, false, NULL},
	{"ioctx_refs", "mm#0", NULL, "one of another", break_ioctx_request, false, NULL},
	{"ioctx_refs", "mm#0", "a ring of requests", NULL, break_ioctx_requests, false, NULL},
	{"ioctx_ring", "mm#0", NULL, "none, or another", break_ioctx_file, false, NULL},
	{"ioctx_ring", "mm#0", NULL, NULL, break_ioctx_nr_pages, false, NULL},
	{"ioctx_ring", NULL, NULL, "another one", break_ioctx_page, false, NULL},
	{"ioctx_free_work", "machine", NULL, "one", break_ioctx_free_work, false, NULL},
	{"aio_nr", "machine", "0", "1", break_aio_nr, false, NULL},
	{"mm_locks", "mm#0", "ioctx_lock: free", "held", break_ioctx_lock, true, NULL},
	{"xol_area", "mm#0", NULL, "not so", break_xol_page, false, NULL},
	{"xol_area", "mm#1", NULL, "not so", break_xol_area_of_dead, false, NULL},
	{"xol_slots", "mm#0", NULL, NULL, break_xol_slots, false, NULL},
	{"xol_slots", "mm#0", NULL, NULL, break_xol_slot_count, false, NULL},
	{"utask_depth", "task pid 1", "2", "3", break_utask_depth, false, NULL},
	{"utask_depth", "task pid 3", NULL, "something", break_utask_kthread, false, NULL},
	{"total_vm", "mm#0", NULL, NULL, break_total_vm, true, NULL},
	{"shared_vm", "mm#0", "6", "7", break_shared_vm, true, NULL},
	{"exec_vm", "mm#0", "4", "5", break_exec_vm, true, NULL},
	{"stack_vm", "mm#0", NULL, NULL, break_stack_vm, true, NULL},
	{"locked_vm", "mm#0", "0", "1", break_locked_vm, true, NULL},
	{"pinned_vm", "mm#0", "0", "1", break_pinned_vm, true, NULL},
	{"rss_file", "mm#0", "2", "3", break_rss_file, true, NULL},
	{"rss_anon", "mm#0", NULL, NULL, break_rss_anon, true, NULL},
	{"rss_swap", "mm#0", "0", "1", break_rss_swap, true, NULL},
	{"owner", "mm#0", NULL, NULL, break_owner, true, NULL},
	{"mm_locks", "mm#0", "page_table_lock: free", "held", break_mm_locks, true, NULL},
	{"mm_locks", "mm#0", "mmap_sem: free", "held", break_mm_read_lock, true, NULL},
	{"mm_locks", NULL, "lock of the table: free", "held", break_ptl, true, "ptl_objects=1"},
	{"mm_locks", NULL, "lock of the table: free", "held", break_split_ptlock, true,
	 "split_ptlocks=1"},
	{"mm_quiet", "mm#0", "no flush pending", "one pending", break_mm_quiet, true, NULL},
	{"check_alerts", "machine", "0", "1", break_check_alerts, false, NULL},
	{"file_refs", "file#0 of inode 1", "5", "4", break_file_refs, false, NULL},
	{"file_list", "machine", "a ring of files", NULL, break_file_list, false, NULL},
	{"page_holder", "machine", "a page of zeroes", "none", break_zero_page, false, NULL},
	{"file_list", "machine", "a live inode of each file", "none", break_file_inode, false,
	 NULL},
	{"inode_refs", "inode 1", "1", "2", break_inode_refs, false, NULL},
	{"module_refs", "module of binary format 0", "2", "3", break_module_refs, false, NULL},
	{"vma_uffd", NULL, "none, or one of its mm, as its flags say", "not so", break_vma_uffd,
	 true, NULL},
	{"vma_uffd", NULL, NULL, NULL, break_vma_uffd_flag, true, NULL},
	{"vma_uffd", NULL, NULL, NULL, break_vma_uffd_of_file, true, NULL},
	{"vma_uffd", NULL, NULL, NULL, break_vma_uffd_of_other_mm, false, NULL},
	{"uffd_file", "machine", "files of userfaultfds", "another one", break_uffd_slot, false,
	 NULL},
	{"uffd_file", "machine", "3", "2", break_uffd_twice, false, NULL},
	{"uffd_file", "machine", "2", "1", break_uffd_lost, false, NULL},
	{"uffd_refs", "machine", "1", "2", break_uffd_refs, false, NULL},
	{"mm_holders", "machine", "userfaultfds of live mms", NULL, break_uffd_mm, false, NULL},
	{"mm_count", "mm#0", "2", "3", break_uffd_count, false, NULL},
	{"policy_refs", ANON, "1", "2", break_policy_refs, true, NULL},
	{"policy_refs", "task pid 2", "1", "2", break_policy_of_task, false, NULL},
	{"page_lazyfree", NULL, "a small anonymous page outside the swap cache", NULL,
	 break_page_lazyfree, false, NULL},
	{"memcg_page", NULL, "charged to a group, where there are groups", "not so",
	 break_memcg_page, false, NULL},
	{"memcg_page", NULL, "0", "1", break_memcg_file, false, NULL},
	{"memcg_usage", "machine", "0", "3", break_memcg_usage, false, NULL},
	{"memcg_usage", "machine", "0", "1", break_memcg_root, false, NULL},
	{"memcg_usage", "machine", "1", "0", break_memcg_group, false, NULL},
	{"mm_users", "mm#0", "1", "2", break_mm_users, true, NULL},
	{"mm_count", "mm#0", "1", "2", break_mm_count, false, NULL},
	{"mm_list", "machine", "3", "2", break_mm_list, false, NULL},
	{"mm_list", "machine", "a ring of mms", NULL, break_mm_ring, false, NULL},
	{"mm_in_use", NULL, "1", "0", break_mm_in_use, false, NULL},
	{"mm_in_use", "machine", "a kernel thread with the mm that it works in", "none, or without",
	 break_pin_user, false, NULL},
	{"core_state", "mm#0", "no core dump, or one of a task that has the mm", "something else",
	 break_core_state, true, NULL},
	{"core_users", "task pid 2", "not parked", "parked", break_core_users, false, NULL},
	{"core_users", "task pid 2", "parked: its mm is dumped", "not", break_core_parked, false,
	 NULL},
	{"mm_holders", "machine", "pins of live mms", "one of an mm that has been freed",
	 break_mm_holders, false, NULL},
	{"mm_slots", "machine", "slots of live mms that know of it", NULL, break_mm_slots, false,
	 "thp=always"},
	{"mm_slots", "machine", "1", "0", break_mm_slots_count, false, NULL},
	{"mm_slots", "machine", "slots of live mms that know of it", NULL, break_mm_slot_mm, false,
	 "thp=always"},
	{"mm_slots", "machine", "a ring of slots", NULL, break_mm_slots_ring, false, "thp=always"},
	{"mm_slots", "machine", "a cursor at one of the slots", NULL, break_mm_slots_cursor, false,
	 "thp=always"},
	{"shared_locks", "machine", "lock of a daemon's list: free", "held", break_mm_slots_lock,
	 false, NULL},
	{"notifier_open", "machine", "0", "2", break_notifier_open, false, NULL},
	{"notifier_list", "mm#0", "1", "0", break_notifier_list, false, NULL},
	{"notifier_released", "machine", "1", "2", break_notifier_released, false, NULL},
	{"task_usage", "task pid 2", "1", "2", break_task_usage, false, NULL},
	{"task_shares", "task pid 2", "1", "2", break_task_shares, false, NULL},
	{"task_shares", "task pid 1", "3", "2", break_task_shares_ns, false, NULL},
	{"task_shares_held", "task pid 2", NULL, NULL, break_task_shares_held, false, NULL},
	{"task_list", "machine", "2", "3", break_task_list, false, NULL},
	{"active_mm", "task pid 2", "active_mm: its mm", NULL, break_active_mm, false, NULL},
	{"active_mm", "task pid 2", "a live mm", NULL, break_active_mm_gone, false, NULL},
	{"cpu_mm", "cpu 0", "the tables of its task's active_mm", NULL, break_cpu_mm, false, NULL},
	{"cpu_mm", "cpu 0", NULL, "an mm", break_prev_mm, false, NULL},
	{"cpu_mask_own", "mm#1", "its own mask", "another one", break_cpu_mask_own, false,
	 "cpumask_offstack=1"},
	{"cpu_mask_own", "mm#1", "its own mask", "another one", break_cpu_mask_own, false, NULL},
	{"cpu_mask", "mm#1", "0", "0x1", break_cpu_mask, false, NULL},
	{"tlb_mm", "cpu 0", NULL, NULL, break_tlb_mm, true, NULL},
	{"tlb_entry", "mm#0 address 0x20002000", NULL, NULL, break_tlb_entry, true, NULL},
	{"tlb_entry", NULL, NULL, NULL, break_tlb_gone, true, NULL},
	{"tlb_tables", "cpu 0", NULL, NULL, break_tlb_tables, true, NULL},
	{"tlb_pdpte", "cpu 0", NULL, "0", break_tlb_pdpte, true, "levels=3"},
	{"locks_held", "machine", "0", "1", break_locks_held, false, NULL},
	{"locks_held", "machine", "0", "0x2", break_lock_classes, false, NULL},
	{"locks_held", "machine", "0", "3", break_lock_depth, false, NULL},
	{"shared_locks", "machine", "pgd_lock: free", "held", break_pgd_lock, false, NULL},
	{"shared_locks", NULL, "rwsem: free", "held", break_av_lock, false, NULL},
	{"shared_locks", "inode 1", "i_mmap_rwsem: free", "held", break_i_mmap_lock, false, NULL},
	{"committed", "machine", NULL, NULL, break_committed, false, NULL},
	{"shmem_charge", "inode 1", "0", "2", break_shmem_charge, false, NULL},
	{"nr_shmem", "machine", "0", "1", break_nr_shmem, false, NULL},
	{"file_dentry", "file#0 of inode 1", NULL, "not so", break_file_dentry, false, NULL},
	{"page_refcount", NULL, "2", "3", break_page_refcount, false, NULL},
	{"page_refcount", NULL, "3", "2", break_cached_refcount, false, NULL},
	{"page_mapcount", NULL, "2", "1", break_page_mapcount, false, NULL},
	{"page_free_mapped", "mm#0 address 0x20002000", NULL, "a free page", break_page_free_mapped,
	 true, NULL},
	{"page_free_mapped", "mm#0 address 0x20002000", NULL, "a page that is not a user's",
	 break_page_table_mapped, true, NULL},
	{"page_cache", "inode 1", NULL, NULL, break_page_cache, false, NULL},
	{"slab_objects", "slab cache anon_vma_chain", NULL, NULL, break_slab_objects, false, NULL},
	{"page_types", "pages of type stack", "3", "0", break_page_types, false, NULL},
	{"page_holder", NULL, "1", "2", break_page_holder, false, NULL},
	{"pages_in_use", "machine", NULL, "1", break_pages_in_use, false, NULL},
	{"nr_pagetable", "machine", "4", "0", break_nr_pagetable, false, NULL},
	{"nr_mlock", "machine", "0", "1", break_nr_mlock, false, NULL},
	{"page_mlocked", NULL, "entries that map it", "none, or no user page", break_page_mlocked,
	 false, NULL},
	{"pgd_list", "machine", "2", "1", break_pgd_list, false, NULL},
};

static unsigned int expect_text(const struct breakage *b, const char *what, const char *expected,
				const char *actual)
{
	if (!expected || !strcmp(expected, actual))
		return 0;
	print_error("%s: %s is \"%s\", not \"%s\"\n", b->row, what, actual, expected);
	return 1;
}

/* Returns how many things were not as the case says. */
static unsigned int run_breakage(const struct breakage *b)
{
	struct seen s = {.row = b->row};
	struct world w;
	unsigned int n, wrong = 0;

	world_create(&w, b->options);
	assert_sound(&w);
	b->poke(&w);
	n = fl_check_machine(w.m, on_violation, &s, NULL);
	assert_int_equal(n, s.all);
	if (s.matches) {
		wrong += expect_text(b, "object", b->object, s.first.object);
		wrong += expect_text(b, "expected", b->expected, s.first.expected);
		wrong += expect_text(b, "actual", b->actual, s.first.actual);
	} else {
		print_error("%s did not fire\n", b->row);
		wrong++;
	}
	if (b->by_mm) {
		s = (struct seen){.row = b->row};
		fl_check_mm(w.m, w.mm, on_violation, &s, NULL);
		if (!s.matches) {
			print_error("%s: not seen by fl_check_mm()\n", b->row);
			wrong++;
		}
	}
	unpoke(&w);
	assert_sound(&w);
	world_destroy(&w);
	return wrong;
}

static void each_row_fires(void **state)
{
	unsigned int wrong = 0;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(breakages); i++)
		wrong += run_breakage(&breakages[i]);
	assert_int_equal(wrong, 0);
}

static void each_row_has_a_case(void **state)
{
	(void)state;
	for (unsigned int r = 0; r < fl_nr_invariants; r++) {
		unsigned int cases = 0;

		for (unsigned int i = 0; i < ARRAY_SIZE(breakages); i++)
			cases += !strcmp(breakages[i].row, fl_invariants[r].name);
		if (!cases)
			fail_msg("no case for %s", fl_invariants[r].name);
		for (unsigned int q = 0; q < r; q++)
			assert_string_not_equal(fl_invariants[q].name, fl_invariants[r].name);
	}
}

static const char *const geometries[] = {
	NULL,
	"levels=3",
	"levels=3 kernel_pmd=shared",
	"swap=16",
	"paravirt=xen ptl_objects=1 cpus=2",
	"levels=2",
	"levels=5 paravirt=xen",
	"thp=always",
	"thp=always split_ptlocks=1",
	"vdso=1",
};

/* Sound machines are quiet, and no row is vacuous: each was evaluated in one of them. */
static void each_row_is_evaluated(void **state)
{
	u64 counts[256] = {0};
	struct world w;

	(void)state;
	assert_true(fl_nr_invariants <= ARRAY_SIZE(counts));
	for (unsigned int i = 0; i < ARRAY_SIZE(geometries); i++) {
		world_create(&w, geometries[i]);
		world_add_aio(&w);
		world_add_uprobes(&w);
		world_add_uffds(&w);
		assert_int_equal(notifier_register(&w.fx.cx, 0), 0);
		assert_int_equal(mm_pin(&w.fx.cx, 0, true), 0);
		assert_int_equal(mm_pin(&w.fx.cx, 1, false), 0);
		assert_sound(&w);
		fl_check_machine(w.m, NULL, NULL, counts);
		assert_int_equal(notifier_unregister(&w.fx.cx, 0), 0);
		assert_int_equal(mm_unpin(&w.fx.cx, 0), 0);
		assert_int_equal(mm_unpin(&w.fx.cx, 1), 0);
		world_destroy(&w);
	}
	for (unsigned int r = 0; r < fl_nr_invariants; r++) {
		if (!counts[r])
			fail_msg("%s was never evaluated", fl_invariants[r].name);
	}
}

/* An mm without users has VMA pointers that nobody may follow. */
static void dead_mm_is_not_walked(void **state)
{
	struct seen s = {0};
	struct world w;

	(void)state;
	world_create(&w, "cpus=2");
	fx_run(&w.fx, w.child);
	do_exit(&w.fx.cx);
	assert_int_equal(atomic_read(&w.child_mm->mm_users), 0);
	assert_int_equal(fl_check_machine(w.m, on_violation, &s, NULL), 0);
	assert_int_equal(fl_check_mm(w.m, w.child_mm, on_violation, &s, NULL), 0);
	world_destroy(&w);
}

/* A range sees what is in its tables and the mm's sums of VMAs; not what is elsewhere. */
static void ranges_are_looked_into(void **state)
{
	struct fl_range at = {FX_BASE, FX_BASE + PAGE_SIZE}, beside;
	struct seen s = {0};
	struct world w;

	(void)state;
	world_create(&w, "cpus=1");
	beside.start = FX_BASE + ((u64)w.m->geo.ptrs[PT_PTE] << PAGE_SHIFT);
	beside.end = beside.start + PAGE_SIZE;
	assert_int_equal(fl_check_ranges(w.m, w.mm, &at, 1, on_violation, &s, NULL), 0);

	s.row = "pte_cow";
	break_pte_cow(&w);
	assert_int_equal(fl_check_ranges(w.m, w.mm, &beside, 1, on_violation, &s, NULL), 0);
	assert_int_equal(fl_check_ranges(w.m, w.mm, &at, 0, on_violation, &s, NULL), 0);
	assert_int_equal(fl_check_ranges(w.m, w.mm, &at, 1, on_violation, &s, NULL), 1);
	assert_int_equal(s.matches, 1);
	assert_int_equal(fl_check_ranges(w.m, w.mm, NULL, 0, on_violation, &s, NULL), 1);
	unpoke(&w);

	s = (struct seen){.row = "map_count"};
	break_map_count(&w);
	assert_int_equal(fl_check_ranges(w.m, w.mm, &beside, 1, on_violation, &s, NULL), 1);
	unpoke(&w);
	world_destroy(&w);
}

/* What lies in a line that nobody has marked, only those see who read all of a table. */
static void marks_are_believed(void **state)
{
	struct seen s = {.row = "table_lines"};
	struct world w;
	pte_t *entries;

	(void)state;
	world_create(&w, "cpus=1");
	entries = table_of(&w, w.mm, 0)->mem;
	assert_int_equal(fl_check_marked(w.m, on_violation, &s, NULL), 0);
	POKE(&w, entries[w.m->geo.ptrs[PT_PTE] - 1u], entries[0]);
	assert_int_equal(fl_check_marked(w.m, on_violation, &s, NULL), 0);
	assert_true(fl_check_machine(w.m, on_violation, &s, NULL) > 0);
	assert_int_equal(s.matches, 1);
	unpoke(&w);
	POKE(&w, entries[0], 0);
	assert_true(fl_check_marked(w.m, on_violation, &s, NULL) > 0);
	unpoke(&w);
	world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_has_a_case),	  cmocka_unit_test(each_row_is_evaluated),
		cmocka_unit_test(each_row_fires),	  cmocka_unit_test(dead_mm_is_not_walked),
		cmocka_unit_test(ranges_are_looked_into), cmocka_unit_test(marks_are_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
