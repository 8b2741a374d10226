/* SPDX-License-Identifier: MIT */
/*
 * The tree of the XArray: lookups, stores, marks, and the life of nodes. Everything that changes runs under
 * xa_lock; xas_walk and xa_load run beside it under RCU. What they rely on:
 *
 * (1) A slot changes by one release store; a node is complete, entries included, before it is linked.
 *
 * (2) The shape of a node (shift, offset) never changes while a reader can see it; a node that becomes the
 * top or stops being it has offset 0 all the time.
 *
 * (3) A node that leaves the tree holds nothing that a reader could take for current: it is empty, or its
 * slots say "retry" (who sees that starts again from the head, where the new state was published before).
 *
 * (4) An entry of 2^k slots stands in its first slot (the canonical one), the others are siblings that name
 * it. A reader that follows a sibling to something that is no entry starts again.
 *
 * (5) A mark is set in a node's slot for a child if and only if it is set anywhere in the child.
 *
 * (6) No node is empty, except those made by xas_create_range; and unless that made it, the top is not there
 * for something in its first slot alone that could stand in the head.
 */
#include "base/alloc.h"
#include "base/xarray_internal.h"

static struct xa_node *node_alloc(struct xarray *xa, unsigned shift)
{
	struct xa_node *node = kzalloc(xa->xa_machine, sizeof(*node));

	if (!node)
		return NULL;
	node->array = xa;
	node->shift = (u8)shift;
	machine_charge(xa->xa_machine, sizeof(*node));
	return node;
}

/* Of a node that readers may still be in. */
static void node_free(struct xarray *xa, struct xa_node *node)
{
	machine_uncharge(xa->xa_machine, sizeof(*node));
	kfree_rcu(xa->xa_machine, node, rcu);
}

/* Of a chain of nodes (each the only child of the one before) that no reader ever saw. */
static void chain_free(struct xarray *xa, struct xa_node *bottom)
{
	while (bottom) {
		struct xa_node *parent = bottom->parent;

		machine_uncharge(xa->xa_machine, sizeof(*bottom));
		kfree(bottom);
		bottom = parent;
	}
}

/* Nodes from top_shift down to bottom_shift that lead to the index. NULL: no memory, and nothing is left
 * over. */
static struct xa_node *chain_make(struct xarray *xa, unsigned long index, unsigned top_shift,
				  unsigned bottom_shift, struct xa_node **bottom)
{
	struct xa_node *top = NULL;
	struct xa_node *parent = NULL;
	unsigned shift = top_shift;

	for (;;) {
		struct xa_node *node = node_alloc(xa, shift);

		if (!node) {
			chain_free(xa, parent);
			return NULL;
		}
		if (parent) {
			node->parent = parent;
			node->offset = (u8)xa_slot_of(parent, index);
			parent->slots[node->offset] = xa_mk_node(node);
			parent->count = 1;
		} else {
			top = node;
		}
		parent = node;
		if (shift == bottom_shift)
			break;
		shift -= XA_CHUNK_SHIFT;
	}
	*bottom = parent;
	return top;
}

/* Everything below and with a node that has just been unlinked, by (3). */
static void subtree_free(struct xarray *xa, struct xa_node *node)
{
	for (unsigned i = 0; i < XA_CHUNK_SIZE; i++) {
		void *entry = node->slots[i];

		if (!entry)
			continue;
		xa_slot_set(node, i, XA_RETRY_ENTRY);
		if (xa_is_node(entry))
			subtree_free(xa, xa_to_node(entry));
	}
	node_free(xa, node);
}

static void node_mark_set(struct xa_node *node, unsigned offset, xa_mark_t mark)
{
	for (; node; offset = node->offset, node = node->parent) {
		unsigned long word = node->marks[mark];

		if (word & (1UL << offset))
			return;
		WRITE_ONCE(node->marks[mark], word | 1UL << offset);
	}
}

static void node_mark_clear(struct xa_node *node, unsigned offset, xa_mark_t mark)
{
	for (; node; offset = node->offset, node = node->parent) {
		unsigned long word = node->marks[mark];

		if (!(word & (1UL << offset)))
			return;
		word &= ~(1UL << offset);
		WRITE_ONCE(node->marks[mark], word);
		if (word)
			return;
	}
}

/* The top goes while all it has is its first slot and that can stand in the head. */
static void xa_shrink(struct xarray *xa)
{
	while (xa_is_node(xa->xa_head)) {
		struct xa_node *node = xa_to_node(xa->xa_head);
		void *entry = node->slots[0];

		if (node->count != 1 || !entry || (!xa_is_node(entry) && node->shift))
			return;
		if (xa_is_node(entry)) {
			WRITE_ONCE(xa_to_node(entry)->parent, NULL);
		} else {
			u32 marks = 0;

			for (xa_mark_t m = 0; m < XA_MAX_MARKS; m++)
				marks |= (u32)(node->marks[m] & 1) << m;
			WRITE_ONCE(xa->xa_marks, marks);
		}
		rcu_assign_pointer(xa->xa_head, entry);
		xa_slot_set(node, 0, XA_RETRY_ENTRY);
		node_free(xa, node);
	}
}

