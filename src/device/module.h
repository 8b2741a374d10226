/* SPDX-License-Identifier: MIT */
/*
 * Built-in modules: a floor above need not know the drivers and file systems by name. Each puts a descriptor
 * into the section "shale_modules"; the machine's start walks it, level by level, and calls init; the end of
 * the machine calls exit in the opposite order.
 */
#ifndef SHALE_DEVICE_MODULE_H
#define SHALE_DEVICE_MODULE_H

#include "base/compiler.h"

struct shale;

enum module_level { MODULE_SUBSYS, MODULE_DRIVER, MODULE_FS };

struct shale_builtin {
	const char *name;
	enum module_level level;
	int (*init)(struct shale *machine); /* negative errno */
	void (*exit)(struct shale *machine);
};

#define SHALE_MODULE(ident, module_level, init_fn, exit_fn)                                                  \
	static const struct shale_builtin shale_module_##ident = {#ident, module_level, init_fn, exit_fn};   \
	static const struct shale_builtin *const shale_module_ptr_##ident                                    \
		__attribute__((used, retain, section("shale_modules"))) = &shale_module_##ident

/*
 * Calls init of every module of the level; on failure those before it are undone. (module.c; sees the section
 * by its start and stop symbols)
 */
int modules_init(struct shale *machine, enum module_level level) __must_check;
void modules_exit(struct shale *machine, enum module_level level);

#endif
