/* SPDX-License-Identifier: MIT */
/*
 * Going through an XArray, and its plain interface. A place is a node and a slot; going on means the next
 * slot, up through the parents at a node's end and down to the first slot of a child. All of it may run under
 * RCU beside a writer: entries that are there all the time are found, those that come or go meanwhile may or
 * may not be.
 */
#include "base/xarray_internal.h"

#define NO_MARK XA_PRESENT

/* The first slot from `offset` on that may have something to find; XA_CHUNK_SIZE: none. */
static unsigned slot_next(const struct xa_node *node, unsigned offset, xa_mark_t filter)
{
	unsigned long word;

	if (filter == NO_MARK || offset == XA_CHUNK_SIZE)
		return offset;
	word = READ_ONCE(node->marks[filter]) & (~0UL << offset);
	return word ? __ffs(word) : XA_CHUNK_SIZE;
}

static void *xas_end(struct xa_state *xas)
{
	xas->xa_node = XAS_BOUNDS;
	return NULL;
}

/*
 * From slot `offset` of `node` on; xa_index is any index in the node. Stops at an entry, at the retry entry
 * (returned), or past max.
 */
static void *scan(struct xa_state *xas, struct xa_node *node, unsigned offset, unsigned long max,
		  xa_mark_t filter)
{
	for (;;) {
		void *entry;

		offset = slot_next(node, offset, filter);
		if (offset == XA_CHUNK_SIZE) {
			offset = node->offset + 1u;
			node = rcu_dereference(node->parent);
			if (!node)
				return xas_end(xas);
			continue;
		}
		entry = xa_slot(node, offset);
		if (!entry || xa_is_sibling(entry)) {
			offset++;
			continue;
		}
		xas->xa_index =
			(xas->xa_index & ~xa_span(node->shift)) + ((unsigned long)offset << node->shift);
		if (xas->xa_index > max)
			return xas_end(xas);
		if (xa_is_node(entry)) {
			node = xa_to_node(entry);
			offset = 0;
			continue;
		}
		xas->xa_node = node;
		xas->xa_offset = (u8)offset;
		return entry;
	}
}

static void *xas_find_filter(struct xa_state *xas, unsigned long max, xa_mark_t filter)
{
	void *entry;

	if (xas_error(xas) || xas->xa_node == XAS_BOUNDS)
		return NULL;
	if (!xas->xa_node) {
		xas->xa_index = 1;
		xas->xa_node = XAS_RESTART;
	}
	for (;;) {
		if (xas->xa_index > max)
			return xas_end(xas);
		if (xas->xa_node == XAS_RESTART) {
			entry = xas_walk(xas);
			if (entry && (filter == NO_MARK || xas_get_mark(xas, filter)))
				return entry;
			if (xas_not_node(xas->xa_node))
				return xas_end(xas);
		}
		entry = scan(xas, xas->xa_node, xas->xa_offset + 1u, max, filter);
		if (!xa_is_retry(entry))
			return entry;
		xas->xa_node = XAS_RESTART;
	}
}

void *xas_find(struct xa_state *xas, unsigned long max)
{
	return xas_find_filter(xas, max, NO_MARK);
}

void *xas_find_marked(struct xa_state *xas, unsigned long max, xa_mark_t mark)
{
	return xas_find_filter(xas, max, mark);
}

unsigned xas_get_order(struct xa_state *xas)
{
	if (xas_invalid(xas) || !xas->xa_node)
		return 0;
	return xas->xa_node->shift + xa_run_order(xas->xa_node, xas->xa_offset);
}

void xas_pause(struct xa_state *xas)
{
	if (xas_invalid(xas))
		return;
	xas->xa_index |= (1UL << xas_get_order(xas)) - 1;
	xas->xa_node = XAS_RESTART;
	if (++xas->xa_index == 0)
		xas_end(xas);
}

