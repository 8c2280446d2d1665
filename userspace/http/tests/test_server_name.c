/* The server name of ClientHellos that are built here byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "http/server_name.h"
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

/* In pieces of `most` bytes, each in memory of exactly its size. */
static enum server_name_state feed(struct server_name *search, struct span bytes, size_t most)
{
	enum server_name_state state = SERVER_NAME_MORE;
	server_name_init(search);
	for (size_t at = 0; at < bytes.size; at += most) {
		size_t size = bytes.size - at < most ? bytes.size - at : most;
		char *copy = malloc(size);
		assert_non_null(copy);
		memcpy(copy, bytes.data + at, size);
		state = server_name_feed(search, span_of(copy, size));
		free(copy);
	}
	return state;
}

/* What the bytes say, which must be the same in pieces of every size. */
static enum server_name_state answer(struct span bytes, const char *name)
{
	struct server_name search;
	enum server_name_state whole = feed(&search, bytes, bytes.size);
	for (size_t most = bytes.size; most > 0; most--) {
		assert_int_equal(feed(&search, bytes, most), whole);
		if (whole == SERVER_NAME_FOUND && !span_is(server_name_found(&search), name))
			fail_msg("found %.*s", SPAN_PRINT(server_name_found(&search)));
	}
	return whole;
}

/* The record's message again, in records of at most `most` bytes (RFC 8446 5.1). */
static void add_fragments(struct text *records, struct span record, size_t most)
{
	struct span rest = span_of(record.data + 5, record.size - 5);
	while (rest.size) {
		size_t size = rest.size < most ? rest.size : most;
		text_add(records, span_of(record.data, 3));
		add_vector(records, 2, span_of(rest.data, size));
		rest = span_of(rest.data + size, rest.size - size);
	}
}

static void the_name_of_a_hello_is_found(void **state)
{
	struct text record = {0};
	(void)state;
	add_hello_for(&record, 0, span_text("a-b_c.example.COM"));
	assert_int_equal(sniff_client(text_span(&record)), SNIFF_TLS);
	assert_int_equal(answer(text_span(&record), "a-b_c.example.COM"), SERVER_NAME_FOUND);
	/* Bytes behind the record do not matter. */
	text_add(&record, span_text("more"));
	assert_int_equal(answer(text_span(&record), "a-b_c.example.COM"), SERVER_NAME_FOUND);
	text_fini(&record);
}

static void the_name_is_found_with_its_last_byte_and_not_before(void **state)
{
	struct text record = {0};
	(void)state;
	add_hello_for(&record, 0, span_text("a.example"));
	const char *name = memmem(record.data, record.size, "a.example", 9);
	assert_non_null(name);
	size_t end = (size_t)(name - record.data) + 9;
	for (size_t size = 0; size < record.size; size++)
		assert_int_equal(answer(span_of(record.data, size), "a.example"),
				 size < end ? SERVER_NAME_MORE : SERVER_NAME_FOUND);
	text_fini(&record);
}

static void a_hello_in_several_records_has_its_name(void **state)
{
	struct text record = {0};
	(void)state;
	add_hello_for(&record, 0, span_text("a.example"));
	for (size_t most = 1; most < record.size; most++) {
		struct text records = {0};
		add_fragments(&records, text_span(&record), most);
		struct server_name search;
		assert_int_equal(feed(&search, text_span(&records), 7), SERVER_NAME_FOUND);
		assert_true(span_is(server_name_found(&search), "a.example"));
		text_fini(&records);
	}
	text_fini(&record);
}

static void another_record_inside_a_hello_ends_the_search(void **state)
{
	struct text record = {0};
	struct text records = {0};
	(void)state;
	add_hello_for(&record, 0, span_text("a.example"));
	add_fragments(&records, text_span(&record), 50);
	records.data[55] = 23; /* the second record's type */
	assert_int_equal(answer(text_span(&records), ""), SERVER_NAME_ABSENT);
	text_fini(&record);
	text_fini(&records);
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
		assert_int_equal(answer(text_span(&record), ""), SERVER_NAME_ABSENT);
		text_fini(&record);
	}
}

