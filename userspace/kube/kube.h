/*
 * Client of the Kubernetes API server: lists and watches the objects that a node needs and keeps
 * them as plain structs (objects.h). While the server is away the last known state stays, for
 * ever, and says since when it is stale. Owner: one thread, the one of the ring; no callback comes
 * from inside a call of the owner.
 */
#ifndef KUBE_KUBE_H
#define KUBE_KUBE_H

#include "base/text.h"
#include "kube/objects.h"
#include "wire/wire.h"

struct kube;

struct kube_events {
	/*
	 * Added: `before` is NULL. Deleted: `after` is NULL. Changed: both, with the same uid; an
	 * object that was replaced by one of the same name is told as deleted and added. `before`
	 * is freed when the call returns, `after` lives until it is `before`.
	 */
	void (*changed)(void *owner, const struct kube_object *before,
			const struct kube_object *after);
	/* A list is complete: what it did not have was told as deleted. Also after each relist. */
	void (*synced)(void *owner, enum kube_kind kind);
	/* What was not listed in time is now what known_file has. May be NULL. */
	void (*recalled)(void *owner);
};

/* NULL and 0 mean the default. All texts are copied. */
struct kube_options {
	struct wire_loop *loop; /* flushed by the ring's owner before each wait */
	uint64_t seed;          /* of the jitter */
	/*
	 * "https://HOST:port" or "http://HOST:port" of an IP address or a name; default:
	 * in-cluster, from KUBERNETES_SERVICE_HOST and _PORT, which are then required.
	 */
	const char *url;
	const char *token_file;  /* default: the service account's; with http or a ca_file: none */
	const char *ca_file;     /* PEM; default for https: the service account's */
	const char *server_name; /* in the server's certificate; default: the name or IP */
	const char *node;        /* only pods on it, and only this node; default: all */
	unsigned kinds;          /* bit per enum kube_kind; default: all */
	/* Labels and annotations whose key begins so are kept; ended by NULL. */
	const char *const *keep;
	unsigned page_items; /* default 500 */
	uint64_t stall_ns;   /* a watch without a byte is asked for again; default 90 s */
	/* How long a change may wait for others to be read with it, so that a cluster that never
	 * rests costs little; default: not at all. */
	uint64_t rest_ns;
	/*
	 * Where what is known is kept for the client after this one; default: nowhere. If the
	 * server has not listed everything within a second, what the client before this one knew is
	 * told from there, and the lists that come then replace it.
	 */
	const char *known_file;
	const struct kube_events *events;
	void *owner;
};

/* Begins at once. 0, -EINVAL, -ENOENT, -ENOMEM … and a sentence in `why`. */
int kube_open(const struct kube_options *options, struct text *why,
	      struct kube **ret_kube) MUST_CHECK;
/* Turns the ring until every connection is gone; no more callbacks. Not from a callback of the
 * ring. NULL is fine. */
void kube_close(struct kube *kube);

/* ---- what is known ---- */

/* NULL = no such object. `namespace` is "" for namespaces and nodes. */
const struct kube_object *kube_find(const struct kube *kube, enum kube_kind kind,
				    const char *namespace, const char *name);
/* In no order; `each` must not call into kube. */
void kube_each(const struct kube *kube, enum kube_kind kind,
	       void (*each)(void *owner, const struct kube_object *object), void *owner);

enum kube_watch_state { KUBE_LISTING, KUBE_WATCHING, KUBE_BACKING_OFF };

/* Why an attempt ended or an object was not understood. */
enum kube_fault {
	KUBE_FAULT_RESOLVE,      /* its name leads nowhere, and never did */
	KUBE_FAULT_CONNECT,      /* no connection, or it broke */
	KUBE_FAULT_TLS,          /* handshake, certificate */
	KUBE_FAULT_UNAUTHORIZED, /* 401 */
	KUBE_FAULT_FORBIDDEN,    /* 403: RBAC */
	KUBE_FAULT_GONE,         /* 410, also as an ERROR in a stream: listed anew */
	KUBE_FAULT_BUSY,         /* 429 */
	KUBE_FAULT_SERVER,       /* 5xx, any other status, ERROR in a stream */
	KUBE_FAULT_STALLED,      /* no byte for too long */
	KUBE_FAULT_GARBAGE,      /* no HTTP, no JSON, or cut off in the middle of an item */
	KUBE_FAULT_TOO_LARGE,    /* an item beyond the limit was skipped */
	KUBE_FAULT_UNREADABLE,   /* an object without a name, or of another kind, was skipped */
	KUBE_FAULT_FIELD,        /* a field of a wrong type or value was left out */
	KUBE_FAULT_MEMORY,
	KUBE_FAULTS,
};

struct kube_status {
	enum kube_watch_state state;
	bool is_synced;   /* a list was complete once, or it is recalled */
	bool is_recalled; /* it is what known_file has */
	uint64_t objects;
	uint64_t lists;   /* complete ones; all but the first are relists */
	uint64_t watches; /* streams that were opened */
	uint64_t changes; /* events of streams, bookmarks not counted */
	uint64_t faults[KUBE_FAULTS];
	double byte_age_s;      /* since the last byte of an answer; < 0 = never */
	double sync_age_s;      /* since the last complete list; < 0 = never */
	double stale_s;         /* since the server stopped telling; 0 = it does now */
	const char *version;    /* resourceVersion that is known */
	const char *last_fault; /* a sentence, "" = none; stays until the next fault */
};

/* Texts in it are valid until the ring turns. */
void kube_status(const struct kube *kube, enum kube_kind kind, struct kube_status *ret_status);
bool kube_watches(const struct kube *kube, enum kube_kind kind);
/* "connect", "tls", … for metrics. */
const char *kube_fault_name(enum kube_fault fault);
const char *kube_watch_state_name(enum kube_watch_state state);

/* ---- kept for the next client ---- */

/* Writes known_file now, in one go: for an orderly end. */
void kube_keep(struct kube *kube);
/* Removes it and writes no other. */
void kube_keep_nothing(struct kube *kube);

struct kube_known {
	const char *file;       /* "" = none */
	bool was_used;          /* what it had is or was told */
	uint64_t bytes;         /* of the last one that was written */
	uint64_t written;       /* files */
	uint64_t write_faults;  /* attempts that failed: the file stayed what it was */
	uint64_t read_faults;   /* there was one, and it was not used */
	const char *last_fault; /* a sentence, "" = none */
};

void kube_known(const struct kube *kube, struct kube_known *ret_known);

/* ---- Events, for people who look at a pod with kubectl describe ---- */

struct kube_note {
	const struct kube_object *object; /* pod, service, namespace or node it is about */
	const char *reason;               /* one word, "BadAnnotation" */
	const char *message;
	uint64_t now_s; /* since 1970 */
};

/*
 * Creates an Event of type Warning. The same note about the same object is made only once, also
 * by another run of the program (its name is a hash). One request at a time, a few per second.
 * 0, -EAGAIN (the queue is full: counted as dropped), -ENOMEM.
 */
int kube_tell(struct kube *kube, const struct kube_note *note) MUST_CHECK;

struct kube_note_counts {
	uint64_t made;    /* or found to exist already */
	uint64_t failed;  /* refused, or given up */
	uint64_t dropped; /* the queue was full */
	uint32_t queued;
};

void kube_note_counts(const struct kube *kube, struct kube_note_counts *ret_counts);

#endif
