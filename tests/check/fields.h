/* SPDX-License-Identifier: MIT */
/* The fields of each kind of structure, so that damage can aim at one of them and name it. */
#ifndef SHALE_TESTS_CHECK_FIELDS_H
#define SHALE_TESTS_CHECK_FIELDS_H

#include "volume.h"

enum role {
	ROLE_NUMBER,
	ROLE_FLAGS, /* single bits are flipped */
	ROLE_BLOCK, /* gets numbers of other blocks */
	ROLE_INODE, /* gets numbers of other inodes */
};

struct field {
	const char *name;
	unsigned short offset, size;
	enum role role;
};

/* Fields with a fixed place in structures of that kind; NULL: there are none. */
const struct field *fields_of(enum place_kind kind, unsigned *count);
/* Fields of the records of a structure: entries of extents, directories, indexes, attributes. */
extern const struct field extent_fields[5], index_fields[4], dirent_fields[4], dx_fields[2], xattr_fields[6];

#endif
