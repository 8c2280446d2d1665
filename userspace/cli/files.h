/* Small files as a whole. */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <sys/types.h>

#include "base/attr.h"
#include "base/text.h"

/* Appends the file's bytes, at most 16 MiB. 0 or -errno. */
int file_read(const char *path, struct text *bytes) MUST_CHECK;
/* Makes the file, which may not exist. 0 or -errno. */
int file_write(const char *path, mode_t mode, struct span bytes) MUST_CHECK;

#endif
