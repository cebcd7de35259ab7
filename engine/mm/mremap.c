/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mremap (facts §7.12, §19.6). A move makes a second VMA for the same pages, carries the entries
 * over and unmaps the old range. Until the last entry is over it can be taken back: the entries
 * return to tables that still exist, and it is the new range that is unmapped.
 */
#include "internal.h"

#define LATENCY_LIMIT (64 * PAGE_SIZE)
/* VMAs that a move may come to need: the copy, and the pieces of what it is cut out of. */
#define MOVE_VMAS 3

/* ---- entries -------------------------------------------------------------------------------- */

struct move {
	struct mm_struct *mm;
	struct vm_area_struct *vma; /* that the entries are taken from */
	bool need_rmap_locks;
	bool back; /* to where the entries came from: nothing is allocated */
};

/* Keeps a walk by reverse map from meeting neither copy: it may see the new VMA first. */
static void take_rmap_locks(struct ctx *cx, const struct move *mv)
{
	if (!mv->need_rmap_locks)
		return;
	if (mv->vma->vm_file)
		down_write(cx, &mv->vma->vm_file->f_inode->i_data.i_mmap_rwsem);
	if (mv->vma->anon_vma)
		down_write(cx, &mv->vma->anon_vma->root->rwsem);
}

static void drop_rmap_locks(struct ctx *cx, const struct move *mv)
{
	if (!mv->need_rmap_locks)
		return;
	if (mv->vma->anon_vma)
		up_write(cx, &mv->vma->anon_vma->root->rwsem);
	if (mv->vma->vm_file)
		up_write(cx, &mv->vma->vm_file->f_inode->i_data.i_mmap_rwsem);
}

/* Both ranges lie within one table each. */
static void move_ptes(struct ctx *cx, const struct move *mv, struct page *old_pt, u64 old_addr,
		      struct page *new_pt, u64 new_addr, u64 extent)
{
	const struct pt_geometry *geo = &cx->m->geo;
	fl_lock_t *old_ptl = pte_lockptr(cx, mv->mm, old_pt);
	fl_lock_t *new_ptl = pte_lockptr(cx, mv->mm, new_pt);
	bool force_flush = false;

	take_rmap_locks(cx, mv);
	double_pt_lock(cx, old_ptl, new_ptl);
	for (u64 off = 0; off < extent && old_pt->nr_entries; off += PAGE_SIZE) {
		unsigned int from = pt_index(geo, PT_PTE, old_addr + off);
		unsigned int to = pt_index(geo, PT_PTE, new_addr + off);
		pte_t pte = pt_get(old_pt, from);

		STEP(cx);
		if (pte_none(pte))
			continue;
		BUG_ON(cx, !pte_none(pt_get(new_pt, to)));
		pt_set(old_pt, from, 0);
		pt_set(new_pt, to, pte);
		force_flush = true;
	}
	sync_point(cx, page_tables_moved);
	/* Under the lock: who finds the entry at its new place may free its page (B-09). */
	if (force_flush)
		flush_tlb_range(cx, mv->mm, old_addr, old_addr + extent);
	double_pt_unlock(cx, old_ptl, new_ptl);
	drop_rmap_locks(cx, mv);
}

/*
 * A huge entry at `from` moves as it is when all of it goes to where a huge one can be, and else is
 * split. False: there is no memory for a table on the way.
 */
static bool move_or_split_huge(struct ctx *cx, const struct move *mv, u64 from, u64 to, u64 len,
			       bool *moved)
{
	const struct pt_geometry *geo = &cx->m->geo;
	struct page *pmd = pmd_lookup(cx->m, mv->mm, from);

	*moved = false;
	if (!pmd || !pmd_trans_huge(pt_get(pmd, pt_index(geo, pmd_level(geo), from))))
		return true;
	if (!((from | to) & (hpage_size(cx->m) - 1)) && len >= hpage_size(cx->m)) {
		pmd = mv->back ? pmd_lookup(cx->m, mv->mm, to) : pmd_alloc_map(cx, mv->mm, to);
		if (!pmd)
			return false;
		take_rmap_locks(cx, mv);
		*moved = move_huge_pmd(cx, mv->mm, from, to, pmd);
		drop_rmap_locks(cx, mv);
	}
	if (!*moved)
		split_huge_page_pmd(cx, mv->mm, from);
	return true;
}

