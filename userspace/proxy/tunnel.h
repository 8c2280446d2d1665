/*
 * Two wires joined without parsing. On ports that are not declared the upstream is dialled at once
 * and the first bytes of either side decide whether it stays a tunnel. Internal to proxy.
 */
#ifndef PROXY_TUNNEL_H
#define PROXY_TUNNEL_H

#include "proxy/dial.h"
#include "proxy/session.h"

struct tunnel {
	struct session *session;
	struct dial dial;
	struct series_pair series;
	struct timer idle_timer;
	uint64_t last_bytes_ns;
	bool is_undecided;
	bool is_counted;          /* as opened, under its service */
	bool is_endpoint_counted; /* under its endpoint too */
	bool client_over;
	bool upstream_over;
};

/* Dials and joins. False: out of memory or no endpoint; the session was ended. */
bool tunnel_open(struct session *session, bool is_undecided);
/* Joins an upstream that is connected already (101, CONNECT). Both wires go on reading. */
bool tunnel_join(struct session *session, struct upstream *upstream);
void tunnel_free(struct tunnel *tunnel); /* cuts its upstream */
/* The upstream goes to somebody else (the first exchange); frees the rest. */
void tunnel_hand_over(struct tunnel *tunnel, struct dial *to, const struct dial_events *events);

/* The limit of idle tunnels is another one now. */
void tunnel_limit_changed(struct tunnel *tunnel);

void tunnel_client_data(struct session *session, struct span bytes, struct block **block);
void tunnel_client_eof(struct session *session);
void tunnel_client_drained(struct session *session);
void tunnel_client_failed(struct session *session, int error);
void tunnel_upstream_data(struct tunnel *tunnel, struct span bytes, struct block **block);
void tunnel_upstream_eof(struct tunnel *tunnel);
void tunnel_upstream_drained(struct tunnel *tunnel);
void tunnel_upstream_failed(struct tunnel *tunnel, int error);

#endif
