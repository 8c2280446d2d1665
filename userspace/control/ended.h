/*
 * Pods of this node that have ended, or are ending, as the API server tells it of the pods
 * themselves. EndpointSlices are written because of that, so they come later, and when many pods
 * end at once, a good deal later. The last so many are kept, by UID, which no other pod gets. Pure.
 */
#ifndef CONTROL_ENDED_H
#define CONTROL_ENDED_H

#include "kube/objects.h"

#define ENDED_MOST 256

/* The greater, the less is left of it. */
enum pod_end {
	POD_STAYS,
	POD_ENDS, /* it has a deletionTimestamp, and may still serve */
	POD_ENDED,
};

struct ended_pod {
	enum pod_end end;
	char uid[60];
};

/* All 0 = none. */
struct ended_pods {
	struct ended_pod items[ENDED_MOST];
	uint32_t count; /* that were ever noted */
};

/* True: a pod is nearer to its end than it was, which is noted. As told by kube_events.changed. */
bool ended_note(struct ended_pods *pods, const struct kube_object *before,
		const struct kube_object *after);
enum pod_end ended_find(const struct ended_pods *pods, const char *uid);

#endif
