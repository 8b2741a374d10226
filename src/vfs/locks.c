// File locks: who holds which bytes of a file, waiting for them, and finding those who wait in a circle.
//
// A context has two lists, both under its lock. `flock` has one entry for each open file. `ranges` has the
// POSIX and OFD locks: entries of one owner stand together, in the order of their starts, neither overlapping
// nor touching another of their kind; owners in the order in which they came.
//
// Who must wait sleeps on the context and tries anew whenever something there was released. For POSIX locks
// it is on the machine's list of the blocked meanwhile, with the owner that it waits for: whoever would wait
// for an owner that waits, perhaps over others, for himself gets EDEADLK instead. Order: context, then that
// list.

#include "vfs/locks.h"

#include "base/alloc.h"
#include "base/wait.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/super.h"
#include "vfs/vfs_internal.h"

#include <errno.h>
#include <sys/file.h>
#include <unistd.h>

#define OFFSET_MAX INT64_MAX

struct file_lock {
	struct list_head list; // in a context
	const void *owner;     // a files_struct, or a struct file
	short type;            // F_RDLCK, F_WRLCK; in a request also F_UNLCK
	bool ofd;
	int pid;
	loff_t start, end; // inclusive
};

struct file_lock_context {
	spinlock_t lock;
	struct list_head flock, ranges;
	wait_queue_head_t wait;
};

struct blocked_lock {
	struct list_head list;
	const void *owner, *blocker;
};

static int get_context(struct inode *inode, struct file_lock_context **out)
{
	struct file_lock_context *ctx = smp_load_acquire(&inode->i_flctx), *none = NULL;

	if (!ctx) {
		ctx = kmalloc(inode->i_sb->s_machine, sizeof(*ctx));
		if (!ctx)
			return -ENOMEM;
		spin_lock_init(&ctx->lock);
		INIT_LIST_HEAD(&ctx->flock);
		INIT_LIST_HEAD(&ctx->ranges);
		init_waitqueue_head(&ctx->wait);
		if (!try_cmpxchg(&inode->i_flctx, &none, ctx)) {
			kfree(ctx);
			ctx = none;
		}
	}
	*out = ctx;
	return 0;
}

void locks_free_context(struct inode *inode)
{
	struct file_lock_context *ctx = inode->i_flctx;

	if (!ctx)
		return;
	WARN_ON(!list_empty(&ctx->flock) || !list_empty(&ctx->ranges));
	kfree(ctx);
}

static void lock_free(struct file_lock *fl)
{
	list_del(&fl->list);
	kfree(fl);
}

static bool types_conflict(const struct file_lock *a, const struct file_lock *b)
{
	return a->type == F_WRLCK || b->type == F_WRLCK;
}

static bool overlap(const struct file_lock *a, const struct file_lock *b)
{
	return a->start <= b->end && b->start <= a->end;
}

// flock.

// ctx->lock held. -EAGAIN: another has it. *spare becomes the lock.
static int flock_try(struct file_lock_context *ctx, const struct file *file, short type,
		     struct file_lock **spare)
{
	struct file_lock *fl, *next;

	list_for_each_entry_safe (fl, next, &ctx->flock, list) {
		if (fl->owner != file)
			continue;
		if (fl->type == type)
			return 0;
		// A change gives up what there was, even if the new one cannot be had.
		lock_free(fl);
		wake_up_all(&ctx->wait);
	}
	if (type == F_UNLCK)
		return 0;
	(*spare)->type = type;
	(*spare)->owner = file;
	list_for_each_entry (fl, &ctx->flock, list)
		if (types_conflict(fl, *spare))
			return -EAGAIN;
	list_add_tail(&(*spare)->list, &ctx->flock);
	*spare = NULL;
	return 0;
}

