/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reference model: what an address space is to the programs in it, said as plainly as possible.
 *
 * An address space is a sorted array of ranges (attributes, object, offset) and a set of pages of
 * its own. A fork copies both; a store puts a number into a page; a load takes it out. There are no
 * VMAs that merge or split, no page tables, no reverse maps, no shared copies, no swap: all of that
 * is how the engine does it, and must not be seen. Nothing of the engine is used here but the types
 * and the numbers that user space passes; the specification is facts §7, §9, §10, §15, §21, §25.
 *
 * The model acts after the engine did, as if nothing had been refused. Where what happens is policy
 * of the engine (was there memory? how was a range cut into VMAs?) the caller says so in `in`, and
 * the model says in `unsure` that its answer is one of two.
 *
 * Units: addresses and lengths in bytes, sizes of objects and counters in pages. A model is used by
 * one thread. Functions that need host memory and get none set `lost`: nothing it says counts then.
 */
#ifndef FAULTLINE_MODEL_H
#define FAULTLINE_MODEL_H

#include <faultline/types.h>

/* Attributes of a range. The first three are PROT_READ, PROT_WRITE, PROT_EXEC. */
enum m_attr {
	M_READ = 1 << 0,
	M_WRITE = 1 << 1,
	M_EXEC = 1 << 2,
	M_SHARED = 1 << 3,  /* stores go to the object */
	M_MAYREAD = 1 << 4, /* mprotect() may give it */
	M_MAYWRITE = 1 << 5,
	M_MAYEXEC = 1 << 6,
	M_MAYSHARE = 1 << 7, /* mapped as shared, be it writable or not */
	M_GROWSDOWN = 1 << 8,
	M_IMAGE = 1 << 9, /* of an exec: nobody may write the file */
	M_LOCKED = 1 << 10,
	M_ONFAULT = 1 << 11,
	M_SEQUENTIAL = 1 << 12,
	M_RANDOM = 1 << 13,
	M_DONTFORK = 1 << 14,
	M_DONTDUMP = 1 << 15,
	M_ACCOUNT = 1 << 16, /* promised memory, page by page */
	M_NORESERVE = 1 << 17,
	M_HUGE = 1 << 18,
	M_NOHUGE = 1 << 19,
	M_MERGEABLE = 1 << 20,
	M_DONTEXPAND = 1 << 21,
	M_IO = 1 << 22,
	M_PFNMAP = 1 << 23,
	M_UFFD = 1 << 24,    /* what misses there is for a userfaultfd */
	M_FOREIGN = 1 << 25, /* has a property that is not modelled */
};
#define M_SPECIAL              \
	(M_DONTEXPAND | M_IO | \
	 M_PFNMAP) /* the kernel's: never locked, nor one with its neighbours */
#define M_RWX	   (M_READ | M_WRITE | M_EXEC)
#define M_LOCKBITS (M_LOCKED | M_ONFAULT)
extern const char *const m_attr_names[26];

#define M_NONE UINT32_MAX

struct m_area {
	u64 start, end; /* bytes */
	u64 off;	/* page of the object at start; 0 without one */
	u32 attr;
	u32 obj; /* index of an object, or M_NONE: private memory */
};

/* Pages by number: 64 at a time. */
struct m_chunk {
	u64 key; /* number >> 6 */
	u64 has;
	u64 tag[64];
	struct m_chunk *next_free;
};

struct m_pages {
	struct m_chunk **v; /* sorted by key */
	u32 nr, max;
	u64 count;
};

/* A file, or what is behind shared anonymous memory. */
struct m_object {
	bool used, open, anon, noreserve, sealed;
	bool ring;	      /* of a context: open as long as that lives */
	bool special;	      /* pages of the kernel's, mapped without a file */
	u32 mode;	      /* 1 read, 2 write, 4 execute, as opened */
	u64 ino;	      /* files: part of their first content */
	u64 size, backed;     /* pages; from backed on they begin as zeroes */
	struct m_pages pages; /* written to, or (anon) ever touched */
	u64 mapped, writable; /* pages of areas that map it, and of those with M_SHARED */
	u64 charged;	      /* anon */
	const void *engine;   /* for the caller */
};

struct m_space {
	bool used;
	struct m_area *area;
	u32 nr, max;
	struct m_pages own;	    /* private pages with a content of their own, by page number */
	u64 total, locked, account; /* pages, sums over the areas */
	u64 start_brk, brk;
	u64 stepping; /* where probed instructions are stepped; 0: nowhere yet */
	u32 def;      /* M_LOCKBITS that new mappings get */
	u32 users;    /* tasks and pins */
	u32 binfmt;   /* or M_NONE */
	const void *engine;
};

