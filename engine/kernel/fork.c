/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Birth and end of an mm, and of a task (notes 1, 1.1, 1.2, 1.2.1-1.2.5, 2, 2.1, 2.1.1, 2.1.2;
 * facts §3 1.-2.1.2, §4, §5, §19.1).
 */
#include <string.h>

#include "internal.h"

/* ---- the struct (notes 1.1) ----------------------------------------------------------------- */

static struct mm_struct *allocate_mm(struct ctx *cx, enum fl_site site)
{
	struct machine *m = cx->m;
	struct mm_struct *mm = kmem_cache_alloc(cx, CACHE_mm_struct, site, GFP_KERNEL);

	if (!mm)
		return NULL;
	list_add_tail(&mm->mms, &m->mms);
	m->nr_mms++;
	return mm;
}

/*
 * What must be gone once the pgd is: PAE's preallocated PMDs are counted until then. Looked at
 * where the struct goes, so that an mm_init() that fails is seen as well.
 */
static void check_mm(struct ctx *cx, const struct mm_struct *mm)
{
	for (unsigned int i = 0; i < NR_MM_COUNTERS; i++)
		if (mm->rss_stat[i])
			cx->m->check_alerts++;
	if (mm->nr_ptes)
		cx->m->check_alerts++;
	if (mm->nr_pmds)
		cx->m->check_alerts++;
	if (mm->pmd_huge_pte)
		cx->m->check_alerts++;
}

static void free_mm(struct ctx *cx, struct mm_struct *mm)
{
	check_mm(cx, mm);
	list_del_init(&mm->mms);
	cx->m->nr_mms--;
	kmem_cache_free(cx, CACHE_mm_struct, mm);
}

/* Gives mm the content of another struct; its own place among the machine's mms stays. */
static void assign_mm(struct mm_struct *mm, const struct mm_struct *from)
{
	struct list_head mms = mm->mms;

	*mm = *from;
	mm->mms = mms;
}

/* ---- mm_init() and its helpers (notes 1.2) -------------------------------------------------- */

static void mm_nr_pmds_init(struct mm_struct *mm)
{
	mm->nr_pmds = 0;
}

/* The pointer of a raw copy is still its parent's. */
static void mm_init_cpumask(const struct machine *m, struct mm_struct *mm)
{
	mm->cpu_vm_mask_var = m->cfg.cpumask_offstack ? &mm->cpu_vm_mask : NULL;
	*mm_cpumask(mm) = 0;
}

static void mm_init_aio(struct mm_struct *mm)
{
	fl_lock_init(&mm->ioctx_lock, LOCK_ioctx_lock);
	mm->ioctx_table = NULL;
}

static void mm_init_owner(struct mm_struct *mm, struct task_struct *p)
{
	mm->owner = p;
}

/* p will not become, or not stay, a task of this mm: nobody may find it through the mm (B-10). */
static void mm_clear_owner(struct mm_struct *mm, const struct task_struct *p)
{
	if (mm->owner == p)
		mm->owner = NULL;
}

static void mmu_notifier_mm_init(struct mm_struct *mm)
{
	mm->mmu_notifier_mm = NULL;
}

/* A raw copy would have the parent's area, and mmput() would free that (B-13). */
static void mm_init_uprobes_state(struct mm_struct *mm)
{
	mm->xol_area = NULL;
}

static void clear_tlb_flush_pending(struct mm_struct *mm)
{
	mm->tlb_flush_pending = false;
}

static int mm_alloc_pgd(struct ctx *cx, struct mm_struct *mm)
{
	mm->pgd = pgd_alloc(cx, mm);
	if (!mm->pgd)
		return -ENOMEM;
	return 0;
}

static void mm_free_pgd(struct ctx *cx, struct mm_struct *mm)
{
	pgd_free(cx, mm, mm->pgd);
}

