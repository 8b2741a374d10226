/* SPDX-License-Identifier: MIT */
/*
 * Writing the log: what goes into it is gathered in memory that the journal has from the start, so that a
 * commit needs none, in chunks of blocks that follow each other in the log. A chunk that is full is
 * submitted; the next is filled meanwhile, and one is waited for only when its turn comes again.
 *
 * All of it belongs to who commits. `done` and `err` are a completion's to write.
 */
#include "jbd2/journal_internal.h"

int jbd2_writer_alloc(journal_t *journal)
{
	struct jbd2_log_writer *w = &journal->j_writer;
	u32 bits = journal->j_log->block_bits;

	for (unsigned i = 0; i < JBD2_CHUNKS; i++) {
		struct jbd2_chunk *chunk = &w->chunks[i];

		if (chunk->data)
			continue;
		chunk->data = kmalloc_aligned(journal->j_machine, (size_t)w->chunk_blocks << bits, 4096);
		if (!chunk->data)
			return -ENOMEM;
		machine_charge(journal->j_machine, (long)w->chunk_blocks << bits);
	}
	return 0;
}

void jbd2_writer_free(journal_t *journal)
{
	struct jbd2_log_writer *w = &journal->j_writer;

	for (unsigned i = 0; i < JBD2_CHUNKS; i++) {
		if (!w->chunks[i].data)
			continue;
		machine_uncharge(journal->j_machine, (long)w->chunk_blocks << journal->j_log->block_bits);
		kfree(w->chunks[i].data);
	}
}

static struct jbd2_chunk *current_chunk(journal_t *journal)
{
	return &journal->j_writer.chunks[journal->j_writer.filling];
}

void jbd2_writer_begin(journal_t *journal, u32 jblk)
{
	struct jbd2_chunk *chunk = current_chunk(journal);

	chunk->jblk = jblk;
	chunk->len = 0;
	WRITE_ONCE(journal->j_writer.err, 0);
}

static void chunk_put(struct jbd2_chunk *chunk)
{
	if (atomic_dec_and_test(&chunk->bios))
		complete(&chunk->done);
}

static void chunk_end_io(struct bio *bio)
{
	struct jbd2_chunk *chunk = bio->bi_private;
	int err = bio->bi_status, none = 0;

	bio_put(bio);
	if (err)
		(void)try_cmpxchg(chunk->err, &none, err);
	chunk_put(chunk);
}

/* Starts writing `len` blocks from the nth of the chunk on, which lie together on the device. */
static void chunk_submit_run(journal_t *journal, struct jbd2_chunk *chunk, u32 nth, u64 pblk, u32 len)
{
	unsigned bits = journal->j_log->block_bits;
	struct bio *bio = bio_alloc_bioset(journal->j_dev, 1, REQ_OP_WRITE | REQ_META | REQ_SYNC,
					   blk_bio_set(journal->j_machine));

	bio->bi_iter.bi_sector = pblk << (bits - SECTOR_SHIFT);
	BUG_ON(!bio_add_mem(bio, chunk->data + ((size_t)nth << bits), len << bits));
	bio->bi_end_io = chunk_end_io;
	bio->bi_private = chunk;
	atomic_inc(&chunk->bios);
	submit_bio(bio);
}

static void chunk_submit(journal_t *journal, struct jbd2_chunk *chunk)
{
	u32 nth = 0;

	init_completion(&chunk->done);
	atomic_set(&chunk->bios, 1);
	chunk->err = &journal->j_writer.err;
	chunk->in_flight = true;
	while (nth < chunk->len) {
		u32 jblk = log_after(journal, chunk->jblk, nth), len;
		u64 pblk = jbd2_runs_find(journal->j_log, jblk, &len);

		len = min3(len, chunk->len - nth, journal->j_log->last - jblk);
		chunk_submit_run(journal, chunk, nth, pblk, len);
		nth += len;
	}
	chunk_put(chunk);
}

static void chunk_wait(struct jbd2_chunk *chunk)
{
	if (chunk->in_flight)
		wait_for_completion_io(&chunk->done);
	chunk->in_flight = false;
}

void jbd2_writer_submit(journal_t *journal)
{
	struct jbd2_log_writer *w = &journal->j_writer;
	struct jbd2_chunk *chunk = current_chunk(journal);
	u32 jblk = jbd2_writer_head(journal);

	if (!chunk->len)
		return;
	chunk_submit(journal, chunk);
	w->filling = (w->filling + 1) % JBD2_CHUNKS;
	chunk = current_chunk(journal);
	chunk_wait(chunk);
	chunk->jblk = jblk;
	chunk->len = 0;
}

u32 jbd2_writer_head(const journal_t *journal)
{
	const struct jbd2_chunk *chunk = &journal->j_writer.chunks[journal->j_writer.filling];

	return log_after(journal, chunk->jblk, chunk->len);
}

u32 jbd2_writer_room(const journal_t *journal)
{
	return journal->j_writer.chunk_blocks - journal->j_writer.chunks[journal->j_writer.filling].len;
}

u8 *jbd2_writer_next(journal_t *journal)
{
	struct jbd2_chunk *chunk;

	if (!jbd2_writer_room(journal))
		jbd2_writer_submit(journal);
	chunk = current_chunk(journal);
	return chunk->data + ((size_t)chunk->len++ << journal->j_log->block_bits);
}

int jbd2_writer_wait(journal_t *journal)
{
	for (unsigned i = 0; i < JBD2_CHUNKS; i++)
		chunk_wait(&journal->j_writer.chunks[i]);
	return __atomic_load_n(&journal->j_writer.err, __ATOMIC_ACQUIRE);
}
