/* Pods' way into capture and out of it. */
#include "control/source.h"
#include "control/tests/stage.h"

#define CLIENT "pods:\n- {name: client, netns: @/client}\n"

static void a_pod_is_captured_when_every_worker_serves_it(void **state)
{
	(void)state;
	stage.workers_serve = false;
	stage_write("client", "");
	stage_open(CLIENT);
	assert_int_equal(stage.added, 0); /* not from inside control_open */
	stage_until(stage.added == 1);
	assert_true(stage_state_is("client", "opening"));
	assert_false(control_is_ready(stage.control));
	control_pod_served(stage.control, stage.last_pod_id, 0);
	control_pod_served(stage.control, stage.last_pod_id, 0);
	stage_turn_for(50000000);
	assert_false(stage_has_row("client"));
	control_pod_served(stage.control, stage.last_pod_id, 1);
	stage_until(stage_is_captured("client"));
	assert_true(stage_state_is("client", "captured"));
	assert_true(control_is_ready(stage.control));

	const struct row_search search = stage_row("client");
	assert_int_equal(search.row.pod_id, stage.last_pod_id);
	assert_int_equal(search.row.flags, WEFT_POD_CAPTURE);
	assert_int_equal(search.row.worker_count, WORKERS);
	assert_int_not_equal(search.row.listeners[1].port4[0], 0);
	assert_int_not_equal(search.row.listeners[1].port6[0], 0);
	assert_int_equal(search.row.local4[12], 10); /* as found in the namespace */
	assert_int_equal(search.key.kind, WEFT_POD_BY_NETNS);
}

static void a_pod_that_a_worker_cannot_serve_is_taken_back_and_tried_again(void **state)
{
	(void)state;
	stage.workers_serve = false;
	stage.workers_leave = false;
	stage_write("client", "");
	stage_open(CLIENT);
	stage_until(stage.added == 1);
	control_pod_served(stage.control, stage.last_pod_id, 0);
	control_pod_not_served(stage.control, stage.last_pod_id, 1);
	stage_until(stage.removing == 1); /* worker 0 has listeners to close */
	assert_int_equal(stage.last_drain_ns, 0);
	assert_string_equal(stage_pod_text("client", "error"), "a worker has no memory for it");
	assert_false(stage_has_row("client"));
	leave_all(stage.last_pod_id);
	stage.workers_serve = true;
	stage_until(stage_is_captured("client"));
	assert_int_equal(stage.added, 2);
	assert_string_equal(stage_pod_text("client", "error"), "");
}

static void a_pods_settings_are_in_its_row_and_exclusions(void **state)
{
	(void)state;
	stage_write("box", "");
	stage_open(
		"pods:\n"
		"- name: box\n"
		"  cgroup: @/box\n"
		"  addresses: [10.7.7.7]\n"
		"  on_proxy_death: closed\n"
		"  capture: all\n"
		"  skip_outbound_ports: [25, 465]\n"
		"  skip_outbound_cidrs: [192.0.2.0/24, \"fd00::/8\"]\n");
	stage_until(stage_is_captured("box"));
	const struct row_search search = stage_row("box");
	assert_int_equal(search.key.kind, WEFT_POD_BY_CGROUP);
	assert_int_equal(search.row.flags,
			 WEFT_POD_CAPTURE | WEFT_POD_FAIL_CLOSED | WEFT_POD_CAPTURE_ALL);
	assert_int_equal(search.row.local4[13], 7);
	struct weft_address v4 = address_of("192.0.2.0:0");
	struct weft_address v6 = address_of("[fd00::]:0");
	uint32_t id = search.row.pod_id;
	assert_true(kernel_double_skips_port(id, 25) && kernel_double_skips_port(id, 465));
	assert_false(kernel_double_skips_port(id, 26));
	assert_true(kernel_double_skips_cidr(id, &v4, 24));
	assert_true(kernel_double_skips_cidr(id, &v6, 8));
}

