/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which connections may take the shortcut: one rule for the kernel, which asks it for a pod's dial,
 * and for a worker, which asks it for its own dial to an endpoint.
 */
#ifndef WEFT_SHORTCUT_H
#define WEFT_SHORTCUT_H

/* A connection that is back on TCP is slower than one that always was. So after one of a service
 * has overflowed its window, `auto` leaves that service's new ones on TCP for so long. */
#define WEFT_SHORTCUT_BULK_NS 600000000000ull

enum weft_shortcut {
	WEFT_SHORTCUT_INHERIT, /* nothing is said here */
	WEFT_SHORTCUT_OFF,
	WEFT_SHORTCUT_AUTO, /* where the destination is declared HTTP */
	WEFT_SHORTCUT_ON,
};

/* What is said of the pod goes before what is said of the service, that before the mesh's; but an
 * `off` of pod or service holds whatever the other says: each knows what its own programs do. */
static inline _Bool weft_shortcut_applies(enum weft_shortcut pod, enum weft_shortcut service,
					  enum weft_shortcut mesh, _Bool is_http)
{
	if (pod == WEFT_SHORTCUT_OFF || service == WEFT_SHORTCUT_OFF)
		return 0;
	enum weft_shortcut said = pod ? pod : service ? service : mesh;
	return said == WEFT_SHORTCUT_ON || (said == WEFT_SHORTCUT_AUTO && is_http);
}

/* Of what applies: nobody asked for it in particular. */
static inline _Bool weft_shortcut_is_auto(enum weft_shortcut pod, enum weft_shortcut service,
					  enum weft_shortcut mesh)
{
	return !weft_shortcut_applies(pod, service, mesh, 0);
}

#endif
