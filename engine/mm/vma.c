/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VMAs of an mm: an address-ordered list and a red-black tree over the same objects. Each tree
 * node knows the largest hole below any VMA of its subtree, which is what placement searches by.
 *
 * A hole is a matter between two VMAs, so a change of one range concerns two nodes. The order is
 * always: erase from the tree while the list is still the old one, link into the list before the
 * tree, and repair the follower's hole. Recomputing a node in passing then never gives a value that
 * its ancestors have not been told of.
 */
#include "internal.h"

static inline struct vm_area_struct *vma_of(const struct rb_node *node)
{
	return rb_entry(node, struct vm_area_struct, vm_rb);
}

/*
 * A descent goes left or right as often, so half of all guesses are wrong; when one turns out to
 * be, the other child is under way already.
 */
static inline void prefetch_below(const struct rb_node *node)
{
	__builtin_prefetch(node->left);
	__builtin_prefetch(node->right);
}

static bool vma_gap_augment(struct rb_node *node)
{
	struct vm_area_struct *vma = vma_of(node);
	u64 old = vma->rb_subtree_gap;
	u64 gap = vma->vm_start;

	if (vma->vm_prev)
		gap -= vma->vm_prev->vm_end;
	if (node->left)
		gap = max_u64(gap, vma_of(node->left)->rb_subtree_gap);
	if (node->right)
		gap = max_u64(gap, vma_of(node->right)->rb_subtree_gap);
	vma->rb_subtree_gap = gap;
	return gap != old;
}

static void vma_gap_update(struct vm_area_struct *vma)
{
	rb_propagate(&vma->vm_rb, vma_gap_augment);
}

/* What lies above vma begins after it now; vma may be NULL: nothing is below. */
static void gap_above_update(struct mm_struct *mm, struct vm_area_struct *vma,
			     struct vm_area_struct *next)
{
	if (next)
		vma_gap_update(next);
	else
		mm->highest_vm_end = vma ? vma->vm_end : 0;
}

/* ---- lookup (facts §7.1, §7.3) -------------------------------------------------------------- */

struct vm_area_struct *find_vma(struct ctx *cx, struct mm_struct *mm, u64 addr)
{
	struct vm_area_struct *vma = vmacache_find(cx, mm, addr);
	struct rb_node *node = mm->mm_rb.node;

	if (vma)
		return vma;
	while (node) {
		struct vm_area_struct *tmp = vma_of(node);

		STEP(cx);
		prefetch_below(node);
		if (tmp->vm_end <= addr) {
			node = node->right;
			continue;
		}
		vma = tmp;
		if (tmp->vm_start <= addr)
			break;
		node = node->left;
	}
	if (vma)
		vmacache_update(cx, addr, vma);
	return vma;
}

struct vm_area_struct *find_vma_prev(struct ctx *cx, struct mm_struct *mm, u64 addr,
				     struct vm_area_struct **prev)
{
	struct vm_area_struct *vma = find_vma(cx, mm, addr);
	struct rb_node *last;

	if (vma) {
		*prev = vma->vm_prev;
	} else {
		last = rb_last(&mm->mm_rb);
		*prev = last ? vma_of(last) : NULL;
	}
	return vma;
}

struct vm_area_struct *find_vma_intersection(struct ctx *cx, struct mm_struct *mm, u64 start,
					     u64 end)
{
	struct vm_area_struct *vma = find_vma(cx, mm, start);

	return vma && end > vma->vm_start ? vma : NULL;
}

int find_vma_links(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 end,
		   struct vm_area_struct **prev, struct rb_node ***link, struct rb_node **parent)
{
	struct rb_node **slot = &mm->mm_rb.node, *above = NULL;
	struct vm_area_struct *before = NULL;

	while (*slot) {
		struct vm_area_struct *vma;

		STEP(cx);
		above = *slot;
		prefetch_below(above);
		vma = vma_of(above);
		if (vma->vm_end > addr) {
			if (vma->vm_start < end)
				return -ENOMEM;
			slot = &above->left;
		} else {
			before = vma;
			slot = &above->right;
		}
	}
	*prev = before;
	*link = slot;
	*parent = above;
	return 0;
}

