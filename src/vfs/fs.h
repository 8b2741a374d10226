// fs_struct: a task's root, current directory and umask; shared by tasks made with CLONE_FS.
//
// `lock` guards changes, `seq` lets the path walk read root and pwd without it. root and pwd are referenced.
#pragma once

#include "vfs/task.h"

// With the machine's initial root as root and current directory, umask 022.
int fs_struct_alloc(struct shale *machine, struct fs_struct **out) __must_check;
int copy_fs_struct(struct fs_struct *old, struct shale *machine, struct fs_struct **out) __must_check;
struct fs_struct *get_fs_struct(struct fs_struct *fs);
void put_fs_struct(struct fs_struct *fs);                        // NULL: nothing
void set_fs_root(struct fs_struct *fs, const struct path *path); // takes references of its own
void set_fs_pwd(struct fs_struct *fs, const struct path *path);
void get_fs_root(struct fs_struct *fs, struct path *root); // referenced
void get_fs_pwd(struct fs_struct *fs, struct path *pwd);
int current_umask(void);
