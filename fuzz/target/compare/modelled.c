/* SPDX-License-Identifier: GPL-2.0-only */
/* Which operations and options the model knows (modelled.def). */
#include "compare_priv.h"

#include <string.h>

#define OPTION(name)
#define UNMODELLED_OPTION(name, why)
#define MODELLED(op)	    [OP_##op] = {IS_MODELLED, NULL},
#define UNCHANGED(op, why)  [OP_##op] = {IS_UNCHANGED, why},
#define UNMODELLED(op, why) [OP_##op] = {IS_UNMODELLED, why},
#define LASTING(op, why)    [OP_##op] = {IS_LASTING, why},
#define TO_COME(op, why)
const struct modelled_row modelled_ops[NR_OPS] = {
#include "modelled.def"
};
#undef MODELLED
#undef UNCHANGED
#undef UNMODELLED
#undef LASTING
#undef TO_COME
#undef OPTION
#undef UNMODELLED_OPTION

#define MODELLED(op)
#define UNCHANGED(op, why)
#define UNMODELLED(op, why)
#define LASTING(op, why)
#define TO_COME(op, why)
#define OPTION(name)		     {#name, {IS_MODELLED, NULL}},
#define UNMODELLED_OPTION(name, why) {#name, {IS_UNMODELLED, why}},
static const struct {
	const char *name;
	struct modelled_row row;
} options[] = {
#include "modelled.def"
};
#undef MODELLED
#undef UNCHANGED
#undef UNMODELLED
#undef LASTING
#undef TO_COME
#undef OPTION
#undef UNMODELLED_OPTION

#define MODELLED(op)
#define UNCHANGED(op, why)
#define UNMODELLED(op, why)
#define LASTING(op, why)
#define TO_COME(op, why) #op,
#define OPTION(name)
#define UNMODELLED_OPTION(name, why)
static const char *const to_come[] = {
#include "modelled.def"
};
#undef MODELLED
#undef UNCHANGED
#undef UNMODELLED
#undef LASTING
#undef TO_COME
#undef OPTION
#undef UNMODELLED_OPTION

bool modelled_is_listed(enum op_code code)
{
	bool listed = modelled_ops[code].how != NOT_LISTED;

	for (size_t i = 0; i < ARRAY_SIZE(to_come) && !listed; i++)
		listed = !strcmp(to_come[i], op_table[code].name);
	return listed;
}

struct modelled_row modelled_option(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (!strcmp(options[i].name, name))
			return options[i].row;
	return (struct modelled_row){NOT_LISTED, NULL};
}

/* The first option whose effect nobody told the model of, or NULL. */
const char *cmp_unknown_option(const struct machine_config *cfg)
{
	for (unsigned int i = 0; i < nr_machine_options; i++) {
		const struct machine_option *opt = &machine_options[i];
		u64 val;

		memcpy(&val, (const char *)cfg + opt->offset, sizeof(val));
		if (val != opt->def && modelled_option(opt->name).how != IS_MODELLED)
			return opt->name;
	}
	return NULL;
}
