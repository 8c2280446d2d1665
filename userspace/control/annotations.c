#include "control/annotations.h"

#include <errno.h>
#include <stdio.h>

#include "model/keys.h"

#define PREFIX "weft.io/"

/* The config key that says what a value, or an element of a list of them, may be. */
struct value_rule {
	const char *annotation;
	const char *key;
};

static const struct value_rule opaque_rule = {ANNOTATION_OPAQUE, "pods[].opaque_ports[]"};
static const struct value_rule skip_port_rule = {ANNOTATION_SKIP_PORTS,
						 "pods[].skip_outbound_ports[]"};
static const struct value_rule skip_cidr_rule = {ANNOTATION_SKIP_CIDRS,
						 "pods[].skip_outbound_cidrs[]"};
static const struct value_rule window_rule = {ANNOTATION_WINDOW, "services[].shortcut_window"};

static const struct key *key_of(const char *path)
{
	for (size_t i = 0; i < keys_count(); i++) {
		if (strcmp(keys_at(i)->path, path) == 0)
			return keys_at(i);
	}
	return NULL;
}

static void fault(struct text *faults, const char *annotation, struct span element,
		  const char *sentence)
{
	if (!faults)
		return;
	text_printf(faults, "%s: ", annotation);
	key_quote(faults, element);
	text_printf(faults, " %s\n", sentence);
}

/* The next element of a comma-separated list, trimmed; empty ones are skipped. */
static bool next_element(struct span *rest, struct span *ret)
{
	while (span_split(rest, ',', ret)) {
		*ret = span_trim(*ret);
		if (ret->size > 0)
			return true;
	}
	return false;
}

static bool read_value(const struct value_rule *rule, struct span element, struct key_value *ret,
		       struct text *faults)
{
	char copy[64]; /* longer than any port or network */
	struct text why = {0};
	if (element.size >= sizeof(copy)) {
		fault(faults, rule->annotation, element, "is too long");
		return false;
	}
	memcpy(copy, element.data, element.size);
	copy[element.size] = '\0';
	bool is_right = key_parse(key_of(rule->key), copy, ret, &why) == 0;
	if (!is_right && faults)
		text_printf(faults, "%s: %.*s\n", rule->annotation, SPAN_PRINT(text_span(&why)));
	text_fini(&why);
	return is_right;
}

static size_t count_elements(const char *value)
{
	size_t count = 0;
	struct span rest = span_text(value);
	struct span element;
	while (next_element(&rest, &element))
		count++;
	return count;
}

static const char *value_of(const struct kube_object *object, const struct kube_object *namespace,
			    const char *annotation)
{
	const char *value = kube_annotation(object, annotation);
	return !value && namespace ? kube_annotation(namespace, annotation) : value;
}

static struct draft_value *make_room(struct arena *arena, struct draft_list *list, size_t more)
{
	struct draft_value *items =
		arena_take(arena, (list->count + more) * sizeof(struct draft_value));
	if (items && list->count)
		memcpy(items, list->items, list->count * sizeof(*items));
	return items;
}

static int read_list(const struct value_rule *rule, const char *value, struct arena *arena,
		     struct draft_list *list, struct text *faults)
{
	struct span rest = span_text(value ? value : "");
	struct span element;
	if (!value || !*value)
		return 0;
	struct draft_value *items = make_room(arena, list, count_elements(value));
	if (!items)
		return -ENOMEM;
	list->items = items;
	while (next_element(&rest, &element)) {
		struct key_value one;
		if (read_value(rule, element, &one, faults))
			items[list->count++] = (struct draft_value){
				.number = one.number, .address = one.address, .prefix = one.prefix};
	}
	return 0;
}

/* ---- 8080=http,9000=opaque ---- */

static bool read_protocol(struct span element, uint16_t *ret_port, enum protocol *ret,
			  struct text *faults)
{
	static const char *const names[] = {
		[PROTOCOL_AUTO] = "auto", [PROTOCOL_HTTP] = "http", [PROTOCOL_OPAQUE] = "opaque"};
	struct span rest = element;
	struct span port;
	uint64_t number;
	bool has_port = span_split(&rest, '=', &port) && rest.data &&
			span_to_u64(span_trim(port), &number) == 0 && number >= 1 &&
			number <= 65535;
	for (unsigned i = 0; has_port && i < array_count(names); i++) {
		if (!span_is(span_trim(rest), names[i]))
			continue;
		*ret_port = (uint16_t)number;
		*ret = (enum protocol)i;
		return true;
	}
	fault(faults, ANNOTATION_PROTOCOL, element, "is not PORT=auto, PORT=http or PORT=opaque");
	return false;
}

static bool has_port(const struct draft_list *list, uint16_t port)
{
	const struct draft_value *values = list->items;
	for (uint32_t i = 0; i < list->count; i++) {
		if (values[i].number == port)
			return true;
	}
	return false;
}

