#include "policy/balance_least.h"

#include "base/mem.h"
#include "policy/balance_p2c.h"

#define FRONT_MOST (BALANCE_TRIED_MOST + 2)

/*
 * The loads of a heap's items know their place in it, so each item has a load; `owners` finds it:
 * kept behind the items, one for each.
 */
static struct endpoint_load **owners(const struct balance_state *state)
{
	return (struct endpoint_load **)(void *)(state->heap.items + state->heap.count);
}

static bool is_before(const struct heap_item *a, const struct heap_item *b)
{
	return a->level != b->level ? a->level < b->level : a->turn < b->turn;
}

static void swap(struct balance_state *state, uint32_t one, uint32_t other)
{
	struct heap_item *items = state->heap.items;
	struct endpoint_load **loads = owners(state);
	struct heap_item item = items[one];
	struct endpoint_load *load = loads[one];
	items[one] = items[other];
	loads[one] = loads[other];
	items[other] = item;
	loads[other] = load;
	loads[one]->place = one + 1;
	loads[other]->place = other + 1;
}

static void sink(struct balance_state *state, uint32_t place)
{
	const struct heap_item *items = state->heap.items;
	for (;;) {
		uint32_t least = place;
		for (uint32_t child = 2 * place + 1; child <= 2 * place + 2; child++) {
			if (child < state->heap.count && is_before(&items[child], &items[least]))
				least = child;
		}
		if (least == place)
			return;
		swap(state, place, least);
		place = least;
	}
}

static void rise(struct balance_state *state, uint32_t place)
{
	const struct heap_item *items = state->heap.items;
	while (place > 0 && is_before(&items[place], &items[(place - 1) / 2])) {
		swap(state, place, (place - 1) / 2);
		place = (place - 1) / 2;
	}
}

static uint32_t level_of(const struct endpoint_load *load, const struct heap_item *item)
{
	double level = load->active * (double)item->pace / item->warmth;
	if (load->is_ejected)
		return UINT32_MAX;
	return level < UINT32_MAX - 1 ? (uint32_t)level : UINT32_MAX - 1;
}

void balance_least_moved(const struct balances *balances, struct balance_state *state,
			 const struct endpoint_load *load)
{
	uint32_t place = load->place - 1;
	(void)balances;
	if (!state->heap.is_built)
		return;
	struct heap_item *item = &state->heap.items[place];
	item->level = level_of(load, item);
	rise(state, place);
	sink(state, load->place - 1);
}

/* All of the set; false = out of memory. */
static bool build(const struct balance_call *call)
{
	struct balance_state *state = call->state;
	const struct endpoint_set *set = call->set;
	size_t size = set->count * (sizeof(struct heap_item) + sizeof(struct endpoint_load *));
	struct heap_item *items = mem_realloc(state->heap.items, size);
	if (!items)
		return false;
	state->heap.items = items;
	state->heap.count = set->count;
	state->heap.clock = 0;
	state->heap.tier = call->tier;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct endpoint *endpoint = balance_at(call, i);
		struct endpoint_load *load =
			balances_load_make(call->balances, call->service, endpoint);
		if (!load)
			return false;
		double pace = (double)set->weight_total / set->count / endpoint->weight;
		items[i] = (struct heap_item){
			.turn = pace * balance_fraction(call->rng),
			.pace = (float)pace,
			.warmth = 1,
			.index = endpoint_set_index(set, i),
		};
		items[i].level = level_of(load, &items[i]);
		owners(state)[i] = load;
		load->place = i + 1;
	}
	for (uint32_t i = set->count / 2; i > 0; i--)
		sink(state, i - 1);
	state->heap.is_built = true;
	return true;
}

/* The first one in order that may be taken. Only what was tried is passed over: at most a few. */
static uint32_t first_untried(const struct balance_call *call)
{
	const struct balance_state *state = call->state;
	const struct heap_item *items = state->heap.items;
	uint32_t front[FRONT_MOST] = {0};
	uint32_t count = 1;
	while (count > 0) {
		uint32_t best = 0;
		for (uint32_t i = 1; i < count; i++) {
			if (is_before(&items[front[i]], &items[front[best]]))
				best = i;
		}
		uint32_t place = front[best];
		const struct endpoint *endpoint = &call->service->endpoints[items[place].index];
		if (balance_status(call, endpoint) != STATUS_TRIED)
			return place;
		front[best] = front[--count];
		for (uint32_t child = 2 * place + 1; child <= 2 * place + 2; child++) {
			if (child < state->heap.count && count < FRONT_MOST)
				front[count++] = child;
		}
	}
	return UINT32_MAX;
}

const struct endpoint *balance_least(const struct balance_call *call)
{
	struct balance_state *state = call->state;
	bool is_built = state->heap.is_built && state->heap.tier == call->tier;
	/* Ejected ones are last in the heap; and one set in turn with others would be built anew
	 * each time. */
	if (call->ignores_ejection || (state->heap.is_built && !is_built) ||
	    (!is_built && !build(call)))
		return balance_p2c(call, balance_all(call));
	uint32_t place = first_untried(call);
	if (place == UINT32_MAX)
		return NULL;
	struct heap_item *item = &state->heap.items[place];
	const struct endpoint *endpoint = &call->service->endpoints[item->index];
	if (item->turn > state->heap.clock)
		state->heap.clock = item->turn;
	item->warmth = (float)balance_warmth(call, endpoint);
	/* From the clock on: no turns are saved up while it was busy. */
	item->turn = state->heap.clock +
		     (double)item->pace / item->warmth * (0.5 + balance_fraction(call->rng));
	sink(state, place);
	return endpoint;
}
