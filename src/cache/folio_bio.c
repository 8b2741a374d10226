/* SPDX-License-Identifier: MIT */
/*
 * See folio_bio.h.
 */
#include "cache/folio_bio.h"

#include "base/alloc.h"
#include "base/rcu.h"

struct folio_bio {
	struct address_space *mapping;
	u64 pos, len; // bytes of the file
	folio_bio_end_t end;
	struct bio bio; // its vectors follow
};

#define FOLIO_BIO_MAX_BYTES (8u << 20)

// A locked folio cannot leave the index, so each part finds its folio there.
static void folio_bio_end_io(struct bio *bio)
{
	struct folio_bio *fb = container_of(bio, struct folio_bio, bio);
	u64 pos = fb->pos, end = fb->pos + fb->len;

	while (pos < end) {
		struct folio *folio = xa_load(&fb->mapping->i_pages, pos >> PAGE_SHIFT);
		size_t offset = pos - folio_pos(folio);
		size_t len = min(end - pos, folio_size(folio) - offset);

		pos += len;
		fb->end(folio, offset, len, bio->bi_status);
	}
	kfree(fb);
}

int folio_bio_alloc(struct block_device *bdev, sector_t sector, blk_opf_t opf, unsigned max_vecs,
		    struct address_space *mapping, u64 pos, folio_bio_end_t end, struct folio_bio **out)
{
	unsigned nr = clamp_t(unsigned, max_vecs, 1, BIO_MAX_VECS);
	struct folio_bio *fb = kmalloc(mapping->machine, sizeof(*fb) + nr * sizeof(struct bio_vec));

	if (!fb)
		return -ENOMEM;
	fb->mapping = mapping;
	fb->pos = pos;
	fb->len = 0;
	fb->end = end;
	bio_init(&fb->bio, bdev, (struct bio_vec *)(fb + 1), nr, opf);
	fb->bio.bi_iter.bi_sector = sector;
	fb->bio.bi_end_io = folio_bio_end_io;
	*out = fb;
	return 0;
}

bool folio_bio_add(struct folio_bio *fb, struct block_device *bdev, sector_t sector, struct folio *folio,
		   size_t offset, size_t len)
{
	if (fb->bio.bi_bdev != bdev || fb->bio.bi_iter.bi_sector + (fb->len >> SECTOR_SHIFT) != sector)
		return false;
	if (fb->pos + fb->len != folio_pos(folio) + offset || fb->len + len > FOLIO_BIO_MAX_BYTES)
		return false;
	if (bio_add_mem(&fb->bio, (char *)folio_address(folio) + offset, len) != len)
		return false;
	fb->len += len;
	return true;
}

void folio_bio_submit(struct folio_bio *fb)
{
	if (fb)
		submit_bio(&fb->bio);
}
