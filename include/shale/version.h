/*
 * The version of the library. SHALE_VERSION is what a program was compiled against, shale_version() what it
 * runs with.
 */
#ifndef SHALE_VERSION_H
#define SHALE_VERSION_H

#define SHALE_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The version of the library that is running, "MAJOR.MINOR.PATCH"; never fails, never freed. */
const char *shale_version(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
