/* What weft says of the cluster that weftd follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/cluster.h"

#define WATCH(stale)                                                                               \
	"{\"is_synced\":true,\"objects\":3,\"byte_age_seconds\":4.2,\"stale_seconds\":" stale      \
	",\"last_fault\":\"no route\"}"
#define FRESH WATCH("0")
#define POD(name, meshed, why, faults, problem)                                                    \
	"{\"name\":\"" name "\",\"is_meshed\":" meshed ",\"why\":\"" why                           \
	"\",\"annotation_faults\":\"" faults "\",\"problem\":\"" problem "\"}"

static const char cluster_text[] =
	"{\"enabled\":true,\"watches\":{\"pods\":" FRESH ",\"namespaces\":" WATCH(
		"61.5") ",\"nodes\":{\"is_synced\":false,\"last_fault\":\"403\"},"
			"\"services\":" FRESH ",\"endpointslices\":" FRESH
			"},\"pods\":[" POD(
				"shop/a", "true", "meshed", "x: bad\\ny: bad",
				"") "," POD("shop/b", "true", "meshed", "",
					    "no process") "," POD("shop/c", "true", "meshed", "",
								  "") "," POD("shop/d", "false",
									      "it has finished", "",
									      "") "," POD("shop/e",
											  "true",
											  "meshed",
											  "",
											  "") "]}";
static const char pods_text[] =
	"[{\"name\":\"shop/a\",\"error\":\"\"},"
	"{\"name\":\"shop/e\",\"error\":\"no room\"}]";

static struct {
	cJSON *cluster;
	cJSON *pods;
} page;

static int set_up(void **state)
{
	(void)state;
	page.cluster = cJSON_Parse(cluster_text);
	page.pods = cJSON_Parse(pods_text);
	return page.cluster && page.pods ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	cJSON_Delete(page.cluster);
	cJSON_Delete(page.pods);
	return 0;
}

static void each_fault_of_an_annotation_is_a_line(void **state)
{
	struct text text = {0};
	(void)state;
	cluster_add_faults(page.cluster, &text);
	assert_string_equal(text.data, "shop/a: annotation x: bad\nshop/a: annotation y: bad\n");
	text_fini(&text);
}

static void pods_that_are_not_enrolled_are_listed_with_the_reason(void **state)
{
	struct text text = {0};
	(void)state;
	cluster_add_others(page.cluster, page.pods, &text);
	assert_string_equal(text.data,
			    "\nPOD     NOT ENROLLED BECAUSE\n"
			    "shop/b  no process\n"
			    "shop/c  it has no address yet\n"
			    "shop/d  it has finished\n"
			    "shop/e  no room\n");
	text_fini(&text);
}

static void a_watch_is_fresh_stale_or_was_never_listed(void **state)
{
	struct check_line lines[CLUSTER_LINES_MAX];
	(void)state;
	assert_int_equal(cluster_check(page.cluster, page.pods, lines), CLUSTER_LINES_MAX);
	assert_string_equal(lines[0].name, "watch-pods");
	assert_int_equal(lines[0].result, CHECK_OK);
	assert_string_equal(lines[0].found, "3 objects, told 4 s ago");
	assert_int_equal(lines[1].result, CHECK_WARN);
	assert_non_null(strstr(lines[1].found, "62 s ago still serves: no route"));
	assert_int_equal(lines[2].result, CHECK_FAIL);
	assert_string_equal(lines[2].found, "never listed: 403");
	assert_true(lines[2].advice[0]);
}

static void pods_that_ought_to_be_captured_and_are_not_are_counted(void **state)
{
	struct check_line lines[CLUSTER_LINES_MAX];
	(void)state;
	(void)cluster_check(page.cluster, page.pods, lines);
	assert_string_equal(lines[5].name, "pods");
	assert_int_equal(lines[5].result, CHECK_WARN);
	assert_string_equal(lines[5].found, "3 of 4 that are labelled are not: shop/e: no room");
}

static void services_that_are_left_out_are_named(void **state)
{
	struct check_line lines[CLUSTER_LINES_MAX];
	cJSON *left_out = cJSON_Parse("[{\"name\":\"shop/big\",\"endpoints\":60000}]");
	(void)state;
	(void)cluster_check(page.cluster, page.pods, lines);
	assert_string_equal(lines[6].name, "services");
	assert_int_equal(lines[6].result, CHECK_OK);
	cJSON_AddItemToObject(page.cluster, "services_left_out", left_out);
	cJSON_AddNumberToObject(page.cluster, "service_endpoint_limit", 50000);
	(void)cluster_check(page.cluster, page.pods, lines);
	assert_int_equal(lines[6].result, CHECK_WARN);
	assert_string_equal(lines[6].found, "1 not meshed, too large: shop/big");
	assert_non_null(strstr(lines[6].advice, "limits.service_endpoints (50000)"));
}

static void without_kubernetes_nothing_is_said(void **state)
{
	struct check_line lines[CLUSTER_LINES_MAX];
	cJSON *off = cJSON_Parse("{\"enabled\":false}");
	struct text text = {0};
	(void)state;
	assert_int_equal(cluster_check(off, page.pods, lines), 0);
	cluster_add_faults(off, &text);
	cluster_add_others(off, page.pods, &text);
	assert_int_equal(text.size, 0);
	cJSON_Delete(off);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(each_fault_of_an_annotation_is_a_line),
		test(pods_that_are_not_enrolled_are_listed_with_the_reason),
		test(a_watch_is_fresh_stale_or_was_never_listed),
		test(pods_that_ought_to_be_captured_and_are_not_are_counted),
		test(services_that_are_left_out_are_named),
		test(without_kubernetes_nothing_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
