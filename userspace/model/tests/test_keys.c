#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "model/keys.h"

static const struct key *key_at_path(const char *path)
{
	for (size_t i = 0; i < keys_count(); i++) {
		if (strcmp(keys_at(i)->path, path) == 0)
			return keys_at(i);
	}
	fail_msg("no key %s", path);
	return NULL;
}

/* Parses; checks the sentence (NULL = the value is good) and returns the number. */
#define X8        "xxxxxxxx"
#define X64       X8 X8 X8 X8 X8 X8 X8 X8
#define LONG_NAME X64 X64 X64

static uint64_t number_of(const char *path, const char *text, const char *sentence)
{
	struct key_value value = {0};
	struct text why = {0};
	int error = key_parse(key_at_path(path), text, &value, &why);
	assert_int_equal(error, sentence ? -EINVAL : 0);
	if (sentence)
		assert_string_equal(why.data, sentence);
	text_fini(&why);
	return value.number;
}

static void numbers_with_units_become_nanoseconds_and_bytes(void **state)
{
	(void)state;
	assert_int_equal(number_of("timeouts.connect", "250ms", NULL), 250000000);
	assert_int_equal(number_of("timeouts.connect", "1s", NULL), 1000000000);
	assert_int_equal(number_of("timeouts.connect", "2m", NULL), 120000000000);
	assert_int_equal(number_of("timeouts.tunnel_idle", "1h", NULL), 3600000000000);
	assert_int_equal(number_of("timeouts.connect", "5000us", NULL), 5000000);
	assert_int_equal(number_of("timeouts.drain", "0", NULL), 0);
	assert_int_equal(number_of("limits.window", "64KiB", NULL), 65536);
	assert_int_equal(number_of("limits.window", "65536", NULL), 65536);
	assert_int_equal(number_of("limits.window", "65536B", NULL), 65536);
	assert_int_equal(number_of("limits.buffers", "2GiB", NULL), 2147483648);
	assert_int_equal(number_of("workers", "16", NULL), 16);
	assert_int_equal(number_of("http.via", "true", NULL), 1);
	assert_int_equal(number_of("services[].protocol", "opaque", NULL), PROTOCOL_OPAQUE);
	assert_int_equal(number_of("services[].balancer", "round_robin", NULL),
			 BALANCER_ROUND_ROBIN);
	assert_int_equal(number_of("pods[].on_proxy_death", "closed", NULL), ON_PROXY_DEATH_CLOSED);
	assert_int_equal(number_of("shortcut.mode", "on", NULL), WEFT_SHORTCUT_ON);
	assert_int_equal(number_of("shortcut.window", "64KiB", NULL), 65536);
	assert_int_equal(number_of("services[].shortcut", "inherit", NULL), WEFT_SHORTCUT_INHERIT);
	assert_int_equal(number_of("services[].shortcut_window", "0", NULL), 0);
	assert_int_equal(number_of("services[].shortcut_window", "4KiB", NULL), 4096);
	assert_int_equal(number_of("services[].shortcut_window", "0", NULL), 0);
	assert_int_equal(number_of("pods[].shortcut", "auto", NULL), WEFT_SHORTCUT_AUTO);
	assert_int_equal(number_of("services[].breaker.success_rate", "99.9%", NULL), 999000);
	assert_int_equal(number_of("services[].breaker.success_rate", "0.0001", NULL), 1);
	assert_int_equal(number_of("services[].retries.budget_share", "20", NULL), 200000);
	assert_int_equal(number_of("services[].retries.budget_share", "100000", NULL), 1000000000);
}

