/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of check/ share: the rows, how a row is counted and reported, and what the walk of
 * one mm found. Nothing here locks, allocates, or follows a pointer without a bound on how often.
 */
#ifndef FAULTLINE_ENGINE_CHECK_CHECKS_H
#define FAULTLINE_ENGINE_CHECK_CHECKS_H

#include <string.h>

#include <faultline/check.h>
#include <faultline/mm_types.h>

#include "internal.h"

enum chk_row {
#define INVARIANT(id, name, oracle, what) CHK_##name,
#include "invariants.def"
#undef INVARIANT
	NR_CHK_ROWS
};

struct chk {
	struct machine *m;
	fl_violation_fn fn;
	void *priv;
	u64 *counts;	 /* evaluations per row, or NULL */
	bool raw;	 /* of tables every entry is read, not only where pt_set() has been */
	unsigned int nr; /* violations */
};

/* What a violation is about; text is made only when one is reported. */
enum chk_kind {
	OBJ_MACHINE,
	OBJ_MM,
	OBJ_VMA,
	OBJ_PTE, /* p: mm, num: address */
	OBJ_TASK,
	OBJ_FILE,
	OBJ_INODE,
	OBJ_AV,
	OBJ_PAGE,
	OBJ_MODULE, /* num: index */
	OBJ_CPU,    /* num: index */
	OBJ_CACHE,  /* num: enum fl_cache */
	OBJ_SLOT,   /* num: slot of the swap area */
	OBJ_TYPE,   /* num: enum page_type */
};

struct chk_obj {
	enum chk_kind kind;
	const void *p;
	u64 num;
};

static inline struct chk_obj chk_obj(enum chk_kind kind, const void *p, u64 num)
{
	return (struct chk_obj){.kind = kind, .p = p, .num = num};
}

enum chk_base {
	CHK_DEC,
	CHK_HEX,
};

void chk_report(struct chk *c, enum chk_row row, const char *func, struct chk_obj obj,
		enum chk_base base, u64 expected, u64 actual) __attribute__((cold));
void chk_report_text(struct chk *c, enum chk_row row, const char *func, struct chk_obj obj,
		     const char *expected, const char *actual) __attribute__((cold));

/* The three forms of a row. They count the evaluation, report when it fails, return whether it
 * held. */
static inline bool chk_eq(struct chk *c, enum chk_row row, const char *func, struct chk_obj obj,
			  u64 expected, u64 actual)
{
	if (c->counts)
		c->counts[row]++;
	if (__builtin_expect(expected == actual, 1))
		return true;
	chk_report(c, row, func, obj, CHK_DEC, expected, actual);
	return false;
}

static inline bool chk_eq_hex(struct chk *c, enum chk_row row, const char *func, struct chk_obj obj,
			      u64 expected, u64 actual)
{
	if (c->counts)
		c->counts[row]++;
	if (__builtin_expect(expected == actual, 1))
		return true;
	chk_report(c, row, func, obj, CHK_HEX, expected, actual);
	return false;
}

static inline bool chk_true(struct chk *c, enum chk_row row, const char *func, struct chk_obj obj,
			    bool ok, const char *expected, const char *actual)
{
	if (c->counts)
		c->counts[row]++;
	if (__builtin_expect(ok, 1))
		return true;
	chk_report_text(c, row, func, obj, expected, actual);
	return false;
}

/* What one mm was found to have. */
struct mm_scan {
	u64 nr_vmas, nr_policies;
	u64 pages, file_pages, exec_pages, stack_pages, locked_pages, account_pages;
	u64 rss[NR_MM_COUNTERS];
	u64 nr_ptes, nr_pmds, nr_puds, nr_p4ds, nr_ptls, nr_huge;
};

/* mm->seen[SEEN_STATE]: how far the mm can be walked. */
enum {
	SEEN_USERS,
	SEEN_LAZY,
	SEEN_STATE
};
enum mm_state {
	MM_SOUND,   /* list, tree, chains: all walks below end */
	MM_DAMAGED, /* its VMAs are not to be walked */
	MM_DEAD,    /* mm_users is 0: what its VMA pointers say is history */
};

