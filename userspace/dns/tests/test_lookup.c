/* Names looked up at a DNS server on loopback: every kind of answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "dns/lookup.h"
#include "server.h"

#define TURN_NS     1000000ull
#define DEADLINE_NS 20000000000ull

static struct {
	struct io_ring *ring;
	struct server server;
	struct dns_resolver *resolver;
	unsigned told;
	enum dns_finding finding;
	char why[128];
	bool is_partial;
	uint32_t ttl_s;
	uint32_t count;
	struct dns_endpoint endpoints[DNS_ENDPOINTS_MAX];
} stage;

static void open_resolver(uint64_t timeout_ns)
{
	struct weft_address server;
	struct text why = {0};
	assert_int_equal(address_parse_ip(span_text("127.0.0.1"), stage.server.port, &server), 0);
	const struct dns_resolver_options options = {.ring = stage.ring,
						     .servers = &server,
						     .server_count = 1,
						     .timeout_ns = timeout_ns,
						     .tries = 1};
	int error = dns_resolver_open(&options, &why, &stage.resolver);
	if (error)
		fail_msg("%d %s", error, why.data);
}

static int set_up(void **state)
{
	const struct io_options options = {.entries = 64, .shared_count = 8};
	(void)state;
	memset(&stage, 0, sizeof(stage));
	if (io_ring_open(&options, &stage.ring))
		return -1;
	server_open(&stage.server);
	open_resolver(5000000000ull);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mem_fail_nth(0);
	dns_resolver_close(stage.resolver);
	server_close(&stage.server);
	io_ring_close(stage.ring);
	return 0;
}

static void on_done(void *owner, const struct dns_found *found)
{
	(void)owner;
	stage.told++;
	stage.finding = found->finding;
	stage.is_partial = found->is_partial;
	snprintf(stage.why, sizeof(stage.why), "%s", found->why ? found->why : "");
	stage.ttl_s = found->ttl_s;
	stage.count = found->count;
	memcpy(stage.endpoints, found->endpoints, found->count * sizeof(*found->endpoints));
}

static uint64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static struct dns_lookup *start(const char *name, uint16_t port, enum dns_family family)
{
	struct dns_lookup *lookup = NULL;
	const struct dns_lookup_options options = {
		.resolver = stage.resolver,
		.name = name,
		.is_service = port == 0,
		.port = port,
		.family = family,
		.done = on_done,
	};
	assert_int_equal(dns_lookup_start(&options, &lookup), 0);
	return lookup;
}

static void turn_until_told(void)
{
	uint64_t end_ns = clock_ns() + DEADLINE_NS;
	while (!stage.told && clock_ns() < end_ns) {
		io_turn(stage.ring, TURN_NS);
		server_turn(&stage.server);
	}
	assert_int_equal(stage.told, 1);
}

static enum dns_finding look_up(const char *name, uint16_t port, enum dns_family family)
{
	stage.told = 0;
	start(name, port, family);
	turn_until_told();
	return stage.finding;
}

static const char *endpoint(uint32_t index)
{
	static char texts[4][ADDRESS_TEXT_MAX];
	static unsigned next;
	assert_true(index < stage.count);
	return address_print(&stage.endpoints[index].address, texts[next++ % 4]);
}

static void add_service(const char *target, unsigned priority, unsigned weight, unsigned port)
{
	server_add(&stage.server, &(struct server_record){.owner = "_http._tcp.web.example",
							  .type = 33,
							  .ttl_s = 20,
							  .priority = (uint16_t)priority,
							  .weight = (uint16_t)weight,
							  .port = (uint16_t)port,
							  .data = target});
}

static void add_additional(const char *name, const char *address)
{
	server_add(&stage.server, &(struct server_record){.owner = name,
							  .type = strchr(address, ':') ? 28 : 1,
							  .ttl_s = 7,
							  .is_additional = true,
							  .data = address});
}

/* ---- hosts ---- */

