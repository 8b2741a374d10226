/* SPDX-License-Identifier: MIT */
/* usage: fuzz_pack IMAGE OUTPUT    an image in the sparse form that the targets read */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	uint8_t *in = malloc(FUZZ_IMAGE_MAX), *out = malloc(2 * FUZZ_IMAGE_MAX);
	FILE *from = argc == 3 ? fopen(argv[1], "rb") : NULL, *to = argc == 3 ? fopen(argv[2], "wb") : NULL;
	struct fuzz_image image;
	size_t size;

	if (!in || !out || !from || !to) {
		fprintf(stderr, "usage: fuzz_pack IMAGE OUTPUT\n");
		return 2;
	}
	image = fuzz_image_unpack(in, fread(in, 1, FUZZ_IMAGE_MAX, from));
	size = fuzz_image_pack(&image, out, 2 * FUZZ_IMAGE_MAX);
	if (fwrite(out, 1, size, to) != size || fclose(to)) {
		perror(argv[2]);
		return 1;
	}
	fuzz_image_free(&image);
	free(in);
	free(out);
	fclose(from);
	return 0;
}
