/* The one pretended kernel of the double, for its own files. Hold the mutex while you use it. */
#ifndef KERNEL_DOUBLE_MACHINE_H
#define KERNEL_DOUBLE_MACHINE_H

#include <pthread.h>

#include "kernel/double.h"
#include "kernel/double/rows.h"

struct machine {
	struct rows pods;
	struct rows destinations;
	struct rows skip_ports;
	struct rows skip_cidrs;
	struct rows flows; /* number -> weft_flow, oldest first */
	uint64_t next_flow;
	struct rows reasons;
	struct rows traffic;
	struct rows marks;                /* descriptor -> weft_socket */
	struct rows uncaptured;           /* uncaptured_key -> nothing */
	struct weft_leg_end next_leg_end; /* leg 0 = none */
	struct weft_leg legs[KERNEL_DOUBLE_LEGS];
	bool watches_splices;

	/* like maps that stay pinned: kept from one kernel_open to the next */
	struct weft_series *series;
	size_t series_workers;
	struct weft_series_label *labels;
	struct weft_proxy_counts *proxy_counts;
	uint64_t *heartbeats;

	int open_error;
	const char *open_why;
	int put_error;
	int pod_error;
	const char *pod_why;
	bool is_dry;
	bool has_no_ipv6;
	int next_fd;
	uint16_t next_port;
	size_t sockets_taken;
	struct stock_share *waiting; /* shares that were told -EAGAIN */
};

struct uncaptured_key {
	uint32_t pod_id;
	struct weft_address local;
	struct weft_address peer;
};

extern struct machine machine;
extern pthread_mutex_t machine_mutex;

/* stock.c: calls and clears the list of waiting shares. */
void machine_refill(void);

#endif
