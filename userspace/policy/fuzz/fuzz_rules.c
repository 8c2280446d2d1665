/* What requests say of time and faults: what is taken is sound, and what is printed is read again
 * as the same. */
#include "base/fuzz/target.h"

#include <assert.h>

#include "policy/deadline.h"
#include "policy/fault.h"

#define WALL_NS 1700000000000000000ull

static void deadline_check(struct span value)
{
	char text[DEADLINE_TEXT_MAX];
	struct deadline deadline, again;
	if (deadline_parse(value, &deadline))
		return;
	assert(deadline.at_ns > 0 && deadline.at_ns <= INT64_MAX);
	assert(deadline_parse(deadline_print(&deadline, text), &again) == 0);
	assert(again.at_ns == deadline.at_ns && again.stamp_ns == deadline.stamp_ns);
	deadline_tighten(&deadline, WALL_NS, 1000000000);
	assert(deadline.at_ns <= WALL_NS + 1000000000);
	assert(deadline_left_ns(&deadline, WALL_NS) <= 1000000000 + DEADLINE_SKEW_NS);
}

static void grpc_check(struct span value)
{
	char text[GRPC_TIMEOUT_TEXT_MAX];
	uint64_t ns, again;
	if (deadline_parse_grpc(value, &ns))
		return;
	assert(deadline_parse_grpc(deadline_print_grpc(ns, text), &again) == 0);
	assert(again <= ns);
}

static void fault_check(struct span value)
{
	struct fault fault;
	if (fault_parse(value, &fault))
		return;
	assert(fault.delay_ns <= FAULT_DELAY_NS);
	assert(fault.status == 0 || (fault.status >= 200 && fault.status <= 599));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = span_of((const char *)data, size);
	deadline_check(bytes);
	grpc_check(bytes);
	fault_check(bytes);
	return 0;
}
