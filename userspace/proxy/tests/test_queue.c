/* Caps of a service and of its endpoints, and who waits where they are reached. */
#include "rules.h"

#define OF(path) "GET " path " HTTP/1.1\r\nHost: web\r\n\r\n"
#define POST     "POST /p HTTP/1.1\r\nHost: web\r\nContent-Length: 11\r\n\r\n"
#define NACK     "l5d-retryable: true\r\nfinagle-http-nack: true\r\nRetry-After: 0\r\n"

static void two_wait(struct stage_draft *all)
{
	rules_of(all, "web")->limit.concurrency = 1;
	rules_of(all, "web")->limit.queue = 2;
	rules_of(all, "web")->limit.queue_wait_ns = 100 * NS_PER_MS;
}

static void one_waits(struct stage_draft *all)
{
	two_wait(all);
	rules_of(all, "web")->limit.queue = 1;
}

static void one_waits_and_is_delayed(struct stage_draft *all)
{
	one_waits(all);
	rules_of(all, "web")->fault.by_header = 1;
}

static void one_each(struct stage_draft *all)
{
	rules_of(all, "many")->limit.endpoint_concurrency = 1;
}

static void one_each_and_a_queue(struct stage_draft *all)
{
	one_each(all);
	rules_of(all, "many")->limit.queue = 2;
	rules_of(all, "many")->limit.queue_wait_ns = 100 * NS_PER_MS;
}

static void one_at_web_and_a_queue(struct stage_draft *all)
{
	two_wait(all);
	rules_of(all, "web")->limit.concurrency = 0;
	rules_of(all, "web")->limit.endpoint_concurrency = 1;
}

static void one_each_and_retries(struct stage_draft *all)
{
	one_each_and_a_queue(all);
	rules_of(all, "many")->classifier = CLASSIFIER_RETRYABLE_READ_5XX;
}

static void one_at_any_endpoint(struct stage_draft *all)
{
	one_each_and_a_queue(all);
	rules_of(all, "web")->limit.endpoint_concurrency = 1;
	rules_of(all, "any")->limit.endpoint_concurrency = 1;
	rules_of(all, "any")->classifier = CLASSIFIER_RETRYABLE_READ_5XX;
}

/* "none" is web, else any, which has room for one and its queue for one more. */
static void alternate_has_a_cap(struct stage_draft *all)
{
	all->draft.dtab.text = "/svc/none => /#/weft/web | /#/weft/any";
	rules_of(all, "web")->limit.concurrency = 1;
	rules_of(all, "any")->limit = rules_of(all, "web")->limit;
	rules_of(all, "any")->limit.queue = 1;
	rules_of(all, "any")->limit.queue_wait_ns = 100 * NS_PER_MS;
}

/* "none" is web, which has room for one and its queue for one more, else any. */
static void has_an_alternate(struct stage_draft *all)
{
	one_waits(all);
	all->draft.dtab.text = "/svc/none => /#/weft/web | /#/weft/any";
}

static void the_alternate_is_left(struct stage_draft *all)
{
	has_an_alternate(all);
	all->services[0].endpoints.count = 0;
}

static void one_each_and_a_breaker(struct stage_draft *all)
{
	one_each(all);
	rules_of(all, "many")->breaker.failures = 1;
	rules_of(all, "many")->breaker.removed_most_ppm = PPM / 2;
}

static void one_each_and_late_retries(struct stage_draft *all)
{
	one_each_and_a_queue(all);
	rules_of(all, "many")->classifier = CLASSIFIER_RETRYABLE_READ_5XX;
	rules_of(all, "many")->retry.backoff.kind = BACKOFF_CONSTANT;
	rules_of(all, "many")->retry.backoff.least_ns = 20 * NS_PER_MS;
	rules_of(all, "many")->retry.backoff.most_ns = 20 * NS_PER_MS;
}

static void one_each_and_a_hedge(struct stage_draft *all)
{
	one_each(all);
	rules_of(all, "many")->hedge.after_ns = 10 * NS_PER_MS;
}

