/* SPDX-License-Identifier: MIT */
/*
 * URIs of disks, as interfaces.md defines them:
 * 	[FILTER+]...SCHEME:REST[?KEY=VALUE[&KEY=VALUE]...]	or	PATH[@N][?...]
 * The schemes are a closed list, so that a path with a colon is still a path. A plain path is taken whole
 * where a file bears the full name; else "?" begins options and "@N" names a partition. In a URI the last "?"
 * that is followed by something like options begins them.
 */
#include "block/blk_internal.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "base/parser.h"
#include "block/uri.h"

static const char *const schemes[] = {"file:", "ram:", "null:", "nbd://", "nbd+unix://", "iscsi://", "rbd:"};

void disk_uri_free(struct disk_uri *uri)
{
	kfree(uri->text);
	uri->text = NULL;
}

/*
 * Length of "name" of the scheme that text begins with (without the colon); 0: of none. *rest: what is behind
 * the colon.
 */
static size_t scheme_length(const char *text, const char **rest)
{
	for (unsigned i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t len = strlen(schemes[i]);

		if (strncmp(text, schemes[i], len))
			continue;
		*rest = strchr(text, ':') + 1;
		return (size_t)(*rest - 1 - text);
	}
	return 0;
}

static bool is_name_char(char c)
{
	return islower((unsigned char)c) || isdigit((unsigned char)c) || c == '-' || c == '_';
}

/* Where the scheme begins, behind the filters; NULL: it is a plain path. "nbd+unix" is one word. */
static char *find_scheme(char *text)
{
	char *at = text;

	for (;;) {
		const char *rest;
		char *end = at;

		if (scheme_length(at, &rest))
			return at;
		while (is_name_char(*end))
			end++;
		if (end == at || *end != '+')
			return NULL;
		at = end + 1;
	}
}

static int uri_too_many(struct shale *machine, const char *what, const char *text)
{
	return disk_error(machine, -EINVAL, "%s: too many %s", text, what);
}

/* Cuts "a=b&c=d" apart in place. */
static int split_options(struct shale *machine, char *options, struct disk_uri *out)
{
	char *save = NULL;

	for (char *item = strtok_r(options, "&", &save); item; item = strtok_r(NULL, "&", &save)) {
		char *eq = strchr(item, '=');

		if (out->nr_options == URI_MAX_OPTIONS)
			return uri_too_many(machine, "options", out->text);
		if (eq)
			*eq = '\0';
		out->keys[out->nr_options] = item;
		out->values[out->nr_options++] = eq ? eq + 1 : "";
	}
	return 0;
}

/* "?" counts as the beginning of options when a key with "=" (or the end of such a list) follows. */
static char *find_options(char *text)
{
	char *mark = strrchr(text, '?');

	return mark && (mark[1] == '\0' || strchr(mark, '=') || is_name_char(mark[1])) ? mark : NULL;
}

static int parse_elements(struct shale *machine, char *text, char *scheme, struct disk_uri *out)
{
	const char *rest;
	size_t len = scheme_length(scheme, &rest);

	for (char *at = text; at < scheme; at = strchr(at, '\0') + 1) {
		if (out->nr_elements == URI_MAX_ELEMENTS - 1)
			return uri_too_many(machine, "filters", text);
		*strchr(at, '+') = '\0';
		out->elements[out->nr_elements++] = at;
	}
	scheme[len] = '\0';
	out->elements[out->nr_elements++] = scheme;
	out->rest = rest;
	return 0;
}

static bool file_exists(const char *path)
{
	return !access(path, F_OK);
}

/* "PATH@N": N alone, 1 to 255, behind the last "@". */
static void parse_path_part(char *path, struct disk_uri *out)
{
	char *at = strrchr(path, '@');
	unsigned part;

	if (!at || at == path || !isdigit((unsigned char)at[1]) || file_exists(path))
		return;
	if (kstrtouint(at + 1, 10, &part) || part == 0 || part >= DISK_MAX_PARTS)
		return;
	*at = '\0';
	out->part = part;
}

static int parse_plain(struct shale *machine, char *text, struct disk_uri *out)
{
	char *options = file_exists(text) ? NULL : find_options(text);
	int ret = 0;

	out->plain = true;
	out->elements[out->nr_elements++] = "file";
	out->rest = text;
	if (options) {
		*options = '\0';
		ret = split_options(machine, options + 1, out);
	}
	if (!ret)
		parse_path_part(text, out);
	return ret;
}

int disk_uri_parse(struct shale *machine, const char *uri, struct disk_uri *out)
{
	char *scheme, *options;
	int ret = 0;

	*out = (struct disk_uri){.text = kstrdup(machine, uri)};
	if (!out->text)
		return -ENOMEM;
	scheme = find_scheme(out->text);
	if (!*uri) {
		ret = disk_error(machine, -EINVAL, "the name of a disk is empty");
	} else if (!scheme) {
		ret = parse_plain(machine, out->text, out);
	} else {
		options = find_options(scheme);
		if (options) {
			*options = '\0';
			ret = split_options(machine, options + 1, out);
		}
		ret = ret ? ret : parse_elements(machine, out->text, scheme, out);
	}
	if (ret)
		disk_uri_free(out);
	return ret;
}

const char *uri_option(const struct uri_options *options, const char *key)
{
	for (unsigned i = 0; options && i < options->nr; i++)
		if (!strcmp(options->keys[i], key))
			return options->values[i];
	return NULL;
}

int blk_parse_size(const char *text, u64 *out)
{
	return parse_size(text, out) ? -EINVAL : 0;
}

int uri_option_size(const struct uri_options *options, const char *key, u64 *out)
{
	const char *value = uri_option(options, key);

	if (!value)
		return -ENOENT;
	if (!blk_parse_size(value, out))
		return 0;
	return disk_error(options->machine, -EINVAL, "%s: %s=%s is not a size", options->element, key, value);
}

int uri_option_bool(const struct uri_options *options, const char *key, bool *out)
{
	const char *value = uri_option(options, key);

	if (!value)
		return -ENOENT;
	if (!*value) { /* "?ro" */
		*out = true;
		return 0;
	}
	if (!kstrtobool(value, out))
		return 0;
	return disk_error(options->machine, -EINVAL, "%s: %s=%s is neither 0 nor 1", options->element, key,
			  value);
}
