/*
 * Putting our plugin into a CNI network configuration list and taking it out again, as text:
 * everything else keeps its bytes, and what was put in and taken out leaves the text as it was.
 * Pure.
 */
#ifndef CNI_CONFLIST_H
#define CNI_CONFLIST_H

#include "base/span.h"
#include "base/text.h"

enum conflist_kind {
	CONFLIST_NONE,   /* nothing that a container runtime would use */
	CONFLIST_SINGLE, /* one plugin: an object with "type" */
	CONFLIST_LIST,   /* an object with "plugins" */
};

enum conflist_kind conflist_kind(struct span config);
/* A plugin of type CNI_TYPE is in the list. */
bool conflist_has_ours(struct span config);
/*
 * The list with `ours` (a JSON object) as its last plugin, in place of any other of our type; a
 * single configuration becomes a list. The caller ends the text. 0; -ENOTSUP: a CNI version that
 * our plugin does not speak; -EINVAL: no configuration, or none but ours; -ENOMEM.
 */
int conflist_insert(struct span config, struct span ours, struct text *ret_config) MUST_CHECK;
/* The list without any plugin of our type. 0, -EINVAL (it would be empty, or is no list), -ENOMEM.
 */
int conflist_remove(struct span config, struct text *ret_config) MUST_CHECK;

#endif
