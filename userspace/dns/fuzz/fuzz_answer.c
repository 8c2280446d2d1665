/*
 * Input: byte 0 chooses the type, the rest is a message. Whatever it says, counts keep to their
 * limits, and every name ends with a NUL within its place.
 */
#include "base/fuzz/target.h"

#include <assert.h>

#include "dns/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_SRV};
	static struct dns_answer answer;
	if (size == 0)
		return 0;
	if (dns_answer_read(span_of((const char *)data + 1, size - 1), "web.ex", types[data[0] % 3],
			    &answer))
		return 0;
	assert(answer.address_count <= DNS_ADDRESSES_MAX && answer.server_count <= DNS_SERVERS_MAX);
	for (uint32_t i = 0; i < answer.server_count; i++)
		assert(strnlen(answer.servers[i].target, DNS_NAME_MAX) < DNS_NAME_MAX);
	for (uint32_t i = 0; i < answer.address_count; i++)
		assert(types[data[0] % 3] != DNS_SRV ||
		       answer.addresses[i].server < answer.server_count);
	return 0;
}
