/* SPDX-License-Identifier: MIT */
/* Calls made from a seed: few names, so that they meet; arguments that are mostly right. */
#include "history.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sysmacros.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *name;
	unsigned weight;
} kinds[] = {
#define OP(name, weight) {#name, weight},
#include "ops.h"
#undef OP
};

const char *op_name(enum op_kind kind)
{
	return kinds[kind].name;
}

static uint64_t next(struct generator *g)
{
	uint64_t x = g->state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}
static unsigned below(struct generator *g, unsigned n)
{
	return (unsigned)(next(g) % n);
}
static bool one_in(struct generator *g, unsigned n)
{
	return below(g, n) == 0;
}
#define PICK(g, list) ((list)[below(g, COUNT(list))])

static enum op_kind pick_kind(struct generator *g)
{
	unsigned sum = 0, at;

	for (unsigned i = 0; i < OP_KINDS; i++)
		sum += kinds[i].weight;
	at = below(g, sum);
	for (unsigned i = 0; i < OP_KINDS; i++) {
		if (at < kinds[i].weight)
			return (enum op_kind)i;
		at -= kinds[i].weight;
	}
	return 0;
}

/* Names that mostly are directories', and such that mostly are files'. */
static const char *pick_name(struct generator *g, bool dir)
{
	static const char *const dirs[] = {"a", "b", "c", "d"};
	static const char *const files[] = {"f", "f", "g", "h", "s"};
	static const char *const odd[] = {".",   "..", "f/", "a/", "a//", "s/", "\x01\xff name",
					  "a/.", "/",  "f/x"};

	if (one_in(g, 25))
		return PICK(g, odd);
	if (one_in(g, 8))
		dir = !dir;
	return dir ? PICK(g, dirs) : PICK(g, files);
}

static void make_path(struct generator *g, char *path, bool dir)
{
	static const char *const places[] = {"",     "",     "",  "",    "a/", "a/", "b/",
					     "a/c/", "b/d/", "/", "/a/", "s/", "../"};
	size_t len;

	if (one_in(g, 150)) {
		*path = '\0';
		return;
	}
	strcpy(path, PICK(g, places));
	len = strlen(path);
	if (one_in(g, 60)) {
		memset(path + len, 'n', 256);
		path[len + (one_in(g, 3) ? 256 : one_in(g, 2) ? 255 : 60)] = '\0';
	} else {
		strcpy(path + len, pick_name(g, dir));
	}
}

static int make_dfd(struct generator *g, unsigned often)
{
	return one_in(g, often) ? (int)below(g, SLOTS) : DFD_CWD;
}

static mode_t make_mode(struct generator *g)
{
	static const mode_t modes[] = {0644,  0755,  0777,  0777,  0666, 0600, 0700, 0,    01777,
				       02755, 02775, 04755, 06777, 0070, 0007, 0711, 07777};

	return PICK(g, modes);
}

/* Opening a fifo must not block. */
static void make_open(struct generator *g, struct op *op)
{
	static const int access[] = {O_RDONLY, O_RDONLY, O_RDWR, O_RDWR, O_WRONLY, O_ACCMODE};
	static const int more[] = {O_EXCL,    O_TRUNC,   O_APPEND, O_DIRECTORY,         O_NOFOLLOW,
				   O_CLOEXEC, O_NOATIME, O_PATH,   O_DIRECTORY | O_PATH};

	op->slot = (int)below(g, SLOTS);
	op->flags = (unsigned)PICK(g, access) | O_NONBLOCK;
	if (one_in(g, 2))
		op->flags |= O_CREAT;
	if (one_in(g, 3))
		op->flags |= (unsigned)PICK(g, more);
	if (one_in(g, 8))
		op->flags |= (unsigned)PICK(g, more);
	if (one_in(g, 4))
		op->flags = O_RDONLY | O_DIRECTORY;
	op->mode = make_mode(g);
}

static void make_mknod(struct generator *g, struct op *op)
{
	static const mode_t types[] = {S_IFREG, S_IFREG, 0,       S_IFIFO, S_IFSOCK,
				       S_IFCHR, S_IFBLK, S_IFDIR, S_IFLNK};

	op->mode = make_mode(g) | PICK(g, types);
	op->dev = one_in(g, 4) ? 0 : makedev(1 + below(g, 3), below(g, 300));
}

