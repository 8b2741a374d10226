/* SPDX-License-Identifier: MIT */
/*
 * How an assertion speaks: plainly on standard error, since the machine may be in any state.
 */
#include <stdio.h>
#include <stdlib.h>
#include "base/compiler.h"

void bug_report(const char *file, int line, const char *condition)
{
	fprintf(stderr, "shale: bug at %s:%d: %s\n", file, line, condition);
	abort();
}

void warn_report(const char *file, int line, const char *condition)
{
	fprintf(stderr, "shale: warning at %s:%d: %s\n", file, line, condition);
}
