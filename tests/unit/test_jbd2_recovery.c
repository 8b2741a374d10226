/* SPDX-License-Identifier: MIT */
/*
 * Journals written here, block by block, and what recovery tells of them: rows E1 and J1 (recovery). Good
 * ones have random transactions in every format, and what must come of them is worked out beside, by the rule
 * of the format's description: a copy counts unless a transaction of the same or a higher number revokes its
 * block. Bad ones have one word that is wrong.
 */
#include "drivers_machine.h"

#include "base/crc.h"
#include "jbd2/jbd2.h"
#include "jbd2/jbd2_format.h"

#define VOLUME_BLOCKS 3000u
#define JOURNAL_AT    700u /* where the journal's first piece lies, the second follows after a gap */
#define JOURNAL_GAP   100u
#define PIECE         600u /* blocks of the first piece */
#define MAXLEN        1100u
#define MAX_NUMBERS   64u /* blocks of the volume that transactions are about */
#define CSUM          (JBD2_FEATURE_INCOMPAT_CSUM_V2 | JBD2_FEATURE_INCOMPAT_CSUM_V3)

struct log {
	struct drivers_machine t;
	struct block_device *bdev;
	u32 block_size, compat, incompat;
	u32 at, tid; /* where the next block goes, of which transaction */
	u64 time;    /* of the next commit */
	u32 crc;     /* of the transaction, v1 */
	u32 map_calls;
	u64 most; /* replays that may come */
	struct jbd2_super_block sb;
	u8 *block; /* one to work with */
	/* What must come of it: of the last copy of a block, where it is; and what revokes it. */
	struct expectation {
		u64 pblk; /* 0: none */
		bool escaped;
	} want[VOLUME_BLOCKS], got[VOLUME_BLOCKS];
};

static u64 pblk_of(u32 jblk)
{
	return JOURNAL_AT + jblk + (jblk < PIECE ? 0 : JOURNAL_GAP);
}

static int test_map(void *ctx, u32 jblk, u32 max, u64 *pblk, u32 *len)
{
	struct log *l = ctx;

	l->map_calls++;
	*pblk = pblk_of(jblk);
	*len = min(max, jblk < PIECE ? PIECE - jblk : MAXLEN - jblk);
	return 0;
}

static void put_block(struct log *l, u32 jblk, void *data)
{
	assert_int_equal(disk_write(l->bdev, pblk_of(jblk) * (l->block_size / 512), data, l->block_size), 0);
}

static void put_super(struct log *l)
{
	memset(l->block, 0, l->block_size);
	l->sb.s_checksum = cpu_to_be32(0);
	l->sb.s_checksum = cpu_to_be32(crc32c(~0u, &l->sb, sizeof(l->sb)));
	memcpy(l->block, &l->sb, sizeof(l->sb));
	put_block(l, 0, l->block);
}

static void log_start(struct log *l, const char *uri, u32 block_size, u32 compat, u32 incompat, u32 start,
		      u32 tid)
{
	char text[64];

	memset(l, 0, sizeof(*l));
	drivers_start(&l->t, 0, 11);
	l->t.machine->options.memory_limit = 64 << 20;
	snprintf(text, sizeof(text), uri, VOLUME_BLOCKS * (block_size / 1024));
	l->bdev = disk_open(l->t.machine, "d", text, 0);
	l->block_size = block_size;
	l->compat = compat;
	l->incompat = incompat;
	l->at = start;
	l->tid = tid;
	l->time = 1000;
	l->crc = ~0u;
	l->block = kzalloc(NULL, block_size);
	l->sb = (struct jbd2_super_block){
		.s_header = {cpu_to_be32(JBD2_MAGIC), cpu_to_be32(JBD2_SUPERBLOCK_V2), cpu_to_be32(0)},
		.s_blocksize = cpu_to_be32(block_size),
		.s_maxlen = cpu_to_be32(MAXLEN),
		.s_first = cpu_to_be32(1),
		.s_sequence = cpu_to_be32(tid),
		.s_start = cpu_to_be32(start),
		.s_feature_compat = cpu_to_be32(compat),
		.s_feature_incompat = cpu_to_be32(incompat),
		.s_checksum_type = incompat & CSUM ? JBD2_CRC32C_CHKSUM : 0,
	};
	memset(l->sb.s_uuid, 0x5a, sizeof(l->sb.s_uuid));
	put_super(l);
}

