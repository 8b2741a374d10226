/* SPDX-License-Identifier: MIT */
/*
 * Trees, bitmaps, hashes, checksums, identifiers, byte order, checked arithmetic and iterators over memory,
 * against plain models and published values. Base of all rows; the iterator is P1's.
 */
#include <sys/mman.h>
#include <limits.h>
#include <stdio.h>
#include "base_machine.h"
#include "base/bitmap.h"
#include "base/crc.h"
#include "base/errname.h"
#include "base/hash.h"
#include "base/le.h"
#include "base/list.h"
#include "base/overflow.h"
#include "base/rbtree.h"
#include "base/siphash.h"
#include "base/uio.h"
#include "base/uuid.h"

static u64 rng;
static u64 rnd(u64 n)
{
	return splitmix64(&rng) % n;
}

struct item {
	struct rb_node node;
	unsigned key;
	bool in;
};

static bool item_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct item, node)->key < rb_entry((struct rb_node *)b, struct item, node)->key;
}

static int item_cmp(const void *key, const struct rb_node *node)
{
	unsigned a = *(const unsigned *)key, b = rb_entry((struct rb_node *)node, struct item, node)->key;

	return a < b ? -1 : a > b;
}

/* Black height; the red-black rules hold below. */
static int check_tree(const struct rb_node *node, const struct rb_node *parent)
{
	int left, right;
	bool red;

	if (!node)
		return 1;
	red = !(node->parent_color & 1);
	assert_ptr_equal(rb_parent(node), parent);
	assert_false(red && (!parent || !(parent->parent_color & 1)));
	left = check_tree(node->rb_left, node);
	right = check_tree(node->rb_right, node);
	assert_int_equal(left, right);
	return left + !red;
}

static void test_rbtree_keeps_order_and_balance(void **state)
{
	enum { N = 300 };
	static struct item items[N];
	struct rb_root_cached root = RB_ROOT_CACHED;

	rng = 1;
	for (unsigned i = 0; i < N; i++)
		items[i] = (struct item){.key = i};
	for (unsigned round = 0; round < 20000; round++) {
		struct item *it = &items[rnd(round % 4000 < 2000 ? N : N / 10)];
		struct item *pos;
		unsigned next = 0;

		if (it->in)
			rb_erase_cached(&it->node, &root);
		else
			rb_add_cached(&it->node, &root, item_less);
		it->in = !it->in;
		if (round % 16)
			continue;
		check_tree(root.rb_root.rb_node, NULL);
		rb_for_each_entry (pos, &root.rb_root, node) {
			while (!items[next].in)
				next++;
			assert_ptr_equal(pos, &items[next++]);
		}
		while (next < N)
			assert_false(items[next++].in);
		assert_ptr_equal(rb_first_cached(&root), rb_first(&root.rb_root));
		next = (unsigned)rnd(N);
		assert_ptr_equal(rb_find(&next, &root.rb_root, item_cmp),
				 items[next].in ? &items[next].node : NULL);
		pos = rb_entry_safe(rb_find_floor(&next, &root.rb_root, item_cmp), struct item, node);
		while (next && !items[next].in)
			next--;
		assert_ptr_equal(pos, items[next].in ? &items[next] : NULL);
	}
}

static void test_rbtree_postorder_and_backwards(void **state)
{
	static struct item items[100];
	struct rb_root root = RB_ROOT;
	struct item *pos, *n;
	struct rb_node *node;
	unsigned seen = 0;

	for (unsigned i = 0; i < 100; i++) {
		items[i] = (struct item){.key = i * 37 % 100};
		rb_add(&items[i].node, &root, item_less);
	}
	for (node = rb_last(&root); node; node = rb_prev(node))
		assert_int_equal(rb_entry(node, struct item, node)->key, 99 - seen++);
	assert_int_equal(seen, 100);
	rbtree_postorder_for_each_entry_safe(pos, n, &root, node)
	{
		assert_true(!pos->node.rb_left || rb_entry(pos->node.rb_left, struct item, node)->in);
		assert_true(!pos->node.rb_right || rb_entry(pos->node.rb_right, struct item, node)->in);
		pos->in = true;
		seen--;
	}
	assert_int_equal(seen, 0);
}

