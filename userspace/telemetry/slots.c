#include "telemetry/slots.h"

#define SPARE_SLOTS (WEFT_SERIES_MAX / 4 * 3) /* that routes and series_slot_spare may fill */

/* Both names as they fit their fields. */
struct wanted {
	enum weft_series_kind kind;
	struct span service;
	struct span endpoint;
	uint32_t hash;
};

static void state_set(struct weft_series_label *label, enum weft_series_state state)
{
	__atomic_store_n(&label->state, state, __ATOMIC_RELEASE);
}

static unsigned slots_claimed(const struct series_store *store)
{
	return __atomic_load_n(&store->claimed, __ATOMIC_RELAXED);
}

/* With the lock. */
static void claimed_add(struct series_store *store, unsigned change)
{
	__atomic_store_n(&store->claimed, store->claimed + change, __ATOMIC_RELAXED);
}

/* ---- labels ---- */

/* FNV-1a over both names with a separator that neither holds. */
static uint32_t label_hash(enum weft_series_kind kind, struct span service, struct span endpoint)
{
	uint32_t hash = 2166136261u ^ (uint32_t)kind;
	for (size_t i = 0; i < service.size; i++)
		hash = (hash ^ (unsigned char)service.data[i]) * 16777619u;
	hash = (hash ^ 0xff) * 16777619u;
	for (size_t i = 0; i < endpoint.size; i++)
		hash = (hash ^ (unsigned char)endpoint.data[i]) * 16777619u;
	return hash;
}

/* What fits the field, without half a UTF-8 sequence at the end, without a NUL inside. */
static struct span label_cut(struct span name, size_t room)
{
	const char *nul = name.size ? memchr(name.data, 0, name.size) : NULL;
	if (nul)
		name.size = (size_t)(nul - name.data);
	if (name.size < room)
		return name;
	size_t size = room - 1;
	while (size > 0 && ((unsigned char)name.data[size] & 0xc0) == 0x80)
		size--;
	return span_of(name.data, size);
}

static struct wanted wanted_of(enum weft_series_kind kind, struct span service,
			       struct span endpoint)
{
	struct wanted wanted = {
		.kind = kind,
		.service = label_cut(service, WEFT_NAME_MAX),
		.endpoint = label_cut(endpoint, WEFT_ENDPOINT_MAX),
	};
	wanted.hash = label_hash(kind, wanted.service, wanted.endpoint);
	return wanted;
}

static bool label_is(const struct weft_series_label *label, const struct wanted *wanted)
{
	return label->hash == wanted->hash && label->kind == (uint32_t)wanted->kind &&
	       span_is(wanted->service, label->service) &&
	       span_is(wanted->endpoint, label->endpoint);
}

static void label_write(struct weft_series_label *label, const struct wanted *wanted)
{
	label->hash = wanted->hash;
	label->kind = (uint32_t)wanted->kind;
	memset(label->service, 0, sizeof(label->service));
	memset(label->endpoint, 0, sizeof(label->endpoint));
	memcpy(label->service, wanted->service.data, wanted->service.size);
	if (wanted->endpoint.size)
		memcpy(label->endpoint, wanted->endpoint.data, wanted->endpoint.size);
}

/* ---- finding and claiming ---- */

/* SERIES_OVERFLOW when there is none; then *ret_place is where it may be claimed, SERIES_OVERFLOW
 * when the table is full. A service that is called overflow has that slot too: no label is shown
 * twice. */
static uint32_t find(const struct series_store *store, const struct wanted *wanted,
		     uint32_t *ret_place)
{
	*ret_place = SERIES_OVERFLOW;
	if (label_is(&store->labels[SERIES_OVERFLOW], wanted))
		return SERIES_OVERFLOW;
	for (uint32_t tried = 0; tried < WEFT_SERIES_MAX; tried++) {
		uint32_t slot = (wanted->hash + tried) % WEFT_SERIES_MAX;
		const struct weft_series_label *label = &store->labels[slot];
		uint32_t state = slot_state(label);
		bool is_open = state == WEFT_SERIES_FREE || state == WEFT_SERIES_VACANT;
		if (slot == SERIES_OVERFLOW)
			continue;
		if (is_open && *ret_place == SERIES_OVERFLOW)
			*ret_place = slot;
		if (state == WEFT_SERIES_FREE)
			break;
		if (!is_open && state != WEFT_SERIES_CLAIMED && label_is(label, wanted))
			return slot;
	}
	return SERIES_OVERFLOW;
}

