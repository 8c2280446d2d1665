#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kube/read.h"

static const char *const kept[] = {"weft.io/", "app", NULL};
static const struct read_options options = {.keep = kept};

#define META                                                                                       \
	"\"metadata\":{\"name\":\"n\",\"namespace\":\"ns\",\"uid\":\"u\",\"resourceVersion\":"     \
	"\"1\"}"

/* Without faults, unless a number of them is expected. */
static struct kube_object *read_with(enum kube_kind kind, const char *json, unsigned fault_count)
{
	struct read_faults faults;
	struct kube_object *object = NULL;
	assert_int_equal(kube_read(kind, span_text(json), &options, &faults, &object), 0);
	if (faults.count != fault_count)
		fail_msg("%u faults, the first: %s", faults.count, faults.field);
	assert_int_equal(object->kind, kind);
	return object;
}

static struct kube_object *read_good(enum kube_kind kind, const char *json)
{
	return read_with(kind, json, 0);
}

static void assert_ip(const struct weft_address *address, const char *text)
{
	char printed[ADDRESS_TEXT_MAX];
	assert_string_equal(address_print_ip(address, printed), text);
}

static int teardown(void **state)
{
	(void)state;
	return mem_live() == 0 ? 0 : -1;
}

/* ---- metadata ---- */

static void metadata_is_read(void **state)
{
	(void)state;
	struct kube_object *object = read_good(
		KUBE_NAMESPACES,
		"{\"kind\":\"Namespace\",\"metadata\":{\"name\":\"shop\",\"uid\":\"u-1\","
		"\"resourceVersion\":\"42\",\"creationTimestamp\":\"2024-05-01T12:00:00Z\","
		"\"deletionTimestamp\":\"2024-05-01T12:00:01Z\","
		"\"labels\":{\"weft.io/mesh\":\"enabled\",\"other\":\"x\",\"app\":\"\"},"
		"\"annotations\":{\"weft.io/opaque-ports\":\"3306,\\u0035\",\"note\":null},"
		"\"managedFields\":[{\"manager\":\"kubectl\",\"fieldsV1\":{\"f:a\":{}}}]},"
		"\"spec\":{\"finalizers\":[\"kubernetes\"]}}");
	assert_string_equal(object->name, "shop");
	assert_string_equal(object->namespace, "");
	assert_string_equal(object->uid, "u-1");
	assert_string_equal(object->version, "42");
	assert_int_equal(object->created_s, 1714564800);
	assert_true(object->is_deleting);
	assert_int_equal(object->label_count, 2);
	assert_string_equal(kube_label(object, "weft.io/mesh"), "enabled");
	assert_string_equal(kube_label(object, "app"), "");
	assert_null(kube_label(object, "other"));
	assert_string_equal(kube_annotation(object, "weft.io/opaque-ports"), "3306,5");
	mem_free(object);
}

struct refusal {
	const char *json;
	int error;
};

static void what_is_no_object_is_refused(void **state)
{
	static const struct refusal cases[] = {
		{"", -EBADMSG},
		{"[]", -EBADMSG},
		{"null", -EBADMSG},
		{"{\"metadata\":", -EBADMSG},
		{"{\"metadata\":{\"name\":\"\\ud800\"}}", -EBADMSG},
		{"{}", -EINVAL},
		{"{\"metadata\":\"x\"}", -EINVAL},
		{"{\"metadata\":{\"name\":\"x\"}}", -EINVAL},
		{"{\"metadata\":{\"resourceVersion\":\"1\"}}", -EINVAL},
		{"{\"metadata\":{\"name\":{},\"resourceVersion\":\"1\"}}", -EINVAL},
		{"{\"metadata\":{\"name\":\"\",\"resourceVersion\":\"1\"}}", -EINVAL},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		for (enum kube_kind kind = 0; kind < KUBE_KINDS; kind++) {
			struct read_faults faults;
			struct kube_object *object = NULL;
			int error = kube_read(kind, span_text(cases[i].json), &options, &faults,
					      &object);
			if (error != cases[i].error)
				fail_msg("case %zu: %d", i, error);
			assert_null(object);
		}
	}
}

