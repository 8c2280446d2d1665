/* A config file -> a draft -> a snapshot, together with what sources add. The caller's thread. */
#ifndef CONTROL_CONFIG_H
#define CONTROL_CONFIG_H

#include "base/list.h"
#include "base/text.h"
#include "model/builder.h"

#define CONFIG_BYTES_MOST (16u * 1024 * 1024)

/* A good config as it was read: what later builds begin with. */
struct config;

/*
 * `name` stands in the messages for the file. Of `options` everything but the fault callback is
 * used. 0, -EINVAL (lines "NAME:LINE: key: sentence" in `why`) or -ENOMEM.
 */
int config_parse(struct span bytes, const char *name, const struct build_options *options,
		 struct text *why, struct snapshot **ret_snapshot) MUST_CHECK;
/* As config_parse, from a file and with the `sources` (of struct source); also -errno of the file
 * with a sentence. */
int config_load(const char *path, const struct list *sources, const struct build_options *options,
		struct text *why, struct config **ret_config,
		struct snapshot **ret_snapshot) MUST_CHECK;
/* The same config again, with what the sources have now. */
int config_build(struct config *config, const struct list *sources,
		 const struct build_options *options, struct text *why,
		 struct snapshot **ret_snapshot) MUST_CHECK;
const struct draft *config_draft(const struct config *config);
void config_free(struct config *config); /* NULL is fine */

#endif
