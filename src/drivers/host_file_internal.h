/* SPDX-License-Identifier: MIT */
/*
 * Opening a host file or block device as a disk: what it is, whether somebody else uses it, how large it is,
 * and whether and how direct I/O works on it. Every refusal is one line in words that names the file
 * (disk_error).
 */
#ifndef SHALE_DRIVERS_HOST_FILE_INTERNAL_H
#define SHALE_DRIVERS_HOST_FILE_INTERNAL_H

#include <sys/stat.h>

#include "base/types.h"
#include "base/compiler.h"

struct shale;

enum host_direct { HOST_DIRECT_AUTO, HOST_DIRECT_OFF, HOST_DIRECT_ON };

struct host_file_request {
	const char *path;
	bool read_only;
	bool unlocked; /* take no lock, and read also what a loop device has */
	bool unread;   /* do not read from it yet */
	enum host_direct direct;
};

struct host_file {
	int fd;        /* buffered; holds the lock */
	int direct_fd; /* O_DIRECT; -1: none */
	u64 bytes;
	int sector_bytes; /* of the host's device; 512 for files */
	bool block_device;
	u32 mem_align, offset_align; /* what direct I/O wants, in bytes: powers of two */
};

/*
 * -ENOENT, -EACCES, ... as open(2); -EISDIR; -EINVAL: no disk (a fifo, empty, less than a sector); -EBUSY:
 * locked, claimed or on a loop device; -EOPNOTSUPP: HOST_DIRECT_ON and the host cannot. The caller has said
 * why by then.
 */
int host_file_open(struct shale *machine, const struct host_file_request *how,
		   struct host_file *out) __must_check;
void host_file_close(struct host_file *file);

/* host_direct.c: looks for direct I/O; fills the last three fields. */
int host_direct_open(struct shale *machine, const struct host_file_request *how,
		     struct host_file *file) __must_check;

#endif