static void log_stop(struct log *l)
{
	kfree(l->block);
	disk_close(l->t.machine, l->bdev);
	drivers_stop(&l->t);
}

static u32 seed_of(const struct log *l)
{
	return crc32c(~0u, l->sb.s_uuid, 16);
}

static u32 last_of(const struct log *l)
{
	return l->incompat & JBD2_FEATURE_INCOMPAT_FAST_COMMIT ? MAXLEN - be32_to_cpu(l->sb.s_num_fc_blks)
							       : MAXLEN;
}

/* The next block of the log, with its head if it has one. */
static u32 append(struct log *l, u8 *block, u32 type)
{
	u32 at = l->at;

	if (type) {
		put_unaligned_be32(JBD2_MAGIC, block);
		put_unaligned_be32(type, block + 4);
		put_unaligned_be32(l->tid, block + 8);
	}
	if (l->incompat & CSUM && (type == JBD2_DESCRIPTOR_BLOCK || type == JBD2_REVOKE_BLOCK)) {
		put_unaligned_be32(0, block + l->block_size - 4);
		put_unaligned_be32(crc32c(seed_of(l), block, l->block_size), block + l->block_size - 4);
	}
	if (!type || type == JBD2_DESCRIPTOR_BLOCK)
		l->crc = crc32_be(l->crc, block, l->block_size);
	put_block(l, at, block);
	l->at = l->at + 1 == last_of(l) ? 1 : l->at + 1;
	return at;
}

struct item {
	u64 block;
	bool escape;
	bool bad; /* its checksum is wrong */
};

static u32 tag_size(const struct log *l)
{
	if (l->incompat & JBD2_FEATURE_INCOMPAT_CSUM_V3)
		return 16;
	return 8 + (l->incompat & JBD2_FEATURE_INCOMPAT_64BIT ? 4 : 0) +
	       (l->incompat & JBD2_FEATURE_INCOMPAT_CSUM_V2 ? 2 : 0);
}

static void put_tag(const struct log *l, u8 *p, const struct item *item, u32 flags, u32 csum)
{
	bool wide = l->incompat & JBD2_FEATURE_INCOMPAT_64BIT;

	put_unaligned_be32((u32)item->block, p);
	if (l->incompat & JBD2_FEATURE_INCOMPAT_CSUM_V3) {
		put_unaligned_be32(flags, p + 4);
		put_unaligned_be32(wide ? (u32)(item->block >> 32) : 0, p + 8);
		put_unaligned_be32(csum, p + 12);
		return;
	}
	put_unaligned_be16(l->incompat & JBD2_FEATURE_INCOMPAT_CSUM_V2 ? (u16)csum : 0, p + 4);
	put_unaligned_be16((u16)flags, p + 6);
	if (wide)
		put_unaligned_be32((u32)(item->block >> 32), p + 8);
}

/* The copy of an item: what stands in the journal. */
static void fill_copy(const struct log *l, u8 *copy, const struct item *item)
{
	fill_pattern(copy, l->block_size, item->block * 31 + l->tid);
	if (item->escape)
		memset(copy, 0, 4);
}

static u32 copy_csum(const struct log *l, const u8 *copy, bool bad)
{
	be32 tid = cpu_to_be32(l->tid);

	return crc32c(crc32c(seed_of(l), &tid, 4), copy, l->block_size) ^ (bad ? 0x10001 : 0);
}

