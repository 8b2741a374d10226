/* SPDX-License-Identifier: MIT */
/* The body of volume.h. */
#include "crash/volume.h"

#include <linux/fs.h>
#include <sys/mount.h>

#include <shale/shale.h>

#define DEVICE "/dev/disk"
#define PLACE  "/mnt"

static void must_be(long ret, const char *what)
{
	if (ret < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror((int)-ret));
		exit(1);
	}
}

void volume_start(struct volume *v, struct state *state)
{
	struct shale_options options = {.size = sizeof(options), .seed = 1, .memory_limit = 64u << 20};
	char uri[96];

	*v = (struct volume){.state = state};
	snprintf(uri, sizeof(uri), "state+null:%llu?state=%p",
		 (unsigned long long)state->nr_sectors << SECTOR_SHIFT, (void *)state);
	must_be(shale_new(&options, &v->machine), "shale_new");
	must_be(shale_task_new(v->machine, NULL, &v->task), "shale_task_new");
	must_be(shale_disk_add(v->machine, "disk", uri, SHALE_DISK_NO_PARTSCAN), "shale_disk_add");
	v->fd = shale_open(v->task, DEVICE, O_RDONLY, 0);
	must_be(v->fd, DEVICE);
	side_shale(&v->side, v->task, PLACE);
}

void volume_stop(struct volume *v)
{
	must_be(shale_free(v->machine), "shale_free");
}

struct problems {
	char *text;
	size_t size, used;
};

static int tell_problem(void *arg, const struct shale_problem *problem)
{
	struct problems *p = arg;

	if (problem->severity == SHALE_PROBLEM_DAMAGE && p->used < p->size)
		p->used += snprintf(p->text + p->used, p->size - p->used, "%s: %s\n", problem->code,
				    problem->text);
	return 0;
}

static bool volume_check(struct volume *v, char *why, size_t size)
{
	struct problems problems = {.text = why, .size = size};
	int ret = shale_check(v->task, DEVICE, NULL, NULL, 0, tell_problem, &problems);

	if (ret < 0)
		snprintf(why, size, "check: %s", strerror(-ret));
	return ret == 0;
}

bool volume_look(struct volume *v, struct arena *arena, struct tree *found, char *why, size_t size)
{
	char words[256] = "";
	int err;

	must_be(shale_ioctl(v->task, v->fd, BLKFLSBUF, NULL), "BLKFLSBUF");
	err = shale_mount(v->task, DEVICE, PLACE, "ext4", MS_RDONLY, NULL);
	if (err) {
		shale_mount_error(v->machine, words, sizeof(words));
		snprintf(why, size, "mount: %s: %s", strerror(-err), words);
		return false;
	}
	err = side_look(&v->side, arena, found, why, size);
	must_be(shale_umount2(v->task, PLACE, 0), "umount");
	return !err && volume_check(v, why, size);
}
