/*
 * Which endpoints are left out for a while (linkerd1.md 1.14, A1-A4). Pure; time in nanoseconds of
 * a clock that does not go back.
 *
 *            rule trips, group permits               backoff is over
 *   ALIVE ─────────────────────────────► DEAD ◄──┐ ──────────────────► PROBE_OPEN
 *     ▲                                          │ failure                  │ picked
 *     └──────────── success ─────────────── PROBE_CLOSED ◄──────────────────┘
 *                                                └── not counted, or no outcome in time: PROBE_OPEN
 *
 * The waits are the rule's backoff; each failed probe takes the next of them. What is told in DEAD
 * is not counted: those requests were sent before the endpoint was left out.
 *
 * One breaker per endpoint and one group per service, per node: users think in "five failures in a
 * row", not "in a row as one of N workers saw them", and a probe of each worker would be N probes.
 * So they are shared by all workers, without a lock. State, step and end of the wait are one word
 * that changes by compare-and-swap: each transition happens once. What races cost: two outcomes of
 * one endpoint at the same moment may count as one in the averages, and a success beside a failure
 * may be seen before or after it. All zero is new and alive.
 */
#ifndef POLICY_BREAKER_H
#define POLICY_BREAKER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/rng.h"
#include "model/resilience.h"

#define BREAKER_SLICES 5

struct breaker {
	_Atomic uint64_t word;     /* enum breaker_state, steps of the backoff, end of the wait */
	_Atomic uint64_t since_ns; /* when it became alive; 0: at its first outcome */
	_Atomic uint64_t stamp_ns; /* of the last sample */
	_Atomic double average;    /* of success, 0..1 */
	_Atomic uint32_t samples;  /* since it is alive */
	_Atomic uint32_t failures; /* in a row */
	_Atomic uint64_t slices[BREAKER_SLICES]; /* number, and requests in it */
};

/* A service's endpoints together. */
struct breaker_group {
	_Atomic uint64_t next_ns; /* a wait ends then, or earlier; 0 = none waits */
	_Atomic uint32_t epoch;   /* who may be picked changed */
	_Atomic uint32_t removed; /* endpoints that are not alive */
};

enum breaker_state { BREAKER_ALIVE, BREAKER_DEAD, BREAKER_PROBE_OPEN, BREAKER_PROBE_CLOSED };

#define BREAKER_WHY_MAX 64

/* For people. */
struct breaker_view {
	enum breaker_state state;
	uint64_t until_ns; /* DEAD: then a probe may go; PROBE_CLOSED: so long for its outcome; 0 */
	uint32_t failures; /* in a row, as far as the rule counts them */
	uint32_t failed_probes; /* since it was left out */
	bool has_average;
	double average; /* of success, 0..1 */
};

enum breaker_outcome {
	BREAKER_SUCCEEDED,
	BREAKER_FAILED,
	BREAKER_NOT_COUNTED, /* the client left, or the attempt says nothing of the endpoint */
};

enum breaker_change { BREAKER_SAME, BREAKER_REMOVED, BREAKER_REVIVED, BREAKER_PROBE_AGAIN };

/* How an attempt ended. `ready_count`: endpoints of the service that take requests. */
enum breaker_change breaker_tell(struct breaker *breaker, struct breaker_group *group,
				 const struct breaker_rule *rule, uint32_t ready_count,
				 enum breaker_outcome outcome, uint64_t now_ns, struct rng *rng);
enum breaker_state breaker_state(const struct breaker *breaker);
/* As it is now; of a breaker that others change meanwhile each number is a true one, not all of one
 * moment. `rule`: the same as told. */
struct breaker_view breaker_look(const struct breaker *breaker, const struct breaker_rule *rule);
/* "closed", "open" or "probing", as circuit breakers are spoken of. */
const char *breaker_state_name(enum breaker_state state);
/* Why it is left out or would be: "5 failures in a row", "success 62.0 %", "" = no reason. Text of
 * at most BREAKER_WHY_MAX bytes with the NUL; returns it. */
const char *breaker_why(const struct breaker_view *view, const struct breaker_rule *rule,
			char text[BREAKER_WHY_MAX]);
/* May it be picked? Alive, or open for a probe. */
bool breaker_admits(const struct breaker *breaker);
/* It was picked. True: as the probe, and nobody else may until that one's outcome is told. */
bool breaker_take_probe(struct breaker *breaker, struct breaker_group *group,
			const struct breaker_rule *rule, uint64_t now_ns);
/* Opens it for a probe when its wait is over. True: it did now. */
bool breaker_wake(struct breaker *breaker, struct breaker_group *group, uint64_t now_ns);
/* Another endpoint has this id now. */
void breaker_reset(struct breaker *breaker);

/* A wait is over: someone has to go through the endpoints (breaker_group_look). */
bool breaker_group_is_due(const struct breaker_group *group, uint64_t now_ns);
/* Begins a look at all of a group's breakers: breaker_wake each, then breaker_group_looked with the
 * number of those that are not alive. */
void breaker_group_look(struct breaker_group *group);
void breaker_group_looked(struct breaker_group *group, uint32_t removed);

#endif
