#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "cli/sample.h"

static const uint64_t bounds_us[] = WEFT_LATENCY_BOUNDS_US;

/* One service as /stat.json shows it; `bucket` holds as many as there were answers. */
static void add_service(struct text *json, const char *name, unsigned good, unsigned bad,
			unsigned bucket)
{
	unsigned answers = good + bad;
	text_printf(json,
		    "{\"name\":\"%s\",\"requests\":%u,\"responses\":{\"none\":0,\"2xx\":%u,"
		    "\"5xx\":%u},\"sent_bytes\":%u,\"received_bytes\":%u,"
		    "\"connections_opened\":%u,\"connect_failures\":0,\"tunnels_opened\":0,"
		    "\"tunnels_closed\":0,\"requests_active\":0,\"latency_buckets\":[",
		    name, answers, good, bad, answers * 100, answers * 2048, answers);
	for (unsigned i = 0; i < WEFT_LATENCY_BUCKETS; i++)
		text_printf(json, "%s%u", i ? "," : "", i == bucket ? answers : 0);
	text_add(json, span_text("],\"endpoints\":[]}"));
}

static void begin(struct text *json, const char *window)
{
	text_printf(json, "{\"window_seconds\":%s,\"latency_bounds_us\":[", window);
	for (size_t i = 0; i < array_count(bounds_us); i++)
		text_printf(json, "%s%llu", i ? "," : "", (unsigned long long)bounds_us[i]);
	text_add(json, span_text("],\"services\":["));
}

static struct sample parse(struct text *json)
{
	text_add(json, span_text("]}"));
	cJSON *tree = cJSON_Parse(json->data);
	struct sample sample;
	assert_non_null(tree);
	assert_int_equal(sample_parse(tree, &sample), 0);
	cJSON_Delete(tree);
	text_fini(json);
	return sample;
}

static struct sample sample_of(const char *window, unsigned good, unsigned bad, unsigned bucket)
{
	struct text json = {0};
	begin(&json, window);
	add_service(&json, "web", good, bad, bucket);
	return parse(&json);
}

static void a_table_has_units_and_a_dash_for_nothing(void **state)
{
	(void)state;
	struct text json = {0};
	begin(&json, "10.0");
	add_service(&json, "web", 99, 1, 6);
	text_add(&json, span_text(","));
	add_service(&json, "idle", 0, 0, 0);
	struct sample sample = parse(&json);
	struct text text = {0};
	sample_print(&sample, NULL, 0, &text);
	assert_string_equal(text.data,
			    "SERVICE  SUCCESS   RPS     P50     P95     P99     SENT   RECEIVED  "
			    "CONNS  TUNNELS\n"
			    "web       99.0 %  10.0  875 us  988 us  998 us  9.8 KiB  200.0 KiB   "
			    " 100        0\n"
			    "idle           -  0.00       -       -       -      0 B        0 B   "
			    "   0        0\n");
	text_fini(&text);
	sample_fini(&sample);
}

static void only_the_services_asked_for_are_shown(void **state)
{
	(void)state;
	struct text json = {0};
	begin(&json, "1.0");
	add_service(&json, "web", 1, 0, 0);
	text_add(&json, span_text(","));
	add_service(&json, "api", 1, 0, 0);
	struct sample sample = parse(&json);
	struct text text = {0};
	char *wanted[] = {"api"};
	sample_print(&sample, wanted, 1, &text);
	assert_null(strstr(text.data, "web"));
	assert_non_null(strstr(text.data, "api"));
	text_fini(&text);
	sample_fini(&sample);
}

static void a_difference_is_of_the_interval(void **state)
{
	(void)state;
	struct sample before = sample_of("10.0", 100, 0, 2);
	struct sample now = sample_of("12.0", 140, 10, 2);
	now.rows[0].latency_buckets[2] = 100; /* the new 50 were slower */
	now.rows[0].latency_buckets[8] = 50;
	sample_subtract(&now, &before);
	assert_int_equal(now.rows[0].requests, 50);
	assert_int_equal(now.rows[0].good_responses, 40);
	assert_true(now.window_seconds > 1.99 && now.window_seconds < 2.01);
	uint64_t us;
	assert_true(sample_quantile(&now, &now.rows[0], 0.5, &us));
	assert_int_equal(us, 1750);
	sample_fini(&before);
	sample_fini(&now);
}

static void after_a_restart_the_new_sample_stands_alone(void **state)
{
	(void)state;
	struct sample before = sample_of("100.0", 100, 0, 2);
	struct sample now = sample_of("1.0", 7, 0, 2);
	sample_subtract(&now, &before);
	assert_int_equal(now.rows[0].requests, 7);
	assert_true(now.window_seconds == 1.0);
	sample_fini(&before);
	sample_fini(&now);
}

static void quantiles_agree_with_the_daemons(void **state)
{
	(void)state;
	struct sample sample = sample_of("1.0", 100, 0, 0);
	struct sample_row *row = &sample.rows[0];
	uint64_t us;
	assert_true(sample_quantile(&sample, row, 0.5, &us));
	assert_int_equal(us, 25);
	row->latency_buckets[0] = 98;
	row->latency_buckets[12] = 2;
	assert_true(sample_quantile(&sample, row, 0.99, &us));
	assert_int_equal(us, 8750);
	row->latency_buckets[WEFT_LATENCY_BUCKETS - 1] = 1000;
	assert_true(sample_quantile(&sample, row, 0.99, &us));
	assert_int_equal(us, 30000000);
	memset(row->latency_buckets, 0, sizeof(row->latency_buckets));
	assert_false(sample_quantile(&sample, row, 0.5, &us));
	sample_fini(&sample);
}

static void a_page_of_another_shape_is_refused(void **state)
{
	(void)state;
	static const char *const cases[] = {
		"[]", "{}", "{\"window_seconds\":1,\"services\":[],\"latency_bounds_us\":[1,2]}",
		"{\"window_seconds\":\"x\",\"services\":[],\"latency_bounds_us\":[]}"};
	for (size_t i = 0; i < array_count(cases); i++) {
		cJSON *tree = cJSON_Parse(cases[i]);
		struct sample sample;
		assert_int_equal(sample_parse(tree, &sample), -EPROTO);
		cJSON_Delete(tree);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_has_units_and_a_dash_for_nothing),
		cmocka_unit_test(only_the_services_asked_for_are_shown),
		cmocka_unit_test(a_difference_is_of_the_interval),
		cmocka_unit_test(after_a_restart_the_new_sample_stands_alone),
		cmocka_unit_test(quantiles_agree_with_the_daemons),
		cmocka_unit_test(a_page_of_another_shape_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
