/* SPDX-License-Identifier: MIT */
/*
 * UUIDs: 16 bytes in the order of their text form. GUIDs of GPT keep the first three groups little endian;
 * guid_format and guid_parse know that. Values only: nothing is owned.
 */
#ifndef SHALE_BASE_UUID_H
#define SHALE_BASE_UUID_H

#include "base/compiler.h"

#define UUID_SIZE       16
#define UUID_STRING_LEN 36

typedef struct {
	u8 b[UUID_SIZE];
} uuid_t;

struct shale;

bool uuid_is_null(const uuid_t *u);
bool uuid_equal(const uuid_t *a, const uuid_t *b);
/* Lower case text with a NUL. */
void uuid_format(const uuid_t *u, char text[UUID_STRING_LEN + 1]);
/* Exactly 36 characters, of either case, then a NUL. -EINVAL otherwise. */
int uuid_parse(const char *text, uuid_t *u) __must_check;
void guid_format(const uuid_t *u, char text[UUID_STRING_LEN + 1]);
int guid_parse(const char *text, uuid_t *u) __must_check;
/* A random one (version 4) from the machine's generator. */
void uuid_generate(struct shale *machine, uuid_t *u);

#endif
