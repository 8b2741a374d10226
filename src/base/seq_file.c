/* SPDX-License-Identifier: MIT */
/*
 * Text made record by record. The buffer of a file holds [from, from + count): text that was made and not
 * read yet; `index` is the record to be made next. A read hands out that text, and only when it is used up
 * makes more: whole records, until they fill what the reader asked for. So a record's text is never made in
 * two parts, and no state of the operations outlives a call.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/seq_file.h"
#include "base/uio.h"

#define SEQ_FIRST_BYTES 256

static void *single_start(struct seq_file *m, loff_t *pos)
{
	return *pos == 0 ? SEQ_START_TOKEN : NULL;
}

static void single_stop(struct seq_file *m, void *v) {}

static void *single_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return NULL;
}

static int single_show(struct seq_file *m, void *v)
{
	return m->single_show(m, m->private);
}

static const struct seq_operations single_ops = {
	.start = single_start,
	.stop = single_stop,
	.next = single_next,
	.show = single_show,
};

int seq_open(struct shale *machine, const struct seq_operations *op, void *private, struct seq_file **out)
{
	struct seq_file *m = kzalloc(machine, sizeof(*m));

	if (!m)
		return -ENOMEM;
	mutex_init(&m->lock);
	m->op = op;
	m->machine = machine;
	m->private = private;
	*out = m;
	return 0;
}

int single_open(struct shale *machine, int (*show)(struct seq_file *m, void *data), void *data,
		struct seq_file **out)
{
	int err = seq_open(machine, &single_ops, data, out);

	if (!err)
		(*out)->single_show = show;
	return err;
}

void seq_close(struct seq_file *m)
{
	if (!m)
		return;
	kfree(m->buf);
	kfree(m);
}

/* One record's text; nothing of it stays after an error or SEQ_SKIP. */
static int seq_show(struct seq_file *m, void *v)
{
	size_t before = m->count;
	int err;

	m->error = 0;
	m->pad_until = 0;
	err = m->op->show(m, v);
	if (err >= 0 && m->error)
		err = m->error;
	if (err)
		m->count = before;
	m->error = 0;
	return err < 0 ? err : 0;
}

static void *seq_advance(struct seq_file *m, void *v)
{
	loff_t index = m->index;

	v = m->op->next(m, v, &m->index);
	if (m->index == index)
		m->index++;
	return v;
}

/* Records into the empty buffer until they are at least `bytes`. An error counts only when there is no text.
 */
static int seq_fill(struct seq_file *m, size_t bytes)
{
	int err = 0;
	void *v;

	m->from = m->count = 0;
	v = m->op->start(m, &m->index);
	while (v && !IS_ERR(v) && m->count < bytes) {
		err = seq_show(m, v);
		if (err < 0)
			break;
		v = seq_advance(m, v);
	}
	if (IS_ERR(v) && !err)
		err = (int)PTR_ERR(v);
	m->op->stop(m, v);
	return m->count ? 0 : err;
}

/* Makes all text from the beginning and forgets it, up to `target`. */
static int seq_traverse(struct seq_file *m, loff_t target)
{
	loff_t pos = 0;
	int err = 0;
	void *v;

	m->index = 0;
	m->from = m->count = 0;
	v = m->op->start(m, &m->index);
	while (v && !IS_ERR(v) && pos < target) {
		err = seq_show(m, v);
		if (err < 0)
			break;
		v = seq_advance(m, v);
		if (pos + (loff_t)m->count > target) {
			m->from = (size_t)(target - pos);
			m->count -= m->from;
			break;
		}
		pos += (loff_t)m->count;
		m->count = 0;
	}
	if (IS_ERR(v) && !err)
		err = (int)PTR_ERR(v);
	m->op->stop(m, v);
	m->read_pos = target;
	return err;
}

static size_t seq_copy_out(struct seq_file *m, struct iov_iter *to)
{
	size_t copied = copy_to_iter(m->buf + m->from, m->count, to);

	m->from += copied;
	m->count -= copied;
	return copied;
}

static ssize_t seq_read_locked(struct seq_file *m, struct iov_iter *to, loff_t *pos)
{
	size_t copied = 0;
	int err = 0;

	if (*pos == 0) {
		m->index = 0;
		m->from = m->count = 0;
	} else if (*pos != m->read_pos) {
		err = seq_traverse(m, *pos);
		if (err) {
			m->from = m->count = 0;
			m->read_pos = -1;
			return err;
		}
	}
	if (m->count)
		copied = seq_copy_out(m, to);
	if (iov_iter_count(to)) {
		err = seq_fill(m, iov_iter_count(to));
		if (m->count)
			copied += seq_copy_out(m, to);
	}
	*pos += (loff_t)copied;
	m->read_pos = *pos;
	return copied ? (ssize_t)copied : err;
}

ssize_t seq_read_iter(struct seq_file *m, struct iov_iter *to, loff_t *pos)
{
	ssize_t result;

	if (!iov_iter_count(to))
		return 0;
	mutex_lock(&m->lock);
	result = seq_read_locked(m, to, pos);
	mutex_unlock(&m->lock);
	return result;
}

loff_t seq_lseek(struct seq_file *m, loff_t offset, int whence, loff_t *pos)
{
	loff_t result = -EINVAL;

	mutex_lock(&m->lock);
	if (whence == SEEK_CUR && __builtin_add_overflow(offset, *pos, &offset))
		offset = -1;
	if ((whence == SEEK_SET || whence == SEEK_CUR) && offset >= 0)
		result = *pos = offset;
	mutex_unlock(&m->lock);
	return result;
}

