/* Requests whose names go through dtabs: the config's, their own; alternates at run time. */
#include "policy/binder.h"
#include "rules.h"

#define GET_WITH(fields) "GET /a HTTP/1.1\r\nHost: web\r\n" fields "\r\n"

static struct namer_draft turn = {.line = 1,
				  .kind = NAMER_REWRITE,
				  .prefix = "turn",
				  .pattern = "/{a}-{b}",
				  .name = "/svc/{b}"};

static struct identifier_draft nobody = {.line = 1, .kind = IDENTIFY_STATIC, .path = "/nobody"};

static void to_any(struct stage_draft *all)
{
	all->draft.dtab.text = "/svc/web => /svc/any";
}

static void trusted(struct stage_draft *all)
{
	all->pod.trusts_dtabs = true;
}

static void trusted_with_dtab(struct stage_draft *all)
{
	trusted(all);
	to_any(all);
}

static void with_alternate(struct stage_draft *all)
{
	all->draft.dtab.text = "/svc/web => /svc/none | /svc/any";
}

static void guarded(struct stage_draft *all)
{
	all->draft.dtab.text = "/svc/none => /#/weft/web | /#/weft/many";
	rules_of(all, "web")->breaker.failures = 1;
	rules_of(all, "web")->breaker.removed_most_ppm = PPM;
}

static void to_address(struct stage_draft *all)
{
	all->draft.dtab.text = "/svc/web => /$/inet/192.0.2.1/99";
}

static void to_host(struct stage_draft *all)
{
	all->draft.dtab.text = "/svc/web => /$/inet/example.com/80";
}

static void to_status(struct stage_draft *all)
{
	all->draft.dtab.text = "/svc/web => /$/io.buoyant.http.status/418";
}

static void to_nothing(struct stage_draft *all)
{
	all->draft.identifiers = (struct draft_list){1, &nobody};
	all->draft.dtab.text = "/svc/nobody => /nowhere/at/all | ~";
}

static void to_failure(struct stage_draft *all)
{
	all->draft.dtab.text = "/svc/web => !";
}

static void round_and_round(struct stage_draft *all)
{
	all->draft.dtab.text = "/a => /b; /b => /a; /svc/web => /a";
}

static void rewritten(struct stage_draft *all)
{
	all->draft.namers = (struct draft_list){1, &turn};
	all->draft.dtab.text = "/svc/web => /#/turn/x-any";
}

/* Whichever pod it comes from. */
static void trusting(struct stage_draft *all)
{
	all->services[0].trusts_dtabs = true; /* web */
}

static void plain(struct stage_draft *all)
{
	(void)all;
}

static struct io_peer *asks(struct stage *stage, const char *to, const char *request)
{
	struct io_peer *client = client_connect(stage, to);
	peer_sends(stage, client, request);
	return client;
}

static void reaches_any_service(struct stage *stage)
{
	struct io_peer *client = asks(stage, WEB, GET);
	struct io_peer *any = reaches(stage, ANY_ENDPOINT);
	sees(stage, any, GET);
	peer_sends(stage, any, HELLO);
	sees(stage, client, HELLO);
	peer_sends(stage, client, GET);
	sees(stage, any, GET);
	peer_sends(stage, any, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, series_of(stage, "any", "")->requests == 2);
	WANT(stage, dials_to(WEB_ENDPOINT) == 0);
}

static void until_the_next(struct stage *stage)
{
	struct io_peer *client = asks(stage, WEB, GET);
	struct io_peer *any = reaches(stage, ANY_ENDPOINT);
	sees(stage, any, GET);
	stage_publish_later(stage);
	peer_sends(stage, any, HELLO);
	sees(stage, client, HELLO);
	peer_sends(stage, client, GET);
	struct io_peer *web = reaches(stage, WEB_ENDPOINT);
	sees(stage, web, GET);
	peer_sends(stage, web, HELLO);
	sees(stage, client, HELLO);
}

static void own_entries(struct stage *stage)
{
	struct io_peer *client = asks(stage, WEB,
				      GET_WITH("l5d-dtab: /svc/web=>/svc/any ; \r\nX: 1\r\n"
					       "l5d-ctx-dtab: /svc/web => /svc/none # old\r\n"));
	struct io_peer *any = reaches(stage, ANY_ENDPOINT);
	sees(stage, any,
	     GET_WITH("X: 1\r\nl5d-ctx-dtab: /svc/web => /svc/none; /svc/web => /svc/any\r\n"));
	peer_sends(stage, any, HELLO);
	sees(stage, client, HELLO);
	peer_sends(stage, client, GET);
	struct io_peer *web = reaches(stage, WEB_ENDPOINT);
	sees(stage, web, GET);
	peer_sends(stage, web, HELLO);
	sees(stage, client, HELLO);
}

