// devtmpfs: a tree of device nodes that the machine itself keeps: made when a device comes, removed when it
// goes. One tree a machine, the same at every place where it is mounted.
//
// The device floor tells of devices through a listener. The nodes are made by a work item on the machine's
// ordered queue, acting as root; who adds the device waits for that, so its node is there when it returns.
// `requests` is guarded by `lock`. Only nodes that were made here are removed here.
#include "base/alloc.h"
#include "base/log.h"
#include "base/machine.h"
#include "device/device.h"
#include "device/module.h"
#include "vfs/cred.h"
#include "vfs/dcache.h"
#include "vfs/fs_context.h"
#include "vfs/inode.h"
#include "vfs/libfs.h"
#include "vfs/mount.h"
#include "vfs/namei.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>

struct devtmpfs {
	struct shale *machine;
	struct vfsmount *mnt; // keeps the tree
	struct workqueue_struct *queue;
	struct work_struct work;
	struct device_listener listener;
	spinlock_t lock;
	struct list_head requests;
	struct task daemon; // who the work acts as: credentials only
};

struct devtmpfs_request {
	struct list_head list;
	const char *name;
	mode_t mode; // 0: remove
	dev_t devt;
	int err;
	struct completion done;
};

static int devtmpfs_fill_super(struct super_block *sb, struct fs_context *fc)
{
	return mem_tree_fill_super(sb, TMPFS_MAGIC, 0755);
}

static int devtmpfs_get_tree(struct fs_context *fc)
{
	return get_tree_single(fc, devtmpfs_fill_super);
}

static int devtmpfs_reconfigure(struct fs_context *fc)
{
	return 0;
}

static const struct fs_context_operations devtmpfs_context_ops = {
	.get_tree = devtmpfs_get_tree,
	.reconfigure = devtmpfs_reconfigure,
};

static int devtmpfs_init_fs_context(struct fs_context *fc)
{
	fc->ops = &devtmpfs_context_ops;
	return 0;
}

static const struct file_system_type devtmpfs_type = {
	.name = "devtmpfs",
	.init_fs_context = devtmpfs_init_fs_context,
	.kill_sb = kill_litter_super,
};

// The directory is locked and `dentry` looked up again by its lock: somebody may have made the name
// meanwhile.
static int make_node(struct devtmpfs *d, struct dentry *dentry, const struct devtmpfs_request *req)
{
	struct inode *dir = d_inode(d->mnt->mnt_root);
	int err = -EEXIST;

	inode_lock(dir);
	if (d_is_negative(dentry)) {
		err = vfs_mknod(mnt_idmap(d->mnt), dir, dentry, req->mode, req->devt);
		if (!err)
			d_inode(dentry)->i_private = d;
	}
	inode_unlock(dir);
	return err;
}

static int remove_node(struct devtmpfs *d, struct dentry *dentry, const struct devtmpfs_request *req)
{
	struct inode *dir = d_inode(d->mnt->mnt_root);
	int err = -ENOENT;

	inode_lock(dir);
	if (!d_is_negative(dentry) && d_inode(dentry)->i_private == d && d_inode(dentry)->i_rdev == req->devt)
		err = vfs_unlink(mnt_idmap(d->mnt), dir, dentry);
	inode_unlock(dir);
	return err;
}

static int handle_request(struct devtmpfs *d, const struct devtmpfs_request *req)
{
	struct dentry *dentry;
	int err = lookup_one_unlocked(d->mnt->mnt_root, req->name, strlen(req->name), &dentry);

	if (err)
		return err;
	err = req->mode ? make_node(d, dentry, req) : remove_node(d, dentry, req);
	dput(dentry);
	return err;
}

static void devtmpfs_work(struct work_struct *work)
{
	struct devtmpfs *d = container_of(work, struct devtmpfs, work);
	struct task *before = current->task;

	current->task = &d->daemon;
	for (;;) {
		struct devtmpfs_request *req = NULL;

		spin_lock(&d->lock);
		if (!list_empty(&d->requests)) {
			req = list_first_entry(&d->requests, struct devtmpfs_request, list);
			list_del(&req->list);
		}
		spin_unlock(&d->lock);
		if (!req)
			break;
		req->err = handle_request(d, req);
		complete(&req->done);
	}
	current->task = before;
}

static int devtmpfs_submit(struct devtmpfs *d, struct devtmpfs_request *req)
{
	init_completion(&req->done);
	spin_lock(&d->lock);
	list_add_tail(&req->list, &d->requests);
	spin_unlock(&d->lock);
	queue_work(d->queue, &d->work);
	flush_work(&d->work); // does it here, where no thread is to be had
	wait_for_completion(&req->done);
	return req->err;
}

static void devtmpfs_added(struct device_listener *listener, struct device *dev)
{
	struct devtmpfs *d = container_of(listener, struct devtmpfs, listener);
	mode_t perm = dev->mode ? dev->mode & 0777 : 0600;
	struct devtmpfs_request req = {
		.name = dev->name,
		.mode = (device_is_block(dev) ? S_IFBLK : S_IFCHR) | perm,
		.devt = dev->devt,
	};

	if (dev->devt && devtmpfs_submit(d, &req))
		pr_warn(d->machine, "devtmpfs: no node for %s: error %d", dev->name, req.err);
}

static void devtmpfs_removed(struct device_listener *listener, struct device *dev)
{
	struct devtmpfs *d = container_of(listener, struct devtmpfs, listener);
	struct devtmpfs_request req = {.name = dev->name, .devt = dev->devt};

	if (dev->devt)
		devtmpfs_submit(d, &req); // the node may be gone, or another's
}

static int devtmpfs_start(struct devtmpfs *d)
{
	int err = cred_create(d->machine, NULL, &d->daemon.cred);

	if (err)
		return err;
	err = alloc_workqueue(d->machine, "devtmpfs", 1, &d->queue);
	if (err)
		goto out_cred;
	err = kern_mount(d->machine, &devtmpfs_type, &d->mnt);
	if (err)
		goto out_queue;
	d->mnt->mnt_sb->s_fs_info = d;
	device_listener_register(d->machine, &d->listener);
	return 0;
out_queue:
	destroy_workqueue(d->queue);
out_cred:
	put_cred(d->daemon.cred);
	return err;
}

static int devtmpfs_init(struct shale *machine)
{
	struct devtmpfs *d = kzalloc(machine, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	d->machine = machine;
	d->daemon.machine = machine;
	spin_lock_init(&d->lock);
	INIT_LIST_HEAD(&d->requests);
	INIT_WORK(&d->work, devtmpfs_work);
	d->listener.added = devtmpfs_added;
	d->listener.removed = devtmpfs_removed;
	err = register_filesystem(machine, &devtmpfs_type);
	if (!err) {
		err = devtmpfs_start(d);
		if (err)
			unregister_filesystem(machine, &devtmpfs_type);
	}
	if (err)
		kfree(d);
	return err;
}

static void devtmpfs_exit(struct shale *machine)
{
	// The machine has no place for file systems' own state: the super block of the one tree keeps it.
	struct devtmpfs *d = super_of_type(machine, &devtmpfs_type)->s_fs_info;

	device_listener_unregister(machine, &d->listener);
	destroy_workqueue(d->queue);
	mntput(d->mnt);
	put_cred(d->daemon.cred);
	unregister_filesystem(machine, &devtmpfs_type);
	kfree(d);
}

SHALE_MODULE(devtmpfs, MODULE_FS, devtmpfs_init, devtmpfs_exit);
