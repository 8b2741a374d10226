/* SPDX-License-Identifier: MIT */
/*
 * The machine's random numbers. They follow from options.seed (0 with threads: a seed of the host's), so that
 * a threads=0 machine repeats. Not for secrets.
 */
#ifndef SHALE_BASE_RANDOM_H
#define SHALE_BASE_RANDOM_H

#include "base/types.h"

struct shale;

struct machine_random {
	u64 state; /* atomic */
};

void machine_random_init(struct shale *machine);
u64 prandom_u64(struct shale *machine);
/* 0 .. below-1; 0 for 0. */
u64 prandom_below(struct shale *machine, u64 below);
void prandom_bytes(struct shale *machine, void *buf, size_t bytes);
/* One step of splitmix64: for generators of one's own. */
u64 splitmix64(u64 *state);

#endif
