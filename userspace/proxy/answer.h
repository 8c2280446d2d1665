/* Answers that weft makes itself: status, l5d-err (linkerd1.md 1.9), a text body. Internal. */
#ifndef PROXY_ANSWER_H
#define PROXY_ANSWER_H

#include "wire/wire.h"

struct answer {
	unsigned status;
	const char *service; /* which service, or the address dialled */
	const char *text;    /* why, one sentence */
	bool keep_alive;
	bool is_head;         /* answers HEAD: no body */
	bool is_unsent;       /* no server has seen the request: l5d-retryable */
	bool is_nack;         /* finagle-http-nack (linkerd1.md H15) */
	bool has_retry_after; /* of retry_after_s seconds */
	uint32_t retry_after_s;
};

/* Queues the answer. 0 or -ENOMEM. */
int answer_write(struct wire *wire, const struct answer *answer) MUST_CHECK;
/* An answer without a body that says where to look instead (RFC 9110 15.4). 0 or -ENOMEM. */
int answer_redirect(struct wire *wire, unsigned status, struct span location,
		    bool keep_alive) MUST_CHECK;

#endif
