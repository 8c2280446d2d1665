#include "dns/pace.h"

#define NS_PER_S 1000000000ull

static uint64_t within(const struct dns_pace *pace, uint64_t ns)
{
	if (ns > pace->most_ns)
		ns = pace->most_ns;
	return ns > pace->least_ns ? ns : pace->least_ns;
}

/* From 0 up to and with `most_ns`, in steps of a thousandth. */
static uint64_t draw(uint64_t most_ns, struct rng *rng)
{
	return most_ns / 1000 * rng_below(rng, 1001);
}

static uint64_t retry_wait(const struct dns_pace *pace, uint32_t failures, struct rng *rng)
{
	uint64_t wait_ns = pace->least_ns;
	while (failures-- > 1 && wait_ns < DNS_RETRY_NS)
		wait_ns *= 2;
	if (wait_ns > DNS_RETRY_NS)
		wait_ns = pace->least_ns > DNS_RETRY_NS ? pace->least_ns : DNS_RETRY_NS;
	return wait_ns / 2 + draw(wait_ns / 2, rng);
}

uint64_t dns_pace_wait(const struct dns_pace *pace, enum dns_finding finding, uint32_t ttl_s,
		       uint32_t failures, struct rng *rng)
{
	uint64_t wait_ns = pace->refresh_ns;
	if (finding == DNS_UNKNOWN)
		return retry_wait(pace, failures, rng);
	if (!wait_ns && ttl_s == UINT32_MAX)
		wait_ns = within(pace, DNS_NEGATIVE_NS);
	else if (!wait_ns)
		wait_ns = within(pace, ttl_s * NS_PER_S);
	return wait_ns + draw(wait_ns / 10, rng);
}
