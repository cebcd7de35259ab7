/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page faults, and the loads and stores that cause them (facts §11). Each handler gets all it needs
 * before it changes an entry, a counter or a page; tables made on the way stay.
 */
#include "internal.h"

/* One fault, as its handlers see it. */
struct vm_fault {
	struct mm_struct *mm;
	struct vm_area_struct *vma;
	u64 addr; /* of the page */
	bool write;
	struct page *pt; /* PTE table */
	unsigned int idx;
	pte_t entry; /* found there */
};

static struct page *alloc_user_page(struct ctx *cx, enum fl_site site)
{
	return alloc_pages(cx, site, GFP_KERNEL | __GFP_ZERO | __GFP_TAG, 0, PAGE_ANON);
}

/* A store through a VMA without VM_WRITE breaks sharing, but gives no permission to the next one.
 */
static pte_t maybe_mkwrite(pte_t pte, const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_WRITE ? pte | _PAGE_RW : pte;
}

void set_new_anon_pte(struct ctx *cx, struct vm_area_struct *vma, u64 addr, struct page *pt,
		      struct page *page)
{
	BUG_ON(cx, !vma->anon_vma);
	vma->vm_mm->rss_stat[MM_ANONPAGES]++;
	page_add_new_anon_rmap(page, vma, addr);
	if ((vma->vm_flags & (VM_LOCKED | VM_SPECIAL)) == VM_LOCKED)
		mlock_vma_page(cx, page);
	pt_set(pt, pt_index(&cx->m->geo, PT_PTE, addr),
	       maybe_mkwrite(mk_pte(page, vma->vm_page_prot) | _PAGE_DIRTY, vma));
}

static void add_new_anon_page(struct ctx *cx, const struct vm_fault *vmf, struct page *page)
{
	set_new_anon_pte(cx, vmf->vma, vmf->addr, vmf->pt, page);
}

static unsigned int do_anonymous_page(struct ctx *cx, const struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct page *page;

	/* The lowest page of a stack is for nobody: a fault on it asks for one more below. */
	if (check_stack_guard_page(cx, vma, vmf->addr))
		return VM_FAULT_SIGSEGV;

	if (!vmf->write) {
		if (userfaultfd_missing(vma))
			return handle_userfault(cx, vma);
		spin_lock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));
		pt_set(vmf->pt, vmf->idx,
		       mk_pte(cx->m->zero_page, vma->vm_page_prot | _PAGE_SPECIAL));
		spin_unlock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));
		return 0;
	}

	if (anon_vma_prepare(cx, vma))
		return VM_FAULT_OOM;
	page = alloc_user_page(cx, SITE_anon_page);
	if (!page)
		return VM_FAULT_OOM;
	if (mem_cgroup_try_charge(cx, page, vmf->mm, SITE_anon_charge)) {
		put_page(cx, page);
		return VM_FAULT_OOM;
	}
	/* As in 4.4 only now: memory comes first. */
	if (userfaultfd_missing(vma)) {
		put_page(cx, page);
		return handle_userfault(cx, vma);
	}

	spin_lock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));
	add_new_anon_page(cx, vmf, page);
	spin_unlock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));
	return 0;
}

/* The page of the VMA's object with a new reference, or NULL with the reason in *fault. */
static struct page *__do_fault(struct ctx *cx, const struct vm_fault *vmf, unsigned int *fault)
{
	struct vm_area_struct *vma = vmf->vma;
	pgoff_t pgoff = linear_page_index(vma, vmf->addr);

	if (vma->vm_private_data)
		return special_mapping_fault(cx, vma, pgoff, fault);
	if (vma->vm_file->f_inode->shmem)
		return shmem_fault(cx, vma, pgoff, fault);
	return filemap_fault(cx, vma, pgoff, fault);
}

