/* SPDX-License-Identifier: MIT */
/*
 * What the blocks of the log say: tags of descriptors, records of revoke blocks, and the checksums of both
 * and of commits; and how they are made to say it. Each function is given a whole block and looks at nothing
 * outside it.
 */
#include "base/crc.h"
#include "jbd2/jbd2_internal.h"

/* Bytes of a descriptor or revoke block before its checksum. */
static u32 usable_bytes(const struct jbd2_journal *journal)
{
	return journal->block_size - (journal->has_csum ? sizeof(struct jbd2_block_tail) : 0);
}

static void take_tag3(const u8 *at, struct jbd2_tag_info *tag)
{
	struct jbd2_tag3 raw;

	memcpy(&raw, at, sizeof(raw));
	tag->block = be32_to_cpu(raw.t_blocknr) | (u64)be32_to_cpu(raw.t_blocknr_high) << 32;
	tag->flags = be32_to_cpu(raw.t_flags);
	tag->checksum = be32_to_cpu(raw.t_checksum);
}

static void take_tag(const u8 *at, u32 bytes, struct jbd2_tag_info *tag)
{
	struct jbd2_tag raw = {{0}};

	memcpy(&raw, at, min_t(size_t, bytes, sizeof(raw)));
	tag->block = be32_to_cpu(raw.t_blocknr) | (u64)be32_to_cpu(raw.t_blocknr_high) << 32;
	tag->flags = be16_to_cpu(raw.t_flags);
	tag->checksum = be16_to_cpu(raw.t_checksum);
}

bool jbd2_next_tag(const struct jbd2_journal *journal, const u8 *block, u32 *offset,
		   struct jbd2_tag_info *tag)
{
	if (!*offset)
		*offset = sizeof(struct jbd2_header);
	if (*offset > usable_bytes(journal) || journal->tag_bytes > usable_bytes(journal) - *offset)
		return false;
	if (jbd2_has_incompat(journal, JBD2_FEATURE_INCOMPAT_CSUM_V3))
		take_tag3(block + *offset, tag);
	else
		take_tag(block + *offset, journal->tag_bytes, tag);
	if (!jbd2_has_incompat(journal, JBD2_FEATURE_INCOMPAT_64BIT))
		tag->block &= UINT32_MAX;
	*offset += journal->tag_bytes + (tag->flags & JBD2_FLAG_SAME_UUID ? 0 : JBD2_UUID_BYTES);
	if (tag->flags & JBD2_FLAG_LAST_TAG)
		*offset = journal->block_size;
	return true;
}

u32 jbd2_count_tags(const struct jbd2_journal *journal, const u8 *block)
{
	struct jbd2_tag_info tag;
	u32 offset = 0, count = 0;

	while (jbd2_next_tag(journal, block, &offset, &tag))
		count++;
	return count;
}

static u32 tag_csum(const struct jbd2_journal *journal, u32 tid, const u8 *copy)
{
	be32 sequence = cpu_to_be32(tid);
	u32 crc = crc32c(journal->csum_seed, &sequence, sizeof(sequence));

	return crc32c(crc, copy, journal->block_size);
}

bool jbd2_tag_csum_ok(const struct jbd2_journal *journal, const struct jbd2_tag_info *tag, u32 tid,
		      const u8 *copy)
{
	u32 crc = tag_csum(journal, tid, copy);

	if (jbd2_has_incompat(journal, JBD2_FEATURE_INCOMPAT_CSUM_V3))
		return crc == tag->checksum;
	return (crc & 0xffff) == tag->checksum;
}

/* crc32c of `bytes` at p, where the 4 at `hole` count as zeroes. */
static u32 crc_with_hole(u32 crc, const u8 *p, size_t bytes, size_t hole)
{
	const be32 zero = {0};

	crc = crc32c(crc, p, hole);
	crc = crc32c(crc, &zero, sizeof(zero));
	return crc32c(crc, p + hole + sizeof(zero), bytes - hole - sizeof(zero));
}

bool jbd2_tail_csum_ok(const struct jbd2_journal *journal, const u8 *block)
{
	u32 at = usable_bytes(journal);

	if (!journal->has_csum)
		return true;
	return crc_with_hole(journal->csum_seed, block, journal->block_size, at) ==
	       get_unaligned_be32(block + at);
}

bool jbd2_commit_csum_ok(const struct jbd2_journal *journal, const u8 *block)
{
	static const u8 zeroes[512];
	const size_t at = offsetof(struct jbd2_commit_header, h_chksum);
	u32 stored = get_unaligned_be32(block + at), crc;

	if (crc_with_hole(journal->csum_seed, block, journal->block_size, at) == stored)
		return true;
	/* Only the header was written anew, over what stood there: the rest counts as the zeroes it was. */
	crc = crc_with_hole(journal->csum_seed, block, sizeof(struct jbd2_commit_header), at);
	for (u32 left = journal->block_size - sizeof(struct jbd2_commit_header); left;) {
		u32 n = min_t(u32, left, sizeof(zeroes));

		crc = crc32c(crc, zeroes, n);
		left -= n;
	}
	return crc == stored;
}

bool jbd2_commit_v1_ok(const u8 *block, u32 crc)
{
	struct jbd2_commit_header commit;
	u32 stored;

	memcpy(&commit, block, sizeof(commit));
	stored = be32_to_cpu(commit.h_chksum[0]);
	if (!commit.h_chksum_type && !commit.h_chksum_size && !stored)
		return true; /* written without one */
	return commit.h_chksum_type == JBD2_CRC32_CHKSUM && commit.h_chksum_size == sizeof(stored) &&
	       stored == crc;
}

