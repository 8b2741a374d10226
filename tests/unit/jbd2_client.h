/* SPDX-License-Identifier: MIT */
/*
 * A client that has nothing but a journal: a disk in memory with a log and some stamped blocks, which
 * operations change, free, use as data, and take back. Beside it stands a model: what each block holds after
 * each operation.
 */
#ifndef SHALE_TESTS_JBD2_CLIENT_H
#define SHALE_TESTS_JBD2_CLIENT_H

#include "drivers_machine.h"

#include "cache_fixture.h"

#include "base/crc.h"
#include "cache/buffer_head.h"
#include "cache/writeback.h"
#include "jbd2/jbd2_format.h"
#include "jbd2/journal.h"

#define CLIENT_LOG     1024u /* blocks of the journal, in two pieces */
#define CLIENT_PIECE   600u
#define CLIENT_FIRST   1100u /* of the blocks that operations are about */
#define CLIENT_BLOCKS  48u
#define CLIENT_ORDERED (CLIENT_FIRST + CLIENT_BLOCKS) /* of the file whose data is ordered */
#define CLIENT_VOLUME  (CLIENT_ORDERED + 1)
#define CLIENT_CHANGES 8u /* blocks of one operation at most */

enum kind { META, FREED, DATA };

struct model {
	u32 version[CLIENT_BLOCKS];
	u8 kind[CLIENT_BLOCKS];
	u32 ordered; /* at least this version of the ordered block */
};

struct client {
	struct drivers_machine t;
	struct shale *machine;
	struct block_device *bdev;
	u32 block_size, incompat;
	struct jbd2_journal_options options;
	const struct jbd2_journal_ops *ops; /* NULL: client_ops */
	journal_t *journal;
	struct model now;
	u32 version; /* the last that was given */
	struct jbd2_inode inode;
	u32 ordered; /* its "dirty page" */
};

static u64 client_map_block(u32 jblk)
{
	return jblk < CLIENT_PIECE ? 20 + jblk : 40 + jblk;
}

static int client_map(void *ctx, u32 jblk, u32 max, u64 *pblk, u32 *len)
{
	*pblk = client_map_block(jblk);
	*len = min(max, jblk < CLIENT_PIECE ? CLIENT_PIECE - jblk : CLIENT_LOG - jblk);
	return 0;
}

/* A block's content says which it is and which version; every fifth begins like a block of the log. */
static inline void client_stamp(void *data, u32 block_size, u32 nr, u32 version)
{
	u32 *words = data;

	for (u32 i = 0; i < block_size / 4; i++)
		words[i] = nr * 2654435761u ^ version * 40503u ^ i;
	put_unaligned_be32(version % 5 ? 0x12345678 : JBD2_MAGIC, data);
	words[1] = nr;
	words[2] = version;
}

static inline bool client_is(const void *data, u32 block_size, u32 nr, u32 version)
{
	u8 want[SZ_64K];

	client_stamp(want, block_size, nr, version);
	return !memcmp(data, want, block_size);
}

/* The page cache of each disk: what the bdev file system does in a whole machine. */
static int client_bdev_added(struct block_device *bdev)
{
	struct address_space *mapping = kzalloc(NULL, sizeof(*mapping));

	address_space_init(mapping, bdev_machine(bdev), &blkdev_buffer_aops, NULL, bdev);
	mapping->size = bdev_nr_bytes(bdev);
	bdev->bd_mapping = mapping;
	return 0;
}

static void client_bdev_removed(struct block_device *bdev)
{
	truncate_inode_pages_final(bdev->bd_mapping);
	address_space_destroy(bdev->bd_mapping);
	kfree(bdev->bd_mapping);
	bdev->bd_mapping = NULL;
}

static const struct blk_upper_ops client_upper_ops = {
	.bdev_added = client_bdev_added,
	.bdev_removed = client_bdev_removed,
};

