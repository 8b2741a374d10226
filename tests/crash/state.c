/* SPDX-License-Identifier: MIT */
/* The body of state.h: the table of sectors. disk.c makes a disk of it. */
#include "crash/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "crash/memory.h"

#define CHUNK_BYTES (1u << 20)

struct state_chunk {
	struct state_chunk *older;
	u8 data[CHUNK_BYTES];
};

static const u8 zeroes[SECTOR_SIZE];

u64 sector_hash(u64 sector, const void *data)
{
	u64 a = sector * GOLDEN_RATIO_64, b = ~a, word[4];
	const u8 *from = data;

	for (unsigned i = 0; i < SECTOR_SIZE; i += sizeof(word)) {
		memcpy(word, from + i, sizeof(word));
		a = (a ^ word[0]) * 0xff51afd7ed558ccdull + word[1];
		b = (b ^ word[2]) * 0xc4ceb9fe1a85ec53ull + word[3];
		a ^= a >> 29;
		b ^= b >> 31;
	}
	return hash_mix64(a ^ hash_mix64(b));
}

void state_init(struct state *state, const void *image, u64 bytes)
{
	*state = (struct state){.nr_sectors = bytes >> SECTOR_SHIFT};
	state->sectors = must_alloc(state->nr_sectors * sizeof(*state->sectors));
	for (u64 s = 0; s < state->nr_sectors; s++) {
		const u8 *data = (const u8 *)image + (s << SECTOR_SHIFT);

		state->sectors[s] = (struct state_sector){data, sector_hash(s, data)};
		state->hash ^= state->sectors[s].hash;
	}
}

static void chunks_free_until(struct state *state, const struct state_chunk *last)
{
	while (state->chunks != last) {
		struct state_chunk *chunk = state->chunks;

		state->chunks = chunk->older;
		free(chunk);
	}
}

void state_destroy(struct state *state)
{
	chunks_free_until(state, NULL);
	free(state->undo);
	free(state->sectors);
}

static void state_set(struct state *state, u64 sector, const u8 *data, u64 hash)
{
	struct state_sector *at = &state->sectors[sector];

	if (state->nr_undo == state->room_undo)
		state->undo = must_grow(state->undo, &state->room_undo, sizeof(*state->undo));
	state->undo[state->nr_undo++] = (struct state_undo){sector, *at};
	state->hash ^= at->hash ^ hash;
	*at = (struct state_sector){data, hash};
}

void state_put(struct state *state, u64 sector, u64 nr, const void *data, const u64 *hashes)
{
	for (u64 i = 0; i < nr; i++) {
		const u8 *from = data ? (const u8 *)data + (i << SECTOR_SHIFT) : zeroes;

		state_set(state, sector + i, from, hashes ? hashes[i] : sector_hash(sector + i, from));
	}
}

void state_write(struct state *state, u64 sector, u64 nr, const void *data)
{
	const u8 *from = data;

	for (u64 i = 0; i < nr; i++, from += SECTOR_SIZE) {
		u8 *copy;

		if (!state->chunks || state->chunk_used == CHUNK_BYTES) {
			struct state_chunk *chunk = must_alloc(sizeof(*chunk));

			chunk->older = state->chunks;
			state->chunks = chunk;
			state->chunk_used = 0;
		}
		copy = state->chunks->data + state->chunk_used;
		state->chunk_used += SECTOR_SIZE;
		memcpy(copy, from, SECTOR_SIZE);
		state_set(state, sector + i, copy, sector_hash(sector + i, copy));
	}
}

void state_read(const struct state *state, u64 offset, void *data, size_t bytes)
{
	u8 *to = data;

	for (size_t n; bytes; to += n, offset += n, bytes -= n) {
		size_t in_sector = offset % SECTOR_SIZE;

		n = min_t(size_t, bytes, SECTOR_SIZE - in_sector);
		memcpy(to, state->sectors[offset >> SECTOR_SHIFT].data + in_sector, n);
	}
}

void state_copy_out(const struct state *state, void *image)
{
	state_read(state, 0, image, state->nr_sectors << SECTOR_SHIFT);
}

struct state_mark state_mark(const struct state *state)
{
	return (struct state_mark){state->nr_undo, state->chunk_used, state->chunks};
}

void state_rollback(struct state *state, const struct state_mark *mark)
{
	while (state->nr_undo > mark->nr_undo) {
		const struct state_undo *undo = &state->undo[--state->nr_undo];

		state->hash ^= state->sectors[undo->sector].hash ^ undo->was.hash;
		state->sectors[undo->sector] = undo->was;
	}
	chunks_free_until(state, mark->chunk);
	state->chunk_used = mark->chunk_used;
}
