/* SPDX-License-Identifier: MIT */
/* Mount options, between options.c and super.c. */
#ifndef SHALE_FS_EXT4_OPTIONS_H
#define SHALE_FS_EXT4_OPTIONS_H

struct ext4_options;
struct fs_context;

void ext4_options_default(struct ext4_options *opt);
/* parse_param of fs_context_operations; fc->fs_private is the struct ext4_options. */
int ext4_parse_param(struct fs_context *fc, const char *key, const char *value);

#endif
