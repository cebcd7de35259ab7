/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that the engine's files call in each other, grouped by the file that defines them.
 * Return values: 0 or a negative errno unless said otherwise; a failure leaves no trace unless said
 * otherwise. "Locks" names what the caller holds.
 */
#ifndef FAULTLINE_ENGINE_INTERNAL_H
#define FAULTLINE_ENGINE_INTERNAL_H

#include <faultline/mm_types.h>
#include <faultline/syscalls.h>

/* ---- kernel/profile.c ----------------------------------------------------------------------- */

enum fl_diff {
#define DIFF(name, major, minor, row, what) DIFF_##name,
#include <faultline/profile.def>
#undef DIFF
	NR_DIFFS
};
/* Does the machine's kernel do as the row of profile.def says? */
bool differs(const struct ctx *cx, enum fl_diff diff);

/* ---- mm/page_alloc.c: the seam, as the engine calls it -------------------------------------- */

/* True when the bench refuses the request at this site. */
bool fl_should_fail(struct ctx *cx, enum fl_site site, gfp_t gfp);
/* Is a limit in the way: reached, or said to be? */
static inline bool over_limit(struct ctx *cx, enum fl_site site, bool reached)
{
	return fl_should_fail(cx, site, 0) || reached;
}
/* One block of 2^order pages with refcount 1, or NULL. Needs a site: it can be refused. */
struct page *alloc_pages(struct ctx *cx, enum fl_site site, gfp_t gfp, unsigned int order,
			 enum page_type type);
/* The reference must be the last one, mapcount 0 and, for a table, no entry left. */
void __free_page(struct ctx *cx, struct page *page);
void get_page(struct ctx *cx, struct page *page);
/* Drops a reference; frees at zero. */
void put_page(struct ctx *cx, struct page *page);
struct page *pfn_to_page(struct machine *m, u64 pfn);
/* Content of a user page. */
u64 page_tag(const struct page *page);
void page_set_tag(struct page *page, u64 tag);
/* A descriptor for memory that is no page of its own (the 32-byte PAE pgd). NULL: no memory. */
struct page *alloc_page_desc(struct machine *m, void *mem, enum page_type type);
void free_page_desc(struct machine *m, struct page *page);

/* User pages are tags alone. */
#define GFP_TRANSHUGE (GFP_KERNEL | __GFP_ZERO | __GFP_TAG)

/* Small pages of a huge one: as many as a PTE table has entries. */
static inline unsigned int hpage_nr(const struct machine *m)
{
	return m->geo.ptrs[PT_PTE];
}

static inline unsigned int hpage_order(const struct machine *m)
{
	return (unsigned int)__builtin_ctz(hpage_nr(m));
}

static inline u64 hpage_size(const struct machine *m)
{
	return (u64)hpage_nr(m) << PAGE_SHIFT;
}

static inline bool PageTransHuge(const struct page *page)
{
	return page->block == page && page->order;
}

/* A huge page with refcount 1, for an anonymous mapping; NULL: the caller takes small ones. */
struct page *alloc_huge_page(struct ctx *cx, enum fl_site site);
/* Makes its parts pages of their own, with the mapcount that it has; the mappings are the caller's.
 */
void split_huge_page_refcount(struct ctx *cx, struct page *head);
/* machine_create/destroy: mem_map. */
int mem_map_init(struct machine *m);
void mem_map_exit(struct machine *m);

/* ---- mm/slab.c ------------------------------------------------------------------------------ */

int kmem_caches_init(struct machine *m);
void kmem_caches_exit(struct machine *m);
/* Memory is garbage unless gfp has __GFP_ZERO. NULL when refused or none. */
void *kmem_cache_alloc(struct ctx *cx, enum fl_cache cache, enum fl_site site, gfp_t gfp);
void kmem_cache_free(struct ctx *cx, enum fl_cache cache, void *obj);

/* ---- arch/pgtable.c: tables, constructors, pgd_alloc (notes 4, facts §3 4.*, §6.1, §14) ----- */

void pt_geometry_init(struct pt_geometry *geo, const struct machine_config *cfg);
/*
 * swapper_pg_dir with its kernel half, into init_mm.pgd; also an empty pgd_list. The kernel entries
 * name frames outside mem_map and nothing walks them; but PAE has one kernel PMD page (PAGE_PMD, no
 * constructor, in no nr_pmds), which lives as long as the machine. -ENOMEM.
 */
int swapper_init(struct ctx *cx);
void swapper_exit(struct ctx *cx);

static inline unsigned int pt_index(const struct pt_geometry *geo, enum pt_level level, u64 addr)
{
	return (unsigned int)(addr >> geo->shift[level]) & (geo->ptrs[level] - 1u);
}

/*
 * What protects the entries of a PTE table, and of a table of pmd_level() with what is deposited
 * for them: a lock of the table's own with split_ptlocks, but for a pgd's; else that of the mm.
 */
static inline fl_lock_t *ptlock_of(struct page *pt)
{
	return pt->ptl ? pt->ptl : &pt->ptlock;
}

static inline fl_lock_t *pte_lockptr(const struct ctx *cx, struct mm_struct *mm, struct page *pt)
{
	return cx->m->cfg.split_ptlocks ? ptlock_of(pt) : &mm->page_table_lock;
}

static inline bool split_pmd_ptlocks(const struct machine *m)
{
	return m->cfg.split_ptlocks && m->geo.levels > 2;
}

static inline fl_lock_t *pmd_lockptr(const struct ctx *cx, struct mm_struct *mm, struct page *pmd)
{
	return split_pmd_ptlocks(cx->m) ? ptlock_of(pmd) : &mm->page_table_lock;
}

/* The list of PTE tables that are deposited for the huge entries of a table of pmd_level(). */
static inline struct page **huge_deposits(const struct machine *m, struct mm_struct *mm,
					  struct page *pmd)
{
	return split_pmd_ptlocks(m) ? &pmd->pmd_huge_pte : &mm->pmd_huge_pte;
}

/* Two locks that may be one: the second is taken inside the first. */
void double_pt_lock(struct ctx *cx, fl_lock_t *first, fl_lock_t *second);
void double_pt_unlock(struct ctx *cx, fl_lock_t *first, fl_lock_t *second);

