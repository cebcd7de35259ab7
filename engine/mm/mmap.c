/* SPDX-License-Identifier: GPL-2.0-only */
/* Making and unmaking mappings: mmap, munmap, brk, and the end of an mm (facts §7.8-§7.11, §3 3.).
 */
#include "internal.h"

#define MAP_TYPE 0x0fu
/* What MAP_SHARED_VALIDATE knows, beside the types. */
#define MAP_KNOWN                                                                                 \
	(MAP_TYPE | MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK | \
	 MAP_LOCKED | MAP_POPULATE | MAP_NONBLOCK)
/* Pages that one mmap() faults in at most, where the limit of locked memory does not say. */
#define POPULATE_MAX	65536u
#define LIMIT_DATA_NONE ((u64)1 << 36) /* its largest value, options.def */
#define MAX_FILE_PAGES	((u64)1 << (63 - PAGE_SHIFT))
#define STACK_GUARD_GAP (256 * PAGE_SIZE)

void vm_stat_account(struct mm_struct *mm, u32 flags, struct file *file, s64 pages)
{
	mm->total_vm += (u64)pages;
	if (file) {
		mm->shared_vm += (u64)pages;
		if ((flags & (VM_EXEC | VM_WRITE)) == VM_EXEC)
			mm->exec_vm += (u64)pages;
	} else if (flags & VM_GROWSDOWN) {
		mm->stack_vm += (u64)pages;
	}
}

static bool is_data_mapping(u32 flags)
{
	return (flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) == VM_WRITE;
}

static bool may_expand_data(struct ctx *cx, const struct mm_struct *mm, u32 flags, u64 pages)
{
	/* 4.4 counts none of this, so it is counted when somebody has set a limit. */
	if (!is_data_mapping(flags) || cx->m->cfg.limit_data == LIMIT_DATA_NONE ||
	    !differs(cx, DIFF_data_counts_private))
		return true;
	for (const struct vm_area_struct *vma = mm->mmap; vma; vma = vma->vm_next) {
		STEP(cx);
		if (is_data_mapping(vma->vm_flags))
			pages += vma_pages(vma);
	}
	return pages <= cx->m->cfg.limit_data;
}

bool may_expand_vm(struct ctx *cx, const struct mm_struct *mm, u32 flags, u64 pages)
{
	return mm->total_vm + pages <= cx->m->cfg.limit_as && may_expand_data(cx, mm, flags, pages);
}

int data_future_check(struct ctx *cx, const struct mm_struct *mm, u32 oldflags, u32 newflags,
		      u64 pages)
{
	if (!differs(cx, DIFF_data_counts_private) || !is_data_mapping(newflags) ||
	    is_data_mapping(oldflags))
		return 0;
	return over_limit(cx, SITE_mprotect_data, !may_expand_data(cx, mm, newflags, pages))
		       ? -ENOMEM
		       : 0;
}

/* ---- stack growth (facts §7.15) ------------------------------------------------------------- */

/* A gap below a stack took the place of the guard page within it. */
static bool has_guard_page(const struct ctx *cx)
{
	return cx->m->cfg.stack_guard && !differs(cx, DIFF_stack_guard_gap);
}

u64 vm_start_gap(const struct ctx *cx, const struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_GROWSDOWN) || !differs(cx, DIFF_stack_guard_gap))
		return vma->vm_start;
	return vma->vm_start > STACK_GUARD_GAP ? vma->vm_start - STACK_GUARD_GAP : 0;
}

/* Would vma, grown down to address, come too near to what is below it? */
static bool too_near(const struct ctx *cx, const struct vm_area_struct *vma, u64 address)
{
	const struct vm_area_struct *prev = vma->vm_prev;

	if (!prev || (prev->vm_flags & VM_GROWSDOWN))
		return false;
	if (!differs(cx, DIFF_stack_guard_gap))
		return prev->vm_end == address;
	return (prev->vm_flags & VM_ACCESS_FLAGS) && address - prev->vm_end < STACK_GUARD_GAP;
}

