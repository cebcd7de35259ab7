/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What takes every mm to know: references, the commit equation, pages and slab objects that
 * somebody can reach. Recounts live in the `seen` fields; a mm whose VMAs cannot be walked stops
 * the rows that would only repeat, wrongly, that its part is missing.
 */
#include "checks.h"

struct totals {
	u64 aio_nr;
	u64 objects[NR_CACHES];
	u64 account_pages, nr_ptes, charged, nr_shmem;
	u64 module_refs[NR_BINFMTS];
	bool sound;
};

/* ---- the machine's own lists ---------------------------------------------------------------- */

/* Both lists are rings. Everything else follows a file to its inode. */
static bool check_inodes_of_files(struct chk *c)
{
	const struct file *file;

	list_for_each_entry(file, &c->m->files, files) {
		const struct file_inode *inode;
		bool found = false;

		list_for_each_entry(inode, &c->m->inodes, inodes)
			found |= inode == file->f_inode;
		if (!chk_true(c, CHK_file_list, __func__, chk_obj(OBJ_MACHINE, c->m, 0), found,
			      "a live inode of each file", "none"))
			return false;
	}
	return true;
}

static bool check_lists(struct chk *c, struct totals *t)
{
	const struct machine *m = c->m;
	struct chk_obj obj = chk_obj(OBJ_MACHINE, m, 0);
	bool ok;
	u64 n;

	ok = chk_true(c, CHK_task_list, __func__, obj,
		      chk_ring(&m->tasks, chk_bound(m, CACHE_task_struct), &n), "a ring of tasks",
		      "links that do not match") &&
	     chk_eq(c, CHK_task_list, __func__, obj, m->nr_tasks, n);
	t->objects[CACHE_task_struct] = n + m->cfg.cpus;
	ok &= chk_true(c, CHK_mm_list, __func__, obj,
		       chk_ring(&m->mms, chk_bound(m, CACHE_mm_struct), &n), "a ring of mms",
		       "links that do not match") &&
	      chk_eq(c, CHK_mm_list, __func__, obj, m->nr_mms, n);
	t->objects[CACHE_mm_struct] = n;
	ok &= chk_true(c, CHK_file_list, __func__, obj,
		       chk_ring(&m->files, chk_bound(m, CACHE_file), &n), "a ring of files",
		       "links that do not match");
	t->objects[CACHE_file] = n;
	ok &= chk_true(c, CHK_file_list, __func__, obj,
		       chk_ring(&m->inodes, chk_bound(m, CACHE_inode), &n), "a ring of inodes",
		       "links that do not match");
	t->objects[CACHE_inode] = n;
	return ok && check_inodes_of_files(c);
}

static void clear_seen(struct machine *m)
{
	struct file_inode *inode;
	struct mm_struct *mm;
	struct file *file;

	for (u32 i = 0; i < m->nr_chunks; i++) {
		for (u32 j = 0; j < MEM_MAP_CHUNK; j++) {
			m->mem_map[i][j].seen[SEEN_MAPPED] = 0;
			m->mem_map[i][j].seen[SEEN_CACHED] = 0;
		}
	}
	for (u32 i = 0; i < m->swap.max; i++)
		m->swap.slots[i].seen[SEEN_MAPPED] = 0;
	list_for_each_entry(file, &m->files, files)
		file->seen[SEEN_REFERENCES] = 0;
	list_for_each_entry(inode, &m->inodes, inodes) {
		for (unsigned int i = 0; i < ARRAY_SIZE(inode->seen); i++)
			inode->seen[i] = 0;
	}
	list_for_each_entry(mm, &m->mms, mms) {
		mm->seen[SEEN_USERS] = mm->seen[SEEN_LAZY] = 0;
		mm->seen[SEEN_STATE] = MM_SOUND;
	}
	m->init_mm.seen[SEEN_USERS] = m->init_mm.seen[SEEN_LAZY] = 0;
}

/* ---- tasks and CPUs ------------------------------------------------------------------------- */

bool chk_is_live_mm(const struct machine *m, const struct mm_struct *mm)
{
	const struct mm_struct *pos;

	if (mm == &m->init_mm)
		return true;
	list_for_each_entry(pos, &m->mms, mms) {
		if (pos == mm)
			return true;
	}
	return false;
}

