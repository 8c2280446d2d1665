/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sizes and places that every room may know; no types, so that model needs nothing of maps.h. */
#ifndef WEFT_LIMITS_H
#define WEFT_LIMITS_H

#define WEFT_PIN_DIR     "/sys/fs/bpf/weft"
#define WEFT_WORKERS_MAX 16
/* Behind the name of weftd's socket: the file with what it knows of the cluster, and the same until
 * it is whole. */
#define WEFT_KNOWN       ".known"
#define WEFT_KNOWN_FRESH ".new"
/* Listeners per pod, worker and family. Captured dials end at these few addresses, and a pod has
 * some 28,000 source ports towards each. A power of two. */
#define WEFT_LANES 4
/* Bytes with the final NUL. A service of Kubernetes is called /svc/NAMESPACE/SERVICE/PORT, at most
 * 148 bytes. */
#define WEFT_NAME_MAX     192 /* a pod's or service's name */
#define WEFT_ENDPOINT_MAX 64  /* an endpoint's address as text */

#endif
