/* Other weftd of this machine, whatever they pinned and where. Any thread. */
#ifndef KERNEL_NEIGHBOURS_H
#define KERNEL_NEIGHBOURS_H

#include <stdbool.h>

#include "weft/maps.h"

/*
 * The pod that the calling thread's network namespace is, if a weftd captures its dials. Two of
 * them may not take the same dial: the first one's redirection is what the second one would see.
 */
bool neighbour_captures_here(struct weft_pod *ret_pod);

#endif
