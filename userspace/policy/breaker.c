#include "policy/breaker.h"

#include <math.h>
#include <stdio.h>

#include "policy/backoff.h"

#define NS_PER_MS     1000000ull
#define STATE_MASK    0x3ull
#define STEP_SHIFT    2
#define STEP_MASK     0x3fffull
#define UNTIL_SHIFT   16 /* milliseconds: 48 bits */
#define STEPS_MOST    STEP_MASK
#define SAMPLES_LEAST 5 /* in the window (A3) */
#define NUMBER_SHIFT  32

#define LOAD(field)         atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

/* ---- the word ---- */

static uint64_t word_of(enum breaker_state state, uint64_t step, uint64_t until_ms)
{
	uint64_t kept = step < STEPS_MOST ? step : STEPS_MOST;
	return until_ms << UNTIL_SHIFT | kept << STEP_SHIFT | (uint64_t)state;
}

static enum breaker_state state_of(uint64_t word)
{
	return (enum breaker_state)(word & STATE_MASK);
}

static uint32_t step_of(uint64_t word)
{
	return (uint32_t)(word >> STEP_SHIFT & STEP_MASK);
}

static uint64_t until_ns_of(uint64_t word)
{
	return (word >> UNTIL_SHIFT) * NS_PER_MS;
}

/* Rounded up: never awake too early. */
static uint64_t ms_of(uint64_t ns)
{
	return (ns + NS_PER_MS - 1) / NS_PER_MS;
}

static bool change(struct breaker *breaker, uint64_t old, uint64_t new)
{
	return atomic_compare_exchange_strong_explicit(&breaker->word, &old, new,
						       memory_order_acq_rel, memory_order_relaxed);
}

enum breaker_state breaker_state(const struct breaker *breaker)
{
	return state_of(LOAD(breaker->word));
}

bool breaker_admits(const struct breaker *breaker)
{
	enum breaker_state state = breaker_state(breaker);
	return state == BREAKER_ALIVE || state == BREAKER_PROBE_OPEN;
}

struct breaker_view breaker_look(const struct breaker *breaker, const struct breaker_rule *rule)
{
	uint64_t word = LOAD(breaker->word);
	struct breaker_view view = {
		.state = state_of(word),
		.until_ns = until_ns_of(word),
		.failures = LOAD(breaker->failures),
		.failed_probes = step_of(word),
	};
	bool by_rate =
		rule->kind == BREAKER_SUCCESS_RATE || rule->kind == BREAKER_SUCCESS_RATE_WINDOWED;
	view.has_average = by_rate && LOAD(breaker->samples) > 0;
	view.average = view.has_average ? LOAD(breaker->average) : 0;
	return view;
}

const char *breaker_state_name(enum breaker_state state)
{
	static const char *const names[] = {
		[BREAKER_ALIVE] = "closed",
		[BREAKER_DEAD] = "open",
		[BREAKER_PROBE_OPEN] = "probing",
		[BREAKER_PROBE_CLOSED] = "probing",
	};
	return names[state];
}

const char *breaker_why(const struct breaker_view *view, const struct breaker_rule *rule,
			char text[BREAKER_WHY_MAX])
{
	*text = '\0';
	if (rule->kind == BREAKER_CONSECUTIVE_FAILURES && view->failures)
		snprintf(text, BREAKER_WHY_MAX, "%u failure%s in a row", view->failures,
			 view->failures == 1 ? "" : "s");
	else if (view->has_average)
		snprintf(text, BREAKER_WHY_MAX, "success %.1f %%", view->average * 100);
	return text;
}

static void start_anew(struct breaker *breaker, uint64_t now_ns)
{
	STORE(breaker->failures, 0);
	STORE(breaker->samples, 0);
	STORE(breaker->since_ns, now_ns);
	for (unsigned i = 0; i < BREAKER_SLICES; i++)
		STORE(breaker->slices[i], 0);
}

void breaker_reset(struct breaker *breaker)
{
	start_anew(breaker, 0);
	STORE(breaker->word, 0);
}

/* ---- the group ---- */

static void changed(struct breaker_group *group)
{
	atomic_fetch_add_explicit(&group->epoch, 1, memory_order_release);
}

static void wake_at(struct breaker_group *group, uint64_t at_ns)
{
	uint64_t old = LOAD(group->next_ns);
	while ((old == 0 || at_ns < old) &&
	       !atomic_compare_exchange_weak_explicit(&group->next_ns, &old, at_ns,
						      memory_order_acq_rel, memory_order_relaxed))
		;
}

bool breaker_group_is_due(const struct breaker_group *group, uint64_t now_ns)
{
	uint64_t next_ns = LOAD(group->next_ns);
	return next_ns != 0 && now_ns >= next_ns;
}

