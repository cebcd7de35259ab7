/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state as a list of facts in a normal form, and its hash (facts §13.2, fault_injection.md
 * §9.6).
 *
 * Objects are numbered from 1 by first visit, 0 stands for none. What a failed operation may leave
 * behind must not be seen: extra splits of VMAs, empty tables, entries of private pages that lost
 * their write bit, a prepared anon_vma. Because a later fork gives each half of a split its own
 * anon_vma, and a fault in one of them may then reuse or not, which anon_vma a page has is history,
 * too; that the page can be found through it is the checks' business (G-09, G-10).
 *
 * Whether an anonymous page is in memory, in swap or in both is history, too: reclaim and faults
 * move it to and fro, a store that fails for want of a copy may have brought it in. So an entry
 * stands for the content, whichever of the two it names, and a count of entries takes in both
 * kinds. A dirty bit does not survive the way, and is not seen on anonymous pages of a machine with
 * swap.
 *
 * Counts that grow with such leftovers are given as what they have beyond the objects found.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "checks.h"

#define SEMANTIC false
#define HISTORY	 true
const struct fl_obs_field fl_obs_fields[] = {
#define OBS(object, name, class) {#object, #name, class},
#include <faultline/observe.def>
#undef OBS
};
#undef SEMANTIC
#undef HISTORY
const unsigned int fl_nr_obs_fields = NR_OBS_FIELDS;

/* Keys of machine.damaged: what had no end, or pointed to something else. */
enum damage {
	DAMAGE_TASKS,
	DAMAGE_MMS,
	DAMAGE_FILES,
	DAMAGE_VMAS,
	DAMAGE_CHAIN,
	DAMAGE_CACHE,
	DAMAGE_MM_POINTER,
	DAMAGE_DAEMONS,
	DAMAGE_CONTEXT,
};

/* A pointer that names none of the machine's objects. */
#define NO_SUCH	   0xffffffffu
#define FIRST_IDLE (NO_SUCH - 1) /* and downwards, by CPU */

struct digest {
	XXH3_state_t state;
	u64 buf[3 * 64];
	unsigned int used;
};

struct observer {
	struct machine *m;
	bool strict, contents;
	bool stamp; /* tables by their sums, pages by their descriptors */
	fl_obs_fn fn;
	void *priv;
	struct digest *digest; /* takes the records in place of fn, or NULL */
	u32 nr_mms, nr_pages, nr_avs;
	/* live objects that have not been come across yet */
	s64 slab[NR_CACHES], pages[NR_PAGE_TYPES];
	s64 nr_pagetable, tasks, mms, swap;
};

static inline void digest_add(struct digest *d, u64 a, u64 b, u64 c)
{
	d->buf[d->used++] = a;
	d->buf[d->used++] = b;
	d->buf[d->used++] = c;
	if (d->used == ARRAY_SIZE(d->buf)) {
		XXH3_64bits_update(&d->state, d->buf, sizeof(d->buf));
		d->used = 0;
	}
}

static inline void put(struct observer *o, enum fl_obs_id field, u32 obj, u64 key, u64 val)
{
	struct fl_obs rec = {.field = (u16)field, .obj = obj, .key = key, .val = val};

	if (o->digest)
		digest_add(o->digest, (u64)field << 32 | obj, key, val);
	else
		o->fn(o->priv, &rec);
}

static inline void obs(struct observer *o, enum fl_obs_id field, u32 obj, u64 key, u64 val)
{
	if (o->strict || !fl_obs_fields[field].history)
		put(o, field, obj, key, val);
}

static void damaged(struct observer *o, enum damage what)
{
	obs(o, OBS_machine_damaged, 0, what, 1);
}

/* ---- numbers -------------------------------------------------------------------------------- */

/* Dead tasks wait on a CPU for the next switch: where they are is history, so they have no number.
 */
static u32 task_number(const struct observer *o, const struct task_struct *tsk)
{
	const struct task_struct *pos;
	u32 n = 0;

	if (!tsk)
		return 0;
	list_for_each_entry(pos, &o->m->tasks, tasks) {
		n += pos->state != TASK_DEAD;
		if (pos == tsk)
			return pos->state == TASK_DEAD ? NO_SUCH : n;
	}
	for (unsigned int cpu = 0; cpu < o->m->cfg.cpus; cpu++) {
		if (o->m->rqs[cpu].idle == tsk)
			return FIRST_IDLE - cpu;
	}
	return NO_SUCH;
}

bool fl_obs_counts_births(u64 task)
{
	return task && task <= FIRST_IDLE - ARRAY_SIZE(((struct machine *)NULL)->rqs);
}

bool fl_obs_names_group(u64 key)
{
	return key == SHARE_signal;
}

bool fl_obs_names_handlers(u64 key)
{
	return key == SHARE_sighand;
}

static u32 mm_number(const struct observer *o, const struct mm_struct *mm)
{
	if (!mm)
		return 0;
	if (mm == &o->m->init_mm)
		return NO_SUCH - 1;
	return chk_is_live_mm(o->m, mm) ? mm->seen[0] : NO_SUCH;
}

static u32 file_number(const struct file *file)
{
	return file ? file->seen[SEEN_NUMBER] : 0;
}

static u32 binfmt_number(const struct machine *m, const struct linux_binfmt *fmt)
{
	for (u32 i = 0; i < NR_BINFMTS; i++) {
		if (fmt == &m->binfmts[i])
			return i + 1;
	}
	return fmt ? NO_SUCH : 0;
}

/* inode->seen[SEEN_VMAS] holds the number here: VMAs are not counted by inode. */
static u32 inode_number(const struct file_inode *inode)
{
	return inode ? inode->seen[SEEN_VMAS] : 0;
}

static u32 anon_vma_number(struct observer *o, struct anon_vma *av)
{
	u32 n;

	if (!av)
		return 0;
	if (av->seen[SEEN_VISITED])
		return av->seen[SEEN_VISITED];
	n = av->seen[SEEN_VISITED] = ++o->nr_avs;
	o->slab[CACHE_anon_vma]--;
	if (!o->strict)
		return n;
	/* the family is on the chain, too: the depth of this is that of the family */
	obs(o, OBS_anon_vma_root, n, 0, anon_vma_number(o, av->root));
	obs(o, OBS_anon_vma_parent, n, 0, anon_vma_number(o, av->parent));
	obs(o, OBS_anon_vma_refcount, n, 0, (u64)(s64)atomic_read(&av->refcount));
	obs(o, OBS_anon_vma_num_children, n, 0, av->num_children);
	obs(o, OBS_anon_vma_num_active_vmas, n, 0, av->num_active_vmas);
	obs(o, OBS_anon_vma_seq, n, 0, av->seq);
	return n;
}

/* Entries that stand for the page: those that map it, and those that name its slot. */
static u64 page_entries(const struct machine *m, const struct page *page)
{
	u64 swapped = page->swap && page->swap < m->swap.max ? swap_count(m, page->swap) : 0;

	return (u64)(s64)page->_mapcount + swapped;
}

