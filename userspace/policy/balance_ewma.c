#include "policy/balance_ewma.h"

#include <math.h>

#include "policy/balance_two.h"

void balance_ewma_observe(struct endpoint_load *load, double rtt_ns, uint64_t now_ns)
{
	uint64_t age_ns = now_ns > load->stamp_ns ? now_ns - load->stamp_ns : 0;
	if (rtt_ns > load->cost_ns) {
		load->cost_ns = rtt_ns;
	} else if (age_ns > 0) { /* else the weight of what was is 1 */
		double weight = exp(-(double)age_ns / EWMA_DECAY_NS);
		load->cost_ns = load->cost_ns * weight + rtt_ns * (1 - weight);
	}
	load->stamp_ns = now_ns;
}

void balance_ewma_ended(struct endpoint_load *load, uint64_t rtt_ns, uint64_t now_ns,
			enum balance_outcome outcome)
{
	double rtt = (double)rtt_ns;
	if (outcome == BALANCE_FAILED && rtt < EWMA_FAILURE_NS)
		rtt = EWMA_FAILURE_NS;
	bool is_untimed = outcome == BALANCE_UNTIMED;
	if (is_untimed || (outcome != BALANCE_ANSWERED && rtt <= load->cost_ns))
		return;
	balance_ewma_observe(load, rtt, now_ns);
}

double balance_ewma_load(struct endpoint_load *load, double pending, uint64_t now_ns)
{
	balance_ewma_observe(load, 0, now_ns);
	if (load->cost_ns == 0 && pending > 0)
		return EWMA_PENALTY + pending;
	return load->cost_ns * (pending + 1);
}

static double measure(const struct balance_call *call, const struct endpoint *endpoint)
{
	struct endpoint_load *load = balances_load(call->balances, endpoint);
	if (!load)
		return 0;
	return balance_ewma_load(load, balance_pending(call, endpoint), call->request->now_ns);
}

const struct endpoint *balance_ewma(const struct balance_call *call)
{
	return balance_two(call, balance_all(call), measure);
}