static void check_bitmaps(const u8 *bits, const unsigned long *map, const u8 *disk, unsigned size)
{
	unsigned from = (unsigned)rnd(size + 1);
	unsigned set = from, clear = from, weight = 0, last = size;

	while (set < size && !bits[set])
		set++;
	while (clear < size && bits[clear])
		clear++;
	for (unsigned i = 0; i < size; i++) {
		weight += bits[i];
		last = bits[i] ? i : last;
		assert_int_equal(__test_bit(i, map), bits[i]);
		assert_int_equal(test_bit_le(i, disk), bits[i]);
	}
	assert_int_equal(find_next_bit(map, size, from), set);
	assert_int_equal(find_next_zero_bit(map, size, from), clear);
	assert_int_equal(find_next_bit_le(disk, size, from), set);
	assert_int_equal(find_next_zero_bit_le(disk, size, from), clear);
	assert_int_equal(find_last_bit(map, size), last);
	assert_int_equal(bitmap_weight(map, size), weight);
	assert_int_equal(bitmap_weight_le(disk, size), weight);
	assert_int_equal(bitmap_empty(map, size), weight == 0);
	assert_int_equal(bitmap_full(map, size), weight == size);
}

static void test_bitmap_follows_an_array(void **state)
{
	rng = 2;
	for (unsigned size = 1; size < 300; size++) {
		/* Allocated to the byte, at odd addresses: the sanitizer sees any read beyond. */
		u8 *bits = calloc(1, size), *memory = calloc(1, BITS_TO_BYTES(size) + 1), *disk = memory + 1;
		unsigned long *map = calloc(BITS_TO_LONGS(size), sizeof(*map));

		for (unsigned round = 0; round < 40; round++) {
			unsigned start = (unsigned)rnd(size), nr = (unsigned)rnd(size - start + 1);
			bool set = rnd(2);

			memset(bits + start, set, nr);
			(set ? bitmap_set : bitmap_clear)(map, start, nr);
			(set ? bitmap_set_le : bitmap_clear_le)(disk, start, nr);
			check_bitmaps(bits, map, disk, size);
		}
		free(bits);
		free(memory);
		free(map);
	}
}

static void test_bitmap_finds_areas(void **state)
{
	DECLARE_BITMAP(map, 256);
	DECLARE_BITMAP(other, 256);

	bitmap_fill(map, 256);
	assert_int_equal(bitmap_find_next_zero_area(map, 256, 0, 1, 0), 256);
	bitmap_clear(map, 3, 5);
	bitmap_clear(map, 70, 20);
	assert_int_equal(bitmap_find_next_zero_area(map, 256, 0, 5, 0), 3);
	assert_int_equal(bitmap_find_next_zero_area(map, 256, 0, 6, 0), 70);
	assert_int_equal(bitmap_find_next_zero_area(map, 256, 0, 4, 3), 4);
	assert_int_equal(bitmap_find_next_zero_area(map, 256, 0, 8, 7), 72);
	assert_int_equal(bitmap_find_next_zero_area(map, 256, 0, 21, 0), 256);
	bitmap_zero(other, 256);
	__set_bit(75, other);
	__set_bit(200, other);
	assert_int_equal(find_next_and_bit(map, other, 256, 0), 200);
}

