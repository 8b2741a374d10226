/* SPDX-License-Identifier: MIT */
/*
 * Waiters, wait queues, completions and waits for bits (base/wait.h). Waiting for I/O is in base/io_wait.c.
 *
 * A thread's sleep: state SLEEPING is exchanged for BLOCKED and the thread waits on the word; a waker
 * exchanges the state for RUNNING and wakes the word if it found BLOCKED. A waker touches the waiter and the
 * entry under the queue's lock, and the entry last of all.
 */
#include "base/futex.h"
#include "base/hash.h"
#include "base/machine.h"
#include "base/wait_internal.h"

struct waiter *waiter_current(void)
{
	struct current_context *c = current;

	if (unlikely(!c->waiter))
		current_register();
	return c->waiter;
}

/* Fully ordered: the sleeper looks at its condition afterwards, the waker at the state after it made the
 * condition true. */
void waiter_set_sleeping(struct waiter *waiter)
{
	smp_store_mb(waiter->state, WAITER_SLEEPING);
}

void waiter_set_running(struct waiter *waiter)
{
	smp_store_release(&waiter->state, WAITER_RUNNING);
}

bool waiter_wake(struct waiter *waiter)
{
	u32 old = xchg(&waiter->state, WAITER_RUNNING);

	switch (old) {
	case WAITER_RUNNING:
		return false;
	case WAITER_BLOCKED:
		futex_wake(&waiter->state, 1);
		break;
	case WAITER_REAPING:
		/* The poller's own thread, inside reap, sees the state when reap returns. */
		if (waiter != current->waiter)
			waiter->poller->kick(waiter->poller);
		break;
	default:
		if (waiter->fiber)
			fiber_wake(waiter->fiber);
		break;
	}
	return true;
}

void waiter_block(struct waiter *waiter, s64 deadline)
{
	u32 state = WAITER_SLEEPING;

	if (!try_cmpxchg(&waiter->state, &state, (u32)WAITER_BLOCKED))
		return;
	while (smp_load_acquire(&waiter->state) == WAITER_BLOCKED) {
		futex_wait(&waiter->state, WAITER_BLOCKED, deadline);
		if (deadline != KTIME_MAX && ktime_get(NULL) >= deadline) {
			xchg(&waiter->state, WAITER_RUNNING);
			return;
		}
	}
}

bool sleep_begin(struct waiter *waiter, const char *place)
{
	struct current_context *c = current;

	BUG_ON(rcu_read_lock_held());
	if (c->plug)
		c->plug_flush(c->plug, true);
	waiter->place = place;
	return smp_load_acquire(&waiter->state) != WAITER_RUNNING;
}

/* Sleeps until woken or until `deadline` of the machine's clock. */
static void sleep_until(const char *place, s64 deadline)
{
	struct waiter *waiter = waiter_current();
	struct shale *machine = current->machine;

	if (!sleep_begin(waiter, place))
		return;
	if (current->fiber) {
		fiber_schedule(machine, deadline);
		return;
	}
	if (current->io_submitted) {
		current->io_submitted = false;
		io_handover(machine);
	}
	if (current->worker)
		worker_sleeping(machine);
	waiter_block(waiter, deadline);
	if (current->worker)
		worker_waking(machine);
}

void schedule_at(const char *place)
{
	sleep_until(place, KTIME_MAX);
}

s64 schedule_timeout_at(s64 ns, const char *place)
{
	s64 now = ktime_get(current->machine);
	s64 deadline, left;

	if (ns <= 0) {
		waiter_set_running(waiter_current());
		return 0;
	}
	if (__builtin_add_overflow(now, ns, &deadline))
		deadline = KTIME_MAX;
	sleep_until(place, deadline);
	left = deadline - ktime_get(current->machine);
	return left > 0 ? left : 0;
}

void sleep_ns(s64 ns)
{
	while (ns > 0) {
		waiter_set_sleeping(waiter_current());
		ns = schedule_timeout(ns);
	}
}

void cond_resched(void)
{
	if (current->fiber && !rcu_read_lock_held())
		fiber_yield(current->machine);
}

/* Wait queues. */

void init_waitqueue_head(wait_queue_head_t *wq)
{
	spin_lock_init(&wq->lock);
	WRITE_ONCE(wq->nr, 0u);
	INIT_LIST_HEAD(&wq->head);
}

static int wake_entry(struct wait_queue_entry *entry, void *key)
{
	return waiter_wake(entry->waiter);
}

void init_wait_entry(struct wait_queue_entry *entry)
{
	entry->queued = 0;
	entry->exclusive = false;
	entry->waiter = waiter_current();
	entry->func = wake_entry;
	entry->key = NULL;
}

static void prepare(wait_queue_head_t *wq, struct wait_queue_entry *entry, bool exclusive)
{
	spin_lock(&wq->lock);
	if (!entry->queued) {
		entry->exclusive = exclusive;
		entry->queued = 1;
		if (exclusive)
			list_add_tail(&entry->entry, &wq->head);
		else
			list_add(&entry->entry, &wq->head);
		/* Read-modify-write: wq_has_sleeper and the sleeper's look at its condition are ordered by
		 * it. */
		__atomic_fetch_add(&wq->nr, 1, __ATOMIC_SEQ_CST);
	}
	waiter_set_sleeping(entry->waiter);
	spin_unlock(&wq->lock);
}

void prepare_to_wait(wait_queue_head_t *wq, struct wait_queue_entry *entry)
{
	prepare(wq, entry, false);
}

void prepare_to_wait_exclusive(wait_queue_head_t *wq, struct wait_queue_entry *entry)
{
	prepare(wq, entry, true);
}