/* May vma become size bytes long, by grow pages? Charges them. -ENOMEM. */
static int acct_stack_growth(struct ctx *cx, struct vm_area_struct *vma, u64 size, u64 grow)
{
	struct mm_struct *mm = vma->vm_mm;

	if (over_limit(cx, SITE_expand_stack_as, !may_expand_vm(cx, mm, vma->vm_flags, grow)))
		return -ENOMEM;
	/* The guard page is no part of what the limit is about. */
	if (has_guard_page(cx))
		size -= PAGE_SIZE;
	if (over_limit(cx, SITE_expand_stack_size, size >> PAGE_SHIFT > cx->m->cfg.limit_stack))
		return -ENOMEM;
	if (mlock_future_check(cx, mm, vma->vm_flags, grow << PAGE_SHIFT,
			       SITE_expand_stack_memlock))
		return -ENOMEM;
	/* What is not accounted would never be given back: 4.4 charges it all the same. */
	if (!(vma->vm_flags & VM_ACCOUNT))
		return 0;
	return security_vm_enough_memory_mm(cx, mm, grow, SITE_expand_stack_acct);
}

int expand_stack(struct ctx *cx, struct vm_area_struct *vma, u64 address)
{
	struct mm_struct *mm = vma->vm_mm;
	u64 grow;
	int err;

	address &= PAGE_MASK;
	if (too_near(cx, vma, address))
		return -ENOMEM;
	if (anon_vma_prepare(cx, vma))
		return -ENOMEM;
	if (address >= vma->vm_start)
		return 0;
	grow = (vma->vm_start - address) >> PAGE_SHIFT;
	if (grow > vma->vm_pgoff)
		return -ENOMEM;
	err = acct_stack_growth(cx, vma, vma->vm_end - address, grow);
	if (err)
		return err;
	if (vma->vm_flags & VM_LOCKED)
		mm->locked_vm += grow;
	vm_stat_account(mm, vma->vm_flags, vma->vm_file, (s64)grow);
	err = vma_adjust(cx, vma, address, vma->vm_end, vma->vm_pgoff - grow, NULL);
	BUG_ON(cx, err); /* what only moves its start needs nothing of a neighbour */
	(void)khugepaged_enter_vma_merge(cx, vma, vma->vm_flags, SITE_khugepaged_merge_slot);
	return 0;
}

bool stack_guard_page_start(const struct ctx *cx, const struct vm_area_struct *vma, u64 address)
{
	const struct vm_area_struct *prev = vma->vm_prev;

	if (!has_guard_page(cx) || !(vma->vm_flags & VM_GROWSDOWN))
		return false;
	/* The upper part of a stack that was split has the lower part for that. */
	return vma->vm_start == address &&
	       !(prev && prev->vm_end == address && (prev->vm_flags & VM_GROWSDOWN));
}

int check_stack_guard_page(struct ctx *cx, struct vm_area_struct *vma, u64 address)
{
	if (!stack_guard_page_start(cx, vma, address))
		return 0;
	if (vma->vm_prev && vma->vm_prev->vm_end == address)
		return -ENOMEM;
	return expand_stack(cx, vma, address - PAGE_SIZE);
}

/*
 * No VMA reaches over start or end after this. vma is the first above start. 0, or -ENOMEM with the
 * same bytes mapped as before, if perhaps in more pieces.
 */
static int split_range(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma, u64 start,
		       u64 end)
{
	int err;

	if (start > vma->vm_start) {
		/* A hole in the middle leaves one VMA more than there was. */
		if (end < vma->vm_end && over_limit(cx, SITE_munmap_map_count,
						    (u64)mm->map_count >= cx->m->cfg.max_map_count))
			return -ENOMEM;
		err = __split_vma(cx, mm, vma, start, false);
		if (err)
			return err;
	}
	vma = find_vma(cx, mm, end);
	return vma && end > vma->vm_start ? __split_vma(cx, mm, vma, end, true) : 0;
}

/* ---- mmap ----------------------------------------------------------------------------------- */

/* Private and writable: each page may become a copy, which is promised memory now. */
static bool accountable_mapping(u32 vm_flags)
{
	return (vm_flags & (VM_NORESERVE | VM_SHARED | VM_WRITE)) == VM_WRITE;
}

