#include "proxy/node.h"

#include "base/mem.h"

#define PIECE  256u  /* entries */
#define PIECES 8192u /* 2 million ids */

struct node {
	_Atomic(void *) services[PIECES];  /* of node_service[PIECE] */
	_Atomic(void *) endpoints[PIECES]; /* of node_endpoint[PIECE] */
};

struct node *node_new(void)
{
	return mem_zalloc(sizeof(struct node));
}

static void free_service(struct node_service *service)
{
	rate_limit_free(atomic_load(&service->clients));
	rate_limit_free(atomic_load(&service->values));
}

void node_free(struct node *node)
{
	if (!node)
		return;
	for (uint32_t i = 0; i < PIECES; i++) {
		struct node_service *services = atomic_load(&node->services[i]);
		for (uint32_t j = 0; services && j < PIECE; j++)
			free_service(&services[j]);
		mem_free(services);
		mem_free(atomic_load(&node->endpoints[i]));
	}
	mem_free(node);
}

/* A piece of entries of so many bytes; NULL: no memory. Two workers that need it at once: one of
 * them gives its own back. */
static void *piece_at(_Atomic(void *) *pieces, uint32_t id, size_t entry_bytes)
{
	if (id / PIECE >= PIECES)
		return NULL;
	_Atomic(void *) *piece = &pieces[id / PIECE];
	void *there = atomic_load_explicit(piece, memory_order_acquire);
	if (there)
		return there;
	void *own = mem_zalloc(PIECE * entry_bytes);
	if (!own || atomic_compare_exchange_strong(piece, &there, own))
		return own;
	mem_free(own);
	return there;
}

static struct node_service *service_at(struct node *node, uint32_t id)
{
	struct node_service *piece = piece_at(node->services, id, sizeof(*piece));
	return piece ? &piece[id % PIECE] : NULL;
}

static struct node_endpoint *endpoint_at(struct node *node, uint32_t id)
{
	struct node_endpoint *piece = piece_at(node->endpoints, id, sizeof(*piece));
	return piece ? &piece[id % PIECE] : NULL;
}

/* True: this call made it the owner's; whatever it holds is of the one before. */
static bool takes_over(_Atomic uint32_t *owner, uint32_t birth)
{
	uint32_t old = atomic_load_explicit(owner, memory_order_acquire);
	return old != birth && atomic_compare_exchange_strong(owner, &old, birth) && old != 0;
}

/* The requests that are under way stay counted: they end as what they began. */
static void begin_anew(struct node_service *service)
{
	for (unsigned i = 0; i < RETRY_BUDGET_SLICES; i++) {
		atomic_store(&service->budget.slices[i], 0);
		atomic_store(&service->requeues.slices[i], 0);
	}
	atomic_store(&service->latency.estimate_ns, 0);
	atomic_store(&service->latency.samples, 0);
	atomic_store(&service->breakers.next_ns, 0);
	atomic_store(&service->breakers.removed, 0);
	atomic_store(&service->concurrency.limit, 0);
	atomic_store(&service->concurrency.least_ns, 0);
	atomic_store(&service->rate.until_ns, 0);
	failover_reset(&service->failover);
}

struct node_service *node_service(struct node *node, const struct service *service)
{
	struct node_service *entry = service_at(node, service->id);
	if (entry && takes_over(&entry->owner, service->birth))
		begin_anew(entry);
	return entry;
}

struct node_endpoint *node_endpoint(struct node *node, const struct endpoint *endpoint)
{
	struct node_endpoint *entry = endpoint_at(node, endpoint->id);
	if (entry && takes_over(&entry->owner, endpoint->birth))
		breaker_reset(&entry->breaker);
	return entry;
}

/* The piece that has the entry, if one was made. */
static void *piece_known(_Atomic(void *) *pieces, uint32_t id)
{
	return id / PIECE < PIECES ? atomic_load_explicit(&pieces[id / PIECE], memory_order_acquire)
				   : NULL;
}

struct node_endpoint *node_endpoint_at(struct node *node, uint32_t endpoint_id)
{
	struct node_endpoint *piece = piece_known(node->endpoints, endpoint_id);
	return piece ? &piece[endpoint_id % PIECE] : NULL;
}

const struct node_service *node_service_known(struct node *node, const struct service *service)
{
	struct node_service *piece = piece_known(node->services, service->id);
	const struct node_service *entry = piece ? &piece[service->id % PIECE] : NULL;
	bool is_its = entry &&
		      atomic_load_explicit(&entry->owner, memory_order_acquire) == service->birth;
	return is_its ? entry : NULL;
}

/* One that has become too small stays, as other workers may be in it. */
struct rate_limit *node_rates(_Atomic(struct rate_limit *) *place, uint32_t keys, struct rng *rng)
{
	struct rate_limit *there = atomic_load_explicit(place, memory_order_acquire);
	if (there && rate_limit_holds(there, keys))
		return there;
	struct rate_limit *own = rate_limit_new(keys, there ? there->seed : rng_next(rng), there);
	if (!own)
		return there;
	if (atomic_compare_exchange_strong(place, &there, own))
		return own;
	mem_free(own);
	return there;
}