static bool is_refused(struct stage *stage, struct io_peer *client)
{
	return is_answered(stage, client, "503", NACK);
}

/* ---- of the service ---- */

static void in_order(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	struct io_peer *third = client_connect(stage, WEB);
	struct io_peer *fourth = client_connect(stage, WEB);
	peer_sends(stage, first, OF("/1"));
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, OF("/1"));
	peer_sends(stage, second, OF("/2"));
	peer_sends(stage, third, OF("/3"));
	peer_sends(stage, fourth, OF("/4"));
	WANT(stage, is_refused(stage, fourth));
	sees(stage, server, "");
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	sees(stage, server, OF("/2"));
	/* who comes now is behind the third */
	peer_sends(stage, first, OF("/1"));
	peer_sends(stage, server, HELLO);
	sees(stage, second, HELLO);
	sees(stage, server, OF("/3"));
	peer_sends(stage, server, HELLO);
	sees(stage, third, HELLO);
	sees(stage, server, OF("/1"));
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_QUEUED) == 3);
	WANT(stage, counted(stage, WEFT_PROXY_CONCURRENCY_LIMIT) == 1);
	WANT(stage, dials_to(WEB_ENDPOINT) == 1);
}

static void too_long(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	peer_sends(stage, first, OF("/1"));
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, OF("/1"));
	peer_sends(stage, second, OF("/2"));
	stage_run(stage, 90 * NS_PER_MS);
	sees(stage, second, "");
	stage_run(stage, 20 * NS_PER_MS);
	WANT(stage, is_refused(stage, second));
	WANT(stage, counted(stage, WEFT_PROXY_QUEUE_TIMEOUT) == 1);
	WANT(stage, series_of(stage, "web", "")->latency_us_sum >= 100000); /* it counts */
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	/* its connection goes on */
	peer_sends(stage, second, OF("/3"));
	sees(stage, server, OF("/3"));
	peer_sends(stage, server, HELLO);
	sees(stage, second, HELLO);
}

static void leaves(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	struct io_peer *third = client_connect(stage, WEB);
	peer_sends(stage, first, OF("/1"));
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, OF("/1"));
	peer_sends(stage, second, OF("/2"));
	stage_settle(stage);
	io_peer_reset(second);
	stage_settle(stage);
	peer_sends(stage, third, OF("/3"));
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	sees(stage, server, OF("/3"));
	peer_sends(stage, server, HELLO);
	sees(stage, third, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_CONCURRENCY_LIMIT) == 0);
}

static void with_few_buffers(struct stage *stage)
{
	struct blocks *blocks = &stage->worker.blocks;
	uint64_t others_bytes = blocks->limit_bytes / 2;
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	peer_sends(stage, first, OF("/1"));
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, OF("/1"));
	blocks->bytes_in_use += others_bytes;
	io_peer_send(second, span_text(OF("/2")));
	stage_settle(stage);
	blocks->bytes_in_use -= others_bytes;
	WANT(stage, is_refused(stage, second));
	peer_sends(stage, second, OF("/2"));
	sees(stage, second, "");
}

/* Most clients that give up close, which is a FIN. One that only ended its side learns that its
 * request was not sent. */
static void ends_its_side(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	peer_sends(stage, first, OF("/1"));
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, OF("/1"));
	peer_sends(stage, second, OF("/2"));
	sees(stage, second, "");
	io_peer_finish(second);
	WANT(stage, is_refused(stage, second));
	WANT(stage, counted(stage, WEFT_PROXY_CLIENT_CLOSED) == 1);
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	sees(stage, server, "");
	peer_sends(stage, first, OF("/3"));
	sees(stage, server, OF("/3"));
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
}

