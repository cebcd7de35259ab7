/* SPDX-License-Identifier: GPL-2.0-only */
/* G-11 and G-12, and what counters.c compares: one walk over the tables of an mm beside its VMAs.
 */
#include "checks.h"

const u64 chk_zeroes[CHK_ZEROES];

struct walk {
	struct chk *c;
	struct mm_struct *mm;
	struct mm_scan *s;
	const struct vm_area_struct *vma; /* first that ends above the address walked to */
	struct fl_range range;		  /* tables outside are not looked into */
	bool refs;
	bool whole; /* all of the mm */
};

struct page *chk_page(const struct machine *m, u64 pfn)
{
	struct page *page;

	if (pfn / MEM_MAP_CHUNK >= m->nr_chunks || !m->mem_map[pfn / MEM_MAP_CHUNK])
		return NULL;
	page = &m->mem_map[pfn / MEM_MAP_CHUNK][pfn % MEM_MAP_CHUNK];
	return page->pfn == pfn ? page : NULL;
}

static enum page_type table_type(enum pt_level level)
{
	static const enum page_type types[NR_PT_LEVELS] = {
		[PT_PTE] = PAGE_PTE, [PT_PMD] = PAGE_PMD, [PT_PUD] = PAGE_PUD,
		[PT_P4D] = PAGE_P4D, [PT_PGD] = PAGE_PGD,
	};

	return types[level];
}

static void walk_to(struct walk *w, u64 addr)
{
	while (w->vma && w->vma->vm_end <= addr)
		w->vma = w->vma->vm_next;
}

static bool on_chain(const struct vm_area_struct *vma, const struct anon_vma *av)
{
	const struct anon_vma_chain *avc;

	if (vma->anon_vma == av)
		return true;
	list_for_each_entry(avc, &vma->anon_vma_chain, same_vma) {
		if (avc->anon_vma == av)
			return true;
	}
	return false;
}

static void check_user_page(struct walk *w, pte_t e, struct page *page, u64 addr,
			    struct chk_obj obj)
{
	const struct vm_area_struct *vma = w->vma;
	struct chk *c = w->c;

	if (page->type == PAGE_ANON) {
		w->s->rss[MM_ANONPAGES]++;
		chk_true(c, CHK_page_anon_vma, __func__, obj,
			 vma->anon_vma && page->anon_vma && on_chain(vma, page->anon_vma),
			 "the page's anon_vma on the VMA's chain", "not there");
		chk_eq_hex(c, CHK_page_index, __func__, obj, linear_page_index(vma, addr),
			   page->index);
	} else if (page->type == PAGE_KERNEL) {
		pgoff_t pgoff = linear_page_index(vma, addr);

		w->s->rss[MM_FILEPAGES]++;
		chk_true(c, CHK_page_special, __func__, obj,
			 pgoff < SPECIAL_PAGES && chk_special(c->m, w->mm, vma) &&
				 vma->vm_private_data->pages[pgoff] == page,
			 "the special mapping's page for this place", "another one");
	} else {
		w->s->rss[MM_FILEPAGES]++;
		chk_true(c, CHK_page_mapping, __func__, obj,
			 vma->vm_file && page->mapping == &vma->vm_file->f_inode->i_data &&
				 page->index == linear_page_index(vma, addr),
			 "the page of the VMA's file for this place", "another one");
		chk_true(c, CHK_shared_dirty, __func__, obj,
			 !(e & _PAGE_RW) || !(vma->vm_flags & VM_SHARED) || page->dirty,
			 "a dirty page, for it is writable", "a clean one");
	}
}

static void check_prot(struct walk *w, pte_t e, const struct page *page, struct chk_obj obj)
{
	u32 flags = w->vma->vm_flags;
	bool own = page->type == PAGE_ANON && page->_mapcount == 1 &&
		   (!page->swap || !swap_count(w->c->m, page->swap));
	struct chk *c = w->c;

	if (e & _PAGE_RW) {
		chk_true(c, CHK_pte_write, __func__, obj, flags & VM_WRITE, "read-only",
			 "writable");
		chk_true(c, CHK_pte_cow, __func__, obj, !is_cow_mapping(flags) || own,
			 "read-only, for the page is not this mm's alone", "writable");
	}
	chk_true(c, CHK_pte_user, __func__, obj, !(e & _PAGE_PRESENT) || (e & _PAGE_USER),
		 "user bit set", "clear");
	if (flags & VM_ACCESS_FLAGS)
		chk_true(c, CHK_pte_prot_none, __func__, obj, !(e & _PAGE_PROTNONE), "open",
			 "closed");
	else
		chk_true(c, CHK_pte_prot_none, __func__, obj, !(e & _PAGE_PRESENT), "closed",
			 "open");
	/* an entry of 32 bits has no room to say so */
	if (w->c->m->geo.entry_shift == 2)
		return;
	chk_true(c, CHK_pte_exec, __func__, obj, !(e & _PAGE_NX) == !!(flags & VM_EXEC),
		 flags & VM_EXEC ? "executable" : "not executable",
		 flags & VM_EXEC ? "not executable" : "executable");
}