static void settings_change_without_new_listeners(void **state)
{
	(void)state;
	stage_write("client", "");
	stage_open("pods: [{name: client, netns: @/client, skip_outbound_ports: [25]}]\n");
	stage_until(stage_is_captured("client"));
	uint32_t id = stage_row("client").row.pod_id;
	__be16 port = stage_row("client").row.listeners[0].port4[0];

	stage_write("weft.yaml",
		    "pods: [{name: client, netns: @/client, on_proxy_death: closed, "
		    "skip_outbound_ports: [25, 26]}]\n");
	stage_until(stage_row("client").row.flags & WEFT_POD_FAIL_CLOSED);
	assert_true(kernel_double_skips_port(id, 25) && kernel_double_skips_port(id, 26));
	stage_write("weft.yaml",
		    "pods: [{name: client, netns: @/client, capture: all, "
		    "skip_outbound_ports: [26]}]\n");
	stage_until(stage_row("client").row.flags & WEFT_POD_CAPTURE_ALL);
	assert_false(kernel_double_skips_port(id, 25));
	assert_true(kernel_double_skips_port(id, 26));
	assert_int_equal(stage_row("client").row.listeners[0].port4[0], port);
	assert_int_equal(stage_row("client").row.pod_id, id);
	assert_int_equal(stage.added, 1);
	assert_int_equal(stage.removing, 0);
}

#define TWO_PODS                                                                                   \
	"pods: [{name: client, netns: @/client, shortcut: auto}, {name: other, netns: @/other}]\n"

/* Rows repeat what the mesh says, so that the kernel asks for one row in a dial. */
static void another_word_of_the_mesh_is_in_every_row(void **state)
{
	(void)state;
	stage_write("client", "");
	stage_write("other", "");
	stage_open(TWO_PODS);
	stage_until(stage_is_captured("client") && stage_is_captured("other"));
	struct weft_pod row = stage_row("client").row;
	assert_int_equal(row.shortcut, WEFT_SHORTCUT_AUTO);
	assert_int_equal(row.shortcut_mesh, WEFT_SHORTCUT_OFF);
	assert_int_equal(row.shortcut_window, 256 << 10);
	assert_int_equal(stage_row("other").row.shortcut, WEFT_SHORTCUT_INHERIT);

	const struct pod *before = snapshot_current(stage.slot)->pods[0];
	stage_write("weft.yaml", "shortcut: {mode: on, window: 64KiB}\n" TWO_PODS);
	stage_until(stage_row("client").row.shortcut_mesh == WEFT_SHORTCUT_ON);
	assert_ptr_equal(snapshot_current(stage.slot)->pods[0], before); /* it has not changed */
	assert_int_equal(stage_row("client").row.shortcut, WEFT_SHORTCUT_AUTO);
	assert_int_equal(stage_row("client").row.shortcut_window, 64 << 10);
	assert_int_equal(stage_row("other").row.shortcut_mesh, WEFT_SHORTCUT_ON);

	stage_write("weft.yaml", "shortcut: {mode: on, window: 1MiB}\n" TWO_PODS);
	stage_until(stage_row("client").row.shortcut_window == 1 << 20);
	assert_int_equal(stage_row("other").row.shortcut_window, 1 << 20);
	stage_write("weft.yaml", TWO_PODS);
	stage_until(stage_row("other").row.shortcut_mesh == WEFT_SHORTCUT_OFF);
	assert_true(stage_is_captured("client"));
	assert_int_equal(stage.added, 2);
	assert_int_equal(stage.removing, 0);
}

/* A tracepoint makes every system call of the machine slower. */
static void splices_are_watched_while_somebody_has_the_shortcut_on(void **state)
{
	static const struct {
		const char *config;
		bool watches;
	} steps[] = {
		{"pods: [{name: client, netns: @/client, shortcut: auto}]\n", false},
		{"pods: [{name: client, netns: @/client, shortcut: on}]\n", true},
		{"pods: [{name: client, netns: @/client}]\n", false},
		{"shortcut: {mode: on}\n", true},
		{"shortcut: {mode: auto}\n", false},
		{"services: [{name: a, addresses: [10.96.0.1], ports: [80], shortcut: on}]\n",
		 true},
		{"services: [{name: a, addresses: [10.96.0.1], ports: [80], shortcut: off}]\n",
		 false},
	};
	(void)state;
	stage_write("client", "");
	stage_open("{}\n");
	stage_until(stage_generation() == 1);
	assert_false(kernel_double_watches_splices());
	for (size_t i = 0; i < array_count(steps); i++) {
		stage_write("weft.yaml", steps[i].config);
		stage_until(stage_generation() == i + 2);
		assert_int_equal(kernel_double_watches_splices(), steps[i].watches);
	}
}