static int flock_set(struct file *file, short type, bool may_wait)
{
	struct inode *inode = file->f_inode;
	struct file_lock_context *ctx;
	struct file_lock *spare = NULL;
	int err = get_context(inode, &ctx);

	if (!err && type != F_UNLCK) {
		spare = kzalloc(inode->i_sb->s_machine, sizeof(*spare));
		err = spare ? 0 : -ENOMEM;
	}
	if (err)
		return err;
	__atomic_fetch_or(&file->f_mode, FMODE_LOCKED, __ATOMIC_RELAXED);
	for (;;) {
		DEFINE_WAIT(wait);

		spin_lock(&ctx->lock);
		err = flock_try(ctx, file, type, &spare);
		if (err != -EAGAIN || !may_wait) {
			spin_unlock(&ctx->lock);
			kfree(spare);
			return err;
		}
		prepare_to_wait(&ctx->wait, &wait);
		spin_unlock(&ctx->lock);
		schedule();
		finish_wait(&ctx->wait, &wait);
	}
}

static int flock_type(unsigned cmd)
{
	switch (cmd & ~(unsigned)LOCK_NB) {
	case LOCK_SH:
		return F_RDLCK;
	case LOCK_EX:
		return F_WRLCK;
	case LOCK_UN:
		return F_UNLCK;
	default:
		return -EINVAL;
	}
}

#define LOCK_MAND_BIT 32u // once mandatory locks; means nothing any more

long ksys_flock(int fd, unsigned cmd)
{
	int type = flock_type(cmd);
	struct fd f;
	long err = -EBADF;

	if (cmd & LOCK_MAND_BIT)
		return 0;
	if (type < 0)
		return type;
	f = fdget(fd);
	if (!f.file)
		return -EBADF;
	if (type == F_UNLCK || f.file->f_mode & (FMODE_READ | FMODE_WRITE))
		err = flock_set(f.file, (short)type, !(cmd & LOCK_NB));
	fdput(f);
	return err;
}

// Ranges.

// ctx->lock held. What stands in the way of req; NULL: nothing.
static struct file_lock *range_conflict(struct file_lock_context *ctx, const struct file_lock *req)
{
	struct file_lock *fl;

	list_for_each_entry (fl, &ctx->ranges, list)
		if (fl->owner != req->owner && overlap(fl, req) && types_conflict(fl, req))
			return fl;
	return NULL;
}

// Cuts req's bytes out of fl, which is of the same owner and overlaps. *spare becomes what is left behind
// them.
static void range_cut(struct file_lock *fl, const struct file_lock *req, struct file_lock **spare)
{
	if (fl->start < req->start && fl->end > req->end) {
		**spare = *fl;
		(*spare)->start = req->end + 1;
		list_add(&(*spare)->list, &fl->list);
		*spare = NULL;
		fl->end = req->start - 1;
	} else if (fl->start < req->start) {
		fl->end = req->start - 1;
	} else if (fl->end > req->end) {
		fl->start = req->end + 1;
	} else {
		lock_free(fl);
	}
}

static bool touches(const struct file_lock *fl, const struct file_lock *req)
{
	return (fl->end == OFFSET_MAX || fl->end + 1 >= req->start) &&
	       (req->end == OFFSET_MAX || req->end + 1 >= fl->start);
}

// ctx->lock held; nothing conflicts. The owner's bytes [start, end] become of req's type. spare[0] becomes
// the lock, spare[1] what a cut leaves over; those that were used are NULL afterwards.
static void range_apply(struct file_lock_context *ctx, struct file_lock *req, struct file_lock *spare[2])
{
	struct list_head *before = NULL; // what the new one is to stand behind
	struct file_lock *fl, *next;

	list_for_each_entry_safe (fl, next, &ctx->ranges, list) {
		if (fl->owner != req->owner)
			continue;
		if (!before)
			before = fl->list.prev;
		if (fl->type == req->type && touches(fl, req)) {
			req->start = min_t(loff_t, req->start, fl->start);
			req->end = max_t(loff_t, req->end, fl->end);
			lock_free(fl);
		} else if (overlap(fl, req)) {
			bool stays = fl->start < req->start;

			range_cut(fl, req, &spare[1]);
			if (stays)
				before = &fl->list;
		} else if (fl->end < req->start) {
			before = &fl->list;
		}
	}
	if (req->type != F_UNLCK) {
		*spare[0] = *req;
		list_add(&spare[0]->list, before ?: ctx->ranges.prev);
		spare[0] = NULL;
	}
	wake_up_all(&ctx->wait);
}