/* A task whose active_mm is a live mm, and its own if it has one. */
static void check_user(struct chk *c, struct task_struct *tsk)
{
	struct chk_obj obj = chk_obj(OBJ_TASK, tsk, 0);
	bool kthread = tsk->flags & PF_KTHREAD, dumped = false;
	u64 pins = 0;

	if (tsk->mm && !kthread)
		tsk->mm->seen[SEEN_USERS]++;
	else
		tsk->active_mm->seen[SEEN_LAZY]++;
	for (unsigned int i = 0; i < NR_MM_PINS; i++)
		pins += c->m->pins[i].user == tsk && c->m->pins[i].users &&
			c->m->pins[i].mm == tsk->mm;
	chk_eq(c, CHK_mm_in_use, __func__, obj, kthread && tsk->mm, pins);
	if (tsk->mm && !kthread)
		dumped = tsk->mm->core_state && tsk->mm->core_state != &tsk->core;
	chk_true(c, CHK_core_users, __func__, obj, (tsk->state == TASK_PARKED) == dumped,
		 dumped ? "parked: its mm is dumped" : "not parked", dumped ? "not" : "parked");
}

static void check_task(struct chk *c, struct task_struct *tsk, struct totals *t)
{
	const struct machine *m = c->m;
	struct chk_obj obj = chk_obj(OBJ_TASK, tsk, 0);
	unsigned int on_cpu = 0;

	for (unsigned int cpu = 0; cpu < m->cfg.cpus; cpu++)
		on_cpu += m->rqs[cpu].curr == tsk;
	chk_eq(c, CHK_task_usage, __func__, obj, (tsk->state != TASK_DEAD) + on_cpu,
	       (u64)(s64)atomic_read(&tsk->usage));
	if (tsk->mempolicy) {
		chk_eq(c, CHK_policy_refs, __func__, obj, 1,
		       (u64)(s64)atomic_read(&tsk->mempolicy->refcnt));
		t->objects[CACHE_numa_policy]++;
	}
	t->objects[CACHE_pid] += tsk->pid_obj != NULL;
	chk_utask(c, tsk, t->objects);
	if (tsk->stack)
		tsk->stack->seen[SEEN_MAPPED]++;

	if (!chk_true(c, CHK_active_mm, __func__, obj, !tsk->mm || tsk->active_mm == tsk->mm,
		      "active_mm: its mm", "another mm, or none"))
		return;
	if (!tsk->active_mm) {
		chk_eq(c, CHK_active_mm, __func__, obj, 0, on_cpu);
		return;
	}
	if (!chk_true(c, CHK_active_mm, __func__, obj, chk_is_live_mm(m, tsk->active_mm),
		      "a live mm", "one that has been freed")) {
		t->sound = false;
		return;
	}
	check_user(c, tsk);
}

static void check_cpu(struct chk *c, unsigned int cpu)
{
	const struct machine *m = c->m;
	const struct rq *rq = &m->rqs[cpu];
	struct chk_obj obj = chk_obj(OBJ_CPU, rq, cpu);

	chk_true(c, CHK_cpu_mm, __func__, obj, !rq->prev_mm, "prev_mm: none, the switch is over",
		 "an mm");
	/* a CPU that only borrows an mm may have been made to leave its tables */
	chk_true(c, CHK_cpu_mm, __func__, obj,
		 rq->curr && (rq->loaded == rq->curr->active_mm ||
			      (!rq->curr->mm && rq->loaded == &m->init_mm)),
		 "the tables of its task's active_mm", "others");
}

/* Each object is judged at the first task of the list that has it. */
static void check_share(struct chk *c, const struct task_struct *tsk, enum task_share share,
			struct totals *t)
{
	const atomic_t *count = chk_share(tsk, share);
	const struct task_struct *pos;
	bool dead = tsk->state == TASK_DEAD;
	u64 holders = 0;

