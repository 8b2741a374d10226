// The inode cache: making inodes, finding them by number, references, and their end.
//
// An inode is found by (super block, number) in a hash read under RCU. iget_locked() puts a new one there
// with I_NEW set; others who want it wait until the file system has filled it, or given up (then it is
// unhashed and they try again). Every reference is counted in i_count; it goes from 0 up and down to 0 only
// under i_lock. At 0 an inode that can be found again stays on the LRU of its super block (inode_lru.c); any
// other is evicted: I_FREEING is set under i_lock (who finds it then waits until it is gone), the file system
// lets go of what belongs to it, it is unhashed, and its memory is freed after a grace period, since a
// lock-free walk may look at it.
//
// i_lock guards i_state, the edge of i_count at 0, hashing and LRU membership. Order: i_lock, then the
// bucket's lock, s_inode_list_lock, s_inode_lru_lock.

#include "vfs/inode_internal.h"

#include "vfs/cred.h"
#include "vfs/dcache_internal.h"
#include "vfs/file.h"
#include "vfs/locks.h"
#include "vfs/mount.h"
#include "vfs/xattr.h"

#include <errno.h>

static struct icache *icache_of(const struct super_block *sb)
{
	return &sb->s_machine->vfs->icache;
}

static struct hash_bucket *i_bucket(const struct super_block *sb, u64 ino)
{
	const struct icache *ic = icache_of(sb);

	return &ic->hash[((ino ^ (uintptr_t)sb >> 6) * GOLDEN_RATIO_64) >> ic->hash_shift];
}

// Making.

int inode_init_always(struct super_block *sb, struct inode *inode)
{
	struct posix_acl *acl = READ_ONCE(sb->s_flags) & SB_POSIXACL ? ACL_NOT_CACHED : NULL;

	memset(inode, 0, sizeof(*inode));
	inode->i_sb = sb;
	WRITE_ONCE(inode->i_acl, acl);
	WRITE_ONCE(inode->i_default_acl, acl);
	inode->i_nlink = 1;
	inode->i_blkbits = sb->s_blocksize_bits;
	inode->i_btime.tv_nsec = -1;
	spin_lock_init(&inode->i_lock);
	WRITE_ONCE(inode->i_state, 0);
	atomic_set(&inode->i_count, 1);
	init_rwsem(&inode->i_rwsem);
	INIT_HLIST_NODE(&inode->i_hash);
	INIT_LIST_HEAD(&inode->i_lru);
	INIT_LIST_HEAD(&inode->i_sb_list);
	INIT_LIST_HEAD(&inode->i_io_list);
	INIT_HLIST_HEAD(&inode->i_dentry);
	inode->i_op = &empty_inode_operations;
	inode->i_fop = &no_open_fops;
	inode->i_mapping = &inode->i_data;
	address_space_init(&inode->i_data, sb->s_machine, &empty_aops, NULL, inode);
	return 0;
}

static int alloc_inode(struct super_block *sb, struct inode **out)
{
	struct inode *inode;
	int err = 0;

	if (sb->s_op->alloc_inode)
		err = sb->s_op->alloc_inode(sb, &inode);
	else if (!(inode = pool_alloc(icache_of(sb)->pool)))
		err = -ENOMEM;
	if (err)
		return err;
	err = inode_init_always(sb, inode);
	if (err)
		return err;
	*out = inode;
	return 0;
}

static void free_inode_default(struct inode *inode)
{
	pool_free(inode->i_data.machine->vfs->icache.pool, inode);
}

static void inode_free_rcu(struct rcu_head *head)
{
	struct inode *inode = container_of(head, struct inode, i_rcu);

	inode->i_free(inode);
}

static void destroy_inode(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;

	posix_acl_cache_forget(inode);
	locks_free_context(inode);
	address_space_destroy(&inode->i_data);
	if (sb->s_op->destroy_inode)
		sb->s_op->destroy_inode(inode);
	inode->i_free = sb->s_op->free_inode ?: free_inode_default;
	call_rcu(sb->s_machine, &inode->i_rcu, inode_free_rcu);
}

static void inode_sb_list_add(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;

	spin_lock(&sb->s_inode_list_lock);
	list_add(&inode->i_sb_list, &sb->s_inodes);
	spin_unlock(&sb->s_inode_list_lock);
}

int new_inode(struct super_block *sb, struct inode **out)
{
	int err = alloc_inode(sb, out);

	if (err)
		return err;
	(*out)->i_ino = (u64)atomic64_inc_return(&icache_of(sb)->next_ino);
	inode_sb_list_add(*out);
	return 0;
}

