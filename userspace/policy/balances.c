#include "policy/balances.h"

#include <assert.h>

#include "base/mem.h"
#include "policy/balance_aperture.h"
#include "policy/balance_ewma.h"
#include "policy/balance_least.h"

_Static_assert(sizeof(struct load_page) == 2560, "the memory that balances.h and README.md say");

/* ---- tables ---- */

static void *grow(void *old, uint32_t count, uint32_t more)
{
	char *table = mem_realloc(old, more * sizeof(void *));
	if (table)
		memset(table + count * sizeof(void *), 0, (more - count) * sizeof(void *));
	return table;
}

static void state_free(struct balance_state *state)
{
	if (state)
		mem_free(state->heap.items);
	mem_free(state);
}

/* A page's ids are one word of the snapshot's bitmap. */
static void drop_pages(struct balances *balances, const struct ids *in_use)
{
	for (uint32_t i = 0; i < balances->page_count; i++) {
		if (i < in_use->space / PAGE_LOADS && in_use->used[i])
			continue;
		mem_free(balances->pages[i]);
		balances->pages[i] = NULL;
	}
}

static void drop_states(struct balances *balances, const struct snapshot *snapshot)
{
	for (uint32_t id = 0; id < balances->state_count; id++) {
		struct balance_state *state = balances->states[id];
		if (!state)
			continue;
		const struct service *service = snapshot_service(snapshot, id);
		if (!service || service->birth != state->birth) {
			state_free(state);
			balances->states[id] = NULL;
		} else if (service->version != state->version) {
			state->heap.is_built = false; /* it knows loads of dropped pages */
		}
	}
}

void balances_sweep(struct balances *balances, const struct snapshot *snapshot)
{
	drop_pages(balances, &snapshot->endpoint_ids);
	drop_states(balances, snapshot);
}

void balances_adopt(struct balances *balances, const struct snapshot *snapshot)
{
	uint32_t pages = (snapshot->endpoint_id_limit + PAGE_LOADS - 1) / PAGE_LOADS;
	if (pages > balances->page_count) {
		void *table = grow(balances->pages, balances->page_count, pages);
		if (table) {
			balances->pages = table;
			balances->page_count = pages;
		}
	}
	if (snapshot->service_id_limit > balances->state_count) {
		uint32_t count = snapshot->service_id_limit;
		void *table = grow(balances->states, balances->state_count, count);
		if (table) {
			balances->states = table;
			balances->state_count = count;
		}
	}
}

void balances_fini(struct balances *balances)
{
	for (uint32_t i = 0; i < balances->page_count; i++)
		mem_free(balances->pages[i]);
	for (uint32_t i = 0; i < balances->state_count; i++)
		state_free(balances->states[i]);
	mem_free(balances->pages);
	mem_free(balances->states);
	*balances = (struct balances){0};
}

/* ---- loads ---- */

static struct endpoint_load *load_of(const struct balances *balances, uint32_t id, uint32_t birth)
{
	uint32_t page = id / PAGE_LOADS;
	if (page >= balances->page_count || !balances->pages[page])
		return NULL;
	struct endpoint_load *load = &balances->pages[page]->loads[id % PAGE_LOADS];
	return load->birth == birth ? load : NULL;
}

struct endpoint_load *balances_load(const struct balances *balances,
				    const struct endpoint *endpoint)
{
	return load_of(balances, endpoint->id, endpoint->birth);
}

static void count(struct balance_state *state, const struct endpoint_load *load, int active,
		  int ejected)
{
	struct balance_tally *of_tier = &state->tallies[load->tier];
	state->tallies[TIER_ALL].active += (uint32_t)active;
	state->tallies[TIER_ALL].ejected += (uint32_t)ejected;
	of_tier->active += (uint32_t)active;
	of_tier->ejected += (uint32_t)ejected;
}

static void join(struct balance_state *state, const struct endpoint *endpoint,
		 struct endpoint_load *load)
{
	load->version = state->version;
	load->tier = endpoint->tier;
	load->place = 0;
	count(state, load, (int)load->active, load->is_ejected && endpoint->weight > 0);
}

struct endpoint_load *balances_load_make(struct balances *balances, const struct service *service,
					 const struct endpoint *endpoint)
{
	struct balance_state *state = balances_state(balances, service);
	uint32_t page = endpoint->id / PAGE_LOADS;
	if (!state || page >= balances->page_count)
		return NULL;
	if (!balances->pages[page])
		balances->pages[page] = mem_zalloc(sizeof(struct load_page));
	if (!balances->pages[page])
		return NULL;
	struct endpoint_load *load = &balances->pages[page]->loads[endpoint->id % PAGE_LOADS];
	if (load->birth != endpoint->birth)
		*load = (struct endpoint_load){.birth = endpoint->birth};
	if (load->version != state->version)
		join(state, endpoint, load);
	return load;
}

/* The state whose tallies the load is in, or NULL. */
static struct balance_state *state_of(const struct balances *balances, uint32_t service_id,
				      const struct endpoint_load *load)
{
	struct balance_state *state =
		service_id < balances->state_count ? balances->states[service_id] : NULL;
	return state && state->version == load->version ? state : NULL;
}

/* ---- states ---- */

