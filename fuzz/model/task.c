/* SPDX-License-Identifier: GPL-2.0-only */
/* Tasks: who uses which space, fork, exec, exit (facts §3 2.*, §4, §5, §19.2). */
#include "model.h"

#include <faultline/syscalls.h>

#define CLONE_VM      0x00000100u
#define CLONE_FS      0x00000200u
#define CLONE_SIGHAND 0x00000800u
#define CLONE_VFORK   0x00004000u
#define CLONE_THREAD  0x00010000u
#define CLONE_NEWNS   0x00020000u

static u32 spaces_user(struct model *m, u32 task)
{
	return m->task[task].space;
}

static struct m_space *space_at(struct model *m, u32 space)
{
	return &m->space[space];
}

static void born(struct model *m, u32 task, u32 space)
{
	m->task[task] = (struct m_task){.alive = true, .space = space, .waiter = M_NONE};
	m->alive++;
}

void m_spawn(struct model *m)
{
	born(m, 0, M_NONE);
}

/* ---- fork -------------------------------------------------------------------------------------
 */

static void copy_own(struct model *m, u32 to, u32 from, const struct m_area *a)
{
	const struct m_pages *own = &space_at(m, from)->own;
	u64 last = (a->end >> PAGE_SHIFT) - 1, tag = 0;

	for (u64 nr = a->start >> PAGE_SHIFT; (nr = m_page_next(own, nr)) <= last; nr++) {
		m_page_get(own, nr, &tag);
		m_page_put(m, &space_at(m, to)->own, nr, tag);
	}
}

/* A space with a copy of everything that is not to be left out. 0, or an errno and none. */
static int copy_space(struct model *m, u32 from, u32 *to)
{
	u64 charge = 0, largest = 0;

	for (u32 i = 0; i < space_at(m, from)->nr; i++) {
		const struct m_area *a = &space_at(m, from)->area[i];
		u64 pages = (a->end - a->start) >> PAGE_SHIFT;

		if (a->attr & M_DONTFORK || !(a->attr & M_ACCOUNT))
			continue;
		charge += pages;
		largest = max_u64(largest, pages);
	}
	/* mode 2 looks at the sum, the others at each VMA, of which an area may have several */
	if (m->cfg.overcommit == 2 ? charge && !m_may_commit(m, from, charge)
				   : largest && !m_may_commit(m, from, largest)) {
		m->unsure |= m->cfg.overcommit != 2;
		return ENOMEM;
	}
	/* the new mm needs a reference to the module of its format */
	if (space_at(m, from)->binfmt != M_NONE && m->going[space_at(m, from)->binfmt])
		return ENOMEM;

	*to = m_new_space(m);
	if (*to == M_NONE)
		return 0;
	space_at(m, *to)->start_brk = space_at(m, from)->start_brk;
	space_at(m, *to)->brk = space_at(m, from)->brk;
	space_at(m, *to)->binfmt = space_at(m, from)->binfmt;
	for (u32 i = 0; i < space_at(m, from)->nr; i++) {
		struct m_area a = space_at(m, from)->area[i];

		if (a.attr & M_DONTFORK)
			continue;
		copy_own(m, *to, from, &a);
		a.attr &= ~(u32)(M_LOCKBITS | M_UFFD);
		m_insert(m, *to, &a);
	}
	return 0;
}

static bool flags_fit(u32 flags)
{
	if ((flags & (CLONE_NEWNS | CLONE_FS)) == (CLONE_NEWNS | CLONE_FS))
		return false;
	if (flags & CLONE_THREAD && !(flags & CLONE_SIGHAND))
		return false;
	return !(flags & CLONE_SIGHAND) || flags & CLONE_VM;
}

/* nr tasks of at most max: is there room for one more? If only the engine can tell, it has. */
static bool room_for_task(struct model *m, u64 nr, u64 unseen, u64 max)
{
	if (nr + unseen < max)
		return true;
	if (nr >= max)
		return false;
	m->unsure = true;
	return !m->in.engine_failed;
}

static u64 nr_processes(const struct model *m)
{
	u64 n = 0;

	for (u32 i = 0; i < m->nr_tasks; i++)
		n += m->task[i].alive && !m->task[i].kthread;
	return n;
}