/* Finds again: another thread may have been faster. */
static uint32_t claim(struct series_store *store, const struct wanted *wanted, bool is_spare)
{
	uint32_t place;
	pthread_mutex_lock(&store->lock);
	uint32_t slot = find(store, wanted, &place);
	struct weft_series_label *label = &store->labels[slot ? slot : place];
	if (slot == SERIES_OVERFLOW && place != SERIES_OVERFLOW) {
		slot = place;
		state_set(label, WEFT_SERIES_CLAIMED);
		label_write(label, wanted);
		claimed_add(store, 1);
		store->is_spare[slot] = is_spare;
	}
	if (slot != SERIES_OVERFLOW)
		state_set(label, WEFT_SERIES_READY); /* also one that was to retire */
	pthread_mutex_unlock(&store->lock);
	return slot;
}

static bool is_ready(const struct series_store *store, uint32_t slot)
{
	return slot != SERIES_OVERFLOW && slot_state(&store->labels[slot]) == WEFT_SERIES_READY;
}

static void end_spare(struct series_store *store, uint32_t slot)
{
	if (__atomic_load_n(&store->is_spare[slot], __ATOMIC_RELAXED))
		__atomic_store_n(&store->is_spare[slot], false, __ATOMIC_RELAXED);
}

uint32_t series_slot(struct series_store *store, struct span service, struct span endpoint)
{
	struct wanted wanted = wanted_of(WEFT_SERIES_SERVICE, service, endpoint);
	uint32_t place;
	if (wanted.service.size == 0)
		return SERIES_OVERFLOW;
	uint32_t slot = find(store, &wanted, &place);
	if (!is_ready(store, slot))
		slot = claim(store, &wanted, false);
	end_spare(store, slot);
	return slot;
}

bool series_find(struct series_store *store, struct span service, struct span endpoint,
		 uint32_t *ret_slot)
{
	struct wanted wanted = wanted_of(WEFT_SERIES_SERVICE, service, endpoint);
	uint32_t place;
	uint32_t slot = find(store, &wanted, &place);
	if (!is_ready(store, slot))
		return false;
	end_spare(store, slot);
	*ret_slot = slot;
	return true;
}

const struct weft_series_label *series_label(const struct series_store *store, uint32_t slot)
{
	const struct weft_series_label *label = &store->labels[slot];
	uint32_t state = slot_state(label);
	return state == WEFT_SERIES_READY || state == WEFT_SERIES_RETIRED ? label : NULL;
}

uint32_t series_slot_spare(struct series_store *store, struct span service)
{
	struct wanted wanted = wanted_of(WEFT_SERIES_SERVICE, service, span_text(""));
	uint32_t place;
	if (wanted.service.size == 0)
		return SERIES_OVERFLOW;
	uint32_t slot = find(store, &wanted, &place);
	bool may_claim = slot != SERIES_OVERFLOW || slots_claimed(store) < SPARE_SLOTS;
	return is_ready(store, slot) || !may_claim ? slot : claim(store, &wanted, true);
}

uint32_t series_slot_route(struct series_store *store, struct span route, struct span rule)
{
	struct wanted wanted = wanted_of(WEFT_SERIES_ROUTE, route, rule);
	uint32_t place;
	uint32_t slot = find(store, &wanted, &place);
	bool may_claim = slot != SERIES_OVERFLOW || slots_claimed(store) < SPARE_SLOTS;
	if (!is_ready(store, slot) && may_claim)
		slot = claim(store, &wanted, false);
	end_spare(store, slot);
	return slot;
}

bool series_find_route(const struct series_store *store, struct span route, struct span rule,
		       uint32_t *ret_slot)
{
	struct wanted wanted = wanted_of(WEFT_SERIES_ROUTE, route, rule);
	uint32_t place;
	uint32_t slot = find(store, &wanted, &place);
	if (slot == SERIES_OVERFLOW)
		return false;
	*ret_slot = slot;
	return true;
}

