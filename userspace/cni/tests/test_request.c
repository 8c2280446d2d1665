#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "cni/ask.h"
#include "cni/pending.h"
#include "cni/request.h"

#define ARGUMENTS "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1;K8S_POD_UID=4f-2a"

static const struct cni_environment add = {
	.command = "ADD",
	.container_id = "0a1b",
	.netns = "/var/run/netns/cni-1",
	.interface = "eth0",
	.arguments = ARGUMENTS,
};

static void assert_span(struct span span, const char *text)
{
	assert_int_equal(span.size, strlen(text));
	assert_memory_equal(span.data, text, span.size);
}

static struct cni_request read_ok(const struct cni_environment *environment, const char *config)
{
	struct cni_request request;
	struct cni_fault fault = {0};
	assert_int_equal(cni_request_read(environment, span_text(config), &request, &fault), 0);
	return request;
}

static enum cni_code read_refused(const struct cni_environment *environment, const char *config)
{
	struct cni_request request;
	struct cni_fault fault = {0};
	assert_int_equal(cni_request_read(environment, span_text(config), &request, &fault),
			 -EINVAL);
	assert_non_null(fault.message);
	return fault.code;
}

static void an_add_is_understood(void **state)
{
	(void)state;
	struct cni_request request =
		read_ok(&add,
			"{\"cniVersion\":\"0.4.0\",\"name\":\"n\",\"type\":\"weft-cni\","
			"\"prevResult\": {\"ips\": []} ,\"socket\":\"/s\","
			"\"pendingDir\":\"/p\",\"onProxyDeath\":\"closed\"}");
	assert_span(request.container_id, "0a1b");
	assert_span(request.netns, "/var/run/netns/cni-1");
	assert_span(request.interface, "eth0");
	assert_span(request.namespace, "shop");
	assert_span(request.pod, "web-1");
	assert_span(request.pod_uid, "4f-2a");
	assert_span(request.version, "0.4.0");
	assert_span(request.prev_result, "{\"ips\": []}");
	assert_span(request.socket, "/s");
	assert_span(request.pending_dir, "/p");
	assert_true(request.is_closed);
}

static void what_a_configuration_leaves_out_has_a_default(void **state)
{
	(void)state;
	struct cni_request request = read_ok(&add, "{\"cniVersion\":\"1.1.0\",\"prevResult\":{}}");
	assert_span(request.socket, CNI_SOCKET);
	assert_span(request.pending_dir, CNI_PENDING_DIR);
	assert_false(request.is_closed);
}

static void arguments_are_found_by_their_whole_name(void **state)
{
	(void)state;
	assert_span(cni_argument(ARGUMENTS, "K8S_POD_NAME"), "web-1");
	assert_span(cni_argument(ARGUMENTS, "K8S_POD_NAMESPACE"), "shop");
	assert_span(cni_argument(ARGUMENTS, "K8S_POD"), "");
	assert_span(cni_argument("", "K8S_POD_NAME"), "");
	assert_span(cni_argument("A;B=;C=x=y", "A"), "");
	assert_span(cni_argument("A;B=;C=x=y", "B"), "");
	assert_span(cni_argument("A;B=;C=x=y", "C"), "x=y");
}

static void bad_configurations_have_their_codes(void **state)
{
	static const struct {
		const char *config;
		enum cni_code code;
	} cases[] = {
		{"", CNI_UNDECODABLE},
		{"[]", CNI_UNDECODABLE},
		{"{\"cniVersion\":\"1.0.0\"", CNI_UNDECODABLE},
		{"{}", CNI_INCOMPATIBLE_VERSION},
		{"{\"cniVersion\":1}", CNI_INCOMPATIBLE_VERSION},
		{"{\"cniVersion\":\"0.2.0\",\"prevResult\":{}}", CNI_INCOMPATIBLE_VERSION},
		{"{\"cniVersion\":\"2.0.0\",\"prevResult\":{}}", CNI_INCOMPATIBLE_VERSION},
		{"{\"cniVersion\":\"1.0.0\"}", CNI_BAD_CONFIG},
		{"{\"cniVersion\":\"1.0.0\",\"prevResult\":{},\"socket\":1}", CNI_BAD_CONFIG},
		{"{\"cniVersion\":\"1.0.0\",\"prevResult\":{},\"onProxyDeath\":\"maybe\"}",
		 CNI_BAD_CONFIG},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++)
		assert_int_equal(read_refused(&add, cases[i].config), cases[i].code);
}

/* The id becomes the name of a file. */
static void container_ids_that_are_no_names_are_refused(void **state)
{
	static const char *const ids[] = {"", "..", "a/b", "-a", "a b", "../../etc/passwd"};
	(void)state;
	for (size_t i = 0; i < array_count(ids); i++) {
		struct cni_environment environment = add;
		environment.container_id = ids[i];
		assert_int_equal(
			read_refused(&environment, "{\"cniVersion\":\"1.0.0\",\"prevResult\":{}}"),
			CNI_BAD_ENVIRONMENT);
	}
}

