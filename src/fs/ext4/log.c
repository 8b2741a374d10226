/* SPDX-License-Identifier: MIT */
/*
 * Messages of ext4: each names the device, then the structure, then what is wrong with it. They go to the
 * machine's log, rate-limited there, since a damaged volume has much to say.
 */
#include <stdarg.h>
#include <stdio.h>

#include "fs/ext4/ext4_internal.h"

void ext4_msg(struct super_block *sb, int level, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	shale_log_ratelimited(sb->s_machine, level, "ext4 (%s): %s", sb->s_id, text);
}

void ext4_error_inode(const struct inode *inode, u64 pblk, const char *fmt, ...)
{
	char text[256], place[32] = "";
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (pblk)
		snprintf(place, sizeof(place), ", block %llu", (unsigned long long)pblk);
	shale_log_ratelimited(inode->i_sb->s_machine, LOGLEVEL_ERR, "ext4 (%s): inode %llu%s: %s",
			      inode->i_sb->s_id, (unsigned long long)inode->i_ino, place, text);
}

void ext4_error_block(struct super_block *sb, u64 pblk, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	shale_log_ratelimited(sb->s_machine, LOGLEVEL_ERR, "ext4 (%s): block %llu: %s", sb->s_id,
			      (unsigned long long)pblk, text);
}
