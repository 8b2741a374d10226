/* SPDX-License-Identifier: MIT */
/*
 * A disk of the kernel's whose writes and flushes are recorded: a file served by FUSE, which a loop device
 * stands on. So the kernel's own ext4 is a client of the harness: what it writes is known to be right, and
 * each state must be recovered by shale and keep what was promised.
 *
 * The file is served by a process of its own; what it records, and the marks of the workload, are in memory
 * that both share.
 */
#ifndef SHALE_TESTS_CRASH_KERNEL_LOG_H
#define SHALE_TESTS_CRASH_KERNEL_LOG_H

#include "crash/record.h"

struct kernel_log;

/* Serves `bytes` of a new disk as the file DIR/disk. What goes wrong ends the program, here and below. */
struct kernel_log *kernel_log_start(const char *dir, u64 bytes);
/* Nobody uses the file any more. */
void kernel_log_stop(struct kernel_log *log);
/* The disk as it is now. */
const void *kernel_log_disk(const struct kernel_log *log);
/* Forgets what was recorded. */
void kernel_log_clear(struct kernel_log *log);
void kernel_log_mark(struct kernel_log *log, enum record_mark mark, unsigned op);
void kernel_log_import(const struct kernel_log *log, struct record *record, const struct record_rules *rules);

#endif
