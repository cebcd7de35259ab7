/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files and inodes, as far as mappings hold on to them. An inode lives as long as something has it
 * open, and its page cache with it: there is no disk behind it to keep the content.
 */
#include "internal.h"

static struct file_inode *alloc_inode(struct ctx *cx, u64 pages)
{
	struct machine *m = cx->m;
	struct file_inode *inode =
		kmem_cache_alloc(cx, CACHE_inode, SITE_none, GFP_KERNEL | __GFP_ZERO);

	if (!inode)
		return NULL;
	inode->ino = m->next_ino++;
	inode->size = pages;
	inode->i_data.host = inode;
	fl_lock_init(&inode->i_data.i_mmap_rwsem, LOCK_i_mmap_rwsem);
	atomic_set(&inode->i_count, 1);
	list_add_tail(&inode->inodes, &m->inodes);
	return inode;
}

static void iput(struct ctx *cx, struct file_inode *inode)
{
	if (!atomic_dec_and_test(cx, &inode->i_count))
		return;
	BUG_ON(cx, inode->i_data.i_mmap.node);
	BUG_ON(cx, inode->i_data.i_mmap_writable != 0);
	BUG_ON(cx, inode->i_writecount != 0);
	truncate_inode_pages(cx, &inode->i_data);
	list_del_init(&inode->inodes);
	kmem_cache_free(cx, CACHE_inode, inode);
}

struct file *file_create(struct ctx *cx, u64 pages, u32 f_mode)
{
	struct file *file;

	file = kmem_cache_alloc(cx, CACHE_file, SITE_none, GFP_KERNEL | __GFP_ZERO);
	if (!file)
		return NULL;
	file->f_inode = alloc_inode(cx, pages);
	if (!file->f_inode)
		goto fail_inode;
	file->f_mode = f_mode;
	if (f_mode & FMODE_WRITE)
		file->f_inode->i_writecount++;
	atomic_set(&file->f_count, 1);
	file->opened = true;
	list_add_tail(&file->files, &cx->m->files);
	return file;

fail_inode:
	kmem_cache_free(cx, CACHE_file, file);
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

	if (!atomic_dec_and_test(cx, &file->f_count))
		return;
	list_del_init(&file->files);
	if (file->f_mode & FMODE_WRITE)
		inode->i_writecount--;
	kmem_cache_free(cx, CACHE_file, file);
	iput(cx, inode);
}

void file_close(struct ctx *cx, struct file *file)
{
	file->opened = false;
	fput(cx, file);
}
