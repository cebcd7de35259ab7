/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files that say what is declared of faults share. */
#ifndef FAULTLINE_DECLARED_PRIV_H
#define FAULTLINE_DECLARED_PRIV_H

#include "target.h"

/* ---- fallbacks.c ----------------------------------------------------------------------------- */

/*
 * The engine's request that was refused: of a backend that had no page for a slab, the request that
 * needed the slab.
 */
enum fl_site declared_asked(const struct fi_point *point);

/* ---- observed.c ------------------------------------------------------------------------------ */

struct area {
	u64 start, end, flags, page_prot, pgoff, file, special, uffd, policy;
};

struct entry {
	u64 addr, page, bits;
};

struct list {
	const struct fl_obs *v;
	u32 nr;
	/*
	 * Records whose numbers end alike, in chains: 1 more than the index of the next, 0 at the
	 * end. NULL: there was no memory for them, and the list is looked through.
	 */
	u32 *next, *first;
};
#define NR_CHAINS 256u

/* The records of all objects of a kind: the first of each, and the next of the same; + 1, 0: none.
 */
struct index {
	u32 *first, *next;
};

enum change_kind {
	CHANGE_HOLE,   /* [start, end) of the mm is unmapped */
	CHANGE_PREFIX, /* the first part of [start, end) has other flags */
	CHANGE_MAPPED, /* [start, end) is mapped */
	CHANGE_MOVED,  /* [from, from + moved) is at start as well, its entries only there */
	CHANGE_SPLIT,  /* nothing; but huge pages may be split, as all of the above may do */
	CHANGE_KILLED, /* the task is gone, or what it had before; perhaps its group, too */
	CHANGE_BORN,   /* the task has a child */
};

#define MAX_TIDS 16u

/* What may differ, and the tables of a comparison. */
struct change {
	enum change_kind kind;
	struct list before, after;
	u32 task, mm; /* numbers in before */
	u64 start, end;
	u64 cut_start, cut_end; /* CHANGE_HOLE, CHANGE_MOVED: may be a hole, too */
	u64 from, moved;
	u64 clear, set; /* CHANGE_PREFIX: bits of the flags */
	u64 policy;	/* CHANGE_PREFIX: of the VMAs, if rebinds */
	u64 uffd;	/* CHANGE_PREFIX: of those whose flags say that they have another now */
	bool rebinds;
	u64 hpage;    /* bytes of a huge page, 0 without */
	bool filled;  /* pages may have been fetched in [start, end) */
	bool advised; /* no counter may differ */
	bool moves_brk;
	bool stays;	/* CHANGE_KILLED: the task lives on, */
	bool new_mm;	/* with another image, which is not looked at */
	bool alone;	/* the other threads of its group are gone, */
	bool sharers;	/* and all others of its mm, but no kernel threads */
	bool whole_mm;	/* def_flags may differ, too */
	bool locks;	/* special mappings are passed by */
	u64 submitted;	/* requests that the context has more, by its name in start */
	bool shares_mm; /* CHANGE_BORN: the child uses the same mm */
	bool probed;	/* there may be an area for stepping now */
	bool destroyed; /* the context of that name, and the pages of its ring, may have gone */
	bool rings_go;
	bool prefix_over;
	bool multiple;	/* more than one fault was made */
	bool uncharges; /* CHANGE_PREFIX: what may be written no more may have lost its charge */
	bool kept;	/* CHANGE_MAPPED: the VMA that has [start, end) has lost its charge */
	/* CHANGE_KILLED: by number, who is gone; words that the gone and the task wanted cleared */
	bool *gone;
	u64 max_task;
	struct {
		u64 mm, addr;
	} tids[MAX_TIDS];
	u32 nr_tids;
	/* number of a page or file in before -> in after; they are numbered by first visit */
	u64 *pages, *files;
	u64 max_page, max_file;
	struct index page_index[2], file_index[2];
	struct area *areas[2];
	u32 nr_areas[2];
	struct entry *entries[2];
	u32 nr_entries[2];
};

/* strcmp() without the call: words mostly differ at once, and fuzzers listen in to each call. */
static inline bool obs_same_word(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static inline bool obs_is(const struct fl_obs *o, const char *object)
{
	return obs_same_word(fl_obs_fields[o->field].object, object);
}

/* Makes the chains of a list, which the caller frees (next). */
void obs_index(struct list *l);
/* The next record of an object: *i is 0 at first, and then belongs to this function. */
const struct fl_obs *obs_next(const struct list *l, const char *object, u32 obj, u32 *i);
/* Of the first such record of the object; 0 without one. */
u64 obs_value(const struct list *l, enum fl_obs_id field, u32 obj);
/* The mm of the userfaultfd in a slot. */
u32 obs_mm_of_uffd(const struct list *l, u64 slot);
/* The largest number that an object of this kind has. */
u64 obs_largest(const struct list *l, const char *object);
/* False: no memory. Freed in both cases. */
bool obs_index_make(struct index *x, const struct list *l, const char *object, u64 max);
void obs_index_free(struct index *x);

/* ---- tasks.c --------------------------------------------------------------------------------- */

/* Fills in who is gone, of CHANGE_KILLED, and whose words are to be cleared. */
void change_find_gone(struct change *c);
bool change_is_gone(const struct change *c, u64 task);
/* Number that a task of before has in after. 0: none, or gone. */
u64 change_task_after(const struct change *c, u64 task);
/*
 * The word that a task which left its mm wanted to be cleared: its page may be another one, with
 * nothing in it.
 */
bool change_is_tid(const struct change *c, u64 mm, u64 addr);
bool change_same_task(const struct change *c, u32 task);
/* What belongs to the machine. */
bool change_same_rest(const struct change *c);

/* ---- space.c --------------------------------------------------------------------------------- */

/*
 * Do rings lose their pages, wherever they are mapped? That of the context that is destroyed, and
 * those of an mm that nobody uses any more.
 */
bool change_rings_go(const struct change *c);
/* Of the mms with these numbers, before and after: are they the same but for the change? */
bool change_same_mm(struct change *c, u32 mm, u32 now);
/* Of two pages or files that have been paired. */
bool change_same_object(const struct change *c, const struct index *x, u64 before, u64 after);

#endif
