/* SPDX-License-Identifier: MIT */
/*
 * The words by which a disk is named, taken apart. See uri.c.
 */
#ifndef SHALE_BLOCK_URI_H
#define SHALE_BLOCK_URI_H

#include "base/compiler.h"

struct shale;

#define URI_MAX_ELEMENTS 8u
#define URI_MAX_OPTIONS  32u

/* The options that were routed to one element. */
struct uri_options {
	struct shale *machine;
	const char *element; /* its name, for messages */
	unsigned nr;
	const char *keys[URI_MAX_OPTIONS], *values[URI_MAX_OPTIONS];
};

struct disk_uri {
	char *text; /* the copy that all below points into */
	bool plain; /* a host path, without a scheme */
	unsigned nr_elements;
	const char *elements[URI_MAX_ELEMENTS]; /* filters from the outermost on, then the scheme */
	const char *rest;                       /* behind "scheme:"; a plain path */
	unsigned nr_options;
	const char *keys[URI_MAX_OPTIONS], *values[URI_MAX_OPTIONS]; /* "" where there is no "=" */
	unsigned part;                                               /* of PATH@N; 0: none */
};

/* Takes it apart. -ENOMEM, or -EINVAL after an error in words. */
int disk_uri_parse(struct shale *machine, const char *uri, struct disk_uri *out) __must_check;
void disk_uri_free(struct disk_uri *uri);

#endif
