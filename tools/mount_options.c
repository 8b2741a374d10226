/* SPDX-License-Identifier: MIT */
/*
 * The words of -o: those of the mount itself, those that mount(8) and fstab(5) use and that change nothing
 * here, and all others, which are the file system's: it knows them or refuses them by name.
 */
#include "mount.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_ID   ((unsigned)-1)
#define NO_MASK ((mode_t)-1)
#define AHEAD   (2ull << 20)
#define MEMORY  (128ull << 20)

/* Each may hold a reply of a megabyte, which counts for the daemon's memory. */
static unsigned default_threads(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return processors < 4 ? 4 : processors > 8 ? 8 : (unsigned)processors;
}

void mount_wish_init(struct mount_wish *wish)
{
	*wish = (struct mount_wish){.type = "ext4",
				    .memory = MEMORY,
				    .ahead = AHEAD,
				    .uid = NO_ID,
				    .gid = NO_ID,
				    .fmask = NO_MASK,
				    .dmask = NO_MASK,
				    .owner = geteuid() != 0,
				    .caller_uid = getuid(),
				    .caller_gid = getgid(),
				    .kernel = tool_printf("ro,nosuid,nodev"),
				    .threads = default_threads(),
				    .stats_fd = -1};
}

static void append(char **list, const char *word)
{
	char *longer = *list ? tool_printf("%s,%s", *list, word) : tool_printf("%s", word);

	free(*list);
	*list = longer;
}

/* Words of mount(8) and fstab(5) that are true anyway, or mean nothing for what is read only. */
static bool means_nothing(const char *word)
{
	static const char *const words[] = {
		"ro",         "defaults",   "auto",         "noauto",        "user",
		"nouser",     "users",      "nousers",      "group",         "nofail",
		"_netdev",    "atime",      "noatime",      "diratime",      "nodiratime",
		"relatime",   "norelatime", "strictatime",  "nostrictatime", "lazytime",
		"nolazytime", "async",      "sync",         "dirsync",       "exec",
		"nosuid",     "nodev",      "symfollow",    "silent",        "loud",
		"iversion",   "noiversion", "auto_unmount", "nonempty",      "loop"};

	if (!strncmp(word, "x-", 2) || !strncmp(word, "X-", 2) || !strncmp(word, "comment=", 8))
		return true;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

static bool number(const char *word, const char *text, int base, uint64_t most, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, base);
	if (*text >= '0' && *text <= '9' && !*end && !errno && *out <= most)
		return true;
	tool_error_text(word, "not a number that is possible here");
	return false;
}

/* "64M": bytes with a unit. */
static bool size(const char *word, const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	char *digits = tool_printf("%s", text), *unit = digits + strspn(digits, "0123456789");
	const char *known = *unit ? strchr(units, *unit) : NULL;
	bool good = !*unit || (known && !unit[1]);
	unsigned shift = known ? 10 * (unsigned)(known - units + 1) : 0;

	*unit = '\0';
	good = number(word, good ? digits : "", 10, UINT64_MAX >> shift, out);
	free(digits);
	*out <<= shift;
	return good;
}

/* "uid=NAME", "gid=NAME" or a number. */
static bool id(const char *word, const char *name, unsigned *out)
{
	const struct passwd *user = *word == 'u' ? getpwnam(name) : NULL;
	const struct group *group = *word == 'g' ? getgrnam(name) : NULL;
	uint64_t n = user ? user->pw_uid : group ? group->gr_gid : NO_ID;
	bool good = n != NO_ID;

	if (!good && (*name < '0' || *name > '9'))
		tool_error_text(word, *word == 'u' ? "no such user" : "no such group");
	else
		good = good || number(word, name, 10, NO_ID - 1, &n);
	*out = (unsigned)n;
	return good;
}

static bool take_ids(struct mount_wish *wish, const char *word, const char *value, bool *good)
{
	uint64_t n;

	if (!strncmp(word, "uid=", 4)) {
		*good = id(word, value, &wish->uid);
	} else if (!strncmp(word, "gid=", 4)) {
		*good = id(word, value, &wish->gid);
	} else if (!strncmp(word, "umask=", 6)) {
		*good = number(word, value, 8, 0777, &n);
		wish->fmask = wish->dmask = (mode_t)n;
	} else if (!strncmp(word, "fmask=", 6)) {
		*good = number(word, value, 8, 0777, &n);
		wish->fmask = (mode_t)n;
	} else if (!strncmp(word, "dmask=", 6)) {
		*good = number(word, value, 8, 0777, &n);
		wish->dmask = (mode_t)n;
	} else {
		return false;
	}
	return true;
}

