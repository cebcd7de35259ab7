/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pages of code and data that each image gets from the kernel (facts §4.9): [vvar], whose one
 * page is mapped by the number of its frame, and above it [vdso], whose pages come by faults.
 */
#include "internal.h"

#define VDSO_PAGES 2u
#define VVAR_PAGES 2u	       /* the second is for a timer that this machine does not have */
#define VDSO_TAG   0x464c457fu /* and up: what users read there */
#define VVAR_TAG   0x72617676u

_Static_assert(VDSO_PAGES <= SPECIAL_PAGES, "a special mapping holds the vdso");

static struct page *alloc_kernel_page(struct ctx *cx, u64 tag)
{
	struct page *page =
		alloc_pages(cx, SITE_none, GFP_KERNEL | __GFP_ZERO | __GFP_TAG, 0, PAGE_KERNEL);

	if (page)
		page_set_tag(page, tag);
	return page;
}

int vdso_init(struct ctx *cx)
{
	struct machine *m = cx->m;

	m->vdso_mapping.name = "[vdso]";
	m->vvar_mapping.name = "[vvar]";
	if (!m->cfg.vdso)
		return 0;
	for (unsigned int i = 0; i < VDSO_PAGES; i++) {
		m->vdso_mapping.pages[i] = alloc_kernel_page(cx, VDSO_TAG + i);
		if (!m->vdso_mapping.pages[i])
			goto fail;
	}
	m->vvar_page = alloc_kernel_page(cx, VVAR_TAG);
	if (!m->vvar_page)
		goto fail;
	return 0;

fail:
	vdso_exit(cx);
	return -ENOMEM;
}

void vdso_exit(struct ctx *cx)
{
	struct machine *m = cx->m;

	for (unsigned int i = 0; i < VDSO_PAGES && m->vdso_mapping.pages[i]; i++) {
		__free_page(cx, m->vdso_mapping.pages[i]);
		m->vdso_mapping.pages[i] = NULL;
	}
	if (m->vvar_page)
		__free_page(cx, m->vvar_page);
	m->vvar_page = NULL;
}

int arch_setup_additional_pages(struct ctx *cx, struct mm_struct *mm)
{
	const u64 vvar_len = VVAR_PAGES * PAGE_SIZE, vdso_len = VDSO_PAGES * PAGE_SIZE;
	struct machine *m = cx->m;
	struct vm_area_struct *vma;
	u64 addr;
	int ret = 0;

	if (!m->cfg.vdso)
		return 0;
	down_write(cx, &mm->mmap_sem);
	addr = get_unmapped_area(cx, mm, 0, vvar_len + vdso_len, 0);
	if (IS_ERR_VALUE(addr)) {
		ret = (int)(s64)addr;
		goto up_fail;
	}
	mm->context.vdso = addr + vvar_len;

	/* Not writable, but a debugger may set a breakpoint in its own copy. */
	ret = _install_special_mapping(cx, mm, addr + vvar_len, vdso_len,
				       VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC,
				       &m->vdso_mapping, &vma);
	if (ret)
		goto up_fail;
	ret = _install_special_mapping(cx, mm, addr, vvar_len, VM_READ | VM_MAYREAD,
				       &m->vvar_mapping, &vma);
	if (ret)
		goto up_fail;
	ret = remap_pfn_range(cx, vma, addr, m->vvar_page, 1);

up_fail:
	if (ret)
		mm->context.vdso = 0;
	up_write(cx, &mm->mmap_sem);
	return ret;
}
