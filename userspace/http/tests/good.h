/* Messages that must pass, as rows of a table, and the ways in which each is fed. */
#ifndef HTTP_TESTS_GOOD_H
#define HTTP_TESTS_GOOD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/tests/recorder.h"

#include "base/mem.h"

struct good {
	const char *name;
	const char *bytes;
	const char *log;
	bool is_response;
	bool answers_head;
	bool answers_connect;
	bool ends; /* the peer then closes */
};

static inline void good_init(struct recorder *recorder, const struct good *good)
{
	recorder_init(recorder, !good->is_response);
	recorder->reader.answers_head = good->answers_head;
	recorder->reader.answers_connect = good->answers_connect;
}

static inline void good_check(struct recorder *recorder, const struct good *good, size_t used)
{
	if (good->ends)
		assert_int_equal(h1_end(&recorder->reader), H1_OK);
	if (recorder->reader.error)
		fail_msg("%s: %s", good->name, recorder->reader.error_text);
	if (used != strlen(good->bytes))
		fail_msg("%s: %zu bytes used", good->name, used);
	assert_string_equal(recorder_text(recorder), good->log);
	assert_true(h1_is_idle(&recorder->reader));
	assert_null(recorder->reader.scratch);
	assert_false(recorder->has_foreign_body);
	recorder_fini(recorder);
	assert_int_equal(mem_live(), 0);
}

static inline void goods_check_in_pieces(const struct good *goods, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct span bytes = span_text(goods[i].bytes);
		for (size_t piece = bytes.size; piece > 0; piece--) {
			struct recorder recorder;
			good_init(&recorder, &goods[i]);
			size_t used = recorder_feed_pieces(&recorder, bytes, piece);
			good_check(&recorder, &goods[i], used);
		}
	}
}

static inline void goods_check_cut_in_two(const struct good *goods, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct span bytes = span_text(goods[i].bytes);
		for (size_t cut = 1; cut < bytes.size; cut++) {
			struct recorder recorder;
			good_init(&recorder, &goods[i]);
			size_t used = recorder_feed(&recorder, span_of(bytes.data, cut));
			used += recorder_feed(&recorder,
					      span_of(bytes.data + cut, bytes.size - cut));
			good_check(&recorder, &goods[i], used);
		}
	}
}

#endif
