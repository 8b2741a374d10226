/* SPDX-License-Identifier: MIT */
/*
 * A run of memory that takes part in I/O. Here memory is simply addressable, so a vector may span any number
 * of pages. It owns nothing: who makes it keeps the memory alive until the I/O has ended.
 */
#ifndef SHALE_BASE_BVEC_H
#define SHALE_BASE_BVEC_H

#include "base/compiler.h"

struct bio_vec {
	void *bv_base; /* start of the object (a folio's memory) */
	u32 bv_len;    /* bytes */
	u32 bv_offset; /* bytes from bv_base to the first byte of the run */
};

static inline void bvec_set(struct bio_vec *bv, void *base, u32 len, u32 offset)
{
	bv->bv_base = base;
	bv->bv_len = len;
	bv->bv_offset = offset;
}

/* The first byte. */
static inline void *bvec_virt(const struct bio_vec *bv)
{
	return (char *)bv->bv_base + bv->bv_offset;
}

#endif
