#include "kube/names.h"

const char *const names_of_protocols[] = {
	[KUBE_TCP] = "TCP", [KUBE_UDP] = "UDP", [KUBE_SCTP] = "SCTP"};

const char *const names_of_phases[] = {
	[KUBE_PHASE_UNKNOWN] = "Unknown", [KUBE_PENDING] = "Pending", [KUBE_RUNNING] = "Running",
	[KUBE_SUCCEEDED] = "Succeeded",   [KUBE_FAILED] = "Failed",
};

const char *const names_of_service_types[] = {
	[KUBE_CLUSTER_IP] = "ClusterIP",
	[KUBE_NODE_PORT] = "NodePort",
	[KUBE_LOAD_BALANCER] = "LoadBalancer",
	[KUBE_EXTERNAL_NAME] = "ExternalName",
};
