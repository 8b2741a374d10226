/* SPDX-License-Identifier: MIT */
/*
 * What base/rcu.c needs of liburcu.
 */
#ifndef SHALE_BASE_RCU_INTERNAL_H
#define SHALE_BASE_RCU_INTERNAL_H

#include <stdbool.h>

void rcu_read_lock(void);
void rcu_read_unlock(void);
bool rcu_read_lock_held(void);
/* One grace period. */
void rcu_wait_for_readers(void);

#endif
