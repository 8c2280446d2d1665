/* Requests whose names a namer has yet to find out: they wait for the snapshot that knows. */
#include "proxy/park.h"
#include "rules.h"

#define POST       "POST /a HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\n"
#define CHUNKED    "POST /a HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n"
#define LAST_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
#define NEW_NAME   "#/dns/new.example/80"

static struct namer_draft dns = {.line = 1, .kind = NAMER_DNS, .prefix = "", .ttl_max_ns = 1};

static struct identifier_draft nobody = {.line = 1, .kind = IDENTIFY_STATIC, .path = "/nobody"};

static void pending(struct stage_draft *all)
{
	all->draft.namers = (struct draft_list){1, &dns};
	all->draft.dtab.text =
		"/svc/web => /#/dns/new.example/80; "
		"/svc/any => /#/dns/new.example/80 | /svc/many; "
		"/svc/nobody => /#/dns/new.example/80";
}

static void pending_nobody(struct stage_draft *all)
{
	pending(all);
	all->draft.identifiers = (struct draft_list){1, &nobody};
}

static void pending_alternate(struct stage_draft *all)
{
	pending(all);
	all->draft.dtab.text = "/svc/web => /svc/any | /#/dns/new.example/80";
}

/* The service "none" is what is found out: at the endpoint of "any". */
static void known(struct stage_draft *all)
{
	pending(all);
	struct service_draft *service = &all->services[4];
	service->name = NEW_NAME;
	service->addresses.count = 0;
	service->endpoints = (struct draft_list){1, &all->endpoints[1]};
}

static void known_and_timed(struct stage_draft *all)
{
	known(all);
	all->services[4].resilience.timeout.total_ns = 400 * NS_PER_MS;
}

static void absent(struct stage_draft *all)
{
	known(all);
	all->services[4].endpoints.count = 0;
	all->services[4].standing = STANDING_ABSENT;
}

static void absent_nobody(struct stage_draft *all)
{
	absent(all);
	all->draft.identifiers = (struct draft_list){1, &nobody};
}

static void names_are_known(struct stage *stage)
{
	stage_publish_later(stage);
	io_post(stage->worker.ring, &stage->worker.names_mail);
	stage_settle(stage);
}

static struct io_peer *waits(struct stage *stage, const char *to, const char *request)
{
	struct io_peer *client = client_connect(stage, to);
	peer_sends(stage, client, request);
	WANT(stage, stage->worker.parked_count == 1);
	WANT(stage, io_peer_received(client).size == 0);
	WANT(stage, stage->wanted == 1 && strcmp(stage->last_wanted, NEW_NAME) == 0);
	return client;
}

static struct io_peer *answered_by_any(struct stage *stage, struct io_peer *client,
				       const char *request)
{
	struct io_peer *any = reaches(stage, ANY_ENDPOINT);
	sees(stage, any, request);
	peer_sends(stage, any, HELLO);
	sees(stage, client, HELLO);
	return any;
}

static void until_it_is_known(struct stage *stage)
{
	struct io_peer *client = waits(stage, WEB, GET);
	WANT(stage, dials_to(WEB_ENDPOINT) == 0);
	names_are_known(stage);
	WANT(stage, stage->worker.parked_count == 0);
	struct io_peer *any = answered_by_any(stage, client, GET);
	peer_sends(stage, client, GET); /* the connection goes on */
	sees(stage, any, GET);
	peer_sends(stage, any, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_NAME_WAITED) == 1);
	WANT(stage, series_of(stage, NEW_NAME, "")->requests == 2);
	WANT(stage, stage->wanted == 1);
}

static void with_its_body(struct stage *stage)
{
	struct io_peer *client = waits(stage, WEB, POST "01234");
	peer_sends(stage, client, "56");
	names_are_known(stage);
	peer_sends(stage, client, "789");
	answered_by_any(stage, client, POST "0123456789");
}

static void with_a_body_of_chunks(struct stage *stage)
{
	struct io_peer *client = waits(stage, WEB, CHUNKED "3\r\nabc\r\n0\r\n\r\n");
	names_are_known(stage);
	struct io_peer *any = reaches(stage, ANY_ENDPOINT);
	sees_chunked(stage, any, CHUNKED "abc<end>\r\n");
	peer_sends(stage, any, HELLO);
	sees(stage, client, HELLO);
}

static void with_another_behind_it(struct stage *stage)
{
	struct io_peer *client = waits(stage, WEB, GET GET);
	names_are_known(stage);
	struct io_peer *any = answered_by_any(stage, client, GET);
	sees(stage, any, GET);
	peer_sends(stage, any, HELLO);
	sees(stage, client, HELLO);
}