static inline void client_machine(struct client *c, unsigned threads, u64 seed, u64 limit)
{
	memset(c, 0, sizeof(*c));
	c->machine = drivers_start(&c->t, threads, seed);
	c->machine->options.memory_limit = limit;
	assert_int_equal(cache_init(c->machine), 0);
	blk_set_upper_ops(c->machine, &client_upper_ops);
}

static inline void client_machine_stop(struct client *c)
{
	blk_set_upper_ops(c->machine, NULL);
	assert_int_equal(arena_in_folios(c->machine), 0);
	cache_exit(c->machine);
	drivers_stop(&c->t);
}

static inline void client_put(struct client *c, u64 pblk, void *data)
{
	assert_int_equal(disk_write(c->bdev, pblk * (c->block_size / 512), data, c->block_size), 0);
}

/* A disk with an empty log and all blocks of version 0. */
static inline void client_format(struct client *c, const char *uri, u32 block_size, u32 incompat)
{
	struct jbd2_super_block sb = {
		.s_header = {cpu_to_be32(JBD2_MAGIC), cpu_to_be32(JBD2_SUPERBLOCK_V2), cpu_to_be32(0)},
		.s_blocksize = cpu_to_be32(block_size),
		.s_maxlen = cpu_to_be32(CLIENT_LOG),
		.s_first = cpu_to_be32(1),
		.s_sequence = cpu_to_be32(0xfffffff0u),
		.s_uuid = {1, 2, 3, 4},
	};
	u8 *block = kzalloc(NULL, block_size);
	char text[128];

	snprintf(text, sizeof(text), uri, CLIENT_VOLUME * (block_size / 1024));
	c->bdev = disk_open(c->machine, "d", text, 0);
	assert_int_equal(set_blocksize(c->bdev, block_size), 0);
	c->block_size = block_size;
	c->incompat = incompat;
	for (u64 pblk = 0; pblk < CLIENT_FIRST; pblk++)
		client_put(c, pblk, block);
	memcpy(block, &sb, sizeof(sb));
	client_put(c, client_map_block(0), block);
	for (u32 nr = 0; nr <= CLIENT_BLOCKS; nr++) {
		client_stamp(block, block_size, nr, 0);
		client_put(c, CLIENT_FIRST + nr, block);
	}
	memset(&c->now, 0, sizeof(c->now));
	c->version = 0;
	kfree(block);
}

/* Takes its time, in which others may work on the next transaction. */
static int client_submit_data(struct jbd2_inode *jinode, u64 start, u64 end)
{
	struct client *c = jinode->i_host;
	u8 *block = kmalloc(NULL, c->block_size);
	struct bio_vec vec;
	struct bio bio;
	int err;

	assert_int_equal(start, CLIENT_ORDERED * (u64)c->block_size);
	assert_int_equal(end, start + c->block_size - 1);
	client_stamp(block, c->block_size, CLIENT_BLOCKS, c->ordered);
	bio_init(&bio, c->bdev, &vec, 1, REQ_OP_WRITE);
	bio.bi_iter.bi_sector = CLIENT_ORDERED * (u64)(c->block_size / 512);
	bio_add_mem(&bio, block, c->block_size);
	err = submit_bio_wait(&bio);
	sleep_ns(NSEC_PER_MSEC);
	kfree(block);
	return err;
}

static int client_finish_data(struct jbd2_inode *jinode, u64 start, u64 end)
{
	return 0;
}

static const struct jbd2_journal_ops client_ops = {
	.submit_inode_data = client_submit_data,
	.finish_inode_data = client_finish_data,
};

static inline int client_open(struct client *c, struct block_device *bdev, struct jbd2_journal **log)
{
	struct jbd2_place place = {
		.bdev = bdev,
		.name = "d",
		.block_size = c->block_size,
		.nr_blocks = CLIENT_LOG,
		.volume_blocks = CLIENT_VOLUME,
		.write = true,
		.map = client_map,
	};
	char why[192];

	return jbd2_journal_open(&place, why, sizeof(why), log);
}

