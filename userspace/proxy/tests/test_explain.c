/* What would become of a request. */
#include "proxy/explain.h"
#include "rules.h"

static void with_dtab(struct stage_draft *all)
{
	all->pod.trusts_dtabs = true;
	all->draft.dtab.text = "/svc/web => /svc/none | 3 * /svc/any & /svc/many";
	rules_of(all, "any")->breaker.failures = 1;
	rules_of(all, "any")->breaker.removed_most_ppm = PPM;
}

static void expect(struct stage *stage, const char *query, const char *const *parts)
{
	struct text json = {0};
	explain_write(&stage->worker, span_text(query), &json);
	for (; *parts; parts++) {
		if (!strstr(json.data, *parts))
			fail_msg("%s is not in %s", *parts, json.data);
	}
	text_fini(&json);
}

static void each_step_is_told(void **state)
{
	static struct stage stage;
	(void)state;
	stage_open(&stage, with_dtab, NULL);
	expect(&stage, "method=PUT&url=http://web/a&pod=client&header=l5d-dtab:%20/x%3d>/y",
	       (const char *const[]){
		       "{\"step\":\"request\",\"text\":\"PUT http://web/a\"",
		       "\"trusted from this pod\"",
		       "{\"step\":\"identifier\",\"text\":\"destination\",\"below\":[],\"result\":"
		       "\"/svc/web\"}",
		       "{\"step\":\"first of these that is up\"",
		       "{\"step\":\"service\",\"text\":\"none, 0 endpoints, 0 ready\",\"below\":[],"
		       "\"result\":\"down\"}",
		       "\"text\":\"3 * /#/weft/any\"",
		       "{\"step\":\"endpoint\",\"text\":\"10.0.2.1:80 weight 1, 0 requests in "
		       "flight\",\"below\":[],\"result\":\"ready\"}",
		       "\"result\":\"from pod client\"}",
		       NULL,
	       });
	expect(&stage, "url=10.96.0.4/&pod=nobody&header=l5d-ctx-dtab:x",
	       (const char *const[]){"\"service many\"",
				     "removed: trust_dtab_headers is true neither", NULL});
	expect(&stage, "url=nobody", (const char *const[]){"\"no service of the mesh\"", NULL});
	expect(&stage, "url=web&pod=client&header=l5d-dtab:(",
	       (const char *const[]){"expected a prefix", NULL});
	expect(&stage, "%%%=&&url=%zz%4&header=&header=a", (const char *const[]){"%zz%4", NULL});
	stage_empty(&stage);
	stage_close(&stage);
}

static void an_ejected_endpoint_is_told(void **state)
{
	static struct stage stage;
	(void)state;
	stage_open(&stage, with_dtab, NULL);
	const struct service *any = snapshot_service_named(stage.worker.snapshot, span_text("any"));
	struct balance_attempt attempt;
	balance_place(&stage.worker.balances, any, &any->endpoints[0], &attempt);
	guard_tell(&stage.worker, &attempt, BREAKER_FAILED);
	expect(&stage, "url=any",
	       (const char *const[]){
		       "\"result\":\"ejected: 1 failure in a row, 0 failed probes, next "
		       "in ",
		       "\"result\":\"down\"", NULL});
	stage_empty(&stage);
	stage_close(&stage);
}

static void with_limits(struct stage_draft *all)
{
	struct limit_rule *web = &rules_of(all, "web")->limit;
	struct limit_rule *any = &rules_of(all, "any")->limit;
	struct limit_rule *many = &rules_of(all, "many")->limit;
	all->services[0].rate_header = "x-key";
	web->concurrency = 3;
	web->queue = 4;
	web->rate_per_second = 5;
	web->rate_by = RATE_BY_HEADER;
	any->endpoint_concurrency = 6;
	any->queue = 7;
	any->client_rate_per_second = 8;
	many->adapts = 1;
	many->rate_per_second = 9;
}

static void limits_are_told(void **state)
{
	static struct stage stage;
	(void)state;
	stage_open(&stage, with_limits, NULL);
	peer_sends(&stage, client_connect(&stage, WEB), GET);
	expect(&stage, "url=web",
	       (const char *const[]){"\"1 of 3 requests under way, 0 of 4 wait\"",
				     "\"5 requests a second for each value of x-key\"", NULL});
	peer_sends(&stage, client_connect(&stage, ANY), GET);
	expect(&stage, "url=any",
	       (const char *const[]){"\"0 of 7 requests wait\"",
				     "\"8 requests a second of each pod\"",
				     "1 requests in flight, 1 of its cap of 6\"", NULL});
	expect(&stage, "url=many",
	       (const char *const[]){"\"0 of 20 requests under way, 0 of 0 wait\"",
				     "adapted to the latency",
				     "\"9 requests a second of all clients\"", NULL});
	stage_empty(&stage);
	stage_close(&stage);
}

static void any_allocation_may_fail(void **state)
{
	static struct stage stage;
	(void)state;
	stage_open(&stage, with_dtab, NULL);
	for (unsigned long n = 1; n < 200; n++) {
		struct text json = {0};
		mem_fail_nth(n);
		explain_write(&stage.worker, span_text("url=web&pod=client&header=l5d-dtab:/a=>/b"),
			      &json);
		mem_fail_nth(0);
		if (!json.failed)
			assert_int_equal(json.data[json.size - 1], '}');
		text_fini(&json);
	}
	stage_empty(&stage);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_step_is_told),
		cmocka_unit_test(an_ejected_endpoint_is_told),
		cmocka_unit_test(limits_are_told),
		cmocka_unit_test(any_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