static int read_protocols(const char *value, struct arena *arena, struct pod_draft *draft,
			  struct text *faults)
{
	struct span rest = span_text(value ? value : "");
	struct span element;
	if (!value || !*value)
		return 0;
	size_t count = count_elements(value);
	struct draft_value *opaque = make_room(arena, &draft->opaque_ports, count);
	struct draft_value *http = make_room(arena, &draft->http_ports, count);
	if (!opaque || !http)
		return -ENOMEM;
	draft->opaque_ports.items = opaque;
	draft->http_ports.items = http;
	while (next_element(&rest, &element)) {
		enum protocol protocol;
		uint16_t port;
		if (!read_protocol(element, &port, &protocol, faults) || protocol == PROTOCOL_AUTO)
			continue;
		if (has_port(&draft->opaque_ports, port) || has_port(&draft->http_ports, port))
			fault(faults, ANNOTATION_PROTOCOL, element, "names a port a second time");
		else if (protocol == PROTOCOL_HTTP)
			http[draft->http_ports.count++].number = port;
		else
			opaque[draft->opaque_ports.count++].number = port;
	}
	return 0;
}

static void read_proxy_death(const char *value, struct pod_draft *draft, struct text *faults)
{
	if (!value)
		return;
	if (strcmp(value, "open") == 0)
		draft->on_proxy_death = ON_PROXY_DEATH_OPEN;
	else if (strcmp(value, "closed") == 0)
		draft->on_proxy_death = ON_PROXY_DEATH_CLOSED;
	else
		fault(faults, ANNOTATION_PROXY_DEATH, span_text(value), "is not open or closed");
}

static enum weft_shortcut read_shortcut(const char *value, struct text *faults)
{
	static const char *const names[] = {[WEFT_SHORTCUT_OFF] = "off",
					    [WEFT_SHORTCUT_AUTO] = "auto",
					    [WEFT_SHORTCUT_ON] = "on"};
	if (!value)
		return WEFT_SHORTCUT_INHERIT;
	for (unsigned i = WEFT_SHORTCUT_OFF; i < array_count(names); i++) {
		if (strcmp(value, names[i]) == 0)
			return (enum weft_shortcut)i;
	}
	fault(faults, ANNOTATION_SHORTCUT, span_text(value), "is not off, auto or on");
	return WEFT_SHORTCUT_INHERIT;
}

static bool read_trust(const char *value, struct text *faults)
{
	bool is_true = value && strcmp(value, "true") == 0;
	if (value && !is_true && strcmp(value, "false") != 0)
		fault(faults, ANNOTATION_TRUST_DTAB, span_text(value), "is not true or false");
	return is_true;
}

int annotations_read(const struct kube_object *pod, const struct kube_object *namespace,
		     struct arena *arena, struct pod_draft *draft, struct text *faults)
{
	read_proxy_death(value_of(pod, namespace, ANNOTATION_PROXY_DEATH), draft, faults);
	draft->shortcut = read_shortcut(value_of(pod, namespace, ANNOTATION_SHORTCUT), faults);
	draft->trusts_dtabs = read_trust(value_of(pod, namespace, ANNOTATION_TRUST_DTAB), faults);
	int error = read_list(&skip_port_rule, value_of(pod, namespace, ANNOTATION_SKIP_PORTS),
			      arena, &draft->skip_ports, faults);
	if (!error)
		error = read_list(&skip_cidr_rule, value_of(pod, namespace, ANNOTATION_SKIP_CIDRS),
				  arena, &draft->skip_cidrs, faults);
	if (!error)
		error = read_list(&opaque_rule, value_of(pod, namespace, ANNOTATION_OPAQUE), arena,
				  &draft->opaque_ports, faults);
	if (!error)
		error = read_protocols(value_of(pod, namespace, ANNOTATION_PROTOCOL), arena, draft,
				       faults);
	return error;
}

/* ---- Services ---- */

static bool list_names(const struct kube_object *service, uint16_t port, struct text *faults)
{
	const char *value = kube_annotation(service, ANNOTATION_OPAQUE);
	struct span rest = span_text(value ? value : "");
	struct span element;
	struct key_value one;
	bool found = false;
	while (next_element(&rest, &element)) {
		if (read_value(&opaque_rule, element, &one, faults))
			found |= one.number == port;
	}
	return found;
}

static bool map_names(const struct kube_object *service, uint16_t port, enum protocol *ret,
		      struct text *faults)
{
	const char *value = kube_annotation(service, ANNOTATION_PROTOCOL);
	struct span rest = span_text(value ? value : "");
	struct span element;
	enum protocol protocol;
	uint16_t number;
	bool found = false;
	while (next_element(&rest, &element)) {
		if (!read_protocol(element, &number, &protocol, faults) || number != port || found)
			continue;
		*ret = protocol;
		found = true;
	}
	return found;
}

bool annotation_protocol(const struct kube_object *service, uint16_t port, enum protocol *ret)
{
	if (list_names(service, port, NULL)) {
		*ret = PROTOCOL_OPAQUE;
		return true;
	}
	return map_names(service, port, ret, NULL);
}

enum weft_shortcut annotation_shortcut(const struct kube_object *service,
				       const struct kube_object *namespace)
{
	return read_shortcut(value_of(service, namespace, ANNOTATION_SHORTCUT), NULL);
}

