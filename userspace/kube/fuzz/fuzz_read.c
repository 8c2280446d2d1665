/* Any text as an object of any kind: an object that holds together and that is the same when it was
 * written and read again, or a reason. */
#include "base/fuzz/target.h"

#include <assert.h>
#include <errno.h>

#include "base/mem.h"
#include "kube/read.h"
#include "kube/tests/same.h"
#include "kube/write.h"

/* Walks the text; the sanitizer sees one that does not end inside the object. */
static void check_text(const char *text)
{
	assert(text && strlen(text) < SIZE_MAX);
}

static void check_pairs(const struct kube_pair *pairs, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		check_text(pairs[i].key);
		check_text(pairs[i].value);
	}
}

static void check_object(const struct kube_object *object)
{
	assert(*object->name && *object->version);
	check_text(object->namespace);
	check_text(object->uid);
	check_pairs(object->labels, object->label_count);
	check_pairs(object->annotations, object->annotation_count);
}

static void check_pod(const struct kube_pod *pod)
{
	check_text(pod->node);
	assert(pod->phase <= KUBE_FAILED);
	for (unsigned i = 0; i < pod->container_count; i++) {
		const struct kube_container *container = &pod->containers[i];
		check_text(container->name);
		check_text(container->id);
		for (unsigned j = 0; j < container->port_count; j++)
			check_text(container->ports[j].name);
	}
}

static void check_node(const struct kube_node *node)
{
	check_text(node->zone);
	for (unsigned i = 0; i < node->cidr_count; i++)
		assert(node->pod_cidrs[i].bits <= 128);
}

static void check_service(const struct kube_service *service)
{
	check_text(service->external_name);
	assert(!service->is_headless || !service->ip_count);
	for (unsigned i = 0; i < service->port_count; i++) {
		const struct kube_service_port *port = &service->ports[i];
		check_text(port->name);
		check_text(port->app_protocol);
		assert(port->number && (*port->target_name || port->target_number));
	}
}

static void check_slice(const struct kube_slice *slice)
{
	check_text(slice->service);
	for (unsigned i = 0; i < slice->port_count; i++)
		check_text(slice->ports[i].name);
	for (unsigned i = 0; i < slice->endpoint_count; i++) {
		const struct kube_endpoint *endpoint = &slice->endpoints[i];
		check_text(endpoint->node);
		check_text(endpoint->zone);
		check_text(endpoint->pod);
		check_text(endpoint->pod_namespace);
		check_text(endpoint->pod_uid);
		for (unsigned j = 0; j < endpoint->hint_count; j++)
			check_text(endpoint->hint_zones[j]);
	}
}

static void check_kind(const struct kube_object *object)
{
	switch (object->kind) {
	case KUBE_PODS:
		check_pod(kube_pod_of(object));
		break;
	case KUBE_NODES:
		check_node(kube_node_of(object));
		break;
	case KUBE_SERVICES:
		check_service(kube_service_of(object));
		break;
	case KUBE_SLICES:
		check_slice(kube_slice_of(object));
		break;
	default:
		break;
	}
}

static struct kube_object *again(const struct kube_object *object,
				 const struct read_options *options, struct text *json)
{
	struct read_faults faults;
	struct kube_object *read = NULL;
	kube_write(object, json);
	int error = kube_read(object->kind, text_span(json), options, &faults, &read);
	assert(!error);
	return read;
}

/* The first time may replace bytes that are no UTF-8, which an API server does not send. */
static void check_written(const struct kube_object *object, const struct read_options *options)
{
	struct text first = {0};
	struct text second = {0};
	struct kube_object *once = again(object, options, &first);
	struct kube_object *twice = again(once, options, &second);
	assert(span_equal(text_span(&first), text_span(&second)));
	assert(same_object(once, twice));
	mem_free(once);
	mem_free(twice);
	text_fini(&first);
	text_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keep[] = {"", NULL};
	static const struct read_options options = {.keep = keep};
	long live = mem_live();
	struct read_faults faults;
	struct kube_object *object = NULL;
	if (size < 1)
		return 0;
	enum kube_kind kind = data[0] % KUBE_KINDS;
	int error = kube_read(kind, span_of((const char *)data + 1, size - 1), &options, &faults,
			      &object);
	assert(error == 0 || error == -EBADMSG || error == -EINVAL);
	assert(!error == !!object);
	assert(!faults.count == !faults.field);
	if (object) {
		assert(object->kind == kind);
		check_object(object);
		check_kind(object);
		check_written(object, &options);
	}
	mem_free(object);
	assert(mem_live() == live);
	return 0;
}