static void nothing_but_metadata_is_enough(void **state)
{
	(void)state;
	for (enum kube_kind kind = 0; kind < KUBE_KINDS; kind++) {
		mem_free(read_good(kind, "{" META "}"));
		mem_free(read_good(kind, "{" META ",\"spec\":{},\"status\":{}}"));
		mem_free(read_good(kind, "{" META ",\"spec\":null,\"status\":null,\"ports\":null,"
					 "\"endpoints\":null,\"future\":[1,{\"a\":2}]}"));
	}
}

/* Of members with one name the first counts, as for cJSON; which is no matter, but it is one. */
static void a_name_twice_is_no_harm(void **state)
{
	(void)state;
	struct kube_object *object =
		read_good(KUBE_PODS, "{" META
				     ",\"metadata\":{\"name\":\"other\"},"
				     "\"spec\":{\"nodeName\":\"a\",\"nodeName\":\"b\"}}");
	assert_string_equal(object->name, "n");
	assert_string_equal(kube_pod_of(object)->node, "a");
	mem_free(object);
}

/* ---- pods ---- */

static const char pod_json[] =
	"{" META
	",\"spec\":{\"nodeName\":\"node-1\",\"hostNetwork\":true,"
	"\"initContainers\":[{\"name\":\"init\"},{\"name\":\"proxy\",\"restartPolicy\":\"Always\","
	"\"ports\":[{\"containerPort\":15001}]}],"
	"\"containers\":[{\"name\":\"web\",\"image\":\"nginx\",\"ports\":["
	"{\"name\":\"http\",\"containerPort\":8080,\"protocol\":\"TCP\"},"
	"{\"name\":\"dns\",\"containerPort\":53,\"protocol\":\"UDP\"},"
	"{\"containerPort\":9,\"protocol\":\"SCTP\"}]},{\"name\":\"log\"}]},"
	"\"status\":{\"phase\":\"Running\",\"podIP\":\"10.1.0.5\","
	"\"podIPs\":[{\"ip\":\"10.1.0.5\"},{\"ip\":\"fd00::5\"}],"
	"\"conditions\":[{\"type\":\"Initialized\",\"status\":\"True\"},"
	"{\"type\":\"Ready\",\"status\":\"True\"}],"
	"\"initContainerStatuses\":[{\"name\":\"proxy\",\"containerID\":\"containerd://c1\"}],"
	"\"containerStatuses\":[{\"name\":\"web\",\"containerID\":\"containerd://c2\","
	"\"restartCount\":3}]}}";

static void a_pod_is_read(void **state)
{
	(void)state;
	struct kube_object *object = read_good(KUBE_PODS, pod_json);
	const struct kube_pod *pod = kube_pod_of(object);
	assert_string_equal(pod->node, "node-1");
	assert_true(pod->host_network);
	assert_true(pod->is_ready);
	assert_int_equal(pod->phase, KUBE_RUNNING);
	assert_int_equal(pod->ip_count, 2);
	assert_ip(&pod->ips[0], "10.1.0.5");
	assert_ip(&pod->ips[1], "fd00::5");
	assert_int_equal(pod->container_count, 4);
	assert_true(pod->containers[0].is_init && pod->containers[1].is_init);
	assert_string_equal(pod->containers[0].id, "");
	assert_string_equal(pod->containers[1].id, "containerd://c1");
	assert_int_equal(pod->containers[1].ports[0].number, 15001);
	assert_string_equal(pod->containers[2].name, "web");
	assert_string_equal(pod->containers[2].id, "containerd://c2");
	assert_false(pod->containers[2].is_init);
	assert_int_equal(pod->containers[2].port_count, 3);
	assert_string_equal(pod->containers[2].ports[0].name, "http");
	assert_int_equal(pod->containers[2].ports[1].protocol, KUBE_UDP);
	assert_int_equal(pod->containers[2].ports[2].protocol, KUBE_SCTP);
	assert_string_equal(pod->containers[2].ports[2].name, "");
	mem_free(object);
}

