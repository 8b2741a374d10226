/* SPDX-License-Identifier: MIT */
/*
 * The array of a hash table: anonymous memory, which the system gives zeroed and page by page on first touch.
 * A zeroed bucket is an empty list with a free lock.
 */
#include <sys/mman.h>
#include "base/alloc.h"
#include "base/rhash.h"

static size_t rhash_bytes(const struct rhash *ht)
{
	return sizeof(struct rhash_bucket) << ht->bits;
}

int rhash_init(struct shale *machine, struct rhash *ht, unsigned bits)
{
	void *p;

	BUG_ON(bits < 1 || bits > 30);
	ht->buckets = NULL;
	ht->bits = bits;
	ht->machine = machine;
	if (alloc_should_fail(machine))
		return -ENOMEM;
	p = mmap(NULL, rhash_bytes(ht), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		 -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	/* A large table is touched all over as soon as it is used: a few large pages instead of thousands of
	 * faults. */
	(void)madvise(p, rhash_bytes(ht), MADV_HUGEPAGE);
	ht->buckets = p;
	return 0;
}

void rhash_destroy(struct rhash *ht)
{
	if (ht->buckets)
		munmap(ht->buckets, rhash_bytes(ht));
	ht->buckets = NULL;
}
