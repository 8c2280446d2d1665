/* What the files of control share. Owner: the control thread. */
#ifndef CONTROL_STATE_H
#define CONTROL_STATE_H

#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

#include "base/list.h"
#include "base/hash.h"
#include "base/pace.h"
#include "control/config.h"
#include "control/control.h"
#include "control/dns_names.h"
#include "control/folders.h"
#include "control/guests.h"
#include "control/source.h"
#include "control/watch.h"
#include "model/builder.h"

#define CONTROL_WANTED_MOST 1024

/* A pod in the kernel's map from a weftd before this one. */
struct adopted_pod {
	struct weft_pod_key key;
	uint32_t pod_id;
	char name[WEFT_NAME_MAX];
	bool fails_closed;
	bool is_settled; /* removed, or overwritten by an enrolment */
};

/* Ids of a weftd before this one. */
struct adopted_names {
	struct known_id *services;
	uint32_t service_count;
	uint32_t service_capacity;
	struct known_id *pods;
	uint32_t pod_count;
	uint32_t pod_capacity;
	int error;
};

enum enrolment_state {
	ENROLMENT_WAITING,  /* for one that leaves and has the same id or place */
	ENROLMENT_FAILED,   /* tried again each second */
	ENROLMENT_SERVING,  /* listeners are open, workers are taking them over */
	ENROLMENT_CAPTURED, /* the kernel sends dials */
	ENROLMENT_DRAINING, /* capture is off, workers are letting go */
};

/* One pod's way into the kernel's map and out of it. */
struct enrolment {
	struct list item;
	struct control *control;
	const struct pod *pod; /* kept */
	enum enrolment_state state;
	bool is_leaving; /* not to come back once it is drained */
	bool is_in_map;  /* kernel_pod_put was done with `key` */
	bool is_refused; /* its row stays for the next weftd, without listeners */
	uint32_t served; /* bit by worker */
	uint32_t left;   /* bit by worker */
	dev_t place_dev; /* identity of the namespace or cgroup behind the path */
	ino_t place_inode;
	struct stock_pod *stock;
	struct stock_listeners listeners; /* descriptors belong to the workers */
	struct weft_pod_key key;
	uint64_t since_ns;
	struct text error;
};

struct control {
	struct control_options options;
	char *config_path;
	struct config *config; /* the last good one */
	struct list sources;   /* of struct source */
	const char *node;      /* as in struct build_options */
	const char *zone;
	struct guests guests; /* the first of them */
	struct folders folders;
	struct dns_names dns;
	_Atomic uint32_t wanted_count;  /* names on their way here, at most CONTROL_WANTED_MOST */
	const struct snapshot *current; /* the published one */
	enum weft_shortcut shortcut;    /* of the mesh, as pods' rows have it */
	uint32_t shortcut_window;
	struct watch *watch; /* NULL = no inotify: SIGHUP only */
	struct io_mail start;
	bool is_started;    /* the start mail ran */
	struct timer build; /* changes that come together are taken together */
	struct pace pace;   /* of builds */
	bool file_changed;
	bool sources_changed;
	struct timer tick;
	struct hash destinations; /* mirror of the kernel's map */
	bool destinations_owed;   /* the kernel's map is to be compared as a whole */
	bool is_draining;
	bool is_stopped; /* the workers are ending or gone */
	void (*drained)(void *owner);
	void *drained_owner;
	struct list enrolments;
	struct adopted_pod *adopted;
	uint32_t adopted_count;
	struct adopted_names adopted_names;
	/* Until they are released nothing of that weftd's is removed. */
	bool holds_destinations; /* and ids of services */
	bool holds_adopted;      /* pods and their ids */
	time_t loaded_at;
	struct text last_error; /* of the last read; empty = it was good */
	time_t failed_at;
	struct text left_out; /* services of sources that had to give way, a line for each */
};

/* ---- adopt.c ---- */
/* Fills control->adopted and the names with their ids. */
int adopt_read(struct control *control, struct adopted_names *ret_names) MUST_CHECK;
void adopted_names_fini(struct adopted_names *names);
void adopted_services_fini(struct adopted_names *names);
/* Removes the rows of this name; `key` (NULL = none) is about to be overwritten and stays. */
void adopted_settle(struct control *control, const char *name, const struct weft_pod_key *key);
/* Removes the rows of pods that the snapshot does not have. */
void adopted_settle_absent(struct control *control, const struct snapshot *snapshot);
/* Removes all of them, but those by which dials are refused when another weftd is to come. */
void adopted_settle_all(struct control *control, enum drain drain);

/* ---- destinations.c: the kernel's map of mesh destinations ---- */
/*
 * Publishes in the order in which no dial is sent for a service that workers do not know: what is
 * gone leaves the map first, what is new enters it last.
 */
void destinations_publish(struct control *control, struct snapshot *next);
/* Removes what the current snapshot does not have. */
void destinations_remove_stale(struct control *control);
/* Makes the whole map equal to the current snapshot. */
void destinations_reconcile(struct control *control);
void destinations_fini(struct control *control);

/* ---- pods.c ---- */
/* Brings enrolments in line with the current snapshot. */
void pods_apply(struct control *control);
/* Once a second: vanished namespaces, pods that failed. */
void pods_tick(struct control *control);
void pods_drain(struct control *control, enum drain drain);
bool pods_is_captured(const struct control *control, const char *name);
/* Its sandbox is about to be removed: everything of it ends now. */
void pods_cut(struct control *control, const char *name);
/* Forgets them; the kernel's map stays as it is. */
void pods_close(struct control *control);

/* ---- control.c ---- */
/* After an enrolment ended: calls `drained` if that was the last one. Last thing a caller does. */
void control_check_drained(struct control *control);

#endif
