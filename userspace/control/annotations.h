/*
 * The annotations weft.io/… of pods, namespaces and Services. Values are comma-separated lists;
 * what is wrong in one is told and left out, the rest holds. Pure.
 */
#ifndef CONTROL_ANNOTATIONS_H
#define CONTROL_ANNOTATIONS_H

#include "base/text.h"
#include "base/arena.h"
#include "kube/objects.h"
#include "model/draft.h"

#define LABEL_MESH             "weft.io/mesh"                /* enabled | disabled */
#define ANNOTATION_OPAQUE      "weft.io/opaque-ports"        /* 25,3306 */
#define ANNOTATION_SKIP_PORTS  "weft.io/skip-outbound-ports" /* 25,443 */
#define ANNOTATION_SKIP_CIDRS  "weft.io/skip-outbound-cidrs" /* 192.0.2.0/24 */
#define ANNOTATION_PROTOCOL    "weft.io/protocol"            /* 8080=http,9000=opaque */
#define ANNOTATION_PROXY_DEATH "weft.io/on-proxy-death"      /* open | closed */
#define ANNOTATION_HEADLESS    "weft.io/headless"            /* direct | balance */
#define ANNOTATION_SHORTCUT    "weft.io/shortcut"            /* off | auto | on */
#define ANNOTATION_TRUST_DTAB  "weft.io/trust-dtab-headers"  /* true | false */
#define ANNOTATION_WINDOW      "weft.io/shortcut-window"     /* 256KiB */

/* What a Service's opaque-ports and protocol say about one port; false = nothing. */
bool annotation_protocol(const struct kube_object *service, uint16_t port, enum protocol *ret);
/* What a Service says of its shortcut, else its namespace (NULL = not known). */
enum weft_shortcut annotation_shortcut(const struct kube_object *service,
				       const struct kube_object *namespace);
/* Whether all that dial the Service may bring dtab entries. Its namespace's annotation is about
 * pods alone. */
bool annotation_trusts_dtabs(const struct kube_object *service);
/* The window of a Service's shortcut in bytes, 0 = it says nothing. */
uint32_t annotation_shortcut_window(const struct kube_object *service);

/*
 * Fills the draft's settings from the pod's annotations; where the pod has none, from its
 * namespace's (NULL = not known). Memory comes from the arena. Each fault is a sentence that names
 * the annotation, ended by a newline, in `faults`. 0 or -ENOMEM.
 */
int annotations_read(const struct kube_object *pod, const struct kube_object *namespace,
		     struct arena *arena, struct pod_draft *draft, struct text *faults) MUST_CHECK;

/*
 * Every scalar key of the config below services[] that is not named above: weft.io/ and its path,
 * with dashes for underscores. weft.io/locality: near is services[].locality, and
 * weft.io/retries.budget-share: "20" is services[].retries.budget_share. Writes those of the
 * Service into its draft, which has what holds without them; texts are the Service's.
 */
void annotations_read_service(const struct kube_object *service, struct service_draft *draft,
			      struct text *faults);

/* Faults of a Service's own annotations, as above. */
void annotations_check_service(const struct kube_object *service, struct text *faults);

#endif