static void a_host_has_the_addresses_of_its_a_records(void **state)
{
	(void)state;
	server_add_host(&stage.server, "web.example", "10.0.0.2");
	server_add_host(&stage.server, "web.example", "10.0.0.1");
	server_add_host(&stage.server, "web.example", "fd00::1");
	server_add_host(&stage.server, "other.example", "10.0.0.9");
	assert_int_equal(look_up("Web.Example", 80, DNS_FAMILY_AUTO), DNS_FOUND);
	assert_int_equal(stage.count, 2);
	assert_string_equal(endpoint(0), "10.0.0.1:80");
	assert_string_equal(endpoint(1), "10.0.0.2:80");
	assert_int_equal(stage.endpoints[0].weight, 1);
	assert_int_equal(stage.ttl_s, 30);
	assert_int_equal(stage.server.questions, 1); /* there was no need of AAAA */
}

static void a_host_without_a_records_has_those_of_aaaa(void **state)
{
	(void)state;
	server_add_host(&stage.server, "six.example", "fd00::1");
	assert_int_equal(look_up("six.example.", 8080, DNS_FAMILY_AUTO), DNS_FOUND);
	assert_string_equal(endpoint(0), "[fd00::1]:8080");
	assert_int_equal(look_up("six.example", 80, DNS_FAMILY_V4), DNS_ABSENT);
	assert_int_equal(look_up("six.example", 80, DNS_FAMILY_V6), DNS_FOUND);
}

static void both_families_count_where_that_is_asked_for(void **state)
{
	(void)state;
	server_add_host(&stage.server, "web.example", "10.0.0.2");
	server_add_host(&stage.server, "web.example", "fd00::1");
	assert_int_equal(look_up("web.example", 80, DNS_FAMILY_BOTH), DNS_FOUND);
	assert_int_equal(stage.count, 2);
	assert_int_equal(look_up("web.example", 80, DNS_FAMILY_V6), DNS_FOUND);
	assert_int_equal(stage.count, 1);
}

static void an_alias_is_followed_and_its_ttl_counts(void **state)
{
	(void)state;
	server_add(&stage.server,
		   &(struct server_record){
			   .owner = "www.example", .type = 5, .ttl_s = 3, .data = "web.example"});
	server_add_host(&stage.server, "web.example", "10.0.0.2");
	assert_int_equal(look_up("www.example", 80, DNS_FAMILY_AUTO), DNS_FOUND);
	assert_string_equal(endpoint(0), "10.0.0.2:80");
	assert_int_equal(stage.ttl_s, 3);
}

static void addresses_that_nobody_can_dial_are_left_out(void **state)
{
	(void)state;
	server_add_host(&stage.server, "web.example", "0.0.0.0");
	server_add_host(&stage.server, "web.example", "224.0.0.1");
	server_add_host(&stage.server, "web.example", "ff02::1");
	assert_int_equal(look_up("web.example", 80, DNS_FAMILY_BOTH), DNS_ABSENT);
}

static void a_ttl_of_zero_or_of_ages_is_told_as_it_is(void **state)
{
	(void)state;
	server_add(&stage.server,
		   &(struct server_record){.owner = "zero.example", .type = 1, .data = "10.0.0.1"});
	server_add(&stage.server, &(struct server_record){.owner = "ages.example",
							  .type = 1,
							  .ttl_s = 0x7fffffff,
							  .data = "10.0.0.1"});
	server_add(&stage.server, &(struct server_record){.owner = "wrong.example",
							  .type = 1,
							  .ttl_s = 0x80000000,
							  .data = "10.0.0.1"});
	assert_int_equal(look_up("zero.example", 80, DNS_FAMILY_AUTO), DNS_FOUND);
	assert_int_equal(stage.ttl_s, 0);
	assert_int_equal(look_up("ages.example", 80, DNS_FAMILY_AUTO), DNS_FOUND);
	assert_int_equal(stage.ttl_s, 0x7fffffff);
	assert_int_equal(look_up("wrong.example", 80, DNS_FAMILY_AUTO), DNS_FOUND);
	assert_int_equal(stage.ttl_s, 0); /* RFC 2181 8 */
}