/* What mm_init() and the static init_mm have in common: everything that cannot fail. */
static void mm_init_fields(const struct machine *m, struct mm_struct *mm)
{
	mm->mmap = NULL;
	mm->mm_rb = (struct rb_root){NULL};
	mm->vmacache_seqnum = 0;
	atomic_set(&mm->mm_users, 1);
	atomic_set(&mm->mm_count, 1);
	fl_lock_init(&mm->mmap_sem, LOCK_mmap_sem);
	INIT_LIST_HEAD(&mm->mmlist);
	mm->core_state = NULL;
	/* dup_mmap() may give up before it takes a reference of its own (B-11) */
	mm->exe_file = NULL;
	mm->nr_ptes = 0;
	mm_nr_pmds_init(mm);
	mm->pmd_huge_pte = NULL;
	mm->map_count = 0;
	mm->locked_vm = 0;
	mm->pinned_vm = 0;
	memset(mm->rss_stat, 0, sizeof(mm->rss_stat));
	fl_lock_init(&mm->page_table_lock, LOCK_page_table_lock);
	memset(mm->seen_peak, 0, sizeof(mm->seen_peak));
	mm_init_cpumask(m, mm);
	mm_init_aio(mm);
	mmu_notifier_mm_init(mm);
	mm_init_uprobes_state(mm);
	clear_tlb_flush_pending(mm);
}

/*
 * In a fork mm still aliases what the parent owns (binfmt, context.ldt): a failure frees
 * the struct and drops none of that.
 */
static struct mm_struct *mm_init(struct ctx *cx, struct mm_struct *mm, struct task_struct *p)
{
	const struct mm_struct *current_mm = cx->curr ? cx->curr->mm : NULL;

	mm_init_fields(cx->m, mm);
	mm_init_owner(mm, p);

	if (current_mm) {
		mm->flags = current_mm->flags & MMF_INIT_MASK;
		mm->def_flags = current_mm->def_flags & VM_INIT_DEF_MASK;
	} else {
		mm->flags = MMF_DUMP_DEFAULT;
		mm->def_flags = 0;
	}

	if (mm_alloc_pgd(cx, mm))
		goto fail_nopgd;

	if (init_new_context(cx, p, mm))
		goto fail_nocontext;

	return mm;

fail_nocontext:
	mm_free_pgd(cx, mm);
fail_nopgd:
	free_mm(cx, mm);
	return NULL;
}

struct mm_struct *mm_alloc(struct ctx *cx)
{
	static const struct mm_struct zero;
	struct mm_struct *mm;

	mm = allocate_mm(cx, SITE_mm_alloc_mm);
	if (!mm)
		return NULL;

	assign_mm(mm, &zero);
	return mm_init(cx, mm, cx->curr);
}

void mm_init_struct(struct machine *m, struct mm_struct *mm)
{
	memset(mm, 0, sizeof(*mm));
	mm_init_fields(m, mm);
	atomic_set(&mm->mm_users, 2);
	fl_lock_init(&mm->context.lock, LOCK_context_lock);
	INIT_LIST_HEAD(&mm->mms);
	mm->flags = MMF_DUMP_DEFAULT;
	mm->task_size = m->geo.task_size;
}

/* ---- references (facts §4.1-§4.5) ----------------------------------------------------------- */

static void __mmdrop(struct ctx *cx, struct mm_struct *mm)
{
	BUG_ON(cx, mm == &cx->m->init_mm);
	mm_free_pgd(cx, mm);
	destroy_context(cx, mm);
	mmu_notifier_mm_destroy(cx, mm);
	free_mm(cx, mm);
}

void mmdrop(struct ctx *cx, struct mm_struct *mm)
{
	if (atomic_dec_and_test(cx, &mm->mm_count))
		__mmdrop(cx, mm);
}

void mmput(struct ctx *cx, struct mm_struct *mm)
{
	if (!atomic_dec_and_test(cx, &mm->mm_users))
		return;
	/* A failed fork must not leave its child, which nobody has seen, as the owner (B-10). */
	if (mm->owner && list_empty(&mm->owner->tasks))
		cx->m->check_alerts++;

	sync_point(cx, mmput_last);
	uprobe_clear_state(cx, mm);
	exit_aio(cx, mm);
	/* A daemon walks an mm under mmap_sem, which exit_mmap() does not take. */
	ksm_exit(cx, mm);
	khugepaged_exit(cx, mm);
	exit_mmap(cx, mm);
	set_mm_exe_file(cx, mm, NULL);
	if (!list_empty(&mm->mmlist)) {
		spin_lock(cx, &cx->m->mmlist_lock);
		list_del_init(&mm->mmlist);
		spin_unlock(cx, &cx->m->mmlist_lock);
	}
	if (mm->binfmt)
		module_put(cx, mm->binfmt->module);
	mmdrop(cx, mm);
	aio_flush_work(cx);
}