	if (share != SHARE_io_context)
		chk_true(c, CHK_task_shares_held, __func__, chk_obj(OBJ_TASK, tsk, 0),
			 (count != NULL) == (!dead || share == SHARE_cred || share == SHARE_signal),
			 "what a task of its state has", "one too few or too many");
	if (!count)
		return;
	list_for_each_entry(pos, &c->m->tasks, tasks) {
		if (chk_share(pos, share) != count)
			continue;
		if (!holders && pos != tsk)
			return;
		holders++;
	}
	t->objects[CACHE_OF_SHARE(share)]++;
	chk_eq(c, CHK_task_shares, __func__, chk_obj(OBJ_TASK, tsk, 0), holders,
	       (u64)(s64)atomic_read(count));
}

static bool is_user(const struct machine *m, const struct mm_holder *pin)
{
	const struct task_struct *tsk;

	list_for_each_entry(tsk, &m->tasks, tasks)
		if (tsk == pin->user)
			return (tsk->flags & PF_KTHREAD) && tsk->mm == pin->mm;
	return false;
}

/* The holders that are no tasks: slots of the machine. */
static void check_slots(struct chk *c)
{
	struct machine *m = c->m;
	struct chk_obj obj = chk_obj(OBJ_MACHINE, m, 0);

	for (unsigned int i = 0; i < NR_MM_PINS; i++) {
		struct mm_struct *mm = m->pins[i].mm;

		if (!mm || !chk_true(c, CHK_mm_holders, __func__, obj, chk_is_live_mm(m, mm),
				     "pins of live mms", "one of an mm that has been freed"))
			continue;
		mm->seen[m->pins[i].users ? SEEN_USERS : SEEN_LAZY]++;
		chk_true(c, CHK_mm_in_use, __func__, obj,
			 !m->pins[i].user || is_user(m, &m->pins[i]),
			 "a kernel thread with the mm that it works in", "none, or without");
	}
	for (unsigned int i = 0; i < NR_NOTIFIERS; i++) {
		const struct mmu_notifier *mn = &m->notifiers[i];

		chk_eq(c, CHK_notifier_open, __func__, obj, 0, mn->open);
		chk_true(c, CHK_notifier_list, __func__, obj, mn->mm || list_empty(&mn->hlist),
			 "free notifiers on no list", "one on a list");
		if (!mn->mm ||
		    !chk_true(c, CHK_mm_holders, __func__, obj, chk_is_live_mm(m, mn->mm),
			      "notifiers of live mms", "one of an mm that has been freed"))
			continue;
		mn->mm->seen[SEEN_LAZY]++;
		chk_eq(c, CHK_notifier_released, __func__, obj, list_empty(&mn->hlist),
		       mn->released);
	}
}

/* Each slot is of a live mm that knows of it, which is counted; then those mms are, too. */
static void check_daemon(struct chk *c, enum mm_daemon_id id, struct totals *t)
{
	static const enum fl_cache caches[NR_MM_DAEMONS] = {
		[KSMD] = CACHE_ksm_mm_slot,
		[KHUGEPAGED] = CACHE_khugepaged_mm_slot,
	};
	const struct mm_daemon *d = &c->m->daemons[id];
	struct chk_obj obj = chk_obj(OBJ_MACHINE, c->m, 0);
	bool cursor = !d->cursor;
	struct mm_struct *mm;
	struct mm_slot *slot;
	u64 nr, flagged = 0;

	if (!chk_true(c, CHK_mm_slots, __func__, obj,
		      chk_ring(&d->mm_head, chk_bound(c->m, caches[id]), &nr), "a ring of slots",
		      "links that do not match")) {
		t->sound = false;
		return;
	}
	list_for_each_entry(slot, &d->mm_head, mm_node) {
		cursor |= slot == d->cursor;
		if (!chk_true(c, CHK_mm_slots, __func__, obj,
			      chk_is_live_mm(c->m, slot->mm) && slot->mm->flags & mm_slot_flag(id),
			      "slots of live mms that know of it", "another one"))
			continue;
		slot->mm->seen[SEEN_LAZY]++;
	}
	list_for_each_entry(mm, &c->m->mms, mms)
		flagged += (mm->flags & mm_slot_flag(id)) != 0;
	chk_eq(c, CHK_mm_slots, __func__, obj, flagged, nr);
	chk_true(c, CHK_mm_slots, __func__, obj, cursor, "a cursor at one of the slots",
		 "somewhere else");
	chk_true(c, CHK_shared_locks, __func__, obj, !d->lock.writer && !d->lock.readers,
		 "lock of a daemon's list: free", "held");
	t->objects[caches[id]] += nr;
}