static void a_bad_value_says_what_was_given_and_what_is_expected(void **state)
{
	static const struct {
		const char *path;
		const char *text;
		const char *sentence;
	} cases[] = {
		{"workers", "17", "\"17\" is not a whole number from 0 to 16"},
		{"workers", "-1", "\"-1\" is not a whole number from 0 to 16"},
		{"workers", "", "\"\" is not a whole number from 0 to 16"},
		{"workers", "99999999999999999999",
		 "\"99999999999999999999\" is not a whole number from 0 to 16"},
		{"timeouts.connect", "5",
		 "\"5\" is not a duration such as 250ms, 1s or 2m from 1ms to 10m"},
		{"timeouts.connect", "0",
		 "\"0\" is not a duration such as 250ms, 1s or 2m from 1ms to 10m"},
		{"timeouts.connect", "1 s",
		 "\"1 s\" is not a duration such as 250ms, 1s or 2m from 1ms to 10m"},
		{"timeouts.connect", "18446744073709551615h",
		 "\"18446744073709551615h\" is not a duration such as 250ms, 1s or 2m from 1ms to "
		 "10m"},
		{"limits.window", "64kb",
		 "\"64kb\" is not a size such as 4096, 64KiB or 10MiB from 4KiB to 16MiB"},
		{"services[].retries.budget_share", "20 %",
		 "\"20 %\" is not a percentage such as 20, 0.5 or 99.9% from 0.1 to 100000, or 0"},
		{"services[].breaker.success_rate", "100.1",
		 "\"100.1\" is not a percentage such as 20, 0.5 or 99.9% from 0.0001 to 100"},
		{"services[].breaker.success_rate", "1.23456",
		 "\"1.23456\" is not a percentage such as 20, 0.5 or 99.9% from 0.0001 to 100"},
		{"services[].breaker.success_rate", ".5",
		 "\".5\" is not a percentage such as 20, 0.5 or 99.9% from 0.0001 to 100"},
		{"services[].breaker.success_rate", "5.",
		 "\"5.\" is not a percentage such as 20, 0.5 or 99.9% from 0.0001 to 100"},
		{"services[].breaker.success_rate", "%",
		 "\"%\" is not a percentage such as 20, 0.5 or 99.9% from 0.0001 to 100"},
		{"http.via", "yes", "\"yes\" is not true or false"},
		{"log.level", "loud", "\"loud\" is not one of debug, info, warn, error"},
		{"shortcut.mode", "true", "\"true\" is not one of inherit, off, auto, on"},
		{"shortcut.window", "1KiB",
		 "\"1KiB\" is not a size such as 4096, 64KiB or 10MiB from 4KiB to 16MiB"},
		{"services[].shortcut_window", "17MiB",
		 "\"17MiB\" is not a size such as 4096, 64KiB or 10MiB from 4KiB to 16MiB, or 0"},
		{"services[].shortcut_window", "1",
		 "\"1\" is not a size such as 4096, 64KiB or 10MiB from 4KiB to 16MiB, or 0"},
		{"services[].addresses[]", "10.0.0",
		 "\"10.0.0\" is not an address such as 10.0.0.1 or fd00::1"},
		{"services[].endpoints[].address", "10.0.0.1",
		 "\"10.0.0.1\" is not an address with a port such as 10.0.0.1:80 or [fd00::1]:80"},
		{"services[].endpoints[].address", "10.0.0.1:0",
		 "\"10.0.0.1:0\" is not an address with a port such as 10.0.0.1:80 or "
		 "[fd00::1]:80"},
		{"pods[].skip_outbound_cidrs[]", "10.0.0.0/33",
		 "\"10.0.0.0/33\" is not a network such as 192.0.2.0/24 or fd00::/8"},
		{"pods[].skip_outbound_cidrs[]", "10.0.0.1/24",
		 "\"10.0.0.1/24\" has bits set behind its prefix"},
		{"pods[].skip_outbound_cidrs[]", "10.0.0.0",
		 "\"10.0.0.0\" is not a network such as 192.0.2.0/24 or fd00::/8"},
		{"services[].name", "a b", "\"a b\" may only have letters, digits and . _ - /"},
		{"services[].name", "", "\"\" is empty: a name of 1 to 191 bytes is needed"},
		{"services[].name", LONG_NAME,
		 "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"... is longer "
		 "than 191 bytes"},
		{"pods[].netns", "run/netns/a", "\"run/netns/a\" is not an absolute path"},
		{"pods[].netns", "/run/\n", "\"/run/\\n\" has a control character"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++)
		number_of(cases[i].path, cases[i].text, cases[i].sentence);
}

static void a_network_keeps_its_folded_prefix(void **state)
{
	static const struct {
		const char *text;
		uint8_t prefix;
	} cases[] = {{"10.0.0.0/8", 104},     {"0.0.0.0/0", 96}, {"192.0.2.7/32", 128},
		     {"fd00::/8", 8},         {"::/0", 0},       {"::ffff:10.0.0.0/104", 104},
		     {"2001:db8::1/128", 128}};
	const struct key *key = key_at_path("pods[].skip_outbound_cidrs[]");
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		struct key_value value = {0};
		struct text why = {0};
		assert_int_equal(key_parse(key, cases[i].text, &value, &why), 0);
		assert_int_equal(value.prefix, cases[i].prefix);
		text_fini(&why);
	}
}