/* Makes a hole of [addr, addr + len) and finds the place in list and tree to fill it. */
static int clear_old_mappings(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 len,
			      struct vm_area_struct **prev, struct rb_node ***link,
			      struct rb_node **parent)
{
	while (find_vma_links(cx, mm, addr, addr + len, prev, link, parent)) {
		STEP(cx);
		if (do_munmap(cx, mm, addr, len))
			return -ENOMEM;
	}
	return 0;
}

static struct vm_area_struct *vma_alloc(struct ctx *cx, enum fl_site site, struct mm_struct *mm,
					u64 start, u64 end, u32 vm_flags, pgoff_t pgoff)
{
	struct vm_area_struct *vma;

	vma = kmem_cache_alloc(cx, CACHE_vm_area_struct, site, GFP_KERNEL | __GFP_ZERO);
	if (!vma)
		return NULL;
	vma->vm_mm = mm;
	vma->vm_start = start;
	vma->vm_end = end;
	vma->vm_flags = vm_flags;
	vma->vm_page_prot = vm_get_page_prot(vm_flags);
	vma->vm_pgoff = pgoff;
	INIT_LIST_HEAD(&vma->anon_vma_chain);
	return vma;
}

static u64 count_vma_pages_range(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 end)
{
	struct vm_area_struct *vma;
	u64 nr_pages = 0;

	for (vma = find_vma_intersection(cx, mm, addr, end); vma && vma->vm_start < end;
	     vma = vma->vm_next) {
		STEP(cx);
		nr_pages += (min_u64(end, vma->vm_end) - max_u64(addr, vma->vm_start)) >>
			    PAGE_SHIFT;
	}
	return nr_pages;
}

/*
 * What a mapping with these flags holds of its file while it is made: 0, or an errno and nothing.
 * What denies writing is an image, and that is never shared.
 */
static int hold_file(struct file *file, u32 vm_flags)
{
	if (vm_flags & VM_DENYWRITE)
		return deny_write_access(file->f_inode);
	return vm_flags & VM_SHARED ? mapping_map_writable(&file->f_inode->i_data) : 0;
}

static void release_file(struct file *file, u32 vm_flags)
{
	if (vm_flags & VM_SHARED)
		mapping_unmap_writable(&file->f_inode->i_data);
	if (vm_flags & VM_DENYWRITE)
		allow_write_access(file->f_inode);
}

/* A VMA that is in no list yet, with its object or with what is held of its file. NULL: *err. */
static struct vm_area_struct *new_mapping(struct ctx *cx, struct mm_struct *mm, struct file *file,
					  u64 addr, u64 len, u32 vm_flags, pgoff_t pgoff, int *err)
{
	struct vm_area_struct *vma;

	vma = vma_alloc(cx, SITE_mmap_region_vma, mm, addr, addr + len, vm_flags, pgoff);
	*err = vma ? 0 : -ENOMEM;
	if (file && vma)
		*err = hold_file(file, vm_flags);
	else if (vma && (vm_flags & VM_SHARED))
		*err = shmem_zero_setup(cx, vma);
	if (*err && vma) {
		kmem_cache_free(cx, CACHE_vm_area_struct, vma);
		vma = NULL;
	}
	return vma;
}

/* Cuts what is mapped at [addr, end) out of its neighbours; what is promised there in *accounted.
 */
static int cut_old_mappings(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 end, u64 *accounted)
{
	struct vm_area_struct *vma = find_vma_intersection(cx, mm, addr, end);
	int err;

	if (!vma)
		return 0;
	err = split_range(cx, mm, vma, addr, end);
	if (err)
		return err;
	for (vma = find_vma(cx, mm, addr); vma && vma->vm_start < end; vma = vma->vm_next) {
		STEP(cx);
		if (vma->vm_flags & VM_ACCOUNT)
			*accounted += vma_pages(vma);
	}
	return 0;
}

/*
 * From the moment that the old mappings are gone a failure leaves a hole (facts §7.9, A-49). Later
 * kernels have everything at hand before that, but for what the file's ->mmap() says.
 */