/* Loads the journal of a disk whose log is empty, or has been recovered. */
static inline int client_load(struct client *c, tid_t next)
{
	struct jbd2_journal *log;
	int err = client_open(c, c->bdev, &log);

	if (err)
		return err;
	c->options.incompat = c->incompat;
	c->options.ops = c->ops ? c->ops : &client_ops;
	jbd2_journal_init_jbd_inode(&c->inode, c);
	err = jbd2_journal_load(log, &c->options, next, &c->journal);
	if (err)
		jbd2_journal_close(log);
	return err;
}

/* What one operation does: the blocks are different. */
struct change {
	u32 nr;
	enum kind to; /* META: a new version, DATA is not for operations */
};

static inline int client_get(struct client *c, u32 nr, struct buffer_head **bh)
{
	if (c->now.kind[nr] == META)
		return bread(c->bdev, CLIENT_FIRST + nr, c->block_size, NULL, NULL, 0, bh);
	return getblk(c->bdev, CLIENT_FIRST + nr, c->block_size, bh);
}

static inline int client_access(struct client *c, handle_t *handle, struct change change,
				struct buffer_head *bh)
{
	if (change.to == FREED)
		return 0;
	if (c->now.kind[change.nr] == META)
		return jbd2_journal_get_write_access(handle, bh);
	return jbd2_journal_get_create_access(handle, bh);
}

static inline int client_change(struct client *c, handle_t *handle, struct change change,
				struct buffer_head *bh, struct model *next)
{
	int err;

	next->kind[change.nr] = change.to;
	if (change.to == FREED)
		return jbd2_journal_revoke(handle, bh->b_blocknr, bh);
	next->version[change.nr] = c->version;
	client_stamp(bh->b_data, c->block_size, change.nr, c->version);
	buffer_set_uptodate(bh);
	err = jbd2_journal_dirty_metadata(handle, bh);
	/* Once more: costs nothing. */
	return err ? err : jbd2_journal_dirty_metadata(handle, bh);
}

/* The journal ends; its error. */
static inline int client_destroy(struct client *c)
{
	int err = jbd2_journal_force_commit(c->journal);

	(void)err; /* the end tells it, too */
	jbd2_journal_release_jbd_inode(c->journal, &c->inode);
	err = jbd2_journal_destroy(c->journal);
	c->journal = NULL;
	return err;
}

/*
 * One operation in one handle. An error of an access comes before anything was changed: then the model stays.
 * Of a revoke: the block stays as it is, too, but what was changed before in the same operation is kept.
 */
static inline int client_do(struct client *c, const struct change *changes, u32 nr, bool sync)
{
	struct buffer_head *bh[CLIENT_CHANGES] = {NULL};
	struct model next = c->now;
	handle_t *handle;
	int err = jbd2_journal_start(c->journal, nr, nr, 0, &handle), stop;

	if (err)
		return err;
	for (u32 i = 0; !err && i < nr; i++) {
		err = client_get(c, changes[i].nr, &bh[i]);
		if (!err)
			err = client_access(c, handle, changes[i], bh[i]);
	}
	c->version++;
	for (u32 i = 0; !err && i < nr; i++) {
		struct model before = next;

		err = client_change(c, handle, changes[i], bh[i], &next);
		if (err)
			next = before;
	}
	if (!err && c->version % 3 == 0) {
		next.ordered = c->ordered = c->version;
		jbd2_journal_inode_ranged_write(handle, &c->inode, CLIENT_ORDERED * (u64)c->block_size,
						c->block_size);
	}
	for (u32 i = 0; i < nr; i++)
		brelse(bh[i]);
	handle->h_sync = sync;
	stop = jbd2_journal_stop(handle);
	c->now = next;
	return err ? err : stop;
}

#endif
