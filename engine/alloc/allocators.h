/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FAULTLINE_ALLOC_ALLOCATORS_H
#define FAULTLINE_ALLOC_ALLOCATORS_H

#include <faultline/allocator.h>

extern const struct fl_allocator_ops fl_malloc_ops;
extern const struct fl_allocator_ops fl_arena_ops;
extern const struct fl_allocator_ops fl_buddy_ops;
extern const struct fl_allocator_ops fl_guard_ops;

#endif
