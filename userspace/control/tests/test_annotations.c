/* The annotations weft.io/… of pods, namespaces and Services. */
#include "control/annotations.h"

#include <errno.h>

#include "control/tests/cluster.h"
#include "model/keys.h"

/* What a pod's annotations (or its namespace's) say. */
static struct {
	struct kube_pair pairs[8];
	struct kube_pair namespace_pairs[4];
	struct kube_object pod;
	struct kube_object namespace;
	struct arena arena;
	struct pod_draft draft;
	struct text faults;
} said;

static int set_up(void **state)
{
	(void)state;
	memset(&said, 0, sizeof(said));
	said.pod = object_of(KUBE_PODS, "shop", "web-1");
	said.pod.annotations = said.pairs;
	said.namespace = object_of(KUBE_NAMESPACES, "", "shop");
	said.namespace.annotations = said.namespace_pairs;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_fini(&said.arena);
	text_fini(&said.faults);
	return 0;
}

static void annotate(struct kube_object *object, const char *key, const char *value)
{
	struct kube_pair *pairs = object == &said.pod ? said.pairs : said.namespace_pairs;
	pairs[object->annotation_count++] = (struct kube_pair){key, value};
}

static const char *read_faults(void)
{
	said.draft = (struct pod_draft){0};
	text_clear(&said.faults);
	assert_int_equal(annotations_read(&said.pod, &said.namespace, &said.arena, &said.draft,
					  &said.faults),
			 0);
	return said.faults.size ? said.faults.data : "";
}