/* Which notifiers are on the mm's list: those that it has not released. */
static void check_notifiers(struct chk *c, struct mm_struct *mm, struct totals *t)
{
	const struct mmu_notifier_mm *holder = mm->mmu_notifier_mm;
	u64 expected = 0, nr = 0;

	for (unsigned int i = 0; i < NR_NOTIFIERS; i++)
		expected += c->m->notifiers[i].mm == mm && !c->m->notifiers[i].released;
	if (holder) {
		t->objects[CACHE_mmu_notifier_mm]++;
		if (!chk_true(c, CHK_notifier_list, __func__, chk_obj(OBJ_MM, mm, 0),
			      chk_ring(&holder->list, NR_NOTIFIERS, &nr), "a ring of notifiers",
			      "links that do not match"))
			return;
		chk_true(c, CHK_shared_locks, __func__, chk_obj(OBJ_MM, mm, 0),
			 !holder->lock.writer && !holder->lock.readers,
			 "lock of its notifiers: free", "held");
	}
	chk_eq(c, CHK_notifier_list, __func__, chk_obj(OBJ_MM, mm, 0), expected, nr);
}

static void check_tasks(struct chk *c, struct totals *t)
{
	struct machine *m = c->m;
	struct task_struct *tsk;

	list_for_each_entry(tsk, &m->tasks, tasks) {
		check_task(c, tsk, t);
		for (unsigned int i = 0; i < NR_SHARES; i++)
			check_share(c, tsk, (enum task_share)i, t);
	}
	check_slots(c);
	chk_uffds(c, t->objects);
	for (unsigned int i = 0; i < NR_MM_DAEMONS; i++)
		check_daemon(c, (enum mm_daemon_id)i, t);
	for (unsigned int cpu = 0; cpu < m->cfg.cpus; cpu++) {
		check_task(c, m->rqs[cpu].idle, t);
		check_cpu(c, cpu);
	}
}

/* ---- mms ------------------------------------------------------------------------------------ */

static void check_holders(struct chk *c, struct mm_struct *mm)
{
	struct chk_obj obj = chk_obj(OBJ_MM, mm, 0);
	u32 mask = 0;

	chk_eq(c, CHK_mm_users, __func__, obj, mm->seen[SEEN_USERS],
	       (u64)(s64)atomic_read(&mm->mm_users));
	chk_eq(c, CHK_mm_count, __func__, obj, (mm->seen[SEEN_USERS] > 0) + mm->seen[SEEN_LAZY],
	       (u64)(s64)atomic_read(&mm->mm_count));
	for (unsigned int cpu = 0; cpu < c->m->cfg.cpus; cpu++)
		mask |= (u32)(c->m->rqs[cpu].loaded == mm) << cpu;
	chk_true(c, CHK_cpu_mask_own, __func__, obj,
		 mm->cpu_vm_mask_var == (c->m->cfg.cpumask_offstack ? &mm->cpu_vm_mask : NULL),
		 "its own mask", "another one");
	chk_eq_hex(c, CHK_cpu_mask, __func__, obj, mask, mm->cpu_vm_mask);
}

static void check_chains(struct chk *c, struct mm_struct *mm, struct totals *t)
{
	if (atomic_read(&mm->mm_users) <= 0) {
		mm->seen[SEEN_STATE] = MM_DEAD;
		return;
	}
	if (!chk_chains(c, mm, &t->objects[CACHE_anon_vma_chain])) {
		mm->seen[SEEN_STATE] = MM_DAMAGED;
		t->sound = false;
	}
}

