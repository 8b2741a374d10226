/* SPDX-License-Identifier: MIT */
/*
 * Words given by users: option strings "a=b,c" and the values in them, typed by a table; and numbers. Nothing
 * here allocates or owns: results point into the caller's strings.
 */
#ifndef SHALE_BASE_PARSER_H
#define SHALE_BASE_PARSER_H

#include "base/compiler.h"

/* Whole strings as numbers: base 0 reads 0x and 0 prefixes. One newline may follow. -EINVAL, -ERANGE. */
int kstrtoull(const char *s, unsigned base, u64 *out) __must_check;
int kstrtoll(const char *s, unsigned base, s64 *out) __must_check;
int kstrtouint(const char *s, unsigned base, unsigned *out) __must_check;
int kstrtoint(const char *s, unsigned base, int *out) __must_check;
/* y n 1 0 on off true false yes no, either case. */
int kstrtobool(const char *s, bool *out) __must_check;
/* A number with an optional unit K M G T P E (1024 each), as much of s as that is; *end: what follows (end
 * may be NULL). */
u64 memparse(const char *s, const char **end);
/* The whole string as such a size in bytes. -EINVAL, -ERANGE. */
int parse_size(const char *s, u64 *out) __must_check;

/* Past leading blanks; also cuts trailing ones (s is changed). */
char *skip_spaces(const char *s);
char *strim(char *s);
/* Equal but for one newline at the end of either: for stores of attributes. */
bool sysfs_streq(const char *a, const char *b);
/* The index of s in a table of n strings (sysfs_streq), or -EINVAL. */
int match_string(const char *const *table, size_t n, const char *s);

/*
 * Splits an option string in place: cuts the next item off *rest at a comma, sets *key, and *value to what
 * follows its first '=' or NULL. Empty items are passed over. "\," in a value stands for a comma. False: no
 * more.
 */
bool option_next(char **rest, char **key, char **value);

/* The types of options. */
enum fs_parameter_type {
	fs_param_is_flag, /* "name"; with FS_PARAM_NEG also "noname" */
	fs_param_is_bool, /* "name" alone is true, or a value of kstrtobool */
	fs_param_is_u32,  /* result->uint_32, base 0 */
	fs_param_is_u32_octal,
	fs_param_is_u32_hex,
	fs_param_is_s32,    /* result->int_32 */
	fs_param_is_u64,    /* result->uint_64 */
	fs_param_is_size,   /* result->uint_64: bytes, with units (parse_size) */
	fs_param_is_enum,   /* result->uint_32: value of the word in the spec's table */
	fs_param_is_string, /* result->string; must not be missing, may be empty with FS_PARAM_CAN_BE_EMPTY */
};

#define FS_PARAM_NEG          0x1 /* "no" in front negates: result->negated */
#define FS_PARAM_CAN_BE_EMPTY 0x2 /* the value may be missing: result->has_value says */
#define FS_PARAM_DEPRECATED   0x4

struct constant_table {
	const char *name; /* NULL ends the table */
	int value;
};

struct fs_parameter_spec {
	const char *name; /* NULL ends the table */
	u8 type;          /* enum fs_parameter_type */
	u8 flags;
	int opt; /* what fs_parse returns: 0 or more */
	const struct constant_table *data;
};

#define __fsparam(type, name, opt, flags, data)                                                              \
	{                                                                                                    \
		name, type, flags, opt, data                                                                 \
	}
#define fsparam_flag(name, opt)         __fsparam(fs_param_is_flag, name, opt, 0, NULL)
#define fsparam_flag_no(name, opt)      __fsparam(fs_param_is_flag, name, opt, FS_PARAM_NEG, NULL)
#define fsparam_bool(name, opt)         __fsparam(fs_param_is_bool, name, opt, 0, NULL)
#define fsparam_u32(name, opt)          __fsparam(fs_param_is_u32, name, opt, 0, NULL)
#define fsparam_u32oct(name, opt)       __fsparam(fs_param_is_u32_octal, name, opt, 0, NULL)
#define fsparam_u32hex(name, opt)       __fsparam(fs_param_is_u32_hex, name, opt, 0, NULL)
#define fsparam_s32(name, opt)          __fsparam(fs_param_is_s32, name, opt, 0, NULL)
#define fsparam_u64(name, opt)          __fsparam(fs_param_is_u64, name, opt, 0, NULL)
#define fsparam_size(name, opt)         __fsparam(fs_param_is_size, name, opt, 0, NULL)
#define fsparam_enum(name, opt, table)  __fsparam(fs_param_is_enum, name, opt, 0, table)
#define fsparam_string(name, opt)       __fsparam(fs_param_is_string, name, opt, 0, NULL)
#define fsparam_string_empty(name, opt) __fsparam(fs_param_is_string, name, opt, FS_PARAM_CAN_BE_EMPTY, NULL)

/* "There is no parameter of that name": between parsers only, never told to a user. */
#ifndef ENOPARAM
#define ENOPARAM 519
#endif

struct fs_parse_result {
	bool negated;
	bool has_value;
	union {
		bool boolean;
		int int_32;
		u32 uint_32;
		u64 uint_64;
		const char *string;
	};
};

/*
 * Looks `key` up in the table and reads `value` (NULL: none given) as its type says. A name may stand in the
 * table more than once with different types: a flag, and one with a value; what was given decides. Returns
 * the entry's opt; -ENOPARAM: not in the table; -EINVAL or -ERANGE: `problem` (may be NULL) is then set to
 * words such as "needs a value".
 */
int fs_parse(const struct fs_parameter_spec *table, const char *key, const char *value,
	     struct fs_parse_result *result, const char **problem) __must_check;
/* The value of a word in a table, or `not_found`. */
int lookup_constant(const struct constant_table *table, const char *name, int not_found);

#endif
