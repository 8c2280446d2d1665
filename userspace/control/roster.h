/*
 * The node's pods as drafts of pods: who is meshed and why the others are not, where its network
 * namespace is, what its annotations say. Owner: the control thread.
 */
#ifndef CONTROL_ROSTER_H
#define CONTROL_ROSTER_H

#include "base/hash.h"
#include "base/list.h"
#include "base/text.h"
#include "kube/objects.h"
#include "model/draft.h"

/* Why a pod is or is not meshed; roster_verdict_text has a sentence for each. */
enum roster_verdict {
	ROSTER_MESHED,
	ROSTER_NOT_LABELLED,
	ROSTER_DISABLED,
	ROSTER_HOST_NETWORK,
	ROSTER_OTHER_MESH,
	ROSTER_FINISHED, /* no container of it runs or will run */
	ROSTER_UNKNOWN,  /* the API has not told of it, or of its namespace */
};

/* Pure. `namespace` NULL: the API has not told of it. */
enum roster_verdict roster_judge(const struct kube_pod *pod, const struct kube_object *namespace);
const char *roster_verdict_text(enum roster_verdict verdict);

struct roster_pod;

/* How the roster asks its owner; each returns at once. */
struct roster_hooks {
	void *owner;
	const struct kube_object *(*find_namespace)(void *owner, const char *name);
	/* As kernel/sandbox.h. */
	int (*find_netns)(void *owner, const char *pod_uid, char *ret_path, struct text *why);
	/* What is wrong in the pod's annotations, for people who look at the pod. */
	void (*tell)(void *owner, const struct kube_object *pod, const char *faults);
};

struct roster {
	struct roster_hooks hooks;
	struct hash pods;                   /* of struct roster_pod by namespace and name */
	enum on_proxy_death on_proxy_death; /* of pods that do not say */
	struct pod_draft *drafts;
	uint32_t capacity;
	unsigned ticks;
	/* Something was lost for want of memory: the owner clears it and tells all pods again. */
	bool has_gaps;
};

void roster_init(struct roster *roster, const struct roster_hooks *hooks);
void roster_fini(struct roster *roster);

/* As told by kube_events.changed; true: a build is due. */
bool roster_pod_changed(struct roster *roster, const struct kube_object *before,
			const struct kube_object *after);
bool roster_namespace_changed(struct roster *roster, const char *namespace);
/* Looks again for namespaces that were not found, and for pods that are gone. */
bool roster_tick(struct roster *roster);

/* What the container runtime tells before a pod's first container starts. */
struct roster_sandbox {
	const char *namespace;
	const char *name;
	const char *uid;
	const char *netns; /* path */
	struct weft_address addresses[2];
	uint32_t address_count;
};
/* The verdict; when it is ROSTER_MESHED a build is due for the draft with this name. */
enum roster_verdict roster_sandbox_added(struct roster *roster,
					 const struct roster_sandbox *sandbox,
					 char ret_name[WEFT_NAME_MAX]);
/* True: the draft with this name is gone, a build is due. */
bool roster_sandbox_removed(struct roster *roster, const struct roster_sandbox *sandbox,
			    char ret_name[WEFT_NAME_MAX]);

/* The drafts of all that have a namespace; valid until the next change. */
void roster_list(struct roster *roster, struct draft_list *ret);

/* For pages. `name` is the draft's. `faults`: lines, "" = none. `problem`: why it is not enrolled
 * although it is meshed, "" = none. */
void roster_each(const struct roster *roster,
		 void (*each)(void *owner, const char *name, enum roster_verdict verdict,
			      const char *faults, const char *problem),
		 void *owner);

#endif
