/*
 * The helper thread. Workers talk to it without locks: they take descriptors from a ring and, when
 * it runs low, set a flag and write to an eventfd. The control thread hands it commands and waits
 * for them, under a mutex that workers never see.
 */
#include "kernel/socket_options.h"
#include "kernel/stock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "kernel/cgroups.h"
#include "kernel/diag.h"
#include "kernel/fd_ring.h"
#include "kernel/netns.h"

#define DEPTH_MAX       256
#define REFILL_RETRY_MS 100 /* after descriptors or memory were short */

struct command {
	struct list link;
	void (*run)(struct stock *stock, struct command *command);
	int result;
	bool is_done;
};

struct stock {
	struct stock_options options;
	pthread_t thread;
	int wake_fd; /* eventfd: commands or nudges are there */
	int home_fd; /* the helper's own namespace */

	pthread_mutex_t mutex; /* commands and is_done */
	pthread_cond_t done;
	struct list commands;
	bool is_stopping;

	struct list pods; /* helper thread only */
};

struct stock_share {
	struct stock_pod *pod;
	unsigned worker;
	struct fd_ring v4;
	struct fd_ring v6;
	atomic_bool is_low;       /* the worker asked for more */
	atomic_bool is_waiting;   /* the worker found nothing and wants the callback */
	pthread_mutex_t callback; /* held while it runs; stock_take never touches it */
	void (*refilled)(void *owner);
	void *owner;
};

struct stock_pod {
	struct list link;
	struct stock *stock;
	uint32_t pod_id;
	int netns_fd; /* -1: weftd's own */
	bool has_ipv6;
	uint64_t cgroup_id;
	uint64_t *old_cookies; /* sorted: connections older than the enrolment */
	size_t old_count;
	size_t old_capacity;
	int *fds; /* of all rings */
	struct stock_share shares[];
};

static void wake(struct stock *stock)
{
	uint64_t one = 1;
	ssize_t ignored = write(stock->wake_fd, &one, sizeof(one));
	(void)ignored; /* fails only when it is signalled already */
}

/* ---- worker ---- */

static void nudge(struct stock_share *share)
{
	if (!atomic_exchange(&share->is_low, true))
		wake(share->pod->stock);
}

int stock_take(struct stock_share *share, sa_family_t family)
{
	if (family == AF_INET6 && !share->pod->has_ipv6)
		return -EAFNOSUPPORT;
	struct fd_ring *ring = family == AF_INET6 ? &share->v6 : &share->v4;
	int fd = fd_ring_take(ring);
	if (fd < 0) {
		/* first say that we wait, then look again: a refill in between is not missed */
		atomic_store(&share->is_waiting, true);
		fd = fd_ring_take(ring);
		if (fd < 0) {
			nudge(share);
			return -EAGAIN;
		}
		atomic_store(&share->is_waiting, false);
	}
	if (fd_ring_count(ring) * 2 < share->pod->stock->options.depth)
		nudge(share);
	return fd;
}

void stock_share_on_refill(struct stock_share *share, void (*refilled)(void *owner), void *owner)
{
	pthread_mutex_lock(&share->callback);
	share->refilled = refilled;
	share->owner = owner;
	pthread_mutex_unlock(&share->callback);
}

struct stock_share *stock_pod_share(struct stock_pod *pod, unsigned worker)
{
	return &pod->shares[worker];
}

/* ---- helper thread: sockets ---- */

/* In the pod's namespace. A descriptor, or -errno. */
static int socket_make(const struct stock_share *share, sa_family_t family)
{
	const struct stock_pod *pod = share->pod;
	struct weft_socket mark = {
		.role = WEFT_SOCKET_UPSTREAM, .pod_id = pod->pod_id, .worker = share->worker};
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return -errno;
	int error = kernel_socket_mark(pod->stock->options.kernel, fd, &mark);
	if (!error)
		error = socket_options_set(fd);
	if (!error)
		return fd;
	close(fd);
	return error;
}

/* The last quarter of the process's descriptors is for connections: there the stock is one. */
static bool is_scarce(int fd)
{
	struct rlimit limit;
	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
	       (rlim_t)fd >= limit.rlim_cur - limit.rlim_cur / 4;
}

static int ring_fill(struct stock_share *share, struct fd_ring *ring, sa_family_t family)
{
	while (fd_ring_count(ring) < share->pod->stock->options.depth) {
		int fd = socket_make(share, family);
		if (fd < 0)
			return fd;
		if (fd_ring_count(ring) > 0 && is_scarce(fd)) {
			close(fd);
			return 0;
		}
		if (!fd_ring_add(ring, fd)) {
			close(fd);
			return -ENOBUFS;
		}
	}
	return 0;
}