struct mm_struct *get_task_mm(struct ctx *cx, struct task_struct *tsk)
{
	struct mm_struct *mm = tsk->mm;

	if (!mm || (tsk->flags & PF_KTHREAD))
		return NULL;
	atomic_inc(cx, &mm->mm_users);
	return mm;
}

bool mmget_not_zero(struct ctx *cx, struct mm_struct *mm)
{
	if (atomic_read(&mm->mm_users) <= 0)
		return false;
	atomic_inc(cx, &mm->mm_users);
	return true;
}

void set_mm_exe_file(struct ctx *cx, struct mm_struct *mm, struct file *file)
{
	struct file *old = mm->exe_file;

	mm->exe_file = file ? get_file(cx, file) : NULL;
	if (old)
		fput(cx, old);
}

static void complete_vfork_done(struct ctx *cx, struct task_struct *tsk)
{
	struct task_struct *parent = tsk->vfork_parent;

	if (!parent)
		return;
	BUG_ON(cx, parent->state != TASK_VFORK_WAIT);
	tsk->vfork_parent = NULL;
	parent->state = TASK_RUNNING;
}

/*
 * tsk, the current task, stops using mm, which may be NULL. The pointer changes and the reference
 * goes after this. A word that cannot be written stays as it is; the vfork parent may look at it.
 */
void mm_release(struct ctx *cx, struct task_struct *tsk, struct mm_struct *mm)
{
	BUG_ON(cx, tsk->mm != mm);
	uprobe_free_utask(cx, tsk);
	if (tsk->clear_child_tid) {
		u64 zero = 0;

		if (!tsk->signal->group_dump && atomic_read(&mm->mm_users) > 1)
			(void)access_user(cx, tsk->clear_child_tid, true, &zero);
		tsk->clear_child_tid = 0;
	}
	sync_point(cx, mm_release_cleared);
	complete_vfork_done(cx, tsk);
}

s64 sys_set_tid_address(struct ctx *cx, u64 addr)
{
	if (!cx->curr->mm)
		return -EINVAL;
	cx->curr->clear_child_tid = addr;
	return 0;
}

/* ---- copy of an address space (notes 2) ----------------------------------------------------- */

/*
 * Copies VMAs and page tables of oldmm into mm, a raw copy that mm_init() has been over. On failure
 * what has been linked stays: exit_mmap() takes it away, and its commit charge with it. The
 * statistics of such an mm do not fit its VMAs. The parent is seen unlocked only after its
 * translations, write-protected by now, have been flushed.
 */
