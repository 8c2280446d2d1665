/*
 * Names below the prefix of a namer that asks DNS, as names of services: what a dtab says and what
 * DNS is asked for meet there. Pure; any thread. linkerd1.md M7.
 */
#ifndef MODEL_DNS_SERVICE_H
#define MODEL_DNS_SERVICE_H

#include "model/naming.h"
#include "weft/limits.h"

/* Segments that belong to a name: a host and a port, or the name of SRV records. */
static inline uint32_t dns_service_segments(enum namer_kind kind)
{
	return kind == NAMER_DNS ? 2 : 1;
}

/* "#/PREFIX/HOST/PORT" or "#/PREFIX/NAME", in lower case, of a name behind /#/PREFIX; what follows
 * is its residual. NULL, or why it is no such name. */
const char *dns_service_print(enum namer_kind kind, struct span prefix, struct name_path name,
			      char ret_service[WEFT_NAME_MAX]);
/* What is behind "#" and the prefix, of a name as a dtab has it. False: it is not below it. */
bool dns_service_below(struct span prefix, struct name_path path, struct name_path *ret_name);

#endif
