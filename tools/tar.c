/* SPDX-License-Identifier: MIT */
/*
 * shale tar -c: a tree as a tar stream in pax form. The walk runs ahead of the writing: each file that is met
 * is opened and its data asked for, then waits in a queue while those before it are written, so that the disk
 * always has work. The order of a directory is that of inode numbers, which is close to that of the data on
 * the disk.
 */
#include "tool.h"

#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libarchive.h"
#include "seen.h"
#include "xattrs.h"

#define CHUNK       (1 << 20)
#define QUEUE       512        /* files that are open ahead, at most */
#define AHEAD_BYTES (48 << 20) /* of data that is asked for ahead, at most */
#define AHEAD_FILE  (4 << 20)  /* of one file */

/* A file that was met and waits to be written. */
struct job {
	struct shale_task *task;
	char *path;
	struct stat st;
	int fd; /* of a regular file with data; -1 */
	off_t ahead;
};

static struct job queue[QUEUE];
static unsigned first, waiting;
static off_t ahead_bytes;

static const struct libarchive *lib;
static struct archive *archive;
static struct seen links;
static char *buffer;
static const char *output;
static bool create, verbose, broken;
static uint64_t files, bytes_written;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'c':
		create = true;
		return 0;
	case 'f':
		output = strcmp(arg, "-") ? arg : NULL;
		return 0;
	case 'v':
		verbose = true;
		return 0;
	case ARGP_KEY_END:
		if (!create)
			argp_error(state, "only -c is there: write an archive");
		return ARGP_ERR_UNKNOWN;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"create", 'c', NULL, 0, "write an archive", 0},
	{"file", 'f', "FILE", 0, "to this file instead of standard output", 0},
	{"verbose", 'v', NULL, 0, "names on standard error", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

/* Nothing can be written any more. */
static void output_broken(void)
{
	if (!broken)
		tool_error_text(output ? output : "standard output", lib->archive_error_string(archive));
	broken = true;
}

/* Names in the archive are relative; the root is ".". */
static const char *member_name(const char *path)
{
	while (*path == '/')
		path++;
	return *path ? path : ".";
}

/* An ACL's attribute: a version of 4 bytes, then tag, permissions and id of 2, 2 and 4 bytes, little-endian.
 */
static void add_acl(struct archive_entry *entry, int type, const uint8_t *p, size_t size)
{
	static const struct {
		unsigned tag;
		int ours;
	} tags[] = {{0x01, ARCHIVE_ENTRY_ACL_USER_OBJ},  {0x02, ARCHIVE_ENTRY_ACL_USER},
		    {0x04, ARCHIVE_ENTRY_ACL_GROUP_OBJ}, {0x08, ARCHIVE_ENTRY_ACL_GROUP},
		    {0x10, ARCHIVE_ENTRY_ACL_MASK},      {0x20, ARCHIVE_ENTRY_ACL_OTHER}};

	for (size_t at = 4; at + 8 <= size; at += 8) {
		unsigned tag = p[at] | p[at + 1] << 8, perm = p[at + 2];
		uint32_t id = p[at + 4] | p[at + 5] << 8 | p[at + 6] << 16 | (uint32_t)p[at + 7] << 24;

		for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
			if (tags[i].tag == tag)
				lib->archive_entry_acl_add_entry(entry, type, (int)(perm & 7), tags[i].ours,
								 tag == 0x02 || tag == 0x08 ? (int)id : -1,
								 NULL);
	}
}

static void add_attribute(void *arg, const char *name, const void *value, size_t size)
{
	struct archive_entry *entry = arg;

	if (!strcmp(name, "system.posix_acl_access"))
		add_acl(entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, value, size);
	else if (!strcmp(name, "system.posix_acl_default"))
		add_acl(entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, value, size);
	else
		lib->archive_entry_xattr_add_entry(entry, name, value, size);
}

static void add_sparse(struct archive_entry *entry, const struct job *job)
{
	off_t at = 0, hole;

	if (job->fd < 0 || job->st.st_blocks * 512 >= job->st.st_size)
		return;
	while (at < job->st.st_size) {
		at = shale_lseek(job->task, job->fd, at, SEEK_DATA);
		if (at < 0)
			break;
		hole = shale_lseek(job->task, job->fd, at, SEEK_HOLE);
		if (hole < 0)
			break;
		lib->archive_entry_sparse_add_entry(entry, at, hole - at);
		at = hole;
	}
	/* All hole: told by an empty run at the end. */
	if (!lib->archive_entry_sparse_count(entry))
		lib->archive_entry_sparse_add_entry(entry, job->st.st_size, 0);
}

/* The end of what lies at `at`, and whether that is data. */
static off_t run_end(const struct job *job, off_t at, bool *is_data)
{
	off_t end = shale_lseek(job->task, job->fd, at, SEEK_HOLE);

	*is_data = end != at;
	if (end == at)
		end = shale_lseek(job->task, job->fd, at, SEEK_DATA);
	return end < 0 || end > job->st.st_size ? job->st.st_size : end;
}

/* Holes are given as zeroes, which libarchive leaves out as the header says; they are not read. */
static void write_data(const struct job *job)
{
	static const char zeroes[CHUNK];
	bool sparse = job->st.st_blocks * 512 < job->st.st_size, is_data = true;
	off_t at = 0, end = sparse ? 0 : job->st.st_size;

	while (!broken && at < job->st.st_size) {
		size_t want;
		ssize_t n;

		if (at == end)
			end = run_end(job, at, &is_data);
		want = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
		n = is_data ? shale_pread(job->task, job->fd, buffer, want, at) : (ssize_t)want;
		if (n <= 0) {
			/* The header promised so many bytes: libarchive fills up with zeroes. */
			tool_error(job->path, n ? (int)n : EIO);
			return;
		}
		if (lib->archive_write_data(archive, is_data ? buffer : zeroes, (size_t)n) < 0)
			output_broken();
		at += n;
		bytes_written += (uint64_t)n;
	}
}

/* What the header says of a file: its further name, its link, its data. False: it cannot be written. */
static bool fill_entry(struct archive_entry *entry, const struct job *job)
{
	char target[PATH_MAX];
	bool fresh = true;
	ssize_t n;

	lib->archive_entry_copy_stat(entry, &job->st);
	lib->archive_entry_copy_pathname(entry, member_name(job->path));
	if (!S_ISREG(job->st.st_mode))
		lib->archive_entry_unset_size(entry);
	if (S_ISLNK(job->st.st_mode)) {
		n = shale_readlink(job->task, job->path, target, sizeof(target) - 1);
		if (n < 0) {
			tool_error(job->path, (int)n);
			return false;
		}
		target[n] = 0;
		lib->archive_entry_copy_symlink(entry, target);
	}
	if (!S_ISDIR(job->st.st_mode) && job->st.st_nlink > 1) {
		struct seen_entry *e = seen_get(&links, job->st.st_ino, &fresh);

		if (fresh)
			e->name = tool_printf("%s", member_name(job->path));
		else
			lib->archive_entry_copy_hardlink(entry, e->name);
	}
	if (fresh)
		add_sparse(entry, job);
	else
		lib->archive_entry_unset_size(entry);
	return true;
}

static void write_job(struct job *job)
{
	struct archive_entry *entry = lib->archive_entry_new();
	int err;

	if (!entry)
		tool_no_memory();
	if (fill_entry(entry, job)) {
		err = xattrs_each(job->task, job->path, add_attribute, entry);
		if (err)
			tool_error(job->path, err);
		if (verbose)
			fprintf(stderr, "%s\n", member_name(job->path));
		if (lib->archive_write_header(archive, entry) < ARCHIVE_WARN)
			output_broken();
		else if (job->fd >= 0 && !lib->archive_entry_hardlink(entry))
			write_data(job);
		if (!broken && lib->archive_write_finish_entry(archive) < ARCHIVE_WARN)
			output_broken();
	}
	lib->archive_entry_free(entry);
	progress("tar", ++files, bytes_written);
}

/* Writes the oldest file that waits. */
static void write_first(void)
{
	struct job *job = &queue[first];

	if (!broken)
		write_job(job);
	if (job->fd >= 0)
		shale_close(job->task, job->fd);
	ahead_bytes -= job->ahead;
	free(job->path);
	first = (first + 1) % QUEUE;
	waiting--;
}

static void enqueue(struct shale_task *task, const char *path, const struct stat *st)
{
	struct job *job;

	while (waiting == QUEUE || (waiting && ahead_bytes > AHEAD_BYTES))
		write_first();
	job = &queue[(first + waiting) % QUEUE];
	*job = (struct job){.task = task, .path = tool_printf("%s", path), .st = *st, .fd = -1};
	if (S_ISREG(st->st_mode) && st->st_size) {
		job->fd = shale_open(task, path, O_RDONLY | O_NOFOLLOW, 0);
		if (job->fd < 0) {
			tool_error(path, job->fd);
			free(job->path);
			return;
		}
		job->ahead = st->st_size < AHEAD_FILE ? st->st_size : AHEAD_FILE;
		/* Only a wish: what cannot be read will be met again. */
		(void)shale_readahead(task, job->fd, 0, (size_t)job->ahead);
		ahead_bytes += job->ahead;
	}
	waiting++;
}

static void walk(struct shale_task *task, const char *path)
{
	struct listing list;
	struct stat st;
	int err = shale_lstat(task, path, &st);

	if (err) {
		tool_error(path, err);
		return;
	}
	if (S_ISSOCK(st.st_mode)) {
		fprintf(stderr, "shale tar: %s: socket ignored\n", path);
		return;
	}
	enqueue(task, path, &st);
	if (!S_ISDIR(st.st_mode) || broken)
		return;
	err = listing_read(task, path, BY_INODE, &list);
	if (err) {
		tool_error(path, err);
		return;
	}
	for (size_t i = 0; i < list.count && !broken; i++) {
		char *below = path_join(path, list.entries[i].name);

		walk(task, below);
		free(below);
	}
	listing_free(&list);
}

static int archive_open(void)
{
	int r;

	lib = libarchive_load();
	if (!lib)
		return 0;
	archive = lib->archive_write_new();
	if (!archive)
		tool_no_memory();
	lib->archive_write_set_format_pax(archive);
	/* The form of attributes that GNU tar reads, too. */
	lib->archive_write_set_options(archive, "xattrheader=SCHILY");
	lib->archive_write_set_bytes_per_block(archive, CHUNK);
	lib->archive_write_set_bytes_in_last_block(archive, 10240);
	r = output ? lib->archive_write_open_filename(archive, output)
		   : lib->archive_write_open_fd(archive, STDOUT_FILENO);
	if (r != ARCHIVE_OK)
		output_broken();
	return r == ARCHIVE_OK;
}

int verb_tar(int argc, char **argv)
{
	static const struct tool_options o = {.options = options,
					      .parse = parse,
					      .words = "PLACE...",
					      .doc = "Writes trees as a tar stream.",
					      .least = 1};
	char **words = tool_parse(&o, argc, argv);

	if (!output && isatty(STDOUT_FILENO)) {
		tool_error_text("standard output", "is a terminal; write to a file (-f) or a pipe");
		return TOOL_FAILED;
	}
	/* Pax headers are UTF-8, as names mostly are; libarchive marks those that are not as bytes. */
	setlocale(LC_CTYPE, "C.UTF-8");
	if (!archive_open())
		return TOOL_FAILED;
	buffer = tool_alloc(CHUNK);
	for (; *words && !broken; words++) {
		struct place place;

		if (!place_open(*words, true, &place))
			continue;
		walk(place.image->task, place.path);
		while (waiting)
			write_first();
		seen_free(&links);
	}
	progress_end();
	if (lib->archive_write_close(archive) != ARCHIVE_OK)
		output_broken();
	lib->archive_write_free(archive);
	free(buffer);
	return 0;
}