/* Maps a page of the cache; the fault's reference becomes the entry's. */
static void map_file_page(struct ctx *cx, const struct vm_fault *vmf, struct page *page,
			  pte_t entry)
{
	spin_lock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));
	vmf->mm->rss_stat[MM_FILEPAGES]++;
	page_add_rmap(page);
	pt_set(vmf->pt, vmf->idx, entry);
	spin_unlock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));
}

static unsigned int do_read_fault(struct ctx *cx, const struct vm_fault *vmf)
{
	unsigned int ret;
	struct page *page = __do_fault(cx, vmf, &ret);

	if (page)
		map_file_page(cx, vmf, page, mk_pte(page, vmf->vma->vm_page_prot));
	return ret;
}

static unsigned int do_cow_fault(struct ctx *cx, const struct vm_fault *vmf)
{
	struct page *new_page, *fault_page;
	unsigned int ret = VM_FAULT_OOM;

	if (anon_vma_prepare(cx, vmf->vma))
		goto out;
	new_page = alloc_user_page(cx, SITE_cow_page);
	if (!new_page)
		goto out;
	if (mem_cgroup_try_charge(cx, new_page, vmf->mm, SITE_cow_charge))
		goto uncharge_out;
	fault_page = __do_fault(cx, vmf, &ret);
	if (!fault_page)
		goto uncharge_out;

	page_set_tag(new_page, page_tag(fault_page));
	spin_lock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));
	add_new_anon_page(cx, vmf, new_page);
	spin_unlock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));
	put_page(cx, fault_page);
	return ret;

uncharge_out:
	put_page(cx, new_page);
out:
	return ret;
}

static unsigned int do_shared_fault(struct ctx *cx, const struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned int ret;
	struct page *page = __do_fault(cx, vmf, &ret);

	if (page) {
		map_file_page(cx, vmf, page,
			      maybe_mkwrite(mk_pte(page, vma->vm_page_prot) | _PAGE_DIRTY, vma));
		page->dirty = true;
	}
	return ret;
}

static unsigned int do_fault(struct ctx *cx, const struct vm_fault *vmf)
{
	if (!vmf->write)
		return do_read_fault(cx, vmf);
	if (!(vmf->vma->vm_flags & VM_SHARED))
		return do_cow_fault(cx, vmf);
	return do_shared_fault(cx, vmf);
}

static unsigned int wp_page_reuse(struct ctx *cx, const struct vm_fault *vmf)
{
	spin_lock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));
	pt_set(vmf->pt, vmf->idx,
	       maybe_mkwrite(vmf->entry | _PAGE_ACCESSED | _PAGE_DIRTY, vmf->vma));
	spin_unlock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));
	return 0;
}

/* The store that a page of a file was mapped read-only to learn of. */
static unsigned int wp_page_shared(struct ctx *cx, const struct vm_fault *vmf,
				   struct page *old_page)
{
	BUG_ON(cx, !old_page || old_page->type != PAGE_FILE);
	old_page->dirty = true;
	return wp_page_reuse(cx, vmf);
}

/* old_page is NULL for the zero page. */
static unsigned int wp_page_copy(struct ctx *cx, const struct vm_fault *vmf, struct page *old_page)
{
	struct page *new_page;

	if (anon_vma_prepare(cx, vmf->vma))
		return VM_FAULT_OOM;
	new_page = alloc_user_page(cx, SITE_cow_page);
	if (!new_page)
		return VM_FAULT_OOM;
	if (old_page)
		page_set_tag(new_page, page_tag(old_page));
	if (mem_cgroup_try_charge(cx, new_page, vmf->mm, SITE_cow_charge)) {
		put_page(cx, new_page);
		return VM_FAULT_OOM;
	}

	mmu_notifier_invalidate_range_start(cx, vmf->mm, vmf->addr, vmf->addr + PAGE_SIZE);
	spin_lock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));
	if (old_page)
		vmf->mm->rss_stat[old_page->type == PAGE_ANON ? MM_ANONPAGES : MM_FILEPAGES]--;
	/* Nobody may read the old page through this entry once somebody writes the new one. */
	pt_set(vmf->pt, vmf->idx, 0);
	flush_tlb_page(cx, vmf->mm, vmf->addr);
	add_new_anon_page(cx, vmf, new_page);
	if (old_page)
		page_remove_rmap(cx, old_page);
	spin_unlock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));
	mmu_notifier_invalidate_range_end(cx, vmf->mm);

	if (old_page && (vmf->vma->vm_flags & VM_LOCKED))
		munlock_vma_page(cx, old_page);
	if (old_page)
		put_page(cx, old_page);
	return 0;
}

