/* SPDX-License-Identifier: MIT */
/*
 * The plain integer types of the whole library, under the names that the field uses.
 */
#ifndef SHALE_BASE_TYPES_H
#define SHALE_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

typedef u64 sector_t;           /* an offset or a length on a disk, in units of 512 bytes */
typedef unsigned long pgoff_t;  /* an offset in a file, in units of PAGE_SIZE */
typedef unsigned short umode_t; /* type and permission bits of an inode */

#define SECTOR_SHIFT 9
#define SECTOR_SIZE  (1u << SECTOR_SHIFT)

/* The page of the library (the grain of folios); it does not change with the host's. */
#define PAGE_SHIFT 12
#ifndef PAGE_SIZE
#define PAGE_SIZE (1ul << PAGE_SHIFT)
#endif
#ifndef PAGE_MASK
#define PAGE_MASK (~(PAGE_SIZE - 1))
#endif

#define BITS_PER_BYTE 8
#define BITS_PER_LONG 64

#endif
