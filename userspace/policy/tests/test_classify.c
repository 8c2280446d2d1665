/* Golden table of the classifiers: linkerd1.md C1-C8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/classify.h"

/* What a cell says: "." success, "f" failure, "r" failure that may be tried again. */
static char letter(struct verdict verdict)
{
	if (verdict.is_retryable)
		assert_true(verdict.is_failure);
	return verdict.is_retryable ? 'r' : verdict.is_failure ? 'f' : '.';
}

static void verdicts_by_status_and_method(void **state)
{
	static const uint16_t statuses[] = {200, 301, 404, 429, 500, 502, 503, 599, 0};
	/* rows: read, idempotent, write, unknown */
	static const struct {
		enum classifier classifier;
		const char *rows[4];
	} table[] = {
		{CLASSIFIER_NON_RETRYABLE_5XX,
		 {"....fffff", "....fffff", "....fffff", "....fffff"}},
		{CLASSIFIER_RETRYABLE_READ_5XX,
		 {"....rrrrr", "....fffff", "....fffff", "....fffff"}},
		{CLASSIFIER_RETRYABLE_IDEMPOTENT_5XX,
		 {"....rrrrr", "....rrrrr", "....fffff", "....fffff"}},
		{CLASSIFIER_RETRYABLE_ALL_5XX,
		 {"....rrrrr", "....rrrrr", "....rrrrr", "....fffff"}},
		{CLASSIFIER_ALL_SUCCESSFUL, {"........f", "........f", "........f", "........f"}},
	};
	(void)state;
	for (size_t i = 0; i < array_count(table); i++) {
		for (int method = METHOD_READ; method <= METHOD_UNKNOWN; method++) {
			for (size_t j = 0; j < array_count(statuses); j++) {
				struct attempt_end end = {.method = (enum method_kind)method,
							  .status = statuses[j]};
				assert_int_equal(letter(classify(table[i].classifier, &end)),
						 table[i].rows[method][j]);
			}
		}
	}
}

static struct answer_signs signs_of(const char *name, const char *value)
{
	struct http_field fields[] = {
		{span_text("Content-Type"), span_text("text/plain")},
		{span_text(name), span_text(value)},
	};
	struct answer_signs signs;
	classify_read_signs(fields, 2, &signs);
	return signs;
}

static char default_verdict(uint16_t status, struct answer_signs signs)
{
	struct attempt_end end = {.method = METHOD_WRITE, .status = status, .signs = signs};
	return letter(classify(CLASSIFIER_NON_RETRYABLE_5XX, &end));
}

static void what_the_answer_says_goes_first(void **state)
{
	(void)state;
	assert_int_equal(default_verdict(503, signs_of("l5d-retryable", "true")), 'r');
	assert_int_equal(default_verdict(502, signs_of("L5D-Retryable", "TRUE")), 'r');
	assert_int_equal(default_verdict(503, signs_of("l5d-retryable", "false")), 'f');
	assert_int_equal(default_verdict(503, signs_of("finagle-http-nack", "true")), 'r');
	assert_int_equal(default_verdict(503, signs_of("finagle-http-nonretryable-nack", "true")),
			 'f');
	assert_int_equal(default_verdict(200, signs_of("l5d-success-class", "0.0")), 'f');
	assert_int_equal(default_verdict(500, signs_of("l5d-success-class", "1.0")), '.');
	assert_int_equal(default_verdict(500, signs_of("l5d-success-class", "nonsense")), 'f');
	assert_int_equal(default_verdict(500, signs_of("l5d-success-classes", "1.0")), 'f');
}

