/* The node's pods: who is meshed and why not, from the first word of the API to the sandbox's end.
 */
#include "control/roster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "control/annotations.h"
#include "control/tests/cluster.h"

static const struct kube_pair enabled_label[] = {{LABEL_MESH, "enabled"}};
static const struct kube_pair disabled_label[] = {{LABEL_MESH, "disabled"}};

/* The API's namespace "shop", pods' sandboxes as files, and what the roster told. */
static struct {
	struct roster roster;
	struct kube_object namespace;
	bool has_namespace;
	struct weft_address ips[2];
	struct kube_pod pod;
	char folder[64];
	char told[256];
	unsigned tells;
	unsigned searches;
} node;

static const struct kube_object *find_namespace(void *owner, const char *name)
{
	(void)owner;
	return node.has_namespace && strcmp(name, "shop") == 0 ? &node.namespace : NULL;
}

static void sandbox_path(const char *uid, char ret_path[128])
{
	snprintf(ret_path, 128, "%s/%s", node.folder, uid);
}

static int find_netns(void *owner, const char *uid, char *ret_path, struct text *why)
{
	char path[128];
	(void)owner;
	node.searches++;
	sandbox_path(uid, path);
	if (access(path, F_OK)) {
		text_printf(why, "no process of pod %s", uid);
		return -ENOENT;
	}
	memcpy(ret_path, path, sizeof(path));
	return 0;
}

static void on_tell(void *owner, const struct kube_object *pod, const char *faults)
{
	(void)owner;
	assert_string_equal(pod->namespace, "shop");
	snprintf(node.told, sizeof(node.told), "%s", faults);
	node.tells++;
}

static void make_sandbox(const char *uid)
{
	char path[128];
	sandbox_path(uid, path);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
}

static void end_sandbox(const char *uid)
{
	char path[128];
	sandbox_path(uid, path);
	assert_int_equal(unlink(path), 0);
}

static int set_up(void **state)
{
	static const struct roster_hooks hooks = {
		.find_namespace = find_namespace, .find_netns = find_netns, .tell = on_tell};
	(void)state;
	memset(&node, 0, sizeof(node));
	roster_init(&node.roster, &hooks);
	node.roster.on_proxy_death = ON_PROXY_DEATH_OPEN;
	node.namespace = object_of(KUBE_NAMESPACES, "", "shop");
	LEND(node.namespace.labels, node.namespace.label_count, enabled_label);
	node.has_namespace = true;
	node.ips[0] = ip_of("10.1.0.5");
	node.ips[1] = ip_of("fd00::5");
	node.pod = pod_of("web-1", node.ips, 2);
	snprintf(node.folder, sizeof(node.folder), "/tmp/weft-roster-%d", getpid());
	char command[96];
	snprintf(command, sizeof(command), "mkdir %s", node.folder);
	return system(command);
}

static int tear_down(void **state)
{
	char command[96];
	(void)state;
	mem_fail_nth(0);
	roster_fini(&node.roster);
	snprintf(command, sizeof(command), "rm -rf %s", node.folder);
	return system(command);
}

/* ---- asking ---- */

static const struct pod_draft *draft_of(const char *name)
{
	struct draft_list list = {0};
	roster_list(&node.roster, &list);
	const struct pod_draft *drafts = list.items;
	for (uint32_t i = 0; i < list.count; i++) {
		if (strcmp(drafts[i].name, name) == 0)
			return &drafts[i];
	}
	return NULL;
}

static bool is_listed(void)
{
	return draft_of("shop/web-1") != NULL;
}

struct shown {
	const char *wanted;
	bool is_found;
	enum roster_verdict verdict;
	char faults[256];
	char problem[256];
};

static void on_shown(void *owner, const char *name, enum roster_verdict verdict, const char *faults,
		     const char *problem)
{
	struct shown *shown = owner;
	if (strcmp(name, shown->wanted) != 0)
		return;
	shown->is_found = true;
	shown->verdict = verdict;
	snprintf(shown->faults, sizeof(shown->faults), "%s", faults);
	snprintf(shown->problem, sizeof(shown->problem), "%s", problem);
}

static struct shown shown_of(const char *name)
{
	struct shown shown = {.wanted = name};
	roster_each(&node.roster, on_shown, &shown);
	return shown;
}

