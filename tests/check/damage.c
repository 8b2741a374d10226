/* SPDX-License-Identifier: MIT */
/*
 * Damage by seed: picks 1 to 3 structures by the weight of their kinds and puts an interesting value into a
 * field, a record or a byte of each, or swaps, copies or clears whole ones. In 3 of 4 cases all checksums are
 * right afterwards, so that what a checksum hides is seen.
 */
#include "fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct damage {
	struct volume *v;
	uint64_t random;
	uint32_t only;
	char *text;
	size_t size, used;
};

/* How often a kind is chosen, where the volume has it: more often where few volumes do. */
static const uint8_t weights[PLACE_KINDS] = {
	[PLACE_SUPER] = 14,      [PLACE_BACKUP_SUPER] = 1, [PLACE_DESC] = 8,
	[PLACE_BACKUP_DESC] = 1, [PLACE_BLOCK_BITMAP] = 5, [PLACE_INODE_BITMAP] = 5,
	[PLACE_INODE] = 24,      [PLACE_SPECIAL] = 5,      [PLACE_FREE_INODE] = 3,
	[PLACE_EXTENT_ROOT] = 9, [PLACE_EXTENT_BLOCK] = 9, [PLACE_MAP_ROOT] = 4,
	[PLACE_MAP_BLOCK] = 7,   [PLACE_FAST_SYMLINK] = 2, [PLACE_SLOW_SYMLINK] = 3,
	[PLACE_INLINE] = 10,     [PLACE_INLINE_DIR] = 20,  [PLACE_DIR] = 16,
	[PLACE_DX_ROOT] = 8,     [PLACE_DX_NODE] = 8,      [PLACE_XATTR_BLOCK] = 8,
	[PLACE_XATTR_INODE] = 8, [PLACE_EA_INODE] = 15,    [PLACE_JOURNAL_SUPER] = 10,
	[PLACE_JOURNAL_LOG] = 1, [PLACE_ORPHAN_FILE] = 15, [PLACE_MMP] = 15,
	[PLACE_QUOTA] = 25,      [PLACE_FAST_COMMIT] = 20,
};

static uint64_t draw(struct damage *d)
{
	uint64_t x = d->random += 0x9E3779B97F4A7C15; /* splitmix64 */

	x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
	x = (x ^ x >> 27) * 0x94D049BB133111EB;
	return x ^ x >> 31;
}

static uint64_t below(struct damage *d, uint64_t n)
{
	return draw(d) % n;
}

static void __attribute__((format(printf, 2, 3))) say(struct damage *d, const char *format, ...)
{
	va_list args;

	if (d->used >= d->size)
		return;
	va_start(args, format);
	int n = vsnprintf(d->text + d->used, d->size - d->used, format, args);
	va_end(args);
	if (n > 0)
		d->used += n;
}

static void say_place(struct damage *d, const struct place *place)
{
	say(d, "%s%s", d->used ? "; " : "", place_names[place->kind]);
	if (place->ino)
		say(d, "(ino %u, %u)", place->ino, place->index);
	else if (place->index)
		say(d, "(%u)", place->index);
}

static const struct place *pick_of(struct damage *d, enum place_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->v->count; i++)
		n += d->v->places[i].kind == kind;
	if (!n)
		return NULL;
	n = below(d, n);
	for (unsigned i = 0;; i++)
		if (d->v->places[i].kind == kind && !n--)
			return &d->v->places[i];
}

static const struct place *pick(struct damage *d)
{
	bool present[PLACE_KINDS] = {false};
	unsigned sum = 0, kind = 0;

	for (unsigned i = 0; i < d->v->count; i++)
		present[d->v->places[i].kind] = d->only >> d->v->places[i].kind & 1;
	for (unsigned i = 0; i < PLACE_KINDS; i++)
		sum += present[i] ? weights[i] : 0;
	for (unsigned at = below(d, sum);; kind++) {
		unsigned weight = present[kind] ? weights[kind] : 0;
		if (at < weight)
			break;
		at -= weight;
	}
	return pick_of(d, kind);
}

static uint64_t get(const uint8_t *p, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, p, size > 8 ? 8 : size); /* the host's order is enough for comparisons */
	return value;
}

static uint64_t special_value(struct damage *d, enum role role, uint64_t old)
{
	struct volume *v = d->v;
	const struct place *any = &v->places[below(d, v->count)];

	switch (role) {
	case ROLE_FLAGS:
		return old ^ 1ull << below(d, 32);
	case ROLE_BLOCK:
		return below(d, 5) ? below(d, 3) ? any->offset / v->block_size : below(d, v->blocks_count)
				   : v->blocks_count - 1 + below(d, 3);
	case ROLE_INODE:
		return below(d, 5) ? any->ino ? any->ino : 2 : v->inodes_count - 1 + below(d, 3);
	default:
		return below(d, 2) ? old * 2 : old / 2;
	}
}

