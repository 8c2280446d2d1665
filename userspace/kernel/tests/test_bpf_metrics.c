/* The kernel's page of /metrics, from rows as the BPF programs write them. */
#include "rig.h"

#include <bpf/bpf.h>

#include "kernel/metrics.h"
#include "kernel/object.h"

static void count(const struct rig_pod *pod, enum weft_reason reason, uint64_t number)
{
	struct weft_reason_key key = {.pod_id = pod->pod.pod_id, .reason = reason};
	struct weft_reason_count row = {.count = number};
	assert_int_equal(bpf_map_update_elem(pod->rig->kernel->reasons_fd, &key, &row, BPF_ANY), 0);
}

static void carry(const struct rig_pod *pod, uint32_t role, const struct weft_traffic *traffic)
{
	struct weft_traffic_key key = {.pod_id = pod->pod.pod_id, .service_id = 7, .role = role};
	assert_int_equal(bpf_map_update_elem(pod->rig->kernel->traffic_fd, &key, traffic, BPF_ANY),
			 0);
}

static void expect_line(const struct text *page, const char *line)
{
	if (!memmem(page->data, page->size, line, strlen(line)))
		fail_msg("no %s in:\n%.*s", line, SPAN_PRINT(text_span(page)));
}

/* What a dial became, and what a connection's shortcut became, are two questions: sums over the
 * first would count a dial twice. */
static void each_reason_is_in_one_metric(void **state)
{
	struct rig_pod pod;
	struct text page = {0};
	rig_pod_open(*state, WEFT_POD_CAPTURE, &pod);
	for (unsigned reason = 0; reason < WEFT_KERNEL_REASON_COUNT; reason++)
		count(&pod, (enum weft_reason)reason, 1000 + reason);
	kernel_metrics_page(pod.rig->kernel, &page);
	for (unsigned reason = 0; reason < WEFT_KERNEL_REASON_COUNT; reason++) {
		char line[256];
		char end[160];
		snprintf(end, sizeof(end), "_decisions_total{pod=\"%s\",reason=\"%s\"} %u\n",
			 pod.pod.name, weft_reason_name((enum weft_reason)reason), 1000 + reason);
		bool is_of_dials = reason < WEFT_REASON_SHORTCUT;
		snprintf(line, sizeof(line), "\nweft_%s%s", is_of_dials ? "capture" : "shortcut",
			 end);
		expect_line(&page, line);
		snprintf(line, sizeof(line), "\nweft_%s%s", is_of_dials ? "shortcut" : "capture",
			 end);
		assert_null(memmem(page.data, page.size, line, strlen(line)));
	}
	expect_line(&page, "# TYPE weft_capture_decisions_total counter\n");
	expect_line(&page, "# TYPE weft_shortcut_decisions_total counter\n");
	text_fini(&page);
	rig_pod_close(&pod);
}

static void bytes_past_tcp_are_shown_by_leg(void **state)
{
	struct rig_pod pod;
	struct text page = {0};
	char line[160];
	rig_pod_open(*state, WEFT_POD_CAPTURE, &pod);
	rig_service(pod.rig, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	carry(&pod, 0, &(struct weft_traffic){.bytes_sent = 500, .shortcut_bytes = 400});
	carry(&pod, WEFT_SOCKET_UPSTREAM, &(struct weft_traffic){.shortcut_bytes = 30});
	kernel_metrics_page(pod.rig->kernel, &page);
	snprintf(line, sizeof(line),
		 "\nweft_flow_shortcut_bytes_total{pod=\"%s\",service=\"web\",leg=\"app\"} 400\n",
		 pod.pod.name);
	expect_line(&page, line);
	snprintf(line, sizeof(line),
		 "\nweft_flow_shortcut_bytes_total{pod=\"%s\",service=\"web\",leg=\"upstream\"} "
		 "30\n",
		 pod.pod.name);
	expect_line(&page, line);
	text_fini(&page);
	rig_pod_close(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reason_is_in_one_metric),
		cmocka_unit_test(bytes_past_tcp_are_shown_by_leg),
	};
	return cmocka_run_group_tests_name("bpf metrics", tests, rig_open, rig_close);
}
