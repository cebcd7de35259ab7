/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Anonymous reverse map (facts §8). A page names the anon_vma it was made under; that anon_vma's
 * tree has a chain to each VMA that may map the page: the one it was made in, what that was split
 * into, and the copies of forked children. A child adds an anon_vma of its own for the pages that
 * it makes.
 *
 * An anon_vma lives while its tree is not empty, a root also while any anon_vma of its family does.
 * The root's lock covers the trees and lists of the whole family.
 */
#include "internal.h"

static struct anon_vma *anon_vma_alloc(struct ctx *cx, enum fl_site site)
{
	struct anon_vma *av = kmem_cache_alloc(cx, CACHE_anon_vma, site, GFP_KERNEL);

	if (!av)
		return NULL;
	*av = (struct anon_vma){.root = av, .parent = av, .seq = cx->m->next_anon_vma++};
	fl_lock_init(&av->rwsem, LOCK_anon_vma_rwsem);
	atomic_set(&av->refcount, 1);
	return av;
}

static void anon_vma_free(struct ctx *cx, struct anon_vma *av)
{
	kmem_cache_free(cx, CACHE_anon_vma, av);
}

static void put_anon_vma(struct ctx *cx, struct anon_vma *av)
{
	struct anon_vma *root = av->root;

	if (!atomic_dec_and_test(cx, &av->refcount))
		return;
	anon_vma_free(cx, av);
	if (root != av && atomic_dec_and_test(cx, &root->refcount))
		anon_vma_free(cx, root);
}

static struct anon_vma_chain *anon_vma_chain_alloc(struct ctx *cx, enum fl_site site, gfp_t gfp)
{
	return kmem_cache_alloc(cx, CACHE_anon_vma_chain, site, gfp);
}

static void anon_vma_chain_free(struct ctx *cx, struct anon_vma_chain *avc)
{
	kmem_cache_free(cx, CACHE_anon_vma_chain, avc);
}

/* Locks: the root's. */
static void anon_vma_chain_link(struct vm_area_struct *vma, struct anon_vma_chain *avc,
				struct anon_vma *av)
{
	avc->vma = vma;
	avc->anon_vma = av;
	list_add(&avc->same_vma, &vma->anon_vma_chain);
	anon_vma_interval_tree_insert(avc, &av->rb_root);
}

/* All anon_vmas on one list have one root, so one lock serves a walk; root is the one held, or
 * NULL. */
static struct anon_vma *lock_anon_vma_root(struct ctx *cx, struct anon_vma *root,
					   struct anon_vma *av)
{
	if (root == av->root)
		return root;
	BUG_ON(cx, root);
	down_write(cx, &av->root->rwsem);
	return av->root;
}

static void unlock_anon_vma_root(struct ctx *cx, struct anon_vma *root)
{
	if (root)
		up_write(cx, &root->rwsem);
}

/* The anon_vma of `old`, one of the neighbours a and b, if the two could become one VMA some day.
 */
static struct anon_vma *reusable_anon_vma(const struct vm_area_struct *old,
					  const struct vm_area_struct *a,
					  const struct vm_area_struct *b)
{
	if (old->anon_vma && anon_vma_compatible(a, b) && list_is_singular(&old->anon_vma_chain))
		return old->anon_vma;
	return NULL;
}

struct anon_vma *find_mergeable_anon_vma(struct vm_area_struct *vma)
{
	struct vm_area_struct *next = vma->vm_next, *prev = vma->vm_prev;
	struct anon_vma *av = NULL;

	if (next)
		av = reusable_anon_vma(next, vma, next);
	if (!av && prev)
		av = reusable_anon_vma(prev, prev, vma);
	return av;
}

