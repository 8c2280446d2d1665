/*
 * Until when an answer is wanted: read from a request, tightened, told to the next hop
 * (linkerd1.md O4 and 1.9, l5d-ctx-deadline; grpc-timeout of the gRPC-over-HTTP/2 protocol). Pure;
 * wall clock in nanoseconds since 1970 is an argument.
 */
#ifndef POLICY_DEADLINE_H
#define POLICY_DEADLINE_H

#include "http/message.h"

#define DEADLINE_HEADER       "l5d-ctx-deadline"
#define DEADLINE_TEXT_MAX     44 /* two numbers, a blank */
#define GRPC_TIMEOUT_TEXT_MAX 12
/* Clocks of two nodes may differ by as much without a request being refused. */
#define DEADLINE_SKEW_NS 100000000ull

struct deadline {
	uint64_t stamp_ns; /* when it was set; the latest of all hops */
	uint64_t at_ns;    /* 0 = none */
};

/* One value: two decimal integers and a blank. -EINVAL: malformed, to be ignored. */
int deadline_parse(struct span value, struct deadline *ret_deadline) MUST_CHECK;
/* "5S", "250m": one to eight digits and H, M, S, m, u or n. -EINVAL. */
int deadline_parse_grpc(struct span value, uint64_t *ret_ns) MUST_CHECK;
/* Has the request a field that deadline_read looks at? */
bool deadline_is_told(const struct http_head *request);
/* Of a request: all l5d-ctx-deadline fields together (latest stamp, earliest deadline) and
 * grpc-timeout. at_ns 0 when there is none. */
struct deadline deadline_read(const struct http_head *request, uint64_t wall_ns);
/* No later than in timeout_ns; 0 = no limit. */
void deadline_tighten(struct deadline *deadline, uint64_t wall_ns, uint64_t timeout_ns);
/* Over by more than the clocks may differ. False without a deadline. */
bool deadline_has_passed(const struct deadline *deadline, uint64_t wall_ns);
/* Nanoseconds until it has passed, the skew included; UINT64_MAX without one. */
uint64_t deadline_left_ns(const struct deadline *deadline, uint64_t wall_ns);
struct span deadline_print(const struct deadline *deadline, char text[DEADLINE_TEXT_MAX]);
/* The most exact unit that eight digits hold; rounded down. */
struct span deadline_print_grpc(uint64_t timeout_ns, char text[GRPC_TIMEOUT_TEXT_MAX]);

#endif
