/* SPDX-License-Identifier: MIT */
/*
 * Text that is made record by record, for proc, sysfs, settings of drivers and messages. Two uses of one
 * struct:
 *
 * - A file whose text comes from start/next/show/stop. seq_read_iter hands out whole records' text from the
 * position of the last read; between two calls only the position is kept, so what is shown may change
 * meanwhile as in Linux. The sequence is {start, show, next, show, ..., stop}; stop is called also after
 * start returned NULL or an error.
 * - A buffer that the seq_ functions append to (seq_text_init .. seq_text_free).
 *
 * The buffer grows by itself, so a record always fits; when memory is short the struct remembers -ENOMEM, the
 * seq_ functions do nothing more, and the reader gets that error. Show functions must not sleep on account of
 * seq_ calls: none does. A struct seq_file has one user at a time: m->lock (taken by seq_read_iter and
 * seq_lseek) sees to that for files.
 */
#ifndef SHALE_BASE_SEQ_FILE_H
#define SHALE_BASE_SEQ_FILE_H

#include <stdarg.h>
#include "base/compiler.h"
#include "base/list.h"
#include "base/mutex.h"

struct shale;
struct iov_iter;
struct seq_file;

struct seq_operations {
	/* The record number *pos (0: the first), NULL past the end, or ERR_PTR. May take locks that stop
	 * releases. */
	void *(*start)(struct seq_file *m, loff_t *pos);
	void (*stop)(struct seq_file *m, void *v);
	/* The record after v; adds one to *pos in any case. */
	void *(*next)(struct seq_file *m, void *v, loff_t *pos);
	/* Appends the record's text. 0, SEQ_SKIP (the text is dropped), or a negative errno. */
	int (*show)(struct seq_file *m, void *v);
};
#define SEQ_SKIP        1
#define SEQ_START_TOKEN ((void *)1)

struct seq_file {
	char *buf;
	size_t size;  /* bytes of buf */
	size_t from;  /* files: first byte that nobody has read yet */
	size_t count; /* bytes of text (files: from `from` on) */
	size_t pad_until;
	loff_t index;    /* record to be started next */
	loff_t read_pos; /* file position that `index` and `from` belong to */
	int error;
	struct mutex lock;
	const struct seq_operations *op;
	struct shale *machine;
	void *private;
	int (*single_show)(struct seq_file *m, void *data);
};

/* A file. -ENOMEM. `private` is for the operations. seq_close frees all but `private`; NULL: nothing. */
int seq_open(struct shale *machine, const struct seq_operations *op, void *private,
	     struct seq_file **out) __must_check;
void seq_close(struct seq_file *m);
/* A file of one record: show(m, data), data also as m->private. */
int single_open(struct shale *machine, int (*show)(struct seq_file *m, void *data), void *data,
		struct seq_file **out) __must_check;
/*
 * Reads at *pos and advances it. Reading elsewhere than where the last read ended makes the text from the
 * beginning up to there. Returns bytes, 0 at the end, -ENOMEM, or what show and start told when nothing was
 * read yet.
 */
ssize_t seq_read_iter(struct seq_file *m, struct iov_iter *to, loff_t *pos);
/* SEEK_SET and SEEK_CUR over *pos: the new position, or -EINVAL. */
loff_t seq_lseek(struct seq_file *m, loff_t offset, int whence, loff_t *pos);

/* A buffer. After the calls, seq_text gives the text with a NUL (owned by m), or NULL when memory was short.
 */
void seq_text_init(struct seq_file *m, struct shale *machine);
const char *seq_text(struct seq_file *m);
/* The same, given away (free with kfree); m is empty afterwards. */
char *seq_text_take(struct seq_file *m) __must_check;
void seq_text_free(struct seq_file *m);
/* 0, or the error that appending met. */
static inline int seq_error(const struct seq_file *m)
{
	return m->error;
}
static inline bool seq_has_overflowed(const struct seq_file *m)
{
	return m->error != 0;
}

void seq_putc(struct seq_file *m, char c);
void seq_puts(struct seq_file *m, const char *s);
void seq_write(struct seq_file *m, const void *data, size_t bytes);
void seq_printf(struct seq_file *m, const char *fmt, ...) __printf(2, 3);
void seq_vprintf(struct seq_file *m, const char *fmt, va_list args) __printf(2, 0);
/* `delimiter` (may be "") and the number. */
void seq_put_decimal_ull(struct seq_file *m, const char *delimiter, u64 n);
void seq_put_decimal_ll(struct seq_file *m, const char *delimiter, s64 n);
void seq_put_hex_ll(struct seq_file *m, const char *delimiter, u64 n, unsigned width);
/* The text; backslashes, bytes of `esc` and bytes that are not printable ASCII become \ and three octal
 * digits. */
void seq_escape(struct seq_file *m, const char *s, const char *esc);
void seq_escape_mem(struct seq_file *m, const char *s, size_t len, const char *esc);
/* `s` with only the bytes of `esc` as \ooo: names in mounts and mountinfo. */
void seq_mangle(struct seq_file *m, const char *s, const char *esc);
/* Column layout: what follows fills `width` bytes up to the next seq_pad, which adds blanks and then c (0:
 * none). */
void seq_setwidth(struct seq_file *m, size_t width);
void seq_pad(struct seq_file *m, char c);
/* A new-line after hex and text of a byte array is the caller's business; this gives two hex digits per byte.
 */
void seq_hex(struct seq_file *m, const void *data, size_t bytes);

/* For operations over a list under the caller's lock: entry number pos (_head: the head itself is number 0).
 */
struct list_head *seq_list_start(struct list_head *head, loff_t pos);
struct list_head *seq_list_start_head(struct list_head *head, loff_t pos);
struct list_head *seq_list_next(void *v, struct list_head *head, loff_t *pos);

#endif