/* ---- what is not there, and what is not known ---- */

static void no_such_name_is_absent_for_as_long_as_the_zone_says(void **state)
{
	(void)state;
	stage.server.negative_ttl_s = 11;
	assert_int_equal(look_up("none.example", 80, DNS_FAMILY_AUTO), DNS_ABSENT);
	assert_int_equal(stage.ttl_s, 11);
	assert_non_null(strstr(stage.why, "NXDOMAIN"));
	stage.server.negative_ttl_s = 0;
	assert_int_equal(look_up("none.example", 80, DNS_FAMILY_AUTO), DNS_ABSENT);
	assert_int_equal(stage.ttl_s, UINT32_MAX);
}

static void a_server_that_fails_says_nothing_of_the_name(void **state)
{
	(void)state;
	stage.server.mood = SERVER_FAILS;
	assert_int_equal(look_up("web.example", 80, DNS_FAMILY_AUTO), DNS_UNKNOWN);
	assert_non_null(strstr(stage.why, "SERVFAIL"));
}

static void what_is_missing_is_unknown_while_one_question_fails(void **state)
{
	(void)state;
	server_add(&stage.server, &(struct server_record){
					  .owner = "web.example", .type = 33, .data = "x.example"});
	stage.server.silent_type = "AAAA";
	assert_int_equal(look_up("web.example", 80, DNS_FAMILY_AUTO), DNS_UNKNOWN);
	server_add_host(&stage.server, "web.example", "10.0.0.2");
	assert_int_equal(look_up("web.example", 80, DNS_FAMILY_BOTH), DNS_FOUND);
	assert_true(stage.is_partial);
	assert_int_equal(look_up("web.example", 80, DNS_FAMILY_AUTO), DNS_FOUND);
	assert_false(stage.is_partial);
}

static void a_silent_server_ends_in_time(void **state)
{
	(void)state;
	dns_resolver_close(stage.resolver);
	open_resolver(30000000);
	stage.server.mood = SERVER_IS_SILENT;
	uint64_t since_ns = clock_ns();
	assert_int_equal(look_up("web.example", 80, DNS_FAMILY_V4), DNS_UNKNOWN);
	assert_non_null(strstr(stage.why, "in time"));
	assert_true(clock_ns() - since_ns >= 30000000);
}

static void a_server_that_is_not_there_is_unknown(void **state)
{
	(void)state;
	server_close(&stage.server);
	dns_resolver_close(stage.resolver);
	open_resolver(200000000);
	stage.server.udp = socket(AF_INET, SOCK_DGRAM, 0);
	stage.server.tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	stage.server.stream = -1;
	assert_int_equal(look_up("web.example", 80, DNS_FAMILY_V4), DNS_UNKNOWN);
}

static void bytes_that_are_no_records_are_unknown(void **state)
{
	(void)state;
	stage.server.mood = SERVER_BABBLES;
	assert_int_equal(look_up("web.example", 80, DNS_FAMILY_V4), DNS_UNKNOWN);
	assert_int_equal(look_up("_http._tcp.web.example", 0, DNS_FAMILY_V4), DNS_UNKNOWN);
}

static void an_answer_that_was_cut_is_asked_for_by_tcp(void **state)
{
	char addresses[60][16];
	(void)state;
	for (int i = 0; i < 60; i++) {
		snprintf(addresses[i], sizeof(addresses[i]), "10.0.1.%d", i + 1);
		server_add_host(&stage.server, "many.example", addresses[i]);
	}
	stage.server.mood = SERVER_TRUNCATES;
	assert_int_equal(look_up("many.example", 80, DNS_FAMILY_AUTO), DNS_FOUND);
	assert_int_equal(stage.count, 60);
	assert_int_equal(stage.server.stream_questions, 1);
}

