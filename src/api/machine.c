// Machines: the order in which the floors start and end, and what is asked of a machine as a whole.
#include "api/api_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/seq_file.h"
#include "block/blk.h"
#include "cache/cache.h"
#include "device/device.h"
#include "device/module.h"
#include "vfs/cred.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define OPTIONS_SIZE_FIRST offsetof(struct shale_options, seed) // the least that a caller must know
#define EPOCH_DEFAULT_NS   (946684800ll * NSEC_PER_SEC)         // 2000-01-01
#define THREADS_MOST       16

// One step of a machine's start and its opposite.
struct floor_step {
	int (*init)(struct shale *machine);
	void (*exit)(struct shale *machine);
};

static int subsys_init(struct shale *machine)
{
	return modules_init(machine, MODULE_SUBSYS);
}
static void subsys_exit(struct shale *machine)
{
	modules_exit(machine, MODULE_SUBSYS);
}
static int drivers_init(struct shale *machine)
{
	return modules_init(machine, MODULE_DRIVER);
}
static void drivers_exit(struct shale *machine)
{
	disks_close_all(machine); // closing a disk is its driver's work
	modules_exit(machine, MODULE_DRIVER);
}
static int fs_init(struct shale *machine)
{
	return modules_init(machine, MODULE_FS);
}
static void fs_exit(struct shale *machine)
{
	modules_exit(machine, MODULE_FS);
}

static const struct floor_step floors[] = {
	{device_init, device_exit}, {cache_init, cache_exit},         {blk_init, blk_exit},
	{subsys_init, subsys_exit}, {drivers_init, drivers_exit},     {vfs_init, vfs_exit},
	{fs_init, fs_exit},         {vfs_mount_root, vfs_umount_all},
};

static void floors_exit(struct shale *machine, unsigned count)
{
	while (count--)
		floors[count].exit(machine);
}

static int floors_init(struct shale *machine)
{
	for (unsigned i = 0; i < ARRAY_SIZE(floors); i++) {
		int err = floors[i].init(machine);

		if (err) {
			floors_exit(machine, i);
			return err;
		}
	}
	return 0;
}

static int make_directory(const char *path)
{
	long err = do_mkdirat(-100 /* AT_FDCWD */, path, 0755);

	return err == -EEXIST ? 0 : (int)err;
}

// The places that every machine has.
static int furnish_root(struct shale *machine, unsigned flags)
{
	struct current_saved saved;
	struct task *task;
	int err = task_create(machine, NULL, &task);

	if (err)
		return err;
	current_enter(machine, task, &saved);
	err = make_directory("/mnt");
	if (!err)
		err = make_directory("/dev");
	if (!err && !(flags & SHALE_NO_DEV))
		err = (int)do_mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	task_put(task);
	current_leave(&saved);
	return err;
}

// A machine starts and ends as root, without a task of its callers.
struct boot_task {
	struct task task;
	struct current_saved saved;
};

static void boot_enter(struct api_machine *api, struct boot_task *boot)
{
	memset(&boot->task, 0, sizeof(boot->task));
	boot->task.machine = &api->machine;
	boot->task.cred = api->boot_cred;
	current_enter(&api->machine, &boot->task, &boot->saved);
}

static void boot_leave(struct boot_task *boot)
{
	current_leave(&boot->saved);
}

static int machine_start(struct api_machine *api, unsigned flags)
{
	struct boot_task boot;
	int err = cred_create(&api->machine, NULL, &api->boot_cred);

	if (err)
		return err;
	boot_enter(api, &boot);
	err = floors_init(&api->machine);
	if (!err) {
		err = furnish_root(&api->machine, flags);
		if (err)
			floors_exit(&api->machine, ARRAY_SIZE(floors));
	}
	if (err)
		put_cred(api->boot_cred);
	boot_leave(&boot);
	return err;
}

static void api_log_sink(void *arg, const struct log_record *record)
{
	const struct api_machine *api = arg;

	api->log(api->log_arg, record->level, record->text);
}

// Completes what the caller left out; fields behind the caller's size have their defaults.
static int options_read(const struct shale_options *from, struct shale_options *to)
{
	static const struct shale_options defaults = SHALE_OPTIONS_INIT;

	*to = defaults;
	if (!from)
		return 0;
	if (from->size < OPTIONS_SIZE_FIRST)
		return -EINVAL;
	for (size_t i = sizeof(*to); i < from->size; i++) // a newer caller's wishes
		if (((const char *)from)[i])
			return -EINVAL;
	memcpy(to, from, from->size < sizeof(*to) ? from->size : sizeof(*to));
	if (to->flags & ~(SHALE_NO_DEV | SHALE_START_LATER) || to->log_level < 0 ||
	    to->log_level > LOGLEVEL_DEBUG)
		return -EINVAL;
	return 0;
}

