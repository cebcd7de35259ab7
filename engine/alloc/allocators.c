/* SPDX-License-Identifier: GPL-2.0-only */
/* The built-in backends, by name and by number. */
#include <string.h>

#include "allocators.h"

static const struct fl_allocator_ops *const builtin[] = {
	&fl_malloc_ops,
	&fl_arena_ops,
	&fl_buddy_ops,
	&fl_guard_ops,
};

const struct fl_allocator_ops *fl_allocator_at(unsigned int i)
{
	return i < sizeof(builtin) / sizeof(builtin[0]) ? builtin[i] : NULL;
}

const struct fl_allocator_ops *fl_allocator_find(const char *name)
{
	const struct fl_allocator_ops *ops;

	for (unsigned int i = 0; (ops = fl_allocator_at(i)) != NULL; i++)
		if (!strcmp(ops->name, name))
			return ops;
	return NULL;
}
