#include "policy/balance_p2c.h"

#include "policy/balance_two.h"

/* From one on, so that one in flight is not infinitely more than none. */
static double measure(const struct balance_call *call, const struct endpoint *endpoint)
{
	return balance_pending(call, endpoint) + 1;
}

const struct endpoint *balance_p2c(const struct balance_call *call, struct balance_window window)
{
	return balance_two(call, window, measure);
}