int anon_vma_prepare(struct ctx *cx, struct vm_area_struct *vma)
{
	struct anon_vma_chain *avc;
	struct anon_vma *av;

	if (vma->anon_vma)
		return 0;

	avc = anon_vma_chain_alloc(cx, SITE_anon_vma_prepare_avc, GFP_KERNEL);
	if (!avc)
		goto out_enomem;
	av = find_mergeable_anon_vma(vma);
	if (!av) {
		av = anon_vma_alloc(cx, SITE_anon_vma_prepare_av);
		if (!av)
			goto out_enomem_free_avc;
		av->num_children++; /* a root is its own parent */
	}

	down_write(cx, &av->root->rwsem);
	spin_lock(cx, &vma->vm_mm->page_table_lock);
	vma->anon_vma = av;
	anon_vma_chain_link(vma, avc, av);
	av->num_active_vmas++;
	spin_unlock(cx, &vma->vm_mm->page_table_lock);
	up_write(cx, &av->root->rwsem);
	return 0;

out_enomem_free_avc:
	anon_vma_chain_free(cx, avc);
out_enomem:
	return -ENOMEM;
}

/*
 * Attaches dst to all that src is attached to. A dst that comes without an anon_vma, a forked
 * child, may get one that nobody makes pages under any more and that has at most one child: this
 * bounds the chains of a family that forks for ever.
 */
int anon_vma_clone(struct ctx *cx, struct vm_area_struct *dst, struct vm_area_struct *src)
{
	struct anon_vma *root = NULL;
	struct anon_vma_chain *pavc;

	/* Oldest first, so that dst's list has the order of src's. */
	list_for_each_entry_reverse(pavc, &src->anon_vma_chain, same_vma) {
		struct anon_vma *av = pavc->anon_vma;
		struct anon_vma_chain *avc;

		STEP(cx);
		avc = anon_vma_chain_alloc(cx, SITE_anon_vma_clone_nowait, GFP_NOWAIT);
		if (!avc) {
			/* Reclaim may need the lock: the attempt that waits goes without it. */
			unlock_anon_vma_root(cx, root);
			root = NULL;
			avc = anon_vma_chain_alloc(cx, SITE_anon_vma_clone_avc, GFP_KERNEL);
			if (!avc)
				goto enomem_failure;
		}
		root = lock_anon_vma_root(cx, root, av);
		anon_vma_chain_link(dst, avc, av);
		if (!dst->anon_vma && src->anon_vma && av->num_children < 2 &&
		    av->num_active_vmas == 0)
			dst->anon_vma = av;
	}
	if (dst->anon_vma)
		dst->anon_vma->num_active_vmas++;
	unlock_anon_vma_root(cx, root);
	return 0;

enomem_failure:
	/* dst was not counted as active yet. */
	dst->anon_vma = NULL;
	unlink_anon_vmas(cx, dst);
	return -ENOMEM;
}

int anon_vma_fork(struct ctx *cx, struct vm_area_struct *vma, struct vm_area_struct *pvma)
{
	struct anon_vma_chain *avc;
	struct anon_vma *av;
	int err;

	if (!pvma->anon_vma)
		return 0;

	vma->anon_vma = NULL;
	err = anon_vma_clone(cx, vma, pvma);
	if (err)
		return err;
	if (vma->anon_vma)
		return 0;

	av = anon_vma_alloc(cx, SITE_anon_vma_fork_av);
	if (!av)
		goto out_error;
	avc = anon_vma_chain_alloc(cx, SITE_anon_vma_fork_avc, GFP_KERNEL);
	if (!avc)
		goto out_error_free_anon_vma;

	av->root = pvma->anon_vma->root;
	av->parent = pvma->anon_vma;
	atomic_inc(cx, &av->root->refcount);
	vma->anon_vma = av;
	down_write(cx, &av->root->rwsem);
	anon_vma_chain_link(vma, avc, av);
	av->num_active_vmas++;
	av->parent->num_children++;
	up_write(cx, &av->root->rwsem);
	return 0;

out_error_free_anon_vma:
	put_anon_vma(cx, av);
out_error:
	unlink_anon_vmas(cx, vma);
	return -ENOMEM;
}

