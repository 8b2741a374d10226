// Descriptor tables: the lowest free number, growth without stopping readers, close-on-exec, dup and
// close_range.
//
// files->file_lock guards every change of a table: its bitmaps, its slots, next_fd, and which fdtable is
// published. Readers look only at fdt, max_fds and fd[], under RCU. The free numbers are found in two levels:
// a bit of full_fds_bits says that a whole word of open_fds is taken. A set bit with an empty slot is a
// number handed out by get_unused_fd_flags() whose file is not installed yet.
#include "base/alloc.h"
#include "base/current.h"
#include "vfs/cred.h"
#include "vfs/files_internal.h"
#include "vfs/vfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#ifndef CLOSE_RANGE_UNSHARE // <linux/close_range.h>
#define CLOSE_RANGE_UNSHARE 2u
#define CLOSE_RANGE_CLOEXEC 4u
#endif

#define WORDS(nr) ((nr) / BITS_PER_LONG)

static bool fd_bit(const unsigned long *map, unsigned nr)
{
	return map[nr / BITS_PER_LONG] >> nr % BITS_PER_LONG & 1;
}

static void fd_bit_set(unsigned long *map, unsigned nr)
{
	map[nr / BITS_PER_LONG] |= 1ul << nr % BITS_PER_LONG;
}

static void fd_bit_clear(unsigned long *map, unsigned nr)
{
	map[nr / BITS_PER_LONG] &= ~(1ul << nr % BITS_PER_LONG);
}

// The first clear bit at or after `from`, or `size`.
static unsigned next_zero(const unsigned long *map, unsigned size, unsigned from)
{
	for (unsigned word = from / BITS_PER_LONG; word < DIV_ROUND_UP(size, BITS_PER_LONG); word++) {
		unsigned long zeros = ~map[word];

		if (word == from / BITS_PER_LONG)
			zeros &= ~0ul << from % BITS_PER_LONG;
		if (zeros) {
			unsigned nr = word * BITS_PER_LONG + __ffs(zeros);

			return nr < size ? nr : size;
		}
	}
	return size;
}

static void fdt_take(struct fdtable *fdt, unsigned fd, bool cloexec)
{
	fd_bit_set(fdt->open_fds, fd);
	if (!~fdt->open_fds[WORDS(fd)])
		fd_bit_set(fdt->full_fds_bits, WORDS(fd));
	if (cloexec)
		fd_bit_set(fdt->close_on_exec, fd);
	else
		fd_bit_clear(fdt->close_on_exec, fd);
}

static void fdt_release(struct files_struct *files, struct fdtable *fdt, unsigned fd)
{
	fd_bit_clear(fdt->open_fds, fd);
	fd_bit_clear(fdt->full_fds_bits, WORDS(fd));
	if (fd < files->next_fd)
		files->next_fd = fd;
}

static unsigned find_next_fd(const struct fdtable *fdt, unsigned start)
{
	unsigned words = WORDS(fdt->max_fds), word = WORDS(start), nr;

	// The word of the hint first: that is where it nearly always is.
	if (word < words) {
		unsigned long zeros = ~fdt->open_fds[word] & (~0ul << start % BITS_PER_LONG);

		if (likely(zeros))
			return word * BITS_PER_LONG + __ffs(zeros);
	}
	nr = next_zero(fdt->full_fds_bits, words, word + 1) * BITS_PER_LONG;
	if (nr >= fdt->max_fds)
		return start > fdt->max_fds ? start : fdt->max_fds;
	return next_zero(fdt->open_fds, fdt->max_fds, nr > start ? nr : start);
}

static int fdtable_alloc(struct shale *machine, unsigned nr, struct fdtable **out)
{
	unsigned words = WORDS(nr), full_words = DIV_ROUND_UP(words, BITS_PER_LONG);
	struct fdtable *fdt;
	char *mem;

	mem = kvzalloc(machine,
		       sizeof(*fdt) + nr * sizeof(struct file *) + (2 * words + full_words) * sizeof(long));
	if (!mem)
		return -ENOMEM;
	fdt = (struct fdtable *)mem;
	fdt->max_fds = nr;
	fdt->fd = (struct file **)(mem + sizeof(*fdt));
	fdt->open_fds = (unsigned long *)(fdt->fd + nr);
	fdt->close_on_exec = fdt->open_fds + words;
	fdt->full_fds_bits = fdt->close_on_exec + words;
	*out = fdt;
	return 0;
}

// The first `count` numbers of `from`, into a zeroed or larger table.
static void fdtable_copy_bits(struct fdtable *to, const struct fdtable *from, unsigned count)
{
	unsigned words = WORDS(count);

	memcpy(to->open_fds, from->open_fds, words * sizeof(long));
	memcpy(to->close_on_exec, from->close_on_exec, words * sizeof(long));
	for (unsigned word = 0; word < words; word++)
		if (!~to->open_fds[word])
			fd_bit_set(to->full_fds_bits, word);
}

