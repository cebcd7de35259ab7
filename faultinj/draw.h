/* SPDX-License-Identifier: GPL-2.0-only */
/* The one source of randomness: SplitMix64, the same on every machine for the same seed. */
#ifndef FAULTLINE_DRAW_H
#define FAULTLINE_DRAW_H

#include <faultline/types.h>

/* A counter with golden-ratio steps, scrambled by xor-shifts and two multiplications. */
static inline u64 fi_draw(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

#endif