static unsigned thread_count(unsigned asked)
{
	long cpus;

	if (asked != SHALE_THREADS_DEFAULT)
		return asked;
	cpus = sysconf(_SC_NPROCESSORS_ONLN);
	return cpus < 1 ? 1 : cpus > THREADS_MOST ? THREADS_MOST : (unsigned)cpus;
}

static int api_machine_alloc(struct api_machine **out)
{
	void *mem = mmap(NULL, sizeof(struct api_machine), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		return -ENOMEM;
	if (madvise(mem, sizeof(struct api_machine), MADV_WIPEONFORK)) {
		munmap(mem, sizeof(struct api_machine));
		return -ENOSYS;
	}
	*out = mem;
	return 0;
}

int shale_new(const struct shale_options *options, struct shale **machine)
{
	struct shale_options opts;
	struct api_machine *api;
	int err = options_read(options, &opts);

	if (err)
		return err;
	err = api_machine_alloc(&api);
	if (err)
		return err;
	err = machine_init(&api->machine,
			   &(struct machine_options){
				   .threads = thread_count(opts.threads),
				   .seed = opts.seed,
				   .memory_limit = opts.memory_limit,
				   .epoch_ns = opts.epoch_ns ? opts.epoch_ns : EPOCH_DEFAULT_NS,
				   .held = opts.flags & SHALE_START_LATER,
			   });
	if (err)
		goto out_unmap;
	if (opts.log) {
		api->log = opts.log;
		api->log_arg = opts.log_arg;
		log_set_sink(&api->machine, opts.log_level ? opts.log_level : LOGLEVEL_INFO, api_log_sink,
			     api);
	}
	err = machine_start(api, opts.flags);
	if (err) {
		machine_exit(&api->machine);
		goto out_unmap;
	}
	*machine = &api->machine;
	return 0;
out_unmap:
	munmap(api, sizeof(*api));
	return err;
}

static long start(struct shale *machine)
{
	if (!machine->held)
		return -EINVAL;
	machine_release(machine);
	return disks_start(machine);
}

int shale_start(struct shale *machine)
{
	return (int)api_machine_call(machine, start(machine));
}

int shale_free(struct shale *machine)
{
	struct api_machine *api;
	struct boot_task boot;
	int err = 0;

	if (!machine)
		return 0;
	api = container_of(machine, struct api_machine, machine);
	if (!api_forked(machine)) {
		boot_enter(api, &boot);
		tasks_put_all(machine);
		floors_exit(machine, ARRAY_SIZE(floors));
		put_cred(api->boot_cred);
		boot_leave(&boot);
		err = READ_ONCE(machine->lost_write);
		machine_exit(machine);
	}
	munmap(api, sizeof(*api));
	return err;
}

int64_t shale_clock(struct shale *machine)
{
	if (!machine)
		return -EINVAL;
	return api_forked(machine) ? -EOPNOTSUPP : ktime_get(machine);
}

static long drop_all(struct shale *machine)
{
	drop_caches(machine);
	return 0;
}

int shale_drop_caches(struct shale *machine)
{
	return (int)api_machine_call(machine, drop_all(machine));
}

ssize_t api_copy_text(const char *text, char *buf, size_t size)
{
	size_t len = strlen(text), part;

	if (size) {
		part = len < size ? len : size - 1;
		memcpy(buf, text, part);
		buf[part] = '\0';
	}
	return (ssize_t)len;
}

// The text that `show` makes, into the caller's buffer.
static long show_text(struct shale *machine, void (*show)(struct shale *machine, struct seq_file *m),
		      char *buf, size_t size)
{
	struct seq_file m;
	const char *text;
	long n = -ENOMEM;

	seq_text_init(&m, machine);
	show(machine, &m);
	text = seq_text(&m);
	if (text)
		n = api_copy_text(text, buf, size);
	seq_text_free(&m);
	return n;
}

static void show_log(struct shale *machine, struct seq_file *m)
{
	char text[LOG_TEXT_MAX + 1];
	struct log_record record;
	ssize_t n;
	u64 seq = 0;

	while ((n = log_read(machine, &seq, text, sizeof(text), &record)) != -EAGAIN) {
		s64 us = record.ns / NSEC_PER_USEC;

		if (n >= 0)
			seq_printf(m, "<%d>[%5lld.%06lld] %s\n", record.level, (long long)(us / 1000000),
				   (long long)(us % 1000000), text);
	}
}

ssize_t shale_log_read(struct shale *machine, char *buf, size_t size)
{
	return api_machine_call(machine, show_text(machine, show_log, buf, size));
}

ssize_t shale_vmstat(struct shale *machine, char *buf, size_t size)
{
	return api_machine_call(machine, show_text(machine, cache_show_vmstat, buf, size));
}
