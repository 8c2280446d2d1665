/*
 * Random routes and requests: the index against a slow reference, written from the specification's
 * sentences alone. It shares no code with the index but the matches' data.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>

#include "base/rng.h"
#include "base/text.h"
#include "policy/tests/notation.h"

/* ---- the reference ---- */

static bool is_host_below(struct span host, struct span pattern)
{
	size_t suffix = pattern.size - 1; /* ".a.com" of "*.a.com" */
	return host.size > suffix &&
	       memcmp(host.data + host.size - suffix, pattern.data + 1, suffix) == 0;
}

/* Characters of the best hostname: those of one without wildcard count before all others. */
static long host_rank(const struct route *route, struct span host)
{
	long best = route->hostname_count ? -1 : 0;
	for (uint32_t i = 0; i < route->hostname_count; i++) {
		struct span pattern = route->hostnames[i];
		long rank = -1;
		if (pattern.data[0] != '*' && span_equal(pattern, host))
			rank = 1000 + (long)pattern.size;
		else if (pattern.data[0] == '*' && is_host_below(host, pattern))
			rank = (long)pattern.size;
		if (rank > best)
			best = rank;
	}
	return best;
}

static bool path_fits(const struct route_match *match, struct span path)
{
	if (match->path_type == ROUTE_PATH_EXACT)
		return span_equal(match->path, path);
	return span_starts(path, match->path) &&
	       (path.size == match->path.size || path.data[match->path.size] == '/');
}

static bool values_fit(const struct route_value *wanted, uint32_t count, const char *all)
{
	for (uint32_t i = 0; i < count; i++) {
		char pair[64];
		snprintf(pair, sizeof(pair), "|%.*s=%.*s|", SPAN_PRINT(wanted[i].name),
			 SPAN_PRINT(wanted[i].value));
		if (!strstr(all, pair))
			return false;
	}
	return true;
}

struct asked {
	char host[32];
	char path[64];
	char method[8];
	char headers[64]; /* "|h=1|i=2|" */
	char query[64];
};

static bool fits(const struct route_match *match, const struct asked *asked)
{
	return path_fits(match, span_text(asked->path)) &&
	       (match->method.size == 0 || span_is(match->method, asked->method)) &&
	       values_fit(match->headers, match->header_count, asked->headers) &&
	       values_fit(match->queries, match->query_count, asked->query);
}

/* Each number is better when it is larger; the first that differs decides. */
static void points_of(const struct route *route, const struct route_match *match, long host,
		      long points[7])
{
	points[0] = host;
	points[1] = match->path_type == ROUTE_PATH_EXACT;
	points[2] = points[1] ? 0 : (long)match->path.size;
	points[3] = match->method.size > 0;
	points[4] = match->header_count;
	points[5] = match->query_count;
	points[6] = -(long)route->number;
}

static bool is_for(const struct route *route, uint32_t scope)
{
	bool found = route->service_count == 0;
	for (uint32_t i = 0; i < route->service_count; i++)
		found |= route->scopes[i] == scope;
	return found;
}

static const struct route_match *reference_find(const struct route_set *set, uint32_t scope,
						const struct asked *asked)
{
	const struct route_match *best = NULL;
	long best_points[7] = {0};
	for (uint32_t i = 0; i < set->route_count; i++) {
		const struct route *route = &set->routes[i];
		long host = host_rank(route, span_text(asked->host));
		if (host < 0 || !is_for(route, scope))
			continue;
		for (uint32_t j = 0; j < route->rule_count; j++) {
			for (uint32_t k = 0; k < route->rules[j].match_count; k++) {
				const struct route_match *match = &route->rules[j].matches[k];
				long points[7];
				points_of(route, match, host, points);
				unsigned at = 0;
				while (best && at < 7 && points[at] == best_points[at])
					at++;
				bool is_better = !best || (at < 7 && points[at] > best_points[at]);
				if (!is_better || !fits(match, asked))
					continue;
				best = match;
				memcpy(best_points, points, sizeof(points));
			}
		}
	}
	return best;
}

/* ---- random ---- */

static struct rng rng;

static void random_path(struct text *text, unsigned most)
{
	unsigned depth = rng_below(&rng, most + 1);
	for (unsigned i = 0; i < depth; i++)
		text_printf(text, "/%c", 'a' + (char)rng_below(&rng, 3));
	if (depth == 0 || rng_below(&rng, 6) == 0)
		text_add(text, span_text("/"));
}

static void random_match(struct text *text)
{
	if (rng_below(&rng, 8)) {
		text_add(text, span_text(rng_below(&rng, 3) ? " " : " ="));
		random_path(text, 3);
	}
	if (rng_below(&rng, 3) == 0)
		text_add(text, span_text(rng_below(&rng, 2) ? " GET" : " PUT"));
	for (int name = 'h'; name < 'k'; name++) {
		if (rng_below(&rng, 5) == 0)
			text_printf(text, " h:%c=%u", name, rng_below(&rng, 2));
		if (rng_below(&rng, 6) == 0)
			text_printf(text, " q:%c=%u", name, rng_below(&rng, 2));
	}
}