/* The other workers' queues leave the next place to the one that got none for long. */
static void in_turn(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, WEB);
	peer_sends(stage, first, OF("/1"));
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	io_peer_forget(server);
	struct node_service *shared = node_service(
		stage->node, snapshot_service(stage->worker.snapshot, service_id_at(stage, WEB)));
	WANT(stage, shared && concurrency_enter(&shared->concurrency, 1)); /* another worker */
	peer_sends(stage, first, OF("/2"));
	stage_run(stage, 15 * NS_PER_MS);
	bool was_early = shared->heir != 0;
	stage_run(stage, 7 * NS_PER_MS);
	uint32_t heir = shared->heir;
	atomic_store(&shared->heir, 2); /* that of another worker goes before */
	concurrency_leave(&shared->concurrency);
	stage_run(stage, 10 * NS_PER_MS);
	bool has_waited = io_peer_received(server).size == 0;
	atomic_store(&shared->heir, 0);
	WANT(stage, !was_early && heir == 1 && has_waited);
	stage_run(stage, 2 * NS_PER_MS);
	sees(stage, server, OF("/2"));
	WANT(stage, shared->heir == 0);
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
}

/* Another worker's place is free, of which nobody is told here. */
static void in_order_over_workers(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	struct io_peer *third = client_connect(stage, WEB);
	struct node_service *shared = node_service(
		stage->node, snapshot_service(stage->worker.snapshot, service_id_at(stage, WEB)));
	WANT(stage, shared && concurrency_enter(&shared->concurrency, 1));
	peer_sends(stage, first, OF("/1"));
	peer_sends(stage, second, OF("/2"));
	stage_settle(stage);
	io_peer_reset(first);
	stage_settle(stage);
	concurrency_leave(&shared->concurrency);
	peer_sends(stage, third, OF("/3"));
	stage_run(stage, 2 * NS_PER_MS);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	WANT(stage, span_is(io_peer_received(server), OF("/2")));
	sees(stage, server, OF("/2"));
	peer_sends(stage, server, HELLO);
	sees(stage, second, HELLO);
	sees(stage, server, OF("/3"));
	peer_sends(stage, server, HELLO);
	sees(stage, third, HELLO);
}

static void the_alternates_cap(struct stage *stage)
{
	struct io_peer *clients[4];
	endpoint_answers(WEB_ENDPOINT, IO_DOUBLE_REFUSES, 0);
	for (unsigned i = 0; i < 3; i++) {
		clients[i] = client_connect(stage, NONE);
		peer_sends(stage, clients[i], GET);
	}
	struct io_peer *server = reaches(stage, ANY_ENDPOINT);
	sees(stage, server, GET);
	WANT(stage, counted(stage, WEFT_PROXY_FAILED_OVER) == 3);
	sees(stage, clients[1], "");
	WANT(stage, is_refused(stage, clients[2]));
	/* and it keeps no place of the first */
	endpoint_answers(WEB_ENDPOINT, IO_DOUBLE_ACCEPTS, 0);
	clients[3] = client_connect(stage, WEB);
	peer_sends(stage, clients[3], GET);
	struct io_peer *web = reaches(stage, WEB_ENDPOINT);
	sees(stage, web, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, clients[0], HELLO);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, clients[1], HELLO);
	peer_sends(stage, web, HELLO);
	sees(stage, clients[3], HELLO);
}

/* The endpoints of the service that it waits for go away. */
static void for_what_goes_away(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, NONE);
	struct io_peer *second = client_connect(stage, NONE);
	peer_sends(stage, first, OF("/1"));
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, OF("/1"));
	peer_sends(stage, second, POST "hello ");
	sees(stage, second, "");
	stage_publish_later(stage);
	stage_run(stage, 5 * NS_PER_MS);
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	peer_sends(stage, second, "world");
	struct io_peer *any = reaches(stage, ANY_ENDPOINT);
	sees(stage, any, POST "hello world");
	peer_sends(stage, any, HELLO);
	sees(stage, second, HELLO);
	WANT(stage, counted(stage, WEFT_PROXY_FAILED_OVER) == 1);
}

static void with_a_body(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	peer_sends(stage, first, OF("/1"));
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, OF("/1"));
	peer_sends(stage, second, POST "hello ");
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	peer_sends(stage, second, "world");
	/* a POST takes no connection that has been idle for long; this one was not */
	sees(stage, server, POST "hello world");
	peer_sends(stage, server, HELLO);
	sees(stage, second, HELLO);
}