/* A descriptor and its copies. uuid: the first tag carries one, as Linux writes it. */
static void put_items(struct log *l, const struct item *items, u32 nr, bool uuid)
{
	u8 *descriptor = kzalloc(NULL, l->block_size), *copy = kzalloc(NULL, l->block_size);
	u32 offset = 12;

	for (u32 i = 0; i < nr; i++) {
		u32 flags = (items[i].escape ? JBD2_FLAG_ESCAPE : 0) |
			    (i || !uuid ? JBD2_FLAG_SAME_UUID : 0) | (i == nr - 1 ? JBD2_FLAG_LAST_TAG : 0);

		fill_copy(l, copy, &items[i]);
		put_tag(l, descriptor + offset, &items[i], flags, copy_csum(l, copy, items[i].bad));
		offset += tag_size(l) + (flags & JBD2_FLAG_SAME_UUID ? 0 : 16);
	}
	assert_true(offset + 4 <= l->block_size);
	append(l, descriptor, JBD2_DESCRIPTOR_BLOCK);
	for (u32 i = 0; i < nr; i++) {
		u32 at;

		fill_copy(l, copy, &items[i]);
		at = append(l, copy, 0);
		if (items[i].block < VOLUME_BLOCKS)
			l->want[items[i].block] =
				(struct expectation){.pblk = pblk_of(at), .escaped = items[i].escape};
	}
	kfree(descriptor);
	kfree(copy);
}

static void put_revokes(struct log *l, const u64 *blocks, u32 nr, u32 count_extra)
{
	u32 size = l->incompat & JBD2_FEATURE_INCOMPAT_64BIT ? 8 : 4;

	memset(l->block, 0, l->block_size);
	put_unaligned_be32(16 + nr * size + count_extra, l->block + 12);
	for (u32 i = 0; i < nr; i++)
		if (size == 8)
			put_unaligned_be64(blocks[i], l->block + 16 + i * 8);
		else
			put_unaligned_be32((u32)blocks[i], l->block + 16 + i * 4);
	append(l, l->block, JBD2_REVOKE_BLOCK);
}

static void put_commit(struct log *l, bool bad)
{
	struct jbd2_commit_header *commit = (void *)l->block;

	memset(l->block, 0, l->block_size);
	commit->h_header = (struct jbd2_header){cpu_to_be32(JBD2_MAGIC), cpu_to_be32(JBD2_COMMIT_BLOCK),
						cpu_to_be32(l->tid)};
	commit->h_commit_sec = cpu_to_be64(l->time);
	if (l->compat & JBD2_FEATURE_COMPAT_CHECKSUM) {
		commit->h_chksum_type = JBD2_CRC32_CHKSUM;
		commit->h_chksum_size = 4;
		commit->h_chksum[0] = cpu_to_be32(l->crc ^ bad);
	} else if (l->incompat & CSUM) {
		commit->h_chksum[0] = cpu_to_be32(crc32c(seed_of(l), l->block, l->block_size) ^ bad);
	}
	append(l, l->block, JBD2_COMMIT_BLOCK);
	l->crc = ~0u;
	l->tid++;
	l->time++;
}

static int got_begin(void *ctx, u64 max_blocks)
{
	struct log *l = ctx;

	l->most = max_blocks;
	return 0;
}

static int got_replay(void *ctx, u64 block, u64 pblk, bool escaped)
{
	struct log *l = ctx;

	assert_true(l->most-- > 0);
	assert_in_range(block, 0, VOLUME_BLOCKS - 1);
	assert_in_range(pblk, 1, VOLUME_BLOCKS - 1);
	l->got[block] = (struct expectation){.pblk = pblk, .escaped = escaped};
	return 0;
}

static int got_revoke(void *ctx, u64 block)
{
	struct log *l = ctx;

	assert_in_range(block, 0, VOLUME_BLOCKS - 1);
	l->got[block] = (struct expectation){0};
	return 0;
}

static const struct jbd2_recovery_ops got_ops = {got_begin, got_replay, got_revoke};

static char why[192];

static int open_log(struct log *l, struct jbd2_journal **journal)
{
	struct jbd2_place place = {
		.bdev = l->bdev,
		.name = "d",
		.block_size = l->block_size,
		.nr_blocks = MAXLEN,
		.volume_blocks = VOLUME_BLOCKS,
		.map = test_map,
		.ctx = l,
	};

	why[0] = '\0';
	return jbd2_journal_open(&place, why, sizeof(why), journal);
}

/* Opens and recovers; the error of either. */
static int recover(struct log *l, struct jbd2_recovery *found)
{
	struct jbd2_recovery other;
	struct jbd2_journal *journal;
	int err = open_log(l, &journal);

	memset(l->got, 0, sizeof(l->got));
	if (err)
		return err;
	err = jbd2_recover(journal, &got_ops, l, found ? found : &other, why, sizeof(why));
	jbd2_journal_close(journal);
	return err;
}

