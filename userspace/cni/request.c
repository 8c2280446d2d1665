#include "cni/request.h"

#include <ctype.h>
#include <errno.h>

#include "base/json_scan.h"
#include "cni/pending.h"

#define ADDRESSES_MAX 16

const char *const cni_versions[] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0", NULL};

static bool version_is_known(struct span version)
{
	for (const char *const *known = cni_versions; *known; known++)
		if (span_is(version, *known))
			return true;
	return false;
}

/* CNI spec, "Parameters": an alphanumeric, then those and `_` `.` `-`. It becomes a file name. */
static bool id_is_valid(const char *id)
{
	if (!isalnum((unsigned char)*id) || strlen(id) > 200)
		return false;
	for (const char *c = id; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_.-", *c))
			return false;
	return true;
}

struct span cni_argument(const char *arguments, const char *name)
{
	struct span rest = span_text(arguments);
	struct span part;
	while (rest.data && span_split(&rest, ';', &part)) {
		struct span key;
		if (span_split(&part, '=', &key) && part.data && span_is(key, name))
			return part;
	}
	return span_text("");
}

/* A string of the configuration, or the default. False: it is there and no plain string. */
static bool config_text(struct span config, const char *key, const char *fallback,
			struct span *ret_text)
{
	struct span value;
	*ret_text = span_text(fallback);
	if (json_member(config, key, &value))
		return true;
	return json_plain_string(value, ret_text);
}

static int refuse(struct cni_fault *fault, enum cni_code code, const char *message)
{
	*fault = (struct cni_fault){code, message};
	return -EINVAL;
}

static int read_config(struct span config, struct cni_request *request, struct cni_fault *fault)
{
	struct span policy;
	int error = json_member(config, "cniVersion", &request->version);
	if (error == -EINVAL)
		return refuse(fault, CNI_UNDECODABLE, "the configuration is no JSON object");
	if (error || !json_plain_string(request->version, &request->version) ||
	    !version_is_known(request->version))
		return refuse(fault, CNI_INCOMPATIBLE_VERSION,
			      "weft-cni speaks CNI 0.3.0 to 1.1.0 only");
	if (!config_text(config, "socket", CNI_SOCKET, &request->socket) ||
	    !config_text(config, "pendingDir", CNI_PENDING_DIR, &request->pending_dir) ||
	    !config_text(config, "onProxyDeath", "open", &policy))
		return refuse(fault, CNI_BAD_CONFIG,
			      "socket, pendingDir and onProxyDeath must be plain strings");
	if (!span_is(policy, "open") && !span_is(policy, "closed"))
		return refuse(fault, CNI_BAD_CONFIG, "onProxyDeath must be open or closed");
	request->is_closed = span_is(policy, "closed");
	if (json_member(config, "prevResult", &request->prev_result))
		request->prev_result = span_text("");
	if (json_member(config, "cni.dev/valid-attachments", &request->attachments))
		request->attachments = span_text("");
	return 0;
}

static bool needs_container(const char *command)
{
	return !strcmp(command, "ADD") || !strcmp(command, "DEL") || !strcmp(command, "CHECK");
}

int cni_request_read(const struct cni_environment *environment, struct span config,
		     struct cni_request *ret_request, struct cni_fault *ret_fault)
{
	struct cni_request request = {
		.container_id = span_text(environment->container_id),
		.netns = span_text(environment->netns),
		.interface = span_text(environment->interface),
		.namespace = cni_argument(environment->arguments, "K8S_POD_NAMESPACE"),
		.pod = cni_argument(environment->arguments, "K8S_POD_NAME"),
		.pod_uid = cni_argument(environment->arguments, "K8S_POD_UID"),
	};
	int error = read_config(config, &request, ret_fault);
	if (error)
		return error;
	if (needs_container(environment->command) && !id_is_valid(environment->container_id))
		return refuse(ret_fault, CNI_BAD_ENVIRONMENT,
			      "CNI_CONTAINERID is missing or malformed");
	if (!strcmp(environment->command, "ADD") && !request.netns.size)
		return refuse(ret_fault, CNI_BAD_ENVIRONMENT, "CNI_NETNS is missing");
	if (!strcmp(environment->command, "ADD") && !request.prev_result.size)
		return refuse(ret_fault, CNI_BAD_CONFIG,
			      "no prevResult: weft-cni must stand behind the plugin that makes the "
			      "interface");
	*ret_request = request;
	return 0;
}

/* ---- printing ---- */

static void member(struct text *json, const char *name, struct span value)
{
	text_printf(json, ",\"%s\":", name);
	text_json_string(json, value);
}

/* The pod's addresses in the result of the plugin before, without prefix lengths. */
static void addresses_print(struct span prev_result, struct text *json)
{
	struct span ips;
	struct span one;
	if (json_member(prev_result, "ips", &ips))
		return;
	for (size_t i = 0, printed = 0; printed < ADDRESSES_MAX && !json_element(ips, i, &one);
	     i++) {
		struct span address;
		if (json_member(one, "address", &address) ||
		    !json_plain_string(address, &address) || !span_split(&address, '/', &one))
			continue;
		text_printf(json, "%s", printed++ ? "," : "");
		text_json_string(json, one);
	}
}

void cni_request_print(const struct cni_request *request, struct text *json)
{
	text_printf(json, "{\"container_id\":");
	text_json_string(json, request->container_id);
	member(json, "netns", request->netns);
	member(json, "interface", request->interface);
	member(json, "namespace", request->namespace);
	member(json, "pod", request->pod);
	member(json, "pod_uid", request->pod_uid);
	text_printf(json, ",\"addresses\":[");
	addresses_print(request->prev_result, json);
	text_printf(json, "]}");
}

void cni_fault_print(const struct cni_fault *fault, struct span version, struct text *json)
{
	text_printf(json, "{\"cniVersion\":");
	text_json_string(json, version);
	text_printf(json, ",\"code\":%d", fault->code);
	member(json, "msg", span_text(fault->message));
	text_printf(json, "}\n");
}

void cni_versions_print(struct span version, struct text *json)
{
	text_printf(json, "{\"cniVersion\":");
	text_json_string(json, version);
	text_printf(json, ",\"supportedVersions\":[");
	for (const char *const *known = cni_versions; *known; known++)
		text_printf(json, "%s\"%s\"", known == cni_versions ? "" : ",", *known);
	text_printf(json, "]}\n");
}
