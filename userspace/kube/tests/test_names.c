/* An API server that has a name and several addresses. */
#include "stage.h"

#include "io/lookup.h"

#define NAME       "api.test"
#define NAMED      "http://" NAME ":443"
#define LIST_ASKED "GET /api/v1/services?limit=500 HTTP/1.1\r\n"

static struct weft_address address_of(const char *text)
{
	struct weft_address address;
	assert_int_equal(address_parse(span_text(text), &address), 0);
	return address;
}

/* The name leads to these from now on; each is refused until serve() says otherwise. */
static void name_leads_to(const char *const *addresses, unsigned count, uint64_t delay_ns)
{
	struct weft_address list[IO_LOOKUP_MOST];
	for (unsigned i = 0; i < count; i++)
		list[i] = address_of(addresses[i]);
	io_double_name(NAME, list, count, delay_ns);
}

#define LEADS_TO(delay_ns, ...)                                                                    \
	name_leads_to((const char *const[]){__VA_ARGS__},                                          \
		      sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), delay_ns)

static void serve(struct stage *stage, const char *address)
{
	stage->address = address_of(address);
	io_double_address(&stage->address, IO_DOUBLE_ACCEPTS, NS_PER_MS);
}

static void answer_at(const char *text, enum io_double_answer answer)
{
	struct weft_address address = address_of(text);
	io_double_address(&address, answer, 0);
}

static size_t dials(const char *text)
{
	struct weft_address address = address_of(text);
	return io_double_dials(&address);
}

static void open_named(struct stage *stage)
{
	struct kube_options options = stage_options(stage);
	options.url = NAMED;
	stage_open(stage, &options);
}

static void becomes_synced(struct stage *stage)
{
	asked(stage, LIST_ASKED);
	lists(stage, "\"resourceVersion\":\"7\"", META("a", "u1", "5"));
	asked(stage, "GET /api/v1/services?watch=1&");
	stream_begins(stage);
}

static void a_name_is_looked_up_and_sent_as_the_host(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	LEADS_TO(NS_PER_MS, "10.0.0.1:443");
	serve(&stage, "10.0.0.1:443");
	open_named(&stage);
	stage.server = io_double_reached(&stage.address);
	struct span request = io_peer_received(stage.server);
	assert_non_null(memmem(request.data, request.size, "\r\nHost: " NAME ":443\r\n", 22));
	becomes_synced(&stage);
	assert_int_equal(io_double_lookups(NAME), 1);
	stage_close(&stage);
}

static void a_name_may_lead_to_ipv6_alone(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	LEADS_TO(0, "[2001:db8::1]:443");
	serve(&stage, "[2001:db8::1]:443");
	open_named(&stage);
	becomes_synced(&stage);
	stage_close(&stage);
}

static void all_addresses_are_tried_in_turn(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	LEADS_TO(0, "[2001:db8::1]:443", "10.0.0.1:443", "10.0.0.2:443", "10.0.0.3:443");
	serve(&stage, "10.0.0.3:443");
	open_named(&stage);
	becomes_synced(&stage);
	assert_int_equal(dials("[2001:db8::1]:443"), 1);
	assert_int_equal(dials("10.0.0.1:443"), 1);
	assert_int_equal(dials("10.0.0.2:443"), 1);
	assert_int_equal(fault_count(&stage, KUBE_FAULT_CONNECT), 3);
	assert_int_equal(io_double_lookups(NAME), 4); /* again after each fault */
	stage_close(&stage);
}

/* A machine without IPv6 cannot even make the socket. */
static void an_address_that_takes_no_socket_gives_way(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	io_double_no_family(AF_INET6);
	LEADS_TO(0, "[2001:db8::1]:443", "[2001:db8::2]:443", "10.0.0.1:443");
	serve(&stage, "10.0.0.1:443");
	open_named(&stage);
	becomes_synced(&stage);
	for (int i = 0; i < 3; i++) {
		stage_run(&stage, 1100); /* a success: the pauses begin anew */
		io_peer_reset(stage.server);
		asked(&stage, "GET /api/v1/services?watch=1&");
		stream_begins(&stage);
	}
	assert_int_equal(dials("10.0.0.1:443"), 4);
	stage_close(&stage);
}

/* Of three API servers the one that has lost its etcd. */
static void an_address_that_answers_with_a_fault_of_the_server_gives_way(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	LEADS_TO(0, "10.0.0.1:443", "10.0.0.2:443");
	serve(&stage, "10.0.0.1:443");
	open_named(&stage);
	asked(&stage, LIST_ASKED);
	answers(&stage, "503 Service Unavailable", "", "{}");
	serve(&stage, "10.0.0.2:443");
	becomes_synced(&stage);
	assert_int_equal(dials("10.0.0.1:443"), 1);
	stage_close(&stage);
}