static void check_mm(struct chk *c, struct mm_struct *mm, struct mm_scan *s, struct totals *t)
{
	struct machine *m = c->m;
	bool alive = mm->seen[SEEN_STATE] == MM_SOUND;

	if (mm->seen[SEEN_STATE] != MM_DAMAGED)
		chk_tables(c, mm, s, true);
	if (mm->context.ldt) {
		t->objects[CACHE_ldt_struct]++;
		mm->context.ldt->entries->seen[SEEN_MAPPED]++;
	}
	if (mm->exe_file)
		mm->exe_file->seen[SEEN_REFERENCES]++;
	t->aio_nr += chk_aio(c, mm, t->objects);
	chk_xol(c, mm, t->objects);
	chk_mm_rest(c, mm);
	t->objects[CACHE_pgd] += m->geo.shared_kernel_pmd;
	t->objects[CACHE_ptl] += s->nr_ptls;
	t->nr_ptes += s->nr_ptes;
	if (mm->seen[SEEN_STATE] == MM_DAMAGED)
		return;
	chk_tlb(c, mm);
	chk_rss(c, mm, s);
	if (!alive)
		return;
	chk_counters(c, mm, s);
	chk_file_vmas(mm);
	t->objects[CACHE_anon_vma] += chk_anon_vmas(c, mm);
	for (unsigned int i = 0; i < NR_BINFMTS; i++)
		t->module_refs[i] += mm->binfmt && mm->binfmt->module == &m->modules[i];
}

/* The sums of an mm's VMAs are needed only once the chains of all mms are known to be sound. */
static void check_mms(struct chk *c, struct totals *t)
{
	struct machine *m = c->m;
	struct task_struct *tsk;
	struct mm_struct *mm;

	list_for_each_entry(mm, &m->mms, mms) {
		struct mm_scan s = {0};

		check_holders(c, mm);
		check_notifiers(c, mm, t);
		if (atomic_read(&mm->mm_users) > 0 && !chk_structure(c, mm, &s)) {
			mm->seen[SEEN_STATE] = MM_DAMAGED;
			t->sound = false;
			continue;
		}
		check_chains(c, mm, t);
		t->objects[CACHE_vm_area_struct] += s.nr_vmas;
		t->objects[CACHE_numa_policy] += s.nr_policies;
		t->account_pages += s.account_pages;
	}
	list_for_each_entry(tsk, &m->tasks, tasks) {
		/* a kernel thread's is never looked at */
		if (tsk->mm && !(tsk->flags & PF_KTHREAD) && chk_is_live_mm(m, tsk->mm) &&
		    tsk->mm->seen[SEEN_STATE] == MM_SOUND)
			chk_vmacache(c, tsk);
	}
	list_for_each_entry(mm, &m->mms, mms) {
		struct mm_scan s = {0};

		if (mm->seen[SEEN_STATE] == MM_SOUND)
			chk_sum(mm, &s);
		check_mm(c, mm, &s, t);
	}
	if (!t->sound)
		return;
	list_for_each_entry(mm, &m->mms, mms) {
		if (mm->seen[SEEN_STATE] == MM_SOUND)
			chk_anon_vma_counts(c, mm);
	}
}

/* init_mm has no VMAs; its pgd and the tables under the kernel half are the machine's. */
static void check_init_mm(struct chk *c, struct totals *t)
{
	struct machine *m = c->m;
	struct mm_struct *mm = &m->init_mm;
	struct page *pgd = mm->pgd;

	chk_eq(c, CHK_mm_count, __func__, chk_obj(OBJ_MM, mm, 0), 1 + (u64)mm->seen[SEEN_LAZY],
	       (u64)(s64)atomic_read(&mm->mm_count));
	chk_true(c, CHK_mm_locks, __func__, chk_obj(OBJ_MM, mm, 0),
		 !mm->mmap_sem.writer && !mm->mmap_sem.readers && !mm->page_table_lock.writer &&
			 !mm->page_table_lock.readers,
		 "locks of init_mm: free", "held");
	chk_tlb(c, mm);
	if (!chk_true(c, CHK_page_holder, __func__, chk_obj(OBJ_MACHINE, m, 0),
		      m->zero_page && m->zero_page->type == PAGE_ZERO, "a page of zeroes",
		      "none")) {
		t->sound = false;
		return;
	}
	m->zero_page->seen[SEEN_MAPPED]++;
	for (unsigned int i = 0; m->vdso_mapping.pages[i]; i++)
		m->vdso_mapping.pages[i]->seen[SEEN_CACHED]++;
	if (m->vvar_page)
		m->vvar_page->seen[SEEN_CACHED]++;
	if (m->huge_zero_page)
		m->huge_zero_page->seen[SEEN_CACHED]++;
	pgd->seen[SEEN_MAPPED]++;
	t->objects[CACHE_ptl] += pgd->ptl != NULL;
	for (unsigned int i = m->geo.kernel_boundary; i < m->geo.ptrs[PT_PGD]; i++) {
		struct page *pt = chk_page(m, pte_pfn(pt_get(pgd, i)));

		if (!pt || pt->type == PAGE_FREE || pte_none(pt_get(pgd, i)))
			continue;
		pt->seen[SEEN_MAPPED]++;
		t->objects[CACHE_ptl] += pt->ptl != NULL;
	}
}

