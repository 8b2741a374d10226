/* SPDX-License-Identifier: MIT */
/*
 * debugfs as the kernel's stand-in, for volumes that this kernel does not mount. One debugfs runs beside the
 * test and answers by pipe; inodes are named by number, so odd names need no quoting. A path is known once
 * the directory that holds it was listed. An open file is a memory file that debugfs has dumped into, an open
 * directory one that is full of dirents: so reading needs nothing of its own. Only what a comparison with
 * debugfs uses is here; the other calls are NULL.
 */
#include "side.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <search.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sides.h"

#define EXT4_INLINE_DATA_FL 0x10000000
#define MARK                "show_debugfs_params"
#define DONE                "Filesystem in use: "

static int to_debugfs, from_debugfs;
static unsigned block_size;
static void *paths; /* tree of struct known */
static unsigned long open_inodes[1024];

struct known {
	char *path;
	unsigned long ino;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *room(void *p, size_t bytes)
{
	p = realloc(p, bytes);
	if (!p)
		die("memory");
	return p;
}

/* All of debugfs's answer to one command; the caller frees it. */
static char *ask(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *ask(const char *fmt, ...)
{
	static char *buf;
	static size_t size;
	size_t used = 0, len;
	char command[1024], *from, *end;
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command) - sizeof(MARK) - 2, fmt, args);
	va_end(args);
	len = strlen(command);
	strcpy(command + len, "\n" MARK "\n");
	if (write(to_debugfs, command, strlen(command)) != (ssize_t)strlen(command))
		die("debugfs");
	do {
		ssize_t n;

		if (size - used < 65536)
			buf = room(buf, size += 262144);
		n = read(from_debugfs, buf + used, size - used - 1);
		if (n <= 0)
			die("debugfs does not answer");
		used += n;
		buf[used] = 0;
		end = buf + (used > 4500 ? used - 4500 : 0); /* longer than any line with an image's path */
		end = strstr(end, MARK "\n");
	} while (!end || !strstr(end, DONE) || !strchr(strstr(end, DONE), '\n'));
	command[len + 1] = 0; /* the echo of the command, before its answer */
	from = strstr(buf, command);
	if (!from || from > end)
		die("debugfs answers something else");
	from += len + 1;
	*end = 0;
	from = strdup(from);
	if (!from)
		die("memory");
	/* The prompt before the mark. */
	len = strlen(from);
	if (len >= 10)
		from[len - 10] = 0;
	return from;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct known *)a)->path, ((const struct known *)b)->path);
}

static void remember(const char *dir, const char *name, unsigned long ino)
{
	struct known *k = room(NULL, sizeof(*k));

	if (asprintf(&k->path, "%s%s%s", dir, dir[1] ? "/" : "", name) < 0)
		die("memory");
	k->ino = ino;
	if (!tsearch(k, &paths, by_path))
		die("memory");
}

static unsigned long inode_of(const char *path)
{
	const struct known key = {.path = (char *)path};
	struct known *const *found = tfind(&key, &paths, by_path);

	if (!strcmp(path, "/"))
		return 2;
	return found ? (*found)->ino : 0;
}

/* A memory file, and the name by which debugfs reaches it. */
static int memory_file(char name[64])
{
	int fd = memfd_create("debugfs", 0);

	if (fd < 0 || fd >= 1024)
		die("memfd_create");
	snprintf(name, 64, "/proc/%d/fd/%d", (int)getpid(), fd);
	return fd;
}

static unsigned type_of(const char *text)
{
	static const struct {
		const char *name;
		unsigned mode;
	} types[] = {{"regular", S_IFREG},       {"directory", S_IFDIR},
		     {"symlink", S_IFLNK},       {"character special", S_IFCHR},
		     {"block special", S_IFBLK}, {"FIFO", S_IFIFO},
		     {"socket", S_IFSOCK}};

	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strncmp(text, types[i].name, strlen(types[i].name)))
			return types[i].mode;
	return 0;
}

/* The number behind `label`; 0 without. */
static unsigned long number(const char *text, const char *label, int base)
{
	const char *at = strstr(text, label);

	return at ? strtoul(at + strlen(label), NULL, base) : 0;
}

/* "0xSECONDS:EXTRA": two bits above the seconds, nanoseconds above those. */
static struct statx_timestamp time_of(const char *text, const char *label)
{
	struct statx_timestamp ts = {0};
	const char *at = strstr(text, label);
	unsigned seconds, extra = 0;

	if (at && sscanf(at + strlen(label), "%x:%x", &seconds, &extra) >= 1) {
		ts.tv_sec = (int)seconds + ((int64_t)(extra & 3) << 32);
		ts.tv_nsec = extra >> 2;
	}
	return ts;
}

