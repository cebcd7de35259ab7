/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a new mapping goes (facts §7.16, §21). The searches find the highest, or lowest, hole that
 * fits, exactly: a subtree without a hole of that size is not entered, and of those with one at
 * most the two that the limits cut can disappoint. The tree knows holes as they are; where a gap
 * below a stack stays free, those few disappoint too.
 */
#include "internal.h"

#define HUGE_SIZE ((u64)2 << 20)

static inline struct vm_area_struct *vma_of(const struct rb_node *node)
{
	return rb_entry(node, struct vm_area_struct, vm_rb);
}

static inline u64 gap_start_of(const struct vm_area_struct *vma)
{
	return vma->vm_prev ? vma->vm_prev->vm_end : 0;
}

static inline bool has_gap(const struct rb_node *node, u64 length)
{
	return node && vma_of(node)->rb_subtree_gap >= length;
}

/* Highest address whose length bytes are free within [low_limit, high_limit), or -ENOMEM. */
static u64 unmapped_area_topdown(struct ctx *cx, const struct mm_struct *mm, u64 length,
				 u64 low_limit, u64 high_limit)
{
	const struct rb_node *node = mm->mm_rb.node;
	u64 last_start, first_end; /* of a hole that can be used */
	bool right_done = false;

	if (high_limit < low_limit || high_limit - low_limit < length)
		return (u64)-ENOMEM;
	last_start = high_limit - length;
	first_end = low_limit + length;

	if (mm->highest_vm_end <= last_start)
		return last_start;
	if (!has_gap(node, length))
		return (u64)-ENOMEM;

	for (;;) {
		const struct vm_area_struct *vma = vma_of(node);
		u64 gap_start = gap_start_of(vma), gap_end = vma->vm_start;

		STEP(cx);
		if (!right_done && gap_start <= last_start && has_gap(node->right, length)) {
			node = node->right;
			continue;
		}
		if (gap_end < first_end)
			return (u64)-ENOMEM;
		if (gap_start <= last_start && vm_start_gap(cx, vma) >= first_end &&
		    vm_start_gap(cx, vma) >= gap_start + length)
			return min_u64(vm_start_gap(cx, vma), high_limit) - length;
		if (has_gap(node->left, length)) {
			node = node->left;
			right_done = false;
			continue;
		}
		while (node->parent && node->parent->left == node)
			node = node->parent;
		node = node->parent;
		if (!node)
			return (u64)-ENOMEM;
		right_done = true;
	}
}

/* Lowest address whose length bytes are free within [low_limit, high_limit), or -ENOMEM. */
static u64 unmapped_area(struct ctx *cx, const struct mm_struct *mm, u64 length, u64 low_limit,
			 u64 high_limit)
{
	const struct rb_node *node = mm->mm_rb.node;
	u64 last_start, first_end;
	bool left_done = false;

	if (high_limit < low_limit || high_limit - low_limit < length)
		return (u64)-ENOMEM;
	last_start = high_limit - length;
	first_end = low_limit + length;

	if (!has_gap(node, length))
		node = NULL;
	while (node) {
		const struct vm_area_struct *vma = vma_of(node);
		u64 gap_start = gap_start_of(vma), gap_end = vma->vm_start;

		STEP(cx);
		if (!left_done && gap_end >= first_end && has_gap(node->left, length)) {
			node = node->left;
			continue;
		}
		if (gap_start > last_start)
			return (u64)-ENOMEM;
		if (vm_start_gap(cx, vma) >= first_end &&
		    vm_start_gap(cx, vma) >= gap_start + length)
			return max_u64(gap_start, low_limit);
		if (has_gap(node->right, length)) {
			node = node->right;
			left_done = false;
			continue;
		}
		while (node->parent && node->parent->right == node)
			node = node->parent;
		node = node->parent;
		left_done = true;
	}
	if (mm->highest_vm_end > last_start)
		return (u64)-ENOMEM;
	return max_u64(mm->highest_vm_end, low_limit);
}

