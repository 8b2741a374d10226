/* SPDX-License-Identifier: MIT */
/*
 * shale info: what an image is, read from its super block and not mounted, so that it also tells of volumes
 * that shale does not read. An image with partitions is told partition by partition.
 */
#include "tool.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <linux/fs.h>

#include "fs/ext4/ext4_format.h"
#include "jbd2/jbd2_format.h"

struct feature {
	uint32_t bit;
	const char *name; /* as e2fsprogs calls it */
};

static const struct feature compat[] = {
	{0x1, "dir_prealloc"},     {0x2, "imagic_inodes"},   {0x4, "has_journal"},   {0x8, "ext_attr"},
	{0x10, "resize_inode"},    {0x20, "dir_index"},      {0x40, "lazy_bg"},      {0x80, "exclude_inode"},
	{0x100, "exclude_bitmap"}, {0x200, "sparse_super2"}, {0x400, "fast_commit"}, {0x800, "stable_inodes"},
	{0x1000, "orphan_file"},
};
static const struct feature incompat[] = {
	{0x1, "compression"},  {0x2, "filetype"},       {0x4, "needs_recovery"},
	{0x8, "journal_dev"},  {0x10, "meta_bg"},       {0x40, "extent"},
	{0x80, "64bit"},       {0x100, "mmp"},          {0x200, "flex_bg"},
	{0x400, "ea_inode"},   {0x1000, "dirdata"},     {0x2000, "metadata_csum_seed"},
	{0x4000, "large_dir"}, {0x8000, "inline_data"}, {0x10000, "encrypt"},
	{0x20000, "casefold"},
};
static const struct feature ro_compat[] = {
	{0x1, "sparse_super"},       {0x2, "large_file"}, {0x4, "btree_dir"},        {0x8, "huge_file"},
	{0x10, "uninit_bg"},         {0x20, "dir_nlink"}, {0x40, "extra_isize"},     {0x100, "quota"},
	{0x80, "snapshot"},          {0x200, "bigalloc"}, {0x400, "metadata_csum"},  {0x800, "replica"},
	{0x1000, "read-only"},       {0x2000, "project"}, {0x4000, "shared_blocks"}, {0x8000, "verity"},
	{0x10000, "orphan_present"},
};

static const struct feature journal_incompat[] = {
	{JBD2_FEATURE_INCOMPAT_REVOKE, "journal_incompat_revoke"},
	{JBD2_FEATURE_INCOMPAT_64BIT, "journal_64bit"},
	{JBD2_FEATURE_INCOMPAT_ASYNC_COMMIT, "journal_async_commit"},
	{JBD2_FEATURE_INCOMPAT_CSUM_V2, "journal_checksum_v2"},
	{JBD2_FEATURE_INCOMPAT_CSUM_V3, "journal_checksum_v3"},
	{JBD2_FEATURE_INCOMPAT_FAST_COMMIT, "journal_fast_commit"},
};
static const struct feature journal_compat[] = {{JBD2_FEATURE_COMPAT_CHECKSUM, "journal_checksum"}};