static uint64_t new_value(struct damage *d, enum role role, uint64_t old, unsigned bits)
{
	if (role != ROLE_NUMBER && below(d, 2))
		return special_value(d, role, old);
	switch (below(d, 10)) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return ~0ull;
	case 3:
		return old + 1;
	case 4:
		return old - 1;
	case 5:
		return old ^ 1ull << below(d, bits);
	case 6:
		return draw(d);
	case 7:
		return below(d, 256);
	case 8:
		return old + 4 * (below(d, 9) - 4);
	default:
		return special_value(d, role, old);
	}
}

static void set_random_byte(struct damage *d, const struct place *place)
{
	uint64_t at = below(d, place->length);
	uint8_t *p = d->v->bytes + place->offset + at;
	uint8_t old = *p;

	*p ^= below(d, 2) ? 1u << below(d, 8) : 1 + below(d, 255);
	say(d, " byte %llu %#x->%#x", (unsigned long long)at, old, *p);
}

static void set_field(struct damage *d, const struct place *place, uint64_t at, const struct field *field)
{
	uint8_t *p = d->v->bytes + place->offset + at + field->offset;
	unsigned size = field->size, skip = size > 8 ? below(d, size / 4) * 4 : 0;

	/* Short descriptors and inodes do not have all fields. */
	if (at + field->offset + size > place->length)
		return set_random_byte(d, place);
	size = size > 8 ? 4 : size;
	uint64_t mask = size == 8 ? ~0ull : (1ull << size * 8) - 1, old = get(p + skip, size), new = old;
	for (unsigned i = 0; i < 8 && (new &mask) == old; i++)
		new = new_value(d, field->role, old, size * 8);
	memcpy(p + skip, &new, size);
	say(d, ".%s %#llx->%#llx", field->name, (unsigned long long)old, (unsigned long long)(new &mask));
}

static void flip_bits(struct damage *d, const struct place *place)
{
	unsigned bits = place->kind == PLACE_BLOCK_BITMAP ? d->v->clusters_per_group : d->v->inodes_per_group;
	unsigned from = below(d, 8) ? below(d, bits) : below(d, place->length * 8),
		 n = 1 + (below(d, 4) ? 0 : below(d, 8));

	/* Bits in use are the more interesting ones, and stand in front. */
	if (below(d, 2))
		from %= bits / 8;
	for (unsigned i = from; i < from + n && i < place->length * 8; i++)
		d->v->bytes[place->offset + i / 8] ^= 1u << i % 8;
	say(d, " bits %u..%u", from, from + n - 1);
}

static void exchange(struct damage *d, const struct place *place, unsigned at, unsigned with, unsigned size)
{
	uint8_t *a = d->v->bytes + place->offset + at, *b = d->v->bytes + place->offset + with, old[16];
	bool copy = below(d, 3) == 0;

	if (at + size > place->length || with + size > place->length)
		return;
	memcpy(old, a, size);
	memcpy(a, b, size);
	if (!copy)
		memcpy(b, old, size);
	say(d, " %s entries at %u and %u", copy ? "copied" : "swapped", at, with);
}

/* A record of an array of n, of `size` bytes, from byte `first`. */
static void set_record(struct damage *d, const struct place *place, unsigned first, unsigned size, unsigned n,
		       const struct field *fields, unsigned count)
{
	unsigned at = first + below(d, n) * size, with = first + below(d, n) * size;

	if (n > 1 && at != with && !below(d, 6))
		return exchange(d, place, at, with, size);
	say(d, " entry at %u", at);
	set_field(d, place, at, &fields[below(d, count)]);
}

static void damage_extents(struct damage *d, const struct place *place)
{
	const struct ext4_extent_header *header = (void *)(d->v->bytes + place->offset);
	unsigned n = le16_to_cpu(header->eh_entries);
	bool index = le16_to_cpu(header->eh_depth);

	if (n && n <= place->length / 12)
		set_record(d, place, 12, 12, n, index ? index_fields : extent_fields, index ? 4 : 5);
	else
		set_random_byte(d, place);
}

static void damage_map(struct damage *d, const struct place *place)
{
	static const struct field entry = {"block", 0, 4, ROLE_BLOCK};
	unsigned n = below(d, 2) ? place->length / 4 : 12;

	set_record(d, place, 0, 4, n, &entry, 1);
}

/* Two entries with one name, or one with a byte that names do not have. */
static void damage_name(struct damage *d, const struct place *place, unsigned at)
{
	static const uint8_t bytes[] = {0, '/', '.', 0xFF, 'n'};
	struct ext4_dir_entry_2 *entry = (void *)(d->v->bytes + place->offset + at);
	struct ext4_dir_entry_2 *next = (void *)((uint8_t *)entry + le16_to_cpu(entry->rec_len));
	unsigned end = at + le16_to_cpu(entry->rec_len) + 8;

	if (below(d, 2) && end < place->length && next->name_len == entry->name_len &&
	    end + entry->name_len <= place->length) {
		memcpy(next->name, entry->name, entry->name_len);
		say(d, ".name copied to the next");
		return;
	}
	unsigned i = entry->name_len ? below(d, entry->name_len) : 0;
	if (at + 8 + i >= place->length)
		return;
	say(d, ".name[%u] %#x->", i, (uint8_t)entry->name[i]);
	entry->name[i] = bytes[below(d, sizeof(bytes))];
	say(d, "%#x", (uint8_t)entry->name[i]);
}