/*
 * Returns how many bytes were dealt with: less than len when there was no memory for a table. Where
 * the way there skipped a range for want of a table or of entries, nothing can have to come back.
 */
static u64 move_page_tables(struct ctx *cx, const struct move *mv, u64 old_addr, u64 new_addr,
			    u64 len)
{
	u64 pmd_size = (u64)1 << cx->m->geo.shift[PT_PMD];
	u64 done, extent;

	if (!len)
		return 0;
	mmu_notifier_invalidate_range_start(cx, mv->mm, old_addr, old_addr + len);
	for (done = 0; done < len; done += extent) {
		u64 from = old_addr + done, to = new_addr + done;
		struct page *old_pt, *new_pt;
		bool moved;

		STEP(cx);
		if (cx->m->cfg.thp) {
			if (!move_or_split_huge(cx, mv, from, to, len - done, &moved))
				break;
			extent = hpage_size(cx->m);
			if (moved)
				continue;
		}
		extent = pte_table_span(cx->m, mv->mm, from, &old_pt);
		extent = min_u64(extent, len - done);
		if (!old_pt || !old_pt->nr_entries)
			continue;
		extent = min_u64(extent, pmd_size - (to & (pmd_size - 1)));
		extent = min_u64(extent, LATENCY_LIMIT);
		new_pt = mv->back ? pte_lookup(cx->m, mv->mm, to) : pte_alloc_map(cx, mv->mm, to);
		if (new_pt)
			move_ptes(cx, mv, old_pt, from, new_pt, to, extent);
		else if (!mv->back)
			break;
	}
	mmu_notifier_invalidate_range_end(cx, mv->mm);
	return min_u64(done, len);
}

/* ---- the VMA -------------------------------------------------------------------------------- */

/*
 * A VMA for [addr, addr + len) like *vmap, or one that this range was merged into; *vmap follows
 * when it was itself merged. NULL: no memory. Locks: mmap_sem write.
 */
static struct vm_area_struct *copy_vma(struct ctx *cx, struct vm_area_struct **vmap, u64 addr,
				       u64 len, pgoff_t pgoff, bool *need_rmap_locks)
{
	struct vm_area_struct *vma = *vmap, *new_vma, *prev;
	struct mm_struct *mm = vma->vm_mm;
	bool faulted_in_anon_vma = true;
	u64 vma_start = vma->vm_start;
	struct rb_node **link, *parent;
	int overlap;

	/* Without pages that know their place it can have the offset of its new address. */
	if (vma_is_anonymous(vma) && !vma->anon_vma) {
		pgoff = addr >> PAGE_SHIFT;
		faulted_in_anon_vma = false;
	}

	overlap = find_vma_links(cx, mm, addr, addr + len, &prev, &link, &parent);
	BUG_ON(cx, overlap);
	/* who the old place is registered with is not told of the new one */
	new_vma = vma_merge(cx, mm, prev, addr, addr + len, vma->vm_flags & ~VM_UFFD_MISSING,
			    vma->anon_vma, vma->vm_file, pgoff, vma->vm_policy, NULL);
	if (new_vma) {
		if (vma_start >= new_vma->vm_start && vma_start < new_vma->vm_end) {
			BUG_ON(cx, faulted_in_anon_vma);
			*vmap = vma = new_vma;
		}
		*need_rmap_locks = new_vma->vm_pgoff <= vma->vm_pgoff;
		return new_vma;
	}

	new_vma = kmem_cache_alloc(cx, CACHE_vm_area_struct, SITE_copy_vma_vma, GFP_KERNEL);
	if (!new_vma)
		goto out;
	*new_vma = *vma;
	new_vma->vm_flags &= ~VM_UFFD_MISSING;
	new_vma->vm_userfaultfd_ctx = NULL;
	new_vma->vm_start = addr;
	new_vma->vm_end = addr + len;
	new_vma->vm_pgoff = pgoff;
	new_vma->vm_next = new_vma->vm_prev = NULL;
	new_vma->vm_rb = (struct rb_node){0};
	new_vma->shared.rb = (struct rb_node){0};
	INIT_LIST_HEAD(&new_vma->anon_vma_chain);
	if (vma_dup_policy(cx, vma, new_vma, SITE_copy_vma_policy))
		goto out_free_vma;
	if (anon_vma_clone(cx, new_vma, vma))
		goto out_free_mempol;
	if (new_vma->vm_file)
		get_file(cx, new_vma->vm_file);
	vma_link(cx, mm, new_vma, prev, link, parent);
	/* Linked behind the old one at every anon_vma and file: a walk meets the old one first. */
	*need_rmap_locks = false;
	return new_vma;

out_free_mempol:
	mpol_put(cx, new_vma->vm_policy);
out_free_vma:
	kmem_cache_free(cx, CACHE_vm_area_struct, new_vma);
out:
	return NULL;
}