static void a_pod_of_an_older_server_has_one_ip(void **state)
{
	(void)state;
	struct kube_object *object =
		read_good(KUBE_PODS, "{" META
				     ",\"status\":{\"podIP\":\"10.1.0.5\","
				     "\"phase\":\"Pending\",\"conditions\":[]}}");
	assert_int_equal(kube_pod_of(object)->ip_count, 1);
	assert_ip(&kube_pod_of(object)->ips[0], "10.1.0.5");
	assert_int_equal(kube_pod_of(object)->phase, KUBE_PENDING);
	assert_false(kube_pod_of(object)->is_ready);
	mem_free(object);
}

static void odd_fields_of_a_pod_are_left_out(void **state)
{
	(void)state;
	struct kube_object *object = read_with(
		KUBE_PODS,
		"{" META
		",\"spec\":{\"nodeName\":7,\"hostNetwork\":\"yes\","
		"\"containers\":[1,{\"name\":\"a\",\"ports\":[{\"containerPort\":70000},"
		"{\"containerPort\":1.5},{\"containerPort\":-1},{\"containerPort\":\"80\"},"
		"{\"containerPort\":80,\"protocol\":\"QUIC\"}]}]},"
		"\"status\":{\"podIPs\":[{\"ip\":\"10.1\"},{\"ip\":\"10.1.0.5\"},{}]}}",
		9);
	const struct kube_pod *pod = kube_pod_of(object);
	assert_string_equal(pod->node, "");
	assert_int_equal(pod->ip_count, 1);
	assert_int_equal(pod->container_count, 2);
	assert_int_equal(pod->containers[1].port_count, 5);
	assert_int_equal(pod->containers[1].ports[4].number, 80);
	mem_free(object);
}

/* ---- nodes ---- */

static void a_node_is_read(void **state)
{
	(void)state;
	struct kube_object *object =
		read_good(KUBE_NODES,
			  "{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"1\",\"labels\":{"
			  "\"topology.kubernetes.io/zone\":\"z1\"}},"
			  "\"spec\":{\"podCIDR\":\"10.1.0.0/24\","
			  "\"podCIDRs\":[\"10.1.0.0/24\",\"fd00:1::/64\"]},"
			  "\"status\":{\"addresses\":[{\"type\":\"InternalIP\","
			  "\"address\":\"192.0.2.1\"},{\"type\":\"Hostname\",\"address\":\"n\"},"
			  "{\"type\":\"ExternalIP\",\"address\":\"2001:db8::1\"}]}}");
	const struct kube_node *node = kube_node_of(object);
	assert_string_equal(node->zone, "z1");
	assert_int_equal(node->cidr_count, 2);
	assert_ip(&node->pod_cidrs[0].base, "10.1.0.0");
	assert_int_equal(node->pod_cidrs[0].bits, 24);
	assert_int_equal(node->pod_cidrs[1].bits, 64);
	assert_int_equal(node->address_count, 2);
	assert_ip(&node->addresses[1], "2001:db8::1");
	mem_free(object);
	object = read_with(KUBE_NODES,
			   "{" META
			   ",\"spec\":{\"podCIDRs\":[\"10.1.0.0/33\",\"x\",7,"
			   "\"10.1.0.0\",\"10.2.0.0/16\"]},\"status\":{\"addresses\":["
			   "{\"type\":\"InternalIP\"}]}}",
			   5);
	assert_int_equal(kube_node_of(object)->cidr_count, 1);
	assert_int_equal(kube_node_of(object)->pod_cidrs[0].bits, 16);
	mem_free(object);
}

