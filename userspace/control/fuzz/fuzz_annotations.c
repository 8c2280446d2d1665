/* Any bytes as annotations: a draft that the builder can take, and sentences that are whole lines.
 */
#include <assert.h>
#include <errno.h>

#include "base/fuzz/target.h"
#include "base/mem.h"
#include "control/annotations.h"
#include "model/keys.h"

#define PAIRS_MOST 8

static const char *const keys[] = {
	ANNOTATION_OPAQUE,      ANNOTATION_SKIP_PORTS, ANNOTATION_SKIP_CIDRS, ANNOTATION_PROTOCOL,
	ANNOTATION_PROXY_DEATH, ANNOTATION_HEADLESS,   ANNOTATION_SHORTCUT,   ANNOTATION_WINDOW};

static const char *const keys_of_services[] = {
	"weft.io/balancer",
	"weft.io/hash-on",
	"weft.io/hash-name",
	"weft.io/locality",
	"weft.io/retries.backoff",
	"weft.io/retries.backoff-least",
	"weft.io/retries.backoff-most",
	"weft.io/breaker.backoff",
	"weft.io/breaker.backoff-least",
	"weft.io/breaker.backoff-most",
	"weft.io/limits.rate",
	"weft.io/nothing",
};

static const char *key_of(unsigned char byte)
{
	return byte < 0x80 ? keys[byte % array_count(keys)]
			   : keys_of_services[byte % array_count(keys_of_services)];
}

/* A line's first byte chooses the key, the rest is the value. */
static uint16_t split(char *text, struct kube_pair pairs[PAIRS_MOST])
{
	uint16_t count = 0;
	char *rest = text;
	for (char *line; count < PAIRS_MOST && (line = strsep(&rest, "\n"));) {
		if (*line)
			pairs[count++] = (struct kube_pair){key_of((unsigned char)*line), line + 1};
	}
	return count;
}

static void check_ports(const struct draft_list *list)
{
	const struct draft_value *values = list->items;
	for (uint32_t i = 0; i < list->count; i++)
		assert(values[i].number >= 1 && values[i].number <= 65535);
}

static void check_draft(const struct pod_draft *draft)
{
	const struct draft_value *cidrs = draft->skip_cidrs.items;
	const struct draft_value *opaque = draft->opaque_ports.items;
	const struct draft_value *http = draft->http_ports.items;
	check_ports(&draft->opaque_ports);
	check_ports(&draft->http_ports);
	check_ports(&draft->skip_ports);
	assert(draft->shortcut <= WEFT_SHORTCUT_ON);
	for (uint32_t i = 0; i < draft->skip_cidrs.count; i++)
		assert(cidrs[i].prefix <= 128);
	for (uint32_t i = 0; i < draft->http_ports.count; i++) {
		for (uint32_t j = 0; j < draft->opaque_ports.count; j++)
			assert(http[i].number != opaque[j].number);
	}
}

static void check_sentences(struct span faults)
{
	struct span line;
	assert(faults.size == 0 || faults.data[faults.size - 1] == '\n');
	while (span_split(&faults, '\n', &line)) {
		assert(line.size == 0 || span_starts(line, span_text("weft.io/")));
		for (size_t i = 0; i < line.size; i++)
			assert((unsigned char)line.data[i] >= 0x20);
	}
}

static bool is_in_order(const struct backoff_rule *rule)
{
	return rule->kind == BACKOFF_CONSTANT || rule->least_ns <= rule->most_ns;
}

/* A build would leave the Service out. */
static void check_service(const struct kube_object *object, struct text *faults)
{
	struct service_draft draft = {0};
	keys_default_resilience(&draft.resilience);
	annotations_read_service(object, &draft, faults);
	enum hash_on on = draft.balancing.hash_on;
	bool needs_name =
		draft.balancer == BALANCER_HASH && (on == HASH_ON_HEADER || on == HASH_ON_COOKIE);
	assert(!needs_name || (draft.hash_name && *draft.hash_name));
	assert(is_in_order(&draft.resilience.retry.backoff));
	assert(is_in_order(&draft.resilience.breaker.backoff));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kube_pair pairs[PAIRS_MOST];
	struct arena arena = {0};
	struct pod_draft draft = {0};
	struct text faults = {0};
	long live = mem_live();
	char *text = mem_text((const char *)data, size);
	assert(text);
	struct kube_object object = {.annotations = pairs, .annotation_count = split(text, pairs)};
	int error = annotations_read(&object, NULL, &arena, &draft, &faults);
	assert(error == 0);
	check_draft(&draft);
	annotations_check_service(&object, &faults);
	check_service(&object, &faults);
	assert(annotation_shortcut(&object, NULL) <= WEFT_SHORTCUT_ON);
	assert(annotation_shortcut_window(&object) <= 16u << 20);
	check_sentences(text_span(&faults));
	text_fini(&faults);
	arena_fini(&arena);
	mem_free(text);
	assert(mem_live() == live);
	return 0;
}