/* anon_vma->seen[] */
enum {
	SEEN_VISITED,
	SEEN_CHILDREN,
	SEEN_REFS
};
/* file->seen[]; the number is for observe.c */
enum {
	SEEN_REFERENCES,
	SEEN_NUMBER
};
/* inode->seen[] */
enum {
	SEEN_OPEN,
	SEEN_WRITERS,
	SEEN_DENY,
	SEEN_SHARED,
	SEEN_VMAS
};
/* page->seen[]: entries that map it, or holders of a kernel page; places in a page cache, owners */
enum {
	SEEN_MAPPED,
	SEEN_CACHED
};

/* What a task holds by reference, beside its mm. */
enum task_share {
	SHARE_cred,
	SHARE_files,
	SHARE_fs,
	SHARE_sighand,
	SHARE_signal,
	SHARE_nsproxy,
	SHARE_io_context,
	NR_SHARES
};
/* Its counter, which also tells one object from another; NULL when the task has none. */
static inline const atomic_t *chk_share(const struct task_struct *tsk, enum task_share share)
{
	switch (share) {
	case SHARE_cred:
		return tsk->cred ? &tsk->cred->usage : NULL;
	case SHARE_files:
		return tsk->files ? &tsk->files->count : NULL;
	case SHARE_fs:
		return tsk->fs ? &tsk->fs->users : NULL;
	case SHARE_sighand:
		return tsk->sighand ? &tsk->sighand->count : NULL;
	case SHARE_signal:
		return tsk->signal ? &tsk->signal->sigcnt : NULL;
	case SHARE_nsproxy:
		return tsk->nsproxy ? &tsk->nsproxy->count : NULL;
	case SHARE_io_context:
		return tsk->io_context ? &tsk->io_context->refcount : NULL;
	case NR_SHARES:
		break;
	}
	return NULL;
}
/* The first CACHE_ of the shares; theirs follow in their order. */
#define CACHE_OF_SHARE(share) ((enum fl_cache)(CACHE_cred + (share)))

/* structure.c. Which special mapping a VMA shows; the pointer is not followed. */
enum chk_special {
	SPECIAL_NONE,
	SPECIAL_VDSO,
	SPECIAL_VVAR,
	SPECIAL_XOL,
};
u32 chk_special(const struct machine *m, const struct mm_struct *mm,
		const struct vm_area_struct *vma);
/* structure.c. Sound: the list ends and the tree is one. Fills nr_vmas and the page sums. */
bool chk_structure(struct chk *c, struct mm_struct *mm, struct mm_scan *s);
/* Only the sums; the mm is known to be sound. */
void chk_sum(const struct mm_struct *mm, struct mm_scan *s);
void chk_vmacache(struct chk *c, const struct task_struct *tsk);

/* rmap.c. Chains of a sound mm; false: a chain must not be walked. Clears seen[] of its anon_vmas.
 */
bool chk_chains(struct chk *c, struct mm_struct *mm, u64 *nr_avcs);
/* Each anon_vma that the mm reaches and whose seen[SEEN_VISITED] is 0. Returns how many. */
u64 chk_anon_vmas(struct chk *c, struct mm_struct *mm);
/* Machine-wide counts; all mms sound, chk_anon_vmas() done for each. */
void chk_anon_vma_counts(struct chk *c, struct mm_struct *mm);
void chk_file_vmas(struct mm_struct *mm);
void chk_mapping(struct chk *c, struct file_inode *inode);

/* pagetable.c. refs: add to seen[] of the pages met. */
void chk_tables(struct chk *c, struct mm_struct *mm, struct mm_scan *s, bool refs);
/* Only the tables with entries in the range; s is not the whole mm's then. */
void chk_tables_of(struct chk *c, struct mm_struct *mm, struct mm_scan *s, struct fl_range range);
#define CHK_ZEROES 128u
extern const u64 chk_zeroes[CHK_ZEROES];
/*
 * pt_next() that believes no mark. Most tables are mostly empty: 1 KiB is looked at in one call,
 * which is fast under sanitizers too, then a line.
 */
