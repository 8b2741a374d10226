/* SPDX-License-Identifier: MIT */
/* See verdict.h. */
#include "verdict.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <shale/shale.h>

#include "fs/ext4/ext4_format.h"

const char *const verdict_names[] = {"clean", "damaged", "gave up", "no verdict"};

#define SECONDS 2 /* of its processor's time, and e2fsck is killed: on some volumes it never ends */

extern char **environ;

/* Runs a program; what it says goes behind the text. Returns its exit status, or 256 and more when it was
 * killed. */
static int run(char *const argv[], char *text, size_t size)
{
	const struct rlimit limit = {SECONDS, SECONDS};
	posix_spawn_file_actions_t actions;
	size_t used = strlen(text);
	int out[2], status;
	char rest[4096];
	ssize_t n;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC))
		err(1, "pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_adddup2(&actions, out[1], 2);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ))
		errx(1, "%s cannot be run", argv[0]);
	prlimit(pid, RLIMIT_CPU, &limit, NULL);
	posix_spawn_file_actions_destroy(&actions);
	close(out[1]);
	while ((n = used + 1 < size ? read(out[0], text + used, size - used - 1)
				    : read(out[0], rest, sizeof(rest))) > 0)
		if (used + 1 < size)
			used += n;
	text[used] = '\0';
	close(out[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			err(1, "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* Whether the journal must be replayed; *orphans: and the orphan file is in use. */
static bool journal_is_dirty(const char *image, bool *orphans)
{
	struct ext4_super_block sb;
	int fd = open(image, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", image);
	bool good = pread(fd, &sb, sizeof(sb), EXT4_SUPER_OFFSET) == sizeof(sb) &&
		    le16_to_cpu(sb.s_magic) == EXT4_SUPER_MAGIC;
	close(fd);
	*orphans = good && le32_to_cpu(sb.s_feature_ro_compat) & EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT;
	return good && le32_to_cpu(sb.s_feature_incompat) & EXT4_FEATURE_INCOMPAT_RECOVER;
}

static void copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC),
	    out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct stat st;

	if (in < 0 || out < 0 || fstat(in, &st))
		err(1, "copy of %s to %s", from, to);
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = sendfile(out, in, NULL, left);
		if (n <= 0)
			err(1, "copy of %s to %s", from, to);
		left -= n;
	}
	close(in);
	close(out);
}

static enum verdict verdict_of_status(int status)
{
	if (status == 0)
		return CLEAN;
	if (status & ~(4 | 8))
		return NO_VERDICT;
	return status & 4 ? DAMAGED : GAVE_UP;
}

/* Whether the replay told of nothing but its work. */
static bool tells_only_work(const char *text)
{
	static const char *const work[] = {"e2fsck 1.",
					   ": recovering journal",
					   "Clearing orphaned inode",
					   "Truncating orphaned inode",
					   " is not clean.", /* the orphan file */
					   "orphan_present is set but orphan file is clean.",
					   ") could be shorter.  IGNORED.",
					   " extent tree could be more shallow",
					   " files ("};

	while (*text) {
		const char *end = strchrnul(text, '\n');
		bool known = end == text || (end - text == 8 &&
					     (!memcmp(text, "CLEARED.", 8) || !memcmp(text, "IGNORED.", 8)));

		for (size_t i = 0; i < sizeof(work) / sizeof(work[0]); i++)
			known |= memmem(text, end - text, work[i], strlen(work[i])) != NULL;
		if (!known)
			return false;
		text = *end ? end + 1 : end;
	}
	return true;
}

/* Replays and checks a copy. Returns whether the replay met a damage. */
static bool ask_about_replayed(const char *image, const char *scratch, bool orphans, struct opinion *opinion)
{
	char *const replay[] = {"e2fsck", "-y", "-E", "journal_only", (char *)scratch, NULL};
	char *const preen[] = {"e2fsck", "-fp", (char *)scratch, NULL};
	char *const check[] = {"e2fsck", "-fn", (char *)scratch, NULL};
	bool bad;

	copy(image, scratch);
	/* The first deletes the orphans that an orphan file lists, but leaves the file as it was. */
	opinion->status = run(orphans ? preen : replay, opinion->text, sizeof(opinion->text));
	bad = !orphans && opinion->status & 1;
	bad |= !tells_only_work(opinion->text);
	if (!(opinion->status & ~1))
		opinion->status = run(check, opinion->text, sizeof(opinion->text));
	unlink(scratch);
	return bad;
}

void ask_e2fsck(const char *image, const char *scratch, struct opinion *opinion)
{
	char *const check[] = {"e2fsck", "-fn", (char *)image, NULL};
	bool bad = false, orphans;

	opinion->text[0] = '\0';
	if (journal_is_dirty(image, &orphans))
		bad = ask_about_replayed(image, scratch, orphans, opinion);
	else
		opinion->status = run(check, opinion->text, sizeof(opinion->text));
	opinion->verdict = verdict_of_status(opinion->status);
	if (strstr(opinion->text, "trying backup blocks") || strstr(opinion->text, "despite errors"))
		bad = true;
	if (bad && opinion->verdict == CLEAN)
		opinion->verdict = DAMAGED;
}

static int note_problem(void *arg, const struct shale_problem *problem)
{
	struct opinion *opinion = arg;
	size_t used = strlen(opinion->text);

	snprintf(opinion->text + used, sizeof(opinion->text) - used, "%s[%s] %s\n",
		 problem->severity == SHALE_PROBLEM_DAMAGE ? "" : "note: ", problem->code, problem->text);
	return 0;
}

void ask_shale(const char *image, struct opinion *opinion)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	struct timespec now;
	struct shale *machine;
	struct shale_task *task;
	char uri[4096 + 32];
	int error;

	clock_gettime(CLOCK_REALTIME, &now);
	options.threads = 0;
	options.epoch_ns = now.tv_sec * 1000000000ll; /* volumes with times in the future are told apart */
	options.memory_limit = 64 << 20;
	options.log_level = 3;
	opinion->text[0] = '\0';
	snprintf(uri, sizeof(uri), "file:%s?direct=0", image);
	error = shale_new(&options, &machine);
	if (!error)
		error = shale_task_new(machine, NULL, &task);
	if (!error)
		error = shale_disk_add(machine, "image", uri, SHALE_DISK_READ_ONLY | SHALE_DISK_NO_PARTSCAN);
	if (error)
		errx(1, "no machine for %s: %s", image, strerror(-error));
	opinion->status = shale_check(task, "/dev/image", NULL, NULL, 0, note_problem, opinion);
	opinion->verdict = opinion->status == 0 ? CLEAN : opinion->status > 0 ? DAMAGED : GAVE_UP;
	if (opinion->status < 0) {
		size_t used = strlen(opinion->text);
		used += snprintf(opinion->text + used, sizeof(opinion->text) - used,
				 "error %d: ", -opinion->status);
		if (used < sizeof(opinion->text))
			shale_mount_error(machine, opinion->text + used, sizeof(opinion->text) - used);
	}
	shale_task_free(task);
	error = shale_free(machine);
	if (error)
		errx(1, "the machine for %s ends with %s", image, strerror(-error));
}

/* Whether Linux mounts a copy of it at `scratch`. */
static bool linux_mounts(const char *image, const char *scratch)
{
	char command[1024], text[1024] = "";
	char *const mount[] = {"unshare", "-m", "sh", "-c", command, NULL};

	copy(image, scratch);
	/* Read-only, but not on a read-only device: a journal must be replayed. */
	snprintf(
		command, sizeof(command),
		"mkdir -p %1$s.mnt && dev=$(losetup -f --show %1$s) && mount -o ro $dev %1$s.mnt; status=$?; "
		"umount %1$s.mnt; losetup -d $dev; rm -r %1$s %1$s.mnt; exit $status",
		scratch);
	return run(mount, text, sizeof(text)) == 0;
}

bool linux_decides(const char *image, const char *scratch, const struct opinion *e2fsck,
		   const struct opinion *shale)
{
	bool refused = shale->verdict == GAVE_UP || strstr(shale->text, "[super-block]") ||
		       strstr(shale->text, "is in the file of orphans");
	bool replayed = shale->verdict == CLEAN && strstr(e2fsck->text, "replay was aborted");

	return (refused || replayed) && linux_mounts(image, scratch) == replayed;
}

enum agreement compare_opinions(const struct opinion *e2fsck, const struct opinion *shale)
{
	if (e2fsck->verdict == NO_VERDICT)
		return UNCOUNTED;
	if (e2fsck->verdict == shale->verdict || (e2fsck->verdict == GAVE_UP && shale->verdict == DAMAGED))
		return AGREE;
	/* It looks for super blocks elsewhere. What begins without the magic number may be of another kind by
	 * now. */
	if (strstr(e2fsck->text, "Bad magic number in super-block") && shale->verdict == GAVE_UP)
		return AGREE;
	/* 12: it told a damage and then could not go on, as with a feature that it does not know. */
	if (e2fsck->status & 8 && shale->verdict == GAVE_UP)
		return AGREE;
	return e2fsck->verdict == CLEAN ? TOO_STRICT : TOO_LAX;
}