/* index: where an entry that is looked at has the page. */
static u32 page_number(struct observer *o, struct page *page, pgoff_t index)
{
	u32 n = page->seen[SEEN_MAPPED];
	bool tail = page->type == PAGE_TAIL;
	/* part of a huge page looks as it would after a split: that it is none is another record */
	const struct page *head = tail && page->block ? page->block : page;
	u8 type = tail ? head->type : page->type;

	if (n)
		return n;
	n = page->seen[SEEN_MAPPED] = ++o->nr_pages;
	obs(o, OBS_page_type, n, 0, type);
	if (type != PAGE_ANON && type != PAGE_FILE && type != PAGE_KERNEL)
		return n;
	o->pages[page->type] -= type != PAGE_KERNEL; /* its owner has it */
	o->swap -= page->swap != 0;
	obs(o, OBS_page_tag, n, 0, page_tag(page));
	obs(o, OBS_page_index, n, 0, index);
	obs(o, OBS_page_mapcount, n, 0, page_entries(o->m, head));
	obs(o, OBS_page_count_extra, n, 0,
	    (u64)((s64)atomic_read(&head->_refcount) - head->_mapcount - page->cache_node.linked -
		  (head->swap != 0) - head->seen[SEEN_CACHED]));
	obs(o, OBS_page_mlocked, n, 0, head->mlocked);
	obs(o, OBS_page_swap, n, 0, page->swap);
	obs(o, OBS_page_memcg, n, 0, head->memcg);
	if (page->type == PAGE_FILE) {
		obs(o, OBS_page_inode, n, 0,
		    page->mapping ? inode_number(page->mapping->host) : NO_SUCH);
		obs(o, OBS_page_dirty, n, 0, page->dirty);
	} else if (o->strict && page->type != PAGE_KERNEL) {
		/* what an unmapped one was found by may be gone */
		obs(o, OBS_page_anon_vma, n, 0,
		    head->_mapcount ? anon_vma_number(o, head->anon_vma) : 0);
	}
	return n;
}

static u64 slot_tag(const struct machine *m, u32 slot)
{
	const struct swap_slot *s = &m->swap.slots[slot];

	return s->page ? page_tag(s->page) : s->tag;
}

/* The same for a slot, as if its page had been brought in. */
static u32 slot_number(struct observer *o, u32 slot, pgoff_t index)
{
	struct swap_slot *s = &o->m->swap.slots[slot];
	u32 n = s->seen[SEEN_MAPPED];

	if (s->page)
		return page_number(o, s->page, index);
	if (n)
		return n;
	n = s->seen[SEEN_MAPPED] = ++o->nr_pages;
	o->swap--;
	obs(o, OBS_page_type, n, 0, PAGE_ANON);
	obs(o, OBS_page_tag, n, 0, s->tag);
	obs(o, OBS_page_index, n, 0, index);
	obs(o, OBS_page_mapcount, n, 0, swap_count(o->m, slot));
	obs(o, OBS_page_count_extra, n, 0, 0);
	obs(o, OBS_page_mlocked, n, 0, false);
	obs(o, OBS_page_swap, n, 0, slot);
	obs(o, OBS_page_memcg, n, 0, 0);
	return n;
}

static u64 policy_value(const struct mempolicy *pol)
{
	return pol ? (u64)pol->mode << 32 | pol->nodes : 0;
}

/* ---- VMAs ----------------------------------------------------------------------------------- */

struct area {
	u64 start, end;
	u32 flags;
	pte_t page_prot;
	pgoff_t pgoff;
	const struct file *file;
	u32 special, uffd;
	u64 policy;
};

static void observe_area(struct observer *o, u32 mm, const struct area *a)
{
	if (a->start == a->end)
		return;
	obs(o, OBS_vma_end, mm, a->start, a->end);
	obs(o, OBS_vma_flags, mm, a->start, a->flags);
	obs(o, OBS_vma_page_prot, mm, a->start, a->page_prot);
	obs(o, OBS_vma_pgoff, mm, a->start, a->pgoff);
	obs(o, OBS_vma_file, mm, a->start, file_number(a->file));
	if (a->special)
		obs(o, OBS_vma_special, mm, a->start, a->special);
	if (a->uffd)
		obs(o, OBS_vma_uffd, mm, a->start, a->uffd);
	obs(o, OBS_vma_policy, mm, a->start, a->policy);
}

static bool area_goes_on(const struct area *a, const struct vm_area_struct *vma, u32 flags,
			 u32 special, u32 uffd)
{
	return a->end == vma->vm_start && a->flags == flags && a->page_prot == vma->vm_page_prot &&
	       a->file == vma->vm_file && a->special == special && a->uffd == uffd &&
	       a->policy == policy_value(vma->vm_policy) &&
	       a->pgoff + ((a->end - a->start) >> PAGE_SHIFT) == vma->vm_pgoff;
}

static u32 special_number(const struct observer *o, const struct mm_struct *mm,
			  const struct vm_area_struct *vma)
{
	u32 n = chk_special(o->m, mm, vma);

	return vma->vm_private_data && !n ? NO_SUCH : n;
}

static u32 uffd_number(const struct observer *o, const struct vm_area_struct *vma)
{
	u32 n = chk_uffd(o->m, vma->vm_userfaultfd_ctx);

	return vma->vm_userfaultfd_ctx && !n ? NO_SUCH : n;
}

static void observe_chain(struct observer *o, u32 mm, struct vm_area_struct *vma)
{
	struct anon_vma_chain *avc;
	u64 i = 0, n;

	if (!chk_ring(&vma->anon_vma_chain, chk_bound(o->m, CACHE_anon_vma_chain), &n)) {
		damaged(o, DAMAGE_CHAIN);
		return;
	}
	list_for_each_entry(avc, &vma->anon_vma_chain, same_vma) {
		o->slab[CACHE_anon_vma_chain]--;
		obs(o, OBS_vma_chain, mm, vma->vm_start + i++, anon_vma_number(o, avc->anon_vma));
	}
	if (o->strict)
		obs(o, OBS_vma_anon_vma, mm, vma->vm_start, anon_vma_number(o, vma->anon_vma));
}

static void count_vma(struct vm_area_struct *vma)
{
	struct file_inode *inode;

	if (!vma->vm_file)
		return;
	inode = vma->vm_file->f_inode;
	vma->vm_file->seen[SEEN_REFERENCES]++;
	inode->seen[SEEN_SHARED] += !!(vma->vm_flags & VM_SHARED);
	inode->seen[SEEN_DENY] += !!(vma->vm_flags & VM_DENYWRITE);
}

/* Returns the number of VMAs on the list. */
static u64 observe_vmas(struct observer *o, u32 number, struct mm_struct *mm)
{
	u64 max = chk_bound(o->m, CACHE_vm_area_struct), n = 0;
	struct area a = {0};

	for (struct vm_area_struct *vma = mm->mmap; vma; vma = vma->vm_next, n++) {
		/* a merge does not look at VM_SOFTDIRTY either */
		u32 flags = vma->vm_flags & ~VM_SOFTDIRTY;
		u32 special = special_number(o, mm, vma);
		u32 uffd = uffd_number(o, vma);

		if (n == max) {
			damaged(o, DAMAGE_VMAS);
			break;
		}
		if (!area_goes_on(&a, vma, flags, special, uffd)) {
			observe_area(o, number, &a);
			a = (struct area){
				.start = vma->vm_start,
				.flags = flags,
				.page_prot = vma->vm_page_prot,
				.pgoff = vma->vm_pgoff,
				.file = vma->vm_file,
				.special = special,
				.uffd = uffd,
				.policy = policy_value(vma->vm_policy),
			};
		}
		a.end = vma->vm_end;
		obs(o, OBS_vma_raw_end, number, vma->vm_start, vma->vm_end);
		obs(o, OBS_vma_raw_flags, number, vma->vm_start, vma->vm_flags);
		count_vma(vma);
		observe_chain(o, number, vma);
		o->slab[CACHE_vm_area_struct]--;
		o->slab[CACHE_numa_policy] -= vma->vm_policy != NULL;
	}
	observe_area(o, number, &a);
	return n;
}

