/*
 * The thread that learns: config file -> snapshot -> publish -> kernel maps, and pods -> enrolment.
 * Everything here runs in the control thread unless it says otherwise. It never includes proxy or
 * admin: main.c wires them by hooks.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include "base/text.h"
#include "io/ring.h"
#include "kernel/kernel.h"
#include "kernel/stock.h"
#include "model/publish.h"
#include "telemetry/series.h"

struct control;

/* Up-calls, set once; each returns at once. */
struct control_hooks {
	void *owner;
	/*
	 * The pod's listeners are open and marked, its map entry is not yet written. Workers take
	 * the listeners over (they close them) and each tells control_pod_served when it accepts on
	 * its own; then capture is switched on. Who cannot tells control_pod_not_served.
	 */
	void (*pod_added)(void *owner, const struct pod *pod, struct stock_pod *stock,
			  const struct stock_listeners *listeners);
	/*
	 * Capture is off in the map already. Workers accept what is queued, close the listeners,
	 * let sessions end within drain_ns (0 = cut them), then each tells control_pod_left.
	 */
	void (*pod_removing)(void *owner, uint32_t pod_id, uint64_t drain_ns);
	/* A snapshot is current in which names may be known that were not: workers look again at
	 * the requests that wait for one. May be NULL. */
	void (*names_changed)(void *owner);
};

struct control_options {
	const char *config_path;
	struct io_ring *ring; /* the control thread's own */
	struct kernel *kernel;
	struct stock *stock;
	struct snapshot_slot *slot;
	struct series_store *series;
	unsigned workers;
	struct control_hooks hooks;
};

/*
 * Reads a config file into a snapshot that is published nowhere; for --validate, for main.c (which
 * needs settings before anything is opened) and for tests. On failure -EINVAL (or -errno of the
 * file) and lines "FILE:LINE: key: what is wrong and what to do" in `why`. Series are claimed and
 * ids kept stable only by control_open / control_reload; here ids count from 1.
 */
int config_read(const char *path, struct text *why, struct snapshot **ret_snapshot) MUST_CHECK;

/*
 * Loads the config, publishes it and watches the file (also for symlink swaps). Pods are enrolled
 * from the ring's first turn on, so that hooks.pod_added is never called from inside control_open.
 * The kernel's maps from a weftd before this one are adopted: names keep
 * their ids, what the config does not have is removed.
 */
int control_open(const struct control_options *options, struct text *why,
		 struct control **ret_control) MUST_CHECK;
/* Before the workers end: from now on nothing is read, taken in or given to them, whatever the ring
 * still brings. NULL is accepted. */
void control_stop(struct control *control);
/* After the workers have ended; turns the ring until nothing of control is in flight on it, so not
 * to be called from a callback of that ring. The kernel's maps stay as they are. */
void control_close(struct control *control);

/* SIGHUP: as when the file changed. A bad file changes nothing and is logged. */
void control_reload(struct control *control);
/*
 * A pod at run time: enrolled from now until control_pod_drop. `spec` is one element of the
 * config's pods[], JSON or YAML. -EINVAL (a line for each wrong key), -EEXIST (name or place is
 * taken), -ENOENT and other errors of the place, -ENOMEM, -ESHUTDOWN while draining, with a
 * sentence in `why`. 0: `told` comes once, later, from the ring: with NULL when capture is on, else
 * with the reason; not after control_pod_drop.
 */
struct guest;
int control_pod_add(struct control *control, struct span spec,
		    void (*told)(void *owner, const char *error), void *owner, struct text *why,
		    struct guest **ret_guest) MUST_CHECK;
/* Un-enrols it as if the config had lost it, also after it could not be enrolled. */
void control_pod_drop(struct control *control, struct guest *guest);

/* Capture off for every pod, hooks.pod_removing for each, then `done` (at once when there is none).
 * Reloads end. A second call only replaces `done`. */
enum drain {
	DRAIN_FOR_RESTART, /* SIGTERM: dials of pods that fail closed are refused from now on */
	DRAIN_FOR_GOOD,    /* POST /drain: nobody is to come after this weftd; dials pass */
};
void control_drain(struct control *control, enum drain drain, void (*done)(void *owner),
		   void *owner);

/* From any thread. */
void control_pod_served(struct control *control, uint32_t pod_id, unsigned worker);
/* A worker could not take the pod's listeners, and closed them: the pod is taken back and tried
 * again. */
void control_pod_not_served(struct control *control, uint32_t pod_id, unsigned worker);
void control_pod_left(struct control *control, uint32_t pod_id, unsigned worker);

/* From any thread: a request's name leads to this service below a namer's prefix, which its
 * snapshot does not have: "#/dns/web.example/80". Copied. It comes in a snapshot soon, or never:
 * who waits for it says so again now and then. */
void control_name_wanted(struct control *control, struct span service);

/* A config is published, no pod is on its way into the kernel's map (pods that failed and are tried
 * again do not count, nor do those that leave), and weftd does not drain. */
bool control_is_ready(const struct control *control);

/* JSON for the admin room: what is enrolled, how, since when, connections older than enrolment,
 * the reasons counted by the kernel; and the outcome of the last config read. */
void control_pods_json(const struct control *control, struct text *json);
void control_config_json(const struct control *control, struct text *json);
/* What namers know that learn from others: a JSON object with the list `namers`. */
void control_namers_json(const struct control *control, struct text *json);
void control_metrics(const struct control *control, struct text *page);

#endif
