/* SPDX-License-Identifier: MIT */
/*
 * The body of sparse_internal.h. Each public function cuts its range at page boundaries and does one page at
 * a time, inside one RCU read section for the whole range: nothing in it sleeps.
 */
#include "drivers/sparse_internal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/atomic.h"

#define GROUP_BYTES ((u64)SPARSE_GROUP_PAGES * SPARSE_PAGE_BYTES)
#define ALL_VALID   0xffu

int sparse_init(struct shale *machine, struct sparse_memory *mem, u64 bytes)
{
	if (bytes > SPARSE_MAX_BYTES)
		return -EFBIG;
	*mem = (struct sparse_memory){.machine = machine, .nr_groups = DIV_ROUND_UP(bytes, GROUP_BYTES)};
	mem->group = kvcalloc(machine, mem->nr_groups, sizeof(*mem->group));
	mem->zeroes = kzalloc(machine, sizeof(*mem->zeroes));
	if (!mem->group || !mem->zeroes) {
		kvfree(mem->group);
		kfree(mem->zeroes);
		return -ENOMEM;
	}
	mem->zeroes->valid = ALL_VALID;
	return 0;
}

void sparse_destroy(struct sparse_memory *mem)
{
	for (u64 g = 0; g < mem->nr_groups; g++) {
		struct sparse_group *group = mem->group[g];

		for (unsigned i = 0; group && i < SPARSE_GROUP_PAGES; i++)
			if (group->page[i] != mem->zeroes)
				kfree(group->page[i]);
		kfree(group);
	}
	kvfree(mem->group);
	kfree(mem->zeroes);
}

/* Where the pointer to the page of `offset` lives; NULL when its group does not exist. */
static struct sparse_page **sparse_slot(struct sparse_memory *mem, u64 offset)
{
	struct sparse_group *group = rcu_dereference(mem->group[offset / GROUP_BYTES]);

	return group ? &group->page[offset / SPARSE_PAGE_BYTES % SPARSE_GROUP_PAGES] : NULL;
}

static struct sparse_page *sparse_lookup(struct sparse_memory *mem, u64 offset)
{
	struct sparse_page **slot = sparse_slot(mem, offset);

	return slot ? rcu_dereference(*slot) : NULL;
}

/* The same, and makes the group. NULL: no memory. */
static struct sparse_page **sparse_slot_make(struct sparse_memory *mem, u64 offset)
{
	struct sparse_group **where = &mem->group[offset / GROUP_BYTES], *none = NULL, *fresh;

	if (!rcu_dereference(*where)) {
		fresh = kzalloc(mem->machine, sizeof(*fresh));
		if (!fresh)
			return NULL;
		if (!try_cmpxchg(where, &none, fresh))
			kfree(fresh); /* another thread was first */
	}
	return sparse_slot(mem, offset);
}

/* Puts `page` in the place of what is at the slot, and frees that when readers have gone. */
static void sparse_replace(struct sparse_memory *mem, struct sparse_page **slot, struct sparse_page *page)
{
	struct sparse_page *old = rcu_replace_pointer(*slot, page);

	if (old && old != mem->zeroes) {
		__atomic_fetch_sub(&mem->nr_pages_used, 1, __ATOMIC_RELAXED);
		kfree_rcu(mem->machine, old, rcu);
	}
}

/* The page of `offset`, made if it does not exist, to be written to. NULL: no memory. */
static struct sparse_page *sparse_make(struct sparse_memory *mem, u64 offset)
{
	struct sparse_page **slot = sparse_slot_make(mem, offset);
	struct sparse_page *page = slot ? rcu_dereference(*slot) : NULL, *fresh;

	while (slot && (!page || page == mem->zeroes)) {
		fresh = kzalloc(mem->machine, sizeof(*fresh));
		if (!fresh)
			return NULL;
		fresh->valid = page ? ALL_VALID : 0;
		if (try_cmpxchg(slot, &page, fresh)) {
			__atomic_fetch_add(&mem->nr_pages_used, 1, __ATOMIC_RELAXED);
			return fresh;
		}
		kfree(fresh); /* another thread was first */
		page = rcu_dereference(*slot);
	}
	return page;
}

/* How much of the range lies in the page of `offset`. */
static size_t bytes_in_page(u64 offset, u64 bytes)
{
	return min_t(u64, bytes, SPARSE_PAGE_BYTES - offset % SPARSE_PAGE_BYTES);
}