/* ---- files ---------------------------------------------------------------------------------- */

static void check_page_cache(struct chk *c, struct file_inode *inode)
{
	const struct address_space *mapping = &inode->i_data;
	struct chk_obj obj = chk_obj(OBJ_INODE, inode, 0);
	u64 nodes, next_index = 0;

	if (!chk_true(c, CHK_page_cache, __func__, obj,
		      !rb_check(&mapping->page_tree, c->m->nr_alloc[PAGE_FILE] + 1, &nodes),
		      "a red-black tree", "colours, heights, parents or marks that are not of one"))
		return;
	chk_eq(c, CHK_page_cache, __func__, obj, nodes, mapping->nr_pages);
	for (struct rb_node *n = rb_first(&mapping->page_tree); n; n = rb_next(n)) {
		struct page *page = rb_entry(n, struct page, cache_node);

		if (!chk_true(c, CHK_page_cache, __func__, chk_obj(OBJ_PAGE, page, 0),
			      page->type == PAGE_FILE && page->mapping == mapping &&
				      page->index >= next_index && page->index < inode->size,
			      "a page of this cache, by index", "another one"))
			return;
		next_index = page->index + 1;
		page->seen[SEEN_CACHED]++;
	}
}

static void check_shmem(struct chk *c, const struct file_inode *inode, struct totals *t)
{
	u64 charge = 0;

	if (inode->shmem) {
		charge = inode->noreserve ? inode->i_data.nr_pages : inode->size;
		t->nr_shmem += inode->i_data.nr_pages;
	}
	t->charged += inode->charged;
	chk_eq(c, CHK_shmem_charge, __func__, chk_obj(OBJ_INODE, inode, 0), charge, inode->charged);
}

static bool is_nameless(const struct file *file)
{
	return file->f_inode->shmem || file->f_inode->aio_ring || file->private_data;
}

static void check_files(struct chk *c, struct totals *t)
{
	struct machine *m = c->m;
	struct file_inode *inode;
	struct file *file;

	list_for_each_entry(file, &m->files, files) {
		struct chk_obj obj = chk_obj(OBJ_FILE, file, 0);

		if (t->sound)
			chk_eq(c, CHK_file_refs, __func__, obj,
			       (u64)file->seen[SEEN_REFERENCES] + file->opened,
			       (u64)(s64)atomic_read(&file->f_count));
		chk_true(c, CHK_file_dentry, __func__, obj,
			 file->f_dentry
				 ? is_nameless(file) && file->f_dentry->d_inode == file->f_inode
				 : !is_nameless(file),
			 "a dentry of its inode, or none", "not so");
		t->objects[CACHE_dentry] += file->f_dentry != NULL;
		file->f_inode->seen[SEEN_OPEN]++;
		file->f_inode->seen[SEEN_WRITERS] += !!(file->f_mode & FMODE_WRITE);
	}
	list_for_each_entry(inode, &m->inodes, inodes) {
		chk_eq(c, CHK_inode_refs, __func__, chk_obj(OBJ_INODE, inode, 0),
		       inode->seen[SEEN_OPEN], (u64)(s64)atomic_read(&inode->i_count));
		check_page_cache(c, inode);
		check_shmem(c, inode, t);
		if (t->sound)
			chk_mapping(c, inode);
	}
}

/* ---- pages ---------------------------------------------------------------------------------- */