static u64 mmap_region(struct ctx *cx, struct mm_struct *mm, struct file *file, u64 addr, u64 len,
		       u32 vm_flags, pgoff_t pgoff)
{
	u64 charged = 0, replaced = 0, pages = len >> PAGE_SHIFT;
	bool keeps_old = differs(cx, DIFF_fixed_keeps_old);
	struct vm_area_struct *vma, *prev, *fresh = NULL;
	struct rb_node **link, *parent;
	int err = -ENOMEM;

	/* What has to make way counts for the new mapping, be it fixed or not (B-07). */
	if (over_limit(cx, SITE_mmap_region_as,
		       !may_expand_vm(cx, mm, vm_flags, pages) &&
			       !may_expand_vm(cx, mm, vm_flags,
					      pages - count_vma_pages_range(cx, mm, addr,
									    addr + len))))
		return (u64)-ENOMEM;
	if (keeps_old ? cut_old_mappings(cx, mm, addr, addr + len, &replaced)
		      : clear_old_mappings(cx, mm, addr, len, &prev, &link, &parent))
		return (u64)-ENOMEM;

	if (accountable_mapping(vm_flags)) {
		charged = pages;
		if (security_vm_enough_memory_mm(cx, mm, pages - replaced, SITE_mmap_region_acct))
			return (u64)-ENOMEM;
		/* The charge of what makes way is for the new mapping, until the old gives it back.
		 */
		vm_acct_memory(cx, replaced);
		vm_flags |= VM_ACCOUNT;
	}
	if (keeps_old) {
		fresh = new_mapping(cx, mm, file, addr, len, vm_flags, pgoff, &err);
		if (!fresh)
			goto unacct_error;
		err = clear_old_mappings(cx, mm, addr, len, &prev, &link, &parent);
		BUG_ON(cx, err); /* it is cut to size */
	}

	vma = vma_merge(cx, mm, prev, addr, addr + len, vm_flags, NULL, file, pgoff, NULL, NULL);
	if (vma) {
		if (fresh && file)
			release_file(file, vm_flags);
		if (fresh)
			kmem_cache_free(cx, CACHE_vm_area_struct, fresh);
		goto out;
	}
	vma = fresh;
	if (!vma)
		vma = new_mapping(cx, mm, file, addr, len, vm_flags, pgoff, &err);
	if (!vma)
		goto unacct_error;

	if (file) {
		vma->vm_file = get_file(cx, file);
		if (fl_should_fail(cx, SITE_mmap_region_hook, 0)) {
			err = -ENODEV;
			goto unmap_and_free_vma;
		}
		if (file->f_inode->aio_ring)
			vm_flags = vma->vm_flags |= VM_DONTEXPAND;
	}

	vma_link(cx, mm, vma, prev, link, parent);
	/* The link holds its own counts; these were only for the time of ->mmap(). */
	if (file)
		release_file(file, vm_flags);
	file = vma->vm_file;
out:
	vm_stat_account(mm, vm_flags, file, (s64)pages);
	if (vm_flags & VM_LOCKED) {
		if (vm_flags & VM_SPECIAL)
			vma->vm_flags &= VM_LOCKED_CLEAR_MASK;
		else
			mm->locked_vm += pages;
	}
	vma->vm_flags |= VM_SOFTDIRTY;
	vma_set_page_prot(vma);
	return addr;

unmap_and_free_vma:
	vma->vm_file = NULL;
	fput(cx, file);
	/* What a driver may have mapped before it failed. The charge is still ours (B-03). */
	unmap_region(cx, mm, vma, prev, vma->vm_start, vma->vm_end);
	release_file(file, vm_flags);
	kmem_cache_free(cx, CACHE_vm_area_struct, vma);
unacct_error:
	vm_unacct_memory(cx, charged);
	return (u64)err;
}

/* May file be mapped this way? Takes from *vm_flags what the file will never allow. */
static int file_mmap_permission(const struct file *file, u32 prot, u32 flags, u32 *vm_flags)
{
	switch (flags & MAP_TYPE) {
	case MAP_SHARED:
		if ((prot & PROT_WRITE) && !(file->f_mode & FMODE_WRITE))
			return -EACCES;
		*vm_flags |= VM_SHARED | VM_MAYSHARE;
		if (!(file->f_mode & FMODE_WRITE))
			*vm_flags &= ~(VM_MAYWRITE | VM_SHARED);
		break;
	case MAP_PRIVATE:
		break;
	default:
		return -EINVAL;
	}
	if (!(file->f_mode & FMODE_READ))
		return -EACCES;
	if (!(file->f_mode & FMODE_EXEC)) {
		if (prot & PROT_EXEC)
			return -EPERM;
		*vm_flags &= ~VM_MAYEXEC;
	}
	if (*vm_flags & VM_GROWSDOWN)
		return -EINVAL;
	return 0;
}

