/* SPDX-License-Identifier: MIT */
/*
 * A journal from opening to closing: reads its super block, verifies every word of it before anything relies
 * on it, and keeps what it said. The log itself is recovery.c's.
 */
#include "base/crc.h"
#include "base/log.h"
#include "base/machine.h"
#include "jbd2/jbd2_internal.h"

#include <stdarg.h>
#include <stdio.h>

#define KNOWN_INCOMPAT                                                                                       \
	(JBD2_FEATURE_INCOMPAT_REVOKE | JBD2_FEATURE_INCOMPAT_64BIT | JBD2_FEATURE_INCOMPAT_ASYNC_COMMIT |   \
	 JBD2_FEATURE_INCOMPAT_CSUM_V2 | JBD2_FEATURE_INCOMPAT_CSUM_V3 | JBD2_FEATURE_INCOMPAT_FAST_COMMIT)

int jbd2_error(struct jbd2_journal *journal, int err, const char *fmt, ...)
{
	char text[160];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	shale_log_ratelimited(journal->machine, LOGLEVEL_ERR, "jbd2 (%s): %s", journal->name, text);
	if (journal->why)
		snprintf(journal->why, journal->why_size, "%s", text);
	return err;
}

static int check_identity(struct jbd2_journal *journal, const struct jbd2_super_block *sb)
{
	u32 magic = be32_to_cpu(sb->s_header.h_magic), type = be32_to_cpu(sb->s_header.h_blocktype);
	u32 block_size = be32_to_cpu(sb->s_blocksize);

	if (magic != JBD2_MAGIC)
		return jbd2_error(journal, -EINVAL, "journal super block: magic is %#010x", magic);
	if (type != JBD2_SUPERBLOCK_V1 && type != JBD2_SUPERBLOCK_V2)
		return jbd2_error(journal, -EINVAL, "journal super block: of unknown kind %u", type);
	if (block_size != journal->block_size)
		return jbd2_error(journal, -EINVAL,
				  "journal super block: blocks of %u bytes, but the volume's have %u",
				  block_size, journal->block_size);
	journal->version_2 = type == JBD2_SUPERBLOCK_V2;
	if (journal->version_2) {
		journal->compat = be32_to_cpu(sb->s_feature_compat);
		journal->incompat = be32_to_cpu(sb->s_feature_incompat);
	}
	return 0;
}

/* Only of a version 2 super block: before it there are no features. */
static int check_features(struct jbd2_journal *journal, const struct jbd2_super_block *sb)
{
	u32 unknown = journal->incompat & ~(u32)KNOWN_INCOMPAT,
	    ro_compat = be32_to_cpu(sb->s_feature_ro_compat);

	if (!journal->version_2)
		return 0;
	if (unknown)
		return jbd2_error(journal, -EOPNOTSUPP,
				  "journal super block: unknown features %#x (incompat)", unknown);
	if (ro_compat)
		return jbd2_error(journal, -EOPNOTSUPP,
				  "journal super block: unknown features %#x (ro_compat)", ro_compat);
	if (jbd2_has_incompat(journal, JBD2_FEATURE_INCOMPAT_CSUM_V2) &&
	    jbd2_has_incompat(journal, JBD2_FEATURE_INCOMPAT_CSUM_V3))
		return jbd2_error(journal, -EINVAL, "journal super block: checksums of version 2 and of 3");
	journal->has_csum =
		jbd2_has_incompat(journal, JBD2_FEATURE_INCOMPAT_CSUM_V2 | JBD2_FEATURE_INCOMPAT_CSUM_V3);
	if (journal->has_csum && journal->compat & JBD2_FEATURE_COMPAT_CHECKSUM)
		return jbd2_error(journal, -EINVAL,
				  "journal super block: checksums of version 1 and of a later one");
	if (journal->has_csum && sb->s_checksum_type != JBD2_CRC32C_CHKSUM)
		return jbd2_error(journal, -EINVAL, "journal super block: checksums of unknown kind %u",
				  sb->s_checksum_type);
	return 0;
}

static int check_checksum(struct jbd2_journal *journal, const struct jbd2_super_block *sb)
{
	struct jbd2_super_block copy = *sb;
	u32 crc;

	if (!journal->has_csum)
		return 0;
	copy.s_checksum = cpu_to_be32(0);
	crc = crc32c(~0u, &copy, sizeof(copy));
	if (crc != be32_to_cpu(sb->s_checksum))
		return jbd2_error(journal, -EFSBADCRC,
				  "journal super block: checksum is %#010x, computed %#010x",
				  be32_to_cpu(sb->s_checksum), crc);
	return 0;
}

