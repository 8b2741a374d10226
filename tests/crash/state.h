/* SPDX-License-Identifier: MIT */
/*
 * A state: what a disk may hold after the power was cut. Thousands of them differ from one image by a few
 * sectors each, so a state is a table that says for every sector where its 512 bytes are: in the image, in
 * the record of writes, or, when somebody writes to the state, in memory of the state. Nothing is copied to
 * make one. Every change is remembered, so that a state can be taken back to an earlier point (state_mark,
 * state_rollback).
 *
 * The hash of a state is the xor of the hashes of its sectors, each of which depends on the sector's number
 * too, so it follows each change at the cost of that change. States of equal hash are taken to be equal.
 *
 * A state is one thread's. The image and what was given to state_put stay with their owners and must live as
 * long as the state shows them.
 */
#ifndef SHALE_TESTS_CRASH_STATE_H
#define SHALE_TESTS_CRASH_STATE_H

#include "block/blk_types.h"

struct state_sector {
	const u8 *data;
	u64 hash;
};

/* One change: what the sector was before. */
struct state_undo {
	u64 sector;
	struct state_sector was;
};

struct state_chunk;

struct state {
	struct state_sector *sectors;
	u64 nr_sectors;
	u64 hash;
	struct state_undo *undo;
	size_t nr_undo, room_undo;
	struct state_chunk *chunks; /* memory of what was written to it; newest first */
	size_t chunk_used;          /* of the newest, in bytes */
};

struct state_mark {
	size_t nr_undo, chunk_used;
	struct state_chunk *chunk;
};

u64 sector_hash(u64 sector, const void *data);

/* Shows the image, of whole sectors. Memory that cannot be had ends the program, here and below. */
void state_init(struct state *state, const void *image, u64 bytes);
void state_destroy(struct state *state);

/* Shows `nr` sectors at data from `sector` on. hashes: theirs, or NULL; data NULL: zeroes. */
void state_put(struct state *state, u64 sector, u64 nr, const void *data, const u64 *hashes);
/* The same with a copy of the data. */
void state_write(struct state *state, u64 sector, u64 nr, const void *data);
void state_read(const struct state *state, u64 offset, void *data, size_t bytes);
/* All of it, as a new image, for other programs to look at. */
void state_copy_out(const struct state *state, void *image);

struct state_mark state_mark(const struct state *state);
void state_rollback(struct state *state, const struct state_mark *mark);

/*
 * The state as a disk: "state+null:SIZE?state=ADDRESS", where the address is that of the struct state as
 * text of printf's %p. The filter shows the state instead of what lies below. It ends requests at once; with
 * delay+ in front of it they overlap, and with log+ in front of that they are recorded.
 */

#endif