static void a_pod_leaves_with_capture_off_first(void **state)
{
	(void)state;
	stage.workers_leave = false;
	stage_write("client", "");
	stage_open("timeouts: {drain: 7s}\n" CLIENT);
	stage_until(stage_is_captured("client"));
	uint32_t id = stage.last_pod_id;
	stage_write("weft.yaml", "timeouts: {drain: 5s}\n");
	stage_until(stage.removing == 1);
	assert_false(stage.capture_at_leave);
	assert_true(stage_has_row("client"));
	assert_int_equal(stage.last_pod_id, id);
	assert_int_equal(stage.last_drain_ns, 5000000000);
	assert_true(stage_state_is("client", "draining"));
	assert_true(control_is_ready(stage.control)); /* one that leaves holds up nobody */
	control_pod_left(stage.control, id, 1);
	stage_turn_for(50000000);
	assert_true(stage_has_row("client"));
	control_pod_left(stage.control, id, 0);
	stage_until(!stage_has_row("client"));
	assert_true(stage_state_is("client", ""));
}

static void a_pod_that_cannot_be_opened_is_tried_again_and_holds_up_nobody(void **state)
{
	(void)state;
	stage_write("other", "");
	stage_open(CLIENT "- {name: other, netns: @/other}\n");
	stage_until(stage_is_captured("other"));
	assert_true(stage_state_is("client", "failed"));
	assert_non_null(strstr(stage_pod_text("client", "error"), "/client: No such file"));
	assert_true(control_is_ready(stage.control));
	stage_write("client", "");
	stage_until(stage_is_captured("client"));
	assert_string_equal(stage_pod_text("client", "error"), "");
}

static void the_sentence_of_the_helper_is_shown(void **state)
{
	(void)state;
	stage_write("client", "");
	kernel_double_fail_pod(-EPERM, "setns is forbidden here: run weftd as root");
	stage_open(CLIENT);
	stage_until(stage_state_is("client", "failed"));
	assert_string_equal(stage_pod_text("client", "error"),
			    "setns is forbidden here: run weftd as root");
	kernel_double_fail_pod(0, NULL);
	stage_until(stage_is_captured("client"));
}

static void a_namespace_that_vanishes_is_un_enrolled_and_comes_back(void **state)
{
	(void)state;
	stage_write("client", "");
	stage_open(CLIENT);
	stage_until(stage_is_captured("client"));
	uint32_t id = stage.last_pod_id;
	stage_remove("client");
	stage_until(!stage_has_row("client"));
	assert_int_equal(stage.removing, 1);
	assert_in_range(stage.last_drain_ns, 0, 1000000000);
	stage_until(stage_state_is("client", "failed"));
	stage_write("client", "");
	stage_until(stage_is_captured("client"));
	assert_int_equal(stage.added, 2);
	assert_int_equal(stage.last_pod_id, id);
}

static void another_namespace_behind_the_same_path_is_enrolled_anew(void **state)
{
	(void)state;
	stage_write("client", "");
	stage_open(CLIENT);
	stage_until(stage_is_captured("client"));
	stage_write("client", "another inode");
	stage_until(stage.added == 2);
	assert_int_equal(stage.removing, 1);
	stage_until(stage_is_captured("client"));
}

static void a_pod_that_moves_waits_for_its_old_place(void **state)
{
	(void)state;
	stage.workers_leave = false;
	stage_write("client", "");
	stage_write("client2", "");
	stage_open(CLIENT);
	stage_until(stage_is_captured("client"));
	uint32_t id = stage.last_pod_id;
	stage_write("weft.yaml", "pods: [{name: client, netns: @/client2}]\n");
	stage_until(stage.removing == 1);
	stage_turn_for(1200000000); /* longer than a tick */
	assert_int_equal(stage.added, 1);
	leave_all(id);
	stage_until(stage.added == 2);
	stage_until(stage_is_captured("client"));
	assert_int_equal(kernel_double_pod_count(), 1);
}

static void a_place_that_gets_another_name_waits_too(void **state)
{
	(void)state;
	stage.workers_leave = false;
	stage_write("client", "");
	stage_open(CLIENT);
	stage_until(stage_is_captured("client"));
	uint32_t id = stage.last_pod_id;
	stage_write("weft.yaml", "pods: [{name: renamed, netns: @/client}]\n");
	stage_until(stage.removing == 1);
	assert_true(stage_state_is("renamed", "opening"));
	leave_all(id);
	stage_until(stage_is_captured("renamed"));
	assert_false(stage_has_row("client"));
	assert_int_equal(kernel_double_pod_count(), 1);
}

