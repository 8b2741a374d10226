/* SPDX-License-Identifier: MIT */
/*
 * Mount options, named as in ext4(5). Those that only concern writing are taken and mean nothing while the
 * volume is read-only, so that a line of fstab works as it is.
 */
#include "base/alloc.h"
#include "base/parser.h"
#include "fs/ext4/ext4_internal.h"
#include "fs/ext4/ext4_options.h"
#include "vfs/fs_context.h"

enum {
	Opt_sb,
	Opt_acl,
	Opt_user_xattr,
	Opt_noload,
	Opt_minixdf,
	Opt_bsddf,
	Opt_debug,
	Opt_inode_readahead,
	Opt_ignored
};

static const struct constant_table data_modes[] = {
	{"journal", 0}, {"ordered", 1}, {"writeback", 2}, {NULL, 0}};
static const struct constant_table error_modes[] = {
	{"continue", 0}, {"panic", 1}, {"remount-ro", 2}, {NULL, 0}};

static const struct fs_parameter_spec ext4_parameters[] = {
	fsparam_u64("sb", Opt_sb),
	fsparam_flag_no("acl", Opt_acl),
	fsparam_flag_no("user_xattr", Opt_user_xattr),
	fsparam_flag("noload", Opt_noload),
	fsparam_flag("norecovery", Opt_noload),
	fsparam_flag("minixdf", Opt_minixdf),
	fsparam_flag("bsddf", Opt_bsddf),
	fsparam_flag("debug", Opt_debug),
	fsparam_u32("inode_readahead_blks", Opt_inode_readahead),
	fsparam_enum("errors", Opt_ignored, error_modes),
	fsparam_enum("data", Opt_ignored, data_modes),
	fsparam_flag_no("block_validity", Opt_ignored),
	fsparam_flag_no("delalloc", Opt_ignored),
	fsparam_flag_no("discard", Opt_ignored),
	fsparam_flag_no("auto_da_alloc", Opt_ignored),
	fsparam_flag_no("barrier", Opt_ignored),
	fsparam_u32("barrier", Opt_ignored),
	fsparam_flag_no("dioread_lock", Opt_ignored),
	fsparam_flag_no("init_itable", Opt_ignored),
	fsparam_flag_no("grpid", Opt_ignored),
	fsparam_flag("bsdgroups", Opt_ignored),
	fsparam_flag("sysvgroups", Opt_ignored),
	fsparam_flag("nouid32", Opt_ignored),
	fsparam_flag("oldalloc", Opt_ignored),
	fsparam_flag("orlov", Opt_ignored),
	fsparam_flag("journal_checksum", Opt_ignored),
	fsparam_flag("nojournal_checksum", Opt_ignored),
	fsparam_flag("journal_async_commit", Opt_ignored),
	fsparam_u32("commit", Opt_ignored),
	fsparam_u32("min_batch_time", Opt_ignored),
	fsparam_u32("max_batch_time", Opt_ignored),
	fsparam_u32("journal_ioprio", Opt_ignored),
	fsparam_u32("stripe", Opt_ignored),
	fsparam_u32("resuid", Opt_ignored),
	fsparam_u32("resgid", Opt_ignored),
	fsparam_u32("max_dir_size_kb", Opt_ignored),
	fsparam_flag("lazytime", Opt_ignored),
	fsparam_flag("nolazytime", Opt_ignored),
	{NULL, 0, 0, 0, NULL},
};

void ext4_options_default(struct ext4_options *opt)
{
	*opt = (struct ext4_options){
		.sb_block = 1, .inode_readahead_blks = 32, .posix_acl = true, .user_xattr = true};
}

int ext4_parse_param(struct fs_context *fc, const char *key, const char *value)
{
	struct ext4_options *opt = fc->fs_private;
	struct fs_parse_result result;
	const char *problem = "is not understood";
	int which = fs_parse(ext4_parameters, key, value, &result, &problem);

	if (which == -ENOPARAM)
		return which;
	if (which < 0)
		return invalfc(fc, "option \"%s\" %s", key, problem);
	switch (which) {
	case Opt_sb:
		opt->sb_block = result.uint_64;
		break;
	case Opt_acl:
		opt->posix_acl = !result.negated;
		break;
	case Opt_user_xattr:
		opt->user_xattr = !result.negated;
		break;
	case Opt_noload:
		opt->noload = true;
		break;
	case Opt_minixdf:
	case Opt_bsddf:
		opt->minixdf = which == Opt_minixdf;
		break;
	case Opt_debug:
		opt->debug = true;
		break;
	case Opt_inode_readahead:
		if (result.uint_32 && (!is_power_of_2(result.uint_32) || result.uint_32 > 1u << 30))
			return invalfc(
				fc,
				"ext4: option \"inode_readahead_blks\" must be 0 or a power of 2 below 2^31");
		opt->inode_readahead_blks = result.uint_32;
		break;
	default:
		break;
	}
	return 0;
}
