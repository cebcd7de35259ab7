/* SPDX-License-Identifier: GPL-2.0-only */
/* Operations: what their names stand for, and the engine's call for each. */
#include "target_priv.h"

bool target_addr(const struct target *t, const struct target_task *task, const struct arg *a,
		 u64 *out)
{
	const struct mm_struct *mm = task->tsk ? task->tsk->mm : NULL;

	switch ((enum addr_base)a->base) {
	case BASE_ABS:
		*out = a->val;
		return true;
	case BASE_REF:
		if (a->ref >= t->p->nr_defs[DEF_RESULT] || !t->result_known[a->ref])
			return false;
		*out = (u64)t->results[a->ref] + a->val;
		return true;
	case BASE_WINDOW:
		*out = TARGET_WINDOW + a->val;
		return true;
	case BASE_BRK:
		if (!mm)
			return false;
		*out = mm->start_brk + a->val;
		return true;
	case BASE_STACK:
		*out = t->m->geo.stack_top + a->val;
		return true;
	}
	return false;
}

/* A file argument; false: it names a file that is not open. */
static bool target_file(const struct target *t, u32 ref, struct file **out)
{
	*out = NULL;
	if (ref == NO_REF)
		return true;
	if (ref >= t->p->nr_defs[DEF_FILE] || !t->files[ref])
		return false;
	*out = t->files[ref];
	return true;
}

static void set_errno_or_value(struct outcome *out, s64 ret)
{
	out->kind = ret < 0 && ret >= -4095 ? OUT_ERRNO : OUT_OK;
	out->value = ret;
}

static void do_access(struct target *t, struct call *c, bool write)
{
	u64 tag = write ? c->op->args[1].val : 0;

	switch (access_user_sp(&t->cx, c->addr, c->addr2, write, &tag)) {
	case ACCESS_OK:
		c->out->kind = OUT_OK;
		c->out->value = write ? 0 : (s64)tag;
		break;
	case ACCESS_SIGSEGV:
		c->out->kind = OUT_SIGSEGV;
		break;
	case ACCESS_SIGBUS:
		c->out->kind = OUT_SIGBUS;
		break;
	case ACCESS_OOM:
		c->out->kind = OUT_OOM;
		break;
	}
}

/* Who has exited in an operation of somebody else, and whose struct may have gone. */
static void forget_dead(struct target *t)
{
	for (u32 i = 0; i < t->p->nr_defs[DEF_TASK]; i++) {
		struct target_task *task = &t->tasks[i];
		const struct task_struct *p;
		bool alive = false;

		if (!task->tsk)
			continue;
		list_for_each_entry(p, &t->m->tasks, tasks)
			alive |= p->pid == task->pid && p->state != TASK_DEAD;
		if (!alive)
			task->tsk = NULL;
	}
}

void target_leave(struct target *t, struct target_task *task)
{
	t->cx.steps = target_step_budget(t->m);
	kthread_unuse_mm(&t->cx);
	if (coredump_end(&t->cx))
		do_exit(&t->cx);
	task->tsk = NULL;
	forget_dead(t);
}

static void do_birth(struct target *t, struct call *c, u32 flags, bool kthread)
{
	struct task_struct *child;
	s64 ret = kthread ? kernel_thread(&t->cx, &child)
			  : do_fork_tid(&t->cx, flags, c->addr, &child);
	u32 def = c->op->def;

	if (ret) {
		set_errno_or_value(c->out, ret);
		return;
	}
	t->tasks[def].tsk = child;
	t->tasks[def].pid = child->pid;
	t->tasks[def].cpu = def % (unsigned int)t->m->cfg.cpus;
	c->out->kind = OUT_OK;
	c->out->value = def;
}

