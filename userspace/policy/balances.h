/*
 * What one worker remembers of services and endpoints for its balancers, by their ids: made when
 * it is first needed, kept over snapshots while the id stays, begun anew when an id belongs to
 * another, dropped when it belongs to nobody. Pure but for memory; owner: one worker (each
 * balances by its own view).
 *
 * Memory: 8 bytes for each service id and for each 64 endpoint ids; about 200 bytes for each
 * service that was picked from; 2.5 KiB for each 64 ids in a row (PAGE_LOADS) of which one was
 * picked: at most 400 KiB for 10,000 endpoints. balancer `least` has 32 bytes more for each of its
 * service's endpoints. Without memory a pick is a draw by weight.
 */
#ifndef POLICY_BALANCES_H
#define POLICY_BALANCES_H

#include "model/snapshot.h"

#define PAGE_LOADS 64 /* ids that share a page: one word of struct ids */

struct endpoint_load {
	uint32_t birth;     /* of the endpoint whose load this is; 0 = nobody's */
	uint32_t version;   /* it counts in its service's tallies, if that is its state's version */
	uint32_t active;    /* attempts in flight */
	uint32_t place;     /* in the service's heap, from 1 on; 0 = not in it */
	uint8_t is_ejected; /* by circuit breaking: balance_eject */
	uint8_t tier;
	double cost_ns;    /* peak EWMA of round trips (linkerd1.md L2); 0 = unknown */
	uint64_t stamp_ns; /* when cost_ns was last updated */
};

struct load_page {
	struct endpoint_load loads[PAGE_LOADS];
};

/* Of the endpoints that are a service's now. */
struct balance_tally {
	uint32_t active;  /* attempts in flight */
	uint32_t ejected; /* endpoints */
};

struct heap_item {
	double turn;    /* who comes first of those that are equally busy: balance_least.c */
	float pace;     /* mean weight / weight */
	float warmth;   /* of slow start, as of the last pick */
	uint32_t level; /* attempts in flight × pace; UINT32_MAX = ejected */
	uint32_t index; /* of the service's endpoint */
};

/* A worker's memory of one service. */
struct balance_state {
	uint32_t birth;    /* of the service */
	uint32_t version;  /* of the service that the tallies and the heap are of */
	uint32_t balancer; /* enum balancer, of that version */
	struct balance_tally tallies[TIERS];
	struct {
		uint64_t point;  /* of the weights laid end to end */
		uint64_t stride; /* 0 = not known yet */
		uint64_t total;  /* that the stride is for */
	} turns[TIERS];          /* round robin */
	struct {
		double load; /* moving average of the attempts in flight */
		uint64_t stamp_ns;
		uint32_t size;   /* endpoints; 0 = not begun */
		uint32_t offset; /* where it begins, in 2^-32 of the endpoints */
	} aperture;
	struct {
		struct heap_item *items;
		uint32_t count;
		double clock; /* turn of the last one that was picked */
		uint32_t tier;
		bool is_built; /* of this version */
	} heap;
};

struct balances {
	struct load_page **pages; /* by endpoint id / PAGE_LOADS; NULL = nothing known */
	uint32_t page_count;
	struct balance_state **states; /* by service id; NULL = nothing known */
	uint32_t state_count;
};

/* One attempt at an endpoint: from when it was taken to when its answer had come, or not. */
struct balance_attempt {
	uint32_t service_id;
	uint32_t endpoint_id;
	uint32_t birth; /* of the endpoint */
	bool is_open;
	bool is_counted;
	uint64_t began_ns;
	double cost_ns; /* the endpoint's, known at the end; 0 = unknown */
	uint64_t cost_at_ns;
};

enum balance_outcome {
	BALANCE_ANSWERED, /* the attempt's length is the answer's: it counts */
	BALANCE_FAILED,   /* no connection, no answer or half of one */
	BALANCE_LEFT,     /* the client left, or nothing was sent: counts only if it was long */
	BALANCE_UNTIMED,  /* its length says nothing (a tunnel), or was told before */
};

/* For ids of this snapshot: before the first pick in it. When memory is short new ids stay unknown
 * until the next call. */
void balances_adopt(struct balances *balances, const struct snapshot *snapshot);
/* Housekeeping: drops what nobody has in this snapshot. O(ids / 64). */
void balances_sweep(struct balances *balances, const struct snapshot *snapshot);
void balances_fini(struct balances *balances);

/* Makes it known before an attempt that did not come from balance_pick. `ret` is not open yet. */
void balance_place(struct balances *balances, const struct service *service,
		   const struct endpoint *endpoint, struct balance_attempt *ret);
/* The attempt begins; it may be one that has ended and begins again. Ends of attempts at endpoints
 * that are gone meanwhile are fine, and so is a second end. */
void balance_begin(struct balances *balances, struct balance_attempt *attempt, uint64_t now_ns);
void balance_end(struct balances *balances, struct balance_attempt *attempt, uint64_t now_ns,
		 enum balance_outcome outcome);
/* The answer's head is there: how long that took counts, how long its body takes does not. */
void balance_answered(struct balances *balances, const struct balance_attempt *attempt,
		      uint64_t now_ns);
/* A tunnel's connection is there: its round trip counts, how long it is used does not. */
void balance_connected(struct balances *balances, const struct balance_attempt *attempt,
		       uint64_t now_ns);

/* Circuit breaking takes the endpoint out, or lets it in again. False: out of memory, unchanged. */
bool balance_eject(struct balances *balances, const struct service *service,
		   const struct endpoint *endpoint, bool is_ejected) MUST_CHECK;
/* Endpoints that are ready and not ejected. O(1), after a service's change O(its endpoints). */
uint32_t balance_available(struct balances *balances, const struct service *service);
/* All attempts in flight, of endpoints that are known. */
uint64_t balances_active(const struct balances *balances);

/* ---- for the algorithms ---- */

/* NULL: nothing is known of it, which is a load of zero. O(1). */
struct endpoint_load *balances_load(const struct balances *balances,
				    const struct endpoint *endpoint);
/* As above, made if need be, and counted in the service's tallies; NULL = out of memory. */
struct endpoint_load *balances_load_make(struct balances *balances, const struct service *service,
					 const struct endpoint *endpoint);
/* Of this version of the service; NULL = out of memory. */
struct balance_state *balances_state(struct balances *balances, const struct service *service);

#endif
