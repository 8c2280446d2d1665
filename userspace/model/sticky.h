/*
 * Stickiness by cookie: the first answer to a client sets a cookie that names the endpoint, and its
 * later requests go there for as long as it is ready. The value is a keyed hash of service and
 * address: it shows no address, and all nodes with the same key agree without a memory.
 */
#ifndef MODEL_STICKY_H
#define MODEL_STICKY_H

#include "model/snapshot.h"

#define STICKY_TEXT 17 /* 16 hexadecimal digits and a NUL */

/* From the text of the key sticky.key. */
struct siphash_key sticky_key(const char *secret);
/* The tokens of a service whose endpoints are complete and sorted. 0 or -ENOMEM. */
int sticky_fill(struct service *service) MUST_CHECK;
uint64_t sticky_token(const struct service *service, const struct endpoint *endpoint);
/* NULL = none has it. O(log n). */
const struct endpoint *sticky_find(const struct service *service, uint64_t token);
void sticky_print(uint64_t token, char text[STICKY_TEXT]);
/* False: not a value of ours. */
bool sticky_parse(struct span text, uint64_t *ret_token);

#endif
