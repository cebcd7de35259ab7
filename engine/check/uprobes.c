/* SPDX-License-Identifier: GPL-2.0-only */
/* areas for stepping out of line, and the calls of tasks that are to be seen returning. */
#include "checks.h"

struct page *chk_xol_page(const struct machine *m, const struct mm_struct *mm)
{
	struct page *page;

	if (!mm->xol_area || atomic_read(&mm->mm_users) <= 0)
		return NULL;
	page = mm->xol_area->xol_mapping.pages[0];
	if (!page || chk_page(m, page->pfn) != page || page->type != PAGE_KERNEL)
		return NULL;
	return page;
}

void chk_xol(struct chk *c, const struct mm_struct *mm, u64 objects[NR_CACHES])
{
	const struct xol_area *area = mm->xol_area;
	struct page *page = chk_xol_page(c->m, mm);
	struct chk_obj obj = chk_obj(OBJ_MM, mm, 0);

	if (!chk_true(c, CHK_xol_area, __func__, obj,
		      !area || (page && !area->xol_mapping.pages[1]),
		      "none, or one with a page, of an mm in use", "not so") ||
	    !area)
		return;
	objects[CACHE_xol_area]++;
	page->seen[SEEN_CACHED]++;
	objects[CACHE_xol_bitmap]++;
	chk_true(c, CHK_xol_slots, __func__, obj,
		 area->bitmap && *area->bitmap == 1 && area->slot_count == 1,
		 "the first slot taken, and no other", "others, or a wrong count");
}

void chk_utask(struct chk *c, const struct task_struct *tsk, u64 objects[NR_CACHES])
{
	const struct uprobe_task *utask = tsk->utask;
	u64 nr = 0, max = chk_bound(c->m, CACHE_return_instance);

	if (!chk_true(c, CHK_utask_depth, __func__, chk_obj(OBJ_TASK, tsk, 0), !utask || tsk->mm,
		      "nothing of probes without an mm", "something") ||
	    !utask)
		return;
	objects[CACHE_uprobe_task]++;
	for (const struct return_instance *ri = utask->return_instances; ri && nr < max;
	     ri = ri->next)
		nr++;
	objects[CACHE_return_instance] += nr;
	chk_eq(c, CHK_utask_depth, __func__, chk_obj(OBJ_TASK, tsk, 0), nr, utask->depth);
}