static void test_hash_of_names_agree(void **state)
{
	const size_t page = 4096;
	char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(pages != MAP_FAILED);
	assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
	rng = 3;
	for (unsigned len = 0; len <= 300; len++) {
		/* The end is the last byte that may be read. */
		char *name = pages + page - len - 1;
		u32 hash;

		for (unsigned i = 0; i < len; i++)
			do
				name[i] = (char)rnd(256);
			while (name[i] == '\0' || name[i] == '/');
		name[len] = '\0';
		hash = full_name_hash(pages, name, len);
		assert_true(hash_name(pages, name) == hashlen_create(hash, len));
		assert_true(hashlen_string(pages, name) == hashlen_create(hash, len));
		name[len] = '/';
		assert_true(hash_name(pages, name) == hashlen_create(hash, len));
		assert_true(name_equal(name, name, len));
		if (len) {
			unsigned at = (unsigned)rnd(len);
			char other[300];

			memcpy(other, name, len);
			other[at] ^= 1;
			assert_false(name_equal(name, other, len));
			assert_true(full_name_hash(pages, other, len) != hash);
			assert_true(full_name_hash(pages + 64, name, len) != hash);
		}
	}
	munmap(pages, 2 * page);
}

static void test_hash_names_spread(void **state)
{
	enum { BUCKETS = 1024, NAMES = 8 * BUCKETS };
	static unsigned count[BUCKETS];
	unsigned most = 0;

	memset(count, 0, sizeof(count));
	for (unsigned i = 0; i < NAMES; i++) {
		char name[32];
		int len = snprintf(name, sizeof(name), "file%06u.txt", i);
		unsigned bucket = full_name_hash(NULL, name, (unsigned)len) % BUCKETS;

		most = max(most, ++count[bucket]);
	}
	/* Eight on average; a fair hash stays below thirty with a chance of one in a million. */
	assert_true(most < 30);
}

/* By division, bit by bit. */
static u32 crc_slow(u32 crc, u32 poly, const u8 *p, size_t len)
{
	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? poly : 0);
	}
	return crc;
}

static void test_crc_of_published_and_random_data(void **state)
{
	static u8 data[5000];

	assert_int_equal(~crc32c(~0u, "123456789", 9), 0xe3069283u);
	assert_int_equal(~crc32_le(~0u, "123456789", 9), 0xcbf43926u);
	assert_int_equal(crc32_be(~0u, "123456789", 9), 0x0376e6e7u); /* CRC-32/MPEG-2 */
	assert_int_equal(crc16(0, "123456789", 9), 0xbb3d);
	rng = 4;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (u8)rnd(256);
	for (unsigned round = 0; round < 300; round++) {
		size_t at = rnd(100), len = rnd(round < 200 ? 200 : sizeof(data) - 100);
		u32 seed = (u32)rnd(1ull << 32);

		assert_int_equal(crc32c(seed, data + at, len), crc_slow(seed, 0x82f63b78, data + at, len));
		u32 lanes[CRC_LANES] = {seed, ~seed, 0};
		const void *const p[CRC_LANES] = {data + at, data, data + at / 2};

		crc32c_lanes(lanes, p, len);
		for (unsigned lane = 0; lane < CRC_LANES; lane++)
			assert_int_equal(lanes[lane], crc_slow(lane ? lane == 1 ? ~seed : 0 : seed,
							       0x82f63b78, p[lane], len));
		assert_int_equal(crc32c_by_table(seed, data + at, len),
				 crc_slow(seed, 0x82f63b78, data + at, len));
		assert_int_equal(crc32_le(seed, data + at, len), crc_slow(seed, 0xedb88320, data + at, len));
		assert_int_equal(crc16((u16)seed, data + at, len),
				 crc_slow((u16)seed, 0xa001, data + at, len));
	}
}

/* The paper's own example: key 00..0f, message 00..0e. */
static void test_siphash_of_the_paper(void **state)
{
	u8 bytes[16];
	siphash_key_t key;
	u64 word;

	for (unsigned i = 0; i < 16; i++)
		bytes[i] = (u8)i;
	key.key[0] = get_unaligned_le64(bytes);
	key.key[1] = get_unaligned_le64(bytes + 8);
	assert_true(siphash(bytes, 15, &key) == 0xa129ca6149be45e5ULL);
	word = get_unaligned_le64(bytes);
	assert_true(siphash_1u64(word, &key) == siphash(bytes, 8, &key));
}

