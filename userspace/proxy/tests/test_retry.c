/* Second tries: what failed before a byte of an answer was passed on. */
#include "rules.h"

static void reads(struct stage_draft *all)
{
	rules_of(all, "many")->classifier = CLASSIFIER_RETRYABLE_READ_5XX;
	rules_of(all, "web")->classifier = CLASSIFIER_RETRYABLE_READ_5XX;
}

static void everything(struct stage_draft *all)
{
	rules_of(all, "many")->classifier = CLASSIFIER_RETRYABLE_ALL_5XX;
}

static void small_buffer(struct stage_draft *all)
{
	everything(all);
	rules_of(all, "many")->retry.buffer_bytes = 64;
}

static void no_budget(struct stage_draft *all)
{
	reads(all);
	rules_of(all, "many")->retry.budget.min_per_second = 0;
}

static void as_linkerd(struct stage_draft *all)
{
	all->draft.settings.compatibility = COMPATIBILITY_LINKERD;
}

static void with_backoff(struct stage_draft *all)
{
	everything(all);
	rules_of(all, "many")->retry.backoff.least_ns = 50 * NS_PER_MS;
}

static void no_time_for_backoff(struct stage_draft *all)
{
	with_backoff(all);
	rules_of(all, "many")->timeout.total_ns = 40 * NS_PER_MS;
}

static void always_the_same(struct stage_draft *all)
{
	reads(all);
	all->services[3].balancer = BALANCER_CLIENT_IP;
}

static void two_attempts(struct stage_draft *all)
{
	reads(all);
	rules_of(all, "many")->retry.attempts_most = 2;
}

/* ---- answers ---- */

static void another_replica_answers(struct stage *stage)
{
	unsigned first, second;
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches_any(stage, &first);
	sees(stage, server, GET);
	peer_sends(stage, server, UNAVAILABLE);
	struct io_peer *other = reaches_any(stage, &second);
	WANT(stage, first != second);
	sees(stage, other, GET);
	sees(stage, client, "");
	peer_sends(stage, other, HELLO);
	sees(stage, client, HELLO);
	const struct weft_series *total = series_of(stage, "many", "");
	const struct weft_series *failed = series_of(stage, "many", replicas[first]);
	const struct weft_series *good = series_of(stage, "many", replicas[second]);
	WANT(stage, total->requests == 1 && total->retries == 1 && total->responses[2] == 1);
	WANT(stage, failed->requests == 1 && failed->responses[5] == 1 && failed->retries == 1);
	WANT(stage, good->requests == 1 && good->responses[2] == 1 && good->retries == 0);
	WANT(stage, counted(stage, WEFT_PROXY_RETRIED_ANSWER) == 1);
	/* the discarded answer was read to its end: its connection is used again */
	WANT(stage, stage->worker.counts->upstreams_idle == 2);
	WANT(stage, !io_peer_saw_fin(server));
}

static void a_post_is_not_a_read(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, "POST /a HTTP/1.1\r\nHost: web\r\nContent-Length: 2\r\n\r\nhi");
	struct io_peer *server = reaches_any(stage, NULL);
	peer_sends(stage, server, UNAVAILABLE);
	sees(stage, client, UNAVAILABLE);
	reaches_none(stage);
}

static void nothing_is_tried_again_by_default(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches_any(stage, NULL);
	peer_sends(stage, server, UNAVAILABLE);
	sees(stage, client, UNAVAILABLE);
	WANT(stage, series_of(stage, "many", "")->retries == 0);
	reaches_none(stage);
}

#define POST_HI   "POST /a HTTP/1.1\r\nHost: web\r\nContent-Length: 2\r\n\r\nhi"
#define PUT_HI    "PUT /a HTTP/1.1\r\nHost: web\r\nContent-Length: 2\r\n\r\nhi"
#define RETRYABLE "HTTP/1.1 502 Bad Gateway\r\nl5d-retryable: true\r\nContent-Length: 0\r\n\r\n"

/* C7: with the default classifier, too. */
static void asks_for_another(struct stage *stage, const char *request, const char *hello)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, request);
	struct io_peer *server = reaches_any(stage, NULL);
	sees(stage, server, request);
	peer_sends(stage, server, RETRYABLE);
	struct io_peer *other = reaches_any(stage, NULL);
	sees(stage, other, request);
	peer_sends(stage, other, HELLO);
	sees(stage, client, hello);
}

static void the_answer_asks_for_it(struct stage *stage)
{
	asks_for_another(stage, PUT_HI, HELLO);
}

