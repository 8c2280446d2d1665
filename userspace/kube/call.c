#include "kube/call.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"

/* A server that vanished is noticed by the kernel after so long. */
#define SILENCE_S 30
/* Until the connection stands and an answer begins. A busy server queues requests. */
#define ANSWER_NS 20000000000ull
/* Until the connection stands, where there are other addresses to try. */
#define CONNECT_NS 5000000000ull

/* Everything that is there already is read within this time before a rest; when it was much, there
 * may be more. */
#define GATHER_NS     5000000ull
#define GATHER_MUCH   16384
#define REST_LEAST_NS 10000000ull

/* Lives until its wire is closed, which may be after its call has forgotten it. */
struct connection {
	struct wire wire;
	struct h1_reader reader;
	struct callers *callers;
	struct call *call; /* NULL = dropped */
	struct weft_address address;
	struct sockaddr_storage sockaddr;
	bool is_answering; /* the head of the answer, no interim one, is there */
	bool is_kept;      /* by what that head said */
};

static const struct h1_limits limits = {
	.head_bytes = 65536, .line_bytes = 16384, .field_count = 128};

static struct connection *of_wire(struct wire *wire)
{
	return container_of(wire, struct connection, wire);
}

static struct connection *of_reader(struct h1_reader *reader)
{
	return container_of(reader, struct connection, reader);
}

static uint64_t now_ns(const struct call *call)
{
	return io_now_ns(call->callers->loop->ring);
}

static struct timers *timers_of(struct call *call)
{
	return io_timers(call->callers->loop->ring);
}

static struct addresses *addresses_of(const struct call *call)
{
	return &call->callers->server->addresses;
}

static void end_rest(struct call *call)
{
	timer_clear(timers_of(call), &call->rest);
	call->is_resting = false;
	call->gathered = 0;
}

void call_drop(struct call *call)
{
	struct connection *connection = call->connection;
	timer_clear(timers_of(call), &call->timer);
	end_rest(call);
	addresses_leave(&call->seeker);
	text_fini(&call->request);
	call->is_waiting = false;
	call->connection = NULL;
	if (!connection)
		return;
	connection->call = NULL;
	h1_stop(&connection->reader);
	wire_abort(&connection->wire);
}

static void fail(struct call *call, enum kube_fault fault, const char *why)
{
	bool is_awaited = call->is_waiting;
	if (is_awaited && call->connection && fault != KUBE_FAULT_MEMORY)
		addresses_failed(addresses_of(call), &call->connection->address);
	call_drop(call);
	if (is_awaited)
		call->events->failed(call, fault, why);
}

/* From now on the server may be silent for so long. */
static void await(struct call *call, uint64_t most_ns)
{
	call->silence_ns = most_ns;
	if (timer_set(timers_of(call), &call->timer, now_ns(call) + most_ns))
		fail(call, KUBE_FAULT_MEMORY, "no memory for a timer");
}

static void on_silence(struct timer *timer)
{
	struct call *call = container_of(timer, struct call, timer);
	char why[96];
	snprintf(why, sizeof(why), "the server was silent for %.0f s",
		 (double)call->silence_ns / 1e9);
	fail(call, KUBE_FAULT_STALLED, why);
}

/* ---- the answer ---- */

static void on_head(struct h1_reader *reader, const struct http_head *head)
{
	struct connection *connection = of_reader(reader);
	if (!connection->call || head->status < 200)
		return;
	connection->is_answering = true;
	/* Behind one name may be a server that has lost its store, and some that have not. */
	if (head->status < 500)
		addresses_answered(addresses_of(connection->call), &connection->address);
	else
		addresses_failed(addresses_of(connection->call), &connection->address);
	connection->is_kept = head->keep_alive && head->framing != HTTP_UNTIL_CLOSE;
	connection->call->events->head(connection->call, head);
}

static void on_body(struct h1_reader *reader, struct span bytes)
{
	struct connection *connection = of_reader(reader);
	if (connection->call)
		connection->call->events->body(connection->call, bytes);
}

static void on_trailers(struct h1_reader *reader, const struct http_field *fields, size_t count)
{
	(void)reader;
	(void)fields;
	(void)count;
}