/* ---- linking (facts §7.4) ------------------------------------------------------------------- */

void __vma_link_list(struct mm_struct *mm, struct vm_area_struct *vma, struct vm_area_struct *prev,
		     struct rb_node *parent)
{
	struct vm_area_struct *next;

	vma->vm_prev = prev;
	if (prev) {
		next = prev->vm_next;
		prev->vm_next = vma;
	} else {
		/* A new head: it hangs below the old one, which is the tree's first. */
		next = parent ? vma_of(parent) : NULL;
		mm->mmap = vma;
	}
	vma->vm_next = next;
	if (next)
		next->vm_prev = vma;
}

void __vma_link_rb(struct mm_struct *mm, struct vm_area_struct *vma, struct rb_node **link,
		   struct rb_node *parent)
{
	gap_above_update(mm, vma, vma->vm_next);
	rb_link_node(&vma->vm_rb, parent, link);
	rb_insert(&mm->mm_rb, &vma->vm_rb, vma_gap_augment);
}

/* Locks: i_mmap_rwsem of the file. */
static void __vma_link_file(struct vm_area_struct *vma)
{
	struct address_space *mapping;

	if (!vma->vm_file)
		return;
	mapping = &vma->vm_file->f_inode->i_data;
	if (vma->vm_flags & VM_DENYWRITE)
		mapping->host->i_writecount--;
	if (vma->vm_flags & VM_SHARED)
		mapping->i_mmap_writable++;
	vma_interval_tree_insert(vma, &mapping->i_mmap);
}

/* Locks: i_mmap_rwsem of the file. */
static void __remove_shared_vm_struct(struct vm_area_struct *vma, struct address_space *mapping)
{
	if (vma->vm_flags & VM_DENYWRITE)
		mapping->host->i_writecount++;
	if (vma->vm_flags & VM_SHARED)
		mapping->i_mmap_writable--;
	vma_interval_tree_remove(vma, &mapping->i_mmap);
}

void unlink_file_vma(struct ctx *cx, struct vm_area_struct *vma)
{
	struct address_space *mapping;

	if (!vma->vm_file)
		return;
	mapping = &vma->vm_file->f_inode->i_data;
	down_write(cx, &mapping->i_mmap_rwsem);
	__remove_shared_vm_struct(vma, mapping);
	up_write(cx, &mapping->i_mmap_rwsem);
}

static void __vma_link(struct mm_struct *mm, struct vm_area_struct *vma,
		       struct vm_area_struct *prev, struct rb_node **link, struct rb_node *parent)
{
	__vma_link_list(mm, vma, prev, parent);
	__vma_link_rb(mm, vma, link, parent);
}

void vma_link(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma,
	      struct vm_area_struct *prev, struct rb_node **link, struct rb_node *parent)
{
	struct address_space *mapping = NULL;

	if (vma->vm_file) {
		mapping = &vma->vm_file->f_inode->i_data;
		down_write(cx, &mapping->i_mmap_rwsem);
	}
	__vma_link(mm, vma, prev, link, parent);
	__vma_link_file(vma);
	if (mapping)
		up_write(cx, &mapping->i_mmap_rwsem);
	mm->map_count++;
}

int insert_vm_struct(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma,
		     enum fl_site acct_site)
{
	struct vm_area_struct *prev;
	struct rb_node **link, *parent;

	if (find_vma_links(cx, mm, vma->vm_start, vma->vm_end, &prev, &link, &parent))
		return -ENOMEM;
	if ((vma->vm_flags & VM_ACCOUNT) &&
	    security_vm_enough_memory_mm(cx, mm, vma_pages(vma), acct_site))
		return -ENOMEM;
	if (vma_is_anonymous(vma)) {
		/* What a never-faulted anonymous VMA's offset is by rule (G-07). */
		BUG_ON(cx, vma->anon_vma);
		vma->vm_pgoff = vma->vm_start >> PAGE_SHIFT;
	}
	vma_link(cx, mm, vma, prev, link, parent);
	return 0;
}

