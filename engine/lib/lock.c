/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The engine's lock, and the way to stop dead. One task acts at a time, so nobody ever waits: a
 * lock that is not free when it is asked for is a fault of the code that asks or of the code that
 * holds.
 */
#include "internal.h"

_Noreturn void fl_bug(struct ctx *cx, enum fl_bug kind, const char *func, const char *what)
{
	cx->m->seams.bug(cx->m->seams.priv, kind, func, what);
	__builtin_unreachable();
}

void fl_lock_init(fl_lock_t *l)
{
	l->readers = 0;
	l->writer = false;
}

void fl_lock_write(struct ctx *cx, fl_lock_t *l, const char *func)
{
	if (l->writer)
		fl_bug(cx, FL_BUG_LOCK, func, "write lock taken twice");
	if (l->readers)
		fl_bug(cx, FL_BUG_LOCK, func, "write lock taken over a reader");
	l->writer = true;
	cx->m->locks_held++;
}

void fl_unlock_write(struct ctx *cx, fl_lock_t *l, const char *func)
{
	if (!l->writer)
		fl_bug(cx, FL_BUG_LOCK, func, "write lock dropped but not held");
	l->writer = false;
	cx->m->locks_held--;
}

void fl_lock_read(struct ctx *cx, fl_lock_t *l, const char *func)
{
	if (l->writer)
		fl_bug(cx, FL_BUG_LOCK, func, "read lock taken over a writer");
	l->readers++;
	cx->m->locks_held++;
}

void fl_unlock_read(struct ctx *cx, fl_lock_t *l, const char *func)
{
	if (l->readers <= 0)
		fl_bug(cx, FL_BUG_LOCK, func, "read lock dropped but not held");
	l->readers--;
	cx->m->locks_held--;
}