u64 do_mmap(struct ctx *cx, struct mm_struct *mm, struct file *file, u64 addr, u64 len, u32 prot,
	    u32 flags, u32 vm_flags, pgoff_t pgoff)
{
	bool noreplace;
	int err;

	assert_held_write(cx, &mm->mmap_sem);
	if (!len)
		return (u64)-EINVAL;
	if (file && (flags & MAP_TYPE) == MAP_SHARED_VALIDATE &&
	    differs(cx, DIFF_shared_validate)) {
		if (flags & ~MAP_KNOWN)
			return (u64)-EOPNOTSUPP;
		flags = (flags & ~MAP_TYPE) | MAP_SHARED;
	}
	noreplace = (flags & MAP_FIXED_NOREPLACE) && differs(cx, DIFF_fixed_noreplace);
	if (noreplace)
		flags |= MAP_FIXED;
	/* A hint is rounded down: within page 0 it is none. mmap_min_addr is 0 here. */
	if (!(flags & MAP_FIXED))
		addr &= PAGE_MASK;
	len = PAGE_ALIGN(len);
	if (!len)
		return (u64)-ENOMEM;
	if (pgoff + (len >> PAGE_SHIFT) < pgoff)
		return (u64)-EOVERFLOW;
	if (file && pgoff + (len >> PAGE_SHIFT) > MAX_FILE_PAGES && differs(cx, DIFF_file_limit))
		return (u64)-EOVERFLOW;
	/* Above the limit, not at it: one more than max_map_count can be had (facts §9.3). */
	if (over_limit(cx, SITE_mmap_map_count, (u64)mm->map_count > cx->m->cfg.max_map_count))
		return (u64)-ENOMEM;

	addr = get_unmapped_area(cx, mm, addr, len, flags);
	if (IS_ERR_VALUE(addr))
		return addr;
	if (noreplace && find_vma_intersection(cx, mm, addr, addr + len))
		return (u64)-EEXIST;

	vm_flags |= (prot & VM_ACCESS_FLAGS) | mm->def_flags | VM_MAYREAD | VM_MAYWRITE |
		    VM_MAYEXEC;
	if (flags & MAP_GROWSDOWN)
		vm_flags |= VM_GROWSDOWN;
	if (flags & MAP_LOCKED) {
		if (!can_do_mlock(cx))
			return (u64)-EPERM;
		vm_flags |= VM_LOCKED;
	}
	err = mlock_future_check(cx, mm, vm_flags, len, SITE_mmap_memlock);
	if (err)
		return (u64)err;
	if (file) {
		err = file_mmap_permission(file, prot, flags, &vm_flags);
		if (err)
			return (u64)err;
	} else {
		switch (flags & MAP_TYPE) {
		case MAP_SHARED:
			if (vm_flags & VM_GROWSDOWN)
				return (u64)-EINVAL;
			pgoff = 0;
			vm_flags |= VM_SHARED | VM_MAYSHARE;
			break;
		case MAP_PRIVATE:
			pgoff = addr >> PAGE_SHIFT;
			break;
		default:
			return (u64)-EINVAL;
		}
	}
	/* Strict accounting does not honour the wish to go without. */
	if ((flags & MAP_NORESERVE) && cx->m->cfg.overcommit != 2)
		vm_flags |= VM_NORESERVE;

	return mmap_region(cx, mm, file, addr, len, vm_flags, pgoff);
}

/* Of more than there is memory for, not even the beginning is worth the while. */
static bool may_populate(const struct ctx *cx, u64 len, u32 flags)
{
	return !(flags & MAP_NONBLOCK) &&
	       len >> PAGE_SHIFT <= min_u64(cx->m->cfg.mem, POPULATE_MAX);
}

