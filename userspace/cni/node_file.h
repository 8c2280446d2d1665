/* Small files, read whole and replaced whole. One thread. */
#ifndef CNI_NODE_FILE_H
#define CNI_NODE_FILE_H

#include <sys/types.h>

#include "base/span.h"
#include "base/text.h"

#define NODE_FILE_MAX (4u << 20)

/* 0 or -errno (-EFBIG past NODE_FILE_MAX); the caller ends the text. */
int node_file_read(const char *path, struct text *ret_content, mode_t *ret_mode) MUST_CHECK;
/* A reader sees the old content or the new one, also after a crash. 0 or -errno. */
int node_file_replace(const char *path, struct span content, mode_t mode) MUST_CHECK;
/* Removes what a replacement that was killed left in the folder. */
void node_file_sweep(const char *dir);
/* "dir/name" + suffix; -ENAMETOOLONG past PATH_MAX. */
int node_file_path(char *path, struct span dir, struct span name, const char *suffix) MUST_CHECK;

#endif