// blocked_lock held: does `blocker` wait, perhaps over others, for `owner`?
static bool would_deadlock(struct vfs_machine *vfs, const void *owner, const void *blocker)
{
	struct blocked_lock *b;

	for (unsigned steps = 0; steps < 10; steps++) { // as many as Linux looks at
		const void *next = NULL;

		list_for_each_entry (b, &vfs->blocked_locks, list)
			if (b->owner == blocker)
				next = b->blocker;
		if (!next)
			return false;
		if (next == owner)
			return true;
		blocker = next;
	}
	return false;
}

static int blocked_add(struct vfs_machine *vfs, struct blocked_lock *b, const struct file_lock *req)
{
	int err = 0;

	spin_lock(&vfs->blocked_lock);
	if (!req->ofd && would_deadlock(vfs, b->owner, b->blocker))
		err = -EDEADLK;
	else
		list_add(&b->list, &vfs->blocked_locks);
	spin_unlock(&vfs->blocked_lock);
	return err;
}

static void blocked_del(struct vfs_machine *vfs, struct blocked_lock *b)
{
	spin_lock(&vfs->blocked_lock);
	list_del(&b->list);
	spin_unlock(&vfs->blocked_lock);
}

// One try, and if it must and may wait, one wait: 1: to be tried again.
static int range_try(struct vfs_machine *vfs, struct file_lock_context *ctx, struct file_lock *req,
		     bool may_wait, struct file_lock *spare[2])
{
	struct file_lock *conflict = NULL;
	struct blocked_lock blocked;
	DEFINE_WAIT(wait);
	int err;

	spin_lock(&ctx->lock);
	if (req->type != F_UNLCK)
		conflict = range_conflict(ctx, req);
	if (!conflict) {
		range_apply(ctx, req, spare);
		spin_unlock(&ctx->lock);
		return 0;
	}
	blocked = (struct blocked_lock){.owner = req->owner, .blocker = conflict->owner};
	err = may_wait ? blocked_add(vfs, &blocked, req) : -EAGAIN;
	if (!err)
		prepare_to_wait(&ctx->wait, &wait);
	spin_unlock(&ctx->lock);
	if (err)
		return err;
	schedule();
	finish_wait(&ctx->wait, &wait);
	blocked_del(vfs, &blocked);
	return 1;
}

static int range_set(struct inode *inode, struct file_lock *req, bool may_wait)
{
	struct shale *machine = inode->i_sb->s_machine;
	struct file_lock *spare[2] = {NULL, NULL};
	struct file_lock_context *ctx;
	int err = get_context(inode, &ctx);

	if (err)
		return -ENOLCK;
	// To give up everything needs no memory.
	if (req->type != F_UNLCK || req->start != 0 || req->end != OFFSET_MAX) {
		for (unsigned i = 0; i < 2; i++)
			spare[i] = kmalloc(machine, sizeof(*req));
		err = spare[0] && spare[1] ? 1 : -ENOLCK;
	} else {
		err = 1;
	}
	while (err == 1)
		err = range_try(machine->vfs, ctx, req, may_wait, spare);
	kfree(spare[0]);
	kfree(spare[1]);
	return err;
}

// From the caller's words. Errors as the kernel's, in its order.
static int flock_to_request(struct file *file, const struct flock *l, struct file_lock *req)
{
	loff_t start = 0;

	switch (l->l_whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		start = file->f_pos;
		break;
	case SEEK_END:
		start = (loff_t)i_size_read(file->f_inode);
		break;
	default:
		return -EINVAL;
	}
	if (l->l_start > OFFSET_MAX - start)
		return -EOVERFLOW;
	start += l->l_start;
	if (start < 0)
		return -EINVAL;
	req->start = start;
	req->end = OFFSET_MAX;
	if (l->l_len > 0) {
		if (l->l_len - 1 > OFFSET_MAX - start)
			return -EOVERFLOW;
		req->end = start + l->l_len - 1;
	} else if (l->l_len < 0) {
		if (start + l->l_len < 0)
			return -EINVAL;
		req->end = start - 1;
		req->start = start + l->l_len;
	}
	if (l->l_type != F_RDLCK && l->l_type != F_WRLCK && l->l_type != F_UNLCK)
		return -EINVAL;
	req->type = l->l_type;
	req->owner = current->task->files;
	req->pid = current->task->pid;
	return 0;
}