/* The dead count until their CPU has left them; a pid below 300 is given once only. */
static bool may_be_born(struct model *m, bool kthread)
{
	return (kthread || room_for_task(m, nr_processes(m), m->cfg.cpus, m->cfg.limit_nproc)) &&
	       room_for_task(m, m->alive, m->cfg.cpus, m->cfg.max_tasks) &&
	       room_for_task(m, m->alive, m->cfg.cpus + 300, m->cfg.pid_max);
}

struct m_result m_fork(struct model *m, u32 task, u32 child, u32 flags, bool kthread)
{
	u32 space = spaces_user(m, task);
	int err;

	if (!kthread && !flags_fit(flags))
		return m_error(EINVAL);
	if (!may_be_born(m, kthread || m->task[task].kthread))
		return m_error(EAGAIN);
	if (kthread)
		space = M_NONE;
	if (space != M_NONE && flags & CLONE_VM) {
		space_at(m, space)->users++;
	} else if (space != M_NONE) {
		err = copy_space(m, space, &space);
		if (err)
			return m_error(err);
	}
	born(m, child, space);
	m->task[child].kthread = kthread || m->task[task].kthread;
	if (flags & CLONE_VFORK) {
		m->task[task].waiting = true;
		m->task[child].waiter = task;
	}
	if (!kthread)
		m_probed_birth(m, task, child, flags & CLONE_VFORK);
	return m_value(child);
}

/* ---- exit -------------------------------------------------------------------------------------
 */

/* The task does not use its space any more. */
static void release(struct model *m, u32 task)
{
	struct m_task *t = &m->task[task];

	if (t->waiter != M_NONE)
		m->task[t->waiter].waiting = false;
	t->waiter = M_NONE;
	t->depth = 0;
	if (t->space != M_NONE)
		m_put_space(m, t->space);
	t->space = M_NONE;
}

void m_exit(struct model *m, u32 task)
{
	release(m, task);
	m->task[task].alive = false;
	m->alive--;
	/* who waited for nobody any more: cannot be, a waiting task does not act */
}

/* ---- exec -------------------------------------------------------------------------------------
 */

#define STACK_ATTR (M_READ | M_WRITE | M_MAYREAD | M_MAYWRITE | M_MAYEXEC | M_GROWSDOWN | M_ACCOUNT)
#define STACK_ROOM ((u64)128 << 10)

static bool is_written(const struct model *m, u32 obj)
{
	return obj != M_NONE && m->object[obj].mode & 2;
}

static int check_image(const struct model *m, const struct m_image *im, u64 arg_pages)
{
	u64 limit;

	if (arg_pages > m->cfg.limit_stack / 4)
		return E2BIG;
	limit = m->cfg.top - (arg_pages << PAGE_SHIFT) - STACK_ROOM;
	for (u32 i = 0; i < im->nr_segs; i++) {
		const struct m_segment *seg = &im->seg[i];
		u64 len = PAGE_ALIGN(seg->len);

		if (offset_in_page(seg->start) || offset_in_page(seg->off) || !len)
			return ENOEXEC;
		if (seg->start > limit || len > limit - seg->start)
			return EINVAL;
		if (seg->obj == M_NONE)
			continue;
		if (!(m->object[seg->obj].mode & 1) ||
		    (seg->prot & PROT_EXEC && !(m->object[seg->obj].mode & 4)))
			return EACCES;
	}
	if (im->start_brk > limit)
		return EINVAL;
	for (u32 i = 0; i < im->nr_segs; i++)
		if (is_written(m, im->seg[i].obj))
			return ETXTBSY;
	return is_written(m, im->exe) ? ETXTBSY : 0;
}

/* A new space with the stack that the arguments lie on, and its pages. */
static int build_stack(struct model *m, u64 arg_pages, u32 *space)
{
	u64 top = m->cfg.top;
	struct m_area a = {.start = top - PAGE_SIZE, .end = top, .attr = STACK_ATTR, .obj = M_NONE};
	int err = 0;

	*space = m_new_space(m);
	if (*space == M_NONE)
		return ENOMEM;
	if (!m_may_commit(m, *space, 1))
		return ENOMEM;
	m_insert(m, *space, &a);
	for (u64 i = 0; i < arg_pages && !err; i++) {
		u64 pos = top - ((i + 1) << PAGE_SHIFT);

		if (pos < a.start && m_grow_stack(m, *space, pos, top))
			err = E2BIG;
		/* where a guard page is kept the fault itself takes one more */
		else if (m->cfg.stack_guard && m_at(space_at(m, *space), pos)->start == pos &&
			 m_grow_stack(m, *space, pos - PAGE_SIZE, top))
			err = E2BIG;
		a.start = space_at(m, *space)->area[0].start;
	}
	m_effect(m, (struct m_effect){M_POPULATE, *space, M_NONE, top - (arg_pages << PAGE_SHIFT),
				      top, 0});
	return err;
}