/* The one reader and the one writer of entries; the writer keeps nr_entries, lines and sum of pt.
 */
static inline pte_t pt_get(const struct page *pt, unsigned int idx)
{
	if (pt->entry_shift == 2)
		return ((const u32 *)pt->mem)[idx];
	return ((const pte_t *)pt->mem)[idx];
}

/* log2 of the entries of a line; a table has 64 lines at most. */
static inline unsigned int pt_line_shift(const struct page *pt)
{
	return PT_LINE_SHIFT - pt->entry_shift;
}

/* What an entry adds to the sum of its table: nothing if it is none. */
static inline u64 pt_entry_hash(unsigned int idx, pte_t e)
{
	u64 z = (e + idx) * 0x9e3779b97f4a7c15u;

	return pte_none(e) ? 0 : (z ^ (z >> 29)) * (2 * (u64)idx + 1);
}

static inline void pt_set(struct page *pt, unsigned int idx, pte_t val)
{
	pte_t old = pt_get(pt, idx);

	if (pt->entry_shift == 2)
		val = (u32)val;
	pt->nr_entries = (u16)(pt->nr_entries + !pte_none(val) - !pte_none(old));
	pt->sum += pt_entry_hash(idx, val) - pt_entry_hash(idx, old);
	if (!pte_none(val))
		pt->lines |= (u64)1 << (idx >> pt_line_shift(pt));
	else if (!pt->nr_entries)
		pt->lines = 0;
	if (pt->entry_shift == 2)
		((u32 *)pt->mem)[idx] = (u32)val;
	else
		((pte_t *)pt->mem)[idx] = val;
}

/* First entry at or above i that is not none, or end. Most tables are mostly empty. */
static inline unsigned int pt_next(const struct page *pt, unsigned int i, unsigned int end)
{
	unsigned int shift = pt_line_shift(pt);

	while (i < end) {
		u64 rest = pt->lines >> (i >> shift);

		if (!rest)
			return end;
		if (!(rest & 1)) {
			i = ((i >> shift) + (unsigned int)__builtin_ctzll(rest)) << shift;
			continue;
		}
		if (!pte_none(pt_get(pt, i)))
			return i;
		i++;
	}
	return end;
}

#define _PAGE_TABLE (_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED | _PAGE_DIRTY)

/* Does an entry lead to a huge page? */
static inline bool pmd_trans_huge(pte_t e)
{
	return e & _PAGE_PSE;
}

/* The level whose entries lead to PTE tables, or to huge pages: the pgd with 2 levels. */
static inline enum pt_level pmd_level(const struct pt_geometry *geo)
{
	return geo->below_pgd == PT_PTE ? PT_PGD : PT_PMD;
}

/* Entry i of the PTE table that a huge entry stands for. */
static inline pte_t huge_pte(pte_t pmd, unsigned int i)
{
	pte_t pte = pmd & ~_PAGE_PSE;

	return pmd & _PAGE_SPECIAL ? pte : pte + ((u64)i << PAGE_SHIFT);
}

/* Table that a non-leaf entry points to, NULL for none: also for a huge page. */
struct page *pt_table(struct machine *m, const struct page *pt, unsigned int idx);
/* pt_set() for a pgd's user half: a Xen-like second pgd follows. */
void pgd_set(struct page *pgd, unsigned int idx, pte_t val);
/* Level below `level` that this geometry has. */
enum pt_level pt_below(const struct pt_geometry *geo, enum pt_level level);

struct page *pgd_alloc(struct ctx *cx, struct mm_struct *mm);
void pgd_free(struct ctx *cx, struct mm_struct *mm, struct page *pgd);
/*
 * A new entry of what leads to the kernel half, to be seen by every mm (facts §14 notes): of the
 * pgd; with PAE, whose pgd has its only kernel entry from the start, of the kernel's PMD table.
 * -EINVAL: idx is none of the kernel's, or val none; -EEXIST. Source: facts §14.
 */
int pgd_add_kernel_entry(struct ctx *cx, unsigned int idx, pte_t val);

/*
 * Walks to the PTE table of addr, making what is missing. NULL on -ENOMEM: tables made on the way
 * stay, empty (facts §13.2). Locks: mmap_sem read or write.
 */
struct page *pte_alloc_map(struct ctx *cx, struct mm_struct *mm, u64 addr);
/* The same for the table of pmd_level(). */
struct page *pmd_alloc_map(struct ctx *cx, struct mm_struct *mm, u64 addr);
struct page *pmd_lookup(struct machine *m, const struct mm_struct *mm, u64 addr);
/* The entry of addr, also as part of a huge one; or none. */
pte_t pte_at(struct machine *m, const struct mm_struct *mm, u64 addr);
/* A PTE table that is nowhere yet, and the end of one. nr_ptes is the caller's. */
struct page *pte_alloc_one(struct ctx *cx, enum fl_site page_site, enum fl_site ctor_site);
void pte_free(struct ctx *cx, struct page *pte);
/* Without making anything; NULL also where a huge page is mapped. */
struct page *pte_lookup(struct machine *m, const struct mm_struct *mm, u64 addr);
/*
 * Bytes from addr on for which it holds: the same, or as far as a missing table at whatever level
 * reaches; *pt is then NULL.
 */
u64 pte_table_span(struct machine *m, const struct mm_struct *mm, u64 addr, struct page **pt);
/* Makes the table that entry idx of pt (a table of `level`) shall point to, or finds it. */
struct page *pt_alloc_below(struct ctx *cx, struct mm_struct *mm, struct page *pt,
			    enum pt_level level, unsigned int idx);
/* Undoes the constructor of a table of `level` and its counters; the page is still to be freed. */
void pt_dtor(struct ctx *cx, struct page *pt, enum pt_level level);
pte_t vm_get_page_prot(u32 vm_flags);

/* ---- arch/tlb.c (facts §6.8) ---------------------------------------------------------------- */

