/*
 * Kubernetes: what the API server tells of this node's pods and of all services, as a source of
 * drafts; and the container runtime's questions (weft-cni). Owner: the control thread.
 */
#ifndef CONTROL_DISCOVERY_H
#define CONTROL_DISCOVERY_H

#include "base/text.h"
#include "control/control.h"

struct discovery;
struct wire_loop;

/* `loop` is flushed by the ring's owner before each wait. 0 or -errno and a sentence in `why`. */
int discovery_open(struct control *control, struct wire_loop *loop, struct text *why,
		   struct discovery **ret_discovery) MUST_CHECK;
void discovery_close(struct discovery *discovery); /* NULL is fine */
/* What is known, for the next weftd: written once more, at the end of this one while its socket is
 * served; or removed for good. */
void discovery_keep(struct discovery *discovery);
void discovery_keep_nothing(struct discovery *discovery);
/* Bytes of the loop's blocks that the client may use. */
#define KUBE_BLOCK_BYTES (64u << 20)
/* Every kind was listed or recalled once, and a snapshot has what they said; else what is missing.
 */
bool discovery_is_built(const struct discovery *discovery, struct text *why);
/* The name of the node that weftd runs on. */
const char *discovery_node(const struct discovery *discovery);
/* An object: each watch with its age, and each pod of the node with why it is (not) meshed. */
void discovery_json(const struct discovery *discovery, struct text *json);
/* Prometheus lines weft_kubernetes_… */
void discovery_metrics(const struct discovery *discovery, struct text *page);

/*
 * POST /cni/add and /cni/del (see cni/ask.h for the bodies): an HTTP status and a JSON body. Asked
 * again by the plugin until it is captured or not_meshed.
 */
unsigned discovery_sandbox_added(struct discovery *discovery, struct span body,
				 struct text *answer);
unsigned discovery_sandbox_removed(struct discovery *discovery, struct span body,
				   struct text *answer);

#endif
