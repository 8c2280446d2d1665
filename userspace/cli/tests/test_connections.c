#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/connections.h"

static void shown(const char *page, const char *expected)
{
	struct text text = {0};
	cJSON *json = cJSON_Parse(page);
	assert_non_null(json);
	connections_table(json, &text);
	assert_string_equal(text.data, expected);
	text_fini(&text);
	cJSON_Delete(json);
}

static void without_connections_there_are_headings(void **state)
{
	(void)state;
	shown("{\"connections\":[]}",
	      "POD  DESTINATION  STATE  ENDPOINT  AGE  REQUESTS  SENT  "
	      "RECEIVED  APP LEG  ENDPOINT LEG\n");
}

/* As weftd writes it; SENT is what weftd received of the app. */
static void each_connection_has_a_row_with_both_legs(void **state)
{
	(void)state;
	shown("{\"connections\":[{\"pod\":\"shop/a\",\"worker\":0,\"state\":\"tunnel\","
	      "\"service\":\"db\",\"destination\":\"10.96.0.1:80\",\"app\":\"10.0.0.9:3\","
	      "\"app_leg\":\"shortcut\",\"endpoint\":\"10.0.1.1:80\","
	      "\"endpoint_leg\":\"demoted_window\",\"age_seconds\":1.500,\"requests\":0,"
	      "\"received_bytes\":17,\"sent_bytes\":2048,\"queued_bytes\":0},"
	      "{\"pod\":\"b\",\"state\":\"http_idle\",\"service\":\"web\",\"app_leg\":\"tcp\","
	      "\"age_seconds\":0.001,\"requests\":12,\"received_bytes\":0,\"sent_bytes\":0}]}",
	      "POD     DESTINATION  STATE      ENDPOINT        AGE  REQUESTS  SENT  RECEIVED  "
	      "APP LEG   ENDPOINT LEG\n"
	      "shop/a  db           tunnel     10.0.1.1:80   1.5 s         0  17 B   2.0 KiB  "
	      "shortcut  demoted_window\n"
	      "b       web          http_idle  -            1.0 ms        12   0 B       0 B  "
	      "tcp       -\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_connections_there_are_headings),
		cmocka_unit_test(each_connection_has_a_row_with_both_legs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