/* Makes a CPU walk mm's tables, and forget what it remembers of others. */
void load_cr3(struct ctx *cx, unsigned int cpu, struct mm_struct *mm);
/* On every CPU in mm's mask; one that only borrows mm leaves it instead. */
void flush_tlb_mm(struct ctx *cx, struct mm_struct *mm);
void flush_tlb_range(struct ctx *cx, struct mm_struct *mm, u64 start, u64 end);
void flush_tlb_page(struct ctx *cx, struct mm_struct *mm, u64 addr);
/*
 * What the hardware does on a load or store of the current CPU: the page, with the entry's bits
 * set, or NULL for a fault. Reports a translation that allows more than the tables (G-26).
 */
struct page *tlb_access(struct ctx *cx, struct mm_struct *mm, u64 addr, bool write);
/* Does the translation allow what pte, now in the tables, does not? */
bool tlb_entry_is_stale(const struct tlb_entry *e, pte_t pte);
/* Reports a page that a CPU can still reach. */
void tlb_check_free(struct ctx *cx, const struct page *page);

/* ---- arch/ldt.c (notes 1.2.6, facts §3 1.2.6) ----------------------------------------------- */

int init_new_context(struct ctx *cx, struct task_struct *tsk, struct mm_struct *mm);
void destroy_context(struct ctx *cx, struct mm_struct *mm);

/* ---- mm/mmu_gather.c (notes 3.2, 3.5, facts §6.7) ------------------------------------------- */

#define MMU_GATHER_BUNDLE 8u

struct mmu_gather_batch {
	struct page *self; /* page that holds this batch; NULL for the local one */
	struct mmu_gather_batch *next;
	u32 nr, max;
	struct page **pages;
};

struct mmu_gather {
	struct mm_struct *mm;
	u64 start, end; /* range to flush; start > end: empty */
	bool fullmm, need_flush_all;
	u32 batch_count;
	struct mmu_gather_batch local, *active;
	struct page *bundle[MMU_GATHER_BUNDLE];
};

void tlb_gather_mmu(struct ctx *cx, struct mmu_gather *tlb, struct mm_struct *mm, u64 start,
		    u64 end);
void tlb_finish_mmu(struct ctx *cx, struct mmu_gather *tlb, u64 start, u64 end);
void tlb_record(struct mmu_gather *tlb, u64 addr); /* the entry of addr was cleared */
/* Queues a page whose entry is gone. False: the caller must flush now; the page is queued. */
bool __tlb_remove_page(struct ctx *cx, struct mmu_gather *tlb, struct page *page);
void tlb_remove_table(struct ctx *cx, struct mmu_gather *tlb, struct page *pt, u64 addr);
void tlb_flush_mmu(struct ctx *cx, struct mmu_gather *tlb);
/* Its two halves: the first under the table lock, when a dirty file page was unmapped (facts §6.5).
 */
void tlb_flush_mmu_tlbonly(struct ctx *cx, struct mmu_gather *tlb);
void tlb_flush_mmu_free(struct ctx *cx, struct mmu_gather *tlb);

static inline pte_t mk_pte(const struct page *page, pte_t prot)
{
	return page->pfn << PAGE_SHIFT | prot;
}

/* ---- mm/memory.c: copy, zap, free of page tables (facts §6) --------------------------------- */

/* -ENOMEM leaves what was copied so far; exit_mmap() takes it away. Locks: both mmap_sem write. */
int copy_page_range(struct ctx *cx, struct mm_struct *dst, struct mm_struct *src,
		    struct vm_area_struct *vma);
void unmap_vmas(struct ctx *cx, struct mmu_gather *tlb, struct vm_area_struct *vma, u64 start,
		u64 end);
void free_pgtables(struct ctx *cx, struct mmu_gather *tlb, struct vm_area_struct *vma, u64 floor,
		   u64 ceiling);
void unmap_region(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma,
		  struct vm_area_struct *prev, u64 start, u64 end);
void change_protection(struct ctx *cx, struct vm_area_struct *vma, u64 start, u64 end,
		       pte_t newprot);
/*
 * Maps nr frames from that of page on at addr, by their number: no entry counts as a page. Makes
 * the VMA one of VM_IO and VM_PFNMAP. -ENOMEM: part of it is mapped. Locks: mmap_sem write.
 */
int remap_pfn_range(struct ctx *cx, struct vm_area_struct *vma, u64 addr, const struct page *page,
		    u64 nr);
/* Empties [start, end) of vma; the tables stay. Locks: mmap_sem, or i_mmap_rwsem of its file. */
void zap_page_range(struct ctx *cx, struct vm_area_struct *vma, u64 start, u64 end);
/* Unmaps pages [first, last] of a file in every mm, private copies with them (facts §23). */
void unmap_mapping_range(struct ctx *cx, struct address_space *mapping, pgoff_t first,
			 pgoff_t last);

u64 get_mm_rss(const struct mm_struct *mm);
void update_hiwater_rss(struct mm_struct *mm);
void update_hiwater_vm(struct mm_struct *mm);

/* ---- mm/fault.c (facts §11) ----------------------------------------------------------------- */

#define VM_FAULT_OOM	 0x0001u
#define VM_FAULT_SIGBUS	 0x0002u
#define VM_FAULT_MAJOR	 0x0004u /* filemap_fault() alone: the page had to be read in */
#define VM_FAULT_SIGSEGV 0x0040u
/* 0 or VM_FAULT_*. A failed fault changes no entry, counter or page. Locks: mmap_sem read.
 */
unsigned int handle_mm_fault(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma,
			     u64 addr, bool write);
/* Maps a new page where none is; pt is the PTE table. Locks: pte_lockptr(). */
void set_new_anon_pte(struct ctx *cx, struct vm_area_struct *vma, u64 addr, struct page *pt,
		      struct page *page);

/* ---- mm/huge_memory.c (facts §6.2, §11, §22) ------------------------------------------------- */

#define VM_FAULT_FALLBACK 0x0800u /* of huge faults: small pages, please */

/*
 * The fault where huge pages are possible. 0, VM_FAULT_OOM, or VM_FAULT_FALLBACK: there is no huge
 * entry, and the caller goes on with a PTE table. Locks: mmap_sem read.
 */
unsigned int huge_fault(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma, u64 addr,
			bool write);
