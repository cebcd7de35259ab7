/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Special mappings: pages of the kernel's, mapped into an address space at its own wish and not at
 * a file's (facts §7.17). They are not anonymous and have no file; a fault takes the page from the
 * list that the VMA names. Nobody may make one longer, and so none is ever merged.
 */
#include "internal.h"

struct page *special_mapping_fault(struct ctx *cx, struct vm_area_struct *vma, pgoff_t pgoff,
				   unsigned int *fault)
{
	struct page *const *pages = vma->vm_private_data->pages;

	/* one by one: the list may end before */
	while (pgoff && *pages) {
		pages++;
		pgoff--;
	}
	if (!*pages) {
		*fault = VM_FAULT_SIGBUS;
		return NULL;
	}
	get_page(cx, *pages);
	*fault = 0;
	return *pages;
}

int _install_special_mapping(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 len, u32 vm_flags,
			     const struct vm_special_mapping *spec, struct vm_area_struct **out)
{
	struct vm_area_struct *vma;
	int ret;

	assert_held_write(cx, &mm->mmap_sem);
	vma = kmem_cache_alloc(cx, CACHE_vm_area_struct, SITE_special_mapping_vma,
			       GFP_KERNEL | __GFP_ZERO);
	if (!vma)
		return -ENOMEM;
	INIT_LIST_HEAD(&vma->anon_vma_chain);
	vma->vm_mm = mm;
	vma->vm_start = addr;
	vma->vm_end = addr + len;
	/* Of what is to be locked from now on this is no part: it would not be counted. */
	vma->vm_flags = vm_flags | (mm->def_flags & VM_LOCKED_CLEAR_MASK) | VM_DONTEXPAND |
			VM_SOFTDIRTY;
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	vma->vm_private_data = spec;

	ret = insert_vm_struct(cx, mm, vma, SITE_none);
	if (ret)
		goto out;
	/* In 4.4 no other statistic has it. */
	mm->total_vm += len >> PAGE_SHIFT;
	*out = vma;
	return 0;

out:
	kmem_cache_free(cx, CACHE_vm_area_struct, vma);
	return ret;
}
