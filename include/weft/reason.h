/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Why the kernel or the proxy took, passed, refused or ended something. One list for both sides:
 * the kernel counts its reasons per pod in the map weft_reasons, a worker counts its own in the
 * map weft_proxy_reasons. A name is a metric's label and never changes its meaning; new reasons
 * go to the end of their half.
 */
#ifndef WEFT_REASON_H
#define WEFT_REASON_H

/* X(SYMBOL, "name", "what happened, as help text") */
#define WEFT_DIAL_REASONS(X)                                                                       \
	X(CAPTURED, "captured", "dial sent to a worker")                                           \
	X(PASS_NOT_MESH, "pass_not_mesh", "destination is no mesh service")                        \
	X(PASS_OURS, "pass_ours", "weftd's own dial")                                              \
	X(PASS_CAPTURE_OFF, "pass_capture_off", "pod is being un-enrolled or drained")             \
	X(PASS_EXCLUDED_PORT, "pass_excluded_port", "destination port is excluded")                \
	X(PASS_EXCLUDED_CIDR, "pass_excluded_cidr", "destination network is excluded")             \
	X(PASS_UDP, "pass_udp", "datagram socket")                                                 \
	X(PASS_RAW, "pass_raw", "raw socket")                                                      \
	X(PASS_MPTCP, "pass_mptcp", "multipath TCP socket")                                        \
	X(PASS_DEVICE_BOUND, "pass_device_bound", "socket is bound to a device")                   \
	X(PASS_NOT_TCP, "pass_not_tcp", "stream socket of another protocol")                       \
	X(PASS_PROXY_DEAD, "pass_proxy_dead", "no live worker, pod fails open")                    \
	X(REFUSED_PROXY_DEAD, "refused_proxy_dead", "no live worker, pod fails closed")            \
	X(REFUSED_NO_ENDPOINT, "refused_no_endpoint", "service has no ready endpoint")             \
	X(FOREIGN_LISTENER, "foreign_listener", "worker's port is held by a socket not ours")      \
	X(STORAGE_FULL, "storage_full", "no memory for socket storage, dial passed or refused")    \
	X(FLOW_TABLE_FULL, "flow_table_full", "flow could not be filed, connection will be reset")

#define WEFT_SHORTCUT_REASONS(X)                                                                   \
	X(SHORTCUT, "shortcut", "connection between app and weft takes the shortcut")              \
	X(TCP_SOCKET, "tcp_socket",                                                                \
	  "stays on TCP: zero copy, low-water mark or TLS of the kernel")                          \
	X(TCP_BLOCKING, "tcp_blocking",                                                            \
	  "stays on TCP: the app's socket blocks, or is not known yet")                            \
	X(TCP_EARLY, "tcp_early",                                                                  \
	  "stays on TCP: bytes went with the handshake or before it was set up")                   \
	X(TCP_FULL, "tcp_full", "stays on TCP: no slot or memory for the shortcut")                \
	X(TCP_BULK, "tcp_bulk",                                                                    \
	  "stays on TCP: others of the service overflowed their window lately")                    \
	X(TCP_SPLICER, "tcp_splicer", "stays on TCP: the pod was seen to splice sockets")          \
	X(DEMOTED_NO_PEER, "demoted_no_peer",                                                      \
	  "back on TCP: the other end was not there yet, or is gone")                              \
	X(DEMOTED_SENT, "demoted_sent", "back on TCP: bytes were sent or queued by TCP before")    \
	X(DEMOTED_WINDOW, "demoted_window", "back on TCP: the receiver does not read")             \
	X(DEMOTED_BLOCKING, "demoted_blocking", "back on TCP: the app made its socket block")      \
	X(DEMOTED_OPTION, "demoted_option", "back on TCP: the app set an option that needs it")    \
	X(REFUSED_OPTION, "refused_option",                                                        \
	  "setsockopt refused: works on TCP only, set it before connect")                          \
	X(DEMOTED_TUNNEL, "demoted_tunnel", "back on TCP: not HTTP, or not any more")              \
	X(DEMOTED_CLOSING, "demoted_closing", "back on TCP: weftd closes the connection")

#define WEFT_KERNEL_REASONS(X)                                                                     \
	WEFT_DIAL_REASONS(X)                                                                       \
	WEFT_SHORTCUT_REASONS(X)