static void field(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void field(const char *name, const char *fmt, ...)
{
	va_list args;
	char text[256];

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (option_json) {
		json_string(name, text);
	} else {
		printf("  %-16s ", name);
		print_name(text); /* a label may hold anything */
		putchar('\n');
	}
}

static void number(const char *name, uint64_t value)
{
	if (option_json)
		json_number(name, value);
	else
		printf("  %-16s %llu\n", name, (unsigned long long)value);
}

static void tell_features(uint32_t bits, const struct feature *f, size_t n, const char *class)
{
	for (size_t i = 0; i < n; i++) {
		if (!(bits & f[i].bit))
			continue;
		bits &= ~f[i].bit;
		if (option_json)
			json_string(NULL, f[i].name);
		else
			printf(" %s", f[i].name);
	}
	for (unsigned i = 0; i < 32; i++) {
		char text[40];

		if (!(bits >> i & 1))
			continue;
		snprintf(text, sizeof(text), "%s_bit_%u", class, i);
		if (option_json)
			json_string(NULL, text);
		else
			printf(" %s", text);
	}
}

static void tell_time(const char *name, uint32_t low, uint8_t high)
{
	time_t t = (time_t)((uint64_t)high << 32 | low);
	struct tm tm;
	char text[40];

	if (!t)
		return;
	if (gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		field(name, "%s", text);
}

#define WORD(x) le32_to_cpu(es->x)

static const char *kind_of(const struct ext4_super_block *es)
{
	if (WORD(s_feature_incompat) & 0x8)
		return "external journal";
	/* As blkid tells them apart: ext4 by what ext3 does not know, ext3 by its journal. */
	if (WORD(s_feature_incompat) & ~0x17u || WORD(s_feature_ro_compat) & ~0x7u)
		return "ext4";
	return WORD(s_feature_compat) & 0x4 ? "ext3" : "ext2";
}

static void tell_identity(const struct ext4_super_block *es)
{
	const uint8_t *u = es->s_uuid;

	field("kind", "%s", kind_of(es));
	field("label", "%.16s", es->s_volume_name);
	field("uuid", "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
	      u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	if (option_json)
		json_array("features");
	else
		printf("  %-15s ", "features");
	tell_features(WORD(s_feature_compat), compat, sizeof(compat) / sizeof(compat[0]), "compat");
	tell_features(WORD(s_feature_incompat), incompat, sizeof(incompat) / sizeof(incompat[0]), "incompat");
	tell_features(WORD(s_feature_ro_compat), ro_compat, sizeof(ro_compat) / sizeof(ro_compat[0]),
		      "ro_compat");
	if (option_json)
		json_end();
	else
		putchar('\n');
}

static void tell_geometry(const struct ext4_super_block *es)
{
	bool wide = WORD(s_feature_incompat) & 0x80;
	uint64_t blocks = WORD(s_blocks_count_lo) | (wide ? (uint64_t)WORD(s_blocks_count_hi) << 32 : 0);
	uint64_t freed =
		WORD(s_free_blocks_count_lo) | (wide ? (uint64_t)WORD(s_free_blocks_count_hi) << 32 : 0);
	uint32_t per_group = WORD(s_blocks_per_group), log = WORD(s_log_block_size);

	if (log <= 6)
		number("block size", 1024u << log);
	number("blocks", blocks);
	number("blocks free", freed);
	if (per_group)
		number("groups", (blocks - WORD(s_first_data_block) + per_group - 1) / per_group);
	number("inodes", WORD(s_inodes_count));
	number("inodes free", WORD(s_free_inodes_count));
	number("inode size", WORD(s_rev_level) ? le16_to_cpu(es->s_inode_size) : 128);
}

static void tell_state(const struct ext4_super_block *es)
{
	uint16_t state = le16_to_cpu(es->s_state);

	tell_time("created", WORD(s_mkfs_time), es->s_mkfs_time_hi);
	tell_time("mounted", WORD(s_mtime), es->s_mtime_hi);
	tell_time("written", WORD(s_wtime), es->s_wtime_hi);
	field("state", "%s%s", state & EXT4_VALID_FS ? "clean" : "not clean",
	      state & EXT4_ERROR_FS ? ", with errors" : "");
	if (!(WORD(s_feature_compat) & 0x4))
		field("journal", "none");
	else
		field("journal", "%s%s", WORD(s_journal_inum) ? "internal" : "external",
		      WORD(s_feature_incompat) & 0x4 ? ", holds changes" : ", empty");
}

#define BE(x) be32_to_cpu(sb->x)

static void tell_journal_super(const struct jbd2_super_block *sb)
{
	if (BE(s_header.h_magic) != JBD2_MAGIC)
		return;
	if (option_json)
		json_array("journal features");
	else
		printf("  %-16s", "journal features");
	if (BE(s_header.h_blocktype) == JBD2_SUPERBLOCK_V2) {
		tell_features(BE(s_feature_compat), journal_compat,
			      sizeof(journal_compat) / sizeof(journal_compat[0]), "compat");
		tell_features(BE(s_feature_incompat), journal_incompat,
			      sizeof(journal_incompat) / sizeof(journal_incompat[0]), "incompat");
		tell_features(BE(s_feature_ro_compat), NULL, 0, "ro_compat");
	}
	if (option_json)
		json_end();
	else
		putchar('\n');
	number("journal blocks", BE(s_maxlen));
	number("journal start", BE(s_start));
	number("journal sequence", BE(s_sequence));
	if (BE(s_errno))
		field("journal error", "%d", -(int)BE(s_errno));
}

/* Where the first block of the journal lies, by the copy of its inode's map in the super block; 0: no
 * telling. */
static uint64_t journal_block(const struct ext4_super_block *es)
{
	struct ext4_extent_header header;
	struct ext4_extent extent;

	if (!(WORD(s_feature_compat) & 0x4) || !WORD(s_journal_inum) || es->s_jnl_backup_type != 1)
		return 0;
	memcpy(&header, es->s_jnl_blocks, sizeof(header));
	memcpy(&extent, (const char *)es->s_jnl_blocks + sizeof(header), sizeof(extent));
	if (le16_to_cpu(header.eh_magic) != EXT4_EXT_MAGIC)
		return WORD(s_jnl_blocks[0]);
	if (le16_to_cpu(header.eh_depth) || !le16_to_cpu(header.eh_entries) || le32_to_cpu(extent.ee_block))
		return 0;
	return le32_to_cpu(extent.ee_start_lo) | (uint64_t)le16_to_cpu(extent.ee_start_hi) << 32;
}

static void tell_journal(const struct ext4_super_block *es, int fd)
{
	struct jbd2_super_block sb;
	uint64_t block = journal_block(es);

	if (!block || WORD(s_log_block_size) > 6)
		return;
	if (shale_pread(tool_root_task(), fd, &sb, sizeof(sb),
			(off_t)(block << (10 + WORD(s_log_block_size)))) == (ssize_t)sizeof(sb))
		tell_journal_super(&sb);
}

/* Where super blocks are looked for, in bytes: --options sb=N says it in KiB, as for a mount. */
static off_t super_at = EXT4_SUPER_OFFSET;

static bool parse_super_at(const char *options)
{
	for (const char *option = options; option; option = strchr(option, ',')) {
		char *end;
		uint64_t kib;

		option += *option == ',';
		if (strncmp(option, "sb=", 3))
			continue;
		errno = 0;
		kib = strtoull(option + 3, &end, 0);
		if (errno || !isdigit((unsigned char)option[3]) || (*end && *end != ',') ||
		    kib > INT64_MAX / 1024)
			return false;
		super_at = (off_t)(kib * 1024);
	}
	return true;
}

/* One device of the machine. -ENODATA: nothing is known of what it holds. */
static int tell_volume(const char *device)
{
	struct ext4_super_block es;
	struct shale_task *task = tool_root_task();
	int fd = shale_open(task, device, O_RDONLY, 0);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = shale_pread(task, fd, &es, sizeof(es), super_at);
	if (n >= 0 && (n != (ssize_t)sizeof(es) || le16_to_cpu(es.s_magic) != EXT4_SUPER_MAGIC))
		n = -ENODATA;
	if (n >= 0) {
		tell_identity(&es);
		tell_geometry(&es);
		tell_state(&es);
		tell_journal(&es, fd);
	}
	shale_close(task, fd);
	return n < 0 ? (int)n : 0;
}

static uint64_t device_bytes(const char *device)
{
	struct shale_task *task = tool_root_task();
	int fd = shale_open(task, device, O_RDONLY, 0);
	uint64_t bytes = 0;

	if (fd >= 0) {
		(void)shale_ioctl(task, fd, BLKGETSIZE64, &bytes);
		shale_close(task, fd);
	}
	return bytes;
}

/* The partitions of the disk; returns how many there are. */
static unsigned tell_partitions(const struct image *image)
{
	int err;
	unsigned found = 0;

	for (unsigned i = 1; i < 256; i++) {
		/* A name that ends in a digit takes a "p" before the number. */
		char *device = tool_printf("%sp%u", image->device, i);
		struct stat st;

		if (!shale_stat(tool_root_task(), device, &st)) {
			if (!found++ && option_json)
				json_array("partitions");
			if (option_json)
				json_object(NULL);
			else
				printf(" partition %u\n", i);
			number("number", i);
			number("bytes", device_bytes(device));
			err = tell_volume(device);
			if (err)
				field("kind", "unknown");
			if (err && err != -ENODATA)
				tool_error(image->disk, err);
			if (option_json)
				json_end();
		}
		free(device);
	}
	if (found && option_json)
		json_end();
	return found;
}

static void info(const char *disk)
{
	struct image *image = image_attach(disk);
	int err;

	if (!image)
		return;
	if (option_json) {
		json_object(NULL);
		json_string("image", disk);
	} else {
		print_name(disk);
		puts(":");
	}
	number("bytes", device_bytes(image->device));
	err = tell_volume(image->device);
	if (err && err != -ENODATA)
		tool_error(disk, err);
	else if (err && !tell_partitions(image))
		tool_error_text(
			disk,
			super_at != EXT4_SUPER_OFFSET
				? "no super block is where sb= says, nor is there a partition table"
				: "neither an ext2, ext3 or ext4 volume nor a partition table is in it");
	if (option_json)
		json_end();
}

int verb_info(int argc, char **argv)
{
	static const struct tool_options o = {.words = "IMAGE...",
					      .doc = "Shows what images are: features, geometry, journal.",
					      .json = true,
					      .least = 1};
	char **words = tool_parse(&o, argc, argv);

	if (!parse_super_at(option_mount)) {
		tool_error_text(option_mount, "sb= wants a number of KiB");
		return TOOL_USAGE;
	}
	if (option_json)
		json_array(NULL);
	for (; *words; words++) {
		struct place place;

		place_parse(*words, &place);
		info(place.disk ? place.disk : *words);
	}
	if (option_json)
		json_end();
	return 0;
}