/* Whoever begins to wait after this enters its own time: none is missed. */
void breaker_group_look(struct breaker_group *group)
{
	atomic_exchange_explicit(&group->next_ns, 0, memory_order_acq_rel);
}

void breaker_group_looked(struct breaker_group *group, uint32_t removed)
{
	STORE(group->removed, removed);
}

static uint32_t share(uint32_t count, uint32_t ppm)
{
	return (uint32_t)((uint64_t)count * ppm / PPM);
}

static bool group_permits(struct breaker_group *group, const struct breaker_rule *rule,
			  uint32_t ready_count)
{
	uint32_t most = share(ready_count, rule->removed_most_ppm);
	uint32_t removed = LOAD(group->removed);
	do {
		if (removed >= most)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&group->removed, &removed, removed + 1,
							memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

/* A look may have counted it already: never below 0. */
static void group_one_less(struct breaker_group *group)
{
	uint32_t removed = LOAD(group->removed);
	while (removed > 0 &&
	       !atomic_compare_exchange_weak_explicit(&group->removed, &removed, removed - 1,
						      memory_order_relaxed, memory_order_relaxed))
		;
}

/* ---- the rules: does it trip? ---- */

static double average_with(struct breaker *breaker, double sample, double kept)
{
	bool is_first = atomic_fetch_add_explicit(&breaker->samples, 1, memory_order_relaxed) == 0;
	double average = is_first ? sample : sample * (1 - kept) + LOAD(breaker->average) * kept;
	STORE(breaker->average, average);
	return average;
}

static bool is_below(double average, const struct breaker_rule *rule)
{
	return average * PPM < rule->success_ppm;
}

/* A1. A success writes only when there is something to forget. */
static bool trips_in_a_row(struct breaker *breaker, const struct breaker_rule *rule, bool failed)
{
	if (failed)
		return atomic_fetch_add_explicit(&breaker->failures, 1, memory_order_relaxed) + 1 >=
		       rule->failures;
	if (LOAD(breaker->failures))
		STORE(breaker->failures, 0);
	return false;
}

/* A2: the stamp is the request's number, so each sample is one older than the next. */
static bool trips_by_rate(struct breaker *breaker, const struct breaker_rule *rule, bool failed)
{
	double kept = exp(-1.0 / (rule->requests ? rule->requests : 1));
	double average = average_with(breaker, failed ? 0 : 1, kept);
	return failed && LOAD(breaker->samples) >= rule->requests && is_below(average, rule);
}

/* Requests in the last five slices, this one counted. */
static uint64_t count_in_window(struct breaker *breaker, const struct breaker_rule *rule,
				uint64_t now_ns)
{
	uint64_t length_ns = rule->window_ns / BREAKER_SLICES;
	uint64_t newest = now_ns / (length_ns ? length_ns : 1);
	_Atomic uint64_t *slice = &breaker->slices[newest % BREAKER_SLICES];
	uint64_t number = newest & UINT32_MAX;
	uint64_t count = LOAD(*slice) >> NUMBER_SHIFT == number ? LOAD(*slice) + 1
								: (number << NUMBER_SHIFT) + 1;
	uint64_t sum = 0;
	STORE(*slice, count);
	for (uint64_t age = 0; age < BREAKER_SLICES && age <= newest; age++) {
		uint64_t word = LOAD(breaker->slices[(newest - age) % BREAKER_SLICES]);
		if (word >> NUMBER_SHIFT == ((newest - age) & UINT32_MAX))
			sum += word & UINT32_MAX;
	}
	return sum;
}

/* A3: the stamp is the time. */
static bool trips_by_window(struct breaker *breaker, const struct breaker_rule *rule, bool failed,
			    uint64_t now_ns)
{
	uint64_t before_ns = LOAD(breaker->stamp_ns);
	double age = now_ns > before_ns ? (double)(now_ns - before_ns) : 0;
	double kept = exp(-age / (double)(rule->window_ns ? rule->window_ns : 1));
	uint64_t count = count_in_window(breaker, rule, now_ns);
	STORE(breaker->stamp_ns, now_ns);
	if (LOAD(breaker->since_ns) == 0)
		STORE(breaker->since_ns, now_ns);
	double average = average_with(breaker, failed ? 0 : 1, kept);
	bool is_old = now_ns - LOAD(breaker->since_ns) >= rule->window_ns;
	return failed && is_old && count >= SAMPLES_LEAST && is_below(average, rule);
}

static bool trips(struct breaker *breaker, const struct breaker_rule *rule, bool failed,
		  uint64_t now_ns)
{
	switch ((enum breaker_kind)rule->kind) {
	case BREAKER_CONSECUTIVE_FAILURES:
		return trips_in_a_row(breaker, rule, failed);
	case BREAKER_SUCCESS_RATE:
		return trips_by_rate(breaker, rule, failed);
	case BREAKER_SUCCESS_RATE_WINDOWED:
		return trips_by_window(breaker, rule, failed, now_ns);
	case BREAKER_NONE:
		return false;
	}
	return false;
}

/* ---- the state machine ---- */

/* The first wait of an equal-jittered backoff is exact, the next begin at it: the wait before is
 * not needed, so it is not kept; decorrelated jitter is drawn from the longest it could be. */
static uint64_t next_wait_ns(const struct breaker_rule *rule, uint32_t step, struct rng *rng)
{
	uint64_t previous_ns = rule->backoff.least_ns;
	for (uint32_t i = 1; i < step && previous_ns < rule->backoff.most_ns; i++)
		previous_ns *= 3;
	return backoff_next(&rule->backoff, step, previous_ns, rng);
}

static bool die(struct breaker *breaker, struct breaker_group *group,
		const struct breaker_rule *rule, uint64_t word, uint32_t step, uint64_t now_ns,
		struct rng *rng)
{
	uint64_t until_ms = ms_of(now_ns + next_wait_ns(rule, step, rng));
	if (!change(breaker, word, word_of(BREAKER_DEAD, step, until_ms)))
		return false;
	wake_at(group, until_ms * NS_PER_MS);
	changed(group);
	return true;
}

static enum breaker_change told_alive(struct breaker *breaker, struct breaker_group *group,
				      const struct breaker_rule *rule, uint32_t ready_count,
				      bool failed, uint64_t now_ns, struct rng *rng)
{
	uint64_t word = LOAD(breaker->word);
	if (!trips(breaker, rule, failed, now_ns) || !group_permits(group, rule, ready_count))
		return BREAKER_SAME;
	if (die(breaker, group, rule, word, 0, now_ns, rng))
		return BREAKER_REMOVED;
	group_one_less(group); /* another worker was first */
	return BREAKER_SAME;
}

static enum breaker_change told_probe(struct breaker *breaker, struct breaker_group *group,
				      const struct breaker_rule *rule, uint64_t word,
				      enum breaker_outcome outcome, uint64_t now_ns,
				      struct rng *rng)
{
	if (outcome == BREAKER_FAILED)
		return die(breaker, group, rule, word, step_of(word) + 1, now_ns, rng)
			       ? BREAKER_PROBE_AGAIN
			       : BREAKER_SAME;
	if (outcome == BREAKER_NOT_COUNTED) {
		if (change(breaker, word, word_of(BREAKER_PROBE_OPEN, step_of(word), 0)))
			changed(group);
		return BREAKER_SAME;
	}
	start_anew(breaker, now_ns);
	if (!change(breaker, word, word_of(BREAKER_ALIVE, 0, 0)))
		return BREAKER_SAME;
	group_one_less(group);
	changed(group);
	return BREAKER_REVIVED;
}

enum breaker_change breaker_tell(struct breaker *breaker, struct breaker_group *group,
				 const struct breaker_rule *rule, uint32_t ready_count,
				 enum breaker_outcome outcome, uint64_t now_ns, struct rng *rng)
{
	uint64_t word = LOAD(breaker->word);
	switch (state_of(word)) {
	case BREAKER_ALIVE:
		if (outcome == BREAKER_NOT_COUNTED)
			return BREAKER_SAME;
		return told_alive(breaker, group, rule, ready_count, outcome == BREAKER_FAILED,
				  now_ns, rng);
	case BREAKER_PROBE_CLOSED:
		return told_probe(breaker, group, rule, word, outcome, now_ns, rng);
	case BREAKER_DEAD:
	case BREAKER_PROBE_OPEN:
		return BREAKER_SAME;
	}
	return BREAKER_SAME;
}

/* A probe whose outcome nobody tells must not keep the endpoint out for ever. */
bool breaker_take_probe(struct breaker *breaker, struct breaker_group *group,
			const struct breaker_rule *rule, uint64_t now_ns)
{
	uint64_t word = LOAD(breaker->word);
	uint64_t until_ms = ms_of(now_ns + rule->backoff.most_ns);
	if (state_of(word) != BREAKER_PROBE_OPEN ||
	    !change(breaker, word, word_of(BREAKER_PROBE_CLOSED, step_of(word), until_ms)))
		return false;
	wake_at(group, until_ms * NS_PER_MS);
	changed(group);
	return true;
}

bool breaker_wake(struct breaker *breaker, struct breaker_group *group, uint64_t now_ns)
{
	uint64_t word = LOAD(breaker->word);
	enum breaker_state state = state_of(word);
	if (state != BREAKER_DEAD && state != BREAKER_PROBE_CLOSED)
		return false;
	if (now_ns < until_ns_of(word)) {
		wake_at(group, until_ns_of(word));
		return false;
	}
	if (!change(breaker, word, word_of(BREAKER_PROBE_OPEN, step_of(word), 0)))
		return false;
	changed(group);
	return true;
}