static void until_a_deadline(struct stage *stage)
{
	char text[160];
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	peer_sends(stage, first, OF("/1"));
	reaches(stage, WEB_ENDPOINT);
	uint64_t now_ns = io_wall_ns(stage->worker.ring);
	snprintf(text, sizeof(text),
		 "GET /2 HTTP/1.1\r\nHost: web\r\nl5d-ctx-deadline: 5 %llu\r\n\r\n",
		 (unsigned long long)(now_ns - 50 * NS_PER_MS));
	peer_sends(stage, second, text);
	stage_run(stage, 60 * NS_PER_MS);
	WANT(stage, is_answered(stage, second, "504", "while+it+waited"));
}

/* The fault's delay begins when it has its place. */
static void delayed_then(struct stage *stage)
{
	static const char late[] = "GET /2 HTTP/1.1\r\nHost: web\r\nweft-fault: delay=20ms\r\n\r\n";
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	peer_sends(stage, first, OF("/1"));
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, OF("/1"));
	peer_sends(stage, second, late);
	stage_run(stage, 30 * NS_PER_MS);
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	stage_run(stage, 15 * NS_PER_MS);
	sees(stage, server, "");
	stage_run(stage, 10 * NS_PER_MS);
	sees(stage, server, late);
	peer_sends(stage, server, HELLO);
	sees(stage, second, HELLO);
}

/* What is delayed on purpose was served: it does not stay the heir meanwhile. */
static void delayed_in_turn(struct stage *stage)
{
	static const char late[] = "GET /2 HTTP/1.1\r\nHost: web\r\nweft-fault: delay=50ms\r\n\r\n";
	struct io_peer *first = client_connect(stage, WEB);
	struct node_service *shared = node_service(
		stage->node, snapshot_service(stage->worker.snapshot, service_id_at(stage, WEB)));
	WANT(stage, shared && concurrency_enter(&shared->concurrency, 1)); /* another worker */
	peer_sends(stage, first, late);
	stage_run(stage, 25 * NS_PER_MS);
	uint32_t heir = shared->heir;
	concurrency_leave(&shared->concurrency);
	stage_run(stage, 5 * NS_PER_MS);
	WANT(stage, heir == 1 && shared->heir == 0);
	WANT(stage, shared->concurrency.active == 1 && shared->concurrency.queued == 0);
	stage_run(stage, 50 * NS_PER_MS);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, late);
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
}

/* ---- of the endpoints ---- */

static void fill(struct stage *stage, struct io_peer *clients[REPLICAS],
		 struct io_peer *servers[REPLICAS])
{
	for (unsigned i = 0; i < REPLICAS; i++) {
		clients[i] = client_connect(stage, MANY);
		peer_sends(stage, clients[i], GET);
		servers[i] = reaches_any(stage, NULL);
		sees(stage, servers[i], GET);
	}
	for (unsigned i = 0; i < REPLICAS; i++)
		WANT(stage, dials_to(replicas[i]) == 1);
}

static void the_one_with_room(struct stage *stage)
{
	struct io_peer *clients[REPLICAS];
	struct io_peer *servers[REPLICAS];
	struct io_peer *fifth = client_connect(stage, MANY);
	fill(stage, clients, servers);
	peer_sends(stage, fifth, GET);
	WANT(stage, is_refused(stage, fifth));
	WANT(stage, counted(stage, WEFT_PROXY_CONCURRENCY_LIMIT) == 1);
	for (unsigned i = 0; i < 3; i++) { /* whichever is free, it is found */
		unsigned free = (2 * i + 1) % REPLICAS;
		peer_sends(stage, servers[free], HELLO);
		sees(stage, clients[free], HELLO);
		peer_sends(stage, fifth, GET);
		sees(stage, servers[free], GET);
		peer_sends(stage, servers[free], HELLO);
		sees(stage, fifth, HELLO);
		peer_sends(stage, clients[free], GET);
		sees(stage, servers[free], GET);
	}
}