static void ring_drop(struct fd_ring *ring)
{
	for (int fd; (fd = fd_ring_take(ring)) >= 0;)
		close(fd);
}

static void share_call_back(struct stock_share *share)
{
	pthread_mutex_lock(&share->callback);
	if (share->refilled)
		share->refilled(share->owner);
	pthread_mutex_unlock(&share->callback);
}

static int share_fill(struct stock_share *share)
{
	int error = ring_fill(share, &share->v4, AF_INET);
	if (!error && share->pod->has_ipv6)
		error = ring_fill(share, &share->v6, AF_INET6);
	if (error) {
		log_warn("stock_short", "pod=%u worker=%u cause=\"%s\"", share->pod->pod_id,
			 share->worker, strerror(-error));
		atomic_store(&share->is_low, true); /* try again soon */
	}
	if (fd_ring_count(&share->v4) > 0 && atomic_exchange(&share->is_waiting, false))
		share_call_back(share);
	return error;
}

/* Enters, calls, comes back. The calling thread ends where it was, whatever happens. */
static int in_netns(struct stock_pod *pod, int (*work)(struct stock_pod *pod, void *data),
		    void *data)
{
	int error = netns_enter(pod->netns_fd);
	if (error)
		return error;
	error = work(pod, data);
	if (pod->netns_fd >= 0 && netns_enter(pod->stock->home_fd))
		abort(); /* every later socket would be made in the wrong namespace */
	return error;
}

static int shares_fill(struct stock_pod *pod, void *data)
{
	(void)data;
	int error = 0;
	for (unsigned i = 0; i < pod->stock->options.workers; i++) {
		struct stock_share *share = &pod->shares[i];
		if (atomic_exchange(&share->is_low, false) && share_fill(share))
			error = -EAGAIN;
	}
	return error;
}

static bool pod_is_low(struct stock_pod *pod)
{
	for (unsigned i = 0; i < pod->stock->options.workers; i++)
		if (atomic_load(&pod->shares[i].is_low))
			return true;
	return false;
}

/* True when some pod could not be filled. */
static bool pods_fill(struct stock *stock)
{
	bool is_short = false;
	list_each (&stock->pods, item) {
		struct stock_pod *pod = list_entry(item, struct stock_pod, link);
		if (pod_is_low(pod) && in_netns(pod, shares_fill, NULL))
			is_short = true;
	}
	return is_short;
}

/* ---- helper thread: connections older than the enrolment ---- */

static int id_compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return left < right ? -1 : left > right;
}

static bool id_is_in(uint64_t id, const uint64_t *sorted, size_t count)
{
	return count && bsearch(&id, sorted, count, sizeof(id), id_compare);
}

struct old_search {
	struct stock_pod *pod;
	uint64_t *cgroups; /* sorted: the pod's and all below; none = by namespace alone */
	size_t cgroup_count;
};

static void old_remember(const struct diag_connection *connection, void *owner)
{
	const struct old_search *search = owner;
	struct stock_pod *pod = search->pod;
	if (pod->cgroup_id &&
	    !id_is_in(connection->cgroup_id, search->cgroups, search->cgroup_count))
		return;
	if (pod->old_count == pod->old_capacity) {
		size_t capacity = pod->old_capacity ? pod->old_capacity * 2 : 64;
		uint64_t *more =
			mem_realloc(pod->old_cookies, capacity * sizeof(*pod->old_cookies));
		if (!more)
			return; /* a list to look at: shorter is better than none */
		pod->old_cookies = more;
		pod->old_capacity = capacity;
	}
	pod->old_cookies[pod->old_count++] = connection->cookie;
}

static void old_find(struct stock_pod *pod, const char *cgroup_path)
{
	struct old_search search = {.pod = pod};
	int error = 0;
	if (cgroup_path)
		error = cgroup_ids_below(cgroup_path, &search.cgroups, &search.cgroup_count);
	if (search.cgroup_count)
		qsort(search.cgroups, search.cgroup_count, sizeof(*search.cgroups), id_compare);
	if (!error)
		error = diag_connections(old_remember, &search);
	mem_free(search.cgroups);
	if (error)
		log_info("older_connections_unknown", "pod=%u cause=\"%s\"", pod->pod_id,
			 strerror(-error));
	if (pod->old_count)
		qsort(pod->old_cookies, pod->old_count, sizeof(*pod->old_cookies), id_compare);
}

/* ---- commands ---- */