static int dup_mmap(struct ctx *cx, struct mm_struct *mm, struct mm_struct *oldmm)
{
	struct vm_area_struct *mpnt, *tmp, *prev = NULL, **pprev = &mm->mmap;
	struct rb_node **rb_link = &mm->mm_rb.node, *rb_parent = NULL;
	u64 charge;
	int retval;

	if (mmap_lock_killable(cx, oldmm, SITE_dup_mmap_lock))
		return -EINTR;
	uprobe_dup_mmap(oldmm, mm);
	down_write_nested(cx, &mm->mmap_sem);

	mm->exe_file = oldmm->exe_file ? get_file(cx, oldmm->exe_file) : NULL;

	mm->total_vm = oldmm->total_vm;
	mm->shared_vm = oldmm->shared_vm;
	mm->exec_vm = oldmm->exec_vm;
	mm->stack_vm = oldmm->stack_vm;

	retval = ksm_fork(cx, mm, oldmm);
	if (retval)
		goto out;
	retval = khugepaged_fork(cx, mm, oldmm);
	if (retval)
		goto out;

	for (mpnt = oldmm->mmap; mpnt; mpnt = mpnt->vm_next) {
		struct file *file;

		STEP(cx);
		if (mpnt->vm_flags & VM_DONTCOPY) {
			vm_stat_account(mm, mpnt->vm_flags, mpnt->vm_file, -(s64)vma_pages(mpnt));
			continue;
		}

		charge = 0;
		if (mpnt->vm_flags & VM_ACCOUNT) {
			u64 len = vma_pages(mpnt);

			if (security_vm_enough_memory_mm(cx, oldmm, len, SITE_dup_mmap_acct))
				goto fail_nomem;
			charge = len;
		}

		tmp = kmem_cache_alloc(cx, CACHE_vm_area_struct, SITE_dup_mmap_vma, GFP_KERNEL);
		if (!tmp)
			goto fail_nomem;
		*tmp = *mpnt;
		INIT_LIST_HEAD(&tmp->anon_vma_chain);
		if (vma_dup_policy(cx, mpnt, tmp, SITE_dup_mmap_policy))
			goto fail_nomem_policy;
		tmp->vm_mm = mm;
		if (anon_vma_fork(cx, tmp, mpnt))
			goto fail_nomem_anon_vma_fork;
		tmp->vm_flags &= VM_LOCKED_CLEAR_MASK & ~VM_UFFD_MISSING;
		tmp->vm_userfaultfd_ctx = NULL;
		tmp->vm_next = tmp->vm_prev = NULL;

		file = tmp->vm_file;
		if (file) {
			struct address_space *mapping = &file->f_inode->i_data;

			get_file(cx, file);
			if (tmp->vm_flags & VM_DENYWRITE)
				file->f_inode->i_writecount--;
			down_write(cx, &mapping->i_mmap_rwsem);
			if (tmp->vm_flags & VM_SHARED)
				mapping->i_mmap_writable++;
			/* rmap has to meet the parent first */
			vma_interval_tree_insert_after(tmp, mpnt, &mapping->i_mmap);
			up_write(cx, &mapping->i_mmap_rwsem);
		}

		*pprev = tmp;
		pprev = &tmp->vm_next;
		tmp->vm_prev = prev;
		prev = tmp;

		/* addresses ascend, so the last node is the rightmost */
		__vma_link_rb(mm, tmp, rb_link, rb_parent);
		rb_link = &tmp->vm_rb.right;
		rb_parent = &tmp->vm_rb;

		mm->map_count++;
		retval = copy_page_range(cx, mm, oldmm, mpnt);
		if (retval)
			goto out;
	}
	retval = 0;
out:
	up_write(cx, &mm->mmap_sem);
	flush_tlb_mm(cx, oldmm);
	up_write(cx, &oldmm->mmap_sem);
	return retval;

fail_nomem_anon_vma_fork:
	mpol_put(cx, tmp->vm_policy);
fail_nomem_policy:
	kmem_cache_free(cx, CACHE_vm_area_struct, tmp);
fail_nomem:
	retval = -ENOMEM;
	vm_unacct_memory(cx, charge);
	goto out;
}

static struct mm_struct *dup_mm(struct ctx *cx, struct task_struct *tsk)
{
	struct mm_struct *mm, *oldmm = cx->curr->mm;
	int err;

	mm = allocate_mm(cx, SITE_dup_mm_mm);
	if (!mm)
		goto fail_nomem;

	assign_mm(mm, oldmm);

	if (!mm_init(cx, mm, tsk))
		goto fail_nomem;

	err = dup_mmap(cx, mm, oldmm);
	if (err)
		goto free_pt;

	mm->hiwater_rss = get_mm_rss(mm);
	mm->hiwater_vm = mm->total_vm;

	if (mm->binfmt && !try_module_get(cx, mm->binfmt->module, SITE_dup_mm_binfmt))
		goto free_pt;

	return mm;

free_pt:
	/* the module is not ours to put */
	mm->binfmt = NULL;
	mm_clear_owner(mm, tsk);
	sync_point(cx, dup_mmap_failed);
	mmput(cx, mm);

fail_nomem:
	return NULL;
}

