/* Values of the API's fields that are names, in the order of the enums in objects.h. */
#ifndef KUBE_NAMES_H
#define KUBE_NAMES_H

#include "kube/objects.h"

extern const char *const names_of_protocols[KUBE_PROTOCOL_OTHER];
extern const char *const names_of_phases[KUBE_FAILED + 1];
extern const char *const names_of_service_types[KUBE_EXTERNAL_NAME + 1];

#define LABEL_SERVICE "kubernetes.io/service-name"  /* of an EndpointSlice */
#define LABEL_ZONE    "topology.kubernetes.io/zone" /* of a Node */

#endif
