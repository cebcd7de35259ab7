/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Base types of the engine: fixed-width integers, the doubly linked list, and the two things that
 * every acting function is handed: a context instead of globals, and a way to stop dead.
 */
#ifndef FAULTLINE_TYPES_H
#define FAULTLINE_TYPES_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

typedef u32 gfp_t;
typedef u64 pgoff_t;

/* Returned by a fork that a pending signal interrupts; user space never sees it. */
#define ERESTARTNOINTR 513

#define PAGE_SHIFT	  12
#define PAGE_SIZE	  ((u64)1 << PAGE_SHIFT)
#define PAGE_MASK	  (~(PAGE_SIZE - 1))
#define PAGE_ALIGN(x)	  (((u64)(x) + PAGE_SIZE - 1) & PAGE_MASK)
#define offset_in_page(x) ((u64)(x) & (PAGE_SIZE - 1))

#define ARRAY_SIZE(a)		       (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, field) ((type *)(void *)((char *)(ptr)-offsetof(type, field)))

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

struct list_head {
	struct list_head *next, *prev;
};

static inline void INIT_LIST_HEAD(struct list_head *h)
{
	h->next = h->prev = h;
}

static inline bool list_empty(const struct list_head *h)
{
	return h->next == h;
}

static inline bool list_is_singular(const struct list_head *h)
{
	return h->next != h && h->next == h->prev;
}

static inline void __list_add(struct list_head *n, struct list_head *prev, struct list_head *next)
{
	next->prev = n;
	n->next = next;
	n->prev = prev;
	prev->next = n;
}

static inline void list_add(struct list_head *n, struct list_head *h)
{
	__list_add(n, h, h->next);
}

static inline void list_add_tail(struct list_head *n, struct list_head *h)
{
	__list_add(n, h->prev, h);
}

static inline void list_del_init(struct list_head *n)
{
	n->next->prev = n->prev;
	n->prev->next = n->next;
	INIT_LIST_HEAD(n);
}

#define list_entry(ptr, type, field)	 container_of(ptr, type, field)
#define list_first_entry(h, type, field) list_entry((h)->next, type, field)
#define list_last_entry(h, type, field)	 list_entry((h)->prev, type, field)
#define list_for_each_entry(pos, h, field)                                             \
	for (pos = list_entry((h)->next, __typeof__(*pos), field); &pos->field != (h); \
	     pos = list_entry(pos->field.next, __typeof__(*pos), field))
#define list_for_each_entry_reverse(pos, h, field)                                     \
	for (pos = list_entry((h)->prev, __typeof__(*pos), field); &pos->field != (h); \
	     pos = list_entry(pos->field.prev, __typeof__(*pos), field))
#define list_for_each_entry_safe(pos, n, h, field)                    \
	for (pos = list_entry((h)->next, __typeof__(*pos), field),    \
	    n = list_entry(pos->field.next, __typeof__(*pos), field); \
	     &pos->field != (h); pos = n, n = list_entry(n->field.next, __typeof__(*n), field))

struct machine;
struct task_struct;

struct ctx;

enum fl_sync_point {
#define SYNC(name, what) SYNC_##name,
#include <faultline/syncs.def>
#undef SYNC
	NR_SYNC_POINTS
};

/*
 * Lets others act at the named places (syncs.def) of an operation. `reached` is handed the context
 * of the operation that stopped there. It may run any task under a context of its own, whose sync
 * is its own affair, and must have put cx->curr back on cx->cpu (run_on()) when it returns.
 */
struct fl_sync {
	void *priv;
	void (*reached)(void *priv, struct ctx *cx, enum fl_sync_point point);
};

/*
 * Who acts, where, and for how long. Filled by the caller of a system call; never kept by the
 * engine. `steps` is the budget of the running operation: every loop whose length depends on state
 * takes one per turn, so a damaged structure ends in a report and not in a hang.
 */
struct ctx {
	struct machine *m;
	struct task_struct *curr;
	unsigned int cpu;
	u64 steps;
	const struct fl_sync *sync; /* NULL: nobody is let in */
};

static inline void fl_sync_at(struct ctx *cx, enum fl_sync_point point)
{
	if (__builtin_expect(cx->sync != NULL, 0))
		cx->sync->reached(cx->sync->priv, cx, point);
}
#define sync_point(cx, name) fl_sync_at(cx, SYNC_##name)