bool annotation_trusts_dtabs(const struct kube_object *service)
{
	return read_trust(kube_annotation(service, ANNOTATION_TRUST_DTAB), NULL);
}

static uint32_t read_window(const struct kube_object *service, struct text *faults)
{
	const char *value = kube_annotation(service, ANNOTATION_WINDOW);
	struct key_value window;
	if (!value || !read_value(&window_rule, span_text(value), &window, faults))
		return 0;
	return (uint32_t)window.number;
}

uint32_t annotation_shortcut_window(const struct kube_object *service)
{
	return read_window(service, NULL);
}

/* Those that are no keys, or have another form than their key. */
static bool has_form_of_its_own(const char *annotation)
{
	static const char *const names[] = {LABEL_MESH,          ANNOTATION_OPAQUE,
					    ANNOTATION_PROTOCOL, ANNOTATION_HEADLESS,
					    ANNOTATION_SHORTCUT, ANNOTATION_WINDOW};
	for (size_t i = 0; i < array_count(names); i++) {
		if (strcmp(names[i], annotation) == 0)
			return true;
	}
	return false;
}

/* NULL: there is none, or it is a list or what the API has fields for. */
static const struct key *key_of_service(const char *annotation)
{
	char path[128];
	int size = snprintf(path, sizeof(path), "services[].%s", annotation + strlen(PREFIX));
	if (size < 0 || (size_t)size >= sizeof(path) || strchr(annotation, '['))
		return NULL;
	for (char *c = path; *c; c++)
		*c = *c == '-' ? '_' : *c;
	const struct key *key = key_of(path);
	bool is_scalar = key && (key->store == KEY_STORE_NUMBER || key->store == KEY_STORE_TEXT);
	return is_scalar && !(key->flags & KEY_REQUIRED) ? key : NULL;
}

static void note_unknown(const char *annotation, struct text *faults)
{
	if (!faults)
		return;
	text_printf(faults, PREFIX "…: a Service has no annotation ");
	key_quote(faults, span_text(annotation));
	text_printf(faults, "; it is left out\n");
}

static void read_key(const struct kube_pair *pair, struct service_draft *draft, struct text *faults)
{
	const struct key *key = key_of_service(pair->key);
	struct key_value value;
	struct text why = {0};
	if (!key)
		note_unknown(pair->key, faults);
	else if (key_parse(key, pair->value, &value, &why) == 0)
		key_set(key, &value, draft);
	else if (faults)
		text_printf(faults, "%s: %.*s\n", pair->key, SPAN_PRINT(text_span(&why)));
	text_fini(&why);
}

static void mend_backoff(struct backoff_rule *rule, const char *name, struct text *faults)
{
	if (rule->kind == BACKOFF_CONSTANT || rule->most_ns >= rule->least_ns)
		return;
	if (faults)
		text_printf(faults,
			    PREFIX
			    "%s.backoff-most is shorter than backoff-least, which "
			    "holds for both\n",
			    name);
	rule->most_ns = rule->least_ns;
}

/* What each is right alone, and not together: else the whole Service would be left out. */
static void mend(struct service_draft *draft, enum balancer without, struct text *faults)
{
	enum hash_on on = draft->balancing.hash_on;
	bool needs_name = on == HASH_ON_HEADER || on == HASH_ON_COOKIE;
	bool has_name = draft->hash_name && *draft->hash_name;
	if (draft->balancer == BALANCER_HASH && needs_name && !has_name) {
		draft->balancer = without;
		if (faults)
			text_printf(faults,
				    PREFIX "balancer: hash is left out: " PREFIX
					   "hash-name does not name the header or cookie\n");
	}
	mend_backoff(&draft->resilience.retry.backoff, "retries", faults);
	mend_backoff(&draft->resilience.breaker.backoff, "breaker", faults);
}

void annotations_read_service(const struct kube_object *service, struct service_draft *draft,
			      struct text *faults)
{
	enum balancer without = draft->balancer;
	for (uint16_t i = 0; i < service->annotation_count; i++) {
		const struct kube_pair *pair = &service->annotations[i];
		if (strncmp(pair->key, PREFIX, strlen(PREFIX)) == 0 &&
		    !has_form_of_its_own(pair->key))
			read_key(pair, draft, faults);
	}
	mend(draft, without, faults);
}

void annotations_check_service(const struct kube_object *service, struct text *faults)
{
	enum protocol protocol;
	struct service_draft draft = {0};
	const char *headless = kube_annotation(service, ANNOTATION_HEADLESS);
	(void)list_names(service, 0, faults);
	(void)map_names(service, 0, &protocol, faults);
	(void)read_shortcut(kube_annotation(service, ANNOTATION_SHORTCUT), faults);
	(void)read_window(service, faults);
	(void)read_trust(kube_annotation(service, ANNOTATION_TRUST_DTAB), faults);
	if (headless && strcmp(headless, "balance") != 0 && strcmp(headless, "direct") != 0)
		fault(faults, ANNOTATION_HEADLESS, span_text(headless), "is not balance or direct");
	keys_default_resilience(&draft.resilience);
	annotations_read_service(service, &draft, faults);
}
