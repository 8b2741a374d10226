// posix_fadvise: hints that change how a file is read ahead, or what of it stays in the cache.
#include "cache/writeback.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"

#include <errno.h>

static void set_ra_pages(struct file *file, unsigned factor)
{
	struct file_ra_state fresh;

	file_ra_state_init(&fresh, file->f_mapping);
	WRITE_ONCE(file->f_ra.ra_pages, fresh.ra_pages * factor);
}

// Reads [offset, end] (bytes, end inclusive) into the cache without waiting.
static void will_need(struct file *file, u64 offset, u64 end)
{
	pgoff_t first = offset >> PAGE_SHIFT, last = end >> PAGE_SHIFT;

	force_page_cache_readahead(file->f_mapping, &file->f_ra, first, last - first + 1);
}

// Only pages that lie in the range as a whole go; the last page of the file counts as whole.
static void dont_need(struct file *file, u64 offset, u64 end)
{
	struct address_space *mapping = file->f_mapping;
	pgoff_t first = (offset + PAGE_SIZE - 1) >> PAGE_SHIFT, last = end >> PAGE_SHIFT;

	filemap_flush_range(mapping, offset, end); // what is dirty can go another time
	if ((end & ~PAGE_MASK) != ~PAGE_MASK && end != mapping_size(mapping) - 1) {
		if (last == 0)
			return;
		last--;
	}
	if (last >= first)
		invalidate_mapping_pages(mapping, first, last);
}

static int generic_fadvise(struct file *file, loff_t offset, loff_t len, int advice)
{
	// len 0: to the end; sums that overflow, too.
	u64 end = len == 0 || offset + (u64)len < (u64)len ? (u64)INT64_MAX : (u64)offset + (u64)len - 1;

	switch (advice) {
	case POSIX_FADV_NORMAL:
		set_ra_pages(file, 1);
		__atomic_fetch_and(&file->f_mode, ~FMODE_RANDOM, __ATOMIC_RELAXED);
		return 0;
	case POSIX_FADV_RANDOM:
		WRITE_ONCE(file->f_ra.ra_pages, 0);
		__atomic_fetch_or(&file->f_mode, FMODE_RANDOM, __ATOMIC_RELAXED);
		return 0;
	case POSIX_FADV_SEQUENTIAL:
		set_ra_pages(file, 2);
		__atomic_fetch_and(&file->f_mode, ~FMODE_RANDOM, __ATOMIC_RELAXED);
		return 0;
	case POSIX_FADV_WILLNEED:
		will_need(file, (u64)offset, end);
		return 0;
	case POSIX_FADV_NOREUSE:
		return 0;
	case POSIX_FADV_DONTNEED:
		dont_need(file, (u64)offset, end);
		return 0;
	default:
		return -EINVAL;
	}
}

long ksys_fadvise64(int fd, loff_t offset, loff_t len, int advice)
{
	struct fd f = fdget(fd);
	long err;

	if (!f.file)
		return -EBADF;
	if (S_ISFIFO(READ_ONCE(f.file->f_inode->i_mode)))
		err = -ESPIPE;
	else if (!f.file->f_mapping || len < 0)
		err = -EINVAL;
	else if (f.file->f_op->fadvise)
		err = f.file->f_op->fadvise(f.file, offset, len, advice);
	else
		err = generic_fadvise(f.file, offset, len, advice);
	fdput(f);
	return err;
}

long ksys_readahead(int fd, loff_t offset, size_t count)
{
	struct fd f = fdget(fd);
	long err = -EINVAL;

	if (!f.file)
		return -EBADF;
	if (!(f.file->f_mode & FMODE_READ))
		err = -EBADF;
	else if (f.file->f_mapping && f.file->f_mapping->a_ops &&
		 (S_ISREG(READ_ONCE(f.file->f_inode->i_mode)) || S_ISBLK(READ_ONCE(f.file->f_inode->i_mode))))
		err = generic_fadvise(f.file, offset, (loff_t)count, POSIX_FADV_WILLNEED);
	fdput(f);
	return err;
}