enum fl_bug {
	FL_BUG_INVARIANT, /* a state that the engine's own rules forbid */
	FL_BUG_REFCOUNT,  /* a counter left its range, or rose from zero */
	FL_BUG_LOCK,	  /* taken twice, dropped unheld, wrong order, held at rest */
	FL_BUG_HANG,	  /* the step budget ran out */
	FL_BUG_TLB,	  /* a stale translation was used, or its page freed */
};

/* Reports through the machine's seams and does not return. `func` is the detecting function. */
_Noreturn void fl_bug(struct ctx *cx, enum fl_bug kind, const char *func, const char *what);

#define BUG_ON(cx, cond)                                               \
	do {                                                           \
		if (__builtin_expect(!!(cond), 0))                     \
			fl_bug(cx, FL_BUG_INVARIANT, __func__, #cond); \
	} while (0)

static inline void fl_step(struct ctx *cx, const char *func)
{
	if (__builtin_expect(cx->steps == 0, 0))
		fl_bug(cx, FL_BUG_HANG, func, "step budget exhausted");
	cx->steps--;
}
#define STEP(cx) fl_step(cx, __func__)

/*
 * Reference counter. All users are in one thread at a time; the type exists so that every rise from
 * zero and every fall below it is seen where it happens.
 */
typedef struct {
	s32 counter;
} atomic_t;

static inline void atomic_set(atomic_t *a, s32 v)
{
	a->counter = v;
}

static inline s32 atomic_read(const atomic_t *a)
{
	return a->counter;
}

static inline void fl_atomic_inc(struct ctx *cx, atomic_t *a, const char *func, const char *name)
{
	if (a->counter <= 0)
		fl_bug(cx, FL_BUG_REFCOUNT, func, name);
	a->counter++;
}

static inline bool fl_atomic_dec(struct ctx *cx, atomic_t *a, const char *func, const char *name)
{
	if (a->counter <= 0)
		fl_bug(cx, FL_BUG_REFCOUNT, func, name);
	return --a->counter == 0;
}
#define atomic_inc(cx, a)	   fl_atomic_inc(cx, a, __func__, #a)
#define atomic_dec_and_test(cx, a) fl_atomic_dec(cx, a, __func__, #a)

enum fl_lock_class {
	LOCK_none,
#define LOCK(name, kind, nesting) LOCK_##name,
#include <faultline/locks.def>
#undef LOCK
	NR_LOCK_CLASSES
};

/*
 * The engine's lock. One thread now; order, holders and double use are checked all the same, and
 * what breaks a rule is an FL_BUG_LOCK that names the classes (locks.def).
 */
typedef struct {
	s32 readers;
	bool writer;
	u8 class;		    /* enum fl_lock_class */
	struct task_struct *holder; /* the writer */
} fl_lock_t;

void fl_lock_init(fl_lock_t *l, enum fl_lock_class class);
void fl_lock_write(struct ctx *cx, fl_lock_t *l, bool nested, const char *func);
void fl_unlock_write(struct ctx *cx, fl_lock_t *l, const char *func);
void fl_lock_read(struct ctx *cx, fl_lock_t *l, const char *func);
void fl_unlock_read(struct ctx *cx, fl_lock_t *l, const char *func);
/* For functions whose caller holds the lock: at least for reading, or for writing. */
void fl_assert_locked(struct ctx *cx, const fl_lock_t *l, bool write, const char *func);
/* Where memory is asked for; where a task may sleep. */
void fl_might_alloc(struct ctx *cx, gfp_t gfp, const char *func);
void fl_might_sleep(struct ctx *cx, const char *func);

#define down_write(cx, l)	 fl_lock_write(cx, l, false, __func__)
#define down_write_nested(cx, l) fl_lock_write(cx, l, true, __func__)
#define up_write(cx, l)		 fl_unlock_write(cx, l, __func__)
#define down_read(cx, l)	 fl_lock_read(cx, l, __func__)
#define up_read(cx, l)		 fl_unlock_read(cx, l, __func__)
#define mutex_lock(cx, l)	 fl_lock_write(cx, l, false, __func__)
#define mutex_unlock(cx, l)	 fl_unlock_write(cx, l, __func__)
#define spin_lock(cx, l)	 fl_lock_write(cx, l, false, __func__)
#define spin_lock_nested(cx, l)	 fl_lock_write(cx, l, true, __func__)
#define spin_unlock(cx, l)	 fl_unlock_write(cx, l, __func__)
#define assert_held_write(cx, l) fl_assert_locked(cx, l, true, __func__)
#define assert_held(cx, l)	 fl_assert_locked(cx, l, false, __func__)

#endif
