/* A weftd of one's own: found, started, stopped. */
#ifndef CLI_DAEMON_H
#define CLI_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/text.h"

struct daemon {
	pid_t pid;  /* 0 = none, or it has been waited for */
	int status; /* as waitpid(2) gave it */
};

/* Path of the weftd that belongs to this weft: beside it, ../sbin, then PATH. 0 or -ENOENT. */
int daemon_find(char *ret_path, size_t size) MUST_CHECK;
/* Starts `weftd --config PATH` in a process group of its own, so that a terminal's Ctrl-C does not
 * reach it; it is terminated when this process dies. 0, or -errno and a sentence. */
int daemon_start(struct daemon *daemon, const char *weftd, const char *config,
		 struct text *why) MUST_CHECK;
/* Runs `weftd --validate --config PATH`, which says what is wrong. Exit status, or -errno. */
int daemon_validate(const char *weftd, const char *config) MUST_CHECK;
/* Is it gone? Then its status is kept. */
bool daemon_ended(struct daemon *daemon);
/* SIGTERM, and SIGKILL when it lives `limit_ms` later. Returns false when it had to be killed. */
bool daemon_stop(struct daemon *daemon, unsigned limit_ms);

#endif