/* Whoever mapped it that way is told where it has gone, and may refuse. */
static int vma_mremap(struct ctx *cx, struct vm_area_struct *vma)
{
	if (!vma->vm_file || !vma->vm_file->f_inode->aio_ring)
		return 0;
	if (fl_should_fail(cx, SITE_mremap_hook, GFP_KERNEL))
		return -EINVAL;
	return aio_ring_mremap(cx, vma);
}

/*
 * Returns new_addr, or an errno with everything where it was, except as facts §19.6 has it: when
 * the range that is to go cannot be cut out of its VMA for want of memory, it stays, without pages
 * and without a charge. Locks: mmap_sem write.
 */
static u64 move_vma(struct ctx *cx, struct vm_area_struct *vma, u64 old_addr, u64 old_len,
		    u64 new_len, u64 new_addr, bool *locked)
{
	struct mm_struct *mm = vma->vm_mm;
	struct move mv = {.mm = mm};
	u32 vm_flags = vma->vm_flags;
	struct vm_area_struct *new_vma;
	u64 moved_len, excess = 0, hiwater_vm;
	bool split = false;
	int err = 0;

	if (over_limit(cx, SITE_move_vma_map_count,
		       (u64)mm->map_count + MOVE_VMAS >= cx->m->cfg.max_map_count))
		return (u64)-ENOMEM;

	new_vma = copy_vma(cx, &vma, new_addr, new_len, linear_page_index(vma, old_addr),
			   &mv.need_rmap_locks);
	if (!new_vma)
		return (u64)-ENOMEM;

	mv.vma = vma;
	moved_len = move_page_tables(cx, &mv, old_addr, new_addr, old_len);
	if (moved_len < old_len)
		err = -ENOMEM;
	else
		err = vma_mremap(cx, new_vma);
	if (err) {
		mv = (struct move){mm, new_vma, true, true};
		move_page_tables(cx, &mv, new_addr, old_addr, moved_len);
		vma = new_vma;
		old_len = new_len;
		old_addr = new_addr;
		new_addr = (u64)err;
	}

	/* What is unmapped now keeps its charge: it has become, or is still, that of the other. */
	if (vm_flags & VM_ACCOUNT) {
		vma->vm_flags &= ~VM_ACCOUNT;
		excess = vma->vm_end - vma->vm_start - old_len;
		split = old_addr > vma->vm_start && old_addr + old_len < vma->vm_end;
	}

	/* For a moment both are mapped; that is no peak. */
	hiwater_vm = mm->hiwater_vm;
	vm_stat_account(mm, vm_flags, vma->vm_file, (s64)(new_len >> PAGE_SHIFT));
	if (vm_flags & VM_LOCKED)
		mm->locked_vm += new_len >> PAGE_SHIFT;
	if (do_munmap(cx, mm, old_addr, old_len)) {
		vm_unacct_memory(cx, excess >> PAGE_SHIFT);
		excess = 0;
	}
	mm->hiwater_vm = hiwater_vm;

	if (excess) {
		vma->vm_flags |= VM_ACCOUNT;
		if (split)
			vma->vm_next->vm_flags |= VM_ACCOUNT;
	}
	*locked = !IS_ERR_VALUE(new_addr) && (vm_flags & VM_LOCKED);
	return new_addr;
}

