// Credentials: who a task is. Immutable and counted; a task's are replaced whole.
#pragma once

#include "vfs/task.h"

// root with all capabilities when args is NULL. Capabilities: all for uid 0 unless args->caps says which.
int cred_create(struct shale *machine, const struct task_cred_args *args,
		const struct cred **out) __must_check;
const struct cred *get_cred(const struct cred *cred);
void put_cred(const struct cred *cred); // NULL: nothing; memory goes after a grace period
bool capable(int cap);                  // of the running task
bool inode_owner_or_capable(const struct mnt_idmap *idmap, const struct inode *inode);
bool in_group_or_capable(const struct inode *inode, gid_t gid); // in that group, or CAP_FSETID