#define M_MAX_CALLS 64u

struct m_task {
	bool alive, waiting; /* waiting: for its vfork child */
	bool dumping;	     /* core: it does nothing else */
	bool kthread;	     /* nobody's: no part of limit_nproc */
	u32 space;	     /* or M_NONE */
	u32 depth;	     /* of probed calls that it is in */
	u64 call[M_MAX_CALLS];
	u32 waiter; /* task that waits for this one, or M_NONE */
};

/* A context of asynchronous I/O. */
struct m_context {
	bool used;
	u32 space, slot, obj;
	u64 id, len; /* where the ring was mapped, by which users name it; bytes */
	u64 max_reqs, places, reqs;
};

/* What happened to an operation. */
enum m_kind {
	M_OK,
	M_ERRNO,
	M_SIGSEGV,
	M_SIGBUS,
	M_KILLED
};
struct m_result {
	enum m_kind kind;
	s64 value;
};

#define M_NO_LIMIT ((u64)1 << 36) /* of limit_data: that it is not set */

/* The machine, as far as it shows. Limits in pages. */
struct m_config {
	u64 levels, mem, swap, overcommit, overcommit_ratio;
	u64 limit_as, limit_data, limit_stack, limit_memlock, max_tasks, limit_nproc, pid_max, cpus;
	bool modern; /* linux-6.18 */
	bool stack_guard, ldt, ksm, aio, uprobes, vdso, mmu_notifier;
	u64 aio_max_nr;
	bool thp; /* huge pages bring more than was asked for */
	/* follow from levels */
	u64 task_size, window, top, base, legacy;
};

/* Contents follow only when the operation is known to have gone the model's way. */
enum m_effect_kind {
	M_DROP,	    /* pages of [start, end) of the space go */
	M_MOVE,	    /* those of [start, end) go to `to` */
	M_POPULATE, /* pages of [start, end) are fetched as the areas say */
	M_PUNCH,    /* pages [start, end) of the object go */
	M_STORE,    /* tag `to` into the page of start */
	M_TOUCH,    /* page of start is looked at */
	M_ADOPT,    /* M_ACCOUNT of [start, end) is the engine's choice */
	M_CONTEXT,  /* the object is the ring, at [start, end), of a context for `to` requests */
	M_CONTEXT_END,
	M_CONTEXT_MOVE, /* to start */
	M_REQUESTS,	/* its context has `to` of them in flight */
	M_CALL,		/* task obj is in a probed call of `to` */
	M_RETURN,	/* and not any more */
};
struct m_effect {
	enum m_effect_kind kind;
	u32 space, obj;
	u64 start, end, to;
};
struct m_pin {
	u32 space; /* or M_NONE */
	bool users;
};
#define M_SLOTS 4u

struct model {
	struct m_config cfg;
	struct m_space *space;
	u32 nr_spaces, max_spaces;
	struct m_object *object;
	u32 nr_objects, max_objects;
	struct m_context *context;
	u32 nr_contexts, max_contexts;
	struct m_task *task;
	u32 nr_tasks, alive; /* nr_tasks: names */
	struct m_pin pin[M_SLOTS];
	struct m_pin notifier[M_SLOTS];
	bool going[2]; /* module of a binary format */
	bool swap_on;
	u64 next_ino;
	u32 vdso, vvar; /* objects, or M_NONE */
	u64 account;	/* of all spaces and objects: what is committed */

	struct m_effect *effect;
	u32 nr_effects, max_effects;
	bool dead; /* an object may have lost its last name */

	/* What the caller knows and a model cannot, of the operation to come. */
	struct {
		u64 free_lo, free_hi;	/* pages that 4.4's guess at overcommit may see as free */
		u64 vma_start, vma_end; /* the first VMA that ends above the address, 0: none */
		u64 vma_room;		/* pages that it may come down by, and one; 0: unknown */
		bool one_vma;		/* each area of the range is one VMA */
		bool present;		/* an entry was there before the access */
		bool engine_failed;
	} in;
	bool unsure; /* the answer is this one, or that there is no memory */
	bool lost;

	/* For taking back. */
	struct m_area *saved;
	u32 nr_saved, max_saved, saved_space, saved_def;
	u64 saved_brk, saved_stepping;
	struct m_chunk *free_chunks;
};

