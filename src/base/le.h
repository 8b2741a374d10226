/* SPDX-License-Identifier: MIT */
/*
 * Integers with a fixed byte order, as they stand on disk and on wires. Each is a struct with one member, so
 * that it cannot be mixed with a native integer by mistake; zero is zero in every order. Alignment is that of
 * the native type: an on-disk struct whose members are not aligned uses the _packed forms, and states its
 * size by disk_struct_size().
 */
#ifndef SHALE_BASE_LE_H
#define SHALE_BASE_LE_H

#include <string.h>
#include "base/compiler.h"

typedef struct {
	u16 v;
} le16;
typedef struct {
	u32 v;
} le32;
typedef struct {
	u64 v;
} le64;
typedef struct {
	u16 v;
} be16;
typedef struct {
	u32 v;
} be32;
typedef struct {
	u64 v;
} be64;

/* The same with an alignment of one byte. */
typedef struct __packed {
	u16 v;
} le16_packed;
typedef struct __packed {
	u32 v;
} le32_packed;
typedef struct __packed {
	u64 v;
} le64_packed;

/* Stands after the definition of an on-disk struct. */
#define disk_struct_size(type, bytes)                                                                        \
	_Static_assert(sizeof(type) == (bytes), "size of " #type " differs from the format's")
#define disk_field_offset(type, member, bytes)                                                               \
	_Static_assert(offsetof(type, member) == (bytes),                                                    \
		       "place of " #type "." #member " differs from the format's")

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define __le_swap16(x) (x)
#define __le_swap32(x) (x)
#define __le_swap64(x) (x)
#define __be_swap16(x) __builtin_bswap16(x)
#define __be_swap32(x) __builtin_bswap32(x)
#define __be_swap64(x) __builtin_bswap64(x)
#else
#define __le_swap16(x) __builtin_bswap16(x)
#define __le_swap32(x) __builtin_bswap32(x)
#define __le_swap64(x) __builtin_bswap64(x)
#define __be_swap16(x) (x)
#define __be_swap32(x) (x)
#define __be_swap64(x) (x)
#endif

#define __DEFINE_ENDIAN(order, bits)                                                                         \
	static inline u##bits order##bits##_to_cpu(order##bits x)                                            \
	{                                                                                                    \
		return __##order##_swap##bits(x.v);                                                          \
	}                                                                                                    \
	static inline order##bits cpu_to_##order##bits(u##bits x)                                            \
	{                                                                                                    \
		return (order##bits){__##order##_swap##bits(x)};                                             \
	}                                                                                                    \
	/* From and to any address, whatever its alignment. */                                               \
	static inline u##bits get_unaligned_##order##bits(const void *p)                                     \
	{                                                                                                    \
		u##bits x;                                                                                   \
		memcpy(&x, p, sizeof(x));                                                                    \
		return __##order##_swap##bits(x);                                                            \
	}                                                                                                    \
	static inline void put_unaligned_##order##bits(u##bits x, void *p)                                   \
	{                                                                                                    \
		x = __##order##_swap##bits(x);                                                               \
		memcpy(p, &x, sizeof(x));                                                                    \
	}

__DEFINE_ENDIAN(le, 16)
__DEFINE_ENDIAN(le, 32)
__DEFINE_ENDIAN(le, 64)
__DEFINE_ENDIAN(be, 16)
__DEFINE_ENDIAN(be, 32)
__DEFINE_ENDIAN(be, 64)

#define __DEFINE_PACKED(bits)                                                                                \
	static inline u##bits le##bits##_packed_to_cpu(le##bits##_packed x)                                  \
	{                                                                                                    \
		return __le_swap##bits(x.v);                                                                 \
	}                                                                                                    \
	static inline le##bits##_packed cpu_to_le##bits##_packed(u##bits x)                                  \
	{                                                                                                    \
		return (le##bits##_packed){__le_swap##bits(x)};                                              \
	}
__DEFINE_PACKED(16)
__DEFINE_PACKED(32)
__DEFINE_PACKED(64)

static inline void le16_add_cpu(le16 *p, u16 n)
{
	*p = cpu_to_le16((u16)(le16_to_cpu(*p) + n));
}
static inline void le32_add_cpu(le32 *p, u32 n)
{
	*p = cpu_to_le32(le32_to_cpu(*p) + n);
}
static inline void le64_add_cpu(le64 *p, u64 n)
{
	*p = cpu_to_le64(le64_to_cpu(*p) + n);
}

/* A constant in disk order, for initialisers. */
#define LE16_CONST(x) ((le16){__le_swap16((u16)(x))})
#define LE32_CONST(x) ((le32){__le_swap32((u32)(x))})
#define LE64_CONST(x) ((le64){__le_swap64((u64)(x))})

#endif