static void on_complete(struct h1_reader *reader)
{
	struct connection *connection = of_reader(reader);
	struct call *call = connection->call;
	if (!call || !connection->is_answering)
		return;
	connection->is_answering = false;
	h1_stop(reader); /* nothing was asked for that could come next */
	timer_clear(timers_of(call), &call->timer);
	call->is_waiting = false;
	if (!connection->is_kept) {
		end_rest(call);
		connection->call = NULL;
		call->connection = NULL;
		wire_close(&connection->wire);
	}
	call->events->complete(call);
}

static const struct h1_events reader_events = {
	.head = on_head, .body = on_body, .trailers = on_trailers, .complete = on_complete};

/* ---- the connection ---- */

/*
 * A server that tells a hundred changes a second wakes this thread only as often as it likes: what
 * comes is read for GATHER_NS, then nothing for the time of rest, which grows while it goes on.
 * What comes after quiet is read at once. Without memory there is no rest.
 */
static void gather(struct call *call, size_t bytes)
{
	call->gathered += bytes;
	if (!call->rest_ns || timer_is_set(&call->rest))
		return;
	if (timer_set(timers_of(call), &call->rest, now_ns(call) + GATHER_NS))
		call->gathered = 0;
}

static void on_rest(struct timer *timer)
{
	struct call *call = container_of(timer, struct call, rest);
	struct wire *wire = &call->connection->wire;
	bool was_much = call->gathered >= GATHER_MUCH;
	call->gathered = 0;
	if (call->is_resting) {
		call->is_resting = false;
		wire_read_start(wire);
		return;
	}
	if (was_much) {
		gather(call, 0);
		return;
	}
	uint64_t until_ns = pace_rest(&call->pace, now_ns(call), REST_LEAST_NS, call->rest_ns);
	if (!timer_set(timers_of(call), timer, until_ns)) {
		call->is_resting = true;
		wire_pause(wire);
	}
}

static void on_data(struct wire *wire, struct span bytes, struct block **block)
{
	struct connection *connection = of_wire(wire);
	struct call *call = connection->call;
	(void)block;
	if (!call)
		return;
	if (!call->is_waiting) {
		call_drop(call); /* bytes that nobody asked for */
		return;
	}
	call->heard_ns = now_ns(call);
	await(call, call->quiet_ns);
	if (!connection->call)
		return;
	bool has_begun = connection->is_answering;
	size_t used = h1_feed(&connection->reader, bytes);
	call = connection->call;
	if (!call)
		return;
	if (connection->reader.error)
		fail(call, KUBE_FAULT_GARBAGE, connection->reader.error_text);
	else if (used < bytes.size || (call->is_waiting && connection->reader.is_stopped))
		fail(call, KUBE_FAULT_GARBAGE, "something else follows the answer");
	else if (has_begun && call->is_waiting)
		gather(call, bytes.size);
}

static void on_eof(struct wire *wire)
{
	struct connection *connection = of_wire(wire);
	struct call *call = connection->call;
	if (!call)
		return;
	if (call->is_waiting && h1_end(&connection->reader)) {
		fail(call, KUBE_FAULT_GARBAGE, "the answer was cut off");
		return;
	}
	/* The end of a body until close has told `complete`, which gave the connection up. */
	if (connection->call)
		fail(connection->call, KUBE_FAULT_CONNECT, "the server closed the connection");
}

static void on_drained(struct wire *wire)
{
	(void)wire;
}

static void on_connected(struct wire *wire)
{
	struct call *call = of_wire(wire)->call;
	if (call && call->is_waiting)
		await(call, ANSWER_NS);
}

static void on_failed(struct wire *wire, int error)
{
	struct call *call = of_wire(wire)->call;
	const char *tls_why = wire_tls_why(wire);
	if (call && tls_why)
		fail(call, KUBE_FAULT_TLS, tls_why);
	else if (call)
		fail(call, KUBE_FAULT_CONNECT, strerror(-error));
	else
		wire_abort(wire);
}

static void on_closed(struct wire *wire)
{
	struct connection *connection = of_wire(wire);
	connection->callers->connections--;
	h1_reader_fini(&connection->reader);
	mem_free(connection);
}

static const struct wire_events wire_events = {
	.data = on_data,
	.eof = on_eof,
	.drained = on_drained,
	.connected = on_connected,
	.failed = on_failed,
	.closed = on_closed,
};