s64 sys_mmap(struct ctx *cx, u64 addr, u64 len, u32 prot, u32 flags, struct file *file, u64 offset)
{
	struct mm_struct *mm = cx->curr->mm;
	bool populate;
	u64 ret;

	if (!mm || offset_in_page(offset))
		return -EINVAL;
	if (flags & MAP_ANONYMOUS)
		file = NULL;
	else if (!file)
		return -EBADF;

	down_write(cx, &mm->mmap_sem);
	ret = do_mmap(cx, mm, file, addr, len, prot, flags, 0, offset >> PAGE_SHIFT);
	populate = (mm->def_flags & VM_LOCKED) || (flags & MAP_LOCKED);
	if (flags & MAP_POPULATE)
		populate |= may_populate(cx, len, flags);
	up_write(cx, &mm->mmap_sem);
	if (populate && !IS_ERR_VALUE(ret))
		mm_populate(cx, mm, ret, PAGE_ALIGN(len));
	return (s64)ret;
}

/* ---- remap_file_pages, as a mapping of its own (facts §16 B-15) ------------------------------ */

/* Do the VMAs from vma on cover everything up to end without a gap, all of one kind? */
static bool one_mapping(struct ctx *cx, const struct vm_area_struct *vma, u64 end)
{
	const struct vm_area_struct *next = vma;

	while (next->vm_end < end) {
		STEP(cx);
		next = next->vm_next;
		if (!next || next->vm_start != next->vm_prev->vm_end)
			return false;
		if (next->vm_file != vma->vm_file || next->vm_flags != vma->vm_flags)
			return false;
	}
	return true;
}

static u64 do_remap_file_pages(struct ctx *cx, struct mm_struct *mm, u64 start, u64 size,
			       pgoff_t pgoff, u32 flags)
{
	struct vm_area_struct *vma = find_vma(cx, mm, start);
	struct file *file;
	u64 ret;

	if (!vma || !(vma->vm_flags & VM_SHARED) || start < vma->vm_start)
		return (u64)-EINVAL;
	if (!one_mapping(cx, vma, start + size))
		return (u64)-EINVAL;
	/* what is there already needs no mapping */
	if (pgoff == linear_page_index(vma, start))
		return 0;

	/* What it replaces unlocks its pages as it goes: nothing is left for us to do (B-15). */
	flags |= MAP_SHARED | MAP_FIXED | MAP_POPULATE;
	if (vma->vm_flags & VM_LOCKED)
		flags |= MAP_LOCKED;
	/* the last mapping of the file may be the one that goes */
	file = get_file(cx, vma->vm_file);
	ret = do_mmap(cx, mm, file, start, size, vma->vm_flags & VM_ACCESS_FLAGS, flags, 0, pgoff);
	fput(cx, file);
	return ret;
}

s64 sys_remap_file_pages(struct ctx *cx, u64 start, u64 size, u32 prot, u64 pgoff, u32 flags)
{
	struct mm_struct *mm = cx->curr->mm;
	u64 ret;

	if (!mm || prot)
		return -EINVAL;
	start &= PAGE_MASK;
	size &= PAGE_MASK;
	if (start + size <= start || pgoff + (size >> PAGE_SHIFT) < pgoff)
		return -EINVAL;

	flags &= MAP_NONBLOCK;
	down_write(cx, &mm->mmap_sem);
	ret = do_remap_file_pages(cx, mm, start, size, pgoff, flags);
	up_write(cx, &mm->mmap_sem);
	if (ret && !IS_ERR_VALUE(ret) && may_populate(cx, size, flags))
		mm_populate(cx, mm, start, size);
	return IS_ERR_VALUE(ret) ? (s64)ret : 0;
}

/* ---- munmap --------------------------------------------------------------------------------- */

struct vm_area_struct *remove_vma(struct ctx *cx, struct vm_area_struct *vma)
{
	struct vm_area_struct *next = vma->vm_next;

	BUG_ON(cx, !list_empty(&vma->anon_vma_chain));
	if (vma->vm_file)
		fput(cx, vma->vm_file);
	mpol_put(cx, vma->vm_policy);
	kmem_cache_free(cx, CACHE_vm_area_struct, vma);
	return next;
}