static void check_swap_pte(struct walk *w, pte_t e, u64 addr, struct chk_obj obj)
{
	struct chk *c = w->c;

	if (w->refs)
		c->m->swap.slots[pte_to_swp_entry(e)].seen[SEEN_MAPPED]++;
	w->s->rss[MM_SWAPENTS]++;
	walk_to(w, addr);
	if (chk_true(c, CHK_pte_in_vma, __func__, obj, w->vma && w->vma->vm_start <= addr,
		     "inside a VMA", "outside"))
		chk_true(c, CHK_pte_swap, __func__, obj,
			 w->vma->anon_vma && !(w->vma->vm_flags & VM_SHARED),
			 "in a private VMA with an anon_vma", "another one");
}

static void check_pte(struct walk *w, pte_t e, u64 addr)
{
	struct chk_obj obj = chk_obj(OBJ_PTE, w->mm, addr);
	struct chk *c = w->c;
	struct page *page;
	bool zero, pfn, user;

	if (is_swap_pte(e) && c->m->swap.max && !(e & ~_PAGE_PFN_MASK)) {
		if (chk_true(c, CHK_pte_swap, __func__, obj, chk_swap_entry(c->m, e),
			     "a slot in use", "none, or a free one"))
			check_swap_pte(w, e, addr, obj);
		return;
	}
	if (!chk_true(c, CHK_pte_decodes, __func__, obj,
		      pte_present(e) && (e & (_PAGE_PRESENT | _PAGE_PROTNONE)) !=
						(_PAGE_PRESENT | _PAGE_PROTNONE),
		      "present, none, or swap", "bits that mean nothing"))
		return;

	page = chk_page(c->m, pte_pfn(e));
	zero = page && page == c->m->zero_page && (e & _PAGE_SPECIAL);
	pfn = page && page == c->m->vvar_page && (e & _PAGE_SPECIAL);
	user = page && !(e & _PAGE_SPECIAL) &&
	       (page->type == PAGE_ANON || page->type == PAGE_FILE || page->type == PAGE_KERNEL);
	if (!chk_true(c, CHK_page_free_mapped, __func__, obj, zero || pfn || user,
		      "a user page or the zero page",
		      !page			? "no page"
		      : page->type == PAGE_FREE ? "a free page"
						: "a page that is not a user's"))
		return;
	if (user && w->refs)
		page->seen[SEEN_MAPPED]++;

	walk_to(w, addr);
	if (!chk_true(c, CHK_pte_in_vma, __func__, obj, w->vma && w->vma->vm_start <= addr,
		      "inside a VMA", "outside"))
		return;
	chk_true(c, CHK_pte_pfnmap, __func__, obj,
		 pfn == !!(w->vma->vm_flags & VM_PFNMAP) &&
			 (!pfn || (chk_special(c->m, w->mm, w->vma) == SPECIAL_VVAR &&
				   linear_page_index(w->vma, addr) == 0)),
		 "by its number, or as a page, as the VMA says", "the other, or out of place");
	if (user)
		check_user_page(w, e, page, addr, obj);
	check_prot(w, e, page, obj);
}

/* A huge entry: what is true of an entry is to be true of all that it stands for. */
static void check_huge(struct walk *w, pte_t e, u64 addr)
{
	struct chk_obj obj = chk_obj(OBJ_PTE, w->mm, addr);
	u64 size = hpage_size(w->c->m);
	struct chk *c = w->c;
	struct page *page = chk_page(c->m, pte_pfn(e));
	bool zero = page && page == c->m->huge_zero_page && (e & _PAGE_SPECIAL);

	w->s->nr_huge++;
	if (!chk_true(c, CHK_huge_entry, __func__, obj,
		      pte_present(e) &&
			      (zero || (page && PageTransHuge(page) && !(e & _PAGE_SPECIAL))),
		      "a huge page that is whole", "something else"))
		return;
	if (w->refs)
		page->seen[SEEN_MAPPED]++;
	walk_to(w, addr);
	if (!chk_true(c, CHK_huge_in_vma, __func__, obj,
		      w->vma && w->vma->vm_start <= addr && w->vma->vm_end - addr >= size &&
			      !w->vma->vm_file && !(w->vma->vm_flags & VM_SHARED),
		      "inside one anonymous private VMA", "across a boundary, or of a file"))
		return;
	if (!zero) {
		check_user_page(w, e, page, addr, obj);
		w->s->rss[MM_ANONPAGES] += hpage_nr(c->m) - 1;
	}
	check_prot(w, e, page, obj);
}

