/* SPDX-License-Identifier: MIT */
/*
 * XArray: an array of pointers indexed by unsigned long, mostly empty, with three marks per entry. A tree of
 * nodes of 64 slots; a single entry at index 0 stands in the head without any node.
 *
 * Readers hold rcu_read_lock (xa_load and the other xa_ functions take it themselves) and no lock; writers
 * hold xa_lock (the xas_ functions that change expect it, the xa_ functions take it). Nodes are allocated by
 * the stores themselves (which can fail with -ENOMEM and then have changed nothing), counted against the
 * machine, and freed after a grace period. The array does not own what its entries point to: a reader must
 * make sure that what it found still is what it looked for (take a reference, then xas_reload).
 *
 * An entry of order n stands for 2^n indices, aligned: a load at any of them gives it. A store covers exactly
 * the order asked for (XA_STATE_ORDER); what was there inside is dropped, and a larger entry that stood over
 * it is erased in whole. Storing NULL erases the whole entry at the index. Marks are set and asked at any
 * index of an entry. A store of an entry over others keeps the marks of what it replaces; storing NULL clears
 * them.
 *
 * Entries are pointers aligned to 4 (not NULL, not below 4096), or values made by xa_mk_value of up to 63
 * bits.
 */
#ifndef SHALE_BASE_XARRAY_H
#define SHALE_BASE_XARRAY_H

#include "base/rcu.h"
#include "base/spinlock.h"

struct shale;

#define XA_CHUNK_SHIFT 6
#define XA_CHUNK_SIZE  (1u << XA_CHUNK_SHIFT)
#define XA_CHUNK_MASK  (XA_CHUNK_SIZE - 1)
#define XA_MAX_MARKS   3

typedef unsigned xa_mark_t;
#define XA_MARK_0   0u
#define XA_MARK_1   1u
#define XA_MARK_2   2u
#define XA_PRESENT  8u /* in place of a mark: any entry */
#define XA_MARK_MAX XA_MARK_2

struct xarray {
	spinlock_t xa_lock;
	u32 xa_marks;  /* bit per mark: of an entry in the head itself; guarded by xa_lock, read relaxed */
	void *xa_head; /* NULL, an entry at index 0, or the top node; guarded by xa_lock, read under RCU */
	struct shale *xa_machine;
};

/* Shape, parent and slots are read under RCU; everything is changed under xa_lock. */
struct xa_node {
	struct rcu_head rcu;
	struct xa_node *parent; /* NULL at the top */
	struct xarray *array;
	u8 shift;                          /* bits of the index below this node's; constant */
	u8 offset;                         /* slot in the parent; constant while it has one */
	u8 count;                          /* slots in use, siblings included */
	unsigned long marks[XA_MAX_MARKS]; /* of the canonical slot of each entry; of a child: any inside */
	void *slots[XA_CHUNK_SIZE];
};

/*
 * What a slot can hold: pointers end in 00, values in 1, internals in 10: a node, a sibling (the number of
 * the slot that holds the entry), or the word that tells a lock-free reader to start again.
 */
static inline void *xa_mk_value(unsigned long v)
{
	return (void *)(v << 1 | 1);
}
static inline unsigned long xa_to_value(const void *entry)
{
	return (unsigned long)entry >> 1;
}
static inline bool xa_is_value(const void *entry)
{
	return (unsigned long)entry & 1;
}
static inline bool xa_is_internal(const void *entry)
{
	return ((unsigned long)entry & 3) == 2;
}
#define XA_INTERNAL(v) ((void *)((unsigned long)(v) << 2 | 2))
#define XA_RETRY_ENTRY XA_INTERNAL(256)
static inline bool xa_is_node(const void *entry)
{
	return xa_is_internal(entry) && (unsigned long)entry > 4096;
}
static inline bool xa_is_sibling(const void *entry)
{
	return xa_is_internal(entry) && (unsigned long)entry < ((XA_CHUNK_SIZE << 2) | 2);
}
static inline bool xa_is_retry(const void *entry)
{
	return unlikely(entry == XA_RETRY_ENTRY);
}

/* The functions that return an old entry tell failure in it: a negative errno, or 0. */
static inline bool xa_is_err(const void *entry)
{
	return unlikely(xa_is_internal(entry) &&
			(unsigned long)entry >= ((unsigned long)-MAX_ERRNO << 2 | 2));
}
static inline int xa_err(const void *entry)
{
	return xa_is_err(entry) ? (int)((long)entry >> 2) : 0;
}

static inline void xa_init(struct xarray *xa, struct shale *machine)
{
	spin_lock_init(&xa->xa_lock);
	xa->xa_marks = 0;
	xa->xa_head = NULL;
	xa->xa_machine = machine;
}
/* Frees all nodes; the entries are the caller's. Takes xa_lock; the array is empty and usable afterwards. */
void xa_destroy(struct xarray *xa);
static inline bool xa_empty(const struct xarray *xa)
{
	return READ_ONCE(xa->xa_head) == NULL;
}