static void an_address_that_is_named_twice_is_one(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	LEADS_TO(0, "10.0.0.1:443", "10.0.0.1:443", "10.0.0.2:443");
	serve(&stage, "10.0.0.2:443");
	open_named(&stage);
	io_double_name(NAME, NULL, 0, 0); /* so that what is known is all there is */
	becomes_synced(&stage);
	assert_int_equal(dials("10.0.0.1:443"), 1);
	stage_close(&stage);
}

/* A load balancer that names its addresses in another order each time. */
static void the_order_of_the_answer_does_not_matter(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	LEADS_TO(0, "10.0.0.1:443", "10.0.0.2:443", "10.0.0.3:443");
	open_named(&stage);
	for (int i = 0; dials("10.0.0.1:443") == 0 || dials("10.0.0.3:443") == 0; i++) {
		assert_true(i < 1000);
		if (i % 2)
			LEADS_TO(0, "10.0.0.1:443", "10.0.0.2:443", "10.0.0.3:443");
		else
			LEADS_TO(0, "10.0.0.2:443", "10.0.0.3:443", "10.0.0.1:443");
		stage_run(&stage, 10);
	}
	assert_int_equal(dials("10.0.0.1:443"), 1);
	assert_in_range(dials("10.0.0.2:443"), 0, 1);
	assert_int_equal(dials("10.0.0.3:443"), 1);
	stage_close(&stage);
}

static void a_silent_address_gives_way_after_five_seconds(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	LEADS_TO(0, "10.0.0.1:443", "10.0.0.2:443");
	answer_at("10.0.0.1:443", IO_DOUBLE_IS_SILENT);
	serve(&stage, "10.0.0.2:443");
	open_named(&stage);
	stage_run(&stage, 4900);
	assert_int_equal(dials("10.0.0.2:443"), 0);
	becomes_synced(&stage);
	assert_int_equal(fault_count(&stage, KUBE_FAULT_STALLED), 1);
	stage_close(&stage);
}

/* Once it stands it has as long as any other: a busy server queues requests. */
static void a_connection_that_stands_may_be_slow(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	LEADS_TO(0, "10.0.0.1:443", "10.0.0.2:443");
	serve(&stage, "10.0.0.1:443");
	open_named(&stage);
	stage_run(&stage, 15000);
	becomes_synced(&stage);
	assert_int_equal(fault_count(&stage, KUBE_FAULT_STALLED), 0);
	stage_close(&stage);
}

static void a_server_that_moves_is_followed(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	LEADS_TO(0, "10.0.0.1:443");
	serve(&stage, "10.0.0.1:443");
	open_named(&stage);
	becomes_synced(&stage);
	LEADS_TO(0, "10.0.0.9:443");
	answer_at("10.0.0.1:443", IO_DOUBLE_REFUSES);
	io_peer_reset(stage.server);
	serve(&stage, "10.0.0.9:443");
	asked(&stage, "GET /api/v1/services?watch=1&");
	assert_int_equal(dials("10.0.0.1:443"), 1);
	assert_int_equal(fault_count(&stage, KUBE_FAULT_CONNECT), 1);
	stage_close(&stage);
}

/* A stream's ordinary end is no fault: the name is not asked about. */
static void without_a_fault_the_name_is_not_looked_up_again(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	LEADS_TO(0, "10.0.0.1:443");
	serve(&stage, "10.0.0.1:443");
	open_named(&stage);
	asked(&stage, LIST_ASKED);
	answers(&stage, "200 OK", "Connection: close\r\n",
		"{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[]}");
	asked(&stage, "GET /api/v1/services?watch=1&");
	assert_int_equal(dials("10.0.0.1:443"), 2);
	assert_int_equal(io_double_lookups(NAME), 1);
	stage_close(&stage);
}

static void a_name_that_leads_nowhere_is_a_fault_and_asked_again(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	io_double_name(NAME, NULL, 0, 0);
	open_named(&stage);
	stage_run(&stage, 1000);
	assert_true(fault_count(&stage, KUBE_FAULT_RESOLVE) > 1);
	assert_int_equal(fault_count(&stage, KUBE_FAULT_RESOLVE), io_double_lookups(NAME));
	assert_string_equal(status_of(&stage).last_fault,
			    "list: " NAME ": Name or service not known");
	LEADS_TO(0, "10.0.0.1:443");
	serve(&stage, "10.0.0.1:443");
	becomes_synced(&stage);
	stage_close(&stage);
}