static int check_geometry(struct jbd2_journal *journal, const struct jbd2_super_block *sb, u32 nr_blocks)
{
	u32 fc = 0;

	journal->maxlen = be32_to_cpu(sb->s_maxlen);
	journal->first = be32_to_cpu(sb->s_first);
	journal->start = be32_to_cpu(sb->s_start);
	journal->sequence = be32_to_cpu(sb->s_sequence);
	journal->error = (int)be32_to_cpu(sb->s_errno);
	memcpy(journal->uuid, sb->s_uuid, sizeof(journal->uuid));
	if (journal->maxlen > nr_blocks)
		return jbd2_error(journal, -EINVAL,
				  "journal super block: %u blocks, but the journal's file has %u",
				  journal->maxlen, nr_blocks);
	if (jbd2_has_incompat(journal, JBD2_FEATURE_INCOMPAT_FAST_COMMIT)) {
		fc = be32_to_cpu(sb->s_num_fc_blks);
		fc = fc ? fc : JBD2_DEFAULT_FC_BLOCKS;
	}
	if (journal->maxlen < JBD2_MIN_JOURNAL_BLOCKS || fc > journal->maxlen - JBD2_MIN_JOURNAL_BLOCKS)
		return jbd2_error(journal, -EINVAL,
				  "journal super block: %u blocks, %u of them for fast commits, are too few",
				  journal->maxlen, fc);
	journal->last = journal->maxlen - fc;
	/* The first block of the area stays empty. */
	journal->fc_first = journal->last + 1;
	journal->fc_blocks = fc ? fc - 1 : 0;
	if (!journal->first || journal->first >= journal->last)
		return jbd2_error(journal, -EINVAL, "journal super block: the log's first block is %u of %u",
				  journal->first, journal->last);
	if (journal->start && (journal->start < journal->first || journal->start >= journal->last))
		return jbd2_error(journal, -EFSCORRUPTED,
				  "journal super block: the log starts at block %u of [%u, %u)",
				  journal->start, journal->first, journal->last);
	return 0;
}

void jbd2_set_format(struct jbd2_journal *journal)
{
	const u32 csum = JBD2_FEATURE_INCOMPAT_CSUM_V2 | JBD2_FEATURE_INCOMPAT_CSUM_V3;

	journal->has_csum = jbd2_has_incompat(journal, csum);
	journal->csum_seed = journal->has_csum ? crc32c(~0u, journal->uuid, sizeof(journal->uuid)) : 0;
	journal->tag_bytes =
		jbd2_has_incompat(journal, JBD2_FEATURE_INCOMPAT_CSUM_V3)
			? sizeof(struct jbd2_tag3)
			: sizeof(struct jbd2_tag) -
				  (jbd2_has_incompat(journal, JBD2_FEATURE_INCOMPAT_64BIT) ? 0
											   : sizeof(be32)) +
				  (jbd2_has_incompat(journal, JBD2_FEATURE_INCOMPAT_CSUM_V2) ? sizeof(be16)
											     : 0);
}

/* Block 0 of the journal holds its super block. */
static int read_super(struct jbd2_journal *journal, const struct jbd2_place *place,
		      struct jbd2_super_block *sb)
{
	u8 *block __free_kfree = NULL;
	u64 pblk;
	u32 len;
	int err = place->nr_blocks ? place->map(place->ctx, 0, 1, &pblk, &len) : -EFSCORRUPTED;

	if (!err && pblk >= journal->volume_blocks)
		err = -EFSCORRUPTED;
	if (err)
		return jbd2_error(journal, err, "the journal's super block cannot be found");
	block = kmalloc_aligned(journal->machine, journal->block_size, min(journal->block_size, 4096u));
	if (!block)
		return -ENOMEM;
	err = jbd2_read_device(journal, pblk, 1, block);
	if (err)
		return jbd2_error(journal, err, "the journal's super block cannot be read");
	memcpy(sb, block, sizeof(*sb));
	return 0;
}

static int journal_load(struct jbd2_journal *journal, const struct jbd2_place *place)
{
	struct jbd2_super_block sb;
	int err = read_super(journal, place, &sb);

	if (!err)
		err = check_identity(journal, &sb);
	if (!err)
		err = check_features(journal, &sb);
	if (!err)
		err = check_checksum(journal, &sb);
	if (!err)
		err = check_geometry(journal, &sb, place->nr_blocks);
	jbd2_set_format(journal);
	if (err || !(journal->start || place->write))
		return err;
	if (journal->start)
		journal->window = kmalloc_aligned(journal->machine, JBD2_WINDOW_BYTES, 4096);
	return journal->start && !journal->window ? -ENOMEM : jbd2_runs_learn(journal, place);
}

int jbd2_journal_open(const struct jbd2_place *place, char *why, size_t why_size, struct jbd2_journal **out)
{
	struct shale *machine = bdev_machine(place->bdev);
	struct jbd2_journal *journal = kzalloc(machine, sizeof(*journal));
	int err;

	BUG_ON(!is_power_of_2(place->block_size) || place->block_size < JBD2_SUPER_BYTES);
	if (!journal)
		return -ENOMEM;
	*journal = (struct jbd2_journal){
		.machine = machine,
		.bdev = place->bdev,
		.name = place->name,
		.block_size = place->block_size,
		.block_bits = ilog2(place->block_size),
		.volume_blocks = place->volume_blocks,
		.why = why,
		.why_size = why_size,
	};
	err = journal_load(journal, place);
	journal->why = NULL;
	if (err) {
		jbd2_journal_close(journal);
		return err;
	}
	*out = journal;
	return 0;
}

void jbd2_journal_close(struct jbd2_journal *journal)
{
	if (!journal)
		return;
	jbd2_runs_free(journal);
	kfree(journal->window);
	kfree(journal);
}

bool jbd2_needs_recovery(const struct jbd2_journal *journal)
{
	return journal->start != 0;
}

bool jbd2_may_have_features(const struct jbd2_journal *journal)
{
	return journal->version_2;
}

int jbd2_errno(const struct jbd2_journal *journal)
{
	/* Any other word means that there was one, too. */
	return journal->error > 0 ? -EIO : journal->error;
}