/* One huge entry of a fork. -ENOMEM, and nothing copied. Locks: both mmap_sem write. */
int copy_huge_pmd(struct ctx *cx, struct mm_struct *dst_mm, struct mm_struct *src_mm,
		  struct page *dst, struct page *src, unsigned int idx);
/* Of the whole entry; the page goes to the gather. False: it is full. */
bool zap_huge_pmd(struct ctx *cx, struct mmu_gather *tlb, struct page *pmd, unsigned int idx,
		  u64 addr);
void change_huge_pmd(struct ctx *cx, struct mm_struct *mm, struct page *pmd, unsigned int idx,
		     pte_t newprot);
/* Carries a huge entry over to where none is. False: the caller has to split it. */
bool move_huge_pmd(struct ctx *cx, struct mm_struct *mm, u64 old_addr, u64 new_addr,
		   struct page *new_pmd);
/*
 * The huge entry of addr becomes a PTE table; of the same page in all mms. Never fails: the table
 * was deposited with the entry. Nothing where none is huge.
 */
void split_huge_page_pmd(struct ctx *cx, struct mm_struct *mm, u64 addr);
/* Before vma's range becomes [start, end), and the start of the one after it moves by adjust_next
 * bytes. */
void vma_adjust_trans_huge(struct ctx *cx, struct vm_area_struct *vma, u64 start, u64 end,
			   s64 adjust_next);
/*
 * The flags of a VMA after MADV_HUGEPAGE or MADV_NOHUGEPAGE. -EINVAL: it can have neither; -ENOMEM:
 * khugepaged gets no slot for the mm. Locks: mmap_sem write.
 */
int hugepage_madvise(struct ctx *cx, const struct vm_area_struct *vma, u32 *vm_flags, u32 advice);
/*
 * A VMA has come to have vm_flags or a new range: khugepaged shall know of its mm if there is room
 * for a huge page. -ENOMEM: no slot, which is for the caller to ignore or not. Locks: mmap_sem.
 */
int khugepaged_enter_vma_merge(struct ctx *cx, const struct vm_area_struct *vma, u32 vm_flags,
			       enum fl_site site);
/* A slot for the child of an mm that has one. -ENOMEM. Locks: both mmap_sem write. */
int khugepaged_fork(struct ctx *cx, struct mm_struct *mm, const struct mm_struct *oldmm);
void khugepaged_exit(struct ctx *cx, struct mm_struct *mm);
/* Frees the huge page of zeroes unless it is mapped. */
void shrink_huge_zero_page(struct ctx *cx);

/* ---- mm/ksm.c (facts §10.4) ----------------------------------------------------------------- */

/*
 * The flags of a VMA after MADV_MERGEABLE or MADV_UNMERGEABLE. -ENOMEM: ksmd gets no slot for the
 * mm. Locks: mmap_sem write.
 */
int ksm_madvise(struct ctx *cx, const struct vm_area_struct *vma, u32 *vm_flags, u32 advice);
/* As khugepaged_fork() and khugepaged_exit(). */
int ksm_fork(struct ctx *cx, struct mm_struct *mm, const struct mm_struct *oldmm);
void ksm_exit(struct ctx *cx, struct mm_struct *mm);

/* ---- mm/mm_slot.c (facts §4.13, §10.4) ------------------------------------------------------ */

void mm_daemons_init(struct machine *m);
/* The flag of an mm that says that the daemon has a slot for it. */
u32 mm_slot_flag(enum mm_daemon_id id);
/* A slot for an mm without one. -ENOMEM. */
int mm_slot_enter(struct ctx *cx, enum mm_daemon_id id, struct mm_struct *mm, enum fl_site site);
/* The mm's last user has gone. The slot goes, unless the daemon is just there. */
void mm_slot_exit(struct ctx *cx, enum mm_daemon_id id, struct mm_struct *mm);
/*
 * On to the next slot. The one that the daemon leaves goes if its mm has no users any more, or if
 * wanted(mm), called with mmap_sem held for reading, says no; wanted may be NULL.
 */
void mm_daemon_scan(struct ctx *cx, enum mm_daemon_id id,
		    bool (*wanted)(struct ctx *cx, const struct mm_struct *mm));

/* ---- mm/mempolicy.c (facts §10.5) ----------------------------------------------------------- */

/* By what they say; NULL equals NULL alone. */
bool mpol_equal(const struct mempolicy *a, const struct mempolicy *b);
/* A copy with one reference; of NULL: NULL, which cannot fail. -ENOMEM: *dup is NULL. */
int mpol_dup(struct ctx *cx, const struct mempolicy *pol, enum fl_site site,
	     struct mempolicy **dup);
void mpol_put(struct ctx *cx, struct mempolicy *pol); /* pol may be NULL */
/* dst is a raw copy of src: it gets a policy of its own. -ENOMEM: it has none. */
int vma_dup_policy(struct ctx *cx, const struct vm_area_struct *src, struct vm_area_struct *dst,
		   enum fl_site site);

/* ---- mm/memcontrol.c (F-71, facts §4.10) ---------------------------------------------------- */

/*
 * Charges an anonymous page, small or huge, to the group of mm's owner, unless it is charged
 * already. -ENOMEM: refused, or over the limit. The charge goes with the page. May wait for memory.
 */
int mem_cgroup_try_charge(struct ctx *cx, struct page *page, const struct mm_struct *mm,
			  enum fl_site site);
/* Of what is being freed: the pages of page's order. */
void mem_cgroup_uncharge(struct ctx *cx, struct page *page);

/* ---- fs/userfaultfd.c, mm/userfaultfd.c (facts §10.6) ---------------------------------------- */

/* The file has gone: nothing is registered with it any more. Locks: none. */
void userfaultfd_release(struct ctx *cx, struct userfaultfd_ctx *ctx);
/* Is what misses there for a userfaultfd? */
static inline bool userfaultfd_missing(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_UFFD_MISSING;
}
/* VM_FAULT_SIGBUS: such a fault cannot be waited for. Locks: mmap_sem read. */
unsigned int handle_userfault(struct ctx *cx, const struct vm_area_struct *vma);
/* One page, from src of the caller or (zeropage) of zeroes; errors of userfaultfd_copy(). */
s64 mcopy_atomic(struct ctx *cx, struct mm_struct *dst_mm, u64 dst, u64 src, bool zeropage);