static void damage_dir(struct damage *d, const struct place *place)
{
	unsigned starts[1024], n = 0;

	for (unsigned at = 0; at + 12 <= place->length && n < 1024;) {
		unsigned length = get_unaligned_le16(d->v->bytes + place->offset + at + 4);
		starts[n++] = at;
		if (length < 8)
			break;
		at += length;
	}
	unsigned at = starts[below(d, n)];
	say(d, " entry at %u", at);
	if (!below(d, 5))
		damage_name(d, place, at);
	else
		set_field(d, place, at, &dirent_fields[below(d, 4)]);
}

static void damage_dx(struct damage *d, const struct place *place)
{
	unsigned first = place->kind == PLACE_DX_ROOT ? 32 : 8;
	unsigned n = get_unaligned_le16(d->v->bytes + place->offset + first + 2);

	if (n < 2 || first + n * 8 > place->length)
		return set_random_byte(d, place);
	set_record(d, place, first + 8, 8, n - 1, dx_fields, 2);
}

static void damage_xattr(struct damage *d, const struct place *place)
{
	unsigned starts[256], n = 0, at = place->kind == PLACE_XATTR_BLOCK ? 32 : 4;

	while (at + 16 <= place->length && n < 256 && get_unaligned_le32(d->v->bytes + place->offset + at)) {
		starts[n++] = at;
		at += EXT4_XATTR_LEN(d->v->bytes[place->offset + at]);
	}
	if (!n)
		return set_random_byte(d, place);
	at = starts[below(d, n)];
	say(d, " entry at %u", at);
	set_field(d, place, at, &xattr_fields[below(d, 6)]);
}

static bool damage_record(struct damage *d, const struct place *place)
{
	switch (place->kind) {
	case PLACE_BLOCK_BITMAP:
	case PLACE_INODE_BITMAP:
		return flip_bits(d, place), true;
	case PLACE_EXTENT_ROOT:
	case PLACE_EXTENT_BLOCK:
		return damage_extents(d, place), true;
	case PLACE_MAP_ROOT:
	case PLACE_MAP_BLOCK:
		return damage_map(d, place), true;
	case PLACE_DIR:
		return damage_dir(d, place), true;
	case PLACE_DX_ROOT:
	case PLACE_DX_NODE:
		return damage_dx(d, place), true;
	case PLACE_XATTR_BLOCK:
	case PLACE_XATTR_INODE:
		return damage_xattr(d, place), true;
	default:
		return false;
	}
}

/* All of it: cleared, or made as another of its kind. */
static void damage_whole(struct damage *d, const struct place *place)
{
	const struct place *other = pick_of(d, place->kind);
	unsigned length = other->length < place->length ? other->length : place->length;

	if (other == place || below(d, 2)) {
		memset(d->v->bytes + place->offset, 0, place->length);
		say(d, " cleared");
		return;
	}
	memcpy(d->v->bytes + place->offset, d->v->bytes + other->offset, length);
	say(d, " copied from (ino %u, %u)", other->ino, other->index);
}

static void damage_place(struct damage *d, const struct place *place)
{
	unsigned count, way = below(d, 20);
	const struct field *fields = fields_of(place->kind, &count);

	say_place(d, place);
	if (way == 0)
		damage_whole(d, place);
	else if (way <= 2)
		set_random_byte(d, place);
	else if (way <= 12 && damage_record(d, place))
		return;
	else if (fields)
		set_field(d, place, 0, &fields[below(d, count)]);
	else if (!damage_record(d, place))
		set_random_byte(d, place);
}

static bool has_any(const struct volume *v, uint32_t kinds)
{
	for (unsigned i = 0; i < v->count; i++)
		if (kinds >> v->places[i].kind & 1)
			return true;
	return false;
}

uint32_t volume_damage(struct volume *v, uint64_t seed, uint32_t only, char *text, size_t size)
{
	struct damage d = {
		.v = v, .random = seed * 0x2545F4914F6CDD1D, .only = only, .text = text, .size = size};
	unsigned die = below(&d, 10), n = die < 6 ? 1 : die < 8 ? 2 : 3;
	uint32_t kinds = 0;

	*text = '\0';
	if (!has_any(v, only))
		d.only = ~0u;
	for (unsigned i = 0; i < n; i++) {
		const struct place *place = pick(&d);
		kinds |= 1u << place->kind;
		damage_place(&d, place);
	}
	if (below(&d, 4)) {
		volume_repair_checksums(v);
		say(&d, " (checksums repaired)");
	}
	return kinds;
}
