// The path walk as other parts of vfs use it: one walk that ends in references (open, chdir), and one that ends lock-free (stat and its kin).
//
// A lock-free ending runs inside the RCU read section with nothing referenced: it copies what it needs, then the walk checks its sequence counts; when
// they changed, what was copied is thrown away and the walk is done again with references.
#pragma once

#include "vfs/dcache.h"
#include "vfs/vfs.h"

// What build_open_flags() makes of the caller's flags.
struct open_flags {
	int open_flag; // O_*, cleaned
	mode_t mode;   // with S_IFREG for O_CREAT
	int acc_mode;  // MAY_*
	int intent;    // LOOKUP_OPEN-like: bits of enum open_intent
	unsigned lookup_flags;
};
#define LOOKUP_OPEN   0x100
#define LOOKUP_CREATE 0x200
#define LOOKUP_EXCL   0x400

// Walks to the file that open names, making it when O_CREAT asks for that. *out is referenced; *created: it did not exist before.
int path_openat_lookup(int dfd, const char *name, const struct open_flags *op, struct path *out,
		       bool *created) __must_check;

// The lock-free ending. rcu: nothing is referenced, the body must not sleep and may answer -ECHILD to be called again with
// references. It may be called several times: only the last call counts.
struct path_end {
	int (*fn)(struct path_end *end, const struct path *path, struct inode *inode, bool rcu);
};
int path_lookup_end(int dfd, const char *name, unsigned lookup_flags, struct path_end *end) __must_check;