static void test_uuid_text_goes_both_ways(void **state)
{
	static const char text[] = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
	/* The EFI system partition's GUID, as the UEFI specification lays it out on disk. */
	static const u8 disk[] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
				  0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};
	char out[UUID_STRING_LEN + 1];
	uuid_t u;

	assert_int_equal(guid_parse(text, &u), 0);
	assert_memory_equal(u.b, disk, sizeof(disk));
	guid_format(&u, out);
	assert_string_equal(out, text);
	assert_int_equal(uuid_parse("C12A7328-F81F-11D2-BA4B-00A0C93EC93B", &u), 0);
	assert_int_equal(u.b[0], 0xc1);
	uuid_format(&u, out);
	assert_string_equal(out, text);
	assert_false(uuid_is_null(&u));
	assert_int_equal(uuid_parse("", &u), -EINVAL);
	assert_int_equal(uuid_parse("c12a7328-f81f-11d2-ba4b-00a0c93ec93", &u), -EINVAL);
	assert_int_equal(uuid_parse("c12a7328-f81f-11d2-ba4b-00a0c93ec93bb", &u), -EINVAL);
	assert_int_equal(uuid_parse("c12a7328xf81f-11d2-ba4b-00a0c93ec93b", &u), -EINVAL);
	assert_int_equal(uuid_parse("g12a7328-f81f-11d2-ba4b-00a0c93ec93b", &u), -EINVAL);
}

static void test_byte_order_is_that_of_the_name(void **state)
{
	le32 a = cpu_to_le32(0x01020304);
	be32 b = cpu_to_be32(0x01020304);
	u8 bytes[9] = {0};

	assert_memory_equal(&a, "\4\3\2\1", 4);
	assert_memory_equal(&b, "\1\2\3\4", 4);
	assert_int_equal(be32_to_cpu(b), 0x01020304);
	put_unaligned_le64(0x0102030405060708, bytes + 1);
	assert_memory_equal(bytes, "\0\x8\7\6\5\4\3\2\1", 9);
	assert_int_equal(get_unaligned_be16(bytes + 1), 0x0807);
	le32_add_cpu(&a, 0xff);
	assert_int_equal(le32_to_cpu(a), 0x01020403);
}

static void test_arithmetic_tells_overflow(void **state)
{
	volatile size_t half = SIZE_MAX / 2;
	u32 x;
	int y;
	u64 z;

	assert_true(check_add_overflow(UINT_MAX, 1u, &x));
	assert_false(check_add_overflow(UINT_MAX - 1, 1u, &x));
	assert_true(check_mul_overflow(1ull << 32, 1ull << 32, &z));
	assert_true(check_sub_overflow(1u, 2u, &x));
	assert_true(check_shl_overflow(1, 32, &x));
	assert_true(check_shl_overflow(1, 31, &y));
	assert_false(check_shl_overflow(1, 31, &x));
	assert_true(check_shl_overflow(3, 63, &z));
	assert_true(check_shl_overflow(1, 64, &z));
	assert_true(size_mul(SIZE_MAX / 2, 3) == SIZE_MAX);
	assert_true(size_add(SIZE_MAX, 1) == SIZE_MAX);
	assert_true(range_fits(10, 5, 15));
	assert_false(range_fits(10, 6, 15));
	assert_false(range_fits(10, ~0ull, 15));
	assert_null(kcalloc(NULL, half, 3));
	assert_int_equal(min(3, 4u), 3);
	assert_int_equal(clamp(7, 1, 5), 5);
	assert_int_equal(roundup_pow_of_two(65), 128);
	assert_int_equal(get_order(PAGE_SIZE + 1), 1);
	assert_string_equal(errname(-ENOENT), "ENOENT");
	assert_string_equal(errname(0), "0");
	assert_string_equal(errname(99999), "E?");
}

