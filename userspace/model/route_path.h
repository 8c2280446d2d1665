/*
 * The normal form in which paths are compared, never forwarded (RFC 3986 6.2.2): octets that need
 * no percent-encoding are decoded, hexadecimal digits are upper case, runs of "/" are one, "." and
 * ".." are resolved and cannot leave the root. "%2F" stays what it is: it separates nothing. So a
 * path that a server takes for /admin is not missed by a route for /admin, however it is written;
 * what is no path ("*", an authority) is "". Pure.
 */
#ifndef MODEL_ROUTE_PATH_H
#define MODEL_ROUTE_PATH_H

#include "base/span.h"

/* The normal form is not longer, and the path has it already: true for nearly all of them. */
bool route_path_is_normal(struct span path);
/* Writes the normal form of a path that begins with "/"; `memory` has path.size bytes. */
struct span route_path_normalise(struct span path, char *memory);

/* The parts of a request target (RFC 9112 3.2). */
struct route_target {
	struct span authority; /* of absolute form; size 0 = none */
	struct span path;      /* begins with "/"; size 0 = the target has none */
	struct span query;     /* without "?" */
	bool has_query;
	bool is_absolute; /* scheme and authority stand in front */
};
struct route_target route_target_split(struct span target);

/* Host without port, brackets and a last dot, as written; size 0 = none or malformed. */
struct span route_host_of(struct span authority);
/* 0-9, A-F, a-f; -1 = no digit. */
int route_hex(char c);

#endif