static void a_name_is_at_most_255_bytes_long(void **state)
{
	char name[257];
	struct text record = {0};
	(void)state;
	memset(name, 'n', 256);
	name[256] = 0;
	add_hello_for(&record, 0, span_of(name, 256));
	assert_int_equal(answer(text_span(&record), ""), SERVER_NAME_ABSENT);
	text_clear(&record);
	name[255] = 0;
	add_hello_for(&record, 0, span_of(name, 255));
	assert_int_equal(answer(text_span(&record), name), SERVER_NAME_FOUND);
	text_fini(&record);
}

static void a_name_of_another_type_is_none(void **state)
{
	struct text record = {0};
	(void)state;
	add_hello_for(&record, 1, span_text("a.example"));
	assert_int_equal(answer(text_span(&record), ""), SERVER_NAME_ABSENT);
	text_fini(&record);
}

/* Said with the hello's last byte: nothing is looked at any longer. */
static void a_hello_without_the_extension_has_no_name(void **state)
{
	struct text record = {0};
	(void)state;
	add_hello(&record, span_of("\0\x17\0\0", 4));
	assert_int_equal(answer(text_span(&record), ""), SERVER_NAME_ABSENT);
	text_clear(&record);
	add_hello(&record, span_of("", 0));
	assert_int_equal(answer(text_span(&record), ""), SERVER_NAME_ABSENT);
	text_fini(&record);
}

static void a_record_of_no_tls_version_has_no_name(void **state)
{
	struct text record = {0};
	(void)state;
	add_hello_for(&record, 0, span_text("a.example"));
	record.data[2] = 4;
	assert_int_equal(answer(text_span(&record), "a.example"), SERVER_NAME_FOUND);
	record.data[2] = 5;
	assert_int_equal(answer(text_span(&record), ""), SERVER_NAME_ABSENT);
	record.data[1] = 2;
	assert_int_equal(answer(text_span(&record), ""), SERVER_NAME_ABSENT);
	text_fini(&record);
}

/* Wrong lengths anywhere may hide the name or change it, but never lead outside what was fed. */
static void a_changed_byte_gives_one_answer_however_it_comes(void **state)
{
	static const uint8_t bytes[] = {0, 1, 2, 0x7f, 0x80, 0xfe, 0xff};
	struct text record = {0};
	(void)state;
	add_hello_for(&record, 0, span_text("a.example"));
	for (size_t place = 0; place < record.size * array_count(bytes); place++) {
		struct server_name whole;
		struct server_name cut;
		char before = record.data[place / array_count(bytes)];
		record.data[place / array_count(bytes)] = (char)bytes[place % array_count(bytes)];
		enum server_name_state said = feed(&whole, text_span(&record), record.size);
		assert_int_equal(feed(&cut, text_span(&record), 1), said);
		assert_true(span_equal(server_name_found(&whole), server_name_found(&cut)));
		record.data[place / array_count(bytes)] = before;
	}
	text_fini(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_name_of_a_hello_is_found),
		cmocka_unit_test(the_name_is_found_with_its_last_byte_and_not_before),
		cmocka_unit_test(a_hello_in_several_records_has_its_name),
		cmocka_unit_test(another_record_inside_a_hello_ends_the_search),
		cmocka_unit_test(odd_names_are_none),
		cmocka_unit_test(a_name_is_at_most_255_bytes_long),
		cmocka_unit_test(a_name_of_another_type_is_none),
		cmocka_unit_test(a_hello_without_the_extension_has_no_name),
		cmocka_unit_test(a_record_of_no_tls_version_has_no_name),
		cmocka_unit_test(a_changed_byte_gives_one_answer_however_it_comes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