/* Past the point of no return. */
static int load_image(struct model *m, u32 space, const struct m_image *im)
{
	u64 top = m->cfg.top, limit = m->cfg.limit_stack << PAGE_SHIFT, base, end = 0;
	struct m_space *s = space_at(m, space);

	base = s->area[0].start - STACK_ROOM;
	if (top - base > limit)
		base = top - limit;
	if (m_grow_stack(m, space, base, top))
		return EFAULT;
	for (u32 i = 0; i < im->nr_segs; i++) {
		const struct m_segment *seg = &im->seg[i];
		struct m_result r;

		r = m_mmap(m, space, seg->start, seg->len, seg->prot,
			   MAP_FIXED | MAP_PRIVATE | (seg->obj == M_NONE ? MAP_ANONYMOUS : 0),
			   seg->obj, seg->obj == M_NONE ? 0 : seg->off,
			   seg->obj == M_NONE ? 0 : M_IMAGE);
		if (r.kind != M_OK)
			return (int)-r.value;
		end = max_u64(end, PAGE_ALIGN(seg->start + seg->len));
	}
	s->start_brk = im->start_brk ? PAGE_ALIGN(im->start_brk) : im->nr_segs ? end : 0x400000;
	s->brk = s->start_brk;
	s->binfmt = (u32)im->binfmt;
	return m_map_vdso(m, space);
}

struct m_result m_exec(struct model *m, u32 task, const struct m_image *im)
{
	u64 arg_pages = max_u64(im->stack_pages, 1);
	u32 space = M_NONE;
	int err;

	err = check_image(m, im, arg_pages);
	if (err)
		return m_error(err);
	err = build_stack(m, arg_pages, &space);
	if (!err && (im->binfmt >= ARRAY_SIZE(m->going) || m->going[im->binfmt]))
		err = ENOEXEC;
	if (err) {
		m->nr_effects = 0;
		if (space != M_NONE)
			m_put_space(m, space);
		return m_error(err);
	}
	release(m, task);
	m->task[task].space = space;
	err = load_image(m, space, im);
	if (!err)
		return m_error(0);
	m->nr_effects = 0;
	m_exit(m, task);
	return (struct m_result){M_KILLED, -(s64)err};
}

/* ---- who holds a space without being a task
 * ------------------------------------------------------ */

static struct m_result take(struct model *m, struct m_pin *pins, u32 task, u64 slot, bool users)
{
	u32 space = spaces_user(m, task);

	if (pins == m->notifier && !m->cfg.mmu_notifier)
		return m_error(ENOSYS);
	if (space == M_NONE || slot >= M_SLOTS)
		return m_error(EINVAL);
	if (pins[slot].space != M_NONE)
		return m_error(EBUSY);
	pins[slot] = (struct m_pin){space, users};
	if (users)
		space_at(m, space)->users++;
	return m_error(0);
}

static struct m_result give(struct model *m, struct m_pin *pins, u64 slot)
{
	struct m_pin pin;

	if (slot >= M_SLOTS || pins[slot].space == M_NONE)
		return m_error(EINVAL);
	pin = pins[slot];
	pins[slot].space = M_NONE;
	if (pin.users)
		m_put_space(m, pin.space);
	return m_error(0);
}

struct m_result m_pin(struct model *m, u32 task, u64 slot, bool users)
{
	return take(m, m->pin, task, slot, users);
}

struct m_result m_unpin(struct model *m, u64 slot)
{
	return give(m, m->pin, slot);
}

struct m_result m_notify(struct model *m, u32 task, u64 slot)
{
	return take(m, m->notifier, task, slot, false);
}

struct m_result m_unnotify(struct model *m, u64 slot)
{
	return give(m, m->notifier, slot);
}