static void every_default_is_a_good_value_and_prints_as_it_stands(void **state)
{
	struct draft draft = {0};
	(void)state;
	keys_set_defaults(NULL, &draft);
	for (size_t i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		struct text shown = {0};
		struct text why = {0};
		struct key_value value;
		if (!key->fallback)
			continue;
		assert_int_equal(key_parse(key, key->fallback, &value, &why), 0);
		if (!strchr(key->path, '[')) {
			key_print(key, &draft, &shown);
			struct key_value again;
			assert_int_equal(key_parse(key, shown.data ? shown.data : "", &again, &why),
					 0);
			assert_int_equal(again.number, value.number);
			assert_string_equal(again.text ? again.text : "",
					    strcmp(key->fallback, "60s") ? key->fallback : "1m");
		}
		text_fini(&shown);
		text_fini(&why);
	}
	assert_int_equal(draft.settings.connect_timeout_ns, 1000000000);
	assert_int_equal(draft.settings.header_timeout_ns, 60000000000);
	assert_int_equal(draft.settings.buffer_limit_bytes, 256u << 20);
	assert_int_equal(draft.settings.session_limit, 65536);
	assert_string_equal(draft.settings.log_level, "info");
	assert_false(draft.settings.via);
}

static void the_table_is_in_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		assert_non_null(key->meaning);
		assert_true(key->meaning[strlen(key->meaning) - 1] == '.');
		assert_ptr_equal(key_at_path(key->path), key); /* no path twice */
		bool is_number = key->store == KEY_STORE_NUMBER;
		if (is_number && key->width < 8)
			assert_true(key->most < 1ull << (8 * key->width));
		if (key->type == KEY_LIST)
			assert_true(key->most > 0 && key->width > 0);
		bool is_scalar = key->type != KEY_MAP && key->type != KEY_LIST;
		if (is_scalar && !key->fallback)
			assert_non_null(key->example);
		if (key->type == KEY_CHOICE)
			assert_non_null(key->choices);
		if (key->type == KEY_INTEGER || key->type == KEY_DURATION || key->type == KEY_SIZE)
			assert_true(key->most > key->least);
	}
}

static void percentages_are_printed_as_they_are_written(void **state)
{
	static const char *const values[] = {"99.9", "0.0001", "20", "100", "0.5"};
	const struct key *key = key_at_path("services[].breaker.success_rate");
	(void)state;
	for (size_t i = 0; i < array_count(values); i++) {
		struct service_draft draft = {0};
		struct key_value value;
		struct text text = {0};
		assert_int_equal(key_parse(key, values[i], &value, &text), 0);
		key_set(key, &value, &draft);
		key_print(key, &draft, &text);
		assert_true(span_is(text_span(&text), values[i]));
		text_fini(&text);
	}
}

/* What is on for a service that nothing is said of: breakers, and what an answer itself asks. */
static void the_defaults_change_no_answer(void **state)
{
	struct resilience rules;
	(void)state;
	keys_default_resilience(&rules);
	assert_int_equal(rules.classifier, CLASSIFIER_NON_RETRYABLE_5XX);
	assert_int_equal(rules.retry.attempts_most, 5);
	assert_int_equal(rules.retry.budget.share_ppm, 200000);
	assert_int_equal(rules.retry.budget.min_per_second, 10);
	assert_int_equal(rules.breaker.kind, BREAKER_CONSECUTIVE_FAILURES);
	assert_int_equal(rules.breaker.failures, 5);
	assert_int_equal(rules.breaker.backoff.kind, BACKOFF_EQUAL_JITTERED);
	assert_int_equal(rules.breaker.removed_most_ppm, PPM / 2);
	assert_int_equal(rules.timeout.total_ns | rules.timeout.per_try_ns, 0);
	assert_int_equal(rules.limit.queue | rules.limit.endpoint_concurrency, 0);
	assert_int_equal(rules.limit.concurrency | rules.limit.rate_per_second |
				 rules.limit.client_rate_per_second | rules.limit.adapts,
			 0);
	assert_int_equal(rules.fault.delay_ppm | rules.fault.abort_ppm | rules.fault.by_header, 0);
}

