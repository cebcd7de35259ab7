/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared anonymous memory (facts §7.9 step 6, §9.2): each mapping gets an object of its own, a file
 * in no directory whose pages exist nowhere else. The object is promised its whole size when it is
 * made, or, without reserve, each page when it is first touched; it gives back what it has when its
 * inode is evicted, and VMAs of it are never charged.
 */
#include "internal.h"

static int shmem_acct_size(struct ctx *cx, struct mm_struct *mm, u32 vm_flags, u64 pages)
{
	if (vm_flags & VM_NORESERVE)
		return 0;
	return security_vm_enough_memory_mm(cx, mm, pages, SITE_shmem_acct);
}

static void shmem_unacct_size(struct ctx *cx, u32 vm_flags, u64 pages)
{
	if (!(vm_flags & VM_NORESERVE))
		vm_unacct_memory(cx, pages);
}

/* The charge made for the object becomes the inode's. */
static struct file_inode *shmem_get_inode(struct ctx *cx, u32 vm_flags, u64 pages)
{
	struct file_inode *inode = new_inode(cx, SITE_shmem_inode, pages);

	if (!inode)
		return NULL;
	inode->ino = anon_ino(cx->m);
	inode->shmem = true;
	inode->noreserve = vm_flags & VM_NORESERVE;
	inode->charged = inode->noreserve ? 0 : pages;
	return inode;
}

void shmem_evict_inode(struct ctx *cx, struct file_inode *inode)
{
	vm_unacct_memory(cx, inode->charged);
}

int shmem_zero_setup(struct ctx *cx, struct vm_area_struct *vma)
{
	u64 pages = vma_pages(vma);
	struct dentry *dentry;
	struct file *file;
	int err;

	if (shmem_acct_size(cx, vma->vm_mm, vma->vm_flags, pages))
		return -ENOMEM;

	err = -ENOMEM;
	dentry = kmem_cache_alloc(cx, CACHE_dentry, SITE_shmem_dentry, GFP_KERNEL | __GFP_ZERO);
	if (!dentry)
		goto put_memory;

	err = -ENOSPC;
	dentry->d_inode = shmem_get_inode(cx, vma->vm_flags, pages);
	if (!dentry->d_inode)
		goto put_path_and_memory;

	err = -ENFILE;
	file = alloc_file(cx, SITE_shmem_file, dentry->d_inode, FMODE_READ | FMODE_WRITE);
	if (!file)
		goto put_path;
	file->f_dentry = dentry;
	vma->vm_file = file;
	return 0;

put_path:
	/* The inode's eviction gives the charge back. */
	dput(cx, dentry);
	return err;
put_path_and_memory:
	dput(cx, dentry);
put_memory:
	shmem_unacct_size(cx, vma->vm_flags, pages);
	return err;
}

static struct page *shmem_alloc_page(struct ctx *cx, struct file_inode *inode, pgoff_t index)
{
	struct page *page =
		alloc_pages(cx, SITE_shmem_page, GFP_KERNEL | __GFP_ZERO | __GFP_TAG, 0, PAGE_FILE);

	if (!page)
		return NULL;
	page->index = index;
	page->dirty = true; /* nothing else has its content */
	add_to_page_cache(cx, &inode->i_data, page);
	cx->m->nr_shmem++;
	return page;
}

struct page *shmem_fault(struct ctx *cx, struct vm_area_struct *vma, pgoff_t pgoff,
			 unsigned int *fault)
{
	struct file_inode *inode = vma->vm_file->f_inode;
	struct page *page;

	*fault = VM_FAULT_SIGBUS;
	if (pgoff >= inode->size)
		return NULL;
	page = find_page(&inode->i_data, pgoff);
	if (page)
		goto found;

	if (inode->noreserve) {
		/* To the caller this is a full disk and not a lack of memory. */
		if (security_vm_enough_memory_mm(cx, vma->vm_mm, 1, SITE_shmem_block_acct))
			return NULL;
		inode->charged++;
	}
	page = shmem_alloc_page(cx, inode, pgoff);
	if (!page)
		goto unacct;
found:
	get_page(cx, page);
	*fault = 0;
	return page;

unacct:
	if (inode->noreserve) {
		inode->charged--;
		vm_unacct_memory(cx, 1);
	}
	*fault = VM_FAULT_OOM;
	return NULL;
}

void shmem_truncate_range(struct ctx *cx, struct file_inode *inode, pgoff_t first, pgoff_t last)
{
	u64 nr;

	unmap_mapping_range(cx, &inode->i_data, first, last);
	nr = truncate_inode_pages_range(cx, &inode->i_data, first, last);
	if (inode->noreserve) {
		inode->charged -= nr;
		vm_unacct_memory(cx, nr);
	}
}
