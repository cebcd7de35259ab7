/* SPDX-License-Identifier: GPL-2.0-only */
/* Which kernel a machine is like: a version against the one since which a difference holds. */
#include "internal.h"

#define VERSION(major, minor) ((u32)(major) << 16 | (u32)(minor))

/* In the order of the option's choices. */
static const u32 profile_versions[] = {VERSION(4, 4), VERSION(6, 18)};

static const u32 diff_since[NR_DIFFS] = {
#define DIFF(name, major, minor, row, what) [DIFF_##name] = VERSION(major, minor),
#include <faultline/profile.def>
#undef DIFF
};

bool differs(const struct ctx *cx, enum fl_diff diff)
{
	return profile_versions[cx->m->cfg.profile] >= diff_since[diff];
}
