/* SPDX-License-Identifier: GPL-2.0-only */
/* G-01 to G-07: the VMAs of one mm as a list and as a tree, and the caches that point to them. */
#include "checks.h"

u32 chk_special(const struct machine *m, const struct mm_struct *mm,
		const struct vm_area_struct *vma)
{
	if (mm->xol_area && vma->vm_private_data == &mm->xol_area->xol_mapping)
		return SPECIAL_XOL;
	if (vma->vm_private_data == &m->vdso_mapping)
		return SPECIAL_VDSO;
	if (vma->vm_private_data == &m->vvar_mapping)
		return SPECIAL_VVAR;
	return SPECIAL_NONE;
}

static void check_vma(struct chk *c, const struct mm_struct *mm, const struct vm_area_struct *vma)
{
	struct chk_obj obj = chk_obj(OBJ_VMA, vma, 0);
	u32 flags = vma->vm_flags, perm = flags & VM_ACCESS_FLAGS;
	const char *bad = NULL;

	chk_true(c, CHK_vma_range, __func__, obj,
		 !offset_in_page(vma->vm_start | vma->vm_end) && vma->vm_start < vma->vm_end &&
			 vma->vm_end <= mm->task_size,
		 "page aligned, start < end <= task_size", "the range above");

	if ((flags & VM_SHARED) && !(flags & VM_MAYSHARE))
		bad = "VM_SHARED without VM_MAYSHARE";
	else if ((flags & VM_SHARED) && (flags & VM_ACCOUNT))
		bad = "VM_SHARED with VM_ACCOUNT";
	else if (vma->vm_file && (flags & VM_GROWSDOWN))
		bad = "VM_GROWSDOWN with a file";
	else if ((flags & VM_LOCKED) && (flags & VM_SPECIAL))
		bad = "VM_LOCKED on a special mapping";
	else if ((flags & VM_LOCKONFAULT) && !(flags & VM_LOCKED))
		bad = "VM_LOCKONFAULT without VM_LOCKED";
	else if (perm & ~(flags / (VM_MAYREAD / VM_READ)))
		bad = "an access without its VM_MAY bit";
	chk_true(c, CHK_vma_special, __func__, obj,
		 !vma->vm_private_data || (chk_special(c->m, mm, vma) && !vma->vm_file &&
					   (flags & (VM_DONTEXPAND | VM_SHARED)) == VM_DONTEXPAND),
		 "none, or a special mapping that there is, private and of its size for ever",
		 "something else");
	chk_true(c, CHK_vma_uffd, __func__, obj,
		 !vma->vm_userfaultfd_ctx == !(flags & VM_UFFD_MISSING) &&
			 (!vma->vm_userfaultfd_ctx ||
			  (chk_uffd(c->m, vma->vm_userfaultfd_ctx) &&
			   vma->vm_userfaultfd_ctx->mm == mm && vma_is_anonymous(vma))),
		 "none, or one of its mm, as its flags say", "not so");
	chk_true(c, CHK_vma_flags, __func__, obj, !bad, "flags that fit together", bad ? bad : "");

	if (vma->vm_policy)
		chk_eq(c, CHK_policy_refs, __func__, obj, 1,
		       (u64)(s64)atomic_read(&vma->vm_policy->refcnt));
	if (vma_is_anonymous(vma) && !vma->anon_vma && !(flags & VM_SHARED))
		chk_eq_hex(c, CHK_anon_pgoff, __func__, obj, vma->vm_start >> PAGE_SHIFT,
			   vma->vm_pgoff);
}

static void sum_vma(const struct vm_area_struct *vma, struct mm_scan *s)
{
	u64 pages = vma_pages(vma);

	s->nr_vmas++;
	s->pages += pages;
	if (vma->vm_file) {
		s->file_pages += pages;
		if ((vma->vm_flags & (VM_EXEC | VM_WRITE)) == VM_EXEC)
			s->exec_pages += pages;
	} else if (vma->vm_flags & VM_GROWSDOWN) {
		s->stack_pages += pages;
	}
	if (vma->vm_flags & VM_LOCKED)
		s->locked_pages += pages;
	if (vma->vm_flags & VM_ACCOUNT)
		s->account_pages += pages;
	s->nr_policies += vma->vm_policy != NULL;
}

