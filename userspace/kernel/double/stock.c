/* stock.h in plain memory: every take makes a new pretended socket. */
#include "kernel/stock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/double/machine.h"

int (*kernel_double_socket)(sa_family_t family);
int (*kernel_double_listener)(sa_family_t family, __be16 port);

struct stock {
	struct stock_options options;
};

struct stock_share {
	struct stock_pod *pod;
	unsigned worker;
	bool is_waiting;
	struct stock_share *next_waiting;
	void (*refilled)(void *owner);
	void *owner;
};

struct stock_pod {
	uint32_t pod_id;
	bool has_ipv6;
	struct stock_share shares[WEFT_WORKERS_MAX];
};

int stock_open(const struct stock_options *options, struct stock **ret_stock)
{
	if (options->workers < 1 || options->workers > WEFT_WORKERS_MAX || options->depth < 1)
		return -EINVAL;
	struct stock *stock = calloc(1, sizeof(*stock));
	if (!stock)
		return -ENOMEM;
	stock->options = *options;
	*ret_stock = stock;
	return 0;
}

void stock_close(struct stock *stock)
{
	free(stock);
}

/* Same path, same id; two paths, two ids. */
static uint64_t id_of(const char *path)
{
	uint64_t hash = 14695981039346656037ull; /* FNV-1a */
	for (; path && *path; path++)
		hash = (hash ^ (unsigned char)*path) * 1099511628211ull;
	return path ? hash : 1;
}

static int listener_make(sa_family_t family, __be16 *ret_port)
{
	*ret_port = htons(machine.next_port++);
	return kernel_double_listener ? kernel_double_listener(family, *ret_port)
				      : machine.next_fd++;
}

static void listeners_make(const struct stock *stock, struct stock_pod *pod,
			   struct stock_listeners *listeners)
{
	memset(listeners->fd4, -1, sizeof(listeners->fd4));
	memset(listeners->fd6, -1, sizeof(listeners->fd6));
	for (unsigned i = 0; i < stock->options.workers * WEFT_LANES; i++) {
		unsigned worker = i / WEFT_LANES, lane = i % WEFT_LANES;
		struct weft_listener *ports = &listeners->ports[worker];
		listeners->fd4[worker][lane] = listener_make(AF_INET, &ports->port4[lane]);
		if (pod->has_ipv6)
			listeners->fd6[worker][lane] = listener_make(AF_INET6, &ports->port6[lane]);
	}
}

static uint32_t uncaptured_count(uint32_t pod_id)
{
	uint32_t count = 0;
	for (size_t i = 0; i < machine.uncaptured.count; i++) {
		struct uncaptured_key key;
		memcpy(&key, rows_key(&machine.uncaptured, i), sizeof(key));
		count += key.pod_id == pod_id;
	}
	return count;
}

int stock_pod_open(struct stock *stock, uint32_t pod_id, const struct stock_place *place,
		   struct text *why, struct stock_pod **ret_pod,
		   struct stock_listeners *ret_listeners)
{
	struct stock_pod *pod = calloc(1, sizeof(*pod));
	if (!pod)
		return -ENOMEM;
	pthread_mutex_lock(&machine_mutex);
	int error = machine.pod_error;
	if (error) {
		text_printf(why, "%s", machine.pod_why ? machine.pod_why : strerror(-error));
		free(pod);
		goto unlock;
	}
	pod->pod_id = pod_id;
	pod->has_ipv6 = !machine.has_no_ipv6;
	for (unsigned i = 0; i < WEFT_WORKERS_MAX; i++)
		pod->shares[i] = (struct stock_share){.pod = pod, .worker = i};
	memset(ret_listeners, 0, sizeof(*ret_listeners));
	listeners_make(stock, pod, ret_listeners);
	ret_listeners->netns_cookie = place->netns_path ? id_of(place->netns_path) : 1;
	ret_listeners->cgroup_id = place->cgroup_path ? id_of(place->cgroup_path) : 0;
	ret_listeners->local4 = (struct weft_address){
		.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, (uint8_t)pod_id}};
	if (pod->has_ipv6)
		ret_listeners->local6 = (struct weft_address){
			.ip = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (uint8_t)pod_id}};
	ret_listeners->uncaptured_count = uncaptured_count(pod_id);
	*ret_pod = pod;
unlock:
	pthread_mutex_unlock(&machine_mutex);
	return error;
}

/* Takes a share out of the waiting list; true if it was there. */
static bool waiting_remove(const struct stock_share *share)
{
	for (struct stock_share **at = &machine.waiting; *at; at = &(*at)->next_waiting) {
		if (*at != share)
			continue;
		*at = share->next_waiting;
		return true;
	}
	return false;
}

void stock_pod_close(struct stock *stock, struct stock_pod *pod)
{
	(void)stock;
	if (!pod)
		return;
	pthread_mutex_lock(&machine_mutex);
	for (unsigned i = 0; i < WEFT_WORKERS_MAX; i++)
		(void)waiting_remove(&pod->shares[i]);
	pthread_mutex_unlock(&machine_mutex);
	free(pod);
}

struct stock_share *stock_pod_share(struct stock_pod *pod, unsigned worker)
{
	return &pod->shares[worker];
}

int stock_take(struct stock_share *share, sa_family_t family)
{
	if (family == AF_INET6 && !share->pod->has_ipv6)
		return -EAFNOSUPPORT;
	pthread_mutex_lock(&machine_mutex);
	int fd = -EAGAIN;
	if (machine.is_dry) {
		if (!share->is_waiting) {
			share->is_waiting = true;
			share->next_waiting = machine.waiting;
			machine.waiting = share;
		}
	} else {
		fd = kernel_double_socket ? kernel_double_socket(family) : machine.next_fd++;
		struct weft_socket mark = {.role = WEFT_SOCKET_UPSTREAM,
					   .pod_id = share->pod->pod_id,
					   .worker = share->worker};
		if (fd >= 0) {
			rows_put(&machine.marks, &fd, &mark);
			machine.sockets_taken++;
		}
	}
	pthread_mutex_unlock(&machine_mutex);
	return fd;
}

void stock_share_on_refill(struct stock_share *share, void (*refilled)(void *owner), void *owner)
{
	share->refilled = refilled;
	share->owner = owner;
}

void machine_refill(void)
{
	for (;;) {
		pthread_mutex_lock(&machine_mutex);
		struct stock_share *share = machine.waiting;
		if (share) {
			machine.waiting = share->next_waiting;
			share->is_waiting = false;
		}
		pthread_mutex_unlock(&machine_mutex);
		if (!share)
			return;
		if (share->refilled)
			share->refilled(share->owner);
	}
}

int stock_pod_uncaptured(struct stock *stock, struct stock_pod *pod,
			 void (*each)(const struct weft_address *local,
				      const struct weft_address *peer, void *owner),
			 void *owner)
{
	(void)stock;
	for (size_t i = 0; i < machine.uncaptured.count; i++) {
		struct uncaptured_key key;
		memcpy(&key, rows_key(&machine.uncaptured, i), sizeof(key));
		if (key.pod_id == pod->pod_id)
			each(&key.local, &key.peer, owner);
	}
	return 0;
}
