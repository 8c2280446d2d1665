/* What `weft cleanup` removes, for commands that remove it too. */
#ifndef CLI_CLEANUP_H
#define CLI_CLEANUP_H

#include <limits.h>
#include <stdbool.h>

#include "base/attr.h"

/* Programs, maps, pins, socket and what it knew of a weftd that has ended; says what it removed.
 * True: all. */
bool cleanup_ended(const char *pin_dir, const char *socket) MUST_CHECK;
/* The file with what it knew of the cluster, or (`suffix` WEFT_KNOWN_FRESH) one that was never
 * whole. False: it has no place. */
bool cleanup_known_path(const char *socket, const char *suffix, char path[PATH_MAX]) MUST_CHECK;

#endif