static void fdtable_free_rcu(struct rcu_head *head)
{
	kvfree(container_of(head, struct fdtable, rcu));
}

// How many descriptors a table that is to hold number `nr` gets: powers of two from 256 on.
static unsigned fdtable_size(unsigned nr)
{
	u64 size = roundup_pow_of_two((u64)nr + 1);

	return size < 256 ? 256 : (unsigned)size;
}

// Makes room for number `nr`. Called with the lock, which is dropped and taken again when memory must be
// found: 1 then, 0 when there was room.
static int expand_files(struct files_struct *files, unsigned nr) __no_lock_analysis
{
	struct fdtable *old = files->fdt, *new;
	int err;

	if (likely(nr < old->max_fds))
		return 0;
	if (nr >= NR_OPEN_MAX)
		return -EMFILE;
	spin_unlock(&files->file_lock);
	err = fdtable_alloc(files->machine, fdtable_size(nr), &new);
	spin_lock(&files->file_lock);
	if (err)
		return err;
	old = files->fdt;
	if (nr < old->max_fds) { // somebody else was faster
		kvfree(new);
		return 1;
	}
	fdtable_copy_bits(new, old, old->max_fds);
	memcpy(new->fd, old->fd, old->max_fds * sizeof(struct file *));
	rcu_assign_pointer(files->fdt, new);
	if (old != &files->fdtab)
		call_rcu(files->machine, &old->rcu, fdtable_free_rcu);
	return 1;
}

static int alloc_fd_locked(struct files_struct *files, unsigned start, unsigned end, bool cloexec)
{
	for (;;) {
		struct fdtable *fdt = files->fdt;
		unsigned fd = start > files->next_fd ? start : files->next_fd;
		int err;

		if (fd < fdt->max_fds)
			fd = find_next_fd(fdt, fd);
		if (fd >= end)
			return -EMFILE;
		err = expand_files(files, fd);
		if (err < 0)
			return err;
		if (err)
			continue; // the lock was dropped
		if (start <= files->next_fd)
			files->next_fd = fd + 1;
		fdt_take(files->fdt, fd, cloexec);
		return (int)fd;
	}
}

static unsigned nofile_limit(void)
{
	u64 limit = READ_ONCE(current->task->rlim_nofile_cur);

	return limit < NR_OPEN_MAX ? (unsigned)limit : NR_OPEN_MAX;
}

int get_unused_fd_flags(unsigned flags)
{
	struct files_struct *files = current->task->files;
	unsigned limit = nofile_limit();
	int fd;

	spin_lock(&files->file_lock);
	fd = alloc_fd_locked(files, 0, limit, flags & O_CLOEXEC);
	spin_unlock(&files->file_lock);
	return fd;
}

void put_unused_fd(unsigned fd)
{
	struct files_struct *files = current->task->files;

	spin_lock(&files->file_lock);
	fdt_release(files, files->fdt, fd);
	spin_unlock(&files->file_lock);
}

// The slot is ours since the number was handed out, but a grown table may be published meanwhile: so under
// the lock.
void fd_install(unsigned fd, struct file *file)
{
	struct files_struct *files = current->task->files;

	spin_lock(&files->file_lock);
	BUG_ON(files->fdt->fd[fd] != NULL);
	rcu_assign_pointer(files->fdt->fd[fd], file);
	spin_unlock(&files->file_lock);
}

long ksys_close(int fd)
{
	struct files_struct *files = current->task->files;
	struct fdtable *fdt;
	struct file *file = NULL;

	spin_lock(&files->file_lock);
	fdt = files->fdt;
	if (likely((unsigned)fd < fdt->max_fds))
		file = fdt->fd[fd];
	if (likely(file)) {
		rcu_assign_pointer(fdt->fd[fd], NULL);
		fdt_release(files, fdt, (unsigned)fd);
	}
	spin_unlock(&files->file_lock);
	return likely(file) ? filp_close(file, files) : -EBADF;
}

// Puts `file` (its reference is eaten) at number fd, over what was there. Called with the lock, which it
// gives up.
static int do_dup2(struct files_struct *files, struct file *file, unsigned fd, bool cloexec)
	__releases(files->file_lock) __no_lock_analysis
{
	struct fdtable *fdt = files->fdt;
	struct file *old = fdt->fd[fd];

	if (!old && fd_bit(fdt->open_fds, fd)) { // handed out, not installed yet
		spin_unlock(&files->file_lock);
		fput(file);
		return -EBUSY;
	}
	rcu_assign_pointer(fdt->fd[fd], file);
	fdt_take(fdt, fd, cloexec);
	spin_unlock(&files->file_lock);
	if (old)
		filp_close(old, files);
	return (int)fd;
}