bool series_is_crowded(const struct series_store *store)
{
	return slots_claimed(store) >= SPARE_SLOTS;
}

/* ---- giving back ---- */

static bool may_retire(const struct series_store *store, uint32_t slot, bool is_crowded)
{
	bool is_spare = __atomic_load_n(&store->is_spare[slot], __ATOMIC_RELAXED);
	return slot_state(&store->labels[slot]) == WEFT_SERIES_READY && (!is_spare || is_crowded);
}

unsigned series_retire(struct series_store *store, const bool used[WEFT_SERIES_MAX])
{
	bool is_crowded = series_is_crowded(store);
	unsigned count = 0;
	pthread_mutex_lock(&store->lock);
	for (uint32_t slot = SERIES_OVERFLOW + 1; slot < WEFT_SERIES_MAX; slot++) {
		if (used[slot] || !may_retire(store, slot, is_crowded))
			continue;
		state_set(&store->labels[slot], WEFT_SERIES_RETIRED);
		count++;
	}
	pthread_mutex_unlock(&store->lock);
	return count;
}

/* A chain ends before what is free, so a vacant slot in front of it may be free too. Only for slots
 * that are vacant since an earlier grace period: nobody walks on over them to claim behind. */
static void shorten_chains(struct series_store *store)
{
	for (uint32_t slot = WEFT_SERIES_MAX - 1; slot > SERIES_OVERFLOW; slot--) {
		uint32_t next = slot + 1 < WEFT_SERIES_MAX ? slot + 1 : SERIES_OVERFLOW + 1;
		if (slot_state(&store->labels[slot]) == WEFT_SERIES_VACANT &&
		    slot_state(&store->labels[next]) == WEFT_SERIES_FREE)
			state_set(&store->labels[slot], WEFT_SERIES_FREE);
	}
}

/* No label while the numbers go, so that nobody reads one with another's. */
static void give_back(struct series_store *store, uint32_t slot)
{
	const struct wanted nothing = {.service = span_text(""), .endpoint = span_text("")};
	struct weft_series_label *label = &store->labels[slot];
	state_set(label, WEFT_SERIES_CLAIMED);
	label_write(label, &nothing);
	for (unsigned worker = 0; worker < store->workers; worker++) {
		__u64 *row = (__u64 *)series_row(store, worker, slot);
		for (size_t i = 0; i < sizeof(struct weft_series) / sizeof(*row); i++)
			__atomic_store_n(&row[i], 0, __ATOMIC_RELAXED);
	}
	state_set(label, WEFT_SERIES_VACANT);
}

void series_settle(struct series_store *store, const bool used[WEFT_SERIES_MAX])
{
	pthread_mutex_lock(&store->lock);
	shorten_chains(store);
	for (uint32_t slot = SERIES_OVERFLOW + 1; slot < WEFT_SERIES_MAX; slot++) {
		if (slot_state(&store->labels[slot]) != WEFT_SERIES_RETIRED)
			continue;
		if (used[slot]) {
			state_set(&store->labels[slot], WEFT_SERIES_READY);
			continue;
		}
		give_back(store, slot);
		store->was_given_back[slot] = true;
		claimed_add(store, -1u);
	}
	pthread_mutex_unlock(&store->lock);
}

/* ---- start ---- */

void slots_adopt(struct series_store *store)
{
	struct wanted overflow =
		wanted_of(WEFT_SERIES_SERVICE, span_text("overflow"), span_text(""));
	label_write(&store->labels[SERIES_OVERFLOW], &overflow);
	state_set(&store->labels[SERIES_OVERFLOW], WEFT_SERIES_READY);
	for (uint32_t slot = 0; slot < WEFT_SERIES_MAX; slot++) {
		struct weft_series_label *label = &store->labels[slot];
		if (slot_state(label) == WEFT_SERIES_CLAIMED)
			give_back(store, slot);
		if (slot_state(label) == WEFT_SERIES_RETIRED)
			state_set(label, WEFT_SERIES_READY);
		/* Whose it is shows when it is asked for. */
		store->is_spare[slot] = slot_state(label) == WEFT_SERIES_READY;
		store->claimed += store->is_spare[slot];
	}
}
