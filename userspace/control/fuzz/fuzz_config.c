/* Any bytes as a config file: a snapshot that holds together, or sentences fit for a log. */
#include <assert.h>
#include <errno.h>

#include "base/fuzz/target.h"
#include "base/mem.h"
#include "control/config.h"
#include "model/builder.h"

static void check_snapshot(const struct snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->service_count; i++) {
		const struct service *service = snapshot->services[i];
		assert(snapshot_service(snapshot, service->id) == service);
		assert(snapshot_service_named(snapshot, span_text(service->name)) == service);
		assert(service->address_count > 0 && service->users == 1);
		for (uint32_t j = 0; j < service->address_count; j++)
			assert(snapshot_service_at(snapshot, &service->addresses[j]) == service);
		for (uint32_t j = 0; j < service->endpoint_count; j++) {
			const struct endpoint *endpoint = &service->endpoints[j];
			assert(service_endpoint(service, endpoint->id) == endpoint);
			assert(endpoint->id < snapshot->endpoint_id_limit);
		}
	}
	for (uint32_t i = 0; i < snapshot->pod_count; i++) {
		const struct pod *pod = snapshot->pods[i];
		assert(!pod->netns_path != !pod->cgroup_path);
		assert(snapshot_pod_named(snapshot, span_text(pod->name)) == pod);
	}
}

/* Whole lines, each with the file's name, and nothing that could forge another line. */
static void check_sentences(struct span why)
{
	struct span rest = why;
	struct span line;
	assert(why.size > 0 && why.data[why.size - 1] == '\n');
	while (span_split(&rest, '\n', &line)) {
		assert(line.size == 0 || span_starts(line, span_text("weft.yaml:")));
		for (size_t i = 0; i < line.size; i++)
			assert((unsigned char)line.data[i] >= 0x20);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct build_options alone;
	struct text why = {0};
	struct snapshot *snapshot = NULL;
	long live = mem_live();
	int error = config_parse(span_of((const char *)data, size), "weft.yaml", &alone, &why,
				 &snapshot);
	assert(error == 0 || error == -EINVAL);
	assert(!error == !!snapshot);
	if (error)
		check_sentences(text_span(&why));
	else
		check_snapshot(snapshot);
	snapshot_free(snapshot);
	text_fini(&why);
	assert(mem_live() == live);
	return 0;
}