static void expect(struct log *l, int err, const char *words)
{
	assert_int_equal(recover(l, NULL), err);
	if (!strstr(why, words))
		fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static void expect_want(struct log *l)
{
	struct jbd2_recovery found;

	assert_int_equal(recover(l, &found), 0);
	for (u32 i = 0; i < VOLUME_BLOCKS; i++) {
		assert_int_equal(l->got[i].pblk, l->want[i].pblk);
		assert_int_equal(l->got[i].escaped, l->want[i].escaped);
	}
}

static const struct {
	u32 compat, incompat;
} formats[] = {
	{0, 0},
	{0, JBD2_FEATURE_INCOMPAT_64BIT},
	{JBD2_FEATURE_COMPAT_CHECKSUM, 0},
	{JBD2_FEATURE_COMPAT_CHECKSUM, JBD2_FEATURE_INCOMPAT_64BIT | JBD2_FEATURE_INCOMPAT_ASYNC_COMMIT},
	{0, JBD2_FEATURE_INCOMPAT_CSUM_V2},
	{0, JBD2_FEATURE_INCOMPAT_CSUM_V2 | JBD2_FEATURE_INCOMPAT_64BIT},
	{0, JBD2_FEATURE_INCOMPAT_CSUM_V3},
	{0, JBD2_FEATURE_INCOMPAT_CSUM_V3 | JBD2_FEATURE_INCOMPAT_64BIT},
	{0, JBD2_FEATURE_INCOMPAT_CSUM_V3 | JBD2_FEATURE_INCOMPAT_64BIT | JBD2_FEATURE_INCOMPAT_FAST_COMMIT},
};

static struct log the_log;

/* A block of the volume that is not the journal's. */
static u64 random_block(struct shale *machine)
{
	return prandom_below(machine, MAX_NUMBERS) * 7 + 1;
}

/* One transaction; its revokes are wherever they come among its descriptors, and count for all of it. */
static void random_transaction(struct log *l)
{
	struct shale *machine = l->t.machine;
	u64 revoked[8];
	u32 nr_revoked = 0, parts = prandom_below(machine, 4);

	for (u32 part = 0; part < parts; part++) {
		struct item items[20];
		u32 nr = 1 + prandom_below(machine, 20);

		if (prandom_below(machine, 3) == 0 && nr_revoked < 6) {
			u32 n = prandom_below(machine, 3);

			for (u32 i = 0; i < n; i++)
				revoked[nr_revoked + i] = random_block(machine);
			put_revokes(l, revoked + nr_revoked, n, 0);
			nr_revoked += n;
		}
		for (u32 i = 0; i < nr; i++)
			items[i] =
				(struct item){random_block(machine), prandom_below(machine, 5) == 0, false};
		put_items(l, items, nr, prandom_below(machine, 2));
	}
	put_commit(l, false);
	for (u32 i = 0; i < nr_revoked; i++)
		l->want[revoked[i]] = (struct expectation){0};
}

static void test_every_format(void **state)
{
	for (u32 i = 0; i < 2 * ARRAY_SIZE(formats); i++) {
		struct log *l = &the_log;
		struct jbd2_recovery found;
		u32 incompat = formats[i / 2].incompat | JBD2_FEATURE_INCOMPAT_REVOKE;

		/* The log goes round its end, and its numbers round theirs. */
		log_start(l, "ram:%uK", i % 2 ? 4096 : 1024, formats[i / 2].compat, incompat, i % 2 ? 1 : 990,
			  i % 2 ? 77 : 0xfffffffbu);
		if (incompat & JBD2_FEATURE_INCOMPAT_FAST_COMMIT) {
			l->sb.s_num_fc_blks = cpu_to_be32(40);
			put_super(l);
		}
		for (u32 n = 0; n < 12; n++)
			random_transaction(l);
		expect_want(l);
		/* What has no commit does not count. */
		memcpy(l->got, l->want, sizeof(l->got));
		put_items(l, (struct item[]){{3, false, false}, {8, false, false}}, 2, true);
		memcpy(l->want, l->got, sizeof(l->got));
		expect_want(l);
		assert_int_equal(recover(l, &found), 0);
		assert_int_equal(found.end_tid - found.first_tid, 12);
		log_stop(l);
	}
}

/* Blocks of an earlier lap behind the end: lower numbers, or with luck the same but an older commit. */
static void test_remains_of_another_lap(void **state)
{
	struct log *l = &the_log;

	log_start(l, "ram:%uK", 1024, 0, JBD2_FEATURE_INCOMPAT_CSUM_V3, 1, 50);
	put_items(l, &(struct item){8, false, false}, 1, true);
	put_commit(l, false);
	memcpy(l->got, l->want, sizeof(l->got));
	l->tid = 20;
	put_items(l, &(struct item){15, false, false}, 1, true);
	put_commit(l, false);
	memcpy(l->want, l->got, sizeof(l->got));
	expect_want(l);

	/* The right number, a wrong checksum, and a commit from before. */
	l->at = 4;
	l->tid = 51;
	l->time = 900;
	put_items(l, &(struct item){22, false, false}, 1, true);
	put_commit(l, true);
	memcpy(l->got, l->want, sizeof(l->got));
	l->want[22] = (struct expectation){0};
	expect_want(l);
	log_stop(l);
}

static void damaged_commit(u32 compat, u32 incompat, bool more, int err, const char *words)
{
	struct log *l = &the_log;

	log_start(l, "ram:%uK", 1024, compat, incompat, 1, 50);
	put_items(l, &(struct item){8, false, false}, 1, true);
	put_commit(l, false);
	put_items(l, &(struct item){15, false, false}, 1, true);
	put_commit(l, true);
	l->want[15] = (struct expectation){0};
	if (more) {
		put_items(l, &(struct item){22, false, false}, 1, true);
		put_commit(l, false);
		l->want[22] = (struct expectation){0};
	}
	if (err)
		expect(l, err, words);
	else
		expect_want(l);
	log_stop(l);
}

static void test_damaged_commits(void **state)
{
	u32 async = JBD2_FEATURE_INCOMPAT_ASYNC_COMMIT, v3 = JBD2_FEATURE_INCOMPAT_CSUM_V3;
	const char *words = "commit of transaction 51";

	damaged_commit(0, v3, false, -EUCLEAN, words);
	damaged_commit(0, JBD2_FEATURE_INCOMPAT_CSUM_V2, true, -EUCLEAN, words);
	damaged_commit(0, v3 | async, false, 0, NULL);
	damaged_commit(0, v3 | async, true, 0, NULL);
	damaged_commit(JBD2_FEATURE_COMPAT_CHECKSUM, 0, false, -EUCLEAN, words);
	damaged_commit(JBD2_FEATURE_COMPAT_CHECKSUM, async, false, 0, NULL);
	damaged_commit(JBD2_FEATURE_COMPAT_CHECKSUM, async, true, -EUCLEAN, "transaction 51 is damaged");
}

static void flip(struct log *l, u32 jblk, u32 offset)
{
	disk_read(l->bdev, pblk_of(jblk) * 2, l->block, 1024);
	l->block[offset] ^= 1;
	put_block(l, jblk, l->block);
}

static void test_damaged_blocks(void **state)
{
	struct log *l = &the_log;
	u64 block = 8;

	/* Blocks 1 to 3: descriptor, copy, commit; 4 to 7: revoke, descriptor, copy, commit. */
	log_start(l, "ram:%uK", 1024, 0, JBD2_FEATURE_INCOMPAT_CSUM_V3 | JBD2_FEATURE_INCOMPAT_REVOKE, 1, 50);
	put_items(l, &(struct item){8, false, true}, 1, true);
	put_commit(l, false);
	expect(l, -EBADMSG, "block 8");
	/* A later revoke makes the damage of no account. */
	put_revokes(l, &block, 1, 0);
	put_items(l, &(struct item){15, false, false}, 1, true);
	put_commit(l, false);
	l->want[8] = (struct expectation){0};
	expect_want(l);
	flip(l, 1, 500);
	expect(l, -EBADMSG, "transaction 50");
	flip(l, 1, 500);
	flip(l, 4, 500);
	expect(l, -EBADMSG, "transaction 51");
	flip(l, 4, 500);
	flip(l, 6, 500);
	expect(l, -EBADMSG, "block 15");
	flip(l, 6, 500);
	/* The commit block behind its header was never written. */
	flip(l, 7, 800);
	expect_want(l);
	log_stop(l);
}

/* Words of tags and revoke blocks that an enemy has written, with checksums that are right. */
static void test_hostile_words(void **state)
{
	static const struct {
		u64 block;
		const char *words;
	} bad[] = {{VOLUME_BLOCKS, "outside the volume"},
		   {~0ull, "outside the volume"},
		   {1ull << 32, "outside the volume"},
		   {JOURNAL_AT, "journal's own"},
		   {JOURNAL_AT + PIECE - 1, "journal's own"},
		   {JOURNAL_AT + PIECE + JOURNAL_GAP, "journal's own"},
		   {JOURNAL_AT + MAXLEN + JOURNAL_GAP - 1, "journal's own"}};
	u32 incompat = JBD2_FEATURE_INCOMPAT_64BIT | JBD2_FEATURE_INCOMPAT_CSUM_V3;
	struct log *l = &the_log;
	u64 revoked[] = {~0ull, VOLUME_BLOCKS, 8};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		log_start(l, "ram:%uK", 1024, 0, incompat, 1, 50);
		put_items(l, &(struct item){bad[i].block, false, false}, 1, true);
		put_commit(l, false);
		expect(l, -EUCLEAN, bad[i].words);
		log_stop(l);
	}
	/* The neighbours of the journal are the volume's. */
	log_start(l, "ram:%uK", 1024, 0, incompat, 1, 50);
	put_items(l,
		  (struct item[]){{JOURNAL_AT - 1, false, false},
				  {JOURNAL_AT + PIECE, false, false},
				  {JOURNAL_AT + PIECE + JOURNAL_GAP - 1, false, false},
				  {JOURNAL_AT + MAXLEN + JOURNAL_GAP, false, false},
				  {0, false, false},
				  {VOLUME_BLOCKS - 1, false, false},
				  {8, false, false}},
		  7, true);
	put_revokes(l, revoked, 3, 0);
	put_commit(l, false);
	l->want[8] = (struct expectation){0};
	expect_want(l);
	log_stop(l);

	log_start(l, "ram:%uK", 1024, 0, incompat, 1, 50);
	put_revokes(l, revoked, 3, 1024 - 16 - 24 - 4);
	put_commit(l, false);
	expect_want(l);
	l->at = 1;
	l->tid = 50;
	put_revokes(l, revoked, 3, 1024 - 16 - 24 - 3);
	put_commit(l, false);
	expect(l, -EUCLEAN, "overfull");
	l->at = 1;
	l->tid = 50;
	put_revokes(l, revoked, 0, ~0u - 16);
	put_commit(l, false);
	expect(l, -EUCLEAN, "overfull");
	log_stop(l);
}

