/* What control knows, as JSON for the admin room. */
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <stdio.h>

#include "control/state.h"
#include "model/keys.h"

/* Appends the tree and frees it. */
static void append(struct text *json, cJSON *tree)
{
	char *printed = tree ? cJSON_PrintUnformatted(tree) : NULL;
	if (printed)
		text_add(json, span_text(printed));
	else
		json->failed = true;
	cJSON_free(printed);
	cJSON_Delete(tree);
}

static void add_text(cJSON *to, const char *name, struct span value)
{
	char copy[256];
	snprintf(copy, sizeof(copy), "%.*s", SPAN_PRINT(value));
	cJSON_AddStringToObject(to, name, copy);
}

static void add_address(cJSON *to, const char *name, const struct weft_address *address)
{
	char text[ADDRESS_TEXT_MAX];
	cJSON_AddStringToObject(to, name, address_print(address, text));
}

/* ---- pods ---- */

static const char *state_name(enum enrolment_state state)
{
	switch (state) {
	case ENROLMENT_WAITING:
	case ENROLMENT_SERVING:
		return "opening";
	case ENROLMENT_FAILED:
		return "failed";
	case ENROLMENT_CAPTURED:
		return "captured";
	case ENROLMENT_DRAINING:
		return "draining";
	}
	return "";
}

static void add_local(cJSON *list, const struct weft_address *asked,
		      const struct weft_address *found)
{
	static const struct weft_address none;
	char text[ADDRESS_TEXT_MAX];
	const struct weft_address *address = address_equal(asked, &none) ? found : asked;
	if (!address_equal(address, &none))
		cJSON_AddItemToArray(list, cJSON_CreateString(address_print_ip(address, text)));
}

static void add_settings(cJSON *to, const struct enrolment *enrolment)
{
	const struct pod *pod = enrolment->pod;
	bool is_open = enrolment->stock != NULL;
	static const struct weft_address none;
	cJSON_AddStringToObject(to, "on_proxy_death",
				pod->on_proxy_death == ON_PROXY_DEATH_CLOSED ? "closed" : "open");
	cJSON_AddStringToObject(to, "capture", pod->captures_all ? "all" : "services");
	cJSON_AddStringToObject(to, "shortcut", shortcut_name(pod->shortcut));
	cJSON_AddBoolToObject(to, "trust_dtab_headers", pod->trusts_dtabs);
	cJSON *addresses = cJSON_AddArrayToObject(to, "addresses");
	add_local(addresses, &pod->local4, is_open ? &enrolment->listeners.local4 : &none);
	add_local(addresses, &pod->local6, is_open ? &enrolment->listeners.local6 : &none);
	cJSON *ports = cJSON_AddArrayToObject(to, "skip_outbound_ports");
	for (uint32_t i = 0; i < pod->skip_ports.count; i++)
		cJSON_AddItemToArray(ports, cJSON_CreateNumber(pod->skip_ports.items[i]));
	cJSON *cidrs = cJSON_AddArrayToObject(to, "skip_outbound_cidrs");
	for (uint32_t i = 0; i < pod->skip_cidr_count; i++) {
		char ip[ADDRESS_TEXT_MAX];
		char text[ADDRESS_TEXT_MAX + 8];
		const struct skip_cidr *cidr = &pod->skip_cidrs[i];
		unsigned hidden = address_is_v4(&cidr->network) ? 96 : 0;
		snprintf(text, sizeof(text), "%s/%u", address_print_ip(&cidr->network, ip),
			 cidr->prefix - hidden);
		cJSON_AddItemToArray(cidrs, cJSON_CreateString(text));
	}
}

static void add_lanes(cJSON *to, const char *name, const __be16 ports[WEFT_LANES])
{
	cJSON *list = cJSON_AddArrayToObject(to, name);
	for (unsigned i = 0; i < WEFT_LANES; i++) {
		if (ports[i])
			cJSON_AddItemToArray(list, cJSON_CreateNumber(ntohs(ports[i])));
	}
}

static void add_listeners(cJSON *to, const struct enrolment *enrolment)
{
	cJSON *list = cJSON_AddArrayToObject(to, "listeners");
	for (unsigned i = 0; enrolment->stock && i < enrolment->control->options.workers; i++) {
		const struct weft_listener *ports = &enrolment->listeners.ports[i];
		cJSON *listener = cJSON_CreateObject();
		cJSON_AddNumberToObject(listener, "worker", i);
		add_lanes(listener, "ports4", ports->port4);
		add_lanes(listener, "ports6", ports->port6);
		cJSON_AddItemToArray(list, listener);
	}
}

static void add_connection(const struct weft_address *local, const struct weft_address *peer,
			   void *owner)
{
	cJSON *connection = cJSON_CreateObject();
	add_address(connection, "local", local);
	add_address(connection, "peer", peer);
	cJSON_AddItemToArray(owner, connection);
}

