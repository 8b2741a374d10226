/* SPDX-License-Identifier: MIT */
/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash of 64 bits that an attacker who does not know the
 * key cannot steer. Pure functions.
 */
#ifndef SHALE_BASE_SIPHASH_H
#define SHALE_BASE_SIPHASH_H

#include "base/compiler.h"

typedef struct {
	u64 key[2];
} siphash_key_t;

u64 siphash(const void *data, size_t len, const siphash_key_t *key) __pure_fn;
/* As siphash of the value's eight bytes, little endian. */
u64 siphash_1u64(u64 value, const siphash_key_t *key) __pure_fn;

#endif