static void methods_are_known(void **state)
{
	static const struct {
		uint8_t method;
		const char *text;
		enum method_kind kind;
	} table[] = {
		{HTTP_METHOD_GET, "GET", METHOD_READ},
		{HTTP_METHOD_HEAD, "HEAD", METHOD_READ},
		{HTTP_METHOD_OPTIONS, "OPTIONS", METHOD_READ},
		{HTTP_METHOD_TRACE, "TRACE", METHOD_READ},
		{HTTP_METHOD_PUT, "PUT", METHOD_IDEMPOTENT},
		{HTTP_METHOD_DELETE, "DELETE", METHOD_IDEMPOTENT},
		{HTTP_METHOD_POST, "POST", METHOD_WRITE},
		{HTTP_METHOD_OTHER, "PATCH", METHOD_WRITE},
		{HTTP_METHOD_OTHER, "patch", METHOD_UNKNOWN},
		{HTTP_METHOD_OTHER, "BREW", METHOD_UNKNOWN},
		{HTTP_METHOD_CONNECT, "CONNECT", METHOD_UNKNOWN},
	};
	(void)state;
	for (size_t i = 0; i < array_count(table); i++) {
		struct http_head head = {.method = table[i].method,
					 .method_text = span_text(table[i].text)};
		assert_int_equal(classify_method(&head), table[i].kind);
	}
}

/* ---- gRPC ---- */

static char grpc(enum grpc_classifier classifier, const char *status_text, uint16_t http_status,
		 bool is_refused)
{
	struct attempt_end end = {.method = METHOD_WRITE, .status = http_status};
	if (status_text)
		end.signs = signs_of("grpc-status", status_text);
	return letter(classify_grpc(classifier, &end, is_refused));
}

static void grpc_verdicts(void **state)
{
	(void)state;
	for (int kind = GRPC_DEFAULT; kind <= GRPC_NEVER_RETRYABLE; kind++)
		assert_int_equal(grpc((enum grpc_classifier)kind, "0", 200, false), '.');
	assert_int_equal(grpc(GRPC_DEFAULT, "14", 200, false), 'r');
	assert_int_equal(grpc(GRPC_DEFAULT, "13", 200, false), 'f');
	assert_int_equal(grpc(GRPC_DEFAULT, NULL, 503, false), 'f');
	assert_int_equal(grpc(GRPC_DEFAULT, NULL, 0, true), 'f');
	assert_int_equal(grpc(GRPC_COMPLIANT, "14", 200, false), 'r');
	assert_int_equal(grpc(GRPC_COMPLIANT, NULL, 0, true), 'r');
	assert_int_equal(grpc(GRPC_COMPLIANT, NULL, 503, false), 'r');
	assert_int_equal(grpc(GRPC_COMPLIANT, NULL, 429, false), 'r');
	assert_int_equal(grpc(GRPC_COMPLIANT, NULL, 500, false), 'f');
	assert_int_equal(grpc(GRPC_COMPLIANT, "13", 503, false), 'f');
	assert_int_equal(grpc(GRPC_ALWAYS_RETRYABLE, "13", 200, false), 'r');
	assert_int_equal(grpc(GRPC_NEVER_RETRYABLE, "14", 200, false), 'f');
	assert_int_equal(grpc(GRPC_DEFAULT, "x", 200, false), 'f');
}

static void may_retry_agrees_with_the_verdicts(void **state)
{
	(void)state;
	for (int kind = CLASSIFIER_NON_RETRYABLE_5XX; kind <= CLASSIFIER_ALL_SUCCESSFUL; kind++) {
		for (int method = METHOD_READ; method <= METHOD_UNKNOWN; method++) {
			struct attempt_end end = {.method = (enum method_kind)method, .status = 0};
			struct verdict verdict = classify((enum classifier)kind, &end);
			assert_int_equal(
				classify_may_retry((enum classifier)kind, (enum method_kind)method),
				verdict.is_retryable);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts_by_status_and_method),
		cmocka_unit_test(what_the_answer_says_goes_first),
		cmocka_unit_test(methods_are_known),
		cmocka_unit_test(grpc_verdicts),
		cmocka_unit_test(may_retry_agrees_with_the_verdicts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