void seq_text_init(struct seq_file *m, struct shale *machine)
{
	memset(m, 0, sizeof(*m));
	m->machine = machine;
}

/* Room for `bytes` more after the text; false: none, and the error is kept. */
static bool seq_room(struct seq_file *m, size_t bytes)
{
	size_t need = size_add(size_add(m->from, m->count), bytes);
	size_t size;
	char *buf;

	if (unlikely(m->error))
		return false;
	if (likely(need <= m->size))
		return true;
	size = need > SIZE_MAX / 4 ? need : max_t(size_t, roundup_pow_of_two(need), SEQ_FIRST_BYTES);
	buf = krealloc(m->machine, m->buf, size);
	if (!buf) {
		m->error = -ENOMEM;
		return false;
	}
	m->buf = buf;
	m->size = size;
	return true;
}

const char *seq_text(struct seq_file *m)
{
	if (!seq_room(m, 1))
		return NULL;
	m->buf[m->from + m->count] = '\0';
	return m->buf;
}

char *seq_text_take(struct seq_file *m)
{
	char *text = seq_text(m) ? m->buf : NULL;

	if (!text)
		kfree(m->buf);
	seq_text_init(m, m->machine);
	return text;
}

void seq_text_free(struct seq_file *m)
{
	kfree(m->buf);
	seq_text_init(m, m->machine);
}

void seq_write(struct seq_file *m, const void *data, size_t bytes)
{
	if (!seq_room(m, bytes) || !bytes)
		return;
	memcpy(m->buf + m->from + m->count, data, bytes);
	m->count += bytes;
}

void seq_putc(struct seq_file *m, char c)
{
	seq_write(m, &c, 1);
}

void seq_puts(struct seq_file *m, const char *s)
{
	seq_write(m, s, strlen(s));
}

void seq_vprintf(struct seq_file *m, const char *fmt, va_list args)
{
	for (size_t room = 64;;) {
		va_list again;
		int len;

		if (!seq_room(m, room))
			return;
		room = m->size - m->from - m->count;
		va_copy(again, args);
		len = vsnprintf(m->buf + m->from + m->count, room, fmt, again);
		va_end(again);
		if (len < 0) {
			m->error = -EINVAL;
			return;
		}
		if ((size_t)len < room) {
			m->count += (size_t)len;
			return;
		}
		room = (size_t)len + 1;
	}
}

void seq_printf(struct seq_file *m, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	seq_vprintf(m, fmt, args);
	va_end(args);
}

void seq_put_decimal_ull(struct seq_file *m, const char *delimiter, u64 n)
{
	char digits[20];
	char *first = digits + sizeof(digits);

	do {
		*--first = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	seq_puts(m, delimiter);
	seq_write(m, first, (size_t)(digits + sizeof(digits) - first));
}

void seq_put_decimal_ll(struct seq_file *m, const char *delimiter, s64 n)
{
	if (n >= 0) {
		seq_put_decimal_ull(m, delimiter, (u64)n);
		return;
	}
	seq_puts(m, delimiter);
	seq_put_decimal_ull(m, "-", 0 - (u64)n);
}

void seq_put_hex_ll(struct seq_file *m, const char *delimiter, u64 n, unsigned width)
{
	seq_printf(m, "%s%0*llx", delimiter, (int)width, (unsigned long long)n);
}

static void put_octal(struct seq_file *m, u8 c)
{
	char text[4] = {'\\', (char)('0' + (c >> 6)), (char)('0' + (c >> 3 & 7)), (char)('0' + (c & 7))};

	seq_write(m, text, sizeof(text));
}

void seq_escape_mem(struct seq_file *m, const char *s, size_t len, const char *esc)
{
	for (size_t i = 0; i < len; i++) {
		u8 c = (u8)s[i];

		if (c < 0x20 || c >= 0x7f || c == '\\' || strchr(esc, c))
			put_octal(m, c);
		else
			seq_putc(m, s[i]);
	}
}

void seq_escape(struct seq_file *m, const char *s, const char *esc)
{
	seq_escape_mem(m, s, strlen(s), esc);
}

void seq_mangle(struct seq_file *m, const char *s, const char *esc)
{
	for (; *s; s++) {
		if (strchr(esc, *s))
			put_octal(m, (u8)*s);
		else
			seq_putc(m, *s);
	}
}

void seq_setwidth(struct seq_file *m, size_t width)
{
	m->pad_until = m->count + width;
}

void seq_pad(struct seq_file *m, char c)
{
	while (!m->error && m->count < m->pad_until)
		seq_putc(m, ' ');
	if (c)
		seq_putc(m, c);
}

void seq_hex(struct seq_file *m, const void *data, size_t bytes)
{
	static const char digits[] = "0123456789abcdef";
	const u8 *p = data;

	for (; bytes; bytes--, p++) {
		seq_putc(m, digits[*p >> 4]);
		seq_putc(m, digits[*p & 15]);
	}
}

struct list_head *seq_list_start(struct list_head *head, loff_t pos)
{
	struct list_head *at;

	list_for_each (at, head) {
		if (pos-- == 0)
			return at;
	}
	return NULL;
}

struct list_head *seq_list_start_head(struct list_head *head, loff_t pos)
{
	return pos == 0 ? head : seq_list_start(head, pos - 1);
}

struct list_head *seq_list_next(void *v, struct list_head *head, loff_t *pos)
{
	struct list_head *next = ((struct list_head *)v)->next;

	++*pos;
	return next == head ? NULL : next;
}
