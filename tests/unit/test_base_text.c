/* SPDX-License-Identifier: MIT */
/*
 * Text made and read: sequence files (F4), option strings (V2's lower half), the log, trace points (X2's
 * lower half).
 */
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include "base_machine.h"
#include "base/log.h"
#include "base/parser.h"
#include "base/seq_file.h"
#include "base/trace.h"
#include "base/uio.h"

/* Records 0 .. n-1; record i is "i:" and then i % 50 letters; every seventh is left out; `broken` fails. */
struct records {
	int n, broken;
	int started, stopped;
};

static void *records_start(struct seq_file *m, loff_t *pos)
{
	struct records *r = m->private;

	r->started++;
	return *pos < r->n ? (void *)(*pos + 1) : NULL;
}

static void records_stop(struct seq_file *m, void *v)
{
	((struct records *)m->private)->stopped++;
}

static void *records_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return *pos < ((struct records *)m->private)->n ? (void *)(*pos + 1) : NULL;
}

static int records_show(struct seq_file *m, void *v)
{
	struct records *r = m->private;
	int i = (int)(long)v - 1;

	seq_printf(m, "%d:", i);
	if (i == r->broken)
		return -EIO;
	for (int k = 0; k < i % 50; k++)
		seq_putc(m, 'x');
	seq_putc(m, '\n');
	return i % 7 == 6 ? SEQ_SKIP : 0;
}

static const struct seq_operations records_ops = {records_start, records_stop, records_next, records_show};