static void remove_vma_list(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma)
{
	u64 nr_accounted = 0;

	update_hiwater_vm(mm);
	while (vma) {
		u64 nrpages = vma_pages(vma);

		STEP(cx);
		if (vma->vm_flags & VM_ACCOUNT)
			nr_accounted += nrpages;
		vm_stat_account(mm, vma->vm_flags, vma->vm_file, -(s64)nrpages);
		vma = remove_vma(cx, vma);
	}
	vm_unacct_memory(cx, nr_accounted);
}

/* The VMAs from vma on that begin below end are to go. */
static void munlock_vmas(struct ctx *cx, struct mm_struct *mm, struct vm_area_struct *vma, u64 end)
{
	for (; vma && vma->vm_start < end; vma = vma->vm_next) {
		STEP(cx);
		if (!(vma->vm_flags & VM_LOCKED))
			continue;
		mm->locked_vm -= vma_pages(vma);
		munlock_vma_pages_range(cx, vma, vma->vm_start, vma->vm_end);
	}
}

int do_munmap(struct ctx *cx, struct mm_struct *mm, u64 start, u64 len)
{
	u64 task_size = cx->m->geo.task_size;
	struct vm_area_struct *vma, *prev;
	u64 end;
	int err;

	assert_held_write(cx, &mm->mmap_sem);
	if (offset_in_page(start) || start > task_size || len > task_size - start)
		return -EINVAL;
	len = PAGE_ALIGN(len);
	if (!len)
		return -EINVAL;
	end = start + len;

	vma = find_vma(cx, mm, start);
	if (!vma || vma->vm_start >= end)
		return 0;
	prev = start > vma->vm_start ? vma : vma->vm_prev;
	err = split_range(cx, mm, vma, start, end);
	if (err)
		return err;

	/* Nothing fails from here on. */
	vma = prev ? prev->vm_next : mm->mmap;
	if (mm->locked_vm)
		munlock_vmas(cx, mm, vma, end);
	detach_vmas_to_be_unmapped(cx, mm, vma, prev, end);
	unmap_region(cx, mm, vma, prev, start, end);
	remove_vma_list(cx, mm, vma);
	return 0;
}

int vm_munmap(struct ctx *cx, struct mm_struct *mm, u64 start, u64 len)
{
	int err;

	down_write(cx, &mm->mmap_sem);
	err = do_munmap(cx, mm, start, len);
	up_write(cx, &mm->mmap_sem);
	return err;
}

s64 sys_munmap(struct ctx *cx, u64 addr, u64 len)
{
	struct mm_struct *mm = cx->curr->mm;
	int err;

	if (!mm)
		return -EINVAL;
	if (mmap_lock_killable(cx, mm, SITE_mmap_lock))
		return -EINTR;
	err = do_munmap(cx, mm, addr, len);
	up_write(cx, &mm->mmap_sem);
	return err;
}

/* ---- brk ------------------------------------------------------------------------------------ */

u64 do_brk(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 len)
{
	u32 flags = VM_DATA_DEFAULT_FLAGS | VM_ACCOUNT | mm->def_flags;
	pgoff_t pgoff = addr >> PAGE_SHIFT;
	struct vm_area_struct *vma, *prev;
	struct rb_node **link, *parent;
	u64 ret;

	assert_held_write(cx, &mm->mmap_sem);
	len = PAGE_ALIGN(len);
	if (!len)
		return addr;
	ret = get_unmapped_area(cx, mm, addr, len, MAP_FIXED);
	if (IS_ERR_VALUE(ret))
		return ret;
	if (mlock_future_check(cx, mm, mm->def_flags, len, SITE_do_brk_memlock))
		return (u64)-EAGAIN;
	if (clear_old_mappings(cx, mm, addr, len, &prev, &link, &parent))
		return (u64)-ENOMEM;
	if (over_limit(cx, SITE_do_brk_as, !may_expand_vm(cx, mm, flags, len >> PAGE_SHIFT)))
		return (u64)-ENOMEM;
	if (over_limit(cx, SITE_do_brk_map_count, (u64)mm->map_count > cx->m->cfg.max_map_count))
		return (u64)-ENOMEM;
	if (security_vm_enough_memory_mm(cx, mm, len >> PAGE_SHIFT, SITE_do_brk_acct))
		return (u64)-ENOMEM;

	vma = vma_merge(cx, mm, prev, addr, addr + len, flags, NULL, NULL, pgoff, NULL, NULL);
	if (vma)
		goto out;
	vma = vma_alloc(cx, SITE_do_brk_vma, mm, addr, addr + len, flags, pgoff);
	if (!vma) {
		vm_unacct_memory(cx, len >> PAGE_SHIFT);
		return (u64)-ENOMEM;
	}
	vma_link(cx, mm, vma, prev, link, parent);
out:
	/* Of the statistics, only this one counts a heap in 4.4. */
	mm->total_vm += len >> PAGE_SHIFT;
	if (flags & VM_LOCKED)
		mm->locked_vm += len >> PAGE_SHIFT;
	vma->vm_flags |= VM_SOFTDIRTY;
	return addr;
}

