/* Any bytes as the plugin's configuration and as a configuration list. */
#include "base/fuzz/target.h"

#include <assert.h>

#include "cni/conflist.h"
#include "cni/request.h"

static void ask(struct span config)
{
	static const struct cni_environment environment = {
		.command = "ADD",
		.container_id = "a",
		.netns = "/n",
		.interface = "eth0",
		.arguments = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web",
	};
	struct cni_request request;
	struct cni_fault fault;
	struct text json = {0};
	if (cni_request_read(&environment, config, &request, &fault) == 0)
		cni_request_print(&request, &json);
	text_fini(&json);
}

/* In is idempotent, and there; out is out. */
static void edit(struct span config)
{
	struct span ours = span_text("{\"type\":\"" CNI_TYPE "\"}");
	struct text once = {0};
	struct text twice = {0};
	struct text without = {0};
	if (conflist_insert(config, ours, &once))
		return;
	assert(conflist_has_ours(text_span(&once)));
	assert(conflist_insert(text_span(&once), ours, &twice) == 0);
	assert(span_equal(text_span(&once), text_span(&twice)));
	assert(conflist_remove(text_span(&once), &without) == 0);
	assert(!conflist_has_ours(text_span(&without)));
	text_fini(&once);
	text_fini(&twice);
	text_fini(&without);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span config = span_of((const char *)data, size);
	ask(config);
	edit(config);
	return 0;
}
