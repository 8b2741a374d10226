/* SPDX-License-Identifier: MIT */
/* See libarchive.h. */
#include "libarchive.h"

#include <dlfcn.h>

#include "tool.h"

#define LIBRARY "libarchive.so.13"

const struct libarchive *libarchive_load(void)
{
	static struct libarchive lib;
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!handle) {
		tool_error_text(LIBRARY, dlerror());
		return NULL;
	}
#define LIBARCHIVE_FIND(name)                                                                                \
	lib.name = (__typeof__(name) *)dlsym(handle, #name);                                                 \
	if (!lib.name) {                                                                                     \
		tool_error_text(LIBRARY, "has no function " #name);                                          \
		return NULL;                                                                                 \
	}
	LIBARCHIVE_FUNCTIONS(LIBARCHIVE_FIND)
#undef LIBARCHIVE_FIND
	return &lib;
}
