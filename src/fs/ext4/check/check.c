/* SPDX-License-Identifier: MIT */
/*
 * The check of a volume: its passes in their order, what they share, and how problems are told.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "fs/ext4/check/check_internal.h"

#define PLACE_SIZE 80
#define RUN_BYTES  (256u << 10) /* read at a time: so much stays near the processor */

/* Returns the length. */
static size_t place_text(const struct fs_problem *p, char out[PLACE_SIZE])
{
	int n = 0;

	if (p->group >= 0)
		n += snprintf(out + n, PLACE_SIZE - (size_t)n, "group %lld", (long long)p->group);
	if (p->inode)
		n += snprintf(out + n, PLACE_SIZE - (size_t)n, "%sinode %llu", n ? ", " : "",
			      (unsigned long long)p->inode);
	if (p->block)
		n += snprintf(out + n, PLACE_SIZE - (size_t)n, "%sblock %llu", n ? ", " : "",
			      (unsigned long long)p->block);
	if (n)
		n += snprintf(out + n, PLACE_SIZE - (size_t)n, ": ");
	return (size_t)n;
}

static void tell(struct check *c, struct fs_problem p, const char *fmt, va_list args)
{
	char text[384];
	size_t n = place_text(&p, text);

	vsnprintf(text + n, sizeof(text) - n, fmt, args);
	/* Names may hold what moves the cursor of a terminal, or ends a line. */
	for (char *at = text + n; *at; at++)
		if ((u8)*at < ' ' || *at == 0x7f)
			*at = '?';
	p.text = text;
	if (p.damage)
		c->out->damages++;
	if (!c->stop && c->out->report && c->out->report(c->out->arg, &p))
		c->stop = true;
}

void check_problem(struct check *c, const char *code, u32 ino, u64 pblk, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	tell(c, (struct fs_problem){.code = code, .damage = true, .group = -1, .inode = ino, .block = pblk},
	     fmt, args);
	va_end(args);
}

void check_problem_group(struct check *c, const char *code, u32 group, u64 pblk, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	tell(c, (struct fs_problem){.code = code, .damage = true, .group = group, .block = pblk}, fmt, args);
	va_end(args);
}

void check_note(struct check *c, const char *code, u32 ino, u64 pblk, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	tell(c, (struct fs_problem){.code = code, .group = -1, .inode = ino, .block = pblk}, fmt, args);
	va_end(args);
}

static void tell_progress(struct check *c, const char *fmt, ...) __printf(2, 3);
static void tell_progress(struct check *c, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	tell(c, (struct fs_problem){.code = "progress", .progress = true, .group = -1}, fmt, args);
	va_end(args);
}

void check_progress(struct check *c, const char *what, u64 done, u64 all)
{
	unsigned percent = (unsigned)(done * 100 / (all ? all : 1));

	if (!c->out->progress || (c->progress_what == what && c->progress_percent == percent))
		return;
	c->progress_what = what;
	c->progress_percent = percent;
	tell_progress(c, "%s, %u%%", what, percent);
}

void check_charge(struct check *c, size_t bytes)
{
	c->charged += bytes;
	machine_charge(c->machine, (long)bytes);
}

int check_array_add(struct check *c, struct check_array *a, const void *item, size_t size)
{
	if (a->count == a->room) {
		size_t room = a->room ? a->room * 2 : 64;
		void *items = krealloc(c->machine, a->items, array_size(room, size));

		if (!items)
			return -ENOMEM;
		check_charge(c, (room - a->room) * size);
		a->items = items;
		a->room = room;
	}
	memcpy((u8 *)a->items + a->count++ * size, item, size);
	return 0;
}

/* What reading the super block ended with: a damaged volume, or none that can be checked. */
static int super_refused(struct check *c, int err, const char *why)
{
	char names[64];
	int n;

	if (le16_to_cpu(c->sbi->es.s_magic) != EXT4_SUPER_MAGIC)
		return err;
	if (err != -EINVAL && err != -EFSCORRUPTED && err != -EFSBADCRC)
		return err;
	/* The words begin with the names of type and device, which whoever checks knows. */
	n = snprintf(names, sizeof(names), "%s: %s: ", c->sb->s_type->name, c->sb->s_id);
	check_problem(c, "super-block", 0, 0, "%s", strncmp(why, names, n) ? why : why + n);
	return 0;
}

