/* SPDX-License-Identifier: MIT */
/*
 * Cyclic redundancy checks of the formats that the library reads. All but crc32_be are least significant bit
 * first, and plain updates: they neither invert the first value nor the last; a format that wants that does
 * it (ext4 starts crc32c with ~0 and does not invert at the end; GPT starts crc32 with ~0 and inverts). Pure
 * functions.
 */
#ifndef SHALE_BASE_CRC_H
#define SHALE_BASE_CRC_H

#include "base/compiler.h"

/* Polynomial 0x1edc6f41 (Castagnoli); uses the processor's instruction where there is one. */
u32 crc32c(u32 crc, const void *p, size_t len) __pure_fn;
/* The same for pieces of memory of one length, all at a time: about as quick as for one. `crc` is changed. */
#define CRC_LANES 3
void crc32c_lanes(u32 crc[CRC_LANES], const void *const p[CRC_LANES], size_t len);
/* The same without the instruction, for tests and other processors. */
u32 crc32c_by_table(u32 crc, const void *p, size_t len) __pure_fn;
/* Polynomial 0x04c11db7 (Ethernet, GPT, gzip). */
u32 crc32_le(u32 crc, const void *p, size_t len) __pure_fn;
/* The same polynomial, most significant bit first: transactions of old journals. */
u32 crc32_be(u32 crc, const void *p, size_t len) __pure_fn;
/* Polynomial 0x8005: group descriptors of ext4 without metadata_csum. */
u16 crc16(u16 crc, const void *p, size_t len) __pure_fn;

#endif
