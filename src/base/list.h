/* SPDX-License-Identifier: MIT */
/*
 * Doubly linked lists whose links live inside the objects: list_head is circular with a head, hlist has a
 * head of one pointer (for hash buckets). The lists own nothing; the caller's lock guards them.
 *
 * The forward pointers are written with relaxed atomics, so that list_empty and hlist_unhashed_lockless may
 * be asked without the lock (the answer is a hint then). The _rcu forms publish with release and read with
 * acquire: readers inside rcu_read_lock may walk while a writer, under its lock, adds and deletes; an object
 * that was deleted keeps its forward link until a grace period has passed, and must not be freed or put on
 * another list before.
 */
#ifndef SHALE_BASE_LIST_H
#define SHALE_BASE_LIST_H

#include "base/compiler.h"

struct list_head {
	struct list_head *next, *prev;
};

struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct hlist_head {
	struct hlist_node *first;
};

/* In the place of the pointers of what was deleted: an address that faults. */
#define LIST_POISON1 ((void *)0xdead000000000100UL)
#define LIST_POISON2 ((void *)0xdead000000000122UL)

#define LIST_HEAD_INIT(name)                                                                                 \
	{                                                                                                    \
		&(name), &(name)                                                                             \
	}
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)
#define HLIST_HEAD_INIT                                                                                      \
	{                                                                                                    \
		NULL                                                                                         \
	}

#define __list_load(p)       __atomic_load_n(&(p), __ATOMIC_RELAXED)
#define __list_store(p, v)   __atomic_store_n(&(p), (v), __ATOMIC_RELAXED)
#define __list_acquire(p)    __atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#define __list_publish(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)

static inline void INIT_LIST_HEAD(struct list_head *head)
{
	__list_store(head->next, head);
	head->prev = head;
}

static inline bool list_empty(const struct list_head *head)
{
	return __list_load(head->next) == head;
}
static inline bool list_is_singular(const struct list_head *head)
{
	return !list_empty(head) && head->next == head->prev;
}
static inline bool list_is_head(const struct list_head *entry, const struct list_head *head)
{
	return entry == head;
}
static inline bool list_is_first(const struct list_head *entry, const struct list_head *head)
{
	return entry->prev == head;
}
static inline bool list_is_last(const struct list_head *entry, const struct list_head *head)
{
	return entry->next == head;
}

static inline void __list_add(struct list_head *entry, struct list_head *prev, struct list_head *next)
{
	next->prev = entry;
	entry->next = next;
	entry->prev = prev;
	__list_store(prev->next, entry);
}

/* After the head (a stack), before the head (a queue). */
static inline void list_add(struct list_head *entry, struct list_head *head)
{
	__list_add(entry, head, head->next);
}
static inline void list_add_tail(struct list_head *entry, struct list_head *head)
{
	__list_add(entry, head->prev, head);
}

static inline void __list_del(struct list_head *prev, struct list_head *next)
{
	next->prev = prev;
	__list_store(prev->next, next);
}
static inline void __list_del_entry(struct list_head *entry)
{
	__list_del(entry->prev, entry->next);
}

static inline void list_del(struct list_head *entry)
{
	__list_del_entry(entry);
	entry->next = (struct list_head *)LIST_POISON1;
	entry->prev = (struct list_head *)LIST_POISON2;
}
static inline void list_del_init(struct list_head *entry)
{
	__list_del_entry(entry);
	INIT_LIST_HEAD(entry);
}

static inline void list_move(struct list_head *entry, struct list_head *head)
{
	__list_del_entry(entry);
	list_add(entry, head);
}
static inline void list_move_tail(struct list_head *entry, struct list_head *head)
{
	__list_del_entry(entry);
	list_add_tail(entry, head);
}

/* `entry` takes the place of `old`. */
static inline void list_replace(struct list_head *old, struct list_head *entry)
{
	entry->next = old->next;
	entry->next->prev = entry;
	entry->prev = old->prev;
	__list_store(entry->prev->next, entry);
}
static inline void list_replace_init(struct list_head *old, struct list_head *entry)
{
	list_replace(old, entry);
	INIT_LIST_HEAD(old);
}

static inline void __list_splice(const struct list_head *list, struct list_head *prev, struct list_head *next)
{
	struct list_head *first = list->next;
	struct list_head *last = list->prev;

	first->prev = prev;
	last->next = next;
	next->prev = last;
	__list_store(prev->next, first);
}

/* All entries of `list` go to the front (or the end) of `head`; the _init forms leave `list` empty. */
static inline void list_splice(const struct list_head *list, struct list_head *head)
{
	if (!list_empty(list))
		__list_splice(list, head, head->next);
}
static inline void list_splice_tail(struct list_head *list, struct list_head *head)
{
	if (!list_empty(list))
		__list_splice(list, head->prev, head);
}
static inline void list_splice_init(struct list_head *list, struct list_head *head)
{
	list_splice(list, head);
	INIT_LIST_HEAD(list);
}
static inline void list_splice_tail_init(struct list_head *list, struct list_head *head)
{
	list_splice_tail(list, head);
	INIT_LIST_HEAD(list);
}

