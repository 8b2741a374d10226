/* SPDX-License-Identifier: MIT */
/*
 * Error names come from the C library, which has them all.
 */
#include <stdlib.h>
#include <string.h>
#include "base/compiler.h"
#include "base/errname.h"

const char *errname(int err)
{
	const char *name = strerrorname_np(err == INT32_MIN ? 0 : abs(err));

	if (err == 0)
		return "0";
	return name && err != INT32_MIN ? name : "E?";
}