/* And the client's FIN behind both. */
static void with_another_and_no_more(struct stage *stage)
{
	struct io_peer *client = waits(stage, WEB, GET GET);
	io_peer_finish(client);
	stage_settle(stage);
	names_are_known(stage);
	struct io_peer *any = answered_by_any(stage, client, GET);
	sees(stage, any, GET);
	peer_sends(stage, any, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, io_peer_saw_fin(client));
}

static void with_its_body_and_no_more(struct stage *stage)
{
	struct io_peer *client = waits(stage, WEB, POST "01234");
	peer_sends(stage, client, "56789");
	io_peer_finish(client);
	stage_settle(stage);
	names_are_known(stage);
	answered_by_any(stage, client, POST "0123456789");
	WANT(stage, io_peer_saw_fin(client));
}

static void while_the_pod_drains(struct stage *stage)
{
	struct io_peer *client = waits(stage, WEB, GET);
	worker_pod_drain(&stage->worker, 1, 10 * NS_PER_S);
	stage_run(stage, 500 * NS_PER_MS);
	WANT(stage, stage->worker.parked_count == 1);
	names_are_known(stage);
	struct io_peer *any = reaches(stage, ANY_ENDPOINT);
	sees(stage, any, GET);
	peer_sends(stage, any, HELLO);
	sees(stage, client, LAST_HELLO);
	WANT(stage, io_peer_saw_fin(client));
}

/* The wait is a part of the whole time that a request may take. */
static void within_its_time(struct stage *stage)
{
	struct io_peer *client = waits(stage, WEB, GET);
	stage_run(stage, 300 * NS_PER_MS);
	names_are_known(stage);
	struct io_peer *any = reaches(stage, ANY_ENDPOINT);
	WANT(stage, io_peer_received(any).size > sizeof(GET)); /* and its deadline */
	stage_run(stage, 90 * NS_PER_MS);
	WANT(stage, io_peer_received(client).size == 0);
	stage_run(stage, 20 * NS_PER_MS);
	WANT(stage, is_answered(stage, client, "504", "before+the+request"));
}

static void by_no_news(struct stage *stage)
{
	struct io_peer *client = waits(stage, WEB, GET);
	io_post(stage->worker.ring, &stage->worker.names_mail);
	stage_settle(stage);
	WANT(stage, stage->worker.parked_count == 1);
	stage_run(stage, 990 * NS_PER_MS);
	WANT(stage, stage->worker.parked_count == 1);
	stage_run(stage, 20 * NS_PER_MS);
	WANT(stage, is_answered(stage, client, "503", "Retry-After: 1\r\n"));
	WANT(stage, counted(stage, WEFT_PROXY_NAME_UNKNOWN) == 1);
	names_are_known(stage);
	peer_sends(stage, client, GET);
	answered_by_any(stage, client, GET);
}

static void by_no_news_with_a_body(struct stage *stage)
{
	struct io_peer *client = waits(stage, WEB, POST "01234");
	stage_run(stage, 1100 * NS_PER_MS);
	WANT(stage, is_answered(stage, client, "503", "resolution: pending"));
}

static void for_what_is_not(struct stage *stage)
{
	struct io_peer *client = waits(stage, ANY, GET);
	names_are_known(stage);
	struct io_peer *many = reaches_any(stage, NULL); /* the alternate */
	sees(stage, many, GET);
	peer_sends(stage, many, HELLO);
	sees(stage, client, HELLO);
}

static void for_what_is_not_and_has_no_alternate(struct stage *stage)
{
	struct io_peer *client = waits(stage, WEB, GET);
	names_are_known(stage);
	WANT(stage, is_answered(stage, client, "502", "resolution: negative"));
}

static void before_it_is_known_what_the_client_speaks(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, ANY);
	struct io_peer *ahead = reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, client, GET);
	WANT(stage, stage->worker.parked_count == 1);
	WANT(stage, io_peer_is_closed(ahead));
	names_are_known(stage);
	answered_by_any(stage, client, GET);
}

static void no_longer_than_the_client(struct stage *stage)
{
	struct io_peer *client = waits(stage, WEB, GET);
	io_peer_reset(client);
	stage_settle(stage);
	WANT(stage, stage->worker.parked_count == 0);
	names_are_known(stage);
	WANT(stage, dials_to(ANY_ENDPOINT) == 0);
}

static void for_a_client_that_sends_no_more(struct stage *stage)
{
	struct io_peer *client = waits(stage, WEB, GET);
	io_peer_finish(client);
	stage_settle(stage);
	WANT(stage, stage->worker.parked_count == 1);
	names_are_known(stage);
	answered_by_any(stage, client, GET);
}

static void for_half_a_body(struct stage *stage)
{
	struct io_peer *client = waits(stage, WEB, POST);
	io_peer_finish(client);
	stage_settle(stage);
	names_are_known(stage);
	WANT(stage, is_answered(stage, client, "400", "incomplete"));
}