static int prepare(struct check *c)
{
	xa_init(&c->xattr_index, c->machine);
	xa_init(&c->ea_index, c->machine);
	c->inodes_count = le32_to_cpu(c->sbi->es.s_inodes_count);
	c->run_blocks = max(RUN_BYTES >> c->sbi->block_bits, 1u);
	c->clusters_count = check_cluster(c, c->sbi->blocks_count - 1) + 1;
	/* Large ones take memory of the host only where they are written. */
	c->groups = kvcalloc(c->machine, c->sbi->groups_count, sizeof(*c->groups));
	c->meta_blocks = kvcalloc(c->machine, BITS_TO_LONGS(c->sbi->blocks_count), sizeof(long));
	c->used_clusters = kvcalloc(c->machine, BITS_TO_LONGS(c->clusters_count), sizeof(long));
	c->used_inodes = kvcalloc(c->machine, BITS_TO_LONGS(c->inodes_count), sizeof(long));
	c->kinds = kvcalloc(c->machine, c->inodes_count, sizeof(*c->kinds));
	c->links_stored = kvcalloc(c->machine, c->inodes_count, sizeof(*c->links_stored));
	c->links_found = kvcalloc(c->machine, c->inodes_count, sizeof(*c->links_found));
	if (!c->groups || !c->meta_blocks || !c->used_clusters || !c->used_inodes || !c->kinds ||
	    !c->links_stored || !c->links_found)
		return -ENOMEM;
	check_charge(c, c->sbi->groups_count * sizeof(*c->groups));
	return 0;
}

static void release(struct check *c)
{
	kvfree(c->groups);
	kvfree(c->meta_blocks);
	kvfree(c->used_clusters);
	kvfree(c->used_inodes);
	kvfree(c->kinds);
	kvfree(c->links_stored);
	kvfree(c->links_found);
	kfree(c->dirs.items);
	kfree(c->dir_blocks.items);
	kfree(c->xattr_blocks.items);
	xa_destroy(&c->xattr_index);
	xa_destroy(&c->ea_index);
	kfree(c->ea_values.items);
	kfree(c->value_map);
	kfree(c->policies.items);
	kfree(c->orphans.items);
	for (unsigned i = 0; i < ARRAY_SIZE(c->block_bufs); i++)
		kfree(c->block_bufs[i]);
	kfree(c->run_buf);
	kfree(c->inode_buf);
	check_quotas_free(c);
	machine_uncharge(c->machine, (long)c->charged);
}

static int run_passes(struct check *c)
{
	static int (*const passes[])(struct check *) = {
		check_super,  check_groups, check_mmp,  check_journal, check_orphans,
		check_inodes, check_files,  check_dirs, check_links,   check_bitmaps,
	};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(passes) && !err && !c->stop; i++)
		err = passes[i](c);
	/* What ends the check although memory and device are well is a damage, and was told. */
	return c->stop || err == -EFSCORRUPTED ? 0 : err;
}

int ext4_check_before_replay(struct super_block *sb, struct fs_check *out)
{
	struct check c = {.machine = sb->s_machine, .sb = sb, .sbi = EXT4_SB(sb), .out = out};
	int err = prepare(&c);

	if (!err)
		err = check_super(&c);
	if (!err)
		err = check_groups(&c);
	release(&c);
	return c.stop || err == -EFSCORRUPTED ? 0 : err;
}

int ext4_check_volume(struct super_block *sb, struct fs_check *out, int super_err, const char *super_why)
{
	struct check c = {
		.machine = sb->s_machine, .sb = sb, .sbi = EXT4_SB(sb), .out = out, .replayed = true};
	int err;

	if (super_err)
		return super_refused(&c, super_err, super_why);
	err = prepare(&c);
	if (!err)
		err = run_passes(&c);
	release(&c);
	return err;
}
