/* SPDX-License-Identifier: MIT */
/*
 * splitmix64: a counter that steps by a constant (so that threads need no lock), and a mixing of it.
 */
#include <string.h>
#include <sys/random.h>
#include "base/machine.h"

#define STEP 0x9e3779b97f4a7c15ull

static u64 mix(u64 z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

u64 splitmix64(u64 *state)
{
	*state += STEP;
	return mix(*state);
}

void machine_random_init(struct shale *machine)
{
	u64 seed = machine->options.seed;

	if (!seed && !machine->single && getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = (u64)ktime_get(NULL);
	machine->random.state = seed;
}

u64 prandom_u64(struct shale *machine)
{
	return mix(__atomic_add_fetch(&machine->random.state, STEP, __ATOMIC_RELAXED));
}

u64 prandom_below(struct shale *machine, u64 below)
{
	return (u64)(((unsigned __int128)prandom_u64(machine) * below) >> 64);
}

void prandom_bytes(struct shale *machine, void *buf, size_t bytes)
{
	char *p = buf;

	while (bytes) {
		u64 word = prandom_u64(machine);
		size_t n = min_t(size_t, bytes, sizeof(word));

		memcpy(p, &word, n);
		p += n;
		bytes -= n;
	}
}