/* ---- mm/filemap.c --------------------------------------------------------------------------- */

/*
 * The page of the cache with a new reference, read in if needed; *fault is then 0 or
 * VM_FAULT_MAJOR. NULL: *fault says why.
 */
struct page *filemap_fault(struct ctx *cx, struct vm_area_struct *vma, pgoff_t pgoff,
			   unsigned int *fault);
/* The index is free; the cache takes over the caller's reference. */
void add_to_page_cache(struct ctx *cx, struct address_space *mapping, struct page *page);
/* Drops the pages from index start on. Nothing maps them any more. */
void truncate_inode_pages(struct ctx *cx, struct address_space *mapping, pgoff_t start);
/* The same for [first, last] alone. Returns how many pages went. */
u64 truncate_inode_pages_range(struct ctx *cx, struct address_space *mapping, pgoff_t first,
			       pgoff_t last);
/* Reads in what the cache lacks of nr pages, until it is refused. */
void force_page_cache_readahead(struct ctx *cx, struct file_inode *inode, pgoff_t first, u64 nr);
/* Page of the cache without a new reference, or NULL. */
struct page *find_page(const struct address_space *mapping, pgoff_t index);
/* The tag that a page of a file has on disk from the start. */
u64 file_page_tag(const struct file_inode *inode, pgoff_t index);
/* The tag that a page of a file is read in with. */
u64 file_read_tag(const struct file_inode *inode, pgoff_t index);

/* ---- mm/swapfile.c (facts §6.4, §20) -------------------------------------------------------- */

/* The area as the options say, on. -ENOMEM with nothing made. */
int swap_init(struct machine *m);
void swap_exit(struct machine *m);
/* A free slot, with SWAP_HAS_CACHE and no count; 0: none, or no swap. */
u32 get_swap_page(struct ctx *cx);
/* One more entry for a slot in use. -ENOMEM: needs a continuation page, and cannot wait for it. */
int swap_duplicate(struct ctx *cx, u32 slot, enum fl_site site);
/*
 * Makes room for one more than the digits of a slot can say. 0 also when that is needed no longer;
 * -ENOMEM. The page stays until swapoff.
 */
int add_swap_count_continuation(struct ctx *cx, u32 slot, enum fl_site site, gfp_t gfp);
void swap_free(struct ctx *cx, u32 slot);
/* An entry goes without its content being wanted: so does a cached page that nobody maps. */
void free_swap_and_cache(struct ctx *cx, u32 slot);
/* Entries that name the slot. */
u64 swap_count(const struct machine *m, u32 slot);
/* The page gets one more reference, the cache's. */
void add_to_swap_cache(struct ctx *cx, struct page *page, u32 slot);
void delete_from_swap_cache(struct ctx *cx, struct page *page);
/* Takes a page out of the swap cache unless some entry still needs it there. */
bool try_to_free_swap(struct ctx *cx, struct page *page);
/* Is the page its one mapper's alone? If so it is in no swap cache any more. */
bool reuse_swap_page(struct ctx *cx, struct page *page);
/* The content of a slot in use, with a new reference; *major: it had to be read. NULL: no memory.
 */
struct page *swapin(struct ctx *cx, u32 slot, enum fl_site site, bool *major);
bool vm_swap_full(const struct machine *m);
u64 nr_swap_pages(const struct machine *m);
/* The mm may hold swap entries from now on; next to `after` on the ring. */
void mmlist_add(struct ctx *cx, struct mm_struct *mm, struct mm_struct *after);

/* ---- mm/special_mapping.c (facts §7.17) ------------------------------------------------------ */

/*
 * Maps [addr, addr + len), which must be free for it to succeed, to the pages of spec, which
 * outlives the VMA's faults. *out is set on success only. -ENOMEM. Locks: mmap_sem write.
 */
int _install_special_mapping(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 len, u32 vm_flags,
			     const struct vm_special_mapping *spec, struct vm_area_struct **out);
/* As filemap_fault(). */
struct page *special_mapping_fault(struct ctx *cx, struct vm_area_struct *vma, pgoff_t pgoff,
				   unsigned int *fault);

/* ---- arch/vdso.c (facts §4.9) ---------------------------------------------------------------- */

/* The pages that all images share, as the option says. -ENOMEM with nothing made. */
int vdso_init(struct ctx *cx);
void vdso_exit(struct ctx *cx);
/* Maps them into a new image. -ENOMEM with part of it mapped: the exec is past its failing. */
int arch_setup_additional_pages(struct ctx *cx, struct mm_struct *mm);

/* ---- mm/shmem.c (facts §7.9 step 6, §9.2) --------------------------------------------------- */

/*
 * Gives a VMA that is shared and has no file an object of its size. -ENOMEM, -ENOSPC, -ENFILE by
 * what was missing; vma->vm_file is set on success only, with the one reference that there is.
 */
int shmem_zero_setup(struct ctx *cx, struct vm_area_struct *vma);
/* As filemap_fault(); VM_FAULT_SIGBUS also when a page of an object without reserve is not granted.
 */
struct page *shmem_fault(struct ctx *cx, struct vm_area_struct *vma, pgoff_t pgoff,
			 unsigned int *fault);
/* The pages [first, last] go, from all who map them; without reserve so does their charge. */
void shmem_truncate_range(struct ctx *cx, struct file_inode *inode, pgoff_t first, pgoff_t last);
/* Gives the commit charge back. Its pages have gone. */
void shmem_evict_inode(struct ctx *cx, struct file_inode *inode);

/* ---- fs/file.c ------------------------------------------------------------------------------ */