static void take_device(const char *text, struct statx *stx)
{
	const char *at = strstr(text, "evice major/minor number: ");

	if (at)
		sscanf(at, "evice major/minor number: %u:%u", &stx->stx_rdev_major, &stx->stx_rdev_minor);
}

static long d_statx(int dfd, const char *path, int flags, unsigned mask, struct statx *stx)
{
	unsigned long ino = inode_of(path);
	char *text;

	(void)dfd;
	(void)flags;
	(void)mask;
	if (!ino)
		return -ENOENT;
	text = ask("stat <%lu>", ino);
	memset(stx, 0, sizeof(*stx));
	stx->stx_ino = ino;
	stx->stx_mode =
		type_of(strstr(text, "Type: ") ? strstr(text, "Type: ") + 6 : "") | number(text, "Mode: ", 8);
	stx->stx_nlink = number(text, "\nLinks: ", 10);
	stx->stx_uid = number(text, "\nUser: ", 10);
	stx->stx_gid = number(text, "Group: ", 10);
	stx->stx_size = number(text, "Size: ", 10);
	stx->stx_blocks = number(text, "Blockcount: ", 10);
	/* As the kernel tells it: data in the inode takes a place, too. */
	if (S_ISREG(stx->stx_mode) && number(text, "Flags: ", 16) & EXT4_INLINE_DATA_FL)
		stx->stx_blocks += (stx->stx_size + 511) / 512;
	stx->stx_atime = time_of(text, "atime: ");
	stx->stx_mtime = time_of(text, "mtime: ");
	stx->stx_ctime = time_of(text, "ctime: ");
	stx->stx_btime = time_of(text, "crtime: ");
	take_device(text, stx);
	free(text);
	return 0;
}

static void add_dirent(int fd, const char *name, unsigned long ino, unsigned mode)
{
	size_t len = strlen(name), bytes = (offsetof(struct dirent64, d_name) + len + 1 + 7) & ~(size_t)7;
	struct dirent64 d = {.d_ino = ino, .d_reclen = bytes, .d_type = IFTODT(mode)};

	memcpy(d.d_name, name, len);
	if (write(fd, &d, bytes) != (ssize_t)bytes)
		die("memory file");
}

/* Lines of "/inode/mode/uid/gid/name/size/"; a name may hold anything but a slash. */
static void list(int fd, const char *path, unsigned long ino)
{
	char *text = ask("ls -p <%lu>", ino), *at = strchr(text, '/'), *field[7];
	unsigned long number;

	while (at) {
		for (int i = 0; i < 7; i++) {
			field[i] = at + 1;
			at = i < 6 ? strchr(at + 1, '/') : at;
			if (!at)
				break;
			*at = 0;
		}
		if (!at)
			break;
		number = strtoul(field[0], NULL, 10);
		if (number) { /* not an unused entry */
			add_dirent(fd, field[4], number, strtoul(field[1], NULL, 8));
			remember(path, field[4], number);
		}
		at = strchr(at + 1, '/');
	}
	free(text);
}

/* Of data in the inode debugfs writes all that would fit there. */
static void dump(int fd, const char *name, unsigned long ino)
{
	char *text = ask("stat <%lu>", ino);

	free(ask("dump <%lu> %s", ino, name));
	if (number(text, "Flags: ", 16) & EXT4_INLINE_DATA_FL && ftruncate(fd, number(text, "Size: ", 10)))
		die("memory file");
	free(text);
}