/* The entries from the first up to and with `entry` go to `list`, whose earlier contents are lost. */
static inline void list_cut_position(struct list_head *list, struct list_head *head, struct list_head *entry)
{
	if (list_empty(head) || entry == head) {
		INIT_LIST_HEAD(list);
		return;
	}
	list->next = head->next;
	list->next->prev = list;
	list->prev = entry;
	__list_store(head->next, entry->next);
	head->next->prev = head;
	entry->next = list;
}

/* The first entry becomes the last. */
static inline void list_rotate_left(struct list_head *head)
{
	if (!list_empty(head))
		list_move_tail(head->next, head);
}

static inline size_t list_count_nodes(const struct list_head *head)
{
	size_t n = 0;

	for (const struct list_head *p = head->next; p != head; p = p->next)
		n++;
	return n;
}

#define list_entry(ptr, type, member)        container_of(ptr, type, member)
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)
#define list_last_entry(head, type, member)  list_entry((head)->prev, type, member)
#define list_next_entry(pos, member)         list_entry((pos)->member.next, __typeof__(*(pos)), member)
#define list_prev_entry(pos, member)         list_entry((pos)->member.prev, __typeof__(*(pos)), member)
/* By addresses: `pos` may be what would hold the head, which is no such object. */
#define list_entry_is_head(pos, head, member)                                                                \
	((const char *)(pos) + offsetof(__typeof__(*(pos)), member) == (const char *)(head))
#define list_first_entry_or_null(head, type, member)                                                         \
	(list_empty(head) ? NULL : list_first_entry(head, type, member))
#define list_last_entry_or_null(head, type, member)                                                          \
	(list_empty(head) ? NULL : list_last_entry(head, type, member))

#define list_for_each(pos, head)      for ((pos) = (head)->next; (pos) != (head); (pos) = (pos)->next)
#define list_for_each_prev(pos, head) for ((pos) = (head)->prev; (pos) != (head); (pos) = (pos)->prev)
#define list_for_each_safe(pos, n, head)                                                                     \
	for ((pos) = (head)->next, (n) = (pos)->next; (pos) != (head); (pos) = (n), (n) = (pos)->next)

#define list_for_each_entry(pos, head, member)                                                               \
	for ((pos) = list_first_entry(head, __typeof__(*(pos)), member);                                     \
	     !list_entry_is_head(pos, head, member); (pos) = list_next_entry(pos, member))
#define list_for_each_entry_reverse(pos, head, member)                                                       \
	for ((pos) = list_last_entry(head, __typeof__(*(pos)), member);                                      \
	     !list_entry_is_head(pos, head, member); (pos) = list_prev_entry(pos, member))
/* From the entry after `pos`. */
#define list_for_each_entry_continue(pos, head, member)                                                      \
	for ((pos) = list_next_entry(pos, member); !list_entry_is_head(pos, head, member);                   \
	     (pos) = list_next_entry(pos, member))
/* From `pos` itself. */
#define list_for_each_entry_from(pos, head, member)                                                          \
	for (; !list_entry_is_head(pos, head, member); (pos) = list_next_entry(pos, member))
/* The body may delete `pos`. */
#define list_for_each_entry_safe(pos, n, head, member)                                                       \
	for ((pos) = list_first_entry(head, __typeof__(*(pos)), member), (n) = list_next_entry(pos, member); \
	     !list_entry_is_head(pos, head, member); (pos) = (n), (n) = list_next_entry(n, member))
#define list_for_each_entry_safe_reverse(pos, n, head, member)                                               \
	for ((pos) = list_last_entry(head, __typeof__(*(pos)), member), (n) = list_prev_entry(pos, member);  \
	     !list_entry_is_head(pos, head, member); (pos) = (n), (n) = list_prev_entry(n, member))

/* Under RCU: writers hold their lock, readers rcu_read_lock. */
static inline void __list_add_rcu(struct list_head *entry, struct list_head *prev, struct list_head *next)
{
	entry->next = next;
	entry->prev = prev;
	__list_publish(prev->next, entry);
	next->prev = entry;
}
static inline void list_add_rcu(struct list_head *entry, struct list_head *head)
{
	__list_add_rcu(entry, head, head->next);
}
static inline void list_add_tail_rcu(struct list_head *entry, struct list_head *head)
{
	__list_add_rcu(entry, head->prev, head);
}
static inline void list_del_rcu(struct list_head *entry)
{
	__list_del_entry(entry);
	entry->prev = (struct list_head *)LIST_POISON2;
}

