/* SPDX-License-Identifier: MIT */
/*
 * Places: "DISK:/PATH". The text splits at the first ":/" that is not the "://" of a scheme of the closed
 * list, nor the colon of a scheme (or of a filter chain that ends in one) whose path begins with '/'. A text
 * that begins with '/' or "./" and has no existing file before a ":/" is a path of the host, as is one
 * without any ":/".
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const schemes[] = {"file", "ram", "null", "nbd", "nbd+unix", "iscsi", "rbd"};

/* Does text[0..len) end in a scheme, alone or behind filters and '+'? */
static bool ends_in_scheme(const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t n = strlen(schemes[i]);

		if (len >= n && !memcmp(text + len - n, schemes[i], n) &&
		    (len == n || text[len - n - 1] == '+'))
			return true;
	}
	return false;
}

static const char *find_split(const char *text)
{
	/* Only the first colon can be a scheme's. */
	const char *colon = strchr(text, ':');

	if (!colon)
		return NULL;
	if (colon[1] == '/' && ends_in_scheme(text, (size_t)(colon - text)))
		return strstr(colon + 1, ":/");
	return strstr(text, ":/");
}

void place_parse(const char *text, struct place *place)
{
	const char *split = find_split(text);

	*place = (struct place){.text = text, .path = text};
	if (!split)
		return;
	place->disk = strndup(text, (size_t)(split - text));
	if (!place->disk)
		tool_no_memory();
	if ((*text == '/' || !strncmp(text, "./", 2)) && access(place->disk, F_OK) &&
	    !strpbrk(place->disk, "@?")) {
		free(place->disk);
		place->disk = NULL;
		return;
	}
	place->path = split + 1;
}

bool place_open(const char *text, bool whole, struct place *place)
{
	place_parse(text, place);
	if (!place->disk && whole) {
		place->disk = tool_printf("%s", text);
		place->path = "/";
	}
	if (!place->disk) {
		tool_error_text(text, access(text, F_OK) ? "not a place in an image (DISK:/PATH)"
							 : "a file of the host; a place in it is DISK:/PATH");
		return false;
	}
	place->image = image_open(place->disk);
	return place->image != NULL;
}
