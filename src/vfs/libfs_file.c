// Data of files that live in memory alone: the page cache is the only copy.
//
// A page is there where something was written or asked for by fallocate; it is dirty for ever, which nobody
// is told, and reclaim leaves it. The rest is a hole, which reading does not fill. Pages count against the
// machine's limit: at the limit a write gets ENOMEM. Guarded by i_rwsem; invalidate_lock, too, where pages
// go.
#include "cache/folio.h"
#include "cache/writeback.h"
#include "vfs/file.h"
#include "vfs/inode.h"
#include "vfs/libfs.h"
#include "vfs/super.h"

#include <errno.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

#define SECTORS_PER_PAGE (PAGE_SIZE / 512)

static void mem_count_blocks(struct inode *inode)
{
	WRITE_ONCE(inode->i_blocks, READ_ONCE(inode->i_data.nrpages) * SECTORS_PER_PAGE);
}

static int mem_write_begin(struct address_space *mapping, u64 pos, size_t *len, struct folio **out)
{
	size_t offset = pos & ~PAGE_MASK;
	struct folio *folio;
	int err = filemap_grab_folio(mapping, pos >> PAGE_SHIFT, 0, &folio);

	if (err)
		return err;
	*len = min(*len, PAGE_SIZE - offset);
	if (!folio_test_uptodate(folio) && *len != PAGE_SIZE) {
		memset(folio_address(folio), 0, offset);
		memset((char *)folio_address(folio) + offset + *len, 0, PAGE_SIZE - offset - *len);
	}
	*out = folio;
	return 0;
}

static void mem_write_end(struct address_space *mapping, u64 pos, size_t copied, struct folio *folio)
{
	if (!folio_test_uptodate(folio))
		folio_mark_uptodate(folio);
	folio_mark_dirty(folio);
	folio_unlock(folio);
	folio_put(folio);
	if (pos + copied > mapping_size(mapping))
		WRITE_ONCE(mapping->size, pos + copied);
	mem_count_blocks(mapping->host);
}

// For those who want the page itself; reading goes by mem_file_read_iter.
static int mem_read_folio(struct address_space *mapping, struct folio *folio)
{
	memset(folio_address(folio), 0, folio_size(folio));
	folio_end_read(folio, true);
	return 0;
}

const struct address_space_operations mem_aops = {
	.read_folio = mem_read_folio,
	.write_begin = mem_write_begin,
	.write_end = mem_write_end,
	.dirty_folio = noop_dirty_folio,
};

// At most one page.
static size_t mem_read_page(struct address_space *mapping, u64 pos, size_t len, struct iov_iter *to)
{
	size_t offset = pos & ~PAGE_MASK, copied;
	struct folio *folio;

	len = min(len, PAGE_SIZE - offset);
	if (filemap_get_folio(mapping, pos >> PAGE_SHIFT, &folio))
		return iov_iter_zero(len, to);
	if (folio_test_uptodate(folio))
		copied = copy_to_iter((char *)folio_address(folio) + offset, len, to);
	else
		copied = iov_iter_zero(len, to);
	folio_put(folio);
	return copied;
}

static ssize_t mem_file_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct address_space *mapping = iocb->ki_filp->f_mapping;
	ssize_t done = 0;

	while (iov_iter_count(to)) {
		u64 pos = (u64)iocb->ki_pos, size = mapping_size(mapping);
		size_t copied;

		if (pos >= size)
			break;
		copied = mem_read_page(mapping, pos, min_t(u64, iov_iter_count(to), size - pos), to);
		if (!copied)
			break;
		iocb->ki_pos += (loff_t)copied;
		done += (ssize_t)copied;
	}
	file_accessed(iocb->ki_filp);
	return done;
}

static loff_t mem_file_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file->f_inode;
	loff_t size = (loff_t)i_size_read(inode);

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_file_llseek(file, offset, whence);
	if (offset < 0 || offset >= size)
		return -ENXIO;
	offset = mapping_seek_hole_data(&inode->i_data, offset, size, whence == SEEK_DATA);
	return offset < 0 ? offset : vfs_setpos(file, offset, (loff_t)inode->i_sb->s_maxbytes);
}

void truncate_setsize(struct inode *inode, u64 size)
{
	i_size_write(inode, size);
	truncate_pagecache(&inode->i_data, size);
}

void mem_file_set_size(struct inode *inode, u64 size)
{
	struct address_space *mapping = &inode->i_data;

	if (size > i_size_read(inode)) { // what fallocate made behind the end stays
		i_size_write(inode, size);
		return;
	}
	down_write(&mapping->invalidate_lock);
	truncate_setsize(inode, size);
	up_write(&mapping->invalidate_lock);
	mem_count_blocks(inode);
}

static void mem_punch(struct inode *inode, u64 start, u64 end)
{
	struct address_space *mapping = &inode->i_data;

	down_write(&mapping->invalidate_lock);
	truncate_inode_pages_range(mapping, start, end - 1);
	up_write(&mapping->invalidate_lock);
}

// Takes back what fallocate made and nobody has written.
static void mem_free_unwritten(struct inode *inode, pgoff_t first, pgoff_t end)
{
	struct address_space *mapping = &inode->i_data;

	for (pgoff_t index = first; index < end; index++) {
		struct folio *folio;
		bool written;

		if (filemap_get_folio(mapping, index, &folio))
			continue;
		written = folio_test_uptodate(folio);
		folio_put(folio);
		if (!written)
			mem_punch(inode, (u64)index << PAGE_SHIFT, (u64)(index + 1) << PAGE_SHIFT);
	}
}

// Makes the pages [first, end), or none.
static int mem_allocate(struct inode *inode, pgoff_t first, pgoff_t end)
{
	struct address_space *mapping = &inode->i_data;

	for (pgoff_t index = first; index < end; index++) {
		struct folio *folio;
		int err = filemap_grab_folio(mapping, index, 0, &folio);

		if (err) {
			mem_free_unwritten(inode, first, index);
			return err;
		}
		// One that an earlier fallocate made: filled now, so that it does not go if this one fails.
		if (folio_test_dirty(folio) && !folio_test_uptodate(folio)) {
			memset(folio_address(folio), 0, PAGE_SIZE);
			folio_mark_uptodate(folio);
		}
		folio_mark_dirty(folio);
		folio_unlock(folio);
		folio_put(folio);
		cond_resched();
	}
	return 0;
}

static int mem_fallocate_locked(struct inode *inode, int mode, u64 offset, u64 len)
{
	int err;

	if (mode & FALLOC_FL_PUNCH_HOLE) {
		mem_punch(inode, offset, offset + len);
		return 0;
	}
	err = mem_allocate(inode, offset >> PAGE_SHIFT, DIV_ROUND_UP(offset + len, PAGE_SIZE));
	if (!err && !(mode & FALLOC_FL_KEEP_SIZE) && offset + len > i_size_read(inode))
		i_size_write(inode, offset + len);
	return err;
}

static long mem_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file->f_inode;
	int err;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	inode_lock(inode);
	err = mem_fallocate_locked(inode, mode, (u64)offset, (u64)len);
	if (!err)
		err = file_modified(file);
	mem_count_blocks(inode);
	inode_unlock(inode);
	return err;
}

const struct file_operations mem_file_operations = {
	.fop_flags = FOP_BUFFERED_READ,
	.llseek = mem_file_llseek,
	.read_iter = mem_file_read_iter,
	.write_iter = generic_file_write_iter,
	.fsync = noop_fsync,
	.fallocate = mem_fallocate,
};