static void test_list_splice_and_cut(void **state)
{
	struct {
		struct list_head link;
	} n[6];
	LIST_HEAD(a);
	LIST_HEAD(b);

	for (unsigned i = 0; i < 6; i++)
		list_add_tail(&n[i].link, &a);
	list_cut_position(&b, &a, &n[2].link);
	assert_int_equal(list_count_nodes(&a), 3);
	assert_ptr_equal(a.next, &n[3].link);
	assert_ptr_equal(b.prev, &n[2].link);
	list_splice_tail_init(&a, &b);
	assert_true(list_empty(&a));
	assert_int_equal(list_count_nodes(&b), 6);
	assert_ptr_equal(b.prev, &n[5].link);
	list_move(&n[4].link, &a);
	assert_true(list_is_singular(&a));
	list_rotate_left(&b);
	assert_ptr_equal(b.prev, &n[0].link);
	assert_ptr_equal(b.next, &n[1].link);
}

/* One iterator of each kind over the same random segments; every operation against one flat buffer. */
enum { SEGS = 9, FLAT = 4000 };

static void iter_make(struct iov_iter *i, unsigned type, unsigned direction, char *memory, const size_t *lens,
		      struct iovec *iov, struct kvec *kvec, struct bio_vec *bvec, size_t count)
{
	size_t at = 0;

	for (unsigned s = 0; s < SEGS; s++) {
		iov[s] = (struct iovec){memory + at, lens[s]};
		kvec[s] = (struct kvec){memory + at, lens[s]};
		bvec_set(&bvec[s], memory, (u32)lens[s], (u32)at);
		at += lens[s];
	}
	if (type == ITER_UBUF)
		iov_iter_ubuf(i, direction, memory, count);
	else if (type == ITER_IOVEC)
		iov_iter_init(i, direction, iov, SEGS, count);
	else if (type == ITER_KVEC)
		iov_iter_kvec(i, direction, kvec, SEGS, count);
	else
		iov_iter_bvec(i, direction, bvec, SEGS, count);
}

static void iter_round(unsigned type)
{
	char memory[FLAT], model[FLAT], source[FLAT], got[FLAT];
	size_t lens[SEGS], total = 0, pos = 0;
	struct iovec iov[SEGS];
	struct kvec kvec[SEGS];
	struct bio_vec bvec[SEGS];
	struct iov_iter i;

	for (unsigned s = 0; s < SEGS; s++)
		total += lens[s] = rnd(3) ? rnd(400) : 0;
	for (unsigned n = 0; n < FLAT; n++)
		memory[n] = model[n] = (char)rnd(256), source[n] = (char)rnd(256);
	iter_make(&i, type, READ, memory, lens, iov, kvec, bvec, total);
	for (unsigned step = 0; step < 40; step++) {
		size_t want = rnd(300), done = min(want, total - pos);
		struct bio_vec taken[SEGS];
		unsigned nr;

		assert_int_equal(iov_iter_count(&i), total - pos);
		switch (rnd(6)) {
		case 0:
			assert_int_equal(copy_to_iter(source + pos, want, &i), done);
			memcpy(model + pos, source + pos, done);
			break;
		case 1:
			assert_int_equal(copy_from_iter(got, want, &i), done);
			assert_memory_equal(got, model + pos, done);
			break;
		case 2:
			assert_int_equal(iov_iter_zero(want, &i), done);
			memset(model + pos, 0, done);
			break;
		case 3:
			iov_iter_advance(&i, done);
			break;
		case 4:
			done = 0;
			want = min(want, pos);
			iov_iter_revert(&i, want);
			pos -= want;
			break;
		default:
			done = 0;
			for (ssize_t n = iov_iter_get_segments(&i, taken, 3, want, &nr); done < (size_t)n;) {
				assert_true(nr >= 1 && nr <= 3);
				for (unsigned s = 0; s < nr; s++) {
					assert_ptr_equal(bvec_virt(&taken[s]), memory + pos + done);
					done += taken[s].bv_len;
				}
				assert_int_equal(done, n);
			}
			assert_true(done <= want);
		}
		pos += done;
		assert_memory_equal(memory, model, FLAT);
	}
}