static void with_linkerd_it_asks_for_a_post(struct stage *stage)
{
	asks_for_another(stage, POST_HI,
			 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
			 "l5d-success-class: 1.0\r\n\r\nhello");
}

/* It may have done its part, and pass on what another server said. */
static void a_post_is_not_repeated_for_an_apps_word(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, POST_HI);
	peer_sends(stage, reaches_any(stage, NULL), RETRYABLE);
	sees(stage, client, RETRYABLE);
	reaches_none(stage);
}

/* Room for bytes on their way is worth more than copies. */
static void copies_are_not_kept_when_memory_is_short(struct stage *stage)
{
	struct blocks *blocks = &stage->worker.blocks;
	size_t bytes = blocks->limit_bytes / 2 + 1;
	WANT(stage, blocks_charge(blocks, bytes));
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	peer_sends(stage, reaches_any(stage, NULL), UNAVAILABLE);
	sees(stage, client, UNAVAILABLE);
	WANT(stage, counted(stage, WEFT_PROXY_RETRY_TOO_LARGE) == 1);
	blocks_discharge(blocks, bytes);
}

/* The first attempt may have had an effect. */
static void what_was_sent_is_not_called_unsent(struct stage *stage)
{
	unsigned first;
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches_any(stage, &first);
	for (unsigned i = 0; i < REPLICAS; i++)
		endpoint_answers(replicas[i], IO_DOUBLE_REFUSES, 0);
	peer_sends(stage, server, UNAVAILABLE);
	stage_settle(stage);
	struct span got = io_peer_received(client);
	WANT(stage, got.size > 12 && memcmp(got.data + 9, "502", 3) == 0);
	WANT(stage, memmem(got.data, got.size, "l5d-err", 7));
	WANT(stage, !memmem(got.data, got.size, "l5d-retryable", 13));
}

/* Y4: nothing was sent, so it goes on beyond limits.connect_attempts. */
static void three_refuse(void)
{
	for (unsigned i = 0; i + 1 < REPLICAS; i++)
		endpoint_answers(replicas[i], IO_DOUBLE_REFUSES, 0);
}

static void a_refused_request_goes_on(struct stage *stage)
{
	three_refuse();
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, POST_HI);
	struct io_peer *server = reaches(stage, replicas[REPLICAS - 1]);
	sees(stage, server, POST_HI);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_REQUEUED) == 1);
}

static void without_budget_it_does_not(struct stage *stage)
{
	three_refuse();
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, POST_HI);
	WANT(stage, is_answered(stage, client, "502", "in+3+attempts"));
	WANT(stage, counted(stage, WEFT_PROXY_REQUEUE_BUDGET_EXHAUSTED) == 1);
}