static void check_page(struct chk *c, const struct page *page)
{
	struct chk_obj obj = chk_obj(OBJ_PAGE, page, 0);
	u64 mapped = page->seen[SEEN_MAPPED];
	u64 refs = mapped + page->seen[SEEN_CACHED] + (page->swap != 0);

	switch (page->type) {
	case PAGE_ANON:
	case PAGE_FILE:
	case PAGE_KERNEL:
		chk_true(c, CHK_swap_cache, __func__, obj,
			 !page->swap || (page->swap < c->m->swap.max &&
					 c->m->swap.slots[page->swap].page == page),
			 "the cached page of the slot that it names", "not");
		chk_eq(c, CHK_page_refcount, __func__, obj, refs,
		       (u64)(s64)atomic_read(&page->_refcount));
		break;
	case PAGE_HUGE_ZERO:
		chk_eq(c, CHK_page_refcount, __func__, obj, refs,
		       (u64)(s64)atomic_read(&page->_refcount));
		mapped = 0;
		break;
	case PAGE_TAIL:
		chk_true(c, CHK_huge_tail, __func__, obj,
			 page->block && PageTransHuge(page->block) &&
				 page->pfn - page->block->pfn < hpage_nr(c->m) && !refs &&
				 !atomic_read(&page->_refcount),
			 "part of a huge page, without references", "something else");
		break;
	default:
		chk_eq(c, CHK_page_holder, __func__, obj, 1, mapped);
		chk_eq(c, CHK_page_refcount, __func__, obj, 1,
		       (u64)(s64)atomic_read(&page->_refcount));
		mapped = 0;
	}
	chk_eq(c, CHK_page_mapcount, __func__, obj, mapped, (u64)(s64)page->_mapcount);
	chk_true(c, CHK_huge_tail, __func__, obj,
		 !page->block || (page->block->block == page->block &&
				  page->pfn - page->block->pfn < hpage_nr(c->m)),
		 "part of the block that it was made with", "of none that it can be part of");
	chk_true(c, CHK_page_lazyfree, __func__, obj,
		 !page->lazyfree || (page->type == PAGE_ANON && !page->order && !page->swap),
		 "a small anonymous page outside the swap cache", "another one");
	if (page->type == PAGE_ANON && page->_mapcount > 0)
		chk_true(c, CHK_memcg_page, __func__, obj, !page->memcg == !c->m->cfg.memcg,
			 "charged to a group, where there are groups", "not so");
	else if (page->type != PAGE_ANON)
		chk_eq(c, CHK_memcg_page, __func__, obj, 0, page->memcg);
	chk_true(c, CHK_page_mlocked, __func__, obj, !page->mlocked || mapped != 0,
		 "entries that map it", "none, or no user page");
}

static void check_pages(struct chk *c)
{
	const struct machine *m = c->m;
	u64 types[NR_PAGE_TYPES] = {0}, charged[NR_MEMCGS + 1] = {0}, pages = 0, mlocked = 0;

	for (u32 i = 0; i < m->nr_chunks; i++) {
		for (u32 j = 0; j < MEM_MAP_CHUNK; j++) {
			const struct page *page = &m->mem_map[i][j];

			if (page->type == PAGE_FREE)
				continue;
			if (!chk_true(c, CHK_page_types, __func__, chk_obj(OBJ_PAGE, page, 0),
				      page->type < NR_PAGE_TYPES, "a known type", "another"))
				continue;
			check_page(c, page);
			/* a pgd from its slab cache has a descriptor but no page */
			if (page->type == PAGE_PGD && page != m->init_mm.pgd &&
			    m->geo.shared_kernel_pmd)
				continue;
			if (page->mlocked)
				mlocked += PageTransHuge(page) ? hpage_nr(m) : 1;
			charged[min_u64(page->memcg, NR_MEMCGS)] += (u64)1 << page->order;
			types[page->type]++;
			if (page->type != PAGE_TAIL)
				pages += (u64)1 << page->order;
		}
	}
	for (unsigned int i = 0; i < NR_PAGE_TYPES; i++)
		chk_eq(c, CHK_page_types, __func__, chk_obj(OBJ_TYPE, NULL, i), types[i],
		       m->nr_alloc[i]);
	for (unsigned int i = 0; i < NR_MEMCGS; i++)
		chk_eq(c, CHK_memcg_usage, __func__, chk_obj(OBJ_MACHINE, m, 0),
		       i ? charged[i + 1] : 0, m->memcgs[i].usage);
	chk_eq(c, CHK_pages_in_use, __func__, chk_obj(OBJ_MACHINE, m, 0), pages, m->pages_in_use);
	chk_eq(c, CHK_nr_mlock, __func__, chk_obj(OBJ_MACHINE, m, 0), mlocked, (u64)m->nr_mlock);
}

