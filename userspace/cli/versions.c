#include "cli/versions.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "base/mem.h"
#include "base/span.h"
#include "cli/client.h"
#include "cli/json_view.h"
#include "cli/table.h"

#define ANSWER_S 2
#define ALL_S    10
/* A resolver that is silent is what is to be found out: 4 s are enough, its default are 20. */
#define RESOLVER "timeout:2 attempts:1"

/* ---- asking ---- */

void versions_read(struct node_version *node, unsigned status, struct span body)
{
	cJSON *json = status == 200 ? cJSON_ParseWithLength(body.data, body.size) : NULL;
	snprintf(node->node, sizeof(node->node), "%s", view_text(json, "node"));
	snprintf(node->version, sizeof(node->version), "%s", view_text(json, "version"));
	if (status == 404)
		snprintf(node->error, sizeof(node->error), "too old to say");
	else if (!*node->version)
		snprintf(node->error, sizeof(node->error), "no answer of weftd's (status %u)",
			 status);
	cJSON_Delete(json);
}

static void ask(struct node_version *node, const struct addrinfo *at)
{
	struct answer answer = {0};
	struct text why = {0};
	if (client_get_at(at->ai_addr, at->ai_addrlen, ANSWER_S, "/version.json", &answer, &why))
		snprintf(node->error, sizeof(node->error), "%.*s", SPAN_PRINT(text_span(&why)));
	else
		versions_read(node, answer.status, text_span(&answer.body));
	text_fini(&answer.body);
	text_fini(&why);
}

static time_t now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static const char *name_of(const struct node_version *node)
{
	return *node->node ? node->node : node->address;
}

static int compare(const void *a, const void *b)
{
	return strcmp(name_of(a), name_of(b));
}

static void ask_all(struct versions *versions, const struct addrinfo *found)
{
	time_t began = now_s();
	for (const struct addrinfo *at = found; at; at = at->ai_next) {
		struct node_version *node = &versions->nodes[versions->count];
		if (getnameinfo(at->ai_addr, at->ai_addrlen, node->address, sizeof(node->address),
				NULL, 0, NI_NUMERICHOST))
			continue;
		if (now_s() - began < ALL_S)
			ask(node, at);
		else
			snprintf(node->error, sizeof(node->error), "not asked: no time left");
		versions->count++;
	}
	if (versions->count)
		qsort(versions->nodes, versions->count, sizeof(*versions->nodes), compare);
}

int versions_ask(const char *nodes, struct versions *ret, struct text *why)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	const char *colon = strrchr(nodes, ':');
	char name[256];
	size_t count = 0;
	*ret = (struct versions){0};
	if (!colon || (size_t)(colon - nodes) >= sizeof(name)) {
		text_printf(why, "%s is no NAME:PORT", nodes);
		return -EINVAL;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(colon - nodes), nodes);
	setenv("RES_OPTIONS", RESOLVER, 0); /* resolv.conf(5): goes before the file's */
	int error = getaddrinfo(name, colon + 1, &hints, &found);
	if (error) {
		text_printf(why, "%s cannot be looked up: %s", name, gai_strerror(error));
		return -EHOSTUNREACH;
	}
	for (const struct addrinfo *at = found; at; at = at->ai_next)
		count++;
	ret->nodes = mem_zalloc(count * sizeof(*ret->nodes));
	if (ret->nodes)
		ask_all(ret, found);
	freeaddrinfo(found);
	return ret->nodes ? 0 : -ENOMEM;
}

void versions_fini(struct versions *versions)
{
	mem_free(versions->nodes);
	*versions = (struct versions){0};
}

/* ---- judging ---- */

static size_t count_of(const struct versions *versions, const char *version)
{
	size_t count = 0;
	for (size_t i = 0; i < versions->count; i++)
		count += !*versions->nodes[i].error &&
			 strcmp(versions->nodes[i].version, version) == 0;
	return count;
}

/* Of two with as many nodes the first one that answered. "" = nobody said anything. */
static const char *most_common(const struct versions *versions)
{
	const char *best = "";
	size_t most = 0;
	for (size_t i = 0; i < versions->count; i++) {
		const struct node_version *node = &versions->nodes[i];
		size_t count = *node->error ? 0 : count_of(versions, node->version);
		if (count > most) {
			best = node->version;
			most = count;
		}
	}
	return best;
}

/* "n2 has 0.2.0, 10.0.0.3: refused": everyone but those with the common version. */
static void others_print(const struct versions *versions, const char *common, struct text *text)
{
	for (size_t i = 0; i < versions->count; i++) {
		const struct node_version *node = &versions->nodes[i];
		const char *comma = text->size ? ", " : "";
		if (*node->error)
			text_printf(text, "%s%s: %s", comma, name_of(node), node->error);
		else if (strcmp(node->version, common) != 0)
			text_printf(text, "%s%s has %s", comma, name_of(node), node->version);
	}
}

static bool some_are_silent(const struct versions *versions)
{
	for (size_t i = 0; i < versions->count; i++)
		if (*versions->nodes[i].error)
			return true;
	return false;
}

void versions_judge(const struct versions *versions, struct check_line *line)
{
	struct text others = {0};
	const char *common = most_common(versions);
	size_t count = count_of(versions, common);
	line->result = CHECK_OK;
	line->advice[0] = '\0';
	others_print(versions, common, &others);
	if (!others.size) {
		snprintf(line->found, sizeof(line->found), "%s on all %zu nodes", common, count);
		return;
	}
	line->result = CHECK_WARN;
	snprintf(line->found, sizeof(line->found), "%s on %zu of %zu nodes; %.*s",
		 *common ? common : "unknown", count, versions->count,
		 SPAN_PRINT(text_span(&others)));
	snprintf(line->advice, sizeof(line->advice), "%s",
		 some_are_silent(versions)
			 ? "does weftd run there, and do nodes reach each other's admin port? "
			   "kubectl get pods -n weft-system -o wide"
			 : "an update is under way or stuck: kubectl rollout status -n weft-system "
			   "ds/weft");
	text_fini(&others);
}

/* ---- showing ---- */

void versions_print(const struct versions *versions, struct text *text)
{
	static const char *const headings[] = {"NODE", "ADDRESS", "VERSION"};
	struct table table;
	table_init(&table, array_count(headings), headings, 0);
	for (size_t i = 0; i < versions->count; i++) {
		const struct node_version *node = &versions->nodes[i];
		table_add(&table, node->node);
		table_add(&table, node->address);
		table_add(&table, *node->error ? node->error : node->version);
	}
	if (versions->count) {
		text_add(text, span_text("\n"));
		table_print(&table, text);
	}
	table_fini(&table);
}

void versions_json(const struct versions *versions, struct text *text)
{
	text_add(text, span_text(",\"nodes\":["));
	for (size_t i = 0; i < versions->count; i++) {
		const struct node_version *node = &versions->nodes[i];
		text_printf(text, "%s{\"node\":", i ? "," : "");
		text_json_string(text, span_text(node->node));
		text_printf(text, ",\"address\":\"%s\",\"version\":", node->address);
		text_json_string(text, span_text(node->version));
		text_add(text, span_text(",\"error\":"));
		text_json_string(text, span_text(node->error));
		text_add(text, span_text("}"));
	}
	text_add(text, span_text("]"));
}
