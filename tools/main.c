/* SPDX-License-Identifier: MIT */
/* shale [-C DIR] VERB ...: finds the verb and runs it. */
#include "tool.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shale/version.h>

const struct verb verbs[] = {
	{"cat", verb_cat, "write files to standard output"},
	{"check", verb_check, "check a file system for damage"},
	{"cp", verb_cp, "copy files out"},
	{"df", verb_df, "show how full a file system is"},
	{"du", verb_du, "sum up the space that files take"},
	{"find", verb_find, "look for files"},
	{"info", verb_info, "show features, geometry and journal"},
	{"ls", verb_ls, "list directories"},
	{"mount", verb_mount, "show a file system to all programs"},
	{"readlink", verb_readlink, "print what a symbolic link holds"},
	{"stat", verb_stat, "show what an inode says"},
	{"tar", verb_tar, "write a tree as a tar stream"},
	{"tree", verb_tree, "show a directory tree"},
	{"umount", verb_umount, "take a mount away"},
	{NULL, NULL, NULL},
};

static void usage(FILE *out)
{
	fprintf(out, "Usage: shale [-C DIR] VERB [OPTION...] PLACE...\n"
		     "Reads ext2, ext3 and ext4 images without mounting them. A place is DISK:/PATH.\n\n");
	for (const struct verb *v = verbs; v->name; v++)
		fprintf(out, "  %-10s %s\n", v->name, v->summary);
	fprintf(out, "\n`shale VERB --help' tells its options; see also shale(1).\n");
}

static int run_verb(int argc, char **argv)
{
	int status;

	for (const struct verb *v = verbs; v->name; v++) {
		if (strcmp(v->name, argv[0]))
			continue;
		tool_verb = v->name;
		status = v->run(argc, argv);
		return status ? status : tool_status();
	}
	fprintf(stderr, "shale: no verb \"%s\" (see shale --help)\n", argv[0]);
	return TOOL_USAGE;
}

/* What was printed is told only when it arrived, also by --help, which ends the program inside argp. */
static void end_output(void)
{
	bool lost = ferror(stdout);

	errno = 0;
	if (!fflush(stdout) && !lost)
		return;
	if (errno != EPIPE)
		tool_error("standard output", errno ? errno : EIO);
	_exit(TOOL_FAILED);
}

/*
 * What callers pass on that would surprise us: closed standard files, whose numbers others would get (reading
 * and writing them fails all the same), and that nobody is told of the end of a child.
 */
static void begin_clean(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
			_exit(TOOL_FAILED);
	signal(SIGCHLD, SIG_DFL);
}

int main(int argc, char **argv)
{
	int at = 1;

	begin_clean();
	atexit(end_output);
	if (!strcmp(basename(argv[0]), "mount.fuse.shale"))
		return mount_helper(argc, argv);
	for (; at < argc && argv[at][0] == '-'; at++) {
		if (!strcmp(argv[at], "--help")) {
			usage(stdout);
			return 0;
		}
		if (!strcmp(argv[at], "--version")) {
			printf("shale %s\n", SHALE_VERSION);
			return 0;
		}
		if (strcmp(argv[at], "-C") || at + 1 == argc) {
			usage(stderr);
			return TOOL_USAGE;
		}
		if (chdir(argv[++at])) {
			fprintf(stderr, "shale: %s: %s\n", argv[at], strerror(errno));
			return TOOL_FAILED;
		}
	}
	if (at == argc) {
		usage(stderr);
		return TOOL_USAGE;
	}
	return run_verb(argc - at, argv + at);
}
