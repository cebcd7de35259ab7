/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tasks hold beside their mm: how a new one gets it, an exec gets rid of sharing it, an exit
 * lets go of it (facts §5, §19, §24).
 */
#include "internal.h"

/* ---- credentials ---------------------------------------------------------------------------- */

struct cred *prepare_creds(struct ctx *cx, enum fl_site site)
{
	struct cred *new = kmem_cache_alloc(cx, CACHE_cred, site, GFP_KERNEL);

	if (new)
		atomic_set(&new->usage, 1);
	return new;
}

void put_cred(struct ctx *cx, struct cred *cred)
{
	if (atomic_dec_and_test(cx, &cred->usage))
		kmem_cache_free(cx, CACHE_cred, cred);
}

void commit_creds(struct ctx *cx, struct cred *new)
{
	put_cred(cx, cx->curr->cred);
	cx->curr->cred = new;
}

int copy_creds(struct ctx *cx, u32 clone_flags, struct task_struct *p)
{
	if (clone_flags & CLONE_THREAD) {
		atomic_inc(cx, &p->cred->usage);
		return 0;
	}
	p->cred = prepare_creds(cx, SITE_copy_creds_cred);
	return p->cred ? 0 : -ENOMEM;
}

void exit_creds(struct ctx *cx, struct task_struct *tsk)
{
	put_cred(cx, tsk->cred);
	tsk->cred = NULL;
}

/* ---- open files ----------------------------------------------------------------------------- */

static struct files_struct *dup_fd(struct ctx *cx, enum fl_site site)
{
	struct files_struct *new = kmem_cache_alloc(cx, CACHE_files_struct, site, GFP_KERNEL);

	if (new)
		atomic_set(&new->count, 1);
	return new;
}

void put_files_struct(struct ctx *cx, struct files_struct *files)
{
	if (atomic_dec_and_test(cx, &files->count))
		kmem_cache_free(cx, CACHE_files_struct, files);
}

int copy_files(struct ctx *cx, u32 clone_flags, struct task_struct *p)
{
	if (clone_flags & CLONE_FILES) {
		atomic_inc(cx, &p->files->count);
		return 0;
	}
	p->files = dup_fd(cx, SITE_copy_files_files);
	return p->files ? 0 : -ENOMEM;
}

void exit_files(struct ctx *cx, struct task_struct *tsk)
{
	put_files_struct(cx, tsk->files);
	tsk->files = NULL;
}

int unshare_files(struct ctx *cx, struct files_struct **displaced)
{
	struct task_struct *tsk = cx->curr;
	struct files_struct *copy;

	*displaced = NULL;
	if (atomic_read(&tsk->files->count) == 1)
		return 0;
	copy = dup_fd(cx, SITE_unshare_files_files);
	if (!copy)
		return -ENOMEM;
	*displaced = tsk->files;
	tsk->files = copy;
	return 0;
}

void reset_files_struct(struct ctx *cx, struct files_struct *files)
{
	put_files_struct(cx, cx->curr->files);
	cx->curr->files = files;
}

/* ---- root and working directory ------------------------------------------------------------- */

int copy_fs(struct ctx *cx, u32 clone_flags, struct task_struct *p)
{
	if (clone_flags & CLONE_FS) {
		atomic_inc(cx, &p->fs->users);
		return 0;
	}
	p->fs = kmem_cache_alloc(cx, CACHE_fs_struct, SITE_copy_fs_fs, GFP_KERNEL);
	if (!p->fs)
		return -ENOMEM;
	atomic_set(&p->fs->users, 1);
	return 0;
}

void exit_fs(struct ctx *cx, struct task_struct *tsk)
{
	if (atomic_dec_and_test(cx, &tsk->fs->users))
		kmem_cache_free(cx, CACHE_fs_struct, tsk->fs);
	tsk->fs = NULL;
}

/* ---- signals -------------------------------------------------------------------------------- */

static struct sighand_struct *new_sighand(struct ctx *cx, enum fl_site site)
{
	struct sighand_struct *sig = kmem_cache_alloc(cx, CACHE_sighand_struct, site, GFP_KERNEL);

	if (sig)
		atomic_set(&sig->count, 1);
	return sig;
}

int copy_sighand(struct ctx *cx, u32 clone_flags, struct task_struct *p)
{
	if (clone_flags & CLONE_SIGHAND) {
		atomic_inc(cx, &p->sighand->count);
		return 0;
	}
	p->sighand = new_sighand(cx, SITE_copy_sighand_sighand);
	return p->sighand ? 0 : -ENOMEM;
}