static bool pod_came(const struct kube_pod *pod)
{
	return roster_pod_changed(&node.roster, NULL, &pod->object);
}

static bool pod_changed(const struct kube_pod *before, const struct kube_pod *after)
{
	return roster_pod_changed(&node.roster, &before->object, &after->object);
}

static bool pod_went(const struct kube_pod *pod)
{
	return roster_pod_changed(&node.roster, &pod->object, NULL);
}

/* A copy that a test may change, as the next version of the pod. */
static struct kube_pod next_version(const struct kube_pod *pod)
{
	struct kube_pod next = *pod;
	next.object.version = "2";
	return next;
}

/* ---- who is meshed ---- */

static void a_pod_is_judged_by_its_label_then_its_namespaces(void **state)
{
	static const struct {
		const char *pod, *namespace;
		enum roster_verdict verdict;
	} cases[] = {
		{NULL, NULL, ROSTER_NOT_LABELLED},   {NULL, "enabled", ROSTER_MESHED},
		{NULL, "disabled", ROSTER_DISABLED}, {NULL, "yes", ROSTER_NOT_LABELLED},
		{"enabled", NULL, ROSTER_MESHED},    {"enabled", "disabled", ROSTER_MESHED},
		{"disabled", NULL, ROSTER_DISABLED}, {"disabled", "enabled", ROSTER_DISABLED},
		{"no", "enabled", ROSTER_MESHED},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		const struct kube_pair of_pod = {LABEL_MESH, cases[i].pod};
		const struct kube_pair of_namespace = {LABEL_MESH, cases[i].namespace};
		node.pod.object.labels = &of_pod;
		node.pod.object.label_count = cases[i].pod ? 1 : 0;
		node.namespace.labels = &of_namespace;
		node.namespace.label_count = cases[i].namespace ? 1 : 0;
		if (roster_judge(&node.pod, &node.namespace) != cases[i].verdict)
			fail_msg("case %zu", i);
	}
}

static void pods_that_cannot_be_meshed_say_why(void **state)
{
	static const struct kube_container sidecars[] = {{.name = "app", .id = ""},
							 {.name = "linkerd-proxy", .id = ""}};
	struct kube_pod pod = node.pod;
	(void)state;
	pod.host_network = true;
	assert_int_equal(roster_judge(&pod, &node.namespace), ROSTER_HOST_NETWORK);
	pod = node.pod;
	LEND(pod.containers, pod.container_count, sidecars);
	assert_int_equal(roster_judge(&pod, &node.namespace), ROSTER_OTHER_MESH);
	pod = node.pod;
	pod.phase = KUBE_SUCCEEDED;
	assert_int_equal(roster_judge(&pod, &node.namespace), ROSTER_FINISHED);
	pod.phase = KUBE_FAILED;
	assert_int_equal(roster_judge(&pod, &node.namespace), ROSTER_FINISHED);
	pod.phase = KUBE_PENDING;
	assert_int_equal(roster_judge(&pod, &node.namespace), ROSTER_MESHED);
	assert_int_equal(roster_judge(&pod, NULL), ROSTER_UNKNOWN);
	for (int verdict = ROSTER_MESHED; verdict <= ROSTER_UNKNOWN; verdict++)
		assert_true(strlen(roster_verdict_text((enum roster_verdict)verdict)) > 5);
}

/* ---- a pod's life ---- */

static void a_meshed_pod_is_a_draft_with_its_namespace_and_addresses(void **state)
{
	(void)state;
	make_sandbox("uid");
	assert_true(pod_came(&node.pod));
	const struct pod_draft *draft = draft_of("shop/web-1");
	assert_non_null(draft);
	assert_non_null(strstr(draft->netns_path, "/uid"));
	assert_string_equal(draft->cgroup_path, "");
	assert_true(draft->may_be_left_out);
	assert_true(draft->holds_addresses);
	assert_int_equal(draft->on_proxy_death, ON_PROXY_DEATH_OPEN);
	assert_int_equal(draft->addresses.count, 2);
	const struct draft_value *addresses = draft->addresses.items;
	assert_memory_equal(&addresses[0].address, &node.ips[0], sizeof(node.ips[0]));
	assert_memory_equal(&addresses[1].address, &node.ips[1], sizeof(node.ips[1]));
}