/* Takes vma, which follows prev, out of tree and list. */
static void __vma_unlink(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma,
			 struct vm_area_struct *prev)
{
	struct vm_area_struct *next = vma->vm_next;

	rb_erase(&mm->mm_rb, &vma->vm_rb, vma_gap_augment);
	prev->vm_next = next;
	if (next)
		next->vm_prev = prev;
	vmacache_invalidate(cx, mm);
}

void detach_vmas_to_be_unmapped(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma,
				struct vm_area_struct *prev, u64 end)
{
	struct vm_area_struct *first = vma, *tail;

	do {
		STEP(cx);
		rb_erase(&mm->mm_rb, &vma->vm_rb, vma_gap_augment);
		mm->map_count--;
		tail = vma;
		vma = vma->vm_next;
	} while (vma && vma->vm_start < end);

	first->vm_prev = NULL;
	tail->vm_next = NULL;
	if (prev)
		prev->vm_next = vma;
	else
		mm->mmap = vma;
	if (vma)
		vma->vm_prev = prev;
	gap_above_update(mm, prev, vma);
	vmacache_invalidate(cx, mm);
}

bool vma_wants_writenotify(const struct vm_area_struct *vma)
{
	const u32 shared_writable = VM_WRITE | VM_SHARED;

	return (vma->vm_flags & shared_writable) == shared_writable && vma->vm_file &&
	       !vma->vm_file->f_inode->shmem;
}

/* A first store to a page that must be known to be dirty has to fault: no write bit till then. */
void vma_set_page_prot(struct vm_area_struct *vma)
{
	u32 vm_flags = vma->vm_flags;

	if (vma_wants_writenotify(vma))
		vm_flags &= ~VM_SHARED;
	vma->vm_page_prot = vm_get_page_prot(vm_flags);
}

/* ---- changing ranges (facts §7.5, §7.6) ----------------------------------------------------- */

/* A chain's key is its VMA's range: out of the trees before a change, and back after it. */
static void anon_vma_interval_tree_pre_update_vma(struct ctx *cx, struct vm_area_struct *vma)
{
	struct anon_vma_chain *avc;

	list_for_each_entry(avc, &vma->anon_vma_chain, same_vma) {
		STEP(cx);
		anon_vma_interval_tree_remove(avc, &avc->anon_vma->rb_root);
	}
}

static void anon_vma_interval_tree_post_update_vma(struct ctx *cx, struct vm_area_struct *vma)
{
	struct anon_vma_chain *avc;

	list_for_each_entry(avc, &vma->anon_vma_chain, same_vma) {
		STEP(cx);
		anon_vma_interval_tree_insert(avc, &avc->anon_vma->rb_root);
	}
}

/* Links the new half of a split, whose range its VMA has just given up. */
static void __insert_vm_struct(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma)
{
	struct vm_area_struct *prev;
	struct rb_node **link, *parent;
	int overlap = find_vma_links(cx, mm, vma->vm_start, vma->vm_end, &prev, &link, &parent);

	BUG_ON(cx, overlap);
	__vma_link(mm, vma, prev, link, parent);
	mm->map_count++;
}

/* Frees a VMA that is out of list, tree and file tree, and whose range is vma's now. */
static void vma_absorbed(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *victim)
{
	if (victim->vm_file)
		fput(cx, victim->vm_file);
	unlink_anon_vmas(cx, victim);
	mm->map_count--;
	mpol_put(cx, victim->vm_policy);
	kmem_cache_free(cx, CACHE_vm_area_struct, victim);
}

int vma_adjust(struct ctx *cx, struct vm_area_struct *vma, u64 start, u64 end, pgoff_t pgoff,
	       struct vm_area_struct *insert)
{
	struct mm_struct *mm = vma->vm_mm;
	struct vm_area_struct *next = vma->vm_next;
	struct vm_area_struct *victims[2];
	struct address_space *mapping = NULL;
	struct anon_vma *anon_vma;
	unsigned int remove_next = 0;
	u64 moved_up = 0, moved_down = 0; /* bytes by which next's start changes with vma's end */
	bool adjust_next;