static inline unsigned int chk_next_raw(const struct page *pt, unsigned int i, unsigned int end)
{
	unsigned int step = 1u << pt_line_shift(pt), leap = sizeof(chk_zeroes) >> pt->entry_shift;

	while (i < end) {
		const u64 *e = (const u64 *)pt->mem + ((u64)i << pt->entry_shift) / sizeof(*e);

		if (i % leap == 0 && end - i >= leap &&
		    !memcmp(e, chk_zeroes, sizeof(chk_zeroes))) {
			i += leap;
			continue;
		}
		if (i % step == 0 && end - i >= step &&
		    !(e[0] | e[1] | e[2] | e[3] | e[4] | e[5] | e[6] | e[7])) {
			i += step;
			continue;
		}
		if (!pte_none(pt_get(pt, i)))
			return i;
		i++;
	}
	return end;
}

static inline unsigned int chk_next_entry(const struct chk *c, const struct page *pt,
					  unsigned int i, unsigned int end)
{
	return c->raw ? chk_next_raw(pt, i, end) : pt_next(pt, i, end);
}

/* Descriptor of a frame, NULL when there is none. */
struct page *chk_page(const struct machine *m, u64 pfn);

/* swap.c. Counts of slots; entries have been counted in seen[], and lists are known to be rings. */
void chk_swap(struct chk *c);
/* The ring of mms, and each mm with swap entries on it. */
bool chk_mmlist(struct chk *c);
/* Does the entry name a slot that there is and that is in use? */
bool chk_swap_entry(const struct machine *m, pte_t e);

/* aio.c. Counts what the contexts hold in objects[] and in seen[]; returns their quota. */
u64 chk_aio(struct chk *c, const struct mm_struct *mm, u64 objects[NR_CACHES]);
/* The contexts of an mm that lives: those of the table, of which at most this many are looked at.
 */
u32 chk_ioctx_slots(const struct mm_struct *mm);
/* Pages of a ring that are there to be looked at. */
u32 chk_ring_pages(const struct machine *m, const struct kioctx *ctx);

/* uprobes.c. Count in objects[] and in seen[]. */
void chk_xol(struct chk *c, const struct mm_struct *mm, u64 objects[NR_CACHES]);
void chk_utask(struct chk *c, const struct task_struct *tsk, u64 objects[NR_CACHES]);
/* The area's page, if it is one. */
struct page *chk_xol_page(const struct machine *m, const struct mm_struct *mm);

/* userfaultfd.c. The slot of a userfaultfd plus 1, 0: none; the pointer is not followed. */
u32 chk_uffd(const struct machine *m, const struct userfaultfd_ctx *ctx);
/* Counts the mms' holders in seen[], and the contexts. The list of files is a ring. */
void chk_uffds(struct chk *c, u64 objects[NR_CACHES]);

/* counters.c */
void chk_counters(struct chk *c, struct mm_struct *mm, const struct mm_scan *s);
/* Resident pages; also of an mm without users, where all are zero. */
void chk_rss(struct chk *c, struct mm_struct *mm, const struct mm_scan *s);
void chk_mm_rest(struct chk *c, struct mm_struct *mm);

/* tlb.c: CPUs that have the mm loaded; its tables must be sound. */
void chk_tlb(struct chk *c, const struct mm_struct *mm);

/* global.c */
/* Does the pointer, not followed, name an mm of the machine? The list of mms must be a ring. */
bool chk_is_live_mm(const struct machine *m, const struct mm_struct *mm);
void chk_machine(struct chk *c);

/* invariants.c: how many VMAs, chain entries, … a walk may meet before it is declared endless. */
static inline u64 chk_bound(const struct machine *m, enum fl_cache cache)
{
	return m->caches[cache].live + 1;
}

/* The list is a ring of at most max nodes with inverse links; *nr gets their number. */
bool chk_ring(const struct list_head *h, u64 max, u64 *nr);

#endif