static void a_pod_that_is_not_meshed_is_only_shown(void **state)
{
	(void)state;
	make_sandbox("uid");
	LEND(node.pod.object.labels, node.pod.object.label_count, disabled_label);
	assert_false(pod_came(&node.pod));
	assert_false(is_listed());
	assert_int_equal(shown_of("shop/web-1").verdict, ROSTER_DISABLED);
	assert_false(pod_went(&node.pod));
	assert_false(shown_of("shop/web-1").is_found);
}

static void labels_that_change_enrol_and_un_enrol(void **state)
{
	struct kube_pod next = next_version(&node.pod);
	(void)state;
	make_sandbox("uid");
	pod_came(&node.pod);
	LEND(next.object.labels, next.object.label_count, disabled_label);
	assert_true(pod_changed(&node.pod, &next));
	assert_false(is_listed());
	assert_true(pod_changed(&next, &node.pod));
	assert_true(is_listed());
	node.namespace.label_count = 0;
	assert_true(roster_namespace_changed(&node.roster, "shop"));
	assert_false(is_listed());
	LEND(node.namespace.labels, node.namespace.label_count, enabled_label);
	assert_false(roster_namespace_changed(&node.roster, "bank"));
	assert_false(is_listed());
	assert_true(roster_namespace_changed(&node.roster, "shop"));
	assert_true(is_listed());
}

static void a_pod_may_come_before_its_namespace(void **state)
{
	(void)state;
	make_sandbox("uid");
	node.has_namespace = false;
	assert_false(pod_came(&node.pod));
	assert_int_equal(shown_of("shop/web-1").verdict, ROSTER_UNKNOWN);
	node.has_namespace = true;
	assert_true(roster_namespace_changed(&node.roster, "shop"));
	assert_true(is_listed());
}

static void a_sandbox_that_comes_late_is_found(void **state)
{
	(void)state;
	assert_false(pod_came(&node.pod));
	assert_false(is_listed());
	assert_string_equal(shown_of("shop/web-1").problem, "no process of pod uid");
	assert_false(roster_tick(&node.roster));
	make_sandbox("uid");
	assert_true(roster_tick(&node.roster));
	assert_true(is_listed());
	assert_string_equal(shown_of("shop/web-1").problem, "");
	assert_false(roster_tick(&node.roster));
}

static void a_pod_without_an_address_waits_for_it(void **state)
{
	struct kube_pod early = node.pod;
	(void)state;
	make_sandbox("uid");
	early.ip_count = 0;
	assert_false(pod_came(&early));
	assert_false(is_listed());
	assert_true(pod_changed(&early, &node.pod));
	assert_true(is_listed());
}

static void a_pod_stays_while_its_sandbox_lives(void **state)
{
	(void)state;
	make_sandbox("uid");
	pod_came(&node.pod);
	struct kube_pod next = next_version(&node.pod);
	next.object.is_deleting = true;
	pod_changed(&node.pod, &next);
	assert_true(is_listed());
	assert_false(pod_went(&next)); /* the API forgets it */
	assert_true(is_listed());
	assert_false(roster_tick(&node.roster));
	assert_true(is_listed());
	end_sandbox("uid");
	assert_true(roster_tick(&node.roster));
	assert_false(is_listed());
	assert_false(shown_of("shop/web-1").is_found);
}

static void a_namespace_that_never_comes_is_searched_for_less_and_less(void **state)
{
	(void)state;
	pod_came(&node.pod);
	for (unsigned i = 0; i < 800; i++)
		assert_false(roster_tick(&node.roster));
	assert_in_range(node.searches, 50, 70);
	struct kube_pod next = next_version(&node.pod);
	unsigned before = node.searches;
	pod_changed(&node.pod, &next); /* something happened to it */
	for (unsigned i = 0; i < 4; i++)
		assert_false(roster_tick(&node.roster));
	assert_in_range(node.searches, before + 5, before + 6);
	make_sandbox("uid");
	bool is_due = false;
	for (unsigned i = 0; i < 16; i++)
		is_due |= roster_tick(&node.roster);
	assert_true(is_due);
	assert_true(is_listed());
}

