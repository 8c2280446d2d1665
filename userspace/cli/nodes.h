/* Waiting for all nodes of a cluster, which DNS names: headless Services list their pods'
 * addresses.
 */
#ifndef CLI_NODES_H
#define CLI_NODES_H

/* Until every address of the name `all` is one of the name `ready`. Exit status. */
int nodes_await(const char *ready, const char *all, unsigned limit_seconds);

#endif