static void make_flags(struct generator *g, struct op *op)
{
	static const int stat_flags[] = {0, AT_SYMLINK_NOFOLLOW, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH};
	static const int link_flags[] = {0, 0, AT_SYMLINK_FOLLOW, AT_EMPTY_PATH, 1};
	static const unsigned rename_flags[] = {0, 0, 0, 0, 1, 2, 2,
						2, 4, 4, 5, 3, 8}; /* NOREPLACE, EXCHANGE, WHITEOUT */
	static const int access_flags[] = {0, AT_EACCESS, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH};

	switch (op->kind) {
	case OP_stat:
		op->flags = (unsigned)PICK(g, stat_flags);
		break;
	case OP_access:
		op->flags = (unsigned)PICK(g, access_flags);
		op->mode = below(g, one_in(g, 20) ? 16 : 8);
		break;
	case OP_link:
		op->flags = (unsigned)PICK(g, link_flags);
		break;
	case OP_rename:
		op->flags = PICK(g, rename_flags);
		break;
	case OP_unlink:
		op->flags = one_in(g, 40) ? 1 : 0;
		break;
	default:
		break;
	}
}

static void make_xattr(struct generator *g, struct op *op)
{
	static const char *const names[] = {"user.a",
					    "user.a",
					    "user.b",
					    "trusted.t",
					    "security.x",
					    "user.",
					    "user",
					    "odd.n",
					    "system.posix_acl_access",
					    "system.posix_acl_default",
					    ""};

	strcpy(op->name, PICK(g, names));
	op->length = one_in(g, 4) ? 0 : one_in(g, 6) ? 3 : 200;
}

/* An access list in its form as an attribute: mostly right. */
static void make_acl(struct generator *g, struct op *op)
{
	static const uint16_t tags[] = {1, 2, 2, 4, 8, 16, 32};
	uint8_t *at = (uint8_t *)op->value;
	uint32_t version = one_in(g, 20) ? 1 : 2;
	bool minimal = one_in(g, 4);

	memcpy(at, &version, 4);
	at += 4;
	for (unsigned i = 0; i < COUNT(tags); i++) {
		uint16_t perm = (uint16_t)below(g, one_in(g, 60) ? 16 : 8);
		uint32_t id = tags[i] == 2 || tags[i] == 8 ? 1000 + below(g, 2) + 1000 * below(g, 2) : ~0u;

		if (tags[i] == 2 || tags[i] == 8 || tags[i] == 16 ? minimal : one_in(g, 60))
			continue;
		memcpy(at, &tags[i], 2);
		memcpy(at + 2, &perm, 2);
		memcpy(at + 4, &id, 4);
		at += 8;
	}
	op->value_len = (unsigned)(at - (uint8_t *)op->value);
	if (one_in(g, 20))
		op->value_len = one_in(g, 2) ? 0 : op->value_len - 1;
}

static void make_setxattr(struct generator *g, struct op *op)
{
	make_xattr(g, op);
	op->flags = one_in(g, 2) ? 0 : below(g, 4); /* XATTR_CREATE, XATTR_REPLACE */
	if (!strncmp(op->name, "system.", 7)) {
		make_acl(g, op);
		return;
	}
	op->value_len = one_in(g, 5) ? 0 : below(g, 200);
	for (unsigned i = 0; i < op->value_len; i++)
		op->value[i] = (char)next(g);
}

static uid_t make_id(struct generator *g)
{
	static const int ids[] = {-1, -1, 0, 1000, 1000, 1001, 1002, 2000};

	return (uid_t)PICK(g, ids);
}

/* Times that run.c can tell from those of the clock. */
static void make_times(struct generator *g, struct op *op)
{
	static const int64_t seconds[] = {0, 1, 1000000000, 1500000000, -1, 5000000000, -5000000000};

	op->value_len = one_in(g, 6); /* no times at all */
	for (unsigned i = 0; i < 2; i++) {
		op->times[i].tv_sec = PICK(g, seconds);
		op->times[i].tv_nsec = (long)below(g, 1000000000);
		if (one_in(g, 5))
			op->times[i].tv_nsec = UTIME_OMIT;
		else if (one_in(g, 5))
			op->times[i].tv_nsec = UTIME_NOW;
		else if (one_in(g, 30))
			op->times[i].tv_nsec = 1000000000 + (long)below(g, 3);
	}
	if (op->kind == OP_futimens && !one_in(g, 20))
		op->flags = 0;
}

static void make_attributes(struct generator *g, struct op *op)
{
	static const unsigned flags[] = {0, 0, 0, AT_SYMLINK_NOFOLLOW, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 1};
	static const int64_t sizes[] = {0, 0, 1, 100, 4095, 4096, 5000, 70000, -1, (int64_t)1 << 62};

	op->flags = PICK(g, flags);
	switch (op->kind) {
	case OP_setxattr:
	case OP_fsetxattr:
		make_setxattr(g, op);
		break;
	case OP_removexattr:
	case OP_fremovexattr:
		make_xattr(g, op);
		break;
	case OP_chown:
	case OP_fchown:
		op->uid = make_id(g);
		op->gid = make_id(g);
		break;
	case OP_utimens:
	case OP_futimens:
		make_times(g, op);
		break;
	case OP_truncate:
	case OP_ftruncate:
		op->length = PICK(g, sizes);
		break;
	default:
		break;
	}
}