/* One segment of an image. */
struct m_segment {
	u64 start, len, off;
	u32 prot, obj; /* obj: M_NONE without a file */
};
struct m_image {
	const struct m_segment *seg;
	u32 nr_segs;
	u64 start_brk, stack_pages;
	u32 exe; /* or M_NONE */
	u64 binfmt;
};

/* ---- space.c: the parts ---------------------------------------------------------------------- */

/* Empty, with nr_tasks names. -ENOMEM. m_reset() keeps the memory, m_free() gives it back. */
int m_reset(struct model *m, const struct m_config *cfg, u32 nr_tasks);
void m_free(struct model *m);
/* *to (reset or zero) becomes what from is. */
void m_copy(struct model *to, const struct model *from);

/* Index in area[] of the first that ends above addr; nr: none. */
u32 m_find(const struct m_space *s, u64 addr);
const struct m_area *m_at(const struct m_space *s, u64 addr);
/* What lies in [start, end) goes, without its pages. */
void m_clear(struct model *m, u32 space, u64 start, u64 end);
/* A range where nothing is. */
void m_insert(struct model *m, u32 space, const struct m_area *a);
/* Attributes of all that is in [start, end). */
void m_change(struct model *m, u32 space, u64 start, u64 end, u32 clear, u32 set);
/* Are the two one range to a program? b begins where a ends. */
bool m_joins(const struct m_area *a, const struct m_area *b);
u64 m_object_page(const struct m_area *a, u64 addr);

u32 m_new_space(struct model *m);
void m_put_space(struct model *m, u32 space);
u32 m_new_object(struct model *m);
void m_free_object(struct model *m, u32 obj);
/* Objects that nothing names any more go. */
void m_sweep_objects(struct model *m);
/* Sets what an anonymous object is charged. */
void m_charge_object(struct model *m, u32 obj, u64 pages);

/* May this space promise so much more? Sets unsure. */
bool m_may_commit(struct model *m, u32 space, u64 pages);

bool m_page_get(const struct m_pages *p, u64 nr, u64 *tag);
void m_page_put(struct model *m, struct m_pages *p, u64 nr, u64 tag);
void m_page_drop(struct model *m, struct m_pages *p, u64 first, u64 last);
/* Number of the first page at or above nr, or UINT64_MAX. */
u64 m_page_next(const struct m_pages *p, u64 nr);
u64 m_page_count(const struct m_pages *p, u64 first, u64 last);

/* What a load from addr finds, which must be mapped and not past the end of its object. */
u64 m_content(const struct model *m, u32 space, u64 addr);
/* What page nr of an object holds. */
u64 m_object_content(const struct m_object *o, u64 nr);

/* One that is not used, or NULL. */
struct m_context *m_context_room(struct model *m);

void m_effect(struct model *m, struct m_effect e);
/*
 * Takes the effects; `present`, if not NULL, is asked which of the pages to be fetched were, and
 * account what M_ADOPT is to be.
 */
typedef bool (*m_present_fn)(void *priv, u32 space, u64 addr);
void m_accept(struct model *m, m_present_fn present, m_present_fn account, void *priv);
/* Of the effects only M_ADOPT: the areas are as they will be accepted, and can still be taken back.
 */
void m_adopt(struct model *m, m_present_fn account, void *priv);
/* Remembers the areas of a space; m_rollback() makes them what they were and forgets the effects.
 */
void m_save(struct model *m, u32 space);
void m_rollback(struct model *m);

/* ---- place.c ----------------------------------------------------------------------------------
 */

void m_layout(struct m_config *cfg);
/* Where the room below an area ends: a stack of a later kernel keeps 256 pages for itself. */
u64 m_gap_end(const struct model *m, const struct m_area *a);
/* Where the engine must put it; a negative errno in the form of an address. */
u64 m_place(const struct model *m, const struct m_space *s, u64 addr, u64 len, u32 flags);

/* ---- map.c, lock.c, access.c: what a task does in a space -------------------------------------
 */

struct m_result m_mmap(struct model *m, u32 space, u64 addr, u64 len, u32 prot, u32 flags, u32 obj,
		       u64 off, u32 extra);
struct m_result m_remap_pages(struct model *m, u32 space, u64 addr, u64 len, u32 prot, u64 first,
			      u32 flags);
struct m_result m_munmap(struct model *m, u32 space, u64 addr, u64 len);
struct m_result m_mprotect(struct model *m, u32 space, u64 addr, u64 len, u32 prot);
struct m_result m_brk(struct model *m, u32 space, u64 brk);
struct m_result m_mremap(struct model *m, u32 space, u64 addr, u64 old_len, u64 new_len, u32 flags,
			 u64 new_addr);
