/* SPDX-License-Identifier: MIT */
/*
 * Regular files: reading through the page cache or directly, over ext4's answers to iomap, and the few ioctls
 * that all kinds of files know.
 */
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <string.h>

#include "fs/ext4/ext4_internal.h"
#include "iomap/iomap.h"
#include "vfs/file.h"

static int ext4_read_folio(struct address_space *mapping, struct folio *folio)
{
	return iomap_read_folio(folio, mapping->host, &ext4_iomap_ops);
}

static void ext4_readahead(struct readahead_control *rac)
{
	iomap_readahead(rac, rac->mapping->host, &ext4_iomap_ops);
}

const struct address_space_operations ext4_aops = {
	.read_folio = ext4_read_folio,
	.readahead = ext4_readahead,
	.invalidate_folio = iomap_invalidate_folio,
	.release_folio = iomap_release_folio,
	.is_partially_uptodate = iomap_is_partially_uptodate,
};

bool ext4_reads_directly(const struct inode *inode)
{
	/* What is not in blocks of its own, and what Linux verifies in pages, goes through the cache. Of what
	 * is encrypted there is no reading. */
	return !(EXT4_I(inode)->i_flags & (EXT4_INLINE_DATA_FL | EXT4_VERITY_FL | EXT4_ENCRYPT_FL));
}

static ssize_t ext4_file_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	if (!iov_iter_count(to))
		return 0;
	if (iocb->ki_flags & IOCB_DIRECT && ext4_reads_directly(iocb->ki_filp->f_inode))
		return iomap_dio_read(iocb, to, &ext4_iomap_ops);
	return generic_file_read_iter(iocb, to);
}

/* The largest file that the inode's way of mapping can hold, in bytes. */
static u64 max_bytes(const struct inode *inode)
{
	if (EXT4_I(inode)->i_flags & EXT4_EXTENTS_FL)
		return inode->i_sb->s_maxbytes;
	return min(ext4_ind_max_blocks(inode->i_sb) << inode->i_blkbits, inode->i_sb->s_maxbytes);
}

static loff_t ext4_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file->f_inode;

	if (whence != SEEK_HOLE && whence != SEEK_DATA)
		return generic_file_llseek_size(file, offset, whence, max_bytes(inode), i_size_read(inode));
	inode_lock_shared(inode);
	offset = whence == SEEK_HOLE ? iomap_seek_hole(inode, offset, &ext4_iomap_ops)
				     : iomap_seek_data(inode, offset, &ext4_iomap_ops);
	inode_unlock_shared(inode);
	return offset < 0 ? offset : vfs_setpos(file, offset, max_bytes(inode));
}

int ext4_fiemap(struct inode *inode, struct fiemap_extent_info *fi, u64 start, u64 len)
{
	u64 max = max_bytes(inode);

	fi->fi_flags &= ~FIEMAP_FLAG_CACHE; // the blocks that tell the extents are cached as they are read
	if (len && start > max)
		return -EFBIG;
	if (fi->fi_flags & FIEMAP_FLAG_XATTR) {
		fi->fi_flags &= ~FIEMAP_FLAG_XATTR;
		return iomap_fiemap(inode, fi, start, min(len, max - start), &ext4_xattr_iomap_ops);
	}
	return iomap_fiemap(inode, fi, start, min(len, max - start), &ext4_iomap_ops);
}

static int file_open(struct inode *inode, struct file *file)
{
	/* Keys cannot be given. */
	if (EXT4_I(inode)->i_flags & EXT4_ENCRYPT_FL)
		return -ENOKEY;
	file->f_mode |= FMODE_NOWAIT | FMODE_CAN_ODIRECT;
	return generic_file_open(inode, file);
}

/* Flags as the caller sees them: that new files inherit the project is a matter of directories. */
static u32 user_flags(const struct inode *inode)
{
	return EXT4_I(inode)->i_flags & EXT4_FL_USER_VISIBLE &
	       (S_ISREG(inode->i_mode) ? ~(u32)EXT4_PROJINHERIT_FL : ~0u);
}

/* The same flags under the names that file systems share, and the project. */
static void fsxattr_fill(const struct inode *inode, struct fsxattr *fsx)
{
	static const struct {
		u32 flag, xflag;
	} names[] = {
		{EXT4_SYNC_FL, FS_XFLAG_SYNC},
		{EXT4_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE},
		{EXT4_APPEND_FL, FS_XFLAG_APPEND},
		{EXT4_NODUMP_FL, FS_XFLAG_NODUMP},
		{EXT4_NOATIME_FL, FS_XFLAG_NOATIME},
		{EXT4_DAX_FL, FS_XFLAG_DAX},
		{EXT4_PROJINHERIT_FL, FS_XFLAG_PROJINHERIT},
	};

	*fsx = (struct fsxattr){.fsx_projid = EXT4_I(inode)->i_projid};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (user_flags(inode) & names[i].flag)
			fsx->fsx_xflags |= names[i].xflag;
}

union ioctl_answer {
	int number;
	struct fsxattr fsx;
	char label[FSLABEL_MAX];
};

/* What an ioctl that only tells answers, and its size; 0: not one of these. */
static size_t ioctl_answer(const struct inode *inode, unsigned cmd, union ioctl_answer *out)
{
	const struct ext4_sb_info *sbi = EXT4_SB(inode->i_sb);

	switch (cmd) {
	case FS_IOC_GETFLAGS:
		out->number = (int)user_flags(inode);
		return sizeof(out->number);
	case FS_IOC_GETVERSION:
		out->number = (int)inode->i_generation;
		return sizeof(out->number);
	case FS_IOC_FSGETXATTR:
		fsxattr_fill(inode, &out->fsx);
		return sizeof(out->fsx);
	case FS_IOC_GETFSLABEL:
		memset(out->label, 0, sizeof(out->label));
		memcpy(out->label, sbi->es.s_volume_name, sizeof(sbi->es.s_volume_name));
		return sizeof(out->label);
	default:
		return 0;
	}
}

long ext4_ioctl(struct file *file, unsigned cmd, void *arg)
{
	union ioctl_answer answer;
	size_t bytes = ioctl_answer(file->f_inode, cmd, &answer);

	if (!bytes)
		return cmd == FS_IOC_SETFLAGS || cmd == FS_IOC_FSSETXATTR || cmd == FS_IOC_SETFSLABEL
			       ? -EROFS
			       : -ENOTTY;
	if (!arg)
		return -EFAULT;
	memcpy(arg, &answer, bytes);
	return 0;
}

const struct inode_operations ext4_file_inode_operations = {
	.getattr = ext4_getattr,
	.listxattr = ext4_listxattr,
	.get_inode_acl = ext4_get_acl,
	.fiemap = ext4_fiemap,
};

const struct file_operations ext4_file_operations = {
	.fop_flags = FOP_BUFFERED_READ,
	.open = file_open,
	.llseek = ext4_llseek,
	.read_iter = ext4_file_read_iter,
	.ioctl = ext4_ioctl,
};
