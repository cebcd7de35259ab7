/* SPDX-License-Identifier: GPL-2.0-only */
/* Each operation of a program, on the model. */
#include "compare_priv.h"

static u32 file_arg(const struct target *t, const struct arg *a)
{
	return a->ref == NO_REF || a->ref >= t->cmp->nr_files ? M_NONE : t->cmp->file[a->ref];
}

static struct m_result run_exec(struct target *t, const struct call *c)
{
	const struct op *op = c->op;
	const struct m_image image = {
		.seg = t->cmp->seg,
		.nr_segs = op->nr_segs,
		.start_brk = c->addr,
		.stack_pages = (op->args[1].val >> PAGE_SHIFT) + !!offset_in_page(op->args[1].val),
		.exe = file_arg(t, &op->args[2]),
		.binfmt = op->args[3].val,
	};

	return m_exec(&t->cmp->m, cmp_task_of(t, c), &image);
}

static struct m_result run_ioprio(u64 val)
{
	u64 class = val >> 13, level = val & 0x1fff;

	if (class > 3 || ((class == 1 || class == 2) && level > 7) || (!class && level))
		return m_error(EINVAL);
	return m_error(0);
}

static struct m_result run_modify_ldt(const struct model *m, u64 index)
{
	if (!m->cfg.ldt)
		return m_error(ENOSYS);
	return m_error(index >= 8192 ? EINVAL : 0);
}

/* Whether a slot is free and who has the page is reclaim's business; that a locked page stays is
 * not.
 */
static struct m_result run_swap_out(struct target *t, const struct call *c)
{
	const struct model *m = &t->cmp->m;
	const struct m_space *s = &m->space[m->task[cmp_task_of(t, c)].space];
	const struct m_area *a = c->addr < m->cfg.task_size ? m_at(s, c->addr) : NULL;
	struct m_result got = {c->out->kind == OUT_OK ? M_OK : M_ERRNO, c->out->value};
	bool own = false, full = !t->m->swap.on || t->m->swap.inuse_pages + 1 >= t->m->swap.max;
	bool locked = false;
	u64 tag;

	if (!a)
		return m_error(EFAULT);
	own = !(a->attr & M_SHARED) && m_page_get(&s->own, c->addr >> PAGE_SHIFT, &tag);
	for (u32 i = 0; i < m->nr_spaces; i++)
		locked |= m->space[i].used && m->space[i].locked;
	if (got.kind == M_ERRNO && got.value == -ENOSPC && (own || m->cfg.thp) && full)
		return got;
	if (got.kind == M_ERRNO && got.value == -EBUSY && (own || m->cfg.thp) && locked)
		return got;
	return m_error(0);
}

static struct m_result run_swapoff(struct target *t, const struct call *c)
{
	struct model *m = &t->cmp->m;
	u32 space = m->task[cmp_task_of(t, c)].space;
	u64 slots = m->cfg.swap;

	if (!m->swap_on)
		return m_error(EINVAL);
	/* a caller without an address space counts none of it */
	if (space == M_NONE ? m->cfg.overcommit != 1 : !m_may_commit(m, space, slots)) {
		m->unsure = true;
		if (c->out->kind != OUT_OK)
			return m_error(ENOMEM);
	}
	m->swap_on = false;
	return m_error(0);
}

u32 cmp_lock_bits(u64 flags)
{
	return flags & MLOCK_ONFAULT ? M_LOCKBITS : M_LOCKED;
}

static struct m_result run_open(struct target *t, const struct call *c)
{
	u64 len = c->op->args[0].val;
	u32 obj = m_open(&t->cmp->m, (len >> PAGE_SHIFT) + !!offset_in_page(len),
			 (u32)c->op->args[1].val);

	t->cmp->file[c->op->def] = obj;
	if (obj != M_NONE)
		t->cmp->m.object[obj].engine = t->files[c->op->def];
	return m_value(c->op->def);
}

struct m_result cmp_run_op(struct target *t, const struct call *c)
{
	struct model *m = &t->cmp->m;
	const struct arg *a = c->op->args;
	u32 task = cmp_task_of(t, c), space = m->task[task].space;
	u64 len;

