/* What weft run says at the end, and the names inside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/summary.h"

#define EDGES(list) "{\"edges\":[" list "]}"

static void assert_says(const char *edges, const char *wanted)
{
	struct text text = {0};
	cJSON *json = cJSON_Parse(edges);
	assert_non_null(json);
	summary_print(json, &text);
	assert_string_equal(text.data, wanted);
	text_fini(&text);
	cJSON_Delete(json);
}

static void each_destination_has_its_line(void **state)
{
	(void)state;
	assert_says(EDGES("{\"destination\":\"127.0.0.1:8000\",\"connections\":2,\"requests\":4,"
			  "\"requests_failed\":1,\"p50_us\":1234,\"sent_bytes\":300,"
			  "\"received_bytes\":6144},"
			  "{\"destination\":\"db\",\"connections\":1,\"tunnels\":1,"
			  "\"sent_bytes\":5,\"received_bytes\":0}"),
		    "weft: 127.0.0.1:8000  4 requests, 75.0 % success, p50 1.2 ms, 300 B sent, "
		    "6.0 KiB received\n"
		    "weft: db              1 connection, 5 B sent, 0 B received\n");
}

static void requests_beside_tunnels_and_failed_dials_are_told_apart(void **state)
{
	(void)state;
	assert_says(EDGES("{\"destination\":\"x\",\"connections\":9,\"requests\":1,\"tunnels\":2,"
			  "\"p50_us\":null,\"connections_failed\":3}"),
		    "weft: x  1 request, 100.0 % success, 2 tunnels, 3 failed dials, 0 B sent, "
		    "0 B received\n");
	assert_says(EDGES("{\"destination\":\"x\",\"connections\":2,\"connections_failed\":2}"),
		    "weft: x  2 failed dials, 0 B sent, 0 B received\n");
}

static void no_capture_is_said_too(void **state)
{
	(void)state;
	assert_says(EDGES(""), "weft: no connection was captured\n");
}

static bool is_final(const char *edges)
{
	cJSON *json = cJSON_Parse(edges);
	bool final = summary_is_final(json);
	cJSON_Delete(json);
	return final;
}

static void an_open_connection_may_still_count(void **state)
{
	(void)state;
	assert_true(is_final(EDGES("")));
	assert_true(is_final(EDGES("{\"connections\":7,\"connections_active\":0}")));
	assert_false(is_final(EDGES("{\"connections_active\":0},{\"connections_active\":1}")));
}

static void names_are_given_once_per_address(void **state)
{
	(void)state;
	cJSON *json = cJSON_Parse(
		"{\"services\":[{\"name\":\"web\",\"addresses\":[\"10.96.0.10:80\",\"10.96.0.10:"
		"443\","
		"\"[fd00:96::10]:80\"]},{\"name\":\"not/a host\",\"addresses\":[\"10.0.0.9:1\"]},"
		"{\"name\":\"none\",\"addresses\":[]}]}");
	struct text text = {0};
	assert_int_equal(hosts_print(json, &text), 2);
	assert_string_equal(text.data, "10.96.0.10\tweb\nfd00:96::10\tweb\n");
	text_fini(&text);
	cJSON_Delete(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_destination_has_its_line),
		cmocka_unit_test(requests_beside_tunnels_and_failed_dials_are_told_apart),
		cmocka_unit_test(no_capture_is_said_too),
		cmocka_unit_test(an_open_connection_may_still_count),
		cmocka_unit_test(names_are_given_once_per_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