// Finding.

static u32 inode_state(const struct inode *inode)
{
	return READ_ONCE(inode->i_state);
}
static void inode_state_set(struct inode *inode, u32 bits)
{
	__atomic_fetch_or(&inode->i_state, bits, __ATOMIC_RELAXED);
}

// i_lock held: sleeps until the inode that is being freed has left the hash. Gives up i_lock and the read
// section.
static void wait_on_freeing_inode(struct inode *inode) __no_lock_analysis
{
	wait_queue_head_t *wq = var_waitqueue(inode);
	DEFINE_WAIT(wait);

	prepare_to_wait(wq, &wait);
	spin_unlock(&inode->i_lock);
	rcu_read_unlock();
	schedule();
	finish_wait(wq, &wait);
}

static struct inode *hash_find(struct hash_bucket *b, const struct super_block *sb, u64 ino)
{
	struct inode *inode;

	hlist_for_each_entry_rcu (inode, &b->head, i_hash)
		if (inode->i_ino == ino && inode->i_sb == sb)
			return inode;
	return NULL;
}

// Referenced and no longer I_NEW, or NULL.
static struct inode *find_inode(struct super_block *sb, u64 ino) __no_lock_analysis
{
	struct hash_bucket *b = i_bucket(sb, ino);
	struct inode *inode;

	for (;;) {
		rcu_read_lock();
		inode = hash_find(b, sb, ino);
		if (!inode) {
			rcu_read_unlock();
			return NULL;
		}
		spin_lock(&inode->i_lock);
		if (hlist_unhashed_lockless(&inode->i_hash)) {
			spin_unlock(&inode->i_lock);
			rcu_read_unlock();
			continue;
		}
		if (inode_state(inode) & (I_FREEING | I_WILL_FREE)) {
			wait_on_freeing_inode(inode);
			continue;
		}
		atomic_inc(&inode->i_count);
		spin_unlock(&inode->i_lock);
		rcu_read_unlock();
		if (unlikely(inode_is_new(inode)))
			wait_var_event(inode, !inode_is_new(inode));
		if (likely(!hlist_unhashed_lockless(&inode->i_hash)))
			return inode;
		iput(inode); // its maker gave up
	}
}

struct inode *ilookup(struct super_block *sb, u64 ino)
{
	return find_inode(sb, ino);
}

int iget_locked(struct super_block *sb, u64 ino, struct inode **out)
{
	struct hash_bucket *b = i_bucket(sb, ino);
	struct inode *inode = find_inode(sb, ino), *fresh;
	int err;

	if (inode) {
		*out = inode;
		return 0;
	}
	err = alloc_inode(sb, &fresh);
	if (err)
		return err;
	fresh->i_ino = ino;
	WRITE_ONCE(fresh->i_state, I_NEW);
	for (;;) {
		spin_lock(&b->lock);
		if (!hash_find(b, sb, ino)) {
			hlist_add_head_rcu(&fresh->i_hash, &b->head);
			spin_unlock(&b->lock);
			inode_sb_list_add(fresh);
			*out = fresh;
			return 0;
		}
		spin_unlock(&b->lock);
		inode = find_inode(sb, ino);
		if (inode)
			break;
	}
	destroy_inode(fresh);
	*out = inode;
	return 0;
}

void insert_inode_hash(struct inode *inode)
{
	struct hash_bucket *b = i_bucket(inode->i_sb, inode->i_ino);

	spin_lock(&inode->i_lock);
	spin_lock(&b->lock);
	hlist_add_head_rcu(&inode->i_hash, &b->head);
	spin_unlock(&b->lock);
	spin_unlock(&inode->i_lock);
}

// i_lock held.
static void __remove_inode_hash(struct inode *inode)
{
	struct hash_bucket *b = i_bucket(inode->i_sb, inode->i_ino);

	if (hlist_unhashed_lockless(&inode->i_hash))
		return;
	spin_lock(&b->lock);
	hlist_del_init_rcu(&inode->i_hash);
	spin_unlock(&b->lock);
}

static void wake_inode_waiters(struct inode *inode)
{
	wait_queue_head_t *wq = var_waitqueue(inode);

	if (wq_has_sleeper(wq))
		wake_up_all(wq);
}

