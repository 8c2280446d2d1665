/*
 * What a service's config says of failures: when to try again, whom to leave out, how long to wait,
 * how much to admit. Plain numbers, zero = off, without padding, so that two can be compared by
 * memcmp. The verdicts are policy's.
 */
#ifndef MODEL_RESILIENCE_H
#define MODEL_RESILIENCE_H

#include <stdbool.h>
#include <stdint.h>

#define PPM 1000000u /* shares are parts per million */

/* linkerd1.md C1-C5 */
enum classifier {
	CLASSIFIER_NON_RETRYABLE_5XX,
	CLASSIFIER_RETRYABLE_READ_5XX,
	CLASSIFIER_RETRYABLE_IDEMPOTENT_5XX,
	CLASSIFIER_RETRYABLE_ALL_5XX,
	CLASSIFIER_ALL_SUCCESSFUL,
};

enum backoff_kind { BACKOFF_CONSTANT, BACKOFF_JITTERED, BACKOFF_EQUAL_JITTERED };

/* linkerd1.md A1-A4 */
enum breaker_kind {
	BREAKER_NONE,
	BREAKER_CONSECUTIVE_FAILURES,
	BREAKER_SUCCESS_RATE,
	BREAKER_SUCCESS_RATE_WINDOWED,
};

struct backoff_rule {
	uint64_t least_ns;
	uint64_t most_ns;
	uint32_t kind; /* enum backoff_kind */
	uint32_t pad;
};

/* linkerd1.md Y2 */
struct budget_rule {
	uint64_t ttl_ns;
	uint32_t min_per_second;
	uint32_t share_ppm; /* retries per original request */
};

struct retry_rule {
	struct budget_rule budget;
	struct backoff_rule backoff;
	uint32_t attempts_most; /* of one request, with the first */
	uint32_t buffer_bytes;  /* of a request, head and body, kept to be sent again */
};

struct breaker_rule {
	struct backoff_rule backoff;
	uint64_t window_ns;        /* success rate, windowed */
	uint32_t kind;             /* enum breaker_kind */
	uint32_t failures;         /* in a row */
	uint32_t success_ppm;      /* below it the endpoint is removed */
	uint32_t requests;         /* success rate: window and least number */
	uint32_t removed_most_ppm; /* of the service's endpoints, rounded down */
	uint32_t pad;
};

/* 0 = none. Until the answer's head: a body may stream for as long as it likes. */
struct timeout_rule {
	uint64_t total_ns; /* over all attempts */
	uint64_t per_try_ns;
};

/* Whose rate is counted apart. */
enum rate_by { RATE_BY_SERVICE, RATE_BY_CLIENT, RATE_BY_HEADER };

/* A second attempt beside one that takes longer. Both 0 = none; with both the longer one holds. */
struct hedge_rule {
	uint64_t after_ns;
	uint32_t share_ppm; /* of the answers that come sooner */
	uint32_t pad;
};

static inline bool hedge_is_wanted(const struct hedge_rule *rule)
{
	return rule->after_ns || rule->share_ppm;
}

/* 0 = no limit. */
struct limit_rule {
	uint64_t queue_wait_ns; /* of each request in the queue */
	uint32_t concurrency;   /* requests under way */
	uint32_t rate_by;       /* enum rate_by: of whom rate_per_second is */
	uint32_t rate_values;   /* clients or header values that are known at a time */
	uint32_t rate_per_second;
	uint32_t rate_burst;             /* requests at once; 0 = a second's worth */
	uint32_t client_rate_per_second; /* of each pod */
	uint32_t client_rate_burst;
	uint32_t queue;                /* requests that wait for a place of either cap; node-wide */
	uint32_t endpoint_concurrency; /* requests under way at each endpoint */
	uint32_t adapts; /* bool: a limit below `concurrency` that follows the latency */
};

struct fault_rule {
	uint64_t delay_ns;
	uint32_t delay_ppm;
	uint32_t abort_ppm;
	uint32_t abort_status;
	uint32_t by_header; /* bool: requests may ask for it (weft-fault) */
};

struct resilience {
	struct retry_rule retry;
	struct breaker_rule breaker;
	struct timeout_rule timeout;
	struct hedge_rule hedge;
	struct limit_rule limit;
	struct fault_rule fault;
	uint32_t classifier; /* enum classifier */
	uint32_t pad;
};
_Static_assert(sizeof(struct resilience) == (16 + 24 + 8) + (24 + 8 + 24) + 16 + 16 + 48 + 24 + 8,
	       "compared by memcmp: no padding");

#endif