static int copy_mm(struct ctx *cx, u32 clone_flags, struct task_struct *tsk)
{
	struct mm_struct *mm, *oldmm;

	tsk->min_flt = tsk->maj_flt = 0;
	tsk->nvcsw = tsk->nivcsw = 0;
	if (cx->m->cfg.hung_task)
		tsk->last_switch_count = tsk->nvcsw + tsk->nivcsw;

	/* from here on the unwind of copy_process() finds no mm that is not the child's */
	tsk->mm = NULL;
	tsk->active_mm = NULL;

	/* a kernel thread has none and borrows one when it runs */
	oldmm = cx->curr ? cx->curr->mm : NULL;
	if (!oldmm || (tsk->flags & PF_KTHREAD))
		return 0;

	vmacache_flush(tsk);

	if (clone_flags & CLONE_VM) {
		atomic_inc(cx, &oldmm->mm_users);
		mm = oldmm;
		goto good_mm;
	}

	mm = dup_mm(cx, tsk);
	if (!mm)
		goto fail_nomem;

good_mm:
	tsk->mm = mm;
	tsk->active_mm = mm;
	return 0;

fail_nomem:
	return -ENOMEM;
}

/* ---- tasks (facts §5) ----------------------------------------------------------------------- */

/* A kernel stack is never looked into: room for its tags is enough. */
#define STACK_GFP (GFP_KERNEL | __GFP_TAG)

static unsigned int thread_size_order(const struct machine *m)
{
	return m->geo.levels > 3 ? 2 : 1;
}

static struct task_struct *dup_task_struct(struct ctx *cx, const struct task_struct *orig)
{
	struct task_struct *tsk;
	struct page *stack;

	tsk = kmem_cache_alloc(cx, CACHE_task_struct, SITE_dup_task_task, GFP_KERNEL);
	if (!tsk)
		return NULL;

	stack = alloc_pages(cx, SITE_dup_task_stack, STACK_GFP, thread_size_order(cx->m),
			    PAGE_STACK);
	if (!stack)
		goto free_tsk;

	*tsk = *orig;
	INIT_LIST_HEAD(&tsk->tasks);
	tsk->stack = stack;
	tsk->pid = 0;
	tsk->pid_obj = NULL;
	tsk->io_context = NULL;
	tsk->utask = NULL;
	tsk->state = TASK_RUNNING;
	tsk->flags &= PF_KTHREAD;
	tsk->vfork_parent = NULL;
	tsk->clear_child_tid = 0;
	tsk->signal_pending = false;
	tsk->fatal_signal = false;
	tsk->memdie = false;
	tsk->core = (struct core_state){0};
	tsk->in_execve = false;
	atomic_set(&tsk->usage, 1);
	return tsk;

free_tsk:
	kmem_cache_free(cx, CACHE_task_struct, tsk);
	return NULL;
}

/* The reverse of dup_task_struct(). */
static void free_task(struct ctx *cx, struct task_struct *tsk)
{
	__free_page(cx, tsk->stack);
	kmem_cache_free(cx, CACHE_task_struct, tsk);
}

/* What user space may not have once the numbers have gone round, so that daemons keep theirs. */
#define RESERVED_PIDS 300u

static bool pid_is_free(struct ctx *cx, u32 nr)
{
	const struct task_struct *tsk;

	list_for_each_entry(tsk, &cx->m->tasks, tasks) {
		STEP(cx);
		if (tsk->pid == nr)
			return false;
	}
	return true;
}

/* The first free number of [from, end); 0: there is none. */
static u32 find_pid(struct ctx *cx, u32 from, u32 end)
{
	while (from < end && !pid_is_free(cx, from))
		from++;
	return from < end ? from : 0;
}

/* The next number that nobody has; 0: there is none below pid_max. */
static u32 alloc_pidmap(struct ctx *cx)
{
	u32 max = (u32)cx->m->cfg.pid_max, next = cx->m->next_pid;
	u32 nr = find_pid(cx, next, max);

	if (!nr)
		nr = find_pid(cx, RESERVED_PIDS, next);
	if (nr)
		cx->m->next_pid = nr + 1;
	return nr;
}

/* -ENOMEM, or -EAGAIN: all numbers are taken. */
static int alloc_pid(struct ctx *cx, struct pid **new)
{
	struct pid *pid = kmem_cache_alloc(cx, CACHE_pid, SITE_copy_process_pid, GFP_KERNEL);

	if (!pid)
		return -ENOMEM;
	pid->nr = fl_should_fail(cx, SITE_alloc_pid_max, 0) ? 0 : alloc_pidmap(cx);
	if (!pid->nr) {
		kmem_cache_free(cx, CACHE_pid, pid);
		return -EAGAIN;
	}
	*new = pid;
	return 0;
}

