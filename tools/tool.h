/* SPDX-License-Identifier: MIT */
/*
 * What the verbs of the tool share: the table of verbs, places and images, errors, and printing. The tool
 * uses the public interface only; a verb is one file with a function of the form of main(). Everything here
 * lives in one process that does one thing and ends, on one thread.
 */
#ifndef SHALE_TOOL_H
#define SHALE_TOOL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <shale/shale.h>

/* Exit statuses. */
#define TOOL_FAILED 1 /* something failed, and was told */
#define TOOL_USAGE  2

struct verb {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the verb's name; returns the exit status */
	const char *summary;
};
extern const struct verb verbs[]; /* ends with a name of NULL */

/* The verb that runs, for messages and for --help ("shale ls"). */
extern const char *tool_verb;
/* "shale VERB: OBJECT: reason" on standard error; the exit status will be 1. err: positive or negative errno.
 */
void tool_error(const char *object, int err);
void tool_error_text(const char *object, const char *reason);
int tool_status(void);
/* Ends the program: there is no memory. */
_Noreturn void tool_no_memory(void);
void *tool_alloc(size_t size);
void *tool_realloc(void *p, size_t size);
char *tool_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Options that every verb has: --unlocked, --options, and --json where the verb can. */
extern bool option_json, option_unlocked;
extern const char *option_mount; /* options for mounting images, NULL: none */
#define KEY_JSON     0x10001
#define KEY_UNLOCKED 0x10002
#define KEY_OPTIONS  0x10003
extern const struct argp tool_common_argp, tool_json_argp; /* for the children of a verb's argp */
/* Parses; the words that are no options come in *words, ended by NULL. Ends the program with 2 on wrong
 * usage: fewer than `least` words. */
struct tool_options {
	const struct argp_option *options;
	error_t (*parse)(int key, char *arg, struct argp_state *state); /* may be NULL with no options */
	const char *words, *doc;
	bool json;
	int least;
};
char **tool_parse(const struct tool_options *o, int argc, char **argv);

/* A file system that was opened: its root is the root of `task`. */
struct image {
	const char *disk; /* as the user wrote it */
	struct shale_task *task;
	char device[32]; /* in the machine: "/dev/d0" */
};
/* The machine and its first task (root); made on first use. Nothing is ever written, so the end of the
 * process ends it: taking it apart first would take longer than most verbs. */
struct shale *tool_machine(void);
/* Of the machine: 0 for verbs that only ever wait for one thing, to be set before its first use. */
extern unsigned tool_threads;
struct shale_task *tool_root_task(void);
/* Attaches the disk, read-only. NULL after an error was told. The same disk is attached once. */
struct image *image_attach(const char *disk);
/* The URI for a disk as the user wrote it. To be freed. */
char *image_uri(const char *disk);
/* Tells the library's words for what failed (shale_disk_error, shale_mount_error), or those of the errno. */
void machine_error(struct shale *of, const char *disk, const char *device,
		   ssize_t (*words)(struct shale *, char *, size_t), int err);
void image_error(const char *disk, ssize_t (*words)(struct shale *, char *, size_t), int err);
/* Attaches and mounts. */
struct image *image_open(const char *disk);

/* A place as the user wrote it. */
struct place {
	const char *text;
	char *disk;       /* NULL: a path of the host */
	const char *path; /* in the image, begins with '/'; or the host's */
	struct image *image;
};
void place_parse(const char *text, struct place *place);
/* Parses a place in an image and opens it; false after an error was told. A disk alone stands for its root if
 * `whole`. */
bool place_open(const char *text, bool whole, struct place *place);

/* One name of a directory. */
struct entry {
	char *name;
	uint64_t ino;
	unsigned char type; /* DT_* */
};
struct listing {
	struct entry *entries;
	size_t count;
	char *text; /* of the names */
};
/* Reads a directory, without "." and "..". Negative errno. Sorted by the bytes of names, or by inode number.
 */
enum listing_order { BY_NAME, BY_INODE };
int listing_read(struct shale_task *task, const char *path, enum listing_order order, struct listing *list);
void listing_free(struct listing *list);
/* "dir" and "name" joined by one slash; to be freed. */
char *path_join(const char *dir, const char *name);

/* Names as they are shown: on a terminal, bytes that would move its cursor are shown as \ooo. */
void print_name(const char *name);
void mode_text(mode_t mode, char out[11]); /* "-rw-r--r--" */
const char *type_text(mode_t mode);        /* "regular file" */
char type_letter(mode_t mode);             /* 'f', 'd', 'l', ... as find -type */
/* 1024 → "1.0K", as ls -h; rounded up. */
void human_text(uint64_t bytes, char out[16]);
void time_text(int64_t seconds, char out[20]);                /* "2026-11-22 10:00" in the local time zone */
void time_text_full(const struct timespec *ts, char out[48]); /* with nanoseconds and zone */

/* JSON on standard output. A value begins with json_object/json_array/...; commas and indentation come by
 * themselves. */
void json_object(const char *key);
void json_array(const char *key);
void json_end(void);
void json_string(const char *key, const char *value);
void json_bytes(const char *key, const char *value, size_t len);
void json_number(const char *key, uint64_t value);
void json_signed(const char *key, int64_t value);
void json_bool(const char *key, bool value);
/* All fields of a stat, as an open object's. */
void json_stat(const struct stat *st);

/* Long work on a terminal: tells how far it is, on standard error, at most ten times a second. */
void progress(const char *what, uint64_t files, uint64_t bytes);
/* The same in words of one's own, where the terminal may be that of standard output, too. */
bool progress_is_wanted(void);
void progress_text(const char *what, const char *text);
void progress_end(void);

int verb_cat(int argc, char **argv);
int verb_check(int argc, char **argv);
int verb_cp(int argc, char **argv);
int verb_df(int argc, char **argv);
int verb_du(int argc, char **argv);
int verb_find(int argc, char **argv);
int verb_info(int argc, char **argv);
int verb_ls(int argc, char **argv);
int verb_mount(int argc, char **argv);
int verb_readlink(int argc, char **argv);
int verb_stat(int argc, char **argv);
int verb_tar(int argc, char **argv);
int verb_tree(int argc, char **argv);
int verb_umount(int argc, char **argv);
/* The program under the name by which mount(8) finds it. */
int mount_helper(int argc, char **argv);

#endif