	if (next && !insert) {
		struct vm_area_struct *exporter = NULL, *importer = NULL;

		if (end >= next->vm_end) {
			remove_next = end > next->vm_end ? 2 : 1;
			victims[0] = next;
			victims[1] = next->vm_next;
			BUG_ON(cx, remove_next == 2 &&
					   (!next->vm_next || next->vm_next->vm_end != end));
			importer = vma;
			exporter = next;
			/*
			 * Both victims' pages come to vma. If both have an anon_vma it is the same
			 * one. To find out about the second when the first is gone is too late to
			 * fail (B-02).
			 */
			if (remove_next == 2 && !next->anon_vma)
				exporter = next->vm_next;
		} else if (end > next->vm_start) {
			moved_up = end - next->vm_start;
			importer = vma;
			exporter = next;
		} else if (end < vma->vm_end) {
			moved_down = vma->vm_end - end;
			importer = next;
			exporter = vma;
		}
		if (exporter && exporter->anon_vma && !importer->anon_vma) {
			int err;

			importer->anon_vma = exporter->anon_vma;
			err = anon_vma_clone(cx, importer, exporter);
			if (err)
				return err;
		}
	}
	adjust_next = moved_up || moved_down;

	/* Nothing fails from here on. */
	vma_adjust_trans_huge(cx, vma, start, end, (s64)(moved_up - moved_down));
	if (vma->vm_file) {
		mapping = &vma->vm_file->f_inode->i_data;
		down_write(cx, &mapping->i_mmap_rwsem);
		if (insert)
			__vma_link_file(insert);
	}
	anon_vma = vma->anon_vma;
	if (!anon_vma && adjust_next)
		anon_vma = next->anon_vma;
	if (anon_vma) {
		down_write(cx, &anon_vma->root->rwsem);
		anon_vma_interval_tree_pre_update_vma(cx, vma);
		if (adjust_next)
			anon_vma_interval_tree_pre_update_vma(cx, next);
	}
	if (mapping) {
		vma_interval_tree_remove(vma, &mapping->i_mmap);
		if (adjust_next)
			vma_interval_tree_remove(next, &mapping->i_mmap);
	}

	/* The victims go while all ranges are the old ones: so no hole is ever negative. */
	for (unsigned int i = 0; i < remove_next; i++) {
		__vma_unlink(cx, mm, victims[i], vma);
		if (mapping)
			__remove_shared_vm_struct(victims[i], mapping);
	}
	vma->vm_start = start;
	vma->vm_end = end;
	vma->vm_pgoff = pgoff;
	if (adjust_next) {
		next->vm_start += moved_up - moved_down;
		next->vm_pgoff += (moved_up >> PAGE_SHIFT) - (moved_down >> PAGE_SHIFT);
	}

	if (mapping) {
		if (adjust_next)
			vma_interval_tree_insert(next, &mapping->i_mmap);
		vma_interval_tree_insert(vma, &mapping->i_mmap);
	}
	if (insert) {
		__insert_vm_struct(cx, mm, insert);
	} else {
		vma_gap_update(vma);
		gap_above_update(mm, vma, vma->vm_next);
	}
	if (anon_vma) {
		anon_vma_interval_tree_post_update_vma(cx, vma);
		if (adjust_next)
			anon_vma_interval_tree_post_update_vma(cx, next);
		up_write(cx, &anon_vma->root->rwsem);
	}
	if (mapping)
		up_write(cx, &mapping->i_mmap_rwsem);

	for (unsigned int i = 0; i < remove_next; i++)
		vma_absorbed(cx, mm, victims[i]);
	return 0;
}