static void a_resolver_that_is_silent_is_a_fault(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	LEADS_TO(12 * NS_PER_S, "10.0.0.1:443");
	serve(&stage, "10.0.0.1:443");
	open_named(&stage);
	stage_run(&stage, 4900);
	assert_int_equal(fault_count(&stage, KUBE_FAULT_RESOLVE), 0);
	stage_run(&stage, 200);
	assert_int_equal(fault_count(&stage, KUBE_FAULT_RESOLVE), 1);
	stage_run(&stage, 7000); /* and when it speaks, that is heard: nobody asked a second time */
	becomes_synced(&stage);
	assert_int_equal(io_double_lookups(NAME), 1);
	stage_close(&stage);
}

/* DNS is away, the server is not. */
static void what_the_name_led_to_last_is_tried_while_it_leads_nowhere(void **state)
{
	static const uint64_t delays_ns[] = {0, UINT64_MAX};
	(void)state;
	for (size_t i = 0; i < array_count(delays_ns); i++) {
		struct stage stage;
		stage_open_ring(&stage);
		LEADS_TO(0, "10.0.0.1:443");
		serve(&stage, "10.0.0.1:443");
		open_named(&stage);
		becomes_synced(&stage);
		io_double_name(NAME, NULL, 0, delays_ns[i]);
		io_peer_reset(stage.server);
		stage_run(&stage, 5100);
		asked(&stage, "GET /api/v1/services?watch=1&");
		assert_int_equal(fault_count(&stage, KUBE_FAULT_RESOLVE), 0);
		stage_close(&stage);
	}
}

/* All kinds and an Event wait for one look-up. */
static void all_who_wait_share_a_look_up(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	LEADS_TO(NS_PER_S, "10.0.0.1:443");
	serve(&stage, "10.0.0.1:443");
	struct kube_options options = stage_options(&stage);
	options.url = NAMED;
	options.kinds = 0;
	stage_open(&stage, &options);
	stage_run(&stage, 1100);
	assert_int_equal(io_double_lookups(NAME), 1);
	assert_int_equal(dials("10.0.0.1:443"), KUBE_KINDS);
	stage_close(&stage);
}

static void closing_gives_a_look_up_up(void **state)
{
	struct stage stage;
	(void)state;
	stage_open_ring(&stage);
	LEADS_TO(UINT64_MAX, "10.0.0.1:443");
	open_named(&stage);
	assert_int_equal(io_double_lookups(NAME), 1);
	stage_close(&stage);
}

static void a_failed_allocation_costs_one_attempt(void **state)
{
	(void)state;
	for (unsigned long n = 1; n < 40; n++) {
		struct stage stage;
		stage_open_ring(&stage);
		LEADS_TO(NS_PER_MS, "10.0.0.2:443", "10.0.0.1:443");
		serve(&stage, "10.0.0.1:443");
		open_named(&stage);
		mem_fail_nth(n);
		stage_run(&stage, 100);
		mem_fail_nth(0);
		becomes_synced(&stage);
		stage_close(&stage);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_looked_up_and_sent_as_the_host),
		cmocka_unit_test(a_name_may_lead_to_ipv6_alone),
		cmocka_unit_test(all_addresses_are_tried_in_turn),
		cmocka_unit_test(an_address_that_takes_no_socket_gives_way),
		cmocka_unit_test(an_address_that_answers_with_a_fault_of_the_server_gives_way),
		cmocka_unit_test(an_address_that_is_named_twice_is_one),
		cmocka_unit_test(the_order_of_the_answer_does_not_matter),
		cmocka_unit_test(a_silent_address_gives_way_after_five_seconds),
		cmocka_unit_test(a_connection_that_stands_may_be_slow),
		cmocka_unit_test(a_server_that_moves_is_followed),
		cmocka_unit_test(without_a_fault_the_name_is_not_looked_up_again),
		cmocka_unit_test(a_name_that_leads_nowhere_is_a_fault_and_asked_again),
		cmocka_unit_test(a_resolver_that_is_silent_is_a_fault),
		cmocka_unit_test(what_the_name_led_to_last_is_tried_while_it_leads_nowhere),
		cmocka_unit_test(all_who_wait_share_a_look_up),
		cmocka_unit_test(closing_gives_a_look_up_up),
		cmocka_unit_test(a_failed_allocation_costs_one_attempt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
