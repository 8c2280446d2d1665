/* The server name of ClientHellos that are built here byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "http/sniff.h"

static void add_number(struct text *text, unsigned bytes, size_t number)
{
	while (bytes--) {
		char byte = (char)(number >> (8 * bytes));
		text_add(text, span_of(&byte, 1));
	}
}

static void add_vector(struct text *text, unsigned bytes, struct span content)
{
	add_number(text, bytes, content.size);
	text_add(text, content);
}

/* RFC 6066 3: ServerNameList of one name. */
static void add_server_name(struct text *extensions, unsigned type, struct span name)
{
	struct text names = {0};
	struct text list = {0};
	add_number(&names, 1, type);
	add_vector(&names, 2, name);
	add_vector(&list, 2, text_span(&names));
	add_number(extensions, 2, 0);
	add_vector(extensions, 2, text_span(&list));
	text_fini(&names);
	text_fini(&list);
}

/* A whole record with these extensions. */
static void add_hello(struct text *record, struct span extensions)
{
	struct text hello = {0};
	struct text message = {0};
	add_number(&hello, 2, 0x0303);
	for (int i = 0; i < 32; i++)
		add_number(&hello, 1, (size_t)i);
	add_vector(&hello, 1, span_text("session-id"));
	add_vector(&hello, 2, span_of("\x13\x01\x13\x02", 4));
	add_vector(&hello, 1, span_of("\0", 1));
	add_vector(&hello, 2, extensions);
	add_number(&message, 1, 1);
	add_vector(&message, 3, text_span(&hello));
	add_number(record, 1, 22);
	add_number(record, 2, 0x0301);
	add_vector(record, 2, text_span(&message));
	text_fini(&hello);
	text_fini(&message);
}

static void add_hello_for(struct text *record, unsigned type, struct span name)
{
	struct text extensions = {0};
	add_number(&extensions, 2, 0x2a2a); /* GREASE, RFC 8701 */
	add_vector(&extensions, 2, span_of("", 0));
	add_server_name(&extensions, type, name);
	add_number(&extensions, 2, 43);
	add_vector(&extensions, 2, span_of("\x02\x03\x04", 3));
	add_hello(record, text_span(&extensions));
	text_fini(&extensions);
}

/* From memory of exactly that size; the answer's size, 0 when it is not `name`. */
static size_t found(struct span record, const char *name)
{
	char *copy = malloc(record.size ? record.size : 1);
	assert_non_null(copy);
	memcpy(copy, record.data, record.size);
	struct span answer = sniff_server_name(span_of(copy, record.size));
	size_t size = span_is(answer, name) ? answer.size : 0;
	if (answer.size && !size)
		fail_msg("found %.*s", SPAN_PRINT(answer));
	free(copy);
	return size;
}

static void the_name_of_a_hello_is_found(void **state)
{
	struct text record = {0};
	(void)state;
	add_hello_for(&record, 0, span_text("a-b_c.example.COM"));
	assert_int_equal(sniff_client(text_span(&record)), SNIFF_TLS);
	assert_int_equal(found(text_span(&record), "a-b_c.example.COM"), 17);
	/* Bytes behind the record do not matter. */
	text_add(&record, span_text("more"));
	assert_int_equal(found(text_span(&record), "a-b_c.example.COM"), 17);
	text_fini(&record);
}

static void no_prefix_of_a_hello_has_a_name(void **state)
{
	struct text record = {0};
	(void)state;
	add_hello_for(&record, 0, span_text("a.example"));
	for (size_t size = 0; size < record.size; size++)
		assert_int_equal(found(span_of(record.data, size), "a.example"), 0);
	text_fini(&record);
}

static void odd_names_are_none(void **state)
{
	static const struct span names[] = {
		{"", 0},    {"a b", 3},  {"a\0b", 3},     {"a\nb", 3},
		{"a/b", 3}, {"a\"b", 3}, {"\xc3\xa4", 2}, {"[::1]", 5},
	};
	(void)state;
	for (size_t i = 0; i < array_count(names); i++) {
		struct text record = {0};
		add_hello_for(&record, 0, names[i]);
		assert_int_equal(sniff_server_name(text_span(&record)).size, 0);
		text_fini(&record);
	}
}

static void a_name_of_another_type_is_none(void **state)
{
	struct text record = {0};
	(void)state;
	add_hello_for(&record, 1, span_text("a.example"));
	assert_int_equal(sniff_server_name(text_span(&record)).size, 0);
	text_fini(&record);
}

static void a_hello_without_the_extension_has_no_name(void **state)
{
	struct text record = {0};
	(void)state;
	add_hello(&record, span_of("\0\x17\0\0", 4));
	assert_int_equal(sniff_server_name(text_span(&record)).size, 0);
	text_clear(&record);
	add_hello(&record, span_of("", 0));
	assert_int_equal(sniff_server_name(text_span(&record)).size, 0);
	text_fini(&record);
}

static void a_record_of_no_tls_version_has_no_name(void **state)
{
	struct text record = {0};
	(void)state;
	add_hello_for(&record, 0, span_text("a.example"));
	record.data[2] = 4;
	assert_int_equal(sniff_server_name(text_span(&record)).size, 9);
	record.data[2] = 5;
	assert_int_equal(sniff_server_name(text_span(&record)).size, 0);
	record.data[1] = 2;
	assert_int_equal(sniff_server_name(text_span(&record)).size, 0);
	text_fini(&record);
}

/* Wrong lengths anywhere may hide the name or change it, but never lead outside the record. */
static void no_changed_byte_leads_outside_the_record(void **state)
{
	static const uint8_t bytes[] = {0, 1, 2, 0x7f, 0x80, 0xfe, 0xff};
	struct text record = {0};
	(void)state;
	add_hello_for(&record, 0, span_text("a.example"));
	for (size_t place = 0; place < record.size * array_count(bytes); place++) {
		char *copy = malloc(record.size);
		assert_non_null(copy);
		memcpy(copy, record.data, record.size);
		copy[place / array_count(bytes)] = (char)bytes[place % array_count(bytes)];
		struct span name = sniff_server_name(span_of(copy, record.size));
		assert_true(name.size == 0 ||
			    (name.data > copy && name.data + name.size <= copy + record.size));
		free(copy);
	}
	text_fini(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_name_of_a_hello_is_found),
		cmocka_unit_test(no_prefix_of_a_hello_has_a_name),
		cmocka_unit_test(odd_names_are_none),
		cmocka_unit_test(a_name_of_another_type_is_none),
		cmocka_unit_test(a_hello_without_the_extension_has_no_name),
		cmocka_unit_test(a_record_of_no_tls_version_has_no_name),
		cmocka_unit_test(no_changed_byte_leads_outside_the_record),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