/* Each success is worth a fifth of one (the budget's default share). */
static void successes_fill_the_budget(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	for (int i = 0; i < 8; i++) { /* the next would be the first replica again */
		peer_sends(stage, client, GET);
		struct io_peer *server = reaches_any(stage, NULL);
		peer_sends(stage, server,
			   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
		sees(stage, client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	}
	three_refuse();
	peer_sends(stage, client, POST_HI);
	sees(stage, reaches(stage, replicas[REPLICAS - 1]), POST_HI);
}

static void silence_does_not_go_on(struct stage *stage)
{
	for (unsigned i = 0; i < REPLICAS; i++)
		endpoint_answers(replicas[i], IO_DOUBLE_IS_SILENT, 0);
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	stage_run(stage, 60 * NS_PER_S);
	WANT(stage, is_answered(stage, client, "502", "in+3+attempts"));
	WANT(stage, counted(stage, WEFT_PROXY_REQUEUED) == 0);
}

static void the_last_answer_is_passed_on(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches_any(stage, NULL);
	peer_sends(stage, server, UNAVAILABLE);
	server = reaches_any(stage, NULL);
	peer_sends(stage, server, UNAVAILABLE);
	sees(stage, client, UNAVAILABLE);
	reaches_none(stage);
	/* the client's next request is a new one */
	peer_sends(stage, client, GET);
	server = reaches_any(stage, NULL);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

/* One endpoint: better the same again than none. */
static void the_only_endpoint_is_asked_again(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, UNAVAILABLE);
	struct io_peer *again = server_reached(stage, WEB_ENDPOINT);
	struct io_peer *second = again ? again : server;
	sees(stage, second, GET);
	peer_sends(stage, second, HELLO);
	sees(stage, client, HELLO);
}

static void without_budget_the_failure_passes(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	for (int i = 0; i < 4; i++) { /* five requests pay for one */
		peer_sends(stage, client, GET);
		peer_sends(stage, reaches_any(stage, NULL), UNAVAILABLE);
		sees(stage, client, UNAVAILABLE);
	}
	WANT(stage, counted(stage, WEFT_PROXY_RETRY_BUDGET_EXHAUSTED) == 4);
}

/* ---- bodies ---- */

#define CHUNKED_HEAD                                                                               \
	"POST /p HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n"

static void a_chunked_body_is_sent_again(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, CHUNKED_HEAD "5\r\nhello\r\n");
	struct io_peer *server = reaches_any(stage, NULL);
	peer_sends(stage, client, "6;x=y\r\n world\r\n0\r\nSum: 7\r\n\r\n");
	sees_chunked(stage, server, CHUNKED_HEAD "hello world" END_OF_CHUNKS "Sum: 7\r\n\r\n");
	peer_sends(stage, server, UNAVAILABLE);
	server = reaches_any(stage, NULL);
	sees_chunked(stage, server, CHUNKED_HEAD "hello world" END_OF_CHUNKS "Sum: 7\r\n\r\n");
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

/* The failure comes while the client still sends: what came so far, then the rest. */
static void a_body_goes_on_at_the_next_replica(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client,
		   "POST /p HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\nhello");
	struct io_peer *server = reaches_any(stage, NULL);
	sees(stage, server, "POST /p HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\nhello");
	peer_sends(stage, server, UNAVAILABLE);
	peer_sends(stage, client, "world");
	stage_run(stage, 60 * NS_PER_MS);
	server = reaches_any(stage, NULL);
	sees(stage, server,
	     "POST /p HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\nhelloworld");
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

static void what_does_not_fit_is_not_sent_again(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client,
		   "POST /p HTTP/1.1\r\nHost: web\r\nContent-Length: 20\r\n\r\n"
		   "01234567890123456789");
	struct io_peer *server = reaches_any(stage, NULL);
	peer_sends(stage, server, UNAVAILABLE);
	sees(stage, client, UNAVAILABLE);
	WANT(stage, counted(stage, WEFT_PROXY_RETRY_TOO_LARGE) == 1);
	reaches_none(stage);
}

static void after_a_continue_it_is_too_late(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client,
		   "POST /p HTTP/1.1\r\nHost: web\r\nExpect: 100-continue\r\n"
		   "Content-Length: 2\r\n\r\n");
	struct io_peer *server = reaches_any(stage, NULL);
	peer_sends(stage, server, "HTTP/1.1 100 Continue\r\n\r\n");
	sees(stage, client, "HTTP/1.1 100 Continue\r\n\r\n");
	peer_sends(stage, client, "hi");
	peer_sends(stage, server, UNAVAILABLE);
	sees(stage, client, UNAVAILABLE);
	reaches_none(stage);
}

/* ---- discarded answers ---- */

static void a_long_answer_is_cut(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches_any(stage, NULL);
	peer_sends(stage, server, "HTTP/1.1 500 Oops\r\nContent-Length: 1000000\r\n\r\nbeginning");
	struct io_peer *other = reaches_any(stage, NULL);
	WANT(stage, io_peer_saw_fin(server) || io_peer_saw_reset(server));
	peer_sends(stage, other, HELLO);
	sees(stage, client, HELLO);
}

static void an_answer_that_never_ends_is_cut(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches_any(stage, NULL);
	peer_sends(stage, server,
		   "HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
	struct io_peer *other = reaches_any(stage, NULL);
	peer_sends(stage, other, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, !io_peer_saw_fin(server) && !io_peer_saw_reset(server));
	stage_run(stage, 1100 * NS_PER_MS);
	WANT(stage, io_peer_saw_fin(server) || io_peer_saw_reset(server));
}

static void a_chunked_answer_is_drained(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches_any(stage, NULL);
	peer_sends(stage, server,
		   "HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
	struct io_peer *other = reaches_any(stage, NULL);
	peer_sends(stage, server, "2\r\nyz\r\n0\r\n\r\n");
	peer_sends(stage, other, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, stage->worker.counts->upstreams_idle == 2);
}

/* However long it is, in chunks that do not say so. */
static void a_chunked_answer_is_drained_so_far(struct stage *stage)
{
	static char bulk[70000];
	struct io_peer *client = client_connect(stage, MANY);
	memset(bulk, 'x', sizeof(bulk) - 1);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches_any(stage, NULL);
	peer_sends(stage, server,
		   "HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n");
	struct io_peer *other = reaches_any(stage, NULL);
	peer_sends(stage, server, bulk);
	WANT(stage, io_peer_saw_fin(server) || io_peer_saw_reset(server));
	peer_sends(stage, other, HELLO);
	sees(stage, client, HELLO);
}

/* ---- no answer ---- */

static void a_reset_is_tried_again(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches_any(stage, NULL);
	sees(stage, server, GET);
	io_peer_reset(server);
	server = reaches_any(stage, NULL);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_RETRIED_UNANSWERED) == 1);
}

