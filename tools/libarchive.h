/* SPDX-License-Identifier: MIT */
/*
 * libarchive, loaded when the first archive is written: it brings a dozen libraries of its own, and loading
 * them takes longer than most verbs do. The names are libarchive's, called through `lib`.
 */
#ifndef SHALE_TOOL_LIBARCHIVE_H
#define SHALE_TOOL_LIBARCHIVE_H

#include <archive.h>
#include <archive_entry.h>

#define LIBARCHIVE_FUNCTIONS(F)                                                                              \
	F(archive_entry_acl_add_entry)                                                                       \
	F(archive_entry_copy_hardlink)                                                                       \
	F(archive_entry_copy_pathname)                                                                       \
	F(archive_entry_copy_stat)                                                                           \
	F(archive_entry_copy_symlink)                                                                        \
	F(archive_entry_free)                                                                                \
	F(archive_entry_hardlink)                                                                            \
	F(archive_entry_new)                                                                                 \
	F(archive_entry_sparse_add_entry)                                                                    \
	F(archive_entry_sparse_count)                                                                        \
	F(archive_entry_unset_size)                                                                          \
	F(archive_entry_xattr_add_entry)                                                                     \
	F(archive_error_string)                                                                              \
	F(archive_write_close)                                                                               \
	F(archive_write_data)                                                                                \
	F(archive_write_finish_entry)                                                                        \
	F(archive_write_free)                                                                                \
	F(archive_write_header)                                                                              \
	F(archive_write_new)                                                                                 \
	F(archive_write_open_fd)                                                                             \
	F(archive_write_open_filename)                                                                       \
	F(archive_write_set_bytes_in_last_block)                                                             \
	F(archive_write_set_bytes_per_block)                                                                 \
	F(archive_write_set_format_pax)                                                                      \
	F(archive_write_set_options)

struct libarchive {
#define LIBARCHIVE_MEMBER(name) __typeof__(name) *name;
	LIBARCHIVE_FUNCTIONS(LIBARCHIVE_MEMBER)
#undef LIBARCHIVE_MEMBER
};

/* NULL after an error was told. */
const struct libarchive *libarchive_load(void);

#endif
