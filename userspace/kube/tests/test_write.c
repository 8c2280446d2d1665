#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "kube/read.h"
#include "kube/write.h"
#include "same.h"

#define ROUNDS 3000
#define LEND   8u /* most elements of an array */

static const char *const kept[] = {"weft.io/", NULL};
static const struct read_options options = {.keep = kept};

static int teardown(void **state)
{
	(void)state;
	return mem_live() == 0 ? 0 : -1;
}

/* ---- objects of chance, in memory that a round has for itself ---- */

static struct rng rng;
static _Alignas(16) char memory[65536];
static size_t used;

static void *take(size_t count, size_t size)
{
	used = (used + 15) & ~(size_t)15;
	void *taken = memory + used;
	used += count * size;
	assert_true(used <= sizeof(memory));
	return count ? memset(taken, 0, count * size) : NULL;
}

static uint32_t below(uint32_t limit)
{
	return rng_below(&rng, limit);
}

static bool chance(void)
{
	return below(2);
}

/* Anything that JSON must escape, and sometimes nothing. */
static const char *any_text(void)
{
	static const char *const texts[] = {"",       "web",      "a\"b\\c",   "\n\t\x01",
					    "{[,:]}", "\xc3\xbc", "{\"end\":", " ",
					    "h2c",    "10.0.0.1"};
	return texts[below(sizeof(texts) / sizeof(texts[0]))];
}

static const char *some_text(void)
{
	const char *text = any_text();
	return *text ? text : "x";
}

static struct weft_address any_address(void)
{
	char text[ADDRESS_TEXT_MAX];
	struct weft_address address;
	if (chance())
		snprintf(text, sizeof(text), "10.%u.%u.%u", below(256), below(256), below(256));
	else
		snprintf(text, sizeof(text), "2001:db8::%x:%x", below(65536), below(65536));
	assert_int_equal(address_parse_ip(span_text(text), 0, &address), 0);
	return address;
}

static const struct weft_address *any_addresses(uint16_t count)
{
	struct weft_address *addresses = take(count, sizeof(*addresses));
	for (uint16_t i = 0; i < count; i++)
		addresses[i] = any_address();
	return addresses;
}

static const struct kube_pair *any_pairs(uint16_t count)
{
	struct kube_pair *pairs = take(count, sizeof(*pairs));
	for (uint16_t i = 0; i < count; i++) {
		char *key = take(1, 32);
		snprintf(key, 32, "weft.io/%u\"%u", i, below(10));
		pairs[i] = (struct kube_pair){.key = key, .value = any_text()};
	}
	return pairs;
}

static void fill_meta(struct kube_object *object, enum kube_kind kind)
{
	object->kind = (uint8_t)kind;
	object->name = some_text();
	object->namespace = any_text();
	object->uid = any_text();
	object->version = some_text();
	object->created_s = chance() ? below(UINT32_MAX) : 0;
	object->is_deleting = chance();
	object->label_count = (uint16_t)below(LEND);
	object->annotation_count = (uint16_t)below(LEND);
	object->labels = any_pairs(object->label_count);
	object->annotations = any_pairs(object->annotation_count);
}

static const struct kube_object *any_namespace(void)
{
	struct kube_namespace *namespace = take(1, sizeof(*namespace));
	fill_meta(&namespace->object, KUBE_NAMESPACES);
	return &namespace->object;
}

/* An id belongs to a name: containers of one kind have different ones. */
static void fill_container(struct kube_container *container, unsigned number, bool is_init)
{
	char *name = take(1, 16);
	snprintf(name, 16, "app-%u", number);
	container->name = name;
	container->id = chance() ? "containerd://ab12" : "";
	container->is_init = is_init;
	container->port_count = (uint16_t)below(LEND);
	struct kube_container_port *ports = take(container->port_count, sizeof(*ports));
	for (uint16_t i = 0; i < container->port_count; i++)
		ports[i] = (struct kube_container_port){.name = any_text(),
							.number = (uint16_t)below(65536),
							.protocol = (uint8_t)below(4)};
	container->ports = ports;
}

static const struct kube_object *any_pod(void)
{
	struct kube_pod *pod = take(1, sizeof(*pod));
	fill_meta(&pod->object, KUBE_PODS);
	pod->node = any_text();
	pod->ip_count = (uint16_t)below(LEND);
	pod->ips = any_addresses(pod->ip_count);
	pod->phase = (uint8_t)below(KUBE_FAILED + 1);
	pod->host_network = chance();
	pod->is_ready = chance();
	pod->container_count = (uint16_t)below(LEND);
	struct kube_container *containers = take(pod->container_count, sizeof(*containers));
	unsigned init_count = below(pod->container_count + 1u);
	for (unsigned i = 0; i < pod->container_count; i++)
		fill_container(&containers[i], i, i < init_count);
	pod->containers = containers;
	return &pod->object;
}

static const struct kube_object *any_node(void)
{
	struct kube_node *node = take(1, sizeof(*node));
	fill_meta(&node->object, KUBE_NODES);
	node->zone = any_text();
	node->address_count = (uint16_t)below(LEND);
	node->addresses = any_addresses(node->address_count);
	node->cidr_count = (uint16_t)below(LEND);
	struct kube_cidr *cidrs = take(node->cidr_count, sizeof(*cidrs));
	for (uint16_t i = 0; i < node->cidr_count; i++)
		cidrs[i] = (struct kube_cidr){.base = any_address(), .bits = (uint8_t)below(33)};
	node->pod_cidrs = cidrs;
	return &node->object;
}