/* Its chain by what is on it; of a ring that has no end the number alone is taken. */
static void stamp_chain(struct observer *o, const struct vm_area_struct *vma)
{
	u64 left = o->m->caches[CACHE_anon_vma_chain].live, nr = 0, sum = 0;
	const struct anon_vma_chain *avc;

	list_for_each_entry(avc, &vma->anon_vma_chain, same_vma) {
		if (nr++ == left)
			break;
		sum = (sum + avc->anon_vma->seq) * 0x9e3779b97f4a7c15u;
	}
	digest_add(o->digest, nr, sum, vma->anon_vma ? vma->anon_vma->seq : 0);
}

/* Each as it is, be it part of an area or not. */
static u64 stamp_vmas(struct observer *o, u32 number, struct mm_struct *mm)
{
	u64 max = chk_bound(o->m, CACHE_vm_area_struct), n = 0;

	for (struct vm_area_struct *vma = mm->mmap; vma && n < max; vma = vma->vm_next, n++) {
		u64 names = (u64)special_number(o, mm, vma) << 32 | uffd_number(o, vma);

		digest_add(o->digest, (u64)number << 32 | vma->vm_flags, vma->vm_start,
			   vma->vm_end);
		digest_add(o->digest, vma->vm_page_prot, vma->vm_pgoff,
			   policy_value(vma->vm_policy));
		digest_add(o->digest, file_number(vma->vm_file), names, vma->vm_policy != NULL);
		stamp_chain(o, vma);
		count_vma(vma);
	}
	return n;
}

/* ---- page tables ---------------------------------------------------------------------------- */

struct table_walk {
	struct observer *o;
	u32 mm;
	const struct vm_area_struct *vma;
	u64 vmas_left;
};

static const struct vm_area_struct *vma_at(struct table_walk *w, u64 addr)
{
	while (w->vma && w->vma->vm_end <= addr) {
		w->vma = --w->vmas_left ? w->vma->vm_next : NULL;
	}
	return w->vma && w->vma->vm_start <= addr ? w->vma : NULL;
}

static void observe_tag(struct observer *o, u32 mm, u64 addr, u64 tag)
{
	if ((o->contents || o->strict) && tag)
		put(o, OBS_pte_tag, mm, addr, tag);
}

/* Of a user page, which may be part of a huge one. */
static pgoff_t index_of(const struct page *page)
{
	const struct page *head = page->type == PAGE_TAIL && page->block ? page->block : page;

	return head->index + (page->pfn - head->pfn);
}

static void observe_swap_pte(struct table_walk *w, u64 addr, pte_t e, pte_t hidden)
{
	const struct vm_area_struct *vma = vma_at(w, addr);
	struct observer *o = w->o;

	if (!vma || !chk_swap_entry(o->m, e)) {
		obs(o, OBS_pte_bad, w->mm, addr, e);
		return;
	}
	observe_tag(o, w->mm, addr, slot_tag(o->m, pte_to_swp_entry(e)));
	obs(o, OBS_pte_page, w->mm, addr,
	    slot_number(o, pte_to_swp_entry(e), linear_page_index(vma, addr)));
	/* entries of 32 bits have no room for all of it */
	if (o->m->geo.levels == 2)
		hidden |= ~(pte_t)UINT32_MAX;
	obs(o, OBS_pte_bits, w->mm, addr, vma->vm_page_prot & ~hidden);
	obs(o, OBS_pte_swapped, w->mm, addr, 1);
}

static void observe_pte(struct table_walk *w, u64 addr, pte_t e)
{
	struct observer *o = w->o;
	const struct vm_area_struct *vma = vma_at(w, addr);
	pte_t hidden = _PAGE_PFN_MASK | _PAGE_ACCESSED;
	struct page *page;

	if (vma && is_cow_mapping(vma->vm_flags))
		hidden |= _PAGE_RW;
	if (o->m->swap.max && is_swap_pte(e)) {
		observe_swap_pte(w, addr, e, hidden | _PAGE_DIRTY);
		return;
	}
	page = chk_page(o->m, pte_pfn(e));
	if (!page) {
		obs(o, OBS_pte_bad, w->mm, addr, e);
		return;
	}
	if (o->m->swap.max && (page->type == PAGE_ANON || page->type == PAGE_TAIL))
		hidden |= _PAGE_DIRTY;
	if (page->mem)
		observe_tag(o, w->mm, addr, page_tag(page));
	obs(o, OBS_pte_page, w->mm, addr,
	    page == o->m->zero_page || page == o->m->huge_zero_page
		    ? 0
		    : page_number(o, page, index_of(page)));
	obs(o, OBS_pte_bits, w->mm, addr, e & ~hidden);
	/* where the entry is dirty it does not matter what was said before */
	if (page->lazyfree && !(e & _PAGE_DIRTY))
		obs(o, OBS_pte_lazyfree, w->mm, addr, 1);
	obs(o, OBS_pte_raw_bits, w->mm, addr, e & ~_PAGE_PFN_MASK);
}

static void found_table(struct observer *o, const struct page *pt)
{
	o->pages[pt->type]--;
	o->nr_pagetable -= pt->type == PAGE_PTE;
	o->slab[CACHE_ptl] -= pt->ptl != NULL;
}

/* Page by page, and that they are mapped as one. */
static void observe_huge(struct table_walk *w, u64 addr, pte_t e)
{
	obs(w->o, OBS_pmd_huge, w->mm, addr, 1);
	for (unsigned int i = 0; i < hpage_nr(w->o->m); i++)
		observe_pte(w, addr + ((u64)i << PAGE_SHIFT), huge_pte(e, i));
}

/* Tables that wait for a split. */
static void found_deposits(struct observer *o, const struct page *first)
{
	const struct page *pt = first;
	u64 max = o->m->nr_alloc[PAGE_PTE];

	if (!first)
		return;
	do {
		found_table(o, pt);
		pt = list_first_entry(&pt->lru, struct page, lru);
	} while (pt != first && max--);
}

/* All that a digest has of a page, where it is and what it is mapped by left aside. */
static void stamp_page(struct observer *o, const struct page *page)
{
	bool user = page->type == PAGE_ANON || page->type == PAGE_FILE || page->type == PAGE_TAIL ||
		    page->type == PAGE_KERNEL;
	u64 flags = (u64)page->mlocked | (u64)page->lazyfree << 1 | (u64)page->dirty << 2 |
		    (u64)page->cache_node.linked << 3 | (u64)(page->ptl != NULL) << 4 |
		    (u64)(page->pgd_user != NULL) << 5 | (u64)page->memcg << 8 |
		    (u64)page->seen[SEEN_CACHED] << 16 | (u64)page->swap << 32;
	u64 belongs = page->block ? page->block->pfn : 0;

	if (page->type == PAGE_FILE && page->mapping)
		belongs = page->mapping->host->ino;
	digest_add(o->digest, page->pfn << 16 | (u64)page->type << 8 | page->order,
		   (u64)(u32)atomic_read(&page->_refcount) << 32 | (u32)page->_mapcount, flags);
	digest_add(o->digest, page->index, belongs, user && page->mem ? page_tag(page) : page->sum);
	found_deposits(o, page->pmd_huge_pte);
}

static void stamp_pages(struct observer *o)
{
	for (u32 i = 0; i < o->m->nr_chunks; i++)
		for (u32 j = 0; j < MEM_MAP_CHUNK; j++)
			if (o->m->mem_map[i][j].type != PAGE_FREE)
				stamp_page(o, &o->m->mem_map[i][j]);
}