/* The bits of `valid` for a range of sectors inside a page. */
static u32 valid_mask(u64 offset, size_t bytes)
{
	unsigned first = offset % SPARSE_PAGE_BYTES / SECTOR_SIZE, nr = bytes / SECTOR_SIZE;

	return ((1u << nr) - 1) << first;
}

/* After the data: who sees the bit sees them, too. A page that has it all is not written to again. */
static void set_valid(struct sparse_page *page, u32 mask)
{
	if ((READ_ONCE(page->valid) & mask) != mask)
		__atomic_fetch_or(&page->valid, mask, __ATOMIC_RELEASE);
}

int sparse_write(struct sparse_memory *mem, u64 offset, const void *from, size_t bytes)
{
	scoped_rcu_read();

	for (size_t n; bytes; offset += n, from = (const u8 *)from + n, bytes -= n) {
		struct sparse_page *page = sparse_make(mem, offset);

		if (!page)
			return -ENOMEM;
		n = bytes_in_page(offset, bytes);
		memcpy(page->data + offset % SPARSE_PAGE_BYTES, from, n);
		set_valid(page, valid_mask(offset, n));
	}
	return 0;
}

void sparse_read(struct sparse_memory *mem, u64 offset, void *to, size_t bytes)
{
	scoped_rcu_read();

	for (size_t n; bytes; offset += n, to = (u8 *)to + n, bytes -= n) {
		const struct sparse_page *page = sparse_lookup(mem, offset);

		n = bytes_in_page(offset, bytes);
		if (page)
			memcpy(to, page->data + offset % SPARSE_PAGE_BYTES, n);
		else
			memset(to, 0, n);
	}
}

void sparse_overlay(struct sparse_memory *mem, u64 offset, void *to, size_t bytes)
{
	scoped_rcu_read();

	/* `to` may begin inside a sector: a segment of a request need not be whole sectors. */
	for (size_t n; bytes; offset += n, to = (u8 *)to + n, bytes -= n) {
		const struct sparse_page *page = sparse_lookup(mem, offset);
		u64 in_page = offset % SPARSE_PAGE_BYTES;

		n = min_t(u64, bytes, SECTOR_SIZE - offset % SECTOR_SIZE);
		if (page && smp_load_acquire(&page->valid) & 1u << (in_page / SECTOR_SIZE))
			memcpy(to, page->data + in_page, n);
	}
}

bool sparse_covers(struct sparse_memory *mem, u64 offset, u64 bytes)
{
	scoped_rcu_read();

	for (size_t n; bytes; offset += n, bytes -= n) {
		const struct sparse_page *page = sparse_lookup(mem, offset);
		u32 mask;

		n = bytes_in_page(offset, bytes);
		mask = valid_mask(offset, n);
		if (!page || (smp_load_acquire(&page->valid) & mask) != mask)
			return false;
	}
	return true;
}

int sparse_zero(struct sparse_memory *mem, u64 offset, u64 bytes)
{
	scoped_rcu_read();

	for (size_t n; bytes; offset += n, bytes -= n) {
		n = bytes_in_page(offset, bytes);
		if (n == SPARSE_PAGE_BYTES) {
			struct sparse_page **slot = sparse_slot_make(mem, offset);

			if (!slot)
				return -ENOMEM;
			sparse_replace(mem, slot, mem->zeroes);
		} else {
			struct sparse_page *page = sparse_make(mem, offset);

			if (!page)
				return -ENOMEM;
			memset(page->data + offset % SPARSE_PAGE_BYTES, 0, n);
			set_valid(page, valid_mask(offset, n));
		}
	}
	return 0;
}

void sparse_discard(struct sparse_memory *mem, u64 offset, u64 bytes)
{
	scoped_rcu_read();

	for (size_t n; bytes; offset += n, bytes -= n) {
		struct sparse_page **slot = sparse_slot(mem, offset), *page;

		if (!slot) { /* the whole group is empty */
			n = min_t(u64, bytes, GROUP_BYTES - offset % GROUP_BYTES);
			continue;
		}
		n = bytes_in_page(offset, bytes);
		page = rcu_dereference(*slot);
		if (!page)
			continue;
		if (n == SPARSE_PAGE_BYTES)
			sparse_replace(mem, slot, NULL);
		else if (page != mem->zeroes)
			memset(page->data + offset % SPARSE_PAGE_BYTES, 0, n);
	}
}