static void own_entries_win(struct stage *stage)
{
	struct io_peer *client = asks(stage, WEB, GET_WITH("l5d-dtab: /svc/any=>/#/weft/web\r\n"));
	struct io_peer *web = reaches(stage, WEB_ENDPOINT);
	sees(stage, web, GET_WITH("l5d-ctx-dtab: /svc/any => /#/weft/web\r\n"));
	peer_sends(stage, web, HELLO);
	sees(stage, client, HELLO);
}

static void not_trusted(struct stage *stage)
{
	struct io_peer *client = asks(
		stage, WEB,
		GET_WITH("l5d-dtab: /svc/web=>/svc/any\r\nX: 1\r\nl5d-ctx-dtab: nonsense\r\n"));
	struct io_peer *web = reaches(stage, WEB_ENDPOINT);
	sees(stage, web, GET_WITH("X: 1\r\n"));
	peer_sends(stage, web, HELLO);
	sees(stage, client, HELLO);
}

/* The service that is dialled trusts everybody's; others do not. */
static void to_a_trusting_service(struct stage *stage)
{
	struct io_peer *client = asks(stage, WEB, GET_WITH("l5d-dtab: /svc/web=>/svc/any\r\n"));
	struct io_peer *any = reaches(stage, ANY_ENDPOINT);
	sees(stage, any, GET_WITH("l5d-ctx-dtab: /svc/web => /svc/any\r\n"));
	peer_sends(stage, any, HELLO);
	sees(stage, client, HELLO);
	struct io_peer *other = asks(stage, MANY, GET_WITH("l5d-dtab: /svc/many=>/svc/web\r\n"));
	struct io_peer *many = reaches_any(stage, NULL);
	sees(stage, many, GET);
	peer_sends(stage, many, HELLO);
	sees(stage, other, HELLO);
}

static void no_dtab_at_all(struct stage *stage)
{
	struct io_peer *client = asks(stage, WEB, GET_WITH("l5d-dtab: /svc/web => (/a\r\n"));
	WANT(stage, is_answered(stage, client, "400", "l5d-ctx-dtab: column 16: "));
	WANT(stage, counted(stage, WEFT_PROXY_BAD_DTAB) == 1);
}

static void alternate_of_an_empty_service(struct stage *stage)
{
	struct io_peer *client = asks(stage, WEB, GET);
	struct io_peer *any = reaches(stage, ANY_ENDPOINT);
	sees(stage, any, GET);
	peer_sends(stage, any, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_FAILED_OVER) == 0);
}

static void answers(struct stage *stage, struct io_peer *client, struct io_peer *server)
{
	sees(stage, server, GET);
	io_peer_send(server, span_text("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: "
				       "close\r\n\r\n"));
	io_peer_finish(server);
	stage_settle(stage);
	struct span got = io_peer_received(client);
	WANT(stage, got.size > 12 && memcmp(got.data + 9, "200", 3) == 0);
	io_peer_forget(client);
}

/* "none" is web, else many. web's endpoint refuses, is ejected, is probed, is used again. */
static void failover_and_back(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, NONE);
	peer_sends(stage, client, GET);
	answers(stage, client, reaches(stage, WEB_ENDPOINT));

	endpoint_answers(WEB_ENDPOINT, IO_DOUBLE_REFUSES, 0);
	peer_sends(stage, client, GET);
	answers(stage, client, reaches_any(stage, NULL)); /* no failed request */
	WANT(stage, counted(stage, WEFT_PROXY_FAILED_OVER) == 1);
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 1);
	unsigned dials = dials_to(WEB_ENDPOINT);
	for (int i = 0; i < 5; i++) {
		peer_sends(stage, client, GET);
		answers(stage, client, reaches_any(stage, NULL));
	}
	WANT(stage, dials_to(WEB_ENDPOINT) == dials); /* ejected: not even tried */
	WANT(stage, series_of(stage, "many", "")->requests == 6);

	endpoint_answers(WEB_ENDPOINT, IO_DOUBLE_ACCEPTS, 0);
	stage_run(stage, 5100 * NS_PER_MS);
	peer_sends(stage, client, GET);
	answers(stage, client, reaches(stage, WEB_ENDPOINT)); /* the probe */
	peer_sends(stage, client, GET);
	answers(stage, client, reaches_any(stage, NULL)); /* not yet back */
	stage_run(stage, 10100 * NS_PER_MS);
	peer_sends(stage, client, GET);
	answers(stage, client, reaches(stage, WEB_ENDPOINT));
}

