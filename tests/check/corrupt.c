/* SPDX-License-Identifier: MIT */
/* usage: corrupt --seed N IMAGE        damages a volume, mostly repairs its checksums and says what it did;
 * the same seed does the same. corrupt --repair IMAGE        makes all checksums right */
#include "volume.h"

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
	bool seeded = argc == 4 && !strcmp(argv[1], "--seed"),
	     repair = argc == 3 && !strcmp(argv[1], "--repair");
	struct volume v;
	struct stat st;
	char text[1024];

	if (!seeded && !repair)
		errx(2, "usage: corrupt --seed N IMAGE | corrupt --repair IMAGE");
	const char *path = argv[argc - 1];
	int fd = open(path, O_RDWR);
	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", path);
	uint8_t *bytes = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		err(1, "%s", path);
	volume_open(&v, bytes, st.st_size);
	if (repair) {
		volume_repair_checksums(&v);
	} else {
		volume_damage(&v, strtoull(argv[2], NULL, 0), ~0u, text, sizeof(text));
		puts(text);
	}
	volume_close(&v);
	return 0;
}
