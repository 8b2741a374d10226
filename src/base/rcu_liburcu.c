/* SPDX-License-Identifier: MIT */
/*
 * The calls into liburcu, apart from base/rcu.c because liburcu's header has a struct rcu_head of its own.
 */
#include <urcu/urcu-bp.h>
#include "base/compiler.h"
#include "base/rcu_internal.h"
#if SHALE_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if SHALE_TSAN
/* The token that stands for "a grace period" towards the thread sanitizer; only its address counts. */
extern struct urcu_bp_gp urcu_bp_gp;
#define grace_release() __tsan_release((void *)&urcu_bp_gp)
#define grace_acquire() __tsan_acquire((void *)&urcu_bp_gp)
#else
#define grace_release() ((void)0)
#define grace_acquire() ((void)0)
#endif

#if SHALE_TSAN || SHALE_ASAN
void rcu_read_lock(void)
{
	urcu_bp_read_lock();
}

void rcu_read_unlock(void)
{
	grace_release();
	urcu_bp_read_unlock();
}
#endif

bool rcu_read_lock_held(void)
{
	return urcu_bp_read_ongoing() != 0;
}

void rcu_wait_for_readers(void)
{
	urcu_bp_synchronize_rcu();
	grace_acquire();
}
