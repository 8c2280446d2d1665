/* What the commands that show something of weftd have in common: ask, keep a namespace, print. */
#ifndef CLI_VIEW_H
#define CLI_VIEW_H

#include <cjson/cJSON.h>

#include "base/text.h"
#include "cli/command.h"

/* "/svc/NAMESPACE/…" of a service or "NAMESPACE/…" of a pod; NULL = every namespace. */
bool view_is_in(const char *name, const char *namespace);
/* Takes out of the lists in `json` what has no name in the namespace. NULL keeps all. */
void view_keep(cJSON *json, const char *namespace);
/* The page at `path` as a table or as JSON. Exit status. */
int view_show(const struct view_options *options, const char *path,
	      void (*build)(const cJSON *json, struct text *text));

#endif