/*
 * After `node` has lost entries: it and its parents go while they are empty, then the top shrinks. The place
 * keeps to a node that remains.
 */
static void node_shed(struct xa_state *xas, struct xa_node *node)
{
	struct xarray *xa = xas->xa;
	void *head = xa->xa_head;

	while (!node->count) {
		struct xa_node *parent = node->parent;
		unsigned offset = node->offset;

		if (!parent) {
			rcu_assign_pointer(xa->xa_head, NULL);
			node_free(xa, node);
			xas->xa_node = XAS_BOUNDS;
			return;
		}
		xa_slot_set(parent, offset, NULL);
		parent->count--;
		node_free(xa, node);
		node = parent;
		xas->xa_node = parent;
		xas->xa_offset = (u8)offset;
	}
	xa_shrink(xa);
	if (xa->xa_head != head)
		xas->xa_node = XAS_RESTART;
}

/* Empties the slots of the entry at its canonical slot. */
static void run_erase(struct xa_node *node, unsigned offset)
{
	unsigned slots = 1u << xa_run_order(node, offset);

	for (xa_mark_t m = 0; m < XA_MAX_MARKS; m++)
		node_mark_clear(node, offset, m);
	for (unsigned i = 0; i < slots; i++)
		xa_slot_set(node, offset + i, NULL);
	node->count -= slots;
}

void *xas_walk(struct xa_state *xas)
{
	unsigned long index = xas->xa_index;
	struct xa_node *node;
	unsigned offset;
	void *entry;

restart:
	entry = rcu_dereference(xas->xa->xa_head);
	if (!xa_is_node(entry)) {
		xas->xa_node = index ? XAS_BOUNDS : NULL;
		return index ? NULL : entry;
	}
	node = xa_to_node(entry);
	if (unlikely(index > xa_span(node->shift))) {
		xas->xa_node = XAS_BOUNDS;
		return NULL;
	}
	for (;;) {
		offset = xa_slot_of(node, index);
		entry = xa_slot(node, offset);
		if (!xa_is_internal(entry))
			break;
		if (likely(xa_is_node(entry))) {
			node = xa_to_node(entry);
			continue;
		}
		if (!xa_is_sibling(entry))
			goto restart;
		offset = xa_to_sibling(entry);
		entry = xa_slot(node, offset);
		if (unlikely(xa_is_internal(entry)))
			goto restart;
		break;
	}
	xas->xa_node = node;
	xas->xa_offset = (u8)offset;
	return entry;
}

void *xas_load(struct xa_state *xas)
{
	if (xas_valid(xas)) {
		void *entry = xas_reload(xas);

		if (entry && !xa_is_internal(entry))
			return entry;
	} else if (unlikely(xas_error(xas))) {
		return NULL;
	}
	return xas_walk(xas);
}

void *xa_load(struct xarray *xa, unsigned long index)
{
	XA_STATE(xas, xa, index);
	void *entry;

	rcu_read_lock();
	entry = xas_walk(&xas);
	rcu_read_unlock();
	return entry;
}

/* The shift of the smallest node, at least `shift`, that has the index. */
static unsigned shift_for(unsigned long index, unsigned shift)
{
	while (index > xa_span(shift))
		shift += XA_CHUNK_SHIFT;
	return shift;
}

/* A node in the place of the head's only entry. */
static int head_to_leaf(struct xarray *xa)
{
	struct xa_node *leaf = node_alloc(xa, 0);

	if (!leaf)
		return -ENOMEM;
	leaf->slots[0] = xa->xa_head;
	leaf->count = 1;
	for (xa_mark_t m = 0; m < XA_MAX_MARKS; m++)
		leaf->marks[m] = xa->xa_marks >> m & 1;
	WRITE_ONCE(xa->xa_marks, 0);
	rcu_assign_pointer(xa->xa_head, xa_mk_node(leaf));
	return 0;
}

/* Raises a tree that is not empty until its top has the index and at least the shift. */
static int xa_grow(struct xarray *xa, unsigned long index, unsigned shift)
{
	if (!xa->xa_head)
		return 0;
	if (!xa_is_node(xa->xa_head) && head_to_leaf(xa))
		return -ENOMEM;
	for (;;) {
		struct xa_node *old = xa_to_node(xa->xa_head);
		struct xa_node *top;

		if (old->shift >= shift && index <= xa_span(old->shift))
			return 0;
		top = node_alloc(xa, old->shift + XA_CHUNK_SHIFT);
		if (!top) {
			xa_shrink(xa);
			return -ENOMEM;
		}
		top->slots[0] = xa_mk_node(old);
		top->count = 1;
		for (xa_mark_t m = 0; m < XA_MAX_MARKS; m++)
			top->marks[m] = old->marks[m] != 0;
		smp_store_release(&old->parent, top);
		rcu_assign_pointer(xa->xa_head, xa_mk_node(top));
	}
}

