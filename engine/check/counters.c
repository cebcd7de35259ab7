/* SPDX-License-Identifier: GPL-2.0-only */
/* G-13, and of G-17 and G-18 what one mm shows: its numbers against what the walks found. */
#include "checks.h"

void chk_counters(struct chk *c, struct mm_struct *mm, const struct mm_scan *s)
{
	struct chk_obj obj = chk_obj(OBJ_MM, mm, 0);

	chk_eq(c, CHK_total_vm, __func__, obj, s->pages, mm->total_vm);
	chk_eq(c, CHK_shared_vm, __func__, obj, s->file_pages, mm->shared_vm);
	chk_eq(c, CHK_exec_vm, __func__, obj, s->exec_pages, mm->exec_vm);
	chk_eq(c, CHK_stack_vm, __func__, obj, s->stack_pages, mm->stack_vm);
	chk_eq(c, CHK_locked_vm, __func__, obj, s->locked_pages, mm->locked_vm);
	chk_eq(c, CHK_pinned_vm, __func__, obj, 0, mm->pinned_vm);
}

/*
 * A peak is raised just before what it is the peak of falls: late enough to be forgotten. At the
 * exit it is not: nobody can ask any more.
 */
static void chk_peak(struct chk *c, unsigned int row, struct mm_struct *mm, u64 *peak, u64 now)
{
	if (atomic_read(&mm->mm_users) <= 0)
		return;
	*peak = max_u64(*peak, now);
	chk_eq(c, row, __func__, chk_obj(OBJ_MM, mm, 0), *peak, now);
}

static bool has_task(const struct machine *m, const struct mm_struct *mm)
{
	const struct task_struct *tsk;

	list_for_each_entry(tsk, &m->tasks, tasks) {
		if (tsk == mm->owner)
			return tsk->mm == mm;
	}
	return false;
}

/* The task is looked for, as is the owner below. */
static bool is_dumper(const struct machine *m, const struct mm_struct *mm)
{
	const struct task_struct *tsk;

	list_for_each_entry(tsk, &m->tasks, tasks) {
		if (&tsk->core == mm->core_state)
			return tsk->mm == mm && tsk->core.dumper == tsk &&
			       (tsk->flags & PF_DUMPCORE) && !tsk->core.nr_threads;
	}
	return false;
}

/* The list of tasks must be a ring. The owner is looked for, not followed: it may have gone. */
void chk_mm_rest(struct chk *c, struct mm_struct *mm)
{
	struct chk_obj obj = chk_obj(OBJ_MM, mm, 0);

	chk_true(c, CHK_owner, __func__, obj, !mm->owner || has_task(c->m, mm),
		 "none, or a task that has the mm", "a task that has gone or has another mm");
	chk_true(c, CHK_mm_locks, __func__, obj, !mm->mmap_sem.writer && !mm->mmap_sem.readers,
		 "mmap_sem: free", "held");
	chk_true(c, CHK_mm_locks, __func__, obj,
		 !mm->page_table_lock.writer && !mm->page_table_lock.readers,
		 "page_table_lock: free", "held");
	chk_true(c, CHK_mm_locks, __func__, obj,
		 !mm->context.lock.writer && !mm->context.lock.readers, "context.lock: free",
		 "held");
	chk_true(c, CHK_mm_locks, __func__, obj, !mm->ioctx_lock.writer && !mm->ioctx_lock.readers,
		 "ioctx_lock: free", "held");
	chk_true(c, CHK_mm_quiet, __func__, obj, !mm->tlb_flush_pending, "no flush pending",
		 "one pending");
	chk_true(c, CHK_core_state, __func__, obj, !mm->core_state || is_dumper(c->m, mm),
		 "no core dump, or one of a task that has the mm", "something else");
}

void chk_rss(struct chk *c, struct mm_struct *mm, const struct mm_scan *s)
{
	struct chk_obj obj = chk_obj(OBJ_MM, mm, 0);

	chk_eq(c, CHK_rss_file, __func__, obj, s->rss[MM_FILEPAGES],
	       (u64)mm->rss_stat[MM_FILEPAGES]);
	chk_eq(c, CHK_rss_anon, __func__, obj, s->rss[MM_ANONPAGES],
	       (u64)mm->rss_stat[MM_ANONPAGES]);
	chk_eq(c, CHK_rss_swap, __func__, obj, s->rss[MM_SWAPENTS], (u64)mm->rss_stat[MM_SWAPENTS]);
	chk_peak(c, CHK_hiwater_rss, mm, &mm->seen_peak[0],
		 max_u64(mm->hiwater_rss, s->rss[MM_FILEPAGES] + s->rss[MM_ANONPAGES]));
	chk_peak(c, CHK_hiwater_vm, mm, &mm->seen_peak[1], max_u64(mm->hiwater_vm, mm->total_vm));
}