/* ---- services ---- */

static void a_service_is_read(void **state)
{
	(void)state;
	struct kube_object *object = read_good(
		KUBE_SERVICES,
		"{" META
		",\"spec\":{\"type\":\"NodePort\",\"clusterIP\":\"10.96.0.7\","
		"\"clusterIPs\":[\"10.96.0.7\",\"fd00::7\"],\"selector\":{\"app\":\"web\"},"
		"\"ports\":[{\"name\":\"http\",\"port\":80,\"targetPort\":8080,"
		"\"appProtocol\":\"kubernetes.io/h2c\"},"
		"{\"name\":\"named\",\"port\":81,\"targetPort\":\"web\"},"
		"{\"name\":\"same\",\"port\":82,\"protocol\":\"UDP\"}],"
		"\"sessionAffinity\":\"ClientIP\",\"sessionAffinityConfig\":{\"clientIP\":{"
		"\"timeoutSeconds\":600}},\"internalTrafficPolicy\":\"Local\","
		"\"trafficDistribution\":\"PreferClose\",\"publishNotReadyAddresses\":true}}");
	const struct kube_service *service = kube_service_of(object);
	assert_int_equal(service->type, KUBE_NODE_PORT);
	assert_int_equal(service->ip_count, 2);
	assert_ip(&service->cluster_ips[1], "fd00::7");
	assert_true(service->has_selector);
	assert_false(service->is_headless);
	assert_int_equal(service->port_count, 3);
	assert_int_equal(service->ports[0].target_number, 8080);
	assert_string_equal(service->ports[0].app_protocol, "kubernetes.io/h2c");
	assert_string_equal(service->ports[1].target_name, "web");
	assert_int_equal(service->ports[2].target_number, 82);
	assert_int_equal(service->ports[2].protocol, KUBE_UDP);
	assert_int_equal(service->affinity_s, 600);
	assert_true(service->internal_local);
	assert_int_equal(service->distribution, KUBE_SAME_ZONE);
	assert_true(service->publishes_not_ready);
	mem_free(object);
}

static void services_without_an_ip_are_read(void **state)
{
	(void)state;
	struct kube_object *headless =
		read_good(KUBE_SERVICES, "{" META
					 ",\"spec\":{\"clusterIP\":\"None\","
					 "\"clusterIPs\":[\"None\"],\"selector\":{},"
					 "\"sessionAffinity\":\"ClientIP\","
					 "\"trafficDistribution\":\"PreferSameNode\"}}");
	assert_true(kube_service_of(headless)->is_headless);
	assert_int_equal(kube_service_of(headless)->ip_count, 0);
	assert_false(kube_service_of(headless)->has_selector);
	assert_int_equal(kube_service_of(headless)->affinity_s, 10800);
	assert_int_equal(kube_service_of(headless)->distribution, KUBE_SAME_NODE);
	mem_free(headless);
	struct kube_object *external = read_good(
		KUBE_SERVICES, "{" META
			       ",\"spec\":{\"type\":\"ExternalName\","
			       "\"externalName\":\"db.example\",\"sessionAffinity\":\"None\"}}");
	assert_int_equal(kube_service_of(external)->type, KUBE_EXTERNAL_NAME);
	assert_string_equal(kube_service_of(external)->external_name, "db.example");
	assert_int_equal(kube_service_of(external)->affinity_s, 0);
	mem_free(external);
}