/* Who was in the queue before has its place there, however full that is by now. */
static void looks_again(struct stage *stage)
{
	struct io_peer *clients[REPLICAS];
	struct io_peer *servers[REPLICAS];
	struct blocks *blocks = &stage->worker.blocks;
	uint64_t others_bytes = blocks->limit_bytes / 2;
	struct io_peer *fifth = client_connect(stage, MANY);
	struct node_service *shared = node_service(
		stage->node, snapshot_service(stage->worker.snapshot, service_id_at(stage, MANY)));
	WANT(stage, shared);
	fill(stage, clients, servers);
	peer_sends(stage, fifth, OF("/5"));
	bool is_one_more = concurrency_queue(&shared->concurrency, UINT32_MAX);
	bool are_two_more = concurrency_queue(&shared->concurrency, UINT32_MAX);
	blocks->bytes_in_use += others_bytes;
	stage_run(stage, 5 * NS_PER_MS);
	blocks->bytes_in_use -= others_bytes;
	concurrency_unqueue(&shared->concurrency);
	concurrency_unqueue(&shared->concurrency);
	WANT(stage, is_one_more && are_two_more);
	sees(stage, fifth, "");
	peer_sends(stage, servers[1], HELLO);
	sees(stage, clients[1], HELLO);
	sees(stage, servers[1], OF("/5"));
	peer_sends(stage, servers[1], HELLO);
	sees(stage, fifth, HELLO);
}

/* Its connection was dead, and another worker has its place by then. */
static void dead_and_full(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, WEB);
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	const struct service *service =
		snapshot_service(stage->worker.snapshot, service_id_at(stage, WEB));
	struct node_endpoint *entry = node_endpoint(stage->node, &service->endpoints[0]);
	peer_sends(stage, client, GET);
	sees(stage, server, GET);
	WANT(stage, entry && concurrency_enter(&entry->seats, UINT32_MAX));
	io_peer_reset(server);
	stage_run(stage, 5 * NS_PER_MS);
	bool waits = io_peer_received(client).size == 0;
	concurrency_leave(&entry->seats);
	WANT(stage, waits);
	stage_run(stage, 5 * NS_PER_MS);
	server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
}

static void waits_for_room(struct stage *stage)
{
	struct io_peer *clients[REPLICAS];
	struct io_peer *servers[REPLICAS];
	struct io_peer *fifth = client_connect(stage, MANY);
	struct io_peer *sixth = client_connect(stage, MANY);
	struct io_peer *seventh = client_connect(stage, MANY);
	fill(stage, clients, servers);
	peer_sends(stage, fifth, OF("/5"));
	peer_sends(stage, sixth, OF("/6"));
	peer_sends(stage, seventh, OF("/7"));
	WANT(stage, is_refused(stage, seventh));
	stage_run(stage, 50 * NS_PER_MS);
	peer_sends(stage, servers[2], HELLO);
	sees(stage, clients[2], HELLO);
	sees(stage, servers[2], OF("/5")); /* at once */
	peer_sends(stage, servers[1], HELLO);
	sees(stage, clients[1], HELLO);
	sees(stage, servers[1], OF("/6"));
	peer_sends(stage, servers[1], HELLO);
	sees(stage, sixth, HELLO);
	/* one more waits in vain */
	peer_sends(stage, sixth, OF("/6"));
	sees(stage, servers[1], OF("/6"));
	peer_sends(stage, clients[1], GET);
	stage_run(stage, 110 * NS_PER_MS);
	WANT(stage, is_refused(stage, clients[1]));
	WANT(stage, counted(stage, WEFT_PROXY_QUEUE_TIMEOUT) == 1);
}

