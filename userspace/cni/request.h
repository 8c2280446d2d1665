/*
 * What a container runtime asks of the plugin: environment and configuration, understood (CNI spec
 * 0.3.0 to 1.1.0, "Execution Protocol"). Pure; spans point into what was given. One thread.
 */
#ifndef CNI_REQUEST_H
#define CNI_REQUEST_H

#include "base/span.h"
#include "base/text.h"

/* Error codes of the CNI spec, "Error". */
enum cni_code {
	CNI_INCOMPATIBLE_VERSION = 1,
	CNI_BAD_ENVIRONMENT = 4,
	CNI_IO_FAILED = 5,
	CNI_UNDECODABLE = 6,
	CNI_BAD_CONFIG = 7,
	CNI_TRY_AGAIN = 11,
};

#define CNI_TYPE   "weft-cni"
#define CNI_SOCKET "/run/weft/weftd.sock"

/* The environment variables; "" where one is missing. */
struct cni_environment {
	const char *command;      /* CNI_COMMAND */
	const char *container_id; /* CNI_CONTAINERID */
	const char *netns;        /* CNI_NETNS: a path on the node */
	const char *interface;    /* CNI_IFNAME */
	const char *arguments;    /* CNI_ARGS: "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web" */
};

struct cni_request {
	struct span container_id;
	struct span netns;
	struct span interface;
	struct span namespace; /* "": of no Kubernetes pod */
	struct span pod;
	struct span pod_uid;
	struct span version;     /* of the configuration */
	struct span prev_result; /* JSON of the plugin before; "" = none */
	struct span socket;
	struct span pending_dir;
	struct span attachments; /* GC: JSON list of what is still in use; "" = none */
	bool is_closed;          /* "onProxyDeath": "closed" */
};

struct cni_fault {
	enum cni_code code;
	const char *message;
};

extern const char *const cni_versions[]; /* NULL-terminated, oldest first */

/* 0, or -EINVAL and why. */
int cni_request_read(const struct cni_environment *environment, struct span config,
		     struct cni_request *ret_request, struct cni_fault *ret_fault) MUST_CHECK;
/* The next "a=b" of CNI_ARGS whose name is `name`; "" when there is none. */
struct span cni_argument(const char *arguments, const char *name);
/* What weftd is told, a JSON object. */
void cni_request_print(const struct cni_request *request, struct text *json);
void cni_fault_print(const struct cni_fault *fault, struct span version, struct text *json);
/* VERSION's answer. */
void cni_versions_print(struct span version, struct text *json);

#endif
