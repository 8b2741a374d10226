/* SPDX-License-Identifier: MIT */
/*
 * Built-in modules: the descriptors that SHALE_MODULE has put into the section "shale_modules", found by the
 * two symbols that the linker makes for its ends. They survive a static archive (taken whole) and a
 * relocatable object; their order in the section is the linker's, so modules of one level must not depend on
 * each other.
 *
 * Nothing here has state: a machine's floors start the levels in order and end them in the opposite order.
 */
#include "device/module.h"

/* Weak, so that a program without any module links. Each is the address of a pointer to a descriptor. */
extern const struct shale_builtin *const __start_shale_modules[] __attribute__((weak, visibility("hidden")));
extern const struct shale_builtin *const __stop_shale_modules[] __attribute__((weak, visibility("hidden")));

/* Calls exit of the modules of the level in [first, end), the last first. */
static void modules_exit_range(struct shale *machine, enum module_level level,
			       const struct shale_builtin *const *first,
			       const struct shale_builtin *const *end)
{
	while (end > first) {
		const struct shale_builtin *module = *--end;

		if (module->level == level && module->exit)
			module->exit(machine);
	}
}

int modules_init(struct shale *machine, enum module_level level)
{
	for (const struct shale_builtin *const *p = __start_shale_modules; p < __stop_shale_modules; p++) {
		int ret = (*p)->level == level && (*p)->init ? (*p)->init(machine) : 0;

		if (ret) {
			modules_exit_range(machine, level, __start_shale_modules, p);
			return ret;
		}
	}
	return 0;
}

void modules_exit(struct shale *machine, enum module_level level)
{
	modules_exit_range(machine, level, __start_shale_modules, __stop_shale_modules);
}