static void follow(struct balances *balances, const struct service *service,
		   struct balance_state *state)
{
	state->version = service->version;
	state->balancer = service->balancer;
	memset(state->tallies, 0, sizeof(state->tallies));
	state->heap.is_built = false;
	for (uint32_t i = 0; i < service->endpoint_count; i++) {
		struct endpoint_load *load = balances_load(balances, &service->endpoints[i]);
		if (load)
			join(state, &service->endpoints[i], load);
	}
}

struct balance_state *balances_state(struct balances *balances, const struct service *service)
{
	if (service->id >= balances->state_count)
		return NULL;
	struct balance_state *state = balances->states[service->id];
	if (state && state->version == service->version)
		return state;
	if (state && state->birth != service->birth) {
		state_free(state);
		state = balances->states[service->id] = NULL;
	}
	if (!state)
		state = mem_zalloc(sizeof(*state));
	if (!state)
		return NULL;
	balances->states[service->id] = state;
	state->birth = service->birth;
	follow(balances, service, state);
	return state;
}

/* ---- attempts ---- */

void balance_place(struct balances *balances, const struct service *service,
		   const struct endpoint *endpoint, struct balance_attempt *ret)
{
	balances_load_make(balances, service, endpoint);
	*ret = (struct balance_attempt){
		.service_id = service->id,
		.endpoint_id = endpoint->id,
		.birth = endpoint->birth,
	};
}

/* What an algorithm keeps of loads follows them. */
static void moved(const struct balances *balances, struct balance_state *state,
		  const struct endpoint_load *load, uint64_t now_ns)
{
	if (state->balancer == BALANCER_APERTURE)
		balance_aperture_moved(state, now_ns);
	if (state->balancer == BALANCER_LEAST && load->place)
		balance_least_moved(balances, state, load);
}

static void add(struct balances *balances, const struct balance_attempt *attempt,
		struct endpoint_load *load, int change, uint64_t now_ns)
{
	struct balance_state *state = state_of(balances, attempt->service_id, load);
	assert(change > 0 || load->active > 0);
	load->active += (uint32_t)change;
	if (!state)
		return;
	count(state, load, change, 0);
	moved(balances, state, load, now_ns);
}

void balance_begin(struct balances *balances, struct balance_attempt *attempt, uint64_t now_ns)
{
	struct endpoint_load *load = load_of(balances, attempt->endpoint_id, attempt->birth);
	assert(!attempt->is_open);
	attempt->is_open = true;
	attempt->is_counted = attempt->birth && load;
	attempt->began_ns = now_ns;
	if (attempt->is_counted)
		add(balances, attempt, load, 1, now_ns);
}

void balance_end(struct balances *balances, struct balance_attempt *attempt, uint64_t now_ns,
		 enum balance_outcome outcome)
{
	struct endpoint_load *load = load_of(balances, attempt->endpoint_id, attempt->birth);
	bool is_counted = attempt->is_open && attempt->is_counted && load;
	attempt->is_open = false;
	if (!is_counted)
		return;
	add(balances, attempt, load, -1, now_ns);
	balance_ewma_ended(load, now_ns - attempt->began_ns, now_ns, outcome);
	attempt->cost_ns = load->cost_ns;
	attempt->cost_at_ns = load->stamp_ns;
}

static void observe(struct balances *balances, const struct balance_attempt *attempt,
		    double least_ns, uint64_t now_ns)
{
	struct endpoint_load *load = load_of(balances, attempt->endpoint_id, attempt->birth);
	double rtt_ns = (double)(now_ns - attempt->began_ns);
	if (attempt->is_open && attempt->is_counted && load)
		balance_ewma_observe(load, rtt_ns > least_ns ? rtt_ns : least_ns, now_ns);
}

void balance_answered(struct balances *balances, const struct balance_attempt *attempt,
		      uint64_t now_ns)
{
	observe(balances, attempt, 0, now_ns);
}

void balance_connected(struct balances *balances, const struct balance_attempt *attempt,
		       uint64_t now_ns)
{
	observe(balances, attempt, EWMA_CONNECT_NS, now_ns);
}

uint64_t balances_active(const struct balances *balances)
{
	uint64_t active = 0;
	for (uint32_t i = 0; i < balances->page_count; i++) {
		for (int j = 0; balances->pages[i] && j < PAGE_LOADS; j++)
			active += balances->pages[i]->loads[j].active;
	}
	return active;
}

/* ---- ejection ---- */

bool balance_eject(struct balances *balances, const struct service *service,
		   const struct endpoint *endpoint, bool is_ejected)
{
	struct endpoint_load *load = balances_load_make(balances, service, endpoint);
	if (!load)
		return false;
	if (load->is_ejected == is_ejected)
		return true;
	struct balance_state *state = balances_state(balances, service);
	load->is_ejected = is_ejected;
	if (endpoint->weight > 0)
		count(state, load, 0, is_ejected ? 1 : -1);
	if (load->place)
		balance_least_moved(balances, state, load);
	return true;
}

uint32_t balance_available(struct balances *balances, const struct service *service)
{
	const struct balance_state *state = balances_state(balances, service);
	uint32_t ready = service->sets[TIER_ALL].count;
	return state ? ready - state->tallies[TIER_ALL].ejected : ready;
}