#define WEFT_PROXY_REASONS(X)                                                                      \
	X(NO_FLOW, "no_flow", "accepted connection without a filed flow")                          \
	X(NOT_HTTP, "not_http", "bytes are not HTTP, joined as a tunnel")                          \
	X(OPAQUE, "opaque", "declared or detected opaque, joined as a tunnel")                     \
	X(SERVER_FIRST, "server_first", "server spoke first, joined as a tunnel")                  \
	X(TLS_PASSED, "tls_passed", "TLS ClientHello, joined as a tunnel")                         \
	X(HTTP2_PASSED, "http2_passed", "HTTP/2 preface, joined as a tunnel")                      \
	X(UPGRADED, "upgraded", "101 Switching Protocols, became a tunnel")                        \
	X(CONNECTED, "connected", "CONNECT answered with 2xx, became a tunnel")                    \
	X(BAD_REQUEST, "bad_request", "request refused: bad syntax or framing (400)")              \
	X(URI_TOO_LONG, "uri_too_long", "request refused: request line too long (414)")            \
	X(HEADERS_TOO_LARGE, "headers_too_large", "request refused: header limits (431)")          \
	X(BAD_RESPONSE, "bad_response", "upstream's answer is no valid HTTP (502)")                \
	X(NO_ENDPOINT, "no_endpoint", "service has no ready endpoint (503)")                       \
	X(DIAL_FAILED, "dial_failed", "no endpoint could be reached (502, or RST for a tunnel)")   \
	X(DIAL_TIMEOUT, "dial_timeout", "a dial exceeded the connect timeout")                     \
	X(UPSTREAM_CLOSED, "upstream_closed", "upstream closed before a complete answer")          \
	X(UPSTREAM_RESET, "upstream_reset", "upstream reset the connection")                       \
	X(CLIENT_CLOSED, "client_closed", "client left before its answer was complete")            \
	X(CLIENT_RESET, "client_reset", "client reset the connection")                             \
	X(HEADER_TIMEOUT, "header_timeout", "request head did not arrive in time (408)")           \
	X(IDLE_TIMEOUT, "idle_timeout", "connection was idle for too long")                        \
	X(DRAINED, "drained", "closed while draining")                                             \
	X(OUT_OF_MEMORY, "out_of_memory", "an allocation failed, one session was ended")           \
	X(SESSION_LIMIT, "session_limit", "worker's limit of sessions is reached")                 \
	X(NO_SOCKET, "no_socket", "stock of upstream sockets stayed empty")                        \
	X(REDIRECTED, "redirected", "request answered with its route's redirect (3xx)")            \
	X(NO_ROUTE, "no_route", "service has routes, none takes the request (404)")                \
	X(NO_BACKEND, "no_backend", "route's backend is no service of the mesh (500)")             \
	X(UNIDENTIFIED, "unidentified", "no identifier gives the request a name (400)")            \
	X(UNBOUND, "unbound", "request's name is no service of the mesh (502)")                    \
	X(MATCH_LIMIT, "match_limit", "a route's regular expression cost too much: no match")      \
	X(BAD_DTAB, "bad_dtab", "l5d-dtab of a trusted pod is no dtab (400)")                      \
	X(NAMED_STATUS, "named_status", "request answered with the status its name is bound to")   \
	X(FAILED_OVER, "failed_over", "service was unreachable, an alternate took the request")    \
	X(RETRIED_ANSWER, "retried_answer", "answer was discarded, the request tried again")       \
	X(RETRIED_UNANSWERED, "retried_unanswered", "no answer came, the request tried again")     \
	X(RETRIED_TIMEOUT, "retried_timeout", "per-try timeout, the request tried again")          \
	X(RETRY_BUDGET_EXHAUSTED, "retry_budget_exhausted", "not tried again: budget is used up")  \
	X(RETRY_TOO_LARGE, "retry_too_large", "not tried again: request exceeded the buffer")      \
	X(REQUEUED, "requeued", "refused by its endpoints, went on to one more")                   \
	X(REQUEUE_BUDGET_EXHAUSTED, "requeue_budget_exhausted", "refused, and no budget to go on") \
	X(HEDGED, "hedged", "answer took long, request was sent to a second endpoint, too")        \
	X(HEDGE_WON, "hedge_won", "second endpoint's answer was taken")                            \
	X(ATTEMPT_TIMEOUT, "attempt_timeout", "no answer within the per-try timeout (504)")        \
	X(DEADLINE_EXCEEDED, "deadline_exceeded", "no answer before the deadline (504)")           \
	X(DEADLINE_PASSED, "deadline_passed", "deadline was over when the request came (504)")     \
	X(ENDPOINT_REMOVED, "endpoint_removed", "breaker left an endpoint out")                    \
	X(ENDPOINT_PROBED, "endpoint_probed", "request to an endpoint that is left out")           \
	X(ENDPOINT_REVIVED, "endpoint_revived", "endpoint answered its probe and is used again")   \
	X(CONCURRENCY_LIMIT, "concurrency_limit", "too many requests under way (503)")             \
	X(RATE_LIMIT, "rate_limit", "too many requests for the rate (429)")                        \
	X(FAULT_DELAYED, "fault_delayed", "request was delayed on purpose")                        \
	X(FAULT_ABORTED, "fault_aborted", "request was answered on purpose without being sent")    \
	X(MIRRORED, "mirrored", "copy of a request was answered by its mirror")                    \
	X(MIRROR_FAILED, "mirror_failed", "copy of a request was not sent or not answered")        \
	X(NAME_WAITED, "name_waited", "request waited for its name to be looked up")               \
	X(NAME_UNKNOWN, "name_unknown", "request's name was not looked up in time (503)")          \
	X(QUEUED, "queued", "request waited for a place under a cap of requests under way")        \
	X(QUEUE_TIMEOUT, "queue_timeout", "waited too long for a place under a cap (503)")

enum weft_reason {
#define WEFT_REASON_ENUM(symbol, name, help) WEFT_REASON_##symbol,
	WEFT_KERNEL_REASONS(WEFT_REASON_ENUM)
#undef WEFT_REASON_ENUM
		WEFT_KERNEL_REASON_COUNT,
	WEFT_DIAL_REASON_COUNT = WEFT_REASON_SHORTCUT,
};

enum weft_proxy_reason {
#define WEFT_REASON_ENUM(symbol, name, help) WEFT_PROXY_##symbol,
	WEFT_PROXY_REASONS(WEFT_REASON_ENUM)
#undef WEFT_REASON_ENUM
		WEFT_PROXY_REASON_COUNT,
};

#endif
