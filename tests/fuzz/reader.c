/* SPDX-License-Identifier: MIT */
/*
 * A reader that uses all there is: every name up to a number, its attributes, lists of extents, holes, data
 * from both ends and from each piece between holes, targets of links; and the checker's run. What it is told
 * it does not judge: that the calls come back, in bounded time and memory, is what is tested.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include <shale/shale.h>

#define NAMES        400u
#define LISTED_BYTES (256u << 10) /* of one directory */
#define READ_BYTES   (1u << 20)   /* of all files */
#define PIECES       32u          /* of one file */
#define CHUNK        (16u << 10)
#define MEMORY_LIMIT (16u << 20)

struct reader {
	struct shale *machine;
	struct shale_task *task;
	char *names[NAMES]; /* paths, in the order in which they were met */
	unsigned nr_names;
	uint8_t met[8192]; /* bits, by inode number: read once, under whichever name */
	size_t bytes_left;
	char chunk[CHUNK];
};

static bool reader_start(struct reader *r, const struct fuzz_image *image, unsigned flags)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	char uri[64];

	options.threads = 0;
	options.memory_limit = MEMORY_LIMIT;
	options.seed = 1;
	if (shale_new(&options, &r->machine))
		abort();
	if (shale_task_new(r->machine, NULL, &r->task))
		abort();
	snprintf(uri, sizeof(uri), "file:/proc/self/fd/%d?direct=0&io=threads", image->fd);
	return shale_disk_add(r->machine, "d", uri, flags) == 0;
}

static void reader_stop(struct reader *r)
{
	for (unsigned i = 0; i < r->nr_names; i++)
		free(r->names[i]);
	shale_task_free(r->task);
	shale_free(r->machine);
	free(r);
}

static void remember(struct reader *r, const char *dir, const char *name)
{
	if (r->nr_names < NAMES && asprintf(&r->names[r->nr_names], "%s/%s", dir, name) >= 0)
		r->nr_names++;
}

static void read_directory(struct reader *r, const char *path)
{
	int fd = shale_open(r->task, path, O_RDONLY | O_DIRECTORY, 0);
	char missing[4200];
	struct stat st;
	size_t listed = 0;
	ssize_t n;

	if (fd < 0)
		return;
	while (listed < LISTED_BYTES && (n = shale_getdents64(r->task, fd, r->chunk, 8192)) > 0) {
		listed += (size_t)n;
		for (ssize_t at = 0; at < n; at += ((struct dirent64 *)(r->chunk + at))->d_reclen) {
			const char *name = ((struct dirent64 *)(r->chunk + at))->d_name;

			if (strcmp(name, ".") && strcmp(name, ".."))
				remember(r, path, name);
		}
	}
	shale_close(r->task, fd);
	snprintf(missing, sizeof(missing), "%s/missing", path);
	(void)shale_lstat(r->task, missing, &st);
}

static void read_piece(struct reader *r, int fd, off_t offset)
{
	ssize_t n;

	if (r->bytes_left < CHUNK)
		return;
	r->bytes_left -= CHUNK;
	n = shale_pread(r->task, fd, r->chunk, CHUNK, offset);
	(void)n;
}

static void read_extents(struct reader *r, int fd)
{
	union {
		struct fiemap map;
		char room[sizeof(struct fiemap) + 64 * sizeof(struct fiemap_extent)];
	} list = {.map = {.fm_length = ~0ull, .fm_extent_count = 64}};

	(void)shale_ioctl(r->task, fd, FS_IOC_FIEMAP, &list.map);
}

static void read_file(struct reader *r, const char *path, off_t size)
{
	int fd = shale_open(r->task, path, O_RDONLY | O_NONBLOCK, 0);
	off_t data = 0, hole;

	if (fd < 0)
		return;
	read_piece(r, fd, 0);
	if (size > CHUNK)
		read_piece(r, fd, size - 4096);
	for (unsigned i = 0; i < PIECES; i++) {
		data = shale_lseek(r->task, fd, data, SEEK_DATA);
		if (data < 0)
			break;
		read_piece(r, fd, data);
		hole = shale_lseek(r->task, fd, data, SEEK_HOLE);
		if (hole <= data)
			break;
		data = hole;
	}
	read_extents(r, fd);
	shale_close(r->task, fd);
}