static void observe_table(struct table_walk *w, const struct page *pt, enum pt_level level,
			  u64 base, unsigned int end)
{
	const struct pt_geometry *geo = &w->o->m->geo;

	for (unsigned int i = pt_next(pt, 0, end); i < end; i = pt_next(pt, i + 1, end)) {
		u64 addr = base + ((u64)i << geo->shift[level]);
		pte_t e = pt_get(pt, i);
		const struct page *child;
		enum pt_level below;

		if (level == PT_PTE) {
			observe_pte(w, addr, e);
			continue;
		}
		if (level == pmd_level(geo) && pmd_trans_huge(e)) {
			observe_huge(w, addr, e);
			continue;
		}
		below = pt_below(geo, level);
		child = chk_page(w->o->m, pte_pfn(e));
		if (!child || child->type < PAGE_P4D || child->type > PAGE_PTE ||
		    child->type != PAGE_PTE - (int)below || !child->mem) {
			obs(w->o, OBS_pte_bad, w->mm, addr, level);
			continue;
		}
		found_table(w->o, child);
		if (child->type == PAGE_PMD)
			found_deposits(w->o, child->pmd_huge_pte);
		observe_table(w, child, below, addr, geo->ptrs[below]);
	}
}

static void found_pgd(struct observer *o, const struct page *pgd)
{
	const struct pt_geometry *geo = &o->m->geo;

	if (geo->shared_kernel_pmd && pgd != o->m->init_mm.pgd)
		o->slab[CACHE_pgd]--;
	else
		o->pages[PAGE_PGD]--;
	o->pages[PAGE_PGD_USER] -= pgd->pgd_user != NULL;
	o->slab[CACHE_ptl] -= pgd->ptl != NULL;
}

/* The kernel half: tables of the pgd's own are counted, what they say is G-11's business. */
static void found_kernel_tables(struct observer *o, const struct page *pgd, unsigned int end)
{
	for (unsigned int i = o->m->geo.kernel_boundary; i < end; i++) {
		pte_t e = pt_get(pgd, i);
		const struct page *pt = pte_none(e) ? NULL : chk_page(o->m, pte_pfn(e));

		if (pt && pt->type >= PAGE_P4D && pt->type <= PAGE_PTE)
			found_table(o, pt);
	}
}

/* What the kernel maps for all: of its PMD table with PAE, else of the pgd. */
static void observe_kernel_half(struct observer *o)
{
	const struct pt_geometry *geo = &o->m->geo;
	const struct page *pt = o->m->init_mm.pgd;
	unsigned int i = geo->kernel_boundary, end = geo->ptrs[PT_PGD];

	if (geo->below_pgd == PT_PMD) {
		pt = chk_page(o->m, pte_pfn(pt_get(pt, i)));
		i = 0;
		end = geo->ptrs[PT_PMD];
	}
	if (!pt || !pt->mem)
		return;
	for (i = pt_next(pt, i, end); i < end; i = pt_next(pt, i + 1, end))
		obs(o, OBS_machine_kernel_entry, 0, i, pt_get(pt, i));
}

static void observe_tables(struct observer *o, u32 number, const struct mm_struct *mm, u64 nr_vmas)
{
	const struct pt_geometry *geo = &o->m->geo;
	const struct page *pgd = mm->pgd;
	struct table_walk w = {
		.o = o,
		.mm = number,
		.vma = nr_vmas ? mm->mmap : NULL,
		.vmas_left = nr_vmas,
	};

	if (!pgd || pgd->type != PAGE_PGD || !pgd->mem) {
		obs(o, OBS_pte_bad, number, 0, PT_PGD);
		return;
	}
	if (o->stamp) {
		digest_add(o->digest, number, pgd->pfn, 0);
		found_deposits(o, mm->pmd_huge_pte);
		return;
	}
	found_pgd(o, pgd);
	observe_table(&w, pgd, PT_PGD, 0, geo->kernel_boundary);
	found_deposits(o, mm->pmd_huge_pte);
	found_kernel_tables(o, pgd, geo->preallocated_pmds);
}

/* ---- mms ------------------------------------------------------------------------------------ */

/* Who borrows an mm is history: only a count that its holders do not explain is a fact. */
static s64 lazy_users(const struct machine *m, const struct mm_struct *mm)
{
	const struct task_struct *tsk;
	s64 n = 0;

	list_for_each_entry(tsk, &m->tasks, tasks)
		n += (!tsk->mm || tsk->flags & PF_KTHREAD) && tsk->active_mm == mm;
	for (unsigned int cpu = 0; cpu < m->cfg.cpus; cpu++)
		n += !m->rqs[cpu].idle->mm && m->rqs[cpu].idle->active_mm == mm;
	for (unsigned int i = 0; i < NR_MM_PINS; i++)
		n += m->pins[i].mm == mm && !m->pins[i].users;
	for (unsigned int i = 0; i < NR_NOTIFIERS; i++)
		n += m->notifiers[i].mm == mm;
	for (unsigned int i = 0; i < NR_UFFDS; i++)
		n += m->uffds[i] && m->uffds[i]->private_data &&
		     m->uffds[i]->private_data->mm == mm;
	for (unsigned int i = 0; i < NR_MM_DAEMONS; i++)
		n += (mm->flags & mm_slot_flag((enum mm_daemon_id)i)) != 0;
	return n;
}

static void observe_ldt(struct observer *o, u32 n, const struct mm_struct *mm)
{
	const struct ldt_struct *ldt = mm->context.ldt;
	const u64 *entries;

	if (!ldt)
		return;
	o->slab[CACHE_ldt_struct]--;
	o->pages[PAGE_LDT]--;
	if (atomic_read(&mm->mm_users) <= 0)
		return;
	obs(o, OBS_mm_ldt_size, n, 0, ldt->size);
	entries = ldt->entries->mem;
	for (u32 i = 0; i < ldt->size && i < LDT_ENTRIES; i++) {
		if (entries[i])
			obs(o, OBS_mm_ldt_entry, n, i, entries[i]);
	}
}

/* The number of the task that a dump is part of. */
static u32 core_number(const struct observer *o, const struct core_state *core)
{
	const struct task_struct *tsk;

	if (!core)
		return 0;
	list_for_each_entry(tsk, &o->m->tasks, tasks)
		if (&tsk->core == core)
			return task_number(o, tsk);
	return NO_SUCH;
}