static u32 check_pte_table(struct walk *w, struct page *pt, u64 base)
{
	unsigned int ptrs = w->c->m->geo.ptrs[PT_PTE];
	u32 nr = 0;

	for (unsigned int i = chk_next_entry(w->c, pt, 0, ptrs); i < ptrs;
	     i = chk_next_entry(w->c, pt, i + 1, ptrs)) {
		nr++;
		check_pte(w, pt_get(pt, i), base + ((u64)i << PAGE_SHIFT));
	}
	return nr;
}

/* The table that an entry of `level` points to, or NULL and a violation. */
static struct page *check_table_entry(struct walk *w, enum pt_level level, pte_t e, u64 addr)
{
	const struct machine *m = w->c->m;
	struct page *pt = chk_page(m, pte_pfn(e));

	if (!chk_true(w->c, CHK_table_entry, __func__, chk_obj(OBJ_PTE, w->mm, addr),
		      (e & _PAGE_PRESENT) && pt &&
			      pt->type == table_type(pt_below(&m->geo, level)) && pt->mem,
		      "a live table of the level below", "something else"))
		return NULL;
	if (w->refs)
		pt->seen[SEEN_MAPPED]++;
	w->s->nr_ptls += pt->ptl != NULL;
	if (pt->ptl || m->cfg.split_ptlocks)
		chk_true(w->c, CHK_mm_locks, __func__, chk_obj(OBJ_PAGE, pt, 0),
			 !ptlock_of(pt)->writer && !ptlock_of(pt)->readers,
			 "lock of the table: free", "held");
	return pt;
}

static void check_span(struct walk *w, enum pt_level level, u64 addr, u64 span)
{
	/* PAE makes its PMD tables with the pgd, VMAs or not */
	if (level == PT_PMD && w->c->m->geo.preallocated_pmds)
		return;
	walk_to(w, addr);
	chk_true(w->c, CHK_table_span, __func__, chk_obj(OBJ_PTE, w->mm, addr),
		 w->vma && w->vma->vm_start < addr + span, "a VMA in the table's span", "none");
}

static void count_table(struct mm_scan *s, enum pt_level level)
{
	if (level == PT_PTE)
		s->nr_ptes++;
	else if (level == PT_PMD)
		s->nr_pmds++;
	else if (level == PT_PUD)
		s->nr_puds++;
	else if (level == PT_P4D)
		s->nr_p4ds++;
}

/* an empty table for each of nr_huge entries, all on the list that begins with `first`. */
static void check_deposits(struct walk *w, struct page *first, u64 nr_huge)
{
	const struct machine *m = w->c->m;
	struct chk_obj obj = chk_obj(OBJ_MM, w->mm, 0);
	struct page *pt = first;
	u64 nr = 0, links;

	if (!pt) {
		chk_eq(w->c, CHK_huge_deposits, __func__, obj, nr_huge, 0);
		return;
	}
	if (!chk_true(w->c, CHK_huge_deposits, __func__, obj,
		      chk_ring(&first->lru, m->nr_alloc[PAGE_PTE], &links), "a ring of tables",
		      "links that do not match"))
		return;
	do {
		if (!chk_true(w->c, CHK_huge_deposits, __func__, obj,
			      pt->type == PAGE_PTE && pt->mem && !pt->nr_entries, "empty tables",
			      "something else"))
			return;
		nr++;
		w->s->nr_ptes++;
		w->s->nr_ptls += pt->ptl != NULL;
		if (w->refs)
			pt->seen[SEEN_MAPPED]++;
		pt = list_first_entry(&pt->lru, struct page, lru);
	} while (pt != first);
	chk_eq(w->c, CHK_huge_deposits, __func__, obj, nr_huge, nr);
}

static void check_table(struct walk *w, struct page *pt, enum pt_level level, u64 base);

