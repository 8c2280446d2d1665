/* double.h: what a test says and asks. */
#include "kernel/double.h"

#include <string.h>

#include "kernel/double/machine.h"

static void lock(void)
{
	pthread_mutex_lock(&machine_mutex);
}

static void unlock(void)
{
	pthread_mutex_unlock(&machine_mutex);
}

void kernel_double_fail_open(int error, const char *why)
{
	lock();
	machine.open_error = error;
	machine.open_why = why;
	unlock();
}

void kernel_double_fail_put(int error)
{
	lock();
	machine.put_error = error;
	unlock();
}

void kernel_double_fail_pod(int error, const char *why)
{
	lock();
	machine.pod_error = error;
	machine.pod_why = why;
	unlock();
}

void kernel_double_dry(bool is_dry)
{
	lock();
	machine.is_dry = is_dry;
	unlock();
	if (!is_dry)
		machine_refill();
}

void kernel_double_no_ipv6(bool is_absent)
{
	lock();
	machine.has_no_ipv6 = is_absent;
	unlock();
}

void kernel_double_flow_next(const struct weft_flow *flow)
{
	lock();
	rows_put(&machine.flows, &machine.next_flow, flow);
	machine.next_flow++;
	unlock();
}

static size_t count_of(const struct rows *rows)
{
	lock();
	size_t count = rows->count;
	unlock();
	return count;
}

size_t kernel_double_flow_count(void)
{
	return count_of(&machine.flows);
}

size_t kernel_double_pod_count(void)
{
	return count_of(&machine.pods);
}

size_t kernel_double_destination_count(void)
{
	return count_of(&machine.destinations);
}

void kernel_double_reason_add(uint32_t pod_id, enum weft_reason reason, uint64_t count)
{
	struct weft_reason_key key = {.pod_id = pod_id, .reason = reason};
	lock();
	struct weft_reason_count row;
	void *at = rows_put(&machine.reasons, &key, NULL);
	memcpy(&row, at, sizeof(row));
	row.count += count;
	memcpy(at, &row, sizeof(row));
	unlock();
}

void kernel_double_traffic_set(const struct weft_traffic_key *key,
			       const struct weft_traffic *traffic)
{
	lock();
	rows_put(&machine.traffic, key, traffic);
	unlock();
}

void kernel_double_uncaptured_add(uint32_t pod_id, const struct weft_address *local,
				  const struct weft_address *peer)
{
	struct uncaptured_key key = {.pod_id = pod_id, .local = *local, .peer = *peer};
	lock();
	rows_put(&machine.uncaptured, &key, NULL);
	unlock();
}

const struct weft_pod *kernel_double_pod(const struct weft_pod_key *key)
{
	static _Thread_local struct weft_pod copy;
	lock();
	const void *found = rows_find(&machine.pods, key);
	if (found)
		memcpy(&copy, found, sizeof(copy));
	unlock();
	return found ? &copy : NULL;
}

const struct weft_destination *kernel_double_destination(const struct weft_address *address)
{
	static _Thread_local struct weft_destination copy;
	lock();
	const void *found = rows_find(&machine.destinations, address);
	if (found)
		memcpy(&copy, found, sizeof(copy));
	unlock();
	return found ? &copy : NULL;
}

bool kernel_double_skips_port(uint32_t pod_id, uint16_t port)
{
	struct weft_skip_port key = {.pod_id = pod_id, .port = htons(port)};
	lock();
	bool found = rows_find(&machine.skip_ports, &key) != NULL;
	unlock();
	return found;
}

bool kernel_double_skips_cidr(uint32_t pod_id, const struct weft_address *network, uint8_t prefix)
{
	struct weft_skip_cidr key = {
		.prefixlen = 32u + prefix + (address_is_v4(network) ? 96u : 0u), .pod_id = pod_id};
	memcpy(key.ip, network->ip, sizeof(key.ip));
	lock();
	bool found = rows_find(&machine.skip_cidrs, &key) != NULL;
	unlock();
	return found;
}

bool kernel_double_mark_of(int fd, struct weft_socket *ret_mark)
{
	lock();
	const void *found = rows_find(&machine.marks, &fd);
	if (found)
		memcpy(ret_mark, found, sizeof(*ret_mark));
	unlock();
	return found != NULL;
}

void kernel_double_leg_next(const struct weft_leg_end *end)
{
	lock();
	machine.next_leg_end = *end;
	unlock();
}

struct weft_leg *kernel_double_leg(uint32_t slot)
{
	return &machine.legs[slot % KERNEL_DOUBLE_LEGS];
}

bool kernel_double_watches_splices(void)
{
	lock();
	bool watches = machine.watches_splices;
	unlock();
	return watches;
}

size_t kernel_double_sockets_taken(void)
{
	lock();
	size_t taken = machine.sockets_taken;
	unlock();
	return taken;
}