/* A second try that finds all others full asks the same one again. */
static void a_retry_takes_its_own_place(struct stage *stage)
{
	struct io_peer *clients[REPLICAS];
	struct io_peer *servers[REPLICAS];
	fill(stage, clients, servers);
	peer_sends(stage, servers[0], UNAVAILABLE);
	stage_run(stage, 2 * NS_PER_MS);
	struct io_peer *again = NULL;
	for (unsigned i = 0; i < REPLICAS && !again; i++)
		again = server_reached(stage, replicas[i]);
	again = again ? again : servers[0];
	WANT(stage, io_peer_received(again).size > 0);
	sees(stage, again, GET);
	peer_sends(stage, again, HELLO);
	sees(stage, clients[0], HELLO);
}

/* One does not accept, the others are full: it waits, and is not asked again and again. */
static void the_rest_cannot_be_reached(struct stage *stage)
{
	struct io_peer *clients[REPLICAS];
	struct io_peer *servers[REPLICAS];
	struct io_peer *fifth = client_connect(stage, MANY);
	fill(stage, clients, servers);
	endpoint_answers(replicas[1], IO_DOUBLE_REFUSES, 0);
	io_peer_reset(servers[1]);
	stage_settle(stage);
	WANT(stage, io_peer_received(clients[1]).size > 12);
	size_t dials = dials_to(replicas[1]);
	peer_sends(stage, fifth, OF("/5"));
	stage_run(stage, 50 * NS_PER_MS);
	WANT(stage, dials_to(replicas[1]) == dials + 1);
	sees(stage, fifth, "");
	peer_sends(stage, servers[2], HELLO);
	sees(stage, clients[2], HELLO);
	stage_run(stage, 2 * NS_PER_MS);
	sees(stage, servers[2], OF("/5"));
	peer_sends(stage, servers[2], HELLO);
	sees(stage, fifth, HELLO);
}

/* An endpoint that is left out for its failures takes no overflow of the others. */
static void left_out(struct stage *stage)
{
	struct io_peer *clients[REPLICAS];
	struct io_peer *servers[REPLICAS];
	struct io_peer *fifth = client_connect(stage, MANY);
	unsigned dials = 0;
	fill(stage, clients, servers);
	peer_sends(stage, servers[0], UNAVAILABLE);
	sees(stage, clients[0], UNAVAILABLE);
	WANT(stage, counted(stage, WEFT_PROXY_ENDPOINT_REMOVED) == 1);
	peer_sends(stage, fifth, GET);
	WANT(stage, is_refused(stage, fifth));
	for (unsigned i = 0; i < REPLICAS; i++)
		dials += (unsigned)dials_to(replicas[i]);
	WANT(stage, dials == REPLICAS);
}

/* Its place is taken while it waits for its second try. */
static void tried_before(struct stage *stage)
{
	struct io_peer *clients[REPLICAS];
	struct io_peer *servers[REPLICAS];
	struct io_peer *fifth = client_connect(stage, MANY);
	fill(stage, clients, servers);
	peer_sends(stage, servers[0], UNAVAILABLE);
	stage_run(stage, 5 * NS_PER_MS);
	peer_sends(stage, fifth, GET);
	sees(stage, servers[0], GET);
	stage_run(stage, 130 * NS_PER_MS);
	struct span got = io_peer_received(clients[0]);
	WANT(stage, got.size > 0);
	WANT(stage, !memmem(got.data, got.size, "nack", 4)); /* a server has seen it */
	WANT(stage, is_answered(stage, clients[0], "503", "Retry-After: 0"));
}

/* The second attempt of a hedge takes a place, too, and gives it back when the first answers. */
static void hedged(struct stage *stage)
{
	struct io_peer *client = client_connect(stage, MANY);
	struct io_peer *clients[3];
	unsigned first, second;
	peer_sends(stage, client, GET);
	struct io_peer *server = reaches_any(stage, &first);
	stage_run(stage, 15 * NS_PER_MS);
	reaches_any(stage, &second);
	WANT(stage, first != second);
	for (unsigned i = 0; i < 3; i++) {
		clients[i] = client_connect(stage, MANY);
		peer_sends(stage, clients[i], GET);
	}
	unsigned refused = 0; /* two endpoints are left */
	for (unsigned i = 0; i < 3; i++)
		refused += is_refused(stage, clients[i]);
	WANT(stage, refused == 1);
	peer_sends(stage, server, HELLO);
	sees(stage, client, HELLO);
	for (unsigned i = 0; i < 2; i++)
		peer_sends(stage, i ? clients[2] : client, GET);
	WANT(stage, counted(stage, WEFT_PROXY_CONCURRENCY_LIMIT) == 1);
}