/* Every block is a full descriptor of the same transaction: it never ends, but the walk does. */
static void test_log_of_descriptors(void **state)
{
	struct log *l = &the_log;
	struct jbd2_recovery found;

	log_start(l, "ram:%uK", 1024, 0, 0, 1, 50);
	memset(l->block, 0, l->block_size);
	for (u32 i = 1; i < MAXLEN; i++)
		append(l, l->block, i % 3 ? JBD2_DESCRIPTOR_BLOCK : JBD2_REVOKE_BLOCK);
	expect_want(l);
	assert_int_equal(recover(l, &found), 0);
	assert_int_equal(found.end_tid, 50);
	/* And of commits: a lap of them, and no more. */
	l->tid = 50;
	l->at = 1;
	for (u32 i = 1; i < MAXLEN; i++)
		put_commit(l, false);
	assert_int_equal(recover(l, &found), 0);
	assert_int_equal(found.end_tid, 50 + MAXLEN - 1);
	log_stop(l);
}

static void test_super_words(void **state)
{
	static const struct {
		size_t offset;
		u32 value;
		int err;
		const char *words;
	} bad[] = {
#define WORD(f) offsetof(struct jbd2_super_block, f)
		{WORD(s_header.h_magic), 1, -EINVAL, "magic"},
		{WORD(s_header.h_blocktype), 5, -EINVAL, "kind"},
		{WORD(s_blocksize), 2048, -EINVAL, "blocks of 2048 bytes"},
		{WORD(s_maxlen), MAXLEN + 1, -EINVAL, "1101 blocks"},
		{WORD(s_maxlen), ~0u, -EINVAL, "blocks"},
		{WORD(s_maxlen), 1023, -EINVAL, "too few"},
		{WORD(s_maxlen), 0, -EINVAL, "too few"},
		{WORD(s_first), 0, -EINVAL, "first block"},
		{WORD(s_first), MAXLEN, -EINVAL, "first block"},
		{WORD(s_first), ~0u, -EINVAL, "first block"},
		{WORD(s_start), MAXLEN, -EUCLEAN, "starts at"},
		{WORD(s_start), ~0u, -EUCLEAN, "starts at"},
		{WORD(s_first), 9, -EUCLEAN, "starts at"},
		{WORD(s_feature_incompat), JBD2_FEATURE_INCOMPAT_CSUM_V3 | 0x40, -EOPNOTSUPP, "0x40"},
		{WORD(s_feature_ro_compat), 2, -EOPNOTSUPP, "0x2"},
		{WORD(s_feature_incompat), CSUM, -EINVAL, "version 2"},
		{WORD(s_feature_compat), JBD2_FEATURE_COMPAT_CHECKSUM, -EINVAL, "version 1"},
		{WORD(s_checksum_type), 1 << 24, -EINVAL, "kind 1"},
		{WORD(s_feature_incompat), JBD2_FEATURE_INCOMPAT_CSUM_V3 | JBD2_FEATURE_INCOMPAT_FAST_COMMIT,
		 -EINVAL, "too few"},
	};
	struct log *l = &the_log;

	log_start(l, "ram:%uK", 1024, 0, JBD2_FEATURE_INCOMPAT_CSUM_V3, 5, 50);
	expect_want(l);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct jbd2_super_block good = l->sb;

		put_unaligned_be32(bad[i].value, (u8 *)&l->sb + bad[i].offset);
		put_super(l);
		expect(l, bad[i].err, bad[i].words);
		l->sb = good;
	}
	put_super(l);
	flip(l, 0, 0xfc);
	expect(l, -EBADMSG, "checksum");
	log_stop(l);
}

