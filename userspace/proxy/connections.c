/* Every connection as JSON. */
#include <stdio.h>

#include "http/h1.h"
#include "proxy/ask.h"
#include "proxy/exchange.h"
#include "proxy/leg.h"
#include "proxy/session.h"
#include "proxy/tunnel.h"

static const char *mode_name(const struct session *session)
{
	switch ((enum session_mode)session->mode) {
	case SESSION_SNIFF:
		return "waiting";
	case SESSION_HTTP:
		return session->exchange ? "exchange" : "http_idle";
	case SESSION_TUNNEL:
		return session->tunnel->is_undecided ? "undecided" : "tunnel";
	case SESSION_ENDING:
		break;
	}
	return "ending";
}

static const struct upstream *upstream_of(const struct session *session)
{
	if (session->exchange)
		return session->exchange->dial.upstream;
	return session->tunnel ? session->tunnel->dial.upstream : session->pinned;
}

static void add_address(struct text *json, const char *key, const struct weft_address *address)
{
	char text[ADDRESS_TEXT_MAX];
	text_printf(json, ",\"%s\":\"%s\"", key, address_print(address, text));
}

static void add_session(struct text *json, const struct session *session)
{
	char text[ADDRESS_TEXT_MAX];
	const struct upstream *upstream = upstream_of(session);
	uint64_t age_ns = worker_now_ns(session->worker) - session->accepted_ns;
	text_add(json, span_text(json->size ? ",{\"pod\":" : "{\"pod\":"));
	text_json_string(json, span_text(session->pod->name));
	text_printf(json, ",\"worker\":%u,\"state\":\"%s\",\"service\":", session->worker->index,
		    mode_name(session));
	text_json_string(json, span_text(session_destination(session, text)));
	add_address(json, "destination", &session->destination);
	add_address(json, "app", &session->app);
	text_printf(json, ",\"app_leg\":\"%s\"", leg_state(session->worker, session_leg(session)));
	if (upstream) {
		add_address(json, "endpoint", &upstream->address);
		text_printf(json, ",\"endpoint_leg\":\"%s\"",
			    leg_state(session->worker, upstream->leg));
	}
	if (session->server_name) {
		text_add(json, span_text(",\"server_name\":"));
		text_json_string(json, span_text(session->server_name));
	}
	text_printf(json,
		    ",\"age_seconds\":%llu.%03llu,\"requests\":%u,\"received_bytes\":%llu,"
		    "\"sent_bytes\":%llu,\"queued_bytes\":%zu}",
		    (unsigned long long)(age_ns / 1000000000),
		    (unsigned long long)(age_ns / 1000000 % 1000), session->exchanges,
		    (unsigned long long)session->client.bytes_received,
		    (unsigned long long)session->client.bytes_sent, wire_queued(&session->client));
}

static bool write_sessions(struct worker *worker, const char *pod, struct ask_place *place,
			   struct text *part)
{
	for (unsigned i = 0; i < ASK_SESSIONS_PER_TURN; i++) {
		const struct session *session = ask_place_next(place, worker);
		if (!session)
			return false;
		if (ask_is_about(pod, session->pod))
			add_session(part, session);
	}
	return true;
}

static void join_lists(struct text *parts, unsigned count, struct text *json)
{
	text_add(json, span_text("["));
	for (unsigned i = 0; i < count; i++) {
		if (parts[i].size && json->size > 1)
			text_add(json, span_text(","));
		text_add(json, text_span(&parts[i]));
	}
	text_add(json, span_text("]"));
}

void workers_connections(struct workers *workers, struct io_ring *ring, struct span pod,
			 void (*done)(void *request, const char *json), void *request)
{
	struct ask ask = {
		.workers = workers,
		.ring = ring,
		.write = write_sessions,
		.join = join_lists,
		.done = done,
		.request = request,
	};
	snprintf(ask.pod, sizeof(ask.pod), "%.*s", SPAN_PRINT(pod));
	ask_workers(&ask);
}