static void children_and_elements_are_found_by_name(void **state)
{
	const struct key *services = key_at_path("services");
	const struct key *endpoints = key_child(services, span_text("endpoints"));
	(void)state;
	assert_string_equal(endpoints->path, "services[].endpoints");
	assert_string_equal(key_child(endpoints, span_text("weight"))->path,
			    "services[].endpoints[].weight");
	assert_null(key_child(services, span_text("weight")));
	assert_null(key_child(NULL, span_text("connect")));
	assert_null(key_child(NULL, span_text("timeouts.connect")));
	assert_string_equal(
		key_child(key_child(NULL, span_text("timeouts")), span_text("connect"))->path,
		"timeouts.connect");
	assert_null(key_element(services));
	assert_string_equal(key_element(key_child(services, span_text("ports")))->path,
			    "services[].ports[]");
	assert_string_equal(key_name(endpoints), "endpoints");
}

static void a_near_miss_is_recognized_and_a_far_one_is_not(void **state)
{
	const struct key *timeouts = key_at_path("timeouts");
	(void)state;
	assert_string_equal(key_near(timeouts, span_text("conect"))->path, "timeouts.connect");
	assert_string_equal(key_near(NULL, span_text("service"))->path, "services");
	assert_null(key_near(timeouts, span_text("banana")));
	assert_null(key_near(timeouts, span_text("x")));
	assert_null(key_near(timeouts, span_text("a_name_that_is_far_too_long_to_compare")));
}

static void the_reference_names_every_key_with_its_meaning_and_default(void **state)
{
	struct text page = {0};
	(void)state;
	keys_print_reference(&page);
	assert_false(page.failed);
	for (size_t i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		char line[256];
		if (strcmp(key->path + strlen(key->path) - 2, "[]") == 0)
			continue; /* an element stands with its list */
		assert_non_null(strstr(page.data, key->meaning));
		if (key->type == KEY_MAP)
			continue;
		snprintf(line, sizeof(line), "#   %s: ", key->path);
		const char *found = strstr(page.data, line);
		assert_non_null(found);
		const char *end = strchr(found, '\n');
		if (key->fallback && *key->fallback) {
			snprintf(line, sizeof(line), "default: %s", key->fallback);
			const char *said = strstr(found, line);
			assert_true(said && said < end);
		}
		if (key->unit) {
			const char *said = strstr(found, key->unit);
			assert_true(said && said < end);
		}
	}
	text_fini(&page);
}

static void a_quoted_text_is_cut_between_characters(void **state)
{
	struct text shown = {0};
	char name[80];
	(void)state;
	memset(name, 'a', sizeof(name));
	memcpy(name + 59, "\xe2\x82\xac", 3); /* a euro sign over the edge */
	key_quote(&shown, span_of(name, sizeof(name)));
	assert_int_equal(shown.size, 1 + 59 + 1 + 3);
	assert_null(strstr(shown.data, "\xef\xbf\xbd"));
	text_fini(&shown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_with_units_become_nanoseconds_and_bytes),
		cmocka_unit_test(a_bad_value_says_what_was_given_and_what_is_expected),
		cmocka_unit_test(a_network_keeps_its_folded_prefix),
		cmocka_unit_test(every_default_is_a_good_value_and_prints_as_it_stands),
		cmocka_unit_test(the_table_is_in_order),
		cmocka_unit_test(percentages_are_printed_as_they_are_written),
		cmocka_unit_test(the_defaults_change_no_answer),
		cmocka_unit_test(children_and_elements_are_found_by_name),
		cmocka_unit_test(a_near_miss_is_recognized_and_a_far_one_is_not),
		cmocka_unit_test(the_reference_names_every_key_with_its_meaning_and_default),
		cmocka_unit_test(a_quoted_text_is_cut_between_characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
