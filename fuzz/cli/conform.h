/* SPDX-License-Identifier: GPL-2.0-only */
/* What the contract of allocator.h asks of a backend, as checks that say what is wrong. */
#ifndef FAULTLINE_CLI_CONFORM_H
#define FAULTLINE_CLI_CONFORM_H

#include <faultline/allocator.h>
#include <faultline/types.h>

struct conform {
	const struct fl_allocator_ops *ops;
	void *inst; /* a fresh one, made and destroyed around the check */
	char what[256];
	bool wrong;   /* the first thing that is; the check has ended */
	bool skipped; /* an optional part that this backend does not have; what says so */
};

struct conform_check {
	const char *name;
	const char *asks; /* of the backend, one line */
	void (*run)(struct conform *c);
};

extern const struct conform_check conform_checks[];
extern const unsigned int nr_conform_checks;

/* Runs one. It may crash, hang or corrupt memory with a wrong backend: in a child, then. */
void conform_run(const struct conform_check *check, struct conform *c);

#endif