/* ---- the call ------------------------------------------------------------------------------- */

/*
 * The VMA that [addr, addr + old_len) lies in, if it may become new_len bytes, with the charge for
 * what is new in *charged, in pages. NULL: *err says why not.
 */
static struct vm_area_struct *vma_to_resize(struct ctx *cx, struct mm_struct *mm, u64 addr,
					    u64 old_len, u64 new_len, u64 *charged, int *err)
{
	struct vm_area_struct *vma = find_vma(cx, mm, addr);
	u64 grow = (new_len - old_len) >> PAGE_SHIFT;

	*err = -EFAULT;
	if (!vma || vma->vm_start > addr)
		return NULL;
	if (old_len > vma->vm_end - addr)
		return NULL;
	if (!old_len && !(vma->vm_flags & VM_MAYSHARE) && differs(cx, DIFF_mremap_no_fresh)) {
		*err = -EINVAL;
		return NULL;
	}
	if (new_len == old_len)
		return vma;

	/* Offsets cannot wrap: those of files are bytes, and 64 bits count them. */
	if (vma->vm_flags & (VM_DONTEXPAND | VM_PFNMAP))
		return NULL;
	*err = mlock_future_check(cx, mm, vma->vm_flags, new_len - old_len, SITE_mremap_memlock);
	if (*err)
		return NULL;
	*err = -ENOMEM;
	if (over_limit(cx, SITE_mremap_as, !may_expand_vm(cx, mm, vma->vm_flags, grow)))
		return NULL;
	if (vma->vm_flags & VM_ACCOUNT) {
		if (security_vm_enough_memory_mm(cx, mm, grow, SITE_mremap_acct))
			return NULL;
		*charged = grow;
	}
	return vma;
}

/* Is the room behind vma free, and below task_size? */
static bool vma_expandable(struct ctx *cx, const struct vm_area_struct *vma, u64 delta)
{
	u64 end = vma->vm_end + delta;

	if (end < vma->vm_end)
		return false;
	if (vma->vm_next && vma->vm_next->vm_start < end)
		return false;
	return !IS_ERR_VALUE(
		get_unmapped_area(cx, vma->vm_mm, vma->vm_start, end - vma->vm_start, MAP_FIXED));
}

/* With MREMAP_FIXED. What was at the destination is gone from its first step on. */
static u64 mremap_to(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 old_len, u64 new_addr,
		     u64 new_len, bool *locked)
{
	u64 task_size = cx->m->geo.task_size, charged = 0, ret;
	struct vm_area_struct *vma;
	int err;

	if (offset_in_page(new_addr))
		return (u64)-EINVAL;
	if (new_len > task_size || new_addr > task_size - new_len)
		return (u64)-EINVAL;
	if (addr + old_len > new_addr && new_addr + new_len > addr)
		return (u64)-EINVAL;

	if (differs(cx, DIFF_mremap_counts_first) &&
	    over_limit(cx, SITE_mremap_to_map_count,
		       (u64)mm->map_count + 5 >= cx->m->cfg.max_map_count))
		return (u64)-ENOMEM;
	if (differs(cx, DIFF_mremap_needs_vma) && !find_vma_intersection(cx, mm, addr, addr + 1))
		return (u64)-EFAULT;

	err = do_munmap(cx, mm, new_addr, new_len);
	if (err)
		return (u64)err;
	if (old_len > new_len) {
		err = do_munmap(cx, mm, addr + new_len, old_len - new_len);
		if (err)
			return (u64)err;
		old_len = new_len;
	}

	vma = vma_to_resize(cx, mm, addr, old_len, new_len, &charged, &err);
	if (!vma)
		return (u64)err;
	ret = move_vma(cx, vma, addr, old_len, new_len, new_addr, locked);
	if (IS_ERR_VALUE(ret))
		vm_unacct_memory(cx, charged);
	return ret;
}

