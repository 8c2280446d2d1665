/* What weftd knows of its Kubernetes cluster (/kubernetes.json), for `weft pods` and `weft check`.
 */
#ifndef CLI_CLUSTER_H
#define CLI_CLUSTER_H

#include <cjson/cJSON.h>

#include "base/text.h"
#include "kernel/check.h"

/* A line for each fault in a pod's annotations. */
void cluster_add_faults(const cJSON *cluster, struct text *text);
/* A table of the node's pods that are not enrolled, each with the reason. */
void cluster_add_others(const cJSON *cluster, const cJSON *pods, struct text *text);

#define CLUSTER_LINES_MAX 7
/* A line for each watch, one for pods that ought to be captured and are not, and one for Services
 * that are left out. `pods` is
 * /pods.json. Returns how many; 0 when weftd does not follow Kubernetes. */
size_t cluster_check(const cJSON *cluster, const cJSON *pods,
		     struct check_line lines[CLUSTER_LINES_MAX]);

#endif