static void until_the_pod_leaves(struct stage *stage)
{
	struct io_peer *client = waits(stage, WEB, GET);
	worker_pod_drain(&stage->worker, 1, 0);
	stage_run(stage, NS_PER_S);
	WANT(stage, stage->worker.parked_count == 0);
	WANT(stage, io_peer_is_closed(client));
}

static void not_for_an_alternate(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	answered_by_any(stage, client, GET);
	WANT(stage, counted(stage, WEFT_PROXY_NAME_WAITED) == 0);
	WANT(stage, stage->wanted == 1); /* but it is asked for */
	peer_sends(stage, client, GET);
	WANT(stage, stage->wanted == 1);
	stage_run(stage, 1100 * NS_PER_MS);
	client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	WANT(stage, stage->wanted == 2); /* still not known: once a second */
}

static void in_small_number(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	stage->worker.parked_count = PARKED_MOST;
	peer_sends(stage, client, GET);
	stage->worker.parked_count = 0;
	WANT(stage, is_answered(stage, client, "503", "Retry-After: 1\r\n"));
	stage->worker.parked_bytes = PARKED_BYTES_MOST - 100;
	peer_sends(stage, client, GET);
	stage->worker.parked_bytes = 0;
	WANT(stage, is_answered(stage, client, "503", "Retry-After: 1\r\n"));
	peer_sends(stage, client, GET);
	WANT(stage, stage->worker.parked_bytes > 0);
	io_peer_reset(client);
	stage_settle(stage);
	WANT(stage, stage->worker.parked_bytes == 0);
}

#define TEST(name, run, configure, later)                                                          \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		play_all(&(struct play){run, configure, later});                                   \
	}

TEST(a_request_waits_until_its_name_is_known, until_it_is_known, pending, known)
TEST(it_waits_with_its_body, with_its_body, pending, known)
TEST(it_waits_with_a_body_of_chunks, with_a_body_of_chunks, pending, known)
TEST(it_waits_with_another_behind_it, with_another_behind_it, pending, known)
TEST(it_waits_with_another_behind_it_and_no_more, with_another_and_no_more, pending, known)
TEST(it_waits_with_its_body_and_no_more, with_its_body_and_no_more, pending, known)
TEST(it_is_answered_while_the_pod_drains, while_the_pod_drains, pending, known)
TEST(its_wait_counts_as_its_time, within_its_time, pending, known_and_timed)
TEST(it_is_answered_when_there_is_no_news, by_no_news, pending, known)
TEST(its_body_is_answered_too_when_there_is_no_news, by_no_news_with_a_body, pending, known)
TEST(an_alternate_takes_it_when_there_is_no_such_name, for_what_is_not, pending, absent)
TEST(it_is_answered_when_there_is_no_such_name, for_what_is_not_and_has_no_alternate,
     pending_nobody, absent_nobody)
TEST(it_waits_where_something_was_dialled_ahead, before_it_is_known_what_the_client_speaks, pending,
     known)
TEST(it_waits_no_longer_than_the_client, no_longer_than_the_client, pending, known)
TEST(it_waits_for_a_client_that_sends_no_more, for_a_client_that_sends_no_more, pending, known)
TEST(half_a_body_is_refused_after_the_wait, for_half_a_body, pending, known)
TEST(it_waits_until_the_pod_leaves, until_the_pod_leaves, pending, known)
TEST(it_does_not_wait_for_an_alternate, not_for_an_alternate, pending_alternate, NULL)
TEST(few_wait_at_a_time, in_small_number, pending, NULL)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_waits_until_its_name_is_known),
		cmocka_unit_test(it_waits_with_its_body),
		cmocka_unit_test(it_waits_with_a_body_of_chunks),
		cmocka_unit_test(it_waits_with_another_behind_it),
		cmocka_unit_test(it_waits_with_another_behind_it_and_no_more),
		cmocka_unit_test(it_waits_with_its_body_and_no_more),
		cmocka_unit_test(it_is_answered_while_the_pod_drains),
		cmocka_unit_test(its_wait_counts_as_its_time),
		cmocka_unit_test(it_is_answered_when_there_is_no_news),
		cmocka_unit_test(its_body_is_answered_too_when_there_is_no_news),
		cmocka_unit_test(an_alternate_takes_it_when_there_is_no_such_name),
		cmocka_unit_test(it_is_answered_when_there_is_no_such_name),
		cmocka_unit_test(it_waits_where_something_was_dialled_ahead),
		cmocka_unit_test(it_waits_no_longer_than_the_client),
		cmocka_unit_test(it_waits_for_a_client_that_sends_no_more),
		cmocka_unit_test(half_a_body_is_refused_after_the_wait),
		cmocka_unit_test(it_waits_until_the_pod_leaves),
		cmocka_unit_test(it_does_not_wait_for_an_alternate),
		cmocka_unit_test(few_wait_at_a_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