struct m_result m_madvise(struct model *m, u32 space, u64 addr, u64 len, u64 advice);
/* Is it a word that the model has learnt? */
bool m_knows_advice(u64 advice);
/* What such advice makes of the attributes of an area. */
u32 m_advised(u64 advice, u32 attr);
struct m_result m_mlock(struct model *m, u32 space, u64 addr, u64 len, u32 bits);
struct m_result m_munlock(struct model *m, u32 space, u64 addr, u64 len);
struct m_result m_mlockall(struct model *m, u32 space, u32 flags);
struct m_result m_munlockall(struct model *m, u32 space);
/* value: what a store stores. */
struct m_result m_access(struct model *m, u32 space, u64 addr, u64 sp, bool write, u64 value);
/* The stack at or above addr comes down to it. 0 or a negative errno. */
int m_grow_stack(struct model *m, u32 space, u64 addr, u64 vma_end);
/* Fetches [start, end): 0, or -EFAULT and the effects up to there. Errors skip what they are in. */
int m_populate(struct model *m, u32 space, u64 start, u64 end, bool ignore_errors);
bool m_is_guard_page(const struct model *m, const struct m_space *s, u32 i, u64 addr);

/* [start, end) is mapped, and gets these M_LOCKBITS, but for what is never locked. */
void m_set_lock(struct model *m, u32 space, u64 start, u64 end, u32 bits);

/* ---- aio.c ------------------------------------------------------------------------------------
 */

struct m_result m_io_setup(struct model *m, u32 space, u64 nr, u64 where);
/* unmaps: its ring as well */
struct m_result m_io_destroy(struct model *m, u32 space, u64 id, bool unmaps);
struct m_result m_io_submit(struct model *m, u32 space, u64 id, u64 nr);
struct m_result m_io_getevents(struct model *m, u32 space, u64 id, u64 nr);
/* Effects, at once. */
struct m_context *m_new_context(struct model *m, u32 space, u32 obj, u64 id, u64 len, u64 max);
void m_end_context(struct model *m, u32 obj);
void m_end_contexts(struct model *m, u32 space);
void m_set_requests(struct model *m, u32 obj, u64 reqs);
void m_move_context(struct model *m, u32 obj, u64 id);
/* Is the object the ring of a context of this space? */
bool m_has_ring(struct model *m, u32 space, u32 obj);

/* ---- special.c --------------------------------------------------------------------------------
 */

/* 0 or an errno. */
int m_map_vdso(struct model *m, u32 space);
/* The page for stepping is there, at this address or (0) where there is room. 0 or an errno. */
int m_step_area(struct model *m, u32 space, u64 at);
struct m_result m_probe_step(struct model *m, u32 space);
struct m_result m_probe_call(struct model *m, u32 task, u64 func);
struct m_result m_probe_return(struct model *m, u32 task);
/* The child returns from what its parent is in, too. */
void m_probed_birth(struct model *m, u32 task, u32 child, bool vfork);

/* ---- task.c -----------------------------------------------------------------------------------
 */

/* The first task, before its first exec. */
void m_spawn(struct model *m);
struct m_result m_fork(struct model *m, u32 task, u32 child, u32 flags, bool kthread);
struct m_result m_exec(struct model *m, u32 task, const struct m_image *image);
void m_exit(struct model *m, u32 task);
struct m_result m_pin(struct model *m, u32 task, u64 slot, bool users);
struct m_result m_unpin(struct model *m, u64 slot);
struct m_result m_notify(struct model *m, u32 task, u64 slot);
struct m_result m_unnotify(struct model *m, u64 slot);

/* ---- file.c -----------------------------------------------------------------------------------
 */

u32 m_open(struct model *m, u64 pages, u32 mode);
void m_close(struct model *m, u32 obj);
struct m_result m_truncate(struct model *m, u32 obj, u64 pages);
struct m_result m_seal(struct model *m, u32 obj);
/* Pages [first, last] of an object are in no space any more, private copies included. */
void m_zap_object(struct model *m, u32 obj, u64 first, u64 last);

static inline struct m_result m_error(int err)
{
	return (struct m_result){err ? M_ERRNO : M_OK, -(s64)err};
}

static inline struct m_result m_value(u64 value)
{
	return (struct m_result){M_OK, (s64)value};
}

#endif
