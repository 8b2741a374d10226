/* SPDX-License-Identifier: MIT */
/* The body of harness.h. */
#include "crash/harness.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "fs/ext4/ext4_format.h"

#define WHY_BYTES    8192
#define FAILURES_MAX 20

struct look {
	struct harness *h;
	const struct history *history;
	struct volume volume;
	struct arena arena;
	char why[WHY_BYTES];
};

/* What is being looked at, for a signal that ends the program. */
static char current_state[512];

static void told_by_signal(int signal_number)
{
	ssize_t n = write(STDERR_FILENO, current_state, strlen(current_state));

	(void)n;
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static double processor_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Writes the disk to a file of the host. */
static void state_keep(const struct state *state, const char *path)
{
	size_t bytes = state->nr_sectors << SECTOR_SHIFT;
	void *image = must_alloc(bytes);
	FILE *file = must_have(fopen(path, "w"));

	state_copy_out(state, image);
	if (fwrite(image, bytes, 1, file) != 1 || fclose(file))
		perror(path);
	free(image);
}

/* After the journal and the orphans, which -p does without a word, -n finds nothing. */
static bool e2fsck_agrees(struct look *look)
{
	char path[256], command[2048];
	bool right;

	snprintf(path, sizeof(path), "%s/e2fsck-%d", look->h->dir, getpid());
	state_keep(look->volume.state, path);
	snprintf(command, sizeof(command),
		 "{ e2fsck -y -E journal_only %s; e2fsck -fp %s; e2fsck -fn %s; } >%s.out 2>&1 || { cat "
		 "%s.out; false; }",
		 path, path, path, path, path);
	right = !system(command);
	unlink(path);
	strcat(path, ".out");
	unlink(path);
	look->h->checked_by_e2fsck++;
	if (!right)
		snprintf(look->why, WHY_BYTES, "e2fsck finds something wrong");
	return right;
}

static void failed(struct look *look, const struct cut *cut)
{
	char path[256];

	look->h->failures++;
	if (look->h->wanted)
		return;
	snprintf(path, sizeof(path), "%s/state-%llu", look->h->dir, (unsigned long long)look->h->failures);
	state_keep(look->volume.state, path);
	printf("\nfailed: %s --state %s\n", look->h->repeat, cut->id);
	printf("the disk: %s; begun %u, promised %d\n%s\n", path, cut->begun, cut->promised, look->why);
	for (unsigned i = 0; i < look->history->nr_ops; i++) {
		char text[256];

		op_print(&look->history->ops[i], text, sizeof(text));
		printf("  %3u %s%s\n", i, text, look->history->failed[i] ? " (failed)" : "");
	}
	fflush(stdout);
}

static int visit(void *ctx, struct state *state, const struct cut *cut)
{
	struct look *look = ctx;
	struct harness *h = look->h;
	struct state_mark mark = state_mark(state);
	struct tree found;
	bool right;

	snprintf(current_state, sizeof(current_state), "\ndied: %s --state %s\n", h->repeat, cut->id);
	arena_reset(&look->arena);
	h->states++;
	right = volume_look(&look->volume, &look->arena, &found, look->why, WHY_BYTES) &&
		history_allows(look->history, &found, cut->promised, cut->begun, look->why, WHY_BYTES);
	state_rollback(state, &mark);
	if (right && h->e2fsck_each && h->states % h->e2fsck_each == 0)
		right = e2fsck_agrees(look);
	if (!right)
		failed(look, cut);
	return h->failures >= (h->wanted ? 1 : FAILURES_MAX);
}

void harness_run(struct harness *h, const void *image, u64 bytes, const struct record *record,
		 const struct history *history)
{
	static const int signals[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE};
	struct look look = {.h = h, .history = history};
	struct cut_counts counts = {};
	struct state state;
	double start;

	for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], told_by_signal);
	state_init(&state, image, bytes);
	volume_start(&look.volume, &state);
	start = processor_seconds();
	cuts_visit(&state, record, &h->cuts, visit, &look, &counts);
	h->seconds += processor_seconds() - start;
	h->made += counts.made;
	h->workloads++;
	h->operations += history->nr_ops;
	volume_stop(&look.volume);
	state_destroy(&state);
	arena_free(&look.arena);
}

void harness_print(const struct harness *h, const char *what)
{
	printf("%s: %llu workloads of %llu operations; %llu states, %llu after merging equal ones, %llu by "
	       "e2fsck; %.0f a second; %llu "
	       "failed\n",
	       what, (unsigned long long)h->workloads, (unsigned long long)h->operations,
	       (unsigned long long)h->made, (unsigned long long)h->states,
	       (unsigned long long)h->checked_by_e2fsck, h->seconds ? (double)h->states / h->seconds : 0,
	       (unsigned long long)h->failures);
}

/* The journal's inode has few extents, in its root. */
bool journal_find(const void *image, u64 bytes, struct journal_place *out, unsigned *block_bytes)
{
	const struct ext4_super_block *super = (const void *)((const u8 *)image + EXT4_SUPER_OFFSET);
	u32 block_bits = 10 + le32_to_cpu(super->s_log_block_size), i_size = le16_to_cpu(super->s_inode_size);
	u32 journal = le32_to_cpu(super->s_journal_inum), shift = block_bits - SECTOR_SHIFT;
	const struct ext4_extent_header *root;
	const struct ext4_group_desc *group;
	const struct ext4_extent *extent;
	u64 at;

	*block_bytes = 1u << block_bits;
	*out = (struct journal_place){};
	group = (const void *)((const u8 *)image +
			       ((u64)(le32_to_cpu(super->s_first_data_block) + 1) << block_bits));
	at = ((u64)le32_to_cpu(group->bg_inode_table_lo) << block_bits) + (u64)(journal - 1) * i_size;
	if (at + i_size > bytes)
		return false;
	root = (const void *)((const u8 *)image + at + offsetof(struct ext4_inode, i_block));
	extent = (const void *)(root + 1);
	if (le16_to_cpu(root->eh_magic) != EXT4_EXT_MAGIC || le16_to_cpu(root->eh_depth) ||
	    le16_to_cpu(root->eh_entries) > ARRAY_SIZE(out->runs))
		return false;
	for (; out->nr_runs < le16_to_cpu(root->eh_entries); out->nr_runs++, extent++) {
		out->runs[out->nr_runs].sector = (u64)le32_to_cpu(extent->ee_start_lo) << shift;
		out->runs[out->nr_runs].nr = (u64)le16_to_cpu(extent->ee_len) << shift;
	}
	return out->nr_runs;
}

enum record_use journal_use(void *place, u64 sector, u64 nr, bool meta)
{
	const struct journal_place *journal = place;

	for (unsigned i = 0; i < journal->nr_runs; i++)
		if (sector >= journal->runs[i].sector &&
		    sector + nr <= journal->runs[i].sector + journal->runs[i].nr)
			return RECORD_JOURNAL;
	return meta ? RECORD_META : RECORD_DATA;
}