static void read_xattrs(struct reader *r, const char *path)
{
	char list[4096], value[4096];
	ssize_t n = shale_llistxattr(r->task, path, list, sizeof(list));

	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(list + at) + 1)
		(void)shale_lgetxattr(r->task, path, list + at, value, sizeof(value));
}

static bool met_before(struct reader *r, ino_t ino)
{
	uint8_t *byte = &r->met[ino / 8 % sizeof(r->met)], bit = 1 << ino % 8;
	bool met = *byte & bit;

	*byte |= bit;
	return met;
}

static void read_name(struct reader *r, const char *path)
{
	struct stat st;
	ssize_t n;

	if (shale_lstat(r->task, path, &st) || met_before(r, st.st_ino))
		return;
	read_xattrs(r, path);
	if (S_ISREG(st.st_mode))
		read_file(r, path, st.st_size);
	if (S_ISDIR(st.st_mode))
		read_directory(r, path);
	if (S_ISLNK(st.st_mode)) {
		n = shale_readlink(r->task, path, r->chunk, CHUNK);
		(void)n;
		(void)shale_stat(r->task, path, &st);
	}
}

static struct reader *reader_new(void)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	r->bytes_left = READ_BYTES;
	return r;
}

static void read_volume(struct reader *r, const char *mount_options)
{
	struct statfs fs;

	if (shale_mount(r->task, "/dev/d", "/mnt", "ext4", MS_RDONLY, mount_options))
		return;
	(void)shale_statfs(r->task, "/mnt", &fs);
	remember(r, "/mnt", ".");
	for (unsigned i = 0; i < r->nr_names; i++)
		read_name(r, r->names[i]);
}

void fuzz_volume(const struct fuzz_image *image, const char *mount_options)
{
	struct reader *r = reader_new();

	if (reader_start(r, image, SHALE_DISK_READ_ONLY | SHALE_DISK_UNLOCKED | SHALE_DISK_NO_PARTSCAN)) {
		(void)shale_check(r->task, "/dev/d", NULL, mount_options, 0, NULL, NULL);
		read_volume(r, mount_options);
	}
	reader_stop(r);
}

void fuzz_changing(const struct fuzz_image *image, void (*change)(void *arg), void *arg)
{
	struct reader *r = reader_new();
	unsigned half;
	int root;

	if (!reader_start(r, image, SHALE_DISK_READ_ONLY | SHALE_DISK_UNLOCKED | SHALE_DISK_NO_PARTSCAN))
		abort();
	read_volume(r, NULL);
	half = r->nr_names / 2;
	/* Some is cached and stays in use, some is in no cache any more. */
	root = shale_open(r->task, "/mnt", O_RDONLY | O_DIRECTORY, 0);
	(void)shale_getdents64(r->task, root, r->chunk, 64);
	change(arg);
	memset(r->met, 0, sizeof(r->met));
	for (unsigned i = 0; i < half; i++)
		read_name(r, r->names[i]);
	(void)shale_drop_caches(r->machine);
	memset(r->met, 0, sizeof(r->met));
	(void)shale_getdents64(r->task, root, r->chunk, CHUNK);
	for (unsigned i = 0; i < r->nr_names; i++)
		read_name(r, r->names[i]);
	shale_close(r->task, root);
	reader_stop(r);
}

void fuzz_disk(const struct fuzz_image *image)
{
	struct reader *r = reader_new();

	if (reader_start(r, image, SHALE_DISK_READ_ONLY | SHALE_DISK_UNLOCKED)) {
		remember(r, "", "dev");
		read_directory(r, "/dev");
		for (unsigned i = 1; i < r->nr_names; i++)
			read_file(r, r->names[i], 0);
	}
	reader_stop(r);
}
