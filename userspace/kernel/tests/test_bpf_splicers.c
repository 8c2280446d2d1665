/* Pods that were seen to splice sockets, as splice.bpf.c notes them. */
#include "kernel/object.h"
#include "kernel/tests/pair.h"

static void splices(const struct rig_pod *pod)
{
	uint64_t now = rig_now_ns();
	assert_int_equal(
		bpf_map_update_elem(pod->rig->kernel->splicers_fd, &pod->pod.pod_id, &now, BPF_ANY),
		0);
}

static bool is_noted(const struct rig_pod *pod)
{
	uint64_t when;
	return bpf_map_lookup_elem(pod->rig->kernel->splicers_fd, &pod->pod.pod_id, &when) == 0;
}

/* A server that does not block, as it is known when it was dialled before. */
static void know_server(const struct rig_pod *pod, const char *address)
{
	struct weft_server server = {.netns_cookie = pod->key.id, .address = rig_address(address)};
	uint64_t now = rig_now_ns();
	char path[160];
	snprintf(path, sizeof(path), "%s/weft_servers", pod->rig->pin_dir);
	int fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	assert_int_equal(bpf_map_update_elem(fd, &server, &now, BPF_ANY), 0);
	close(fd);
}

/* Whether a dial of ours from the pod to a server in it is a leg. */
static bool our_dial_is_a_leg(struct rig_pod *pod)
{
	struct weft_socket mark = {.role = WEFT_SOCKET_UPSTREAM,
				   .pod_id = pod->pod.pod_id,
				   .service_id = SERVICE,
				   .shortcut_window = WINDOW};
	struct weft_leg_end end;
	char address[ADDRESS_TEXT_MAX];
	int listener = rig_server("127.0.0.1", address);
	know_server(pod, address);
	int fd = rig_socket(AF_INET);
	assert_int_equal(kernel_socket_mark(pod->rig->kernel, fd, &mark), 0);
	assert_int_equal(rig_connect(fd, AF_INET, address), 0);
	int accepted = rig_accept_direct(listener);
	bool is_leg = kernel_leg_take(pod->rig->kernel, fd, &end) == 0;
	close(accepted);
	close(fd);
	close(listener);
	return is_leg;
}

/* The server may be the one that splices, as a proxy does that is dialled from its own pod. */
static void neither_its_dials_nor_ours_to_it_have_the_shortcut(void **state)
{
	struct rig_pod pod;
	struct pair pair;
	pod_open(*state, &pod);
	assert_true(our_dial_is_a_leg(&pod));
	splices(&pod);
	pair_open(&pod, &pair);
	assert_null(leg_of(&pod, &pair));
	assert_false(our_dial_is_a_leg(&pod));
	assert_int_equal(rig_count(&pod, WEFT_REASON_TCP_SPLICER), 2);
	pair_close(&pair);
	rig_pod_close(&pod);
}

static void the_next_pod_with_its_id_is_another(void **state)
{
	struct rig_pod pod;
	pod_open(*state, &pod);
	splices(&pod);
	rig_pod_put(&pod); /* other settings, or the next weftd */
	assert_true(is_noted(&pod));
	rig_pod_close(&pod);
	assert_false(is_noted(&pod));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neither_its_dials_nor_ours_to_it_have_the_shortcut),
		cmocka_unit_test(the_next_pod_with_its_id_is_another),
	};
	return cmocka_run_group_tests_name("bpf splicers", tests, rig_open, rig_close);
}
