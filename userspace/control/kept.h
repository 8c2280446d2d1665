/* What is kept for the next weftd (kube.h, known_file), for pages. Owner: discovery. */
#ifndef CONTROL_KEPT_H
#define CONTROL_KEPT_H

#include "base/text.h"

struct kube;

/* An object. */
void kept_json(const struct kube *kube, struct text *json);
/* Prometheus lines weft_kubernetes_known_… */
void kept_metrics(const struct kube *kube, struct text *page);

#endif