#define list_entry_rcu(ptr, type, member) list_entry(__list_acquire(ptr), type, member)
#define list_for_each_entry_rcu(pos, head, member)                                                           \
	for ((pos) = list_entry_rcu((head)->next, __typeof__(*(pos)), member);                               \
	     !list_entry_is_head(pos, head, member);                                                         \
	     (pos) = list_entry_rcu((pos)->member.next, __typeof__(*(pos)), member))

static inline void INIT_HLIST_HEAD(struct hlist_head *head)
{
	__list_store(head->first, NULL);
}
static inline void INIT_HLIST_NODE(struct hlist_node *node)
{
	node->next = NULL;
	__list_store(node->pprev, NULL);
}
static inline bool hlist_unhashed(const struct hlist_node *node)
{
	return !node->pprev;
}
static inline bool hlist_unhashed_lockless(const struct hlist_node *node)
{
	return !__list_load(node->pprev);
}
static inline bool hlist_empty(const struct hlist_head *head)
{
	return !__list_load(head->first);
}

static inline void hlist_add_head(struct hlist_node *node, struct hlist_head *head)
{
	struct hlist_node *first = head->first;

	node->next = first;
	if (first)
		__list_store(first->pprev, &node->next);
	__list_store(head->first, node);
	__list_store(node->pprev, &head->first);
}
static inline void hlist_add_before(struct hlist_node *node, struct hlist_node *next)
{
	__list_store(node->pprev, next->pprev);
	node->next = next;
	__list_store(next->pprev, &node->next);
	__list_store(*node->pprev, node);
}
static inline void hlist_add_behind(struct hlist_node *node, struct hlist_node *prev)
{
	node->next = prev->next;
	__list_store(node->pprev, &prev->next);
	if (node->next)
		__list_store(node->next->pprev, &node->next);
	__list_store(prev->next, node);
}

static inline void __hlist_del(struct hlist_node *node)
{
	struct hlist_node *next = node->next;
	struct hlist_node **pprev = node->pprev;

	__list_publish(*pprev, next);
	if (next)
		__list_store(next->pprev, pprev);
}
static inline void hlist_del(struct hlist_node *node)
{
	__hlist_del(node);
	node->next = (struct hlist_node *)LIST_POISON1;
	__list_store(node->pprev, (struct hlist_node **)LIST_POISON2);
}
/* Does nothing to a node that is on no list. */
static inline void hlist_del_init(struct hlist_node *node)
{
	if (!hlist_unhashed(node)) {
		__hlist_del(node);
		INIT_HLIST_NODE(node);
	}
}
static inline void hlist_move_list(struct hlist_head *from, struct hlist_head *to)
{
	to->first = from->first;
	if (to->first)
		__list_store(to->first->pprev, &to->first);
	from->first = NULL;
}

/* Under RCU: writers hold their lock, readers rcu_read_lock. */
static inline void hlist_add_head_rcu(struct hlist_node *node, struct hlist_head *head)
{
	struct hlist_node *first = head->first;

	__list_publish(node->next, first); /* a reader may stand on it from the chain that it was in before */
	__list_store(node->pprev, &head->first);
	__list_publish(head->first, node);
	if (first)
		__list_store(first->pprev, &node->next);
}
static inline void hlist_del_rcu(struct hlist_node *node)
{
	__hlist_del(node);
	__list_store(node->pprev, (struct hlist_node **)LIST_POISON2);
}
/* Keeps the forward link for readers; hlist_unhashed says true from now on. */
static inline void hlist_del_init_rcu(struct hlist_node *node)
{
	if (!hlist_unhashed(node)) {
		__hlist_del(node);
		__list_store(node->pprev, NULL);
	}
}

#define hlist_entry(ptr, type, member) container_of(ptr, type, member)
#define hlist_entry_safe(ptr, type, member)                                                                  \
	({                                                                                                   \
		struct hlist_node *hlist_ptr = (ptr);                                                        \
		hlist_ptr ? hlist_entry(hlist_ptr, type, member) : NULL;                                     \
	})
#define hlist_for_each_entry(pos, head, member)                                                              \
	for ((pos) = hlist_entry_safe((head)->first, __typeof__(*(pos)), member); (pos);                     \
	     (pos) = hlist_entry_safe((pos)->member.next, __typeof__(*(pos)), member))
/* `n` is a struct hlist_node *; the body may delete `pos`. */
#define hlist_for_each_entry_safe(pos, n, head, member)                                                      \
	for ((pos) = hlist_entry_safe((head)->first, __typeof__(*(pos)), member);                            \
	     (pos) && ((n) = (pos)->member.next, 1);                                                         \
	     (pos) = hlist_entry_safe(n, __typeof__(*(pos)), member))
#define hlist_for_each_entry_rcu(pos, head, member)                                                          \
	for ((pos) = hlist_entry_safe(__list_acquire((head)->first), __typeof__(*(pos)), member); (pos);     \
	     (pos) = hlist_entry_safe(__list_acquire((pos)->member.next), __typeof__(*(pos)), member))

#endif