static void test_version_1(void **state)
{
	struct log *l = &the_log;

	/* Its features are not looked at. */
	log_start(l, "ram:%uK", 1024, 0, 0, 1, 50);
	l->sb.s_header.h_blocktype = cpu_to_be32(JBD2_SUPERBLOCK_V1);
	l->sb.s_feature_incompat = cpu_to_be32(~0u);
	l->sb.s_feature_ro_compat = cpu_to_be32(~0u);
	put_super(l);
	put_items(l, (struct item[]){{8, false, false}, {15, true, false}}, 2, true);
	put_commit(l, false);
	expect_want(l);
	log_stop(l);
}

static void test_fast_commit_area(void **state)
{
	struct log *l = &the_log;
	struct jbd2_journal *journal;
	u8 data[1024];

	log_start(l, "ram:%uK", 1024, 0, JBD2_FEATURE_INCOMPAT_FAST_COMMIT, 1, 50);
	l->sb.s_num_fc_blks = cpu_to_be32(40);
	put_super(l);
	put_items(l, &(struct item){8, false, false}, 1, true);
	put_commit(l, false);
	for (u32 i = 0; i < 40; i++) {
		memset(l->block, (int)i, 1024);
		put_block(l, MAXLEN - 40 + i, l->block);
	}
	assert_int_equal(open_log(l, &journal), 0);
	assert_true(jbd2_needs_recovery(journal));
	/* The first of the 40 stays unused. */
	assert_int_equal(jbd2_fc_blocks(journal), 39);
	for (u32 i = 0; i < 39; i++) {
		assert_int_equal(jbd2_fc_read(journal, i, data), 0);
		assert_true(all_bytes(data, 1024, (u8)(i + 1)));
	}
	assert_int_equal(jbd2_fc_read(journal, 39, data), -EINVAL);
	jbd2_journal_close(journal);
	/* An empty log: nothing is to be done, and where its blocks lie is not even asked. */
	l->sb.s_start = cpu_to_be32(0);
	l->sb.s_errno = cpu_to_be32((u32)-EIO);
	put_super(l);
	l->map_calls = 0;
	assert_int_equal(open_log(l, &journal), 0);
	assert_false(jbd2_needs_recovery(journal));
	assert_int_equal(jbd2_errno(journal), -EIO);
	assert_int_equal(jbd2_fc_read(journal, 0, data), -EINVAL);
	assert_int_equal(l->map_calls, 1);
	jbd2_journal_close(journal);
	log_stop(l);
}

