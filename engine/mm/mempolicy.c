/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory policies of VMAs and of tasks (facts §10.5): objects with an owner each, copied by whoever
 * copies the owner. What they say steers no allocation, for all nodes are alike here; but VMAs that
 * differ in it do not merge. The policy that a shared object keeps for itself is left out.
 */
#include "internal.h"

bool mpol_equal(const struct mempolicy *a, const struct mempolicy *b)
{
	if (!a || !b)
		return a == b;
	return a->mode == b->mode && a->nodes == b->nodes;
}

static struct mempolicy *mpol_alloc(struct ctx *cx, enum fl_site site, u32 mode, u32 nodes)
{
	struct mempolicy *pol = kmem_cache_alloc(cx, CACHE_numa_policy, site, GFP_KERNEL);

	if (!pol)
		return NULL;
	atomic_set(&pol->refcnt, 1);
	pol->mode = mode;
	pol->nodes = nodes;
	return pol;
}

void mpol_put(struct ctx *cx, struct mempolicy *pol)
{
	if (pol && atomic_dec_and_test(cx, &pol->refcnt))
		kmem_cache_free(cx, CACHE_numa_policy, pol);
}

int mpol_dup(struct ctx *cx, const struct mempolicy *pol, enum fl_site site, struct mempolicy **dup)
{
	*dup = pol ? mpol_alloc(cx, site, pol->mode, pol->nodes) : NULL;
	return pol && !*dup ? -ENOMEM : 0;
}

int vma_dup_policy(struct ctx *cx, const struct vm_area_struct *src, struct vm_area_struct *dst,
		   enum fl_site site)
{
	return mpol_dup(cx, src->vm_policy, site, &dst->vm_policy);
}

/* ---- the calls ------------------------------------------------------------------------------ */

/* *pol is NULL for the default. It is allocated before it is known which of the nodes there are. */
static int mpol_new(struct ctx *cx, u32 mode, u64 nodes, enum fl_site site, struct mempolicy **pol)
{
	*pol = NULL;
	switch (mode) {
	case MPOL_DEFAULT:
		return nodes ? -EINVAL : 0;
	case MPOL_LOCAL:
		if (nodes)
			return -EINVAL;
		mode = MPOL_PREFERRED;
		break;
	case MPOL_PREFERRED:
		break;
	case MPOL_BIND:
	case MPOL_INTERLEAVE:
		if (!nodes)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	*pol = mpol_alloc(cx, site, mode, 0);
	return *pol ? 0 : -ENOMEM;
}

static int mpol_set_nodemask(const struct ctx *cx, struct mempolicy *pol, u64 nodes)
{
	u32 there = (u32)(nodes & ((1u << cx->m->cfg.numa) - 1));

	if (!pol || !nodes)
		return 0;
	if (!there)
		return -EINVAL;
	pol->nodes = pol->mode == MPOL_PREFERRED ? there & -there : there;
	return 0;
}

static int vma_replace_policy(struct ctx *cx, struct vm_area_struct *vma,
			      const struct mempolicy *pol)
{
	struct mempolicy *new;
	int err;

	err = mpol_dup(cx, pol, SITE_vma_replace_policy, &new);
	if (err)
		return err;
	mpol_put(cx, vma->vm_policy);
	vma->vm_policy = new;
	return 0;
}

/* Looks for holes as far as 4.4 does before anything is changed: not at the range's two ends. */
static int queue_pages_range(struct ctx *cx, struct mm_struct *mm, u64 start, u64 end)
{
	const struct vm_area_struct *vma, *prev = NULL;

	for (vma = find_vma(cx, mm, start); vma && vma->vm_start < end; vma = vma->vm_next) {
		STEP(cx);
		if (!vma->vm_next && vma->vm_end < end)
			return -EFAULT;
		if (prev && prev->vm_end < vma->vm_start)
			return -EFAULT;
		prev = vma;
	}
	return 0;
}

static int mbind_range(struct ctx *cx, struct mm_struct *mm, u64 start, u64 end,
		       const struct mempolicy *new_pol)
{
	struct vm_area_struct *vma = find_vma(cx, mm, start), *prev, *next;
	int err;

	if (!vma || vma->vm_start > start)
		return -EFAULT;
	prev = start > vma->vm_start ? vma : vma->vm_prev;
	for (; vma && vma->vm_start < end; prev = vma, vma = next) {
		u64 vmstart = max_u64(start, vma->vm_start);
		u64 vmend = min_u64(end, vma->vm_end);

		STEP(cx);
		next = vma->vm_next;
		if (mpol_equal(vma->vm_policy, new_pol))
			continue;
		prev = vma_merge(cx, mm, prev, vmstart, vmend, vma->vm_flags, vma->anon_vma,
				 vma->vm_file, linear_page_index(vma, vmstart), new_pol,
				 vma->vm_userfaultfd_ctx);
		if (prev) {
			vma = prev;
			next = vma->vm_next;
			continue;
		}
		if (vma->vm_start != vmstart) {
			err = split_vma(cx, mm, vma, vmstart, true);
			if (err)
				return err;
		}
		if (vma->vm_end != vmend) {
			err = split_vma(cx, mm, vma, vmend, false);
			if (err)
				return err;
		}
		err = vma_replace_policy(cx, vma, new_pol);
		if (err)
			return err;
	}
	return 0;
}

s64 sys_mbind(struct ctx *cx, u64 start, u64 len, u32 mode, u64 nodes)
{
	struct mm_struct *mm = cx->curr->mm;
	u64 end = start + PAGE_ALIGN(len);
	struct mempolicy *new;
	int err;

	if (!cx->m->cfg.numa)
		return -ENOSYS;
	if (!mm || mode > MPOL_LOCAL || offset_in_page(start) || end < start)
		return -EINVAL;
	if (end == start)
		return 0;

	err = mpol_new(cx, mode, nodes, SITE_mbind_policy, &new);
	if (err)
		return err;
	down_write(cx, &mm->mmap_sem);
	err = mpol_set_nodemask(cx, new, nodes);
	if (!err && new)
		err = queue_pages_range(cx, mm, start, end);
	if (!err)
		err = mbind_range(cx, mm, start, end, new);
	up_write(cx, &mm->mmap_sem);
	mpol_put(cx, new);
	return err;
}

s64 sys_set_mempolicy(struct ctx *cx, u32 mode, u64 nodes)
{
	struct task_struct *tsk = cx->curr;
	struct mempolicy *new;
	int err;

	if (!cx->m->cfg.numa)
		return -ENOSYS;
	err = mpol_new(cx, mode, nodes, SITE_set_mempolicy_policy, &new);
	if (err)
		return err;
	err = mpol_set_nodemask(cx, new, nodes);
	if (err) {
		mpol_put(cx, new);
		return err;
	}
	mpol_put(cx, tsk->mempolicy);
	tsk->mempolicy = new;
	return 0;
}
