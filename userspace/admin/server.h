/* The admin server's inner structs: admin.c owns the listeners, session.c the connections. */
#ifndef ADMIN_SERVER_H
#define ADMIN_SERVER_H

#include "admin/admin.h"
#include "admin/baseline.h"
#include "admin/listen.h"
#include "admin/route.h"
#include "admin/spare.h"
#include "base/list.h"
#include "http/h1.h"
#include "wire/wire.h"

#define SESSIONS_MAX     64    /* per listener, so that TCP clients cannot lock root out */
#define HOLDERS_MAX      1024  /* connections that hold a pod; they come on top */
#define REQUEST_BODY_MAX 65536 /* read and forgotten where a page takes none */

struct admin_listener {
	struct admin *admin;
	int fd; /* -1 = off */
	bool may_change;
	struct io_op accept_op;
	struct timer retry; /* accept failed for want of descriptors, or some were spent */
	struct spare spare;
	struct list sessions;   /* least recently used first */
	unsigned session_count; /* without holders */
	unsigned holder_count;
};

struct admin {
	struct io_ring *ring;
	struct admin_sources sources;
	struct baseline baseline;
	struct wire_loop *wires;
	struct admin_listener tcp;
	struct admin_listener unix_socket;
	char *socket_path;
	struct listen_file socket_file;
	bool is_closing;
};

enum session_phase {
	SESSION_IDLE,      /* between requests */
	SESSION_READING,   /* a request is arriving */
	SESSION_WAITING,   /* for the workers' answer */
	SESSION_HOLDING,   /* a pod, until the connection ends; no deadline */
	SESSION_ANSWERING, /* the answer is being sent */
	SESSION_ENDING,    /* the wire is closing */
};

/* A question to the workers; outlives a session that left. */
struct session_query {
	struct session *session; /* NULL: nobody waits any more */
};

struct session {
	struct wire wire;
	struct h1_reader reader;
	struct admin_listener *listener;
	struct list link; /* of listener->sessions */
	struct timer timer;
	struct session_query *query;
	struct text page; /* body that is being sent */
	size_t page_sent;
	uint64_t body_bytes; /* of the request */
	struct text body;    /* of a request whose page takes one */
	void *pod;           /* that this connection holds, NULL = none */
	struct admin_verdict verdict;
	uint8_t phase; /* enum session_phase */
	bool is_head;
	bool keeps_alive;
	bool got_request; /* complete, not yet answered */
	bool drains;      /* once the answer is sent */
	bool is_holder;   /* counted as one */
};

/* Takes the descriptor; closes it when memory is short. */
void admin_session_open(struct admin_listener *listener, int fd);
/* Ends it at once; it frees itself. */
void admin_session_abort(struct session *session);
/* Sends session->page as text. */
void admin_answer_text(struct session *session, unsigned status);
void admin_answer_json(struct session *session);

/* ---- hold.c: a pod for as long as the connection lasts ---- */
void hold_begin(struct session *session);
void hold_end(struct session *session); /* also when nothing is held */

#endif
