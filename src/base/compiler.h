/* SPDX-License-Identifier: MIT */
/*
 * What every file needs from the compiler and from arithmetic: attributes, branch hints, container_of,
 * type-safe min and max, rounding, bit positions, error pointers, and the assertions BUG_ON and WARN_ON_ONCE.
 * Nothing here holds state but the "said once" flags of WARN_ON_ONCE, which belong to the place in the
 * source.
 */
#ifndef SHALE_BASE_COMPILER_H
#define SHALE_BASE_COMPILER_H

#include <errno.h>
#include "base/types.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#ifndef __must_check
#define __must_check __attribute__((warn_unused_result))
#endif
#define __printf(fmt, args) __attribute__((format(printf, fmt, args)))
#ifndef __cold
#define __cold __attribute__((cold))
#endif
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#ifndef __packed
#define __packed __attribute__((packed))
#endif
#define noinline        __attribute__((noinline))
#define __noreturn      __attribute__((noreturn))
#define __maybe_unused  __attribute__((unused))
#define __pure_fn       __attribute__((pure))
#define __aligned_to(n) __attribute__((aligned(n)))
#define __cleanup(fn)   __attribute__((cleanup(fn)))
#define fallthrough     __attribute__((fallthrough))

#define CACHELINE_SIZE      64
#define __aligned_cacheline __attribute__((aligned(CACHELINE_SIZE)))

#define barrier() __asm__ __volatile__("" : : : "memory")

/* True in builds under the sanitizers. */
#if defined(__SANITIZE_THREAD__)
#define SHALE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHALE_TSAN 1
#endif
#endif
#ifndef SHALE_TSAN
#define SHALE_TSAN 0
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SHALE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SHALE_ASAN 1
#endif
#endif
#ifndef SHALE_ASAN
#define SHALE_ASAN 0
#endif

#define BUILD_BUG_ON(cond) _Static_assert(!(cond), "build condition failed: " #cond)
#ifndef static_assert
#define static_assert _Static_assert
#endif

#define __same_type(a, b) __builtin_types_compatible_p(__typeof__(a), __typeof__(b))

/* Number of elements of an array; a pointer in its place does not compile. */
#define ARRAY_SIZE(a)                                                                                        \
	(sizeof(a) / sizeof((a)[0]) +                                                                        \
	 0 * sizeof(struct { int must_be_array : 1 - 2 * __same_type((a), &(a)[0]); }))

#define sizeof_field(type, member) sizeof(((type *)0)->member)
#define offsetofend(type, member)  (offsetof(type, member) + sizeof_field(type, member))

/* The object whose member `member` is at `ptr`. */
#define container_of(ptr, type, member)                                                                      \
	({                                                                                                   \
		_Static_assert(__same_type(*(ptr), ((type *)0)->member) || __same_type(*(ptr), void),        \
			       "container_of: the pointer is not of the member's type");                     \
		(type *)((char *)(ptr)-offsetof(type, member));                                              \
	})

/*
 * min, max and clamp refuse to compare a signed with an unsigned value, unless one of them is a constant that
 * is not negative; min_t and its kin convert both to a type first.
 */
#define __type_is_signed(x)     (((__typeof__((x) + 0))-1) < (__typeof__((x) + 0))1)
#define __const_not_negative(x) (__builtin_choose_expr(__builtin_constant_p(x), (x), -1) >= 0)
#define __comparable(x, y)                                                                                   \
	(__type_is_signed(x) == __type_is_signed(y) || __const_not_negative(x) || __const_not_negative(y))
#define __pick(x, y, op)                                                                                     \
	({                                                                                                   \
		__typeof__(x) pick_x = (x);                                                                  \
		__typeof__(y) pick_y = (y);                                                                  \
		pick_x op pick_y ? pick_x : pick_y;                                                          \
	})
#define __pick_checked(x, y, op)                                                                             \
	({                                                                                                   \
		_Static_assert(__comparable(x, y), "comparison of signed with unsigned: use min_t, max_t");  \
		__pick(x, y, op);                                                                            \
	})
