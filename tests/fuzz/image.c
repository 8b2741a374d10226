/* SPDX-License-Identifier: MIT */
/*
 * The sparse form of images. Pieces of zeroes are left out; a piece beyond the end is passed over, one that
 * is told twice is what it was told last.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEADER 12u /* magic with its NUL, size */
#define RECORD (4u + FUZZ_PIECE)

static uint32_t word(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_word(uint8_t *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

static struct fuzz_image image_new(size_t size)
{
	struct fuzz_image image = {.size = size < FUZZ_IMAGE_MAX ? size : FUZZ_IMAGE_MAX};

	image.fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (image.fd < 0 || ftruncate(image.fd, (off_t)image.size))
		abort();
	/* A byte more, so that an empty image has a mapping too. */
	image.bytes = mmap(NULL, image.size + 1, PROT_READ | PROT_WRITE, MAP_SHARED, image.fd, 0);
	if (image.bytes == MAP_FAILED)
		abort();
	return image;
}

struct fuzz_image fuzz_image_unpack(const uint8_t *data, size_t size)
{
	struct fuzz_image image;

	if (size < HEADER || memcmp(data, FUZZ_SPARSE_MAGIC, sizeof(FUZZ_SPARSE_MAGIC))) {
		image = image_new(size);
		memcpy(image.bytes, data, image.size);
		return image;
	}
	image = image_new((size_t)word(data + 8) * 1024);
	for (size_t at = HEADER; at + RECORD <= size; at += RECORD) {
		size_t place = (size_t)word(data + at) * FUZZ_PIECE;

		if (place + FUZZ_PIECE <= image.size)
			memcpy(image.bytes + place, data + at + 4, FUZZ_PIECE);
	}
	return image;
}

size_t fuzz_image_pack(const struct fuzz_image *image, uint8_t *data, size_t max)
{
	static const uint8_t zeroes[FUZZ_PIECE];
	size_t at = HEADER;

	if (max < HEADER)
		return 0;
	memcpy(data, FUZZ_SPARSE_MAGIC, sizeof(FUZZ_SPARSE_MAGIC));
	put_word(data + 8, (uint32_t)(image->size / 1024));
	for (size_t place = 0; place + FUZZ_PIECE <= image->size && at + RECORD <= max; place += FUZZ_PIECE) {
		if (!memcmp(image->bytes + place, zeroes, FUZZ_PIECE))
			continue;
		put_word(data + at, (uint32_t)(place / FUZZ_PIECE));
		memcpy(data + at + 4, image->bytes + place, FUZZ_PIECE);
		at += RECORD;
	}
	return at;
}

void fuzz_image_free(struct fuzz_image *image)
{
	munmap(image->bytes, image->size + 1);
	close(image->fd);
}
