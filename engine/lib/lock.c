/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The engine's lock, and the way to stop dead. One task acts at a time, so nobody ever waits: a
 * lock that is not free when it is asked for is a fault of the code that asks or of the code that
 * holds. So is one asked for in an order that could make two tasks wait for each other (facts §2).
 */
#include <string.h>

#include "internal.h"

_Noreturn void fl_bug(struct ctx *cx, enum fl_bug kind, const char *func, const char *what)
{
	cx->m->seams.bug(cx->m->seams.priv, kind, func, what);
	__builtin_unreachable();
}

enum lock_kind {
	SLEEP,
	RECLAIM,
	SPIN
};
enum lock_nesting {
	NEVER,
	CHILD,
	PARENT,
	ALL
};

static const struct {
	const char *name;
	u8 kind, nesting;
} classes[NR_LOCK_CLASSES] = {
	[LOCK_none] = {"a lock without a class", SLEEP, NEVER},
#define LOCK(name, kind, nesting) [LOCK_##name] = {#name, kind, nesting},
#include <faultline/locks.def>
#undef LOCK
};

#define LOCK(name, kind, nesting) (kind == SPIN ? 1u << LOCK_##name : 0) |
static const u32 spin_classes =
#include <faultline/locks.def>
	0;
#undef LOCK
#define LOCK(name, kind, nesting) (kind != SLEEP ? 1u << LOCK_##name : 0) |
static const u32 reclaim_classes =
#include <faultline/locks.def>
	0;
#undef LOCK

_Static_assert(NR_LOCK_CLASSES <= 32, "a bit each");

/* "name <how> other": what a report is grouped by, so it names classes and no objects. */
__attribute__((cold)) _Noreturn static void lock_bug(struct ctx *cx, const char *func, u32 class,
						     const char *how, const char *other)
{
	const char *parts[] = {classes[class < NR_LOCK_CLASSES ? class : LOCK_none].name, how,
			       other};
	char what[96];
	size_t len = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t n = strlen(parts[i]);

		if (len + n >= sizeof(what))
			break;
		memcpy(what + len, parts[i], n);
		len += n;
	}
	what[len] = '\0';
	fl_bug(cx, FL_BUG_LOCK, func, what);
}

static const char *innermost(u32 held)
{
	return classes[31 - __builtin_clz(held)].name;
}

void fl_lock_init(fl_lock_t *l, enum fl_lock_class class)
{
	l->readers = 0;
	l->writer = false;
	l->class = (u8) class;
	l->holder = NULL;
}

static bool may_nest(const struct ctx *cx, const fl_lock_t *l)
{
	const struct mm_struct *mm = cx->curr ? cx->curr->mm : NULL;

	if (!mm || (classes[l->class].nesting != ALL && cx->m->lock_depth[l->class] != 1))
		return false;
	switch ((enum lock_nesting)classes[l->class].nesting) {
	case CHILD:
		return mm->mmap_sem.writer && l != &mm->mmap_sem;
	case PARENT:
		return l->class != LOCK_page_table_lock || l == &mm->page_table_lock;
	case ALL:
		return mm->mmap_sem.writer;
	case NEVER:
		break;
	}
	return false;
}

static void check_order(struct ctx *cx, const fl_lock_t *l, bool nested, const char *func)
{
	u32 held = cx->m->lock_classes, inner;

	if (__builtin_expect(l->class == LOCK_none || l->class >= NR_LOCK_CLASSES, 0))
		lock_bug(cx, func, LOCK_none, " is taken", "");
	inner = held & ~((2u << l->class) - 1);
	if (__builtin_expect(inner, 0))
		lock_bug(cx, func, l->class, " taken inside ", innermost(inner));
	if (__builtin_expect(!!(held & 1u << l->class), 0) && !(nested && may_nest(cx, l)))
		lock_bug(cx, func, l->class, " taken inside ", classes[l->class].name);
}

static void note_taken(struct ctx *cx, const fl_lock_t *l)
{
	cx->m->locks_held++;
	cx->m->lock_depth[l->class]++;
	cx->m->lock_classes |= 1u << l->class;
}

static void note_dropped(struct ctx *cx, const fl_lock_t *l)
{
	cx->m->locks_held--;
	if (--cx->m->lock_depth[l->class] == 0)
		cx->m->lock_classes &= ~(1u << l->class);
}

void fl_lock_write(struct ctx *cx, fl_lock_t *l, bool nested, const char *func)
{
	if (l->writer)
		lock_bug(cx, func, l->class, ": write lock taken twice", "");
	if (l->readers)
		lock_bug(cx, func, l->class, ": write lock taken over a reader", "");
	check_order(cx, l, nested, func);
	l->writer = true;
	l->holder = cx->curr;
	note_taken(cx, l);
}

void fl_unlock_write(struct ctx *cx, fl_lock_t *l, const char *func)
{
	if (!l->writer)
		lock_bug(cx, func, l->class, ": write lock dropped but not held", "");
	if (l->holder != cx->curr)
		lock_bug(cx, func, l->class, ": dropped by a task that does not hold it", "");
	l->writer = false;
	l->holder = NULL;
	note_dropped(cx, l);
}

void fl_lock_read(struct ctx *cx, fl_lock_t *l, const char *func)
{
	if (l->writer)
		lock_bug(cx, func, l->class, ": read lock taken over a writer", "");
	check_order(cx, l, false, func);
	l->readers++;
	note_taken(cx, l);
}

void fl_unlock_read(struct ctx *cx, fl_lock_t *l, const char *func)
{
	if (l->readers <= 0)
		lock_bug(cx, func, l->class, ": read lock dropped but not held", "");
	l->readers--;
	note_dropped(cx, l);
}

void fl_assert_locked(struct ctx *cx, const fl_lock_t *l, bool write, const char *func)
{
	if (!l->writer && (write || !l->readers))
		lock_bug(cx, func, l->class, " is not held", "");
}

void fl_might_alloc(struct ctx *cx, gfp_t gfp, const char *func)
{
	u32 bad = cx->m->lock_classes & reclaim_classes;

	if (__builtin_expect(bad && !(gfp & __GFP_NOWAIT), 0))
		lock_bug(cx, func, (u32)(31 - __builtin_clz(bad)),
			 " held where memory is waited for", "");
}

void fl_might_sleep(struct ctx *cx, const char *func)
{
	u32 bad = cx->m->lock_classes & spin_classes;

	if (__builtin_expect(bad, 0))
		lock_bug(cx, func, (u32)(31 - __builtin_clz(bad)), " held where a task may sleep",
			 "");
}
