#include "base/pace.h"

#include <stdbool.h>

uint64_t pace_rest(struct pace *pace, uint64_t now_ns, uint64_t least_ns, uint64_t most_ns)
{
	bool was_quiet = pace->rest_ns == 0 || now_ns > pace->until_ns + most_ns / 2;
	uint64_t rest_ns = was_quiet ? least_ns : 2 * pace->rest_ns;
	pace->rest_ns = rest_ns < most_ns ? rest_ns : most_ns;
	pace->until_ns = now_ns + pace->rest_ns;
	return pace->until_ns;
}