static void a_place_with_two_paths_belongs_to_the_first_pod(void **state)
{
	(void)state;
	stage_write("client", "");
	stage_link("client", "twin");
	stage_open(CLIENT "- {name: twin, netns: @/twin}\n");
	stage_until(stage_state_is("twin", "failed") && stage_is_captured("client"));
	assert_non_null(strstr(stage_pod_text("twin", "error"),
			       "/twin is the same network namespace as that of pod client"));
	stage_write("weft.yaml", CLIENT);
	stage_until(stage_state_is("twin", ""));
	assert_true(stage_has_row("client"));
	stage_write("weft.yaml", "pods: [{name: twin, netns: @/twin}]\n");
	stage_until(stage_is_captured("twin"));
	assert_false(stage_has_row("client"));
}

static void a_full_map_is_a_failure_that_is_tried_again(void **state)
{
	(void)state;
	stage_write("client", "");
	kernel_double_fail_put(-E2BIG);
	stage_open(CLIENT);
	stage_until(stage_state_is("client", "failed"));
	assert_string_equal(stage_pod_text("client", "error"),
			    "cannot be entered into the kernel's maps: Argument list too long");
	assert_int_equal(stage.removing, 1); /* the workers gave their listeners back */
	kernel_double_fail_put(0);
	stage_until(stage_is_captured("client"));
	assert_int_equal(stage.added, 2);
}

/* ---- what a weftd before left ---- */

static void enrolled_pods_stay_in_the_map_over_a_restart(void **state)
{
	(void)state;
	stage_write("client", "");
	stage_write("gone", "");
	stage_open("pods:\n- {name: gone, netns: @/gone}\n- {name: client, netns: @/client}\n");
	stage_until(stage_is_captured("client") && stage_is_captured("gone"));
	uint32_t id = stage_row("client").row.pod_id;
	uint32_t gone_id = stage_row("gone").row.pod_id;
	__be16 port = stage_row("client").row.listeners[0].port4[0];
	stage_close();
	assert_true(stage_is_captured("client"));

	stage.added = 0;
	stage_open("pods:\n- {name: aaa, netns: @/gone}\n- {name: client, netns: @/client}\n");
	stage_until(stage.added == 2);
	assert_true(stage.row_at_added);
	stage_until(stage_is_captured("aaa") &&
		    stage_row("client").row.listeners[0].port4[0] != port);
	assert_int_equal(stage_row("client").row.pod_id, id);
	assert_int_not_equal(stage_row("aaa").row.pod_id, gone_id);
	assert_false(stage_has_row("gone"));
	assert_int_equal(kernel_double_pod_count(), 2);
}

static void a_row_of_an_older_namespace_of_the_pod_is_removed(void **state)
{
	static const struct weft_pod_key old_key = {.id = 99, .kind = WEFT_POD_BY_NETNS};
	static const struct weft_pod old = {
		.pod_id = 4, .flags = WEFT_POD_CAPTURE, .name = "client"};
	(void)state;
	assert_int_equal(kernel_pod_put(stage.kernel, &old_key, &old), 0);
	stage_write("client", "");
	stage_open("pods: [{name: client, netns: @/client, skip_outbound_ports: [25]}]\n");
	stage_until(control_is_ready(stage.control));
	assert_null(kernel_double_pod(&old_key));
	assert_int_equal(stage_row("client").row.pod_id, 4);
	assert_true(kernel_double_skips_port(4, 25));
}

static void a_row_of_a_namespace_that_is_not_there_is_removed(void **state)
{
	static const struct weft_pod_key old_key = {.id = 99, .kind = WEFT_POD_BY_NETNS};
	static const struct weft_pod old = {
		.pod_id = 4, .flags = WEFT_POD_CAPTURE, .name = "client"};
	(void)state;
	assert_int_equal(kernel_pod_put(stage.kernel, &old_key, &old), 0);
	stage_open(CLIENT);
	stage_until(stage_state_is("client", "failed"));
	assert_int_equal(kernel_double_pod_count(), 0);
}

/* ---- draining ---- */

