/* SPDX-License-Identifier: GPL-2.0-only */
/* The rows as data, and the text of a violation. Runs only when something is broken. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checks.h"

const struct fl_check_row fl_invariants[] = {
#define INVARIANT(id, name, oracle, what) {id, #name, what, oracle},
#include "invariants.def"
#undef INVARIANT
};
const unsigned int fl_nr_invariants = NR_CHK_ROWS;

static const char *const page_type_names[NR_PAGE_TYPES] = {
	"free",	     "anon",	"file",	     "pgd",   "pgd_user", "p4d",    "pud",
	"pmd",	     "pte",	"zero",	     "stack", "ldt",	  "gather", "tail",
	"huge_zero", "kmalloc", "swap_cont", "aio",   "kernel",
};

/* Place of an entry on a list, or -1; bounded, for the list may be what is broken. */
static long list_position(const struct list_head *h, const struct list_head *e, u64 max)
{
	const struct list_head *pos = h->next;

	for (u64 i = 0; i < max && pos && pos != h; i++, pos = pos->next) {
		if (pos == e)
			return (long)i;
	}
	return -1;
}

static void mm_name(const struct machine *m, const struct mm_struct *mm, char *buf, size_t len)
{
	long n;

	if (mm == &m->init_mm) {
		snprintf(buf, len, "init_mm");
		return;
	}
	n = mm ? list_position(&m->mms, &mm->mms, chk_bound(m, CACHE_mm_struct)) : -1;
	if (n >= 0)
		snprintf(buf, len, "mm#%ld", n);
	else
		snprintf(buf, len, "mm (not listed)");
}

static void obj_name(const struct machine *m, struct chk_obj o, char *buf, size_t len)
{
	char mm[32];

	switch (o.kind) {
	case OBJ_MACHINE:
		snprintf(buf, len, "machine");
		break;
	case OBJ_MM:
		mm_name(m, o.p, buf, len);
		break;
	case OBJ_VMA: {
		const struct vm_area_struct *vma = o.p;

		mm_name(m, vma->vm_mm, mm, sizeof(mm));
		snprintf(buf, len, "%s vma %#" PRIx64 "-%#" PRIx64, mm, vma->vm_start, vma->vm_end);
		break;
	}
	case OBJ_PTE:
		mm_name(m, o.p, mm, sizeof(mm));
		snprintf(buf, len, "%s address %#" PRIx64, mm, o.num);
		break;
	case OBJ_TASK: {
		const struct task_struct *tsk = o.p;

		snprintf(buf, len, "task pid %u%s", (unsigned int)tsk->pid,
			 tsk->flags & PF_IDLE ? " (idle)" : "");
		break;
	}
	case OBJ_FILE: {
		const struct file *file = o.p;

		snprintf(buf, len, "file#%ld of inode %u",
			 list_position(&m->files, &file->files, chk_bound(m, CACHE_file)),
			 (unsigned int)(file->f_inode ? file->f_inode->ino : 0));
		break;
	}
	case OBJ_INODE:
		snprintf(buf, len, "inode %u", (unsigned int)((const struct file_inode *)o.p)->ino);
		break;
	case OBJ_AV:
		snprintf(buf, len, "anon_vma seq %" PRIu64, ((const struct anon_vma *)o.p)->seq);
		break;
	case OBJ_PAGE: {
		const struct page *page = o.p;

		snprintf(buf, len, "page pfn %#" PRIx64 " (%s)", page->pfn,
			 page->type < NR_PAGE_TYPES ? page_type_names[page->type] : "no type");
		break;
	}
	case OBJ_MODULE:
		snprintf(buf, len, "module of binary format %" PRIu64, o.num);
		break;
	case OBJ_CPU:
		snprintf(buf, len, "cpu %" PRIu64, o.num);
		break;
	case OBJ_SLOT:
		snprintf(buf, len, "swap slot %" PRIu64, o.num);
		break;
	case OBJ_CACHE: {
		const char *name = m->caches[o.num].name;

		snprintf(buf, len, "slab cache %s", name ? name : "?");
		break;
	}
	case OBJ_TYPE:
		snprintf(buf, len, "pages of type %s", page_type_names[o.num]);
		break;
	}
}

static void deliver(struct chk *c, enum chk_row row, const char *func, struct chk_obj obj,
		    struct fl_violation *v)
{
	v->id = fl_invariants[row].id;
	v->name = fl_invariants[row].name;
	v->func = func;
	obj_name(c->m, obj, v->object, sizeof(v->object));
	c->nr++;
	if (c->fn)
		c->fn(c->priv, v);
}

void chk_report(struct chk *c, enum chk_row row, const char *func, struct chk_obj obj,
		enum chk_base base, u64 expected, u64 actual)
{
	const char *fmt = base == CHK_HEX ? "%#" PRIx64 : "%" PRId64;
	struct fl_violation v;

	snprintf(v.expected, sizeof(v.expected), fmt, expected);
	snprintf(v.actual, sizeof(v.actual), fmt, actual);
	deliver(c, row, func, obj, &v);
}

void chk_report_text(struct chk *c, enum chk_row row, const char *func, struct chk_obj obj,
		     const char *expected, const char *actual)
{
	struct fl_violation v;

	snprintf(v.expected, sizeof(v.expected), "%s", expected);
	snprintf(v.actual, sizeof(v.actual), "%s", actual);
	deliver(c, row, func, obj, &v);
}
