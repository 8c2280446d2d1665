/* What each request pays for retries, breakers and limits. */
#include <stdlib.h>

#include "micro.h"
#include "policy/breaker.h"
#include "policy/classify.h"
#include "policy/quantile.h"
#include "policy/rate_limit.h"
#include "policy/retry_budget.h"

#define S        1000000000ull
#define START_NS (1000 * S)

enum { DEPOSIT, WITHDRAW, SUCCESS, FAILURE, RATE, WINDOW, BUCKET, CLIENT, QUANTILE, CLASSIFY };

struct book {
	uint32_t what;
	struct retry_budget budget;
	struct breaker breaker;
	struct breaker_group group;
	struct quantile latency;
	struct token_bucket bucket;
	struct rate_limit *limit;
	struct rng rng;
	uint64_t now_ns;
};

static const struct budget_rule budget = {
	.ttl_ns = 10 * S, .min_per_second = 10, .share_ppm = 200000};

static struct breaker_rule breaker_rule(uint32_t what)
{
	enum breaker_kind kind = what == RATE     ? BREAKER_SUCCESS_RATE
				 : what == WINDOW ? BREAKER_SUCCESS_RATE_WINDOWED
						  : BREAKER_CONSECUTIVE_FAILURES;
	return (struct breaker_rule){
		.kind = kind,
		.failures = UINT32_MAX,
		.success_ppm = 900000,
		.requests = 20,
		.window_ns = 30 * S,
		.removed_most_ppm = PPM / 2,
		.backoff = {.least_ns = 5 * S, .most_ns = 300 * S},
	};
}

static void *book_open(const struct micro_case *of)
{
	struct book *book = micro_alloc(sizeof(*book));
	book->what = of->variant;
	book->now_ns = START_NS;
	rng_init(&book->rng, 42);
	book->limit = rate_limit_new(1024, 42, NULL);
	if (!book->limit)
		abort();
	return book;
}

static void tell(struct book *book, enum breaker_outcome outcome)
{
	struct breaker_rule rule = breaker_rule(book->what);
	enum breaker_change change = breaker_tell(&book->breaker, &book->group, &rule, 10, outcome,
						  book->now_ns, &book->rng);
	micro_use(&change);
}

static void classify_answer(void)
{
	const struct http_field fields[] = {
		{{"Server", 6}, {"nginx", 5}},
		{{"Date", 4}, {"Tue, 01 Dec 2026 00:00:00 GMT", 29}},
		{{"Content-Type", 12}, {"text/html", 9}},
		{{"Content-Length", 14}, {"612", 3}},
		{{"Last-Modified", 13}, {"Tue, 01 Dec 2026 00:00:00 GMT", 29}},
		{{"Connection", 10}, {"keep-alive", 10}},
		{{"ETag", 4}, {"\"5d5279b8-264\"", 14}},
		{{"Accept-Ranges", 13}, {"bytes", 5}},
	};
	struct attempt_end end = {.method = METHOD_READ, .status = 200};
	classify_read_signs(fields, 8, &end.signs);
	struct verdict verdict = classify(CLASSIFIER_RETRYABLE_READ_5XX, &end);
	micro_use(&verdict);
}

static void one(struct book *book)
{
	uint64_t wait_ns;
	switch (book->what) {
	case DEPOSIT:
		retry_budget_deposit(&book->budget, &budget, book->now_ns);
		return;
	case WITHDRAW:
		retry_budget_deposit(&book->budget, &budget, book->now_ns);
		wait_ns = retry_budget_withdraw(&book->budget, &budget, book->now_ns);
		micro_use(&wait_ns);
		return;
	case SUCCESS:
	case RATE:
	case WINDOW:
		tell(book, BREAKER_SUCCEEDED);
		return;
	case FAILURE:
		tell(book, BREAKER_FAILED);
		return;
	case BUCKET:
		wait_ns = token_bucket_take(&book->bucket, 1000, 100, book->now_ns);
		micro_use(&wait_ns);
		return;
	case CLIENT:
		wait_ns = rate_limit_take(book->limit, rng_next(&book->rng) | 1, 1024, 1000, 100,
					  book->now_ns);
		micro_use(&wait_ns);
		return;
	case QUANTILE:
		quantile_observe(&book->latency, 950000, rng_next(&book->rng) % 1000000);
		return;
	default:
		classify_answer();
	}
}

static void book_run(void *state, uint32_t calls)
{
	struct book *book = state;
	for (uint32_t i = 0; i < calls; i++) {
		book->now_ns += 100000; /* 10,000 requests a second */
		one(book);
	}
}

static void book_close(void *state)
{
	struct book *book = state;
	rate_limit_free(book->limit);
	free(book);
}

#define CASE(text, what)                                                                           \
	{                                                                                          \
		.name = text, .variant = (what), .open = book_open, .run = book_run,               \
		.close = book_close                                                                \
	}

static const struct micro_case cases[] = {
	CASE("retry-deposit", DEPOSIT),   CASE("retry-deposit-withdraw", WITHDRAW),
	CASE("breaker-success", SUCCESS), CASE("breaker-failure", FAILURE),
	CASE("breaker-rate", RATE),       CASE("breaker-rate-windowed", WINDOW),
	CASE("rate-service", BUCKET),     CASE("rate-client", CLIENT),
	CASE("hedge-observe", QUANTILE),  CASE("classify-answer", CLASSIFY),
};

const struct micro_subject micro_resilience = {"resilience", cases,
					       sizeof(cases) / sizeof(cases[0])};
