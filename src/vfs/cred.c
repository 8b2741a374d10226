// Credentials: made once, never changed, counted; the running task's, or the machine's own where no task
// acts.

#include "vfs/cred.h"

#include "base/alloc.h"
#include "base/current.h"
#include "base/machine.h"
#include "vfs/vfs_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int gid_compare(const void *a, const void *b)
{
	gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;

	return (x > y) - (x < y);
}

int cred_create(struct shale *machine, const struct task_cred_args *args, const struct cred **out)
{
	static const struct task_cred_args root_args = {.caps = ~0ull};
	struct cred *cred;
	u64 caps;

	if (!args)
		args = &root_args;
	if (args->ngroups > NGROUPS_MAX || args->uid == (uid_t)-1 || args->gid == (gid_t)-1)
		return -EINVAL;
	cred = kzalloc(machine, sizeof(*cred) + args->ngroups * sizeof(gid_t));
	if (!cred)
		return -ENOMEM;
	caps = args->uid == 0 ? ~0ull : args->caps;
	atomic_set(&cred->usage, 1);
	cred->machine = machine;
	cred->uid = cred->euid = cred->suid = cred->fsuid = args->uid;
	cred->gid = cred->egid = cred->sgid = cred->fsgid = args->gid;
	cred->cap_effective = cred->cap_permitted = caps;
	cred->ngroups = args->ngroups;
	if (args->ngroups) {
		memcpy(cred->groups, args->groups, args->ngroups * sizeof(gid_t));
		qsort(cred->groups, args->ngroups, sizeof(gid_t), gid_compare);
	}
	*out = cred;
	return 0;
}

const struct cred *get_cred(const struct cred *cred)
{
	atomic_inc(&((struct cred *)cred)->usage);
	return cred;
}

static void cred_free_rcu(struct rcu_head *head)
{
	kfree(container_of(head, struct cred, rcu));
}

void put_cred(const struct cred *c)
{
	struct cred *cred = (struct cred *)c;

	if (cred && atomic_dec_and_test(&cred->usage))
		call_rcu(cred->machine, &cred->rcu, cred_free_rcu);
}

const struct cred *current_cred(void)
{
	struct task *task = current->task;

	return likely(task) ? rcu_dereference(task->cred) : current->machine->vfs->init_cred;
}

bool in_group_p(const struct cred *cred, gid_t gid)
{
	unsigned lo = 0, hi = cred->ngroups;

	if (gid == cred->fsgid)
		return true;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (cred->groups[mid] == gid)
			return true;
		if (cred->groups[mid] < gid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

bool capable(int cap)
{
	return cred_has_cap(current_cred(), cap);
}