static void observe_mm_fields(struct observer *o, u32 n, const struct mm_struct *mm)
{
	obs(o, OBS_mm_users, n, 0, (u64)(s64)atomic_read(&mm->mm_users));
	obs(o, OBS_mm_total_vm, n, 0, mm->total_vm);
	obs(o, OBS_mm_locked_vm, n, 0, mm->locked_vm);
	obs(o, OBS_mm_pinned_vm, n, 0, mm->pinned_vm);
	obs(o, OBS_mm_shared_vm, n, 0, mm->shared_vm);
	obs(o, OBS_mm_exec_vm, n, 0, mm->exec_vm);
	obs(o, OBS_mm_stack_vm, n, 0, mm->stack_vm);
	obs(o, OBS_mm_rss, n, MM_FILEPAGES, (u64)mm->rss_stat[MM_FILEPAGES]);
	obs(o, OBS_mm_rss, n, MM_ANONPAGES,
	    (u64)(mm->rss_stat[MM_ANONPAGES] + mm->rss_stat[MM_SWAPENTS]));
	obs(o, OBS_mm_swapents, n, 0, (u64)mm->rss_stat[MM_SWAPENTS]);
	obs(o, OBS_mm_mmlist, n, 0, !list_empty(&mm->mmlist));
	obs(o, OBS_mm_def_flags, n, 0, mm->def_flags);
	/* a slot that a call got which then failed stays, and nobody but a daemon can tell */
	obs(o, OBS_mm_flags, n, 0, mm->flags & ~(MMF_VM_MERGEABLE | MMF_VM_HUGEPAGE));
	obs(o, OBS_mm_start_brk, n, 0, mm->start_brk);
	obs(o, OBS_mm_brk, n, 0, mm->brk);
	obs(o, OBS_mm_start_stack, n, 0, mm->start_stack);
	obs(o, OBS_mm_mmap_base, n, 0, mm->mmap_base);
	obs(o, OBS_mm_mmap_legacy_base, n, 0, mm->mmap_legacy_base);
	obs(o, OBS_mm_task_size, n, 0, mm->task_size);
	obs(o, OBS_mm_binfmt, n, 0, binfmt_number(o->m, mm->binfmt));
	obs(o, OBS_mm_exe_file, n, 0, file_number(mm->exe_file));
	obs(o, OBS_mm_owner, n, 0, task_number(o, mm->owner));
	obs(o, OBS_mm_core_state, n, 0, core_number(o, mm->core_state));
	obs(o, OBS_mm_tlb_flush_pending, n, 0, mm->tlb_flush_pending);
	if (mm->context.vdso)
		obs(o, OBS_mm_vdso, n, 0, mm->context.vdso);
	if (!o->strict)
		return;
	obs(o, OBS_mm_map_count, n, 0, (u64)(s64)mm->map_count);
	obs(o, OBS_mm_highest_vm_end, n, 0, mm->highest_vm_end);
	obs(o, OBS_mm_nr_ptes, n, 0, mm->nr_ptes);
	obs(o, OBS_mm_nr_pmds, n, 0, mm->nr_pmds);
	obs(o, OBS_mm_hiwater_rss, n, 0, mm->hiwater_rss);
	obs(o, OBS_mm_hiwater_vm, n, 0, mm->hiwater_vm);
	obs(o, OBS_mm_vmacache_seqnum, n, 0, mm->vmacache_seqnum);
	obs(o, OBS_mm_cpu_vm_mask, n, 0, mm->cpu_vm_mask);
}

static void observe_aio(struct observer *o, u32 n, const struct mm_struct *mm)
{
	const struct kioctx_table *table = mm->ioctx_table;
	u32 nr = chk_ioctx_slots(mm);

	if (!nr)
		return;
	o->pages[PAGE_AIO]--;
	obs(o, OBS_mm_ioctx_slots, n, 0, table->nr);
	for (u32 i = 0; i < nr; i++) {
		const struct kioctx *ctx = table->table[i];
		u64 active;

		if (!ctx)
			continue;
		o->slab[CACHE_kioctx]--;
		o->slab[CACHE_percpu] -= 3;
		o->pages[PAGE_AIO] -= ctx->page_array != NULL;
		if (ctx->aio_ring_file)
			ctx->aio_ring_file->seen[SEEN_REFERENCES]++;
		if (!chk_ring(&ctx->active_reqs, chk_bound(o->m, CACHE_kiocb), &active)) {
			damaged(o, DAMAGE_CONTEXT);
			continue;
		}
		o->slab[CACHE_kiocb] -= (s64)active;
		obs(o, OBS_mm_ioctx, n, i, ctx->user_id);
		obs(o, OBS_mm_ioctx_base, n, i, ctx->mmap_base);
		obs(o, OBS_mm_ioctx_size, n, i, ctx->mmap_size);
		obs(o, OBS_mm_ioctx_file, n, i, file_number(ctx->aio_ring_file));
		obs(o, OBS_mm_ioctx_max_reqs, n, i, ctx->max_reqs);
		obs(o, OBS_mm_ioctx_nr_events, n, i, ctx->nr_events);
		obs(o, OBS_mm_ioctx_nr_pages, n, i, ctx->nr_pages);
		obs(o, OBS_mm_ioctx_reqs, n, i, active);
		obs(o, OBS_mm_ioctx_users_extra, n, i,
		    (u64)((s64)atomic_read(&ctx->users.count) - 1));
		obs(o, OBS_mm_ioctx_reqs_extra, n, i,
		    (u64)((s64)atomic_read(&ctx->reqs.count) - 1 - (s64)active));
		obs(o, OBS_mm_ioctx_dead, n, i, ctx->dead);
	}
}

static void observe_xol(struct observer *o, u32 n, const struct mm_struct *mm)
{
	const struct xol_area *area = mm->xol_area;

	obs(o, OBS_mm_xol_vaddr, n, 0, area ? area->vaddr : 0);
	if (!area)
		return;
	o->slab[CACHE_xol_area]--;
	o->slab[CACHE_xol_bitmap] -= area->bitmap != NULL;
	o->pages[PAGE_KERNEL] -= chk_xol_page(o->m, mm) != NULL;
}

static void observe_mm(struct observer *o, struct mm_struct *mm)
{
	bool alive = atomic_read(&mm->mm_users) > 0;
	u32 n = mm->seen[0] = ++o->nr_mms;
	u64 nr_vmas = 0;
	s64 extra;

	o->slab[CACHE_mm_struct]--;
	o->mms--;
	extra = atomic_read(&mm->mm_count) - alive - lazy_users(o->m, mm);
	if (alive) {
		obs(o, OBS_mm_count_extra, n, 0, (u64)extra);
		observe_mm_fields(o, n, mm);
		if (mm->exe_file)
			mm->exe_file->seen[SEEN_REFERENCES]++;
		observe_aio(o, n, mm);
		observe_xol(o, n, mm);
		nr_vmas = o->stamp ? stamp_vmas(o, n, mm) : observe_vmas(o, n, mm);
	} else if (extra) {
		/* one that only waits for the next switch to be freed is not a fact */
		obs(o, OBS_mm_count_extra, n, 0, (u64)extra);
	}
	o->slab[CACHE_mmu_notifier_mm] -= mm->mmu_notifier_mm != NULL;
	observe_ldt(o, n, mm);
	observe_tables(o, n, mm, nr_vmas);
}

static void observe_mms(struct observer *o)
{
	struct machine *m = o->m;
	struct task_struct *tsk;
	struct mm_struct *mm;

	list_for_each_entry(tsk, &m->tasks, tasks) {
		if (!tsk->mm)
			continue;
		if (!chk_is_live_mm(m, tsk->mm))
			damaged(o, DAMAGE_MM_POINTER);
		else if (!tsk->mm->seen[0])
			observe_mm(o, tsk->mm);
	}
	list_for_each_entry(mm, &m->mms, mms) {
		if (!mm->seen[0] && atomic_read(&mm->mm_users) > 0)
			observe_mm(o, mm);
	}
	list_for_each_entry(mm, &m->mms, mms) {
		if (!mm->seen[0])
			observe_mm(o, mm);
	}
	observe_kernel_half(o);
	obs(o, OBS_mm_count_extra, NO_SUCH - 1, 0,
	    (u64)((s64)atomic_read(&m->init_mm.mm_count) - 1 - lazy_users(m, &m->init_mm)));
	found_pgd(o, m->init_mm.pgd);
	found_kernel_tables(o, m->init_mm.pgd, m->geo.ptrs[PT_PGD]);
	o->pages[PAGE_ZERO]--;
	for (unsigned int i = 0; m->vdso_mapping.pages[i]; i++)
		o->pages[PAGE_KERNEL]--;
	o->pages[PAGE_KERNEL] -= m->vvar_page != NULL;
	o->pages[PAGE_HUGE_ZERO] -= m->huge_zero_page != NULL;
}

/* ---- tasks, CPUs, files --------------------------------------------------------------------- */

static bool on_cpu(const struct machine *m, const struct task_struct *tsk)
{
	bool on = false;

	for (unsigned int cpu = 0; cpu < m->cfg.cpus; cpu++)
		on |= m->rqs[cpu].curr == tsk;
	return on;
}

