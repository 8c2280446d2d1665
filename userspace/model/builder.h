/*
 * Drafts -> snapshot: checks the whole, gives ids, shares what did not change with the snapshot
 * before. Pure but for the two callbacks. Owner: the control thread.
 *
 * Ids: a service, endpoint or pod keeps its id for as long as it exists. An id whose owner is gone
 * is given again as late as the arrays by id allow (they have room for four times what there is),
 * and never while the snapshot before still uses it. The limit of endpoints' ids never shrinks.
 *
 * A build costs what changed, and a few words for each service: a draft with same_id is not looked
 * at, and the endpoints' ids in use are taken over from the snapshot before.
 */
#ifndef MODEL_BUILDER_H
#define MODEL_BUILDER_H

#include "base/span.h"
#include "model/draft.h"

/* An id that a name had in a process before this one (found in the pinned maps). */
struct known_id {
	char name[WEFT_NAME_MAX];
	uint32_t id;
};

struct build_options {
	const struct snapshot *previous; /* NULL = none */
	uint64_t now_ns;                 /* of the workers' clock, for slow start */
	/* Where this weftd is, as the cluster says it; NULL or "" = unknown. What the settings say
	 * goes before it. */
	const char *node;
	const char *zone;
	const struct known_id *known_services; /* sorted by name; each name and id once */
	uint32_t known_service_count;
	const struct known_id *known_pods;
	uint32_t known_pod_count;
	/* Slot in the metric store; endpoint "" = the service's total. With must_claim false only a
	 * slot that has this label already, else SERIES_UNCLAIMED. NULL: there are none. */
	uint32_t (*series)(void *owner, struct span service, struct span endpoint, bool must_claim);
	void *series_owner;
	/* Told for each fault: line of the draft, config key, sentence. NULL: nobody listens. */
	void (*fault)(void *owner, uint32_t line, const char *key, const char *sentence);
	void *fault_owner;
	/* Told for each fault of a service or pod that may be left out. NULL: nobody listens. */
	void (*left_out)(void *owner, const char *name, const char *sentence);
	void *left_out_owner;
	const struct namer_compiler *namers; /* NULL: nothing is rewritten */
	const struct route_compiler *routes; /* NULL: routes are not looked up by anybody */
};

/* 0, -EINVAL (fault was called) or -ENOMEM. The result is not published; generation is one more
 * than the one before. */
int snapshot_build(const struct draft *draft, const struct build_options *options,
		   struct snapshot **ret_snapshot) MUST_CHECK;

#endif