/* False: the list has no end. */
static bool check_list(struct chk *c, struct mm_struct *mm, struct mm_scan *s)
{
	u64 max = chk_bound(c->m, CACHE_vm_area_struct);
	const struct vm_area_struct *vma, *prev = NULL;

	for (vma = mm->mmap; vma; prev = vma, vma = vma->vm_next) {
		struct chk_obj obj = chk_obj(OBJ_VMA, vma, 0);

		if (s->nr_vmas == max) {
			chk_true(c, CHK_list_end, __func__, chk_obj(OBJ_MM, mm, 0), false,
				 "an end within the number of live VMAs", "no end");
			return false;
		}
		chk_true(c, CHK_list_links, __func__, obj, vma->vm_prev == prev,
			 prev ? "vm_prev: the VMA before" : "vm_prev: none",
			 vma->vm_prev ? "another VMA" : "none");
		chk_true(c, CHK_vma_mm, __func__, obj, vma->vm_mm == mm,
			 "vm_mm: the mm that lists it", "another mm");
		if (prev &&
		    chk_true(c, CHK_list_order, __func__, obj, prev->vm_start < vma->vm_start,
			     "a start above that of the VMA before", "below or equal"))
			chk_true(c, CHK_overlap, __func__, obj, prev->vm_end <= vma->vm_start,
				 "a start at or above the end of the VMA before", "below");
		check_vma(c, mm, vma);
		sum_vma(vma, s);
	}
	chk_true(c, CHK_list_end, __func__, chk_obj(OBJ_MM, mm, 0), true, "", "");
	chk_eq(c, CHK_map_count, __func__, chk_obj(OBJ_MM, mm, 0), s->nr_vmas,
	       (u64)(s64)mm->map_count);
	chk_eq_hex(c, CHK_highest_vm_end, __func__, chk_obj(OBJ_MM, mm, 0),
		   prev ? prev->vm_end : mm->highest_vm_end, mm->highest_vm_end);
	return true;
}

static u64 child_gap(const struct rb_node *n)
{
	return n ? rb_entry(n, struct vm_area_struct, vm_rb)->rb_subtree_gap : 0;
}

static bool check_tree(struct chk *c, struct mm_struct *mm, const struct mm_scan *s)
{
	struct chk_obj obj = chk_obj(OBJ_MM, mm, 0);
	const struct vm_area_struct *list = mm->mmap;
	u64 nodes = 0, end = 0;

	if (!chk_true(c, CHK_rb_shape, __func__, obj,
		      !rb_check(&mm->mm_rb, chk_bound(c->m, CACHE_vm_area_struct), &nodes),
		      "a red-black tree", "colours, heights, parents or marks that are not of one"))
		return false;
	if (!chk_eq(c, CHK_list_tree, __func__, obj, s->nr_vmas, nodes))
		return false;

	for (struct rb_node *n = rb_first(&mm->mm_rb); n; n = rb_next(n), list = list->vm_next) {
		const struct vm_area_struct *vma = rb_entry(n, struct vm_area_struct, vm_rb);
		u64 gap = vma->vm_start - end;

		if (!chk_true(c, CHK_list_tree, __func__, chk_obj(OBJ_VMA, vma, 0), vma == list,
			      "the VMA at this place of the list", "another one"))
			return false;
		gap = max_u64(gap, max_u64(child_gap(n->left), child_gap(n->right)));
		chk_eq_hex(c, CHK_rb_gap, __func__, chk_obj(OBJ_VMA, vma, 0), gap,
			   vma->rb_subtree_gap);
		end = vma->vm_end;
	}
	return true;
}

bool chk_structure(struct chk *c, struct mm_struct *mm, struct mm_scan *s)
{
	return check_list(c, mm, s) && check_tree(c, mm, s);
}

void chk_sum(const struct mm_struct *mm, struct mm_scan *s)
{
	for (const struct vm_area_struct *vma = mm->mmap; vma; vma = vma->vm_next)
		sum_vma(vma, s);
}

/* The mm's list must have an end. Slots are compared, never followed: they may point to freed VMAs.
 */
void chk_vmacache(struct chk *c, const struct task_struct *tsk)
{
	const struct mm_struct *mm = tsk->mm;
	unsigned int missing = 0;

	if ((tsk->flags & PF_KTHREAD) || tsk->vmacache_seqnum != mm->vmacache_seqnum)
		return;
	for (unsigned int i = 0; i < VMACACHE_SIZE; i++)
		missing += tsk->vmacache[i] != NULL;
	for (const struct vm_area_struct *v = mm->mmap; v && missing; v = v->vm_next) {
		for (unsigned int i = 0; i < VMACACHE_SIZE; i++)
			missing -= tsk->vmacache[i] == v;
	}
	chk_eq(c, CHK_vmacache, __func__, chk_obj(OBJ_TASK, tsk, 0), 0, missing);
}
