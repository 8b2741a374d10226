/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4). Pure. */
#ifndef SHALE_BASE_SHA256_H
#define SHALE_BASE_SHA256_H

#include "base/compiler.h"

#define SHA256_BYTES 32

void sha256(const void *data, size_t bytes, u8 out[SHA256_BYTES]);

#endif