static void random_route(struct text *text, unsigned number)
{
	static const char *const hosts[] = {"a.com",     "b.a.com", "*.a.com",
					    "*.b.a.com", "*.com",   "c.com"};
	text_printf(text, "r%u", number);
	for (unsigned n = rng_below(&rng, 3); n > 0; n--)
		text_printf(text, " host=%s", hosts[rng_below(&rng, array_count(hosts))]);
	for (unsigned n = rng_below(&rng, 3); n > 0; n--)
		text_printf(text, " for=%s", rng_below(&rng, 2) ? "web" : "api");
	if (rng_below(&rng, 2))
		text_printf(text, " age=%u", rng_below(&rng, 4));
	for (unsigned n = 1 + rng_below(&rng, 3); n > 0; n--) {
		text_add(text, span_text(";"));
		random_match(text);
		if (rng_below(&rng, 3) == 0) {
			text_add(text, span_text(","));
			random_match(text);
		}
	}
	text_add(text, span_text("\n"));
}

static void random_request(struct asked *asked, struct text *line)
{
	static const char *const hosts[] = {"a.com", "b.a.com", "x.a.com", "y.b.a.com",
					    "d.com", "c.com",   "net",     "x.y.com"};
	struct text path = {0};
	snprintf(asked->host, sizeof(asked->host), "%s",
		 hosts[rng_below(&rng, array_count(hosts))]);
	random_path(&path, 4);
	snprintf(asked->path, sizeof(asked->path), "%s", path.data);
	text_fini(&path);
	snprintf(asked->method, sizeof(asked->method), "%s", rng_below(&rng, 2) ? "GET" : "PUT");
	snprintf(asked->headers, sizeof(asked->headers), "|");
	snprintf(asked->query, sizeof(asked->query), "|");
	text_clear(line);
	text_printf(line, "%s %s %s?", asked->method, asked->host, asked->path);
	for (int name = 'h'; name < 'k'; name++) {
		size_t size = strlen(asked->query);
		unsigned value = rng_below(&rng, 3);
		snprintf(asked->query + size, sizeof(asked->query) - size, "%c=%u|", name, value);
		text_printf(line, "%c=%u&", name, value);
	}
	for (int name = 'h'; name < 'k'; name++) {
		size_t size = strlen(asked->headers);
		unsigned value = rng_below(&rng, 3);
		snprintf(asked->headers + size, sizeof(asked->headers) - size, "%c=%u|", name,
			 value);
		text_printf(line, " h:%c=%u", name, value);
	}
}

static void compare_one(const struct notation *notation, const char *routes)
{
	struct asked asked = {0};
	struct request request;
	struct text line = {0};
	struct route_choice choice = {0};
	random_request(&asked, &line);
	request_read(&request, text_span(&line));
	uint32_t scope = snapshot_route_scope(notation->snapshot, 1 + rng_below(&rng, 2));
	const struct route_match *expected =
		reference_find(notation->snapshot->routes, scope, &asked);
	int error = route_find(notation->snapshot->routes, scope, &request.head, notation->matcher,
			       &choice);
	assert_int_equal(error, expected ? 0 : -ENOENT);
	if (choice.match != expected)
		fail_msg("%s%s", routes, line.data);
	text_fini(&line);
}

static void the_index_finds_what_the_reference_finds(void **state)
{
	unsigned taken = 0;
	(void)state;
	rng_init(&rng, 7);
	for (unsigned round = 0; round < 300; round++) {
		struct notation notation;
		struct text routes = {0};
		unsigned count = 1 + rng_below(&rng, 20);
		for (unsigned i = 0; i < count; i++)
			random_route(&routes, i);
		notation_init(&notation, routes.data);
		if (!notation.snapshot)
			fail_msg("%s: %s", routes.data, notation.fault);
		for (unsigned i = 0; i < 200; i++, taken++)
			compare_one(&notation, routes.data);
		notation_fini(&notation);
		text_fini(&routes);
	}
	assert_int_equal(taken, 60000);
}

static struct route_choice winner;

static bool keep_winner(void *owner, const struct route_choice *candidate,
			enum route_verdict verdict)
{
	(void)owner;
	if (verdict == ROUTE_WINS)
		winner = *candidate;
	return true;
}

static void the_explanation_names_the_same_winner(void **state)
{
	(void)state;
	rng_init(&rng, 8);
	for (unsigned round = 0; round < 60; round++) {
		struct notation notation;
		struct text routes = {0};
		for (unsigned i = 0; i < 10; i++)
			random_route(&routes, i);
		notation_init(&notation, routes.data);
		for (unsigned i = 0; i < 50; i++) {
			struct asked asked = {0};
			struct request request;
			struct text line = {0};
			struct route_choice choice = {0};
			random_request(&asked, &line);
			request_read(&request, text_span(&line));
			winner = (struct route_choice){0};
			int found = route_find(notation.snapshot->routes, 1, &request.head,
					       notation.matcher, &choice);
			assert_int_equal(route_explain(notation.snapshot->routes, 1, &request.head,
						       notation.matcher, keep_winner, NULL),
					 found);
			assert_ptr_equal(winner.match, choice.match);
			text_fini(&line);
		}
		notation_fini(&notation);
		text_fini(&routes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_index_finds_what_the_reference_finds),
		cmocka_unit_test(the_explanation_names_the_same_winner),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