static int command_give(struct stock *stock, struct command *command,
			void (*run)(struct stock *stock, struct command *command))
{
	command->run = run;
	command->is_done = false;
	pthread_mutex_lock(&stock->mutex);
	list_add_last(&stock->commands, &command->link);
	wake(stock);
	while (!command->is_done)
		pthread_cond_wait(&stock->done, &stock->mutex);
	pthread_mutex_unlock(&stock->mutex);
	return command->result;
}

struct pod_open {
	struct command command;
	struct stock_pod *pod;
	const struct stock_place *place;
	struct stock_listeners *listeners;
	struct text *why;
};

static int pod_set_up(struct stock_pod *pod, void *data)
{
	struct pod_open *open = data;
	const struct stock_options *options = &pod->stock->options;
	int error = netns_describe(open->listeners, open->why);
	for (unsigned i = 0; !error && i < array_count(open->place->holds); i++)
		error = netns_holds(&open->place->holds[i], open->why);
	if (!error)
		error = listeners_open(options->kernel, pod->pod_id, options->workers,
				       open->listeners, open->why);
	if (error)
		return error;
	pod->has_ipv6 = open->listeners->fd6[0][0] >= 0;
	old_find(pod, open->place->cgroup_path);
	open->listeners->uncaptured_count = (uint32_t)pod->old_count;
	(void)shares_fill(pod, NULL); /* what is short is tried again */
	return 0;
}

static void pod_open_run(struct stock *stock, struct command *command)
{
	struct pod_open *open = container_of(command, struct pod_open, command);
	command->result = in_netns(open->pod, pod_set_up, open);
	if (!command->result)
		list_add_last(&stock->pods, &open->pod->link);
	else if (open->why->size == 0)
		text_printf(open->why, "entering the network namespace: %s",
			    strerror(-command->result));
}

static void pod_free(struct stock_pod *pod)
{
	for (unsigned i = 0; i < pod->stock->options.workers; i++) {
		ring_drop(&pod->shares[i].v4);
		ring_drop(&pod->shares[i].v6);
		pthread_mutex_destroy(&pod->shares[i].callback);
	}
	if (pod->netns_fd >= 0)
		close(pod->netns_fd);
	mem_free(pod->old_cookies);
	mem_free(pod->fds);
	mem_free(pod);
}

static unsigned power_of_two(unsigned least)
{
	unsigned power = 1;
	while (power < least)
		power *= 2;
	return power;
}

static struct stock_pod *pod_new(struct stock *stock, uint32_t pod_id)
{
	unsigned workers = stock->options.workers;
	unsigned capacity = power_of_two(stock->options.depth);
	struct stock_pod *pod = mem_zalloc(sizeof(*pod) + workers * sizeof(pod->shares[0]));
	int *fds = mem_alloc((size_t)workers * 2 * capacity * sizeof(*fds));
	if (!pod || !fds) {
		mem_free(pod);
		mem_free(fds);
		return NULL;
	}
	pod->fds = fds;
	pod->stock = stock;
	pod->pod_id = pod_id;
	pod->netns_fd = -1;
	for (unsigned i = 0; i < workers; i++) {
		struct stock_share *share = &pod->shares[i];
		share->pod = pod;
		share->worker = i;
		fd_ring_init(&share->v4, fds + (size_t)i * 2 * capacity, capacity);
		fd_ring_init(&share->v6, fds + (size_t)(i * 2 + 1) * capacity, capacity);
		atomic_init(&share->is_low, true);
		atomic_init(&share->is_waiting, false);
		pthread_mutex_init(&share->callback, NULL);
	}
	return pod;
}

int stock_pod_open(struct stock *stock, uint32_t pod_id, const struct stock_place *place,
		   struct text *why, struct stock_pod **ret_pod,
		   struct stock_listeners *ret_listeners)
{
	struct stock_pod *pod = pod_new(stock, pod_id);
	if (!pod)
		return -ENOMEM;
	struct stock_listeners listeners = {0};
	int error = 0;
	if (place->cgroup_path)
		error = cgroup_id_of(place->cgroup_path, &pod->cgroup_id, why);
	if (!error && place->netns_path) {
		pod->netns_fd = netns_open(place->netns_path, why);
		error = pod->netns_fd < 0 ? pod->netns_fd : 0;
	}
	struct pod_open open = {.pod = pod, .place = place, .listeners = &listeners, .why = why};
	if (!error)
		error = command_give(stock, &open.command, pod_open_run);
	if (error) {
		pod_free(pod);
		return error;
	}
	listeners.cgroup_id = pod->cgroup_id;
	*ret_listeners = listeners;
	*ret_pod = pod;
	return 0;
}

struct pod_close {
	struct command command;
	struct stock_pod *pod;
};

