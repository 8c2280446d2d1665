/* kernel.h in plain memory. */
#include "kernel/kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/double/machine.h"

struct kernel {
	unsigned workers;
};

struct machine machine = {
	.pods = ROWS_OF(struct weft_pod_key, struct weft_pod),
	.destinations = ROWS_OF(struct weft_address, struct weft_destination),
	.skip_ports = ROWS_OF(struct weft_skip_port, uint8_t),
	.skip_cidrs = ROWS_OF(struct weft_skip_cidr, uint8_t),
	.flows = ROWS_OF(uint64_t, struct weft_flow),
	.reasons = ROWS_OF(struct weft_reason_key, struct weft_reason_count),
	.traffic = ROWS_OF(struct weft_traffic_key, struct weft_traffic),
	.marks = ROWS_OF(int, struct weft_socket),
	.uncaptured = ROWS_OF(struct uncaptured_key, uint8_t),
	.next_fd = 1 << 20,
	.next_port = 20001,
};
pthread_mutex_t machine_mutex = PTHREAD_MUTEX_INITIALIZER;

static void lock(void)
{
	pthread_mutex_lock(&machine_mutex);
}

static void unlock(void)
{
	pthread_mutex_unlock(&machine_mutex);
}

static void *zeroes(size_t count, size_t size)
{
	void *memory = calloc(count, size);
	if (!memory)
		abort();
	return memory;
}

static void store_make(unsigned workers)
{
	if (!machine.labels)
		machine.labels = zeroes(WEFT_SERIES_MAX, sizeof(*machine.labels));
	if (!machine.proxy_counts)
		machine.proxy_counts = zeroes(WEFT_WORKERS_MAX, sizeof(*machine.proxy_counts));
	if (!machine.heartbeats)
		machine.heartbeats = zeroes(WEFT_WORKERS_MAX, sizeof(*machine.heartbeats));
	if (machine.series_workers != workers) {
		free(machine.series);
		machine.series = zeroes((size_t)workers * WEFT_SERIES_MAX, sizeof(*machine.series));
		machine.series_workers = workers;
	}
}

int kernel_open(const struct kernel_options *options, struct text *why, struct kernel **ret_kernel)
{
	lock();
	int error = machine.open_error;
	if (!error && (options->workers < 1 || options->workers > WEFT_WORKERS_MAX))
		error = -EINVAL;
	if (error)
		text_printf(why, "%s", machine.open_why ? machine.open_why : strerror(-error));
	else
		store_make(options->workers);
	unlock();
	if (error)
		return error;
	struct kernel *kernel = zeroes(1, sizeof(*kernel));
	kernel->workers = options->workers;
	*ret_kernel = kernel;
	return 0;
}

void kernel_close(struct kernel *kernel)
{
	free(kernel);
}

static void machine_clear(void)
{
	rows_clear(&machine.pods);
	rows_clear(&machine.destinations);
	rows_clear(&machine.skip_ports);
	rows_clear(&machine.skip_cidrs);
	rows_clear(&machine.flows);
	rows_clear(&machine.reasons);
	rows_clear(&machine.traffic);
	rows_clear(&machine.marks);
	machine.next_leg_end = (struct weft_leg_end){0};
	memset(machine.legs, 0, sizeof(machine.legs));
	machine.watches_splices = false;
	rows_clear(&machine.uncaptured);
	free(machine.series);
	free(machine.labels);
	free(machine.proxy_counts);
	free(machine.heartbeats);
	machine.series = NULL;
	machine.labels = NULL;
	machine.proxy_counts = NULL;
	machine.heartbeats = NULL;
	machine.series_workers = 0;
}

int kernel_remove(const char *pin_dir, struct text *why)
{
	(void)pin_dir;
	(void)why;
	lock();
	machine_clear();
	unlock();
	return 0;
}

void kernel_double_reset(void)
{
	lock();
	machine_clear();
	machine.open_error = machine.put_error = machine.pod_error = 0;
	machine.open_why = machine.pod_why = NULL;
	machine.is_dry = machine.has_no_ipv6 = false;
	machine.sockets_taken = 0;
	machine.waiting = NULL;
	kernel_double_socket = NULL;
	kernel_double_listener = NULL;
	unlock();
}

struct weft_series *kernel_series(struct kernel *kernel)
{
	(void)kernel;
	return machine.series;
}

struct weft_series_label *kernel_series_labels(struct kernel *kernel)
{
	(void)kernel;
	return machine.labels;
}

struct weft_proxy_counts *kernel_proxy_counts(struct kernel *kernel)
{
	(void)kernel;
	return machine.proxy_counts;
}