int __split_vma(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma, u64 addr,
		bool new_below)
{
	struct vm_area_struct *new;
	int err;

	BUG_ON(cx, addr <= vma->vm_start || addr >= vma->vm_end);
	new = kmem_cache_alloc(cx, CACHE_vm_area_struct, SITE_split_vma_vma, GFP_KERNEL);
	if (!new)
		return -ENOMEM;

	*new = *vma;
	new->vm_next = new->vm_prev = NULL;
	new->vm_rb = (struct rb_node){0};
	new->shared.rb = (struct rb_node){0};
	INIT_LIST_HEAD(&new->anon_vma_chain);
	if (new_below) {
		new->vm_end = addr;
	} else {
		new->vm_start = addr;
		new->vm_pgoff += (addr - vma->vm_start) >> PAGE_SHIFT;
	}

	err = vma_dup_policy(cx, vma, new, SITE_split_vma_policy);
	if (err)
		goto out_free_vma;
	err = anon_vma_clone(cx, new, vma);
	if (err)
		goto out_free_mpol;
	if (new->vm_file)
		get_file(cx, new->vm_file);

	if (new_below)
		err = vma_adjust(cx, vma, addr, vma->vm_end,
				 vma->vm_pgoff + ((addr - new->vm_start) >> PAGE_SHIFT), new);
	else
		err = vma_adjust(cx, vma, vma->vm_start, addr, vma->vm_pgoff, new);
	/* With something to insert there is no neighbour to import from: it cannot fail. */
	BUG_ON(cx, err);
	BUG_ON(cx, new->vm_mm != mm);
	return 0;

out_free_mpol:
	mpol_put(cx, new->vm_policy);
out_free_vma:
	kmem_cache_free(cx, CACHE_vm_area_struct, new);
	return err;
}

int split_vma(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma, u64 addr,
	      bool new_below)
{
	if (over_limit(cx, SITE_split_vma_map_count,
		       (u64)mm->map_count >= cx->m->cfg.max_map_count))
		return -ENOMEM;
	return __split_vma(cx, mm, vma, addr, new_below);
}

/* ---- merging (facts §7.7) ------------------------------------------------------------------- */

/* What a range has to be like to become one with its neighbours. */
struct merge_range {
	u32 vm_flags;
	const struct anon_vma *anon_vma;
	const struct file *file;
	const struct mempolicy *policy;
	const struct userfaultfd_ctx *uffd;
};

static bool is_mergeable_vma(const struct vm_area_struct *vma, const struct merge_range *r)
{
	return !((vma->vm_flags ^ r->vm_flags) & ~VM_SOFTDIRTY) && vma->vm_file == r->file &&
	       vma->vm_userfaultfd_ctx == r->uffd && mpol_equal(vma->vm_policy, r->policy);
}

/*
 * Two ranges may share an anon_vma if they do already, or if one has none and vma, whose list the
 * other would take over, has not inherited from a parent: then its list is one long. An untouched
 * vma has an empty list, which is not one long: a touched range does not merge into it.
 */
static bool is_mergeable_anon_vma(const struct anon_vma *a, const struct anon_vma *b,
				  const struct vm_area_struct *vma,
				  const struct vm_area_struct *from)
{
	/* `from` has the anon_vma a: the same rule, the other way round. */
	if (from && a && !b)
		return list_is_singular(&from->anon_vma_chain);
	if ((!a || !b) && (!vma || list_is_singular(&vma->anon_vma_chain)))
		return true;
	return a == b;
}

static bool can_vma_merge_before(const struct vm_area_struct *vma, const struct merge_range *r,
				 pgoff_t pgoff, const struct vm_area_struct *from)
{
	return is_mergeable_vma(vma, r) &&
	       is_mergeable_anon_vma(r->anon_vma, vma->anon_vma, vma, from) &&
	       vma->vm_pgoff == pgoff;
}

static bool can_vma_merge_after(const struct vm_area_struct *vma, const struct merge_range *r,
				pgoff_t pgoff, const struct vm_area_struct *from)
{
	return is_mergeable_vma(vma, r) &&
	       is_mergeable_anon_vma(r->anon_vma, vma->anon_vma, vma, from) &&
	       vma->vm_pgoff + vma_pages(vma) == pgoff;
}