#define min(x, y)         __pick_checked(x, y, <)
#define max(x, y)         __pick_checked(x, y, >)
#define min_t(type, x, y) __pick((type)(x), (type)(y), <)
#define max_t(type, x, y) __pick((type)(x), (type)(y), >)
#define min3(x, y, z)     min(min_t(__typeof__(x), x, y), z)
#define max3(x, y, z)     max(max_t(__typeof__(x), x, y), z)
#define min_not_zero(x, y)                                                                                   \
	({                                                                                                   \
		__typeof__(x) mnz_x = (x);                                                                   \
		__typeof__(y) mnz_y = (y);                                                                   \
		mnz_x == 0 ? mnz_y : (mnz_y == 0 || mnz_x < mnz_y) ? mnz_x : mnz_y;                          \
	})
#define clamp_t(type, val, lo, hi) min_t(type, max_t(type, val, lo), hi)
#define clamp(val, lo, hi)         clamp_t(__typeof__(val), val, lo, hi)

#define swap(a, b)                                                                                           \
	do {                                                                                                 \
		__typeof__(a) swap_tmp = (a);                                                                \
		(a) = (b);                                                                                   \
		(b) = swap_tmp;                                                                              \
	} while (0)

/* The divisor of these is any positive value; the arguments are evaluated more than once. */
#define DIV_ROUND_UP(n, d)      (((n) + (d)-1) / (d))
#define DIV_ROUND_CLOSEST(n, d) (((n) + (d) / 2) / (d))
#define roundup(x, y)           ((((x) + (y)-1) / (y)) * (y))
#define rounddown(x, y)         ((x) - (x) % (y))
/* The second argument of these is a power of two. */
#define __round_mask(x, y) ((__typeof__(x))((y)-1))
#define round_up(x, y)     ((((x)-1) | __round_mask(x, y)) + 1)
#define round_down(x, y)   ((x) & ~__round_mask(x, y))
#define ALIGN(x, a)        (((x) + __round_mask(x, a)) & ~__round_mask(x, a))
#define ALIGN_DOWN(x, a)   round_down(x, a)
#define IS_ALIGNED(x, a)   (((x)&__round_mask(x, a)) == 0)
#define PTR_ALIGN(p, a)    ((__typeof__(p))ALIGN((uintptr_t)(p), (a)))

#define BIT(n)        (1UL << (n))
#define BIT_ULL(n)    (1ULL << (n))
#define GENMASK(h, l) ((~0UL << (l)) & (~0UL >> (BITS_PER_LONG - 1 - (h))))

#define SZ_512  512u
#define SZ_1K   0x400u
#define SZ_2K   0x800u
#define SZ_4K   0x1000u
#define SZ_8K   0x2000u
#define SZ_16K  0x4000u
#define SZ_32K  0x8000u
#define SZ_64K  0x10000u
#define SZ_128K 0x20000u
#define SZ_256K 0x40000u
#define SZ_512K 0x80000u
#define SZ_1M   0x100000u
#define SZ_2M   0x200000u
#define SZ_4M   0x400000u
#define SZ_8M   0x800000u
#define SZ_16M  0x1000000u
#define SZ_32M  0x2000000u
#define SZ_64M  0x4000000u
#define SZ_128M 0x8000000u
#define SZ_256M 0x10000000u
#define SZ_512M 0x20000000u
#define SZ_1G   0x40000000u
#define SZ_2G   0x80000000u
#define SZ_4G   0x100000000ull

/* Lowest and highest set bit from 0; the word must not be zero. ffz: lowest clear bit, the word must not be
 * all ones. */
static inline unsigned __ffs(unsigned long word)
{
	return __builtin_ctzl(word);
}
static inline unsigned __fls(unsigned long word)
{
	return BITS_PER_LONG - 1 - __builtin_clzl(word);
}
static inline unsigned ffz(unsigned long word)
{
	return __builtin_ctzl(~word);
}

