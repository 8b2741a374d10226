/* SPDX-License-Identifier: MIT */
/* Between the files of the harness. */
#ifndef SHALE_TESTS_SIDES_H
#define SHALE_TESTS_SIDES_H

struct side;
struct shale_task;

extern const struct side side_kernel, side_shale, side_debugfs;
extern struct shale_task *side_task;

/* Starts the debugfs that side_debugfs talks to; it ends with this process. */
void debugfs_start(const char *image);

#endif