static void check_pgd_list(struct chk *c)
{
	const struct machine *m = c->m;
	struct chk_obj obj = chk_obj(OBJ_MACHINE, m, 0);
	const struct mm_struct *mm;
	const struct page *pgd;
	u64 nr;

	if (!chk_true(c, CHK_pgd_list, __func__, obj,
		      chk_ring(&m->pgd_list, (u64)m->nr_chunks * MEM_MAP_CHUNK, &nr),
		      "a ring of pgds", "links that do not match"))
		return;
	chk_eq(c, CHK_pgd_list, __func__, obj, m->geo.shared_kernel_pmd ? 0 : m->nr_mms, nr);
	list_for_each_entry(pgd, &m->pgd_list, lru)
		chk_true(c, CHK_pgd_list, __func__, chk_obj(OBJ_PAGE, pgd, 0),
			 pgd->type == PAGE_PGD && pgd->pt_mm && chk_is_live_mm(m, pgd->pt_mm) &&
				 pgd->pt_mm->pgd == pgd,
			 "the pgd of a live mm", "something else");
	if (m->geo.shared_kernel_pmd)
		return;
	list_for_each_entry(mm, &m->mms, mms)
		chk_true(c, CHK_pgd_list, __func__, chk_obj(OBJ_MM, mm, 0),
			 mm->pgd && mm->pgd->pt_mm == mm, "its pgd on the list", "not there");
}

/* ---- all ------------------------------------------------------------------------------------ */

static void check_totals(struct chk *c, const struct totals *t)
{
	const struct machine *m = c->m;
	struct chk_obj obj = chk_obj(OBJ_MACHINE, m, 0);

	chk_eq(c, CHK_committed, __func__, obj, t->account_pages + t->charged,
	       (u64)m->vm_committed_as);
	chk_eq(c, CHK_aio_nr, __func__, obj, t->aio_nr, m->aio_nr);
	chk_true(c, CHK_ioctx_free_work, __func__, obj, list_empty(&m->aio_free_work),
		 "none to be freed", "one");
	chk_eq(c, CHK_nr_shmem, __func__, obj, t->nr_shmem, m->nr_shmem);
	chk_eq(c, CHK_nr_pagetable, __func__, obj, t->nr_ptes, (u64)m->nr_pagetable);
	for (unsigned int i = 0; i < NR_BINFMTS; i++)
		chk_eq(c, CHK_module_refs, __func__, chk_obj(OBJ_MODULE, NULL, i),
		       t->module_refs[i], (u64)(s64)m->modules[i].refcnt);
	for (unsigned int i = 0; i < NR_CACHES; i++)
		chk_eq(c, CHK_slab_objects, __func__, chk_obj(OBJ_CACHE, NULL, i), t->objects[i],
		       m->caches[i].live);
}

void chk_machine(struct chk *c)
{
	struct machine *m = c->m;
	struct chk_obj obj = chk_obj(OBJ_MACHINE, m, 0);
	struct totals t = {.sound = true};

	if (!check_lists(c, &t))
		return;
	clear_seen(m);
	check_tasks(c, &t);
	check_mms(c, &t);
	check_init_mm(c, &t);
	check_files(c, &t);
	check_pgd_list(c);
	chk_mmlist(c);
	if (t.sound) {
		chk_swap(c);
		check_pages(c);
		check_totals(c, &t);
	}
	chk_eq(c, CHK_check_alerts, __func__, obj, 0, m->check_alerts);
	chk_eq(c, CHK_locks_held, __func__, obj, 0, m->locks_held);
	chk_eq_hex(c, CHK_locks_held, __func__, obj, 0, m->lock_classes);
	for (unsigned int i = 0; i < NR_LOCK_CLASSES; i++)
		chk_eq(c, CHK_locks_held, __func__, obj, 0, m->lock_depth[i]);
	chk_true(c, CHK_shared_locks, __func__, obj, !m->pgd_lock.writer && !m->pgd_lock.readers,
		 "pgd_lock: free", "held");
}