#define xa_lock(xa)    spin_lock(&(xa)->xa_lock)
#define xa_trylock(xa) spin_trylock(&(xa)->xa_lock)
#define xa_unlock(xa)  spin_unlock(&(xa)->xa_lock)

/* The plain interface. The __ forms are for who holds xa_lock. Entries of order 0; NULL where nothing is. */
void *xa_load(struct xarray *xa, unsigned long index);
/* Stores (NULL: erases) and returns what was at the index, or an error (xa_err): -ENOMEM. */
void *xa_store(struct xarray *xa, unsigned long index, void *entry);
void *__xa_store(struct xarray *xa, unsigned long index, void *entry) __must_hold(&xa->xa_lock);
void *xa_erase(struct xarray *xa, unsigned long index);
void *__xa_erase(struct xarray *xa, unsigned long index) __must_hold(&xa->xa_lock);
/* Stores if `old` is there (NULL: nothing); returns what was there. */
void *xa_cmpxchg(struct xarray *xa, unsigned long index, void *old, void *entry);
/* Stores if nothing is there: 0, -EBUSY, -ENOMEM. */
int xa_insert(struct xarray *xa, unsigned long index, void *entry) __must_check;
int __xa_insert(struct xarray *xa, unsigned long index, void *entry) __must_check __must_hold(&xa->xa_lock);
/* Stores at the lowest free index of [min, max], told in *index: 0, -EBUSY (all taken), -ENOMEM. */
int xa_alloc(struct xarray *xa, unsigned long *index, void *entry, unsigned long min,
	     unsigned long max) __must_check;
/* An entry of order n at `index` (aligned down). Returns 0, -ENOMEM, or -EBUSY if anything is inside. */
int xa_insert_order(struct xarray *xa, unsigned long index, unsigned order, void *entry) __must_check;
/* The order of the entry at the index; 0 too where nothing is. */
unsigned xa_get_order(struct xarray *xa, unsigned long index);

/* Marks; setting one where no entry is does nothing. xa_marked: does any entry bear it? */
bool xa_get_mark(struct xarray *xa, unsigned long index, xa_mark_t mark);
void xa_set_mark(struct xarray *xa, unsigned long index, xa_mark_t mark);
void xa_clear_mark(struct xarray *xa, unsigned long index, xa_mark_t mark);
void __xa_set_mark(struct xarray *xa, unsigned long index, xa_mark_t mark) __must_hold(&xa->xa_lock);
void __xa_clear_mark(struct xarray *xa, unsigned long index, xa_mark_t mark) __must_hold(&xa->xa_lock);
bool xa_marked(const struct xarray *xa, xa_mark_t mark);

/*
 * The first entry in [*index, max] with the mark (or XA_PRESENT), told in *index: the index asked for if the
 * entry covers it, else its first. xa_find_after: the first that does not cover *index. NULL: none, *index
 * unchanged.
 */
void *xa_find(struct xarray *xa, unsigned long *index, unsigned long max, xa_mark_t filter);
void *xa_find_after(struct xarray *xa, unsigned long *index, unsigned long max, xa_mark_t filter);
#define xa_for_each_range(xa, index, entry, start, last)                                                     \
	for ((index) = (start), (entry) = xa_find(xa, &(index), last, XA_PRESENT); (entry);                  \
	     (entry) = xa_find_after(xa, &(index), last, XA_PRESENT))
#define xa_for_each_start(xa, index, entry, start) xa_for_each_range(xa, index, entry, start, ~0UL)
#define xa_for_each(xa, index, entry)              xa_for_each_start(xa, index, entry, 0)
#define xa_for_each_marked(xa, index, entry, mark)                                                           \
	for ((index) = 0, (entry) = xa_find(xa, &(index), ~0UL, mark); (entry);                              \
	     (entry) = xa_find_after(xa, &(index), ~0UL, mark))

/*
 * A place in an array, kept between steps. Belongs to one thread. Valid inside one rcu_read_lock or one hold
 * of xa_lock; xas_pause before leaving it.
 */
struct xa_state {
	struct xarray *xa;
	unsigned long xa_index;
	u8 xa_shift;  /* of the order asked for: bits in whole nodes, */
	u8 xa_sibs;   /* and slots besides the first */
	u8 xa_offset; /* slot in xa_node; of an entry: its canonical slot */
	struct xa_node
		*xa_node; /* NULL: the head; or one of the two below, or an error as XA_INTERNAL(-errno) */
};
#define XAS_BOUNDS  ((struct xa_node *)1UL) /* outside of the tree, or past the end */
#define XAS_RESTART ((struct xa_node *)3UL) /* not walked yet */

#define XA_STATE_ORDER(name, array, index, order)                                                            \
	struct xa_state name = {.xa = (array),                                                               \
				.xa_index = ((index) >> (order)) << (order),                                 \
				.xa_shift = (order) - (order) % XA_CHUNK_SHIFT,                              \
				.xa_sibs = (1u << ((order) % XA_CHUNK_SHIFT)) - 1,                           \
				.xa_node = XAS_RESTART}