static void add_uncaptured(cJSON *to, const struct enrolment *enrolment)
{
	cJSON *list = cJSON_AddArrayToObject(to, "uncaptured_connections");
	if (enrolment->state != ENROLMENT_CAPTURED || enrolment->listeners.uncaptured_count == 0)
		return;
	int error = stock_pod_uncaptured(enrolment->control->options.stock, enrolment->stock,
					 add_connection, list);
	if (error)
		add_text(to, "uncaptured_error", span_text(strerror(-error)));
}

static void add_decisions(cJSON *to, const struct enrolment *enrolment)
{
	const struct kernel *kernel = enrolment->control->options.kernel;
	cJSON *decisions = cJSON_AddObjectToObject(to, "decisions");
	for (unsigned reason = 0; reason < WEFT_KERNEL_REASON_COUNT; reason++) {
		uint64_t count =
			kernel_reason_count(kernel, enrolment->pod->id, (enum weft_reason)reason);
		if (count > 0)
			cJSON_AddNumberToObject(decisions,
						weft_reason_name((enum weft_reason)reason),
						(double)count);
	}
}

static cJSON *pod_tree(const struct enrolment *enrolment)
{
	const struct pod *pod = enrolment->pod;
	uint64_t now_ns = io_now_ns(enrolment->control->options.ring);
	bool is_captured = enrolment->state == ENROLMENT_CAPTURED;
	cJSON *to = cJSON_CreateObject();
	cJSON_AddStringToObject(to, "name", pod->name);
	cJSON_AddNumberToObject(to, "id", pod->id);
	cJSON_AddStringToObject(to, pod->netns_path ? "netns" : "cgroup",
				pod->netns_path ? pod->netns_path : pod->cgroup_path);
	cJSON_AddStringToObject(to, "state", state_name(enrolment->state));
	if (enrolment->error.size > 0)
		add_text(to, "error", text_span(&enrolment->error));
	else
		cJSON_AddNullToObject(to, "error");
	if (is_captured)
		cJSON_AddNumberToObject(to, "since_seconds",
					(double)(now_ns - enrolment->since_ns) / 1e9);
	else
		cJSON_AddNullToObject(to, "since_seconds");
	add_settings(to, enrolment);
	add_listeners(to, enrolment);
	add_uncaptured(to, enrolment);
	add_decisions(to, enrolment);
	return to;
}

void control_pods_json(const struct control *control, struct text *json)
{
	cJSON *list = cJSON_CreateArray();
	list_each (&control->enrolments, item) {
		cJSON_AddItemToArray(list, pod_tree(list_entry(item, struct enrolment, item)));
	}
	append(json, list);
}

/* ---- config ---- */

static void add_time(cJSON *to, const char *name, time_t when)
{
	char text[32];
	struct tm utc;
	if (when == 0 || !gmtime_r(&when, &utc)) {
		cJSON_AddNullToObject(to, name);
		return;
	}
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
	cJSON_AddStringToObject(to, name, text);
}

static void add_errors(cJSON *to, const struct text *why)
{
	cJSON *list = cJSON_AddArrayToObject(to, "errors");
	struct span rest = text_span(why);
	struct span line;
	while (span_split(&rest, '\n', &line)) {
		char sentence[1024];
		snprintf(sentence, sizeof(sentence), "%.*s", SPAN_PRINT(line));
		if (line.size > 0)
			cJSON_AddItemToArray(list, cJSON_CreateString(sentence));
	}
}

static void add_keys(cJSON *to, const struct key *parent, const struct settings *settings)
{
	for (size_t i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		struct text value = {0};
		if (!key_is_child(key, parent) || key->type == KEY_LIST ||
		    key->store == KEY_STORE_PLACED)
			continue;
		if (key->type == KEY_MAP) {
			add_keys(cJSON_AddObjectToObject(to, key_name(key)), key, settings);
			continue;
		}
		key_print(key, settings, &value);
		if (key->type == KEY_BOOL || key->type == KEY_INTEGER)
			cJSON_AddRawToObject(to, key_name(key), value.data ? value.data : "null");
		else
			cJSON_AddStringToObject(to, key_name(key), value.data ? value.data : "");
		text_fini(&value);
	}
}

static void add_dtab(cJSON *to, const struct dtab *dtab)
{
	struct text words = {0};
	dtab_print(dtab, &words);
	cJSON_AddStringToObject(to, "dtab", words.data ? words.data : "");
	text_fini(&words);
}

void control_config_json(const struct control *control, struct text *json)
{
	const struct snapshot *current = control->current;
	cJSON *tree = cJSON_CreateObject();
	cJSON_AddStringToObject(tree, "path", control->config_path);
	cJSON_AddNumberToObject(tree, "generation", (double)current->generation);
	add_time(tree, "loaded_at", control->loaded_at);
	cJSON_AddNumberToObject(tree, "services", current->service_count);
	cJSON_AddNumberToObject(tree, "pods", current->pod_count);
	cJSON_AddBoolToObject(tree, "watched", control->watch != NULL);
	add_dtab(tree, current->naming->base);
	add_errors(tree, &control->last_error);
	add_time(tree, "failed_at", control->last_error.size > 0 ? control->failed_at : 0);
	add_keys(cJSON_AddObjectToObject(tree, "settings"), NULL, &current->settings);
	append(json, tree);
}
