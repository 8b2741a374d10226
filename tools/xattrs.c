/* SPDX-License-Identifier: MIT */
/* The extended attributes of one file, read into memory. */
#include "xattrs.h"

#include <stdlib.h>

#include "tool.h"

#define LIST_MAX  65536
#define VALUE_MAX 65536

int xattrs_each(struct shale_task *task, const char *path,
		void (*fn)(void *arg, const char *name, const void *value, size_t size), void *arg)
{
	static char list[LIST_MAX], value[VALUE_MAX];
	ssize_t n = shale_llistxattr(task, path, list, sizeof(list));

	if (n < 0)
		return n == -EOPNOTSUPP ? 0 : (int)n;
	for (const char *name = list; name < list + n;) {
		ssize_t size = shale_lgetxattr(task, path, name, value, sizeof(value));

		if (size < 0)
			return (int)size;
		fn(arg, name, value, (size_t)size);
		while (*name++)
			;
	}
	return 0;
}