/* Tasks of the one user there is; kernel threads are nobody's. */
static u64 nr_processes(struct ctx *cx)
{
	const struct task_struct *tsk;
	u64 n = 0;

	list_for_each_entry(tsk, &cx->m->tasks, tasks) {
		STEP(cx);
		n += !(tsk->flags & PF_KTHREAD);
	}
	return n;
}

static void free_pid(struct ctx *cx, struct pid *pid)
{
	kmem_cache_free(cx, CACHE_pid, pid);
}

void put_task_struct(struct ctx *cx, struct task_struct *tsk)
{
	if (!atomic_dec_and_test(cx, &tsk->usage))
		return;

	BUG_ON(cx, tsk->state != TASK_DEAD);
	BUG_ON(cx, tsk->mm || tsk->active_mm);
	list_del_init(&tsk->tasks);
	cx->m->nr_tasks--;
	free_pid(cx, tsk->pid_obj);
	put_signal_struct(cx, tsk->signal);
	exit_creds(cx, tsk);
	free_task(cx, tsk);
}

struct task_struct *fork_idle(struct ctx *cx, unsigned int cpu)
{
	struct task_struct *idle;

	idle = kmem_cache_alloc(cx, CACHE_task_struct, SITE_none, GFP_KERNEL | __GFP_ZERO);
	if (!idle)
		return NULL;
	INIT_LIST_HEAD(&idle->tasks);
	idle->cpu = cpu;
	idle->flags = PF_IDLE | PF_KTHREAD;
	atomic_set(&idle->usage, 1);
	return idle;
}

void free_idle(struct ctx *cx, struct task_struct *idle)
{
	kmem_cache_free(cx, CACHE_task_struct, idle);
}

/* What may be shared with whoever makes the task, the mm apart. */
#define CLONE_SHARES (CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_IO)

/*
 * Everything of a new task up to its place in the task list: 0 and *child, or a negative errno and
 * no trace but a higher next_pid and write-protected copy-on-write entries of the parent.
 */