/* ---- services ---- */

static void targets_come_with_the_answer(void **state)
{
	(void)state;
	add_service("a.example", 1, 3, 8080);
	add_service("b.example", 1, 1, 8081);
	add_additional("a.example", "10.0.0.1");
	add_additional("b.example", "10.0.0.2");
	assert_int_equal(look_up("_http._tcp.web.example", 0, DNS_FAMILY_AUTO), DNS_FOUND);
	assert_int_equal(stage.server.questions, 1);
	assert_int_equal(stage.count, 2);
	assert_string_equal(endpoint(0), "10.0.0.1:8080");
	assert_string_equal(endpoint(1), "10.0.0.2:8081");
	assert_int_equal(stage.endpoints[0].weight, 3);
	assert_int_equal(stage.endpoints[1].weight, 1);
	assert_int_equal(stage.ttl_s, 7);
}

static void targets_without_addresses_are_looked_up(void **state)
{
	(void)state;
	add_service("a.example", 1, 0, 8080);
	add_service("b.example", 1, 0, 8081);
	server_add_host(&stage.server, "a.example", "10.0.0.1");
	server_add_host(&stage.server, "b.example", "fd00::2");
	assert_int_equal(look_up("_http._tcp.web.example", 0, DNS_FAMILY_AUTO), DNS_FOUND);
	assert_int_equal(stage.count, 2);
	assert_string_equal(endpoint(0), "10.0.0.1:8080");
	assert_string_equal(endpoint(1), "[fd00::2]:8081");
	assert_int_equal(stage.endpoints[0].weight, stage.endpoints[1].weight);
	assert_int_equal(stage.ttl_s, 20);
}

static void the_lowest_priority_with_an_address_is_used(void **state)
{
	(void)state;
	add_service("spare.example", 20, 1, 8082);
	add_service("gone.example", 5, 1, 8080);
	add_service("web.example", 10, 1, 8081);
	server_add_host(&stage.server, "web.example", "10.0.0.1");
	server_add_host(&stage.server, "spare.example", "10.0.0.2");
	assert_int_equal(look_up("_http._tcp.web.example", 0, DNS_FAMILY_AUTO), DNS_FOUND);
	assert_int_equal(stage.count, 1);
	assert_string_equal(endpoint(0), "10.0.0.1:8081");
}

static void addresses_of_one_target_share_its_weight_and_zero_is_little(void **state)
{
	(void)state;
	add_service("a.example", 1, 2, 80);
	add_service("b.example", 1, 1, 80);
	add_service("c.example", 1, 0, 80);
	server_add_host(&stage.server, "a.example", "10.0.0.1");
	server_add_host(&stage.server, "a.example", "10.0.0.2");
	server_add_host(&stage.server, "b.example", "10.0.0.3");
	server_add_host(&stage.server, "c.example", "10.0.0.4");
	assert_int_equal(look_up("_http._tcp.web.example", 0, DNS_FAMILY_AUTO), DNS_FOUND);
	assert_int_equal(stage.count, 4);
	assert_int_equal(stage.endpoints[0].weight, 100);
	assert_int_equal(stage.endpoints[1].weight, 100);
	assert_int_equal(stage.endpoints[2].weight, 100);
	assert_int_equal(stage.endpoints[3].weight, 1);
}

static void one_address_of_two_targets_is_one_endpoint(void **state)
{
	(void)state;
	add_service("a.example", 1, 2, 80);
	add_service("b.example", 1, 3, 80);
	add_additional("a.example", "10.0.0.1");
	add_additional("b.example", "10.0.0.1");
	assert_int_equal(look_up("_http._tcp.web.example", 0, DNS_FAMILY_AUTO), DNS_FOUND);
	assert_int_equal(stage.count, 1);
	assert_int_equal(stage.endpoints[0].weight, 5);
}