/* Links nodes that lead to the index below `node` (NULL: as the whole tree). What stood at the slot goes. */
static void *chain_link(struct xarray *xa, struct xa_node *node, unsigned long index, struct xa_node *chain)
{
	unsigned offset;
	void *old;

	if (!node) {
		rcu_assign_pointer(xa->xa_head, xa_mk_node(chain));
		return NULL;
	}
	offset = xa_slot_of(node, index);
	old = node->slots[offset];
	if (old) {
		unsigned canonical = xa_is_sibling(old) ? xa_to_sibling(old) : offset;

		old = node->slots[canonical];
		run_erase(node, canonical);
	}
	chain->offset = (u8)offset;
	chain->parent = node;
	node->count++;
	xa_slot_set(node, offset, xa_mk_node(chain));
	return old;
}

/* The lowest node on the way to the index that is not below `shift`. NULL: the tree is empty. */
static struct xa_node *node_above(struct xarray *xa, unsigned long index, unsigned shift)
{
	struct xa_node *node = NULL;
	void *entry = xa->xa_head;

	while (xa_is_node(entry) && (!node || node->shift > shift)) {
		node = xa_to_node(entry);
		entry = node->slots[xa_slot_of(node, index)];
	}
	return node;
}

/* A larger entry has gone: by (6) the tree may have to become lower. Not otherwise, see xas_create_range. */
static void xas_settle(struct xa_state *xas)
{
	void *head = xas->xa->xa_head;

	xa_shrink(xas->xa);
	if (xas->xa->xa_head != head)
		xas_walk(xas);
}

/* Over slots of a node that is there: by (4), and keeping the marks of all that lies inside. */
static void *run_replace(struct xa_state *xas, struct xa_node *node, void *entry)
{
	unsigned offset = xa_slot_of(node, xas->xa_index);
	unsigned slots = xas->xa_sibs + 1u;
	unsigned long mask = (slots == XA_CHUNK_SIZE ? ~0UL : (1UL << slots) - 1) << offset;
	unsigned long first = 1UL << offset;
	XA_STATE(find, xas->xa, xas->xa_index);
	void *old = xas_walk(&find);
	bool larger = false;

	if (old && find.xa_node == node && 1u << xa_run_order(node, find.xa_offset) > slots) {
		run_erase(node, find.xa_offset);
		larger = true;
	}
	for (xa_mark_t m = 0; m < XA_MAX_MARKS; m++)
		if (node->marks[m] & mask & ~first)
			WRITE_ONCE(node->marks[m], (node->marks[m] & ~mask) | first);
	for (unsigned i = 0; i < slots; i++) {
		void *before = node->slots[offset + i];

		if (!before)
			node->count++;
		xa_slot_set(node, offset + i, i ? xa_mk_sibling(offset) : entry);
		if (xa_is_node(before))
			subtree_free(xas->xa, xa_to_node(before));
	}
	xas->xa_node = node;
	xas->xa_offset = (u8)offset;
	if (larger)
		xas_settle(xas);
	return old;
}

/* Nodes for the part of the tree that is missing above the place, with the entry already inside. */
static void *run_add(struct xa_state *xas, struct xa_node *node, void *entry)
{
	struct xarray *xa = xas->xa;
	unsigned top_shift = node ? node->shift - XA_CHUNK_SHIFT : shift_for(xas->xa_index, xas->xa_shift);
	struct xa_node *bottom;
	struct xa_node *chain = chain_make(xa, xas->xa_index, top_shift, xas->xa_shift, &bottom);
	unsigned offset;
	void *old;

	if (!chain) {
		xa_shrink(xa);
		xas_set_err(xas, -ENOMEM);
		return NULL;
	}
	offset = xa_slot_of(bottom, xas->xa_index);
	bottom->slots[offset] = entry;
	for (unsigned i = 1; i <= xas->xa_sibs; i++)
		bottom->slots[offset + i] = xa_mk_sibling(offset);
	bottom->count = xas->xa_sibs + 1;
	xas->xa_node = bottom;
	xas->xa_offset = (u8)offset;
	old = chain_link(xa, node, xas->xa_index, chain);
	if (old)
		xas_settle(xas);
	return old;
}

