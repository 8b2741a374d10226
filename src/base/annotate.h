/* SPDX-License-Identifier: MIT */
/*
 * Words for clang's thread-safety analysis (-Wthread-safety); other compilers read over them.
 *
 * A lock type is a capability. Functions say what they do with it: __acquires(l), __releases(l),
 * __must_hold(l). The analysis follows one function at a time and compares lock expressions by their text; a
 * function that takes a lock on one path only, or hands it on in a way that cannot be said, is marked
 * __no_lock_analysis.
 *
 * In C, clang 14 cannot name a sibling field, so __guarded_by(l) beside a field is a promise to the reader
 * only.
 */
#ifndef SHALE_BASE_ANNOTATE_H
#define SHALE_BASE_ANNOTATE_H

#if defined(__clang__)
#define __lock_attribute(x) __attribute__((x))
#else
#define __lock_attribute(x)
#endif

#define __lock_type(name)            __lock_attribute(capability(name))
#define __acquires(l)                __lock_attribute(acquire_capability(l))
#define __acquires_shared(l)         __lock_attribute(acquire_shared_capability(l))
#define __releases(l)                __lock_attribute(release_capability(l))
#define __releases_shared(l)         __lock_attribute(release_shared_capability(l))
#define __releases_any(l)            __lock_attribute(release_generic_capability(l))
#define __try_acquires(ok, l)        __lock_attribute(try_acquire_capability(ok, l))
#define __try_acquires_shared(ok, l) __lock_attribute(try_acquire_shared_capability(ok, l))
#define __must_hold(l)               __lock_attribute(requires_capability(l))
#define __must_hold_shared(l)        __lock_attribute(requires_shared_capability(l))
#define __asserts_held(l)            __lock_attribute(assert_capability(l))
#define __no_lock_analysis           __lock_attribute(no_thread_safety_analysis)
#define __guarded_by(l)

#endif