/*
 * Programs keep bits of their own in addresses of more than 47 bits: only who asks above the window
 * gets memory there, and no mapping lies on both sides by chance (facts §14).
 */
static bool hint_fits(const struct pt_geometry *geo, u64 addr, u64 len)
{
	if (geo->task_size - len < addr)
		return false;
	return (addr > geo->map_window) == (addr + len > geo->map_window);
}

static u64 arch_get_unmapped_area_topdown(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 len)
{
	const struct pt_geometry *geo = &cx->m->geo;
	u64 high_limit = mm->mmap_base, end = geo->map_window;

	if (addr) {
		const struct vm_area_struct *vma;

		addr = PAGE_ALIGN(addr);
		vma = find_vma(cx, mm, addr);
		if (hint_fits(geo, addr, len) && (!vma || addr + len <= vm_start_gap(cx, vma)))
			return addr;
	}
	if (addr > geo->map_window) {
		high_limit += geo->task_size - geo->map_window;
		end = geo->task_size;
	}
	addr = unmapped_area_topdown(cx, mm, len, PAGE_SIZE, high_limit);
	if (!IS_ERR_VALUE(addr))
		return addr;
	/* Full below mmap_base: there may be room above it. */
	return unmapped_area(cx, mm, len, mm->mmap_legacy_base, end);
}

/* Room for len bytes from a multiple of 2 MiB on, or an error: then anywhere will do. */
static u64 huge_unmapped_area(struct ctx *cx, struct mm_struct *mm, u64 len)
{
	u64 addr = arch_get_unmapped_area_topdown(cx, mm, 0, len + HUGE_SIZE), up;

	if (IS_ERR_VALUE(addr))
		return addr;
	/* From the top: a whole step up when the room begins at a multiple already. */
	up = -addr & (HUGE_SIZE - 1);
	return addr + (up ? up : HUGE_SIZE);
}

static bool wants_huge(const struct ctx *cx, u64 addr, u64 len, u32 map_flags)
{
	return !addr && (map_flags & MAP_ANONYMOUS) && (map_flags & MAP_PRIVATE) &&
	       !(map_flags & MAP_32BIT) && cx->m->geo.levels >= 4 && !(len & (HUGE_SIZE - 1)) &&
	       differs(cx, DIFF_aligned_anon);
}

/* Where code of the small model can reach it: bottom-up in the second GiB. */
static u64 arch_get_unmapped_area_32bit(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 len)
{
	const u64 begin = 0x40000000, end = 0x80000000;

	if (len > end)
		return (u64)-ENOMEM;
	if (addr) {
		const struct vm_area_struct *vma;

		addr = PAGE_ALIGN(addr);
		vma = find_vma(cx, mm, addr);
		if (end - len >= addr && (!vma || addr + len <= vm_start_gap(cx, vma)))
			return addr;
	}
	return unmapped_area(cx, mm, len, begin, end);
}

u64 get_unmapped_area(struct ctx *cx, struct mm_struct *mm, u64 addr, u64 len, u32 map_flags)
{
	u64 task_size = cx->m->geo.task_size;

	if (len > task_size)
		return (u64)-ENOMEM;
	if (!(map_flags & MAP_FIXED)) {
		u64 huge = (u64)-ENOMEM;

		if (wants_huge(cx, addr, len, map_flags))
			huge = huge_unmapped_area(cx, mm, len);
		if ((map_flags & MAP_32BIT) && cx->m->geo.levels > 3)
			addr = arch_get_unmapped_area_32bit(cx, mm, addr, len);
		else
			addr = !IS_ERR_VALUE(huge)
				       ? huge
				       : arch_get_unmapped_area_topdown(cx, mm, addr, len);
		if (IS_ERR_VALUE(addr))
			return addr;
	}
	if (addr > task_size - len)
		return (u64)-ENOMEM;
	if (offset_in_page(addr))
		return (u64)-EINVAL;
	return addr;
}
