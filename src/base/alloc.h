/* SPDX-License-Identifier: MIT */
/*
 * Memory of the library. Every allocation names its machine, so that tests can make any one of them fail; a
 * machine of NULL (used before one exists) never has failures injected. Memory is freed without naming the
 * machine.
 *
 * Bytes that count towards the machine's memory limit are charged apart from allocation, by who owns caches
 * of them (pools, folios, xarray nodes): machine_charge(+) when taken, machine_charge(-) when given back,
 * from any thread.
 *
 * Nothing here sleeps, waits for reclaim, or takes a lock of the library. Failure is NULL (-ENOMEM to the
 * caller's caller) and is always possible; freeing NULL does nothing.
 */
#ifndef SHALE_BASE_ALLOC_H
#define SHALE_BASE_ALLOC_H

#include <stdarg.h>
#include <stdlib.h>
#include "base/compiler.h"
#include "base/overflow.h"

struct shale;

#define ALLOC_SHARDS 16

/* The part of the machine that this file owns. All fields are read and written as relaxed atomics. */
struct machine_alloc {
	/* How allocations fail: an enum alloc_fail_mode. Off costs one predictable branch. */
	unsigned fail_mode;
	u64 fail_seen; /* allocations counted since a mode was set */
	u64 fail_nth;  /* ALLOC_FAIL_NTH, _FROM: which one; _RANDOM: one in so many */
	u64 fail_seed;
	u64 fail_injected; /* how many were refused */
	struct {
		long bytes;
	} __aligned_cacheline charged[ALLOC_SHARDS];
};

enum alloc_fail_mode {
	ALLOC_FAIL_OFF,
	ALLOC_FAIL_COUNT,  /* only count */
	ALLOC_FAIL_NTH,    /* the nth from now, counted from 1 */
	ALLOC_FAIL_FROM,   /* the nth from now and all after it */
	ALLOC_FAIL_RANDOM, /* one in n, chosen by seed and number */
};

/* Starts counting from zero. `n` and `seed` mean what the mode says. */
void alloc_fail_set(struct shale *machine, enum alloc_fail_mode mode, u64 n, u64 seed);
/* Ends it; returns how many allocations were counted since alloc_fail_set. */
u64 alloc_fail_clear(struct shale *machine);
/* How many were refused since alloc_fail_set. */
u64 alloc_fail_injected(const struct shale *machine);
/* For allocators of their own kind (pools, arenas): true when this allocation has to fail. */
bool alloc_should_fail(struct shale *machine);

/* Of `size` bytes, aligned for any type; a size of 0 gives memory of no bytes. Sizes above SSIZE_MAX fail. */
void *kmalloc(struct shale *machine, size_t size) __must_check __attribute__((malloc, alloc_size(2)));
void *kzalloc(struct shale *machine, size_t size) __must_check __attribute__((malloc, alloc_size(2)));
/* Arrays of n elements of `size` bytes, with the product checked; kcalloc is zeroed. */
void *kmalloc_array(struct shale *machine, size_t n, size_t size) __must_check
	__attribute__((malloc, alloc_size(2, 3)));
void *kcalloc(struct shale *machine, size_t n, size_t size) __must_check
	__attribute__((malloc, alloc_size(2, 3)));
/* As realloc: on failure the old memory stays. */
void *krealloc(struct shale *machine, const void *p, size_t size) __must_check;
/* With the given alignment (a power of two, at least sizeof(void *)). Freed by kfree as all others. */
void *kmalloc_aligned(struct shale *machine, size_t size, size_t align) __must_check
	__attribute__((malloc, alloc_size(2), alloc_align(3)));
void kfree(const void *p);
/* Overwrites the memory first (keys). */
void kfree_sensitive(const void *p, size_t size);

/* Large memory, the same here; the names tell what may be large. */
#define kvmalloc(machine, size)    kmalloc(machine, size)
#define kvzalloc(machine, size)    kzalloc(machine, size)
#define kvcalloc(machine, n, size) kcalloc(machine, n, size)
#define kvfree(p)                  kfree(p)

/* Copies of strings (s may be NULL, then the result is NULL), of at most `max` bytes, and of memory. */
char *kstrdup(struct shale *machine, const char *s) __must_check;
char *kstrndup(struct shale *machine, const char *s, size_t max) __must_check;
void *kmemdup(struct shale *machine, const void *p, size_t size) __must_check;
/* The `size` bytes at p with a NUL after them. */
char *kmemdup_nul(struct shale *machine, const char *p, size_t size) __must_check;
char *kasprintf(struct shale *machine, const char *fmt, ...) __must_check __printf(2, 3);
char *kvasprintf(struct shale *machine, const char *fmt, va_list args) __must_check __printf(2, 0);

/* Adds `bytes` (which may be negative) to what the machine's caches hold; never fails. machine may be NULL.
 */
void machine_charge(struct shale *machine, long bytes);
static inline void machine_uncharge(struct shale *machine, long bytes)
{
	machine_charge(machine, -bytes);
}
/* The sum, in bytes: a snapshot that may be a little behind what other threads do. Never negative. */
long machine_charged(const struct shale *machine);

/* A pointer declared with __free_kfree is freed at the end of its scope; no_free_ptr takes it out of that. */
static inline void kfree_cleanup(void *pp)
{
	kfree(*(void **)pp);
}
#define __free_kfree __cleanup(kfree_cleanup)
#define no_free_ptr(p)                                                                                       \
	({                                                                                                   \
		__typeof__(p) no_free_value = (p);                                                           \
		(p) = NULL;                                                                                  \
		no_free_value;                                                                               \
	})

#endif