/* Highest set bit counted from 1, and 0 for 0. (The lowest, counted from 1, is ffs() of <strings.h>.) */
static inline int fls(unsigned x)
{
	return x ? 32 - __builtin_clz(x) : 0;
}
static inline int fls64(u64 x)
{
	return x ? 64 - __builtin_clzll(x) : 0;
}

static inline unsigned hweight32(u32 x)
{
	return __builtin_popcount(x);
}
static inline unsigned hweight64(u64 x)
{
	return __builtin_popcountll(x);
}

/* Also constant expressions; ilog2 of a value that is not positive is undefined. */
#define ilog2(n)         ((unsigned)(63 - __builtin_clzll((u64)(n))))
#define is_power_of_2(n) ((n) != 0 && ((n) & ((n)-1)) == 0)
static inline u64 roundup_pow_of_two(u64 n)
{
	return n <= 1 ? 1 : 1ULL << (64 - __builtin_clzll(n - 1));
}
static inline u64 rounddown_pow_of_two(u64 n)
{
	return 1ULL << (63 - __builtin_clzll(n));
}
/* Order of the smallest run of pages (see PAGE_SIZE) that holds `size` bytes. */
static inline unsigned get_order(u64 size)
{
	return size <= PAGE_SIZE ? 0 : 64 - __builtin_clzll((size - 1) >> PAGE_SHIFT);
}

/* Error pointers: the last 4095 addresses carry a negative errno. */
#define MAX_ERRNO       4095
#define IS_ERR_VALUE(x) unlikely((unsigned long)(x) >= (unsigned long)-MAX_ERRNO)
static inline void *ERR_PTR(long error)
{
	return (void *)error;
}
static inline long PTR_ERR(const void *ptr)
{
	return (long)ptr;
}
static inline bool IS_ERR(const void *ptr)
{
	return IS_ERR_VALUE(ptr);
}
static inline bool IS_ERR_OR_NULL(const void *ptr)
{
	return unlikely(!ptr) || IS_ERR_VALUE(ptr);
}
static inline void *ERR_CAST(const void *ptr)
{
	return (void *)ptr;
}
static inline int PTR_ERR_OR_ZERO(const void *ptr)
{
	return IS_ERR(ptr) ? (int)PTR_ERR(ptr) : 0;
}

/* What a damaged volume and a bad checksum are called. */
#define EFSCORRUPTED EUCLEAN
#define EFSBADCRC    EBADMSG

/* Prints the place and the condition to standard error and aborts the process. */
__noreturn __cold void bug_report(const char *file, int line, const char *condition);
/* Prints the place and the condition to standard error. */
__cold void warn_report(const char *file, int line, const char *condition);

/* An impossible state in memory. Never to be used on what a device returned. */
#define BUG_ON(cond)                                                                                         \
	do {                                                                                                 \
		if (unlikely(cond))                                                                          \
			bug_report(__FILE__, __LINE__, #cond);                                               \
	} while (0)
#define BUG() bug_report(__FILE__, __LINE__, "BUG")

/* The value of the condition; says so each time, or the first time. */
#define WARN_ON(cond)                                                                                        \
	({                                                                                                   \
		bool warn_cond = !!(cond);                                                                   \
		if (unlikely(warn_cond))                                                                     \
			warn_report(__FILE__, __LINE__, #cond);                                              \
		unlikely(warn_cond);                                                                         \
	})
#define WARN_ON_ONCE(cond)                                                                                   \
	({                                                                                                   \
		static bool warn_said;                                                                       \
		bool warn_cond = !!(cond);                                                                   \
		if (unlikely(warn_cond) && !__atomic_exchange_n(&warn_said, true, __ATOMIC_RELAXED))         \
			warn_report(__FILE__, __LINE__, #cond);                                              \
		unlikely(warn_cond);                                                                         \
	})

#endif
