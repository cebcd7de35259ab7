/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of fault sites, and its finders. */
#include <string.h>

#include <faultline/site.h>

const struct fl_site_info fl_sites[FL_NR_SITES] = {
	[SITE_none] = {"none", FL_NR_CLASSES, "", "no site"},
#define SITE(name, class, fact, what) [SITE_##name] = {#name, FL_CLASS_##class, fact, what},
#include <faultline/sites.def>
#undef SITE
};

const char *const fl_class_names[FL_NR_CLASSES] = {
#define X(name) [FL_CLASS_##name] = #name,
	FL_CLASSES(X)
#undef X
};

static bool same(const char *a, const char *b, size_t b_len)
{
	return strlen(a) == b_len && !memcmp(a, b, b_len);
}

const char *fl_class_without_sites(enum fl_class class)
{
	if (class == FL_CLASS_bulk)
		return "4.4 asks for one object at a time in all of this: each is a point of its "
		       "own";
	return NULL;
}

enum fl_site fl_site_find(const char *name, size_t len)
{
	for (unsigned int i = SITE_none + 1; i < FL_NR_SITES; i++)
		if (same(fl_sites[i].name, name, len))
			return (enum fl_site)i;
	return SITE_none;
}

enum fl_class fl_class_find(const char *name, size_t len)
{
	for (unsigned int i = 0; i < FL_NR_CLASSES; i++)
		if (same(fl_class_names[i], name, len))
			return (enum fl_class)i;
	return FL_NR_CLASSES;
}
