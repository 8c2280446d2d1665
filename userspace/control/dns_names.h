/*
 * The namers of kind dns and dns_srv (linkerd1.md M7): names below /#/PREFIX that the dtab has, or
 * that requests led to, are services whose endpoints DNS knows. A source of drafts; asks again as
 * answers grow old. Owner: the control thread, on its ring; no thread waits for DNS.
 */
#ifndef CONTROL_DNS_NAMES_H
#define CONTROL_DNS_NAMES_H

#include "base/hash.h"
#include "base/rng.h"
#include "control/source.h"
#include "dns/pace.h"

#define DNS_LOOKUPS_MOST 32            /* of one namer under way; the others wait in line */
#define DNS_REFUSED_MOST 16            /* names without room that are told so at a time */
#define DNS_REFUSED_NS   5000000000ull /* for how long they are */
#define DNS_PARTIAL_MOST 3 /* partial answers in a row for which the last whole one is kept */
#define DNS_USED_NS      10000000000ull  /* what was used since then keeps its place */
#define DNS_IDLE_NS      600000000000ull /* what was not used for so long is forgotten */

enum dns_name_state {
	DNS_NAME_ASKED,   /* for the first time: nothing is known, who needs it waits */
	DNS_NAME_FOUND,   /* `endpoints`, perhaps from before `failures` */
	DNS_NAME_ABSENT,  /* DNS says that there is none, perhaps before `failures` */
	DNS_NAME_UNKNOWN, /* DNS never said anything of it; it is a service without endpoints */
	DNS_NAME_REFUSED, /* no room */
	DNS_NAME_STATES,
};

struct dns_name {
	struct hash_item item; /* of the table, by text */
	struct list link;      /* of its namer */
	struct list waiting;   /* for its turn, of its namer */
	struct dns_names *names;
	struct dns_namer *namer;
	struct dns_lookup *lookup; /* under way; NULL = none */
	struct timer timer;        /* to the next look-up */
	enum dns_name_state state;
	bool is_literal;      /* stands in the dtab: never forgotten */
	uint64_t used_ns;     /* when it was last known to be used */
	uint64_t answered_ns; /* last answer, also that it is absent; 0 = none yet */
	uint32_t failures;    /* in a row */
	uint64_t failed;      /* in all */
	const char *why;      /* of the last look-up that found nothing; static */
	uint32_t count;
	struct endpoint_draft *endpoints;
	uint16_t port;            /* of a host */
	char host[DNS_NAME_MAX];  /* complete, as DNS is asked; "" = it cannot be asked for */
	char text[WEFT_NAME_MAX]; /* the service's name: "#/dns/web.example/80" */
};

struct dns_namer {
	struct list link;
	struct dns_names *names;
	struct dns_resolver *resolver; /* NULL: it could not be opened, tried again each second */
	struct list all;               /* of struct dns_name */
	struct list waiting;
	uint32_t counts[DNS_NAME_STATES];
	uint32_t under_way;
	bool is_asking;    /* ask_next is on the stack */
	uint64_t found[3]; /* look-ups that ended, by enum dns_finding */
	uint64_t refused;
	bool is_configured; /* in the config of the next build */
	char *form;         /* all that its element of the config says */
	/* of which these: */
	enum namer_kind kind;
	enum dns_family family;
	uint32_t names_most;
	uint64_t timeout_ns;
	struct dns_pace pace;
	uint32_t server_count;
	struct weft_address servers[DNS_RESOLVER_SERVERS_MAX];
	char domain[DNS_NAME_MAX];
	char prefix[WEFT_NAME_MAX];
};

struct dns_names {
	struct source source; /* services "#/PREFIX/NAME", without addresses of their own */
	struct control *control;
	struct io_ring *ring;
	struct rng rng;
	struct hash table;   /* of struct dns_name */
	struct list namers;  /* of struct dns_namer */
	struct list leaving; /* resolvers that are ending, each in a struct dns_namer */
	struct timer tick;
	bool is_closing;
	bool is_changed;   /* since source.services was made */
	char *dtab;        /* that literal names were taken from; NULL = none yet */
	uint32_t capacity; /* of source.services */
	struct service_draft defaults;
};

void dns_names_init(struct dns_names *names, struct control *control, struct io_ring *ring);
/* Turns the ring until the last operation is back. */
void dns_names_close(struct dns_names *names);
/* A request's name leads to the service of this name, which the snapshot did not have. */
void dns_names_want(struct dns_names *names, struct span service);

/* ---- dns_show.c ---- */
void dns_names_json(const struct dns_names *names, struct text *json);
void dns_names_metrics(const struct dns_names *names, struct text *page);

/* ---- between dns_names.c (names, look-ups) and dns_config.c (namers) ---- */
/* Which config the next build is of: namers come, those that are not in it stay until it is built.
 */
void dns_names_configure(struct source *source, const struct draft *config);
void dns_names_built(struct source *source, const struct snapshot *snapshot);
/* Once a second: opens resolvers that could not be opened, frees those that have ended. */
void dns_namers_tick(struct dns_names *names);
void dns_namers_free(struct dns_names *names);
/* The name is the namer's from now on, and is asked for anew; what is known of it stays. */
void dns_name_move(struct dns_name *name, struct dns_namer *namer);
/* Frees it; the snapshot has it until the next build. */
void dns_name_forget(struct dns_name *name);
struct dns_name *dns_name_find(const struct dns_names *names, struct span service);
/* Below this namer; NULL: it is no name of its kind, or out of memory. */
struct dns_name *dns_name_add(struct dns_namer *namer, struct span service, bool is_literal);
const char *dns_name_state_name(enum dns_name_state state);

#endif
