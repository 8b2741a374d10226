/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the cache share: a machine with a memory limit, and files made up on the spot: each word
 * of such a file is a function of the file's number and its place. The provider fills folios at once, or
 * later from a work item, as a device would; it can be told to fail, and it remembers what was asked of it.
 */
#ifndef SHALE_TEST_CACHE_FIXTURE_H
#define SHALE_TEST_CACHE_FIXTURE_H

#include "base_machine.h"

#include "base/uio.h"
#include "cache/bdi.h"
#include "cache/cache_internal.h"

struct fake_request {
	pgoff_t index;
	unsigned nr_pages, nr_folios, largest;
};

struct fake_file {
	struct address_space mapping;
	struct backing_dev_info bdi;
	struct file_ra_state ra;
	u64 number;
	bool async;      // reads end later, in a work item
	int error;       // reads fail with this
	u64 bad_from;    // from this byte on only (with `error`)
	spinlock_t lock; // guards the log
	unsigned nr_requests, nr_single;
	struct fake_request requests[256];
};

struct fake_work {
	struct work_struct work;
	struct fake_file *file;
	struct folio *folio;
};

static inline u64 fake_word(u64 number, u64 pos)
{
	u64 x = (pos / 8 + 1) * 0x9e3779b97f4a7c15ull ^ number << 40;

	return x ^ x >> 29;
}

static inline void fake_fill(struct fake_file *f, struct folio *folio)
{
	u64 *to = folio_address(folio), pos = folio_pos(folio);

	for (size_t i = 0; i < folio_size(folio) / 8; i++)
		to[i] = fake_word(f->number, pos + i * 8);
}

static inline bool fake_end(struct fake_file *f, struct folio *folio)
{
	int error = READ_ONCE(f->error);
	bool good = !error || folio_pos(folio) + folio_size(folio) <= f->bad_from;

	if (good)
		fake_fill(f, folio);
	folio_end_read(folio, good);
	return good;
}

static inline void fake_work_fn(struct work_struct *work)
{
	struct fake_work *w = container_of(work, struct fake_work, work);

	(void)fake_end(w->file, w->folio);
	free(w);
}

static inline int fake_start(struct fake_file *f, struct folio *folio)
{
	struct fake_work *w = f->async ? malloc(sizeof(*w)) : NULL;

	if (!w)
		return fake_end(f, folio) ? 0 : f->error;
	w->file = f;
	w->folio = folio;
	INIT_WORK(&w->work, fake_work_fn);
	queue_work(f->mapping.machine->system_wq, &w->work);
	return 0;
}

static inline int fake_read_folio(struct address_space *mapping, struct folio *folio)
{
	struct fake_file *f = mapping->host;

	spin_lock(&f->lock);
	f->nr_single++;
	spin_unlock(&f->lock);
	return fake_start(f, folio);
}

static inline void fake_readahead(struct readahead_control *rac)
{
	struct fake_file *f = rac->mapping->host;
	struct fake_request r = {.index = rac->_index, .nr_pages = rac->_nr_pages};
	struct folio *folio;

	while ((folio = readahead_folio(rac))) {
		r.nr_folios++;
		r.largest = max_t(unsigned, r.largest, folio->order);
		(void)fake_start(f, folio);
	}
	spin_lock(&f->lock);
	if (f->nr_requests < ARRAY_SIZE(f->requests))
		f->requests[f->nr_requests++] = r;
	spin_unlock(&f->lock);
}

static const struct address_space_operations fake_aops = {
	.read_folio = fake_read_folio,
	.readahead = fake_readahead,
};

static inline void fake_file_open(struct fake_file *f, struct shale *machine, u64 number, u64 size,
				  unsigned max_order)
{
	memset(f, 0, sizeof(*f));
	spin_lock_init(&f->lock);
	f->number = number;
	bdi_init(&f->bdi, "fake");
	address_space_init(&f->mapping, machine, &fake_aops, &f->bdi, f);
	f->mapping.size = size;
	f->mapping.max_order = max_order;
	file_ra_state_init(&f->ra, &f->mapping);
}

static inline void fake_file_close(struct fake_file *f)
{
	truncate_inode_pages_final(&f->mapping);
	address_space_destroy(&f->mapping);
}

// The bytes at pos, from the page cache through `ra`. What filemap_read says.
static inline ssize_t fake_pread(struct fake_file *f, struct file_ra_state *ra, void *buf, size_t len,
				 u64 pos)
{
	struct iov_iter to;
	loff_t at = pos;

	iov_iter_ubuf(&to, ITER_DEST, buf, len);
	return filemap_read(&f->mapping, ra, &at, &to, 0);
}

// Is this what the file has at pos?
static inline bool fake_matches(const struct fake_file *f, const void *buf, size_t len, u64 pos)
{
	const u8 *p = buf;

	for (size_t i = 0; i < len;) {
		u64 word = fake_word(f->number, pos + i);
		unsigned off = (pos + i) & 7;
		size_t n = min(len - i, (size_t)8 - off);

		if (memcmp(p + i, (u8 *)&word + off, n))
			return false;
		i += n;
	}
	return true;
}

static inline struct shale *cache_test_start(struct test_machine *t, unsigned threads, u64 limit)
{
	struct shale *machine = test_machine_start(t, threads, 7);

	machine->options.memory_limit = limit;
	assert_int_equal(cache_init(machine), 0);
	return machine;
}

static inline void cache_test_stop(struct test_machine *t)
{
	cache_exit(t->machine);
	test_machine_stop(t);
}

// Pages of the machine's arena that are in folios, the shards' caches and batches put back first.
static inline unsigned long arena_in_folios(struct shale *machine)
{
	lru_add_drain_all(machine->cache);
	arena_drain(machine->cache->arena);
	return arena_used(machine->cache->arena);
}

#endif
