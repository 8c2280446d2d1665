/* What every socket of ours has, accepted or dialled. Any thread. */
#ifndef KERNEL_SOCKET_OPTIONS_H
#define KERNEL_SOCKET_OPTIONS_H

#include "base/attr.h"

/*
 * TCP_NODELAY; keepalive, so that half-open peers die (first probe after 75 s, dead after 135 s);
 * urgent bytes stay in the stream (RFC 6093 3). Accepted sockets inherit them. 0 or -errno.
 */
int socket_options_set(int fd) MUST_CHECK;

#endif