long ksys_dup3(int oldfd, int newfd, int flags) __no_lock_analysis
{
	struct files_struct *files = current->task->files;
	struct fd from;
	int err;

	if (flags & ~O_CLOEXEC)
		return -EINVAL;
	if (oldfd == newfd)
		return -EINVAL;
	if ((unsigned)newfd >= nofile_limit())
		return -EBADF;
	from = fdget_raw(oldfd);
	if (!from.file)
		return -EBADF;
	spin_lock(&files->file_lock);
	err = expand_files(files, (unsigned)newfd);
	if (err < 0) {
		spin_unlock(&files->file_lock);
		fput(from.file);
		return err == -EMFILE ? -EBADF : err;
	}
	return do_dup2(files, from.file, (unsigned)newfd, flags & O_CLOEXEC);
}

long ksys_dup(int fd)
{
	struct fd f = fdget_raw(fd);

	return f.file ? fd_dupfd(f.file, 0, 0) : -EBADF;
}

// As dup3 without flags, but the same number twice is no error.
long ksys_dup2(int oldfd, int newfd)
{
	struct fd f;

	if (oldfd != newfd)
		return ksys_dup3(oldfd, newfd, 0);
	f = fdget_raw(oldfd);
	if (!f.file)
		return -EBADF;
	fdput(f);
	return newfd;
}

int fd_dupfd(struct file *file, unsigned from, unsigned flags)
{
	struct files_struct *files = current->task->files;
	unsigned limit = nofile_limit();
	int fd;

	if (from >= limit) {
		fput(file);
		return -EINVAL;
	}
	spin_lock(&files->file_lock);
	fd = alloc_fd_locked(files, from, limit, flags & O_CLOEXEC);
	if (fd >= 0)
		rcu_assign_pointer(files->fdt->fd[fd], file);
	spin_unlock(&files->file_lock);
	if (fd < 0)
		fput(file);
	return fd;
}

int fd_get_cloexec(unsigned fd)
{
	struct files_struct *files = current->task->files;

	scoped_spin_lock(&files->file_lock);
	if (fd >= files->fdt->max_fds || !files->fdt->fd[fd])
		return -EBADF;
	return fd_bit(files->fdt->close_on_exec, fd);
}

int fd_set_cloexec(unsigned fd, bool on)
{
	struct files_struct *files = current->task->files;

	scoped_spin_lock(&files->file_lock);
	if (fd >= files->fdt->max_fds || !files->fdt->fd[fd])
		return -EBADF;
	if (on)
		fd_bit_set(files->fdt->close_on_exec, fd);
	else
		fd_bit_clear(files->fdt->close_on_exec, fd);
	return 0;
}

// The next installed file in [*fd, last], taken out of the table when `take`; NULL at the end. *fd is its
// number.
static struct file *next_file(struct files_struct *files, unsigned *fd, unsigned last, bool cloexec)
{
	struct fdtable *fdt;

	scoped_spin_lock(&files->file_lock);
	fdt = files->fdt;
	for (; *fd <= last && *fd < fdt->max_fds; ++*fd) {
		struct file *file = fdt->fd[*fd];

		if (cloexec) {
			if (fd_bit(fdt->open_fds, *fd))
				fd_bit_set(fdt->close_on_exec, *fd);
		} else if (file) {
			rcu_assign_pointer(fdt->fd[*fd], NULL);
			fdt_release(files, fdt, *fd);
			return file;
		}
	}
	return NULL;
}

// A table of the task's own, without what is to be closed at its end anyway.
static int unshare_files(unsigned below)
{
	struct task *task = current->task;
	struct files_struct *old = task->files, *new;
	int err;

	if (atomic_read(&old->count) == 1)
		return 0;
	err = files_dup_below(old, below, &new);
	if (err)
		return err;
	WRITE_ONCE(task->files, new);
	files_put(old);
	return 0;
}

long ksys_close_range(unsigned first, unsigned last, unsigned flags)
{
	struct file *file;
	unsigned fd = first;

	if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
		return -EINVAL;
	if (first > last)
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE) {
		bool drop = !(flags & CLOSE_RANGE_CLOEXEC) && last >= NR_OPEN_MAX - 1;
		int err = unshare_files(drop ? first : NR_OPEN_MAX);

		if (err)
			return err;
	}
	while ((file = next_file(current->task->files, &fd, last, flags & CLOSE_RANGE_CLOEXEC)))
		filp_close(file, current->task->files);
	return 0;
}

