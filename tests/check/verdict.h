/* SPDX-License-Identifier: MIT */
/*
 * What e2fsck -fn and shale say of a volume in a file, and when the two agree.
 *
 * e2fsck leaves 0: clean; 4: damaged, with 8 or alone; 8 alone: it gave up before it could check (no super
 * block that it can use, a feature or a geometry that it does not know). shale_check returns 0, a count of
 * problems, or an error. They agree when both are clean or both damaged; where e2fsck gave up (8,
 * also with 4), shale may give up or say damaged, but not clean; and it may give up where the super block has
 * no magic number, though e2fsck goes on with a copy.
 *
 * e2fsck -fn does not replay a journal, shale does so in memory: a volume whose journal is dirty is judged on
 * a copy that e2fsck -E journal_only has replayed. That step clears what was deleted while open, too
 * (where an orphan file is in use, e2fsck -fp does both). When it ends with an error, or tells of anything
 * else, the journal counts as damaged. e2fsck's 0 is not taken, either, where it had to take the super block
 * of another group, or to go on "despite errors", since the first one cannot be used.
 *
 * Where shale refuses the super block, the journal or what the orphan file names, or replays a journal that
 * e2fsck does not replay to its end, and e2fsck thinks otherwise, Linux decides: whether it mounts the
 * volume.
 */
#ifndef SHALE_TESTS_CHECK_VERDICT_H
#define SHALE_TESTS_CHECK_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verdict {
	CLEAN,
	DAMAGED,
	GAVE_UP,
	NO_VERDICT, /* e2fsck itself died or would not end: not counted */
};
extern const char *const verdict_names[];

struct opinion {
	enum verdict verdict;
	int status; /* exit status; result of shale_check */
	char text[3000];
};

/* scratch: name of a file for the replayed copy. */
void ask_e2fsck(const char *image, const char *scratch, struct opinion *opinion);
/* In process, with a machine of its own. */
void ask_shale(const char *image, struct opinion *opinion);

enum agreement {
	AGREE,
	TOO_STRICT, /* e2fsck finds it clean */
	TOO_LAX,
	UNCOUNTED,
	AGREEMENTS
};
/* Whether they disagree on what Linux decides, and it is of shale's opinion. scratch: as above. Needs root.
 */
bool linux_decides(const char *image, const char *scratch, const struct opinion *e2fsck,
		   const struct opinion *shale);

enum agreement compare_opinions(const struct opinion *e2fsck, const struct opinion *shale);

#endif