static void odd_fields_of_a_service_are_left_out(void **state)
{
	(void)state;
	struct kube_object *object =
		read_with(KUBE_SERVICES,
			  "{" META
			  ",\"spec\":{\"type\":\"Odd\",\"clusterIP\":\"10.96.0.7\","
			  "\"clusterIPs\":[7,\"x\"],\"trafficDistribution\":\"Far\","
			  "\"ports\":[{\"port\":0},{},7,{\"port\":80,\"targetPort\":{}},"
			  "{\"port\":81,\"targetPort\":0},{\"port\":82,\"targetPort\":99999}]}}",
			  7);
	const struct kube_service *service = kube_service_of(object);
	assert_int_equal(service->ip_count, 1);
	assert_ip(&service->cluster_ips[0], "10.96.0.7");
	assert_int_equal(service->port_count, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(service->ports[i].target_number, 80 + i);
	mem_free(object);
}

/* ---- slices ---- */

static void a_slice_is_read(void **state)
{
	(void)state;
	struct kube_object *object = read_good(
		KUBE_SLICES,
		"{\"metadata\":{\"name\":\"web-abc\",\"namespace\":\"shop\",\"uid\":\"u\","
		"\"resourceVersion\":\"1\",\"labels\":{\"kubernetes.io/service-name\":\"web\"}},"
		"\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"http\",\"port\":8080,"
		"\"protocol\":\"TCP\",\"appProtocol\":\"http\"},{\"name\":\"\"}],"
		"\"endpoints\":[{\"addresses\":[\"10.1.0.5\",\"10.1.0.6\"],\"nodeName\":\"node-1\","
		"\"zone\":\"z1\",\"conditions\":{\"ready\":false,\"serving\":true,"
		"\"terminating\":true},\"targetRef\":{\"kind\":\"Pod\",\"name\":\"web-1\","
		"\"namespace\":\"shop\",\"uid\":\"p1\"},\"hints\":{\"forZones\":["
		"{\"name\":\"z1\"},{\"name\":\"z2\"}]}},"
		"{\"addresses\":[\"10.1.0.7\"],\"conditions\":{},"
		"\"targetRef\":{\"kind\":\"Node\",\"name\":\"x\"}},"
		"{\"addresses\":[\"10.1.0.8\"],\"conditions\":{\"ready\":false}},"
		"{\"addresses\":[\"10.1.0.9\"],\"conditions\":{\"ready\":null,\"serving\":null}}]"
		"}");
	const struct kube_slice *slice = kube_slice_of(object);
	assert_string_equal(slice->service, "web");
	assert_int_equal(slice->port_count, 2);
	assert_int_equal(slice->ports[0].number, 8080);
	assert_int_equal(slice->ports[1].number, 0);
	assert_int_equal(slice->endpoint_count, 4);
	const struct kube_endpoint *first = &slice->endpoints[0];
	assert_ip(&first->address, "10.1.0.5");
	assert_true(!first->is_ready && first->is_serving && first->is_terminating);
	assert_string_equal(first->node, "node-1");
	assert_string_equal(first->pod, "web-1");
	assert_string_equal(first->pod_uid, "p1");
	assert_ptr_equal(first->pod_namespace, object->namespace); /* equal texts are one */
	assert_int_equal(first->hint_count, 2);
	assert_string_equal(first->hint_zones[1], "z2");
	assert_true(slice->endpoints[1].is_ready && slice->endpoints[1].is_serving);
	assert_string_equal(slice->endpoints[1].pod, "");
	assert_false(slice->endpoints[2].is_serving);
	assert_true(slice->endpoints[3].is_ready);
	mem_free(object);
}

static void odd_endpoints_are_left_out(void **state)
{
	(void)state;
	struct kube_object *object =
		read_with(KUBE_SLICES,
			  "{" META
			  ",\"endpoints\":[7,{},{\"addresses\":[]},{\"addresses\":[7]},"
			  "{\"addresses\":[\"host\"]},{\"addresses\":\"10.1.0.1\"},"
			  "{\"addresses\":[\"10.1.0.5\"],\"conditions\":7}]}",
			  8);
	assert_int_equal(kube_slice_of(object)->endpoint_count, 1);
	assert_true(kube_slice_of(object)->endpoints[0].is_ready);
	mem_free(object);
	object = read_good(KUBE_SLICES, "{" META
					",\"addressType\":\"FQDN\",\"endpoints\":["
					"{\"addresses\":[\"db.example\"]}]}");
	assert_int_equal(kube_slice_of(object)->endpoint_count, 0);
	mem_free(object);
}

/* Far more than fits into the first guess; one allocation of the right size all the same. */
static void a_large_slice_is_read(void **state)
{
	static char json[1 << 19];
	(void)state;
	size_t used = (size_t)snprintf(json, sizeof(json), "{" META ",\"endpoints\":[");
	for (unsigned i = 0; i < 1000; i++)
		used += (size_t)snprintf(
			json + used, sizeof(json) - used,
			"%s{\"addresses\":[\"10.1.%u.%u\"],\"nodeName\":\"node-%u\","
			"\"targetRef\":{\"kind\":\"Pod\",\"namespace\":\"ns\","
			"\"name\":\"pod-%u\",\"uid\":\"uid-%u\"}}",
			i ? "," : "", i / 250, i % 250, i % 7, i, i);
	snprintf(json + used, sizeof(json) - used, "]}");
	struct kube_object *object = read_good(KUBE_SLICES, json);
	const struct kube_slice *slice = kube_slice_of(object);
	assert_int_equal(slice->endpoint_count, 1000);
	for (unsigned i = 0; i < 1000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "pod-%u", i);
		assert_string_equal(slice->endpoints[i].pod, name);
	}
	assert_ptr_equal(slice->endpoints[0].node, slice->endpoints[7].node);
	assert_int_equal(mem_live(), 1);
	mem_free(object);
}

