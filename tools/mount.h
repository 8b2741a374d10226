/* SPDX-License-Identifier: MIT */
/*
 * A mount takes three processes. The supervisor mounts, waits and unmounts; the daemon, its child, opens the
 * image, locks itself in and answers the kernel (fuse.h); the guard, its other child, only waits for the
 * supervisor's death, to unmount in its place. The daemon dies with the supervisor. What they share is here:
 * the wish, which nobody changes after the options are parsed, and the counters, in memory that both map.
 */
#ifndef SHALE_TOOL_MOUNT_H
#define SHALE_TOOL_MOUNT_H

#include "sandbox.h"
#include "tool.h"

struct sockaddr_un;

struct mount_wish {
	const char *source, *shown; /* the disk; how the mount table calls it */
	char *target;               /* absolute, without symlinks */
	const char *type;           /* in the machine: "ext4" */
	char *data;                 /* options of the file system; NULL: none */
	uint64_t memory;            /* limit of the machine's caches, in bytes */
	uint64_t ahead; /* of small files that are sent before they are asked for, at a time, in bytes */
	bool foreground, remount;
	bool nosymfollow; /* which libfuse does not know */
	bool writing;     /* "rw" was said, which mount(8) always does */
	bool owner; /* ids 0:0 are the caller's; else as they are stored, and the kernel checks rights */
	bool kernel_checks;    /* by modes and access lists; else nobody does */
	uid_t caller_uid, uid; /* uid, gid: shown for all files; -1: not */
	gid_t caller_gid, gid;
	mode_t fmask, dmask; /* instead of the modes that are stored: 0777 without these; -1: as stored */
	bool own_rights; /* one of these four is given: access lists would get past it, and are not shown */
	char *kernel;    /* options of the host's mount */
	char *lasting;   /* words that no remount changes; NULL: none */
	enum sandbox_mode sandbox;
	unsigned threads;
	int stats_fd; /* where the counters are written to; -1: nowhere */
};

/* mount_options.c: adds the words of one -o. Wrong ones are told. helper: called by mount(8), which always
 * says "rw". */
void mount_wish_init(struct mount_wish *wish);
int mount_wish_parse(struct mount_wish *wish, char *options, bool helper);
/* What follows from all of them together, and from who calls. */
void mount_wish_finish(struct mount_wish *wish);
/* May a mount that has these options get the flags that are wished? Else why not is told. */
bool mount_wish_remounts(const struct mount_wish *wish, const char *has);
bool mount_has_word(const char *list, const char *word);

/* Requests by their number in the protocol. */
#define FUSE_COUNTED_OPS 64
struct fuse_counters {
	uint64_t op[FUSE_COUNTED_OPS]; /* relaxed atomics */
};
void fuse_counters_write(const struct fuse_counters *counters, int fd);

/* mount_table.c: which mount it is. */
struct host_mount {
	uint64_t unique; /* 0: not told */
	unsigned number; /* 0: none */
	unsigned major, minor;
	uid_t user; /* who mounted */
};
/* The mount that is seen at the place, if it is this tool's. */
bool host_mount_find(const char *target, struct host_mount *out);
bool host_mount_is(const struct host_mount *a, const struct host_mount *b);
/* Takes it away, wherever it is by now. 0: it is gone; negative errno. -EBUSY: others lie over it. */
int host_mount_end(const struct host_mount *mount);

/* mount_host.c: the host's side. */
/* Mounts; the descriptor of /dev/fuse, or -1 after the error was told. */
int host_mount(const struct mount_wish *wish);
/* Lets the kernel read as far ahead as its requests may be long; root only. */
void host_mount_read_ahead(const struct host_mount *mount);
/* Gives a mount that is there the flags that are wished; root only. 0 or negative errno. */
int host_mount_set_flags(const struct mount_wish *wish);
/* 0, or negative errno (root), or -EBUSY for whatever fusermount3 has told. */
int host_umount(const char *target, bool lazy, bool quiet);

/* mount_busy.c. Has somebody locked the image so that it cannot be read? */
bool image_is_locked(const char *disk);
pid_t image_locker(const char *disk); /* who has it locked; 0: not known */

/* mount_supervisor.c. ready: written the exit status when the mount answers or has failed; -1: nobody waits.
 */
int mount_supervise(const struct mount_wish *wish, int ready);
/* What the control socket carries, from the daemon; to it one message with the descriptors. */
#define MOUNT_ATTACHED  'a' /* the image is open and locked: the mount may be made */
#define MOUNT_ANSWERING 'r'
#define MOUNT_MAX_FDS   33
/* Where `shale umount` meets the supervisor: an abstract socket, that ends with it. */
void mount_meeting(const struct host_mount *mount, struct sockaddr_un *address, unsigned *bytes);

/* fuse_daemon.c: the daemon's whole life; the exit status. */
int fuse_daemon(const struct mount_wish *wish, struct fuse_counters *counters, int control);

#endif
