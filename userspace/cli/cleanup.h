/* What `weft cleanup` removes, for commands that remove it too. */
#ifndef CLI_CLEANUP_H
#define CLI_CLEANUP_H

#include <stdbool.h>

#include "base/attr.h"

/* Programs, maps, pins and socket of a weftd that has ended; says what it removed. True: all. */
bool cleanup_ended(const char *pin_dir, const char *socket) MUST_CHECK;

#endif
