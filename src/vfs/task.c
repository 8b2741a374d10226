// Tasks: made from credentials, forked, put. A task holds a count of its cred, fs_struct, descriptor table
// and namespace; it is on the machine's list under tasks_lock. shale_free() puts the tasks that are left.
#include "base/alloc.h"
#include "vfs/cred.h"
#include "vfs/files_internal.h"
#include "vfs/fs.h"
#include "vfs/mount.h"
#include "vfs/vfs_internal.h"

#include <errno.h>

// clone(2) flags; <sched.h> of the C library is for those who start threads.
#ifndef CLONE_FS
#define CLONE_FS    0x00000200
#define CLONE_FILES 0x00000400
#define CLONE_NEWNS 0x00020000
#endif

static void task_publish(struct task *task)
{
	struct files_machine *fm = files_of(task->machine);

	scoped_spin_lock(&fm->tasks_lock);
	task->pid = ++fm->last_pid;
	list_add_tail(&task->tasks, &fm->tasks);
}

static void task_free(struct task *task)
{
	if (task->files)
		files_put(task->files);
	if (task->fs)
		put_fs_struct(task->fs);
	if (task->ns)
		put_mnt_ns(task->ns);
	if (task->cred)
		put_cred(task->cred);
	kfree(task);
}

static struct task *task_alloc(struct shale *machine)
{
	struct task *task = kzalloc(machine, sizeof(*task));

	if (task) {
		task->machine = machine;
		atomic_set(&task->usage, 1);
		task->rlim_nofile_cur = RLIMIT_NOFILE_DEFAULT;
		task->rlim_nofile_max = NR_OPEN_MAX;
	}
	return task;
}

int task_create(struct shale *machine, const struct task_cred_args *args, struct task **out)
{
	struct task *task = task_alloc(machine);
	int err;

	if (!task)
		return -ENOMEM;
	err = cred_create(machine, args, &task->cred);
	if (!err)
		err = fs_struct_alloc(machine, &task->fs);
	if (!err)
		err = files_alloc(machine, &task->files);
	if (err) {
		task_free(task);
		return err;
	}
	task->ns = get_mnt_ns(init_mnt_ns(machine));
	task_publish(task);
	*out = task;
	return 0;
}

static int task_fork_parts(struct task *parent, struct task *task, unsigned flags)
{
	int err;

	task->cred = get_cred(parent->cred);
	if (flags & CLONE_FS) {
		task->fs = get_fs_struct(parent->fs);
	} else {
		err = copy_fs_struct(parent->fs, parent->machine, &task->fs);
		if (err)
			return err;
	}
	if (flags & CLONE_FILES) {
		atomic_inc(&parent->files->count);
		task->files = parent->files;
	} else {
		err = files_dup(parent->files, &task->files);
		if (err)
			return err;
	}
	if (flags & CLONE_NEWNS)
		return copy_mnt_ns(parent->ns, task->fs, &task->ns);
	task->ns = get_mnt_ns(parent->ns);
	return 0;
}

int task_fork(struct task *parent, unsigned flags, struct task **out)
{
	struct task *task;
	int err;

	if (flags & ~(unsigned)(CLONE_FILES | CLONE_FS | CLONE_NEWNS))
		return -EINVAL;
	if ((flags & CLONE_FS) && (flags & CLONE_NEWNS))
		return -EINVAL;
	if ((flags & CLONE_NEWNS) && !cred_has_cap(parent->cred, SHALE_CAP_SYS_ADMIN))
		return -EPERM;
	task = task_alloc(parent->machine);
	if (!task)
		return -ENOMEM;
	task->ioprio = parent->ioprio;
	task->rlim_nofile_cur = READ_ONCE(parent->rlim_nofile_cur);
	task->rlim_nofile_max = READ_ONCE(parent->rlim_nofile_max);
	err = task_fork_parts(parent, task, flags);
	if (err) {
		task_free(task);
		return err;
	}
	task_publish(task);
	*out = task;
	return 0;
}

void task_put(struct task *task)
{
	struct files_machine *fm = files_of(task->machine);

	if (!atomic_dec_and_test(&task->usage))
		return;
	spin_lock(&fm->tasks_lock);
	list_del(&task->tasks);
	spin_unlock(&fm->tasks_lock);
	task_free(task);
}

void tasks_put_all(struct shale *machine)
{
	struct files_machine *fm = files_of(machine);

	while (!list_empty(&fm->tasks))
		task_put(list_first_entry(&fm->tasks, struct task, tasks));
}

long do_umask(int mask)
{
	struct fs_struct *fs = current->task->fs;
	int old;

	scoped_spin_lock(&fs->lock);
	old = fs->umask;
	WRITE_ONCE(fs->umask, mask & 0777);
	return old;
}

static bool rlimit_raises(const struct task *task, const struct rlimit *new)
{
	return new->rlim_max > READ_ONCE(task->rlim_nofile_max);
}

long do_prlimit_nofile(const struct rlimit *new, struct rlimit *old)
{
	struct task *task = current->task;

	if (new &&new->rlim_cur > new->rlim_max)
		return -EINVAL;
	if (new &&new->rlim_max > NR_OPEN_MAX)
		return -EPERM;
	if (new &&rlimit_raises(task, new) && !capable(SHALE_CAP_SYS_RESOURCE))
		return -EPERM;
	if (old) {
		old->rlim_cur = READ_ONCE(task->rlim_nofile_cur);
		old->rlim_max = READ_ONCE(task->rlim_nofile_max);
	}
	if (new) {
		WRITE_ONCE(task->rlim_nofile_cur, new->rlim_cur);
		WRITE_ONCE(task->rlim_nofile_max, new->rlim_max);
	}
	return 0;
}
