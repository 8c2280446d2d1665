/*
 * Controls of the kernel room's double (userspace/kernel/double/): kernel.h and stock.h in plain
 * memory, for other rooms' tests, without root. Like pins, what was put in survives kernel_close
 * and is gone after kernel_remove or kernel_double_reset. Any thread; one mutex.
 */
#ifndef KERNEL_DOUBLE_H
#define KERNEL_DOUBLE_H

#include "kernel/kernel.h"
#include "kernel/stock.h"

/* As before the first call: no pods, no flows, no failures, no hooks. */
void kernel_double_reset(void);

/*
 * Where the stock's sockets and the listeners come from. NULL (default): numbers from 1 << 20
 * upwards that are no descriptors. A test on the io double sets these to functions that make its
 * pretended sockets. Called with the double's mutex held.
 */
extern int (*kernel_double_socket)(sa_family_t family);
extern int (*kernel_double_listener)(sa_family_t family, __be16 port);

/* ---- failures; 0 turns them off ---- */
void kernel_double_fail_open(int error, const char *why); /* kernel_open */
void kernel_double_fail_put(int error);                   /* pods, exclusions, destinations */
void kernel_double_fail_pod(int error, const char *why);  /* stock_pod_open */
/* true: stock_take says -EAGAIN. false again: waiting shares get their callback, here and now. */
void kernel_double_dry(bool is_dry);
void kernel_double_no_ipv6(bool is_absent); /* pods opened from now on */

/* ---- what the kernel would do ---- */
/* Of the next accepted connection that is asked about, whatever its descriptor. */
void kernel_double_flow_next(const struct weft_flow *flow);
size_t kernel_double_flow_count(void); /* not asked for yet */
#define KERNEL_DOUBLE_LEGS 8
/* The next socket of ours that is asked about is this end of a leg. */
void kernel_double_leg_next(const struct weft_leg_end *end);
/* The leg in this slot, to be written to as the kernel would; free at first. */
struct weft_leg *kernel_double_leg(uint32_t slot);
bool kernel_double_watches_splices(void);
void kernel_double_reason_add(uint32_t pod_id, enum weft_reason reason, uint64_t count);
void kernel_double_traffic_set(const struct weft_traffic_key *key,
			       const struct weft_traffic *traffic);
void kernel_double_uncaptured_add(uint32_t pod_id, const struct weft_address *local,
				  const struct weft_address *peer);

/* ---- what was put in; NULL or false when it is not there ---- */
const struct weft_pod *kernel_double_pod(const struct weft_pod_key *key);
const struct weft_destination *kernel_double_destination(const struct weft_address *address);
size_t kernel_double_pod_count(void);
size_t kernel_double_destination_count(void);
bool kernel_double_skips_port(uint32_t pod_id, uint16_t port);
bool kernel_double_skips_cidr(uint32_t pod_id, const struct weft_address *network, uint8_t prefix);
bool kernel_double_mark_of(int fd, struct weft_socket *ret_mark);
size_t kernel_double_sockets_taken(void); /* by stock_take, since the reset */

#endif