/* The last touch of the entry. */
static void dequeue(wait_queue_head_t *wq, struct wait_queue_entry *entry)
{
	list_del(&entry->entry);
	__atomic_fetch_sub(&wq->nr, 1, __ATOMIC_RELAXED);
	smp_store_release(&entry->queued, 0u);
}

void finish_wait(wait_queue_head_t *wq, struct wait_queue_entry *entry)
{
	waiter_set_running(entry->waiter);
	if (!smp_load_acquire(&entry->queued))
		return;
	spin_lock(&wq->lock);
	if (entry->queued)
		dequeue(wq, entry);
	spin_unlock(&wq->lock);
}

static void wake_up_locked(wait_queue_head_t *wq, unsigned nr_exclusive, void *key)
{
	struct wait_queue_entry *entry, *next;

	list_for_each_entry_safe (entry, next, &wq->head, entry) {
		bool exclusive = entry->exclusive;

		if (!entry->func(entry, key))
			continue;
		dequeue(wq, entry);
		if (exclusive && nr_exclusive && --nr_exclusive == 0)
			break;
	}
}

void __wake_up(wait_queue_head_t *wq, unsigned nr_exclusive, void *key)
{
	spin_lock(&wq->lock);
	wake_up_locked(wq, nr_exclusive, key);
	spin_unlock(&wq->lock);
}

/* Completions. `done` counts, and stays at UINT32_MAX once complete_all was called. */

void init_completion(struct completion *c)
{
	c->done = 0;
	init_waitqueue_head(&c->wait);
}

void reinit_completion(struct completion *c)
{
	spin_lock(&c->wait.lock);
	WRITE_ONCE(c->done, 0u);
	spin_unlock(&c->wait.lock);
}

/* Under the lock, so that complete() has let go of the completion when a waiter goes on. */
bool try_wait_for_completion(struct completion *c)
{
	bool done;

	spin_lock(&c->wait.lock);
	done = c->done != 0;
	if (done && c->done != UINT32_MAX)
		WRITE_ONCE(c->done, c->done - 1);
	spin_unlock(&c->wait.lock);
	return done;
}

bool completion_done(struct completion *c)
{
	bool done;

	spin_lock(&c->wait.lock);
	done = c->done != 0;
	spin_unlock(&c->wait.lock);
	return done;
}

void wait_for_completion(struct completion *c)
{
	wait_event_exclusive(c->wait, try_wait_for_completion(c));
}

void wait_for_completion_io(struct completion *c)
{
	if (!try_wait_for_completion(c))
		___wait_event(c->wait, try_wait_for_completion(c), prepare_to_wait_exclusive, io_schedule());
}

s64 wait_for_completion_timeout(struct completion *c, s64 ns)
{
	return wait_event_timeout(c->wait, try_wait_for_completion(c), ns);
}

void complete(struct completion *c)
{
	spin_lock(&c->wait.lock);
	if (c->done != UINT32_MAX)
		WRITE_ONCE(c->done, c->done + 1);
	wake_up_locked(&c->wait, 1, NULL);
	spin_unlock(&c->wait.lock);
}

void complete_all(struct completion *c)
{
	spin_lock(&c->wait.lock);
	WRITE_ONCE(c->done, UINT32_MAX);
	wake_up_locked(&c->wait, 0, NULL);
	spin_unlock(&c->wait.lock);
}

/* Bits. The entries of one hashed queue wait for different words; key says which. */

struct bit_key {
	unsigned long *word;
	unsigned bit;
};

static wait_queue_head_t *hashed_queue(const void *address, unsigned bit)
{
	u64 key = ((u64)(uintptr_t)address >> 3) + ((u64)bit << 48);

	return &current->machine->wait.table[hash_64(key, WAIT_TABLE_BITS)];
}

static int wake_bit_entry(struct wait_queue_entry *entry, void *key)
{
	struct bit_key *mine = entry->key, *woken = key;

	/* No key: a wake-up of what waits for a variable that hashes to the same queue (var_waitqueue). */
	if (!woken || mine->word != woken->word || mine->bit != woken->bit)
		return 0;
	return waiter_wake(entry->waiter);
}

static void bit_sleep(bool io)
{
	if (io)
		io_schedule_at("wait_on_bit");
	else
		schedule_at("wait_on_bit");
}

void wait_on_bit_slow(unsigned long *word, unsigned bit, bool io)
{
	wait_queue_head_t *wq = hashed_queue(word, bit);
	struct bit_key key = {word, bit};
	DEFINE_WAIT(entry);

	entry.func = wake_bit_entry;
	entry.key = &key;
	___wait_event_entry(wq, &entry, !test_bit_acquire(bit, word), prepare_to_wait, bit_sleep(io));
}

void wait_on_bit_lock_slow(unsigned long *word, unsigned bit, bool io)
{
	wait_queue_head_t *wq = hashed_queue(word, bit);
	struct bit_key key = {word, bit};
	DEFINE_WAIT(entry);

	entry.func = wake_bit_entry;
	entry.key = &key;
	___wait_event_entry(wq, &entry, !test_and_set_bit_lock(bit, word), prepare_to_wait_exclusive,
			    bit_sleep(io));
}

void wake_up_bit(unsigned long *word, unsigned bit)
{
	wait_queue_head_t *wq = hashed_queue(word, bit);
	struct bit_key key = {word, bit};

	if (wq_has_sleeper(wq))
		__wake_up(wq, 1, &key);
}

wait_queue_head_t *var_waitqueue(const void *var)
{
	return hashed_queue(var, BITS_PER_LONG);
}
