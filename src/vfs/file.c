// Open files: making and freeing them, the limit on their number, references.
//
// A file belongs to the descriptors and calls that hold its count; the last fput releases what it holds (its
// path, which is a dentry and a mount) and gives the memory back at once. The memory stays a struct file
// until a grace period is over, so lock-free lookups may look at freed ones: f_count is 0 there. The pool's
// count of objects is the number of open files.
#include "base/alloc.h"
#include "vfs/cred.h"
#include "vfs/dcache.h"
#include "vfs/files_internal.h"
#include "vfs/inode.h"
#include "vfs/locks.h"
#include "vfs/mount.h"
#include "vfs/super.h"
#include "vfs/vfs_internal.h"

#include <errno.h>

#define FILE_MAX_LEAST 8192

struct files_machine *files_of(struct shale *machine)
{
	return machine->vfs->files;
}

s64 nr_open_files(struct shale *machine)
{
	return (s64)pool_in_use(files_of(machine)->file_pool);
}

static bool nr_files_exceeded(struct shale *machine, struct files_machine *fm)
{
	if (likely((s64)pool_capacity(fm->file_pool) < fm->file_max))
		return false;
	return nr_open_files(machine) >= fm->file_max && !cred_has_cap(current_cred(), SHALE_CAP_SYS_ADMIN);
}

static void file_ctor(void *object)
{
	struct file *file = object;

	memset(file, 0, sizeof(*file));
	mutex_init(&file->f_pos_lock);
}

int files_init(struct shale *machine)
{
	struct files_machine *fm;
	int err;

	fm = kmalloc_aligned(machine, sizeof(*fm), 64);
	if (!fm)
		return -ENOMEM;
	memset(fm, 0, sizeof(*fm));
	err = pool_create(machine, "file", sizeof(struct file), POOL_TYPESAFE | POOL_CACHELINE, file_ctor,
			  &fm->file_pool);
	if (err) {
		kfree(fm);
		return err;
	}
	// As Linux sizes file-max: a tenth of memory at 1 KiB a file.
	fm->file_max = (s64)(machine->options.memory_limit / 10 / 1024);
	if (fm->file_max < FILE_MAX_LEAST)
		fm->file_max = FILE_MAX_LEAST;
	spin_lock_init(&fm->tasks_lock);
	INIT_LIST_HEAD(&fm->tasks);
	machine->vfs->files = fm;
	return 0;
}

void files_exit(struct shale *machine)
{
	struct files_machine *fm = files_of(machine);

	if (!fm)
		return;
	BUG_ON(!list_empty(&fm->tasks));
	pool_destroy(fm->file_pool);
	kfree(fm);
	machine->vfs->files = NULL;
}

int alloc_empty_file(struct task *task, unsigned flags, struct file **out)
{
	struct shale *machine = task->machine;
	struct files_machine *fm = files_of(machine);
	const struct cred *cred = current_cred();
	struct file *file;

	if (unlikely(nr_files_exceeded(machine, fm)))
		return -ENFILE;
	file = pool_alloc(fm->file_pool);
	if (unlikely(!file))
		return -ENOMEM;
	WRITE_ONCE(file->f_gen, file->f_gen + 1);
	smp_wmb();
	WRITE_ONCE(file->f_mode, 0);
	if (unlikely(!files_pin_cred(task->files, cred))) {
		get_cred(cred);
		WRITE_ONCE(file->f_mode, FMODE_OWN_CRED);
	}
	WRITE_ONCE(file->f_flags, flags);
	file->f_op = NULL;
	WRITE_ONCE(file->f_mapping, NULL);
	WRITE_ONCE(file->f_inode, NULL);
	WRITE_ONCE(file->f_path.mnt, NULL);
	WRITE_ONCE(file->f_path.dentry, NULL);
	file->f_cred = cred;
	file->private_data = NULL;
	file->f_pos = 0;
	file->f_wb_err = 0;
	file->f_sb_err = 0;
	file->f_machine = machine;
	atomic64_set_release(&file->f_count, 1);
	*out = file;
	return 0;
}

struct file *get_file(struct file *file)
{
	atomic64_inc(&file->f_count);
	return file;
}

static void file_free(struct file *file)
{
	if (unlikely(file->f_mode & FMODE_OWN_CRED))
		put_cred(file->f_cred);
	pool_free(files_of(file->f_machine)->file_pool, file);
}

static noinline void file_release_slow(struct file *file)
{
	if (file->f_mode & FMODE_LOCKED)
		locks_remove_file(file);
	if ((file->f_mode & FMODE_OPENED) && file->f_op->release)
		file->f_op->release(file->f_inode, file);
	if (file->f_mode & FMODE_WRITER)
		mnt_put_write_access(file->f_path.mnt);
}

static void __fput(struct file *file)
{
	if (file->f_op && (file->f_op->release || (file->f_mode & (FMODE_WRITER | FMODE_LOCKED))))
		file_release_slow(file);
	if (file->f_path.dentry) {
		dput(file->f_path.dentry);
		mntput(file->f_path.mnt);
	}
	file_free(file);
}

void fput(struct file *file)
{
	if (atomic64_dec_and_test(&file->f_count))
		__fput(file);
}

int filp_close(struct file *file, struct files_struct *files)
{
	int err = 0;

	if (unlikely(file->f_op && file->f_op->flush) && !(file->f_mode & FMODE_PATH))
		err = file->f_op->flush(file);
	if (unlikely(READ_ONCE(files->posix_locked)) && !(file->f_mode & FMODE_PATH))
		locks_remove_posix(file, files);
	fput(file);
	return err;
}

static struct fd fdget_mode(int fd, unsigned mask)
{
	struct files_struct *files = current->task->files;

	for (;;) {
		struct file *file;

		rcu_read_lock();
		file = files_lookup_fd_raw(files, (unsigned)fd);
		if (unlikely(!file)) {
			rcu_read_unlock();
			return (struct fd){NULL};
		}
		if (unlikely(!atomic64_inc_not_zero(&file->f_count))) {
			// Closed, and its slot is about to show it.
			rcu_read_unlock();
			cpu_relax();
			continue;
		}
		if (unlikely(files_lookup_fd_raw(files, (unsigned)fd) != file)) {
			rcu_read_unlock();
			fput(file);
			continue;
		}
		rcu_read_unlock();
		if (unlikely(READ_ONCE(file->f_mode) & mask)) {
			fput(file);
			return (struct fd){NULL};
		}
		return (struct fd){file};
	}
}

struct fd fdget(int fd)
{
	return fdget_mode(fd, FMODE_PATH);
}

struct fd fdget_raw(int fd)
{
	return fdget_mode(fd, 0);
}

struct fd fdget_pos(int fd) __no_lock_analysis
{
	struct fd f = fdget(fd);

	if (f.file && (f.file->f_mode & FMODE_ATOMIC_POS))
		mutex_lock(&f.file->f_pos_lock);
	return f;
}

void fdput(struct fd f)
{
	if (f.file)
		fput(f.file);
}

void fdput_pos(struct fd f) __no_lock_analysis
{
	if (f.file && (f.file->f_mode & FMODE_ATOMIC_POS))
		mutex_unlock(&f.file->f_pos_lock);
	fdput(f);
}
