/* What `weft cleanup` removes, for commands that remove it too. */
#ifndef CLI_CLEANUP_H
#define CLI_CLEANUP_H

#include <stdbool.h>

#include "base/attr.h"
#include "weft/limits.h"

/* Programs, maps, pins, socket and what it knew of a weftd that has ended; says what it removed.
 * True: all. */
bool cleanup_ended(const char *pin_dir, const char *socket) MUST_CHECK;
/* Behind the name of its socket: files with what it knew of the cluster. */
#define CLEANUP_KNOWN WEFT_KNOWN, WEFT_KNOWN WEFT_KNOWN_FRESH

#endif
