/* Services are shared between snapshots; only model counts who holds one. Control thread. */
#ifndef MODEL_SHARED_H
#define MODEL_SHARED_H

#include "model/snapshot.h"

static inline struct service *service_keep(struct service *service)
{
	service->users++;
	return service;
}
void service_drop(struct service *service); /* NULL is fine */

#endif
