/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files and inodes, as far as mappings hold on to them. An inode lives as long as something has it
 * open, and its page cache with it: there is no disk behind it to keep the content.
 */
#include "internal.h"

#define ANON_INO 0x80000000u

u32 anon_ino(struct machine *m)
{
	return ANON_INO + m->next_shmem_ino++;
}

struct file_inode *new_inode(struct ctx *cx, enum fl_site site, u64 pages)
{
	struct file_inode *inode = kmem_cache_alloc(cx, CACHE_inode, site, GFP_KERNEL | __GFP_ZERO);

	if (!inode)
		return NULL;
	inode->size = pages;
	inode->i_data.host = inode;
	fl_lock_init(&inode->i_data.i_mmap_rwsem, LOCK_i_mmap_rwsem);
	atomic_set(&inode->i_count, 1);
	list_add_tail(&inode->inodes, &cx->m->inodes);
	return inode;
}

void iput(struct ctx *cx, struct file_inode *inode)
{
	if (!atomic_dec_and_test(cx, &inode->i_count))
		return;
	BUG_ON(cx, inode->i_data.i_mmap.node);
	BUG_ON(cx, inode->i_data.i_mmap_writable != -(s32)inode->sealed);
	BUG_ON(cx, inode->i_writecount != 0);
	truncate_inode_pages(cx, &inode->i_data, 0);
	if (inode->shmem)
		shmem_evict_inode(cx, inode);
	list_del_init(&inode->inodes);
	kmem_cache_free(cx, CACHE_inode, inode);
}

void dput(struct ctx *cx, struct dentry *dentry)
{
	if (dentry->d_inode)
		iput(cx, dentry->d_inode);
	kmem_cache_free(cx, CACHE_dentry, dentry);
}

struct file *alloc_file(struct ctx *cx, enum fl_site site, struct file_inode *inode, u32 f_mode)
{
	struct file *file = kmem_cache_alloc(cx, CACHE_file, site, GFP_KERNEL | __GFP_ZERO);

	if (!file)
		return NULL;
	file->f_inode = inode;
	file->f_mode = f_mode;
	if (f_mode & FMODE_WRITE)
		inode->i_writecount++;
	atomic_set(&file->f_count, 1);
	list_add_tail(&file->files, &cx->m->files);
	return file;
}

struct file *alloc_pseudo_file(struct ctx *cx, struct file_inode *inode, enum fl_site dentry_site,
			       enum fl_site file_site, u32 f_mode)
{
	struct dentry *dentry = kmem_cache_alloc(cx, CACHE_dentry, dentry_site, GFP_KERNEL);
	struct file *file;

	if (!dentry)
		goto put_inode;
	dentry->d_inode = inode;

	file = alloc_file(cx, file_site, inode, f_mode);
	if (!file)
		goto put_path;
	file->f_dentry = dentry;
	return file;

put_path:
	dput(cx, dentry);
	return NULL;
put_inode:
	iput(cx, inode);
	return NULL;
}

struct file *file_create(struct ctx *cx, u64 pages, u32 f_mode)
{
	struct file_inode *inode = new_inode(cx, SITE_none, pages);
	struct file *file;

	if (!inode)
		return NULL;
	file = alloc_file(cx, SITE_none, inode, f_mode);
	if (!file)
		goto fail_inode;
	inode->ino = cx->m->next_ino++;
	inode->disk_size = pages;
	file->opened = true;
	return file;

fail_inode:
	iput(cx, inode);
	return NULL;
}

struct file *get_file(struct ctx *cx, struct file *file)
{
	atomic_inc(cx, &file->f_count);
	return file;
}

void fput(struct ctx *cx, struct file *file)
{
	struct file_inode *inode = file->f_inode;
	struct dentry *dentry = file->f_dentry;

	if (!atomic_dec_and_test(cx, &file->f_count))
		return;
	if (file->private_data)
		userfaultfd_release(cx, file->private_data);
	list_del_init(&file->files);
	if (file->f_mode & FMODE_WRITE)
		inode->i_writecount--;
	kmem_cache_free(cx, CACHE_file, file);
	if (dentry)
		dput(cx, dentry);
	else
		iput(cx, inode);
}

void file_close(struct ctx *cx, struct file *file)
{
	file->opened = false;
	fput(cx, file);
}

/* ---- who may write (facts §7.9 step 6, F-35) ------------------------------------------------ */

int deny_write_access(struct file_inode *inode)
{
	if (inode->i_writecount > 0)
		return -ETXTBSY;
	inode->i_writecount--;
	return 0;
}

void allow_write_access(struct file_inode *inode)
{
	inode->i_writecount++;
}

int mapping_map_writable(struct address_space *mapping)
{
	if (mapping->i_mmap_writable < 0)
		return -EPERM;
	mapping->i_mmap_writable++;
	return 0;
}

void mapping_unmap_writable(struct address_space *mapping)
{
	mapping->i_mmap_writable--;
}

s64 sys_seal_write(struct ctx *cx, struct file *file)
{
	struct file_inode *inode = file->f_inode;

	(void)cx;
	if (!(file->f_mode & FMODE_WRITE))
		return -EPERM;
	if (inode->sealed)
		return 0;
	if (inode->i_data.i_mmap_writable > 0)
		return -EBUSY;
	inode->i_data.i_mmap_writable--;
	inode->sealed = true;
	return 0;
}

/* ---- truncate (facts §23) ------------------------------------------------------------------- */

s64 sys_ftruncate(struct ctx *cx, struct file *file, u64 pages)
{
	struct file_inode *inode = file->f_inode;

	if (!(file->f_mode & FMODE_WRITE))
		return -EINVAL;
	/* First the size: from now on no fault brings back what goes. */
	inode->size = pages;
	unmap_mapping_range(cx, &inode->i_data, pages, ~(pgoff_t)0);
	truncate_inode_pages(cx, &inode->i_data, pages);
	inode->disk_size = min_u64(inode->disk_size, pages);
	return 0;
}
