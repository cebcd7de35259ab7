/* SPDX-License-Identifier: GPL-2.0-only */
/* A model for a run: its beginning, its end, and what is kept of it meanwhile. */
#include "compare_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void first_image(struct target *t, const struct exec_image *image)
{
	struct compare *cmp = t->cmp;
	struct m_image im = {.seg = cmp->seg,
			     .nr_segs = image->nr_segments,
			     .start_brk = image->start_brk,
			     .stack_pages = image->stack_pages,
			     .exe = M_NONE,
			     .binfmt = image->binfmt};

	for (u32 i = 0; i < image->nr_segments; i++)
		cmp->seg[i] = (struct m_segment){.start = image->segments[i].start,
						 .len = image->segments[i].len,
						 .prot = image->segments[i].prot,
						 .obj = M_NONE};
	m_spawn(&cmp->m);
	cmp->m.in.free_lo = UINT64_MAX;
	m_exec(&cmp->m, 0, &im);
	cmp_accept(t, false);
}

void compare_begin(struct target *t, const struct exec_image *image)
{
	const struct machine_config *c = &t->opt.machine;
	struct compare *cmp = t->cmp;
	struct difference d = {0};
	const struct m_config cfg = {
		.levels = c->levels,
		.mem = c->mem,
		.swap = c->swap,
		.overcommit = c->overcommit,
		.overcommit_ratio = c->overcommit_ratio,
		.limit_as = c->limit_as,
		.limit_data = c->limit_data,
		.limit_stack = c->limit_stack,
		.limit_memlock = c->limit_memlock,
		.max_tasks = c->max_tasks,
		.limit_nproc = c->limit_nproc,
		.pid_max = c->pid_max,
		.cpus = c->cpus,
		.modern = c->profile == 1,
		/* a gap took its place */
		.stack_guard = c->stack_guard && c->profile == 0,
		.ldt = c->ldt,
		.ksm = c->ksm,
		.aio = c->aio,
		.uprobes = c->uprobes,
		.vdso = c->vdso,
		.mmu_notifier = c->mmu_notifier,
		.aio_max_nr = c->aio_max_nr,
		.thp = c->thp,
	};

	if (!cmp)
		return;
	cmp->off = cmp_unknown_option(c) != NULL || !image ||
		   m_reset(&cmp->m, &cfg, t->p->nr_defs[DEF_TASK] ? t->p->nr_defs[DEF_TASK] : 1);
	cmp->lasting = false;
	for (u32 i = 0; i < cmp->nr_files; i++)
		cmp->file[i] = M_NONE;
	if (cmp->off) {
		t->model.off++;
		snprintf(t->model.option, sizeof(t->model.option), "%s",
			 cmp_unknown_option(c) ? cmp_unknown_option(c) : "");
		return;
	}
	first_image(t, image);
	if (!cmp_same_everything(t, &d))
		cmp_report(t, NULL, &d);
}

void model_stats_add(struct model_stats *to, const struct model_stats *from)
{
	to->agreed += from->agreed;
	to->followed += from->followed;
	to->unchanged += from->unchanged;
	to->resynced += from->resynced;
	to->disagreed += from->disagreed;
	to->off += from->off;
	for (unsigned int i = 0; i < NR_OPS; i++)
		to->by_op[i] += from->by_op[i];
	if (from->option[0])
		memcpy(to->option, from->option, sizeof(to->option));
}

void model_stats_print(const struct model_stats *s, FILE *out)
{
	const char *sep = " (";

	fprintf(out,
		"Model: %" PRIu64 " ops agreed, %" PRIu64
		" were refused and left an allowed state, %" PRIu64 " disagreed, %" PRIu64
		" changed nothing, %" PRIu64 " not modelled",
		s->agreed, s->followed, s->disagreed, s->unchanged, s->resynced);
	for (unsigned int i = 0; i < NR_OPS; i++) {
		if (!s->by_op[i])
			continue;
		fprintf(out, "%s%s %" PRIu32, sep, op_table[i].name, s->by_op[i]);
		sep = ", ";
	}
	fprintf(out, "%s\n", *sep == ',' ? ")" : "");
	if (s->off)
		fprintf(out, "Model: none for %" PRIu64 " machines%s%s\n", s->off,
			s->option[0] ? ": it does not know the option " : " that have no task",
			s->option);
}

void compare_snapshot(struct target *t)
{
	struct compare *cmp = t->cmp;

	if (!cmp || cmp->off)
		return;
	m_copy(&cmp->kept, &cmp->m);
	cmp->kept_lasting = cmp->lasting;
	memcpy(cmp->kept_file, cmp->file, cmp->nr_files * sizeof(*cmp->file));
}

void compare_restore(struct target *t)
{
	struct compare *cmp = t->cmp;

	if (!cmp || cmp->off)
		return;
	m_copy(&cmp->m, &cmp->kept);
	cmp->lasting = cmp->kept_lasting;
	memcpy(cmp->file, cmp->kept_file, cmp->nr_files * sizeof(*cmp->file));
	if (cmp->m.lost)
		cmp->off = true;
}

struct compare *compare_new(const struct target *t)
{
	struct compare *cmp = calloc(1, sizeof(*cmp));

	if (!cmp)
		return NULL;
	cmp->nr_files = t->p->nr_defs[DEF_FILE] ? t->p->nr_defs[DEF_FILE] : 1;
	cmp->file = malloc(cmp->nr_files * sizeof(*cmp->file));
	cmp->kept_file = malloc(cmp->nr_files * sizeof(*cmp->file));
	if (cmp->file && cmp->kept_file)
		return cmp;
	compare_free(cmp);
	return NULL;
}

void compare_free(struct compare *cmp)
{
	if (!cmp)
		return;
	m_free(&cmp->m);
	m_free(&cmp->kept);
	free(cmp->file);
	free(cmp->kept_file);
	free(cmp);
}
