/* SPDX-License-Identifier: MIT */
/* Between the files of the harness. */
#ifndef SHALE_TESTS_SIDES_H
#define SHALE_TESTS_SIDES_H

struct side;
struct shale_task;

extern const struct side side_kernel, side_shale;
extern struct shale_task *side_task;

#endif