static void a_new_pod_of_the_same_name_is_another_pod(void **state)
{
	struct kube_pod second = node.pod;
	(void)state;
	make_sandbox("uid");
	pod_came(&node.pod);
	pod_went(&node.pod);
	second.object.uid = "uid-2";
	second.ip_count = 0;
	assert_true(pod_came(&second)); /* the old one is to go */
	assert_false(is_listed());
	make_sandbox("uid-2");
	struct kube_pod with_ip = next_version(&second);
	with_ip.ips = &node.ips[1];
	with_ip.ip_count = 1;
	assert_true(pod_changed(&second, &with_ip));
	const struct pod_draft *draft = draft_of("shop/web-1");
	assert_non_null(strstr(draft->netns_path, "/uid-2"));
	assert_int_equal(draft->addresses.count, 1);
	assert_false(pod_went(&node.pod)); /* said late: not about this one */
	assert_true(is_listed());
}

static void a_sandbox_that_is_made_anew_is_found_anew(void **state)
{
	(void)state;
	make_sandbox("uid");
	pod_came(&node.pod);
	end_sandbox("uid");
	assert_true(roster_tick(&node.roster));
	assert_false(is_listed());
	make_sandbox("uid");
	assert_true(roster_tick(&node.roster));
	assert_true(is_listed());
}

static void a_finished_pod_leaves(void **state)
{
	struct kube_pod done = next_version(&node.pod);
	(void)state;
	make_sandbox("uid");
	pod_came(&node.pod);
	done.phase = KUBE_SUCCEEDED;
	assert_true(pod_changed(&node.pod, &done));
	assert_false(is_listed());
	assert_false(pod_went(&done));
	assert_false(shown_of("shop/web-1").is_found);
}

/* ---- annotations ---- */

static void a_namespaces_shortcut_is_its_pods(void **state)
{
	const struct kube_pair pair = {ANNOTATION_SHORTCUT, "on"};
	(void)state;
	make_sandbox("uid");
	pod_came(&node.pod);
	assert_int_equal(draft_of("shop/web-1")->shortcut, WEFT_SHORTCUT_INHERIT);
	node.namespace.annotations = &pair;
	node.namespace.annotation_count = 1;
	assert_true(roster_namespace_changed(&node.roster, "shop"));
	assert_int_equal(draft_of("shop/web-1")->shortcut, WEFT_SHORTCUT_ON);
}

static void bad_annotations_are_told_once_and_the_rest_holds(void **state)
{
	const struct kube_pair pairs[] = {{ANNOTATION_OPAQUE, "25,x"},
					  {ANNOTATION_PROXY_DEATH, "closed"},
					  {ANNOTATION_SHORTCUT, "auto"}};
	const struct kube_pair worse[] = {{ANNOTATION_OPAQUE, "y"}};
	(void)state;
	make_sandbox("uid");
	LEND(node.pod.object.annotations, node.pod.object.annotation_count, pairs);
	pod_came(&node.pod);
	assert_int_equal(node.tells, 1);
	assert_non_null(strstr(node.told, "\"x\""));
	const struct pod_draft *draft = draft_of("shop/web-1");
	assert_int_equal(draft->opaque_ports.count, 1);
	assert_int_equal(draft->on_proxy_death, ON_PROXY_DEATH_CLOSED);
	assert_int_equal(draft->shortcut, WEFT_SHORTCUT_AUTO);

	struct kube_pod next = next_version(&node.pod);
	pod_changed(&node.pod, &next);
	roster_namespace_changed(&node.roster, "shop");
	assert_int_equal(node.tells, 1);
	assert_non_null(strstr(shown_of("shop/web-1").faults, "\"x\""));

	struct kube_pod other = next_version(&next);
	LEND(other.object.annotations, other.object.annotation_count, worse);
	pod_changed(&next, &other);
	assert_int_equal(node.tells, 2);
	assert_int_equal(draft_of("shop/web-1")->on_proxy_death, ON_PROXY_DEATH_OPEN);
	other.object.annotation_count = 0;
	pod_changed(&other, &other);
	assert_int_equal(node.tells, 2);
	assert_string_equal(shown_of("shop/web-1").faults, "");
}