static void fill_service_port(struct kube_service_port *port)
{
	*port = (struct kube_service_port){
		.name = any_text(),
		.app_protocol = any_text(),
		.target_name = any_text(),
		.number = (uint16_t)(1 + below(65535)),
		.protocol = (uint8_t)below(4),
	};
	if (!*port->target_name)
		port->target_number = chance() ? port->number : (uint16_t)(1 + below(65535));
}

static const struct kube_object *any_service(void)
{
	struct kube_service *service = take(1, sizeof(*service));
	fill_meta(&service->object, KUBE_SERVICES);
	service->is_headless = chance();
	service->ip_count = service->is_headless ? 0 : (uint16_t)below(LEND);
	service->cluster_ips = any_addresses(service->ip_count);
	service->external_name = any_text();
	service->type = (uint8_t)below(KUBE_EXTERNAL_NAME + 1);
	service->distribution = (uint8_t)below(KUBE_SAME_NODE + 1);
	service->has_selector = chance();
	service->internal_local = chance();
	service->publishes_not_ready = chance();
	service->affinity_s = chance() ? below(86401) : 0;
	service->port_count = (uint16_t)below(LEND);
	struct kube_service_port *ports = take(service->port_count, sizeof(*ports));
	for (uint16_t i = 0; i < service->port_count; i++)
		fill_service_port(&ports[i]);
	service->ports = ports;
	return &service->object;
}

static void fill_endpoint(struct kube_endpoint *endpoint)
{
	bool is_pod = chance();
	*endpoint = (struct kube_endpoint){
		.address = any_address(),
		.node = any_text(),
		.zone = any_text(),
		.pod = is_pod ? any_text() : "",
		.pod_namespace = is_pod ? any_text() : "",
		.pod_uid = is_pod ? any_text() : "",
		.hint_count = (uint16_t)below(LEND),
		.is_ready = chance(),
		.is_serving = chance(),
		.is_terminating = chance(),
	};
	const char **zones = take(endpoint->hint_count, sizeof(*zones));
	for (uint16_t i = 0; i < endpoint->hint_count; i++)
		zones[i] = any_text();
	endpoint->hint_zones = zones;
}

static const struct kube_object *any_slice(void)
{
	struct kube_slice *slice = take(1, sizeof(*slice));
	fill_meta(&slice->object, KUBE_SLICES);
	slice->service = any_text();
	slice->port_count = (uint16_t)below(LEND);
	struct kube_slice_port *ports = take(slice->port_count, sizeof(*ports));
	for (uint16_t i = 0; i < slice->port_count; i++)
		ports[i] = (struct kube_slice_port){.name = any_text(),
						    .app_protocol = any_text(),
						    .number = (uint16_t)below(65536),
						    .protocol = (uint8_t)below(4)};
	slice->ports = ports;
	slice->endpoint_count = below(LEND);
	struct kube_endpoint *endpoints = take(slice->endpoint_count, sizeof(*endpoints));
	for (uint32_t i = 0; i < slice->endpoint_count; i++)
		fill_endpoint(&endpoints[i]);
	slice->endpoints = endpoints;
	return &slice->object;
}

static const struct kube_object *any_object(enum kube_kind kind)
{
	used = 0;
	switch (kind) {
	case KUBE_PODS:
		return any_pod();
	case KUBE_NODES:
		return any_node();
	case KUBE_SERVICES:
		return any_service();
	case KUBE_SLICES:
		return any_slice();
	default:
		return any_namespace();
	}
}

/* ---- tests ---- */

static void what_is_written_is_read_back(void **state)
{
	(void)state;
	rng_init(&rng, 4);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct text json = {0};
		struct read_faults faults;
		struct kube_object *read = NULL;
		enum kube_kind kind = (enum kube_kind)(round % KUBE_KINDS);
		const struct kube_object *written = any_object(kind);
		kube_write(written, &json);
		assert_int_equal(kube_read(kind, text_span(&json), &options, &faults, &read), 0);
		if (!same_object(written, read))
			fail_msg("round %u: %s", round, json.data);
		assert_null(strchr(json.data, '\n'));
		mem_free(read);
		text_fini(&json);
	}
}

static void what_is_read_as_such_when_it_is_absent_is_not_written(void **state)
{
	(void)state;
	static const char written[] =
		"{\"metadata\":{\"name\":\"web-1\",\"namespace\":\"shop\",\"uid\":\"u\","
		"\"resourceVersion\":\"7\",\"labels\":{\"kubernetes.io/service-name\":\"web\"}},"
		"\"ports\":[{\"name\":\"http\",\"port\":8080}],"
		"\"endpoints\":[{\"addresses\":[\"10.0.0.1\"],\"nodeName\":\"n1\"}]}";
	struct text json = {0};
	struct read_faults faults;
	struct kube_object *object;
	assert_int_equal(kube_read(KUBE_SLICES, span_text(written), &options, &faults, &object), 0);
	kube_write(object, &json);
	assert_string_equal(json.data, written);
	mem_free(object);
	text_fini(&json);
}

static void a_lack_of_memory_is_told_by_the_text(void **state)
{
	(void)state;
	rng_init(&rng, 4);
	for (unsigned nth = 1;; nth++) {
		struct text json = {0};
		const struct kube_object *object = any_object(KUBE_SLICES);
		mem_fail_nth(nth);
		kube_write(object, &json);
		mem_fail_nth(0);
		bool has_failed = json.failed;
		text_fini(&json);
		if (!has_failed)
			break;
		assert_true(nth < 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_is_written_is_read_back, teardown),
		cmocka_unit_test_teardown(what_is_read_as_such_when_it_is_absent_is_not_written,
					  teardown),
		cmocka_unit_test_teardown(a_lack_of_memory_is_told_by_the_text, teardown),
	};
	return cmocka_run_group_tests_name("write", tests, NULL, NULL);
}