static void test_iterators_follow_a_flat_buffer(void **state)
{
	rng = 5;
	for (unsigned round = 0; round < 400; round++)
		iter_round(round % 4);
}

static void test_iterator_limits_of_a_call(void **state)
{
	struct iovec many[UIO_MAXIOV + 1], fast[UIO_FASTIOV], *kept;
	static u8 memory[64] __aligned_to(64);
	struct iov_iter i;

	for (unsigned n = 0; n <= UIO_MAXIOV; n++)
		many[n] = (struct iovec){memory, 1};
	assert_int_equal(import_iovec(NULL, READ, many, UIO_MAXIOV + 1, UIO_FASTIOV, fast, &kept, &i),
			 -EINVAL);
	assert_int_equal(import_iovec(NULL, READ, NULL, 1, UIO_FASTIOV, fast, &kept, &i), -EFAULT);
	assert_int_equal(import_iovec(NULL, READ, many, UIO_MAXIOV, UIO_FASTIOV, fast, &kept, &i),
			 UIO_MAXIOV);
	assert_non_null(kept);
	kfree(kept);
	many[0].iov_len = (size_t)SSIZE_MAX + 1;
	assert_int_equal(import_iovec(NULL, READ, many, 1, UIO_FASTIOV, fast, &kept, &i), -EINVAL);
	many[0].iov_len = SSIZE_MAX;
	many[1].iov_len = 5;
	assert_int_equal(import_iovec(NULL, READ, many, 2, UIO_FASTIOV, fast, &kept, &i), MAX_RW_COUNT);
	assert_null(kept);
	many[0] = (struct iovec){memory + 16, 32};
	many[1] = (struct iovec){memory + 1, 0};
	many[2] = (struct iovec){memory, 48};
	assert_int_equal(import_iovec(NULL, READ, many, 3, UIO_FASTIOV, fast, &kept, &i), 80);
	assert_int_equal(iov_iter_alignment(&i) & 31, 16);
	assert_true(iov_iter_is_aligned(&i, 15, 15));
	assert_false(iov_iter_is_aligned(&i, 31, 15));
	assert_int_equal(iov_iter_nr_runs(&i, 10), 2);
	assert_int_equal(iov_iter_single_seg_count(&i), 32);
	iov_iter_discard(&i, READ, 100);
	assert_int_equal(copy_to_iter(memory, 64, &i), 64);
	assert_int_equal(copy_to_iter(memory, 64, &i), 36);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rbtree_keeps_order_and_balance),
		cmocka_unit_test(test_rbtree_postorder_and_backwards),
		cmocka_unit_test(test_bitmap_follows_an_array),
		cmocka_unit_test(test_bitmap_finds_areas),
		cmocka_unit_test(test_hash_of_names_agree),
		cmocka_unit_test(test_hash_names_spread),
		cmocka_unit_test(test_crc_of_published_and_random_data),
		cmocka_unit_test(test_siphash_of_the_paper),
		cmocka_unit_test(test_uuid_text_goes_both_ways),
		cmocka_unit_test(test_byte_order_is_that_of_the_name),
		cmocka_unit_test(test_arithmetic_tells_overflow),
		cmocka_unit_test(test_list_splice_and_cut),
		cmocka_unit_test(test_iterators_follow_a_flat_buffer),
		cmocka_unit_test(test_iterator_limits_of_a_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
