/* SPDX-License-Identifier: MIT */
/*
 * Whether a host file is to be read and written with O_DIRECT. The host says what alignment that needs
 * (STATX_DIOALIGN), or it is tried out. "auto" wants it where it works for blocks of 4 KiB and is the faster
 * way, which it is unless the host has most of the file in its cache already: then a copy from there beats
 * the device.
 */
#include "drivers/host_file_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "block/driver.h"

/* Of Linux 6.1 and 6.5, newer than the C library's headers may be. */
#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000u
#endif
#define STX_DIO_MEM_ALIGN    0x98 /* u32 at these offsets of struct statx */
#define STX_DIO_OFFSET_ALIGN 0x9c
#define NR_CACHESTAT         451

#define MAX_ALIGN 4096u

struct cachestat_range {
	u64 offset, bytes;
};
struct cachestat_counts {
	u64 nr_cache, nr_dirty, nr_writeback, nr_evicted, nr_recently_evicted; /* pages */
};

/* Does the host hold more than half of what the file has? */
static bool mostly_cached(const struct host_file *file)
{
	struct cachestat_range all = {0, 0}; /* to the end */
	struct cachestat_counts counts;
	struct stat st;
	u64 allocated;

	if (file->block_device || fstat(file->fd, &st) || syscall(NR_CACHESTAT, file->fd, &all, &counts, 0))
		return false;
	allocated = min_t(u64, file->bytes, (u64)st.st_blocks * 512);
	return counts.nr_cache * (u64)sysconf(_SC_PAGESIZE) > allocated / 2;
}

/* Reads a little through the direct descriptor: does it take this alignment? */
static bool direct_read_works(int fd, u64 file_bytes, u32 align)
{
	void *buf = NULL;
	bool works;

	if (align > file_bytes || posix_memalign(&buf, MAX_ALIGN, MAX_ALIGN))
		return false;
	works = pread(fd, buf, align, file_bytes >= 2 * align ? align : 0) == (ssize_t)align;
	free(buf);
	return works;
}

/* Fills mem_align and offset_align; false: no direct I/O. unread: do not try it out. */
static bool find_alignment(struct host_file *file, bool unread)
{
	struct statx stx = {};
	u32 mem = 0, offset = 0;

	if (statx(file->direct_fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
	    stx.stx_mask & STATX_DIOALIGN) {
		memcpy(&mem, (char *)&stx + STX_DIO_MEM_ALIGN, sizeof(mem));
		memcpy(&offset, (char *)&stx + STX_DIO_OFFSET_ALIGN, sizeof(offset));
	} else if (unread) {
		/* Taken on trust: what is refused for its alignment goes by the buffered descriptor. */
		mem = offset = MAX_ALIGN;
	} else if (direct_read_works(file->direct_fd, file->bytes, 512)) {
		mem = offset = 512;
	} else if (direct_read_works(file->direct_fd, file->bytes, MAX_ALIGN)) {
		mem = offset = MAX_ALIGN;
	}
	if (!is_power_of_2(mem) || !is_power_of_2(offset) || mem > MAX_ALIGN || offset > MAX_ALIGN)
		return false;
	file->mem_align = mem;
	file->offset_align = offset;
	return true;
}

int host_direct_open(struct shale *machine, const struct host_file_request *how, struct host_file *file)
{
	char path[64];

	if (how->direct == HOST_DIRECT_OFF || (how->direct == HOST_DIRECT_AUTO && mostly_cached(file)))
		return 0;
	/* The same file again, whatever its path names by now. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	file->direct_fd = open(path, (how->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_DIRECT);
	if (file->direct_fd >= 0 && find_alignment(file, how->unread))
		return 0;
	if (file->direct_fd >= 0)
		close(file->direct_fd);
	file->direct_fd = -1;
	if (how->direct == HOST_DIRECT_AUTO)
		return 0;
	return disk_error(machine, -EOPNOTSUPP, "%s: the host offers no direct I/O on it (direct=1)",
			  how->path);
}
