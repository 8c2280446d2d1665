/*
 * The plugin asks weftd over its Unix socket and waits, within a limit.
 *
 *   POST /cni/add   {"container_id": "4f2a…", "netns": "/var/run/netns/cni-…", "interface": "eth0",
 *                    "namespace": "shop", "pod": "web-1", "pod_uid": "…",
 *                    "addresses": ["10.244.1.5", "fd00::5"]}
 *     200 {"verdict": "captured"}     enrolled, its dials are captured from the first one on
 *     200 {"verdict": "not_meshed"}   weftd knows the pod, and it is none of the mesh's
 *     anything else                   weftd cannot tell yet; it is asked again until the limit
 *   POST /cni/del   the same object; any answer will do. The namespace is about to go.
 */
#ifndef CNI_ASK_H
#define CNI_ASK_H

#include <stdint.h>

#include "base/attr.h"
#include "base/span.h"

enum cni_verdict { CNI_CAPTURED, CNI_NOT_MESHED };

/* 0, or -ETIME: nobody gave a verdict within the limit; -errno. */
int cni_ask_add(struct span socket, struct span body, uint64_t limit_ns,
		enum cni_verdict *ret_verdict) MUST_CHECK;
/* Waits for an answer, at most `limit_ns`; not for a weftd that is not there. */
void cni_tell_del(struct span socket, struct span body, uint64_t limit_ns);
/* The verdict in a whole HTTP answer. False: there is none. */
bool cni_verdict_read(struct span answer, enum cni_verdict *ret_verdict) MUST_CHECK;

#endif
