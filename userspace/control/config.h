/* A config file -> a snapshot. No state; the caller's thread. */
#ifndef CONTROL_CONFIG_H
#define CONTROL_CONFIG_H

#include "base/text.h"
#include "model/builder.h"

#define CONFIG_BYTES_MOST (16u * 1024 * 1024)

/*
 * `name` stands in the messages for the file. Of `options` everything but the fault callback is
 * used. 0, -EINVAL (lines "NAME:LINE: key: sentence" in `why`) or -ENOMEM.
 */
int config_parse(struct span bytes, const char *name, const struct build_options *options,
		 struct text *why, struct snapshot **ret_snapshot) MUST_CHECK;
/* As config_parse, from a file; also -errno of the file with a sentence. */
int config_load(const char *path, const struct build_options *options, struct text *why,
		struct snapshot **ret_snapshot) MUST_CHECK;

#endif
