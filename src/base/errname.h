/* SPDX-License-Identifier: MIT */
/*
 * Names of error numbers, for messages, traces and tests.
 */
#ifndef SHALE_BASE_ERRNAME_H
#define SHALE_BASE_ERRNAME_H

/* "ENOENT" for ENOENT and for -ENOENT; "0" for 0; "E?" for a number without a name. */
const char *errname(int err);

#endif
