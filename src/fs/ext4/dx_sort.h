/* SPDX-License-Identifier: MIT */
/* The names of a leaf of a hashed directory, in order of hash: see dx_sort.c. */
#ifndef SHALE_FS_EXT4_DX_SORT_H
#define SHALE_FS_EXT4_DX_SORT_H

#include "base/compiler.h"

struct dx_name {
	u32 hash, minor, seq; /* seq: order of coming, breaks ties */
	u32 ino;
	u32 text; /* offset of the name in a text of all names */
	u8 len, type;
};

/* What dx_sort needs beside n names, in bytes. */
#define DX_SORT_SPARE(n) ((n) * (sizeof(struct dx_name) + sizeof(u32)))

/* By hash, minor hash, order of coming. `spare`: DX_SORT_SPARE(n) bytes, aligned as the names are. */
void dx_sort(struct dx_name *names, u32 n, void *spare);

#endif