static void a_bad_answer_is_tried_again(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	peer_sends(stage, reaches_any(stage, NULL), "NONSENSE\r\n\r\n");
	struct io_peer *server = reaches_any(stage, NULL);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

static void a_reset_is_502_by_default(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	io_peer_reset(reaches_any(stage, NULL));
	WANT(stage, is_answered(stage, client, "502", "reset the connection"));
	reaches_none(stage);
}

/* ---- waiting ---- */

static void it_waits_before_the_next_try(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	peer_sends(stage, reaches_any(stage, NULL), UNAVAILABLE);
	stage_run(stage, 40 * NS_PER_MS);
	reaches_none(stage);
	stage_run(stage, 20 * NS_PER_MS);
	struct io_peer *server = reaches_any(stage, NULL);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

static void the_client_leaves_while_it_waits(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	peer_sends(stage, reaches_any(stage, NULL), UNAVAILABLE);
	io_peer_reset(client);
	stage_run(stage, 100 * NS_PER_MS);
	reaches_none(stage);
	WANT(stage, stage->worker.counts->sessions == 0);
}

static void a_half_closed_client_gets_its_answer(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	io_peer_send(client, span_text(GET));
	io_peer_finish(client);
	peer_sends(stage, reaches_any(stage, NULL), UNAVAILABLE);
	stage_run(stage, 60 * NS_PER_MS);
	struct io_peer *server = reaches_any(stage, NULL);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

/* Rather the failure than no answer at all. */
static void a_wait_beyond_the_deadline_is_not_begun(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	peer_sends(stage, client, GET);
	peer_sends(stage, reaches_any(stage, NULL), UNAVAILABLE);
	sees(stage, client, UNAVAILABLE);
}

/* Its FIN would go before the request on a connection that is open already. */
static void a_half_closed_client_takes_no_pooled_connection(struct stage *stage)
{
	struct io_peer *warm[REPLICAS];
	struct io_peer *servers[REPLICAS];
	for (int i = 0; i < REPLICAS; i++) {
		warm[i] = client_connect(stage, MANY);
		peer_sends(stage, warm[i], GET);
		servers[i] = reaches_any(stage, NULL);
	}
	for (int i = 0; i < REPLICAS; i++) {
		sees(stage, servers[i], GET);
		peer_sends(stage, servers[i], HELLO);
		sees(stage, warm[i], HELLO);
	}
	struct io_peer *client = client_connect(stage, MANY);
	io_peer_send(client, span_text(GET));
	io_peer_finish(client);
	stage_settle(stage);
	for (int i = 0; i < REPLICAS; i++) {
		if (io_peer_received(servers[i]).size)
			peer_sends(stage, servers[i], UNAVAILABLE);
	}
	struct io_peer *server = reaches_any(stage, NULL);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

#define BULK (256 * 1024)

/* The rest of the request stays with the client until it can go on. */
static void a_client_is_not_read_while_it_waits(struct stage *stage)
{
	static char bulk[BULK + 1];
	struct io_peer *client = client_connect(stage, MANY);
	memset(bulk, 'x', BULK);
	peer_sends(stage, client,
		   "POST /p HTTP/1.1\r\nHost: web\r\nContent-Length: 262149\r\n\r\nhello");
	struct io_peer *server = reaches_any(stage, NULL);
	peer_sends(stage, server, UNAVAILABLE);
	peer_sends(stage, client, bulk);
	WANT(stage, stage->worker.blocks.bytes_in_use < BULK);
	stage_run(stage, 60 * NS_PER_MS);
	server = reaches_any(stage, NULL);
	stage_settle(stage);
	WANT(stage, io_peer_received(server).size > BULK);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

#define TEST(name, configure)                                                                      \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		play_with(name, configure);                                                        \
	}

TEST(another_replica_answers, reads)
TEST(a_post_is_not_a_read, reads)
TEST(nothing_is_tried_again_by_default, NULL)
TEST(the_answer_asks_for_it, NULL)
TEST(the_last_answer_is_passed_on, two_attempts)
TEST(the_only_endpoint_is_asked_again, reads)
TEST(without_budget_the_failure_passes, no_budget)
TEST(a_chunked_body_is_sent_again, everything)
TEST(a_body_goes_on_at_the_next_replica, with_backoff)
TEST(what_does_not_fit_is_not_sent_again, small_buffer)
TEST(after_a_continue_it_is_too_late, everything)
TEST(a_long_answer_is_cut, reads)
TEST(an_answer_that_never_ends_is_cut, reads)
TEST(a_chunked_answer_is_drained, reads)
TEST(a_reset_is_tried_again, reads)
TEST(a_bad_answer_is_tried_again, reads)
TEST(a_reset_is_502_by_default, NULL)
TEST(it_waits_before_the_next_try, with_backoff)
TEST(the_client_leaves_while_it_waits, with_backoff)
TEST(with_linkerd_it_asks_for_a_post, as_linkerd)
TEST(a_post_is_not_repeated_for_an_apps_word, NULL)
TEST(what_was_sent_is_not_called_unsent, reads)
TEST(a_refused_request_goes_on, NULL)
TEST(without_budget_it_does_not, no_budget)
TEST(successes_fill_the_budget, no_budget)
TEST(silence_does_not_go_on, NULL)
TEST(a_half_closed_client_gets_its_answer, with_backoff)
TEST(a_wait_beyond_the_deadline_is_not_begun, no_time_for_backoff)
TEST(a_half_closed_client_takes_no_pooled_connection, reads)

static void test_a_chunked_answer_is_drained_so_far(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, reads, NULL);
	act(&stage, a_chunked_answer_is_drained_so_far);
	stage_close(&stage);
}

static void test_a_client_is_not_read_while_it_waits(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, with_backoff, NULL);
	act(&stage, a_client_is_not_read_while_it_waits);
	stage_close(&stage);
}

static void test_copies_are_not_kept_when_memory_is_short(void **state)
{
	struct stage stage;
	(void)state;
	stage_open(&stage, reads, NULL);
	act(&stage, copies_are_not_kept_when_memory_is_short);
	stage_close(&stage);
}

/* The balancer would give the one that failed again. */
static void test_the_balancer_is_told_whom_to_avoid(void **state)
{
	(void)state;
	play_with(another_replica_answers, always_the_same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_replica_answers),
		cmocka_unit_test(test_a_post_is_not_a_read),
		cmocka_unit_test(test_nothing_is_tried_again_by_default),
		cmocka_unit_test(test_the_answer_asks_for_it),
		cmocka_unit_test(test_with_linkerd_it_asks_for_a_post),
		cmocka_unit_test(test_a_post_is_not_repeated_for_an_apps_word),
		cmocka_unit_test(test_copies_are_not_kept_when_memory_is_short),
		cmocka_unit_test(test_what_was_sent_is_not_called_unsent),
		cmocka_unit_test(test_a_refused_request_goes_on),
		cmocka_unit_test(test_without_budget_it_does_not),
		cmocka_unit_test(test_successes_fill_the_budget),
		cmocka_unit_test(test_silence_does_not_go_on),
		cmocka_unit_test(test_the_last_answer_is_passed_on),
		cmocka_unit_test(test_the_only_endpoint_is_asked_again),
		cmocka_unit_test(test_without_budget_the_failure_passes),
		cmocka_unit_test(test_a_chunked_body_is_sent_again),
		cmocka_unit_test(test_a_body_goes_on_at_the_next_replica),
		cmocka_unit_test(test_what_does_not_fit_is_not_sent_again),
		cmocka_unit_test(test_after_a_continue_it_is_too_late),
		cmocka_unit_test(test_a_long_answer_is_cut),
		cmocka_unit_test(test_an_answer_that_never_ends_is_cut),
		cmocka_unit_test(test_a_chunked_answer_is_drained),
		cmocka_unit_test(test_a_reset_is_tried_again),
		cmocka_unit_test(test_a_bad_answer_is_tried_again),
		cmocka_unit_test(test_a_reset_is_502_by_default),
		cmocka_unit_test(test_it_waits_before_the_next_try),
		cmocka_unit_test(test_the_client_leaves_while_it_waits),
		cmocka_unit_test(test_a_half_closed_client_gets_its_answer),
		cmocka_unit_test(test_a_wait_beyond_the_deadline_is_not_begun),
		cmocka_unit_test(test_a_half_closed_client_takes_no_pooled_connection),
		cmocka_unit_test(test_a_chunked_answer_is_drained_so_far),
		cmocka_unit_test(test_a_client_is_not_read_while_it_waits),
		cmocka_unit_test(test_the_balancer_is_told_whom_to_avoid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
