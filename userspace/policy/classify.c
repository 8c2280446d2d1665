#include "policy/classify.h"

#define GRPC_OK          0
#define GRPC_UNAVAILABLE 14

enum method_kind classify_method(const struct http_head *request)
{
	switch (request->method) {
	case HTTP_METHOD_GET:
	case HTTP_METHOD_HEAD:
	case HTTP_METHOD_OPTIONS:
	case HTTP_METHOD_TRACE:
		return METHOD_READ;
	case HTTP_METHOD_PUT:
	case HTTP_METHOD_DELETE:
		return METHOD_IDEMPOTENT;
	case HTTP_METHOD_POST:
		return METHOD_WRITE;
	default:
		return span_is(request->method_text, "PATCH") ? METHOD_WRITE : METHOD_UNKNOWN;
	}
}

/* "1.0" or "0.0": the share of success. */
static void read_success_class(struct span value, struct answer_signs *signs)
{
	bool is_one = span_is(value, "1.0") || span_is(value, "1");
	bool is_zero = span_is(value, "0.0") || span_is(value, "0");
	if (!is_one && !is_zero)
		return;
	signs->has_success_class = true;
	signs->is_success = is_one;
}

static void read_grpc_status(struct span value, struct answer_signs *signs)
{
	uint64_t number;
	if (span_to_u64(value, &number) || number > UINT32_MAX)
		return;
	signs->has_grpc_status = true;
	signs->grpc_status = (uint32_t)number;
}

static void read_l5d(const struct http_field *field, struct answer_signs *signs)
{
	if (span_is_nocase(field->name, "l5d-retryable"))
		signs->wants_retry |= span_is_nocase(field->value, "true");
	else if (span_is_nocase(field->name, "l5d-success-class"))
		read_success_class(field->value, signs);
}

static void read_nack(const struct http_field *field, struct answer_signs *signs)
{
	if (span_is_nocase(field->name, "finagle-http-nack"))
		signs->wants_retry |= span_is_nocase(field->value, "true");
	else if (span_is_nocase(field->name, "finagle-http-nonretryable-nack"))
		signs->refuses_retry |= span_is_nocase(field->value, "true");
}

void classify_read_signs(const struct http_field *fields, size_t count,
			 struct answer_signs *ret_signs)
{
	struct answer_signs signs = {0};
	for (size_t i = 0; i < count; i++) {
		if (fields[i].name.size < sizeof("grpc-status") - 1)
			continue;
		switch (fields[i].name.data[0] | 0x20) {
		case 'l':
			read_l5d(&fields[i], &signs);
			break;
		case 'f':
			read_nack(&fields[i], &signs);
			break;
		case 'g':
			if (span_is_nocase(fields[i].name, "grpc-status"))
				read_grpc_status(fields[i].value, &signs);
			break;
		default:
			break;
		}
	}
	*ret_signs = signs;
}

bool classify_may_retry(enum classifier classifier, enum method_kind method)
{
	switch (classifier) {
	case CLASSIFIER_RETRYABLE_READ_5XX:
		return method == METHOD_READ;
	case CLASSIFIER_RETRYABLE_IDEMPOTENT_5XX:
		return method == METHOD_READ || method == METHOD_IDEMPOTENT;
	case CLASSIFIER_RETRYABLE_ALL_5XX:
		return method != METHOD_UNKNOWN;
	case CLASSIFIER_NON_RETRYABLE_5XX:
	case CLASSIFIER_ALL_SUCCESSFUL:
		return false;
	}
	return false;
}

static bool has_failed(enum classifier classifier, const struct attempt_end *end)
{
	if (end->status == 0 || end->signs.wants_retry || end->signs.refuses_retry)
		return true;
	if (end->signs.has_success_class)
		return !end->signs.is_success;
	return end->status >= 500 && classifier != CLASSIFIER_ALL_SUCCESSFUL;
}

struct verdict classify(enum classifier classifier, const struct attempt_end *end)
{
	struct verdict verdict = {.is_failure = has_failed(classifier, end)};
	if (!verdict.is_failure || end->signs.refuses_retry)
		return verdict;
	verdict.is_retryable =
		end->signs.wants_retry || classify_may_retry(classifier, end->method);
	return verdict;
}

static bool is_gateway_status(uint16_t status)
{
	return status == 429 || (status >= 502 && status <= 504);
}

struct verdict classify_grpc(enum grpc_classifier classifier, const struct attempt_end *end,
			     bool is_refused)
{
	const struct answer_signs *signs = &end->signs;
	struct verdict verdict = {
		.is_failure =
			is_refused || !signs->has_grpc_status || signs->grpc_status != GRPC_OK,
	};
	bool is_unavailable = signs->has_grpc_status && signs->grpc_status == GRPC_UNAVAILABLE;
	bool is_compliant =
		is_refused || (!signs->has_grpc_status && is_gateway_status(end->status));
	if (!verdict.is_failure)
		return verdict;
	verdict.is_retryable = signs->wants_retry || classifier == GRPC_ALWAYS_RETRYABLE ||
			       (classifier != GRPC_NEVER_RETRYABLE && is_unavailable) ||
			       (classifier == GRPC_COMPLIANT && is_compliant);
	return verdict;
}
