/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page that a userfaultfd gives (facts §10.6). Its content comes from user memory, which may
 * have to be fetched: that needs locks of its own, so the page is got first, and all is looked at
 * anew once it is filled.
 */
#include "internal.h"

/* An address space, a place in it, and the page to go there. */
struct mcopy {
	struct mm_struct *mm;
	u64 dst, src;
	bool zeropage;
	struct page *page; /* got already, and filled unless -EFAULT was returned; or NULL */
};

/* Without a fault: false when there would be one. */
static bool copy_from_user_atomic(struct ctx *cx, u64 src, u64 *tag)
{
	struct mm_struct *mm = cx->curr->mm;
	struct page *page = mm && src < mm->task_size ? tlb_access(cx, mm, src, false) : NULL;

	if (!page)
		return false;
	*tag = page_tag(page);
	return true;
}

/* -EFAULT leaves mc->page to be filled. */
static int mcopy_get_page(struct ctx *cx, struct mcopy *mc)
{
	u64 tag;

	if (mc->page || mc->zeropage)
		return 0;
	mc->page =
		alloc_pages(cx, SITE_uffd_page, GFP_KERNEL | __GFP_ZERO | __GFP_TAG, 0, PAGE_ANON);
	if (!mc->page)
		return -ENOMEM;
	if (!copy_from_user_atomic(cx, mc->src, &tag))
		return -EFAULT;
	page_set_tag(mc->page, tag);
	return 0;
}

static int mcopy_pte(struct ctx *cx, struct mcopy *mc, struct vm_area_struct *vma, struct page *pt)
{
	unsigned int idx = pt_index(&cx->m->geo, PT_PTE, mc->dst);
	int err = mcopy_get_page(cx, mc);

	if (err)
		return err;
	if (!mc->zeropage && mem_cgroup_try_charge(cx, mc->page, mc->mm, SITE_uffd_charge))
		return -ENOMEM;
	spin_lock(cx, pte_lockptr(cx, mc->mm, pt));
	if (!pte_none(pt_get(pt, idx))) {
		err = -EEXIST;
	} else if (mc->zeropage) {
		pt_set(pt, idx, mk_pte(cx->m->zero_page, vma->vm_page_prot | _PAGE_SPECIAL));
	} else {
		set_new_anon_pte(cx, vma, mc->dst, pt, mc->page);
		mc->page = NULL;
	}
	spin_unlock(cx, pte_lockptr(cx, mc->mm, pt));
	return err;
}

static int mcopy_locked(struct ctx *cx, struct mcopy *mc)
{
	struct vm_area_struct *vma = find_vma(cx, mc->mm, mc->dst);
	struct page *table;

	if (!vma || mc->dst < vma->vm_start || !vma->vm_userfaultfd_ctx)
		return -EINVAL;
	if (anon_vma_prepare(cx, vma))
		return -ENOMEM;
	table = pmd_alloc_map(cx, mc->mm, mc->dst);
	if (!table)
		return -ENOMEM;
	if (pmd_trans_huge(pt_get(table, pt_index(&cx->m->geo, pmd_level(&cx->m->geo), mc->dst))))
		return -EEXIST;
	table = pte_alloc_map(cx, mc->mm, mc->dst);
	if (!table)
		return -ENOMEM;
	return mcopy_pte(cx, mc, vma, table);
}

s64 mcopy_atomic(struct ctx *cx, struct mm_struct *dst_mm, u64 dst, u64 src, bool zeropage)
{
	struct mcopy mc = {.mm = dst_mm, .dst = dst, .src = src, .zeropage = zeropage};
	u64 tag;
	int err;

	for (;;) {
		STEP(cx);
		down_read(cx, &dst_mm->mmap_sem);
		err = mcopy_locked(cx, &mc);
		up_read(cx, &dst_mm->mmap_sem);
		if (err != -EFAULT)
			break;
		if (access_user(cx, src, false, &tag) != ACCESS_OK)
			break;
		page_set_tag(mc.page, tag);
	}
	if (mc.page)
		put_page(cx, mc.page);
	return err;
}