static void a_service_with_a_dot_for_its_target_is_absent(void **state)
{
	(void)state;
	add_service("", 0, 0, 80);
	assert_int_equal(look_up("_http._tcp.web.example", 0, DNS_FAMILY_AUTO), DNS_ABSENT);
	assert_non_null(strstr(stage.why, "decidedly"));
	assert_int_equal(look_up("_none._tcp.web.example", 0, DNS_FAMILY_AUTO), DNS_ABSENT);
}

static void targets_that_are_nowhere_are_absent(void **state)
{
	(void)state;
	add_service("gone.example", 1, 1, 80);
	assert_int_equal(look_up("_http._tcp.web.example", 0, DNS_FAMILY_AUTO), DNS_ABSENT);
}

/* ---- life ---- */

static void an_abandoned_look_up_tells_nothing(void **state)
{
	(void)state;
	dns_lookup_abandon(start("web.example", 80, DNS_FAMILY_AUTO));
	for (int i = 0; i < 20; i++) {
		io_turn(stage.ring, TURN_NS);
		server_turn(&stage.server);
	}
	assert_int_equal(stage.told, 0);
}

static void a_resolver_that_closes_ends_all_look_ups(void **state)
{
	(void)state;
	start("web.example", 80, DNS_FAMILY_AUTO);
	start("_http._tcp.web.example", 0, DNS_FAMILY_AUTO);
	io_turn(stage.ring, TURN_NS);
	dns_resolver_close(stage.resolver);
	stage.resolver = NULL;
	assert_int_equal(stage.told, 0);
}

static void write_servers(const char *path, const char *server)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "search example\nnameserver %s\noptions timeout:30\n", server);
	assert_int_equal(fclose(file), 0);
}

static void servers_of_the_file_are_asked_also_when_it_changes(void **state)
{
	char path[] = "/tmp/weft-resolv-XXXXXX";
	struct text why = {0};
	int fd = mkstemp(path);
	(void)state;
	assert_true(fd >= 0);
	close(fd);
	write_servers(path, "127.0.0.1");
	const struct dns_resolver_options options = {.ring = stage.ring,
						     .file = path,
						     .port = stage.server.port,
						     .timeout_ns = 100000000,
						     .tries = 1};
	dns_resolver_close(stage.resolver);
	assert_int_equal(dns_resolver_open(&options, &why, &stage.resolver), 0);
	server_add_host(&stage.server, "web.example", "10.0.0.1");
	assert_int_equal(look_up("web.example", 80, DNS_FAMILY_V4), DNS_FOUND);
	assert_int_equal(look_up("web", 80, DNS_FAMILY_V4), DNS_ABSENT); /* no search list */
	write_servers(path, "127.0.0.2");                                /* nobody is there */
	for (uint64_t end_ns = clock_ns() + 1100000000; clock_ns() < end_ns;)
		io_turn(stage.ring, TURN_NS);
	assert_int_equal(look_up("web.example", 80, DNS_FAMILY_V4), DNS_UNKNOWN);
	unlink(path);
}

static void turn_for(uint64_t ns)
{
	for (uint64_t end_ns = clock_ns() + ns; clock_ns() < end_ns;) {
		io_turn(stage.ring, TURN_NS);
		server_turn(&stage.server);
	}
}