uint64_t *kernel_heartbeats(struct kernel *kernel)
{
	(void)kernel;
	return machine.heartbeats;
}

static int row_put(struct rows *rows, const void *key, const void *value)
{
	lock();
	int error = machine.put_error;
	if (!error)
		rows_put(rows, key, value);
	unlock();
	return error;
}

static int row_remove(struct rows *rows, const void *key)
{
	lock();
	rows_remove(rows, key);
	unlock();
	return 0;
}

int kernel_pod_put(struct kernel *kernel, const struct weft_pod_key *key,
		   const struct weft_pod *pod)
{
	(void)kernel;
	if (pod->pod_id == 0 || pod->worker_count > WEFT_WORKERS_MAX)
		return -EINVAL;
	return row_put(&machine.pods, key, pod);
}

static void rows_remove_if(struct rows *rows, uint32_t pod_id, uint32_t (*pod_of)(const void *key))
{
	for (size_t i = rows->count; i-- > 0;) {
		_Alignas(8) char key[64];
		memcpy(key, rows_key(rows, i), rows->key_bytes);
		if (pod_of(key) == pod_id)
			rows_remove(rows, key);
	}
}

static uint32_t pod_of_port(const void *key)
{
	return ((const struct weft_skip_port *)key)->pod_id;
}

static uint32_t pod_of_cidr(const void *key)
{
	return ((const struct weft_skip_cidr *)key)->pod_id;
}

static uint32_t pod_of_reason(const void *key)
{
	return ((const struct weft_reason_key *)key)->pod_id;
}

static uint32_t pod_of_traffic(const void *key)
{
	return ((const struct weft_traffic_key *)key)->pod_id;
}

int kernel_pod_remove(struct kernel *kernel, const struct weft_pod_key *key, uint32_t pod_id)
{
	kernel_skip_clear(kernel, pod_id);
	lock();
	rows_remove(&machine.pods, key);
	rows_remove_if(&machine.reasons, pod_id, pod_of_reason);
	rows_remove_if(&machine.traffic, pod_id, pod_of_traffic);
	unlock();
	return 0;
}

int kernel_pod_each(struct kernel *kernel,
		    void (*each)(const struct weft_pod_key *key, const struct weft_pod *pod,
				 void *owner),
		    void *owner)
{
	(void)kernel;
	/* from the back: the callback may remove what it is shown */
	for (size_t i = machine.pods.count; i-- > 0;) {
		struct weft_pod_key key;
		struct weft_pod pod;
		lock();
		memcpy(&key, rows_key(&machine.pods, i), sizeof(key));
		memcpy(&pod, rows_value(&machine.pods, i), sizeof(pod));
		unlock();
		each(&key, &pod, owner);
	}
	return 0;
}

int kernel_skip_port(struct kernel *kernel, uint32_t pod_id, uint16_t port)
{
	(void)kernel;
	struct weft_skip_port key = {.pod_id = pod_id, .port = htons(port)};
	return row_put(&machine.skip_ports, &key, NULL);
}

static struct weft_skip_cidr cidr_key(uint32_t pod_id, const struct weft_address *network,
				      uint8_t prefix)
{
	uint32_t bits = prefix + (address_is_v4(network) ? 96u : 0u);
	struct weft_skip_cidr key = {.prefixlen = 32 + bits, .pod_id = pod_id};
	memcpy(key.ip, network->ip, sizeof(key.ip));
	return key;
}

int kernel_skip_cidr(struct kernel *kernel, uint32_t pod_id, const struct weft_address *network,
		     uint8_t prefix)
{
	(void)kernel;
	if (prefix > (address_is_v4(network) ? 32 : 128))
		return -EINVAL;
	struct weft_skip_cidr key = cidr_key(pod_id, network, prefix);
	return row_put(&machine.skip_cidrs, &key, NULL);
}

void kernel_skip_clear(struct kernel *kernel, uint32_t pod_id)
{
	(void)kernel;
	lock();
	rows_remove_if(&machine.skip_ports, pod_id, pod_of_port);
	rows_remove_if(&machine.skip_cidrs, pod_id, pod_of_cidr);
	unlock();
}

int kernel_destination_put(struct kernel *kernel, const struct weft_address *address,
			   const struct weft_destination *destination)
{
	(void)kernel;
	return row_put(&machine.destinations, address, destination);
}

int kernel_destination_remove(struct kernel *kernel, const struct weft_address *address)
{
	(void)kernel;
	return row_remove(&machine.destinations, address);
}

