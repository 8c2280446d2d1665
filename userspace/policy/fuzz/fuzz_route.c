/*
 * Lines of routes, an empty line, a request: whatever they say, the index finds what the slow
 * explanation finds, and what filters make of the head fits a message.
 */
#include "base/fuzz/target.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "policy/identify.h"
#include "policy/route_rewrite.h"
#include "policy/tests/notation.h"

static bool keep_winner(void *owner, const struct route_choice *candidate,
			enum route_verdict verdict)
{
	struct route_choice *winner = owner;
	if (verdict == ROUTE_WINS)
		*winner = *candidate;
	return true;
}

/* No blank, no line end: nothing that could end a request line or a header early. */
static void check_text(struct span text, struct span from)
{
	for (size_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];
		assert((c > 0x20 && c != 0x7f) || memchr(from.data, c, from.size));
	}
}

static void check_rewriting(const struct route_choice *choice, const struct http_head *head)
{
	struct rewriter *rewriter = rewriter_new();
	struct route_filters filters = {
		.rewrite = {span_text("new"), {ROUTE_PATH_REPLACE_PREFIX, span_text("/x")}}};
	struct route_redirect redirect = {.path = {ROUTE_PATH_FULL, span_text("/y")}};
	struct rewrite_request how = {.match = choice->match, .rule = &filters};
	struct rewritten got;
	struct span location;
	assert(rewriter && !rewrite_request(rewriter, &how, head, &got));
	check_text(got.head.target, head->target);
	how = (struct rewrite_request){.consumed = 1};
	assert(!rewrite_request(rewriter, &how, head, &got));
	assert(got.head.target.size <= head->target.size + 1);
	assert(!rewrite_location(rewriter, &redirect, choice->match, head, 80, &location));
	assert(location.size > 0);
	assert(head->host.size || location.data[0] == 'h' || location.data[1] != '/');
	rewriter_free(rewriter);
}

static void check_identify(const struct http_head *head, struct route_matcher *matcher)
{
	static const struct identifier identifiers[] = {
		{.kind = IDENTIFY_HEADER, .header = {"to", 2}},
		{.kind = IDENTIFY_PATH, .segments = 2},
		{.kind = IDENTIFY_METHOD_AND_HOST, .has_uri = true},
		{.kind = IDENTIFY_HEADER_TOKEN, .header = {"host", 4}},
	};
	struct route_set set = {.identifiers = identifiers,
				.identifier_count = array_count(identifiers)};
	struct identified got;
	int error = identify(&set, head, span_of("", 0), matcher, &got);
	assert(!error || error == -ENOENT);
	if (!error)
		assert(span_starts(identified_name(&got), span_text("/svc")));
	for (size_t i = 0; !error && i < got.size; i++)
		assert(got.text[i] > 0x20 && got.text[i] < 0x7f);
}

static void check_request(const struct notation *notation, struct span line)
{
	struct request request;
	struct route_choice choice = {0};
	struct route_choice winner = {0};
	const struct route_set *set = notation->snapshot->routes;
	request_read(&request, line);
	int found = route_find(set, 1, &request.head, notation->matcher, &choice);
	int explained =
		route_explain(set, 1, &request.head, notation->matcher, keep_winner, &winner);
	assert(found == explained && winner.match == choice.match);
	assert(found == 0 || found == -ENOENT);
	if (!found)
		check_rewriting(&choice, &request.head);
	check_identify(&request.head, notation->matcher);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct notation notation;
	char *text = malloc(size + 1);
	long live = mem_live();
	assert(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	for (size_t i = 0; i < size; i++) {
		if (!text[i])
			text[i] = ' ';
	}
	char *end = strstr(text, "\n\n");
	if (end)
		*end = '\0';
	notation_init(&notation, text);
	if (end && notation.snapshot && notation.snapshot->routes)
		check_request(&notation, span_text(end + 2));
	notation_fini(&notation);
	assert(mem_live() == live);
	free(text);
	return 0;
}