void unlink_anon_vmas(struct ctx *cx, struct vm_area_struct *vma)
{
	struct anon_vma_chain *avc, *next;
	struct anon_vma *root = NULL;

	/*
	 * Newest first, so that a child leaves its parent before the parent is looked at. What
	 * loses its last chain goes in the second round: the root's lock lies in memory that goes
	 * then.
	 */
	list_for_each_entry_safe(avc, next, &vma->anon_vma_chain, same_vma) {
		struct anon_vma *av = avc->anon_vma;

		STEP(cx);
		root = lock_anon_vma_root(cx, root, av);
		anon_vma_interval_tree_remove(avc, &av->rb_root);
		if (!av->rb_root.node) {
			av->parent->num_children--;
			continue;
		}
		list_del_init(&avc->same_vma);
		anon_vma_chain_free(cx, avc);
	}
	if (vma->anon_vma) {
		vma->anon_vma->num_active_vmas--;
		vma->anon_vma = NULL;
	}
	unlock_anon_vma_root(cx, root);

	list_for_each_entry_safe(avc, next, &vma->anon_vma_chain, same_vma) {
		struct anon_vma *av = avc->anon_vma;

		STEP(cx);
		BUG_ON(cx, av->num_children);
		BUG_ON(cx, av->num_active_vmas);
		put_anon_vma(cx, av);
		list_del_init(&avc->same_vma);
		anon_vma_chain_free(cx, avc);
	}
}

/* ---- the page's side (facts §8.7) ----------------------------------------------------------- */

void page_add_new_anon_rmap(struct page *page, struct vm_area_struct *vma, u64 addr)
{
	page->_mapcount = 1;
	page->anon_vma = vma->anon_vma;
	page->index = linear_page_index(vma, addr);
}

void page_add_rmap(struct page *page)
{
	page->_mapcount++;
}

void page_remove_rmap(struct ctx *cx, struct page *page)
{
	if (page->_mapcount <= 0)
		fl_bug(cx, FL_BUG_REFCOUNT, __func__, "mapcount below zero");
	if (--page->_mapcount == 0)
		clear_page_mlock(cx, page);
}

void page_add_anon_rmap(struct page *page, struct vm_area_struct *vma, u64 addr, bool exclusive)
{
	if (page->_mapcount++)
		return;
	/* Everybody who may come to map it is on the root's tree. */
	page->anon_vma = exclusive ? vma->anon_vma : vma->anon_vma->root;
	page->index = linear_page_index(vma, addr);
}

static int try_to_unmap_one(struct ctx *cx, struct page *page, struct vm_area_struct *vma)
{
	u64 addr = vma->vm_start + ((page->index - vma->vm_pgoff) << PAGE_SHIFT);
	unsigned int idx = pt_index(&cx->m->geo, PT_PTE, addr);
	struct mm_struct *mm = vma->vm_mm;
	struct page *pt = pte_lookup(cx->m, mm, addr);
	int ret = 0;
	pte_t pte;

	if (!pt)
		return 0;
	spin_lock(cx, pte_lockptr(cx, mm, pt));
	pte = pt_get(pt, idx);
	if (!pte_present(pte) || pte_pfn(pte) != page->pfn)
		goto out_unmap;
	pt_set(pt, idx, 0);
	flush_tlb_page(cx, mm, addr);
	ret = swap_duplicate(cx, page->swap, SITE_try_to_unmap_cont);
	if (ret) {
		pt_set(pt, idx, pte);
		goto out_unmap;
	}
	mmlist_add(cx, mm, &cx->m->init_mm);
	update_hiwater_rss(mm);
	mm->rss_stat[MM_ANONPAGES]--;
	mm->rss_stat[MM_SWAPENTS]++;
	pt_set(pt, idx, swp_entry_to_pte(page->swap));
	page_remove_rmap(cx, page);
	put_page(cx, page);
out_unmap:
	spin_unlock(cx, pte_lockptr(cx, mm, pt));
	return ret;
}