s64 sys_brk(struct ctx *cx, u64 brk)
{
	struct mm_struct *mm = cx->curr->mm;
	const struct vm_area_struct *next;
	u64 newbrk, oldbrk, ret;
	bool populate = false;

	if (!mm)
		return 0;
	down_write(cx, &mm->mmap_sem);
	/* where it is already, nothing is in its way */
	if (brk < mm->start_brk || brk == mm->brk)
		goto out;
	if (over_limit(cx, SITE_brk_data,
		       (brk - mm->start_brk) >> PAGE_SHIFT >= cx->m->cfg.limit_data &&
			       brk - mm->start_brk > cx->m->cfg.limit_data << PAGE_SHIFT))
		goto out;
	newbrk = PAGE_ALIGN(brk);
	oldbrk = PAGE_ALIGN(mm->brk);
	if (oldbrk == newbrk)
		goto set_brk;

	if (brk <= mm->brk) {
		if (differs(cx, DIFF_brk_shrink_needs_vma) &&
		    !find_vma_intersection(cx, mm, newbrk, oldbrk))
			goto out;
		if (do_munmap(cx, mm, newbrk, oldbrk - newbrk))
			goto out;
		goto set_brk;
	}

	/* One free page stays between the heap and what is above it. */
	next = find_vma(cx, mm, oldbrk);
	if (next && newbrk + PAGE_SIZE > vm_start_gap(cx, next))
		goto out;
	if (do_brk(cx, mm, oldbrk, newbrk - oldbrk) != oldbrk)
		goto out;
	populate = mm->def_flags & VM_LOCKED;

set_brk:
	mm->brk = brk;
out:
	ret = mm->brk;
	up_write(cx, &mm->mmap_sem);
	if (populate)
		mm_populate(cx, mm, oldbrk, newbrk - oldbrk);
	return (s64)ret;
}

/* ---- the end -------------------------------------------------------------------------------- */

/*
 * Nobody uses the address space any more: no lock is needed. It asks for memory only to go faster
 * (gather batches), and must come to its end without.
 */
void exit_mmap(struct ctx *cx, struct mm_struct *mm)
{
	struct vm_area_struct *vma = mm->mmap;
	struct mmu_gather tlb;
	u64 nr_accounted = 0;

	/* the last chance for others who have translations */
	mmu_notifier_release(cx, mm);

	if (mm->locked_vm)
		munlock_vmas(cx, mm, vma, ~(u64)0);
	if (!vma) /* dup_mmap() failed before its first VMA */
		return;

	tlb_gather_mmu(cx, &tlb, mm, 0, ~(u64)0);
	unmap_vmas(cx, &tlb, vma, 0, ~(u64)0);
	free_pgtables(cx, &tlb, vma, 0, 0);
	tlb_finish_mmu(cx, &tlb, 0, ~(u64)0);

	/* A CPU that is lazy in this mm keeps the struct alive: it shall not name what is gone. */
	mm->mmap = NULL;
	mm->mm_rb.node = NULL;
	while (vma) {
		STEP(cx);
		if (vma->vm_flags & VM_ACCOUNT)
			nr_accounted += vma_pages(vma);
		vma = remove_vma(cx, vma);
	}
	vm_unacct_memory(cx, nr_accounted);
}
