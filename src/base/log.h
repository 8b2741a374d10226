/* SPDX-License-Identifier: MIT */
/*
 * The machine's messages, as the kernel's: each has a level, a time and a number, and they stand in a ring
 * from which the oldest fall out. Any number of readers follow by number (/dev/kmsg). A sink, if set, gets
 * each message as it is made. The ring and the sink belong to the machine; one spinlock guards the ring.
 * Logging never sleeps and never fails; a machine of NULL, or whose log could not be made, says its messages
 * on standard error.
 */
#ifndef SHALE_BASE_LOG_H
#define SHALE_BASE_LOG_H

#include <stdarg.h>
#include "base/compiler.h"

struct shale;

enum {
	LOGLEVEL_EMERG,
	LOGLEVEL_ALERT,
	LOGLEVEL_CRIT,
	LOGLEVEL_ERR,
	LOGLEVEL_WARNING,
	LOGLEVEL_NOTICE,
	LOGLEVEL_INFO,
	LOGLEVEL_DEBUG,
};

#define LOG_TEXT_MAX 976 /* bytes of a message; longer ones are cut */

struct log_record {
	u64 seq; /* from 0, one more for each message */
	s64 ns;  /* ktime of the machine */
	int level;
	unsigned len;
	const char *text; /* with a NUL, without a newline at the end */
};

/* Made by machine_init (-ENOMEM) and freed by machine_exit: machine->log. */
int log_init(struct shale *machine) __must_check;
void log_exit(struct shale *machine);

void shale_log(struct shale *machine, int level, const char *fmt, ...) __printf(3, 4);
void shale_vlog(struct shale *machine, int level, const char *fmt, va_list args) __printf(3, 0);
/* At most ten in five seconds from one place in the source (told apart by fmt); then the number left out is
 * told. */
void shale_log_ratelimited(struct shale *machine, int level, const char *fmt, ...) __printf(3, 4);

/*
 * The first message with a number of at least *seq, copied into buf (with a NUL; cut to size), what it is
 * into *record; *seq becomes the number to ask for next. Returns the length of the text; -EAGAIN: no such
 * message yet; -EPIPE: messages up to *seq have been lost, and *seq is now the oldest there is.
 */
ssize_t log_read(struct shale *machine, u64 *seq, char *buf, size_t size, struct log_record *record);

/*
 * Messages of `level` and more urgent go to fn, one at a time, in the thread that logs, which may hold
 * spinlocks: fn must not call into the machine. fn NULL: none. The standard one writes lines to standard
 * error.
 */
typedef void (*log_sink_fn)(void *arg, const struct log_record *record);
void log_set_sink(struct shale *machine, int level, log_sink_fn fn, void *arg);
void log_sink_stderr(void *arg, const struct log_record *record);

#define pr_emerg(machine, ...)            shale_log(machine, LOGLEVEL_EMERG, __VA_ARGS__)
#define pr_alert(machine, ...)            shale_log(machine, LOGLEVEL_ALERT, __VA_ARGS__)
#define pr_crit(machine, ...)             shale_log(machine, LOGLEVEL_CRIT, __VA_ARGS__)
#define pr_err(machine, ...)              shale_log(machine, LOGLEVEL_ERR, __VA_ARGS__)
#define pr_warn(machine, ...)             shale_log(machine, LOGLEVEL_WARNING, __VA_ARGS__)
#define pr_notice(machine, ...)           shale_log(machine, LOGLEVEL_NOTICE, __VA_ARGS__)
#define pr_info(machine, ...)             shale_log(machine, LOGLEVEL_INFO, __VA_ARGS__)
#define pr_debug(machine, ...)            shale_log(machine, LOGLEVEL_DEBUG, __VA_ARGS__)
#define pr_err_ratelimited(machine, ...)  shale_log_ratelimited(machine, LOGLEVEL_ERR, __VA_ARGS__)
#define pr_warn_ratelimited(machine, ...) shale_log_ratelimited(machine, LOGLEVEL_WARNING, __VA_ARGS__)
#define pr_info_ratelimited(machine, ...) shale_log_ratelimited(machine, LOGLEVEL_INFO, __VA_ARGS__)

#endif
