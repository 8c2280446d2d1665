/*
 * From an object's JSON to its struct (objects.h), pure: no I/O, no clock. What cannot be read is
 * left out and counted, never fatal: an object without a name, or with a version that is not told,
 * is all that is refused.
 */
#ifndef KUBE_READ_H
#define KUBE_READ_H

#include "base/span.h"
#include "kube/objects.h"

struct read_options {
	const char *const *keep; /* prefixes of kept keys of labels and annotations; NULL = none */
};

struct read_faults {
	unsigned count;    /* fields of a wrong type or value */
	const char *field; /* the first one's name */
};

/*
 * `json` is one object. The result is one allocation (mem_free). 0, -EBADMSG (no JSON object),
 * -EINVAL (no name, or no version), -ENOMEM. `faults` is set in any case.
 */
int kube_read(enum kube_kind kind, struct span json, const struct read_options *options,
	      struct read_faults *faults, struct kube_object **ret_object) MUST_CHECK;

#endif
