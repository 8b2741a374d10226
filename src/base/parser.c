/* SPDX-License-Identifier: MIT */
/*
 * Numbers and options out of words. Numbers are read by the C library's converters, after what those let pass
 * (blanks, signs of unsigned numbers, rests) has been refused.
 */
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/overflow.h"
#include "base/parser.h"

/* Nothing, or one newline, stands at the end of the number. */
static bool number_ends(const char *end)
{
	return end[0] == '\0' || (end[0] == '\n' && end[1] == '\0');
}

int kstrtoull(const char *s, unsigned base, u64 *out)
{
	unsigned long long value;
	char *end;

	if (*s == '+')
		s++;
	if (!isxdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	value = strtoull(s, &end, (int)base);
	if (end == s || !number_ends(end))
		return -EINVAL;
	if (errno)
		return -ERANGE;
	*out = value;
	return 0;
}

int kstrtoll(const char *s, unsigned base, s64 *out)
{
	bool negative = *s == '-';
	u64 value;
	int err;

	if (negative && s[1] == '+')
		return -EINVAL;
	err = kstrtoull(s + negative, base, &value);
	if (err)
		return err;
	if (value > (u64)INT64_MAX + negative)
		return -ERANGE;
	*out = negative ? (s64)(0 - value) : (s64)value;
	return 0;
}

int kstrtouint(const char *s, unsigned base, unsigned *out)
{
	u64 value;
	int err = kstrtoull(s, base, &value);

	if (err)
		return err;
	if (value > UINT_MAX)
		return -ERANGE;
	*out = (unsigned)value;
	return 0;
}

int kstrtoint(const char *s, unsigned base, int *out)
{
	s64 value;
	int err = kstrtoll(s, base, &value);

	if (err)
		return err;
	if (value < INT_MIN || value > INT_MAX)
		return -ERANGE;
	*out = (int)value;
	return 0;
}

bool sysfs_streq(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return number_ends(a) && number_ends(b);
}

int match_string(const char *const *table, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (table[i] && sysfs_streq(table[i], s))
			return (int)i;
	return -EINVAL;
}

int kstrtobool(const char *s, bool *out)
{
	static const char *const words[] = {"n", "y", "0", "1", "off", "on", "false", "true", "no", "yes"};
	char lower[8];
	size_t len = strcspn(s, "\n");
	int i;

	if (len >= sizeof(lower) || !number_ends(s + len))
		return -EINVAL;
	for (size_t n = 0; n < len; n++)
		lower[n] = (char)tolower((unsigned char)s[n]);
	lower[len] = '\0';
	i = match_string(words, ARRAY_SIZE(words), lower);
	if (i < 0)
		return -EINVAL;
	*out = i & 1;
	return 0;
}

/* As memparse, and whether it fitted. */
static int size_prefix(const char *s, const char **end, u64 *out)
{
	static const char units[] = "KMGTPE";
	const char *unit;
	char *rest;
	u64 value;

	*end = s;
	*out = 0;
	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	value = strtoull(s, &rest, 0);
	*end = rest;
	*out = value;
	if (errno)
		return -ERANGE;
	unit = *rest ? strchr(units, toupper((unsigned char)*rest)) : NULL;
	if (!unit)
		return 0;
	*end = rest + 1;
	return check_shl_overflow(value, 10 * (unit - units + 1), out) ? -ERANGE : 0;
}

u64 memparse(const char *s, const char **end)
{
	const char *rest;
	u64 value;

	(void)size_prefix(s, &rest, &value);
	if (end)
		*end = rest;
	return value;
}

int parse_size(const char *s, u64 *out)
{
	const char *rest;
	u64 value;
	int err = size_prefix(s, &rest, &value);

	if (err != -EINVAL && !number_ends(rest))
		return -EINVAL;
	if (!err)
		*out = value;
	return err;
}

char *skip_spaces(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return (char *)s;
}

char *strim(char *s)
{
	size_t len;

	s = skip_spaces(s);
	for (len = strlen(s); len && isspace((unsigned char)s[len - 1]); len--)
		;
	s[len] = '\0';
	return s;
}

/* Ends the item at the first comma that has no backslash before it, and takes such backslashes out. */
static char *item_cut(char *item)
{
	char *from = item;
	char *to = item;
	char *rest = NULL;

	for (; *from; from++) {
		if (from[0] == '\\' && from[1] == ',') {
			from++;
		} else if (*from == ',') {
			rest = from + 1;
			break;
		}
		*to++ = *from;
	}
	*to = '\0';
	return rest;
}

bool option_next(char **rest, char **key, char **value)
{
	while (*rest) {
		char *item = *rest;
		char *equals;

		*rest = item_cut(item);
		if (!*item)
			continue;
		*key = item;
		equals = strchr(item, '=');
		if (equals)
			*equals++ = '\0';
		*value = equals;
		return true;
	}
	return false;
}

int lookup_constant(const struct constant_table *table, const char *name, int not_found)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return table->value;
	return not_found;
}

