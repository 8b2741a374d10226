/* SPDX-License-Identifier: MIT */
/*
 * Fuzz targets: the structures of sound volumes, changed in chosen places, with all checksums made right
 * again so that what lies behind them is reached. FUZZ_KINDS, set by the build, is the mask of structures
 * (enum place_kind) that a target changes. The volumes are the files of the directory FUZZ_BASES, in the
 * order of their names.
 *
 * An input is: number of the volume, flags (FLAG_*), then changes: place (16 bits, counts the places of
 * the target's kinds), offset in the place (16 bits), length (8 bits), bytes. What is out of range wraps, so
 * that every input means something. With FUZZ_SAVE in the environment the damaged volume is written to the
 * file of that name, in the form that fuzz_image reads: what is found here can be kept without the volumes it
 * was found with.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../check/volume.h"

#ifndef FUZZ_KINDS
#define FUZZ_KINDS (~0u)
#endif
#define BASES       64
#define HEADER      2u
#define CHANGE      5u
#define LENGTH_MAX  64u
#define FLAG_BROKEN 1u /* leave checksums as they come */
#define FLAG_NOLOAD 2u /* without the journal */
#define FLAG_LATER  4u /* change the volume while it is mounted */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

static struct base {
	struct volume volume;
	struct fuzz_image image; /* volume's bytes */
	uint8_t *sound;          /* as they were at first */
	unsigned *places;        /* those of the target's kinds */
	unsigned nr_places;
} bases[BASES];
static unsigned nr_bases;

static _Noreturn void usage(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	exit(2);
}

static struct fuzz_image read_image(const char *path)
{
	uint8_t *bytes = malloc(FUZZ_IMAGE_MAX);
	FILE *file = fopen(path, "rb");
	struct fuzz_image image;

	if (!bytes || !file)
		usage("a volume cannot be read");
	image = fuzz_image_unpack(bytes, fread(bytes, 1, FUZZ_IMAGE_MAX, file));
	fclose(file);
	free(bytes);
	return image;
}

/* Takes the volume in if it has places of the target's kinds. */
static void base_add(const char *path)
{
	struct base *b = &bases[nr_bases];

	*b = (struct base){.image = read_image(path)};
	volume_open(&b->volume, b->image.bytes, b->image.size);
	b->sound = malloc(b->image.size);
	b->places = calloc(b->volume.count + 1, sizeof(*b->places));
	if (!b->sound || !b->places)
		abort();
	memcpy(b->sound, b->image.bytes, b->image.size);
	for (unsigned i = 0; i < b->volume.count; i++)
		if (FUZZ_KINDS >> b->volume.places[i].kind & 1)
			b->places[b->nr_places++] = i;
	if (b->nr_places) {
		nr_bases++;
		return;
	}
	free(b->sound);
	free(b->places);
	volume_close(&b->volume);
	fuzz_image_free(&b->image);
}

/* Nothing but the places of structures is ever changed. */
static void restore(struct base *b)
{
	for (unsigned i = 0; i < b->volume.count; i++) {
		const struct place *p = &b->volume.places[i];

		memcpy(b->image.bytes + p->offset, b->sound + p->offset, p->length);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *dir = getenv("FUZZ_BASES");
	struct dirent **names;
	char path[4096];
	int n = dir ? scandir(dir, &names, NULL, alphasort) : -1;

	(void)argc, (void)argv;
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		if (names[i]->d_name[0] != '.' && nr_bases < BASES)
			base_add(path);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	if (!nr_bases)
		usage("FUZZ_BASES names no directory of volumes");
	return 0;
}

static unsigned number(const uint8_t *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

static void apply(struct base *b, const uint8_t *data, size_t size)
{
	while (size > CHANGE) {
		const struct place *p = &b->volume.places[b->places[number(data) % b->nr_places]];
		size_t offset = number(data + 2) % p->length, length = data[4] % LENGTH_MAX + 1;

		data += CHANGE, size -= CHANGE;
		length = length < size ? length : size;
		length = length < p->length - offset ? length : p->length - offset;
		memcpy(b->image.bytes + p->offset + offset, data, length);
		data += length, size -= length;
	}
}

static void save(const struct fuzz_image *image, const char *path)
{
	uint8_t *bytes = malloc(2 * image->size + FUZZ_PIECE);
	FILE *file = fopen(path, "wb");

	if (!bytes || !file)
		usage("FUZZ_SAVE cannot be written");
	fwrite(bytes, 1, fuzz_image_pack(image, bytes, 2 * image->size + FUZZ_PIECE), file);
	fclose(file);
	free(bytes);
}

/* An input on its way into its volume. */
struct change {
	struct base *base;
	const uint8_t *data;
	size_t size;
};

static void change(void *arg)
{
	const struct change *c = arg;

	apply(c->base, c->data + HEADER, c->size - HEADER);
	if (!(c->data[1] & FLAG_BROKEN))
		volume_repair_checksums(&c->base->volume);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct change c = {.data = data, .size = size};
	const char *path = getenv("FUZZ_SAVE");

	if (size < HEADER)
		return 0;
	c.base = &bases[data[0] % nr_bases];
	restore(c.base);
	if (data[1] & FLAG_LATER) {
		fuzz_changing(&c.base->image, change, &c);
		return 0;
	}
	change(&c);
	if (path)
		save(&c.base->image, path);
	fuzz_volume(&c.base->image, data[1] & FLAG_NOLOAD ? "noload" : NULL);
	return 0;
}

/* Adds a change of one word to an interesting value, somewhere. */
static size_t add_change(uint8_t *data, size_t size, uint64_t random)
{
	static const uint32_t values[] = {0,      1,      2,          3,          4,          7,
					  8,      12,     0xff,       0x100,      0x3ff,      0x400,
					  0x7fff, 0x8000, 0xffff,     0xfffe,     1000,       0x1000,
					  0x1001, 0x7ffd, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe};
	uint32_t value = values[(random >> 40) % (sizeof(values) / sizeof(*values))];
	uint8_t length = 1 << (random >> 50) % 3;

	memcpy(data + size, &random, 4);
	data[size + 4] = length - 1;
	memcpy(data + size + CHANGE, &value, length);
	return size + CHANGE + length;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	uint64_t random = (seed + 1ull) * 0x9e3779b97f4a7c15ull;

	random ^= random >> 31;
	random *= 0xbf58476d1ce4e5b9ull;
	random ^= random >> 29;
	if (size >= HEADER && size + CHANGE + 4 <= max && (random >> 60) < 6)
		return add_change(data, size, random);
	return LLVMFuzzerMutate(data, size, max);
}