static int files_alloc_empty(struct shale *machine, struct files_struct **out)
{
	struct files_struct *files = kmalloc_aligned(machine, sizeof(*files), 64);
	struct fdtable *fdt;

	if (!files)
		return -ENOMEM;
	memset(files, 0, sizeof(*files));
	fdt = &files->fdtab;
	fdt->max_fds = NR_OPEN_DEFAULT;
	fdt->fd = files->fd_array;
	fdt->open_fds = files->open_fds_init;
	fdt->close_on_exec = files->close_on_exec_init;
	fdt->full_fds_bits = files->full_fds_bits_init;
	files->machine = machine;
	atomic_set(&files->count, 1);
	spin_lock_init(&files->file_lock);
	files->fdt = fdt;
	*out = files;
	return 0;
}

int files_alloc(struct shale *machine, struct files_struct **out)
{
	return files_alloc_empty(machine, out);
}

// Numbers that are in use below `below`, rounded up to whole words.
static unsigned count_open_files(const struct fdtable *fdt, unsigned below)
{
	unsigned size = below < fdt->max_fds ? round_up(below, BITS_PER_LONG) : fdt->max_fds;
	unsigned words = WORDS(size);

	while (words && !fdt->open_fds[words - 1])
		words--;
	return words * BITS_PER_LONG;
}

// Copies bits and files of [0, below) into the fresh table `to`, which has room for `count`. The old table's
// lock is held.
static void files_copy(struct fdtable *to, const struct fdtable *from, unsigned count, unsigned below)
{
	fdtable_copy_bits(to, from, count);
	for (unsigned fd = 0; fd < count; fd++) {
		struct file *file = fd < below ? from->fd[fd] : NULL;

		if (file) {
			to->fd[fd] = get_file(file);
		} else if (fd_bit(to->open_fds, fd)) { // not installed yet: it is not ours
			fd_bit_clear(to->open_fds, fd);
			fd_bit_clear(to->full_fds_bits, WORDS(fd));
			fd_bit_clear(to->close_on_exec, fd);
		}
	}
}

static int files_grow_fresh(struct files_struct *files, unsigned count)
{
	struct fdtable *fdt;
	int err;

	if (count <= files->fdt->max_fds)
		return 0;
	err = fdtable_alloc(files->machine, fdtable_size(count - 1), &fdt);
	if (err)
		return err;
	if (files->fdt != &files->fdtab)
		kvfree(files->fdt);
	files->fdt = fdt;
	return 0;
}

int files_dup_below(struct files_struct *old, unsigned below, struct files_struct **out) __no_lock_analysis
{
	struct files_struct *new;
	unsigned count;
	int err;

	err = files_alloc_empty(old->machine, &new);
	if (err)
		return err;
	spin_lock(&old->file_lock);
	while ((count = count_open_files(old->fdt, below)) > new->fdt->max_fds) {
		spin_unlock(&old->file_lock);
		err = files_grow_fresh(new, count);
		if (err) {
			files_put(new);
			return err;
		}
		spin_lock(&old->file_lock);
	}
	files_copy(new->fdt, old->fdt, count, below);
	new->next_fd = below < old->next_fd ? 0 : old->next_fd;
	for (unsigned i = 0; i < PINNED_CREDS; i++) {
		new->pinned[i] = old->pinned[i];
		if (new->pinned[i])
			get_cred(new->pinned[i]);
	}
	spin_unlock(&old->file_lock);
	*out = new;
	return 0;
}

int files_dup(struct files_struct *old, struct files_struct **out)
{
	return files_dup_below(old, NR_OPEN_MAX, out);
}

// The last task has left: nobody else looks at the table any more.
void files_put(struct files_struct *files)
{
	struct fdtable *fdt;

	if (!atomic_dec_and_test(&files->count))
		return;
	fdt = files->fdt;
	for (unsigned fd = 0; fd < fdt->max_fds; fd++)
		if (fdt->fd[fd])
			filp_close(fdt->fd[fd], files);
	for (unsigned i = 0; i < PINNED_CREDS; i++)
		if (files->pinned[i])
			put_cred(files->pinned[i]);
	if (fdt != &files->fdtab)
		kvfree(fdt);
	kfree(files);
}

bool files_pin_cred(struct files_struct *files, const struct cred *cred)
{
	if (likely(smp_load_acquire(&files->pinned[0]) == cred))
		return true;
	scoped_spin_lock(&files->file_lock);
	for (unsigned i = 0; i < PINNED_CREDS; i++) {
		if (files->pinned[i] == cred)
			return true;
		if (!files->pinned[i]) {
			get_cred(cred);
			smp_store_release(&files->pinned[i], cred);
			return true;
		}
	}
	return false;
}
