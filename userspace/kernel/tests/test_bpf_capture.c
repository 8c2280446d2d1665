/* cgroup/connect and getpeername/getsockname, loaded and attached for real. */
#include "kernel/tests/rig.h"

#define CAPTURE WEFT_POD_CAPTURE

static void a_blocking_connect_to_a_service_reaches_a_listener_in_the_pod(void **state)
{
	struct rig_pod pod;
	struct weft_flow flow;
	char text[ADDRESS_TEXT_MAX];
	rig_pod_open(*state, CAPTURE, &pod);
	rig_service(*state, RIG_VIRTUAL, 7, WEFT_DESTINATION_READY);
	uint64_t before_ns = rig_now_ns();
	int app = rig_dial(AF_INET, RIG_VIRTUAL);
	int ours = rig_accept(&pod, &flow);
	assert_string_equal(address_print(&flow.destination, text), RIG_VIRTUAL);
	assert_int_equal(flow.service_id, 7);
	assert_int_equal(flow.pod_id, pod.pod.pod_id);
	assert_int_equal(flow.family, AF_INET);
	assert_in_range(flow.dialled_ns, before_ns, rig_now_ns());
	assert_int_equal(rig_count(&pod, WEFT_REASON_CAPTURED), 1);
	rig_assert_peer(app, RIG_VIRTUAL);
	rig_assert_local(app, RIG_POD_IP);
	close(app);
	close(ours);
	rig_pod_close(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_blocking_connect_to_a_service_reaches_a_listener_in_the_pod),
	};
	return cmocka_run_group_tests_name("bpf capture", tests, rig_open, rig_close);
}