static int encrypt(struct connection *connection)
{
	const struct server *server = connection->callers->server;
	struct tls_session *session;
	if (!server->is_tls)
		return 0;
	int error = tls_session_open(server->tls, server->name, &session);
	return error ? error : wire_encrypt(&connection->wire, session);
}

static int dial(struct call *call)
{
	struct callers *callers = call->callers;
	const struct weft_address *address = addresses_next(addresses_of(call));
	assert(address); /* whoever dials has looked */
	struct connection *connection = mem_zalloc(sizeof(*connection));
	if (!connection)
		return -ENOMEM;
	connection->callers = callers;
	connection->address = *address;
	socklen_t size = address_to_sockaddr(address, &connection->sockaddr);
	wire_init(&connection->wire, callers->loop, &wire_events);
	int fd = io_socket(callers->loop->ring, connection->sockaddr.ss_family, SILENCE_S);
	int error = fd < 0 ? fd : encrypt(connection);
	if (error) {
		if (fd >= 0)
			io_close(callers->loop->ring, fd);
		else /* a machine without IPv6: another address may do */
			addresses_failed(addresses_of(call), &connection->address);
		mem_free(connection);
		return error;
	}
	h1_reader_init(&connection->reader, false, &reader_events, &limits);
	connection->call = call;
	call->connection = connection;
	callers->connections++;
	wire_dial(&connection->wire, fd, &connection->sockaddr, size);
	wire_read_start(&connection->wire);
	return 0;
}

/* ---- the request ---- */

static void write_request(struct text *text, const struct server *server,
			  const struct call_request *request)
{
	text_printf(text, "%s %.*s HTTP/1.1\r\nHost: %s\r\nUser-Agent: weft\r\n", request->method,
		    SPAN_PRINT(request->target), server->host);
	text_printf(text, "Accept: application/json\r\n");
	if (server->token.size)
		text_printf(text, "Authorization: Bearer %.*s\r\n",
			    SPAN_PRINT(text_span(&server->token)));
	if (request->body.size)
		text_printf(text, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
			    request->body.size);
	text_add(text, span_text("\r\n"));
	text_add(text, request->body);
}

/* By the connection that there is, or a new one. */
static int transmit(struct call *call)
{
	bool is_new = !call->connection;
	bool has_others = addresses_of(call)->count > 1;
	int error = is_new ? dial(call) : 0;
	if (!error)
		error = wire_write(&call->connection->wire, text_span(&call->request));
	if (error)
		return error;
	text_fini(&call->request);
	h1_go_on(&call->connection->reader);
	call->silence_ns = is_new && has_others ? CONNECT_NS : ANSWER_NS;
	return timer_set(timers_of(call), &call->timer, now_ns(call) + call->silence_ns);
}

static void on_settled(struct seeker *seeker)
{
	struct call *call = container_of(seeker, struct call, seeker);
	const struct addresses *addresses = addresses_of(call);
	char why[sizeof(addresses->name) + sizeof(addresses->why)];
	if (!addresses_next(addresses)) {
		snprintf(why, sizeof(why), "%s: %s", addresses->name, addresses->why);
		fail(call, KUBE_FAULT_RESOLVE, why);
		return;
	}
	int error = transmit(call);
	if (error)
		fail(call, error == -ENOMEM ? KUBE_FAULT_MEMORY : KUBE_FAULT_CONNECT,
		     strerror(-error));
}

int call_send(struct call *call, const struct call_request *request)
{
	struct addresses *addresses = addresses_of(call);
	assert(!call->is_waiting);
	server_refresh(call->callers->server, now_ns(call), false);
	write_request(&call->request, call->callers->server, request);
	int error = call->request.failed ? -ENOMEM : 0;
	if (!error && (call->connection || addresses_are_fresh(addresses)))
		error = transmit(call);
	else if (!error)
		error = addresses_seek(addresses, &call->seeker);
	if (error) {
		call_drop(call);
		return error;
	}
	call->quiet_ns = request->quiet_ns;
	call->rest_ns = request->rest_ns;
	call->is_waiting = true;
	return 0;
}

void call_init(struct call *call, struct callers *callers, const struct call_events *events)
{
	*call = (struct call){.callers = callers, .events = events, .seeker.settled = on_settled};
	list_init(&call->seeker.link);
	timer_init(&call->timer, on_silence);
	timer_init(&call->rest, on_rest);
}