static int copy_process(struct ctx *cx, u32 clone_flags, bool kthread, struct task_struct **child)
{
	struct machine *m = cx->m;
	struct task_struct *orig = cx->curr ? cx->curr : m->rqs[cx->cpu].idle;
	struct task_struct *p;
	struct pid *pid;
	int retval;

	if ((clone_flags & (CLONE_NEWNS | CLONE_FS)) == (CLONE_NEWNS | CLONE_FS))
		return -EINVAL;
	if ((clone_flags & CLONE_THREAD) && !(clone_flags & CLONE_SIGHAND))
		return -EINVAL;
	if ((clone_flags & CLONE_SIGHAND) && !(clone_flags & CLONE_VM))
		return -EINVAL;
	/* who has nothing to share gives birth to a task with everything of its own */
	if (orig->flags & PF_IDLE)
		clone_flags = (clone_flags & ~CLONE_SHARES) | CLONE_NEWNS;

	retval = -ENOMEM;
	p = dup_task_struct(cx, orig);
	if (!p)
		goto fork_out;
	if (kthread)
		p->flags |= PF_KTHREAD;

	retval = -EAGAIN;
	if (!(p->flags & PF_KTHREAD) &&
	    over_limit(cx, SITE_copy_process_nproc, nr_processes(cx) >= m->cfg.limit_nproc))
		goto bad_fork_free;
	retval = copy_creds(cx, clone_flags, p);
	if (retval)
		goto bad_fork_free;

	retval = -EAGAIN;
	if (over_limit(cx, SITE_copy_process_threads, m->nr_tasks >= m->cfg.max_tasks))
		goto bad_fork_cleanup_count;

	retval = mpol_dup(cx, p->mempolicy, SITE_copy_process_policy, &p->mempolicy);
	if (retval)
		goto bad_fork_cleanup_count;
	retval = copy_files(cx, clone_flags, p);
	if (retval)
		goto bad_fork_cleanup_policy;
	retval = copy_fs(cx, clone_flags, p);
	if (retval)
		goto bad_fork_cleanup_files;
	retval = copy_sighand(cx, clone_flags, p);
	if (retval)
		goto bad_fork_cleanup_fs;
	retval = copy_signal(cx, clone_flags, p);
	if (retval)
		goto bad_fork_cleanup_sighand;
	retval = copy_mm(cx, clone_flags, p);
	if (retval)
		goto bad_fork_cleanup_signal;
	retval = copy_namespaces(cx, clone_flags, p);
	if (retval)
		goto bad_fork_cleanup_mm;
	retval = copy_io(cx, clone_flags, p);
	if (retval)
		goto bad_fork_cleanup_namespaces;

	retval = alloc_pid(cx, &pid);
	if (retval)
		goto bad_fork_cleanup_io;
	p->pid = pid->nr;
	p->pid_obj = pid;

	if (kthread || (orig->flags & PF_IDLE))
		p->real_parent = NULL;
	else if (clone_flags & CLONE_THREAD)
		p->real_parent = orig->real_parent;
	else
		p->real_parent = orig;

	/* the last look before the child can be seen: a signal for the group must reach it, too */
	retval = -ERESTARTNOINTR;
	if (fl_should_fail(cx, SITE_copy_process_signal, GFP_KERNEL) || orig->signal_pending)
		goto bad_fork_free_pid;

	/* only a thread that exists is counted in its group */
	if (clone_flags & CLONE_THREAD)
		atomic_inc(cx, &p->signal->sigcnt);
	list_add_tail(&p->tasks, &m->tasks);
	m->nr_tasks++;
	*child = p;
	return 0;

bad_fork_free_pid:
	free_pid(cx, pid);
bad_fork_cleanup_io:
	exit_io_context(cx, p);
bad_fork_cleanup_namespaces:
	exit_task_namespaces(cx, p);
bad_fork_cleanup_mm:
	if (p->mm) {
		mm_clear_owner(p->mm, p);
		mmput(cx, p->mm);
	}
bad_fork_cleanup_signal:
	if (!(clone_flags & CLONE_THREAD))
		put_signal_struct(cx, p->signal);
bad_fork_cleanup_sighand:
	cleanup_sighand(cx, p);
bad_fork_cleanup_fs:
	exit_fs(cx, p);
bad_fork_cleanup_files:
	exit_files(cx, p);
bad_fork_cleanup_policy:
	mpol_put(cx, p->mempolicy);
bad_fork_cleanup_count:
	exit_creds(cx, p);
bad_fork_free:
	free_task(cx, p);
fork_out:
	return retval;
}

s64 do_fork_tid(struct ctx *cx, u32 clone_flags, u64 child_tid, struct task_struct **child)
{
	struct task_struct *p;
	int err;

	err = copy_process(cx, clone_flags, false, &p);
	if (err)
		return err;

	if (p->mm && (clone_flags & CLONE_CHILD_CLEARTID))
		p->clear_child_tid = child_tid;
	uprobe_copy_process(cx, p, clone_flags);
	if (clone_flags & CLONE_VFORK) {
		p->vfork_parent = cx->curr;
		cx->curr->state = TASK_VFORK_WAIT;
	}
	*child = p;
	return 0;
}

s64 do_fork(struct ctx *cx, u32 clone_flags, struct task_struct **child)
{
	return do_fork_tid(cx, clone_flags, 0, child);
}

s64 kernel_thread(struct ctx *cx, struct task_struct **child)
{
	return copy_process(cx, CLONE_VM | CLONE_FS | CLONE_FILES, true, child);
}

struct task_struct *spawn_init(struct ctx *cx)
{
	struct fl_seams *seams = &cx->m->seams;
	bool (*should_fail)(void *, enum fl_site, gfp_t) = seams->should_fail;
	struct ctx boot = {
		.m = cx->m,
		.curr = cx->m->rqs[cx->cpu].idle,
		.cpu = cx->cpu,
		.steps = cx->steps,
	};
	struct task_struct *init;
	int err;

	/* the bench's own doing: no operation that could fail asked for it */
	seams->should_fail = NULL;
	err = copy_process(&boot, 0, false, &init);
	seams->should_fail = should_fail;
	return err ? NULL : init;
}