static bool refused(const char *word, bool helper)
{
	const char *why = NULL;

	if (!strcmp(word, "rw") && !helper)
		why = "writing is not supported: volumes are mounted read-only";
	else if (!strcmp(word, "suid") || !strcmp(word, "dev"))
		why = "is never given: what an image says of itself has no rights on the host";
	else if (!strcmp(word, "allow_root"))
		why = "cannot be had: what the kernel has cached it shows to everybody; allow_other with "
		      "strict "
		      "has the kernel check who may look in";
	else if (!strcmp(word, "nosymfollow") && geteuid())
		why = "is root's: fusermount3 does not know it";
	if (why)
		tool_error_text(word, why);
	return why;
}

/* Of the volume or of the connection: a mount that is there keeps what it has. */
static bool take_lasting_word(struct mount_wish *wish, const char *word)
{
	const char *value = strchr(word, '=');
	bool good = true;

	append(&wish->lasting, word);
	if (take_ids(wish, word, value ? value + 1 : "", &good))
		return good;
	if (!strcmp(word, "owner") || !strcmp(word, "strict"))
		wish->owner = *word == 'o';
	else if (!strcmp(word, "no-sandbox") || !strcmp(word, "require-sandbox"))
		wish->sandbox = *word == 'n' ? SANDBOX_OFF : SANDBOX_REQUIRED;
	else if (!strncmp(word, "fsname=", 7))
		wish->shown = value + 1;
	else if (!strncmp(word, "memory=", 7))
		good = size(word, value + 1, &wish->memory);
	else if (!strncmp(word, "ahead=", 6))
		good = size(word, value + 1, &wish->ahead);
	else if (!strcmp(word, "allow_other") || !strcmp(word, "default_permissions") ||
		 !strncmp(word, "max_read=", 9))
		append(&wish->kernel, word);
	else
		append(&wish->data, word);
	return good;
}

/* One word; false: it was refused, and why was told. */
static bool take_word(struct mount_wish *wish, const char *word, bool helper)
{
	if (refused(word, helper))
		return false;
	if (!strcmp(word, "remount"))
		wish->remount = true;
	else if (!strcmp(word, "rw"))
		wish->writing = true;
	else if (!strcmp(word, "ro"))
		wish->writing = false;
	else if (!strcmp(word, "nosymfollow"))
		wish->nosymfollow = true;
	else if (!strcmp(word, "noexec"))
		append(&wish->kernel, word);
	else if (!means_nothing(word))
		return take_lasting_word(wish, word);
	return true;
}

int mount_wish_parse(struct mount_wish *wish, char *options, bool helper)
{
	bool good = true;
	char *rest = options, *word;

	while ((word = strsep(&rest, ",")))
		if (*word)
			good = take_word(wish, word, helper) && good;
	return good ? 0 : -EINVAL;
}

bool mount_has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += len)
		if ((at == list || at[-1] == ',') && (at[len] == ',' || !at[len]))
			return true;
	return false;
}

bool mount_wish_remounts(const struct mount_wish *wish, const char *has)
{
	char *words = tool_printf("%s", wish->lasting ? wish->lasting : ""), *rest = words, *word;
	bool good = !wish->writing;

	if (wish->writing)
		tool_error_text("rw", "writing is not supported: volumes are mounted read-only");
	while ((word = strsep(&rest, ","))) {
		if (!*word || mount_has_word(has, word))
			continue;
		tool_error_text(word, "cannot be changed by a remount");
		good = false;
	}
	free(words);
	return good;
}

void mount_wish_finish(struct mount_wish *wish)
{
	if (!wish->shown)
		wish->shown = wish->source;
	if (!wish->owner && geteuid() == 0 && !mount_has_word(wish->kernel, "allow_other"))
		append(&wish->kernel, "allow_other");
	if (!wish->owner && !mount_has_word(wish->kernel, "default_permissions"))
		append(&wish->kernel, "default_permissions");
	wish->kernel_checks = mount_has_word(wish->kernel, "default_permissions");
	wish->own_rights =
		wish->uid != NO_ID || wish->gid != NO_ID || wish->fmask != NO_MASK || wish->dmask != NO_MASK;
}