static void draining_takes_every_pod_out_and_then_tells(void **state)
{
	(void)state;
	stage.workers_leave = false;
	stage_write("client", "");
	stage_write("other", "");
	stage_open("timeouts: {drain: 3s}\n" CLIENT
		   "- {name: other, netns: @/other}\n"
		   "- {name: missing, netns: @/missing}\n");
	stage_until(stage_is_captured("client") && stage_is_captured("other"));
	control_drain(stage.control, DRAIN_FOR_GOOD, on_drained, NULL);
	assert_int_equal(stage.removing, 2);
	assert_int_equal(stage.last_drain_ns, 3000000000);
	assert_false(stage.capture_at_leave);
	assert_false(stage_is_captured("client") || stage_is_captured("other"));
	assert_false(control_is_ready(stage.control));
	leave_all(stage_row("client").row.pod_id);
	stage_until(!stage_has_row("client"));
	assert_int_equal(stage.drained, 0);
	leave_all(stage_row("other").row.pod_id);
	stage_until(stage.drained == 1);
	assert_int_equal(kernel_double_pod_count(), 0);

	stage_write("weft.yaml", "services: []\n");
	control_reload(stage.control);
	stage_turn_for(150000000);
	assert_int_equal(stage_generation(), 1);
	control_drain(stage.control, DRAIN_FOR_GOOD, on_drained, NULL);
	assert_int_equal(stage.drained, 2);
}

static void after_stopping_the_workers_get_no_pod_and_are_told_of_none(void **state)
{
	(void)state;
	stage_write("client", "");
	stage_open(CLIENT);
	control_stop(stage.control);
	stage_turn_for(1200000000); /* longer than a tick */
	assert_int_equal(stage.added, 0);
	stage_close();

	stage_open(CLIENT);
	stage_until(stage_is_captured("client"));
	control_stop(stage.control);
	stage_remove("client");
	stage_turn_for(1200000000);
	assert_int_equal(stage.removing, 0);
	assert_true(stage_is_captured("client"));
}

static void draining_without_pods_is_done_at_once(void **state)
{
	(void)state;
	stage_open("{}");
	control_drain(stage.control, DRAIN_FOR_GOOD, on_drained, NULL);
	assert_int_equal(stage.drained, 1);
}

/* A pod that workers are still taking over when the order to drain comes. */
static void a_pod_on_its_way_in_is_drained_too(void **state)
{
	static const struct weft_pod_key old_key = {.id = 99, .kind = WEFT_POD_BY_NETNS};
	static const struct weft_pod old = {
		.pod_id = 4, .flags = WEFT_POD_CAPTURE, .name = "client"};
	(void)state;
	assert_int_equal(kernel_pod_put(stage.kernel, &old_key, &old), 0);
	stage.workers_serve = false;
	stage.workers_leave = false;
	stage_write("client", "");
	stage_open(CLIENT);
	stage_until(stage.added == 1);
	control_drain(stage.control, DRAIN_FOR_GOOD, on_drained, NULL);
	assert_int_equal(stage.removing, 1);
	serve_all(stage.last_pod_id);
	leave_all(stage.last_pod_id);
	stage_until(stage.drained == 1);
	assert_int_equal(kernel_double_pod_count(), 0);
}

/* One that fails closed stays refused until the next weftd serves it. */
static void a_shutdown_leaves_closed_pods_refused(void **state)
{
	(void)state;
	stage.workers_leave = false;
	stage_write("client", "");
	stage_write("closed", "");
	stage_open(CLIENT
		   "- {name: closed, netns: @/closed, on_proxy_death: closed, "
		   "skip_outbound_ports: [25]}\n");
	stage_until(stage_is_captured("client") && stage_is_captured("closed"));
	uint32_t id = stage_row("closed").row.pod_id;
	control_drain(stage.control, DRAIN_FOR_RESTART, on_drained, NULL);
	assert_int_equal(stage.removing, 2);
	assert_false(stage_is_captured("client"));
	assert_int_equal(stage_row("closed").row.flags, WEFT_POD_CAPTURE | WEFT_POD_FAIL_CLOSED);
	assert_int_equal(stage_row("closed").row.listeners[0].port4[0], 0);
	assert_int_equal(stage_row("closed").row.listeners[1].port6[0], 0);
	leave_all(stage_row("client").row.pod_id);
	leave_all(id);
	stage_until(stage.drained == 1);
	assert_int_equal(kernel_double_pod_count(), 1);
	assert_true(kernel_double_skips_port(id, 25));

	stage_close();
	stage_open("pods: [{name: closed, netns: @/closed, on_proxy_death: closed}]\n");
	stage_until(stage_row("closed").row.listeners[0].port4[0] != 0);
	assert_int_equal(stage_row("closed").row.pod_id, id);
	assert_int_equal(kernel_double_pod_count(), 1);
}

