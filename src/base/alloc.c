/* SPDX-License-Identifier: MIT */
/*
 * Allocation over the C library's malloc, with failures on demand and the machine's count of bytes. The state
 * is machine->alloc: relaxed atomics, no lock. While failures are off an allocation pays one load and one
 * branch for them.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/atomic.h"
#include "base/current.h"
#include "base/hash.h"
#include "base/machine.h"

void alloc_fail_set(struct shale *machine, enum alloc_fail_mode mode, u64 n, u64 seed)
{
	struct machine_alloc *a = &machine->alloc;

	WRITE_ONCE(a->fail_mode, ALLOC_FAIL_OFF);
	WRITE_ONCE(a->fail_seen, 0);
	WRITE_ONCE(a->fail_injected, 0);
	WRITE_ONCE(a->fail_nth, n);
	WRITE_ONCE(a->fail_seed, seed);
	WRITE_ONCE(a->fail_mode, mode);
}

u64 alloc_fail_clear(struct shale *machine)
{
	WRITE_ONCE(machine->alloc.fail_mode, ALLOC_FAIL_OFF);
	return READ_ONCE(machine->alloc.fail_seen);
}

u64 alloc_fail_injected(const struct shale *machine)
{
	return READ_ONCE(machine->alloc.fail_injected);
}

static noinline bool alloc_decide(struct machine_alloc *a, unsigned mode)
{
	u64 number = __atomic_add_fetch(&a->fail_seen, 1, __ATOMIC_RELAXED);
	u64 n = READ_ONCE(a->fail_nth);
	bool fail = false;

	switch (mode) {
	case ALLOC_FAIL_NTH:
		fail = number == n;
		break;
	case ALLOC_FAIL_FROM:
		fail = number >= n;
		break;
	case ALLOC_FAIL_RANDOM:
		fail = n && hash_mix64(number ^ hash_mix64(READ_ONCE(a->fail_seed) + 1)) % n == 0;
		break;
	}
	if (fail)
		__atomic_fetch_add(&a->fail_injected, 1, __ATOMIC_RELAXED);
	return fail;
}

bool alloc_should_fail(struct shale *machine)
{
	unsigned mode;

	if (!machine)
		return false;
	mode = READ_ONCE(machine->alloc.fail_mode);
	return unlikely(mode != ALLOC_FAIL_OFF) && alloc_decide(&machine->alloc, mode);
}

/* May this allocation be tried at all? */
static inline bool alloc_refused(struct shale *machine, size_t size)
{
	return unlikely(size > SSIZE_MAX) || alloc_should_fail(machine);
}

void *kmalloc(struct shale *machine, size_t size)
{
	return alloc_refused(machine, size) ? NULL : malloc(size ? size : 1);
}

void *kzalloc(struct shale *machine, size_t size)
{
	return alloc_refused(machine, size) ? NULL : calloc(1, size ? size : 1);
}

void *kmalloc_array(struct shale *machine, size_t n, size_t size)
{
	return kmalloc(machine, array_size(n, size));
}

void *kcalloc(struct shale *machine, size_t n, size_t size)
{
	return kzalloc(machine, array_size(n, size));
}

void *krealloc(struct shale *machine, const void *p, size_t size)
{
	return alloc_refused(machine, size) ? NULL : realloc((void *)p, size ? size : 1);
}

void *kmalloc_aligned(struct shale *machine, size_t size, size_t align)
{
	void *p;

	if (alloc_refused(machine, size) || posix_memalign(&p, align, size ? size : 1) != 0)
		return NULL;
	return p;
}

void kfree(const void *p)
{
	free((void *)p);
}

void kfree_sensitive(const void *p, size_t size)
{
	if (!p)
		return;
	explicit_bzero((void *)p, size);
	kfree(p);
}

char *kmemdup_nul(struct shale *machine, const char *p, size_t size)
{
	char *copy = kmalloc(machine, size_add(size, 1));

	if (copy) {
		memcpy(copy, p, size);
		copy[size] = '\0';
	}
	return copy;
}

char *kstrdup(struct shale *machine, const char *s)
{
	return s ? kmemdup_nul(machine, s, strlen(s)) : NULL;
}

char *kstrndup(struct shale *machine, const char *s, size_t max)
{
	return s ? kmemdup_nul(machine, s, strnlen(s, max)) : NULL;
}

void *kmemdup(struct shale *machine, const void *p, size_t size)
{
	void *copy = kmalloc(machine, size);

	if (copy)
		memcpy(copy, p, size);
	return copy;
}

char *kvasprintf(struct shale *machine, const char *fmt, va_list args)
{
	va_list again;
	char *text;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (len < 0)
		return NULL;
	text = kmalloc(machine, (size_t)len + 1);
	if (text)
		vsnprintf(text, (size_t)len + 1, fmt, args);
	return text;
}

char *kasprintf(struct shale *machine, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = kvasprintf(machine, fmt, args);
	va_end(args);
	return text;
}

void machine_charge(struct shale *machine, long bytes)
{
	if (machine)
		__atomic_fetch_add(&machine->alloc.charged[current->shard % ALLOC_SHARDS].bytes, bytes,
				   __ATOMIC_RELAXED);
}

long machine_charged(const struct shale *machine)
{
	long sum = 0;

	for (unsigned i = 0; i < ALLOC_SHARDS; i++)
		sum += READ_ONCE(machine->alloc.charged[i].bytes);
	return sum > 0 ? sum : 0;
}