/* A store met an entry that does not allow it, in a VMA that does. */
static unsigned int do_wp_page(struct ctx *cx, const struct vm_fault *vmf)
{
	const u32 shared_writable = VM_WRITE | VM_SHARED;
	struct page *old_page = NULL;

	if (!(vmf->entry & _PAGE_SPECIAL)) {
		old_page = pfn_to_page(cx->m, pte_pfn(vmf->entry));
		BUG_ON(cx, !old_page);
	}
	if ((vmf->vma->vm_flags & shared_writable) == shared_writable)
		return wp_page_shared(cx, vmf, old_page);
	if (old_page && old_page->type == PAGE_ANON && reuse_swap_page(cx, old_page)) {
		/* The others have gone: the page is this VMA's alone, and found by its anon_vma. */
		BUG_ON(cx, !vmf->vma->anon_vma);
		old_page->anon_vma = vmf->vma->anon_vma;
		return wp_page_reuse(cx, vmf);
	}
	return wp_page_copy(cx, vmf, old_page);
}

/*
 * The one fault that may fail half-way: once the page is back, a store may still lack the memory
 * for a copy of it. Whether a page is in memory or in swap is nothing that user space sees.
 */
static unsigned int do_swap_page(struct ctx *cx, struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	u32 slot = pte_to_swp_entry(vmf->entry);
	bool major, write = vmf->write, exclusive = false;
	struct page *page = swapin(cx, slot, SITE_swap_page, &major);
	unsigned int ret = major ? VM_FAULT_MAJOR : 0;
	pte_t pte;

	if (!page)
		return VM_FAULT_OOM;
	/* Refused, it stays in the swap cache. */
	if (mem_cgroup_try_charge(cx, page, vmf->mm, SITE_swap_charge)) {
		put_page(cx, page);
		return VM_FAULT_OOM;
	}

	spin_lock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));
	vmf->mm->rss_stat[MM_ANONPAGES]++;
	vmf->mm->rss_stat[MM_SWAPENTS]--;
	pte = mk_pte(page, vma->vm_page_prot);
	if (write && reuse_swap_page(cx, page)) {
		pte = maybe_mkwrite(pte | _PAGE_DIRTY, vma);
		write = false;
		exclusive = true;
	}
	pt_set(vmf->pt, vmf->idx, pte);
	page_add_anon_rmap(page, vma, vmf->addr, exclusive);
	if ((vma->vm_flags & (VM_LOCKED | VM_SPECIAL)) == VM_LOCKED)
		mlock_vma_page(cx, page);
	swap_free(cx, slot);
	if (vm_swap_full(cx->m) || (vma->vm_flags & VM_LOCKED))
		try_to_free_swap(cx, page);
	spin_unlock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));

	if (write) {
		vmf->entry = pte;
		ret |= do_wp_page(cx, vmf);
	}
	return ret;
}

static unsigned int handle_pte_fault(struct ctx *cx, struct vm_fault *vmf)
{
	vmf->entry = pt_get(vmf->pt, vmf->idx);
	if (pte_none(vmf->entry)) {
		if (vma_is_anonymous(vmf->vma))
			return do_anonymous_page(cx, vmf);
		return do_fault(cx, vmf);
	}
	if (is_swap_pte(vmf->entry))
		return do_swap_page(cx, vmf);
	/* Entries carry their VMA's permissions, and the caller has checked those. */
	BUG_ON(cx, !(vmf->entry & _PAGE_PRESENT));
	if (vmf->write && !(vmf->entry & _PAGE_RW))
		return do_wp_page(cx, vmf);

	spin_lock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));
	pt_set(vmf->pt, vmf->idx, vmf->entry | _PAGE_ACCESSED | (vmf->write ? _PAGE_DIRTY : 0));
	spin_unlock(cx, pte_lockptr(cx, vmf->mm, vmf->pt));
	return 0;
}

