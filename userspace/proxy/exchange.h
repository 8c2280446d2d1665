/*
 * One HTTP request and its response: asks policy, takes an upstream, streams both bodies, tells
 * telemetry the outcome once. Internal to proxy.
 */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

#include "proxy/dial.h"
#include "proxy/forward.h"
#include "proxy/route.h"
#include "proxy/session.h"

struct exchange {
	struct session *session;
	struct dial dial;
	struct forward_lent lent;         /* by the upstream's wire */
	struct replay replay;             /* what was sent, for one more try */
	struct node_service *place;       /* whose concurrency it counts in; NULL = none */
	uint64_t place_ns;                /* since when */
	struct list queued;               /* queue.h */
	struct node_service *queue_place; /* in whose queue it counts; NULL = it does not wait */
	uint64_t queue_until_ns;          /* 0 = never waited */
	uint64_t delay_ns;                /* on purpose, after the queue */
	struct hedge *hedge;              /* a second attempt beside the first; NULL = none */
	struct timer timer;               /* the first of the four that follow */
	uint64_t deadline_ns;             /* until the answer's head; 0 = none, of all four */
	uint64_t attempt_deadline_ns;
	uint64_t wait_until_ns; /* not sent before: nothing is dialled */
	uint64_t hedge_due_ns;
	uint64_t backoff_ns; /* the last wait before a second try */
	uint64_t attempt_ns; /* when the attempt began */
	struct exchange_route route;
	struct list mirrors; /* that get the rest of the request, too */
	uint32_t series;     /* total of the service that it goes to */
	uint64_t started_ns;
	uint64_t sent_before; /* upstream's byte counters when it was taken */
	uint64_t received_before;
	uint16_t status;         /* of the final answer, 0 = none yet */
	uint16_t abort_status;   /* to be answered after a delay on purpose, 0 = none */
	uint8_t client_minor;    /* HTTP/1.x of the request */
	uint8_t method;          /* enum method_kind */
	uint8_t attempts;        /* begun */
	struct forward request;  /* towards the upstream */
	struct forward response; /* towards the client */
	bool is_head : 1;
	bool is_connect : 1;
	bool is_idempotent : 1;
	bool has_body : 1;
	bool wants_upgrade : 1;
	bool client_keep_alive : 1;
	bool keep_alive : 1;      /* what the client was told */
	bool client_finished : 1; /* its FIN is mirrored to the upstream */
	bool request_done : 1;
	bool response_done : 1; /* complete, while the request still goes on */
	bool head_sent : 1;     /* final head is on its way to the client */
	bool is_tunnel : 1;     /* 101 or 2xx to CONNECT */
	bool upstream_keep_alive : 1;
	bool retried : 1;  /* after a dead connection from before the request */
	bool was_sent : 1; /* to a server, of which something may have seen it */
	bool was_hedged : 1;
	bool told_client : 1;       /* an interim answer */
	bool has_success_class : 1; /* the answer says so itself */
	bool is_success : 1;        /* by the service's classifier */
	bool is_timed : 1;          /* the balancer knows how long the answer took */
	bool answered_by_proxy : 1;
	bool answered_on_purpose : 1; /* by a fault: no real traffic */
	bool upstream_failed : 1;     /* it gave no answer, or half of one */
	bool pins : 1;                /* Negotiate or NTLM in the request or in a 401 */
};

/* Whose request it is now; NULL = none, or it is gone. */
static inline const struct service *exchange_service(const struct exchange *exchange)
{
	return snapshot_service(exchange->session->worker->snapshot, exchange->route.service_id);
}

/* Reader events of the client's side. */
void exchange_begin(struct session *session, const struct http_head *head);
/* The request that waited for its name; it may wait on. */
struct parked;
void exchange_begin_again(struct session *session, struct parked *parked);
void exchange_request_body(struct exchange *exchange, struct span bytes);
void exchange_request_trailers(struct exchange *exchange, const struct http_field *fields,
			       size_t count);
void exchange_request_complete(struct exchange *exchange);
/* The request's body broke its framing. */
void exchange_request_broken(struct exchange *exchange, enum weft_proxy_reason reason);

void exchange_client_drained(struct exchange *exchange);
/* The client sends nothing more, and still wants its answer: the upstream learns of it as it would
 * from a direct connection. */
void exchange_client_finished(struct exchange *exchange);
/* The client is gone: cuts the upstream, frees the exchange. */
void exchange_client_gone(struct exchange *exchange);

void exchange_upstream_data(struct exchange *exchange, struct span bytes, struct block **block);
void exchange_upstream_drained(struct exchange *exchange);
void exchange_upstream_eof(struct exchange *exchange);
void exchange_upstream_failed(struct exchange *exchange, int error);

/* ---- between exchange.c (request) and response.c ---- */

/* The upstream is connected: the exchange takes it and waits for the answer. */
void response_begin(struct exchange *exchange);
/* The answer is complete, or the proxy gave one: counts it, frees the exchange. */
void exchange_end(struct exchange *exchange, bool keep_alive);
/* Its upstream becomes a tunnel's: counts it, frees the exchange, leaves the upstream alone. */
void exchange_detach(struct exchange *exchange);
/* No answer from upstream: tries once more if that is safe, else answers 502, else cuts. */
void exchange_upstream_gone(struct exchange *exchange, enum weft_proxy_reason reason,
			    const char *text);
/* On a connection from before the request, and nothing of it has left: all is in the queue. */
bool exchange_is_unsent(const struct exchange *exchange);
/* Answers in the upstream's place. */
void exchange_answer(struct exchange *exchange, unsigned status, enum weft_proxy_reason reason,
		     const char *text);
/* As above; fills in whose answer it is. */
struct answer;
void exchange_reply(struct exchange *exchange, struct answer *answer,
		    enum weft_proxy_reason reason);
void exchange_abort_on_purpose(struct exchange *exchange);
/* Of an exchange's dial. */
extern const struct dial_events exchange_dial_events;
/* No upstream was found: answers. */
void exchange_not_started(struct exchange *exchange, enum weft_proxy_reason reason);
/* The first attempt's. True: dial.upstream takes writes now. */
bool exchange_find_upstream(struct exchange *exchange, enum weft_proxy_reason *ret_reason);
void exchange_out_of_memory(struct exchange *exchange);
/* One more attempt: for its service's row and its route's. */
void exchange_count_retry(const struct exchange *exchange);
/* The attempt on the upstream of now is over, and the exchange is not: for its endpoint's row. */
void exchange_count_attempt(struct exchange *exchange);

/* An answer of weft's own for a request that got no exchange (bad head, timeout). Closes. */
void exchange_refuse(struct session *session, unsigned status, enum weft_proxy_reason reason,
		     const char *text);

#endif
