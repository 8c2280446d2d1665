/*
 * One connection that we accepted, from accept to its last completion. It begins undecided, as
 * HTTP or as a tunnel by the service's protocol, and hands its bytes to one of them. Internal.
 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include "http/server_name.h"
#include "http/sniff.h"
#include "proxy/upstream.h"

enum session_mode {
	SESSION_SNIFF,  /* declared HTTP: waits for the first bytes, nothing is dialled */
	SESSION_HTTP,   /* reader and exchanges */
	SESSION_TUNNEL, /* tunnel, decided or not */
	SESSION_ENDING,
};

struct session {
	struct wire client;
	struct list link;
	struct worker *worker;
	struct worker_pod *pod;
	struct weft_address destination; /* as the app dialled it */
	struct weft_address app;
	struct h1_reader reader;
	struct edge *edge;         /* of the pod: where this connection was to go */
	struct exchange *exchange; /* the one that is open */
	struct parked *parked;     /* a request that waits for its name (park.h) */
	struct tunnel *tunnel;     /* also: an upstream dialled before HTTP was detected */
	struct upstream *pinned;   /* NTLM, Negotiate */
	struct timer timer;        /* of a head that has begun, or of a pause */
	uint64_t accepted_ns;
	uint64_t leg; /* 0: the app's connection has no shortcut */
	uint32_t leg_slot;
	uint32_t service_id; /* 0: no mesh service */
	uint32_t series;     /* service's total */
	uint32_t exchanges;
	struct server_name *hello; /* a ClientHello passes and its SNI is not found yet */
	char *server_name;         /* SNI of a ClientHello that passed, NULL = none */
	char prefix[32];           /* first bytes while it is not known what they are */
	uint8_t prefix_size;
	uint8_t mode;               /* enum session_mode */
	bool is_client_done;        /* the client sends nothing more */
	bool times_head;            /* what the timer is for */
	bool waits_for_room;        /* pipelined requests wait until the answers have left */
	bool closes;                /* after the exchange that is open */
	uint16_t destination_flags; /* enum weft_destination_flag */
};
_Static_assert(sizeof(struct session) <= 576, "an idle connection holds one");

/* Takes an accepted connection. */
void session_accept(struct listener *listener, int fd);
static inline struct weft_leg_end session_leg(const struct session *session)
{
	return (struct weft_leg_end){session->leg, session->leg_slot, WEFT_LEG_ACCEPTOR};
}
const struct service *session_service(const struct session *session);
/* What a person calls its destination: the service's name, or the address dialled. */
const char *session_destination(const struct session *session, char text[ADDRESS_TEXT_MAX]);

/*
 * Sniffs the prefix and these bytes. SNIFF_MORE: they were added to the prefix. SNIFF_HTTP1: the
 * session is HTTP now and has parsed them; an upstream that was dialled is kept for it. Otherwise
 * they are for a tunnel, after the prefix.
 */
enum sniff session_sniff(struct session *session, struct span bytes);
/* Bytes that pass on to a tunnel: while `hello` is set they are looked through for the name. */
void session_note_hello(struct session *session, struct span bytes);
enum weft_proxy_reason session_tunnel_reason(enum sniff answer, enum weft_proxy_reason otherwise);
/* The exchange has ended; the next request may be read, or the client is closed. */
void session_exchange_ended(struct session *session, bool keep_alive);

/* The request that waited has an exchange or was answered: its rest is read. */
void session_goes_on(struct session *session);

void session_close(struct session *session); /* after what is queued, lingering */
void session_abort(struct session *session);
/* RST after what is queued was sent. */
void session_abort_after_queue(struct session *session);
/* Draining: closes it if it is idle, else marks it. One that has sent no request yet is about to;
 * it is closed only with `closes_new`. */
void session_drain(struct session *session, bool closes_new);
bool session_is_idle(const struct session *session);

#endif
