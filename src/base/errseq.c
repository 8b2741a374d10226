/* SPDX-License-Identifier: MIT */
/*
 * errseq_t (base/errseq.h): the word changes only by compare-and-exchange.
 */
#include "base/errseq.h"

#define ERRNO_MASK 0xfffu
#define SEEN       0x1000u
#define COUNT_ONE  0x2000u

errseq_t errseq_set(errseq_t *eseq, int err)
{
	errseq_t old = READ_ONCE(*eseq), new;

	BUG_ON(err >= 0 || err < -MAX_ERRNO);
	do {
		new = (old & ~(ERRNO_MASK | SEEN)) | (u32)-err;
		/* Nobody has seen the last one: it may be replaced without a new number. */
		if (old & SEEN)
			new += COUNT_ONE;
		if (new == old)
			break;
	} while (!try_cmpxchg(eseq, &old, new));
	return new;
}

errseq_t errseq_sample(errseq_t *eseq)
{
	errseq_t old = READ_ONCE(*eseq);

	/* Not seen yet: from 0 the watcher will be told of it. */
	return old & SEEN ? old : 0;
}

int errseq_unseen(const errseq_t *eseq)
{
	errseq_t now = READ_ONCE(*eseq);

	return now & SEEN ? 0 : -(int)(now & ERRNO_MASK);
}

int errseq_check(errseq_t *eseq, errseq_t since)
{
	errseq_t now = READ_ONCE(*eseq);

	return now == since ? 0 : -(int)(now & ERRNO_MASK);
}

int errseq_check_and_advance(errseq_t *eseq, errseq_t *since)
{
	errseq_t old = READ_ONCE(*eseq), new;

	if (old == *since)
		return 0;
	new = old | SEEN;
	/* If an error comes in between, it is told the next time. */
	if (new != old)
		cmpxchg(eseq, old, new);
	*since = new;
	return -(int)(new &ERRNO_MASK);
}
