#include "policy/balance_client_ip.h"

#include "policy/balance_hash.h"
#include "policy/balance_key.h"

const struct endpoint *balance_client_ip(const struct balance_call *call)
{
	uint64_t key = balance_key_of_source(call->request->client_ip);
	const struct endpoint *endpoint = balance_ring(call, key, false);
	return endpoint ? endpoint : balance_scan(call, (uint32_t)(key % call->set->count));
}
