/* Starts a command inside a cgroup, with services' names in its /etc/hosts. */
#ifndef CLI_INSIDE_H
#define CLI_INSIDE_H

#include <signal.h>
#include <sys/types.h>

#include "base/attr.h"
#include "cli/place.h"

struct inside {
	const struct place *place;
	const sigset_t *mask; /* of signals, as weft itself was started with */
	bool has_hosts;       /* place->hosts is bound over /etc/hosts */
	char *const *command; /* NULL-terminated */
};

/* In the same process group and on the same terminal as weft. 0, or the -errno of what failed:
 * *ret_is_exec says whether it was the command itself that could not be started. */
int inside_start(const struct inside *inside, pid_t *ret_pid, bool *ret_is_exec) MUST_CHECK;
/* 127 when there is no such command, 126 when it cannot be executed (POSIX 2.8.2). */
int inside_exit_status(int exec_error);

#endif