static void expect_ports(const struct draft_list *list, size_t count, const uint64_t *ports)
{
	const struct draft_value *values = list->items;
	assert_int_equal(list->count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(values[i].number, ports[i]);
}

#define PORTS(list, ...)                                                                           \
	expect_ports(&(list), array_count(((const uint64_t[]){__VA_ARGS__})),                      \
		     (const uint64_t[]){__VA_ARGS__})

static void each_annotation_fills_its_setting(void **state)
{
	(void)state;
	annotate(&said.pod, ANNOTATION_OPAQUE, "25, 3306");
	annotate(&said.pod, ANNOTATION_SKIP_PORTS, "443");
	annotate(&said.pod, ANNOTATION_SKIP_CIDRS, "192.0.2.0/24,2001:db8::/32");
	annotate(&said.pod, ANNOTATION_PROXY_DEATH, "closed");
	annotate(&said.pod, ANNOTATION_SHORTCUT, "auto");
	assert_string_equal(read_faults(), "");
	assert_int_equal(said.draft.shortcut, WEFT_SHORTCUT_AUTO);
	PORTS(said.draft.opaque_ports, 25, 3306);
	PORTS(said.draft.skip_ports, 443);
	assert_int_equal(said.draft.on_proxy_death, ON_PROXY_DEATH_CLOSED);
	assert_int_equal(said.draft.skip_cidrs.count, 2);
	const struct draft_value *cidrs = said.draft.skip_cidrs.items;
	const struct weft_address networks[] = {ip_of("192.0.2.0"), ip_of("2001:db8::")};
	assert_memory_equal(&cidrs[0].address, &networks[0], sizeof(networks[0]));
	assert_memory_equal(&cidrs[1].address, &networks[1], sizeof(networks[1]));
}

static void without_annotations_the_draft_keeps_what_it_has(void **state)
{
	(void)state;
	said.draft.on_proxy_death = ON_PROXY_DEATH_CLOSED;
	assert_int_equal(annotations_read(&said.pod, NULL, &said.arena, &said.draft, &said.faults),
			 0);
	assert_int_equal(said.draft.on_proxy_death, ON_PROXY_DEATH_CLOSED);
	assert_int_equal(said.draft.opaque_ports.count, 0);
	assert_int_equal(said.draft.shortcut, WEFT_SHORTCUT_INHERIT);
	assert_int_equal(said.faults.size, 0);
}

static void protocol_hints_are_for_single_ports(void **state)
{
	(void)state;
	annotate(&said.pod, ANNOTATION_PROTOCOL, "8080=http, 9000 = opaque,7000=auto,8081=http");
	assert_string_equal(read_faults(), "");
	PORTS(said.draft.http_ports, 8080, 8081);
	PORTS(said.draft.opaque_ports, 9000);
}

static void opaque_ports_and_hints_are_one_list(void **state)
{
	(void)state;
	annotate(&said.pod, ANNOTATION_OPAQUE, "25");
	annotate(&said.pod, ANNOTATION_PROTOCOL, "9000=opaque,25=http");
	assert_string_equal(read_faults(),
			    "weft.io/protocol: \"25=http\" names a port a second time\n");
	PORTS(said.draft.opaque_ports, 25, 9000);
	assert_int_equal(said.draft.http_ports.count, 0);
}

static void a_pods_own_word_is_for_its_namespaces(void **state)
{
	(void)state;
	annotate(&said.namespace, ANNOTATION_OPAQUE, "1,2");
	annotate(&said.namespace, ANNOTATION_SKIP_PORTS, "3");
	annotate(&said.pod, ANNOTATION_OPAQUE, "25");
	assert_string_equal(read_faults(), "");
	PORTS(said.draft.opaque_ports, 25);
	PORTS(said.draft.skip_ports, 3);
	annotate(&said.pod, ANNOTATION_SKIP_PORTS, ""); /* none, whatever the namespace says */
	assert_string_equal(read_faults(), "");
	assert_int_equal(said.draft.skip_ports.count, 0);
}

/* NULL: says nothing. */
static void the_shortcut_is_the_objects_own_word_then_its_namespaces(void **state)
{
	static const struct {
		const char *own, *namespaces;
		enum weft_shortcut means;
		bool is_fault;
	} cases[] = {
		{NULL, NULL, WEFT_SHORTCUT_INHERIT, false},
		{"off", NULL, WEFT_SHORTCUT_OFF, false},
		{"auto", NULL, WEFT_SHORTCUT_AUTO, false},
		{"on", NULL, WEFT_SHORTCUT_ON, false},
		{NULL, "off", WEFT_SHORTCUT_OFF, false},
		{NULL, "auto", WEFT_SHORTCUT_AUTO, false},
		{NULL, "on", WEFT_SHORTCUT_ON, false},
		{"off", "on", WEFT_SHORTCUT_OFF, false},
		{"on", "off", WEFT_SHORTCUT_ON, false},
		{"auto", "sometimes", WEFT_SHORTCUT_AUTO, false},
		{NULL, "sometimes", WEFT_SHORTCUT_INHERIT, true},
		{"never", "on", WEFT_SHORTCUT_INHERIT, true},
		{"", "on", WEFT_SHORTCUT_INHERIT, true},
		{"inherit", NULL, WEFT_SHORTCUT_INHERIT, true},
		{"On", NULL, WEFT_SHORTCUT_INHERIT, true},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		said.pod.annotation_count = said.namespace.annotation_count = 0;
		if (cases[i].own)
			annotate(&said.pod, ANNOTATION_SHORTCUT, cases[i].own);
		if (cases[i].namespaces)
			annotate(&said.namespace, ANNOTATION_SHORTCUT, cases[i].namespaces);
		assert_int_equal(*read_faults() != '\0', cases[i].is_fault);
		assert_int_equal(said.draft.shortcut, cases[i].means);
		assert_int_equal(annotation_shortcut(&said.pod, &said.namespace), cases[i].means);
	}
	said.pod.annotation_count = 0;
	annotate(&said.pod, ANNOTATION_SHORTCUT, "on");
	assert_int_equal(annotation_shortcut(&said.pod, NULL), WEFT_SHORTCUT_ON);
}

/* Nobody is trusted who does not say so, or says it wrongly. */
static void trust_is_the_pods_own_word_then_its_namespaces(void **state)
{
	static const struct {
		const char *own, *namespaces;
		bool trusts, faults;
	} cases[] = {
		{NULL, NULL, false, false},   {"true", NULL, true, false},
		{NULL, "true", true, false},  {"false", "true", false, false},
		{"yes", "true", false, true}, {"", "true", false, true},
		{"True", NULL, false, true},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		said.pod.annotation_count = said.namespace.annotation_count = 0;
		if (cases[i].own)
			annotate(&said.pod, ANNOTATION_TRUST_DTAB, cases[i].own);
		if (cases[i].namespaces)
			annotate(&said.namespace, ANNOTATION_TRUST_DTAB, cases[i].namespaces);
		const char *faults = read_faults();
		assert_int_equal(said.draft.trusts_dtabs, cases[i].trusts);
		assert_int_equal(*faults != '\0', cases[i].faults);
		assert_int_equal(annotation_trusts_dtabs(&said.pod),
				 cases[i].own && !strcmp(cases[i].own, "true"));
	}
}

static void a_services_window_is_a_size(void **state)
{
	static const struct {
		const char *value;
		uint32_t bytes;
	} cases[] = {
		{"256KiB", 256 << 10}, {"1MiB", 1 << 20}, {"65536", 65536}, {"0", 0},     {"", 0},
		{"256K", 0},           {"-1", 0},         {"1GiB", 0},      {"a lot", 0},
	};
	(void)state;
	assert_int_equal(annotation_shortcut_window(&said.pod), 0);
	annotate(&said.pod, ANNOTATION_WINDOW, "");
	for (size_t i = 0; i < array_count(cases); i++) {
		said.pairs[0].value = cases[i].value;
		assert_int_equal(annotation_shortcut_window(&said.pod), cases[i].bytes);
		text_clear(&said.faults);
		annotations_check_service(&said.pod, &said.faults);
		assert_int_equal(said.faults.size > 0,
				 !cases[i].bytes && strcmp(cases[i].value, "0") != 0);
	}
}

static void what_is_wrong_is_told_and_the_rest_holds(void **state)
{
	static const struct {
		const char *key, *value, *fault;
	} cases[] = {
		{ANNOTATION_OPAQUE, "25,x,3306", "\"x\""},
		{ANNOTATION_OPAQUE, "0", "\"0\""},
		{ANNOTATION_OPAQUE, "65536", "\"65536\""},
		{ANNOTATION_OPAQUE, "-1", "\"-1\""},
		{ANNOTATION_OPAQUE, "80-90", "\"80-90\""},
		{ANNOTATION_SKIP_PORTS, "99999999999999999999999999", "\"99999999999"},
		{ANNOTATION_SKIP_CIDRS, "192.0.2.0/33", "\"192.0.2.0/33\""},
		{ANNOTATION_SKIP_CIDRS, "example.com", "\"example.com\""},
		{ANNOTATION_SKIP_CIDRS,
		 "1111:1111:1111:1111:1111:1111:1111:1111/128/1111:1111:1111:1111:1111:1111",
		 "is too long"},
		{ANNOTATION_PROTOCOL, "8080", "is not PORT=auto, PORT=http or PORT=opaque"},
		{ANNOTATION_PROTOCOL, "8080=", "\"8080=\""},
		{ANNOTATION_PROTOCOL, "=http", "\"=http\""},
		{ANNOTATION_PROTOCOL, "0=http", "\"0=http\""},
		{ANNOTATION_PROTOCOL, "80=HTTP", "\"80=HTTP\""},
		{ANNOTATION_PROTOCOL, "80=http=x", "\"80=http=x\""},
		{ANNOTATION_PROXY_DEATH, "opened", "is not open or closed"},
		{ANNOTATION_PROXY_DEATH, "", "is not open or closed"},
		{ANNOTATION_SHORTCUT, "yes", "\"yes\" is not off, auto or on"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		said.pod.annotation_count = 0;
		annotate(&said.pod, cases[i].key, cases[i].value);
		const char *faults = read_faults();
		if (!strstr(faults, cases[i].fault) || !strstr(faults, cases[i].key))
			fail_msg("%s: %s: %s", cases[i].key, cases[i].value, faults);
		assert_ptr_equal(strchr(faults, '\n'), faults + strlen(faults) - 1);
		arena_fini(&said.arena);
	}
	said.pod.annotation_count = 0;
	annotate(&said.pod, ANNOTATION_OPAQUE, "25,x,3306");
	annotate(&said.pod, ANNOTATION_SKIP_PORTS, "443");
	(void)read_faults();
	PORTS(said.draft.opaque_ports, 25, 3306);
	PORTS(said.draft.skip_ports, 443);
}

static void empty_elements_are_nothing(void **state)
{
	(void)state;
	annotate(&said.pod, ANNOTATION_OPAQUE, " ,25,, 26 ,");
	annotate(&said.pod, ANNOTATION_PROTOCOL, ",");
	assert_string_equal(read_faults(), "");
	PORTS(said.draft.opaque_ports, 25, 26);
}

static void a_service_says_it_for_its_own_ports(void **state)
{
	enum protocol protocol = PROTOCOL_AUTO;
	(void)state;
	annotate(&said.pod, ANNOTATION_OPAQUE, "25,x");
	annotate(&said.pod, ANNOTATION_PROTOCOL, "25=http,80=http,80=opaque,81=auto");
	assert_true(annotation_protocol(&said.pod, 25, &protocol));
	assert_int_equal(protocol, PROTOCOL_OPAQUE);
	assert_true(annotation_protocol(&said.pod, 80, &protocol));
	assert_int_equal(protocol, PROTOCOL_HTTP); /* the first */
	assert_true(annotation_protocol(&said.pod, 81, &protocol));
	assert_int_equal(protocol, PROTOCOL_AUTO);
	assert_false(annotation_protocol(&said.pod, 82, &protocol));
}

static void faults_of_a_service_are_told(void **state)
{
	(void)state;
	annotate(&said.pod, ANNOTATION_HEADLESS, "balance");
	annotate(&said.pod, ANNOTATION_OPAQUE, "25");
	annotate(&said.pod, ANNOTATION_PROTOCOL, "80=http");
	annotate(&said.pod, ANNOTATION_SHORTCUT, "off");
	annotate(&said.pod, ANNOTATION_WINDOW, "64KiB");
	annotations_check_service(&said.pod, &said.faults);
	assert_int_equal(said.faults.size, 0);
	said.pairs[0].value = "balanced";
	said.pairs[1].value = "none";
	said.pairs[2].value = "http";
	said.pairs[3].value = "of";
	said.pairs[4].value = "64KB";
	annotations_check_service(&said.pod, &said.faults);
	assert_non_null(strstr(said.faults.data, "weft.io/opaque-ports: "));
	assert_non_null(strstr(said.faults.data, "weft.io/protocol: \"http\" is not PORT="));
	assert_non_null(strstr(said.faults.data,
			       "weft.io/headless: \"balanced\" is not balance or direct\n"));
	assert_non_null(
		strstr(said.faults.data, "weft.io/shortcut: \"of\" is not off, auto or on\n"));
	assert_non_null(strstr(said.faults.data,
			       "weft.io/shortcut-window: \"64KB\" is not a size such as"));
}

/* ---- keys of services[] ---- */

static void a_services_annotations_are_the_configs_keys(void **state)
{
	struct service_draft draft = {.balancer = BALANCER_P2C};
	(void)state;
	keys_default_resilience(&draft.resilience);
	annotate(&said.pod, "weft.io/balancer", "hash");
	annotate(&said.pod, "weft.io/hash-on", "header");
	annotate(&said.pod, "weft.io/hash-name", "x-user");
	annotate(&said.pod, "weft.io/locality", "near");
	annotate(&said.pod, "weft.io/slow-start", "30s");
	annotate(&said.pod, "weft.io/retries.budget-share", "50");
	annotate(&said.pod, "weft.io/timeouts.per-try", "250ms");
	annotate(&said.pod, "weft.io/limits.adaptive", "true");
	annotations_read_service(&said.pod, &draft, &said.faults);
	assert_int_equal(said.faults.size, 0);
	assert_int_equal(draft.balancer, BALANCER_HASH);
	assert_int_equal(draft.balancing.hash_on, HASH_ON_HEADER);
	assert_string_equal(draft.hash_name, "x-user");
	assert_int_equal(draft.balancing.locality, LOCALITY_NEAR);
	assert_true(draft.balancing.slow_start_ns == 30000000000ull);
	assert_int_equal(draft.resilience.retry.budget.share_ppm, 500000);
	assert_true(draft.resilience.timeout.per_try_ns == 250000000ull);
	assert_true(draft.resilience.limit.adapts);
	assert_int_equal(draft.resilience.retry.attempts_most, 5); /* nothing is said of it */
}

/* No word of what a key may be is written twice: each key's default is right as an annotation. */
static void every_key_of_a_service_is_an_annotation(void **state)
{
	unsigned count = 0;
	(void)state;
	for (size_t i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		char name[96] = "weft.io/";
		struct service_draft draft = {0};
		bool is_scalar = key->store == KEY_STORE_NUMBER || key->store == KEY_STORE_TEXT;
		if (!is_scalar || strncmp(key->path, "services[].", 11) != 0 ||
		    strchr(key->path + 11, '[') || strcmp(key->path, "services[].name") == 0)
			continue;
		strncat(name, key->path + 11, sizeof(name) - 9);
		for (char *c = name; *c; c++)
			*c = *c == '_' ? '-' : *c;
		if (strcmp(name, ANNOTATION_PROTOCOL) == 0 ||
		    strcmp(name, ANNOTATION_SHORTCUT) == 0 || strcmp(name, ANNOTATION_WINDOW) == 0)
			continue; /* a form of its own */
		said.pod.annotation_count = 0;
		keys_default_resilience(&draft.resilience);
		annotate(&said.pod, name, key->fallback);
		annotations_read_service(&said.pod, &draft, &said.faults);
		if (said.faults.size)
			fail_msg("%s: %s", name, said.faults.data);
		count++;
	}
	assert_in_range(count, 35, 60);
}

static void what_a_services_keys_cannot_be_is_told_and_left_out(void **state)
{
	static const struct {
		const char *key, *value, *fault;
	} cases[] = {
		{"weft.io/locality", "close",
		 "weft.io/locality: \"close\" is not one of any, near"},
		{"weft.io/retries.attempts", "0", "weft.io/retries.attempts: "},
		{"weft.io/name", "web", "a Service has no annotation \"weft.io/name\""},
		{"weft.io/endpoints[].weight", "1", "has no annotation"},
		{"weft.io/retries", "1", "has no annotation"},
		{"weft.io/localty", "near",
		 "has no annotation \"weft.io/localty\"; it is left out"},
	};
	(void)state;
	for (unsigned i = 0; i < array_count(cases); i++) {
		struct service_draft draft = {0};
		struct service_draft before;
		keys_default_resilience(&draft.resilience);
		before = draft;
		said.pod.annotation_count = 0;
		text_clear(&said.faults);
		annotate(&said.pod, cases[i].key, cases[i].value);
		annotations_read_service(&said.pod, &draft, &said.faults);
		assert_memory_equal(&draft, &before, sizeof(draft));
		assert_true(said.faults.size > 0);
		if (!strstr(said.faults.data, cases[i].fault))
			fail_msg("%s is not in %s", cases[i].fault, said.faults.data);
		text_clear(&said.faults);
		annotations_check_service(&said.pod, &said.faults);
		assert_non_null(strstr(said.faults.data, cases[i].fault));
	}
}

/* A build would leave the whole Service out. */
static void what_does_not_go_together_is_mended(void **state)
{
	struct service_draft draft = {.balancer = BALANCER_P2C};
	(void)state;
	keys_default_resilience(&draft.resilience);
	annotate(&said.pod, "weft.io/balancer", "hash");
	annotate(&said.pod, "weft.io/hash-on", "cookie");
	annotate(&said.pod, "weft.io/breaker.backoff-most", "1s");
	annotate(&said.pod, "weft.io/breaker.backoff-least", "3s");
	annotations_read_service(&said.pod, &draft, &said.faults);
	assert_int_equal(draft.balancer, BALANCER_P2C);
	assert_true(draft.resilience.breaker.backoff.most_ns == 3000000000ull);
	assert_string_equal(
		said.faults.data,
		"weft.io/balancer: hash is left out: weft.io/hash-name does not name "
		"the header or cookie\n"
		"weft.io/breaker.backoff-most is shorter than backoff-least, which holds "
		"for both\n");
}

static void memory_may_be_short(void **state)
{
	int error = -ENOMEM;
	unsigned n;
	(void)state;
	annotate(&said.pod, ANNOTATION_OPAQUE, "25,x");
	annotate(&said.pod, ANNOTATION_PROTOCOL, "80=http");
	annotate(&said.pod, ANNOTATION_SHORTCUT, "on");
	for (n = 1; error || said.faults.size == 0; n++) {
		arena_fini(&said.arena);
		text_fini(&said.faults);
		said.draft = (struct pod_draft){0};
		mem_fail_nth(n);
		error = annotations_read(&said.pod, NULL, &said.arena, &said.draft, &said.faults);
		mem_fail_nth(0);
		assert_true(error == 0 || error == -ENOMEM);
		assert_in_range(n, 1, 20);
	}
	assert_in_range(n, 3, 20);
	assert_int_equal(said.draft.shortcut, WEFT_SHORTCUT_ON);
	PORTS(said.draft.opaque_ports, 25);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(each_annotation_fills_its_setting),
		test(without_annotations_the_draft_keeps_what_it_has),
		test(protocol_hints_are_for_single_ports),
		test(opaque_ports_and_hints_are_one_list),
		test(a_pods_own_word_is_for_its_namespaces),
		test(the_shortcut_is_the_objects_own_word_then_its_namespaces),
		test(trust_is_the_pods_own_word_then_its_namespaces),
		test(a_services_window_is_a_size),
		test(what_is_wrong_is_told_and_the_rest_holds),
		test(empty_elements_are_nothing),
		test(a_service_says_it_for_its_own_ports),
		test(faults_of_a_service_are_told),
		test(a_services_annotations_are_the_configs_keys),
		test(every_key_of_a_service_is_an_annotation),
		test(what_a_services_keys_cannot_be_is_told_and_left_out),
		test(what_does_not_go_together_is_mended),
		test(memory_may_be_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
