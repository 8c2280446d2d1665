/* One /stat.json as numbers, and the difference of two. Pure. */
#ifndef CLI_SAMPLE_H
#define CLI_SAMPLE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/text.h"
#include "weft/maps.h"

struct sample_row {
	char service[WEFT_NAME_MAX];
	uint64_t requests;
	uint64_t responses;
	uint64_t good_responses; /* answered, and not with 5xx */
	uint64_t latency_buckets[WEFT_LATENCY_BUCKETS];
	uint64_t sent_bytes;
	uint64_t received_bytes;
	uint64_t connections;
	uint64_t tunnels;
};

struct sample {
	double window_seconds;
	uint64_t bounds_us[WEFT_LATENCY_BUCKETS - 1];
	struct sample_row *rows;
	size_t row_count;
};

/* 0, -EPROTO (not the shape that this weft knows) or -ENOMEM. */
int sample_parse(const cJSON *json, struct sample *ret_sample) MUST_CHECK;
void sample_fini(struct sample *sample);
int sample_copy(const struct sample *sample, struct sample *ret_copy) MUST_CHECK;
/* Turns `now` into what happened since `before`. When weftd was restarted between them, `now`
 * stays as it is: it counts from the restart. */
void sample_subtract(struct sample *now, const struct sample *before);

/* In microseconds, linear inside a bucket; false when nothing was measured. */
bool sample_quantile(const struct sample *sample, const struct sample_row *row, double quantile,
		     uint64_t *ret_us);
/* The table of `weft stat`; only the services named, all when count is 0. */
void sample_print(const struct sample *sample, char *const *services, size_t count,
		  struct text *text);
void sample_print_json(const struct sample *sample, char *const *services, size_t count,
		       struct text *text);

#endif
