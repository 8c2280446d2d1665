#include "cni/plugin.h"

#include <stdio.h>

#include "base/json_scan.h"
#include "cni/ask.h"
#include "cni/pending.h"

#define SEC_NS          1000000000ull
#define ADD_LIMIT_NS    (2 * SEC_NS)
#define DEL_LIMIT_NS    SEC_NS
#define EXEMPT          "kube-system"
#define DEFAULT_VERSION "1.0.0" /* of complaints about a configuration that says none */

/* weftd is asked about Kubernetes' pods, but not about those that the cluster itself runs on. */
static bool is_asked(const struct cni_request *request)
{
	return request->namespace.size && !span_is(request->namespace, EXEMPT);
}

/* weftd is silent: 0, the pod may start; or the code of the refusal. */
static int settle_silence(const struct cni_request *request, struct span body,
			  struct cni_fault *fault)
{
	if (request->is_closed) {
		*fault = (struct cni_fault){CNI_TRY_AGAIN,
					    "weftd is silent, and pods must not start without it "
					    "(onProxyDeath: closed)"};
		return fault->code;
	}
	int error = pending_write(request->pending_dir, request->container_id, body);
	fprintf(stderr, "weft-cni: weftd is silent: pod %.*s/%.*s starts unmeshed%s%s\n",
		SPAN_PRINT(request->namespace), SPAN_PRINT(request->pod),
		error ? ", and cannot be filed for later: " : ", filed for later",
		error ? strerror(-error) : "");
	return 0;
}

static int add(const struct cni_request *request, struct text *output, struct cni_fault *fault)
{
	int code = 0;
	if (is_asked(request)) {
		enum cni_verdict verdict;
		struct text body = {0};
		cni_request_print(request, &body);
		if (body.failed ||
		    cni_ask_add(request->socket, text_span(&body), ADD_LIMIT_NS, &verdict))
			code = settle_silence(request, text_span(&body), fault);
		text_fini(&body);
	}
	if (!code)
		text_add(output, request->prev_result);
	return code;
}

static void del(const struct cni_request *request)
{
	struct text body = {0};
	if (!is_asked(request))
		return;
	pending_remove(request->pending_dir, request->container_id);
	cni_request_print(request, &body);
	cni_tell_del(request->socket, text_span(&body), DEL_LIMIT_NS);
	text_fini(&body);
}

/* The version in a configuration that may be wrong otherwise. */
static struct span said_version(struct span config)
{
	struct span version;
	if (json_member(config, "cniVersion", &version) || !json_plain_string(version, &version))
		return span_text(DEFAULT_VERSION);
	return version;
}

static int refuse(const struct cni_fault *fault, struct span config, struct text *output)
{
	cni_fault_print(fault, said_version(config), output);
	return 1;
}

int cni_plugin_run(const struct cni_environment *environment, struct span config,
		   struct text *output)
{
	struct cni_request request;
	struct cni_fault fault;
	const char *command = environment->command;
	if (!strcmp(command, "VERSION")) {
		cni_versions_print(said_version(config), output);
		return 0;
	}
	int error = cni_request_read(environment, config, &request, &fault);
	/* A sandbox must always be removable. */
	if (!strcmp(command, "DEL")) {
		if (!error)
			del(&request);
		return 0;
	}
	if (error)
		return refuse(&fault, config, output);
	if (!strcmp(command, "ADD"))
		return add(&request, output, &fault) ? refuse(&fault, config, output) : 0;
	if (!strcmp(command, "GC"))
		pending_sweep(request.pending_dir, request.attachments);
	else if (strcmp(command, "CHECK") != 0 && strcmp(command, "STATUS") != 0)
		return refuse(&(struct cni_fault){CNI_BAD_ENVIRONMENT,
						  "CNI_COMMAND is none of ADD, DEL, CHECK, GC, "
						  "STATUS, VERSION"},
			      config, output);
	return 0;
}
