/* Power of two choices, for any measure of load. Internal to policy. */
#ifndef POLICY_BALANCE_TWO_H
#define POLICY_BALANCE_TWO_H

#include "policy/balance_call.h"

typedef double balance_measure(const struct balance_call *call, const struct endpoint *endpoint);

/*
 * linkerd1.md L1: draws two different endpoints, takes the one of better status, of equal ones the
 * less loaded, of equally loaded ones the first; up to five times until it is an open one.
 *
 * With unequal weights the two are drawn by weight and may be the same one: only then does each get
 * what its weight says while all are as fast (the chance is w² + 2·w·(1−w)/2 = w). The first gives
 * way only to one that is CLEARLY (2 times) less loaded, for a light endpoint's average decays more
 * between two requests and would draw more than its weight; one that was drawn twice to one that
 * is OUTLIER times less loaded.
 */
const struct endpoint *balance_two(const struct balance_call *call, struct balance_window window,
				   balance_measure *measure);

#endif