/*
 * Objects are told apart by who holds them: the first task that lives, or, when only dead ones wait
 * for the next switch, nobody.
 */
static void observe_share(struct observer *o, const struct task_struct *tsk, u32 n,
			  enum task_share share)
{
	const atomic_t *count = chk_share(tsk, share);
	const struct task_struct *pos, *first = NULL, *first_alive = NULL;
	s64 holders = 0;

	list_for_each_entry(pos, &o->m->tasks, tasks) {
		if (!count || chk_share(pos, share) != count)
			continue;
		first = first ? first : pos;
		if (!first_alive && pos->state != TASK_DEAD)
			first_alive = pos;
		holders++;
	}
	if (count && first == tsk)
		o->slab[CACHE_OF_SHARE(share)]--;
	if (tsk->state == TASK_DEAD)
		return;
	obs(o, OBS_task_share, n, share, count ? task_number(o, first_alive) : 0);
	if (count)
		obs(o, OBS_task_share_extra, n, share, (u64)((s64)atomic_read(count) - holders));
}

/* Without calls to be seen returning it is history. */
static void observe_utask(struct observer *o, u32 n, const struct uprobe_task *utask)
{
	const struct return_instance *ri = utask ? utask->return_instances : NULL;
	u64 nr = 0, max = chk_bound(o->m, CACHE_return_instance);

	obs(o, OBS_task_utask, n, 0, utask != NULL);
	o->slab[CACHE_uprobe_task] -= utask != NULL;
	for (; ri && nr < max; ri = ri->next)
		obs(o, OBS_task_return_instance, n, nr++, ri->func);
	o->slab[CACHE_return_instance] -= (s64)nr;
	if (utask && utask->depth)
		obs(o, OBS_task_return_depth, n, 0, utask->depth);
}

static void observe_tasks(struct observer *o)
{
	const struct task_struct *tsk;
	u32 n = 0;

	list_for_each_entry(tsk, &o->m->tasks, tasks) {
		o->tasks--;
		o->slab[CACHE_task_struct]--;
		o->slab[CACHE_pid] -= tsk->pid_obj != NULL;
		o->slab[CACHE_numa_policy] -= tsk->mempolicy != NULL;
		o->pages[PAGE_STACK] -= tsk->stack != NULL;
		n += tsk->state != TASK_DEAD;
		for (unsigned int i = 0; i < NR_SHARES; i++)
			observe_share(o, tsk, n, (enum task_share)i);
		if (tsk->state == TASK_DEAD)
			continue;
		obs(o, OBS_task_state, n, 0, tsk->state);
		obs(o, OBS_task_flags, n, 0, tsk->flags);
		obs(o, OBS_task_mm, n, 0, mm_number(o, tsk->mm));
		obs(o, OBS_task_parent, n, 0, task_number(o, tsk->real_parent));
		obs(o, OBS_task_vfork_parent, n, 0, task_number(o, tsk->vfork_parent));
		obs(o, OBS_task_usage_extra, n, 0,
		    (u64)((s64)atomic_read(&tsk->usage) - 1 - on_cpu(o->m, tsk)));
		obs(o, OBS_task_clear_child_tid, n, 0, tsk->clear_child_tid);
		obs(o, OBS_task_signal_pending, n, 0, tsk->signal_pending);
		obs(o, OBS_task_fatal_signal, n, 0, tsk->fatal_signal);
		obs(o, OBS_task_memdie, n, 0, tsk->memdie);
		obs(o, OBS_task_group_dump, n, 0, tsk->signal && tsk->signal->group_dump);
		obs(o, OBS_task_core_dumper, n, 0, task_number(o, tsk->core.dumper));
		obs(o, OBS_task_core_threads, n, 0, tsk->core.nr_threads);
		obs(o, OBS_task_in_execve, n, 0, tsk->in_execve);
		obs(o, OBS_task_ioprio, n, 0, tsk->io_context ? tsk->io_context->ioprio : 0);
		obs(o, OBS_task_memcg, n, 0, tsk->memcg);
		obs(o, OBS_task_policy, n, 0, policy_value(tsk->mempolicy));
		observe_utask(o, n, tsk->utask);
		if (!o->strict)
			continue;
		obs(o, OBS_task_pid, n, 0, tsk->pid);
		obs(o, OBS_task_cpu, n, 0, tsk->cpu);
		obs(o, OBS_task_active_mm, n, 0, mm_number(o, tsk->active_mm));
		obs(o, OBS_task_min_flt, n, 0, tsk->min_flt);
		obs(o, OBS_task_maj_flt, n, 0, tsk->maj_flt);
		obs(o, OBS_task_nvcsw, n, 0, tsk->nvcsw);
		obs(o, OBS_task_nivcsw, n, 0, tsk->nivcsw);
		obs(o, OBS_task_last_switch_count, n, 0, tsk->last_switch_count);
		obs(o, OBS_task_vmacache_seqnum, n, 0, tsk->vmacache_seqnum);
		/* slots may be stale: whether they are used is all that can be asked */
		for (unsigned int i = 0; i < VMACACHE_SIZE; i++)
			obs(o, OBS_task_vmacache, n, i, tsk->vmacache[i] != NULL);
	}
	o->slab[CACHE_task_struct] -= (s64)o->m->cfg.cpus;
}

static void observe_tlb(struct observer *o, u32 cpu, const struct tlb *tlb)
{
	for (unsigned int i = 0; i < TLB_SIZE; i++) {
		const struct tlb_entry *e = &tlb->entries[i];

		if (!(tlb->used & 1u << i))
			continue;
		obs(o, OBS_cpu_tlb, cpu, e->addr, mm_number(o, e->mm));
		obs(o, OBS_cpu_tlb_pte, cpu, e->addr, e->pte);
		for (unsigned int level = PT_PTE; level < PT_PGD; level++)
			obs(o, OBS_cpu_tlb_table, cpu, e->addr + level, e->tables[level]);
	}
	for (unsigned int i = 0; o->m->geo.levels == 3 && i < o->m->geo.kernel_boundary; i++)
		obs(o, OBS_cpu_pdpte, cpu, i, tlb->pdpte[i]);
}

/* The numbers of mms without users depend on who borrows them: history. */
static u32 held_mm_number(const struct observer *o, const struct mm_struct *mm)
{
	if (mm && chk_is_live_mm(o->m, mm) && atomic_read(&mm->mm_users) <= 0)
		return NO_SUCH - 2;
	return mm_number(o, mm);
}

static void observe_slots(struct observer *o)
{
	for (u32 i = 0; i < NR_MM_PINS; i++) {
		const struct mm_holder *pin = &o->m->pins[i];

		obs(o, OBS_pin_mm, i, 0, held_mm_number(o, pin->mm));
		obs(o, OBS_pin_users, i, 0, pin->users);
		obs(o, OBS_pin_user, i, 0, task_number(o, pin->user));
	}
	for (u32 i = 0; i < NR_NOTIFIERS; i++) {
		const struct mmu_notifier *mn = &o->m->notifiers[i];

		obs(o, OBS_notifier_mm, i, 0, held_mm_number(o, mn->mm));
		obs(o, OBS_notifier_open, i, 0, mn->open);
		obs(o, OBS_notifier_released, i, 0, mn->released);
		obs(o, OBS_notifier_ranges, i, 0, mn->ranges);
	}
}

/* Nothing where there is none. */
static void observe_uffds(struct observer *o)
{
	for (u32 i = 0; i < NR_UFFDS; i++) {
		const struct file *file = o->m->uffds[i];
		const struct userfaultfd_ctx *ctx = file ? file->private_data : NULL;

		if (!ctx)
			continue;
		o->slab[CACHE_userfaultfd_ctx]--;
		obs(o, OBS_uffd_mm, i, 0, held_mm_number(o, ctx->mm));
	}
}