/* Entries [0, end) of a table of `level`, above the last one. Returns those that are not none. */
static u32 check_upper_table(struct walk *w, struct page *pt, enum pt_level level, u64 base,
			     unsigned int end)
{
	const struct pt_geometry *geo = &w->c->m->geo;
	enum pt_level below = pt_below(geo, level);
	u64 span = (u64)1 << geo->shift[level], nr_huge = w->s->nr_huge;
	u32 nr = 0;

	for (unsigned int i = chk_next_entry(w->c, pt, 0, end); i < end;
	     i = chk_next_entry(w->c, pt, i + 1, end)) {
		u64 addr = base + i * span;
		pte_t e = pt_get(pt, i);
		struct page *child;

		nr++;
		if (addr >= w->range.end || addr + span <= w->range.start)
			continue;
		if (level == pmd_level(geo) && pmd_trans_huge(e)) {
			check_huge(w, e, addr);
			continue;
		}
		child = check_table_entry(w, level, e, addr);
		if (!child)
			continue;
		count_table(w->s, below);
		check_span(w, below, addr, span);
		check_table(w, child, below, addr);
	}
	/* of a part of the tables only what lies in it is counted */
	if (level == pmd_level(geo) && w->whole && split_pmd_ptlocks(w->c->m))
		check_deposits(w, pt->pmd_huge_pte, w->s->nr_huge - nr_huge);
	return nr;
}

/* A table of `end` entries, of which nr were met. */
static void check_nr_entries(struct walk *w, const struct page *pt, unsigned int end, u32 nr)
{
	struct chk_obj obj = chk_obj(OBJ_PAGE, pt, 0);
	u32 marked = 0;
	u64 sum = 0;

	for (unsigned int i = w->c->raw ? pt_next(pt, 0, end) : end; i < end;
	     i = pt_next(pt, i + 1, end)) {
		marked++;
		sum += pt_entry_hash(i, pt_get(pt, i));
	}
	if (w->c->raw) {
		chk_eq(w->c, CHK_table_lines, __func__, obj, nr, marked);
		chk_eq(w->c, CHK_table_sum, __func__, obj, sum, pt->sum);
	}
	chk_eq(w->c, CHK_nr_entries, __func__, obj, nr, pt->nr_entries);
}

static void check_table(struct walk *w, struct page *pt, enum pt_level level, u64 base)
{
	u32 nr;

	if (level == PT_PTE)
		nr = check_pte_table(w, pt, base);
	else
		nr = check_upper_table(w, pt, level, base, w->c->m->geo.ptrs[level]);
	check_nr_entries(w, pt, w->c->m->geo.ptrs[level], nr);
}

/* An mm's own kernel PMD table must say what swapper's says. */
static void check_kernel_pmd(struct walk *w, unsigned int idx, pte_t e, pte_t swapper)
{
	const struct machine *m = w->c->m;
	struct chk_obj obj = chk_obj(OBJ_MM, w->mm, 0);
	const struct page *own, *kernel = chk_page(m, pte_pfn(swapper));
	unsigned int same = 0, ptrs = m->geo.ptrs[PT_PMD];
	u32 nr = 0;

	own = check_table_entry(w, PT_PGD, e, (u64)idx << m->geo.shift[PT_PGD]);
	if (!own)
		return;
	w->s->nr_pmds++;
	if (!chk_true(w->c, CHK_kernel_pmd, __func__, obj,
		      kernel && kernel != own && kernel->type == PAGE_PMD && kernel->mem,
		      "a table of its own", "swapper's, or none to compare with"))
		return;
	for (unsigned int i = 0; i < ptrs; i++) {
		same += pt_get(own, i) == pt_get(kernel, i);
		nr += !pte_none(pt_get(own, i));
	}
	chk_eq(w->c, CHK_kernel_pmd, __func__, obj, ptrs, same);
	check_nr_entries(w, own, ptrs, nr);
}

/* Have both tables the same entries in [from, end)? How many are not none is in *nr. */
static bool same_entries(const struct chk *c, const struct page *a, const struct page *b,
			 unsigned int from, unsigned int end, u32 *nr)
{
	unsigned int i = chk_next_entry(c, a, from, end), k = chk_next_entry(c, b, from, end);

	for (*nr = 0; i < end && i == k && pt_get(a, i) == pt_get(b, i); ++*nr) {
		i = chk_next_entry(c, a, i + 1, end);
		k = chk_next_entry(c, b, k + 1, end);
	}
	return i == end && k == end;
}

