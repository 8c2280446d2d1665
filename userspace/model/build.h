/* What the files of the builder share while one snapshot is being built. */
#ifndef MODEL_BUILD_H
#define MODEL_BUILD_H

#include "model/builder.h"
#include "model/ids.h"

/* A name or path, and where it stands. */
struct named {
	const char *text;
	uint32_t line;
};

struct build {
	const struct draft *draft;
	const struct build_options *options;
	struct snapshot *next;
	struct ids service_ids;
	struct ids endpoint_ids; /* in use before, or taken since */
	struct ids pod_ids;
	struct named *fixed; /* names of services that must be right, sorted */
	uint32_t fixed_count;
	uint32_t faults;
	uint32_t births;      /* as in struct snapshot */
	const char *optional; /* name of the service or pod being built that may be left out */
};

void build_fault(struct build *build, uint32_t line, const char *key, const char *format, ...)
	PRINTF_LIKE(4, 5);
/* The id that a process before this one gave to the name, 0 = none. */
uint32_t build_known_id(const struct known_id *known, uint32_t count, const char *name);

/* Never 0, and not given in this snapshot or one before. */
static inline uint32_t build_birth(struct build *build)
{
	if (++build->births == 0)
		build->births = 1;
	return build->births;
}

/* 0 and a service that the caller holds (NULL after a fault), or -ENOMEM. */
int build_service(struct build *build, const struct service_draft *draft,
		  struct service **ret_service) MUST_CHECK;
int build_pod(struct build *build, const struct pod_draft *draft, struct pod **ret_pod) MUST_CHECK;

/* 0, -EINVAL (a fault was told) or -ENOMEM; the set is the snapshot's in any case. */
int build_routes(struct build *build) MUST_CHECK;
/* The same for names. */
int build_naming(struct build *build) MUST_CHECK;
/* When services have their ids. 0 or -ENOMEM. */
int build_route_ids(struct build *build) MUST_CHECK;

#endif
