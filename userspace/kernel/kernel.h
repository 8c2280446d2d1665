/*
 * weft's BPF programs and maps: load or adopt, attach, pin, fill. Contract: include/weft/maps.h.
 * Owner: the control thread, but for kernel_flow_take, kernel_socket_mark and the shortcut's, which
 * any thread may call (they are single system calls on a map's descriptor, or plain memory).
 */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include "base/address.h"
#include "base/attr.h"
#include "base/text.h"
#include "weft/maps.h"

struct kernel;

struct kernel_options {
	const char *pin_dir;     /* NULL = WEFT_PIN_DIR; bpffs is mounted there if it is missing */
	const char *cgroup_root; /* NULL or "" = the cgroup v2 mount, found from mountinfo */
	unsigned workers;
};

/*
 * Loads and attaches, or adopts what a weft of the same layout left pinned (the maps keep their
 * contents, the programs are replaced atomically). Another weft version's pins are replaced; pins
 * that are not weft's are refused. On failure 0 > -errno and a sentence in `why`: what, where, why
 * and what to do.
 */
int kernel_open(const struct kernel_options *options, struct text *why,
		struct kernel **ret_kernel) MUST_CHECK;
/* Leaves pins and links in place: the programs outlive the process. */
void kernel_close(struct kernel *kernel);
/* Detaches and removes every pin. 0 or -errno. */
int kernel_remove(const char *pin_dir, struct text *why) MUST_CHECK;

/* Memory maps that workers write and anybody reads; live as long as the kernel object. */
struct weft_series *kernel_series(struct kernel *kernel); /* [workers * WEFT_SERIES_MAX] */
struct weft_series_label *kernel_series_labels(struct kernel *kernel); /* [WEFT_SERIES_MAX] */
struct weft_proxy_counts *kernel_proxy_counts(struct kernel *kernel);  /* [WEFT_WORKERS_MAX] */
uint64_t *kernel_heartbeats(struct kernel *kernel);                    /* [WEFT_WORKERS_MAX] */

/* Who is enrolled. 0 or -errno. Removing one that is absent is 0. */
int kernel_pod_put(struct kernel *kernel, const struct weft_pod_key *key,
		   const struct weft_pod *pod) MUST_CHECK;
int kernel_pod_remove(struct kernel *kernel, const struct weft_pod_key *key, uint32_t pod_id);
/* Calls back for every enrolled pod, also those of a weftd that died. */
int kernel_pod_each(struct kernel *kernel,
		    void (*each)(const struct weft_pod_key *key, const struct weft_pod *pod,
				 void *owner),
		    void *owner);
int kernel_skip_port(struct kernel *kernel, uint32_t pod_id, uint16_t port) MUST_CHECK;
int kernel_skip_cidr(struct kernel *kernel, uint32_t pod_id, const struct weft_address *network,
		     uint8_t prefix) MUST_CHECK;
/* Removes all exclusions of that pod. */
void kernel_skip_clear(struct kernel *kernel, uint32_t pod_id);

int kernel_destination_put(struct kernel *kernel, const struct weft_address *address,
			   const struct weft_destination *destination) MUST_CHECK;
int kernel_destination_remove(struct kernel *kernel, const struct weft_address *address);
int kernel_destination_each(struct kernel *kernel,
			    void (*each)(const struct weft_address *address,
					 const struct weft_destination *destination, void *owner),
			    void *owner);

/* Any thread. The flow of an accepted connection, also of one that its peer has reset since. 0 or
 * -errno; -ENOENT: no captured dial. */
int kernel_flow_take(const struct kernel *kernel, int fd, struct weft_flow *ret_flow) MUST_CHECK;
/* Any thread. Marks a socket as ours (listener, or exempt upstream). 0 or -errno. */
int kernel_socket_mark(const struct kernel *kernel, int fd,
		       const struct weft_socket *mark) MUST_CHECK;

/* ---- the shortcut (any thread but for the last call) ---- */
/* The leg that a connected socket of ours is an end of. 0 or -errno; -ENOENT: it is on TCP. */
int kernel_leg_take(const struct kernel *kernel, int fd, struct weft_leg_end *ret_end) MUST_CHECK;
/* What the kernel knows of it: plain memory that it writes to. NULL: no leg, or it is over. */
const struct weft_leg *kernel_leg(const struct kernel *kernel, const struct weft_leg_end *end);
/* All later messages of both ends go by TCP, for the first reason that is given. */
void kernel_leg_to_tcp(const struct kernel *kernel, const struct weft_leg_end *end,
		       enum weft_reason reason);
/* Who splices sockets keeps its pod on TCP. Makes each system call of the machine slower, so only
 * where somebody has the shortcut `on`. 0, or -errno and a sentence in `why`. */
int kernel_splice_watch(struct kernel *kernel, bool is_wanted, struct text *why) MUST_CHECK;

/* Sum of one reason over all pods, or of one pod (pod_id > 0). */
uint64_t kernel_reason_count(const struct kernel *kernel, uint32_t pod_id, enum weft_reason reason);
int kernel_traffic_each(const struct kernel *kernel,
			void (*each)(const struct weft_traffic_key *key,
				     const struct weft_traffic *traffic, void *owner),
			void *owner);
const char *weft_reason_name(enum weft_reason reason);
const char *weft_reason_help(enum weft_reason reason);

#endif
