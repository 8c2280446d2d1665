#include "kernel/metrics.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"

/* Of a pod or service that has something to show. */
struct name {
	struct hash_item item;
	uint32_t id;
	char text[WEFT_NAME_MAX]; /* "" = nobody knows */
};

/* By id; the names are collected from the maps themselves. */
struct names {
	struct hash by_id;
};

/* Ids are dense: they are their own hash. */
static struct name *find_name(const struct names *names, uint32_t id)
{
	struct hash_item *item = hash_first(&names->by_id, id);
	return item ? hash_entry(item, struct name, item) : NULL;
}

static const char *name_of(const struct names *names, uint32_t id)
{
	const struct name *name = find_name(names, id);
	return name ? name->text : "";
}

/* NULL: no memory, and the name shows as "". */
static struct name *want_name(struct names *names, uint32_t id)
{
	struct name *name = find_name(names, id);
	if (name)
		return name;
	name = mem_zalloc(sizeof(*name));
	if (name && hash_add(&names->by_id, &name->item, id)) {
		mem_free(name);
		return NULL;
	}
	if (name)
		name->id = id;
	return name;
}

static void set_name(struct name *name, const char *text)
{
	if (name && !*name->text)
		snprintf(name->text, sizeof(name->text), "%.*s", WEFT_NAME_MAX - 1, text);
}

static void names_fini(struct names *names)
{
	hash_each(&names->by_id, item) mem_free(hash_entry(item, struct name, item));
	hash_fini(&names->by_id);
}

static void on_pod(const struct weft_pod_key *key, const struct weft_pod *pod, void *owner)
{
	(void)key;
	set_name(want_name(owner, pod->pod_id), pod->name);
}

static void on_service(const struct weft_traffic_key *key, const struct weft_traffic *traffic,
		       void *owner)
{
	(void)traffic;
	(void)want_name(owner, key->service_id);
}

static void on_destination(const struct weft_address *address,
			   const struct weft_destination *destination, void *owner)
{
	(void)address;
	set_name(find_name(owner, destination->service_id), destination->name);
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

/* The reasons from `first` to before `end`, as one metric. */
static void add_decisions(struct kernel *kernel, const struct names *pods, const char *metric,
			  unsigned first, unsigned end, struct text *page)
{
	hash_each(&pods->by_id, item)
	{
		const struct name *pod = hash_entry(item, struct name, item);
		for (unsigned reason = first; reason < end; reason++) {
			uint64_t count =
				kernel_reason_count(kernel, pod->id, (enum weft_reason)reason);
			if (!count)
				continue;
			text_printf(page, "%s{", metric);
			add_label(page, "pod", pod->text);
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
	{"weft_flow_shortcut_bytes_total",
	 "Of the payload both ways of closed connections: past TCP.",
	 offsetof(struct weft_traffic, shortcut_bytes), 1},
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
	/* A cluster has ten thousands of destinations; few of them have traffic here. */
	kernel_traffic_each(kernel, on_service, &services);
	if (services.by_id.count > 0)
		kernel_destination_each(kernel, on_destination, &services);
	text_add(page,
		 span_text("# HELP weft_capture_decisions_total What the kernel decided about "
			   "dials, by pod and reason.\n"
			   "# TYPE weft_capture_decisions_total counter\n"));
	add_decisions(kernel, &pods, "weft_capture_decisions_total", 0, WEFT_DIAL_REASON_COUNT,
		      page);
	text_add(page,
		 span_text("# HELP weft_shortcut_decisions_total Connections that got the shortcut "
			   "past TCP, did not get it or lost it, by pod and reason.\n"
			   "# TYPE weft_shortcut_decisions_total counter\n"));
	add_decisions(kernel, &pods, "weft_shortcut_decisions_total", WEFT_DIAL_REASON_COUNT,
		      WEFT_KERNEL_REASON_COUNT, page);
	for (to.metric = 0; to.metric < sizeof(traffic_metrics) / sizeof(traffic_metrics[0]);
	     to.metric++) {
		text_printf(page, "# HELP %s %s\n# TYPE %s counter\n",
			    traffic_metrics[to.metric].name, traffic_metrics[to.metric].help,
			    traffic_metrics[to.metric].name);
		kernel_traffic_each(kernel, on_traffic, &to);
	}
	names_fini(&pods);
	names_fini(&services);
}