struct file *get_file(struct ctx *cx, struct file *file);
void fput(struct ctx *cx, struct file *file);
/* Number of an inode in no directory, apart from those of files: they are part of their content. */
u32 anon_ino(struct machine *m);
/* An inode of `pages` pages with one reference, or NULL. */
struct file_inode *new_inode(struct ctx *cx, enum fl_site site, u64 pages);
void iput(struct ctx *cx, struct file_inode *inode);
/* A file with one reference that takes over the caller's of inode, or NULL. */
struct file *alloc_file(struct ctx *cx, enum fl_site site, struct file_inode *inode, u32 f_mode);
void dput(struct ctx *cx, struct dentry *dentry);
/*
 * A file in no directory, with one reference and a dentry, that takes over the caller's reference
 * to inode. NULL: no memory, and the inode's reference is gone, too.
 */
struct file *alloc_pseudo_file(struct ctx *cx, struct file_inode *inode, enum fl_site dentry_site,
			       enum fl_site file_site, u32 f_mode);
/* -ETXTBSY while the file is open for writing. */
int deny_write_access(struct file_inode *inode);
void allow_write_access(struct file_inode *inode);
/* Counts somebody who maps to write what others see. -EPERM for a sealed file. */
int mapping_map_writable(struct address_space *mapping);
void mapping_unmap_writable(struct address_space *mapping);

/* ---- mm/interval_tree.c --------------------------------------------------------------------- */

void vma_interval_tree_insert(struct vm_area_struct *vma, struct rb_root *root);
/* For a fork: same range as prev, and directly after it. */
void vma_interval_tree_insert_after(struct vm_area_struct *vma, struct vm_area_struct *prev,
				    struct rb_root *root);
void vma_interval_tree_remove(struct vm_area_struct *vma, struct rb_root *root);
struct vm_area_struct *vma_interval_tree_first(const struct rb_root *root, pgoff_t start,
					       pgoff_t last);
struct vm_area_struct *vma_interval_tree_next(struct vm_area_struct *vma, pgoff_t start,
					      pgoff_t last);
void anon_vma_interval_tree_insert(struct anon_vma_chain *avc, struct rb_root *root);
void anon_vma_interval_tree_remove(struct anon_vma_chain *avc, struct rb_root *root);
struct anon_vma_chain *anon_vma_interval_tree_first(const struct rb_root *root, pgoff_t start,
						    pgoff_t last);
struct anon_vma_chain *anon_vma_interval_tree_next(struct anon_vma_chain *avc, pgoff_t start,
						   pgoff_t last);

/* ---- mm/vmacache.c (facts §7.2) ------------------------------------------------------------- */

void vmacache_flush(struct task_struct *tsk);
void vmacache_update(struct ctx *cx, u64 addr, struct vm_area_struct *vma);
struct vm_area_struct *vmacache_find(struct ctx *cx, struct mm_struct *mm, u64 addr);
void vmacache_invalidate(struct ctx *cx, struct mm_struct *mm);

/* ---- mm/vma.c: find, link, split, adjust, merge (facts §7.1-§7.7) --------------------------- */

struct vm_area_struct *find_vma(struct ctx *cx, struct mm_struct *mm, u64 addr);
struct vm_area_struct *find_vma_prev(struct ctx *cx, struct mm_struct *mm, u64 addr,
				     struct vm_area_struct **prev);
struct vm_area_struct *find_vma_intersection(struct ctx *cx, struct mm_struct *mm, u64 start,
					     u64 end);
/* -ENOMEM when something overlaps [addr, end). */
int find_vma_links(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 end,
		   struct vm_area_struct **prev, struct rb_node ***link, struct rb_node **parent);
void __vma_link_list(struct mm_struct *mm, struct vm_area_struct *vma, struct vm_area_struct *prev,
		     struct rb_node *parent);
void __vma_link_rb(struct mm_struct *mm, struct vm_area_struct *vma, struct rb_node **link,
		   struct rb_node *parent);
void vma_link(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma,
	      struct vm_area_struct *prev, struct rb_node **link, struct rb_node *parent);
int insert_vm_struct(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma,
		     enum fl_site acct_site);
/* -ENOMEM; the failure of an anon_vma clone is the only one (A-45, and B-02 fixed). */
int vma_adjust(struct ctx *cx, struct vm_area_struct *vma, u64 start, u64 end, pgoff_t pgoff,
	       struct vm_area_struct *insert);
/* The VMA that now covers [addr, end), or NULL: not merged, for whatever reason. */
struct vm_area_struct *vma_merge(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *prev,
				 u64 addr, u64 end, u32 vm_flags, struct anon_vma *anon_vma,
				 struct file *file, pgoff_t pgoff, const struct mempolicy *policy,
				 const struct userfaultfd_ctx *uffd);
/* __split_vma() does not look at max_map_count. */
int __split_vma(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma, u64 addr,
		bool new_below);
int split_vma(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma, u64 addr,
	      bool new_below);
void unlink_file_vma(struct ctx *cx, struct vm_area_struct *vma);
/* Takes [vma, ... while vm_start < end) out of list and tree; they stay linked to each other. */
void detach_vmas_to_be_unmapped(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma,
				struct vm_area_struct *prev, u64 end);
void vma_set_page_prot(struct vm_area_struct *vma);
/* Shared, writable, and of a file whose pages are to be known to be dirty (facts §27). */
bool vma_wants_writenotify(const struct vm_area_struct *vma);

/* ---- mm/rmap.c (facts §8) ------------------------------------------------------------------- */

int anon_vma_prepare(struct ctx *cx, struct vm_area_struct *vma);
int anon_vma_clone(struct ctx *cx, struct vm_area_struct *dst, struct vm_area_struct *src);
int anon_vma_fork(struct ctx *cx, struct vm_area_struct *vma, struct vm_area_struct *pvma);
void unlink_anon_vmas(struct ctx *cx, struct vm_area_struct *vma);
struct anon_vma *find_mergeable_anon_vma(struct vm_area_struct *vma);
/* Defined in mm/vma.c: it is the merge rule. */
bool anon_vma_compatible(const struct vm_area_struct *a, const struct vm_area_struct *b);
void page_add_new_anon_rmap(struct page *page, struct vm_area_struct *vma, u64 addr);
void page_add_rmap(struct page *page);
void page_remove_rmap(struct ctx *cx, struct page *page);
/* For a page that comes back from swap. Exclusive: nobody else maps it or has a swap entry for it.
 */