static size_t expected_text(int n, char *text)
{
	size_t len = 0;

	for (int i = 0; i < n; i++)
		if (i % 7 != 6)
			len += (size_t)sprintf(text + len, "%d:%.*s\n", i, i % 50,
					       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	return len;
}

static ssize_t read_at(struct seq_file *m, char *buf, size_t len, loff_t *pos)
{
	struct iov_iter i;

	iov_iter_ubuf(&i, READ, buf, len);
	return seq_read_iter(m, &i, pos);
}

static void test_seq_file_reads_the_same_in_any_pieces(void **state)
{
	static char expect[20000], got[20000];
	struct records r = {.n = 400, .broken = -1};
	size_t len = expected_text(r.n, expect);
	u64 rng = 1;

	for (size_t piece = 1; piece < 5000; piece = piece * 3 + 1) {
		struct seq_file *m;
		loff_t pos = 0;
		ssize_t n;

		assert_int_equal(seq_open(NULL, &records_ops, &r, &m), 0);
		while ((n = read_at(m, got + pos, piece, &pos)) > 0)
			assert_true((size_t)n <= piece);
		assert_int_equal(n, 0);
		assert_int_equal(pos, len);
		assert_memory_equal(got, expect, len);
		for (unsigned k = 0; k < 50; k++) {
			loff_t at = (loff_t)(splitmix64(&rng) % (len + 100));
			size_t left = at < (loff_t)len ? len - (size_t)at : 0;

			assert_int_equal(seq_lseek(m, at, SEEK_SET, &pos), at);
			n = read_at(m, got, piece, &pos);
			assert_true(left ? n > 0 : n == 0);
			assert_memory_equal(got, expect + at, (size_t)n);
		}
		seq_close(m);
	}
	assert_int_equal(r.started, r.stopped);
}

static void test_seq_file_tells_errors_after_the_text(void **state)
{
	static char expect[2000], got[2000];
	struct records r = {.n = 20, .broken = 10};
	size_t len = expected_text(10, expect);
	struct seq_file *m;
	loff_t pos = 0;

	assert_int_equal(seq_open(NULL, &records_ops, &r, &m), 0);
	assert_int_equal(read_at(m, got, sizeof(got), &pos), len);
	assert_memory_equal(got, expect, len);
	assert_int_equal(read_at(m, got, sizeof(got), &pos), -EIO);
	assert_int_equal(pos, len);
	assert_int_equal(seq_lseek(m, -1, SEEK_SET, &pos), -EINVAL);
	assert_int_equal(seq_lseek(m, LLONG_MAX, SEEK_CUR, &pos), -EINVAL);
	assert_int_equal(seq_lseek(m, 0, SEEK_END, &pos), -EINVAL);
	seq_close(m);
}

static int show_big(struct seq_file *m, void *data)
{
	for (int i = 0; i < 10000; i++)
		seq_put_decimal_ull(m, i ? "," : "", (u64)i);
	return 0;
}

static void test_seq_file_single_record_fits_or_fails(void **state)
{
	static char got[100000];
	struct test_machine t;
	struct seq_file *m;
	loff_t pos = 0;
	ssize_t n;

	assert_int_equal(single_open(test_machine_start(&t, 0, 1), show_big, NULL, &m), 0);
	alloc_fail_set(t.machine, ALLOC_FAIL_NTH, 5, 0);
	assert_int_equal(read_at(m, got, sizeof(got), &pos), -ENOMEM);
	alloc_fail_clear(t.machine);
	n = read_at(m, got, sizeof(got), &pos);
	assert_int_equal(n, 10 + 90 * 2 + 900 * 3 + 9000 * 4 + 9999);
	assert_memory_equal(got + n - 5, ",9999", 5);
	assert_int_equal(read_at(m, got, sizeof(got), &pos), 0);
	seq_close(m);
	test_machine_stop(&t);
}

static void test_seq_text_formats(void **state)
{
	struct seq_file m;

	seq_text_init(&m, NULL);
	seq_mangle(&m, "a b\tc\\d", " \t\n\\");
	seq_putc(&m, '|');
	seq_escape(&m, "q\x01\xff\"", "\"");
	seq_putc(&m, '|');
	seq_setwidth(&m, 6);
	seq_puts(&m, "ab");
	seq_pad(&m, '\n');
	seq_put_decimal_ll(&m, " ", LLONG_MIN);
	seq_put_hex_ll(&m, " ", 0xabc, 6);
	seq_hex(&m, "\x0f\xa0", 2);
	assert_string_equal(seq_text(&m),
			    "a\\040b\\011c\\134d|q\\001\\377\\042|ab    \n -9223372036854775808 000abc0fa0");
	seq_text_free(&m);
	assert_string_equal(seq_text(&m), "");
	seq_text_free(&m);
}

static void test_numbers_whole_and_in_range(void **state)
{
	u64 u;
	s64 s;
	int i;
	unsigned n;
	bool b;
	const char *end;

	assert_int_equal(kstrtoull("18446744073709551615\n", 0, &u), 0);
	assert_true(u == ~0ull);
	assert_int_equal(kstrtoull("18446744073709551616", 0, &u), -ERANGE);
	assert_int_equal(kstrtoull("0x1f", 0, &u), 0);
	assert_int_equal(u, 31);
	assert_int_equal(kstrtoull("017", 0, &u), 0);
	assert_int_equal(u, 15);
	for (const char *const *bad =
		     (const char *const[]){"", " 1", "-1", "1 ", "1x", "\n", "+", "+-1", NULL};
	     *bad; bad++)
		assert_int_equal(kstrtoull(*bad, 0, &u), -EINVAL);
	assert_int_equal(kstrtoll("-9223372036854775808", 10, &s), 0);
	assert_true(s == LLONG_MIN);
	assert_int_equal(kstrtoll("9223372036854775808", 10, &s), -ERANGE);
	assert_int_equal(kstrtoint("-2147483649", 10, &i), -ERANGE);
	assert_int_equal(kstrtouint("4294967296", 10, &n), -ERANGE);
	assert_int_equal(kstrtobool("On\n", &b), 0);
	assert_true(b);
	assert_int_equal(kstrtobool("maybe", &b), -EINVAL);
	assert_int_equal(memparse("4kx", &end), 4096);
	assert_string_equal(end, "x");
	assert_int_equal(parse_size("2G", &u), 0);
	assert_true(u == 2ull << 30);
	assert_int_equal(parse_size("20E", &u), -ERANGE);
	assert_int_equal(parse_size("2Gb", &u), -EINVAL);
	assert_int_equal(parse_size("k", &u), -EINVAL);
}

static void test_options_split_at_commas(void **state)
{
	char text[] = ",ro,,source=/a\\,b=c,empty=,x";
	char *rest = text, *key, *value;

	assert_true(option_next(&rest, &key, &value));
	assert_string_equal(key, "ro");
	assert_null(value);
	assert_true(option_next(&rest, &key, &value));
	assert_string_equal(key, "source");
	assert_string_equal(value, "/a,b=c");
	assert_true(option_next(&rest, &key, &value));
	assert_string_equal(key, "empty");
	assert_string_equal(value, "");
	assert_true(option_next(&rest, &key, &value));
	assert_string_equal(key, "x");
	assert_false(option_next(&rest, &key, &value));
	assert_false(option_next(&rest, &key, &value));
}

static void test_options_have_types(void **state)
{
	static const struct constant_table words[] = {{"continue", 1}, {"panic", 2}, {NULL, 0}};
	static const struct fs_parameter_spec table[] = {fsparam_flag("quiet", 0),
							 fsparam_flag_no("acl", 1),
							 fsparam_u32("uid", 2),
							 fsparam_u32oct("mode", 3),
							 fsparam_s32("nice", 4),
							 fsparam_u64("big", 5),
							 fsparam_size("size", 6),
							 fsparam_enum("errors", 7, words),
							 fsparam_string("label", 8),
							 fsparam_bool("sync", 9),
							 fsparam_flag("quota", 10),
							 fsparam_string("quota", 11),
							 {NULL}};
	static const struct {
		const char *key, *value;
		int result;
		s64 number;
	} cases[] = {
		{"quiet", NULL, 0, 1},
		{"quiet", "1", -EINVAL, 0},
		{"acl", NULL, 1, 1},
		{"noacl", NULL, 1, 0},
		{"noquiet", NULL, -ENOPARAM, 0},
		{"uid", "12", 2, 12},
		{"uid", "-1", -EINVAL, 0},
		{"uid", "4294967296", -ERANGE, 0},
		{"uid", NULL, -EINVAL, 0},
		{"mode", "755", 3, 0755},
		{"mode", "8", -EINVAL, 0},
		{"nice", "-5", 4, -5},
		{"size", "3M", 6, 3 << 20},
		{"errors", "panic", 7, 2},
		{"errors", "no", -EINVAL, 0},
		{"sync", NULL, 9, 1},
		{"sync", "off", 9, 0},
		{"quota", NULL, 10, 1},
		{"label", "", -EINVAL, 0},
		{"what", "x", -ENOPARAM, 0},
		{"big", "99999999999", 5, 99999999999},
	};
	struct fs_parse_result result;
	const char *problem;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = fs_parse(table, cases[i].key, cases[i].value, &result, &problem);

		assert_int_equal(r, cases[i].result);
		if (r == 4)
			assert_int_equal(result.int_32, cases[i].number);
		else if (r == 5 || r == 6)
			assert_true(result.uint_64 == (u64)cases[i].number);
		else if (r >= 0)
			assert_int_equal(result.uint_32, cases[i].number);
	}
	assert_int_equal(fs_parse(table, "quota", "a", &result, &problem), 11);
	assert_string_equal(result.string, "a");
	assert_int_equal(fs_parse(table, "uid", NULL, &result, &problem), -EINVAL);
	assert_string_equal(problem, "needs a value");
}