/* The entry for the key: of those with its name, one that takes a value if there is one, else one that takes
 * none. */
static const struct fs_parameter_spec *spec_find(const struct fs_parameter_spec *table, const char *key,
						 bool has_value, bool *negated)
{
	const struct fs_parameter_spec *other = NULL;

	*negated = false;
	for (const struct fs_parameter_spec *p = table; p->name; p++) {
		if (strcmp(p->name, key) != 0)
			continue;
		if ((p->type != fs_param_is_flag) == has_value)
			return p;
		if (!other)
			other = p;
	}
	if (other || strncmp(key, "no", 2) != 0)
		return other;
	for (const struct fs_parameter_spec *p = table; p->name; p++) {
		if ((p->flags & FS_PARAM_NEG) && strcmp(p->name, key + 2) == 0) {
			*negated = true;
			return p;
		}
	}
	return NULL;
}

static int parse_u32(const char *value, unsigned base, struct fs_parse_result *result, const char **problem)
{
	int err = kstrtouint(value, base, &result->uint_32);

	*problem = err == -ERANGE ? "number is out of range" : "value is not a number";
	return err;
}

static int parse_enum(const struct fs_parameter_spec *spec, const char *value, struct fs_parse_result *result,
		      const char **problem)
{
	for (const struct constant_table *c = spec->data; c->name; c++) {
		if (strcmp(c->name, value) == 0) {
			result->uint_32 = (u32)c->value;
			return 0;
		}
	}
	*problem = "value is not one of the known words";
	return -EINVAL;
}

/* A value that was given, for an entry that takes one. */
static int parse_value(const struct fs_parameter_spec *spec, const char *value,
		       struct fs_parse_result *result, const char **problem)
{
	int err;

	switch ((enum fs_parameter_type)spec->type) {
	case fs_param_is_flag:
		*problem = "takes no value";
		return -EINVAL;
	case fs_param_is_bool:
		*problem = "value is neither yes nor no";
		return kstrtobool(value, &result->boolean);
	case fs_param_is_u32:
		return parse_u32(value, 0, result, problem);
	case fs_param_is_u32_octal:
		return parse_u32(value, 8, result, problem);
	case fs_param_is_u32_hex:
		return parse_u32(value, 16, result, problem);
	case fs_param_is_s32:
		err = kstrtoint(value, 0, &result->int_32);
		break;
	case fs_param_is_u64:
		err = kstrtoull(value, 0, &result->uint_64);
		break;
	case fs_param_is_size:
		err = parse_size(value, &result->uint_64);
		break;
	case fs_param_is_enum:
		return parse_enum(spec, value, result, problem);
	case fs_param_is_string:
	default:
		result->string = value;
		*problem = "needs a value";
		return *value || (spec->flags & FS_PARAM_CAN_BE_EMPTY) ? 0 : -EINVAL;
	}
	*problem = err == -ERANGE ? "number is out of range" : "value is not a number";
	return err;
}

int fs_parse(const struct fs_parameter_spec *table, const char *key, const char *value,
	     struct fs_parse_result *result, const char **problem)
{
	const char *words = NULL;
	const struct fs_parameter_spec *spec;
	bool negated;
	int err = 0;

	memset(result, 0, sizeof(*result));
	spec = spec_find(table, key, value != NULL, &negated);
	if (!spec)
		return -ENOPARAM;
	result->negated = negated;
	result->has_value = value != NULL;
	if (value) {
		err = parse_value(spec, value, result, &words);
	} else if (spec->type == fs_param_is_flag || spec->type == fs_param_is_bool) {
		result->boolean = !negated;
	} else if (!(spec->flags & FS_PARAM_CAN_BE_EMPTY)) {
		words = "needs a value";
		err = -EINVAL;
	}
	if (err && problem)
		*problem = words;
	return err ? err : spec->opt;
}
