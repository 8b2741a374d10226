/* SPDX-License-Identifier: MIT */
/*
 * Bios: vectors and iterators, split, chain, clone, and pools that make progress without memory: row B1.
 */
#include "block_mem.h"

static char buf[SZ_256K];

static struct block_device *dev_of(struct memdisk *mem)
{
	return disk_part0(mem->disk);
}

static void vectors_join_and_fill_up(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 1), &(struct mem_params){});
	struct bio_vec bv, table[2];
	struct bvec_iter iter;
	struct bio bio;
	u32 lens[2] = {1536, 1024}, n = 0;

	bio_init(&bio, dev_of(mem), table, 2, REQ_OP_READ);
	assert_int_equal(bio_add_mem(&bio, buf, 1024), 1024);
	assert_int_equal(bio_add_mem(&bio, buf + 1024, 512), 512); /* continues the first */
	assert_int_equal(bio_add_mem(&bio, buf + 4096, 1024), 1024);
	assert_int_equal(bio_add_mem(&bio, buf + 8192, 512), 0); /* full */
	assert_int_equal(bio.bi_vcnt, 2);
	assert_int_equal(bio.bi_iter.bi_size, 2560);
	bio_for_each_segment (bv, &bio, iter)
		assert_int_equal(bv.bv_len, lens[n++]);
	assert_int_equal(n, 2);
	bio_advance(&bio, 1536 + 512);
	assert_int_equal(bio.bi_iter.bi_sector, 4);
	n = 0;
	bio_for_each_segment (bv, &bio, iter) {
		assert_ptr_equal(bvec_virt(&bv), buf + 4096 + 512);
		assert_int_equal(bv.bv_len, 512);
		n++;
	}
	assert_int_equal(n, 1);
	mem_free(mem);
	block_test_stop(&t);
}

/*
 * Parts of a split bio cover its memory and sectors exactly; the whole ends once, after all parts, with the
 * first error.
 */
static void split_and_chain(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 1), &(struct mem_params){});
	struct bio_result r = {};
	struct bio *bio, *part;

	for (unsigned i = 0; i < 64; i++)
		memset(mem->data + i * 512, i + 1, 512);
	mem->hold = true;
	assert_int_equal(bio_alloc(dev_of(mem), 8, REQ_OP_READ, &bio), 0);
	for (unsigned i = 0; i < 8; i++)
		bio_add_mem(bio, buf + i * 8192, 8 * 512);
	bio->bi_private = &r;
	bio->bi_end_io = bio_result_end;
	for (unsigned i = 0; i < 5; i++) {
		part = bio_split(bio, 11, blk_bio_set(t.machine)); /* cuts through vectors */
		assert_int_equal(bio_sectors(part), 11);
		assert_int_equal(part->bi_iter.bi_sector, i * 11);
		bio_chain(part, bio);
		submit_bio(part);
	}
	assert_int_equal(bio_sectors(bio), 9);
	submit_bio(bio);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(atomic_read(&r.done), 0);
		mem_release(mem, 1);
	}
	assert_int_equal(atomic_read(&r.done), 1);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(buf[i / 8 * 8192 + i % 8 * 512 + 511], i + 1);

	mem->hold = false;
	mem->fail_status = -ENODATA;
	mem->fail_count = 1;
	assert_int_equal(bio_alloc(dev_of(mem), 1, REQ_OP_READ, &bio), 0);
	bio_add_mem(bio, buf, 4096);
	part = bio_split(bio, 4, blk_bio_set(t.machine));
	bio_chain(part, bio);
	submit_bio(part);
	assert_int_equal(submit_bio_wait(bio), -ENODATA);
	bio_put(bio);
	mem_free(mem);
	block_test_stop(&t);
}

static void clone_has_an_end_of_its_own(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 1), &(struct mem_params){});
	struct bio *bio, *clone;

	memset(mem->data + 8 * 512, 'c', 4096);
	assert_int_equal(bio_alloc(dev_of(mem), 1, REQ_OP_READ, &bio), 0);
	bio->bi_iter.bi_sector = 8;
	bio_add_mem(bio, buf, 4096);
	clone = bio_alloc_clone(dev_of(mem), bio, blk_bio_set(t.machine));
	assert_int_equal(submit_bio_wait(clone), 0);
	bio_put(clone);
	assert_int_equal(bio_sectors(bio), 8); /* the original is as it was */
	assert_int_equal(buf[4095], 'c');
	bio_put(bio);
	mem_free(mem);
	block_test_stop(&t);
}

/* Without any memory, bios of a set still come as long as earlier ones end. */
static void pool_makes_progress_without_memory(void **state)
{
	struct test_machine t;
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 1), &(struct mem_params){});
	struct bio_result r = {};
	struct bio_set *set;
	struct bio *none;

	assert_int_equal(bioset_create(t.machine, 2, &set), 0);
	mem->by_work = true;
	alloc_fail_set(t.machine, ALLOC_FAIL_FROM, 1, 0);
	assert_int_equal(bio_alloc(dev_of(mem), 1, REQ_OP_READ, &none), -ENOMEM);
	for (unsigned i = 0; i < 40; i++) {
		struct bio *bio = bio_alloc_bioset(dev_of(mem), 100, REQ_OP_WRITE, set);

		assert_true(bio->bi_max_vecs >= 100);
		bio->bi_iter.bi_sector = i * 8;
		bio_add_mem(bio, buf, 4096);
		bio->bi_private = &r;
		bio->bi_end_io = bio_result_end;
		submit_bio(bio);
	}
	blk_freeze_queue(mem->disk->queue);
	blk_unfreeze_queue(mem->disk->queue);
	alloc_fail_clear(t.machine);
	assert_int_equal(atomic_read(&r.done), 40);
	assert_int_equal(r.status, 0);
	bioset_destroy(set);
	mem_free(mem);
	block_test_stop(&t);
}

/* Splitting needs bios of its own: also they come from a reserve. */
static void splits_make_progress_without_memory(void **state)
{
	struct test_machine t;
	struct mem_params p = {.limits = {.max_sectors = 8}, .depth = 2};
	struct memdisk *mem = mem_new(block_test_start(&t, 0, 1), &p);
	struct bio *bio;

	mem->by_work = true;
	memset(mem->data, 'm', SZ_256K);
	assert_int_equal(bio_alloc(dev_of(mem), 1, REQ_OP_READ, &bio), 0);
	bio_add_mem(bio, buf, SZ_256K);
	alloc_fail_set(t.machine, ALLOC_FAIL_FROM, 1, 0);
	assert_int_equal(submit_bio_wait(bio), 0);
	alloc_fail_clear(t.machine);
	bio_put(bio);
	assert_int_equal(mem->nr_seen, 64);
	assert_int_equal(buf[SZ_256K - 1], 'm');
	mem_free(mem);
	block_test_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_join_and_fill_up),
		cmocka_unit_test(split_and_chain),
		cmocka_unit_test(clone_has_an_end_of_its_own),
		cmocka_unit_test(pool_makes_progress_without_memory),
		cmocka_unit_test(splits_make_progress_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
