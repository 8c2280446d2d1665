/* A pod at a weftd that runs already, for as long as one connection to it is open. */
#ifndef CLI_ENROL_H
#define CLI_ENROL_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/text.h"

/* Captures every dial from the cgroup, by the weftd at `socket`. 0 and the connection, which ends
 * when weftd does; or -errno and a sentence. */
int enrol_open(const char *socket, const char *name, const char *cgroup, struct text *why,
	       int *ret_fd) MUST_CHECK;
/* That weftd has ended, or let the pod go. */
bool enrol_ended(int fd);

#endif
