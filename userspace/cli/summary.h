/* What `weft run` says at the end, and the names it makes resolvable. Pure. */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/text.h"

/* /edges.json of the command's pod, one line per destination: "weft: 127.0.0.1:8000  3 requests,
 * 100.0 % success, …". */
void summary_print(const cJSON *edges, struct text *text);
/* No connection is open any more, so that the numbers are final. */
bool summary_is_final(const cJSON *edges);
/* Lines of hosts(5) for every service of /services.json. Returns how many. */
size_t hosts_print(const cJSON *services, struct text *text);

#endif
