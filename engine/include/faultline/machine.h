/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A machine: everything the engine knows, owned by one object that is made, used and destroyed any
 * number of times in a process. Nothing of it lies in static data, and nothing outside allocates
 * for it: its memory comes from the allocator backend, itself included.
 */
#ifndef FAULTLINE_MACHINE_H
#define FAULTLINE_MACHINE_H

#include <faultline/allocator.h>
#include <faultline/site.h>
#include <faultline/types.h>

struct machine_config {
#define OPT_U64(name, def, min, max, what) u64 name;
#define OPT_ENUM(name, def, choices, what) u64 name;
#include <faultline/options.def>
#undef OPT_U64
#undef OPT_ENUM
};

struct machine_option {
	const char *name;
	size_t offset; /* of its u64 in machine_config */
	u64 def, min, max;
	const char *choices; /* "a|b", or NULL for a number */
	const char *what;
};

extern const struct machine_option machine_options[];
extern const unsigned int nr_machine_options;

/* The number of an option by its name; nr_machine_options when there is none of that name. */
unsigned int machine_option_find(const char *name, size_t len);

void machine_config_init(struct machine_config *cfg);
/* Sets one option from text ("levels", "3"). 0, or -EINVAL with a line in why. */
int machine_config_set(struct machine_config *cfg, const char *name, size_t name_len,
		       const char *value, size_t value_len, char *why, size_t why_len);
/* Do the options fit together? 0, or -EINVAL with a line in why. */
int machine_config_check(const struct machine_config *cfg, char *why, size_t why_len);
/* Prints the value of option i as machine_config_set() reads it. */
int machine_config_print(const struct machine_config *cfg, unsigned int i, char *buf, size_t len);

/*
 * What the bench plugs into a machine. All may be NULL but bug. priv is handed back; the callee
 * never allocates from the machine and never calls back into it.
 */
struct fl_seams {
	void *priv;
	/* May the request at this site go on? True refuses it. Called once per request. */
	bool (*should_fail)(void *priv, enum fl_site site, gfp_t gfp);
	/* A rule of the engine is broken. Must not return. */
	void (*bug)(void *priv, enum fl_bug kind, const char *func, const char *what)
		__attribute__((noreturn));
	/* A named place was reached (planted bugs call it). Steers nothing. */
	void (*probe)(void *priv, const char *name);
};

/*
 * Makes a machine from cfg (checked by the caller) on the backend instance inst, which the machine
 * uses but does not own. It has an idle task per CPU, the init_mm, and nothing else.
 * NULL when the backend has no memory; nothing is left allocated then. Source: facts §14, §0.1.
 */
struct machine *machine_create(const struct machine_config *cfg, const struct fl_allocator_ops *ops,
			       void *inst, const struct fl_seams *seams);
/*
 * Frees the machine's own memory and caches. Every task must have exited and every file been
 * closed; objects still alive are a bug of the caller's making and stay with the instance.
 */
void machine_destroy(struct machine *m);

#endif
