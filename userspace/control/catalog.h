/*
 * The cluster's Services as drafts of services, kept in step with the API server's objects: a
 * change costs what it changes, not what there is. Owner: the control thread.
 */
#ifndef CONTROL_CATALOG_H
#define CONTROL_CATALOG_H

#include "base/list.h"
#include "control/claims.h"
#include "control/kube_service.h"

/* How the catalog asks its owner and tells it; returns at once. */
struct catalog_hooks {
	void *owner;
	const struct kube_object *(*find_namespace)(void *owner, const char *name);
	/* One is left out from now on; NULL = nobody asks. */
	void (*left_out)(void *owner, const struct kube_service *service, uint64_t records);
	/* Whether somebody on this node has sent anything to it; NULL = nobody knows. */
	bool (*is_used)(void *owner, const char *service);
};

struct catalog {
	struct catalog_hooks hooks;
	struct hash entries; /* of struct entry by namespace and name */
	struct claims claims;
	struct resilience resilience;   /* of all services: nothing is said of them */
	const struct kube_service *api; /* default/kubernetes; NULL = not known */
	struct list stale;              /* entries to compute anew */
	struct list moved;            /* entries whose claims somebody else's change has touched */
	struct service_draft *drafts; /* sorted by name, but while is_unsorted */
	bool is_unsorted;
	uint32_t count;
	uint32_t capacity;
	bool has_gaps; /* something was lost for want of memory */
	/* A Service that takes more records (kube_service_record_count) is left out as a whole:
	 * half of it would serve some of its clients. */
	uint64_t record_limit; /* 0 = none; set by catalog_limit */
	uint32_t left_out_count;
};

void catalog_init(struct catalog *catalog, const struct catalog_hooks *hooks);
/* Empty again: hooks and limit stay. */
void catalog_fini(struct catalog *catalog);

/* As told by kube_events.changed, for Services and for EndpointSlices. An object that is not
 * remembered for want of memory sets has_gaps: the owner then begins anew. */
void catalog_service_changed(struct catalog *catalog, const struct kube_object *before,
			     const struct kube_object *after);
/* True: endpoints of a service that is used here are gone, and requests may still go to them. */
bool catalog_slice_changed(struct catalog *catalog, const struct kube_object *before,
			   const struct kube_object *after);
/* A pod has ended or ends (kube_place.ended has it). True: as above. */
bool catalog_pod_ended(struct catalog *catalog, const struct kube_object *pod);
void catalog_limit(struct catalog *catalog, uint64_t record_limit);
/* As told by kube_events.changed. True: drafts have changed. */
bool catalog_namespace_changed(struct catalog *catalog, const struct kube_object *before,
			       const struct kube_object *after);
/* This node has another zone now. */
void catalog_place_changed(struct catalog *catalog);

/* Computes what is stale; the drafts in `ret` are valid until the next change or refresh. */
void catalog_refresh(struct catalog *catalog, const struct kube_place *place,
		     struct draft_list *ret);
/* Services that are left out. */
void catalog_each_left_out(const struct catalog *catalog,
			   void (*each)(void *owner, const char *namespace, const char *name,
					uint64_t records),
			   void *owner);
/* Of the drafts as they were refreshed last, this snapshot has all that were not left out. */
void catalog_built(struct catalog *catalog, const struct snapshot *snapshot);

#endif
