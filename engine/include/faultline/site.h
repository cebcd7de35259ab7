/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fault sites and their classes. A site is an enumerator, so that it is the same in every build,
 * compiler, patch and mutant; its number is not stable, its name is.
 */
#ifndef FAULTLINE_SITE_H
#define FAULTLINE_SITE_H

#include <faultline/types.h>

/*
 * What kind of request is refused. Those of class refill are the backend's own, for a slab: what
 * the engine asks for is the same on every backend, they are not. Class limit says that a limit has
 * been reached which has not. Of class bulk, many objects at once, this engine asks for none
 * (fl_class_without_sites()). New classes go last: programs in bytes number them.
 */
#define FL_CLASSES(X) \
	X(page)       \
	X(slab)       \
	X(ctor)       \
	X(hook)       \
	X(acct)       \
	X(intr)       \
	X(refill)     \
	X(limit)      \
	X(bulk)

enum fl_class {
#define X(name) FL_CLASS_##name,
	FL_CLASSES(X)
#undef X
	FL_NR_CLASSES
};

enum fl_site {
	SITE_none,
#define SITE(name, class, fact, what) SITE_##name,
#include <faultline/sites.def>
#undef SITE
	FL_NR_SITES
};

struct fl_site_info {
	const char *name;
	enum fl_class class;
	const char *fact; /* F-nn of the facts, §12 */
	const char *what;
};

extern const struct fl_site_info fl_sites[FL_NR_SITES];
extern const char *const fl_class_names[FL_NR_CLASSES];

/* By name; SITE_none (0) and FL_NR_CLASSES when unknown. */
enum fl_site fl_site_find(const char *name, size_t len);
enum fl_class fl_class_find(const char *name, size_t len);
/* Why a class has no site; NULL: it has. */
const char *fl_class_without_sites(enum fl_class class);

#endif
