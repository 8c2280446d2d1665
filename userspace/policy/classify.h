/*
 * Was that a success, and may the request be tried again? linkerd1.md C1-C8. Pure.
 *
 * An answer's own words go first: `l5d-retryable: true` and `finagle-http-nack` say that the
 * request was not processed, so it may be tried again whatever its method (C7, H15);
 * `l5d-success-class` is the verdict of a proxy before us and stands for the status. Only a failure
 * is retried.
 */
#ifndef POLICY_CLASSIFY_H
#define POLICY_CLASSIFY_H

#include "http/message.h"
#include "model/resilience.h"

/* Methods by what a second try may do (RFC 9110 9.2). */
enum method_kind {
	METHOD_READ,       /* GET, HEAD, OPTIONS, TRACE */
	METHOD_IDEMPOTENT, /* PUT, DELETE */
	METHOD_WRITE,      /* POST, PATCH */
	METHOD_UNKNOWN,    /* never tried again but when the answer asks for it */
};

/* What an answer says of itself; all zero: nothing. */
struct answer_signs {
	bool wants_retry;       /* was not processed */
	bool refuses_retry;     /* finagle-http-nonretryable-nack */
	bool has_success_class; /* and it is is_success */
	bool is_success;
	bool has_grpc_status; /* in trailers, or in a head without a body */
	uint32_t grpc_status;
};

struct attempt_end {
	enum method_kind method;
	uint16_t status; /* 0: no answer: transport, framing, timeout (C6) */
	struct answer_signs signs;
};

struct verdict {
	bool is_failure;
	bool is_retryable; /* implies is_failure */
};

enum grpc_classifier { GRPC_DEFAULT, GRPC_COMPLIANT, GRPC_ALWAYS_RETRYABLE, GRPC_NEVER_RETRYABLE };

enum method_kind classify_method(const struct http_head *request);
void classify_read_signs(const struct http_field *fields, size_t count,
			 struct answer_signs *ret_signs);
struct verdict classify(enum classifier classifier, const struct attempt_end *end);
/* C8: by grpc-status; an answer without one has failed. status 14 is UNAVAILABLE; compliant adds
 * HTTP 429, 502, 503 and 504 where there is no grpc-status. `is_refused`: RST REFUSED_STREAM. */
struct verdict classify_grpc(enum grpc_classifier classifier, const struct attempt_end *end,
			     bool is_refused);
/* Might any answer to this method be tried again for its status alone? */
bool classify_may_retry(enum classifier classifier, enum method_kind method);

#endif