static void collect(void *arg, const struct log_record *record)
{
	strcat(arg, record->text);
}

static void test_log_keeps_the_newest(void **state)
{
	enum { N = 3000 };
	char buf[LOG_TEXT_MAX + 1], heard[100] = "";
	struct log_record record;
	struct test_machine t;
	u64 seq = 0, first;

	test_machine_start(&t, 0, 1);
	assert_int_equal(log_read(t.machine, &seq, buf, sizeof(buf), &record), -EAGAIN);
	log_set_sink(t.machine, LOGLEVEL_ERR, collect, heard);
	pr_err(t.machine, "a%d\n", 1);
	pr_info(t.machine, "b");
	pr_crit(t.machine, "c");
	assert_string_equal(heard, "a1c");
	log_set_sink(t.machine, 0, NULL, NULL);
	for (unsigned i = 3; i < N; i++)
		pr_info(t.machine, "%u %.*s", i, (int)(i % 200),
			"....................................................");
	assert_int_equal(log_read(t.machine, &seq, buf, sizeof(buf), &record), -EPIPE);
	assert_true(seq > 3 && seq < N - 500);
	first = seq;
	while (log_read(t.machine, &seq, buf, sizeof(buf), &record) >= 0) {
		char expect[300];

		snprintf(expect, sizeof(expect), "%u %.*s", (unsigned)first, (int)(first % 200),
			 "....................................................");
		assert_string_equal(buf, expect);
		assert_int_equal(record.seq, first++);
		assert_int_equal(record.level, LOGLEVEL_INFO);
	}
	assert_int_equal(first, N);
	test_machine_stop(&t);
}