/* Pieces that overlap or lie outside, as a hostile inode would have them. */
static u64 bad_pblk;

static int bad_map(void *ctx, u32 jblk, u32 max, u64 *pblk, u32 *len)
{
	*pblk = jblk < 500 ? JOURNAL_AT + jblk : bad_pblk;
	*len = min(max, jblk < 500 ? 500 - jblk : 600u);
	return 0;
}

static void test_pieces(void **state)
{
	static const struct {
		u64 pblk;
		int err;
	} places[] = {{JOURNAL_AT + 500, 0},           {JOURNAL_AT + 499, -EUCLEAN}, {JOURNAL_AT, -EUCLEAN},
		      {JOURNAL_AT - 600, 0},           {JOURNAL_AT - 599, -EUCLEAN}, {VOLUME_BLOCKS - 600, 0},
		      {VOLUME_BLOCKS - 599, -EUCLEAN}, {~0ull - 10, -EUCLEAN}};
	struct log *l = &the_log;

	log_start(l, "ram:%uK", 1024, 0, 0, 1, 50);
	for (u32 i = 0; i < ARRAY_SIZE(places); i++) {
		struct jbd2_place place = {.bdev = l->bdev,
					   .name = "d",
					   .block_size = 1024,
					   .nr_blocks = MAXLEN,
					   .volume_blocks = VOLUME_BLOCKS,
					   .map = bad_map};
		struct jbd2_journal *journal = NULL;

		bad_pblk = places[i].pblk;
		assert_int_equal(jbd2_journal_open(&place, why, sizeof(why), &journal), places[i].err);
		jbd2_journal_close(journal);
	}
	log_stop(l);
}