// Was the descriptor closed meanwhile? Then nobody would give the lock up.
static bool still_open(int fd, const struct file *file)
{
	bool open;

	rcu_read_lock();
	open = files_lookup_fd_raw(current->task->files, (unsigned)fd) == file;
	rcu_read_unlock();
	return open;
}

static int fcntl_setlk(int fd, struct file *file, unsigned cmd, const struct flock *l)
{
	struct file_lock req = {0};
	int err = flock_to_request(file, l, &req);

	if (err)
		return err;
	if ((req.type == F_RDLCK && !(file->f_mode & FMODE_READ)) ||
	    (req.type == F_WRLCK && !(file->f_mode & FMODE_WRITE)))
		return -EBADF;
	if (cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW) {
		if (l->l_pid)
			return -EINVAL;
		req.ofd = true;
		req.owner = file;
		req.pid = -1;
		__atomic_fetch_or(&file->f_mode, FMODE_LOCKED, __ATOMIC_RELAXED);
	} else {
		WRITE_ONCE(current->task->files->posix_locked, true);
	}
	err = range_set(file->f_inode, &req, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
	if (!err && req.type != F_UNLCK && !req.ofd && !still_open(fd, file)) {
		locks_remove_posix(file, current->task->files);
		err = -EBADF;
	}
	return err;
}

// What F_GETLK is to tell. F_UNLCK asks which of one's own there are.
static bool test_conflict(const struct file_lock *fl, const struct file_lock *req)
{
	if (req->type == F_UNLCK)
		return fl->owner == req->owner && overlap(fl, req);
	return fl->owner != req->owner && overlap(fl, req) && types_conflict(fl, req);
}

static int fcntl_getlk(struct file *file, unsigned cmd, struct flock *l)
{
	struct file_lock_context *ctx = smp_load_acquire(&file->f_inode->i_flctx);
	struct file_lock req = {0}, *fl;
	int err;

	if (cmd != F_OFD_GETLK && l->l_type != F_RDLCK && l->l_type != F_WRLCK)
		return -EINVAL;
	err = flock_to_request(file, l, &req);
	if (err)
		return err;
	if (cmd == F_OFD_GETLK) {
		if (l->l_pid)
			return -EINVAL;
		req.owner = file;
	}
	l->l_type = F_UNLCK;
	if (!ctx)
		return 0;
	spin_lock(&ctx->lock);
	list_for_each_entry (fl, &ctx->ranges, list) {
		if (!test_conflict(fl, &req))
			continue;
		*l = (struct flock){
			.l_type = fl->type,
			.l_whence = SEEK_SET,
			.l_start = fl->start,
			.l_len = fl->end == OFFSET_MAX ? 0 : fl->end - fl->start + 1,
			.l_pid = fl->pid,
		};
		break;
	}
	spin_unlock(&ctx->lock);
	return 0;
}

long fcntl_lock(int fd, struct file *file, unsigned cmd, struct flock *l)
{
	if (!l)
		return -EFAULT;
	if (cmd == F_GETLK || cmd == F_OFD_GETLK)
		return fcntl_getlk(file, cmd, l);
	return fcntl_setlk(fd, file, cmd, l);
}

static void remove_owned(struct file_lock_context *ctx, struct list_head *locks, const void *owner)
{
	struct file_lock *fl, *next;
	bool any = false;

	spin_lock(&ctx->lock);
	list_for_each_entry_safe (fl, next, locks, list) {
		if (fl->owner != owner)
			continue;
		lock_free(fl);
		any = true;
	}
	spin_unlock(&ctx->lock);
	if (any)
		wake_up_all(&ctx->wait);
}

void locks_remove_posix(struct file *file, struct files_struct *files)
{
	struct file_lock_context *ctx = smp_load_acquire(&file->f_inode->i_flctx);

	if (ctx)
		remove_owned(ctx, &ctx->ranges, files);
}

void locks_remove_file(struct file *file)
{
	struct file_lock_context *ctx = smp_load_acquire(&file->f_inode->i_flctx);

	if (!ctx)
		return;
	remove_owned(ctx, &ctx->flock, file);
	remove_owned(ctx, &ctx->ranges, file);
}