static void *xas_put(struct xa_state *xas, void *entry)
{
	struct xarray *xa = xas->xa;
	struct xa_node *node;
	void *old;

	if (!xas->xa_index && !xas->xa_shift && !xas->xa_sibs && !xa_is_node(xa->xa_head)) {
		old = xa->xa_head;
		rcu_assign_pointer(xa->xa_head, entry);
		xas->xa_node = NULL;
		return old;
	}
	if (xa_grow(xa, xas->xa_index, xas->xa_shift)) {
		xas_set_err(xas, -ENOMEM);
		return NULL;
	}
	node = node_above(xa, xas->xa_index, xas->xa_shift);
	if (!node || node->shift > xas->xa_shift)
		return run_add(xas, node, entry);
	return run_replace(xas, node, entry);
}

static void *xas_erase(struct xa_state *xas)
{
	struct xarray *xa = xas->xa;
	void *old = xas_walk(xas);

	if (!old)
		return NULL;
	if (!xas->xa_node) {
		WRITE_ONCE(xa->xa_marks, 0);
		rcu_assign_pointer(xa->xa_head, NULL);
		return old;
	}
	run_erase(xas->xa_node, xas->xa_offset);
	node_shed(xas, xas->xa_node);
	return old;
}

void *xas_store(struct xa_state *xas, void *entry)
{
	if (unlikely(xas_error(xas)))
		return NULL;
	return entry ? xas_put(xas, entry) : xas_erase(xas);
}

/* Nodes down to the leaf of the index, where no large entry stands in the way. */
static int leaf_make(struct xarray *xa, unsigned long index)
{
	struct xa_node *node, *chain, *bottom;

	if (xa_grow(xa, index, 0))
		return -ENOMEM;
	node = node_above(xa, index, 0);
	if (node && (!node->shift || node->slots[xa_slot_of(node, index)]))
		return 0;
	chain = chain_make(xa, index, node ? node->shift - XA_CHUNK_SHIFT : shift_for(index, 0), 0, &bottom);
	if (!chain) {
		xa_shrink(xa);
		return -ENOMEM;
	}
	chain_link(xa, node, index, chain);
	return 0;
}

/* The empty nodes of a range that could not be made in whole go again. */
static void leaves_prune(struct xarray *xa, unsigned long first, unsigned long last)
{
	for (unsigned long index = first;; index += XA_CHUNK_SIZE) {
		struct xa_node *node = node_above(xa, index, 0);
		XA_STATE(xas, xa, index);

		if (node && !node->count)
			node_shed(&xas, node);
		if (last - index < XA_CHUNK_SIZE)
			break;
	}
}

void xas_create_range(struct xa_state *xas)
{
	unsigned long first = xas->xa_index;
	unsigned long last = first + (((unsigned long)xas->xa_sibs + 1) << xas->xa_shift) - 1;

	if (xas_error(xas))
		return;
	xas->xa_node = XAS_RESTART;
	if (!last && !xa_is_node(xas->xa->xa_head))
		return;
	for (unsigned long index = first;; index += XA_CHUNK_SIZE) {
		if (leaf_make(xas->xa, index)) {
			leaves_prune(xas->xa, first, index);
			xas_set_err(xas, -ENOMEM);
			return;
		}
		if (last - index < XA_CHUNK_SIZE)
			break;
	}
}

bool xas_get_mark(struct xa_state *xas, xa_mark_t mark)
{
	if (xas_invalid(xas) && !xas_load(xas))
		return false;
	if (xas_invalid(xas))
		return false;
	if (!xas->xa_node)
		return READ_ONCE(xas->xa->xa_marks) >> mark & 1;
	return READ_ONCE(xas->xa_node->marks[mark]) >> xas->xa_offset & 1;
}

void xas_set_mark(struct xa_state *xas, xa_mark_t mark)
{
	if (!xas_load(xas))
		return;
	if (xas->xa_node)
		node_mark_set(xas->xa_node, xas->xa_offset, mark);
	else
		WRITE_ONCE(xas->xa->xa_marks, xas->xa->xa_marks | 1u << mark);
}

void xas_clear_mark(struct xa_state *xas, xa_mark_t mark)
{
	if (!xas_load(xas))
		return;
	if (xas->xa_node)
		node_mark_clear(xas->xa_node, xas->xa_offset, mark);
	else
		WRITE_ONCE(xas->xa->xa_marks, xas->xa->xa_marks & ~(1u << mark));
}

void xas_init_marks(struct xa_state *xas)
{
	for (xa_mark_t m = 0; m < XA_MAX_MARKS; m++)
		xas_clear_mark(xas, m);
}

void xa_destroy(struct xarray *xa)
{
	void *head;

	xa_lock(xa);
	head = xa->xa_head;
	WRITE_ONCE(xa->xa_marks, 0);
	rcu_assign_pointer(xa->xa_head, NULL);
	if (xa_is_node(head))
		subtree_free(xa, xa_to_node(head));
	xa_unlock(xa);
}
