#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/json_parts.h"
#include "base/mem.h"

/* Writes down what it is told: "key=text;", "[text];" for items, "(text);" for documents. */
struct notebook {
	struct json_parts parts;
	struct text told;
};

static void on_part(struct json_parts *parts, enum json_part kind, struct span key,
		    struct span text)
{
	struct text *told = &container_of(parts, struct notebook, parts)->told;
	switch (kind) {
	case JSON_DOCUMENT:
		text_printf(told, "%.*s(%.*s);", SPAN_PRINT(key), SPAN_PRINT(text));
		break;
	case JSON_MEMBER:
		text_printf(told, "%.*s=%.*s;", SPAN_PRINT(key), SPAN_PRINT(text));
		break;
	case JSON_ITEM:
		text_printf(told, "%.*s[%.*s];", SPAN_PRINT(key), SPAN_PRINT(text));
		break;
	}
}

static void on_too_large(struct json_parts *parts, enum json_part kind, uint64_t size)
{
	struct text *told = &container_of(parts, struct notebook, parts)->told;
	text_printf(told, "%s too large: %zu;", kind == JSON_MEMBER ? "member" : "part",
		    (size_t)size);
}

static const struct json_parts_events events = {.part = on_part, .too_large = on_too_large};

static void notebook_open(struct notebook *notebook, bool is_stream, size_t limit)
{
	*notebook = (struct notebook){0};
	json_parts_init(&notebook->parts, is_stream, limit, &events);
}

static void notebook_close(struct notebook *notebook)
{
	json_parts_fini(&notebook->parts);
	text_fini(&notebook->told);
}

/* The text in pieces of every size tells the same. */
static void assert_told(bool is_stream, size_t limit, const char *text, const char *wanted)
{
	size_t size = strlen(text);
	for (size_t piece = 1; piece <= size; piece++) {
		struct notebook notebook;
		notebook_open(&notebook, is_stream, limit);
		for (size_t at = 0; at < size; at += piece) {
			size_t left = size - at < piece ? size - at : piece;
			assert_int_equal(json_parts_feed(&notebook.parts, span_of(text + at, left)),
					 0);
		}
		assert_true(json_parts_is_whole(&notebook.parts));
		assert_string_equal(text_span(&notebook.told).data, wanted);
		notebook_close(&notebook);
	}
	assert_int_equal(mem_live(), 0);
}

static void a_list_is_cut_into_members_and_items(void **state)
{
	(void)state;
	assert_told(
		false, 1000,
		"{\"kind\":\"PodList\", \"metadata\" : {\"resourceVersion\":\"7\",\"items\":[1]},\n"
		"\"items\": [ {\"a\":[1,{}]} , {\"items\":[{}]},\"x\", 12 ,null], \"n\": 3 }\n",
		"kind=\"PodList\";metadata={\"resourceVersion\":\"7\",\"items\":[1]};"
		"[{\"a\":[1,{}]}];[{\"items\":[{}]}];[\"x\"];[12];[null];n=3;");
	assert_told(false, 1000, "{}", "");
	assert_told(false, 1000, "{\"items\":[]}", "");
	assert_told(false, 1000, "{\"items\":null,\"a\":1}", "items=null;a=1;");
	assert_told(false, 1000, "{\"items\":{\"a\":[1]},\"b\":[2]}", "items={\"a\":[1]};b=[2];");
	assert_told(false, 1000, "{\"metadata.a.name.that.is.long\":1,\"a\":2}", "=1;a=2;");
}

static void a_stream_is_cut_into_documents(void **state)
{
	(void)state;
	assert_told(true, 1000, "{\"type\":\"ADDED\"}\n{\"a\":[{}]}{}\n\n {\"b\":\"}{\"} ",
		    "({\"type\":\"ADDED\"});({\"a\":[{}]});({});({\"b\":\"}{\"});");
	assert_told(true, 1000, " \n", "");
}

static void what_is_too_large_is_told_and_skipped(void **state)
{
	(void)state;
	assert_told(true, 10, "{\"a\":1}{\"b\":\"ccccccccc\"}{\"d\":2}",
		    "({\"a\":1});part too large: 17;({\"d\":2});");
	assert_told(false, 10,
		    "{\"kind\":\"0123456789\",\"items\":[{\"b\":\"ccccccccc\"},{\"d\":2}]}",
		    "member too large: 12;part too large: 17;[{\"d\":2}];");
	assert_told(true, 7, "{\"a\":1}", "({\"a\":1});");
}

static void what_is_no_list_or_stream_is_refused(void **state)
{
	static const char *const lists[] = {"[]",     "{}{}",  "{\"items\":[}",
					    "<html>", "\"a\"", "{\"items\":[1,]}"};
	static const char *const streams[] = {"[]", "{},{}", "1", "{}x", "null", "{]"};
	(void)state;
	for (size_t i = 0; i < array_count(lists) + array_count(streams); i++) {
		bool is_stream = i >= array_count(lists);
		const char *text = is_stream ? streams[i - array_count(lists)] : lists[i];
		struct notebook notebook;
		notebook_open(&notebook, is_stream, 100);
		assert_int_equal(json_parts_feed(&notebook.parts, span_text(text)), -EBADMSG);
		notebook_close(&notebook);
	}
}

static void what_is_cut_off_is_not_whole(void **state)
{
	static const char list[] = "{\"items\":[{\"a\":1}]}";
	static const char stream[] = "{}{\"a\":1}";
	(void)state;
	for (size_t size = 0; size < strlen(list); size++) {
		struct notebook notebook;
		notebook_open(&notebook, false, 100);
		assert_int_equal(json_parts_feed(&notebook.parts, span_of(list, size)), 0);
		assert_false(json_parts_is_whole(&notebook.parts));
		notebook_close(&notebook);
	}
	for (size_t size = 0; size < strlen(stream); size++) {
		struct notebook notebook;
		notebook_open(&notebook, true, 100);
		assert_int_equal(json_parts_feed(&notebook.parts, span_of(stream, size)), 0);
		assert_int_equal(json_parts_is_whole(&notebook.parts), size == 0 || size == 2);
		notebook_close(&notebook);
	}
}

static void a_failed_allocation_is_told(void **state)
{
	struct notebook notebook;
	(void)state;
	notebook_open(&notebook, true, 100);
	mem_fail_nth(1);
	assert_int_equal(json_parts_feed(&notebook.parts, span_text("{\"a\"")), -ENOMEM);
	mem_fail_nth(0);
	notebook_close(&notebook);
	assert_int_equal(mem_live(), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_cut_into_members_and_items),
		cmocka_unit_test(a_stream_is_cut_into_documents),
		cmocka_unit_test(what_is_too_large_is_told_and_skipped),
		cmocka_unit_test(what_is_no_list_or_stream_is_refused),
		cmocka_unit_test(what_is_cut_off_is_not_whole),
		cmocka_unit_test(a_failed_allocation_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
