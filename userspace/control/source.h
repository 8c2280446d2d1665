/*
 * Services and pods that somebody else than the config file knows, and that come and go while weftd
 * runs. A build takes the config and every source as one draft. Owner: the control thread.
 */
#ifndef CONTROL_SOURCE_H
#define CONTROL_SOURCE_H

#include "base/list.h"
#include "model/draft.h"

struct control;

/* Embedded in its owner, who fills the lists as it likes (lines are 0) and tells when it did.
 * They and their texts are read at the next build, from the ring. */
struct source {
	struct list item;
	struct draft_list services; /* of service_draft */
	struct draft_list pods;     /* of pod_draft */
	/* Any may be NULL. Which config the next build is of, before refresh. */
	void (*configure)(struct source *source, const struct draft *config);
	/* Before the lists are read: the last moment to fill them. */
	void (*refresh)(struct source *source);
	/* What was read is in this snapshot, which is current now. */
	void (*built)(struct source *source, const struct snapshot *snapshot);
};

void control_source_add(struct control *control, struct source *source);
void control_source_remove(struct control *control, struct source *source);
/* One build for all changes within 50 ms. What may be left out gives way where it clashes, which is
 * logged; a fault in anything else refuses the build, and the snapshot in force stays. */
void control_sources_changed(struct control *control);
/* The same for what may change a hundred times a second: built at once after quiet, and while it
 * goes on ever more seldom, down to five builds a second (base/pace.h). */
void control_sources_churn(struct control *control);
/* The same for what does harm until it is built: not sooner than 10 ms after the last build. */
void control_sources_harm(struct control *control);
/* Where this weftd is, for what is built from now on; NULL = unknown. Both are lent for as long as
 * builds go on, and may change between builds. */
void control_place(struct control *control, const char *node, const char *zone);
/*
 * Where kubernetes is on, what a weftd before this one left in the kernel's maps stays, with its
 * ids, until the snapshot has what the cluster has: called when it was built. Pods go with it at
 * the end of that build.
 */
void control_release_adopted(struct control *control);
/* Only the destinations, and ids, of services that the snapshot does not have. */
void control_release_destinations(struct control *control);

/* ---- for config.c ---- */

/* Calls `configure` and `refresh` of all, or `built`. */
void sources_refresh(const struct list *sources, const struct draft *config);
void sources_built(const struct list *sources, const struct snapshot *snapshot);
/* The config's draft and what the sources have as one, which borrows from all of them. */
int sources_join(const struct list *sources, const struct draft *config,
		 struct draft *ret_joined) MUST_CHECK;
void sources_joined_fini(struct draft *joined, const struct draft *config);

#endif