static void a_namespaces_annotations_are_its_pods(void **state)
{
	const struct kube_pair pairs[] = {{ANNOTATION_SKIP_PORTS, "443"}};
	(void)state;
	make_sandbox("uid");
	pod_came(&node.pod);
	LEND(node.namespace.annotations, node.namespace.annotation_count, pairs);
	assert_true(roster_namespace_changed(&node.roster, "shop"));
	assert_int_equal(draft_of("shop/web-1")->skip_ports.count, 1);
}

/* ---- the container runtime's word ---- */

static struct roster_sandbox sandbox_of(const char *uid)
{
	return (struct roster_sandbox){
		.namespace = "shop",
		.name = "web-1",
		.uid = uid,
		.netns = node.folder,
		.addresses = {ip_of("10.1.0.7")},
		.address_count = 1,
	};
}

static void the_runtime_knows_a_pod_before_it_has_processes(void **state)
{
	struct roster_sandbox sandbox = sandbox_of("uid");
	char name[WEFT_NAME_MAX];
	(void)state;
	assert_int_equal(roster_sandbox_added(&node.roster, &sandbox, name), ROSTER_UNKNOWN);
	node.pod.ip_count = 0;
	pod_came(&node.pod);
	assert_false(is_listed());
	assert_int_equal(roster_sandbox_added(&node.roster, &sandbox, name), ROSTER_MESHED);
	assert_string_equal(name, "shop/web-1");
	const struct pod_draft *draft = draft_of("shop/web-1");
	assert_string_equal(draft->netns_path, node.folder);
	assert_int_equal(draft->addresses.count, 1);

	struct kube_pod next = next_version(&node.pod); /* the API knows other addresses */
	next.ip_count = 2;
	assert_true(pod_changed(&node.pod, &next));
	assert_int_equal(draft_of("shop/web-1")->addresses.count, 2);

	assert_true(roster_sandbox_removed(&node.roster, &sandbox, name));
	assert_string_equal(name, "shop/web-1");
	assert_false(is_listed());
	assert_false(roster_sandbox_removed(&node.roster, &sandbox, name));
}

/* The pause process outlives the removal of the pod's network for a moment. */
static void a_sandbox_that_ends_is_not_found_again(void **state)
{
	struct roster_sandbox sandbox = sandbox_of("uid");
	char name[WEFT_NAME_MAX];
	(void)state;
	make_sandbox("uid");
	pod_came(&node.pod);
	assert_true(is_listed());
	assert_true(roster_sandbox_removed(&node.roster, &sandbox, name));
	assert_false(roster_tick(&node.roster));
	assert_false(is_listed());
	assert_int_equal(roster_sandbox_added(&node.roster, &sandbox, name), ROSTER_MESHED);
	assert_true(is_listed());
}

static void the_runtimes_word_is_about_one_uid(void **state)
{
	struct roster_sandbox old = sandbox_of("uid-0");
	char name[WEFT_NAME_MAX];
	(void)state;
	make_sandbox("uid");
	pod_came(&node.pod);
	assert_int_equal(roster_sandbox_added(&node.roster, &old, name), ROSTER_UNKNOWN);
	assert_false(roster_sandbox_removed(&node.roster, &old, name));
	assert_true(is_listed());
}

static void the_runtime_is_told_who_is_not_meshed(void **state)
{
	struct roster_sandbox sandbox = sandbox_of("uid");
	char name[WEFT_NAME_MAX];
	(void)state;
	LEND(node.pod.object.labels, node.pod.object.label_count, disabled_label);
	pod_came(&node.pod);
	assert_int_equal(roster_sandbox_added(&node.roster, &sandbox, name), ROSTER_DISABLED);
	assert_false(is_listed());
}

static void a_pod_that_the_api_forgot_ends_with_its_sandbox(void **state)
{
	struct roster_sandbox sandbox = sandbox_of("uid");
	char name[WEFT_NAME_MAX];
	(void)state;
	make_sandbox("uid");
	pod_came(&node.pod);
	pod_went(&node.pod);
	assert_true(roster_sandbox_removed(&node.roster, &sandbox, name));
	assert_false(shown_of("shop/web-1").is_found);
}

/* ---- names and memory ---- */

