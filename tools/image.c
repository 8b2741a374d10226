/* SPDX-License-Identifier: MIT */
/*
 * Images: one machine for the whole run, a disk in it for each image that is named, attached for reading
 * only, and a task for each whose root is the root of the image, so that symlinks and dot-dots stay inside.
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

/* What is read here is mostly read once: memory that is used again is faster than new memory, which the host
 * has to clear. */
#define MEMORY_LIMIT (96ull << 20)

unsigned tool_threads = SHALE_THREADS_DEFAULT;

static struct shale *machine;
static struct shale_task *root_task;
static struct image **images;
static size_t image_count;

struct shale *tool_machine(void)
{
	struct shale_options options = SHALE_OPTIONS_INIT;
	int err;

	if (machine)
		return machine;
	options.memory_limit = MEMORY_LIMIT;
	options.threads = tool_threads;
	err = shale_new(&options, &machine);
	if (!err)
		err = shale_task_new(machine, NULL, &root_task);
	if (err) {
		tool_error("starting the machine", err);
		exit(TOOL_FAILED);
	}
	return machine;
}

struct shale_task *tool_root_task(void)
{
	tool_machine();
	return root_task;
}

static const char *skip_name(const char *text, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(text, name, len) && !strncmp(text + len, ": ", 2) ? text + len + 2 : text;
}

void machine_error(struct shale *of, const char *disk, const char *device,
		   ssize_t (*words)(struct shale *, char *, size_t), int err)
{
	char buf[512] = "";
	const char *text = buf;

	if (words(of, buf, sizeof(buf)) <= 0) {
		tool_error(disk, err);
		return;
	}
	/* The words may begin with the name, which is told anyway, or with names that only we know. */
	text = skip_name(skip_name(text, disk), "ext4");
	if (device)
		text = skip_name(skip_name(text, device), device + 5);
	tool_error_text(disk, text);
}

void image_error(const char *disk, ssize_t (*words)(struct shale *, char *, size_t), int err)
{
	const char *device = NULL;

	for (size_t i = 0; i < image_count && !device; i++)
		if (!strcmp(images[i]->disk, disk))
			device = images[i]->device;
	machine_error(tool_machine(), disk, device, words, err);
}

/*
 * The URI for a disk as the user wrote it. The host's page cache reads ahead over the borders of files and
 * still has what the last run of the tool has read, so it is used unless the user says otherwise.
 */
char *image_uri(const char *disk)
{
	bool host_file = !strchr(disk, ':') || !strncmp(disk, "file:", 5);

	return tool_printf("%s%s", disk, host_file && !strchr(disk, '?') ? "?direct=0" : "");
}

struct image *image_attach(const char *disk)
{
	unsigned flags = SHALE_DISK_READ_ONLY | (option_unlocked ? SHALE_DISK_UNLOCKED : 0);
	struct image *image;
	char *uri;
	int err;

	for (size_t i = 0; i < image_count; i++)
		if (!strcmp(images[i]->disk, disk))
			return images[i];
	image = tool_alloc(sizeof(*image));
	image->disk = disk;
	snprintf(image->device, sizeof(image->device), "/dev/d%zu", image_count);
	uri = image_uri(disk);
	err = shale_disk_add(tool_machine(), image->device + 5, uri, flags);
	free(uri);
	if (err) {
		image_error(disk, shale_disk_error, err);
		free(image);
		return NULL;
	}
	images = tool_realloc(images, (image_count + 1) * sizeof(*images));
	images[image_count++] = image;
	return image;
}

struct image *image_open(const char *disk)
{
	struct image *image = image_attach(disk);
	char mount_point[48];
	int err;

	if (!image || image->task)
		return image;
	snprintf(mount_point, sizeof(mount_point), "/mnt/%s", image->device + 5);
	err = shale_mkdir(root_task, mount_point, 0755);
	if (!err || err == -EEXIST)
		err = shale_mount(root_task, image->device, mount_point, "ext4", MS_RDONLY, option_mount);
	if (err) {
		image_error(disk, shale_mount_error, err);
		return NULL;
	}
	err = shale_task_new(machine, NULL, &image->task);
	if (!err)
		err = shale_chroot(image->task, mount_point);
	if (!err)
		err = shale_chdir(image->task, "/");
	if (err) {
		tool_error(disk, err);
		return NULL;
	}
	return image;
}