void cleanup_sighand(struct ctx *cx, struct task_struct *tsk)
{
	if (atomic_dec_and_test(cx, &tsk->sighand->count))
		kmem_cache_free(cx, CACHE_sighand_struct, tsk->sighand);
	tsk->sighand = NULL;
}

int de_thread(struct ctx *cx, struct task_struct *tsk)
{
	struct sighand_struct *newsighand;

	zap_other_threads(cx, tsk);
	if (atomic_read(&tsk->sighand->count) == 1)
		return 0;
	newsighand = new_sighand(cx, SITE_de_thread_sighand);
	if (!newsighand)
		return -ENOMEM;
	cleanup_sighand(cx, tsk);
	tsk->sighand = newsighand;
	return 0;
}

int copy_signal(struct ctx *cx, u32 clone_flags, struct task_struct *p)
{
	if (clone_flags & CLONE_THREAD)
		return 0;
	p->signal = kmem_cache_alloc(cx, CACHE_signal_struct, SITE_copy_signal_signal, GFP_KERNEL);
	if (!p->signal)
		return -ENOMEM;
	atomic_set(&p->signal->sigcnt, 1);
	p->signal->group_dump = false;
	return 0;
}

void put_signal_struct(struct ctx *cx, struct signal_struct *sig)
{
	if (atomic_dec_and_test(cx, &sig->sigcnt))
		kmem_cache_free(cx, CACHE_signal_struct, sig);
}

/* ---- namespaces ----------------------------------------------------------------------------- */

int copy_namespaces(struct ctx *cx, u32 clone_flags, struct task_struct *p)
{
	if (!(clone_flags & CLONE_NEWNS)) {
		atomic_inc(cx, &p->nsproxy->count);
		return 0;
	}
	p->nsproxy = kmem_cache_alloc(cx, CACHE_nsproxy, SITE_copy_namespaces_nsproxy, GFP_KERNEL);
	if (!p->nsproxy)
		return -ENOMEM;
	atomic_set(&p->nsproxy->count, 1);
	return 0;
}

void exit_task_namespaces(struct ctx *cx, struct task_struct *tsk)
{
	if (atomic_dec_and_test(cx, &tsk->nsproxy->count))
		kmem_cache_free(cx, CACHE_nsproxy, tsk->nsproxy);
	tsk->nsproxy = NULL;
}

/* ---- I/O contexts --------------------------------------------------------------------------- */

static struct io_context *create_task_io_context(struct ctx *cx, enum fl_site site, u32 ioprio)
{
	struct io_context *ioc = kmem_cache_alloc(cx, CACHE_io_context, site, GFP_KERNEL);

	if (!ioc)
		return NULL;
	atomic_set(&ioc->refcount, 1);
	ioc->ioprio = ioprio;
	return ioc;
}

/* p has none yet. A priority without a class is nothing to inherit. */
int copy_io(struct ctx *cx, u32 clone_flags, struct task_struct *p)
{
	struct io_context *ioc = cx->curr ? cx->curr->io_context : NULL;

	if (!ioc)
		return 0;
	if (clone_flags & CLONE_IO) {
		atomic_inc(cx, &ioc->refcount);
		p->io_context = ioc;
		return 0;
	}
	if (ioc->ioprio >> IOPRIO_CLASS_SHIFT == IOPRIO_CLASS_NONE)
		return 0;
	p->io_context = create_task_io_context(cx, SITE_copy_io_context, ioc->ioprio);
	return p->io_context ? 0 : -ENOMEM;
}

void exit_io_context(struct ctx *cx, struct task_struct *tsk)
{
	struct io_context *ioc = tsk->io_context;

	tsk->io_context = NULL;
	if (ioc && atomic_dec_and_test(cx, &ioc->refcount))
		kmem_cache_free(cx, CACHE_io_context, ioc);
}

s64 sys_ioprio_set(struct ctx *cx, u32 ioprio)
{
	u32 level = ioprio & ((1u << IOPRIO_CLASS_SHIFT) - 1);
	struct task_struct *tsk = cx->curr;

	switch (ioprio >> IOPRIO_CLASS_SHIFT) {
	case IOPRIO_CLASS_RT:
	case IOPRIO_CLASS_BE:
		if (level >= IOPRIO_BE_NR)
			return -EINVAL;
		break;
	case IOPRIO_CLASS_IDLE:
		break;
	case IOPRIO_CLASS_NONE:
		if (level)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}

	if (!tsk->io_context) {
		tsk->io_context = create_task_io_context(cx, SITE_ioprio_io_context, ioprio);
		if (!tsk->io_context)
			return -ENOMEM;
	}
	tsk->io_context->ioprio = ioprio;
	return 0;
}