static void pod_close_run(struct stock *stock, struct command *command)
{
	(void)stock;
	struct pod_close *closing = container_of(command, struct pod_close, command);
	list_remove(&closing->pod->link);
	pod_free(closing->pod);
	command->result = 0;
}

void stock_pod_close(struct stock *stock, struct stock_pod *pod)
{
	struct pod_close closing = {.pod = pod};
	if (pod)
		command_give(stock, &closing.command, pod_close_run);
}

struct pod_list {
	struct command command;
	struct stock_pod *pod;
	void (*each)(const struct weft_address *local, const struct weft_address *peer,
		     void *owner);
	void *owner;
};

static void old_show(const struct diag_connection *connection, void *owner)
{
	const struct pod_list *listing = owner;
	const struct stock_pod *pod = listing->pod;
	if (id_is_in(connection->cookie, pod->old_cookies, pod->old_count))
		listing->each(&connection->local, &connection->peer, listing->owner);
}

static int old_list(struct stock_pod *pod, void *data)
{
	(void)pod;
	return diag_connections(old_show, data);
}

static void pod_list_run(struct stock *stock, struct command *command)
{
	(void)stock;
	struct pod_list *listing = container_of(command, struct pod_list, command);
	command->result = in_netns(listing->pod, old_list, listing);
}

int stock_pod_uncaptured(struct stock *stock, struct stock_pod *pod,
			 void (*each)(const struct weft_address *local,
				      const struct weft_address *peer, void *owner),
			 void *owner)
{
	struct pod_list listing = {.pod = pod, .each = each, .owner = owner};
	return command_give(stock, &listing.command, pod_list_run);
}

/* ---- the thread ---- */

/* False when the thread shall end. */
static bool commands_run(struct stock *stock)
{
	pthread_mutex_lock(&stock->mutex);
	while (!list_is_empty(&stock->commands)) {
		struct command *command = list_entry(stock->commands.next, struct command, link);
		list_remove(&command->link);
		pthread_mutex_unlock(&stock->mutex);
		command->run(stock, command);
		pthread_mutex_lock(&stock->mutex);
		command->is_done = true;
		pthread_cond_broadcast(&stock->done);
	}
	bool goes_on = !stock->is_stopping;
	pthread_mutex_unlock(&stock->mutex);
	return goes_on;
}

static void *helper_main(void *data)
{
	struct stock *stock = data;
	bool is_short = false;
	do {
		struct pollfd wait = {.fd = stock->wake_fd, .events = POLLIN};
		uint64_t nudges;
		if (poll(&wait, 1, is_short ? REFILL_RETRY_MS : -1) > 0 &&
		    read(stock->wake_fd, &nudges, sizeof(nudges)) < 0)
			log_debug("stock_wake", "cause=\"%s\"", strerror(errno));
		is_short = pods_fill(stock);
	} while (commands_run(stock));
	return NULL;
}

static int helper_start(struct stock *stock)
{
	sigset_t all, before; /* signals are for the main thread */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&stock->thread, NULL, helper_main, stock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

int stock_open(const struct stock_options *options, struct stock **ret_stock)
{
	if (options->workers < 1 || options->workers > WEFT_WORKERS_MAX || options->depth < 1 ||
	    options->depth > DEPTH_MAX)
		return -EINVAL;
	struct stock *stock = mem_zalloc(sizeof(*stock));
	if (!stock)
		return -ENOMEM;
	stock->options = *options;
	list_init(&stock->commands);
	list_init(&stock->pods);
	pthread_mutex_init(&stock->mutex, NULL);
	pthread_cond_init(&stock->done, NULL);
	stock->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	stock->home_fd = netns_current();
	int error = stock->wake_fd < 0   ? -EMFILE
		    : stock->home_fd < 0 ? stock->home_fd
					 : helper_start(stock);
	if (!error) {
		*ret_stock = stock;
		return 0;
	}
	if (stock->wake_fd >= 0)
		close(stock->wake_fd);
	if (stock->home_fd >= 0)
		close(stock->home_fd);
	mem_free(stock);
	return error;
}

void stock_close(struct stock *stock)
{
	if (!stock)
		return;
	pthread_mutex_lock(&stock->mutex);
	stock->is_stopping = true;
	pthread_mutex_unlock(&stock->mutex);
	wake(stock);
	pthread_join(stock->thread, NULL);
	list_each (&stock->pods, item)
		pod_free(list_entry(item, struct stock_pod, link));
	close(stock->wake_fd);
	close(stock->home_fd);
	pthread_cond_destroy(&stock->done);
	pthread_mutex_destroy(&stock->mutex);
	mem_free(stock);
}
