/* SPDX-License-Identifier: MIT */
/* In mutated sources only (see tests/crash/mutants): is this mistake to be made? */
#ifndef SHALE_TESTS_CRASH_MUTANT_H
#define SHALE_TESTS_CRASH_MUTANT_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline bool mutant(const char *id)
{
	const char *on = getenv("SHALE_MUTANT");

	return on && !strcmp(on, id);
}

#endif
