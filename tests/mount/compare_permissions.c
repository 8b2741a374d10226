/* SPDX-License-Identifier: MIT */
/*
 * usage: compare_permissions IMAGE DIRECTORY COUNT
 *
 * Who may do what: every call that asks for rights, on each name of the volume that make-permissions made
 * with COUNT directories, as root and as users in all classes, on the kernel's own mount and on a mount of a
 * copy in DIRECTORY (-o strict). Result and errno are the same.
 */
#include "differential/side.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EACH for (int s = 0; s < 2; s++)

static void try_open(const char *path)
{
	static const struct {
		const char *what;
		uint64_t flags;
	} ways[] = {{"open to read", O_RDONLY},
		    {"open to write", O_WRONLY},
		    {"open for both", O_RDWR},
		    {"open to truncate", O_RDONLY | O_TRUNC},
		    {"open without atime", O_RDONLY | O_NOATIME},
		    {"open a directory", O_RDONLY | O_DIRECTORY},
		    {"open the path", O_PATH},
		    {"open by path, not links", O_PATH | O_NOFOLLOW},
		    {"create", O_WRONLY | O_CREAT},
		    {"create anew", O_WRONLY | O_CREAT | O_EXCL}};
	char content[2][16];
	long fd[2], r[2];

	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct open_how how = {.flags = ways[i].flags, .mode = ways[i].flags & O_CREAT ? 0600 : 0};

		EACH fd[s] = sides[s]->openat2(AT_FDCWD, path, &how);
		if (same(ways[i].what, path, fd[0] < 0 ? fd[0] : 0, fd[1] < 0 ? fd[1] : 0) && fd[0] >= 0) {
			EACH r[s] = sides[s]->pread((int)fd[s], content[s], sizeof(content[s]), 0);
			same("pread", path, r[0], r[1]);
		}
		EACH if (fd[s] >= 0) sides[s]->close((int)fd[s]);
	}
}

static void try_readdir(const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY};
	static char entries[2][4096];
	long fd[2], r[2];

	EACH fd[s] = sides[s]->openat2(AT_FDCWD, path, &how);
	if (fd[0] >= 0 && fd[1] >= 0) {
		EACH r[s] = sides[s]->getdents((int)fd[s], entries[s], sizeof(entries[s]));
		same("getdents", path, r[0], r[1]);
	}
	EACH if (fd[s] >= 0) sides[s]->close((int)fd[s]);
}

static void try_access(const char *path)
{
	static const int flags[] = {0, AT_EACCESS, AT_SYMLINK_NOFOLLOW};
	char what[64];
	long r[2];

	for (int mode = 0; mode < 8; mode++) {
		for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
			EACH r[s] = sides[s]->faccessat(AT_FDCWD, path, mode, flags[i]);
			snprintf(what, sizeof(what), "faccessat2 %d, flags %#x", mode, flags[i]);
			same(what, path, r[0], r[1]);
		}
	}
	EACH r[s] = sides[s]->may_exec(AT_FDCWD, path);
	same("execveat", path, r[0], r[1]);
}

static void try_attributes(const char *path)
{
	static const char *const names[] = {"user.name",
					    "user.none",
					    "trusted.name",
					    "trusted.none",
					    "security.none",
					    "system.posix_acl_access",
					    "system.posix_acl_default"};
	char value[2][256];
	long r[2];

	for (int follow = 0; follow < 2; follow++) {
		for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			EACH r[s] = sides[s]->getxattr(path, follow, names[i], value[s], sizeof(value[s]));
			if (same(names[i], path, r[0], r[1]) && r[0] > 0 && memcmp(value[0], value[1], r[0]))
				differ("%s of %s", names[i], path);
		}
		EACH r[s] = sides[s]->listxattr(path, follow, value[s], sizeof(value[s]));
		if (same("listxattr", path, r[0], r[1]) && r[0] > 0 && memcmp(value[0], value[1], r[0]))
			differ("list of attributes of %s", path);
	}
}

static void try_rest(const char *path)
{
	struct stat st[2];
	char target[2][64];
	long r[2];

	for (int flags = 0; flags <= AT_SYMLINK_NOFOLLOW; flags += AT_SYMLINK_NOFOLLOW) {
		EACH r[s] = sides[s]->fstatat(AT_FDCWD, path, &st[s], flags);
		if (same("stat", path, r[0], r[1]) && !r[0])
			same("st_mode", path, st[0].st_mode, st[1].st_mode);
	}
	EACH r[s] = sides[s]->readlinkat(AT_FDCWD, path, target[s], sizeof(target[s]));
	same("readlink", path, r[0], r[1]);
	EACH r[s] = sides[s]->chdir(path);
	if (same("chdir", path, r[0], r[1]) && !r[0]) {
		EACH r[s] = sides[s]->faccessat(AT_FDCWD, "f", R_OK, 0);
		same("access from there", path, r[0], r[1]);
	}
	sides_chdir_root();
}

int main(int argc, char **argv)
{
	static const gid_t groups[] = {2000, 2001, 1000};
	static const struct {
		uid_t uid;
		gid_t gid;
		unsigned ngroups;
	} users[] = {{0, 0, 0},       {1000, 1000, 0}, {1001, 1001, 1},
		     {1002, 2000, 2}, {1003, 1003, 3}, {65534, 65534, 0}};
	static const char *const names[] = {"", "/f", "/d", "/d/f", "/l", "/none", "/d/..", "/f/none"};
	static void (*const tries[])(const char *) = {try_open, try_readdir, try_access, try_attributes,
						      try_rest};

	if (argc != 4)
		return 2;
	sides_start_mounted(argv[1], NULL, argv[2], 0, 0);
	for (unsigned u = 0; u < sizeof(users) / sizeof(users[0]); u++) {
		sides_become(users[u].uid, users[u].gid, groups, users[u].ngroups);
		for (int i = 0; i < atoi(argv[3]); i++) {
			for (unsigned n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
				char path[64];

				snprintf(path, sizeof(path), "/%d%s", i, names[n]);
				for (unsigned t = 0; t < sizeof(tries) / sizeof(tries[0]); t++)
					tries[t](path);
			}
		}
	}
	sides_become(0, 0, NULL, 0);
	sides_stop();
	return compare_end();
}
