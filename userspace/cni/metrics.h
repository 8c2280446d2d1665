/* Prometheus lines of the CNI plugin on this node. One thread. */
#ifndef CNI_METRICS_H
#define CNI_METRICS_H

#include "cni/place.h"

/*
 * weft_cni_in_place: looked up now, so a watch that is dead hides nothing.
 * weft_cni_reinsertions_total: of `weft cni watch`, by its record beside weftd's socket.
 */
void cni_metrics_page(const struct cni_place *place, const char *socket_path, struct text *page);

#endif
