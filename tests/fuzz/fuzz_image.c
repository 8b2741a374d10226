/* SPDX-License-Identifier: MIT */
/* Fuzz target: a whole volume, byte for byte (seeds: volumes damaged by others). */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_image image = fuzz_image_unpack(data, size);

	fuzz_volume(&image, NULL);
	fuzz_volume(&image, "noload");
	fuzz_image_free(&image);
	return 0;
}
