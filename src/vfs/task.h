// A task: what Linux calls a process as far as files go. It may be used by one thread or by many.
#pragma once

#include "vfs/types.h"

struct cred { // immutable once shown; replaced whole; RCU
	atomic_t usage;
	struct shale *machine;
	uid_t uid, euid, suid, fsuid;
	gid_t gid, egid, sgid, fsgid;
	u64 cap_effective, cap_permitted, cap_inheritable;
	u32 ngroups;
	struct rcu_head rcu;
	gid_t groups[]; // sorted
};
#define SHALE_CAP_CHOWN           0
#define SHALE_CAP_DAC_OVERRIDE    1
#define SHALE_CAP_DAC_READ_SEARCH 2
#define SHALE_CAP_FOWNER          3
#define SHALE_CAP_FSETID          4
#define SHALE_CAP_LINUX_IMMUTABLE 9
#define SHALE_CAP_SYS_RAWIO       17
#define SHALE_CAP_SYS_CHROOT      18
#define SHALE_CAP_SYS_ADMIN       21
#define SHALE_CAP_SYS_RESOURCE    24
#define SHALE_CAP_MKNOD           27
#define SHALE_CAP_LEASE           28
#define SHALE_CAP_SETFCAP         31

struct fs_struct {
	atomic_t users;
	spinlock_t lock;
	seqcount_t seq;
	int umask;
	struct path root, pwd;
};

struct task {
	struct shale *machine;
	struct list_head tasks; // of the machine
	int pid;
	atomic_t usage;
	const struct cred *cred; // RCU
	struct fs_struct *fs;
	struct files_struct *files;
	struct mnt_namespace *ns;
	u16 ioprio;
	u64 rlim_nofile_cur, rlim_nofile_max; // RLIMIT_NOFILE; relaxed
};

struct task_cred_args {
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	unsigned ngroups;
	u64 caps; // effective; root has all
};
int task_create(struct shale *machine, const struct task_cred_args *cred,
		struct task **out) __must_check; // init's root, cwd and namespace
int task_fork(struct task *parent, unsigned clone_flags,
	      struct task **out) __must_check; // CLONE_FILES|FS|NEWNS
void task_put(struct task *task);
void tasks_put_all(struct shale *machine); // of a machine that ends
static inline bool cred_has_cap(const struct cred *cred, int cap)
{
	return cred->cap_effective >> cap & 1;
}
bool in_group_p(const struct cred *cred, gid_t gid);
const struct cred *current_cred(void);
