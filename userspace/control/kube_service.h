/*
 * What a Service of Kubernetes and its EndpointSlices are to weft: one service for each TCP port.
 * Pure.
 */
#ifndef CONTROL_KUBE_SERVICE_H
#define CONTROL_KUBE_SERVICE_H

#include "base/attr.h"
#include "control/ended.h"
#include "kube/objects.h"
#include "model/draft.h"

/* Where this weftd runs; "" = unknown. */
struct kube_place {
	const char *node;
	const char *zone;
	const struct ended_pods *ended; /* of the node; NULL = nothing is known of them */
};

/* default/kubernetes, on which weftd itself depends. */
bool kube_service_is_api(const struct kube_object *service);
/* Services that have addresses of their own to be dialled; never the API. */
bool kube_service_is_meshed(const struct kube_service *service);
bool kube_service_port_is_meshed(const struct kube_service_port *port);
/* What its endpoints cost: one record for each endpoint of each TCP port, ready or not. */
uint64_t kube_service_record_count(const struct kube_service *service,
				   const struct kube_slice *const *slices, uint32_t slice_count);
/* "/svc/NAMESPACE/SERVICE/PORT". */
void kube_service_name(const struct kube_service *service, const struct kube_service_port *port,
		       char ret_name[WEFT_NAME_MAX]);
/* The Service's annotations, then appProtocol, then the port's name (http, http-…). */
enum protocol kube_service_protocol(const struct kube_service *service,
				    const struct kube_service_port *port);
enum balancer kube_service_balancer(const struct kube_service *service);
/* Whether its endpoints' own addresses are balanced as if they were the service's: only headless
 * ones that say weft.io/headless: balance. */
bool kube_service_balances_endpoints(const struct kube_service *service);

/* Whether an endpoint that could be chosen is gone, or less willing than it was; `after` NULL =
 * none is left. May also say so when the endpoints stand in quite another order. */
bool kube_slice_takes_away(const struct kube_slice *before, const struct kube_slice *after);

/*
 * The endpoints of one port, sorted by address, each once; weight 0 = takes nothing now. Ready ones
 * take traffic, but for those whose pod has ended or ends, though the slice does not say so yet;
 * while there is none, those that terminate and still serve do. Of these one address family is left
 * (that of the Service's first ClusterIP, else IPv4, where it has any), then those that are near,
 * by internalTrafficPolicy, the zone hints and trafficDistribution. Names of nodes and zones are
 * the slices'. The caller frees with mem_free. 0 or -ENOMEM.
 */
int kube_service_endpoints(const struct kube_service *service, const struct kube_service_port *port,
			   const struct kube_slice *const *slices, uint32_t slice_count,
			   const struct kube_place *place, struct endpoint_draft **ret,
			   uint32_t *ret_count) MUST_CHECK;

#endif
