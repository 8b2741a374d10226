/* SPDX-License-Identifier: MIT */
/*
 * One look at the volume in a state: it is mounted, which recovers it, its tree is found, and it is checked.
 *
 * One machine looks at all states, because making one costs twenty times what a look does. Before each look
 * it drops what it has cached of the disk, which has changed below it.
 */
#ifndef SHALE_TESTS_CRASH_VOLUME_H
#define SHALE_TESTS_CRASH_VOLUME_H

#include "crash/side.h"
#include "crash/state.h"

struct shale;

struct volume {
	struct state *state;
	struct shale *machine;
	struct shale_task *task;
	struct side side;
	int fd; /* of the device */
};

void volume_start(struct volume *v, struct state *state);
void volume_stop(struct volume *v);
/* Finds its tree. False: it cannot be mounted, is damaged, or does not let itself be read; `why` says what.
 */
bool volume_look(struct volume *v, struct arena *arena, struct tree *found, char *why, size_t size);

#endif
