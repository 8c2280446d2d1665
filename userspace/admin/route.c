#include "admin/route.h"

#include <stdio.h>

struct admin_path {
	const char *path;
	enum admin_page page;
	bool changes; /* POST, and only by the Unix socket */
	const char *is;
};

static const struct admin_path paths[] = {
	{"/", PAGE_INDEX, false, "this list"},
	{"/metrics", PAGE_METRICS, false, "counters and histograms, Prometheus text"},
	{"/live", PAGE_LIVE, false, "200 while every worker gives signs of life"},
	{"/ready", PAGE_READY, false, "200 while traffic is taken"},
	{"/stat.json", PAGE_STAT, false, "traffic per service and endpoint since start"},
	{"/services.json", PAGE_SERVICES, false,
	 "services and their endpoints, who is left out and why"},
	{"/routes.json", PAGE_ROUTES, false,
	 "rules with their traffic; address to service to endpoints"},
	{"/pods.json", PAGE_PODS, false, "who is enrolled, and what was captured"},
	{"/connections.json", PAGE_CONNECTIONS, false, "every connection of now; ?pod=NAME"},
	{"/edges.json", PAGE_EDGES, false, "traffic per pod and destination; ?pod=NAME"},
	{"/explain", PAGE_EXPLAIN, false,
	 "what becomes of a request; ?method=M&url=U&pod=P&header=N:V"},
	{"/config.json", PAGE_CONFIG, false, "the config in force"},
	{"/namers.json", PAGE_NAMERS, false,
	 "names that DNS is asked for, what it says and how old that is"},
	{"/kubernetes.json", PAGE_KUBERNETES, false, "what the API server told, and how old it is"},
	{"/version.json", PAGE_VERSION, false, "weftd's version, and the node that it runs on"},
	{"/pods", PAGE_POD_ADD, true, "POST, on the Unix socket: a pod while the connection lasts"},
	{"/cni/add", PAGE_SANDBOX_ADDED, true, "POST, on the Unix socket: a pod is about to start"},
	{"/cni/del", PAGE_SANDBOX_REMOVED, true, "POST, on the Unix socket: a pod has ended"},
	{"/drain", PAGE_DRAIN, true, "POST, on the Unix socket: finish and end"},
};

/* Path of an origin-form or absolute-form target (RFC 9112 3.2), without the query. */
static struct span target_path(struct span target)
{
	const char *scheme_end =
		target.size ? memmem(target.data, target.size, "://", strlen("://")) : NULL;
	if (scheme_end && target.data[0] != '/') {
		const char *authority = scheme_end + strlen("://");
		size_t left = target.size - (size_t)(authority - target.data);
		const char *slash = left ? memchr(authority, '/', left) : NULL;
		if (!slash)
			return span_text("/");
		target = span_of(slash, target.size - (size_t)(slash - target.data));
	}
	const char *query = target.size ? memchr(target.data, '?', target.size) : NULL;
	return query ? span_of(target.data, (size_t)(query - target.data)) : target;
}

/* Value of "?NAME=…" or "&NAME=…" as it stands; names of pods need no escaping. */
static struct span query_value(struct span target, const char *name)
{
	const char *query = target.size ? memchr(target.data, '?', target.size) : NULL;
	if (!query)
		return span_of("", 0);
	struct span rest = span_of(query + 1, target.size - (size_t)(query + 1 - target.data));
	struct span pair;
	while (span_split(&rest, '&', &pair)) {
		struct span key;
		if (span_split(&pair, '=', &key) && span_is(key, name))
			return pair;
	}
	return span_of("", 0);
}

static const struct admin_path *path_find(struct span path)
{
	for (size_t i = 0; i < array_count(paths); i++)
		if (span_is(path, paths[i].path))
			return &paths[i];
	return NULL;
}

static struct admin_verdict refuse(uint16_t status, const char *allow)
{
	return (struct admin_verdict){.page = PAGE_NONE, .status = status, .allow = allow};
}

struct admin_verdict admin_route(const struct http_head *head, bool may_change)
{
	const struct admin_path *path = path_find(target_path(head->target));
	if (!path)
		return refuse(404, NULL);
	if (path->changes && !may_change)
		return refuse(403, NULL);
	bool reads = head->method == HTTP_METHOD_GET || head->method == HTTP_METHOD_HEAD;
	if (path->changes && head->method != HTTP_METHOD_POST)
		return refuse(405, "POST");
	if (!path->changes && !reads)
		return refuse(405, "GET, HEAD");
	struct admin_verdict verdict = {.page = path->page, .status = 200};
	if (path->page == PAGE_EDGES || path->page == PAGE_CONNECTIONS)
		snprintf(verdict.pod, sizeof(verdict.pod), "%.*s",
			 SPAN_PRINT(query_value(head->target, "pod")));
	const char *query =
		head->target.size ? memchr(head->target.data, '?', head->target.size) : NULL;
	if (path->page == PAGE_EXPLAIN && query) {
		size_t size = head->target.size - (size_t)(query + 1 - head->target.data);
		if (size < sizeof(verdict.query))
			memcpy(verdict.query, query + 1, size);
	}
	return verdict;
}

void admin_paths(struct text *page)
{
	for (size_t i = 0; i < array_count(paths); i++)
		text_printf(page, "%-18s %s\n", paths[i].path, paths[i].is);
}