/* What a weftd before this one enrolled, and this one did not come to. */
static void a_shutdown_leaves_closed_pods_that_are_on_their_way_in_refused(void **state)
{
	static const struct weft_pod_key keys[] = {{.id = 98, .kind = WEFT_POD_BY_NETNS},
						   {.id = 99, .kind = WEFT_POD_BY_NETNS}};
	struct weft_pod row = {.pod_id = 3, .flags = WEFT_POD_CAPTURE, .name = "client"};
	(void)state;
	assert_int_equal(kernel_pod_put(stage.kernel, &keys[0], &row), 0);
	row = (struct weft_pod){
		.pod_id = 4, .flags = WEFT_POD_CAPTURE | WEFT_POD_FAIL_CLOSED, .name = "closed"};
	assert_int_equal(kernel_pod_put(stage.kernel, &keys[1], &row), 0);
	stage.workers_serve = false;
	stage_write("client", "");
	stage_write("closed", "");
	stage_open(CLIENT "- {name: closed, netns: @/closed, on_proxy_death: closed}\n");
	stage_until(stage.added == 2);
	control_drain(stage.control, DRAIN_FOR_RESTART, on_drained, NULL);
	stage_until(stage.drained == 1);
	assert_null(kernel_double_pod(&keys[0]));
	assert_non_null(kernel_double_pod(&keys[1]));
}

/* ---- what is shown ---- */

static void a_pod_is_shown_with_all_that_is_known_of_it(void **state)
{
	(void)state;
	stage_write("client", "");
	struct weft_address local = address_of("10.0.0.1:40000");
	struct weft_address peer = address_of("[fd00::2]:5432");
	kernel_double_uncaptured_add(1, &local, &peer);
	stage_open(
		"pods: [{name: client, netns: @/client, addresses: [10.0.0.1], "
		"skip_outbound_ports: [25], skip_outbound_cidrs: [192.0.2.0/24]}]\n");
	stage_until(stage_is_captured("client"));
	kernel_double_reason_add(1, WEFT_REASON_CAPTURED, 7);
	kernel_double_reason_add(1, WEFT_REASON_PASS_NOT_MESH, 2);

	cJSON *list = stage_pods_json();
	assert_int_equal(cJSON_GetArraySize(list), 1);
	const cJSON *pod = cJSON_GetArrayItem(list, 0);
	cJSON *since = cJSON_DetachItemFromObject((cJSON *)pod, "since_seconds");
	assert_true(cJSON_IsNumber(since) && since->valuedouble >= 0 && since->valuedouble < 20);
	cJSON_Delete(since);
	cJSON_DeleteItemFromObject((cJSON *)pod, "netns");
	cJSON_DeleteItemFromObject((cJSON *)pod, "listeners");
	char *printed = cJSON_PrintUnformatted(pod);
	assert_string_equal(printed,
			    "{\"name\":\"client\",\"id\":1,\"state\":\"captured\",\"error\":null,"
			    "\"on_proxy_death\":\"open\",\"capture\":\"services\",\"shortcut\":"
			    "\"inherit\",\"trust_dtab_headers\":false,"
			    "\"addresses\":[\"10.0.0.1\",\"fd00::1\"],\"skip_outbound_ports\":[25],"
			    "\"skip_outbound_cidrs\":[\"192.0.2.0/24\"],"
			    "\"uncaptured_connections\":[{\"local\":\"10.0.0.1:40000\",\"peer\":\"["
			    "fd00::2]:5432\"}],"
			    "\"decisions\":{\"captured\":7,\"pass_not_mesh\":2}}");
	cJSON_free(printed);
	cJSON_Delete(list);

	list = stage_pods_json();
	const cJSON *listeners = cJSON_GetObjectItem(cJSON_GetArrayItem(list, 0), "listeners");
	assert_int_equal(cJSON_GetArraySize(listeners), WORKERS);
	const cJSON *second = cJSON_GetArrayItem(listeners, 1);
	assert_int_equal(cJSON_GetObjectItem(second, "worker")->valueint, 1);
	const cJSON *ports = cJSON_GetObjectItem(second, "ports4");
	assert_int_equal(cJSON_GetArraySize(ports), WEFT_LANES);
	assert_int_equal(cJSON_GetArrayItem(ports, 2)->valueint,
			 ntohs(stage_row("client").row.listeners[1].port4[2]));
	cJSON_Delete(list);
}