unsigned int handle_mm_fault(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma,
			     u64 addr, bool write)
{
	struct vm_fault vmf = {
		.mm = mm,
		.vma = vma,
		.addr = addr & PAGE_MASK,
		.write = write,
		.idx = pt_index(&cx->m->geo, PT_PTE, addr),
	};
	unsigned int ret;

	assert_held(cx, &mm->mmap_sem);
	BUG_ON(cx, addr < vma->vm_start || addr >= vma->vm_end);
	ret = cx->m->cfg.thp ? huge_fault(cx, mm, vma, addr, write) : VM_FAULT_FALLBACK;
	if (ret & VM_FAULT_FALLBACK) {
		vmf.pt = pte_alloc_map(cx, mm, addr);
		if (!vmf.pt)
			return VM_FAULT_OOM;
		ret = handle_pte_fault(cx, &vmf);
	}
	if (ret & (VM_FAULT_OOM | VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV))
		return ret;
	if (ret & VM_FAULT_MAJOR)
		cx->curr->maj_flt++;
	else
		cx->curr->min_flt++;
	return 0;
}

/* ---- the access itself ---------------------------------------------------------------------- */

/* x86 has no memory that can be written or executed but not read. */
static bool access_error(const struct vm_area_struct *vma, bool write)
{
	return !(vma->vm_flags & (write ? VM_WRITE : VM_ACCESS_FLAGS));
}

/* Far below the stack pointer an access is a mistake, but ENTER and PUSHA come before it moves. */
static bool below_stack(const struct ctx *cx, u64 addr, u64 sp)
{
	u64 word = cx->m->geo.levels > 3 ? 8 : 4;

	return addr + 65536 + 32 * word < sp && !differs(cx, DIFF_stack_any_distance);
}

static enum access_result do_page_fault(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 sp,
					bool write)
{
	enum access_result res = ACCESS_SIGSEGV;
	struct vm_area_struct *vma;
	unsigned int fault;

	down_read(cx, &mm->mmap_sem);
	vma = find_vma(cx, mm, addr);
	if (!vma)
		goto out_up;
	if (vma->vm_start > addr) {
		if (!(vma->vm_flags & VM_GROWSDOWN) || below_stack(cx, addr, sp))
			goto out_up;
		if (expand_stack(cx, vma, addr))
			goto out_up;
	}
	if (access_error(vma, write))
		goto out_up;
	fault = handle_mm_fault(cx, mm, vma, addr, write);
	if (fault & VM_FAULT_OOM)
		res = ACCESS_OOM;
	else if (fault & VM_FAULT_SIGBUS)
		res = ACCESS_SIGBUS;
	else if (!(fault & VM_FAULT_SIGSEGV))
		res = ACCESS_OK;
out_up:
	up_read(cx, &mm->mmap_sem);
	return res;
}

enum access_result access_user(struct ctx *cx, u64 addr, bool write, u64 *tag)
{
	return access_user_sp(cx, addr, 0, write, tag);
}

enum access_result access_user_sp(struct ctx *cx, u64 addr, u64 sp, bool write, u64 *tag)
{
	struct mm_struct *mm = cx->curr->mm;
	struct page *page;

	if (!mm || addr >= mm->task_size)
		return ACCESS_SIGSEGV;
	while (!(page = tlb_access(cx, mm, addr, write))) {
		enum access_result res;

		STEP(cx);
		res = do_page_fault(cx, mm, addr, sp, write);
		if (res != ACCESS_OK)
			return res;
	}
	if (write)
		page_set_tag(page, *tag);
	else
		*tag = page_tag(page);
	return ACCESS_OK;
}
