/* SPDX-License-Identifier: MIT */
/*
 * Atomic words under Linux's names, made of the compiler's C11 atomics, so that the thread sanitizer sees
 * them.
 *
 * As in Linux: operations that return a value are fully ordered unless their name ends in _relaxed, _acquire
 * or _release; those that return nothing are relaxed. There are no stand-alone fences for general use (the
 * thread sanitizer does not model them): order comes from acquire loads, release stores and
 * read-modify-writes. smp_rmb and smp_wmb exist for base/seqlock.h alone, where all data between them is read
 * and written by READ_ONCE and WRITE_ONCE.
 */
#ifndef SHALE_BASE_ATOMIC_H
#define SHALE_BASE_ATOMIC_H

#include "base/compiler.h"

/* One access, neither torn nor repeated nor dropped; relaxed. For scalars of up to 8 bytes. */
#define READ_ONCE(x)     __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

#define smp_load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
/* Stores, and orders the store before every later access. */
#define smp_store_mb(x, v) ((void)__atomic_exchange_n(&(x), (v), __ATOMIC_SEQ_CST))

#if defined(__x86_64__)
#define smp_rmb()   barrier()
#define smp_wmb()   barrier()
#define cpu_relax() __builtin_ia32_pause()
#else
#define smp_rmb()   __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb()   __atomic_thread_fence(__ATOMIC_RELEASE)
#define cpu_relax() barrier()
#endif

#define xchg(p, v)         __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define xchg_relaxed(p, v) __atomic_exchange_n((p), (v), __ATOMIC_RELAXED)
#define xchg_acquire(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define xchg_release(p, v) __atomic_exchange_n((p), (v), __ATOMIC_RELEASE)

#define __cmpxchg_order(p, old, new, order)                                                                  \
	({                                                                                                   \
		__typeof__(*(p)) cmpxchg_old = (old);                                                        \
		__atomic_compare_exchange_n((p), &cmpxchg_old, (new), false, order, __ATOMIC_RELAXED);       \
		cmpxchg_old;                                                                                 \
	})
/* The value found; the exchange took place when it equals `old`. */
#define cmpxchg(p, old, new)         __cmpxchg_order(p, old, new, __ATOMIC_SEQ_CST)
#define cmpxchg_relaxed(p, old, new) __cmpxchg_order(p, old, new, __ATOMIC_RELAXED)
#define cmpxchg_acquire(p, old, new) __cmpxchg_order(p, old, new, __ATOMIC_ACQUIRE)
#define cmpxchg_release(p, old, new) __cmpxchg_order(p, old, new, __ATOMIC_RELEASE)
/* True on success; else *oldp is what was found (also with acquire on success only). */
#define try_cmpxchg(p, oldp, new)                                                                            \
	__atomic_compare_exchange_n((p), (oldp), (new), false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)
