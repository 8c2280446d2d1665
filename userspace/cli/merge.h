/*
 * The config file of a `weft run`: the user's services and settings, if there is a file, with pods,
 * bpf and admin replaced. Pure. The file is not re-written but edited, and every line keeps its
 * number, so that weftd's complaints about it can be found.
 */
#ifndef CLI_MERGE_H
#define CLI_MERGE_H

#include "base/attr.h"
#include "base/text.h"

#define MERGE_POD "run" /* what the command's cgroup is called */

struct merge_places {
	const char *cgroup;
	const char *pin_dir;
	const char *socket;
	const char *cgroup_root;
};

struct merge_notes {
	bool had_pods; /* the file's pods are ignored */
	bool had_log;
	bool had_timeouts;
};

/* No file of the user: every dial is captured. */
void merge_default(const struct merge_places *places, struct text *config);
/*
 * `user` is the bytes of the user's file, YAML or JSON. 0, or -EINVAL and a sentence when its top
 * level is neither a YAML block mapping nor a JSON object, or -ENOMEM.
 */
int merge_user(struct span user, const struct merge_places *places, struct text *config,
	       struct merge_notes *ret_notes, struct text *why) MUST_CHECK;

#endif