/* The index, from the top, of a slot. Under xa_lock. */
static unsigned long slot_index(const struct xa_node *node, unsigned offset)
{
	unsigned long index = 0;

	for (; node; offset = node->offset, node = node->parent)
		index |= (unsigned long)offset << node->shift;
	return index;
}

void *xas_find_conflict(struct xa_state *xas)
{
	unsigned long last = xas->xa_index + (((unsigned long)xas->xa_sibs + 1) << xas->xa_shift) - 1;
	unsigned long start = xas->xa_index;
	XA_STATE(find, xas->xa, 0);
	void *entry;

	if (xas_error(xas))
		return NULL;
	if (xas_valid(xas)) {
		start = xas->xa_node ? slot_index(xas->xa_node, xas->xa_offset) : 0;
		start |= (1UL << xas_get_order(xas)) - 1;
		if (start >= last) {
			xas_reset(xas);
			return NULL;
		}
		start++;
	}
	xas_set(&find, start);
	entry = xas_find(&find, last);
	xas->xa_node = entry ? find.xa_node : XAS_RESTART;
	xas->xa_offset = find.xa_offset;
	return entry;
}

/* The entry at xa_index, which has just moved by one: in the same leaf without a walk. */
static void *xas_step(struct xa_state *xas, bool same_leaf)
{
	struct xa_node *node = xas->xa_node;

	if (same_leaf && !xas_not_node(node) && !node->shift) {
		unsigned offset = xas->xa_index & XA_CHUNK_MASK;
		void *entry = xa_slot(node, offset);

		if (xa_is_sibling(entry)) {
			offset = xa_to_sibling(entry);
			entry = xa_slot(node, offset);
		}
		if (likely(entry && !xa_is_internal(entry))) {
			xas->xa_offset = (u8)offset;
			return entry;
		}
	}
	return xas_walk(xas);
}

void *xas_next(struct xa_state *xas)
{
	if (xas_error(xas))
		return NULL;
	if (xas->xa_node == XAS_RESTART)
		return xas_walk(xas);
	xas->xa_index++;
	return xas_step(xas, (xas->xa_index & XA_CHUNK_MASK) != 0);
}

void *xas_prev(struct xa_state *xas)
{
	if (xas_error(xas))
		return NULL;
	if (xas->xa_node == XAS_RESTART)
		return xas_walk(xas);
	xas->xa_index--;
	return xas_step(xas, (xas->xa_index & XA_CHUNK_MASK) != XA_CHUNK_MASK);
}

void xas_advance(struct xa_state *xas, unsigned long index)
{
	xas->xa_index = index;
}

/* What a store came to: the old entry, or its error. */
static void *store_result(const struct xa_state *xas, void *old)
{
	return xas_error(xas) ? XA_INTERNAL(xas_error(xas)) : old;
}

void *__xa_store(struct xarray *xa, unsigned long index, void *entry)
{
	XA_STATE(xas, xa, index);

	return store_result(&xas, xas_store(&xas, entry));
}

void *xa_store(struct xarray *xa, unsigned long index, void *entry)
{
	void *old;

	xa_lock(xa);
	old = __xa_store(xa, index, entry);
	xa_unlock(xa);
	return old;
}

void *__xa_erase(struct xarray *xa, unsigned long index)
{
	return __xa_store(xa, index, NULL);
}

void *xa_erase(struct xarray *xa, unsigned long index)
{
	return xa_store(xa, index, NULL);
}

void *xa_cmpxchg(struct xarray *xa, unsigned long index, void *old, void *entry)
{
	XA_STATE(xas, xa, index);
	void *found;

	xa_lock(xa);
	found = xas_load(&xas);
	if (found == old)
		found = store_result(&xas, xas_store(&xas, entry));
	xa_unlock(xa);
	return found;
}