/* Never one that waits. */
static void make_lock(struct generator *g, struct op *op)
{
	static const int64_t lengths[] = {0, 1, 3, 10, 10, -1, -5, 100, (int64_t)~0ull >> 1};
	static const int flocks[] = {LOCK_SH, LOCK_EX, LOCK_UN,           LOCK_SH, LOCK_EX,
				     LOCK_UN, 0,       LOCK_SH | LOCK_EX, 32};

	op->flags = op->kind == OP_flock ? (unsigned)(PICK(g, flocks) | LOCK_NB)
		    : one_in(g, 8)       ? below(g, 4)
					 : 0;
	op->mode = one_in(g, 20) ? 3 : below(g, 3); /* F_RDLCK, F_WRLCK, F_UNLCK */
	op->dev = one_in(g, 4);                     /* OFD */
	op->offset = one_in(g, 30) ? (int64_t)(next(g) >> 1) : (int64_t)below(g, 40) - one_in(g, 10) * 5;
	op->length = PICK(g, lengths);
	op->value_len = one_in(g, 20);
}

void generate(struct generator *g, struct op *op)
{
	bool dir;

	memset(op, 0, sizeof(*op));
	if (one_in(g, 8))
		g->task = below(g, TASKS);
	op->task = g->task;
	op->kind = pick_kind(g);
	op->dfd[0] = make_dfd(g, 12);
	op->dfd[1] = make_dfd(g, 12);
	op->slot = (int)below(g, SLOTS);
	dir = op->kind == OP_mkdir || op->kind == OP_rmdir || op->kind == OP_chdir ||
	      op->kind == OP_tmpfile || (op->kind == OP_rename && one_in(g, 2)) || one_in(g, 4);
	make_path(g, op->path[0], dir);
	make_path(g, op->path[1], dir);
	op->mode = make_mode(g);
	make_flags(g, op);
	switch (op->kind) {
	case OP_open:
		make_open(g, op);
		break;
	case OP_tmpfile:
		op->flags = O_TMPFILE | (one_in(g, 3) ? O_WRONLY : O_RDWR) | (one_in(g, 4) ? O_EXCL : 0);
		if (one_in(g, 3))
			strcpy(op->path[0], ".");
		break;
	case OP_mknod:
		make_mknod(g, op);
		break;
	case OP_setflags: /* mostly none, else what is immutable stands in the way of the rest */
		op->flags = one_in(g, 3) ? 1u << (4 + below(g, 4)) : one_in(g, 20) ? 1 : 0;
		break;
	case OP_flock:
	case OP_setlk:
	case OP_getlk:
		make_lock(g, op);
		break;
	case OP_umask:
		op->mode = one_in(g, 2) ? 022 : make_mode(g);
		break;
	case OP_pread:
	case OP_pwrite:
	case OP_lseek:
		op->offset = (int64_t)below(g, 9000) - (one_in(g, 10) ? 100 : 0);
		op->length = below(g, 3000);
		op->flags = below(g, 6);
		break;
	case OP_getxattr:
	case OP_fgetxattr:
	case OP_listxattr:
		make_xattr(g, op);
		break;
	default:
		if (op->kind >= OP_setxattr)
			make_attributes(g, op);
		break;
	}
	if (op->kind == OP_link && op->flags & AT_EMPTY_PATH && one_in(g, 2))
		*op->path[0] = '\0'; /* of the descriptor, perhaps one of O_TMPFILE */
	if (op->kind == OP_chdir && one_in(g, 2))
		strcpy(op->path[0], "/"); /* so that nobody stays where nothing is found */
}

static void print_text(const char *text)
{
	putchar('"');
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			printf("\\x%02x", (unsigned char)*text);
		else
			putchar(*text);
	putchar('"');
}

void op_print(const struct op *op)
{
	printf("uid %u: %s dfd %d ", users[op->task].uid, op_name(op->kind), op->dfd[0]);
	print_text(op->path[0]);
	printf(" dfd %d ", op->dfd[1]);
	print_text(op->path[1]);
	printf(" slot %d flags 0%o mode 0%o dev %x ids %d %d offset %lld length %lld", op->slot, op->flags,
	       op->mode, (unsigned)op->dev, (int)op->uid, (int)op->gid, (long long)op->offset,
	       (long long)op->length);
	if (op->name[0] || op->value_len) {
		printf(" name ");
		print_text(op->name);
		printf(" value of %u", op->value_len);
	}
}
