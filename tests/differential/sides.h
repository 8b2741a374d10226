/* SPDX-License-Identifier: MIT */
/* Between the files of the harness. */
#ifndef SHALE_TESTS_SIDES_H
#define SHALE_TESTS_SIDES_H

#include <sys/types.h>

struct side;
struct shale_task;

extern const struct side side_kernel, side_shale, side_debugfs;
extern struct side side_directory;
extern struct shale_task *side_task;

/* Starts the debugfs that side_debugfs talks to; it ends with this process. */
void debugfs_start(const char *image);
/* Starts the thread that lives in that directory, as that user where he is not root. */
void directory_start(const char *top, uid_t uid, gid_t gid);
void directory_become(uid_t uid, gid_t gid, const gid_t *groups, unsigned ngroups);

#endif