static void observe_daemons(struct observer *o)
{
	static const enum fl_cache caches[NR_MM_DAEMONS] = {
		[KSMD] = CACHE_ksm_mm_slot,
		[KHUGEPAGED] = CACHE_khugepaged_mm_slot,
	};

	for (u32 i = 0; i < NR_MM_DAEMONS; i++) {
		const struct mm_daemon *d = &o->m->daemons[i];
		const struct mm_slot *slot;
		u64 n = 0;

		list_for_each_entry(slot, &d->mm_head, mm_node) {
			o->slab[caches[i]]--;
			obs(o, OBS_daemon_slot, i, ++n, held_mm_number(o, slot->mm));
			if (slot == d->cursor)
				obs(o, OBS_daemon_cursor, i, 0, n);
		}
	}
}

static void observe_memcgs(struct observer *o)
{
	for (u32 i = 0; i < NR_MEMCGS; i++)
		obs(o, OBS_memcg_usage, i, 0, o->m->memcgs[i].usage);
}

static void observe_cpus(struct observer *o)
{
	for (u32 cpu = 0; cpu < o->m->cfg.cpus; cpu++) {
		const struct rq *rq = &o->m->rqs[cpu];

		obs(o, OBS_cpu_curr, cpu, 0, task_number(o, rq->curr));
		obs(o, OBS_cpu_loaded, cpu, 0, mm_number(o, rq->loaded));
		obs(o, OBS_cpu_tlb_flushes, cpu, 0, rq->tlb_flushes);
		if (o->strict)
			observe_tlb(o, cpu, &rq->tlb);
	}
}

static void observe_files(struct observer *o)
{
	const struct file *file;

	list_for_each_entry(file, &o->m->files, files) {
		u32 n = file_number(file);

		o->slab[CACHE_file]--;
		o->slab[CACHE_dentry] -= file->f_dentry != NULL;
		obs(o, OBS_file_inode, n, 0, inode_number(file->f_inode));
		obs(o, OBS_file_mode, n, 0, file->f_mode);
		obs(o, OBS_file_opened, n, 0, file->opened);
		obs(o, OBS_file_count_extra, n, 0,
		    (u64)((s64)atomic_read(&file->f_count) - file->opened -
			  file->seen[SEEN_REFERENCES]));
		file->f_inode->seen[SEEN_OPEN]++;
		file->f_inode->seen[SEEN_WRITERS] += !!(file->f_mode & FMODE_WRITE);
	}
}

static void observe_page_cache(struct observer *o, struct file_inode *inode)
{
	u32 n = inode_number(inode);
	u64 nodes;

	if (rb_check(&inode->i_data.page_tree, o->m->nr_alloc[PAGE_FILE] + 1, &nodes)) {
		damaged(o, DAMAGE_CACHE);
		return;
	}
	for (struct rb_node *r = rb_first(&inode->i_data.page_tree); r; r = rb_next(r)) {
		struct page *page = rb_entry(r, struct page, cache_node);
		u32 number;

		/* reading it in again would give the same page */
		if (!page->seen[SEEN_MAPPED] && page->type == PAGE_FILE && !page->_mapcount &&
		    atomic_read(&page->_refcount) == 1 && !page->dirty && !inode->shmem &&
		    page_tag(page) == file_read_tag(inode, page->index)) {
			o->pages[PAGE_FILE]--;
			obs(o, OBS_inode_clean_page, n, page->index, 1);
			continue;
		}
		number = page_number(o, page, page->index);
		/* numbers come by layout; what they hold does not */
		obs(o, OBS_inode_page, n, page->index, o->contents ? page_tag(page) : number);
	}
}

static void observe_inodes(struct observer *o)
{
	struct file_inode *inode;

	list_for_each_entry(inode, &o->m->inodes, inodes) {
		u32 n = inode_number(inode);

		o->slab[CACHE_inode]--;
		obs(o, OBS_inode_size, n, 0, inode->size);
		obs(o, OBS_inode_disk_size, n, 0, inode->disk_size);
		obs(o, OBS_inode_sealed, n, 0, inode->sealed);
		obs(o, OBS_inode_shmem, n, 0, inode->shmem);
		obs(o, OBS_inode_noreserve, n, 0, inode->noreserve);
		if (inode->aio_ring)
			obs(o, OBS_inode_aio_ring, n, 0, 1);
		obs(o, OBS_inode_charged, n, 0, inode->charged);
		obs(o, OBS_inode_count_extra, n, 0,
		    (u64)((s64)atomic_read(&inode->i_count) - inode->seen[SEEN_OPEN]));
		obs(o, OBS_inode_writecount_extra, n, 0,
		    (u64)((s64)inode->i_writecount + inode->seen[SEEN_DENY] -
			  inode->seen[SEEN_WRITERS]));
		obs(o, OBS_inode_mmap_writable_extra, n, 0,
		    (u64)((s64)inode->i_data.i_mmap_writable - inode->seen[SEEN_SHARED] +
			  inode->sealed));
		obs(o, OBS_inode_ino, n, 0, inode->ino);
		obs(o, OBS_inode_nr_pages, n, 0, inode->i_data.nr_pages);
		observe_page_cache(o, inode);
	}
}

/* ---- all ------------------------------------------------------------------------------------ */

static void clear_chains(struct observer *o, struct mm_struct *mm)
{
	u64 max = chk_bound(o->m, CACHE_vm_area_struct), n;
	struct anon_vma_chain *avc;

	if (atomic_read(&mm->mm_users) <= 0)
		return;
	for (struct vm_area_struct *vma = mm->mmap; vma && max; vma = vma->vm_next, max--) {
		if (!chk_ring(&vma->anon_vma_chain, chk_bound(o->m, CACHE_anon_vma_chain), &n))
			continue;
		list_for_each_entry(avc, &vma->anon_vma_chain, same_vma) {
			avc->anon_vma->seen[SEEN_VISITED] = 0;
			avc->anon_vma->root->seen[SEEN_VISITED] = 0;
			avc->anon_vma->parent->seen[SEEN_VISITED] = 0;
		}
	}
}

/* Pages that somebody holds without mapping them, beside page caches. */
static void mark_owned(struct machine *m)
{
	const struct mm_struct *mm;

	for (unsigned int i = 0; m->vdso_mapping.pages[i]; i++)
		m->vdso_mapping.pages[i]->seen[SEEN_CACHED]++;
	list_for_each_entry(mm, &m->mms, mms) {
		for (u32 i = 0; i < chk_ioctx_slots(mm); i++) {
			const struct kioctx *ctx = mm->ioctx_table->table[i];

			for (u32 k = 0; ctx && k < chk_ring_pages(m, ctx); k++)
				ctx->ring_pages[k]->seen[SEEN_CACHED]++;
		}
		if (chk_xol_page(m, mm))
			chk_xol_page(m, mm)->seen[SEEN_CACHED]++;
	}
}

static void clear_numbers(struct observer *o)
{
	struct machine *m = o->m;
	struct file_inode *inode;
	struct mm_struct *mm;
	struct file *file;
	u32 n = 0;

	for (u32 i = 0; i < m->nr_chunks; i++) {
		for (u32 j = 0; j < MEM_MAP_CHUNK; j++)
			m->mem_map[i][j].seen[SEEN_MAPPED] = m->mem_map[i][j].seen[SEEN_CACHED] = 0;
	}
	mark_owned(m);
	for (u32 i = 0; i < m->swap.max; i++)
		m->swap.slots[i].seen[SEEN_MAPPED] = 0;
	list_for_each_entry(file, &m->files, files) {
		file->seen[SEEN_REFERENCES] = 0;
		file->seen[SEEN_NUMBER] = ++n;
	}
	n = 0;
	list_for_each_entry(inode, &m->inodes, inodes) {
		for (unsigned int i = 0; i < ARRAY_SIZE(inode->seen); i++)
			inode->seen[i] = 0;
		inode->seen[SEEN_VMAS] = ++n;
	}
	list_for_each_entry(mm, &m->mms, mms) {
		mm->seen[0] = 0;
		if (!o->stamp)
			clear_chains(o, mm);
	}
}

