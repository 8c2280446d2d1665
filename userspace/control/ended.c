#include "control/ended.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static enum pod_end end_of(const struct kube_object *pod)
{
	if (!pod)
		return POD_ENDED;
	uint8_t phase = kube_pod_of(pod)->phase;
	if (phase == KUBE_SUCCEEDED || phase == KUBE_FAILED)
		return POD_ENDED;
	return pod->is_deleting ? POD_ENDS : POD_STAYS;
}

static uint32_t kept(const struct ended_pods *pods)
{
	return pods->count < ENDED_MOST ? pods->count : ENDED_MOST;
}

static uint32_t place_of(const struct ended_pods *pods, const char *uid)
{
	uint32_t i = 0;
	while (i < kept(pods) && strcmp(pods->items[i].uid, uid) != 0)
		i++;
	return i;
}

bool ended_note(struct ended_pods *pods, const struct kube_object *before,
		const struct kube_object *after)
{
	const struct kube_object *pod = after ? after : before;
	assert(pod); /* one of the two is there */
	enum pod_end was = before ? end_of(before) : POD_STAYS;
	enum pod_end end = end_of(after);
	if (end <= was || strlen(pod->uid) >= sizeof(pods->items[0].uid))
		return false;
	const char *uid = pod->uid;
	uint32_t at = place_of(pods, uid);
	if (at == kept(pods)) /* it takes the place of the oldest */
		at = pods->count++ % ENDED_MOST;
	pods->items[at].end = end;
	snprintf(pods->items[at].uid, sizeof(pods->items[at].uid), "%s", uid);
	return true;
}

enum pod_end ended_find(const struct ended_pods *pods, const char *uid)
{
	uint32_t at = place_of(pods, uid);
	return at < kept(pods) ? pods->items[at].end : POD_STAYS;
}
