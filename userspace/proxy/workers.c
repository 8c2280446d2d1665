#include "proxy/workers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "proxy/health.h"
#include "proxy/orders.h"

struct workers {
	struct workers_options options;
	unsigned count;
	pthread_mutex_t start_lock; /* start-up only */
	pthread_cond_t start_told;
	unsigned told;
	int start_error;
	struct worker workers[];
};

void workers_told_start(struct workers *workers, int error)
{
	pthread_mutex_lock(&workers->start_lock);
	workers->told++;
	if (error)
		workers->start_error = error;
	pthread_cond_signal(&workers->start_told);
	pthread_mutex_unlock(&workers->start_lock);
}

void workers_told_served(struct workers *workers, uint32_t pod_id, unsigned worker)
{
	workers->options.pod_served(workers->options.owner, pod_id, worker);
}

void workers_told_not_served(struct workers *workers, uint32_t pod_id, unsigned worker)
{
	workers->options.pod_not_served(workers->options.owner, pod_id, worker);
}

void workers_told_left(struct workers *workers, uint32_t pod_id, unsigned worker)
{
	workers->options.pod_left(workers->options.owner, pod_id, worker);
}

void workers_told_wanted(struct workers *workers, struct span service)
{
	workers->options.name_wanted(workers->options.owner, service);
}

static int start_all(struct workers *workers)
{
	for (unsigned i = 0; i < workers->count; i++) {
		struct worker *worker = &workers->workers[i];
		int error = pthread_create(&worker->thread, NULL, worker_run, worker);
		if (error)
			return -error;
		worker->is_started = true;
	}
	pthread_mutex_lock(&workers->start_lock);
	while (workers->told < workers->count)
		pthread_cond_wait(&workers->start_told, &workers->start_lock);
	pthread_mutex_unlock(&workers->start_lock);
	return workers->start_error;
}

int workers_open(const struct workers_options *options, struct text *why,
		 struct workers **ret_workers)
{
	struct workers *workers =
		mem_zalloc(sizeof(*workers) + options->count * sizeof(struct worker));
	if (!workers)
		return -ENOMEM;
	workers->options = *options;
	workers->options.node = node_new();
	if (!workers->options.node) {
		mem_free(workers);
		return -ENOMEM;
	}
	workers->count = options->count;
	pthread_mutex_init(&workers->start_lock, NULL);
	pthread_cond_init(&workers->start_told, NULL);
	for (unsigned i = 0; i < workers->count; i++)
		worker_init(&workers->workers[i], workers, &workers->options, i);
	int error = start_all(workers);
	if (error) {
		text_printf(why,
			    "workers could not be started: %s; `weft check` says what io_uring "
			    "lacks here",
			    strerror(-error));
		workers_close(workers);
		return error;
	}
	*ret_workers = workers;
	return 0;
}

/* ---- mails ---- */

enum order_kind { ORDER_POD_ADD, ORDER_POD_DRAIN, ORDER_STOP };

struct order {
	struct io_mail mail;
	struct worker *worker;
	enum order_kind kind;
	struct pod_order pod;
	uint64_t drain_ns;
};

static void run_order(struct io_mail *mail)
{
	struct order *order = container_of(mail, struct order, mail);
	switch (order->kind) {
	case ORDER_POD_ADD:
		worker_pod_add(order->worker, &order->pod);
		break;
	case ORDER_POD_DRAIN:
		worker_pod_drain(order->worker, order->pod.pod_id, order->drain_ns);
		break;
	case ORDER_STOP:
		order->worker->must_stop = true;
		break;
	}
	mem_free(order);
}

/* An order must not get lost: rather than that, weftd ends and the kernel passes dials on. */
static void post(struct worker *worker, const struct order *order)
{
	struct order *copy = mem_alloc(sizeof(*copy));
	if (!copy) {
		log_error("out_of_memory", "what=order");
		abort();
	}
	*copy = *order;
	copy->worker = worker;
	copy->mail.run = run_order;
	io_post(worker->ring, &copy->mail);
}

void workers_close(struct workers *workers)
{
	if (!workers)
		return;
	for (unsigned i = 0; i < workers->count; i++) {
		struct worker *worker = &workers->workers[i];
		if (!worker->is_started)
			continue;
		if (worker->ring)
			post(worker, &(struct order){.kind = ORDER_STOP});
		pthread_join(worker->thread, NULL);
		worker_fini(worker);
	}
	pthread_mutex_destroy(&workers->start_lock);
	pthread_cond_destroy(&workers->start_told);
	node_free(workers->options.node);
	mem_free(workers);
}

void workers_pod_added(struct workers *workers, const struct pod *pod, struct stock_pod *stock,
		       const struct stock_listeners *listeners)
{
	for (unsigned i = 0; i < workers->count; i++) {
		struct order order = {
			.kind = ORDER_POD_ADD,
			.pod =
				{
					.pod_id = pod->id,
					.share = stock_pod_share(stock, i),
				},
		};
		memcpy(order.pod.name, pod->name, sizeof(order.pod.name));
		memcpy(order.pod.fd4, listeners->fd4[i], sizeof(order.pod.fd4));
		memcpy(order.pod.fd6, listeners->fd6[i], sizeof(order.pod.fd6));
		post(&workers->workers[i], &order);
	}
}

void workers_pod_removing(struct workers *workers, uint32_t pod_id, uint64_t drain_ns)
{
	struct order order = {.kind = ORDER_POD_DRAIN, .drain_ns = drain_ns};
	order.pod.pod_id = pod_id;
	for (unsigned i = 0; i < workers->count; i++)
		post(&workers->workers[i], &order);
}

void workers_names_changed(struct workers *workers)
{
	for (unsigned i = 0; i < workers->count; i++) {
		struct worker *worker = &workers->workers[i];
		if (!atomic_exchange(&worker->names_posted, true))
			io_post(worker->ring, &worker->names_mail);
	}
}

bool workers_breaker(const struct workers *workers, const struct service *service,
		     const struct endpoint *endpoint, struct breaker_view *ret_view)
{
	return health_breaker(workers->options.node, service, endpoint, ret_view);
}

bool workers_service_is_up(const struct workers *workers, const struct snapshot *snapshot,
			   const struct service *service, uint64_t now_ns)
{
	return health_is_up(workers->options.node, snapshot, service, now_ns);
}

unsigned workers_count(const struct workers *workers)
{
	return workers->count;
}

struct worker *workers_at(struct workers *workers, unsigned index)
{
	return &workers->workers[index];
}
