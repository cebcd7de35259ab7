/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Backends by name, or from a file: --allocator. One from a file is called through functions that
 * note, in memory that outlives the process, that it is running: who dies then, died of the
 * backend.
 */
#ifndef FAULTLINE_CLI_BACKEND_H
#define FAULTLINE_CLI_BACKEND_H

#include <faultline/allocator.h>
#include <faultline/types.h>

/* What backend_open() makes of a name. */
struct backend {
	const struct fl_allocator_ops *ops; /* a built-in, or to be called in place of the file's */
	bool loaded;
	/* It died or hung before it could be asked anything: ops is NULL, and this says how. */
	char crash[64];
	char name[64]; /* what it calls itself */
};

/*
 * name is a built-in's, or the path of a shared object (it holds a '/'), of which one can be open
 * at a time. *where is set to the function being called, 0 outside of the backend; see
 * backend_call(). 0; EXIT_USAGE, with a line in why: there is no such backend, or it does not keep
 * the contract's form; EXIT_FINDING with crash filled in; EXIT_ENV.
 */
int backend_open(struct backend *b, const char *name, volatile u32 *where, char *why,
		 size_t why_len);
/* The name of the function by what *where says, "page_alloc"; NULL for 0. */
const char *backend_call(u32 where);

#endif