static void deep_nesting_is_no_harm(void **state)
{
	char json[4096];
	(void)state;
	size_t used = (size_t)snprintf(json, sizeof(json), "{" META ",\"deep\":");
	memset(json + used, '[', 900);
	memset(json + used + 900, ']', 900);
	snprintf(json + used + 1800, sizeof(json) - used - 1800, "}");
	mem_free(read_good(KUBE_PODS, json));
}

static void each_failed_allocation_is_told(void **state)
{
	struct read_faults faults;
	struct kube_object *object = NULL;
	unsigned long n = 1;
	(void)state;
	for (;; n++) {
		mem_fail_nth(n);
		int error = kube_read(KUBE_PODS, span_text(pod_json), &options, &faults, &object);
		mem_fail_nth(0);
		if (!error)
			break;
		assert_int_equal(error, -ENOMEM);
		assert_int_equal(mem_live(), 0);
	}
	assert_true(n > 50);
	mem_free(object);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(metadata_is_read, teardown),
		cmocka_unit_test_teardown(what_is_no_object_is_refused, teardown),
		cmocka_unit_test_teardown(nothing_but_metadata_is_enough, teardown),
		cmocka_unit_test_teardown(a_name_twice_is_no_harm, teardown),
		cmocka_unit_test_teardown(a_pod_is_read, teardown),
		cmocka_unit_test_teardown(a_pod_of_an_older_server_has_one_ip, teardown),
		cmocka_unit_test_teardown(odd_fields_of_a_pod_are_left_out, teardown),
		cmocka_unit_test_teardown(a_node_is_read, teardown),
		cmocka_unit_test_teardown(a_service_is_read, teardown),
		cmocka_unit_test_teardown(services_without_an_ip_are_read, teardown),
		cmocka_unit_test_teardown(odd_fields_of_a_service_are_left_out, teardown),
		cmocka_unit_test_teardown(a_slice_is_read, teardown),
		cmocka_unit_test_teardown(odd_endpoints_are_left_out, teardown),
		cmocka_unit_test_teardown(a_large_slice_is_read, teardown),
		cmocka_unit_test_teardown(deep_nesting_is_no_harm, teardown),
		cmocka_unit_test_teardown(each_failed_allocation_is_told, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
