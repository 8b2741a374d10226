/* SPDX-License-Identifier: MIT */
/*
 * What the two halves of the XArray share: slots, runs of slots, and the walk from the head.
 */
#ifndef SHALE_BASE_XARRAY_INTERNAL_H
#define SHALE_BASE_XARRAY_INTERNAL_H

#include "base/xarray.h"

static inline struct xa_node *xa_to_node(const void *entry)
{
	return (struct xa_node *)((unsigned long)entry - 2);
}
static inline void *xa_mk_node(const struct xa_node *node)
{
	return (void *)((unsigned long)node | 2);
}
static inline void *xa_mk_sibling(unsigned offset)
{
	return XA_INTERNAL(offset);
}
static inline unsigned xa_to_sibling(const void *entry)
{
	return (unsigned)((unsigned long)entry >> 2);
}

static inline void *xa_slot(const struct xa_node *node, unsigned offset)
{
	return rcu_dereference(node->slots[offset]);
}
static inline void xa_slot_set(struct xa_node *node, unsigned offset, void *entry)
{
	rcu_assign_pointer(node->slots[offset], entry);
}

/* The slot of the index in the node; the last index, counted from the node's first, that the node has. */
static inline unsigned xa_slot_of(const struct xa_node *node, unsigned long index)
{
	return (index >> node->shift) & XA_CHUNK_MASK;
}
static inline unsigned long xa_span(unsigned shift)
{
	return shift + XA_CHUNK_SHIFT >= BITS_PER_LONG ? ~0UL : (1UL << (shift + XA_CHUNK_SHIFT)) - 1;
}

/* log2 of the slots that the entry whose canonical slot is `offset` fills: runs are aligned powers of two. */
static inline unsigned xa_run_order(const struct xa_node *node, unsigned offset)
{
	unsigned order = 0;

	while (offset + (1u << order) < XA_CHUNK_SIZE && !(offset & (1u << order)) &&
	       READ_ONCE(node->slots[offset + (1u << order)]) == xa_mk_sibling(offset))
		order++;
	return order;
}

/* Walks from the head to xa_index; the place and the entry. Never a node, a sibling or the retry entry. */
void *xas_walk(struct xa_state *xas);

#endif