void page_add_anon_rmap(struct page *page, struct vm_area_struct *vma, u64 addr, bool exclusive);
/*
 * Makes swap entries of all entries that map a page of the swap cache. -ENOMEM: no continuation
 * page; what was done by then stays done.
 */
int try_to_unmap(struct ctx *cx, struct page *page);
/* Drops a lazily freed page from all who map it. False, and nothing done: somebody has written to
 * it. */
bool try_to_discard(struct ctx *cx, struct page *page);
/* Does a locked VMA map it? */
bool page_is_locked_in(struct ctx *cx, struct page *page);

/* ---- mm/unmapped_area.c (facts §7.16, §21) -------------------------------------------------- */

/* An address, or a negative errno: test with IS_ERR_VALUE(). */
u64 get_unmapped_area(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 len, u32 map_flags);
#define IS_ERR_VALUE(x) ((u64)(x) >= (u64)-4095)

/* ---- fs/aio.c (facts §10.2) ------------------------------------------------------------------ */

/* ->mremap() of a ring: its context learns the new place. -EINVAL: the mm has none for it. */
int aio_ring_mremap(struct ctx *cx, struct vm_area_struct *vma);
/* The mm's last user has gone: kills its contexts and waits for their requests. */
void exit_aio(struct ctx *cx, struct mm_struct *mm);
/* Frees the contexts that have come to their end. Locks: none. */
void aio_flush_work(struct ctx *cx);

/* ---- kernel/uprobes.c (facts §10.3) ---------------------------------------------------------- */

/* The mm's last user has gone: its area goes, but for the page as long as that is mapped. */
void uprobe_clear_state(struct ctx *cx, struct mm_struct *mm);
void uprobe_dup_mmap(const struct mm_struct *oldmm, struct mm_struct *newmm);
/* At the end of a fork by a task that is in probed calls: t returns from them, too. Cannot fail. */
void uprobe_copy_process(struct ctx *cx, struct task_struct *t, u32 clone_flags);
void uprobe_free_utask(struct ctx *cx, struct task_struct *tsk);

/* ---- mm/mmap.c (notes 3.6, 3.7; facts §3 3.*, §7.8-§7.11, §9) ------------------------------- */

/* Locks: mmap_sem write for all of them. */
u64 do_mmap(struct ctx *cx, struct mm_struct *mm, struct file *file, u64 addr, u64 len, u32 prot,
	    u32 flags, u32 vm_flags, pgoff_t pgoff);
int do_munmap(struct ctx *cx, struct mm_struct *mm, u64 start, u64 len);
/* The same for who does not hold mmap_sem yet. */
int vm_munmap(struct ctx *cx, struct mm_struct *mm, u64 start, u64 len);
u64 do_brk(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 len);
struct vm_area_struct *remove_vma(struct ctx *cx, struct vm_area_struct *vma);
void exit_mmap(struct ctx *cx, struct mm_struct *mm);
/* Within RLIMIT_AS? */
bool may_expand_vm(struct ctx *cx, const struct mm_struct *mm, u32 flags, u64 pages);
/* -ENOMEM: pages that get these flags now are more private data than RLIMIT_DATA allows. */
int data_future_check(struct ctx *cx, const struct mm_struct *mm, u32 oldflags, u32 newflags,
		      u64 pages);
/*
 * Lets a growing VMA begin at the page of address, in free memory below it. -ENOMEM: a limit, the
 * charge, a neighbour that is not such a VMA, or no anon_vma. Locks: mmap_sem, reading is enough.
 */
int expand_stack(struct ctx *cx, struct vm_area_struct *vma, u64 address);
/* Makes room for the guard page if the access is to what was it. -ENOMEM: there is none. */
int check_stack_guard_page(struct ctx *cx, struct vm_area_struct *vma, u64 address);
/* Is the page at address the guard page of a stack? */
/* Where the room of vma begins: below its start, if a gap below a stack stays free. */
u64 vm_start_gap(const struct ctx *cx, const struct vm_area_struct *vma);
bool stack_guard_page_start(const struct ctx *cx, const struct vm_area_struct *vma, u64 address);
void vm_stat_account(struct mm_struct *mm, u32 flags, struct file *file, s64 pages);

/* ---- mm/util.c: commit accounting and limits (notes 3.7; facts §9) -------------------------- */

/* Charges pages or returns -ENOMEM with the counter as it was. */
int security_vm_enough_memory_mm(struct ctx *cx, struct mm_struct *mm, u64 pages,
				 enum fl_site site);
/* Charges without a question: what was promised already. */
void vm_acct_memory(struct ctx *cx, u64 pages);
void vm_unacct_memory(struct ctx *cx, u64 pages);

/*
 * Takes mmap_sem for writing; with the killable locks of the profile it may give -EINTR instead.
 */
int mmap_lock_killable(struct ctx *cx, struct mm_struct *mm, enum fl_site site);

/* ---- mm/mlock.c (facts §7.14) --------------------------------------------------------------- */

/* A locked VMA maps page now; nobody does any more; one VMA fewer does, perhaps. */
void mlock_vma_page(struct ctx *cx, struct page *page);
void clear_page_mlock(struct ctx *cx, struct page *page);
void munlock_vma_page(struct ctx *cx, struct page *page);
/* Takes the mark off vma and lets its pages in [start, end) go; locked_vm is the caller's. */
void munlock_vma_pages_range(struct ctx *cx, struct vm_area_struct *vma, u64 start, u64 end);
/*
 * Faults in what [start, end) of vma lacks and marks the pages if it is locked. -ENOMEM, or -EFAULT
 * for what cannot be accessed, with the pages before it there. Locks: mmap_sem.
 */
int populate_vma_page_range(struct ctx *cx, struct vm_area_struct *vma, u64 start, u64 end);
/* The same for all VMAs of a range. Takes mmap_sem for reading. */
int __mm_populate(struct ctx *cx, struct mm_struct *mm, u64 start, u64 len, bool ignore_errors);
static inline void mm_populate(struct ctx *cx, struct mm_struct *mm, u64 start, u64 len)
{
	(void)__mm_populate(cx, mm, start, len, true);
}
bool can_do_mlock(struct ctx *cx);
/* -EAGAIN: len bytes with these flags would be more than may be locked. */
int mlock_future_check(struct ctx *cx, const struct mm_struct *mm, u32 flags, u64 len,
		       enum fl_site site);