// The file system has filled it: all may use it.
void unlock_new_inode(struct inode *inode)
{
	spin_lock(&inode->i_lock);
	__atomic_fetch_and(&inode->i_state, ~I_NEW, __ATOMIC_RELEASE);
	spin_unlock(&inode->i_lock);
	wake_inode_waiters(inode);
}

// The file system could not fill it: it goes, with the caller's reference.
void iget_failed(struct inode *inode)
{
	spin_lock(&inode->i_lock);
	__remove_inode_hash(inode);
	spin_unlock(&inode->i_lock);
	inode->i_nlink = 0;
	unlock_new_inode(inode);
	iput(inode);
}

// References and the end.

void ihold(struct inode *inode)
{
	int count = atomic_inc_return(&inode->i_count);

	BUG_ON(count < 2);
}

int generic_drop_inode(struct inode *inode)
{
	return READ_ONCE(inode->i_nlink) == 0 || hlist_unhashed_lockless(&inode->i_hash);
}

void clear_inode(struct inode *inode)
{
	BUG_ON(!(inode_state(inode) & I_FREEING));
	WRITE_ONCE(inode->i_state, I_FREEING | I_CLEAR);
}

// I_FREEING is set: nobody else takes a reference.
void evict(struct inode *inode)
{
	const struct super_operations *op = inode->i_sb->s_op;

	spin_lock(&inode->i_sb->s_inode_list_lock);
	list_del_init(&inode->i_sb_list);
	spin_unlock(&inode->i_sb->s_inode_list_lock);
	inode_io_list_del(inode);
	if (op->evict_inode) {
		op->evict_inode(inode);
	} else {
		truncate_inode_pages_final(&inode->i_data);
		clear_inode(inode);
	}
	BUG_ON(!(inode_state(inode) & I_CLEAR));
	spin_lock(&inode->i_lock);
	__remove_inode_hash(inode);
	spin_unlock(&inode->i_lock);
	wake_inode_waiters(inode);
	if (errseq_unseen(&inode->i_sb->s_wb_err)) // otherwise a syncfs has told it
		note_lost_write(inode->i_sb->s_machine, errseq_unseen(&inode->i_data.wb_err));
	destroy_inode(inode);
}

// The last reference is gone; i_lock held, given up.
static void iput_final(struct inode *inode) __no_lock_analysis
{
	struct super_block *sb = inode->i_sb;
	bool drop = sb->s_op->drop_inode ? sb->s_op->drop_inode(inode) : generic_drop_inode(inode);

	if (!drop && READ_ONCE(sb->s_state) == SB_BORN) {
		inode_forget_clean(inode);
		inode_lru_add(inode);
		spin_unlock(&inode->i_lock);
		return;
	}
	inode_state_set(inode, I_FREEING);
	inode_lru_del(inode);
	spin_unlock(&inode->i_lock);
	evict(inode);
}

// NULL: nothing. May sleep.
void iput(struct inode *inode) __no_lock_analysis
{
	if (!inode || atomic_add_unless(&inode->i_count, -1, 1))
		return;
	spin_lock(&inode->i_lock);
	if (!atomic_dec_and_test(&inode->i_count)) {
		spin_unlock(&inode->i_lock);
		return;
	}
	iput_final(inode);
}

// Links.

void set_nlink(struct inode *inode, u32 nlink)
{
	WRITE_ONCE(inode->i_nlink, nlink);
}
void inc_nlink(struct inode *inode)
{
	WRITE_ONCE(inode->i_nlink, inode->i_nlink + 1);
}
void drop_nlink(struct inode *inode)
{
	BUG_ON(inode->i_nlink == 0);
	WRITE_ONCE(inode->i_nlink, inode->i_nlink - 1);
}

int icache_init(struct shale *machine)
{
	struct icache *ic = &machine->vfs->icache;
	int err = pool_create(machine, "inode", sizeof(struct inode), POOL_CACHELINE, NULL, &ic->pool);

	if (err)
		return err;
	err = vfs_hash_create(machine, 8192, &ic->hash, &ic->hash_size, &ic->hash_shift);
	if (err) {
		pool_destroy(ic->pool);
		return err;
	}
	icache_shrinker_register(machine);
	return 0;
}

// All super blocks are gone and all callbacks have run.
void icache_exit(struct shale *machine)
{
	struct icache *ic = &machine->vfs->icache;

	shrinker_unregister(machine, &ic->shrinker);
	vfs_hash_destroy(ic->hash, ic->hash_size);
	pool_destroy(ic->pool);
}