/* False: vma is as it was. */
static bool grow_and_merge(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma,
			   u64 end)
{
	if (!differs(cx, DIFF_mremap_grow_merges) || !vma->vm_next || vma->vm_next->vm_start != end)
		return false;
	return vma_merge(cx, mm, vma, vma->vm_end, end, vma->vm_flags, vma->anon_vma, vma->vm_file,
			 vma->vm_pgoff + vma_pages(vma), vma->vm_policy, vma->vm_userfaultfd_ctx);
}

static u64 do_mremap(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 old_len, u64 new_len,
		     u32 flags, bool *locked)
{
	struct vm_area_struct *vma;
	u64 charged = 0, ret;
	int err;

	if (old_len >= new_len) {
		if (differs(cx, DIFF_mremap_needs_vma) &&
		    !find_vma_intersection(cx, mm, addr, addr + 1))
			return (u64)-EFAULT;
		err = do_munmap(cx, mm, addr + new_len, old_len - new_len);
		/* Of nothing: that nothing was there, not even at addr, is not an error in 4.4. */
		return err && old_len != new_len ? (u64)err : addr;
	}

	vma = vma_to_resize(cx, mm, addr, old_len, new_len, &charged, &err);
	if (!vma)
		return (u64)err;

	if (old_len == vma->vm_end - addr && vma_expandable(cx, vma, new_len - old_len)) {
		u64 pages = (new_len - old_len) >> PAGE_SHIFT;

		if (!grow_and_merge(cx, mm, vma, addr + new_len)) {
			err = vma_adjust(cx, vma, vma->vm_start, addr + new_len, vma->vm_pgoff,
					 NULL);
			BUG_ON(cx, err); /* nothing is taken from a neighbour */
		}
		vm_stat_account(mm, vma->vm_flags, vma->vm_file, (s64)pages);
		if (vma->vm_flags & VM_LOCKED) {
			mm->locked_vm += pages;
			*locked = true;
		}
		return addr;
	}

	ret = (u64)-ENOMEM;
	if (flags & MREMAP_MAYMOVE) {
		ret = get_unmapped_area(cx, mm, 0, new_len,
					vma->vm_file ? 0 : MAP_PRIVATE | MAP_ANONYMOUS);
		if (!IS_ERR_VALUE(ret))
			ret = move_vma(cx, vma, addr, old_len, new_len, ret, locked);
	}
	if (IS_ERR_VALUE(ret))
		vm_unacct_memory(cx, charged);
	return ret;
}

s64 sys_mremap(struct ctx *cx, u64 addr, u64 old_len, u64 new_len, u32 flags, u64 new_addr)
{
	struct mm_struct *mm = cx->curr->mm;
	bool locked = false;
	u64 ret;

	if (!mm || flags & ~(MREMAP_FIXED | MREMAP_MAYMOVE))
		return -EINVAL;
	if ((flags & MREMAP_FIXED) && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if (offset_in_page(addr))
		return -EINVAL;
	old_len = PAGE_ALIGN(old_len);
	new_len = PAGE_ALIGN(new_len);
	if (!new_len)
		return -EINVAL;
	if (new_len > cx->m->geo.task_size && differs(cx, DIFF_mremap_len_checked))
		return -EINVAL;

	if (mmap_lock_killable(cx, mm, SITE_mmap_lock))
		return -EINTR;
	if (flags & MREMAP_FIXED)
		ret = mremap_to(cx, mm, addr, old_len, new_addr, new_len, &locked);
	else
		ret = do_mremap(cx, mm, addr, old_len, new_len, flags, &locked);
	up_write(cx, &mm->mmap_sem);
	if (locked && new_len > old_len)
		mm_populate(cx, mm, ret + old_len, new_len - old_len);
	return (s64)ret;
}
