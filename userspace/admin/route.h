/* Which page does a request want, and may it? Pure. */
#ifndef ADMIN_ROUTE_H
#define ADMIN_ROUTE_H

#include "base/text.h"
#include "http/message.h"
#include "weft/limits.h"

enum admin_page {
	PAGE_NONE, /* the answer is in the verdict already */
	PAGE_INDEX,
	PAGE_METRICS,
	PAGE_LIVE,
	PAGE_READY,
	PAGE_STAT,
	PAGE_SERVICES,
	PAGE_ROUTES,
	PAGE_PODS,
	PAGE_CONFIG,
	PAGE_CONNECTIONS,
	PAGE_EDGES,
	PAGE_EXPLAIN,
	PAGE_KUBERNETES,
	PAGE_NAMERS,
	PAGE_VERSION,
	PAGE_POD_ADD,
	PAGE_SANDBOX_ADDED,
	PAGE_SANDBOX_REMOVED,
	PAGE_DRAIN,
};

#define ADMIN_QUERY_MOST 4096 /* bytes, with a NUL */

struct admin_verdict {
	enum admin_page page;
	uint16_t status;              /* with PAGE_NONE: 403, 404 or 405 */
	const char *allow;            /* with 405 */
	char query[ADMIN_QUERY_MOST]; /* PAGE_EXPLAIN: as it stands, "" = none or too long */
	char pod[WEFT_NAME_MAX];      /* PAGE_EDGES, PAGE_CONNECTIONS: of this one, "" = of all */
};

/* `may_change`: the request came by the Unix socket. */
struct admin_verdict admin_route(const struct http_head *head, bool may_change);
/* One path per line, with what it is. */
void admin_paths(struct text *page);

#endif