static bool lists_are_rings(struct observer *o)
{
	const struct machine *m = o->m;
	bool ok = true;
	u64 n;

	if (!chk_ring(&m->tasks, chk_bound(m, CACHE_task_struct), &n)) {
		damaged(o, DAMAGE_TASKS);
		ok = false;
	}
	if (!chk_ring(&m->mms, chk_bound(m, CACHE_mm_struct), &n)) {
		damaged(o, DAMAGE_MMS);
		ok = false;
	}
	for (unsigned int i = 0; i < NR_MM_DAEMONS; i++) {
		if (!chk_ring(&m->daemons[i].mm_head, chk_bound(m, CACHE_mm_struct), &n)) {
			damaged(o, DAMAGE_DAEMONS);
			ok = false;
		}
	}
	if (!chk_ring(&m->files, chk_bound(m, CACHE_file), &n) ||
	    !chk_ring(&m->inodes, chk_bound(m, CACHE_inode), &n)) {
		damaged(o, DAMAGE_FILES);
		ok = false;
	}
	return ok;
}

static void observe_machine(struct observer *o)
{
	const struct machine *m = o->m;

	obs(o, OBS_machine_committed, 0, 0, (u64)m->vm_committed_as);
	obs(o, OBS_machine_locks_held, 0, 0, m->locks_held);
	obs(o, OBS_machine_check_alerts, 0, 0, m->check_alerts);
	obs(o, OBS_machine_nr_mlock, 0, 0, (u64)m->nr_mlock);
	obs(o, OBS_machine_next_pid, 0, 0, m->next_pid);
	obs(o, OBS_machine_aio_nr, 0, 0, m->aio_nr);
	obs(o, OBS_machine_nr_shmem, 0, 0, m->nr_shmem);
	obs(o, OBS_machine_swap_on, 0, 0, m->swap.on);
	obs(o, OBS_machine_swap_inuse, 0, 0, m->swap.inuse_pages);
	obs(o, OBS_machine_swap_lowest_bit, 0, 0, m->swap.lowest_bit);
	obs(o, OBS_machine_next_ino, 0, 0, m->next_ino);
	obs(o, OBS_machine_next_shmem_ino, 0, 0, m->next_shmem_ino);
	obs(o, OBS_machine_next_anon_vma, 0, 0, m->next_anon_vma);
	for (u32 i = 0; i < NR_BINFMTS; i++) {
		obs(o, OBS_module_refcnt, i, 0, (u64)(s64)m->modules[i].refcnt);
		obs(o, OBS_module_going, i, 0, m->modules[i].going);
	}
}

/* Continuation pages stay when they are of no more use: history. */
static void found_continuations(struct observer *o)
{
	const struct swap_info *si = &o->m->swap;
	u64 n;

	for (u32 i = 0; i * SWAP_MAP_PAGE < si->max; i++) {
		if (chk_ring(&si->continuations[i], o->m->nr_alloc[PAGE_SWAP_CONT] + 1, &n))
			o->pages[PAGE_SWAP_CONT] -= (s64)n;
	}
}

static void observe_extras(struct observer *o)
{
	found_continuations(o);
	obs(o, OBS_machine_swap_extra, 0, 0, (u64)o->swap);
	obs(o, OBS_machine_nr_tasks_extra, 0, 0, (u64)o->tasks);
	obs(o, OBS_machine_nr_mms_extra, 0, 0, (u64)o->mms);
	obs(o, OBS_machine_nr_pagetable_extra, 0, 0, (u64)o->nr_pagetable);
	for (u32 i = 0; i < NR_CACHES; i++) {
		obs(o, OBS_slab_extra, i, 0, (u64)o->slab[i]);
		obs(o, OBS_slab_live, i, 0, o->m->caches[i].live);
	}
	for (u32 i = 0; i < NR_PAGE_TYPES; i++) {
		obs(o, OBS_pages_extra, i, 0, (u64)o->pages[i]);
		obs(o, OBS_pages_live, i, 0, o->m->nr_alloc[i]);
	}
}

static void observe(struct observer *o)
{
	struct machine *m = o->m;

	o->nr_pagetable = m->nr_pagetable;
	o->tasks = m->nr_tasks;
	o->mms = m->nr_mms;
	o->swap = m->swap.inuse_pages;
	for (unsigned int i = 0; i < NR_CACHES; i++)
		o->slab[i] = (s64)m->caches[i].live;
	for (unsigned int i = 0; i < NR_PAGE_TYPES; i++)
		o->pages[i] = (s64)m->nr_alloc[i];

	observe_machine(o);
	if (!lists_are_rings(o))
		return;
	clear_numbers(o);
	if (o->stamp)
		stamp_pages(o);
	observe_mms(o);
	observe_tasks(o);
	observe_slots(o);
	observe_uffds(o);
	observe_daemons(o);
	observe_memcgs(o);
	observe_cpus(o);
	observe_files(o);
	observe_inodes(o);
	observe_extras(o);
}

void fl_observe(struct machine *m, bool strict, fl_obs_fn fn, void *priv)
{
	struct observer o = {.m = m, .strict = strict, .fn = fn, .priv = priv};

	observe(&o);
}

static void digest_begin(struct digest *d)
{
	d->used = 0;
	XXH3_64bits_reset(&d->state);
}

static u64 digest_end(struct digest *d)
{
	XXH3_64bits_update(&d->state, d->buf, d->used * sizeof(d->buf[0]));
	return XXH3_64bits_digest(&d->state);
}

u64 fl_digest(struct machine *m, bool strict)
{
	struct digest d;
	struct observer o = {.m = m, .strict = strict, .digest = &d};

	digest_begin(&d);
	observe(&o);
	return digest_end(&d);
}

u64 fl_stamp(struct machine *m)
{
	struct digest d;
	struct observer o = {.m = m, .stamp = true, .digest = &d};
	u64 sum;

	/* what entries name may have moved to and fro */
	if (m->swap.max)
		return 0;
	digest_begin(&d);
	observe(&o);
	sum = digest_end(&d);
	return sum ? sum : 1;
}

/* What depends on how memory is laid out in pages, and on which of them are there. */
static bool is_layout(const struct fl_obs *rec)
{
	switch ((enum fl_obs_id)rec->field) {
	case OBS_pte_page:
	case OBS_pte_bits:
	case OBS_pte_lazyfree:
	case OBS_pmd_huge:
	case OBS_page_type:
	case OBS_page_tag:
	case OBS_page_index:
	case OBS_page_inode:
	case OBS_page_dirty:
	case OBS_page_mapcount:
	case OBS_page_count_extra:
	case OBS_mm_rss:
		return true;
	default:
		return false;
	}
}

static void contents_record(void *priv, const struct fl_obs *rec)
{
	if (!is_layout(rec))
		digest_add(priv, (u64)rec->field << 32 | rec->obj, rec->key, rec->val);
}

u64 fl_contents(struct machine *m)
{
	struct digest d;
	struct observer o = {.m = m, .contents = true, .fn = contents_record, .priv = &d};

	digest_begin(&d);
	observe(&o);
	return digest_end(&d);
}