bool page_is_locked_in(struct ctx *cx, struct page *page)
{
	struct anon_vma *root;
	struct anon_vma_chain *avc;
	bool locked = false;

	if (!page->_mapcount)
		return false;
	root = page->anon_vma->root;
	down_read(cx, &root->rwsem);
	for (avc = anon_vma_interval_tree_first(&page->anon_vma->rb_root, page->index, page->index);
	     avc && !locked; avc = anon_vma_interval_tree_next(avc, page->index, page->index)) {
		const struct vm_area_struct *vma = avc->vma;
		u64 addr = vma->vm_start + ((page->index - vma->vm_pgoff) << PAGE_SHIFT);
		pte_t pte = pte_at(cx->m, vma->vm_mm, addr);

		STEP(cx);
		locked = (vma->vm_flags & VM_LOCKED) && pte_present(pte) &&
			 pte_pfn(pte) == page->pfn;
	}
	up_read(cx, &root->rwsem);
	return locked;
}

int try_to_unmap(struct ctx *cx, struct page *page)
{
	struct anon_vma *root;
	struct anon_vma_chain *avc;
	int ret = 0;

	if (!page->_mapcount) /* what it was found by may be gone */
		return 0;
	root = page->anon_vma->root;
	down_read(cx, &root->rwsem);
	for (avc = anon_vma_interval_tree_first(&page->anon_vma->rb_root, page->index, page->index);
	     avc && page->_mapcount;
	     avc = anon_vma_interval_tree_next(avc, page->index, page->index)) {
		STEP(cx);
		ret = try_to_unmap_one(cx, page, avc->vma);
		if (ret)
			break;
	}
	up_read(cx, &root->rwsem);
	BUG_ON(cx, !ret && page->_mapcount);
	return ret;
}

/* Where vma has the page: its table and index, or NULL. */
static struct page *page_entry(struct ctx *cx, const struct page *page,
			       const struct vm_area_struct *vma, unsigned int *idx)
{
	u64 addr = vma->vm_start + ((page->index - vma->vm_pgoff) << PAGE_SHIFT);
	struct page *pt = pte_lookup(cx->m, vma->vm_mm, addr);
	pte_t pte;

	if (!pt)
		return NULL;
	*idx = pt_index(&cx->m->geo, PT_PTE, addr);
	pte = pt_get(pt, *idx);
	return pte_present(pte) && pte_pfn(pte) == page->pfn ? pt : NULL;
}

static void discard_one(struct ctx *cx, struct page *page, struct vm_area_struct *vma,
			struct page *pt, unsigned int idx)
{
	struct mm_struct *mm = vma->vm_mm;

	spin_lock(cx, pte_lockptr(cx, mm, pt));
	pt_set(pt, idx, 0);
	flush_tlb_page(cx, mm, vma->vm_start + ((page->index - vma->vm_pgoff) << PAGE_SHIFT));
	update_hiwater_rss(mm);
	mm->rss_stat[MM_ANONPAGES]--;
	page_remove_rmap(cx, page);
	put_page(cx, page);
	spin_unlock(cx, pte_lockptr(cx, mm, pt));
}

bool try_to_discard(struct ctx *cx, struct page *page)
{
	struct rb_root *tree = &page->anon_vma->rb_root;
	struct anon_vma *root = page->anon_vma->root;
	struct anon_vma_chain *avc;
	bool dirty = false;
	unsigned int idx;
	struct page *pt;

	down_read(cx, &root->rwsem);
	for (avc = anon_vma_interval_tree_first(tree, page->index, page->index); avc;
	     avc = anon_vma_interval_tree_next(avc, page->index, page->index)) {
		STEP(cx);
		pt = page_entry(cx, page, avc->vma, &idx);
		dirty |= pt && pt_get(pt, idx) & _PAGE_DIRTY;
	}
	for (avc = anon_vma_interval_tree_first(tree, page->index, page->index); avc && !dirty;
	     avc = anon_vma_interval_tree_next(avc, page->index, page->index)) {
		STEP(cx);
		pt = page_entry(cx, page, avc->vma, &idx);
		if (pt)
			discard_one(cx, page, avc->vma, pt, idx);
	}
	up_read(cx, &root->rwsem);
	BUG_ON(cx, !dirty && page->_mapcount);
	return !dirty;
}