static void long_names_stay_apart(void **state)
{
	char long_name[254];
	char other_name[254];
	struct kube_pod pods[2] = {node.pod, node.pod};
	struct draft_list list;
	(void)state;
	make_sandbox("uid");
	memset(long_name, 'a', 253);
	long_name[253] = '\0';
	memcpy(other_name, long_name, sizeof(long_name));
	other_name[252] = 'b';
	pods[0].object.name = long_name;
	pods[1].object.name = other_name;
	pod_came(&pods[0]);
	pod_came(&pods[1]);
	roster_list(&node.roster, &list);
	const struct pod_draft *drafts = list.items;
	assert_int_equal(list.count, 2);
	assert_string_not_equal(drafts[0].name, drafts[1].name);
	assert_int_equal(strlen(drafts[0].name), WEFT_NAME_MAX - 1);
}

static void tell_all(struct kube_pod *pods, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		pod_came(&pods[i]);
}

static void what_was_lost_for_want_of_memory_is_there_when_it_is_told_again(void **state)
{
	static const char *const names[] = {"a", "b", "c"};
	const struct kube_pair pairs[] = {{ANNOTATION_OPAQUE, "25,26"}};
	struct kube_pod pods[] = {node.pod, node.pod, node.pod};
	struct draft_list list;
	bool has_gaps = true;
	unsigned n;
	(void)state;
	make_sandbox("uid");
	for (unsigned i = 0; i < 3; i++) {
		pods[i].object.name = names[i];
		LEND(pods[i].object.annotations, pods[i].object.annotation_count, pairs);
	}
	for (n = 1; has_gaps; n++) {
		roster_fini(&node.roster);
		mem_fail_nth(n);
		tell_all(pods, 3);
		roster_list(&node.roster, &list);
		mem_fail_nth(0);
		has_gaps = node.roster.has_gaps;
		node.roster.has_gaps = false;
		if (has_gaps)
			tell_all(pods, 3);
		roster_list(&node.roster, &list);
		assert_int_equal(list.count, 3);
		const struct pod_draft *drafts = list.items;
		for (unsigned i = 0; i < list.count; i++)
			assert_int_equal(drafts[i].opaque_ports.count, 2);
		assert_false(node.roster.has_gaps);
		assert_in_range(n, 1, 100);
	}
	assert_in_range(n, 10, 100);
}

static void a_list_is_whole_also_without_memory(void **state)
{
	struct draft_list list = {0};
	(void)state;
	make_sandbox("uid");
	pod_came(&node.pod);
	mem_fail_nth(1);
	roster_list(&node.roster, &list);
	mem_fail_nth(0);
	assert_int_equal(list.count, 1);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_pod_is_judged_by_its_label_then_its_namespaces),
		test(pods_that_cannot_be_meshed_say_why),
		test(a_meshed_pod_is_a_draft_with_its_namespace_and_addresses),
		test(a_pod_that_is_not_meshed_is_only_shown),
		test(labels_that_change_enrol_and_un_enrol),
		test(a_pod_may_come_before_its_namespace),
		test(a_sandbox_that_comes_late_is_found),
		test(a_pod_without_an_address_waits_for_it),
		test(a_pod_stays_while_its_sandbox_lives),
		test(a_namespace_that_never_comes_is_searched_for_less_and_less),
		test(a_new_pod_of_the_same_name_is_another_pod),
		test(a_sandbox_that_is_made_anew_is_found_anew),
		test(a_finished_pod_leaves),
		test(a_namespaces_shortcut_is_its_pods),
		test(bad_annotations_are_told_once_and_the_rest_holds),
		test(a_namespaces_annotations_are_its_pods),
		test(the_runtime_knows_a_pod_before_it_has_processes),
		test(a_sandbox_that_ends_is_not_found_again),
		test(the_runtimes_word_is_about_one_uid),
		test(the_runtime_is_told_who_is_not_meshed),
		test(a_pod_that_the_api_forgot_ends_with_its_sandbox),
		test(long_names_stay_apart),
		test(what_was_lost_for_want_of_memory_is_there_when_it_is_told_again),
		test(a_list_is_whole_also_without_memory),
	};
	long live = mem_live();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return failed ? failed : mem_live() != live;
}
