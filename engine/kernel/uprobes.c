/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What probes of user code need of an address space (facts §10.3): a page in which a probed
 * instruction is stepped out of line, shown by a special mapping and made when it is first needed;
 * and of a task, the calls that are to be seen returning. Where probes are is of no interest here.
 *
 * The area belongs to the mm, its page also to the entries that map it: mmput() gives the area up
 * first, and the page goes with its last entry.
 */
#include "internal.h"

#define UPROBE_XOL_SLOT_BYTES 128u
#define XOL_SLOTS	      (PAGE_SIZE / UPROBE_XOL_SLOT_BYTES)
#define XOL_TAG		      0xccu /* what lies in the page from the start: a breakpoint */
#define MAX_URETPROBE_DEPTH   64u

/* ---- the area ------------------------------------------------------------------------------- */

/* Maps the area at its address, or where there is room. -ENOMEM; -EALREADY: there is one. */
static int xol_add_vma(struct ctx *cx, struct mm_struct *mm, struct xol_area *area)
{
	struct vm_area_struct *vma;
	int ret;

	down_write(cx, &mm->mmap_sem);
	/* two tasks at the same time: here one is always first */
	ret = -EALREADY;
	if (mm->xol_area)
		goto fail;
	if (!area->vaddr) {
		/* as far up as can be */
		area->vaddr = get_unmapped_area(cx, mm, mm->task_size - PAGE_SIZE, PAGE_SIZE, 0);
		ret = (int)(s64)area->vaddr;
		if (IS_ERR_VALUE(area->vaddr))
			goto fail;
	}
	/* VM_IO so that nobody makes a fork copy it. */
	ret = _install_special_mapping(cx, mm, area->vaddr, PAGE_SIZE,
				       VM_EXEC | VM_MAYEXEC | VM_DONTCOPY | VM_IO,
				       &area->xol_mapping, &vma);
	if (ret)
		goto fail;
	mm->xol_area = area;
	mm->flags |= MMF_HAS_UPROBES;
fail:
	up_write(cx, &mm->mmap_sem);
	return ret;
}

/* vaddr 0: anywhere. NULL: no memory, or something is there. */
static struct xol_area *__create_xol_area(struct ctx *cx, u64 vaddr)
{
	struct xol_area *area;

	area = kmem_cache_alloc(cx, CACHE_xol_area, SITE_xol_area, GFP_KERNEL | __GFP_ZERO);
	if (!area)
		goto out;
	area->bitmap =
		kmem_cache_alloc(cx, CACHE_xol_bitmap, SITE_xol_bitmap, GFP_KERNEL | __GFP_ZERO);
	if (!area->bitmap)
		goto free_area;
	area->xol_mapping.name = "[uprobes]";
	area->xol_mapping.pages[0] =
		alloc_pages(cx, SITE_xol_page, GFP_KERNEL | __GFP_ZERO | __GFP_TAG, 0, PAGE_KERNEL);
	if (!area->xol_mapping.pages[0])
		goto free_bitmap;

	area->vaddr = vaddr;
	/* the first slot is where probed calls return to */
	*area->bitmap = 1;
	area->slot_count = 1;
	page_set_tag(area->xol_mapping.pages[0], XOL_TAG);
	if (!xol_add_vma(cx, cx->curr->mm, area))
		return area;

	__free_page(cx, area->xol_mapping.pages[0]);
free_bitmap:
	kmem_cache_free(cx, CACHE_xol_bitmap, area->bitmap);
free_area:
	kmem_cache_free(cx, CACHE_xol_area, area);
out:
	return NULL;
}

static struct xol_area *get_xol_area(struct ctx *cx)
{
	struct mm_struct *mm = cx->curr->mm;

	return mm->xol_area ? mm->xol_area : __create_xol_area(cx, 0);
}

void uprobe_clear_state(struct ctx *cx, struct mm_struct *mm)
{
	struct xol_area *area = mm->xol_area;

	if (!area)
		return;
	mm->xol_area = NULL;
	/* its VMA still maps the page, and must not look into the area any more */
	put_page(cx, area->xol_mapping.pages[0]);
	kmem_cache_free(cx, CACHE_xol_bitmap, area->bitmap);
	kmem_cache_free(cx, CACHE_xol_area, area);
}

void uprobe_dup_mmap(const struct mm_struct *oldmm, struct mm_struct *newmm)
{
	/* the copied text has the same breakpoints; of what was not copied nobody knows yet */
	if (oldmm->flags & MMF_HAS_UPROBES)
		newmm->flags |= MMF_HAS_UPROBES | MMF_RECALC_UPROBES;
}

/* ---- the task ------------------------------------------------------------------------------- */

static struct uprobe_task *get_utask(struct ctx *cx)
{
	struct task_struct *tsk = cx->curr;

	if (!tsk->utask)
		tsk->utask = kmem_cache_alloc(cx, CACHE_uprobe_task, SITE_uprobe_task,
					      GFP_KERNEL | __GFP_ZERO);
	return tsk->utask;
}

static u64 pop_return_instance(struct ctx *cx, struct uprobe_task *utask)
{
	struct return_instance *ri = utask->return_instances;
	u64 func = ri->func;

	utask->return_instances = ri->next;
	utask->depth--;
	kmem_cache_free(cx, CACHE_return_instance, ri);
	return func;
}

