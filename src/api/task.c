// Tasks, and what belongs to a task alone: umask, limits, root and working directory.
#include "api/api_internal.h"

#include <sys/resource.h>

#define NGROUPS_MOST 65536

static int cred_args(const struct shale_cred *cred, struct task_cred_args *args)
{
	if (cred->size != sizeof(*cred) || cred->ngroups > NGROUPS_MOST)
		return -EINVAL;
	if (cred->ngroups && !cred->groups)
		return -EFAULT;
	*args = (struct task_cred_args){
		.uid = cred->uid,
		.gid = cred->gid,
		.groups = cred->groups,
		.ngroups = cred->ngroups,
		.caps = cred->caps,
	};
	return 0;
}

int shale_task_new(struct shale *machine, const struct shale_cred *cred, struct shale_task **task)
{
	struct task_cred_args args;
	struct task *made;
	int err = cred ? cred_args(cred, &args) : 0;

	if (err)
		return err;
	err = (int)api_machine_call(machine, task_create(machine, cred ? &args : NULL, &made));
	if (!err)
		*task = (struct shale_task *)made;
	return err;
}

int shale_task_fork(struct shale_task *task, unsigned clone_flags, struct shale_task **child)
{
	struct task *made;
	int err = (int)api_call(task, task_fork(api_task(task), clone_flags, &made));

	if (!err)
		*child = (struct shale_task *)made;
	return err;
}

static long free_task(struct task *task)
{
	task_put(task);
	return 0;
}

void shale_task_free(struct shale_task *task)
{
	if (task)
		api_call(task, free_task(api_task(task)));
}

int shale_umask(struct shale_task *task, mode_t mask)
{
	return (int)api_call(task, do_umask((int)mask));
}

int shale_getrlimit(struct shale_task *task, int resource, struct rlimit *limit)
{
	if (resource != RLIMIT_NOFILE)
		return -EINVAL;
	return limit ? (int)api_call(task, do_prlimit_nofile(NULL, limit)) : -EFAULT;
}

int shale_setrlimit(struct shale_task *task, int resource, const struct rlimit *limit)
{
	if (resource != RLIMIT_NOFILE)
		return -EINVAL;
	return limit ? (int)api_call(task, do_prlimit_nofile(limit, NULL)) : -EFAULT;
}

int shale_chdir(struct shale_task *task, const char *path)
{
	return (int)api_call(task, do_chdir(path));
}

int shale_fchdir(struct shale_task *task, int fd)
{
	return (int)api_call(task, do_fchdir(fd));
}

int shale_chroot(struct shale_task *task, const char *path)
{
	return (int)api_call(task, do_chroot(path));
}

ssize_t shale_getcwd(struct shale_task *task, char *buf, size_t size)
{
	return buf ? api_call(task, do_getcwd(buf, size)) : -EFAULT;
}
