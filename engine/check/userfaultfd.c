/* SPDX-License-Identifier: GPL-2.0-only */
/* G-15: userfaultfds, whose descriptors lie in slots of the machine, and the mms that they hold. */
#include "checks.h"

u32 chk_uffd(const struct machine *m, const struct userfaultfd_ctx *ctx)
{
	for (u32 i = 0; ctx && i < NR_UFFDS; i++)
		if (m->uffds[i] && m->uffds[i]->private_data == ctx)
			return i + 1;
	return 0;
}

static bool is_open(const struct machine *m, const struct file *file)
{
	const struct file *pos;

	list_for_each_entry(pos, &m->files, files)
		if (pos == file)
			return true;
	return false;
}

void chk_uffds(struct chk *c, u64 objects[NR_CACHES])
{
	struct machine *m = c->m;
	struct chk_obj obj = chk_obj(OBJ_MACHINE, m, 0);
	const struct file *file;
	u64 files = 0, slots = 0;

	list_for_each_entry(file, &m->files, files)
		files += file->private_data != NULL;
	for (u32 i = 0; i < NR_UFFDS; i++) {
		struct userfaultfd_ctx *ctx;

		if (!m->uffds[i] || !chk_true(c, CHK_uffd_file, __func__, obj,
					      is_open(m, m->uffds[i]) && m->uffds[i]->private_data,
					      "files of userfaultfds", "another one"))
			continue;
		ctx = m->uffds[i]->private_data;
		slots++;
		chk_eq(c, CHK_uffd_file, __func__, obj, i + 1, chk_uffd(m, ctx));
		chk_eq(c, CHK_uffd_refs, __func__, obj, 1, (u64)(s64)atomic_read(&ctx->refcount));
		if (chk_true(c, CHK_mm_holders, __func__, obj, chk_is_live_mm(m, ctx->mm),
			     "userfaultfds of live mms", "one of an mm that has been freed"))
			ctx->mm->seen[SEEN_LAZY]++;
	}
	chk_eq(c, CHK_uffd_file, __func__, obj, files, slots);
	objects[CACHE_userfaultfd_ctx] = slots;
}
