// Between read_write.c and write.c: what both directions check, and how a kiocb begins.
#pragma once

#include "base/uio.h"
#include "vfs/file.h"

#include <sys/uio.h>

#define USER_SPACE_BYTES 0x7ffffffff000ul // TASK_SIZE
#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100 // of pipes and sockets
#endif
#define RWF_SUPPORTED                                                                                        \
	(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND | RWF_NOAPPEND | RWF_NOSIGNAL)

int rw_verify_area(loff_t pos, size_t count);
// Memory that a process can have. (What is merely not mapped faults as it would anywhere in the process.)
static inline bool access_ok(const void *buf, size_t count)
{
	return count <= USER_SPACE_BYTES && (uintptr_t)buf <= USER_SPACE_BYTES - count && (buf || !count);
}
bool segments_ok(const struct iovec *iov, int iovcnt);
void init_kiocb(struct kiocb *iocb, struct file *file, loff_t pos);
int kiocb_set_rw_flags(struct kiocb *iocb, int rwf, unsigned direction);