/* ---- mm/mmu_notifier.c (notes 3.1, facts §10.1) --------------------------------------------- */

/* The mm's last user has gone: tells its notifiers and takes them off the list. */
void mmu_notifier_release(struct ctx *cx, struct mm_struct *mm);
void mmu_notifier_mm_destroy(struct ctx *cx, struct mm_struct *mm);
/* Around every change of entries that takes something away; they nest. */
void mmu_notifier_invalidate_range_start(struct ctx *cx, struct mm_struct *mm, u64 start, u64 end);
void mmu_notifier_invalidate_range_end(struct ctx *cx, struct mm_struct *mm);
void mm_holders_init(struct machine *m);

/* ---- mm/mprotect.c (facts §7.13) ------------------------------------------------------------ */

int mprotect_fixup(struct ctx *cx, struct vm_area_struct *vma, struct vm_area_struct **pprev,
		   u64 start, u64 end, u32 newflags);

/* ---- kernel/fork.c (notes 1, 2; facts §3 1.-2.*, §4, §5) ------------------------------------ */

/* mm_alloc() and mmput() are in syscalls.h. */
void mmdrop(struct ctx *cx, struct mm_struct *mm);
struct mm_struct *get_task_mm(struct ctx *cx, struct task_struct *tsk);
/* The mask of an mm's CPUs, wherever the option has put it. */
static inline u32 *mm_cpumask(struct mm_struct *mm)
{
	return mm->cpu_vm_mask_var ? mm->cpu_vm_mask_var : &mm->cpu_vm_mask;
}
/* By who holds mm_count: one more user, unless the last has gone. */
bool mmget_not_zero(struct ctx *cx, struct mm_struct *mm);
void mm_release(struct ctx *cx, struct task_struct *tsk, struct mm_struct *mm);
void mm_init_struct(struct machine *m, struct mm_struct *mm); /* fields of init_mm */
void set_mm_exe_file(struct ctx *cx, struct mm_struct *mm, struct file *file);
/* Until the last one is put the task is on m->tasks and keeps stack and pid. */
void put_task_struct(struct ctx *cx, struct task_struct *tsk);
/* Idle task of a CPU: on no list, without stack and pid. NULL: no memory. */
struct task_struct *fork_idle(struct ctx *cx, unsigned int cpu);
void free_idle(struct ctx *cx, struct task_struct *idle);

/* ---- kernel/shares.c (facts §5, §19.1, §19.2, §24) ------------------------------------------- */

/*
 * copy_*: p has its parent's pointer still; 0 with a reference or an object of its own in it, or
 * -ENOMEM with nothing taken. A thread gets its reference to signal only once it cannot fail any
 * more. exit_*, cleanup_sighand(): drops the reference and forgets it.
 */
int copy_creds(struct ctx *cx, u32 clone_flags, struct task_struct *p);
int copy_files(struct ctx *cx, u32 clone_flags, struct task_struct *p);
int copy_fs(struct ctx *cx, u32 clone_flags, struct task_struct *p);
int copy_sighand(struct ctx *cx, u32 clone_flags, struct task_struct *p);
int copy_signal(struct ctx *cx, u32 clone_flags, struct task_struct *p);
int copy_namespaces(struct ctx *cx, u32 clone_flags, struct task_struct *p);
int copy_io(struct ctx *cx, u32 clone_flags, struct task_struct *p);
void exit_creds(struct ctx *cx, struct task_struct *tsk);
void exit_files(struct ctx *cx, struct task_struct *tsk);
void exit_fs(struct ctx *cx, struct task_struct *tsk);
void cleanup_sighand(struct ctx *cx, struct task_struct *tsk);
void put_signal_struct(struct ctx *cx, struct signal_struct *sig);
void exit_task_namespaces(struct ctx *cx, struct task_struct *tsk);
void exit_io_context(struct ctx *cx, struct task_struct *tsk);

/* For an exec: new credentials, NULL when there is no memory; commit_creds() takes them over. */
struct cred *prepare_creds(struct ctx *cx, enum fl_site site);
void commit_creds(struct ctx *cx, struct cred *new);
void put_cred(struct ctx *cx, struct cred *cred);
/*
 * For an exec: cx->curr gets a files_struct that nobody else has, *displaced the one before, with
 * its reference, or NULL when it was alone already. reset_files_struct() goes back.
 */
int unshare_files(struct ctx *cx, struct files_struct **displaced);
void reset_files_struct(struct ctx *cx, struct files_struct *files);
void put_files_struct(struct ctx *cx, struct files_struct *files);
/*
 * tsk, the current task, becomes the only thread of its group, and has signal handlers that nobody
 * else has. 0, or -ENOMEM with the other threads gone all the same.
 */
int de_thread(struct ctx *cx, struct task_struct *tsk);

/* ---- kernel/exit.c (facts §4.8, §4.10, §24) ------------------------------------------------- */

void mm_update_next_owner(struct ctx *cx, struct mm_struct *mm);
/* Nothing is left for tsk to do but exit. A vfork parent that dies is not to be woken any more. */
void send_sigkill(struct ctx *cx, struct task_struct *tsk);
/* Kills the other threads of the current task's group and waits until they have exited. */
void zap_other_threads(struct ctx *cx, struct task_struct *tsk);

/* ---- kernel/sched.c: context switch and lazy TLB (facts §4.12) ------------------------------ */

void switch_mm(struct ctx *cx, struct mm_struct *prev, struct mm_struct *next);
void enter_lazy_tlb(struct ctx *cx, struct mm_struct *mm);
/* An idle CPU goes back from a borrowed mm to init_mm. */
void idle_task_exit(struct ctx *cx, unsigned int cpu);

/* ---- kernel/module.c ------------------------------------------------------------------------ */

bool try_module_get(struct ctx *cx, struct module *mod, enum fl_site site);
/* One more where the caller already holds one: also of a module that is going. */
void __module_get(struct ctx *cx, struct module *mod);
void module_put(struct ctx *cx, struct module *mod);

#endif
