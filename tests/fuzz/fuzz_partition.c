/* SPDX-License-Identifier: MIT */
/* Fuzz target: the partition tables of a disk. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_image image = fuzz_image_unpack(data, size);

	fuzz_disk(&image);
	fuzz_image_free(&image);
	return 0;
}