static void test_unreadable_blocks(void **state)
{
	struct log *l = &the_log;
	char uri[128];

	/* Block 3 of the journal, a commit. */
	snprintf(uri, sizeof(uri), "fault+ram:%%uK?fault=op=read,start=%u,end=%u,error=EIO",
		 (JOURNAL_AT + 3) * 2, (JOURNAL_AT + 3) * 2);
	log_start(l, uri, 1024, 0, 0, 1, 50);
	put_items(l, &(struct item){8, false, false}, 1, true);
	put_commit(l, false);
	expect(l, -EIO, "block 3");
	/* What lies beside the log's blocks does not count. */
	l->sb.s_start = cpu_to_be32(1);
	l->at = 1;
	l->tid = 50;
	put_commit(l, false);
	memset(l->want, 0, sizeof(l->want));
	expect_want(l);
	log_stop(l);
}

static void test_every_allocation_fails(void **state)
{
	struct log *l = &the_log;

	log_start(l, "ram:%uK", 1024, 0, JBD2_FEATURE_INCOMPAT_CSUM_V3, 1, 50);
	put_items(l, (struct item[]){{8, true, false}, {15, false, false}}, 2, true);
	put_commit(l, false);
	for (u64 nth = 1;; nth++) {
		int err;

		alloc_fail_set(l->t.machine, ALLOC_FAIL_NTH, nth, 0);
		err = recover(l, NULL);
		alloc_fail_clear(l->t.machine);
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_in_range(nth, 1, 50);
	}
	log_stop(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_format),      cmocka_unit_test(test_remains_of_another_lap),
		cmocka_unit_test(test_damaged_commits),   cmocka_unit_test(test_damaged_blocks),
		cmocka_unit_test(test_hostile_words),     cmocka_unit_test(test_log_of_descriptors),
		cmocka_unit_test(test_super_words),       cmocka_unit_test(test_version_1),
		cmocka_unit_test(test_fast_commit_area),  cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_unreadable_blocks), cmocka_unit_test(test_every_allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
