/*
 * Descriptors held in reserve, so that there is one to accept with when captured connections have
 * taken all others. Embedded in a listener; one thread.
 */
#ifndef ADMIN_SPARE_H
#define ADMIN_SPARE_H

#include <stdbool.h>

#define SPARE_DESCRIPTORS 4

struct spare {
	int fds[SPARE_DESCRIPTORS];
	unsigned count;
};

/* Takes as many as there are to be had. False: not all. */
bool spare_fill(struct spare *spare);
/* Frees one for somebody else; false: none is left. */
bool spare_spend(struct spare *spare);
void spare_close(struct spare *spare);

#endif
