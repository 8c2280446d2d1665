/*
 * The two listening sockets of the admin server. Start-up may block, so these are plain system
 * calls. On failure -errno and a sentence in `why` that says what, where and what to do.
 */
#ifndef ADMIN_LISTEN_H
#define ADMIN_LISTEN_H

#include <sys/stat.h>

#include "base/attr.h"
#include "base/text.h"

/* "127.0.0.1:9990", "[::1]:9990"; port 0 = any free one. */
int listen_tcp(const char *text, struct text *why, int *ret_fd) MUST_CHECK;

/* The file that a Unix socket is, so that nobody else's is removed later. */
struct listen_file {
	dev_t device;
	ino_t inode;
};

/* Makes the folder (0755) and the socket (0600); replaces the socket of a process that is gone. */
int listen_unix(const char *path, struct text *why, struct listen_file *ret_file,
		int *ret_fd) MUST_CHECK;
/* Removes the socket file if it is still this one. */
void listen_unlink(const char *path, const struct listen_file *file);

#endif
