/* SPDX-License-Identifier: MIT */
/*
 * A backing device as the cache sees it: how far to read ahead for what lies on it. One for each disk,
 * shared by the mappings of its files (mapping->bdi); whoever registers the disk owns it. Fields may change
 * while in use; they are read relaxed.
 */
#ifndef SHALE_CACHE_BDI_H
#define SHALE_CACHE_BDI_H

#include "base/atomic.h"
#include "base/compiler.h"

#define VM_READAHEAD_PAGES (SZ_128K / 4096) // Linux's default window
#define BDI_IO_PAGES       512              // 2 MiB: a single large read may go beyond the window up to this

struct backing_dev_info {
	const char *name;  // "8:0" or the device's; kept, not copied
	unsigned ra_pages; // largest readahead window; 0: no readahead. Settable (read_ahead_kb)
	unsigned io_pages; // largest request that the device likes
	atomic64_t nr_dirty, nr_writeback; // pages of its mappings, by tags; relaxed
};

// The defaults: VM_READAHEAD_PAGES, BDI_IO_PAGES.
void bdi_init(struct backing_dev_info *bdi, const char *name);

#endif
