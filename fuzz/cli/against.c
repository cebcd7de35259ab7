/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The oracle `backend`: what an operation gives, what it asks for and the state that it leaves are
 * the same whichever backend serves it.
 */
#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct step {
	struct outcome out;
	u32 met;
	u64 digest;
};

struct steps {
	struct target *t;
	struct step *v; /* room for every operation */
	u32 nr;
	u64 hash;
};

static void on_step(void *priv, const struct target_event *ev)
{
	struct steps *s = priv;

	s->v[s->nr++] = (struct step){
		.out = *ev->out,
		.met = s->t->opt.fi->op_index,
		.digest = target_subject.digest(s->t),
	};
}

/* One run on one backend. 0, or a negative errno: there is no machine. */
static int run_on_backend(struct worker *w, const struct program *p,
			  const struct machine_config *cfg, const struct fl_allocator_ops *ops,
			  struct steps *s)
{
	struct target *t = &w->ses->shared->t;
	struct target_options opt;
	struct target_result res;
	struct fi_point point;
	int err;

	worker_target(w, p, cfg, &opt);
	opt.alloc = ops;
	opt.check = CHECK_OFF;
	opt.expectations = false;
	opt.cover = NULL;
	opt.event = on_step;
	opt.event_priv = s;
	opt.points = &point;
	opt.max_points = 1;
	s->t = t;
	s->nr = 0;
	err = target_init(t, p, &opt, NULL, NULL);
	if (err)
		return err;
	err = target_run(t, w->ses->plan, &res);
	s->hash = res.trace_hash;
	target_fini(t);
	return err;
}

/* The first operation after which the two are not alike, UINT32_MAX: none. */
static u32 first_difference(const struct steps *a, const struct steps *b)
{
	u32 nr = a->nr < b->nr ? a->nr : b->nr;

	for (u32 i = 0; i < nr; i++)
		if (!outcome_equal(&a->v[i].out, &b->v[i].out) || a->v[i].met != b->v[i].met ||
		    a->v[i].digest != b->v[i].digest)
			return i;
	if (a->nr != b->nr)
		return nr ? nr - 1 : 0;
	return a->hash == b->hash ? UINT32_MAX : nr - 1;
}

static void describe(const struct program *p, const struct steps *mine, const struct steps *theirs,
		     const char *other, u32 op, struct finding *f)
{
	const struct step *a = &mine->v[op], *b = &theirs->v[op];

	*f = (struct finding){.oracle = ORACLE_backend, .op = op, .func = "-"};
	snprintf(f->name, sizeof(f->name), "%s", op_table[p->ops[op].code].name);
	if (!outcome_equal(&a->out, &b->out)) {
		outcome_print(&a->out, f->actual, sizeof(f->actual));
		outcome_print(&b->out, f->expected, sizeof(f->expected));
		snprintf(f->class_key, sizeof(f->class_key), "result");
	} else if (a->met != b->met) {
		snprintf(f->actual, sizeof(f->actual), "%" PRIu32 " requests", a->met);
		snprintf(f->expected, sizeof(f->expected), "%" PRIu32 " requests", b->met);
		snprintf(f->class_key, sizeof(f->class_key), "requests");
	} else {
		snprintf(f->actual, sizeof(f->actual), "state %016" PRIx64, a->digest);
		snprintf(f->expected, sizeof(f->expected), "state %016" PRIx64, b->digest);
		snprintf(f->class_key, sizeof(f->class_key), "state");
	}
	snprintf(f->what, sizeof(f->what), "%.60s, and on %.60s %.60s", f->actual, other,
		 f->expected);
}

bool differs_between_backends(struct worker *w, const struct program *p,
			      const struct machine_config *cfg, struct finding *f)
{
	const struct session *ses = w->ses;
	const struct fl_allocator_ops *alloc = ses->shared->alloc;
	struct steps mine = {.v = calloc(p->nr_ops + 1u, sizeof(struct step))};
	struct steps theirs = {.v = calloc(p->nr_ops + 1u, sizeof(struct step))};
	u32 op = UINT32_MAX;

	if (mine.v && theirs.v && !run_on_backend(w, p, cfg, alloc, &mine) &&
	    !run_on_backend(w, p, cfg, ses->against, &theirs))
		op = first_difference(&mine, &theirs);
	if (op != UINT32_MAX) {
		describe(p, &mine, &theirs, ses->against->name, op, f);
		if (ses->plan)
			fi_plan_print(ses->plan, f->plan, sizeof(f->plan));
		/* once more, in other machines */
		f->confirmed = !run_on_backend(w, p, cfg, alloc, &mine) &&
			       !run_on_backend(w, p, cfg, ses->against, &theirs) &&
			       first_difference(&mine, &theirs) == op;
	}
	free(mine.v);
	free(theirs.v);
	return op != UINT32_MAX;
}