#define XA_STATE(name, array, index) XA_STATE_ORDER(name, array, (unsigned long)(index), 0)

static inline void xas_reset(struct xa_state *xas)
{
	xas->xa_node = XAS_RESTART;
}
static inline void xas_set(struct xa_state *xas, unsigned long index)
{
	xas->xa_index = index;
	xas->xa_node = XAS_RESTART;
}
static inline void xas_set_order(struct xa_state *xas, unsigned long index, unsigned order)
{
	xas->xa_index = order < BITS_PER_LONG ? (index >> order) << order : 0;
	xas->xa_shift = order - order % XA_CHUNK_SHIFT;
	xas->xa_sibs = (1u << (order % XA_CHUNK_SHIFT)) - 1;
	xas->xa_node = XAS_RESTART;
}
static inline bool xas_not_node(const struct xa_node *node)
{
	return ((unsigned long)node & 3) || !node;
}
static inline int xas_error(const struct xa_state *xas)
{
	return xa_err(xas->xa_node);
}
static inline void xas_set_err(struct xa_state *xas, long err)
{
	xas->xa_node = (struct xa_node *)XA_INTERNAL(err);
}
static inline bool xas_invalid(const struct xa_state *xas)
{
	return (unsigned long)xas->xa_node & 3;
}
static inline bool xas_valid(const struct xa_state *xas)
{
	return !xas_invalid(xas);
}
/* True for an entry that tells to start again; the place is reset then. (xas_load and xas_find never return
 * it.) */
static inline bool xas_retry(struct xa_state *xas, const void *entry)
{
	if (!xa_is_retry(entry))
		return false;
	xas_reset(xas);
	return true;
}
#define xas_lock(xas)   xa_lock((xas)->xa)
#define xas_unlock(xas) xa_unlock((xas)->xa)

/* The entry at xa_index, from the place if it was walked there before. NULL: none. */
void *xas_load(struct xa_state *xas);
/* The slot of the place once more: what xas_load found if nothing changed. */
static inline void *xas_reload(struct xa_state *xas)
{
	struct xa_node *node = xas->xa_node;
	void *entry;

	if (!node)
		return rcu_dereference(xas->xa->xa_head);
	if (xas_invalid(xas))
		return XA_RETRY_ENTRY;
	entry = rcu_dereference(node->slots[xas->xa_offset]);
	if (xa_is_sibling(entry))
		entry = rcu_dereference(node->slots[(unsigned long)entry >> 2]);
	return entry;
}
/*
 * Stores over the index and order of the place; NULL erases the entry at the index, whatever its order.
 * Returns what was at xa_index. Failure (-ENOMEM) is told by xas_error, and nothing changed. An error set
 * before is kept, nothing is done. Under xa_lock. The place then stands at the entry.
 */
void *xas_store(struct xa_state *xas, void *entry);
/* Makes all nodes that order-0 stores over the index and order of the place need. xas_error: -ENOMEM. Under
 * xa_lock. */
void xas_create_range(struct xa_state *xas);

/* Marks of the entry at xa_index; setting and clearing under xa_lock. */
bool xas_get_mark(struct xa_state *xas, xa_mark_t mark);
void xas_set_mark(struct xa_state *xas, xa_mark_t mark);
void xas_clear_mark(struct xa_state *xas, xa_mark_t mark);
void xas_init_marks(struct xa_state *xas);
/* The order of the entry that the place stands at. */
unsigned xas_get_order(struct xa_state *xas);

/* From a place not walked yet: the first entry at or after xa_index, up to max; else the next after the
 * place. NULL: end. */
void *xas_find(struct xa_state *xas, unsigned long max);
void *xas_find_marked(struct xa_state *xas, unsigned long max, xa_mark_t mark);
/* For inserting: the next entry that overlaps the index and order of the place. NULL: no more. Under xa_lock.
 */
void *xas_find_conflict(struct xa_state *xas);
/* The next (previous) index, whether anything is there or not; from a place not walked yet, xa_index itself.
 */
void *xas_next(struct xa_state *xas);
void *xas_prev(struct xa_state *xas);
/* The place moves to `index`, which is inside the entry it stands at: before xas_next past a large entry. */
void xas_advance(struct xa_state *xas, unsigned long index);
/* Before leaving the lock in a loop: the next xas_find starts after the entry of the place. */
void xas_pause(struct xa_state *xas);

static inline void *xas_next_entry(struct xa_state *xas, unsigned long max)
{
	return xas_find(xas, max);
}
static inline void *xas_next_marked(struct xa_state *xas, unsigned long max, xa_mark_t mark)
{
	return xas_find_marked(xas, max, mark);
}
#define xas_for_each(xas, entry, max)                                                                        \
	for ((entry) = xas_find(xas, max); (entry); (entry) = xas_find(xas, max))
#define xas_for_each_marked(xas, entry, max, mark)                                                           \
	for ((entry) = xas_find_marked(xas, max, mark); (entry); (entry) = xas_find_marked(xas, max, mark))
#define xas_for_each_conflict(xas, entry) while (((entry) = xas_find_conflict(xas)))

#endif