static void do_exec(struct target *t, struct call *c)
{
	struct exec_segment segments[PROG_MAX_SEGS];
	const struct op *op = c->op;
	struct exec_image image = {
		.segments = segments,
		.nr_segments = op->nr_segs,
		.start_brk = c->addr,
		.stack_pages = (op->args[1].val >> PAGE_SHIFT) + !!offset_in_page(op->args[1].val),
		.exe = c->file,
		.binfmt = op->args[3].val < UINT32_MAX ? (unsigned int)op->args[3].val : UINT32_MAX,
	};
	bool killed;
	s64 ret;

	for (u32 i = 0; i < op->nr_segs; i++) {
		const struct prog_seg *seg = &t->p->segs[op->seg + i];

		segments[i] = (struct exec_segment){
			.len = seg->len, .prot = seg->prot, .offset = seg->offset};
		if (!target_addr(t, c->task, &seg->start, &segments[i].start) ||
		    !target_file(t, seg->file, &segments[i].file)) {
			c->out->kind = OUT_SKIPPED;
			return;
		}
	}
	ret = sys_execve(&t->cx, &image, &killed);
	forget_dead(t);
	set_errno_or_value(c->out, ret);
	if (killed) {
		c->out->kind = OUT_KILLED;
		target_leave(t, c->task);
		target_switch_to(t, c->task->cpu, NULL);
	}
}

static u64 len_pages(u64 len)
{
	return (len >> PAGE_SHIFT) + !!offset_in_page(len);
}

static void do_open(struct target *t, struct call *c)
{
	struct file *file =
		file_create(&t->cx, len_pages(c->op->args[0].val), (u32)c->op->args[1].val);

	if (!file) {
		set_errno_or_value(c->out, -ENFILE);
		return;
	}
	t->files[c->op->def] = file;
	set_errno_or_value(c->out, c->op->def);
}

static void do_mm_alloc(struct target *t, struct call *c)
{
	struct mm_struct *mm = mm_alloc(&t->cx);

	if (mm)
		mmput(&t->cx, mm);
	set_errno_or_value(c->out, mm ? 0 : -ENOMEM);
}

static void do_uprobe_return(struct target *t, struct call *c)
{
	u64 func = 0;
	s64 ret = uprobe_return(&t->cx, &func);

	set_errno_or_value(c->out, ret);
	if (!ret)
		c->out->value = (s64)func;
}

static bool needs_mm(enum op_code code)
{
	switch (code) {
	case OP_mmap:
	case OP_munmap:
	case OP_mprotect:
	case OP_brk:
	case OP_read:
	case OP_write:
	case OP_modify_ldt:
	case OP_set_tid_address:
	case OP_swap_out:
	case OP_mremap:
	case OP_remap_file_pages:
	case OP_uprobe_step:
	case OP_uprobe_call:
	case OP_io_setup:
	case OP_io_destroy:
	case OP_io_submit:
	case OP_io_getevents:
	case OP_madvise:
	case OP_mbind:
	case OP_khugepaged:
	case OP_mlock:
	case OP_mlock2:
	case OP_munlock:
	case OP_mlockall:
	case OP_munlockall:
		return true;
	default:
		return false;
	}
}

static bool needs_file(enum op_code code)
{
	return code == OP_close || code == OP_truncate || code == OP_seal;
}

bool target_operands(const struct target *t, struct call *c)
{
	const struct op_info *info = &op_table[c->op->code];
	u64 *addr = &c->addr;

	if (needs_mm((enum op_code)c->op->code) && !c->task->tsk->mm)
		return false;
	for (u32 i = 0; i < info->nr_args; i++) {
		const struct arg *a = &c->op->args[i];

		if (info->args[i].kind == ARG_ADDR) {
			if (!target_addr(t, c->task, a, addr))
				return false;
			addr = &c->addr2;
		}
		if (info->args[i].kind == ARG_FILE && !target_file(t, a->ref, &c->file))
			return false;
	}
	return !needs_file((enum op_code)c->op->code) || c->file;
}

