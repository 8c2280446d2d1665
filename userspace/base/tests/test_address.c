#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>

#include "base/address.h"

struct spelling {
	const char *text;
	const char *printed; /* NULL: refused */
	bool is_v4;
	bool is_loopback;
	bool is_any;
};

static const struct spelling spellings[] = {
	{"10.0.0.1:80", "10.0.0.1:80", true, false, false},
	{"127.0.0.1:0", "127.0.0.1:0", true, true, false},
	{"127.255.0.1:65535", "127.255.0.1:65535", true, true, false},
	{"0.0.0.0:1", "0.0.0.0:1", true, false, true},
	{"[2001:db8::1]:80", "[2001:db8::1]:80", false, false, false},
	{"[2001:DB8:0:0:0:0:0:1]:80", "[2001:db8::1]:80", false, false, false},
	{"[::1]:80", "[::1]:80", false, true, false},
	{"[::]:80", "[::]:80", false, false, true},
	{"[::ffff:10.0.0.1]:80", "10.0.0.1:80", true, false, false},
	{"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", false, false, false},
	{.text = ""},
	{.text = "10.0.0.1"},
	{.text = "10.0.0.1:"},
	{.text = ":80"},
	{.text = "10.0.0.1:65536"},
	{.text = "10.0.0.1:-1"},
	{.text = "10.0.0.1: 80"},
	{.text = "10.0.0.1:http"},
	{.text = "10.0.0:80"},
	{.text = "10.0.0.256:80"},
	{.text = "10.0.0.1.2:80"},
	{.text = "::1:80"},
	{.text = "[::1]"},
	{.text = "[::1:80"},
	{.text = "[::g]:80"},
	{.text = "[]:80"},
	{.text = "[fe80::1%lo]:80"},
	{.text = "localhost:80"},
	{.text = "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:80"},
};

static void addresses_are_parsed_and_printed(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(spellings); i++) {
		const struct spelling *spelling = &spellings[i];
		struct weft_address address;
		char text[ADDRESS_TEXT_MAX];
		int error = address_parse(span_text(spelling->text), &address);
		if (error != (spelling->printed ? 0 : -EINVAL))
			fail_msg("%s: %d", spelling->text, error);
		if (error)
			continue;
		assert_string_equal(address_print(&address, text), spelling->printed);
		assert_int_equal(address_is_v4(&address), spelling->is_v4);
		assert_int_equal(address_is_loopback(&address), spelling->is_loopback);
		assert_int_equal(address_is_any(&address), spelling->is_any);
		assert_int_equal(address.pad, 0);
	}
}

static void an_ip_alone_is_parsed_with_or_without_brackets(void **state)
{
	struct weft_address address;
	struct weft_address same;
	char text[ADDRESS_TEXT_MAX];
	(void)state;
	assert_int_equal(address_parse_ip(span_text("2001:db8::1"), 80, &address), 0);
	assert_int_equal(address_parse_ip(span_text("[2001:db8::1]"), 80, &same), 0);
	assert_true(address_equal(&address, &same));
	assert_int_equal(address.port, htons(80));
	assert_string_equal(address_print_ip(&address, text), "2001:db8::1");
	assert_int_equal(address_parse_ip(span_text("10.0.0.1"), 80, &address), 0);
	assert_string_equal(address_print_ip(&address, text), "10.0.0.1");
	assert_int_equal(address_parse_ip(span_of("10.0.0.1\0", 9), 80, &address), -EINVAL);
	assert_int_equal(address_parse_ip(span_text("10.0.0.1:80"), 80, &address), -EINVAL);
}

/* v4-mapped IPv6 and IPv4 sockets must give one and the same key. */
static void sockaddrs_of_both_families_fold_into_one_form(void **state)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(8080)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(8080)};
	struct weft_address from_v4;
	struct weft_address from_v6;
	(void)state;
	assert_int_equal(inet_pton(AF_INET, "10.1.2.3", &v4.sin_addr), 1);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:10.1.2.3", &v6.sin6_addr), 1);
	assert_true(address_from_sockaddr((const struct sockaddr *)&v4, &from_v4));
	assert_true(address_from_sockaddr((const struct sockaddr *)&v6, &from_v6));
	assert_true(address_equal(&from_v4, &from_v6));

	const struct sockaddr other = {.sa_family = AF_UNIX};
	assert_false(address_from_sockaddr(&other, &from_v4));
}

static void what_goes_to_a_sockaddr_comes_back(void **state)
{
	static const char *const texts[] = {"10.1.2.3:8080", "[2001:db8::7]:443"};
	(void)state;
	for (size_t i = 0; i < array_count(texts); i++) {
		struct weft_address address;
		struct weft_address back;
		struct sockaddr_storage storage;
		assert_int_equal(address_parse(span_text(texts[i]), &address), 0);
		socklen_t size = address_to_sockaddr(&address, &storage);
		bool v4 = address_is_v4(&address);
		assert_int_equal(storage.ss_family, v4 ? AF_INET : AF_INET6);
		assert_int_equal(size,
				 v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		assert_true(address_from_sockaddr((const struct sockaddr *)&storage, &back));
		assert_true(address_equal(&address, &back));
	}
}

/* 4,096 neighbours into 4,096 places: random placing fills 63 % of them. */
static void neighbouring_addresses_spread_over_a_table(void **state)
{
	static uint8_t used[4096];
	unsigned places = 0;
	(void)state;
	for (unsigned i = 0; i < 4096; i++) {
		struct weft_address address;
		assert_int_equal(address_parse(span_text("10.0.0.0:80"), &address), 0);
		address.ip[15] = (uint8_t)i;
		address.ip[14] = (uint8_t)(i >> 8);
		uint32_t place = address_hash(&address) % 4096;
		places += !used[place];
		used[place] = 1;
	}
	assert_true(places > 4096 * 55 / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_parsed_and_printed),
		cmocka_unit_test(an_ip_alone_is_parsed_with_or_without_brackets),
		cmocka_unit_test(sockaddrs_of_both_families_fold_into_one_form),
		cmocka_unit_test(what_goes_to_a_sockaddr_comes_back),
		cmocka_unit_test(neighbouring_addresses_spread_over_a_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