	switch ((enum op_code)c->op->code) {
	case OP_mmap:
		return m_mmap(m, space, c->addr, a[1].val, (u32)a[2].val, (u32)a[3].val,
			      file_arg(t, &a[4]), a[5].val, 0);
	case OP_remap_file_pages:
		return m_remap_pages(m, space, c->addr, a[1].val, (u32)a[2].val, a[3].val,
				     (u32)a[4].val);
	case OP_munmap:
		return m_munmap(m, space, c->addr, a[1].val);
	case OP_mprotect:
		return m_mprotect(m, space, c->addr, a[1].val, (u32)a[2].val);
	case OP_mremap:
		return m_mremap(m, space, c->addr, a[1].val, a[2].val, (u32)a[3].val, c->addr2);
	case OP_madvise:
		return m_madvise(m, space, c->addr, a[1].val, a[2].val);
	case OP_mlock:
		return m_mlock(m, space, c->addr, a[1].val, M_LOCKED);
	case OP_mlock2:
		if (a[2].val & ~(u64)MLOCK_ONFAULT & UINT32_MAX)
			return m_error(EINVAL);
		return m_mlock(m, space, c->addr, a[1].val, cmp_lock_bits(a[2].val));
	case OP_munlock:
		return m_munlock(m, space, c->addr, a[1].val);
	case OP_mlockall:
		return m_mlockall(m, space, (u32)a[0].val);
	case OP_munlockall:
		return m_munlockall(m, space);
	case OP_brk:
		return m_brk(m, space, c->addr);
	case OP_read:
		return m_access(m, space, c->addr, c->addr2, false, 0);
	case OP_write:
		return m_access(m, space, c->addr, c->addr2, true, a[1].val);
	case OP_fork:
		return m_fork(m, task, c->op->def, 0, false);
	case OP_vfork:
		return m_fork(m, task, c->op->def, CLONE_VM | CLONE_VFORK, false);
	case OP_clone:
		return m_fork(m, task, c->op->def, (u32)a[0].val, false);
	case OP_kthread:
		return m_fork(m, task, c->op->def, 0, true);
	case OP_exec:
		return run_exec(t, c);
	case OP_exit:
		m_exit(m, task);
		return m_error(0);
	case OP_ioprio:
		return run_ioprio(a[0].val & UINT32_MAX);
	case OP_modify_ldt:
		return run_modify_ldt(m, a[0].val);
	case OP_open:
		return run_open(t, c);
	case OP_close:
		m_close(m, file_arg(t, &a[0]));
		t->cmp->file[a[0].ref] = M_NONE;
		m_sweep_objects(m);
		return m_error(0);
	case OP_binfmt_going:
		m->going[a[0].val % 2] = a[1].val & 1;
		return m_error(0);
	case OP_truncate:
		len = a[1].val;
		return m_truncate(m, file_arg(t, &a[0]),
				  (len >> PAGE_SHIFT) + !!offset_in_page(len));
	case OP_seal:
		return m_seal(m, file_arg(t, &a[0]));
	case OP_notifier_register:
		return m_notify(m, task, a[0].val);
	case OP_notifier_unregister:
		return m_unnotify(m, a[0].val);
	case OP_uprobe_step:
		return m_probe_step(m, space);
	case OP_uprobe_call:
		return m_probe_call(m, task, a[0].val);
	case OP_uprobe_return:
		return m_probe_return(m, task);
	case OP_io_setup:
		return m_io_setup(m, space, min_u64(a[0].val, UINT32_MAX), c->addr);
	case OP_io_destroy:
		return m_io_destroy(m, space, c->addr, true);
	case OP_io_submit:
		return m_io_submit(m, space, c->addr, a[1].val);
	case OP_io_getevents:
		return m_io_getevents(m, space, c->addr, a[1].val);
	case OP_mm_pin:
		return m_pin(m, task, a[0].val, a[1].val & 1);
	case OP_mm_unpin:
		return m_unpin(m, a[0].val);
	case OP_swap_out:
		return run_swap_out(t, c);
	case OP_swapoff:
		return run_swapoff(t, c);
	default: /* yield, mm_alloc */
		return m_error(0);
	}
}

bool cmp_makes_space(enum op_code code)
{
	return code == OP_fork || code == OP_vfork || code == OP_clone || code == OP_kthread ||
	       code == OP_exec;
}

bool cmp_changes_ranges(enum op_code code)
{
	switch (code) {
	case OP_mmap:
	case OP_munmap:
	case OP_mprotect:
	case OP_mremap:
	case OP_madvise:
	case OP_mlock:
	case OP_mlock2:
	case OP_munlock:
	case OP_mlockall:
	case OP_munlockall:
	case OP_brk:
	case OP_read:
	case OP_write:
	case OP_remap_file_pages:
	case OP_io_setup:
	case OP_io_destroy:
	case OP_io_submit:
	case OP_io_getevents:
	case OP_uprobe_step:
	case OP_uprobe_call:
		return true;
	default:
		return false;
	}
}
