/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page cache: the pages of a file, by index (facts §11, F-72).
 */
#include "internal.h"

/* Injective for files of less than 2^40 pages, never 0, and readable in a trace. */
u64 file_page_tag(const struct file_inode *inode, pgoff_t index)
{
	return (u64)inode->ino << 40 ^ index;
}

u64 file_read_tag(const struct file_inode *inode, pgoff_t index)
{
	return index < inode->disk_size ? file_page_tag(inode, index) : 0;
}

struct page *find_page(const struct address_space *mapping, pgoff_t index)
{
	struct rb_node *n = mapping->page_tree.node;

	while (n) {
		struct page *page = rb_entry(n, struct page, cache_node);

		if (index == page->index)
			return page;
		n = index < page->index ? n->left : n->right;
	}
	return NULL;
}

void add_to_page_cache(struct ctx *cx, struct address_space *mapping, struct page *page)
{
	struct rb_node **link = &mapping->page_tree.node, *parent = NULL;

	while (*link) {
		const struct page *p = rb_entry(*link, struct page, cache_node);

		STEP(cx);
		BUG_ON(cx, p->index == page->index);
		parent = *link;
		link = page->index < p->index ? &parent->left : &parent->right;
	}
	page->mapping = mapping;
	rb_link_node(&page->cache_node, parent, link);
	rb_insert(&mapping->page_tree, &page->cache_node, NULL);
	mapping->nr_pages++;
}

/* A new page of the cache, read in. NULL: no memory. */
static struct page *page_cache_read(struct ctx *cx, struct file_inode *inode, pgoff_t index)
{
	struct page *page =
		alloc_pages(cx, SITE_filemap_page, GFP_KERNEL | __GFP_TAG, 0, PAGE_FILE);

	if (!page)
		return NULL;
	page->index = index;
	page_set_tag(page, file_read_tag(inode, index));
	add_to_page_cache(cx, &inode->i_data, page);
	return page;
}

void force_page_cache_readahead(struct ctx *cx, struct file_inode *inode, pgoff_t first, u64 nr)
{
	for (; nr && first < inode->size; first++, nr--) {
		STEP(cx);
		if (!find_page(&inode->i_data, first) && !page_cache_read(cx, inode, first))
			return;
	}
}

struct page *filemap_fault(struct ctx *cx, struct vm_area_struct *vma, pgoff_t pgoff,
			   unsigned int *fault)
{
	struct file_inode *inode = vma->vm_file->f_inode;
	struct page *page;

	*fault = 0;
	if (pgoff >= inode->size) {
		*fault = VM_FAULT_SIGBUS;
		return NULL;
	}
	page = find_page(&inode->i_data, pgoff);
	if (!page) {
		page = page_cache_read(cx, inode, pgoff);
		if (!page) {
			*fault = VM_FAULT_OOM;
			return NULL;
		}
		*fault = VM_FAULT_MAJOR;
	}
	get_page(cx, page);
	return page;
}

/* First page at or above index, in the order of the cache. */
static struct page *find_next_page(const struct address_space *mapping, pgoff_t index)
{
	struct rb_node *n = mapping->page_tree.node;
	struct page *best = NULL;

	while (n) {
		struct page *page = rb_entry(n, struct page, cache_node);

		if (page->index < index) {
			n = n->right;
			continue;
		}
		best = page;
		n = n->left;
	}
	return best;
}

u64 truncate_inode_pages_range(struct ctx *cx, struct address_space *mapping, pgoff_t first,
			       pgoff_t last)
{
	struct page *page;
	u64 nr = 0;

	while ((page = find_next_page(mapping, first)) != NULL && page->index <= last) {
		STEP(cx);
		rb_erase(&mapping->page_tree, &page->cache_node, NULL);
		mapping->nr_pages--;
		cx->m->nr_shmem -= mapping->host->shmem;
		page->mapping = NULL;
		/* of a ring, its context has one more reference */
		if (mapping->host->aio_ring)
			put_page(cx, page);
		else
			__free_page(cx, page);
		nr++;
	}
	return nr;
}

void truncate_inode_pages(struct ctx *cx, struct address_space *mapping, pgoff_t start)
{
	(void)truncate_inode_pages_range(cx, mapping, start, ~(pgoff_t)0);
	BUG_ON(cx, !start && mapping->nr_pages != 0);
}
