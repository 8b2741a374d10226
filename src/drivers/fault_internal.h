/* SPDX-License-Identifier: MIT */
/*
 * The rules of the fault filter, apart from the disk: which requests a rule meets, and what happens to them.
 *
 * A rule in words, as it is added and listed:
 *	op=read|write start=0 end=99 prob=0.25 skip=3 count=1 error=EIO delay=5ms torn=2 shift=8
 * op      read, write, flush, discard, zeroes, joined by '|'; all (default). A write with FUA is a write.
 * start, end   sectors, both included; a request meets the rule if it touches one of them. Flushes have no
 *	   place: only rules without start and end meet them.
 * prob    0 to 1, by the machine's random numbers; 1 (default): always
 * skip    passes over so many requests that would meet it
 * count   is spent after so many; no limit (default)
 * error   an errno by name: how the request ends
 * delay   before anything else happens
 * torn    only so many sectors at the front reach the disk (then success, or the error)
 * shift   the request goes to a place so many sectors further on (may be negative), if that is on the disk
 *
 * The first rule that a request meets decides; further ones are not asked.
 */
#ifndef SHALE_DRIVERS_FAULT_INTERNAL_H
#define SHALE_DRIVERS_FAULT_INTERNAL_H

#include "base/list.h"
#include "base/spinlock.h"
#include "block/blk_types.h"

struct seq_file;
struct shale;

/* What happens to one request. All zero, and torn negative: nothing. */
struct fault {
	int error;    /* negative errno, or 0 */
	s64 delay_ns; /* >= 0 */
	s64 torn;     /* sectors that arrive; negative: all */
	s64 shift;    /* sectors */
};

struct fault_rules {
	struct shale *machine;
	spinlock_t lock;
	struct list_head list __guarded_by(lock); /* in the order of adding */
	unsigned last_id __guarded_by(lock);
};

void fault_rules_init(struct shale *machine, struct fault_rules *rules);
void fault_rules_clear(struct fault_rules *rules);
/* "add WORDS", "del ID", "clear". -EINVAL: not understood; -ENOENT: no such rule; -ENOMEM. Changes `words`.
 */
int fault_rules_store(struct fault_rules *rules, char *words) __must_check;
/* A rule in words. Changes them. */
int fault_rules_add(struct fault_rules *rules, char *words) __must_check;
/* A line for each rule: "ID: WORDS hits=N". */
void fault_rules_show(struct fault_rules *rules, struct seq_file *m);
/* What happens to a request; counts it. */
struct fault fault_rules_ask(struct fault_rules *rules, enum req_op op, sector_t sector, sector_t nr_sectors);

#endif