/* ---- not picked by the balancer ---- */

static void its_own_address(struct stage *stage)
{
	struct io_peer *first = client_dials_endpoint(stage, MANY, replicas[0]);
	struct io_peer *server = reaches(stage, replicas[0]);
	struct io_peer *second = client_dials_endpoint(stage, MANY, replicas[0]);
	reaches(stage, replicas[0]);
	peer_sends(stage, first, OF("/1"));
	sees(stage, server, OF("/1"));
	peer_sends(stage, second, OF("/2"));
	sees(stage, server, "");
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
	stage_run(stage, 2 * NS_PER_MS);
	sees(stage, server, OF("/2"));
	peer_sends(stage, server, HELLO);
	sees(stage, second, HELLO);
}

#define ASKS_NTLM "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n"

static void pinned(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, WEB);
	struct io_peer *second = client_connect(stage, WEB);
	peer_sends(stage, first, GET);
	struct io_peer *server = reaches(stage, WEB_ENDPOINT);
	sees(stage, server, GET);
	peer_sends(stage, server, ASKS_NTLM);
	sees(stage, first, ASKS_NTLM);
	peer_sends(stage, second, GET);
	struct io_peer *other = reaches(stage, WEB_ENDPOINT);
	sees(stage, other, GET);
	peer_sends(stage, first, GET);
	WANT(stage, is_refused(stage, first));
	peer_sends(stage, other, HELLO);
	sees(stage, second, HELLO);
	peer_sends(stage, first, GET); /* still on its own */
	sees(stage, server, GET);
	peer_sends(stage, second, GET);
	WANT(stage, is_refused(stage, second));
	peer_sends(stage, server, HELLO);
	sees(stage, first, HELLO);
}

static void dialled_ahead(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, ANY);
	struct io_peer *one = reaches(stage, ANY_ENDPOINT);
	struct io_peer *second = client_connect(stage, ANY);
	reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, first, GET);
	sees(stage, one, GET);
	peer_sends(stage, second, GET);
	WANT(stage, is_refused(stage, second));
	peer_sends(stage, one, HELLO);
	sees(stage, first, HELLO);
	peer_sends(stage, second, GET);
	sees(stage, one, GET);
	peer_sends(stage, one, HELLO);
	sees(stage, second, HELLO);
}

/* So does the second try of what went to it first. */
static void dialled_ahead_and_again(struct stage *stage)
{
	struct io_peer *first = client_connect(stage, ANY);
	struct io_peer *one = reaches(stage, ANY_ENDPOINT);
	struct io_peer *second = client_connect(stage, ANY);
	reaches(stage, ANY_ENDPOINT);
	peer_sends(stage, first, GET);
	sees(stage, one, GET);
	peer_sends(stage, one, UNAVAILABLE);
	stage_run(stage, 2 * NS_PER_MS);
	WANT(stage, io_peer_received(first).size == 0);
	peer_sends(stage, second, GET);
	WANT(stage, is_refused(stage, second));
}

#define TEST(name, run, configure)                                                                 \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		play_with(run, configure);                                                         \
	}