static void any_allocation_may_fail_while_pods_come_and_go(void **state)
{
	static const char with[] = CLIENT;
	static const char without[] = "pods: []\n";
	(void)state;
	stage_write("client", "");
	stage_open(without);
	for (unsigned long n = 1; n < 45; n++) {
		mem_fail_nth(n);
		stage_write("weft.yaml", n % 2 ? with : without);
		control_reload(stage.control);
		stage_turn_for(70000000);
		mem_fail_nth(0);
	}
	stage_write("weft.yaml", with);
	stage_until(stage_is_captured("client"));
	stage_write("weft.yaml", without);
	stage_until(!stage_has_row("client"));
	stage_until(control_is_ready(stage.control));
}

static void rows_of_before_stay_until_the_cluster_is_known(void **state)
{
	(void)state;
	stage_write("client", "");
	stage_open(
		"services:\n- {name: web, addresses: [10.96.0.1], ports: [80]}\n"
		"pods:\n- {name: client, netns: @/client}\n");
	stage_until(stage_is_captured("client"));
	uint32_t service_id = destination_of("10.96.0.1:80")->service_id;
	uint32_t pod_id = stage_row("client").row.pod_id;
	stage_close();
	stage_open(
		"kubernetes: {enabled: true, node: n1}\n"
		"services:\n- {name: other, addresses: [10.96.0.2], ports: [80]}\n");
	stage_until(control_is_ready(stage.control));
	stage_turn_for(100000000);
	assert_int_equal(destination_of("10.96.0.1:80")->service_id, service_id);
	assert_true(stage_has_row("client"));
	assert_int_not_equal(destination_of("10.96.0.2:80")->service_id, service_id);
	/* The cluster turns out to have the pod and not the service. */
	stage_write("weft.yaml",
		    "kubernetes: {enabled: true, node: n1}\n"
		    "pods:\n- {name: client, netns: @/client}\n");
	stage_until(stage.added == 2);
	control_release_adopted(stage.control);
	assert_null(destination_of("10.96.0.1:80"));
	stage_until(stage_is_captured("client"));
	assert_int_equal(stage_row("client").row.pod_id, pod_id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		stage_test(a_pod_is_captured_when_every_worker_serves_it),
		stage_test(a_pod_that_a_worker_cannot_serve_is_taken_back_and_tried_again),
		stage_test(a_pods_settings_are_in_its_row_and_exclusions),
		stage_test(settings_change_without_new_listeners),
		stage_test(another_word_of_the_mesh_is_in_every_row),
		stage_test(splices_are_watched_while_somebody_has_the_shortcut_on),
		stage_test(a_pod_leaves_with_capture_off_first),
		stage_test(a_pod_that_cannot_be_opened_is_tried_again_and_holds_up_nobody),
		stage_test(the_sentence_of_the_helper_is_shown),
		stage_test(a_namespace_that_vanishes_is_un_enrolled_and_comes_back),
		stage_test(another_namespace_behind_the_same_path_is_enrolled_anew),
		stage_test(a_pod_that_moves_waits_for_its_old_place),
		stage_test(a_place_that_gets_another_name_waits_too),
		stage_test(a_place_with_two_paths_belongs_to_the_first_pod),
		stage_test(a_full_map_is_a_failure_that_is_tried_again),
		stage_test(enrolled_pods_stay_in_the_map_over_a_restart),
		stage_test(a_row_of_an_older_namespace_of_the_pod_is_removed),
		stage_test(a_row_of_a_namespace_that_is_not_there_is_removed),
		stage_test(draining_takes_every_pod_out_and_then_tells),
		stage_test(after_stopping_the_workers_get_no_pod_and_are_told_of_none),
		stage_test(draining_without_pods_is_done_at_once),
		stage_test(a_pod_on_its_way_in_is_drained_too),
		stage_test(a_shutdown_leaves_closed_pods_refused),
		stage_test(a_shutdown_leaves_closed_pods_that_are_on_their_way_in_refused),
		stage_test(a_pod_is_shown_with_all_that_is_known_of_it),
		stage_test(any_allocation_may_fail_while_pods_come_and_go),
		stage_test(rows_of_before_stay_until_the_cluster_is_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
