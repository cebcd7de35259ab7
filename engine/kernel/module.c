/* SPDX-License-Identifier: GPL-2.0-only */
/* References to the modules that own binary formats (facts §4.3, F-20). */
#include "internal.h"

/* Without a module (a format that is built in) there is nothing to count, and nothing to refuse. */
bool try_module_get(struct ctx *cx, struct module *mod, enum fl_site site)
{
	if (!mod)
		return true;
	if (mod->going || fl_should_fail(cx, site, GFP_KERNEL))
		return false;
	mod->refcnt++;
	return true;
}

void __module_get(struct ctx *cx, struct module *mod)
{
	if (!mod)
		return;
	BUG_ON(cx, mod->refcnt <= 0);
	mod->refcnt++;
}

void module_put(struct ctx *cx, struct module *mod)
{
	if (!mod)
		return;
	if (mod->refcnt <= 0)
		fl_bug(cx, FL_BUG_REFCOUNT, __func__, "module refcnt");
	mod->refcnt--;
}

void module_set_going(struct machine *m, unsigned int binfmt, bool going)
{
	if (binfmt < NR_BINFMTS)
		m->modules[binfmt].going = going;
}
