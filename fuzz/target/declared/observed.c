/* SPDX-License-Identifier: GPL-2.0-only */
/* The records of an observation, by object, field and number. */
#include "declared_priv.h"

#include <stdlib.h>

void obs_index(struct list *l)
{
	l->next = calloc((size_t)l->nr + 1 + NR_CHAINS, sizeof(*l->next));
	if (!l->next)
		return;
	l->first = l->next + l->nr + 1;
	for (u32 i = l->nr; i-- > 0;) {
		u32 *chain = &l->first[l->v[i].obj % NR_CHAINS];

		l->next[i] = *chain;
		*chain = i + 1;
	}
}

const struct fl_obs *obs_next(const struct list *l, const char *object, u32 obj, u32 *i)
{
	u32 k = *i;

	if (l->next)
		k = k ? l->next[k - 1] : l->first[obj % NR_CHAINS];
	else
		k = k < l->nr ? k + 1 : 0;
	while (k && (l->v[k - 1].obj != obj || !obs_is(&l->v[k - 1], object)))
		k = l->next ? l->next[k - 1] : k < l->nr ? k + 1 : 0;
	*i = k ? k : *i;
	return k ? &l->v[k - 1] : NULL;
}

u64 obs_value(const struct list *l, enum fl_obs_id field, u32 obj)
{
	const struct fl_obs *o;
	u32 i = 0;

	while ((o = obs_next(l, fl_obs_fields[field].object, obj, &i)))
		if (o->field == field)
			return o->val;
	return 0;
}

u32 obs_mm_of_uffd(const struct list *l, u64 slot)
{
	return (u32)obs_value(l, OBS_uffd_mm, (u32)slot);
}

u64 obs_largest(const struct list *l, const char *object)
{
	u64 max = 0;

	for (u32 i = 0; i < l->nr; i++)
		if (obs_is(&l->v[i], object))
			max = max_u64(max, l->v[i].obj);
	return max;
}

bool obs_index_make(struct index *x, const struct list *l, const char *object, u64 max)
{
	x->first = calloc(max + 1, sizeof(*x->first));
	x->next = calloc((size_t)l->nr + 1, sizeof(*x->next));
	if (!x->first || !x->next)
		return false;
	for (u32 i = l->nr; i-- > 0;) {
		if (!obs_is(&l->v[i], object))
			continue;
		x->next[i] = x->first[l->v[i].obj];
		x->first[l->v[i].obj] = i + 1;
	}
	return true;
}

void obs_index_free(struct index *x)
{
	free(x->first);
	free(x->next);
}
