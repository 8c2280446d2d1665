#include "policy/fault.h"

#include <errno.h>

#define NS_PER_MS 1000000ull

static bool hits(uint32_t ppm, struct rng *rng)
{
	return ppm && rng_below(rng, PPM) < ppm;
}

static struct span after(struct span text, const char *prefix)
{
	size_t size = strlen(prefix);
	return span_of(text.data + size, text.size - size);
}

/* "250ms" or "2s" */
static int parse_delay(struct span text, uint64_t *ret_ns)
{
	uint64_t unit_ns = 1000 * NS_PER_MS;
	uint64_t number;
	size_t unit = 1;
	if (text.size > 2 && span_is(span_of(text.data + text.size - 2, 2), "ms")) {
		unit_ns = NS_PER_MS;
		unit = 2;
	} else if (text.size < 2 || text.data[text.size - 1] != 's') {
		return -EINVAL;
	}
	if (span_to_u64(span_of(text.data, text.size - unit), &number) ||
	    number > FAULT_DELAY_NS / unit_ns)
		return -EINVAL;
	*ret_ns = number * unit_ns;
	return 0;
}

static int parse_status(struct span text, uint16_t *ret_status)
{
	uint64_t number;
	if (span_to_u64(text, &number) || number < 200 || number > 599)
		return -EINVAL;
	*ret_status = (uint16_t)number;
	return 0;
}

int fault_parse(struct span value, struct fault *ret_fault)
{
	struct fault fault = {0};
	struct span part;
	while (span_split(&value, ',', &part)) {
		int error = -EINVAL;
		part = span_trim(part);
		if (span_starts(part, span_text("delay=")))
			error = parse_delay(after(part, "delay="), &fault.delay_ns);
		else if (span_starts(part, span_text("abort=")))
			error = parse_status(after(part, "abort="), &fault.status);
		if (error)
			return error;
	}
	*ret_fault = fault;
	return 0;
}

struct fault fault_pick(const struct fault_rule *rule, const struct http_head *request,
			struct rng *rng)
{
	struct fault fault = {0};
	const struct http_field *asked = rule->by_header ? http_find(request, FAULT_HEADER) : NULL;
	if (asked && !fault_parse(asked->value, &fault))
		return fault;
	if (hits(rule->delay_ppm, rng))
		fault.delay_ns = rule->delay_ns;
	if (hits(rule->abort_ppm, rng))
		fault.status = (uint16_t)rule->abort_status;
	return fault;
}
