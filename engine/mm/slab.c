/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slab caches: one per kind of object (facts §1.4), each counting what it has given out.
 */
#include "internal.h"

static const struct {
	const char *name;
	size_t size, align;
} cache_info[NR_CACHES] = {
	[CACHE_mm_struct] = {"mm_struct", sizeof(struct mm_struct), 64},
	[CACHE_vm_area_struct] = {"vm_area_struct", sizeof(struct vm_area_struct), 8},
	[CACHE_anon_vma] = {"anon_vma", sizeof(struct anon_vma), 8},
	[CACHE_anon_vma_chain] = {"anon_vma_chain", sizeof(struct anon_vma_chain), 8},
	[CACHE_task_struct] = {"task_struct", sizeof(struct task_struct), 64},
	[CACHE_pid] = {"pid", sizeof(struct pid), 8},
	[CACHE_pgd] = {"pgd_cache", 4 * sizeof(pte_t), 32},
	[CACHE_ptl] = {"page->ptl", sizeof(fl_lock_t), 8},
	[CACHE_mmu_notifier_mm] = {"mmu_notifier_mm", sizeof(struct mmu_notifier_mm), 8},
	[CACHE_ldt_struct] = {"ldt_struct", sizeof(struct ldt_struct), 8},
	[CACHE_linux_binprm] = {"linux_binprm", sizeof(struct linux_binprm), 8},
	[CACHE_file] = {"filp", sizeof(struct file), 8},
	[CACHE_inode] = {"inode_cache", sizeof(struct file_inode), 8},
	[CACHE_dentry] = {"dentry", sizeof(struct dentry), 8},
	[CACHE_cred] = {"cred_jar", sizeof(struct cred), 8},
	[CACHE_files_struct] = {"files_cache", sizeof(struct files_struct), 8},
	[CACHE_fs_struct] = {"fs_cache", sizeof(struct fs_struct), 8},
	[CACHE_sighand_struct] = {"sighand_cache", sizeof(struct sighand_struct), 8},
	[CACHE_signal_struct] = {"signal_cache", sizeof(struct signal_struct), 8},
	[CACHE_nsproxy] = {"nsproxy", sizeof(struct nsproxy), 8},
	[CACHE_io_context] = {"blkdev_ioc", sizeof(struct io_context), 8},
	[CACHE_ksm_mm_slot] = {"ksm_mm_slot", sizeof(struct mm_slot), 8},
	[CACHE_numa_policy] = {"numa_policy", sizeof(struct mempolicy), 8},
	[CACHE_khugepaged_mm_slot] = {"khugepaged_mm_slot", sizeof(struct mm_slot), 8},
	[CACHE_kioctx] = {"kioctx", sizeof(struct kioctx), 8},
	[CACHE_xol_area] = {"xol_area", sizeof(struct xol_area), 8},
	[CACHE_xol_bitmap] = {"xol_bitmap", sizeof(u32), 8},
	[CACHE_uprobe_task] = {"uprobe_task", sizeof(struct uprobe_task), 8},
	[CACHE_return_instance] = {"return_instance", sizeof(struct return_instance), 8},
	[CACHE_userfaultfd_ctx] = {"userfaultfd_ctx_cache", sizeof(struct userfaultfd_ctx), 8},
	[CACHE_kiocb] = {"aio_kiocb", sizeof(struct aio_kiocb), 8},
	[CACHE_percpu] = {"percpu", sizeof(u64) * ARRAY_SIZE(((struct machine *)NULL)->rqs), 8},
};

int kmem_caches_init(struct machine *m)
{
	unsigned int i;

	for (i = 0; i < NR_CACHES; i++) {
		struct kmem_cache *s = &m->caches[i];

		s->name = cache_info[i].name;
		s->live = 0;
		s->handle = m->ops->cache_create(m->inst, s->name, cache_info[i].size,
						 cache_info[i].align);
		if (!s->handle)
			goto fail_caches;
	}
	return 0;

fail_caches:
	while (i--) {
		m->ops->cache_destroy(m->inst, m->caches[i].handle);
		m->caches[i].handle = NULL;
	}
	return -ENOMEM;
}

/* A cache with objects in it stays with the instance, and the backend's counts show it. */
void kmem_caches_exit(struct machine *m)
{
	unsigned int i;

	for (i = 0; i < NR_CACHES; i++) {
		m->ops->cache_destroy(m->inst, m->caches[i].handle);
		m->caches[i].handle = NULL;
	}
}

void *kmem_cache_alloc(struct ctx *cx, enum fl_cache cache, enum fl_site site, gfp_t gfp)
{
	struct machine *m = cx->m;
	struct kmem_cache *s = &m->caches[cache];
	void *obj;

	fl_might_alloc(cx, gfp, __func__);
	if (fl_should_fail(cx, site, gfp))
		return NULL;
	/* what has no site is never refused, the backend's page for it no more than itself */
	if (site == SITE_none)
		gfp |= __GFP_NOFAIL;
	obj = m->ops->cache_alloc(m->inst, s->handle, gfp | __GFP_CPU(cx->cpu));
	if (obj)
		s->live++;
	return obj;
}

void kmem_cache_free(struct ctx *cx, enum fl_cache cache, void *obj)
{
	struct machine *m = cx->m;
	struct kmem_cache *s = &m->caches[cache];

	BUG_ON(cx, !obj);
	BUG_ON(cx, s->live == 0);
	s->live--;
	m->ops->cache_free(m->inst, s->handle, obj);
}
