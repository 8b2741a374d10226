/* SPDX-License-Identifier: MIT */
/*
 * Feature words: which features shale reads, and the names by which the others are refused. The compat
 * classes mean what the format says: an unknown `incompat` feature refuses the volume, an unknown `ro_compat`
 * one allows reading, a `compat` one does not matter.
 */
#include <stdio.h>

#include "base/compiler.h"
#include "fs/ext4/ext4_internal.h"

#define INCOMPAT_SUPPORTED                                                                                   \
	(EXT4_FEATURE_INCOMPAT_FILETYPE | EXT4_FEATURE_INCOMPAT_RECOVER | EXT4_FEATURE_INCOMPAT_META_BG |    \
	 EXT4_FEATURE_INCOMPAT_EXTENTS | EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_MMP |           \
	 EXT4_FEATURE_INCOMPAT_FLEX_BG | EXT4_FEATURE_INCOMPAT_CSUM_SEED | EXT4_FEATURE_INCOMPAT_LARGEDIR |  \
	 EXT4_FEATURE_INCOMPAT_EA_INODE | EXT4_FEATURE_INCOMPAT_INLINE_DATA |                                \
	 EXT4_FEATURE_INCOMPAT_ENCRYPT | EXT4_FEATURE_INCOMPAT_CASEFOLD)

static const struct {
	u32 bit;
	const char *name;
} incompat_names[] = {
	{EXT4_FEATURE_INCOMPAT_COMPRESSION, "compression"},
	{EXT4_FEATURE_INCOMPAT_DIRDATA, "dirdata"},
};

/* "... a b unknown (incompat 0x40000000)" */
static void tell_missing(u32 missing, char *why, size_t why_size)
{
	int at = snprintf(why, why_size, "volume has features that shale does not read:");

	for (size_t i = 0; i < ARRAY_SIZE(incompat_names); i++) {
		if (!(missing & incompat_names[i].bit) || at >= (int)why_size)
			continue;
		at += snprintf(why + at, why_size - at, " %s", incompat_names[i].name);
		missing &= ~incompat_names[i].bit;
	}
	if (missing && at < (int)why_size)
		snprintf(why + at, why_size - at, " unknown (incompat %#x)", missing);
}

int ext4_fill_super_features(struct ext4_sb_info *sbi, char *why, size_t why_size)
{
	u32 missing = sbi->incompat & ~(u32)INCOMPAT_SUPPORTED;

	if (missing & EXT4_FEATURE_INCOMPAT_JOURNAL_DEV) {
		snprintf(why, why_size, "holds the journal of another volume (journal_dev), no files");
		return -EOPNOTSUPP;
	}
	if (missing) {
		tell_missing(missing, why, why_size);
		return -EOPNOTSUPP;
	}
	return 0;
}