TEST(requests_wait_in_order_and_no_more_than_may, in_order, two_wait)
TEST(who_waits_too_long_is_refused, too_long, one_waits)
TEST(a_client_that_leaves_leaves_the_queue, leaves, one_waits)
TEST(nobody_waits_where_memory_is_short, with_few_buffers, one_waits)
TEST(a_client_that_ends_its_side_leaves_the_queue, ends_its_side, one_waits)
TEST(workers_get_their_turns, in_turn, one_waits)
TEST(places_of_other_workers_are_given_in_order, in_order_over_workers, two_wait)
TEST(an_alternate_has_its_own_cap, the_alternates_cap, alternate_has_a_cap)
TEST(a_body_is_kept_while_it_waits, with_a_body, one_waits)
TEST(a_deadline_ends_the_wait, until_a_deadline, one_waits)
TEST(a_delay_on_purpose_comes_after_the_wait, delayed_then, one_waits_and_is_delayed)
TEST(a_delay_on_purpose_keeps_no_turn, delayed_in_turn, one_waits_and_is_delayed)
TEST(an_endpoint_at_its_cap_is_not_picked, the_one_with_room, one_each)
TEST(requests_wait_for_an_endpoint, waits_for_room, one_each_and_a_queue)
TEST(a_dead_connection_waits_for_another_place, dead_and_full, one_at_web_and_a_queue)
TEST(who_waits_for_an_endpoint_waits_on, looks_again, one_each_and_a_queue)
TEST(who_cannot_be_reached_leaves_a_wait_for_the_others, the_rest_cannot_be_reached,
     one_each_and_a_queue)
TEST(a_dial_to_an_endpoint_counts_there, its_own_address, one_each_and_a_queue)
TEST(a_pinned_connection_counts_at_its_endpoint, pinned, one_at_any_endpoint)
TEST(a_connection_dialled_ahead_counts_at_its_endpoint, dialled_ahead, one_at_any_endpoint)
TEST(a_second_try_of_it_counts_too, dialled_ahead_and_again, one_at_any_endpoint)
TEST(who_is_left_out_takes_no_overflow, left_out, one_each_and_a_breaker)
TEST(what_a_server_has_seen_is_no_nack, tried_before, one_each_and_late_retries)
TEST(both_attempts_of_a_hedge_count, hedged, one_each_and_a_hedge)
TEST(a_second_try_counts_once, a_retry_takes_its_own_place, one_each_and_retries)

static void an_alternate_takes_who_waits_for_a_service_that_goes(void **state)
{
	(void)state;
	play_all(&(struct play){for_what_goes_away, has_an_alternate, the_alternate_is_left});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_wait_in_order_and_no_more_than_may),
		cmocka_unit_test(who_waits_too_long_is_refused),
		cmocka_unit_test(a_client_that_leaves_leaves_the_queue),
		cmocka_unit_test(nobody_waits_where_memory_is_short),
		cmocka_unit_test(a_client_that_ends_its_side_leaves_the_queue),
		cmocka_unit_test(workers_get_their_turns),
		cmocka_unit_test(places_of_other_workers_are_given_in_order),
		cmocka_unit_test(an_alternate_has_its_own_cap),
		cmocka_unit_test(an_alternate_takes_who_waits_for_a_service_that_goes),
		cmocka_unit_test(a_body_is_kept_while_it_waits),
		cmocka_unit_test(a_deadline_ends_the_wait),
		cmocka_unit_test(a_delay_on_purpose_comes_after_the_wait),
		cmocka_unit_test(a_delay_on_purpose_keeps_no_turn),
		cmocka_unit_test(an_endpoint_at_its_cap_is_not_picked),
		cmocka_unit_test(requests_wait_for_an_endpoint),
		cmocka_unit_test(a_dead_connection_waits_for_another_place),
		cmocka_unit_test(who_waits_for_an_endpoint_waits_on),
		cmocka_unit_test(who_cannot_be_reached_leaves_a_wait_for_the_others),
		cmocka_unit_test(a_dial_to_an_endpoint_counts_there),
		cmocka_unit_test(a_pinned_connection_counts_at_its_endpoint),
		cmocka_unit_test(a_connection_dialled_ahead_counts_at_its_endpoint),
		cmocka_unit_test(a_second_try_of_it_counts_too),
		cmocka_unit_test(who_is_left_out_takes_no_overflow),
		cmocka_unit_test(what_a_server_has_seen_is_no_nack),
		cmocka_unit_test(both_attempts_of_a_hedge_count),
		cmocka_unit_test(a_second_try_counts_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