static u32 check_kernel_half(struct walk *w, const struct page *pgd)
{
	const struct pt_geometry *geo = &w->c->m->geo;
	const struct page *swapper = w->c->m->init_mm.pgd;
	bool own_pmd = geo->preallocated_pmds > geo->kernel_boundary;
	unsigned int all = geo->ptrs[PT_PGD] - geo->kernel_boundary, same = 0;
	u32 nr = 0;

	if (!own_pmd &&
	    same_entries(w->c, pgd, swapper, geo->kernel_boundary, geo->ptrs[PT_PGD], &nr))
		same = all;
	else
		nr = 0;
	for (unsigned int i = geo->kernel_boundary + same; i < geo->ptrs[PT_PGD]; i++) {
		pte_t e = pt_get(pgd, i), k = pt_get(swapper, i);

		nr += !pte_none(e);
		if (own_pmd && i < geo->preallocated_pmds && !pte_none(e) && !pte_none(k)) {
			check_kernel_pmd(w, i, e, k);
			same++;
		} else {
			same += e == k;
		}
	}
	chk_eq(w->c, CHK_kernel_entries, __func__, chk_obj(OBJ_MM, w->mm, 0), all, same);
	return nr;
}

static void check_pgd_user(struct walk *w, const struct page *pgd)
{
	const struct page *user = pgd->pgd_user;
	unsigned int same = 0, end = w->c->m->geo.kernel_boundary;
	u32 nr = 0;

	if (!user)
		return;
	if (same_entries(w->c, pgd, user, 0, end, &nr))
		same = end;
	else
		nr = 0;
	for (unsigned int i = same; i < end; i++) {
		same += pt_get(pgd, i) == pt_get(user, i);
		nr += !pte_none(pt_get(user, i));
	}
	chk_eq(w->c, CHK_pgd_user, __func__, chk_obj(OBJ_MM, w->mm, 0), end, same);
	check_nr_entries(w, user, end, nr);
}

static struct page *sound_pgd(struct chk *c, const struct mm_struct *mm)
{
	struct page *pgd = mm->pgd;

	if (chk_true(c, CHK_table_entry, __func__, chk_obj(OBJ_MM, mm, 0),
		     pgd && pgd->type == PAGE_PGD && pgd->mem, "a live pgd", "something else"))
		return pgd;
	return NULL;
}

static struct walk walk_of(struct chk *c, struct mm_struct *mm, struct mm_scan *s)
{
	return (struct walk){
		.c = c,
		.mm = mm,
		.s = s,
		.vma = atomic_read(&mm->mm_users) > 0 ? mm->mmap : NULL,
		.range = {0, ~(u64)0},
	};
}

void chk_tables(struct chk *c, struct mm_struct *mm, struct mm_scan *s, bool refs)
{
	const struct machine *m = c->m;
	struct walk w = walk_of(c, mm, s);
	struct page *pgd = sound_pgd(c, mm);
	u32 nr;

	if (!pgd)
		return;
	w.refs = refs;
	w.whole = true;
	if (refs) {
		pgd->seen[SEEN_MAPPED]++;
		if (pgd->pgd_user)
			pgd->pgd_user->seen[SEEN_MAPPED]++;
	}
	s->nr_ptls += pgd->ptl != NULL;
	nr = check_upper_table(&w, pgd, PT_PGD, 0, m->geo.kernel_boundary);
	check_deposits(&w, mm->pmd_huge_pte, split_pmd_ptlocks(m) ? 0 : s->nr_huge);
	nr += check_kernel_half(&w, pgd);
	check_nr_entries(&w, pgd, m->geo.ptrs[PT_PGD], nr);
	check_pgd_user(&w, pgd);

	chk_eq(c, CHK_nr_ptes, __func__, chk_obj(OBJ_MM, mm, 0), s->nr_ptes, mm->nr_ptes);
	chk_eq(c, CHK_nr_pmds, __func__, chk_obj(OBJ_MM, mm, 0), s->nr_pmds, mm->nr_pmds);
}

void chk_tables_of(struct chk *c, struct mm_struct *mm, struct mm_scan *s, struct fl_range range)
{
	struct walk w = walk_of(c, mm, s);
	struct page *pgd = sound_pgd(c, mm);

	if (!pgd || range.end <= range.start)
		return;
	w.range = range;
	check_upper_table(&w, pgd, PT_PGD, 0, c->m->geo.kernel_boundary);
}
