#include "kernel/metrics.h"

#include "base/mem.h"

/* Names by id, collected from the maps themselves. */
struct name {
	uint32_t id;
	char text[WEFT_NAME_MAX];
};

struct names {
	struct name *items;
	uint32_t count;
	uint32_t capacity;
};

static const char *name_of(const struct names *names, uint32_t id)
{
	for (uint32_t i = 0; i < names->count; i++) {
		if (names->items[i].id == id)
			return names->items[i].text;
	}
	return "";
}

/* A name that finds no memory shows as "". */
static void add_name(struct names *names, uint32_t id, const char *text)
{
	if (*name_of(names, id))
		return;
	if (names->count == names->capacity) {
		uint32_t capacity = names->capacity ? names->capacity * 2 : 64;
		struct name *items = mem_realloc(names->items, capacity * sizeof(*items));
		if (!items)
			return;
		names->items = items;
		names->capacity = capacity;
	}
	struct name *name = &names->items[names->count++];
	name->id = id;
	memcpy(name->text, text, sizeof(name->text));
	name->text[sizeof(name->text) - 1] = '\0';
}

static void on_pod(const struct weft_pod_key *key, const struct weft_pod *pod, void *owner)
{
	(void)key;
	add_name(owner, pod->pod_id, pod->name);
}

static void on_destination(const struct weft_address *address,
			   const struct weft_destination *destination, void *owner)
{
	(void)address;
	add_name(owner, destination->service_id, destination->name);
}

/* Label values (text exposition format): backslash, quote and newline are escaped. */
static void add_label(struct text *page, const char *key, const char *value)
{
	text_printf(page, "%s=\"", key);
	for (const char *c = value; *c; c++) {
		if (*c == '\n') {
			text_add(page, span_text("\\n"));
			continue;
		}
		if (*c == '\\' || *c == '"')
			text_add(page, span_text("\\"));
		text_add(page, span_of(c, 1));
	}
	text_add(page, span_text("\""));
}

static void add_decisions(struct kernel *kernel, const struct names *pods, struct text *page)
{
	text_add(page,
		 span_text("# HELP weft_capture_decisions_total What the kernel decided about "
			   "dials, by pod and reason.\n"
			   "# TYPE weft_capture_decisions_total counter\n"));
	for (uint32_t i = 0; i < pods->count; i++) {
		for (unsigned reason = 0; reason < WEFT_KERNEL_REASON_COUNT; reason++) {
			uint64_t count = kernel_reason_count(kernel, pods->items[i].id,
							     (enum weft_reason)reason);
			if (!count)
				continue;
			text_add(page, span_text("weft_capture_decisions_total{"));
			add_label(page, "pod", pods->items[i].text);
			text_printf(page, ",reason=\"%s\"} %llu\n",
				    weft_reason_name((enum weft_reason)reason),
				    (unsigned long long)count);
		}
	}
}

struct traffic_page {
	struct text *page;
	const struct names *pods;
	const struct names *services;
	unsigned metric;
};

static const struct {
	const char *name;
	const char *help;
	size_t offset;
	double unit;
} traffic_metrics[] = {
	{"weft_flow_connections_opened_total",
	 "TCP connections established, as the kernel saw them.",
	 offsetof(struct weft_traffic, connections_opened), 1},
	{"weft_flow_connections_closed_total", "TCP connections closed, as the kernel saw them.",
	 offsetof(struct weft_traffic, connections_closed), 1},
	{"weft_flow_sent_bytes_total", "Acknowledged payload of closed connections.",
	 offsetof(struct weft_traffic, bytes_sent), 1},
	{"weft_flow_received_bytes_total", "Received payload of closed connections.",
	 offsetof(struct weft_traffic, bytes_received), 1},
	{"weft_flow_retransmitted_segments_total", "Segments sent again on closed connections.",
	 offsetof(struct weft_traffic, retransmitted_segments), 1},
	{"weft_flow_rtt_seconds_total", "Smoothed RTT at close, summed over closed connections.",
	 offsetof(struct weft_traffic, rtt_us_sum), 1e-6},
};

static void on_traffic(const struct weft_traffic_key *key, const struct weft_traffic *traffic,
		       void *owner)
{
	const struct traffic_page *to = owner;
	uint64_t value;
	memcpy(&value, (const char *)traffic + traffic_metrics[to->metric].offset, sizeof(value));
	text_printf(to->page, "%s{", traffic_metrics[to->metric].name);
	add_label(to->page, "pod", name_of(to->pods, key->pod_id));
	text_add(to->page, span_text(","));
	add_label(to->page, "service", name_of(to->services, key->service_id));
	text_printf(to->page, ",leg=\"%s\"} %.10g\n",
		    key->role == WEFT_SOCKET_UPSTREAM ? "upstream" : "app",
		    (double)value * traffic_metrics[to->metric].unit);
}

void kernel_metrics_page(struct kernel *kernel, struct text *page)
{
	struct names pods = {0};
	struct names services = {0};
	struct traffic_page to = {.page = page, .pods = &pods, .services = &services};
	kernel_pod_each(kernel, on_pod, &pods);
	kernel_destination_each(kernel, on_destination, &services);
	add_decisions(kernel, &pods, page);
	for (to.metric = 0; to.metric < sizeof(traffic_metrics) / sizeof(traffic_metrics[0]);
	     to.metric++) {
		text_printf(page, "# HELP %s %s\n# TYPE %s counter\n",
			    traffic_metrics[to.metric].name, traffic_metrics[to.metric].help,
			    traffic_metrics[to.metric].name);
		kernel_traffic_each(kernel, on_traffic, &to);
	}
	mem_free(pods.items);
	mem_free(services.items);
}