/* Under way is always something there: each question takes longer than the time to the next. */
static void servers_that_are_dead_are_left_when_the_file_changes(void **state)
{
	char path[] = "/tmp/weft-resolv-XXXXXX";
	struct text why = {0};
	struct sockaddr_in dead = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(0x7f000003),
				   .sin_port = htons(stage.server.port)};
	int socket_fd = socket(AF_INET, SOCK_DGRAM, 0);
	int fd = mkstemp(path);
	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(bind(socket_fd, (struct sockaddr *)&dead, sizeof(dead)), 0);
	write_servers(path, "127.0.0.3");
	const struct dns_resolver_options options = {.ring = stage.ring,
						     .file = path,
						     .port = stage.server.port,
						     .timeout_ns = 60000000000ull,
						     .tries = 1};
	dns_resolver_close(stage.resolver);
	assert_int_equal(dns_resolver_open(&options, &why, &stage.resolver), 0);
	server_add_host(&stage.server, "web.example", "10.0.0.1");
	start("web.example", 80, DNS_FAMILY_AUTO);
	write_servers(path, "127.0.0.1");
	turn_for(1100000000);
	start("web.example", 80, DNS_FAMILY_V4);
	turn_for(1100000000);
	start("web.example", 80, DNS_FAMILY_V4); /* they have some time */
	turn_for(1100000000);
	assert_int_equal(stage.told, 0);
	start("web.example", 80, DNS_FAMILY_V4);
	/* two have failed; the other address family of the first is asked for by the new servers */
	assert_int_equal(stage.told, 2);
	assert_int_equal(stage.finding, DNS_UNKNOWN);
	turn_for(100000000);
	assert_int_equal(stage.told, 4);
	assert_int_equal(stage.server.questions, 2);
	close(socket_fd);
	unlink(path);
}

static void a_failed_allocation_costs_no_more_than_the_answer(void **state)
{
	(void)state;
	add_service("a.example", 1, 0, 8080);
	server_add_host(&stage.server, "a.example", "10.0.0.1");
	dns_resolver_close(stage.resolver);
	open_resolver(20000000);
	for (unsigned long n = 1; n < 60; n++) {
		struct dns_lookup *lookup;
		const struct dns_lookup_options options = {.resolver = stage.resolver,
							   .name = "_http._tcp.web.example",
							   .is_service = true,
							   .done = on_done};
		stage.told = 0;
		mem_fail_nth(n);
		int error = dns_lookup_start(&options, &lookup);
		if (error)
			assert_int_equal(error, -ENOMEM);
		else
			turn_until_told();
		mem_fail_nth(0);
		if (!error && stage.finding == DNS_FOUND && n > 50)
			break;
	}
	assert_int_equal(look_up("_http._tcp.web.example", 0, DNS_FAMILY_AUTO), DNS_FOUND);
}

#define staged(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		staged(a_host_has_the_addresses_of_its_a_records),
		staged(a_host_without_a_records_has_those_of_aaaa),
		staged(both_families_count_where_that_is_asked_for),
		staged(an_alias_is_followed_and_its_ttl_counts),
		staged(addresses_that_nobody_can_dial_are_left_out),
		staged(a_ttl_of_zero_or_of_ages_is_told_as_it_is),
		staged(no_such_name_is_absent_for_as_long_as_the_zone_says),
		staged(a_server_that_fails_says_nothing_of_the_name),
		staged(what_is_missing_is_unknown_while_one_question_fails),
		staged(a_silent_server_ends_in_time),
		staged(a_server_that_is_not_there_is_unknown),
		staged(bytes_that_are_no_records_are_unknown),
		staged(an_answer_that_was_cut_is_asked_for_by_tcp),
		staged(targets_come_with_the_answer),
		staged(targets_without_addresses_are_looked_up),
		staged(the_lowest_priority_with_an_address_is_used),
		staged(addresses_of_one_target_share_its_weight_and_zero_is_little),
		staged(one_address_of_two_targets_is_one_endpoint),
		staged(a_service_with_a_dot_for_its_target_is_absent),
		staged(targets_that_are_nowhere_are_absent),
		staged(an_abandoned_look_up_tells_nothing),
		staged(a_resolver_that_closes_ends_all_look_ups),
		staged(servers_of_the_file_are_asked_also_when_it_changes),
		staged(servers_that_are_dead_are_left_when_the_file_changes),
		staged(a_failed_allocation_costs_no_more_than_the_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