static void test_log_limits_what_one_place_says(void **state)
{
	char buf[200];
	struct log_record record;
	struct test_machine t;
	u64 seq = 0;
	unsigned n = 0;

	test_machine_start(&t, 0, 1);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 25; i++)
			pr_err_ratelimited(t.machine, "bad block %u", i);
		clock_advance(t.machine, 6 * NSEC_PER_SEC);
	}
	while (log_read(t.machine, &seq, buf, sizeof(buf), &record) >= 0) {
		if (n == 10)
			assert_string_equal(buf, "15 messages like the next were left out");
		n++;
	}
	assert_int_equal(n, 21);
	test_machine_stop(&t);
}

static void test_trace_records_points_in_order(void **state)
{
	struct trace_record record;
	struct test_machine t;

	test_machine_start(&t, 0, 1);
	TRACE(unseen, 1);
	assert_int_equal(trace_count(t.machine), 0);
	assert_int_equal(trace_start(t.machine, 3), 0);
	assert_int_equal(trace_start(t.machine, 3), -EBUSY);
	TRACE(nothing);
	TRACE_ON(t.machine, six, 1, -2, &t, 4, 5u, 6ull);
	assert_int_equal(trace_read(t.machine, 0, &record), 0);
	assert_string_equal(record.point->name, "nothing");
	assert_int_equal(record.point->nr_args, 0);
	assert_int_equal(trace_read(t.machine, 1, &record), 0);
	assert_string_equal(record.point->name, "six");
	assert_string_equal(record.point->args, "1, -2, &t, 4, 5u, 6ull");
	assert_int_equal(record.point->nr_args, 6);
	assert_true((s64)record.args[1] == -2 && record.args[2] == (u64)&t && record.args[5] == 6);
	assert_int_equal(trace_read(t.machine, 2, &record), -ENOENT);
	for (int i = 2; i < 20; i++)
		TRACE(count, i);
	trace_stop(t.machine);
	TRACE(unseen, 1);
	assert_int_equal(trace_count(t.machine), 20);
	assert_int_equal(trace_read(t.machine, 11, &record), -ENOENT);
	for (u64 n = 12; n < 20; n++) {
		assert_int_equal(trace_read(t.machine, n, &record), 0);
		assert_int_equal(record.args[0], n);
	}
	assert_int_equal(trace_start(t.machine, 3), 0);
	assert_int_equal(trace_count(t.machine), 0);
	test_machine_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seq_file_reads_the_same_in_any_pieces),
		cmocka_unit_test(test_seq_file_tells_errors_after_the_text),
		cmocka_unit_test(test_seq_file_single_record_fits_or_fails),
		cmocka_unit_test(test_seq_text_formats),
		cmocka_unit_test(test_numbers_whole_and_in_range),
		cmocka_unit_test(test_options_split_at_commas),
		cmocka_unit_test(test_options_have_types),
		cmocka_unit_test(test_log_keeps_the_newest),
		cmocka_unit_test(test_log_limits_what_one_place_says),
		cmocka_unit_test(test_trace_records_points_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