void target_do_op(struct target *t, void *arg)
{
	struct call *c = arg;
	const struct op *op = c->op;
	const struct arg *a = op->args;
	struct outcome *out = c->out;

	switch ((enum op_code)op->code) {
	case OP_mmap:
		set_errno_or_value(out, sys_mmap(&t->cx, c->addr, a[1].val, (u32)a[2].val,
						 (u32)a[3].val, c->file, a[5].val));
		break;
	case OP_munmap:
		set_errno_or_value(out, sys_munmap(&t->cx, c->addr, a[1].val));
		break;
	case OP_mprotect:
		set_errno_or_value(out, sys_mprotect(&t->cx, c->addr, a[1].val, (u32)a[2].val));
		break;
	case OP_mremap:
		set_errno_or_value(out, sys_mremap(&t->cx, c->addr, a[1].val, a[2].val,
						   (u32)a[3].val, c->addr2));
		break;
	case OP_remap_file_pages:
		set_errno_or_value(out,
				   sys_remap_file_pages(&t->cx, c->addr, a[1].val, (u32)a[2].val,
							a[3].val, (u32)a[4].val));
		break;
	case OP_uprobe_step:
		set_errno_or_value(out, uprobe_step(&t->cx));
		break;
	case OP_uprobe_call:
		set_errno_or_value(out, uprobe_call(&t->cx, a[0].val));
		break;
	case OP_uprobe_return:
		do_uprobe_return(t, c);
		break;
	case OP_io_setup:
		set_errno_or_value(out, sys_io_setup(&t->cx, (u32)min_u64(a[0].val, UINT32_MAX),
						     c->addr));
		break;
	case OP_io_destroy:
		set_errno_or_value(out, sys_io_destroy(&t->cx, c->addr));
		break;
	case OP_io_submit:
		set_errno_or_value(out, sys_io_submit(&t->cx, c->addr, a[1].val));
		break;
	case OP_io_getevents:
		set_errno_or_value(out, sys_io_getevents(&t->cx, c->addr, a[1].val));
		break;
	case OP_madvise:
		set_errno_or_value(out, sys_madvise(&t->cx, c->addr, a[1].val,
						    (u32)min_u64(a[2].val, UINT32_MAX)));
		break;
	case OP_mlock:
		set_errno_or_value(out, sys_mlock(&t->cx, c->addr, a[1].val));
		break;
	case OP_mlock2:
		set_errno_or_value(out, sys_mlock2(&t->cx, c->addr, a[1].val, (u32)a[2].val));
		break;
	case OP_munlock:
		set_errno_or_value(out, sys_munlock(&t->cx, c->addr, a[1].val));
		break;
	case OP_mlockall:
		set_errno_or_value(out, sys_mlockall(&t->cx, (u32)a[0].val));
		break;
	case OP_munlockall:
		set_errno_or_value(out, sys_munlockall(&t->cx));
		break;
	case OP_brk:
		t->brk_wanted = c->addr;
		set_errno_or_value(out, sys_brk(&t->cx, c->addr));
		break;
	case OP_read:
		do_access(t, c, false);
		break;
	case OP_write:
		do_access(t, c, true);
		break;
	case OP_fork:
		do_birth(t, c, 0, false);
		break;
	case OP_vfork:
		do_birth(t, c, CLONE_VM | CLONE_VFORK, false);
		break;
	case OP_clone:
		do_birth(t, c, (u32)a[0].val | (c->addr ? CLONE_CHILD_CLEARTID : 0), false);
		break;
	case OP_kthread:
		do_birth(t, c, 0, true);
		break;
	case OP_exec:
		do_exec(t, c);
		break;
	case OP_ioprio:
		set_errno_or_value(out, sys_ioprio_set(&t->cx, (u32)a[0].val));
		break;
	case OP_set_tid_address:
		set_errno_or_value(out, sys_set_tid_address(&t->cx, c->addr));
		break;
	case OP_signal:
		set_signal_pending(&t->cx, a[0].val & 1);
		break;
	case OP_use_mm:
		set_errno_or_value(out, kthread_use_mm(&t->cx, a[0].val));
		break;
	case OP_unuse_mm:
		set_errno_or_value(out, kthread_unuse_mm(&t->cx));
		break;
	case OP_coredump:
		set_errno_or_value(out, coredump_begin(&t->cx));
		break;
	case OP_core_end:
		set_errno_or_value(out, coredump_end(&t->cx));
		forget_dead(t);
		break;
	case OP_oom_kill:
		set_errno_or_value(out, oom_kill(&t->cx));
		forget_dead(t);
		break;
	case OP_exit:
		target_leave(t, c->task);
		break;
	case OP_modify_ldt:
		set_errno_or_value(out, sys_modify_ldt(&t->cx, (u32)min_u64(a[0].val, UINT32_MAX),
						       a[1].val));
		break;
	case OP_open:
		do_open(t, c);
		break;
	case OP_close:
		file_close(&t->cx, c->file);
		t->files[a[0].ref] = NULL;
		break;
	case OP_yield:
		break;
	case OP_binfmt_going:
		module_set_going(t->m, (unsigned int)(a[0].val % NR_BINFMTS), a[1].val & 1);
		break;
	case OP_mm_alloc:
		do_mm_alloc(t, c);
		break;
	case OP_khugepaged:
		set_errno_or_value(out, khugepaged_step(&t->cx, c->addr));
		break;
	case OP_kernel_map:
		set_errno_or_value(out, kernel_map(&t->cx, a[0].val));
		break;
	case OP_truncate:
		set_errno_or_value(out, sys_ftruncate(&t->cx, c->file, len_pages(a[1].val)));
		break;
	case OP_seal:
		set_errno_or_value(out, sys_seal_write(&t->cx, c->file));
		break;
	case OP_notifier_register:
		set_errno_or_value(out, notifier_register(&t->cx, a[0].val));
		break;
	case OP_notifier_unregister:
		set_errno_or_value(out, notifier_unregister(&t->cx, a[0].val));
		break;
	case OP_mm_pin:
		set_errno_or_value(out, mm_pin(&t->cx, a[0].val, a[1].val & 1));
		break;
	case OP_mm_unpin:
		set_errno_or_value(out, mm_unpin(&t->cx, a[0].val));
		break;
	case OP_swap_out:
		set_errno_or_value(out, sys_swap_out(&t->cx, c->addr));
		break;
	case OP_swapoff:
		set_errno_or_value(out, sys_swapoff(&t->cx));
		break;
	case OP_ksmd:
		ksmd_scan(&t->cx);
		break;
	case OP_khugepaged_scan:
		khugepaged_scan(&t->cx);
		break;
	case OP_mbind:
		set_errno_or_value(out, sys_mbind(&t->cx, c->addr, a[1].val,
						  (u32)min_u64(a[2].val, UINT32_MAX), a[3].val));
		break;
	case OP_set_mempolicy:
		set_errno_or_value(out,
				   sys_set_mempolicy(&t->cx, (u32)min_u64(a[0].val, UINT32_MAX),
						     a[1].val));
		break;
	case OP_cgroup:
		set_errno_or_value(out, sys_cgroup_attach(&t->cx, a[0].val));
		break;
	case OP_khungtaskd:
		set_errno_or_value(out, khungtaskd_scan(&t->cx));
		break;
	case OP_userfaultfd:
		set_errno_or_value(out, sys_userfaultfd(&t->cx, a[0].val));
		break;
	case OP_uffd_close:
		set_errno_or_value(out, userfaultfd_close(&t->cx, a[0].val));
		break;
	case OP_uffd_register:
		set_errno_or_value(out, userfaultfd_register(&t->cx, a[2].val, c->addr, a[1].val));
		break;
	case OP_uffd_unregister:
		set_errno_or_value(out,
				   userfaultfd_unregister(&t->cx, a[2].val, c->addr, a[1].val));
		break;
	case OP_uffd_copy:
		set_errno_or_value(out, userfaultfd_copy(&t->cx, a[2].val, c->addr, c->addr2));
		break;
	case OP_uffd_zeropage:
		set_errno_or_value(out, userfaultfd_zeropage(&t->cx, a[1].val, c->addr));
		break;
	case NR_OPS:
		break;
	}
	if (op_table[op->code].def == DEF_RESULT && out->kind == OUT_OK) {
		t->results[op->def] = out->value;
		t->result_known[op->def] = true;
	}
}

struct target_task *target_acting(struct target *t, u32 op)
{
	const struct op *o = &t->p->ops[op];
	struct target_task *task;

	if (o->task >= t->p->nr_defs[DEF_TASK])
		return NULL;
	task = &t->tasks[o->task];
	if (!task->tsk || task->tsk->state != TASK_RUNNING)
		return NULL;
	/* who dumps core does nothing else */
	return !(task->tsk->flags & PF_DUMPCORE) == (o->code != OP_core_end) ? task : NULL;
}