static u32 revoke_bytes(const u8 *block)
{
	return get_unaligned_be32(block + offsetof(struct jbd2_revoke_header, r_count));
}

bool jbd2_revoke_ok(const struct jbd2_journal *journal, const u8 *block)
{
	return revoke_bytes(block) <= usable_bytes(journal);
}

bool jbd2_revoke_get(const struct jbd2_journal *journal, const u8 *block, u32 n, u64 *out)
{
	bool wide = jbd2_has_incompat(journal, JBD2_FEATURE_INCOMPAT_64BIT);
	u32 size = wide ? sizeof(be64) : sizeof(be32);
	u64 at = sizeof(struct jbd2_revoke_header) + (u64)n * size;

	if (at + size > revoke_bytes(block))
		return false;
	*out = wide ? get_unaligned_be64(block + at) : get_unaligned_be32(block + at);
	return true;
}

void jbd2_header_set(u8 *block, u32 type, u32 tid)
{
	const struct jbd2_header header = {cpu_to_be32(JBD2_MAGIC), cpu_to_be32(type), cpu_to_be32(tid)};

	memcpy(block, &header, sizeof(header));
}

u32 jbd2_max_tags(const struct jbd2_journal *journal)
{
	return (usable_bytes(journal) - sizeof(struct jbd2_header) - JBD2_UUID_BYTES) / journal->tag_bytes;
}

u32 jbd2_max_revokes(const struct jbd2_journal *journal)
{
	bool wide = jbd2_has_incompat(journal, JBD2_FEATURE_INCOMPAT_64BIT);

	return (usable_bytes(journal) - sizeof(struct jbd2_revoke_header)) /
	       (wide ? sizeof(be64) : sizeof(be32));
}

static void put_tag3(u8 *at, u64 blocknr, u32 flags, u32 crc)
{
	const struct jbd2_tag3 raw = {
		.t_blocknr = cpu_to_be32((u32)blocknr),
		.t_flags = cpu_to_be32(flags),
		.t_blocknr_high = cpu_to_be32((u32)(blocknr >> 32)),
		.t_checksum = cpu_to_be32(crc),
	};

	memcpy(at, &raw, sizeof(raw));
}

static void put_tag(u8 *at, u32 bytes, u64 blocknr, u32 flags, u32 crc)
{
	const struct jbd2_tag raw = {
		.t_blocknr = cpu_to_be32((u32)blocknr),
		.t_checksum = cpu_to_be16((u16)crc),
		.t_flags = cpu_to_be16((u16)flags),
		.t_blocknr_high = cpu_to_be32((u32)(blocknr >> 32)),
	};

	memcpy(at, &raw, min_t(size_t, bytes, sizeof(raw)));
}

u32 jbd2_tag_add(const struct jbd2_journal *journal, u8 *block, u32 at, u64 blocknr, u32 flags, u32 tid,
		 const u8 *copy)
{
	u32 crc = journal->has_csum ? tag_csum(journal, tid, copy) : 0;

	if (jbd2_has_incompat(journal, JBD2_FEATURE_INCOMPAT_CSUM_V3))
		put_tag3(block + at, blocknr, flags, crc);
	else
		put_tag(block + at, journal->tag_bytes, blocknr, flags, crc);
	at += journal->tag_bytes;
	if (flags & JBD2_FLAG_SAME_UUID)
		return at;
	memcpy(block + at, journal->uuid, JBD2_UUID_BYTES);
	return at + JBD2_UUID_BYTES;
}

void jbd2_tag_end(const struct jbd2_journal *journal, u8 *block, u32 at)
{
	/* Flags are the last bytes of two words, of 4 bytes or of 2. */
	BUILD_BUG_ON(offsetofend(struct jbd2_tag3, t_flags) != offsetofend(struct jbd2_tag, t_flags));
	block[at + offsetofend(struct jbd2_tag, t_flags) - 1] |= JBD2_FLAG_LAST_TAG;
}

void jbd2_revoke_set(const struct jbd2_journal *journal, u8 *block, u32 n, u64 blocknr)
{
	bool wide = jbd2_has_incompat(journal, JBD2_FEATURE_INCOMPAT_64BIT);
	u32 size = wide ? sizeof(be64) : sizeof(be32), at = sizeof(struct jbd2_revoke_header) + n * size;

	if (wide)
		put_unaligned_be64(blocknr, block + at);
	else
		put_unaligned_be32((u32)blocknr, block + at);
	put_unaligned_be32(at + size, block + offsetof(struct jbd2_revoke_header, r_count));
}

void jbd2_tail_csum_set(const struct jbd2_journal *journal, u8 *block)
{
	u32 at = usable_bytes(journal);

	if (journal->has_csum)
		put_unaligned_be32(crc_with_hole(journal->csum_seed, block, journal->block_size, at),
				   block + at);
}

void jbd2_commit_csum_set(const struct jbd2_journal *journal, u8 *block)
{
	const size_t at = offsetof(struct jbd2_commit_header, h_chksum);

	if (journal->has_csum)
		put_unaligned_be32(crc_with_hole(journal->csum_seed, block, journal->block_size, at),
				   block + at);
}