#define try_cmpxchg_acquire(p, oldp, new)                                                                    \
	__atomic_compare_exchange_n((p), (oldp), (new), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define try_cmpxchg_release(p, oldp, new)                                                                    \
	__atomic_compare_exchange_n((p), (oldp), (new), false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define try_cmpxchg_relaxed(p, oldp, new)                                                                    \
	__atomic_compare_exchange_n((p), (oldp), (new), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)

typedef struct {
	int counter;
} atomic_t;
typedef struct {
	s64 counter;
} atomic64_t;
typedef atomic64_t atomic_long_t;

#define ATOMIC_INIT(i)                                                                                       \
	{                                                                                                    \
		(i)                                                                                          \
	}
#define ATOMIC64_INIT(i)                                                                                     \
	{                                                                                                    \
		(i)                                                                                          \
	}

/* The family of one word: `name` atomic or atomic64, over `type`. */
#define DEFINE_ATOMIC_FAMILY(name, type)                                                                     \
	static inline type name##_read(const name##_t *v)                                                    \
	{                                                                                                    \
		return READ_ONCE(v->counter);                                                                \
	}                                                                                                    \
	static inline type name##_read_acquire(const name##_t *v)                                            \
	{                                                                                                    \
		return smp_load_acquire(&v->counter);                                                        \
	}                                                                                                    \
	static inline void name##_set(name##_t *v, type i)                                                   \
	{                                                                                                    \
		WRITE_ONCE(v->counter, i);                                                                   \
	}                                                                                                    \
	static inline void name##_set_release(name##_t *v, type i)                                           \
	{                                                                                                    \
		smp_store_release(&v->counter, i);                                                           \
	}                                                                                                    \
	static inline void name##_add(type i, name##_t *v)                                                   \
	{                                                                                                    \
		__atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED);                                        \
	}                                                                                                    \
	static inline void name##_sub(type i, name##_t *v)                                                   \
	{                                                                                                    \
		__atomic_fetch_sub(&v->counter, i, __ATOMIC_RELAXED);                                        \
	}                                                                                                    \
	static inline void name##_inc(name##_t *v)                                                           \
	{                                                                                                    \
		name##_add(1, v);                                                                            \
	}                                                                                                    \
	static inline void name##_dec(name##_t *v)                                                           \
	{                                                                                                    \
		name##_sub(1, v);                                                                            \
	}                                                                                                    \
	static inline void name##_or(type i, name##_t *v)                                                    \
	{                                                                                                    \
		__atomic_fetch_or(&v->counter, i, __ATOMIC_RELAXED);                                         \
	}                                                                                                    \
	static inline void name##_andnot(type i, name##_t *v)                                                \
	{                                                                                                    \
		__atomic_fetch_and(&v->counter, ~i, __ATOMIC_RELAXED);                                       \
	}                                                                                                    \
	static inline type name##_fetch_add(type i, name##_t *v)                                             \
	{                                                                                                    \
		return __atomic_fetch_add(&v->counter, i, __ATOMIC_SEQ_CST);                                 \
	}                                                                                                    \
	static inline type name##_fetch_or(type i, name##_t *v)                                              \
	{                                                                                                    \
		return __atomic_fetch_or(&v->counter, i, __ATOMIC_SEQ_CST);                                  \
	}                                                                                                    \
	static inline type name##_fetch_andnot(type i, name##_t *v)                                          \
	{                                                                                                    \
		return __atomic_fetch_and(&v->counter, ~i, __ATOMIC_SEQ_CST);                                \
	}                                                                                                    \
	static inline type name##_add_return(type i, name##_t *v)                                            \
	{                                                                                                    \
		return __atomic_add_fetch(&v->counter, i, __ATOMIC_SEQ_CST);                                 \
	}                                                                                                    \
	static inline type name##_sub_return(type i, name##_t *v)                                            \
	{                                                                                                    \
		return __atomic_sub_fetch(&v->counter, i, __ATOMIC_SEQ_CST);                                 \
	}                                                                                                    \
	static inline type name##_inc_return(name##_t *v)                                                    \
	{                                                                                                    \
		return name##_add_return(1, v);                                                              \
	}                                                                                                    \
	static inline type name##_dec_return(name##_t *v)                                                    \
	{                                                                                                    \
		return name##_sub_return(1, v);                                                              \
	}                                                                                                    \
	static inline bool name##_dec_and_test(name##_t *v)                                                  \
	{                                                                                                    \
		return name##_sub_return(1, v) == 0;                                                         \
	}                                                                                                    \
	static inline bool name##_sub_and_test(type i, name##_t *v)                                          \
	{                                                                                                    \
		return name##_sub_return(i, v) == 0;                                                         \
	}                                                                                                    \
	static inline type name##_xchg(name##_t *v, type i)                                                  \
	{                                                                                                    \
		return xchg(&v->counter, i);                                                                 \
	}                                                                                                    \
	static inline type name##_cmpxchg(name##_t *v, type old, type new)                                   \
	{                                                                                                    \
		return cmpxchg(&v->counter, old, new);                                                       \
	}                                                                                                    \
	static inline bool name##_try_cmpxchg(name##_t *v, type *old, type new)                              \
	{                                                                                                    \
		return try_cmpxchg(&v->counter, old, new);                                                   \
	}                                                                                                    \
	/* Adds unless the value is `u`; true when added. */                                                 \
	static inline bool name##_add_unless(name##_t *v, type a, type u)                                    \
	{                                                                                                    \
		type old = name##_read(v);                                                                   \
		do {                                                                                         \
			if (old == u)                                                                        \
				return false;                                                                \
		} while (!name##_try_cmpxchg(v, &old, old + a));                                             \
		return true;                                                                                 \
	}                                                                                                    \
	static inline bool name##_inc_not_zero(name##_t *v)                                                  \
	{                                                                                                    \
		return name##_add_unless(v, 1, 0);                                                           \
	}

DEFINE_ATOMIC_FAMILY(atomic, int)
DEFINE_ATOMIC_FAMILY(atomic64, s64)

#define atomic_long_read       atomic64_read
#define atomic_long_set        atomic64_set
#define atomic_long_add        atomic64_add
#define atomic_long_sub        atomic64_sub
#define atomic_long_inc        atomic64_inc
#define atomic_long_dec        atomic64_dec
#define atomic_long_add_return atomic64_add_return

/* A count of references: never raised from 0, and an underflow is a bug that stops the process. */
typedef struct refcount_struct {
	atomic_t refs;
} refcount_t;

#define REFCOUNT_INIT(n)                                                                                     \
	{                                                                                                    \
		ATOMIC_INIT(n)                                                                               \
	}

static inline void refcount_set(refcount_t *r, int n)
{
	atomic_set(&r->refs, n);
}
static inline int refcount_read(const refcount_t *r)
{
	return atomic_read(&r->refs);
}
static inline void refcount_inc(refcount_t *r)
{
	int old = __atomic_fetch_add(&r->refs.counter, 1, __ATOMIC_RELAXED);

	BUG_ON(old <= 0);
}
static inline bool __must_check refcount_inc_not_zero(refcount_t *r)
{
	int old = atomic_read(&r->refs);

	do {
		if (old == 0)
			return false;
	} while (!try_cmpxchg_acquire(&r->refs.counter, &old, old + 1));
	return true;
}
static inline bool __must_check refcount_dec_and_test(refcount_t *r)
{
	int old = __atomic_fetch_sub(&r->refs.counter, 1, __ATOMIC_ACQ_REL);

	BUG_ON(old <= 0);
	return old == 1;
}
/* Gives up a reference that is known not to be the last. */
static inline void refcount_dec(refcount_t *r)
{
	int old = __atomic_fetch_sub(&r->refs.counter, 1, __ATOMIC_RELEASE);

	BUG_ON(old <= 1);
}
static inline bool refcount_dec_not_one(refcount_t *r)
{
	int old = atomic_read(&r->refs);

	do {
		if (old == 1)
			return false;
	} while (!try_cmpxchg_release(&r->refs.counter, &old, old - 1));
	return true;
}

/* Bits of arrays of unsigned long. set, clear and change are relaxed; test_and_* are fully ordered. */
#define BIT_WORD(nr) ((nr) / BITS_PER_LONG)
#define BIT_MASK(nr) (1UL << ((nr) % BITS_PER_LONG))

static inline bool test_bit(unsigned long nr, const unsigned long *p)
{
	return READ_ONCE(p[BIT_WORD(nr)]) & BIT_MASK(nr);
}
static inline bool test_bit_acquire(unsigned long nr, const unsigned long *p)
{
	return smp_load_acquire(&p[BIT_WORD(nr)]) & BIT_MASK(nr);
}
static inline void set_bit(unsigned long nr, unsigned long *p)
{
	__atomic_fetch_or(&p[BIT_WORD(nr)], BIT_MASK(nr), __ATOMIC_RELAXED);
}
/* As set_bit; what was written before is seen by who sees the bit with test_bit_acquire. */
static inline void set_bit_release(unsigned long nr, unsigned long *p)
{
	__atomic_fetch_or(&p[BIT_WORD(nr)], BIT_MASK(nr), __ATOMIC_RELEASE);
}
static inline void clear_bit(unsigned long nr, unsigned long *p)
{
	__atomic_fetch_and(&p[BIT_WORD(nr)], ~BIT_MASK(nr), __ATOMIC_RELAXED);
}
static inline void change_bit(unsigned long nr, unsigned long *p)
{
	__atomic_fetch_xor(&p[BIT_WORD(nr)], BIT_MASK(nr), __ATOMIC_RELAXED);
}
static inline bool test_and_set_bit(unsigned long nr, unsigned long *p)
{
	return __atomic_fetch_or(&p[BIT_WORD(nr)], BIT_MASK(nr), __ATOMIC_SEQ_CST) & BIT_MASK(nr);
}
static inline bool test_and_clear_bit(unsigned long nr, unsigned long *p)
{
	return __atomic_fetch_and(&p[BIT_WORD(nr)], ~BIT_MASK(nr), __ATOMIC_SEQ_CST) & BIT_MASK(nr);
}
static inline bool test_and_change_bit(unsigned long nr, unsigned long *p)
{
	return __atomic_fetch_xor(&p[BIT_WORD(nr)], BIT_MASK(nr), __ATOMIC_SEQ_CST) & BIT_MASK(nr);
}
/* A bit as a lock that sleeps elsewhere (wait_on_bit_lock): taken with acquire, given back with release. */
static inline bool test_and_set_bit_lock(unsigned long nr, unsigned long *p)
{
	return __atomic_fetch_or(&p[BIT_WORD(nr)], BIT_MASK(nr), __ATOMIC_ACQUIRE) & BIT_MASK(nr);
}
static inline void clear_bit_unlock(unsigned long nr, unsigned long *p)
{
	__atomic_fetch_and(&p[BIT_WORD(nr)], ~BIT_MASK(nr), __ATOMIC_RELEASE);
}
/* clear_bit_unlock that returns the word as it was before; a full barrier, so that waiters may be looked for
 * next. */
static inline unsigned long clear_bit_unlock_return(unsigned long nr, unsigned long *p)
{
	return __atomic_fetch_and(&p[BIT_WORD(nr)], ~BIT_MASK(nr), __ATOMIC_SEQ_CST);
}

#endif