static void by_address(struct stage *stage)
{
	struct io_peer *client = asks(stage, WEB, GET);
	struct io_peer *stranger = reaches(stage, STRANGER);
	sees(stage, stranger, GET);
	peer_sends(stage, stranger, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, series_of(stage, STRANGER, "")->requests == 1);
	WANT(stage, series_of(stage, "web", "")->requests == 0);
}

static void host_is_refused(struct stage *stage)
{
	struct io_peer *client = asks(stage, WEB, GET);
	WANT(stage, is_answered(stage, client, "502", "an inet name of a host"));
}

static void status(struct stage *stage)
{
	struct io_peer *client = asks(stage, WEB, GET);
	WANT(stage, is_answered(stage, client, "418", "gives this status"));
}

static void nothing(struct stage *stage)
{
	struct io_peer *client = asks(stage, WEB, GET);
	WANT(stage,
	     is_answered(stage, client, "502", "service name: /svc/nobody; resolution: negative"));
	WANT(stage, counted(stage, WEFT_PROXY_UNBOUND) == 1);
}

static void failure(struct stage *stage)
{
	struct io_peer *client = asks(stage, WEB, GET);
	WANT(stage, is_answered(stage, client, "502", "resolution: failed"));
}

static void too_deep(struct stage *stage)
{
	struct io_peer *client = asks(stage, WEB, GET);
	WANT(stage, is_answered(stage, client, "502", "resolution: too deep"));
}

#define TEST(name, run, configure, later)                                                          \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		play_all(&(struct play){run, configure, later});                                   \
	}

TEST(a_dtab_leads_to_another_service, reaches_any_service, to_any, NULL)
TEST(a_dtab_holds_until_the_next_config, until_the_next, to_any, plain)
TEST(a_rewriting_namer_leads_on, reaches_any_service, rewritten, NULL)
TEST(entries_of_a_trusted_request_count_and_go_on, own_entries, trusted, NULL)
TEST(entries_of_a_request_win, own_entries_win, trusted_with_dtab, NULL)
TEST(entries_to_a_service_that_trusts_everybody_count, to_a_trusting_service, trusting, NULL)
TEST(entries_that_are_not_trusted_are_removed, not_trusted, plain, NULL)
TEST(a_trusted_header_that_is_no_dtab_is_refused, no_dtab_at_all, trusted, NULL)
TEST(an_empty_service_has_an_alternate, alternate_of_an_empty_service, with_alternate, NULL)
TEST(an_ejected_service_has_an_alternate_until_it_is_back, failover_and_back, guarded, NULL)
TEST(an_inet_name_is_an_address, by_address, to_address, NULL)
TEST(an_inet_name_of_a_host_is_refused, host_is_refused, to_host, NULL)
TEST(a_status_name_is_an_answer, status, to_status, NULL)
TEST(a_negative_name_is_refused_with_all_that_was_considered, nothing, to_nothing, NULL)
TEST(a_failed_name_is_refused, failure, to_failure, NULL)
TEST(a_name_that_goes_in_circles_is_refused, too_deep, round_and_round, NULL)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dtab_leads_to_another_service),
		cmocka_unit_test(a_dtab_holds_until_the_next_config),
		cmocka_unit_test(a_rewriting_namer_leads_on),
		cmocka_unit_test(entries_of_a_trusted_request_count_and_go_on),
		cmocka_unit_test(entries_of_a_request_win),
		cmocka_unit_test(entries_to_a_service_that_trusts_everybody_count),
		cmocka_unit_test(entries_that_are_not_trusted_are_removed),
		cmocka_unit_test(a_trusted_header_that_is_no_dtab_is_refused),
		cmocka_unit_test(an_empty_service_has_an_alternate),
		cmocka_unit_test(an_ejected_service_has_an_alternate_until_it_is_back),
		cmocka_unit_test(an_inet_name_is_an_address),
		cmocka_unit_test(an_inet_name_of_a_host_is_refused),
		cmocka_unit_test(a_status_name_is_an_answer),
		cmocka_unit_test(a_negative_name_is_refused_with_all_that_was_considered),
		cmocka_unit_test(a_failed_name_is_refused),
		cmocka_unit_test(a_name_that_goes_in_circles_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