static long d_openat2(int dfd, const char *path, const struct open_how *how)
{
	unsigned long ino = inode_of(path);
	char name[64];
	int fd;

	(void)dfd;
	if (!ino)
		return -ENOENT;
	fd = memory_file(name);
	open_inodes[fd] = ino;
	if (how->flags & O_DIRECTORY)
		list(fd, path, ino);
	else
		dump(fd, name, ino);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static long d_close(int fd)
{
	return close(fd);
}

/* Whole dirents only. */
static long d_getdents(int fd, void *buf, size_t size)
{
	long got = read(fd, buf, size), whole = 0;

	while (whole + (long)offsetof(struct dirent64, d_name) < got) {
		const struct dirent64 *d = (const void *)((char *)buf + whole);

		if (whole + d->d_reclen > got)
			break;
		whole += d->d_reclen;
	}
	lseek(fd, whole - got, SEEK_CUR);
	return whole;
}

static long d_pread(int fd, void *buf, size_t size, off_t at)
{
	return pread(fd, buf, size, at);
}

static long d_readlinkat(int dfd, const char *path, char *buf, size_t size)
{
	static const char label[] = "Fast link dest: \"";
	unsigned long ino = inode_of(path);
	char *text = ask("stat <%lu>", ino), *at = strstr(text, label), name[64];
	long len = number(text, "Size: ", 10);

	(void)dfd;
	if (len > (long)size)
		len = size;
	if (at) {
		memcpy(buf, at + sizeof(label) - 1, len);
	} else {
		int fd = memory_file(name);

		free(ask("dump <%lu> %s", ino, name));
		len = pread(fd, buf, len, 0);
		close(fd);
	}
	free(text);
	return len;
}

/* Lines of "  name (size) = ...", in any order. */
static long d_listxattr(const char *path, bool follow, char *out, size_t size)
{
	char *text = ask("ea_list <%lu>", inode_of(path)), *save = NULL;
	long used = 0;

	(void)follow;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *end = strstr(line, " (");
		size_t len = end ? (size_t)(end - line) - 2 : 0;

		/* system.data is how inline data is stored; the kernel does not list it. */
		if (!end || strncmp(line, "  ", 2) || !strncmp(line, "  system.data (", 15))
			continue;
		if (used + len + 1 > size)
			die("attributes");
		memcpy(out + used, line + 2, len);
		out[used + len] = 0;
		used += len + 1;
	}
	free(text);
	return used;
}

/* debugfs tells an id of 0 in those entries of an ACL that have none. */
static void repair_acl(struct posix_acl_xattr_entry *e, const void *end)
{
	for (; (const void *)(e + 1) <= end; e++)
		if (e->e_tag != ACL_USER && e->e_tag != ACL_GROUP)
			e->e_id = ACL_UNDEFINED_ID;
}

static long d_getxattr(const char *path, bool follow, const char *attribute, void *value, size_t size)
{
	char name[64];
	int fd = memory_file(name);
	long len;

	(void)follow;
	free(ask("ea_get -f %s <%lu> %s", name, inode_of(path), attribute));
	len = pread(fd, value, size, 0);
	close(fd);
	if (!strncmp(attribute, "system.posix_acl_", 17))
		repair_acl((void *)((struct posix_acl_xattr_header *)value + 1), (char *)value + len);
	return len;
}

/* "(0-5):27-32, (6[u]):40, (IND):41 ...": those in brackets with a name are the map's own blocks. */
static unsigned parse_extents(const char *at, struct fiemap_extent *e, unsigned most)
{
	unsigned n = 0;

	for (at = strchr(at, '('); at && n < most; at = strchr(at + 1, '(')) {
		unsigned long first, last, pblk;
		const char *close = strchr(at, ')');
		char *end;

		if (!close || at[1] < '0' || at[1] > '9')
			continue;
		first = last = strtoul(at + 1, &end, 10);
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		pblk = strtoul(close + 2, NULL, 10);
		e[n++] = (struct fiemap_extent){.fe_logical = first * block_size,
						.fe_physical = pblk * block_size,
						.fe_length = (last - first + 1) * block_size,
						.fe_flags = *end == '[' ? FIEMAP_EXTENT_UNWRITTEN : 0};
	}
	return n;
}

static long d_ioctl(int fd, unsigned long request, void *arg)
{
	struct fiemap *f = arg;
	char *text, *at;

	if (request != FS_IOC_FIEMAP)
		return -ENOTTY;
	text = ask("stat <%lu>", open_inodes[fd]);
	at = strstr(text, "\nBLOCKS:\n") ? strstr(text, "\nBLOCKS:\n") : strstr(text, "\nEXTENTS:\n");
	f->fm_mapped_extents = at ? parse_extents(at, f->fm_extents, f->fm_extent_count) : 0;
	free(text);
	return 0;
}

void debugfs_start(const char *image)
{
	int in[2], out[2];
	char *text;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		die("pipe");
	fflush(NULL);
	if (!fork()) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		/* Its answers must come when they are complete, not when a buffer is full. */
		execlp("stdbuf", "stdbuf", "-oL", "debugfs", image, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	to_debugfs = in[1];
	from_debugfs = out[0];
	text = ask("show_super_stats -h");
	block_size = number(text, "\nBlock size:", 10);
	free(text);
	if (!block_size) {
		fprintf(stderr, "debugfs does not open %s\n", image);
		exit(1);
	}
}

const struct side side_debugfs = {
	.name = "debugfs",
	.openat2 = d_openat2,
	.close = d_close,
	.statx = d_statx,
	.readlinkat = d_readlinkat,
	.getdents = d_getdents,
	.pread = d_pread,
	.getxattr = d_getxattr,
	.listxattr = d_listxattr,
	.ioctl = d_ioctl,
};
