/* SPDX-License-Identifier: MIT */
/*
 * shale cp: copies files out of images. Directories are made first with a mode that lets us write into them,
 * and get their own mode and times when all that is in them has been copied.
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <limits.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "seen.h"
#include "xattrs.h"

#define CHUNK (1 << 20)

static bool archive, force, no_clobber, preserve, recursive, no_directory, verbose;
static char *buffer;
static struct seen links; /* inodes with several names → the first copy's name */
static uint64_t files, bytes_copied;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'a':
		archive = preserve = recursive = true;
		return 0;
	case 'f':
		force = true;
		return 0;
	case 'n':
		no_clobber = true;
		return 0;
	case 'p':
		preserve = true;
		return 0;
	case 'r':
	case 'R':
		recursive = true;
		return 0;
	case 'T':
		no_directory = true;
		return 0;
	case 'v':
		verbose = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"archive", 'a', NULL, 0, "as -rp, with links, devices and attributes", 0},
	{"force", 'f', NULL, 0, "remove a target that cannot be opened", 0},
	{"no-clobber", 'n', NULL, 0, "leave what is there", 0},
	{"preserve", 'p', NULL, 0, "keep mode, owner (as root) and times", 0},
	{"recursive", 'r', NULL, 0, "directories with all that is in them", 0},
	{NULL, 'R', NULL, OPTION_ALIAS, NULL, 0},
	{"no-target-directory", 'T', NULL, 0, "the target is the name itself", 0},
	{"verbose", 'v', NULL, 0, "tell each name", 0},
	{NULL, 0, NULL, 0, NULL, 0},
};

/* A copy that is under way. */
struct copy {
	struct shale_task *task;
	const char *from, *to;
	struct stat st;
};

static void set_attribute(void *arg, const char *name, const void *value, size_t size)
{
	const struct copy *c = arg;

	/* What an ordinary user, or the host's file system, does not allow is left out without a word, as cp
	 * -a does. */
	if (lsetxattr(c->to, name, value, size, 0) && errno != EPERM && errno != EOPNOTSUPP &&
	    errno != EACCES)
		tool_error(c->to, errno);
}

/* Owner first (it clears set-id bits), then mode, attributes, times. */
static void set_facts(const struct copy *c)
{
	const struct timespec times[2] = {c->st.st_atim, c->st.st_mtim};
	int err;

	if (!preserve)
		return;
	if (lchown(c->to, c->st.st_uid, c->st.st_gid) && errno != EPERM)
		tool_error(c->to, errno);
	if (!S_ISLNK(c->st.st_mode) && chmod(c->to, c->st.st_mode & 07777))
		tool_error(c->to, errno);
	if (archive) {
		err = xattrs_each(c->task, c->from, set_attribute, (void *)c);
		if (err)
			tool_error(c->from, err);
	}
	if (utimensat(AT_FDCWD, c->to, times, AT_SYMLINK_NOFOLLOW))
		tool_error(c->to, errno);
}