/* Stores over the place's index and order if nothing is inside. */
static int insert_locked(struct xa_state *xas, void *entry)
{
	if (xas_find_conflict(xas))
		return -EBUSY;
	xas_store(xas, entry);
	return xas_error(xas);
}

int __xa_insert(struct xarray *xa, unsigned long index, void *entry)
{
	XA_STATE(xas, xa, index);

	return insert_locked(&xas, entry);
}

int xa_insert(struct xarray *xa, unsigned long index, void *entry)
{
	return xa_insert_order(xa, index, 0, entry);
}

int xa_insert_order(struct xarray *xa, unsigned long index, unsigned order, void *entry)
{
	XA_STATE_ORDER(xas, xa, index, order);
	int err;

	xa_lock(xa);
	err = insert_locked(&xas, entry);
	xa_unlock(xa);
	return err;
}

int xa_alloc(struct xarray *xa, unsigned long *index, void *entry, unsigned long min, unsigned long max)
{
	XA_STATE(xas, xa, min);
	int err = -EBUSY;

	xa_lock(xa);
	for (void *found = xas_load(&xas); found && xas.xa_index < max; found = xas_next(&xas))
		;
	if (min <= max && !xas_load(&xas)) {
		*index = xas.xa_index;
		xas_store(&xas, entry);
		err = xas_error(&xas);
	}
	xa_unlock(xa);
	return err;
}

unsigned xa_get_order(struct xarray *xa, unsigned long index)
{
	XA_STATE(xas, xa, index);
	unsigned order;

	rcu_read_lock();
	order = xas_load(&xas) ? xas_get_order(&xas) : 0;
	rcu_read_unlock();
	return order;
}

bool xa_get_mark(struct xarray *xa, unsigned long index, xa_mark_t mark)
{
	XA_STATE(xas, xa, index);
	bool marked;

	rcu_read_lock();
	marked = xas_load(&xas) && xas_get_mark(&xas, mark);
	rcu_read_unlock();
	return marked;
}

void __xa_set_mark(struct xarray *xa, unsigned long index, xa_mark_t mark)
{
	XA_STATE(xas, xa, index);

	xas_set_mark(&xas, mark);
}

void __xa_clear_mark(struct xarray *xa, unsigned long index, xa_mark_t mark)
{
	XA_STATE(xas, xa, index);

	xas_clear_mark(&xas, mark);
}

void xa_set_mark(struct xarray *xa, unsigned long index, xa_mark_t mark)
{
	xa_lock(xa);
	__xa_set_mark(xa, index, mark);
	xa_unlock(xa);
}

void xa_clear_mark(struct xarray *xa, unsigned long index, xa_mark_t mark)
{
	xa_lock(xa);
	__xa_clear_mark(xa, index, mark);
	xa_unlock(xa);
}

bool xa_marked(const struct xarray *xa, xa_mark_t mark)
{
	void *head;
	bool marked;

	rcu_read_lock();
	head = rcu_dereference(xa->xa_head);
	if (xa_is_node(head))
		marked = READ_ONCE(xa_to_node(head)->marks[mark]) != 0;
	else
		marked = head && (READ_ONCE(xa->xa_marks) >> mark & 1);
	rcu_read_unlock();
	return marked;
}

void *xa_find(struct xarray *xa, unsigned long *index, unsigned long max, xa_mark_t filter)
{
	XA_STATE(xas, xa, *index);
	void *entry;

	rcu_read_lock();
	entry = xas_find_filter(&xas, max, filter);
	rcu_read_unlock();
	if (entry)
		*index = xas.xa_index;
	return entry;
}

void *xa_find_after(struct xarray *xa, unsigned long *index, unsigned long max, xa_mark_t filter)
{
	XA_STATE(xas, xa, *index);
	void *entry;

	rcu_read_lock();
	xas_load(&xas);
	entry = xas_find_filter(&xas, max, filter);
	rcu_read_unlock();
	if (entry)
		*index = xas.xa_index;
	return entry;
}
