/* SPDX-License-Identifier: GPL-2.0-only */
/* What a backend tells the sanitizers about memory that it manages itself. */
#ifndef FAULTLINE_ALLOC_SAN_H
#define FAULTLINE_ALLOC_SAN_H

#include <stddef.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define FL_ASAN 1
#endif
#if __has_feature(memory_sanitizer)
#define FL_MSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define FL_ASAN 1
#endif

#ifdef FL_ASAN
#include <sanitizer/asan_interface.h>
/* For the few functions that read or write a backend's own words inside poisoned memory. */
#define FL_NO_ASAN __attribute__((no_sanitize_address, noinline))
#else
#define FL_NO_ASAN
#endif
#ifdef FL_MSAN
#include <sanitizer/msan_interface.h>
#endif

/* Nobody but the backend may touch [mem, mem + len). mem is a multiple of 8. */
static inline void san_poison(const void *mem, size_t len)
{
#ifdef FL_ASAN
	__asan_poison_memory_region(mem, len);
#else
	(void)mem;
	(void)len;
#endif
}

static inline void san_unpoison(const void *mem, size_t len)
{
#ifdef FL_ASAN
	__asan_unpoison_memory_region(mem, len);
#else
	(void)mem;
	(void)len;
#endif
}

/* [mem, mem + len) was taken back: nothing may read what is in it. */
static inline void san_freed(const void *mem, size_t len)
{
	san_poison(mem, len);
#ifdef FL_MSAN
	__msan_poison(mem, len);
#endif
}

/* [mem, mem + len) is given out, and its content is garbage. */
static inline void san_allocated(const void *mem, size_t len)
{
	san_unpoison(mem, len);
#ifdef FL_MSAN
	__msan_allocated_memory(mem, len);
#endif
}

#endif