/* The VMA that the range [addr, ...) to be merged lies in, if it is the one with that anon_vma. */
static const struct vm_area_struct *faulted_area(const struct ctx *cx,
						 const struct vm_area_struct *prev,
						 const struct vm_area_struct *area, u64 addr,
						 const struct anon_vma *anon_vma)
{
	const struct vm_area_struct *vma = prev && addr < prev->vm_end ? prev : area;

	if (!anon_vma || !differs(cx, DIFF_merge_into_unfaulted))
		return NULL;
	return vma && vma->anon_vma == anon_vma && vma->vm_start <= addr ? vma : NULL;
}

/* The end of a merge. That khugepaged is not told is nothing that it could fail for. */
static struct vm_area_struct *merged(struct ctx *cx, struct vm_area_struct *vma, u32 vm_flags,
				     int err)
{
	if (err)
		return NULL;
	(void)khugepaged_enter_vma_merge(cx, vma, vm_flags, SITE_khugepaged_merge_slot);
	return vma;
}

/*
 * next takes in the range from addr on. What stays is area, which may be the VMA that had it: then
 * it gets next's policy, for nothing that could be refused later may be left to make it so.
 */
static int extend_down(struct ctx *cx, struct vm_area_struct *area, u64 addr,
		       struct vm_area_struct *next, pgoff_t pglen)
{
	struct mempolicy *old = area->vm_policy;
	int err;

	area->vm_policy = next->vm_policy;
	next->vm_policy = old;
	err = vma_adjust(cx, area, addr, next->vm_end, next->vm_pgoff - pglen, NULL);
	if (err) {
		next->vm_policy = area->vm_policy;
		area->vm_policy = old;
	}
	return err;
}

struct vm_area_struct *vma_merge(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *prev,
				 u64 addr, u64 end, u32 vm_flags, struct anon_vma *anon_vma,
				 struct file *file, pgoff_t pgoff, const struct mempolicy *policy,
				 const struct userfaultfd_ctx *uffd)
{
	const struct merge_range range = {vm_flags, anon_vma, file, policy, uffd};
	pgoff_t pglen = (end - addr) >> PAGE_SHIFT;
	struct vm_area_struct *area, *next;
	const struct vm_area_struct *from;
	bool with_next;
	int err;

	if (vm_flags & VM_SPECIAL)
		return NULL;

	next = prev ? prev->vm_next : mm->mmap;
	area = next;
	from = faulted_area(cx, prev, area, addr, anon_vma);
	if (next && next->vm_end == end) /* cases 6, 7, 8 */
		next = next->vm_next;
	with_next = next && end == next->vm_start &&
		    can_vma_merge_before(next, &range, pgoff + pglen, from);

	if (prev && prev->vm_end == addr && can_vma_merge_after(prev, &range, pgoff, from)) {
		if (with_next && is_mergeable_anon_vma(prev->anon_vma, next->anon_vma, NULL, NULL))
			/* cases 1, 6 */
			err = vma_adjust(cx, prev, prev->vm_start, next->vm_end, prev->vm_pgoff,
					 NULL);
		else
			/* cases 2, 5, 7 */
			err = vma_adjust(cx, prev, prev->vm_start, end, prev->vm_pgoff, NULL);
		return merged(cx, prev, vm_flags, err);
	}

	if (with_next) {
		if (prev && addr < prev->vm_end)
			/* case 4: area is next */
			err = vma_adjust(cx, prev, prev->vm_start, addr, prev->vm_pgoff, NULL);
		else
			/* cases 3 (area is next) and 8 */
			err = extend_down(cx, area, addr, next, pglen);
		return merged(cx, area, vm_flags, err);
	}
	return NULL;
}

bool anon_vma_compatible(const struct vm_area_struct *a, const struct vm_area_struct *b)
{
	return a->vm_end == b->vm_start && a->vm_file == b->vm_file &&
	       mpol_equal(a->vm_policy, b->vm_policy) &&
	       !((a->vm_flags ^ b->vm_flags) & ~(VM_ACCESS_FLAGS | VM_SOFTDIRTY)) &&
	       b->vm_pgoff == a->vm_pgoff + vma_pages(a);
}
