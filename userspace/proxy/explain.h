/*
 * What would become of a request: every step of the decision as a tree of JSON. Answered by one
 * worker; nothing is sent, counted or changed. Internal to proxy; workers.h has the question.
 *
 * A node is {"step", "text", "result", "below": [...]}. `query` is the page's: method, url, pod and
 * any number of header=NAME:VALUE, percent-encoded.
 */
#ifndef PROXY_EXPLAIN_H
#define PROXY_EXPLAIN_H

#include "proxy/worker.h"

#define EXPLAIN_QUERY_MOST     8192 /* bytes */
#define EXPLAIN_FIELDS_MOST    32
#define EXPLAIN_NODES_MOST     2000 /* further ones are left out */
#define EXPLAIN_ENDPOINTS_MOST 50   /* of one service that are shown */

void explain_write(struct worker *worker, struct span query, struct text *json);

#endif