int kernel_destination_each(struct kernel *kernel,
			    void (*each)(const struct weft_address *address,
					 const struct weft_destination *destination, void *owner),
			    void *owner)
{
	(void)kernel;
	for (size_t i = machine.destinations.count; i-- > 0;) {
		struct weft_address address;
		struct weft_destination destination;
		lock();
		memcpy(&address, rows_key(&machine.destinations, i), sizeof(address));
		memcpy(&destination, rows_value(&machine.destinations, i), sizeof(destination));
		unlock();
		each(&address, &destination, owner);
	}
	return 0;
}

int kernel_flow_take(const struct kernel *kernel, int fd, struct weft_flow *ret_flow)
{
	(void)kernel;
	(void)fd;
	lock();
	int error = machine.flows.count ? 0 : -ENOENT;
	if (!error) {
		memcpy(ret_flow, rows_value(&machine.flows, 0), sizeof(*ret_flow));
		rows_remove(&machine.flows, rows_key(&machine.flows, 0));
	}
	unlock();
	return error;
}

int kernel_leg_take(const struct kernel *kernel, int fd, struct weft_leg_end *ret_end)
{
	(void)kernel;
	(void)fd;
	lock();
	bool is_end = machine.next_leg_end.leg != 0;
	if (is_end)
		*ret_end = machine.next_leg_end;
	machine.next_leg_end = (struct weft_leg_end){0};
	unlock();
	return is_end ? 0 : -ENOENT;
}

static struct weft_leg *leg_at(const struct weft_leg_end *end)
{
	struct weft_leg *leg = &machine.legs[end->slot % KERNEL_DOUBLE_LEGS];
	return end->leg && leg->id == end->leg ? leg : NULL;
}

const struct weft_leg *kernel_leg(const struct kernel *kernel, const struct weft_leg_end *end)
{
	(void)kernel;
	return leg_at(end);
}

void kernel_leg_to_tcp(const struct kernel *kernel, const struct weft_leg_end *end,
		       enum weft_reason reason)
{
	struct weft_leg *leg = leg_at(end);
	(void)kernel;
	if (leg)
		leg->wants_tcp = leg->wants_tcp ? leg->wants_tcp : reason;
}

int kernel_splice_watch(struct kernel *kernel, bool is_wanted, struct text *why)
{
	(void)kernel;
	(void)why;
	machine.watches_splices = is_wanted;
	return 0;
}

int kernel_socket_mark(const struct kernel *kernel, int fd, const struct weft_socket *mark)
{
	(void)kernel;
	lock();
	rows_put(&machine.marks, &fd, mark);
	unlock();
	return 0;
}

static const char *const reason_names[] = {
#define REASON_NAME(symbol, name, help) name,
	WEFT_KERNEL_REASONS(REASON_NAME)
#undef REASON_NAME
};

static const char *const reason_help[] = {
#define REASON_HELP(symbol, name, help) help,
	WEFT_KERNEL_REASONS(REASON_HELP)
#undef REASON_HELP
};

const char *weft_reason_name(enum weft_reason reason)
{
	return (unsigned)reason < WEFT_KERNEL_REASON_COUNT ? reason_names[reason] : "unknown";
}

const char *weft_reason_help(enum weft_reason reason)
{
	return (unsigned)reason < WEFT_KERNEL_REASON_COUNT ? reason_help[reason] : "unknown";
}

uint64_t kernel_reason_count(const struct kernel *kernel, uint32_t pod_id, enum weft_reason reason)
{
	(void)kernel;
	uint64_t sum = 0;
	lock();
	for (size_t i = 0; i < machine.reasons.count; i++) {
		struct weft_reason_key key;
		struct weft_reason_count row;
		memcpy(&key, rows_key(&machine.reasons, i), sizeof(key));
		memcpy(&row, rows_value(&machine.reasons, i), sizeof(row));
		if (key.reason == (uint32_t)reason && (!pod_id || key.pod_id == pod_id))
			sum += row.count;
	}
	unlock();
	return sum;
}

int kernel_traffic_each(const struct kernel *kernel,
			void (*each)(const struct weft_traffic_key *key,
				     const struct weft_traffic *traffic, void *owner),
			void *owner)
{
	(void)kernel;
	for (size_t i = 0; i < machine.traffic.count; i++) {
		struct weft_traffic_key key;
		struct weft_traffic traffic;
		lock();
		memcpy(&key, rows_key(&machine.traffic, i), sizeof(key));
		memcpy(&traffic, rows_value(&machine.traffic, i), sizeof(traffic));
		unlock();
		each(&key, &traffic, owner);
	}
	return 0;
}