static void only_a_sandbox_needs_an_id_and_a_namespace(void **state)
{
	struct cni_environment environment = {
		.command = "GC", .container_id = "", .netns = "", .interface = "", .arguments = ""};
	(void)state;
	struct cni_request request = read_ok(
		&environment, "{\"cniVersion\":\"1.1.0\",\"cni.dev/valid-attachments\":[]}");
	assert_span(request.attachments, "[]");
	environment.command = "ADD";
	environment.container_id = "a";
	assert_int_equal(read_refused(&environment, "{\"cniVersion\":\"1.0.0\",\"prevResult\":{}}"),
			 CNI_BAD_ENVIRONMENT);
}

static void weftd_is_told_who_and_where_the_pod_is(void **state)
{
	struct text json = {0};
	(void)state;
	struct cni_request request =
		read_ok(&add,
			"{\"cniVersion\":\"0.3.1\",\"prevResult\":{\"ips\":["
			"{\"version\":\"4\",\"address\":\"10.244.1.5/24\"},{\"nothing\":1},"
			"{\"address\":\"fd00::5/64\"},{\"address\":\"10.0.0.9\"}]}}");
	cni_request_print(&request, &json);
	assert_string_equal(json.data,
			    "{\"container_id\":\"0a1b\",\"netns\":\"/var/run/netns/cni-1\","
			    "\"interface\":\"eth0\",\"namespace\":\"shop\",\"pod\":\"web-1\","
			    "\"pod_uid\":\"4f-2a\",\"addresses\":[\"10.244.1.5\",\"fd00::5\","
			    "\"10.0.0.9\"]}");
	text_fini(&json);
}

static void hostile_names_stay_inside_their_strings(void **state)
{
	struct cni_environment environment = add;
	struct text json = {0};
	(void)state;
	environment.netns = "/a\",\"pod\":\"b\n";
	struct cni_request request =
		read_ok(&environment, "{\"cniVersion\":\"1.0.0\",\"prevResult\":{}}");
	cni_request_print(&request, &json);
	assert_non_null(strstr(json.data, "\"netns\":\"/a\\\",\\\"pod\\\":\\\"b\\n\""));
	text_fini(&json);
}

static void a_fault_is_the_json_of_the_specification(void **state)
{
	struct text json = {0};
	(void)state;
	cni_fault_print(&(struct cni_fault){CNI_TRY_AGAIN, "later"}, span_text("1.0.0"), &json);
	assert_string_equal(json.data,
			    "{\"cniVersion\":\"1.0.0\",\"code\":11,\"msg\":\"later\"}\n");
	text_fini(&json);
}

static void a_verdict_is_a_200_that_says_one(void **state)
{
	static const struct {
		const char *answer;
		bool is_verdict;
		enum cni_verdict verdict;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\nX: y\r\n\r\n{\"verdict\":\"captured\"}", true, CNI_CAPTURED},
		{"HTTP/1.1 200 OK\r\n\r\n{\"verdict\":\"not_meshed\"}\n", true, CNI_NOT_MESHED},
		{"HTTP/1.1 200 OK\r\n\r\n{\"verdict\":\"perhaps\"}", false, 0},
		{"HTTP/1.1 200 OK\r\n\r\n{\"verdict\":true}", false, 0},
		{"HTTP/1.1 200 OK\r\n\r\n{\"verdict\":\"captured\"", false, 0},
		{"HTTP/1.1 200 OK\r\n{\"verdict\":\"captured\"}", false, 0},
		{"HTTP/1.1 503 No\r\n\r\n{\"verdict\":\"captured\"}", false, 0},
		{"HTTP/1.1 2000\r\n\r\n{\"verdict\":\"captured\"}", false, 0},
		{"", false, 0},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		enum cni_verdict verdict;
		assert_int_equal(cni_verdict_read(span_text(cases[i].answer), &verdict),
				 cases[i].is_verdict);
		if (cases[i].is_verdict)
			assert_int_equal(verdict, cases[i].verdict);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_add_is_understood),
		cmocka_unit_test(what_a_configuration_leaves_out_has_a_default),
		cmocka_unit_test(arguments_are_found_by_their_whole_name),
		cmocka_unit_test(bad_configurations_have_their_codes),
		cmocka_unit_test(container_ids_that_are_no_names_are_refused),
		cmocka_unit_test(only_a_sandbox_needs_an_id_and_a_namespace),
		cmocka_unit_test(weftd_is_told_who_and_where_the_pod_is),
		cmocka_unit_test(hostile_names_stay_inside_their_strings),
		cmocka_unit_test(a_fault_is_the_json_of_the_specification),
		cmocka_unit_test(a_verdict_is_a_200_that_says_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