void uprobe_free_utask(struct ctx *cx, struct task_struct *tsk)
{
	struct uprobe_task *utask = tsk->utask;

	if (!utask)
		return;
	while (utask->return_instances) {
		STEP(cx);
		pop_return_instance(cx, utask);
	}
	kmem_cache_free(cx, CACHE_uprobe_task, utask);
	tsk->utask = NULL;
}

/* -ENOMEM: what was copied by then stays. */
static int dup_utask(struct ctx *cx, struct task_struct *t, const struct uprobe_task *o_utask)
{
	const struct return_instance *o;
	struct return_instance **p, *n;

	t->utask = kmem_cache_alloc(cx, CACHE_uprobe_task, SITE_dup_utask_utask,
				    GFP_KERNEL | __GFP_ZERO);
	if (!t->utask)
		return -ENOMEM;
	p = &t->utask->return_instances;
	for (o = o_utask->return_instances; o; o = o->next) {
		STEP(cx);
		n = kmem_cache_alloc(cx, CACHE_return_instance, SITE_dup_utask_instance,
				     GFP_KERNEL);
		if (!n)
			return -ENOMEM;
		n->func = o->func;
		n->next = NULL;
		*p = n;
		p = &n->next;
		t->utask->depth++;
	}
	return 0;
}

/* A new task must find what it returns through, but its birth does not depend on it. */
static void uprobe_warn(struct ctx *cx, const char *msg)
{
	if (cx->m->seams.probe)
		cx->m->seams.probe(cx->m->seams.priv, msg);
}

/* The child's way to user mode, before anything of its own: the page is not inherited. */
static void dup_xol_work(struct ctx *cx, struct task_struct *t, u64 vaddr)
{
	struct ctx child = {.m = cx->m, .curr = t, .cpu = cx->cpu, .steps = cx->steps};

	if (!__create_xol_area(&child, vaddr))
		uprobe_warn(cx, "uprobe: dup xol area");
	cx->steps = child.steps;
}

void uprobe_copy_process(struct ctx *cx, struct task_struct *t, u32 clone_flags)
{
	const struct uprobe_task *utask = cx->curr->utask;
	const struct mm_struct *mm = cx->curr->mm;

	if (!utask || !utask->return_instances)
		return;
	/* a thread starts with a stack of its own, and returns from nothing that is probed */
	if (mm == t->mm && !(clone_flags & CLONE_VFORK))
		return;
	if (dup_utask(cx, t, utask)) {
		uprobe_warn(cx, "uprobe: dup ret instances");
		return;
	}
	if (mm->xol_area && mm != t->mm)
		dup_xol_work(cx, t, mm->xol_area->vaddr);
}

/* ---- hits ----------------------------------------------------------------------------------- */

static u64 xol_take_insn_slot(struct ctx *cx, struct xol_area *area)
{
	u32 slot = (u32)__builtin_ctz(~*area->bitmap);

	BUG_ON(cx, slot >= XOL_SLOTS);
	*area->bitmap |= 1u << slot;
	area->slot_count++;
	return area->vaddr + slot * UPROBE_XOL_SLOT_BYTES;
}

static void xol_free_insn_slot(struct ctx *cx, struct xol_area *area, u64 addr)
{
	u32 slot = (u32)((addr - area->vaddr) / UPROBE_XOL_SLOT_BYTES);

	BUG_ON(cx, !(*area->bitmap & 1u << slot));
	*area->bitmap &= ~(1u << slot);
	area->slot_count--;
}

s64 uprobe_step(struct ctx *cx)
{
	struct mm_struct *mm = cx->curr->mm;
	struct xol_area *area;
	u64 addr;

	if (!cx->m->cfg.uprobes)
		return -ENOSYS;
	if (!mm)
		return -EINVAL;
	if (!get_utask(cx))
		return -ENOMEM;
	area = get_xol_area(cx);
	if (!area)
		return -ENOMEM;
	mm->flags &= ~MMF_RECALC_UPROBES;
	addr = xol_take_insn_slot(cx, area);
	xol_free_insn_slot(cx, area, addr);
	return (s64)addr;
}

s64 uprobe_call(struct ctx *cx, u64 func)
{
	struct mm_struct *mm = cx->curr->mm;
	struct return_instance *ri;
	struct uprobe_task *utask;

	if (!cx->m->cfg.uprobes)
		return -ENOSYS;
	if (!mm)
		return -EINVAL;
	/* where it is to return to */
	if (!get_xol_area(cx))
		return -ENOMEM;
	utask = get_utask(cx);
	if (!utask)
		return -ENOMEM;
	if (utask->depth >= MAX_URETPROBE_DEPTH)
		return -EOVERFLOW;
	ri = kmem_cache_alloc(cx, CACHE_return_instance, SITE_uprobe_return_instance, GFP_KERNEL);
	if (!ri)
		return -ENOMEM;
	ri->func = func;
	ri->next = utask->return_instances;
	utask->return_instances = ri;
	utask->depth++;
	return 0;
}

s64 uprobe_return(struct ctx *cx, u64 *func)
{
	struct uprobe_task *utask = cx->curr->utask;

	if (!cx->m->cfg.uprobes)
		return -ENOSYS;
	if (!utask || !utask->return_instances)
		return -EINVAL;
	*func = pop_return_instance(cx, utask);
	return 0;
}