static int open_target(const struct copy *c)
{
	mode_t mode = preserve ? 0600 : c->st.st_mode & 0777;
	int fd = open(c->to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | (no_clobber ? O_EXCL : 0), mode);

	if (fd < 0 && force && !unlink(c->to))
		fd = open(c->to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	return fd;
}

/* One run of data. 0 or positive errno of the host, or negative errno of the image. */
static int copy_run(const struct copy *c, int in, int out, off_t at, off_t end)
{
	while (at < end) {
		size_t want = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
		ssize_t n = shale_pread(c->task, in, buffer, want, at), done = 0;

		if (n <= 0)
			return n ? (int)n : -EIO;
		while (done < n) {
			ssize_t w = pwrite(out, buffer + done, (size_t)(n - done), at + done);

			if (w < 0)
				return errno;
			done += w;
		}
		at += n;
		bytes_copied += (uint64_t)n;
	}
	return 0;
}

/* Data only; holes stay holes. */
static int copy_data(const struct copy *c, int in, int out)
{
	off_t at = 0, hole;
	int err = 0;

	while (!err && at < c->st.st_size) {
		at = shale_lseek(c->task, in, at, SEEK_DATA);
		if (at == -ENXIO)
			break;
		if (at < 0)
			return (int)at;
		hole = shale_lseek(c->task, in, at, SEEK_HOLE);
		if (hole < 0)
			return (int)hole;
		err = copy_run(c, in, out, at, hole);
		at = hole;
	}
	if (!err && ftruncate(out, c->st.st_size))
		err = errno;
	return err;
}

static void copy_regular(const struct copy *c)
{
	int in = shale_open(c->task, c->from, O_RDONLY, 0), out, err;

	if (in < 0) {
		tool_error(c->from, in);
		return;
	}
	out = open_target(c);
	if (out < 0) {
		if (errno != EEXIST || !no_clobber)
			tool_error(c->to, errno);
		shale_close(c->task, in);
		return;
	}
	err = copy_data(c, in, out);
	if (err)
		tool_error(err < 0 ? c->from : c->to, err);
	shale_close(c->task, in);
	if (close(out) && !err)
		tool_error(c->to, errno);
	if (!err)
		set_facts(c);
}

/* A name in the way, that is no directory, makes room for what is not written but made. True: nothing is
 * there. */
static bool make_room(const char *to)
{
	struct stat st;

	if (lstat(to, &st))
		return true;
	if (no_clobber)
		return false;
	if (!S_ISDIR(st.st_mode) && !unlink(to))
		return true;
	tool_error(to, EEXIST);
	return false;
}

static void copy_symlink(const struct copy *c)
{
	char target[PATH_MAX];
	ssize_t n = shale_readlink(c->task, c->from, target, sizeof(target) - 1);

	if (n < 0) {
		tool_error(c->from, (int)n);
		return;
	}
	target[n] = 0;
	if (!make_room(c->to))
		return;
	if (symlink(target, c->to))
		tool_error(c->to, errno);
	else
		set_facts(c);
}

static void copy_special(const struct copy *c)
{
	if (!make_room(c->to))
		return;
	if (mknod(c->to, (c->st.st_mode & S_IFMT) | 0600, c->st.st_rdev))
		tool_error(c->to, errno);
	else
		set_facts(c);
}

/* True when the file is a further name of one that was copied, and was linked to it. */
static bool copy_link(const struct copy *c)
{
	struct seen_entry *e;
	bool fresh;

	if (!archive || c->st.st_nlink < 2)
		return false;
	e = seen_get(&links, c->st.st_ino, &fresh);
	if (fresh) {
		e->name = tool_printf("%s", c->to);
		return false;
	}
	if (make_room(c->to) && link(e->name, c->to))
		tool_error(c->to, errno);
	return true;
}

static void copy_any(struct shale_task *task, const char *from, const char *to, bool follow);

static void copy_directory(const struct copy *c)
{
	struct listing list;
	struct stat there;
	int err;

	if (!recursive) {
		tool_error_text(c->from, "is a directory (-r copies it)");
		return;
	}
	if (mkdir(c->to, (c->st.st_mode & 0777) | 0700) && errno != EEXIST) {
		tool_error(c->to, errno);
		return;
	}
	/* Nor into a link: what it points to was not named. */
	if (lstat(c->to, &there) || !S_ISDIR(there.st_mode)) {
		tool_error(c->to, ENOTDIR);
		return;
	}
	err = listing_read(c->task, c->from, BY_INODE, &list);
	if (err) {
		tool_error(c->from, err);
		return;
	}
	for (size_t i = 0; i < list.count; i++) {
		char *from = path_join(c->from, list.entries[i].name),
		     *to = path_join(c->to, list.entries[i].name);

		copy_any(c->task, from, to, false);
		free(from);
		free(to);
	}
	listing_free(&list);
	set_facts(c);
}

static void copy_any(struct shale_task *task, const char *from, const char *to, bool follow)
{
	struct copy c = {.task = task, .from = from, .to = to};
	int err = follow ? shale_stat(task, from, &c.st) : shale_lstat(task, from, &c.st);

	if (err) {
		tool_error(from, err);
		return;
	}
	if (verbose) {
		print_name(from);
		fputs(" -> ", stdout);
		print_name(to);
		putchar('\n');
	}
	progress("cp", ++files, bytes_copied);
	if (S_ISDIR(c.st.st_mode))
		copy_directory(&c);
	else if (copy_link(&c))
		return;
	else if (S_ISREG(c.st.st_mode))
		copy_regular(&c);
	else if (S_ISLNK(c.st.st_mode))
		copy_symlink(&c);
	else
		copy_special(&c);
}

/* The last part of the path in the image; "." for its root and for "..", which would leave the target. */
static const char *last_part(const struct place *place)
{
	const char *end = place->path + strlen(place->path), *start;

	while (end > place->path && end[-1] == '/')
		end--;
	if (end == place->path)
		return ".";
	for (start = end; start[-1] != '/'; start--)
		;
	if (end - start == 2 && !memcmp(start, "..", 2))
		return ".";
	return tool_printf("%.*s", (int)(end - start), start);
}

int verb_cp(int argc, char **argv)
{
	static const struct tool_options o = {.options = options,
					      .parse = parse,
					      .words = "PLACE TARGET\nPLACE... DIRECTORY",
					      .doc = "Copies files out of images to the host.",
					      .least = 2};
	char **words = tool_parse(&o, argc, argv), **last = words;
	struct place target;
	struct stat st;
	bool into;

	while (last[1])
		last++;
	place_parse(*last, &target);
	if (target.disk) {
		tool_error_text(*last, "copying into an image is not supported");
		return TOOL_FAILED;
	}
	into = !no_directory && !stat(*last, &st) && S_ISDIR(st.st_mode);
	if (last - words > 1 && !into) {
		tool_error(*last, ENOTDIR);
		return TOOL_FAILED;
	}
	if (!preserve)
		umask(umask(0)); /* the user's umask holds for what is made */
	else
		umask(0);
	buffer = tool_alloc(CHUNK);
	for (; words < last; words++) {
		struct place place;
		char *to;

		if (!place_open(*words, false, &place))
			continue;
		to = into ? path_join(*last, last_part(&place)) : tool_printf("%s", *last);
		copy_any(place.image->task, place.path, to, !archive && !recursive);
		free(to);
		seen_free(&links);
	}
	progress_end();
	free(buffer);
	return 0;
}
