/* SPDX-License-Identifier: GPL-2.0-only */
/* The set of contexts met: open addressing in memory that the owner gave. */
#include "target.h"

struct cover_entry *cover_find(struct cover *c, const struct cover_key *key)
{
	u64 packed = (u64)key->site << 48 | (u64)key->op_kind << 32 | (u64)key->prev << 16 |
		     key->prev2;
	u32 i = (u32)((packed * 0x9e3779b97f4a7c15u) >> 40) % COVER_MAX;

	for (;;) {
		struct cover_entry *e = &c->entries[i];

		if (e->used && e->key.site == key->site && e->key.op_kind == key->op_kind &&
		    e->key.prev == key->prev && e->key.prev2 == key->prev2)
			return e;
		if (!e->used) {
			/* a table that is nearly full would be walked from end to end */
			if (c->nr >= COVER_MAX / 4 * 3) {
				c->lost++;
				return NULL;
			}
			e->used = true;
			e->key = *key;
			c->nr++;
			return e;
		}
		i = (i + 1) % COVER_MAX;
	}
}
