/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share: the image that an input becomes, and the use that is made of it.
 *
 * An input is an image, whole, or in the sparse form that keeps inputs small: FUZZ_SPARSE_MAGIC, the size in
 * KiB, then pieces of 1 KiB, each after the number of its place (little-endian 32-bit words). An image is a
 * file in memory and its mapping, since a disk of shale is a host file. Each input gets a machine of its own,
 * so nothing is left of one when the next is run, and it has no threads, so each run repeats.
 */
#ifndef SHALE_FUZZ_H
#define SHALE_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#define FUZZ_SPARSE_MAGIC "sparse1"
#define FUZZ_PIECE        1024u        /* bytes */
#define FUZZ_IMAGE_MAX    (128u << 20) /* bytes: larger inputs are cut */

struct fuzz_image {
	uint8_t *bytes; /* the file's, shared */
	size_t size;
	int fd;
};

/* What an input tells. To be given back with fuzz_image_free(). */
struct fuzz_image fuzz_image_unpack(const uint8_t *data, size_t size);
/* The sparse form of an image, cut to `max` bytes. Returns its length. */
size_t fuzz_image_pack(const struct fuzz_image *image, uint8_t *data, size_t max);
void fuzz_image_free(struct fuzz_image *image);

/* Makes the image a disk of a new machine, checks it, mounts it read-only and uses all that a reader can use
 * of it, within bounds. */
void fuzz_volume(const struct fuzz_image *image, const char *mount_options);
/* The same in part, but the image changes under the mount: what was cached before is dropped and read again.
 */
void fuzz_changing(const struct fuzz_image *image, void (*change)(void *arg), void *arg);
/* Makes the image a disk of a new machine and lists its partitions. */
void fuzz_disk(const struct fuzz_image *image);

#endif
